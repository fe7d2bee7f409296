/*
 * The item table: items.jsonl into one arena with a hash from id to index. The
 * file of vectors is in store/items_index.c.
 *
 * The hash is open addressing over a power of two at least twice as large as
 * the table, so a probe ends after a few steps.
 */
#include "store/items.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#include "store/items_table.h"

enum { DEPTH_MAX = 16 };
static const size_t file_bytes_max = (size_t)2 << 30;
static const size_t arena_bytes_max = (size_t)8 << 30;
static const int64_t popularity_max = INT64_C(1) << 53;

static uint64_t hash_of(const char *id)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

/* The slot that holds this id, or the empty one where it belongs. */
static size_t slot_of(const struct store_items *items, const char *id)
{
    size_t slot = (size_t)hash_of(id) & items->mask;
    while (items->slots[slot] && strcmp(items->items[items->slots[slot]].id, id) != 0)
        slot = (slot + 1) & items->mask;
    return slot;
}

static enum att_status no_memory(const struct store_items *items, struct att_err *err)
{
    return att_err_set(err, ATT_ENOMEM, "%s: out of memory for the items", items->path);
}

/* ---- one line ---- */

struct line {
    struct att_json *object; /* kept, and NULL then, where the item's metadata lies in it */
    size_t number;
};

static enum att_status wrong(const struct store_items *items, const struct line *line, const char *field,
                             const char *expected, struct att_err *err)
{
    const struct att_json *value = att_json_get(line->object, field);
    if (att_json_is_number(value))
        return att_err_set(err, ATT_EFORMAT, "%s: line %zu: %s: is %.15g, expected %s", items->path, line->number,
                           field, att_json_number(value, 0), expected);
    if (att_json_is_string(value))
        return att_err_set(err, ATT_EFORMAT, "%s: line %zu: %s: is \"%.60s\", expected %s", items->path, line->number,
                           field, att_json_string(value, NULL), expected);
    return att_err_set(err, ATT_EFORMAT, "%s: line %zu: %s: is %s, expected %s", items->path, line->number, field,
                       value ? att_json_type_name(value) : "missing", expected);
}

/* A text of the line, copied; `otherwise` when it is missing. */
static enum att_status take_text(struct store_items *items, const struct line *line, const char *field, size_t min,
                                 size_t max, const char *otherwise, const char **ret_text, struct att_err *err)
{
    const struct att_json *value = att_json_get(line->object, field);
    size_t len;
    const char *text = att_json_string(value, &len);
    char expected[64];
    if (otherwise && att_json_type(value) == ATT_JSON_NULL) {
        *ret_text = otherwise;
        return ATT_OK;
    }
    snprintf(expected, sizeof expected, "a text of %zu to %zu bytes", min, max);
    if (!text || len < min || len > max)
        return wrong(items, line, field, expected, err);
    text = att_arena_copy(&items->arena, text, len);
    if (!text)
        return no_memory(items, err);
    *ret_text = text;
    return ATT_OK;
}

static enum att_status take_line(struct store_items *items, struct line *line, struct att_err *err)
{
    const struct att_json *popularity = att_json_get(line->object, "popularity");
    struct store_item item = {.id = NULL};
    int64_t index, count = 0;
    char expected[64];
    if (!att_json_is_object(line->object))
        return att_err_set(err, ATT_EFORMAT, "%s: line %zu: is %s, expected an object", items->path, line->number,
                           att_json_type_name(line->object));
    snprintf(expected, sizeof expected, "an integer from 1 to %zu", items->count);
    if (!att_json_integer(att_json_get(line->object, "index"), 1, (int64_t)items->count, &index))
        return wrong(items, line, "index", expected, err);
    if (items->items[index].id)
        return att_err_set(err, ATT_EFORMAT, "%s: line %zu: index: %lld is that of an earlier line, id \"%.60s\"",
                           items->path, line->number, (long long)index, items->items[index].id);
    if (att_json_type(popularity) != ATT_JSON_NULL && !att_json_integer(popularity, 0, popularity_max, &count))
        return wrong(items, line, "popularity", "an integer from 0 to 2^53", err);
    enum att_status status = take_text(items, line, "id", 1, STORE_ITEM_ID_BYTES_MAX, NULL, &item.id, err);
    if (status == ATT_OK)
        status = take_text(items, line, "title", 0, STORE_ITEM_TITLE_BYTES_MAX, "", &item.title, err);
    if (status == ATT_OK)
        status = take_text(items, line, "text", 0, STORE_ITEM_TEXT_BYTES_MAX, item.title, &item.text, err);
    if (status != ATT_OK)
        return status;
    size_t slot = slot_of(items, item.id);
    if (items->slots[slot])
        return att_err_set(err, ATT_EFORMAT, "%s: line %zu: id: \"%.60s\" is that of an earlier line, index %u",
                           items->path, line->number, item.id, (unsigned)items->slots[slot]);
    const struct att_json *metadata = att_json_get(line->object, "metadata");
    if (att_json_type(metadata) != ATT_JSON_NULL && !att_json_is_object(metadata))
        return wrong(items, line, "metadata", "an object", err);
    if (att_json_count(metadata) > 0) {
        item.metadata = metadata;
        items->lines[index] = line->object;
        line->object = NULL;
    }
    item.text_len = strlen(item.text);
    item.popularity = (uint64_t)count;
    items->items[index] = item;
    items->present[index] = 1;
    items->slots[slot] = (uint32_t)index;
    return ATT_OK;
}

