/* See list_filters.h. */
#include "core/chat/list_filters.h"

#include <string.h>

#include "core/base/utf8.h"
#include "core/chat/filters.h"
#include "core/chat/strings.h"

/* What Jinja makes as it goes. */
static struct att_value lazy(struct att_list *list)
{
    list->lazy = true;
    return att_value_list(list);
}

/* A list of the run, or false with the error set. */
static bool new_list(struct att_run *run, struct att_list **ret)
{
    *ret = att_list_create(&run->arena);
    return *ret || att_run_no_memory(run);
}

static bool push(struct att_run *run, struct att_list *list, struct att_value value)
{
    return att_run_step(run) && (att_list_push(&run->arena, list, value) || att_run_no_memory(run));
}

/* item.a.b or item.0, as "a.b" says; no path: the item itself. */
static bool by_path(struct att_run *run, struct att_value item, struct att_value path, struct att_value *ret)
{
    *ret = item;
    if (att_value_absent(path) || path.kind == ATT_VALUE_NONE)
        return true;
    if (path.kind == ATT_VALUE_INT)
        return att_run_item(run, item, path, ret);
    struct att_text rest = {0};
    if (!att_run_text(run, "attribute", path, &rest))
        return false;
    for (bool more = true; more;) {
        const char *dot = rest.len ? memchr(rest.bytes, '.', rest.len) : NULL;
        struct att_value key = att_value_text(rest.bytes, dot ? (size_t)(dot - rest.bytes) : rest.len);
        if (key.text.len > 0 && key.text.len < 10 && strspn(key.text.bytes, "0123456789") >= key.text.len) {
            int64_t index = 0;
            for (size_t i = 0; i < key.text.len; i++)
                index = 10 * index + (key.text.bytes[i] - '0');
            key = att_value_integer(index);
        }
        more = dot != NULL;
        rest = (struct att_text){rest.bytes + (more ? dot + 1 - rest.bytes : 0),
                                 more ? rest.len - (size_t)(dot + 1 - rest.bytes) : 0};
        if (!att_run_item(run, *ret, key, ret))
            return false;
    }
    return true;
}

ATT_LIST_FILTER(join)
{
    static const char *const names[] = {"d", "attribute"};
    struct att_chat_buffer buffer = att_run_buffer(run);
    struct att_value values[2], value;
    struct att_text between = {0}, text;
    struct att_list *items;
    if (!att_run_bind(run, "join", arguments, names, 2, 0, values) || !att_run_items(run, of, &items) ||
        !att_run_string(run, values[0], &between))
        return false;
    for (size_t i = 0; i < items->count; i++) {
        if (!att_run_step(run) || !by_path(run, items->items[i], values[1], &value) ||
            !att_run_string(run, value, &text))
            return false;
        if (i)
            att_buffer_put(&buffer, between.bytes, between.len);
        att_buffer_put(&buffer, text.bytes, text.len);
    }
    *ret = att_value_text(buffer.bytes, buffer.len);
    return att_run_written(run, &buffer);
}

static bool end_of(struct att_run *run, struct att_value of, const struct att_arguments *arguments, bool last,
                   struct att_value *ret)
{
    struct att_list *items;
    if (!att_run_bind(run, "first", arguments, NULL, 0, 0, NULL) || !att_run_items(run, of, &items))
        return false;
    *ret = items->count > 0 ? items->items[last ? items->count - 1 : 0]
                            : att_value_undefined((struct att_text){"item", 4});
    return true;
}

ATT_LIST_FILTER(first)
{
    return end_of(run, of, arguments, false, ret);
}

ATT_LIST_FILTER(last)
{
    return end_of(run, of, arguments, true, ret);
}

/* A list of its own with the same items. */
static bool copy_items(struct att_run *run, struct att_value of, struct att_list **ret)
{
    struct att_list *items, *list;
    if (!att_run_items(run, of, &items) || !new_list(run, &list))
        return false;
    for (size_t i = 0; i < items->count; i++)
        if (!push(run, list, items->items[i]))
            return false;
    *ret = list;
    return true;
}

ATT_LIST_FILTER(list)
{
    struct att_list *list;
    if (!att_run_bind(run, "list", arguments, NULL, 0, 0, NULL) || !copy_items(run, of, &list))
        return false;
    *ret = att_value_list(list);
    return true;
}

