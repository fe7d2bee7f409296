/* The merges of a SentencePiece BPE model, which stores scores instead (transformers' generate_merges). */
#ifndef ATT_GGUF_MERGES_H
#define ATT_GGUF_MERGES_H

#include "core/gguf/file.h"

/* Writes ,"merges":[["a","b"],…]: every split of a token into two tokens, best score first. */
enum att_status att_gguf_put_merges(const struct att_gguf_text *tokens, const struct att_gguf_value *scores,
                                    struct att_jsonw *out, struct att_err *err) ATT_MUST_USE;

#endif
