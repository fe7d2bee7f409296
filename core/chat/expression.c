/* Expressions, one function a level of precedence. */
#include <string.h>

#include "core/chat/filters.h"
#include "core/chat/parser.h"

static struct att_node *parse_unary(struct att_parser *parser, bool with_filter);

static struct att_node *binary(struct att_parser *parser, enum att_node_kind kind, enum att_operator op,
                               struct att_node *a, struct att_node *b)
{
    struct att_node *node = b ? att_parser_node(parser, kind) : NULL;
    if (node) {
        node->op = op;
        node->a = a;
        node->b = b;
    }
    return node;
}

static struct att_node *literal(struct att_parser *parser, struct att_value value)
{
    struct att_node *node = att_parser_node(parser, ATT_NODE_LITERAL);
    if (node)
        node->value = value;
    return node;
}

/* ---- primary ---- */

static struct att_node *parse_name(struct att_parser *parser)
{
    static const struct {
        const char *name;
        struct att_value value;
    } constants[] = {
        {"true", {.kind = ATT_VALUE_BOOL, .boolean = true}},
        {"True", {.kind = ATT_VALUE_BOOL, .boolean = true}},
        {"false", {.kind = ATT_VALUE_BOOL, .boolean = false}},
        {"False", {.kind = ATT_VALUE_BOOL, .boolean = false}},
        {"none", {.kind = ATT_VALUE_NONE}},
        {"None", {.kind = ATT_VALUE_NONE}},
    };
    struct att_text name = parser->at->text;
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (att_text_is(name, constants[i].name)) {
            parser->at++;
            return literal(parser, constants[i].value);
        }
    struct att_node *node = att_parser_node(parser, ATT_NODE_NAME);
    parser->at++;
    if (node)
        node->text = name;
    return node;
}

/* Strings that stand side by side are one. */
static struct att_node *parse_string(struct att_parser *parser)
{
    struct att_chat_buffer buffer = {.arena = parser->arena, .limit = ATT_CHAT_SOURCE_MAX};
    struct att_text text = parser->at->text;
    if (parser->at[1].kind != ATT_TOKEN_STRING) {
        parser->at++;
        return literal(parser, att_value_text(text.bytes, text.len));
    }
    for (; parser->at->kind == ATT_TOKEN_STRING; parser->at++)
        att_buffer_put(&buffer, parser->at->text.bytes, parser->at->text.len);
    if (buffer.failed)
        return att_parser_fail(parser, ATT_ENOMEM, "out of memory for its strings");
    return literal(parser, att_value_text(buffer.bytes, buffer.len));
}

static struct att_node *parse_items(struct att_parser *parser, enum att_node_kind kind, const char *end)
{
    struct att_node *node = att_parser_node(parser, kind);
    while (node && !att_parser_skip(parser, ATT_TOKEN_SIGN, end)) {
        if (node->n_items > 0 && !att_parser_expect(parser, ATT_TOKEN_SIGN, ","))
            return NULL;
        if (att_parser_skip(parser, ATT_TOKEN_SIGN, end))
            break;
        struct att_node *item = att_parse_expression(parser, true);
        if (item && kind == ATT_NODE_DICT) {
            if (!att_parser_push(parser, node, item, (struct att_text){0}) ||
                !att_parser_expect(parser, ATT_TOKEN_SIGN, ":"))
                return NULL;
            item = att_parse_expression(parser, true);
        }
        if (!item || !att_parser_push(parser, node, item, (struct att_text){0}))
            return NULL;
    }
    return node;
}

/* (a), (a,), (a, b) or () */
static struct att_node *parse_parentheses(struct att_parser *parser)
{
    if (att_parser_skip(parser, ATT_TOKEN_SIGN, ")"))
        return att_parser_node(parser, ATT_NODE_TUPLE);
    struct att_node *node = att_parse_tuple(parser, true);
    return node && att_parser_expect(parser, ATT_TOKEN_SIGN, ")") ? node : NULL;
}

