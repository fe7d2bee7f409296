/* Reloading a live daemon: what changed is taken, what is bad is refused and leaves everything as it was, and no
 * request notices. */
#include "live.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { CLIENTS = 4, RELOADS = 20, MANY = 6 };

static const char body[] = "{\"model\":\"mine\",\"input\":\"shares rose after strong profit\"}";
static char folder[] = "/tmp/attentd-reload-XXXXXX";
static char model[64], options[256];

static const char *source_of(const char *name)
{
    static char path[300];

    snprintf(path, sizeof(path), "%.200s/tests/data/models/%.60s", getenv("ATT_SOURCE_ROOT"), name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || getenv("ATT_SOURCE_ROOT") == NULL)
        return 1;
    snprintf(model, sizeof(model), "%s/model", folder);
    snprintf(options, sizeof(options), "admin_socket = %s/admin.sock\n[model mine]\npath = %s\n", folder, model);
    live_copy_folder(source_of("bert-sentiment"), model);
    return 0;
}

static void put(const char *name, const char *bytes, size_t len)
{
    char path[128], new_path[128];

    snprintf(path, sizeof(path), "%s/%s", model, name);
    snprintf(new_path, sizeof(new_path), "%s/%s.new", model, name);
    live_write(new_path, bytes, len);
    assert_int_equal(rename(new_path, path), 0);
}

static char *get(const char *name, size_t *ret_len)
{
    char path[4096], *bytes;
    FILE *in;

    snprintf(path, sizeof(path), "%s/%s", source_of("bert-sentiment"), name);
    in = fopen(path, "r");
    assert_non_null(in);
    bytes = malloc(1 << 22);
    assert_non_null(bytes);
    *ret_len = fread(bytes, 1, 1 << 22, in);
    assert_in_range(*ret_len, 1, (1 << 22) - 1);
    fclose(in);
    return bytes;
}

/* The file as it is in the repository, as a new file. */
static void restore(const char *name)
{
    size_t len;
    char *bytes = get(name, &len);

    put(name, bytes, len);
    free(bytes);
}

static int remove_folder(void **state)
{
    static const char *const names[] = {
        "config.json", "golden.jsonl", "model.safetensors", "tokenizer.json", "vocab.txt", "tokenizer_config.json", ""};
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", model, names[i]);
        (void)remove(path);
    }
    return rmdir(folder);
}

static struct live admin_of(const struct live *live)
{
    struct live admin = *live;

    snprintf(admin.socket, sizeof(admin.socket), "%s/admin.sock", folder);
    return admin;
}

static struct reply reload(const struct live *live)
{
    struct live admin = admin_of(live);

    return live_ask(&admin, "POST", "/v1/models/mine/reload", NULL, NULL);
}

static void hang_up(const struct live *live, const char *event, size_t times)
{
    live_signal(live, SIGHUP);
    live_wait_logged(live, event, times);
}

/* A member of the model's entry in /v1/models, as text of JSON. */
static void expect_entry(const struct live *live, const char *name, const char *words)
{
    struct reply reply = live_ask(live, "GET", "/v1/models", NULL, NULL);
    char id[96];
    const char *at;

    snprintf(id, sizeof(id), "{\"id\":\"%s\"", name);
    at = strstr(reply.body, id);
    assert_non_null(at);
    if (strstr(at, words) == NULL || strstr(at, words) > strchr(at, '}'))
        fail_msg("'%.200s' does not say '%s'", at, words);
    reply_free(&reply);
}

/* The logits of the answer, as they stand in it. */
static char *logits_of(const struct live *live)
{
    struct reply reply = live_post(live, "/v1/classify", body);
    char *begin, *end, *copy;

    if (reply.status != 200)
        fail_msg("status %ld: %s", reply.status, reply.body);
    begin = strstr(reply.body, "\"data\":");
    end = strstr(reply.body, "\"usage\"");
    assert_true(begin != NULL && end > begin);
    copy = strndup(begin, (size_t)(end - begin));
    reply_free(&reply);
    return copy;
}

