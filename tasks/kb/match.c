/* Scoring entries; see match.h. */
#include "tasks/kb/match.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "store/lexical.h"

enum { ALL_TEXTS_MAX = 8192, CANDIDATES = 64, NEAR = 5 };

static const float prompt_gain = 0.10f, repeat_loss = 0.05f, script_loss = 0.30f;

/* Working arrays of one rank, [n_entries] each. */
struct scores {
    struct task_match_features *features; /* of one text */
    struct task_match_features *mean;     /* over the texts of the question */
    float *sum;                           /* s */
    size_t *text;
    bool *candidate;
};

static enum att_status scores_alloc(struct task_call *call, size_t n, struct scores *scores, struct att_err *err)
{
    scores->features = task_alloc(call, n + 1, sizeof *scores->features, err);
    scores->mean = scores->features ? task_alloc(call, n + 1, sizeof *scores->mean, err) : NULL;
    scores->sum = scores->mean ? task_alloc(call, n + 1, sizeof(float), err) : NULL;
    scores->text = scores->sum ? task_alloc(call, n + 1, sizeof(size_t), err) : NULL;
    scores->candidate = scores->text ? task_alloc(call, n + 1, sizeof(bool), err) : NULL;
    return scores->candidate ? ATT_OK : err->status;
}

void task_match_cosines(const float *cosines, size_t n, struct task_match_features *features)
{
    float top[NEAR], sum = 0;
    size_t kept = 0;
    assert(n > 0);
    for (size_t i = 0; i < n; i++) {
        size_t at = kept < NEAR ? kept++ : NEAR;
        for (; at > 0 && cosines[i] > top[at - 1]; at--)
            if (at < NEAR)
                top[at] = top[at - 1];
        if (at < NEAR)
            top[at] = cosines[i];
    }
    for (size_t i = 0; i < kept; i++)
        sum += top[i];
    features->best = top[0];
    features->near = sum / (float)kept;
}

/* Cosines of all entries' texts with the vector. */
static enum att_status add_cosines(struct task_call *call, const struct store_kb_view *view, const float *vector,
                                   struct scores *scores, struct att_err *err)
{
    float *all = task_alloc(call, view->n_texts + 1, sizeof *all, err);
    if (!all)
        return err->status;
    att_dot_table(0, view->n_texts, view->dimensions, view->vectors, view->dimensions, vector, all);
    for (size_t t = 0; t < view->n_texts;) {
        size_t end = t + 1, entry = view->texts[t].entry;
        while (end < view->n_texts && view->texts[end].entry == entry)
            end++;
        task_match_cosines(all + t, end - t, &scores->features[entry]);
        t = end;
    }
    return ATT_OK;
}

/* Large knowledge bases: the entries nearest to the text by vector and by FTS5 are candidates too. */
static enum att_status add_candidates(struct task_call *call, struct store_kb *kb, const struct store_kb_view *view,
                                      const struct task_match_text *text, struct scores *scores, struct att_err *err)
{
    size_t found[CANDIDATES], count = 0;
    enum att_status status = add_cosines(call, view, text->vector, scores, err);
    if (status == ATT_OK)
        status = store_kb_match(kb, view, text->text, text->len, found, CANDIDATES, &count, err);
    for (size_t i = 0; status == ATT_OK && i < count; i++)
        scores->candidate[view->texts[found[i]].entry] = true;
    for (size_t k = 0; status == ATT_OK && k < CANDIDATES; k++) {
        size_t best = view->n_entries;
        for (size_t i = 0; i < view->n_entries; i++)
            if (!scores->candidate[i] &&
                (best == view->n_entries || scores->features[i].best > scores->features[best].best))
                best = i;
        if (best < view->n_entries)
            scores->candidate[best] = true;
    }
    return status;
}

/* One set of candidates for all texts of the query: their sums are compared. Small knowledge bases: every entry. */
static enum att_status choose_candidates(struct task_call *call, struct store_kb *kb, const struct store_kb_view *view,
                                         const struct task_match_query *query, struct scores *scores,
                                         struct att_err *err)
{
    const struct task_match_text *const texts[] = {&query->question, &query->joined, &query->turn};
    enum att_status status = ATT_OK;
    if (view->n_texts <= ALL_TEXTS_MAX) {
        memset(scores->candidate, 1, view->n_entries * sizeof *scores->candidate);
        return ATT_OK;
    }
    for (size_t i = 0; status == ATT_OK && i < 3; i++)
        if (texts[i]->text)
            status = add_candidates(call, kb, view, texts[i], scores, err);
    return status;
}

