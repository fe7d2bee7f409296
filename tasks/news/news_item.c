/* News items as JSON, in and out; see news_item.h. */
#include "tasks/news/news_item.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/date.h"
#include "core/base/digest.h"
#include "core/base/utf8.h"
#include "tasks/encode.h"

enum {
    ID_BYTES_MAX = 256,
    SOURCE_BYTES_MAX = 256,
    URL_BYTES_MAX = 4096,
    TITLE_BYTES_MAX = 4096,
    LANG_BYTES_MAX = 16,
    ID_DIGITS = 32,
    SCRIPT_CHARACTERS = 400, /* enough to tell a script by */
    PARTS_BYTES = 160
};
static const double unix_s_max = 253402300799.0; /* the end of 9999 */
static const double engagement_max = 1e15;

/* ---- in ---- */

static enum att_status take_short(const struct att_json *object, const char *path, const char *name, size_t max,
                                  const char **ret_text, struct att_err *err)
{
    const char *text = "";
    size_t len = 0;
    enum att_status status = task_field_string(object, path, name, &text, &len, err);
    if (status != ATT_OK)
        return status;
    if (len > max) {
        char full[ATT_ERR_PARAM_MAX];
        snprintf(full, sizeof full, "%s%s%s", path, *path ? "." : "", name);
        return att_err_limit(err, full, max, len, "%s: has %zu bytes, expected at most %zu", full, len, max);
    }
    *ret_text = text;
    return ATT_OK;
}

static enum att_status wrong_time(const char *path, struct att_err *err)
{
    char full[ATT_ERR_PARAM_MAX];
    snprintf(full, sizeof full, "%s%stime", path, *path ? "." : "");
    return att_err_param(err, ATT_EINVAL, full,
                         "%s: is no time, expected \"2026-11-28T09:30:00Z\" or seconds since 1970", full);
}

static enum att_status take_time(const struct att_json *object, const char *path, struct store_news_item *item,
                                 struct att_err *err)
{
    const struct att_json *value = att_json_get(object, "time");
    size_t len;
    const char *text = att_json_string(value, &len);
    double seconds = att_json_number(value, -1);
    int64_t unix_s = 0;
    if (att_json_type(value) == ATT_JSON_NULL)
        return ATT_OK;
    if (text) {
        if (!att_date_parse(text, len, &unix_s))
            return wrong_time(path, err);
        item->time_ms = unix_s * 1000;
    } else {
        if (!(seconds >= 0 && seconds <= unix_s_max))
            return wrong_time(path, err);
        item->time_ms = (int64_t)(seconds * 1000 + 0.5);
    }
    item->time_is_sent = true;
    return ATT_OK;
}

/* One number: who only looked counts least, who passed it on most. */
static enum att_status take_engagement(struct task_call *call, const struct att_json *object, const char *path,
                                       struct store_news_item *item, struct att_err *err)
{
    static const struct {
        const char *name;
        double weight;
    } kinds[] = {{"views", 1}, {"likes", 10}, {"comments", 20}, {"shares", 30}};
    static const char *const names[] = {"views", "likes", "comments", "shares", NULL};
    const struct att_json *value = att_json_get(object, "engagement");
    char inner[ATT_ERR_PARAM_MAX], parts[PARTS_BYTES] = "{";
    size_t at = 1;
    item->engagement_parts = "{}";
    if (!att_json_is_object(value))
        return task_field_number(object, path, "engagement", 0, engagement_max, &item->engagement, err);
    snprintf(inner, sizeof inner, "%s%sengagement", path, *path ? "." : "");
    enum att_status status = task_fields_known(value, inner, names, err);
    for (size_t i = 0; status == ATT_OK && i < 4; i++) {
        double count = -1;
        status = task_field_number(value, inner, kinds[i].name, 0, engagement_max, &count, err);
        if (status != ATT_OK || count < 0)
            continue;
        item->engagement += count * kinds[i].weight;
        at += (size_t)snprintf(parts + at, sizeof parts - at, "%s\"%s\":%.0f", at > 1 ? "," : "", kinds[i].name, count);
    }
    if (status != ATT_OK)
        return status;
    snprintf(parts + at, sizeof parts - at, "}");
    item->engagement_parts = att_arena_copy(call->arena, parts, strlen(parts));
    return item->engagement_parts ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
}

