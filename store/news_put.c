/*
 * Putting items: one transaction, in which each item is compared with what is
 * stored under its id and with its near-duplicates. The index of these lives in
 * memory and follows the file: before a put it takes in what other processes
 * have added, and after a failed one it forgets what this put had added.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/base/digest.h"
#include "core/base/mem.h"
#include "store/news_inside.h"

enum { DIMENSIONS_MAX = 8192 };

#define NEAR_COLUMNS "seq, cluster, time_ms, signature, vector, model_digest"

struct statements {
    sqlite3_stmt *find, *insert, *update, *engage, *similar, *leave, *forget, *mention;
};

static const char *const texts[] = {
    "SELECT seq, content, engagement, parts, cluster, similarity, first_seen_ms, received_ms FROM items WHERE id = ?1",
    "INSERT INTO items(id, time_ms, received_ms, source, lang, cluster, similarity, first_seen_ms, engagement, parts,"
    " sentiment, sentiment_score, polarity, noise, importance, relevance, model, model_digest, topics, entities,"
    " evidence_start, evidence_end, url, title, text, content, signature, vector, seq) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,"
    "?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25,?26,?27,?28,?29)",
    "UPDATE items SET id=?1, time_ms=?2, received_ms=?3, source=?4, lang=?5, cluster=?6, similarity=?7,"
    " first_seen_ms=?8, engagement=?9, parts=?10, sentiment=?11, sentiment_score=?12, polarity=?13, noise=?14,"
    " importance=?15, relevance=?16, model=?17, model_digest=?18, topics=?19, entities=?20, evidence_start=?21,"
    " evidence_end=?22, url=?23, title=?24, text=?25, content=?26, signature=?27, vector=?28 WHERE seq=?29",
    "UPDATE items SET engagement=?2, parts=?3 WHERE seq=?1",
    "SELECT " NEAR_COLUMNS ", first_seen_ms FROM items WHERE seq = ?1",
    STORE_NEWS_LEAVE("SELECT ?1"),
    "DELETE FROM mentions WHERE seq = ?1",
    "INSERT OR IGNORE INTO mentions VALUES (?1, ?2)",
};

static sqlite3_stmt **statement_at(struct statements *s, size_t i)
{
    sqlite3_stmt **const all[] = {&s->find,    &s->insert, &s->update, &s->engage,
                                  &s->similar, &s->leave,  &s->forget, &s->mention};
    return all[i];
}

static enum att_status statements_prepare(struct store_news *news, struct statements *s, struct att_err *err)
{
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < sizeof texts / sizeof *texts; i++)
        status = store_sqlite_prepare(news->db, news->path, texts[i], statement_at(s, i), err);
    return status;
}

static void statements_finish(struct statements *s)
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        sqlite3_finalize(*statement_at(s, i));
}

/* ---- what an item says ---- */

enum att_status store_news_digest(const struct store_news_item *item, char ret_hex[STORE_NEWS_DIGEST_BYTES],
                                  struct att_err *err)
{
    const char *const parts[] = {item->source, item->url, item->title, item->text, item->lang};
    struct att_digest_state *state = NULL;
    enum att_status status = att_digest_begin(&state, err);
    for (size_t i = 0; status == ATT_OK && i < sizeof parts / sizeof *parts; i++)
        status = att_digest_update(state, parts[i], strlen(parts[i]) + 1, err);
    if (status == ATT_OK && item->time_is_sent)
        status = att_digest_update(state, &item->time_ms, sizeof item->time_ms, err);
    att_digest_end(state, status == ATT_OK ? ret_hex : NULL);
    return status;
}

/* Vectors of different models must not be compared: a number for the digest is enough to tell them apart. */
static uint64_t model_number(const char *digest)
{
    uint64_t number = 0;
    for (size_t i = 0; i < 16 && digest[i]; i++)
        number = number * 31 + (unsigned char)digest[i];
    return number;
}

/* ---- the index of near-duplicates ---- */

