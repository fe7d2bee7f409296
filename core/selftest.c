/*
 * golden.jsonl: a few inputs with the outputs they must give, run when a model
 * is loaded. Three kinds of lines:
 *
 *   {"text":…, "head_logits":{"sentiment":[…],…}}
 *   {"text":…, "embedding":[…]}
 *   {"history":[item index,…], "topk_ids":[…], "topk_scores":[…]}   seen items left out
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/model.h"

enum { FILE_MAX = 8 << 20, LINES_MAX = 1000, DEPTH = 8 };

/* f32 kernels differ from the reference by 1e-5; a wrong head, scale or pooling by far more than this. */
static const float tolerance = 1e-3f;

struct run {
    struct att_model *model;
    struct att_context *context;
    struct att_tokens tokens;
    int32_t *ids, *type_ids;
    float *scores; /* recommenders: [vocab_size] */
    size_t line;
};

static enum att_status differs(const struct run *run, struct att_err *err, const char *what, double got,
                               double expected)
{
    return att_err_set(err, ATT_EFORMAT, "golden.jsonl: line %zu: %s is %.6g, expected %.6g", run->line, what, got,
                       expected);
}

static enum att_status compare(const struct run *run, const char *what, const struct att_json *expected,
                               const float *got, size_t count, struct att_err *err)
{
    if (att_json_count(expected) != count)
        return differs(run, err, what, (double)count, (double)att_json_count(expected));
    float largest = 1;
    for (size_t i = 0; i < count; i++)
        largest = fmaxf(largest, fabsf((float)att_json_number(att_json_at(expected, i), NAN)));
    for (size_t i = 0; i < count; i++) {
        double value = att_json_number(att_json_at(expected, i), NAN);
        if (!(fabs((double)got[i] - value) <= (double)(tolerance * largest)))
            return differs(run, err, what, (double)got[i], value);
    }
    return ATT_OK;
}

static enum att_status forward(struct run *run, size_t len, struct att_output *out, struct att_err *err)
{
    const uint32_t cu[2] = {0, (uint32_t)len};
    const struct att_batch batch = {.ids = run->ids, .type_ids = run->type_ids, .cu_seqlens = cu, .n_seqs = 1};
    enum att_status status = att_forward(run->context, &batch, NULL, out, err);
    return status == ATT_OK ? ATT_OK : att_err_prefix(err, "golden.jsonl: line %zu", run->line);
}

static enum att_status text_line(struct run *run, const struct att_json *line, struct att_err *err)
{
    const struct att_model_info *info = &run->model->info;
    const struct att_tokenizer *tokenizer = run->model->tokenizer;
    size_t len;
    const char *text = att_json_string(att_json_get(line, "text"), &len);
    if (!text || !tokenizer)
        return att_err_set(err, ATT_EFORMAT, "golden.jsonl: line %zu: text: needs a string and a tokenizer", run->line);
    /* As a request's text is read: after the model's default prompt, without links. */
    size_t prompt_len = strlen(info->default_prompt);
    char *whole = att_mem_calloc(prompt_len + len + 1, 1);
    if (!whole)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    memcpy(whole, info->default_prompt, prompt_len);
    memcpy(whole + prompt_len, text, len);
    if (info->strip_urls)
        att_blank_urls(whole, prompt_len + len);
    enum att_status status = att_tokenizer_encode(tokenizer, whole, prompt_len + len, 0, 0, &run->tokens, err);
    att_mem_free(whole);
    size_t special = att_tokenizer_special_count(tokenizer, false);
    size_t room = info->max_tokens > special ? info->max_tokens - special : 0;
    struct att_sequence sequence = {.ids = run->ids, .type_ids = run->type_ids, .capacity = info->max_tokens};
    if (status == ATT_OK)
        status = att_tokenizer_assemble(tokenizer, run->tokens.items,
                                        run->tokens.count < room ? run->tokens.count : room, NULL, 0, &sequence, err);
    struct att_output out;
    if (status == ATT_OK)
        status = forward(run, sequence.len, &out, err);
    if (status != ATT_OK)
        return status;
    const struct att_json *heads = att_json_get(line, "head_logits"), *embedding = att_json_get(line, "embedding");
    if ((!heads && !embedding) || (heads && info->n_head_infos == 0) || (embedding && !out.pooled))
        return att_err_set(err, ATT_EFORMAT,
                           "golden.jsonl: line %zu: %s: expected head_logits or embedding, as the "
                           "model has them",
                           run->line,
                           heads       ? "head_logits"
                           : embedding ? "embedding"
                                       : "nothing");
    for (size_t i = 0; status == ATT_OK && heads && i < info->n_head_infos; i++) {
        const struct att_head_info *head = &info->heads[i];
        status = compare(run, head->name, att_json_get(heads, head->name), out.logits + head->logits_begin,
                         head->n_labels, err);
    }
    if (status == ATT_OK && embedding)
        status = compare(run, "embedding", embedding, out.pooled, info->hidden_size, err);
    return status;
}

