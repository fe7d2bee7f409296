/* Memory grows by doubling; a failure is kept in the text and asked for once by its user. */
#include "core/text/aligned.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"

void att_aligned_finish(struct att_aligned *text)
{
    att_mem_free(text->bytes);
    att_mem_free(text->starts);
    att_mem_free(text->ends);
    *text = (struct att_aligned){.bytes = NULL};
}

void att_aligned_reset(struct att_aligned *text)
{
    text->len = 0;
    text->failed = false;
}

static bool reserve(struct att_aligned *text, size_t more)
{
    size_t capacity = text->capacity ? text->capacity : 256;
    if (text->failed)
        return false;
    if (text->capacity - text->len >= more)
        return true;
    while (capacity - text->len < more)
        capacity *= 2;
    char *bytes = att_mem_realloc(text->bytes, capacity, 1);
    if (bytes)
        text->bytes = bytes;
    uint32_t *starts = bytes ? att_mem_realloc(text->starts, capacity, sizeof *starts) : NULL;
    if (starts)
        text->starts = starts;
    uint32_t *ends = starts ? att_mem_realloc(text->ends, capacity, sizeof *ends) : NULL;
    if (ends)
        text->ends = ends;
    text->failed = !ends;
    if (ends)
        text->capacity = capacity;
    return ends != NULL;
}

void att_aligned_append(struct att_aligned *to, const char *text, size_t begin, size_t end)
{
    if (end == begin || !reserve(to, end - begin))
        return;
    memcpy(to->bytes + to->len, text + begin, end - begin);
    for (size_t at = begin; at < end;) {
        size_t next = at + 1;
        while (next < end && ((unsigned char)text[next] & 0xc0) == 0x80)
            next++;
        for (size_t i = at; i < next; i++) {
            to->starts[to->len] = (uint32_t)at;
            to->ends[to->len++] = (uint32_t)next;
        }
        at = next;
    }
}

void att_aligned_copy(struct att_aligned *to, const struct att_aligned *from, size_t begin, size_t end)
{
    size_t len = end - begin;
    if (len == 0 || !reserve(to, len))
        return;
    memcpy(to->bytes + to->len, from->bytes + begin, len);
    memcpy(to->starts + to->len, from->starts + begin, len * sizeof *to->starts);
    memcpy(to->ends + to->len, from->ends + begin, len * sizeof *to->ends);
    to->len += len;
}

void att_aligned_put(struct att_aligned *to, const char *bytes, size_t len, uint32_t start, uint32_t end)
{
    if (len == 0 || !reserve(to, len))
        return;
    memcpy(to->bytes + to->len, bytes, len);
    for (size_t i = 0; i < len; i++) {
        to->starts[to->len] = start;
        to->ends[to->len++] = end;
    }
}

void att_changes_finish(struct att_changes *changes)
{
    att_mem_free(changes->items);
    *changes = (struct att_changes){.items = NULL};
}

void att_changes_push(struct att_changes *changes, uint32_t code_point, int32_t change)
{
    if (changes->count == changes->capacity) {
        size_t capacity = changes->capacity ? 2 * changes->capacity : 256;
        struct att_change *items = att_mem_realloc(changes->items, capacity, sizeof *items);
        if (!items) {
            changes->failed = true;
            return;
        }
        changes->items = items;
        changes->capacity = capacity;
    }
    changes->items[changes->count++] = (struct att_change){code_point, change};
}

static size_t char_end(const struct att_aligned *text, size_t at, size_t end)
{
    at += at < end;
    while (at < end && ((unsigned char)text->bytes[at] & 0xc0) == 0x80)
        at++;
    return at;
}

void att_changes_apply(const struct att_changes *changes, const struct att_aligned *from, size_t begin, size_t end,
                       size_t skipped, uint32_t origin, struct att_aligned *to)
{
    size_t at = begin;
    to->failed |= changes->failed || from->failed;
    for (size_t i = 0; i < skipped; i++)
        at = char_end(from, at, end);
    for (size_t i = 0; i < changes->count; i++) {
        char bytes[4];
        size_t len = att_utf8_put(changes->items[i].code_point, bytes);
        int32_t change = changes->items[i].change;
        uint32_t start = origin, stop = origin;
        if (change > 0 && at > begin) {
            start = from->starts[at - 1];
            stop = from->ends[at - 1];
        } else if (change <= 0 && at < end) {
            start = from->starts[at];
            stop = from->ends[at];
            for (int32_t k = 0; k >= change; k--)
                at = char_end(from, at, end);
        }
        att_aligned_put(to, bytes, len, start, stop);
    }
}
