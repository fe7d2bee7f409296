/*
 * How f32 becomes int8, in one place for all rows of the family: weights by
 * column, symmetric, to -127..127; activations by row, from their least to their
 * largest value, to 0..255. What is not finite makes its row or column NaN.
 */
#ifndef ATT_KERN_INT8_H
#define ATT_KERN_INT8_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* x = low + scale · q, and q = x · inverse - low · inverse. */
struct att_int8_range {
    float scale, low, inverse;
};

static inline struct att_int8_range att_int8_range(float low, float high, bool finite)
{
    const float width = high - low;
    if (!finite || !(width <= FLT_MAX))
        return (struct att_int8_range){NAN, NAN, 0};
    /* A row of equal values, or nearly: low alone stands for it. */
    if (width < 255 * FLT_MIN)
        return (struct att_int8_range){0, low, 0};
    return (struct att_int8_range){width / 255, low, 255 / width};
}

/* The scale of a column of weights. */
static inline float att_int8_scale(size_t k, const float *w)
{
    float top = 0;
    for (size_t p = 0; p < k; p++) {
        if (!(fabsf(w[p]) <= FLT_MAX))
            return NAN;
        top = fabsf(w[p]) > top ? fabsf(w[p]) : top;
    }
    return top < 127 * FLT_MIN ? 0 : top / 127;
}

static inline int32_t att_int8_quantum(float w, float scale)
{
    if (!(scale > 0))
        return 0;
    const float q = rintf(w / scale);
    return (int32_t)(q > 127 ? 127 : q < -127 ? -127 : q);
}

static inline int32_t att_int8_row_sum(size_t k, const float *w, float scale)
{
    int32_t sum = 0;
    for (size_t p = 0; p < k; p++)
        sum += att_int8_quantum(w[p], scale);
    return sum;
}

#endif
