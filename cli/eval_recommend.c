/*
 * attend eval --task recommend: every line is a user's history and what came
 * next, one item or a basket; where it does not say what came next, that is the
 * history's last basket: the events at its end that share "basket", or "time". All items (but those of the history,
 * unless the line says "exclude_seen": false) are ranked by the task as requests are. Two simple rules are measured
 * beside it: the most popular items, and, where the model has follows.jsonl, what most often followed the last item,
 * filled up with those.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "store/follows.h"
#include "store/items.h"

enum { TOP_K = 10, DEPTH_MAX = 16, TARGETS_MAX = 4096 };
static const size_t answer_bytes_max = (size_t)1 << 30;
static const double z95 = 1.96;

/* Of one way to rank, over the lines. */
struct figures {
    double hits, gain, gain_squares;
};

struct tally {
    const struct cli_env *env;
    struct task_contexts *contexts;
    size_t rows, n_items, n_covered, n_targets; /* targets of all rows together */
    size_t n_single;                            /* lines of one basket alone, which tell nothing */
    struct figures model, popular, follows;
    unsigned char *covered;  /* [n_items + 1] items that stood in some answer */
    unsigned char *marks;    /* [n_items + 1] of the line: SEEN, WANTED */
    uint32_t *by_popularity; /* [n_items] */
};

enum { SEEN = 1, WANTED = 2 };

/* A line in parts. */
struct example {
    struct att_json *line;
    const struct att_json *history;
    size_t n_history, n_events; /* events before what came next; all: more where the last basket is what came next */
    size_t n_targets;
};

/* "basket", or "time" where there is none. */
static const struct att_json *basket_of(const struct att_json *event)
{
    const struct att_json *basket = att_json_get(event, "basket");
    return basket ? basket : att_json_get(event, "time");
}

static bool same_basket(const struct att_json *a, const struct att_json *b)
{
    const char *text = att_json_string(a, NULL), *other = att_json_string(b, NULL);
    if (text || other)
        return text && other && strcmp(text, other) == 0;
    return att_json_is_number(a) && att_json_is_number(b) && att_json_number(a, 0) == att_json_number(b, 0);
}

/* Finds where the last basket begins. */
static enum att_status split(struct example *example, struct att_err *err)
{
    size_t n = example->n_events;
    const struct att_json *last = n > 0 ? basket_of(att_json_at(example->history, n - 1)) : NULL;
    if (n == 0)
        return att_err_set(err, ATT_EFORMAT, "history: is empty, expected events, the last basket of which came next");
    if (!att_json_is_number(last) && !att_json_string(last, NULL))
        return att_err_set(err, ATT_EFORMAT,
                           "history[%zu]: needs a \"basket\" or a \"time\", for the line has no target", n - 1);
    while (example->n_history > 0 &&
           same_basket(basket_of(att_json_at(example->history, example->n_history - 1)), last))
        example->n_history--;
    return ATT_OK;
}

static enum att_status open_example(const char *text, size_t len, struct example *example, struct att_err *err)
{
    *example = (struct example){.line = NULL};
    enum att_status status = att_json_parse(text, len, 0, DEPTH_MAX, &example->line, err);
    if (status != ATT_OK)
        return status;
    example->history = att_json_get(example->line, "history");
    example->n_events = example->n_history = att_json_count(example->history);
    return att_json_get(example->line, "target") || att_json_get(example->line, "targets") ? ATT_OK
                                                                                           : split(example, err);
}

/* An event as requests have it, without the word for its basket. */
static void put_event(struct att_jsonw *w, const struct att_json *event)
{
    struct att_json_iter iter;
    const struct att_json *value;
    const char *name;
    if (!att_json_is_object(event)) {
        att_jsonw_value(w, event); /* the task says what is wrong */
        return;
    }
    att_jsonw_object_begin(w);
    att_json_iter_init(&iter, event);
    while (att_json_iter_next(&iter, &name, &value)) {
        if (strcmp(name, "basket") == 0)
            continue;
        att_jsonw_key(w, name);
        att_jsonw_value(w, value);
    }
    att_jsonw_object_end(w);
}

