/* Reading the lists of steps from tokenizer.json. Messages begin with "FILE: " and name the field. */
#ifndef ATT_TEXT_STEPS_JSON_H
#define ATT_TEXT_STEPS_JSON_H

#include "core/base/json.h"
#include "core/text/steps.h"

enum att_step_list { ATT_NORMALIZERS, ATT_PRE_TOKENIZERS, ATT_DECODERS };

/* One section: a step, a Sequence of steps, or null. `file` is for messages. */
enum att_status att_steps_read(enum att_step_list list, const struct att_json *section, const char *file,
                               struct att_steps *steps, struct att_err *err) ATT_MUST_USE;

#endif
