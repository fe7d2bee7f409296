/* Statements: text, {{ … }}, and the tags of {% … %}. */
#include "core/chat/parser.h"

#include <stdio.h>
#include <string.h>

static struct att_node *parse_block(struct att_parser *parser, const char *const *ends);

/* ---- shared with expression.c ---- */

void *att_parser_fail(struct att_parser *parser, enum att_status status, const char *what)
{
    const struct att_lexeme *at = parser->at;
    static const char *const names[] = {"the end", "text", "'{{'", "'}}'", "'{%'", "'%}'"};
    char near[64];
    if (at->kind <= ATT_TOKEN_TAG_END)
        snprintf(near, sizeof near, "%s", names[at->kind]);
    else if (at->kind == ATT_TOKEN_INTEGER || at->kind == ATT_TOKEN_FLOAT)
        snprintf(near, sizeof near, "a number");
    else
        snprintf(near, sizeof near, "'%.*s'", at->text.len > 40 ? 40 : (int)at->text.len, at->text.bytes);
    (void)att_err_set(parser->err, status, "chat_template: line %u: at %s: %s", at->line, near, what);
    return NULL;
}

struct att_node *att_parser_node(struct att_parser *parser, enum att_node_kind kind)
{
    struct att_node *node = att_arena_alloc(parser->arena, 1, sizeof *node);
    if (!node)
        return att_parser_fail(parser, ATT_ENOMEM, "out of memory for the template");
    node->kind = kind;
    node->line = parser->at->line;
    return node;
}

/* Room for one more at count, by doubling. */
static void *grown(struct att_arena *arena, const void *items, size_t count, size_t size)
{
    if (count > 0 && (count & (count - 1)) != 0)
        return (void *)(uintptr_t)items;
    char *more = att_arena_alloc(arena, count ? 2 * count : 1, size);
    if (more && count > 0)
        memcpy(more, items, count * size);
    return more;
}

bool att_parser_push(struct att_parser *parser, struct att_node *node, struct att_node *item, struct att_text name)
{
    struct att_node **items = grown(parser->arena, node->items, node->n_items, sizeof *items);
    struct att_text *names = grown(parser->arena, node->names, node->n_items, sizeof *names);
    if (!items || !names)
        return att_parser_fail(parser, ATT_ENOMEM, "out of memory for the template") != NULL;
    node->items = items;
    node->names = names;
    node->names[node->n_items] = name;
    node->items[node->n_items++] = item;
    node->n_names = node->n_items;
    return true;
}

bool att_parser_enter(struct att_parser *parser)
{
    if (++parser->depth <= ATT_CHAT_DEPTH_MAX)
        return true;
    return att_parser_fail(parser, ATT_ELIMIT, "nested too deeply") != NULL;
}

bool att_parser_is(const struct att_parser *parser, enum att_token_kind kind, const char *text)
{
    return parser->at->kind == kind && att_text_is(parser->at->text, text);
}

bool att_parser_skip(struct att_parser *parser, enum att_token_kind kind, const char *text)
{
    bool found = att_parser_is(parser, kind, text);
    parser->at += found;
    return found;
}

bool att_parser_expect(struct att_parser *parser, enum att_token_kind kind, const char *text)
{
    char what[64];
    if (att_parser_skip(parser, kind, text))
        return true;
    snprintf(what, sizeof what, "'%s' is expected", text);
    return att_parser_fail(parser, ATT_EFORMAT, what) != NULL;
}

/* ---- tags ---- */

static bool end_tag(struct att_parser *parser)
{
    if (parser->at->kind != ATT_TOKEN_TAG_END)
        return att_parser_fail(parser, ATT_EFORMAT, "'%}' is expected") != NULL;
    parser->at++;
    return true;
}

/* The end of a body: its name, at which parse_block stopped, and "%}". */
static bool end_body(struct att_parser *parser)
{
    parser->at++;
    return end_tag(parser);
}

/* The body of a tag: after "%}" up to one of `ends`, whose name is the next token; NULL in ends: the last. */
static struct att_node *parse_body(struct att_parser *parser, const char *const *ends)
{
    return end_tag(parser) ? parse_block(parser, ends) : NULL;
}

static bool parse_names(struct att_parser *parser, struct att_node *node)
{
    bool bracket = att_parser_skip(parser, ATT_TOKEN_SIGN, "(");
    do {
        if (parser->at->kind != ATT_TOKEN_NAME)
            return att_parser_fail(parser, ATT_EFORMAT, "a variable's name is expected") != NULL;
        struct att_text *names = grown(parser->arena, node->names, node->n_names, sizeof *names);
        if (!names)
            return att_parser_fail(parser, ATT_ENOMEM, "out of memory for the template") != NULL;
        node->names = names;
        node->names[node->n_names++] = parser->at->text;
        parser->at++;
    } while (att_parser_skip(parser, ATT_TOKEN_SIGN, ","));
    return !bracket || att_parser_expect(parser, ATT_TOKEN_SIGN, ")");
}

