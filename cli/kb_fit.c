/*
 * attend kb fit: weights, confidence, threshold and margin of /v1/reply for one
 * knowledge base and its encoder, from questions with their right entry. Every
 * second line is fitted on; the figures are those of the others, before and
 * after. What is found is stored in the knowledge base.
 */
#include "cli/kb_verbs.h"

#include <math.h>
#include <string.h>

#include "cli/replies.h"
#include "store/kb.h"
#include "tasks/classify/quality.h"
#include "tasks/kb/kb_fit_search.h"

enum { FIGURES = 6, BINS = 5, FIT_BYTES = STORE_KB_FIT_BYTES_MAX - 1 };

struct examples {
    struct task_fit_example *items;
    size_t count, capacity;
};

static const char *const names[FIGURES] = {"first answer right",  "answered right",        "answered wrong",
                                           "right when answered", "handed off, not in kb", "confidence error"};

/* ---- gathering ---- */

static float feature(const struct att_json *features, const char *name)
{
    return (float)att_json_number(att_json_get(features, name), 0);
}

static enum att_status take(void *context, const struct cli_reply_line *line, const struct att_json *answer,
                            struct att_err *err)
{
    struct examples *examples = context;
    const struct att_json *answers = att_json_get(answer, "answers");
    if (examples->count == examples->capacity) {
        size_t capacity = examples->capacity ? examples->capacity * 2 : 256;
        struct task_fit_example *grown = att_mem_realloc(examples->items, capacity, sizeof *grown);
        if (!grown)
            return att_err_set(err, ATT_ENOMEM, "out of memory");
        examples->items = grown;
        examples->capacity = capacity;
    }
    struct task_fit_example *example = &examples->items[examples->count];
    *example = (struct task_fit_example){
        .n = att_json_count(answers), .expect = line->expect, .cjk = line->cjk, .held_out = examples->count % 2 == 1};
    example->candidates = att_mem_calloc(example->n + 1, sizeof *example->candidates);
    if (!example->candidates)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    examples->count++;
    for (size_t i = 0; i < example->n; i++) {
        const struct att_json *item = att_json_at(answers, i), *features = att_json_get(item, "features");
        struct task_fit_candidate *candidate = &example->candidates[i];
        if (!att_json_integer(att_json_get(item, "id"), 1, INT64_MAX, &candidate->id))
            return att_err_set(err, ATT_EFORMAT, "an answer has no id");
        candidate->features = (struct task_match_features){feature(features, "best"), feature(features, "near"),
                                                           feature(features, "lexical"), feature(features, "covered")};
        candidate->bonus = feature(features, "bonus");
        candidate->rerank = feature(features, "rerank");
        candidate->reranked = att_json_get(features, "rerank") != NULL;
    }
    return ATT_OK;
}

static void examples_finish(struct examples *examples)
{
    for (size_t i = 0; i < examples->count; i++)
        att_mem_free(examples->items[i].candidates);
    att_mem_free(examples->items);
}

/* ---- figures over the lines that are held out ---- */

struct report {
    struct task_interval figures[FIGURES]; /* value NAN: no line says anything */
    double auroc;
    struct {
        size_t n, right;
        double said;
    } bins[BINS];
};

/* One figure's values into `values`; how many lines it is about. */
static size_t values_of(const struct examples *examples, const struct task_fit *fit, bool reranks, size_t figure,
                        double *values)
{
    size_t n = 0;
    for (size_t i = 0; i < examples->count; i++) {
        const struct task_fit_example *example = &examples->items[i];
        if (!example->held_out || example->n == 0)
            continue;
        struct task_fit_outcome out = task_fit_outcome(example, fit, reranks);
        bool outside = example->expect == 0;
        if (figure == 0 && !outside)
            values[n++] = out.first_right;
        else if (figure == 1 && !outside)
            values[n++] = out.answered && out.first_right;
        else if (figure == 2 && !outside)
            values[n++] = out.answered && !out.first_right;
        else if (figure == 3 && out.answered)
            values[n++] = out.first_right;
        else if (figure == 4 && outside)
            values[n++] = !out.answered && !out.clarify;
        else if (figure == 5)
            values[n++] = fabs(out.confidence - (out.first_right ? 1 : 0));
    }
    return n;
}