/* What came before, and its interest where it has one, as a request. */
static enum att_status request_of(const struct example *example, struct att_json **ret_body, struct att_err *err)
{
    static const char *const members[] = {"interest", "exclude_seen"};
    struct att_jsonw w;
    char *text = NULL;
    size_t len = 0;
    att_jsonw_init(&w, answer_bytes_max);
    att_jsonw_object_begin(&w);
    att_jsonw_key(&w, "history");
    att_jsonw_array_begin(&w);
    for (size_t i = 0; i < example->n_history; i++)
        put_event(&w, att_json_at(example->history, i));
    att_jsonw_array_end(&w);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const struct att_json *value = att_json_get(example->line, members[i]);
        if (!value)
            continue;
        att_jsonw_key(&w, members[i]);
        att_jsonw_value(&w, value);
    }
    att_jsonw_put_int(&w, "top_k", TOP_K);
    att_jsonw_put_bool(&w, "explain", false);
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

/* One line's ranking of at most ten: hit where one of the targets is among them, and their NDCG. */
static void take_ranking(const struct tally *tally, const size_t *ranked, size_t n, size_t n_targets,
                         struct figures *figures)
{
    double gain = 0, ideal = 0;
    for (size_t i = 0; i < n; i++)
        if (tally->marks[ranked[i]] & WANTED)
            gain += 1 / log2((double)i + 2);
    for (size_t i = 0; i < n_targets && i < TOP_K; i++)
        ideal += 1 / log2((double)i + 2);
    figures->hits += gain > 0;
    figures->gain += gain / ideal;
    figures->gain_squares += gain / ideal * (gain / ideal);
}

/* Continues a ranking of n with the most popular items. */
static size_t fill_popular(const struct tally *tally, size_t ranked[TOP_K], size_t n, bool exclude_seen)
{
    size_t given = n;
    for (size_t i = 0; n < TOP_K && i < tally->n_items; i++) {
        size_t item = tally->by_popularity[i];
        bool taken = exclude_seen && (tally->marks[item] & SEEN);
        for (size_t j = 0; !taken && j < given; j++)
            taken = ranked[j] == item;
        if (!taken)
            ranked[n++] = item;
    }
    return n;
}

static void take_rules(struct tally *tally, size_t last, bool exclude_seen, size_t n_targets)
{
    const struct store_follows *follows = cli_env_model(tally->env)->follows;
    size_t ranked[TOP_K], n = fill_popular(tally, ranked, 0, exclude_seen), n_next = 0;
    take_ranking(tally, ranked, n, n_targets, &tally->popular);
    const struct store_follow *next = follows && last ? store_follows_of(follows, last, &n_next) : NULL;
    for (n = 0; n < TOP_K;) { /* the next best, ten times: lists are short */
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < n_next; i++) {
            bool taken = exclude_seen && (tally->marks[next[i].item] & SEEN);
            for (size_t j = 0; !taken && j < n; j++)
                taken = ranked[j] == next[i].item;
            if (!taken && (best == SIZE_MAX || next[i].share > next[best].share))
                best = i;
        }
        if (best == SIZE_MAX)
            break;
        ranked[n++] = next[best].item;
    }
    n = fill_popular(tally, ranked, n, exclude_seen);
    take_ranking(tally, ranked, n, n_targets, &tally->follows);
}

static void take_answer(struct tally *tally, const struct att_json *answer, size_t n_targets)
{
    const struct att_json *items = att_json_get(answer, "items");
    size_t ranked[TOP_K], n = 0;
    for (; n < att_json_count(items) && n < TOP_K; n++) {
        ranked[n] = index_of(tally, att_json_string(att_json_get(att_json_at(items, n), "id"), NULL));
        tally->n_covered += tally->covered[ranked[n]] == 0;
        tally->covered[ranked[n]] = 1;
    }
    take_ranking(tally, ranked, n, n_targets, &tally->model);
}

