/*
 * Items of a recommender, changed while it serves:
 *
 *   PUT    /v1/models/{id}/items          {"items":[…]}   inserts or replaces by id; as NDJSON:
 * tasks/recommend/items_lines.c PUT    /v1/models/{id}/items/{item}   {item}          the same for one GET
 * /v1/models/{id}/items/{item}   the item as it is recommended DELETE /v1/models/{id}/items/{item}   it is never
 * recommended any more GET    /v1/models/{id}/items          what was changed, by id; ?after=ID&limit=N
 *
 * A member that is left out is the item table's. A write embeds the texts first
 * (jobs), then stores all items in one transaction.
 */
#include "tasks/recommend/items.h"

#include <stdio.h>
#include <string.h>

#include "store/items.h"
#include "tasks/recommend/history.h"

enum { PATH_BYTES = ATT_ERR_PARAM_MAX, LIST_DEFAULT = 100, LIST_MAX = 1000 };
static const int64_t popularity_max = INT64_C(1) << 53;

/* For writing: what the catalogue holds is not looked at. */
static enum att_status begin_write(struct task_call *call, struct items_call **ret, struct att_err *err)
{
    struct items_call *items = task_alloc(call, 1, sizeof *items, err);
    if (!items)
        return err->status;
    call->state = items;
    items->model = call->env->find_model(call->env->context, call->path_params[0], "recommend");
    if (!items->model)
        return att_err_param(err, ATT_ENOTFOUND, "model", "model: no model of this name is loaded; see /v1/models");
    if (!att_item_embedding(items->model->model, 0))
        return att_err_param(err, ATT_EUNSUPPORTED, "model", "model: \"%s\" is no recommender", items->model->name);
    if (!items->model->catalogue)
        return att_err_param(err, ATT_EUNSUPPORTED, "model",
                             "model: \"%s\" has no catalogue: its section of the configuration names no file",
                             items->model->name);
    call->model = items->model;
    *ret = items;
    return ATT_OK;
}

static enum att_status begin(struct task_call *call, struct items_call **ret, struct att_err *err)
{
    enum att_status status = begin_write(call, ret, err);
    return status == ATT_OK ? task_catalogue_open(call, (*ret)->model, &(*ret)->catalogue, err) : status;
}

static void finish(struct task_call *call)
{
    struct items_call *items = call->state;
    if (!items)
        return;
    task_catalogue_release(&items->catalogue);
    for (size_t i = 0; i < items->n_lines; i++)
        att_json_destroy(items->lines[i].json);
}

/* The store's words name a file, which is nobody's business outside; only this status would carry them there. */
static enum att_status told(enum att_status status, struct att_err *err)
{
    return status == ATT_EBUSY
               ? att_err_set(err, ATT_EBUSY, "another process is writing to the catalogue; try again later")
               : status;
}

/* ---- reading a request's items ---- */

static const char *joined(const char *path, const char *name, char out[PATH_BYTES])
{
    snprintf(out, PATH_BYTES, "%s%s%s", path, *path ? "." : "", name);
    return out;
}

static enum att_status parse_text(struct task_call *call, const struct att_json *object, const char *path,
                                  const char *name, size_t max, const char **ret_text, struct att_err *err)
{
    const struct att_json *value = att_json_get(object, name);
    char own_path[PATH_BYTES];
    size_t len = 0;
    if (att_json_type(value) == ATT_JSON_NULL)
        return ATT_OK;
    enum att_status status = task_field_text(call, value, joined(path, name, own_path), ret_text, &len, err);
    if (status == ATT_OK && len > max)
        status = att_err_limit(err, own_path, max, len, "%s: has %zu bytes, expected at most %zu", own_path, len, max);
    return status;
}

