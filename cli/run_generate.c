/*
 * The calls "generate" (ids in, ids out), "generate_text" (text in, text out)
 * and "warp" (scores in, the probabilities out that a token is drawn from).
 */
#include <string.h>

#include "cli/run.h"
#include "core/generate/generate.h"

enum { TOKENS_MAX = 1 << 20 };

/* ---- generate ---- */

/* Rows of ids without what a mask hides, on either side. */
static enum att_status read_prompts(struct cli_case *one, struct att_batch *ret_batch, struct att_err *err)
{
    const struct att_json *source = att_json_get(one->inputs, "src");
    const struct att_json *rows = source ? source : att_json_get(one->inputs, "input_ids");
    const struct att_json *masks = att_json_get(one->inputs, source ? "src_mask" : "attention_mask");
    size_t n = att_json_count(rows), width = att_json_count(att_json_at(rows, 0)), total = 0, at = 0;
    if (!att_json_is_array(rows) || n == 0 || width == 0 || !att_size_mul(n, width, &total) || total > TOKENS_MAX)
        return att_err_set(err, ATT_EINVAL, "inputs.input_ids: expected rows of ids, at most %d in all", TOKENS_MAX);
    int32_t *ids = cli_case_alloc(one, total, sizeof *ids, err);
    uint32_t *cu = ids ? cli_case_alloc(one, n + 1, sizeof *cu, err) : NULL;
    if (!cu)
        return ATT_ENOMEM;
    for (size_t s = 0; s < n; s++) {
        int changes = 0;
        int64_t before = 0;
        for (size_t t = 0; t < width; t++) {
            int64_t id = -1, real = 1;
            if (!att_json_integer(att_json_at(att_json_at(rows, s), t), 0, INT32_MAX, &id) ||
                (masks && !att_json_integer(att_json_at(att_json_at(masks, s), t), 0, 1, &real)))
                return att_err_set(err, ATT_EINVAL, "inputs.input_ids[%zu][%zu]: expected an id, and a mask of 0 or 1",
                                   s, t);
            changes += real != before && (t > 0 || real);
            before = real;
            if (real)
                ids[at++] = (int32_t)id;
        }
        if (at == cu[s] || changes > 2)
            return att_err_set(err, ATT_EUNSUPPORTED, "inputs.attention_mask[%zu]: expected one run of ones", s);
        cu[s + 1] = (uint32_t)at;
    }
    *ret_batch = (struct att_batch){.ids = ids, .cu_seqlens = cu, .n_seqs = n};
    return ATT_OK;
}

static enum att_status options(struct cli_runner *runner, const struct cli_case *one, struct att_generation *generation,
                               struct att_err *err)
{
    const struct att_json *params = att_json_get(one->root, "params");
    enum att_status status = att_generation_defaults(runner->model, generation, err);
    if (status == ATT_OK && params && (status = att_generation_read(params, generation, err)) != ATT_OK)
        att_err_prefix(err, "params");
    return status;
}

/* Copies the results into the case, frees them, and lists them as "sequences", "finished" and "sequences_scores". */
static enum att_status put_sequences(struct cli_case *one, struct att_generated *results, size_t n, bool scored,
                                     struct att_err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += results[i].len;
    int32_t *ids = cli_case_alloc(one, total, sizeof *ids, err);
    int32_t *finished = ids ? cli_case_alloc(one, n, sizeof *finished, err) : NULL;
    uint32_t *cu = finished ? cli_case_alloc(one, n + 1, sizeof *cu, err) : NULL;
    float *scores = cu ? cli_case_alloc(one, n, sizeof *scores, err) : NULL;
    for (size_t i = 0; scores && i < n; i++) {
        memcpy(ids + cu[i], results[i].ids, results[i].len * sizeof *ids);
        cu[i + 1] = cu[i] + (uint32_t)results[i].len;
        finished[i] = results[i].finished;
        scores[i] = results[i].score;
    }
    for (size_t i = 0; i < n; i++)
        att_mem_free(results[i].ids);
    if (!scores)
        return ATT_ENOMEM;
    one->lists[one->n_lists++] = (struct cli_list){.name = "sequences", .values = ids, .cu = cu, .n_rows = n};
    one->lists[one->n_lists++] =
        (struct cli_list){.name = "finished", .values = finished, .count = n, .booleans = true};
    return scored ? cli_case_put(one, "sequences_scores", n, scores, err) : ATT_OK;
}

enum att_status cli_run_generate(struct cli_runner *runner, struct cli_case *one, struct att_err *err)
{
    static const char *const known[] = {"input_ids", "attention_mask", "src", "src_mask", NULL};
    struct att_generation *generation = cli_case_alloc(one, 1, sizeof *generation, err);
    struct att_batch prompts;
    enum att_status status = generation ? task_fields_known(one->inputs, "inputs", known, err) : ATT_ENOMEM;
    if (status == ATT_OK)
        status = options(runner, one, generation, err);
    if (status == ATT_OK)
        status = read_prompts(one, &prompts, err);
    if (status != ATT_OK)
        return status;
    size_t n = prompts.n_seqs * generation->num_return_sequences;
    struct att_generated *results = cli_case_alloc(one, n, sizeof *results, err);
    if (!results)
        return ATT_ENOMEM;
    one->wanted = att_json_count(one->wanted) ? one->wanted : NULL;
    status = att_generate(runner->model, generation, &prompts, NULL, results, err);
    return status == ATT_OK ? put_sequences(one, results, n, generation->num_beams > 1, err) : status;
}

