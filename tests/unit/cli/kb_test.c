/* attend kb by the built program: import, its refusals by line, idempotence, export; reply and retrieval over it. */
#include "tests/unit/cli/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/attend-kb-cli-XXXXXX";
static char model[4096], db[128], file[128];

static void import(const char *ending, const char *text, int status, const char *words)
{
    snprintf(file, sizeof file, "%s/entries%s", folder, ending);
    write_file(file, text);
    EXPECT(status, words, "kb", "import", "--kb", db, "--model", model, "--file", file);
    unlink(file);
}

static const char two[] =
    "{\"id\":1,\"lang\":\"en\",\"question\":\"where is my order\",\"answer\":\"Here.\",\"alternates\":[\"track it\"]}\n"
    "\n{\"id\":2,\"lang\":\"zh\",\"question\":\"怎么退货\",\"answer\":\"打开订单。\",\"metadata\":{\"topic\":"
    "\"returns\"}}\n";

static void importing_twice_changes_nothing(void **state)
{
    (void)state;
    import(".jsonl", two, 0, "2 entries read, 2 written, 0 unchanged");
    import(".jsonl", two, 0, "2 entries read, 0 written, 2 unchanged");
    import(".csv", "id,question,answer,lang,alternates\n1,where is my order,There.,en,track it\n", 0,
           "1 entries read, 1 written, 0 unchanged");
    EXPECT(0, "\"answer\":\"There.\"", "kb", "export", "--kb", db, "--model", model);
    EXPECT(0, "2\tzh\t0\t怎么退货", "kb", "list", "--kb", db, "--model", model);
}

static void what_is_exported_can_be_imported(void **state)
{
    (void)state;
    int status;
    import(".jsonl", two, 0, "2 entries read");
    char *text =
        strdup(program_run(&status, (const char *const[]){"kb", "export", "--kb", db, "--model", model, NULL}));
    assert_int_equal(status, 0);
    import(".jsonl", text, 0, "2 entries read, 0 written, 2 unchanged");
    free(text);
}

/* db becomes another file of the folder; answers the name that it had. */
static char *other_db(const char *name)
{
    char *before = strdup(db);
    snprintf(db, sizeof db, "%s/%s", folder, name);
    return before;
}

static void back_to(char *before)
{
    char name[sizeof db + 8];
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", db, i == 0 ? "" : i == 1 ? "-shm" : "-wal");
        unlink(name);
    }
    snprintf(db, sizeof db, "%s", before);
    free(before);
}

/* Quotes, commas, line breaks, bars and backslashes; times; numbers inside metadata. */
static void a_csv_export_says_everything(void **state)
{
    (void)state;
    static const char odd[] =
        "{\"id\":5,\"question\":\"say \\\"hi\\\", "
        "please\",\"answer\":\"two\\nlines\",\"alternates\":[\"a|b\",\"c\\\\\","
        "\"d, \\\"e\\\"\"],\"metadata\":{\"n\":3,\"deep\":{\"x\":[1]}},\"prompts\":[1,2],\"chitchat\":true,"
        "\"valid_from\":\"2026-12-01\",\"valid_until\":1798761600}\n";
    int status;
    char *before = other_db("csv.db");
    import(".jsonl", odd, 0, "1 entries read");
    const char *const argv[] = {"kb", "export", "--kb", db, "--model", model, "--format", "csv", NULL};
    char *text = strdup(program_run(&status, argv));
    assert_int_equal(status, 0);
    assert_non_null(strstr(text, "id,lang,question,alternates,answer,source,metadata,prompts,context_only,chitchat,"
                                 "valid_from,valid_until\r\n"));
    assert_non_null(strstr(text, ",2026-12-01T00:00:00Z,2027-01-01T00:00:00Z\r\n"));
    import(".csv", text, 0, "0 written,");
    free(text);
    EXPECT(2, "--format: is 'xml'", "kb", "export", "--kb", db, "--model", model, "--format", "xml");
    import(".csv", "id,question,answer,metadata\n6,a,b,[1]\n", 1, "line 2: metadata: is no JSON object");
    import(".csv", "id,question,answer,metadata\n6,a,b,{\n", 1, "line 2: metadata: not JSON");
    import(".csv", "id,question,answer,valid_from\n6,a,b,soon\n", 1,
           "line 2: valid_from: is \"soon\", expected a time");
    import(".csv", "id,question,answer,valid_from,valid_until\n6,a,b,2026-12-01,2026-11-01\n", 1,
           "valid_until: is not after valid_from");
    back_to(before);
}

