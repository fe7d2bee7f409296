/* Options, weights of attention, and the answer's part; see explain.h. */
#include "tasks/explain/explain.h"

#include <string.h>

static const char *const names[] = {"none", "attention", "occlusion", "rollout"};

const char *task_explain_name(enum task_explain_method method)
{
    return names[method];
}

enum att_status task_explain_parse(const struct att_json *body, const char *const *words, struct task_explain *explain,
                                   struct att_err *err)
{
    size_t word = 0, method = 0;
    enum att_status status = task_field_enum(body, "", "explain", words, &word, err);
    while (strcmp(names[method], words[word]) != 0)
        method++;
    explain->method = (enum task_explain_method)method;
    explain->faithfulness = explain->method == TASK_EXPLAIN_OCCLUSION;
    if (status == ATT_OK)
        status = task_field_bool(body, "", "faithfulness", &explain->faithfulness, err);
    return status;
}

/* Adds every token's weight to the byte of its text where it starts. */
static void gather(const struct task_call *call, const struct task_windows *windows, double *weights[2],
                   double *ret_total)
{
    double total = 0;
    for (size_t w = 0; w < windows->count; w++) {
        const struct task_job *job = &call->jobs[windows->first_job + w];
        const struct task_spans *spans = &windows->spans[w];
        for (size_t t = 0; t < job->len; t++) {
            if (spans->text_index[t] < 0)
                continue;
            weights[spans->text_index[t]][spans->starts[t]] += (double)job->attention[t];
            total += (double)job->attention[t];
        }
    }
    *ret_total = total;
}

enum att_status task_explain_words(struct task_call *call, const struct task_model *model, struct task_explained *item,
                                   size_t words_max, struct att_err *err)
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(model->model);
    const struct task_windows *windows = item->windows;
    size_t shown = windows->count > 1 || windows->text.count < windows->room ? windows->text.count : windows->room;
    size_t pair = item->texts[1] ? windows->pair_count : 0, n = 0;
    item->words = task_alloc(call, shown + pair + 1, sizeof *item->words, err);
    if (!item->words)
        return err->status;
    if (!item->second_only)
        n = task_words_find(tokenizer, item->texts[0], item->lens[0], windows->text.items, shown, false, item->words);
    if (pair > 0)
        n +=
            task_words_find(tokenizer, item->texts[1], item->lens[1], windows->pair.items, pair, true, item->words + n);
    item->n_words = words_max ? task_words_group(item->words, n, words_max) : n;
    return ATT_OK;
}

enum att_status task_explain_attend(struct task_call *call, struct task_explained *item, struct att_err *err)
{
    const struct task_tokens *both[2] = {&item->windows->text, &item->windows->pair};
    double *weights[2] = {NULL, NULL}, total;
    for (size_t i = 0; i < 2; i++) {
        size_t bytes = both[i]->count ? both[i]->items[both[i]->count - 1].end : 0;
        weights[i] = task_alloc(call, bytes + 1, sizeof **weights, err);
        if (!weights[i])
            return err->status;
    }
    item->weights = task_alloc(call, item->n_words + 1, sizeof *item->weights, err);
    if (!item->weights)
        return err->status;
    gather(call, item->windows, weights, &total);
    for (size_t i = 0; i < item->n_words; i++) {
        const struct task_word *word = &item->words[i];
        const struct att_token *tokens = both[word->second]->items + word->first;
        uint32_t counted = UINT32_MAX; /* two tokens of one character (unfolded) share a start: count it once */
        for (size_t t = 0; t < word->count; t++) {
            if (tokens[t].start != counted)
                item->weights[i] += weights[word->second][tokens[t].start];
            counted = tokens[t].start;
        }
        item->weights[i] = total > 0 ? item->weights[i] / total : 0;
    }
    return ATT_OK;
}

static void put_words(const struct task_explained *item, const double *weights, struct att_jsonw *answer)
{
    att_jsonw_key(answer, "tokens");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < item->n_words; i++) {
        const struct task_word *word = &item->words[i];
        att_jsonw_object_begin(answer);
        att_jsonw_put_string(answer, "text", item->texts[word->second] + word->start, word->end - word->start);
        att_jsonw_put_int(answer, "start", word->start);
        att_jsonw_put_int(answer, "end", word->end);
        att_jsonw_put_float(answer, "weight", (float)weights[i]);
        if (word->second)
            att_jsonw_put_bool(answer, "pair", true);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
}

void task_explain_render(const struct task_explain *explain, size_t item, size_t target, struct att_jsonw *answer)
{
    const struct task_explained *one = &explain->items[item];
    size_t row = explain->method == TASK_EXPLAIN_OCCLUSION ? target : 0;
    put_words(one, one->n_words > 0 ? one->weights + row * one->n_words : NULL, answer);
    if (one->faithfulness && one->n_words > 0)
        task_faithfulness_render(&one->faithfulness[target], answer);
}

enum att_status task_explain_attention(struct task_call *call, const struct task_windows *windows, const char *text,
                                       size_t len, struct att_jsonw *answer, struct att_err *err)
{
    struct task_explained item = {.texts = {text, NULL}, .lens = {len, 0}, .windows = windows};
    enum att_status status = task_explain_words(call, call->model, &item, 0, err);
    if (status == ATT_OK)
        status = task_explain_attend(call, &item, err);
    if (status != ATT_OK)
        return status;
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "method", "attention");
    put_words(&item, item.weights, answer);
    att_jsonw_object_end(answer);
    return ATT_OK;
}
