/*
 * POST /v1/recommend: ranks items for a user from the history of events and the
 * interest of the moment. Items that the model does not know never fail the
 * call: they are named in `unknown`, and used by their text where they have one.
 */
#include "tasks/recommend.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOP_K_MAX = 1000, ID_BYTES_MAX = 256, PATH_BYTES = 48, REASONS_MAX = 3, DIVERSITY_POOL = 200 };

static const char *const fields[] = {"user",    "history",      "interest",  "candidates", "top_k",       "exclude",
                                     "exclude_seen", "diversity", "explain", "model",      "deadline_ms", "priority",
                                     NULL};

/* ---- the request ---- */

/* The model's number of an id: by the item table, or the number itself where there is no table. */
static size_t item_index(const struct recommend *recommend, const char *id, size_t len)
{
    if (recommend->model->items)
        return store_items_find(recommend->model->items, id);
    char *end = NULL;
    unsigned long long index = len > 0 && len < 10 && id[0] >= '1' && id[0] <= '9' ? strtoull(id, &end, 10) : 0;
    return end == id + len && index <= recommend->n_items ? (size_t)index : 0;
}

static enum att_status parse_id(const struct task_call *call, const struct att_json *value, const char *path,
                                const char **ret_id, size_t *ret_len, struct att_err *err)
{
    enum att_status status = task_field_text(call, value, path, ret_id, ret_len, err);
    if (status == ATT_OK && (*ret_len == 0 || *ret_len > ID_BYTES_MAX))
        status = att_err_param(err, ATT_EINVAL, path, "%s: has %zu bytes, expected an id of 1 to %d", path, *ret_len,
                               ID_BYTES_MAX);
    return status;
}

static void note_unknown(struct recommend *recommend, const char *id, size_t len)
{
    for (size_t i = 0; i < recommend->n_unknown; i++)
        if (recommend->unknown_lens[i] == len && memcmp(recommend->unknown[i], id, len) == 0)
            return;
    recommend->unknown[recommend->n_unknown] = id;
    recommend->unknown_lens[recommend->n_unknown++] = len;
}

/* How much an event says that the user likes the item. A rating of 2 or less of 5 is a dislike. */
static double liking(const struct event *event)
{
    static const double by_type[] = {0.5, 1.0, 1.0, 2.0};
    if (event->type != EVENT_RATE || isnan(event->value))
        return by_type[event->type];
    return event->value <= 2 ? -0.5 : (event->value - 2) * 0.5;
}

static enum att_status parse_event(struct task_call *call, struct recommend *recommend, const struct att_json *value,
                                   size_t place, struct event *event, struct att_err *err)
{
    static const char *const members[] = {"item", "type", "value", "time", "text", NULL};
    static const char *const types[] = {"view", "click", "rate", "buy", NULL};
    char path[PATH_BYTES], member_path[PATH_BYTES + 8];
    size_t type = EVENT_CLICK;
    *event = (struct event){.place = place, .value = NAN, .time = NAN};
    snprintf(path, sizeof path, "history[%zu]", place);
    snprintf(member_path, sizeof member_path, "%s.item", path);
    enum att_status status = task_fields_known(value, path, members, err);
    if (status == ATT_OK)
        status = parse_id(call, att_json_get(value, "item"), member_path, &event->item, &event->item_len, err);
    if (status == ATT_OK)
        status = task_field_enum(value, path, "type", types, &type, err);
    if (status == ATT_OK)
        status = task_field_number(value, path, "value", -1e9, 1e9, &event->value, err);
    if (status == ATT_OK)
        status = task_field_number(value, path, "time", -1e13, 1e13, &event->time, err);
    snprintf(member_path, sizeof member_path, "%s.text", path);
    if (status == ATT_OK && att_json_type(att_json_get(value, "text")) != ATT_JSON_NULL)
        status = task_field_text(call, att_json_get(value, "text"), member_path, &event->text, &event->text_len, err);
    if (status != ATT_OK)
        return status;
    event->type = (enum event_type)type;
    event->index = item_index(recommend, event->item, event->item_len);
    event->weight = liking(event);
    return ATT_OK;
}

