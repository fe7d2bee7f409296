/* The command line: what is accepted, what is refused with status 2, and that a command sees its own options only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

enum { ARGS_MAX = 300 };

/* A NULL-ended list of words as argv. */
static int parse(const char *allowed, struct cli_options *options, const char *const *words)
{
    static char *words_of[ARGS_MAX + 1], *argv[ARGS_MAX + 1]; /* options point at the words until the next call */
    int argc = 0;
    for (int i = 0; words_of[i]; i++)
        free(words_of[i]);
    argv[argc++] = strdup("bench");
    for (; words[argc - 1] && argc < ARGS_MAX; argc++)
        argv[argc] = strdup(words[argc - 1]);
    argv[argc] = NULL;
    memcpy(words_of, argv, sizeof argv); /* getopt reorders argv */
    return cli_options_parse(argc, argv, allowed, "usage: …", options);
}

#define PARSE(allowed, options, ...) parse(allowed, options, (const char *const[]){__VA_ARGS__, NULL})

/* Messages go to stderr and help to stdout, where TAP would be disturbed. */
static int silence(void **state)
{
    (void)state;
    return freopen("/dev/null", "w", stderr) ? 0 : -1;
}

static void values_are_read(void **state)
{
    (void)state;
    struct cli_options options;
    assert_int_equal(PARSE("model base threads batch-tokens seconds json map", &options, "--model", "a", "--threads",
                           "7", "--base=x=b", "--base", "y=c", "--batch-tokens", "1048576", "--seconds", "0.25",
                           "--json", "--map", "old=new=er", "DIR", "more"),
                     -1);
    assert_string_equal(options.model, "a");
    assert_int_equal(options.threads, 7);
    assert_int_equal(options.batch_tokens, 1 << 20);
    assert_true(options.seconds == 0.25 && options.json && !options.with_tokenizer);
    assert_int_equal(options.n_bases, 2);
    assert_string_equal(options.bases[1], "y=c");
    assert_string_equal(options.maps[0], "old=new=er");
    assert_int_equal(options.n_rest, 2);
    assert_string_equal(options.rest[1], "more");
    assert_null(options.data);
}

static void nothing_given_is_nothing_set(void **state)
{
    (void)state;
    struct cli_options options;
    const char *const none[] = {NULL};
    memset(&options, 0xff, sizeof options);
    assert_int_equal(parse("model threads", &options, none), -1);
    assert_true(!options.model && options.threads == 0 && options.n_rest == 0 && options.seconds == 0);
}

static void wrong_values_are_usage_errors(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"--threads", "0"},      {"--threads", "257"}, {"--threads", "-1"},  {"--threads", "2x"},
        {"--threads", ""},       {"--threads", " 2"},  {"--threads", "1e2"}, {"--threads", "99999999999999999999"},
        {"--batch-tokens", "0"}, {"--seconds", "0"},   {"--seconds", "nan"}, {"--seconds", "3601"},
        {"--seconds", "fast"},   {"--dtype", "fp64"},  {"--dtype", ""},      {"--base", "noequals"},
        {"--base", "=dir"},      {"--base", "name="},  {"--map", "x"},       {"--nosuch", "1"},
    };
    struct cli_options options;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(PARSE("threads batch-tokens seconds dtype base map", &options, bad[i][0], bad[i][1]),
                         CLI_USAGE);
    assert_int_equal(PARSE("model", &options, "--model"), CLI_USAGE);
    assert_int_equal(PARSE("dtype", &options, "--dtype", "int8"), -1);
    assert_int_equal(options.dtype, ATT_INT8);
}

/* --data is an option, but not of this command; "task" is no part of "with-tokenizer". */
static void options_of_other_commands_are_unknown(void **state)
{
    (void)state;
    struct cli_options options;
    assert_int_equal(PARSE("model with-tokenizer", &options, "--data", "x"), CLI_USAGE);
    assert_int_equal(PARSE("with-tokenizer", &options, "--input", "x"), CLI_USAGE);
    assert_int_equal(PARSE("max-length", &options, "--map", "a=b"), CLI_USAGE);
}

static void lists_are_bounded(void **state)
{
    (void)state;
    const char *words[2 * (CLI_BASES_MAX + 1) + 1] = {NULL};
    struct cli_options options;
    for (size_t i = 0; i < CLI_BASES_MAX; i++) {
        words[2 * i] = "--base";
        words[2 * i + 1] = "a=b";
    }
    assert_int_equal(parse("base", &options, words), -1);
    assert_int_equal(options.n_bases, CLI_BASES_MAX);
    words[2 * CLI_BASES_MAX] = "--base";
    words[2 * CLI_BASES_MAX + 1] = "a=b";
    assert_int_equal(parse("base", &options, words), CLI_USAGE);
}

static void help_ends_well(void **state)
{
    (void)state;
    struct cli_options options;
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    assert_non_null(freopen("/dev/null", "w", stdout));
    int first = PARSE("model", &options, "--help"), second = PARSE("model", &options, "-h");
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    assert_int_equal(first, CLI_OK);
    assert_int_equal(second, CLI_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(nothing_given_is_nothing_set),
        cmocka_unit_test(wrong_values_are_usage_errors),
        cmocka_unit_test(options_of_other_commands_are_unknown),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(help_ends_well),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
