/*
 * Counting a report. Events are ranked by the highest heat that they reach in the
 * window: by the heat at its end, what was great on Monday would be
 * missing in the report of a week. The life cycle is that of the whole event.
 */
#include "news/report.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"
#include "news/words.h"
#include "store/near.h"

enum {
    ENTITIES_MAX = 15,
    TOPICS_MAX = 20,
    SOURCES_MAX = 12,
    EVENT_ENTITIES_MAX = 5,
    CANDIDATES = 8,
    QUOTE_BYTES = 420
};

struct building {
    struct news_report *report;
    const struct news_set *set;
    const struct news_wish *wish;
    const struct news_lookup *lookup;
    struct att_arena *arena;
    struct news_pick wide; /* the window and all that counts before it */
    uint32_t *marks, mark;
    struct att_err *err;
};

static void *take(struct building *building, size_t n, size_t size)
{
    void *block = att_arena_alloc(building->arena, n ? n : 1, size);
    if (!block)
        att_err_set(building->err, ATT_ENOMEM, "out of memory for a report");
    return block;
}

/* ---- which items ---- */

static enum att_status find_names(struct building *building, const struct news_names *names, const char *const *keys,
                                  size_t n, const uint32_t **ret_indexes)
{
    uint32_t *indexes = take(building, n, sizeof *indexes);
    if (!indexes)
        return building->err->status;
    for (size_t i = 0; i < n; i++)
        indexes[i] = news_names_find(names, keys[i]);
    *ret_indexes = indexes;
    return ATT_OK;
}

int64_t news_report_since(const struct news_wish *wish, const struct news_view *view)
{
    int64_t window_ms = wish->to_ms - wish->from_ms, heat_ms = 5 * view->half_life_ms;
    return wish->from_ms - (window_ms > heat_ms ? window_ms : heat_ms);
}

static enum att_status make_pick(struct building *building)
{
    const struct news_wish *wish = building->wish;
    struct news_pick *pick = &building->wide;
    *pick = (struct news_pick){.from_ms = news_report_since(wish, building->set->view),
                               .to_ms = wish->to_ms,
                               .n_entities = wish->n_entities,
                               .n_topics = wish->n_topics};
    enum att_status status =
        find_names(building, &building->set->entity_names, wish->entities, wish->n_entities, &pick->entities);
    if (status == ATT_OK)
        status = find_names(building, &building->set->topic_names, wish->topics, wish->n_topics, &pick->topics);
    return status;
}

static int64_t before_ms(const struct news_wish *wish)
{
    return wish->from_ms - (wish->to_ms - wish->from_ms);
}

/* ---- totals ---- */

static struct news_measure measure(struct building *building, const struct news_group *group)
{
    return news_group_measure(building->set, group, building->marks, ++building->mark);
}

static void choose_buckets(struct news_report *report)
{
    static const int64_t hour = 3600000;
    static const int lengths[] = {1, 2, 3, 6, 12, 24, 48, 168, 336, 672, 1344, 4032, 8064, 17520, 87600};
    const struct news_wish *wish = report->wish;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        report->bucket_ms = lengths[i] * hour;
        if (news_buckets_make(wish->from_ms, wish->to_ms, report->bucket_ms, wish->offset_minutes, report->buckets,
                              NEWS_REPORT_BUCKETS_MAX, &report->n_buckets))
            return;
    }
    report->n_buckets = 0;
}

static enum att_status count_all(struct building *building)
{
    struct news_report *report = building->report;
    const struct news_wish *wish = building->wish;
    struct news_groups all = {0};
    struct news_pick before = building->wide;
    before.from_ms = before_ms(wish);
    before.to_ms = wish->from_ms;
    report->is.importance = report->before.importance = -1;
    enum att_status status = news_groups_make(building->set, &before, NEWS_BY_ALL, wish->to_ms, &all, building->err);
    if (status == ATT_OK && all.n > 0)
        report->before = measure(building, &all.list[0]);
    news_groups_finish(&all);
    if (status == ATT_OK)
        status = news_groups_make(building->set, &building->wide, NEWS_BY_ALL, wish->to_ms, &all, building->err);
    if (status == ATT_OK)
        news_groups_since(building->set, &all, wish->from_ms);
    if (status == ATT_OK && all.n > 0) {
        report->is = measure(building, &all.list[0]);
        news_buckets_fill(report->buckets, report->n_buckets, all.list[0].members - all.list[0].n_before,
                          all.list[0].n + all.list[0].n_before, building->set->view->half_life_ms);
    }
    report->n_items = report->is.items;
    news_groups_finish(&all);
    return status;
}

