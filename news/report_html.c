/*
 * The report as one HTML page: style and charts inside, no script, nothing from
 * the network, and a policy that would refuse both. The news is foreign text: it
 * goes through news_html_text, and links lead to plain http(s) addresses only.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/utf8.h"
#include "news/report_style.h"
#include "news/report_text.h"
#include "news/svg.h"

enum { HEAT_LINES_MAX = 5, TITLE_WIDTH = 44 };

static const char *const tone_colors[3] = {"#c2410c", "#b6c2cf", "#0f766e"};
static const char *const line_colors[HEAT_LINES_MAX] = {"#1d4ed8", "#c2410c", "#0f766e", "#7c3aed", "#a16207"};

struct writing {
    const struct news_report *report;
    struct att_jsonw *w;
    bool chinese;
    double *values; /* scratch of charts: [4][NEWS_REPORT_BUCKETS_MAX] */
    char (*labels)[ATT_DATE_BYTES];
    const char **label_list;
};

static void put_text(const struct writing *writing, const char *text)
{
    news_html_text(writing->w, text, strlen(text));
}

static const char *word(const struct writing *writing, enum news_word w)
{
    return news_word(writing->chinese, w);
}

static void say(const struct writing *writing, enum news_word w, const char *const *arguments, size_t n)
{
    news_report_say(writing->report, writing->w, news_html_text, w, arguments, n);
}

static void link_to(const struct writing *writing, const char *text, const char *url)
{
    if (!news_url_is_safe(url)) {
        put_text(writing, text);
        return;
    }
    news_put(writing->w, "<a rel=\"noopener noreferrer nofollow\" href=\"");
    put_text(writing, url);
    news_put(writing->w, "\">");
    put_text(writing, text);
    news_put(writing->w, "</a>");
}

/* ---- head, summary, alerts ---- */

static void card(const struct writing *writing, enum news_word name, const char *value)
{
    news_putf(writing->w, "<div class=\"card\"><b>%s</b><span>%s</span></div>\n", value, word(writing, name));
}

