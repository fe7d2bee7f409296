/* One head's attention for AVX-512. */
enum { ROWS = 14 };
#include "core/kern/x86/attention_f32.h"

const struct att_attention att_attention_f32_avx512 = {
    .name = "avx512-f32",
    .dtype = ATT_F32,
    .needs = ATT_CPU_AVX512,
    .scratch_bytes = scratch_bytes,
    .run = run,
};
