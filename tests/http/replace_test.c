/* A model's files are cut, overwritten and removed under a live daemon: it answers the same bits. */
#include "live.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const names[] = {"config.json",
                                    "model.safetensors",
                                    "tokenizer.json",
                                    "tokenizer_config.json",
                                    "vocab.txt",
                                    "modules.json",
                                    "golden.jsonl",
                                    "sentence_bert_config.json",
                                    "1_Pooling/config.json"};
enum { N_NAMES = sizeof(names) / sizeof(*names) };

static char folder[] = "/tmp/attentd-replace-XXXXXX";

static void path_of(const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", folder, name);
}

static int make_model(void **state)
{
    (void)state;
    char path[128], source[4096];
    if (mkdtemp(folder) == NULL)
        return 1;
    path_of("1_Pooling", path);
    if (mkdir(path, 0755) != 0)
        return 1;
    for (size_t i = 0; i < N_NAMES; i++) {
        static char bytes[1 << 20];
        snprintf(source, sizeof(source), "%s/tests/data/models/st-bert-mean/%s", getenv("ATT_SOURCE_ROOT"), names[i]);
        path_of(names[i], path);
        FILE *in = fopen(source, "rb"), *out = fopen(path, "wb");
        if (in == NULL || out == NULL)
            return 1;
        size_t len = fread(bytes, 1, sizeof(bytes), in);
        if (len == sizeof(bytes) || fwrite(bytes, 1, len, out) != len)
            return 1;
        fclose(in);
        fclose(out);
    }
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    char path[128];
    for (size_t i = 0; i < N_NAMES; i++) {
        path_of(names[i], path);
        unlink(path);
    }
    path_of("1_Pooling", path);
    rmdir(path);
    return rmdir(folder);
}

static struct reply ask(const struct live *live)
{
    struct reply reply = live_post(live, "/v1/embeddings",
                                   "{\"model\":\"victim\",\"input\":[\"Where is my order?\",\"profit rose by 5 %\"]}");
    assert_int_equal(reply.status, 200);
    return reply;
}

static void same(const struct live *live, const struct reply *first, const char *what)
{
    for (int i = 0; i < 3; i++) {
        struct reply reply = ask(live);
        /* Not the id before, nor the times behind. */
        const char *wanted = strstr(first->body, "\"data\""), *got = strstr(reply.body, "\"data\"");
        const char *end = strstr(first->body, "\"timing_ms\"");
        assert_true(wanted != NULL && end > wanted);
        if (got == NULL || strncmp(got, wanted, (size_t)(end - wanted)) != 0)
            fail_msg("after files were %s: %.200s", what, reply.body);
        reply_free(&reply);
    }
}

static void test_live(void **state)
{
    (void)state;
    struct live live;
    char extra[256], path[128];
    snprintf(extra, sizeof(extra), "[model victim]\npath = %s\n", folder);
    live_start(&live, extra);
    struct reply first = ask(&live);
    struct stat info;
    for (size_t i = 0; i < N_NAMES; i++) {
        path_of(names[i], path);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(truncate(path, info.st_size / 2), 0);
    }
    same(&live, &first, "cut");
    for (size_t i = 0; i < N_NAMES; i++) {
        static unsigned char noise[1 << 16];
        memset(noise, 0xff, sizeof(noise));
        path_of(names[i], path);
        int fd = open(path, O_WRONLY);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, noise, sizeof(noise)), sizeof(noise));
        close(fd);
    }
    same(&live, &first, "overwritten");
    for (size_t i = 0; i < N_NAMES; i++) {
        path_of(names[i], path);
        assert_int_equal(truncate(path, 0), 0);
        unlink(path);
    }
    same(&live, &first, "removed");
    /* None of them is mapped, nor held open. */
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)live.pid);
    FILE *maps = fopen(path, "r");
    assert_non_null(maps);
    char line[4096];
    while (fgets(line, sizeof(line), maps) != NULL)
        assert_null(strstr(line, folder));
    fclose(maps);
    reply_free(&first);
    live_stop(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live),
    };
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
