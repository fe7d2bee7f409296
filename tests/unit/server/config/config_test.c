/* The configuration: defaults, the shipped file against the option table, and one sentence for every mistake. */
#include "server/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "server/config/args.h"

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
    refuses("[server]\nlisten = a\nlisten = b\n" MODEL, 3, "[server] listen was given before");
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
    refuses("[model x\n", 1, "heading");
    refuses("[model 01234567890123456789012345678901234567890123456789]\n", 1, "of at most 49 bytes");
    refuses("[model .x]\npath = x\n", 1, "begins with no '.'");
    refuses("[model a b]\npath = x\n", 1, "a name is");
    refuses("[model m]\n\tpath = x\n", 2, "begins with a blank");
    refuses("[server]\n01234567890123456789012345678901234567890123456789 = x\n" MODEL, 2, "the name is too long");
    refuses("[server]\nhttp_threads =\n" MODEL, 2, "expected a number of threads");
    refuses("[server]\nconnections_max = :\n" MODEL, 2, "connections_max = ':', expected a number");
    refuses("[server]\nconnections_max = /\n" MODEL, 2, "connections_max = '/', expected a number");
    refuses("[limits]\nbody_bytes_max = K\n" MODEL, 2, "expected a number of bytes");
    refuses("[limits]\nbody_bytes_max = 4X\n" MODEL, 2, "expected a number of bytes");
    refuses("[limits]\nbody_bytes_max = 4KB\n" MODEL, 2, "expected a number of bytes");
    refuses("[limits]\nbody_bytes_max = 2G\n" MODEL, 2, "body_bytes_max = 2G, expected 1024 to 1073741824");
    refuses("[model m]\npath = x\nencoder = m\n", 0, "name of no other model");
    refuses(MODEL "[kb k]\npath = x\n", 0, "[kb k] has no model");
    refuses("[limits]\nbodies_bytes_max = 1M\n" MODEL, 0, "could never be read");
    refuses("[limits]\ndeadline_ms_default = 5000\ndeadline_ms_max = 4000\n" MODEL, 0, "is above deadline_ms_max");
    refuses("[server]\nhttp_threads = 8\nconnections_max = 4\n" MODEL, 0, "http_threads is above connections_max");
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

