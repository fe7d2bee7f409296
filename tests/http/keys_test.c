/* API keys on a live daemon: who is let in, what each scope opens, limits, rotation, the admin socket, and that no key
 * gets into the log. */
#include "live.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/attend.h"

static const char body[] = "{\"model\":\"sentiment\",\"input\":\"shares rose\"}";
static char folder[] = "/tmp/attentd-keys-XXXXXX";
static char file[64], admin_socket[64], options[256];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(file, sizeof(file), "%s/keys", folder);
    snprintf(admin_socket, sizeof(admin_socket), "%s/admin.sock", folder);
    snprintf(options, sizeof(options), "api_keys = %s\nadmin_socket = %s\n", file, admin_socket);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file);
    unlink(admin_socket);
    return rmdir(folder);
}

/* One line of a key file for a key in clear. */
static const char *line_of(const char *name, const char *key, const char *rest)
{
    static char lines[4][256];
    static int turn;
    char digest[65];

    att_digest(key, strlen(key), digest);
    assert_int_equal(strlen(digest), 64);
    turn = (turn + 1) % 4;
    snprintf(lines[turn], sizeof(lines[turn]), "%s %s %s\n", name, digest, rest);
    return lines[turn];
}

static void write_keys(const char *a, const char *b, const char *c)
{
    char text[1024];

    snprintf(text, sizeof(text), "# keys of a test\n\n%s%s%s", a, b, c);
    live_write(file, text, strlen(text));
}

static struct reply ask(const struct live *live, const char *method, const char *path, const char *with,
                        const char *header)
{
    return live_ask(live, method, path, with, (const char *const[]){header, NULL});
}

static void expect_status(struct reply reply, long status)
{
    if (reply.status != status)
        fail_msg("status %ld, expected %ld: %s", reply.status, status, reply.body);
    reply_free(&reply);
}

static void write_usual_keys(void)
{
    write_keys(line_of("shop", "canary-infer", "infer"), line_of("editor", "canary-write", "write"),
               line_of("ops", "canary-admin", "admin"));
}

static void test_who_is_let_in(void **state)
{
    struct live live;
    struct reply reply;

    (void)state;
    write_usual_keys();
    live_start(&live, options);
    reply = ask(&live, "POST", "/v1/classify", body, NULL);
    assert_non_null(strstr(reply_header(&reply, "WWW-Authenticate"), "Bearer"));
    expect_error(reply, 401, "missing_api_key", NULL);
    expect_error(ask(&live, "POST", "/v1/classify", body, "Authorization: Basic Y2FuYXJ5"), 401, "missing_api_key",
                 NULL);
    expect_error(ask(&live, "POST", "/v1/classify", body, "Authorization: Bearer canary-infe"), 401, "invalid_api_key",
                 NULL);
    expect_error(ask(&live, "POST", "/v1/classify", body, "Authorization: Bearer canary-infer2"), 401,
                 "invalid_api_key", NULL);
    expect_error(ask(&live, "POST", "/v1/classify", body, "X-API-Key: canary-nobody"), 401, "invalid_api_key", NULL);
    expect_status(ask(&live, "POST", "/v1/classify", body, "Authorization: Bearer canary-infer"), 200);
    expect_status(ask(&live, "POST", "/v1/classify", body, "Authorization: bearer canary-infer"), 200);
    expect_status(ask(&live, "POST", "/v1/classify", body, "X-API-Key: canary-infer"), 200);
    expect_error(ask(&live, "GET", "/v1/models", NULL, NULL), 401, "missing_api_key", NULL);
    expect_error(ask(&live, "GET", "/metrics", NULL, NULL), 401, "missing_api_key", NULL);
    expect_status(ask(&live, "GET", "/healthz", NULL, NULL), 200);
    expect_status(ask(&live, "GET", "/readyz", NULL, NULL), 200);
    assert_true(live_logged(&live, "key=shop"));
    assert_false(live_logged(&live, "canary"));
    live_stop(&live);
}

