/* Items of a recommender on a live daemon: put, shown, ranked by text at once, filtered, removed, and still so after a
 * restart of the models. */
#include "live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ITEMS = 40 };

static struct live live;
static char folder[64];

static const char *source_root(void)
{
    const char *root = getenv("ATT_SOURCE_ROOT");

    return root != NULL ? root : ".";
}

/* A recommender whose items have texts: the small one of the tests, a table, and its index. */
static void make_model(void)
{
    char source[256], model[128], path[192], encoder[256], output[256];
    FILE *out;

    snprintf(folder, sizeof(folder), "/tmp/attentd-items-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(source, sizeof(source), "%s/tests/data/models/sasrec", source_root());
    snprintf(encoder, sizeof(encoder), "%s/tests/data/models/st-bert-mean", source_root());
    snprintf(model, sizeof(model), "%s/model", folder);
    live_copy_folder(source, model);
    snprintf(path, sizeof(path), "%s/items.jsonl", model);
    out = fopen(path, "w");
    assert_non_null(out);
    for (int i = 1; i <= ITEMS; i++)
        fprintf(out,
                "{\"id\":\"m%d\",\"index\":%d,\"title\":\"Film %d\",\"text\":\"film %d\",\"popularity\":%d,"
                "\"metadata\":{\"genre\":[\"%s\",\"all\"],\"year\":%d}}\n",
                i, i, i, i, 100 - i, i % 2 ? "drama" : "war", 1990 + i % 3);
    assert_int_equal(fclose(out), 0);
    snprintf(path, sizeof(path), "%s/attend.json", model);
    out = fopen(path, "w");
    assert_non_null(out);
    fputs("{\"history\":{\"half_life_days\":7,\"weights\":{\"view\":0}}}", out);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(live_attend((const char *const[]){"items", "index", "--model", model, "--encoder", encoder, NULL},
                                 output, sizeof(output)),
                     0);
}

static const char *extra(void)
{
    static char text[512];

    snprintf(text, sizeof(text), "[model shop]\npath = %s/model\nencoder = encoder\ncatalogue = %s/items.db\n", folder,
             folder);
    return text;
}

static int start(void **state)
{
    (void)state;
    make_model();
    live_start(&live, extra());
    return 0;
}

static int stop(void **state)
{
    static const char *const names[] = {"items.db",           "items.db-wal",
                                        "items.db-shm",       "model/config.json",
                                        "model/golden.jsonl", "model/model.safetensors",
                                        "model/items.jsonl",  "model/items.index",
                                        "model/attend.json",  "model"};
    char path[160];

    (void)state;
    live_stop(&live);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)remove(path);
    }
    return rmdir(folder);
}

static struct reply ask(const char *method, const char *path, const char *body)
{
    return live_ask_quoted(&live, method, path, body);
}

static struct att_json *ok(const char *method, const char *path, const char *body)
{
    return expect_json(ask(method, path, body), 200);
}

static void done(const char *method, const char *path, const char *body)
{
    att_json_destroy(ok(method, path, body));
}

static const char *text(const struct att_json *json, const char *name)
{
    const char *found = att_json_string(att_json_get(json, name), NULL);

    return found != NULL ? found : "";
}

/* The item of an answer, or NULL; *ret_rank counts from 1. */
static const struct att_json *find(const struct att_json *answer, const char *id)
{
    const struct att_json *items = att_json_get(answer, "items");

    for (size_t i = 0; i < att_json_count(items); i++)
        if (strcmp(text(att_json_at(items, i), "id"), id) == 0)
            return att_json_at(items, i);
    return NULL;
}

static double rank_of(const char *body, const char *id)
{
    struct att_json *answer = ok("POST", "/v1/recommend", body);
    const struct att_json *item = find(answer, id);
    double rank = item != NULL ? att_json_number(att_json_get(item, "rank"), 0) : 0;

    att_json_destroy(answer);
    return rank;
}

