/* The writer runs everything once, in order, on a thread of its own, also what is queued when it is stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "server/batch/writer.h"

enum { N_WRITES = 200, N_THREADS = 4 };

struct write {
    struct srv_write write; /* first: run casts back */
    size_t number;
};

static struct write writes[N_THREADS][N_WRITES];
static size_t order[N_THREADS * N_WRITES], n_run; /* touched by the writer's thread, read after it has ended */
static pthread_t runner;
static struct srv_writer *writer;

static void run(struct srv_write *write)
{
    if (n_run == 0)
        usleep(20000); /* others queue meanwhile */
    runner = pthread_self();
    order[n_run++] = ((struct write *)write)->number;
}

static void *submit_all(void *argument)
{
    struct write *own = argument;
    for (size_t i = 0; i < N_WRITES; i++)
        srv_writer_submit(writer, &own[i].write);
    return NULL;
}

static void everything_runs_once_and_in_order(void **state)
{
    (void)state;
    pthread_t threads[N_THREADS];
    assert_int_equal(srv_writer_start(&writer, NULL), ATT_OK);
    for (size_t t = 0; t < N_THREADS; t++)
        for (size_t i = 0; i < N_WRITES; i++)
            writes[t][i] = (struct write){{run, NULL}, t * N_WRITES + i};
    for (size_t t = 0; t < N_THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, submit_all, writes[t]), 0);
    for (size_t t = 0; t < N_THREADS; t++)
        pthread_join(threads[t], NULL);
    srv_writer_stop(writer);
    assert_int_equal(n_run, N_THREADS * N_WRITES);
    assert_false(pthread_equal(runner, pthread_self()));
    size_t next[N_THREADS] = {0};
    for (size_t i = 0; i < n_run; i++)
        assert_int_equal(order[i] % N_WRITES, next[order[i] / N_WRITES]++);
}

static void failed_allocations_and_no_writer_are_survived(void **state)
{
    (void)state;
    struct srv_writer *none = NULL;
    att_mem_fail_at(1, false);
    assert_int_equal(srv_writer_start(&none, NULL), ATT_ENOMEM);
    att_mem_fail_at(0, false);
    assert_null(none);
    srv_writer_stop(NULL);
    assert_int_equal(srv_writer_start(&none, NULL), ATT_OK);
    srv_writer_stop(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_runs_once_and_in_order),
        cmocka_unit_test(failed_allocations_and_no_writer_are_survived),
    };
    return cmocka_run_group_tests_name("server/writer", tests, NULL, NULL);
}
