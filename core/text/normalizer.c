/*
 * BertNormalizer in one pass (see normalizer.h).
 *
 * The reference runs clean_text, CJK spaces, NFD, mark removal and lower case as
 * five passes over the whole text; here each character goes through all of
 * them, which gives the same bytes because none of the later passes looks at
 * its neighbours. Only canonical ordering does: marks wait in `pending` until
 * the next starter. An ASCII text without control characters, the common case,
 * needs no alignment arrays at all.
 */
#include "core/text/normalizer.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"

/* UTF-8 grows at most threefold under NFD (UAX #15); CJK spaces and lower case add less than the rest. */
enum { GROWTH_MAX = 4 };

struct att_pending {
    uint32_t code_point, start, end;
    uint8_t combining;
    bool added; /* not the first code point of its character's decomposition */
};

void att_normalizer_init(struct att_normalizer *normalizer)
{
    att_char_table_fill(normalizer->table);
    for (unsigned c = 0; c < 128; c++) {
        unsigned class = normalizer->table[c], to = c;
        if (normalizer->clean_text && (class & ATT_CHAR_SPACE))
            to = ' ';
        if (normalizer->clean_text && (class & ATT_CHAR_REMOVED))
            to = 0;
        if (normalizer->lowercase && (class & ATT_CHAR_UPPER))
            to = c + ('a' - 'A');
        normalizer->ascii[c] = (uint8_t)to;
    }
}

void att_normal_init(struct att_normal *normal)
{
    *normal = (struct att_normal){0};
}

void att_normal_finish(struct att_normal *normal)
{
    att_mem_free(normal->bytes);
    att_mem_free(normal->starts);
    att_mem_free(normal->ends);
    att_mem_free(normal->pending);
    att_mem_free(normal->order);
    *normal = (struct att_normal){0};
}

/* Grows one array; the others keep what they have on failure. */
static bool grow(void *array_at, size_t count, size_t size)
{
    void *old, *block;
    memcpy(&old, array_at, sizeof old);
    block = att_mem_realloc(old, count, size);
    if (!block)
        return false;
    memcpy(array_at, &block, sizeof block);
    return true;
}

static bool reserve(struct att_normal *normal, size_t capacity)
{
    if (capacity <= normal->capacity)
        return true;
    if (!grow(&normal->bytes, capacity, 1) || !grow(&normal->starts, capacity, sizeof *normal->starts) ||
        !grow(&normal->ends, capacity, sizeof *normal->ends))
        return false;
    normal->capacity = capacity;
    return true;
}

static void put_byte(struct att_normal *normal, char byte, uint32_t start, uint32_t end)
{
    normal->bytes[normal->len] = byte;
    normal->starts[normal->len] = start;
    normal->ends[normal->len++] = end;
}

static void put_code_point(struct att_normal *normal, uint32_t c, uint32_t start, uint32_t end)
{
    char utf8[4];
    size_t n = att_utf8_put(c, utf8);
    for (size_t i = 0; i < n; i++)
        put_byte(normal, utf8[i], start, end);
}

/* Behind canonical decomposition: mark removal and lower case. */
static void put(const struct att_normalizer *normalizer, struct att_normal *normal, uint32_t c, uint32_t start,
                uint32_t end)
{
    unsigned class = att_char_class(normalizer->table, c);
    if (normalizer->strip_accents && (class & ATT_CHAR_MARK))
        return;
    if (!normalizer->lowercase || !(class & ATT_CHAR_UPPER)) {
        put_code_point(normal, c, start, end);
        return;
    }
    uint32_t lower[ATT_LOWER_MAX];
    unsigned n = att_char_lower(c, lower);
    for (unsigned i = 0; i < n; i++)
        put_code_point(normal, lower[i], start, end);
}

/* Stable sort of pending marks by combining class, into `order`. */
static void order_pending(struct att_normal *normal)
{
    enum { SHORT = 16 };
    size_t count = normal->pending_count;
    if (count <= SHORT) {
        for (size_t i = 0; i < count; i++) {
            size_t at = i;
            for (; at > 0 && normal->pending[normal->order[at - 1]].combining > normal->pending[i].combining; at--)
                normal->order[at] = normal->order[at - 1];
            normal->order[at] = (uint32_t)i;
        }
        return;
    }
    uint32_t begins[257] = {0};
    for (size_t i = 0; i < count; i++)
        begins[normal->pending[i].combining + 1]++;
    for (size_t i = 1; i < 257; i++)
        begins[i] += begins[i - 1];
    for (size_t i = 0; i < count; i++)
        normal->order[begins[normal->pending[i].combining]++] = (uint32_t)i;
}

/* A starter came: marks before it take their final order. As in the reference, the k-th mark that is not `added`
 * is aligned to the k-th original character, whichever mark came to stand there. */
static void flush_pending(const struct att_normalizer *normalizer, struct att_normal *normal)
{
    order_pending(normal);
    size_t source = 0;
    for (size_t i = 0; i < normal->pending_count; i++) {
        const struct att_pending *mark = &normal->pending[normal->order[i]];
        if (!mark->added) {
            while (normal->pending[source].added)
                source++;
            normal->last_start = normal->pending[source].start;
            normal->last_end = normal->pending[source++].end;
        }
        put(normalizer, normal, mark->code_point, normal->last_start, normal->last_end);
    }
    normal->pending_count = 0;
}

