/*
 * Weights of tokens in SASRec: equal ones change no bit, others shift attention
 * by exactly their ratios, and one that vanishes takes its key with it; with
 * histories packed and with histories padded to the longest length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/attend.h"

enum { LEN = 9, HIDDEN_MAX = 64 };
static const int32_t ids[LEN] = {11, 340, 12, 7, 1201, 90, 12, 500, 33};
static char folder[] = "/tmp/att-weights-XXXXXX";

struct pass {
    struct att_context *context;
    size_t hidden_size;
    float hidden[LEN * HIDDEN_MAX];
    float probs[LEN][LEN]; /* of the first layer */
};

static void copy_file(const char *source, const char *name, const char *from, const char *to)
{
    char path[600], bytes[4096];
    snprintf(path, sizeof path, "%s/%s", source, name);
    FILE *in = fopen(path, "rb");
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "wb");
    assert_non_null(in);
    assert_non_null(out);
    for (size_t n; (n = fread(bytes, 1, sizeof bytes - 1, in)) > 0;) {
        bytes[n] = '\0';
        char *at = from ? strstr(bytes, from) : NULL;
        size_t head = at ? (size_t)(at - bytes) : n;
        assert_true(!from || at);
        fwrite(bytes, 1, head, out);
        if (at && from && to) {
            fputs(to, out);
            fwrite(at + strlen(from), 1, n - head - strlen(from), out);
        }
    }
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

/* The model of the tests, and the same with padding, in `folder`. */
static int start(void **state)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    char source[512];
    struct att_err err;
    (void)state;
    snprintf(source, sizeof source, "%s/tests/data/models/sasrec", root ? root : ".");
    assert_non_null(mkdtemp(folder));
    copy_file(source, "model.safetensors", NULL, NULL);
    copy_file(source, "config.json", "\"pad_to_max_length\": false", "\"pad_to_max_length\": true");
    return att_init(NULL, &err) == ATT_OK ? 0 : -1;
}

static int stop(void **state)
{
    char path[64];
    (void)state;
    snprintf(path, sizeof path, "%s/config.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    unlink(path);
    return rmdir(folder);
}

static void take_attention(void *context, size_t layer, size_t seq, size_t head, size_t first, const float *probs,
                           size_t n_query, size_t n_key)
{
    struct pass *pass = context;
    assert_true(seq == 0 && head == 0 && n_key == LEN);
    if (layer == 0)
        memcpy(pass->probs[first], probs, n_query * n_key * sizeof *probs);
}

static void open_pass(struct pass *pass, bool padded)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    char dir[512];
    struct att_err err;
    struct att_model *model = NULL;
    snprintf(dir, sizeof dir, "%s/tests/data/models/sasrec", root ? root : ".");
    if (att_model_load(padded ? folder : dir, &(struct att_model_options){.dtype = ATT_F32}, &model, &err) != ATT_OK)
        fail_msg("%s", err.message);
    pass->hidden_size = att_model_info(model)->hidden_size;
    assert_true(pass->hidden_size <= HIDDEN_MAX);
    assert_int_equal(att_context_create(model, 64, 2, &pass->context, &err), ATT_OK);
    att_model_unref(model);
}

static void run(struct pass *pass, const float *weights)
{
    const uint32_t cu[] = {0, LEN};
    const struct att_batch batch = {.ids = ids, .cu_seqlens = cu, .n_seqs = 1, .weights = weights ? &weights : NULL};
    const struct att_tap tap = {.context = pass, .attention = take_attention};
    struct att_output out;
    struct att_err err;
    if (att_forward(pass->context, &batch, &tap, &out, &err) != ATT_OK)
        fail_msg("%s", err.message);
    memcpy(pass->hidden, out.hidden, LEN * pass->hidden_size * sizeof *out.hidden);
}

