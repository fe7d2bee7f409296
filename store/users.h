/*
 * What users did: the events of POST /v1/feedback in one SQLite file.
 *
 *   events(seq, user, id, model, item, type, value, time, text)      newest events_max of a user, none past retention
 *
 * A write is one transaction: acknowledged means durable, failed means unchanged. An event that has an id is stored
 * once for its user, however often it comes. What is deleted is overwritten with zeros (secure_delete), and the log
 * is emptied after a user's removal. Reads have a connection of their own and never wait for a write. Thread safe.
 */
#ifndef STORE_USERS_H
#define STORE_USERS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "core/base/status.h"

struct store_user_event {
    const char *user, *id; /* id: of the sender, or "" */
    const char *model, *item;
    int type;         /* the task's enum; the store only keeps it */
    double value;     /* NAN: none */
    double time;      /* seconds since 1970 */
    const char *text; /* or "" */
};

struct store_users_limits {
    size_t events_max; /* of one user, at least 1 */
    double keep_s;     /* an event is kept so long; 0: for ever */
};

struct store_users_counts {
    size_t stored, duplicates, expired; /* duplicates: their id is stored already; expired: older than keep_s */
};

struct store_users;

/* Opens or creates. ATT_EFORMAT: the file is damaged, or of another program or version. */
enum att_status store_users_open(const char *path, const struct store_users_limits *limits,
                                 struct store_users **ret_users, struct att_err *err) ATT_MUST_USE;
/* One more owner, for instance the next configuration beside the present one, with the limits it names. */
struct store_users *store_users_share(struct store_users *users, const struct store_users_limits *limits);
void store_users_close(struct store_users *users); /* drops a reference, the last one closes; NULL is allowed */

/* All events or none. now_s: seconds since 1970, from which the age of all that is stored counts. */
enum att_status store_users_put(struct store_users *users, const struct store_user_event *events, size_t n,
                                double now_s, struct store_users_counts *ret_counts, struct att_err *err) ATT_MUST_USE;
/* The newest `max` events of a user in the order of time, copied into the arena; model NULL: those of all models. */
enum att_status store_users_history(struct store_users *users, const char *user, const char *model, size_t max,
                                    double now_s, struct att_arena *arena, struct store_user_event **ret_events,
                                    size_t *ret_n, struct att_err *err) ATT_MUST_USE;
/* Removes all that is known of a user; *ret_removed: events. */
enum att_status store_users_remove(struct store_users *users, const char *user, size_t *ret_removed,
                                   struct att_err *err) ATT_MUST_USE;
/* Removes what is past its time. Every write does so too. */
enum att_status store_users_expire(struct store_users *users, double now_s, struct att_err *err) ATT_MUST_USE;

#endif
