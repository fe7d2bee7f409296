/* Classifiers trained by a live daemon: served at once, listed, kept over a restart, removed. */
#include "live.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "store/folder.h"

static struct live live;

/* Eight texts of two kinds. */
#define EXAMPLES                                                                                                       \
    "[{\"text\":\"card broken\",\"label\":\"card\"},{\"text\":\"card lost\",\"label\":\"card\"},"                      \
    "{\"text\":\"a new card\",\"label\":\"card\"},{\"text\":\"card stolen\",\"label\":\"card\"},"                      \
    "{\"text\":\"money sent\",\"label\":\"transfer\"},{\"text\":\"payment late\",\"label\":\"transfer\"},"             \
    "{\"text\":\"transfer pending\",\"label\":\"transfer\"},{\"text\":\"money missing\",\"label\":\"transfer\"}]"

static int start(void **state)
{
    (void)state;
    live_start(&live, "");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    live_stop(&live);
    return 0;
}

static struct att_json *ask(const char *method, const char *path, const char *body, long status)
{
    return expect_json(live_ask(&live, method, path, body, NULL), status);
}

static struct att_json *train(const char *name, const char *rest)
{
    char body[2048];

    snprintf(body, sizeof(body), "{\"name\":\"%s\",\"model\":\"encoder\",\"examples\":" EXAMPLES "%s}", name, rest);
    return ask("POST", "/v1/classifiers", body, 201);
}

static const char *text(const struct att_json *object, const char *key)
{
    return att_json_string(att_json_get(object, key), NULL);
}

/* The logit of the best label, and the label. */
static double classify(const char *model, const char *input, char label[64])
{
    char body[256];
    struct att_json *json;
    const struct att_json *row;
    double logit;

    snprintf(body, sizeof(body), "{\"model\":\"%s\",\"input\":\"%s\"}", model, input);
    json = ask("POST", "/v1/classify", body, 200);
    row = att_json_at(att_json_get(json, "data"), 0);
    snprintf(label, 64, "%s", text(row, "label"));
    logit = att_json_number(att_json_get(att_json_get(att_json_get(row, "heads"), "default"), "logit"), NAN);
    att_json_destroy(json);
    return logit;
}

static size_t n_classifiers(void)
{
    struct att_json *json = ask("GET", "/v1/classifiers", NULL, 200);
    size_t n = att_json_count(att_json_get(json, "data"));

    att_json_destroy(json);
    return n;
}

static void test_trained_and_served(void **state)
{
    struct att_json *json = train("desk", "");
    const struct att_json *figures = att_json_get(json, "cross_validation");
    const struct att_json *interval = att_json_get(att_json_get(figures, "intervals"), "accuracy");
    double accuracy = att_json_number(att_json_get(figures, "accuracy"), NAN);
    char label[64];

    (void)state;
    assert_int_equal(att_json_count(att_json_get(json, "labels")), 2);
    assert_int_equal(att_json_number(att_json_get(figures, "folds"), 0), 4);
    assert_true(accuracy >= 0 && accuracy <= 1);
    assert_true(att_json_number(att_json_at(interval, 0), NAN) <= accuracy);
    assert_true(att_json_number(att_json_at(interval, 1), NAN) >= accuracy);
    att_json_destroy(json);
    classify("desk", "card broken", label);
    assert_string_equal(label, "card");
    classify("desk", "transfer pending", label);
    assert_string_equal(label, "transfer");
    json = ask("GET", "/v1/classifiers", NULL, 200);
    assert_string_equal(text(att_json_at(att_json_get(json, "data"), 0), "name"), "desk");
    assert_string_equal(text(att_json_at(att_json_get(json, "data"), 0), "model"), "encoder");
    att_json_destroy(json);
    json = ask("GET", "/v1/models/desk", NULL, 200);
    assert_string_equal(text(json, "task"), "classify");
    att_json_destroy(json);
}

