/*
 * The rounds of an explanation: the texts without one word each, then those of the
 * deletion curve. A variant is planned, cut into windows and measured as a
 * text of its own, so its logits are bit for bit those of a request that sends it.
 */
#include "tasks/explain/explain.h"

enum { WORDS_MAX = 64 }; /* spans that are left out one by one; longer texts have longer spans */

/* Work space of one item. */
struct cutter {
    struct task_call *call;
    const struct task_explain *explain;
    const struct task_explained *item;
    bool *out;     /* [n_words] */
    size_t *order; /* [n_words], most weight first */
    char *copies[2];
};

static enum att_status cutter_init(struct cutter *cutter, struct task_call *call, const struct task_explain *explain,
                                   const struct task_explained *item, struct att_err *err)
{
    *cutter = (struct cutter){.call = call, .explain = explain, .item = item};
    cutter->out = task_alloc(call, item->n_words + 1, sizeof *cutter->out, err);
    cutter->order = cutter->out ? task_alloc(call, item->n_words + 1, sizeof *cutter->order, err) : NULL;
    if (!cutter->order)
        return err->status;
    for (size_t i = 0; i < 2; i++)
        if (item->texts[i] && !(cutter->copies[i] = task_alloc(call, item->lens[i] + item->n_words + 1, 1, err)))
            return err->status;
    return ATT_OK;
}

/* Plans the text without the words of cutter->out. */
static enum att_status cut(struct cutter *cutter, struct task_windows *variant, struct att_err *err)
{
    const struct task_explained *item = cutter->item;
    const struct task_explain *explain = cutter->explain;
    size_t lens[2] = {0, 0};
    for (size_t i = 0; i < 2; i++)
        if (item->texts[i])
            lens[i] = task_words_leave_out(item->texts[i], item->lens[i], i == 1, item->words, item->n_words,
                                           cutter->out, cutter->copies[i]);
    return task_windows_plan(cutter->call, explain->model, &explain->options, cutter->copies[0], lens[0],
                             cutter->copies[1], lens[1], "explain", variant, err);
}

/* ---- the words without one ---- */

static enum att_status plan_left_out(struct task_call *call, struct task_explain *explain, struct att_err *err)
{
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < explain->n_items; i++) {
        struct cutter cutter;
        status = cutter_init(&cutter, call, explain, &explain->items[i], err);
        for (size_t w = 0; status == ATT_OK && w < cutter.item->n_words; w++) {
            cutter.out[w] = true;
            status = cut(&cutter, &explain->variants[cutter.item->first_variant + w], err);
            cutter.out[w] = false;
        }
    }
    return status;
}

static enum att_status take_left_out(struct task_call *call, struct task_explain *explain, struct att_err *err)
{
    size_t n = explain->n_targets;
    struct task_outcome *outcomes = task_alloc(call, n, sizeof *outcomes, err);
    for (size_t i = 0; outcomes && i < explain->n_items; i++) {
        struct task_explained *item = &explain->items[i];
        item->weights = task_alloc(call, n * item->n_words + 1, sizeof *item->weights, err);
        if (!item->weights)
            return err->status;
        for (size_t w = 0; w < item->n_words; w++) {
            explain->measure(call, i, &explain->variants[item->first_variant + w], outcomes);
            for (size_t t = 0; t < n; t++)
                item->weights[t * item->n_words + w] = (double)item->base[t].logit - (double)outcomes[t].logit;
        }
    }
    return outcomes ? ATT_OK : err->status;
}

/* ---- faithfulness ---- */

static size_t n_orders(const struct task_explain *explain)
{
    return explain->method == TASK_EXPLAIN_OCCLUSION ? explain->n_targets : 1;
}

static enum att_status plan_order(struct cutter *cutter, struct task_windows *variants, struct att_err *err)
{
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < TASK_DELETION_VARIANTS; i++) {
        task_deletion_mark(i, cutter->order, cutter->item->n_words, cutter->out);
        status = cut(cutter, &variants[i], err);
    }
    return status;
}

static enum att_status plan_draws(struct cutter *cutter, struct task_windows *variants, struct att_err *err)
{
    const struct task_explained *item = cutter->item;
    uint64_t state = task_deletion_seed(0, item->texts[0], item->texts[0] ? item->lens[0] : 0);
    enum att_status status = ATT_OK;
    if (item->texts[1])
        state = task_deletion_seed(state, item->texts[1], item->lens[1]);
    for (size_t d = 0; status == ATT_OK && d < TASK_DELETION_DRAWS; d++) {
        task_deletion_draw(&state, cutter->order, item->n_words, cutter->out);
        status = cut(cutter, &variants[d], err);
    }
    return status;
}

static enum att_status plan_deleted(struct task_call *call, struct task_explain *explain, struct att_err *err)
{
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < explain->n_items; i++) {
        struct cutter cutter;
        const struct task_explained *item = &explain->items[i];
        struct task_windows *variants = explain->variants + item->first_variant;
        status = cutter_init(&cutter, call, explain, item, err);
        for (size_t o = 0; status == ATT_OK && item->n_words > 0 && o < n_orders(explain); o++) {
            task_deletion_order(item->weights + o * item->n_words, item->n_words, cutter.order);
            status = plan_order(&cutter, variants + o * TASK_DELETION_VARIANTS, err);
        }
        if (status == ATT_OK && item->n_words > 0)
            status = plan_draws(&cutter, variants + n_orders(explain) * TASK_DELETION_VARIANTS, err);
    }
    return status;
}

