/*
 * Filling a set. Of an item's topics the best counts, and others from one half
 * on; its entities are read from the JSON that the store keeps of them.
 */
#include "news/set.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"

enum { TOPICS_MAX = 8, DEPTH_MAX = 8 };

static const double topic_min = 0.5, tone_min = 1.0 / 3;

const struct news_view news_view_default = {
    .half_life_ms = 86400000, .noise_min = 0.5, .near_ms = INT64_C(3) * 86400000, .near_min = 0.6};

void news_set_init(struct news_set *set, const struct news_view *view, size_t items_max)
{
    assert(view && view->half_life_ms > 0);
    *set = (struct news_set){.view = view, .items_max = items_max};
}

void news_set_finish(struct news_set *set)
{
    att_mem_free(set->facts);
    att_mem_free(set->topics);
    att_mem_free(set->mentions);
    news_names_finish(&set->source_names);
    news_names_finish(&set->topic_names);
    news_names_finish(&set->entity_names);
    news_names_finish(&set->models);
    *set = (struct news_set){0};
}

static bool is_one_of(const char *label, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(label, *words) == 0)
            return true;
    return false;
}

void news_item_title(const struct store_news_item *item, char out[NEWS_TITLE_BYTES])
{
    static const char ellipsis[] = "\xe2\x80\xa6";
    const char *text = item->title[0] ? item->title : item->text;
    size_t len = strcspn(text, "\r\n"), end = 0;
    if (len < NEWS_TITLE_BYTES) {
        memcpy(out, text, len);
        out[len] = '\0';
        return;
    }
    for (size_t next = 0; next < NEWS_TITLE_BYTES - sizeof ellipsis; (void)att_utf8_next(text, len, &next))
        end = next;
    memcpy(out, text, end);
    memcpy(out + end, ellipsis, sizeof ellipsis);
}

signed char news_tone(const char *label, double polarity)
{
    static const char *const negative[] = {"negative", "Negative", "bearish", "Bearish", "neg", "负面", "利空", NULL};
    static const char *const positive[] = {"positive", "Positive", "bullish", "Bullish", "pos", "正面", "利好", NULL};
    static const char *const neutral[] = {"neutral", "Neutral", "中性", NULL};
    if (is_one_of(label, negative))
        return -1;
    if (is_one_of(label, positive))
        return 1;
    if (is_one_of(label, neutral))
        return 0;
    return (signed char)((polarity >= tone_min) - (polarity <= -tone_min));
}

/* Room for one more of `size` bytes in a list that is full at *capacity. */
static bool reserve(void **list, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity)
        return true;
    size_t more = *capacity ? *capacity * 2 : 256;
    void *grown = att_mem_realloc(*list, more, size);
    if (!grown)
        return false;
    *list = grown;
    *capacity = more;
    return true;
}

static enum att_status no_memory(struct att_err *err)
{
    return att_err_set(err, ATT_ENOMEM, "out of memory for %s", "news");
}

static enum att_status add_topic(struct news_set *set, struct news_fact *fact, const char *label, struct att_err *err)
{
    uint32_t index;
    void *list = set->topics;
    enum att_status status = news_names_add(&set->topic_names, label, NULL, NULL, &index, err);
    if (status != ATT_OK)
        return status;
    if (!reserve(&list, set->n_topics, &set->topics_capacity, sizeof *set->topics))
        return no_memory(err);
    set->topics = list;
    set->topics[set->n_topics++] = index;
    fact->n_topics++;
    return ATT_OK;
}

static enum att_status add_topics(struct news_set *set, struct news_fact *fact, const char *text, struct att_err *err)
{
    struct att_json *json = NULL;
    fact->first_topic = (uint32_t)set->n_topics;
    if (text[0] != '[' || text[1] == ']')
        return ATT_OK;
    enum att_status status = att_json_parse(text, strlen(text), 0, DEPTH_MAX, &json, err);
    for (size_t i = 0; status == ATT_OK && i < att_json_count(json) && i < TOPICS_MAX; i++) {
        const struct att_json *topic = att_json_at(json, i);
        const char *label = att_json_string(att_json_get(topic, "label"), NULL);
        if (label && (i == 0 || att_json_number(att_json_get(topic, "score"), 0) >= topic_min))
            status = add_topic(set, fact, label, err);
    }
    att_json_destroy(json);
    return status;
}

