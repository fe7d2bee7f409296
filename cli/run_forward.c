/*
 * The call "forward": input_ids [B,T] with attention_mask and token_type_ids,
 * as packed sequences without padding, and the outputs spread to the padded
 * shapes again, rows of padding as zeros. --batch-tokens splits a case into
 * several packed batches, which changes no bit.
 */
#include <math.h>
#include <string.h>

#include "cli/run.h"

enum { TOKENS_MAX = 1 << 22, ELEMENTS_UNASKED_MAX = 1 << 20, POSITIONS_MAX = 64, LAYERS_MAX = 128 };

struct forward {
    struct cli_case *one;
    const struct att_model_info *info;
    size_t n_seqs, n_slots;                       /* B, T */
    int32_t *ids, *type_ids;                      /* packed; type_ids NULL: not given */
    uint32_t *cu;                                 /* [B + 1] */
    size_t n_logits;                              /* of a row of logits */
    bool per_token;                               /* a row for every token */
    size_t first;                                 /* sequence at which the present batch begins */
    size_t positions[POSITIONS_MAX], n_positions; /* of logits_at_positions */
    /* Where outputs go; NULL: not wanted. */
    float *logits, *logits_at, *last, *pooler, *mean, *mean_norm, *cls, *cls_norm;
    float *hidden[LAYERS_MAX + 1], *attention[LAYERS_MAX];
    bool taps_hidden, taps_attention;
};

/* ---- reading ---- */

static enum att_status read_rows(const struct forward *f, const struct att_json *rows, const char *name, int64_t max,
                                 int32_t *ret, struct att_err *err)
{
    if (!att_json_is_array(rows) || att_json_count(rows) != f->n_seqs)
        return att_err_set(err, ATT_EINVAL, "inputs.%s: expected %zu rows", name, f->n_seqs);
    for (size_t s = 0; s < f->n_seqs; s++) {
        const struct att_json *row = att_json_at(rows, s);
        if (!att_json_is_array(row) || att_json_count(row) != f->n_slots)
            return att_err_set(err, ATT_EINVAL, "inputs.%s[%zu]: expected %zu numbers", name, s, f->n_slots);
        for (size_t t = 0; t < f->n_slots; t++) {
            int64_t value;
            if (!att_json_integer(att_json_at(row, t), 0, max, &value))
                return att_err_set(err, ATT_EINVAL, "inputs.%s[%zu][%zu]: expected an integer from 0 to %lld", name, s,
                                   t, (long long)max);
            ret[s * f->n_slots + t] = (int32_t)value;
        }
    }
    return ATT_OK;
}

/* Lengths from the mask: ones, then zeros. Positions count from the first slot, so another shape means another text. */
static enum att_status read_mask(const struct forward *f, const struct att_json *mask, struct att_err *err)
{
    int32_t *rows = cli_case_alloc(f->one, f->n_seqs * f->n_slots, sizeof *rows, err);
    enum att_status status = rows ? ATT_OK : ATT_ENOMEM;
    if (status == ATT_OK && mask)
        status = read_rows(f, mask, "attention_mask", 1, rows, err);
    if (status != ATT_OK)
        return status;
    f->cu[0] = 0;
    for (size_t s = 0; s < f->n_seqs; s++) {
        size_t len = 0, ones = 0;
        for (size_t t = 0; t < f->n_slots; t++)
            ones += mask ? (size_t)rows[s * f->n_slots + t] : 1;
        while (len < f->n_slots && (!mask || rows[s * f->n_slots + len]))
            len++;
        if (len == 0 || len != ones)
            return att_err_set(err, ATT_EUNSUPPORTED,
                               "inputs.attention_mask[%zu]: expected ones and then zeros, at least one 1", s);
        f->cu[s + 1] = f->cu[s] + (uint32_t)len;
    }
    return ATT_OK;
}

static void pack(const struct forward *f, int32_t *values)
{
    for (size_t s = 0; s < f->n_seqs; s++)
        memmove(values + f->cu[s], values + s * f->n_slots, (f->cu[s + 1] - f->cu[s]) * sizeof *values);
}

