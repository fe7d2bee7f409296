/*
 * POST /v1/ingest: news items in, analysed and stored, a result for each.
 *
 *   application/x-ndjson   one item a line, a body of any length, which comes in
 *                          chunks; one result a line, then a summary
 *   application/json       {"items":[…]}, an array, or one item; one answer
 *
 * An item that is wrong fails alone. One that is stored already with the same
 * content is not analysed again. All heads of the model come from one pass over
 * title and text; sentences that name an entity are read beside them, in the same
 * round of jobs, or in a second one where an entity model has to find names first.
 * A result says "new" or "updated" when the item is on the disk.
 */
#include "tasks/news/ingest.h"

#include <stdio.h>
#include <string.h>

#include "tasks/news/news_item.h"

/* ---- reading ---- */

static enum att_status keep_error(struct task_call *call, struct ingest_item *item, struct att_err *err)
{
    item->err = task_feed_keep_error(call, err);
    return item->err ? ATT_OK : err->status;
}

static enum att_status read_item(struct task_call *call, struct ingest *ingest, const struct att_json *object,
                                 const char *path, struct att_err *err)
{
    size_t i = ingest->n_items - 1;
    enum att_status status = task_news_item_read(call, object, path, &ingest->stored[i], err);
    if (status != ATT_OK)
        ingest->stored[i].id = att_json_string(att_json_get(object, "id"), NULL); /* says whose error it is */
    return task_feed_is_theirs(status) ? keep_error(call, &ingest->items[i], err) : status;
}

static enum att_status read_line(struct task_call *call, struct ingest *ingest, const char *line, size_t len,
                                 struct att_err *err)
{
    const struct task_feed *feed = call->feed;
    struct ingest_item *item = &ingest->items[ingest->n_items++];
    item->place = feed->n_lines;
    enum att_status status = task_feed_parse(feed, line, len, &item->json, err);
    if (status != ATT_OK)
        return task_feed_is_theirs(status) ? keep_error(call, item, err) : status;
    return read_item(call, ingest, item->json, "", err);
}

static enum att_status allocate(struct task_call *call, struct ingest *ingest, size_t n, struct att_err *err)
{
    ingest->items = task_alloc(call, n + 1, sizeof *ingest->items, err);
    ingest->stored = ingest->items ? task_alloc(call, n + 1, sizeof *ingest->stored, err) : NULL;
    return ingest->stored ? ATT_OK : err->status;
}

static enum att_status read_feed(struct task_call *call, struct ingest *ingest, struct att_err *err)
{
    struct task_feed *feed = call->feed;
    const char *line = NULL;
    size_t n = 0, begin = 0, len = 0;
    for (size_t i = 0; i < feed->len; i++)
        n += feed->text[i] == '\n';
    ingest->lines = true;
    enum att_status status = allocate(call, ingest, n + 1, err);
    while (status == ATT_OK && task_feed_next(feed, &begin, &line, &len))
        status = read_line(call, ingest, line, len, err);
    return status;
}

static enum att_status read_body(struct task_call *call, struct ingest *ingest, const struct att_json *body,
                                 struct att_err *err)
{
    static const char *const fields[] = {"items", NULL};
    const struct att_json *list = att_json_is_array(body) ? body : att_json_get(body, "items");
    const char *name = att_json_is_array(body) ? "" : "items";
    size_t n = att_json_count(list), limit = call->env->limits.items_max;
    enum att_status status = ATT_OK;
    if (list && !att_json_is_array(list))
        return att_err_param(err, ATT_EINVAL, "items", "items: is %s, expected an array of items",
                             att_json_type_name(list));
    if (list && list != body)
        status = task_fields_known(body, "", fields, err);
    if (status == ATT_OK && n > limit)
        status = att_err_limit(err, "items", limit, n, "items: %zu items, expected at most %zu", n, limit);
    if (status == ATT_OK)
        status = allocate(call, ingest, list ? n : 1, err);
    if (status == ATT_OK && !list) {
        ingest->n_items = 1;
        return task_news_item_read(call, body, "", &ingest->stored[0], err);
    }
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        char path[40];
        snprintf(path, sizeof path, "%s[%zu]", name, i);
        ingest->items[ingest->n_items++].place = i;
        status = read_item(call, ingest, att_json_at(list, i), path, err);
    }
    return status;
}

