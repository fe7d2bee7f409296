/*
 * POST /v1/recommend: items for a user from what the user did and wants now.
 *
 *   history ─► events by time ─► liked known items ─► one job of the recommender ─► scores of all items
 *                            └─► texts of unknown items ─┐
 *   interest ────────────────────────────────────────────┼► jobs of the encoder ─► cosines with the items' texts
 *   candidates known by text alone ──────────────────────┘
 *
 * How these become one logit is in preference.h, how the answer is ranked and
 * written in recommend_render.c. Unknown items never fail a
 * call: they are named, and ranked by their text where they have one. Ties are
 * broken by the item's index, so that equal requests get equal answers.
 */
#include "tasks/recommend/recommend.h"

#include <stdio.h>
#include <string.h>

#include "store/items.h"

enum { PATH_BYTES = 48, USER_BYTES_MAX = 512, TOP_K_DEFAULT = 10, TOP_K_DIVERSE_MAX = 200 };

static const char *const fields[] = {
    "model",     "user",    "history", "interest",       "candidates",   "top_k",       "exclude",  "exclude_seen",
    "diversity", "filters", "explain", "counterfactual", "faithfulness", "deadline_ms", "priority", NULL};

/* ---- the request's numbers ---- */

/* true is "attention", whose reasons cost nothing: occlusion has them too. */
static enum att_status parse_explain(struct task_recommend *recommend, const struct att_json *body, struct att_err *err)
{
    static const char *const words[] = {"attention", "none", "occlusion", NULL};
    const struct att_json *value = att_json_get(body, "explain");
    size_t word = 0;
    enum att_status status = ATT_OK;
    recommend->reasons = true;
    if (att_json_is_string(value)) {
        status = task_field_enum(body, "", "explain", words, &word, err);
        recommend->reasons = word != 1;
        recommend->occlude = recommend->faithfulness = word == 2;
    } else {
        status = task_field_bool(body, "", "explain", &recommend->reasons, err);
    }
    if (status == ATT_OK)
        status = task_field_bool(body, "", "faithfulness", &recommend->faithfulness, err);
    if (status == ATT_OK && recommend->faithfulness && !recommend->occlude)
        return att_err_param(err, ATT_EINVAL, "faithfulness",
                             "faithfulness: is measured with \"explain\": \"occlusion\" alone");
    return status;
}

static enum att_status parse_options(struct task_call *call, struct task_recommend *recommend,
                                     const struct att_json *body, struct att_err *err)
{
    int64_t limit = (int64_t)call->env->limits.items_max, top_k = limit < TOP_K_DEFAULT ? limit : TOP_K_DEFAULT;
    size_t user_len = 0;
    recommend->exclude_seen = true;
    enum att_status status = task_field_common(call, body, err);
    if (status == ATT_OK)
        status = task_field_string(body, "", "user", &recommend->user, &user_len, err);
    if (status == ATT_OK && user_len > USER_BYTES_MAX)
        status = att_err_param(err, ATT_EINVAL, "user", "user: has %zu bytes, expected at most %d", user_len,
                               USER_BYTES_MAX);
    if (status == ATT_OK)
        status = task_field_int(body, "", "top_k", 1, limit, &top_k, err);
    if (status == ATT_OK)
        status = task_field_number(body, "", "diversity", 0, 1, &recommend->diversity, err);
    if (status == ATT_OK && recommend->diversity > 0 && top_k > TOP_K_DIVERSE_MAX)
        status = att_err_param(err, ATT_EINVAL, "top_k", "top_k: is %lld, expected at most %d with diversity",
                               (long long)top_k, TOP_K_DIVERSE_MAX);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "exclude_seen", &recommend->exclude_seen, err);
    if (status == ATT_OK)
        status = parse_explain(recommend, body, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "counterfactual", &recommend->counterfactual, err);
    recommend->top_k = (size_t)top_k;
    return status;
}

static enum att_status choose_model(struct task_call *call, struct task_recommend *recommend,
                                    const struct att_json *body, struct att_err *err)
{
    enum att_status status = task_field_model(call, body, "recommend", &recommend->model, err);
    if (status != ATT_OK)
        return status;
    if (!att_item_embedding(recommend->model->model, 0))
        return att_err_param(err, ATT_EUNSUPPORTED, "model", "model: \"%s\" is no recommender; see /v1/models",
                             recommend->model->name);
    status = task_catalogue_open(call, recommend->model, &recommend->catalogue, err);
    recommend->n_items = recommend->catalogue.n_items;
    recommend->n_slots = recommend->n_items + 1 + recommend->catalogue.n_added;
    return status;
}

