/*
 * Every allocation of every endpoint fails once in a running daemon, those of
 * its libraries too: alone, and with all that follow. The daemon answers (an
 * error of its own, never the client's fault) or closes, lives, and the next
 * request is answered as ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fault/fail_malloc.h"
#include "tests/http/live.h"

enum { DENSE = 128 }; /* the first so many are all failed, then fewer and fewer: SQLite has thousands */

struct call {
    const char *method, *path, *body;
    bool lines; /* the body is NDJSON */
};

static const struct {
    struct call call, before; /* before: NULL method where the call can be repeated */
} endpoints[] = {
    {.call = {"POST", "/v1/classify", "{\"input\":[\"shares rose\",\"they fell\"],\"explain\":\"attention\"}"}},
    {.call = {"POST", "/v1/embeddings", "{\"input\":[\"where is my parcel\",\"refund\"]}"}},
    {.call = {"POST", "/v1/rerank", "{\"query\":\"refund\",\"documents\":[\"refund policy\",\"store hours\"]}"}},
    {.call = {"POST", "/v1/tokenize", "{\"input\":\"where is my parcel\"}"}},
    {.call = {"POST", "/v1/recommend",
              "{\"history\":[{\"item\":\"5\"},{\"item\":\"q\",\"text\":\"film\"}],\"top_k\":3}"}},
    {.call = {"POST", "/v1/reply", "{\"question\":\"where is my order\"}"}},
    {.call = {"PUT", "/v1/kb/default",
              "{\"entries\":[{\"id\":1,\"question\":\"Where is my order?\",\"alternates\":[\"track my parcel\"],"
              "\"answer\":\"In My orders.\"},{\"id\":2,\"question\":\"Refund?\",\"answer\":\"Yes.\"}]}"}},
    {.call = {"PUT", "/v1/kb/default/entries/3", "{\"question\":\"Are you open?\",\"answer\":\"Always.\"}"}},
    {.call = {"GET", "/v1/kb/default", NULL}},
    {.call = {"GET", "/v1/kb/default/entries", NULL}},
    {.call = {"GET", "/v1/kb/default/entries/1", NULL}},
    {.call = {"DELETE", "/v1/kb/default/entries/4", NULL},
     .before = {"PUT", "/v1/kb/default/entries/4", "{\"question\":\"Hi\",\"answer\":\"Hello\"}"}},
    {.call = {"PUT", "/v1/models/movies/items",
              "{\"items\":[{\"id\":\"new\",\"title\":\"Dune\",\"text\":\"a film of sand\"}]}"}},
    {.call = {"PUT", "/v1/models/movies/items",
              "{\"id\":\"new\",\"title\":\"Dune\",\"metadata\":{\"year\":2024}}\n{\"id\":\n{\"id\":\"5\","
              "\"popularity\":1}\n",
              true}},
    {.call = {"GET", "/v1/models/movies/items", NULL}},
    {.call = {"GET", "/v1/models", NULL}},
    {.call = {"GET", "/v1/models/encoder", NULL}},
    {.call = {"GET", "/metrics", NULL}},
    {.call = {"GET", "/readyz", NULL}},
};

static struct live live;
static struct fail_plan *plan;
static char plan_path[] = "/tmp/attentd-fail-XXXXXX";

static long ask(const struct call *call)
{
    static const char *const lines[] = {"Content-Type: application/x-ndjson", NULL};
    struct reply reply = live_ask(&live, call->method, call->path, call->body, call->lines ? lines : NULL);
    long status = reply.status;
    if (status >= 400) {
        struct att_json *json = reply_json(&reply);
        assert_true(att_json_is_string(att_json_get(att_json_get(json, "error"), "message")));
        att_json_destroy(json);
    }
    if (reply.seconds > 5)
        fail_msg("%s %s took %.1f s", call->method, call->path, reply.seconds);
    reply_free(&reply);
    return status;
}

