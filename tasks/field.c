/*
 * Reading request fields: presence, type, range, UTF-8. Every refusal names the
 * field as a path ("input[3].text") and says what was found and expected.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/jsonw.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "store/metadata.h"
#include "tasks/task.h"

enum { PATH_BYTES = ATT_ERR_PARAM_MAX };

/* path.name, or name alone. */
static const char *joined(const char *path, const char *name, char text[PATH_BYTES])
{
    snprintf(text, PATH_BYTES, "%s%s%s", path, *path ? "." : "", name);
    return text;
}

/* The member, or NULL when it is absent or null. */
static const struct att_json *member(const struct att_json *object, const char *name)
{
    const struct att_json *value = att_json_get(object, name);
    return att_json_type(value) == ATT_JSON_NULL ? NULL : value;
}

static enum att_status wrong_type(const char *path, const char *name, const struct att_json *value,
                                  const char *expected, struct att_err *err)
{
    char text[PATH_BYTES];
    return att_err_param(err, ATT_EINVAL, joined(path, name, text), "%s: is %s, expected %s", joined(path, name, text),
                         att_json_type_name(value), expected);
}

enum att_status task_fields_known(const struct att_json *object, const char *path, const char *const *names,
                                  struct att_err *err)
{
    struct att_json_iter iter;
    const char *key;
    const struct att_json *value;
    char text[PATH_BYTES];
    if (!att_json_is_object(object))
        return att_err_param(err, ATT_EINVAL, path, "%s: is %s, expected an object", *path ? path : "the body",
                             att_json_type_name(object));
    att_json_iter_init(&iter, object);
    while (att_json_iter_next(&iter, &key, &value)) {
        size_t i = 0;
        while (names[i] && strcmp(names[i], key) != 0)
            i++;
        if (!names[i])
            return att_err_param(err, ATT_EINVAL, joined(path, key, text), "%s: is not a field of this request",
                                 joined(path, key, text));
    }
    return ATT_OK;
}

enum att_status task_field_string(const struct att_json *object, const char *path, const char *name,
                                  const char **ret_text, size_t *ret_len, struct att_err *err)
{
    const struct att_json *value = member(object, name);
    if (!value)
        return ATT_OK;
    if (!att_json_is_string(value))
        return wrong_type(path, name, value, "a string", err);
    size_t len;
    *ret_text = att_json_string(value, &len);
    if (ret_len)
        *ret_len = len;
    return ATT_OK;
}

enum att_status task_field_bool(const struct att_json *object, const char *path, const char *name, bool *ret,
                                struct att_err *err)
{
    const struct att_json *value = member(object, name);
    if (value && !att_json_is_bool(value))
        return wrong_type(path, name, value, "true or false", err);
    *ret = att_json_bool(value, *ret);
    return ATT_OK;
}

enum att_status task_field_int(const struct att_json *object, const char *path, const char *name, int64_t min,
                               int64_t max, int64_t *ret, struct att_err *err)
{
    const struct att_json *value = member(object, name);
    char text[PATH_BYTES];
    if (!value || att_json_integer(value, min, max, ret))
        return ATT_OK;
    if (!att_json_is_number(value))
        return wrong_type(path, name, value, "an integer", err);
    return att_err_param(err, ATT_EINVAL, joined(path, name, text),
                         "%s: is %.15g, expected an integer from %lld to %lld", joined(path, name, text),
                         att_json_number(value, 0), (long long)min, (long long)max);
}

enum att_status task_field_number(const struct att_json *object, const char *path, const char *name, double min,
                                  double max, double *ret, struct att_err *err)
{
    const struct att_json *value = member(object, name);
    char text[PATH_BYTES];
    if (!value)
        return ATT_OK;
    if (!att_json_is_number(value))
        return wrong_type(path, name, value, "a number", err);
    double number = att_json_number(value, NAN);
    if (!(number >= min && number <= max))
        return att_err_param(err, ATT_EINVAL, joined(path, name, text), "%s: is %.15g, expected %g to %g",
                             joined(path, name, text), number, min, max);
    *ret = number;
    return ATT_OK;
}

