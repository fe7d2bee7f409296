/*
 * Equal inputs give equal bits: random batches of random sequences in random
 * order, without other threads, with some that help and leave in the middle of a
 * pass, and with some that are there whenever the pass is split, against every
 * sequence computed alone on one thread; for every dtype, where tokens have
 * weights, as events of a recommender, where weights are too large for a cache,
 * which a team then reads in parts, and where the last layer computes first rows
 * alone because nobody reads others.
 * ATT_BATCHES sets the number of batches (the slow run: 10000), ATT_MINILM a
 * directory with a real model that is tried too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/attend.h"
#include "core/base/clock.h"
#include "core/base/cores.h"
#include "core/context.h"
#include "core/kern/kern.h"

enum { SEQS = 24, POOL = 40, TOKENS = 600, HELPERS = 2, MEMBERS = 1 + HELPERS, WAIT_US = 20000000, TEAM_BATCHES = 4 };
/* Of core/arch/post_norm_forward.c: weights that a cache holds; where they are more, a team with fewer rows a member
 * goes through a layer operation by operation. */
enum { CACHED_BYTES = 16 << 20, MEMORY_ROWS = 28 };
/* A model whose layers are more than that in every dtype. */
enum { HIDDEN = 768, INNER = 4 * HIDDEN, HEADS = 12, LAYERS = 3, VOCAB = 300, POSITIONS = 48 };

/* What is checked: a directory's model, with as many sequences to draw from, by batches of at most so many tokens. */
struct trial {
    const char *dir;
    enum att_dtype dtype;
    size_t n_batches, n_pool, most_tokens;
    bool is_large;
};

/* Tokens of a batch: so many where that can be had, and never more. */
struct extent {
    size_t least, most;
};

static char large_dir[64];
/* The leader's, then the helpers': others than its own, where there are any. */
static int cores[MEMBERS];

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
    float *pooled, *logits, *hidden; /* computed alone; logits: NULL without a head of the sequence */
};

struct helper {
    struct att_context *own, *leader;
    pthread_t thread;
    int core;
    unsigned turn;
};

static struct helper helpers[HELPERS];
static size_t n_helpers; /* that are at work */
static atomic_bool stop_helping, invited, may_leave;
static atomic_size_t n_helped, n_asked;

/* Leaves after a few chunks, to come back at once. */
static bool leave(void *context)
{
    struct helper *helper = context;
    atomic_fetch_add(&n_asked, 1);
    return atomic_load(&may_leave) && ++helper->turn % 5 == 0;
}

static void *help(void *argument)
{
    struct helper *helper = argument;
    att_cores_pin(helper->core);
    while (!atomic_load(&stop_helping))
        if (atomic_load(&invited))
            atomic_fetch_add(&n_helped, att_context_help(helper->own, helper->leader, leave, helper));
        else
            sched_yield();
    return NULL;
}

/* Until all are there and one of them is awake beside this thread: no yield, or where other programs want the cores
 * they would take turns. */
static void wait_for_all(const struct att_team *team)
{
    const uint64_t end_us = att_clock_us() + WAIT_US;
    const size_t asked = atomic_load(&n_asked);
    while (att_team_size(team) != MEMBERS || atomic_load(&n_asked) == asked)
        if (att_clock_us() > end_us)
            fail_msg("a team of %zu, expected %d", att_team_size(team), MEMBERS);
}

static void wait_for_none(const struct att_team *team)
{
    const uint64_t end_us = att_clock_us() + WAIT_US;
    while (att_team_size(team) > 1 && att_clock_us() < end_us)
        sched_yield();
    assert_int_equal(att_team_size(team), 1);
}

/* A tap of hidden states, that is between two layers: the next one is split for all members. */
static void between_layers(void *context, size_t i, const float *x, size_t n_tokens, size_t hidden_size)
{
    (void)i, (void)x, (void)n_tokens, (void)hidden_size;
    wait_for_all(context);
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
    s.logits = info->n_logits && !info->per_token ? calloc(info->n_logits, sizeof *s.logits) : NULL;
    s.hidden = calloc(s.len * info->hidden_size, sizeof *s.hidden);
    return s;
}

