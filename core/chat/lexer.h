/* From template source to tokens, with whitespace control already applied to the text between tags. */
#ifndef ATT_CHAT_LEXER_H
#define ATT_CHAT_LEXER_H

#include "core/base/status.h"
#include "core/chat/value.h"

enum att_token_kind {
    ATT_TOKEN_END,
    ATT_TOKEN_TEXT,
    ATT_TOKEN_OUTPUT_BEGIN, /* {{ */
    ATT_TOKEN_OUTPUT_END,
    ATT_TOKEN_TAG_BEGIN, /* {% */
    ATT_TOKEN_TAG_END,
    ATT_TOKEN_NAME,
    ATT_TOKEN_STRING, /* unescaped */
    ATT_TOKEN_INTEGER,
    ATT_TOKEN_FLOAT,
    ATT_TOKEN_SIGN, /* text: == != <= >= // ** and single characters */
};

struct att_lexeme {
    enum att_token_kind kind;
    struct att_text text;
    int64_t integer;
    double number;
    unsigned line;
};

struct att_lexemes {
    struct att_lexeme *items; /* the last is ATT_TOKEN_END */
    size_t count, capacity;
};

/* Everything lies in the arena. source must outlive it. */
enum att_status att_chat_lex(struct att_arena *arena, const char *source, size_t len, struct att_lexemes *ret,
                             struct att_err *err) ATT_MUST_USE;

#endif
