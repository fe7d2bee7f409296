/*
 * The call "forward" of encoder-decoders: both sides as packed sequences, and
 * every output spread to its padded shape, rows of padding as zeros. Two
 * spellings are read: input_ids, decoder_input_ids, … as transformers has them,
 * and src, tgt, … of the original Transformer. Of large outputs a case may ask
 * for sampled values alone: NAME@index names the places, NAME@value is filled.
 */
#include <math.h>
#include <string.h>

#include "cli/run.h"

enum { TOKENS_MAX = 1 << 20, LAYERS_MAX = 128, BEST = 8 };

/* The names of inputs and outputs in a spelling. */
static const struct names {
    const char *source, *source_mask, *target, *target_mask;
    const char *memory, *hidden; /* last states */
    const char *source_hidden, *target_hidden, *source_attention, *target_attention, *cross;
} spellings[] = {
    {"input_ids", "attention_mask", "decoder_input_ids", "decoder_attention_mask", "encoder_last_hidden_state",
     "last_hidden_state", "encoder_hidden_states", "decoder_hidden_states", "encoder_attentions", "decoder_attentions",
     "cross_attentions"},
    {"src", "src_mask", "tgt", "tgt_mask", "memory", "decoder_hidden", "encoder_hidden_states", "decoder_hidden_states",
     "encoder_attentions", "decoder_self_attentions", "decoder_cross_attentions"},
};

struct side {
    size_t n_slots; /* T */
    int32_t *ids;   /* packed */
    uint32_t *cu;   /* [B + 1] */
    float *hidden[LAYERS_MAX + 1], *attention[LAYERS_MAX];
};

struct pass {
    struct cli_case *one;
    const struct att_model_info *info;
    const struct names *names;
    size_t n_seqs;
    struct side source, target;
    float *cross[LAYERS_MAX];
};

/* ---- reading ---- */

static enum att_status read_side(struct pass *pass, const char *ids_name, const char *mask_name, struct side *side,
                                 struct att_err *err)
{
    const struct att_json *ids = att_json_get(pass->one->inputs, ids_name);
    const struct att_json *mask = att_json_get(pass->one->inputs, mask_name);
    size_t total = 0, at = 0;
    if (pass->n_seqs == 0)
        pass->n_seqs = att_json_count(ids);
    side->n_slots = att_json_count(att_json_at(ids, 0));
    if (pass->n_seqs == 0 || att_json_count(ids) != pass->n_seqs || side->n_slots == 0 ||
        !att_size_mul(pass->n_seqs, side->n_slots, &total) || total > TOKENS_MAX)
        return att_err_set(err, ATT_EINVAL, "inputs.%s: expected rows of ids, at most %d in all", ids_name, TOKENS_MAX);
    side->ids = cli_case_alloc(pass->one, total, sizeof *side->ids, err);
    side->cu = side->ids ? cli_case_alloc(pass->one, pass->n_seqs + 1, sizeof *side->cu, err) : NULL;
    if (!side->cu)
        return ATT_ENOMEM;
    for (size_t s = 0; s < pass->n_seqs; s++) {
        bool ended = false;
        for (size_t t = 0; t < side->n_slots; t++) {
            int64_t id = -1, real = 1;
            if (!att_json_integer(att_json_at(att_json_at(ids, s), t), 0, INT32_MAX, &id) ||
                (mask && !att_json_integer(att_json_at(att_json_at(mask, s), t), 0, 1, &real)))
                return att_err_set(err, ATT_EINVAL, "inputs.%s[%zu][%zu]: expected an id, and a mask of 0 or 1",
                                   ids_name, s, t);
            if (ended && real)
                return att_err_set(err, ATT_EUNSUPPORTED, "inputs.%s[%zu]: expected ones and then zeros", mask_name, s);
            ended = !real;
            if (real)
                side->ids[at++] = (int32_t)id;
        }
        side->cu[s + 1] = (uint32_t)at;
    }
    return ATT_OK;
}

/* ---- outputs ---- */

/* A case that asks for NAME@value needs NAME. */
static bool wants(const struct pass *pass, const char *name)
{
    char sampled[CLI_TENSOR_NAME_BYTES];
    snprintf(sampled, sizeof sampled, "%.40s@value", name);
    return cli_case_wants(pass->one, name) || (pass->one->wanted && cli_case_wants(pass->one, sampled));
}

static enum att_status add(struct pass *pass, const char *name, size_t rank, const size_t *dims, float **ret_data,
                           struct att_err *err)
{
    return wants(pass, name) ? cli_case_tensor(pass->one, name, rank, dims, ret_data, err) : ATT_OK;
}

