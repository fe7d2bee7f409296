/*
 * attend eval --task retrieve: how well queries find documents of their label.
 * Lines {"id","document","label"} and {"query","label"}; the documents of one
 * label are ranked together, as the alternates of one knowledge-base entry are,
 * and a hit is the query's label. Two rankings side by side: the largest cosine
 * of a document, and the hybrid that /v1/reply uses (tasks/kb/match.h). As there,
 * both sides are read as questions.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "store/lexical.h"
#include "tasks/classify/quality.h"
#include "tasks/kb/match.h"

enum { DEPTH_MAX = 8, ARENA_BYTES = 16 << 20 };

struct text {
    char *label;
    size_t label_id; /* of queries: index into labels */
    float *vector;
    uint32_t *grams;
    size_t n_grams;
    float norm;
    bool query, cjk;
};

/* The documents of one label: first..end-1 of the sorted texts, and all their n-grams. */
struct label {
    size_t first, end, n_grams;
    uint32_t *grams;
};

struct retrieval {
    struct text *texts; /* once sorted: documents by label, then the queries */
    size_t count, capacity, n_queries, n_labels;
    struct label *labels;
    float *vectors; /* [documents][hidden] */
    struct store_idf idf;
    struct task_fit fit;
    struct att_arena arena;
};

enum { FIGURES = 3 };
static const char *const figure_names[FIGURES] = {"accuracy@1", "accuracy@3", "mrr"};

/* One ranking: what every query gave. */
struct ranking {
    double *rows[FIGURES]; /* [n_queries] */
};

static enum att_status embed(const struct cli_env *env, struct att_context *context, const char *bytes, size_t len,
                             struct text *text, struct att_err *err)
{
    const struct task_model *model = cli_env_model(env);
    const struct att_model_info *info = att_model_info(model->model);
    size_t dropped, hidden = info->hidden_size;
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
        status = task_job_encode(&call, model, info->query_prompt, bytes, len, NULL, 0, "text", &job, &dropped, err);
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
    const struct text *x = a, *y = b;
    return x->query != y->query ? x->query - y->query : strcmp(x->label, y->label);
}

/* The n-grams of a label's documents together. */
static enum att_status join_grams(struct retrieval *retrieval, struct label *label, struct att_err *err)
{
    size_t total = 0, at = 0;
    for (size_t i = label->first; i < label->end; i++)
        total += retrieval->texts[i].n_grams;
    label->grams = att_arena_alloc(&retrieval->arena, total + 1, sizeof *label->grams);
    if (!label->grams)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t i = label->first; i < label->end; i++) {
        memcpy(label->grams + at, retrieval->texts[i].grams, retrieval->texts[i].n_grams * sizeof *label->grams);
        at += retrieval->texts[i].n_grams;
    }
    label->n_grams = store_grams_distinct(label->grams, total);
    return ATT_OK;
}

/* Sorts the texts and finds the labels of documents and queries; a query of a label without documents gets n_labels. */
static enum att_status group_labels(struct retrieval *retrieval, size_t hidden, struct att_err *err)
{
    size_t documents = retrieval->count - retrieval->n_queries;
    struct text *texts = retrieval->texts;
    qsort(texts, retrieval->count, sizeof *texts, by_label);
    retrieval->labels = att_arena_alloc(&retrieval->arena, documents + 1, sizeof *retrieval->labels);
    retrieval->vectors = att_arena_alloc(&retrieval->arena, documents + 1, hidden * sizeof *retrieval->vectors);
    if (!retrieval->labels || !retrieval->vectors)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t i = 0; i < documents;) {
        struct label *label = &retrieval->labels[retrieval->n_labels++];
        for (label->first = i; i < documents && strcmp(texts[label->first].label, texts[i].label) == 0; i++)
            memcpy(retrieval->vectors + i * hidden, texts[i].vector, hidden * sizeof *retrieval->vectors);
        label->end = i;
        enum att_status status = join_grams(retrieval, label, err);
        if (status != ATT_OK)
            return status;
    }
    for (size_t i = documents, l = 0; i < retrieval->count; i++) {
        while (l < retrieval->n_labels && strcmp(texts[retrieval->labels[l].first].label, texts[i].label) < 0)
            l++;
        bool has = l < retrieval->n_labels && strcmp(texts[retrieval->labels[l].first].label, texts[i].label) == 0;
        texts[i].label_id = has ? l : retrieval->n_labels;
    }
    return ATT_OK;
}

/* cosines: of all documents with the query. */
static float score_label(const struct retrieval *retrieval, const struct text *query, const struct label *label,
                         const float *cosines, bool hybrid)
{
    struct task_match_features features = {.lexical = 0};
    task_match_cosines(cosines + label->first, label->end - label->first, &features);
    if (!hybrid)
        return features.best;
    for (size_t i = label->first; i < label->end; i++) {
        const struct text *text = &retrieval->texts[i];
        features.lexical =
            fmaxf(features.lexical, store_grams_cosine(&retrieval->idf, query->grams, query->n_grams, query->norm,
                                                       text->grams, text->n_grams, text->norm));
    }
    features.covered =
        store_grams_cover(&retrieval->idf, query->grams, query->n_grams, query->norm, label->grams, label->n_grams);
    return task_features_fuse(&features, query->cjk ? &retrieval->fit.cjk : &retrieval->fit.latin);
}

