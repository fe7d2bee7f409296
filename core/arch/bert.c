/*
 * BERT (Devlin et al. 2018): token, position and segment embeddings, then
 * post-LayerNorm Transformer encoder layers; heads for sequence and token
 * classification and the masked language model.
 *
 *   x = LayerNorm(word + position + segment)
 *   every layer:  a = LayerNorm(x + Wo·MHA(x))
 *                 x = LayerNorm(a + W2·act(W1·a))
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/arch/arch.h"
#include "core/ops/embedding.h"
#include "core/ops/norm.h"

enum { LAYERS_MAX = 256, HIDDEN_MAX = 16384, VOCAB_MAX = 1 << 22, TOKENS_MAX = 1 << 15 };

enum { HIDDEN, INTERMEDIATE, VOCAB, POSITIONS, SEGMENTS, LABELS }; /* dims */

enum head { HEAD_NONE, HEAD_SEQUENCE, HEAD_TOKEN, HEAD_MASKED_LM };

struct bert_layer {
    struct att_linear query_key_value, attention_output, intermediate, output;
    struct att_norm attention_norm, output_norm;
};

struct bert {
    struct att_table *word, *position, *segment;
    struct att_norm embedding_norm;
    struct att_linear pooler, classifier, transform, decoder;
    struct att_norm transform_norm;
    struct att_mha mha;
    enum att_act act;
    enum head head;
    float eps;
};

static const struct att_slot embedding_slots[] = {
    ATT_TABLE(struct bert, word, VOCAB, HIDDEN, "embeddings.word_embeddings.weight"),
    ATT_TABLE(struct bert, position, POSITIONS, HIDDEN, "embeddings.position_embeddings.weight"),
    ATT_TABLE(struct bert, segment, SEGMENTS, HIDDEN, "embeddings.token_type_embeddings.weight"),
    ATT_NORM(struct bert, embedding_norm, HIDDEN, "embeddings.LayerNorm.*"),
};

static const struct att_slot layer_slots[] = {
    ATT_LINEAR(struct bert_layer, query_key_value, HIDDEN, HIDDEN, "encoder.layer.#.attention.self.query.*",
               "encoder.layer.#.attention.self.key.*", "encoder.layer.#.attention.self.value.*"),
    ATT_LINEAR(struct bert_layer, attention_output, HIDDEN, HIDDEN, "encoder.layer.#.attention.output.dense.*"),
    ATT_NORM(struct bert_layer, attention_norm, HIDDEN, "encoder.layer.#.attention.output.LayerNorm.*"),
    ATT_LINEAR(struct bert_layer, intermediate, INTERMEDIATE, HIDDEN, "encoder.layer.#.intermediate.dense.*"),
    ATT_LINEAR(struct bert_layer, output, HIDDEN, INTERMEDIATE, "encoder.layer.#.output.dense.*"),
    ATT_NORM(struct bert_layer, output_norm, HIDDEN, "encoder.layer.#.output.LayerNorm.*"),
};

static const struct att_slot pooler_slots[] = {
    {.kind = ATT_SLOT_LINEAR,
     .offset = offsetof(struct bert, pooler),
     .patterns = {"pooler.dense.*"},
     .rows = HIDDEN,
     .cols = HIDDEN,
     .optional = true},
};

static const struct att_slot sequence_slots[] = {
    ATT_LINEAR(struct bert, pooler, HIDDEN, HIDDEN, "pooler.dense.*"),
    ATT_LINEAR(struct bert, classifier, LABELS, HIDDEN, "classifier.*"),
};

static const struct att_slot token_slots[] = {
    ATT_LINEAR(struct bert, classifier, LABELS, HIDDEN, "classifier.*"),
};

