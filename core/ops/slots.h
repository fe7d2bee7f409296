/*
 * Weight slots: an architecture lists its tensors as a table, name pattern →
 * member with shape, and this module fills the members from a source.
 *
 * In a pattern '#' stands for the layer number and '*' for "weight" or "bias".
 * A linear slot may stack up to three tensors as one (query, key, value), or
 * take a part of the rows of one (torch's in_proj, ModernBERT's Wi).
 */
#ifndef ATT_OPS_SLOTS_H
#define ATT_OPS_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/status.h"
#include "core/ops/linear.h"
#include "core/ops/table.h"

/* Where tensors come from: a checkpoint, or a base checkpoint with an adapter merged in. */
struct att_source {
    void *context;
    bool (*has)(void *context, const char *name);
    /* Tensor `name` of that shape as f32, row-major; trailing dimensions of 1 are ignored. ATT_EFORMAT names a missing
     * or misshapen one. */
    enum att_status (*read)(void *context, const char *name, size_t rank, const size_t *shape, float *out,
                            struct att_err *err);
    /* A new reference to a table, shared where the source shares it; packed where it is only looked up. */
    enum att_status (*table)(void *context, const char *name, size_t rows, size_t cols, bool looked_up,
                             struct att_table **ret_table, struct att_err *err);
};

struct att_norm {
    float *weight, *bias; /* [n] */
};

enum att_slot_kind {
    ATT_SLOT_LINEAR,      /* struct att_linear: weight [rows][cols] and bias [rows] */
    ATT_SLOT_NORM,        /* struct att_norm: weight and bias [rows] */
    ATT_SLOT_TABLE,       /* struct att_table *: [rows][cols]; the pattern has no '*' */
    ATT_SLOT_VECTOR,      /* float *: [rows]; the pattern has no '*' */
    ATT_SLOT_PROJECTED,   /* struct att_projected *: derived */
    ATT_SLOT_CONVOLUTION, /* struct att_linear [rows][kernel * cols] of a weight [rows][cols][kernel], and bias [rows]
                           */
};

/* Of a linear or norm slot's bias. */
enum att_slot_bias { ATT_BIAS, ATT_NO_BIAS, ATT_BIAS_IF_DIM };
/* There when dims[d] is not 0. */
#define ATT_BIAS_IF(d) (ATT_BIAS_IF_DIM + (d))

#define ATT_WHEN(d) (1 + (d))

struct att_slot {
    enum att_slot_kind kind;
    size_t offset;              /* of the member in the struct */
    const char *patterns[3];    /* stacked in order; NULL behind the last */
    unsigned rows, cols;        /* indexes into dims: of one tensor, for a part: of the part */
    unsigned kernel;            /* of a convolution: index into dims */
    unsigned when;              /* ATT_WHEN(d): the slot is there when dims[d] is not 0; else the member stays zero */
    bool optional;              /* absent: the member stays zero */
    bool from_second;           /* layer 0 has no such tensor: the member stays zero */
    bool derived;               /* not in the file: the architecture's prepare makes it */
    bool transposed;            /* a linear slot's tensor is [cols][rows] */
    bool looked_up;             /* a table that is only looked up, row by row: it may stay as the file holds it */
    unsigned bias;              /* enum att_slot_bias; a norm without one gets zeros */
    unsigned part, span, parts; /* rows part..part+span of a tensor with `parts` times `rows` rows; parts 0: all */
};

/* One row of a slot table: the member, its dims, and the name pattern (for a linear slot up to three, stacked). */
#define ATT_LINEAR(type, member, r, c, ...)                                                                            \
    {                                                                                                                  \
        .kind = ATT_SLOT_LINEAR, .offset = offsetof(type, member), .patterns = {__VA_ARGS__}, .rows = (r), .cols = (c) \
    }