enum att_status task_items_parse(struct task_call *call, const struct att_json *object, const char *path,
                                 const char *fixed_id, struct store_catalogue_item *item, struct att_err *err)
{
    static const char *const fields[] = {"id", "title", "text", "metadata", "popularity", "available", NULL};
    char own_path[PATH_BYTES];
    bool available = true;
    *item = (struct store_catalogue_item){.id = fixed_id, .popularity = -1};
    const struct att_json *id = att_json_get(object, "id");
    enum att_status status = task_fields_known(object, path, fields, err);
    if (status == ATT_OK && (!fixed_id || att_json_type(id) != ATT_JSON_NULL))
        status = task_item_id(call, id, joined(path, "id", own_path), &item->id, err);
    if (status == ATT_OK && fixed_id && strcmp(item->id, fixed_id) != 0)
        status = att_err_param(err, ATT_EINVAL, "id", "id: differs from the path's id");
    if (status == ATT_OK)
        status = parse_text(call, object, path, "title", STORE_ITEM_TITLE_BYTES_MAX, &item->title, err);
    if (status == ATT_OK)
        status = parse_text(call, object, path, "text", STORE_ITEM_TEXT_BYTES_MAX, &item->text, err);
    if (status == ATT_OK)
        status = task_field_metadata(call, att_json_get(object, "metadata"), joined(path, "metadata", own_path),
                                     &item->metadata, err);
    if (status == ATT_OK)
        status = task_field_int(object, path, "popularity", 0, popularity_max, &item->popularity, err);
    if (status == ATT_OK)
        status = task_field_bool(object, path, "available", &available, err);
    item->unavailable = !available;
    return status;
}

static struct task_windows_options options_of(const struct items_call *items)
{
    return (struct task_windows_options){
        .pooled = true, .stride = SIZE_MAX, .prompt = att_model_info(items->model->encoder->model)->passage_prompt};
}

enum att_status task_items_plan_begin(struct task_call *call, struct items_call *items, size_t n, struct att_err *err)
{
    if (!items->model->encoder)
        return ATT_OK;
    items->windows = task_alloc(call, n + 1, sizeof *items->windows, err);
    items->text_items = items->windows ? task_alloc(call, n + 1, sizeof *items->text_items, err) : NULL;
    return items->text_items ? ATT_OK : err->status;
}

/* The text is embedded; for an item without one that nobody else describes, the title. */
enum att_status task_items_plan(struct task_call *call, struct items_call *items, size_t index, const char *path,
                                struct att_err *err)
{
    const struct task_model *encoder = items->model->encoder;
    const struct store_catalogue_item *item = &items->items[index];
    bool known = task_item_find(items->model, item->id) > 0;
    const char *text = item->text ? item->text : known ? NULL : item->title;
    if (!encoder || !text || !*text)
        return ATT_OK;
    const struct task_windows_options options = options_of(items);
    enum att_status status = task_windows_plan(call, encoder, &options, text, strlen(text), NULL, 0, path,
                                               &items->windows[items->n_texts], err);
    if (status == ATT_OK)
        items->text_items[items->n_texts++] = index;
    return status;
}

enum att_status task_items_plan_end(struct task_call *call, struct items_call *items, struct att_err *err)
{
    if (items->n_texts == 0)
        return ATT_OK;
    const struct task_windows_options options = options_of(items);
    return task_windows_jobs(call, &options, items->windows, items->n_texts, err);
}

/* Of all items of a JSON body; single: the body is the item. */
static enum att_status plan_all(struct task_call *call, struct items_call *items, bool single, struct att_err *err)
{
    enum att_status status = task_items_plan_begin(call, items, items->n, err);
    for (size_t i = 0; status == ATT_OK && i < items->n; i++) {
        char path[PATH_BYTES] = "text";
        if (!single)
            snprintf(path, sizeof path, "items[%zu].text", i);
        status = task_items_plan(call, items, i, path, err);
    }
    return status == ATT_OK ? task_items_plan_end(call, items, err) : status;
}

