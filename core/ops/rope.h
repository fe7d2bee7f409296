/*
 * Rotary position embeddings (Su et al. 2021), rotating the first half of a
 * head's dimensions against the second, with the scalings in use: default,
 * linear, dynamic NTK, YaRN (Peng et al. 2023) and Llama 3's.
 */
#ifndef ATT_OPS_ROPE_H
#define ATT_OPS_ROPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ATT_ROPE_HALF_MAX = 256 };

enum att_rope_kind { ATT_ROPE_DEFAULT, ATT_ROPE_LINEAR, ATT_ROPE_DYNAMIC, ATT_ROPE_YARN, ATT_ROPE_LLAMA3 };

struct att_rope_scaling {
    enum att_rope_kind kind;
    double factor, original_max; /* original_max: tokens of the training */
    double beta_fast, beta_slow, attention_factor;
    bool truncate;
    double low_freq_factor, high_freq_factor;
};

struct att_rope {
    size_t dim; /* rotated dimensions of a head, even, at most 2 * ATT_ROPE_HALF_MAX */
    double base;
    struct att_rope_scaling scaling;
    float inverse[ATT_ROPE_HALF_MAX]; /* inverse frequencies */
    float attention_factor;           /* of cosine and sine */
};

/* Fills inverse and attention_factor from dim, base and scaling. */
void att_rope_init(struct att_rope *rope);
/* Cosines and sines [n][dim / 2] of the positions first .. first + n of one sequence of first + n tokens. */
void att_rope_angles(const struct att_rope *rope, size_t first, size_t n, float *cosines, float *sines);
/* The same for packed sequences; sequence s begins at position offsets[s] (NULL: 0). */
void att_rope_angles_packed(const struct att_rope *rope, const uint32_t *cu_seqlens, const uint32_t *offsets,
                            size_t n_seqs, float *cosines, float *sines);
/* Rotates x [n][n_heads * head_dim], row stride ld, in place. */
void att_rope_apply(const struct att_rope *rope, size_t n, size_t n_heads, size_t head_dim, const float *cosines,
                    const float *sines, float *x, size_t ld);

#endif