enum att_status task_field_enum(const struct att_json *object, const char *path, const char *name,
                                const char *const *words, size_t *ret, struct att_err *err)
{
    const struct att_json *value = member(object, name);
    char text[PATH_BYTES], list[160] = "";
    if (!value)
        return ATT_OK;
    const char *word = att_json_string(value, NULL);
    for (size_t i = 0, at = 0; words[i]; i++) {
        if (word && strcmp(word, words[i]) == 0) {
            *ret = i;
            return ATT_OK;
        }
        int n = snprintf(list + at, sizeof list - at, "%s\"%s\"", i ? ", " : "", words[i]);
        at += n > 0 && (size_t)n < sizeof list - at ? (size_t)n : 0;
    }
    if (!word)
        return wrong_type(path, name, value, list, err);
    return att_err_param(err, ATT_EINVAL, joined(path, name, text), "%s: is \"%.40s\", expected one of %s",
                         joined(path, name, text), word, list);
}

enum att_status task_field_array(const struct att_json *value, const char *path, const char *what, bool required,
                                 size_t max, size_t *ret_n, struct att_err *err)
{
    bool absent = att_json_type(value) == ATT_JSON_NULL;
    size_t n = att_json_count(value);
    if (required ? !att_json_is_array(value) || n == 0 : !absent && !att_json_is_array(value))
        return att_err_param(err, ATT_EINVAL, path, "%s: is %s, expected an array of %s", path,
                             att_json_is_array(value) ? "empty"
                             : value                  ? att_json_type_name(value)
                                                      : "missing",
                             what);
    if (n > max)
        return att_err_limit(err, path, max, n, "%s: %zu %s, expected at most %zu", path, n, what, max);
    *ret_n = n;
    return ATT_OK;
}

/* Goes no deeper than `levels`, whatever the value. */
static bool is_within(const struct att_json *value, size_t levels)
{
    struct att_json_iter iter;
    const char *key;
    const struct att_json *inner;
    bool is_array = att_json_is_array(value), within = levels > 0;
    if (!is_array && !att_json_is_object(value))
        return true;
    att_json_iter_init(&iter, value); /* of an array none */
    while (within && att_json_iter_next(&iter, &key, &inner))
        within = is_within(inner, levels - 1);
    for (size_t i = 0; within && is_array && i < att_json_count(value); i++)
        within = is_within(att_json_at(value, i), levels - 1);
    return within;
}

enum att_status task_field_depth(const struct att_json *value, const char *path, size_t levels, struct att_err *err)
{
    return is_within(value, levels)
               ? ATT_OK
               : att_err_param(err, ATT_EINVAL, path, "%s: is nested deeper than %zu levels", path, levels);
}

enum att_status task_field_metadata(struct task_call *call, const struct att_json *value, const char *path,
                                    const char **ret_text, struct att_err *err)
{
    struct att_jsonw w;
    char *text = NULL;
    size_t len = 0;
    if (att_json_type(value) == ATT_JSON_NULL)
        return ATT_OK;
    if (!att_json_is_object(value))
        return att_err_param(err, ATT_EINVAL, path, "%s: is %s, expected an object", path, att_json_type_name(value));
    enum att_status status = task_field_depth(value, path, STORE_METADATA_DEPTH_MAX, err);
    if (status != ATT_OK)
        return status;
    att_jsonw_init(&w, STORE_METADATA_BYTES_MAX);
    att_jsonw_value(&w, value);
    status = att_jsonw_take(&w, &text, &len, err);
    if (status == ATT_ELIMIT)
        return att_err_limit(err, path, STORE_METADATA_BYTES_MAX, STORE_METADATA_BYTES_MAX + 1, "%s: is over %d bytes",
                             path, STORE_METADATA_BYTES_MAX);
    if (status != ATT_OK)
        return status;
    const char *copy = att_arena_copy(call->arena, text, len);
    att_mem_free(text);
    if (!copy)
        return att_err_set(err, ATT_ENOMEM, "out of memory for %s", path);
    *ret_text = copy;
    return ATT_OK;
}