static enum att_status mark_target(struct tally *tally, const struct att_json *value, struct example *example,
                                   struct att_err *err)
{
    const char *id = att_json_string(value, NULL);
    if (!id)
        return att_err_set(err, ATT_EFORMAT, "target: is %s, expected an item's id", att_json_type_name(value));
    size_t index = index_of(tally, id);
    if (!index)
        return att_err_set(err, ATT_EFORMAT, "target: \"%.60s\" is no item of the model", id);
    example->n_targets += !(tally->marks[index] & WANTED);
    tally->marks[index] |= WANTED;
    return ATT_OK;
}

/* Marks what came next; each must be one of the model's items. */
static enum att_status mark_targets(struct tally *tally, struct example *example, struct att_err *err)
{
    const struct att_json *target = att_json_get(example->line, "target");
    const struct att_json *targets = att_json_get(example->line, "targets");
    size_t n_basket = example->n_events - example->n_history;
    size_t n = targets ? att_json_count(targets) : target ? 1 : n_basket;
    enum att_status status = ATT_OK;
    if (n == 0 || n > TARGETS_MAX || (targets && !att_json_is_array(targets)))
        return att_err_set(err, ATT_EFORMAT, "targets: expected an array of 1 to %d items", TARGETS_MAX);
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        const struct att_json *event = att_json_at(example->history, example->n_history + i);
        const struct att_json *value = targets  ? att_json_at(targets, i)
                                       : target ? target
                                                : att_json_get(event, "item");
        status = mark_target(tally, value, example, err);
    }
    return status;
}

/* Marks what came before; the last known item of it, or 0. */
static size_t mark_history(struct tally *tally, const struct example *example)
{
    size_t last = 0;
    for (size_t i = 0; i < example->n_history; i++) {
        const char *id = att_json_string(att_json_get(att_json_at(example->history, i), "item"), NULL);
        size_t index = id ? index_of(tally, id) : 0;
        tally->marks[index] |= SEEN;
        last = index ? index : last;
    }
    return last;
}

static enum att_status rank(struct tally *tally, struct example *example, struct att_err *err)
{
    struct att_json *body = NULL, *answer = NULL;
    char *bytes = NULL;
    size_t n_bytes = 0;
    enum att_status status = mark_targets(tally, example, err);
    if (status == ATT_OK)
        status = request_of(example, &body, err);
    if (status == ATT_OK)
        status = task_run(tally->contexts, &task_recommend, cli_env_task(tally->env), body, &bytes, &n_bytes, err);
    if (status == ATT_OK)
        status = att_json_parse(bytes, n_bytes, 0, DEPTH_MAX, &answer, err);
    if (status == ATT_OK) {
        bool exclude_seen = att_json_bool(att_json_get(example->line, "exclude_seen"), true);
        tally->rows++;
        tally->n_targets += example->n_targets;
        take_answer(tally, answer, example->n_targets);
        take_rules(tally, mark_history(tally, example), exclude_seen, example->n_targets);
    }
    att_json_destroy(body);
    att_json_destroy(answer);
    att_mem_free(bytes);
    return status;
}

static enum att_status one_line(struct tally *tally, const char *text, size_t len, struct att_err *err)
{
    struct example example;
    enum att_status status = open_example(text, len, &example, err);
    memset(tally->marks, 0, tally->n_items + 1);
    if (status == ATT_OK && example.n_history == 0 && example.n_events > 0)
        tally->n_single++;
    else if (status == ATT_OK)
        status = rank(tally, &example, err);
    att_json_destroy(example.line);
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
        status = att_err_set(err, ATT_EFORMAT,
                             tally->n_single ? "%s: nobody has more than one basket" : "%s: holds no line", path);
    cli_lines_finish(&lines);
    fclose(file);
    return status;
}

/* Half the width of the 95 % interval of a mean. */
static double half_width(double sum, double squares, size_t n)
{
    double mean = sum / (double)n, variance = squares / (double)n - mean * mean;
    return n > 1 && variance > 0 ? z95 * sqrt(variance / (double)(n - 1)) : 0;
}