static void test_scopes(void **state)
{
    static const char entry[] = "{\"question\":\"Where is my parcel?\",\"answer\":\"On its way.\"}";
    static const char infer[] = "Authorization: Bearer canary-infer", editor[] = "Authorization: Bearer canary-write",
                      ops[] = "Authorization: Bearer canary-admin";
    struct live live, local;

    (void)state;
    write_usual_keys();
    live_start(&live, options);
    expect_error(ask(&live, "PUT", "/v1/kb/default/entries/7", entry, infer), 403, "insufficient_scope", NULL);
    expect_error(ask(&live, "DELETE", "/v1/kb/default/entries/7", NULL, infer), 403, "insufficient_scope", NULL);
    expect_status(ask(&live, "PUT", "/v1/kb/default/entries/7", entry, editor), 200);
    expect_status(ask(&live, "GET", "/v1/kb/default/entries/7", NULL, infer), 200);
    expect_error(ask(&live, "POST", "/v1/classify", body, editor), 403, "insufficient_scope", NULL);
    expect_error(ask(&live, "POST", "/v1/models/sentiment/reload", NULL, editor), 403, "insufficient_scope", NULL);
    expect_error(ask(&live, "POST", "/v1/models/sentiment/reload", NULL, infer), 403, "insufficient_scope", NULL);
    expect_status(ask(&live, "POST", "/v1/models/sentiment/reload", NULL, ops), 200);
    expect_status(ask(&live, "POST", "/v1/classify", body, ops), 200);
    expect_status(ask(&live, "GET", "/metrics", NULL, editor), 200);
    /* The admin socket needs no key. */
    local = live;
    snprintf(local.socket, sizeof(local.socket), "%s", admin_socket);
    expect_status(ask(&local, "POST", "/v1/models/sentiment/reload", NULL, NULL), 200);
    expect_status(ask(&local, "POST", "/v1/classify", body, NULL), 200);
    live_stop(&live);
    assert_int_equal(access(admin_socket, F_OK), -1);
}

