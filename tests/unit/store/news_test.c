/* The news store: what is put is read again, once for each id; failures change nothing; readers see one state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "database.h"
#include "store/news.h"

enum { HOUR_MS = 3600000 };

static char folder[64], path[96];
static const struct store_news_options options = {.window_ms = 72 * (int64_t)HOUR_MS, .similar_min = 0.6};

static int setup(void **state)
{
    (void)state;
    if (!database_place(folder, "news.db", path))
        return -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    database_remove(path);
    return rmdir(folder);
}

static struct store_news *opened(void)
{
    struct store_news *news = NULL;
    struct att_err err;
    if (store_news_open(path, &options, &news, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return news;
}

static struct store_news_item item_of(const char *id, const char *source, const char *text, int64_t time_ms)
{
    return (struct store_news_item){.id = id,
                                    .source = source,
                                    .url = "",
                                    .title = "",
                                    .text = text,
                                    .lang = "en",
                                    .time_ms = time_ms,
                                    .received_ms = time_ms + 1000,
                                    .engagement_parts = "{}",
                                    .analysed = true,
                                    .model = "finance",
                                    .model_digest = "d1",
                                    .sentiment = "neutral",
                                    .topics = "[]",
                                    .noise = NAN,
                                    .importance = NAN,
                                    .entities = "[]"};
}

static struct store_news_result put(struct store_news *news, const struct store_news_item *item)
{
    struct store_news_result result;
    struct att_err err;
    if (store_news_put(news, item, 1, &result, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return result;
}

struct seen {
    char ids[1024];
    size_t count;
    struct store_news_item last; /* its strings are not valid any more */
};

static bool note(void *context, const struct store_news_item *item)
{
    struct seen *seen = context;
    size_t len = strlen(seen->ids);
    snprintf(seen->ids + len, sizeof seen->ids - len, "%s%s", len ? " " : "", item->id);
    seen->count++;
    seen->last = *item;
    return true;
}

