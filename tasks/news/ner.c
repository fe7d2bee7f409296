/* Windows without overlap, and labels to spans; see ner.h. */
#include "tasks/news/ner.h"

#include <ctype.h>
#include <string.h>

static const float score_min = 0.5f; /* of a span's first word */

enum att_status task_ner_plan(struct task_call *call, const struct task_model *model, const char *text, size_t len,
                              struct task_ner *ner, struct att_err *err)
{
    size_t room = 0, before = call->prompt_tokens;
    *ner = (struct task_ner){.n_jobs = 0};
    enum att_status status = task_tokens_room(model, false, &room, err);
    call->prompt_tokens = 0; /* the text was counted when it was classified */
    if (status == ATT_OK)
        status = task_tokens_encode(call, model, text, len, "text", &ner->tokens, err);
    call->prompt_tokens = before;
    if (status != ATT_OK)
        return status;
    ner->n_jobs = (ner->tokens.count + room - 1) / room;
    if (ner->n_jobs > TASK_NER_JOBS_MAX)
        ner->n_jobs = TASK_NER_JOBS_MAX;
    return ATT_OK;
}

enum att_status task_ner_jobs(struct task_call *call, const struct task_model *model, struct task_ner *ner,
                              struct att_err *err)
{
    size_t room = 0;
    enum att_status status = task_tokens_room(model, false, &room, err);
    ner->first_job = call->n_jobs;
    for (size_t i = 0; status == ATT_OK && i < ner->n_jobs; i++) {
        struct task_job *job = &call->jobs[call->n_jobs];
        size_t begin = i * room, count = ner->tokens.count - begin;
        status = task_job_assemble(call, model, ner->tokens.items + begin, count < room ? count : room, NULL, 0, job,
                                   &ner->spans[i], err);
        if (status == ATT_OK && !(job->token_logits = task_alloc(
                                      call, job->len * att_model_info(model->model)->n_logits, sizeof(float), err)))
            status = err->status;
        call->n_jobs += status == ATT_OK;
    }
    return status;
}

/* The likeliest label; its probability. */
static size_t best_label(const struct att_model_info *info, const float *logits, float *ret_score)
{
    float probabilities[TASK_NER_LABELS_MAX];
    size_t best = 0;
    att_softmax(info->n_logits, logits, 1, probabilities);
    for (size_t i = 1; i < info->n_logits; i++)
        if (probabilities[i] > probabilities[best])
            best = i;
    *ret_score = probabilities[best];
    return best;
}

/* A piece of the word that the token before began. */
static bool continues(const char *text, size_t start, size_t end)
{
    return start == end && start > 0 && isalnum((unsigned char)text[start]) && isalnum((unsigned char)text[start - 1]);
}

size_t task_ner_read(const struct task_call *call, const struct task_model *model, const struct task_ner *ner,
                     const char *text, struct task_ner_span *spans, size_t max)
{
    const struct att_model_info *info = att_model_info(model->model);
    size_t count = 0, last_end = 0;
    bool open = false; /* the last span may grow */
    for (size_t i = 0; i < ner->n_jobs; i++) {
        const struct task_job *job = &call->jobs[ner->first_job + i];
        for (size_t t = 0; t < job->len; t++) {
            size_t start = ner->spans[i].starts[t], end = ner->spans[i].ends[t];
            float score = 0;
            if (ner->spans[i].text_index[t] < 0 || end <= start)
                continue;
            if (continues(text, start, last_end)) {
                if (open)
                    spans[count - 1].end = end;
                last_end = end;
                continue;
            }
            last_end = end;
            const char *label = info->token_labels[best_label(info, job->token_logits + t * info->n_logits, &score)];
            bool inside = label[0] == 'I' && label[1] == '-', begins = label[0] == 'B' && label[1] == '-';
            if (open && inside && strcmp(spans[count - 1].type, label + 2) == 0) {
                spans[count - 1].end = end;
                continue;
            }
            open = (inside || begins) && score >= score_min && count < max;
            if (open)
                spans[count++] = (struct task_ner_span){start, end, label + 2};
        }
    }
    return count;
}
