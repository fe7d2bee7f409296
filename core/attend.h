/*
 * libattend: a Transformer checkpoint in, numbers out.
 *
 *   struct att_model *model;
 *   att_init(NULL, &err);
 *   att_model_load("all-MiniLM-L6-v2", &(struct att_model_options){0}, &model, &err);
 *   att_context_create(model, 256, 32, &context, &err);      // one a thread
 *   att_forward(context, &batch, NULL, &out, &err);          // packed batch: no padding
 *
 * A model is immutable after load and counted by references; any number of
 * threads may share it. A context belongs to one thread at a time and holds the
 * scratch memory, planned at creation: att_forward allocates nothing. Equal
 * sequences give equal bits whatever else is in the batch.
 */
#ifndef ATT_ATTEND_H
#define ATT_ATTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/digest.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/status.h"
#include "core/kern/gemm.h" /* enum att_dtype */
#include "core/ops/scan.h"  /* struct att_scan_query */
#include "core/text/decoding.h"
#include "core/text/tokenizer.h"

#define ATT_VERSION "0.1.0"

/* Chooses the kernels for this CPU, less `cpu_mask` (NULL: the environment's ATTEND_CPU_MASK). Call once, before
 * threads start. */
enum att_status att_init(const char *cpu_mask, struct att_err *err) ATT_MUST_USE;
/* "gemm zen4-f32, attention avx512-f32, rows avx512": what models of that dtype compute with. */
const char *att_kernel_names(enum att_dtype dtype);

enum att_pooling { ATT_POOL_NONE, ATT_POOL_MEAN, ATT_POOL_CLS, ATT_POOL_LAST };

/* One linear head over the pooled vector (or over every token: per_token). */
struct att_head_info {
    const char *name;              /* "sentiment"; "default" for a checkpoint's own classifier */
    size_t n_labels, logits_begin; /* its logits are logits[logits_begin .. +n_labels) */
    const char *const *labels;
    const float *polarity;          /* [n_labels] in [-1, 1], or NULL: label values for a signed score */
    bool multi_label;               /* sigmoid and thresholds instead of softmax */
    const float *thresholds;        /* [n_labels] for multi_label, else NULL */
    float temperature;              /* logits are divided by it before softmax or sigmoid; 1 when not calibrated */
    const char *out_of_scope_label; /* given when the confidence is below out_of_scope_threshold; or NULL */
    float out_of_scope_threshold;
    float scope_scale, scope_bias; /* of att_head_in_scope; scale 0: the head does not say */
};

/* What an encoder was trained to read before texts of some kind. */
struct att_prompt {
    const char *name, *text; /* "query", "query: " */
};

/* How much an event counts for a recommender: half as much so many days before the newest one; by its type; and how
 * much of that reaches a sequence model, as an exponent: 0 nothing, 1 all. */
struct att_history_rules {
    float half_life_days;
    float view, click, rate, buy; /* rate: without a value */
    float sequence;
};

struct att_model_info {
    const char *arch;       /* config.json's model_type: "bert", "sasrec" */
    const char *class_name; /* config.json's architectures[0], or "" */
    const char *base;       /* adapters and heads over another model: the name of that; else NULL */
    const char *task;       /* attend.json's task, or what the checkpoint implies: embed, classify, recommend */
    size_t hidden_size, n_layers, n_heads, intermediate_size;
    bool gated;          /* a layer's inner part has a gate: three products, not two */
    size_t vocab_size;   /* rows of the embedding table; for recommenders items + 1 (0 is padding) */
    size_t max_tokens;   /* longest sequence that it was made for, special tokens included */
    size_t limit_tokens; /* longest that can be computed: rotary positions have no end of their own */
    enum att_dtype dtype;
    enum att_pooling pooling;
    bool normalize;                           /* the pooled vector is L2-normalised */
    bool per_token;                           /* logits are [tokens][n_logits] (token classification, masked LM) */
    bool has_pooler;                          /* pooler_output exists */
    bool generates;                           /* a decoder: att_lm_logits, att_decoder */
    size_t n_kv_heads;                        /* decoders: heads of keys and values, each for a group of queries */
    size_t n_decoder_layers, n_decoder_heads; /* encoder-decoders; else 0 */
    size_t logits_size;                       /* decoders: the vocabulary that is written in */
    bool strip_urls;                          /* task texts: http(s) links become blanks before tokenising */
    const struct att_prompt *prompts;
    size_t n_prompts;
    const char *default_prompt; /* before a text whose part is not told; "": nothing */
    const char *query_prompt;   /* before what is asked; the default where the model tells them not apart */
    const char *passage_prompt; /* before what is found */
    float cosine_floor;         /* attend.json: cosine of texts that have nothing in common; 0 where it does not say */
    struct att_history_rules history; /* of recommenders; else zeros */
    size_t n_logits, n_head_infos;
    const struct att_head_info *heads;
    const char *const *token_labels;         /* [n_logits] of a token classifier; else NULL */
    const char *licence;                     /* from attend.json, or "" */
    const char *languages;                   /* comma-separated, or "" */
    char digest[65];                         /* SHA-256 of the weight file(s), hexadecimal */
    size_t weight_bytes;                     /* memory of the packed weights, shared tables not counted twice */
    size_t mapped_bytes;                     /* of weight_bytes: in files without names, see core/base/bulk.h */
    size_t weight_bytes_as[ATT_DTYPE_COUNT]; /* what it would be in that dtype */
    size_t n_unused;                         /* tensors in the file that the model does not use; first one in unused */
    const char *unused;
    const struct att_json *attend_json; /* the whole file, or NULL */
    const char *dir;
};