static void test_new_items_are_ranked_by_text(void **state)
{
    static const char like_shoes[] = "{'model':'shop','interest':'red running shoes','top_k':3}";
    struct att_json *json;

    (void)state;
    assert_true(rank_of(like_shoes, "shoe") == 0);
    json = ok("PUT", "/v1/models/shop/items",
              "{'items':[{'id':'shoe','title':'Runner','text':'red running shoes','metadata':{'genre':'sport'}},"
              "{'id':'hat','title':'a black hat','popularity':500}]}");
    assert_true(att_json_number(att_json_get(json, "written"), 0) == 2);
    assert_true(att_json_number(att_json_get(json, "embedded"), 0) == 2);
    att_json_destroy(json);
    assert_true(rank_of(like_shoes, "shoe") == 1);
    json = ok("POST", "/v1/recommend", like_shoes);
    assert_string_equal(text(find(json, "shoe"), "title"), "Runner");
    assert_string_equal(text(find(json, "shoe"), "source"), "content");
    att_json_destroy(json);
    /* A new item stands in a history by its text, and is no unknown. */
    json = ok("POST", "/v1/recommend", "{'model':'shop','history':[{'item':'shoe','type':'buy'}],'top_k':5}");
    assert_int_equal(att_json_count(att_json_get(json, "unknown")), 0);
    assert_null(find(json, "shoe"));
    assert_string_equal(text(att_json_at(att_json_get(json, "items"), 0), "source"), "content");
    att_json_destroy(json);
    /* The popularity of a new item counts where nothing else is known. */
    assert_true(rank_of("{'model':'shop','top_k':3}", "hat") == 1);
    assert_true(rank_of("{'model':'shop','candidates':['m3','hat'],'history':[{'item':'m1'}]}", "hat") > 0);
}

static void test_one_item(void **state)
{
    struct att_json *json = ok("GET", "/v1/models/shop/items/m7", NULL);

    (void)state;
    assert_string_equal(text(json, "title"), "Film 7");
    assert_true(att_json_bool(att_json_get(json, "in_model"), false));
    assert_true(att_json_bool(att_json_get(json, "available"), false));
    att_json_destroy(json);
    /* What is left out stays the table's. */
    done("PUT", "/v1/models/shop/items/m7", "{'title':'Film seven','metadata':{'genre':'opera'}}");
    json = ok("GET", "/v1/models/shop/items/m7", NULL);
    assert_string_equal(text(json, "title"), "Film seven");
    assert_string_equal(text(json, "text"), "film 7");
    assert_true(att_json_number(att_json_get(json, "popularity"), 0) == 93);
    att_json_destroy(json);
    json = ok("POST", "/v1/recommend", "{'model':'shop','candidates':['m7'],'history':[{'item':'m1'}]}");
    assert_string_equal(text(find(json, "m7"), "title"), "Film seven");
    att_json_destroy(json);
    done("PUT", "/v1/models/shop/items/sku%2F7", "{'title':'Slashed'}");
    json = ok("GET", "/v1/models/shop/items/sku%2F7", NULL);
    assert_string_equal(text(json, "id"), "sku/7");
    att_json_destroy(json);
    done("DELETE", "/v1/models/shop/items/sku%2F7", NULL);
    json = ok("GET", "/v1/models/shop/items?limit=1&after=a", NULL);
    assert_int_equal(att_json_count(att_json_get(json, "items")), 1);
    att_json_destroy(json);
    expect_error(ask("GET", "/v1/models/shop/items/no", NULL), 404, "not_found", "item");
}

static void test_filters(void **state)
{
    struct att_json *json =
        ok("POST", "/v1/recommend",
           "{'model':'shop','history':[{'item':'m1'}],'top_k':100,'filters':{'metadata':{'genre':'war','year':1990}}}");
    const struct att_json *items = att_json_get(json, "items");

    (void)state;
    assert_int_equal(att_json_count(items), 6); /* 6, 12, …, 36 */
    for (size_t i = 0; i < att_json_count(items); i++)
        assert_int_equal(strtol(text(att_json_at(items, i), "id") + 1, NULL, 10) % 6, 0);
    att_json_destroy(json);
    json = ok("POST", "/v1/recommend",
              "{'model':'shop','top_k':100,'filters':{'metadata':{'genre':'opera','year':1992},'logic':'or'}}");
    assert_int_equal(att_json_count(att_json_get(json, "items")), 14); /* 2, 5, …, 38; and the opera */
    assert_non_null(find(json, "m7"));
    att_json_destroy(json);
    expect_error(ask("POST", "/v1/recommend", "{'model':'shop','filters':{'metadata':3}}"), 422, "invalid_value",
                 "filters.metadata");
    expect_error(ask("POST", "/v1/recommend", "{'model':'shop','filters':{'x':3}}"), 422, "invalid_value", "filters.x");
}

