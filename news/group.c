/* Pairs of group and fact, sorted: a run of equal keys is a group. */
#include "news/group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

static const char *const by_names[NEWS_BY_COUNT] = {"event", "entity", "topic", "source", "all", "sentiment"};

const char *news_by_name(enum news_by by)
{
    return by_names[by];
}

static bool holds(const uint32_t *list, size_t n, uint32_t index)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == index)
            return true;
    return false;
}

bool news_pick_has(const struct news_set *set, const struct news_pick *pick, const struct news_fact *fact)
{
    if (fact->noise || fact->time_ms < pick->from_ms || fact->time_ms >= pick->to_ms)
        return false;
    if (pick->n_sources && !holds(pick->sources, pick->n_sources, fact->source))
        return false;
    bool topic = pick->n_topics == 0, entity = pick->n_entities == 0;
    for (size_t i = 0; !topic && i < fact->n_topics; i++)
        topic = holds(pick->topics, pick->n_topics, set->topics[fact->first_topic + i]);
    for (size_t i = 0; !entity && i < fact->n_mentions; i++)
        entity = holds(pick->entities, pick->n_entities, set->mentions[fact->first_mention + i].entity);
    return topic && entity;
}

static size_t keys_of(const struct news_fact *fact, enum news_by by)
{
    return by == NEWS_BY_ENTITY ? fact->n_mentions : by == NEWS_BY_TOPIC ? fact->n_topics : 1;
}

static struct news_member member_of(const struct news_set *set, size_t index, enum news_by by, size_t i)
{
    const struct news_fact *fact = &set->facts[index];
    struct news_member member = {.time_ms = fact->time_ms,
                                 .weight = fact->weight,
                                 .polarity = fact->polarity,
                                 .tone = fact->tone,
                                 .fact = (uint32_t)index};
    switch (by) {
    case NEWS_BY_EVENT:
        member.key = (uint64_t)fact->event;
        break;
    case NEWS_BY_ENTITY: {
        const struct news_mention *mention = &set->mentions[fact->first_mention + i];
        member.key = mention->entity;
        member.polarity = mention->polarity;
        member.tone = mention->tone;
        break;
    }
    case NEWS_BY_TOPIC:
        member.key = set->topics[fact->first_topic + i];
        break;
    case NEWS_BY_SOURCE:
        member.key = fact->source;
        break;
    case NEWS_BY_TONE:
        member.key = (uint64_t)(fact->tone + 1);
        break;
    case NEWS_BY_ALL:
    case NEWS_BY_COUNT:
        break;
    }
    return member;
}

static int compare_members(const void *a, const void *b)
{
    const struct news_member *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    return (x->fact > y->fact) - (x->fact < y->fact);
}

static double heat_of(const struct news_set *set, const struct news_member *members, size_t n, int64_t at_ms)
{
    double heat = 0;
    for (size_t i = 0; i < n; i++) {
        struct news_point point = {members[i].time_ms, members[i].weight};
        heat += news_heat(&point, 1, at_ms, set->view->half_life_ms);
    }
    return heat;
}

enum att_status news_groups_make(const struct news_set *set, const struct news_pick *pick, enum news_by by,
                                 int64_t at_ms, struct news_groups *ret_groups, struct att_err *err)
{
    struct news_groups groups = {0};
    size_t n_pairs = 0;
    for (size_t i = 0; i < set->n; i++)
        if (news_pick_has(set, pick, &set->facts[i]))
            n_pairs += keys_of(&set->facts[i], by);
    groups.members = att_mem_calloc(n_pairs + 1, sizeof *groups.members);
    groups.list = att_mem_calloc(n_pairs + 1, sizeof *groups.list);
    if (!groups.members || !groups.list) {
        news_groups_finish(&groups);
        return att_err_set(err, ATT_ENOMEM, "out of memory for groups of news");
    }
    for (size_t i = 0; i < set->n; i++)
        if (news_pick_has(set, pick, &set->facts[i]))
            for (size_t k = 0; k < keys_of(&set->facts[i], by); k++)
                groups.members[groups.n_members++] = member_of(set, i, by, k);
    qsort(groups.members, n_pairs, sizeof *groups.members, compare_members);
    for (size_t i = 0, end; i < n_pairs; i = end) {
        for (end = i + 1; end < n_pairs && groups.members[end].key == groups.members[i].key; end++)
            ;
        groups.list[groups.n++] = (struct news_group){.key = groups.members[i].key,
                                                      .members = &groups.members[i],
                                                      .n = end - i,
                                                      .heat = heat_of(set, &groups.members[i], end - i, at_ms)};
    }
    *ret_groups = groups;
    return ATT_OK;
}