struct att_model;

struct att_model_options {
    enum att_dtype dtype;
    /* For adapters: finds a loaded model by base_model_name_or_path. May be NULL. */
    struct att_model *(*find_base)(void *context, const char *name);
    void *context;
    /* Recommenders: an earlier load, whose item table is shared where the weights are the same. May be NULL. */
    const struct att_model *earlier;
    /* Recommenders: where the table of many items goes; NULL: memory. */
    struct att_bulk_place *place;
};

/* Loads and checks the directory completely; a bad model never loads half. The
 * message names file and field. The caller owns one reference. */
enum att_status att_model_load(const char *dir, const struct att_model_options *options, struct att_model **ret_model,
                               struct att_err *err) ATT_MUST_USE;
struct att_model *att_model_ref(struct att_model *model);
void att_model_unref(struct att_model *model); /* NULL is allowed; frees with the last reference */
const struct att_model_info *att_model_info(const struct att_model *model);
/* The model's prompt of that name, or NULL; name may be NULL. */
const char *att_model_prompt(const struct att_model_info *info, const char *name);
/* The tokenizer of a directory, without its model: see att_tokenizer_load; or that of its one .gguf file. */
enum att_status att_tokenizer_open(const struct att_dir *dir, size_t vocab_rows, size_t type_rows,
                                   struct att_tokenizer **ret_tokenizer, struct att_err *err) ATT_MUST_USE;
const struct att_tokenizer *
att_model_tokenizer(const struct att_model *model); /* NULL: no tokenizer in the directory */
/* A number that changes when a file of the directory (or the file itself) is written, replaced, added or removed: what
 * to compare before loading anew. 0: nothing is there. */
uint64_t att_path_stamp(const char *path);
/* A tensor as a weight file holds it; GGUF's under the names of the checkpoint. Valid during the visit alone. */
struct att_tensor_info {
    const char *file, *name, *dtype;
    size_t rank;
    const size_t *shape;
};
/* Every tensor of a directory, by name. */
enum att_status att_model_tensors(const char *dir, void (*visit)(void *context, const struct att_tensor_info *tensor),
                                  void *context, struct att_err *err) ATT_MUST_USE;
/* Runs golden.jsonl of the directory, when there is one. ATT_EFORMAT names the line that differs. */
enum att_status att_model_self_test(struct att_model *model, size_t *ret_cases, struct att_err *err) ATT_MUST_USE;

/* Sequences end to end, no padding. Sequence i is tokens cu_seqlens[i] .. cu_seqlens[i+1]. */
struct att_batch {
    const int32_t *ids;         /* [n_tokens], each 0 <= id < vocab_size (checked) */
    const int32_t *type_ids;    /* [n_tokens] or NULL for zeros */
    const uint32_t *cu_seqlens; /* [n_seqs + 1], from 0, each sequence 1..max_tokens long */
    size_t n_seqs;
    /* [n_seqs], each [its length] or NULL for ones; NULL: ones for all. How heavily a token counts among those of its
     * sequence, above 0: attention sees it as if it stood there so many times. SASRec alone looks at them; weights that
     * are all equal change no bit. */
    const float *const *weights;
    const struct att_batch *target; /* encoder-decoders: the decoder's tokens for each sequence; NULL: encode alone */
    /* hidden is not wanted, and is NULL: the last layer may then compute no more than the other outputs need, in the
     * same bits. Where they read the first token alone, this saves most of that layer. */
    bool vectors_only;
};

