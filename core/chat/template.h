/*
 * Chat templates: the part of Jinja2 that Hugging Face models' templates use,
 * with the settings of transformers (trim_blocks, lstrip_blocks, loop controls).
 * A template is a stranger's program: what it may take is bounded, and syntax
 * that is not known is refused when it is parsed.
 */
#ifndef ATT_CHAT_TEMPLATE_H
#define ATT_CHAT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include <time.h>

#include "core/base/json.h"
#include "core/base/status.h"

enum {
    ATT_CHAT_SOURCE_MAX = 1 << 18, /* bytes of a template */
    ATT_CHAT_DEPTH_MAX = 200,      /* nested expressions, statements, calls, values */
    ATT_CHAT_STEPS_MAX = 5000000,  /* nodes run and values compared in one rendering */
    ATT_CHAT_MEMORY_MAX = 64 << 20,
};

struct att_chat_template;

/* Immutable once parsed; shared by threads. ATT_EUNSUPPORTED or ATT_EFORMAT: "chat_template: line N: …". */
enum att_status att_chat_template_parse(const char *source, size_t len, struct att_chat_template **ret_template,
                                        struct att_err *err) ATT_MUST_USE;
void att_chat_template_destroy(struct att_chat_template *template);

/* What a template sees. NULL: tools and documents are none, others are undefined. */
struct att_chat_input {
    const struct att_json *messages, *tools, *documents;
    const char *bos_token, *eos_token, *pad_token, *unk_token;
    bool add_generation_prompt;
    const struct att_json *extra; /* an object of further variables */
    const struct tm *now;         /* what strftime_now formats; NULL: the function is undefined */
};

/* The prompt, NUL-terminated (att_mem_free). ATT_EINVAL: the template's own raise_exception, word for word, or an error
 * in its run; ATT_ELIMIT above max_bytes or the limits above. */
enum att_status att_chat_template_render(const struct att_chat_template *template, const struct att_chat_input *input,
                                         size_t max_bytes, char **ret_text, size_t *ret_len,
                                         struct att_err *err) ATT_MUST_USE;

#endif