static enum att_status add_side(struct pass *pass, const char *hidden, const char *attention, size_t layers,
                                size_t heads, struct side *side, struct att_err *err)
{
    char name[CLI_TENSOR_NAME_BYTES];
    size_t n = pass->n_seqs, t = side->n_slots;
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i <= layers; i++) {
        snprintf(name, sizeof name, "%s.%zu", hidden, i);
        status = add(pass, name, 3, (size_t[]){n, t, pass->info->hidden_size}, &side->hidden[i], err);
    }
    for (size_t i = 0; status == ATT_OK && i < layers; i++) {
        snprintf(name, sizeof name, "%s.%zu", attention, i);
        status = add(pass, name, 4, (size_t[]){n, heads, t, t}, &side->attention[i], err);
    }
    return status;
}

static enum att_status add_layers(struct pass *pass, struct att_err *err)
{
    const struct att_model_info *info = pass->info;
    char name[CLI_TENSOR_NAME_BYTES];
    if (info->n_layers > LAYERS_MAX || info->n_decoder_layers > LAYERS_MAX)
        return att_err_set(err, ATT_EUNSUPPORTED, "call: more than %d layers", LAYERS_MAX);
    enum att_status status = add_side(pass, pass->names->source_hidden, pass->names->source_attention, info->n_layers,
                                      info->n_heads, &pass->source, err);
    if (status == ATT_OK)
        status = add_side(pass, pass->names->target_hidden, pass->names->target_attention, info->n_decoder_layers,
                          info->n_decoder_heads, &pass->target, err);
    for (size_t i = 0; status == ATT_OK && i < info->n_decoder_layers; i++) {
        snprintf(name, sizeof name, "%s.%zu", pass->names->cross, i);
        const size_t dims[] = {pass->n_seqs, info->n_decoder_heads, pass->target.n_slots, pass->source.n_slots};
        status = add(pass, name, 4, dims, &pass->cross[i], err);
    }
    return status;
}

static void spread(const struct pass *pass, const struct side *side, const float *rows, size_t width, float *dst)
{
    for (size_t s = 0; dst && s < pass->n_seqs; s++)
        memcpy(dst + s * side->n_slots * width, rows + side->cu[s] * width,
               (side->cu[s + 1] - side->cu[s]) * width * sizeof *rows);
}

static void place(float *dst, size_t heads, size_t n_rows, size_t n_columns, size_t seq, size_t head, size_t first,
                  const float *probs, size_t n_query, size_t n_key)
{
    for (size_t i = 0; dst && i < n_query; i++)
        memcpy(dst + (((seq * heads + head) * n_rows) + first + i) * n_columns, probs + i * n_key,
               n_key * sizeof *probs);
}

static void take_source_hidden(void *context, size_t i, const float *x, size_t n_tokens, size_t hidden_size)
{
    const struct pass *pass = context;
    (void)n_tokens;
    spread(pass, &pass->source, x, hidden_size, pass->source.hidden[i]);
}

static void take_target_hidden(void *context, size_t i, const float *x, size_t n_tokens, size_t hidden_size)
{
    const struct pass *pass = context;
    (void)n_tokens;
    spread(pass, &pass->target, x, hidden_size, pass->target.hidden[i]);
}

static void take_source(void *context, size_t layer, size_t seq, size_t head, size_t first, const float *probs,
                        size_t n_query, size_t n_key)
{
    const struct pass *pass = context;
    size_t t = pass->source.n_slots;
    place(pass->source.attention[layer], pass->info->n_heads, t, t, seq, head, first, probs, n_query, n_key);
}

static void take_target(void *context, size_t layer, size_t seq, size_t head, size_t first, const float *probs,
                        size_t n_query, size_t n_key)
{
    const struct pass *pass = context;
    size_t t = pass->target.n_slots;
    place(pass->target.attention[layer], pass->info->n_decoder_heads, t, t, seq, head, first, probs, n_query, n_key);
}

static void take_cross(void *context, size_t layer, size_t seq, size_t head, size_t first, const float *probs,
                       size_t n_query, size_t n_key)
{
    const struct pass *pass = context;
    place(pass->cross[layer], pass->info->n_decoder_heads, pass->target.n_slots, pass->source.n_slots, seq, head, first,
          probs, n_query, n_key);
}

/* ---- logits ---- */

/* logits_at_positions: rows of the T axis that the case names. */
static enum att_status put_positions(struct pass *pass, const float *logits, struct att_err *err)
{
    const struct att_json *data = att_json_get(att_json_get(pass->one->wanted, "positions"), "data");
    size_t n = att_json_count(data), vocab = pass->info->logits_size;
    float *rows = NULL, *positions = NULL;
    if (n == 0)
        return ATT_OK;
    enum att_status status = cli_case_tensor(pass->one, "positions", 1, &n, &positions, err);
    if (status == ATT_OK)
        status = cli_case_tensor(pass->one, "logits_at_positions", 3, (size_t[]){pass->n_seqs, n, vocab}, &rows, err);
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        int64_t t = 0;
        if (!att_json_integer(att_json_at(data, i), 0, (int64_t)pass->target.n_slots - 1, &t))
            return att_err_set(err, ATT_EINVAL, "outputs.positions.data[%zu]: expected 0 to %zu", i,
                               pass->target.n_slots - 1);
        positions[i] = (float)t;
        for (size_t s = 0; s < pass->n_seqs; s++)
            if ((size_t)t < pass->target.cu[s + 1] - pass->target.cu[s])
                memcpy(rows + (s * n + i) * vocab, logits + (pass->target.cu[s] + (size_t)t) * vocab,
                       vocab * sizeof *rows);
    }
    return status;
}