static enum att_status measure(const struct examples *examples, const struct task_fit *fit, bool reranks,
                               struct report *report, struct att_err *err)
{
    double *values = att_mem_calloc(examples->count + 1, sizeof *values);
    struct task_prediction *predictions = att_mem_calloc(examples->count + 1, sizeof *predictions);
    enum att_status status = values && predictions ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
    size_t n_predictions = 0;
    *report = (struct report){.auroc = NAN};
    for (size_t f = 0; status == ATT_OK && f < FIGURES; f++) {
        size_t n = values_of(examples, fit, reranks, f, values);
        report->figures[f] = (struct task_interval){NAN, NAN, NAN};
        if (n > 0)
            status = task_interval_mean(values, n, &report->figures[f], err);
    }
    for (size_t i = 0; status == ATT_OK && i < examples->count; i++) {
        const struct task_fit_example *example = &examples->items[i];
        if (!example->held_out || example->n == 0)
            continue;
        struct task_fit_outcome out = task_fit_outcome(example, fit, reranks);
        size_t bin = (size_t)(out.confidence * BINS);
        bin = bin < BINS ? bin : BINS - 1;
        report->bins[bin].n++;
        report->bins[bin].right += out.first_right;
        report->bins[bin].said += out.confidence;
        predictions[n_predictions++] =
            (struct task_prediction){example->expect ? 0 : TASK_LABEL_OUTSIDE, 0, out.confidence, 0};
    }
    if (status == ATT_OK) {
        task_predictions_sort(predictions, n_predictions);
        report->auroc = task_auroc(predictions, NULL, n_predictions);
    }
    att_mem_free(values);
    att_mem_free(predictions);
    return status;
}

static void put_figure(const char *name, const struct task_interval *before, const struct task_interval *after)
{
    if (isnan(after->value) && isnan(before->value))
        return;
    printf("  %-22s  %.3f (%.3f–%.3f)  %.3f (%.3f–%.3f)\n", name, before->value, before->low, before->high,
           after->value, after->low, after->high);
}

static void put_row(const char *script, const struct task_calibration *row, bool fitted)
{
    printf("%-6s best %.1f near %.1f lexical %.1f covered %.1f, floor %.3f, score 0.5 at %.3f%s\n", script,
           (double)row->weights.best, (double)row->weights.near, (double)row->weights.lexical,
           (double)row->weights.covered, (double)row->floor, (double)row->half,
           fitted ? "" : "  (too few lines: as it was)");
}

static void put_report(const char *title, const struct report *before, const struct report *after)
{
    printf("\n%-24s  before (95 %%)        after (95 %%)\n", title);
    for (size_t f = 0; f < FIGURES; f++)
        put_figure(names[f], &before->figures[f], &after->figures[f]);
    if (!isnan(after->auroc))
        printf("  %-22s  %.3f                %.3f\n", "AUROC, in kb or not", before->auroc, after->auroc);
    printf("  confidence after: said → right (lines)");
    for (size_t b = 0; b < BINS; b++)
        if (after->bins[b].n > 0)
            printf("  %.2f → %.2f (%zu)", after->bins[b].said / (double)after->bins[b].n,
                   (double)after->bins[b].right / (double)after->bins[b].n, after->bins[b].n);
    putchar('\n');
}

/* ---- storing ---- */

static void render_figures(const struct report *report, struct att_jsonw *w)
{
    static const char *const keys[FIGURES] = {"first_right",         "answered_right", "answered_wrong",
                                              "right_when_answered", "handed_off",     "confidence_error"};
    att_jsonw_object_begin(w);
    for (size_t f = 0; f < FIGURES; f++) {
        if (isnan(report->figures[f].value))
            continue;
        att_jsonw_key(w, keys[f]);
        att_jsonw_array_begin(w);
        att_jsonw_double(w, report->figures[f].value, 4);
        att_jsonw_double(w, report->figures[f].low, 4);
        att_jsonw_double(w, report->figures[f].high, 4);
        att_jsonw_array_end(w);
    }
    att_jsonw_object_end(w);
}

static enum att_status render(const struct task_fit *fit, size_t lines, double precision, const struct report *report,
                              const struct report *reranked, char **ret_text, struct att_err *err)
{
    struct att_jsonw w;
    size_t len = 0;
    att_jsonw_init(&w, FIT_BYTES);
    att_jsonw_object_begin(&w);
    att_jsonw_put_size(&w, "lines", lines);
    att_jsonw_put_double(&w, "precision", precision, 4);
    task_fit_render(fit, &w);
    att_jsonw_key(&w, "held_out");
    render_figures(report, &w);
    if (reranked) {
        att_jsonw_key(&w, "held_out_reranked");
        render_figures(reranked, &w);
    }
    att_jsonw_object_end(&w);
    return att_jsonw_take(&w, ret_text, &len, err);
}

