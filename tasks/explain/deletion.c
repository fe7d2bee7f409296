/* See deletion.h. */
#include "tasks/explain/deletion.h"

#include <math.h>

enum { STEPS = 10, FEW = 3, BINS = 3 };
enum { ORDER_TOP = STEPS, ORDER_KEEP, ORDER_END = ORDER_KEEP + BINS };
_Static_assert((int)ORDER_END == (int)TASK_DELETION_VARIANTS, "the curve, the first few, and the bins alone");
static const size_t bin_steps[BINS] = {1, 2, 5}; /* 10, 20 and 50 % */

void task_deletion_order(const double *weights, size_t n, size_t *order)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at > 0 && weights[order[at - 1]] < weights[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

/* Parts that step i of STEPS deletes. */
static size_t step_parts(size_t n, size_t i)
{
    return (n * i + STEPS - 1) / STEPS;
}

static void mark(const size_t *order, size_t n, size_t begin, size_t end, bool *out)
{
    for (size_t i = 0; i < n; i++)
        out[order[i]] = i >= begin && i < end;
}

void task_deletion_mark(size_t variant, const size_t *order, size_t n, bool *out)
{
    if (variant < STEPS)
        mark(order, n, 0, step_parts(n, variant + 1), out);
    else if (variant == ORDER_TOP)
        mark(order, n, 0, FEW, out);
    else
        mark(order, n, step_parts(n, bin_steps[variant - ORDER_KEEP]), n, out);
}

/* splitmix64 */
static uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

void task_deletion_draw(uint64_t *state, size_t *order, size_t n, bool *out)
{
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = 0; i < FEW && i < n; i++) { /* Fisher and Yates, the first few places */
        size_t j = i + random_next(state) % (n - i), other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
    mark(order, n, 0, FEW, out);
}

uint64_t task_deletion_seed(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *byte = bytes;
    hash = hash ? hash : UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

void task_deletion_figures(double base, const double *scores, const double *draws, struct task_faithfulness *ret)
{
    *ret = (struct task_faithfulness){.top3_drop = base - scores[ORDER_TOP]};
    for (size_t d = 0; d < TASK_DELETION_DRAWS; d++)
        ret->random3_move += fabs(base - draws[d]) / TASK_DELETION_DRAWS;
    for (size_t b = 0; b < BINS; b++) {
        ret->comprehensiveness += (base - scores[bin_steps[b] - 1]) / BINS;
        ret->sufficiency += (base - scores[ORDER_KEEP + b]) / BINS;
    }
    double last = base;
    for (size_t i = 0; i < STEPS; i++) {
        ret->deletion_area += (last + scores[i]) / 2 / STEPS;
        last = scores[i];
    }
}

void task_faithfulness_render(const struct task_faithfulness *figures, struct att_jsonw *answer)
{
    const struct {
        const char *name;
        double value;
    } rows[] = {{"top3_drop", figures->top3_drop},
                {"random3_move", figures->random3_move},
                {"comprehensiveness", figures->comprehensiveness},
                {"sufficiency", figures->sufficiency},
                {"deletion_area", figures->deletion_area}};
    att_jsonw_key(answer, "faithfulness");
    att_jsonw_object_begin(answer);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        att_jsonw_put_double(answer, rows[i].name, rows[i].value, 6);
    att_jsonw_object_end(answer);
}