ATT_LIST_FILTER(items)
{
    struct att_list *none;
    if (of.kind == ATT_VALUE_UNDEFINED) {
        if (!new_list(run, &none))
            return false;
        *ret = att_value_list(none);
        return true;
    }
    if (of.kind != ATT_VALUE_DICT)
        return att_run_fail(run, ATT_EINVAL, "items: is %s, expected a dictionary", att_value_kind_name(of));
    return att_run_method(run, of, (struct att_text){"items", 5}, arguments, ret);
}

/* ---- order ---- */

/* What a value is compared by: strings without regard to case unless asked. */
static bool sort_key(struct att_run *run, struct att_value value, bool case_sensitive, struct att_value *ret)
{
    *ret = value;
    return case_sensitive || value.kind != ATT_VALUE_TEXT || att_run_recase(run, value.text, ATT_CASE_LOWER, ret);
}

/* Stable, by merging; keys and items move together. */
static bool merge_sort(struct att_run *run, struct att_value *keys, struct att_value *items, size_t n, bool reverse)
{
    struct att_value *other_keys = att_arena_alloc(&run->arena, n + 1, sizeof *keys);
    struct att_value *other_items = att_arena_alloc(&run->arena, n + 1, sizeof *items);
    if (!other_keys || !other_items)
        return att_run_no_memory(run);
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t at = 0; at < n; at += 2 * width) {
            size_t mid = at + width < n ? at + width : n, end = at + 2 * width < n ? at + 2 * width : n;
            for (size_t a = at, b = mid, to = at; to < end; to++) {
                int order = a < mid && b < end ? att_value_compare(keys[a], keys[b], &run->steps) : 0;
                if (!att_run_step(run))
                    return false;
                if (order == 2)
                    return att_run_fail(run, ATT_EINVAL, "sort: %s and %s have no order", att_value_kind_name(keys[a]),
                                        att_value_kind_name(keys[b]));
                bool first = b >= end || (a < mid && (reverse ? order >= 0 : order <= 0));
                size_t from = first ? a++ : b++;
                other_keys[to] = keys[from];
                other_items[to] = items[from];
            }
        }
        memcpy(keys, other_keys, n * sizeof *keys);
        memcpy(items, other_items, n * sizeof *items);
    }
    return true;
}

static bool sort_by(struct att_run *run, struct att_list *list, struct att_value path, bool case_sensitive,
                    bool reverse)
{
    struct att_value *keys = att_arena_alloc(&run->arena, list->count + 1, sizeof *keys), value;
    if (!keys)
        return att_run_no_memory(run);
    for (size_t i = 0; i < list->count; i++)
        if (!by_path(run, list->items[i], path, &value) || !sort_key(run, value, case_sensitive, &keys[i]))
            return false;
    return merge_sort(run, keys, list->items, list->count, reverse);
}

ATT_LIST_FILTER(sort)
{
    static const char *const names[] = {"reverse", "case_sensitive", "attribute"};
    struct att_value values[3];
    struct att_list *list;
    if (!att_run_bind(run, "sort", arguments, names, 3, 0, values) || !copy_items(run, of, &list) ||
        !sort_by(run, list, values[2], att_value_true(values[1]), att_value_true(values[0])))
        return false;
    *ret = att_value_list(list);
    return true;
}

ATT_LIST_FILTER(dictsort)
{
    static const char *const names[] = {"case_sensitive", "by", "reverse"};
    static const struct att_arguments none = {0};
    struct att_value values[3], pairs;
    struct att_text by = {"key", 3};
    if (!att_run_bind(run, "dictsort", arguments, names, 3, 0, values) ||
        !att_run_text(run, "dictsort", values[1], &by) || !att_filter_items(run, of, &none, &pairs) ||
        !sort_by(run, pairs.list, att_value_integer(att_text_is(by, "value")), att_value_true(values[0]),
                 att_value_true(values[2])))
        return false;
    *ret = pairs;
    return true;
}

