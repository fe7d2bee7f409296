/* The built program: exit statuses, one line that says what is wrong, answers of whole commands on tiny models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/attend.h"

extern char **environ;

static char work_dir[] = "/tmp/attend-commands-XXXXXX";
static char plain[4096], encoder[4096], heads[4096], base[4200], program[4096];

struct result {
    int status;
    char *out, *err;
};

static char *in_work(char path[256], const char *name)
{
    snprintf(path, 256, "%s/%s", work_dir, name);
    return path;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t capacity = 1 << 22;
    char *text = calloc(capacity, 1);
    assert_non_null(file);
    assert_true(fread(text, 1, capacity - 1, file) < capacity - 1);
    fclose(file);
    return text;
}

/* attend with these words and this standard input. */
static struct result attend(const char *input, const char *const *words)
{
    char in[256], out[256], err[256];
    char *argv[32] = {program};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int n = 1, status = -1;
    for (; words[n - 1]; n++)
        argv[n] = strdup(words[n - 1]);
    write_file(in_work(in, "in"), input);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, in, O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, in_work(out, "out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, in_work(err, "err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(posix_spawn(&pid, program, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    for (int i = 1; i < n; i++)
        free(argv[i]);
    assert_true(WIFEXITED(status));
    return (struct result){WEXITSTATUS(status), read_file(out), read_file(err)};
}

#define ATTEND(input, ...) attend(input, (const char *const[]){__VA_ARGS__, NULL})

static void drop(struct result *result)
{
    free(result->out);
    free(result->err);
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

/* Exit status, and one line on stderr that holds `words`. */
static void expect_refusal(struct result result, int status, const char *words)
{
    if (result.status != status || !strstr(result.err, words))
        fail_msg("status %d, expected %d; '%s' does not hold '%s'", result.status, status, result.err, words);
    assert_int_equal(count_lines(result.err), 1);
    drop(&result);
}

static void no_command_and_wrong_commands(void **state)
{
    (void)state;
    const char *const none[] = {NULL};
    struct result result = attend("", none);
    assert_int_equal(result.status, 2);
    drop(&result);
    result = ATTEND("", "--help");
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "classify"));
    drop(&result);
    result = ATTEND("", "--version");
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "gemm "));
    drop(&result);
    expect_refusal(ATTEND("", "clasify"), 2, "clasify");
    expect_refusal(ATTEND("", "classify"), 2, "--model");
    expect_refusal(ATTEND("", "run", "--model", "/nonexistent"), 1, "/nonexistent");
    expect_refusal(ATTEND("", "check"), 2, "directory");
}

/* Every command explains itself. */
static void every_command_has_help(void **state)
{
    (void)state;
    static const char *const commands[] = {"run",    "check", "inspect",   "classify", "embed",
                                           "rerank", "eval",  "recommend", "reply",    "bench"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct result result = ATTEND("", commands[i], "--help");
        assert_int_equal(result.status, 0);
        assert_int_equal(strncmp(result.out, "usage: attend ", 14), 0);
        assert_string_equal(result.err, "");
        drop(&result);
    }
}

static void check_says_yes_or_why_not(void **state)
{
    (void)state;
    char folder[256], config[300];
    struct result result = ATTEND("", "check", plain);
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "ok"));
    assert_string_equal(result.err, "");
    drop(&result);
    expect_refusal(ATTEND("", "check", heads), 1, "encoder");
    result = ATTEND("", "check", heads, "--base", base);
    assert_int_equal(result.status, 0);
    drop(&result);
    in_work(folder, "broken");
    assert_int_equal(mkdir(folder, 0700), 0);
    expect_refusal(ATTEND("", "check", folder), 1, "config.json");
    snprintf(config, sizeof config, "%s/config.json", folder);
    write_file(config, "{\"model_type\":\"unheard-of\"}");
    expect_refusal(ATTEND("", "check", folder), 1, "config.json: model_type: 'unheard-of'");
    unlink(config);
    rmdir(folder);
}

static struct att_json *parsed(const char *text)
{
    struct att_json *root = NULL;
    struct att_err err;
    if (att_json_parse(text, strlen(text), 0, 32, &root, &err) != ATT_OK)
        fail_msg("%s: %.200s", err.message, text);
    return root;
}

static void inspect_tells_what_is_inside(void **state)
{
    (void)state;
    struct result result = ATTEND("", "inspect", heads, "--base", base, "--json");
    struct att_json *root = parsed(result.out);
    assert_int_equal(result.status, 0);
    assert_string_equal(att_json_string(att_json_get(root, "architecture"), NULL), "bert");
    assert_string_equal(att_json_string(att_json_get(root, "base"), NULL), "encoder");
    assert_int_equal(att_json_number(att_json_get(root, "max_tokens"), 0), 40);
    assert_int_equal(att_json_count(att_json_get(root, "heads")), 2);
    assert_true(att_json_count(att_json_get(root, "tensors")) == 8);
    att_json_destroy(root);
    drop(&result);
    result = ATTEND("", "inspect", plain);
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "classifier.weight [3,32]"));
    drop(&result);
}

