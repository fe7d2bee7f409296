/*
 * Administration of knowledge bases: what writes. Reading is kb_read.c's.
 *
 *   PUT    /v1/kb/{kb}                {"entries":[…]}   replaces everything
 *   PUT    /v1/kb/{kb}/entries        {"entries":[…]}   inserts or replaces by id; as lines: kb_lines.c
 *   PUT    /v1/kb/{kb}/entries/{id}   {entry}           the same for one
 *   DELETE /v1/kb/{kb}                removes all entries; …/entries/{id} one
 *
 * A write embeds every question and alternate first (jobs), then stores all of
 * them in one transaction: it is acknowledged when it is durable.
 */
#include "tasks/kb/kb_lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum att_status path_id(struct task_call *call, int64_t *ret_id, struct att_err *err)
{
    const char *text = call->path_params[1];
    char *end = NULL;
    long long id = text && *text >= '1' && *text <= '9' && strlen(text) <= 16 ? strtoll(text, &end, 10) : 0;
    if (id < 1 || id > TASK_KB_ID_MAX || (end && *end))
        return att_err_param(err, ATT_ENOTFOUND, "id", "id: expected an entry's number");
    *ret_id = id;
    return ATT_OK;
}

enum att_status task_kb_begin(struct task_call *call, bool with_id, struct task_kb_call **ret, struct att_err *err)
{
    struct task_kb_call *kb_call = task_alloc(call, 1, sizeof *kb_call, err);
    if (!kb_call)
        return err->status;
    call->state = kb_call;
    kb_call->kb = call->env->find_kb(call->env->context, call->path_params[0]);
    if (!kb_call->kb)
        return att_err_param(err, ATT_ENOTFOUND, "kb", "kb: no knowledge base of this name is configured");
    call->model = kb_call->kb->encoder;
    *ret = kb_call;
    return with_id ? path_id(call, &kb_call->id, err) : ATT_OK;
}

void task_kb_finish(struct task_call *call)
{
    struct task_kb_call *kb_call = call->state;
    if (kb_call && kb_call->view)
        store_kb_view_release(kb_call->kb->kb, kb_call->view);
}

/* ---- writing ---- */

static enum att_status parse_entries(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const fields[] = {"entries", NULL};
    struct task_kb_call *kb_call = NULL;
    enum att_status status = task_kb_begin(call, false, &kb_call, err);
    call->writes = true;
    if (status == ATT_OK && call->feed)
        return task_kb_lines_parse(call, err);
    if (status == ATT_OK)
        status = task_fields_known(body, "", fields, err);
    if (status != ATT_OK)
        return status;
    const struct att_json *list = att_json_get(body, "entries");
    size_t n = 0;
    status = task_field_array(list, "entries", "entries", true, call->env->limits.items_max, &n, err);
    if (status != ATT_OK)
        return status;
    kb_call->entries = task_alloc(call, n, sizeof *kb_call->entries, err);
    if (!kb_call->entries)
        return err->status;
    kb_call->n_entries = n;
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        char path[40];
        snprintf(path, sizeof path, "entries[%zu]", i);
        status = task_kb_entry_parse(call, att_json_at(list, i), path, 0, &kb_call->entries[i], err);
        snprintf(path, sizeof path, "entries[%zu].id", i);
        for (size_t j = 0; status == ATT_OK && j < i; j++)
            if (kb_call->entries[j].id == kb_call->entries[i].id)
                status = att_err_param(err, ATT_EINVAL, path, "%s: %lld stands in entries[%zu] already", path,
                                       (long long)kb_call->entries[i].id, j);
    }
    if (status == ATT_OK)
        status = task_kb_entry_jobs(call, kb_call->kb->encoder, "entries", kb_call->entries, n, err);
    return status;
}

static enum att_status parse_entry(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct task_kb_call *kb_call = NULL;
    enum att_status status = task_kb_begin(call, true, &kb_call, err);
    call->writes = true;
    if (status != ATT_OK)
        return status;
    kb_call->entries = task_alloc(call, 1, sizeof *kb_call->entries, err);
    if (!kb_call->entries)
        return err->status;
    kb_call->n_entries = 1;
    status = task_kb_entry_parse(call, body, "", kb_call->id, kb_call->entries, err);
    if (status == ATT_OK)
        status = task_kb_entry_jobs(call, kb_call->kb->encoder, "", kb_call->entries, 1, err);
    return status;
}

enum att_status task_kb_told(enum att_status status, struct att_err *err)
{
    return status == ATT_EBUSY
               ? att_err_set(err, ATT_EBUSY, "another process is writing to the knowledge base; try again later")
               : status;
}

static enum att_status write_entries(struct task_call *call, bool replace_all, struct att_jsonw *answer,
                                     struct att_err *err)
{
    struct task_kb_call *kb_call = call->state;
    float *vectors = task_kb_entry_vectors(call, kb_call->kb->encoder, err);
    if (!vectors)
        return err->status;
    enum att_status status = task_kb_told(
        store_kb_put(kb_call->kb->kb, kb_call->entries, kb_call->n_entries, vectors, replace_all, err), err);
    if (status != ATT_OK)
        return status;
    const struct store_kb_view *view = store_kb_view(kb_call->kb->kb);
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "kb", kb_call->kb->name);
    att_jsonw_put_size(answer, "written", kb_call->n_entries);
    att_jsonw_put_size(answer, "entries", view->n_entries);
    att_jsonw_object_end(answer);
    store_kb_view_release(kb_call->kb->kb, view);
    return ATT_OK;
}

static enum att_status render_replaced(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    return write_entries(call, true, answer, err);
}

static enum att_status render_merged(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    return call->feed ? task_kb_lines_render(call, answer, err) : write_entries(call, false, answer, err);
}

static void finish_merged(struct task_call *call)
{
    task_kb_lines_finish(call);
    task_kb_finish(call);
}

/* ---- removing ---- */

static enum att_status parse_remove_all(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct task_kb_call *kb_call = NULL;
    (void)body;
    call->writes = true;
    return task_kb_begin(call, false, &kb_call, err);
}

static enum att_status parse_remove_one(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct task_kb_call *kb_call = NULL;
    (void)body;
    call->writes = true;
    return task_kb_begin(call, true, &kb_call, err);
}

static enum att_status render_removed(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct task_kb_call *kb_call = call->state;
    bool removed = true;
    enum att_status status = kb_call->id ? store_kb_remove(kb_call->kb->kb, kb_call->id, &removed, err)
                                         : store_kb_clear(kb_call->kb->kb, err);
    status = task_kb_told(status, err);
    if (status == ATT_OK && !removed)
        status =
            att_err_param(err, ATT_ENOTFOUND, "id", "id: the knowledge base has no entry %lld", (long long)kb_call->id);
    if (status != ATT_OK)
        return status;
    att_jsonw_object_begin(answer);
    att_jsonw_put_bool(answer, "deleted", true);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

const struct task task_kb_put = {
    .name = "kb_put", .parse = parse_entries, .render = render_replaced, .finish = task_kb_finish};
const struct task task_kb_entries_put = {
    .name = "kb_entries_put", .parse = parse_entries, .render = render_merged, .finish = finish_merged};
const struct task task_kb_entry_put = {
    .name = "kb_entry_put", .parse = parse_entry, .render = render_merged, .finish = task_kb_finish};
const struct task task_kb_delete = {
    .name = "kb_delete", .parse = parse_remove_all, .render = render_removed, .finish = task_kb_finish};
const struct task task_kb_entry_delete = {
    .name = "kb_entry_delete", .parse = parse_remove_one, .render = render_removed, .finish = task_kb_finish};
