/* Reading JSONL and CSV; see table_file.h. */
#include "cli/table_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"

enum { FILE_BYTES_MAX = 256 << 20, COLUMNS_MAX = 64, ENTRY_BYTES_MAX = 1 << 20, METADATA_DEPTH = 16 };

static enum att_status read_whole(const char *path, char **ret_bytes, size_t *ret_len, struct att_err *err)
{
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    size_t len = 0, capacity = 0;
    enum att_status status = ATT_OK;
    if (!file)
        return att_err_set(err, ATT_ENOTFOUND, "%s: %s", path, strerror(errno));
    for (;;) {
        if (capacity - len < 2) {
            capacity = capacity ? capacity * 2 : 65536;
            char *grown = capacity <= FILE_BYTES_MAX ? att_mem_realloc(bytes, capacity, 1) : NULL;
            if (!grown) {
                status = att_err_limit(err, NULL, FILE_BYTES_MAX, len, "%s: is over %d bytes, or memory is out", path,
                                       FILE_BYTES_MAX);
                break;
            }
            bytes = grown;
        }
        size_t n = fread(bytes + len, 1, capacity - len - 1, file);
        len += n;
        if (n == 0)
            break;
    }
    if (status == ATT_OK && ferror(file))
        status = att_err_set(err, ATT_EIO, "%s: cannot be read", path);
    fclose(file);
    if (status == ATT_OK && !att_utf8_valid(bytes, len))
        status = att_err_set(err, ATT_EFORMAT, "%s: is not UTF-8; of a spreadsheet, save it as CSV UTF-8", path);
    if (status != ATT_OK) {
        att_mem_free(bytes);
        return status;
    }
    bytes[len] = '\0';
    *ret_bytes = bytes;
    *ret_len = len;
    return ATT_OK;
}

static enum att_status add(struct cli_table_file *file, char *entry, size_t number, struct att_err *err)
{
    if (file->count == file->capacity) {
        size_t capacity = file->capacity ? file->capacity * 2 : 256;
        char **entries = att_mem_realloc(file->entries, capacity, sizeof *entries);
        if (entries)
            file->entries = entries;
        size_t *numbers = entries ? att_mem_realloc(file->numbers, capacity, sizeof *numbers) : NULL;
        if (numbers)
            file->numbers = numbers;
        if (!numbers) {
            att_mem_free(entry);
            return att_err_set(err, ATT_ENOMEM, "out of memory");
        }
        file->capacity = capacity;
    }
    file->entries[file->count] = entry;
    file->numbers[file->count++] = number;
    return ATT_OK;
}

static enum att_status read_jsonl(const char *text, size_t len, struct cli_table_file *file, struct att_err *err)
{
    size_t number = 0;
    for (size_t at = 0; at < len;) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t end = newline ? (size_t)(newline - text) : len;
        number++;
        if (end > at && strspn(text + at, " \t\r") < end - at) {
            char *entry = att_mem_calloc(end - at + 1, 1);
            if (!entry)
                return att_err_set(err, ATT_ENOMEM, "out of memory");
            memcpy(entry, text + at, end - at);
            enum att_status status = add(file, entry, number, err);
            if (status != ATT_OK)
                return status;
        }
        at = end + 1;
    }
    return ATT_OK;
}

/* A row of CSV: its fields, unquoted in place, NUL-terminated. */
struct row {
    char *fields[COLUMNS_MAX];
    size_t count;
};

/* Takes one field from *at; true when the row goes on behind it. A quote that never closes is told by *ret_closed. */
static bool take_field(char **at, size_t *number, char **ret_field, bool *ret_closed)
{
    char *from = *at, *to = from;
    *ret_field = to;
    *ret_closed = true;
    if (*from == '"') {
        from++;
        for (; *from && !(*from == '"' && from[1] != '"'); from++) {
            *number += *from == '\n';
            from += *from == '"'; /* a doubled quote stands for one */
            *to++ = *from;
        }
        *ret_closed = *from == '"';
        from += *ret_closed;
    } else {
        while (*from && *from != ',' && *from != '\n' && *from != '\r')
            *to++ = *from++;
    }
    bool more = *from == ',';
    if (*from == '\r' && from[1] == '\n')
        from++;
    if (*from)
        from++;
    *to = '\0';
    *at = from;
    return more;
}

