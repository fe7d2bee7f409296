/* See catalogue.h. The view is in the order of ids; the model's own items among it are found by a second list in the
 * order of slots. */
#include "tasks/recommend/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "store/items.h"
#include "tasks/recommend/history.h"

enum att_status task_catalogue_open(struct task_call *call, const struct task_model *model,
                                    struct task_catalogue *catalogue, struct att_err *err)
{
    *catalogue = (struct task_catalogue){.model = model, .n_items = att_model_info(model->model)->vocab_size - 1};
    if (!model->catalogue)
        return ATT_OK;
    enum att_status status = store_catalogue_view(model->catalogue, &catalogue->view, err);
    if (status != ATT_OK)
        return status;
    size_t n = catalogue->view->n;
    catalogue->slots = task_alloc(call, n + 1, sizeof *catalogue->slots, err);
    catalogue->added = catalogue->slots ? task_alloc(call, n + 1, sizeof *catalogue->added, err) : NULL;
    if (!catalogue->added)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        const struct store_catalogue_item *item = catalogue->view->items[i];
        catalogue->slots[i] = task_item_find(model, item->id);
        if (catalogue->slots[i] > 0 || item->deleted)
            continue;
        catalogue->added[catalogue->n_added++] = item;
        catalogue->slots[i] = catalogue->n_items + catalogue->n_added;
    }
    return ATT_OK;
}

void task_catalogue_release(struct task_catalogue *catalogue)
{
    if (catalogue->view)
        store_catalogue_view_release(catalogue->view);
    catalogue->view = NULL;
}

size_t task_catalogue_slot(const struct task_catalogue *catalogue, const char *id)
{
    size_t index = task_item_find(catalogue->model, id);
    if (index > 0 || !catalogue->view)
        return index;
    size_t i = store_catalogue_find(catalogue->view, id);
    return i < catalogue->view->n ? catalogue->slots[i] : 0;
}

bool task_catalogue_is_removed(const struct task_catalogue *catalogue, const char *id)
{
    size_t i = catalogue->view ? store_catalogue_find(catalogue->view, id) : 0;
    return catalogue->view && i < catalogue->view->n && catalogue->view->items[i]->deleted;
}

const struct store_catalogue_item *task_catalogue_at(const struct task_catalogue *catalogue, size_t slot)
{
    const struct store_items *items = catalogue->model->items;
    if (!catalogue->view || catalogue->view->n == 0)
        return NULL;
    if (slot > catalogue->n_items)
        return slot - catalogue->n_items <= catalogue->n_added ? catalogue->added[slot - catalogue->n_items - 1] : NULL;
    const char *id = items ? store_items_at(items, slot)->id : NULL;
    size_t i = id ? store_catalogue_find(catalogue->view, id) : catalogue->view->n;
    return i < catalogue->view->n ? catalogue->view->items[i] : NULL;
}

void task_catalogue_forbid(const struct task_catalogue *catalogue, unsigned char *allowed)
{
    for (size_t i = 0; catalogue->view && i < catalogue->view->n; i++) {
        const struct store_catalogue_item *item = catalogue->view->items[i];
        if (item->deleted || item->unavailable)
            allowed[catalogue->slots[i]] = 0;
    }
}

const char *task_catalogue_title(const struct task_catalogue *catalogue, size_t slot)
{
    const struct store_catalogue_item *item = task_catalogue_at(catalogue, slot);
    const struct store_items *items = catalogue->model->items;
    if (item && item->title)
        return item->title;
    return items && slot <= catalogue->n_items && store_items_at(items, slot)->title[0]
               ? store_items_at(items, slot)->title
               : NULL;
}

/* ---- filters ---- */

static bool same_value(const struct att_json *a, const struct att_json *b)
{
    const char *text = att_json_string(a, NULL), *other = att_json_string(b, NULL);
    if (text || other)
        return text && other && strcmp(text, other) == 0;
    if (att_json_is_number(a))
        return att_json_is_number(b) && att_json_number(a, 0) == att_json_number(b, 1);
    return att_json_is_bool(a) && att_json_is_bool(b) && att_json_bool(a, false) == att_json_bool(b, true);
}

/* A list has the value when one of its members is it. */
static bool has_value(const struct att_json *member, const struct att_json *wanted)
{
    if (!att_json_is_array(member))
        return same_value(wanted, member);
    for (size_t i = 0; i < att_json_count(member); i++)
        if (same_value(wanted, att_json_at(member, i)))
            return true;
    return false;
}

static bool passes(const struct att_json *metadata, const struct att_json *wanted, bool any_is_enough)
{
    struct att_json_iter iter;
    const char *key;
    const struct att_json *value;
    bool all = true, any = false;
    att_json_iter_init(&iter, wanted);
    while (att_json_iter_next(&iter, &key, &value)) {
        bool same = has_value(att_json_get(metadata, key), value);
        all = all && same;
        any = any || same;
    }
    return any_is_enough ? any : all;
}

static const struct att_json *metadata_of(const struct task_catalogue *catalogue, size_t slot)
{
    const struct store_catalogue_item *item = task_catalogue_at(catalogue, slot);
    if (item && item->metadata)
        return item->metadata_members;
    return catalogue->model->items && slot <= catalogue->n_items
               ? store_items_at(catalogue->model->items, slot)->metadata
               : NULL;
}

enum att_status task_catalogue_filter(const struct task_catalogue *catalogue, const struct att_json *filters,
                                      unsigned char *allowed, struct att_err *err)
{
    static const char *const members[] = {"metadata", "logic", NULL};
    static const char *const words[] = {"and", "or", NULL};
    size_t logic = 0;
    if (att_json_type(filters) == ATT_JSON_NULL)
        return ATT_OK;
    enum att_status status = task_fields_known(filters, "filters", members, err);
    if (status == ATT_OK)
        status = task_field_enum(filters, "filters", "logic", words, &logic, err);
    if (status != ATT_OK)
        return status;
    const struct att_json *metadata = att_json_get(filters, "metadata");
    if (att_json_type(metadata) != ATT_JSON_NULL && !att_json_is_object(metadata))
        return att_err_param(err, ATT_EINVAL, "filters.metadata", "filters.metadata: is %s, expected an object",
                             att_json_type_name(metadata));
    for (size_t slot = 1; att_json_count(metadata) > 0 && slot <= catalogue->n_items + catalogue->n_added; slot++)
        if (allowed[slot])
            allowed[slot] = passes(metadata_of(catalogue, slot), metadata, logic == 1);
    return ATT_OK;
}
