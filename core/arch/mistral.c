/*
 * Mistral (Jiang et al. 2023): Llama with a sliding window in every layer where
 * the configuration names one.
 */
#include "core/arch/rotary_decoder.h"

static const struct att_rotary_family family = {.class_name = "Mistral", .every_layer_local = true};

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    return att_rotary_configure(&family, config, state, info, err);
}

const struct att_arch att_arch_mistral = {
    .model_type = "mistral",
    .stacks = {{sizeof(struct att_rotary_layer), att_rotary_layer_slots, ATT_ROTARY_LAYER_SLOTS}},
    .configure = configure,
    ATT_ROTARY_FUNCTIONS,
};
