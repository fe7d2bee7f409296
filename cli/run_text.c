/*
 * The calls "embed" and "classify": text (and pair) in, the model's vector, or
 * logits, probabilities and label out. Special tokens in a text count as such,
 * and texts are cut as Hugging Face's pipelines do (longest first).
 */
#include <math.h>
#include <string.h>

#include "cli/run.h"

struct text_case {
    struct cli_runner *runner;
    struct cli_case *one;
    struct att_sequence sequence;
    struct att_output out;
};

static enum att_status encode(struct cli_runner *runner, const struct att_json *inputs, const char *name,
                              struct att_tokens *tokens, struct att_err *err)
{
    size_t len;
    const char *text = att_json_string(att_json_get(inputs, name), &len);
    if (!text)
        return att_err_set(err, ATT_EINVAL, "inputs.%s: is %s, expected a string", name,
                           att_json_type_name(att_json_get(inputs, name)));
    return att_tokenizer_encode(att_model_tokenizer(runner->model), text, len, 0, 0, tokens, err);
}

/* Both texts, cut and put into the template. */
static enum att_status assemble(struct cli_runner *runner, struct cli_case *one, bool pair,
                                struct att_sequence *sequence, struct att_err *err)
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(runner->model);
    const struct att_tokens *a = &runner->tokens[0], *b = &runner->tokens[1];
    size_t special = att_tokenizer_special_count(tokenizer, pair), a_end, b_end = 0, begin;
    const struct att_truncation truncation = {.strategy = ATT_TRUNCATE_LONGEST_FIRST,
                                              .max_len = runner->text_tokens_max};
    struct att_cut a_cut, b_cut;
    enum att_status status =
        att_truncate(&truncation, special, a->count, pair, pair ? b->count : 0, &a_cut, &b_cut, err);
    if (status != ATT_OK)
        return status;
    att_cut_range(&a_cut, 0, &begin, &a_end);
    if (pair)
        att_cut_range(&b_cut, 0, &begin, &b_end);
    *sequence = (struct att_sequence){.capacity = a_end + b_end + special};
    sequence->ids = cli_case_alloc(one, sequence->capacity, sizeof *sequence->ids, err);
    sequence->type_ids = cli_case_alloc(one, sequence->capacity, sizeof *sequence->type_ids, err);
    if (!sequence->ids || !sequence->type_ids)
        return ATT_ENOMEM;
    static const struct att_token none = {0};
    const struct att_token *second = b->count ? b->items : &none;
    return att_tokenizer_assemble(tokenizer, a->items, a_end, pair ? second : NULL, b_end, sequence, err);
}

enum att_status cli_case_encode(struct cli_runner *runner, struct cli_case *one, const char *name, const char *pair,
                                struct att_sequence *ret_sequence, struct att_err *err)
{
    bool paired = pair && att_json_type(att_json_get(one->inputs, pair)) != ATT_JSON_NULL;
    if (!att_model_tokenizer(runner->model))
        return att_err_set(err, ATT_EUNSUPPORTED, "inputs.%s: the model has no tokenizer", name);
    enum att_status status = encode(runner, one->inputs, name, &runner->tokens[0], err);
    if (status == ATT_OK && paired)
        status = encode(runner, one->inputs, pair, &runner->tokens[1], err);
    return status == ATT_OK ? assemble(runner, one, paired, ret_sequence, err) : status;
}

static enum att_status run(struct text_case *text, bool takes_pair, struct att_err *err)
{
    static const char *const alone[] = {"text", NULL}, *const paired[] = {"text", "pair", NULL};
    struct cli_runner *runner = text->runner;
    struct cli_case *one = text->one;
    enum att_status status = task_fields_known(one->inputs, "inputs", takes_pair ? paired : alone, err);
    if (status == ATT_OK)
        status = cli_case_encode(runner, one, "text", takes_pair ? "pair" : NULL, &text->sequence, err);
    if (status == ATT_OK)
        status = cli_runner_context(runner, text->sequence.len, 1, err);
    if (status != ATT_OK)
        return status;
    const struct att_sequence *sequence = &text->sequence;
    const uint32_t cu[2] = {0, (uint32_t)sequence->len};
    const struct att_batch batch = {
        .ids = sequence->ids, .type_ids = sequence->type_ids, .cu_seqlens = cu, .n_seqs = 1};
    one->lists[one->n_lists++] = (struct cli_list){.name = "ids", .values = sequence->ids, .count = sequence->len};
    if (takes_pair)
        one->lists[one->n_lists++] =
            (struct cli_list){.name = "type_ids", .values = sequence->type_ids, .count = sequence->len};
    return att_forward(runner->context, &batch, NULL, &text->out, err);
}

enum att_status cli_run_embed(struct cli_runner *runner, struct cli_case *one, struct att_err *err)
{
    struct text_case text = {.runner = runner, .one = one};
    enum att_status status = run(&text, false, err);
    if (status == ATT_OK)
        status = cli_case_put(one, "embedding", att_model_info(runner->model)->hidden_size, text.out.pooled, err);
    return status;
}

static enum att_status put_head(struct cli_case *one, const struct att_head_info *head, bool only, const float *logits,
                                struct att_err *err)
{
    char logits_name[CLI_TENSOR_NAME_BYTES], scores_name[CLI_TENSOR_NAME_BYTES];
    float *scores = cli_case_alloc(one, head->n_labels, sizeof *scores, err);
    size_t best = 0;
    if (!scores)
        return ATT_ENOMEM;
    if (!head->multi_label && head->n_labels > 1)
        att_softmax(head->n_labels, logits, head->temperature, scores);
    for (size_t i = 0; i < head->n_labels; i++) {
        if (head->multi_label || head->n_labels == 1)
            scores[i] = 1.0f / (1.0f + expf(-logits[i] / head->temperature));
        best = logits[i] > logits[best] ? i : best;
    }
    snprintf(logits_name, sizeof logits_name, "logits%s%.20s", only ? "" : ".", only ? "" : head->name);
    snprintf(scores_name, sizeof scores_name, "scores%s%.20s", only ? "" : ".", only ? "" : head->name);
    if (only)
        one->label = head->labels[best];
    enum att_status status = cli_case_put(one, logits_name, head->n_labels, logits, err);
    if (status == ATT_OK)
        status = cli_case_put(one, scores_name, head->n_labels, scores, err);
    return status;
}

enum att_status cli_run_classify(struct cli_runner *runner, struct cli_case *one, struct att_err *err)
{
    const struct att_model_info *info = att_model_info(runner->model);
    struct text_case text = {.runner = runner, .one = one};
    if (info->n_head_infos == 0 || info->per_token)
        return att_err_set(err, ATT_EUNSUPPORTED, "call: the model has no classification head");
    enum att_status status = run(&text, true, err);
    for (size_t i = 0; status == ATT_OK && i < info->n_head_infos; i++)
        status =
            put_head(one, &info->heads[i], info->n_head_infos == 1, text.out.logits + info->heads[i].logits_begin, err);
    return status;
}
