/* Chinese text on a live daemon, through an encoder with a Unigram tokenizer and prompts. Its weights are random: what
 * is asked is that texts arrive as they are, that prompts stand before them, and that scores are those of the vectors.
 */
#include "live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>
#include <unistd.h>

enum { DIMENSIONS = 32 };

static struct live live;

static char folder[] = "/tmp/attend-chinese-XXXXXX"; /* of the knowledge base and the recommender */

static const char titles[] =
    "{\"id\":\"甲\",\"index\":1,\"title\":\"流浪地球\",\"text\":\"流浪地球，太空里的灾难和远行，一部科幻片\"}\n"
    "{\"id\":\"乙\",\"index\":2,\"title\":\"喜剧之王\",\"text\":\"喜剧之王，跑龙套的小人物也有春天，一部喜剧片\"}\n";

static void in_folder(const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", folder, name);
}

/* A recommender whose items have Chinese texts, embedded by `attend items index`. */
static void make_films(const char *root)
{
    char from[512], to[128], items[128], encoder[512], output[256];
    snprintf(from, sizeof from, "%s/tests/data/models/sasrec", root);
    snprintf(encoder, sizeof encoder, "%s/tests/data/models/e5-tiny", root);
    in_folder("films", to);
    live_copy_folder(from, to);
    in_folder("films/golden.jsonl", items);
    unlink(items);
    in_folder("films/items.jsonl", items);
    live_write(items, titles, strlen(titles));
    const char *const arguments[] = {"items", "index", "--model", to, "--encoder", encoder, NULL};
    assert_int_equal(live_attend(arguments, output, sizeof output), 0);
}

static int start(void **state)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    char extra[1024];
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    root = root ? root : ".";
    make_films(root);
    snprintf(extra, sizeof extra,
             "[model e5]\npath = %s/tests/data/models/e5-tiny\n"
             "[model films]\npath = %s/films\nencoder = e5\n"
             "[model wire]\npath = %s/tests/data/models/e5-tiny-topics\n"
             "[kb shop]\npath = %s/shop.db\nmodel = e5\n"
             "[news]\npath = %s/news.db\nmodel = sentiment\nmodel_zh = wire\n"
             "[alert money]\nsubject = topic\nitems_min = 1\nnegative_share_min = 1\n",
             root,
             folder, root, folder, folder);
    live_start(&live, extra);
    return 0;
}

static int stop(void **state)
{
    static const char *const names[] = {"shop.db",           "films/config.json", "films/model.safetensors",
                                        "films/items.jsonl", "films/items.index", "news.db",
                                        "news.db-wal",       "news.db-shm",       NULL};
    char path[128];
    (void)state;
    live_stop(&live);
    for (size_t i = 0; names[i]; i++) {
        in_folder(names[i], path);
        unlink(path);
    }
    in_folder("films", path);
    rmdir(path);
    return rmdir(folder);
}

static struct att_json *ok(const char *method, const char *path, const char *body)
{
    return expect_json(live_ask(&live, method, path, body, NULL), 200);
}

/* The vector of the one text in a body of /v1/embeddings; `members` begins with a comma, or is empty. */
static void embed(const char *text, const char *members, double vector[DIMENSIONS])
{
    char body[512];
    snprintf(body, sizeof body, "{\"model\":\"e5\",\"input\":\"%s\"%s}", text, members);
    struct att_json *json = ok("POST", "/v1/embeddings", body);
    const struct att_json *values = att_json_get(att_json_at(att_json_get(json, "data"), 0), "embedding");
    assert_int_equal(att_json_count(values), DIMENSIONS);
    for (size_t i = 0; i < DIMENSIONS; i++)
        vector[i] = att_json_number(att_json_at(values, i), NAN);
    att_json_destroy(json);
}

static double cosine(const double *a, const double *b)
{
    double sum = 0;
    for (size_t i = 0; i < DIMENSIONS; i++)
        sum += a[i] * b[i];
    return sum;
}

