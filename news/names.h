/* Names to small numbers: sources, topics and entities of a set are compared and counted by index. One thread. */
#ifndef NEWS_NAMES_H
#define NEWS_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

#define NEWS_NAMES_NONE UINT32_MAX /* no index; too large for an enum of C11 */

struct news_name {
    const char *key;
    const char *title; /* what people read; the key where there is none */
    const char *more;  /* of an entity: its ticker; or "" */
    uint64_t hash;
};

struct news_names {
    struct news_name *list;
    size_t n, capacity;
    uint32_t *slots; /* open addressing; NEWS_NAMES_NONE is free */
    size_t n_slots;  /* a power of two */
};

/* A zeroed one is empty. */
void news_names_finish(struct news_names *names);
/* The index of `key`, which is added when it is new; title and more are copied then, and may be NULL. */
enum att_status news_names_add(struct news_names *names, const char *key, const char *title, const char *more,
                               uint32_t *ret_index, struct att_err *err) ATT_MUST_USE;
/* NEWS_NAMES_NONE: not there. */
uint32_t news_names_find(const struct news_names *names, const char *key);

#endif
