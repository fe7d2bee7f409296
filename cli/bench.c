/*
 * attend bench: how fast a model is on this machine, as one JSON line.
 * Throughput: every thread runs packed batches of its own, texts in the order of
 * the file up to the token budget, no padding; real tokens are counted. The clock
 * stops at the end of a pass over the file, whose first texts may be longer than
 * others, or at OVERTIME times --seconds. Latency: single texts, one at a time,
 * on all threads. Threads are pinned, as the daemon's workers are: two that share
 * a core would measure the scheduler.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/texts.h"
#include "core/base/clock.h"
#include "core/base/cores.h"

enum { BUDGET = 256, BATCH_SEQS = 256, SINGLES_MAX = 2000, OVERTIME = 4 };
static const double seconds_default = 5;

struct bench {
    struct cli_options options;
    struct att_model *model;
    struct cli_text *texts;
    size_t n_texts, budget, n_threads;
    size_t *begins, n_batches; /* batch i is texts begins[i] .. begins[i + 1] */
    double load_ms, seconds, p50_ms, p99_ms;
    pthread_mutex_t lock; /* of next */
    size_t next;          /* batch, counted through all passes */
    uint64_t end_us, overtime_us;
    atomic_size_t texts_done, tokens_done;
    struct att_context *leader; /* whom the others help */
    atomic_bool stop_helping;
};

struct worker {
    struct bench *bench;
    struct att_context *context;
    struct att_tokens tokens;
    pthread_t id;
    int core;
    enum att_status status;
    struct att_err err;
};

static enum att_status plan_batches(struct bench *bench, struct att_err *err)
{
    size_t tokens = 0;
    bench->begins = att_mem_calloc(bench->n_texts + 1, sizeof *bench->begins);
    if (!bench->begins)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t i = 0; i < bench->n_texts; i++) {
        size_t begin = bench->begins[bench->n_batches];
        if (i > begin && (tokens + bench->texts[i].count > bench->budget || i - begin == BATCH_SEQS)) {
            bench->begins[++bench->n_batches] = i;
            tokens = 0;
        }
        tokens += bench->texts[i].count;
    }
    bench->begins[++bench->n_batches] = bench->n_texts;
    return ATT_OK;
}

static enum att_status run_texts(struct worker *worker, size_t begin, size_t end, bool tokenise, size_t *ret_tokens)
{
    const struct bench *bench = worker->bench;
    int32_t *ids, *type_ids;
    uint32_t *cu;
    struct att_output out;
    att_context_staging(worker->context, &ids, &type_ids, &cu);
    cu[0] = 0;
    for (size_t i = begin; i < end; i++) {
        const struct cli_text *text = &bench->texts[i];
        int32_t *begin_ids = ids + cu[i - begin];
        size_t count = text->count, left = att_context_max_tokens(worker->context) - cu[i - begin];
        if (!tokenise)
            memcpy(begin_ids, text->ids, count * sizeof *ids);
        else if (cli_text_encode(bench->model, text, &worker->tokens, begin_ids, left, &count, &worker->err) != ATT_OK)
            return worker->err.status;
        cu[i - begin + 1] = cu[i - begin] + (uint32_t)count;
    }
    const struct att_batch batch = {.ids = ids, .cu_seqlens = cu, .n_seqs = end - begin, .vectors_only = true};
    *ret_tokens = cu[end - begin];
    return att_forward(worker->context, &batch, NULL, &out, &worker->err);
}