static void tokens_have_places_in_bytes(void **state)
{
    static const char *const texts[] = {"退货 怎么退", "ＡＢＣ", "订单😀"};
    (void)state;
    for (size_t c = 0; c < sizeof texts / sizeof *texts; c++) {
        char body[128];
        snprintf(body, sizeof body, "{\"model\":\"e5\",\"input\":\"%s\"}", texts[c]);
        struct att_json *json = ok("POST", "/v1/tokenize", body);
        const struct att_json *offsets = att_json_get(att_json_at(att_json_get(json, "data"), 0), "offsets");
        size_t n = att_json_count(offsets), last = 0, len = strlen(texts[c]);
        assert_true(n > 0);
        for (size_t i = 0; i < n; i++) {
            double start = att_json_number(att_json_at(att_json_at(offsets, i), 0), -1);
            double end = att_json_number(att_json_at(att_json_at(offsets, i), 1), -1);
            assert_true(start >= 0 && start <= end && end <= (double)len);
            /* Never within a character. */
            assert_int_not_equal(texts[c][(size_t)start] & 0xc0, 0x80);
            last = (size_t)end > last ? (size_t)end : last;
        }
        assert_int_equal(last, len);
        att_json_destroy(json);
    }
}

static void full_width_is_read_as_what_it_stands_for(void **state)
{
    double wide[DIMENSIONS], narrow[DIMENSIONS], other[DIMENSIONS];
    (void)state;
    embed("ＶＩＰ　退款（１２３）", "", wide);
    embed("VIP 退款(123)", "", narrow);
    embed("VIP 退货(123)", "", other);
    assert_memory_equal(wide, narrow, sizeof wide);
    assert_memory_not_equal(wide, other, sizeof wide);
}

static void prompts_stand_before_texts(void **state)
{
    double plain[DIMENSIONS], query[DIMENSIONS], passage[DIMENSIONS], document[DIMENSIONS];
    (void)state;
    embed("怎么退货？", "", plain);
    embed("怎么退货？", ",\"prompt_name\":\"query\"", query);
    embed("怎么退货？", ",\"prompt_name\":\"passage\"", passage);
    embed("怎么退货？", ",\"input_type\":\"document\"", document);
    /* The configuration's default is query. */
    assert_memory_equal(plain, query, sizeof plain);
    assert_memory_not_equal(plain, passage, sizeof plain);
    assert_memory_equal(passage, document, sizeof passage);
    expect_error(live_post(&live, "/v1/embeddings", "{\"model\":\"e5\",\"input\":\"a\",\"prompt_name\":\"title\"}"),
                 422, "invalid_value", "prompt_name");
    expect_error(live_post(&live, "/v1/embeddings", "{\"model\":\"e5\",\"input\":\"a\",\"input_type\":\"title\"}"), 422,
                 "invalid_value", "input_type");
    expect_error(live_post(&live, "/v1/embeddings",
                           "{\"model\":\"e5\",\"input\":\"a\",\"input_type\":\"query\",\"prompt_name\":\"query\"}"),
                 422, "invalid_value", "input_type");
}

/* Through TEI's path, and with the prompt written out before a text that goes without. */
static void prompts_are_text(void **state)
{
    double passage[DIMENSIONS];
    (void)state;
    embed("怎么退货？", ",\"prompt_name\":\"passage\"", passage);
    struct att_json *json =
        ok("POST", "/embed", "{\"model\":\"e5\",\"inputs\":\"怎么退货？\",\"prompt_name\":\"passage\"}");
    for (size_t i = 0; i < DIMENSIONS; i++)
        assert_float_equal(att_json_number(att_json_at(att_json_at(json, 0), i), NAN), passage[i], 1e-6);
    att_json_destroy(json);
    json = ok("POST", "/tokenize", "{\"model\":\"e5\",\"inputs\":\"退货\",\"prompt_name\":\"passage\"}");
    struct att_json *whole = ok("POST", "/tokenize", "{\"model\":\"e5\",\"inputs\":\"passage: 退货\"}");
    size_t n = att_json_count(att_json_at(whole, 0));
    assert_int_equal(att_json_count(att_json_at(json, 0)), n);
    for (size_t i = 0; i < n; i++)
        assert_float_equal(att_json_number(att_json_get(att_json_at(att_json_at(json, 0), i), "id"), -1),
                           att_json_number(att_json_get(att_json_at(att_json_at(whole, 0), i), "id"), -2), 0);
    att_json_destroy(whole);
    att_json_destroy(json);
}

