/*
 * A model that is a Dense module over another one, on a live daemon: its vectors are the layer's of the base's, it
 * holds no copy of the base, it serves a knowledge base, and over other weights than those it was made for it is
 * refused.
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
static char extra[1024];

static int start(void **state)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    char database[64];
    (void)state;
    snprintf(database, sizeof database, "/tmp/attend-dense-%d.db", (int)getpid());
    root = root ? root : ".";
    snprintf(extra, sizeof extra,
             "[model support]\npath = %s/tests/data/models/e5-tiny-dense\n"
             "[model e5]\npath = %s/tests/data/models/e5-tiny\n"
             "[kb shop]\npath = %s\nmodel = support\n",
             root, root, database);
    live_start(&live, extra);
    return 0;
}

static int stop(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char path[80];
    (void)state;
    live_stop(&live);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "/tmp/attend-dense-%d.db%s", (int)getpid(), ends[i]);
        unlink(path);
    }
    return 0;
}

static struct att_json *ok(const char *method, const char *path, const char *body)
{
    return expect_json(live_ask(&live, method, path, body, NULL), 200);
}

/* The last vector of a body's texts. */
static void embed(const char *model, const char *input, double vector[DIMENSIONS])
{
    char body[512];
    snprintf(body, sizeof body, "{\"model\":\"%s\",\"input\":%s}", model, input);
    struct att_json *json = ok("POST", "/v1/embeddings", body);
    const struct att_json *data = att_json_get(json, "data");
    const struct att_json *values = att_json_get(att_json_at(data, att_json_count(data) - 1), "embedding");
    assert_int_equal(att_json_count(values), DIMENSIONS);
    for (size_t i = 0; i < DIMENSIONS; i++)
        vector[i] = att_json_number(att_json_at(values, i), NAN);
    att_json_destroy(json);
}

/* What tests/data/models/make_e5_tiny_dense.py put into the layer. */
static void layer(const double *x, double *y)
{
    double square = 0;
    for (size_t i = 0; i < DIMENSIONS; i++) {
        y[i] = tanh((1 + (double)i / DIMENSIONS) * x[(i + 1) % DIMENSIONS] + ((double)(i % 3) - 1) / 10);
        square += y[i] * y[i];
    }
    for (size_t i = 0; i < DIMENSIONS; i++)
        y[i] /= sqrt(square);
}

static void vectors_are_the_layers(void **state)
{
    static const char *const texts[] = {"[\"怎么退货？\"]", "[\"where is my parcel\"]", "[\"a\"]"};
    (void)state;
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        double base[DIMENSIONS], got[DIMENSIONS], expected[DIMENSIONS];
        embed("e5", texts[t], base);
        embed("support", texts[t], got);
        layer(base, expected);
        for (size_t i = 0; i < DIMENSIONS; i++)
            assert_float_equal(got[i], expected[i], 1e-5);
    }
}

static void company_changes_no_bit(void **state)
{
    double alone[DIMENSIONS], together[DIMENSIONS];
    (void)state;
    embed("support", "[\"多久能送到？\"]", alone);
    embed("support", "[\"a\",\"how long does it take until a parcel is here\",\"怎么退货？\",\"b\",\"多久能送到？\"]",
          together);
    assert_memory_equal(alone, together, sizeof alone);
}

static void the_card_names_the_base(void **state)
{
    (void)state;
    struct att_json *card = ok("GET", "/v1/models/support", NULL), *base = ok("GET", "/v1/models/e5", NULL);
    assert_string_equal(att_json_string(att_json_get(card, "base"), NULL), "e5");
    assert_true(att_json_bool(att_json_get(card, "normalized"), false));
    assert_float_equal(att_json_number(att_json_get(att_json_get(card, "self_test"), "cases_passed"), 0), 3, 0);
    /* The layer alone, packed. */
    assert_true(att_json_number(att_json_get(card, "weight_bytes"), 1e9) < 16384);
    assert_true(att_json_number(att_json_get(base, "weight_bytes"), 0) > 100000);
    att_json_destroy(card);
    att_json_destroy(base);
}

static void it_serves_a_knowledge_base(void **state)
{
    (void)state;
    att_json_destroy(
        ok("PUT", "/v1/kb/shop",
           "{\"entries\":[{\"id\":1,\"lang\":\"zh\",\"question\":\"怎么退货？\",\"answer\":\"打开订单，点退货。\"},"
           "{\"id\":2,\"lang\":\"zh\",\"question\":\"多久能送到？\",\"answer\":\"一般三到五天。\"}]}"));
    struct att_json *json =
        ok("POST", "/v1/reply", "{\"kb\":\"shop\",\"question\":\"多久能送到？\",\"explain\":\"features\"}");
    const struct att_json *first = att_json_at(att_json_get(json, "answers"), 0);
    assert_string_equal(att_json_string(att_json_get(json, "model"), NULL), "support");
    assert_float_equal(att_json_number(att_json_get(first, "id"), 0), 2, 0);
    assert_float_equal(att_json_number(att_json_get(att_json_get(first, "features"), "best"), 0), 1, 1e-5);
    att_json_destroy(json);
}

static void another_base_is_refused(void **state)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    char path[64], text[1024], output[4096];
    (void)state;
    snprintf(path, sizeof path, "/tmp/attend-dense-%d.conf", (int)getpid());
    int len = snprintf(text, sizeof text,
                       "[model support]\npath = %s/tests/data/models/e5-tiny-dense\n"
                       "[model e5]\npath = %s/tests/data/models/st-bert-mean\n",
                       root, root);
    live_write(path, text, (size_t)len);
    assert_int_equal(
        live_run((const char *const[]){"--config", path, "--listen", "127.0.0.1:0", NULL}, output, sizeof output), 1);
    assert_non_null(strstr(output, "base_digest: is of other weights than those of 'e5' are now"));
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_the_layers),  cmocka_unit_test(company_changes_no_bit),
        cmocka_unit_test(the_card_names_the_base), cmocka_unit_test(it_serves_a_knowledge_base),
        cmocka_unit_test(another_base_is_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