/* When the batch came: the present, as the caller's clock has it. */
static int64_t received_last(const struct store_news_item *items, size_t n)
{
    int64_t now_ms = 0;
    for (size_t i = 0; i < n; i++)
        now_ms = items[i].received_ms > now_ms ? items[i].received_ms : now_ms;
    return now_ms;
}

/* What is dated in the future does not say how far the news have come: one such item would age all others. */
static int64_t published_last(const struct store_news_item *items, size_t n, int64_t now_ms)
{
    int64_t newest_ms = 0;
    for (size_t i = 0; i < n; i++)
        if (items[i].time_ms <= now_ms && items[i].time_ms > newest_ms)
            newest_ms = items[i].time_ms;
    return newest_ms;
}

/* A row of NEAR_COLUMNS; its vector is valid until the next step. False: a value could not be read. */
static bool read_near(sqlite3_stmt *row, uint32_t signature[STORE_NEAR_HASHES], struct store_near_text *text)
{
    const void *bytes = sqlite3_column_blob(row, 3);
    bool has_signature = bytes && sqlite3_column_bytes(row, 3) == STORE_NEAR_HASHES * (int)sizeof *signature;
    const char *digest = (const char *)sqlite3_column_text(row, 5);
    *text = (struct store_near_text){.seq = sqlite3_column_int64(row, 0),
                                     .cluster = sqlite3_column_int64(row, 1),
                                     .time_ms = sqlite3_column_int64(row, 2),
                                     .signature = has_signature ? signature : NULL,
                                     .vector = sqlite3_column_blob(row, 4),
                                     .dimensions = (size_t)sqlite3_column_bytes(row, 4),
                                     .model = model_number(digest ? digest : "")};
    if (has_signature)
        memcpy(signature, bytes, STORE_NEAR_HASHES * sizeof *signature);
    return digest != NULL;
}

/* Takes in the items of the file that came since: all of the window after opening, those of other processes later. */
static enum att_status follow(struct store_news *news, int64_t now_ms, struct att_err *err)
{
    static const char sql[] =
        "SELECT " NEAR_COLUMNS " FROM items WHERE seq > ?1 AND time_ms >="
        " (SELECT coalesce(max(time_ms), 0) FROM items WHERE time_ms <= ?5) - ?2 AND signature IS NOT NULL"
        " AND length(signature) = ?3 AND seq > (SELECT coalesce(max(seq), 0) FROM items) - ?4 ORDER BY seq";
    sqlite3_stmt *row = NULL;
    int step = SQLITE_DONE;
    enum att_status status = store_sqlite_prepare(news->db, news->path, sql, &row, err);
    if (status != ATT_OK)
        return status;
    sqlite3_bind_int64(row, 1, news->indexed_seq);
    sqlite3_bind_int64(row, 2, news->options.window_ms);
    sqlite3_bind_int(row, 3, STORE_NEAR_HASHES * sizeof(uint32_t));
    sqlite3_bind_int(row, 4, STORE_NEAR_TEXTS_MAX);
    sqlite3_bind_int64(row, 5, now_ms);
    while (status == ATT_OK && (step = sqlite3_step(row)) == SQLITE_ROW) {
        uint32_t signature[STORE_NEAR_HASHES];
        struct store_near_text text;
        if (!read_near(row, signature, &text))
            break;
        status = store_near_add(news->near, &text, err);
        news->indexed_seq = text.seq;
    }
    if (status == ATT_OK && step != SQLITE_DONE)
        status = store_sqlite_error(news->db, news->path, err);
    sqlite3_finalize(row);
    return status;
}

/* ---- one item ---- */

struct stored {                                       /* what the file has under an item's id */
    int64_t seq, cluster, first_seen_ms, received_ms; /* seq 0: nothing */
    double similarity;
    bool same_content, same_engagement;
};

