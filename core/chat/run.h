/* One rendering: what its parts share. Every function that returns bool has set the run's error when it is false. */
#ifndef ATT_CHAT_RUN_H
#define ATT_CHAT_RUN_H

#include "core/chat/tree.h"

struct att_frame {
    struct att_frame *outer;
    struct att_dict variables;
};

struct att_run {
    struct att_arena arena;
    const struct att_chat_input *input;
    struct att_frame *frame, *top; /* the innermost; that of the template itself, which macros see */
    struct att_chat_buffer *out;
    size_t steps; /* left */
    int depth;
    enum { ATT_JUMP_NONE, ATT_JUMP_BREAK, ATT_JUMP_CONTINUE } jump;
    unsigned line;
    struct att_err *err;
};

/* Arguments as they were written. */
struct att_arguments {
    struct att_value *values; /* [n], those without a name first */
    const struct att_text *names;
    size_t n;
};

/* "chat_template: line N: …" */
bool att_run_fail(struct att_run *run, enum att_status status, const char *format, ...) ATT_PRINTF(3, 4);
bool att_run_no_memory(struct att_run *run);
/* Whether a buffer took all that was written to it. */
bool att_run_written(struct att_run *run, const struct att_chat_buffer *buffer);
struct att_chat_buffer att_run_buffer(struct att_run *run);
/* One more step; false above the limit. */
bool att_run_step(struct att_run *run);
/* A step into a node, which bounds the depth; who goes back takes 1 from run->depth. */
bool att_run_enter(struct att_run *run, const struct att_node *node);

bool att_run_evaluate(struct att_run *run, const struct att_node *node, struct att_value *ret);
bool att_run_arguments(struct att_run *run, const struct att_node *node, struct att_arguments *ret);
bool att_run_statement(struct att_run *run, const struct att_node *node);
bool att_run_macro(struct att_run *run, const struct att_node *macro, const struct att_arguments *arguments,
                   struct att_value *ret);
/* The function of this name that every template has; false: none. */
bool att_run_function(const struct att_run *run, struct att_text name, struct att_value *ret);
bool att_run_call(struct att_run *run, const struct att_node *node, struct att_value *ret);
bool att_run_binary(struct att_run *run, enum att_operator op, struct att_value a, struct att_value b,
                    struct att_value *ret);
bool att_run_slice(struct att_run *run, struct att_value of, const struct att_value parts[3], struct att_value *ret);

/* Arguments by parameter, [n_names]; those that are not given are absent. */
bool att_run_bind(struct att_run *run, const char *who, const struct att_arguments *arguments, const char *const *names,
                  size_t n_names, size_t n_required, struct att_value *ret);
bool att_value_absent(struct att_value value);
/* An argument that must be of a kind; absent: stays as it is. */
bool att_run_integer(struct att_run *run, const char *who, struct att_value value, int64_t *ret);
bool att_run_text(struct att_run *run, const char *who, struct att_value value, struct att_text *ret);

/* What a loop sees: the items of a list, the keys of a dictionary, the characters of a string. */
bool att_run_items(struct att_run *run, struct att_value of, struct att_list **ret);
/* of.name and of[key]; undefined when there is none. */
bool att_run_attribute(struct att_run *run, struct att_value of, struct att_text name, struct att_value *ret);
bool att_run_item(struct att_run *run, struct att_value of, struct att_value key, struct att_value *ret);
/* As str(). */
bool att_run_string(struct att_run *run, struct att_value value, struct att_text *ret);

struct att_value att_value_boolean(bool truth);
struct att_value att_value_integer(int64_t integer);
struct att_value att_value_undefined(struct att_text name);
struct att_value att_value_list(struct att_list *list);

#endif
