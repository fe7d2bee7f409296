/* From the results of a recommend call's jobs to its answer: the numbers of preference.h, the best slots, and the JSON.
 */
#include "tasks/recommend/recommend.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "store/items.h"

enum { POOL_EXTRA = 100, REASONS_MAX = 5 };
static const float reason_min = 0.01f;

void task_recommend_text_vector(const struct task_call *call, const struct task_windows *windows, size_t hidden,
                                float *vector)
{
    for (size_t w = 0; w < windows->count; w++) {
        const struct task_job *job = &call->jobs[windows->first_job + w];
        for (size_t i = 0; i < hidden; i++)
            vector[i] += job->pooled[i] * (float)job->len;
    }
    att_l2_normalize(hidden, vector);
}

static float *text_vectors(struct task_call *call, const struct task_recommend *recommend, struct att_err *err)
{
    size_t hidden = att_model_info(recommend->model->encoder->model)->hidden_size;
    float *vectors = task_alloc(call, recommend->n_texts * hidden, sizeof *vectors, err);
    for (size_t t = 0; vectors && t < recommend->n_texts; t++)
        task_recommend_text_vector(call, &recommend->windows[t], hidden, vectors + t * hidden);
    return vectors;
}

bool task_recommend_event_text(const struct task_recommend *recommend, const struct task_event *event)
{
    return event->text && event->index == 0 && task_catalogue_slot(&recommend->catalogue, event->item) == 0;
}

/* The vectors of what only texts tell: events of items that the model lacks, new items, candidates. next: those that
 * the encoder made, without the interest's. */
static enum att_status gather_texts(struct task_call *call, const struct task_recommend *recommend, const float *next,
                                    struct task_preference *preference, struct att_err *err)
{
    const struct task_catalogue *catalogue = &recommend->catalogue;
    size_t hidden = att_model_info(recommend->model->encoder->model)->hidden_size;
    const float **events = task_alloc(call, recommend->history.n + 1, sizeof *events, err);
    const float **texts = events ? task_alloc(call, preference->n_texts + 1, sizeof *texts, err) : NULL;
    if (!texts)
        return err->status;
    for (size_t i = 0; i < recommend->history.n; i++) {
        const struct task_event *event = &recommend->history.events[i];
        if (task_recommend_event_text(recommend, event)) {
            events[i] = next;
            next += hidden;
        } else if (event->index == 0) {
            size_t slot = task_catalogue_slot(catalogue, event->item);
            events[i] = slot > 0 ? catalogue->added[slot - recommend->n_items - 1]->vector : NULL;
        }
    }
    for (size_t i = 0; i < catalogue->n_added; i++)
        texts[i] = catalogue->added[i]->vector;
    for (size_t i = 0; i < recommend->n_candidates; i++)
        texts[catalogue->n_added + i] = next + i * hidden;
    preference->event_vectors = events;
    preference->text_vectors = texts;
    return ATT_OK;
}

enum att_status task_recommend_boosts(struct task_call *call, const struct task_recommend *recommend,
                                      const struct task_job *sequence, struct task_preference *preference,
                                      struct att_err *err)
{
    struct task_boost *boosts = NULL;
    enum att_status status = task_follows_boosts(call, recommend->model->follows, sequence->ids, sequence->len, &boosts,
                                                 &preference->n_boosts, err);
    preference->boosts = boosts;
    return status;
}

/* Hands the jobs' results on. */
static enum att_status prefer(struct task_call *call, const struct task_recommend *recommend,
                              struct task_preference *preference, struct att_err *err)
{
    const struct task_job *sequence = recommend->n_sequence ? &call->jobs[call->n_jobs - 1] : NULL;
    const float *vectors = NULL;
    *preference = (struct task_preference){
        .model = recommend->model, .history = &recommend->history, .catalogue = &recommend->catalogue};
    preference->n_texts = recommend->catalogue.n_added + recommend->n_candidates;
    if (recommend->n_texts > 0 && !(vectors = text_vectors(call, recommend, err)))
        return err->status;
    if (recommend->interest) {
        preference->interest = vectors;
        vectors += att_model_info(recommend->model->encoder->model)->hidden_size;
    }
    if (task_preference_has_content(recommend->model)) {
        enum att_status status = gather_texts(call, recommend, vectors, preference, err);
        if (status != ATT_OK)
            return status;
    }
    if (sequence) {
        preference->found = sequence->scan ? &sequence->found : NULL;
        preference->pooled = sequence->pooled;
        preference->attention = sequence->attention;
        preference->sequence_events = recommend->sequence;
        preference->n_sequence = recommend->n_sequence;
        enum att_status status = task_recommend_boosts(call, recommend, sequence, preference, err);
        if (status != ATT_OK)
            return status;
    }
    return task_preference_prepare(call, preference, err);
}

