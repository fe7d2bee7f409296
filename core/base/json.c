/*
 * Reading JSON: jansson behind json.h, the only file of the project that
 * includes it. A struct att_json is jansson's json_t under another name, so no
 * value is copied.
 *
 * Depth and memory are counted over the text before jansson runs, since its own
 * limit of depth (2,048 levels) is compiled in, and of memory it has none. Its hash seed is set once, before threads
 * start, because jansson seeds itself at first use.
 */
#include "core/base/json.h"

#include <assert.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/jsonw.h"
#include "core/base/mem.h"

/*
 * jansson 2.14 tells some failed allocations as syntax errors and aborts on
 * others (load.c asserts on a string whose buffer could not grow). So it never
 * sees one: after a failure this thread's parse is served from a reserve taken
 * before it began, then its result is thrown away. A node takes at most a few
 * dozen times its text, and untouched memory costs nothing.
 */
enum { RESERVE_FACTOR = 48, RESERVE_LEAST = 1 << 16 };
static _Thread_local struct {
    char *base;
    size_t size, used;
    bool needed;
} reserve;

static void *json_alloc(size_t size)
{
    void *block = reserve.needed ? NULL : att_mem_realloc(NULL, size, 1);
    if (block || !reserve.base)
        return block;
    reserve.needed = true;
    size_t rounded = (size + 15) / 16 * 16;
    if (rounded < size || rounded > reserve.size - reserve.used)
        return NULL;
    reserve.used += rounded;
    return reserve.base + reserve.used - rounded;
}

static void json_free(void *block)
{
    const char *at = block;
    if (reserve.base && at >= reserve.base && at < reserve.base + reserve.size)
        return;
    att_mem_free(block);
}

__attribute__((constructor)) static void json_prepare(void)
{
    json_set_alloc_funcs(json_alloc, json_free);
    json_object_seed(0);
}

static const json_t *node(const struct att_json *value)
{
    return (const json_t *)(const void *)value;
}

static const struct att_json *wrap(const json_t *value)
{
    return (const struct att_json *)(const void *)value;
}

/* What a text's values will take is estimated before any is made: "{}," is 3 bytes of text and 270 of memory. */
enum { OBJECT_BYTES = 272, ARRAY_BYTES = 144, STRING_BYTES = 80, MEMBER_BYTES = 64, SLOT_BYTES = 48 };
enum { MEMORY_FLOOR = 64 << 20, MEMORY_FACTOR = 10 };

enum { KEY_SHOWN_MAX = 120 };
enum refusal { WELL, TOO_DEEP, TOO_MANY };

/* Brackets nest no deeper than max_depth, and the values fit: a text may take ten times its bytes, or the floor. */
static enum refusal scan(const char *bytes, size_t len, size_t max_depth)
{
    size_t depth = 0, memory = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = bytes[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        switch (c) {
        case '"':
            in_string = true;
            memory += STRING_BYTES;
            break;
        case '{':
        case '[':
            memory += c == '{' ? OBJECT_BYTES : ARRAY_BYTES;
            if (++depth > max_depth)
                return TOO_DEEP;
            break;
        case '}':
        case ']':
            depth -= depth > 0;
            break;
        case ':':
            memory += MEMBER_BYTES;
            break;
        case ',':
            memory += SLOT_BYTES;
            break;
        default:
            break;
        }
    }
    return memory <= MEMORY_FLOOR || memory / MEMORY_FACTOR <= len ? WELL : TOO_MANY;
}

/* json_loadb with a reserve; *ret_root is NULL for a text that is not JSON. */
static enum att_status load(const char *bytes, size_t len, size_t mode, json_t **ret_root, json_error_t *why,
                            struct att_err *err)
{
    size_t size;
    if (!att_size_mul(len, RESERVE_FACTOR, &size) || !att_size_add(size, RESERVE_LEAST, &size) ||
        !(reserve.base = att_mem_realloc(NULL, size, 1)))
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    reserve.size = size;
    json_t *root = json_loadb(bytes, len, mode, why);
    bool failed = reserve.needed || (!root && json_error_code(why) == json_error_out_of_memory);
    if (failed)
        json_decref(root);
    att_mem_free(reserve.base);
    memset(&reserve, 0, sizeof reserve);
    if (failed)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    *ret_root = root;
    return ATT_OK;
}