static struct att_node *parse_primary(struct att_parser *parser)
{
    const struct att_lexeme *token = parser->at;
    switch (token->kind) {
    case ATT_TOKEN_NAME:
        return parse_name(parser);
    case ATT_TOKEN_STRING:
        return parse_string(parser);
    case ATT_TOKEN_INTEGER:
        parser->at++;
        return literal(parser, (struct att_value){.kind = ATT_VALUE_INT, .integer = token->integer});
    case ATT_TOKEN_FLOAT:
        parser->at++;
        return literal(parser, (struct att_value){.kind = ATT_VALUE_FLOAT, .number = token->number});
    default:
        break;
    }
    if (att_parser_skip(parser, ATT_TOKEN_SIGN, "("))
        return parse_parentheses(parser);
    if (att_parser_skip(parser, ATT_TOKEN_SIGN, "["))
        return parse_items(parser, ATT_NODE_LIST, "]");
    if (att_parser_skip(parser, ATT_TOKEN_SIGN, "{"))
        return parse_items(parser, ATT_NODE_DICT, "}");
    return att_parser_fail(parser, ATT_EFORMAT, "a value is expected");
}

/* ---- what follows a primary ---- */

/* The arguments of a call, a filter or a test, behind "(". */
static bool parse_arguments(struct att_parser *parser, struct att_node *node)
{
    while (!att_parser_skip(parser, ATT_TOKEN_SIGN, ")")) {
        struct att_text name = {0};
        if (node->n_items > 0 && !att_parser_expect(parser, ATT_TOKEN_SIGN, ","))
            return false;
        if (node->n_items > 0 && att_parser_skip(parser, ATT_TOKEN_SIGN, ")"))
            break;
        if (att_parser_is(parser, ATT_TOKEN_SIGN, "*") || att_parser_is(parser, ATT_TOKEN_SIGN, "**"))
            return att_parser_fail(parser, ATT_EUNSUPPORTED, "arguments unpacked with * are not supported here") !=
                   NULL;
        if (parser->at->kind == ATT_TOKEN_NAME && parser->at[1].kind == ATT_TOKEN_SIGN &&
            att_text_is(parser->at[1].text, "=")) {
            name = parser->at->text;
            parser->at += 2;
        } else if (node->n_items > 0 && node->names[node->n_items - 1].bytes) {
            return att_parser_fail(parser, ATT_EFORMAT, "an argument without a name follows one with a name") != NULL;
        }
        struct att_node *item = att_parse_expression(parser, true);
        if (!item || !att_parser_push(parser, node, item, name))
            return false;
    }
    return true;
}

static struct att_node *parse_slice(struct att_parser *parser, struct att_node *of)
{
    struct att_node *parts[3] = {NULL}, *node;
    size_t n = 0;
    bool sliced = false;
    while (!att_parser_is(parser, ATT_TOKEN_SIGN, "]")) {
        if (att_parser_skip(parser, ATT_TOKEN_SIGN, ":")) {
            sliced = true;
            if (++n == 3)
                return att_parser_fail(parser, ATT_EFORMAT, "a slice has at most three parts");
        } else if (parts[n]) {
            return att_parser_fail(parser, ATT_EFORMAT, "':' or ']' is expected");
        } else if (!(parts[n] = att_parse_expression(parser, true))) {
            return NULL;
        }
    }
    parser->at++;
    if (!sliced && !parts[0])
        return att_parser_fail(parser, ATT_EFORMAT, "an index is expected");
    if (!(node = att_parser_node(parser, sliced ? ATT_NODE_SLICE : ATT_NODE_ITEM)))
        return NULL;
    node->a = of;
    node->b = parts[0];
    node->c = parts[1];
    node->d = parts[2];
    return node;
}

static struct att_node *parse_call(struct att_parser *parser, struct att_node *of)
{
    struct att_node *node = att_parser_node(parser, ATT_NODE_CALL);
    if (!node || !parse_arguments(parser, node))
        return NULL;
    node->a = of;
    return node;
}

