/*
 * How near the GEMM rows come to the peak of this core: a Markdown table on standard output. One thread; the median of
 * interleaved turns, the peak probed in every turn. "cold" walks through copies of the weights that no cache holds.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peak.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/pages.h"
#include "core/kern/cpu.h"
#include "core/kern/kern.h"

enum { TURNS = 9, SHAPES = 4, MS = 6, M_MAX = 128, COLD_BYTES = 192 << 20 };

char *openblas_get_corename(void); /* the one thing that is asked of it here; cblas.h stays in core/kern */

static const struct {
    size_t n, k;
} shapes[SHAPES] = {{1536, 384}, {1152, 384}, {384, 1536}, {3072, 768}};
static const size_t ms[MS] = {1, 4, 8, 16, 32, 128};

struct subject {
    const struct att_gemm *gemm;
    size_t n, k, copies, copy_bytes, next;
    struct att_pages pages; /* of the packed weights, as a model's */
    char *packed;
    void *x;
    float *c, *bias;
    double share[MS][TURNS], cold[TURNS];
};

/* Like weights and activations: without a pattern, around zero. */
static void fill(size_t n, float *x)
{
    uint32_t seed = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)seed * 0x1p-32f;
    }
}

static void *need(void *block)
{
    if (!block) {
        fprintf(stderr, "kernels: out of memory\n");
        exit(1);
    }
    return block;
}

static void *take(size_t bytes)
{
    return need(att_mem_aligned(bytes, 1));
}

static void subject_init(struct subject *s, const struct att_gemm *gemm, size_t n, size_t k)
{
    *s = (struct subject){.gemm = gemm, .n = n, .k = k};
    float *w = take(n * k * sizeof *w), *x = take(M_MAX * k * sizeof *x);
    fill(n * k, w);
    fill(M_MAX * k, x);
    s->copy_bytes = (gemm->packed_bytes(n, k) + 4095) / 4096 * 4096;
    s->copies = COLD_BYTES / s->copy_bytes + 1;
    s->packed = need(att_pages_take(&s->pages, s->copies * s->copy_bytes));
    for (size_t i = 0; i < s->copies; i++)
        if (i == 0)
            gemm->pack(n, k, w, k, s->packed);
        else
            memcpy(s->packed + i * s->copy_bytes, s->packed, s->copy_bytes);
    size_t row = gemm->input_bytes(k);
    if (row) {
        s->x = take(M_MAX * row);
        gemm->convert(M_MAX, k, x, k, s->x);
        att_mem_free(x);
    } else {
        s->x = x;
    }
    s->c = take(M_MAX * n * sizeof *s->c);
    s->bias = take(n * sizeof *s->bias);
    memset(s->bias, 0, n * sizeof *s->bias);
    att_mem_free(w);
}

static double now_s(void)
{
    return (double)att_clock_us() / 1e6;
}

/* Operations a second of about `seconds` of runs. */
static double speed(struct subject *s, size_t m, bool cold, double seconds)
{
    const struct att_gemm_epilogue epilogue = {.bias = s->bias};
    size_t row = s->gemm->input_bytes(s->k), runs = 0;
    double begin = now_s(), end;
    do {
        for (size_t i = 0; i < 4; i++, runs++) {
            const char *w = s->packed + (cold ? s->next++ % s->copies : 0) * s->copy_bytes;
            s->gemm->run(m, s->n, s->k, s->x, row ? row : s->k * sizeof(float), w, s->c, s->n, &epilogue,
                         (struct att_gemm_columns){.end = s->n});
        }
        end = now_s();
    } while (end - begin < seconds);
    return 2.0 * (double)m * (double)s->n * (double)s->k * (double)runs / (end - begin);
}

static double peak(enum att_dtype dtype, uint32_t features)
{
    double begin = now_s(), end, operations = 0;
    do {
        operations += bench_peak_run(dtype, features);
        end = now_s();
    } while (end - begin < 0.01);
    return operations / (end - begin);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values)
{
    qsort(values, TURNS, sizeof *values, by_value);
    return values[TURNS / 2];
}

static void measure_row(const struct att_gemm *gemm, uint32_t features)
{
    static struct subject subjects[SHAPES];
    double peaks[TURNS];
    for (size_t i = 0; i < SHAPES; i++)
        subject_init(&subjects[i], gemm, shapes[i].n, shapes[i].k);
    for (size_t turn = 0; turn < TURNS; turn++)
        for (size_t i = 0; i < SHAPES; i++) {
            for (size_t j = 0; j < MS; j++) {
                double top = peaks[turn] = peak(gemm->dtype, features);
                subjects[i].share[j][turn] = speed(&subjects[i], ms[j], false, 0.01) / top;
            }
            subjects[i].cold[turn] = speed(&subjects[i], 16, true, 0.02) / peak(gemm->dtype, features);
        }
    double top = median(peaks) / 1e9;
    for (size_t i = 0; i < SHAPES; i++) {
        struct subject *s = &subjects[i];
        printf("| %s (peak %.0f G/s) | %zu → %zu |", gemm->name, top, s->k, s->n);
        for (size_t j = 0; j < MS; j++)
            printf(" %.0f %% |", 100 * median(s->share[j]));
        printf(" %.0f %% |\n", 100 * median(s->cold));
        att_pages_finish(&s->pages);
        att_mem_free(s->x);
        att_mem_free(s->c);
        att_mem_free(s->bias);
    }
}

int main(int argc, char **argv)
{
    uint32_t features;
    size_t count;
    struct att_err err = {0};
    if (att_cpu_detect(getenv("ATTEND_CPU_MASK"), &features, &err) != ATT_OK) {
        fprintf(stderr, "kernels: %s\n", err.message);
        return 1;
    }
    printf("OpenBLAS core: %s\n\n", openblas_get_corename());
    printf("| row | k → n | m = 1 | 4 | 8 | 16 | 32 | 128 | 16, cold weights |\n"
           "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    const struct att_gemm *const *rows = att_gemm_rows(&count);
    for (size_t i = 0; i < count; i++)
        if (!(rows[i]->needs & ~features) && rows[i]->panel > 1 && (argc < 2 || strstr(rows[i]->name, argv[1])))
            measure_row(rows[i], features);
    return 0;
}
