/* Any bytes as a GGUF file: refused, or a model whose tokenizer gives ids within the table. */
#include <stdlib.h>
#include <string.h>

#include "core/attend.h"
#include "fuzz/directory.h"
#include "fuzz/target.h"

static void encode(const struct att_model *model)
{
    static const char text[] = "ab caf\xc3\xa9 \xe4\xb8\xad </s> x";
    const struct att_tokenizer *tokenizer = att_model_tokenizer(model);
    struct att_tokens tokens;
    if (!tokenizer)
        return;
    att_tokens_init(&tokens);
    if (att_tokenizer_encode(tokenizer, text, strlen(text), 0, 0, &tokens, NULL) == ATT_OK)
        for (size_t i = 0; i < tokens.count; i++)
            if (tokens.items[i].id < 0 || (size_t)tokens.items[i].id >= att_model_info(model)->vocab_size)
                abort();
    att_tokens_finish(&tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct att_dir dir = fuzz_directory("model.gguf", bytes, size);
    struct att_model *model = NULL;
    if (att_init(NULL, NULL) != ATT_OK)
        exit(1);
    if (att_model_load(fuzz_directory_path(), &(struct att_model_options){.dtype = ATT_F32}, &model, NULL) == ATT_OK)
        encode(model);
    att_model_unref(model);
    att_dir_close(&dir);
    return 0;
}