/* The string that ends at `end`, as it is written; its length, 0 where there is none. */
static size_t string_before(const char *bytes, size_t end, const char **ret_text)
{
    size_t at = end;
    if (end < 2 || bytes[end - 1] != '"')
        return 0;
    for (at = end - 2; at > 0 && (bytes[at] != '"' || bytes[at - 1] == '\\'); at--)
        ;
    *ret_text = bytes + at + 1;
    return end - at - 2;
}

static const char *kind_of(enum json_error_code code)
{
    switch (code) {
    case json_error_duplicate_key:
        return "duplicate object key";
    case json_error_invalid_utf8:
        return "invalid UTF-8";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "U+0000 in a string";
    case json_error_numeric_overflow:
        return "number out of range";
    case json_error_premature_end_of_input:
        return "the text ends too early";
    case json_error_end_of_input_expected:
        return "bytes after the end";
    case json_error_stack_overflow:
        return "nested too deep";
    default:
        return "syntax error";
    }
}

enum att_status att_json_parse(const char *bytes, size_t len, unsigned flags, size_t max_depth,
                               struct att_json **ret_root, struct att_err *err)
{
    assert(ret_root);
    if (len == 0)
        return att_err_set(err, ATT_ESYNTAX, "not JSON: the text is empty");
    /* jansson 2.14 swallows a NUL byte behind a number; the grammar has none anywhere. */
    if (memchr(bytes, '\0', len) != NULL)
        return att_err_set(err, ATT_ESYNTAX, "not JSON: a NUL byte");
    enum refusal refused = scan(bytes, len, max_depth);
    if (refused == TOO_DEEP)
        return att_err_set(err, ATT_ESYNTAX, "not JSON we accept: nested deeper than %zu levels", max_depth);
    if (refused == TOO_MANY)
        return att_err_set(err, ATT_ESYNTAX, "not JSON we accept: far more values than %zu bytes should hold", len);
    size_t mode = JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL;
    if (flags & ATT_JSON_ALLOW_NUL)
        mode |= JSON_ALLOW_NUL;
    if (flags & ATT_JSON_ANY_ROOT)
        mode |= JSON_DECODE_ANY;
    json_error_t why;
    json_t *root = NULL;
    enum att_status status = load(bytes, len, mode, &root, &why, err);
    if (status != ATT_OK)
        return status;
    if (!root) {
        /* jansson's text may quote the input; what it found is told by place and kind alone. */
        const char *key = NULL;
        size_t key_len = 0;
        if ((flags & ATT_JSON_NAME_KEYS) && json_error_code(&why) == json_error_duplicate_key && why.position > 0 &&
            (size_t)why.position <= len)
            key_len = string_before(bytes, (size_t)why.position, &key);
        if (key_len > 0)
            return att_err_set(err, ATT_ESYNTAX, "not JSON: duplicate object key '%.*s' at line %d, column %d",
                               key_len < KEY_SHOWN_MAX ? (int)key_len : KEY_SHOWN_MAX, key, why.line, why.column);
        return att_err_set(err, ATT_ESYNTAX, "not JSON: %s at line %d, column %d", kind_of(json_error_code(&why)),
                           why.line, why.column);
    }
    *ret_root = (struct att_json *)(void *)root;
    return ATT_OK;
}

void att_json_destroy(struct att_json *root)
{
    json_decref((json_t *)(void *)root);
}

enum att_json_type att_json_type(const struct att_json *value)
{
    if (!value)
        return ATT_JSON_NULL;
    switch (json_typeof(node(value))) {
    case JSON_OBJECT:
        return ATT_JSON_OBJECT;
    case JSON_ARRAY:
        return ATT_JSON_ARRAY;
    case JSON_STRING:
        return ATT_JSON_STRING;
    case JSON_INTEGER:
    case JSON_REAL:
        return ATT_JSON_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return ATT_JSON_BOOL;
    default:
        return ATT_JSON_NULL;
    }
}

const char *att_json_type_name(const struct att_json *value)
{
    static const char *const names[] = {"null", "boolean", "number", "string", "array", "object"};
    return value ? names[att_json_type(value)] : "nothing";
}

bool att_json_is_string(const struct att_json *value)
{
    return att_json_type(value) == ATT_JSON_STRING;
}

