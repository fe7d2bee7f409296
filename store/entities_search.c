/*
 * The automaton of Aho and Corasick (1975) over folded characters: nodes in an
 * array, their edges in one hash, since a node may have thousands of children in
 * Chinese and most have one. What ends at a node is then held against the text
 * as it stands: case, word boundaries, the mark before a ticker.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"
#include "store/entities_table.h"

enum { RING = 512, CANDIDATES_MAX = 4096, EDGES_FIRST = 1024 };

uint32_t store_entities_fold(uint32_t c)
{
    if (c >= 0xff01 && c <= 0xff5e)
        c -= 0xfee0;
    if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7))
        return c + 32;
    if (c == 0x2019)
        return '\'';
    return c == 0x3000 || c == 0xa0 ? ' ' : c;
}

/* ---- building ---- */

static size_t edge_slot(const struct store_entities *entities, uint64_t key)
{
    uint64_t hash = key * UINT64_C(0x9e3779b97f4a7c15);
    size_t slot = (size_t)(hash >> 20) & entities->edges_mask;
    while (entities->edges[slot].key && entities->edges[slot].key != key)
        slot = (slot + 1) & entities->edges_mask;
    return slot;
}

/* 0: no such edge, since none leads to the root. */
static uint32_t follow(const struct store_entities *entities, uint32_t node, uint32_t character)
{
    return entities->edges[edge_slot(entities, (uint64_t)node << 32 | character)].node;
}

static enum att_status grow_edges(struct store_entities *entities, struct att_err *err)
{
    size_t old_size = entities->edges ? entities->edges_mask + 1 : 0, size = old_size ? old_size * 2 : EDGES_FIRST;
    struct edge *old = entities->edges, *edges;
    if (entities->edges && entities->n_edges * 2 < old_size)
        return ATT_OK;
    edges = att_mem_calloc(size, sizeof *edges);
    if (!edges)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the names of entities");
    entities->edges = edges;
    entities->edges_mask = size - 1;
    for (size_t i = 0; i < old_size; i++)
        if (old[i].key)
            edges[edge_slot(entities, old[i].key)] = old[i];
    att_mem_free(old);
    return ATT_OK;
}

static enum att_status add_node(struct store_entities *entities, uint32_t parent, uint32_t character, uint32_t *ret,
                                struct att_err *err)
{
    enum att_status status = grow_edges(entities, err);
    if (status != ATT_OK)
        return status;
    if (entities->n_nodes == entities->nodes_capacity) {
        size_t capacity = entities->nodes_capacity ? entities->nodes_capacity * 2 : 1024;
        struct node *nodes = att_mem_realloc(entities->nodes, capacity, sizeof *nodes);
        if (!nodes)
            return att_err_set(err, ATT_ENOMEM, "out of memory for the names of entities");
        entities->nodes = nodes;
        entities->nodes_capacity = capacity;
    }
    uint32_t node = (uint32_t)entities->n_nodes++;
    entities->nodes[node] =
        (struct node){.parent = parent, .character = character, .depth = node ? entities->nodes[parent].depth + 1 : 0};
    *ret = node;
    if (node == 0)
        return ATT_OK;
    uint64_t key = (uint64_t)parent << 32 | character;
    entities->edges[edge_slot(entities, key)] = (struct edge){key, node};
    entities->n_edges++;
    return ATT_OK;
}

/* True when both match in the same places. */
static bool is_same(const struct pattern *a, const struct pattern *b)
{
    if (a->letters == CASE_EXACT && b->letters == CASE_EXACT)
        return a->needs_mark == b->needs_mark && a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
    return a->letters == b->letters;
}

