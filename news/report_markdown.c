/* The report as Markdown (CommonMark with tables). Foreign text is escaped; addresses that are not plain http(s) are
 * shown as text. */
#include <string.h>

#include "news/report_text.h"

struct writing {
    const struct news_report *report;
    struct att_jsonw *w;
    bool chinese;
};

static void put_text(const struct writing *writing, const char *text)
{
    news_markdown_text(writing->w, text, strlen(text));
}

static void heading(const struct writing *writing, const char *marks, enum news_word word)
{
    news_putf(writing->w, "\n%s %s\n\n", marks, news_word(writing->chinese, word));
}

static void link_to(const struct writing *writing, const char *text, const char *url)
{
    if (!news_url_is_safe(url)) {
        put_text(writing, text);
        return;
    }
    news_put(writing->w, "[");
    put_text(writing, text);
    news_put(writing->w, "](");
    news_put(writing->w, url);
    news_put(writing->w, ")");
}

static void table_head(const struct writing *writing, const enum news_word *columns, size_t n, const char *rule)
{
    news_put(writing->w, "|");
    for (size_t i = 0; i < n; i++)
        news_putf(writing->w, " %s |", news_word(writing->chinese, columns[i]));
    news_putf(writing->w, "\n%s\n", rule);
}

static void alerts(const struct writing *writing)
{
    static const enum news_word columns[] = {NEWS_WORD_LEVEL, NEWS_WORD_TIME, NEWS_WORD_RULE, NEWS_WORD_SUBJECT,
                                             NEWS_WORD_REASONS};
    const struct news_report *report = writing->report;
    size_t shown = report->n_alerts < NEWS_REPORT_ALERTS_SHOWN ? report->n_alerts : NEWS_REPORT_ALERTS_SHOWN;
    char time[ATT_DATE_BYTES], figure[NEWS_FIGURE_BYTES];
    heading(writing, "##", NEWS_WORD_ALERTS);
    if (report->n_alerts == 0) {
        news_putf(writing->w, "%s\n", news_word(writing->chinese, NEWS_WORD_NO_ALERTS));
        return;
    }
    table_head(writing, columns, 5, "| --- | --- | --- | --- | --- |");
    for (size_t i = 0; i < shown; i++) {
        const struct news_past_alert *alert = &report->alerts[i];
        news_putf(writing->w, "| %s | %s | ", news_word_of(writing->chinese, alert->level),
                  news_when(report, alert->time_ms, time));
        put_text(writing, alert->rule);
        news_putf(writing->w, " | %s ", news_word_of(writing->chinese, alert->kind));
        put_text(writing, strcmp(alert->kind, "all") == 0 ? "" : alert->name);
        news_put(writing->w, " | ");
        news_report_reasons(report, alert, writing->w, news_markdown_text);
        news_put(writing->w, " |\n");
    }
    if (report->n_all_alerts > shown) {
        news_put(writing->w, "\n");
        news_report_say(report, writing->w, news_markdown_text, NEWS_WORD_MORE_ALERTS,
                        (const char *[]){news_figure((double)(report->n_all_alerts - shown), 0, figure)}, 1);
        news_put(writing->w, "\n");
    }
}

static void event_spread(const struct writing *writing, const struct news_event *event)
{
    const struct news_report *report = writing->report;
    char time[ATT_DATE_BYTES], figure[NEWS_FIGURE_BYTES];
    news_put(writing->w, "- ");
    news_report_say(report, writing->w, news_markdown_text, NEWS_WORD_FIRST_SOURCE,
                    (const char *[]){event->first.source, news_when(report, event->first.time_ms, time)}, 2);
    news_putf(writing->w, "\n- %s%s", news_word(writing->chinese, NEWS_WORD_SPREAD), news_colon(writing->chinese));
    for (size_t i = 0; i < event->n_spread; i++) {
        news_put(writing->w, i ? " → " : "");
        put_text(writing, event->spread[i].source);
        news_putf(writing->w, " ×%zu (%s)", event->spread[i].items, news_when(report, event->spread[i].first_ms, time));
    }
    if (event->is.sources > event->n_spread) {
        news_put(writing->w, " ");
        news_report_say(report, writing->w, news_markdown_text, NEWS_WORD_MORE_SOURCES,
                        (const char *[]){news_figure((double)(event->is.sources - event->n_spread), 0, figure)}, 1);
    }
    news_put(writing->w, "\n");
}

