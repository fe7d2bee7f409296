/*
 * What `attend run` shares among its files: the runner of one thread, and one
 * case with the tensors that it answers. The formats are those of reference
 * case lines: {"case","call","inputs",…} in, {"case","outputs":{NAME:{"shape",
 * "data"}},…} out, rows of padding as zeros.
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "cli/chat.h"
#include "cli/cli.h"

enum { CLI_RANK_MAX = 4, CLI_TENSORS_MAX = 512, CLI_TENSOR_NAME_BYTES = 48 };

/* One thread's. */
struct cli_runner {
    struct att_model *model;
    const struct cli_chat *chat;
    const struct cli_options *options;
    size_t text_tokens_max; /* texts are cut to this, special tokens included */
    struct att_context *context;
    size_t context_tokens, context_seqs;
    struct att_tokens tokens[2];
};

struct cli_tensor {
    char name[CLI_TENSOR_NAME_BYTES];
    size_t dims[CLI_RANK_MAX], rank;
    float *data;
};

/* What a large tensor comes to, for cases that ask for "stats". */
struct cli_stat {
    char name[CLI_TENSOR_NAME_BYTES];
    size_t dims[CLI_RANK_MAX], rank;
    double sum, l2, max_abs;
};

/* Whole numbers beside the tensors: "ids", "topk_ids"; with cu a list of n_rows lists, as booleans where asked. */
struct cli_list {
    const char *name;
    const int32_t *values;
    size_t count;
    const uint32_t *cu; /* [n_rows + 1] into values; NULL: one list */
    size_t n_rows;
    bool booleans;
};

struct cli_string {
    const char *name, *text;
    size_t len;
};

struct cli_case {
    const struct att_json *root, *inputs, *wanted; /* wanted: an object or array of names; NULL: all */
    struct att_arena arena;
    struct cli_tensor tensors[CLI_TENSORS_MAX];
    size_t n_tensors;
    struct cli_stat *stats; /* [n_stats], of case memory */
    size_t n_stats;
    struct cli_list lists[4];
    size_t n_lists;
    struct cli_string strings[4];
    size_t n_strings;
    const char *label;
    struct att_err refused; /* its message is the answer where the status is one */
};

/* A context for n_tokens in n_seqs sequences, the one before where it is large enough. */
enum att_status cli_runner_context(struct cli_runner *runner, size_t n_tokens, size_t n_seqs,
                                   struct att_err *err) ATT_MUST_USE;

/* True when the case's "outputs" names it, or names nothing. */
bool cli_case_wants(const struct cli_case *one, const char *name);
/* Adds a tensor of zeros; dims of `rank` sizes. */
enum att_status cli_case_tensor(struct cli_case *one, const char *name, size_t rank, const size_t *dims,
                                float **ret_data, struct att_err *err) ATT_MUST_USE;
/* The same, filled from `data`, when the case wants it. */
enum att_status cli_case_put(struct cli_case *one, const char *name, size_t count, const float *data,
                             struct att_err *err) ATT_MUST_USE;
/* Memory of the case. */
void *cli_case_alloc(struct cli_case *one, size_t count, size_t size, struct att_err *err) ATT_MUST_USE;

/* Encodes inputs[name], cut to the runner's length with the template around it, into case memory. */
enum att_status cli_case_encode(struct cli_runner *runner, struct cli_case *one, const char *name, const char *pair,
                                struct att_sequence *ret_sequence, struct att_err *err) ATT_MUST_USE;

/* Writes on from ids, and answers "sequence" and "text". */
enum att_status cli_case_write(struct cli_runner *runner, struct cli_case *one, const int32_t *ids, size_t len,
                               struct att_err *err) ATT_MUST_USE;

/* The calls. Each reads one->inputs and adds tensors and lists. */
enum att_status cli_run_forward(struct cli_runner *runner, struct cli_case *one, struct att_err *err) ATT_MUST_USE;
/* forward of encoder-decoders, and the sampled form of large ones. */
enum att_status cli_run_seq2seq(struct cli_runner *runner, struct cli_case *one, struct att_err *err) ATT_MUST_USE;
enum att_status cli_run_embed(struct cli_runner *runner, struct cli_case *one, struct att_err *err) ATT_MUST_USE;
enum att_status cli_run_classify(struct cli_runner *runner, struct cli_case *one, struct att_err *err) ATT_MUST_USE;
enum att_status cli_run_generate(struct cli_runner *runner, struct cli_case *one, struct att_err *err) ATT_MUST_USE;
enum att_status cli_run_generate_text(struct cli_runner *runner, struct cli_case *one,
                                      struct att_err *err) ATT_MUST_USE;
/* Messages in, the prompt and its ids out; with a model, what it writes on, too. */
enum att_status cli_run_chat(struct cli_runner *runner, struct cli_case *one, struct att_err *err) ATT_MUST_USE;
/* Needs no model. */
enum att_status cli_run_warp(struct cli_runner *runner, struct cli_case *one, struct att_err *err) ATT_MUST_USE;
enum att_status cli_run_recommend(struct cli_runner *runner, struct cli_case *one, struct att_err *err) ATT_MUST_USE;

#endif
