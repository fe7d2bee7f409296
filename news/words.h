/* The words of reports, in English and Chinese: one row each in words.c. Templates take {0}, {1}, …: news_fill. */
#ifndef NEWS_WORDS_H
#define NEWS_WORDS_H

#include <stdbool.h>

#include "news/heat.h"

enum news_word {
    NEWS_WORD_TITLE,
    NEWS_WORD_WINDOW, /* {0} from, {1} to, {2} offset */
    NEWS_WORD_FILTER, /* {0} names */
    NEWS_WORD_SUMMARY,
    NEWS_WORD_SUMMARY_ITEMS, /* {0} items, {1} sources, {2} events, {3} noise */
    NEWS_WORD_SUMMARY_TONES, /* {0} negative %, {1} neutral %, {2} positive %, {3} polarity */
    NEWS_WORD_SUMMARY_MORE,  /* {0} percent, {1} items before, {2} negative % before */
    NEWS_WORD_SUMMARY_LESS,
    NEWS_WORD_SUMMARY_FIRST,        /* nothing to compare with */
    NEWS_WORD_SUMMARY_BEFORE_NOISE, /* {0} items of noise, and nothing else to compare with */
    NEWS_WORD_SUMMARY_BEFORE_CUT,
    NEWS_WORD_SUMMARY_TOP,    /* {0} title, {1} items, {2} sources, {3} stage */
    NEWS_WORD_SUMMARY_ALERTS, /* {0} alerts, {1} gravest level */
    NEWS_WORD_NOTHING,
    NEWS_WORD_ONLY_NOISE, /* {0} items of noise */
    NEWS_WORD_ALERTS,
    NEWS_WORD_NO_ALERTS,
    NEWS_WORD_CHART_SHARE,
    NEWS_WORD_CHART_SHARE_SAYS, /* {0} negative %, {1} bucket */
    NEWS_WORD_CHART_VOLUME,
    NEWS_WORD_CHART_VOLUME_SAYS, /* {0} highest, {1} when */
    NEWS_WORD_CHART_HEAT,
    NEWS_WORD_CHART_HEAT_SAYS, /* {0} events, {1} hottest */
    NEWS_WORD_CHART_TOPICS,
    NEWS_WORD_CHART_TOPICS_SAYS, /* {0} topics, {1} first */
    NEWS_WORD_EVENTS,
    NEWS_WORD_EVENT_FACTS,  /* {0} items, {1} sources, {2} heat, {3} highest, {4} when */
    NEWS_WORD_EVENT_TONES,  /* {0} negative %, {1} polarity */
    NEWS_WORD_FIRST_SOURCE, /* {0} source, {1} time */
    NEWS_WORD_SPREAD,
    NEWS_WORD_MORE_SOURCES, /* {0} how many */
    NEWS_WORD_EVIDENCE,
    NEWS_WORD_LIFE,
    NEWS_WORD_LIFE_WHY, /* {0} heat, {1} step in hours, {2} before, {3} highest */
    NEWS_WORD_ENTITIES,
    NEWS_WORD_TOPICS,
    NEWS_WORD_SOURCES,
    NEWS_WORD_NAME,
    NEWS_WORD_TICKER,
    NEWS_WORD_ITEMS,
    NEWS_WORD_EVENT_COUNT,
    NEWS_WORD_ALERT_COUNT,
    NEWS_WORD_NEGATIVE_SHARE,
    NEWS_WORD_POLARITY,
    NEWS_WORD_HEAT,
    NEWS_WORD_STAGE,
    NEWS_WORD_TIME,
    NEWS_WORD_LEVEL,
    NEWS_WORD_RULE,
    NEWS_WORD_SUBJECT,
    NEWS_WORD_REASONS,
    NEWS_WORD_MORE_ALERTS, /* {0} */
    NEWS_WORD_METHOD,
    NEWS_WORD_METHOD_HEAT, /* {0} half-life in hours */
    NEWS_WORD_METHOD_LIFE, /* {0} step in hours */
    NEWS_WORD_METHOD_TONE,
    NEWS_WORD_METHOD_EVENT,
    NEWS_WORD_METHOD_NOISE, /* {0} threshold, {1} items left out */
    NEWS_WORD_METHOD_MODEL, /* {0} name, {1} digest, {2} items */
    NEWS_WORD_METHOD_NO_MODEL,
    NEWS_WORD_METHOD_FULL, /* {0} items */
    NEWS_WORD_METHOD_SAME,
    NEWS_WORD_COUNT
};

const char *news_word(bool chinese, enum news_word word);
/* "negative" / "负面"; tone -1, 0, 1. */
const char *news_word_tone(bool chinese, int tone);
const char *news_word_stage(bool chinese, enum news_stage stage);
/* What a report calls "red", "negative_share", "event", …; the text itself when it has no word for it. */
const char *news_word_of(bool chinese, const char *text);
/* What people read for a label of models/finance and finance-zh, "m_a_investments" / "并购与投资"; another label
 * itself. */
const char *news_word_topic(bool chinese, const char *label);

#endif
