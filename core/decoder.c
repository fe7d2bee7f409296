/* Steps of a decoder over its cache; the arithmetic is the architecture's. */
#include "core/decoder.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/model.h"

struct att_decoder {
    struct att_model *model;
    size_t max_rows, max_prompt, bytes;
    size_t n_rows; /* of the present prompts */
    struct att_kv_cache cache;
    struct att_team team;
    void *memory, *buffers; /* scratch, and the architecture's struct of pointers into it */
    float *last;            /* [max_rows][hidden]: states whose logits are asked for */
    float *logits;          /* [max_rows][logits_size] */
    uint32_t *cu_step;      /* [max_rows + 1]: 0, 1, 2, … */
    /* encoder-decoders: the sources' keys and values of every layer, and which of them a row reads */
    float *cross;
    size_t longest_source;
    const float **cross_of;
    uint32_t *cross_len;
};

static void plan(struct att_decoder *decoder, struct att_scratch *scratch)
{
    const struct att_model *model = decoder->model;
    const struct att_arch_info *info = &model->arch_info;
    size_t rows = decoder->max_rows;
    const struct att_arch_limits limits = {.max_tokens = decoder->max_prompt > rows ? decoder->max_prompt : rows,
                                           .max_seqs = rows,
                                           .max_past = decoder->cache.max_len};
    model->arch->plan(model->state, info, &limits, scratch, decoder->buffers);
    decoder->last = att_scratch_take(scratch, rows * info->hidden_size, sizeof(float));
    decoder->logits = att_scratch_take(scratch, rows * model->info.logits_size, sizeof(float));
    decoder->cu_step = att_scratch_take(scratch, rows + 1, sizeof(uint32_t));
    if (model->arch->decode) {
        size_t each = decoder->max_prompt * 2 * info->n_kv_heads * info->head_dim;
        decoder->cross = att_scratch_take(scratch, info->n_decoder_layers * each, sizeof(float));
        decoder->cross_of = att_scratch_take(scratch, rows, sizeof(float *));
        decoder->cross_len = att_scratch_take(scratch, rows, sizeof(uint32_t));
    }
    decoder->team.space =
        att_scratch_take(scratch, scratch->space > model->linear_space ? scratch->space : model->linear_space, 1);
}

static enum att_status allocate(struct att_decoder *decoder, struct att_err *err)
{
    struct att_scratch scratch = {.base = NULL};
    plan(decoder, &scratch);
    decoder->memory = scratch.overflow ? NULL : att_mem_aligned(scratch.used, 1);
    if (!decoder->memory)
        return att_err_set(err, ATT_ENOMEM, "out of memory for a decoder of %zu rows", decoder->max_rows);
    decoder->bytes = scratch.used + 2 * decoder->cache.n_layers * decoder->max_rows * decoder->cache.max_len *
                                        decoder->cache.width * sizeof(float);
    scratch = (struct att_scratch){.base = decoder->memory};
    plan(decoder, &scratch);
    for (size_t r = 0; r <= decoder->max_rows; r++)
        decoder->cu_step[r] = (uint32_t)r;
    return ATT_OK;
}

enum att_status att_decoder_create(struct att_model *model, size_t n_rows, size_t max_len, size_t max_prompt,
                                   struct att_decoder **ret_decoder, struct att_err *err)
{
    assert(model && ret_decoder && n_rows > 0 && max_len > 0 && max_prompt > 0);
    const struct att_arch_info *info = &model->arch_info;
    if (!info->generates)
        return att_err_set(err, ATT_EUNSUPPORTED, "the model writes no text: it is no language model with a decoder");
    if (max_len > info->max_tokens || n_rows > UINT32_MAX / 2 || max_prompt > UINT32_MAX / 2)
        return att_err_limit(err, NULL, info->max_tokens, max_len, "%zu tokens, expected at most %zu, the model's own",
                             max_len, info->max_tokens);
    struct att_decoder *decoder = att_mem_calloc(1, sizeof *decoder);
    if (!decoder)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    decoder->model = att_model_ref(model);
    decoder->max_rows = n_rows;
    decoder->max_prompt = max_prompt;
    att_team_init(&decoder->team, NULL);
    decoder->buffers = att_mem_calloc(1, model->arch->buffers_bytes);
    size_t layers = info->n_decoder_layers ? info->n_decoder_layers : info->n_layers;
    enum att_status status = decoder->buffers ? att_kv_cache_init(&decoder->cache, layers, n_rows, max_len,
                                                                  info->n_kv_heads * info->head_dim, err)
                                              : att_err_set(err, ATT_ENOMEM, "out of memory");
    if (status == ATT_OK)
        status = allocate(decoder, err);
    if (status != ATT_OK)
        att_decoder_destroy(decoder);
    else
        *ret_decoder = decoder;
    return status;
}

void att_decoder_destroy(struct att_decoder *decoder)
{
    if (!decoder)
        return;
    att_kv_cache_finish(&decoder->cache);
    att_team_finish(&decoder->team);
    att_mem_free(decoder->memory);
    att_mem_free(decoder->buffers);
    att_model_unref(decoder->model);
    att_mem_free(decoder);
}

size_t att_decoder_bytes(const struct att_decoder *decoder)
{
    return decoder->bytes;
}

