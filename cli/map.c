/*
 * Lines through several threads, answers in order: a block of lines is read,
 * the threads take the next line each, the block's answers are written, and so
 * on. Equal inputs give equal outputs whatever the number of threads.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/base/clock.h"
#include "core/base/cores.h"

enum { BLOCK_LINES = 256, BLOCK_BYTES = 8 << 20 };
static const size_t answer_bytes_max = (size_t)1 << 30;

struct line {
    char *text;
    size_t len;
    struct att_jsonw answer;
    bool failed;
};

struct block {
    const struct cli_map *map;
    struct line lines[BLOCK_LINES];
    size_t count;
    atomic_size_t next;
};

struct thread {
    pthread_t id;
    struct block *block;
    void *worker;
};

static void *work(void *argument)
{
    struct thread *thread = argument;
    struct block *block = thread->block;
    size_t i;
    while ((i = atomic_fetch_add(&block->next, 1)) < block->count) {
        struct line *line = &block->lines[i];
        att_jsonw_init(&line->answer, answer_bytes_max);
        line->failed = !block->map->line(block->map->context, thread->worker, line->text, line->len, &line->answer);
    }
    return NULL;
}

/* The calling thread works too; where no thread can be made it does all of it. */
static void run_block(struct block *block, struct thread *threads, size_t n_threads)
{
    size_t started = 1;
    atomic_store(&block->next, 0);
    while (started < n_threads && started < block->count &&
           pthread_create(&threads[started].id, NULL, work, &threads[started]) == 0)
        started++;
    work(&threads[0]);
    for (size_t i = 1; i < started; i++)
        pthread_join(threads[i].id, NULL);
}

static enum att_status read_block(struct cli_lines *in, struct block *block, struct att_err *err)
{
    size_t bytes = 0, len;
    char *text;
    block->count = 0;
    while (block->count < BLOCK_LINES && bytes < BLOCK_BYTES) {
        enum att_status status = cli_lines_next(in, &text, &len, err);
        if (status != ATT_OK)
            return status;
        if (!text)
            break;
        struct line *line = &block->lines[block->count];
        *line = (struct line){.text = att_mem_calloc(len + 1, 1), .len = len};
        if (!line->text)
            return att_err_set(err, ATT_ENOMEM, "out of memory for a line");
        memcpy(line->text, text, len);
        block->count++;
        bytes += len;
    }
    return ATT_OK;
}

/* Writes and frees the answers. */
static enum att_status write_block(struct block *block, FILE *out, bool *ret_failed, struct att_err *err)
{
    enum att_status status = ATT_OK;
    for (size_t i = 0; i < block->count; i++) {
        struct line *line = &block->lines[i];
        char *text = NULL;
        size_t len = 0;
        *ret_failed |= line->failed;
        enum att_status taken = att_jsonw_take(&line->answer, &text, &len, status == ATT_OK ? err : NULL);
        if (status == ATT_OK && taken != ATT_OK)
            status = taken;
        if (status == ATT_OK && (fwrite(text, 1, len, out) != len || fputc('\n', out) == EOF))
            status = att_err_set(err, ATT_EIO, "the output cannot be written: %s", strerror(errno));
        att_mem_free(text);
        att_jsonw_finish(&line->answer);
        att_mem_free(line->text);
    }
    block->count = 0;
    return status;
}

static enum att_status run_blocks(struct block *block, struct thread *threads, size_t n_threads, FILE *in, FILE *out,
                                  bool *ret_failed, struct att_err *err)
{
    struct cli_lines lines;
    size_t done = 0;
    bool shown = isatty(STDERR_FILENO) == 1;
    uint64_t begin = att_clock_us();
    enum att_status status;
    cli_lines_init(&lines, in);
    do {
        status = read_block(&lines, block, err);
        size_t count = block->count;
        if (status == ATT_OK && count > 0) {
            run_block(block, threads, n_threads);
            status = write_block(block, out, ret_failed, err);
        }
        done += count;
        if (status != ATT_OK || count == 0)
            break;
        if (shown)
            fprintf(stderr, "\r%zu lines, %.0f/s ", done, (double)done * 1e6 / (double)(att_clock_us() - begin + 1));
    } while (true);
    for (size_t i = 0; i < block->count; i++)
        att_mem_free(block->lines[i].text);
    if (shown && done > 0)
        fputc('\n', stderr);
    cli_lines_finish(&lines);
    if (status == ATT_OK && fflush(out) != 0)
        status = att_err_set(err, ATT_EIO, "the output cannot be written: %s", strerror(errno));
    return status;
}

int cli_map_run(const struct cli_map *map, const char *command, FILE *in, FILE *out, size_t n_threads)
{
    assert(map->line && n_threads <= CLI_THREADS_MAX);
    struct att_err err;
    const size_t cores = att_cores_count();
    n_threads = n_threads ? n_threads : cores < CLI_THREADS_MAX ? cores : CLI_THREADS_MAX;
    struct thread *threads = att_mem_calloc(n_threads, sizeof *threads);
    struct block *block = att_mem_calloc(1, sizeof *block);
    enum att_status status = threads && block ? ATT_OK : att_err_set(&err, ATT_ENOMEM, "out of memory");
    bool failed = false;
    for (size_t i = 0; status == ATT_OK && i < n_threads; i++) {
        threads[i].block = block;
        status = map->worker_create(map->context, &threads[i].worker, &err);
    }
    if (status == ATT_OK) {
        block->map = map;
        status = run_blocks(block, threads, n_threads, in, out, &failed, &err);
    }
    for (size_t i = 0; threads && i < n_threads; i++)
        if (threads[i].worker)
            map->worker_destroy(threads[i].worker);
    att_mem_free(threads);
    att_mem_free(block);
    if (status != ATT_OK)
        return cli_fail(command, &err);
    return failed ? CLI_FAILED : CLI_OK;
}