void news_groups_finish(struct news_groups *groups)
{
    att_mem_free(groups->list);
    att_mem_free(groups->members);
    *groups = (struct news_groups){0};
}

static int compare_heat(const void *a, const void *b)
{
    const struct news_group *x = a, *y = b;
    if (x->heat != y->heat)
        return x->heat > y->heat ? -1 : 1;
    return (x->key > y->key) - (x->key < y->key);
}

void news_groups_by_heat(struct news_groups *groups)
{
    qsort(groups->list, groups->n, sizeof *groups->list, compare_heat);
}

struct news_measure news_group_measure(const struct news_set *set, const struct news_group *group, uint32_t *marks,
                                       uint32_t mark)
{
    struct news_measure measure = {.items = group->n, .heat = group->heat, .importance = -1};
    double sum = 0;
    for (size_t i = 0; i < group->n; i++) {
        const struct news_member *member = &group->members[i];
        const struct news_fact *fact = &set->facts[member->fact];
        measure.tones[member->tone + 1]++;
        sum += member->polarity;
        if (fact->importance > measure.importance)
            measure.importance = fact->importance;
        measure.sources += marks[fact->source] != mark;
        marks[fact->source] = mark;
    }
    measure.polarity = group->n ? sum / (double)group->n : 0;
    measure.negative_share = group->n ? (double)measure.tones[0] / (double)group->n : 0;
    return measure;
}

enum att_status news_group_life(const struct news_set *set, const struct news_group *group, int64_t at_ms,
                                struct news_life *ret_life, struct att_err *err)
{
    const struct news_member *members = group->members - group->n_before;
    size_t n = group->n + group->n_before;
    struct news_point *points = att_mem_calloc(n, sizeof *points);
    if (!points)
        return att_err_set(err, ATT_ENOMEM, "out of memory for a life cycle");
    for (size_t i = 0; i < n; i++)
        points[i] = (struct news_point){members[i].time_ms, members[i].weight};
    *ret_life = news_life(points, n, at_ms, set->view->half_life_ms);
    att_mem_free(points);
    return ATT_OK;
}

/* The highest heat from from_ms on; members[n_before] is the first one published then. */
static double highest_since(const struct news_set *set, const struct news_group *group, int64_t from_ms)
{
    const int64_t half_life_ms = set->view->half_life_ms;
    double heat = heat_of(set, group->members - group->n_before, group->n_before, from_ms), highest = heat;
    int64_t at_ms = from_ms;
    for (size_t i = 0; i < group->n; i++) {
        const struct news_point now = {at_ms, heat};
        at_ms = group->members[i].time_ms;
        heat = news_heat(&now, 1, at_ms, half_life_ms) + group->members[i].weight;
        highest = heat > highest ? heat : highest;
    }
    return highest;
}

void news_groups_since(const struct news_set *set, struct news_groups *groups, int64_t from_ms)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < groups->n; i++) {
        struct news_group group = groups->list[i];
        while (group.n > 0 && group.members->time_ms < from_ms) {
            group.members++;
            group.n--;
            group.n_before++;
        }
        if (group.n == 0)
            continue;
        group.heat = highest_since(set, &group, from_ms);
        groups->list[n_kept++] = group;
    }
    groups->n = n_kept;
}

static const struct news_name *name_of(const struct news_set *set, enum news_by by, uint64_t key)
{
    switch (by) {
    case NEWS_BY_ENTITY:
        return &set->entity_names.list[key];
    case NEWS_BY_TOPIC:
        return &set->topic_names.list[key];
    case NEWS_BY_SOURCE:
        return &set->source_names.list[key];
    case NEWS_BY_EVENT:
    case NEWS_BY_ALL:
    case NEWS_BY_TONE:
    case NEWS_BY_COUNT:
        break;
    }
    return NULL;
}

const char *news_group_key(const struct news_set *set, enum news_by by, uint64_t key)
{
    static const char *const tones[] = {"negative", "neutral", "positive"};
    const struct news_name *name = name_of(set, by, key);
    assert(by != NEWS_BY_EVENT);
    return name ? name->key : by == NEWS_BY_TONE ? tones[key] : "all";
}

const char *news_group_title(const struct news_set *set, enum news_by by, uint64_t key)
{
    const struct news_name *name = name_of(set, by, key);
    return name ? name->title : by == NEWS_BY_EVENT ? "" : news_group_key(set, by, key);
}
