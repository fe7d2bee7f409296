/*
 * How relevant documents are to a query, as one logit each. A model with one
 * logit (a cross-encoder) reads query and document together; otherwise the
 * encoder embeds both and the logit is a scaled cosine, logit = 20·cos - 10, so
 * that sigmoid(logit) is 0.5 at a cosine of one half.
 */
#ifndef TASK_RELEVANCE_H
#define TASK_RELEVANCE_H

#include "tasks/window.h"

struct task_document {
    const char *text;
    size_t len;
    float logit; /* after task_relevance_rank */
};

struct task_relevance {
    const struct task_model *model;
    bool pairs; /* a cross-encoder */
    const char *query;
    size_t query_len;
    struct task_document *documents;     /* [n] */
    size_t n, document_tokens_max;       /* documents are cut to it; 0: no limit */
    struct task_windows_options options; /* of the documents' windows, after task_relevance_jobs */
    struct task_windows *windows;        /* bi-encoder: [1 + n], the query first; cross-encoder: [n] */
    float *query_vector;                 /* bi-encoder: after task_relevance_rank, of length 1 */
    size_t *order;                       /* [n] after it: most relevant first, ties by index */
};

/* A cross-encoder by the body's "model" or by default; else an encoder. */
enum att_status task_relevance_model(struct task_call *call, struct task_relevance *relevance,
                                     const struct att_json *body, struct att_err *err) ATT_MUST_USE;
/* Makes the array for n documents; n is checked against the limit and named `path`. */
enum att_status task_relevance_room(struct task_call *call, struct task_relevance *relevance, size_t n,
                                    const char *path, struct att_err *err) ATT_MUST_USE;
/* The jobs, once query and documents are set; errors name `path`[i]. */
enum att_status task_relevance_jobs(struct task_call *call, struct task_relevance *relevance, const char *path,
                                    struct att_err *err) ATT_MUST_USE;
/* Tokens that were cut from the query and the documents. */
size_t task_relevance_dropped(const struct task_relevance *relevance);
/* After the first round of jobs: all logits, and the order by them. Sigmoids saturate and tie, logits do not. */
enum att_status task_relevance_rank(struct task_call *call, struct task_relevance *relevance,
                                    struct att_err *err) ATT_MUST_USE;
/* The windows of a document. */
const struct task_windows *task_relevance_windows(const struct task_relevance *relevance, size_t index);
/* The logit of windows among the jobs that were just run: a document's, or of what is left of it. */
float task_relevance_logit(const struct task_call *call, const struct task_relevance *relevance,
                           const struct task_windows *windows);
/* Its sigmoid. */
float task_relevance_score(float logit);

#endif
