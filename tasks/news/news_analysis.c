/* Entities, sentences, evidence; see news_analysis.h. */
#include "tasks/news/news_analysis.h"

#include <math.h>
#include <string.h>

enum { MENTIONS_MAX = 256, SPANS_SHOWN_MAX = 8, JSON_BYTES_MAX = 1 << 16 };

/* Of an entity's relevance: named in the title, how early, how often. They sum to 1. */
static const double weight_title = 0.5, weight_place = 0.25, weight_count = 0.25;
static const double count_full = 4; /* mentions from which on more say nothing */
static const double side_min = 0.1; /* polarity from which on an item has a side */

/* ---- finding ---- */

/* Room for one more; most items name few entities, so that it comes as they are found. */
static void *one_more(struct task_call *call, void *list, size_t n, size_t size, size_t *capacity, struct att_err *err)
{
    if (n < *capacity)
        return list;
    size_t more = *capacity ? 2 * *capacity : 4;
    void *grown = task_alloc(call, more, size, err);
    if (!grown)
        return NULL;
    if (n > 0)
        memcpy(grown, list, n * size);
    *capacity = more;
    return grown;
}

/* A mention of an entity; beyond so many of either it is left out. */
static enum att_status add(struct task_call *call, struct task_news_analysis *analysis,
                           const struct store_entity *entity, struct task_news_mention mention, struct att_err *err)
{
    size_t i = 0;
    while (i < analysis->n_entities && strcmp(analysis->entities[i].id, entity->id) != 0)
        i++;
    if (i == STORE_NEWS_ENTITIES_MAX || analysis->n_mentions == MENTIONS_MAX)
        return ATT_OK;
    struct store_entity *entities = analysis->entities;
    if (i == analysis->n_entities)
        entities = one_more(call, entities, i, sizeof *entities, &analysis->entities_capacity, err);
    struct task_news_mention *mentions = entities ? one_more(call, analysis->mentions, analysis->n_mentions,
                                                             sizeof *mentions, &analysis->mentions_capacity, err)
                                                  : NULL;
    if (!mentions)
        return err->status;
    if (i == analysis->n_entities)
        entities[analysis->n_entities++] = *entity;
    mention.entity = i;
    mentions[analysis->n_mentions++] = mention;
    analysis->entities = entities;
    analysis->mentions = mentions;
    return ATT_OK;
}

static enum att_status search(struct task_call *call, const struct store_entities *dictionary, const char *text,
                              bool in_title, struct task_news_analysis *analysis, struct att_err *err)
{
    struct store_mention found[MENTIONS_MAX / 2];
    size_t n = store_entities_search(dictionary, text, strlen(text), found, MENTIONS_MAX / 2);
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < n; i++)
        status =
            add(call, analysis, store_entities_at(dictionary, found[i].entity),
                (struct task_news_mention){.in_title = in_title, .start = found[i].start, .end = found[i].end}, err);
    return status;
}

static bool is_in(const struct task_news_mention *mention, const struct task_sentence *sentence)
{
    return !mention->in_title && mention->start >= sentence->begin && mention->start < sentence->end;
}

static void choose_judged(struct task_news_analysis *analysis)
{
    for (size_t s = 0; analysis->n_sentences > 1 && s < analysis->n_sentences; s++)
        for (size_t m = 0; m < analysis->n_mentions; m++) {
            if (!is_in(&analysis->mentions[m], &analysis->sentences[s]))
                continue;
            if (analysis->n_judged < TASK_NEWS_SENTENCES_JUDGED_MAX)
                analysis->judged[analysis->n_judged++] = s;
            break;
        }
}

enum att_status task_news_analyse(struct task_call *call, const struct store_entities *dictionary,
                                  const struct store_news_item *item, struct task_news_analysis *analysis,
                                  struct att_err *err)
{
    struct task_sentence sentences[TASK_NEWS_SENTENCES_MAX];
    size_t n = task_sentences_split(item->text, strlen(item->text), sentences, TASK_NEWS_SENTENCES_MAX);
    *analysis = (struct task_news_analysis){.n_sentences = n};
    analysis->sentences = task_alloc(call, n + 1, sizeof *sentences, err);
    if (!analysis->sentences)
        return err->status;
    memcpy(analysis->sentences, sentences, n * sizeof *sentences);
    if (!dictionary)
        return ATT_OK;
    enum att_status status = search(call, dictionary, item->title, true, analysis, err);
    if (status == ATT_OK)
        status = search(call, dictionary, item->text, false, analysis, err);
    if (status == ATT_OK)
        choose_judged(analysis);
    return status;
}

