/*
 * What the logits would be if the request had been another one: without some
 * events, or with another interest. Everything is computed anew from what is left, weights
 * and times too, so a change is exactly the difference to the answer of such a
 * request. The sequences of all variants are one round of jobs, packed like any other.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/recommend/recommend.h"

enum { SHOWN_MAX = 10, SLOTS_MAX = 2000000 };

size_t task_without_most(const struct task_recommend *recommend)
{
    return recommend->preference.found ? SIZE_MAX : SLOTS_MAX / (recommend->n_slots + recommend->n_candidates);
}

/* The history without the events whose out[position] is set, weighed anew. */
static enum att_status leave_out(struct task_call *call, const struct task_recommend *recommend, const bool *out,
                                 struct task_history *history, unsigned char *disliked, struct att_err *err)
{
    const struct task_history *all = &recommend->history;
    *history = (struct task_history){.events = task_alloc(call, all->n + 1, sizeof *history->events, err)};
    if (!history->events)
        return err->status;
    for (size_t i = 0; i < all->n; i++)
        if (!out[i])
            history->events[history->n++] = all->given[i];
    task_history_weigh(history, &att_model_info(recommend->model->model)->history, disliked);
    for (size_t i = 0; i < history->n; i++)
        disliked[history->events[i].index] = 0;
    return ATT_OK;
}

/* Vectors of events stand in the order of the history they belong to. */
static enum att_status move_vectors(struct task_call *call, const struct task_recommend *recommend,
                                    struct task_without *without, struct att_err *err)
{
    const struct task_history *all = &recommend->history;
    if (!recommend->preference.event_vectors)
        return ATT_OK;
    without->event_vectors = task_alloc(call, without->history.n + 1, sizeof *without->event_vectors, err);
    const float **by_position = without->event_vectors ? task_alloc(call, all->n + 1, sizeof *by_position, err) : NULL;
    if (!by_position)
        return err->status;
    for (size_t i = 0; i < all->n; i++)
        by_position[all->events[i].position] = recommend->preference.event_vectors[i];
    for (size_t i = 0; i < without->history.n; i++)
        without->event_vectors[i] = by_position[without->history.events[i].position];
    return ATT_OK;
}

enum att_status task_without_begin(struct task_call *call, const struct task_recommend *recommend, size_t most,
                                   struct task_without_set *set, struct att_err *err)
{
    *set = (struct task_without_set){.disliked = task_alloc(call, recommend->n_items + 1, 1, err)};
    set->jobs = set->disliked ? task_alloc(call, most + 1, sizeof *set->jobs, err) : NULL;
    set->list = set->jobs ? task_alloc(call, most + 1, sizeof *set->list, err) : NULL;
    return set->list ? ATT_OK : err->status;
}

enum att_status task_without_add(struct task_call *call, const struct task_recommend *recommend,
                                 struct task_without_set *set, const bool *out, const float *interest,
                                 struct att_err *err)
{
    struct task_without *without = &set->list[set->n];
    struct task_job *job = &set->jobs[set->n_jobs];
    *without = (struct task_without){.interest = interest, .is_whole = !out, .job = set->n_jobs};
    enum att_status status = ATT_OK;
    if (out)
        status = leave_out(call, recommend, out, &without->history, set->disliked, err);
    if (out && status == ATT_OK)
        status = move_vectors(call, recommend, without, err);
    if (out && status == ATT_OK)
        status = task_recommend_sequence(call, recommend->model, &without->history, job, &without->sequence, err);
    if (status != ATT_OK)
        return status;
    without->n_sequence = out ? job->len : 0;
    set->n_jobs += without->n_sequence > 0;
    set->n++;
    return ATT_OK;
}

