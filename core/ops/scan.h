/*
 * The best k rows of a table by their product with a query, exactly, without
 * multiplying them all in f32.
 *
 * A copy of the table in 8 bits (a quarter of the bytes, and a scan is bound by
 * bytes) gives every row's score to within a bound:
 *
 *   x·w - x̂·ŵ = x·(w - ŵ) + (x - x̂)·ŵ,  so  |error| <= ‖x‖·‖w - ŵ‖ + ‖x - x̂‖·‖ŵ‖ + rounding
 *
 * Only a row whose score plus bound reaches the k-th best exact score so far is
 * computed in f32, by the kernel that a full scan would use. The answer is that
 * of the full scan, bit for bit, ties by the lower row; how many rows are
 * computed twice depends on the data alone, some hundreds of a million.
 */
#ifndef ATT_OPS_SCAN_H
#define ATT_OPS_SCAN_H

#include "core/base/bulk.h"
#include "core/base/team.h"

enum { ATT_SCAN_CHUNK = 8192, ATT_SCAN_BEST_MAX = 1024, ATT_SCAN_K_MAX = 1 << 16 };

struct att_scan;

/* table [n][k] is borrowed: it must outlive the scan; bias [n] (NULL: none) is copied. n and k at least 1, k at most
 * ATT_SCAN_K_MAX. place: of the copy in 8 bits; NULL: memory. One reference. */
enum att_status att_scan_create(size_t n, size_t k, const float *table, const float *bias, struct att_bulk_place *place,
                                struct att_scan **ret_scan, struct att_err *err) ATT_MUST_USE;
struct att_scan *att_scan_ref(struct att_scan *scan);
void att_scan_unref(struct att_scan *scan); /* NULL is allowed */
/* Its copy, of which none, or all, is in a file. */
size_t att_scan_bytes(const struct att_scan *scan);
bool att_scan_in_file(const struct att_scan *scan);
bool att_scan_has_bias(const struct att_scan *scan);

struct att_scored {
    uint32_t row;
    float score, rough; /* exact; from 8 bits */
};

struct att_scan_query {
    const float *x;               /* [k], finite */
    const unsigned char *allowed; /* [n]: 0 leaves the row out */
    size_t best;                  /* how many are wanted, 1..ATT_SCAN_BEST_MAX */
    void *space;                  /* att_scan_space_bytes(scan, best), aligned to 64 */
};

struct att_scan_answer {
    const struct att_scored *rows; /* in the query's space, best first */
    size_t count;                  /* less than was wanted where fewer are allowed */
    double log_sum;                /* logarithm of the sum of exp(score) over all allowed rows, exact for the best,
                       8-bit scores for the others */
};

size_t att_scan_space_bytes(const struct att_scan *scan, size_t best);
/* Bytes of the workspace of every thread of the team. */
size_t att_scan_thread_bytes(void);
void att_scan_run(const struct att_scan *scan, struct att_team *team, const struct att_scan_query *query,
                  struct att_scan_answer *ret_answer);

#endif
