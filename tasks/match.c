/* Scoring entries; see match.h. */
#include "tasks/match.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/lexical.h"

enum { ALL_TEXTS_MAX = 8192, CANDIDATES = 64 };

/*
 * Fitted on models/support-kb: lexical weight and follow-up numbers by accuracy
 * of the first answer, `half` and the logistic by maximum likelihood on "the
 * first answer is right", with CLINC150's out-of-scope questions among the
 * negatives of the English row. docs/models.md has the figures.
 */
static const struct calibration {
    float lexical;               /* w */
    float half;                  /* s at which half of the first answers are right */
    float knee;                  /* score at s = half + 0.2 */
    float per_s, per_lead, bias; /* logit of confidence */
} latin = {0.15f, 0.55f, 0.84f, 17.35f, 7.47f, -10.20f}, cjk = {0.85f, 0.42f, 0.67f, 6.51f, 19.12f, -4.26f};

static const float prompt_gain = 0.10f, repeat_loss = 0.05f, script_loss = 0.30f;

/* Working arrays of one rank, [n_entries] each. */
struct scores {
    float *cosine, *lexical, *sum;
    size_t *text;
    bool *candidate;
};

static enum att_status scores_alloc(struct task_call *call, size_t n, struct scores *scores, struct att_err *err)
{
    scores->cosine = task_alloc(call, n + 1, sizeof(float), err);
    scores->lexical = scores->cosine ? task_alloc(call, n + 1, sizeof(float), err) : NULL;
    scores->sum = scores->lexical ? task_alloc(call, n + 1, sizeof(float), err) : NULL;
    scores->text = scores->sum ? task_alloc(call, n + 1, sizeof(size_t), err) : NULL;
    scores->candidate = scores->text ? task_alloc(call, n + 1, sizeof(bool), err) : NULL;
    return scores->candidate ? ATT_OK : err->status;
}

/* Best cosine of every entry's texts. */
static enum att_status add_cosines(struct task_call *call, const struct store_kb_view *view, const float *vector,
                                   struct scores *scores, struct att_err *err)
{
    float *all = task_alloc(call, view->n_texts + 1, sizeof *all, err);
    if (!all)
        return err->status;
    att_dot_table(0, view->n_texts, view->dimensions, view->vectors, view->dimensions, vector, all);
    for (size_t i = 0; i < view->n_entries; i++)
        scores->cosine[i] = -1;
    for (size_t t = 0; t < view->n_texts; t++)
        if (all[t] > scores->cosine[view->texts[t].entry])
            scores->cosine[view->texts[t].entry] = all[t];
    return ATT_OK;
}

/* Small knowledge bases: every entry. Large ones: the nearest by vector and by FTS5. */
static enum att_status choose_candidates(struct store_kb *kb, const struct store_kb_view *view,
                                         const struct task_match_text *text, struct scores *scores, struct att_err *err)
{
    if (view->n_texts <= ALL_TEXTS_MAX) {
        memset(scores->candidate, 1, view->n_entries * sizeof *scores->candidate);
        return ATT_OK;
    }
    size_t found[CANDIDATES], count = 0;
    enum att_status status = store_kb_match(kb, view, text->text, text->len, found, CANDIDATES, &count, err);
    for (size_t i = 0; status == ATT_OK && i < count; i++)
        scores->candidate[view->texts[found[i]].entry] = true;
    for (size_t k = 0; status == ATT_OK && k < CANDIDATES; k++) {
        size_t best = view->n_entries;
        for (size_t i = 0; i < view->n_entries; i++)
            if (!scores->candidate[i] && (best == view->n_entries || scores->cosine[i] > scores->cosine[best]))
                best = i;
        if (best < view->n_entries)
            scores->candidate[best] = true;
    }
    return status;
}

static void add_lexical(const struct store_kb_view *view, const struct task_match_text *text, struct scores *scores)
{
    uint32_t grams[STORE_GRAMS_MAX];
    size_t n = store_grams(text->text, text->len, grams);
    float norm = store_grams_norm(view->idf, grams, n);
    for (size_t i = 0; i < view->n_entries; i++)
        scores->lexical[i] = -1;
    for (size_t t = 0; t < view->n_texts; t++) {
        const struct store_kb_text *own = &view->texts[t];
        if (!scores->candidate[own->entry])
            continue;
        float likeness = store_grams_cosine(view->idf, grams, n, norm, own->grams, own->n_grams, own->norm);
        if (likeness > scores->lexical[own->entry]) {
            scores->lexical[own->entry] = likeness;
            scores->text[own->entry] = t;
        }
    }
}

/* sum += share · ((1 - w)·cosine + w·lexical) for one text. */
static enum att_status add_text(struct task_call *call, struct store_kb *kb, const struct store_kb_view *view,
                                const struct task_match_text *text, float share, const struct calibration *fit,
                                struct scores *scores, struct att_err *err)
{
    enum att_status status = add_cosines(call, view, text->vector, scores, err);
    if (status == ATT_OK)
        status = choose_candidates(kb, view, text, scores, err);
    if (status != ATT_OK)
        return status;
    add_lexical(view, text, scores);
    for (size_t i = 0; i < view->n_entries; i++)
        if (scores->candidate[i])
            scores->sum[i] +=
                share * ((1 - fit->lexical) * scores->cosine[i] + fit->lexical * fmaxf(scores->lexical[i], 0));
    return ATT_OK;
}