/* A request a line, an answer a line, in order; a bad line answers its error and the status is 1. */
static void offline_tasks_answer_line_by_line(void **state)
{
    (void)state;
    static const char input[] = "{\"input\":\"one\"}\n\n{\"input\":\n{\"input\":[\"two\",\"three\"]}\n{\"inptu\":1}\n";
    struct result result = ATTEND(input, "classify", "--model", plain, "--threads", "3");
    assert_int_equal(result.status, 1);
    assert_int_equal(count_lines(result.out), 4);
    char *at = result.out;
    for (int i = 0; i < 4; i++) {
        char *end = strchr(at, '\n');
        *end = '\0';
        struct att_json *line = parsed(at);
        bool failed = att_json_get(line, "error") != NULL;
        assert_int_equal(failed, i == 1 || i == 3);
        if (i == 2)
            assert_int_equal(att_json_count(att_json_get(line, "data")), 2);
        if (i == 3)
            assert_string_equal(att_json_string(att_json_get(att_json_get(line, "error"), "param"), NULL), "inptu");
        att_json_destroy(line);
        at = end + 1;
    }
    drop(&result);
    result = ATTEND("{\"input\":\"one\",\"encoding_format\":\"base64\"}", "embed", "--model", encoder);
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "\"embedding\":\""));
    drop(&result);
    result = ATTEND("{\"query\":\"one\",\"documents\":[\"two\",\"one\"]}", "rerank", "--model", encoder);
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "\"results\":[{\"index\":1"));
    drop(&result);
    result = ATTEND("{\"input\":\"cat\"}", "classify", "--model", heads, "--base", base);
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "\"topics\""));
    drop(&result);
}

/* Sport is expected twice and weather once; the sums of the labels give micro-F1. */
static void expect_topics(const struct att_json *figures)
{
    const struct att_json *labels = att_json_get(figures, "labels"), *one;
    struct att_json_iter iter;
    const char *name;
    double expected = 0, predicted = 0, right = 0;
    assert_int_equal(att_json_count(labels), 4);
    att_json_iter_init(&iter, labels);
    while (att_json_iter_next(&iter, &name, &one)) {
        expected += att_json_number(att_json_get(one, "expected"), -1);
        predicted += att_json_number(att_json_get(one, "predicted"), -1);
        right += att_json_number(att_json_get(one, "right"), -1);
    }
    assert_true(expected == 3);
    assert_true(att_json_number(att_json_get(att_json_get(labels, "sport"), "expected"), 0) == 2);
    double micro = att_json_number(att_json_get(figures, "micro_f1"), -1), wanted = 2 * right / (expected + predicted);
    assert_true(micro > wanted - 1e-4 && micro < wanted + 1e-4);
    assert_int_equal(att_json_count(att_json_get(att_json_get(figures, "intervals"), "micro_f1")), 2);
}