/* What has the right to differ: blank lines, units, an encoder that is off beside a model that is, two stores. */
static void test_what_is_allowed(void **state)
{
    struct srv_config config;
    struct att_err err;

    (void)state;
    if (read_text(&config,
                  "  \n\t\n[limits]\nbody_bytes_max = 8K\nbodies_bytes_max = 1G\n[model  m]\npath = x\nenabled = no\n"
                  "[model r]\npath = y\nenabled = no\nencoder = m\n[model e]\npath: z\nencoder = none\n"
                  "[kb k]\npath = k.db\nmodel = e\n[kb l]\npath = l.db\nmodel = e\n",
                  &err) != ATT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(config.limits_body_bytes_max.number, 8 << 10);
    assert_int_equal(config.limits_bodies_bytes_max.number, 1 << 30);
    assert_string_equal(config.models[0].name, "m");
    assert_null(srv_config_text(&config.models[2].encoder));
    assert_null(srv_config_text(&(struct srv_value){.text = NULL}));
    assert_int_equal(config.n_kbs, 2);
    srv_config_finish(&config);
}

static void test_files_that_cannot_be_read(void **state)
{
    struct srv_config config;
    struct att_err err;
    char path[200], longest[400];

    (void)state;
    assert_int_equal(srv_config_init(&config, &err), ATT_OK);
    assert_int_equal(srv_config_read(&config, "/nowhere/at/all.conf", &err), ATT_EIO);
    assert_string_equal(err.message, "/nowhere/at/all.conf: cannot be read: No such file or directory");
    assert_int_equal(srv_config_read(&config, folder, &err), ATT_EIO);
    snprintf(path, sizeof(path), "%s: is not a regular file", folder);
    assert_string_equal(err.message, path);
    /* The folder of drop-ins: no folder, a name in it that is none, a path without room for ".d". */
    write_file(file, MODEL);
    rmdir(drop_in);
    write_file(drop_in, "");
    assert_int_equal(srv_config_read(&config, file, &err), ATT_EIO);
    snprintf(path, sizeof(path), "%s: cannot be read: Not a directory", drop_in);
    assert_string_equal(err.message, path);
    unlink(drop_in);
    assert_int_equal(mkdir(drop_in, 0700), 0);
    snprintf(path, sizeof(path), "%s/1.conf", drop_in);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(srv_config_read(&config, file, &err), ATT_EIO);
    assert_memory_equal(err.message, path, strlen(path));
    assert_non_null(strstr(err.message, "is not a regular file"));
    assert_int_equal(rmdir(path), 0);
    memset(longest, '/', sizeof(longest));
    memcpy(longest + 300 - strlen(file), file, strlen(file) + 1);
    assert_int_equal(srv_config_read(&config, longest, &err), ATT_EINVAL);
    assert_non_null(strstr(err.message, "the path is too long"));
    srv_config_finish(&config);
}

/* Read by name, those that end in .conf alone; behind one that is wrong none is read. */
static void test_order_of_drop_ins(void **state)
{
    static const char *const names[] = {"b.conf", "a.conf", ".conf", ".c.conf", "d.conf~", "conf"};
    static const char *const texts[] = {
        "[server]\nhttp_threads = 2\n", "[server]\nhttp_threads = 3\n", "x", "x", "x", "x"};
    struct srv_config config;
    struct att_err err;
    char path[128];

    (void)state;
    mkdir(drop_in, 0700);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", drop_in, names[i]);
        write_file(path, texts[i]);
    }
    assert_int_equal(read_text(&config, MODEL, &err), ATT_OK);
    assert_int_equal(config.server_http_threads.number, 2);
    srv_config_finish(&config);
    snprintf(path, sizeof(path), "%s/a.conf", drop_in);
    write_file(path, "x\n");
    assert_int_equal(read_text(&config, MODEL, &err), ATT_EINVAL);
    assert_memory_equal(err.message, path, strlen(path));
    assert_non_null(strstr(err.message, ":1: neither [section] nor key = value"));
    assert_int_equal(config.server_http_threads.number, 2); /* the default: b.conf was not read */
    srv_config_finish(&config);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", drop_in, names[i]);
        unlink(path);
    }
    for (int i = 0; i <= 256; i++) {
        snprintf(path, sizeof(path), "%s/%d.conf", drop_in, i);
        write_file(path, "");
    }
    assert_int_equal(read_text(&config, MODEL, &err), ATT_EINVAL);
    assert_non_null(strstr(err.message, "more than 256 files"));
    srv_config_finish(&config);
    unlink(path);
    assert_int_equal(read_text(&config, MODEL, &err), ATT_OK);
    srv_config_finish(&config);
    for (int i = 0; i < 256; i++) {
        snprintf(path, sizeof(path), "%s/%d.conf", drop_in, i);
        unlink(path);
    }
}

/* As many named sections as may be, and one more. */
static void test_sections_are_counted(void **state)
{
    static const char *const kinds[] = {"model", "kb"};
    char text[SRV_MODELS_MAX * 64 + 128];
    struct srv_config config;
    struct att_err err;

    (void)state;
    for (size_t kind = 0; kind < 2; kind++) {
        size_t len = (size_t)snprintf(text, sizeof(text), kind == 0 ? "" : MODEL);

        for (int i = 0; i < SRV_MODELS_MAX; i++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "[%s n%d]\npath = p%d\n%s", kinds[kind], i, i,
                                    kind == 0 ? "" : "model = m\n");
        if (read_text(&config, text, &err) != ATT_OK)
            fail_msg("%s", err.message);
        assert_int_equal(kind == 0 ? config.n_models : config.n_kbs, SRV_MODELS_MAX);
        assert_string_equal(kind == 0 ? config.models[63].path.text : config.kbs[63].path.text, "p63");
        srv_config_finish(&config);
        snprintf(text + len, sizeof(text) - len, "[%s more]\n", kinds[kind]);
        refuses(text, kind == 0 ? 129 : 195,
                kind == 0 ? "more than 64 sections [model NAME]" : "more than 64 sections [kb NAME]");
    }
}

