/*
 * What a user prefers, as one number (logit) for every slot: slots 1..n_items
 * are the model's items, slots behind them are known by text alone: the
 * catalogue's new items, then candidates of the request.
 *
 *   sequence   S   the model's score after the history: what tends to come next; with a boost for what stood
 *                  beside its newest items before, where the model has such a table (tasks/recommend/follows.h)
 *   profile    P   cosine of the text and the weighted mean of the events' texts
 *   words      W   cosine of the text and the current interest
 *   popular    L   log(1 + popularity)
 *
 * Each is standardised over the catalogue (z), so that they can be added:
 *
 *   base  = (1 - u)·zS + u·zP        u: share of the liked weight that only texts know
 *         = 0.7·zP                   a slot known by text alone, beside a sequence
 *         = zP                       no known item is liked
 *         = zL                       nothing is liked
 *   value = base                     without an interest
 *         = base + zW                with one; 0.3·zL + zW where nothing is liked
 *
 *   logit = S                        the sequence alone decides
 *         = mean(S) + deviation(S)·value, 2·value without a sequence, L where popularity alone decides
 *
 * Everything is in the arena of the call; pure once it is prepared.
 */
#ifndef TASK_PREFERENCE_H
#define TASK_PREFERENCE_H

#include "tasks/ranking.h"
#include "tasks/recommend/catalogue.h"
#include "tasks/recommend/follows.h"
#include "tasks/recommend/history.h"

enum task_source { TASK_SOURCE_SEQUENCE, TASK_SOURCE_CONTENT, TASK_SOURCE_POPULAR };

struct task_preference {
    /* Set before task_preference_prepare. */
    const struct task_model *model;
    const struct task_history *history;
    const struct task_catalogue *catalogue;
    const float *const *event_vectors; /* [n events] texts of unknown items, unit length; NULL: none */
    const float *const *text_vectors;  /* [n_texts] of the slots known by text alone, unit length; NULL: no text */
    size_t n_texts;
    const float *interest;         /* [dimensions], unit length; NULL: none */
    const float *pooled;           /* of the sequence; NULL: no known item is liked */
    const float *attention;        /* [n_sequence]; NULL: shares are not wanted */
    const size_t *sequence_events; /* [n_sequence] event of each position of the sequence */
    size_t n_sequence;
    const struct task_boost *boosts; /* [n_boosts] for what stood beside the newest items of the sequence */
    size_t n_boosts;
    const struct att_scan_answer *found; /* the sequence alone decides, and these are its best; NULL: not known yet */

    /* Made by it. */
    size_t n_items, dimensions;
    float *scores, *profile, *words, *popular; /* [slots]; NULL: no part of it. scores: [n_items + 1] */
    struct task_moments scores_moments, profile_moments, words_moments, popular_moments;
    float *shares;    /* [n events] of the base, summing to 1; all 0 when nothing is liked */
    float text_share; /* u */
};

/* Whether texts can be compared with items: the model has an encoder and vectors of its items' texts. */
bool task_preference_has_content(const struct task_model *model);
/* Whether the event counts as liked: known items do, texts where they were embedded. */
bool task_preference_likes(const struct task_preference *preference, size_t event);
enum att_status task_preference_prepare(struct task_call *call, struct task_preference *preference,
                                        struct att_err *err) ATT_MUST_USE;
/* *ret_source: the part that adds most. */
float task_preference_logit(const struct task_preference *preference, size_t slot, enum task_source *ret_source);
/* Likeness of two slots, -1..1: cosine of their texts, else of the model's item vectors, else 0. context is the
 * preference. */
float task_preference_likeness(const void *context, size_t slot_a, size_t slot_b);
/* What each event adds to a slot: its share of the base times its likeness to the slot, scaled to sum 1; the shares
 * themselves where nothing is alike. weights: [n events]; all 0 when nothing is liked. */
void task_preference_reasons(const struct task_preference *preference, size_t slot, float *weights);

#endif
