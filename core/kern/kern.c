/* The one table of chosen kernels; the only global state of the core. */
#include "core/kern/kern.h"

#include <assert.h>
#include <stdbool.h>

#include "core/kern/cpu.h"

static struct att_kern chosen;
static bool ready;

enum att_status att_kern_init(const char *cpu_mask, struct att_err *err)
{
    if (ready)
        return ATT_OK;
    uint32_t features;
    enum att_status status = att_cpu_detect(cpu_mask, &features, err);
    if (status != ATT_OK)
        return status;
    chosen = (struct att_kern){
        .features = features, .rows = att_rows_choose(features), .byte_dots = att_byte_dots_choose(features)};
    const struct att_attention *f32 = att_attention_choose(ATT_F32, features);
    const struct att_attention *bf16 = att_attention_choose(ATT_BF16, features);
    for (int dtype = 0; dtype < ATT_DTYPE_COUNT; dtype++) {
        chosen.gemm[dtype] = att_gemm_choose((enum att_dtype)dtype, features);
        chosen.attention[dtype] = dtype == ATT_F32 || !bf16 ? f32 : bf16;
        assert(chosen.gemm[dtype] && chosen.attention[dtype]);
    }
    ready = true;
    return ATT_OK;
}

const struct att_kern *att_kern(void)
{
    assert(ready);
    return &chosen;
}