static enum att_status make_id(struct task_call *call, struct store_news_item *item, struct att_err *err)
{
    const char *const parts[] = {item->source, item->title, item->text};
    struct att_digest_state *state = NULL;
    char hex[65];
    enum att_status status = att_digest_begin(&state, err);
    for (size_t i = 0; status == ATT_OK && i < 3; i++)
        status = att_digest_update(state, parts[i], strlen(parts[i]) + 1, err);
    att_digest_end(state, status == ATT_OK ? hex : NULL);
    if (status != ATT_OK)
        return status;
    item->id = att_arena_copy(call->arena, hex, ID_DIGITS);
    return item->id ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
}

/* What the script alone tells; Latin letters tell no language. */
static const char *guess_lang(const char *text)
{
    size_t han = 0, kana = 0, hangul = 0, letters = 0, len = strlen(text), at = 0;
    for (size_t i = 0; at < len && i < SCRIPT_CHARACTERS; i++) {
        uint32_t c = att_utf8_next(text, len, &at);
        han += c >= 0x4e00 && c < 0xa000;
        kana += c >= 0x3040 && c < 0x3100;
        hangul += c >= 0xac00 && c < 0xd7b0;
        letters += c > 0x40 && c != 0x3000;
    }
    if (kana * 10 > letters)
        return "ja";
    if (hangul * 4 > letters)
        return "ko";
    return han * 4 > letters ? "zh" : "";
}

enum att_status task_news_item_join(struct task_call *call, const struct store_news_item *item, const char **ret_text,
                                    size_t *ret_len, struct att_err *err)
{
    size_t title = strlen(item->title), text = strlen(item->text);
    char *joined = task_alloc(call, title + text + 2, 1, err);
    if (!joined)
        return err->status;
    memcpy(joined, item->title, title);
    joined[title] = title && text ? '\n' : '\0';
    memcpy(joined + title + (title && text), item->text, text);
    *ret_text = joined;
    *ret_len = title + text + (title && text);
    return ATT_OK;
}

const struct task_model *task_news_model(const struct task_news *news, const char *lang)
{
    return news->model_zh && strncmp(lang, "zh", 2) == 0 ? news->model_zh : news->model;
}

enum att_status task_news_item_read(struct task_call *call, const struct att_json *object, const char *path,
                                    struct store_news_item *ret_item, struct att_err *err)
{
    static const char *const fields[] = {"id", "source", "url", "title", "text", "lang", "time", "engagement", NULL};
    struct store_news_item item = {.id = "",
                                   .source = "",
                                   .url = "",
                                   .title = "",
                                   .text = "",
                                   .lang = "",
                                   .time_ms = call->now_ms,
                                   .received_ms = call->now_ms,
                                   .model = "",
                                   .model_digest = "",
                                   .sentiment = "",
                                   .topics = "[]",
                                   .entities = "[]",
                                   .noise = (double)NAN,
                                   .importance = (double)NAN};
    char text_path[ATT_ERR_PARAM_MAX];
    size_t len;
    snprintf(text_path, sizeof text_path, "%s%stext", path, *path ? "." : "");
    enum att_status status = task_fields_known(object, path, fields, err);
    if (status == ATT_OK)
        status = take_short(object, path, "id", ID_BYTES_MAX, &item.id, err);
    if (status == ATT_OK)
        status = take_short(object, path, "source", SOURCE_BYTES_MAX, &item.source, err);
    if (status == ATT_OK)
        status = take_short(object, path, "url", URL_BYTES_MAX, &item.url, err);
    if (status == ATT_OK)
        status = take_short(object, path, "title", TITLE_BYTES_MAX, &item.title, err);
    if (status == ATT_OK)
        status = take_short(object, path, "lang", LANG_BYTES_MAX, &item.lang, err);
    if (status == ATT_OK)
        status = take_time(object, path, &item, err);
    if (status == ATT_OK)
        status = take_engagement(call, object, path, &item, err);
    if (status == ATT_OK && (!*item.title || att_json_type(att_json_get(object, "text")) != ATT_JSON_NULL))
        status = task_field_text(call, att_json_get(object, "text"), text_path, &item.text, &len, err);
    if (status == ATT_OK && !*item.title && !*item.text)
        status = att_err_param(err, ATT_EINVAL, text_path, "%s: is empty, and so is the title", text_path);
    if (status == ATT_OK && !*item.lang)
        item.lang = guess_lang(*item.text ? item.text : item.title);
    if (status == ATT_OK && !*item.id)
        status = make_id(call, &item, err);
    if (status == ATT_OK)
        *ret_item = item;
    return status;
}