/* Windows: each begins with the prompt, and the text's tokens all take part. */
static void long_texts_carry_the_prompt_in_every_window(void **state)
{
    char body[4096];
    size_t at = (size_t)snprintf(body, sizeof body, "{\"model\":\"e5\",\"prompt_name\":\"passage\",\"input\":\"");
    (void)state;
    for (int i = 0; i < 60; i++)
        at += (size_t)snprintf(body + at, sizeof body - at, "退货要付运费吗？");
    snprintf(body + at, sizeof body - at, "\"}");
    struct att_json *json = ok("POST", "/v1/embeddings", body);
    const struct att_json *vector = att_json_get(att_json_at(att_json_get(json, "data"), 0), "embedding");
    double norm = 0;
    for (size_t i = 0; i < DIMENSIONS; i++)
        norm += pow(att_json_number(att_json_at(vector, i), 0), 2);
    assert_float_equal(norm, 1, 1e-4);
    att_json_destroy(json);
}

/* Query and document have prompts of their own, and cosines count from the model's floor, 0.1. */
static void rerank_scores_are_those_of_the_vectors(void **state)
{
    double query[DIMENSIONS], documents[2][DIMENSIONS];
    (void)state;
    embed("怎么退货？", ",\"input_type\":\"query\"", query);
    embed("打开订单，点退货。", ",\"input_type\":\"document\"", documents[0]);
    embed("配送需要三天。", ",\"input_type\":\"document\"", documents[1]);
    struct att_json *json = ok("POST", "/v1/rerank",
                               "{\"model\":\"e5\",\"query\":\"怎么退货？\",\"documents\":"
                               "[\"打开订单，点退货。\",\"配送需要三天。\"]}");
    const struct att_json *results = att_json_get(json, "results");
    assert_int_equal(att_json_count(results), 2);
    for (size_t i = 0; i < 2; i++) {
        const struct att_json *result = att_json_at(results, i);
        size_t index = (size_t)att_json_number(att_json_get(result, "index"), 9);
        assert_true(index < 2);
        double near = (cosine(query, documents[index]) - 0.1) / 0.9;
        assert_float_equal(att_json_number(att_json_get(result, "logit"), 99), 20 * near - 10, 1e-3);
    }
    att_json_destroy(json);
}

static void a_question_finds_its_entry(void **state)
{
    (void)state;
    att_json_destroy(
        ok("PUT", "/v1/kb/shop",
           "{\"entries\":["
           "{\"id\":1,\"lang\":\"zh\",\"question\":\"怎么退货？\",\"alternates\":[\"我想退货\"],"
           "\"answer\":\"打开订单，点退货。\"},"
           "{\"id\":2,\"lang\":\"zh\",\"question\":\"多久能送到？\",\"answer\":\"一般三到五天。\"},"
           "{\"id\":3,\"lang\":\"en\",\"question\":\"How do I return an item?\",\"answer\":\"In My orders.\"}]}"));
    struct att_json *json =
        ok("POST", "/v1/reply", "{\"kb\":\"shop\",\"question\":\"多久能送到？\",\"explain\":\"attention\"}");
    const struct att_json *first = att_json_at(att_json_get(json, "answers"), 0);
    assert_float_equal(att_json_number(att_json_get(first, "id"), 0), 2, 0);
    assert_string_equal(att_json_string(att_json_get(first, "answer"), NULL), "一般三到五天。");
    /* Words of the question alone: the prompt has no place in it. */
    const struct att_json *tokens = att_json_get(att_json_get(json, "explain"), "tokens");
    double total = 0;
    assert_true(att_json_count(tokens) > 0);
    for (size_t i = 0; i < att_json_count(tokens); i++)
        total += att_json_number(att_json_get(att_json_at(tokens, i), "weight"), NAN);
    assert_float_equal(total, 1, 1e-3);
    att_json_destroy(json);
}

