/*
 * attend report: the report of POST /v1/report from a news store on this machine,
 * without a daemon, or beside one that has it open. The same body over the same
 * store gives the same bytes; for that the rules of heat must be the daemon's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/base/jsonw.h"
#include "news/set.h"
#include "store/news.h"

enum { DEPTH_MAX = 32, HOUR_MS = 3600000, BODY_BYTES_MAX = 64 << 20 };

struct place {
    struct task_env env;
    struct task_news news;
    struct news_view view;
};

static const struct task_model *no_model(void *context, const char *name, const char *task)
{
    (void)context;
    (void)name;
    (void)task;
    return NULL;
}

static enum att_status open_place(const struct cli_options *options, const struct cli_env *models, struct place *place,
                                  struct att_err *err)
{
    /* What only a put uses is the daemon's. */
    const struct store_news_options store = {.window_ms = news_view_default.near_ms,
                                             .similar_min = news_view_default.near_min};
    enum att_status status = ATT_OK;
    place->view = news_view_default;
    if (options->half_life_hours)
        place->view.half_life_ms = (int64_t)options->half_life_hours * HOUR_MS;
    if (options->source_weights)
        status = news_weights_load(options->source_weights, &place->view.weights, err);
    /* A mistyped name would leave an empty file. */
    if (status == ATT_OK && access(options->db, F_OK) != 0)
        status = att_err_set(err, ATT_ENOTFOUND, "%s: %s", options->db, strerror(errno));
    if (status == ATT_OK)
        status = store_news_open(options->db, &store, &place->news.store, err);
    if (status != ATT_OK)
        return status;
    if (models)
        place->env = *cli_env_task(models);
    else
        place->env = (struct task_env){.find_model = no_model, .limits = cli_limits};
    place->news.model = models ? cli_env_model(models) : NULL;
    place->env.news_view = &place->view;
    place->env.news = &place->news;
    return ATT_OK;
}

static void close_place(struct place *place)
{
    store_news_close(place->news.store);
    news_weights_finish(&place->view.weights);
}

/* The argument, else standard input. */
static enum att_status read_body(const struct cli_options *options, struct att_json **ret_body, struct att_err *err)
{
    struct att_jsonw text;
    char chunk[65536];
    size_t n;
    if (options->n_rest > 0)
        return att_json_parse(options->rest[0], strlen(options->rest[0]), 0, DEPTH_MAX, ret_body, err);
    att_jsonw_init(&text, BODY_BYTES_MAX);
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0)
        att_jsonw_append(&text, chunk, n);
    enum att_status status = text.failed ? att_err_set(err, ATT_ELIMIT, "the body is over %d bytes", BODY_BYTES_MAX)
                                         : att_json_parse(text.bytes, text.len, 0, DEPTH_MAX, ret_body, err);
    att_jsonw_finish(&text);
    return status;
}

static enum att_status write_report(const struct place *place, const struct att_json *body, struct att_err *err)
{
    struct task_contexts *contexts = NULL;
    char *bytes = NULL;
    size_t len = 0;
    enum att_status status = task_contexts_create(&contexts, err);
    if (status == ATT_OK)
        status = task_run(contexts, &task_report, &place->env, body, &bytes, &len, err);
    if (status == ATT_OK && (fwrite(bytes, 1, len, stdout) != len || fflush(stdout) != 0))
        status = att_err_set(err, ATT_EIO, "standard output: %s", strerror(errno));
    att_mem_free(bytes);
    task_contexts_destroy(contexts);
    return status;
}

int cli_report(int argc, char **argv)
{
    static const char about[] =
        "usage: attend report --db FILE [BODY] > report.html\n\n"
        "A public-opinion report over a news store: BODY, or standard input, is a body of POST /v1/report, such as\n"
        "{\"window\":\"24h\",\"lang\":\"zh\",\"format\":\"html\"}. --model classifies news that stand in \"input\".\n";
    struct cli_options options;
    struct cli_env *models = NULL;
    struct place place = {.view = {.half_life_ms = 0}};
    struct att_json *body = NULL;
    struct att_err err;
    int usage = cli_options_parse(argc, argv, "db model base half-life-hours source-weights", about, &options);
    if (usage >= 0)
        return usage;
    if (!options.db)
        return cli_missing(argv[0], "db");
    enum att_status status = options.model ? cli_env_create(&options, &models, &err) : ATT_OK;
    if (status == ATT_OK)
        status = open_place(&options, models, &place, &err);
    if (status == ATT_OK)
        status = read_body(&options, &body, &err);
    if (status == ATT_OK && !att_json_is_object(body))
        status = att_err_set(&err, ATT_ESYNTAX, "the body is an array, expected a JSON object");
    if (status == ATT_OK)
        status = write_report(&place, body, &err);
    att_json_destroy(body);
    close_place(&place);
    cli_env_destroy(models);
    return status == ATT_OK ? CLI_OK : cli_fail(argv[0], &err);
}
