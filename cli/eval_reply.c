/*
 * attend eval --task reply: the decisions of /v1/reply over a knowledge base.
 * Lines {"question","context","expect"}: expect is the entry's id, or null
 * where a person should answer. A clarify counts as right when the entry is
 * among those that it offers.
 */
#include <string.h>

#include "cli/replies.h"

enum { KINDS = 4 };

struct figures {
    size_t lines, first, answered_right, answered_wrong, clarify_right, clarify_wrong, handoff;
};

static const char *const kinds[KINDS] = {"latin", "latin, follow-up", "cjk", "cjk, follow-up"};

static void count(int64_t expected, const struct att_json *answer, struct figures *figures)
{
    const char *decision = att_json_string(att_json_get(answer, "decision"), NULL);
    const struct att_json *answers = att_json_get(answer, "answers");
    double expect = expected ? (double)expected : -1;
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

struct tally {
    struct figures answerable[KINDS], outside[2];
};

static enum att_status take(void *context, const struct cli_reply_line *line, const struct att_json *answer,
                            struct att_err *err)
{
    struct tally *tally = context;
    size_t script = line->cjk ? 1 : 0, kind = 2 * script + (line->follow_up ? 1 : 0);
    (void)err;
    count(line->expect, answer, line->expect ? &tally->answerable[kind] : &tally->outside[script]);
    return ATT_OK;
}

int cli_eval_reply(int argc, char **argv)
{
    static const char about[] =
        "usage: attend eval --task reply --model ENCODER_DIR --kb FILE --data FILE.jsonl\n\n"
        "Decisions over a knowledge base: lines {\"question\",\"context\",\"expect\"}, expect null: hand off.\n";
    struct cli_options options;
    struct cli_env *env = NULL;
    struct att_err err;
    struct tally tally = {.outside = {{.lines = 0}}};
    int code = cli_options_parse(argc, argv, "model kb reranker rewrite task data dtype", about, &options);
    if (code >= 0)
        return code;
    if (!options.model || !options.kb || !options.data)
        return cli_missing("eval", !options.model ? "model" : !options.kb ? "kb" : "data");
    const struct cli_reply_request request = {.rewrite = options.rewrite};
    enum att_status status = cli_env_create(&options, &env, &err);
    if (status == ATT_OK)
        status = cli_replies_run(env, options.data, &request, take, &tally, &err);
    for (size_t i = 0; status == ATT_OK && i < KINDS; i++)
        put(kinds[i], &tally.answerable[i], true);
    if (status == ATT_OK) {
        put("latin, not in the kb", &tally.outside[0], false);
        put("cjk, not in the kb", &tally.outside[1], false);
    }
    cli_env_destroy(env);
    return status == ATT_OK ? CLI_OK : cli_fail("eval", &err);
}
