/* See scan.h. A query is rounded to 0..127 between its least and largest number, a row of the table to -127..127 by its
 * largest magnitude: x = low + step · q, w = step_i · q_i, and x·w is near step · step_i · Σ q q_i + low · step_i · Σ
 * q_i.
 *
 * The table is cut into chunks that the team shares; each keeps its own best rows, and the leader joins
 * them. What the chunks learn of the k-th best score is shared too, which spares work and changes no answer. */
#include "core/ops/scan.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/kern/kern.h"

enum { BLOCK = 64 }; /* rows that share a bound */

struct block_bound {
    float half_step, norm, bias; /* the largest of its rows: ‖w - ŵ‖, ‖w‖, |bias| */
};

struct att_scan {
    atomic_size_t references;
    size_t n, k, n_chunks, n_steps;
    const float *table;
    struct att_bulk bulk;       /* all that follows */
    float *bias;                /* [n] or NULL */
    int8_t *packed;             /* of all rows: core/kern/byte_dots.h */
    float *steps, *step_sums;   /* [n] step_i, step_i · Σ q_i */
    struct block_bound *bounds; /* [n / BLOCK, rounded up] */
};

/* Of one chunk. */
static size_t rows_of(const struct att_scan *scan, size_t chunk)
{
    const size_t left = scan->n - chunk * ATT_SCAN_CHUNK;
    return left < ATT_SCAN_CHUNK ? left : ATT_SCAN_CHUNK;
}

/* ---- making one ---- */

/* Row i into its panel. */
static void pack_row(struct att_scan *scan, size_t i)
{
    const float *w = scan->table + i * scan->k;
    const size_t panel_bytes = scan->n_steps * ATT_BYTE_PANEL * ATT_BYTE_STEP;
    int8_t *out = scan->packed + i / ATT_BYTE_PANEL * panel_bytes + i % ATT_BYTE_PANEL * ATT_BYTE_STEP;
    float top = 0;
    int32_t sum = 0;
    for (size_t p = 0; p < scan->k; p++)
        top = fabsf(w[p]) > top ? fabsf(w[p]) : top;
    const float step = top / ATT_BYTE_TOP, inverse = step >= FLT_MIN ? 1 / step : 0;
    for (size_t p = 0; p < scan->k; p++) {
        float q = rintf(w[p] * inverse);
        q = q > ATT_BYTE_TOP ? ATT_BYTE_TOP : q < -ATT_BYTE_TOP ? -ATT_BYTE_TOP : q;
        out[p / ATT_BYTE_STEP * ATT_BYTE_PANEL * ATT_BYTE_STEP + p % ATT_BYTE_STEP] = (int8_t)q;
        sum += (int32_t)q;
    }
    scan->steps[i] = inverse > 0 ? step : 0;
    scan->step_sums[i] = scan->steps[i] * (float)sum;
}

static struct block_bound bound_of(const struct att_scan *scan, size_t begin, size_t end)
{
    struct block_bound bound = {0};
    const double root = sqrt((double)scan->k);
    for (size_t i = begin; i < end; i++) {
        const float *w = scan->table + i * scan->k;
        double square = 0, top = 0;
        for (size_t p = 0; p < scan->k; p++) {
            square += (double)w[p] * (double)w[p];
            top = fabs((double)w[p]) > top ? fabs((double)w[p]) : top;
        }
        /* Each element is off by half a step; a row too small for steps, by itself. */
        const double half = scan->steps[i] > 0 ? top / (2 * ATT_BYTE_TOP) : top;
        bound.half_step = fmaxf(bound.half_step, (float)(half * root * 1.0001));
        bound.norm = fmaxf(bound.norm, (float)(sqrt(square) * 1.0001));
        bound.bias = fmaxf(bound.bias, scan->bias ? fabsf(scan->bias[i]) : 0);
    }
    return bound;
}

/* The arrays lie one behind the other, each at a cache line: rows are padded to blocks, so their sizes are multiples of
 * one but for the last. */
static bool size_of(const struct att_scan *scan, bool biased, size_t *ret_bytes)
{
    const size_t n_blocks = (scan->n + BLOCK - 1) / BLOCK, row = scan->n_steps * ATT_BYTE_STEP;
    const size_t of_row = row + (biased ? 3 : 2) * sizeof(float);
    return att_size_mul(n_blocks, BLOCK * of_row + sizeof(struct block_bound), ret_bytes);
}

