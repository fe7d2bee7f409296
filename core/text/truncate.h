/*
 * Cutting one text or a pair to a length, as Hugging Face's `tokenizers` does:
 * by strategy, from either side, with overlap, and with the overflowing parts as
 * further windows. Pure arithmetic over token counts.
 */
#ifndef ATT_TEXT_TRUNCATE_H
#define ATT_TEXT_TRUNCATE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/status.h"

enum att_truncate_strategy { ATT_TRUNCATE_LONGEST_FIRST, ATT_TRUNCATE_ONLY_FIRST, ATT_TRUNCATE_ONLY_SECOND };

struct att_truncation {
    enum att_truncate_strategy strategy;
    size_t max_len; /* of a window, special tokens included */
    size_t stride;  /* tokens that neighbouring parts share */
    bool left;      /* the last part of a text is kept, not the first */
};

/* How one text of `count` tokens is cut: part 0 is kept, the others overflow. */
struct att_cut {
    size_t count, room, stride;
    bool left;
    size_t part_count;
};

/* Cuts texts of a_count and, when pair, b_count tokens; special_count tokens of each window are the template's.
 * ATT_EINVAL with the reference's sentence where the strategy cannot reach the length, and where a part of a cut text
 * would be no longer than the stride. */
enum att_status att_truncate(const struct att_truncation *truncation, size_t special_count, size_t a_count, bool pair,
                             size_t b_count, struct att_cut *ret_a, struct att_cut *ret_b,
                             struct att_err *err) ATT_MUST_USE;
/* Tokens [*ret_begin, *ret_end) of a part. */
void att_cut_range(const struct att_cut *cut, size_t part, size_t *ret_begin, size_t *ret_end);
/* Every part of one text meets every part of the other. b may be NULL. */
size_t att_cut_windows(const struct att_cut *a, const struct att_cut *b);
/* The parts in a window, in the reference's order: window 0 is the kept one. */
void att_cut_window(const struct att_cut *a, const struct att_cut *b, size_t window, size_t *ret_a_part,
                    size_t *ret_b_part);

#endif
