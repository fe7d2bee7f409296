/*
 * A pass whose hidden states nobody wants (att_batch.vectors_only) gives the bits
 * of a full one: models that are read at their first tokens, by a pooling or a
 * head, and those whose head or pooling reads all of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/attend.h"

enum { SEQS = 5, LONGEST = 13, TOKENS = SEQS * LONGEST };

static const uint32_t cu[SEQS + 1] = {0, 4, 5, 18, 20, 31};
static char dir[512];

static const char *source(const char *folder, const char *file, char path[512])
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    snprintf(path, 512, "%s/tests/%s%s%s", root ? root : ".", folder, file ? "/" : "", file ? file : "");
    return path;
}

static float *copy_of(const float *values, size_t count)
{
    float *copy = values ? malloc(count * sizeof *copy) : NULL;
    if (copy)
        memcpy(copy, values, count * sizeof *copy);
    return copy;
}

static void equal(const char *what, const float *got, const float *expected, size_t count)
{
    assert_int_equal(got == NULL, expected == NULL);
    if (got && memcmp(got, expected, count * sizeof *got) != 0)
        fail_msg("%s: %s is not that of a full pass", dir, what);
}

static struct att_output pass(struct att_context *context, const struct att_model_info *info, bool vectors_only)
{
    static int32_t ids[TOKENS];
    for (size_t t = 0; t < cu[SEQS]; t++)
        ids[t] = (int32_t)((t * 7919 + 5) % info->vocab_size);
    const struct att_batch batch = {.ids = ids, .cu_seqlens = cu, .n_seqs = SEQS, .vectors_only = vectors_only};
    struct att_output out;
    struct att_err err;
    if (att_forward(context, &batch, NULL, &out, &err) != ATT_OK)
        fail_msg("%s: %s", dir, err.message);
    assert_int_equal(out.hidden == NULL, vectors_only);
    return out;
}

static void check_dtype(enum att_dtype dtype)
{
    const struct att_model_options options = {.dtype = dtype};
    struct att_model *model = NULL;
    struct att_context *context = NULL;
    struct att_err err;
    if (att_model_load(dir, &options, &model, &err) != ATT_OK)
        fail_msg("%s: %s", dir, err.message);
    const struct att_model_info *info = att_model_info(model);
    const size_t n_vectors = SEQS * info->hidden_size, n_logits = (info->per_token ? cu[SEQS] : SEQS) * info->n_logits;
    assert_int_equal(att_context_create(model, TOKENS, SEQS, &context, &err), ATT_OK);
    const struct att_output full = pass(context, info, false);
    float *pooled = copy_of(full.pooled, n_vectors), *pooler = copy_of(full.pooler, n_vectors);
    float *logits = copy_of(full.logits, n_logits);
    const struct att_output less = pass(context, info, true);
    equal("pooled", less.pooled, pooled, n_vectors);
    equal("pooler", less.pooler, pooler, n_vectors);
    equal("logits", less.logits, logits, n_logits);
    free(pooled);
    free(pooler);
    free(logits);
    att_context_destroy(context);
    att_model_unref(model);
}

static void check_dir(void)
{
    for (int dtype = 0; dtype < ATT_DTYPE_COUNT; dtype++)
        check_dtype((enum att_dtype)dtype);
}

static void gives_the_bits_of_a_full_pass(void **state)
{
    (void)state;
    static const char *const folders[] = {"data/models/st-bert-mean",  "data/models/bert-sentiment",
                                          "data/models/cross-encoder", "data/models/ner",
                                          "data/models/reader",        "golden/data/deberta-v2-conv-seqcls",
                                          "golden/data/albert-seqcls", "golden/data/modernbert-cls-seqcls",
                                          "golden/data/mpnet-model",   "golden/data/nomic-bert-model"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        source(folders[i], NULL, dir);
        check_dir();
    }
}

/* ---- other poolings than the files name ---- */

static char *read_file(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *ret_len = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*ret_len + 1);
    assert_int_equal(fread(bytes, 1, *ret_len, file), *ret_len);
    bytes[*ret_len] = '\0';
    fclose(file);
    return bytes;
}

static void write_file(const char *name, const char *bytes, size_t len)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* A copy of a model in which `word` of config.json is another; both of one length, or NULL. */
static void copy_model(const char *folder, const char *word, const char *other)
{
    static const char *const files[] = {"config.json", "model.safetensors"};
    snprintf(dir, sizeof dir, "/tmp/attend-firsts-XXXXXX");
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < 2; i++) {
        char path[512];
        size_t len;
        char *bytes = read_file(source(folder, files[i], path), &len),
             *at = word && i == 0 ? strstr(bytes, word) : NULL;
        assert_true(!word || i > 0 || at);
        if (at)
            memcpy(at, other, strlen(other));
        write_file(files[i], bytes, len);
        free(bytes);
    }
}

static void remove_model(void)
{
    static const char *const files[] = {"config.json", "model.safetensors", "attend.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(dir), 0);
}

static void first_tokens_of_a_family_that_pools_by_mean(void **state)
{
    (void)state;
    static const char own[] = "{\"pooling\":\"cls\"}";
    copy_model("golden/data/nomic-bert-model", NULL, NULL);
    write_file("attend.json", own, strlen(own));
    check_dir();
    remove_model();
}

static void a_head_may_read_all_rows(void **state)
{
    (void)state;
    copy_model("golden/data/modernbert-cls-seqcls", "\"classifier_pooling\": \"cls\"",
               "\"classifier_pooling\":\"mean\"");
    check_dir();
    remove_model();
}

int main(void)
{
    struct att_err err;
    if (att_init(NULL, &err) != ATT_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_bits_of_a_full_pass),
        cmocka_unit_test(first_tokens_of_a_family_that_pools_by_mean),
        cmocka_unit_test(a_head_may_read_all_rows),
    };
    return cmocka_run_group_tests_name("arch/firsts", tests, NULL, NULL);
}