static void lay_out(struct att_scan *scan, bool biased)
{
    const size_t padded = (scan->n + BLOCK - 1) / BLOCK * BLOCK;
    scan->packed = scan->bulk.data;
    scan->steps = (float *)(void *)(scan->packed + padded * scan->n_steps * ATT_BYTE_STEP);
    scan->step_sums = scan->steps + padded;
    scan->bias = biased ? scan->step_sums + padded : NULL;
    scan->bounds = (struct block_bound *)(void *)(scan->step_sums + (biased ? 2 : 1) * padded);
}

static void fill(struct att_scan *scan, const float *bias)
{
    if (bias)
        memcpy(scan->bias, bias, scan->n * sizeof *bias);
    for (size_t i = 0; i < scan->n; i++)
        pack_row(scan, i);
    for (size_t begin = 0; begin < scan->n; begin += BLOCK)
        scan->bounds[begin / BLOCK] = bound_of(scan, begin, begin + BLOCK < scan->n ? begin + BLOCK : scan->n);
}

enum att_status att_scan_create(size_t n, size_t k, const float *table, const float *bias, struct att_bulk_place *place,
                                struct att_scan **ret_scan, struct att_err *err)
{
    assert(n > 0 && k > 0 && n < UINT32_MAX && k <= ATT_SCAN_K_MAX);
    struct att_scan *scan = att_mem_calloc(1, sizeof *scan);
    if (!scan)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    size_t bytes = 0;
    atomic_init(&scan->references, 1);
    scan->n = n;
    scan->k = k;
    scan->table = table;
    scan->n_chunks = (n + ATT_SCAN_CHUNK - 1) / ATT_SCAN_CHUNK;
    scan->n_steps = (k + ATT_BYTE_STEP - 1) / ATT_BYTE_STEP;
    enum att_status status = size_of(scan, bias != NULL, &bytes)
                                 ? att_bulk_create(&scan->bulk, place, bytes, err)
                                 : att_err_set(err, ATT_ENOMEM, "out of memory for %zu items in 8 bits", n);
    if (status == ATT_OK) {
        lay_out(scan, bias != NULL);
        fill(scan, bias);
        status = att_bulk_seal(&scan->bulk, err);
    }
    if (status != ATT_OK)
        att_scan_unref(scan);
    else
        *ret_scan = scan;
    return status;
}

struct att_scan *att_scan_ref(struct att_scan *scan)
{
    atomic_fetch_add_explicit(&scan->references, 1, memory_order_relaxed);
    return scan;
}

void att_scan_unref(struct att_scan *scan)
{
    if (!scan || atomic_fetch_sub_explicit(&scan->references, 1, memory_order_acq_rel) > 1)
        return;
    att_bulk_finish(&scan->bulk);
    att_mem_free(scan);
}

size_t att_scan_bytes(const struct att_scan *scan)
{
    return scan->bulk.bytes;
}

bool att_scan_in_file(const struct att_scan *scan)
{
    return scan->bulk.in_file;
}

bool att_scan_has_bias(const struct att_scan *scan)
{
    return scan->bias != NULL;
}

/* ---- the best so far: a heap with the worst on top ---- */

struct heap {
    struct att_scored *items;
    size_t count, capacity;
};

static bool is_better(struct att_scored a, struct att_scored b)
{
    return a.score != b.score ? a.score > b.score : a.row < b.row;
}

static void sift_down(struct att_scored *items, size_t count, size_t at)
{
    const struct att_scored moved = items[at];
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && is_better(items[child], items[child + 1]))
            child++;
        if (!is_better(moved, items[child]))
            break;
        items[at] = items[child];
        at = child;
    }
    items[at] = moved;
}

static void offer(struct heap *heap, struct att_scored one)
{
    if (heap->count == heap->capacity) {
        if (is_better(one, heap->items[0])) {
            heap->items[0] = one;
            sift_down(heap->items, heap->count, 0);
        }
        return;
    }
    size_t at = heap->count++;
    for (; at > 0 && is_better(heap->items[(at - 1) / 2], one); at = (at - 1) / 2)
        heap->items[at] = heap->items[(at - 1) / 2];
    heap->items[at] = one;
}

/* Best first. */
static void sort(struct heap *heap)
{
    for (size_t end = heap->count; end > 1; end--) {
        const struct att_scored worst = heap->items[0];
        heap->items[0] = heap->items[end - 1];
        sift_down(heap->items, end - 1, 0);
        heap->items[end - 1] = worst;
    }
}

/* ---- a scan ---- */

struct chunk_result {
    size_t count;
    double log_sum;
};

