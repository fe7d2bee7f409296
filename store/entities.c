/*
 * The dictionary's file: each line checked, its names as patterns of the automaton
 * (entities_search.c). A name that would mean two entities is refused, since
 * whichever were found would be wrong half the time.
 */
#include "store/entities.h"

#include <assert.h>
#include <string.h>

#include "core/base/json.h"
#include "store/entities_table.h"
#include "store/items_table.h"

enum { DEPTH_MAX = 8, ENTITIES_MAX = 1 << 20 };
static const size_t file_bytes_max = (size_t)256 << 20;
static const size_t arena_bytes_max = (size_t)1 << 30;

struct reading {
    struct store_entities *entities;
    const char *name; /* of the file */
    size_t line;
    const struct att_json *object;
};

static enum att_status no_memory(const struct reading *reading, struct att_err *err)
{
    return att_err_set(err, ATT_ENOMEM, "%s: out of memory for the entities", reading->name);
}

/* ---- ids ---- */

static size_t id_slot(const struct store_entities *entities, const char *id)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (const char *at = id; *at; at++)
        hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    size_t slot = (size_t)(hash ^ hash >> 32) & entities->ids_mask;
    while (entities->ids[slot] && strcmp(entities->list[entities->ids[slot] - 1].id, id) != 0)
        slot = (slot + 1) & entities->ids_mask;
    return slot;
}

/* Room for one more, in the list and in the hash of ids. */
static enum att_status make_room(const struct reading *reading, struct att_err *err)
{
    struct store_entities *entities = reading->entities;
    if (entities->count < entities->capacity)
        return ATT_OK;
    if (entities->count == ENTITIES_MAX)
        return att_err_set(err, ATT_EFORMAT, "%s: line %zu: more than %d entities", reading->name, reading->line,
                           ENTITIES_MAX);
    size_t capacity = entities->capacity ? entities->capacity * 2 : 256;
    struct store_entity *list = att_mem_realloc(entities->list, capacity, sizeof *list);
    if (!list)
        return no_memory(reading, err);
    entities->list = list;
    uint32_t *ids = att_mem_calloc(capacity * 2, sizeof *ids);
    if (!ids)
        return no_memory(reading, err);
    att_mem_free(entities->ids);
    entities->ids = ids;
    entities->ids_mask = capacity * 2 - 1;
    entities->capacity = capacity;
    for (size_t i = 0; i < entities->count; i++)
        entities->ids[id_slot(entities, entities->list[i].id)] = (uint32_t)i + 1;
    return ATT_OK;
}

/* ---- names ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static enum pattern_case case_of(const char *name)
{
    bool has_small = false, has_capital = false;
    for (const char *at = name; *at; at++) {
        has_small = has_small || (*at >= 'a' && *at <= 'z') || (unsigned char)*at >= 0x80;
        has_capital = has_capital || (*at >= 'A' && *at <= 'Z');
    }
    if (has_capital && !has_small)
        return CASE_EXACT;
    return name[0] >= 'A' && name[0] <= 'Z' ? CASE_CAPITAL : CASE_ANY;
}

static enum att_status add_pattern(const struct reading *reading, const char *text, enum pattern_case letters,
                                   bool needs_mark, struct att_err *err)
{
    struct pattern pattern = {.text = text,
                              .len = strlen(text),
                              .entity = reading->entities->count,
                              .letters = letters,
                              .needs_mark = needs_mark};
    enum att_status status = store_entities_insert(reading->entities, &pattern, err);
    if (status == ATT_EINVAL) {
        att_err_prefix(err, "%s: line %zu", reading->name, reading->line);
        err->status = status = ATT_EFORMAT;
    }
    return status;
}

/* "AAPL" and "600519" need a mark, "600519.SH" and "BRK.B" do not; of "600519.SH" the number is a ticker too. */
static enum att_status add_ticker(const struct reading *reading, const char *ticker, struct att_err *err)
{
    const char *point = strchr(ticker, '.');
    enum att_status status = add_pattern(reading, ticker, CASE_EXACT, point == NULL, err);
    if (status != ATT_OK || !point || is_letter(ticker[0]))
        return status;
    char *number = att_arena_copy(&reading->entities->arena, ticker, (size_t)(point - ticker));
    return number ? add_pattern(reading, number, CASE_EXACT, true, err) : no_memory(reading, err);
}