enum att_status store_entities_insert(struct store_entities *entities, const struct pattern *pattern,
                                      struct att_err *err)
{
    uint32_t node = 0;
    enum att_status status = entities->n_nodes ? ATT_OK : add_node(entities, 0, 0, &node, err);
    for (size_t at = 0; status == ATT_OK && at < pattern->len;) {
        uint32_t c = store_entities_fold(att_utf8_next(pattern->text, pattern->len, &at)), next;
        next = follow(entities, node, c);
        if (!next)
            status = add_node(entities, node, c, &next, err);
        node = next;
    }
    if (status != ATT_OK)
        return status;
    for (uint32_t i = entities->nodes[node].pattern; i; i = entities->patterns[i - 1].next) {
        const struct pattern *other = &entities->patterns[i - 1];
        if (is_same(other, pattern))
            return other->entity == pattern->entity ? ATT_OK
                                                    : att_err_set(err, ATT_EINVAL, "\"%.60s\" names \"%.60s\" too",
                                                                  pattern->text, entities->list[other->entity].id);
    }
    if (entities->n_patterns == entities->patterns_capacity) {
        size_t capacity = entities->patterns_capacity ? entities->patterns_capacity * 2 : 256;
        struct pattern *patterns = att_mem_realloc(entities->patterns, capacity, sizeof *patterns);
        if (!patterns)
            return att_err_set(err, ATT_ENOMEM, "out of memory for the names of entities");
        entities->patterns = patterns;
        entities->patterns_capacity = capacity;
    }
    struct pattern *added = &entities->patterns[entities->n_patterns++];
    *added = *pattern;
    added->next = entities->nodes[node].pattern;
    entities->nodes[node].pattern = (uint32_t)entities->n_patterns;
    return ATT_OK;
}

/* A node's suffix is that of its parent, continued by the same character; so nodes are met by depth. */
enum att_status store_entities_link(struct store_entities *entities, struct att_err *err)
{
    size_t n = entities->n_nodes, deepest = 0;
    for (size_t i = 0; i < n; i++)
        deepest = entities->nodes[i].depth > deepest ? entities->nodes[i].depth : deepest;
    size_t *begins = att_mem_calloc(deepest + 2, sizeof *begins);
    uint32_t *order = att_mem_calloc(n + 1, sizeof *order);
    for (size_t i = 0; begins && i < n; i++)
        begins[entities->nodes[i].depth + 1]++;
    for (size_t d = 1; begins && d <= deepest + 1; d++)
        begins[d] += begins[d - 1];
    for (size_t i = 0; begins && order && i < n; i++)
        order[begins[entities->nodes[i].depth]++] = (uint32_t)i;
    for (size_t i = 1; begins && order && i < n; i++) {
        struct node *node = &entities->nodes[order[i]];
        uint32_t suffix = entities->nodes[node->parent].fail, found = 0;
        if (node->depth > 1) {
            while (!(found = follow(entities, suffix, node->character)) && suffix)
                suffix = entities->nodes[suffix].fail;
        }
        node->fail = found;
        node->output = entities->nodes[found].pattern ? found : entities->nodes[found].output;
    }
    bool ok = begins && order;
    att_mem_free(begins);
    att_mem_free(order);
    return ok ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory for the names of entities");
}

/* ---- searching ---- */

static bool is_word(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c < 0x250);
}

/* The character that ends before `at`; 0 at the beginning. */
static uint32_t character_before(const char *text, size_t len, size_t at)
{
    size_t start = at;
    if (at == 0)
        return 0;
    do
        start--;
    while (start > 0 && at - start < 4 && ((unsigned char)text[start] & 0xc0) == 0x80);
    return att_utf8_next(text, len, &start);
}

static uint32_t character_at(const char *text, size_t len, size_t at)
{
    return at < len ? att_utf8_next(text, len, &at) : 0;
}

/* "$", "(", "NASDAQ: " or one of their Chinese forms. */
static bool has_mark(const char *text, size_t len, size_t start)
{
    while (start > 0 && text[start - 1] == ' ')
        start--;
    uint32_t c = store_entities_fold(character_before(text, len, start));
    return c == '$' || c == '(' || c == ':';
}