/* ---- the first round ---- */

static const struct att_head_info *sentiment_of(const struct ingest_item *item)
{
    return item->model ? task_signals_sentiment(att_model_info(item->model->model)) : NULL;
}

/* The judged sentences; one without a token for the model is none. */
static enum att_status plan_sentences(struct task_call *call, struct ingest *ingest, size_t index, struct att_err *err)
{
    struct ingest_item *item = &ingest->items[index];
    struct task_news_analysis *analysis = &item->analysis;
    size_t before = call->prompt_tokens, n = sentiment_of(item) ? analysis->n_judged : 0;
    enum att_status status = ATT_OK;
    analysis->n_judged = 0;
    call->prompt_tokens = 0; /* a part of what was counted before */
    for (size_t j = 0; status == ATT_OK && j < n; j++) {
        const struct task_sentence *sentence = &analysis->sentences[analysis->judged[j]];
        status = task_ingest_text_add(call, &ingest->texts, item->model, INGEST_SENTENCE,
                                      ingest->stored[index].text + sentence->begin, sentence->end - sentence->begin,
                                      &item->sentences[analysis->n_judged], err);
        if (status == ATT_OK)
            analysis->judged[analysis->n_judged++] = analysis->judged[j];
        else if (status == ATT_EINVAL)
            status = ATT_OK;
    }
    call->prompt_tokens = before;
    return status;
}

static enum att_status plan_item(struct task_call *call, struct ingest *ingest, size_t index, struct att_err *err)
{
    struct ingest_item *item = &ingest->items[index];
    struct store_news_item *stored = &ingest->stored[index];
    const struct task_model *model = task_news_model(ingest->news, stored->lang);
    size_t before = call->prompt_tokens, len = 0;
    const char *text = NULL;
    enum att_status status = task_news_analyse(call, ingest->news->entities, stored, &item->analysis, err);
    if (status != ATT_OK || !model)
        return status;
    item->model = model;
    stored->model = model->name;
    stored->model_digest = att_model_info(model->model)->digest;
    status = task_news_item_join(call, stored, &text, &len, err);
    if (status == ATT_OK)
        status = task_ingest_text_add(call, &ingest->texts, model, INGEST_ITEM, text, len, &item->text, err);
    if (task_feed_is_theirs(status)) {
        call->prompt_tokens = before;
        return keep_error(call, item, err);
    }
    item->joined = text;
    if (status == ATT_OK && ingest->news->ner)
        return task_ner_plan(call, ingest->news->ner, text, len, &item->ner, err);
    return status == ATT_OK ? plan_sentences(call, ingest, index, err) : status;
}

/* An entity model's jobs, behind those that are there. */
static enum att_status add_entity_jobs(struct task_call *call, struct ingest *ingest, struct att_err *err)
{
    size_t total = 0;
    enum att_status status = ATT_OK;
    for (size_t i = 0; i < ingest->n_items; i++)
        total += ingest->items[i].err ? 0 : ingest->items[i].ner.n_jobs;
    if (total == 0)
        return ATT_OK;
    struct task_job *jobs = task_alloc(call, call->n_jobs + total, sizeof *jobs, err);
    if (!jobs)
        return err->status;
    if (call->n_jobs > 0)
        memcpy(jobs, call->jobs, call->n_jobs * sizeof *jobs);
    call->jobs = jobs;
    for (size_t i = 0; status == ATT_OK && i < ingest->n_items; i++)
        if (!ingest->items[i].err)
            status = task_ner_jobs(call, ingest->news->ner, &ingest->items[i].ner, err);
    return status;
}

/* Items whose content is stored already need no analysis. The store is asked for all at once. */
static enum att_status find_known(struct task_call *call, struct ingest *ingest, struct att_err *err)
{
    struct store_news_item *asked = task_alloc(call, ingest->n_items + 1, sizeof *asked, err);
    bool *known = asked ? task_alloc(call, ingest->n_items + 1, sizeof *known, err) : NULL;
    size_t n = 0;
    if (!known)
        return err->status;
    for (size_t i = 0; i < ingest->n_items; i++)
        if (!ingest->items[i].err)
            asked[n++] = ingest->stored[i];
    enum att_status status = store_news_known(ingest->news->store, asked, n, known, err);
    for (size_t i = 0, k = 0; status == ATT_OK && i < ingest->n_items; i++)
        if (!ingest->items[i].err)
            ingest->items[i].known = known[k++];
    return status;
}