static bool entry_is_cjk(const struct store_kb_entry *entry)
{
    return store_cjk_share(entry->question, strlen(entry->question)) > 0.3f;
}

/* The entry that the last turn asked for: given by its id, or its own best match. */
static enum att_status previous_entry(struct task_call *call, struct store_kb *kb, const struct store_kb_view *view,
                                      const struct task_match_query *query, const struct calibration *fit, bool is_cjk,
                                      size_t *ret_entry, struct att_err *err)
{
    struct scores scores;
    *ret_entry = query->previous_id ? store_kb_find(view, query->previous_id) : view->n_entries;
    if (query->previous_id || !query->turn.text)
        return ATT_OK;
    enum att_status status = scores_alloc(call, view->n_entries, &scores, err);
    if (status == ATT_OK)
        status = add_text(call, kb, view, &query->turn, 1, fit, &scores, err);
    for (size_t i = 0; status == ATT_OK && i < view->n_entries; i++)
        if (scores.candidate[i] && entry_is_cjk(&view->entries[i]) == is_cjk &&
            (*ret_entry == view->n_entries || scores.sum[i] > scores.sum[*ret_entry]))
            *ret_entry = i;
    return status;
}

static void follow_up(const struct store_kb_view *view, size_t previous, struct scores *scores)
{
    if (previous == view->n_entries)
        return;
    const struct store_kb_entry *entry = &view->entries[previous];
    scores->sum[previous] -= repeat_loss;
    for (size_t i = 0; i < entry->n_prompts; i++) {
        size_t next = store_kb_find(view, entry->prompts[i]);
        if (next < view->n_entries)
            scores->sum[next] += prompt_gain;
    }
}

/* 0.5 at `half`; its own slope up to the knee, where most right answers and their rivals lie, so that the default
 * margin parts them; then straight to 1. */
static float score_of(float s, const struct calibration *fit)
{
    const float width = 0.2f, half = fit->half;
    float score = s < half           ? 0.5f * s / half
                  : s < half + width ? 0.5f + (fit->knee - 0.5f) * (s - half) / width
                                     : fit->knee + (1 - fit->knee) * (s - half - width) / (1 - half - width);
    return score < 0 ? 0 : score > 1 ? 1 : score;
}

static int by_s(const void *a, const void *b)
{
    const struct task_match *x = a, *y = b;
    if (x->s != y->s)
        return x->s > y->s ? -1 : 1;
    return x->entry < y->entry ? -1 : x->entry > y->entry;
}

static enum att_status collect(struct task_call *call, const struct store_kb_view *view,
                               const struct task_match_query *query, const struct calibration *fit,
                               const struct scores *scores, struct task_match *matches, size_t max, size_t *ret_count,
                               struct att_err *err)
{
    struct task_match *all = task_alloc(call, view->n_entries + 1, sizeof *all, err);
    size_t count = 0;
    if (!all)
        return err->status;
    for (size_t i = 0; i < view->n_entries; i++)
        if (scores->candidate[i] && (!query->allowed || query->allowed[i]) &&
            (query->joined.text || !view->entries[i].context_only))
            all[count++] = (struct task_match){.entry = i, .text = scores->text[i], .s = scores->sum[i]};
    qsort(all, count, sizeof *all, by_s);
    for (size_t i = 0; i < count && i < max; i++) {
        /* How far an answer leads the best other one: below the first, it trails. */
        float rival = i > 0 ? all[0].s : count > 1 ? all[1].s : 0;
        all[i].score = score_of(all[i].s, fit);
        all[i].logit = (double)(fit->per_s * all[i].s + fit->per_lead * (all[i].s - rival) + fit->bias);
        all[i].confidence = 1 / (1 + exp(-all[i].logit));
        matches[i] = all[i];
    }
    *ret_count = count < max ? count : max;
    return ATT_OK;
}

enum att_status task_match_rank(struct task_call *call, struct store_kb *kb, const struct store_kb_view *view,
                                const struct task_match_query *query, struct task_match *matches, size_t max,
                                size_t *ret_count, struct att_err *err)
{
    bool is_cjk = store_cjk_share(query->question.text, query->question.len) > 0.3f;
    const struct calibration *fit = is_cjk ? &cjk : &latin;
    struct scores scores;
    size_t previous = view->n_entries;
    enum att_status status = scores_alloc(call, view->n_entries, &scores, err);
    if (status == ATT_OK)
        status = previous_entry(call, kb, view, query, fit, is_cjk, &previous, err);
    if (status == ATT_OK)
        status = add_text(call, kb, view, &query->question, query->joined.text ? 0.5f : 1, fit, &scores, err);
    if (status == ATT_OK && query->joined.text)
        status = add_text(call, kb, view, &query->joined, 0.5f, fit, &scores, err);
    if (status != ATT_OK)
        return status;
    follow_up(view, previous, &scores);
    for (size_t i = 0; i < view->n_entries; i++)
        if (entry_is_cjk(&view->entries[i]) != is_cjk)
            scores.sum[i] -= script_loss;
    return collect(call, view, query, fit, &scores, matches, max, ret_count, err);
}
