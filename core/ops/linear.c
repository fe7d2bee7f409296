/*
 * Packing and running a Linear layer; the arithmetic is the GEMM row's. A team
 * splits short inputs by columns, so that every thread reads its own part of the
 * weights, and long ones by rows.
 */
#include "core/ops/linear.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/kern/kern.h"

/* Below so many multiply-adds a product is not worth telling others; chunks of rows for each member, so that one who
 * comes late or is slower takes fewer. Of columns each takes one: its next panel is then the one that is fetched. */
enum { TEAM_WORK_MIN = 1 << 18, CHUNKS_EACH = 2 };

enum att_status att_linear_init(struct att_linear *linear, enum att_dtype dtype, size_t n, size_t k,
                                const float *weight, const float *bias, struct att_pages *pages, struct att_err *err)
{
    assert(linear && weight);
    const struct att_gemm *gemm = att_kern()->gemm[dtype];
    size_t bytes = gemm->packed_bytes(n, k);
    struct att_linear made = {.n = n, .k = k, .gemm = gemm, .bytes = bytes + (bias ? n * sizeof *bias : 0)};
    made.in_pages = pages != NULL;
    if (bytes)
        made.packed = pages ? att_pages_take(pages, bytes) : att_mem_aligned(bytes, 1);
    made.bias = bias ? att_mem_aligned(n, sizeof *bias) : NULL;
    if (!made.packed || (bias && !made.bias)) {
        att_linear_finish(&made);
        return att_err_set(err, ATT_ENOMEM, "out of memory for a [%zu,%zu] weight", n, k);
    }
    gemm->pack(n, k, weight, k, made.packed);
    if (bias)
        memcpy(made.bias, bias, n * sizeof *bias);
    *linear = made;
    return ATT_OK;
}

void att_linear_finish(struct att_linear *linear)
{
    if (!linear->in_pages)
        att_mem_free(linear->packed);
    att_mem_free(linear->bias);
    *linear = (struct att_linear){.n = 0};
}

size_t att_linear_space(const struct att_linear *linear)
{
    return linear->packed ? linear->gemm->input_bytes(linear->k) * ATT_LINEAR_ROWS : 0;
}

/* A call on its way through a team. */
struct work {
    const struct att_linear_call *call;
    struct att_gemm_epilogue epilogue;
    /* by columns: */
    const void *input;
    size_t stride, parts, columns; /* chunks; of a chunk */
    /* by rows: */
    size_t rows; /* of a chunk */
};

/* Rows begin..end, all columns. */
static void run_rows(const struct work *work, size_t begin, size_t end, void *space)
{
    const struct att_linear_call *call = work->call;
    const struct att_linear *linear = call->linear;
    const struct att_gemm *gemm = linear->gemm;
    const size_t row = gemm->input_bytes(linear->k), step = row ? ATT_LINEAR_ROWS : end - begin;
    assert(space || !row);
    for (size_t i = begin; i < end; i += step) {
        const size_t count = end - i < step ? end - i : step;
        const float *x = call->x + i * call->ldx;
        struct att_gemm_epilogue epilogue = work->epilogue;
        if (epilogue.residual)
            epilogue.residual += i * epilogue.ldr;
        if (epilogue.rounded)
            epilogue.rounded += i * epilogue.ldb;
        if (row)
            gemm->convert(count, linear->k, x, call->ldx, space);
        gemm->run(count, linear->n, linear->k, row ? space : x, row ? row : call->ldx * sizeof *x, linear->packed,
                  call->y ? call->y + i * call->ldy : NULL, call->ldy, &epilogue,
                  (struct att_gemm_columns){.end = linear->n});
    }
}

static void rows_chunk(void *context, size_t chunk, void *space)
{
    const struct work *work = context;
    const size_t begin = chunk * work->rows, end = begin + work->rows, m = work->call->m;
    run_rows(work, begin, end < m ? end : m, space);
}

static size_t divide_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* Panels of a chunk of columns. */
static size_t chunk_panels(const struct att_linear *linear, size_t parts)
{
    return divide_up(divide_up(linear->n, linear->gemm->panel), parts);
}

