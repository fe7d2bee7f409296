/* The parsed file, for the files of this folder. */
#ifndef ATT_GGUF_FILE_H
#define ATT_GGUF_FILE_H

#include <stdbool.h>

#include "core/base/mem.h"
#include "core/gguf/gguf.h"

enum att_gguf_type { /* as the file numbers them */
                     ATT_GGUF_U8,
                     ATT_GGUF_I8,
                     ATT_GGUF_U16,
                     ATT_GGUF_I16,
                     ATT_GGUF_U32,
                     ATT_GGUF_I32,
                     ATT_GGUF_F32,
                     ATT_GGUF_BOOL,
                     ATT_GGUF_STRING,
                     ATT_GGUF_ARRAY,
                     ATT_GGUF_U64,
                     ATT_GGUF_I64,
                     ATT_GGUF_F64,
                     ATT_GGUF_TYPES,
};

struct att_gguf_text {
    const char *bytes; /* NUL-terminated */
    size_t len;
};

struct att_gguf_value {
    const char *key;
    enum att_gguf_type type, item; /* item: of an array */
    double number;                 /* numbers and booleans */
    struct att_gguf_text text;
    size_t count;                      /* of an array */
    const struct att_gguf_text *texts; /* [count] */
    const unsigned char *numbers;      /* [count] as they lie in the file */
};

struct att_gguf_tensor {
    const char *name;
    const struct att_block_type *type;
    size_t rank, shape[4]; /* outermost first, as Hugging Face has it */
    size_t count;
    uint64_t offset, bytes; /* in the file */
};

struct att_gguf {
    struct att_arena arena;
    const char *file;
    const char *arch; /* general.architecture */
    struct att_gguf_value *values;
    size_t n_values; /* sorted by key */
    struct att_gguf_tensor *tensors;
    size_t n_tensors;
};

/* By the whole key; with "{arch}" before ".name" when the key begins with a dot. NULL: none. */
const struct att_gguf_value *att_gguf_find(const struct att_gguf *gguf, const char *key);
const struct att_gguf_tensor *att_gguf_tensor(const struct att_gguf *gguf, const char *name);
/* Item i of an array of numbers. */
double att_gguf_number(const struct att_gguf_value *value, size_t i);
/* ATT_EFORMAT unless it is a whole number in [min, max]; absent: *ret stays. */
enum att_status att_gguf_size(const struct att_gguf *gguf, const char *key, size_t min, size_t max, size_t *ret,
                              struct att_err *err) ATT_MUST_USE;
/* The text of a key, or NULL. */
const char *att_gguf_string(const struct att_gguf *gguf, const char *key);
/* A boolean; absent: `otherwise`. */
bool att_gguf_bool(const struct att_gguf *gguf, const char *key, bool otherwise);

#endif
