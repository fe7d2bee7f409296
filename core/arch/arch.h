/*
 * What an architecture family provides: its config fields and weight slots as
 * tables, its scratch buffers, and one forward function that reads like the
 * paper. Loading, tokenizers, pooling and task heads are elsewhere and the same
 * for all. An arch file sees ops/ and base/ only: no files, no malloc.
 */
#ifndef ATT_ARCH_ARCH_H
#define ATT_ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/json.h"
#include "core/base/status.h"
#include "core/ops/attention.h"
#include "core/ops/pooling.h"
#include "core/ops/scratch.h"
#include "core/ops/slots.h"

enum { ATT_ARCH_DIMS = 20, ATT_ARCH_SETS = 3, ATT_ARCH_STACKS = 2 };

/* Filled by configure from config.json. */
struct att_arch_info {
    const char *class_name; /* of the document that configure was given */
    enum att_dtype dtype;   /* of the layers; set before configure */
    size_t hidden_size, n_layers, n_heads, intermediate_size, vocab_size, type_vocab_size;
    bool gated;                  /* the inner part of a layer has a gate */
    size_t max_tokens;           /* longest sequence that can be computed */
    size_t trained_tokens;       /* longest it was made for, where that is less; 0: max_tokens */
    size_t n_kv_heads, head_dim; /* decoders: of their caches */
    size_t n_decoder_heads;
    size_t n_decoder_layers;  /* encoder-decoders; 0: there is one stack */
    size_t target_vocab_size; /* encoder-decoders: of the decoder's ids and logits */
    size_t n_stored_layers;   /* layers in the file when they are shared; 0: n_layers */
    size_t n_logits;          /* of the checkpoint's own head; 0: none */
    bool per_token, has_pooler, scores_items;
    bool head_reads_all; /* the checkpoint's own head reads all rows of the last hidden state, not the first alone */
    bool generates;      /* a decoder: lm_logits is there */
    size_t dims[ATT_ARCH_DIMS]; /* what the slots' rows and cols index */
    struct {
        const struct att_slot *slots;
        size_t n_slots;
    } sets[ATT_ARCH_SETS]; /* slots of the model outside its layers */
};

/* What a decoder's tokens see besides themselves. */
struct att_arch_past {
    struct att_kv_cache *cache; /* sequence s is its row s; the pass appends, the caller advances. NULL: none */
    /* encoder-decoders: the encoder's states, packed */
    const float *memory; /* [memory_tokens][hidden_size] */
    const uint32_t *cu_memory;
    size_t memory_tokens, longest_memory;
    /* or what `cross` made of them, for each sequence [n_decoder_layers][its source's length][key | value] */
    const float *const *cross;
    const uint32_t *cross_len;
};

struct att_arch_batch {
    const int32_t *ids, *type_ids; /* type_ids may be NULL */
    const uint32_t *cu_seqlens;
    size_t n_seqs, n_tokens, longest; /* longest: tokens of the longest sequence */
    const float *const *weights;      /* [n_seqs] of the tokens, see attend.h; NULL: all ones */
    /* Who reads output.hidden reads the first row of each sequence alone: the others may be anything. */
    bool first_only;
    struct att_team *team;     /* who computes; never NULL */
    struct att_arch_past past; /* of decoders; else zeros */
};

struct att_arch_tap {
    void *context;
    void (*hidden)(void *context, size_t i, const float *x, size_t n_tokens, size_t hidden_size);
    struct att_attention_sink attention; /* take NULL: not wanted */
    struct att_attention_sink cross;     /* encoder-decoders: to the memory */
};

struct att_arch_output {
    const float *hidden, *pooler, *logits;
    const float *pooled; /* [n_seqs][hidden_size]: instead of pooling; NULL: pool */
};

/* How large a pass may be. */
struct att_arch_limits {
    size_t max_tokens, max_seqs;
    size_t max_past; /* tokens of a row of the cache; 0: none */
};

struct att_arch_stack {
    size_t layer_bytes;
    const struct att_slot *slots;
    size_t n_slots;
};

struct att_arch {
    const char *model_type;          /* config.json's */
    const char *prefix;              /* that heads put before the base model's tensor names: "bert." */
    const char *const (*aliases)[2]; /* {name, other name it may have}, ended by {NULL, NULL}; NULL: none */
    size_t state_bytes;
    struct att_arch_stack stacks[ATT_ARCH_STACKS]; /* the layers; [1]: the decoder of an encoder-decoder */
    /* Checks every field it reads; messages start with the field's name. state is zero-filled. */
    enum att_status (*configure)(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err);
    /* After the weights are read: makes what is derived from them (slots marked so). May be NULL. */
    enum att_status (*prepare)(void *state, void *layers, const struct att_arch_info *info, struct att_err *err);
    /* Takes the buffers of a pass; buffers is this family's struct of buffers_bytes. */
    size_t buffers_bytes;
    void (*plan)(const void *state, const struct att_arch_info *info, const struct att_arch_limits *limits,
                 struct att_scratch *scratch, void *buffers);
    void (*forward)(const void *state, const void *layers, const struct att_arch_info *info,
                    const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                    struct att_arch_output *output);
    /* Encoder-decoders: the decoder over batch->past.memory, with the layers of stacks[1]. forward is the encoder. */
    void (*decode)(const void *state, const void *layers, const struct att_arch_info *info,
                   const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                   struct att_arch_output *output);
    /* Encoder-decoders: keys and values of one decoder layer for n states of the encoder, [n][2 * hidden_size of
     * attention], into out. */
    void (*cross)(const void *state, const void *layers, size_t layer, size_t n, const float *memory, float *out);
    /* Decoders: logits [n][vocabulary] of n states. team NULL: this thread alone. */
    void (*lm_logits)(const void *state, const struct att_arch_info *info, struct att_team *team, size_t n,
                      const float *hidden, float *logits);
    /* Recommenders: the item table, vocab_size rows or more, and the item biases (or NULL); NULL for other families. */
    const struct att_table *(*items)(const void *state, const float **ret_bias);
};

/* The family of a model_type, or NULL. */
const struct att_arch *att_arch_find(const char *model_type);
/* Known model types as one line for messages, "albert, bart, …", into text. */
void att_arch_names(char *text, size_t size);

#endif