static void expect_metric(const struct live *live, const char *line)
{
    struct reply reply = live_ask(live, "GET", "/metrics", NULL, NULL);

    if (strstr(reply.body, line) == NULL)
        fail_msg("/metrics does not say '%s'", line);
    reply_free(&reply);
}

static void test_unchanged(void **state)
{
    struct live live;

    (void)state;
    live_start(&live, options);
    hang_up(&live, "event=reloaded", 1);
    expect_entry(&live, "mine", "\"version\":1");
    expect_metric(&live, "attentd_generation 2\n");
    expect_metric(&live, "attentd_config_reloads_total{result=\"ok\"} 1\n");
    live_stop(&live);
}

static void test_new_files(void **state)
{
    char *before, *after;
    struct live live;

    (void)state;
    live_start(&live, options);
    before = logits_of(&live);
    restore("model.safetensors");
    hang_up(&live, "event=reloaded", 1);
    expect_entry(&live, "mine", "\"version\":2");
    expect_entry(&live, "sentiment", "\"version\":1");
    after = logits_of(&live);
    assert_string_equal(before, after);
    free(before);
    free(after);
    live_stop(&live);
}

static void test_by_request(void **state)
{
    struct live live, admin;
    struct reply reply;

    (void)state;
    live_start(&live, options);
    reply = reload(&live);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "\"version\":2"));
    reply_free(&reply);
    expect_entry(&live, "mine", "\"version\":2");
    admin = admin_of(&live);
    expect_error(live_ask(&admin, "POST", "/v1/models/nobody/reload", NULL, NULL), 404, "not_found", NULL);
    expect_error(live_ask(&admin, "POST", "/v1/models/mine/reload", "{\"x\":1}", NULL), 422, NULL, NULL);
    reply = live_ask(&admin, "POST", "/v1/models/mine/reload", "{}", NULL);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    expect_metric(&live, "attentd_model_reloads_total{result=\"ok\"} 2\n");
    live_stop(&live);
}

struct reloading {
    pthread_t thread;
    const struct live *live;
    size_t n_done, n_busy, n_others;
};

static void *reload_often(void *argument)
{
    struct reloading *reloading = argument;

    for (size_t i = 0; i < RELOADS / 2; i++) {
        struct reply reply = reload(reloading->live);

        reloading->n_done += reply.status == 200;
        reloading->n_busy += reply.status == 429;
        reloading->n_others += reply.status != 200 && reply.status != 429;
        reply_free(&reply);
    }
    return NULL;
}

/* Those that wait keep older generations alive; that must not keep the first of them waiting. */
static void test_many_at_once(void **state)
{
    struct reloading all[MANY];
    struct live live;
    struct reply reply;
    size_t n_done = 0;

    (void)state;
    live_start(&live, options);
    for (size_t i = 0; i < MANY; i++) {
        all[i] = (struct reloading){.live = &live};
        assert_int_equal(pthread_create(&all[i].thread, NULL, reload_often, &all[i]), 0);
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(pthread_join(all[i].thread, NULL), 0);
        assert_int_equal(all[i].n_others, 0);
        n_done += all[i].n_done;
    }
    assert_true(n_done >= RELOADS / 2);
    reply = reload(&live);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    live_stop(&live);
}