static enum att_status find_stored(struct store_news *news, sqlite3_stmt *row, const struct store_news_item *item,
                                   const char *content, struct stored *stored, struct att_err *err)
{
    enum att_status status = ATT_OK;
    memset(stored, 0, sizeof *stored);
    if (sqlite3_bind_text(row, 1, item->id, -1, SQLITE_STATIC) != SQLITE_OK)
        return store_sqlite_error(news->db, news->path, err);
    int step = sqlite3_step(row);
    if (step == SQLITE_ROW) {
        const char *old_content = (const char *)sqlite3_column_text(row, 1);
        const char *old_parts = (const char *)sqlite3_column_text(row, 3);
        stored->seq = sqlite3_column_int64(row, 0);
        stored->same_content = old_content && strcmp(old_content, content) == 0;
        stored->same_engagement = sqlite3_column_double(row, 2) == item->engagement && old_parts &&
                                  strcmp(old_parts, item->engagement_parts) == 0;
        stored->cluster = sqlite3_column_int64(row, 4);
        stored->similarity = sqlite3_column_double(row, 5);
        stored->first_seen_ms = sqlite3_column_int64(row, 6);
        stored->received_ms = sqlite3_column_int64(row, 7);
    } else if (step != SQLITE_DONE) {
        status = store_sqlite_error(news->db, news->path, err);
    }
    sqlite3_reset(row);
    return status;
}

static int bind_known(sqlite3_stmt *row, int index, double value)
{
    return isnan(value) ? sqlite3_bind_null(row, index) : sqlite3_bind_double(row, index, value);
}

static enum att_status write_item(struct store_news *news, sqlite3_stmt *row, const struct store_news_item *item,
                                  const char *content, const struct store_near_text *near,
                                  const struct store_news_result *result, int64_t received_ms, struct att_err *err)
{
    const struct {
        int index;
        const char *text;
    } strings[] = {{1, item->id},         {4, item->source}, {5, item->lang},          {10, item->engagement_parts},
                   {11, item->sentiment}, {17, item->model}, {18, item->model_digest}, {19, item->topics},
                   {20, item->entities},  {23, item->url},   {24, item->title},        {25, item->text},
                   {26, content}};
    int failed = sqlite3_bind_int64(row, 2, item->time_ms) | sqlite3_bind_int64(row, 3, received_ms) |
                 sqlite3_bind_int64(row, 6, result->cluster) | sqlite3_bind_double(row, 7, result->similarity) |
                 sqlite3_bind_int64(row, 8, result->first_seen_ms) | sqlite3_bind_double(row, 9, item->engagement) |
                 sqlite3_bind_double(row, 12, item->sentiment_score) | sqlite3_bind_double(row, 13, item->polarity) |
                 bind_known(row, 14, item->noise) | bind_known(row, 15, item->importance) |
                 sqlite3_bind_double(row, 16, item->relevance) |
                 sqlite3_bind_int64(row, 21, (sqlite3_int64)item->evidence_start) |
                 sqlite3_bind_int64(row, 22, (sqlite3_int64)item->evidence_end) |
                 sqlite3_bind_int64(row, 29, result->seq);
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        failed |= sqlite3_bind_text(row, strings[i].index, strings[i].text, -1, SQLITE_STATIC);
    failed |= near->signature ? sqlite3_bind_blob(row, 27, near->signature,
                                                  STORE_NEAR_HASHES * (int)sizeof *near->signature, SQLITE_STATIC)
                              : sqlite3_bind_null(row, 27);
    failed |= near->vector ? sqlite3_bind_blob(row, 28, near->vector, (int)near->dimensions, SQLITE_STATIC)
                           : sqlite3_bind_null(row, 28);
    return failed ? store_sqlite_error(news->db, news->path, err) : store_sqlite_run(news->db, news->path, row, err);
}

static enum att_status write_mentions(struct store_news *news, struct statements *s, const struct store_news_item *item,
                                      int64_t seq, bool is_update, struct att_err *err)
{
    enum att_status status = ATT_OK;
    if (is_update) {
        sqlite3_bind_int64(s->forget, 1, seq);
        status = store_sqlite_run(news->db, news->path, s->forget, err);
    }
    for (size_t i = 0; status == ATT_OK && i < item->n_entity_ids; i++) {
        sqlite3_bind_int64(s->mention, 2, seq);
        if (sqlite3_bind_text(s->mention, 1, item->entity_ids[i], -1, SQLITE_STATIC) != SQLITE_OK)
            return store_sqlite_error(news->db, news->path, err);
        status = store_sqlite_run(news->db, news->path, s->mention, err);
    }
    return status;
}

