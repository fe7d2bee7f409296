/* Values of a template's run. Memory is the run's arena; nothing is freed on its own. */
#ifndef ATT_CHAT_VALUE_H
#define ATT_CHAT_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/json.h"
#include "core/base/mem.h"

struct att_text {
    const char *bytes;
    size_t len;
};

enum att_value_kind {
    ATT_VALUE_UNDEFINED, /* text: the name that was asked for */
    ATT_VALUE_NONE,
    ATT_VALUE_BOOL,
    ATT_VALUE_INT,
    ATT_VALUE_FLOAT,
    ATT_VALUE_TEXT,
    ATT_VALUE_LIST,
    ATT_VALUE_DICT,
    ATT_VALUE_NAMESPACE, /* dict: its attributes */
    ATT_VALUE_LOOP,
    ATT_VALUE_MACRO,
    ATT_VALUE_FUNCTION, /* text: its name; a method that is not called, too */
};

struct att_node;

struct att_list {
    struct att_value *items;
    size_t count, capacity;
    bool tuple;
    bool lazy; /* a generator in Jinja: true even when it is empty */
};

struct att_dict {
    struct att_value *keys, *values; /* keys: texts and integers */
    size_t count, capacity;
};

struct att_loop {
    const struct att_list *list;
    size_t index; /* from 0 */
};

struct att_value {
    enum att_value_kind kind;
    bool markup; /* a text that `safe` made: one that is added to it is escaped (MarkupSafe) */
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct att_text text;
        struct att_list *list;
        struct att_dict *dict;
        struct att_loop *loop;
        const struct att_node *macro;
    };
};

/* Growing text in the run's arena. */
struct att_chat_buffer {
    struct att_arena *arena;
    char *bytes;
    size_t len, capacity, limit;
    bool failed, over; /* out of memory; over the limit */
    bool not_json;     /* a value that JSON does not have was to be written */
};

void att_buffer_put(struct att_chat_buffer *buffer, const char *bytes, size_t len);
void att_buffer_puts(struct att_chat_buffer *buffer, const char *text);

struct att_value att_value_text(const char *bytes, size_t len);
bool att_text_is(struct att_text text, const char *word);
bool att_text_same(struct att_text a, struct att_text b);
/* False when memory is out. */
bool att_list_push(struct att_arena *arena, struct att_list *list, struct att_value value);
bool att_dict_set(struct att_arena *arena, struct att_dict *dict, struct att_text key, struct att_value value);
bool att_dict_put(struct att_arena *arena, struct att_dict *dict, struct att_value key, struct att_value value);
/* Without looking whether the key is there. */
bool att_dict_append(struct att_arena *arena, struct att_dict *dict, struct att_value key, struct att_value value);
const struct att_value *att_dict_get(const struct att_dict *dict, struct att_text key);
/* By a key of any kind; NULL too for a kind that no key has. */
const struct att_value *att_dict_find(const struct att_dict *dict, struct att_value key);
struct att_list *att_list_create(struct att_arena *arena);
struct att_dict *att_dict_create(struct att_arena *arena);
/* JSON as values; false when memory is out. Strings are not copied. */
bool att_value_of_json(struct att_arena *arena, const struct att_json *json, int depth, struct att_value *ret);

bool att_value_true(struct att_value value);
bool att_value_is_number(struct att_value value);
double att_value_number(struct att_value value);
/* Each value that is looked at takes one of *steps; at 0 the answer is false. */
bool att_value_equal(struct att_value a, struct att_value b, size_t *steps);
/* -1, 0, 1; 2: they have no order. */
int att_value_compare(struct att_value a, struct att_value b, size_t *steps);
const char *att_value_kind_name(struct att_value value);

/* As Python's str() and its repr(). depth: 0. */
void att_value_print(struct att_chat_buffer *buffer, struct att_value value);
void att_value_repr(struct att_chat_buffer *buffer, struct att_value value, int depth);

/* As Python's json.dumps. */
struct att_json_style {
    int indent; /* spaces a level; < 0: one line */
    bool ascii, sort_keys;
    struct att_text item_separator, key_separator;
};
void att_value_json(struct att_chat_buffer *buffer, struct att_value value, const struct att_json_style *style,
                    int depth);

#endif
