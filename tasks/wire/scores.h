/* One classification head as other servers know it: they serve one a model, here it is the model's first. */
#ifndef TASK_WIRE_SCORES_H
#define TASK_WIRE_SCORES_H

#include "tasks/window.h"

/* The model's first head; ATT_EINVAL names "model" when it has none. */
enum att_status task_wire_head(const struct task_model *model, const struct att_head_info **ret_head,
                               struct att_err *err) ATT_MUST_USE;
/* scores[n_labels] of the head from all logits of the model: softmax, or sigmoid where several labels hold at once or
 * there is but one; the logits themselves when `raw`. */
void task_wire_scores(const struct att_head_info *head, const float *logits, bool raw, float *scores);

#endif
