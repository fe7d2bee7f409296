/* See strings.h. */
#include "core/chat/strings.h"

#include <string.h>

#include "core/base/utf8.h"
#include "core/text/unicode.h"

bool att_char_is_blank(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

size_t att_text_length(struct att_text text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.bytes[i] & 0xc0) != 0x80;
    return n;
}

size_t att_text_offset(struct att_text text, size_t n)
{
    size_t at = 0;
    while (at < text.len && n-- > 0)
        (void)att_utf8_next(text.bytes, text.len, &at);
    return at;
}

static bool is_stripped(uint32_t code_point, const struct att_text *chars)
{
    if (!chars)
        return att_char_is_blank(code_point);
    for (size_t at = 0; at < chars->len;)
        if (att_utf8_next(chars->bytes, chars->len, &at) == code_point)
            return true;
    return false;
}

struct att_text att_text_strip(struct att_text text, const struct att_text *chars, bool left, bool right)
{
    size_t begin = 0, end = text.len;
    while (left && begin < end) {
        size_t next = begin;
        if (!is_stripped(att_utf8_next(text.bytes, end, &next), chars))
            break;
        begin = next;
    }
    while (right && end > begin) {
        size_t start = end - 1, next;
        while (start > begin && ((unsigned char)text.bytes[start] & 0xc0) == 0x80)
            start--;
        next = start;
        if (!is_stripped(att_utf8_next(text.bytes, end, &next), chars))
            break;
        end = start;
    }
    return (struct att_text){text.bytes + begin, end - begin};
}

size_t att_text_find(struct att_text text, struct att_text what, size_t from)
{
    const char *found =
        from <= text.len && what.len > 0 ? memmem(text.bytes + from, text.len - from, what.bytes, what.len) : NULL;
    return found ? (size_t)(found - text.bytes) : text.len;
}

bool att_run_recase(struct att_run *run, struct att_text text, enum att_text_case to, struct att_value *ret)
{
    struct att_chat_buffer buffer = att_run_buffer(run);
    bool inside = false; /* a word that has begun */
    for (size_t at = 0; at < text.len && !buffer.failed;) {
        uint32_t c = att_utf8_next(text.bytes, text.len, &at), out[ATT_UPPER_MAX] = {c};
        uint32_t lower[ATT_LOWER_MAX];
        bool cased = att_char_lower(c, lower) != 1 || lower[0] != c || att_char_upper(c, out) != 1 || out[0] != c;
        bool upper = to == ATT_CASE_UPPER || (to != ATT_CASE_LOWER && !inside);
        unsigned n = upper ? att_char_upper(c, out) : att_char_lower(c, out);
        if (upper && n > 1 && to != ATT_CASE_UPPER) { /* a title has one large letter */
            uint32_t second = out[1];
            (void)att_char_lower(second, lower);
            out[1] = lower[0];
        }
        for (unsigned i = 0; i < n; i++) {
            char bytes[4];
            att_buffer_put(&buffer, bytes, att_utf8_put(out[i], bytes));
        }
        inside = to == ATT_CASE_TITLE   ? cased
                 : to == ATT_CASE_WORDS ? !att_char_is_blank(c) && (c >= 128 || !strchr("-({[<", (int)c))
                                        : true;
    }
    *ret = att_value_text(buffer.bytes, buffer.len);
    return att_run_written(run, &buffer);
}

bool att_run_replace(struct att_run *run, struct att_text text, struct att_text from, struct att_text to, int64_t max,
                     struct att_value *ret)
{
    struct att_chat_buffer buffer = att_run_buffer(run);
    size_t at = 0;
    for (int64_t n = 0; (max < 0 || n < max) && at <= text.len && !buffer.failed; n++) {
        size_t found = att_text_find(text, from, at);
        if (from.len == 0) { /* an empty string stands before every character and at the end */
            size_t next = at;
            att_buffer_put(&buffer, to.bytes, to.len);
            if (at == text.len)
                break;
            (void)att_utf8_next(text.bytes, text.len, &next);
            att_buffer_put(&buffer, text.bytes + at, next - at);
            at = next;
            continue;
        }
        if (found == text.len)
            break;
        att_buffer_put(&buffer, text.bytes + at, found - at);
        att_buffer_put(&buffer, to.bytes, to.len);
        at = found + from.len;
    }
    if (at < text.len)
        att_buffer_put(&buffer, text.bytes + at, text.len - at);
    *ret = att_value_text(buffer.bytes, buffer.len);
    return att_run_written(run, &buffer);
}

static bool push_part(struct att_run *run, struct att_list *list, struct att_text text, size_t begin, size_t end)
{
    return (att_run_step(run) && att_list_push(&run->arena, list, att_value_text(text.bytes + begin, end - begin))) ||
           att_run_no_memory(run);
}

/* By runs of white space; `max` parts and the rest, which keeps what is behind it, as Python's does. */
static bool split_blank(struct att_run *run, struct att_text text, int64_t max, struct att_list *list)
{
    struct att_text rest = att_text_strip(text, NULL, true, false);
    while (rest.len > 0) {
        size_t end = 0;
        for (size_t next = 0; end < rest.len; end = next)
            if (att_char_is_blank(att_utf8_next(rest.bytes, rest.len, &next)))
                break;
        if (max >= 0 && (int64_t)list->count >= max)
            end = rest.len;
        if (!push_part(run, list, rest, 0, end))
            return false;
        rest = att_text_strip((struct att_text){rest.bytes + end, rest.len - end}, NULL, true, false);
    }
    return true;
}

static bool split_separator(struct att_run *run, struct att_text text, struct att_text by, int64_t max,
                            struct att_list *list)
{
    size_t at = 0;
    while (max < 0 || (int64_t)list->count < max) {
        size_t found = att_text_find(text, by, at);
        if (found == text.len)
            break;
        if (!push_part(run, list, text, at, found))
            return false;
        at = found + by.len;
    }
    return push_part(run, list, text, at, text.len);
}

/* Parts lie one behind the other in `text`: the first of them, up to where `max` splits are left, become one, with
 * what stands before it. */
static void merge_first(struct att_list *list, struct att_text text, int64_t max)
{
    size_t kept = max >= 0 ? (size_t)max : list->count;
    if (list->count <= kept)
        return;
    size_t merged = list->count - kept;
    const struct att_text *last = &list->items[merged - 1].text;
    list->items[0].text = (struct att_text){text.bytes, (size_t)(last->bytes + last->len - text.bytes)};
    memmove(list->items + 1, list->items + merged, kept * sizeof *list->items);
    list->count = kept + 1;
}

bool att_run_split(struct att_run *run, struct att_text text, const struct att_text *separator, int64_t max,
                   bool from_right, struct att_value *ret)
{
    struct att_list *list = att_list_create(&run->arena);
    int64_t splits = from_right ? -1 : max;
    if (!list)
        return att_run_no_memory(run);
    if (separator && separator->len == 0)
        return att_run_fail(run, ATT_EINVAL, "split: the separator is empty");
    if (!(separator ? split_separator(run, text, *separator, splits, list) : split_blank(run, text, splits, list)))
        return false;
    if (from_right)
        merge_first(list, text, max);
    *ret = att_value_list(list);
    return true;
}
