/* attend fit and attend train-head over copies of small models: what is written, what stays, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/attend.h"
#include "core/io/json_file.h"

static char folder[64];

static const char *inside(const char *name)
{
    static char path[4][256];
    static size_t next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static void copy(const char *from, const char *to)
{
    char bytes[4096];
    size_t n;
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0)
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static const char *model_file(const char *model, const char *name)
{
    static char path[512];
    const char *root = getenv("ATT_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/data/models/%s/%s", root ? root : ".", model, name);
    return path;
}

static int start(void **state)
{
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json"};
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/attend-fit-XXXXXX");
    if (!mkdtemp(folder) || att_init(NULL, NULL) != ATT_OK || mkdir(inside("model"), 0755) != 0)
        return -1;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char to[300];
        snprintf(to, sizeof to, "%s/model/%s", folder, files[i]);
        copy(model_file("bert-sentiment", files[i]), to);
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

static int stop(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Runs the program, quietly; its exit status. */
static int attend(const char *const *words)
{
    const char *root = getenv("ATT_BUILD_ROOT");
    char program[512], *argv[32] = {program};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int n = 1, status = -1;
    snprintf(program, sizeof program, "%s/attend", root ? root : "build");
    for (; words[n - 1]; n++)
        argv[n] = strdup(words[n - 1]);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawn(&pid, program, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    for (int i = 1; i < n; i++)
        free(argv[i]);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define ATTEND(...) attend((const char *const[]){__VA_ARGS__, NULL})

static struct att_json *read_json(const char *path, const char *name)
{
    struct att_dir dir;
    struct att_json *json = NULL;
    assert_int_equal(att_dir_open(path, &dir, NULL), ATT_OK);
    assert_int_equal(att_json_file(&dir, name, false, &json, NULL), ATT_OK);
    att_dir_close(&dir);
    return json;
}

/* Rows of two texts; of the second kind every third label is another. */
static void write_rows(const char *path, size_t n)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    fputs("label\ttext\n", out);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s\t%s %zu\n", i % 3 == 0 ? "neutral" : "positive", i % 2 ? "shares rose" : "profit", i);
    assert_int_equal(fclose(out), 0);
}

/* A checkpoint with a classifier of its own: what is fitted stands under calibration, and the model loads with it. */
static void a_head_of_the_checkpoint_is_calibrated(void **state)
{
    (void)state;
    char model[128], data[128];
    snprintf(model, sizeof model, "%s", inside("model"));
    snprintf(data, sizeof data, "%s", inside("rows.tsv"));
    write_rows(data, 60);
    write_text(inside("model/attend.json"), "{\"licence\":\"MIT\",\"mine\":[1,{\"x\":null}]}");
    assert_int_equal(ATTEND("fit", "--model", model, "--data", data, "--precision", "0.6"), 0);
    struct att_json *json = read_json(model, "attend.json");
    const struct att_json *fitted = att_json_get(json, "calibration");
    assert_string_equal(att_json_string(att_json_get(json, "licence"), NULL), "MIT");
    assert_int_equal(att_json_count(att_json_get(json, "mine")), 2);
    double temperature = att_json_number(att_json_get(fitted, "temperature"), 0);
    assert_true(temperature > 0.04 && temperature < 21);
    assert_int_equal(att_json_count(att_json_get(att_json_get(fitted, "reference"), "labels")), 4);
    assert_true(att_json_is_object(att_json_get(att_json_get(fitted, "fitted"), "intervals")));
    struct att_model *loaded = NULL;
    const struct att_model_options plain = {.dtype = ATT_F32};
    assert_int_equal(att_model_load(model, &plain, &loaded, NULL), ATT_OK);
    assert_true(att_model_info(loaded)->heads[0].temperature == (float)temperature);
    att_model_unref(loaded);
    att_json_destroy(json);
    /* Fitted again: replaced, not added. */
    assert_int_equal(ATTEND("fit", "--model", model, "--data", data), 0);
    json = read_json(model, "attend.json");
    assert_true(att_json_is_number(att_json_get(att_json_get(json, "calibration"), "temperature")));
    att_json_destroy(json);
}

/* Two kinds of text, each with a label of its own, and a third label on nothing. */
static void write_several(const char *path, size_t n)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    for (size_t i = 0; i < n; i++) {
        bool sport = i / 2 % 2 == 0; /* of both halves */
        fprintf(out, "{\"text\":\"%s\",\"labels\":{\"topics\":[%s],\"sentiment\":\"neutral\"}}\n",
                sport ? "the dog plays outside" : "profit fell", sport ? "\"sport\",\"earnings\"" : "\"weather\"");
    }
    assert_int_equal(fclose(out), 0);
}

