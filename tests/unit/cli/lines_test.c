/* Lines of any length and the parallel map over them: nothing lost, order kept, failures told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static FILE *file_of(const void *bytes, size_t len)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    rewind(file);
    return file;
}

static void expect_lines(const char *bytes, size_t len, const char *const *expected)
{
    FILE *file = file_of(bytes, len);
    struct cli_lines lines;
    char *text = NULL;
    size_t text_len = 0;
    cli_lines_init(&lines, file);
    for (size_t i = 0; expected[i]; i++) {
        assert_int_equal(cli_lines_next(&lines, &text, &text_len, NULL), ATT_OK);
        assert_non_null(text);
        assert_string_equal(text, expected[i]);
        assert_int_equal(text_len, strlen(expected[i]));
    }
    for (int i = 0; i < 2; i++) { /* the end stays the end */
        assert_int_equal(cli_lines_next(&lines, &text, &text_len, NULL), ATT_OK);
        assert_null(text);
    }
    cli_lines_finish(&lines);
    fclose(file);
}

#define LINES(bytes, ...) expect_lines(bytes, sizeof bytes - 1, (const char *const[]){__VA_ARGS__, NULL})

static void lines_end_as_files_do(void **state)
{
    (void)state;
    LINES("a\nb\n", "a", "b");
    LINES("a\nb", "a", "b");
    LINES("a\r\nb\r\n", "a", "b");
    LINES("\n\n a\n \t\n\nb\n\n", " a", "b");
    expect_lines("", 0, (const char *const[]){NULL});
    expect_lines("\n", 1, (const char *const[]){NULL});
}

static void numbers_count_blank_lines(void **state)
{
    (void)state;
    FILE *file = file_of("\na\n\n\nb", 6);
    struct cli_lines lines;
    char *text;
    size_t len;
    cli_lines_init(&lines, file);
    assert_int_equal(cli_lines_next(&lines, &text, &len, NULL), ATT_OK);
    assert_int_equal(lines.number, 2);
    assert_int_equal(cli_lines_next(&lines, &text, &len, NULL), ATT_OK);
    assert_int_equal(lines.number, 5);
    cli_lines_finish(&lines);
    fclose(file);
}

/* Around the buffer's steps, with NUL bytes inside. */
static void long_lines_come_whole(void **state)
{
    (void)state;
    static const size_t lengths[] = {65535, 65536, 65537, 131071, 200000, 1};
    size_t total = 0;
    for (size_t i = 0; i < 6; i++)
        total += lengths[i] + 1;
    char *bytes = malloc(total), *at = bytes;
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < lengths[i]; j++)
            *at++ = (char)((j * 31 + i) % 251 == 10 ? 0 : 'a' + (j + i) % 26);
        *at++ = '\n';
    }
    FILE *file = file_of(bytes, total);
    struct cli_lines lines;
    char *text;
    size_t len;
    at = bytes;
    cli_lines_init(&lines, file);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(cli_lines_next(&lines, &text, &len, NULL), ATT_OK);
        assert_int_equal(len, lengths[i]);
        assert_memory_equal(text, at, len);
        at += len + 1;
    }
    cli_lines_finish(&lines);
    fclose(file);
    free(bytes);
}

/* ---- the map ---- */

struct shared {
    atomic_int workers, lines;
    int workers_max;
};

static enum att_status create(void *context, void **ret_worker, struct att_err *err)
{
    struct shared *shared = context;
    int n = atomic_fetch_add(&shared->workers, 1);
    if (n >= shared->workers_max)
        return att_err_set(err, ATT_ENOMEM, "no more workers");
    *ret_worker = calloc(1, sizeof(int));
    return ATT_OK;
}

static void destroy(void *worker)
{
    free(worker);
}

/* Answers the line's length; a line "bad" fails. */
static bool answer(void *context, void *worker, const char *text, size_t len, struct att_jsonw *w)
{
    struct shared *shared = context;
    atomic_fetch_add(&shared->lines, 1);
    ++*(int *)worker;
    att_jsonw_array_begin(w);
    att_jsonw_string(w, text, len);
    att_jsonw_int(w, (int64_t)len);
    att_jsonw_array_end(w);
    return strcmp(text, "bad") != 0;
}

static char *mapped(struct shared *shared, const char *input, size_t threads, int *ret_status)
{
    const struct cli_map map = {shared, create, destroy, answer};
    FILE *in = file_of(input, strlen(input)), *out = tmpfile();
    *ret_status = cli_map_run(&map, "test", in, out, threads);
    long size = ftell(out);
    char *text = calloc((size_t)size + 1, 1);
    rewind(out);
    assert_int_equal(fread(text, 1, (size_t)size, out), size);
    fclose(in);
    fclose(out);
    return text;
}

static void order_does_not_depend_on_threads(void **state)
{
    (void)state;
    size_t capacity = 40000, len = 0;
    char *input = malloc(capacity);
    for (int i = 0; i < 3000; i++)
        len += (size_t)snprintf(input + len, capacity - len, "line %d\n%s", i, i % 7 ? "" : "\n");
    struct shared shared = {.workers_max = 100};
    int status;
    char *one = mapped(&shared, input, 1, &status);
    assert_int_equal(status, CLI_OK);
    assert_int_equal(strncmp(one, "[\"line 0\",6]\n[\"line 1\",6]\n", 26), 0);
    for (size_t threads = 2; threads <= 5; threads++) {
        char *many = mapped(&shared, input, threads, &status);
        assert_int_equal(status, CLI_OK);
        assert_string_equal(many, one);
        free(many);
    }
    assert_int_equal(atomic_load(&shared.lines), 5 * 3000);
    free(one);
    free(input);
}

static void a_failed_line_fails_the_whole_and_stops_nothing(void **state)
{
    (void)state;
    struct shared shared = {.workers_max = 2};
    int status;
    char *text = mapped(&shared, "a\nbad\nc\n", 2, &status);
    assert_int_equal(status, CLI_FAILED);
    assert_string_equal(text, "[\"a\",1]\n[\"bad\",3]\n[\"c\",1]\n");
    free(text);
}

static void a_worker_that_cannot_be_made_fails_the_whole(void **state)
{
    (void)state;
    struct shared shared = {.workers_max = 2};
    int status;
    char *text = mapped(&shared, "a\n", 4, &status);
    assert_int_equal(status, CLI_FAILED);
    assert_string_equal(text, "");
    free(text);
}

static int silence(void **state)
{
    (void)state;
    return freopen("/dev/null", "w", stderr) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_as_files_do),
        cmocka_unit_test(numbers_count_blank_lines),
        cmocka_unit_test(long_lines_come_whole),
        cmocka_unit_test(order_does_not_depend_on_threads),
        cmocka_unit_test(a_failed_line_fails_the_whole_and_stops_nothing),
        cmocka_unit_test(a_worker_that_cannot_be_made_fails_the_whole),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
