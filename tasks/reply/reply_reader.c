/*
 * Answer spans by a model made for it: question and answer in one sequence, two
 * logits a token, where the span begins and where it ends. The best pair of
 * tokens of the answer counts when it beats "no span", which is what the model
 * says at its first token (Devlin et al. 2019, SQuAD 2.0).
 */
#include <string.h>

#include "tasks/reply/reply.h"

enum { SPAN_TOKENS_MAX = 64 };

enum att_status task_reply_reader_plan(struct task_call *call, struct task_reply *reply, size_t n, struct att_err *err)
{
    const struct task_model *model = reply->kb->reader;
    struct task_tokens question;
    size_t room = 0;
    enum att_status status = task_tokens_room(model, true, &room, err);
    if (status == ATT_OK)
        status = task_tokens_encode(call, model, reply->question, reply->question_len, "question", &question, err);
    if (status != ATT_OK)
        return status;
    struct task_job *jobs = task_alloc(call, n, sizeof *jobs, err);
    if (!jobs)
        return err->status;
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        const char *answer = reply->view->entries[reply->matches[i].entry].answer;
        struct task_tokens tokens;
        status = task_tokens_encode(call, model, answer, strlen(answer), "answer", &tokens, err);
        /* A long question leaves half of the room to the answer; of a long answer the beginning is read. */
        size_t a = question.count < room / 2 ? question.count : room / 2;
        size_t b = status == ATT_OK && tokens.count < room - a ? tokens.count : room - a;
        if (status == ATT_OK)
            status = task_job_assemble(call, model, question.items, a, tokens.items, b, &jobs[i],
                                       &reply->reader_spans[i], err);
        if (status == ATT_OK) {
            jobs[i].token_logits = task_alloc(call, jobs[i].len * 2, sizeof(float), err);
            status = jobs[i].token_logits ? ATT_OK : err->status;
        }
    }
    call->jobs = jobs;
    call->n_jobs = status == ATT_OK ? n : 0;
    return status;
}

/* The best span of one answer; left as it is where none beats the first token. */
static void read_span(const struct task_job *job, const struct task_spans *spans, struct task_reply_span *found)
{
    const float *logits = job->token_logits;
    float none = logits[0] + logits[1], best = none;
    for (size_t i = 0; i < job->len; i++) {
        if (spans->text_index[i] != 1)
            continue;
        for (size_t j = i; j < job->len && j < i + SPAN_TOKENS_MAX; j++) {
            float score = logits[2 * i] + logits[2 * j + 1];
            if (spans->text_index[j] != 1 || score <= best || spans->ends[j] <= spans->starts[i])
                continue;
            best = score;
            *found = (struct task_reply_span){spans->starts[i], spans->ends[j], task_sigmoid((double)(score - none))};
        }
    }
}

void task_reply_reader(const struct task_call *call, struct task_reply *reply, size_t n)
{
    for (size_t i = 0; i < n; i++)
        read_span(&call->jobs[i], &reply->reader_spans[i], &reply->found[i]);
}
