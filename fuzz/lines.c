/*
 * Any bytes as a body of lines (NDJSON) for the tasks that take one, over a real
 * store: the first byte chooses the task (i: items of a recommender, n: news), the
 * second how many lines a chunk has. Each line that is not blank gets one result, a
 * summary ends the answer, and both agree; a chunk more or less changes no result.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"
#include "tests/fault/world.h"

enum { DEPTH = 16, LINES_MAX = 64, SIZE_LIMIT = 1 << 14 };

/* Lines that are not blank. */
static size_t count_lines(const char *text, size_t len)
{
    size_t n = 0;
    bool filled = false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '\n' && text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            filled = true;
        if ((text[i] == '\n' || i + 1 == len) && filled) {
            n++;
            filled = false;
        }
    }
    return n;
}

/* One result a line, then the summary. */
static void check_answer(const char *answer, size_t n_lines, bool of_items)
{
    size_t results = 0, errors = 0;
    for (; *answer; answer += strcspn(answer, "\n") + 1) {
        struct att_json *json = NULL;
        check(att_json_parse(answer, strcspn(answer, "\n"), 0, DEPTH, &json, NULL) == ATT_OK);
        const struct att_json *summary = att_json_get(json, "summary");
        if (!summary) {
            const char *status = att_json_string(att_json_get(json, "status"), NULL);
            check(status != NULL);
            check((strcmp(status, "error") == 0) == (att_json_get(json, "error") != NULL));
            errors += strcmp(status, "error") == 0;
            results++;
        } else {
            check(results == n_lines && answer[strcspn(answer, "\n") + 1] == '\0');
            check(att_json_number(att_json_get(summary, "error"), -1) == (double)errors);
            if (of_items)
                check(att_json_number(att_json_get(summary, "written"), -1) == (double)(results - errors));
            results = SIZE_MAX;
        }
        att_json_destroy(json);
    }
    check(results == SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static bool started;
    if (size < 2 || size > SIZE_LIMIT)
        return 0;
    const char *lines = (const char *)bytes + 2;
    const bool of_items = bytes[0] % 2 == 'i' % 2;
    const size_t len = size - 2, n_lines = count_lines(lines, len);
    if (n_lines > LINES_MAX)
        return 0;
    if (!started)
        world_start();
    started = true;
    struct att_err err = {.message = ""};
    char *answer = NULL;
    size_t answer_len = 0;
    const enum att_status status =
        world_feed(of_items ? &task_items_put : &task_ingest, lines, len, 1 + bytes[1] % 8, &answer, &answer_len, &err);
    if (status != ATT_OK)
        fprintf(stderr, "%s\n", err.message);
    check(status == ATT_OK && strlen(answer) == answer_len);
    check_answer(answer, n_lines, of_items);
    att_mem_free(answer);
    return 0;
}