static void test_several_labels(void **state)
{
    struct att_json *json = ask(
        "POST", "/v1/classifiers",
        "{\"name\":\"many\",\"multi_label\":true,\"examples\":[{\"text\":\"a\",\"labels\":[\"x\"]},"
        "{\"text\":\"b\",\"labels\":[]},{\"text\":\"c\",\"labels\":[\"x\",\"y\"]},{\"text\":\"d\",\"labels\":[\"y\"]},"
        "{\"text\":\"e\",\"labels\":[\"x\"]},{\"text\":\"f\",\"labels\":[\"y\"]},{\"text\":\"g\",\"labels\":[]},"
        "{\"text\":\"h\",\"labels\":[\"x\",\"y\"]}]}",
        201);
    struct att_json *answer;

    (void)state;
    assert_true(att_json_is_number(att_json_get(att_json_get(json, "cross_validation"), "micro_f1")));
    att_json_destroy(json);
    answer = ask("POST", "/v1/classify", "{\"model\":\"many\",\"input\":\"a\"}", 200);
    json = ask("DELETE", "/v1/classifiers/many", NULL, 200);
    assert_true(att_json_is_array(att_json_get(
        att_json_get(att_json_get(att_json_at(att_json_get(answer, "data"), 0), "heads"), "default"), "labels")));
    att_json_destroy(answer);
    att_json_destroy(json);
}

/* Texts that are none of the labels teach the head how likely a text is one of them at all, and it abstains by both. */
static void test_in_scope(void **state)
{
    struct att_json *json =
        ask("POST", "/v1/classifiers",
            "{\"name\":\"scoped\",\"examples\":[{\"text\":\"card broken\",\"label\":\"card\"},"
            "{\"text\":\"card lost\",\"label\":\"card\"},{\"text\":\"a new card\",\"label\":\"card\"},"
            "{\"text\":\"money sent\",\"label\":\"transfer\"},{\"text\":\"payment late\",\"label\":\"transfer\"},"
            "{\"text\":\"money missing\",\"label\":\"transfer\"},{\"text\":\"who won\",\"label\":null},"
            "{\"text\":\"rain tomorrow\",\"label\":null}]}",
            201);
    const struct att_json *head;
    double threshold = att_json_number(att_json_get(json, "out_of_scope_threshold"), NAN), score, in_scope;

    (void)state;
    assert_true(threshold >= 0 && threshold <= 1);
    att_json_destroy(json);
    json = ask("POST", "/v1/classify", "{\"model\":\"scoped\",\"input\":\"card broken\"}", 200);
    head = att_json_get(att_json_get(att_json_at(att_json_get(json, "data"), 0), "heads"), "default");
    score = att_json_number(att_json_get(att_json_at(att_json_get(head, "scores"), 0), "score"), NAN);
    in_scope = att_json_number(att_json_get(head, "in_scope"), 1); /* there, or by the probability alone */
    assert_true(in_scope >= 0 && in_scope <= 1);
    assert_true(att_json_bool(att_json_get(head, "abstained"), false) == (score * in_scope < threshold));
    att_json_destroy(json);
    json = ask("DELETE", "/v1/classifiers/scoped", NULL, 200);
    att_json_destroy(json);
}

/* Another daemon with the same folder gives the same numbers; a folder that holds no model keeps nobody from serving.
 */
static void test_kept(void **state)
{
    char label[64], from[256], to[256];
    double logit = classify("desk", "card broken", label);
    struct live second;
    struct live first = live;

    (void)state;
    snprintf(from, sizeof(from), "%s", live_path(&live, "classifiers/desk"));
    live_start(&second, "");
    snprintf(to, sizeof(to), "%s", live_path(&second, "classifiers"));
    assert_int_equal(mkdir(to, 0755), 0);
    snprintf(to, sizeof(to), "%s", live_path(&second, "classifiers/desk"));
    live_copy_folder(from, to);
    assert_int_equal(mkdir(live_path(&second, "classifiers/empty"), 0755), 0);
    live_signal(&second, SIGHUP);
    live_wait_logged(&second, "event=reloaded", 1);
    assert_true(live_logged(&second, "event=classifier_left_out name=empty"));
    live = second;
    assert_true(classify("desk", "card broken", label) == logit);
    assert_int_equal(n_classifiers(), 1);
    live = first;
    live_stop(&second);
}

