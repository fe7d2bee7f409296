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
    float logit; /* set by task_relevance_rank */
};

struct task_relevance {
    const struct task_model *model;
    bool pairs; /* a cross-encoder */
    const char *query;
    size_t query_len;
    struct task_document *documents; /* [n] */
    size_t n, document_tokens_max;   /* documents are cut to it; 0: no limit */
    struct task_windows *windows;    /* bi-encoder: [1 + n], the query first; cross-encoder: [n] */
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
/* Sets all logits; *ret_order: [n] indices, most relevant first, ties by index. Sigmoids saturate and tie, logits do
 * not. */
enum att_status task_relevance_rank(struct task_call *call, struct task_relevance *relevance, size_t **ret_order,
                                    struct att_err *err) ATT_MUST_USE;

#endif