static enum att_status parse_put(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const fields[] = {"items", "deadline_ms", "priority", NULL};
    struct items_call *items = NULL;
    call->writes = true;
    enum att_status status = begin_write(call, &items, err);
    if (status == ATT_OK && call->feed)
        return task_items_lines_parse(call, items, err);
    if (status == ATT_OK)
        status = task_fields_known(body, "", fields, err);
    if (status == ATT_OK)
        status = task_field_common(call, body, err);
    if (status != ATT_OK)
        return status;
    const struct att_json *list = att_json_get(body, "items");
    size_t n = 0;
    status = task_field_array(list, "items", "items", true, call->env->limits.items_max, &n, err);
    if (status != ATT_OK)
        return status;
    items->items = task_alloc(call, n, sizeof *items->items, err);
    if (!items->items)
        return err->status;
    items->n = n;
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        char path[40];
        snprintf(path, sizeof path, "items[%zu]", i);
        status = task_items_parse(call, att_json_at(list, i), path, NULL, &items->items[i], err);
    }
    return status == ATT_OK ? plan_all(call, items, false, err) : status;
}

static enum att_status one_item(struct task_call *call, struct items_call *items, struct att_err *err)
{
    items->items = task_alloc(call, 1, sizeof *items->items, err);
    items->n = items->items ? 1 : 0;
    return items->items ? ATT_OK : err->status;
}

static enum att_status parse_put_one(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct items_call *items = NULL;
    call->writes = true;
    enum att_status status = begin_write(call, &items, err);
    if (status == ATT_OK)
        status = one_item(call, items, err);
    if (status == ATT_OK)
        status = task_items_parse(call, body, "", call->path_params[1], items->items, err);
    return status == ATT_OK ? plan_all(call, items, true, err) : status;
}

enum att_status task_items_write(struct task_call *call, struct items_call *items, struct att_err *err)
{
    const struct task_model *encoder = items->model->encoder;
    for (size_t t = 0; t < items->n_texts; t++) {
        float *vector = task_alloc(call, att_model_info(encoder->model)->hidden_size, sizeof *vector, err);
        if (!vector)
            return err->status;
        task_windows_pooled(call, encoder, &items->windows[t], vector);
        att_l2_normalize(att_model_info(encoder->model)->hidden_size, vector);
        items->items[items->text_items[t]].vector = vector;
    }
    return told(store_catalogue_put(items->model->catalogue, items->items, items->n, err), err);
}

static enum att_status render_put(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct items_call *items = call->state;
    if (call->feed)
        return task_items_lines_render(call, items, answer, err);
    enum att_status status = task_items_write(call, items, err);
    if (status != ATT_OK)
        return status;
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "model", items->model->name);
    att_jsonw_put_size(answer, "written", items->n);
    att_jsonw_put_size(answer, "embedded", items->n_texts);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

/* ---- one item ---- */

/* The path's item must be one that is not removed. */
static enum att_status begin_one(struct task_call *call, struct items_call **ret, struct att_err *err)
{
    enum att_status status = begin(call, ret, err);
    if (status != ATT_OK)
        return status;
    (*ret)->slot = task_catalogue_slot(&(*ret)->catalogue, call->path_params[1]);
    const struct store_catalogue_item *item = (*ret)->slot ? task_catalogue_at(&(*ret)->catalogue, (*ret)->slot) : NULL;
    if ((*ret)->slot == 0 || (item && item->deleted))
        return att_err_param(err, ATT_ENOTFOUND, "item", "item: the model has no item of this id");
    return ATT_OK;
}

static enum att_status parse_get(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct items_call *items = NULL;
    (void)body;
    return begin_one(call, &items, err);
}

static void put_text(const char *name, const char *text, struct att_jsonw *answer)
{
    if (!text || !*text)
        return;
    att_jsonw_put_text(answer, name, text);
}