/* ---- one line ---- */

static enum att_status wrong(const struct reading *reading, const char *field, const char *expected,
                             struct att_err *err)
{
    return att_err_set(err, ATT_EFORMAT, "%s: line %zu: %s: is %s, expected %s", reading->name, reading->line, field,
                       att_json_type_name(att_json_get(reading->object, field)), expected);
}

static enum att_status check_fields(const struct reading *reading, struct att_err *err)
{
    static const char *const known[] = {"id", "name", "type", "ticker", "aliases", "lang", NULL};
    struct att_json_iter iter;
    const struct att_json *value;
    const char *key;
    if (!att_json_is_object(reading->object))
        return att_err_set(err, ATT_EFORMAT, "%s: line %zu: is %s, expected an object", reading->name, reading->line,
                           att_json_type_name(reading->object));
    att_json_iter_init(&iter, reading->object);
    while (att_json_iter_next(&iter, &key, &value)) {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i])
            return att_err_set(err, ATT_EFORMAT, "%s: line %zu: %.60s: is no field of an entity", reading->name,
                               reading->line, key);
    }
    return ATT_OK;
}

static enum att_status take_text(const struct reading *reading, const struct att_json *value, const char *field,
                                 bool required, const char **ret_text, struct att_err *err)
{
    size_t len;
    const char *text = att_json_string(value, &len);
    if (!required && att_json_type(value) == ATT_JSON_NULL) {
        *ret_text = "";
        return ATT_OK;
    }
    if (!text || len > STORE_ENTITY_NAME_BYTES_MAX || (required && len == 0) || strspn(text, " ") == len)
        return text && len == 0 && !required ? (*ret_text = "", ATT_OK)
                                             : wrong(reading, field, "a text of 1 to 256 bytes", err);
    *ret_text = att_arena_copy(&reading->entities->arena, text, len);
    return *ret_text ? ATT_OK : no_memory(reading, err);
}

static enum att_status take_aliases(const struct reading *reading, struct att_err *err)
{
    const struct att_json *aliases = att_json_get(reading->object, "aliases");
    size_t n = att_json_count(aliases);
    if (att_json_type(aliases) == ATT_JSON_NULL)
        return ATT_OK;
    if (!att_json_is_array(aliases) || n > STORE_ENTITY_ALIASES_MAX)
        return wrong(reading, "aliases", "an array of at most 64 names", err);
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        const char *alias = NULL;
        status = take_text(reading, att_json_at(aliases, i), "aliases", true, &alias, err);
        if (status == ATT_OK)
            status = add_pattern(reading, alias, case_of(alias), false, err);
    }
    return status;
}

static enum att_status take_line(const struct reading *reading, struct att_err *err)
{
    struct store_entities *entities = reading->entities;
    const struct att_json *object = reading->object;
    struct store_entity entity = {.id = NULL};
    enum att_status status = check_fields(reading, err);
    if (status == ATT_OK)
        status = make_room(reading, err);
    if (status == ATT_OK)
        status = take_text(reading, att_json_get(object, "id"), "id", true, &entity.id, err);
    if (status == ATT_OK)
        status = take_text(reading, att_json_get(object, "name"), "name", true, &entity.name, err);
    if (status == ATT_OK)
        status = take_text(reading, att_json_get(object, "type"), "type", false, &entity.type, err);
    if (status == ATT_OK)
        status = take_text(reading, att_json_get(object, "ticker"), "ticker", false, &entity.ticker, err);
    if (status == ATT_OK)
        status = take_text(reading, att_json_get(object, "lang"), "lang", false, &entity.lang, err);
    if (status != ATT_OK)
        return status;
    size_t slot = id_slot(entities, entity.id);
    if (entities->ids[slot])
        return att_err_set(err, ATT_EFORMAT, "%s: line %zu: id: \"%.60s\" stands in an earlier line", reading->name,
                           reading->line, entity.id);
    entities->list[entities->count] = entity;
    status = add_pattern(reading, entity.name, case_of(entity.name), false, err);
    if (status == ATT_OK && entity.ticker[0])
        status = add_ticker(reading, entity.ticker, err);
    if (status == ATT_OK)
        status = take_aliases(reading, err);
    if (status != ATT_OK)
        return status;
    entities->ids[slot] = (uint32_t)++entities->count;
    return ATT_OK;
}