static struct att_output pass(struct att_context *context, const struct sequence *const *sequences, size_t n,
                              const struct att_tap *tap, bool vectors_only)
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
    const struct att_batch batch = {
        .ids = ids, .cu_seqlens = cu, .n_seqs = n, .weights = weights, .vectors_only = vectors_only};
    if (att_forward(context, &batch, tap, &out, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return out;
}

/* A batch of the pool's sequences: how many. */
static size_t draw(const struct trial *trial, const struct sequence *pool, struct extent extent,
                   const struct sequence **chosen)
{
    size_t n = 0, tokens = 0, want = 1 + noise() % SEQS;
    while (n < SEQS && (n < want || tokens < extent.least)) {
        const struct sequence *s = &pool[noise() % trial->n_pool];
        if (tokens + s->len > extent.most && n > 0)
            break;
        if (tokens + s->len > extent.most)
            continue;
        tokens += s->len;
        chosen[n++] = s;
    }
    return n;
}

static void check_batch(const struct trial *trial, struct att_context *context, const struct sequence *pool,
                        struct extent extent, const struct att_tap *tap)
{
    const struct sequence *chosen[SEQS] = {NULL};
    const struct att_model_info *info = att_model_info(context->model);
    const size_t n = draw(trial, pool, extent, chosen), hidden = info->hidden_size;
    const bool vectors_only = !tap && noise() % 2;
    const struct att_output out = pass(context, chosen, n, tap, vectors_only);
    assert_int_equal(out.hidden == NULL, vectors_only);
    for (size_t i = 0, at = 0; i < n; at += chosen[i++]->len) {
        assert_memory_equal(out.pooled + i * hidden, chosen[i]->pooled, hidden * sizeof(float));
        if (chosen[i]->logits)
            assert_memory_equal(out.logits + i * info->n_logits, chosen[i]->logits, info->n_logits * sizeof(float));
        if (out.hidden)
            assert_memory_equal(out.hidden + at * hidden, chosen[i]->hidden, chosen[i]->len * hidden * sizeof(float));
    }
}

static void compute_alone(const struct trial *trial, struct att_context *context, struct sequence *pool)
{
    const struct att_model_info *info = att_model_info(context->model);
    for (size_t i = 0; i < trial->n_pool; i++) {
        pool[i] = random_sequence(info, i);
        const struct sequence *one = &pool[i];
        const struct att_output out = pass(context, &one, 1, NULL, false);
        memcpy(pool[i].pooled, out.pooled, info->hidden_size * sizeof(float));
        if (pool[i].logits)
            memcpy(pool[i].logits, out.logits, info->n_logits * sizeof(float));
        memcpy(pool[i].hidden, out.hidden, pool[i].len * info->hidden_size * sizeof(float));
    }
}

static void pool_free(const struct trial *trial, struct sequence *pool)
{
    for (size_t i = 0; i < trial->n_pool; i++) {
        free(pool[i].ids);
        free(pool[i].weights);
        free(pool[i].pooled);
        free(pool[i].logits);
        free(pool[i].hidden);
    }
}

/* Helpers come and go as they like. */
static void check_with_visitors(const struct trial *trial, struct att_context *context, const struct sequence *pool)
{
    atomic_store(&may_leave, true);
    atomic_store(&invited, true);
    for (size_t i = 0; i < trial->n_batches / 2; i++)
        check_batch(trial, context, pool, (struct extent){1, trial->most_tokens}, NULL);
    atomic_store(&invited, false);
    wait_for_none(&context->team);
}

/* All are there whenever the pass is split; and until they have computed a part of it, there is another pass. */
static void check_with_team(const struct trial *trial, struct att_context *context, const struct sequence *pool,
                            struct extent extent)
{
    const struct att_tap tap = {.context = &context->team, .hidden = between_layers};
    const size_t helped = atomic_load(&n_helped);
    const uint64_t end_us = att_clock_us() + WAIT_US;
    const size_t n = TEAM_BATCHES + trial->n_batches / 50;
    atomic_store(&may_leave, false);
    for (size_t i = 0; i < n || (atomic_load(&n_helped) == helped && cores[1] != cores[0]); i++) {
        if (i >= n && att_clock_us() > end_us)
            fail_msg("%s: nobody helps", trial->dir);
        att_context_hold(context);
        atomic_store(&invited, true);
        wait_for_all(&context->team);
        check_batch(trial, context, pool, extent, i % 2 ? &tap : NULL);
        atomic_store(&invited, false);
        att_context_release(context);
        wait_for_none(&context->team); /* what they did is counted when they go */
    }
}

static void start_helpers(struct att_context *leader)
{
    struct att_err err;
    atomic_store(&stop_helping, false);
    for (; n_helpers < HELPERS; n_helpers++) {
        struct helper *helper = &helpers[n_helpers];
        *helper = (struct helper){.leader = leader, .core = cores[1 + n_helpers]};
        assert_int_equal(att_context_create(leader->model, TOKENS, SEQS, &helper->own, &err), ATT_OK);
        assert_int_equal(pthread_create(&helper->thread, NULL, help, helper), 0);
    }
}

/* A teardown too, for a test that fails while they are at work. */
static int stop_helpers(void **state)
{
    (void)state;
    atomic_store(&stop_helping, true);
    atomic_store(&invited, false);
    for (; n_helpers > 0; n_helpers--) {
        pthread_join(helpers[n_helpers - 1].thread, NULL);
        att_context_destroy(helpers[n_helpers - 1].own);
    }
    return 0;
}

/* A new model, which has seen no word yet. */
static struct att_context *fresh_context(const struct trial *trial)
{
    const struct att_model_options options = {.dtype = trial->dtype};
    struct att_model *model = NULL;
    struct att_context *context;
    struct att_err err;
    if (att_model_load(trial->dir, &options, &model, &err) != ATT_OK)
        fail_msg("%s: %s", trial->dir, err.message);
    assert_true(!trial->is_large || model->layer_bytes[trial->dtype] > CACHED_BYTES);
    assert_int_equal(att_context_create(model, TOKENS, SEQS, &context, &err), ATT_OK);
    att_model_unref(model); /* the context's now */
    return context;
}

typedef void check(const struct trial *trial, struct att_context *context, const struct sequence *pool);

static void check_unhelped(const struct trial *trial, struct att_context *context, const struct sequence *pool)
{
    for (size_t i = 0; i < trial->n_batches / 2; i++)
        check_batch(trial, context, pool, (struct extent){1, trial->most_tokens}, NULL);
}

/* Too few rows for two members already. */
static void check_with_few_rows(const struct trial *trial, struct att_context *context, const struct sequence *pool)
{
    check_with_team(trial, context, pool, (struct extent){1, 2 * MEMORY_ROWS - 1});
}

/* Enough for all. */
static void check_with_many_rows(const struct trial *trial, struct att_context *context, const struct sequence *pool)
{
    check_with_team(trial, context, pool, (struct extent){MEMBERS * MEMORY_ROWS, trial->most_tokens});
}

static void check_model(const struct trial *trial)
{
    static check *const checks[] = {check_unhelped, check_with_visitors, check_with_few_rows, check_with_many_rows};
    struct sequence pool[POOL];
    struct att_context *context = fresh_context(trial);
    compute_alone(trial, context, pool);
    att_context_destroy(context);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        context = fresh_context(trial);
        if (checks[i] != check_unhelped)
            start_helpers(context);
        checks[i](trial, context, pool);
        stop_helpers(NULL);
        att_context_destroy(context);
    }
    pool_free(trial, pool);
}

