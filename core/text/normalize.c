/* The normalisers. Each writes the list of changes that the reference makes, so that alignments agree. */
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/text/steps.h"
#include "core/text/unicode.h"

static enum att_status no_memory(struct att_err *err)
{
    return att_err_set(err, ATT_ENOMEM, "out of memory for a text");
}

/* ---- canonical and compatibility forms ---- */

/* A character with its combining class; stable order within a run of marks. */
static void sort_marks(struct att_change *items, size_t begin, size_t end)
{
    for (size_t i = begin + 1; i < end; i++) {
        struct att_change item = items[i];
        unsigned class = att_char_combining(item.code_point);
        size_t at = i;
        while (at > begin && att_char_combining(items[at - 1].code_point) > class) {
            items[at] = items[at - 1];
            at--;
        }
        items[at] = item;
    }
}

/* Runs of marks are bounded for sorting; beyond that a counting order would be needed and no text has it. */
enum { MARKS_SORTED_MAX = 4096 };

static void decompose(const struct att_aligned *from, bool compatible, struct att_changes *changes)
{
    size_t run = 0;
    bool in_run = false;
    for (size_t at = 0; at < from->len;) {
        uint32_t parts[ATT_COMPATIBLE_MAX];
        uint32_t c = att_utf8_next(from->bytes, from->len, &at);
        unsigned n = compatible ? att_char_decompose_compatible(c, parts) : att_char_decompose(c, parts);
        for (unsigned i = 0; i < n; i++) {
            unsigned class = att_char_combining(parts[i]);
            if (class == 0 && in_run)
                sort_marks(changes->items, run, changes->count);
            if (class != 0 && !in_run)
                run = changes->count;
            in_run = class != 0 && changes->count - run < MARKS_SORTED_MAX;
            att_changes_push(changes, parts[i], i > 0);
            if (changes->failed)
                return;
        }
    }
    if (in_run)
        sort_marks(changes->items, run, changes->count);
}

/* Composition (Unicode's D117) in place; what a character swallows goes to its change. */
static void compose(struct att_changes *changes)
{
    struct att_change *items = changes->items;
    size_t write = 0, starter = SIZE_MAX;
    unsigned last_class = 0;
    for (size_t i = 0; i < changes->count; i++) {
        struct att_change item = items[i];
        unsigned class = att_char_combining(item.code_point);
        bool adjacent = starter != SIZE_MAX && write == starter + 1;
        bool blocked = starter == SIZE_MAX || (!adjacent && last_class >= class);
        uint32_t composed = blocked ? 0 : att_char_compose(items[starter].code_point, item.code_point);
        if (composed) {
            items[starter].code_point = composed;
            items[starter].change += item.change - 1;
            continue;
        }
        if (class == 0)
            starter = write;
        last_class = class;
        items[write++] = item;
    }
    changes->count = write;
}

static bool is_ascii(const struct att_aligned *text)
{
    unsigned char all = 0;
    for (size_t i = 0; i < text->len; i++)
        all |= (unsigned char)text->bytes[i];
    return all < 0x80;
}

static void normal_form(enum att_step_kind kind, const struct att_aligned *from, struct att_changes *changes)
{
    decompose(from, kind == ATT_STEP_NFKC || kind == ATT_STEP_NFKD, changes);
    if ((kind == ATT_STEP_NFC || kind == ATT_STEP_NFKC) && !changes->failed)
        compose(changes);
}

/* ---- filters ---- */

static bool kept(enum att_step_kind kind, uint32_t c)
{
    if (kind == ATT_STEP_STRIP_ACCENTS)
        return !att_char_is_mark(c);
    /* Nmt: controls and formats that carry no text. */
    return !(c >= 0x1 && c <= 0x8) && c != 0xb && !(c >= 0xe && c <= 0x1f) && c != 0x7f && c != 0x8f && c != 0x9f;
}

static uint32_t nmt_mapped(uint32_t c)
{
    switch (c) {
    case 0x9:
    case 0xa:
    case 0xc:
    case 0xd:
    case 0x1680:
    case 0x200b:
    case 0x200c:
    case 0x200d:
    case 0x200e:
    case 0x200f:
    case 0x2028:
    case 0x2029:
    case 0x2581:
    case 0xfeff:
    case 0xfffd:
        return ' ';
    default:
        return c;
    }
}

