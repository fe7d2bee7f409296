/*
 * A small world of real parts for tests and fuzz targets that run any task in
 * process: models "plain" (classifies), "encoder", "heads" (adapter of it) and
 * "movies" (recommender with a table of items), and the knowledge base "shop".
 */
#ifndef TESTS_FAULT_WORLD_H
#define TESTS_FAULT_WORLD_H

#include "store/kb.h"
#include "tasks/task.h"

/* Everything, with a folder of its own. Once a process. */
enum att_status world_open(struct att_err *err) ATT_MUST_USE;
void world_close(void);
/* Opens it until the program ends, which it does at once where it cannot be opened. */
void world_start(void);

extern struct task_env world_env;

/* The tasks that routes name. */
const struct task *world_task(size_t i);
size_t world_tasks(void);
/* Whether the task reads a body. */
bool world_takes_body(size_t i);

/* parse, all rounds of jobs one by one, render. Path parameters are "shop" and `id`. body NULL: none. The answer may be
 * empty; free it with att_mem_free. */
enum att_status world_run(const struct task *task, const char *id, const struct att_json *body, char **ret_answer,
                          size_t *ret_len, struct att_err *err) ATT_MUST_USE;
/* The same for a body of lines in chunks of at most chunk_lines of them, as the daemon cuts it: path parameters and
 * query as there. The answer is that of all chunks. */
enum att_status world_feed(const struct task *task, const char *lines, size_t len, size_t chunk_lines,
                           char **ret_answer, size_t *ret_len, struct att_err *err) ATT_MUST_USE;
struct store_kb *world_kb(void);
const char *world_folder(void);

#endif
