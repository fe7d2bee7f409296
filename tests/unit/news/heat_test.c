/* Heat by hand, every stage of the life cycle, series that add up, and times at an offset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "news/series.h"
#include "news/time.h"

static const int64_t hour = 3600000;

static void near(double a, double b)
{
    if (fabs(a - b) > 1e-9 * (1 + fabs(b)))
        fail_msg("%.12g, expected %.12g", a, b);
}

static void test_heat(void **state)
{
    const struct news_point points[] = {{0, 1}, {24 * hour, 2}, {48 * hour, 4}};
    (void)state;
    near(news_weight(1, 0), 1);
    near(news_weight(2, 99), 6);
    near(news_weight(1, -5), 1);
    near(news_heat(points, 3, 0, 24 * hour), 1);
    near(news_heat(points, 3, 24 * hour, 24 * hour), 2.5);
    near(news_heat(points, 3, 48 * hour, 24 * hour), 5.25);
    near(news_heat(points, 0, 0, hour), 0);
}

static enum news_stage stage(const struct news_point *points, size_t n, int64_t at_ms)
{
    return news_life(points, n, at_ms, 24 * hour).stage;
}

static void test_stages(void **state)
{
    const struct news_point one[] = {{0, 1}};
    const struct news_point more[] = {{0, 1}, {7 * hour, 1}, {8 * hour, 3}};
    (void)state;
    assert_int_equal(stage(one, 1, 0), NEWS_EMERGING);
    assert_int_equal(stage(one, 1, 6 * hour - 1), NEWS_EMERGING);
    assert_int_equal(stage(one, 1, 6 * hour), NEWS_PEAK);     /* 2^-0.25 = 0.84 of the highest */
    assert_int_equal(stage(one, 1, 12 * hour), NEWS_FADING);  /* 0.71 */
    assert_int_equal(stage(one, 1, 49 * hour), NEWS_DORMANT); /* below 0.25 */
    assert_int_equal(stage(more, 3, 8 * hour), NEWS_RISING);
    struct news_life life = news_life(more, 3, 8 * hour, 24 * hour);
    near(life.heat, exp2(-8.0 / 24) + exp2(-1.0 / 24) + 3);
    near(life.before, exp2(-2.0 / 24));
    near(life.highest, life.heat);
    assert_int_equal(life.highest_ms, 8 * hour);
    assert_int_equal(life.step_ms, 6 * hour);
    assert_string_equal(news_stage_name(NEWS_FADING), "fading");
}

static void test_series(void **state)
{
    const struct news_member members[] = {{.time_ms = -hour, .weight = 9},
                                          {.time_ms = 0, .weight = 1, .polarity = -1, .tone = -1},
                                          {.time_ms = hour, .weight = 2, .polarity = 1, .tone = 1},
                                          {.time_ms = hour + 1, .weight = 2, .polarity = 0, .tone = 0}};
    struct news_bucket buckets[4];
    size_t n = 0;
    (void)state;
    assert_false(news_buckets_make(0, 4 * hour, hour, 0, buckets, 3, &n));
    assert_true(news_buckets_make(0, 2 * hour + hour / 2, hour, 0, buckets, 4, &n));
    assert_int_equal(n, 3);
    assert_int_equal(buckets[2].end_ms, 2 * hour + hour / 2);
    news_buckets_fill(buckets, n, members, 4, 24 * hour);
    assert_int_equal(buckets[0].items, 1);
    assert_int_equal(buckets[0].tones[0], 1);
    assert_int_equal(buckets[1].items, 2);
    near(buckets[1].polarity, 0.5);
    assert_int_equal(buckets[2].items, 0);
    struct news_point points[] = {{-hour, 9}, {0, 1}, {hour, 2}, {hour + 1, 2}};
    near(buckets[2].heat, news_heat(points, 4, buckets[2].end_ms, 24 * hour));
}

static void test_times(void **state)
{
    char text[ATT_DATE_BYTES];
    int64_t ms = 0;
    int minutes = 0;
    (void)state;
    assert_true(news_time_parse("2026-11-20", 480, &ms));
    assert_int_equal(ms, 1795132800000 - 8 * hour);
    news_time_format(ms, 480, text);
    assert_string_equal(text, "2026-11-20T00:00:00+08:00");
    news_time_format(ms, -210, text);
    assert_string_equal(text, "2026-11-19T12:30:00-03:30");
    news_time_format_short(ms, 0, text);
    assert_string_equal(text, "2026-11-19 16:00");
    assert_true(news_time_parse("2026-11-20T08:00:00+08:00", 0, &ms));
    assert_int_equal(ms, 1795132800000);
    assert_false(news_time_parse("20.11.2026", 0, &ms));
    assert_int_equal(news_time_floor(1795132800000 + 5 * hour, 24 * hour, 480), 1795132800000 - 8 * hour);
    assert_true(news_time_offset_parse("+08:00", &minutes));
    assert_int_equal(minutes, 480);
    assert_true(news_time_offset_parse("-03:30", &minutes));
    assert_int_equal(minutes, -210);
    assert_false(news_time_offset_parse("+8", &minutes));
    assert_false(news_time_offset_parse("+15:00", &minutes));
    assert_false(news_time_offset_parse("+08:0", &minutes));
    assert_true(news_time_span_parse("90m", &ms));
    assert_int_equal(ms, 90 * 60000);
    assert_true(news_time_span_parse("7d", &ms));
    assert_int_equal(ms, 7 * 24 * hour);
    assert_false(news_time_span_parse("0h", &ms));
    assert_false(news_time_span_parse("4000d", &ms));
    assert_false(news_time_span_parse("7", &ms));
    assert_false(news_time_span_parse("7dd", &ms));
    assert_false(news_time_span_parse("99999999h", &ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heat),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_series),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
