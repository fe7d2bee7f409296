/*
 * The part of an answer that answers: of its sentences, and of every two that
 * follow one another, the one nearest to the question by the encoder and by
 * words. Two must beat the better one clearly, since a longer text is near to
 * more questions, and of two sentences in all one is the span. Offsets are bytes of the answer. Where the knowledge
 * base has a reader, that finds it (reply_reader.c).
 */
#include <string.h>

#include "store/lexical.h"
#include "tasks/reply/reply.h"
#include "tasks/sentences.h"

enum { SENTENCES_MAX = 24 };

static const float words_share = 0.2f, pair_loss = 0.03f;

/* The windows of one answer: sentences 0..count-1, then pairs. */
struct task_sentences {
    struct task_sentence spans[2 * SENTENCES_MAX];
    struct task_windows windows[2 * SENTENCES_MAX];
    size_t count, n_spans;
};

/* How many answers are searched. */
static size_t searched(const struct task_reply *reply)
{
    size_t n = reply->n_matches < reply->top ? reply->n_matches : reply->top;
    return n < TASK_REPLY_SPANS_MAX ? n : TASK_REPLY_SPANS_MAX;
}

static const char *answer_of(const struct task_reply *reply, size_t i)
{
    return reply->view->entries[reply->matches[i].entry].answer;
}

enum att_status task_reply_span_plan(struct task_call *call, struct task_reply *reply, struct att_err *err)
{
    const struct task_windows_options options = {
        .pooled = true, .truncate = true, .prompt = att_model_info(reply->kb->encoder->model)->passage_prompt};
    size_t n = searched(reply), total = 0;
    enum att_status status = ATT_OK;
    if (n == 0)
        return ATT_OK;
    if (reply->kb->reader)
        return task_reply_reader_plan(call, reply, n, err);
    reply->sentences = task_alloc(call, n + 1, sizeof *reply->sentences, err);
    struct task_windows *all =
        reply->sentences ? task_alloc(call, (n + 1) * 2 * SENTENCES_MAX, sizeof *all, err) : NULL;
    if (!all)
        return err->status;
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        struct task_sentences *own = &reply->sentences[i];
        const char *answer = answer_of(reply, i);
        own->count = own->n_spans = task_sentences_split(answer, strlen(answer), own->spans, SENTENCES_MAX);
        for (size_t k = 0; own->count > 2 && k + 1 < own->count; k++)
            own->spans[own->n_spans++] = (struct task_sentence){own->spans[k].begin, own->spans[k + 1].end};
        for (size_t k = 0; status == ATT_OK && own->count > 1 && k < own->n_spans; k++)
            status = task_windows_plan(call, reply->kb->encoder, &options, answer + own->spans[k].begin,
                                       own->spans[k].end - own->spans[k].begin, NULL, 0, "span", &all[total++], err);
    }
    if (status == ATT_OK && total > 0)
        status = task_windows_jobs(call, &options, all, total, err);
    for (size_t i = 0, at = 0; status == ATT_OK && i < n; i++)
        for (size_t k = 0; reply->sentences[i].count > 1 && k < reply->sentences[i].n_spans; k++)
            reply->sentences[i].windows[k] = all[at++];
    /* One sentence is the answer: no model is asked. */
    return status == ATT_OK && total == 0 ? task_reply_span(call, reply, err) : status;
}

static float likeness(struct task_call *call, const struct task_reply *reply, const struct task_sentences *own,
                      const char *answer, size_t k, const float *question)
{
    size_t n = reply->view->dimensions;
    uint32_t grams[STORE_GRAMS_MAX], own_grams[STORE_GRAMS_MAX];
    float *vector = call->jobs[own->windows[k].first_job].pooled, cosine;
    size_t n_grams = store_grams(reply->question, reply->question_len, grams);
    size_t n_own = store_grams(answer + own->spans[k].begin, own->spans[k].end - own->spans[k].begin, own_grams);
    att_l2_normalize(n, vector);
    att_dot_table(0, 1, n, vector, n, question, &cosine);
    float norm = store_grams_norm(reply->view->idf, grams, n_grams);
    return (1 - words_share) * cosine +
           words_share * store_grams_cover(reply->view->idf, grams, n_grams, norm, own_grams, n_own) -
           (k < own->count ? 0 : pair_loss);
}

enum att_status task_reply_span(struct task_call *call, struct task_reply *reply, struct att_err *err)
{
    float *question = NULL;
    if (reply->kb->reader) {
        task_reply_reader(call, reply, searched(reply));
        return ATT_OK;
    }
    enum att_status status =
        task_reply_vector(call, reply, reply->joined ? TASK_REPLY_JOINED : TASK_REPLY_QUESTION, &question, err);
    for (size_t i = 0; status == ATT_OK && i < searched(reply); i++) {
        const struct task_sentences *own = &reply->sentences[i];
        size_t best = 0;
        float best_score = own->count > 1 ? -2 : 1;
        for (size_t k = 0; own->count > 1 && k < own->n_spans; k++) {
            float score = likeness(call, reply, own, answer_of(reply, i), k, question);
            if (score > best_score) {
                best = k;
                best_score = score;
            }
        }
        if (own->count > 0)
            reply->found[i] =
                (struct task_reply_span){own->spans[best].begin, own->spans[best].end, (double)best_score};
    }
    return status;
}
