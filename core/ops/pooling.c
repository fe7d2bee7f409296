/* Mean, first-token and last-token pooling of packed sequences. */
#include "core/ops/pooling.h"

#include <string.h>

#include "core/kern/kern.h"

void att_pool_run(enum att_pool_kind kind, bool normalize, const uint32_t *cu_seqlens, size_t n_seqs, size_t n,
                  const float *hidden, float *pooled)
{
    const struct att_rows *rows = att_kern()->rows;
    for (size_t s = 0; s < n_seqs; s++) {
        size_t begin = cu_seqlens[s], end = cu_seqlens[s + 1];
        float *out = pooled + s * n;
        if (kind == ATT_POOL_KIND_MEAN)
            rows->mean_pool(end - begin, n, hidden + begin * n, n, out);
        else
            memcpy(out, hidden + (kind == ATT_POOL_KIND_FIRST ? begin : end - 1) * n, n * sizeof *out);
        if (normalize)
            rows->l2_normalize(n, out);
    }
}