/* The thresholds of two-heads miss all of it; fitted ones part the two texts, and each label has its own. */
static void labels_get_thresholds(void **state)
{
    static const char *const files[] = {"attend.json", "adapter_config.json", "adapter_model.safetensors"};
    (void)state;
    char model[128], data[128], to[300], base[600];
    snprintf(model, sizeof model, "%s", inside("several"));
    snprintf(data, sizeof data, "%s", inside("several.jsonl"));
    assert_int_equal(mkdir(model, 0755), 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(to, sizeof to, "%s/%s", model, files[i]);
        copy(model_file("two-heads", files[i]), to);
    }
    snprintf(base, sizeof base, "encoder=%s", model_file("st-bert-mean", ""));
    write_several(data, 120);
    assert_int_equal(ATTEND("fit", "--model", model, "--base", base, "--data", data), 0);
    struct att_json *json = read_json(model, "attend.json");
    const struct att_json *topics = att_json_at(att_json_get(json, "heads"), 1),
                          *fitted = att_json_get(topics, "fitted"), *counts = att_json_get(fitted, "labels");
    assert_int_equal(att_json_number(att_json_get(fitted, "rows"), 0), 60);
    assert_true(att_json_number(att_json_get(fitted, "micro_f1"), 0) >
                att_json_number(att_json_get(fitted, "micro_f1_before"), 1));
    assert_int_equal(att_json_count(att_json_get(topics, "threshold")), 4);
    assert_int_equal(att_json_number(att_json_get(att_json_get(counts, "sport"), "expected"), 0), 30);
    assert_int_equal(att_json_number(att_json_get(att_json_get(counts, "sport"), "right"), 0), 30);
    assert_string_equal(att_json_string(att_json_get(topics, "problem_type"), NULL), "multi_label_classification");
    assert_null(att_json_get(topics, "out_of_scope"));
    att_json_destroy(json);
    /* Thirty right ones are not sure of .95: what was fitted is kept. Politics has none at all. */
    assert_int_equal(ATTEND("fit", "--model", model, "--base", base, "--data", data, "--precision", "0.95"), 0);
    assert_int_equal(ATTEND("eval", "--task", "classify", "--model", model, "--base", base, "--data", data), 0);
    struct att_json *again = read_json(model, "attend.json");
    topics = att_json_at(att_json_get(again, "heads"), 1);
    assert_true((float)att_json_number(att_json_get(att_json_get(topics, "threshold"), "politics"), 0) == 0.5f);
    att_json_destroy(again);
}

static void too_little_is_refused(void **state)
{
    (void)state;
    char model[128], data[128];
    snprintf(model, sizeof model, "%s", inside("model"));
    snprintf(data, sizeof data, "%s", inside("few.tsv"));
    write_rows(data, 8);
    assert_int_equal(ATTEND("fit", "--model", model, "--data", data), 1);
    assert_int_equal(ATTEND("fit", "--model", model), 2);
    assert_int_equal(ATTEND("fit", "--model", model, "--data", data, "--precision", "2"), 2);
}

static void a_head_is_trained_without_a_daemon(void **state)
{
    (void)state;
    char encoder[512], data[128], out[128], base[600];
    snprintf(encoder, sizeof encoder, "%s", model_file("st-bert-mean", ""));
    encoder[strlen(encoder) - 1] = '\0';
    snprintf(base, sizeof base, "st-bert-mean=%s", encoder);
    snprintf(data, sizeof data, "%s", inside("rows.tsv"));
    snprintf(out, sizeof out, "%s", inside("trained"));
    assert_int_equal(ATTEND("train-head", "--model", encoder, "--data", data, "--out", out), 0);
    struct att_json *json = read_json(out, "attend.json");
    assert_string_equal(att_json_string(att_json_get(json, "base"), NULL), "st-bert-mean");
    att_json_destroy(json);
    assert_int_equal(ATTEND("train-head", "--model", encoder, "--data", data, "--out", out), 1); /* the name is taken */
    assert_int_equal(ATTEND("eval", "--task", "classify", "--model", out, "--base", base, "--data", data), 0);
    /* Other weights under the name of the base. */
    snprintf(base, sizeof base, "st-bert-mean=%s", inside("model"));
    assert_int_equal(ATTEND("eval", "--task", "classify", "--model", out, "--base", base, "--data", data), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_of_the_checkpoint_is_calibrated),
        cmocka_unit_test(labels_get_thresholds),
        cmocka_unit_test(too_little_is_refused),
        cmocka_unit_test(a_head_is_trained_without_a_daemon),
    };
    return cmocka_run_group_tests_name("cli/fit", tests, start, stop);
}