/* What the file has of an item that the index found; *ret_is: the same as the index. */
static enum att_status check_match(struct store_news *news, sqlite3_stmt *row, struct store_near_match *match,
                                   int64_t *ret_first_seen_ms, bool *ret_is, struct att_err *err)
{
    uint32_t signature[STORE_NEAR_HASHES];
    struct store_near_text text;
    enum att_status status = ATT_OK;
    *ret_is = false;
    sqlite3_bind_int64(row, 1, match->seq);
    int step = sqlite3_step(row);
    if (step == SQLITE_ROW && read_near(row, signature, &text)) {
        *ret_is = store_near_is(news->near, match->index, &text);
        match->cluster = text.cluster;
        *ret_first_seen_ms = sqlite3_column_int64(row, 6);
    } else if (step != SQLITE_DONE) {
        status = store_sqlite_error(news->db, news->path, err);
    }
    sqlite3_reset(row);
    return status;
}

/* The most similar earlier item. What was removed or rewritten since the index took it in, by whomever, is found out
 * here, and forgotten. */
static enum att_status find_similar(struct store_news *news, struct statements *s, const struct store_near_text *near,
                                    int64_t except, struct store_near_match *match, int64_t *ret_first_seen_ms,
                                    struct att_err *err)
{
    for (;;) {
        bool is = false;
        *match = store_near_find(news->near, near, except);
        if (match->seq == 0)
            return ATT_OK;
        enum att_status status = check_match(news, s->similar, match, ret_first_seen_ms, &is, err);
        if (status != ATT_OK || is)
            return status;
        store_near_forget(news->near, match->index);
    }
}

/* The cluster that the most similar earlier item belongs to, if it is similar enough, and when that began. An item that
 * was rewritten, and was the first of others which it is not like any more, leaves them to themselves. */
static enum att_status join_cluster(struct store_news *news, struct statements *s, const struct store_near_text *near,
                                    bool is_rewritten, int64_t received_ms, struct store_news_result *result,
                                    struct att_err *err)
{
    struct store_near_match match;
    int64_t first_seen_ms = 0;
    enum att_status status = find_similar(news, s, near, result->seq, &match, &first_seen_ms, err);
    if (status != ATT_OK)
        return status;
    result->similarity = match.similarity;
    result->novelty = 1 - match.similarity;
    bool is_like = match.seq != 0 && match.similarity >= news->options.similar_min;
    result->cluster = is_like ? match.cluster : result->seq;
    result->first_seen_ms = is_like ? first_seen_ms : received_ms;
    if (!is_rewritten || (is_like && match.cluster == result->seq))
        return ATT_OK;
    sqlite3_bind_int64(s->leave, 1, result->seq);
    return store_sqlite_run(news->db, news->path, s->leave, err);
}

/* A new item gets the number that SQLite would give it, which its cluster may be called by. */
static enum att_status next_seq(struct store_news *news, int64_t *ret_seq, struct att_err *err)
{
    return store_sqlite_integer(news->db, news->path,
                                "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'items'), 0) + 1",
                                ret_seq, err);
}

static void take_stored(const struct stored *stored, struct store_news_result *result)
{
    result->seq = stored->seq;
    result->cluster = stored->cluster;
    result->similarity = stored->similarity;
    result->novelty = 1 - stored->similarity;
    result->first_seen_ms = stored->first_seen_ms;
}