static enum att_status plan(struct task_call *call, struct ingest *ingest, struct att_err *err)
{
    enum att_status status = find_known(call, ingest, err);
    for (size_t i = 0; status == ATT_OK && i < ingest->n_items; i++)
        if (!ingest->items[i].err && !ingest->items[i].known)
            status = plan_item(call, ingest, i, err);
    if (status == ATT_OK)
        status = task_ingest_texts_jobs(call, &ingest->texts, err);
    return status == ATT_OK ? add_entity_jobs(call, ingest, err) : status;
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct ingest *ingest = task_alloc(call, 1, sizeof *ingest, err);
    if (!ingest)
        return err->status;
    call->state = ingest;
    call->writes = true;
    call->bulk = true;
    ingest->news = call->env->news;
    if (!ingest->news)
        return att_err_set(err, ATT_ENOTFOUND, "no news store is configured; [news] path names its file");
    call->model = ingest->news->model;
    enum att_status status = task_feed_results_parse(call, &ingest->results, err);
    if (status == ATT_OK)
        status = call->feed ? read_feed(call, ingest, err) : read_body(call, ingest, body, err);
    return status == ATT_OK ? plan(call, ingest, err) : status;
}

/* ---- after a round ---- */

static enum att_status take_signals(struct task_call *call, struct ingest *ingest, struct att_err *err)
{
    for (size_t i = 0; i < ingest->n_items; i++) {
        struct ingest_item *item = &ingest->items[i];
        if (item->err || !item->model)
            continue;
        const struct att_model_info *info = att_model_info(item->model->model);
        const struct ingest_text *text = &ingest->texts.list[item->text];
        float *scratch = task_alloc(call, info->n_logits + 1, sizeof *scratch, err);
        if (!scratch)
            return err->status;
        task_signals_read(info, text->logits, scratch, &item->signals);
        item->vector = text->vector;
    }
    return ATT_OK;
}

static enum att_status take_sentences(struct task_call *call, struct ingest *ingest, struct att_err *err)
{
    for (size_t i = 0; i < ingest->n_items; i++) {
        struct ingest_item *item = &ingest->items[i];
        const struct att_head_info *sentiment = sentiment_of(item);
        for (size_t j = 0; sentiment && !item->err && j < item->analysis.n_judged; j++) {
            float *probabilities = task_alloc(call, sentiment->n_labels, sizeof *probabilities, err);
            if (!probabilities)
                return err->status;
            att_softmax(sentiment->n_labels, ingest->texts.list[item->sentences[j]].logits + sentiment->logits_begin,
                        sentiment->temperature, probabilities);
            item->analysis.probabilities[j] = probabilities;
        }
    }
    return ATT_OK;
}

/* Spans of title and text as one become mentions of one or the other. */
static enum att_status take_entities(struct task_call *call, struct ingest *ingest, struct att_err *err)
{
    struct task_ner_span spans[STORE_NEWS_ENTITIES_MAX];
    enum att_status status = ATT_OK;
    for (size_t i = 0; i < ingest->n_items; i++) {
        struct ingest_item *item = &ingest->items[i];
        const struct store_news_item *stored = &ingest->stored[i];
        if (item->err || item->ner.n_jobs == 0)
            continue;
        size_t title = strlen(stored->title), text = title + (title && *stored->text);
        size_t n = task_ner_read(call, ingest->news->ner, &item->ner, item->joined, spans, STORE_NEWS_ENTITIES_MAX);
        for (size_t k = 0; status == ATT_OK && k < n; k++) {
            bool in_title = spans[k].start < title;
            size_t shift = in_title ? 0 : text, end = spans[k].end;
            if (in_title && end > title)
                end = title;
            if (spans[k].start >= shift && end > spans[k].start)
                status = task_news_add(call, stored, in_title, spans[k].start - shift, end - shift, spans[k].type,
                                       &item->analysis, err);
        }
        task_news_rejudge(&item->analysis);
    }
    return status;
}

