/* Knowledge-base files: CSV as spreadsheets write it, JSONL, and what is refused by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/table_file.h"

static char folder[64], path[96];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/attend-file-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder);
}

static enum att_status read_text(const char *ending, const char *text, struct cli_table_file *file, struct att_err *err)
{
    snprintf(path, sizeof path, "%s/kb%s", folder, ending);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    enum att_status status = cli_table_file_read(path, &cli_kb_columns, file, err);
    unlink(path);
    return status;
}

static void reads_csv_as_spreadsheets_write_it(void **state)
{
    (void)state;
    struct cli_table_file file;
    struct att_err err = {.message = ""};
    if (read_text(".csv",
                  "\xef\xbb\xbfid,question,answer,alternates,lang,topic,prompts,context_only\r\n"
                  "1,\"Where, \"\"exactly\"\"?\",\"Two\nlines\",track|find it,en,orders,2|3,true\r\n"
                  "\r\n"
                  "2,怎么退货？,打开订单。,,zh,,,\r\n",
                  &file, &err) != ATT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(file.count, 2);
    assert_string_equal(file.entries[0],
                        "{\"id\":1,\"question\":\"Where, \\\"exactly\\\"?\",\"answer\":\"Two\\nlines\",\"alternates\":"
                        "[\"track\",\"find it\"],\"lang\":\"en\",\"prompts\":[2,3],\"context_only\":true,"
                        "\"metadata\":{\"topic\":\"orders\"}}");
    assert_string_equal(file.entries[1],
                        "{\"id\":2,\"question\":\"怎么退货？\",\"answer\":\"打开订单。\",\"lang\":\"zh\","
                        "\"metadata\":{}}");
    assert_int_equal(file.numbers[0], 2);
    assert_int_equal(file.numbers[1], 5);
    cli_table_file_finish(&file);
}

static void reads_jsonl_and_skips_blank_lines(void **state)
{
    (void)state;
    struct cli_table_file file;
    assert_int_equal(read_text(".jsonl", "\xef\xbb\xbf{\"id\":1}\n\n  \r\n{\"id\":2}", &file, NULL), ATT_OK);
    assert_int_equal(file.count, 2);
    assert_string_equal(file.entries[0], "{\"id\":1}");
    assert_string_equal(file.entries[1], "{\"id\":2}");
    assert_int_equal(file.numbers[1], 4);
    cli_table_file_finish(&file);
}

static void refuses_by_line(void **state)
{
    (void)state;
    static const struct {
        const char *ending, *text, *says;
    } cases[] = {
        {".csv", "id,question,answer\n1,a\n", "kb.csv: line 2: has 2 columns, expected 3"},
        {".csv", "id,question,answer\n1,\"a\n", "kb.csv: line 2: a quoted field is not closed"},
        {".csv", "id;question;answer\n1;a;b\n",
         "line 1: has no column id, expected names with commas between: \"id;que"},
        {".csv", "id,question,reply\n", "line 1: has no column answer"},
        {".csv", "\"id", "kb.csv: line 1: a quoted field is not closed"},
        {".csv", "id,question,answer\n1,\xc4\xe3,b\n",
         "is not UTF-8; of a spreadsheet, save it as CSV UTF-8"}, /* GBK */
        {".jsonl", "\xff\n", "is not UTF-8"},
        {".txt", "", "ends in .jsonl or .csv"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cli_table_file file;
        struct att_err err = {.message = ""};
        assert_int_not_equal(read_text(cases[i].ending, cases[i].text, &file, &err), ATT_OK);
        if (!strstr(err.message, cases[i].says))
            fail_msg("case %zu: '%s' does not say '%s'", i, err.message, cases[i].says);
        cli_table_file_finish(&file);
    }
    struct cli_table_file file;
    assert_int_equal(cli_table_file_read("/nonexistent.csv", &cli_kb_columns, &file, NULL), ATT_ENOTFOUND);
    cli_table_file_finish(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_csv_as_spreadsheets_write_it),
        cmocka_unit_test(reads_jsonl_and_skips_blank_lines),
        cmocka_unit_test(refuses_by_line),
    };
    return cmocka_run_group_tests_name("cli/table_file", tests, setup, teardown);
}