/* Oldest first; events without a time keep their place. */
static int by_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (!isnan(x->time) && !isnan(y->time) && x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static enum att_status parse_history(struct task_call *call, struct recommend *recommend,
                                     const struct att_json *history, struct att_err *err)
{
    size_t n = att_json_count(history), limit = call->env->limits.history_max;
    bool timed = true;
    if (att_json_type(history) == ATT_JSON_NULL)
        return ATT_OK;
    if (!att_json_is_array(history))
        return att_err_param(err, ATT_EINVAL, "history", "history: is %s, expected an array of events",
                             att_json_type_name(history));
    if (n > limit)
        return att_err_limit(err, "history", limit, n, "history: %zu events, expected at most %zu", n, limit);
    recommend->events = task_alloc(call, n + 1, sizeof *recommend->events, err);
    if (!recommend->events)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        enum att_status status =
            parse_event(call, recommend, att_json_at(history, i), i, &recommend->events[i], err);
        if (status != ATT_OK)
            return status;
        timed &= !isnan(recommend->events[i].time);
    }
    recommend->n_events = n;
    if (timed)
        qsort(recommend->events, n, sizeof *recommend->events, by_time);
    return ATT_OK;
}

static enum att_status parse_candidate(struct task_call *call, struct recommend *recommend,
                                       const struct att_json *value, size_t place, struct att_err *err)
{
    static const char *const members[] = {"id", "text", NULL};
    struct candidate *candidate = &recommend->candidates[place];
    char path[PATH_BYTES], text_path[PATH_BYTES + 8];
    snprintf(path, sizeof path, "candidates[%zu]", place);
    const struct att_json *text = att_json_get(value, "text"), *id = value;
    enum att_status status = ATT_OK;
    if (att_json_is_object(value)) {
        status = task_fields_known(value, path, members, err);
        id = att_json_get(value, "id");
    }
    if (status == ATT_OK)
        status = parse_id(call, id, path, &candidate->id, &candidate->id_len, err);
    snprintf(text_path, sizeof text_path, "%s.text", path);
    if (status == ATT_OK && att_json_is_object(value) && att_json_type(text) != ATT_JSON_NULL)
        status = task_field_text(call, text, text_path, &candidate->text, &candidate->text_len, err);
    if (status == ATT_OK)
        candidate->index = item_index(recommend, candidate->id, candidate->id_len);
    return status;
}

static enum att_status parse_candidates(struct task_call *call, struct recommend *recommend,
                                        const struct att_json *list, struct att_err *err)
{
    size_t n = att_json_count(list), limit = call->env->limits.items_max;
    if (att_json_type(list) == ATT_JSON_NULL)
        return ATT_OK;
    if (!att_json_is_array(list) || n == 0)
        return att_err_param(err, ATT_EINVAL, "candidates", "candidates: is %s, expected an array of ids",
                             att_json_is_array(list) ? "empty" : att_json_type_name(list));
    if (n > limit)
        return att_err_limit(err, "candidates", limit, n, "candidates: %zu items, expected at most %zu", n, limit);
    recommend->candidates = task_alloc(call, n, sizeof *recommend->candidates, err);
    if (!recommend->candidates)
        return err->status;
    recommend->n_candidates = n;
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < n; i++)
        status = parse_candidate(call, recommend, att_json_at(list, i), i, err);
    return status;
}

static enum att_status parse_exclude(struct task_call *call, struct recommend *recommend, const struct att_json *list,
                                     struct att_err *err)
{
    size_t limit = call->env->limits.items_max;
    if (att_json_type(list) == ATT_JSON_NULL)
        return ATT_OK;
    if (!att_json_is_array(list))
        return att_err_param(err, ATT_EINVAL, "exclude", "exclude: is %s, expected an array of ids",
                             att_json_type_name(list));
    if (att_json_count(list) > limit)
        return att_err_limit(err, "exclude", limit, att_json_count(list), "exclude: %zu ids, expected at most %zu",
                             att_json_count(list), limit);
    for (size_t i = 0; i < att_json_count(list); i++) {
        const char *id;
        size_t len;
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "exclude[%zu]", i);
        enum att_status status = parse_id(call, att_json_at(list, i), path, &id, &len, err);
        if (status != ATT_OK)
            return status;
    }
    recommend->exclude = list;
    return ATT_OK;
}