static enum att_status read_inputs(struct forward *f, struct att_err *err)
{
    static const char *const known[] = {"input_ids", "attention_mask", "token_type_ids", NULL};
    const struct att_json *inputs = f->one->inputs, *ids = att_json_get(inputs, "input_ids");
    const struct att_json *types = att_json_get(inputs, "token_type_ids");
    enum att_status status = task_fields_known(inputs, "inputs", known, err);
    if (status != ATT_OK)
        return status;
    f->n_seqs = att_json_count(ids);
    f->n_slots = att_json_count(att_json_at(ids, 0));
    size_t total;
    if (f->n_seqs == 0 || f->n_slots == 0 || !att_size_mul(f->n_seqs, f->n_slots, &total) || total > TOKENS_MAX)
        return att_err_set(err, ATT_EINVAL, "inputs.input_ids: expected rows of ids, at most %d in all", TOKENS_MAX);
    f->ids = cli_case_alloc(f->one, total, sizeof *f->ids, err);
    f->type_ids = types && f->ids ? cli_case_alloc(f->one, total, sizeof *f->type_ids, err) : NULL;
    f->cu = cli_case_alloc(f->one, f->n_seqs + 1, sizeof *f->cu, err);
    if (!f->ids || !f->cu || (types && !f->type_ids))
        return ATT_ENOMEM;
    status = read_rows(f, ids, "input_ids", INT32_MAX, f->ids, err);
    if (status == ATT_OK && types)
        status = read_rows(f, types, "token_type_ids", INT32_MAX, f->type_ids, err);
    if (status == ATT_OK)
        status = read_mask(f, att_json_get(inputs, "attention_mask"), err);
    if (status != ATT_OK)
        return status;
    pack(f, f->ids);
    if (types)
        pack(f, f->type_ids);
    return ATT_OK;
}

/* ---- outputs ---- */

/* The positions that the case names, else those of the reference: the ends, a third and a half. */
static enum att_status choose_positions(struct forward *f, struct att_err *err)
{
    const struct att_json *tensor = att_json_get(f->one->wanted, "positions"), *data = att_json_get(tensor, "data");
    size_t t = f->n_slots, usual[] = {0, t > 1, t / 3, t / 2, t - 1 - (t > 1), t - 1};
    f->n_positions = data ? att_json_count(data) : sizeof usual / sizeof *usual;
    if (f->n_positions > POSITIONS_MAX)
        return att_err_limit(err, NULL, POSITIONS_MAX, f->n_positions, "outputs.positions: more than %d",
                             POSITIONS_MAX);
    for (size_t i = 0; i < f->n_positions; i++) {
        int64_t position = data ? -1 : (int64_t)usual[i];
        if (data && !att_json_integer(att_json_at(data, i), 0, (int64_t)t - 1, &position))
            return att_err_set(err, ATT_EINVAL, "outputs.positions.data[%zu]: expected 0 to %zu", i, t - 1);
        f->positions[i] = (size_t)position;
    }
    float *values = NULL;
    enum att_status status = cli_case_tensor(f->one, "positions", 1, &f->n_positions, &values, err);
    for (size_t i = 0; status == ATT_OK && i < f->n_positions; i++)
        values[i] = (float)f->positions[i];
    return status;
}

static enum att_status add(struct forward *f, const char *name, size_t rank, const size_t *dims, float **ret_data,
                           struct att_err *err)
{
    return cli_case_wants(f->one, name) ? cli_case_tensor(f->one, name, rank, dims, ret_data, err) : ATT_OK;
}

static enum att_status add_logits(struct forward *f, struct att_err *err)
{
    size_t n = f->n_logits, slots = f->n_slots;
    if (n == 0)
        return ATT_OK;
    if (!f->per_token)
        return add(f, "logits", 2, (size_t[]){f->n_seqs, n}, &f->logits, err);
    bool few = f->one->wanted ? !cli_case_wants(f->one, "logits") : slots > 6 && n > 100;
    if (!few)
        return add(f, "logits", 3, (size_t[]){f->n_seqs, slots, n}, &f->logits, err);
    if (!cli_case_wants(f->one, "logits_at_positions"))
        return ATT_OK;
    enum att_status status = choose_positions(f, err);
    if (status == ATT_OK)
        status = add(f, "logits_at_positions", 3, (size_t[]){f->n_seqs, f->n_positions, n}, &f->logits_at, err);
    return status;
}

