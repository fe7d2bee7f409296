/*
 * Bytes that come with knowledge-base entries: files that are imported (first byte c: CSV, j: JSONL), times (d),
 * answers cut into sentences (s), two answers side by side (x), and calibrations of a file (f). Sentences lie inside
 * the text, in order; a calibration that is read is written as one that reads the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/contradict.h"
#include "cli/table_file.h"
#include "core/base/date.h"
#include "core/base/utf8.h"
#include "fuzz/directory.h"
#include "fuzz/target.h"
#include "tasks/kb/kb_fit.h"
#include "tasks/sentences.h"

enum { SENTENCES = 16, FIT_BYTES = 1 << 16 };

static void read_file(const char *name, const uint8_t *bytes, size_t size)
{
    char path[4096];
    struct cli_table_file file;
    struct att_err err;
    fuzz_directory_write(name, bytes, size);
    snprintf(path, sizeof path, "%s/%s", fuzz_directory_path(), name);
    (void)!cli_table_file_read(path, &cli_kb_columns, &file, &err);
    cli_table_file_finish(&file);
}

static void read_date(const char *text, size_t len)
{
    int64_t at, again;
    char written[ATT_DATE_BYTES];
    if (!att_date_parse(text, len, &at))
        return;
    att_date_format(at, written);
    if (!att_date_parse(written, strlen(written), &again) || again != at)
        abort();
}

static void split(const char *text, size_t len)
{
    struct task_sentence sentences[SENTENCES];
    size_t n = task_sentences_split(text, len, sentences, SENTENCES), end = 0;
    for (size_t i = 0; i < n; i++) {
        if (sentences[i].begin < end || sentences[i].end <= sentences[i].begin || sentences[i].end > len)
            abort();
        end = sentences[i].end;
    }
}

static void read_fit(const char *text)
{
    static const struct att_model_info encoder = {.dir = "encoder"}; /* says nothing of replies */
    struct task_fit fit, again;
    struct att_err err;
    struct att_jsonw w;
    char *written = NULL;
    size_t len = 0;
    if (task_fit_parse(text, &encoder, &fit, &err) != ATT_OK)
        return;
    att_jsonw_init(&w, FIT_BYTES);
    att_jsonw_object_begin(&w);
    task_fit_render(&fit, &w);
    att_jsonw_object_end(&w);
    if (att_jsonw_take(&w, &written, &len, &err) != ATT_OK || task_fit_parse(written, &encoder, &again, &err) != ATT_OK)
        abort();
    att_mem_free(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return 0;
    size_t len = size - 1;
    char *text = calloc(len + 1, 1);
    if (!text)
        return 0;
    memcpy(text, bytes + 1, len);
    switch (bytes[0]) {
    case 'c':
        read_file("entries.csv", bytes + 1, len);
        break;
    case 'j':
        read_file("entries.jsonl", bytes + 1, len);
        break;
    case 'd':
        read_date(text, len);
        break;
    case 's':
        if (att_utf8_valid(text, len))
            split(text, len);
        break;
    case 'x':
        (void)!cli_contradict(text, text + len / 2);
        break;
    default:
        read_fit(text);
    }
    free(text);
    return 0;
}
