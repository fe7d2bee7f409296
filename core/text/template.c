/* Filling a template with tokens (see template.h). */
#include "core/text/template.h"

#include <assert.h>

#include "core/base/mem.h"

bool att_template_push(struct att_template *template, struct att_piece piece)
{
    if (template->count == ATT_TEMPLATE_PIECES_MAX)
        return false;
    template->pieces[template->count++] = piece;
    template->special_count += piece.kind == ATT_PIECE_SPECIAL;
    return true;
}

void att_template_set_bert(struct att_template *single, struct att_template *pair, int32_t cls_id, int32_t sep_id)
{
    const struct att_piece cls = {ATT_PIECE_SPECIAL, cls_id, 0}, sep = {ATT_PIECE_SPECIAL, sep_id, 0};
    const struct att_piece second_sep = {ATT_PIECE_SPECIAL, sep_id, 1};
    const struct att_piece first = {ATT_PIECE_FIRST, 0, 0}, second = {ATT_PIECE_SECOND, 0, 1};
    *single = (struct att_template){.pieces = {cls, first, sep}, .count = 3, .special_count = 2};
    *pair = (struct att_template){.pieces = {cls, first, sep, second, second_sep}, .count = 5, .special_count = 3};
}

void att_template_set_roberta(struct att_template *single, struct att_template *pair, int32_t cls_id, int32_t sep_id)
{
    const struct att_piece cls = {ATT_PIECE_SPECIAL, cls_id, 0}, sep = {ATT_PIECE_SPECIAL, sep_id, 0};
    const struct att_piece first = {ATT_PIECE_FIRST, 0, 0}, second = {ATT_PIECE_SECOND, 0, 0};
    *single = (struct att_template){.pieces = {cls, first, sep}, .count = 3, .special_count = 2};
    *pair = (struct att_template){.pieces = {cls, first, sep, sep, second, sep}, .count = 6, .special_count = 4};
}

void att_template_set_plain(struct att_template *single, struct att_template *pair)
{
    const struct att_piece first = {ATT_PIECE_FIRST, 0, 0}, second = {ATT_PIECE_SECOND, 0, 1};
    *single = (struct att_template){.pieces = {first}, .count = 1};
    *pair = (struct att_template){.pieces = {first, second}, .count = 2};
}

int32_t att_template_type_max(const struct att_template *template)
{
    int32_t max = 0;
    for (size_t i = 0; i < template->count; i++)
        if (template->pieces[i].type_id > max)
            max = template->pieces[i].type_id;
    return max;
}

static void put(struct att_sequence *sequence, struct att_token token, int32_t type_id, int text_index)
{
    size_t at = sequence->len++;
    if (sequence->ids)
        sequence->ids[at] = token.id;
    if (sequence->type_ids)
        sequence->type_ids[at] = type_id;
    if (sequence->starts)
        sequence->starts[at] = token.start;
    if (sequence->ends)
        sequence->ends[at] = token.end;
    if (sequence->special)
        sequence->special[at] = text_index < 0;
    if (sequence->text_index)
        sequence->text_index[at] = (int8_t)text_index;
}

enum att_status att_template_assemble(const struct att_template *template, const struct att_token *a, size_t a_count,
                                      const struct att_token *b, size_t b_count, struct att_sequence *sequence,
                                      struct att_err *err)
{
    assert((a || a_count == 0) && (b || b_count == 0));
    size_t len;
    if (!att_size_add(a_count, b_count, &len) || !att_size_add(len, template->special_count, &len))
        len = SIZE_MAX;
    if (len > sequence->capacity)
        return att_err_limit(err, NULL, sequence->capacity, len, "the text has %zu tokens, expected at most %zu", len,
                             sequence->capacity);
    sequence->len = 0;
    for (size_t i = 0; i < template->count; i++) {
        const struct att_piece *piece = &template->pieces[i];
        switch (piece->kind) {
        case ATT_PIECE_SPECIAL:
            put(sequence, (struct att_token){piece->id, 0, 0}, piece->type_id, -1);
            break;
        case ATT_PIECE_FIRST:
            for (size_t j = 0; j < a_count; j++)
                put(sequence, a[j], piece->type_id, 0);
            break;
        case ATT_PIECE_SECOND:
            for (size_t j = 0; j < b_count; j++)
                put(sequence, b[j], piece->type_id, 1);
            break;
        }
    }
    return ATT_OK;
}
