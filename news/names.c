/* A hash table with linear probing over FNV-1a; at most half full. The three strings of a name are one block. */
#include "news/names.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"

static uint64_t hash_of(const char *key)
{
    uint64_t hash = 14695981039346656037ULL;
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 1099511628211ULL;
    return hash;
}

void news_names_finish(struct news_names *names)
{
    for (size_t i = 0; i < names->n; i++) {
        char *block = (char *)(uintptr_t)names->list[i].key;
        att_mem_free(block);
    }
    att_mem_free(names->list);
    att_mem_free(names->slots);
    *names = (struct news_names){0};
}

/* The slot that holds the key, or the free one where it belongs. */
static size_t slot_of(const struct news_names *names, const char *key, uint64_t hash)
{
    size_t at = (size_t)hash & (names->n_slots - 1);
    while (names->slots[at] != NEWS_NAMES_NONE) {
        const struct news_name *name = &names->list[names->slots[at]];
        if (name->hash == hash && strcmp(name->key, key) == 0)
            break;
        at = (at + 1) & (names->n_slots - 1);
    }
    return at;
}

uint32_t news_names_find(const struct news_names *names, const char *key)
{
    return names->n_slots ? names->slots[slot_of(names, key, hash_of(key))] : NEWS_NAMES_NONE;
}

static enum att_status grow(struct news_names *names, struct att_err *err)
{
    size_t capacity = names->capacity ? names->capacity * 2 : 64, n_slots = capacity * 2;
    if (capacity >= NEWS_NAMES_NONE / 2)
        return att_err_set(err, ATT_ELIMIT, "more than %u different names", NEWS_NAMES_NONE / 4);
    struct news_name *list = att_mem_realloc(names->list, capacity, sizeof *list);
    if (!list)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    names->list = list;
    uint32_t *slots = att_mem_calloc(n_slots, sizeof *slots);
    if (!slots)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    memset(slots, 0xff, n_slots * sizeof *slots);
    att_mem_free(names->slots);
    names->slots = slots;
    names->n_slots = n_slots;
    names->capacity = capacity;
    for (size_t i = 0; i < names->n; i++)
        slots[slot_of(names, list[i].key, list[i].hash)] = (uint32_t)i;
    return ATT_OK;
}

enum att_status news_names_add(struct news_names *names, const char *key, const char *title, const char *more,
                               uint32_t *ret_index, struct att_err *err)
{
    assert(key);
    uint64_t hash = hash_of(key);
    if (names->n == names->capacity) {
        enum att_status status = grow(names, err);
        if (status != ATT_OK)
            return status;
    }
    size_t slot = slot_of(names, key, hash);
    if (names->slots[slot] != NEWS_NAMES_NONE) {
        *ret_index = names->slots[slot];
        return ATT_OK;
    }
    title = title && *title ? title : key;
    more = more ? more : "";
    size_t key_bytes = strlen(key) + 1, title_bytes = strlen(title) + 1, more_bytes = strlen(more) + 1;
    char *block = att_mem_calloc(key_bytes + title_bytes + more_bytes, 1);
    if (!block)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    memcpy(block, key, key_bytes);
    memcpy(block + key_bytes, title, title_bytes);
    memcpy(block + key_bytes + title_bytes, more, more_bytes);
    names->list[names->n] = (struct news_name){
        .key = block, .title = block + key_bytes, .more = block + key_bytes + title_bytes, .hash = hash};
    names->slots[slot] = (uint32_t)names->n;
    *ret_index = (uint32_t)names->n++;
    return ATT_OK;
}
