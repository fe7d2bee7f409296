/* Who comes to help, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>

#include "core/base/clock.h"
#include "core/base/team.h"

enum { CHUNKS = 4, WAIT_US = 5000000 };

struct fixture {
    struct att_team team;
    pthread_t leader;
    atomic_size_t computed[CHUNKS], helped;
    atomic_bool invited, stop;
    uint64_t end_us;
};

static void *help(void *argument)
{
    struct fixture *fixture = argument;
    while (!atomic_load(&fixture->stop)) {
        if (atomic_load(&fixture->invited))
            atomic_fetch_add(&fixture->helped, att_team_help(&fixture->team, NULL, NULL, NULL));
    }
    return NULL;
}

static size_t others_computed(const struct fixture *fixture, size_t chunk)
{
    size_t sum = 0;
    for (size_t i = 1; i < CHUNKS; i++)
        sum += i != chunk ? atomic_load(&fixture->computed[i]) : 0;
    return sum;
}

/* The first chunk invites the helper and lasts until it is there, a later one of the leader's while it is there and has
 * computed nothing. */
static void work(void *context, size_t chunk, void *space)
{
    struct fixture *fixture = context;
    (void)space;
    if (chunk == 0)
        atomic_store(&fixture->invited, true);
    while (pthread_equal(pthread_self(), fixture->leader) && att_clock_us() < fixture->end_us &&
           (att_team_size(&fixture->team) == 1 ? chunk == 0 : chunk > 0 && others_computed(fixture, chunk) == 0))
        ; /* no yield here nor in help(): where other programs want the cores, they would never be awake together */
    atomic_fetch_add(&fixture->computed[chunk], 1);
}

/* An operation that began alone is shared with the helper that comes while it runs; each chunk is computed once. */
static void a_late_helper_takes_part(void **state)
{
    struct fixture fixture = {.leader = pthread_self(), .end_us = att_clock_us() + WAIT_US};
    pthread_t helper;
    (void)state;
    att_team_init(&fixture.team, NULL);
    assert_int_equal(pthread_create(&helper, NULL, help, &fixture), 0);
    while (atomic_load(&fixture.helped) == 0 && att_clock_us() < fixture.end_us) {
        for (size_t i = 0; i < CHUNKS; i++)
            atomic_store(&fixture.computed[i], 0);
        att_team_begin(&fixture.team);
        att_team_run(&fixture.team, CHUNKS, work, &fixture);
        att_team_end(&fixture.team);
        for (size_t i = 0; i < CHUNKS; i++)
            assert_int_equal(fixture.computed[i], 1);
        atomic_store(&fixture.invited, false);
        while (att_team_size(&fixture.team) > 1)
            sched_yield();
    }
    atomic_store(&fixture.stop, true);
    pthread_join(helper, NULL);
    assert_true(fixture.helped > 0);
    att_team_finish(&fixture.team);
}

struct asked {
    size_t times, enough; /* enough 0: never */
};

static bool is_asked(void *context)
{
    struct asked *asked = context;
    return ++asked->times == asked->enough;
}

static void wait_as_helper(struct att_team *team, struct asked *asked)
{
    assert_int_equal(att_team_help(team, NULL, is_asked, asked), 0);
    assert_int_equal(att_team_size(team), 1);
}

/* A helper goes where there is no pass, stays where another is worth waiting for, for some time, and in a pass in which
 * the leader has nothing for it yet, until it is wanted elsewhere. */
static void helpers_wait_as_long_as_it_is_worth(void **state)
{
    struct att_team team;
    (void)state;
    att_team_init(&team, NULL);
    struct asked idle = {0}, held = {0};
    wait_as_helper(&team, &idle);
    att_team_hold(&team);
    wait_as_helper(&team, &held);
    att_team_release(&team);
    assert_true(idle.times > 0);
    assert_true(held.times > 4 * idle.times);

    struct asked in_pass = {.enough = 2 * held.times};
    att_team_begin(&team);
    wait_as_helper(&team, &in_pass);
    att_team_end(&team);
    assert_int_equal(in_pass.times, in_pass.enough);
    att_team_finish(&team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_helper_takes_part),
        cmocka_unit_test(helpers_wait_as_long_as_it_is_worth),
    };
    return cmocka_run_group_tests_name("base/team", tests, NULL, NULL);
}
