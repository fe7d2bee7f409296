/* Heads of encoders; see head.h for their kinds. */
#include "core/arch/head.h"

#include <stdio.h>
#include <string.h>

#include "core/ops/norm.h"

static enum att_status unknown_class(const char *family, const struct att_head_class *classes, size_t n_classes,
                                     const char *class_name, struct att_err *err)
{
    char known[512];
    size_t at = 0;
    known[0] = '\0';
    for (size_t i = 0; i < n_classes && at < sizeof known; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s%s", i ? ", " : "", family, classes[i].suffix);
    return att_err_set(err, ATT_EUNSUPPORTED, "architectures: '%s' is not known, expected one of: %s", class_name,
                       known);
}

enum att_status att_head_configure(const char *family, const struct att_head_class *classes, size_t n_classes,
                                   enum att_act hidden_act, size_t n_labels, size_t set, struct att_head *head,
                                   struct att_arch_info *info, struct att_err *err)
{
    size_t family_len = strlen(family), c = 0;
    const char *name = info->class_name;
    if (*name)
        while (c < n_classes &&
               (strncmp(name, family, family_len) != 0 || strcmp(name + family_len, classes[c].suffix) != 0))
            c++;
    if (c == n_classes)
        return unknown_class(family, classes, n_classes, name, err);
    const struct att_head_class *class = &classes[c];
    head->kind = class->kind;
    head->act = class->act_of_config ? hidden_act : class->act;
    head->is_pooler = class->is_pooler;
    head->width = info->hidden_size;
    info->per_token = info->head_reads_all = head->kind >= ATT_HEAD_TOKEN;
    info->n_logits = head->kind == ATT_HEAD_NONE        ? 0
                     : head->kind == ATT_HEAD_MASKED_LM ? info->vocab_size
                     : head->kind == ATT_HEAD_SPAN      ? 2
                                                        : n_labels;
    info->has_pooler = class->is_pooler;
    info->sets[set].slots = class->slots;
    info->sets[set].n_slots = class->n_slots;
    return ATT_OK;
}

void att_head_plan(const struct att_head *head, const struct att_arch_info *info, const struct att_arch_limits *limits,
                   struct att_scratch *scratch, struct att_head_buffers *buffers)
{
    size_t rows = info->per_token ? limits->max_tokens : limits->max_seqs;
    buffers->in = att_scratch_take(scratch, limits->max_seqs * info->hidden_size, sizeof(float));
    buffers->dense = att_scratch_take(scratch, rows * head->width, sizeof(float));
    buffers->logits = att_scratch_take(scratch, rows * info->n_logits, sizeof(float));
}

void att_head_run(const struct att_head *head, const struct att_arch_info *info, const struct att_arch_batch *batch,
                  const float *x, const struct att_head_buffers *buffers, struct att_arch_output *output)
{
    size_t rows = batch->n_tokens, width = info->hidden_size;
    if (!info->per_token) {
        rows = batch->n_seqs;
        att_pool_run(head->mean ? ATT_POOL_KIND_MEAN : ATT_POOL_KIND_FIRST, false, batch->cu_seqlens, rows, width, x,
                     buffers->in);
        x = buffers->in;
    }
    if (head->dense.packed) {
        att_linear_run(batch->team, &head->dense, rows, x, width, buffers->dense, head->width, head->act, NULL, 0);
        if (head->norm.weight)
            att_norm_run(&head->norm, rows, head->width, head->eps, buffers->dense, buffers->dense);
        x = buffers->dense;
        width = head->width;
        if (head->is_pooler)
            output->pooler = buffers->dense;
    }
    if (head->kind == ATT_HEAD_NONE)
        return;
    att_linear_run(batch->team, &head->out, rows, x, width, buffers->logits, info->n_logits, ATT_ACT_NONE, NULL, 0);
    output->logits = buffers->logits;
}