static enum att_status parse_options(struct task_call *call, struct recommend *recommend, const struct att_json *body,
                                     struct att_err *err)
{
    const struct att_json *interest = att_json_get(body, "interest");
    const char *user = NULL;
    int64_t top_k = 10;
    recommend->exclude_seen = recommend->explain = true;
    enum att_status status = task_field_common(call, body, err);
    if (status == ATT_OK)
        status = task_field_string(body, "", "user", &user, NULL, err);
    if (status == ATT_OK)
        status = task_field_int(body, "", "top_k", 1, TOP_K_MAX, &top_k, err);
    if (status == ATT_OK)
        status = task_field_number(body, "", "diversity", 0, 1, &recommend->diversity, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "exclude_seen", &recommend->exclude_seen, err);
    if (status == ATT_OK && !(att_json_is_string(att_json_get(body, "explain")) &&
                              strcmp(att_json_string(att_json_get(body, "explain"), NULL), "attention") == 0))
        status = task_field_bool(body, "", "explain", &recommend->explain, err);
    if (status == ATT_OK && att_json_type(interest) != ATT_JSON_NULL)
        status = task_field_text(call, interest, "interest", &recommend->interest, &recommend->interest_len, err);
    recommend->top_k = (size_t)top_k;
    return status;
}

/* ---- jobs ---- */

static enum att_status text_job(struct task_call *call, const struct recommend *recommend, const char *text, size_t len,
                                const char *path, size_t *ret_job, struct att_err *err)
{
    size_t dropped;
    struct task_job *job = &call->jobs[call->n_jobs];
    *job = (struct task_job){.model = NULL};
    enum att_status status =
        task_job_encode(call, recommend->model->encoder, text, len, NULL, 0, path, job, &dropped, err);
    if (status == ATT_OK && !(job->pooled = task_alloc(call, recommend->dimensions, sizeof(float), err)))
        status = err->status;
    if (status == ATT_OK)
        *ret_job = ++call->n_jobs;
    return status;
}

/* The known, not disliked items of the history, the newest max_tokens of them. */
static enum att_status sequence_job(struct task_call *call, struct recommend *recommend, struct att_err *err)
{
    const struct att_model_info *info = att_model_info(recommend->model->model);
    size_t count = 0;
    recommend->sequence_events = task_alloc(call, recommend->n_events + 1, sizeof(size_t), err);
    if (!recommend->sequence_events)
        return err->status;
    for (size_t i = 0; i < recommend->n_events; i++)
        if (recommend->events[i].index && recommend->events[i].weight > 0)
            recommend->sequence_events[count++] = i;
    if (count == 0)
        return ATT_OK;
    size_t skip = count > info->max_tokens ? count - info->max_tokens : 0;
    recommend->sequence_events += skip;
    recommend->sequence_len = count - skip;
    struct task_job *job = &call->jobs[call->n_jobs++];
    *job = (struct task_job){.model = recommend->model->model, .len = recommend->sequence_len};
    int32_t *ids = task_alloc(call, job->len, sizeof *ids, err);
    if (!ids || !(job->pooled = task_alloc(call, info->hidden_size, sizeof(float), err)) ||
        (recommend->explain && !(job->attention = task_alloc(call, job->len, sizeof(float), err))))
        return err->status;
    for (size_t i = 0; i < job->len; i++)
        ids[i] = (int32_t)recommend->events[recommend->sequence_events[i]].index;
    job->ids = ids;
    call->prompt_tokens += job->len;
    recommend->has_sequence = true;
    return ATT_OK;
}

