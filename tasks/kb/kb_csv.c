/* Entries as CSV, RFC 4180; see kb_entry.h. Reading it is cli/table_file.c's. */
#include <stdio.h>
#include <string.h>

#include "core/base/date.h"
#include "core/base/jsonw.h"
#include "tasks/csv.h"
#include "tasks/kb/kb_entry.h"

static void put(struct att_jsonw *answer, const char *text)
{
    att_jsonw_append(answer, text, strlen(text));
}

/* Parted by |, with \ before a | or \ that is the text's own. */
static void put_alternates(struct att_jsonw *answer, const struct store_kb_entry *entry)
{
    put(answer, "\"");
    for (size_t i = 0; i < entry->n_alternates; i++) {
        if (i > 0)
            put(answer, "|");
        for (const char *c = entry->alternates[i]; *c; c++) {
            const char one[2] = {*c, '\0'};
            if (*c == '|' || *c == '\\')
                put(answer, "\\");
            task_csv_inside(answer, one);
        }
    }
    put(answer, "\"");
}

static void put_time(struct att_jsonw *answer, int64_t unix_s)
{
    char text[ATT_DATE_BYTES];
    put(answer, ",");
    if (unix_s == 0)
        return;
    att_date_format(unix_s, text);
    put(answer, text);
}

void task_kb_csv_header(struct att_jsonw *answer)
{
    put(answer, "id,lang,question,alternates,answer,source,metadata,prompts,context_only,chitchat,valid_from,"
                "valid_until\r\n");
}

void task_kb_csv_row(const struct store_kb_entry *entry, struct att_jsonw *answer)
{
    char number[32];
    snprintf(number, sizeof number, "%lld,", (long long)entry->id);
    put(answer, number);
    task_csv_field(answer, entry->lang);
    put(answer, ",");
    task_csv_field(answer, entry->question);
    put(answer, ",");
    put_alternates(answer, entry);
    put(answer, ",");
    task_csv_field(answer, entry->answer);
    put(answer, ",");
    task_csv_field(answer, entry->source);
    put(answer, ",");
    task_csv_field(answer, strcmp(entry->metadata, "{}") == 0 ? "" : entry->metadata);
    for (size_t i = 0; i < entry->n_prompts; i++) {
        snprintf(number, sizeof number, "%s%lld", i > 0 ? "|" : ",", (long long)entry->prompts[i]);
        put(answer, number);
    }
    put(answer, entry->n_prompts > 0 ? "," : ",,");
    put(answer, entry->context_only ? "true" : "false");
    put(answer, entry->chitchat ? ",true" : ",false");
    put_time(answer, entry->valid_from);
    put_time(answer, entry->valid_until);
    put(answer, "\r\n");
}