static void interests_are_words_of_any_language(void **state)
{
    (void)state;
    struct att_json *json = ok("POST", "/v1/recommend",
                               "{\"model\":\"films\",\"history\":[{\"item\":\"新片\",\"text\":"
                               "\"喜剧之王，跑龙套的小人物也有春天，一部喜剧片\"}],"
                               "\"interest\":\"喜剧之王，跑龙套的小人物也有春天，一部喜剧片\",\"candidates\":[\"甲\","
                               "\"乙\"],\"exclude_seen\":false}");
    const struct att_json *first = att_json_at(att_json_get(json, "items"), 0);
    assert_string_equal(att_json_string(att_json_get(first, "id"), NULL), "乙");
    assert_string_equal(att_json_string(att_json_get(first, "title"), NULL), "喜剧之王");
    assert_string_equal(att_json_string(att_json_get(first, "source"), NULL), "content");
    att_json_destroy(json);
}

/* A head over the encoder, from Chinese examples: it stands on the encoder's weights and reads texts after its prompt.
 */
static void heads_learn_from_chinese_examples(void **state)
{
    static const char *const bodies[] = {"{\"model\":\"mood\",\"input\":\"退货退货退货怎么办\"}",
                                         "{\"model\":\"mood\",\"input\":\"送到送到送到要几天\"}"};
    static const char *const labels[] = {"退货", "配送"};
    (void)state;
    struct reply reply = live_ask(&live, "POST", "/v1/classifiers",
                                  "{\"name\":\"mood\",\"model\":\"e5\",\"examples\":["
                                  "{\"text\":\"退货退货退货怎么办\",\"label\":\"退货\"},"
                                  "{\"text\":\"我想退货退货退货\",\"label\":\"退货\"},"
                                  "{\"text\":\"退货退货退货要运费吗\",\"label\":\"退货\"},"
                                  "{\"text\":\"可以退货退货退货吗\",\"label\":\"退货\"},"
                                  "{\"text\":\"送到送到送到要几天\",\"label\":\"配送\"},"
                                  "{\"text\":\"多久送到送到送到\",\"label\":\"配送\"},"
                                  "{\"text\":\"送到送到送到国外\",\"label\":\"配送\"},"
                                  "{\"text\":\"什么时候送到送到送到\",\"label\":\"配送\"}]}",
                                  NULL);
    if (reply.status != 201)
        fail_msg("%ld %s", reply.status, reply.body ? reply.body : "");
    reply_free(&reply);
    for (size_t i = 0; i < 2; i++) {
        struct att_json *json = ok("POST", "/v1/classify", bodies[i]);
        const struct att_json *item = att_json_at(att_json_get(json, "data"), 0);
        assert_string_equal(att_json_string(att_json_get(item, "label"), NULL), labels[i]);
        att_json_destroy(json);
    }
}

/* Every item gets a topic of the model for Chinese; a report in Chinese calls it so, one in English otherwise, and the
 * label stays what programs ask for. */
