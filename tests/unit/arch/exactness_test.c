/*
 * Equal inputs give equal bits: random batches of random sequences in random
 * order, with and without other threads that help and leave in the middle of a
 * pass, against every sequence computed alone on one thread; for every dtype,
 * and where tokens have weights, as events of a recommender.
 * ATT_BATCHES sets the number of batches (the slow run: 10000), ATT_MINILM a
 * directory with a real model that is tried too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/attend.h"

enum { SEQS = 24, POOL = 40, TOKENS = 600, HELPERS = 2 };

static uint32_t seed = 7;

static uint32_t noise(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

struct sequence {
    int32_t *ids;
    float *weights; /* NULL: ones */
    size_t len;
    float *pooled, *hidden; /* computed alone */
};

struct helper {
    struct att_context *own, *leader;
    pthread_t thread;
    unsigned turn;
};

static atomic_bool stop_helping;
static atomic_size_t n_helped;

/* Leaves after a few chunks, to come back at once. */
static bool leave(void *context)
{
    struct helper *helper = context;
    return ++helper->turn % 5 == 0;
}

static void *help(void *argument)
{
    struct helper *helper = argument;
    while (!atomic_load(&stop_helping))
        atomic_fetch_add(&n_helped, att_context_help(helper->own, helper->leader, leave, helper));
    return NULL;
}

static struct sequence random_sequence(const struct att_model_info *info, size_t i)
{
    size_t longest = info->max_tokens < 160 ? info->max_tokens : 160;
    struct sequence s = {.len = i < 2 ? longest : 1 + noise() % (i % 3 ? 20 : longest)};
    s.ids = calloc(s.len, sizeof *s.ids);
    for (size_t t = 0; t < s.len; t++)
        s.ids[t] = (int32_t)(noise() % info->vocab_size);
    if (i % 3) {
        s.weights = calloc(s.len, sizeof *s.weights);
        for (size_t t = 0; t < s.len; t++)
            s.weights[t] = (float)(1 + noise() % 1000) / 500;
    }
    s.pooled = calloc(info->hidden_size, sizeof *s.pooled);
    s.hidden = calloc(s.len * info->hidden_size, sizeof *s.hidden);
    return s;
}

static struct att_output pass(struct att_context *context, const struct sequence *const *sequences, size_t n)
{
    int32_t *ids, *type_ids;
    uint32_t *cu;
    const float *weights[SEQS];
    struct att_output out;
    struct att_err err;
    att_context_staging(context, &ids, &type_ids, &cu);
    cu[0] = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(ids + cu[i], sequences[i]->ids, sequences[i]->len * sizeof *ids);
        cu[i + 1] = cu[i] + (uint32_t)sequences[i]->len;
        weights[i] = sequences[i]->weights;
    }
    const struct att_batch batch = {.ids = ids, .cu_seqlens = cu, .n_seqs = n, .weights = weights};
    if (att_forward(context, &batch, NULL, &out, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return out;
}

static void check_batch(struct att_context *context, const struct sequence *pool, size_t hidden)
{
    const struct sequence *chosen[SEQS] = {NULL};
    size_t n = 0, tokens = 0, want = 1 + noise() % SEQS;
    while (n < want) {
        const struct sequence *s = &pool[noise() % POOL];
        if (tokens + s->len > TOKENS)
            break;
        tokens += s->len;
        chosen[n++] = s;
    }
    const struct att_output out = pass(context, chosen, n);
    for (size_t i = 0, at = 0; i < n; at += chosen[i++]->len) {
        assert_memory_equal(out.pooled + i * hidden, chosen[i]->pooled, hidden * sizeof(float));
        assert_memory_equal(out.hidden + at * hidden, chosen[i]->hidden, chosen[i]->len * hidden * sizeof(float));
    }
}

static void check_model(const char *dir, enum att_dtype dtype, size_t n_batches)
{
    struct att_model *model = NULL;
    struct att_err err;
    struct helper helpers[HELPERS];
    struct att_context *context;
    struct sequence pool[POOL];
    if (att_model_load(dir, &(struct att_model_options){.dtype = dtype}, &model, &err) != ATT_OK)
        fail_msg("%s: %s", dir, err.message);
    const struct att_model_info *info = att_model_info(model);
    assert_int_equal(att_context_create(model, TOKENS, SEQS, &context, &err), ATT_OK);
    for (size_t i = 0; i < POOL; i++) {
        pool[i] = random_sequence(info, i);
        const struct sequence *one = &pool[i];
        const struct att_output out = pass(context, &one, 1);
        memcpy(pool[i].pooled, out.pooled, info->hidden_size * sizeof(float));
        memcpy(pool[i].hidden, out.hidden, pool[i].len * info->hidden_size * sizeof(float));
    }
    for (size_t i = 0; i < n_batches / 2; i++)
        check_batch(context, pool, info->hidden_size);
    atomic_store(&stop_helping, false);
    for (size_t h = 0; h < HELPERS; h++) {
        helpers[h] = (struct helper){.leader = context};
        assert_int_equal(att_context_create(model, TOKENS, SEQS, &helpers[h].own, &err), ATT_OK);
        assert_int_equal(pthread_create(&helpers[h].thread, NULL, help, &helpers[h]), 0);
    }
    for (size_t i = 0; i < n_batches / 2; i++)
        check_batch(context, pool, info->hidden_size);
    atomic_store(&stop_helping, true);
    for (size_t h = 0; h < HELPERS; h++) {
        pthread_join(helpers[h].thread, NULL);
        att_context_destroy(helpers[h].own);
    }
    for (size_t i = 0; i < POOL; i++) {
        free(pool[i].ids);
        free(pool[i].weights);
        free(pool[i].pooled);
        free(pool[i].hidden);
    }
    att_context_destroy(context);
    att_model_unref(model);
}

static void same_bits_whatever_shares_the_batch(void **state)
{
    (void)state;
    const char *root = getenv("ATT_SOURCE_ROOT"), *count = getenv("ATT_BATCHES"), *minilm = getenv("ATT_MINILM");
    size_t n = count ? strtoul(count, NULL, 10) : 200;
    char dir[512], recommender[512];
    snprintf(dir, sizeof dir, "%s/tests/data/models/st-bert-mean", root ? root : ".");
    snprintf(recommender, sizeof recommender, "%s/tests/data/models/sasrec", root ? root : ".");
    check_model(recommender, ATT_F32, n);
    for (int dtype = 0; dtype < ATT_DTYPE_COUNT; dtype++) {
        check_model(dir, (enum att_dtype)dtype, n);
        if (minilm)
            check_model(minilm, (enum att_dtype)dtype, n);
    }
    assert_true(atomic_load(&n_helped) > 0);
}

int main(void)
{
    struct att_err err;
    if (att_init(NULL, &err) != ATT_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits_whatever_shares_the_batch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
