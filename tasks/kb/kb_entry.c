/* Reading, writing and embedding knowledge-base entries; see kb_entry.h. */
#include "tasks/kb/kb_entry.h"

#include <stdio.h>
#include <string.h>

#include "core/base/date.h"

enum { PATH_BYTES = 80, QUESTION_BYTES_MAX = 4096, ANSWER_BYTES_MAX = 65536 };

/* path.name, or name alone. */
static const char *joined(const char *path, const char *name, char text[PATH_BYTES])
{
    snprintf(text, PATH_BYTES, "%s%s%s", path, *path ? "." : "", name);
    return text;
}

static enum att_status bounded_text(const struct task_call *call, const struct att_json *value, const char *path,
                                    size_t max, bool required, const char **ret_text, struct att_err *err)
{
    size_t len = 0;
    *ret_text = "";
    if (att_json_type(value) == ATT_JSON_NULL && !required)
        return ATT_OK;
    if (!value)
        return att_err_param(err, ATT_EINVAL, path, "%s: is missing, expected a text", path);
    enum att_status status = task_field_text(call, value, path, ret_text, &len, err);
    if (status == ATT_OK && len > max)
        status = att_err_limit(err, path, max, len, "%s: has %zu bytes, expected at most %zu", path, len, max);
    if (status == ATT_OK && required && len == 0)
        status = att_err_param(err, ATT_EINVAL, path, "%s: is empty, expected a text", path);
    return status;
}

static enum att_status parse_alternates(struct task_call *call, const struct att_json *value, const char *path,
                                        struct store_kb_entry *entry, struct att_err *err)
{
    size_t n = 0;
    char own_path[PATH_BYTES], text_path[PATH_BYTES + 24];
    path = joined(path, "alternates", own_path);
    enum att_status status = task_field_array(value, path, "texts", false, STORE_KB_TEXTS_MAX - 1, &n, err);
    if (status != ATT_OK)
        return status;
    const char **alternates = task_alloc(call, n + 1, sizeof *alternates, err);
    if (!alternates)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        snprintf(text_path, sizeof text_path, "%s[%zu]", path, i);
        status = bounded_text(call, att_json_at(value, i), text_path, QUESTION_BYTES_MAX, true, &alternates[i], err);
        if (status != ATT_OK)
            return status;
    }
    entry->alternates = alternates;
    entry->n_alternates = n;
    return ATT_OK;
}

static enum att_status parse_prompts(struct task_call *call, const struct att_json *value, const char *path,
                                     struct store_kb_entry *entry, struct att_err *err)
{
    size_t n = 0;
    char own_path[PATH_BYTES], id_path[PATH_BYTES + 24];
    path = joined(path, "prompts", own_path);
    enum att_status status = task_field_array(value, path, "ids", false, STORE_KB_PROMPTS_MAX, &n, err);
    if (status != ATT_OK)
        return status;
    int64_t *prompts = task_alloc(call, n + 1, sizeof *prompts, err);
    if (!prompts)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        snprintf(id_path, sizeof id_path, "%s[%zu]", path, i);
        if (!att_json_integer(att_json_at(value, i), 1, TASK_KB_ID_MAX, &prompts[i]))
            return att_err_param(err, ATT_EINVAL, id_path, "%s: is %s, expected an entry's id, an integer from 1",
                                 id_path, att_json_type_name(att_json_at(value, i)));
    }
    entry->prompts = prompts;
    entry->n_prompts = n;
    return ATT_OK;
}

/* RFC 3339 or Unix seconds; absent or null: no bound. */
static enum att_status parse_time(const struct att_json *value, const char *path, int64_t *ret_unix_s,
                                  struct att_err *err)
{
    size_t len = 0;
    const char *text = att_json_string(value, &len);
    if (att_json_type(value) == ATT_JSON_NULL)
        return ATT_OK;
    if (text ? att_date_parse(text, len, ret_unix_s) && *ret_unix_s > 0
             : att_json_integer(value, 1, STORE_KB_TIME_MAX, ret_unix_s))
        return ATT_OK;
    return att_err_param(err, ATT_EINVAL, path,
                         "%s: is %s%.40s%s, expected a time like \"2026-12-24T00:00:00Z\" or Unix seconds", path,
                         text ? "\"" : "", text ? text : att_json_type_name(value), text ? "\"" : "");
}

