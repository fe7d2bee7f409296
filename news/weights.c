/* See weights.h. */
#include "news/weights.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"

enum { LINE_BYTES = 1024, WEIGHT_MAX = 1000, CAPACITY_FIRST = 64 };

void news_weights_finish(struct news_weights *weights)
{
    news_names_finish(&weights->names);
    att_mem_free(weights->weights);
    *weights = (struct news_weights){0};
}

static enum att_status add(struct news_weights *weights, const char *name, double weight, size_t *capacity,
                           struct att_err *err)
{
    uint32_t index;
    if (weights->names.n == NEWS_WEIGHTS_MAX)
        return att_err_set(err, ATT_EFORMAT, "more than %d sources", NEWS_WEIGHTS_MAX);
    if (news_names_find(&weights->names, name) != NEWS_NAMES_NONE)
        return att_err_set(err, ATT_EFORMAT, "'%.60s' was given before", name);
    if (weights->names.n == *capacity) {
        size_t more = *capacity ? *capacity * 2 : CAPACITY_FIRST;
        double *grown = att_mem_realloc(weights->weights, more, sizeof *grown);
        if (!grown)
            return att_err_set(err, ATT_ENOMEM, "out of memory");
        weights->weights = grown;
        *capacity = more;
    }
    enum att_status status = news_names_add(&weights->names, name, NULL, NULL, &index, err);
    if (status == ATT_OK)
        weights->weights[index] = weight;
    return status;
}

static enum att_status read_line(struct news_weights *weights, char *line, size_t *capacity, struct att_err *err)
{
    size_t len = strlen(line);
    if (len + 1 == LINE_BYTES && line[len - 1] != '\n')
        return att_err_set(err, ATT_EFORMAT, "the line is longer than %d bytes", LINE_BYTES - 2);
    while (len > 0 && strchr(" \t\r\n", line[len - 1]))
        line[--len] = '\0';
    line += strspn(line, " \t");
    if (!*line || *line == '#')
        return ATT_OK;
    char *name;
    errno = 0;
    double weight = strtod(line, &name);
    bool is_number = name > line && (*name == ' ' || *name == '\t') && errno == 0 &&
                     strspn(line, "0123456789.") == (size_t)(name - line);
    name += strspn(name, " \t");
    if (!is_number || !(weight >= 0 && weight <= WEIGHT_MAX) || !*name || !att_utf8_valid(name, strlen(name)))
        return att_err_set(err, ATT_EFORMAT, "expected a weight from 0 to %d, a blank and the name of a source",
                           WEIGHT_MAX);
    return add(weights, name, weight, capacity, err);
}

enum att_status news_weights_load(const char *path, struct news_weights *ret_weights, struct att_err *err)
{
    struct news_weights weights = {0};
    struct stat facts;
    char line[LINE_BYTES];
    size_t number = 0, capacity = 0;
    enum att_status status = ATT_OK;
    if (stat(path, &facts) == 0 && !S_ISREG(facts.st_mode))
        return att_err_set(err, ATT_EFORMAT, "%s: is not a regular file", path);
    FILE *file = fopen(path, "re");
    if (!file)
        return att_err_set(err, ATT_EIO, "%s: cannot be read: %s", path, strerror(errno));
    while (status == ATT_OK && fgets(line, sizeof line, file)) {
        number++;
        status = read_line(&weights, line, &capacity, err);
        if (status != ATT_OK)
            att_err_prefix(err, "%s:%zu", path, number);
    }
    if (status == ATT_OK && ferror(file))
        status = att_err_set(err, ATT_EIO, "%s: cannot be read: %s", path, strerror(errno));
    fclose(file);
    if (status == ATT_OK)
        *ret_weights = weights;
    else
        news_weights_finish(&weights);
    return status;
}
