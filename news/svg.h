/*
 * Charts as inline SVG: stacked columns, lines and rows. No script, no font, no
 * network; numbers are printed with fixed digits, so that equal data gives equal
 * bytes. Every chart has a title and a description for those who cannot see it,
 * and every column, point or row its numbers as a tooltip.
 */
#ifndef NEWS_SVG_H
#define NEWS_SVG_H

#include "news/page.h"

struct news_svg_series {
    const char *name, *color; /* color: ours, "#0f766e" */
    const double *values;     /* [n] of the chart, finite, >= 0 */
};

struct news_svg_chart {
    const char *id; /* ours; unique in the page */
    const char *title, *description;
    const char *const *labels; /* [n]: a column or row each; in a tooltip whole, on the axis some */
    size_t n;
    const struct news_svg_series *series;
    size_t n_series;
    unsigned decimals; /* of the values */
};

/* Columns over time, series on top of each other. `shares`: every column that has anything is 100 % high. */
void news_svg_columns(struct att_jsonw *w, const struct news_svg_chart *chart, bool shares);
/* A line a series over time. */
void news_svg_lines(struct att_jsonw *w, const struct news_svg_chart *chart);
/* A row a label, series beside each other. */
void news_svg_rows(struct att_jsonw *w, const struct news_svg_chart *chart);

#endif
