/*
 * attend eval --task retrieve: how well queries find documents of their label.
 * Lines {"id","document","label"} and {"query","label"}; labels are ranked by
 * their best document, as the alternates of one knowledge-base entry are, and a
 * hit is the query's label. Two rankings side by side: cosine of the encoder's
 * vectors, and the hybrid that /v1/reply uses (with lexical likeness).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "store/lexical.h"
#include "tasks/encode.h"

enum { DEPTH_MAX = 8, BATCH = 32, ARENA_BYTES = 16 << 20 };

/* The lexical share that tasks/match.c gives Latin and CJK questions. */
static const float latin_share = 0.15f, cjk_share = 0.85f;

struct text {
    char *label;
    size_t label_id; /* equal labels have equal ids */
    float *vector;
    uint32_t *grams;
    size_t n_grams;
    float norm;
    bool query, cjk;
};

struct retrieval {
    struct text *texts;
    size_t count, capacity, n_queries, n_labels;
    struct store_idf idf;
    struct att_arena arena;
};

struct figures {
    size_t hits_at_1, hits_at_3, queries;
    double reciprocal_ranks;
};

static enum att_status embed(const struct cli_env *env, struct att_context *context, const char *bytes, size_t len,
                             struct text *text, struct att_err *err)
{
    const struct task_model *model = cli_env_model(env);
    size_t dropped, hidden = att_model_info(model->model)->hidden_size;
    uint32_t grams[STORE_GRAMS_MAX];
    struct att_arena arena;
    att_arena_init(&arena, ARENA_BYTES);
    struct task_call call = {.env = cli_env_task(env), .arena = &arena};
    text->vector = att_mem_aligned(hidden, sizeof *text->vector);
    text->n_grams = store_grams(bytes, len, grams);
    text->grams = att_mem_calloc(text->n_grams + 1, sizeof *text->grams);
    text->cjk = store_cjk_share(bytes, len) > 0.3f;
    struct task_job job = {.pooled = text->vector}, *jobs[1] = {&job};
    enum att_status status = text->vector && text->grams ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
    if (status == ATT_OK)
        status = task_job_encode(&call, model, bytes, len, NULL, 0, "text", &job, &dropped, err);
    if (status == ATT_OK) {
        memcpy(text->grams, grams, text->n_grams * sizeof *grams);
        task_jobs_run(context, jobs, 1);
        status = job.status == ATT_OK ? ATT_OK : att_err_set(err, job.status, "the encoder could not compute a text");
        att_l2_normalize(hidden, text->vector);
    }
    att_arena_finish(&arena);
    return status;
}

static enum att_status take_line(const struct cli_env *env, struct att_context *context, struct retrieval *retrieval,
                                 const char *line, size_t line_len, struct att_err *err)
{
    struct att_json *json = NULL;
    size_t len = 0;
    enum att_status status = att_json_parse(line, line_len, 0, DEPTH_MAX, &json, err);
    if (status != ATT_OK)
        return status;
    const char *query = att_json_string(att_json_get(json, "query"), &len);
    const char *bytes = query ? query : att_json_string(att_json_get(json, "document"), &len);
    const char *label = att_json_string(att_json_get(json, "label"), NULL);
    if (!bytes || !label)
        status = att_err_set(err, ATT_EFORMAT, "expected document or query, and label");
    if (status == ATT_OK && retrieval->count == retrieval->capacity) {
        size_t capacity = retrieval->capacity ? retrieval->capacity * 2 : 1024;
        struct text *grown = att_mem_realloc(retrieval->texts, capacity, sizeof *grown);
        if (grown) {
            retrieval->texts = grown;
            retrieval->capacity = capacity;
        } else {
            status = att_err_set(err, ATT_ENOMEM, "out of memory");
        }
    }
    if (status == ATT_OK) {
        struct text *text = &retrieval->texts[retrieval->count++];
        *text = (struct text){.label = att_mem_strdup(label), .query = query != NULL};
        retrieval->n_queries += text->query;
        status =
            text->label ? embed(env, context, bytes, len, text, err) : att_err_set(err, ATT_ENOMEM, "out of memory");
    }
    att_json_destroy(json);
    return status;
}

