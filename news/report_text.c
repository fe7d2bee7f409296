/* See report_text.h. Figures are formatted here, so that both forms show the same ones. */
#include "news/report_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "news/time.h"

const char *news_figure(double value, int decimals, char out[NEWS_FIGURE_BYTES])
{
    snprintf(out, NEWS_FIGURE_BYTES, "%.*f", decimals, value);
    if (out[0] == '-' && strspn(out + 1, "0.") == strlen(out + 1))
        memmove(out, out + 1, strlen(out));
    return out;
}

const char *news_percent(double share, char out[NEWS_FIGURE_BYTES])
{
    return news_figure(share * 100, 0, out);
}

const char *news_hours(int64_t ms, char out[NEWS_FIGURE_BYTES])
{
    snprintf(out, NEWS_FIGURE_BYTES, "%.6g", (double)ms / 3600000);
    return out;
}

static const char *count(size_t n, char out[NEWS_FIGURE_BYTES])
{
    return news_figure((double)n, 0, out);
}

const char *news_when(const struct news_report *report, int64_t ms, char out[ATT_DATE_BYTES])
{
    news_time_format_short(ms, report->wish->offset_minutes, out);
    return out;
}

const char *news_colon(bool chinese)
{
    return chinese ? "：" : ": ";
}

const char *news_comma(bool chinese)
{
    return chinese ? "、" : ", ";
}

void news_report_say(const struct news_report *report, struct att_jsonw *w, news_escape *escape, enum news_word word,
                     const char *const *arguments, size_t n)
{
    news_fill(w, news_word(report->wish->chinese, word), escape, arguments, n);
}

void news_report_window(const struct news_report *report, struct att_jsonw *w, news_escape *escape)
{
    char from[ATT_DATE_BYTES], to[ATT_DATE_BYTES], offset[ATT_DATE_BYTES], zone[ATT_DATE_BYTES];
    news_time_format(report->wish->from_ms, report->wish->offset_minutes, offset);
    snprintf(zone, sizeof zone, "UTC%s", report->wish->offset_minutes ? offset + 19 : "");
    news_report_say(report, w, escape, NEWS_WORD_WINDOW,
                    (const char *[]){news_when(report, report->wish->from_ms, from),
                                     news_when(report, report->wish->to_ms, to), zone},
                    3);
}

void news_report_filter(const struct news_report *report, struct att_jsonw *w, news_escape *escape)
{
    const struct news_wish *wish = report->wish;
    struct att_jsonw names;
    if (wish->n_entities + wish->n_topics == 0)
        return;
    att_jsonw_init(&names, 1 << 20);
    for (size_t i = 0; i < wish->n_entities + wish->n_topics; i++) {
        news_put(&names, i ? news_comma(wish->chinese) : "");
        news_put(&names, i < wish->n_entities ? wish->entities[i]
                                              : news_word_topic(wish->chinese, wish->topics[i - wish->n_entities]));
    }
    att_jsonw_append(&names, "", 1);
    news_report_say(report, w, escape, NEWS_WORD_FILTER, (const char *[]){names.failed ? "" : names.bytes}, 1);
    att_jsonw_finish(&names);
}

static void space(const struct news_report *report, struct att_jsonw *w)
{
    news_put(w, report->wish->chinese ? "" : " ");
}

static void say_tones(const struct news_report *report, struct att_jsonw *w, news_escape *escape)
{
    char shares[3][NEWS_FIGURE_BYTES], polarity[NEWS_FIGURE_BYTES];
    double n = (double)report->is.items;
    for (size_t i = 0; i < 3; i++)
        news_percent((double)report->is.tones[i] / n, shares[i]);
    news_report_say(report, w, escape, NEWS_WORD_SUMMARY_TONES,
                    (const char *[]){shares[0], shares[1], shares[2], news_figure(report->is.polarity, 2, polarity)},
                    4);
}

static void say_before(const struct news_report *report, struct att_jsonw *w, news_escape *escape)
{
    char change[NEWS_FIGURE_BYTES], before[NEWS_FIGURE_BYTES], negative[NEWS_FIGURE_BYTES];
    if (report->before_is_cut || report->before.items == 0) {
        enum news_word why = report->before_is_cut        ? NEWS_WORD_SUMMARY_BEFORE_CUT
                             : report->n_noise_before > 0 ? NEWS_WORD_SUMMARY_BEFORE_NOISE
                                                          : NEWS_WORD_SUMMARY_FIRST;
        news_report_say(report, w, escape, why, (const char *[]){count(report->n_noise_before, before)}, 1);
        return;
    }
    double ratio = (double)report->is.items / (double)report->before.items - 1;
    news_report_say(report, w, escape, ratio >= 0 ? NEWS_WORD_SUMMARY_MORE : NEWS_WORD_SUMMARY_LESS,
                    (const char *[]){news_percent(fabs(ratio), change), count(report->before.items, before),
                                     news_percent(report->before.negative_share, negative)},
                    3);
}

