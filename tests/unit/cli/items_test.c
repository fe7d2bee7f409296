/* attend items by the built program: what is imported is exported the same, as JSON lines and CSV, and what is wrong is
 * told by its line before anything is stored. */
#include "tests/unit/cli/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/attend-items-cli-XXXXXX";
static char model[4096], encoder[4096], db[128], file[128];

static void import(const char *ending, const char *text, int status, const char *words)
{
    snprintf(file, sizeof file, "%s/items%s", folder, ending);
    write_file(file, text);
    EXPECT(status, words, "items", "import", "--catalogue", db, "--model", model, "--encoder", encoder, "--file", file);
    unlink(file);
}

static char *export(const char *format)
{
    int status;
    char *text =
        strdup(program_run(&status, (const char *const[]){"items", "export", "--catalogue", db, "--model", model,
                                                          "--encoder", encoder, "--format", format, NULL}));
    assert_int_equal(status, 0);
    return text;
}

static const char lines[] = "{\"id\":\"11\",\"available\":false}\n"
                            "{\"id\":\"a,b\",\"title\":\"Say \\\"hi\\\"\",\"text\":\"two\\nlines\","
                            "\"metadata\":{\"kind\":[\"x\",\"y\"],\"year\":2024},\"popularity\":7}\n"
                            "{\"id\":\"新\",\"title\":\"新商品\"}\n";

static void what_is_exported_can_be_imported(void **state)
{
    (void)state;
    import(".jsonl", lines, 0, "3 items written, 2 embedded");
    char *jsonl = export("jsonl"), *csv = export("csv");
    assert_string_equal(jsonl, lines);
    assert_string_equal(csv,
                        "id,title,text,metadata,popularity,available\r\n"
                        "11,,,,,false\r\n"
                        "\"a,b\",\"Say \"\"hi\"\"\",\"two\nlines\",\"{\"\"kind\"\":[\"\"x\"\",\"\"y\"\"],\"\"year\"\":"
                        "2024}\",7,\r\n"
                        "新,新商品,,,,\r\n");
    unlink(db);
    import(".csv", csv, 0, "3 items written, 2 embedded");
    char *again = export("jsonl");
    assert_string_equal(again, lines);
    free(jsonl);
    free(csv);
    free(again);
}

/* Columns that are no field are metadata, as texts; an empty cell says nothing. */
static void other_columns_are_metadata(void **state)
{
    (void)state;
    unlink(db);
    import(".csv", "id,title,colour,available\nshoe,Shoe,red,true\nhat,Hat,,\n", 0, "2 items written");
    char *jsonl = export("jsonl");
    assert_string_equal(jsonl, "{\"id\":\"hat\",\"title\":\"Hat\"}\n"
                               "{\"id\":\"shoe\",\"title\":\"Shoe\",\"metadata\":{\"colour\":\"red\"}}\n");
    free(jsonl);
}

/* The good lines before a bad one are not stored either. */
static void refuses_by_line(void **state)
{
    static const struct {
        const char *ending, *text, *says;
    } cases[] = {
        {".jsonl", "{\"id\":\"ok\"}\n\n{\"id\":\"b\",\"title\":3}\n", "items.jsonl: line 3: title: is number"},
        {".jsonl", "{\"id\":\"ok\"}\n{\"title\":\"x\"}\n", "line 2: id: is nothing"},
        {".jsonl", "{\"id\":\"ok\"}\n{\"id\":\"b\",\"year\":1}\n", "line 2: year: is not a field"},
        {".jsonl", "{\"id\":\"ok\"}\n{\"id\":\n", "line 2: not JSON"},
        {".jsonl", "{\"id\":\"ok\"}\n[]\n", "line 2: items[0]: is array"},
        {".jsonl", "{\"id\":\"ok\",\"popularity\":-1}\n", "line 1: popularity:"},
        {".csv", "title\nx\n", "has no column id"},
        {".csv", "id,title\nok,a\nb\n", "line 3: has 1 columns, expected 2"},
        {".csv", "id,metadata\nok,[]\n", "line 2: metadata"},
    };
    (void)state;
    unlink(db);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        import(cases[i].ending, cases[i].text, 1, cases[i].says);
    char *none = export("jsonl");
    assert_string_equal(none, "");
    free(none);
}

static void says_what_is_missing(void **state)
{
    (void)state;
    EXPECT(2, "--catalogue is missing", "items", "export", "--model", model);
    EXPECT(2, "--file is missing", "items", "import", "--model", model, "--catalogue", db);
    EXPECT(2, "expected index, import or export", "items", "list", "--model", model);
    EXPECT(2, "expected jsonl or csv", "items", "export", "--model", model, "--catalogue", db, "--format", "xml");
    EXPECT(1, "No such file", "items", "export", "--model", model, "--catalogue", "/tmp/attend-no-such.db");
    /* One catalogue has the vectors of one encoder. */
    EXPECT(1, db, "items", "export", "--model", model, "--encoder", model, "--catalogue", db);
    EXPECT(1, "is no recommender", "items", "import", "--model", encoder, "--catalogue", file, "--file", "x.jsonl");
}

static int setup(void **state)
{
    const char *source = getenv("ATT_SOURCE_ROOT");
    (void)state;
    if (!source || !mkdtemp(folder))
        return -1;
    snprintf(model, sizeof model, "%s/tests/data/models/sasrec", source);
    snprintf(encoder, sizeof encoder, "%s/tests/data/models/st-bert-mean", source);
    snprintf(db, sizeof db, "%s/items.db", folder);
    program_start(folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(db);
    program_stop();
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_exported_can_be_imported),
        cmocka_unit_test(other_columns_are_metadata),
        cmocka_unit_test(refuses_by_line),
        cmocka_unit_test(says_what_is_missing),
    };
    return cmocka_run_group_tests_name("cli/items", tests, setup, teardown);
}