/* a.name or a.0 */
static struct att_node *parse_attribute(struct att_parser *parser, struct att_node *of)
{
    const struct att_lexeme *token = parser->at;
    bool is_index = token->kind == ATT_TOKEN_INTEGER;
    if (!is_index && token->kind != ATT_TOKEN_NAME)
        return att_parser_fail(parser, ATT_EFORMAT, "a name is expected behind '.'");
    struct att_node *node = att_parser_node(parser, is_index ? ATT_NODE_ITEM : ATT_NODE_ATTRIBUTE);
    parser->at++;
    if (!node)
        return NULL;
    node->a = of;
    node->text = token->text;
    if (is_index && !(node->b = literal(parser, (struct att_value){.kind = ATT_VALUE_INT, .integer = token->integer})))
        return NULL;
    return node;
}

static struct att_node *parse_postfix(struct att_parser *parser, struct att_node *node)
{
    while (node) {
        if (att_parser_skip(parser, ATT_TOKEN_SIGN, "."))
            node = parse_attribute(parser, node);
        else if (att_parser_skip(parser, ATT_TOKEN_SIGN, "["))
            node = parse_slice(parser, node);
        else if (att_parser_skip(parser, ATT_TOKEN_SIGN, "("))
            node = parse_call(parser, node);
        else
            break;
    }
    return node;
}

static struct att_node *parse_filter(struct att_parser *parser, struct att_node *of)
{
    struct att_text name = parser->at->text;
    struct att_node *node = att_parser_node(parser, ATT_NODE_FILTER);
    if (!node)
        return NULL;
    if (parser->at->kind != ATT_TOKEN_NAME)
        return att_parser_fail(parser, ATT_EFORMAT, "a filter's name is expected behind '|'");
    if (parser->conditions == 0 && !att_chat_filter_known(name))
        return att_parser_fail(parser, ATT_EUNSUPPORTED, "no filter of this name is known here");
    parser->at++;
    node->a = of;
    node->text = name;
    if (att_parser_skip(parser, ATT_TOKEN_SIGN, "(") && !parse_arguments(parser, node))
        return NULL;
    return node;
}

/* A test's one argument may stand without brackets: "is divisibleby 3". */
static bool begins_argument(const struct att_parser *parser)
{
    static const char *const ends[] = {"else", "or", "and", "is", "if"};
    const struct att_lexeme *token = parser->at;
    if (token->kind == ATT_TOKEN_NAME) {
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
            if (att_text_is(token->text, ends[i]))
                return false;
        return true;
    }
    return token->kind == ATT_TOKEN_STRING || token->kind == ATT_TOKEN_INTEGER || token->kind == ATT_TOKEN_FLOAT ||
           (token->kind == ATT_TOKEN_SIGN && (att_text_is(token->text, "[") || att_text_is(token->text, "{")));
}

static struct att_node *parse_test(struct att_parser *parser, struct att_node *of)
{
    bool negated = att_parser_skip(parser, ATT_TOKEN_NAME, "not");
    struct att_text name = parser->at->text;
    struct att_node *node = att_parser_node(parser, ATT_NODE_TEST), *argument, *outer;
    if (!node)
        return NULL;
    if (parser->at->kind != ATT_TOKEN_NAME)
        return att_parser_fail(parser, ATT_EFORMAT, "a test's name is expected behind 'is'");
    if (parser->conditions == 0 && !att_chat_test_known(name))
        return att_parser_fail(parser, ATT_EUNSUPPORTED, "no test of this name is known here");
    parser->at++;
    node->a = of;
    node->text = name;
    if (att_parser_skip(parser, ATT_TOKEN_SIGN, "(")) {
        if (!parse_arguments(parser, node))
            return NULL;
    } else if (begins_argument(parser)) {
        argument = parse_postfix(parser, parse_primary(parser));
        if (!argument || !att_parser_push(parser, node, argument, (struct att_text){0}))
            return NULL;
    }
    if (!negated)
        return node;
    if ((outer = att_parser_node(parser, ATT_NODE_NOT)) != NULL)
        outer->a = node;
    return outer;
}