static void eval_reads_jsonl_and_tsv(void **state)
{
    (void)state;
    char data[256], tsv[256];
    in_work(data, "data.jsonl");
    in_work(tsv, "data.tsv");
    write_file(data, "{\"text\":\"cat\",\"labels\":{\"sentiment\":\"neutral\"}}\n"
                     "{\"text\":\"xyzzy\",\"label\":\"positive\"}\n"
                     "{\"text\":\"the dog plays outside\",\"label\":\"unknown\"}\n");
    struct result result =
        ATTEND("", "eval", "--task", "classify", "--model", heads, "--base", base, "--data", data, "--json");
    struct att_json *root = parsed(result.out);
    const struct att_json *figures = att_json_get(root, "sentiment");
    assert_int_equal(result.status, 0);
    assert_int_equal(att_json_number(att_json_get(figures, "rows"), 0), 2);
    assert_true(att_json_number(att_json_get(figures, "accuracy"), 0) == 0.5);
    assert_int_equal(att_json_number(att_json_get(figures, "out_of_scope_rows"), 0), 1);
    assert_true(att_json_number(att_json_get(figures, "auroc"), 0) == 1);
    assert_true(att_json_number(att_json_get(figures, "recall"), 0) == 1);
    att_json_destroy(root);
    drop(&result);
    write_file(data, "{\"text\":\"cat\",\"labels\":[\"sport\",\"weather\"]}\n"
                     "{\"text\":\"xyzzy\",\"labels\":{\"topics\":[],\"sentiment\":\"neutral\"}}\n"
                     "{\"text\":\"the dog plays outside\",\"label\":\"sport\"}\n");
    result = ATTEND("", "eval", "--task", "classify", "--model", heads, "--base", base, "--data", data, "--head",
                    "topics", "--json");
    assert_int_equal(result.status, 0);
    root = parsed(result.out);
    figures = att_json_get(root, "topics");
    assert_int_equal(att_json_number(att_json_get(figures, "rows"), 0), 3);
    assert_int_equal(att_json_number(att_json_get(att_json_get(root, "sentiment"), "rows"), 0), 1);
    expect_topics(figures);
    att_json_destroy(root);
    drop(&result);
    write_file(data, "{\"text\":\"cat\",\"labels\":{\"sentiment\":[\"neutral\"]}}\n");
    expect_refusal(ATTEND("", "eval", "--task", "classify", "--model", heads, "--base", base, "--data", data), 1,
                   "expected a label");
    write_file(data, "{\"text\":\"cat\",\"labels\":{\"topics\":[\"sport\",7]}}\n");
    expect_refusal(ATTEND("", "eval", "--task", "classify", "--model", heads, "--base", base, "--data", data), 1,
                   "label 1 is number");
    write_file(data, "{\"text\":\"cat\",\"labels\":{\"topics\":[\"unknown\"]}}\n");
    expect_refusal(ATTEND("", "eval", "--task", "classify", "--model", heads, "--base", base, "--data", data), 1,
                   "'unknown'");
    write_file(tsv,
               "label\ttext\ngood\tThe company beat expectations and the stock rose 5%.\nbad\tcafé résumé naïve\n");
    result = ATTEND("", "eval", "--task", "classify", "--model", plain, "--data", tsv, "--map", "good=positive",
                    "--map", "bad=neutral");
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "accuracy                           1.0000"));
    drop(&result);
    expect_refusal(ATTEND("", "eval", "--task", "classify", "--model", plain, "--data", tsv), 1, "line 2: 'good'");
    expect_refusal(ATTEND("", "eval", "--task", "classify", "--model", plain, "--data", tsv, "--head", "nope"), 1,
                   "'nope'");
    write_file(tsv, "text\tlabel\n");
    expect_refusal(ATTEND("", "eval", "--task", "classify", "--model", plain, "--data", tsv), 1, "header");
    write_file(data, "{\"text\":\"a\"}\n");
    expect_refusal(ATTEND("", "eval", "--task", "classify", "--model", plain, "--data", data), 1, "line 1");
    write_file(data, "");
    expect_refusal(ATTEND("", "eval", "--task", "classify", "--model", plain, "--data", data), 1, "no text");
    expect_refusal(ATTEND("", "eval", "--task", "classify", "--model", encoder, "--data", data), 1, "head");
    expect_refusal(ATTEND("", "eval", "--task", "sing", "--model", encoder, "--data", data), 2, "'sing'");
    unlink(data);
    unlink(tsv);
}

static void bench_prints_one_json_line(void **state)
{
    (void)state;
    static const char *const numbers[] = {"texts_per_s", "tokens_per_s", "gflops",  "p50_ms",
                                          "p99_ms",      "rss_mib",      "load_ms", "threads"};
    char data[256];
    in_work(data, "texts.jsonl");
    write_file(data, "{\"text\":\"a short text\"}\n{\"text\":\"\"}\n{\"text\":\"another one that is longer\"}\n");
    struct result result = ATTEND("", "bench", "--model", plain, "--input", data, "--seconds", "0.05", "--threads", "2",
                                  "--with-tokenizer");
    assert_int_equal(result.status, 0);
    assert_int_equal(count_lines(result.out), 1);
    struct att_json *root = parsed(result.out);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_true(att_json_number(att_json_get(root, numbers[i]), -1) > 0);
    assert_string_equal(att_json_string(att_json_get(root, "dtype"), NULL), "f32");
    assert_non_null(att_json_string(att_json_get(root, "isa"), NULL));
    att_json_destroy(root);
    drop(&result);
    write_file(data, "{\"text\":5}\n");
    expect_refusal(ATTEND("", "bench", "--model", plain, "--input", data), 1, "line 1: text");
    expect_refusal(ATTEND("", "bench", "--model", plain), 2, "--input");
    unlink(data);
}

static int start(void **state)
{
    const char *source = getenv("ATT_SOURCE_ROOT"), *build = getenv("ATT_BUILD_ROOT");
    (void)state;
    source = source ? source : ".";
    snprintf(program, sizeof program, "%s/attend", build ? build : ".");
    snprintf(plain, sizeof plain, "%s/tests/data/models/bert-sentiment", source);
    snprintf(encoder, sizeof encoder, "%s/tests/data/models/st-bert-mean", source);
    snprintf(heads, sizeof heads, "%s/tests/data/models/two-heads", source);
    snprintf(base, sizeof base, "encoder=%s", encoder);
    return mkdtemp(work_dir) ? 0 : -1;
}

static int stop(void **state)
{
    static const char *const names[] = {"in", "out", "err", "data.jsonl", "data.tsv", "texts.jsonl"};
    char path[256];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(in_work(path, names[i]));
    return rmdir(work_dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_command_and_wrong_commands),     cmocka_unit_test(every_command_has_help),
        cmocka_unit_test(check_says_yes_or_why_not),         cmocka_unit_test(inspect_tells_what_is_inside),
        cmocka_unit_test(offline_tasks_answer_line_by_line), cmocka_unit_test(eval_reads_jsonl_and_tsv),
        cmocka_unit_test(bench_prints_one_json_line),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
