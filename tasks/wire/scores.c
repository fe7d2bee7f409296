/* See scores.h. */
#include "tasks/wire/scores.h"

#include <math.h>
#include <string.h>

enum att_status task_wire_head(const struct task_model *model, const struct att_head_info **ret_head,
                               struct att_err *err)
{
    const struct att_model_info *info = att_model_info(model->model);
    if (info->n_head_infos == 0 || info->per_token)
        return att_err_param(err, ATT_EINVAL, "model", "model: \"%s\" has no classification head; see /v1/models",
                             model->name);
    *ret_head = &info->heads[0];
    return ATT_OK;
}

void task_wire_scores(const struct att_head_info *head, const float *logits, bool raw, float *scores)
{
    const float *own = logits + head->logits_begin;
    if (raw) {
        memcpy(scores, own, head->n_labels * sizeof *scores);
    } else if (head->multi_label || head->n_labels == 1) {
        for (size_t i = 0; i < head->n_labels; i++)
            scores[i] = 1.0f / (1.0f + expf(-own[i] / head->temperature));
    } else {
        att_softmax(head->n_labels, own, head->temperature, scores);
    }
}
