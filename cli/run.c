/*
 * attend run: reference cases through a model, so that parity can be checked
 * from outside. Here are the command, the reading of a case and the writing of
 * its answer; the calls are in run_forward.c, run_text.c and run_items.c.
 */
#include "cli/run.h"

#include <assert.h>
#include <string.h>

enum { DEPTH_MAX = 32, DIGITS = 9, META_BYTES_MAX = 1 << 20 };
static const size_t case_bytes_max = (size_t)2 << 30;

static const struct call {
    const char *name;
    enum att_status (*run)(struct cli_runner *runner, struct cli_case *one, struct att_err *err);
} calls[] = {
    {"forward", cli_run_forward},   {"forward_sampled", cli_run_seq2seq},
    {"embed", cli_run_embed},       {"classify", cli_run_classify},
    {"rerank", cli_run_classify},   {"recommend", cli_run_recommend},
    {"generate", cli_run_generate}, {"generate_text", cli_run_generate_text},
    {"chat", cli_run_chat},         {"warp", cli_run_warp}, /* needs no model */
};
enum { N_CALLS = sizeof calls / sizeof *calls };

void *cli_case_alloc(struct cli_case *one, size_t count, size_t size, struct att_err *err)
{
    void *block = att_arena_alloc(&one->arena, count, size);
    if (!block)
        att_err_set(err, ATT_ENOMEM, "out of memory for the outputs of this case");
    return block;
}

bool cli_case_wants(const struct cli_case *one, const char *name)
{
    if (!one->wanted)
        return true;
    if (att_json_is_object(one->wanted))
        return att_json_get(one->wanted, name) != NULL;
    for (size_t i = 0; i < att_json_count(one->wanted); i++) {
        const char *wanted = att_json_string(att_json_at(one->wanted, i), NULL);
        if (wanted && strcmp(wanted, name) == 0)
            return true;
    }
    return false;
}

static size_t count_of(const struct cli_tensor *tensor)
{
    size_t count = 1;
    for (size_t i = 0; i < tensor->rank; i++)
        if (!att_size_mul(count, tensor->dims[i], &count))
            return SIZE_MAX;
    return count;
}

enum att_status cli_case_tensor(struct cli_case *one, const char *name, size_t rank, const size_t *dims,
                                float **ret_data, struct att_err *err)
{
    assert(rank <= CLI_RANK_MAX && strlen(name) < CLI_TENSOR_NAME_BYTES);
    if (one->n_tensors == CLI_TENSORS_MAX)
        return att_err_limit(err, NULL, CLI_TENSORS_MAX, CLI_TENSORS_MAX + 1, "outputs: more than %d tensors",
                             CLI_TENSORS_MAX);
    struct cli_tensor *tensor = &one->tensors[one->n_tensors];
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->rank = rank;
    memcpy(tensor->dims, dims, rank * sizeof *dims);
    tensor->data = cli_case_alloc(one, count_of(tensor), sizeof *tensor->data, err);
    if (!tensor->data)
        return ATT_ENOMEM;
    one->n_tensors++;
    *ret_data = tensor->data;
    return ATT_OK;
}

enum att_status cli_case_put(struct cli_case *one, const char *name, size_t count, const float *data,
                             struct att_err *err)
{
    float *copy = NULL;
    if (!cli_case_wants(one, name))
        return ATT_OK;
    enum att_status status = cli_case_tensor(one, name, 1, &count, &copy, err);
    if (status == ATT_OK)
        memcpy(copy, data, count * sizeof *copy);
    return status;
}

enum att_status cli_runner_context(struct cli_runner *runner, size_t n_tokens, size_t n_seqs, struct att_err *err)
{
    if (n_tokens <= runner->context_tokens && n_seqs <= runner->context_seqs)
        return ATT_OK;
    size_t tokens = n_tokens > runner->context_tokens ? n_tokens : runner->context_tokens;
    size_t seqs = n_seqs > runner->context_seqs ? n_seqs : runner->context_seqs;
    struct att_context *context = NULL;
    enum att_status status = att_context_create(runner->model, tokens, seqs, &context, err);
    if (status != ATT_OK)
        return status;
    att_context_destroy(runner->context);
    runner->context = context;
    runner->context_tokens = tokens;
    runner->context_seqs = seqs;
    return ATT_OK;
}

