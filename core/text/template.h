/*
 * Post-processing: the template that puts special tokens around one text or a
 * pair, and gives segment ids. TemplateProcessing, BertProcessing and the
 * default (texts end to end) are all the same list of pieces here.
 */
#ifndef ATT_TEXT_TEMPLATE_H
#define ATT_TEXT_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

#include "core/text/tokenizer.h"

enum att_piece_kind { ATT_PIECE_FIRST, ATT_PIECE_SECOND, ATT_PIECE_SPECIAL };

struct att_piece {
    enum att_piece_kind kind;
    int32_t id; /* of a special token */
    int32_t type_id;
};

enum { ATT_TEMPLATE_PIECES_MAX = 32 };

struct att_template {
    struct att_piece pieces[ATT_TEMPLATE_PIECES_MAX];
    size_t count, special_count;
};

/* False when the template is full. */
bool att_template_push(struct att_template *template, struct att_piece piece) ATT_MUST_USE;
/* [CLS] A [SEP] and [CLS] A [SEP] B [SEP], segments 0 and 1. */
void att_template_set_bert(struct att_template *single, struct att_template *pair, int32_t cls_id, int32_t sep_id);
/* <s> A </s> and <s> A </s> </s> B </s>, segment 0. */
void att_template_set_roberta(struct att_template *single, struct att_template *pair, int32_t cls_id, int32_t sep_id);
/* A and A B without special tokens, segments 0 and 1. */
void att_template_set_plain(struct att_template *single, struct att_template *pair);
/* The highest segment id. */
int32_t att_template_type_max(const struct att_template *template);

/* Contract of att_tokenizer_assemble. */
enum att_status att_template_assemble(const struct att_template *template, const struct att_token *a, size_t a_count,
                                      const struct att_token *b, size_t b_count, struct att_sequence *sequence,
                                      struct att_err *err) ATT_MUST_USE;

#endif