/* ---- out ---- */

static void put_time(struct att_jsonw *answer, const char *key, int64_t ms)
{
    char text[ATT_DATE_BYTES];
    att_date_format(ms / 1000, text);
    att_jsonw_put_text(answer, key, text);
}

static void put_analysis(const struct store_news_item *item, struct att_jsonw *answer)
{
    att_jsonw_put_text(answer, "model", *item->model ? item->model : NULL);
    att_jsonw_put_text(answer, "sentiment", *item->sentiment ? item->sentiment : NULL);
    att_jsonw_put_double(answer, "sentiment_score", item->sentiment_score, 6);
    att_jsonw_put_double(answer, "polarity", item->polarity, 6);
    att_jsonw_key(answer, "topics");
    att_jsonw_raw(answer, item->topics, strlen(item->topics));
    att_jsonw_put_double(answer, "noise", item->noise, 6);
    att_jsonw_put_double(answer, "importance", item->importance, 6);
    att_jsonw_key(answer, "entities");
    att_jsonw_raw(answer, item->entities, strlen(item->entities));
    att_jsonw_put_double(answer, "relevance", item->relevance, 6);
    att_jsonw_key(answer, "evidence");
    if (item->evidence_end <= item->evidence_start || item->evidence_end > strlen(item->text)) {
        att_jsonw_null(answer);
        return;
    }
    att_jsonw_object_begin(answer);
    att_jsonw_put_string(answer, "text", item->text + item->evidence_start, item->evidence_end - item->evidence_start);
    att_jsonw_put_size(answer, "start", item->evidence_start);
    att_jsonw_put_size(answer, "end", item->evidence_end);
    att_jsonw_object_end(answer);
}

void task_news_item_render(const struct store_news_item *item, bool with_text, struct att_jsonw *answer)
{
    att_jsonw_object_begin(answer);
    att_jsonw_put_int(answer, "seq", item->seq);
    att_jsonw_put_text(answer, "id", item->id);
    att_jsonw_put_text(answer, "source", item->source);
    att_jsonw_put_text(answer, "url", item->url);
    att_jsonw_put_text(answer, "title", item->title);
    if (with_text)
        att_jsonw_put_text(answer, "text", item->text);
    att_jsonw_put_text(answer, "lang", item->lang);
    put_time(answer, "time", item->time_ms);
    put_time(answer, "received", item->received_ms);
    att_jsonw_put_double(answer, "engagement", item->engagement, 6);
    att_jsonw_key(answer, "engagement_parts");
    att_jsonw_raw(answer, item->engagement_parts, strlen(item->engagement_parts));
    att_jsonw_put_int(answer, "cluster", item->cluster);
    att_jsonw_put_double(answer, "similarity", item->similarity, 6);
    att_jsonw_put_double(answer, "novelty", item->novelty, 6);
    put_time(answer, "first_seen", item->first_seen_ms);
    put_analysis(item, answer);
    att_jsonw_object_end(answer);
}