/* Questions that share a word with their entry, and some that share none. */
static void a_fit_is_measured_stored_and_used(void **state)
{
    (void)state;
    static const char *const things[] = {"parcel", "invoice", "password", "coupon",  "garden", "lamp",
                                         "kettle", "sofa",    "jacket",   "battery", "camera", "bicycle"};
    char *before = other_db("fit.db"), data[128], *text = calloc(1, 65536), *line = text;
    int status;
    for (int i = 0; i < 12; i++)
        line += snprintf(line, (size_t)(text + 65536 - line),
                         "{\"id\":%d,\"question\":\"%s help please\",\"answer\":\"a%d\"}\n", i + 1, things[i], i);
    import(".jsonl", text, 0, "12 entries read, 12 written");
    line = text;
    for (int i = 0; i < 60; i++)
        line += snprintf(line, (size_t)(text + 65536 - line), "{\"question\":\"my %s number %d\",\"expect\":%d}\n",
                         things[i % 12], i, i % 12 + 1);
    for (int i = 0; i < 20; i++)
        line += snprintf(line, (size_t)(text + 65536 - line),
                         "{\"question\":\"weather %d in paris\",\"expect\":null}\n", i);
    snprintf(data, sizeof data, "%s/questions.jsonl", folder);
    write_file(data, text);
    free(text);
    EXPECT(0, "Nothing was stored.", "kb", "fit", "--kb", db, "--model", model, "--data", data, "--dry-run");
    write_file(program_input, "{\"question\":\"my parcel number 99\"}\n");
    EXPECT(0, "\"calibration\":\"default\"", "reply", "--kb", db, "--model", model);
    const char *const fit[] = {"kb", "fit", "--kb", db, "--model", model, "--data", data, NULL};
    const char *said = program_run(&status, fit);
    if (status != 0 || !strstr(said, "80 lines, every second held out; 20 that no entry answers") ||
        !strstr(said, "cjk    best") || !strstr(said, "too few lines: as it was") ||
        !strstr(said, "first answer right") || !strstr(said, "handed off, not in kb"))
        fail_msg("%d: %s", status, said);
    EXPECT(0, "\"calibration\":\"fitted\"", "reply", "--kb", db, "--model", model);
    EXPECT(0, "\"held_out\":{\"first_right\":[", "kb", "fit", "--kb", db, "--model", model, "--data", data, "--json");
    EXPECT(0, "latin\n  rows                 60\n  first                ", "eval", "--task", "reply", "--kb", db,
           "--model", model, "--data", data, "--rewrite", "join");
    EXPECT(0, "\"latin, not in the kb\":{\"rows\":20,\"answered\":", "eval", "--task", "reply", "--kb", db, "--model",
           model, "--data", data, "--json");
    EXPECT(0, "\"intervals\":{\"first\":[", "eval", "--task", "reply", "--kb", db, "--model", model, "--data", data,
           "--json");
    write_file(data, "{\"question\":\"a\",\"expect\":1}\n");
    EXPECT(1, "too few lines", "kb", "fit", "--kb", db, "--model", model, "--data", data);
    write_file(data, "\n{\"question\":\"a\"}\n");
    EXPECT(1, "line 2: expect: expected an entry's id", "kb", "fit", "--kb", db, "--model", model, "--data", data);
    EXPECT(2, "--data is missing", "kb", "fit", "--kb", db, "--model", model);
    EXPECT(2, "--precision: is '2'", "kb", "fit", "--kb", db, "--model", model, "--data", data, "--precision", "2");
    unlink(data);
    write_file(program_input, "");
    back_to(before);
}

