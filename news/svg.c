/* Geometry in units of a view box 480 wide; the page scales it. A legend takes as many lines as it needs. */
#include "news/svg.h"

#include <math.h>
#include <string.h>

#include "core/base/utf8.h"

enum {
    WIDTH = 480,
    LEFT = 46,
    RIGHT = 10,
    BOTTOM = 26,
    PLOT_W = WIDTH - LEFT - RIGHT,
    PLOT_H = 160,
    ROW_H = 24,
    ROW_LEFT = 178,
    ROW_RIGHT = 44,
    LEGEND_H = 18,
    TICKS = 4,
    AXIS_LABELS = 4,
    CHARACTER_W = 7,    /* of narrow letters */
    LABEL_COLUMNS = 21, /* of a row's label */
};

static void put_escaped(struct att_jsonw *w, const char *text)
{
    news_html_text(w, text, strlen(text));
}

static void begin(struct att_jsonw *w, const struct news_svg_chart *chart, int height)
{
    news_putf(w,
              "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"%s-t %s-d\" "
              "xmlns=\"http://www.w3.org/2000/svg\">\n<title id=\"%s-t\">",
              WIDTH, height, chart->id, chart->id, chart->id);
    put_escaped(w, chart->title);
    news_putf(w, "</title><desc id=\"%s-d\">", chart->id);
    put_escaped(w, chart->description);
    news_put(w, "</desc>\n");
}

/* Columns that a text takes: Chinese characters are two wide. */
static size_t width_of(const char *text)
{
    size_t width = 0, len = strlen(text);
    for (size_t at = 0; at < len;)
        width += att_utf8_next(text, len, &at) >= 0x1100 ? 2 : 1;
    return width;
}

static int legend_width(const struct news_svg_series *series)
{
    return 14 + CHARACTER_W * (int)width_of(series->name) + 14;
}

/* Where the plot begins: below the legend. */
static int top_of(const struct news_svg_chart *chart, int left)
{
    int x = left, lines = 1;
    for (size_t i = 0; i < chart->n_series; i++) {
        int width = legend_width(&chart->series[i]);
        if (x > left && x + width > WIDTH) {
            x = left;
            lines++;
        }
        x += width;
    }
    return 12 + LEGEND_H * lines;
}

static void legend(struct att_jsonw *w, const struct news_svg_chart *chart, int left)
{
    int x = left, y = 8;
    for (size_t i = 0; i < chart->n_series; i++) {
        int width = legend_width(&chart->series[i]);
        if (x > left && x + width > WIDTH) {
            x = left;
            y += LEGEND_H;
        }
        news_putf(w, "<rect x=\"%d\" y=\"%d\" width=\"10\" height=\"10\" fill=\"%s\"/><text x=\"%d\" y=\"%d\">", x, y,
                  chart->series[i].color, x + 14, y + 9);
        put_escaped(w, chart->series[i].name);
        news_put(w, "</text>\n");
        x += width;
    }
}

/* The least of 1, 2, 2.5, 3, 4, 5 × 10^k that four ticks reach `highest` with. */
static double tick_of(double highest, bool whole)
{
    static const double steps[] = {1, 2, 2.5, 3, 4, 5, 10};
    if (highest <= 0 || (whole && highest <= TICKS))
        return 1;
    double base = pow(10, floor(log10(highest / TICKS)));
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (base * steps[i] * TICKS >= highest * (1 - 1e-9) && !(whole && floor(base * steps[i]) < base * steps[i]))
            return base * steps[i];
    return base * 10;
}

static void grid(struct att_jsonw *w, int top, double tick, bool shares)
{
    unsigned decimals = shares || tick >= 1 ? (tick == floor(tick) ? 0 : 1) : tick >= 0.1 ? 2 : 3;
    for (int i = 0; i <= TICKS; i++) {
        double y = top + PLOT_H - (double)PLOT_H * i / TICKS;
        news_putf(w,
                  "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/><text class=\"axis\" x=\"%d\" "
                  "y=\"%.1f\" text-anchor=\"end\">%.*f%s</text>\n",
                  LEFT, y, WIDTH - RIGHT, y, LEFT - 6, y + 4, (int)decimals, tick * i, shares ? "%" : "");
    }
}

static double center_of(const struct news_svg_chart *chart, size_t i)
{
    return LEFT + PLOT_W * ((double)i + 0.5) / (double)chart->n;
}

static void time_axis(struct att_jsonw *w, const struct news_svg_chart *chart, int top)
{
    size_t step = (chart->n + AXIS_LABELS - 1) / AXIS_LABELS;
    for (size_t i = 0; i < chart->n; i += step ? step : 1) {
        news_putf(w, "<text class=\"axis\" x=\"%.1f\" y=\"%d\">", center_of(chart, i), top + PLOT_H + 18);
        put_escaped(w, chart->labels[i]);
        news_put(w, "</text>\n");
    }
}

static double sum_at(const struct news_svg_chart *chart, size_t i)
{
    double sum = 0;
    for (size_t s = 0; s < chart->n_series; s++)
        sum += chart->series[s].values[i];
    return sum;
}

