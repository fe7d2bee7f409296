/*
 * Any bytes as the body of a request to any task, over real tiny models, items
 * and a knowledge base: refused with a sentence, or answered with JSON. The
 * first byte chooses the task.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "fuzz/target.h"
#include "tests/fault/world.h"

enum { DEPTH = 32, ENTRIES_KEPT = 64 };

static bool is_refusal(enum att_status status)
{
    return status == ATT_EINVAL || status == ATT_ESYNTAX || status == ATT_EUNSUPPORTED || status == ATT_ENOTFOUND ||
           status == ATT_ELIMIT;
}

static void run(const struct task *task, const struct att_json *body)
{
    struct att_err err = {.message = ""};
    struct att_json *json = NULL;
    char *answer = NULL;
    size_t len = 0;
    enum att_status status = world_run(task, "1", body, &answer, &len, &err);
    if (status == ATT_OK) {
        check(strlen(answer) == len && att_json_parse(answer, len, 0, DEPTH + 8, &json, NULL) == ATT_OK);
        check(att_json_is_object(json) || att_json_is_array(json));
    } else {
        check(is_refusal(status) && err.status == status && err.message[0] && !answer);
    }
    att_json_destroy(json);
    att_mem_free(answer);
}

/* Views are copies of everything, so what earlier inputs wrote is cleared now and then. */
static void tidy_up(void)
{
    const struct store_kb_view *view = store_kb_view(world_kb());
    size_t n = view->n_entries;
    store_kb_view_release(world_kb(), view);
    if (n > ENTRIES_KEPT)
        check(store_kb_clear(world_kb(), NULL) == ATT_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static bool started;
    struct att_json *body = NULL;
    if (size == 0)
        return 0;
    if (!started)
        world_start();
    started = true;
    size_t i = (uint8_t)(bytes[0] - 'a') % world_tasks();
    if (!world_takes_body(i)) {
        run(world_task(i), NULL);
    } else if (att_json_parse((const char *)bytes + 1, size - 1, 0, DEPTH, &body, NULL) == ATT_OK) {
        if (att_json_is_object(body))
            run(world_task(i), body);
    }
    att_json_destroy(body);
    tidy_up();
    return 0;
}
