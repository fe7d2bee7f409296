/*
 * What an item is about: entities where they are named, the sentences they stand
 * in, the sentiment toward each by its sentences, how much the item is about it,
 * and the sentence that tells most. Pure but for the arena.
 */
#ifndef TASK_NEWS_ANALYSIS_H
#define TASK_NEWS_ANALYSIS_H

#include "store/entities.h"
#include "store/news.h"
#include "tasks/encode.h"
#include "tasks/news/signals.h"
#include "tasks/sentences.h"

enum { TASK_NEWS_SENTENCES_MAX = 64, TASK_NEWS_SENTENCES_JUDGED_MAX = 8 };

/* An entity named in the title or the text. */
struct task_news_mention {
    bool in_title;
    size_t start, end; /* bytes of the title or the text */
    size_t entity;     /* index into entities */
};

struct task_news_analysis {
    struct task_sentence *sentences; /* of the text */
    size_t n_sentences;
    struct store_entity *entities; /* each once, in the order of their first mention */
    size_t n_entities, entities_capacity;
    struct task_news_mention *mentions; /* the title's first */
    size_t n_mentions, mentions_capacity;
    size_t judged[TASK_NEWS_SENTENCES_JUDGED_MAX]; /* sentences to be classified by themselves, ascending */
    size_t n_judged;
    float *probabilities[TASK_NEWS_SENTENCES_JUDGED_MAX]; /* of the sentiment head, for each of them; who runs them */
};

/* Finds entities (dictionary may be NULL) and sentences of an item, and says which sentences need a judgement of their
 * own: those that name an entity, when there are several sentences. */
enum att_status task_news_analyse(struct task_call *call, const struct store_entities *dictionary,
                                  const struct store_news_item *item, struct task_news_analysis *analysis,
                                  struct att_err *err) ATT_MUST_USE;
/* One more mention, of an entity that the dictionary does not name there: a span of the title or the text, called by
 * its own words, of this type. Then task_news_rejudge. */
enum att_status task_news_add(struct task_call *call, const struct store_news_item *item, bool in_title, size_t start,
                              size_t end, const char *type, struct task_news_analysis *analysis,
                              struct att_err *err) ATT_MUST_USE;
void task_news_rejudge(struct task_news_analysis *analysis);
/* Fills the analysed part of the item. sentiment: the head of `probabilities`; NULL: nothing was classified. */
enum att_status task_news_conclude(struct task_call *call, const struct task_news_analysis *analysis,
                                   const struct att_head_info *sentiment, const struct task_signals *signals,
                                   struct store_news_item *item, struct att_err *err) ATT_MUST_USE;

#endif