static enum att_status put_content(struct store_news *news, struct statements *s, const struct store_news_item *item,
                                   const char *content, const struct stored *stored, struct store_news_result *result,
                                   struct att_err *err)
{
    uint32_t signature[STORE_NEAR_HASHES];
    int8_t vector[DIMENSIONS_MAX];
    bool has_vector = item->vector && item->dimensions <= DIMENSIONS_MAX;
    int64_t received_ms = stored->seq ? stored->received_ms : item->received_ms;
    struct store_near_text near = {.time_ms = item->time_ms,
                                   .signature = store_near_sign(item->title, item->text, signature) ? signature : NULL,
                                   .vector = has_vector ? vector : NULL,
                                   .dimensions = has_vector ? item->dimensions : 0,
                                   .model = model_number(item->model_digest)};
    enum att_status status = ATT_OK;
    if (has_vector)
        store_near_quantize(item->vector, item->dimensions, vector);
    result->outcome = stored->seq ? STORE_NEWS_UPDATED : STORE_NEWS_NEW;
    result->seq = stored->seq;
    news->changes_items = news->changes_items || stored->seq;
    if (!stored->seq)
        status = next_seq(news, &result->seq, err);
    if (status == ATT_OK)
        status = join_cluster(news, s, &near, stored->seq != 0, received_ms, result, err);
    if (status == ATT_OK)
        status = write_item(news, stored->seq ? s->update : s->insert, item, content, &near, result, received_ms, err);
    if (status == ATT_OK)
        status = write_mentions(news, s, item, result->seq, stored->seq != 0, err);
    near.seq = result->seq;
    near.cluster = result->cluster;
    if (status == ATT_OK)
        status = store_near_add(news->near, &near, err);
    return status;
}

static enum att_status put_item(struct store_news *news, struct statements *s, const struct store_news_item *item,
                                struct store_news_result *result, struct att_err *err)
{
    char content[STORE_NEWS_DIGEST_BYTES];
    struct stored stored;
    memset(result, 0, sizeof *result);
    assert(item->n_entity_ids <= STORE_NEWS_ENTITIES_MAX);
    enum att_status status = store_news_digest(item, content, err);
    if (status == ATT_OK)
        status = find_stored(news, s->find, item, content, &stored, err);
    if (status != ATT_OK)
        return status;
    if (!stored.same_content) {
        if (item->analysed)
            return put_content(news, s, item, content, &stored, result, err);
        result->outcome = STORE_NEWS_ABSENT;
        return ATT_OK;
    }
    take_stored(&stored, result);
    result->outcome = stored.same_engagement ? STORE_NEWS_DUPLICATE : STORE_NEWS_UPDATED;
    if (stored.same_engagement)
        return ATT_OK;
    sqlite3_bind_int64(s->engage, 1, stored.seq);
    sqlite3_bind_double(s->engage, 2, item->engagement);
    if (sqlite3_bind_text(s->engage, 3, item->engagement_parts, -1, SQLITE_STATIC) != SQLITE_OK)
        return store_sqlite_error(news->db, news->path, err);
    return store_sqlite_run(news->db, news->path, s->engage, err);
}

enum att_status store_news_put(struct store_news *news, const struct store_news_item *items, size_t n,
                               struct store_news_result *results, struct att_err *err)
{
    struct statements s = {0};
    int64_t now_ms = received_last(items, n), last_seq = 0;
    size_t expired = 0;
    enum att_status status = store_news_write_begin(news, err);
    if (status != ATT_OK)
        return status;
    store_near_settle(news->near, published_last(items, n, now_ms));
    status = follow(news, now_ms, err);
    if (status == ATT_OK)
        status = statements_prepare(news, &s, err);
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        status = put_item(news, &s, &items[i], &results[i], err);
        last_seq = results[i].seq > last_seq ? results[i].seq : last_seq;
    }
    statements_finish(&s);
    /* Old items go as new ones come, so that a put costs no more than twice what it brings. */
    if (status == ATT_OK && n > 0 && news->options.retention_ms > 0)
        status = store_news_expire_items(news, now_ms - news->options.retention_ms, n, &expired, err);
    if (last_seq > news->indexed_seq)
        news->indexed_seq = last_seq;
    return store_news_write_end(news, status, err);
}
