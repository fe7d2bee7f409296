/*
 * Qwen2 and Qwen2.5 (Yang et al. 2024): Llama with biases on query, key and
 * value, and a sliding window in the upper layers where it is switched on.
 */
#include "core/arch/rotary_decoder.h"

static const struct att_rotary_family family = {.class_name = "Qwen2", .qkv_bias = true};

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    return att_rotary_configure(&family, config, state, info, err);
}

const struct att_arch att_arch_qwen2 = {
    .model_type = "qwen2",
    .stacks = {{sizeof(struct att_rotary_layer), att_rotary_layer_slots, ATT_ROTARY_LAYER_SLOTS}},
    .configure = configure,
    ATT_ROTARY_FUNCTIONS,
};