static enum att_status add_mention(struct news_set *set, struct news_fact *fact, const struct att_json *entity,
                                   struct att_err *err)
{
    const char *id = att_json_string(att_json_get(entity, "id"), NULL);
    const char *label = att_json_string(att_json_get(entity, "label"), NULL);
    double polarity = att_json_number(att_json_get(entity, "polarity"), fact->polarity);
    uint32_t index;
    void *list = set->mentions;
    if (!id)
        return ATT_OK;
    enum att_status status = news_names_add(&set->entity_names, id, att_json_string(att_json_get(entity, "name"), NULL),
                                            att_json_string(att_json_get(entity, "ticker"), NULL), &index, err);
    if (status != ATT_OK)
        return status;
    if (!reserve(&list, set->n_mentions, &set->mentions_capacity, sizeof *set->mentions))
        return no_memory(err);
    set->mentions = list;
    set->mentions[set->n_mentions++] = (struct news_mention){
        .entity = index, .polarity = (float)polarity, .tone = news_tone(label ? label : "", polarity)};
    fact->n_mentions++;
    return ATT_OK;
}

static enum att_status add_mentions(struct news_set *set, struct news_fact *fact, const char *text, struct att_err *err)
{
    struct att_json *json = NULL;
    fact->first_mention = (uint32_t)set->n_mentions;
    if (text[0] != '[' || text[1] == ']')
        return ATT_OK;
    enum att_status status = att_json_parse(text, strlen(text), 0, DEPTH_MAX, &json, err);
    for (size_t i = 0; status == ATT_OK && i < att_json_count(json) && i < STORE_NEWS_ENTITIES_MAX; i++)
        status = add_mention(set, fact, att_json_at(json, i), err);
    att_json_destroy(json);
    return status;
}

static double weight_of(const struct news_view *view, const struct store_news_item *item)
{
    uint32_t index = news_names_find(&view->weights.names, item->source);
    return news_weight(index == NEWS_NAMES_NONE ? 1 : view->weights.weights[index], item->engagement);
}

enum att_status news_set_add(struct news_set *set, const struct store_news_item *item, struct att_err *err)
{
    void *list = set->facts;
    if (set->n == set->items_max) {
        set->full = true;
        return ATT_OK;
    }
    if (!reserve(&list, set->n, &set->capacity, sizeof *set->facts))
        return no_memory(err);
    set->facts = list;
    struct news_fact *fact = &set->facts[set->n];
    *fact = (struct news_fact){
        .seq = item->seq,
        .time_ms = item->time_ms,
        .event = item->cluster ? item->cluster : item->seq,
        .weight = weight_of(set->view, item),
        .polarity = item->polarity,
        .importance = isnan(item->importance) ? -1 : (float)item->importance,
        .relevance = (float)item->relevance,
        .model = NEWS_NAMES_NONE,
        .tone = news_tone(item->sentiment, item->polarity),
        .noise = item->noise >= set->view->noise_min, /* false for NAN */
    };
    enum att_status status = news_names_add(&set->source_names, item->source, NULL, NULL, &fact->source, err);
    if (status == ATT_OK && item->model_digest[0])
        status = news_names_add(&set->models, item->model_digest, item->model, NULL, &fact->model, err);
    if (status == ATT_OK)
        status = add_topics(set, fact, item->topics, err);
    if (status == ATT_OK)
        status = add_mentions(set, fact, item->entities, err);
    if (status != ATT_OK)
        return status;
    set->n_noise += fact->noise;
    set->n++;
    return ATT_OK;
}

struct loading {
    struct news_set *set;
    enum att_status status;
    struct att_err *err;
};

static bool take(void *context, const struct store_news_item *item)
{
    struct loading *loading = context;
    loading->status = news_set_add(loading->set, item, loading->err);
    return loading->status == ATT_OK && !loading->set->full;
}

enum att_status news_set_load(struct news_set *set, struct store_news *store, const struct store_news_filter *filter,
                              struct att_err *err)
{
    struct loading loading = {.set = set, .status = ATT_OK, .err = err};
    enum att_status status = store_news_scan(store, filter, take, &loading, err);
    return status == ATT_OK ? loading.status : status;
}