/* Document frequencies over the documents, and every text's length under them. */
static enum att_status weigh(struct retrieval *retrieval, struct att_err *err)
{
    size_t total = 0, at = 0, documents = retrieval->count - retrieval->n_queries;
    for (size_t i = 0; i < retrieval->count; i++)
        total += retrieval->texts[i].n_grams;
    uint32_t *all = att_mem_calloc(total + 1, sizeof *all);
    if (!all)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t i = 0; i < retrieval->count; i++)
        if (!retrieval->texts[i].query) {
            memcpy(all + at, retrieval->texts[i].grams, retrieval->texts[i].n_grams * sizeof *all);
            at += retrieval->texts[i].n_grams;
        }
    bool built = store_idf_build(&retrieval->arena, all, at, documents, &retrieval->idf);
    att_mem_free(all);
    for (size_t i = 0; built && i < retrieval->count; i++) {
        struct text *text = &retrieval->texts[i];
        text->norm = store_grams_norm(&retrieval->idf, text->grams, text->n_grams);
    }
    return built ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
}

static int by_label(const void *a, const void *b)
{
    const struct text *const *x = a, *const *y = b;
    return strcmp((*x)->label, (*y)->label);
}

static enum att_status number_labels(struct retrieval *retrieval, struct att_err *err)
{
    struct text **sorted = att_mem_calloc(retrieval->count + 1, sizeof *sorted);
    if (!sorted)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t i = 0; i < retrieval->count; i++)
        sorted[i] = &retrieval->texts[i];
    qsort(sorted, retrieval->count, sizeof *sorted, by_label);
    for (size_t i = 0; i < retrieval->count; i++) {
        retrieval->n_labels += i == 0 || strcmp(sorted[i - 1]->label, sorted[i]->label) != 0;
        sorted[i]->label_id = retrieval->n_labels - 1;
    }
    att_mem_free(sorted);
    return ATT_OK;
}

/* best: work space, [n_labels]. The rank of the query's label is one more than the labels that score above it. */
static void count_query(const struct retrieval *retrieval, const struct text *query, size_t hidden, bool hybrid,
                        float *best, struct figures *figures)
{
    float share = query->cjk ? cjk_share : latin_share;
    size_t above = 0;
    for (size_t i = 0; i < retrieval->n_labels; i++)
        best[i] = -INFINITY;
    for (size_t i = 0; i < retrieval->count; i++) {
        const struct text *text = &retrieval->texts[i];
        float score;
        if (text->query)
            continue;
        att_dot_table(0, 1, hidden, text->vector, hidden, query->vector, &score);
        if (hybrid)
            score =
                (1 - share) * score + share * store_grams_cosine(&retrieval->idf, query->grams, query->n_grams,
                                                                 query->norm, text->grams, text->n_grams, text->norm);
        best[text->label_id] = fmaxf(best[text->label_id], score);
    }
    figures->queries++;
    if (best[query->label_id] == -INFINITY)
        return;
    for (size_t i = 0; i < retrieval->n_labels; i++)
        above += best[i] > best[query->label_id];
    figures->hits_at_1 += above == 0;
    figures->hits_at_3 += above < 3;
    figures->reciprocal_ranks += 1.0 / (double)(above + 1);
}

static void put_figures(const char *name, const struct figures *figures, bool json, bool last)
{
    double n = (double)figures->queries;
    if (json)
        printf("%s\"%s\":{\"accuracy@1\":%.4f,\"accuracy@3\":%.4f,\"mrr\":%.4f}%s", last ? "," : "{", name,
               (double)figures->hits_at_1 / n, (double)figures->hits_at_3 / n, figures->reciprocal_ranks / n,
               last ? "" : "");
    else
        printf("%-8s accuracy@1 %.4f  accuracy@3 %.4f  MRR %.4f\n", name, (double)figures->hits_at_1 / n,
               (double)figures->hits_at_3 / n, figures->reciprocal_ranks / n);
}

