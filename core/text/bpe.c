/* Merging goes by a heap of candidate pairs, so that a word of a million letters costs no more than n log n. */
#include "core/text/bpe.h"

#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/text/wordpiece.h"

struct att_bpe_symbol {
    int32_t id;
    uint32_t len; /* bytes of the word; 0: joined to the one before */
    int32_t previous, next;
};

struct att_bpe_entry {
    uint32_t rank, at;
    int32_t id;
};

void att_bpe_init(struct att_bpe *bpe, const struct att_vocab *vocab)
{
    char text[8];
    *bpe = (struct att_bpe){.vocab = vocab, .unk_id = -1};
    for (unsigned b = 0; b < 256; b++) {
        snprintf(text, sizeof text, "<0x%02X>", b);
        bpe->byte_ids[b] = att_vocab_find(vocab, text, 6);
    }
}

void att_bpe_finish(struct att_bpe *bpe)
{
    att_mem_free(bpe->slots);
    bpe->slots = NULL;
    bpe->n_slots = bpe->n_merges = 0;
}

static uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static size_t slot_of(const struct att_bpe *bpe, uint64_t pair)
{
    size_t at = (size_t)((pair * 0x9e3779b97f4a7c15u) >> 20) & (bpe->n_slots - 1);
    while (bpe->slots[at].id >= 0 && bpe->slots[at].pair != pair)
        at = (at + 1) & (bpe->n_slots - 1);
    return at;
}

static const struct att_merge *find_merge(const struct att_bpe *bpe, int32_t left, int32_t right)
{
    if (bpe->n_slots == 0)
        return NULL;
    const struct att_merge *merge = &bpe->slots[slot_of(bpe, pair_of(left, right))];
    return merge->id >= 0 ? merge : NULL;
}

static bool grow(struct att_bpe *bpe)
{
    size_t old = bpe->n_slots;
    struct att_merge *slots = bpe->slots;
    bpe->n_slots = old ? 2 * old : 1024;
    bpe->slots = att_mem_calloc(bpe->n_slots, sizeof *bpe->slots);
    if (!bpe->slots) {
        bpe->slots = slots;
        bpe->n_slots = old;
        return false;
    }
    for (size_t i = 0; i < bpe->n_slots; i++)
        bpe->slots[i].id = -1;
    for (size_t i = 0; i < old; i++)
        if (slots[i].id >= 0)
            bpe->slots[slot_of(bpe, slots[i].pair)] = slots[i];
    att_mem_free(slots);
    return true;
}

enum att_status att_bpe_merge(struct att_bpe *bpe, const char *left, size_t left_len, const char *right,
                              size_t right_len, const char *field, struct att_err *err)
{
    char joined[2 * ATT_TOKEN_BYTES_MAX];
    size_t prefix_len = strlen(bpe->prefix), cut = right_len < prefix_len ? right_len : prefix_len;
    if (left_len > ATT_TOKEN_BYTES_MAX || right_len > ATT_TOKEN_BYTES_MAX)
        return att_err_set(err, ATT_EFORMAT, "%s: is longer than %d bytes", field, ATT_TOKEN_BYTES_MAX);
    memcpy(joined, left, left_len);
    memcpy(joined + left_len, right + cut, right_len - cut);
    int32_t a = att_vocab_find(bpe->vocab, left, left_len), b = att_vocab_find(bpe->vocab, right, right_len);
    int32_t id = att_vocab_find(bpe->vocab, joined, left_len + right_len - cut);
    if (a < 0 || b < 0 || id < 0)
        return att_err_set(err, ATT_EFORMAT, "%s: '%.*s' is no token of the vocabulary", field,
                           (int)(a < 0   ? left_len
                                 : b < 0 ? right_len
                                         : left_len + right_len - cut),
                           a < 0   ? left
                           : b < 0 ? right
                                   : joined);
    if (2 * (bpe->n_merges + 1) > bpe->n_slots && !grow(bpe))
        return att_err_set(err, ATT_ENOMEM, "out of memory for merges");
    struct att_merge *slot = &bpe->slots[slot_of(bpe, pair_of(a, b))];
    *slot = (struct att_merge){.pair = pair_of(a, b), .rank = (uint32_t)bpe->n_merges++, .id = id};
    return ATT_OK;
}

void att_bpe_work_finish(struct att_bpe_work *work)
{
    att_mem_free(work->symbols);
    att_mem_free(work->heap);
    *work = (struct att_bpe_work){.symbols = NULL};
}

/* ---- the heap: lowest rank first, then leftmost ---- */

