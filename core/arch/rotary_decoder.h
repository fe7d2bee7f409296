/*
 * The decoder of Llama (Touvron et al. 2023) and its kin: RMSNorm before each
 * sub-layer, rotary positions, grouped heads, gated inner layers.
 *
 *   x = word
 *   every layer:  a = RMSNorm(x);  x = x + Wo·MHA(rope(Wq·a), rope(Wk·a), Wv·a)
 *                 a = RMSNorm(x);  x = x + Wd·(act(Wg·a)·Wu·a)
 *   h = RMSNorm(x);  logits = Wlm·h
 *
 * A family is its biases, norms of query and key, and windows; llama.c,
 * mistral.c, qwen2.c and qwen3.c hold these as data.
 */
#ifndef ATT_ARCH_ROTARY_DECODER_H
#define ATT_ARCH_ROTARY_DECODER_H

#include "core/arch/arch.h"
#include "core/ops/rope.h"

enum { ATT_ROTARY_LAYERS_MAX = 256 };

struct att_rotary_family {
    const char *class_name; /* "Llama", of LlamaForCausalLM */
    bool qkv_bias;          /* without attention_bias in the configuration */
    bool head_norms;        /* RMSNorm of every head's query and key */
    bool every_layer_local; /* sliding_window is every layer's; else layer_types and use_sliding_window say */
    bool tied;              /* what an absent tie_word_embeddings means */
};

struct att_rotary_layer {
    float *attention_norm, *mlp_norm, *query_norm, *key_norm;
    struct att_linear query, key_value, attention_output, gate, up, down;
};

struct att_rotary {
    struct att_table *word;
    float *final_norm;
    struct att_linear lm_head;
    struct att_mha mha[2]; /* all tokens, and a window */
    struct att_rope rope;
    uint8_t local[ATT_ROTARY_LAYERS_MAX];
    enum att_act act;
    bool head_norms;
    float eps;
};

struct att_rotary_buffers {
    float *x, *a;           /* [tokens][hidden] */
    float *query;           /* [tokens][heads * head_dim] */
    float *key_value;       /* [tokens][2 * kv heads * head_dim] */
    float *context;         /* [tokens][heads * head_dim] */
    float *cosines, *sines; /* [tokens][rope.dim / 2] */
};

enum { ATT_ROTARY_LAYER_SLOTS = 10 };
extern const struct att_slot att_rotary_layer_slots[ATT_ROTARY_LAYER_SLOTS];
extern const char *const att_rotary_aliases[][2];

enum att_status att_rotary_configure(const struct att_rotary_family *family, const struct att_json *config,
                                     struct att_rotary *model, struct att_arch_info *info,
                                     struct att_err *err) ATT_MUST_USE;
void att_rotary_plan(const void *state, const struct att_arch_info *info, const struct att_arch_limits *limits,
                     struct att_scratch *scratch, void *buffers);
void att_rotary_forward(const void *state, const void *layers, const struct att_arch_info *info,
                        const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                        struct att_arch_output *output);
void att_rotary_logits(const void *state, const struct att_arch_info *info, struct att_team *team, size_t n,
                       const float *hidden, float *logits);

/* The functions and names of an att_arch of this shape. */
#define ATT_ROTARY_FUNCTIONS                                                                                           \
    .prefix = "model.", .aliases = att_rotary_aliases, .state_bytes = sizeof(struct att_rotary),                       \
    .buffers_bytes = sizeof(struct att_rotary_buffers), .plan = att_rotary_plan, .forward = att_rotary_forward,        \
    .lm_logits = att_rotary_logits

#endif