static const char *scan(struct store_news *news, struct store_news_filter filter)
{
    static struct seen seen;
    struct att_err err;
    memset(&seen, 0, sizeof seen);
    if (store_news_scan(news, &filter, note, &seen, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return seen.ids;
}

static bool check_whole(void *context, const struct store_news_item *item)
{
    (void)context;
    assert_string_equal(item->id, "n1");
    assert_string_equal(item->source, "wire");
    assert_string_equal(item->url, "https://example.com/1");
    assert_string_equal(item->title, "茅台净利增长");
    assert_string_equal(item->text, "贵州茅台前三季度净利润增长。");
    assert_string_equal(item->lang, "zh");
    assert_int_equal(item->time_ms, 1000);
    assert_int_equal(item->received_ms, 2000);
    assert_true(item->engagement == 42.5);
    assert_string_equal(item->engagement_parts, "{\"views\":42}");
    assert_string_equal(item->sentiment, "positive");
    assert_true(item->sentiment_score == 0.9 && item->polarity == 0.8 && item->relevance == 0.7);
    assert_true(item->noise == 0.25);
    assert_true(isnan(item->importance));
    assert_string_equal(item->topics, "[{\"label\":\"earnings\",\"score\":0.7}]");
    assert_string_equal(item->entities, "[{\"id\":\"moutai\"}]");
    assert_int_equal(item->evidence_start, 3);
    assert_int_equal(item->evidence_end, 12);
    assert_int_equal(item->cluster, item->seq);
    assert_true(item->novelty == 1.0);
    return false;
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const entities[] = {"moutai"};
    struct store_news *news = opened();
    struct att_err err;
    bool found = false;
    struct store_news_item item = item_of("n1", "wire", "贵州茅台前三季度净利润增长。", 1000);
    item.url = "https://example.com/1";
    item.title = "茅台净利增长";
    item.lang = "zh";
    item.engagement = 42.5;
    item.engagement_parts = "{\"views\":42}";
    item.sentiment = "positive";
    item.sentiment_score = 0.9;
    item.polarity = 0.8;
    item.relevance = 0.7;
    item.noise = 0.25;
    item.topics = "[{\"label\":\"earnings\",\"score\":0.7}]";
    item.entities = "[{\"id\":\"moutai\"}]";
    item.entity_ids = entities;
    item.n_entity_ids = 1;
    item.evidence_start = 3;
    item.evidence_end = 12;
    assert_int_equal(put(news, &item).outcome, STORE_NEWS_NEW);
    store_news_close(news);
    news = opened();
    assert_int_equal(store_news_get(news, "n1", check_whole, NULL, &found, &err), ATT_OK);
    assert_true(found);
    assert_int_equal(store_news_get(news, "n2", check_whole, NULL, &found, &err), ATT_OK);
    assert_false(found);
    assert_string_equal(scan(news, (struct store_news_filter){.entity = "moutai"}), "n1");
    assert_string_equal(scan(news, (struct store_news_filter){.entity = "other"}), "");
    assert_string_equal(scan(news, (struct store_news_filter){.topic = "earnings"}), "n1");
    assert_string_equal(scan(news, (struct store_news_filter){.topic = "merger"}), "");
    store_news_close(news);
}

static void test_the_same_again(void **state)
{
    (void)state;
    struct store_news *news = opened();
    struct store_news_item item = item_of("a", "wire", "Acme raises its outlook for the year.", 1000);
    struct att_err err;
    bool known[2];
    struct store_news_counts counts;
    struct store_news_result first = put(news, &item), again = put(news, &item);
    assert_int_equal(first.outcome, STORE_NEWS_NEW);
    assert_int_equal(again.outcome, STORE_NEWS_DUPLICATE);
    assert_int_equal(again.seq, first.seq);
    struct store_news_item changed[2] = {item, item};
    changed[1].text = "Acme lowers its outlook for the year.";
    assert_int_equal(store_news_known(news, changed, 2, known, &err), ATT_OK);
    assert_true(known[0] && !known[1]);
    item.engagement = 7;
    item.analysed = false; /* known: only its engagement is new */
    assert_int_equal(put(news, &item).outcome, STORE_NEWS_UPDATED);
    changed[1].analysed = false; /* not known, and not analysed */
    assert_int_equal(put(news, &changed[1]).outcome, STORE_NEWS_ABSENT);
    changed[1].analysed = true;
    changed[1].received_ms = 999999;
    struct store_news_result updated = put(news, &changed[1]);
    assert_int_equal(updated.outcome, STORE_NEWS_UPDATED);
    assert_int_equal(updated.seq, first.seq);
    assert_int_equal(updated.first_seen_ms, 2000); /* when it came first */
    assert_int_equal(store_news_count(news, &counts, &err), ATT_OK);
    assert_int_equal(counts.items, 1);
    assert_int_equal(counts.last_seq, first.seq);
    store_news_close(news);
}

static void test_clusters(void **state)
{
    (void)state;
    static const char text[] = "The central bank left its main rate unchanged at 4.5 percent on Thursday as expected";
    struct store_news *news = opened();
    struct store_news_item items[] = {
        item_of("a", "wire", text, HOUR_MS),
        item_of("b", "blog", "Carmaker recalls two million vehicles over a faulty airbag inflator.", 2 * HOUR_MS),
        item_of("c", "paper", "The central bank left its main rate unchanged at 4.5 percent on Thursday, as forecast",
                3 * HOUR_MS),
        item_of("d", "late", text, 100 * (int64_t)HOUR_MS),
    };
    struct store_news_result results[4];
    struct att_err err;
    assert_int_equal(store_news_put(news, items, 3, results, &err), ATT_OK);
    assert_int_equal(results[0].cluster, results[0].seq);
    assert_int_equal(results[1].cluster, results[1].seq);
    assert_int_equal(results[2].cluster, results[0].seq);
    assert_true(results[2].similarity > 0.6 && results[2].similarity < 1);
    assert_int_equal(results[2].first_seen_ms, HOUR_MS + 1000);
    assert_string_equal(scan(news, (struct store_news_filter){.first_of_cluster = true}), "a b");
    assert_string_equal(scan(news, (struct store_news_filter){.cluster = results[0].seq}), "a c");
    store_news_close(news);
    /* The index is that of the file, also after opening it anew. */
    news = opened();
    struct store_news_item e = item_of("e", "web", text, 4 * HOUR_MS);
    assert_int_equal(put(news, &e).cluster, results[0].seq);
    assert_true(put(news, &items[3]).novelty == 1.0); /* out of the window */
    store_news_close(news);
}

static void test_another_process_is_followed(void **state)
{
    (void)state;
    static const char text[] = "Oil falls as stocks of crude rise more than expected in the week to Friday";
    struct store_news *ours = opened(), *theirs = opened();
    struct store_news_item a = item_of("a", "x", text, HOUR_MS), b = item_of("b", "y", text, HOUR_MS),
                           c = item_of("c", "z", text, HOUR_MS);
    int64_t first = put(ours, &a).seq;
    assert_int_equal(put(theirs, &b).cluster, first);
    assert_int_equal(put(ours, &c).cluster, first);
    store_news_close(ours);
    store_news_close(theirs);
}

/* Neither what this handle removed, nor what another did. */
static void test_what_is_removed_counts_no_more(void **state)
{
    (void)state;
    static const char text[] = "Oil falls as stocks of crude rise more than expected in the week to Friday";
    struct store_news *news = opened(), *theirs = opened();
    struct store_news_item items[] = {item_of("a", "x", text, HOUR_MS), item_of("b", "y", text, HOUR_MS),
                                      item_of("c", "z", text, HOUR_MS), item_of("d", "w", text, HOUR_MS)};
    struct att_err err;
    bool removed = false;
    put(news, &items[0]);
    put(news, &items[1]);
    uint64_t changes = store_news_changes(news);
    assert_int_equal(store_news_remove(news, "a", &removed, &err), ATT_OK);
    assert_int_equal(store_news_remove(theirs, "b", &removed, &err), ATT_OK);
    assert_true(store_news_changes(news) != changes);
    struct store_news_result third = put(news, &items[2]);
    assert_int_equal(third.cluster, third.seq);
    assert_true(third.novelty == 1.0);
    assert_int_equal(put(news, &items[3]).cluster, third.seq);
    store_news_close(theirs);
    store_news_close(news);
}

static void test_a_cluster_outlives_its_first(void **state)
{
    (void)state;
    static const char text[] = "Oil falls as stocks of crude rise more than expected in the week to Friday";
    struct store_news *news = opened();
    struct store_news_result results[3];
    struct store_news_item items[] = {item_of("a", "x", text, HOUR_MS), item_of("b", "y", text, 3 * HOUR_MS),
                                      item_of("c", "z", text, 2 * HOUR_MS), item_of("d", "w", text, 4 * HOUR_MS)};
    struct att_err err;
    size_t expired = 0;
    bool removed = false;
    assert_int_equal(store_news_put(news, items, 3, results, &err), ATT_OK);
    assert_int_equal(store_news_remove(news, "a", &removed, &err), ATT_OK);
    assert_string_equal(scan(news, (struct store_news_filter){.first_of_cluster = true}), "b");
    assert_string_equal(scan(news, (struct store_news_filter){.cluster = results[1].seq}), "c b");
    struct store_news_result last = put(news, &items[3]);
    assert_int_equal(last.cluster, results[1].seq);
    assert_int_equal(last.first_seen_ms, items[1].received_ms);
    /* Age takes a first as well: b is the second that was received. */
    assert_int_equal(store_news_expire(news, 4 * HOUR_MS, 2, &expired, &err), ATT_OK);
    assert_int_equal(expired, 2);
    assert_string_equal(scan(news, (struct store_news_filter){.first_of_cluster = true}), "d");
    store_news_close(news);
}

static void test_what_is_rewritten_leaves_its_cluster(void **state)
{
    (void)state;
    static const char recall[] = "Carmaker recalls two million vehicles over a faulty airbag inflator";
    static const char snow[] = "Heavy snow closes mountain passes and two airports in the north of Norway";
    struct store_news *news = opened(), *theirs = opened();
    struct store_news_result results[3];
    struct store_news_item items[] = {item_of("t1", "x", recall, HOUR_MS), item_of("t2", "y", recall, HOUR_MS),
                                      item_of("t3", "z", recall, HOUR_MS), item_of("n1", "x", snow, HOUR_MS),
                                      item_of("t4", "w", recall, HOUR_MS), item_of("n2", "w", snow, HOUR_MS)};
    struct att_err err;
    assert_int_equal(store_news_put(news, items, 3, results, &err), ATT_OK);
    struct store_news_item other = item_of("o", "theirs", "A word about another matter, so that they have read.", 0);
    put(theirs, &other);
    /* Corrected: it stays the first of those that say the same. */
    items[0].url = "https://example.com/corrected";
    assert_int_equal(put(news, &items[0]).cluster, results[0].seq);
    assert_string_equal(scan(news, (struct store_news_filter){.cluster = results[0].seq}), "t1 t2 t3");
    /* Rewritten about something else. */
    items[0].text = snow;
    struct store_news_result rewritten = put(news, &items[0]);
    assert_int_equal(rewritten.cluster, results[0].seq);
    assert_true(rewritten.novelty > 0.9);
    assert_int_equal(rewritten.first_seen_ms, items[0].received_ms);
    assert_string_equal(scan(news, (struct store_news_filter){.cluster = results[0].seq}), "t1");
    assert_string_equal(scan(news, (struct store_news_filter){.cluster = results[1].seq}), "t2 t3");
    assert_string_equal(scan(news, (struct store_news_filter){.first_of_cluster = true}), "o t1 t2");
    /* Neither its old text nor its old number draws what says the same as the others, here or in another process. */
    assert_int_equal(put(news, &items[3]).cluster, results[0].seq);
    assert_int_equal(put(theirs, &items[4]).cluster, results[1].seq);
    store_news_close(theirs);
    store_news_close(news);
    news = opened();
    assert_int_equal(put(news, &items[5]).cluster, results[0].seq);
    /* What joins another cluster leaves its own as well. */
    items[1].text = snow;
    assert_int_equal(put(news, &items[1]).cluster, results[0].seq);
    assert_string_equal(scan(news, (struct store_news_filter){.cluster = results[2].seq}), "t3 t4");
    store_news_close(news);
}

/* A rewrite that fails moves nobody. */
static void test_a_failed_rewrite_moves_nobody(void **state)
{
    (void)state;
    static const char recall[] = "Carmaker recalls two million vehicles over a faulty airbag inflator";
    struct store_news *news = opened();
    struct store_news_item items[] = {item_of("t1", "x", recall, HOUR_MS), item_of("t2", "y", recall, HOUR_MS),
                                      item_of("t3", "z", recall, HOUR_MS)};
    struct store_news_result results[2];
    struct att_err err;
    bool done = false;
    int64_t first = put(news, &items[0]).seq, second = put(news, &items[1]).seq;
    items[0].text = "Heavy snow closes mountain passes and two airports in the north of Norway";
    const struct store_news_item batch[] = {items[0], items[2]};
    for (uint64_t k = 1; !done && k < 200; k++) {
        att_mem_fail_at(k, false);
        done = store_news_put(news, batch, 2, results, &err) == ATT_OK;
        att_mem_fail_at(0, false);
        if (!done)
            assert_string_equal(scan(news, (struct store_news_filter){.cluster = first}), "t1 t2");
    }
    assert_true(done);
    assert_int_equal(results[0].cluster, first);
    assert_int_equal(results[1].cluster, second);
    store_news_close(news);
}

/* One wrong date ages nothing: neither what is in memory, nor what is read when the file is opened again. */
static void test_an_item_of_the_future_ages_no_other(void **state)
{
    (void)state;
    enum { ITEMS = 300 }; /* enough for the index to let old ones go */
    static const char text[] = "Oil falls as stocks of crude rise more than expected in the week to Friday";
    struct store_news *news = opened();
    struct store_news_item first = item_of("first", "wire", text, HOUR_MS);
    struct store_news_item future =
        item_of("future", "blog", "A date that nobody has checked, as it seems.", 100000 * (int64_t)HOUR_MS);
    future.received_ms = 2 * HOUR_MS;
    int64_t cluster = put(news, &first).cluster;
    for (int i = 0; i < ITEMS; i++) {
        char id[16], other[64];
        snprintf(id, sizeof id, "n%d", i);
        snprintf(other, sizeof other, "Text number %d of another kind %d.", i, i * 7919);
        struct store_news_item item = item_of(id, "wire", other, HOUR_MS);
        put(news, &item);
    }
    put(news, &future);
    struct store_news_item second = item_of("second", "paper", text, 2 * HOUR_MS);
    assert_int_equal(put(news, &second).cluster, cluster);
    store_news_close(news);
    news = opened();
    struct store_news_item third = item_of("third", "web", text, 3 * HOUR_MS);
    assert_int_equal(put(news, &third).cluster, cluster);
    store_news_close(news);
}

static void test_filters_and_order(void **state)
{
    (void)state;
    struct store_news *news = opened();
    struct store_news_item items[] = {
        item_of("late", "wire", "Alpha beta gamma delta epsilon.", 9000),
        item_of("early", "blog", "Zinc copper nickel and tin are up.", 1000),
        item_of("middle", "wire", "Something quite different happened.", 5000),
    };
    struct store_news_result results[3];
    struct att_err err;
    items[0].noise = 0.9;
    items[1].polarity = -0.5;
    items[1].sentiment = "negative";
    items[2].importance = 0.8;
    assert_int_equal(store_news_put(news, items, 3, results, &err), ATT_OK);
    assert_string_equal(scan(news, (struct store_news_filter){0}), "early middle late");
    assert_string_equal(scan(news, (struct store_news_filter){.newest_first = true, .limit = 2}), "late middle");
    assert_string_equal(scan(news, (struct store_news_filter){.by_seq = true, .skip = 1}), "early middle");
    assert_string_equal(scan(news, (struct store_news_filter){.from_ms = 1000, .to_ms = 9000}), "early middle");
    assert_string_equal(scan(news, (struct store_news_filter){.source = "wire"}), "middle late");
    assert_string_equal(scan(news, (struct store_news_filter){.after_seq = results[1].seq}), "middle");
    assert_string_equal(scan(news, (struct store_news_filter){.sentiment = "negative"}), "early");
    assert_string_equal(scan(news, (struct store_news_filter){.has_noise_max = true, .noise_max = 0.5}),
                        "early middle");
    assert_string_equal(scan(news, (struct store_news_filter){.has_importance_min = true, .importance_min = 0.5}),
                        "middle");
    assert_string_equal(scan(news, (struct store_news_filter){.has_polarity_max = true, .polarity_max = -0.1}),
                        "early");
    assert_string_equal(scan(news, (struct store_news_filter){.lang = "zh"}), "");
    store_news_close(news);
}

static void test_retention(void **state)
{
    (void)state;
    static const char *const entities[] = {"acme"};
    struct store_news *news = opened();
    struct store_news_alert alert = {.time_ms = 1000, .level = "red", .kind = "heat", .json = "{}"};
    struct store_news_counts counts;
    struct att_err err;
    size_t removed = 0;
    bool gone = false;
    int64_t seq = 0;
    for (int i = 0; i < 6; i++) {
        char id[8], text[64];
        snprintf(id, sizeof id, "n%d", i);
        snprintf(text, sizeof text, "Text number %d of another kind %d.", i, i * 7919);
        struct store_news_item item = item_of(id, "wire", text, i * 1000);
        item.entity_ids = entities;
        item.n_entity_ids = 1;
        put(news, &item);
    }
    assert_int_equal(store_news_alerts_put(news, &alert, 1, &seq, &err), ATT_OK);
    assert_int_equal(store_news_expire(news, 4000, 2, &removed, &err), ATT_OK);
    assert_int_equal(removed, 3); /* two items, bounded, and the alert */
    assert_int_equal(store_news_expire(news, 4000, 100, &removed, &err), ATT_OK);
    assert_int_equal(removed, 1);
    assert_string_equal(scan(news, (struct store_news_filter){.entity = "acme"}), "n3 n4 n5");
    assert_int_equal(store_news_remove(news, "n4", &gone, &err), ATT_OK);
    assert_true(gone);
    assert_int_equal(store_news_remove(news, "n4", &gone, &err), ATT_OK);
    assert_false(gone);
    assert_int_equal(store_news_count(news, &counts, &err), ATT_OK);
    assert_int_equal(counts.items, 2);
    assert_int_equal(counts.last_seq, 6);
    assert_int_equal(counts.alerts, 0);
    assert_int_equal(counts.last_alert_seq, seq);
    store_news_close(news);
}

static void test_old_items_go_as_new_ones_come(void **state)
{
    (void)state;
    const struct store_news_options forgetful = {
        .window_ms = 72 * (int64_t)HOUR_MS, .similar_min = 0.6, .retention_ms = 10 * (int64_t)HOUR_MS};
    struct store_news *news = NULL;
    struct att_err err;
    assert_int_equal(store_news_open(path, &forgetful, &news, &err), ATT_OK);
    struct store_news_item old = item_of("old", "wire", "Something that nobody needs any more.", HOUR_MS),
                           older = item_of("older", "wire", "What happened before that, and is over.", 0),
                           new = item_of("new", "wire", "Today's news about another matter.", 20 * (int64_t)HOUR_MS);
    put(news, &old);
    put(news, &older);
    put(news, &new);
    assert_string_equal(scan(news, (struct store_news_filter){0}), "old new"); /* one came, one went */
    store_news_close(news);
}

static bool note_alert(void *context, const struct store_news_alert *alert)
{
    char *text = context;
    size_t len = strlen(text);
    snprintf(text + len, 256 - len, "%lld:%s:%s:%s ", (long long)alert->seq, alert->level, alert->kind, alert->json);
    return true;
}

static void test_alerts_and_values(void **state)
{
    (void)state;
    struct store_news *news = opened();
    const struct store_news_alert alerts[] = {{.time_ms = 1, .level = "red", .kind = "heat", .json = "{\"a\":1}"},
                                              {.time_ms = 2, .level = "blue", .kind = "noise", .json = "{}"}};
    char text[256] = "", *value = NULL;
    int64_t seqs[2];
    struct att_err err;
    assert_int_equal(store_news_alerts_put(news, alerts, 2, seqs, &err), ATT_OK);
    assert_int_equal(store_news_alerts_scan(news, 0, 10, note_alert, text, &err), ATT_OK);
    assert_string_equal(text, "1:red:heat:{\"a\":1} 2:blue:noise:{} ");
    text[0] = '\0';
    assert_int_equal(store_news_alerts_scan(news, seqs[0], 10, note_alert, text, &err), ATT_OK);
    assert_string_equal(text, "2:blue:noise:{} ");
    text[0] = '\0';
    assert_int_equal(store_news_alerts_scan_back(news, INT64_MAX, 10, note_alert, text, &err), ATT_OK);
    assert_string_equal(text, "2:blue:noise:{} 1:red:heat:{\"a\":1} ");
    text[0] = '\0';
    assert_int_equal(store_news_alerts_scan_back(news, seqs[1], 10, note_alert, text, &err), ATT_OK);
    assert_string_equal(text, "1:red:heat:{\"a\":1} ");
    assert_int_equal(store_news_meta_get(news, "hook.cursor", &value, &err), ATT_OK);
    assert_null(value);
    assert_int_equal(store_news_meta_put(news, "hook.cursor", "1", &err), ATT_OK);
    assert_int_equal(store_news_meta_put(news, "hook.cursor", "2", &err), ATT_OK);
    assert_int_equal(store_news_meta_get(news, "hook.cursor", &value, &err), ATT_OK);
    assert_string_equal(value, "2");
    att_mem_free(value);
    store_news_close(news);
}

/* A whole put fails at each of its allocations: nothing of it is stored, and the next one works. */
static void test_out_of_memory(void **state)
{
    (void)state;
    static const char text[] = "Oil falls as stocks of crude rise more than expected in the week to Friday";
    float vector[4] = {1, 0, 0, 0};
    struct store_news *news = opened();
    struct store_news_result results[2];
    struct att_err err;
    bool done = false;
    for (uint64_t k = 1; !done && k < 100; k++) {
        char ids[2][16];
        snprintf(ids[0], sizeof ids[0], "a%d", (int)k);
        snprintf(ids[1], sizeof ids[1], "b%d", (int)k);
        struct store_news_item items[2] = {item_of(ids[0], "x", text, HOUR_MS), item_of(ids[1], "x", text, HOUR_MS)};
        items[0].vector = vector;
        items[0].dimensions = 4;
        att_mem_fail_at(k, false);
        enum att_status status = store_news_put(news, items, 2, results, &err);
        att_mem_fail_at(0, false);
        done = status == ATT_OK;
        if (!done) {
            assert_int_equal(status, ATT_ENOMEM);
            assert_string_equal(scan(news, (struct store_news_filter){0}), "");
        }
    }
    assert_true(done);
    assert_int_equal(results[1].cluster, results[0].seq);
    store_news_close(news);
}

static void test_foreign_files(void **state)
{
    (void)state;
    struct store_news *news = NULL;
    struct att_err err;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("this is no database, whatever its name says; it is long enough to be looked at as one, page by page\n",
          file);
    fclose(file);
    assert_int_equal(store_news_open(path, &options, &news, &err), ATT_EFORMAT);
    assert_non_null(strstr(err.message, path));
}

struct race {
    struct store_news *news;
    atomic_bool stop;
};

static bool count_row(void *context, const struct store_news_item *item)
{
    (void)item;
    (*(size_t *)context)++;
    return true;
}

/* Puts are of ten items: a reader sees a multiple of ten. */
static void *reader_main(void *argument)
{
    struct race *race = argument;
    struct att_err err;
    while (!atomic_load(&race->stop)) {
        size_t rows = 0;
        if (store_news_scan(race->news, &(struct store_news_filter){0}, count_row, &rows, &err) != ATT_OK ||
            rows % 10 != 0)
            return race;
    }
    return NULL;
}

static void test_readers_see_whole_puts(void **state)
{
    (void)state;
    struct race race = {.news = opened()};
    pthread_t threads[6];
    struct att_err err;
    atomic_init(&race.stop, false);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader_main, &race), 0);
    for (int round = 0; round < 20; round++) {
        struct store_news_item items[10];
        struct store_news_result results[10];
        char ids[10][16], texts[10][64];
        for (int i = 0; i < 10; i++) {
            snprintf(ids[i], sizeof ids[i], "%d-%d", round, i);
            snprintf(texts[i], sizeof texts[i], "Item %d says %d and no more.", round, i * 104729);
            items[i] = item_of(ids[i], "wire", texts[i], round);
        }
        assert_int_equal(store_news_put(race.news, items, 10, results, &err), ATT_OK);
    }
    atomic_store(&race.stop, true);
    for (size_t i = 0; i < 6; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    store_news_close(race.news);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_same_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clusters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_process_is_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_removed_counts_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_cluster_outlives_its_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_rewritten_leaves_its_cluster, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_rewrite_moves_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_item_of_the_future_ages_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filters_and_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retention, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_items_go_as_new_ones_come, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alerts_and_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_readers_see_whole_puts, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