static enum att_status parse_validity(const struct att_json *value, const char *path, struct store_kb_entry *entry,
                                      struct att_err *err)
{
    char own_path[PATH_BYTES];
    enum att_status status =
        parse_time(att_json_get(value, "valid_from"), joined(path, "valid_from", own_path), &entry->valid_from, err);
    if (status == ATT_OK)
        status = parse_time(att_json_get(value, "valid_until"), joined(path, "valid_until", own_path),
                            &entry->valid_until, err);
    if (status == ATT_OK && entry->valid_until > 0 && entry->valid_until <= entry->valid_from)
        status = att_err_param(err, ATT_EINVAL, own_path, "%s: is not after valid_from", own_path);
    return status;
}

enum att_status task_kb_entry_parse(struct task_call *call, const struct att_json *value, const char *path,
                                    int64_t fixed_id, struct store_kb_entry *entry, struct att_err *err)
{
    static const char *const fields[] = {"id",         "question",    "alternates", "answer",       "lang",
                                         "source",     "metadata",    "prompts",    "context_only", "chitchat",
                                         "valid_from", "valid_until", NULL};
    char text_path[PATH_BYTES];
    *entry = (struct store_kb_entry){.id = fixed_id, .metadata = "{}"};
    enum att_status status = task_fields_known(value, path, fields, err);
    if (status == ATT_OK)
        status = task_field_int(value, path, "id", 1, TASK_KB_ID_MAX, &entry->id, err);
    if (status == ATT_OK && (entry->id < 1 || (fixed_id > 0 && entry->id != fixed_id)))
        status = att_err_param(err, ATT_EINVAL, joined(path, "id", text_path), "%s: %s", joined(path, "id", text_path),
                               entry->id < 1 ? "is missing, expected an integer from 1" : "differs from the path's id");
    const struct {
        const char *name;
        size_t max;
        bool required;
        const char **ret;
    } texts[] = {
        {"question", QUESTION_BYTES_MAX, true, &entry->question},
        {"answer", ANSWER_BYTES_MAX, true, &entry->answer},
        {"lang", 32, false, &entry->lang},
        {"source", QUESTION_BYTES_MAX, false, &entry->source},
    };
    for (size_t i = 0; status == ATT_OK && i < sizeof texts / sizeof *texts; i++)
        status = bounded_text(call, att_json_get(value, texts[i].name), joined(path, texts[i].name, text_path),
                              texts[i].max, texts[i].required, texts[i].ret, err);
    if (status == ATT_OK)
        status = parse_alternates(call, att_json_get(value, "alternates"), path, entry, err);
    if (status == ATT_OK)
        status = parse_prompts(call, att_json_get(value, "prompts"), path, entry, err);
    if (status == ATT_OK)
        status = task_field_metadata(call, att_json_get(value, "metadata"), joined(path, "metadata", text_path),
                                     &entry->metadata, err);
    if (status == ATT_OK)
        status = task_field_bool(value, path, "context_only", &entry->context_only, err);
    if (status == ATT_OK)
        status = task_field_bool(value, path, "chitchat", &entry->chitchat, err);
    if (status == ATT_OK)
        status = parse_validity(value, path, entry, err);
    return status;
}

static void put_time(struct att_jsonw *answer, const char *name, int64_t unix_s)
{
    char text[ATT_DATE_BYTES];
    if (unix_s == 0)
        return;
    att_date_format(unix_s, text);
    att_jsonw_put_text(answer, name, text);
}