/* scores: work space, [n_labels]. The rank of the query's label is one more than the labels that score above it. */
static void count_query(const struct retrieval *retrieval, const struct text *query, const float *cosines, bool hybrid,
                        float *scores, struct ranking *ranking, size_t row)
{
    size_t above = 0;
    if (query->label_id == retrieval->n_labels)
        return;
    for (size_t i = 0; i < retrieval->n_labels; i++)
        scores[i] = score_label(retrieval, query, &retrieval->labels[i], cosines, hybrid);
    for (size_t i = 0; i < retrieval->n_labels; i++)
        above += scores[i] > scores[query->label_id];
    ranking->rows[0][row] = above == 0;
    ranking->rows[1][row] = above < 3;
    ranking->rows[2][row] = 1.0 / (double)(above + 1);
}

static void put_figures(const char *name, const struct task_figure *figures)
{
    printf("%-8s", name);
    for (size_t i = 0; i < FIGURES; i++)
        printf("  %s %.4f [%.4f, %.4f]", figures[i].name, figures[i].interval.value, figures[i].interval.low,
               figures[i].interval.high);
    putchar('\n');
}

static enum att_status put_rankings(const struct retrieval *retrieval, const struct ranking rankings[2], bool json,
                                    struct att_err *err)
{
    static const char *const names[2] = {"cosine", "hybrid"};
    struct att_jsonw w;
    enum att_status status = ATT_OK;
    att_jsonw_init(&w, 1 << 16);
    att_jsonw_object_begin(&w);
    for (size_t r = 0; status == ATT_OK && r < 2; r++) {
        struct task_figure figures[FIGURES];
        for (size_t i = 0; status == ATT_OK && i < FIGURES; i++) {
            figures[i].name = figure_names[i];
            status = task_interval_mean(rankings[r].rows[i], retrieval->n_queries, &figures[i].interval, err);
        }
        if (status != ATT_OK)
            break;
        if (!json)
            put_figures(names[r], figures);
        att_jsonw_key(&w, names[r]);
        att_jsonw_object_begin(&w);
        task_figures_render(figures, FIGURES, &w);
        att_jsonw_object_end(&w);
    }
    att_jsonw_object_end(&w);
    if (status == ATT_OK && json)
        status = cli_json_print(&w, err);
    att_jsonw_finish(&w);
    return status;
}

static enum att_status measure(const struct cli_env *env, const struct cli_options *options,
                               struct retrieval *retrieval, struct att_err *err)
{
    size_t hidden = att_model_info(cli_env_model(env)->model)->hidden_size;
    size_t documents = retrieval->count - retrieval->n_queries;
    struct ranking rankings[2];
    if (retrieval->n_queries == 0 || documents == 0)
        return att_err_set(err, ATT_EFORMAT, "expected documents and queries");
    enum att_status status = weigh(retrieval, err);
    if (status == ATT_OK)
        status = group_labels(retrieval, hidden, err);
    if (status != ATT_OK)
        return status;
    float *cosines = att_arena_alloc(&retrieval->arena, documents, sizeof *cosines);
    float *scores = att_arena_alloc(&retrieval->arena, retrieval->n_labels, sizeof *scores);
    for (size_t i = 0; i < 2 * FIGURES; i++) {
        double *rows = att_arena_alloc(&retrieval->arena, retrieval->n_queries, sizeof *rows);
        if (!rows)
            return att_err_set(err, ATT_ENOMEM, "out of memory");
        rankings[i / FIGURES].rows[i % FIGURES] = rows;
    }
    if (!cosines || !scores)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t i = documents; i < retrieval->count; i++) {
        att_dot_table(0, documents, hidden, retrieval->vectors, hidden, retrieval->texts[i].vector, cosines);
        for (size_t hybrid = 0; hybrid < 2; hybrid++)
            count_query(retrieval, &retrieval->texts[i], cosines, hybrid, scores, &rankings[hybrid], i - documents);
    }
    if (!options->json)
        printf("%zu documents of %zu labels, %zu queries\n", documents, retrieval->n_labels, retrieval->n_queries);
    return put_rankings(retrieval, rankings, options->json, err);
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

static enum att_status run(const struct cli_env *env, const struct cli_options *options, struct att_err *err)
{
    struct retrieval retrieval = {.count = 0};
    att_arena_init(&retrieval.arena, (size_t)4 << 30);
    enum att_status status = task_fit_parse(NULL, att_model_info(cli_env_model(env)->model), &retrieval.fit, err);
    if (status == ATT_OK)
        status = read_all(env, options, &retrieval, err);
    if (status == ATT_OK)
        status = measure(env, options, &retrieval, err);
    if (status != ATT_OK)
        att_err_prefix(err, "%s", options->data);
    for (size_t i = 0; i < retrieval.count; i++) {
        att_mem_free(retrieval.texts[i].label);
        att_mem_free(retrieval.texts[i].vector);
        att_mem_free(retrieval.texts[i].grams);
    }
    att_mem_free(retrieval.texts);
    att_arena_finish(&retrieval.arena);
    return status;
}

int cli_eval_retrieve(int argc, char **argv)
{
    static const char about[] = "usage: attend eval --task retrieve --model ENCODER_DIR --data FILE.jsonl [--json]\n\n"
                                "Queries among documents: lines {\"document\",\"label\"} and {\"query\",\"label\"}.\n";
    return cli_env_run(argc, argv, "model base task data json dtype", about, run);
}
