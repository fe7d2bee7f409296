/* Names, configuration and buffers of BERT-shaped encoders; see post_norm.h. */
#include "core/arch/post_norm.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/arch/config.h"
#include "core/ops/feed_forward.h"
#include "core/ops/relative.h"

/* ---- names that families share ---- */

const struct att_slot att_post_norm_embeddings[ATT_POST_NORM_EMBEDDINGS_SEGMENTED] = {
    ATT_WORDS(struct att_post_norm, word, ATT_POST_NORM_VOCAB, ATT_POST_NORM_EMBEDDING,
              "embeddings.word_embeddings.weight"),
    ATT_TABLE(struct att_post_norm, position, ATT_POST_NORM_POSITIONS, ATT_POST_NORM_EMBEDDING,
              "embeddings.position_embeddings.weight"),
    ATT_NORM(struct att_post_norm, embedding_norm, ATT_POST_NORM_EMBEDDING, "embeddings.LayerNorm.*"),
    {.kind = ATT_SLOT_PROJECTED, .offset = offsetof(struct att_post_norm, projected), .derived = true},
    ATT_TABLE(struct att_post_norm, segment, ATT_POST_NORM_SEGMENTS, ATT_POST_NORM_EMBEDDING,
              "embeddings.token_type_embeddings.weight"),
};

const struct att_slot att_post_norm_bert_layer[ATT_POST_NORM_BERT_LAYER] = {
    ATT_LINEAR(struct att_post_norm_layer, query_key_value, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_HIDDEN,
               "encoder.layer.#.attention.self.query.*", "encoder.layer.#.attention.self.key.*",
               "encoder.layer.#.attention.self.value.*"),
    ATT_LINEAR(struct att_post_norm_layer, attention_output, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_HIDDEN,
               "encoder.layer.#.attention.output.dense.*"),
    ATT_NORM(struct att_post_norm_layer, attention_norm, ATT_POST_NORM_HIDDEN,
             "encoder.layer.#.attention.output.LayerNorm.*"),
    ATT_LINEAR(struct att_post_norm_layer, intermediate, ATT_POST_NORM_INTERMEDIATE, ATT_POST_NORM_HIDDEN,
               "encoder.layer.#.intermediate.dense.*"),
    ATT_LINEAR(struct att_post_norm_layer, output, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_INTERMEDIATE,
               "encoder.layer.#.output.dense.*"),
    ATT_NORM(struct att_post_norm_layer, output_norm, ATT_POST_NORM_HIDDEN, "encoder.layer.#.output.LayerNorm.*"),
};

const struct att_slot att_post_norm_pooler[1] = {
    {.kind = ATT_SLOT_LINEAR,
     .offset = offsetof(struct att_post_norm, head.dense),
     .patterns = {"pooler.dense.*"},
     .rows = ATT_POST_NORM_HIDDEN,
     .cols = ATT_POST_NORM_HIDDEN,
     .optional = true},
};

const struct att_slot att_post_norm_token[1] = {
    ATT_LINEAR(struct att_post_norm, head.out, ATT_POST_NORM_LABELS, ATT_POST_NORM_HIDDEN, "classifier.*"),
};

const struct att_slot att_post_norm_span[1] = {
    ATT_LINEAR(struct att_post_norm, head.out, ATT_POST_NORM_SPAN, ATT_POST_NORM_HIDDEN, "qa_outputs.*"),
};

/* With more layers the first one's query|key|value are a fiftieth of the work; with more positions their products take
 * more memory than that is worth. */
enum { PROJECTED_LAYERS_MAX = 12, PROJECTED_POSITIONS_MAX = 1024 };
enum { LAYERS_MAX = 256, HIDDEN_MAX = 16384, VOCAB_MAX = 1 << 22, TOKENS_MAX = 1 << 15, BUCKETS_MAX = 1024 };

