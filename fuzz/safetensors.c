/* Any bytes as model.safetensors: refused, or every tensor can be read. */
#include "core/io/safetensors.h"

#include <stdlib.h>

#include "fuzz/directory.h"
#include "fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct att_dir dir = fuzz_directory("model.safetensors", bytes, size);
    struct att_weights weights;
    struct att_err err;
    if (att_safetensors_open(&dir, "model.safetensors", &weights, &err) == ATT_OK) {
        for (size_t i = 0; i < weights.n_tensors; i++) {
            float *out = malloc((weights.tensors[i].count + 1) * sizeof *out);
            /* What was opened lies within the file, so a read fails for its dtype or its values alone. */
            enum att_status status = out ? att_weights_read(&weights, &weights.tensors[i], out, &err) : ATT_OK;
            if (status != ATT_OK && status != ATT_EUNSUPPORTED && status != ATT_EFORMAT)
                abort();
            free(out);
        }
        att_weights_close(&weights);
    }
    att_dir_close(&dir);
    return 0;
}