/* With an entity model, sentences are read when all names are known. */
static enum att_status begin_sentences(struct task_call *call, struct ingest *ingest, struct att_err *err)
{
    enum att_status status = take_entities(call, ingest, err);
    ingest->round = ROUND_SENTENCES;
    for (size_t i = 0; status == ATT_OK && i < ingest->n_items; i++)
        if (!ingest->items[i].err && ingest->items[i].model)
            status = plan_sentences(call, ingest, i, err);
    return status == ATT_OK ? task_ingest_texts_jobs(call, &ingest->texts, err) : status;
}

static enum att_status advance(struct task_call *call, struct att_err *err)
{
    struct ingest *ingest = call->state;
    enum att_status status = task_ingest_texts_take(call, &ingest->texts, err);
    if (status == ATT_OK && ingest->round == ROUND_ITEMS)
        status = take_signals(call, ingest, err);
    if (status == ATT_OK && ingest->round == ROUND_ITEMS && ingest->news->ner)
        status = begin_sentences(call, ingest, err);
    else
        call->n_jobs = 0;
    return status == ATT_OK && call->n_jobs == 0 ? take_sentences(call, ingest, err) : status;
}

/* ---- storing, and the answer ---- */

static enum att_status conclude(struct task_call *call, struct ingest *ingest, struct att_err *err)
{
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < ingest->n_items; i++) {
        struct ingest_item *item = &ingest->items[i];
        if (item->err || item->known)
            continue;
        if (!item->model)
            item->signals = (struct task_signals){
                .sentiment = "", .noise = ingest->stored[i].noise, .importance = ingest->stored[i].importance};
        status = task_news_conclude(call, &item->analysis, sentiment_of(item), &item->signals, &ingest->stored[i], err);
        ingest->stored[i].vector = item->vector;
        ingest->stored[i].dimensions = item->vector ? att_model_info(item->model->model)->hidden_size : 0;
    }
    return status;
}

/* The store's words name a file, which is nobody's business outside. */
static enum att_status told(enum att_status status, struct att_err *err)
{
    return status == ATT_EBUSY ? att_err_set(err, ATT_EBUSY, "another process writes to the news store") : status;
}

static enum att_status store(struct task_call *call, struct ingest *ingest, struct store_news_result **ret_results,
                             struct att_err *err)
{
    struct store_news_item *taken = task_alloc(call, ingest->n_items + 1, sizeof *taken, err);
    struct store_news_result *results = taken ? task_alloc(call, ingest->n_items + 1, sizeof *results, err) : NULL;
    size_t n = 0;
    if (!results)
        return err->status;
    for (size_t i = 0; i < ingest->n_items; i++)
        if (!ingest->items[i].err)
            taken[n++] = ingest->stored[i];
    *ret_results = results;
    return n > 0 ? told(store_news_put(ingest->news->store, taken, n, results, err), err) : ATT_OK;
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct ingest *ingest = call->state;
    struct task_feed once = {.n_lines = ingest->n_items}, *feed = call->feed ? call->feed : &once;
    struct store_news_result *results = NULL;
    enum att_status status = conclude(call, ingest, err);
    if (status == ATT_OK)
        status = store(call, ingest, &results, err);
    if (status != ATT_OK)
        return status;
    if (!ingest->lines) {
        att_jsonw_object_begin(answer);
        att_jsonw_put_text(answer, "object", "list");
        att_jsonw_key(answer, "data");
        att_jsonw_array_begin(answer);
        task_ingest_put_results(call, ingest, feed, results, answer);
        att_jsonw_array_end(answer);
        task_feed_put_counts(feed, "items", task_ingest_count_names, answer);
        task_render_usage(call, answer);
        att_jsonw_object_end(answer);
        return ATT_OK;
    }
    call->content_type = "application/x-ndjson";
    task_ingest_put_results(call, ingest, feed, results, answer);
    if (feed->is_last)
        task_feed_put_summary(feed, task_ingest_count_names, answer);
    return ATT_OK;
}

static void finish(struct task_call *call)
{
    struct ingest *ingest = call->state;
    for (size_t i = 0; ingest && i < ingest->n_items; i++)
        att_json_destroy(ingest->items[i].json);
}

const struct task task_ingest = {
    .name = "ingest", .parse = parse, .advance = advance, .render = render, .finish = finish, .takes_array = true};
