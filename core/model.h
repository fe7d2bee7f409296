/* A loaded model from the inside: shared by the files of the facade alone. */
#ifndef ATT_MODEL_H
#define ATT_MODEL_H

#include <stdatomic.h>

#include "core/arch/arch.h"
#include "core/attend.h"
#include "core/io/dir.h"
#include "core/io/json_file.h"
#include "core/io/safetensors.h"
#include "core/ops/scan.h"

/* A linear layer behind the pooling. */
struct att_dense {
    struct att_linear linear;
    enum att_act act;
    bool normalize; /* what it gives is L2-normalised */
};
enum { ATT_DENSE_MAX = 8 };

struct att_model {
    atomic_size_t refs;
    struct att_arena arena; /* strings and arrays of info */
    struct att_pages pages; /* weights of linear layers */
    struct att_model_info info;
    const struct att_arch *arch;
    struct att_arch_info arch_info;
    void *state; /* of the architecture */
    void *layers[ATT_ARCH_STACKS];
    size_t layer_bytes[ATT_DTYPE_COUNT]; /* of the layers' weights, if they were of that dtype */
    size_t linear_space;                 /* workspace that the largest linear layer needs */
    bool pool_normalize;                 /* L2 before the first of */
    struct att_dense dense[ATT_DENSE_MAX];
    size_t n_dense;
    bool dense_borrowed;     /* they are the base's */
    struct att_linear heads; /* heads of attend.json over the pooled vector; packed NULL: none */
    struct att_tokenizer *tokenizer;
    bool tokenizer_borrowed; /* it is the base's */
    bool borrowed;           /* heads or Dense modules alone: state and layers are the base's too */
    struct att_model *base;  /* adapters and heads keep a reference; else NULL */
    struct att_scan *scan;   /* recommenders with many items; else NULL */
    struct att_json *config, *attend_json;
};

/* A checkpoint being read: names resolved, an adapter merged where there is one. */
struct att_adapter {
    struct att_weights weights;
    bool prefixed;   /* its tensor names carry the architecture's prefix */
    bool transposed; /* weights of the base are [in][out], GPT-2's Conv1D */
    float scale;
    size_t rank;
};

struct att_checkpoint {
    struct att_weights weights;
    const struct att_arch *arch;
    bool prefixed;                /* names carry the architecture's prefix */
    struct att_adapter *adapter;  /* NULL: none */
    const struct att_model *base; /* with an adapter: whose tables are shared */
    const struct att_model *twin; /* a recommender of the same weights, whose tables are shared; NULL: none */
    struct att_bulk_place *place; /* of a recommender's large tables; NULL: memory */
};

/* core/context.c: fills *checked when every sequence, id and segment is within the bounds. */
enum att_status att_batch_check(const struct att_model *model, const struct att_batch *batch, size_t max_tokens,
                                size_t max_seqs, size_t vocab_size, struct att_arch_batch *checked,
                                struct att_err *err) ATT_MUST_USE;

/* core/checkpoint.c */
/* The weights beside a config.json: safetensors, one file or shards, or those that a generator gives. */
enum att_status att_checkpoint_weights(const struct att_dir *dir, struct att_weights *ret_weights,
                                       struct att_err *err) ATT_MUST_USE;
enum att_status att_checkpoint_open(const struct att_dir *dir, const struct att_arch *arch,
                                    struct att_checkpoint *ret_checkpoint, struct att_err *err) ATT_MUST_USE;
void att_checkpoint_close(struct att_checkpoint *checkpoint);
/* From weights that are open; they become the checkpoint's. */
void att_checkpoint_take(struct att_weights *weights, const struct att_arch *arch,
                         struct att_checkpoint *ret_checkpoint);
struct att_source att_checkpoint_source(struct att_checkpoint *checkpoint);

/* core/adapter.c: a PEFT LoRA directory (Hu et al. 2021), W + scale · B·A. */
enum att_status att_adapter_open(const struct att_dir *dir, const struct att_json *config, const struct att_arch *arch,
                                 struct att_adapter *ret_adapter, struct att_err *err) ATT_MUST_USE;
void att_adapter_close(struct att_adapter *adapter);
/* The adapter's own version of a tensor (modules_to_save), which stands for the base's; or NULL. */
struct att_tensor *att_adapter_own(struct att_adapter *adapter, const struct att_arch *arch, const char *name);
/* Adds the adapter's change of tensor `name` ("….weight" without the architecture's prefix), if it has one. */
enum att_status att_adapter_merge(struct att_adapter *adapter, const struct att_arch *arch, const char *name,
                                  size_t rows, size_t cols, float *weight, struct att_err *err) ATT_MUST_USE;
/* Every tensor of the adapter must have been merged or be a head's. */
enum att_status att_adapter_check_used(const struct att_adapter *adapter, struct att_err *err) ATT_MUST_USE;

/* core/heads.c: labels and heads, from attend.json or config.json, into model->info and model->heads. */
enum att_status att_heads_load(struct att_model *model, struct att_weights *weights, const char *prefix,
                               struct att_err *err) ATT_MUST_USE;

/* core/history.c: attend.json's history, or the defaults. */
enum att_status att_history_load(struct att_model *model, struct att_err *err) ATT_MUST_USE;
/* core/pooling.c: modules.json, 1_Pooling, sentence_bert_config.json and attend.json's own words. */
enum att_status att_prompts_load(struct att_model *model, const struct att_dir *dir, struct att_err *err) ATT_MUST_USE;
/* Files of weights that it reads go behind `files`, for the digest. */
enum att_status att_pooling_load(struct att_model *model, const struct att_dir *dir, struct att_weights *files,
                                 struct att_err *err) ATT_MUST_USE;

/* core/dense.c: the module in `folder` behind those before it. */
enum att_status att_dense_load(struct att_model *model, const struct att_dir *dir, const char *folder,
                               struct att_weights *files, struct att_err *err) ATT_MUST_USE;
/* Of the widest vector from the pooling on. */
size_t att_dense_width(const struct att_model *model);
/* Runs all of them over x [n_seqs][hidden_size]; both arrays have room for the widest. Answers the one that holds the
 * outcome. */
const float *att_dense_run(const struct att_model *model, struct att_team *team, size_t n_seqs, float *x, float *y);

#endif