/* Noise, of the window and of the time before it, and who classified the window. */
static enum att_status count_noise(struct building *building)
{
    const struct news_set *set = building->set;
    struct news_report *report = building->report;
    struct news_pick pick = building->wide;
    size_t *items = take(building, set->models.n, sizeof *items);
    if (!items)
        return building->err->status;
    pick.from_ms = before_ms(building->wish);
    for (size_t i = 0; i < set->n; i++) {
        struct news_fact fact = set->facts[i];
        bool is_before = fact.time_ms < building->wish->from_ms;
        fact.noise = false;
        if (!news_pick_has(set, &pick, &fact))
            continue;
        if (set->facts[i].noise)
            *(is_before ? &report->n_noise_before : &report->n_noise) += 1;
        if (!is_before && fact.model != NEWS_NAMES_NONE)
            items[fact.model]++;
    }
    report->model_items = items;
    return ATT_OK;
}

/* ---- entities, topics, sources ---- */

static enum att_status count_rows(struct building *building, enum news_by by, size_t max, struct news_row **ret_rows,
                                  size_t *ret_n, size_t *ret_all)
{
    struct news_groups groups = {0};
    struct news_row *rows = NULL;
    size_t n = 0;
    enum att_status status =
        news_groups_make(building->set, &building->wide, by, building->wish->to_ms, &groups, building->err);
    if (status == ATT_OK)
        news_groups_since(building->set, &groups, building->wish->from_ms);
    if (status == ATT_OK) {
        news_groups_by_heat(&groups);
        n = groups.n < max ? groups.n : max;
        rows = take(building, n, sizeof *rows);
        status = rows ? ATT_OK : building->err->status;
    }
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        const struct news_group *group = &groups.list[i];
        rows[i].id = news_group_key(building->set, by, group->key);
        rows[i].name = news_group_title(building->set, by, group->key);
        if (by == NEWS_BY_TOPIC)
            rows[i].name = news_word_topic(building->wish->chinese, rows[i].name);
        rows[i].more = by == NEWS_BY_ENTITY ? building->set->entity_names.list[group->key].more : "";
        rows[i].is = measure(building, group);
        status = news_group_life(building->set, group, building->wish->to_ms, &rows[i].life, building->err);
    }
    *ret_rows = rows;
    *ret_n = n;
    *ret_all = groups.n;
    news_groups_finish(&groups);
    return status;
}

/* ---- events ---- */

struct copying {
    struct building *building;
    struct news_quote *quote;
    bool found, failed;
};

static const char *copy(struct copying *copying, const char *text, size_t len)
{
    char *copied = att_arena_copy(copying->building->arena, text, len);
    copying->failed = copying->failed || !copied;
    return copied ? copied : "";
}

/* Cut to what a reader looks at, between two characters. */
static const char *copy_cut(struct copying *copying, const char *text, size_t len)
{
    size_t end = 0;
    if (len <= QUOTE_BYTES)
        return copy(copying, text, len);
    for (size_t next = 0; next <= QUOTE_BYTES; (void)att_utf8_next(text, len, &next))
        end = next;
    char cut[QUOTE_BYTES + 4];
    memcpy(cut, text, end);
    memcpy(cut + end, "\xe2\x80\xa6", 3);
    return copy(copying, cut, end + 3);
}

static bool copy_item(void *context, const struct store_news_item *item)
{
    struct copying *copying = context;
    size_t len = strlen(item->text);
    bool evidence = item->evidence_start < item->evidence_end && item->evidence_end <= len;
    const char *text = evidence ? item->text + item->evidence_start : item->title[0] ? item->title : item->text;
    copying->found = true;
    *copying->quote = (struct news_quote){
        .text = copy_cut(copying, text, evidence ? item->evidence_end - item->evidence_start : strlen(text)),
        .source = copy_cut(copying, item->source, strlen(item->source)),
        .url = copy(copying, item->url, strlen(item->url)),
        .id = copy_cut(copying, item->id, strlen(item->id)),
        .time_ms = item->time_ms,
        .polarity = item->polarity,
        .tone = news_tone(item->sentiment, item->polarity),
    };
    char begin[NEWS_TITLE_BYTES];
    news_item_title(item, begin);
    copying->quote->title =
        item->title[0] ? copy_cut(copying, item->title, strlen(item->title)) : copy(copying, begin, strlen(begin));
    return false;
}

