/*
 * Reading a knowledge base.
 *
 *   GET /v1/kb/{kb}                its facts
 *   GET /v1/kb/{kb}/entries        ?limit=&after=&lang=&state=&contains=   entries by id, a page at a time
 *   GET /v1/kb/{kb}/entries/{id}   one
 *   GET /v1/kb/{kb}/export         ?format=jsonl|csv   all of them, as an import reads them
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/jsonw.h"
#include "tasks/kb/kb_call.h"

enum state { VALID, PENDING, EXPIRED };

static enum state state_of(const struct store_kb_entry *entry, int64_t now_s)
{
    return now_s < entry->valid_from ? PENDING : store_kb_valid(entry, now_s) ? VALID : EXPIRED;
}

/* ---- facts ---- */

static enum att_status parse_read(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct task_kb_call *kb_call = NULL;
    (void)body;
    enum att_status status = task_kb_begin(call, false, &kb_call, err);
    if (status == ATT_OK)
        kb_call->view = store_kb_view(kb_call->kb->kb);
    return status;
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* {"en":157,"zh":157}: entries of each language. */
static enum att_status put_languages(struct task_call *call, const struct store_kb_view *view, struct att_jsonw *answer,
                                     struct att_err *err)
{
    const char **langs = task_alloc(call, view->n_entries + 1, sizeof *langs, err);
    if (!langs)
        return err->status;
    for (size_t i = 0; i < view->n_entries; i++)
        langs[i] = view->entries[i].lang;
    qsort(langs, view->n_entries, sizeof *langs, by_text);
    att_jsonw_object_begin(answer);
    for (size_t i = 0; i < view->n_entries;) {
        size_t first = i;
        while (i < view->n_entries && strcmp(langs[first], langs[i]) == 0)
            i++;
        att_jsonw_put_int(answer, langs[first], (int64_t)(i - first));
    }
    att_jsonw_object_end(answer);
    return ATT_OK;
}

/* Entries that do not answer now, and those that are small talk. */
static void put_counts(const struct store_kb_view *view, int64_t now_s, struct att_jsonw *answer)
{
    int64_t chitchat = 0, pending = 0, expired = 0;
    for (size_t i = 0; i < view->n_entries; i++) {
        enum state state = state_of(&view->entries[i], now_s);
        chitchat += view->entries[i].chitchat;
        pending += state == PENDING;
        expired += state == EXPIRED;
    }
    att_jsonw_put_int(answer, "chitchat", chitchat);
    att_jsonw_put_int(answer, "pending", pending);
    att_jsonw_put_int(answer, "expired", expired);
}

static enum att_status render_facts(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct task_kb_call *kb_call = call->state;
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "kb", kb_call->kb->name);
    att_jsonw_put_size(answer, "entries", kb_call->view->n_entries);
    att_jsonw_put_size(answer, "texts", kb_call->view->n_texts);
    att_jsonw_key(answer, "languages");
    enum att_status status = put_languages(call, kb_call->view, answer, err);
    att_jsonw_put_text(answer, "encoder", kb_call->kb->encoder->name);
    put_counts(kb_call->view, call->now_ms / 1000, answer);
    att_jsonw_key(answer, "fit");
    if (kb_call->view->fit)
        att_jsonw_raw(answer, kb_call->view->fit, strlen(kb_call->view->fit));
    else
        att_jsonw_null(answer);
    att_jsonw_object_end(answer);
    return status;
}

/* ---- entries ---- */

struct listing {
    int64_t after, limit;
    const char *lang, *contains; /* NULL: any */
    size_t state;                /* 0: any, else 1 + enum state */
};

static enum att_status parse_list(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const names[] = {"limit", "after", "lang", "state", "contains", NULL};
    static const char *const states[] = {"any", "valid", "pending", "expired", NULL};
    struct task_kb_call *kb_call = NULL;
    enum att_status status = parse_read(call, body, err);
    if (status != ATT_OK)
        return status;
    kb_call = call->state;
    struct listing *listing = task_alloc(call, 1, sizeof *listing, err);
    if (!listing)
        return err->status;
    kb_call->state = listing;
    listing->limit = INT64_MAX;
    status = task_query_known(call, names, err);
    if (status == ATT_OK)
        status = task_query_int(call, "limit", 1, 1000000, &listing->limit, err);
    if (status == ATT_OK)
        status = task_query_int(call, "after", 0, TASK_KB_ID_MAX, &listing->after, err);
    if (status == ATT_OK)
        status = task_query_enum(call, "state", states, &listing->state, err);
    listing->lang = task_query_text(call, "lang");
    listing->contains = task_query_text(call, "contains");
    return status;
}

static bool holds(const struct store_kb_entry *entry, const char *text)
{
    bool found = strcasestr(entry->question, text) || strcasestr(entry->answer, text);
    for (size_t i = 0; !found && i < entry->n_alternates; i++)
        found = strcasestr(entry->alternates[i], text) != NULL;
    return found;
}

