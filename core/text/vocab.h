/*
 * The vocabulary: token texts by id and ids by text, in one open-addressed hash
 * table. The hash runs byte by byte, so that all prefixes of a word are hashed
 * in one pass. Immutable once filled; shared by threads.
 */
#ifndef ATT_TEXT_VOCAB_H
#define ATT_TEXT_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

enum { ATT_VOCAB_IDS_MAX = 1 << 22, ATT_TOKEN_BYTES_MAX = 4096 };

struct att_vocab_entry {
    uint32_t offset; /* into texts; 0: no such id */
    uint32_t len;
};

struct att_vocab_slot {
    uint32_t hash;
    int32_t id; /* -1: empty */
};

struct att_vocab {
    char *texts; /* NUL-terminated, from offset 1 on */
    size_t texts_len, texts_capacity;
    struct att_vocab_entry *entries; /* by id */
    size_t entry_count, entry_capacity;
    struct att_vocab_slot *slots;
    size_t slot_count; /* a power of two, at most half full */
    size_t count;      /* distinct texts */
    size_t token_bytes_max;
};

void att_vocab_init(struct att_vocab *vocab);
void att_vocab_finish(struct att_vocab *vocab);

/* Adds text as `id`, 0 <= id < ATT_VOCAB_IDS_MAX, not taken yet, and without NUL, at most ATT_TOKEN_BYTES_MAX bytes.
 * A text that is there already goes to the new id; the old id keeps its text. ATT_ENOMEM only. */
enum att_status att_vocab_add(struct att_vocab *vocab, const char *text, size_t len, int32_t id,
                              struct att_err *err) ATT_MUST_USE;
/* The id of a text, or -1. */
int32_t att_vocab_find(const struct att_vocab *vocab, const char *text, size_t len);
/* The text of an id, or NULL. */
const char *att_vocab_text(const struct att_vocab *vocab, int32_t id);

/* Hash of a text: begin, a step for every byte, end. */
static inline uint64_t att_vocab_hash_begin(void)
{
    return 0xcbf29ce484222325u;
}

static inline uint64_t att_vocab_hash_step(uint64_t state, char byte)
{
    return (state ^ (unsigned char)byte) * 0x9e3779b97f4a7c15u;
}

static inline uint32_t att_vocab_hash_end(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

/* The id of the text prefix ++ text whose hash is given, or -1. */
int32_t att_vocab_find_hashed(const struct att_vocab *vocab, uint32_t hash, const char *prefix, size_t prefix_len,
                              const char *text, size_t len);

#endif