/* Texts of what the model does not know, and the interest. */
static enum att_status text_jobs(struct task_call *call, struct recommend *recommend, struct att_err *err)
{
    enum att_status status = ATT_OK;
    char path[PATH_BYTES];
    for (size_t i = 0; i < recommend->n_events; i++) {
        struct event *event = &recommend->events[i];
        if (!event->index)
            note_unknown(recommend, event->item, event->item_len);
        snprintf(path, sizeof path, "history[%zu].text", event->place);
        if (status == ATT_OK && !event->index && event->text && recommend->dimensions)
            status = text_job(call, recommend, event->text, event->text_len, path, &event->job, err);
    }
    for (size_t i = 0; i < recommend->n_candidates; i++) {
        struct candidate *candidate = &recommend->candidates[i];
        if (!candidate->index)
            note_unknown(recommend, candidate->id, candidate->id_len);
        snprintf(path, sizeof path, "candidates[%zu].text", i);
        if (status == ATT_OK && !candidate->index && candidate->text && recommend->dimensions)
            status = text_job(call, recommend, candidate->text, candidate->text_len, path, &candidate->job, err);
    }
    if (status == ATT_OK && recommend->interest_len > 0 && recommend->dimensions)
        status = text_job(call, recommend, recommend->interest, recommend->interest_len, "interest",
                          &recommend->interest_job, err);
    return status;
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct recommend *recommend = task_alloc(call, 1, sizeof *recommend, err);
    if (!recommend)
        return err->status;
    call->state = recommend;
    enum att_status status = task_fields_known(body, "", fields, err);
    if (status == ATT_OK)
        status = task_field_model(call, body, "recommend", &recommend->model, err);
    if (status == ATT_OK && !att_item_embedding(recommend->model->model, 0))
        status = att_err_param(err, ATT_EINVAL, "model", "model: \"%s\" is no recommender; see /v1/models",
                               recommend->model->name);
    if (status != ATT_OK)
        return status;
    recommend->n_items = att_model_info(recommend->model->model)->vocab_size - 1;
    if (recommend->model->encoder)
        recommend->dimensions = att_model_info(recommend->model->encoder->model)->hidden_size;
    status = parse_options(call, recommend, body, err);
    if (status == ATT_OK)
        status = parse_history(call, recommend, att_json_get(body, "history"), err);
    if (status == ATT_OK)
        status = parse_candidates(call, recommend, att_json_get(body, "candidates"), err);
    if (status == ATT_OK)
        status = parse_exclude(call, recommend, att_json_get(body, "exclude"), err);
    if (status != ATT_OK)
        return status;
    size_t named = recommend->n_events + recommend->n_candidates;
    recommend->unknown = task_alloc(call, named + 1, sizeof *recommend->unknown, err);
    recommend->unknown_lens = recommend->unknown ? task_alloc(call, named + 1, sizeof(size_t), err) : NULL;
    call->jobs = recommend->unknown_lens ? task_alloc(call, named + 2, sizeof *call->jobs, err) : NULL;
    if (!call->jobs)
        return err->status;
    status = sequence_job(call, recommend, err);
    return status == ATT_OK ? text_jobs(call, recommend, err) : status;
}

/* ---- the answer ---- */

/* What is ranked: places are item numbers, or candidates when the request names them. */
struct ranked_list {
    struct task_ranking_item *items;
    size_t n;
    bool *excluded; /* [n_items + 1] */
};

static void exclude_items(const struct recommend *recommend, bool *excluded)
{
    for (size_t i = 0; i < att_json_count(recommend->exclude); i++) {
        size_t len;
        const char *id = att_json_string(att_json_at(recommend->exclude, i), &len);
        excluded[item_index(recommend, id, len)] = true;
    }
    for (size_t i = 0; recommend->exclude_seen && i < recommend->n_events; i++)
        excluded[recommend->events[i].index] = true;
    excluded[0] = true;
}

static bool id_excluded(const struct recommend *recommend, const struct candidate *candidate)
{
    for (size_t i = 0; i < att_json_count(recommend->exclude); i++) {
        size_t len;
        const char *id = att_json_string(att_json_at(recommend->exclude, i), &len);
        if (len == candidate->id_len && memcmp(id, candidate->id, len) == 0)
            return true;
    }
    for (size_t i = 0; recommend->exclude_seen && i < recommend->n_events; i++)
        if (recommend->events[i].item_len == candidate->id_len &&
            memcmp(recommend->events[i].item, candidate->id, candidate->id_len) == 0)
            return true;
    return false;
}

