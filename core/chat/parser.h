/* From lexemes to the tree of tree.h. The grammar is that of Jinja2 3.1, less what tree.h does not have. */
#ifndef ATT_CHAT_PARSER_H
#define ATT_CHAT_PARSER_H

#include "core/chat/lexer.h"
#include "core/chat/tree.h"

struct att_parser {
    struct att_arena *arena;
    const struct att_lexeme *at; /* the next; the last one is ATT_TOKEN_END and stays */
    int depth;                   /* of what is open now, bounded by ATT_CHAT_DEPTH_MAX */
    int loops;                   /* around this place, for break and continue */
    int conditions;              /* around this place: what may never run may use names that are not known */
    struct att_err *err;
};

enum att_status att_chat_parse(struct att_arena *arena, const struct att_lexemes *lexemes, struct att_node **ret_root,
                               struct att_err *err) ATT_MUST_USE;

/* What statements (parser.c) and expressions (expression.c) share. NULL and false: refused, the error is set. */
struct att_node *att_parser_node(struct att_parser *parser, enum att_node_kind kind);
bool att_parser_push(struct att_parser *parser, struct att_node *node, struct att_node *item, struct att_text name);
bool att_parser_enter(struct att_parser *parser);
void *att_parser_fail(struct att_parser *parser, enum att_status status, const char *what);
bool att_parser_is(const struct att_parser *parser, enum att_token_kind kind, const char *text);
bool att_parser_skip(struct att_parser *parser, enum att_token_kind kind, const char *text);
bool att_parser_expect(struct att_parser *parser, enum att_token_kind kind, const char *text);
/* One expression, with a conditional (a if b else c) or without. */
struct att_node *att_parse_expression(struct att_parser *parser, bool conditional);
/* The same, or a tuple of such without brackets. */
struct att_node *att_parse_tuple(struct att_parser *parser, bool conditional);

#endif
