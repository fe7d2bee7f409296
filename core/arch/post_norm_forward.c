/*
 * The forward pass of BERT-shaped encoders; see post_norm.h.
 *
 * Only attention looks at other rows than its own. So a thread takes some rows
 * through the whole of a layer, from attention to the next layer's queries, keys
 * and values, and waits for the others once a layer. Each thread then reads all
 * weights; where these come from memory and rows are few, the team goes through a
 * layer operation by operation instead, and splits the columns of each.
 */
#include <assert.h>

#include "core/arch/firsts.h"
#include "core/arch/post_norm.h"
#include "core/ops/embedding.h"
#include "core/ops/feed_forward.h"
#include "core/ops/norm.h"
#include "core/ops/relative.h"

/* What a last-level cache holds of a model's weights; rows that a member must have where they come from memory; chunks
 * for each member of long inputs, so that one who comes late takes fewer. */
enum { CACHED_BYTES = 16 << 20, MEMORY_ROWS = 28, CHUNKS_EACH = 2 };

struct pass;
struct part;
/* What rows go through between two waits. */
typedef void stage(const struct pass *pass, const struct part *part);

/* A batch on its way through the model. */
struct pass {
    const struct att_post_norm *model;
    const struct att_post_norm_layer *layers;
    const struct att_arch_info *info;
    const struct att_arch_batch *batch;
    const struct att_mha_bias *bias;
    const struct att_arch_tap *tap;
    const struct att_post_norm_buffers *b;
    size_t hidden, weight_bytes;
    size_t index;           /* of the present layer */
    stage *stage;           /* the present one */
    size_t rows;            /* of a chunk of it */
    bool rounded;           /* wide is bfloat16: the product rounds, and attention takes it so; else f32 */
    void *wide, *next_wide; /* query|key|value of the present layer, and where the next one's go */
};

static const struct att_post_norm_layer *layer_of(const struct pass *pass, size_t i)
{
    return &pass->layers[i / pass->model->layers_per_stored];
}

/* Rows begin..end of a stage, by a team: all of them by the batch's, operation by operation, or a chunk of them by a
 * thread alone. */
struct part {
    struct att_team *team;
    size_t begin, end;
};

/* x → the query|key|value of `layer`. */
static void project(const struct pass *pass, const struct part *part, size_t layer, void *wide)
{
    const size_t hidden = pass->hidden, n = 3 * hidden;
    struct att_linear_call call = {.linear = &layer_of(pass, layer)->query_key_value,
                                   .m = part->end - part->begin,
                                   .x = pass->b->x + part->begin * hidden,
                                   .ldx = hidden,
                                   .then = &layer_of(pass, layer)->attention_output};
    if (pass->rounded) {
        call.rounded = (uint16_t *)wide + part->begin * n;
        call.ld_rounded = n;
    } else {
        call.y = (float *)wide + part->begin * n;
        call.ldy = n;
    }
    att_linear_run_call(part->team, &call);
}

static void embed_words(const struct pass *pass, size_t begin, size_t end, float *sums)
{
    const struct att_post_norm *model = pass->model;
    const struct att_arch_batch *batch = pass->batch;
    const struct att_positions tokens = {
        .cu_seqlens = batch->cu_seqlens, .n_seqs = batch->n_seqs, .begin = begin, .end = end};
    const size_t width = model->word->cols, m = end - begin;
    int32_t *positions = pass->b->positions;
    float *x = sums + begin * width;
    if (model->positions == ATT_POSITIONS_COUNTED)
        att_positions_set_counted(&tokens, batch->ids, model->pad_id, positions);
    else
        att_positions_set(&tokens, positions);
    att_embedding_set(model->word, m, batch->ids + begin, 1.0f, x);
    if (model->segment)
        att_embedding_add(model->segment, m, batch->type_ids ? batch->type_ids + begin : NULL, x);
    att_embedding_add(model->position, m, positions + begin, x);
    att_norm_run_scales(&model->embedding_norm, m, width, model->eps, x, x,
                        model->projected ? pass->b->scales + begin : NULL);
}

