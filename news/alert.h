/*
 * Alert rules: levels red, orange, yellow and blue (红橙黄蓝). A rule takes the
 * items of its window, groups them by its subject, and finds the groups that meet
 * all its conditions; a finding says which conditions those were and what the
 * values are. Pure functions of (set, rule, now): when to evaluate, what was
 * published before, and where to, is the daemon's.
 */
#ifndef NEWS_ALERT_H
#define NEWS_ALERT_H

#include "core/base/json.h"
#include "news/group.h"

enum news_level { NEWS_BLUE, NEWS_YELLOW, NEWS_ORANGE, NEWS_RED, NEWS_LEVEL_COUNT };

struct news_rule {
    const char *name;
    enum news_level level;
    enum news_by subject;
    const char *entity, *topic, *source; /* NULL: any */
    int64_t window_ms, cooldown_ms;
    size_t items_min, sources_min;                   /* 1: met by every group */
    double heat_min, growth_min, negative_share_min; /* 0 */
    double polarity_max;                             /* 1 */
    double importance_min;                           /* 0 */
};

struct news_finding {
    const struct news_rule *rule;
    const struct news_set *set;
    uint64_t key; /* of the group */
    int64_t from_ms, to_ms, first_seq, last_seq;
    struct news_measure is;
    double growth; /* items here / items of the window before, at least one */
};

/* Calls `visit` for every group that meets the rule, in order of key. The set holds at least two windows before now. */
enum att_status news_rule_evaluate(const struct news_set *set, const struct news_rule *rule, int64_t now_ms,
                                   enum att_status (*visit)(void *context, const struct news_finding *finding,
                                                            struct att_err *err),
                                   void *context, struct att_err *err) ATT_MUST_USE;
/* "red" … and back; false: no level. */
const char *news_level_name(enum news_level level);
bool news_level_parse(const char *text, size_t len, enum news_level *ret_level);
/* What cooldown is counted by: RULE, a blank, and the subject's key. Cut to `size`. */
void news_finding_subject(const struct news_finding *finding, char *out, size_t size);
/* The alert as a JSON object. `first`: the first item that the store has of it (NULL: none is shown). */
void news_finding_write(const struct news_finding *finding, const struct store_news_item *first, struct att_jsonw *w);
/* A stored one as everybody is shown it: its number, and what news_finding_write wrote. */
void news_alert_write(const struct store_news_alert *alert, struct att_jsonw *w);

#endif
