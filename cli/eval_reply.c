/*
 * attend eval --task reply: the decisions of /v1/reply over a knowledge base.
 * Lines {"question","context","expect"}: expect is the entry's id, or null
 * where a person should answer. A clarify counts as right when the entry is
 * among those that it offers.
 */
#include <string.h>

#include "cli/cli.h"

enum { DEPTH_MAX = 16, ANSWER_DEPTH = 32, BODY_BYTES_MAX = 1 << 20, KINDS = 4 };

struct figures {
    size_t lines, first, answered_right, answered_wrong, clarify_right, clarify_wrong, handoff;
};

static const char *const kinds[KINDS] = {"latin", "latin, follow-up", "cjk", "cjk, follow-up"};

/* The request of one line: what /v1/reply knows of it. */
static enum att_status ask(const struct cli_env *env, struct task_contexts *contexts, const struct att_json *line,
                           struct att_json **ret_answer, struct att_err *err)
{
    struct att_jsonw w;
    struct att_json *body = NULL;
    char *text = NULL, *answer = NULL;
    size_t len = 0, answer_len = 0;
    att_jsonw_init(&w, BODY_BYTES_MAX);
    att_jsonw_object_begin(&w);
    att_jsonw_key(&w, "question");
    att_jsonw_value(&w, att_json_get(line, "question"));
    if (att_json_get(line, "context")) {
        att_jsonw_key(&w, "context");
        att_jsonw_value(&w, att_json_get(line, "context"));
    }
    att_jsonw_object_end(&w);
    enum att_status status = att_jsonw_take(&w, &text, &len, err);
    if (status == ATT_OK)
        status = att_json_parse(text, len, 0, DEPTH_MAX, &body, err);
    if (status == ATT_OK)
        status = task_run(contexts, &task_reply, cli_env_task(env), body, &answer, &answer_len, err);
    if (status == ATT_OK)
        status = att_json_parse(answer, answer_len, 0, ANSWER_DEPTH, ret_answer, err);
    att_json_destroy(body);
    att_mem_free(text);
    att_mem_free(answer);
    return status;
}

static void count(const struct att_json *line, const struct att_json *answer, struct figures *figures)
{
    const char *decision = att_json_string(att_json_get(answer, "decision"), NULL);
    const struct att_json *answers = att_json_get(answer, "answers");
    double expect = att_json_number(att_json_get(line, "expect"), -1);
    bool first = att_json_number(att_json_get(att_json_at(answers, 0), "id"), 0) == expect, offered = false;
    for (size_t i = 0; i < att_json_count(answers); i++)
        offered |= att_json_number(att_json_get(att_json_at(answers, i), "id"), 0) == expect;
    figures->lines++;
    figures->first += first;
    if (decision && strcmp(decision, "answered") == 0) {
        figures->answered_right += first;
        figures->answered_wrong += !first;
    } else if (decision && strcmp(decision, "clarify") == 0) {
        figures->clarify_right += offered;
        figures->clarify_wrong += !offered;
    } else {
        figures->handoff++;
    }
}

static void put(const char *name, const struct figures *f, bool answerable)
{
    double n = f->lines > 0 ? (double)f->lines : 1;
    printf("%-24s %5zu  ", name, f->lines);
    if (answerable)
        printf("first %.3f  answered right %.3f wrong %.3f  clarify right %.3f wrong %.3f  handoff %.3f\n",
               (double)f->first / n, (double)f->answered_right / n, (double)f->answered_wrong / n,
               (double)f->clarify_right / n, (double)f->clarify_wrong / n, (double)f->handoff / n);
    else
        printf("answered %.3f  clarify %.3f  handoff %.3f\n", (double)(f->answered_right + f->answered_wrong) / n,
               (double)(f->clarify_right + f->clarify_wrong) / n, (double)f->handoff / n);
}

static bool is_cjk(const char *text)
{
    return strlen(text) > 2 && (unsigned char)text[0] >= 0xe3;
}

static enum att_status run_lines(const struct cli_env *env, struct cli_lines *lines, struct figures *answerable,
                                 struct figures *outside, struct att_err *err)
{
    struct task_contexts *contexts = NULL;
    enum att_status status = task_contexts_create(&contexts, err);
    while (status == ATT_OK) {
        struct att_json *line = NULL, *answer = NULL;
        char *text = NULL;
        size_t len = 0;
        status = cli_lines_next(lines, &text, &len, err);
        if (status != ATT_OK || !text)
            break;
        status = att_json_parse(text, len, 0, DEPTH_MAX, &line, err);
        if (status == ATT_OK)
            status = ask(env, contexts, line, &answer, err);
        if (status == ATT_OK) {
            const char *question = att_json_string(att_json_get(line, "question"), NULL);
            size_t kind = (is_cjk(question) ? 2u : 0u) + (att_json_count(att_json_get(line, "context")) > 0 ? 1u : 0u);
            bool expected = att_json_is_number(att_json_get(line, "expect"));
            count(line, answer, expected ? &answerable[kind] : &outside[kind / 2]);
        } else {
            att_err_prefix(err, "line %zu", lines->number);
        }
        att_json_destroy(line);
        att_json_destroy(answer);
    }
    task_contexts_destroy(contexts);
    return status;
}

int cli_eval_reply(int argc, char **argv)
{
    static const char about[] =
        "usage: attend eval --task reply --model ENCODER_DIR --kb FILE --data FILE.jsonl\n\n"
        "Decisions over a knowledge base: lines {\"question\",\"context\",\"expect\"}, expect null: hand off.\n";
    struct cli_options options;
    struct cli_env *env = NULL;
    struct att_err err;
    struct cli_lines lines;
    int code = cli_options_parse(argc, argv, "model kb task data dtype", about, &options);
    if (code >= 0)
        return code;
    if (!options.model || !options.kb || !options.data)
        return cli_missing("eval", !options.model ? "model" : !options.kb ? "kb" : "data");
    FILE *file = fopen(options.data, "rb");
    if (!file) {
        att_err_set(&err, ATT_ENOTFOUND, "%s: cannot be opened", options.data);
        return cli_fail("eval", &err);
    }
    struct figures answerable[KINDS] = {{.lines = 0}}, outside[2] = {{.lines = 0}};
    cli_lines_init(&lines, file);
    enum att_status status = cli_env_create(&options, &env, &err);
    if (status == ATT_OK)
        status = run_lines(env, &lines, answerable, outside, &err);
    for (size_t i = 0; status == ATT_OK && i < KINDS; i++)
        put(kinds[i], &answerable[i], true);
    if (status == ATT_OK) {
        put("latin, not in the kb", &outside[0], false);
        put("cjk, not in the kb", &outside[1], false);
    }
    cli_env_destroy(env);
    cli_lines_finish(&lines);
    fclose(file);
    return status == ATT_OK ? CLI_OK : cli_fail("eval", &err);
}
