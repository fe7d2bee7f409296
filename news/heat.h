/*
 * Heat (热度): how much is being said about something, now.
 *
 *   heat(t) = sum over its items published by t of  weight × 2^(-(t - published) / half-life)
 *   weight  = weight of the source × (1 + log10(1 + engagement))
 *
 * One unit is one article of an ordinary source at the moment it appears; each
 * power of ten of views, comments and shares counts like one article more. The
 * life cycle is read off the same curve. Pure functions.
 */
#ifndef NEWS_HEAT_H
#define NEWS_HEAT_H

#include <stddef.h>
#include <stdint.h>

struct news_point {
    int64_t time_ms;
    double weight;
};

double news_weight(double source_weight, double engagement);
/* Points in any order; those after at_ms do not count. */
double news_heat(const struct news_point *points, size_t n, int64_t at_ms, int64_t half_life_ms);

enum news_stage { NEWS_EMERGING, NEWS_RISING, NEWS_PEAK, NEWS_FADING, NEWS_DORMANT, NEWS_STAGE_COUNT };

/* A stage, and the numbers that it follows from. */
struct news_life {
    enum news_stage stage;
    double heat, before; /* now, and one step ago */
    double highest;      /* of all times up to now */
    int64_t highest_ms, first_ms;
    int64_t step_ms; /* a quarter of the half-life */
};

/* The first that holds:
 *   dormant   heat < 0.25, or < a tenth of the highest
 *   emerging  nothing was published before the last step
 *   rising    heat >= 1.2 × before
 *   peak      heat >= 0.8 × highest
 *   fading    else
 * Points ascending in time, n >= 1. */
struct news_life news_life(const struct news_point *points, size_t n, int64_t at_ms, int64_t half_life_ms);
/* "emerging", "rising", … */
const char *news_stage_name(enum news_stage stage);

#endif
