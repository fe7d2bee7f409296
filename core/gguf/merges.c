/* See merges.h. */
#include "core/gguf/merges.h"

#include <stdlib.h>
#include <string.h>

enum { MERGES_MAX = 1 << 24, PIECE_MAX = 256 };

struct merge {
    size_t left, right; /* ids */
    size_t left_chars, right_chars;
    double score;
    size_t token;
};

struct merges {
    const struct att_gguf_text *tokens;
    size_t n_tokens;
    uint32_t *slots; /* [mask + 1], id + 1, open addressing */
    size_t mask;
    struct merge *items;
    size_t count, capacity;
};

static size_t hash(const char *bytes, size_t len)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return (size_t)(h ^ h >> 29);
}

/* The slot of a text: that of its id, or the free one where it belongs. */
static size_t slot_of(const struct merges *merges, const char *bytes, size_t len)
{
    size_t at = hash(bytes, len) & merges->mask;
    for (; merges->slots[at] != 0; at = (at + 1) & merges->mask) {
        struct att_gguf_text token = merges->tokens[merges->slots[at] - 1];
        if (token.len == len && memcmp(token.bytes, bytes, len) == 0)
            break;
    }
    return at;
}

static size_t characters(const char *bytes, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)bytes[i] & 0xc0) != 0x80;
    return n;
}

static bool push(struct merges *merges, struct merge merge)
{
    if (merges->count == merges->capacity) {
        size_t capacity = merges->capacity ? 2 * merges->capacity : 4096;
        struct merge *grown = capacity <= MERGES_MAX ? att_mem_realloc(merges->items, capacity, sizeof *grown) : NULL;
        if (!grown)
            return false;
        merges->items = grown;
        merges->capacity = capacity;
    }
    merges->items[merges->count++] = merge;
    return true;
}

/* Best first; ties by the longer left, the longer right, then as the tokens stand, which have one cut for each left. */
static int by_score(const void *a, const void *b)
{
    const struct merge *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->left_chars != y->left_chars)
        return x->left_chars > y->left_chars ? -1 : 1;
    if (x->right_chars != y->right_chars)
        return x->right_chars > y->right_chars ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static bool add_splits(struct merges *merges, size_t token, double score)
{
    struct att_gguf_text text = merges->tokens[token];
    if (text.len > PIECE_MAX)
        return true;
    for (size_t cut = 1; cut < text.len; cut++) {
        if (((unsigned char)text.bytes[cut] & 0xc0) == 0x80)
            continue;
        uint32_t left = merges->slots[slot_of(merges, text.bytes, cut)];
        uint32_t right = merges->slots[slot_of(merges, text.bytes + cut, text.len - cut)];
        if (left == 0 || right == 0)
            continue;
        if (!push(merges, (struct merge){.left = left - 1,
                                         .right = right - 1,
                                         .left_chars = characters(text.bytes, cut),
                                         .right_chars = characters(text.bytes + cut, text.len - cut),
                                         .score = score,
                                         .token = token}))
            return false;
    }
    return true;
}

static void write(const struct merges *merges, struct att_jsonw *out)
{
    att_jsonw_key(out, "merges");
    att_jsonw_array_begin(out);
    for (size_t i = 0; i < merges->count; i++) {
        struct att_gguf_text left = merges->tokens[merges->items[i].left];
        struct att_gguf_text right = merges->tokens[merges->items[i].right];
        att_jsonw_array_begin(out);
        att_jsonw_string(out, left.bytes, left.len);
        att_jsonw_string(out, right.bytes, right.len);
        att_jsonw_array_end(out);
    }
    att_jsonw_array_end(out);
}

enum att_status att_gguf_put_merges(const struct att_gguf_text *tokens, const struct att_gguf_value *scores,
                                    struct att_jsonw *out, struct att_err *err)
{
    struct merges merges = {.tokens = tokens, .n_tokens = scores->count, .mask = 1};
    while (merges.mask < 2 * scores->count)
        merges.mask = 2 * merges.mask + 1;
    merges.slots = att_mem_calloc(merges.mask + 1, sizeof *merges.slots);
    bool done = merges.slots != NULL;
    for (size_t id = 0; done && id < scores->count; id++)
        merges.slots[slot_of(&merges, tokens[id].bytes, tokens[id].len)] = (uint32_t)id + 1;
    for (size_t id = 0; done && id < scores->count; id++)
        done = add_splits(&merges, id, att_gguf_number(scores, id));
    if (done && merges.count > 0)
        qsort(merges.items, merges.count, sizeof *merges.items, by_score);
    if (done)
        write(&merges, out);
    att_mem_free(merges.slots);
    att_mem_free(merges.items);
    return done ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory for the merges of a tokenizer");
}
