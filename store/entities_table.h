/* The inside of the dictionary of entities: for store/entities*.c alone. */
#ifndef STORE_ENTITIES_TABLE_H
#define STORE_ENTITIES_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "core/base/mem.h"
#include "store/entities.h"

enum pattern_case {
    CASE_ANY,     /* small letters */
    CASE_CAPITAL, /* the first letter is a capital, in the text too */
    CASE_EXACT,   /* capitals alone, and tickers */
};

struct pattern {
    const char *text;
    size_t len, entity;
    enum pattern_case letters;
    bool needs_mark; /* a ticker of letters */
    uint32_t next;   /* index + 1 of another pattern of the same folded characters; 0: none */
};

struct node {
    uint32_t parent, character, depth;
    uint32_t fail;    /* the longest proper suffix of this node's characters that is a node */
    uint32_t pattern; /* index + 1; 0: none ends here */
    uint32_t output;  /* the next node on the way of fail that has a pattern; 0: none */
};

struct edge {
    uint64_t key; /* node << 32 | character; 0: empty, since no edge has the character 0 */
    uint32_t node;
};

struct store_entities {
    atomic_size_t references;
    struct att_arena arena; /* all texts */
    struct store_entity *list;
    size_t count, capacity;
    uint32_t *ids; /* hash of ids: index + 1 */
    size_t ids_mask;
    struct pattern *patterns;
    size_t n_patterns, patterns_capacity;
    struct node *nodes; /* the first is the root */
    size_t n_nodes, nodes_capacity;
    struct edge *edges; /* open addressing */
    size_t edges_mask, n_edges;
};

/* Capital letters and full-width forms become small letters, the typographic apostrophe the plain one. */
uint32_t store_entities_fold(uint32_t character);
/* Adds the pattern's characters; ATT_EINVAL: another entity has the same. */
enum att_status store_entities_insert(struct store_entities *entities, const struct pattern *pattern,
                                      struct att_err *err) ATT_MUST_USE;
/* After the last insert. */
enum att_status store_entities_link(struct store_entities *entities, struct att_err *err) ATT_MUST_USE;

#endif
