/* A small world for task tests: three tiny models, and calls from JSON text to parsed answers. */
#ifndef TESTS_TASKS_FIXTURE_H
#define TESTS_TASKS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/attend.h"
#include "tasks/task.h"

/* Models: "plain" (one head of 3 labels, 64 tokens), "encoder" (embeds, 48 tokens), "heads" (adapter over encoder:
 * sentiment with polarity and an out-of-scope label, topics with several labels at once; strips links). The default
 * is "plain" to classify and "encoder" for the rest. */
int fixture_start(void **state);
int fixture_stop(void **state);

extern struct task_env fixture_env;
struct att_model *fixture_model(const char *name);

/* Runs a body and parses the answer; fails the test with the message when the task refuses. A body that begins with {'
 * has ' for ". */
struct att_json *fixture_answer(const struct task *task, const char *body);
/* Runs a body that must be refused with this status, this param and a message that holds `words`. */
void fixture_refused(const struct task *task, const char *body, enum att_status status, const char *param,
                     const char *words);
/* A member by path: "data.0.heads.sentiment.label". Fails the test when it is absent. */
const struct att_json *fixture_at(const struct att_json *root, const char *path);
const char *fixture_text(const struct att_json *root, const char *path);
double fixture_number(const struct att_json *root, const char *path);
/* `count` times `word` and a blank, in a body where %s stands. Free with free. */
char *fixture_body(const char *format, const char *word, size_t count);

#endif