void task_kb_entry_render(const struct store_kb_entry *entry, struct att_jsonw *answer)
{
    att_jsonw_object_begin(answer);
    att_jsonw_put_int(answer, "id", entry->id);
    att_jsonw_put_text(answer, "lang", entry->lang);
    att_jsonw_put_text(answer, "question", entry->question);
    att_jsonw_key(answer, "alternates");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < entry->n_alternates; i++)
        att_jsonw_cstring(answer, entry->alternates[i]);
    att_jsonw_array_end(answer);
    att_jsonw_put_text(answer, "answer", entry->answer);
    att_jsonw_put_text(answer, "source", entry->source);
    att_jsonw_key(answer, "metadata");
    att_jsonw_raw(answer, entry->metadata, strlen(entry->metadata));
    att_jsonw_key(answer, "prompts");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < entry->n_prompts; i++)
        att_jsonw_int(answer, entry->prompts[i]);
    att_jsonw_array_end(answer);
    att_jsonw_put_bool(answer, "context_only", entry->context_only);
    if (entry->chitchat)
        att_jsonw_put_bool(answer, "chitchat", true);
    put_time(answer, "valid_from", entry->valid_from);
    put_time(answer, "valid_until", entry->valid_until);
    att_jsonw_object_end(answer);
}

/* "entries[2].alternates[0]"; without the first part where the body is one entry. */
static void text_path(const char *list, size_t entry, size_t text, char path[PATH_BYTES])
{
    int at = *list ? snprintf(path, PATH_BYTES, "%s[%zu].", list, entry) : 0;
    if (text == 0)
        snprintf(path + at, PATH_BYTES - (size_t)at, "question");
    else
        snprintf(path + at, PATH_BYTES - (size_t)at, "alternates[%zu]", text - 1);
}

enum att_status task_kb_entry_room(struct task_call *call, const struct store_kb_entry *entries, size_t n_entries,
                                   struct att_err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < n_entries; i++)
        total += 1 + entries[i].n_alternates;
    call->jobs = task_alloc(call, total + 1, sizeof *call->jobs, err);
    call->n_jobs = 0;
    return call->jobs ? ATT_OK : err->status;
}

enum att_status task_kb_entry_add_jobs(struct task_call *call, const struct task_model *encoder, const char *list,
                                       size_t i, const struct store_kb_entry *entry, struct att_err *err)
{
    const struct att_model_info *info = att_model_info(encoder->model);
    for (size_t a = 0; a <= entry->n_alternates; a++) {
        const char *text = a == 0 ? entry->question : entry->alternates[a - 1];
        struct task_job *job = &call->jobs[call->n_jobs];
        char path[PATH_BYTES];
        size_t dropped = 0;
        text_path(list, i, a, path);
        enum att_status status =
            task_job_encode(call, encoder, info->query_prompt, text, strlen(text), NULL, 0, path, job, &dropped, err);
        if (status == ATT_OK && dropped > 0)
            status = att_err_limit(err, path, info->max_tokens, job->len + dropped,
                                   "%s: has %zu tokens, expected at most %zu, which the encoder reads", path,
                                   job->len + dropped, info->max_tokens);
        if (status != ATT_OK)
            return status;
        job->pooled = task_alloc(call, info->hidden_size, sizeof(float), err);
        if (!job->pooled)
            return err->status;
        call->n_jobs++;
    }
    return ATT_OK;
}

enum att_status task_kb_entry_jobs(struct task_call *call, const struct task_model *encoder, const char *list,
                                   const struct store_kb_entry *entries, size_t n_entries, struct att_err *err)
{
    enum att_status status = task_kb_entry_room(call, entries, n_entries, err);
    for (size_t i = 0; status == ATT_OK && i < n_entries; i++)
        status = task_kb_entry_add_jobs(call, encoder, list, i, &entries[i], err);
    return status;
}

float *task_kb_entry_vectors(struct task_call *call, const struct task_model *encoder, struct att_err *err)
{
    size_t hidden = att_model_info(encoder->model)->hidden_size;
    float *vectors = task_alloc(call, (call->n_jobs + 1) * hidden, sizeof *vectors, err);
    for (size_t i = 0; vectors && i < call->n_jobs; i++) {
        memcpy(vectors + i * hidden, call->jobs[i].pooled, hidden * sizeof *vectors);
        att_l2_normalize(hidden, vectors + i * hidden);
    }
    return vectors;
}