static void report(const struct tally *tally, bool json)
{
    const size_t n = tally->rows;
    const struct {
        const char *name;
        const struct figures *figures;
    } rows[] = {{"model", &tally->model}, {"popularity", &tally->popular}, {"last_item", &tally->follows}};
    double coverage = (double)tally->n_covered / (double)tally->n_items;
    printf(json ? "{\"rows\": %zu" : "rows         %zu", n);
    if (tally->n_single > 0)
        printf(json ? ", \"one_basket\": %zu" : "\none basket   %zu, left out", tally->n_single);
    if (tally->n_targets > n)
        printf(json ? ", \"targets_per_row\": %.2f" : "\ntargets      %.2f a row",
               (double)tally->n_targets / (double)n);
    printf(json ? ", \"coverage@10\": %.4f" : "\ncoverage@10  %.4f", coverage);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct figures *f = rows[i].figures;
        if (f == &tally->follows && !cli_env_model(tally->env)->follows)
            continue;
        double hr = f->hits / (double)n, hr_half = half_width(f->hits, f->hits, n);
        double ndcg = f->gain / (double)n, ndcg_half = half_width(f->gain, f->gain_squares, n);
        if (json && i == 0)
            printf(", \"hr@10\": %.4f, \"ndcg@10\": %.4f", hr, ndcg);
        if (json)
            printf(", \"%s\": {\"hr@10\": %.4f, \"hr@10_ci95\": [%.4f, %.4f], \"ndcg@10\": %.4f, "
                   "\"ndcg@10_ci95\": [%.4f, %.4f]}",
                   rows[i].name, hr, hr - hr_half, hr + hr_half, ndcg, ndcg - ndcg_half, ndcg + ndcg_half);
        else
            printf("\n%-12s HR@10 %.4f ± %.4f   NDCG@10 %.4f ± %.4f", rows[i].name, hr, hr_half, ndcg, ndcg_half);
    }
    puts(json ? "}" : "");
}

/* Most popular first, ties by the number. */
static int by_popularity(const void *a, const void *b, void *context)
{
    const struct store_items *items = context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    uint64_t left = store_items_at(items, x)->popularity;
    uint64_t right = store_items_at(items, y)->popularity;
    if (left != right)
        return left > right ? -1 : 1;
    return x < y ? -1 : x > y;
}

static enum att_status prepare(struct tally *tally, struct att_err *err)
{
    const struct task_model *model = cli_env_model(tally->env);
    tally->n_items = att_model_info(model->model)->vocab_size - 1;
    tally->covered = att_mem_calloc(tally->n_items + 1, 1);
    tally->marks = att_mem_calloc(tally->n_items + 1, 1);
    tally->by_popularity = att_mem_calloc(tally->n_items, sizeof *tally->by_popularity);
    if (!tally->covered || !tally->marks || !tally->by_popularity)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t i = 0; i < tally->n_items; i++)
        tally->by_popularity[i] = (uint32_t)i + 1;
    if (model->items)
        qsort_r(tally->by_popularity, tally->n_items, sizeof *tally->by_popularity, by_popularity, model->items);
    return task_contexts_create(&tally->contexts, err);
}

static enum att_status run(const struct cli_env *env, const struct cli_options *options, struct att_err *err)
{
    struct tally tally = {.env = env};
    enum att_status status = prepare(&tally, err);
    if (status == ATT_OK)
        status = read_lines(&tally, options->data, err);
    if (status == ATT_OK)
        report(&tally, options->json);
    task_contexts_destroy(tally.contexts);
    att_mem_free(tally.covered);
    att_mem_free(tally.marks);
    att_mem_free(tally.by_popularity);
    return status;
}

int cli_eval_recommend(int argc, char **argv)
{
    static const char about[] =
        "usage: attend eval --task recommend --model DIR --data FILE\n\n"
        "HR@10, NDCG@10 with 95 % intervals, beside two simple rules, and the share of the "
        "catalogue that is ever among\nthe ten best; all items ranked that are not in the "
        "history. Data: lines {\"history\":[{\"item\":ID},…],\"target\":ID},\nor "
        "\"targets\":[ID,…] for a basket, and \"exclude_seen\":false where the same item "
        "may be taken again. Without a target the last basket of the history is it: events in a row "
        "with an\nequal \"basket\", or an equal \"time\" where they have none.\n";
    return cli_env_run(argc, argv, "model encoder dtype task data json", about, run);
}