/* *ret_found false: the store has no such item any more. */
static enum att_status look_up(struct building *building, int64_t seq, struct news_quote *quote, bool *ret_found)
{
    struct copying copying = {.building = building, .quote = quote};
    enum att_status status = building->lookup->item(building->lookup->context, seq, copy_item, &copying, building->err);
    if (status == ATT_OK && copying.failed)
        status = att_err_set(building->err, ATT_ENOMEM, "out of memory for a report");
    *ret_found = copying.found;
    return status;
}

/* Best evidence first: strong words of heavy sources. Of one polarity the earliest. */
static double strength(const struct news_member *member)
{
    return member->weight * (0.05 + fabs(member->polarity));
}

/* Sentences that differ in a word or two tell a reader nothing new. */
static bool say_the_same(const char *a, const char *b)
{
    uint32_t signatures[2][STORE_NEAR_HASHES];
    size_t equal = 0;
    if (strcmp(a, b) == 0)
        return true;
    if (!store_near_sign("", a, signatures[0]) || !store_near_sign("", b, signatures[1]))
        return false;
    for (size_t i = 0; i < STORE_NEAR_HASHES; i++)
        equal += signatures[0][i] == signatures[1][i];
    return equal >= STORE_NEAR_HASHES * 3 / 5;
}

static enum att_status add_quotes(struct building *building, const struct news_group *group, struct news_event *event)
{
    const struct news_member *best[CANDIDATES];
    size_t n = 0;
    struct news_quote *quotes = take(building, NEWS_REPORT_QUOTES_MAX, sizeof *quotes);
    enum att_status status = quotes ? ATT_OK : building->err->status;
    for (size_t i = 0; i < group->n; i++) {
        const struct news_member *member = &group->members[i];
        size_t at = n;
        while (at > 0 && strength(member) > strength(best[at - 1]))
            at--;
        if (at == CANDIDATES)
            continue;
        n += n < CANDIDATES;
        memmove(&best[at + 1], &best[at], (n - 1 - at) * sizeof best[0]);
        best[at] = member;
    }
    for (size_t i = 0; status == ATT_OK && i < n && event->n_quotes < NEWS_REPORT_QUOTES_MAX; i++) {
        struct news_quote *quote = &quotes[event->n_quotes];
        bool found, said = false;
        status = look_up(building, building->set->facts[best[i]->fact].seq, quote, &found);
        for (size_t k = 0; status == ATT_OK && found && k < event->n_quotes; k++)
            said = said || say_the_same(quotes[k].text, quote->text);
        event->n_quotes += status == ATT_OK && found && !said;
    }
    event->quotes = quotes;
    return status;
}

static enum att_status add_spread(struct building *building, const struct news_group *group, struct news_event *event)
{
    const struct news_set *set = building->set;
    struct news_spread *spread = take(building, NEWS_REPORT_SPREAD_MAX, sizeof *spread);
    if (!spread)
        return building->err->status;
    for (size_t i = 0; i < group->n; i++) {
        const char *source = set->source_names.list[set->facts[group->members[i].fact].source].key;
        size_t k = 0;
        while (k < event->n_spread && spread[k].source != source)
            k++;
        if (k == NEWS_REPORT_SPREAD_MAX)
            continue;
        if (k == event->n_spread)
            spread[event->n_spread++] = (struct news_spread){source, group->members[i].time_ms, 0};
        spread[k].items++;
    }
    event->spread = spread;
    return ATT_OK;
}

/* The entities that its first items of the window name. */
static enum att_status add_entities(struct building *building, const struct news_group *group, struct news_event *event)
{
    const struct news_set *set = building->set;
    event->entities = take(building, EVENT_ENTITIES_MAX, sizeof *event->entities);
    if (!event->entities)
        return building->err->status;
    for (size_t i = 0; i < group->n && event->n_entities < EVENT_ENTITIES_MAX; i++) {
        const struct news_fact *fact = &set->facts[group->members[i].fact];
        for (size_t m = 0; m < fact->n_mentions && event->n_entities < EVENT_ENTITIES_MAX; m++) {
            const char *name = set->entity_names.list[set->mentions[fact->first_mention + m].entity].title;
            size_t k = 0;
            while (k < event->n_entities && event->entities[k] != name)
                k++;
            if (k == event->n_entities)
                event->entities[event->n_entities++] = name;
        }
    }
    return ATT_OK;
}

