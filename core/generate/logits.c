/* Processors and warpers; names and order are transformers' LogitsProcessor classes. */
#include "core/generate/logits.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void ban_all_but(size_t vocab, float *scores, int32_t id)
{
    for (size_t i = 0; i < vocab; i++)
        scores[i] = -INFINITY;
    scores[id] = 0;
}

static bool seen_before(const int32_t *history, size_t at)
{
    for (size_t k = 0; k < at; k++)
        if (history[k] == history[at])
            return true;
    return false;
}

/* Every id of the history once, though it stands there often. */
static void penalize(float penalty, const int32_t *history, size_t n_history, size_t vocab, float *scores)
{
    for (size_t i = 0; i < n_history; i++) {
        size_t id = (size_t)history[i];
        if (id >= vocab || seen_before(history, i))
            continue;
        scores[id] = scores[id] < 0 ? scores[id] * penalty : scores[id] / penalty;
    }
}

/* What would complete an n-gram that the history holds. */
static void ban_ngrams(size_t n, const int32_t *history, size_t n_history, size_t vocab, float *scores)
{
    if (n_history + 1 < n)
        return;
    const int32_t *last = history + n_history - (n - 1);
    for (size_t i = 0; i + n <= n_history; i++)
        if (memcmp(history + i, last, (n - 1) * sizeof *last) == 0 && (size_t)history[i + n - 1] < vocab)
            scores[history[i + n - 1]] = -INFINITY;
}

static void ban_words(const struct att_processing *processing, const int32_t *history, size_t n_history, size_t vocab,
                      float *scores)
{
    for (size_t i = 0; i < processing->n_banned; i++) {
        const struct att_banned *banned = &processing->banned[i];
        size_t before = banned->len - 1, id = (size_t)banned->ids[before];
        if (id < vocab && n_history >= before &&
            memcmp(banned->ids, history + n_history - before, before * sizeof *history) == 0)
            scores[id] = -INFINITY;
    }
}

void att_logits_process(const struct att_processing *processing, const int32_t *history, size_t n_history, size_t n_new,
                        size_t vocab, float *scores)
{
    if (processing->repetition_penalty != 1.0f)
        penalize(processing->repetition_penalty, history, n_history, vocab, scores);
    if (processing->no_repeat_ngram_size > 0)
        ban_ngrams(processing->no_repeat_ngram_size, history, n_history, vocab, scores);
    ban_words(processing, history, n_history, vocab, scores);
    for (size_t i = 0; n_new < processing->min_new_tokens && i < processing->n_eos; i++)
        if ((size_t)processing->eos_ids[i] < vocab)
            scores[processing->eos_ids[i]] = -INFINITY;
    if (processing->forced_bos_id >= 0 && n_history == 1)
        ban_all_but(vocab, scores, processing->forced_bos_id);
    if (processing->forced_eos_id >= 0 && n_new + 1 == processing->max_new_tokens)
        ban_all_but(vocab, scores, processing->forced_eos_id);
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* Below the k-th largest score; equal ones stay. */
static void keep_top_k(size_t k, size_t vocab, float *scores, float *sorted)
{
    if (k >= vocab)
        return;
    memcpy(sorted, scores, vocab * sizeof *scores);
    qsort(sorted, vocab, sizeof *sorted, descending);
    for (size_t i = 0; i < vocab; i++)
        if (scores[i] < sorted[k - 1])
            scores[i] = -INFINITY;
}

struct ranked {
    float score;
    uint32_t id;
};

static int ascending(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score)
        return (x->score > y->score) - (x->score < y->score);
    return (x->id > y->id) - (x->id < y->id);
}

/* From the least likely on, ids whose probabilities sum to at most 1 - p; the likeliest stays. */
static void keep_top_p(float p, size_t vocab, float *scores, float *work)
{
    struct ranked *ranked = (struct ranked *)(void *)work;
    float top = -INFINITY, total = 0, sum = 0;
    for (size_t i = 0; i < vocab; i++) {
        ranked[i] = (struct ranked){scores[i], (uint32_t)i};
        top = scores[i] > top ? scores[i] : top;
    }
    qsort(ranked, vocab, sizeof *ranked, ascending);
    for (size_t i = 0; i < vocab; i++)
        total += expf(ranked[i].score - top);
    for (size_t i = 0; i + 1 < vocab; i++) {
        sum += expf(ranked[i].score - top) / total;
        if (sum > 1.0f - p)
            break;
        scores[ranked[i].id] = -INFINITY;
    }
}

static void keep_min_p(float p, size_t vocab, float *scores)
{
    float top = -INFINITY;
    for (size_t i = 0; i < vocab; i++)
        top = scores[i] > top ? scores[i] : top;
    for (size_t i = 0; i < vocab; i++)
        if (expf(scores[i] - top) < p)
            scores[i] = -INFINITY;
}

void att_logits_warp(const struct att_warping *warping, size_t vocab, float *scores, float *work)
{
    if (warping->temperature != 1.0f)
        for (size_t i = 0; i < vocab; i++)
            scores[i] /= warping->temperature;
    if (warping->top_k > 0)
        keep_top_k(warping->top_k, vocab, scores, work);
    if (warping->top_p < 1.0f)
        keep_top_p(warping->top_p, vocab, scores, work);
    if (warping->min_p > 0)
        keep_min_p(warping->min_p, vocab, scores);
}
