/* What this CPU can do, asked once; ATTEND_CPU_MASK=-avx512,-avx2 hides features (tests, benches). */
#ifndef ATT_KERN_CPU_H
#define ATT_KERN_CPU_H

#include <stdint.h>

#include "core/base/status.h"

enum att_cpu_feature {
    ATT_CPU_AVX2 = 1u << 0,   /* AVX2 and FMA, with the operating system's support */
    ATT_CPU_AVX512 = 1u << 1, /* F, BW, VL, DQ */
    ATT_CPU_AVX512_BF16 = 1u << 2,
    ATT_CPU_AVX512_VNNI = 1u << 3,
    ATT_CPU_AVX_VNNI = 1u << 4,
    ATT_CPU_ZEN4 = 1u << 5, /* AMD with AVX-512: adds beside two multiplications, 512 bits in two cycles */
    ATT_CPU_ZEN5 = 1u << 6, /* later ones, most of which take 512 bits a cycle */
};

/* The features of this machine less those that `mask` names ("-avx512,-avx2"; NULL or "" hides none;
 * hiding avx512 hides its extensions). ATT_EINVAL names an unknown word. */
enum att_status att_cpu_detect(const char *mask, uint32_t *ret_features, struct att_err *err) ATT_MUST_USE;

#endif