static const struct att_slot masked_lm_slots[] = {
    ATT_LINEAR(struct bert, transform, HIDDEN, HIDDEN, "cls.predictions.transform.dense.*"),
    ATT_NORM(struct bert, transform_norm, HIDDEN, "cls.predictions.transform.LayerNorm.*"),
    ATT_LINEAR(struct bert, decoder, VOCAB, HIDDEN, "cls.predictions.decoder.*"),
};

/* The masked LM's decoder is tied to the word embeddings in most files, and its bias has two names. */
static const char *const aliases[][2] = {
    {"cls.predictions.decoder.weight", "embeddings.word_embeddings.weight"},
    {"cls.predictions.decoder.bias", "cls.predictions.bias"},
    {NULL, NULL},
};

static const struct {
    const char *class_name;
    enum head head;
    const struct att_slot *slots;
    size_t n_slots;
} classes[] = {
    {"", HEAD_NONE, pooler_slots, 1},
    {"BertModel", HEAD_NONE, pooler_slots, 1},
    {"BertForSequenceClassification", HEAD_SEQUENCE, sequence_slots, 2},
    {"BertForTokenClassification", HEAD_TOKEN, token_slots, 1},
    {"BertForMaskedLM", HEAD_MASKED_LM, masked_lm_slots, 3},
};

static enum att_status configure_sizes(const struct att_json *config, struct att_arch_info *info, struct att_err *err)
{
    const struct {
        const char *field;
        size_t min, max, otherwise, *ret;
    } fields[] = {
        {"hidden_size", 1, HIDDEN_MAX, SIZE_MAX, &info->hidden_size},
        {"num_hidden_layers", 1, LAYERS_MAX, SIZE_MAX, &info->n_layers},
        {"num_attention_heads", 1, HIDDEN_MAX, SIZE_MAX, &info->n_heads},
        {"intermediate_size", 1, 4 * HIDDEN_MAX, SIZE_MAX, &info->intermediate_size},
        {"vocab_size", 1, VOCAB_MAX, SIZE_MAX, &info->vocab_size},
        {"max_position_embeddings", 1, TOKENS_MAX, SIZE_MAX, &info->max_tokens},
        {"type_vocab_size", 1, 1024, 2, &info->type_vocab_size},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        enum att_status status = att_config_size(config, fields[i].field, fields[i].min, fields[i].max,
                                                 fields[i].otherwise, fields[i].ret, err);
        if (status != ATT_OK)
            return status;
    }
    if (info->hidden_size % info->n_heads != 0)
        return att_err_set(err, ATT_EFORMAT, "num_attention_heads: is %zu, expected a divisor of hidden_size %zu",
                           info->n_heads, info->hidden_size);
    return ATT_OK;
}