#define ATT_LINEAR_BIASED(type, member, r, c, has_bias, ...)                                                           \
    {                                                                                                                  \
        .kind = ATT_SLOT_LINEAR, .offset = offsetof(type, member), .patterns = {__VA_ARGS__}, .rows = (r),             \
        .cols = (c), .bias = (has_bias)                                                                                \
    }
#define ATT_LINEAR_WHEN(d, type, member, r, c, has_bias, ...)                                                          \
    {                                                                                                                  \
        .kind = ATT_SLOT_LINEAR, .offset = offsetof(type, member), .patterns = {__VA_ARGS__}, .rows = (r),             \
        .cols = (c), .bias = (has_bias), .when = ATT_WHEN(d)                                                           \
    }
#define ATT_LINEAR_TRANSPOSED(type, member, r, c, pattern)                                                             \
    {                                                                                                                  \
        .kind = ATT_SLOT_LINEAR, .offset = offsetof(type, member), .patterns = {pattern}, .rows = (r), .cols = (c),    \
        .transposed = true                                                                                             \
    }
#define ATT_LINEAR_PART(type, member, r, c, pattern, first, count, total)                                              \
    ATT_LINEAR_PART_BIASED(type, member, r, c, ATT_BIAS, pattern, first, count, total)
#define ATT_LINEAR_PART_BIASED(type, member, r, c, has_bias, pattern, first, count, total)                             \
    {                                                                                                                  \
        .kind = ATT_SLOT_LINEAR, .offset = offsetof(type, member), .patterns = {pattern}, .rows = (r), .cols = (c),    \
        .bias = (has_bias), .part = (first), .span = (count), .parts = (total)                                         \
    }
#define ATT_NORM(type, member, r, pattern)                                                                             \
    {                                                                                                                  \
        .kind = ATT_SLOT_NORM, .offset = offsetof(type, member), .patterns = {pattern}, .rows = (r)                    \
    }
#define ATT_NORM_BIASED(type, member, r, has_bias, pattern)                                                            \
    {                                                                                                                  \
        .kind = ATT_SLOT_NORM, .offset = offsetof(type, member), .patterns = {pattern}, .rows = (r),                   \
        .bias = (has_bias)                                                                                             \
    }
#define ATT_TABLE(type, member, r, c, pattern)                                                                         \
    {                                                                                                                  \
        .kind = ATT_SLOT_TABLE, .offset = offsetof(type, member), .patterns = {pattern}, .rows = (r), .cols = (c)      \
    }
/* Words: a table that is only looked up. */
#define ATT_WORDS(type, member, r, c, pattern)                                                                         \
    {                                                                                                                  \
        .kind = ATT_SLOT_TABLE, .offset = offsetof(type, member), .patterns = {pattern}, .rows = (r), .cols = (c),     \
        .looked_up = true                                                                                              \
    }
#define ATT_VECTOR(type, member, r, pattern)                                                                           \
    {                                                                                                                  \
        .kind = ATT_SLOT_VECTOR, .offset = offsetof(type, member), .patterns = {pattern}, .rows = (r)                  \
    }

/* dtype: of the linear layers, whose weights go into blocks of `pages`. */
enum att_status att_slots_load(const struct att_slot *slots, size_t n_slots, void *target, size_t layer,
                               const size_t *dims, enum att_dtype dtype, const struct att_source *source,
                               struct att_pages *pages, struct att_err *err) ATT_MUST_USE;
void att_slots_finish(const struct att_slot *slots, size_t n_slots, void *target);
/* The largest workspace that one of the linear layers needs. */
size_t att_slots_space(const struct att_slot *slots, size_t n_slots, const void *target);
/* Memory that the slots would hold with their linear layers in that dtype, tables not counted. */
size_t att_slots_bytes_as(const struct att_slot *slots, size_t n_slots, const void *target, const size_t *dims,
                          enum att_dtype dtype);
/* Memory held by the slots, tables not counted. */
size_t att_slots_bytes(const struct att_slot *slots, size_t n_slots, const void *target, const size_t *dims);

#endif
