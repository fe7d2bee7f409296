/* Heat and life cycle: the formulas of heat.h. */
#include "news/heat.h"

#include <assert.h>
#include <math.h>

static const double dormant_heat = 0.25, dormant_share = 0.1, rising_ratio = 1.2, peak_share = 0.8;

double news_weight(double source_weight, double engagement)
{
    return source_weight * (1 + log10(1 + (engagement > 0 ? engagement : 0)));
}

static double decay(int64_t age_ms, int64_t half_life_ms)
{
    return exp2(-(double)age_ms / (double)half_life_ms);
}

double news_heat(const struct news_point *points, size_t n, int64_t at_ms, int64_t half_life_ms)
{
    double heat = 0;
    assert(half_life_ms > 0);
    for (size_t i = 0; i < n; i++)
        if (points[i].time_ms <= at_ms)
            heat += points[i].weight * decay(at_ms - points[i].time_ms, half_life_ms);
    return heat;
}

struct news_life news_life(const struct news_point *points, size_t n, int64_t at_ms, int64_t half_life_ms)
{
    struct news_life life = {.step_ms = half_life_ms / 4, .first_ms = n ? points[0].time_ms : at_ms};
    double heat = 0;
    assert(n > 0 && half_life_ms > 0);
    /* Between two items heat only falls, so the highest stands right behind one of them. */
    for (size_t i = 0; i < n && points[i].time_ms <= at_ms; i++) {
        if (i > 0)
            heat *= decay(points[i].time_ms - points[i - 1].time_ms, half_life_ms);
        heat += points[i].weight;
        if (heat > life.highest) {
            life.highest = heat;
            life.highest_ms = points[i].time_ms;
        }
    }
    life.heat = news_heat(points, n, at_ms, half_life_ms);
    life.before = news_heat(points, n, at_ms - life.step_ms, half_life_ms);
    if (life.heat < dormant_heat || life.heat < dormant_share * life.highest)
        life.stage = NEWS_DORMANT;
    else if (life.first_ms > at_ms - life.step_ms)
        life.stage = NEWS_EMERGING;
    else if (life.heat >= rising_ratio * life.before)
        life.stage = NEWS_RISING;
    else
        life.stage = life.heat >= peak_share * life.highest ? NEWS_PEAK : NEWS_FADING;
    return life;
}

const char *news_stage_name(enum news_stage stage)
{
    static const char *const names[NEWS_STAGE_COUNT] = {"emerging", "rising", "peak", "fading", "dormant"};
    return names[stage];
}