static size_t n_batches(void)
{
    const char *count = getenv("ATT_BATCHES");
    return count ? strtoul(count, NULL, 10) : 200;
}

static struct trial small_trial(const char *dir, enum att_dtype dtype)
{
    return (struct trial){.dir = dir, .dtype = dtype, .n_batches = n_batches(), .n_pool = POOL, .most_tokens = TOKENS};
}

static void same_bits_whatever_shares_the_batch(void **state)
{
    (void)state;
    const char *root = getenv("ATT_SOURCE_ROOT"), *minilm = getenv("ATT_MINILM");
    char dir[512];
    struct trial trial;
    /* A mean; first tokens that a head reads, in three families; gates; weighted events. */
    static const char *const models[] = {"data/models/st-bert-mean",           "data/models/bert-sentiment",
                                         "golden/data/deberta-v2-conv-seqcls", "golden/data/modernbert-cls-seqcls",
                                         "golden/data/nomic-bert-model",       "data/models/sasrec"};
    for (int dtype = 0; dtype < ATT_DTYPE_COUNT; dtype++) {
        for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
            if (strstr(models[i], "sasrec") && dtype != ATT_F32)
                continue;
            snprintf(dir, sizeof dir, "%s/tests/%s", root ? root : ".", models[i]);
            trial = small_trial(dir, (enum att_dtype)dtype);
            check_model(&trial);
        }
        trial = small_trial(minilm, (enum att_dtype)dtype);
        if (minilm)
            check_model(&trial);
    }
}

static void same_bits_where_weights_come_from_memory(void **state)
{
    (void)state;
    if (att_kern()->features == 0)
        return; /* in plain C more than a minute, and the passes are the same */
    for (int dtype = 0; dtype < ATT_DTYPE_COUNT; dtype++) {
        const struct trial trial = {.dir = large_dir,
                                    .dtype = (enum att_dtype)dtype,
                                    .n_batches = n_batches() / 50,
                                    .n_pool = 9,
                                    .most_tokens = 140,
                                    .is_large = true};
        check_model(&trial);
    }
}

/* ---- a large model, of weights that follow from a seed (core/io/seeded.h) ---- */

struct tensor {
    const char *name;
    size_t rows, cols; /* cols 0: a vector */
    double base, amplitude;
};

static const struct tensor embeddings[] = {
    {"embeddings.word_embeddings.weight", VOCAB, HIDDEN, 0, 1},
    {"embeddings.position_embeddings.weight", POSITIONS, HIDDEN, 0, 0.5},
    {"embeddings.token_type_embeddings.weight", 2, HIDDEN, 0, 0.5},
    {"embeddings.LayerNorm.weight", HIDDEN, 0, 1, 0.2},
    {"embeddings.LayerNorm.bias", HIDDEN, 0, 0, 0.2},
};

