/* TLS on a live daemon: it is spoken, old versions and plain HTTP are not, and a new certificate is taken by SIGHUP. */
#include "live.h"

#include <curl/curl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char body[] = "{\"model\":\"sentiment\",\"input\":\"shares rose\"}";
static char folder[] = "/tmp/attentd-tls-XXXXXX";
static char options[256], output[8192];

static const char *data_path(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%.90s/tests/data/tls/%.16s", getenv("ATT_SOURCE_ROOT"), name);
    return path;
}

/* tests/data/tls/FROM to the folder as TO, with a mode that the daemon takes. */
static void copy(const char *from, const char *to)
{
    char path[128], bytes[8192];
    FILE *in = fopen(data_path(from), "r");
    size_t len;

    assert_non_null(in);
    len = fread(bytes, 1, sizeof(bytes), in);
    fclose(in);
    snprintf(path, sizeof(path), "%s/%s", folder, to);
    live_write(path, bytes, len);
}

static void use(const char *name)
{
    char file[32];

    snprintf(file, sizeof(file), "%s.pem", name);
    copy(file, "cert");
    snprintf(file, sizeof(file), "%s.key", name);
    copy(file, "key");
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || getenv("ATT_SOURCE_ROOT") == NULL)
        return 1;
    snprintf(options, sizeof(options), "tls_certificate = %s/cert\ntls_key = %s/key\n", folder, folder);
    return 0;
}

static int remove_folder(void **state)
{
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "%s/cert", folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/key", folder);
    unlink(path);
    return rmdir(folder);
}

static void trust(struct live *live, const char *name)
{
    snprintf(live->ca, sizeof(live->ca), "%s", data_path(name));
}

static long status_of(const struct live *live)
{
    struct reply reply = live_post(live, "/v1/classify", body);
    long status = reply.status;

    reply_free(&reply);
    return status;
}

static void test_tls_is_spoken(void **state)
{
    struct live live;

    (void)state;
    use("first");
    live_start(&live, options);
    trust(&live, "first.pem");
    for (int i = 0; i < 20; i++)
        assert_int_equal(status_of(&live), 200);
    expect_error(live_post(&live, "/v1/classify", "{"), 400, "malformed_body", NULL);
    trust(&live, "second.pem");
    assert_int_equal(status_of(&live), 0);
    live_stop(&live);
}

/* No byte in clear goes out, whatever comes in; what hangs is cut as without TLS. */
static void test_plain_is_not(void **state)
{
    char more[512];
    struct live live;
    const char *answer;
    bool closed;
    int fd;

    (void)state;
    use("first");
    snprintf(more, sizeof(more), "%sheader_timeout_ms = 500\n", options);
    live_start(&live, more);
    answer = live_exchange(&live, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", &closed);
    assert_null(strstr(answer, "HTTP/"));
    assert_true(closed);
    fd = live_connect(&live);
    live_send(fd, "\x16\x03\x01", 3);
    answer = live_read(fd, 5000, &closed);
    assert_true(closed);
    assert_null(strstr(answer, "HTTP/"));
    close(fd);
    trust(&live, "first.pem");
    assert_int_equal(status_of(&live), 200);
    live_stop(&live);
}

static CURLcode ask_version(const struct live *live, long version)
{
    CURL *curl = curl_easy_init();
    CURLcode result;
    char url[64];

    assert_non_null(curl);
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/healthz", live->port);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CAINFO, live->ca);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, version);
    curl_easy_setopt(curl, CURLOPT_SSL_CIPHER_LIST, "ALL:@SECLEVEL=0");
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    result = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    return result;
}

static void test_versions(void **state)
{
    struct live live;

    (void)state;
    use("first");
    live_start(&live, options);
    trust(&live, "first.pem");
    assert_int_equal(ask_version(&live, CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2), CURLE_OK);
    assert_int_equal(ask_version(&live, CURL_SSLVERSION_TLSv1_3 | CURL_SSLVERSION_MAX_TLSv1_3), CURLE_OK);
    assert_int_not_equal(ask_version(&live, CURL_SSLVERSION_TLSv1_1 | CURL_SSLVERSION_MAX_TLSv1_1), CURLE_OK);
    live_stop(&live);
}

static void test_new_certificate(void **state)
{
    struct live live;

    (void)state;
    use("first");
    live_start(&live, options);
    use("second");
    live_signal(&live, SIGHUP);
    live_wait_logged(&live, "event=reloaded", 1);
    trust(&live, "second.pem");
    assert_int_equal(status_of(&live), 200);
    trust(&live, "first.pem");
    assert_int_equal(status_of(&live), 0);
    /* A key of another certificate is refused, and the pair from before shown on. */
    copy("first.key", "key");
    live_signal(&live, SIGHUP);
    live_wait_logged(&live, "event=reload_failed", 1);
    assert_true(live_logged(&live, "does not belong to the certificate"));
    trust(&live, "second.pem");
    assert_int_equal(status_of(&live), 200);
    live_stop(&live);
}

static void expect_refused(const char *certificate, const char *key, const char *words)
{
    char config[160], path[128];
    FILE *out;

    if (certificate != NULL)
        copy(certificate, "cert");
    if (key != NULL)
        copy(key, "key");
    snprintf(path, sizeof(path), "%s/conf", folder);
    out = fopen(path, "w");
    assert_non_null(out);
    fprintf(out, "[model m]\npath = /nowhere\n[server]\nlisten = 127.0.0.1:0\n%s", options);
    fclose(out);
    snprintf(config, sizeof(config), "%s", path);
    assert_int_equal(live_run((const char *const[]){"--check", "--config", config, NULL}, output, sizeof(output)), 1);
    assert_non_null(strstr(output, words));
    assert_int_equal(live_run((const char *const[]){"--config", config, NULL}, output, sizeof(output)), 1);
    if (strstr(output, words) == NULL)
        fail_msg("'%s' does not say '%s'", output, words);
    unlink(path);
}

static void test_bad_files(void **state)
{
    (void)state;
    expect_refused("expired.pem", "first.key", "cert: the certificate has expired");
    expect_refused("first.pem", "second.key", "key: the private key does not belong to the certificate");
    expect_refused("first.key", "first.key", "cert: no certificate chain in PEM");
    expect_refused("first.pem", "first.pem", "key: no private key in PEM");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls_is_spoken),   cmocka_unit_test(test_plain_is_not), cmocka_unit_test(test_versions),
        cmocka_unit_test(test_new_certificate), cmocka_unit_test(test_bad_files),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