size_t task_recommend_pool(const struct task_recommend *recommend)
{
    return recommend->diversity > 0 ? 2 * recommend->top_k + POOL_EXTRA : recommend->top_k;
}

static bool is_found(const struct att_scan_answer *found, size_t item)
{
    for (size_t i = 0; i < found->count; i++)
        if (found->rows[i].row == item)
            return true;
    return false;
}

/* What a scan found, and what its boost may lift beside that: nothing else can be among the best. */
static double take_found(const struct task_recommend *recommend, const struct task_preference *preference,
                         struct task_best *best)
{
    const struct att_scan_answer *found = preference->found;
    double sum = 1;
    enum task_source source;
    for (size_t i = 0; i < found->count; i++)
        task_best_offer(best, found->rows[i].row, task_preference_logit(preference, found->rows[i].row, &source));
    for (size_t i = 0; i < preference->n_boosts; i++) {
        size_t item = preference->boosts[i].item;
        if (!recommend->allowed[item])
            continue;
        float logit = task_preference_logit(preference, item, &source);
        double share = exp((double)logit - found->log_sum);
        sum += share - share * exp(-(double)preference->boosts[i].value);
        if (!is_found(found, item))
            task_best_offer(best, item, logit);
    }
    return found->log_sum + log(sum);
}

/* The logarithm of the sum of exp(logit) over all that are allowed; best (NULL: not wanted) gets the best of them. */
static double add_all(const struct task_recommend *recommend, const struct task_preference *preference,
                      struct task_best *best)
{
    size_t slots = recommend->n_slots + recommend->n_candidates;
    double sum = 0, largest = -INFINITY;
    for (size_t slot = 1; slot < slots; slot++) {
        enum task_source source;
        if (!recommend->allowed[slot])
            continue;
        float logit = task_preference_logit(preference, slot, &source);
        if ((double)logit > largest) {
            sum = sum * exp(largest - (double)logit) + 1;
            largest = (double)logit;
        } else {
            sum += exp((double)logit - largest);
        }
        if (best)
            task_best_offer(best, slot, logit);
    }
    return largest + log(sum);
}

double task_recommend_log_sum(const struct task_recommend *recommend, const struct task_preference *preference)
{
    return add_all(recommend, preference, NULL);
}

/* The best slots, and the logarithm of the sum of exp(logit) over all that are allowed. */
static enum att_status rank(struct task_call *call, const struct task_recommend *recommend,
                            const struct task_preference *preference, struct task_best *best, double *ret_log_sum,
                            struct att_err *err)
{
    best->count = 0;
    best->capacity = task_recommend_pool(recommend);
    best->items = task_alloc(call, best->capacity, sizeof *best->items, err);
    float *nearest = best->items ? task_alloc(call, best->capacity, sizeof *nearest, err) : NULL;
    if (!nearest)
        return err->status;
    *ret_log_sum = preference->found ? take_found(recommend, preference, best) : add_all(recommend, preference, best);
    task_best_sort(best);
    if (recommend->diversity > 0)
        task_ranked_diversify(best->items, best->count, recommend->top_k, (float)recommend->diversity,
                              task_preference_likeness, preference, nearest);
    best->count = best->count < recommend->top_k ? best->count : recommend->top_k;
    return ATT_OK;
}

static void put_id(const struct task_recommend *recommend, size_t slot, struct att_jsonw *answer)
{
    const struct store_items *items = recommend->model->items;
    char number[24];
    att_jsonw_key(answer, "id");
    if (slot >= recommend->n_slots) {
        att_jsonw_cstring(answer, recommend->candidates[slot - recommend->n_slots].id);
        return;
    }
    snprintf(number, sizeof number, "%zu", slot);
    att_jsonw_cstring(answer, slot > recommend->n_items ? recommend->catalogue.added[slot - recommend->n_items - 1]->id
                              : items                   ? store_items_at(items, slot)->id
                                                        : number);
    const char *title = task_catalogue_title(&recommend->catalogue, slot);
    if (title)
        att_jsonw_put_text(answer, "title", title);
}

/* The largest few of the weights, ties by the order of the request. */
static void put_reasons(const struct task_recommend *recommend, float *weights, struct att_jsonw *answer)
{
    const struct task_event *events = recommend->history.events;
    att_jsonw_key(answer, "reasons");
    att_jsonw_array_begin(answer);
    for (size_t r = 0; r < REASONS_MAX; r++) {
        size_t best = SIZE_MAX;
        for (size_t e = 0; e < recommend->history.n; e++)
            if (weights[e] >= reason_min &&
                (best == SIZE_MAX || weights[e] > weights[best] ||
                 (weights[e] >= weights[best] && events[e].position < events[best].position)))
                best = e;
        if (best == SIZE_MAX)
            break;
        att_jsonw_object_begin(answer);
        att_jsonw_put_size(answer, "event", task_history_number(&recommend->history, events[best].position));
        att_jsonw_put_text(answer, "item", events[best].item);
        att_jsonw_put_double(answer, "weight", (double)weights[best], 4);
        att_jsonw_object_end(answer);
        weights[best] = 0;
    }
    att_jsonw_array_end(answer);
}

