/*
 * Model directories with one file cut or one bit flipped, thousands of them in
 * one process: each is refused with a message that names a file of the
 * directory, or loads and gives what its golden.jsonl says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/attend.h"

enum { FLIPS = 60, CUTS = 12, FILE_MAX = 1 << 20 };
static size_t rounds = 1;
static char folder[64];
static uint64_t random_state = 0x9e3779b97f4a7c15u;
static unsigned char whole[FILE_MAX], changed[FILE_MAX];

static uint64_t next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int setup(void **state)
{
    (void)state;
    struct att_err err;
    snprintf(folder, sizeof folder, "/tmp/attend-fault-XXXXXX");
    return mkdtemp(folder) && att_init(NULL, &err) == ATT_OK ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info, (void)kind;
    return at->level == 0 ? 0 : remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0 ? rmdir(folder) : -1;
}

static size_t take(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(whole, 1, sizeof whole, file);
    assert_true(len < sizeof whole);
    fclose(file);
    return len;
}

static void put(const char *name, const unsigned char *bytes, size_t len)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

/* tests/data/models/NAME → folder. */
static void copy_model(const char *name)
{
    char path[1024], source[512];
    struct dirent *entry;
    assert_int_equal(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    snprintf(source, sizeof source, "%s/tests/data/models/%s", getenv("ATT_SOURCE_ROOT"), name);
    DIR *dir = opendir(source);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        bool inner = strcmp(entry->d_name, "1_Pooling") == 0;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s%s", source, entry->d_name, inner ? "/config.json" : "");
        size_t len = take(path);
        if (inner) {
            snprintf(path, sizeof path, "%s/1_Pooling", folder);
            assert_int_equal(mkdir(path, 0755), 0);
            put("1_Pooling/config.json", whole, len);
        } else {
            put(entry->d_name, whole, len);
        }
    }
    closedir(dir);
}

/* True: it loads and its answers are the golden ones. A refusal names a file. */
static bool loads(const char *what, const char *name, size_t at)
{
    static const char *const files[] = {"config.json",  "model.safetensors",        "tokenizer.json",
                                        "vocab.txt",    "tokenizer_config.json",    "golden.jsonl",
                                        "modules.json", "sentence_bert_config.json"};
    const struct att_model_options options = {.dtype = ATT_F32};
    struct att_model *model = NULL;
    struct att_err err = {.message = ""};
    size_t cases = 0;
    enum att_status status = att_model_load(folder, &options, &model, &err);
    if (status == ATT_OK)
        status = att_model_self_test(model, &cases, &err);
    att_model_unref(model);
    bool named = status == ATT_OK;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        named |= strstr(err.message, files[i]) != NULL;
    if (!named || status == ATT_EINTERNAL)
        fail_msg("%s of %s at %zu: names no file: %s", what, name, at, err.message);
    return status == ATT_OK;
}

static void cut(const char *name, size_t len, size_t at)
{
    if (at >= len)
        return;
    put(name, whole, at);
    bool loaded = loads("a cut", name, at);
    /* White space at the end of JSON is nothing; lines of golden.jsonl may end anywhere between them. */
    bool tail = true;
    for (size_t i = at; i < len; i++)
        tail = tail && strchr(" \r\n\t", whole[i]) != NULL && whole[i];
    if (loaded && !tail && strcmp(name, "golden.jsonl") != 0 && strcmp(name, "vocab.txt") != 0)
        fail_msg("%s loads, cut to %zu of %zu bytes", name, at, len);
}

static void cuts(const char *name, size_t len)
{
    size_t header = 0;
    if (strstr(name, ".safetensors"))
        header = 8 + (size_t)(whole[0] | whole[1] << 8 | whole[2] << 16);
    const size_t places[] = {0, 1, 7, 8, 9, header / 2, header - 1, header, header + 1, len / 2, len - 2, len - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        cut(name, len, places[i]);
    for (size_t i = 0; i < CUTS * rounds; i++)
        cut(name, len, next() % len);
}

static void flips(const char *name, size_t len)
{
    /* Half of them where the structure lies. */
    size_t head = len < 4096 ? len : 4096;
    for (size_t i = 0; i < FLIPS * rounds; i++) {
        size_t at = next() % (i % 2 ? len : head);
        memcpy(changed, whole, len);
        for (uint64_t n = 1 + next() % 3; n > 0; n--)
            changed[(at + n) % len] ^= (unsigned char)(1u << next() % 8);
        put(name, changed, len);
        (void)loads("a flip", name, at);
    }
}

static void try_model(const char *model, const char *const *names)
{
    for (; *names; names++) {
        char path[512];
        copy_model(model);
        assert_true(loads("nothing", model, 0));
        snprintf(path, sizeof path, "%s/%s", folder, *names);
        size_t len = take(path);
        cuts(*names, len);
        flips(*names, len);
    }
}

static void test_bert(void **state)
{
    (void)state;
    try_model("bert-sentiment", (const char *const[]){"config.json", "model.safetensors", "tokenizer.json", NULL});
}

static void test_sentence(void **state)
{
    (void)state;
    try_model("st-bert-mean", (const char *const[]){"1_Pooling/config.json", "modules.json", NULL});
}

static void test_sasrec(void **state)
{
    (void)state;
    try_model("sasrec", (const char *const[]){"config.json", "model.safetensors", "golden.jsonl", NULL});
}

/* With a number: so many times as many. */
int main(int argc, char **argv)
{
    rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bert),
        cmocka_unit_test(test_sentence),
        cmocka_unit_test(test_sasrec),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
