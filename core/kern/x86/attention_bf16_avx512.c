/* One head's attention for AVX-512 BF16. */
enum { ROWS = 14 };
#include "core/kern/x86/attention_bf16.h"

const struct att_attention att_attention_bf16_avx512 = {
    .name = "avx512bf16",
    .dtype = ATT_BF16,
    .takes_rounded = true,
    .needs = ATT_CPU_AVX512 | ATT_CPU_AVX512_BF16,
    .scratch_bytes = scratch_bytes,
    .run = run,
};
