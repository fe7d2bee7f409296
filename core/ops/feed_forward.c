/*
 * The two products of feed_forward.h. The workspace: inner rows, then what a
 * product needs. A team splits long inputs by rows, each thread with inner rows
 * of its own; for short ones it splits each product by columns, and the inner
 * rows are the leader's.
 */
#include "core/ops/feed_forward.h"

#include <assert.h>

#include "core/base/mem.h"
#include "core/ops/gate.h"

enum { CHUNKS_EACH = 2, ROWS = ATT_LINEAR_ROWS / 2 };

static size_t lines(size_t bytes)
{
    return (bytes + ATT_MEM_ALIGN - 1) / ATT_MEM_ALIGN * ATT_MEM_ALIGN;
}

size_t att_feed_forward_space(size_t inner, bool gated, size_t hidden)
{
    size_t wide, bytes, largest = inner > hidden ? inner : hidden;
    /* Converted rows take at most two bytes a value, and two lines. */
    if (largest > SIZE_MAX / 64 || !att_size_mul(gated ? 2 * inner : inner, sizeof(float), &wide) ||
        !att_size_mul(lines(wide) + 2 * largest + 2 * ATT_MEM_ALIGN, ATT_LINEAR_ROWS, &bytes))
        return 0;
    return lines(bytes);
}

struct call {
    const struct att_feed_forward *part;
    size_t m, rows; /* all; of a chunk */
    const float *x, *residual;
    float *y;
    size_t ldx, ldy, ldr;
};

static void run_block(const struct call *call, size_t begin, size_t count, void *space)
{
    const struct att_linear *up = call->part->up, *down = call->part->down;
    const bool gated = up->n != down->k;
    const float *residual = call->residual ? call->residual + begin * call->ldr : NULL;
    if (!gated && up->gemm->rounds && down->gemm->dtype == ATT_BF16) {
        /* The second product reads what the first one wrote. */
        const size_t row = down->gemm->input_bytes(down->k);
        att_linear_run_rounded_alone(up, count, call->x + begin * call->ldx, call->ldx, space, row / sizeof(uint16_t),
                                     call->part->act, (char *)space + count * row);
        att_linear_run_input(down, count, space, call->y + begin * call->ldy, call->ldy, residual, call->ldr);
        return;
    }
    float *inner = space;
    void *rest = (char *)space + lines(count * up->n * sizeof *inner);
    att_linear_run_alone(up, count, call->x + begin * call->ldx, call->ldx, inner, up->n,
                         gated ? ATT_ACT_NONE : call->part->act, NULL, 0, rest);
    if (gated)
        att_gate_run(count, down->k, call->part->act, inner, up->n, inner, up->n);
    att_linear_run_alone(down, count, inner, up->n, call->y + begin * call->ldy, call->ldy, ATT_ACT_NONE, residual,
                         call->ldr, rest);
}

static void run_rows(const struct call *call, size_t begin, size_t end, void *space)
{
    for (size_t i = begin; i < end; i += ROWS)
        run_block(call, i, end - i < ROWS ? end - i : ROWS, space);
}

static void chunk_of(void *context, size_t chunk, void *space)
{
    const struct call *call = context;
    const size_t begin = chunk * call->rows;
    run_rows(call, begin, begin + call->rows < call->m ? begin + call->rows : call->m, space);
}

/* Short inputs of a team: one product after the other. */
static void run_by_columns(struct att_team *team, const struct call *call)
{
    const struct att_linear *up = call->part->up, *down = call->part->down;
    const bool gated = up->n != down->k;
    float *inner = team->space;
    void *space = team->space;
    team->space = (char *)space + lines(call->m * up->n * sizeof *inner);
    att_linear_run(team, up, call->m, call->x, call->ldx, inner, up->n, gated ? ATT_ACT_NONE : call->part->act, NULL,
                   0);
    if (gated)
        att_gate_run(call->m, down->k, call->part->act, inner, up->n, inner, up->n);
    att_linear_run(team, down, call->m, inner, up->n, call->y, call->ldy, ATT_ACT_NONE, call->residual, call->ldr);
    team->space = space;
}

void att_feed_forward_run(struct att_team *team, const struct att_feed_forward *part, size_t m, const float *x,
                          size_t ldx, float *y, size_t ldy, const float *residual, size_t ldr)
{
    struct call call = {
        .part = part, .m = m, .rows = m, .x = x, .residual = residual, .y = y, .ldx = ldx, .ldy = ldy, .ldr = ldr};
    assert(team && m > 0 && (part->up->n == part->down->k || part->up->n == 2 * part->down->k));
    const size_t parts = CHUNKS_EACH * att_team_size(team);
    if (parts > CHUNKS_EACH && m < ATT_LINEAR_ROWS) {
        run_by_columns(team, &call);
        return;
    }
    if (parts > CHUNKS_EACH)
        call.rows = (m + parts - 1) / parts;
    att_team_run(team, (m + call.rows - 1) / call.rows, chunk_of, &call);
}

void att_feed_forward_run_alone(const struct att_feed_forward *part, size_t m, const float *x, size_t ldx, float *y,
                                size_t ldy, const float *residual, size_t ldr, void *space)
{
    const struct call call = {
        .part = part, .m = m, .rows = m, .x = x, .residual = residual, .y = y, .ldx = ldx, .ldy = ldy, .ldr = ldr};
    run_rows(&call, 0, m, space);
}