ATT_LIST_FILTER(reverse)
{
    struct att_chat_buffer buffer = att_run_buffer(run);
    struct att_list *list;
    if (!att_run_bind(run, "reverse", arguments, NULL, 0, 0, NULL) || !copy_items(run, of, &list))
        return false;
    for (size_t i = 0; i < list->count / 2; i++) {
        struct att_value swapped = list->items[i];
        list->items[i] = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = swapped;
    }
    *ret = lazy(list);
    if (of.kind != ATT_VALUE_TEXT)
        return true;
    for (size_t i = 0; i < list->count; i++)
        att_buffer_put(&buffer, list->items[i].text.bytes, list->items[i].text.len);
    *ret = att_value_text(buffer.bytes, buffer.len);
    return att_run_written(run, &buffer);
}

static bool extreme(struct att_run *run, struct att_value of, const struct att_arguments *arguments, int sign,
                    struct att_value *ret)
{
    static const char *const names[] = {"case_sensitive", "attribute"};
    struct att_value values[2], best = {0}, key, value;
    struct att_list *items;
    if (!att_run_bind(run, "min", arguments, names, 2, 0, values) || !att_run_items(run, of, &items))
        return false;
    *ret = att_value_undefined((struct att_text){"item", 4});
    for (size_t i = 0; i < items->count; i++) {
        if (!att_run_step(run) || !by_path(run, items->items[i], values[1], &value) ||
            !sort_key(run, value, att_value_true(values[0]), &key))
            return false;
        int order = i ? att_value_compare(key, best, &run->steps) : sign;
        if (order == 2)
            return att_run_fail(run, ATT_EINVAL, "min: %s and %s have no order", att_value_kind_name(key),
                                att_value_kind_name(best));
        if (order == sign) {
            best = key;
            *ret = items->items[i];
        }
    }
    return true;
}

ATT_LIST_FILTER(min)
{
    return extreme(run, of, arguments, -1, ret);
}

ATT_LIST_FILTER(max)
{
    return extreme(run, of, arguments, 1, ret);
}

ATT_LIST_FILTER(sum)
{
    static const char *const names[] = {"attribute", "start"};
    struct att_value values[2], value;
    struct att_list *items;
    if (!att_run_bind(run, "sum", arguments, names, 2, 0, values) || !att_run_items(run, of, &items))
        return false;
    *ret = att_value_absent(values[1]) ? att_value_integer(0) : values[1];
    for (size_t i = 0; i < items->count; i++)
        if (!att_run_step(run) || !by_path(run, items->items[i], values[0], &value) ||
            !att_run_binary(run, ATT_OP_ADD, *ret, value, ret))
            return false;
    return true;
}

/* ---- picking ---- */

ATT_LIST_FILTER(unique)
{
    static const char *const names[] = {"case_sensitive", "attribute"};
    struct att_value values[2], value, key;
    struct att_list *items, *list, *keys;
    if (!att_run_bind(run, "unique", arguments, names, 2, 0, values) || !att_run_items(run, of, &items) ||
        !new_list(run, &list) || !new_list(run, &keys))
        return false;
    for (size_t i = 0; i < items->count; i++) {
        bool found = false;
        if (!by_path(run, items->items[i], values[1], &value) || !sort_key(run, value, att_value_true(values[0]), &key))
            return false;
        for (size_t k = 0; k < keys->count && !found; k++)
            found = att_value_equal(key, keys->items[k], &run->steps);
        if (!found && (!push(run, keys, key) || !push(run, list, items->items[i])))
            return false;
        if (!att_run_step(run))
            return false;
    }
    *ret = lazy(list);
    return true;
}

/* Arguments from the k-th on. */
static struct att_arguments behind(const struct att_arguments *arguments, size_t k)
{
    return (struct att_arguments){arguments->values + k, arguments->names + k, arguments->n - k};
}

static bool first_text(struct att_run *run, const char *who, const struct att_arguments *arguments, size_t k,
                       struct att_text *ret)
{
    if (k >= arguments->n || arguments->names[k].bytes)
        return att_run_fail(run, ATT_EINVAL, "%s: a name is missing", who);
    return att_run_text(run, who, arguments->values[k], ret);
}

/* What is false has no items for map, select and reject, whatever it is. */
static bool items_or_none(struct att_run *run, struct att_value of, struct att_list **ret)
{
    return att_value_true(of) ? att_run_items(run, of, ret) : new_list(run, ret);
}

