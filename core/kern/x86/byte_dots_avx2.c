/* Byte products for AVX2: two to 16 bits, which seven bits of the query keep in range, then two of those to 32. */
#include <immintrin.h>
#include <string.h>

#include "core/kern/byte_dots.h"
#include "core/kern/cpu.h"
#include "core/kern/x86/tables.h"

enum { AHEAD = 4096 };

static void run(size_t panels, size_t steps, const uint8_t *query, const int8_t *table, int32_t *sums)
{
    const __m256i ones = _mm256_set1_epi16(1);
    for (size_t panel = 0; panel < panels; panel++, sums += ATT_BYTE_PANEL) {
        __m256i low = _mm256_setzero_si256(), high = low;
        for (size_t s = 0; s < steps; s++, table += ATT_BYTE_PANEL * ATT_BYTE_STEP) {
            int32_t four;
            memcpy(&four, query + s * ATT_BYTE_STEP, sizeof four);
            const __m256i x = _mm256_set1_epi32(four);
            const __m256i a = _mm256_load_si256((const __m256i *)(const void *)table);
            const __m256i b = _mm256_load_si256((const __m256i *)(const void *)(table + 32));
            _mm_prefetch((const char *)table + AHEAD, _MM_HINT_T0);
            low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_maddubs_epi16(x, a), ones));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_maddubs_epi16(x, b), ones));
        }
        _mm256_store_si256((__m256i *)(void *)sums, low);
        _mm256_store_si256((__m256i *)(void *)(sums + 8), high);
    }
}

const struct att_byte_dots att_byte_dots_avx2 = {.name = "avx2", .needs = ATT_CPU_AVX2, .run = run};