static enum att_status add_vectors(struct forward *f, struct att_err *err)
{
    const size_t dims[] = {f->n_seqs, f->info->hidden_size};
    const struct {
        const char *name;
        float **data;
    } vectors[] = {{"pooler_output", &f->pooler},
                   {"embedding_mean", &f->mean},
                   {"embedding_mean_norm", &f->mean_norm},
                   {"embedding_cls", &f->cls},
                   {"embedding_cls_norm", &f->cls_norm}};
    for (size_t i = f->info->has_pooler ? 0 : 1; i < sizeof vectors / sizeof *vectors; i++) {
        enum att_status status = add(f, vectors[i].name, 2, dims, vectors[i].data, err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

/* Every layer's; where the case does not name them, only while they are small. */
static enum att_status add_layers(struct forward *f, struct att_err *err)
{
    size_t hidden = f->info->hidden_size, heads = f->info->n_heads, layers = f->info->n_layers, t = f->n_slots;
    size_t elements = f->n_seqs * t * (hidden + heads * t) * (layers + 1);
    char name[CLI_TENSOR_NAME_BYTES];
    if (layers > LAYERS_MAX || (!f->one->wanted && elements > ELEMENTS_UNASKED_MAX))
        return ATT_OK;
    for (size_t i = 0; i <= layers; i++) {
        snprintf(name, sizeof name, "hidden_states.%zu", i);
        enum att_status status = add(f, name, 3, (size_t[]){f->n_seqs, t, hidden}, &f->hidden[i], err);
        if (status != ATT_OK)
            return status;
        f->taps_hidden |= f->hidden[i] != NULL;
    }
    for (size_t i = 0; i < layers; i++) {
        snprintf(name, sizeof name, "attentions.%zu", i);
        enum att_status status = add(f, name, 4, (size_t[]){f->n_seqs, heads, t, t}, &f->attention[i], err);
        if (status != ATT_OK)
            return status;
        f->taps_attention |= f->attention[i] != NULL;
    }
    return ATT_OK;
}

/* Packed rows of the present batch to the padded ones of dst [B][T][width]. */
static void spread(const struct forward *f, size_t count, const float *rows, size_t width, float *dst)
{
    const uint32_t *cu = f->cu + f->first;
    for (size_t s = 0; s < count; s++)
        memcpy(dst + (f->first + s) * f->n_slots * width, rows + (cu[s] - cu[0]) * width,
               (cu[s + 1] - cu[s]) * width * sizeof *rows);
}

static size_t batch_seqs(const struct forward *f, size_t n_tokens)
{
    size_t count = 0;
    while (f->cu[f->first + count] - f->cu[f->first] < n_tokens)
        count++;
    return count;
}

static void take_hidden(void *context, size_t i, const float *x, size_t n_tokens, size_t hidden_size)
{
    const struct forward *f = context;
    if (f->hidden[i])
        spread(f, batch_seqs(f, n_tokens), x, hidden_size, f->hidden[i]);
}

static void take_attention(void *context, size_t layer, size_t seq, size_t head, size_t first, const float *probs,
                           size_t n_query, size_t n_key)
{
    const struct forward *f = context;
    if (!f->attention[layer])
        return;
    float *dst = f->attention[layer] + ((f->first + seq) * f->info->n_heads + head) * f->n_slots * f->n_slots;
    for (size_t i = 0; i < n_query; i++)
        memcpy(dst + (first + i) * f->n_slots, probs + i * n_key, n_key * sizeof *probs);
}

static void pool(const struct forward *f, size_t seq, const float *rows, size_t len)
{
    size_t n = f->info->hidden_size, at = seq * n;
    for (size_t j = 0; j < n; j++) {
        double sum = 0;
        for (size_t t = 0; t < len; t++)
            sum += (double)rows[t * n + j];
        if (f->mean)
            f->mean[at + j] = (float)(sum / (double)len);
        if (f->mean_norm)
            f->mean_norm[at + j] = (float)(sum / (double)len);
    }
    if (f->mean_norm)
        att_l2_normalize(n, f->mean_norm + at);
    if (f->cls)
        memcpy(f->cls + at, rows, n * sizeof *rows);
    if (f->cls_norm) {
        memcpy(f->cls_norm + at, rows, n * sizeof *rows);
        att_l2_normalize(n, f->cls_norm + at);
    }
}

static void keep(const struct forward *f, size_t count, const struct att_output *out, const float *logits)
{
    size_t hidden = f->info->hidden_size, n = f->n_logits;
    const uint32_t *cu = f->cu + f->first;
    if (f->last)
        spread(f, count, out->hidden, hidden, f->last);
    if (f->pooler)
        memcpy(f->pooler + f->first * hidden, out->pooler, count * hidden * sizeof(float));
    if (f->logits && f->per_token)
        spread(f, count, logits, n, f->logits);
    else if (f->logits)
        memcpy(f->logits + f->first * n, logits, count * n * sizeof(float));
    for (size_t s = 0; s < count; s++) {
        size_t len = cu[s + 1] - cu[s];
        for (size_t i = 0; f->logits_at && i < f->n_positions; i++)
            if (f->positions[i] < len)
                memcpy(f->logits_at + ((f->first + s) * f->n_positions + i) * n,
                       logits + (cu[s] - cu[0] + f->positions[i]) * n, n * sizeof(float));
        pool(f, f->first + s, out->hidden + (cu[s] - cu[0]) * hidden, len);
    }
}

static enum att_status run_batch(struct cli_runner *runner, struct forward *f, size_t count, uint32_t *cu,
                                 struct att_err *err)
{
    uint32_t begin = f->cu[f->first];
    for (size_t s = 0; s <= count; s++)
        cu[s] = f->cu[f->first + s] - begin;
    enum att_status status = cli_runner_context(runner, cu[count], count, err);
    if (status != ATT_OK)
        return status;
    const struct att_batch batch = {
        .ids = f->ids + begin, .type_ids = f->type_ids ? f->type_ids + begin : NULL, .cu_seqlens = cu, .n_seqs = count};
    const struct att_tap tap = {.context = f,
                                .hidden = f->taps_hidden ? take_hidden : NULL,
                                .attention = f->taps_attention ? take_attention : NULL};
    struct att_output out;
    status = att_forward(runner->context, &batch, f->taps_hidden || f->taps_attention ? &tap : NULL, &out, err);
    if (status != ATT_OK)
        return status;
    const float *logits = out.logits;
    if (f->info->generates && (f->logits || f->logits_at)) {
        float *lm_logits = cli_case_alloc(f->one, cu[count] * f->n_logits, sizeof *lm_logits, err);
        if (!lm_logits)
            return ATT_ENOMEM;
        att_lm_logits(runner->model, cu[count], out.hidden, lm_logits);
        logits = lm_logits;
    }
    keep(f, count, &out, logits);
    return ATT_OK;
}

enum att_status cli_run_forward(struct cli_runner *runner, struct cli_case *one, struct att_err *err)
{
    struct forward *f = cli_case_alloc(one, 1, sizeof *f, err);
    if (!f)
        return ATT_ENOMEM;
    f->one = one;
    f->info = att_model_info(runner->model);
    f->n_logits = f->info->generates ? f->info->logits_size : f->info->n_logits;
    f->per_token = f->info->generates || f->info->per_token;
    if (f->info->n_decoder_layers > 0)
        return cli_run_seq2seq(runner, one, err);
    enum att_status status = read_inputs(f, err);
    if (status == ATT_OK)
        status = add_logits(f, err);
    if (status == ATT_OK)
        status = add(f, "last_hidden_state", 3, (size_t[]){f->n_seqs, f->n_slots, f->info->hidden_size}, &f->last, err);
    if (status == ATT_OK)
        status = add_vectors(f, err);
    if (status == ATT_OK)
        status = add_layers(f, err);
    uint32_t *cu = status == ATT_OK ? cli_case_alloc(one, f->n_seqs + 1, sizeof *cu, err) : NULL;
    if (status == ATT_OK && !cu)
        status = ATT_ENOMEM;
    size_t budget = runner->options->batch_tokens ? runner->options->batch_tokens : TOKENS_MAX;
    while (status == ATT_OK && f->first < f->n_seqs) {
        size_t count = 1;
        while (f->first + count < f->n_seqs && f->cu[f->first + count + 1] - f->cu[f->first] <= budget)
            count++;
        status = run_batch(runner, f, count, cu, err);
        f->first += count;
    }
    return status;
}
