/* Words through the model; a token's place in its word becomes a place in the original. */
#include "core/text/general.h"

#include "core/base/mem.h"
#include "core/text/wordpiece.h"

struct att_general *att_general_create(void)
{
    struct att_general *general = att_mem_calloc(1, sizeof *general);
    if (general)
        general->unk_id = -1;
    return general;
}

void att_general_destroy(struct att_general *general)
{
    if (!general)
        return;
    att_steps_finish(&general->normalizers);
    att_steps_finish(&general->pre_tokenizers);
    att_steps_finish(&general->decoders);
    att_bpe_finish(&general->bpe);
    att_unigram_finish(&general->unigram);
    att_mem_free(general);
}

void att_general_work_destroy(struct att_general_work *work)
{
    if (!work)
        return;
    att_step_work_finish(&work->steps);
    att_bpe_work_finish(&work->bpe);
    att_unigram_work_finish(&work->unigram);
    att_mem_free(work);
}

static enum att_status encode_word(const struct att_general *general, const struct att_vocab *vocab, const char *word,
                                   size_t len, struct att_general_work *work, struct att_tokens *tokens,
                                   struct att_err *err)
{
    if (general->model == ATT_MODEL_BPE)
        return att_bpe_encode(&general->bpe, word, len, &work->bpe, tokens, err);
    if (general->model == ATT_MODEL_UNIGRAM)
        return att_unigram_encode(&general->unigram, word, len, &work->unigram, tokens, err);
    struct att_token token = {att_vocab_find(vocab, word, len), 0, (uint32_t)len};
    token.id = token.id < 0 ? general->unk_id : token.id;
    if (token.id < 0)
        return att_err_set(err, ATT_EINVAL, "the text has a word that no token stands for");
    return att_tokens_push(tokens, token, err);
}

enum att_status att_general_encode(const struct att_general *general, const struct att_vocab *vocab,
                                   const struct att_aligned *normal, size_t begin, size_t end, uint32_t origin,
                                   size_t tokens_max, struct att_general_work *work, struct att_tokens *tokens,
                                   struct att_err *err)
{
    const struct att_pieces *pieces = NULL;
    enum att_status status =
        att_pretokenize(&general->pre_tokenizers, normal, begin, end, origin, &work->steps, &pieces, err);
    for (size_t p = 0; status == ATT_OK && p < pieces->count; p++) {
        const struct att_piece_span *piece = &pieces->items[p];
        size_t first = tokens->count;
        status = encode_word(general, vocab, pieces->text.bytes + piece->begin, piece->end - piece->begin, work, tokens,
                             err);
        for (size_t i = first; status == ATT_OK && i < tokens->count; i++) {
            struct att_token *token = &tokens->items[i];
            token->start = pieces->text.starts[piece->begin + token->start];
            token->end = pieces->text.ends[piece->begin + token->end - 1];
        }
        if (status == ATT_OK)
            status = att_tokens_check(tokens, tokens_max, err);
    }
    return status;
}