static bool take_batch(struct bench *bench, size_t *ret_batch)
{
    pthread_mutex_lock(&bench->lock);
    const uint64_t now = att_clock_us();
    const size_t batch = bench->next % bench->n_batches;
    const bool taken = now < (batch == 0 ? bench->end_us : bench->overtime_us);
    if (taken)
        bench->next++;
    pthread_mutex_unlock(&bench->lock);
    *ret_batch = batch;
    return taken;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct bench *bench = worker->bench;
    att_cores_pin(worker->core);
    size_t i;
    while (worker->status == ATT_OK && take_batch(bench, &i)) {
        size_t tokens = 0;
        worker->status =
            run_texts(worker, bench->begins[i], bench->begins[i + 1], bench->options.with_tokenizer, &tokens);
        atomic_fetch_add(&bench->texts_done, bench->begins[i + 1] - bench->begins[i]);
        atomic_fetch_add(&bench->tokens_done, tokens);
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Helps the first worker with its texts; sleeps while there is none. */
static void *help(void *argument)
{
    struct worker *worker = argument;
    struct bench *bench = worker->bench;
    att_cores_pin(worker->core);
    while (!atomic_load(&bench->stop_helping))
        if (att_context_help(worker->context, bench->leader, NULL, NULL) == 0)
            nanosleep(&(struct timespec){0, 1000}, NULL);
    return NULL;
}

static size_t start_helpers(struct bench *bench, struct worker *workers)
{
    size_t started = 1;
    bench->leader = workers[0].context;
    atomic_store(&bench->stop_helping, false);
    while (started < bench->n_threads && pthread_create(&workers[started].id, NULL, help, &workers[started]) == 0)
        started++;
    return started;
}

/* Single texts, one at a time: the first worker's, with the help of the others. */
static enum att_status measure_latency(struct bench *bench, struct worker *worker, struct att_err *err)
{
    size_t n = bench->n_texts < SINGLES_MAX ? bench->n_texts : SINGLES_MAX, tokens;
    double *ms = att_mem_calloc(n, sizeof *ms);
    if (!ms)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    enum att_status status = ATT_OK;
    size_t started = start_helpers(bench, worker);
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        uint64_t begin = att_clock_us();
        status = run_texts(worker, i, i + 1, bench->options.with_tokenizer, &tokens);
        ms[i] = (double)(att_clock_us() - begin) / 1000;
    }
    atomic_store(&bench->stop_helping, true);
    for (size_t i = 1; i < started; i++)
        pthread_join(worker[i].id, NULL);
    if (status == ATT_OK) {
        qsort(ms, n, sizeof *ms, by_value);
        bench->p50_ms = ms[n / 2];
        bench->p99_ms = ms[n * 99 / 100];
    } else {
        *err = worker->err;
    }
    att_mem_free(ms);
    return status;
}

/* One batch before the clock starts wakes the processor and fills the caches. */
static enum att_status measure_throughput(struct bench *bench, struct worker *workers, struct att_err *err)
{
    size_t started = 1, tokens;
    for (size_t i = 0; i < bench->n_threads; i++)
        if (run_texts(&workers[i], bench->begins[0], bench->begins[1], false, &tokens) != ATT_OK) {
            *err = workers[i].err;
            return err->status;
        }
    uint64_t begin = att_clock_us();
    double seconds = bench->options.seconds > 0 ? bench->options.seconds : seconds_default;
    bench->end_us = begin + (uint64_t)(seconds * 1e6);
    bench->overtime_us = begin + (uint64_t)(OVERTIME * seconds * 1e6);
    while (started < bench->n_threads && pthread_create(&workers[started].id, NULL, work, &workers[started]) == 0)
        started++;
    work(&workers[0]);
    for (size_t i = 1; i < started; i++)
        pthread_join(workers[i].id, NULL);
    bench->seconds = (double)(att_clock_us() - begin) / 1e6;
    for (size_t i = 0; i < started; i++)
        if (workers[i].status != ATT_OK) {
            *err = workers[i].err;
            return err->status;
        }
    return started == bench->n_threads ? ATT_OK : att_err_set(err, ATT_EIO, "a thread cannot be started");
}

static enum att_status measure(struct bench *bench, struct worker *workers, struct att_err *err)
{
    size_t longest = att_model_info(bench->model)->max_tokens;
    size_t tokens = bench->budget > longest ? bench->budget : longest;
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < bench->n_threads; i++) {
        workers[i].bench = bench;
        workers[i].core = att_cores_pick(i);
        att_tokens_init(&workers[i].tokens);
        status = att_context_create(bench->model, tokens, BATCH_SEQS, &workers[i].context, err);
    }
    if (status == ATT_OK)
        status = measure_throughput(bench, workers, err);
    if (status == ATT_OK)
        status = measure_latency(bench, &workers[0], err);
    for (size_t i = 0; i < bench->n_threads; i++) {
        att_context_destroy(workers[i].context);
        att_tokens_finish(&workers[i].tokens);
    }
    return status;
}