/* Through the command line a name is as long as one likes. */
static void test_names_are_short(void **state)
{
    char name[SRV_NAME_MAX + 2];
    struct srv_config config;
    struct att_err err;

    (void)state;
    memset(name, 'n', sizeof(name));
    name[SRV_NAME_MAX + 1] = '\0';
    assert_int_equal(srv_config_init(&config, &err), ATT_OK);
    assert_int_equal(srv_config_set(&config, "model", name, "path", "x", "--model", &err), ATT_EINVAL);
    assert_memory_equal(err.message, "--model: [model nnn", 19);
    assert_non_null(strstr(err.message, "a name is 1 to 64"));
    assert_int_equal(srv_config_set(&config, "model", "", "path", "x", "--model", &err), ATT_EINVAL);
    assert_int_equal(config.n_models, 0);
    assert_int_equal(srv_config_set(&config, "model", name + 1, "path", "x", "--model", &err), ATT_OK);
    assert_int_equal(srv_config_set(&config, "nothing", NULL, "path", "x", "--x", &err), ATT_EINVAL);
    assert_string_equal(err.message, "--x: unknown section [nothing]");
    assert_int_equal(srv_config_set(&config, "nothing", "n", "path", "x", "--x", &err), ATT_EINVAL);
    assert_string_equal(err.message, "--x: unknown section [nothing n]");
    srv_config_finish(&config);
}

static void test_no_memory(void **state)
{
    struct srv_config config;
    bool succeeded = false;

    (void)state;
    mkdir(drop_in, 0700);
    for (uint64_t k = 1; !succeeded && k < 1000; k++) {
        struct att_err err = {.message = ""};
        enum att_status status;
        char path[128];

        snprintf(path, sizeof(path), "%s/1.conf", drop_in);
        write_file(path, "[server]\nlisten = a\n");
        write_file(file, MODEL "[kb k]\npath = x\nmodel = m\n");
        att_mem_fail_at(k, false);
        status = srv_config_init(&config, &err);
        if (status == ATT_OK)
            status = srv_config_read(&config, file, &err);
        att_mem_fail_at(0, false);
        succeeded = status == ATT_OK;
        if (!succeeded && (status != ATT_ENOMEM || strstr(err.message, "no memory for the configuration") == NULL))
            fail_msg("allocation %llu: status %d, '%s'", (unsigned long long)k, (int)status, err.message);
        srv_config_finish(&config);
        unlink(path);
    }
    assert_true(succeeded);
}

static const struct srv_option *option_of(const char *section, const char *name)
{
    size_t n;
    const struct srv_option *options = srv_options(&n);

    for (size_t i = 0; i < n; i++)
        if (strcmp(options[i].section, section) == 0 && strcmp(options[i].name, name) == 0)
            return &options[i];
    fail_msg("no option %s in [%s]", name, section);
    return NULL;
}

