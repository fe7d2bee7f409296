/*
 * What the heads of a model say of a news item, by the heads' names:
 *
 *   sentiment        label, its score, polarity -1..1 (a model's only head counts too, whatever its name)
 *   topic, topics    labels, best first
 *   noise            0..1: advertisement, boilerplate
 *   importance       0..1
 *
 * A head for noise or importance gives its labels values in attend.json's "polarity"; without them the first label is 0
 * and every other 1. What the model has no head for stays empty.
 */
#ifndef TASK_SIGNALS_H
#define TASK_SIGNALS_H

#include "core/attend.h"

enum { TASK_TOPICS_MAX = 4 };

struct task_topic {
    const char *label;
    double score;
};

struct task_signals {
    const char *sentiment; /* "" when there is no such head */
    double sentiment_score, polarity;
    double noise, importance; /* NAN: no such head */
    struct task_topic topics[TASK_TOPICS_MAX];
    size_t n_topics;
};

/* scratch: [n_logits], holds the probabilities afterwards. */
void task_signals_read(const struct att_model_info *info, const float *logits, float *scratch,
                       struct task_signals *ret_signals);
/* The head that is read as sentiment; NULL: none. */
const struct att_head_info *task_signals_sentiment(const struct att_model_info *info);
/* Sentiment from probabilities of that head: label, score, polarity. */
void task_signals_judge(const struct att_head_info *head, const float *probabilities, struct task_signals *signals);

#endif
