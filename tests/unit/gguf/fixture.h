/* A parsed GGUF file made in memory, for what reads its values: no bytes, no folder. */
#ifndef TEST_GGUF_FIXTURE_H
#define TEST_GGUF_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/gguf/file.h"

#define STRING_VALUE(k, t)                                                                                             \
    {                                                                                                                  \
        .key = (k), .type = ATT_GGUF_STRING, .text = {(t), sizeof(t) - 1 }                                             \
    }
#define NUMBER_VALUE(k, t, n)                                                                                          \
    {                                                                                                                  \
        .key = (k), .type = (t), .number = (n)                                                                         \
    }
#define U32_VALUE(k, n) NUMBER_VALUE(k, ATT_GGUF_U32, n)
#define F32_VALUE(k, n) NUMBER_VALUE(k, ATT_GGUF_F32, (double)(float)(n))
#define BOOL_VALUE(k, n) NUMBER_VALUE(k, ATT_GGUF_BOOL, n)
#define TEXTS_VALUE(k, t, n)                                                                                           \
    {                                                                                                                  \
        .key = (k), .type = ATT_GGUF_ARRAY, .item = ATT_GGUF_STRING, .count = (n), .texts = (t)                        \
    }
#define NUMBERS_VALUE(k, i, b, n)                                                                                      \
    {                                                                                                                  \
        .key = (k), .type = ATT_GGUF_ARRAY, .item = (i), .count = (n), .numbers = (const unsigned char *)(b)           \
    }
#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { FIXTURE_VALUES = 32 };

struct fixture {
    struct att_gguf gguf;
    struct att_gguf_value values[FIXTURE_VALUES];
};

static inline int fixture_order(const void *a, const void *b)
{
    return strcmp(((const struct att_gguf_value *)a)->key, ((const struct att_gguf_value *)b)->key);
}

/* Adds or replaces. */
static inline void fixture_set(struct fixture *fixture, struct att_gguf_value value)
{
    size_t i = 0;
    while (i < fixture->gguf.n_values && strcmp(fixture->values[i].key, value.key) != 0)
        i++;
    assert_true(i < FIXTURE_VALUES);
    fixture->values[i] = value;
    if (i == fixture->gguf.n_values)
        fixture->gguf.n_values++;
    qsort(fixture->values, fixture->gguf.n_values, sizeof value, fixture_order);
}

static inline void fixture_drop(struct fixture *fixture, const char *key)
{
    size_t n = 0;
    for (size_t i = 0; i < fixture->gguf.n_values; i++)
        if (strcmp(fixture->values[i].key, key) != 0)
            fixture->values[n++] = fixture->values[i];
    assert_int_equal(n + 1, fixture->gguf.n_values);
    fixture->gguf.n_values = n;
}

static inline void fixture_init(struct fixture *fixture, const char *arch, const struct att_gguf_value *values,
                                size_t n_values)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->gguf.file = "model.gguf";
    fixture->gguf.arch = arch;
    fixture->gguf.values = fixture->values;
    for (size_t i = 0; i < n_values; i++)
        fixture_set(fixture, values[i]);
}

/* What was written, parsed; it takes the text. */
static inline struct att_json *fixture_parse(char *text, size_t len)
{
    struct att_err err = {.message = ""};
    struct att_json *root = NULL;
    assert_int_equal(strlen(text), len);
    if (att_json_parse(text, len, ATT_JSON_NAME_KEYS, 64, &root, &err) != ATT_OK)
        fail_msg("%s in %s", err.message, text);
    att_mem_free(text);
    return root;
}

/* "a/b/0": members and items. */
static inline const struct att_json *fixture_at(const struct att_json *at, const char *path)
{
    char part[64];
    while (at && *path) {
        size_t len = strcspn(path, "/");
        snprintf(part, sizeof part, "%.*s", (int)len, path);
        at = att_json_is_array(at) ? att_json_at(at, (size_t)strtoul(part, NULL, 10)) : att_json_get(at, part);
        path += len + (path[len] == '/');
    }
    return at;
}

static inline void fixture_says(const struct att_json *root, const char *path, const char *expected)
{
    const char *text = att_json_string(fixture_at(root, path), NULL);
    if (!text || strcmp(text, expected) != 0)
        fail_msg("%s is '%s', expected '%s'", path, text ? text : "(no string)", expected);
}

static inline void fixture_counts(const struct att_json *root, const char *path, double expected)
{
    double number = att_json_number(fixture_at(root, path), -1e99);
    if (number < expected || number > expected)
        fail_msg("%s is %.17g, expected %.17g", path, number, expected);
}

#endif
