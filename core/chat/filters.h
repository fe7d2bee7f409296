/* Filters (x|name), tests (x is name) and methods (x.name()): their names and what they do. */
#ifndef ATT_CHAT_FILTERS_H
#define ATT_CHAT_FILTERS_H

#include "core/chat/run.h"

/* The parser refuses what is not known. */
bool att_chat_filter_known(struct att_text name);
bool att_chat_test_known(struct att_text name);
/* Whether values of this kind have a method of this name. */
bool att_chat_method_known(struct att_value of, struct att_text name);

bool att_run_filter(struct att_run *run, struct att_text name, struct att_value of,
                    const struct att_arguments *arguments, struct att_value *ret);
bool att_run_test(struct att_run *run, struct att_text name, struct att_value of, const struct att_arguments *arguments,
                  bool *ret);
bool att_run_method(struct att_run *run, struct att_value of, struct att_text name,
                    const struct att_arguments *arguments, struct att_value *ret);

#endif