struct scanning {
    const struct att_scan *scan;
    const struct att_scan_query *query;
    const uint8_t *quanta;        /* of the query */
    float low, step;              /* x = low + step · quantum */
    float norm, half_step;        /* ‖x‖, ‖x - x̂‖ */
    struct att_scored *best;      /* [n_chunks][query->best] */
    struct chunk_result *results; /* [n_chunks] */
    _Atomic float least;          /* `best` rows have this exact score or a better one */
};

static void quantize(struct scanning *scanning, const float *x, uint8_t *quanta)
{
    const size_t k = scanning->scan->k;
    float low = x[0], high = x[0];
    double square = 0;
    for (size_t p = 0; p < k; p++) {
        low = fminf(low, x[p]);
        high = fmaxf(high, x[p]);
        square += (double)x[p] * (double)x[p];
    }
    const float step = (high - low) / ATT_BYTE_TOP, inverse = step >= FLT_MIN ? 1 / step : 0;
    for (size_t p = 0; p < k; p++)
        quanta[p] = (uint8_t)fmaxf(0, fminf(ATT_BYTE_TOP, rintf((x[p] - low) * inverse)));
    memset(quanta + k, 0, scanning->scan->n_steps * ATT_BYTE_STEP - k);
    scanning->quanta = quanta;
    scanning->low = low;
    scanning->step = inverse > 0 ? step : 0;
    scanning->norm = (float)(sqrt(square) * 1.0001);
    /* Each element is off by half a step; a range too small for steps, by itself. */
    const double half = ((double)high - (double)low) / (inverse > 0 ? 2 * ATT_BYTE_TOP : 1);
    scanning->half_step = (float)(half * sqrt((double)k) * 1.0001);
}

/* How far an 8-bit score of this block can be from the exact one. */
static float reach_of(const struct scanning *scanning, const struct block_bound *bound)
{
    const double k = (double)scanning->scan->k, x = (double)scanning->norm, w = (double)bound->norm;
    const double error = (double)bound->half_step;
    /* Sums of k products in f32, and the two large terms of the 8-bit sum that cancel. */
    const double rounding = (k + 16 * sqrt(k) + 32) * 2.4e-7 * x * (w + error) + 1e-6 * (double)bound->bias;
    return (float)((x * error + (double)scanning->half_step * (w + error) + rounding) * 1.0001);
}

static void raise(_Atomic float *least, float score)
{
    float old = atomic_load_explicit(least, memory_order_relaxed);
    while (score > old &&
           !atomic_compare_exchange_weak_explicit(least, &old, score, memory_order_relaxed, memory_order_relaxed))
        ;
}

static float exact_score(const struct att_scan *scan, const float *x, size_t row)
{
    float score;
    att_kern()->rows->dot_table(0, 1, scan->k, scan->table + row * scan->k, scan->k, x, &score);
    return scan->bias ? score + scan->bias[row] : score;
}

/* In lanes, which a compiler can do at once. */
static float largest(const float *x, size_t n)
{
    enum { LANES = 16 };
    float tops[LANES];
    size_t i = 0;
    for (size_t l = 0; l < LANES; l++)
        tops[l] = -INFINITY;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            tops[l] = x[i + l] > tops[l] ? x[i + l] : tops[l];
    for (; i < n; i++)
        tops[0] = x[i] > tops[0] ? x[i] : tops[0];
    for (size_t l = 1; l < LANES; l++)
        tops[0] = tops[l] > tops[0] ? tops[l] : tops[0];
    return tops[0];
}

static void take_block(struct scanning *scanning, struct heap *heap, const float *scores, size_t begin, size_t n)
{
    const float reach = reach_of(scanning, &scanning->scan->bounds[begin / BLOCK]);
    float least = atomic_load_explicit(&scanning->least, memory_order_relaxed);
    if (largest(scores, n) + reach < least)
        return;
    for (size_t i = 0; i < n; i++) {
        if (!(scores[i] + reach >= least) || !scanning->query->allowed[begin + i])
            continue;
        const float exact = exact_score(scanning->scan, scanning->query->x, begin + i);
        offer(heap, (struct att_scored){(uint32_t)(begin + i), exact, scores[i]});
        if (heap->count == heap->capacity) {
            raise(&scanning->least, heap->items[0].score);
            least = atomic_load_explicit(&scanning->least, memory_order_relaxed);
        }
    }
}

/* Logarithm of the sum of exp(x); x is lost. The softmax kernel's largest share is one through that sum. */
static double log_sum(float *x, size_t n)
{
    const float top = largest(x, n);
    if (!(top > -INFINITY))
        return -INFINITY;
    att_kern()->rows->softmax(n, x, 1);
    return (double)top - log((double)largest(x, n));
}