static struct att_node *parse_branches(struct att_parser *parser)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    static const char *const last[] = {"endif", NULL};
    struct att_node *node = att_parser_node(parser, ATT_NODE_IF);
    if (!node || !(node->a = att_parse_tuple(parser, false)) || !(node->b = parse_body(parser, ends)))
        return NULL;
    if (att_parser_skip(parser, ATT_TOKEN_NAME, "elif")) {
        if (!att_parser_enter(parser))
            return NULL;
        node->c = parse_branches(parser);
        parser->depth--;
        return node->c ? node : NULL;
    }
    if (att_parser_skip(parser, ATT_TOKEN_NAME, "else") && !(node->c = parse_body(parser, last)))
        return NULL;
    return end_body(parser) ? node : NULL;
}

static struct att_node *parse_if(struct att_parser *parser)
{
    parser->conditions++;
    struct att_node *node = parse_branches(parser);
    parser->conditions--;
    return node;
}

static struct att_node *parse_for(struct att_parser *parser)
{
    static const char *const ends[] = {"else", "endfor", NULL}, *const last[] = {"endfor", NULL};
    struct att_node *node = att_parser_node(parser, ATT_NODE_FOR);
    if (!node || !parse_names(parser, node) || !att_parser_expect(parser, ATT_TOKEN_NAME, "in") ||
        !(node->a = att_parse_tuple(parser, false)))
        return NULL;
    if (att_parser_skip(parser, ATT_TOKEN_NAME, "if") && !(node->d = att_parse_expression(parser, true)))
        return NULL;
    if (att_parser_is(parser, ATT_TOKEN_NAME, "recursive"))
        return att_parser_fail(parser, ATT_EUNSUPPORTED, "recursive loops are not supported here");
    parser->loops++;
    node->b = parse_body(parser, ends);
    parser->loops--;
    if (!node->b || (att_parser_skip(parser, ATT_TOKEN_NAME, "else") && !(node->c = parse_body(parser, last))))
        return NULL;
    return end_body(parser) ? node : NULL;
}

static struct att_node *parse_set(struct att_parser *parser)
{
    static const char *const ends[] = {"endset", NULL};
    struct att_node *node = att_parser_node(parser, ATT_NODE_SET);
    if (!node || !parse_names(parser, node))
        return NULL;
    if (node->n_names == 1 && att_parser_skip(parser, ATT_TOKEN_SIGN, ".")) {
        if (parser->at->kind != ATT_TOKEN_NAME)
            return att_parser_fail(parser, ATT_EFORMAT, "a name is expected behind '.'");
        node->text = parser->at++->text;
    }
    if (att_parser_skip(parser, ATT_TOKEN_SIGN, "="))
        return (node->a = att_parse_tuple(parser, true)) && end_tag(parser) ? node : NULL;
    if (att_parser_is(parser, ATT_TOKEN_SIGN, "|"))
        return att_parser_fail(parser, ATT_EUNSUPPORTED, "a block that is set through a filter is not supported here");
    return (node->b = parse_body(parser, ends)) && end_body(parser) ? node : NULL;
}

static struct att_node *parse_macro(struct att_parser *parser)
{
    static const char *const ends[] = {"endmacro", NULL};
    struct att_node *node = att_parser_node(parser, ATT_NODE_MACRO);
    int loops = parser->loops;
    if (!node)
        return NULL;
    if (parser->at->kind != ATT_TOKEN_NAME)
        return att_parser_fail(parser, ATT_EFORMAT, "a macro's name is expected");
    node->text = parser->at++->text;
    if (!att_parser_expect(parser, ATT_TOKEN_SIGN, "("))
        return NULL;
    while (!att_parser_skip(parser, ATT_TOKEN_SIGN, ")")) {
        struct att_node *otherwise = NULL;
        if (node->n_items > 0 && !att_parser_expect(parser, ATT_TOKEN_SIGN, ","))
            return NULL;
        if (parser->at->kind != ATT_TOKEN_NAME)
            return att_parser_fail(parser, ATT_EFORMAT, "a parameter's name is expected");
        struct att_text name = parser->at++->text;
        if (att_parser_skip(parser, ATT_TOKEN_SIGN, "=") && !(otherwise = att_parse_expression(parser, true)))
            return NULL;
        if (!att_parser_push(parser, node, otherwise, name))
            return NULL;
    }
    parser->loops = 0;
    node->b = parse_body(parser, ends);
    parser->loops = loops;
    return node->b && end_body(parser) ? node : NULL;
}

