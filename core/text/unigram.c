/* The trie is built breadth first from the sorted pieces, so that the children of a node lie side by side. */
#include "core/text/unigram.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/text/wordpiece.h"

static const double unknown_penalty = 10.0;

struct att_trie_node {
    uint32_t first; /* child */
    uint16_t n;     /* children, up to 256 */
    uint8_t byte;   /* that leads here */
    int32_t id;     /* of the piece that ends here; -1 */
};

struct att_unigram_best {
    double score;
    uint32_t start;
    int32_t id; /* -1: not reached */
};

struct piece {
    const char *text;
    uint32_t len;
    int32_t id;
};

static int compare(const void *left, const void *right)
{
    const struct piece *a = left, *b = right;
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    if (order != 0)
        return order;
    return a->len != b->len ? (a->len > b->len) - (a->len < b->len) : (a->id > b->id) - (a->id < b->id);
}

/* Pieces [begin, end) share the first `depth` bytes: a node's part of the sorted list. */
struct part {
    uint32_t begin, end, depth;
};

static size_t count_nodes(const struct piece *pieces, size_t n)
{
    size_t nodes = 1;
    for (size_t i = 0; i < n; i++) {
        size_t same = 0, most = i > 0 && pieces[i - 1].len < pieces[i].len ? pieces[i - 1].len : pieces[i].len;
        while (i > 0 && same < most && pieces[i - 1].text[same] == pieces[i].text[same])
            same++;
        nodes += pieces[i].len - same;
    }
    return nodes;
}

static void fill_nodes(struct att_unigram *unigram, const struct piece *pieces, size_t n, struct part *parts)
{
    struct att_trie_node *nodes = unigram->nodes;
    size_t made = 1;
    parts[0] = (struct part){0, (uint32_t)n, 0};
    nodes[0] = (struct att_trie_node){.id = -1};
    for (size_t i = 0; i < made; i++) {
        struct part part = parts[i];
        nodes[i].first = (uint32_t)made;
        while (part.begin < part.end && pieces[part.begin].len == part.depth)
            nodes[i].id = pieces[part.begin++].id; /* of equal pieces the last counts */
        for (uint32_t at = part.begin; at < part.end;) {
            char byte = pieces[at].text[part.depth];
            uint32_t next = at + 1;
            while (next < part.end && pieces[next].text[part.depth] == byte)
                next++;
            nodes[made] = (struct att_trie_node){.byte = (uint8_t)byte, .id = -1};
            parts[made++] = (struct part){at, next, part.depth + 1};
            nodes[i].n++;
            at = next;
        }
    }
}

static enum att_status build_trie(struct att_unigram *unigram, struct att_err *err)
{
    struct piece *pieces = att_mem_calloc(unigram->n_ids, sizeof *pieces);
    struct part *parts = NULL;
    size_t n = 0;
    for (size_t id = 0; pieces && id < unigram->n_ids; id++) {
        const char *text = att_vocab_text(unigram->vocab, (int32_t)id);
        if (text && *text)
            pieces[n++] = (struct piece){text, (uint32_t)strlen(text), (int32_t)id};
    }
    if (pieces) {
        qsort(pieces, n, sizeof *pieces, compare);
        unigram->n_nodes = count_nodes(pieces, n);
        unigram->nodes = att_mem_calloc(unigram->n_nodes, sizeof *unigram->nodes);
        parts = att_mem_calloc(unigram->n_nodes, sizeof *parts);
    }
    if (unigram->nodes && parts)
        fill_nodes(unigram, pieces, n, parts);
    bool made = unigram->nodes && parts;
    att_mem_free(pieces);
    att_mem_free(parts);
    return made ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory for %zu pieces", unigram->n_ids);
}

enum att_status att_unigram_build(struct att_unigram *unigram, const struct att_vocab *vocab, double *scores,
                                  size_t n_ids, int32_t unk_id, bool byte_fallback, struct att_err *err)
{
    char text[8];
    *unigram = (struct att_unigram){.vocab = vocab,
                                    .scores = scores,
                                    .n_ids = n_ids,
                                    .unk_id = unk_id,
                                    .byte_fallback = byte_fallback,
                                    .min_score = INFINITY};
    for (size_t i = 0; i < n_ids; i++)
        unigram->min_score = scores[i] < unigram->min_score ? scores[i] : unigram->min_score;
    for (unsigned b = 0; b < 256; b++) {
        snprintf(text, sizeof text, "<0x%02X>", b);
        unigram->byte_ids[b] = att_vocab_find(vocab, text, 6);
    }
    return build_trie(unigram, err);
}

void att_unigram_finish(struct att_unigram *unigram)
{
    att_mem_free(unigram->nodes);
    att_mem_free(unigram->scores);
    *unigram = (struct att_unigram){.unk_id = -1};
}

void att_unigram_work_finish(struct att_unigram_work *work)
{
    att_mem_free(work->best);
    att_mem_free(work->reversed);
    *work = (struct att_unigram_work){.best = NULL};
}

