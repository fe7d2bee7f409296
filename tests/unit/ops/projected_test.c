/*
 * The looked-up first layer: what LayerNorm and the layer would give, and the same
 * bits for a word at first sight, kept, where there is no more room, and where
 * several threads meet it. How a team splits it: arch/exactness_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/attend.h"
#include "core/base/mem.h"
#include "core/kern/bf16.h"
#include "core/kern/kern.h"
#include "core/ops/projected.h"

/* Wide rows, so that only PLACES of WORDS find room, also as bfloat16. */
enum { K = 8, N = 6144, WORDS = 1500, POSITIONS = 50, SEGMENTS = 2, TOKENS = 60, THREADS = 3, EPS_INVERSE = 1 << 20 };
enum { PLACES = ATT_PROJECTED_WORDS_BYTES / (N * (int)sizeof(uint16_t)) };
_Static_assert(PLACES < WORDS - TOKENS, "words for which there is no room");

static uint32_t seed = 3;

static float noise(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(int32_t)seed * 0x1p-31f;
}

static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = noise();
}

static struct att_table *table_of(size_t rows)
{
    struct att_table *table = att_table_create(rows, K);
    assert_non_null(table);
    fill(table->data, rows * K);
    return table;
}

/* A layer with what stands before it. */
struct model {
    struct att_table *word, *position, *segment;
    float weight[N * K], bias[N], gamma[K], beta[K];
    struct att_norm norm;
    struct att_linear linear;
    bool rounded;
    struct att_projected *projected;
};

static void model_init(struct model *model, enum att_dtype dtype, bool has_segments)
{
    struct att_err err;
    model->word = table_of(WORDS);
    model->position = table_of(POSITIONS);
    model->segment = has_segments ? table_of(SEGMENTS) : NULL;
    fill(model->weight, N * K);
    fill(model->bias, N);
    fill(model->gamma, K);
    fill(model->beta, K);
    model->norm = (struct att_norm){model->gamma, model->beta};
    assert_int_equal(att_linear_init(&model->linear, dtype, N, K, model->weight, model->bias, NULL, &err), ATT_OK);
    model->rounded = model->linear.gemm->rounds;
    const struct att_projected_parts parts = {.linear = &model->linear,
                                              .norm = &model->norm,
                                              .word = model->word,
                                              .position = model->position,
                                              .segment = model->segment,
                                              .rounded = model->rounded};
    assert_int_equal(att_projected_create(&parts, &model->projected, &err), ATT_OK);
}

static void model_finish(struct model *model)
{
    att_projected_destroy(model->projected);
    att_linear_finish(&model->linear);
    att_table_unref(model->word);
    att_table_unref(model->position);
    att_table_unref(model->segment);
}

struct tokens {
    int32_t ids[TOKENS], positions[TOKENS], type_ids[TOKENS];
};

/* Words first_word .. of WORDS, each at a place of its own. */
static void tokens_fill(struct tokens *tokens, size_t first_word)
{
    for (size_t t = 0; t < TOKENS; t++) {
        tokens->ids[t] = (int32_t)((first_word + t) % WORDS);
        tokens->positions[t] = (int32_t)(tokens->ids[t] % POSITIONS);
        tokens->type_ids[t] = tokens->ids[t] % SEGMENTS;
    }
}

static double embedded(const struct model *model, const struct tokens *tokens, size_t t, size_t i)
{
    return (double)model->word->data[(size_t)tokens->ids[t] * K + i] +
           (double)model->position->data[(size_t)tokens->positions[t] * K + i] +
           (model->segment ? (double)model->segment->data[(size_t)tokens->type_ids[t] * K + i] : 0);
}

/* The normalised sum of a token's embeddings; its r. */
static double normed(const struct model *model, const struct tokens *tokens, size_t t, double *x)
{
    double mean = 0, variance = 0;
    for (size_t i = 0; i < K; i++)
        mean += (x[i] = embedded(model, tokens, t, i)) / K;
    for (size_t i = 0; i < K; i++)
        variance += (x[i] - mean) * (x[i] - mean) / K;
    const double scale = 1 / sqrt(variance + 1.0 / EPS_INVERSE);
    for (size_t i = 0; i < K; i++)
        x[i] = (x[i] - mean) * scale * (double)model->gamma[i] + (double)model->beta[i];
    return scale;
}

static void run(const struct model *model, const struct tokens *tokens, size_t m, float *y)
{
    const void *rows[TOKENS];
    float scales[TOKENS], *input = malloc(m * K * sizeof *input), *products = malloc(m * N * sizeof *products);
    void *space = att_mem_aligned(att_linear_space(&model->linear) + 1, 1);
    double x[K];
    assert_true(input && products && space);
    for (size_t t = 0; t < m; t++)
        scales[t] = (float)normed(model, tokens, t, x);
    uint16_t *out = model->rounded ? malloc(m * N * sizeof *out) : NULL;
    const struct att_projected_call call = {.m = m,
                                            .ids = tokens->ids,
                                            .positions = tokens->positions,
                                            .type_ids = tokens->type_ids,
                                            .scales = scales,
                                            .y = model->rounded ? (void *)out : (void *)y,
                                            .rows = rows,
                                            .input = input,
                                            .products = products};
    struct att_team alone = att_team_alone(space);
    att_projected_run(model->projected, &alone, &call);
    for (size_t i = 0; model->rounded && i < m * N; i++)
        y[i] = bf16_value(out[i]);
    free(out);
    free(input);
    free(products);
    att_mem_free(space);
}