/* 1900 to 2099. */
static bool is_year(const char *text, size_t len, size_t at)
{
    if (len - at < 4 || (memcmp(text + at, "19", 2) != 0 && memcmp(text + at, "20", 2) != 0))
        return false;
    for (size_t i = at + 2; i < at + 4; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return !is_word(character_at(text, len, at + 4));
}

static bool ends_with(const char *text, size_t end, const char *const *words)
{
    for (; *words; words++) {
        size_t n = strlen(*words);
        if (end >= n && memcmp(text + end - n, *words, n) == 0)
            return true;
    }
    return false;
}

/* A holder's name follows a mark that begins something new; behind a company's name it is what the company does. */
static bool is_before_holder(const char *text, size_t len, size_t open, size_t after)
{
    static const char *const companies[] = {"Inc.", "Corp.", "Co.", "Ltd.", "N.A.", NULL};
    uint32_t before = character_before(text, len, open), next = character_at(text, len, after);
    bool in_list = before == ')' || before == ','; /* of tickers: "(JPM) (BAC) (C)" */
    bool is_new =
        before == 0x3002 || (before < 0x80 && !is_word(before) && !in_list && !ends_with(text, open, companies));
    return is_new && store_entities_fold(next) != next;
}

/* "(C)" as in "(C) 2026 Reuters", "Copyright (C) Reuters" and "… reserved. (C) Reuters": no ticker. */
static bool is_copyright(const char *text, size_t len, size_t start, size_t end)
{
    static const char *const words[] = {"Copyright", "COPYRIGHT", "copyright", "版权", "版权所有", NULL};
    size_t open = start, after = end;
    if (end - start != 1 || text[start] != 'C' || end == len ||
        store_entities_fold(character_before(text, len, start)) != '(' ||
        store_entities_fold(att_utf8_next(text, len, &after)) != ')')
        return false;
    open -= text[start - 1] == '(' ? 1 : strlen("（");
    while (open > 0 && text[open - 1] == ' ')
        open--;
    while (after < len && text[after] == ' ')
        after++;
    return is_year(text, len, after) || ends_with(text, open, words) || is_before_holder(text, len, open, after);
}

static bool fits(const struct pattern *pattern, const char *text, size_t len, size_t start, size_t end)
{
    uint32_t first = character_at(text, len, start), last = character_before(text, len, end);
    if (is_word(first) && is_word(character_before(text, len, start)))
        return false;
    if (is_word(last) && is_word(character_at(text, len, end)))
        return false;
    if (pattern->needs_mark && (!has_mark(text, len, start) || is_copyright(text, len, start, end)))
        return false;
    if (pattern->letters == CASE_EXACT)
        return end - start == pattern->len && memcmp(text + start, pattern->text, pattern->len) == 0;
    return pattern->letters != CASE_CAPITAL || store_entities_fold(first) != first;
}

static int by_place(const void *a, const void *b)
{
    const struct store_mention *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->end != y->end)
        return x->end > y->end ? -1 : 1;
    return x->entity < y->entity ? -1 : x->entity > y->entity;
}

size_t store_entities_search(const struct store_entities *entities, const char *text, size_t len,
                             struct store_mention *mentions, size_t max)
{
    struct store_mention found[CANDIDATES_MAX];
    size_t starts[RING], n_found = 0, count = 0, covered = 0;
    uint32_t node = 0;
    if (entities->n_patterns == 0)
        return 0;
    for (size_t at = 0, i = 0; at < len && n_found < CANDIDATES_MAX; i++) {
        starts[i % RING] = at;
        uint32_t c = store_entities_fold(att_utf8_next(text, len, &at)), next;
        while (!(next = follow(entities, node, c)) && node)
            node = entities->nodes[node].fail;
        node = next;
        uint32_t ending = entities->nodes[node].pattern ? node : entities->nodes[node].output;
        for (; ending; ending = entities->nodes[ending].output) {
            size_t start = starts[(i + 1 - entities->nodes[ending].depth) % RING];
            for (uint32_t p = entities->nodes[ending].pattern; p && n_found < CANDIDATES_MAX;
                 p = entities->patterns[p - 1].next)
                if (fits(&entities->patterns[p - 1], text, len, start, at))
                    found[n_found++] = (struct store_mention){start, at, entities->patterns[p - 1].entity};
        }
    }
    qsort(found, n_found, sizeof *found, by_place);
    for (size_t i = 0; i < n_found && count < max; i++) {
        if (found[i].start < covered)
            continue;
        mentions[count++] = found[i];
        covered = found[i].end;
    }
    return count;
}
