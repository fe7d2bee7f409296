/* Writing CSV, RFC 4180. Reading it is cli/table_file.c's. */
#ifndef TASK_CSV_H
#define TASK_CSV_H

#include "core/base/json.h"

/* A field, quoted where it has to be. */
void task_csv_field(struct att_jsonw *answer, const char *text);
/* The bytes inside a quoted field: a quote stands for itself twice. */
void task_csv_inside(struct att_jsonw *answer, const char *text);

#endif