static void add_lexical(const struct store_kb_view *view, const struct task_match_text *text, struct scores *scores)
{
    uint32_t grams[STORE_GRAMS_MAX];
    size_t n = store_grams(text->text, text->len, grams);
    float norm = store_grams_norm(view->idf, grams, n);
    for (size_t i = 0; i < view->n_entries; i++) {
        const struct store_kb_terms *terms = &view->terms[i];
        scores->features[i].lexical = -1;
        if (scores->candidate[i])
            scores->features[i].covered = store_grams_cover(view->idf, grams, n, norm, terms->grams, terms->count);
    }
    for (size_t t = 0; t < view->n_texts; t++) {
        const struct store_kb_text *own = &view->texts[t];
        if (!scores->candidate[own->entry])
            continue;
        float likeness = store_grams_cosine(view->idf, grams, n, norm, own->grams, own->n_grams, own->norm);
        if (likeness > scores->features[own->entry].lexical) {
            scores->features[own->entry].lexical = likeness;
            scores->text[own->entry] = t;
        }
    }
}

/* mean += share · features, sum += share · s of one text. */
static enum att_status add_text(struct task_call *call, const struct store_kb_view *view,
                                const struct task_match_text *text, float share, const struct task_calibration *fit,
                                struct scores *scores, struct att_err *err)
{
    enum att_status status = add_cosines(call, view, text->vector, scores, err);
    if (status != ATT_OK)
        return status;
    add_lexical(view, text, scores);
    for (size_t i = 0; i < view->n_entries; i++) {
        const struct task_match_features *own = &scores->features[i];
        struct task_match_features *mean = &scores->mean[i];
        if (!scores->candidate[i])
            continue;
        mean->best += share * own->best;
        mean->near += share * task_features_near(own);
        mean->lexical += share * own->lexical;
        mean->covered += share * own->covered;
        scores->sum[i] += share * task_features_fuse(own, fit);
    }
    return ATT_OK;
}

static bool entry_is_cjk(const struct store_kb_entry *entry)
{
    return store_cjk_share(entry->question, strlen(entry->question)) > 0.3f;
}

/* The entry that the last turn asked for: given by its id, or its own best match. */
static enum att_status previous_entry(struct task_call *call, const struct store_kb_view *view,
                                      const struct task_match_query *query, const struct task_calibration *fit,
                                      bool is_cjk, const bool *candidate, size_t *ret_entry, struct att_err *err)
{
    struct scores scores;
    *ret_entry = query->previous_id ? store_kb_find(view, query->previous_id) : view->n_entries;
    if (query->previous_id || !query->turn.text)
        return ATT_OK;
    enum att_status status = scores_alloc(call, view->n_entries, &scores, err);
    if (status != ATT_OK)
        return status;
    memcpy(scores.candidate, candidate, view->n_entries * sizeof *candidate);
    status = add_text(call, view, &query->turn, 1, fit, &scores, err);
    for (size_t i = 0; status == ATT_OK && i < view->n_entries; i++)
        if (scores.candidate[i] && entry_is_cjk(&view->entries[i]) == is_cjk &&
            (*ret_entry == view->n_entries || scores.sum[i] > scores.sum[*ret_entry]))
            *ret_entry = i;
    return status;
}

static void follow_up(const struct store_kb_view *view, size_t previous, float *bonus)
{
    if (previous == view->n_entries)
        return;
    const struct store_kb_entry *entry = &view->entries[previous];
    bonus[previous] -= repeat_loss;
    for (size_t i = 0; i < entry->n_prompts; i++) {
        size_t next = store_kb_find(view, entry->prompts[i]);
        if (next < view->n_entries)
            bonus[next] += prompt_gain;
    }
}

