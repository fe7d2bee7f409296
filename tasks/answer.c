/* What every answer carries: an id, the model's fingerprint, usage and times. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "tasks/task.h"

void task_id_make(const char *prefix, char text[TASK_ID_BYTES])
{
    unsigned char random[12] = {0};
    char hex[2 * sizeof random + 1] = "";
    /* getrandom of 12 bytes neither blocks after boot nor fails. */
    if (getrandom(random, sizeof random, 0) == (ssize_t)sizeof random)
        att_hex(random, sizeof random, hex);
    snprintf(text, TASK_ID_BYTES, "%s-%s", prefix, hex);
}

void task_render_id(struct att_jsonw *answer, const char *prefix)
{
    char text[TASK_ID_BYTES];
    task_id_make(prefix, text);
    att_jsonw_put_text(answer, "id", text);
}

void task_event_begin(struct att_jsonw *events)
{
    att_jsonw_append(events, "data: ", 6);
    events->comma = false;
}

void task_event_end(struct att_jsonw *events)
{
    att_jsonw_append(events, "\n\n", 2);
    events->comma = false;
}

void task_render_fingerprint(struct att_jsonw *answer, const struct task_model *model)
{
    char text[256], digest[65];
    snprintf(text, sizeof text, "%s %s", att_model_info(model->model)->digest,
             att_kernel_names(att_model_info(model->model)->dtype));
    att_digest(text, strlen(text), digest);
    att_jsonw_put_string(answer, "system_fingerprint", digest, 16);
}

static void put_ms(struct att_jsonw *answer, const char *name, uint64_t us)
{
    att_jsonw_put_double(answer, name, (double)us / 1000.0, 6);
}

void task_render_usage(const struct task_call *call, struct att_jsonw *answer)
{
    att_jsonw_key(answer, "usage");
    att_jsonw_object_begin(answer);
    att_jsonw_put_size(answer, "prompt_tokens", call->prompt_tokens);
    att_jsonw_put_int(answer, "total_tokens", (int64_t)(call->prompt_tokens + call->explain_tokens));
    att_jsonw_object_end(answer);
    task_render_timing(call, answer);
}

void task_render_timing(const struct task_call *call, struct att_jsonw *answer)
{
    att_jsonw_key(answer, "timing_ms");
    att_jsonw_object_begin(answer);
    put_ms(answer, "tokenize", call->timing.tokenize_us);
    put_ms(answer, "queue", call->timing.queue_us);
    put_ms(answer, "compute", call->timing.compute_us);
    put_ms(answer, "total", call->timing.total_us);
    att_jsonw_object_end(answer);
}
