/*
 * explain: "occlusion" and counterfactuals. The best items stand fast; then come
 * rounds of variants of the request (recommend_without.c):
 *
 *   left out   each of the newest events, the interest, each word of it
 *   deleted    for faithfulness: the events in the order of their weights, ten steps of them and so on
 *              (tasks/explain/deletion.h), for each of the first items; and three at random
 *
 * The weight of an event or word is the item's logit less that of the variant.
 */
#include <math.h>
#include <string.h>

#include "tasks/recommend/recommend.h"

enum { EVENTS_MAX = 64, WORDS_MAX = 64, MEASURED_MAX = 10 };

/* ---- left out ---- */

/* The newest events, as many as may be tried. */
static enum att_status choose_events(struct task_call *call, const struct task_recommend *recommend,
                                     struct task_occlusion *occlusion, struct att_err *err)
{
    const struct task_history *history = &recommend->history;
    const size_t most = task_without_most(recommend), n = history->n < EVENTS_MAX ? history->n : EVENTS_MAX;
    occlusion->n_events = n < most ? n : most;
    occlusion->positions = task_alloc(call, n + 1, sizeof *occlusion->positions, err);
    for (size_t i = 0; occlusion->positions && i < occlusion->n_events; i++)
        occlusion->positions[i] = history->events[history->n - 1 - i].position;
    return occlusion->positions ? ATT_OK : err->status;
}

/* The words of the interest; what a round has room for beside the events decides how many spans they are. */
static enum att_status choose_words(struct task_call *call, const struct task_recommend *recommend,
                                    struct task_occlusion *occlusion, struct att_err *err)
{
    struct task_explained item = {
        .texts = {recommend->interest}, .lens = {recommend->interest_len}, .windows = recommend->windows};
    const size_t most = task_without_most(recommend), used = occlusion->n_events + 1;
    const size_t left = most > used ? most - used : 0, n = left < WORDS_MAX ? left : WORDS_MAX;
    if (!recommend->occlude || !recommend->interest || n == 0)
        return ATT_OK;
    enum att_status status = task_explain_words(call, recommend->model->encoder, &item, n, err);
    occlusion->words = item.words;
    occlusion->n_words = item.n_words;
    return status;
}

static bool blank(const char *text, size_t len)
{
    return strspn(text, " \t\r\n") >= len;
}

/* The interest without one word each, for the encoder to read. */
static enum att_status plan_words(struct task_call *call, const struct task_recommend *recommend,
                                  struct task_occlusion *occlusion, struct att_err *err)
{
    const struct task_model *encoder = recommend->model->encoder;
    const size_t n = occlusion->n_words, prompt_tokens = call->prompt_tokens;
    if (n == 0)
        return ATT_OK;
    const struct task_windows_options options = {
        .pooled = true, .stride = SIZE_MAX, .prompt = att_model_info(encoder->model)->query_prompt};
    bool *out = task_alloc(call, n, sizeof *out, err);
    char *copy = out ? task_alloc(call, recommend->interest_len + n + 1, 1, err) : NULL;
    occlusion->is_blank = copy ? task_alloc(call, n, sizeof *occlusion->is_blank, err) : NULL;
    occlusion->variants = occlusion->is_blank ? task_alloc(call, n, sizeof *occlusion->variants, err) : NULL;
    if (!occlusion->variants)
        return err->status;
    enum att_status status = ATT_OK;
    size_t planned = 0;
    call->prompt_tokens = call->explain_tokens;
    for (size_t w = 0; status == ATT_OK && w < n; w++) {
        out[w] = true;
        const size_t len =
            task_words_leave_out(recommend->interest, recommend->interest_len, false, occlusion->words, n, out, copy);
        out[w] = false;
        copy[len] = '\0';
        occlusion->is_blank[w] = blank(copy, len);
        if (!occlusion->is_blank[w])
            status = task_windows_plan(call, encoder, &options, copy, len, NULL, 0, "explain",
                                       &occlusion->variants[planned++], err);
    }
    call->explain_tokens = call->prompt_tokens;
    call->prompt_tokens = prompt_tokens;
    return status == ATT_OK && planned > 0 ? task_windows_jobs(call, &options, occlusion->variants, planned, err)
                                           : status;
}