static enum att_status configure_sizes(const struct att_post_norm_family *family, const struct att_json *config,
                                       struct att_arch_info *info, size_t *ret_embedding, size_t *ret_groups,
                                       struct att_err *err)
{
    size_t positions = 0;
    const struct att_config_field fields[] = {
        {family->hidden_size, 1, HIDDEN_MAX, SIZE_MAX, &info->hidden_size},
        {family->n_layers, 1, LAYERS_MAX, SIZE_MAX, &info->n_layers},
        {family->n_heads, 1, HIDDEN_MAX, SIZE_MAX, &info->n_heads},
        {family->intermediate_size, 1, 4 * HIDDEN_MAX, SIZE_MAX, &info->intermediate_size},
        {"vocab_size", 1, VOCAB_MAX, SIZE_MAX, &info->vocab_size},
        {"max_position_embeddings", 1, TOKENS_MAX, SIZE_MAX, &positions},
        {family->type_vocab_size, 1, 1024, 2, &info->type_vocab_size},
    };
    enum att_status status = att_config_sizes(config, fields, sizeof fields / sizeof *fields, err);
    *ret_embedding = info->hidden_size;
    *ret_groups = info->n_layers;
    const struct att_config_field rest[] = {
        {family->embedding_size, 1, HIDDEN_MAX, info->hidden_size, ret_embedding},
        {family->groups, 1, info->n_layers, 1, ret_groups},
    };
    if (status == ATT_OK)
        status = att_config_sizes(config, rest, sizeof rest / sizeof *rest, err);
    if (status == ATT_OK)
        status = att_config_heads(family->n_heads, info->hidden_size, info->n_heads, err);
    info->max_tokens = positions;
    return status;
}

static enum att_status configure_rest(const struct att_post_norm_family *family, const struct att_json *config,
                                      struct att_post_norm *state, struct att_arch_info *info, struct att_err *err)
{
    size_t pad_id = 0;
    state->eps = (float)family->default_eps;
    state->positions = family->positions;
    enum att_status status = att_config_act(config, family->act, family->default_act, &state->act, err);
    if (status == ATT_OK && family->eps)
        status = att_config_float(config, family->eps, 0, 1, family->default_eps, &state->eps, err);
    if (status == ATT_OK)
        status = att_config_must_be(config, "position_embedding_type", "absolute", err);
    if (status == ATT_OK)
        status = att_config_must_be_bool(config, "is_decoder", false, err);
    if (status != ATT_OK || state->positions == ATT_POSITIONS_ABSOLUTE)
        return status;
    status = att_config_size(config, "pad_token_id", 0, info->max_tokens, 1, &pad_id, err);
    if (status == ATT_OK && info->max_tokens < pad_id + 2)
        return att_err_set(err, ATT_EFORMAT, "max_position_embeddings: is %zu, expected more than pad_token_id + 1",
                           info->max_tokens);
    state->pad_id = (int32_t)pad_id;
    info->max_tokens -= pad_id + 1;
    return status;
}

static void configure_slots(const struct att_post_norm_family *family, size_t embedding, struct att_arch_info *info)
{
    info->sets[0].slots = family->slots;
    info->sets[0].n_slots = family->n_slots;
    if (family->projection_slot && (family->always_projects || embedding != info->hidden_size)) {
        info->sets[1].slots = family->projection_slot;
        info->sets[1].n_slots = 1;
    } else if (family->relative_slot) {
        info->sets[1].slots = family->relative_slot;
        info->sets[1].n_slots = 1;
    }
}

