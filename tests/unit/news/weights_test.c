/* The file of source weights: what it may hold, and one sentence with the line for every mistake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "news/weights.h"

static char path[] = "/tmp/attend-weights-XXXXXX";

static enum att_status load(const char *text, struct news_weights *weights, struct att_err *err)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    return news_weights_load(path, weights, err);
}

static void refuses(const char *text, int line, const char *words)
{
    struct news_weights weights;
    struct att_err err = {.message = ""};
    char where[64];
    snprintf(where, sizeof where, "%s:%d: ", path, line);
    assert_int_equal(load(text, &weights, &err), ATT_EFORMAT);
    if (strncmp(err.message, where, strlen(where)) != 0 || !strstr(err.message, words))
        fail_msg("'%s', expected '%s%s'", err.message, where, words);
}

static double weight_of(const struct news_weights *weights, const char *name)
{
    uint32_t index = news_names_find(&weights->names, name);
    return index == NEWS_NAMES_NONE ? -1 : weights->weights[index];
}

static void test_weights(void **state)
{
    struct news_weights weights;
    struct att_err err;
    (void)state;
    assert_int_equal(load("# a\n\n 3\tReuters \r\n0.25  some forum\n1000 证券时报", &weights, &err), ATT_OK);
    assert_int_equal(weights.names.n, 3);
    assert_true(weight_of(&weights, "Reuters") == 3);
    assert_true(weight_of(&weights, "some forum") == 0.25);
    assert_true(weight_of(&weights, "证券时报") == 1000);
    assert_true(weight_of(&weights, "reuters") == -1);
    news_weights_finish(&weights);
    assert_int_equal(load("", &weights, &err), ATT_OK);
    assert_int_equal(weights.names.n, 0);
    news_weights_finish(&weights);
}

static void test_many(void **state)
{
    static char text[1 << 16];
    struct news_weights weights;
    struct att_err err;
    size_t len = 0;
    (void)state;
    for (int i = 0; i < 1000; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%d source %d\n", i % 10, i);
    assert_int_equal(load(text, &weights, &err), ATT_OK);
    assert_int_equal(weights.names.n, 1000);
    assert_true(weight_of(&weights, "source 997") == 7);
    news_weights_finish(&weights);
}

static void test_refusals(void **state)
{
    struct news_weights weights;
    struct att_err err;
    char line[2000];
    (void)state;
    refuses("1 a\nheavy b\n", 2, "expected a weight from 0 to 1000");
    refuses("1\n", 1, "expected a weight");
    refuses("-1 a\n", 1, "expected a weight");
    refuses("nan a\n", 1, "expected a weight");
    refuses("1e9 a\n", 1, "expected a weight");
    refuses("1001 a\n", 1, "expected a weight");
    refuses("1a b\n", 1, "expected a weight");
    refuses("1 a\xff\n", 1, "expected a weight");
    refuses("1 a\n2 a\n", 2, "'a' was given before");
    memset(line, 'a', sizeof line - 1);
    memcpy(line, "1 ", 2);
    line[sizeof line - 1] = '\0';
    refuses(line, 1, "the line is longer than");
    assert_int_equal(news_weights_load("/nowhere/weights", &weights, &err), ATT_EIO);
    assert_int_equal(news_weights_load("/tmp", &weights, &err), ATT_EFORMAT);
}

static int setup(void **state)
{
    int fd = mkstemp(path);
    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
