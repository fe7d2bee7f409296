/* The configuration: defaults, the shipped file against the option table, and one sentence for every mistake. */
#include "server/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/args.h"

static char folder[] = "/tmp/attentd-config-XXXXXX";
static char file[64], drop_in[96];

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(file, sizeof(file), "%s/a.conf", folder);
    snprintf(drop_in, sizeof(drop_in), "%s.d", file);
    return 0;
}

static int remove_folder(void **state)
{
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "%s/1.conf", drop_in);
    unlink(path);
    rmdir(drop_in);
    unlink(file);
    rmdir(folder);
    return 0;
}

static enum att_status read_text(struct srv_config *config, const char *text, struct att_err *err)
{
    enum att_status status;

    write_file(file, text);
    assert_int_equal(srv_config_init(config, err), ATT_OK);
    status = srv_config_read(config, file, err);
    if (status == ATT_OK)
        status = srv_config_check(config, err);
    return status;
}

/* The message begins with the file, has "FILE:line:" when line > 0, and says `words`. */
static void refuses(const char *text, unsigned line, const char *words)
{
    struct srv_config config;
    struct att_err err = {.message = ""};
    char where[96];

    assert_int_not_equal(read_text(&config, text, &err), ATT_OK);
    snprintf(where, sizeof(where), "%s:%u: ", file, line);
    if (line > 0 && strncmp(err.message, where, strlen(where)) != 0)
        fail_msg("'%s' does not begin with '%s'", err.message, where);
    if (strstr(err.message, words) == NULL)
        fail_msg("'%s' does not say '%s'", err.message, words);
    srv_config_finish(&config);
}

#define MODEL "[model m]\npath = x\n"

static void test_values(void **state)
{
    struct srv_config config;
    struct att_err err;

    (void)state;
    assert_int_equal(
        read_text(&config,
                  "# comment\n\n[server]\nlisten = [::1]:0\n; other\nhttp_threads=4\n"
                  "[limits]\nbody_bytes_max = 2M\n[log]\nformat = json\n" MODEL
                  "[model rec]\npath = y # not a comment\nencoder = m\ndefault = yes\n[kb k]\npath=k.db\nmodel=m\n",
                  &err),
        ATT_OK);
    assert_string_equal(config.server_listen.text, "[::1]:0");
    assert_int_equal(config.server_http_threads.number, 4);
    assert_int_equal(config.limits_body_bytes_max.number, 2 << 20);
    assert_int_equal(config.log_format.number, 2);
    assert_int_equal(config.n_models, 2);
    assert_string_equal(config.models[1].path.text, "y # not a comment");
    assert_string_equal(srv_config_text(&config.models[1].encoder), "m");
    assert_null(srv_config_text(&config.models[0].encoder));
    assert_int_equal(config.models[1].is_default.number, 1);
    assert_int_equal(config.n_kbs, 1);
    srv_config_finish(&config);
}