static void test_removed_and_unavailable(void **state)
{
    static const char all[] = "{'model':'shop','history':[{'item':'m1'}],'top_k':100}";
    static const char told[] = "{'model':'shop','candidates':['m10',{'id':'hat','text':'a black hat'}]}";

    (void)state;
    assert_true(rank_of(all, "m9") > 0);
    done("PUT", "/v1/models/shop/items/m9", "{'available':false}");
    assert_true(rank_of(all, "m9") == 0);
    assert_true(rank_of("{'model':'shop','candidates':['m9','m10'],'history':[{'item':'m1'}]}", "m9") == 0);
    done("PUT", "/v1/models/shop/items/m9", "{'available':true}");
    assert_true(rank_of(all, "m9") > 0);
    done("DELETE", "/v1/models/shop/items/m9", NULL);
    assert_true(rank_of(all, "m9") == 0);
    expect_error(ask("GET", "/v1/models/shop/items/m9", NULL), 404, "not_found", "item");
    expect_error(ask("DELETE", "/v1/models/shop/items/m9", NULL), 404, "not_found", "item");
    assert_true(rank_of(told, "hat") > 0);
    done("DELETE", "/v1/models/shop/items/hat", NULL);
    assert_true(rank_of("{'model':'shop','top_k':100}", "hat") == 0);
    assert_true(rank_of(told, "hat") == 0);
    assert_true(rank_of(told, "m10") > 0);
    /* The file says so to the next generation too. */
    live_configure(&live, extra());
    live_signal(&live, 1); /* SIGHUP */
    live_wait_logged(&live, "event=reloaded", 1);
    assert_true(rank_of(all, "m9") == 0);
    assert_true(rank_of(told, "hat") == 0);
    assert_true(rank_of("{'model':'shop','interest':'red running shoes'}", "shoe") == 1);
    /* An item that comes back is there again. */
    done("PUT", "/v1/models/shop/items/m9", "{}");
    assert_true(rank_of(all, "m9") > 0);
}

/* The line of the answer that begins so, as JSON. */
static struct att_json *line_of(const struct reply *reply, const char *begin)
{
    const char *line = strstr(reply->body, begin), *end = line != NULL ? strchr(line, '\n') : NULL;
    struct att_json *json = NULL;
    struct att_err err;

    if (line == NULL || end == NULL)
        fail_msg("no %s in %.300s", begin, reply->body);
    assert_int_equal(att_json_parse(line, (size_t)(end - line), 0, 8, &json, &err), ATT_OK);
    return json;
}

static long count(const struct att_json *json, const char *name)
{
    return (long)att_json_number(att_json_get(att_json_get(json, "summary"), name), -1);
}

