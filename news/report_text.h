/* Sentences that the Markdown and the HTML report share: only their escaping and what stands around them differs. */
#ifndef NEWS_REPORT_TEXT_H
#define NEWS_REPORT_TEXT_H

#include "news/page.h"
#include "news/report.h"
#include "news/time.h"
#include "news/words.h"

enum { NEWS_FIGURE_BYTES = 40 };

/* "12.3" with so many decimals; a minus zero has no sign. */
const char *news_figure(double value, int decimals, char out[NEWS_FIGURE_BYTES]);
/* Of milliseconds: "24", "1.5". */
const char *news_hours(int64_t ms, char out[NEWS_FIGURE_BYTES]);
/* 0.123 → "12". */
const char *news_percent(double share, char out[NEWS_FIGURE_BYTES]);
/* A time at the wish's offset, "2026-11-20 08:00". */
const char *news_when(const struct news_report *report, int64_t ms, char out[ATT_DATE_BYTES]);

/* What parts a label from its value, and the members of a list. */
const char *news_colon(bool chinese);
const char *news_comma(bool chinese);

/* A template with its arguments. */
void news_report_say(const struct news_report *report, struct att_jsonw *w, news_escape *escape, enum news_word word,
                     const char *const *arguments, size_t n);
void news_report_window(const struct news_report *report, struct att_jsonw *w, news_escape *escape);
/* Nothing when the wish names nothing. */
void news_report_filter(const struct news_report *report, struct att_jsonw *w, news_escape *escape);
/* One paragraph. */
void news_report_summary(const struct news_report *report, struct att_jsonw *w, news_escape *escape);
void news_report_event_facts(const struct news_report *report, const struct news_event *event, struct att_jsonw *w,
                             news_escape *escape);
void news_report_event_tones(const struct news_report *report, const struct news_event *event, struct att_jsonw *w,
                             news_escape *escape);
void news_report_life(const struct news_report *report, const struct news_life *life, struct att_jsonw *w,
                      news_escape *escape);
/* "items 23 ≥ 20, negative share 0.8 ≥ 0.6" */
void news_report_reasons(const struct news_report *report, const struct news_past_alert *alert, struct att_jsonw *w,
                         news_escape *escape);
/* Each line between `before` and `after`. */
void news_report_method(const struct news_report *report, struct att_jsonw *w, news_escape *escape, const char *before,
                        const char *after);

#endif
