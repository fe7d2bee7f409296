/* The tokenizer of a model directory: its own files, or the metadata of a GGUF file. */
#include <string.h>

#include "core/attend.h"
#include "core/base/mem.h"
#include "core/gguf/gguf.h"

enum att_status att_tokenizer_open(const struct att_dir *dir, size_t vocab_rows, size_t type_rows,
                                   struct att_tokenizer **ret_tokenizer, struct att_err *err)
{
    char name[ATT_FILE_NAME_MAX];
    struct att_gguf *gguf = NULL;
    char *text = NULL;
    size_t len = 0;
    if (att_tokenizer_in(dir) || !att_dir_find(dir, ".gguf", name))
        return att_tokenizer_load(dir, vocab_rows, type_rows, ret_tokenizer, err);
    enum att_status status = att_gguf_open(dir, name, &gguf, err);
    if (status == ATT_OK)
        status = att_gguf_tokenizer(gguf, &text, &len, err);
    if (status == ATT_OK && (status = att_tokenizer_load_text(text, len, vocab_rows, type_rows, ret_tokenizer, err)))
        att_err_prefix(err, "%s", name);
    att_mem_free(text);
    att_gguf_close(gguf);
    return status;
}
