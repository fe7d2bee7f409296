/*
 * What a user's history and words say about every item: the recommender's
 * scores for the sequence, and the likeness of item texts to the interest and
 * to a profile of the history, all as standard scores over the catalogue.
 */
#include <math.h>
#include <string.h>

#include "tasks/recommend.h"

/* One step back in the history counts 0.9 of the step after it. */
static const double decay = 0.9;

const float *task_recommend_item_vector(const struct recommend *recommend, size_t index)
{
    const float *table = recommend->model->items ? store_items_vectors(recommend->model->items) : NULL;
    return index && table ? table + index * recommend->dimensions : NULL;
}

const struct store_item *task_recommend_item(const struct recommend *recommend, size_t index)
{
    const struct store_item *item =
        index && recommend->model->items ? store_items_at(recommend->model->items, index) : NULL;
    return item && item->id ? item : NULL;
}

static float cosine(size_t n, const float *a, const float *b)
{
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0 && bb > 0 ? (float)(dot / sqrt(aa * bb)) : 0;
}

float task_recommend_likeness(const struct recommend *recommend, size_t index_a, const float *vector_a, size_t index_b,
                         const float *vector_b)
{
    const struct att_model *model = recommend->model->model;
    if (index_a && index_b)
        return cosine(att_model_info(model)->hidden_size, att_item_embedding(model, index_a),
                      att_item_embedding(model, index_b));
    if (!vector_a)
        vector_a = task_recommend_item_vector(recommend, index_a);
    if (!vector_b)
        vector_b = task_recommend_item_vector(recommend, index_b);
    return vector_a && vector_b ? cosine(recommend->dimensions, vector_a, vector_b) : 0;
}

/* Texts embedded by jobs, to unit length, handed to what they belong to. */
static void take_vectors(const struct task_call *call, struct recommend *recommend)
{
    for (size_t i = 0; i < recommend->n_events; i++)
        if (recommend->events[i].job) {
            float *vector = call->jobs[recommend->events[i].job - 1].pooled;
            att_l2_normalize(recommend->dimensions, vector);
            recommend->events[i].vector = vector;
        }
    for (size_t i = 0; i < recommend->n_candidates; i++)
        if (recommend->candidates[i].job) {
            float *vector = call->jobs[recommend->candidates[i].job - 1].pooled;
            att_l2_normalize(recommend->dimensions, vector);
            recommend->candidates[i].vector = vector;
        }
    if (recommend->interest_job) {
        float *vector = call->jobs[recommend->interest_job - 1].pooled;
        att_l2_normalize(recommend->dimensions, vector);
        recommend->interest_vector = vector;
    }
}

/* Weighted mean of the history's texts; NULL when no event has one. */
static enum att_status profile_vector(struct task_call *call, const struct recommend *recommend,
                                      const float **ret_vector, struct att_err *err)
{
    float *profile = task_alloc(call, recommend->dimensions + 1, sizeof *profile, err);
    bool any = false;
    if (!profile)
        return err->status;
    for (size_t i = 0; i < recommend->n_events; i++) {
        const struct event *event = &recommend->events[i];
        const float *vector = event->vector ? event->vector : task_recommend_item_vector(recommend, event->index);
        if (!vector)
            continue;
        float weight = (float)(event->weight * pow(decay, (double)(recommend->n_events - 1 - i)));
        for (size_t d = 0; d < recommend->dimensions; d++)
            profile[d] += weight * vector[d];
        any |= weight > 0;
    }
    if (any)
        att_l2_normalize(recommend->dimensions, profile);
    *ret_vector = any ? profile : NULL;
    return ATT_OK;
}

/* Standard scores of all item texts against one vector; NULL where the catalogue has no vectors. */
static enum att_status content(struct task_call *call, const struct recommend *recommend, const float *vector,
                               const float **ret_scores, float *ret_mean, float *ret_deviation, struct att_err *err)
{
    const float *table = recommend->model->items ? store_items_vectors(recommend->model->items) : NULL;
    *ret_mean = 0;
    *ret_deviation = 0.1f; /* cosines of texts spread about this much */
    if (!vector || !table)
        return ATT_OK;
    float *scores = task_alloc(call, recommend->n_items + 1, sizeof *scores, err);
    if (!scores)
        return err->status;
    att_dot_table(1, recommend->n_items + 1, recommend->dimensions, table, recommend->dimensions, vector, scores);
    task_ranking_standardise(scores, recommend->n_items, ret_mean, ret_deviation);
    *ret_scores = scores;
    return ATT_OK;
}

static enum att_status sequence(struct task_call *call, struct recommend *recommend, const float **ret_scores,
                                struct att_err *err)
{
    float mean, deviation;
    if (!recommend->has_sequence)
        return ATT_OK;
    float *scores = task_alloc(call, recommend->n_items + 1, sizeof *scores, err);
    if (!scores)
        return err->status;
    att_score_items(recommend->model->model, call->jobs[0].pooled, scores);
    task_ranking_standardise(scores, recommend->n_items, &mean, &deviation);
    for (size_t i = 0; i < recommend->sequence_len && call->jobs[0].attention; i++)
        recommend->events[recommend->sequence_events[i]].attention = call->jobs[0].attention[i];
    *ret_scores = scores;
    return ATT_OK;
}

static enum att_status popularity(struct task_call *call, const struct recommend *recommend, const float **ret_scores,
                                  struct att_err *err)
{
    float mean, deviation;
    float *scores = task_alloc(call, recommend->n_items + 1, sizeof *scores, err);
    if (!scores)
        return err->status;
    for (size_t i = 1; i <= recommend->n_items; i++) {
        const struct store_item *item = task_recommend_item(recommend, i);
        scores[i] = item ? (float)log1p((double)item->popularity) : 0;
    }
    task_ranking_standardise(scores, recommend->n_items, &mean, &deviation);
    *ret_scores = scores;
    return ATT_OK;
}

/* Without a sequence the events' shares of the profile stand for attention. */
static void profile_attention(struct recommend *recommend)
{
    double total = 0;
    for (size_t i = 0; i < recommend->n_events; i++) {
        double weight = recommend->events[i].weight * pow(decay, (double)(recommend->n_events - 1 - i));
        recommend->events[i].attention = weight > 0 ? (float)weight : 0;
        total += weight > 0 ? weight : 0;
    }
    for (size_t i = 0; total > 0 && i < recommend->n_events; i++)
        recommend->events[i].attention = (float)((double)recommend->events[i].attention / total);
}

enum att_status task_recommend_evidence_make(struct task_call *call, struct recommend *recommend,
                                        struct task_recommend_evidence *evidence, struct att_err *err)
{
    *evidence = (struct task_recommend_evidence){.profile_vector = NULL};
    take_vectors(call, recommend);
    enum att_status status = sequence(call, recommend, &evidence->catalogue.sequence, err);
    if (status == ATT_OK && recommend->dimensions)
        status = profile_vector(call, recommend, &evidence->profile_vector, err);
    if (status == ATT_OK)
        status = content(call, recommend, recommend->interest_vector, &evidence->catalogue.interest,
                         &evidence->interest_mean, &evidence->interest_deviation, err);
    if (status == ATT_OK)
        status = content(call, recommend, evidence->profile_vector, &evidence->catalogue.profile,
                         &evidence->profile_mean, &evidence->profile_deviation, err);
    if (status == ATT_OK)
        status = popularity(call, recommend, &evidence->catalogue.popular, err);
    if (status == ATT_OK && !recommend->has_sequence)
        profile_attention(recommend);
    return status;
}
