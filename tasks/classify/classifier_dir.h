/* A trained classifier as a model directory: attend.json and model.safetensors with heads.default.{weight,bias}, over a
 * model that it names. */
#ifndef TASK_CLASSIFIER_DIR_H
#define TASK_CLASSIFIER_DIR_H

#include "tasks/classify/trainer.h"
#include "tasks/task.h"

struct task_classifier {
    const struct task_model *model; /* the encoder */
    const char **labels;
    size_t n_labels, n_examples, n_outside;
    bool multi_label;
    int64_t created_s;
    struct task_head head;
};

/* Makes parent/name; with `replaces` in the place of what may stand there, to be settled (store/folder.h). */
enum att_status task_classifier_write(const struct task_classifier *classifier, const char *parent, const char *name,
                                      bool replaces, struct att_err *err) ATT_MUST_USE;
/* Members of the open object: model, labels, examples, how it abstains, and "cross_validation". */
void task_classifier_render(const struct task_classifier *classifier, struct att_jsonw *answer);

#endif