/* Some chunks of lines; the wrong ones among them fail alone. */
static void test_lines(void **state)
{
    enum { LINES = 3000, BYTES = LINES * 160 };
    static const char *const ndjson[] = {"Content-Type: application/x-ndjson", NULL};
    char *lines = malloc(BYTES), path[96];
    size_t len = 0;
    struct reply reply;
    struct att_json *json;

    (void)state;
    assert_non_null(lines);
    for (int i = 1; i <= LINES; i++)
        if (i == 7)
            len += (size_t)snprintf(lines + len, BYTES - len, "{\"id\":\"bulk7\",\"colour\":\"red\"}\n");
        else if (i == 8)
            len += (size_t)snprintf(lines + len, BYTES - len, "{\"id\":\"bulk8\",\n");
        else
            len += (size_t)snprintf(lines + len, BYTES - len,
                                    "{\"id\":\"bulk%d\",%s\"title\":\"Bulk %d\",\"popularity\":%d,"
                                    "\"metadata\":{\"kind\":\"bulk\",\"padding\":\"%040d\"}}\n",
                                    i, i % 1000 == 0 ? "\"text\":\"blue cotton hat\"," : "\"text\":\"\",", i, i, i);
    reply = live_ask(&live, "PUT", "/v1/models/shop/items", lines, ndjson);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "Content-Type"), "application/x-ndjson");
    json = line_of(&reply, "{\"line\":7,");
    assert_string_equal(text(json, "id"), "bulk7");
    assert_string_equal(text(json, "status"), "error");
    assert_string_equal(text(att_json_get(json, "error"), "code"), "invalid_value");
    assert_string_equal(text(att_json_get(json, "error"), "param"), "colour");
    att_json_destroy(json);
    json = line_of(&reply, "{\"line\":8,");
    assert_string_equal(text(att_json_get(json, "error"), "code"), "malformed_line");
    att_json_destroy(json);
    json = line_of(&reply, "{\"line\":3000,");
    assert_string_equal(text(json, "status"), "written");
    att_json_destroy(json);
    json = line_of(&reply, "{\"summary\"");
    assert_int_equal(count(json, "lines"), LINES);
    assert_int_equal(count(json, "written"), LINES - 2);
    assert_int_equal(count(json, "embedded"), 3);
    assert_int_equal(count(json, "error"), 2);
    assert_int_equal(count(json, "omitted"), 0);
    att_json_destroy(json);
    reply_free(&reply);
    snprintf(path, sizeof(path), "/v1/models/shop/items/bulk%d", LINES);
    json = ok("GET", path, NULL);
    assert_string_equal(text(json, "title"), "Bulk 3000");
    att_json_destroy(json);
    assert_true(rank_of("{'model':'shop','interest':'blue cotton hat','filters':{'metadata':{'kind':'bulk'}}}",
                        "bulk1000") > 0);
    reply = live_ask(&live, "PUT", "/v1/models/shop/items?results=errors", "{\"id\":\"one\"}\n\n{}", ndjson);
    assert_int_equal(reply.status, 200);
    assert_null(strstr(reply.body, "written\"}"));
    json = line_of(&reply, "{\"line\":3,");
    assert_string_equal(text(att_json_get(json, "error"), "param"), "id");
    att_json_destroy(json);
    reply_free(&reply);
    expect_error(live_ask(&live, "PUT", "/v1/models/no/items", "{}\n", ndjson), 404, "not_found", "model");
    expect_error(live_ask(&live, "PUT", "/v1/models/shop/items?colour=red", "{}\n", ndjson), 422, "invalid_value",
                 "colour");
    expect_error(live_ask(&live, "PUT", "/v1/models/shop/items", "[]", NULL), 400, "malformed_body", NULL);
    free(lines);
}

/* attend.json of this model: a view counts nothing, a week halves. */
static void test_rules_of_the_model(void **state)
{
    struct att_json *card = ok("GET", "/v1/models/shop", NULL), *answer;
    const struct att_json *history = att_json_get(card, "history");

    (void)state;
    assert_float_equal(att_json_number(att_json_get(history, "half_life_days"), 0), 7, 0);
    assert_float_equal(att_json_number(att_json_get(history, "sequence"), 0), 1, 0);
    assert_float_equal(att_json_number(att_json_get(att_json_get(history, "weights"), "view"), 1), 0, 0);
    assert_float_equal(att_json_number(att_json_get(att_json_get(history, "weights"), "buy"), 0), 1, 0);
    att_json_destroy(card);
    answer = ok("POST", "/v1/recommend", "{'model':'shop','history':[{'item':'m1','type':'view'}]}");
    assert_string_equal(text(answer, "fallback"), "popularity");
    att_json_destroy(answer);
    answer = ok("POST", "/v1/recommend", "{'model':'shop','history':[{'item':'m1','type':'click'}]}");
    assert_string_equal(text(answer, "fallback"), "");
    att_json_destroy(answer);
}