static enum att_status take_row(char **at, size_t *number, struct row *row, struct att_err *err)
{
    bool more = true, closed = true;
    row->count = 0;
    while (more && closed) {
        if (row->count == COLUMNS_MAX)
            return att_err_limit(err, NULL, COLUMNS_MAX, row->count + 1, "more than %d columns", COLUMNS_MAX);
        more = take_field(at, number, &row->fields[row->count++], &closed);
    }
    *number += 1;
    return closed ? ATT_OK : att_err_set(err, ATT_EFORMAT, "a quoted field is not closed");
}

/* A number or a boolean as such; anything else as a string, which the entry's parser refuses by the field's name. */
static void put_literal(struct att_jsonw *w, const char *text, size_t len)
{
    bool digits = len > 0 && len <= 16 && strspn(text, "0123456789") >= len && (text[0] != '0' || len == 1);
    if (digits || (len == 4 && memcmp(text, "true", 4) == 0) || (len == 5 && memcmp(text, "false", 5) == 0))
        att_jsonw_raw(w, text, len);
    else
        att_jsonw_string(w, text, len);
}

/* "a|b" as an array of strings, or of numbers; \| and \\ stand for | and \. The text is unescaped in place. */
static void put_list(struct att_jsonw *w, char *text, bool numbers)
{
    att_jsonw_array_begin(w);
    while (*text) {
        char *to = text, *from = text;
        while (*from && *from != '|') {
            from += from[0] == '\\' && (from[1] == '|' || from[1] == '\\');
            *to++ = *from++;
        }
        if (to > text && numbers)
            put_literal(w, text, (size_t)(to - text));
        else if (to > text)
            att_jsonw_string(w, text, (size_t)(to - text));
        text = from + (*from == '|');
    }
    att_jsonw_array_end(w);
}

static const char *const none[] = {NULL};

static const char *const kb_required[] = {"id", "question", "answer", NULL};
static const char *const kb_texts[] = {"question", "answer", "lang", "source", NULL};
static const char *const kb_values[] = {"id", "context_only", "chitchat", "valid_from", "valid_until", NULL};
static const char *const kb_text_lists[] = {"alternates", NULL};
static const char *const kb_number_lists[] = {"prompts", NULL};
const struct cli_columns cli_kb_columns = {kb_required, kb_texts, kb_values, kb_text_lists, kb_number_lists, true};

static const char *const item_required[] = {"id", NULL};
static const char *const item_texts[] = {"id", "title", "text", NULL};
static const char *const item_values[] = {"popularity", "available", NULL};
const struct cli_columns cli_item_columns = {item_required, item_texts, item_values, none, none, false};

static bool has(const char *const *names, const char *name)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

static bool is_field(const struct cli_columns *columns, const char *name)
{
    return has(columns->texts, name) || has(columns->values, name) || has(columns->text_lists, name) ||
           has(columns->number_lists, name);
}

static void put_column(struct att_jsonw *w, const struct cli_columns *columns, const char *name, char *value)
{
    if (!*value || !is_field(columns, name))
        return;
    att_jsonw_key(w, name);
    if (has(columns->text_lists, name))
        put_list(w, value, false);
    else if (has(columns->number_lists, name))
        put_list(w, value, true);
    else if (has(columns->values, name))
        put_literal(w, value, strlen(value));
    else
        att_jsonw_cstring(w, value);
}

/* The members of a column "metadata", which holds an object, and every column that is no field. */
static enum att_status put_metadata(struct att_jsonw *w, const struct cli_columns *columns, const struct row *header,
                                    const struct row *row, struct att_err *err)
{
    att_jsonw_object_begin(w);
    for (size_t i = 0; i < row->count; i++) {
        const char *name = header->fields[i], *value = row->fields[i];
        if (is_field(columns, name) || !*value)
            continue;
        if (strcmp(name, "metadata") != 0) {
            att_jsonw_put_text(w, name, value);
            continue;
        }
        struct att_json *object = NULL;
        struct att_json_iter iter;
        const char *key;
        const struct att_json *member;
        enum att_status status = att_json_parse(value, strlen(value), 0, METADATA_DEPTH, &object, err);
        if (status == ATT_OK && !att_json_is_object(object))
            status = att_err_set(err, ATT_EFORMAT, "is no JSON object");
        if (status != ATT_OK) {
            att_json_destroy(object);
            return att_err_prefix(err, "metadata");
        }
        att_json_iter_init(&iter, object);
        while (att_json_iter_next(&iter, &key, &member)) {
            att_jsonw_key(w, key);
            att_jsonw_value(w, member);
        }
        att_json_destroy(object);
    }
    att_jsonw_object_end(w);
    return ATT_OK;
}

