/*
 * Offline tasks: one request body of the HTTP API a line, one answer a line,
 * by the same task code as the daemon. A line that fails answers
 * {"error":{"message","param"}} and the exit status is 1.
 */
#include <string.h>

#include "cli/cli.h"

enum { DEPTH_MAX = 32 };

static const struct offline {
    const char *name;
    const struct task *task;
    const char *options, *about;
} tasks[] = {
    {"classify", &task_classify, "model base dtype threads",
     "usage: attend classify --model DIR < requests.jsonl > answers.jsonl\n\n"
     "Labels, scores and decisions: a body of POST /v1/classify a line, {\"input\":\"…\"}, one answer a line.\n"},
    {"embed", &task_embeddings, "model base dtype threads",
     "usage: attend embed --model DIR < requests.jsonl > answers.jsonl\n\n"
     "Vectors of texts: a body of POST /v1/embeddings a line, {\"input\":\"…\"}, one answer a line.\n"},
    {"rerank", &task_rerank, "model base dtype threads",
     "usage: attend rerank --model DIR < requests.jsonl > answers.jsonl\n\n"
     "Documents in the order of their relevance: a body of POST /v1/rerank a line,\n"
     "{\"query\":\"…\",\"documents\":[\"…\"]}, one answer a line.\n"},
    {"recommend", &task_recommend, "model base encoder dtype threads",
     "usage: attend recommend --model DIR [--encoder DIR] < requests.jsonl > answers.jsonl\n\n"
     "Items in order for a user: a body of POST /v1/recommend a line, {\"history\":[{\"item\":\"…\"}]}, one answer a\n"
     "line. The encoder reads interests and item texts; without --encoder \"minilm\" is sought beside the model.\n"},
    {"generate", &task_generate, "model base dtype threads",
     "usage: attend generate --model DIR < requests.jsonl > answers.jsonl\n\n"
     "Texts of a generative model: a body of POST /v1/generate a line, {\"prompt\":\"…\",\"max_tokens\":40}, one\n"
     "answer a line.\n"},
    {"reply", &task_reply, "model base kb dtype threads",
     "usage: attend reply --model ENCODER_DIR --kb FILE < requests.jsonl > answers.jsonl\n\n"
     "Answers of a knowledge base: a body of POST /v1/reply a line, {\"question\":\"…\"}, one answer a line.\n"},
};
enum { N_TASKS = sizeof tasks / sizeof *tasks };

struct shared {
    const struct task *task;
    const struct cli_env *env;
};

static enum att_status worker_create(void *context, void **ret_worker, struct att_err *err)
{
    (void)context;
    struct task_contexts *contexts = NULL;
    enum att_status status = task_contexts_create(&contexts, err);
    if (status == ATT_OK)
        *ret_worker = contexts;
    return status;
}

static void worker_destroy(void *worker)
{
    task_contexts_destroy(worker);
}

static void put_error(const struct att_err *err, struct att_jsonw *answer)
{
    att_jsonw_object_begin(answer);
    att_jsonw_key(answer, "error");
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "message", err->message);
    att_jsonw_put_text(answer, "param", err->param[0] ? err->param : NULL);
    if (err->status == ATT_ELIMIT) {
        att_jsonw_put_size(answer, "limit", err->limit);
        att_jsonw_put_size(answer, "given", err->given);
    }
    att_jsonw_object_end(answer);
    att_jsonw_object_end(answer);
}

static bool answer_line(void *context, void *worker, const char *text, size_t len, struct att_jsonw *answer)
{
    const struct shared *shared = context;
    struct att_json *body = NULL;
    struct att_err err = {.status = ATT_OK};
    char *bytes = NULL;
    size_t n_bytes = 0;
    enum att_status status = att_json_parse(text, len, 0, DEPTH_MAX, &body, &err);
    if (status == ATT_OK)
        status = task_run(worker, shared->task, cli_env_task(shared->env), body, &bytes, &n_bytes, &err);
    if (status == ATT_OK)
        att_jsonw_raw(answer, bytes, n_bytes);
    else
        put_error(&err, answer);
    att_mem_free(bytes);
    att_json_destroy(body);
    return status == ATT_OK;
}

int cli_offline(int argc, char **argv)
{
    const struct offline *offline = tasks;
    struct cli_options options;
    struct att_err err;
    struct cli_env *env = NULL;
    while (offline < tasks + N_TASKS - 1 && strcmp(offline->name, argv[0]) != 0)
        offline++;
    int usage = cli_options_parse(argc, argv, offline->options, offline->about, &options);
    if (usage >= 0)
        return usage;
    if (!options.model)
        return cli_missing(argv[0], "model");
    if (cli_env_create(&options, &env, &err) != ATT_OK)
        return cli_fail(argv[0], &err);
    struct shared shared = {offline->task, env};
    const struct cli_map map = {&shared, worker_create, worker_destroy, answer_line};
    int result = cli_map_run(&map, argv[0], stdin, stdout, options.threads);
    cli_env_destroy(env);
    return result;
}