static void a_check_finds_what_is_wrong(void **state)
{
    (void)state;
    static const char bad[] =
        "{\"id\":1,\"question\":\"how much is a return\",\"answer\":\"It costs 3.95.\",\"alternates\":[\"return "
        "fee\"]}\n"
        "{\"id\":2,\"question\":\"how much is a return?\",\"answer\":\"It costs 4.95.\",\"prompts\":[77,4]}\n"
        "{\"id\":3,\"question\":\"return fee\",\"answer\":\"See the list.\",\"alternates\":[\"price of returns\"]}\n"
        "{\"id\":4,\"question\":\"winter sale\",\"answer\":\"Over.\",\"valid_until\":\"2001-01-01\"}\n"
        "{\"id\":5,\"question\":\"and then\",\"answer\":\"Wait.\",\"context_only\":true}\n";
    static const char *const words[] = {"contradiction  1 and 2",
                                        "other numbers in the answer",
                                        "same_text      1 and 3",
                                        "dangling       2: prompts for 77, which is not there",
                                        "prompts for 4, which has expired",
                                        "expired        4",
                                        "unreachable    5",
                                        "phrasings find their entry without themselves"};
    char *before = other_db("check.db");
    int status;
    import(".jsonl", bad, 0, "5 written");
    const char *const check[] = {"kb", "check", "--kb", db, "--model", model, NULL};
    char *said = strdup(program_run(&status, check));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (status != 1 || !strstr(said, words[i]))
            fail_msg("%d: '%s' does not hold '%s'", status, said, words[i]);
    free(said);
    EXPECT(1, "\"kind\":\"contradiction\",\"error\":true,\"entry\":1,\"other\":2", "kb", "check", "--kb", db, "--model",
           model, "--json");
    back_to(before);
    before = other_db("sound.db");
    import(".jsonl", "{\"id\":1,\"question\":\"return fee\",\"answer\":\"3.95\"}\n", 0, "1 written");
    EXPECT(0, "0 errors, 0 warnings", "kb", "check", "--kb", db, "--model", model);
    back_to(before);
}

static void a_bad_line_is_named_and_nothing_is_written(void **state)
{
    (void)state;
    static const struct {
        const char *ending, *text, *says;
    } cases[] = {
        {".jsonl", "{\"id\":8,\"question\":\"a\",\"answer\":\"b\"}\n{\"id\":9,\"question\":\"a\"}\n",
         ".jsonl: line 2: answer: is missing"},
        {".jsonl", "{\"id\":8,\"question\":\"a\",\"answer\":\"b\"}\n{\"id\":9,\n", ".jsonl: line 2: not JSON"},
        {".jsonl", "{\"id\":8,\"question\":\"a\",\"answer\":\"b\"}\n\n{\"id\":8,\"question\":\"c\",\"answer\":\"b\"}\n",
         "line 3: id: 8 stands on line 1 already"},
        {".jsonl", "{\"id\":8,\"question\":\"a\",\"answer\":\"b\",\"alternates\":[\"x\",3]}\n",
         "line 1: alternates[1]"},
        {".jsonl", "[8]\n", "line 1"},
        {".csv", "id,question,answer\n8,a,b\nx,a,b\n", ".csv: line 3: id: is string, expected"},
        {".csv", "id,question,answer,prompts\n8,a,b,1|x\n", "line 2: prompts[1]: is string, expected"},
        {".csv", "id,question,answer,context_only\n8,a,b,yes\n", "line 2: context_only: is string, expected"},
        {".csv", "id,question,answer,id\n8,a,b,9\n", "line 1: column id stands twice"},
        {".csv", "id,question,answer\n8,\"\",b\n", "line 2: question: is missing"},
    };
    import(".jsonl", two, 0, "2 entries read");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        import(cases[i].ending, cases[i].text, 1, cases[i].says);
    static char filler[2001], longer[8192];
    for (size_t i = 0; i + 1 < sizeof filler; i++)
        filler[i] = i % 2 ? ' ' : 'a';
    snprintf(longer, sizeof longer,
             "{\"id\":8,\"question\":\"a\",\"answer\":\"b\"}\n{\"id\":9,\"answer\":\"b\",\"question\":\"%s\"}\n",
             filler);
    import(".jsonl", longer, 1, "line 2: question: has ");
    int status;
    assert_null(
        strstr(program_run(&status, (const char *const[]){"kb", "list", "--kb", db, "--model", model, NULL}), "8\t"));
}

