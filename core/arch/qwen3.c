/*
 * Qwen3 (Yang et al. 2025): Llama with RMSNorm on every head's query and key.
 */
#include "core/arch/rotary_decoder.h"

static const struct att_rotary_family family = {.class_name = "Qwen3", .head_norms = true};

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    return att_rotary_configure(&family, config, state, info, err);
}

const struct att_arch att_arch_qwen3 = {
    .model_type = "qwen3",
    .stacks = {{sizeof(struct att_rotary_layer), att_rotary_layer_slots, ATT_ROTARY_LAYER_SLOTS}},
    .configure = configure,
    ATT_ROTARY_FUNCTIONS,
};
