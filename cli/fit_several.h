/* Temperature and thresholds of a multi-label head, for attend fit. */
#ifndef CLI_FIT_SEVERAL_H
#define CLI_FIT_SEVERAL_H

#include "tasks/classify/quality.h"

struct cli_fit_several {
    double temperature, *thresholds;           /* [n_labels] */
    bool *kept;                                /* [n_labels] no threshold is sure of the wanted precision */
    struct task_quality_several before, after; /* of the rows that did not fit */
    struct task_label_count *counts;           /* [n_labels] of the same, after */
    size_t rows;                               /* of the same */
};

/* From logits and labels, [n][n_labels]: every other row fits. precision 0: the thresholds with the largest F1. Free
 * with cli_fit_several_finish, also after a failure. */
enum att_status cli_fit_several(const struct att_head_info *head, const float *logits, const unsigned char *several,
                                size_t n, double precision, struct cli_fit_several *ret,
                                struct att_err *err) ATT_MUST_USE;
/* "threshold" and "fitted" of the open object. */
void cli_fit_several_render(const struct cli_fit_several *fit, const struct att_head_info *head, struct att_jsonw *w);
void cli_fit_several_print(const struct cli_fit_several *fit, const struct att_head_info *head);
void cli_fit_several_finish(struct cli_fit_several *fit);

#endif
