/*
 * attend bench: how fast a model is on this machine, as one JSON line.
 * Throughput: every thread runs packed batches of its own, texts in the order of
 * the file up to the token budget, no padding; real tokens are counted. Latency:
 * single texts, one at a time, on all threads.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/base/clock.h"

enum { BUDGET = 256, BATCH_SEQS = 256, TEXTS_MAX = 1 << 20, SINGLES_MAX = 2000, DEPTH_MAX = 16 };
static const double seconds_default = 5;

struct text {
    char *bytes;
    size_t len, count;
    int32_t *ids;
};

struct bench {
    struct cli_options options;
    struct att_model *model;
    struct text *texts;
    size_t n_texts, budget, n_threads;
    size_t *begins, n_batches; /* batch i is texts begins[i] .. begins[i + 1] */
    uint64_t end_us;
    double load_ms, seconds, p50_ms, p99_ms;
    atomic_size_t next, texts_done, tokens_done;
    struct att_context *leader; /* whom the others help */
    atomic_bool stop_helping;
};

struct worker {
    struct bench *bench;
    struct att_context *context;
    struct att_tokens tokens;
    pthread_t id;
    enum att_status status;
    struct att_err err;
};

/* Tokenises into ids[capacity], cut to the model's length. */
static enum att_status encode(const struct att_model *model, const struct text *text, struct att_tokens *tokens,
                              int32_t *ids, size_t capacity, size_t *ret_count, struct att_err *err)
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(model);
    size_t longest = att_model_info(model)->max_tokens, special = att_tokenizer_special_count(tokenizer, false);
    enum att_status status =
        att_tokenizer_encode(tokenizer, text->bytes, text->len, ATT_ENCODE_SPECIAL_AS_TEXT, 0, tokens, err);
    size_t room = longest > special ? longest - special : 0;
    struct att_sequence sequence = {.ids = ids, .capacity = capacity};
    if (status == ATT_OK)
        status = att_tokenizer_assemble(tokenizer, tokens->items, tokens->count < room ? tokens->count : room, NULL, 0,
                                        &sequence, err);
    if (status == ATT_OK)
        *ret_count = sequence.len;
    return status;
}

/* One line {"text":…}. */
static enum att_status read_text(const struct att_model *model, const char *line, size_t line_len,
                                 struct att_tokens *tokens, struct text *text, struct att_err *err)
{
    struct att_json *root = NULL;
    enum att_status status = att_json_parse(line, line_len, 0, DEPTH_MAX, &root, err);
    if (status != ATT_OK)
        return status;
    const char *bytes = att_json_string(att_json_get(root, "text"), &text->len);
    text->bytes = bytes ? att_mem_calloc(text->len + 1, 1) : NULL;
    size_t longest = att_model_info(model)->max_tokens;
    text->ids = bytes ? att_mem_calloc(longest, sizeof *text->ids) : NULL;
    if (!bytes)
        status = att_err_set(err, ATT_EFORMAT, "text: is missing");
    else if (!text->bytes || !text->ids)
        status = att_err_set(err, ATT_ENOMEM, "out of memory");
    else
        memcpy(text->bytes, bytes, text->len);
    att_json_destroy(root);
    return status == ATT_OK ? encode(model, text, tokens, text->ids, longest, &text->count, err) : status;
}

static enum att_status add_line(struct bench *bench, const char *line, size_t len, struct att_tokens *tokens,
                                size_t *capacity, struct att_err *err)
{
    if (bench->n_texts == TEXTS_MAX)
        return att_err_limit(err, NULL, TEXTS_MAX, TEXTS_MAX + 1, "more than %d texts", TEXTS_MAX);
    if (bench->n_texts == *capacity) {
        size_t more = *capacity ? *capacity * 2 : 512;
        struct text *texts = att_mem_realloc(bench->texts, more, sizeof *texts);
        if (!texts)
            return att_err_set(err, ATT_ENOMEM, "out of memory");
        bench->texts = texts;
        *capacity = more;
    }
    struct text *text = &bench->texts[bench->n_texts++];
    *text = (struct text){.bytes = NULL};
    return read_text(bench->model, line, len, tokens, text, err);
}

static enum att_status read_texts(struct bench *bench, struct att_err *err)
{
    FILE *file = fopen(bench->options.input, "rb");
    struct cli_lines lines;
    struct att_tokens tokens;
    size_t capacity = 0, len;
    char *line = NULL;
    if (!file)
        return att_err_set(err, ATT_ENOTFOUND, "%s: cannot be opened", bench->options.input);
    cli_lines_init(&lines, file);
    att_tokens_init(&tokens);
    enum att_status status;
    while ((status = cli_lines_next(&lines, &line, &len, err)) == ATT_OK && line) {
        status = add_line(bench, line, len, &tokens, &capacity, err);
        if (status != ATT_OK)
            break;
    }
    if (status == ATT_OK && bench->n_texts == 0)
        status = att_err_set(err, ATT_EFORMAT, "holds no text");
    if (status != ATT_OK)
        att_err_prefix(err, "%s: line %zu", bench->options.input, lines.number);
    att_tokens_finish(&tokens);
    cli_lines_finish(&lines);
    fclose(file);
    return status;
}

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
        const struct text *text = &bench->texts[i];
        int32_t *begin_ids = ids + cu[i - begin];
        size_t count = text->count, left = att_context_max_tokens(worker->context) - cu[i - begin];
        if (!tokenise)
            memcpy(begin_ids, text->ids, count * sizeof *ids);
        else if (encode(bench->model, text, &worker->tokens, begin_ids, left, &count, &worker->err) != ATT_OK)
            return worker->err.status;
        cu[i - begin + 1] = cu[i - begin] + (uint32_t)count;
    }
    const struct att_batch batch = {.ids = ids, .cu_seqlens = cu, .n_seqs = end - begin};
    *ret_tokens = cu[end - begin];
    return att_forward(worker->context, &batch, NULL, &out, &worker->err);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct bench *bench = worker->bench;
    while (worker->status == ATT_OK && att_clock_us() < bench->end_us) {
        size_t i = atomic_fetch_add(&bench->next, 1) % bench->n_batches, tokens = 0;
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

/* Operations of the matrix products and of attention, for all texts once. */
static double flops(const struct bench *bench)
{
    const struct att_model_info *info = att_model_info(bench->model);
    double h = (double)info->hidden_size, inner = (double)info->intermediate_size, total = 0;
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
    char *text = NULL;
    size_t len = 0;
    att_jsonw_init(&w, 1 << 16);
    att_jsonw_object_begin(&w);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        att_jsonw_key(&w, rows[i].name);
        att_jsonw_double(&w, rows[i].value, 5);
    }
    att_jsonw_key(&w, "isa");
    att_jsonw_cstring(&w, att_kernel_names(att_model_info(bench->model)->dtype));
    att_jsonw_key(&w, "dtype");
    att_jsonw_cstring(&w, att_dtype_name(att_model_info(bench->model)->dtype));
    att_jsonw_object_end(&w);
    enum att_status status = att_jsonw_take(&w, &text, &len, err);
    if (status == ATT_OK)
        puts(text);
    att_mem_free(text);
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
        status = read_texts(bench, err);
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
    struct bench bench = {.n_texts = 0};
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
    for (size_t i = 0; i < bench.n_texts; i++) {
        att_mem_free(bench.texts[i].bytes);
        att_mem_free(bench.texts[i].ids);
    }
    att_mem_free(bench.texts);
    att_mem_free(bench.begins);
    att_model_unref(bench.model);
    return status == ATT_OK ? CLI_OK : cli_fail(argv[0], &err);
}
