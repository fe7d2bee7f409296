/*
 * Entries of a knowledge base as JSON, the same for PUT bodies and import files:
 *
 *   {"id":101,"question":"…","alternates":["…"],"answer":"…","lang":"en","source":"…",
 *    "metadata":{"topic":"delivery"},"prompts":[102],"context_only":false,"chitchat":false,
 *    "valid_from":"2026-12-01","valid_until":"2026-12-27T00:00:00+08:00"}
 *
 * or as a row of CSV (RFC 4180): alternates and prompts parted by |, metadata as JSON.
 */
#ifndef TASK_KB_ENTRY_H
#define TASK_KB_ENTRY_H

#include "store/kb.h"
#include "tasks/encode.h"

/* Of an entry: numbers are read as doubles, and this is the largest integer that no other one is read as. */
#define TASK_KB_ID_MAX ((INT64_C(1) << 53) - 1)

/* Checks every field; strings are the JSON document's or the arena's. `fixed_id` > 0 stands for "id" when the path of
 * the request names it. */
enum att_status task_kb_entry_parse(struct task_call *call, const struct att_json *value, const char *path,
                                    int64_t fixed_id, struct store_kb_entry *entry, struct att_err *err) ATT_MUST_USE;
void task_kb_entry_render(const struct store_kb_entry *entry, struct att_jsonw *answer);
/* The header line, and an entry as one row: what an import reads again as the same entry. */
void task_kb_csv_header(struct att_jsonw *answer);
void task_kb_csv_row(const struct store_kb_entry *entry, struct att_jsonw *answer);
/* One job a text of every entry (question first), each wanting its pooled vector. A text longer than the encoder is
 * refused: it could be matched by its beginning alone. Errors name `list`[i], or the text alone where list is "". */
enum att_status task_kb_entry_jobs(struct task_call *call, const struct task_model *encoder, const char *list,
                                   const struct store_kb_entry *entries, size_t n_entries,
                                   struct att_err *err) ATT_MUST_USE;
/* The same step by step: room for all of them, then the jobs of one entry, `i` in `list`, behind those that are there.
 */
enum att_status task_kb_entry_room(struct task_call *call, const struct store_kb_entry *entries, size_t n_entries,
                                   struct att_err *err) ATT_MUST_USE;
enum att_status task_kb_entry_add_jobs(struct task_call *call, const struct task_model *encoder, const char *list,
                                       size_t i, const struct store_kb_entry *entry, struct att_err *err) ATT_MUST_USE;
/* The finished jobs' vectors, one after the other, at unit length; in the arena. NULL: err. */
float *task_kb_entry_vectors(struct task_call *call, const struct task_model *encoder, struct att_err *err);

#endif