static void test_bad_model(void **state)
{
    char *before, *after, *bytes;
    struct live live;
    struct reply reply;
    size_t len;

    (void)state;
    live_start(&live, options);
    before = logits_of(&live);
    bytes = get("model.safetensors", &len);
    put("model.safetensors", bytes, len - 5);
    hang_up(&live, "event=reload_failed", 1);
    assert_true(live_logged(&live, "model.safetensors"));
    expect_metric(&live, "attentd_config_last_reload_successful 0\n");
    reply = reload(&live);
    assert_non_null(strstr(reply.body, "model.safetensors"));
    expect_error(reply, 409, "reload_failed", NULL);
    put("config.json", "{", 1);
    hang_up(&live, "event=reload_failed", 3);
    assert_true(live_logged(&live, "config.json"));
    after = logits_of(&live);
    assert_string_equal(before, after);
    expect_entry(&live, "mine", "\"version\":1");
    restore("model.safetensors");
    restore("config.json");
    hang_up(&live, "event=reloaded", 1);
    expect_metric(&live, "attentd_config_last_reload_successful 1\n");
    expect_entry(&live, "mine", "\"version\":2");
    free(bytes);
    free(before);
    free(after);
    live_stop(&live);
}

/* A model whose own examples come out otherwise is not served. */
static void test_self_test(void **state)
{
    struct live live;
    size_t len;
    char *bytes = get("golden.jsonl", &len), *digit;

    (void)state;
    live_start(&live, options);
    digit = strstr(bytes, "logits");
    assert_non_null(digit);
    digit += strcspn(digit, "0123456789");
    *digit = *digit == '7' ? '8' : '7';
    put("golden.jsonl", bytes, len);
    hang_up(&live, "event=reload_failed", 1);
    assert_true(live_logged(&live, "golden.jsonl"));
    free(logits_of(&live));
    restore("golden.jsonl");
    free(bytes);
    live_stop(&live);
}

static void test_configuration(void **state)
{
    char more[1024];
    struct live live;
    struct reply reply;

    (void)state;
    live_start(&live, options);
    snprintf(more, sizeof(more), "%s[limits]\nbody_byts_max = 2K\n", options);
    live_configure(&live, more);
    hang_up(&live, "event=reload_failed", 1);
    assert_true(live_logged(&live, "unknown key 'body_byts_max'"));
    free(logits_of(&live));
    /* A limit, a model less, a model more, and what only a restart changes. */
    snprintf(more, sizeof(more),
             "http_threads = 5\n%senabled = no\n[model more]\npath = %s\n[limits]\ntext_bytes_max = 40\n", options,
             source_of("bert-sentiment"));
    live_configure(&live, more);
    hang_up(&live, "event=reloaded", 1);
    assert_true(live_logged(&live, "event=restart_needed section=server option=http_threads"));
    expect_entry(&live, "mine", "\"status\":\"disabled\"");
    expect_entry(&live, "more", "\"status\":\"serving\"");
    expect_error(live_post(&live, "/v1/classify", body), 404, "not_found", "model");
    reply = live_post(&live, "/v1/classify", "{\"model\":\"more\",\"input\":\"shares rose\"}");
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    expect_error(live_post(&live, "/v1/classify",
                           "{\"model\":\"more\",\"input\":\"shares rose, and rose, and rose, and rose\"}"),
                 413, "limit_exceeded", "input");
    expect_error(reload(&live), 422, "invalid_value", NULL);
    /* What others need cannot be disabled. */
    snprintf(more, sizeof(more), "%s[model encoder]\nenabled = no\n", options);
    live_configure(&live, more);
    hang_up(&live, "event=reload_failed", 2);
    assert_true(live_logged(&live, "is disabled"));
    live_stop(&live);
}

/* What was written stays, and is found by the new generation. */
static void test_knowledge_base(void **state)
{
    static const char entry[] = "{\"question\":\"Where is my parcel?\",\"answer\":\"On its way.\"}";
    struct live live;
    struct reply reply;

    (void)state;
    live_start(&live, options);
    reply = live_ask(&live, "PUT", "/v1/kb/default/entries/7", entry, NULL);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    hang_up(&live, "event=reloaded", 1);
    reply = live_ask(&live, "GET", "/v1/kb/default/entries/7", NULL, NULL);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    reply = live_ask(&live, "PUT", "/v1/kb/default/entries/8", entry, NULL);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    reply = live_post(&live, "/v1/reply", "{\"question\":\"where is my parcel?\",\"top\":2}");
    assert_non_null(strstr(reply.body, "On its way."));
    reply_free(&reply);
    live_stop(&live);
}