static const struct tensor layer[] = {
    {"attention.self.query.weight", HIDDEN, HIDDEN, 0, 0.06},
    {"attention.self.query.bias", HIDDEN, 0, 0, 0.1},
    {"attention.self.key.weight", HIDDEN, HIDDEN, 0, 0.06},
    {"attention.self.key.bias", HIDDEN, 0, 0, 0.1},
    {"attention.self.value.weight", HIDDEN, HIDDEN, 0, 0.06},
    {"attention.self.value.bias", HIDDEN, 0, 0, 0.1},
    {"attention.output.dense.weight", HIDDEN, HIDDEN, 0, 0.06},
    {"attention.output.dense.bias", HIDDEN, 0, 0, 0.1},
    {"attention.output.LayerNorm.weight", HIDDEN, 0, 1, 0.2},
    {"attention.output.LayerNorm.bias", HIDDEN, 0, 0, 0.2},
    {"intermediate.dense.weight", INNER, HIDDEN, 0, 0.06},
    {"intermediate.dense.bias", INNER, 0, 0, 0.1},
    {"output.dense.weight", HIDDEN, INNER, 0, 0.06},
    {"output.dense.bias", HIDDEN, 0, 0, 0.1},
    {"output.LayerNorm.weight", HIDDEN, 0, 1, 0.2},
    {"output.LayerNorm.bias", HIDDEN, 0, 0, 0.2},
};

static void put_tensor(FILE *file, const char *separator, const char *prefix, const struct tensor *tensor)
{
    char cols[32] = "";
    if (tensor->cols)
        snprintf(cols, sizeof cols, ",%zu", tensor->cols);
    fprintf(file, "%s{\"name\":\"%s%s\",\"shape\":[%zu%s],\"base\":%g,\"amp\":%g}", separator, prefix, tensor->name,
            tensor->rows, cols, tensor->base, tensor->amplitude);
}

static void put_weights(FILE *file)
{
    fputs("{\"seed\":11,\"tensors\":[\n", file);
    for (size_t i = 0; i < sizeof embeddings / sizeof *embeddings; i++)
        put_tensor(file, i > 0 ? ",\n" : "", "", &embeddings[i]);
    for (size_t l = 0; l < LAYERS; l++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "encoder.layer.%zu.", l);
        for (size_t i = 0; i < sizeof layer / sizeof *layer; i++)
            put_tensor(file, ",\n", prefix, &layer[i]);
    }
    fputs("]}\n", file);
}

static void put_config(FILE *file)
{
    fprintf(file,
            "{\"model_type\":\"bert\",\"architectures\":[\"BertModel\"],\"hidden_size\":%d,\"intermediate_size\":%d,"
            "\"num_attention_heads\":%d,\"num_hidden_layers\":%d,\"vocab_size\":%d,\"max_position_embeddings\":%d,"
            "\"type_vocab_size\":2}\n",
            HIDDEN, INNER, HEADS, LAYERS, VOCAB, POSITIONS);
}

static void put_pooling(FILE *file)
{
    fputs("{\"pooling\":\"cls\"}\n", file);
}

static const struct {
    const char *name;
    void (*put)(FILE *file);
} large_files[] = {{"config.json", put_config}, {"weights_spec.json", put_weights}, {"attend.json", put_pooling}};

static int make_large(void **state)
{
    (void)state;
    snprintf(large_dir, sizeof large_dir, "/tmp/attend-exactness-XXXXXX");
    if (!mkdtemp(large_dir))
        return -1;
    for (size_t i = 0; i < sizeof large_files / sizeof *large_files; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", large_dir, large_files[i].name);
        FILE *file = fopen(path, "wb");
        if (!file)
            return -1;
        large_files[i].put(file);
        if (fclose(file) != 0)
            return -1;
    }
    return 0;
}

static int remove_large(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof large_files / sizeof *large_files; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", large_dir, large_files[i].name);
        unlink(path);
    }
    return rmdir(large_dir);
}

/* Where other programs want the cores, the system may let this one's threads take turns on one of them. */
static void choose_cores(void)
{
    const size_t n = att_cores_count();
    for (size_t i = 0; i < MEMBERS; i++)
        cores[i] = att_cores_pick(i == 0 || n == 1 ? 0 : 1 + (i - 1) % (n - 1));
    att_cores_pin(cores[0]);
}

int main(void)
{
    struct att_err err;
    choose_cores();
    if (att_init(NULL, &err) != ATT_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(same_bits_whatever_shares_the_batch, stop_helpers),
        cmocka_unit_test_teardown(same_bits_where_weights_come_from_memory, stop_helpers),
    };
    return cmocka_run_group_tests_name("arch/exactness", tests, make_large, remove_large);
}