static enum att_status history_line(struct run *run, const struct att_json *line, struct att_err *err)
{
    const struct att_json *history = att_json_get(line, "history"), *ids = att_json_get(line, "topk_ids");
    const struct att_json *scores = att_json_get(line, "topk_scores");
    size_t all = att_json_count(history), room = run->model->info.max_tokens;
    size_t skip = all > room ? all - room : 0, len = all - skip;
    if (len == 0 || !run->scores || att_json_count(ids) == 0 || att_json_count(ids) != att_json_count(scores))
        return att_err_set(
            err, ATT_EFORMAT,
            "golden.jsonl: line %zu: history: needs items, a recommender, and as many topk_ids as topk_scores",
            run->line);
    for (size_t i = 0; i < len; i++) {
        int64_t id;
        if (!att_json_integer(att_json_at(history, skip + i), 1, INT32_MAX, &id))
            return att_err_set(err, ATT_EFORMAT, "golden.jsonl: line %zu: history: expected item indexes", run->line);
        run->ids[i] = (int32_t)id;
        run->type_ids[i] = 0;
    }
    struct att_output out;
    enum att_status status = forward(run, len, &out, err);
    if (status != ATT_OK)
        return status;
    att_score_items(run->model, out.pooled, run->scores);
    for (size_t i = 0; i < all; i++) {
        int64_t id;
        if (att_json_integer(att_json_at(history, i), 1, (int64_t)run->model->info.vocab_size - 1, &id))
            run->scores[id] = -INFINITY;
    }
    float got[64];
    size_t count = att_json_count(ids) < 64 ? att_json_count(ids) : 64;
    for (size_t k = 0; k < count; k++) {
        size_t best = 1;
        for (size_t i = 2; i < run->model->info.vocab_size; i++)
            if (run->scores[i] > run->scores[best])
                best = i;
        if ((double)best != att_json_number(att_json_at(ids, k), -1))
            return differs(run, err, "topk_ids", (double)best, att_json_number(att_json_at(ids, k), -1));
        got[k] = run->scores[best];
        run->scores[best] = -INFINITY;
    }
    return compare(run, "topk_scores", scores, got, count, err);
}

static enum att_status one_line(struct run *run, const char *text, size_t len, struct att_err *err)
{
    struct att_json *line = NULL;
    enum att_status status = att_json_parse(text, len, ATT_JSON_NAME_KEYS, DEPTH, &line, err);
    if (status != ATT_OK) {
        att_err_prefix(err, "golden.jsonl: line %zu", run->line);
        return ATT_EFORMAT;
    }
    status = att_json_get(line, "history") ? history_line(run, line, err) : text_line(run, line, err);
    att_json_destroy(line);
    return status;
}

static enum att_status run_lines(struct run *run, const char *text, size_t len, size_t *ret_cases, struct att_err *err)
{
    size_t cases = 0;
    for (size_t at = 0; at < len;) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t end = newline ? (size_t)(newline - text) : len;
        run->line++;
        if (end > at) {
            if (++cases > LINES_MAX)
                return att_err_limit(err, NULL, LINES_MAX, cases, "golden.jsonl: more than %d lines", LINES_MAX);
            enum att_status status = one_line(run, text + at, end - at, err);
            if (status != ATT_OK)
                return status;
        }
        at = end + 1;
    }
    *ret_cases = cases;
    return ATT_OK;
}

enum att_status att_model_self_test(struct att_model *model, size_t *ret_cases, struct att_err *err)
{
    struct att_dir dir;
    char *text = NULL;
    size_t len = 0, longest = model->info.max_tokens;
    *ret_cases = 0;
    enum att_status status = att_dir_open(model->info.dir, &dir, err);
    if (status != ATT_OK)
        return status;
    struct run run = {.model = model};
    att_tokens_init(&run.tokens);
    if (!att_dir_has(&dir, "golden.jsonl"))
        goto done;
    status = att_dir_read(&dir, "golden.jsonl", FILE_MAX, &text, &len, err);
    if (status == ATT_OK)
        status = att_context_create(model, longest, 1, &run.context, err);
    if (status != ATT_OK)
        goto done;
    run.ids = att_mem_calloc(longest, sizeof *run.ids);
    run.type_ids = att_mem_calloc(longest, sizeof *run.type_ids);
    run.scores = model->arch->items ? att_mem_aligned(model->info.vocab_size, sizeof *run.scores) : NULL;
    if (!run.ids || !run.type_ids || (model->arch->items && !run.scores))
        status = att_err_set(err, ATT_ENOMEM, "out of memory");
    else
        status = run_lines(&run, text, len, ret_cases, err);
done:
    att_context_destroy(run.context);
    att_tokens_finish(&run.tokens);
    att_mem_free(run.ids);
    att_mem_free(run.type_ids);
    att_mem_free(run.scores);
    att_mem_free(text);
    att_dir_close(&dir);
    return status;
}
