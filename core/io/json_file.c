/* Reading a small JSON file as a whole; see json_file.h. */
#include "core/io/json_file.h"

#include "core/base/mem.h"

enum { JSON_FILE_MAX = 16 << 20, DEPTH_MAX = 64 };

enum att_status att_err_file(struct att_err *err, enum att_status status, const char *file)
{
    if (err && status != ATT_ENOMEM) {
        att_err_prefix(err, "%s", file);
        if (err->status == ATT_ESYNTAX || err->status == ATT_EINVAL)
            err->status = ATT_EFORMAT;
        return err->status;
    }
    return status;
}

enum att_status att_json_file(const struct att_dir *dir, const char *name, bool optional, struct att_json **ret_json,
                              struct att_err *err)
{
    struct att_json *json = NULL;
    enum att_status status = att_json_file_any(dir, name, optional, &json, err);
    if (status == ATT_OK && json && !att_json_is_object(json)) {
        status = att_err_set(err, ATT_EFORMAT, "%s: is %s, expected a JSON object", name, att_json_type_name(json));
        att_json_destroy(json);
    } else if (status == ATT_OK && json) {
        *ret_json = json;
    }
    return status;
}

enum att_status att_json_file_any(const struct att_dir *dir, const char *name, bool optional,
                                  struct att_json **ret_json, struct att_err *err)
{
    if (optional && !att_dir_has(dir, name))
        return ATT_OK;
    char *text = NULL;
    size_t len = 0;
    enum att_status status = att_dir_read(dir, name, JSON_FILE_MAX, &text, &len, err);
    if (status != ATT_OK)
        return status;
    struct att_json *json = NULL;
    status = att_json_parse(text, len, ATT_JSON_NAME_KEYS, DEPTH_MAX, &json, err);
    att_mem_free(text);
    if (status != ATT_OK)
        return att_err_file(err, status, name);
    *ret_json = json;
    return ATT_OK;
}
