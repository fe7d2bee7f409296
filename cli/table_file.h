/* Entries of a knowledge base, or items of a recommender, from a file, as JSON objects: lines of JSONL as they are,
 * rows of CSV converted. */
#ifndef CLI_TABLE_FILE_H
#define CLI_TABLE_FILE_H

#include "core/attend.h"

struct cli_table_file {
    char **entries;  /* JSON objects as text, NUL-terminated */
    size_t *numbers; /* the line where each begins, from 1 */
    size_t count, capacity;
};

/* What the columns of a CSV are; one that no list has becomes a member of metadata, and "metadata" holds an object.
 * Lists end with NULL. */
struct cli_columns {
    const char *const *required;
    const char *const *texts;
    const char *const *values;                           /* true, false and numbers as such */
    const char *const *text_lists, *const *number_lists; /* parted by |; \| and \\ stand for | and \ */
    bool always_metadata;                                /* also where no column has any; else it is left out then */
};
extern const struct cli_columns cli_kb_columns, cli_item_columns;

/* By the name's ending: .jsonl, or .csv (RFC 4180, UTF-8) with a header line. Free with cli_table_file_finish, also
 * after a failure. */
enum att_status cli_table_file_read(const char *path, const struct cli_columns *columns, struct cli_table_file *file,
                                    struct att_err *err) ATT_MUST_USE;
void cli_table_file_finish(struct cli_table_file *file);

#endif