/* The workspace of a thread: sums, then scores. */
static void scan_chunk(void *context, size_t chunk, void *space)
{
    struct scanning *scanning = context;
    const struct att_scan *scan = scanning->scan;
    const size_t begin = chunk * ATT_SCAN_CHUNK, n = rows_of(scan, chunk), capacity = scanning->query->best;
    const unsigned char *allowed = scanning->query->allowed + begin;
    const float *steps = scan->steps + begin, *step_sums = scan->step_sums + begin;
    const float low = scanning->low, step = scanning->step;
    struct heap heap = {.items = scanning->best + chunk * capacity, .capacity = capacity};
    int32_t *sums = space;
    float *scores = (float *)space + ATT_SCAN_CHUNK;
    att_kern()->byte_dots->run((n + ATT_BYTE_PANEL - 1) / ATT_BYTE_PANEL, scan->n_steps, scanning->quanta,
                               scan->packed + begin * scan->n_steps * ATT_BYTE_STEP, sums);
    for (size_t i = 0; i < n; i++)
        scores[i] = steps[i] * (step * (float)sums[i]) + low * step_sums[i];
    for (size_t i = 0; scan->bias && i < n; i++)
        scores[i] += scan->bias[begin + i];
    for (size_t i = 0; i < n; i++)
        scores[i] = allowed[i] ? scores[i] : -INFINITY;
    for (size_t at = 0; at < n; at += BLOCK)
        take_block(scanning, &heap, scores + at, begin + at, at + BLOCK < n ? BLOCK : n - at);
    scanning->results[chunk] = (struct chunk_result){heap.count, log_sum(scores, n)};
}

/* Best, results and quanta lie one behind the other in the query's space. */
static size_t plan(const struct att_scan *scan, size_t best, size_t *ret_results, size_t *ret_quanta)
{
    enum { LINE = 64 };
    *ret_results = (scan->n_chunks * best * sizeof(struct att_scored) + LINE - 1) / LINE * LINE;
    *ret_quanta = *ret_results + (scan->n_chunks * sizeof(struct chunk_result) + LINE - 1) / LINE * LINE;
    return *ret_quanta + scan->n_steps * ATT_BYTE_STEP;
}

size_t att_scan_space_bytes(const struct att_scan *scan, size_t best)
{
    size_t results, quanta;
    return plan(scan, best, &results, &quanta);
}

size_t att_scan_thread_bytes(void)
{
    return 2 * ATT_SCAN_CHUNK * sizeof(float);
}

/* The best of the chunks become those of the scan, at the front of the space. */
static void join(const struct scanning *scanning, struct att_scan_answer *answer)
{
    const size_t capacity = scanning->query->best;
    struct heap heap = {.items = scanning->best, .count = scanning->results[0].count, .capacity = capacity};
    double sum = 0, top = -INFINITY;
    for (size_t c = 0; c < scanning->scan->n_chunks; c++) {
        const struct chunk_result *result = &scanning->results[c];
        for (size_t i = 0; c > 0 && i < result->count; i++)
            offer(&heap, scanning->best[c * capacity + i]);
        if (!(result->log_sum > -INFINITY))
            continue;
        sum = result->log_sum > top ? sum * exp(top - result->log_sum) + 1 : sum + exp(result->log_sum - top);
        top = fmax(top, result->log_sum);
    }
    sort(&heap);
    /* The largest terms of the sum are known better by now. */
    for (size_t i = 0; i < heap.count; i++)
        sum += exp((double)heap.items[i].score - top) - exp((double)heap.items[i].rough - top);
    if (heap.count > 0)
        sum = fmax(sum, exp((double)heap.items[0].score - top));
    *answer = (struct att_scan_answer){
        .rows = heap.items, .count = heap.count, .log_sum = sum > 0 ? top + log(sum) : -INFINITY};
}

void att_scan_run(const struct att_scan *scan, struct att_team *team, const struct att_scan_query *query,
                  struct att_scan_answer *ret_answer)
{
    assert(query->best > 0 && query->best <= ATT_SCAN_BEST_MAX);
    struct scanning scanning = {.scan = scan, .query = query};
    size_t results, quanta;
    (void)plan(scan, query->best, &results, &quanta);
    char *space = query->space;
    scanning.best = query->space;
    scanning.results = (struct chunk_result *)(void *)(space + results);
    quantize(&scanning, query->x, (uint8_t *)(space + quanta));
    atomic_init(&scanning.least, -INFINITY);
    att_team_run(team, scan->n_chunks, scan_chunk, &scanning);
    join(&scanning, ret_answer);
}
