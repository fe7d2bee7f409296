/* Reading heads by their names; see signals.h. */
#include "tasks/news/signals.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static const float topic_score_min = 0.25f; /* of a second topic where only one is given */

static const struct att_head_info *find_head(const struct att_model_info *info, const char *name)
{
    for (size_t i = 0; i < info->n_head_infos; i++)
        if (strcmp(info->heads[i].name, name) == 0)
            return &info->heads[i];
    return NULL;
}

const struct att_head_info *task_signals_sentiment(const struct att_model_info *info)
{
    const struct att_head_info *head = find_head(info, "sentiment");
    return head || info->n_head_infos != 1 ? head : &info->heads[0];
}

static void head_probabilities(const struct att_head_info *head, const float *logits, float *probabilities)
{
    const float *own = logits + head->logits_begin;
    float *out = probabilities + head->logits_begin;
    if (!head->multi_label) {
        att_softmax(head->n_labels, own, head->temperature, out);
        return;
    }
    for (size_t i = 0; i < head->n_labels; i++)
        out[i] = 1.0f / (1.0f + expf(-own[i] / head->temperature));
}

/* A checkpoint's own classifier has labels, but no values for them. */
static double label_value(const struct att_head_info *head, size_t label)
{
    if (head->polarity)
        return (double)head->polarity[label];
    if (strncasecmp(head->labels[label], "pos", 3) == 0)
        return 1;
    return strncasecmp(head->labels[label], "neg", 3) == 0 ? -1 : 0;
}

void task_signals_judge(const struct att_head_info *head, const float *probabilities, struct task_signals *signals)
{
    size_t best = 0;
    signals->polarity = 0;
    for (size_t i = 0; i < head->n_labels; i++) {
        signals->polarity += (double)probabilities[i] * label_value(head, i);
        if (probabilities[i] > probabilities[best])
            best = i;
    }
    signals->sentiment = head->labels[best];
    signals->sentiment_score = (double)probabilities[best];
}

static double degree(const struct att_head_info *head, const float *probabilities)
{
    double sum = 0;
    for (size_t i = 0; head->polarity && i < head->n_labels; i++)
        sum += (double)probabilities[i] * (double)head->polarity[i];
    if (!head->polarity)
        sum = 1 - (double)probabilities[0];
    return sum < 0 ? 0 : sum > 1 ? 1 : sum;
}

static void read_topics(const struct att_head_info *head, const float *probabilities, struct task_signals *signals)
{
    for (size_t i = 0; i < head->n_labels; i++) {
        float least = head->multi_label ? head->thresholds[i] : topic_score_min;
        size_t at = signals->n_topics;
        /* The best of a head that gives one stands whatever its score. */
        bool is_best = !head->multi_label;
        for (size_t k = 0; is_best && k < head->n_labels; k++)
            is_best = probabilities[k] < probabilities[i] || (k >= i && probabilities[k] <= probabilities[i]);
        if (probabilities[i] < least && !is_best)
            continue;
        while (at > 0 && signals->topics[at - 1].score < (double)probabilities[i])
            at--;
        if (at == TASK_TOPICS_MAX)
            continue;
        size_t kept = signals->n_topics < TASK_TOPICS_MAX ? signals->n_topics : TASK_TOPICS_MAX - 1;
        memmove(&signals->topics[at + 1], &signals->topics[at], (kept - at) * sizeof *signals->topics);
        signals->topics[at] = (struct task_topic){head->labels[i], (double)probabilities[i]};
        signals->n_topics = kept + 1;
    }
}

void task_signals_read(const struct att_model_info *info, const float *logits, float *scratch,
                       struct task_signals *ret_signals)
{
    const struct att_head_info *sentiment = task_signals_sentiment(info), *topic = find_head(info, "topic");
    const struct att_head_info *noise = find_head(info, "noise"), *importance = find_head(info, "importance");
    *ret_signals = (struct task_signals){.sentiment = "", .noise = (double)NAN, .importance = (double)NAN};
    topic = topic ? topic : find_head(info, "topics");
    for (size_t i = 0; i < info->n_head_infos; i++)
        head_probabilities(&info->heads[i], logits, scratch);
    if (sentiment)
        task_signals_judge(sentiment, scratch + sentiment->logits_begin, ret_signals);
    if (topic)
        read_topics(topic, scratch + topic->logits_begin, ret_signals);
    if (noise)
        ret_signals->noise = degree(noise, scratch + noise->logits_begin);
    if (importance)
        ret_signals->importance = degree(importance, scratch + importance->logits_begin);
}
