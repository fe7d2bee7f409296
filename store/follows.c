/* See follows.h. All rows lie in one array; an item's begin is known by its index. */
#include "store/follows.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "store/items_table.h"

enum { DEPTH_MAX = 8 };
static const size_t file_bytes_max = (size_t)1 << 30;
static const double scale_max = 1e9, weight_max = 100, decay_max = 0.9, own_max = 10;

struct row {
    size_t begin, n;
};

struct store_follows {
    char *path;
    size_t n_items, n, capacity;
    struct store_follows_rule rule;
    struct row *rows; /* [n_items + 1] */
    struct store_follow *all;
};

static enum att_status wrong(const struct store_follows *follows, size_t line, const char *what, struct att_err *err)
{
    return att_err_set(err, ATT_EFORMAT, "%s: line %zu: %s", follows->path, line, what);
}

/* A number of the first line that may be left out, and then is 0. */
static bool is_from_0_to(const struct att_json *value, double most, double *ret_number)
{
    *ret_number = value ? att_json_number(value, -1) : 0;
    return *ret_number >= 0 && *ret_number <= most;
}

static enum att_status take_header(struct store_follows *follows, const struct att_json *line, struct att_err *err)
{
    struct store_follows_rule *rule = &follows->rule;
    rule->scale = att_json_number(att_json_get(line, "scale"), -1);
    rule->weight = att_json_number(att_json_get(line, "weight"), -1);
    if (!(rule->scale > 0 && rule->scale <= scale_max && rule->weight >= 0 && rule->weight <= weight_max))
        return wrong(follows, 1, "expected \"scale\" above 0 and \"weight\" from 0 to 100", err);
    if (!is_from_0_to(att_json_get(line, "decay"), decay_max, &rule->decay))
        return wrong(follows, 1, "decay: expected a number from 0 to 0.9", err);
    if (!is_from_0_to(att_json_get(line, "own"), own_max, &rule->own))
        return wrong(follows, 1, "own: expected a number from 0 to 10", err);
    return ATT_OK;
}

static enum att_status reserve(struct store_follows *follows, size_t more, struct att_err *err)
{
    if (follows->n + more <= follows->capacity)
        return ATT_OK;
    size_t capacity = 2 * (follows->n + more);
    struct store_follow *all = att_mem_realloc(follows->all, capacity, sizeof *all);
    if (!all)
        return att_err_set(err, ATT_ENOMEM, "%s: out of memory", follows->path);
    follows->all = all;
    follows->capacity = capacity;
    return ATT_OK;
}

static enum att_status take_row(struct store_follows *follows, const struct att_json *line, size_t number,
                                struct att_err *err)
{
    const struct att_json *next = att_json_get(line, "next");
    size_t n = att_json_count(next);
    int64_t index, item;
    if (!att_json_integer(att_json_get(line, "index"), 1, (int64_t)follows->n_items, &index) ||
        follows->rows[index].n > 0)
        return wrong(follows, number, "index: expected a number of an item that no earlier line has", err);
    if (!att_json_is_array(next) || n > STORE_FOLLOWS_MAX)
        return wrong(follows, number, "next: expected at most 256 pairs of an item and its share", err);
    enum att_status status = reserve(follows, n, err);
    if (status != ATT_OK)
        return status;
    follows->rows[index] = (struct row){follows->n, n};
    for (size_t i = 0; i < n; i++) {
        const struct att_json *pair = att_json_at(next, i);
        double share = att_json_number(att_json_at(pair, 1), -1);
        if (att_json_count(pair) != 2 || !att_json_integer(att_json_at(pair, 0), 1, (int64_t)follows->n_items, &item) ||
            !(share > 0 && share <= 1))
            return wrong(follows, number, "next: expected pairs of an item's index and its share, above 0 to 1", err);
        for (size_t j = follows->rows[index].begin; j < follows->n; j++)
            if (follows->all[j].item == (uint32_t)item)
                return wrong(follows, number, "next: an item stands there twice", err);
        follows->all[follows->n++] = (struct store_follow){(uint32_t)item, (float)share};
    }
    return ATT_OK;
}

static enum att_status take_lines(struct store_follows *follows, const char *bytes, size_t len, struct att_err *err)
{
    enum att_status status = ATT_OK;
    size_t number = 0;
    for (size_t begin = 0; status == ATT_OK && begin < len;) {
        const char *newline = memchr(bytes + begin, '\n', len - begin);
        size_t end = newline ? (size_t)(newline - bytes) : len;
        struct att_json *line = NULL;
        number++;
        status = att_json_parse(bytes + begin, end - begin, 0, DEPTH_MAX, &line, err);
        if (status != ATT_OK && status != ATT_ENOMEM)
            status = wrong(follows, number, "is no JSON object", err);
        else if (status == ATT_OK)
            status = number == 1 ? take_header(follows, line, err) : take_row(follows, line, number, err);
        att_json_destroy(line);
        begin = end + 1;
    }
    return status == ATT_OK && number == 0 ? wrong(follows, 1, "is missing", err) : status;
}

enum att_status store_follows_open(const char *dir, size_t n_items, struct store_follows **ret_follows,
                                   struct att_err *err)
{
    static const char name[] = "/follows.jsonl";
    struct store_follows *follows = att_mem_calloc(1, sizeof *follows);
    char *bytes = NULL;
    size_t len = 0;
    if (!follows)
        return att_err_set(err, ATT_ENOMEM, "%s: out of memory", dir);
    follows->n_items = n_items;
    follows->path = att_mem_calloc(strlen(dir) + sizeof name, 1);
    follows->rows = att_mem_calloc(n_items + 1, sizeof *follows->rows);
    enum att_status status = follows->path && follows->rows
                                 ? ATT_OK
                                 : att_err_set(err, ATT_ENOMEM, "%s: out of memory for what follows what", dir);
    if (status == ATT_OK) {
        snprintf(follows->path, strlen(dir) + sizeof name, "%s%s", dir, name);
        status = store_file_read(follows->path, false, file_bytes_max, &bytes, &len, err);
    }
    if (status == ATT_OK)
        status = take_lines(follows, bytes, len, err);
    att_mem_free(bytes);
    if (status == ATT_OK)
        *ret_follows = follows;
    else
        store_follows_close(follows);
    return status;
}

void store_follows_close(struct store_follows *follows)
{
    if (!follows)
        return;
    att_mem_free(follows->path);
    att_mem_free(follows->rows);
    att_mem_free(follows->all);
    att_mem_free(follows);
}

const struct store_follow *store_follows_of(const struct store_follows *follows, size_t index, size_t *ret_n)
{
    assert(index <= follows->n_items);
    *ret_n = follows->rows[index].n;
    return *ret_n ? follows->all + follows->rows[index].begin : NULL;
}

const struct store_follows_rule *store_follows_rule(const struct store_follows *follows)
{
    return &follows->rule;
}
