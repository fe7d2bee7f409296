/*
 * GGUF files (versions 2 and 3, little-endian): one file with the weights, the hyperparameters and the tokenizer.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 *   | "GGUF" | version | number of tensors | of metadata | key, type, value … | name, dims, type, offset … | data |
 *
 * It is read as the Hugging Face checkpoint that it was made from: tensors under the names of the architecture,
 * metadata as the texts of config.json, tokenizer.json and tokenizer_config.json.
 *
 * Everything is checked against the file before memory is taken for it: counts, lengths, types, offsets, overlaps.
 */
#ifndef ATT_GGUF_GGUF_H
#define ATT_GGUF_GGUF_H

#include "core/base/json.h"
#include "core/io/dir.h"
#include "core/io/weights.h"

struct att_gguf;

/* Whether a directory is served from its one GGUF file, in place of a config.json; its name. */
bool att_gguf_in(const struct att_dir *dir, char name[ATT_FILE_NAME_MAX]);

/* ATT_EFORMAT and ATT_EUNSUPPORTED: "FILE: KEY or tensor: what, expected what". Keeps nothing of dir. */
enum att_status att_gguf_open(const struct att_dir *dir, const char *file, struct att_gguf **ret_gguf,
                              struct att_err *err) ATT_MUST_USE;
void att_gguf_close(struct att_gguf *gguf);

/* The tensors, under Hugging Face's names where the architecture is one of ours; the file is opened once more. */
enum att_status att_gguf_weights(const struct att_gguf *gguf, const struct att_dir *dir,
                                 struct att_weights *ret_weights, struct att_err *err) ATT_MUST_USE;

/* Texts, NUL-terminated (att_mem_free); ATT_ENOTFOUND: the file has no tokenizer. Llama 3's frequencies, a tensor in
 * GGUF, become "rope_freq_factors". */
enum att_status att_gguf_config(const struct att_gguf *gguf, const struct att_weights *weights, char **ret_text,
                                size_t *ret_len, struct att_err *err) ATT_MUST_USE;
enum att_status att_gguf_tokenizer(const struct att_gguf *gguf, char **ret_text, size_t *ret_len,
                                   struct att_err *err) ATT_MUST_USE;
enum att_status att_gguf_tokenizer_config(const struct att_gguf *gguf, char **ret_text, size_t *ret_len,
                                          struct att_err *err) ATT_MUST_USE;

#endif