/* ---- one case ---- */

static bool has_output(const struct cli_case *one, const char *name)
{
    for (size_t i = 0; i < one->n_tensors; i++)
        if (strcmp(one->tensors[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < one->n_lists; i++)
        if (strcmp(one->lists[i].name, name) == 0)
            return true;
    return false;
}

static enum att_status check_complete(const struct cli_case *one, struct att_err *err)
{
    struct att_json_iter iter;
    const char *name;
    const struct att_json *value;
    if (att_json_is_object(one->wanted)) {
        att_json_iter_init(&iter, one->wanted);
        while (att_json_iter_next(&iter, &name, &value))
            if (!has_output(one, name))
                return att_err_set(err, ATT_EUNSUPPORTED, "outputs: this model has no '%.60s'", name);
    }
    for (size_t i = 0; att_json_is_array(one->wanted) && i < att_json_count(one->wanted); i++) {
        name = att_json_string(att_json_at(one->wanted, i), NULL);
        if (name && !has_output(one, name))
            return att_err_set(err, ATT_EUNSUPPORTED, "outputs: this model has no '%.60s'", name);
    }
    return ATT_OK;
}

static enum att_status unknown_call(const char *name, struct att_err *err)
{
    char known[256] = "";
    for (size_t i = 0, at = 0; i < N_CALLS && at < sizeof known; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", calls[i].name);
    return att_err_set(err, ATT_EUNSUPPORTED, "call: '%.40s' is not one of %s", name, known);
}

static enum att_status run_case(struct cli_runner *runner, const struct att_json *root, struct cli_case *one,
                                struct att_err *err)
{
    const char *name = att_json_string(att_json_get(root, "call"), NULL);
    const struct call *call = calls;
    const struct att_json *wanted = att_json_get(root, "outputs");
    one->root = root;
    one->inputs = att_json_get(root, "inputs");
    one->wanted = att_json_is_object(wanted) || att_json_is_array(wanted) ? wanted : NULL;
    if (cli_chat_is_case(root)) /* a template alone needs no model either */
        return cli_run_chat(runner, one, err);
    while (name && call < calls + N_CALLS && strcmp(call->name, name) != 0)
        call++;
    if (!name || call == calls + N_CALLS)
        return unknown_call(name ? name : att_json_type_name(att_json_get(root, "call")), err);
    if (!runner->model && call->run != cli_run_warp)
        return att_err_set(err, ATT_EINVAL, "call: '%s' needs --model", name);
    if (!att_json_is_object(one->inputs))
        return att_err_set(err, ATT_EINVAL, "inputs: is %s, expected an object", att_json_type_name(one->inputs));
    enum att_status status = call->run(runner, one, err);
    return status == ATT_OK ? check_complete(one, err) : status;
}

static void put_tensor(struct att_jsonw *answer, const struct cli_tensor *tensor)
{
    att_jsonw_key(answer, tensor->name);
    att_jsonw_object_begin(answer);
    att_jsonw_key(answer, "shape");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < tensor->rank; i++)
        att_jsonw_int(answer, (int64_t)tensor->dims[i]);
    att_jsonw_array_end(answer);
    att_jsonw_key(answer, "data");
    att_jsonw_array_begin(answer);
    for (size_t i = 0, count = count_of(tensor); i < count; i++)
        att_jsonw_double(answer, (double)tensor->data[i], DIGITS);
    att_jsonw_array_end(answer);
    att_jsonw_object_end(answer);
}

static void put_stats(struct att_jsonw *answer, const struct cli_case *one)
{
    att_jsonw_key(answer, "stats");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < one->n_stats; i++) {
        const struct cli_stat *stat = &one->stats[i];
        att_jsonw_object_begin(answer);
        att_jsonw_put_text(answer, "output", stat->name);
        att_jsonw_key(answer, "shape");
        att_jsonw_array_begin(answer);
        for (size_t k = 0; k < stat->rank; k++)
            att_jsonw_int(answer, (int64_t)stat->dims[k]);
        att_jsonw_array_end(answer);
        att_jsonw_put_double(answer, "sum", stat->sum, DIGITS);
        att_jsonw_put_double(answer, "l2", stat->l2, DIGITS);
        att_jsonw_put_double(answer, "max_abs", stat->max_abs, DIGITS);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
}

static void put_values(struct att_jsonw *answer, const struct cli_list *list, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) {
        if (list->booleans)
            att_jsonw_bool(answer, list->values[i] != 0);
        else
            att_jsonw_int(answer, list->values[i]);
    }
}

static void put_numbers(struct att_jsonw *answer, const struct cli_list *list)
{
    att_jsonw_array_begin(answer);
    for (size_t r = 0; list->cu && r < list->n_rows; r++) {
        att_jsonw_array_begin(answer);
        put_values(answer, list, list->cu[r], list->cu[r + 1]);
        att_jsonw_array_end(answer);
    }
    if (!list->cu)
        put_values(answer, list, 0, list->count);
    att_jsonw_array_end(answer);
}

/* Lists stand beside "outputs", as in the reference lines, and among them where the case asks for them. */
static void put_answer(struct att_jsonw *answer, const struct cli_case *one)
{
    for (size_t i = 0; i < one->n_lists; i++) {
        att_jsonw_key(answer, one->lists[i].name);
        put_numbers(answer, &one->lists[i]);
    }
    for (size_t i = 0; i < one->n_strings; i++)
        att_jsonw_put_string(answer, one->strings[i].name, one->strings[i].text, one->strings[i].len);
    if (one->label)
        att_jsonw_put_text(answer, "label", one->label);
    if (one->n_stats > 0)
        put_stats(answer, one);
    att_jsonw_key(answer, "outputs");
    att_jsonw_object_begin(answer);
    for (size_t i = 0; i < one->n_tensors; i++)
        put_tensor(answer, &one->tensors[i]);
    for (size_t i = 0; i < one->n_lists; i++) {
        if (!cli_case_wants(one, one->lists[i].name))
            continue;
        att_jsonw_key(answer, one->lists[i].name);
        att_jsonw_object_begin(answer);
        att_jsonw_key(answer, "shape");
        att_jsonw_array_begin(answer);
        att_jsonw_int(answer, (int64_t)one->lists[i].count);
        att_jsonw_array_end(answer);
        att_jsonw_key(answer, "data");
        put_numbers(answer, &one->lists[i]);
        att_jsonw_object_end(answer);
    }
    att_jsonw_object_end(answer);
}

static bool answer_line(void *context, void *worker, const char *text, size_t len, struct att_jsonw *answer)
{
    (void)context;
    struct att_json *root = NULL;
    struct att_err err = {.status = ATT_OK};
    struct cli_case *one = att_mem_calloc(1, sizeof *one);
    enum att_status status = one ? ATT_OK : att_err_set(&err, ATT_ENOMEM, "out of memory");
    if (one)
        att_arena_init(&one->arena, case_bytes_max);
    if (status == ATT_OK)
        status = att_json_parse(text, len, ATT_JSON_ALLOW_NUL, DEPTH_MAX, &root, &err);
    if (status == ATT_OK)
        status = run_case(worker, root, one, &err);
    att_jsonw_object_begin(answer);
    att_jsonw_key(answer, "case");
    if (att_json_get(root, "case"))
        att_jsonw_value(answer, att_json_get(root, "case"));
    else
        att_jsonw_null(answer);
    if (status == ATT_OK && one->refused.status == ATT_OK) {
        put_answer(answer, one);
    } else {
        att_jsonw_put_text(answer, "error", status == ATT_OK ? one->refused.message : err.message);
    }
    att_jsonw_object_end(answer);
    if (one)
        att_arena_finish(&one->arena);
    att_mem_free(one);
    att_json_destroy(root);
    return status == ATT_OK;
}

/* ---- the command ---- */

struct shared {
    struct att_model *model;
    struct cli_chat *chat;
    const struct cli_options *options;
    size_t text_tokens_max;
};

static void runner_destroy(void *worker)
{
    struct cli_runner *runner = worker;
    att_context_destroy(runner->context);
    att_tokens_finish(&runner->tokens[0]);
    att_tokens_finish(&runner->tokens[1]);
    att_mem_free(runner);
}

static enum att_status runner_create(void *context, void **ret_worker, struct att_err *err)
{
    const struct shared *shared = context;
    struct cli_runner *runner = att_mem_calloc(1, sizeof *runner);
    if (!runner)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    runner->model = shared->model;
    runner->chat = shared->chat;
    runner->options = shared->options;
    runner->text_tokens_max = shared->text_tokens_max;
    att_tokens_init(&runner->tokens[0]);
    att_tokens_init(&runner->tokens[1]);
    *ret_worker = runner;
    return ATT_OK;
}

/* --max-length, else what meta.json of a reference set says its texts were cut to, else the model's longest. */
static enum att_status text_length(const struct cli_options *options, size_t longest, size_t *ret, struct att_err *err)
{
    struct att_dir dir;
    char *text = NULL;
    size_t len = 0, value = options->max_length ? options->max_length : longest;
    enum att_status status = att_dir_open(options->model, &dir, err);
    if (status != ATT_OK)
        return status;
    if (!options->max_length && att_dir_has(&dir, "meta.json")) {
        struct att_json *meta = NULL;
        int64_t cut = 0;
        status = att_dir_read(&dir, "meta.json", META_BYTES_MAX, &text, &len, err);
        if (status == ATT_OK)
            status = att_json_parse(text, len, 0, DEPTH_MAX, &meta, err);
        if (status == ATT_OK && att_json_integer(att_json_get(meta, "max_length"), 1, (int64_t)longest, &cut))
            value = (size_t)cut;
        att_json_destroy(meta);
        att_mem_free(text);
        if (status != ATT_OK)
            att_err_prefix(err, "meta.json");
    }
    att_dir_close(&dir);
    if (status == ATT_OK)
        *ret = value < longest ? value : longest;
    return status;
}

static const char about[] =
    "usage: attend run --model DIR < cases.jsonl > out.jsonl\n\n"
    "Reference cases through a model, one line each, in order. Calls: forward (input_ids, attention_mask,\n"
    "token_type_ids, decoder_input_ids), embed (text), classify and rerank (text, pair), recommend (history, k,\n"
    "exclude_seen), generate (input_ids), generate_text (text), chat (messages), warp (logits; needs no model). "
    "\"params\" are those\n"
    "of transformers' generate(). \"outputs\" of a case names the tensors that are wanted. A case that cannot be\n"
    "done answers {\"case\",\"error\"}.\n";

int cli_run(int argc, char **argv)
{
    struct cli_options options;
    struct att_err err;
    struct shared shared = {.options = &options};
    int usage =
        cli_options_parse(argc, argv, "model base dtype threads batch-tokens max-length templates", about, &options);
    if (usage >= 0)
        return usage;
    enum att_status status = cli_chat_open(options.model, options.templates, &shared.chat, &err);
    if (status == ATT_OK && options.model)
        status = cli_model_load(options.model, &options, &shared.model, &err);
    if (status == ATT_OK && options.model) {
        const struct att_model_info *info = att_model_info(shared.model);
        status = text_length(&options, info->generates ? info->limit_tokens : info->max_tokens, &shared.text_tokens_max,
                             &err);
    }
    int result = CLI_FAILED;
    if (status == ATT_OK) {
        const struct cli_map map = {&shared, runner_create, runner_destroy, answer_line};
        result = cli_map_run(&map, argv[0], stdin, stdout, options.threads ? options.threads : 1);
    } else {
        cli_fail(argv[0], &err);
    }
    att_model_unref(shared.model);
    cli_chat_close(shared.chat);
    return result;
}