enum att_status att_post_norm_configure(const struct att_post_norm_family *family, const struct att_json *config,
                                        struct att_post_norm *state, struct att_arch_info *info, struct att_err *err)
{
    size_t embedding = 0, groups = 0, n_labels = 0, buckets = ATT_RELATIVE_BUCKETS;
    enum att_status status = configure_sizes(family, config, info, &embedding, &groups, err);
    size_t positions = info->max_tokens;
    if (status == ATT_OK)
        status = configure_rest(family, config, state, info, err);
    if (status == ATT_OK)
        status = att_config_labels(config, &n_labels, err);
    if (status == ATT_OK && family->relative_slot)
        status = att_config_size(config, "relative_attention_num_buckets", ATT_RELATIVE_BUCKETS, BUCKETS_MAX, buckets,
                                 &buckets, err);
    if (status == ATT_OK)
        status = att_head_configure(family->class_name, family->classes, family->n_classes, state->act, n_labels, 2,
                                    &state->head, info, err);
    if (status != ATT_OK)
        return status;
    if (info->n_layers % groups != 0)
        return att_err_set(err, ATT_EUNSUPPORTED, "%s: is %zu, expected a divisor of %zu layers", family->groups,
                           groups, info->n_layers);
    state->layers_per_stored = info->n_layers / groups;
    info->n_stored_layers = groups;
    state->head.eps = state->eps;
    if (state->head.kind == ATT_HEAD_MASKED_LM && family->embedding_size)
        state->head.width = embedding;
    state->mha = (struct att_mha){.n_heads = info->n_heads,
                                  .n_kv_heads = info->n_heads,
                                  .head_dim = info->hidden_size / info->n_heads,
                                  .dtype = info->dtype};
    state->mha.scale = 1.0f / sqrtf((float)state->mha.head_dim);
    const size_t dims[] = {
        [ATT_POST_NORM_HIDDEN] = info->hidden_size,
        [ATT_POST_NORM_INTERMEDIATE] = info->intermediate_size,
        [ATT_POST_NORM_VOCAB] = info->vocab_size,
        [ATT_POST_NORM_POSITIONS] = positions,
        [ATT_POST_NORM_SEGMENTS] = info->type_vocab_size,
        [ATT_POST_NORM_LABELS] = n_labels,
        [ATT_POST_NORM_EMBEDDING] = embedding,
        [ATT_POST_NORM_HEADS] = info->n_heads,
        [ATT_POST_NORM_BUCKETS] = buckets,
        [ATT_POST_NORM_SPAN] = 2,
    };
    memcpy(info->dims, dims, sizeof dims);
    configure_slots(family, embedding, info);
    return ATT_OK;
}

bool att_post_norm_rounds(const struct att_post_norm *model, const struct att_post_norm_layer *layers)
{
    return layers->query_key_value.gemm->rounds && model->mha.head_dim % 2 == 0 && att_mha_takes_rounded(&model->mha);
}

enum att_status att_post_norm_prepare(void *state, void *layers, const struct att_arch_info *info, struct att_err *err)
{
    struct att_post_norm *model = state;
    const struct att_post_norm_layer *first = layers;
    const struct att_projected_parts parts = {.linear = &first->query_key_value,
                                              .norm = &model->embedding_norm,
                                              .word = model->word,
                                              .position = model->position,
                                              .segment = model->segment,
                                              .rounded = att_post_norm_rounds(model, first)};
    if (model->projection.packed || info->n_layers > PROJECTED_LAYERS_MAX ||
        model->position->rows > PROJECTED_POSITIONS_MAX)
        return ATT_OK;
    return att_projected_create(&parts, &model->projected, err);
}

void att_post_norm_plan(const void *state, const struct att_arch_info *info, const struct att_arch_limits *limits,
                        struct att_scratch *scratch, void *buffers)
{
    const struct att_post_norm *model = state;
    struct att_post_norm_buffers *b = buffers;
    size_t hidden = info->hidden_size, tokens = limits->max_tokens;
    size_t longest = tokens < info->max_tokens ? tokens : info->max_tokens;
    b->x = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->a = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->context = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    for (size_t i = 0; i < 2; i++)
        b->wide[i] = att_scratch_take(scratch, tokens * 3 * hidden, sizeof(float));
    b->positions = att_scratch_take(scratch, tokens, sizeof *b->positions);
    b->scales = model->projected ? att_scratch_take(scratch, tokens, sizeof *b->scales) : NULL;
    b->word_rows = model->projected ? att_scratch_take(scratch, tokens, sizeof *b->word_rows) : NULL;
    b->bias = model->relative ? att_scratch_take(scratch, info->n_heads * 2 * longest, sizeof(float)) : NULL;
    att_scratch_need(scratch, att_feed_forward_space(info->intermediate_size, hidden));
    att_scratch_need(scratch, att_mha_space(&model->mha, longest, longest));
    att_head_plan(&model->head, info, limits, scratch, &b->head);
}