static bool reserve(struct att_unigram_work *work, size_t len)
{
    if (work->capacity > len)
        return true;
    size_t capacity = work->capacity ? work->capacity : 256;
    while (capacity <= len)
        capacity *= 2;
    struct att_unigram_best *best = att_mem_realloc(work->best, capacity, sizeof *best);
    if (best)
        work->best = best;
    struct att_token *reversed = best ? att_mem_realloc(work->reversed, capacity, sizeof *reversed) : NULL;
    if (!reversed)
        return false;
    work->reversed = reversed;
    work->capacity = capacity;
    return true;
}

/* The child by that byte, or 0. */
static uint32_t child_of(const struct att_unigram *unigram, uint32_t node, uint8_t byte)
{
    uint32_t low = unigram->nodes[node].first, high = low + unigram->nodes[node].n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (unigram->nodes[mid].byte == byte)
            return mid;
        if (unigram->nodes[mid].byte < byte)
            low = mid + 1;
        else
            high = mid;
    }
    return 0;
}

static void offer(struct att_unigram_best *best, double score, size_t start, int32_t id)
{
    if (best->id < 0 || score > best->score)
        *best = (struct att_unigram_best){score, (uint32_t)start, id};
}

static size_t char_len(const char *word, size_t len, size_t at)
{
    size_t end = at + 1;
    while (end < len && ((unsigned char)word[end] & 0xc0) == 0x80)
        end++;
    return end - at;
}

/* best[i] for every end of a piece. Pieces of thousands of bytes that share their beginnings would make it as many
 * times slower: STEPS a byte are far more than published ones take. */
static enum att_status viterbi(const struct att_unigram *unigram, const char *word, size_t len,
                               struct att_unigram_best *best, struct att_err *err)
{
    enum { STEPS = 256, STEPS_LEAST = 1 << 20 };
    size_t steps = 0;
    for (size_t i = 0; i <= len; i++)
        best[i] = (struct att_unigram_best){.id = -1};
    for (size_t at = 0; at < len;) {
        size_t character = char_len(word, len, at);
        double here = best[at].score;
        bool single = false;
        uint32_t node = 0;
        for (size_t end = at; end < len && (node = child_of(unigram, node, (uint8_t)word[end])) != 0;) {
            int32_t id = unigram->nodes[node].id;
            end++;
            steps++;
            if (id < 0)
                continue;
            offer(&best[end], unigram->scores[id] + here, at, id);
            single = single || end - at == character;
        }
        if (!single) {
            if (unigram->unk_id < 0)
                return att_err_set(err, ATT_EINVAL, "the text has a character that no token stands for");
            offer(&best[at + character], unigram->min_score - unknown_penalty + here, at, unigram->unk_id);
        }
        if (steps > STEPS_LEAST && steps / STEPS > len)
            return att_err_set(err, ATT_ELIMIT, "the text takes too long for the pieces of the vocabulary");
        at += character;
    }
    return ATT_OK;
}

/* A piece by its text: fused unknown characters may spell one. */
static enum att_status put(const struct att_unigram *unigram, const char *word, struct att_token token,
                           struct att_tokens *tokens, struct att_err *err)
{
    size_t len = token.end - token.start;
    bool bytes = unigram->byte_fallback;
    token.id = att_vocab_find(unigram->vocab, word + token.start, len);
    if (token.id >= 0)
        return att_tokens_push(tokens, token, err);
    for (size_t i = token.start; bytes && i < token.end; i++)
        bytes = unigram->byte_ids[(unsigned char)word[i]] >= 0;
    if (!bytes) {
        token.id = unigram->unk_id;
        return token.id < 0 ? att_err_set(err, ATT_EINVAL, "the text has a character that no token stands for")
                            : att_tokens_push(tokens, token, err);
    }
    for (size_t i = token.start; i < token.end; i++) {
        const struct att_token one = {unigram->byte_ids[(unsigned char)word[i]], token.start, token.end};
        enum att_status status = att_tokens_push(tokens, one, err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

enum att_status att_unigram_encode(const struct att_unigram *unigram, const char *word, size_t len,
                                   struct att_unigram_work *work, struct att_tokens *tokens, struct att_err *err)
{
    if (!reserve(work, len))
        return att_err_set(err, ATT_ENOMEM, "out of memory for a word of %zu bytes", len);
    enum att_status found = viterbi(unigram, word, len, work->best, err);
    if (found != ATT_OK)
        return found;
    size_t count = 0;
    bool fusing = false;
    for (size_t end = len; end > 0; end = work->best[end].start) {
        const struct att_unigram_best *best = &work->best[end];
        bool unknown = best->id == unigram->unk_id;
        if (unknown && fusing)
            work->reversed[count - 1].start = best->start;
        else
            work->reversed[count++] = (struct att_token){best->id, best->start, (uint32_t)end};
        fusing = unknown;
    }
    for (size_t i = count; i > 0; i--) {
        enum att_status status = put(unigram, word, work->reversed[i - 1], tokens, err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}