enum att_status task_field_inputs(const struct task_call *call, const struct att_json *value, const char *path,
                                  size_t *ret_n, struct att_err *err)
{
    bool many = att_json_is_array(value);
    size_t n = many ? att_json_count(value) : 1, limit = call->env->limits.items_max;
    if (n == 0 || (!many && !att_json_is_string(value)))
        return att_err_param(err, ATT_EINVAL, path, "%s: is %s, expected a text or an array of texts", path,
                             many    ? "empty"
                             : value ? att_json_type_name(value)
                                     : "missing");
    if (n > limit)
        return att_err_limit(err, path, limit, n, "%s: %zu texts, expected at most %zu", path, n, limit);
    *ret_n = n;
    return ATT_OK;
}

enum att_status task_field_common(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const words[] = {"interactive", "bulk", NULL};
    int64_t deadline_ms = 0;
    size_t priority = 0;
    enum att_status status =
        task_field_int(body, "", "deadline_ms", 1, call->env->limits.deadline_ms_max, &deadline_ms, err);
    if (status == ATT_OK)
        status = task_field_enum(body, "", "priority", words, &priority, err);
    if (status != ATT_OK)
        return status;
    call->deadline_ms = (uint32_t)deadline_ms;
    call->bulk = priority == 1;
    return ATT_OK;
}

enum att_status task_field_common_lenient(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    int64_t deadline_ms = 0;
    const char *priority = att_json_string(att_json_get(body, "priority"), NULL);
    enum att_status status =
        task_field_int(body, "", "deadline_ms", 1, call->env->limits.deadline_ms_max, &deadline_ms, err);
    call->deadline_ms = (uint32_t)deadline_ms;
    call->bulk = priority && strcmp(priority, "bulk") == 0;
    return status;
}

enum att_status task_field_model(struct task_call *call, const struct att_json *body, const char *task,
                                 const struct task_model **ret_model, struct att_err *err)
{
    const char *name = NULL;
    enum att_status status = task_field_string(body, "", "model", &name, NULL, err);
    if (status != ATT_OK)
        return status;
    const struct task_model *model = call->env->find_model(call->env->context, name, task);
    if (!model && name)
        return att_err_param(err, ATT_ENOTFOUND, "model", "model: no model named \"%.60s\" serves %s; see /v1/models",
                             name, task);
    if (!model)
        return att_err_param(err, ATT_ENOTFOUND, "model", "model: no model that can %s is loaded; see /v1/models",
                             task);
    call->model = model;
    *ret_model = model;
    return ATT_OK;
}

enum att_status task_field_text(const struct task_call *call, const struct att_json *value, const char *path,
                                const char **ret_text, size_t *ret_len, struct att_err *err)
{
    size_t len;
    const char *text = att_json_string(value, &len);
    if (!text)
        return att_err_param(err, ATT_EINVAL, path, "%s: is %s, expected a text", path, att_json_type_name(value));
    enum att_status status = task_field_bytes(call, text, len, path, err);
    if (status != ATT_OK)
        return status;
    *ret_text = text;
    *ret_len = len;
    return ATT_OK;
}

enum att_status task_field_bytes(const struct task_call *call, const char *text, size_t len, const char *path,
                                 struct att_err *err)
{
    size_t limit = call->env->limits.text_bytes_max;
    if (len > limit)
        return att_err_limit(err, path, limit, len, "%s: the text has %zu bytes, expected at most %zu", path, len,
                             limit);
    if (memchr(text, '\0', len) || !att_utf8_valid(text, len))
        return att_err_param(err, ATT_EINVAL, path, "%s: expected UTF-8 without U+0000", path);
    return ATT_OK;
}
