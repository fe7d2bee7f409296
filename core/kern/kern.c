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
        .features = features,
        .gemm_f32 = att_gemm_choose(ATT_F32, features),
        .attention_f32 = att_attention_choose(ATT_F32, features),
        .rows = att_rows_choose(features),
    };
    assert(chosen.gemm_f32 && chosen.attention_f32 && chosen.rows);
    ready = true;
    return ATT_OK;
}

const struct att_kern *att_kern(void)
{
    assert(ready);
    return &chosen;
}