static enum att_status refuse_unknown(const struct att_json *config, struct att_err *err)
{
    const char *kind = att_json_string(att_json_get(config, "position_embedding_type"), NULL);
    if (kind && strcmp(kind, "absolute") != 0)
        return att_err_set(err, ATT_EUNSUPPORTED, "position_embedding_type: is '%s', expected 'absolute'", kind);
    if (att_json_bool(att_json_get(config, "is_decoder"), false))
        return att_err_set(err, ATT_EUNSUPPORTED, "is_decoder: is true, expected an encoder");
    return ATT_OK;
}

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    struct bert *bert = state;
    enum att_status status = configure_sizes(config, info, err);
    if (status == ATT_OK)
        status = refuse_unknown(config, err);
    if (status == ATT_OK)
        status = att_config_act(config, "hidden_act", ATT_ACT_GELU, &bert->act, err);
    if (status == ATT_OK)
        status = att_config_float(config, "layer_norm_eps", 0, 1, 1e-12, &bert->eps, err);
    size_t n_labels = 0;
    if (status == ATT_OK)
        status = att_config_labels(config, &n_labels, err);
    if (status != ATT_OK)
        return status;
    size_t c = 0, n_classes = sizeof classes / sizeof *classes;
    while (c < n_classes && strcmp(classes[c].class_name, info->class_name) != 0)
        c++;
    if (c == n_classes)
        return att_err_set(err, ATT_EUNSUPPORTED,
                           "architectures: '%s' is not known, expected BertModel, BertForSequenceClassification, "
                           "BertForTokenClassification or BertForMaskedLM",
                           info->class_name);
    bert->head = classes[c].head;
    bert->mha = (struct att_mha){.n_heads = info->n_heads, .head_dim = info->hidden_size / info->n_heads};
    bert->mha.scale = 1.0f / sqrtf((float)bert->mha.head_dim);
    info->per_token = bert->head == HEAD_TOKEN || bert->head == HEAD_MASKED_LM;
    info->n_logits = bert->head == HEAD_NONE ? 0 : bert->head == HEAD_MASKED_LM ? info->vocab_size : n_labels;
    info->has_pooler = bert->head == HEAD_NONE || bert->head == HEAD_SEQUENCE;
    const size_t dims[] = {info->hidden_size, info->intermediate_size, info->vocab_size,
                           info->max_tokens,  info->type_vocab_size,   n_labels};
    memcpy(info->dims, dims, sizeof dims);
    info->sets[0].slots = embedding_slots;
    info->sets[0].n_slots = sizeof embedding_slots / sizeof *embedding_slots;
    info->sets[1].slots = classes[c].slots;
    info->sets[1].n_slots = classes[c].n_slots;
    return ATT_OK;
}

struct buffers {
    float *x, *a;   /* [tokens][hidden] */
    float *wide;    /* [tokens][max(3 * hidden, intermediate)]: query|key|value, then the inner layer */
    float *context; /* [tokens][hidden] */
    float *pooler_in, *pooler, *logits;
    void *attention;
};

static void plan(const void *state, const struct att_arch_info *info, size_t max_tokens, size_t max_seqs,
                 struct att_scratch *scratch, void *buffers)
{
    const struct bert *bert = state;
    struct buffers *b = buffers;
    size_t hidden = info->hidden_size;
    size_t wide = 3 * hidden > info->intermediate_size ? 3 * hidden : info->intermediate_size;
    size_t longest = max_tokens < info->max_tokens ? max_tokens : info->max_tokens;
    b->x = att_scratch_take(scratch, max_tokens * hidden, sizeof(float));
    b->a = att_scratch_take(scratch, max_tokens * hidden, sizeof(float));
    b->context = att_scratch_take(scratch, max_tokens * hidden, sizeof(float));
    b->wide = att_scratch_take(scratch, max_tokens * wide, sizeof(float));
    b->pooler_in = att_scratch_take(scratch, max_seqs * hidden, sizeof(float));
    b->pooler = att_scratch_take(scratch, max_seqs * hidden, sizeof(float));
    b->logits = att_scratch_take(scratch, (info->per_token ? max_tokens : max_seqs) * info->n_logits, sizeof(float));
    b->attention = att_scratch_take(scratch, att_mha_scratch_bytes(&bert->mha, longest), 1);
}

static void embed(const struct bert *bert, const struct att_arch_info *info, const struct att_arch_batch *batch,
                  float *x)
{
    att_embedding_set(bert->word, batch->n_tokens, batch->ids, 1.0f, x);
    att_embedding_add(bert->segment, batch->n_tokens, batch->type_ids, x);
    att_embedding_add_positions(bert->position, batch->cu_seqlens, batch->n_seqs, 0, x);
    att_norm_run(&bert->embedding_norm, batch->n_tokens, info->hidden_size, bert->eps, x, x);
}