/* Sources through the encoder, and their keys and values for every decoder layer. */
static void encode(struct att_decoder *decoder, const struct att_arch_batch *source, size_t copies)
{
    const struct att_model *model = decoder->model;
    const struct att_arch_info *info = &model->arch_info;
    struct att_arch_output out = {.hidden = NULL};
    model->arch->forward(model->state, model->layers[0], info, source, NULL, decoder->buffers, &out);
    float *cross = decoder->cross;
    for (size_t s = 0, width = 2 * info->n_kv_heads * info->head_dim; s < source->n_seqs; s++) {
        size_t begin = source->cu_seqlens[s], len = source->cu_seqlens[s + 1] - begin;
        for (size_t r = s * copies; r < (s + 1) * copies; r++) {
            decoder->cross_of[r] = cross;
            decoder->cross_len[r] = (uint32_t)len;
        }
        for (size_t i = 0; i < info->n_decoder_layers; i++, cross += len * width)
            model->arch->cross(model->state, model->layers[1], i, len, out.hidden + begin * info->hidden_size, cross);
    }
    decoder->longest_source = source->longest;
}

/* Prompts through the one stack; then each row goes on from its prompt's. */
static void read_prompts(struct att_decoder *decoder, struct att_arch_batch *prompts, size_t copies)
{
    const struct att_model *model = decoder->model;
    size_t hidden = model->arch_info.hidden_size;
    uint32_t *from = decoder->cache.work + 2 * decoder->max_rows;
    struct att_arch_output out = {.hidden = NULL};
    prompts->past.cache = &decoder->cache;
    model->arch->forward(model->state, model->layers[0], &model->arch_info, prompts, NULL, decoder->buffers, &out);
    for (size_t s = 0; s < prompts->n_seqs; s++)
        decoder->cache.len[s] = prompts->cu_seqlens[s + 1] - prompts->cu_seqlens[s];
    for (size_t r = 0; r < decoder->max_rows; r++)
        from[r] = (uint32_t)(r < decoder->n_rows ? r / copies : r);
    att_kv_cache_reorder(&decoder->cache, from);
    for (size_t r = 0; r < decoder->n_rows; r++)
        memcpy(decoder->last + r * hidden, out.hidden + (prompts->cu_seqlens[r / copies + 1] - 1) * hidden,
               hidden * sizeof(float));
    model->arch->lm_logits(model->state, &model->arch_info, &decoder->team, decoder->n_rows, decoder->last,
                           decoder->logits);
}

enum att_status att_decoder_start(struct att_decoder *decoder, const struct att_batch *prompts, size_t copies,
                                  const float **ret_logits, struct att_err *err)
{
    const struct att_model *model = decoder->model;
    struct att_arch_batch checked;
    assert(copies > 0);
    enum att_status status = att_batch_check(model, prompts, decoder->max_prompt, decoder->max_rows / copies,
                                             model->arch_info.vocab_size, &checked, err);
    if (status != ATT_OK)
        return status;
    if (!model->arch->decode && checked.longest > decoder->cache.max_len)
        return att_err_limit(err, NULL, decoder->cache.max_len, checked.longest,
                             "a prompt has %zu tokens, expected at most %zu", checked.longest, decoder->cache.max_len);
    checked.team = &decoder->team;
    att_kv_cache_clear(&decoder->cache);
    decoder->n_rows = checked.n_seqs * copies;
    *ret_logits = NULL;
    if (model->arch->decode) {
        encode(decoder, &checked, copies);
        return ATT_OK;
    }
    read_prompts(decoder, &checked, copies);
    *ret_logits = decoder->logits;
    return ATT_OK;
}

enum att_status att_decoder_step(struct att_decoder *decoder, const int32_t *ids, const float **ret_logits,
                                 struct att_err *err)
{
    const struct att_model *model = decoder->model;
    const struct att_arch_info *info = &model->arch_info;
    struct att_arch_output out = {.hidden = NULL};
    struct att_arch_batch batch = {.ids = ids,
                                   .cu_seqlens = decoder->cu_step,
                                   .n_seqs = decoder->n_rows,
                                   .n_tokens = decoder->n_rows,
                                   .longest = 1,
                                   .team = &decoder->team};
    batch.past.cache = &decoder->cache;
    for (size_t r = 0; r < decoder->n_rows; r++) {
        if (ids[r] < 0 || (size_t)ids[r] >= model->info.logits_size)
            return att_err_set(err, ATT_EINVAL, "id %d of row %zu, expected 0 to %zu", ids[r], r,
                               model->info.logits_size - 1);
        if (decoder->cache.len[r] >= decoder->cache.max_len)
            return att_err_limit(err, NULL, decoder->cache.max_len, decoder->cache.len[r] + 1,
                                 "row %zu would have more than %zu tokens", r, decoder->cache.max_len);
    }
    if (model->arch->decode) {
        batch.past.longest_memory = decoder->longest_source;
        batch.past.cross = decoder->cross_of;
        batch.past.cross_len = decoder->cross_len;
        model->arch->decode(model->state, model->layers[1], info, &batch, NULL, decoder->buffers, &out);
    } else {
        model->arch->forward(model->state, model->layers[0], info, &batch, NULL, decoder->buffers, &out);
    }
    for (size_t r = 0; r < decoder->n_rows; r++)
        decoder->cache.len[r]++;
    model->arch->lm_logits(model->state, info, &decoder->team, decoder->n_rows, out.hidden, decoder->logits);
    *ret_logits = decoder->logits;
    return ATT_OK;
}

void att_decoder_forget(struct att_decoder *decoder, size_t row)
{
    assert(row < decoder->n_rows);
    decoder->cache.len[row] = 0;
}

void att_decoder_reorder(struct att_decoder *decoder, const uint32_t *from)
{
    uint32_t *all = decoder->cache.work + 2 * decoder->max_rows;
    for (size_t r = 0; r < decoder->max_rows; r++)
        all[r] = (uint32_t)(r < decoder->n_rows ? from[r] : r);
    att_kv_cache_reorder(&decoder->cache, all);
}