/* ---- the file ---- */

static enum att_status parse_lines(struct store_items *items, const char *bytes, size_t len, struct att_err *err)
{
    size_t number = 0, taken = 0;
    enum att_status status = ATT_OK;
    for (size_t begin = 0; status == ATT_OK && begin < len;) {
        const char *newline = memchr(bytes + begin, '\n', len - begin);
        size_t end = newline ? (size_t)(newline - bytes) : len;
        struct line line = {.number = ++number};
        if (strspn(bytes + begin, " \t\r") < end - begin) {
            status = att_json_parse(bytes + begin, end - begin, 0, DEPTH_MAX, &line.object, err);
            if (status == ATT_OK)
                status = take_line(items, &line, err);
            else if (status == ATT_ENOMEM)
                att_err_prefix(err, "%s: line %zu", items->path, number);
            else
                status = att_err_set(err, ATT_EFORMAT, "%s: line %zu: is no JSON object", items->path, number);
            taken += status == ATT_OK;
        }
        att_json_destroy(line.object);
        begin = end + 1;
    }
    if (status == ATT_OK && taken == 0)
        status = att_err_set(err, ATT_EFORMAT, "%s: holds no item, expected one JSON object a line", items->path);
    return status;
}

static enum att_status make_table(struct store_items *items, size_t n_items, struct att_err *err)
{
    size_t capacity = 16, wanted;
    if (n_items >= UINT32_MAX || !att_size_mul(n_items, 2, &wanted))
        return att_err_limit(err, NULL, UINT32_MAX - 1, n_items, "%s: %zu items, expected at most %u", items->path,
                             n_items, UINT32_MAX - 1);
    while (capacity < wanted)
        capacity *= 2;
    items->count = n_items;
    items->mask = capacity - 1;
    items->items = att_mem_calloc(n_items + 1, sizeof *items->items);
    items->lines = att_mem_calloc(n_items + 1, sizeof *items->lines);
    items->present = att_mem_calloc(n_items + 1, 1);
    items->slots = att_mem_calloc(capacity, sizeof *items->slots);
    return items->items && items->lines && items->present && items->slots ? ATT_OK : no_memory(items, err);
}

/* FOLDER/items.jsonl, or the file itself. */
static char *path_of(const char *path, bool *ret_named)
{
    struct stat info;
    *ret_named = stat(path, &info) != 0 || !S_ISDIR(info.st_mode);
    if (*ret_named)
        return att_mem_strdup(path);
    size_t size = strlen(path) + sizeof "/items.jsonl";
    char *joined = att_mem_calloc(size, 1);
    if (joined)
        snprintf(joined, size, "%s/items.jsonl", path);
    return joined;
}

enum att_status store_items_open(const char *path, size_t n_items, struct store_items **ret_items, struct att_err *err)
{
    assert(n_items > 0);
    char *bytes = NULL;
    size_t len = 0;
    struct store_items *items = att_mem_calloc(1, sizeof *items);
    if (!items)
        return att_err_set(err, ATT_ENOMEM, "%s: out of memory", path);
    atomic_init(&items->references, 1);
    att_arena_init(&items->arena, arena_bytes_max);
    items->path = path_of(path, &items->named);
    enum att_status status = items->path ? ATT_OK : att_err_set(err, ATT_ENOMEM, "%s: out of memory", path);
    if (status == ATT_OK)
        status = make_table(items, n_items, err);
    if (status == ATT_OK)
        status = store_file_read(items->path, items->named, file_bytes_max, &bytes, &len, err);
    if (status == ATT_OK)
        status = parse_lines(items, bytes, len, err);
    if (status == ATT_OK) {
        att_digest(bytes, len, items->digest);
        status = items->digest[0] ? ATT_OK : no_memory(items, err);
    }
    if (status == ATT_OK)
        *ret_items = items;
    else
        store_items_close(items);
    att_mem_free(bytes);
    return status;
}

struct store_items *store_items_ref(struct store_items *items)
{
    atomic_fetch_add_explicit(&items->references, 1, memory_order_relaxed);
    return items;
}

void store_items_close(struct store_items *items)
{
    if (!items || atomic_fetch_sub_explicit(&items->references, 1, memory_order_acq_rel) > 1)
        return;
    att_arena_finish(&items->arena);
    att_mem_free(items->items);
    for (size_t i = 0; items->lines && i <= items->count; i++)
        att_json_destroy(items->lines[i]);
    att_mem_free(items->lines);
    att_mem_free(items->present);
    att_mem_free(items->slots);
    att_bulk_finish(&items->vectors);
    att_mem_free(items->path);
    att_mem_free(items);
}

size_t store_items_count(const struct store_items *items)
{
    return items->count;
}

const struct store_item *store_items_at(const struct store_items *items, size_t index)
{
    assert(index <= items->count);
    return &items->items[index];
}

const unsigned char *store_items_present(const struct store_items *items)
{
    return items->present;
}

size_t store_items_find(const struct store_items *items, const char *id)
{
    return items->slots[slot_of(items, id)];
}

const float *store_items_vectors(const struct store_items *items)
{
    return items->vectors.data;
}

size_t store_items_dimensions(const struct store_items *items)
{
    return items->vectors.data ? items->dimensions : 0;
}
