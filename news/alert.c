/* Evaluating a rule, and an alert's JSON. */
#include "news/alert.h"

#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "news/time.h"

enum { DIGITS = 6 };

static const char *const level_names[NEWS_LEVEL_COUNT] = {"blue", "yellow", "orange", "red"};

const char *news_level_name(enum news_level level)
{
    return level_names[level];
}

bool news_level_parse(const char *text, size_t len, enum news_level *ret_level)
{
    for (size_t i = 0; i < NEWS_LEVEL_COUNT; i++)
        if (strlen(level_names[i]) == len && memcmp(level_names[i], text, len) == 0) {
            *ret_level = (enum news_level)i;
            return true;
        }
    return false;
}

static bool is_met(const struct news_rule *rule, const struct news_finding *finding)
{
    const struct news_measure *is = &finding->is;
    return is->items >= rule->items_min && is->sources >= rule->sources_min && is->heat >= rule->heat_min &&
           finding->growth >= rule->growth_min && is->negative_share >= rule->negative_share_min &&
           is->polarity <= rule->polarity_max && (rule->importance_min <= 0 || is->importance >= rule->importance_min);
}

/* Items that the same group had in the window before. Groups ascend in key. */
static size_t items_before(const struct news_groups *before, uint64_t key)
{
    size_t low = 0, high = before->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (before->list[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < before->n && before->list[low].key == key ? before->list[low].n : 0;
}

static struct news_finding finding_of(const struct news_set *set, const struct news_rule *rule,
                                      const struct news_group *group, const struct news_pick *pick)
{
    struct news_finding finding = {
        .rule = rule, .set = set, .key = group->key, .from_ms = pick->from_ms, .to_ms = pick->to_ms};
    finding.first_seq = finding.last_seq = set->facts[group->members[0].fact].seq;
    for (size_t i = 1; i < group->n; i++) {
        int64_t seq = set->facts[group->members[i].fact].seq;
        finding.first_seq = seq < finding.first_seq ? seq : finding.first_seq;
        finding.last_seq = seq > finding.last_seq ? seq : finding.last_seq;
    }
    return finding;
}

static enum att_status evaluate_groups(const struct news_set *set, const struct news_rule *rule,
                                       const struct news_pick *pick, const struct news_groups *groups,
                                       const struct news_groups *before,
                                       enum att_status (*visit)(void *, const struct news_finding *, struct att_err *),
                                       void *context, struct att_err *err)
{
    enum att_status status = ATT_OK;
    uint32_t *marks = att_mem_calloc(set->source_names.n + 1, sizeof *marks);
    if (!marks)
        return att_err_set(err, ATT_ENOMEM, "out of memory for alerts");
    for (size_t i = 0; status == ATT_OK && i < groups->n; i++) {
        const struct news_group *group = &groups->list[i];
        struct news_finding finding = finding_of(set, rule, group, pick);
        size_t n_before = items_before(before, group->key);
        finding.is = news_group_measure(set, group, marks, (uint32_t)i + 1);
        finding.growth = (double)group->n / (double)(n_before ? n_before : 1);
        /* A rule about one entity is about that one, not about others that its items name as well. */
        bool is_other = rule->subject == NEWS_BY_ENTITY && rule->entity && group->key != pick->entities[0];
        is_other = is_other || (rule->subject == NEWS_BY_TOPIC && rule->topic && group->key != pick->topics[0]);
        if (!is_other && is_met(rule, &finding))
            status = visit(context, &finding, err);
    }
    att_mem_free(marks);
    return status;
}

enum att_status news_rule_evaluate(const struct news_set *set, const struct news_rule *rule, int64_t now_ms,
                                   enum att_status (*visit)(void *, const struct news_finding *, struct att_err *),
                                   void *context, struct att_err *err)
{
    uint32_t entity = rule->entity ? news_names_find(&set->entity_names, rule->entity) : 0;
    uint32_t topic = rule->topic ? news_names_find(&set->topic_names, rule->topic) : 0;
    uint32_t source = rule->source ? news_names_find(&set->source_names, rule->source) : 0;
    struct news_pick pick = {.from_ms = now_ms - rule->window_ms,
                             .to_ms = now_ms + 1,
                             .entities = &entity,
                             .topics = &topic,
                             .sources = &source,
                             .n_entities = rule->entity != NULL,
                             .n_topics = rule->topic != NULL,
                             .n_sources = rule->source != NULL};
    struct news_pick earlier = pick;
    struct news_groups groups = {0}, before = {0};
    earlier.to_ms = pick.from_ms;
    earlier.from_ms = pick.from_ms - rule->window_ms;
    enum att_status status = news_groups_make(set, &pick, rule->subject, now_ms, &groups, err);
    if (status == ATT_OK && rule->growth_min > 0)
        status = news_groups_make(set, &earlier, rule->subject, now_ms, &before, err);
    if (status == ATT_OK)
        status = evaluate_groups(set, rule, &pick, &groups, &before, visit, context, err);
    news_groups_finish(&groups);
    news_groups_finish(&before);
    return status;
}

void news_finding_subject(const struct news_finding *finding, char *out, size_t size)
{
    if (finding->rule->subject == NEWS_BY_EVENT)
        snprintf(out, size, "%s %llu", finding->rule->name, (unsigned long long)finding->key);
    else
        snprintf(out, size, "%s %s", finding->rule->name,
                 news_group_key(finding->set, finding->rule->subject, finding->key));
}

/* ---- JSON ---- */

static void put_time(struct att_jsonw *w, const char *key, int64_t ms)
{
    char text[ATT_DATE_BYTES];
    news_time_format(ms, 0, text);
    att_jsonw_put_text(w, key, text);
}

static void put_reason(struct att_jsonw *w, const char *measure, const char *relation, double value, double limit)
{
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "measure", measure);
    att_jsonw_put_double(w, "value", value, DIGITS);
    att_jsonw_put_text(w, "relation", relation);
    att_jsonw_put_double(w, "limit", limit, DIGITS);
    att_jsonw_object_end(w);
}

/* The conditions that the rule asks for, all of them met. */
static void put_reasons(struct att_jsonw *w, const struct news_finding *finding)
{
    const struct news_rule *rule = finding->rule;
    const struct news_measure *is = &finding->is;
    att_jsonw_key(w, "reasons");
    att_jsonw_array_begin(w);
    if (rule->items_min > 1)
        put_reason(w, "items", ">=", (double)is->items, (double)rule->items_min);
    if (rule->sources_min > 1)
        put_reason(w, "sources", ">=", (double)is->sources, (double)rule->sources_min);
    if (rule->heat_min > 0)
        put_reason(w, "heat", ">=", is->heat, rule->heat_min);
    if (rule->growth_min > 0)
        put_reason(w, "growth", ">=", finding->growth, rule->growth_min);
    if (rule->negative_share_min > 0)
        put_reason(w, "negative_share", ">=", is->negative_share, rule->negative_share_min);
    if (rule->polarity_max < 1)
        put_reason(w, "polarity", "<=", is->polarity, rule->polarity_max);
    if (rule->importance_min > 0)
        put_reason(w, "importance", ">=", is->importance, rule->importance_min);
    att_jsonw_array_end(w);
}

static void put_subject(struct att_jsonw *w, const struct news_finding *finding, const struct store_news_item *first)
{
    enum news_by by = finding->rule->subject;
    char begin[NEWS_TITLE_BYTES] = "";
    att_jsonw_key(w, "subject");
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "kind", news_by_name(by));
    if (by == NEWS_BY_EVENT) {
        att_jsonw_put_size(w, "id", finding->key);
        if (first)
            news_item_title(first, begin);
        att_jsonw_put_text(w, "name", first && first->title[0] ? first->title : begin);
    } else {
        att_jsonw_put_text(w, "id", news_group_key(finding->set, by, finding->key));
        att_jsonw_put_text(w, "name", news_group_title(finding->set, by, finding->key));
    }
    att_jsonw_object_end(w);
}

