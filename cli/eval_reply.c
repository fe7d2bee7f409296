/*
 * attend eval --task reply: the decisions of /v1/reply over a knowledge base, as
 * shares of the questions with 95 % intervals, by script and whether a question
 * follows another. Lines {"question","context","expect"}: expect is the entry's id,
 * or null where a person should answer. A clarify counts as right when the entry is
 * among those that it offers.
 */
#include <string.h>

#include "cli/replies.h"
#include "tasks/classify/quality.h"

/* What became of a question, as bits. */
enum outcome {
    FIRST = 1,
    ANSWERED_RIGHT = 2,
    ANSWERED_WRONG = 4,
    CLARIFY_RIGHT = 8,
    CLARIFY_WRONG = 16,
    HANDOFF = 32,
};
enum { GROUPS = 6, OUTSIDE = 4, FIGURES_MAX = 6 };

static const char *const groups[GROUPS] = {"latin",          "latin, follow-up",     "cjk",
                                           "cjk, follow-up", "latin, not in the kb", "cjk, not in the kb"};

/* The figures of questions with an entry, then those of the rest. */
static const struct {
    const char *name;
    int outcomes;
    bool inside, outside;
} figures[] = {
    {"first", FIRST, true, false},
    {"answered", ANSWERED_RIGHT | ANSWERED_WRONG, false, true},
    {"answered_right", ANSWERED_RIGHT, true, false},
    {"answered_wrong", ANSWERED_WRONG, true, false},
    {"clarify", CLARIFY_RIGHT | CLARIFY_WRONG, false, true},
    {"clarify_right", CLARIFY_RIGHT, true, false},
    {"clarify_wrong", CLARIFY_WRONG, true, false},
    {"handoff", HANDOFF, true, true},
};

struct group {
    unsigned char *outcomes; /* [n] */
    size_t n, capacity;
};

static int outcome_of(int64_t expected, const struct att_json *answer)
{
    const char *decision = att_json_string(att_json_get(answer, "decision"), NULL);
    const struct att_json *answers = att_json_get(answer, "answers");
    double expect = expected ? (double)expected : -1;
    bool first = att_json_number(att_json_get(att_json_at(answers, 0), "id"), 0) == expect, offered = false;
    for (size_t i = 0; i < att_json_count(answers); i++)
        offered |= att_json_number(att_json_get(att_json_at(answers, i), "id"), 0) == expect;
    int outcome = first ? FIRST : 0;
    if (decision && strcmp(decision, "answered") == 0)
        return outcome | (first ? ANSWERED_RIGHT : ANSWERED_WRONG);
    if (decision && strcmp(decision, "clarify") == 0)
        return outcome | (offered ? CLARIFY_RIGHT : CLARIFY_WRONG);
    return outcome | HANDOFF;
}

static enum att_status take(void *context, const struct cli_reply_line *line, const struct att_json *answer,
                            struct att_err *err)
{
    struct group *all = context;
    size_t script = line->cjk ? 1 : 0;
    struct group *group = &all[line->expect ? 2 * script + (line->follow_up ? 1 : 0) : OUTSIDE + script];
    if (group->n == group->capacity) {
        size_t capacity = group->capacity ? 2 * group->capacity : 256;
        unsigned char *outcomes = att_mem_realloc(group->outcomes, capacity, 1);
        if (!outcomes)
            return att_err_set(err, ATT_ENOMEM, "out of memory");
        group->outcomes = outcomes;
        group->capacity = capacity;
    }
    group->outcomes[group->n++] = (unsigned char)outcome_of(line->expect, answer);
    return ATT_OK;
}

/* ---- the report ---- */

static enum att_status measure(const struct group *group, bool outside, struct task_figure ret[FIGURES_MAX],
                               size_t *ret_count, struct att_err *err)
{
    double *values = att_mem_calloc(group->n, sizeof *values);
    enum att_status status = values ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
    size_t n = 0;
    for (size_t f = 0; status == ATT_OK && f < sizeof figures / sizeof *figures; f++) {
        if (!(outside ? figures[f].outside : figures[f].inside))
            continue;
        for (size_t i = 0; i < group->n; i++)
            values[i] = (group->outcomes[i] & figures[f].outcomes) != 0;
        ret[n].name = figures[f].name;
        status = task_interval_mean(values, group->n, &ret[n++].interval, err);
    }
    att_mem_free(values);
    *ret_count = n;
    return status;
}

static void print(const char *name, size_t rows, const struct task_figure *measured, size_t n)
{
    printf("%s\n  %-20s %zu\n", name, "rows", rows);
    for (size_t f = 0; f < n; f++)
        printf("  %-20s %.3f  [%.3f, %.3f]\n", measured[f].name, measured[f].interval.value, measured[f].interval.low,
               measured[f].interval.high);
}

static void render(const char *name, size_t rows, const struct task_figure *measured, size_t n, struct att_jsonw *w)
{
    att_jsonw_key(w, name);
    att_jsonw_object_begin(w);
    att_jsonw_put_size(w, "rows", rows);
    task_figures_render(measured, n, w);
    att_jsonw_object_end(w);
}

static enum att_status report(const struct group *all, bool json, struct att_err *err)
{
    struct task_figure measured[FIGURES_MAX];
    struct att_jsonw w;
    size_t n = 0;
    enum att_status status = ATT_OK;
    att_jsonw_init(&w, SIZE_MAX);
    att_jsonw_object_begin(&w);
    for (size_t g = 0; status == ATT_OK && g < GROUPS; g++) {
        if (all[g].n == 0)
            continue;
        status = measure(&all[g], g >= OUTSIDE, measured, &n, err);
        if (status == ATT_OK && json)
            render(groups[g], all[g].n, measured, n, &w);
        else if (status == ATT_OK)
            print(groups[g], all[g].n, measured, n);
    }
    att_jsonw_object_end(&w);
    if (status == ATT_OK && json)
        status = cli_json_print(&w, err);
    att_jsonw_finish(&w);
    return status;
}

int cli_eval_reply(int argc, char **argv)
{
    static const char about[] = "usage: attend eval --task reply --model ENCODER_DIR --kb FILE --data FILE.jsonl\n\n"
                                "Decisions over a knowledge base, with 95 % intervals: lines "
                                "{\"question\",\"context\",\"expect\"}, expect null:\n"
                                "hand off.\n";
    struct cli_options options;
    struct cli_env *env = NULL;
    struct att_err err;
    struct group all[GROUPS] = {{.n = 0}};
    int code = cli_options_parse(argc, argv, "model base kb reranker rewrite task data dtype json", about, &options);
    if (code >= 0)
        return code;
    if (!options.model || !options.kb || !options.data)
        return cli_missing("eval", !options.model ? "model" : !options.kb ? "kb" : "data");
    const struct cli_reply_request request = {.rewrite = options.rewrite};
    enum att_status status = cli_env_create(&options, &env, &err);
    if (status == ATT_OK)
        status = cli_replies_run(env, options.data, &request, take, all, &err);
    if (status == ATT_OK)
        status = report(all, options.json, &err);
    for (size_t g = 0; g < GROUPS; g++)
        att_mem_free(all[g].outcomes);
    cli_env_destroy(env);
    return status == ATT_OK ? CLI_OK : cli_fail("eval", &err);
}