/* Looks into a forward pass. Functions may be NULL. Data is valid during the call alone. */
struct att_tap {
    void *context;
    /* i = 0: embedding output; i = after layer i. x is [n_tokens][hidden_size], packed as the batch. */
    void (*hidden)(void *context, size_t i, const float *x, size_t n_tokens, size_t hidden_size);
    /* Whether sequence seq's attention is wanted; NULL: all. */
    bool (*wants_attention)(void *context, size_t seq);
    /* Probabilities [n_query][n_key] of one layer, sequence and head, of the queries from `first` on: a long sequence
     * takes several calls. */
    void (*attention)(void *context, size_t layer, size_t seq, size_t head, size_t first, const float *probs,
                      size_t n_query, size_t n_key);
    /* The same of the decoder of an encoder-decoder, and what it sees of the encoder's states. */
    void (*decoder_hidden)(void *context, size_t i, const float *x, size_t n_tokens, size_t hidden_size);
    void (*decoder_attention)(void *context, size_t layer, size_t seq, size_t head, size_t first, const float *probs,
                              size_t n_query, size_t n_key);
    void (*cross_attention)(void *context, size_t layer, size_t seq, size_t head, size_t first, const float *probs,
                            size_t n_query, size_t n_key);
};

/* Points into the context until its next forward pass; NULL where the model has no such output, or it is not wanted. */
struct att_output {
    const float *hidden; /* [n_tokens][hidden_size], last hidden state; with a target: the decoder's, of its tokens */
    const float *memory; /* with a target: the encoder's last hidden state */
    const float *pooler; /* [n_seqs][hidden_size], BERT's pooler_output */
    const float *pooled; /* [n_seqs][hidden_size], by info.pooling and info.normalize */
    const float *logits; /* [n_seqs][n_logits], or [n_tokens][n_logits] when per_token */
};

struct att_context;
/* Scratch for batches of at most max_tokens tokens in max_seqs sequences; holds a reference to the model. */
enum att_status att_context_create(struct att_model *model, size_t max_tokens, size_t max_seqs,
                                   struct att_context **ret_context, struct att_err *err) ATT_MUST_USE;
void att_context_destroy(struct att_context *context);
size_t att_context_bytes(const struct att_context *context);
size_t att_context_max_tokens(const struct att_context *context);
size_t att_context_max_seqs(const struct att_context *context);
/* Arrays of max_tokens and max_seqs + 1 in the context, for gathering a batch without allocating. */
void att_context_staging(struct att_context *context, int32_t **ret_ids, int32_t **ret_type_ids,
                         uint32_t **ret_cu_seqlens);
/* ATT_EINVAL or ATT_ELIMIT when the batch breaks the bounds above. tap may be NULL. */
enum att_status att_forward(struct att_context *context, const struct att_batch *batch, const struct att_tap *tap,
                            struct att_output *ret_output, struct att_err *err) ATT_MUST_USE;

/* Helps the thread that runs att_forward on `leader`: computes parts of its pass in the workspace of `helper`, a
 * context of the same model and limits that nobody else uses meanwhile. Returns when the pass ends, when leave says
 * so (asked between parts; NULL: never) or when nothing was to do for some microseconds: parts computed. Changes no
 * bit. */
size_t att_context_help(struct att_context *helper, struct att_context *leader, bool (*leave)(void *context),
                        void *leave_context);

/* ---- sequences that are written, token by token (core/past.c) ----
 *
 * A past is what a decoder remembers of one sequence: the keys and values of its tokens, and for encoder-decoders those
 * of the source. A pass reads the next tokens of several sequences, each behind its own past, and appends to it; the
 * sequences may be of any lengths and change from pass to pass. A past is of one thread at a time. */
struct att_past;

/* Bytes of a past with room for max_len tokens (and a source of source_len; 0 where the model has one stack). SIZE_MAX
 * on overflow. */
size_t att_past_bytes(const struct att_model *model, size_t source_len, size_t max_len);
enum att_status att_past_create(struct att_model *model, size_t source_len, size_t max_len, struct att_past **ret_past,
                                struct att_err *err) ATT_MUST_USE;
void att_past_destroy(struct att_past *past); /* NULL is allowed */
size_t att_past_len(const struct att_past *past);
/* As att_context_create, for passes over pasts with room for at most max_past tokens as well. */
enum att_status att_context_create_writing(struct att_model *model, size_t max_tokens, size_t max_seqs, size_t max_past,
                                           struct att_context **ret_context, struct att_err *err) ATT_MUST_USE;
