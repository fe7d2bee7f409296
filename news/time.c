/* Offsets are added before, and taken away after, what date.h does in UTC. */
#include "news/time.h"

#include <stdio.h>
#include <string.h>

enum { MINUTE_MS = 60000, DATE_BYTES = 10 };

static const int64_t day_ms = 86400000, last_s = 253402300799; /* the end of the year 9999 */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

bool news_time_parse(const char *text, int offset_minutes, int64_t *ret_ms)
{
    size_t len = strlen(text);
    int64_t seconds;
    if (!att_date_parse(text, len, &seconds))
        return false;
    int64_t ms = seconds * 1000 - (len == DATE_BYTES ? (int64_t)offset_minutes * MINUTE_MS : 0);
    if (ms < 0)
        return false;
    *ret_ms = ms;
    return true;
}

static bool two_digits(const char *text, int *ret)
{
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
        return false;
    *ret = (text[0] - '0') * 10 + text[1] - '0';
    return true;
}

bool news_time_offset_parse(const char *text, int *ret_minutes)
{
    int hours, minutes;
    if (strcmp(text, "Z") == 0) {
        *ret_minutes = 0;
        return true;
    }
    if ((text[0] != '+' && text[0] != '-') || strlen(text) != 6 || text[3] != ':' || !two_digits(text + 1, &hours) ||
        !two_digits(text + 4, &minutes) || minutes > 59 || hours * 60 + minutes > NEWS_OFFSET_MINUTES_MAX)
        return false;
    *ret_minutes = (text[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

bool news_time_span_parse(const char *text, int64_t *ret_ms)
{
    size_t digits = strspn(text, "0123456789");
    int64_t value = 0;
    if (digits == 0 || digits > 7 || text[digits] == '\0' || text[digits + 1] != '\0')
        return false;
    int64_t unit_ms = text[digits] == 'm'   ? MINUTE_MS
                      : text[digits] == 'h' ? 60 * MINUTE_MS
                      : text[digits] == 'd' ? day_ms
                                            : 0;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (text[i] - '0');
    if (unit_ms == 0 || value == 0 || value > 3650 * day_ms / unit_ms)
        return false;
    *ret_ms = value * unit_ms;
    return true;
}

void news_time_format(int64_t ms, int offset_minutes, char out[ATT_DATE_BYTES])
{
    int64_t seconds = floor_div(ms, 1000) + (int64_t)offset_minutes * 60;
    unsigned minutes = (unsigned)(offset_minutes < 0 ? -offset_minutes : offset_minutes);
    att_date_format(seconds < 0 ? 0 : seconds > last_s ? last_s : seconds, out);
    size_t len = strlen(out) - 1; /* of all but the Z */
    if (minutes > 0)
        snprintf(out + len, ATT_DATE_BYTES - len, "%c%02u:%02u", offset_minutes < 0 ? '-' : '+', minutes / 60 % 100,
                 minutes % 60);
}

void news_time_format_short(int64_t ms, int offset_minutes, char out[ATT_DATE_BYTES])
{
    news_time_format(ms, offset_minutes, out);
    out[DATE_BYTES] = ' ';
    out[DATE_BYTES + 6] = '\0';
}

int64_t news_time_floor(int64_t ms, int64_t length_ms, int offset_minutes)
{
    int64_t offset_ms = (int64_t)offset_minutes * MINUTE_MS;
    return floor_div(ms + offset_ms, length_ms) * length_ms - offset_ms;
}