/* The same texts, with both labels the other way round. */
static const char other_way[] =
    "{\"name\":\"turned\",\"model\":\"encoder\",\"replace\":true,\"examples\":["
    "{\"text\":\"card broken\",\"label\":\"transfer\"},{\"text\":\"card lost\",\"label\":\"transfer\"},"
    "{\"text\":\"a new card\",\"label\":\"transfer\"},{\"text\":\"card stolen\",\"label\":\"transfer\"},"
    "{\"text\":\"money sent\",\"label\":\"card\"},{\"text\":\"payment late\",\"label\":\"card\"},"
    "{\"text\":\"transfer pending\",\"label\":\"card\"},{\"text\":\"money missing\",\"label\":\"card\"}]}";

static bool is_there(const char *name)
{
    return access(live_path(&live, name), F_OK) == 0;
}

static void test_replaced(void **state)
{
    struct att_json *json = train("turned", ",\"replace\":true"); /* nothing is there to replace */
    char label[64];

    (void)state;
    assert_false(att_json_bool(att_json_get(json, "replaced"), true));
    att_json_destroy(json);
    classify("turned", "card broken", label);
    assert_string_equal(label, "card");
    json = ask("POST", "/v1/classifiers", other_way, 201);
    assert_true(att_json_bool(att_json_get(json, "replaced"), false));
    att_json_destroy(json);
    classify("turned", "card broken", label);
    assert_string_equal(label, "transfer");
    json = ask("GET", "/v1/models/turned", NULL, 200);
    assert_int_equal(att_json_number(att_json_get(json, "version"), 0), 2);
    att_json_destroy(json);
    assert_false(is_there("classifiers/.part-turned"));
}

static void make_folders(size_t n, bool are_there)
{
    char name[64];

    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "classifiers/more-%zu", i);
        assert_int_equal(are_there ? mkdir(live_path(&live, name), 0755) : rmdir(live_path(&live, name)), 0);
    }
}

/* One replacement fails when its folder is written, one when it is to be served: what was there serves on, and is what
 * the next start finds. */
static void test_replaced_in_vain(void **state)
{
    char label[64];
    double logit = classify("turned", "card broken", label);
    struct reply reply;

    (void)state;
    assert_int_equal(mkdir(live_path(&live, "classifiers/.part-turned"), 0755), 0);
    assert_int_equal(mkdir(live_path(&live, "classifiers/.part-turned/in-the-way"), 0755), 0);
    reply = live_post(&live, "/v1/classifiers", other_way);
    assert_true(reply.status >= 500);
    reply_free(&reply);
    assert_true(classify("turned", "card broken", label) == logit);
    assert_int_equal(rmdir(live_path(&live, "classifiers/.part-turned/in-the-way")), 0);
    make_folders(STORE_FOLDERS_MAX, true);
    reply = live_post(&live, "/v1/classifiers", other_way);
    assert_true(reply.status >= 400);
    assert_null(strstr(reply.body, live.folder));
    reply_free(&reply);
    assert_true(classify("turned", "card broken", label) == logit);
    /* Nor does it go, where what is left could not be served. */
    reply = live_ask(&live, "DELETE", "/v1/classifiers/turned", NULL, NULL);
    assert_null(strstr(reply.body, live.folder));
    expect_error(reply, 409, "reload_failed", NULL);
    assert_true(classify("turned", "card broken", label) == logit);
    make_folders(STORE_FOLDERS_MAX, false);
    assert_false(is_there("classifiers/.part-turned"));
    live_crash(&live, "");
    assert_true(classify("turned", "card broken", label) == logit);
}

