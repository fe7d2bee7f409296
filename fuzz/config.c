/*
 * Any bytes as one of the small files of a model directory, beside the sound
 * rest of it: refused with a sentence that names the file, or a model that
 * computes. The first byte chooses the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/attend.h"
#include "core/chat/chat.h"
#include "core/generate/generate.h"
#include "fuzz/directory.h"
#include "fuzz/target.h"

enum { OWN = 5 }; /* the first so many files are of the model of its own, the others of the adapter */

static const char *const files[] = {
    "base/config.json",   "base/tokenizer_config.json",  "base/sentence_bert_config.json",
    "base/modules.json",  "base/generation_config.json", "adapter/adapter_config.json",
    "adapter/attend.json"};
enum { FILES = sizeof files / sizeof *files };

static struct att_model *encoder;

static struct att_model *find_base(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "encoder") == 0 ? encoder : NULL;
}

static const struct att_model_options options = {.find_base = find_base};

static const char *folder_of(size_t file)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", fuzz_directory_path(), file < OWN ? "base" : "adapter");
    return path;
}

static void restore(size_t file)
{
    char source[200];
    const char *name = strchr(files[file], '/') + 1;
    if (strcmp(name, "generation_config.json") == 0) {
        fuzz_directory_write(files[file], (const uint8_t *)"{}", 2);
        return;
    }
    snprintf(source, sizeof source, "tests/data/models/%s/%s", file < OWN ? "st-bert-mean" : "two-heads", name);
    fuzz_directory_copy(source, files[file]);
}

static void start(void)
{
    static const char *const rest[] = {"model.safetensors", "tokenizer.json", "1_Pooling/config.json"};
    char source[200], name[200];
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
        snprintf(source, sizeof source, "tests/data/models/st-bert-mean/%s", rest[i]);
        snprintf(name, sizeof name, "base/%s", rest[i]);
        fuzz_directory_copy(source, name);
    }
    fuzz_directory_copy("tests/data/models/two-heads/adapter_model.safetensors", "adapter/adapter_model.safetensors");
    for (size_t i = 0; i < FILES; i++)
        restore(i);
    if (att_init(NULL, NULL) != ATT_OK || att_model_load(folder_of(0), &options, &encoder, NULL) != ATT_OK)
        exit(1);
}

static void compute(struct att_model *model)
{
    const int32_t ids[] = {0, 2, 1, 3};
    const uint32_t cu[] = {0, 3, 4};
    const struct att_batch batch = {.ids = ids, .cu_seqlens = cu, .n_seqs = 2};
    static struct att_generation generation;
    struct att_context *context = NULL;
    struct att_output out;
    (void)!att_generation_defaults(model, &generation, NULL);
    if (att_model_info(model)->max_tokens < 3 || att_context_create(model, 8, 2, &context, NULL) != ATT_OK)
        return;
    if (att_forward(context, &batch, NULL, &out, NULL) == ATT_OK && !out.hidden)
        abort();
    att_context_destroy(context);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct att_model *model = NULL;
    struct att_chat *chat = NULL;
    struct att_dir dir;
    struct att_err err = {.message = ""};
    if (size == 0)
        return 0;
    if (!encoder)
        start();
    static size_t changed = 0; /* the file of the input before */
    size_t file = (uint8_t)(bytes[0] - 'a') % FILES;
    if (file != changed)
        restore(changed);
    changed = file;
    fuzz_directory_write(files[file], bytes + 1, size - 1);
    enum att_status status = att_model_load(folder_of(file), &options, &model, &err);
    if (status == ATT_OK)
        compute(model);
    else if (err.status != status || !err.message[0] || model || status == ATT_EINTERNAL || status == ATT_EINVAL)
        abort();
    att_model_unref(model);
    if (att_dir_open(folder_of(file), &dir, NULL) != ATT_OK)
        exit(1);
    if (att_chat_open(&dir, &chat, NULL) == ATT_OK)
        att_chat_destroy(chat);
    att_dir_close(&dir);
    return 0;
}
