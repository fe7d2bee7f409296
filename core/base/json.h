/*
 * JSON: reading by jansson behind this header, writing by a growing buffer.
 *
 * Reading refuses duplicate keys, invalid UTF-8, numbers beyond double, trailing
 * bytes, more than max_depth levels, and texts whose values would take more than
 * 64 MiB and ten times their bytes. Numbers are doubles (jansson's
 * JSON_DECODE_INT_AS_REAL), because published tokenizer_config.json files hold
 * integers above 2^63; integers are exact to 2^53. Values belong to the document
 * they were read from. A document is read by any number of threads.
 */
#ifndef ATT_BASE_JSON_H
#define ATT_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

struct att_json; /* one value; opaque */

enum att_json_type {
    ATT_JSON_NULL,
    ATT_JSON_BOOL,
    ATT_JSON_NUMBER,
    ATT_JSON_STRING,
    ATT_JSON_ARRAY,
    ATT_JSON_OBJECT,
};

enum {
    ATT_JSON_ALLOW_NUL = 1, /* U+0000 inside strings (offline tools; requests refuse it) */
    ATT_JSON_ANY_ROOT = 2,  /* the document may be any value; else an object or array */
    ATT_JSON_NAME_KEYS = 4, /* a message names the key that stands twice (files; requests are not quoted) */
};

/* Parses len bytes. ATT_ESYNTAX with line and column, ATT_ENOMEM when memory (not
 * the text) failed. Free the root with att_json_destroy. */
enum att_status att_json_parse(const char *bytes, size_t len, unsigned flags, size_t max_depth,
                               struct att_json **ret_root, struct att_err *err) ATT_MUST_USE;
void att_json_destroy(struct att_json *root);

/* Getters take NULL as "absent" and never fail: they answer a neutral value. */
enum att_json_type att_json_type(const struct att_json *value); /* NULL -> ATT_JSON_NULL */
const char *att_json_type_name(const struct att_json *value);   /* "string", "array", …, for messages */
bool att_json_is_string(const struct att_json *value);
bool att_json_is_number(const struct att_json *value);
bool att_json_is_object(const struct att_json *value);
bool att_json_is_array(const struct att_json *value);
bool att_json_is_bool(const struct att_json *value);
const struct att_json *att_json_get(const struct att_json *object, const char *key); /* NULL when absent */
size_t att_json_count(const struct att_json *value); /* members of an array or object, else 0 */
const struct att_json *att_json_at(const struct att_json *array, size_t index);
/* i-th member of an object in file order: key and value. False past the end. Amortised O(1) in order. */
struct att_json_iter {
    const struct att_json *object;
    void *at;
};
void att_json_iter_init(struct att_json_iter *iter, const struct att_json *object);
bool att_json_iter_next(struct att_json_iter *iter, const char **ret_key, const struct att_json **ret_value);
const char *att_json_string(const struct att_json *value,
                            size_t *ret_len); /* NULL when no string; ret_len may be NULL */
double att_json_number(const struct att_json *value, double otherwise);
bool att_json_bool(const struct att_json *value, bool otherwise);
/* True and *ret when value is an integer within [min, max], |max| <= 2^53. */
bool att_json_integer(const struct att_json *value, int64_t min, int64_t max, int64_t *ret) ATT_MUST_USE;

/*
 * Writer: appends to one growing buffer. A failed allocation or a broken limit
 * is remembered, later calls do nothing, and att_jsonw_take says so.
 * Commas are set by the writer.
 */
struct att_jsonw {
    char *bytes;
    size_t len, capacity, limit;
    bool failed, over, comma; /* over: the limit was what failed */
};

void att_jsonw_init(struct att_jsonw *w, size_t limit_bytes);
void att_jsonw_finish(struct att_jsonw *w);
void att_jsonw_object_begin(struct att_jsonw *w);
void att_jsonw_object_end(struct att_jsonw *w);
void att_jsonw_array_begin(struct att_jsonw *w);
void att_jsonw_array_end(struct att_jsonw *w);
void att_jsonw_key(struct att_jsonw *w, const char *key);
void att_jsonw_string(struct att_jsonw *w, const char *bytes, size_t len); /* escapes; invalid UTF-8 becomes U+FFFD */
void att_jsonw_cstring(struct att_jsonw *w, const char *text);             /* NULL writes null */
void att_jsonw_int(struct att_jsonw *w, int64_t value);
void att_jsonw_bool(struct att_jsonw *w, bool value);
void att_jsonw_null(struct att_jsonw *w);
void att_jsonw_float(struct att_jsonw *w, float value); /* shortest text that reads back to the same float */
void att_jsonw_double(struct att_jsonw *w, double value,
                      int digits); /* `digits` significant digits; not finite: null */
void att_jsonw_value(struct att_jsonw *w,
                     const struct att_json *value); /* a parsed value; whole numbers without a point */
void att_jsonw_raw(struct att_jsonw *w, const char *bytes, size_t len); /* already JSON */
/* A member of an object: its key and its value as above. */
void att_jsonw_put_text(struct att_jsonw *w, const char *key, const char *text);
void att_jsonw_put_string(struct att_jsonw *w, const char *key, const char *bytes, size_t len);
void att_jsonw_put_int(struct att_jsonw *w, const char *key, int64_t value);
void att_jsonw_put_size(struct att_jsonw *w, const char *key, size_t value);
void att_jsonw_put_bool(struct att_jsonw *w, const char *key, bool value);
void att_jsonw_put_float(struct att_jsonw *w, const char *key, float value);
void att_jsonw_put_double(struct att_jsonw *w, const char *key, double value, int digits);
/* Bytes that are no JSON, such as what stands between the values of a stream; no comma is set. */
void att_jsonw_append(struct att_jsonw *w, const char *bytes, size_t len);
/* Hands the buffer over (free with att_mem_free), NUL-terminated; ATT_ENOMEM or ATT_ELIMIT when the writer failed. */
enum att_status att_jsonw_take(struct att_jsonw *w, char **ret_bytes, size_t *ret_len,
                               struct att_err *err) ATT_MUST_USE;

#endif