/* A word of an interest weighs what the logit loses without it, as the request without it answers. */
static void test_words_of_an_interest(void **state)
{
    static const char *const rest[] = {"running shoes", "red shoes", "red running"};
    static const struct {
        const char *text;
        int start, end;
    } words[] = {{"red", 0, 3}, {"running", 4, 11}, {"shoes", 12, 17}};
    struct att_json *answer = ok("POST", "/v1/recommend",
                                 "{'model':'shop','history':[{'item':'m1','type':'buy'},{'item':'m2','type':'buy'}],"
                                 "'interest':'red running shoes','explain':'occlusion','top_k':4}");
    const struct att_json *items = att_json_get(answer, "items");

    (void)state;
    assert_int_equal(att_json_count(items), 4);
    for (size_t i = 0; i < 4; i++) {
        const struct att_json *item = att_json_at(items, i), *explain = att_json_get(item, "explain");
        const struct att_json *tokens = att_json_get(explain, "tokens");

        assert_int_equal(att_json_count(att_json_get(explain, "events")), 2);
        assert_non_null(att_json_get(explain, "faithfulness"));
        assert_int_equal(att_json_count(tokens), 3);
        for (size_t w = 0; w < 3; w++) {
            const struct att_json *token = att_json_at(tokens, w);
            struct att_json *other;
            char body[256];
            double logit;

            assert_string_equal(text(token, "text"), words[w].text);
            assert_true(att_json_number(att_json_get(token, "start"), -1) == words[w].start);
            assert_true(att_json_number(att_json_get(token, "end"), -1) == words[w].end);
            snprintf(body, sizeof(body),
                     "{'model':'shop','history':[{'item':'m1','type':'buy'},{'item':'m2','type':'buy'}],"
                     "'interest':'%s','candidates':['%s'],'exclude_seen':false}",
                     rest[w], text(item, "id"));
            other = ok("POST", "/v1/recommend", body);
            logit = att_json_number(att_json_get(att_json_at(att_json_get(other, "items"), 0), "logit"), 0);
            assert_true((float)att_json_number(att_json_get(token, "weight"), 0) ==
                        (float)((double)(float)att_json_number(att_json_get(item, "logit"), 0) - (double)(float)logit));
            att_json_destroy(other);
        }
    }
    att_json_destroy(answer);
    /* The only word: nothing is left, which is no interest. */
    answer = ok("POST", "/v1/recommend", "{'model':'shop','interest':'shoes','explain':'occlusion','top_k':1}");
    assert_int_equal(
        att_json_count(att_json_get(att_json_get(att_json_at(att_json_get(answer, "items"), 0), "explain"), "tokens")),
        1);
    att_json_destroy(answer);
}

/* Shares of two events that only their texts tell of; the model halves in 7 days. */
static void expect_shares(const char *first, const char *second, double share)
{
    char body[512];
    struct att_json *answer;
    const struct att_json *weights;

    snprintf(body, sizeof(body),
             "{'model':'shop','history':[{'item':'u1','text':'red shoes',%s},{'item':'u2','text':'film 3',%s}],"
             "'candidates':['m5',{'id':'new','text':'red boots'}]}",
             first, second);
    answer = ok("POST", "/v1/recommend", body);
    weights = att_json_get(answer, "weights");
    assert_float_equal(att_json_number(att_json_get(att_json_at(weights, 0), "weight"), -1), share, 1e-3);
    assert_float_equal(att_json_number(att_json_get(att_json_at(weights, 1), "weight"), -1), 1 - share, 1e-3);
    assert_int_equal(att_json_count(att_json_get(answer, "items")), 2);
    assert_string_equal(text(find(answer, "new"), "source"), "content");
    assert_int_equal(att_json_count(att_json_get(answer, "unknown")), 3);
    att_json_destroy(answer);
}

static void test_weights_of_events(void **state)
{
    (void)state;
    expect_shares("'type':'buy','time':1700000000", "'type':'click','time':1700000000", 1 / 1.6);
    expect_shares("'type':'click','time':1700000000", "'type':'buy','time':1700000000", .6 / 1.6);
    expect_shares("'type':'rate','value':5,'time':1700000000", "'type':'rate','value':3,'time':1700000000", .75);
    expect_shares("'type':'buy','time':1700000000", "'type':'buy','time':1700604800", 1 / 3.);
    expect_shares("'type':'buy','time':1500000000", "'type':'buy','time':1700604800", .05 / 1.05);
}

/* attend items with the catalogue of the daemon's model. */
static void attend_items(const char *verb, const char *items, char *output, size_t size)
{
    char encoder[256], model[128], catalogue[128];

    snprintf(encoder, sizeof(encoder), "%s/tests/data/models/st-bert-mean", source_root());
    snprintf(model, sizeof(model), "%s/model", folder);
    snprintf(catalogue, sizeof(catalogue), "%s/items.db", folder);
    assert_int_equal(
        live_attend_output((const char *const[]){"items", verb, "--model", model, "--encoder", encoder, "--catalogue",
                                                 catalogue, items != NULL ? "--file" : NULL, items, NULL},
                           output, size),
        0);
}