/* Characters that are not kept are swallowed by the one before them. Returns how many stand before the first. */
static size_t filter(enum att_step_kind kind, const struct att_aligned *from, struct att_changes *changes)
{
    size_t skipped = 0;
    for (size_t at = 0; at < from->len;) {
        uint32_t c = att_utf8_next(from->bytes, from->len, &at);
        if (kept(kind, c))
            att_changes_push(changes, kind == ATT_STEP_NMT ? nmt_mapped(c) : c, 0);
        else if (changes->count > 0)
            changes->items[changes->count - 1].change--;
        else
            skipped++;
    }
    return skipped;
}

static void lowercase(const struct att_aligned *from, struct att_changes *changes)
{
    for (size_t at = 0; at < from->len;) {
        uint32_t lower[ATT_LOWER_MAX];
        unsigned n = att_char_lower(att_utf8_next(from->bytes, from->len, &at), lower);
        for (unsigned i = 0; i < n; i++)
            att_changes_push(changes, lower[i], i > 0);
    }
}

/* ---- whole slices ---- */

static bool is_space(uint32_t c)
{
    return att_char_classify(c) & ATT_CHAR_SPACE;
}

static void strip(const struct att_step *step, const struct att_aligned *from, struct att_aligned *to)
{
    size_t begin = 0, end = from->len;
    for (size_t at = 0; step->left && at < end && is_space(att_utf8_next(from->bytes, end, &at));)
        begin = at;
    while (step->right && end > begin) {
        size_t at = end - 1;
        while (at > begin && ((unsigned char)from->bytes[at] & 0xc0) == 0x80)
            at--;
        size_t next = at;
        if (!is_space(att_utf8_next(from->bytes, end, &next)))
            break;
        end = at;
    }
    att_aligned_copy(to, from, begin, end);
}

static void prepend(const struct att_step *step, const struct att_aligned *from, struct att_aligned *to)
{
    if (from->len > 0) {
        size_t first = 0;
        att_utf8_next(from->bytes, from->len, &first);
        att_aligned_put(to, step->text, step->text_len, from->starts[0], from->ends[first - 1]);
    }
    att_aligned_copy(to, from, 0, from->len);
}

/* The next match of a literal or a pattern; as att_regex_find. */
static int find(const struct att_step *step, struct att_step_work *work, const struct att_aligned *text, size_t from,
                size_t end, size_t *ret_begin, size_t *ret_end)
{
    if (step->regex)
        return att_regex_find(step->regex, work->match, text->bytes, end, from, ret_begin, ret_end);
    const char *found = from < end ? memmem(text->bytes + from, end - from, step->literal, step->literal_len) : NULL;
    if (!found)
        return 0;
    *ret_begin = (size_t)(found - text->bytes);
    *ret_end = *ret_begin + step->literal_len;
    return 1;
}

/* What replaces a match stands where its last character stood. */
static int replace(const struct att_step *step, struct att_step_work *work, const struct att_aligned *from,
                   struct att_aligned *to)
{
    size_t at = 0, begin, end;
    int rc = 0;
    while (at < from->len && (rc = find(step, work, from, at, from->len, &begin, &end)) == 1) {
        if (end == begin)
            break;
        att_aligned_copy(to, from, at, begin);
        att_aligned_put(to, step->text, step->text_len, from->starts[end - 1], from->ends[end - 1]);
        at = end;
    }
    att_aligned_copy(to, from, at, from->len);
    return rc < 0 ? -1 : 0;
}

/* ---- the precompiled map ---- */

static void put_mapped(struct att_changes *changes, const char *mapped, int32_t old_count)
{
    size_t len = strlen(mapped), first = changes->count;
    for (size_t at = 0; at < len;)
        att_changes_push(changes, att_utf8_next(mapped, len, &at), 0);
    int32_t more = (int32_t)(changes->count - first) - old_count;
    for (int32_t i = 0; i < more && !changes->failed; i++)
        changes->items[changes->count - 1 - (size_t)i].change = 1;
    if (more < 0 && changes->count > 0)
        changes->items[changes->count - 1].change += more;
}

