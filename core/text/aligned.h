/*
 * A text on its way through a tokenizer, each byte aligned to the bytes of the
 * original that it came from, as Hugging Face's NormalizedString keeps it: what
 * a change of characters does to alignments is decided here alone.
 */
#ifndef ATT_TEXT_ALIGNED_H
#define ATT_TEXT_ALIGNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct att_aligned {
    char *bytes;
    uint32_t *starts, *ends; /* of the original character, for each byte */
    size_t len, capacity;
    bool failed; /* memory ran out; sticky until reset */
};

/* One character of a changed text: change 0 stands for the next old character, +1 is inserted behind it, -n stands for
 * the next one and swallows n more. */
struct att_change {
    uint32_t code_point;
    int32_t change;
};

struct att_changes {
    struct att_change *items;
    size_t count, capacity;
    bool failed;
};

void att_aligned_finish(struct att_aligned *text);
void att_aligned_reset(struct att_aligned *text);
/* Appends text[begin..end), aligned to itself. */
void att_aligned_append(struct att_aligned *to, const char *text, size_t begin, size_t end);
/* Appends a slice of another. */
void att_aligned_copy(struct att_aligned *to, const struct att_aligned *from, size_t begin, size_t end);
/* Appends bytes that all have one alignment. */
void att_aligned_put(struct att_aligned *to, const char *bytes, size_t len, uint32_t start, uint32_t end);

void att_changes_finish(struct att_changes *changes);
void att_changes_push(struct att_changes *changes, uint32_t code_point, int32_t change);
/* Appends from[begin..end) as `changes` rewrite it, its first `skipped` characters removed. `origin` is the original
 * place of the slice: what is inserted at its very beginning lies there. */
void att_changes_apply(const struct att_changes *changes, const struct att_aligned *from, size_t begin, size_t end,
                       size_t skipped, uint32_t origin, struct att_aligned *to);

#endif