/* "11-20 08:00 — negative 3, neutral 1" */
static void tooltip(struct att_jsonw *w, const struct news_svg_chart *chart, size_t i)
{
    news_put(w, "<title>");
    put_escaped(w, chart->labels[i]);
    for (size_t s = 0; s < chart->n_series; s++) {
        news_put(w, s ? ", " : " \xe2\x80\x94 ");
        put_escaped(w, chart->series[s].name);
        news_putf(w, " %.*f", (int)chart->decimals, chart->series[s].values[i]);
    }
    news_put(w, "</title>");
}

void news_svg_columns(struct att_jsonw *w, const struct news_svg_chart *chart, bool shares)
{
    double highest = 0;
    for (size_t i = 0; i < chart->n; i++)
        highest = fmax(highest, sum_at(chart, i));
    double tick = shares ? 100.0 / TICKS : tick_of(highest, chart->decimals == 0), full = tick * TICKS;
    double width = chart->n ? PLOT_W / (double)chart->n * 0.8 : 0;
    int top = top_of(chart, LEFT);
    begin(w, chart, top + PLOT_H + BOTTOM);
    legend(w, chart, LEFT);
    grid(w, top, tick, shares);
    for (size_t i = 0; i < chart->n; i++) {
        double sum = sum_at(chart, i), y = top + PLOT_H;
        if (sum <= 0)
            continue;
        news_put(w, "<g>");
        tooltip(w, chart, i);
        for (size_t s = 0; s < chart->n_series; s++) {
            double value = chart->series[s].values[i], height = PLOT_H * (shares ? value / sum : value / full);
            if (value <= 0)
                continue;
            y -= height;
            news_putf(w, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>",
                      center_of(chart, i) - width / 2, y, width, height, chart->series[s].color);
        }
        news_put(w, "</g>\n");
    }
    time_axis(w, chart, top);
    news_put(w, "</svg>\n");
}

void news_svg_lines(struct att_jsonw *w, const struct news_svg_chart *chart)
{
    double highest = 0;
    for (size_t s = 0; s < chart->n_series; s++)
        for (size_t i = 0; i < chart->n; i++)
            highest = fmax(highest, chart->series[s].values[i]);
    double tick = tick_of(highest, false), full = tick * TICKS;
    int top = top_of(chart, LEFT);
    begin(w, chart, top + PLOT_H + BOTTOM);
    legend(w, chart, LEFT);
    grid(w, top, tick, false);
    for (size_t s = 0; s < chart->n_series; s++) {
        const struct news_svg_series *series = &chart->series[s];
        news_putf(w, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-linejoin=\"round\" points=\"",
                  series->color);
        for (size_t i = 0; i < chart->n; i++)
            news_putf(w, "%s%.1f,%.1f", i ? " " : "", center_of(chart, i),
                      top + PLOT_H - PLOT_H * series->values[i] / full);
        news_put(w, "\"/>\n");
    }
    for (size_t i = 0; i < chart->n; i++) {
        double width = PLOT_W / (double)chart->n;
        news_putf(w, "<rect class=\"hit\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\">",
                  center_of(chart, i) - width / 2, top, width, PLOT_H);
        tooltip(w, chart, i);
        news_put(w, "</rect>\n");
    }
    time_axis(w, chart, top);
    news_put(w, "</svg>\n");
}

/* The label, cut to what fits before the rows. */
static void row_label(struct att_jsonw *w, const char *label)
{
    size_t len = strlen(label), end = 0, width = 0;
    while (end < len) {
        size_t next = end, more = att_utf8_next(label, len, &next) >= 0x1100 ? 2 : 1;
        if (width + more > LABEL_COLUMNS)
            break;
        width += more;
        end = next;
    }
    news_html_text(w, label, end);
    if (end < len)
        news_put(w, "\xe2\x80\xa6");
}

void news_svg_rows(struct att_jsonw *w, const struct news_svg_chart *chart)
{
    double highest = 0;
    const double plot = WIDTH - ROW_LEFT - ROW_RIGHT;
    for (size_t i = 0; i < chart->n; i++)
        highest = fmax(highest, sum_at(chart, i));
    int top = top_of(chart, ROW_LEFT);
    begin(w, chart, top + ROW_H * (int)chart->n + 8);
    legend(w, chart, ROW_LEFT);
    for (size_t i = 0; i < chart->n; i++) {
        int y = top + ROW_H * (int)i;
        double x = ROW_LEFT, sum = sum_at(chart, i);
        news_putf(w, "<g><text class=\"row\" x=\"%d\" y=\"%d\" text-anchor=\"end\">", ROW_LEFT - 8, y + 16);
        row_label(w, chart->labels[i]);
        news_put(w, "</text>");
        tooltip(w, chart, i);
        for (size_t s = 0; s < chart->n_series && highest > 0; s++) {
            double width = plot * chart->series[s].values[i] / highest;
            if (width <= 0)
                continue;
            news_putf(w, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", x, y + 4, width,
                      ROW_H - 8, chart->series[s].color);
            x += width;
        }
        news_putf(w, "<text class=\"axis\" x=\"%.1f\" y=\"%d\">%.*f</text></g>\n", x + 6, y + 17, (int)chart->decimals,
                  sum);
    }
    news_put(w, "</svg>\n");
}