/* The first layer's query|key|value of embedded words. */
static void project_words(const struct pass *pass, const struct part *part)
{
    const struct att_arch_batch *batch = pass->batch;
    const struct att_post_norm_buffers *b = pass->b;
    const size_t begin = part->begin, hidden = pass->hidden, n = 3 * hidden;
    const struct att_projected_call call = {
        .m = part->end - begin,
        .ids = batch->ids + begin,
        .positions = b->positions + begin,
        .type_ids = batch->type_ids ? batch->type_ids + begin : NULL,
        .scales = b->scales + begin,
        .y = (char *)pass->wide + begin * n * (pass->rounded ? sizeof(uint16_t) : sizeof(float)),
        .rows = b->word_rows + begin,
        .input = b->a + begin * hidden,
        .products = (float *)b->wide[1] + begin * n,
    };
    att_projected_run(pass->model->projected, part->team, &call);
}

/* The embeddings, and the first layer's query|key|value. */
static void embed(const struct pass *pass, const struct part *part)
{
    const struct att_post_norm *model = pass->model;
    const size_t hidden = pass->hidden, width = model->word->cols, m = part->end - part->begin;
    float *sums = model->projection.packed ? pass->b->a : pass->b->x;
    embed_words(pass, part->begin, part->end, sums);
    if (model->projection.packed)
        att_linear_run(part->team, &model->projection, m, sums + part->begin * width, width,
                       pass->b->x + part->begin * hidden, hidden, ATT_ACT_NONE, NULL, 0);
    if (model->projected)
        project_words(pass, part);
    else
        project(pass, part, 0, pass->wide);
}

static struct att_mha_call attention_of(const struct pass *pass, const struct part *part)
{
    const struct att_arch_batch *batch = pass->batch;
    const size_t hidden = pass->hidden;
    struct att_mha_call call = {
        .cu_query = batch->cu_seqlens,
        .n_seqs = batch->n_seqs,
        .query_ld = 3 * hidden,
        .kv_ld = 3 * hidden,
        .bias = pass->bias,
        .out = pass->b->context,
        .out_ld = hidden,
        .sink = pass->tap ? &pass->tap->attention : NULL,
        .layer = pass->index,
        .longest_query = batch->longest,
        .longest_key = batch->longest,
        .begin = part->begin,
        .end = part->end,
    };
    if (pass->rounded) {
        call.rounded = pass->wide;
    } else {
        call.query = pass->wide;
        call.key = call.query + hidden;
        call.value = call.query + 2 * hidden;
    }
    return call;
}

/* What stands behind attention in a layer, for m rows: x + context → x; a is their workspace. */
static void feed_forward(const struct pass *pass, struct att_team *team, size_t m, const float *context, float *x,
                         float *a)
{
    const struct att_post_norm_layer *layer = layer_of(pass, pass->index);
    const bool last = pass->index + 1 == pass->info->n_layers;
    const struct att_feed_forward inner = {.up = &layer->intermediate,
                                           .down = &layer->output,
                                           .act = pass->model->act,
                                           .then = last ? NULL : &layer_of(pass, pass->index + 1)->query_key_value};
    const size_t hidden = pass->hidden;
    const float eps = pass->model->eps;
    const struct att_linear_call output = {.linear = &layer->attention_output,
                                           .m = m,
                                           .x = context,
                                           .ldx = hidden,
                                           .y = a,
                                           .ldy = hidden,
                                           .residual = x,
                                           .ldr = hidden,
                                           .then = &layer->intermediate};
    att_linear_run_call(team, &output);
    att_norm_run(&layer->attention_norm, m, hidden, eps, a, a);
    att_feed_forward_run(team, &inner, m, a, hidden, x, hidden, a, hidden);
    att_norm_run(&layer->output_norm, m, hidden, eps, x, x);
}

/* A layer: x and wide in, x and the next layer's wide out. */
static void encode(const struct pass *pass, const struct part *part)
{
    const struct att_mha_call attention = attention_of(pass, part);
    const size_t first = part->begin * pass->hidden;
    const struct att_post_norm_buffers *b = pass->b;
    att_mha_run(part->team, &pass->model->mha, &attention);
    feed_forward(pass, part->team, part->end - part->begin, b->context + first, b->x + first, b->a + first);
    if (pass->index + 1 < pass->info->n_layers)
        project(pass, part, pass->index + 1, pass->next_wide);
}

