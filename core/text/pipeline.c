/* Added tokens of a tokenizer that is being loaded (see pipeline.h), the same for both file formats. */
#include "core/text/pipeline.h"

#include <string.h>

#include "core/base/mem.h"

static enum att_status set_id(struct att_tokenizer *tokenizer, const struct att_added_content *added, const char *field,
                              struct att_err *err)
{
    const struct att_vocab *model = &tokenizer->wordpiece.vocab;
    int32_t known = att_vocab_find(model, added->content, added->len);
    if (known < 0)
        known = att_vocab_find(&tokenizer->added, added->content, added->len);
    if (known == added->id)
        return ATT_OK;
    if (known >= 0)
        return att_err_set(err, ATT_EFORMAT, "%s.id: is %lld, expected %d, which '%.60s' has in the vocabulary", field,
                           (long long)added->id, (int)known, added->content);
    const char *other = att_tokenizer_token(tokenizer, (int32_t)added->id);
    if (other)
        return att_err_set(err, ATT_EFORMAT, "%s.id: is %lld, which '%.60s' has too", field, (long long)added->id,
                           other);
    return att_vocab_add(&tokenizer->added, added->content, added->len, (int32_t)added->id, err);
}

static enum att_status removed(const struct att_added_content *added, const char *field, struct att_err *err)
{
    return att_err_set(err, ATT_EFORMAT, "%s.content: is '%.60s', which the normalizer removes", field, added->content);
}

static enum att_status add_normalized(struct att_tokenizer *tokenizer, const struct att_added_content *added,
                                      const struct att_added_token *options, const char *field, struct att_err *err)
{
    struct att_normal normal;
    att_normal_init(&normal);
    enum att_status status = att_normalizer_run(&tokenizer->normalizer, added->content, 0, added->len, &normal, err);
    if (status == ATT_OK && normal.len == 0)
        status = removed(added, field, err);
    if (status == ATT_OK)
        status = att_added_push(&tokenizer->added_normalized, normal.bytes, normal.len, options, err);
    att_normal_finish(&normal);
    return status;
}

static enum att_status add_normalized_generally(struct att_tokenizer *tokenizer, const struct att_added_content *added,
                                                const struct att_added_token *options, const char *field,
                                                struct att_err *err)
{
    struct att_step_work work = {.match = NULL};
    const struct att_aligned *normal = NULL;
    enum att_status status =
        att_normalize(&tokenizer->general->normalizers, added->content, 0, added->len, &work, &normal, err);
    if (status == ATT_OK && normal->len == 0)
        status = removed(added, field, err);
    if (status == ATT_OK)
        status = att_added_push(&tokenizer->added_normalized, normal->bytes, normal->len, options, err);
    att_step_work_finish(&work);
    return status;
}

enum att_status att_tokenizer_add(struct att_tokenizer *tokenizer, const struct att_added_content *added,
                                  const char *field, struct att_err *err)
{
    if (added->len == 0)
        return ATT_OK; /* as the reference does */
    if (added->len > ATT_TOKEN_BYTES_MAX)
        return att_err_set(err, ATT_EFORMAT, "%s.content: has %zu bytes, expected at most %d", field, added->len,
                           ATT_TOKEN_BYTES_MAX);
    enum att_status status = set_id(tokenizer, added, field, err);
    if (status != ATT_OK)
        return status;
    const struct att_added_token options = {
        .id = (int32_t)added->id,
        .single_word = added->single_word,
        .lstrip = added->lstrip,
        .rstrip = added->rstrip,
        .special = added->special,
    };
    if (added->special)
        status = att_added_push(&tokenizer->specials, added->content, added->len, &options, err);
    if (status != ATT_OK)
        return status;
    if (!added->normalized)
        return att_added_push(&tokenizer->added_original, added->content, added->len, &options, err);
    return tokenizer->general ? add_normalized_generally(tokenizer, added, &options, field, err)
                              : add_normalized(tokenizer, added, &options, field, err);
}

static enum att_status finish_set(struct att_tokenizer *tokenizer, struct att_added_set *set, unsigned flags,
                                  const char *field, struct att_err *err)
{
    int32_t id;
    if (!att_added_sort(set, &id))
        return att_err_set(err, ATT_EFORMAT, "%s: '%.60s' is there twice, expected once", field,
                           att_tokenizer_token(tokenizer, id));
    for (size_t i = 0; i < set->count; i++) {
        const struct att_added_token *token = &set->tokens[i];
        const char *content = att_tokenizer_token(tokenizer, token->id);
        /* The decoder knows special tokens by their text, and misses one that normalizing changes. */
        bool same = strlen(content) == token->len && memcmp(content, token->pattern, token->len) == 0;
        tokenizer->id_flags[token->id] |= (uint8_t)(flags | (token->special && same ? ATT_ID_SPECIAL : 0));
    }
    return ATT_OK;
}

enum att_status att_tokenizer_finish_added(struct att_tokenizer *tokenizer, const char *field, struct att_err *err)
{
    size_t model_ids = tokenizer->wordpiece.vocab.entry_count, added_ids = tokenizer->added.entry_count;
    tokenizer->id_flags = att_mem_calloc(model_ids > added_ids ? model_ids : added_ids, 1);
    if (!tokenizer->id_flags)
        return att_err_set(err, ATT_ENOMEM, "out of memory for added tokens");
    enum att_status status = finish_set(tokenizer, &tokenizer->added_original, 0, field, err);
    if (status == ATT_OK)
        status = finish_set(tokenizer, &tokenizer->added_normalized, ATT_ID_NORMALIZED, field, err);
    if (status == ATT_OK)
        status = finish_set(tokenizer, &tokenizer->specials, 0, field, err);
    return status;
}
