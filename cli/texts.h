/* Texts of a JSONL file, {"text":…} a line, tokenised for one model. */
#ifndef CLI_TEXTS_H
#define CLI_TEXTS_H

#include "core/attend.h"

struct cli_text {
    char *bytes;
    size_t len, count;
    int32_t *ids; /* [count], special tokens included, cut to the model's length */
};

/* Reads and tokenises all lines. The message names file and line. Free with cli_texts_free. */
enum att_status cli_texts_read(const struct att_model *model, const char *path, struct cli_text **ret_texts,
                               size_t *ret_n_texts, struct att_err *err) ATT_MUST_USE;
void cli_texts_free(struct cli_text *texts, size_t n_texts);
/* Tokenises once more, into ids[capacity]. */
enum att_status cli_text_encode(const struct att_model *model, const struct cli_text *text, struct att_tokens *tokens,
                                int32_t *ids, size_t capacity, size_t *ret_count, struct att_err *err) ATT_MUST_USE;

#endif