static void put_item(const struct items_call *items, const char *id, size_t slot,
                     const struct store_catalogue_item *over, struct att_jsonw *answer)
{
    static const struct store_catalogue_item nothing = {.popularity = -1};
    static const struct store_item bare = {.title = "", .text = ""};
    const struct store_items *table = items->model->items;
    bool known = slot > 0 && slot <= items->catalogue.n_items;
    const struct store_item *base = known && table ? store_items_at(table, slot) : &bare;
    over = over ? over : &nothing;
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "id", id);
    put_text("title", over->title ? over->title : base->title, answer);
    put_text("text", over->text ? over->text : base->text, answer);
    if (over->metadata || base->metadata) {
        att_jsonw_key(answer, "metadata");
        att_jsonw_value(answer, over->metadata ? over->metadata_members : base->metadata);
    }
    att_jsonw_put_int(answer, "popularity", over->popularity >= 0 ? over->popularity : (int64_t)base->popularity);
    att_jsonw_put_bool(answer, "available", !over->unavailable && !over->deleted);
    att_jsonw_put_bool(answer, "in_model", known);
    if (over->deleted)
        att_jsonw_put_bool(answer, "deleted", true);
    att_jsonw_object_end(answer);
}

static enum att_status render_get(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct items_call *items = call->state;
    (void)err;
    put_item(items, call->path_params[1], items->slot, task_catalogue_at(&items->catalogue, items->slot), answer);
    return ATT_OK;
}

static enum att_status parse_delete(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct items_call *items = NULL;
    (void)body;
    call->writes = true;
    enum att_status status = begin_one(call, &items, err);
    if (status == ATT_OK)
        status = one_item(call, items, err);
    if (status == ATT_OK)
        *items->items = (struct store_catalogue_item){.id = call->path_params[1], .popularity = -1, .deleted = true};
    return status;
}

static enum att_status render_delete(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct items_call *items = call->state;
    enum att_status status = told(store_catalogue_put(items->model->catalogue, items->items, 1, err), err);
    if (status != ATT_OK)
        return status;
    att_jsonw_object_begin(answer);
    att_jsonw_put_bool(answer, "deleted", true);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

/* ---- the list ---- */

static enum att_status parse_list(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const names[] = {"after", "limit", NULL};
    struct items_call *items = NULL;
    int64_t limit = LIST_DEFAULT;
    (void)body;
    enum att_status status = begin(call, &items, err);
    if (status == ATT_OK)
        status = task_query_known(call, names, err);
    if (status == ATT_OK)
        status = task_query_int(call, "limit", 1, LIST_MAX, &limit, err);
    if (status != ATT_OK)
        return status;
    const char *after = task_query_text(call, "after");
    const struct store_catalogue_view *view = items->catalogue.view;
    while (after && items->first < view->n && strcmp(view->items[items->first]->id, after) <= 0)
        items->first++;
    items->limit = (size_t)limit;
    return ATT_OK;
}

static enum att_status render_list(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct items_call *items = call->state;
    const struct store_catalogue_view *view = items->catalogue.view;
    size_t end = view->n - items->first < items->limit ? view->n : items->first + items->limit;
    (void)err;
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "model", items->model->name);
    att_jsonw_put_size(answer, "in_model", items->catalogue.n_items);
    att_jsonw_put_size(answer, "changed", view->n);
    att_jsonw_key(answer, "items");
    att_jsonw_array_begin(answer);
    for (size_t i = items->first; i < end; i++)
        put_item(items, view->items[i]->id, items->catalogue.slots[i], view->items[i], answer);
    att_jsonw_array_end(answer);
    att_jsonw_put_text(answer, "next", end < view->n ? view->items[end - 1]->id : NULL);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

const struct task task_items_get = {.name = "items_get", .parse = parse_list, .render = render_list, .finish = finish};
const struct task task_items_put = {.name = "items_put", .parse = parse_put, .render = render_put, .finish = finish};
const struct task task_item_get = {.name = "item_get", .parse = parse_get, .render = render_get, .finish = finish};
const struct task task_item_put = {.name = "item_put", .parse = parse_put_one, .render = render_put, .finish = finish};
const struct task task_item_delete = {
    .name = "item_delete", .parse = parse_delete, .render = render_delete, .finish = finish};