static void event_section(const struct writing *writing, const struct news_event *event, size_t rank)
{
    const struct news_report *report = writing->report;
    char time[ATT_DATE_BYTES];
    news_putf(writing->w, "%s### %zu. ", rank > 1 ? "\n" : "", rank);
    link_to(writing, event->first.title, event->first.url);
    news_put(writing->w, "\n\n- ");
    news_report_event_facts(report, event, writing->w, news_markdown_text);
    news_put(writing->w, "\n- ");
    news_report_event_tones(report, event, writing->w, news_markdown_text);
    news_putf(writing->w, "\n- %s%s**%s** — ", news_word(writing->chinese, NEWS_WORD_LIFE),
              news_colon(writing->chinese), news_word_stage(writing->chinese, event->life.stage));
    news_report_life(report, &event->life, writing->w, news_markdown_text);
    news_put(writing->w, "\n");
    event_spread(writing, event);
    if (event->n_entities > 0)
        news_putf(writing->w, "- %s%s", news_word(writing->chinese, NEWS_WORD_ENTITIES), news_colon(writing->chinese));
    for (size_t i = 0; i < event->n_entities; i++) {
        news_put(writing->w, i ? news_comma(writing->chinese) : "");
        put_text(writing, event->entities[i]);
    }
    news_put(writing->w, event->n_entities > 0 ? "\n" : "");
    for (size_t i = 0; i < event->n_quotes; i++) {
        const struct news_quote *quote = &event->quotes[i];
        news_put(writing->w, "\n> ");
        put_text(writing, quote->text);
        news_put(writing->w, "\n>\n> — ");
        link_to(writing, quote->source, quote->url);
        news_putf(writing->w, ", %s, %s\n", news_when(report, quote->time_ms, time),
                  news_word_tone(writing->chinese, quote->tone));
    }
}

static void rows(const struct writing *writing, enum news_word title, const struct news_row *list, size_t n,
                 bool tickers)
{
    static const enum news_word columns[] = {NEWS_WORD_NAME,           NEWS_WORD_TICKER,   NEWS_WORD_ITEMS,
                                             NEWS_WORD_NEGATIVE_SHARE, NEWS_WORD_POLARITY, NEWS_WORD_HEAT,
                                             NEWS_WORD_STAGE};
    static const enum news_word plain[] = {NEWS_WORD_NAME,     NEWS_WORD_ITEMS, NEWS_WORD_NEGATIVE_SHARE,
                                           NEWS_WORD_POLARITY, NEWS_WORD_HEAT,  NEWS_WORD_STAGE};
    char a[NEWS_FIGURE_BYTES], b[NEWS_FIGURE_BYTES], c[NEWS_FIGURE_BYTES];
    if (n == 0)
        return;
    heading(writing, "##", title);
    if (tickers)
        table_head(writing, columns, 7, "| --- | --- | ---: | ---: | ---: | ---: | --- |");
    else
        table_head(writing, plain, 6, "| --- | ---: | ---: | ---: | ---: | --- |");
    for (size_t i = 0; i < n; i++) {
        news_put(writing->w, "| ");
        put_text(writing, list[i].name);
        news_put(writing->w, " | ");
        if (tickers) {
            put_text(writing, list[i].more);
            news_put(writing->w, " | ");
        }
        news_putf(writing->w, "%zu | %s%% | %s | %s | %s |\n", list[i].is.items,
                  news_percent(list[i].is.negative_share, a), news_figure(list[i].is.polarity, 2, b),
                  news_figure(list[i].life.heat, 1, c), news_word_stage(writing->chinese, list[i].life.stage));
    }
}

void news_report_markdown(const struct news_report *report, struct att_jsonw *w)
{
    struct writing writing = {.report = report, .w = w, .chinese = report->wish->chinese};
    news_putf(w, "# %s\n\n", news_word(writing.chinese, NEWS_WORD_TITLE));
    news_report_window(report, w, news_markdown_text);
    news_put(w, "\n");
    if (report->wish->n_entities + report->wish->n_topics > 0) {
        news_put(w, "\n");
        news_report_filter(report, w, news_markdown_text);
        news_put(w, "\n");
    }
    heading(&writing, "##", NEWS_WORD_SUMMARY);
    news_report_summary(report, w, news_markdown_text);
    news_put(w, "\n");
    alerts(&writing);
    if (report->n_events > 0)
        heading(&writing, "##", NEWS_WORD_EVENTS);
    for (size_t i = 0; i < report->n_events; i++)
        event_section(&writing, &report->events[i], i + 1);
    rows(&writing, NEWS_WORD_ENTITIES, report->entities, report->n_entities, true);
    rows(&writing, NEWS_WORD_TOPICS, report->topics, report->n_topics, false);
    rows(&writing, NEWS_WORD_SOURCES, report->sources, report->n_sources, false);
    heading(&writing, "##", NEWS_WORD_METHOD);
    news_report_method(report, w, news_markdown_text, "- ", "\n");
}