static enum att_status plan_left_out(struct task_call *call, struct task_recommend *recommend, struct att_err *err)
{
    struct task_occlusion *occlusion = &recommend->occlusion;
    const float *interest = recommend->preference.interest;
    bool *out = task_alloc(call, recommend->history.n + 1, sizeof *out, err);
    enum att_status status = out ? choose_events(call, recommend, occlusion, err) : err->status;
    if (status == ATT_OK)
        status = choose_words(call, recommend, occlusion, err);
    if (status == ATT_OK)
        status = task_without_begin(call, recommend, occlusion->n_events + 1 + occlusion->n_words, &occlusion->left_out,
                                    err);
    for (size_t i = 0; status == ATT_OK && i < occlusion->n_events; i++) {
        out[occlusion->positions[i]] = true;
        status = task_without_add(call, recommend, &occlusion->left_out, out, interest, err);
        out[occlusion->positions[i]] = false;
    }
    if (status == ATT_OK && recommend->interest)
        status = task_without_add(call, recommend, &occlusion->left_out, NULL, NULL, err);
    for (size_t w = 0; status == ATT_OK && w < occlusion->n_words; w++)
        status = task_without_add(call, recommend, &occlusion->left_out, NULL, NULL, err);
    if (status == ATT_OK)
        status = plan_words(call, recommend, occlusion, err);
    return status == ATT_OK ? task_without_jobs(call, &occlusion->left_out, err) : status;
}

static enum att_status take_left_out(struct task_call *call, struct task_recommend *recommend, struct att_err *err)
{
    struct task_occlusion *occlusion = &recommend->occlusion;
    const struct task_model *encoder = recommend->model->encoder;
    for (size_t w = 0, planned = 0; w < occlusion->n_words; w++) {
        if (occlusion->is_blank[w])
            continue;
        const size_t hidden = att_model_info(encoder->model)->hidden_size;
        float *vector = task_alloc(call, hidden, sizeof *vector, err);
        if (!vector)
            return err->status;
        task_recommend_text_vector(call, &occlusion->variants[planned++], hidden, vector);
        occlusion->left_out.list[occlusion->n_events + 1 + w].interest = vector;
    }
    return task_without_conclude(call, recommend, &occlusion->left_out, err);
}

/* What an item owes to the i-th of what was left out. */
static double weight_of(const struct task_recommend *recommend, size_t slot, size_t i)
{
    enum task_source source;
    return (double)task_preference_logit(&recommend->preference, slot, &source) -
           (double)task_preference_logit(&recommend->occlusion.left_out.list[i].preference, slot, &source);
}

/* ---- deleted ---- */

/* The positions of the marked events. */
static void place(const struct task_occlusion *occlusion, const bool *marked, bool *out)
{
    for (size_t i = 0; i < occlusion->n_events; i++)
        out[occlusion->positions[i]] = marked[i];
}

static uint64_t seed_of(const struct task_history *history)
{
    uint64_t seed = task_deletion_seed(0, NULL, 0);
    for (size_t i = 0; i < history->n; i++)
        seed = task_deletion_seed(seed, history->given[i].item, strlen(history->given[i].item) + 1);
    return seed;
}

/* How many items are measured: none where the scores of all are not known. */
static size_t measured(const struct task_recommend *recommend)
{
    const size_t most = task_without_most(recommend), n = recommend->best.count;
    if (!recommend->faithfulness || recommend->preference.found || recommend->occlusion.n_events == 0 ||
        most < TASK_DELETION_DRAWS)
        return 0;
    const size_t room = (most - TASK_DELETION_DRAWS) / TASK_DELETION_VARIANTS;
    const size_t wanted = n < MEASURED_MAX ? n : MEASURED_MAX;
    return wanted < room ? wanted : room;
}