/* The last layer for the first row of each sequence, when no other is read. */
static void encode_firsts(const struct pass *pass)
{
    const struct att_arch_batch *batch = pass->batch;
    const struct att_post_norm_buffers *b = pass->b;
    const struct att_mha_call attention = attention_of(pass, &(struct part){.end = 0});
    const size_t m = att_firsts_attend(&pass->model->mha, &attention, pass->info, batch, b->x);
    feed_forward(pass, batch->team, m, b->context, b->x, b->a);
    att_firsts_return(pass->info, batch, pass->index, b->x);
}

/* ---- who computes what ---- */

/* A chunk of the batch's team. */
static void chunk_of(void *context, size_t chunk, void *space)
{
    const struct pass *pass = context;
    const size_t begin = chunk * pass->rows, end = begin + pass->rows, n = pass->batch->n_tokens;
    struct att_team alone = att_team_alone(space);
    pass->stage(pass, &(struct part){&alone, begin, end < n ? end : n});
}

/* Rows of a chunk of a stage that reads so much of the weights; 0: by operation. A sink is called by this thread alone,
 * sequence by sequence. */
static size_t chunk_rows(const struct pass *pass, size_t bytes)
{
    const size_t members = att_team_size(pass->batch->team), m = pass->batch->n_tokens;
    if (members == 1 || (pass->tap && pass->tap->attention.take))
        return m;
    const size_t parts = m < members * ATT_LINEAR_ROWS ? members : CHUNKS_EACH * members;
    return bytes <= CACHED_BYTES || m >= members * MEMORY_ROWS ? (m + parts - 1) / parts : 0;
}

static void run_stage(struct pass *pass, stage *next, size_t bytes)
{
    const size_t m = pass->batch->n_tokens;
    pass->stage = next;
    pass->rows = chunk_rows(pass, bytes);
    /* Who computes all rows is done with attention when the next query|key|value come: they overwrite the old ones, and
     * caches have less to hold. */
    pass->next_wide = pass->rows == 0 || pass->rows >= m ? pass->wide : pass->b->wide[pass->wide == pass->b->wide[0]];
    if (pass->rows)
        att_team_run(pass->batch->team, (m + pass->rows - 1) / pass->rows, chunk_of, pass);
    else
        pass->stage(pass, &(struct part){pass->batch->team, 0, m});
}

static size_t weight_bytes(const struct att_post_norm_layer *layer, size_t n_layers)
{
    return n_layers * (layer->query_key_value.bytes + layer->attention_output.bytes + layer->intermediate.bytes +
                       layer->output.bytes);
}

static void hidden_state(const struct pass *pass, size_t i)
{
    const struct att_arch_tap *tap = pass->tap;
    if (tap && tap->hidden)
        tap->hidden(tap->context, i, pass->b->x, pass->batch->n_tokens, pass->hidden);
}

void att_post_norm_forward(const void *state, const void *layers, const struct att_arch_info *info,
                           const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                           struct att_arch_output *output)
{
    const struct att_post_norm *model = state;
    const struct att_post_norm_buffers *b = buffers;
    struct att_mha_bias bias = {.by_distance = NULL};
    struct pass pass = {.model = model,
                        .layers = layers,
                        .info = info,
                        .batch = batch,
                        .bias = &bias,
                        .tap = tap,
                        .b = b,
                        .hidden = info->hidden_size,
                        .weight_bytes = weight_bytes(layers, info->n_stored_layers),
                        .rounded = att_post_norm_rounds(model, layers),
                        .wide = b->wide[0]};
    assert(batch->n_tokens > 0);
    if (model->relative)
        att_relative_bias(model->relative, true, ATT_RELATIVE_BUCKETS, ATT_RELATIVE_DISTANCE, batch->longest, b->bias,
                          &bias);
    /* Of words that are kept no weights are read. */
    run_stage(&pass, embed, model->projected ? 0 : pass.weight_bytes);
    hidden_state(&pass, 0);
    for (; pass.index < info->n_layers; pass.index++) {
        if (att_firsts_suffice(info, batch, pass.index))
            encode_firsts(&pass);
        else
            run_stage(&pass, encode, pass.weight_bytes);
        pass.wide = pass.next_wide;
        hidden_state(&pass, pass.index + 1);
    }
    output->hidden = b->x;
    att_head_run(&model->head, info, batch, b->x, &b->head, output);
}
