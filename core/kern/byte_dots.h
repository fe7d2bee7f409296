/*
 * Dot products of one vector of bytes with many: the inner loop of a scan.
 *
 *   sums[i] = Σ query[p] · table[i][p]        query 0..127, table -127..127
 *
 * Seven bits of the query leave AVX2's 16-bit sums of two products in range, so
 * all rows compute the same integers from one layout: panels of 16 rows,
 * [n / 16][k / 4][16][4], zero-padded.
 */
#ifndef ATT_KERN_BYTE_DOTS_H
#define ATT_KERN_BYTE_DOTS_H

#include <stddef.h>
#include <stdint.h>

enum { ATT_BYTE_PANEL = 16, ATT_BYTE_STEP = 4, ATT_BYTE_TOP = 127 };

struct att_byte_dots {
    const char *name;
    uint32_t needs; /* enum att_cpu_feature */
    /* query: steps · 4 bytes. table: `panels` panels of `steps` steps, aligned to 64. sums: panels · 16, aligned to 64.
     * steps <= 1 << 14, so that sums fit. */
    void (*run)(size_t panels, size_t steps, const uint8_t *query, const int8_t *table, int32_t *sums);
};

const struct att_byte_dots *const *att_byte_dots_rows(size_t *ret_count); /* best first, the reference last */
const struct att_byte_dots *att_byte_dots_choose(uint32_t features);

#endif