static enum att_status parse_interest(struct task_call *call, struct task_recommend *recommend,
                                      const struct att_json *body, struct att_err *err)
{
    const struct att_json *value = att_json_get(body, "interest");
    if (att_json_type(value) == ATT_JSON_NULL)
        return ATT_OK;
    enum att_status status =
        task_field_text(call, value, "interest", &recommend->interest, &recommend->interest_len, err);
    if (status != ATT_OK)
        return status;
    if (strspn(recommend->interest, " \t\r\n") == recommend->interest_len)
        recommend->interest = NULL;
    else if (!task_preference_has_content(recommend->model))
        return att_err_param(err, ATT_EUNSUPPORTED, "interest",
                             "interest: model \"%s\" has no embeddings of its items' texts to compare words with; they "
                             "are made by attend items index",
                             recommend->model->name);
    return ATT_OK;
}

/* ---- items of the request ---- */

static void name_unknown(struct task_recommend *recommend, const char *id)
{
    size_t count = recommend->unknown.count;
    if (task_names_add(&recommend->unknown, id))
        recommend->unknown_list[count] = id;
}

/* "i7" or {"id":"i7","text":"…"}. */
static enum att_status parse_candidate(struct task_call *call, const struct att_json *value, size_t i,
                                       struct task_candidate *candidate, struct att_err *err)
{
    static const char *const members[] = {"id", "text", NULL};
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "candidates[%zu]", i);
    *candidate = (struct task_candidate){.number = SIZE_MAX};
    if (att_json_is_string(value))
        return task_item_id(call, value, path, &candidate->id, err);
    if (!att_json_is_object(value))
        return att_err_param(err, ATT_EINVAL, path, "%s: is %s, expected an id or {\"id\",\"text\"}", path,
                             att_json_type_name(value));
    const struct att_json *text = att_json_get(value, "text");
    enum att_status status = task_fields_known(value, path, members, err);
    snprintf(path, sizeof path, "candidates[%zu].id", i);
    if (status == ATT_OK)
        status = task_item_id(call, att_json_get(value, "id"), path, &candidate->id, err);
    snprintf(path, sizeof path, "candidates[%zu].text", i);
    if (status == ATT_OK && att_json_type(text) != ATT_JSON_NULL)
        status = task_field_text(call, text, path, &candidate->text, &candidate->text_len, err);
    return status;
}

static enum att_status items_array(const struct task_call *call, const struct att_json *body, const char *name,
                                   const struct att_json **ret_array, struct att_err *err)
{
    const struct att_json *value = att_json_get(body, name);
    size_t n = 0;
    *ret_array = att_json_is_array(value) ? value : NULL;
    return task_field_array(value, name, "items", false, call->env->limits.items_max, &n, err);
}

/* Which slots may be answered; candidates that only their text tells become slots behind the items. */
static enum att_status parse_candidates(struct task_call *call, struct task_recommend *recommend,
                                        const struct att_json *array, struct att_err *err)
{
    const struct store_items *items = recommend->model->items;
    size_t n = att_json_count(array);
    bool has_content = task_preference_has_content(recommend->model);
    struct task_names names;
    recommend->allowed = task_alloc(call, recommend->n_slots + n, 1, err);
    recommend->candidates = recommend->allowed ? task_alloc(call, n + 1, sizeof *recommend->candidates, err) : NULL;
    if (!recommend->candidates)
        return err->status;
    if (!array && items)
        memcpy(recommend->allowed, store_items_present(items), recommend->n_items + 1);
    else if (!array)
        memset(recommend->allowed + 1, 1, recommend->n_items);
    if (!array)
        memset(recommend->allowed + recommend->n_items + 1, 1, recommend->catalogue.n_added);
    enum att_status status = task_names_init(call, n, &names, err);
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        struct task_candidate candidate;
        status = parse_candidate(call, att_json_at(array, i), i, &candidate, err);
        if (status != ATT_OK)
            return status;
        size_t slot = task_catalogue_slot(&recommend->catalogue, candidate.id);
        if (!task_names_add(&names, candidate.id))
            continue;
        if (slot > 0) {
            recommend->allowed[slot] = 1;
            continue;
        }
        name_unknown(recommend, candidate.id);
        /* A new item that was removed has no slot that could be forbidden. */
        if (candidate.text_len == 0 || !has_content || task_catalogue_is_removed(&recommend->catalogue, candidate.id))
            continue;
        recommend->candidates[recommend->n_candidates++] = candidate;
        recommend->allowed[recommend->n_slots + recommend->n_candidates - 1] = 1;
    }
    return status;
}

