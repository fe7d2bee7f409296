/*
 * Windows with overlap, and the strategies of truncate.h. Source: `tokenizers`
 * 0.23, utils/truncation.rs and Encoding::truncate and merge_with.
 */
#include "core/text/truncate.h"

#include <assert.h>

#include "core/base/mem.h"
#include "core/text/tokenizer.h"

size_t att_window_count(size_t count, size_t room, size_t stride)
{
    assert(stride < room);
    if (count <= room)
        return 1;
    return (count - room - 1) / (room - stride) + 2;
}

void att_window_range(size_t count, size_t room, size_t stride, size_t index, size_t *ret_begin, size_t *ret_end)
{
    assert(index < att_window_count(count, room, stride));
    size_t begin = index * (room - stride);
    *ret_begin = begin;
    *ret_end = count - begin < room ? count : begin + room;
}

static enum att_status cut(const struct att_truncation *truncation, size_t count, size_t room, struct att_cut *ret,
                           struct att_err *err)
{
    size_t part_count = 1;
    if (count > room && room == 0)
        part_count = 2; /* nothing is kept; the text overflows as a whole */
    else if (count > room && truncation->stride >= room)
        return att_err_set(err, ATT_EINVAL, "stride is %zu, expected less than the %zu tokens that a text is cut to",
                           truncation->stride, room);
    else if (count > room)
        part_count = att_window_count(count, room, truncation->stride);
    *ret = (struct att_cut){count, room, truncation->stride, truncation->left, part_count};
    return ATT_OK;
}

/* Tokens that longest_first leaves of each text. */
static void share(size_t max_len, size_t a_count, size_t b_count, size_t *ret_a, size_t *ret_b)
{
    size_t shorter = a_count < b_count ? a_count : b_count, longer;
    if (shorter > max_len)
        longer = shorter;
    else
        longer = max_len - shorter > shorter ? max_len - shorter : shorter;
    if (shorter + longer > max_len) {
        shorter = max_len / 2;
        longer = shorter + max_len % 2;
    }
    *ret_a = a_count > b_count ? longer : shorter;
    *ret_b = a_count > b_count ? shorter : longer;
}

enum att_status att_truncate(const struct att_truncation *truncation, size_t special_count, size_t a_count, bool pair,
                             size_t b_count, struct att_cut *ret_a, struct att_cut *ret_b, struct att_err *err)
{
    assert(ret_a && (ret_b || !pair));
    size_t total, a_room = a_count, b_room = b_count;
    if (truncation->max_len < special_count)
        return att_err_set(err, ATT_EINVAL, "max_length is %zu, expected at least the %zu special tokens",
                           truncation->max_len, special_count);
    size_t max_len = truncation->max_len - special_count;
    if (!att_size_add(a_count, pair ? b_count : 0, &total))
        return att_err_set(err, ATT_EINVAL, "the texts are too long");
    if (max_len == 0) {
        a_room = b_room = 0;
    } else if (total > max_len && truncation->strategy == ATT_TRUNCATE_LONGEST_FIRST) {
        if (pair)
            share(max_len, a_count, b_count, &a_room, &b_room);
        else
            a_room = max_len;
    } else if (total > max_len) {
        bool second = truncation->strategy == ATT_TRUNCATE_ONLY_SECOND;
        size_t *room = second ? &b_room : &a_room;
        if (second && !pair)
            return att_err_set(err, ATT_EINVAL, "Truncation error: Second sequence not provided");
        if (*room <= total - max_len)
            return att_err_set(err, ATT_EINVAL,
                               "Truncation error: Sequence to truncate too short to respect the provided max_length");
        *room -= total - max_len;
    }
    struct att_cut a, b = {0};
    enum att_status status = cut(truncation, a_count, a_room, &a, err);
    if (status == ATT_OK && pair)
        status = cut(truncation, b_count, b_room, &b, err);
    if (status != ATT_OK)
        return status;
    *ret_a = a;
    if (pair)
        *ret_b = b;
    return ATT_OK;
}

void att_cut_range(const struct att_cut *cut_of, size_t part, size_t *ret_begin, size_t *ret_end)
{
    assert(part < cut_of->part_count);
    *ret_begin = 0;
    if (cut_of->count <= cut_of->room) {
        *ret_end = cut_of->count;
    } else if (cut_of->room == 0) {
        *ret_end = part == 0 ? 0 : cut_of->count;
    } else {
        size_t begin, end;
        att_window_range(cut_of->count, cut_of->room, cut_of->stride, part, &begin, &end);
        *ret_begin = cut_of->left ? cut_of->count - end : begin;
        *ret_end = cut_of->left ? cut_of->count - begin : end;
    }
}

size_t att_cut_windows(const struct att_cut *a, const struct att_cut *b)
{
    size_t windows = a->part_count;
    if (b && !att_size_mul(a->part_count, b->part_count, &windows))
        windows = SIZE_MAX;
    return windows;
}

void att_cut_window(const struct att_cut *a, const struct att_cut *b, size_t window, size_t *ret_a_part,
                    size_t *ret_b_part)
{
    assert(window < att_cut_windows(a, b));
    size_t b_parts = b ? b->part_count : 1, overflow = (a->part_count - 1) * b_parts;
    *ret_a_part = *ret_b_part = 0;
    if (window == 0)
        return;
    if (window <= overflow) { /* the overflowing parts of the first text with all of the second, then the kept one */
        *ret_a_part = 1 + (window - 1) / b_parts;
        *ret_b_part = (window - 1) % b_parts;
    } else {
        *ret_b_part = window - overflow;
    }
}