static enum att_status plan_deleted(struct task_call *call, struct task_recommend *recommend, struct att_err *err)
{
    struct task_occlusion *occlusion = &recommend->occlusion;
    const size_t n = occlusion->n_events;
    const float *interest = recommend->preference.interest;
    size_t order[EVENTS_MAX];
    double weights[EVENTS_MAX];
    bool marked[EVENTS_MAX], *out = task_alloc(call, recommend->history.n + 1, sizeof *out, err);
    uint64_t state = seed_of(&recommend->history);
    occlusion->n_measured = measured(recommend);
    if (!out || occlusion->n_measured == 0)
        return out ? ATT_OK : err->status;
    enum att_status status =
        task_without_begin(call, recommend, occlusion->n_measured * TASK_DELETION_VARIANTS + TASK_DELETION_DRAWS,
                           &occlusion->deleted, err);
    for (size_t i = 0; i < occlusion->n_measured; i++) {
        for (size_t e = 0; e < n; e++)
            weights[e] = weight_of(recommend, recommend->best.items[i].slot, e);
        task_deletion_order(weights, n, order);
        for (size_t v = 0; status == ATT_OK && v < TASK_DELETION_VARIANTS; v++) {
            task_deletion_mark(v, order, n, marked);
            place(occlusion, marked, out);
            status = task_without_add(call, recommend, &occlusion->deleted, out, interest, err);
        }
    }
    for (size_t d = 0; status == ATT_OK && d < TASK_DELETION_DRAWS; d++) {
        task_deletion_draw(&state, order, n, marked);
        place(occlusion, marked, out);
        status = task_without_add(call, recommend, &occlusion->deleted, out, interest, err);
    }
    return status == ATT_OK ? task_without_jobs(call, &occlusion->deleted, err) : status;
}

/* The share of the softmax over all that may be answered. */
static double share_of(const struct task_recommend *recommend, const struct task_preference *preference, size_t slot)
{
    enum task_source source;
    return exp((double)task_preference_logit(preference, slot, &source) -
               task_recommend_log_sum(recommend, preference));
}

static enum att_status take_deleted(struct task_call *call, struct task_recommend *recommend, struct att_err *err)
{
    struct task_occlusion *occlusion = &recommend->occlusion;
    const size_t n = occlusion->n_measured;
    enum att_status status = task_without_conclude(call, recommend, &occlusion->deleted, err);
    occlusion->faithfulness = status == ATT_OK ? task_alloc(call, n + 1, sizeof *occlusion->faithfulness, err) : NULL;
    if (!occlusion->faithfulness)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        const size_t slot = recommend->best.items[i].slot;
        const struct task_without *own = occlusion->deleted.list + i * TASK_DELETION_VARIANTS;
        const struct task_without *drawn = occlusion->deleted.list + n * TASK_DELETION_VARIANTS;
        double scores[TASK_DELETION_VARIANTS], draws[TASK_DELETION_DRAWS];
        for (size_t v = 0; v < TASK_DELETION_VARIANTS; v++)
            scores[v] = share_of(recommend, &own[v].preference, slot);
        for (size_t d = 0; d < TASK_DELETION_DRAWS; d++)
            draws[d] = share_of(recommend, &drawn[d].preference, slot);
        task_deletion_figures(share_of(recommend, &recommend->preference, slot), scores, draws,
                              &occlusion->faithfulness[i]);
    }
    return ATT_OK;
}

/* ---- rounds ---- */