void news_report_summary(const struct news_report *report, struct att_jsonw *w, news_escape *escape)
{
    char a[NEWS_FIGURE_BYTES], b[NEWS_FIGURE_BYTES], c[NEWS_FIGURE_BYTES], d[NEWS_FIGURE_BYTES];
    bool chinese = report->wish->chinese;
    if (report->is.items == 0) {
        news_report_say(report, w, escape, report->n_noise > 0 ? NEWS_WORD_ONLY_NOISE : NEWS_WORD_NOTHING,
                        (const char *[]){count(report->n_noise, a)}, 1);
        return;
    }
    news_report_say(report, w, escape, NEWS_WORD_SUMMARY_ITEMS,
                    (const char *[]){count(report->is.items, a), count(report->is.sources, b),
                                     count(report->n_all_events, c), count(report->n_noise, d)},
                    4);
    space(report, w);
    say_tones(report, w, escape);
    space(report, w);
    say_before(report, w, escape);
    space(report, w);
    const struct news_event *top = &report->events[0];
    news_report_say(report, w, escape, NEWS_WORD_SUMMARY_TOP,
                    (const char *[]){top->first.title, count(top->is.items, a), count(top->is.sources, b),
                                     news_word_stage(chinese, top->life.stage)},
                    4);
    if (report->n_alerts > 0) {
        space(report, w);
        news_report_say(
            report, w, escape, NEWS_WORD_SUMMARY_ALERTS,
            (const char *[]){count(report->n_all_alerts, a), news_word_of(chinese, report->alerts[0].level)}, 2);
    }
}

void news_report_event_facts(const struct news_report *report, const struct news_event *event, struct att_jsonw *w,
                             news_escape *escape)
{
    char a[NEWS_FIGURE_BYTES], b[NEWS_FIGURE_BYTES], c[NEWS_FIGURE_BYTES], d[NEWS_FIGURE_BYTES], e[ATT_DATE_BYTES];
    news_report_say(report, w, escape, NEWS_WORD_EVENT_FACTS,
                    (const char *[]){count(event->is.items, a), count(event->is.sources, b),
                                     news_figure(event->life.heat, 1, c), news_figure(event->life.highest, 1, d),
                                     news_when(report, event->life.highest_ms, e)},
                    5);
}

void news_report_event_tones(const struct news_report *report, const struct news_event *event, struct att_jsonw *w,
                             news_escape *escape)
{
    char a[NEWS_FIGURE_BYTES], b[NEWS_FIGURE_BYTES];
    news_report_say(report, w, escape, NEWS_WORD_EVENT_TONES,
                    (const char *[]){news_percent(event->is.negative_share, a), news_figure(event->is.polarity, 2, b)},
                    2);
}

void news_report_life(const struct news_report *report, const struct news_life *life, struct att_jsonw *w,
                      news_escape *escape)
{
    char a[NEWS_FIGURE_BYTES], b[NEWS_FIGURE_BYTES], c[NEWS_FIGURE_BYTES], d[NEWS_FIGURE_BYTES];
    news_report_say(report, w, escape, NEWS_WORD_LIFE_WHY,
                    (const char *[]){news_figure(life->heat, 1, a), news_hours(life->step_ms, b),
                                     news_figure(life->before, 1, c), news_figure(life->highest, 1, d)},
                    4);
}

void news_report_reasons(const struct news_report *report, const struct news_past_alert *alert, struct att_jsonw *w,
                         news_escape *escape)
{
    bool chinese = report->wish->chinese;
    for (size_t i = 0; i < alert->n_reasons; i++) {
        const struct news_reason *reason = &alert->reasons[i];
        const char *measure = news_word_of(chinese, reason->measure);
        char figures[2 * NEWS_FIGURE_BYTES + 16];
        news_put(w, i == 0 ? "" : chinese ? "，" : ", ");
        escape(w, measure, strlen(measure));
        snprintf(figures, sizeof figures, " %.*g %s %.4g", fabs(reason->value) < 1 ? 2 : 4, reason->value,
                 news_word_of(chinese, reason->relation), reason->limit);
        escape(w, figures, strlen(figures));
    }
}

static void line(const struct news_report *report, struct att_jsonw *w, news_escape *escape, const char *around[2],
                 enum news_word word, const char *const *arguments, size_t n)
{
    news_put(w, around[0]);
    news_report_say(report, w, escape, word, arguments, n);
    news_put(w, around[1]);
}

void news_report_method(const struct news_report *report, struct att_jsonw *w, news_escape *escape, const char *before,
                        const char *after)
{
    const struct news_set *set = report->set;
    const char *around[2] = {before, after};
    char a[NEWS_FIGURE_BYTES], b[NEWS_FIGURE_BYTES];
    bool classified = false;
    int64_t half_life_ms = set->view->half_life_ms;
    line(report, w, escape, around, NEWS_WORD_METHOD_HEAT, (const char *[]){news_hours(half_life_ms, a)}, 1);
    line(report, w, escape, around, NEWS_WORD_METHOD_LIFE, (const char *[]){news_hours(half_life_ms / 4, a)}, 1);
    line(report, w, escape, around, NEWS_WORD_METHOD_TONE, NULL, 0);
    line(report, w, escape, around, NEWS_WORD_METHOD_EVENT, NULL, 0);
    line(report, w, escape, around, NEWS_WORD_METHOD_NOISE,
         (const char *[]){news_figure(set->view->noise_min, 2, a), count(report->n_noise, b)}, 2);
    for (size_t i = 0; i < set->models.n; i++) {
        if (report->model_items[i] == 0)
            continue;
        classified = true;
        line(report, w, escape, around, NEWS_WORD_METHOD_MODEL,
             (const char *[]){set->models.list[i].title, set->models.list[i].key, count(report->model_items[i], a)}, 3);
    }
    if (!classified)
        line(report, w, escape, around, NEWS_WORD_METHOD_NO_MODEL, NULL, 0);
    if (set->full)
        line(report, w, escape, around, NEWS_WORD_METHOD_FULL, (const char *[]){count(set->n, a)}, 1);
    line(report, w, escape, around, NEWS_WORD_METHOD_SAME, NULL, 0);
}
