/*
 * The best entries of the hybrid ranking, read again by a cross-encoder: question
 * and entry in one sequence, one logit. What it did not read stays behind what it
 * did, in the order it had.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/reply/reply.h"

enum { PAIRS_MAX = 16 };

/* What stands for the entry: the text that matched best and the answer. */
static enum att_status document_of(struct task_call *call, const struct task_reply *reply,
                                   const struct task_match *match, const char **ret_text, size_t *ret_len,
                                   struct att_err *err)
{
    const char *matched = reply->view->texts[match->text].text, *answer = reply->view->entries[match->entry].answer;
    size_t len = strlen(matched) + 1 + strlen(answer);
    char *text = task_alloc(call, len + 1, 1, err);
    if (!text)
        return err->status;
    snprintf(text, len + 1, "%s\n%s", matched, answer);
    *ret_text = text;
    *ret_len = len;
    return ATT_OK;
}

enum att_status task_reply_rerank_plan(struct task_call *call, struct task_reply *reply, struct att_err *err)
{
    const struct task_windows_options options = {.logits = true, .truncate = true};
    const struct task_model *model = reply->kb->reranker;
    const char *query = reply->joined ? reply->joined : reply->question;
    size_t query_len = reply->joined ? reply->joined_len : reply->question_len;
    size_t n = reply->n_matches < PAIRS_MAX ? reply->n_matches : PAIRS_MAX;
    enum att_status status = ATT_OK;
    reply->pair_windows = task_alloc(call, n, sizeof *reply->pair_windows, err);
    if (!reply->pair_windows)
        return err->status;
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        const char *text = NULL;
        size_t len = 0;
        status = document_of(call, reply, &reply->matches[i], &text, &len, err);
        if (status == ATT_OK)
            status = task_windows_plan(call, model, &options, query, query_len, text, len, "question",
                                       &reply->pair_windows[i], err);
    }
    if (status == ATT_OK)
        status = task_windows_jobs(call, &options, reply->pair_windows, n, err);
    reply->n_reranked = n;
    return status;
}

static int by_score(const void *a, const void *b)
{
    const struct task_match *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->rerank != y->rerank)
        return x->rerank > y->rerank ? -1 : 1;
    return x->entry < y->entry ? -1 : x->entry > y->entry;
}

void task_reply_rerank(struct task_call *call, struct task_reply *reply)
{
    const struct task_rerank_fit *fit = &reply->fit.rerank;
    float worst = 1;
    for (size_t i = 0; i < reply->n_reranked; i++) {
        struct task_match *match = &reply->matches[i];
        match->rerank = call->jobs[reply->pair_windows[i].first_job].logits[0];
        match->score = (1 - fit->mix) * match->score + fit->mix * (float)task_sigmoid((double)match->rerank);
        worst = match->score < worst ? match->score : worst;
    }
    qsort(reply->matches, reply->n_reranked, sizeof *reply->matches, by_score);
    for (size_t i = 0; i < reply->n_matches; i++) {
        struct task_match *match = &reply->matches[i];
        if (i >= reply->n_reranked && match->score > worst)
            match->score = worst;
        float rival = i > 0 ? reply->matches[0].score : reply->n_matches > 1 ? reply->matches[1].score : 0;
        match->lead = match->score - rival;
        match->logit = (double)(fit->per_score * match->score + fit->per_lead * match->lead + fit->bias);
        match->confidence = task_sigmoid(match->logit);
    }
}