/* Entities and topics of its first item: what a reader of the stream can ask for. */
static void put_names(struct att_jsonw *w, const struct news_finding *finding)
{
    const struct news_set *set = finding->set;
    const struct news_fact *fact = NULL;
    for (size_t i = 0; i < set->n && !fact; i++)
        if (set->facts[i].seq == finding->first_seq)
            fact = &set->facts[i];
    att_jsonw_key(w, "entities");
    att_jsonw_array_begin(w);
    for (size_t i = 0; fact && i < fact->n_mentions; i++)
        att_jsonw_cstring(w, set->entity_names.list[set->mentions[fact->first_mention + i].entity].key);
    att_jsonw_array_end(w);
    att_jsonw_key(w, "topics");
    att_jsonw_array_begin(w);
    for (size_t i = 0; fact && i < fact->n_topics; i++)
        att_jsonw_cstring(w, set->topic_names.list[set->topics[fact->first_topic + i]].key);
    att_jsonw_array_end(w);
}

static void put_first(struct att_jsonw *w, const struct store_news_item *first)
{
    att_jsonw_key(w, "first");
    if (!first) {
        att_jsonw_null(w);
        return;
    }
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "id", first->id);
    att_jsonw_put_text(w, "source", first->source);
    att_jsonw_put_text(w, "url", first->url);
    att_jsonw_put_text(w, "title", first->title);
    put_time(w, "time", first->time_ms);
    att_jsonw_object_end(w);
}

void news_finding_write(const struct news_finding *finding, const struct store_news_item *first, struct att_jsonw *w)
{
    const struct news_measure *is = &finding->is;
    att_jsonw_object_begin(w);
    put_time(w, "time", finding->to_ms - 1);
    att_jsonw_put_text(w, "level", news_level_name(finding->rule->level));
    att_jsonw_put_text(w, "rule", finding->rule->name);
    put_subject(w, finding, first);
    put_reasons(w, finding);
    att_jsonw_key(w, "values");
    att_jsonw_object_begin(w);
    att_jsonw_put_double(w, "items", (double)is->items, DIGITS);
    att_jsonw_put_double(w, "sources", (double)is->sources, DIGITS);
    att_jsonw_put_double(w, "heat", is->heat, DIGITS);
    att_jsonw_put_double(w, "polarity", is->polarity, DIGITS);
    att_jsonw_put_double(w, "negative_share", is->negative_share, DIGITS);
    if (is->importance >= 0)
        att_jsonw_put_double(w, "importance", is->importance, DIGITS);
    if (finding->rule->growth_min > 0)
        att_jsonw_put_double(w, "growth", finding->growth, DIGITS);
    att_jsonw_object_end(w);
    put_time(w, "from", finding->from_ms);
    put_names(w, finding);
    put_first(w, first);
    att_jsonw_object_end(w);
}

void news_alert_write(const struct store_news_alert *alert, struct att_jsonw *w)
{
    char head[32];
    int len = snprintf(head, sizeof head, "{\"id\":%lld,", (long long)alert->seq);
    /* What is stored is an object with members. */
    att_jsonw_raw(w, head, (size_t)len);
    att_jsonw_append(w, alert->json + 1, strlen(alert->json) - 1);
}