/* {% generation %} marks what an assistant wrote, for training; here it is its body. */
static struct att_node *parse_generation(struct att_parser *parser)
{
    static const char *const ends[] = {"endgeneration", NULL};
    struct att_node *node = att_parser_node(parser, ATT_NODE_SCOPE);
    return node && (node->b = parse_body(parser, ends)) && end_body(parser) ? node : NULL;
}

static struct att_node *parse_jump(struct att_parser *parser, enum att_node_kind kind)
{
    if (parser->loops == 0)
        return att_parser_fail(parser, ATT_EFORMAT, "there is no loop around break or continue");
    struct att_node *node = att_parser_node(parser, kind);
    return node && end_tag(parser) ? node : NULL;
}

static struct att_node *parse_tag(struct att_parser *parser)
{
    if (att_parser_skip(parser, ATT_TOKEN_NAME, "if"))
        return parse_if(parser);
    if (att_parser_skip(parser, ATT_TOKEN_NAME, "for"))
        return parse_for(parser);
    if (att_parser_skip(parser, ATT_TOKEN_NAME, "set"))
        return parse_set(parser);
    if (att_parser_skip(parser, ATT_TOKEN_NAME, "macro"))
        return parse_macro(parser);
    if (att_parser_skip(parser, ATT_TOKEN_NAME, "generation"))
        return parse_generation(parser);
    if (att_parser_skip(parser, ATT_TOKEN_NAME, "break"))
        return parse_jump(parser, ATT_NODE_BREAK);
    if (att_parser_skip(parser, ATT_TOKEN_NAME, "continue"))
        return parse_jump(parser, ATT_NODE_CONTINUE);
    return att_parser_fail(parser, ATT_EUNSUPPORTED,
                           "this tag is not known here, expected if, for, set, macro, generation, break or continue");
}

static struct att_node *parse_output(struct att_parser *parser)
{
    struct att_node *node = att_parser_node(parser, ATT_NODE_OUTPUT);
    if (!node || !(node->a = att_parse_tuple(parser, true)))
        return NULL;
    if (parser->at->kind != ATT_TOKEN_OUTPUT_END)
        return att_parser_fail(parser, ATT_EFORMAT, "'}}' is expected");
    parser->at++;
    return node;
}

static struct att_node *parse_statement(struct att_parser *parser)
{
    struct att_node *node = NULL;
    if (parser->at->kind == ATT_TOKEN_TEXT) {
        if ((node = att_parser_node(parser, ATT_NODE_TEXT)) != NULL)
            node->text = parser->at++->text;
        return node;
    }
    bool output = parser->at->kind == ATT_TOKEN_OUTPUT_BEGIN;
    parser->at++;
    return output ? parse_output(parser) : parse_tag(parser);
}

static bool is_end(const struct att_lexeme *at, const char *const *ends)
{
    if (at->kind != ATT_TOKEN_TAG_BEGIN || at[1].kind != ATT_TOKEN_NAME)
        return false;
    for (; *ends; ends++)
        if (att_text_is(at[1].text, *ends))
            return true;
    return false;
}

static struct att_node *parse_block(struct att_parser *parser, const char *const *ends)
{
    struct att_node *block = att_parser_enter(parser) ? att_parser_node(parser, ATT_NODE_BLOCK) : NULL;
    while (block && parser->at->kind != ATT_TOKEN_END && !is_end(parser->at, ends)) {
        struct att_node *node = parse_statement(parser);
        if (!node || !att_parser_push(parser, block, node, (struct att_text){0}))
            return NULL;
    }
    if (!block)
        return NULL;
    if (*ends && parser->at->kind == ATT_TOKEN_END) {
        char what[64];
        snprintf(what, sizeof what, "'%s' is missing", ends[0]);
        return att_parser_fail(parser, ATT_EFORMAT, what);
    }
    parser->at += parser->at->kind == ATT_TOKEN_TAG_BEGIN;
    parser->depth--;
    return block;
}

enum att_status att_chat_parse(struct att_arena *arena, const struct att_lexemes *lexemes, struct att_node **ret_root,
                               struct att_err *err)
{
    static const char *const none[] = {NULL};
    struct att_err own;
    struct att_parser parser = {.arena = arena, .at = lexemes->items, .err = err ? err : &own};
    struct att_node *root = parse_block(&parser, none);
    if (!root)
        return parser.err->status;
    *ret_root = root;
    return ATT_OK;
}