/* Relative to the size of the products: of rounded weights and inputs, of bytes. */
static double bound_of(enum att_dtype dtype)
{
    return dtype == ATT_F32 ? 1e-5 : dtype == ATT_BF16 ? 2e-2 : 5e-2;
}

static void check(enum att_dtype dtype, bool has_segments)
{
    static struct model model;
    static float y[TOKENS * N];
    struct tokens tokens;
    double x[K];
    model_init(&model, dtype, has_segments);
    tokens_fill(&tokens, 17);
    run(&model, &tokens, TOKENS, y);
    for (size_t t = 0; t < TOKENS; t++) {
        normed(&model, &tokens, t, x);
        for (size_t j = 0; j < N; j++) {
            double expected = (double)model.bias[j];
            for (size_t i = 0; i < K; i++)
                expected += x[i] * (double)model.weight[j * K + i];
            if (!(fabs((double)y[t * N + j] - expected) <= bound_of(dtype) * sqrt(K)))
                fail_msg("dtype %d, token %zu: y[%zu] is %.9g, expected %.9g", (int)dtype, t, j, (double)y[t * N + j],
                         expected);
        }
    }
    model_finish(&model);
}

static void it_is_the_norm_and_the_layer(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < ATT_DTYPE_COUNT; dtype++)
        for (int has_segments = 0; has_segments < 2; has_segments++)
            check((enum att_dtype)dtype, has_segments);
}

/* Every word alone, by a table that knows none, then by one that filled up on the way, in batches and alone. */
static void rows_have_the_same_bits_kept_or_not(void **state)
{
    static struct model model, other;
    static float first[TOKENS * N], again[TOKENS * N], alone[N];
    struct tokens tokens, one;
    (void)state;
    for (int dtype = 0; dtype < ATT_DTYPE_COUNT; dtype++) {
        const uint32_t before = seed;
        model_init(&model, (enum att_dtype)dtype, true);
        seed = before;
        model_init(&other, (enum att_dtype)dtype, true);
        for (size_t word = 0; word < WORDS; word += TOKENS) {
            tokens_fill(&tokens, word);
            run(&model, &tokens, TOKENS, first);
            run(&model, &tokens, TOKENS, again);
            assert_memory_equal(first, again, sizeof first);
            for (size_t t = 0; t < TOKENS; t += 13) {
                tokens_fill(&one, word + t);
                run(word % (2 * TOKENS) ? &model : &other, &one, 1, alone);
                assert_memory_equal(alone, first + t * N, sizeof alone);
            }
        }
        model_finish(&model);
        model_finish(&other);
    }
}

struct reader {
    pthread_t thread;
    const struct model *model;
    const float *expected; /* of all words in order */
    size_t first_word;
    bool differs;
};

static void *read_words(void *argument)
{
    struct reader *reader = argument;
    float *y = malloc(TOKENS * N * sizeof *y);
    struct tokens tokens;
    for (size_t round = 0; y && round < WORDS / TOKENS; round++) {
        const size_t word = (reader->first_word + round * TOKENS) % (WORDS - TOKENS);
        tokens_fill(&tokens, word);
        run(reader->model, &tokens, TOKENS, y);
        reader->differs = reader->differs || memcmp(y, reader->expected + word * N, TOKENS * N * sizeof *y) != 0;
    }
    reader->differs = reader->differs || !y;
    free(y);
    return NULL;
}

static void threads_share_it(void **state)
{
    static struct model model, other;
    struct reader readers[THREADS];
    struct tokens tokens;
    float *expected = malloc((WORDS + TOKENS) * (size_t)N * sizeof *expected);
    (void)state;
    assert_non_null(expected);
    const uint32_t before = seed;
    model_init(&model, ATT_F32, true);
    seed = before;
    model_init(&other, ATT_F32, true);
    for (size_t word = 0; word < WORDS; word += TOKENS) {
        tokens_fill(&tokens, word);
        run(&other, &tokens, TOKENS, expected + word * N);
    }
    for (size_t i = 0; i < THREADS; i++) {
        readers[i] = (struct reader){.model = &model, .expected = expected, .first_word = i * TOKENS / 2};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_words, &readers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_false(readers[i].differs);
    }
    model_finish(&model);
    model_finish(&other);
    free(expected);
}

static void memory_may_run_out(void **state)
{
    static struct model model;
    struct att_err err;
    (void)state;
    model_init(&model, ATT_INT8, true);
    const struct att_projected_parts parts = {
        .linear = &model.linear, .norm = &model.norm, .word = model.word, .position = model.position};
    const uint64_t before = att_mem_count();
    struct att_projected *projected;
    assert_int_equal(att_projected_create(&parts, &projected, &err), ATT_OK);
    att_projected_destroy(projected);
    const uint64_t count = att_mem_count() - before;
    assert_true(count > 5);
    for (uint64_t k = 1; k <= count; k++) {
        att_mem_fail_at(k, false);
        assert_int_equal(att_projected_create(&parts, &projected, &err), ATT_ENOMEM);
    }
    att_mem_fail_at(0, false);
    model_finish(&model);
}

static int init(void **state)
{
    struct att_err err;
    (void)state;
    return att_init(NULL, &err) == ATT_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_norm_and_the_layer),
        cmocka_unit_test(rows_have_the_same_bits_kept_or_not),
        cmocka_unit_test(threads_share_it),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests_name("ops/projected", tests, init, NULL);
}