/* A candidate outside the catalogue: its text against interest and profile, on the catalogue's scale. */
static float fuse_text(const struct recommend *recommend, const struct task_recommend_evidence *evidence,
                       const struct candidate *candidate)
{
    float zero = 0, interest = 0, profile = 0;
    struct task_ranking_evidence own = {.sequence = NULL};
    enum task_ranking_source source;
    if (recommend->interest_vector) {
        interest = (task_recommend_likeness(recommend, 0, candidate->vector, 0, recommend->interest_vector) -
                    evidence->interest_mean) / evidence->interest_deviation;
        own.interest = &interest;
    }
    if (evidence->profile_vector) {
        profile = (task_recommend_likeness(recommend, 0, candidate->vector, 0, evidence->profile_vector) -
                   evidence->profile_mean) / evidence->profile_deviation;
        own.profile = &profile;
    }
    own.popular = &zero;
    return task_ranking_fuse(&own, 0, &source);
}

static enum att_status list_items(struct task_call *call, const struct recommend *recommend,
                                  const struct task_recommend_evidence *evidence, struct ranked_list *list,
                                  struct att_err *err)
{
    size_t room = recommend->candidates ? recommend->n_candidates : recommend->n_items;
    list->items = task_alloc(call, room + 1, sizeof *list->items, err);
    list->excluded = list->items ? task_alloc(call, recommend->n_items + 1, sizeof *list->excluded, err) : NULL;
    if (!list->excluded)
        return err->status;
    exclude_items(recommend, list->excluded);
    list->n = 0;
    for (size_t i = 0; i < room; i++) {
        const struct candidate *candidate = recommend->candidates ? &recommend->candidates[i] : NULL;
        size_t index = candidate ? candidate->index : i + 1;
        struct task_ranking_item *item = &list->items[list->n];
        if (index && !list->excluded[index]) {
            /* Where there is a table, numbers that it does not name are not offered. */
            if (!candidate && recommend->model->items && !task_recommend_item(recommend, index))
                continue;
            item->fused = task_ranking_fuse(&evidence->catalogue, index, &item->source);
        } else if (!index && candidate->vector && !id_excluded(recommend, candidate)) {
            item->fused = fuse_text(recommend, evidence, candidate);
            item->source = RANKING_CONTENT;
        } else {
            continue;
        }
        item->place = candidate ? i : index;
        list->n++;
    }
    return ATT_OK;
}

static const float *place_vector(const struct recommend *recommend, size_t place, size_t *ret_index)
{
    *ret_index = recommend->candidates ? recommend->candidates[place].index : place;
    return recommend->candidates ? recommend->candidates[place].vector : NULL;
}

static float place_likeness(const void *context, size_t a, size_t b)
{
    const struct recommend *recommend = context;
    size_t index_a, index_b;
    const float *vector_a = place_vector(recommend, a, &index_a), *vector_b = place_vector(recommend, b, &index_b);
    return task_recommend_likeness(recommend, index_a, vector_a, index_b, vector_b);
}

struct reason {
    size_t event;
    float weight;
};

/* Events that speak for an item: the attention they get, by how like the item they are. */
static void put_reasons(const struct recommend *recommend, size_t place, struct att_jsonw *answer)
{
    struct reason best[REASONS_MAX];
    size_t count = 0, index;
    const float *vector = place_vector(recommend, place, &index);
    float total = 0;
    for (size_t e = 0; e < recommend->n_events; e++) {
        const struct event *event = &recommend->events[e];
        float like = event->attention > 0 ? task_recommend_likeness(recommend, index, vector, event->index, event->vector) : 0;
        float weight = event->attention * (like > 0 ? like : 0);
        if (!(weight > 0))
            continue;
        total += weight;
        size_t at = count < REASONS_MAX ? count++ : REASONS_MAX;
        while (at > 0 && best[at - 1].weight < weight) {
            if (at < REASONS_MAX)
                best[at] = best[at - 1];
            at--;
        }
        if (at < REASONS_MAX)
            best[at] = (struct reason){e, weight};
    }
    att_jsonw_key(answer, "reasons");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < count; i++) {
        const struct event *event = &recommend->events[best[i].event];
        att_jsonw_object_begin(answer);
        att_jsonw_key(answer, "event");
        att_jsonw_int(answer, (int64_t)event->place);
        att_jsonw_key(answer, "item");
        att_jsonw_string(answer, event->item, event->item_len);
        att_jsonw_key(answer, "weight");
        att_jsonw_float(answer, best[i].weight / total);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
}