enum { MANY = 150 };

/* Entries of about 2 kB, with ids from `first`. */
static void write_many(int first)
{
    static char answer[2001];
    memset(answer, 'x', sizeof answer - 1);
    snprintf(file, sizeof file, "%s/many%d.jsonl", folder, first);
    FILE *stream = fopen(file, "wb");
    assert_non_null(stream);
    for (int i = first; i < first + MANY; i++)
        fprintf(stream, "{\"id\":%d,\"question\":\"question %d\",\"answer\":\"%s\"}\n", i, i, answer);
    assert_int_equal(fclose(stream), 0);
}

static size_t count_lines(void)
{
    int status;
    size_t lines = 0;
    const char *said = program_run(&status, (const char *const[]){"kb", "list", "--kb", db, "--model", model, NULL});
    assert_int_equal(status, 0);
    for (; *said; said++)
        lines += *said == '\n';
    return lines;
}

/* A file that may not grow beyond a part of the import stands for a disk that fills up. */
static void a_full_disk_imports_nothing(void **state)
{
    (void)state;
    struct rlimit before, little;
    import(".jsonl", two, 0, "2 entries read");
    write_many(1000);
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN); /* which the program inherits */
    for (rlim_t kib = 100; kib <= 300; kib += 200) {
        little = (struct rlimit){kib << 10, before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &little);
        EXPECT(1, "File too large", "kb", "import", "--kb", db, "--model", model, "--file", file);
        setrlimit(RLIMIT_FSIZE, &before);
        assert_int_equal(count_lines(), 2);
    }
    EXPECT(0, "150 written", "kb", "import", "--kb", db, "--model", model, "--file", file);
    assert_int_equal(count_lines(), 2 + MANY);
    unlink(file);
}

static pid_t start_import(void)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    if (!freopen("/dev/null", "w", stdout))
        _exit(99);
    execl(program_path, program_path, "kb", "import", "--kb", db, "--model", model, "--file", file, (char *)NULL);
    _exit(99);
}

/* Killed at any moment, an import is there wholly or not at all. */
static void a_killed_import_is_whole_or_not_there(void **state)
{
    (void)state;
    size_t n = count_lines();
    for (int round = 0; round < 6; round++) {
        int first = 2000 + MANY * round, status = 0;
        write_many(first);
        pid_t child = start_import();
        usleep((useconds_t)(15000 + 15000 * round));
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        size_t now = count_lines();
        assert_true(now == n || now == n + MANY);
        n = now;
        unlink(file);
    }
}

