/*
 * Reading parameters of the URL's query. Unlike the members of a body they are
 * all text, so numbers are parsed here; every refusal names the parameter, the
 * value and what was expected.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/task.h"

const char *task_query_text(const struct task_call *call, const char *name)
{
    for (size_t i = 0; i < call->n_query; i++)
        if (strcmp(call->query[i].name, name) == 0)
            return call->query[i].value;
    return NULL;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

enum att_status task_query_known(const struct task_call *call, const char *const *names, struct att_err *err)
{
    for (size_t i = 0; i < call->n_query; i++) {
        const char *name = call->query[i].name;
        if (!is_one_of(name, names))
            return att_err_param(err, ATT_EINVAL, name, "%s: is not a parameter of this path", name);
        for (size_t j = 0; j < i; j++)
            if (strcmp(name, call->query[j].name) == 0)
                return att_err_param(err, ATT_EINVAL, name, "%s: stands twice in the query", name);
    }
    return ATT_OK;
}

enum att_status task_query_int(const struct task_call *call, const char *name, int64_t min, int64_t max, int64_t *ret,
                               struct att_err *err)
{
    const char *text = task_query_text(call, name);
    if (!text)
        return ATT_OK;
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool is_number = (*text == '-' || (*text >= '0' && *text <= '9')) && *end == '\0' && errno == 0;
    if (!is_number || value < min || value > max)
        return att_err_param(err, ATT_EINVAL, name, "%s: is \"%.40s\", expected an integer from %lld to %lld", name,
                             text, (long long)min, (long long)max);
    *ret = value;
    return ATT_OK;
}

enum att_status task_query_enum(const struct task_call *call, const char *name, const char *const *words, size_t *ret,
                                struct att_err *err)
{
    const char *text = task_query_text(call, name);
    if (!text)
        return ATT_OK;
    char list[160];
    size_t len = 0;
    list[0] = '\0';
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret = i;
            return ATT_OK;
        }
        size_t more = strlen(words[i]);
        if (len + more + 3 < sizeof list) {
            memcpy(list + len, i ? ", " : "", i ? 2 : 0);
            len += i ? 2 : 0;
            memcpy(list + len, words[i], more + 1);
            len += more;
        }
    }
    return att_err_param(err, ATT_EINVAL, name, "%s: is \"%.40s\", expected one of %s", name, text, list);
}