/* One encoder layer: x in, x out. */
static void encode(const struct bert *bert, const struct bert_layer *layer, const struct att_arch_info *info,
                   const struct att_arch_batch *batch, const struct att_arch_tap *tap, size_t index,
                   const struct buffers *b)
{
    size_t n = batch->n_tokens, hidden = info->hidden_size, inner = info->intermediate_size;
    att_linear_run(&layer->query_key_value, n, b->x, hidden, b->wide, 3 * hidden, ATT_ACT_NONE, NULL, 0);
    att_mha_run(&bert->mha, batch->cu_seqlens, batch->n_seqs, b->wide, 3 * hidden, b->wide + hidden,
                b->wide + 2 * hidden, 3 * hidden, b->context, hidden, tap ? &tap->attention : NULL, index,
                batch->longest, b->attention);
    att_linear_run(&layer->attention_output, n, b->context, hidden, b->a, hidden, ATT_ACT_NONE, b->x, hidden);
    att_norm_run(&layer->attention_norm, n, hidden, bert->eps, b->a, b->a);
    att_linear_run(&layer->intermediate, n, b->a, hidden, b->wide, inner, bert->act, NULL, 0);
    att_linear_run(&layer->output, n, b->wide, inner, b->x, hidden, ATT_ACT_NONE, b->a, hidden);
    att_norm_run(&layer->output_norm, n, hidden, bert->eps, b->x, b->x);
}

static void run_head(const struct bert *bert, const struct att_arch_info *info, const struct att_arch_batch *batch,
                     const struct buffers *b, struct att_arch_output *output)
{
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    if (bert->pooler.packed) {
        for (size_t s = 0; s < batch->n_seqs; s++)
            memcpy(b->pooler_in + s * hidden, b->x + batch->cu_seqlens[s] * hidden, hidden * sizeof(float));
        att_linear_run(&bert->pooler, batch->n_seqs, b->pooler_in, hidden, b->pooler, hidden, ATT_ACT_TANH, NULL, 0);
        output->pooler = b->pooler;
    }
    if (bert->head == HEAD_SEQUENCE) {
        att_linear_run(&bert->classifier, batch->n_seqs, b->pooler, hidden, b->logits, info->n_logits, ATT_ACT_NONE,
                       NULL, 0);
    } else if (bert->head == HEAD_TOKEN) {
        att_linear_run(&bert->classifier, n, b->x, hidden, b->logits, info->n_logits, ATT_ACT_NONE, NULL, 0);
    } else if (bert->head == HEAD_MASKED_LM) {
        att_linear_run(&bert->transform, n, b->x, hidden, b->a, hidden, bert->act, NULL, 0);
        att_norm_run(&bert->transform_norm, n, hidden, bert->eps, b->a, b->a);
        att_linear_run(&bert->decoder, n, b->a, hidden, b->logits, info->n_logits, ATT_ACT_NONE, NULL, 0);
    }
    if (bert->head != HEAD_NONE)
        output->logits = b->logits;
}

static void forward(const void *state, const void *layers, const struct att_arch_info *info,
                    const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                    struct att_arch_output *output)
{
    const struct bert *bert = state;
    const struct bert_layer *layer = layers;
    const struct buffers *b = buffers;
    assert(batch->n_tokens > 0);
    embed(bert, info, batch, b->x);
    if (tap && tap->hidden)
        tap->hidden(tap->context, 0, b->x, batch->n_tokens, info->hidden_size);
    for (size_t i = 0; i < info->n_layers; i++) {
        encode(bert, &layer[i], info, batch, tap, i, b);
        if (tap && tap->hidden)
            tap->hidden(tap->context, i + 1, b->x, batch->n_tokens, info->hidden_size);
    }
    output->hidden = b->x;
    run_head(bert, info, batch, b, output);
}

const struct att_arch att_arch_bert = {
    .model_type = "bert",
    .prefix = "bert.",
    .aliases = aliases,
    .state_bytes = sizeof(struct bert),
    .layer_bytes = sizeof(struct bert_layer),
    .layer_slots = layer_slots,
    .n_layer_slots = sizeof layer_slots / sizeof *layer_slots,
    .configure = configure,
    .buffers_bytes = sizeof(struct buffers),
    .plan = plan,
    .forward = forward,
};