bool att_json_is_number(const struct att_json *value)
{
    return att_json_type(value) == ATT_JSON_NUMBER;
}

bool att_json_is_object(const struct att_json *value)
{
    return att_json_type(value) == ATT_JSON_OBJECT;
}

bool att_json_is_array(const struct att_json *value)
{
    return att_json_type(value) == ATT_JSON_ARRAY;
}

bool att_json_is_bool(const struct att_json *value)
{
    return att_json_type(value) == ATT_JSON_BOOL;
}

const struct att_json *att_json_get(const struct att_json *object, const char *key)
{
    return wrap(json_object_get(node(object), key));
}

size_t att_json_count(const struct att_json *value)
{
    switch (att_json_type(value)) {
    case ATT_JSON_ARRAY:
        return json_array_size(node(value));
    case ATT_JSON_OBJECT:
        return json_object_size(node(value));
    default:
        return 0;
    }
}

const struct att_json *att_json_at(const struct att_json *array, size_t index)
{
    return wrap(json_array_get(node(array), index));
}

/* jansson's iterators are of json_t *, though they change nothing. */
static json_t *mutable_node(const struct att_json *value)
{
    union {
        const struct att_json *in;
        json_t *out;
    } cast = {.in = value};
    return cast.out;
}

void att_json_iter_init(struct att_json_iter *iter, const struct att_json *object)
{
    iter->object = object;
    iter->at = att_json_is_object(object) ? json_object_iter(mutable_node(object)) : NULL;
}

bool att_json_iter_next(struct att_json_iter *iter, const char **ret_key, const struct att_json **ret_value)
{
    if (!iter->at)
        return false;
    *ret_key = json_object_iter_key(iter->at);
    *ret_value = wrap(json_object_iter_value(iter->at));
    iter->at = json_object_iter_next(mutable_node(iter->object), iter->at);
    return true;
}

const char *att_json_string(const struct att_json *value, size_t *ret_len)
{
    if (!att_json_is_string(value))
        return NULL;
    if (ret_len)
        *ret_len = json_string_length(node(value));
    return json_string_value(node(value));
}

double att_json_number(const struct att_json *value, double otherwise)
{
    return att_json_is_number(value) ? json_number_value(node(value)) : otherwise;
}

bool att_json_bool(const struct att_json *value, bool otherwise)
{
    return att_json_is_bool(value) ? json_is_true(node(value)) : otherwise;
}

bool att_json_integer(const struct att_json *value, int64_t min, int64_t max, int64_t *ret)
{
    if (!att_json_is_number(value))
        return false;
    double number = json_number_value(node(value));
    if (!(number >= (double)min && number <= (double)max) || number != floor(number) || fabs(number) > 0x1p53)
        return false;
    *ret = (int64_t)number;
    return true;
}

static int dump_piece(const char *bytes, size_t len, void *context)
{
    att_jsonw_append(context, bytes, len);
    return 0;
}

/* The fewest digits that read back to the same bits: 0.1 stays 0.1. */
static size_t digits_of(double number)
{
    size_t digits = 15;
    char text[40];

    for (; digits < 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", (int)digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    return digits;
}

void att_jsonw_value(struct att_jsonw *w, const struct att_json *value)
{
    if (!value) {
        att_jsonw_null(w);
        return;
    }
    double number = att_json_number(value, 0);
    if (att_json_is_object(value)) {
        struct att_json_iter iter;
        const char *key;
        const struct att_json *member;
        att_jsonw_object_begin(w);
        att_json_iter_init(&iter, value);
        while (att_json_iter_next(&iter, &key, &member)) {
            att_jsonw_key(w, key);
            att_jsonw_value(w, member);
        }
        att_jsonw_object_end(w);
        return;
    }
    if (att_json_is_array(value)) {
        att_jsonw_array_begin(w);
        for (size_t i = 0; i < att_json_count(value); i++)
            att_jsonw_value(w, att_json_at(value, i));
        att_jsonw_array_end(w);
        return;
    }
    if (att_json_is_number(value) && number == floor(number) && fabs(number) < 0x1p53) {
        att_jsonw_int(w, (int64_t)number); /* integers were read as reals */
        return;
    }
    size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits_of(number));
    att_jsonw_separate(w);
    if (json_dump_callback(node(value), dump_piece, w, flags) != 0)
        w->failed = true;
}