static struct att_node *parse_filters(struct att_parser *parser, struct att_node *node)
{
    while (node) {
        if (att_parser_skip(parser, ATT_TOKEN_SIGN, "|"))
            node = parse_filter(parser, node);
        else if (att_parser_skip(parser, ATT_TOKEN_NAME, "is"))
            node = parse_test(parser, node);
        else if (att_parser_skip(parser, ATT_TOKEN_SIGN, "("))
            node = parse_call(parser, node);
        else
            break;
    }
    return node;
}

/* ---- operators ---- */

static struct att_node *parse_unary(struct att_parser *parser, bool with_filter)
{
    struct att_node *node = NULL;
    if (!att_parser_enter(parser))
        return NULL;
    bool negative = att_parser_skip(parser, ATT_TOKEN_SIGN, "-");
    if (negative || att_parser_skip(parser, ATT_TOKEN_SIGN, "+")) {
        struct att_node *of = parse_unary(parser, false);
        if (of && (node = att_parser_node(parser, negative ? ATT_NODE_NEGATIVE : ATT_NODE_POSITIVE)) != NULL)
            node->a = of;
    } else {
        node = parse_primary(parser);
    }
    node = parse_postfix(parser, node);
    if (with_filter)
        node = parse_filters(parser, node);
    parser->depth--;
    return node;
}

struct operators {
    const char *sign;
    enum att_operator op;
};

static const struct operators *find_operator(struct att_parser *parser, const struct operators *of, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (att_parser_skip(parser, ATT_TOKEN_SIGN, of[i].sign))
            return &of[i];
    return NULL;
}

static struct att_node *parse_power(struct att_parser *parser)
{
    struct att_node *node = parse_unary(parser, true);
    while (node && att_parser_skip(parser, ATT_TOKEN_SIGN, "**"))
        node = binary(parser, ATT_NODE_BINARY, ATT_OP_POWER, node, parse_unary(parser, true));
    return node;
}

static struct att_node *parse_product(struct att_parser *parser)
{
    static const struct operators operators[] = {
        {"*", ATT_OP_MULTIPLY}, {"/", ATT_OP_DIVIDE}, {"//", ATT_OP_FLOOR_DIVIDE}, {"%", ATT_OP_REMAINDER}};
    const struct operators *found;
    struct att_node *node = parse_power(parser);
    while (node && (found = find_operator(parser, operators, 4)) != NULL)
        node = binary(parser, ATT_NODE_BINARY, found->op, node, parse_power(parser));
    return node;
}

static struct att_node *parse_concatenation(struct att_parser *parser)
{
    struct att_node *node = parse_product(parser);
    while (node && att_parser_skip(parser, ATT_TOKEN_SIGN, "~"))
        node = binary(parser, ATT_NODE_BINARY, ATT_OP_CONCATENATE, node, parse_product(parser));
    return node;
}

static struct att_node *parse_sum(struct att_parser *parser)
{
    static const struct operators operators[] = {{"+", ATT_OP_ADD}, {"-", ATT_OP_SUBTRACT}};
    const struct operators *found;
    struct att_node *node = parse_concatenation(parser);
    while (node && (found = find_operator(parser, operators, 2)) != NULL)
        node = binary(parser, ATT_NODE_BINARY, found->op, node, parse_concatenation(parser));
    return node;
}