static void test_admin_is_closed_without_keys(void **state)
{
    struct stat facts;
    struct live live;

    (void)state;
    snprintf(options, sizeof(options), "admin_socket = %s\n", admin_socket);
    live_start(&live, options);
    expect_error(ask(&live, "POST", "/v1/models/sentiment/reload", NULL, NULL), 403, "insufficient_scope", NULL);
    expect_status(ask(&live, "POST", "/v1/classify", body, NULL), 200);
    assert_int_equal(stat(admin_socket, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    live_stop(&live);
    snprintf(options, sizeof(options), "api_keys = %s\nadmin_socket = %s\n", file, admin_socket);
}

static void test_limits(void **state)
{
    static const char slow[] = "Authorization: Bearer canary-slow", wordy[] = "Authorization: Bearer canary-wordy";
    struct live live;
    struct reply reply;

    (void)state;
    write_keys(line_of("slow", "canary-slow", "infer requests_per_s=0.01"),
               line_of("wordy", "canary-wordy", "infer tokens_per_s=0.5"), line_of("free", "canary-free", "infer"));
    live_start(&live, options);
    expect_status(ask(&live, "POST", "/v1/classify", body, slow), 200);
    reply = ask(&live, "POST", "/v1/classify", body, slow);
    assert_in_range(strtol(reply_header(&reply, "Retry-After"), NULL, 10), 90, 100);
    expect_error(reply, 429, "quota_exceeded", NULL);
    /* What is left lets one request of any size pass; the next one waits for its debt. */
    expect_status(ask(&live, "POST", "/v1/classify", body, wordy), 200);
    expect_error(ask(&live, "POST", "/v1/classify", body, wordy), 429, "quota_exceeded", NULL);
    for (int i = 0; i < 5; i++)
        expect_status(ask(&live, "POST", "/v1/classify", body, "X-API-Key: canary-free"), 200);
    /* A reload does not refill. */
    live_signal(&live, SIGHUP);
    live_wait_logged(&live, "event=reloaded", 1);
    expect_error(ask(&live, "POST", "/v1/classify", body, slow), 429, "quota_exceeded", NULL);
    reply = ask(&live, "GET", "/metrics", NULL, "X-API-Key: canary-free");
    assert_non_null(strstr(reply.body, "attentd_key_refusals_total{reason=\"quota\"} 3"));
    reply_free(&reply);
    live_stop(&live);
}

static void test_rotation(void **state)
{
    struct live live;

    (void)state;
    write_usual_keys();
    live_start(&live, options);
    write_keys(line_of("shop", "canary-new", "infer"), line_of("old", "canary-infer", "infer"), "");
    live_signal(&live, SIGHUP);
    live_wait_logged(&live, "event=reloaded", 1);
    expect_status(ask(&live, "POST", "/v1/classify", body, "X-API-Key: canary-new"), 200);
    expect_status(ask(&live, "POST", "/v1/classify", body, "X-API-Key: canary-infer"), 200);
    write_keys(line_of("shop", "canary-new", "infer"), "", "");
    live_signal(&live, SIGHUP);
    live_wait_logged(&live, "event=reloaded", 2);
    expect_error(ask(&live, "POST", "/v1/classify", body, "X-API-Key: canary-infer"), 401, "invalid_api_key", NULL);
    /* A broken file changes nothing, and above all opens nothing. */
    live_write(file, "shop canary infer\n", 18);
    live_signal(&live, SIGHUP);
    live_wait_logged(&live, "event=reload_failed", 1);
    assert_true(live_logged(&live, "keys:1: expected the SHA-256"));
    expect_status(ask(&live, "POST", "/v1/classify", body, "X-API-Key: canary-new"), 200);
    expect_error(ask(&live, "POST", "/v1/classify", body, NULL), 401, "missing_api_key", NULL);
    unlink(file);
    live_signal(&live, SIGHUP);
    live_wait_logged(&live, "event=reload_failed", 2);
    expect_error(ask(&live, "POST", "/v1/classify", body, NULL), 401, "missing_api_key", NULL);
    live_stop(&live);
}

static void test_check(void **state)
{
    char config[96], text[256], output[1024];
    const char *const arguments[] = {"--check", "--config", config, NULL};

    (void)state;
    snprintf(config, sizeof(config), "%s/conf", folder);
    snprintf(text, sizeof(text), "[server]\napi_keys = %s\n[model m]\npath = x\n", file);
    live_write(config, text, strlen(text));
    write_usual_keys();
    assert_int_equal(live_run(arguments, output, sizeof(output)), 0);
    assert_non_null(strstr(output, "API keys"));
    live_write(file, "shop canary infer\n", 18);
    assert_int_equal(live_run(arguments, output, sizeof(output)), 1);
    assert_non_null(strstr(output, "keys:1: expected the SHA-256"));
    assert_null(strstr(output, "canary"));
    unlink(config);
}

static void test_credential(void **state)
{
    struct live live;
    char path[96];

    (void)state;
    write_usual_keys();
    snprintf(path, sizeof(path), "%s/api-keys", folder);
    assert_int_equal(rename(file, path), 0);
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    live_start(&live, "");
    expect_error(ask(&live, "POST", "/v1/classify", body, NULL), 401, "missing_api_key", NULL);
    expect_status(ask(&live, "POST", "/v1/classify", body, "X-API-Key: canary-infer"), 200);
    live_stop(&live);
    unsetenv("CREDENTIALS_DIRECTORY");
    unlink(path);
}

static void test_cors(void **state)
{
    struct live live;
    struct reply reply;

    (void)state;
    live_start(&live, "cors_origins = https://a.example https://b.example\n");
    reply = ask(&live, "OPTIONS", "/v1/classify", NULL, "Origin: https://b.example");
    assert_int_equal(reply.status, 204);
    assert_string_equal(reply_header(&reply, "Access-Control-Allow-Origin"), "https://b.example");
    assert_non_null(strstr(reply_header(&reply, "Access-Control-Allow-Methods"), "POST"));
    assert_non_null(strstr(reply_header(&reply, "Access-Control-Allow-Headers"), "Content-Type"));
    reply_free(&reply);
    reply = ask(&live, "POST", "/v1/classify", body, "Origin: https://a.example");
    assert_string_equal(reply_header(&reply, "Access-Control-Allow-Origin"), "https://a.example");
    reply_free(&reply);
    reply = ask(&live, "POST", "/v1/classify", body, "Origin: https://a.example.evil");
    assert_int_equal(reply.status, 200);
    assert_null(reply_header(&reply, "Access-Control-Allow-Origin"));
    reply_free(&reply);
    live_stop(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_let_in),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_admin_is_closed_without_keys),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_credential),
        cmocka_unit_test(test_cors),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