/* The eight likeliest ids of every target position. */
static enum att_status put_best(struct pass *pass, float *probabilities, struct att_err *err)
{
    size_t vocab = pass->info->logits_size, t = pass->target.n_slots;
    const size_t dims[] = {pass->n_seqs, t, BEST};
    float *ids = NULL, *values = NULL;
    if (!pass->one->wanted || !cli_case_wants(pass->one, "top8_ids") || vocab < BEST)
        return ATT_OK;
    enum att_status status = cli_case_tensor(pass->one, "top8_ids", 3, dims, &ids, err);
    if (status == ATT_OK)
        status = cli_case_tensor(pass->one, "top8_probabilities", 3, dims, &values, err);
    for (size_t s = 0; status == ATT_OK && s < pass->n_seqs; s++)
        for (size_t i = pass->target.cu[s]; i < pass->target.cu[s + 1]; i++) {
            float *row = probabilities + i * vocab;
            size_t at = (s * t + i - pass->target.cu[s]) * BEST;
            for (size_t k = 0; k < BEST; k++) {
                size_t best = 0;
                for (size_t j = 1; j < vocab; j++)
                    best = row[j] > row[best] ? j : best;
                ids[at + k] = (float)best;
                values[at + k] = row[best];
                row[best] = -1;
            }
        }
    return status;
}

static enum att_status put_logits(struct pass *pass, const struct att_model *model, const float *hidden,
                                  struct att_err *err)
{
    size_t vocab = pass->info->logits_size, n = pass->target.cu[pass->n_seqs];
    const size_t dims[] = {pass->n_seqs, pass->target.n_slots, vocab};
    bool few = pass->one->wanted && cli_case_wants(pass->one, "logits_at_positions");
    float *all = NULL, *likely = NULL;
    if (vocab == 0)
        return ATT_OK;
    float *logits = cli_case_alloc(pass->one, n * vocab, sizeof *logits, err);
    if (!logits)
        return ATT_ENOMEM;
    att_lm_logits(model, n, hidden, logits);
    enum att_status status = few ? put_positions(pass, logits, err) : ATT_OK;
    if (status == ATT_OK)
        status = add(pass, "logits", 3, dims, &all, err);
    if (status == ATT_OK)
        status = add(pass, "probabilities", 3, dims, &likely, err);
    if (status != ATT_OK)
        return status;
    spread(pass, &pass->target, logits, vocab, all);
    for (size_t i = 0; i < n; i++)
        att_softmax(vocab, logits + i * vocab, 1, logits + i * vocab);
    spread(pass, &pass->target, logits, vocab, likely);
    return put_best(pass, logits, err);
}

/* Sum, length and largest of each tensor, where the case has "stats". */
static enum att_status measure(struct cli_case *one, struct att_err *err)
{
    if (!att_json_is_array(att_json_get(one->root, "stats")))
        return ATT_OK;
    one->stats = cli_case_alloc(one, one->n_tensors, sizeof *one->stats, err);
    if (!one->stats)
        return ATT_ENOMEM;
    for (size_t t = 0; t < one->n_tensors; t++) {
        const struct cli_tensor *tensor = &one->tensors[t];
        struct cli_stat *stat = &one->stats[one->n_stats++];
        size_t count = 1;
        memcpy(stat->name, tensor->name, sizeof stat->name);
        memcpy(stat->dims, tensor->dims, sizeof stat->dims);
        stat->rank = tensor->rank;
        for (size_t i = 0; i < tensor->rank; i++)
            count *= tensor->dims[i];
        for (size_t i = 0; i < count; i++) {
            double x = (double)tensor->data[i];
            stat->sum += x;
            stat->l2 += x * x;
            stat->max_abs = fmax(stat->max_abs, fabs(x));
        }
        stat->l2 = sqrt(stat->l2);
    }
    return ATT_OK;
}

