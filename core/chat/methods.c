/* Methods of strings, dictionaries and loops: those that templates call. */
#include <string.h>

#include "core/base/utf8.h"
#include "core/chat/filters.h"
#include "core/chat/strings.h"
#include "core/text/unicode.h"

typedef bool method(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                    struct att_value *ret);

/* ---- strings ---- */

static bool strip(struct att_run *run, struct att_value of, const struct att_arguments *arguments, bool left,
                  bool right, struct att_value *ret)
{
    static const char *const names[] = {"chars"};
    struct att_value value;
    struct att_text chars = {0};
    if (!att_run_bind(run, "strip", arguments, names, 1, 0, &value))
        return false;
    bool given = !att_value_absent(value) && value.kind != ATT_VALUE_NONE;
    if (given && !att_run_text(run, "strip", value, &chars))
        return false;
    struct att_text text = att_text_strip(of.text, given ? &chars : NULL, left, right);
    *ret = att_value_text(text.bytes, text.len);
    return true;
}

static bool strip_both(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                       struct att_value *ret)
{
    return strip(run, of, arguments, true, true, ret);
}

static bool strip_left(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                       struct att_value *ret)
{
    return strip(run, of, arguments, true, false, ret);
}

static bool strip_right(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                        struct att_value *ret)
{
    return strip(run, of, arguments, false, true, ret);
}

static bool split_either(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                         bool from_right, struct att_value *ret)
{
    static const char *const names[] = {"sep", "maxsplit"};
    struct att_value values[2];
    struct att_text separator = {0};
    int64_t max = -1;
    if (!att_run_bind(run, "split", arguments, names, 2, 0, values))
        return false;
    bool given = !att_value_absent(values[0]) && values[0].kind != ATT_VALUE_NONE;
    if ((given && !att_run_text(run, "split", values[0], &separator)) ||
        !att_run_integer(run, "split", values[1], &max))
        return false;
    return att_run_split(run, of.text, given ? &separator : NULL, max, from_right, ret);
}

static bool split(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                  struct att_value *ret)
{
    return split_either(run, of, arguments, false, ret);
}

static bool split_right(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                        struct att_value *ret)
{
    return split_either(run, of, arguments, true, ret);
}

