/* See csv.h. */
#include "tasks/csv.h"

#include <string.h>

#include "core/base/jsonw.h"

void task_csv_inside(struct att_jsonw *answer, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\"");
        att_jsonw_append(answer, text, len);
        text += len;
        if (*text == '"') {
            att_jsonw_append(answer, "\"\"", 2);
            text++;
        }
    }
}

void task_csv_field(struct att_jsonw *answer, const char *text)
{
    if (!text[strcspn(text, "\",\r\n")]) {
        att_jsonw_append(answer, text, strlen(text));
        return;
    }
    att_jsonw_append(answer, "\"", 1);
    task_csv_inside(answer, text);
    att_jsonw_append(answer, "\"", 1);
}