static void exclude(struct task_recommend *recommend, struct task_names *excluded, const char *id)
{
    size_t slot = task_catalogue_slot(&recommend->catalogue, id);
    if (slot > 0)
        recommend->allowed[slot] = 0;
    else
        task_names_add(excluded, id);
}

static enum att_status apply_exclusions(struct task_call *call, struct task_recommend *recommend,
                                        const struct att_json *array, struct att_err *err)
{
    size_t n = att_json_count(array);
    struct task_names excluded;
    enum att_status status = task_names_init(call, n + recommend->history.n, &excluded, err);
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        char path[PATH_BYTES];
        const char *id = NULL;
        snprintf(path, sizeof path, "exclude[%zu]", i);
        status = task_item_id(call, att_json_at(array, i), path, &id, err);
        if (status == ATT_OK)
            exclude(recommend, &excluded, id);
    }
    if (status != ATT_OK)
        return status;
    for (size_t i = 0; recommend->exclude_seen && i < recommend->history.n; i++)
        exclude(recommend, &excluded, recommend->history.events[i].item);
    for (size_t i = 0; i < recommend->n_candidates; i++)
        if (task_names_has(&excluded, recommend->candidates[i].id))
            recommend->allowed[recommend->n_slots + i] = 0;
    task_catalogue_forbid(&recommend->catalogue, recommend->allowed);
    return ATT_OK;
}

static enum att_status parse_items(struct task_call *call, struct task_recommend *recommend,
                                   const struct att_json *body, struct att_err *err)
{
    const struct att_json *candidates = NULL, *excluded = NULL;
    enum att_status status =
        task_history_parse(call, recommend->model, body, recommend->user, &recommend->history, err);
    if (status == ATT_OK)
        status = items_array(call, body, "candidates", &candidates, err);
    if (status == ATT_OK)
        status = items_array(call, body, "exclude", &excluded, err);
    if (status != ATT_OK)
        return status;
    size_t names = recommend->history.n + att_json_count(candidates);
    recommend->unknown_list = task_alloc(call, names + 1, sizeof *recommend->unknown_list, err);
    if (!recommend->unknown_list)
        return err->status;
    status = task_names_init(call, names, &recommend->unknown, err);
    for (size_t i = 0; status == ATT_OK && i < recommend->history.n; i++)
        if (task_catalogue_slot(&recommend->catalogue, recommend->history.events[i].item) == 0)
            name_unknown(recommend, recommend->history.events[i].item);
    if (status == ATT_OK)
        status = parse_candidates(call, recommend, candidates, err);
    if (status == ATT_OK)
        status = apply_exclusions(call, recommend, excluded, err);
    if (status == ATT_OK)
        status = task_catalogue_filter(&recommend->catalogue, att_json_get(body, "filters"), recommend->allowed, err);
    return status;
}

/* ---- jobs ---- */

static enum att_status plan_text(struct task_call *call, struct task_recommend *recommend, const char *prompt,
                                 const char *text, size_t len, const char *path, struct att_err *err)
{
    const struct task_windows_options options = {.pooled = true, .stride = SIZE_MAX, .prompt = prompt};
    return task_windows_plan(call, recommend->model->encoder, &options, text, len, NULL, 0, path,
                             &recommend->windows[recommend->n_texts++], err);
}

/* The texts that the encoder is to read. An event's text is found again by its number in the order of the events. */
static enum att_status plan_texts(struct task_call *call, struct task_recommend *recommend, struct att_err *err)
{
    size_t most = 1 + recommend->history.n + recommend->n_candidates;
    char path[PATH_BYTES];
    enum att_status status = ATT_OK;
    if (!task_preference_has_content(recommend->model))
        return ATT_OK;
    const struct att_model_info *info = att_model_info(recommend->model->encoder->model);
    recommend->windows = task_alloc(call, most, sizeof *recommend->windows, err);
    if (!recommend->windows)
        return err->status;
    if (recommend->interest)
        status = plan_text(call, recommend, info->query_prompt, recommend->interest, recommend->interest_len,
                           "interest", err);
    for (size_t i = 0; status == ATT_OK && i < recommend->history.n; i++) {
        const struct task_event *event = &recommend->history.events[i];
        snprintf(path, sizeof path, "history[%zu].text", task_history_number(&recommend->history, event->position));
        if (task_recommend_event_text(recommend, event))
            status = plan_text(call, recommend, info->passage_prompt, event->text, event->text_len, path, err);
    }
    for (size_t i = 0; status == ATT_OK && i < recommend->n_candidates; i++) {
        struct task_candidate *candidate = &recommend->candidates[i];
        snprintf(path, sizeof path, "candidates[%zu].text", i);
        status = plan_text(call, recommend, info->passage_prompt, candidate->text, candidate->text_len, path, err);
    }
    return status;
}