/* Where the weights of a chunk of `then` begin; NULL: not known. */
static const void *chunk_weights(const struct att_linear *then, size_t parts, size_t chunk)
{
    if (!then || !then->gemm->panel_bytes)
        return NULL;
    const size_t panel = chunk * chunk_panels(then, parts);
    return panel * then->gemm->panel < then->n ? (const char *)then->packed + panel * then->gemm->panel_bytes(then->k)
                                               : NULL;
}

static void columns_chunk(void *context, size_t chunk, void *space)
{
    const struct work *work = context;
    const struct att_linear_call *call = work->call;
    const size_t begin = chunk * work->columns, end = begin + work->columns, n = call->linear->n;
    (void)space;
    call->linear->gemm->run(call->m, n, call->linear->k, work->input, work->stride, call->linear->packed, call->y,
                            call->ldy, &work->epilogue,
                            (struct att_gemm_columns){.begin = begin,
                                                      .end = end < n ? end : n,
                                                      .next = chunk_weights(call->then, work->parts, chunk)});
}

static void run_in_team(struct att_team *team, struct work *work)
{
    const struct att_linear_call *call = work->call;
    const struct att_linear *linear = call->linear;
    const struct att_gemm *gemm = linear->gemm;
    const size_t members = att_team_size(team), row = gemm->input_bytes(linear->k);
    if (call->m >= ATT_LINEAR_ROWS) {
        work->rows = divide_up(call->m, CHUNKS_EACH * members);
        att_team_run(team, divide_up(call->m, work->rows), rows_chunk, work);
        return;
    }
    work->parts = members;
    work->columns = chunk_panels(linear, members) * gemm->panel;
    work->input = row ? team->space : (const void *)call->x;
    work->stride = row ? row : call->ldx * sizeof *call->x;
    if (row)
        gemm->convert(call->m, linear->k, call->x, call->ldx, team->space);
    att_team_run(team, divide_up(linear->n, work->columns), columns_chunk, work);
}

void att_linear_run_call(struct att_team *team, const struct att_linear_call *call)
{
    const struct att_linear *linear = call->linear, *gate = call->gate;
    assert(linear->packed && call->m > 0 && (!call->rounded || linear->gemm->rounds));
    assert(!gate || (gate->n == linear->n && gate->k == linear->k && gate->gemm == linear->gemm));
    struct work work = {.call = call,
                        .epilogue = {.bias = linear->bias,
                                     .act = call->act,
                                     .gate = gate ? gate->packed : NULL,
                                     .gate_bias = gate ? gate->bias : NULL,
                                     .residual = call->residual,
                                     .ldr = call->ldr,
                                     .rounded = call->rounded,
                                     .ldb = call->ld_rounded}};
    if (!team || att_team_size(team) == 1 || call->m * linear->n * linear->k < TEAM_WORK_MIN)
        run_rows(&work, 0, call->m, team ? team->space : NULL);
    else
        run_in_team(team, &work);
}

void att_linear_run(struct att_team *team, const struct att_linear *linear, size_t m, const float *x, size_t ldx,
                    float *y, size_t ldy, enum att_act act, const float *residual, size_t ldr)
{
    att_linear_run_call(team, &(struct att_linear_call){.linear = linear,
                                                        .act = act,
                                                        .m = m,
                                                        .x = x,
                                                        .ldx = ldx,
                                                        .y = y,
                                                        .ldy = ldy,
                                                        .residual = residual,
                                                        .ldr = ldr});
}

void att_linear_run_input(const struct att_linear *linear, size_t m, const void *input, float *y, size_t ldy,
                          const float *residual, size_t ldr)
{
    const struct att_gemm_epilogue epilogue = {.bias = linear->bias, .residual = residual, .ldr = ldr};
    assert(m > 0);
    linear->gemm->run(m, linear->n, linear->k, input, linear->gemm->input_bytes(linear->k), linear->packed, y, ldy,
                      &epilogue, (struct att_gemm_columns){.end = linear->n});
}