static enum att_status step(struct task_call *call, struct task_recommend *recommend, struct att_err *err)
{
    struct task_occlusion *occlusion = &recommend->occlusion;
    enum att_status status = ATT_OK;
    const bool measures = recommend->occlude && recommend->faithfulness;
    switch (occlusion->round) {
    case TASK_OCCLUSION_BEGIN:
        occlusion->round = TASK_OCCLUSION_LEFT_OUT;
        call->n_jobs = 0;
        return plan_left_out(call, recommend, err);
    case TASK_OCCLUSION_LEFT_OUT:
        occlusion->round = measures ? TASK_OCCLUSION_DELETED : TASK_OCCLUSION_END;
        status = take_left_out(call, recommend, err);
        call->n_jobs = 0;
        return status == ATT_OK && measures ? plan_deleted(call, recommend, err) : status;
    case TASK_OCCLUSION_DELETED:
        occlusion->round = TASK_OCCLUSION_END;
        status = occlusion->n_measured > 0 ? take_deleted(call, recommend, err) : ATT_OK;
        break;
    case TASK_OCCLUSION_END:
        break;
    }
    call->n_jobs = 0;
    return status;
}

enum att_status task_occlusion_advance(struct task_call *call, struct task_recommend *recommend, struct att_err *err)
{
    enum att_status status = ATT_OK;
    if (!recommend->counterfactual && !recommend->occlude)
        recommend->occlusion.round = TASK_OCCLUSION_END;
    do /* a round may need no job */
        status = step(call, recommend, err);
    while (status == ATT_OK && call->n_jobs == 0 && recommend->occlusion.round != TASK_OCCLUSION_END);
    return status;
}

/* ---- the answer's part ---- */

static void put_events(const struct task_recommend *recommend, size_t slot, const size_t *at, struct att_jsonw *answer)
{
    const struct task_history *history = &recommend->history;
    att_jsonw_key(answer, "events");
    att_jsonw_array_begin(answer);
    for (size_t number = 0; number < history->n; number++) {
        if (at[number] == 0)
            continue;
        att_jsonw_object_begin(answer);
        att_jsonw_put_size(answer, "event", number);
        att_jsonw_put_text(answer, "item", history->given[recommend->occlusion.positions[at[number] - 1]].item);
        att_jsonw_put_float(answer, "weight", (float)weight_of(recommend, slot, at[number] - 1));
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
}

static void put_words(const struct task_recommend *recommend, size_t slot, struct att_jsonw *answer)
{
    const struct task_occlusion *occlusion = &recommend->occlusion;
    att_jsonw_key(answer, "tokens");
    att_jsonw_array_begin(answer);
    for (size_t w = 0; w < occlusion->n_words; w++) {
        const struct task_word *word = &occlusion->words[w];
        att_jsonw_object_begin(answer);
        att_jsonw_put_string(answer, "text", recommend->interest + word->start, word->end - word->start);
        att_jsonw_put_int(answer, "start", word->start);
        att_jsonw_put_int(answer, "end", word->end);
        att_jsonw_put_float(answer, "weight", (float)weight_of(recommend, slot, occlusion->n_events + 1 + w));
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
}

enum att_status task_occlusion_render(struct task_call *call, const struct task_recommend *recommend, size_t i,
                                      struct att_jsonw *answer, struct att_err *err)
{
    const struct task_occlusion *occlusion = &recommend->occlusion;
    const size_t slot = recommend->best.items[i].slot;
    /* By the event's number: 1 and its index, or 0 where it was not tried. */
    size_t *at = task_alloc(call, recommend->history.n + 1, sizeof *at, err);
    if (!at)
        return err->status;
    for (size_t e = 0; e < occlusion->n_events; e++)
        at[task_history_number(&recommend->history, occlusion->positions[e])] = e + 1;
    att_jsonw_key(answer, "explain");
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "method", "occlusion");
    put_events(recommend, slot, at, answer);
    if (recommend->interest)
        put_words(recommend, slot, answer);
    if (i < occlusion->n_measured)
        task_faithfulness_render(&occlusion->faithfulness[i], answer);
    att_jsonw_object_end(answer);
    return ATT_OK;
}