static enum att_status measure(const struct cli_env *env, const struct cli_options *options,
                               struct retrieval *retrieval, struct att_err *err)
{
    size_t hidden = att_model_info(cli_env_model(env)->model)->hidden_size;
    enum att_status status = weigh(retrieval, err);
    if (status == ATT_OK)
        status = number_labels(retrieval, err);
    float *best = att_mem_calloc(retrieval->n_labels + 1, sizeof *best);
    if (status == ATT_OK && !best)
        status = att_err_set(err, ATT_ENOMEM, "out of memory");
    if (status == ATT_OK && (retrieval->n_queries == 0 || retrieval->n_queries == retrieval->count))
        status = att_err_set(err, ATT_EFORMAT, "expected documents and queries");
    if (status == ATT_OK) {
        struct figures figures[2] = {{.queries = 0}, {.queries = 0}};
        for (size_t i = 0; i < retrieval->count; i++)
            for (size_t hybrid = 0; retrieval->texts[i].query && hybrid < 2; hybrid++)
                count_query(retrieval, &retrieval->texts[i], hidden, hybrid, best, &figures[hybrid]);
        if (!options->json)
            printf("%zu documents, %zu queries\n", retrieval->count - retrieval->n_queries, retrieval->n_queries);
        put_figures("cosine", &figures[0], options->json, false);
        put_figures("hybrid", &figures[1], options->json, true);
        if (options->json)
            puts("}");
    }
    att_mem_free(best);
    return status;
}

static enum att_status read_all(const struct cli_env *env, const struct cli_options *options,
                                struct retrieval *retrieval, struct att_err *err)
{
    struct att_model *model = cli_env_model(env)->model;
    struct att_context *context = NULL;
    struct cli_lines lines;
    FILE *file = fopen(options->data, "rb");
    if (!file)
        return att_err_set(err, ATT_ENOTFOUND, "cannot be opened");
    cli_lines_init(&lines, file);
    enum att_status status = att_context_create(model, att_model_info(model)->max_tokens, 1, &context, err);
    while (status == ATT_OK) {
        char *text = NULL;
        size_t len = 0;
        status = cli_lines_next(&lines, &text, &len, err);
        if (status != ATT_OK || !text)
            break;
        status = take_line(env, context, retrieval, text, len, err);
        if (status != ATT_OK)
            att_err_prefix(err, "line %zu", lines.number);
    }
    att_context_destroy(context);
    cli_lines_finish(&lines);
    fclose(file);
    return status;
}

int cli_eval_retrieve(int argc, char **argv)
{
    static const char about[] = "usage: attend eval --task retrieve --model ENCODER_DIR --data FILE.jsonl [--json]\n\n"
                                "Queries among documents: lines {\"document\",\"label\"} and {\"query\",\"label\"}.\n";
    struct cli_options options;
    struct cli_env *env = NULL;
    struct att_err err;
    int code = cli_options_parse(argc, argv, "model base task data json dtype", about, &options);
    if (code >= 0)
        return code;
    if (!options.model || !options.data)
        return cli_missing("eval", options.model ? "data" : "model");
    struct retrieval retrieval = {.count = 0};
    att_arena_init(&retrieval.arena, (size_t)1 << 30);
    enum att_status status = cli_env_create(&options, &env, &err);
    if (status == ATT_OK) {
        status = read_all(env, &options, &retrieval, &err);
        if (status == ATT_OK)
            status = measure(env, &options, &retrieval, &err);
        if (status != ATT_OK)
            att_err_prefix(&err, "%s", options.data);
    }
    for (size_t i = 0; i < retrieval.count; i++) {
        att_mem_free(retrieval.texts[i].label);
        att_mem_free(retrieval.texts[i].vector);
        att_mem_free(retrieval.texts[i].grams);
    }
    att_mem_free(retrieval.texts);
    att_arena_finish(&retrieval.arena);
    cli_env_destroy(env);
    return status == ATT_OK ? CLI_OK : cli_fail("eval", &err);
}
