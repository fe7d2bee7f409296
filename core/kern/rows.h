/*
 * Row operations: norms, softmax, sums, pooling. One table of
 * functions for each instruction set; plain C in ref/ is the reference.
 *
 * All work on f32 rows. n is a row's length, n >= 1. Pointers need no
 * alignment. In-place use (y == x) is allowed where a function has both.
 * The order of every sum depends on n alone. NaN and infinity in the input
 * stay in their own row.
 */
#ifndef ATT_KERN_ROWS_H
#define ATT_KERN_ROWS_H

#include <stddef.h>
#include <stdint.h>

struct att_rows {
    const char *name;
    uint32_t needs;
    /* y = (x - mean) / sqrt(variance + eps) * weight + bias (Ba et al. 2016); two passes. 1 / sqrt(variance + eps). */
    float (*layer_norm)(size_t n, const float *x, const float *weight, const float *bias, float eps, float *y);
    /* y = x / sqrt(mean(x²) + eps) * weight (Zhang & Sennrich 2019). */
    void (*rms_norm)(size_t n, const float *x, const float *weight, float eps, float *y);
    /* x = softmax(x * scale), the largest value subtracted. A row of -inf alone becomes zeros. */
    void (*softmax)(size_t n, float *x, float scale);
    /* y += x. */
    void (*add)(size_t n, const float *x, float *y);
    /* y = x * scale. */
    void (*scale)(size_t n, const float *x, float scale, float *y);
    /* y = (a + b + c) * scale + bias; the other one takes a and gives y as bfloat16, denormals as zeros. */
    void (*scaled_sum)(size_t n, const float *a, const float *b, const float *c, float scale, const float *bias,
                       float *y);
    void (*scaled_sum_rounded)(size_t n, const uint16_t *a, const float *b, const float *c, float scale,
                               const float *bias, uint16_t *y);
    float (*dot)(size_t n, const float *x, const float *y);
    /* x /= max(‖x‖₂, 1e-12), as torch.nn.functional.normalize. */
    void (*l2_normalize)(size_t n, float *x);
    /* y[n] = mean of `rows` rows of x (stride ldx), summed from the first row on; rows >= 1. */
    void (*mean_pool)(size_t rows, size_t n, const float *x, size_t ldx, float *y);
    /* scores[i] = dot(table + i * ld, x) for rows begin <= i < end: exact vector search. */
    void (*dot_table)(size_t begin, size_t end, size_t n, const float *table, size_t ld, const float *x, float *scores);
};

const struct att_rows *const *att_rows_rows(size_t *ret_count); /* best first, the reference last */
const struct att_rows *att_rows_choose(uint32_t features);

#endif
