/*
 * Safetensors files: one, or shards named by model.safetensors.index.json.
 *
 *   | u64 little-endian: header length N | N bytes of JSON | tensor data |
 *   header: {"name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},…,"__metadata__":{…}}
 *
 * Everything is checked against the file before any memory is taken for data:
 * dtypes, shapes, products without overflow, offsets without holes, overlaps or
 * trailing bytes, no name twice. Data is read with pread into the caller's
 * memory, widened to f32, and refused when not finite; nothing is mapped.
 */
#ifndef ATT_IO_SAFETENSORS_H
#define ATT_IO_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"
#include "core/io/dir.h"

enum { ATT_TENSOR_RANK_MAX = 8, ATT_SHARDS_MAX = 64 };

enum att_tensor_dtype { ATT_TENSOR_F32, ATT_TENSOR_F16, ATT_TENSOR_BF16, ATT_TENSOR_OTHER };

struct att_tensor {
    char *name;
    enum att_tensor_dtype dtype;
    const char *dtype_name; /* "F32", "I64", … */
    size_t rank, shape[ATT_TENSOR_RANK_MAX];
    size_t count;           /* elements */
    uint64_t offset, bytes; /* in its shard's file */
    size_t shard;
    bool used; /* set by att_weights_find and kept for the report of unused tensors */
};

struct att_weights {
    struct att_file shards[ATT_SHARDS_MAX];
    char *shard_names[ATT_SHARDS_MAX];
    size_t n_shards;
    struct att_tensor *tensors; /* sorted by name */
    size_t n_tensors;
};

/* Opens `single` ("model.safetensors") or, when it is absent, `single`.index.json and its shards. */
enum att_status att_weights_open(const struct att_dir *dir, const char *single, struct att_weights *ret_weights,
                                 struct att_err *err) ATT_MUST_USE;
void att_weights_close(struct att_weights *weights);
/* NULL when there is none; marks it used. */
struct att_tensor *att_weights_find(struct att_weights *weights, const char *name);
/* All elements of the tensor as f32 into out[tensor->count]. ATT_EFORMAT names a tensor with NaN or infinity. */
enum att_status att_weights_read(const struct att_weights *weights, const struct att_tensor *tensor, float *out,
                                 struct att_err *err) ATT_MUST_USE;
/* The file that holds the tensor, for messages. */
const char *att_weights_file(const struct att_weights *weights, const struct att_tensor *tensor);
/* SHA-256 over the files in order. */
enum att_status att_weights_digest(const struct att_weights *weights, char ret_hex[65],
                                   struct att_err *err) ATT_MUST_USE;
/* "[384,1536]" for messages. */
void att_shape_text(size_t rank, const size_t *shape, char *text, size_t text_size);

#endif
