/*
 * Llama 1, 2 and 3 (Touvron et al. 2023; Grattafiori et al. 2024) and all that
 * is published in its shape, such as SmolLM2.
 */
#include "core/arch/rotary_decoder.h"

static const struct att_rotary_family family = {.class_name = "Llama"};

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    return att_rotary_configure(&family, config, state, info, err);
}

const struct att_arch att_arch_llama = {
    .model_type = "llama",
    .stacks = {{sizeof(struct att_rotary_layer), att_rotary_layer_slots, ATT_ROTARY_LAYER_SLOTS}},
    .configure = configure,
    ATT_ROTARY_FUNCTIONS,
};
