/*
 * How much sources weigh, from a text file: a weight and a name a line,
 *
 *   # serious ones first
 *   3    Reuters
 *   0.2  some forum
 *
 * What is not named weighs 1. Blank lines and those that begin with # say nothing.
 */
#ifndef NEWS_WEIGHTS_H
#define NEWS_WEIGHTS_H

#include "news/names.h"

enum { NEWS_WEIGHTS_MAX = 100000 };

struct news_weights {
    struct news_names names;
    double *weights; /* [names.n] */
};

/* Weights from 0 to 1,000; a name stands once. The message names file and line. */
enum att_status news_weights_load(const char *path, struct news_weights *ret_weights, struct att_err *err) ATT_MUST_USE;
void news_weights_finish(struct news_weights *weights);

#endif