/* Operations of the matrix products and of attention, for all texts once, all layers in full. */
static double flops(const struct bench *bench)
{
    const struct att_model_info *info = att_model_info(bench->model);
    double h = (double)info->hidden_size, inner = (double)info->intermediate_size * (info->gated ? 1.5 : 1), total = 0;
    for (size_t i = 0; i < bench->n_texts; i++) {
        double t = (double)bench->texts[i].count;
        total += (double)info->n_layers * (t * (8 * h * h + 4 * h * inner) + 4 * t * t * h);
    }
    return total;
}

static double rss_mib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0, pages = 0;
    if (!file || fscanf(file, "%ld %ld", &size, &pages) != 2)
        pages = 0;
    if (file)
        fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static enum att_status report(const struct bench *bench, struct att_err *err)
{
    double texts = (double)atomic_load(&bench->texts_done) / bench->seconds;
    const struct {
        const char *name;
        double value;
    } rows[] = {
        {"texts_per_s", texts},
        {"tokens_per_s", (double)atomic_load(&bench->tokens_done) / bench->seconds},
        {"gflops", flops(bench) / (double)bench->n_texts * texts / 1e9},
        {"p50_ms", bench->p50_ms},
        {"p99_ms", bench->p99_ms},
        {"rss_mib", rss_mib()},
        {"load_ms", bench->load_ms},
        {"threads", (double)bench->n_threads},
        {"batch_tokens", (double)bench->budget},
    };
    struct att_jsonw w;
    att_jsonw_init(&w, 1 << 16);
    att_jsonw_object_begin(&w);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        att_jsonw_put_double(&w, rows[i].name, rows[i].value, 5);
    att_jsonw_put_text(&w, "isa", att_kernel_names(att_model_info(bench->model)->dtype));
    att_jsonw_put_text(&w, "dtype", att_dtype_name(att_model_info(bench->model)->dtype));
    att_jsonw_object_end(&w);
    enum att_status status = cli_json_print(&w, err);
    att_jsonw_finish(&w);
    return status;
}

static enum att_status run(struct bench *bench, struct att_err *err)
{
    uint64_t begin = att_clock_us();
    struct worker *workers = att_mem_calloc(bench->n_threads, sizeof *workers);
    enum att_status status = workers ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
    if (status == ATT_OK)
        status = cli_model_load(bench->options.model, &bench->options, &bench->model, err);
    bench->load_ms = (double)(att_clock_us() - begin) / 1000;
    if (status == ATT_OK && !att_model_tokenizer(bench->model))
        status = att_err_set(err, ATT_EUNSUPPORTED, "%s: has no tokenizer", bench->options.model);
    if (status == ATT_OK)
        status = cli_texts_read(bench->model, bench->options.input, &bench->texts, &bench->n_texts, err);
    if (status == ATT_OK)
        status = plan_batches(bench, err);
    if (status == ATT_OK)
        status = measure(bench, workers, err);
    if (status == ATT_OK)
        status = report(bench, err);
    att_mem_free(workers);
    return status;
}

static const char about[] =
    "usage: attend bench --model DIR --input FILE.jsonl\n\n"
    "Throughput of packed batches (default 256 tokens) and latency of single texts, as one JSON line.\n";

int cli_bench(int argc, char **argv)
{
    struct bench bench = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct att_err err;
    int usage = cli_options_parse(argc, argv, "model base dtype input threads batch-tokens seconds with-tokenizer",
                                  about, &bench.options);
    if (usage >= 0)
        return usage;
    if (!bench.options.model || !bench.options.input)
        return cli_missing(argv[0], bench.options.model ? "input" : "model");
    bench.n_threads = bench.options.threads ? bench.options.threads : 1;
    bench.budget = bench.options.batch_tokens ? bench.options.batch_tokens : BUDGET;
    enum att_status status = run(&bench, &err);
    cli_texts_free(bench.texts, bench.n_texts);
    att_mem_free(bench.begins);
    att_model_unref(bench.model);
    return status == ATT_OK ? CLI_OK : cli_fail(argv[0], &err);
}
