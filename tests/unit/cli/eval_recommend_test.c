/* attend eval --task recommend: a line without a target is judged by its last basket, as one that names it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char data[] = "/tmp/attend-eval-recommend-XXXXXX", answer[] = "/tmp/attend-eval-answer-XXXXXX";
static char program[4096], model[4096];

static int setup(void **state)
{
    const char *build = getenv("ATT_BUILD_ROOT"), *source = getenv("ATT_SOURCE_ROOT");
    int fd = mkstemp(data), other = mkstemp(answer);
    (void)state;
    if (fd < 0 || other < 0 || close(fd) != 0 || close(other) != 0)
        return -1;
    snprintf(program, sizeof program, "%s/attend", build ? build : ".");
    snprintf(model, sizeof model, "%s/tests/data/models/sasrec", source ? source : ".");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(data) == 0 && unlink(answer) == 0 ? 0 : -1;
}

/* What attend says of these lines (' for "). */
static int eval(const char *lines, char out[4096])
{
    FILE *file = fopen(data, "w");
    assert_non_null(file);
    for (const char *c = lines; *c; c++)
        fputc(*c == '\'' ? '"' : *c, file);
    assert_int_equal(fclose(file), 0);
    pid_t pid = fork();
    int status = -1;
    assert_true(pid >= 0);
    if (pid == 0) {
        if (freopen(answer, "w", stdout) && dup2(STDOUT_FILENO, STDERR_FILENO) >= 0)
            execl(program, "attend", "eval", "--task", "recommend", "--json", "--model", model, "--data", data,
                  (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    file = fopen(answer, "r");
    assert_non_null(file);
    out[fread(out, 1, 4095, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    return WEXITSTATUS(status);
}

static void expect_same(const char *lines, const char *named)
{
    char got[4096], expected[4096];
    assert_int_equal(eval(named, expected), 0);
    if (eval(lines, got) != 0)
        fail_msg("%s", got);
    assert_string_equal(got, expected);
}

static void the_last_basket_came_next(void **state)
{
    static const char named[] = "{'history':[{'item':'11'},{'item':'12'}],'targets':['13','7'],'exclude_seen':false}\n";
    static const char timed[] =
        "{'history':[{'item':'11','time':1},{'item':'12','time':2}],'targets':['13','7'],'exclude_seen':false}\n";
    (void)state;
    expect_same("{'history':[{'item':'11','basket':'a'},{'item':'12','basket':'a'},{'item':'13','basket':'b'},"
                "{'item':'7','basket':'b'}],'exclude_seen':false}\n",
                named);
    expect_same("{'history':[{'item':'11','basket':1},{'item':'12','basket':'1'},{'item':'13','basket':1},"
                "{'item':'7','basket':1}],'exclude_seen':false}\n",
                named);
    expect_same("{'history':[{'item':'11','time':1},{'item':'12','time':2},{'item':'13','time':3},"
                "{'item':'7','time':3}],'exclude_seen':false}\n",
                timed);
    /* One word for the basket counts, not the times within it. */
    expect_same("{'history':[{'item':'11','time':1,'basket':1},{'item':'12','time':2,'basket':1},"
                "{'item':'13','time':3,'basket':2},{'item':'7','time':4,'basket':2}],'exclude_seen':false}\n",
                timed);
    /* An item taken twice is one target. */
    expect_same("{'history':[{'item':'11','time':1},{'item':'12','time':2},{'item':'13','time':3},"
                "{'item':'7','time':3},{'item':'7','time':3}],'exclude_seen':false}\n",
                timed);
}

static void one_basket_tells_nothing(void **state)
{
    static const char single[] = "{'history':[{'item':'1','basket':1},{'item':'2','basket':1}]}\n";
    char out[4096], both[1024];
    (void)state;
    assert_int_equal(eval(single, out), 1);
    assert_non_null(strstr(out, "nobody has more than one basket"));
    snprintf(both, sizeof both, "%s{'history':[{'item':'1','basket':1},{'item':'2','basket':2}]}\n", single);
    assert_int_equal(eval(both, out), 0);
    assert_non_null(strstr(out, "\"rows\": 1, \"one_basket\": 1,"));
}

/* A basket of all other items cannot be missed; of what the history holds and is not to be answered, nothing is found.
 */
static void hits_are_counted(void **state)
{
    enum { ITEMS = 1201, BYTES = ITEMS * 40 };
    char *line = malloc(BYTES), out[4096];
    (void)state;
    assert_non_null(line);
    int len = snprintf(line, BYTES, "{'history':[{'item':'1','basket':1}");
    for (int i = 2; i <= ITEMS; i++)
        len += snprintf(line + len, BYTES - (size_t)len, ",{'item':'%d','basket':2}", i);
    snprintf(line + len, BYTES - (size_t)len, "]}\n");
    assert_int_equal(eval(line, out), 0);
    assert_non_null(strstr(out, "\"targets_per_row\": 1200.00"));
    assert_non_null(strstr(out, "\"hr@10\": 1.0000, \"ndcg@10\": 1.0000"));
    free(line);
    assert_int_equal(eval("{'history':[{'item':'1','basket':1},{'item':'1','basket':2}]}\n", out), 0);
    assert_non_null(strstr(out, "\"hr@10\": 0.0000, \"ndcg@10\": 0.0000"));
}

static void expect_hit(const char *line, bool hit)
{
    char out[4096];
    assert_int_equal(eval(line, out), 0);
    if (!strstr(out, hit ? "\"hr@10\": 1.0000" : "\"hr@10\": 0.0000"))
        fail_msg("%s: %s", line, out);
}

/* Types, stars and times of the events count as in requests. */
static void events_weigh(void **state)
{
    (void)state;
    expect_hit("{'history':[{'item':'11','type':'buy'},{'item':'12'},{'item':'13'}],'target':'775'}\n", true);
    expect_hit("{'history':[{'item':'11'},{'item':'12','type':'buy'},{'item':'13'}],'target':'775'}\n", false);
    expect_hit("{'history':[{'item':'11','value':2.1},{'item':'12','value':5}],'target':'343'}\n", true);
    expect_hit("{'history':[{'item':'11','value':5},{'item':'12','value':2.1}],'target':'343'}\n", false);
    expect_hit("{'history':[{'item':'11','time':0},{'item':'12','time':1e9}],'target':'343'}\n", true);
    expect_hit("{'history':[{'item':'11','time':1e9},{'item':'12','time':1e9}],'target':'343'}\n", false);
}

static void wrong_lines_are_told(void **state)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"{'history':[]}\n", "line 1: history: is empty"},
        {"{'history':[{'item':'1'}]}\n", "line 1: history[0]: needs a \"basket\" or a \"time\""},
        {"{'history':[{'item':'1','basket':1},{'item':'x','basket':2}]}\n", "target: \"x\" is no item of the model"},
        {"{'history':[{'item':'1','basket':1},{'basket':2}]}\n", "target: is"},
        {"{'history':[7,{'item':'1','basket':2}]}\n", "history[0]"},
        {"{'history':[{'item':'1','basket':1,'colour':'red'},{'item':'2','basket':2}]}\n", "colour"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[4096];
        assert_int_equal(eval(cases[i].line, out), 1);
        if (!strstr(out, cases[i].message))
            fail_msg("%s: '%s' instead of '%s'", cases[i].line, out, cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_basket_came_next), cmocka_unit_test(one_basket_tells_nothing),
        cmocka_unit_test(hits_are_counted),          cmocka_unit_test(events_weigh),
        cmocka_unit_test(wrong_lines_are_told),
    };
    return cmocka_run_group_tests_name("cli/eval_recommend", tests, setup, teardown);
}