static bool is_listed(const struct listing *listing, const struct store_kb_entry *entry, int64_t now_s)
{
    return entry->id > listing->after && (!listing->lang || strcmp(listing->lang, entry->lang) == 0) &&
           (listing->state == 0 || state_of(entry, now_s) == (enum state)(listing->state - 1)) &&
           (!listing->contains || holds(entry, listing->contains));
}

/* The ids of the page's entries in this state. */
static void put_state(const struct task_call *call, const char *name, enum state state, int64_t last,
                      struct att_jsonw *answer)
{
    const struct task_kb_call *kb_call = call->state;
    const struct store_kb_view *view = kb_call->view;
    att_jsonw_key(answer, name);
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < view->n_entries && view->entries[i].id <= last; i++)
        if (is_listed(kb_call->state, &view->entries[i], call->now_ms / 1000) &&
            state_of(&view->entries[i], call->now_ms / 1000) == state)
            att_jsonw_int(answer, view->entries[i].id);
    att_jsonw_array_end(answer);
}

static enum att_status render_list(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct task_kb_call *kb_call = call->state;
    const struct listing *listing = kb_call->state;
    const struct store_kb_view *view = kb_call->view;
    int64_t total = 0, given = 0, last = 0;
    (void)err;
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "kb", kb_call->kb->name);
    att_jsonw_key(answer, "entries");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < view->n_entries; i++) {
        if (!is_listed(listing, &view->entries[i], call->now_ms / 1000))
            continue;
        total++;
        if (given == listing->limit)
            continue;
        task_kb_entry_render(&view->entries[i], answer);
        last = view->entries[i].id;
        given++;
    }
    att_jsonw_array_end(answer);
    put_state(call, "pending", PENDING, last, answer);
    put_state(call, "expired", EXPIRED, last, answer);
    att_jsonw_put_int(answer, "left", total - given);
    att_jsonw_key(answer, "next");
    if (total > given)
        att_jsonw_int(answer, last);
    else
        att_jsonw_null(answer);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

static enum att_status parse_read_one(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct task_kb_call *kb_call = NULL;
    (void)body;
    enum att_status status = task_kb_begin(call, true, &kb_call, err);
    if (status != ATT_OK)
        return status;
    kb_call->view = store_kb_view(kb_call->kb->kb);
    if (store_kb_find(kb_call->view, kb_call->id) == kb_call->view->n_entries)
        return att_err_param(err, ATT_ENOTFOUND, "id", "id: the knowledge base has no entry %lld",
                             (long long)kb_call->id);
    return ATT_OK;
}

static enum att_status render_one(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct task_kb_call *kb_call = call->state;
    (void)err;
    task_kb_entry_render(&kb_call->view->entries[store_kb_find(kb_call->view, kb_call->id)], answer);
    return ATT_OK;
}

/* ---- export ---- */

enum format { JSONL, CSV };

static enum att_status parse_export(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const names[] = {"format", NULL}, *const formats[] = {"jsonl", "csv", NULL};
    enum att_status status = parse_read(call, body, err);
    size_t format = JSONL;
    if (status == ATT_OK)
        status = task_query_known(call, names, err);
    if (status == ATT_OK)
        status = task_query_enum(call, "format", formats, &format, err);
    if (status == ATT_OK)
        call->content_type = format == CSV ? "text/csv; charset=utf-8" : "application/x-ndjson";
    if (status == ATT_OK)
        ((struct task_kb_call *)call->state)->id = (int64_t)format;
    return status;
}

static enum att_status render_export(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct task_kb_call *kb_call = call->state;
    const struct store_kb_view *view = kb_call->view;
    bool csv = kb_call->id == CSV;
    (void)err;
    if (csv)
        task_kb_csv_header(answer);
    for (size_t i = 0; i < view->n_entries; i++) {
        if (csv) {
            task_kb_csv_row(&view->entries[i], answer);
            continue;
        }
        answer->comma = false; /* lines, not members */
        task_kb_entry_render(&view->entries[i], answer);
        att_jsonw_append(answer, "\n", 1);
    }
    return ATT_OK;
}

const struct task task_kb_get = {
    .name = "kb_get", .parse = parse_read, .render = render_facts, .finish = task_kb_finish};
const struct task task_kb_entries_get = {
    .name = "kb_entries_get", .parse = parse_list, .render = render_list, .finish = task_kb_finish};
const struct task task_kb_entry_get = {
    .name = "kb_entry_get", .parse = parse_read_one, .render = render_one, .finish = task_kb_finish};
const struct task task_kb_export = {
    .name = "kb_export", .parse = parse_export, .render = render_export, .finish = task_kb_finish};