static bool overlaps(const struct task_news_analysis *analysis, bool in_title, size_t start, size_t end)
{
    for (size_t m = 0; m < analysis->n_mentions; m++) {
        const struct task_news_mention *mention = &analysis->mentions[m];
        if (mention->in_title == in_title && mention->start < end && start < mention->end)
            return true;
    }
    return false;
}

enum att_status task_news_add(struct task_call *call, const struct store_news_item *item, bool in_title, size_t start,
                              size_t end, const char *type, struct task_news_analysis *analysis, struct att_err *err)
{
    const char *text = in_title ? item->title : item->text;
    struct store_entity entity = {.type = type, .ticker = "", .lang = ""};
    if (overlaps(analysis, in_title, start, end) || end <= start || end - start > STORE_ENTITY_NAME_BYTES_MAX)
        return ATT_OK;
    char *name = task_alloc(call, end - start + 1, 1, err);
    if (!name)
        return err->status;
    memcpy(name, text + start, end - start);
    entity.id = entity.name = name;
    return add(call, analysis, &entity, (struct task_news_mention){.in_title = in_title, .start = start, .end = end},
               err);
}

void task_news_rejudge(struct task_news_analysis *analysis)
{
    analysis->n_judged = 0;
    choose_judged(analysis);
}

/* ---- concluding ---- */

struct toward { /* what is said of one entity */
    struct task_signals signals;
    size_t mentions;
    bool in_title;
    double relevance;
};

/* Mean over the judged sentences that name it; the item's own sentiment where there is none. */
static void judge_entity(const struct task_news_analysis *analysis, const struct att_head_info *sentiment,
                         const struct task_signals *signals, size_t entity, struct toward *toward, float *mean)
{
    size_t n = 0;
    toward->signals = *signals;
    for (size_t j = 0; sentiment && j < analysis->n_judged; j++) {
        bool is_named = false;
        for (size_t m = 0; !is_named && m < analysis->n_mentions; m++)
            is_named = analysis->mentions[m].entity == entity &&
                       is_in(&analysis->mentions[m], &analysis->sentences[analysis->judged[j]]);
        for (size_t i = 0; is_named && i < sentiment->n_labels; i++)
            mean[i] = (n ? mean[i] : 0) + analysis->probabilities[j][i];
        n += is_named;
    }
    for (size_t i = 0; n > 0 && i < sentiment->n_labels; i++)
        mean[i] /= (float)n;
    if (n > 0)
        task_signals_judge(sentiment, mean, &toward->signals);
}

static void weigh_entity(const struct task_news_analysis *analysis, size_t entity, size_t text_len,
                         struct toward *toward)
{
    size_t first = text_len;
    for (size_t m = 0; m < analysis->n_mentions; m++) {
        const struct task_news_mention *mention = &analysis->mentions[m];
        if (mention->entity != entity)
            continue;
        toward->mentions++;
        toward->in_title = toward->in_title || mention->in_title;
        if (!mention->in_title && mention->start < first)
            first = mention->start;
    }
    double place = text_len > 0 ? 1 - (double)first / (double)text_len : 0;
    if (toward->in_title)
        place = 1;
    double count = (double)toward->mentions / count_full;
    toward->relevance =
        (toward->in_title ? weight_title : 0) + weight_place * place + weight_count * (count > 1 ? 1 : count);
}

static void put_spans(const struct task_news_analysis *analysis, size_t entity, struct att_jsonw *w)
{
    size_t shown = 0;
    att_jsonw_key(w, "spans");
    att_jsonw_array_begin(w);
    for (size_t m = 0; m < analysis->n_mentions && shown < SPANS_SHOWN_MAX; m++) {
        const struct task_news_mention *mention = &analysis->mentions[m];
        if (mention->entity != entity)
            continue;
        att_jsonw_object_begin(w);
        att_jsonw_put_text(w, "in", mention->in_title ? "title" : "text");
        att_jsonw_put_size(w, "start", mention->start);
        att_jsonw_put_size(w, "end", mention->end);
        att_jsonw_object_end(w);
        shown++;
    }
    att_jsonw_array_end(w);
}

static void put_entity(const struct task_news_analysis *analysis, size_t index, const struct toward *toward,
                       struct att_jsonw *w)
{
    const struct store_entity *entity = &analysis->entities[index];
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "id", entity->id);
    att_jsonw_put_text(w, "name", entity->name);
    att_jsonw_put_text(w, "type", *entity->type ? entity->type : NULL);
    att_jsonw_put_text(w, "ticker", *entity->ticker ? entity->ticker : NULL);
    att_jsonw_put_size(w, "mentions", toward->mentions);
    att_jsonw_put_text(w, "label", *toward->signals.sentiment ? toward->signals.sentiment : NULL);
    att_jsonw_put_double(w, "polarity", toward->signals.polarity, 4);
    att_jsonw_put_double(w, "relevance", toward->relevance, 4);
    put_spans(analysis, index, w);
    att_jsonw_object_end(w);
}

