/*
 * TEI's POST /predict: all labels of a text or a pair, best first. "inputs" is a
 * text, a pair ["a","b"], or a batch [["a"],["b","c"]] of both.
 */
#include <stdio.h>

#include "tasks/ranking.h"
#include "tasks/wire/scores.h"
#include "tasks/wire/tei.h"

enum { PATH_BYTES = 48 };

struct predict {
    struct task_tei tei;
    const struct att_head_info *head;
    struct task_windows *windows; /* [n] */
    size_t n;
    bool many, raw;
};

/* A text, or an array of one or two. */
static enum att_status plan_one(struct task_call *call, const struct predict *predict, const struct att_json *input,
                                const char *path, struct task_windows *windows, struct att_err *err)
{
    size_t n = att_json_count(input);
    if (!att_json_is_array(input))
        return task_tei_plan(call, &predict->tei, input, NULL, path, windows, err);
    if (n != 1 && n != 2)
        return att_err_param(err, ATT_EINVAL, path, "%s: has %zu texts, expected one, or two as a pair", path, n);
    return task_tei_plan(call, &predict->tei, att_json_at(input, 0), n == 2 ? att_json_at(input, 1) : NULL, path,
                         windows, err);
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    const struct task_windows_options options = {.logits = true};
    const struct att_json *inputs = att_json_get(body, "inputs");
    struct predict *predict = task_alloc(call, 1, sizeof *predict, err);
    if (!predict)
        return err->status;
    call->state = predict;
    predict->many = att_json_is_array(att_json_at(inputs, 0));
    bool single = att_json_is_string(inputs) || att_json_is_string(att_json_at(inputs, 0));
    enum att_status status = task_tei_parse(call, body, "classify", body, "", &predict->tei, err);
    if (status == ATT_OK)
        status = task_wire_head(predict->tei.model, &predict->head, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "raw_scores", &predict->raw, err);
    if (status == ATT_OK)
        status = task_tei_count(call, inputs, single, "inputs", &predict->n, err);
    if (status != ATT_OK)
        return status;
    predict->windows = task_alloc(call, predict->n, sizeof *predict->windows, err);
    if (!predict->windows)
        return err->status;
    for (size_t i = 0; status == ATT_OK && i < predict->n; i++) {
        char path[PATH_BYTES] = "inputs";
        if (!single)
            snprintf(path, sizeof path, "inputs[%zu]", i);
        status = plan_one(call, predict, single ? inputs : att_json_at(inputs, i), path, &predict->windows[i], err);
    }
    if (status == ATT_OK)
        status = task_windows_jobs(call, &options, predict->windows, predict->n, err);
    return status;
}

static void put_one(const struct task_call *call, const struct predict *predict, size_t index, float *scores,
                    struct task_best *best, struct att_jsonw *answer)
{
    const struct att_head_info *head = predict->head;
    task_wire_scores(head, call->jobs[predict->windows[index].first_job].logits, predict->raw, scores);
    best->count = 0;
    for (size_t i = 0; i < head->n_labels; i++)
        task_best_offer(best, i, scores[i]);
    task_best_sort(best);
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < best->count; i++) {
        att_jsonw_object_begin(answer);
        att_jsonw_put_float(answer, "score", best->items[i].logit);
        att_jsonw_put_text(answer, "label", head->labels[best->items[i].slot]);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct predict *predict = call->state;
    size_t n_labels = predict->head->n_labels;
    float *scores = task_alloc(call, n_labels, sizeof *scores, err);
    struct task_best best = {.items = scores ? task_alloc(call, n_labels, sizeof *best.items, err) : NULL,
                             .capacity = n_labels};
    if (!best.items)
        return err->status;
    if (predict->many)
        att_jsonw_array_begin(answer);
    for (size_t i = 0; i < predict->n; i++)
        put_one(call, predict, i, scores, &best, answer);
    if (predict->many)
        att_jsonw_array_end(answer);
    return ATT_OK;
}

const struct task task_tei_predict = {.name = "tei_predict", .parse = parse, .render = render};
