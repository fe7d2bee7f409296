/* Merging attention over windows and word pieces; see explain.h. */
#include "tasks/explain.h"

#include <string.h>

struct word {
    uint32_t start, end;
    double weight;
};

/* Adds every token's weight to its word: weights[text][byte where the token starts]. */
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

static void put_word(struct att_jsonw *answer, const char *text, const struct word *word, bool pair)
{
    att_jsonw_object_begin(answer);
    att_jsonw_key(answer, "text");
    att_jsonw_string(answer, text + word->start, word->end - word->start);
    att_jsonw_key(answer, "start");
    att_jsonw_int(answer, word->start);
    att_jsonw_key(answer, "end");
    att_jsonw_int(answer, word->end);
    att_jsonw_key(answer, "weight");
    att_jsonw_float(answer, (float)word->weight);
    if (pair) {
        att_jsonw_key(answer, "pair");
        att_jsonw_bool(answer, true);
    }
    att_jsonw_object_end(answer);
}

/* A piece that begins with "##" goes on with the word before it. */
static bool continues(const struct att_tokenizer *tokenizer, const struct att_token *token)
{
    const char *piece = att_tokenizer_token(tokenizer, token->id);
    return piece && strncmp(piece, "##", 2) == 0;
}

static void put_words(const struct task_call *call, const struct task_tokens *tokens, size_t count, const char *text,
                      const double *weights, double total, bool pair, struct att_jsonw *answer)
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(call->model->model);
    for (size_t i = 0; i < count;) {
        struct word word = {tokens->items[i].start, tokens->items[i].end, 0};
        uint32_t counted = UINT32_MAX; /* two tokens of one character (unfolded) share a start: count it once */
        do {
            if (tokens->items[i].start != counted)
                word.weight += weights[tokens->items[i].start];
            counted = tokens->items[i].start;
            word.end = tokens->items[i].end > word.end ? tokens->items[i].end : word.end;
            i++;
        } while (i < count && (tokens->items[i].start == counted || continues(tokenizer, &tokens->items[i])));
        word.weight = total > 0 ? word.weight / total : 0;
        put_word(answer, text, &word, pair);
    }
}

enum att_status task_explain_attention(struct task_call *call, const struct task_windows *windows, const char *text,
                                       const char *pair, struct att_jsonw *answer, struct att_err *err)
{
    const struct task_tokens *both[2] = {&windows->text, &windows->pair};
    double *weights[2] = {NULL, NULL}, total;
    for (size_t i = 0; i < 2; i++) {
        size_t bytes = both[i]->count ? both[i]->items[both[i]->count - 1].end : 0;
        weights[i] = task_alloc(call, bytes + 1, sizeof **weights, err);
        if (!weights[i])
            return err->status;
    }
    gather(call, windows, weights, &total);
    size_t shown = windows->count > 1 || windows->text.count < windows->room ? windows->text.count : windows->room;
    att_jsonw_object_begin(answer);
    att_jsonw_key(answer, "method");
    att_jsonw_cstring(answer, "attention");
    att_jsonw_key(answer, "tokens");
    att_jsonw_array_begin(answer);
    put_words(call, &windows->text, shown, text, weights[0], total, false, answer);
    if (pair)
        put_words(call, &windows->pair, windows->pair_count, pair, weights[1], total, true, answer);
    att_jsonw_array_end(answer);
    att_jsonw_object_end(answer);
    return ATT_OK;
}
