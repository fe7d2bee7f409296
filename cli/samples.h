/* Labelled texts of a file, for eval. */
#ifndef CLI_SAMPLES_H
#define CLI_SAMPLES_H

#include "cli/cli.h"

/* No label of this head; a text that is out of scope. Else the label's number; of a multi-label head 0, and its labels
 * stand in `several`. */
#define CLI_LABEL_NONE (SIZE_MAX - 1)
#define CLI_LABEL_OUTSIDE SIZE_MAX

struct cli_sample {
    char *text;
    size_t len;
    size_t *labels;         /* [n_head_infos] */
    unsigned char *several; /* [n_logits] of 0 and 1, from each multi-label head's logits_begin on */
};

struct cli_samples {
    struct cli_sample *items;
    size_t count, capacity;
};

/* Reads options->data: lines {"text","labels":{HEAD:LABEL}} or {"text","label"}, or a .tsv file with the columns label
 * and text under a header line. Of a multi-label head {HEAD:[LABEL,…]} or {"text","labels":[LABEL,…]}, [] being none of
 * them; a single label is a list of one. Plain labels belong to --head, else to the model's first head; --map OLD=NEW
 * renames. --outside names a label of texts that are out of scope. Another label that the head does not have is an
 * error. Free with cli_samples_finish, also after a failure. */
enum att_status cli_samples_read(const struct cli_options *options, const struct att_model_info *info,
                                 struct cli_samples *samples, struct att_err *err) ATT_MUST_USE;
/* What the classify task answers to samples begin .. end - 1. */
enum att_status cli_samples_ask(const struct cli_env *env, struct task_contexts *contexts,
                                const struct cli_samples *samples, size_t begin, size_t end,
                                struct att_json **ret_answer, struct att_err *err) ATT_MUST_USE;
void cli_samples_finish(struct cli_samples *samples);

#endif