enum att_status task_without_jobs(struct task_call *call, const struct task_without_set *set, struct att_err *err)
{
    if (call->n_jobs == 0) {
        call->jobs = set->jobs;
        call->n_jobs = set->n_jobs;
        return ATT_OK;
    }
    struct task_job *jobs = task_alloc(call, call->n_jobs + set->n_jobs, sizeof *jobs, err);
    if (!jobs)
        return err->status;
    memcpy(jobs, call->jobs, call->n_jobs * sizeof *jobs);
    memcpy(jobs + call->n_jobs, set->jobs, set->n_jobs * sizeof *jobs);
    call->jobs = jobs;
    call->n_jobs += set->n_jobs;
    return ATT_OK;
}

/* All events are there: what the sequence gave is known. */
static void take_whole(const struct task_recommend *recommend, struct task_preference *preference)
{
    const struct task_preference *all = &recommend->preference;
    preference->history = all->history;
    preference->event_vectors = all->event_vectors;
    preference->pooled = all->pooled;
    preference->sequence_events = all->sequence_events;
    preference->n_sequence = all->n_sequence;
    preference->boosts = all->boosts;
    preference->n_boosts = all->n_boosts;
    preference->found = all->found;
}

static enum att_status take_rest(struct task_call *call, const struct task_recommend *recommend,
                                 const struct task_without_set *set, const struct task_without *without,
                                 struct task_preference *preference, struct att_err *err)
{
    preference->history = &without->history;
    preference->event_vectors = without->event_vectors;
    if (without->n_sequence == 0)
        return ATT_OK;
    preference->pooled = set->jobs[without->job].pooled;
    preference->sequence_events = without->sequence;
    preference->n_sequence = without->n_sequence;
    preference->found = recommend->preference.found;
    return task_recommend_boosts(call, recommend, &set->jobs[without->job], preference, err);
}

enum att_status task_without_conclude(struct task_call *call, const struct task_recommend *recommend,
                                      struct task_without_set *set, struct att_err *err)
{
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < set->n; i++) {
        struct task_without *without = &set->list[i];
        struct task_preference *preference = &without->preference;
        *preference = (struct task_preference){.model = recommend->model,
                                               .catalogue = &recommend->catalogue,
                                               .text_vectors = recommend->preference.text_vectors,
                                               .n_texts = recommend->preference.n_texts,
                                               .interest = without->interest};
        if (without->is_whole)
            take_whole(recommend, preference);
        else
            status = take_rest(call, recommend, set, without, preference, err);
        if (status == ATT_OK)
            status = task_preference_prepare(call, preference, err);
    }
    return status;
}

struct change {
    const struct task_without *without;
    float logit;
};

/* Largest change first, ties by the order of the events. */
static int by_size(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    float left = fabsf(x->logit), right = fabsf(y->logit);
    if (left != right)
        return left > right ? -1 : 1;
    return x->without < y->without ? -1 : x->without > y->without;
}

enum att_status task_without_render(struct task_call *call, const struct task_recommend *recommend, size_t slot,
                                    float logit, struct att_jsonw *answer, struct att_err *err)
{
    const struct task_occlusion *occlusion = &recommend->occlusion;
    size_t n = occlusion->n_events + (recommend->interest != NULL);
    struct change *changes = task_alloc(call, n + 1, sizeof *changes, err);
    if (!changes)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        enum task_source source;
        changes[i].without = &occlusion->left_out.list[i];
        changes[i].logit = task_preference_logit(&changes[i].without->preference, slot, &source) - logit;
    }
    qsort(changes, n, sizeof *changes, by_size);
    att_jsonw_key(answer, "counterfactual");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < n && i < SHOWN_MAX; i++) {
        size_t event = (size_t)(changes[i].without - occlusion->left_out.list);
        att_jsonw_object_begin(answer);
        if (event == occlusion->n_events) {
            att_jsonw_put_bool(answer, "interest", true);
        } else {
            const size_t position = occlusion->positions[event];
            att_jsonw_put_size(answer, "event", task_history_number(&recommend->history, position));
            att_jsonw_put_text(answer, "item", recommend->history.given[position].item);
        }
        att_jsonw_put_float(answer, "change", changes[i].logit);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
    return ATT_OK;
}
