/* One head's attention for AVX2 with FMA. */
enum { ROWS = 6 };
#include "core/kern/x86/attention_f32.h"

const struct att_attention att_attention_f32_avx2 = {
    .name = "avx2-f32",
    .dtype = ATT_F32,
    .needs = ATT_CPU_AVX2,
    .scratch_bytes = scratch_bytes,
    .run = run,
};