static bool comparison(struct att_parser *parser, enum att_operator *ret)
{
    static const struct operators operators[] = {{"==", ATT_OP_EQUAL},  {"!=", ATT_OP_NOT_EQUAL},
                                                 {"<", ATT_OP_LESS},    {"<=", ATT_OP_LESS_EQUAL},
                                                 {">", ATT_OP_GREATER}, {">=", ATT_OP_GREATER_EQUAL}};
    const struct operators *found = find_operator(parser, operators, sizeof operators / sizeof *operators);
    if (found) {
        *ret = found->op;
        return true;
    }
    *ret = ATT_OP_IN;
    if (att_parser_skip(parser, ATT_TOKEN_NAME, "in"))
        return true;
    if (!att_parser_is(parser, ATT_TOKEN_NAME, "not") || parser->at[1].kind != ATT_TOKEN_NAME ||
        !att_text_is(parser->at[1].text, "in"))
        return false;
    parser->at += 2;
    *ret = ATT_OP_NOT_IN;
    return true;
}

/* a < b < c is a < b and b < c. */
static struct att_node *parse_comparison(struct att_parser *parser)
{
    struct att_node *left = parse_sum(parser), *all = left;
    enum att_operator op;
    for (bool first = true; all && comparison(parser, &op); first = false) {
        struct att_node *right = parse_sum(parser), *one = binary(parser, ATT_NODE_BINARY, op, left, right);
        if (!one)
            return NULL;
        all = first ? one : binary(parser, ATT_NODE_AND, op, all, one);
        left = right;
    }
    return all;
}

static struct att_node *parse_not(struct att_parser *parser)
{
    if (!att_parser_skip(parser, ATT_TOKEN_NAME, "not"))
        return parse_comparison(parser);
    if (!att_parser_enter(parser))
        return NULL;
    struct att_node *of = parse_not(parser), *node = of ? att_parser_node(parser, ATT_NODE_NOT) : NULL;
    if (node)
        node->a = of;
    parser->depth--;
    return node;
}

static struct att_node *parse_and(struct att_parser *parser)
{
    struct att_node *node = parse_not(parser);
    while (node && att_parser_skip(parser, ATT_TOKEN_NAME, "and"))
        node = binary(parser, ATT_NODE_AND, ATT_OP_ADD, node, parse_not(parser));
    return node;
}

static struct att_node *parse_or(struct att_parser *parser)
{
    struct att_node *node = parse_and(parser);
    while (node && att_parser_skip(parser, ATT_TOKEN_NAME, "or"))
        node = binary(parser, ATT_NODE_OR, ATT_OP_ADD, node, parse_and(parser));
    return node;
}

struct att_node *att_parse_expression(struct att_parser *parser, bool conditional)
{
    if (!att_parser_enter(parser))
        return NULL;
    struct att_node *node = parse_or(parser);
    while (node && conditional && att_parser_skip(parser, ATT_TOKEN_NAME, "if")) {
        struct att_node *condition = parse_or(parser), *choice = att_parser_node(parser, ATT_NODE_CHOICE);
        if (!condition || !choice)
            return NULL;
        choice->a = node;
        choice->b = condition;
        if (att_parser_skip(parser, ATT_TOKEN_NAME, "else") && !(choice->c = att_parse_expression(parser, true)))
            return NULL;
        node = choice;
    }
    parser->depth--;
    return node;
}

struct att_node *att_parse_tuple(struct att_parser *parser, bool conditional)
{
    struct att_node *first = att_parse_expression(parser, conditional), *tuple;
    if (!first || !att_parser_is(parser, ATT_TOKEN_SIGN, ","))
        return first;
    if (!(tuple = att_parser_node(parser, ATT_NODE_TUPLE)) ||
        !att_parser_push(parser, tuple, first, (struct att_text){0}))
        return NULL;
    while (att_parser_skip(parser, ATT_TOKEN_SIGN, ",")) {
        if (parser->at->kind == ATT_TOKEN_OUTPUT_END || parser->at->kind == ATT_TOKEN_TAG_END ||
            att_parser_is(parser, ATT_TOKEN_SIGN, ")"))
            break;
        struct att_node *item = att_parse_expression(parser, conditional);
        if (!item || !att_parser_push(parser, tuple, item, (struct att_text){0}))
            return NULL;
    }
    return tuple;
}