/* A cluster below six bytes is looked up as a whole, and else each of its characters. True: something changed. */
static bool precompiled(const struct att_charsmap *map, const struct att_aligned *from, struct att_changes *changes)
{
    enum { WHOLE_MAX = 6 };
    bool modified = false;
    for (size_t at = 0, end; at < from->len && !changes->failed; at = end) {
        end = att_grapheme_end(from->bytes, from->len, at);
        const char *mapped = end - at < WHOLE_MAX ? att_charsmap_find(map, from->bytes + at, end - at) : NULL;
        if (mapped) {
            int32_t count = 0;
            for (size_t i = at; i < end; i++)
                count += ((unsigned char)from->bytes[i] & 0xc0) != 0x80;
            put_mapped(changes, mapped, count);
            modified = true;
            continue;
        }
        for (size_t i = at; i < end;) {
            size_t next = i;
            uint32_t c = att_utf8_next(from->bytes, end, &next);
            mapped = att_charsmap_find(map, from->bytes + i, next - i);
            if (mapped)
                put_mapped(changes, mapped, 1);
            else
                att_changes_push(changes, c, 0);
            modified = modified || mapped;
            i = next;
        }
    }
    return modified;
}

static void byte_level(const struct att_aligned *from, struct att_changes *changes)
{
    for (size_t i = 0; i < from->len; i++)
        att_changes_push(changes, att_byte_char((unsigned char)from->bytes[i]),
                         ((unsigned char)from->bytes[i] & 0xc0) == 0x80);
}

/* One step; false: a pattern takes too long. */
static bool run(const struct att_step *step, struct att_step_work *work, const struct att_aligned *from,
                uint32_t origin, struct att_aligned *to)
{
    size_t skipped = 0;
    struct att_changes *changes = &work->changes;
    changes->count = 0;
    switch (step->kind) {
    case ATT_STEP_STRIP:
        strip(step, from, to);
        return true;
    case ATT_STEP_PREPEND:
        prepend(step, from, to);
        return true;
    case ATT_STEP_REPLACE:
        return replace(step, work, from, to) == 0;
    case ATT_STEP_PRECOMPILED:
        if (!precompiled(&step->map, from, changes)) {
            att_aligned_copy(to, from, 0, from->len);
            return true;
        }
        break;
    case ATT_STEP_LOWERCASE:
        lowercase(from, changes);
        break;
    case ATT_STEP_STRIP_ACCENTS:
    case ATT_STEP_NMT:
        skipped = filter(step->kind, from, changes);
        break;
    case ATT_STEP_BYTE_LEVEL:
        byte_level(from, changes);
        break;
    default:
        if (is_ascii(from)) { /* is in every form */
            att_aligned_copy(to, from, 0, from->len);
            return true;
        }
        normal_form(step->kind, from, changes);
        break;
    }
    att_changes_apply(changes, from, 0, from->len, skipped, origin, to);
    return true;
}

enum att_status att_normalize(const struct att_steps *steps, const char *text, size_t begin, size_t end,
                              struct att_step_work *work, const struct att_aligned **ret, struct att_err *err)
{
    struct att_aligned *from = &work->normal[0], *to = &work->normal[1];
    if (!work->match && !(work->match = att_regex_match_create()))
        return no_memory(err);
    att_aligned_reset(from);
    att_aligned_append(from, text, begin, end);
    for (size_t i = 0; i < steps->count; i++) {
        att_aligned_reset(to);
        work->changes.failed = false;
        if (!run(&steps->items[i], work, from, (uint32_t)begin, to))
            return att_regex_gave_up(work->match, "normalizer", err);
        if (from->failed || to->failed || work->changes.failed)
            return no_memory(err); /* not every step passes on that it lost text */
        struct att_aligned *next = from;
        from = to;
        to = next;
    }
    *ret = from;
    return from->failed ? no_memory(err) : ATT_OK;
}