/* One more than is served is refused before anything is trained, in words for whoever sent it. */
static void test_too_many(void **state)
{
    static const char full[] = "{\"name\":\"one-more\",\"model\":\"encoder\",\"examples\":" EXAMPLES "}";
    size_t n = STORE_FOLDERS_MAX - n_classifiers();
    struct reply reply;

    (void)state;
    make_folders(n, true);
    reply = live_post(&live, "/v1/classifiers", full);
    assert_null(strstr(reply.body, live.folder));
    assert_non_null(strstr(reply.body, "64 classifiers"));
    expect_error(reply, 413, "limit_exceeded", "name");
    assert_false(is_there("classifiers/.part-one-more"));
    assert_false(live_logged(&live, "more than 64"));
    make_folders(n, false);
}

static void test_removed(void **state)
{
    struct att_json *json = ask("DELETE", "/v1/classifiers/desk", NULL, 200);

    (void)state;
    att_json_destroy(json);
    expect_error(live_post(&live, "/v1/classify", "{\"model\":\"desk\",\"input\":\"a\"}"), 404, "not_found", "model");
    expect_error(live_ask(&live, "DELETE", "/v1/classifiers/desk", NULL, NULL), 404, "not_found", "name");
    expect_error(live_ask(&live, "DELETE", "/v1/classifiers/.kb", NULL, NULL), 422, "invalid_value", "name");
    assert_int_equal(n_classifiers(), 0);
    json = train("desk", ",\"precision\":0.9"); /* the name is free again */
    att_json_destroy(json);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *body;
        long status;
        const char *code, *param;
    } rows[] = {
        {"{\"name\":\"x\"}", 422, "invalid_value", "examples"},
        {"{\"name\":\"x\",\"examples\":[]}", 422, "invalid_value", "examples"},
        {"{\"examples\":" EXAMPLES "}", 422, "invalid_value", "name"},
        {"{\"name\":\"a/b\",\"examples\":" EXAMPLES "}", 422, "invalid_value", "name"},
        {"{\"name\":\"desk\",\"examples\":" EXAMPLES "}", 422, "invalid_value", "name"},
        {"{\"name\":\"encoder\",\"examples\":" EXAMPLES "}", 422, "invalid_value", "name"},
        {"{\"name\":\"x\",\"model\":\"none\",\"examples\":" EXAMPLES "}", 404, "not_found", "model"},
        {"{\"name\":\"x\",\"model\":\"desk\",\"examples\":" EXAMPLES "}", 422, "invalid_value", "model"},
        {"{\"name\":\"x\",\"precision\":2,\"examples\":" EXAMPLES "}", 422, "invalid_value", "precision"},
        {"{\"name\":\"x\",\"multi_label\":true,\"examples\":" EXAMPLES "}", 422, "invalid_value", "examples[0].label"},
        {"{\"name\":\"x\",\"examples\":[1,2,3,4,5,6,7,8]}", 422, "invalid_value", "examples[0]"},
        {"{\"name\":\"x\",\"examples\":[{\"text\":\"a\",\"label\":\"b\"},{\"text\":\"a\",\"label\":\"c\"},{},{},{},{},{"
         "},"
         "{}]}",
         422, "invalid_value", "examples[2].text"},
        {"{\"name\":\"encoder\",\"replace\":true,\"examples\":" EXAMPLES "}", 422, "invalid_value", "name"},
        {"{\"name\":\"desk\",\"replace\":false,\"examples\":" EXAMPLES "}", 422, "invalid_value", "name"},
        {"{\"name\":\"desk\",\"replace\":1,\"examples\":" EXAMPLES "}", 422, "invalid_value", "replace"},
        {"{\"name\":\"x\",\"folds\":3,\"examples\":" EXAMPLES "}", 422, "invalid_value", "folds"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_error(live_post(&live, "/v1/classifiers", rows[i].body), rows[i].status, rows[i].code, rows[i].param);
    assert_int_equal(n_classifiers(), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trained_and_served),
        cmocka_unit_test(test_several_labels),
        cmocka_unit_test(test_in_scope),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_removed),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_replaced_in_vain),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests_name("classifiers", tests, start, stop);
}