/* x|map(attribute="a", default=…) or x|map("filter", …) */
ATT_LIST_FILTER(map)
{
    static const char *const names[] = {"attribute", "default"};
    struct att_value values[2], value;
    struct att_list *items, *list;
    struct att_text name = {0};
    bool by_name = arguments->n > 0 && !arguments->names[0].bytes;
    if (!items_or_none(run, of, &items) || !new_list(run, &list))
        return false;
    if (by_name ? !first_text(run, "map", arguments, 0, &name)
                : !att_run_bind(run, "map", arguments, names, 2, 1, values))
        return false;
    struct att_arguments rest = by_name ? behind(arguments, 1) : (struct att_arguments){0};
    for (size_t i = 0; i < items->count; i++) {
        if (by_name ? !att_run_filter(run, name, items->items[i], &rest, &value)
                    : !by_path(run, items->items[i], values[0], &value))
            return false;
        if (!by_name && value.kind == ATT_VALUE_UNDEFINED && !att_value_absent(values[1]))
            value = values[1];
        if (!push(run, list, value))
            return false;
    }
    *ret = lazy(list);
    return true;
}

/* select and reject by a test, of the items or of an attribute of theirs; without a test by their truth. */
static bool pick(struct att_run *run, struct att_value of, const struct att_arguments *arguments, bool by_attribute,
                 bool wanted, struct att_value *ret)
{
    struct att_value path = {.kind = ATT_VALUE_UNDEFINED}, value;
    struct att_text name = {0};
    struct att_list *items, *list;
    size_t k = by_attribute;
    if (!items_or_none(run, of, &items) || !new_list(run, &list))
        return false;
    if (by_attribute && arguments->n == 0)
        return att_run_fail(run, ATT_EINVAL, "selectattr: the attribute is missing");
    if (by_attribute)
        path = arguments->values[0];
    bool tested = arguments->n > k;
    if (tested && !first_text(run, "select", arguments, k, &name))
        return false;
    if (tested && !att_chat_test_known(name))
        return att_run_fail(run, ATT_EUNSUPPORTED, "select: no test '%.*s' is known here",
                            name.len > 60 ? 60 : (int)name.len, name.bytes);
    struct att_arguments rest = tested ? behind(arguments, k + 1) : (struct att_arguments){0};
    for (size_t i = 0; i < items->count; i++) {
        if (!att_run_step(run) || !by_path(run, items->items[i], path, &value))
            return false;
        bool truth = att_value_true(value);
        if (tested && !att_run_test(run, name, value, &rest, &truth))
            return false;
        if (truth == wanted && !push(run, list, items->items[i]))
            return false;
    }
    *ret = lazy(list);
    return true;
}

ATT_LIST_FILTER(select)
{
    return pick(run, of, arguments, false, true, ret);
}

ATT_LIST_FILTER(reject)
{
    return pick(run, of, arguments, false, false, ret);
}

ATT_LIST_FILTER(selectattr)
{
    return pick(run, of, arguments, true, true, ret);
}

ATT_LIST_FILTER(rejectattr)
{
    return pick(run, of, arguments, true, false, ret);
}

ATT_LIST_FILTER(batch)
{
    static const char *const names[] = {"linecount", "fill_with"};
    struct att_value values[2];
    struct att_list *items, *list, *line = NULL;
    int64_t size = 0;
    if (!att_run_bind(run, "batch", arguments, names, 2, 1, values) ||
        !att_run_integer(run, "batch", values[0], &size) || !att_run_items(run, of, &items) || !new_list(run, &list))
        return false;
    if (size < 1 || size > 100000)
        return att_run_fail(run, ATT_EINVAL, "batch: the size is %lld, expected 1 to 100000", (long long)size);
    for (size_t i = 0; i < items->count; i++) {
        if (i % (size_t)size == 0 && (!new_list(run, &line) || !push(run, list, att_value_list(line))))
            return false;
        if (!push(run, line, items->items[i]))
            return false;
    }
    while (line && !att_value_absent(values[1]) && values[1].kind != ATT_VALUE_NONE && line->count < (size_t)size)
        if (!push(run, line, values[1]))
            return false;
    *ret = lazy(list);
    return true;
}
