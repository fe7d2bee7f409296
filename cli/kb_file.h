/* Entries of a knowledge base from a file, as JSON objects: lines of JSONL as they are, rows of CSV converted. */
#ifndef CLI_KB_FILE_H
#define CLI_KB_FILE_H

#include "core/attend.h"

struct cli_kb_file {
    char **entries;  /* JSON objects as text, NUL-terminated */
    size_t *numbers; /* the line where each begins, from 1 */
    size_t count, capacity;
};

/*
 * By the name's ending: .jsonl, or .csv (RFC 4180, UTF-8) with a header line.
 * CSV columns: id, question, answer, alternates (parted by |), lang, source,
 * prompts (parted by |), context_only and chitchat (true/false), valid_from and
 * valid_until, metadata (a JSON object); any other column becomes a member of
 * metadata. Free with cli_kb_file_finish, also after a failure.
 */
enum att_status cli_kb_file_read(const char *path, struct cli_kb_file *file, struct att_err *err) ATT_MUST_USE;
void cli_kb_file_finish(struct cli_kb_file *file);

#endif
