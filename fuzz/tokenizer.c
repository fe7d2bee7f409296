/* Any bytes as tokenizer.json: refused, or texts can be encoded with ids within the table. */
#include <stdlib.h>
#include <string.h>

#include "core/text/tokenizer.h"
#include "fuzz/directory.h"
#include "fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char text[] = "Shares rose 5% caf\xc3\xa9 \xe4\xb8\xad\xe6\x96\x87 [SEP] x";
    enum { ROWS = 2000 };
    struct att_dir dir = fuzz_directory("tokenizer.json", bytes, size);
    struct att_tokenizer *tokenizer = NULL;
    struct att_tokens tokens;
    if (att_tokenizer_load(&dir, ROWS, 2, &tokenizer, NULL) == ATT_OK) {
        att_tokens_init(&tokens);
        if (att_tokenizer_encode(tokenizer, text, strlen(text), 0, 0, &tokens, NULL) == ATT_OK)
            for (size_t i = 0; i < tokens.count; i++)
                if (tokens.items[i].id < 0 || tokens.items[i].id >= ROWS || tokens.items[i].end > strlen(text))
                    abort();
        att_tokens_finish(&tokens);
        att_tokenizer_destroy(tokenizer);
    }
    att_dir_close(&dir);
    return 0;
}
