/*
 * The encoder-decoder of Vaswani et al. 2017 with LayerNorm behind each
 * residual sum: the original Transformer, BART and Marian.
 *
 *   encoder:  x = word·scale + position [→ LayerNorm]
 *             a = LayerNorm(x + MHA(x));  x = LayerNorm(a + W2·act(W1·a))
 *   decoder:  y = word·scale + position [→ LayerNorm]
 *             a = LayerNorm(y + MHA(y, causal));  c = LayerNorm(a + MHA(a, memory))
 *             y = LayerNorm(c + W2·act(W1·c))
 *   logits = Wlm·y [+ bias]
 *
 * A family is its names, its positions and the brackets it takes; bart.c,
 * marian.c and transformer.c hold these as data.
 */
#ifndef ATT_ARCH_SEQ2SEQ_H
#define ATT_ARCH_SEQ2SEQ_H

#include "core/arch/arch.h"

enum {
    ATT_S2S_HIDDEN,
    ATT_S2S_QKV,
    ATT_S2S_ENCODER_INNER,
    ATT_S2S_DECODER_INNER,
    ATT_S2S_SOURCE_VOCAB,
    ATT_S2S_TARGET_VOCAB,
    ATT_S2S_POSITIONS, /* rows of learned positions */
    ATT_S2S_SEPARATE,  /* not 0: source and target words are two tables */
    ATT_S2S_SHARED,    /* not 0: they are one */
};

struct att_s2s_attention {
    struct att_linear query_key_value; /* self-attention: stacked; cross-attention: key|value alone */
    struct att_linear query;           /* cross-attention */
    struct att_linear output;
    struct att_norm norm;
};

struct att_s2s_inner {
    struct att_linear up, down;
    struct att_norm norm;
};

struct att_s2s_encoder_layer {
    struct att_s2s_attention self;
    struct att_s2s_inner inner;
};

struct att_s2s_decoder_layer {
    struct att_s2s_attention self, cross;
    struct att_s2s_inner inner;
};

enum att_s2s_positions {
    ATT_S2S_LEARNED,     /* tables, from row `first_position` on */
    ATT_S2S_HALVES,      /* sines, then cosines */
    ATT_S2S_INTERLEAVED, /* sine, cosine, sine, … */
};

struct att_s2s {
    struct att_table *shared, *source, *target, *source_position, *target_position;
    struct att_norm source_norm, target_norm; /* weight NULL: none */
    struct att_linear lm_head;
    float *logits_bias; /* NULL: none */
    struct att_mha encoder, decoder, cross;
    enum att_act act;
    enum att_s2s_positions positions;
    size_t first_position, encoder_inner, decoder_inner;
    float scale, eps;
};

/* Field names and constants of a family. */
struct att_s2s_family {
    const char *d_model, *encoder_layers, *decoder_layers, *encoder_heads, *decoder_heads, *encoder_inner,
        *decoder_inner, *act, *positions_field, *scale_embedding;
    enum att_act default_act;
    bool default_scale;
    float eps;
    enum att_s2s_positions positions;
    size_t first_position;
};

/* Sizes, attention and flags; the caller sets vocabularies, sets and classes. */
enum att_status att_s2s_configure(const struct att_s2s_family *family, const struct att_json *config,
                                  struct att_s2s *model, struct att_arch_info *info, struct att_err *err) ATT_MUST_USE;
/* Vocabulary dims: the target's, and whether the two are one table. */
void att_s2s_vocabularies(struct att_arch_info *info, size_t source, size_t target, bool shared);

struct att_s2s_buffers {
    float *x, *a, *context; /* [tokens][hidden] */
    float *wide;            /* [tokens][max(3 * hidden, inner)] */
    float *memory;          /* [tokens][hidden]: what the encoder answers */
    float *cross;           /* [tokens][2 * hidden] */
};

void att_s2s_plan(const void *state, const struct att_arch_info *info, const struct att_arch_limits *limits,
                  struct att_scratch *scratch, void *buffers);
void att_s2s_encode(const void *state, const void *layers, const struct att_arch_info *info,
                    const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                    struct att_arch_output *output);
void att_s2s_decode(const void *state, const void *layers, const struct att_arch_info *info,
                    const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                    struct att_arch_output *output);
void att_s2s_cross(const void *state, const void *layers, size_t layer, size_t n, const float *memory, float *out);
void att_s2s_logits(const void *state, const struct att_arch_info *info, struct att_team *team, size_t n,
                    const float *hidden, float *logits);

#define ATT_S2S_FUNCTIONS                                                                                              \
    .state_bytes = sizeof(struct att_s2s), .buffers_bytes = sizeof(struct att_s2s_buffers), .plan = att_s2s_plan,      \
    .forward = att_s2s_encode, .decode = att_s2s_decode, .cross = att_s2s_cross, .lm_logits = att_s2s_logits

#endif
