/*
 * PUT /v1/models/{id}/items as application/x-ndjson: an item a line, a body of any
 * length, which comes in chunks. Every chunk is embedded and stored in a transaction
 * of its own; a line that is wrong fails alone. One result a line, then a summary.
 */
#include "tasks/recommend/items.h"

enum { WRITTEN, EMBEDDED }; /* the feed's counts */
static const char *const count_names[] = {[WRITTEN] = "written", [EMBEDDED] = "embedded", NULL};

static enum att_status read_item(struct task_call *call, struct items_call *items, struct items_line *line,
                                 struct att_err *err)
{
    struct store_catalogue_item *item = &items->items[items->n];
    size_t before = call->prompt_tokens;
    enum att_status status = task_items_parse(call, line->json, "", NULL, item, err);
    line->id = att_json_string(att_json_get(line->json, "id"), NULL);
    if (status != ATT_OK)
        return status;
    /* A chunk bounds all texts together; the limit of tokens is for each. */
    call->prompt_tokens = 0;
    status = task_items_plan(call, items, items->n, "text", err);
    call->prompt_tokens = before + (status == ATT_OK ? call->prompt_tokens : 0);
    items->n += status == ATT_OK;
    return status;
}

enum att_status task_items_lines_parse(struct task_call *call, struct items_call *items, struct att_err *err)
{
    struct task_feed *feed = call->feed;
    const char *text = NULL;
    size_t n = 1, begin = 0, len = 0;
    for (size_t i = 0; i < feed->len; i++)
        n += feed->text[i] == '\n';
    items->items = task_alloc(call, n, sizeof *items->items, err);
    items->lines = items->items ? task_alloc(call, n, sizeof *items->lines, err) : NULL;
    if (!items->lines)
        return err->status;
    call->bulk = true;
    enum att_status status = task_feed_results_parse(call, &items->results, err);
    if (status == ATT_OK)
        status = task_items_plan_begin(call, items, n, err);
    while (status == ATT_OK && task_feed_next(feed, &begin, &text, &len)) {
        struct items_line *line = &items->lines[items->n_lines++];
        line->number = feed->n_lines;
        status = task_feed_parse(feed, text, len, &line->json, err);
        if (status == ATT_OK)
            status = read_item(call, items, line, err);
        if (!task_feed_is_theirs(status))
            continue;
        line->err = task_feed_keep_error(call, err);
        status = line->err ? ATT_OK : err->status;
    }
    return status == ATT_OK ? task_items_plan_end(call, items, err) : status;
}

static void put_line(const struct items_line *line, struct att_jsonw *answer)
{
    att_jsonw_object_begin(answer);
    att_jsonw_put_size(answer, "line", line->number);
    att_jsonw_put_text(answer, "id", line->id);
    att_jsonw_put_text(answer, "status", line->err ? "error" : "written");
    if (line->err)
        task_feed_put_line_error(line->err, answer);
    att_jsonw_object_end(answer);
    task_feed_end_line(answer);
}

enum att_status task_items_lines_render(struct task_call *call, struct items_call *items, struct att_jsonw *answer,
                                        struct att_err *err)
{
    struct task_feed *feed = call->feed;
    enum att_status status = items->n > 0 ? task_items_write(call, items, err) : ATT_OK;
    if (status != ATT_OK)
        return status;
    call->content_type = "application/x-ndjson";
    feed->counts[WRITTEN] += items->n;
    feed->counts[EMBEDDED] += items->n_texts;
    for (size_t i = 0; i < items->n_lines; i++) {
        const struct items_line *line = &items->lines[i];
        if (task_feed_count(call, feed, items->results, line->err != NULL, answer->len))
            put_line(line, answer);
    }
    if (feed->is_last)
        task_feed_put_summary(feed, count_names, answer);
    return ATT_OK;
}
