/* Byte products for AVX-512 VNNI: four products a step of 32 bits; two sums hide its latency. */
#include <immintrin.h>
#include <string.h>

#include "core/kern/byte_dots.h"
#include "core/kern/cpu.h"
#include "core/kern/x86/tables.h"

enum { AHEAD = 4096, STEP_BYTES = ATT_BYTE_PANEL * ATT_BYTE_STEP };

static __m512i one_panel(size_t steps, const uint8_t *query, const int8_t *table)
{
    __m512i even = _mm512_setzero_si512(), odd = even;
    for (size_t s = 0; s < steps; s++) {
        int32_t four;
        memcpy(&four, query + s * ATT_BYTE_STEP, sizeof four);
        const __m512i x = _mm512_set1_epi32(four);
        const __m512i w = _mm512_load_si512((const void *)(table + s * STEP_BYTES));
        _mm_prefetch((const char *)table + s * STEP_BYTES + AHEAD, _MM_HINT_T0);
        if (s % 2)
            odd = _mm512_dpbusd_epi32(odd, x, w);
        else
            even = _mm512_dpbusd_epi32(even, x, w);
    }
    return _mm512_add_epi32(even, odd);
}

static void run(size_t panels, size_t steps, const uint8_t *query, const int8_t *table, int32_t *sums)
{
    for (size_t panel = 0; panel < panels; panel++)
        _mm512_store_si512((void *)(sums + panel * ATT_BYTE_PANEL),
                           one_panel(steps, query, table + panel * steps * STEP_BYTES));
}

const struct att_byte_dots att_byte_dots_avx512 = {
    .name = "avx512-vnni", .needs = ATT_CPU_AVX512 | ATT_CPU_AVX512_VNNI, .run = run};
