/* See replies.h. */
#include "cli/replies.h"

#include <errno.h>
#include <string.h>

#include "store/lexical.h"

enum { DEPTH_MAX = 16, ANSWER_DEPTH = 32, BODY_BYTES_MAX = 1 << 20 };

/* The request of one line: what /v1/reply knows of it. */
static enum att_status ask(const struct cli_env *env, struct task_contexts *contexts, const struct att_json *line,
                           const struct cli_reply_request *request, struct att_json **ret_answer, struct att_err *err)
{
    static const char *const members[] = {"question", "context", "previous_id"};
    struct att_jsonw w;
    struct att_json *body = NULL;
    char *text = NULL, *answer = NULL;
    size_t len = 0, answer_len = 0;
    att_jsonw_init(&w, BODY_BYTES_MAX);
    att_jsonw_object_begin(&w);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (!att_json_get(line, members[i]))
            continue;
        att_jsonw_key(&w, members[i]);
        att_jsonw_value(&w, att_json_get(line, members[i]));
    }
    if (request->rewrite)
        att_jsonw_put_text(&w, "rewrite", request->rewrite);
    if (request->features) {
        att_jsonw_put_text(&w, "explain", "features");
        att_jsonw_put_int(&w, "top", 50);
    }
    att_jsonw_put_bool(&w, "rerank", !request->hybrid);
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

static enum att_status read_line(const struct att_json *json, struct cli_reply_line *line, struct att_err *err)
{
    const struct att_json *expect = att_json_get(json, "expect");
    size_t len = 0;
    *line = (struct cli_reply_line){.question = att_json_string(att_json_get(json, "question"), &len)};
    if (!line->question)
        return att_err_set(err, ATT_EFORMAT, "question: expected a text");
    if (!expect ||
        (att_json_type(expect) != ATT_JSON_NULL && !att_json_integer(expect, 1, INT64_C(1) << 53, &line->expect)))
        return att_err_set(err, ATT_EFORMAT, "expect: expected an entry's id, or null where a person should answer");
    line->cjk = store_cjk_share(line->question, len) > 0.3f;
    line->follow_up = att_json_count(att_json_get(json, "context")) > 0 || att_json_get(json, "previous_id");
    return ATT_OK;
}

enum att_status cli_replies_run(const struct cli_env *env, const char *path, const struct cli_reply_request *request,
                                enum att_status (*take)(void *context, const struct cli_reply_line *line,
                                                        const struct att_json *answer, struct att_err *err),
                                void *context, struct att_err *err)
{
    struct task_contexts *contexts = NULL;
    struct cli_lines lines;
    FILE *file = fopen(path, "rb");
    if (!file)
        return att_err_set(err, ATT_ENOTFOUND, "%s: %s", path, strerror(errno));
    cli_lines_init(&lines, file);
    enum att_status status = task_contexts_create(&contexts, err);
    while (status == ATT_OK) {
        struct att_json *json = NULL, *answer = NULL;
        struct cli_reply_line line;
        char *text = NULL;
        size_t len = 0;
        status = cli_lines_next(&lines, &text, &len, err);
        if (status != ATT_OK || !text)
            break;
        status = att_json_parse(text, len, 0, DEPTH_MAX, &json, err);
        if (status == ATT_OK)
            status = read_line(json, &line, err);
        if (status == ATT_OK)
            status = ask(env, contexts, json, request, &answer, err);
        if (status == ATT_OK)
            status = take(context, &line, answer, err);
        if (status != ATT_OK)
            att_err_prefix(err, "%s: line %zu", path, lines.number);
        att_json_destroy(json);
        att_json_destroy(answer);
    }
    task_contexts_destroy(contexts);
    cli_lines_finish(&lines);
    fclose(file);
    return status;
}