/* What the daemon logged as its own fault, for a person that looks into a failed test. */
static void show_errors(void)
{
    char path[96], line[1024];
    snprintf(path, sizeof path, "%s/log", live.folder);
    FILE *log = fopen(path, "r");
    while (log && fgets(line, sizeof line, log))
        if (!strstr(line, "level=info"))
            fputs(line, stderr);
    if (log)
        fclose(log);
}

/* `told`: what the call was answered whose allocation k failed. */
static void expect_success(const struct call *call, long k, long told)
{
    long status = ask(call);
    if (status < 200 || status > 299) {
        show_errors();
        fail_msg("%s %s: status %ld after allocation %ld failed, which was answered %ld", call->method, call->path,
                 status, k, told);
    }
}

/* Every entry, as text. The caller frees it. */
static char *entries(void)
{
    struct reply reply = live_ask(&live, "GET", "/v1/kb/default/entries", NULL, NULL);
    assert_int_equal(reply.status, 200);
    free(reply.head);
    return reply.body;
}

static void expect_entries(const char *expected)
{
    char *stored = entries();
    assert_string_equal(stored, expected);
    free(stored);
}

/* `burst`: how many allocations fail from number k on. */
static void torture(long burst)
{
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        const struct call *call = &endpoints[i].call, *before = &endpoints[i].before;
        long seen = 0, status = 0;
        expect_success(before->method ? before : call, 0, 0);
        char *old = entries();
        for (long k = 1;; k += 1 + k / DENSE) {
            if (before->method)
                expect_success(before, k - 1, status);
            atomic_store(&plan->failed, 0);
            atomic_store(&plan->until, LONG_MAX);
            long now = atomic_load(&plan->count);
            atomic_store(&plan->until, burst < LONG_MAX - now - k ? now + k + burst : LONG_MAX);
            atomic_store(&plan->from, now + k);
            status = ask(call);
            atomic_store(&plan->from, 0);
            if (status >= 400 && status != 500 && status != 503 && status != 507)
                fail_msg("%s %s: status %ld when allocation %ld fails", call->method, call->path, status, k);
            if (waitpid(live.pid, NULL, WNOHANG) != 0)
                fail_msg("%s %s: the daemon died when allocation %ld failed", call->method, call->path, k);
            seen += status >= 500;
            if (!before->method)
                expect_success(call, k, status);
            if (atomic_load(&plan->failed) == 0)
                break;
            assert_true(k < 5000);
            if (strcmp(call->method, "PUT") == 0)
                expect_entries(old); /* what says the same again changes nothing, told or not */
        }
        if (!before->method)
            expect_entries(old);
        free(old);
        if (seen == 0)
            fail_msg("%s %s: no failure was ever told", call->method, call->path);
    }
}

static void one_at_a_time(void **state)
{
    (void)state;
    torture(1);
}

static void and_all_that_follow(void **state)
{
    (void)state;
    torture(1000000);
}

static int start(void **state)
{
    const char *build = getenv("ATT_BUILD_ROOT");
    char library[4096];
    int fd = mkstemp(plan_path);
    (void)state;
    if (fd < 0 || ftruncate(fd, sizeof *plan) != 0)
        return -1;
    plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    snprintf(library, sizeof library, "%s/tests/fault/libfail_malloc.so", build ? build : "build");
    setenv("ATT_FAIL_FILE", plan_path, 1);
    setenv("LD_PRELOAD", library, 1);
    live_start(&live, "");
    unsetenv("LD_PRELOAD");
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++)
        if (strcmp(endpoints[i].call.method, "PUT") == 0)
            expect_success(&endpoints[i].call, 0, 0);
    return plan == MAP_FAILED || atomic_load(&plan->count) == 0 ? -1 : 0;
}

static int stop(void **state)
{
    int status = 0;
    (void)state;
    live_signal(&live, SIGTERM);
    waitpid(live.pid, &status, 0);
    live_discard(&live);
    unlink(plan_path);
    return status;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(and_all_that_follow),
    };
    return cmocka_run_group_tests_name("fault/daemon", tests, start, stop);
}