static void two_imports_at_once_both_arrive(void **state)
{
    (void)state;
    size_t n = count_lines();
    pid_t children[2];
    for (int i = 0; i < 2; i++) {
        write_many(10000 + MANY * i);
        children[i] = start_import();
    }
    for (int i = 0; i < 2; i++) {
        int status = -1;
        waitpid(children[i], &status, 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_lines(), n + 2 * (size_t)MANY);
    for (int i = 0; i < 2; i++) {
        snprintf(file, sizeof file, "%s/many%d.jsonl", folder, 10000 + MANY * i);
        unlink(file);
    }
}

static void a_mistyped_file_is_not_made(void **state)
{
    (void)state;
    char missing[160];
    snprintf(missing, sizeof missing, "%s/missing.db", folder);
    EXPECT(1, "missing.db: No such file", "kb", "list", "--kb", missing, "--model", model);
    EXPECT(1, "missing.db: No such file", "reply", "--kb", missing, "--model", model);
    assert_int_equal(access(missing, F_OK), -1);
}

static void a_cut_export_fails(void **state)
{
    (void)state;
    char kept[sizeof program_output];
    snprintf(kept, sizeof kept, "%s", program_output);
    snprintf(program_output, sizeof program_output, "/dev/full");
    int status = 0;
    program_run(&status, (const char *const[]){"kb", "export", "--kb", db, "--model", model, NULL});
    snprintf(program_output, sizeof program_output, "%s", kept);
    assert_int_equal(status, 1);
}

static void replies_and_retrieval_use_it(void **state)
{
    (void)state;
    import(".jsonl", two, 0, "2 entries read");
    write_file(program_input, "{\"question\":\"where is my order\"}\n{\"question\":\"怎么退货\"}\n");
    EXPECT(0, "\"decision\":\"answered\",\"answers\":[{\"id\":1", "reply", "--kb", db, "--model", model);
    EXPECT(0, "\"decision\":\"answered\",\"answers\":[{\"id\":2", "reply", "--kb", db, "--model", model);
    snprintf(file, sizeof file, "%s/retrieve.jsonl", folder);
    write_file(file, "{\"id\":\"1\",\"document\":\"track the parcel\",\"label\":\"b\"}\n"
                     "{\"id\":\"2\",\"document\":\"return shoes\",\"label\":\"a\"}\n"
                     "{\"id\":\"3\",\"document\":\"where is the parcel\",\"label\":\"b\"}\n"
                     "{\"query\":\"return shoes\",\"label\":\"a\"}\n{\"query\":\"track the parcel\",\"label\":\"b\"}\n"
                     "{\"query\":\"track the parcel\",\"label\":\"unknown\"}\n");
    EXPECT(
        0,
        "\"hybrid\":{\"accuracy@1\":0.66667,\"accuracy@3\":0.66667,\"mrr\":0.66667,\"intervals\":{\"accuracy@1\":[0,1]",
        "eval", "--task", "retrieve", "--json", "--model", model, "--data", file);
    EXPECT(0, "3 documents of 2 labels, 3 queries", "eval", "--task", "retrieve", "--model", model, "--data", file);
    write_file(file, "{\"query\":\"a\",\"label\":\"b\"}\n");
    EXPECT(1, "expected documents and queries", "eval", "--task", "retrieve", "--model", model, "--data", file);
    write_file(file, "{\"question\":\"where is my order\",\"expect\":1}\n{\"question\":\"怎么退货\",\"expect\":2}\n");
    EXPECT(0, "first                1.000  [1.000, 1.000]", "eval", "--task", "reply", "--kb", db, "--model", model,
           "--data", file);
    unlink(file);
}

static int start(void **state)
{
    (void)state;
    const char *source = getenv("ATT_SOURCE_ROOT");
    snprintf(model, sizeof model, "%s/tests/data/models/st-bert-mean", source ? source : ".");
    if (!mkdtemp(folder))
        return -1;
    snprintf(db, sizeof db, "%s/kb.db", folder);
    program_start(folder);
    return 0;
}

static int stop(void **state)
{
    static const char *const names[] = {"kb.db", "kb.db-wal", "kb.db-shm"};
    char path[160];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    program_stop();
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(importing_twice_changes_nothing),
        cmocka_unit_test(what_is_exported_can_be_imported),
        cmocka_unit_test(a_bad_line_is_named_and_nothing_is_written),
        cmocka_unit_test(replies_and_retrieval_use_it),
        cmocka_unit_test(a_full_disk_imports_nothing),
        cmocka_unit_test(a_killed_import_is_whole_or_not_there),
        cmocka_unit_test(two_imports_at_once_both_arrive),
        cmocka_unit_test(a_mistyped_file_is_not_made),
        cmocka_unit_test(a_cut_export_fails),
        cmocka_unit_test(a_csv_export_says_everything),
        cmocka_unit_test(a_fit_is_measured_stored_and_used),
        cmocka_unit_test(a_check_finds_what_is_wrong),
    };
    return cmocka_run_group_tests_name("cli/kb", tests, start, stop);
}