/* What another process imports is served at once; what was put here is exported. */
static void test_imported_beside_the_daemon(void **state)
{
    static const char lines[] = "{\"id\":\"imported\",\"text\":\"a green woollen scarf\"}\n";
    static char output[1 << 20];
    char path[128];

    (void)state;
    assert_true(rank_of("{'model':'shop','interest':'a green woollen scarf'}", "imported") == 0);
    done("PUT", "/v1/models/shop/items/put-here", "{'title':'Put'}");
    snprintf(path, sizeof(path), "%s", live_path(&live, "import.jsonl"));
    live_write(path, lines, sizeof(lines) - 1);
    attend_items("import", path, output, sizeof(output));
    assert_string_equal(output, "1 items written, 1 embedded\n");
    assert_true(rank_of("{'model':'shop','interest':'a green woollen scarf'}", "imported") > 0);
    attend_items("export", NULL, output, sizeof(output));
    assert_non_null(strstr(output, lines));
    assert_non_null(strstr(output, "\n{\"id\":\"put-here\",\"title\":\"Put\"}\n"));
    done("DELETE", "/v1/models/shop/items/imported", NULL);
    done("DELETE", "/v1/models/shop/items/put-here", NULL);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *method, *path, *body, *code, *param;
        long status;
    } cases[] = {
        {"PUT", "/v1/models/shop/items", "{'items':[]}", "invalid_value", "items", 422},
        {"PUT", "/v1/models/shop/items", "{'items':[{'title':'x'}]}", "invalid_value", "items[0].id", 422},
        {"PUT", "/v1/models/shop/items", "{'items':[{'id':'x','metadata':[]}]}", "invalid_value", "items[0].metadata",
         422},
        {"PUT", "/v1/models/shop/items", "{'items':[{'id':'x','popularity':-1}]}", "invalid_value",
         "items[0].popularity", 422},
        {"PUT", "/v1/models/shop/items/x", "{'id':'y'}", "invalid_value", "id", 422},
        {"PUT", "/v1/models/shop/items/x", "{'colour':'y'}", "invalid_value", "colour", 422},
        {"PUT", "/v1/models/sentiment/items/x", "{}", "unsupported", "model", 422},
        {"PUT", "/v1/models/encoder/items/x", "{}", "unsupported", "model", 422},
        {"PUT", "/v1/models/no/items/x", "{}", "not_found", "model", 404},
        {"GET", "/v1/models/shop/items?x=1", NULL, "invalid_value", "x", 422},
        {"GET", "/v1/models/shop/items?limit=0", NULL, "invalid_value", "limit", 422},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_error(ask(cases[i].method, cases[i].path, cases[i].body), cases[i].status, cases[i].code,
                     cases[i].param);
    expect_error(ask("GET", "/v1/models/shop/items/x", NULL), 404, "not_found", "item");
    /* Deeper than it is read. */
    expect_error(ask("PUT", "/v1/models/shop/items/x", "{'metadata':{'a':[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]}}"), 422,
                 "invalid_value", "metadata");
    done("PUT", "/v1/models/shop/items/deep", "{'metadata':{'a':[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]}}");
    struct att_json *json = ok("GET", "/v1/models/shop/items/deep", NULL);
    assert_int_equal(att_json_count(att_json_get(json, "metadata")), 1);
    att_json_destroy(json);
    expect_error(ask("GET", "/v1/models/shop%2F/items/x", NULL), 400, "bad_target", NULL);
    expect_error(ask("GET", "/v1/models/shop%2Fitems", NULL), 400, "bad_target", NULL);
    expect_error(ask("GET", "/v1%2Fmodels", NULL), 400, "bad_target", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_items_are_ranked_by_text),
        cmocka_unit_test(test_one_item),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_removed_and_unavailable),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_rules_of_the_model),
        cmocka_unit_test(test_words_of_an_interest),
        cmocka_unit_test(test_weights_of_events),
        cmocka_unit_test(test_imported_beside_the_daemon),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests_name("http/items", tests, start, stop);
}