/* ---- text ---- */

/* Writes on from ids, and answers "sequence" and "text". */
enum att_status cli_case_write(struct cli_runner *runner, struct cli_case *one, const int32_t *ids, size_t len,
                               struct att_err *err)
{
    const uint32_t cu[2] = {0, (uint32_t)len};
    const struct att_batch prompt = {.ids = ids, .cu_seqlens = cu, .n_seqs = 1};
    struct att_generation *generation = cli_case_alloc(one, 1, sizeof *generation, err);
    struct att_generated result;
    char *text = NULL;
    size_t text_len = 0;
    enum att_status status = generation ? options(runner, one, generation, err) : ATT_ENOMEM;
    if (status == ATT_OK) {
        generation->num_return_sequences = 1;
        status = att_generate(runner->model, generation, &prompt, NULL, &result, err);
    }
    if (status != ATT_OK)
        return status;
    status =
        att_tokenizer_decode(att_model_tokenizer(runner->model), result.ids, result.len, true, &text, &text_len, err);
    int32_t *sequence = cli_case_alloc(one, result.len, sizeof *sequence, err);
    char *copy = status == ATT_OK && sequence ? cli_case_alloc(one, text_len + 1, 1, err) : NULL;
    if (copy) {
        memcpy(sequence, result.ids, result.len * sizeof *sequence);
        memcpy(copy, text, text_len);
        one->lists[one->n_lists++] = (struct cli_list){.name = "sequence", .values = sequence, .count = result.len};
        one->strings[one->n_strings++] = (struct cli_string){"text", copy, text_len};
    } else if (status == ATT_OK) {
        status = ATT_ENOMEM;
    }
    att_mem_free(result.ids);
    att_mem_free(text);
    return status;
}

enum att_status cli_run_generate_text(struct cli_runner *runner, struct cli_case *one, struct att_err *err)
{
    static const char *const known[] = {"text", NULL};
    struct att_sequence sequence;
    size_t len = 0;
    enum att_status status = task_fields_known(one->inputs, "inputs", known, err);
    if (status == ATT_OK)
        status = cli_case_encode(runner, one, "text", NULL, &sequence, err);
    if (status != ATT_OK)
        return status;
    const char *prompt = att_json_string(att_json_get(one->inputs, "text"), &len);
    one->strings[one->n_strings++] = (struct cli_string){"prompt", prompt, len};
    one->lists[one->n_lists++] = (struct cli_list){.name = "ids", .values = sequence.ids, .count = sequence.len};
    return cli_case_write(runner, one, sequence.ids, sequence.len, err);
}

/* ---- warp ---- */

static enum att_status read_floats(const struct att_json *data, size_t count, float *ret, struct att_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!att_json_is_number(att_json_at(data, i)))
            return att_err_set(err, ATT_EINVAL, "logits.data[%zu]: expected a number", i);
        ret[i] = (float)att_json_number(att_json_at(data, i), 0);
    }
    return ATT_OK;
}

/* The scores stand in inputs.logits or, as reference lines have it, in outputs.logits. */
enum att_status cli_run_warp(struct cli_runner *runner, struct cli_case *one, struct att_err *err)
{
    (void)runner;
    const struct att_json *history = att_json_get(one->inputs, "history");
    const struct att_json *given = att_json_get(one->inputs, "logits");
    const struct att_json *data = att_json_get(given ? given : att_json_get(one->wanted, "logits"), "data");
    const struct att_json *params = att_json_get(one->root, "params");
    size_t vocab = att_json_count(data), len = att_json_count(history);
    struct att_generation *generation = cli_case_alloc(one, 1, sizeof *generation, err);
    float *scores = generation ? cli_case_alloc(one, 3 * vocab + 1, sizeof *scores, err) : NULL;
    int32_t *ids = scores ? cli_case_alloc(one, len + 1, sizeof *ids, err) : NULL;
    if (!ids)
        return ATT_ENOMEM;
    if (vocab == 0)
        return att_err_set(err, ATT_EINVAL, "inputs.logits: is missing, expected {\"shape\",\"data\"}");
    *generation = (struct att_generation){.repetition_penalty = 1, .warping = {.temperature = 1, .top_p = 1}};
    generation->max_new_tokens = generation->num_beams = generation->num_return_sequences = 1;
    enum att_status status = params ? att_generation_read(params, generation, err) : ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < len; i++) {
        int64_t id = 0;
        if (!att_json_integer(att_json_at(history, i), 0, (int64_t)vocab - 1, &id))
            return att_err_set(err, ATT_EINVAL, "inputs.history[%zu]: expected an id from 0 to %zu", i, vocab - 1);
        ids[i] = (int32_t)id;
    }
    if (status == ATT_OK)
        status = read_floats(data, vocab, scores, err);
    if (status == ATT_OK)
        status = cli_case_put(one, "logits", vocab, scores, err);
    if (status != ATT_OK)
        return status;
    const struct att_processing processing = {.repetition_penalty = generation->repetition_penalty,
                                              .no_repeat_ngram_size = generation->no_repeat_ngram_size,
                                              .banned = generation->banned,
                                              .n_banned = generation->n_banned,
                                              .forced_bos_id = -1,
                                              .forced_eos_id = -1};
    att_logits_process(&processing, ids, len, 0, vocab, scores);
    att_logits_warp(&generation->warping, vocab, scores, scores + vocab);
    att_softmax(vocab, scores, 1, scores);
    return cli_case_put(one, "probabilities", vocab, scores, err);
}
