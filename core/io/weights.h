/*
 * The tensors of a checkpoint, whatever file format they came in. They are read
 * with pread into the caller's memory, widened to f32, and refused when not
 * finite; nothing is mapped.
 */
#ifndef ATT_IO_WEIGHTS_H
#define ATT_IO_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"
#include "core/io/blocks.h"
#include "core/io/dir.h"

enum { ATT_TENSOR_RANK_MAX = 8, ATT_SHARDS_MAX = 64 };

struct att_tensor {
    char *name;
    const char *dtype_name;              /* "F32", "I64", "Q4_K", … */
    const struct att_block_type *blocks; /* how its data widens to f32; NULL: it does not */
    size_t rank, shape[ATT_TENSOR_RANK_MAX];
    size_t count;           /* elements */
    uint64_t offset, bytes; /* in its shard's file */
    size_t shard;
    size_t interleaved_heads; /* > 0: rows of each head alternate between its two halves (GGUF of llama) */
    bool seeded;              /* its values come from a generator, see seeded.h */
    uint64_t seed;
    double base, amplitude;
    bool used; /* set by att_weights_find and kept for the report of unused tensors */
};

struct att_weights {
    struct att_file shards[ATT_SHARDS_MAX];
    char *shard_names[ATT_SHARDS_MAX];
    size_t n_shards;
    struct att_tensor *tensors; /* sorted by name */
    size_t n_tensors;
};

/* Opens `name` as the next shard. */
enum att_status att_weights_add_file(struct att_weights *weights, const struct att_dir *dir, const char *name,
                                     struct att_err *err) ATT_MUST_USE;
/* Room for n more tensors behind the last. */
enum att_status att_weights_reserve(struct att_weights *weights, size_t n, struct att_err *err) ATT_MUST_USE;
/* Sorts the tensors by name, and refuses a name that stands twice. */
enum att_status att_weights_sort(struct att_weights *weights, const char *file, struct att_err *err) ATT_MUST_USE;
void att_weights_close(struct att_weights *weights);
/* Moves the open files of `from` behind those of `weights`, which then has them in its digest; the tensors stay. */
enum att_status att_weights_keep_files(struct att_weights *weights, struct att_weights *from,
                                       struct att_err *err) ATT_MUST_USE;

/* NULL when there is none; marks it used. */
struct att_tensor *att_weights_find(struct att_weights *weights, const char *name);
/* All elements of the tensor as f32 into out[tensor->count]. ATT_EFORMAT names a tensor with NaN or infinity. */
enum att_status att_weights_read(const struct att_weights *weights, const struct att_tensor *tensor, float *out,
                                 struct att_err *err) ATT_MUST_USE;
/* The tensor's bytes as the file holds them into out[tensor->bytes]: those of a type that widens. Values are checked
 * as by att_weights_read. */
enum att_status att_weights_read_packed(const struct att_weights *weights, const struct att_tensor *tensor,
                                        uint8_t *out, struct att_err *err) ATT_MUST_USE;
/* The file that holds the tensor, for messages. */
const char *att_weights_file(const struct att_weights *weights, const struct att_tensor *tensor);
/* SHA-256 over the files in order. */
enum att_status att_weights_digest(const struct att_weights *weights, char ret_hex[65],
                                   struct att_err *err) ATT_MUST_USE;
/* "[384,1536]" for messages. */
void att_shape_text(size_t rank, const size_t *shape, char *text, size_t text_size);

#endif
