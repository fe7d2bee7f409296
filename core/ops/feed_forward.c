/*
 * The two products of feed_forward.h. The workspace: inner rows, then what a
 * product needs. A team splits long inputs by rows, each thread with inner rows
 * of its own; for short ones it splits each product by columns, and the inner
 * rows are the leader's.
 */
#include "core/ops/feed_forward.h"

#include <assert.h>

#include "core/base/mem.h"

enum { CHUNKS_EACH = 2, ROWS = ATT_LINEAR_ROWS / 2 };

static size_t lines(size_t bytes)
{
    return (bytes + ATT_MEM_ALIGN - 1) / ATT_MEM_ALIGN * ATT_MEM_ALIGN;
}

size_t att_feed_forward_space(size_t inner, size_t hidden)
{
    size_t wide, bytes, largest = inner > hidden ? inner : hidden;
    /* Converted rows take at most two bytes a value, and three lines. */
    if (largest > SIZE_MAX / 64 || !att_size_mul(inner, sizeof(float), &wide) ||
        !att_size_mul(lines(wide) + 2 * largest + 3 * ATT_MEM_ALIGN, ATT_LINEAR_ROWS, &bytes))
        return 0;
    return lines(bytes);
}

struct work {
    const struct att_feed_forward *part;
    size_t m, rows; /* all; of a chunk */
    const float *x, *residual;
    float *y;
    size_t ldx, ldy, ldr;
};

static struct att_linear_call up_call(const struct work *work, size_t begin, size_t count)
{
    const struct att_feed_forward *part = work->part;
    return (struct att_linear_call){.linear = part->up,
                                    .gate = part->gate,
                                    .act = part->act,
                                    .m = count,
                                    .x = work->x + begin * work->ldx,
                                    .ldx = work->ldx};
}

static void run_block(const struct work *work, size_t begin, size_t count, void *space)
{
    const struct att_linear *up = work->part->up, *down = work->part->down;
    const float *residual = work->residual ? work->residual + begin * work->ldr : NULL;
    float *y = work->y + begin * work->ldy;
    struct att_linear_call call = up_call(work, begin, count);
    if (up->gemm->rounds && down->gemm->reads_rounded) {
        /* The second product reads what the first one wrote. */
        const size_t row = down->gemm->input_bytes(down->k);
        struct att_team alone = att_team_alone((char *)space + count * row);
        call.rounded = space;
        call.ld_rounded = row / sizeof *call.rounded;
        att_linear_run_call(&alone, &call);
        att_linear_run_input(down, count, space, y, work->ldy, residual, work->ldr);
        return;
    }
    struct att_team alone = att_team_alone((char *)space + lines(count * up->n * sizeof(float)));
    call.y = space;
    call.ldy = up->n;
    att_linear_run_call(&alone, &call);
    att_linear_run(&alone, down, count, call.y, up->n, y, work->ldy, ATT_ACT_NONE, residual, work->ldr);
}

static void rows_chunk(void *context, size_t chunk, void *space)
{
    const struct work *work = context;
    const size_t begin = chunk * work->rows, end = begin + work->rows < work->m ? begin + work->rows : work->m;
    for (size_t i = begin; i < end; i += ROWS)
        run_block(work, i, end - i < ROWS ? end - i : ROWS, space);
}

/* Short inputs of a team: one product after the other. */
static void run_by_columns(struct att_team *team, const struct work *work)
{
    const struct att_linear *up = work->part->up, *down = work->part->down;
    struct att_linear_call call = up_call(work, 0, work->m);
    void *space = team->space;
    team->space = (char *)space + lines(work->m * up->n * sizeof(float));
    call.y = space;
    call.ldy = up->n;
    call.then = down;
    att_linear_run_call(team, &call);
    const struct att_linear_call down_call = {.linear = down,
                                              .m = work->m,
                                              .x = call.y,
                                              .ldx = up->n,
                                              .y = work->y,
                                              .ldy = work->ldy,
                                              .residual = work->residual,
                                              .ldr = work->ldr,
                                              .then = work->part->then};
    att_linear_run_call(team, &down_call);
    team->space = space;
}

void att_feed_forward_run(struct att_team *team, const struct att_feed_forward *part, size_t m, const float *x,
                          size_t ldx, float *y, size_t ldy, const float *residual, size_t ldr)
{
    struct work work = {
        .part = part, .m = m, .rows = m, .x = x, .residual = residual, .y = y, .ldx = ldx, .ldy = ldy, .ldr = ldr};
    assert(team && m > 0 && part->up->n == part->down->k);
    const size_t members = att_team_size(team), parts = CHUNKS_EACH * members;
    if (members > 1 && m < ATT_LINEAR_ROWS) {
        run_by_columns(team, &work);
        return;
    }
    if (members > 1)
        work.rows = (m + parts - 1) / parts;
    att_team_run(team, (m + work.rows - 1) / work.rows, rows_chunk, &work);
}
