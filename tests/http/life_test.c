/* The life of the process: one sentence for every failed start, ready and stopping told to systemd, signals. */
#include "live.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/attentd-life-XXXXXX";
static char file[64], output[8192];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(file, sizeof(file), "%s/a.conf", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(folder);
}

static void write_file(const char *text)
{
    FILE *out = fopen(file, "w");

    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

#define RUN(...) live_run((const char *const[]){__VA_ARGS__, NULL}, output, sizeof(output))

/* The last line says `words`; it is the only one that is no log line. */
static void said(const char *words)
{
    if (strstr(output, words) == NULL)
        fail_msg("'%s' does not say '%s'", output, words);
    assert_null(strstr(output, "Sanitizer"));
}

static void test_failed_starts(void **state)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    char model[4096];

    (void)state;
    assert_int_equal(RUN("--config", "/nowhere/attentd.conf"), 1);
    said("/nowhere/attentd.conf: cannot be read");
    write_file("[server]\nlissten = x\n");
    assert_int_equal(RUN("--config", file), 1);
    said("a.conf:2: unknown key 'lissten'");
    assert_int_equal(RUN("--check", "--config", file), 1);
    said("a.conf:2: unknown key 'lissten'");
    assert_int_equal(RUN("--listen", "127.0.0.1:0", "--model", "m=/nowhere/model"), 1);
    said("model 'm'");
    assert_int_equal(RUN("--listen", "127.0.0.1:0", "--model", "m=/usr"), 1);
    said("config.json");
    assert_int_equal(RUN("--listen", "somewhere", "--model", "m=/usr"), 1);
    said("listen = somewhere");
    assert_int_equal(RUN("--listen", "127.0.0.1:0"), 1);
    said("no model");
    assert_int_equal(RUN("--wrong"), 1);
    said("--wrong");
    if (root == NULL)
        return;
    snprintf(model, sizeof(model), "m=%s/tests/data/models/bert-sentiment,encoder=m", root);
    assert_int_equal(RUN("--listen", "127.0.0.1:0", "--model", model), 1);
    said("encoder = m");
}

static void test_port_in_use(void **state)
{
    struct live live;
    char address[32];

    (void)state;
    live_start(&live, "");
    snprintf(address, sizeof(address), "127.0.0.1:%d", live.port);
    assert_int_equal(RUN("--listen", address, "--model", "m=/usr"), 1);
    said(address);
    said("Address already in use");
    live_stop(&live);
}

static void test_information(void **state)
{
    (void)state;
    assert_int_equal(RUN("--version"), 0);
    said("attentd 0.");
    assert_int_equal(RUN("--help"), 0);
    said("--config FILE");
    write_file("[model m]\npath = x\n");
    assert_int_equal(RUN("--check", "--config", file), 0);
}

static void test_signals(void **state)
{
    struct live live;
    struct reply reply;

    (void)state;
    live_start(&live, "");
    live_signal(&live, SIGHUP);
    live_signal(&live, SIGPIPE);
    reply = live_ask(&live, "GET", "/readyz", NULL, NULL);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    for (int i = 0; i < 500 && !live_logged(&live, "event=reloaded"); i++)
        usleep(10000);
    assert_true(live_logged(&live, "event=reloaded"));
    live_signal(&live, SIGINT);
    live_wait(&live);
}

/* While one request is slow to arrive the first signal waits, the second does not. */
static void test_second_signal(void **state)
{
    struct live live;
    int fd, status;

    (void)state;
    live_start(&live, "");
    fd = live_connect(&live);
    live_say(fd, "GET /healthz HTTP/1.1\r\n");
    usleep(100000);
    live_signal(&live, SIGTERM);
    usleep(600000);
    assert_int_equal(waitpid(live.pid, &status, WNOHANG), 0);
    live_signal(&live, SIGTERM);
    assert_int_equal(waitpid(live.pid, &status, 0), live.pid);
    assert_true(WIFEXITED(status));
    close(fd);
}

/* A half-sent request is answered when the rest comes during the drain. */
static void test_late_request(void **state)
{
    struct live live;
    const char *answer;
    bool closed;
    int fd;

    (void)state;
    live_start(&live, "");
    fd = live_connect(&live);
    live_say(fd, "GET /readyz HTTP/1.1\r\n");
    usleep(100000);
    live_signal(&live, SIGTERM);
    usleep(500000);
    live_say(fd, "Host: x\r\n\r\n");
    answer = live_read(fd, 5000, &closed);
    assert_non_null(strstr(answer, "HTTP/1.1 503 "));
    assert_non_null(strstr(answer, "Retry-After: "));
    assert_true(closed);
    close(fd);
    live_wait(&live);
}

static bool told(int fd, const char *words)
{
    char message[1024];

    for (;;) {
        ssize_t n = recv(fd, message, sizeof(message) - 1, 0);

        if (n <= 0)
            return false;
        message[n] = '\0';
        if (strstr(message, words) != NULL)
            return true;
    }
}

static void test_systemd(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {10, 0};
    struct live live;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_true(fd >= 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", folder);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    setenv("WATCHDOG_USEC", "300000", 1);
    live_start(&live, "");
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    assert_true(told(fd, "READY=1"));
    assert_true(told(fd, "WATCHDOG=1"));
    live_signal(&live, SIGTERM);
    assert_true(told(fd, "STOPPING=1"));
    live_wait(&live);
    close(fd);
    unlink(address.sun_path);
}

/* The socket of the one who starts it goes before the configured address; what it queued meanwhile is answered. */
static void test_socket_activation(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    struct live early = {0}, live;
    const char *answer;
    bool closed;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client;

    (void)state;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    early.port = ntohs(address.sin_port);
    client = live_connect(&early);
    live_say(client, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    live_start_with(&live, "", fd);
    close(fd);
    assert_int_equal(live.port, early.port);
    answer = live_read(client, 1000, &closed);
    assert_non_null(strstr(answer, "HTTP/1.1 200 "));
    close(client);
    live_stop(&live);
}

/* A unix socket: served, not open to strangers, gone after the stop; one that was left behind is replaced. */
static void test_unix_socket(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat facts;
    struct live live;
    struct reply reply;
    char where[160];
    int fd;

    (void)state;
    live_start_unix(&live, "");
    reply = live_post(&live, "/v1/classify", "{\"model\":\"sentiment\",\"input\":\"shares rose\"}");
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    /* It is no admin socket. */
    expect_error(live_ask(&live, "POST", "/v1/models/sentiment/reload", NULL, NULL), 403, "insufficient_scope", NULL);
    assert_int_equal(stat(live.socket, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0660);
    memcpy(address.sun_path, live.socket, sizeof(live.socket));
    live_stop(&live);
    assert_int_equal(access(address.sun_path, F_OK), -1);
    /* Nobody listens on a socket that a killed daemon left; one that is in use is not taken away. */
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/left.sock", folder);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    snprintf(where, sizeof(where), "unix:%s", address.sun_path);
    assert_int_equal(RUN("--listen", where, "--model", "m=/usr"), 1);
    said("Address already in use");
    close(fd);
    assert_int_equal(RUN("--listen", where, "--model", "m=/usr"), 1);
    said("config.json");
    assert_int_equal(access(address.sun_path, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed_starts), cmocka_unit_test(test_port_in_use),
        cmocka_unit_test(test_information),   cmocka_unit_test(test_signals),
        cmocka_unit_test(test_second_signal), cmocka_unit_test(test_late_request),
        cmocka_unit_test(test_systemd),       cmocka_unit_test(test_socket_activation),
        cmocka_unit_test(test_unix_socket),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