static bool before(const struct att_bpe_entry *a, const struct att_bpe_entry *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(struct att_bpe_work *work, struct att_bpe_entry entry)
{
    size_t at = work->heap_count++;
    while (at > 0 && before(&entry, &work->heap[(at - 1) / 2])) {
        work->heap[at] = work->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    work->heap[at] = entry;
}

static struct att_bpe_entry heap_pop(struct att_bpe_work *work)
{
    struct att_bpe_entry top = work->heap[0], last = work->heap[--work->heap_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < work->heap_count; at = child) {
        if (child + 1 < work->heap_count && before(&work->heap[child + 1], &work->heap[child]))
            child++;
        if (!before(&work->heap[child], &last))
            break;
        work->heap[at] = work->heap[child];
    }
    work->heap[at] = last;
    return top;
}

/* ---- one word ---- */

static void push_pair(const struct att_bpe *bpe, struct att_bpe_work *work, int32_t left, int32_t right)
{
    const struct att_merge *merge = find_merge(bpe, work->symbols[left].id, work->symbols[right].id);
    if (merge)
        heap_push(work, (struct att_bpe_entry){merge->rank, (uint32_t)left, merge->id});
}

static bool reserve(struct att_bpe_work *work, size_t len)
{
    if (work->capacity >= len)
        return true;
    size_t capacity = work->capacity ? work->capacity : 64;
    while (capacity < len)
        capacity *= 2;
    struct att_bpe_symbol *symbols = att_mem_realloc(work->symbols, capacity, sizeof *symbols);
    if (symbols)
        work->symbols = symbols;
    /* A merge takes one entry out and puts at most two in. */
    struct att_bpe_entry *heap = symbols ? att_mem_realloc(work->heap, 3 * capacity, sizeof *heap) : NULL;
    if (!heap)
        return false;
    work->heap = heap;
    work->capacity = capacity;
    return true;
}

static int32_t char_id(const struct att_bpe *bpe, const char *bytes, size_t len, bool first, bool last)
{
    if ((first || !*bpe->prefix) && (!last || !*bpe->suffix))
        return att_vocab_find(bpe->vocab, bytes, len);
    char text[2 * ATT_AFFIX_BYTES_MAX + 8];
    int n = snprintf(text, sizeof text, "%s%.*s%s", first ? "" : bpe->prefix, (int)len, bytes, last ? bpe->suffix : "");
    return att_vocab_find(bpe->vocab, text, (size_t)n);
}

static bool falls_back(const struct att_bpe *bpe, const char *bytes, size_t len)
{
    bool all = bpe->byte_fallback;
    for (size_t i = 0; all && i < len; i++)
        all = bpe->byte_ids[(unsigned char)bytes[i]] >= 0;
    return all;
}

static size_t add(struct att_bpe_work *work, size_t count, int32_t id, size_t len)
{
    work->symbols[count] = (struct att_bpe_symbol){id, (uint32_t)len, (int32_t)count - 1, (int32_t)count + 1};
    return count + 1;
}

/* The characters of the word as symbols; unknown ones as unk, or left out. Their number. */
static size_t split(const struct att_bpe *bpe, const char *word, size_t len, struct att_bpe_work *work)
{
    size_t count = 0, unk_len = 0;
    for (size_t at = 0, end; at < len; at = end) {
        end = at + 1;
        while (end < len && ((unsigned char)word[end] & 0xc0) == 0x80)
            end++;
        int32_t id = char_id(bpe, word + at, end - at, at == 0, end == len);
        if (id >= 0) {
            if (unk_len > 0)
                count = add(work, count, bpe->unk_id, unk_len);
            unk_len = 0;
            count = add(work, count, id, end - at);
        } else if (falls_back(bpe, word + at, end - at)) {
            /* An unknown character that waits stays behind these bytes, as in the reference. */
            for (size_t i = at; i < end; i++)
                count = add(work, count, bpe->byte_ids[(unsigned char)word[i]], 1);
        } else if (bpe->unk_id >= 0) {
            if (unk_len > 0 && !bpe->fuse_unk) {
                count = add(work, count, bpe->unk_id, unk_len);
                unk_len = 0;
            }
            unk_len += end - at;
        }
    }
    return unk_len > 0 ? add(work, count, bpe->unk_id, unk_len) : count;
}

static void merge_all(const struct att_bpe *bpe, struct att_bpe_work *work, size_t count)
{
    struct att_bpe_symbol *symbols = work->symbols;
    work->heap_count = 0;
    for (size_t i = 0; i + 1 < count; i++)
        push_pair(bpe, work, (int32_t)i, (int32_t)i + 1);
    while (work->heap_count > 0) {
        struct att_bpe_entry top = heap_pop(work);
        struct att_bpe_symbol *left = &symbols[top.at];
        if (left->len == 0 || (size_t)left->next >= count)
            continue;
        struct att_bpe_symbol *right = &symbols[left->next];
        const struct att_merge *merge = find_merge(bpe, left->id, right->id);
        if (!merge || merge->id != top.id)
            continue;
        left->id = top.id;
        left->len += right->len;
        left->next = right->next;
        right->len = 0;
        if ((size_t)left->next < count)
            symbols[left->next].previous = (int32_t)top.at;
        if (left->previous >= 0)
            push_pair(bpe, work, left->previous, (int32_t)top.at);
        if ((size_t)left->next < count)
            push_pair(bpe, work, (int32_t)top.at, left->next);
    }
}

enum att_status att_bpe_encode(const struct att_bpe *bpe, const char *word, size_t len, struct att_bpe_work *work,
                               struct att_tokens *tokens, struct att_err *err)
{
    if (bpe->ignore_merges) {
        int32_t id = att_vocab_find(bpe->vocab, word, len);
        if (id >= 0)
            return att_tokens_push(tokens, (struct att_token){id, 0, (uint32_t)len}, err);
    }
    if (!reserve(work, len))
        return att_err_set(err, ATT_ENOMEM, "out of memory for a word of %zu bytes", len);
    size_t count = split(bpe, word, len, work);
    merge_all(bpe, work, count);
    uint32_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (work->symbols[i].len == 0)
            continue;
        struct att_token token = {work->symbols[i].id, at, at + work->symbols[i].len};
        at = token.end;
        enum att_status status = att_tokens_push(tokens, token, err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}