/* "zh" and "zh-Hans" are one language. */
static bool same_language(const char *a, const char *b)
{
    size_t len = strcspn(a, "-_");
    return len == strcspn(b, "-_") && strncasecmp(a, b, len) == 0;
}

/* The language that was asked for decides; without one, or for entries that name none, the script. */
static bool is_foreign(const struct store_kb_entry *entry, const struct task_match_query *query, bool is_cjk)
{
    if (query->lang && *entry->lang)
        return !same_language(query->lang, entry->lang);
    return entry_is_cjk(entry) != is_cjk;
}

static int by_s(const void *a, const void *b)
{
    const struct task_match *x = a, *y = b;
    if (x->s != y->s)
        return x->s > y->s ? -1 : 1;
    return x->entry < y->entry ? -1 : x->entry > y->entry;
}

/* s and its lead into score, logit and confidence. */
static void calibrate(struct task_match *matches, size_t count, const struct task_calibration *fit)
{
    for (size_t i = 0; i < count; i++) {
        /* How far an answer leads the best other one: below the first, it trails. */
        float rival = i > 0 ? matches[0].s : count > 1 ? matches[1].s : 0;
        matches[i].lead = matches[i].s - rival;
        matches[i].score = task_calibration_score(fit, matches[i].s);
        matches[i].logit = (double)(fit->per_s * matches[i].s + fit->per_lead * matches[i].lead + fit->bias);
        matches[i].confidence = task_sigmoid(matches[i].logit);
    }
}

static enum att_status collect(struct task_call *call, const struct store_kb_view *view,
                               const struct task_match_query *query, const struct task_calibration *fit,
                               const struct scores *scores, const float *bonus, struct task_match *matches, size_t max,
                               size_t *ret_count, struct att_err *err)
{
    struct task_match *all = task_alloc(call, view->n_entries + 1, sizeof *all, err);
    size_t count = 0;
    if (!all)
        return err->status;
    for (size_t i = 0; i < view->n_entries; i++)
        if (scores->candidate[i] && (!query->allowed || query->allowed[i]) &&
            ((query->follows && (query->joined.text || query->previous_id)) || !view->entries[i].context_only))
            all[count++] = (struct task_match){.entry = i,
                                               .text = scores->text[i],
                                               .features = scores->mean[i],
                                               .bonus = bonus[i],
                                               .s = scores->sum[i] + bonus[i]};
    qsort(all, count, sizeof *all, by_s);
    count = count < max ? count : max;
    calibrate(all, count, fit);
    memcpy(matches, all, count * sizeof *all);
    *ret_count = count;
    return ATT_OK;
}

enum att_status task_match_rank(struct task_call *call, struct store_kb *kb, const struct store_kb_view *view,
                                const struct task_match_query *query, struct task_match *matches, size_t max,
                                size_t *ret_count, struct att_err *err)
{
    bool is_cjk = store_cjk_share(query->question.text, query->question.len) > 0.3f;
    const struct task_calibration *fit = is_cjk ? &query->fit->cjk : &query->fit->latin;
    float joined_share = query->joined.text ? query->joined_share : 0;
    struct scores scores;
    size_t previous = view->n_entries;
    assert(max >= 2);
    enum att_status status = scores_alloc(call, view->n_entries, &scores, err);
    float *bonus = status == ATT_OK ? task_alloc(call, view->n_entries + 1, sizeof *bonus, err) : NULL;
    if (!bonus)
        return err->status;
    status = choose_candidates(call, kb, view, query, &scores, err);
    if (status == ATT_OK && query->follows)
        status = previous_entry(call, view, query, fit, is_cjk, scores.candidate, &previous, err);
    if (status == ATT_OK && joined_share < 1)
        status = add_text(call, view, &query->question, 1 - joined_share, fit, &scores, err);
    if (status == ATT_OK && joined_share > 0)
        status = add_text(call, view, &query->joined, joined_share, fit, &scores, err);
    if (status != ATT_OK)
        return status;
    follow_up(view, previous, bonus);
    for (size_t i = 0; i < view->n_entries; i++)
        if (is_foreign(&view->entries[i], query, is_cjk))
            bonus[i] -= script_loss;
    return collect(call, view, query, fit, &scores, bonus, matches, max, ret_count, err);
}
