/* See scan.h. The table is cut into chunks that the team shares; each keeps its own best rows, and the leader joins
 * them. What the chunks learn of the k-th best score is shared too, which spares work and changes no answer. */
#include "core/ops/scan.h"

#include <assert.h>
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
    size_t n, k, n_chunks;
    const float *table, *bias;
    const struct att_gemm *gemm;
    char *packed;               /* [n_chunks] matrices of ATT_SCAN_CHUNK columns, the last one's shorter */
    size_t chunk_bytes;         /* from one to the next */
    struct block_bound *bounds; /* [n / BLOCK, rounded up] */
};

/* Of one chunk. */
static size_t rows_of(const struct att_scan *scan, size_t chunk)
{
    const size_t left = scan->n - chunk * ATT_SCAN_CHUNK;
    return left < ATT_SCAN_CHUNK ? left : ATT_SCAN_CHUNK;
}

/* ---- making one ---- */

static struct block_bound bound_of(const struct att_scan *scan, size_t begin, size_t end)
{
    struct block_bound bound = {0};
    double root = sqrt((double)scan->k);
    for (size_t i = begin; i < end; i++) {
        const float *w = scan->table + i * scan->k;
        double square = 0, top = 0;
        for (size_t p = 0; p < scan->k; p++) {
            square += (double)w[p] * (double)w[p];
            top = fmax(top, fabs((double)w[p]));
        }
        /* Rounded to the nearest of 127 steps: each element by half a step at most. */
        bound.half_step = fmaxf(bound.half_step, (float)(top / 254 * root * 1.0001));
        bound.norm = fmaxf(bound.norm, (float)(sqrt(square) * 1.0001));
        bound.bias = fmaxf(bound.bias, scan->bias ? fabsf(scan->bias[i]) : 0);
    }
    return bound;
}

enum att_status att_scan_create(size_t n, size_t k, const float *table, const float *bias, struct att_scan **ret_scan,
                                struct att_err *err)
{
    assert(n > 0 && k > 0 && n < UINT32_MAX);
    struct att_scan *scan = att_mem_calloc(1, sizeof *scan);
    if (!scan)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    const size_t n_blocks = (n + BLOCK - 1) / BLOCK;
    size_t bytes = 0;
    *scan = (struct att_scan){.n = n, .k = k, .table = table, .bias = bias, .gemm = att_kern()->gemm[ATT_INT8]};
    scan->n_chunks = (n + ATT_SCAN_CHUNK - 1) / ATT_SCAN_CHUNK;
    scan->chunk_bytes = scan->gemm->packed_bytes(ATT_SCAN_CHUNK, k);
    if (scan->chunk_bytes > 0 && att_size_mul(scan->chunk_bytes, scan->n_chunks, &bytes))
        scan->packed = att_mem_aligned(bytes, 1);
    scan->bounds = att_mem_calloc(n_blocks, sizeof *scan->bounds);
    if (!scan->packed || !scan->bounds) {
        att_scan_destroy(scan);
        return att_err_set(err, ATT_ENOMEM, "out of memory for %zu items in 8 bits", n);
    }
    for (size_t c = 0; c < scan->n_chunks; c++)
        scan->gemm->pack(rows_of(scan, c), k, table + c * ATT_SCAN_CHUNK * k, k, scan->packed + c * scan->chunk_bytes);
    for (size_t b = 0; b < n_blocks; b++)
        scan->bounds[b] = bound_of(scan, b * BLOCK, (b + 1) * BLOCK < n ? (b + 1) * BLOCK : n);
    *ret_scan = scan;
    return ATT_OK;
}

void att_scan_destroy(struct att_scan *scan)
{
    if (!scan)
        return;
    att_mem_free(scan->packed);
    att_mem_free(scan->bounds);
    att_mem_free(scan);
}

size_t att_scan_bytes(const struct att_scan *scan)
{
    return scan->chunk_bytes * scan->n_chunks + (scan->n + BLOCK - 1) / BLOCK * sizeof *scan->bounds;
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
    const void *input; /* the query, converted */
    size_t stride;
    float norm, half_step;        /* ‖x‖, ‖x - x̂‖ */
    struct att_scored *best;      /* [n_chunks][query->best] */
    struct chunk_result *results; /* [n_chunks] */
    _Atomic float least;          /* `best` rows have this exact score or a better one */
};

static float query_half_step(size_t k, const float *x)
{
    float low = x[0], high = x[0];
    for (size_t p = 1; p < k; p++) {
        low = fminf(low, x[p]);
        high = fmaxf(high, x[p]);
    }
    return (float)(((double)high - (double)low) / 510 * sqrt((double)k) * 1.0001);
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

static float largest(const float *x, size_t n)
{
    float top = -INFINITY;
    for (size_t i = 0; i < n; i++)
        top = x[i] > top ? x[i] : top;
    return top;
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

static void scan_chunk(void *context, size_t chunk, void *space)
{
    struct scanning *scanning = context;
    const struct att_scan *scan = scanning->scan;
    const size_t begin = chunk * ATT_SCAN_CHUNK, n = rows_of(scan, chunk), capacity = scanning->query->best;
    const unsigned char *allowed = scanning->query->allowed + begin;
    const struct att_gemm_epilogue epilogue = {.bias = scan->bias ? scan->bias + begin : NULL};
    struct heap heap = {.items = scanning->best + chunk * capacity, .capacity = capacity};
    float *scores = space;
    scan->gemm->run(1, n, scan->k, scanning->input, scanning->stride, scan->packed + chunk * scan->chunk_bytes, scores,
                    n, &epilogue, (struct att_gemm_columns){0, n});
    for (size_t i = 0; i < n; i++)
        scores[i] = allowed[i] ? scores[i] : -INFINITY;
    for (size_t at = 0; at < n; at += BLOCK)
        take_block(scanning, &heap, scores + at, begin + at, at + BLOCK < n ? BLOCK : n - at);
    scanning->results[chunk] = (struct chunk_result){heap.count, log_sum(scores, n)};
}

/* Best, results and input lie one behind the other in the query's space. */
static size_t plan(const struct att_scan *scan, size_t best, size_t *ret_results, size_t *ret_input)
{
    enum { LINE = 64 };
    *ret_results = (scan->n_chunks * best * sizeof(struct att_scored) + LINE - 1) / LINE * LINE;
    *ret_input = *ret_results + (scan->n_chunks * sizeof(struct chunk_result) + LINE - 1) / LINE * LINE;
    return *ret_input + scan->gemm->input_bytes(scan->k);
}

size_t att_scan_space_bytes(const struct att_scan *scan, size_t best)
{
    size_t results, input;
    return plan(scan, best, &results, &input);
}

size_t att_scan_thread_bytes(void)
{
    return ATT_SCAN_CHUNK * sizeof(float);
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
    struct scanning scanning = {.scan = scan, .query = query, .stride = scan->gemm->input_bytes(scan->k)};
    size_t results, input;
    float square;
    (void)plan(scan, query->best, &results, &input);
    char *space = query->space;
    scanning.best = query->space;
    scanning.results = (struct chunk_result *)(void *)(space + results);
    scan->gemm->convert(1, scan->k, query->x, scan->k, space + input);
    scanning.input = space + input;
    att_kern()->rows->dot_table(0, 1, scan->k, query->x, scan->k, query->x, &square);
    scanning.norm = sqrtf(square) * 1.0001f;
    scanning.half_step = query_half_step(scan->k, query->x);
    atomic_init(&scanning.least, -INFINITY);
    att_team_run(team, scan->n_chunks, scan_chunk, &scanning);
    join(&scanning, ret_answer);
}
