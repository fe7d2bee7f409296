/* Reading lines of any length up to a bound, through one growing buffer. */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"

enum { LINE_BYTES_MAX = 64 << 20, READ_BYTES = 64 << 10 };

void cli_lines_init(struct cli_lines *lines, FILE *file)
{
    *lines = (struct cli_lines){.file = file};
}

void cli_lines_finish(struct cli_lines *lines)
{
    att_mem_free(lines->text);
    *lines = (struct cli_lines){.file = NULL};
}

/* Reads on, behind what is there. */
static enum att_status fill(struct cli_lines *lines, struct att_err *err)
{
    size_t kept = lines->end - lines->begin;
    if (lines->begin > 0)
        memmove(lines->text, lines->text + lines->begin, kept);
    lines->begin = 0;
    lines->end = kept;
    if (kept > LINE_BYTES_MAX)
        return att_err_limit(err, NULL, LINE_BYTES_MAX, kept, "line %zu: is longer than %d bytes", lines->number + 1,
                             LINE_BYTES_MAX);
    if (lines->capacity < kept + READ_BYTES + 1) {
        size_t capacity = lines->capacity * 2 + READ_BYTES + 1;
        char *text = att_mem_realloc(lines->text, capacity, 1);
        if (!text)
            return att_err_set(err, ATT_ENOMEM, "line %zu: out of memory", lines->number + 1);
        lines->text = text;
        lines->capacity = capacity;
    }
    size_t got = fread(lines->text + kept, 1, READ_BYTES, lines->file);
    if (got == 0 && ferror(lines->file))
        return att_err_set(err, ATT_EIO, "the input cannot be read: %s", strerror(errno));
    lines->end += got;
    lines->eof = got == 0;
    return ATT_OK;
}

/* The next line, blank or not. */
static enum att_status next(struct cli_lines *lines, char **ret_text, size_t *ret_len, struct att_err *err)
{
    size_t searched = 0;
    for (;;) {
        size_t have = lines->end - lines->begin;
        char *start = lines->text ? lines->text + lines->begin : NULL;
        char *newline = have > searched ? memchr(start + searched, '\n', have - searched) : NULL;
        if (!newline && !lines->eof) {
            searched = have;
            enum att_status status = fill(lines, err);
            if (status != ATT_OK)
                return status;
            continue;
        }
        if (have == 0) {
            *ret_text = NULL;
            return ATT_OK;
        }
        size_t len = newline ? (size_t)(newline - start) : have;
        lines->begin += newline ? len + 1 : len;
        lines->number++;
        if (len > 0 && start[len - 1] == '\r')
            len--;
        start[len] = '\0';
        *ret_text = start;
        *ret_len = len;
        return ATT_OK;
    }
}

enum att_status cli_lines_next(struct cli_lines *lines, char **ret_text, size_t *ret_len, struct att_err *err)
{
    enum att_status status;
    do
        status = next(lines, ret_text, ret_len, err);
    while (status == ATT_OK && *ret_text && strspn(*ret_text, " \t") == *ret_len);
    return status;
}
