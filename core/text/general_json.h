/* The parts of tokenizer.json that the general pipeline takes: the model, and the lists of steps. */
#ifndef ATT_TEXT_GENERAL_JSON_H
#define ATT_TEXT_GENERAL_JSON_H

#include "core/base/json.h"
#include "core/text/pipeline.h"

/* Whether this file's model or steps are not BERT's, which have a path of their own. */
bool att_general_wanted(const struct att_json *root);
/* Fills tokenizer->general and the vocabulary. Messages begin with "tokenizer.json: FIELD". */
enum att_status att_general_read(const struct att_json *root, const struct att_tokenizer_bounds *bounds,
                                 struct att_tokenizer *tokenizer, struct att_err *err) ATT_MUST_USE;

#endif
