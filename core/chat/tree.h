/* The parsed template, between parser and evaluator. */
#ifndef ATT_CHAT_TREE_H
#define ATT_CHAT_TREE_H

#include "core/base/mem.h"
#include "core/chat/template.h"
#include "core/chat/value.h"

enum att_node_kind {
    /* expressions */
    ATT_NODE_LITERAL,
    ATT_NODE_NAME,
    ATT_NODE_ATTRIBUTE, /* a.text */
    ATT_NODE_ITEM,      /* a[b] */
    ATT_NODE_SLICE,     /* a[b:c:d], each may be NULL */
    ATT_NODE_CALL,      /* a(items, names) */
    ATT_NODE_FILTER,    /* a|text(items, names) */
    ATT_NODE_TEST,      /* a is text(items, names) */
    ATT_NODE_NEGATIVE,  /* -a */
    ATT_NODE_POSITIVE,  /* +a */
    ATT_NODE_BINARY,    /* a op b */
    ATT_NODE_AND,
    ATT_NODE_OR,
    ATT_NODE_NOT,
    ATT_NODE_CHOICE, /* a if b else c; c may be NULL */
    ATT_NODE_LIST,   /* items */
    ATT_NODE_TUPLE,  /* items */
    ATT_NODE_DICT,   /* items: key, value, key, value, … */
    /* statements */
    ATT_NODE_TEXT,
    ATT_NODE_OUTPUT, /* a */
    ATT_NODE_BLOCK,  /* items */
    ATT_NODE_IF,     /* a: condition, b: then, c: else or NULL */
    ATT_NODE_FOR,    /* names: targets, a: list, b: body, c: else or NULL, d: filter or NULL */
    ATT_NODE_SET,    /* names: targets, a: value or NULL, b: else a block; with text: names[0].text is set */
    ATT_NODE_MACRO,  /* text: its name, names: parameters, items: their defaults or NULL, b: body */
    ATT_NODE_SCOPE,  /* b, with variables of its own */
    ATT_NODE_BREAK,
    ATT_NODE_CONTINUE,
};

enum att_operator {
    ATT_OP_ADD,
    ATT_OP_SUBTRACT,
    ATT_OP_MULTIPLY,
    ATT_OP_DIVIDE,
    ATT_OP_FLOOR_DIVIDE,
    ATT_OP_REMAINDER,
    ATT_OP_POWER,
    ATT_OP_CONCATENATE,
    ATT_OP_EQUAL,
    ATT_OP_NOT_EQUAL,
    ATT_OP_LESS,
    ATT_OP_LESS_EQUAL,
    ATT_OP_GREATER,
    ATT_OP_GREATER_EQUAL,
    ATT_OP_IN,
    ATT_OP_NOT_IN,
};

struct att_node {
    enum att_node_kind kind;
    enum att_operator op;
    unsigned line;
    struct att_text text;
    struct att_value value; /* of a literal */
    struct att_node *a, *b, *c, *d;
    struct att_node **items;
    size_t n_items;
    struct att_text *names; /* of arguments (NULL: positional), one an item; of targets; of parameters */
    size_t n_names;
};

struct att_chat_template {
    struct att_arena arena;
    struct att_node *root;
};

#endif
