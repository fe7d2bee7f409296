/*
 * The Transformer (Vaswani et al. 2017, "Attention Is All You Need") as
 * torch.nn.Transformer names its parts: interleaved sinusoids, two vocabularies,
 * a generator with bias.
 */
#include "core/arch/config.h"
#include "core/arch/seq2seq.h"

enum { VOCAB_MAX = 1 << 22 };

static const struct att_slot encoder_slots[] = {
    ATT_LINEAR(struct att_s2s_encoder_layer, self.query_key_value, ATT_S2S_QKV, ATT_S2S_HIDDEN,
               "encoder.layers.#.self_attn.in_proj_*"),
    ATT_LINEAR(struct att_s2s_encoder_layer, self.output, ATT_S2S_HIDDEN, ATT_S2S_HIDDEN,
               "encoder.layers.#.self_attn.out_proj.*"),
    ATT_NORM(struct att_s2s_encoder_layer, self.norm, ATT_S2S_HIDDEN, "encoder.layers.#.norm1.*"),
    ATT_LINEAR(struct att_s2s_encoder_layer, inner.up, ATT_S2S_ENCODER_INNER, ATT_S2S_HIDDEN,
               "encoder.layers.#.linear1.*"),
    ATT_LINEAR(struct att_s2s_encoder_layer, inner.down, ATT_S2S_HIDDEN, ATT_S2S_ENCODER_INNER,
               "encoder.layers.#.linear2.*"),
    ATT_NORM(struct att_s2s_encoder_layer, inner.norm, ATT_S2S_HIDDEN, "encoder.layers.#.norm2.*"),
};

static const struct att_slot decoder_slots[] = {
    ATT_LINEAR(struct att_s2s_decoder_layer, self.query_key_value, ATT_S2S_QKV, ATT_S2S_HIDDEN,
               "decoder.layers.#.self_attn.in_proj_*"),
    ATT_LINEAR(struct att_s2s_decoder_layer, self.output, ATT_S2S_HIDDEN, ATT_S2S_HIDDEN,
               "decoder.layers.#.self_attn.out_proj.*"),
    ATT_NORM(struct att_s2s_decoder_layer, self.norm, ATT_S2S_HIDDEN, "decoder.layers.#.norm1.*"),
    ATT_LINEAR_PART(struct att_s2s_decoder_layer, cross.query, ATT_S2S_HIDDEN, ATT_S2S_HIDDEN,
                    "decoder.layers.#.multihead_attn.in_proj_*", 0, 1, 3),
    ATT_LINEAR_PART(struct att_s2s_decoder_layer, cross.query_key_value, ATT_S2S_HIDDEN, ATT_S2S_HIDDEN,
                    "decoder.layers.#.multihead_attn.in_proj_*", 1, 2, 3),
    ATT_LINEAR(struct att_s2s_decoder_layer, cross.output, ATT_S2S_HIDDEN, ATT_S2S_HIDDEN,
               "decoder.layers.#.multihead_attn.out_proj.*"),
    ATT_NORM(struct att_s2s_decoder_layer, cross.norm, ATT_S2S_HIDDEN, "decoder.layers.#.norm2.*"),
    ATT_LINEAR(struct att_s2s_decoder_layer, inner.up, ATT_S2S_DECODER_INNER, ATT_S2S_HIDDEN,
               "decoder.layers.#.linear1.*"),
    ATT_LINEAR(struct att_s2s_decoder_layer, inner.down, ATT_S2S_HIDDEN, ATT_S2S_DECODER_INNER,
               "decoder.layers.#.linear2.*"),
    ATT_NORM(struct att_s2s_decoder_layer, inner.norm, ATT_S2S_HIDDEN, "decoder.layers.#.norm3.*"),
};

static const struct att_slot model_slots[] = {
    ATT_TABLE(struct att_s2s, source, ATT_S2S_SOURCE_VOCAB, ATT_S2S_HIDDEN, "src_embedding.weight"),
    ATT_TABLE(struct att_s2s, target, ATT_S2S_TARGET_VOCAB, ATT_S2S_HIDDEN, "tgt_embedding.weight"),
    ATT_LINEAR(struct att_s2s, lm_head, ATT_S2S_TARGET_VOCAB, ATT_S2S_HIDDEN, "generator.*"),
};

static const struct att_s2s_family family = {
    .d_model = "d_model",
    .encoder_layers = "num_encoder_layers",
    .decoder_layers = "num_decoder_layers",
    .encoder_heads = "nhead",
    .decoder_heads = "nhead",
    .encoder_inner = "dim_feedforward",
    .decoder_inner = "dim_feedforward",
    .act = "activation",
    .scale_embedding = "scale_embedding",
    .default_act = ATT_ACT_RELU,
    .default_scale = true,
    .positions = ATT_S2S_INTERLEAVED,
};

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    struct att_s2s *model = state;
    size_t source = 0, target = 0;
    const struct att_config_field fields[] = {
        {"src_vocab_size", 1, VOCAB_MAX, SIZE_MAX, &source},
        {"tgt_vocab_size", 1, VOCAB_MAX, SIZE_MAX, &target},
    };
    enum att_status status = att_s2s_configure(&family, config, model, info, err);
    if (status == ATT_OK)
        status = att_config_sizes(config, fields, sizeof fields / sizeof *fields, err);
    if (status == ATT_OK)
        status = att_config_float(config, "layer_norm_eps", 0, 1, 1e-5, &model->eps, err);
    if (status == ATT_OK)
        status = att_config_must_be_bool(config, "norm_first", false, err);
    if (status == ATT_OK)
        status = att_config_must_be_bool(config, "final_norm", false, err);
    if (status == ATT_OK)
        status = att_config_must_be(config, "positional_encoding", "sinusoidal_interleaved", err);
    att_s2s_vocabularies(info, source, target, false);
    info->generates = true;
    info->sets[0].slots = model_slots;
    info->sets[0].n_slots = sizeof model_slots / sizeof *model_slots;
    return status;
}

const struct att_arch att_arch_transformer = {
    .model_type = "transformer",
    .prefix = "",
    .stacks = {{sizeof(struct att_s2s_encoder_layer), encoder_slots, sizeof encoder_slots / sizeof *encoder_slots},
               {sizeof(struct att_s2s_decoder_layer), decoder_slots, sizeof decoder_slots / sizeof *decoder_slots}},
    .configure = configure,
    ATT_S2S_FUNCTIONS,
};
