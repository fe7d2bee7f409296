/*
 * PUT /v1/kb/{kb}/entries as application/x-ndjson: an entry a line, as an export writes
 * them, a body of any length, which comes in chunks. Every chunk is embedded and stored
 * in a transaction of its own; a line that is wrong fails alone. One result a line, then
 * a summary.
 */
#include "tasks/kb/kb_lines.h"

#include <math.h>

#include "tasks/feed.h"

enum { WRITTEN }; /* the feed's counts */
static const char *const count_names[] = {[WRITTEN] = "written", NULL};

struct line {
    size_t number; /* from 1 */
    struct att_json *json;
    int64_t id;                /* 0: it says none */
    const struct att_err *err; /* why it is not taken; NULL: it is */
};

struct lines {
    struct line *list;
    size_t n;
    enum task_feed_results results;
};

/* Errors that are the sender's stay with the line. */
static enum att_status keep(struct task_call *call, struct line *line, enum att_status status, struct att_err *err)
{
    if (!task_feed_is_theirs(status))
        return status;
    line->err = task_feed_keep_error(call, err);
    return line->err ? ATT_OK : err->status;
}

static enum att_status read_entry(struct task_call *call, struct lines *lines, struct line *line, struct att_err *err)
{
    struct task_kb_call *kb_call = call->state;
    struct store_kb_entry *entry = &kb_call->entries[kb_call->n_entries];
    double id = att_json_number(att_json_get(line->json, "id"), 0);
    line->id = id >= 1 && id <= (double)TASK_KB_ID_MAX && floor(id) >= id ? (int64_t)id : 0;
    enum att_status status = task_kb_entry_parse(call, line->json, "", 0, entry, err);
    if (status != ATT_OK)
        return status;
    for (size_t i = 0; i + 1 < lines->n; i++)
        if (!lines->list[i].err && lines->list[i].id == entry->id)
            return att_err_param(err, ATT_EINVAL, "id", "id: %lld stands on line %zu already", (long long)entry->id,
                                 lines->list[i].number);
    kb_call->n_entries++;
    return ATT_OK;
}

/* The entries' jobs; one whose text the encoder does not read goes out again. */
static enum att_status plan(struct task_call *call, struct lines *lines, struct att_err *err)
{
    struct task_kb_call *kb_call = call->state;
    size_t kept = 0, tokens = call->prompt_tokens;
    enum att_status status = task_kb_entry_room(call, kb_call->entries, kb_call->n_entries, err);
    for (size_t i = 0, entry = 0; status == ATT_OK && i < lines->n; i++) {
        struct line *line = &lines->list[i];
        if (line->err)
            continue;
        size_t jobs = call->n_jobs;
        call->prompt_tokens = 0; /* a chunk bounds all texts together; the limit of tokens is for each entry */
        kb_call->entries[kept] = kb_call->entries[entry++];
        status = task_kb_entry_add_jobs(call, kb_call->kb->encoder, "", 0, &kb_call->entries[kept], err);
        status = keep(call, line, status, err);
        if (line->err) {
            call->n_jobs = jobs;
            continue;
        }
        tokens += call->prompt_tokens;
        kept++;
    }
    call->prompt_tokens = tokens;
    kb_call->n_entries = kept;
    return status;
}

enum att_status task_kb_lines_parse(struct task_call *call, struct att_err *err)
{
    struct task_kb_call *kb_call = call->state;
    struct task_feed *feed = call->feed;
    struct lines *lines = task_alloc(call, 1, sizeof *lines, err);
    const char *text = NULL;
    size_t n = 1, begin = 0, len = 0;
    for (size_t i = 0; i < feed->len; i++)
        n += feed->text[i] == '\n';
    if (lines)
        lines->list = task_alloc(call, n, sizeof *lines->list, err);
    kb_call->entries = lines && lines->list ? task_alloc(call, n, sizeof *kb_call->entries, err) : NULL;
    if (!kb_call->entries)
        return err->status;
    kb_call->state = lines;
    call->bulk = true;
    enum att_status status = task_feed_results_parse(call, &lines->results, err);
    while (status == ATT_OK && task_feed_next(feed, &begin, &text, &len)) {
        struct line *line = &lines->list[lines->n++];
        line->number = feed->n_lines;
        status = task_feed_parse(feed, text, len, &line->json, err);
        if (status == ATT_OK)
            status = read_entry(call, lines, line, err);
        status = keep(call, line, status, err);
    }
    return status == ATT_OK ? plan(call, lines, err) : status;
}

void task_kb_lines_finish(struct task_call *call)
{
    struct task_kb_call *kb_call = call->state;
    struct lines *lines = kb_call ? kb_call->state : NULL;
    for (size_t i = 0; lines && i < lines->n; i++)
        att_json_destroy(lines->list[i].json);
}

static void put_line(const struct line *line, struct att_jsonw *answer)
{
    att_jsonw_object_begin(answer);
    att_jsonw_put_size(answer, "line", line->number);
    att_jsonw_key(answer, "id");
    if (line->id)
        att_jsonw_int(answer, line->id);
    else
        att_jsonw_null(answer);
    att_jsonw_put_text(answer, "status", line->err ? "error" : "written");
    if (line->err)
        task_feed_put_line_error(line->err, answer);
    att_jsonw_object_end(answer);
    task_feed_end_line(answer);
}

enum att_status task_kb_lines_render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct task_kb_call *kb_call = call->state;
    struct task_feed *feed = call->feed;
    const struct lines *lines = kb_call->state;
    if (kb_call->n_entries > 0) {
        float *vectors = task_kb_entry_vectors(call, kb_call->kb->encoder, err);
        if (!vectors)
            return err->status;
        enum att_status status =
            task_kb_told(store_kb_put(kb_call->kb->kb, kb_call->entries, kb_call->n_entries, vectors, false, err), err);
        if (status != ATT_OK)
            return status;
    }
    call->content_type = "application/x-ndjson";
    feed->counts[WRITTEN] += kb_call->n_entries;
    for (size_t i = 0; i < lines->n; i++) {
        const struct line *line = &lines->list[i];
        if (task_feed_count(call, feed, lines->results, line->err != NULL, answer->len))
            put_line(line, answer);
    }
    if (feed->is_last)
        task_feed_put_summary(feed, count_names, answer);
    return ATT_OK;
}
