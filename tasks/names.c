/* The set is open addressing, at most half full. Names that a stranger made collide cost time, but no more than
 * the square of the request's limit on items. */
#include "tasks/names.h"

#include <assert.h>
#include <string.h>

static size_t slot_of(const struct task_names *names, const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    size_t slot = (size_t)(hash ^ hash >> 32) & names->mask;
    while (names->slots[slot] && strcmp(names->slots[slot], name) != 0)
        slot = (slot + 1) & names->mask;
    return slot;
}

enum att_status task_names_init(struct task_call *call, size_t capacity, struct task_names *names, struct att_err *err)
{
    size_t size = 8;
    while (size / 2 < capacity)
        size *= 2;
    const char **slots = task_alloc(call, size, sizeof *slots, err);
    if (!slots)
        return err->status;
    *names = (struct task_names){.slots = slots, .mask = size - 1, .capacity = capacity};
    return ATT_OK;
}

bool task_names_add(struct task_names *names, const char *name)
{
    size_t slot = slot_of(names, name);
    if (names->slots[slot])
        return false;
    assert(names->count < names->capacity);
    names->slots[slot] = name;
    names->count++;
    return true;
}

bool task_names_has(const struct task_names *names, const char *name)
{
    return names->slots[slot_of(names, name)] != NULL;
}