static enum att_status add_heat(struct building *building, const struct news_group *group, struct news_event *event)
{
    const struct news_report *report = building->report;
    double *heat = take(building, report->n_buckets, sizeof *heat);
    struct news_bucket *buckets = take(building, report->n_buckets, sizeof *buckets);
    if (!heat || !buckets)
        return building->err->status;
    for (size_t i = 0; i < report->n_buckets; i++)
        buckets[i] = (struct news_bucket){.begin_ms = report->buckets[i].begin_ms, .end_ms = report->buckets[i].end_ms};
    news_buckets_fill(buckets, report->n_buckets, group->members - group->n_before, group->n + group->n_before,
                      building->set->view->half_life_ms);
    for (size_t i = 0; i < report->n_buckets; i++)
        heat[i] = buckets[i].heat;
    event->heat = heat;
    return ATT_OK;
}

/* The earliest report: of those in the set, or the first of the cluster, which may be older than what the set has, or
 * than what the store keeps. */
static enum att_status add_first(struct building *building, const struct news_group *group, struct news_event *event)
{
    const struct news_member *earliest = group->members - group->n_before;
    bool found = false;
    enum att_status status = look_up(building, event->seq, &event->first, &found);
    if (status == ATT_OK && (!found || event->first.time_ms > earliest->time_ms))
        status = look_up(building, building->set->facts[earliest->fact].seq, &event->first, &found);
    if (status == ATT_OK && !found)
        event->first = (struct news_quote){.text = "", .title = "", .source = "", .url = "", .id = ""};
    return status;
}

static enum att_status add_event(struct building *building, const struct news_group *group, struct news_event *event)
{
    event->seq = (int64_t)group->key;
    event->is = measure(building, group);
    enum att_status status = news_group_life(building->set, group, building->wish->to_ms, &event->life, building->err);
    if (status == ATT_OK)
        status = add_first(building, group, event);
    if (status == ATT_OK)
        status = add_quotes(building, group, event);
    if (status == ATT_OK)
        status = add_spread(building, group, event);
    if (status == ATT_OK)
        status = add_entities(building, group, event);
    if (status == ATT_OK)
        status = add_heat(building, group, event);
    return status;
}

static enum att_status count_events(struct building *building)
{
    struct news_report *report = building->report;
    struct news_groups groups = {0};
    enum att_status status =
        news_groups_make(building->set, &building->wide, NEWS_BY_EVENT, building->wish->to_ms, &groups, building->err);
    if (status == ATT_OK)
        news_groups_since(building->set, &groups, building->wish->from_ms);
    if (status == ATT_OK) {
        news_groups_by_heat(&groups);
        report->n_all_events = groups.n;
        report->events = take(building, building->wish->top, sizeof *report->events);
        status = report->events ? ATT_OK : building->err->status;
    }
    for (size_t i = 0; status == ATT_OK && i < groups.n && i < building->wish->top; i++) {
        status = add_event(building, &groups.list[i], &report->events[i]);
        report->n_events = i + 1;
    }
    news_groups_finish(&groups);
    return status;
}

enum att_status news_report_build(const struct news_set *set, const struct news_wish *wish,
                                  const struct news_lookup *lookup, struct att_arena *arena,
                                  struct news_report *ret_report, struct att_err *err)
{
    struct att_err own;
    struct news_report report = {.set = set, .wish = wish};
    struct building building = {
        .report = &report, .set = set, .wish = wish, .lookup = lookup, .arena = arena, .err = err ? err : &own};
    size_t n_sources;
    assert(wish->from_ms < wish->to_ms && wish->top > 0);
    building.marks = take(&building, set->source_names.n, sizeof *building.marks);
    if (!building.marks)
        return building.err->status;
    choose_buckets(&report);
    report.before_is_cut = set->full && set->facts[0].time_ms >= before_ms(wish);
    enum att_status status = make_pick(&building);
    if (status == ATT_OK)
        status = count_all(&building);
    if (status == ATT_OK)
        status = count_noise(&building);
    if (status == ATT_OK)
        status = count_rows(&building, NEWS_BY_ENTITY, ENTITIES_MAX, &report.entities, &report.n_entities,
                            &report.n_all_entities);
    if (status == ATT_OK)
        status =
            count_rows(&building, NEWS_BY_TOPIC, TOPICS_MAX, &report.topics, &report.n_topics, &report.n_all_topics);
    if (status == ATT_OK)
        status = count_rows(&building, NEWS_BY_SOURCE, SOURCES_MAX, &report.sources, &report.n_sources, &n_sources);
    if (status == ATT_OK)
        status = count_events(&building);
    if (status == ATT_OK)
        *ret_report = report;
    return status;
}