static bool is_break(uint32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static bool split_lines(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                        struct att_value *ret)
{
    static const char *const names[] = {"keepends"};
    struct att_value keep;
    struct att_list *list = att_list_create(&run->arena);
    if (!list)
        return att_run_no_memory(run);
    if (!att_run_bind(run, "splitlines", arguments, names, 1, 0, &keep))
        return false;
    size_t begin = 0;
    for (size_t at = 0; at < of.text.len;) {
        size_t end = at;
        uint32_t c = att_utf8_next(of.text.bytes, of.text.len, &at);
        bool broken = is_break(c);
        if (c == '\r' && at < of.text.len && of.text.bytes[at] == '\n')
            at++;
        if (!broken && at < of.text.len)
            continue;
        end = broken && !att_value_true(keep) ? end : at;
        if (!att_run_step(run))
            return false;
        if (!att_list_push(&run->arena, list, att_value_text(of.text.bytes + begin, end - begin)))
            return att_run_no_memory(run);
        begin = at;
    }
    *ret = att_value_list(list);
    return true;
}

static bool matches_end(struct att_text text, struct att_text what, bool at_start)
{
    return what.len <= text.len &&
           (what.len == 0 || memcmp(text.bytes + (at_start ? 0 : text.len - what.len), what.bytes, what.len) == 0);
}

/* startswith and endswith, of one string or of any in a tuple. */
static bool with_end(struct att_run *run, struct att_value of, const struct att_arguments *arguments, bool at_start,
                     struct att_value *ret)
{
    static const char *const names[] = {"affix"};
    const char *who = at_start ? "startswith" : "endswith";
    struct att_value value;
    bool found = false;
    if (!att_run_bind(run, who, arguments, names, 1, 1, &value))
        return false;
    bool many = value.kind == ATT_VALUE_LIST && value.list->tuple;
    for (size_t i = 0; i < (many ? value.list->count : 1) && !found; i++) {
        struct att_text what = {0};
        if (!att_run_text(run, who, many ? value.list->items[i] : value, &what))
            return false;
        found = matches_end(of.text, what, at_start);
    }
    *ret = att_value_boolean(found);
    return true;
}

static bool starts_with(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                        struct att_value *ret)
{
    return with_end(run, of, arguments, true, ret);
}

static bool ends_with(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                      struct att_value *ret)
{
    return with_end(run, of, arguments, false, ret);
}

static bool remove_end(struct att_run *run, struct att_value of, const struct att_arguments *arguments, bool at_start,
                       struct att_value *ret)
{
    static const char *const names[] = {"affix"};
    struct att_value value;
    struct att_text what = {0};
    if (!att_run_bind(run, "removeprefix", arguments, names, 1, 1, &value) ||
        !att_run_text(run, "removeprefix", value, &what))
        return false;
    size_t cut = matches_end(of.text, what, at_start) ? what.len : 0;
    *ret = att_value_text(of.text.bytes + (at_start ? cut : 0), of.text.len - cut);
    return true;
}

static bool remove_prefix(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                          struct att_value *ret)
{
    return remove_end(run, of, arguments, true, ret);
}

static bool remove_suffix(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                          struct att_value *ret)
{
    return remove_end(run, of, arguments, false, ret);
}

static bool replace(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                    struct att_value *ret)
{
    static const char *const names[] = {"old", "new", "count"};
    struct att_value values[3];
    struct att_text from = {0}, to = {0};
    int64_t max = -1;
    return att_run_bind(run, "replace", arguments, names, 3, 2, values) &&
           att_run_text(run, "replace", values[0], &from) && att_run_text(run, "replace", values[1], &to) &&
           att_run_integer(run, "replace", values[2], &max) && att_run_replace(run, of.text, from, to, max, ret);
}

/* What a field of str.format names: the next argument, one by its number, or one by its name; NULL: none. */
static const struct att_value *format_argument(const struct att_arguments *arguments, struct att_text field,
                                               size_t *next)
{
    size_t index = 0;
    if (field.len == 0)
        index = (*next)++;
    for (size_t i = 0; i < field.len; i++) {
        if (field.bytes[i] < '0' || field.bytes[i] > '9' || index > arguments->n) {
            for (size_t k = 0; k < arguments->n; k++)
                if (arguments->names[k].bytes && att_text_same(arguments->names[k], field))
                    return &arguments->values[k];
            return NULL;
        }
        index = 10 * index + (size_t)(field.bytes[i] - '0');
    }
    return index < arguments->n && !arguments->names[index].bytes ? &arguments->values[index] : NULL;
}

/* str.format without conversions, attributes and widths: "{}", "{0}", "{name}", "{{". */
static bool format(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                   struct att_value *ret)
{
    struct att_chat_buffer buffer = att_run_buffer(run);
    struct att_text text = of.text;
    for (size_t i = 0, next = 0; i < text.len; i++) {
        char c = text.bytes[i];
        if ((c == '{' || c == '}') && i + 1 < text.len && text.bytes[i + 1] == c) {
            i++;
        } else if (c == '{') {
            const char *end = memchr(text.bytes + i, '}', text.len - i);
            struct att_text field = {text.bytes + i + 1, end ? (size_t)(end - text.bytes) - i - 1 : 0};
            const struct att_value *value = end ? format_argument(arguments, field, &next) : NULL;
            if (!value)
                return att_run_fail(run, ATT_EUNSUPPORTED, "format: '{%.*s' stands for no argument",
                                    field.len > 60 ? 60 : (int)field.len, field.bytes);
            att_value_print(&buffer, *value);
            i += field.len + 1;
            continue;
        } else if (c == '}') {
            return att_run_fail(run, ATT_EINVAL, "format: a '}' stands alone");
        }
        att_buffer_put(&buffer, &c, 1);
    }
    *ret = att_value_text(buffer.bytes, buffer.len);
    return att_run_written(run, &buffer);
}

static bool upper(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                  struct att_value *ret)
{
    return att_run_bind(run, "upper", arguments, NULL, 0, 0, NULL) && att_run_recase(run, of.text, ATT_CASE_UPPER, ret);
}

static bool lower(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                  struct att_value *ret)
{
    return att_run_bind(run, "lower", arguments, NULL, 0, 0, NULL) && att_run_recase(run, of.text, ATT_CASE_LOWER, ret);
}

static bool title(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                  struct att_value *ret)
{
    return att_run_bind(run, "title", arguments, NULL, 0, 0, NULL) && att_run_recase(run, of.text, ATT_CASE_TITLE, ret);
}

static bool capitalize(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                       struct att_value *ret)
{
    return att_run_bind(run, "capitalize", arguments, NULL, 0, 0, NULL) &&
           att_run_recase(run, of.text, ATT_CASE_CAPITALIZED, ret);
}

static bool join(struct att_run *run, struct att_value of, const struct att_arguments *arguments, struct att_value *ret)
{
    static const char *const names[] = {"iterable"};
    struct att_chat_buffer buffer = att_run_buffer(run);
    struct att_value value;
    struct att_list *items;
    if (!att_run_bind(run, "join", arguments, names, 1, 1, &value) || !att_run_items(run, value, &items))
        return false;
    for (size_t i = 0; i < items->count; i++) {
        struct att_text text = {0};
        if (!att_run_text(run, "join", items->items[i], &text))
            return false;
        if (i)
            att_buffer_put(&buffer, of.text.bytes, of.text.len);
        att_buffer_put(&buffer, text.bytes, text.len);
    }
    *ret = att_value_text(buffer.bytes, buffer.len);
    return att_run_written(run, &buffer);
}

/* Code points before the first (last) occurrence; -1: none. */
static bool find_either(struct att_run *run, struct att_value of, const struct att_arguments *arguments, bool last,
                        struct att_value *ret)
{
    static const char *const names[] = {"sub"};
    struct att_value value;
    struct att_text what = {0};
    if (!att_run_bind(run, "find", arguments, names, 1, 1, &value) || !att_run_text(run, "find", value, &what))
        return false;
    size_t at = what.len > of.text.len ? SIZE_MAX : last ? of.text.len - what.len : 0;
    if (!last && what.len > 0 && at != SIZE_MAX)
        at = att_text_find(of.text, what, 0) < of.text.len ? att_text_find(of.text, what, 0) : SIZE_MAX;
    while (last && at != SIZE_MAX && what.len > 0 && memcmp(of.text.bytes + at, what.bytes, what.len) != 0)
        at--; /* from 0 to SIZE_MAX */
    *ret = att_value_integer(at == SIZE_MAX ? -1 : (int64_t)att_text_length((struct att_text){of.text.bytes, at}));
    return true;
}

static bool find(struct att_run *run, struct att_value of, const struct att_arguments *arguments, struct att_value *ret)
{
    return find_either(run, of, arguments, false, ret);
}

static bool find_last(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                      struct att_value *ret)
{
    return find_either(run, of, arguments, true, ret);
}

static bool count(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                  struct att_value *ret)
{
    static const char *const names[] = {"sub"};
    struct att_value value;
    struct att_text what = {0};
    int64_t n = 0;
    if (!att_run_bind(run, "count", arguments, names, 1, 1, &value) || !att_run_text(run, "count", value, &what))
        return false;
    if (what.len == 0)
        n = (int64_t)att_text_length(of.text) + 1;
    else
        for (size_t at = 0; (at = att_text_find(of.text, what, at)) < of.text.len; at += what.len)
            n++;
    *ret = att_value_integer(n);
    return true;
}

/* isdigit, isalpha, isalnum, isspace: all characters are of the class, and there is one. */
static bool all_are(struct att_run *run, struct att_value of, const struct att_arguments *arguments, bool digits,
                    bool letters, bool blanks, struct att_value *ret)
{
    bool all = of.text.len > 0;
    if (!att_run_bind(run, "a test of characters", arguments, NULL, 0, 0, NULL))
        return false;
    for (size_t at = 0; all && at < of.text.len;) {
        uint32_t c = att_utf8_next(of.text.bytes, of.text.len, &at);
        bool number = att_char_is_number(c);
        all = (digits && number) || (letters && !number && c != '_' && att_char_is_word(c) && !att_char_is_mark(c)) ||
              (blanks && att_char_is_blank(c));
    }
    *ret = att_value_boolean(all);
    return true;
}

static bool is_digit(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                     struct att_value *ret)
{
    return all_are(run, of, arguments, true, false, false, ret);
}

static bool is_alpha(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                     struct att_value *ret)
{
    return all_are(run, of, arguments, false, true, false, ret);
}

static bool is_alnum(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                     struct att_value *ret)
{
    return all_are(run, of, arguments, true, true, false, ret);
}

static bool is_space(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                     struct att_value *ret)
{
    return all_are(run, of, arguments, false, false, true, ret);
}

/* ---- dictionaries and loops ---- */

static bool get(struct att_run *run, struct att_value of, const struct att_arguments *arguments, struct att_value *ret)
{
    static const char *const names[] = {"key", "default"};
    struct att_value values[2];
    if (!att_run_bind(run, "get", arguments, names, 2, 1, values))
        return false;
    const struct att_value *found = att_dict_find(of.dict, values[0]);
    *ret = found ? *found : values[1];
    if (!found && att_value_absent(values[1]))
        *ret = (struct att_value){.kind = ATT_VALUE_NONE};
    return true;
}

static bool members(struct att_run *run, struct att_value of, const struct att_arguments *arguments, bool keys,
                    bool values, struct att_value *ret)
{
    struct att_list *list = att_list_create(&run->arena);
    bool done = list != NULL;
    if (!att_run_bind(run, "items", arguments, NULL, 0, 0, NULL))
        return false;
    for (size_t i = 0; done && i < of.dict->count; i++) {
        struct att_value key = of.dict->keys[i];
        struct att_list *pair = keys && values ? att_list_create(&run->arena) : NULL;
        if (keys && values) {
            done = pair && att_list_push(&run->arena, pair, key) &&
                   att_list_push(&run->arena, pair, of.dict->values[i]) &&
                   att_list_push(&run->arena, list, att_value_list(pair));
            if (pair)
                pair->tuple = true;
        } else {
            done = att_list_push(&run->arena, list, keys ? key : of.dict->values[i]);
        }
    }
    if (!done)
        return att_run_no_memory(run);
    *ret = att_value_list(list);
    return true;
}

static bool items(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                  struct att_value *ret)
{
    return members(run, of, arguments, true, true, ret);
}

static bool keys(struct att_run *run, struct att_value of, const struct att_arguments *arguments, struct att_value *ret)
{
    return members(run, of, arguments, true, false, ret);
}

static bool values(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                   struct att_value *ret)
{
    return members(run, of, arguments, false, true, ret);
}

static bool cycle(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                  struct att_value *ret)
{
    if (arguments->n == 0)
        return att_run_fail(run, ATT_EINVAL, "cycle: has no arguments");
    *ret = arguments->values[of.loop->index % arguments->n];
    return true;
}

/* ---- by name ---- */

static const struct {
    enum att_value_kind kind;
    const char *name;
    method *run;
} methods[] = {
    {ATT_VALUE_TEXT, "strip", strip_both},
    {ATT_VALUE_TEXT, "lstrip", strip_left},
    {ATT_VALUE_TEXT, "rstrip", strip_right},
    {ATT_VALUE_TEXT, "split", split},
    {ATT_VALUE_TEXT, "rsplit", split_right},
    {ATT_VALUE_TEXT, "splitlines", split_lines},
    {ATT_VALUE_TEXT, "startswith", starts_with},
    {ATT_VALUE_TEXT, "endswith", ends_with},
    {ATT_VALUE_TEXT, "removeprefix", remove_prefix},
    {ATT_VALUE_TEXT, "removesuffix", remove_suffix},
    {ATT_VALUE_TEXT, "replace", replace},
    {ATT_VALUE_TEXT, "format", format},
    {ATT_VALUE_TEXT, "upper", upper},
    {ATT_VALUE_TEXT, "lower", lower},
    {ATT_VALUE_TEXT, "title", title},
    {ATT_VALUE_TEXT, "capitalize", capitalize},
    {ATT_VALUE_TEXT, "join", join},
    {ATT_VALUE_TEXT, "find", find},
    {ATT_VALUE_TEXT, "rfind", find_last},
    {ATT_VALUE_TEXT, "count", count},
    {ATT_VALUE_TEXT, "isdigit", is_digit},
    {ATT_VALUE_TEXT, "isalpha", is_alpha},
    {ATT_VALUE_TEXT, "isalnum", is_alnum},
    {ATT_VALUE_TEXT, "isspace", is_space},
    {ATT_VALUE_DICT, "get", get},
    {ATT_VALUE_DICT, "items", items},
    {ATT_VALUE_DICT, "keys", keys},
    {ATT_VALUE_DICT, "values", values},
    {ATT_VALUE_LOOP, "cycle", cycle},
};

static size_t find_method(struct att_value of, struct att_text name)
{
    size_t at = 0;
    while (at < sizeof methods / sizeof *methods &&
           (methods[at].kind != of.kind || !att_text_is(name, methods[at].name)))
        at++;
    return at;
}

bool att_chat_method_known(struct att_value of, struct att_text name)
{
    return find_method(of, name) < sizeof methods / sizeof *methods;
}

bool att_run_method(struct att_run *run, struct att_value of, struct att_text name,
                    const struct att_arguments *arguments, struct att_value *ret)
{
    return methods[find_method(of, name)].run(run, of, arguments, ret);
}
