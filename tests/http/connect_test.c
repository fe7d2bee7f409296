/*
 * attend ingest against a live daemon: files with a state, feeds, standard input, a daemon that comes late, a Redis
 * stream whose consumer dies. Redis is a real redis-server; without one those tests are skipped.
 */
#include "live.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 24, OUTPUT_BYTES = 8192, REDIS_PORT = 26379 };

static struct live live;
static char output[OUTPUT_BYTES];

static pid_t spawn(const char *program, const char *const *arguments, const char *out, bool is_full_path)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        if (is_full_path)
            execv(program, (char *const *)(uintptr_t)arguments);
        else
            execvp(program, (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    return pid;
}

static pid_t begin(const char *const *arguments)
{
    const char *build = getenv("ATT_BUILD_ROOT"), *argv[ARGUMENTS_MAX] = {"attend", "ingest"};
    char program[512], path[256];
    size_t n = 2;

    for (; *arguments != NULL; arguments++)
        argv[n++] = *arguments;
    snprintf(program, sizeof(program), "%s/attend", build != NULL ? build : "build");
    snprintf(path, sizeof(path), "%s", live_path(&live, "out"));
    return spawn(program, argv, path, true);
}

static const char *read_output(void)
{
    FILE *in = fopen(live_path(&live, "out"), "r");

    assert_non_null(in);
    output[fread(output, 1, sizeof(output) - 1, in)] = '\0';
    fclose(in);
    return output;
}

static int end(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Runs it to its end; its counts must be these. */
static void expect_counts(const char *const *arguments, const char *counts)
{
    int status = end(begin(arguments));

    if (strstr(read_output(), counts) == NULL || status > 1)
        fail_msg("status %d, expected %s: %s", status, counts, output);
}

static const char *url(void)
{
    static char text[64];

    snprintf(text, sizeof(text), "http://127.0.0.1:%d", live.port);
    return text;
}

static void append_to(const char *path, const char *text)
{
    FILE *out = fopen(path, "a");

    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static size_t stored(void)
{
    struct reply reply = live_ask(&live, "GET", "/v1/news?limit=1000", NULL, NULL);
    struct att_json *json = reply_json(&reply);
    size_t n = att_json_count(att_json_get(json, "data"));

    att_json_destroy(json);
    reply_free(&reply);
    return n;
}

static bool comes_to(size_t n)
{
    for (int i = 0; i < 100; i++) {
        if (stored() >= n)
            return true;
        usleep(50000);
    }
    return false;
}

static int setup(void **state)
{
    (void)state;
    live_start(&live, "");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_stop(&live);
    return 0;
}

static void test_files(void **state)
{
    char lines[256], feed[256], marks[256];
    static const char rss[] = "<rss><channel><title>Wire</title><item><title>Acme rises</title><guid>g1</guid>"
                              "</item><item><title>Acme falls</title><guid>g2</guid></item></channel></rss>";

    (void)state;
    snprintf(lines, sizeof(lines), "%s", live_path(&live, "lines.jsonl"));
    snprintf(feed, sizeof(feed), "%s", live_path(&live, "feed.xml"));
    snprintf(marks, sizeof(marks), "%s", live_path(&live, "marks"));
    append_to(lines, "{\"id\":\"a\",\"text\":\"one\"}\n{\"id\":\"b\"}\n{\"id\":\"c\",\"text\":\"three\"}\n");
    append_to(feed, rss);
    const char *const arguments[] = {"--url", url(), "--state", marks, lines, feed, NULL};
    expect_counts(arguments, "{\"lines\":5,\"new\":4,\"duplicate\":0,\"updated\":0,\"error\":1}");
    assert_non_null(strstr(output, "attend ingest: b: "));
    append_to(lines, "{\"id\":\"d\",\"text\":\"four\"}\n");
    /* From where it was left; the feed again as a whole. */
    expect_counts(arguments, "{\"lines\":3,\"new\":1,\"duplicate\":2,\"updated\":0,\"error\":0}");
    assert_int_equal(stored(), 5);
    snprintf(feed, sizeof(feed), "%s", live_path(&live, "bad.xml"));
    append_to(feed, "<!DOCTYPE x [<!ENTITY a \"b\">]><rss>&a;</rss>");
    const char *const bad[] = {"--url", url(), feed, NULL};
    assert_int_equal(end(begin(bad)), 1);
    assert_non_null(strstr(read_output(), "document type"));
}

/* Lines that are written while it runs, in a file that is rotated away under it. */
static void test_following(void **state)
{
    char path[256], old[256];

    (void)state;
    snprintf(path, sizeof(path), "%s", live_path(&live, "log.jsonl"));
    snprintf(old, sizeof(old), "%s", live_path(&live, "log.old"));
    append_to(path, "{\"id\":\"a\",\"text\":\"one\"}\n{\"id\":\"b\",\"te");
    const char *const arguments[] = {"--url", url(), "--follow", path, NULL};
    pid_t pid = begin(arguments);
    assert_true(comes_to(1));
    append_to(path, "xt\":\"two\"}\n");
    assert_true(comes_to(2));
    assert_int_equal(rename(path, old), 0);
    append_to(path, "{\"id\":\"c\",\"text\":\"three\"}\n");
    assert_true(comes_to(3));
    kill(pid, SIGTERM);
    assert_int_equal(end(pid), 0);
    assert_non_null(strstr(read_output(), "\"new\":3"));
}

/* The daemon dies and comes back: what was read is brought when it is there. */
static void test_a_daemon_that_is_away(void **state)
{
    char path[256], socket[160], config[256];

    (void)state;
    snprintf(socket, sizeof(socket), "unix:%s", live_path(&live, "admin.sock"));
    snprintf(config, sizeof(config), "admin_socket = %s\n", socket + 5);
    snprintf(path, sizeof(path), "%s", live_path(&live, "late.jsonl"));
    append_to(path, "{\"id\":\"late\",\"text\":\"one\"}\n");
    const char *const arguments[] = {"--url", socket, path, NULL};
    pid_t pid = begin(arguments);
    usleep(600000);
    assert_non_null(strstr(read_output(), "again in"));
    live_crash(&live, config);
    assert_int_equal(end(pid), 0);
    assert_non_null(strstr(read_output(), "\"new\":1"));
}

/* ---- Redis ---- */

static pid_t start_redis(void)
{
    static const char *const arguments[] = {"redis-server", "--port", "26379", "--save", "",          "--appendonly",
                                            "no",           "--dir",  "/tmp",  "--bind", "127.0.0.1", NULL};
    char path[256];
    pid_t pid;

    snprintf(path, sizeof(path), "%s", live_path(&live, "redis.log"));
    pid = spawn("redis-server", arguments, path, false);
    for (int i = 0; i < 100; i++) {
        FILE *in = fopen(path, "r");
        char text[8192] = "";

        usleep(50000);
        if (in != NULL) {
            text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
            fclose(in);
        }
        if (strstr(text, "Ready to accept") != NULL)
            return pid;
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return 0;
    }
    kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    return 0;
}

/* One command as redis-cli sends it; its answer's first bytes. */
static const char *redis(const char *const *words)
{
    struct live there = {.port = REDIS_PORT};
    char request[4096];
    size_t n = 0, len = 0;
    bool closed;
    int fd = live_connect(&there);

    while (words[n] != NULL)
        n++;
    len += (size_t)snprintf(request, sizeof(request), "*%zu\r\n", n);
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(request + len, sizeof(request) - len, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    live_send(fd, request, len);
    const char *answer = live_read(fd, 100, &closed);
    close(fd);
    return answer;
}

static void test_redis(void **state)
{
    pid_t server = start_redis(), pid;
    static const char stream[] = "redis://127.0.0.1:26379/news";

    (void)state;
    if (server == 0) {
        print_message("no redis-server, or its port is taken\n");
        skip();
    }
    redis((const char *[]){"XADD", "news", "*", "json", "{\"id\":\"j\",\"text\":\"Acme wins an order.\"}", NULL});
    redis((const char *[]){"XADD", "news", "*", "id", "f", "title", "Oil falls", "time", "1764293400", NULL});
    redis((const char *[]){"XADD", "news", "*", "json", "broken", NULL});
    const char *const once[] = {"--url", url(), "--redis", stream, "--group", "g", "--consumer", "c", NULL};
    expect_counts(once, "{\"lines\":3,\"new\":2,\"duplicate\":0,\"updated\":0,\"error\":1}");
    assert_non_null(strstr(redis((const char *[]){"XPENDING", "news", "g", NULL}), ":0")); /* all acknowledged */

    /* A consumer that took entries and died: the next run of the same name brings them. */
    redis((const char *[]){"XADD", "news", "*", "json", "{\"id\":\"p\",\"text\":\"pending\"}", NULL});
    redis((const char *[]){"XREADGROUP", "GROUP", "g", "c", "COUNT", "10", "STREAMS", "news", ">", NULL});
    expect_counts(once, "{\"lines\":1,\"new\":1,\"duplicate\":0,\"updated\":0,\"error\":0}");

    /* Nothing is acknowledged that no daemon stored. */
    redis((const char *[]){"XADD", "news", "*", "json", "{\"id\":\"q\",\"text\":\"unstored\"}", NULL});
    const char *const nowhere[] = {"--url", "http://127.0.0.1:9", "--redis", stream, "--group",
                                   "g",     "--consumer",         "c",       NULL};
    pid = begin(nowhere);
    usleep(500000);
    kill(pid, SIGKILL);
    assert_int_equal(end(pid), -1);
    assert_non_null(strstr(redis((const char *[]){"XPENDING", "news", "g", NULL}), ":1"));
    expect_counts(once, "{\"lines\":1,\"new\":1,\"duplicate\":0,\"updated\":0,\"error\":0}");
    assert_int_equal(stored(), 4);

    const char *const follows[] = {"--url", url(),        "--redis", stream,     "--group",
                                   "g",     "--consumer", "c",       "--follow", NULL};
    pid = begin(follows);
    usleep(300000);
    redis((const char *[]){"XADD", "news", "*", "json", "{\"id\":\"r\",\"text\":\"while it runs\"}", NULL});
    assert_true(comes_to(5));
    kill(pid, SIGTERM);
    assert_int_equal(end(pid), 0);
    kill(server, SIGTERM);
    (void)end(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_following, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_daemon_that_is_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_redis, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
