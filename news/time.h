/* Times of day at an offset from UTC, spans such as "24h", and where hours and days begin; in milliseconds. */
#ifndef NEWS_TIME_H
#define NEWS_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/date.h"

enum { NEWS_OFFSET_MINUTES_MAX = 14 * 60 };

/* What att_date_parse takes; a date alone is its midnight at the offset (minutes east of Greenwich). */
bool news_time_parse(const char *text, int offset_minutes, int64_t *ret_ms);
/* "+08:00", "-05:30", "Z". */
bool news_time_offset_parse(const char *text, int *ret_minutes);
/* "90m", "24h", "7d": a length of time up to 3,650 days. */
bool news_time_span_parse(const char *text, int64_t *ret_ms);
/* "2026-11-20T08:00:30+08:00", with Z for no offset; milliseconds are cut. */
void news_time_format(int64_t ms, int offset_minutes, char out[ATT_DATE_BYTES]);
/* "2026-11-20 08:00". */
void news_time_format_short(int64_t ms, int offset_minutes, char out[ATT_DATE_BYTES]);
/* The last beginning of an hour, day, … of length_ms at or before ms, as clocks at that offset show it. */
int64_t news_time_floor(int64_t ms, int64_t length_ms, int offset_minutes);

#endif
