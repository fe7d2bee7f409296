/*
 * attend eval --task recommend: leave one out. Every line is a user's history
 * and the item that came next; all items that are not in the history are ranked
 * by the task as requests are, and the target's rank counts.
 */
#include <math.h>
#include <string.h>

#include "cli/cli.h"
#include "store/items.h"

enum { TOP_K = 10, DEPTH_MAX = 16 };
static const size_t answer_bytes_max = (size_t)1 << 30;

struct tally {
    const struct cli_env *env;
    struct task_contexts *contexts;
    size_t rows, hits, n_items, n_covered;
    double gain;
    unsigned char *covered; /* [n_items + 1] items that stood in some answer */
};

/* The line's history, and its interest where it has one, as a request. */
static enum att_status request_of(const struct att_json *line, struct att_json **ret_body, struct att_err *err)
{
    static const char *const members[] = {"history", "interest"};
    struct att_jsonw w;
    char *text = NULL;
    size_t len = 0;
    att_jsonw_init(&w, answer_bytes_max);
    att_jsonw_object_begin(&w);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const struct att_json *value = att_json_get(line, members[i]);
        if (!value)
            continue;
        att_jsonw_key(&w, members[i]);
        att_jsonw_value(&w, value);
    }
    att_jsonw_key(&w, "top_k");
    att_jsonw_int(&w, TOP_K);
    att_jsonw_key(&w, "explain");
    att_jsonw_bool(&w, false);
    att_jsonw_object_end(&w);
    enum att_status status = att_jsonw_take(&w, &text, &len, err);
    if (status == ATT_OK)
        status = att_json_parse(text, len, 0, DEPTH_MAX, ret_body, err);
    att_jsonw_finish(&w);
    att_mem_free(text);
    return status;
}

/* The item's index, as the task finds it: by the table, else as a number. */
static size_t index_of(const struct tally *tally, const char *id)
{
    const struct task_model *model = cli_env_model(tally->env);
    size_t index = 0;
    if (model->items)
        return store_items_find(model->items, id);
    for (; *id >= '0' && *id <= '9' && index <= tally->n_items; id++)
        index = 10 * index + (size_t)(*id - '0');
    return *id || index > tally->n_items ? 0 : index;
}

static void count(struct tally *tally, const struct att_json *answer, const char *target)
{
    const struct att_json *items = att_json_get(answer, "items");
    tally->rows++;
    for (size_t i = 0; i < att_json_count(items); i++) {
        const char *id = att_json_string(att_json_get(att_json_at(items, i), "id"), NULL);
        size_t index = index_of(tally, id);
        tally->n_covered += tally->covered[index] == 0;
        tally->covered[index] = 1;
        if (strcmp(id, target) == 0) {
            tally->hits++;
            tally->gain += 1 / log2((double)i + 2);
        }
    }
}

static enum att_status one_line(struct tally *tally, const char *text, size_t len, struct att_err *err)
{
    struct att_json *line = NULL, *body = NULL, *answer = NULL;
    char *bytes = NULL;
    size_t n_bytes = 0;
    enum att_status status = att_json_parse(text, len, 0, DEPTH_MAX, &line, err);
    const char *target = att_json_string(att_json_get(line, "target"), NULL);
    if (status == ATT_OK && !target)
        status = att_err_set(err, ATT_EFORMAT, "target: is %s, expected an item's id",
                             att_json_type_name(att_json_get(line, "target")));
    if (status == ATT_OK && !index_of(tally, target))
        status = att_err_set(err, ATT_EFORMAT, "target: \"%.60s\" is no item of the model", target);
    if (status == ATT_OK)
        status = request_of(line, &body, err);
    if (status == ATT_OK)
        status = task_run(tally->contexts, &task_recommend, cli_env_task(tally->env), body, &bytes, &n_bytes, err);
    if (status == ATT_OK)
        status = att_json_parse(bytes, n_bytes, 0, DEPTH_MAX, &answer, err);
    if (status == ATT_OK)
        count(tally, answer, target);
    att_json_destroy(line);
    att_json_destroy(body);
    att_json_destroy(answer);
    att_mem_free(bytes);
    return status;
}

static enum att_status read_lines(struct tally *tally, const char *path, struct att_err *err)
{
    struct cli_lines lines;
    char *text = NULL;
    size_t len = 0;
    FILE *file = fopen(path, "r");
    if (!file)
        return att_err_set(err, ATT_ENOTFOUND, "%s: cannot be opened", path);
    cli_lines_init(&lines, file);
    enum att_status status;
    do {
        status = cli_lines_next(&lines, &text, &len, err);
        if (status == ATT_OK && text)
            status = one_line(tally, text, len, err);
    } while (status == ATT_OK && text);
    if (status != ATT_OK)
        att_err_prefix(err, "%s: line %zu", path, lines.number);
    else if (tally->rows == 0)
        status = att_err_set(err, ATT_EFORMAT, "%s: holds no line", path);
    cli_lines_finish(&lines);
    fclose(file);
    return status;
}

static void report(const struct tally *tally, bool json)
{
    const struct {
        const char *name, *title;
        double value;
    } rows[] = {
        {"hr@10", "HR@10", (double)tally->hits / (double)tally->rows},
        {"ndcg@10", "NDCG@10", tally->gain / (double)tally->rows},
        {"coverage@10", "coverage@10", (double)tally->n_covered / (double)tally->n_items},
    };
    printf(json ? "{\"rows\": %zu" : "rows         %zu", tally->rows);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (json)
            printf(", \"%s\": %.4f", rows[i].name, rows[i].value);
        else
            printf("\n%-12s %.4f", rows[i].title, rows[i].value);
    puts(json ? "}" : "");
}

int cli_eval_recommend(int argc, char **argv)
{
    struct cli_options options;
    struct cli_env *env = NULL;
    struct tally tally = {.rows = 0};
    struct att_err err;
    int usage = cli_options_parse(argc, argv, "model encoder dtype task data json",
                                  "usage: attend eval --task recommend --model DIR --data FILE\n\n"
                                  "HR@10, NDCG@10 and the share of the catalogue that is ever among the ten best, all "
                                  "items ranked that are\nnot in the history. Data: lines "
                                  "{\"history\":[{\"item\":ID},…],\"target\":ID}.\n",
                                  &options);
    if (usage >= 0)
        return usage;
    if (!options.model || !options.data)
        return cli_missing(argv[0], options.model ? "data" : "model");
    enum att_status status = cli_env_create(&options, &env, &err);
    if (status == ATT_OK) {
        tally.env = env;
        tally.n_items = att_model_info(cli_env_model(env)->model)->vocab_size - 1;
        tally.covered = att_mem_calloc(tally.n_items + 1, 1);
        status = tally.covered ? task_contexts_create(&tally.contexts, &err)
                               : att_err_set(&err, ATT_ENOMEM, "out of memory");
    }
    if (status == ATT_OK)
        status = read_lines(&tally, options.data, &err);
    if (status == ATT_OK)
        report(&tally, options.json);
    task_contexts_destroy(tally.contexts);
    att_mem_free(tally.covered);
    cli_env_destroy(env);
    return status == ATT_OK ? CLI_OK : cli_fail(argv[0], &err);
}