static enum att_status take_json(struct task_call *call, struct att_jsonw *w, const char **ret_text,
                                 struct att_err *err)
{
    char *bytes = NULL;
    size_t len = 0;
    enum att_status status = att_jsonw_take(w, &bytes, &len, err);
    att_jsonw_finish(w);
    if (status != ATT_OK)
        return status;
    char *copy = task_alloc(call, len + 1, 1, err);
    if (copy) {
        memcpy(copy, bytes, len);
        *ret_text = copy;
    }
    att_mem_free(bytes);
    return copy ? ATT_OK : err->status;
}

static enum att_status conclude_entities(struct task_call *call, const struct task_news_analysis *analysis,
                                         const struct att_head_info *sentiment, const struct task_signals *signals,
                                         struct store_news_item *item, struct att_err *err)
{
    size_t n_labels = sentiment ? sentiment->n_labels : 0;
    const char **ids = task_alloc(call, analysis->n_entities + 1, sizeof *ids, err);
    float *mean = ids ? task_alloc(call, n_labels + 1, sizeof *mean, err) : NULL;
    struct att_jsonw w;
    if (!mean)
        return err->status;
    att_jsonw_init(&w, JSON_BYTES_MAX);
    att_jsonw_array_begin(&w);
    for (size_t i = 0; i < analysis->n_entities; i++) {
        struct toward toward = {.mentions = 0};
        judge_entity(analysis, sentiment, signals, i, &toward, mean);
        weigh_entity(analysis, i, strlen(item->text), &toward);
        put_entity(analysis, i, &toward, &w);
        if (toward.relevance > item->relevance)
            item->relevance = toward.relevance;
        ids[i] = analysis->entities[i].id;
    }
    att_jsonw_array_end(&w);
    item->entity_ids = ids;
    item->n_entity_ids = analysis->n_entities;
    return take_json(call, &w, &item->entities, err);
}

static enum att_status conclude_topics(struct task_call *call, const struct task_signals *signals,
                                       struct store_news_item *item, struct att_err *err)
{
    struct att_jsonw w;
    att_jsonw_init(&w, JSON_BYTES_MAX);
    att_jsonw_array_begin(&w);
    for (size_t i = 0; i < signals->n_topics; i++) {
        att_jsonw_object_begin(&w);
        att_jsonw_put_text(&w, "label", signals->topics[i].label);
        att_jsonw_put_double(&w, "score", signals->topics[i].score, 4);
        att_jsonw_object_end(&w);
    }
    att_jsonw_array_end(&w);
    return take_json(call, &w, &item->topics, err);
}

/* The judged sentence that leans furthest to the item's side, of an item without a side the one that leans furthest;
 * where none was judged, the lead. */
static void choose_evidence(const struct task_news_analysis *analysis, const struct att_head_info *sentiment,
                            const struct task_signals *signals, struct store_news_item *item)
{
    size_t best = analysis->n_judged ? analysis->judged[0] : 0;
    double most = -INFINITY;
    for (size_t j = 0; sentiment && j < analysis->n_judged; j++) {
        struct task_signals own = {.sentiment = ""};
        task_signals_judge(sentiment, analysis->probabilities[j], &own);
        double side = fabs(signals->polarity) < side_min ? fabs(own.polarity)
                      : signals->polarity < 0            ? -own.polarity
                                                         : own.polarity;
        if (side > most) {
            most = side;
            best = analysis->judged[j];
        }
    }
    if (analysis->n_sentences == 0)
        return;
    item->evidence_start = analysis->sentences[best].begin;
    item->evidence_end = analysis->sentences[best].end;
}

enum att_status task_news_conclude(struct task_call *call, const struct task_news_analysis *analysis,
                                   const struct att_head_info *sentiment, const struct task_signals *signals,
                                   struct store_news_item *item, struct att_err *err)
{
    item->analysed = true;
    item->sentiment = signals->sentiment;
    item->sentiment_score = signals->sentiment_score;
    item->polarity = signals->polarity;
    item->noise = signals->noise;
    item->importance = signals->importance;
    choose_evidence(analysis, sentiment, signals, item);
    enum att_status status = conclude_topics(call, signals, item, err);
    return status == ATT_OK ? conclude_entities(call, analysis, sentiment, signals, item, err) : status;
}