/* NAME@value from the places of NAME@index; NAME itself leaves the answer when the case does not name it. */
static enum att_status sample(struct pass *pass, struct att_err *err)
{
    struct cli_case *one = pass->one;
    struct att_json_iter iter;
    const char *name;
    const struct att_json *value;
    size_t n_full = one->n_tensors;
    enum att_status status = measure(one, err);
    if (status != ATT_OK || !att_json_is_object(one->wanted))
        return status;
    att_json_iter_init(&iter, one->wanted);
    while (att_json_iter_next(&iter, &name, &value)) {
        const char *at = strchr(name, '@');
        const struct att_json *places = att_json_get(value, "data");
        size_t count = att_json_count(places), t = 0, size = 1;
        float *index = NULL, *values = NULL;
        char base[CLI_TENSOR_NAME_BYTES], value_name[CLI_TENSOR_NAME_BYTES];
        if (!at || strcmp(at, "@index") != 0 || (size_t)(at - name) + 7 > sizeof base)
            continue;
        snprintf(base, sizeof base, "%.*s", (int)(at - name), name);
        snprintf(value_name, sizeof value_name, "%.39s@value", base);
        while (t < n_full && strcmp(one->tensors[t].name, base) != 0)
            t++;
        if (t == n_full)
            continue;
        for (size_t i = 0; i < one->tensors[t].rank; i++)
            size *= one->tensors[t].dims[i];
        status = cli_case_tensor(one, name, 1, &count, &index, err);
        if (status == ATT_OK)
            status = cli_case_tensor(one, value_name, 1, &count, &values, err);
        for (size_t i = 0; status == ATT_OK && i < count; i++) {
            int64_t place = 0;
            if (!att_json_integer(att_json_at(places, i), 0, (int64_t)size - 1, &place))
                return att_err_set(err, ATT_EINVAL, "outputs.%s.data[%zu]: expected 0 to %zu", name, i, size - 1);
            index[i] = (float)place;
            values[i] = one->tensors[t].data[place];
        }
        if (status != ATT_OK)
            return status;
    }
    size_t kept = 0;
    for (size_t t = 0; t < one->n_tensors; t++)
        if (cli_case_wants(one, one->tensors[t].name))
            one->tensors[kept++] = one->tensors[t];
    one->n_tensors = kept;
    return ATT_OK;
}

static enum att_status run(struct cli_runner *runner, struct pass *pass, struct att_err *err)
{
    size_t hidden = pass->info->hidden_size, n_source = pass->source.cu[pass->n_seqs];
    size_t n_target = pass->target.cu[pass->n_seqs];
    float *memory = NULL, *last = NULL;
    enum att_status status =
        add(pass, pass->names->memory, 3, (size_t[]){pass->n_seqs, pass->source.n_slots, hidden}, &memory, err);
    if (status == ATT_OK)
        status = add(pass, pass->names->hidden, 3, (size_t[]){pass->n_seqs, pass->target.n_slots, hidden}, &last, err);
    if (status == ATT_OK)
        status = add_layers(pass, err);
    if (status == ATT_OK)
        status = cli_runner_context(runner, n_source > n_target ? n_source : n_target, pass->n_seqs, err);
    if (status != ATT_OK)
        return status;
    const struct att_batch target = {.ids = pass->target.ids, .cu_seqlens = pass->target.cu, .n_seqs = pass->n_seqs};
    const struct att_batch batch = {
        .ids = pass->source.ids, .cu_seqlens = pass->source.cu, .n_seqs = pass->n_seqs, .target = &target};
    const struct att_tap tap = {
        .context = pass,
        .hidden = take_source_hidden,
        .attention = take_source,
        .decoder_hidden = take_target_hidden,
        .decoder_attention = take_target,
        .cross_attention = take_cross,
    };
    struct att_output out;
    status = att_forward(runner->context, &batch, &tap, &out, err);
    if (status != ATT_OK)
        return status;
    spread(pass, &pass->source, out.memory, hidden, memory);
    spread(pass, &pass->target, out.hidden, hidden, last);
    return put_logits(pass, runner->model, out.hidden, err);
}

enum att_status cli_run_seq2seq(struct cli_runner *runner, struct cli_case *one, struct att_err *err)
{
    struct pass *pass = cli_case_alloc(one, 1, sizeof *pass, err);
    if (!pass)
        return ATT_ENOMEM;
    pass->one = one;
    pass->info = att_model_info(runner->model);
    pass->names = &spellings[att_json_get(one->inputs, "src") ? 1 : 0];
    const char *const known[] = {pass->names->source, pass->names->source_mask, pass->names->target,
                                 pass->names->target_mask, NULL};
    enum att_status status = task_fields_known(one->inputs, "inputs", known, err);
    if (status == ATT_OK)
        status = read_side(pass, pass->names->source, pass->names->source_mask, &pass->source, err);
    if (status == ATT_OK)
        status = read_side(pass, pass->names->target, pass->names->target_mask, &pass->target, err);
    if (status == ATT_OK)
        status = run(runner, pass, err);
    return status == ATT_OK ? sample(pass, err) : status;
}