static void equal_weights_change_no_bit(void **state)
{
    (void)state;
    static const float values[] = {1, 0.05f, 7, 1e-38f};
    for (int padded = 0; padded < 2; padded++) {
        static struct pass plain, weighed;
        float weights[LEN];
        open_pass(&plain, padded);
        weighed = plain;
        run(&plain, NULL);
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            for (size_t i = 0; i < LEN; i++)
                weights[i] = values[v];
            run(&weighed, weights);
            assert_memory_equal(weighed.hidden, plain.hidden, sizeof plain.hidden);
            assert_memory_equal(weighed.probs, plain.probs, sizeof plain.probs);
        }
        weights[3] *= 2;
        run(&weighed, weights);
        assert_memory_not_equal(weighed.hidden + 8 * plain.hidden_size, plain.hidden + 8 * plain.hidden_size,
                                plain.hidden_size * sizeof(float));
        att_context_destroy(plain.context);
    }
}

/* In the first layer, where the keys are the same, the odds of two keys change by the ratio of their weights. */
static void weights_are_ratios_of_attention(void **state)
{
    (void)state;
    static const float weights[LEN] = {1, 0.3f, 0.6f, 2, 0.05f, 10, 1, 0.7f, 0.3f};
    for (int padded = 0; padded < 2; padded++) {
        static struct pass plain, weighed;
        open_pass(&plain, padded);
        weighed = plain;
        run(&plain, NULL);
        run(&weighed, weights);
        for (size_t i = 0; i < LEN; i++)
            for (size_t j = 0; j <= i; j++) {
                double expected = (double)plain.probs[i][j] * (double)weights[j] / (double)weights[i];
                double got = (double)weighed.probs[i][j] / (double)weighed.probs[i][i] * (double)plain.probs[i][i];
                if (!(fabs(got - expected) <= 1e-4 * expected))
                    fail_msg("query %zu, key %zu: %g, expected %g", i, j, got, expected);
            }
        att_context_destroy(plain.context);
    }
}

static void a_vanishing_weight_takes_its_key(void **state)
{
    (void)state;
    static const float steps[] = {1, 1e-2f, 1e-4f, 1e-30f, 1e-40f};
    for (int padded = 0; padded < 2; padded++) {
        static struct pass plain, weighed;
        open_pass(&plain, padded);
        weighed = plain;
        run(&plain, NULL);
        for (size_t s = 1; s < sizeof steps / sizeof *steps; s++) {
            float weights[LEN];
            for (size_t i = 0; i < LEN; i++)
                weights[i] = i == 4 ? steps[s] : 1;
            run(&weighed, weights);
            /* A later query's attention is what it was, shared among the others. */
            const double lost = (double)plain.probs[8][4], kept = lost * (double)steps[s], rest = 1 - lost + kept;
            for (size_t j = 0; j < LEN; j++) {
                const double expected = j == 4 ? kept / rest : (double)plain.probs[8][j] / rest;
                if (!(fabs((double)weighed.probs[8][j] - expected) < 1e-6))
                    fail_msg("weight %g, key %zu: %g, expected %g", (double)steps[s], j, (double)weighed.probs[8][j],
                             expected);
            }
            for (size_t i = 0; i < LEN * plain.hidden_size; i++)
                assert_true(isfinite(weighed.hidden[i]));
        }
        att_context_destroy(plain.context);
    }
}

static void refuses_what_is_no_weight(void **state)
{
    (void)state;
    const float bad[] = {0, -1, NAN, INFINITY};
    static struct pass pass;
    open_pass(&pass, false);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        float weights[LEN] = {1, 1, bad[i], 1, 1, 1, 1, 1, 1};
        const float *const of[] = {NULL, weights};
        const uint32_t cu[] = {0, 2, LEN};
        const struct att_batch batch = {.ids = ids, .cu_seqlens = cu, .n_seqs = 2, .weights = of};
        struct att_output out;
        struct att_err err;
        assert_int_equal(att_forward(pass.context, &batch, NULL, &out, &err), ATT_EINVAL);
        assert_non_null(strstr(err.message, "at token 2 of sequence 1, expected one above 0"));
    }
    att_context_destroy(pass.context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_weights_change_no_bit),
        cmocka_unit_test(weights_are_ratios_of_attention),
        cmocka_unit_test(a_vanishing_weight_takes_its_key),
        cmocka_unit_test(refuses_what_is_no_weight),
    };
    return cmocka_run_group_tests_name("arch/weights", tests, start, stop);
}
