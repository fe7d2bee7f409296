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
#include "core/ops/scratch.h"
#include "core/ops/slots.h"

enum { ATT_ARCH_DIMS = 8, ATT_ARCH_SETS = 3 };

/* Filled by configure from config.json. */
struct att_arch_info {
    const char *class_name; /* of the document that configure was given */
    size_t hidden_size, n_layers, n_heads, intermediate_size, vocab_size, type_vocab_size, max_tokens;
    size_t n_logits; /* of the checkpoint's own head; 0: none */
    bool per_token, has_pooler, scores_items;
    size_t dims[ATT_ARCH_DIMS]; /* what the slots' rows and cols index */
    struct {
        const struct att_slot *slots;
        size_t n_slots;
    } sets[ATT_ARCH_SETS]; /* slots of the model outside its layers */
};

struct att_arch_batch {
    const int32_t *ids, *type_ids; /* type_ids may be NULL */
    const uint32_t *cu_seqlens;
    size_t n_seqs, n_tokens, longest; /* longest: tokens of the longest sequence */
};

struct att_arch_tap {
    void *context;
    void (*hidden)(void *context, size_t i, const float *x, size_t n_tokens, size_t hidden_size);
    struct att_attention_sink attention; /* take NULL: not wanted */
};

struct att_arch_output {
    const float *hidden, *pooler, *logits;
};

struct att_arch {
    const char *model_type;          /* config.json's */
    const char *prefix;              /* that heads put before the base model's tensor names: "bert." */
    const char *const (*aliases)[2]; /* {name, other name it may have}, ended by {NULL, NULL} */
    size_t state_bytes, layer_bytes;
    const struct att_slot *layer_slots;
    size_t n_layer_slots;
    /* Checks every field it reads; messages start with the field's name. state is zero-filled. */
    enum att_status (*configure)(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err);
    /* Takes the buffers of a pass over at most max_tokens tokens in max_seqs sequences; buffers is this family's
     * struct of buffers_bytes. */
    size_t buffers_bytes;
    void (*plan)(const void *state, const struct att_arch_info *info, size_t max_tokens, size_t max_seqs,
                 struct att_scratch *scratch, void *buffers);
    void (*forward)(const void *state, const void *layers, const struct att_arch_info *info,
                    const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                    struct att_arch_output *output);
    /* Recommenders: the item table and the item biases ([rows], or NULL); NULL for other families. */
    const struct att_table *(*items)(const void *state, const float **ret_bias);
};

/* The family of a model_type, or NULL. */
const struct att_arch *att_arch_find(const char *model_type);
/* Known model types as one line for messages: "bert, sasrec". */
const char *att_arch_names(void);

extern const struct att_arch att_arch_bert, att_arch_sasrec;

/* ---- reading config fields ---- */

/* Integer field within [min, max]; absent: `otherwise`, or an error when otherwise is SIZE_MAX. */
enum att_status att_config_size(const struct att_json *config, const char *field, size_t min, size_t max,
                                size_t otherwise, size_t *ret, struct att_err *err) ATT_MUST_USE;
enum att_status att_config_float(const struct att_json *config, const char *field, double min, double max,
                                 double otherwise, float *ret, struct att_err *err) ATT_MUST_USE;
enum att_status att_config_bool(const struct att_json *config, const char *field, bool otherwise, bool *ret,
                                struct att_err *err) ATT_MUST_USE;
/* hidden_act by name; absent: `otherwise`. */
enum att_status att_config_act(const struct att_json *config, const char *field, enum att_act otherwise,
                               enum att_act *ret, struct att_err *err) ATT_MUST_USE;
/* Number of labels: id2label, else num_labels, else 2. */
enum att_status att_config_labels(const struct att_json *config, size_t *ret, struct att_err *err) ATT_MUST_USE;

#endif