/* What a reload compares, and what it cannot bring in. */
static void test_reload_facts(void **state)
{
    struct srv_config a, b;
    struct att_err err;

    (void)state;
    assert_int_equal(srv_config_init(&a, &err), ATT_OK);
    assert_int_equal(srv_config_init(&b, &err), ATT_OK);
    assert_true(srv_option_equal(option_of("server", "listen"), &a, &b));
    assert_true(srv_option_equal(option_of("server", "http_threads"), &a, &b));
    assert_int_equal(srv_config_set(&b, "server", NULL, "listen", "unix:x", "here", &err), ATT_OK);
    assert_int_equal(srv_config_set(&b, "server", NULL, "http_threads", "5", "here", &err), ATT_OK);
    assert_false(srv_option_equal(option_of("server", "listen"), &a, &b));
    assert_false(srv_option_equal(option_of("server", "http_threads"), &a, &b));
    att_mem_free(b.server_listen.text);
    b.server_listen.text = NULL;
    assert_false(srv_option_equal(option_of("server", "listen"), &a, &b));
    srv_config_finish(&a);
    srv_config_finish(&b);
    assert_true(srv_option_needs_restart(option_of("server", "listen")));
    assert_true(srv_option_needs_restart(option_of("limits", "header_bytes_max")));
    assert_false(srv_option_needs_restart(option_of("server", "api_keys")));
    assert_false(srv_option_needs_restart(option_of("server", "cors_origins")));
    assert_false(srv_option_needs_restart(option_of("limits", "body_bytes_max")));
    assert_false(srv_option_needs_restart(option_of("log", "level")));
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

/* conf/attentd.conf has every option of the table once, with its default; a file or model may be named where that is
 * none. */
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
                bool is_free = strcmp(options[i].otherwise, "none") == 0 &&
                               (strchr(value, '/') != NULL || strcmp(key, "model_zh") == 0);

                if (!is_free)
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

static void test_alerts_and_webhooks(void **state)
{
    struct srv_config config;
    struct att_err err;

    (void)state;
    if (read_text(&config,
                  MODEL "[alert a]\nlevel = red\nsubject = entity\npolarity_max = -0.25\nheat_min = 12.5\n"
                        "[webhook w]\nurl = https://example.org/x\nlevels = red blue\n",
                  &err) != ATT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(config.n_alerts, 1);
    assert_string_equal(config.alerts[0].name, "a");
    assert_int_equal(config.alerts[0].level.number, 3);
    assert_int_equal(config.alerts[0].subject.number, 1);
    assert_true(srv_config_decimal(&config.alerts[0].polarity_max) == -0.25);
    assert_true(srv_config_decimal(&config.alerts[0].heat_min) == 12.5);
    assert_int_equal(config.n_webhooks, 1);
    assert_int_equal(srv_config_levels(&config.webhooks[0]), 9);
    srv_config_finish(&config);
    refuses(MODEL "[alert a]\nlevel = purple\n", 4, "expected one of blue, yellow, orange, red");
    refuses(MODEL "[alert a]\nlevel = red\n", 0, "[alert a] asks for nothing");
    refuses(MODEL "[alert a]\npolarity_max = -1.5\n", 4, "expected -1 to 1");
    refuses(MODEL "[alert a]\nheat_min = 1.2345\n", 4, "at most three decimals");
    refuses(MODEL "[alert a]\nheat_min = 1.\n", 4, "expected a number like 0.25");
    refuses(MODEL "[alert a]\nheat_min = -\n", 4, "expected a number like 0.25");
    refuses(MODEL "[webhook w]\nlevels = red\n", 0, "[webhook w] has no url");
    refuses(MODEL "[webhook w]\nurl = file:///etc/passwd\n", 0, "expected http://HOST/PATH");
    refuses(MODEL "[webhook w]\nurl = http://u:p@host/\n", 0, "expected http://HOST/PATH");
    refuses(MODEL "[webhook w]\nurl = http://host/\nlevels = green\n", 0, "expected words of red");
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
        cmocka_unit_test(test_what_is_allowed),
        cmocka_unit_test(test_files_that_cannot_be_read),
        cmocka_unit_test(test_order_of_drop_ins),
        cmocka_unit_test(test_sections_are_counted),
        cmocka_unit_test(test_names_are_short),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_reload_facts),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_shipped_file),
        cmocka_unit_test(test_alerts_and_webhooks),
        cmocka_unit_test(test_defaults_are_valid),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
