/* Claims, counts and the short waits of a team. */
#include "core/base/team.h"

#include <assert.h>
#include <time.h>

enum { SPINS = 4000, SPINS_IDLE = 2000, SPINS_HELD = 8 * SPINS_IDLE, SPINS_AWAKE = 128, NAP_NS = 20000 };

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void nap(void)
{
    nanosleep(&(struct timespec){0, NAP_NS}, NULL);
}

void att_team_init(struct att_team *team, void *space)
{
    *team = (struct att_team){.space = space};
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->last_done, NULL);
}

void att_team_finish(struct att_team *team)
{
    assert(atomic_load(&team->helpers) == 0);
    pthread_cond_destroy(&team->last_done);
    pthread_mutex_destroy(&team->mutex);
}

void att_team_begin(struct att_team *team)
{
    atomic_store(&team->open, true);
}

void att_team_end(struct att_team *team)
{
    atomic_store(&team->open, false);
}

void att_team_hold(struct att_team *team)
{
    atomic_store(&team->held, true);
}

void att_team_release(struct att_team *team)
{
    atomic_store(&team->held, false);
}

size_t att_team_size(const struct att_team *team)
{
    return 1 + atomic_load_explicit(&team->helpers, memory_order_relaxed);
}

/* The next chunk of the present operation; false when none is left. */
static bool claim(struct att_team *team, size_t *ret_chunk)
{
    uint_fast64_t state = atomic_load_explicit(&team->state, memory_order_acquire);
    for (;;) {
        size_t next = state >> 16 & 0xffff, count = state & 0xffff;
        if (next >= count)
            return false;
        if (atomic_compare_exchange_weak_explicit(&team->state, &state, state + (1u << 16), memory_order_acq_rel,
                                                  memory_order_acquire)) {
            *ret_chunk = next;
            return true;
        }
    }
}

static void wait_for(struct att_team *team, size_t n_chunks)
{
    for (size_t i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&team->done, memory_order_acquire) == n_chunks)
            return;
        pause_cpu();
    }
    pthread_mutex_lock(&team->mutex);
    atomic_store(&team->parked, true);
    while (atomic_load(&team->done) != n_chunks)
        pthread_cond_wait(&team->last_done, &team->mutex);
    atomic_store(&team->parked, false);
    pthread_mutex_unlock(&team->mutex);
}

void att_team_run(struct att_team *team, size_t n_chunks, att_team_work *work, void *context)
{
    assert(n_chunks > 0 && n_chunks <= ATT_TEAM_CHUNKS_MAX);
    size_t chunk, own = 0, alone = 0;
    /* A helper that comes late finds what is left. */
    for (; alone < n_chunks && (n_chunks - alone == 1 || att_team_size(team) == 1); alone++)
        work(context, alone, team->space);
    if (alone == n_chunks)
        return;
    uint_fast64_t number = (atomic_load_explicit(&team->state, memory_order_relaxed) >> 32) + 1;
    team->work = work;
    team->context = context;
    atomic_store_explicit(&team->done, alone, memory_order_relaxed);
    atomic_store_explicit(&team->state, number << 32 | alone << 16 | n_chunks, memory_order_release);
    for (; claim(team, &chunk); own++)
        work(context, chunk, team->space);
    atomic_fetch_add_explicit(&team->done, own, memory_order_acq_rel);
    wait_for(team, n_chunks);
}

static void finish_chunk(struct att_team *team)
{
    /* After the last chunk's count the leader may go on, but the team outlives its helpers' calls. */
    atomic_fetch_add(&team->done, 1);
    if (atomic_load(&team->parked)) {
        pthread_mutex_lock(&team->mutex);
        pthread_cond_signal(&team->last_done);
        pthread_mutex_unlock(&team->mutex);
    }
}

size_t att_team_help(struct att_team *team, void *space, bool (*leave)(void *context), void *context)
{
    size_t chunk, idle = 0, computed = 0;
    bool begun = false, held = false;
    atomic_fetch_add(&team->helpers, 1);
    for (;;) {
        const bool in_pass = atomic_load_explicit(&team->open, memory_order_acquire);
        held = atomic_load_explicit(&team->held, memory_order_acquire);
        if (begun && !held && !in_pass)
            break;
        begun = begun || held || in_pass;
        if (idle >= (held ? SPINS_HELD : SPINS_IDLE)) {
            if (!in_pass)
                break;
            nap(); /* the leader computes alone what it began alone; the next operation is for both */
            idle -= SPINS_AWAKE;
        }
        if (claim(team, &chunk)) {
            team->work(team->context, chunk, space);
            finish_chunk(team);
            computed++;
            idle = 0;
        } else {
            idle++;
            pause_cpu();
        }
        if (leave && (idle & 63) == 0 && leave(context))
            break;
    }
    atomic_fetch_sub(&team->helpers, 1);
    return computed;
}