static enum att_status conclude(struct task_call *call, struct task_recommend *recommend, struct att_err *err)
{
    enum att_status status = prefer(call, recommend, &recommend->preference, err);
    if (status == ATT_OK)
        status = rank(call, recommend, &recommend->preference, &recommend->best, &recommend->log_sum, err);
    recommend->concluded = status == ATT_OK;
    return status;
}

enum att_status task_recommend_advance(struct task_call *call, struct att_err *err)
{
    struct task_recommend *recommend = call->state;
    enum att_status status = recommend->concluded ? ATT_OK : conclude(call, recommend, err);
    return status == ATT_OK ? task_occlusion_advance(call, recommend, err) : status;
}

static enum att_status put_items(struct task_call *call, const struct task_recommend *recommend,
                                 struct att_jsonw *answer, struct att_err *err)
{
    static const char *const sources[] = {"sequence", "content", "popular"};
    const struct task_preference *preference = &recommend->preference;
    const struct task_best *best = &recommend->best;
    float *weights = task_alloc(call, recommend->history.n + 1, sizeof *weights, err);
    if (!weights)
        return err->status;
    enum att_status status = ATT_OK;
    att_jsonw_key(answer, "items");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; status == ATT_OK && i < best->count; i++) {
        enum task_source source;
        float logit = task_preference_logit(preference, best->items[i].slot, &source);
        att_jsonw_object_begin(answer);
        put_id(recommend, best->items[i].slot, answer);
        att_jsonw_put_double(answer, "score", exp((double)logit - recommend->log_sum), 6);
        att_jsonw_put_float(answer, "logit", logit);
        att_jsonw_put_size(answer, "rank", i + 1);
        att_jsonw_put_text(answer, "source", sources[source]);
        if (recommend->reasons) {
            task_preference_reasons(preference, best->items[i].slot, weights);
            put_reasons(recommend, weights, answer);
        }
        if (recommend->counterfactual)
            status = task_without_render(call, recommend, best->items[i].slot, logit, answer, err);
        if (status == ATT_OK && recommend->occlude)
            status = task_occlusion_render(call, recommend, i, answer, err);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
    return status;
}

/* One weight an event by its number. A stored event says which it is: the client has not sent it. */
static enum att_status put_weights(struct task_call *call, const struct task_recommend *recommend,
                                   const struct task_preference *preference, struct att_jsonw *answer,
                                   struct att_err *err)
{
    const struct task_history *history = &recommend->history;
    size_t *at = task_alloc(call, history->n + 1, sizeof *at, err);
    if (!at)
        return err->status;
    for (size_t e = 0; e < history->n; e++)
        at[task_history_number(history, history->events[e].position)] = e;
    att_jsonw_key(answer, "weights");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < history->n; i++) {
        att_jsonw_object_begin(answer);
        att_jsonw_put_size(answer, "event", i);
        if (i >= history->n - history->n_stored) {
            att_jsonw_put_text(answer, "item", history->events[at[i]].item);
            att_jsonw_put_bool(answer, "stored", true);
        }
        att_jsonw_put_double(answer, "weight", (double)preference->shares[at[i]], 4);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
    return ATT_OK;
}

enum att_status task_recommend_render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct task_recommend *recommend = call->state;
    enum att_status status = recommend->concluded ? ATT_OK : conclude(call, recommend, err);
    if (status != ATT_OK)
        return status;
    att_jsonw_object_begin(answer);
    task_render_id(answer, "rec");
    att_jsonw_put_text(answer, "model", recommend->model->name);
    if (recommend->user && call->env->users)
        att_jsonw_put_size(answer, "stored_events", recommend->history.n_stored);
    /* Nothing is liked: what others like, and the answer says so. */
    att_jsonw_put_text(answer, "fallback",
                       recommend->preference.popular && !recommend->preference.words ? "popularity" : NULL);
    status = put_items(call, recommend, answer, err);
    if (status == ATT_OK && recommend->reasons)
        status = put_weights(call, recommend, &recommend->preference, answer, err);
    att_jsonw_key(answer, "unknown");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < recommend->unknown.count; i++)
        att_jsonw_cstring(answer, recommend->unknown_list[i]);
    att_jsonw_array_end(answer);
    task_render_usage(call, answer);
    att_jsonw_object_end(answer);
    return status;
}
