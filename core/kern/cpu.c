/*
 * Feature detection. gcc's and clang's __builtin_cpu_supports ask CPUID and
 * whether the operating system saves the registers (XGETBV).
 */
#include "core/kern/cpu.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* AMD's families with AVX-512: 19h (of it Zen 4 alone), 1Ah and above. */
static uint32_t detect_zen(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(0, &a, &b, &c, &d) || b != signature_AMD_ebx || c != signature_AMD_ecx || d != signature_AMD_edx ||
        !__get_cpuid(1, &a, &b, &c, &d))
        return 0;
    const unsigned family = (a >> 8 & 0xf) + (a >> 20 & 0xff);
    return family < 0x19 ? 0 : family == 0x19 ? ATT_CPU_ZEN4 : ATT_CPU_ZEN5;
}
#endif

static uint32_t detect(void)
{
    uint32_t features = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        features |= ATT_CPU_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        features |= ATT_CPU_AVX512;
    if (features & ATT_CPU_AVX512) {
        if (__builtin_cpu_supports("avx512bf16"))
            features |= ATT_CPU_AVX512_BF16;
        if (__builtin_cpu_supports("avx512vnni"))
            features |= ATT_CPU_AVX512_VNNI;
        features |= detect_zen();
    }
    /* AVX-VNNI is leaf 7, subleaf 1, EAX bit 4; gcc 12 has no name for it here. */
    unsigned a, b, c, d;
    if ((features & ATT_CPU_AVX2) && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4))
        features |= ATT_CPU_AVX_VNNI;
#endif
    return features;
}

enum att_status att_cpu_detect(const char *mask, uint32_t *ret_features, struct att_err *err)
{
    enum { AVX512 = ATT_CPU_AVX512 | ATT_CPU_AVX512_BF16 | ATT_CPU_AVX512_VNNI | ATT_CPU_ZEN4 | ATT_CPU_ZEN5 };
    static const struct {
        const char *word;
        uint32_t hides;
    } words[] = {
        {"-avx2", AVX512 | ATT_CPU_AVX2 | ATT_CPU_AVX_VNNI},
        {"-avx512", AVX512},
        {"-avx512bf16", ATT_CPU_AVX512_BF16},
        {"-avx512vnni", ATT_CPU_AVX512_VNNI},
        {"-avxvnni", ATT_CPU_AVX_VNNI},
        {"-winograd", ATT_CPU_ZEN4 | ATT_CPU_ZEN5},
    };
    uint32_t features = detect();
    for (const char *at = mask ? mask : ""; *at;) {
        size_t len = strcspn(at, ","), i = 0, count = sizeof words / sizeof *words;
        while (i < count && (strlen(words[i].word) != len || strncmp(at, words[i].word, len) != 0))
            i++;
        if (i == count)
            return att_err_set(err, ATT_EINVAL,
                               "ATTEND_CPU_MASK: '%.*s' is not known, expected -avx2, -avx512, -avx512bf16, "
                               "-avx512vnni, -avxvnni or -winograd",
                               (int)len, at);
        features &= ~words[i].hides;
        at += len;
        at += *at == ',';
    }
    *ret_features = features;
    return ATT_OK;
}