enum att_status task_recommend_sequence(struct task_call *call, const struct task_model *model,
                                        const struct task_history *history, struct task_job *job, size_t **ret_events,
                                        struct att_err *err)
{
    const struct att_model_info *info = att_model_info(model->model);
    size_t liked = 0, at = 0;
    for (size_t i = 0; i < history->n; i++)
        liked += history->events[i].index > 0 && history->events[i].weight > 0;
    size_t n = liked < info->max_tokens ? liked : info->max_tokens, skipped = liked - n;
    int32_t *ids = task_alloc(call, n + 1, sizeof *ids, err);
    float *weights = ids ? task_alloc(call, n + 1, sizeof *weights, err) : NULL;
    size_t *events = weights ? task_alloc(call, n + 1, sizeof *events, err) : NULL;
    *job = (struct task_job){.model = model->model, .ids = ids, .weights = weights, .len = n};
    job->pooled = events ? task_alloc(call, info->hidden_size, sizeof *job->pooled, err) : NULL;
    if (!job->pooled)
        return err->status;
    for (size_t i = 0; i < history->n; i++) {
        if (history->events[i].index == 0 || !(history->events[i].weight > 0))
            continue;
        if (skipped > 0) {
            skipped--;
            continue;
        }
        ids[at] = (int32_t)history->events[i].index;
        weights[at] = history->events[i].presence;
        events[at++] = i;
    }
    *ret_events = events;
    return ATT_OK;
}

/* Where the sequence alone decides, the worker that computes it finds the best items of a large catalogue too. */
static enum att_status plan_scan(struct task_call *call, struct task_recommend *recommend, struct task_job *job,
                                 struct att_err *err)
{
    const struct att_scan *scan = att_item_scan(recommend->model->model);
    size_t best = task_recommend_pool(recommend);
    if (!scan || recommend->n_texts > 0 || recommend->catalogue.n_added > 0 || best > ATT_SCAN_BEST_MAX)
        return ATT_OK;
    job->scan = task_alloc(call, 1, sizeof *job->scan, err);
    void *space = job->scan ? task_alloc(call, att_scan_space_bytes(scan, best), 1, err) : NULL;
    if (!space)
        return err->status;
    *job->scan = (struct att_scan_query){.allowed = recommend->allowed, .best = best, .space = space};
    return ATT_OK;
}

/* The newest liked items that the model can take, as one more job behind those of the texts. */
static enum att_status add_sequence(struct task_call *call, struct task_recommend *recommend, struct att_err *err)
{
    struct task_job *jobs = task_alloc(call, call->n_jobs + 1, sizeof *jobs, err);
    if (!jobs)
        return err->status;
    struct task_job *job = &jobs[call->n_jobs];
    enum att_status status =
        task_recommend_sequence(call, recommend->model, &recommend->history, job, &recommend->sequence, err);
    if (status != ATT_OK || job->len == 0)
        return status;
    recommend->n_sequence = job->len;
    job->attention = task_alloc(call, job->len, sizeof *job->attention, err);
    if (!job->attention)
        return err->status;
    status = plan_scan(call, recommend, job, err);
    if (call->n_jobs)
        memcpy(jobs, call->jobs, call->n_jobs * sizeof *jobs);
    call->jobs = jobs;
    call->n_jobs++;
    return status;
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    const struct task_windows_options options = {.pooled = true};
    struct task_recommend *recommend = task_alloc(call, 1, sizeof *recommend, err);
    if (!recommend)
        return err->status;
    call->state = recommend;
    enum att_status status = task_fields_known(body, "", fields, err);
    if (status == ATT_OK)
        status = choose_model(call, recommend, body, err);
    if (status == ATT_OK)
        status = parse_options(call, recommend, body, err);
    if (status == ATT_OK)
        status = parse_items(call, recommend, body, err);
    if (status == ATT_OK)
        status = parse_interest(call, recommend, body, err);
    if (status == ATT_OK)
        status = plan_texts(call, recommend, err);
    if (status == ATT_OK && recommend->n_texts > 0)
        status = task_windows_jobs(call, &options, recommend->windows, recommend->n_texts, err);
    return status == ATT_OK ? add_sequence(call, recommend, err) : status;
}

static void finish(struct task_call *call)
{
    struct task_recommend *recommend = call->state;
    if (recommend)
        task_catalogue_release(&recommend->catalogue);
}

const struct task task_recommend = {.name = "recommend",
                                    .parse = parse,
                                    .advance = task_recommend_advance,
                                    .render = task_recommend_render,
                                    .finish = finish};