static void put_item(const struct recommend *recommend, const struct task_ranking_item *item, double score, size_t rank,
                     struct att_jsonw *answer)
{
    static const char *const sources[] = {"sequence", "content", "popular"};
    size_t index;
    char number[24];
    place_vector(recommend, item->place, &index);
    const struct store_item *known = task_recommend_item(recommend, index);
    att_jsonw_object_begin(answer);
    att_jsonw_key(answer, "id");
    snprintf(number, sizeof number, "%zu", index);
    if (recommend->candidates)
        att_jsonw_string(answer, recommend->candidates[item->place].id, recommend->candidates[item->place].id_len);
    else
        att_jsonw_cstring(answer, known ? known->id : number);
    att_jsonw_key(answer, "title");
    att_jsonw_cstring(answer, known && *known->title ? known->title : NULL);
    att_jsonw_key(answer, "score");
    att_jsonw_double(answer, score, 6);
    att_jsonw_key(answer, "logit");
    att_jsonw_float(answer, item->fused);
    att_jsonw_key(answer, "rank");
    att_jsonw_int(answer, (int64_t)rank);
    att_jsonw_key(answer, "source");
    att_jsonw_cstring(answer, sources[item->source]);
    if (recommend->explain)
        put_reasons(recommend, item->place, answer);
    att_jsonw_object_end(answer);
}

static void put_weights(const struct recommend *recommend, struct att_jsonw *answer)
{
    att_jsonw_key(answer, "weights");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < recommend->n_events; i++) {
        att_jsonw_object_begin(answer);
        att_jsonw_key(answer, "event");
        att_jsonw_int(answer, (int64_t)recommend->events[i].place);
        att_jsonw_key(answer, "item");
        att_jsonw_string(answer, recommend->events[i].item, recommend->events[i].item_len);
        att_jsonw_key(answer, "weight");
        att_jsonw_float(answer, recommend->events[i].attention);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct recommend *recommend = call->state;
    struct task_recommend_evidence evidence;
    struct ranked_list list = {.items = NULL};
    enum att_status status = task_recommend_evidence_make(call, recommend, &evidence, err);
    if (status == ATT_OK)
        status = list_items(call, recommend, &evidence, &list, err);
    if (status != ATT_OK)
        return status;
    task_ranking_sort(list.items, list.n);
    /* Scores are shares of a softmax over everything that was ranked. */
    double total = 0;
    float top = list.n > 0 ? list.items[0].fused : 0;
    for (size_t i = 0; i < list.n; i++)
        total += exp((double)(list.items[i].fused - top));
    size_t take = recommend->top_k < list.n ? recommend->top_k : list.n;
    size_t pool = take > DIVERSITY_POOL ? take : list.n < DIVERSITY_POOL ? list.n : DIVERSITY_POOL;
    if (recommend->diversity > 0)
        task_ranking_diversify(list.items, pool, take, recommend->diversity, place_likeness, recommend);
    att_jsonw_object_begin(answer);
    task_render_id(answer, "rec");
    att_jsonw_key(answer, "model");
    att_jsonw_cstring(answer, recommend->model->name);
    att_jsonw_key(answer, "items");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < take; i++)
        put_item(recommend, &list.items[i], exp((double)(list.items[i].fused - top)) / total, i + 1, answer);
    att_jsonw_array_end(answer);
    if (recommend->explain)
        put_weights(recommend, answer);
    att_jsonw_key(answer, "unknown");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < recommend->n_unknown; i++)
        att_jsonw_string(answer, recommend->unknown[i], recommend->unknown_lens[i]);
    att_jsonw_array_end(answer);
    task_render_usage(call, answer);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

const struct task task_recommend = {.name = "recommend", .parse = parse, .render = render};