static enum att_status take_deleted(struct task_call *call, struct task_explain *explain, struct att_err *err)
{
    size_t n = explain->n_targets, per_item = n_orders(explain) * TASK_DELETION_VARIANTS + TASK_DELETION_DRAWS;
    struct task_outcome *outcomes = task_alloc(call, n * per_item, sizeof *outcomes, err);
    for (size_t i = 0; outcomes && i < explain->n_items; i++) {
        struct task_explained *item = &explain->items[i];
        if (!(item->faithfulness = task_alloc(call, n, sizeof *item->faithfulness, err)))
            return err->status;
        for (size_t v = 0; item->n_words > 0 && v < per_item; v++)
            explain->measure(call, i, &explain->variants[item->first_variant + v], outcomes + v * n);
        for (size_t t = 0; item->n_words > 0 && t < n; t++) {
            size_t order = (n_orders(explain) > 1 ? t : 0) * TASK_DELETION_VARIANTS;
            double scores[TASK_DELETION_VARIANTS], draws[TASK_DELETION_DRAWS];
            for (size_t v = 0; v < TASK_DELETION_VARIANTS; v++)
                scores[v] = (double)outcomes[(order + v) * n + t].score;
            for (size_t d = 0; d < TASK_DELETION_DRAWS; d++)
                draws[d] = (double)outcomes[(per_item - TASK_DELETION_DRAWS + d) * n + t].score;
            task_deletion_figures((double)item->base[t].score, scores, draws, &item->faithfulness[t]);
        }
    }
    return outcomes ? ATT_OK : err->status;
}

/* ---- the rounds ---- */

/* Variants of every item, planned by `plan`, become the call's jobs. Their tokens are counted apart. */
static enum att_status begin_round(struct task_call *call, struct task_explain *explain, bool deleted,
                                   struct att_err *err)
{
    size_t total = 0, prompt_tokens = call->prompt_tokens;
    for (size_t i = 0; i < explain->n_items; i++) {
        size_t n = explain->items[i].n_words;
        explain->items[i].first_variant = total;
        total += deleted && n > 0 ? n_orders(explain) * TASK_DELETION_VARIANTS + TASK_DELETION_DRAWS : n;
    }
    call->n_jobs = 0;
    if (total == 0)
        return ATT_OK;
    explain->n_variants = total;
    explain->variants = task_alloc(call, total, sizeof *explain->variants, err);
    if (!explain->variants)
        return err->status;
    call->prompt_tokens = call->explain_tokens;
    enum att_status status = (deleted ? plan_deleted : plan_left_out)(call, explain, err);
    call->explain_tokens = call->prompt_tokens;
    call->prompt_tokens = prompt_tokens;
    if (status == ATT_OK)
        status = task_windows_jobs(call, &explain->options, explain->variants, total, err);
    return status;
}

/* Words and outcomes of the texts as they are; their weights where attention gives them. */
static enum att_status take_base(struct task_call *call, struct task_explain *explain, struct att_err *err)
{
    bool left_out = explain->method == TASK_EXPLAIN_OCCLUSION || explain->faithfulness;
    explain->first_jobs = call->jobs;
    explain->n_first_jobs = call->n_jobs;
    for (size_t i = 0; i < explain->n_items; i++) {
        struct task_explained *item = &explain->items[i];
        enum att_status status = task_explain_words(call, explain->model, item, left_out ? WORDS_MAX : 0, err);
        if (status != ATT_OK)
            return status;
        item->base = task_alloc(call, explain->n_targets, sizeof *item->base, err);
        if (!item->base)
            return err->status;
        explain->measure(call, i, item->windows, item->base);
        if (explain->method != TASK_EXPLAIN_OCCLUSION)
            status = task_explain_attend(call, item, err);
        if (status != ATT_OK)
            return status;
    }
    explain->options.attention = explain->options.rollout = false;
    return ATT_OK;
}

enum att_status task_explain_advance(struct task_call *call, struct task_explain *explain, struct att_err *err)
{
    enum att_status status = ATT_OK;
    switch (explain->round) {
    case TASK_ROUND_BASE:
        status = take_base(call, explain, err);
        break;
    case TASK_ROUND_LEFT_OUT:
        status = take_left_out(call, explain, err);
        break;
    default:
        status = take_deleted(call, explain, err);
        break;
    }
    explain->round += explain->round == TASK_ROUND_BASE && explain->method != TASK_EXPLAIN_OCCLUSION ? 2 : 1;
    if (explain->round == TASK_ROUND_DELETED && !explain->faithfulness)
        explain->round = TASK_ROUND_END;
    call->n_jobs = 0;
    if (status == ATT_OK && explain->round != TASK_ROUND_END)
        status = begin_round(call, explain, explain->round == TASK_ROUND_DELETED, err);
    if (status == ATT_OK && call->n_jobs == 0)
        call->jobs = explain->first_jobs;
    return status;
}