static bool push_pending(struct att_normal *normal, struct att_pending mark)
{
    if (normal->pending_count == normal->pending_capacity) {
        size_t capacity = normal->pending_capacity ? normal->pending_capacity * 2 : 64;
        if (!grow(&normal->pending, capacity, sizeof *normal->pending) ||
            !grow(&normal->order, capacity, sizeof *normal->order))
            return false;
        normal->pending_capacity = capacity;
    }
    normal->pending[normal->pending_count++] = mark;
    return true;
}

/* One cleaned character through canonical decomposition. False when memory is out. */
static bool decompose(const struct att_normalizer *normalizer, struct att_normal *normal, uint32_t c, uint32_t start,
                      uint32_t end)
{
    uint32_t parts[ATT_DECOMPOSED_MAX];
    unsigned n = att_char_decompose(c, parts);
    for (unsigned i = 0; i < n; i++) {
        unsigned combining = att_char_combining(parts[i]);
        if (combining != 0) {
            struct att_pending mark = {parts[i], start, end, (uint8_t)combining, i > 0};
            if (!push_pending(normal, mark))
                return false;
            continue;
        }
        flush_pending(normalizer, normal);
        if (i == 0) {
            normal->last_start = start;
            normal->last_end = end;
        }
        put(normalizer, normal, parts[i], normal->last_start, normal->last_end);
    }
    return true;
}

/* One cleaned character that is its own decomposition and a starter. */
static void put_starter(const struct att_normalizer *normalizer, struct att_normal *normal, uint32_t c, uint32_t start,
                        uint32_t end)
{
    flush_pending(normalizer, normal);
    normal->last_start = start;
    normal->last_end = end;
    put(normalizer, normal, c, start, end);
}

static bool put_wide(const struct att_normalizer *normalizer, struct att_normal *normal, uint32_t c, uint32_t start,
                     uint32_t end)
{
    unsigned class = att_char_class(normalizer->table, c);
    if (normalizer->clean_text && (class & ATT_CHAR_REMOVED))
        return true;
    if (normalizer->clean_text && (class & ATT_CHAR_SPACE)) {
        put_starter(normalizer, normal, ' ', start, end);
        return true;
    }
    bool spaced = normalizer->handle_chinese_chars && (class & ATT_CHAR_IDEOGRAPH);
    if (spaced)
        put_starter(normalizer, normal, ' ', start, end);
    if (normalizer->strip_accents && (class & ATT_CHAR_NFD)) {
        if (!decompose(normalizer, normal, c, start, end))
            return false;
    } else {
        put_starter(normalizer, normal, c, start, end);
    }
    if (spaced)
        put_starter(normalizer, normal, ' ', start, end);
    return true;
}

/* ASCII of which nothing is removed: bytes stay where they are. False where the text is not so. */
static bool run_ascii(const struct att_normalizer *normalizer, const char *text, size_t begin, size_t end,
                      struct att_normal *normal)
{
    for (size_t i = begin; i < end; i++) {
        unsigned char c = (unsigned char)text[i];
        uint8_t to = c < 128 ? normalizer->ascii[c] : 0;
        if (to == 0)
            return false;
        normal->bytes[i - begin] = (char)to;
    }
    normal->len = end - begin;
    normal->shifted = true;
    normal->shift = (uint32_t)begin;
    return true;
}

enum att_status att_normalizer_run(const struct att_normalizer *normalizer, const char *text, size_t begin, size_t end,
                                   struct att_normal *normal, struct att_err *err)
{
    assert(begin <= end && end <= INT32_MAX);
    size_t capacity;
    if (!att_size_mul(end - begin, GROWTH_MAX, &capacity) || !reserve(normal, capacity))
        return att_err_set(err, ATT_ENOMEM, "out of memory for a text of %zu bytes", end - begin);
    if (run_ascii(normalizer, text, begin, end, normal))
        return ATT_OK;
    normal->len = 0;
    normal->shifted = false;
    normal->pending_count = 0;
    for (size_t at = begin; at < end;) {
        size_t start = at;
        unsigned char byte = (unsigned char)text[at];
        if (byte < 128 && normalizer->ascii[byte] != 0) {
            at++;
            if (normal->pending_count > 0)
                flush_pending(normalizer, normal);
            normal->last_start = (uint32_t)start;
            normal->last_end = (uint32_t)at;
            put_byte(normal, (char)normalizer->ascii[byte], (uint32_t)start, (uint32_t)at);
            continue;
        }
        uint32_t c = att_utf8_next(text, end, &at);
        if (!put_wide(normalizer, normal, c, (uint32_t)start, (uint32_t)at))
            return att_err_set(err, ATT_ENOMEM, "out of memory for a text of %zu bytes", end - begin);
    }
    flush_pending(normalizer, normal);
    assert(normal->len <= normal->capacity);
    return ATT_OK;
}
