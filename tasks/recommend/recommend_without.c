/*
 * Counterfactuals: the logits that the best items would have had, if one event
 * had not been there. Everything is computed anew from what is left, weights and
 * times too, so a change is exactly the difference to the answer of a request
 * without that event. The sequences are one round of jobs, packed like any other.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/recommend/recommend.h"

enum { EVENTS_MAX = 64, SHOWN_MAX = 10, SLOTS_MAX = 2000000 };

/* How many events are tried, the newest first: where all slots are computed anew each time, not too many of them. */
static size_t events_tried(const struct task_recommend *recommend)
{
    size_t n = recommend->history.n < EVENTS_MAX ? recommend->history.n : EVENTS_MAX;
    size_t most = SLOTS_MAX / (recommend->n_slots + recommend->n_candidates);
    return recommend->preference.found || n < most ? n : most;
}

/* The history without the event of this position, weighed anew. disliked: zeros, and left so. */
static enum att_status leave_out(struct task_call *call, const struct task_recommend *recommend, size_t position,
                                 struct task_history *history, unsigned char *disliked, struct att_err *err)
{
    const struct task_history *all = &recommend->history;
    *history = (struct task_history){.events = task_alloc(call, all->n + 1, sizeof *history->events, err)};
    if (!history->events)
        return err->status;
    for (size_t i = 0; i < all->n; i++)
        if (i != position)
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

static enum att_status plan_one(struct task_call *call, const struct task_recommend *recommend, size_t position,
                                struct task_without *without, struct task_job *job, unsigned char *disliked,
                                struct att_err *err)
{
    *without = (struct task_without){.position = position};
    enum att_status status = leave_out(call, recommend, position, &without->history, disliked, err);
    if (status == ATT_OK)
        status = move_vectors(call, recommend, without, err);
    if (status == ATT_OK)
        status = task_recommend_sequence(call, recommend->model, &without->history, job, &without->sequence, err);
    without->n_sequence = status == ATT_OK ? job->len : 0;
    return status;
}

enum att_status task_without_plan(struct task_call *call, struct task_recommend *recommend, struct att_err *err)
{
    const struct task_history *history = &recommend->history;
    size_t n = events_tried(recommend), wanted = n + (recommend->interest != NULL);
    unsigned char *disliked = task_alloc(call, recommend->n_items + 1, 1, err);
    struct task_job *jobs = disliked ? task_alloc(call, wanted + 1, sizeof *jobs, err) : NULL;
    recommend->without = jobs ? task_alloc(call, wanted + 1, sizeof *recommend->without, err) : NULL;
    if (!recommend->without)
        return err->status;
    size_t n_jobs = 0;
    for (; recommend->n_without < wanted; recommend->n_without++) {
        size_t i = recommend->n_without, position = i < n ? history->events[history->n - 1 - i].position : SIZE_MAX;
        enum att_status status =
            plan_one(call, recommend, position, &recommend->without[i], &jobs[n_jobs], disliked, err);
        if (status != ATT_OK)
            return status;
        recommend->without[i].job = n_jobs;
        n_jobs += recommend->without[i].n_sequence > 0;
    }
    call->jobs = jobs;
    call->n_jobs = n_jobs;
    return n_jobs > 0 ? ATT_OK : task_without_conclude(call, recommend, err);
}

enum att_status task_without_conclude(struct task_call *call, struct task_recommend *recommend, struct att_err *err)
{
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < recommend->n_without; i++) {
        struct task_without *without = &recommend->without[i];
        struct task_preference *preference = &without->preference;
        *preference = (struct task_preference){.model = recommend->model,
                                               .history = &without->history,
                                               .catalogue = &recommend->catalogue,
                                               .event_vectors = without->event_vectors,
                                               .text_vectors = recommend->preference.text_vectors,
                                               .n_texts = recommend->preference.n_texts,
                                               .interest = recommend->preference.interest};
        if (without->position == SIZE_MAX)
            preference->interest = NULL;
        if (without->n_sequence > 0) {
            preference->pooled = call->jobs[without->job].pooled;
            preference->sequence_events = without->sequence;
            preference->n_sequence = without->n_sequence;
            preference->found = recommend->preference.found;
            status = task_recommend_boosts(call, recommend, &call->jobs[without->job], preference, err);
        }
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
    size_t n = recommend->n_without;
    struct change *changes = task_alloc(call, n + 1, sizeof *changes, err);
    if (!changes)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        enum task_source source;
        changes[i].without = &recommend->without[i];
        changes[i].logit = task_preference_logit(&recommend->without[i].preference, slot, &source) - logit;
    }
    qsort(changes, n, sizeof *changes, by_size);
    att_jsonw_key(answer, "counterfactual");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < n && i < SHOWN_MAX; i++) {
        size_t position = changes[i].without->position;
        att_jsonw_object_begin(answer);
        if (position == SIZE_MAX) {
            att_jsonw_key(answer, "interest");
            att_jsonw_bool(answer, true);
        } else {
            att_jsonw_key(answer, "event");
            att_jsonw_int(answer, (int64_t)task_history_number(&recommend->history, position));
            att_jsonw_key(answer, "item");
            att_jsonw_cstring(answer, recommend->history.given[position].item);
        }
        att_jsonw_key(answer, "change");
        att_jsonw_float(answer, changes[i].logit);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
    return ATT_OK;
}