/* A request whose header came before the reload is answered as things were then. */
static void test_request_in_flight(void **state)
{
    char more[512], head[256];
    struct live live;
    const char *answer;
    bool closed;
    int fd;

    (void)state;
    live_start(&live, options);
    fd = live_connect(&live);
    snprintf(head, sizeof(head),
             "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
             sizeof(body) - 1);
    live_say(fd, head);
    live_send(fd, body, 10);
    usleep(100000);
    snprintf(more, sizeof(more), "%senabled = no\n", options);
    live_configure(&live, more);
    hang_up(&live, "event=reloaded", 1);
    expect_error(live_post(&live, "/v1/classify", body), 404, "not_found", "model");
    live_send(fd, body + 10, sizeof(body) - 11);
    answer = live_read(fd, 1000, &closed);
    assert_non_null(strstr(answer, "HTTP/1.1 200 "));
    close(fd);
    live_stop(&live);
}

/* ---- under load ---- */

struct client {
    const struct live *live;
    atomic_bool *stop;
    const char *expected;
    size_t n_requests, n_wrong;
};

static void *run_client(void *argument)
{
    struct client *client = argument;

    while (!atomic_load(client->stop)) {
        struct reply reply = live_post(client->live, "/v1/classify", body);

        client->n_requests++;
        client->n_wrong += reply.status != 200 || strstr(reply.body, client->expected) == NULL;
        reply_free(&reply);
    }
    return NULL;
}

static void test_under_load(void **state)
{
    pthread_t threads[CLIENTS];
    struct client clients[CLIENTS];
    atomic_bool stop = false;
    struct live live;
    char *expected, more[1024];

    (void)state;
    /* Without a line for each request: the log is read often. */
    snprintf(more, sizeof(more), "%s[log]\nrequests = no\n", options);
    live_start(&live, more);
    expected = logits_of(&live);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.live = &live, .stop = &stop, .expected = expected};
        assert_int_equal(pthread_create(&threads[i], NULL, run_client, &clients[i]), 0);
    }
    for (size_t i = 0; i < RELOADS; i++) {
        struct reply reply = reload(&live);

        assert_int_equal(reply.status, 200);
        reply_free(&reply);
        hang_up(&live, "event=reloaded", i + 1);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(clients[i].n_wrong, 0);
        assert_true(clients[i].n_requests > 0);
    }
    expect_entry(&live, "mine", "\"version\":21");
    free(expected);
    live_stop(&live);
}

/* SIGTERM while reloads are under way: the one who asked gets an answer, and the exit is clean. */
static void *ask_reload(void *argument)
{
    struct reply reply = reload(argument);
    long status = reply.status;

    reply_free(&reply);
    return (void *)(intptr_t)status;
}

static void test_stop_while_reloading(void **state)
{
    pthread_t thread;
    struct live live;
    void *status;

    (void)state;
    live_start(&live, options);
    assert_int_equal(pthread_create(&thread, NULL, ask_reload, &live), 0);
    usleep(3000);
    live_signal(&live, SIGHUP);
    live_signal(&live, SIGTERM);
    pthread_join(thread, &status);
    assert_true((intptr_t)status == 200 || (intptr_t)status == 503 || (intptr_t)status == 0);
    live_wait(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unchanged),
        cmocka_unit_test(test_new_files),
        cmocka_unit_test(test_by_request),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_bad_model),
        cmocka_unit_test(test_self_test),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_knowledge_base),
        cmocka_unit_test(test_request_in_flight),
        cmocka_unit_test(test_under_load),
        cmocka_unit_test(test_stop_while_reloading),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
