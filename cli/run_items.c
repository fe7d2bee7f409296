/* The call "recommend": a history of item numbers in, the best k items and their scores out. */
#include <math.h>
#include <string.h>

#include "cli/run.h"

enum { HISTORY_MAX = 1 << 20 };

static enum att_status read_history(struct cli_case *one, size_t n_items, int32_t **ret_ids, size_t *ret_len,
                                    struct att_err *err)
{
    const struct att_json *history = att_json_get(one->inputs, "history");
    size_t len = att_json_count(history);
    if (!att_json_is_array(history) || len == 0 || len > HISTORY_MAX)
        return att_err_set(err, ATT_EINVAL, "inputs.history: expected an array of 1 to %d item numbers", HISTORY_MAX);
    int32_t *ids = cli_case_alloc(one, len, sizeof *ids, err);
    if (!ids)
        return ATT_ENOMEM;
    for (size_t i = 0; i < len; i++) {
        int64_t id;
        if (!att_json_integer(att_json_at(history, i), 1, (int64_t)n_items - 1, &id))
            return att_err_set(err, ATT_EINVAL, "inputs.history[%zu]: expected an item number from 1 to %zu", i,
                               n_items - 1);
        ids[i] = (int32_t)id;
    }
    *ret_ids = ids;
    *ret_len = len;
    return ATT_OK;
}

/* The k highest scores; equal ones by the lower number. Takes them out of scores. */
static enum att_status put_best(struct cli_case *one, float *scores, size_t n_items, size_t k, struct att_err *err)
{
    int32_t *ids = cli_case_alloc(one, k, sizeof *ids, err);
    float *best_scores = cli_case_alloc(one, k, sizeof *best_scores, err);
    if (!ids || !best_scores)
        return ATT_ENOMEM;
    size_t count = 0;
    for (; count < k; count++) {
        size_t best = 0;
        for (size_t i = 1; i < n_items; i++)
            if (scores[i] > scores[best])
                best = i;
        if (best == 0)
            break; /* scores[0], the padding, is -INFINITY: nothing is left */
        ids[count] = (int32_t)best;
        best_scores[count] = scores[best];
        scores[best] = -INFINITY;
    }
    one->lists[one->n_lists++] = (struct cli_list){.name = "topk_ids", .values = ids, .count = count};
    return cli_case_put(one, "topk_scores", count, best_scores, err);
}

enum att_status cli_run_recommend(struct cli_runner *runner, struct cli_case *one, struct att_err *err)
{
    static const char *const known[] = {"history", "k", "exclude_seen", NULL};
    const struct att_model_info *info = att_model_info(runner->model);
    int64_t k = 10;
    bool exclude_seen = true;
    int32_t *ids = NULL;
    size_t len = 0;
    struct att_output out;
    if (!att_item_embedding(runner->model, 1))
        return att_err_set(err, ATT_EUNSUPPORTED, "call: the model is no recommender");
    enum att_status status = task_fields_known(one->inputs, "inputs", known, err);
    if (status == ATT_OK)
        status = task_field_int(one->inputs, "inputs", "k", 1, (int64_t)info->vocab_size - 1, &k, err);
    if (status == ATT_OK)
        status = task_field_bool(one->inputs, "inputs", "exclude_seen", &exclude_seen, err);
    if (status == ATT_OK)
        status = read_history(one, info->vocab_size, &ids, &len, err);
    if (status == ATT_OK)
        status = cli_runner_context(runner, info->max_tokens, 1, err);
    float *scores = status == ATT_OK ? cli_case_alloc(one, info->vocab_size, sizeof *scores, err) : NULL;
    if (!scores)
        return status == ATT_OK ? ATT_ENOMEM : status;
    size_t skip = len > info->max_tokens ? len - info->max_tokens : 0;
    const uint32_t cu[2] = {0, (uint32_t)(len - skip)};
    const struct att_batch batch = {.ids = ids + skip, .type_ids = NULL, .cu_seqlens = cu, .n_seqs = 1};
    status = att_forward(runner->context, &batch, NULL, &out, err);
    if (status != ATT_OK)
        return status;
    att_score_items(runner->model, out.pooled, scores);
    scores[0] = att_score_item(runner->model, out.pooled, 0); /* reference lines hold the padding's too */
    status = cli_case_put(one, "hidden", info->hidden_size, out.hidden + (cu[1] - 1) * info->hidden_size, err);
    if (status == ATT_OK)
        status = cli_case_put(one, "scores", info->vocab_size, scores, err);
    scores[0] = -INFINITY;
    for (size_t i = 0; exclude_seen && i < len; i++)
        scores[ids[i]] = -INFINITY;
    return status == ATT_OK ? put_best(one, scores, info->vocab_size, (size_t)k, err) : status;
}
