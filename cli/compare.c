/* Runs every text alone through both models: batches change no bit. */
#include "cli/compare.h"

#include <math.h>
#include <string.h>

#include "cli/texts.h"

struct side {
    struct att_model *model;
    struct att_context *context;
    struct att_output out;
};

static enum att_status side_open(struct side *side, const char *dir, const struct cli_options *options,
                                 enum att_dtype dtype, struct att_err *err)
{
    struct cli_options with = *options;
    with.dtype = dtype;
    enum att_status status = cli_model_load(dir, &with, &side->model, err);
    if (status == ATT_OK)
        status = att_context_create(side->model, att_model_info(side->model)->max_tokens, 1, &side->context, err);
    return status;
}

static void side_close(struct side *side)
{
    att_context_destroy(side->context);
    att_model_unref(side->model);
}

static double cosine(size_t n, const float *a, const float *b)
{
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return dot / sqrt(aa * bb);
}

static size_t largest_of(size_t n, const float *x)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = x[i] > x[best] ? i : best;
    return best;
}

/* One row of logits: what each head decides, and how far its probabilities moved. */
static void compare_heads(const struct att_model_info *info, const float *a, const float *b, struct cli_comparison *c)
{
    enum { LABELS_MAX = 1024 };
    float p[LABELS_MAX], q[LABELS_MAX];
    for (size_t h = 0; h < info->n_head_infos; h++) {
        const struct att_head_info *head = &info->heads[h];
        const float *x = a + head->logits_begin, *y = b + head->logits_begin;
        if (head->multi_label || head->n_labels < 2 || head->n_labels > LABELS_MAX)
            continue;
        c->n_decisions++;
        c->n_agree += largest_of(head->n_labels, x) == largest_of(head->n_labels, y);
        att_softmax(head->n_labels, x, head->temperature, p);
        att_softmax(head->n_labels, y, head->temperature, q);
        for (size_t i = 0; i < head->n_labels; i++)
            c->probability_change = fmax(c->probability_change, fabs((double)p[i] - (double)q[i]));
    }
}

static enum att_status compare_text(struct side *exact, struct side *other, const struct cli_text *text,
                                    struct cli_comparison *c, struct att_err *err)
{
    const uint32_t cu[2] = {0, (uint32_t)text->count};
    const struct att_batch batch = {.ids = text->ids, .cu_seqlens = cu, .n_seqs = 1};
    const struct att_model_info *info = att_model_info(exact->model);
    enum att_status status = att_forward(exact->context, &batch, NULL, &exact->out, err);
    if (status == ATT_OK)
        status = att_forward(other->context, &batch, NULL, &other->out, err);
    if (status != ATT_OK)
        return status;
    const double near = cosine(info->hidden_size, exact->out.pooled, other->out.pooled);
    c->cosine_min = c->n_texts == 0 || !(near >= c->cosine_min) ? near : c->cosine_min;
    c->cosine_mean += (near - c->cosine_mean) / (double)++c->n_texts;
    for (size_t row = 0; exact->out.logits && row < (info->per_token ? text->count : 1); row++)
        compare_heads(info, exact->out.logits + row * info->n_logits, other->out.logits + row * info->n_logits, c);
    return ATT_OK;
}

enum att_status cli_compare(const char *dir, const struct cli_options *options, enum att_dtype dtype,
                            struct cli_comparison *ret_comparison, struct att_err *err)
{
    struct side exact = {.model = NULL}, other = {.model = NULL};
    struct cli_text *texts = NULL;
    size_t n_texts = 0;
    struct cli_comparison c = {.dtype = dtype};
    enum att_status status = side_open(&exact, dir, options, ATT_F32, err);
    if (status == ATT_OK)
        status = side_open(&other, dir, options, dtype, err);
    if (status == ATT_OK && !att_model_tokenizer(exact.model))
        status = att_err_set(err, ATT_EUNSUPPORTED, "%s: has no tokenizer for the texts of --compare-dtype", dir);
    if (status == ATT_OK)
        status = cli_texts_read(exact.model, options->compare_dtype, &texts, &n_texts, err);
    for (size_t i = 0; status == ATT_OK && i < n_texts; i++)
        status = compare_text(&exact, &other, &texts[i], &c, err);
    if (status == ATT_OK) {
        c.weight_bytes = att_model_info(other.model)->weight_bytes;
        c.weight_bytes_of_f32 = att_model_info(exact.model)->weight_bytes;
        *ret_comparison = c;
    }
    cli_texts_free(texts, n_texts);
    side_close(&other);
    side_close(&exact);
    return status;
}