static void topics_have_names_in_both_languages(void **state)
{
    static const char *const lines[] = {"Content-Type: application/x-ndjson", NULL};
    static const char news[] =
        "{\"id\":\"d\",\"time\":\"2026-11-20T01:00:00Z\",\"text\":\"公司拟每10股派发现金红利12元\"}\n"
        "{\"id\":\"e\",\"time\":\"2026-11-20T02:00:00Z\",\"text\":\"上半年净亏损扩大到三亿元\"}\n"
        "{\"id\":\"f\",\"time\":\"2026-11-20T03:00:00Z\",\"text\":\"央行维持利率不变\"}\n"
        "{\"id\":\"p\",\"time\":\"2026-11-20T04:00:00Z\",\"text\":\"总经理因个人原因辞职\"}\n";
    static const struct {
        const char *path, *label, *chinese, *english;
    } items[] = {{"/v1/news/d", "dividend", "分红派息", "dividends"},
                 {"/v1/news/e", "earnings", "业绩", "earnings"},
                 {"/v1/news/f", "fed_central_banks", "央行与货币政策", "central banks"},
                 {"/v1/news/p", "personnel_change", "人事变动", "personnel changes"}};
    enum { N = sizeof items / sizeof items[0] };
    (void)state;
    struct reply reply = live_ask(&live, "POST", "/v1/ingest", news, lines);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    for (size_t i = 0; i < N; i++) {
        struct att_json *item = ok("GET", items[i].path, NULL);
        const struct att_json *topics = att_json_get(item, "topics");
        assert_string_equal(att_json_string(att_json_get(item, "model"), NULL), "wire");
        assert_string_equal(att_json_string(att_json_get(att_json_at(topics, 0), "label"), NULL), items[i].label);
        att_json_destroy(item);
    }
    for (size_t chinese = 0; chinese < 2; chinese++)
        for (size_t f = 0; f < 2; f++) {
            char body[160], cell[64];
            snprintf(body, sizeof body,
                     "{\"from\":\"2026-11-20\",\"to\":\"2026-11-21\",\"lang\":\"%s\",\"format\":\"%s\"}",
                     chinese ? "zh" : "en", f ? "html" : "markdown");
            reply = live_post(&live, "/v1/report", body);
            assert_int_equal(reply.status, 200);
            for (size_t i = 0; i < N; i++) {
                snprintf(cell, sizeof cell, f ? "<td>%s</td>" : "| %s | 1 |",
                         chinese ? items[i].chinese : items[i].english);
                if (!strstr(reply.body, cell))
                    fail_msg("no \"%s\" in %s", cell, reply.body);
            }
            reply_free(&reply);
        }
    struct att_json *json = ok("POST", "/v1/report",
                               "{\"from\":\"2026-11-20\",\"to\":\"2026-11-21\",\"lang\":\"zh\","
                               "\"topics\":[\"personnel_change\"]}");
    const struct att_json *row = att_json_at(att_json_get(json, "topics"), 0);
    assert_int_equal(att_json_count(att_json_get(json, "topics")), 1);
    assert_string_equal(att_json_string(att_json_get(row, "id"), NULL), "personnel_change");
    assert_string_equal(att_json_string(att_json_get(row, "name"), NULL), "人事变动");
    att_json_destroy(json);
    json = ok("GET", "/v1/trends?from=2026-11-20&to=2026-11-21&by=topic", NULL);
    assert_int_equal(att_json_count(att_json_get(json, "series")), N);
    att_json_destroy(json);
}

/* The rule of the configuration speaks of the one topic whose items are all bad; a report names it in its language. */
static void alerts_name_their_topic(void **state)
{
    static const char *const lines[] = {"Content-Type: application/x-ndjson", NULL};
    static const char body[] = "{\"window\":\"24h\",\"lang\":\"zh\",\"format\":\"markdown\"}";
    bool found = false;
    (void)state;
    struct reply stored =
        live_ask(&live, "POST", "/v1/ingest", "{\"id\":\"now\",\"text\":\"上半年净亏损扩大到三亿元\"}\n", lines);
    assert_int_equal(stored.status, 200);
    reply_free(&stored);
    for (int tries = 0; tries < 100 && !found; tries++) {
        struct reply reply = live_post(&live, "/v1/report", body);
        assert_int_equal(reply.status, 200);
        found = strstr(reply.body, "主题 业绩 |") != NULL;
        reply_free(&reply);
        if (!found)
            usleep(100000);
    }
    assert_true(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_have_places_in_bytes),
        cmocka_unit_test(full_width_is_read_as_what_it_stands_for),
        cmocka_unit_test(prompts_stand_before_texts),
        cmocka_unit_test(prompts_are_text),
        cmocka_unit_test(long_texts_carry_the_prompt_in_every_window),
        cmocka_unit_test(rerank_scores_are_those_of_the_vectors),
        cmocka_unit_test(a_question_finds_its_entry),
        cmocka_unit_test(interests_are_words_of_any_language),
        cmocka_unit_test(heads_learn_from_chinese_examples),
        cmocka_unit_test(topics_have_names_in_both_languages),
        cmocka_unit_test(alerts_name_their_topic),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