static void test_mistakes(void **state)
{
    char long_line[2000];

    (void)state;
    refuses("[server]\nlissten = x\n" MODEL, 2, "unknown key 'lissten'");
    refuses("[sever]\nlisten = x\n" MODEL, 1, "unknown section");
    refuses("[sever]\n" MODEL, 1, "unknown section");
    refuses("[model]\npath = x\n", 1, "unknown section");
    refuses("[server x]\nlisten = x\n" MODEL, 1, "unknown section");
    refuses("listen = x\n" MODEL, 1, "unknown section");
    refuses("[server]\nhttp_threads = 0\n" MODEL, 2, "expected 1 to 64");
    refuses("[server]\nhttp_threads = -1\n" MODEL, 2, "expected a number");
    refuses("[server]\nhttp_threads = 2K\n" MODEL, 2, "expected a number");
    refuses("[server]\nhttp_threads = 2x\n" MODEL, 2, "expected a number");
    refuses("[limits]\nbody_bytes_max = 99999999999999999999999\n" MODEL, 2, "expected a number");
    refuses("[limits]\nbody_bytes_max = 18014398509481985G\n" MODEL, 2, "expected a number");
    refuses("[log]\nlevel = loud\n" MODEL, 2, "expected one of debug, info, warn, error");
    refuses("[server]\nlisten =\n" MODEL, 2, "listen is empty");
    refuses("[server]\nlisten = a\nlisten = b\n" MODEL, 3, "given before");
    refuses("[server]\nlisten = a\n  b\n" MODEL, 3, "begins with a blank");
    refuses("[server]\nlisten\n" MODEL, 2, "neither");
    refuses("[server\nlisten = a\n" MODEL, 1, "heading");
    refuses("[model ../x]\npath = x\n", 1, "a name is");
    refuses("[model m]\n", 0, "[model m] has no path");
    refuses("[model m]\npath = x\nencoder = other\n", 0, "name of no other model");
    refuses(MODEL "[kb k]\npath = x\nmodel = other\n", 0, "name of no model");
    refuses(MODEL "[kb k]\nmodel = m\n", 0, "has no path");
    refuses(MODEL "[kb k]\npath = x\nmodel = m\n[kb l]\npath = x\nmodel = m\n", 0, "is that of [kb k] too");
    refuses("[model m]\npath = x\nenabled = no\n[kb k]\npath = x\nmodel = m\n", 0, "model = m is disabled");
    refuses("[model m]\npath = x\nenabled = no\n[model r]\npath = x\nencoder = m\n", 0, "encoder = m is disabled");
    refuses("[server]\n", 0, "no model is configured");
    refuses("[limits]\ntokens_max = 2M\n" MODEL, 0, "could never be queued");
    refuses("[limits]\nbody_bytes_max = 100M\n" MODEL, 0, "could never be read");
    memset(long_line, 'x', sizeof(long_line) - 1);
    long_line[sizeof(long_line) - 1] = '\0';
    memcpy(long_line, "[server]\nlisten = ", 18);
    refuses(long_line, 2, "too long");
}

static void test_drop_ins_override(void **state)
{
    struct srv_config config;
    struct att_err err;
    char path[128];

    (void)state;
    assert_int_equal(mkdir(drop_in, 0700), 0);
    snprintf(path, sizeof(path), "%s/1.conf", drop_in);
    write_file(path, "[server]\nhttp_threads = 7\n[model m]\ndtype = bf16\n");
    assert_int_equal(read_text(&config, "[server]\nhttp_threads = 3\n" MODEL, &err), ATT_OK);
    assert_int_equal(config.server_http_threads.number, 7);
    assert_int_equal(config.n_models, 1);
    assert_int_equal(config.models[0].dtype.number, 1);
    srv_config_finish(&config);
    write_file(path, "[server]\nbad = 7\n");
    assert_int_not_equal(read_text(&config, MODEL, &err), ATT_OK);
    assert_memory_equal(err.message, path, strlen(path));
    srv_config_finish(&config);
    unlink(path);
}

static enum att_status read_args(struct srv_config *config, enum srv_action *action, struct att_err *err, int argc,
                                 const char *const *argv)
{
    char *copy[16];

    for (int i = 0; i < argc; i++)
        copy[i] = strdup(argv[i]);
    assert_int_equal(srv_config_init(config, err), ATT_OK);
    enum att_status status = srv_args_read(argc, copy, config, action, err);
    for (int i = 0; i < argc; i++)
        free(copy[i]);
    return status;
}

#define ARGS(...)                                                                                                      \
    read_args(&config, &action, &err, (int)(sizeof((const char *[]){"attentd", __VA_ARGS__}) / sizeof(char *)),        \
              (const char *const[]){"attentd", __VA_ARGS__})