static bool has_metadata(const struct cli_columns *columns, const struct row *header, const struct row *row)
{
    for (size_t i = 0; i < row->count; i++)
        if (*row->fields[i] && !is_field(columns, header->fields[i]))
            return true;
    return false;
}

static enum att_status row_to_json(const struct cli_columns *columns, const struct row *header, const struct row *row,
                                   char **ret_entry, struct att_err *err)
{
    struct att_jsonw w;
    size_t len;
    att_jsonw_init(&w, ENTRY_BYTES_MAX);
    att_jsonw_object_begin(&w);
    for (size_t i = 0; i < row->count; i++)
        put_column(&w, columns, header->fields[i], row->fields[i]);
    enum att_status status = ATT_OK;
    if (columns->always_metadata || has_metadata(columns, header, row)) {
        att_jsonw_key(&w, "metadata");
        status = put_metadata(&w, columns, header, row, err);
    }
    att_jsonw_object_end(&w);
    if (status == ATT_OK)
        status = att_jsonw_take(&w, ret_entry, &len, err);
    att_jsonw_finish(&w);
    return status;
}

static enum att_status check_header(const struct cli_columns *columns, const struct row *header, struct att_err *err)
{
    for (size_t i = 0; i < header->count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(header->fields[i], header->fields[j]) == 0)
                return att_err_set(err, ATT_EFORMAT, "line 1: column %.60s stands twice", header->fields[i]);
    const char *const *required = columns->required;
    for (size_t i = 0; required[i]; i++) {
        bool found = false;
        for (size_t j = 0; j < header->count; j++)
            found |= strcmp(header->fields[j], required[i]) == 0;
        if (!found)
            return att_err_set(err, ATT_EFORMAT,
                               "line 1: has no column %s, expected names with commas between: \"%.60s\"", required[i],
                               header->fields[0]);
    }
    return ATT_OK;
}

static enum att_status read_csv(char *text, const struct cli_columns *columns, struct cli_table_file *file,
                                struct att_err *err)
{
    struct row header, row;
    size_t number = 1;
    enum att_status status = take_row(&text, &number, &header, err);
    if (status != ATT_OK)
        return att_err_prefix(err, "line 1");
    status = check_header(columns, &header, err);
    while (status == ATT_OK && *text) {
        size_t first = number;
        char *entry = NULL;
        status = take_row(&text, &number, &row, err);
        if (status == ATT_OK && row.count == 1 && !*row.fields[0])
            continue;
        if (status == ATT_OK && row.count != header.count)
            status = att_err_set(err, ATT_EFORMAT, "has %zu columns, expected %zu as in the header", row.count,
                                 header.count);
        if (status == ATT_OK)
            status = row_to_json(columns, &header, &row, &entry, err);
        if (status != ATT_OK && status != ATT_ENOMEM)
            att_err_prefix(err, "line %zu", first);
        if (status == ATT_OK)
            status = add(file, entry, first, err);
    }
    return status;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), tail = strlen(end);
    return len >= tail && strcmp(text + len - tail, end) == 0;
}

enum att_status cli_table_file_read(const char *path, const struct cli_columns *columns, struct cli_table_file *file,
                                    struct att_err *err)
{
    char *text = NULL;
    size_t len = 0;
    *file = (struct cli_table_file){.count = 0};
    bool csv = ends_with(path, ".csv");
    if (!csv && !ends_with(path, ".jsonl"))
        return att_err_set(err, ATT_EINVAL, "%s: expected a name that ends in .jsonl or .csv", path);
    enum att_status status = read_whole(path, &text, &len, err);
    if (status != ATT_OK)
        return status;
    size_t mark = strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* the byte order mark that spreadsheets write */
    status = csv ? read_csv(text + mark, columns, file, err) : read_jsonl(text + mark, len - mark, file, err);
    att_mem_free(text);
    return status == ATT_OK ? ATT_OK : att_err_prefix(err, "%s", path);
}

void cli_table_file_finish(struct cli_table_file *file)
{
    for (size_t i = 0; i < file->count; i++)
        att_mem_free(file->entries[i]);
    att_mem_free(file->entries);
    att_mem_free(file->numbers);
    *file = (struct cli_table_file){.count = 0};
}