/* Encoder-decoders: encodes the sources of the batch, one for each past, which has seen none before. */
enum att_status att_forward_source(struct att_context *context, const struct att_batch *batch,
                                   struct att_past *const *pasts, struct att_err *err) ATT_MUST_USE;
/* Appends the batch's tokens, those of sequence s to pasts[s]. logits[s]: [info.logits_size], what follows the last of
 * them; or NULL. Of tap, the attention functions are called: of decoders `attention`, n_key counting from the past's
 * first token; of encoder-decoders `decoder_attention` and `cross_attention`. */
enum att_status att_forward_past(struct att_context *context, const struct att_batch *batch,
                                 struct att_past *const *pasts, float *const *logits, const struct att_tap *tap,
                                 struct att_err *err) ATT_MUST_USE;

/* Decoders: logits [n][info.logits_size] of n last hidden states. */
void att_lm_logits(const struct att_model *model, size_t n, const float *hidden, float *logits);

/* Recommenders: scores[i] = pooled · item_embedding[i] (+ item bias) for all items 0..vocab_size-1; scores[0]
 * (padding) is -INFINITY. */
void att_score_items(const struct att_model *model, const float *pooled, float *scores);
/* Recommenders with more than ATT_SCAN_ITEMS_MIN items: their table for att_best_items; else NULL. */
enum { ATT_SCAN_ITEMS_MIN = 16384 };
const struct att_scan *att_item_scan(const struct att_model *model);
/* The best items by the scores of att_score_items, bit for bit, without computing all of them: core/ops/scan.h. The
 * query's x is a pooled vector; rows are items, the padding included. Helpers of the context take part. */
void att_best_items(struct att_context *context, const struct att_scan_query *query,
                    struct att_scan_answer *ret_answer);
/* From the forward pass to the last att_best_items behind it: helpers stay for the scans. */
void att_context_hold(struct att_context *context);
void att_context_release(struct att_context *context);
/* One item's score, the padding's too. */
float att_score_item(const struct att_model *model, const float *pooled, size_t item);
/* The recommender's own vector of an item, [hidden_size]; NULL when the model is no recommender or has no such item. */
const float *att_item_embedding(const struct att_model *model, size_t item);

/* Row kernels that tasks and the store need: exact dot products of a table, L2 normalisation. */
void att_dot_table(size_t begin, size_t end, size_t n, const float *table, size_t ld, const float *x, float *scores);
void att_l2_normalize(size_t n, float *x);
/* Softmax with the largest value subtracted, of logits / temperature. */
void att_softmax(size_t n, const float *logits, float temperature, float *probabilities);
double att_log_sum_exp(size_t n, const float *logits);
/* The chance that a text is one of the head's labels at all, by its logits: sigmoid(scale · log Σ exp(logit) + bias),
 * as attend.json's out_of_scope says for the method "energy"; 1 where the head does not say. */
float att_head_in_scope(const struct att_head_info *head, const float *logits);
/* http:// and https:// up to the next white space become blanks: no token, and no offset moves. What info.strip_urls
 * asks for. */
void att_blank_urls(char *text, size_t len);

/* ---- a linear head from labelled vectors (core/fit.c) ---- */

/* Rows and what they are labelled with; borrowed while the fit lives. */
struct att_fit_rows {
    size_t n, n_features, n_labels;
    const float *features;        /* [n][n_features] */
    const int32_t *labels;        /* [n], each below n_labels: one label a row; or */
    const unsigned char *several; /* [n][n_labels] of 0 and 1 */
};

struct att_fit_options {
    double c;            /* inverse strength of the L2 penalty: sum of losses + |weights|² / 2c */
    const bool *skipped; /* [n] rows that are left out; NULL: none */
    size_t steps_max;    /* of L-BFGS */
    double tolerance;    /* of the gradient's length, relative to where it began */
};

struct att_fit; /* of one thread at a time */
enum att_status att_fit_create(const struct att_fit_rows *rows, struct att_fit **ret_fit,
                               struct att_err *err) ATT_MUST_USE;
void att_fit_destroy(struct att_fit *fit); /* NULL is allowed */
/* Minimises from theta [n_labels][n_features + 1] (the bias last) on; theta gets the head. */
enum att_status att_fit_run(struct att_fit *fit, const struct att_fit_options *options, double *theta,
                            struct att_err *err) ATT_MUST_USE;
/* Logits [n][n_labels] of all rows, the skipped ones too, until the next call. */
enum att_status att_fit_logits(struct att_fit *fit, const double *theta, const float **ret_logits,
                               struct att_err *err) ATT_MUST_USE;

#endif