static void test_arguments(void **state)
{
    struct srv_config config;
    enum srv_action action;
    struct att_err err;

    (void)state;
    assert_int_equal(ARGS("--model", "a=dir/x,dtype=int8,default=yes", "--listen", "127.0.0.1:0", "--model", "b=y",
                          "--kb", "k=z.db,model=a"),
                     ATT_OK);
    assert_int_equal(action, SRV_SERVE);
    assert_string_equal(config.models[0].path.text, "dir/x");
    assert_int_equal(config.models[0].dtype.number, 2);
    assert_string_equal(config.server_listen.text, "127.0.0.1:0");
    assert_string_equal(config.kbs[0].model.text, "a");
    srv_config_finish(&config);
    write_file(file, "[server]\nlisten = 1.2.3.4:5\n" MODEL);
    assert_int_equal(ARGS("--listen", "127.0.0.1:9", "--check", "--config", file), ATT_OK);
    assert_int_equal(action, SRV_CHECK);
    assert_string_equal(config.server_listen.text, "127.0.0.1:9");
    srv_config_finish(&config);
    assert_int_equal(ARGS("--version"), ATT_OK);
    assert_int_equal(action, SRV_VERSION);
    srv_config_finish(&config);
    assert_int_not_equal(ARGS("--frobnicate"), ATT_OK);
    srv_config_finish(&config);
    assert_int_not_equal(ARGS("--config"), ATT_OK);
    srv_config_finish(&config);
    assert_int_not_equal(ARGS("--config", "/nowhere/at/all.conf"), ATT_OK);
    assert_non_null(strstr(err.message, "/nowhere/at/all.conf"));
    srv_config_finish(&config);
    assert_int_not_equal(ARGS("--model", "nodir"), ATT_OK);
    srv_config_finish(&config);
    assert_int_not_equal(ARGS("--model", "a=x,frob=1"), ATT_OK);
    srv_config_finish(&config);
    assert_int_not_equal(ARGS("--check"), ATT_OK);
    srv_config_finish(&config);
}

/* conf/attentd.conf has every option of the table once, with its default. */
static void test_shipped_file(void **state)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    struct srv_config config;
    struct att_err err;
    char path[4096], section[64] = "", line[1024];
    size_t n_options, n_found = 0;
    const struct srv_option *options = srv_options(&n_options);
    FILE *in;

    (void)state;
    if (root == NULL)
        return; /* cmocka's skip() reads as a failure in TAP */
    snprintf(path, sizeof(path), "%s/conf/attentd.conf", root);
    assert_int_equal(srv_config_init(&config, &err), ATT_OK);
    if (srv_config_read(&config, path, &err) != ATT_OK || srv_config_check(&config, &err) != ATT_OK)
        fail_msg("%s", err.message);
    srv_config_finish(&config);
    in = fopen(path, "r");
    assert_non_null(in);
    while (fgets(line, sizeof(line), in) != NULL) {
        char key[64], value[256];

        if (sscanf(line, "[%63[a-z]", section) == 1 || sscanf(line, "%63[a-z_] = %255s", key, value) != 2)
            continue;
        for (size_t i = 0; i < n_options; i++) {
            if (strcmp(options[i].section, section) != 0 || strcmp(options[i].name, key) != 0)
                continue;
            /* Sections with names stand several times: required values and those of later models are free. */
            if (!options[i].named_section) {
                assert_string_equal(options[i].otherwise, value);
                n_found++;
            }
        }
    }
    fclose(in);
    for (size_t i = 0; i < n_options; i++)
        n_found -= !options[i].named_section;
    assert_int_equal(n_found, 0);
}

static void test_defaults_are_valid(void **state)
{
    size_t n;
    const struct srv_option *options = srv_options(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_true(strlen(options[i].help) > 5);
        for (size_t k = 0; k < i; k++)
            assert_false(strcmp(options[i].section, options[k].section) == 0 &&
                         strcmp(options[i].name, options[k].name) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_drop_ins_override),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_shipped_file),
        cmocka_unit_test(test_defaults_are_valid),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