static void head(const struct writing *writing)
{
    const struct news_report *report = writing->report;
    struct att_jsonw *w = writing->w;
    char figure[NEWS_FIGURE_BYTES];
    news_putf(w, "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n",
              writing->chinese ? "zh-CN" : "en");
    news_put(w, "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
                "'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
                "<meta name=\"referrer\" content=\"no-referrer\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    news_putf(w, "%s, ", word(writing, NEWS_WORD_TITLE));
    news_report_window(report, w, news_html_text);
    news_put(w, "</title>\n<style>\n");
    news_put(w, news_report_style);
    news_putf(w, "</style>\n</head>\n<body>\n<header>\n<h1>%s</h1>\n<p>", word(writing, NEWS_WORD_TITLE));
    news_report_window(report, w, news_html_text);
    news_put(w, "</p>\n");
    if (report->wish->n_entities + report->wish->n_topics > 0) {
        news_put(w, "<p>");
        news_report_filter(report, w, news_html_text);
        news_put(w, "</p>\n");
    }
    news_putf(w, "</header>\n<section>\n<h2>%s</h2>\n<div class=\"cards\">\n", word(writing, NEWS_WORD_SUMMARY));
    card(writing, NEWS_WORD_ITEMS, news_figure((double)report->is.items, 0, figure));
    card(writing, NEWS_WORD_EVENT_COUNT, news_figure((double)report->n_all_events, 0, figure));
    news_percent(report->is.negative_share, figure);
    strncat(figure, "%", sizeof figure - strlen(figure) - 1);
    card(writing, NEWS_WORD_NEGATIVE_SHARE, figure);
    card(writing, NEWS_WORD_POLARITY, news_figure(report->is.polarity, 2, figure));
    card(writing, NEWS_WORD_ALERT_COUNT, news_figure((double)report->n_all_alerts, 0, figure));
    news_put(w, "</div>\n<p class=\"lead\">");
    news_report_summary(report, w, news_html_text);
    news_put(w, "</p>\n</section>\n");
}

static void level_chip(const struct writing *writing, const char *level)
{
    bool known = strcmp(level, "red") == 0 || strcmp(level, "orange") == 0 || strcmp(level, "yellow") == 0;
    news_putf(writing->w, "<span class=\"chip %s\">", known ? level : "blue");
    put_text(writing, news_word_of(writing->chinese, level));
    news_put(writing->w, "</span>");
}

static void table_head(const struct writing *writing, const enum news_word *columns, size_t n, size_t first_number,
                       size_t last_number)
{
    news_put(writing->w, "<table>\n<thead><tr>");
    for (size_t i = 0; i < n; i++)
        news_putf(writing->w, "<th%s>%s</th>", i >= first_number && i <= last_number ? " class=\"n\"" : "",
                  word(writing, columns[i]));
    news_put(writing->w, "</tr></thead>\n<tbody>\n");
}

static void alerts(const struct writing *writing)
{
    static const enum news_word columns[] = {NEWS_WORD_LEVEL, NEWS_WORD_TIME, NEWS_WORD_RULE, NEWS_WORD_SUBJECT,
                                             NEWS_WORD_REASONS};
    const struct news_report *report = writing->report;
    size_t shown = report->n_alerts < NEWS_REPORT_ALERTS_SHOWN ? report->n_alerts : NEWS_REPORT_ALERTS_SHOWN;
    struct att_jsonw *w = writing->w;
    char time[ATT_DATE_BYTES], figure[NEWS_FIGURE_BYTES];
    news_putf(w, "<section>\n<h2>%s</h2>\n", word(writing, NEWS_WORD_ALERTS));
    if (report->n_alerts == 0) {
        news_putf(w, "<p>%s</p>\n</section>\n", word(writing, NEWS_WORD_NO_ALERTS));
        return;
    }
    table_head(writing, columns, 5, 5, 5);
    for (size_t i = 0; i < shown; i++) {
        const struct news_past_alert *alert = &report->alerts[i];
        news_put(w, "<tr><td>");
        level_chip(writing, alert->level);
        news_putf(w, "</td><td class=\"time\">%s</td><td class=\"time\">", news_when(report, alert->time_ms, time));
        put_text(writing, alert->rule);
        news_put(w, "</td><td>");
        put_text(writing, news_word_of(writing->chinese, alert->kind));
        if (strcmp(alert->kind, "all") != 0) {
            news_put(w, " <b>");
            put_text(writing, alert->name);
            news_put(w, "</b>");
        }
        news_put(w, "</td><td class=\"why\">");
        news_report_reasons(report, alert, w, news_html_text);
        news_put(w, "</td></tr>\n");
    }
    news_put(w, "</tbody>\n</table>\n");
    if (report->n_all_alerts > shown) {
        news_put(w, "<p>");
        say(writing, NEWS_WORD_MORE_ALERTS,
            (const char *[]){news_figure((double)(report->n_all_alerts - shown), 0, figure)}, 1);
        news_put(w, "</p>\n");
    }
    news_put(w, "</section>\n");
}

/* ---- charts ---- */

/* A description from a template, in a buffer of its own: charts escape it themselves. */
static const char *describe(const struct writing *writing, struct att_jsonw *buffer, enum news_word template,
                            const char *const *arguments, size_t n)
{
    att_jsonw_init(buffer, 1 << 16);
    news_fill(buffer, word(writing, template), att_jsonw_append, arguments, n);
    att_jsonw_append(buffer, "", 1);
    return buffer->failed ? "" : buffer->bytes;
}

static void tone_series(const struct writing *writing, struct news_svg_series series[3])
{
    const struct news_report *report = writing->report;
    for (size_t s = 0; s < 3; s++) {
        double *values = writing->values + s * NEWS_REPORT_BUCKETS_MAX;
        for (size_t i = 0; i < report->n_buckets; i++)
            values[i] = (double)report->buckets[i].tones[s];
        series[s] = (struct news_svg_series){news_word_tone(writing->chinese, (int)s - 1), tone_colors[s], values};
    }
}

static void time_charts(const struct writing *writing)
{
    const struct news_report *report = writing->report;
    struct news_svg_series series[3];
    struct news_svg_chart chart = {
        .labels = writing->label_list, .n = report->n_buckets, .series = series, .n_series = 3};
    struct att_jsonw text;
    char a[NEWS_FIGURE_BYTES], b[NEWS_FIGURE_BYTES];
    size_t most = 0;
    for (size_t i = 1; i < report->n_buckets; i++)
        most = report->buckets[i].items > report->buckets[most].items ? i : most;
    tone_series(writing, series);
    news_hours(report->bucket_ms, b);
    strncat(b, " h", sizeof b - strlen(b) - 1);
    chart.id = "share";
    chart.title = word(writing, NEWS_WORD_CHART_SHARE);
    chart.description = describe(writing, &text, NEWS_WORD_CHART_SHARE_SAYS,
                                 (const char *[]){news_percent(report->is.negative_share, a), b}, 2);
    news_putf(writing->w, "<figure><figcaption>%s</figcaption>\n", chart.title);
    news_svg_columns(writing->w, &chart, true);
    att_jsonw_finish(&text);
    chart.id = "volume";
    chart.title = word(writing, NEWS_WORD_CHART_VOLUME);
    chart.description =
        describe(writing, &text, NEWS_WORD_CHART_VOLUME_SAYS,
                 (const char *[]){news_figure((double)report->buckets[most].items, 0, a), writing->labels[most]}, 2);
    news_putf(writing->w, "</figure>\n<figure><figcaption>%s</figcaption>\n", chart.title);
    news_svg_columns(writing->w, &chart, false);
    att_jsonw_finish(&text);
    news_put(writing->w, "</figure>\n");
}

/* A title short enough for a legend: "1 Name of the event…" */
static void short_title(const char *title, size_t rank, char *out, size_t size)
{
    size_t len = strlen(title), end = 0, width = 0;
    while (end < len) {
        size_t next = end;
        uint32_t c = att_utf8_next(title, len, &next);
        width += c >= 0x1100 ? 2 : 1;
        if (width > TITLE_WIDTH / 2)
            break;
        end = next;
    }
    snprintf(out, size, "%zu %.*s%s", rank, (int)end, title, end < len ? "…" : "");
}

static void heat_chart(const struct writing *writing)
{
    const struct news_report *report = writing->report;
    struct news_svg_series series[HEAT_LINES_MAX];
    char names[HEAT_LINES_MAX][TITLE_WIDTH * 4], figure[NEWS_FIGURE_BYTES];
    size_t n = report->n_events < HEAT_LINES_MAX ? report->n_events : HEAT_LINES_MAX;
    struct att_jsonw text;
    for (size_t i = 0; i < n; i++) {
        short_title(report->events[i].first.title, i + 1, names[i], sizeof names[i]);
        series[i] = (struct news_svg_series){names[i], line_colors[i], report->events[i].heat};
    }
    struct news_svg_chart chart = {
        .id = "heat",
        .title = word(writing, NEWS_WORD_CHART_HEAT),
        .labels = writing->label_list,
        .n = report->n_buckets,
        .series = series,
        .n_series = n,
        .decimals = 1,
        .description = describe(
            writing, &text, NEWS_WORD_CHART_HEAT_SAYS,
            (const char *[]){news_figure((double)report->n_all_events, 0, figure), report->events[0].first.title}, 2),
    };
    news_putf(writing->w, "<figure><figcaption>%s</figcaption>\n", chart.title);
    news_svg_lines(writing->w, &chart);
    news_put(writing->w, "</figure>\n");
    att_jsonw_finish(&text);
}

static void topic_chart(const struct writing *writing)
{
    const struct news_report *report = writing->report;
    size_t n = report->n_topics < 12 ? report->n_topics : 12;
    const char *labels[12];
    struct news_svg_series series[3];
    char figure[NEWS_FIGURE_BYTES];
    struct att_jsonw text;
    for (size_t s = 0; s < 3; s++) {
        double *values = writing->values + s * NEWS_REPORT_BUCKETS_MAX;
        for (size_t i = 0; i < n; i++)
            values[i] = (double)report->topics[i].is.tones[s];
        series[s] = (struct news_svg_series){news_word_tone(writing->chinese, (int)s - 1), tone_colors[s], values};
    }
    for (size_t i = 0; i < n; i++)
        labels[i] = report->topics[i].name;
    struct news_svg_chart chart = {
        .id = "topics",
        .title = word(writing, NEWS_WORD_CHART_TOPICS),
        .labels = labels,
        .n = n,
        .series = series,
        .n_series = 3,
        .description = describe(writing, &text, NEWS_WORD_CHART_TOPICS_SAYS,
                                (const char *[]){news_figure((double)report->n_all_topics, 0, figure), labels[0]}, 2),
    };
    news_putf(writing->w, "<figure><figcaption>%s</figcaption>\n", chart.title);
    news_svg_rows(writing->w, &chart);
    news_put(writing->w, "</figure>\n");
    att_jsonw_finish(&text);
}

static void charts(const struct writing *writing)
{
    const struct news_report *report = writing->report;
    if (report->is.items == 0 || report->n_buckets == 0)
        return;
    news_put(writing->w, "<section class=\"charts\">\n");
    time_charts(writing);
    if (report->n_events > 0)
        heat_chart(writing);
    if (report->n_topics > 0)
        topic_chart(writing);
    news_put(writing->w, "</section>\n");
}

/* ---- events ---- */

static void event_spread(const struct writing *writing, const struct news_event *event)
{
    const struct news_report *report = writing->report;
    char time[ATT_DATE_BYTES], figure[NEWS_FIGURE_BYTES];
    news_put(writing->w, "<p class=\"facts\">");
    say(writing, NEWS_WORD_FIRST_SOURCE,
        (const char *[]){event->first.source, news_when(report, event->first.time_ms, time)}, 2);
    news_putf(writing->w, "</p>\n<p class=\"spread\"><b>%s</b> ", word(writing, NEWS_WORD_SPREAD));
    for (size_t i = 0; i < event->n_spread; i++) {
        news_put(writing->w, i ? " <i>→</i> <span>" : "<span>");
        put_text(writing, event->spread[i].source);
        news_putf(writing->w, " ×%zu <small>%s</small></span>", event->spread[i].items,
                  news_when(report, event->spread[i].first_ms, time));
    }
    if (event->is.sources > event->n_spread) {
        news_put(writing->w, " ");
        say(writing, NEWS_WORD_MORE_SOURCES,
            (const char *[]){news_figure((double)(event->is.sources - event->n_spread), 0, figure)}, 1);
    }
    news_put(writing->w, "</p>\n");
}

static void quotes(const struct writing *writing, const struct news_event *event)
{
    static const char *const classes[3] = {"neg", "neu", "pos"};
    char time[ATT_DATE_BYTES];
    for (size_t i = 0; i < event->n_quotes; i++) {
        const struct news_quote *quote = &event->quotes[i];
        news_putf(writing->w, "<blockquote class=\"%s\"><p>", classes[quote->tone + 1]);
        put_text(writing, quote->text);
        news_put(writing->w, "</p><footer>");
        link_to(writing, quote->source, quote->url);
        news_putf(writing->w, " · %s · %s</footer></blockquote>\n", news_when(writing->report, quote->time_ms, time),
                  news_word_tone(writing->chinese, quote->tone));
    }
}

static void events(const struct writing *writing)
{
    const struct news_report *report = writing->report;
    struct att_jsonw *w = writing->w;
    if (report->n_events == 0)
        return;
    news_putf(w, "<section>\n<h2>%s</h2>\n", word(writing, NEWS_WORD_EVENTS));
    for (size_t i = 0; i < report->n_events; i++) {
        const struct news_event *event = &report->events[i];
        news_putf(w, "<article>\n<h3><span class=\"rank\">%zu</span> ", i + 1);
        link_to(writing, event->first.title, event->first.url);
        news_putf(w, " <span class=\"stage %s\">%s</span></h3>\n<p class=\"facts\">",
                  news_stage_name(event->life.stage), news_word_stage(writing->chinese, event->life.stage));
        news_report_event_facts(report, event, w, news_html_text);
        news_put(w, " · ");
        news_report_event_tones(report, event, w, news_html_text);
        news_putf(w, "</p>\n<p class=\"facts\">%s%s", word(writing, NEWS_WORD_LIFE), news_colon(writing->chinese));
        news_report_life(report, &event->life, w, news_html_text);
        news_put(w, "</p>\n");
        event_spread(writing, event);
        if (event->n_entities > 0)
            news_put(w, "<p class=\"names\">");
        for (size_t k = 0; k < event->n_entities; k++) {
            news_put(w, "<span>");
            put_text(writing, event->entities[k]);
            news_put(w, "</span> ");
        }
        news_put(w, event->n_entities > 0 ? "</p>\n" : "");
        quotes(writing, event);
        news_put(w, "</article>\n");
    }
    news_put(w, "</section>\n");
}

/* ---- tables, method ---- */

static void rows(const struct writing *writing, enum news_word title, const struct news_row *list, size_t n,
                 bool tickers)
{
    static const enum news_word all[] = {NEWS_WORD_NAME,           NEWS_WORD_TICKER,   NEWS_WORD_ITEMS,
                                         NEWS_WORD_NEGATIVE_SHARE, NEWS_WORD_POLARITY, NEWS_WORD_HEAT,
                                         NEWS_WORD_STAGE};
    static const enum news_word plain[] = {NEWS_WORD_NAME,     NEWS_WORD_ITEMS, NEWS_WORD_NEGATIVE_SHARE,
                                           NEWS_WORD_POLARITY, NEWS_WORD_HEAT,  NEWS_WORD_STAGE};
    char a[NEWS_FIGURE_BYTES], b[NEWS_FIGURE_BYTES], c[NEWS_FIGURE_BYTES];
    struct att_jsonw *w = writing->w;
    if (n == 0)
        return;
    news_putf(w, "<section>\n<h2>%s</h2>\n", word(writing, title));
    if (tickers)
        table_head(writing, all, 7, 2, 5);
    else
        table_head(writing, plain, 6, 1, 4);
    for (size_t i = 0; i < n; i++) {
        double negative = (double)list[i].is.tones[0], neutral = (double)list[i].is.tones[1];
        double total = (double)list[i].is.items;
        news_put(w, "<tr><td>");
        put_text(writing, list[i].name);
        if (tickers) {
            news_put(w, "</td><td>");
            put_text(writing, list[i].more);
        }
        news_putf(w, "</td><td class=\"n\">%zu</td><td class=\"n\">%s%%", list[i].is.items,
                  news_percent(list[i].is.negative_share, a));
        news_putf(w,
                  "<svg class=\"share\" viewBox=\"0 0 60 8\" aria-hidden=\"true\"><rect width=\"60\" height=\"8\" "
                  "fill=\"%s\"/><rect width=\"%.1f\" height=\"8\" fill=\"%s\"/><rect width=\"%.1f\" height=\"8\" "
                  "fill=\"%s\"/></svg>",
                  tone_colors[2], 60 * (negative + neutral) / total, tone_colors[1], 60 * negative / total,
                  tone_colors[0]);
        news_putf(w, "</td><td class=\"n\">%s</td><td class=\"n\">%s</td><td>%s</td></tr>\n",
                  news_figure(list[i].is.polarity, 2, b), news_figure(list[i].life.heat, 1, c),
                  news_word_stage(writing->chinese, list[i].life.stage));
    }
    news_put(w, "</tbody>\n</table>\n</section>\n");
}

void news_report_html(const struct news_report *report, struct att_jsonw *w)
{
    double values[4 * NEWS_REPORT_BUCKETS_MAX];
    char labels[NEWS_REPORT_BUCKETS_MAX][ATT_DATE_BYTES];
    const char *list[NEWS_REPORT_BUCKETS_MAX];
    struct writing writing = {.report = report,
                              .w = w,
                              .chinese = report->wish->chinese,
                              .values = values,
                              .labels = labels,
                              .label_list = list};
    for (size_t i = 0; i < report->n_buckets; i++) {
        /* "11-20 08:00"; of whole days only the day. */
        char text[ATT_DATE_BYTES];
        bool days = report->bucket_ms % 86400000 == 0;
        news_when(report, report->buckets[i].begin_ms, text);
        snprintf(labels[i], sizeof labels[i], "%.*s", days ? 5 : 11, text + 5);
        list[i] = labels[i];
    }
    head(&writing);
    alerts(&writing);
    charts(&writing);
    events(&writing);
    rows(&writing, NEWS_WORD_ENTITIES, report->entities, report->n_entities, true);
    rows(&writing, NEWS_WORD_TOPICS, report->topics, report->n_topics, false);
    rows(&writing, NEWS_WORD_SOURCES, report->sources, report->n_sources, false);
    news_putf(w, "<section class=\"method\">\n<h2>%s</h2>\n<ul>\n", word(&writing, NEWS_WORD_METHOD));
    news_report_method(report, w, news_html_text, "<li>", "</li>\n");
    news_put(w, "</ul>\n</section>\n</body>\n</html>\n");
}
