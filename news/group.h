/*
 * Facts of a set, grouped: by event, entity, topic, source or tone, or all
 * together; and what a group amounts to. An item is in as many groups as it has
 * topics or entities; there its tone is the entity's own. Items that are noise
 * are in none.
 */
#ifndef NEWS_GROUP_H
#define NEWS_GROUP_H

#include "news/set.h"

enum news_by { NEWS_BY_EVENT, NEWS_BY_ENTITY, NEWS_BY_TOPIC, NEWS_BY_SOURCE, NEWS_BY_ALL, NEWS_BY_TONE, NEWS_BY_COUNT };

/* Which facts: published in [from, to), and of one of the named ones where a list is not empty. Indexes into the set's
 * names; NEWS_NAMES_NONE in a list is a name that nothing has. */
struct news_pick {
    int64_t from_ms, to_ms;
    const uint32_t *entities, *topics, *sources;
    size_t n_entities, n_topics, n_sources;
};

struct news_member {
    uint64_t key;
    int64_t time_ms;
    double weight, polarity;
    uint32_t fact;
    signed char tone;
};

struct news_group {
    uint64_t key;                      /* seq of the event's first item; index of a name; 0 of all; tone + 1 */
    const struct news_member *members; /* ascending in time */
    size_t n, n_before;                /* n_before: earlier members that lie before these: see news_groups_since */
    double heat;                       /* at `at_ms` */
};

struct news_groups {
    struct news_group *list; /* ascending key */
    size_t n;
    struct news_member *members;
    size_t n_members;
};

enum att_status news_groups_make(const struct news_set *set, const struct news_pick *pick, enum news_by by,
                                 int64_t at_ms, struct news_groups *ret_groups, struct att_err *err) ATT_MUST_USE;
void news_groups_finish(struct news_groups *groups);
/* Leaves of every group what was published from from_ms on, and of groups without such a member nothing; heat becomes
 * the highest from then on. What was before stays in front of `members`, for heat and life cycle. */
void news_groups_since(const struct news_set *set, struct news_groups *groups, int64_t from_ms);
/* Hottest first; ties by key. */
void news_groups_by_heat(struct news_groups *groups);
bool news_pick_has(const struct news_set *set, const struct news_pick *pick, const struct news_fact *fact);

struct news_measure {
    size_t items, sources, tones[3];                   /* negative, neutral, positive */
    double heat, polarity, negative_share, importance; /* polarity: mean; importance: the highest, < 0: unknown */
};

/* `marks`: scratch, zeroed before the first use: [source_names.n] of the set; `mark` another number for every call. */
struct news_measure news_group_measure(const struct news_set *set, const struct news_group *group, uint32_t *marks,
                                       uint32_t mark);
/* Of the group with what was before. */
enum att_status news_group_life(const struct news_set *set, const struct news_group *group, int64_t at_ms,
                                struct news_life *ret_life, struct att_err *err) ATT_MUST_USE;
/* "event", "entity", … */
const char *news_by_name(enum news_by by);
/* What a group is called: its name's title, or "" for an event. */
const char *news_group_title(const struct news_set *set, enum news_by by, uint64_t key);
const char *news_group_key(const struct news_set *set, enum news_by by, uint64_t key);

#endif
