/*
 * attend ingest: news from files (JSON lines, RSS, Atom), standard input or a Redis
 * stream into a daemon or a store of one's own.
 *
 * A batch of lines is handed over, and only when it is stored does its source
 * move on. So a crash anywhere repeats at most one batch, which the items' ids
 * make harmless. SIGINT and SIGTERM end after the batch in hand.
 */
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "cli/sink.h"
#include "cli/source.h"

enum { SOURCES_MAX = 64, BATCH_BYTES_MAX = 256 << 20 };

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

struct ingest {
    struct cli_source sources[SOURCES_MAX];
    bool ended[SOURCES_MAX];
    size_t n_sources, n_ended;
    struct cli_sink *sink;
    struct cli_sink_counts counts;
};

static enum att_status open_sources(struct ingest *ingest, const struct cli_options *options, struct att_err *err)
{
    enum att_status status = ATT_OK;
    if (options->redis) {
        status = cli_source_redis(options, &stop, &ingest->sources[0], err);
        ingest->n_sources = status == ATT_OK;
    }
    for (size_t i = 0; status == ATT_OK && i < options->n_rest; i++) {
        if (ingest->n_sources == SOURCES_MAX)
            return att_err_set(err, ATT_ELIMIT, "more than %d sources", SOURCES_MAX);
        status = cli_source_file(options->rest[i], options, &stop, &ingest->sources[ingest->n_sources], err);
        ingest->n_sources += status == ATT_OK;
    }
    return status;
}

/* One batch of one source, from it to the disk. */
static enum att_status step(struct ingest *ingest, size_t index, struct att_err *err)
{
    struct cli_source *source = &ingest->sources[index];
    struct att_jsonw lines;
    char *text = NULL;
    size_t len = 0;
    att_jsonw_init(&lines, BATCH_BYTES_MAX);
    enum att_status status = source->next(source->context, &lines, &ingest->ended[index], err);
    bool any = lines.len > 0;
    if (status == ATT_OK && any)
        status = att_jsonw_take(&lines, &text, &len, err);
    att_jsonw_finish(&lines);
    if (status == ATT_OK && any)
        status = cli_sink_put(ingest->sink, text, len, &ingest->counts, err);
    if (status == ATT_OK)
        status = source->stored(source->context, err);
    att_mem_free(text);
    ingest->n_ended += ingest->ended[index];
    return status;
}

static enum att_status run(struct ingest *ingest, struct att_err *err)
{
    enum att_status status = ATT_OK;
    while (status == ATT_OK && !stop && ingest->n_ended < ingest->n_sources)
        for (size_t i = 0; status == ATT_OK && !stop && i < ingest->n_sources; i++)
            if (!ingest->ended[i])
                status = step(ingest, i, err);
    return status == ATT_EBUSY && stop ? ATT_OK : status;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int cli_ingest(int argc, char **argv)
{
    static const char about[] =
        "attend ingest [FILE ...] (--url URL | --db FILE --model DIR)\n\n"
        "Brings news from files (JSON lines, RSS, Atom), standard input (-) or a Redis stream\n"
        "into a daemon or a store. Known items are skipped; a run that was broken off is repeated.\n";
    struct cli_options options;
    struct ingest ingest = {.n_sources = 0};
    struct att_err err = {ATT_OK, "", "", 0, 0};
    int result = cli_options_parse(argc, argv,
                                   "url key-file db model base dtype entities redis group consumer source state follow",
                                   about, &options);
    if (result >= 0)
        return result;
    if (!options.url && !options.db)
        return cli_missing(argv[0], "url");
    if (!options.url && !options.model)
        return cli_missing(argv[0], "model");
    if (!options.redis && options.n_rest == 0)
        return cli_missing(argv[0], "redis");
    options.news_create = options.db != NULL;
    catch_signals();
    enum att_status status = open_sources(&ingest, &options, &err);
    if (status == ATT_OK)
        status = cli_sink_create(&options, &stop, &ingest.sink, &err);
    if (status == ATT_OK)
        status = run(&ingest, &err);
    for (size_t i = 0; i < ingest.n_sources; i++)
        ingest.sources[i].close(ingest.sources[i].context);
    cli_sink_destroy(ingest.sink);
    if (ingest.sink)
        printf("{\"lines\":%" PRIu64 ",\"new\":%" PRIu64 ",\"duplicate\":%" PRIu64 ",\"updated\":%" PRIu64
               ",\"error\":%" PRIu64 "}\n",
               ingest.counts.lines, ingest.counts.fresh, ingest.counts.duplicate, ingest.counts.updated,
               ingest.counts.error);
    if (status != ATT_OK)
        return cli_fail(argv[0], &err);
    return ingest.counts.error > 0 ? CLI_FAILED : CLI_OK;
}
