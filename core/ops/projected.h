/*
 * The first linear layer of an encoder, looked up instead of multiplied. It takes
 * LayerNorm(word + position + segment), which but for one number a token is linear
 * in each of the three:
 *
 *   W·LayerNorm(w + p + s) + b = r · (W·γw' + W·γp' + W·γs') + (W·β + b)
 *
 * where x' is x less its mean, γ and β are the norm's, and r = 1/sqrt(variance + eps)
 * of the sum. Positions and segments are multiplied when the model is loaded; a
 * word when a text first has it, and kept for others as long as there is room. A
 * row has the same bits kept or not, so results do not depend on what came before.
 *
 * Thread safe once created: contexts that compute at the same time share it.
 */
#ifndef ATT_OPS_PROJECTED_H
#define ATT_OPS_PROJECTED_H

#include <stdbool.h>

#include "core/ops/linear.h"
#include "core/ops/norm.h"
#include "core/ops/table.h"

struct att_projected;

/* What outlives it: the layer, the norm's vectors and the tables of cols == linear->k. */
struct att_projected_parts {
    const struct att_linear *linear;
    const struct att_norm *norm;
    const struct att_table *word, *position, *segment; /* segment NULL: none */
    bool rounded;                                      /* results are bfloat16, of a gemm that rounds */
};

/* Tokens begin .. of a batch, of which every array has the first. */
struct att_projected_call {
    size_t m;
    const int32_t *ids, *positions, *type_ids; /* type_ids NULL: zeros; without segments they are not looked at */
    const float *scales;                       /* r of each */
    void *y;                                   /* [m][n]: f32, or bfloat16 where parts.rounded */
    /* workspace */
    const void **rows; /* [m] */
    float *input;      /* [m][k] */
    void *products;    /* [m][n] f32 */
};

enum att_status att_projected_create(const struct att_projected_parts *parts, struct att_projected **ret_projected,
                                     struct att_err *err) ATT_MUST_USE;
void att_projected_destroy(struct att_projected *projected); /* NULL is allowed */
/* The team multiplies words that were not kept; its workspace is att_linear_space(linear). */
void att_projected_run(struct att_projected *projected, struct att_team *team, const struct att_projected_call *call);
/* Memory of all but the words, which grow to ATT_PROJECTED_WORDS_BYTES at most. */
size_t att_projected_bytes(const struct att_projected *projected);

enum { ATT_PROJECTED_WORDS_BYTES = 16 << 20 };

#endif
