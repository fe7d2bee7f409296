/*
 * Any bytes as a text for WordPiece, BPE (of bytes, and with bytes to fall back
 * on) and Unigram: ids of the vocabulary, offsets inside the text, and ids that
 * can be written back. The first byte chooses the tokenizer and the flags.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/text/tokenizer.h"
#include "fuzz/target.h"

static const char *const paths[] = {
    "tests/golden/tokenizers/wordpiece-small/tokenizer.json", "tests/golden/tokenizers/bpe-gpt2/tokenizer.json",
    "tests/golden/tokenizers/bpe-llama2/tokenizer.json", "fuzz/corpus/tokenizer/unigram.json"};
enum { TOKENIZERS = sizeof paths / sizeof *paths, FILE_MAX = 1 << 20 };

static struct att_tokenizer *tokenizers[TOKENIZERS];

static void start(void)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    char *json = malloc(FILE_MAX), path[4096];
    for (size_t i = 0; i < TOKENIZERS; i++) {
        snprintf(path, sizeof path, "%s/%s", root ? root : ".", paths[i]);
        FILE *file = fopen(path, "rb");
        size_t len = file && json ? fread(json, 1, FILE_MAX, file) : 0;
        struct att_err err = {.message = "cannot be read"};
        if (len == 0 || att_tokenizer_load_text(json, len, 0, 0, &tokenizers[i], &err) != ATT_OK) {
            fprintf(stderr, "%s: %s\n", path, err.message);
            exit(1);
        }
        fclose(file);
    }
    free(json);
}

static void assemble(const struct att_tokenizer *tokenizer, const struct att_tokens *tokens)
{
    size_t half = tokens->count / 2;
    for (int pair = 0; pair < 2; pair++) {
        size_t need = tokens->count + att_tokenizer_special_count(tokenizer, pair);
        const struct att_token *b = pair ? tokens->items + half : NULL;
        size_t a_count = pair ? half : tokens->count, b_count = tokens->count - a_count;
        int32_t *ids = malloc((need + 1) * sizeof *ids);
        struct att_sequence sequence = {.ids = ids, .capacity = need};
        check(ids != NULL);
        check(att_tokenizer_assemble(tokenizer, tokens->items, a_count, b, b_count, &sequence, NULL) == ATT_OK);
        check(sequence.len == need);
        sequence = (struct att_sequence){.ids = ids, .capacity = need > 0 ? need - 1 : 0};
        if (need > 0)
            check(att_tokenizer_assemble(tokenizer, tokens->items, a_count, b, b_count, &sequence, NULL) == ATT_ELIMIT);
        free(ids);
    }
}

static void decode(const struct att_tokenizer *tokenizer, const struct att_tokens *tokens, bool skip_special)
{
    int32_t *ids = malloc((tokens->count + 1) * sizeof *ids);
    char *text = NULL;
    size_t len = 0;
    check(ids != NULL);
    for (size_t i = 0; i < tokens->count; i++)
        ids[i] = tokens->items[i].id;
    check(att_tokenizer_decode(tokenizer, ids, tokens->count, skip_special, &text, &len, NULL) == ATT_OK);
    check(text[len] == '\0' && att_utf8_valid(text, len));
    att_mem_free(text);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct att_tokens tokens;
    if (size == 0)
        return 0;
    if (!tokenizers[0])
        start();
    unsigned choice = (uint8_t)(bytes[0] - 'a'), flags = choice / TOKENIZERS % 2 ? ATT_ENCODE_SPECIAL_AS_TEXT : 0;
    const struct att_tokenizer *tokenizer = tokenizers[choice % TOKENIZERS];
    const char *text = (const char *)bytes + 1;
    size_t len = size - 1;
    att_tokens_init(&tokens);
    enum att_status status = att_tokenizer_encode(tokenizer, text, len, flags, 0, &tokens, NULL);
    check(status == (att_utf8_valid(text, len) ? ATT_OK : ATT_EINVAL));
    if (status == ATT_OK) {
        for (size_t i = 0; i < tokens.count; i++) {
            const struct att_token *token = &tokens.items[i];
            check(token->id >= 0 && (size_t)token->id < att_tokenizer_vocab_size(tokenizer));
            check(token->start <= token->end && token->end <= len);
            check(att_tokenizer_token(tokenizer, token->id) != NULL);
        }
        assemble(tokenizer, &tokens);
        decode(tokenizer, &tokens, choice / TOKENIZERS / 2 % 2);
        if (tokens.count > 1)
            check(att_tokenizer_encode(tokenizer, text, len, flags, tokens.count - 1, &tokens, NULL) == ATT_ELIMIT);
    }
    att_tokens_finish(&tokens);
    return 0;
}