/* ---- the file ---- */

static enum att_status parse_lines(struct reading *reading, const char *bytes, size_t len, struct att_err *err)
{
    enum att_status status = ATT_OK;
    for (size_t begin = 0; status == ATT_OK && begin < len;) {
        const char *newline = memchr(bytes + begin, '\n', len - begin);
        size_t end = newline ? (size_t)(newline - bytes) : len;
        struct att_json *object = NULL;
        reading->line++;
        size_t blank = 0;
        while (begin + blank < end && strchr(" \t\r", bytes[begin + blank]) && bytes[begin + blank])
            blank++;
        if (begin + blank < end) {
            status = att_json_parse(bytes + begin, end - begin, 0, DEPTH_MAX, &object, err);
            reading->object = object;
            if (status == ATT_OK)
                status = take_line(reading, err);
            else if (status != ATT_ENOMEM)
                status = att_err_set(err, ATT_EFORMAT, "%s: line %zu: is no JSON object", reading->name, reading->line);
        }
        att_json_destroy(object);
        begin = end + 1;
    }
    return status;
}

enum att_status store_entities_parse(const char *bytes, size_t len, const char *name,
                                     struct store_entities **ret_entities, struct att_err *err)
{
    struct store_entities *entities = att_mem_calloc(1, sizeof *entities);
    struct reading reading = {.entities = entities, .name = name};
    if (!entities)
        return att_err_set(err, ATT_ENOMEM, "%s: out of memory", name);
    atomic_init(&entities->references, 1);
    att_arena_init(&entities->arena, arena_bytes_max);
    enum att_status status = parse_lines(&reading, bytes, len, err);
    if (status == ATT_OK)
        status = store_entities_link(entities, err);
    if (status == ATT_OK)
        *ret_entities = entities;
    else
        store_entities_unref(entities);
    return status;
}

enum att_status store_entities_load(const char *path, struct store_entities **ret_entities, struct att_err *err)
{
    char *bytes = NULL;
    size_t len = 0;
    enum att_status status = store_file_read(path, true, file_bytes_max, &bytes, &len, err);
    if (status == ATT_OK)
        status = store_entities_parse(bytes, len, path, ret_entities, err);
    att_mem_free(bytes);
    return status;
}

struct store_entities *store_entities_ref(struct store_entities *entities)
{
    atomic_fetch_add_explicit(&entities->references, 1, memory_order_relaxed);
    return entities;
}

void store_entities_unref(struct store_entities *entities)
{
    if (!entities || atomic_fetch_sub_explicit(&entities->references, 1, memory_order_acq_rel) > 1)
        return;
    att_arena_finish(&entities->arena);
    att_mem_free(entities->list);
    att_mem_free(entities->ids);
    att_mem_free(entities->patterns);
    att_mem_free(entities->nodes);
    att_mem_free(entities->edges);
    att_mem_free(entities);
}

size_t store_entities_count(const struct store_entities *entities)
{
    return entities->count;
}

const struct store_entity *store_entities_at(const struct store_entities *entities, size_t index)
{
    assert(index < entities->count);
    return &entities->list[index];
}

size_t store_entities_find(const struct store_entities *entities, const char *id)
{
    size_t slot = entities->count ? id_slot(entities, id) : 0;
    return entities->count && entities->ids[slot] ? entities->ids[slot] - 1 : entities->count;
}
