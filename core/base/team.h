/*
 * A team: the thread that computes a pass, and others that help it for a while.
 *
 * The leader splits an operation into chunks and calls att_team_run; whoever is
 * there claims them one by one. What nobody else claims the leader computes, so
 * helpers may come and go between two chunks, and none is waited for but for a
 * chunk that it has begun. Chunks write disjoint parts and each is computed in
 * the same way by whomever, so results do not depend on who is there.
 *
 * One thread leads: att_team_begin, att_team_run, att_team_end. Any number of
 * threads may call att_team_help meanwhile.
 */
#ifndef ATT_BASE_TEAM_H
#define ATT_BASE_TEAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One chunk. space is the workspace of the thread that computes it. */
typedef void att_team_work(void *context, size_t chunk, void *space);

struct att_team {
    void *space;                /* the leader's workspace; every helper brings its own, as large */
    atomic_uint_fast64_t state; /* operation number << 32 | next chunk << 16 | chunks: one word, so that a claim is one
                                   compare and swap */
    atomic_size_t done, helpers;
    atomic_bool open, held, parked;
    att_team_work *work; /* written before state; read after a claim */
    void *context;
    pthread_mutex_t mutex; /* for parking alone */
    pthread_cond_t last_done;
};

enum { ATT_TEAM_CHUNKS_MAX = 1 << 15 };

void att_team_init(struct att_team *team, void *space);
void att_team_finish(struct att_team *team);
/* This thread alone, with a workspace, for what takes a team. Nobody helps it, and it needs no finish. */
static inline struct att_team att_team_alone(void *space)
{
    return (struct att_team){.space = space};
}
/* A pass begins and ends; between them helpers are welcome. */
void att_team_begin(struct att_team *team);
void att_team_end(struct att_team *team);
/* Passes and operations follow each other until the release, and one of them is worth waiting for: helpers stay. */
void att_team_hold(struct att_team *team);
void att_team_release(struct att_team *team);
/* Threads that would take part in an operation now, the leader included; a hint. */
size_t att_team_size(const struct att_team *team);
/* Computes chunks 0..n_chunks-1, n_chunks <= ATT_TEAM_CHUNKS_MAX; returns when all are done. Spins a moment for a
 * helper's last chunk, then parks. */
void att_team_run(struct att_team *team, size_t n_chunks, att_team_work *work, void *context);
/* Helps with the pass that is open or opens soon, until it ends or leave says so (asked between chunks and while there
 * is none; NULL: never). Where nothing is to do for some ten microseconds it sleeps between looks; outside a pass it
 * goes then, or after some hundred when the team is held. Chunks computed. */
size_t att_team_help(struct att_team *team, void *space, bool (*leave)(void *context), void *context);

#endif
