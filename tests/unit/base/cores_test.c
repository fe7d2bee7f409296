/* The cores of this process, and threads that are bound to one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#include "core/base/cores.h"

static cpu_set_t own_mask(void)
{
    cpu_set_t mask;
    assert_int_equal(sched_getaffinity(0, sizeof mask, &mask), 0);
    return mask;
}

static void all_of_the_mask_are_counted(void **state)
{
    const cpu_set_t mask = own_mask();
    (void)state;
    assert_true(att_cores_count() >= 1);
    assert_int_equal(att_cores_count(), CPU_COUNT(&mask));
}

static void picks_go_round_the_mask(void **state)
{
    const cpu_set_t mask = own_mask();
    const size_t n = att_cores_count();
    cpu_set_t picked;
    (void)state;
    CPU_ZERO(&picked);
    for (size_t i = 0; i < 3 * n; i++) {
        const int core = att_cores_pick(i);
        assert_true(core >= 0 && CPU_ISSET((size_t)core, &mask));
        assert_int_equal(core, att_cores_pick(i % n));
        CPU_SET((size_t)core, &picked);
        if (i < n)
            assert_int_equal(CPU_COUNT(&picked), i + 1);
    }
    assert_true(att_cores_pick(SIZE_MAX) >= 0);
    assert_true(CPU_EQUAL(&picked, &mask));
}

/* What a thread saw that was pinned: cmocka's assertions are the main thread's. */
struct pinned {
    pthread_t thread;
    int core;
    bool is_allowed; /* the sandbox lets threads choose */
    cpu_set_t before, after;
    int runs_on, picks;
    size_t count;
};

static void *pin(void *argument)
{
    struct pinned *pinned = argument;
    (void)sched_getaffinity(0, sizeof pinned->before, &pinned->before);
    pinned->is_allowed = sched_setaffinity(0, sizeof pinned->before, &pinned->before) == 0;
    att_cores_pin(pinned->core);
    (void)sched_getaffinity(0, sizeof pinned->after, &pinned->after);
    pinned->runs_on = sched_getcpu();
    pinned->picks = att_cores_pick(7);
    pinned->count = att_cores_count();
    return NULL;
}

/* In a thread of its own, so that this one stays where it may run. */
static struct pinned pin_to(int core)
{
    struct pinned pinned = {.core = core};
    assert_int_equal(pthread_create(&pinned.thread, NULL, pin, &pinned), 0);
    pthread_join(pinned.thread, NULL);
    return pinned;
}

static void a_pinned_thread_runs_there(void **state)
{
    const cpu_set_t mask = own_mask();
    (void)state;
    for (size_t i = 0; i < att_cores_count(); i++) {
        const int core = att_cores_pick(i);
        const struct pinned pinned = pin_to(core);
        if (!pinned.is_allowed)
            return; /* cmocka's skip() reads as a failure in TAP */
        assert_int_equal(pinned.runs_on, core);
        assert_int_equal(CPU_COUNT(&pinned.after), 1);
        assert_true(CPU_ISSET((size_t)core, &pinned.after));
        assert_int_equal(pinned.picks, core);
        assert_int_equal(pinned.count, 1);
        const cpu_set_t still = own_mask();
        assert_true(CPU_EQUAL(&still, &mask));
    }
}

static void no_core_changes_nothing(void **state)
{
    const cpu_set_t mask = own_mask();
    (void)state;
    const struct pinned pinned = pin_to(-1);
    assert_true(CPU_EQUAL(&pinned.before, &mask));
    assert_true(CPU_EQUAL(&pinned.after, &mask));
    assert_int_equal(pinned.count, CPU_COUNT(&mask));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_the_mask_are_counted),
        cmocka_unit_test(picks_go_round_the_mask),
        cmocka_unit_test(a_pinned_thread_runs_there),
        cmocka_unit_test(no_core_changes_nothing),
    };
    return cmocka_run_group_tests_name("base/cores", tests, NULL, NULL);
}
