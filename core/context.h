/* A context from the inside: shared by the files of the facade alone. */
#ifndef ATT_CONTEXT_H
#define ATT_CONTEXT_H

#include "core/model.h"

struct att_context {
    struct att_model *model;
    size_t max_tokens, max_seqs, bytes;
    size_t max_past;      /* tokens of a sequence that is written; 0: none are */
    struct att_team team; /* this thread, and those that help it */
    size_t space_bytes;   /* of the team's workspace, which lies behind the scratch */
    void *memory;         /* the scratch */
    void *buffers;        /* the architecture's struct of pointers into it */
    float *pooled, *logits;
    float *dense;            /* with Dense modules: as wide as pooled then, which they take turns with */
    int32_t *ids, *type_ids; /* staging of the caller */
    uint32_t *cu_seqlens;
    /* core/past.c: what a pass sees of its sequences' pasts, and the states whose logits are asked for */
    struct att_kv_cache view; /* rows of others */
    const float **cross;      /* [max_seqs] */
    uint32_t *cross_len;
    float *last, *last_logits; /* [ATT_PAST_LOGITS][hidden], [ATT_PAST_LOGITS][logits_size] */
};

enum { ATT_PAST_LOGITS = 8 }; /* sequences whose logits are computed together */

/* core/past.c: takes its part of the scratch. */
void att_past_plan(struct att_context *context, struct att_scratch *scratch);

#endif