/* ---- the command ---- */

struct fitting {
    struct task_fit before, after;
    bool fitted[2];
    struct report old, new, old_reranked, new_reranked;
};

static enum att_status search(const struct cli_env *env, const struct examples *examples, double precision,
                              struct fitting *fitting, struct att_err *err)
{
    const struct task_model *reranker = cli_env_kb(env)->reranker;
    const struct att_model_info *encoder = att_model_info(cli_env_kb(env)->encoder->model);
    const struct store_kb_view *view = store_kb_view(cli_env_kb(env)->kb);
    enum att_status status = task_fit_parse(view->fit, encoder, &fitting->before, err);
    store_kb_view_release(cli_env_kb(env)->kb, view);
    if (status != ATT_OK) /* a damaged one is what fitting anew repairs */
        task_fit_default(encoder->cosine_floor, &fitting->before);
    fitting->after = fitting->before;
    status = task_fit_search(examples->items, examples->count, precision, &fitting->after, fitting->fitted, err);
    if (status == ATT_OK && !fitting->fitted[0] && !fitting->fitted[1])
        status = att_err_set(err, ATT_EINVAL, "too few lines: 40 in one script with an entry expected are the least");
    if (status == ATT_OK && reranker)
        status = task_fit_search_rerank(examples->items, examples->count, precision,
                                        att_model_info(reranker->model)->digest, &fitting->after, err);
    if (status == ATT_OK)
        status = measure(examples, &fitting->before, false, &fitting->old, err);
    if (status == ATT_OK)
        status = measure(examples, &fitting->after, false, &fitting->new, err);
    if (status == ATT_OK && reranker)
        status = measure(examples, &fitting->before, true, &fitting->old_reranked, err);
    if (status == ATT_OK && reranker)
        status = measure(examples, &fitting->after, true, &fitting->new_reranked, err);
    return status;
}

static void put_all(const struct examples *examples, const struct fitting *fitting, const struct task_model *reranker)
{
    size_t outside = 0;
    for (size_t i = 0; i < examples->count; i++)
        outside += examples->items[i].expect == 0;
    printf("%zu lines, every second held out; %zu that no entry answers\n", examples->count, outside);
    put_row("latin", &fitting->after.latin, fitting->fitted[0]);
    put_row("cjk", &fitting->after.cjk, fitting->fitted[1]);
    printf("threshold %.3f (was %.3f), margin %.3f (was %.3f)\n", fitting->after.threshold, fitting->before.threshold,
           fitting->after.margin, fitting->before.margin);
    if (outside == 0)
        puts("No line has \"expect\":null: what threshold keeps strange questions out is a guess.");
    put_report("held out", &fitting->old, &fitting->new);
    if (!reranker)
        return;
    printf("\n%s: %.1f of the score, threshold %.3f, margin %.3f\n", reranker->name, (double)fitting->after.rerank.mix,
           fitting->after.rerank.threshold, fitting->after.rerank.margin);
    put_report("held out, reranked", &fitting->old_reranked, &fitting->new_reranked);
}

int cli_kb_fit(const struct cli_env *env, const struct cli_options *options)
{
    const struct cli_reply_request request = {.features = true};
    const struct task_kb *kb = cli_env_kb(env);
    double precision = options->precision > 0 ? options->precision : 0.95;
    struct examples examples = {.count = 0};
    struct fitting fitting;
    struct att_err err;
    char *text = NULL;
    enum att_status status = cli_replies_run(env, options->data, &request, take, &examples, &err);
    if (status == ATT_OK) {
        status = search(env, &examples, precision, &fitting, &err);
        if (status != ATT_OK)
            att_err_prefix(&err, "%s", options->data);
    }
    if (status == ATT_OK)
        status = render(&fitting.after, examples.count, precision, &fitting.new,
                        kb->reranker ? &fitting.new_reranked : NULL, &text, &err);
    if (status == ATT_OK && !options->dry_run)
        status = store_kb_fit_put(kb->kb, text, &err);
    if (status == ATT_OK && options->json)
        puts(text);
    else if (status == ATT_OK)
        put_all(&examples, &fitting, kb->reranker);
    if (status == ATT_OK && !options->json && options->dry_run)
        puts("\nNothing was stored.");
    examples_finish(&examples);
    att_mem_free(text);
    return status == ATT_OK ? CLI_OK : cli_fail("kb", &err);
}
