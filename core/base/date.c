/* RFC 3339; see date.h. Days are counted in the proleptic Gregorian calendar, without leap seconds, as Unix time does.
 */
#include "core/base/date.h"

#include <assert.h>
#include <stdio.h>

static const int64_t day_s = 86400;

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days from 1970-01-01; years begin in March, so that the leap day is the last. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2), era = floor_div(y, 400), of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

struct reader {
    const char *at, *end;
};

/* Exactly `digits` digits within min..max. */
static bool take_number(struct reader *reader, int digits, int min, int max, int *ret)
{
    int value = 0;
    if (reader->end - reader->at < digits)
        return false;
    for (int i = 0; i < digits; i++, reader->at++) {
        if (*reader->at < '0' || *reader->at > '9')
            return false;
        value = value * 10 + (*reader->at - '0');
    }
    *ret = value;
    return value >= min && value <= max;
}

static bool take(struct reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

/* "Z" or "+08:00" at the end; seconds to take away. */
static bool take_offset(struct reader *reader, int64_t *ret_s)
{
    int hours = 0, minutes = 0;
    *ret_s = 0;
    if (take(reader, 'Z') || take(reader, 'z'))
        return reader->at == reader->end;
    bool east = take(reader, '+');
    if (!east && !take(reader, '-'))
        return false;
    if (!take_number(reader, 2, 0, 23, &hours) || !take(reader, ':') || !take_number(reader, 2, 0, 59, &minutes))
        return false;
    *ret_s = (east ? 1 : -1) * (hours * 3600 + minutes * 60);
    return reader->at == reader->end;
}

bool att_date_parse(const char *text, size_t len, int64_t *ret_unix_s)
{
    struct reader reader = {text, text + len};
    int year, month, day, hour = 0, minute = 0, second = 0;
    int64_t offset = 0;
    if (!take_number(&reader, 4, 1970, 9999, &year) || !take(&reader, '-') || !take_number(&reader, 2, 1, 12, &month) ||
        !take(&reader, '-') || !take_number(&reader, 2, 1, month_days(year, month), &day))
        return false;
    if (reader.at < reader.end) {
        if (!take(&reader, 'T') && !take(&reader, 't') && !take(&reader, ' '))
            return false;
        if (!take_number(&reader, 2, 0, 23, &hour) || !take(&reader, ':') || !take_number(&reader, 2, 0, 59, &minute))
            return false;
        if (take(&reader, ':') && !take_number(&reader, 2, 0, 60, &second))
            return false;
        if (take(&reader, '.')) {
            int digit;
            if (!take_number(&reader, 1, 0, 9, &digit))
                return false;
            while (reader.at < reader.end && *reader.at >= '0' && *reader.at <= '9')
                reader.at++;
        }
        if (!take_offset(&reader, &offset))
            return false;
    }
    int64_t at = days_of(year, month, day) * day_s + hour * 3600 + minute * 60 + second - offset;
    if (at < 0)
        return false;
    *ret_unix_s = at;
    return true;
}

void att_date_format(int64_t unix_s, char text[ATT_DATE_BYTES])
{
    assert(unix_s >= 0 && unix_s < INT64_C(253402300800));
    int64_t days = unix_s / day_s + 719468, second = unix_s % day_s;
    int64_t era = days / 146097, of_era = days % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100), part = (5 * of_year + 2) / 153;
    int64_t month = part < 10 ? part + 3 : part - 9;
    snprintf(text, ATT_DATE_BYTES, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)(year + era * 400 + (month <= 2)), (int)month,
             (int)(of_year - (153 * part + 2) / 5 + 1), (int)(second / 3600), (int)(second / 60 % 60),
             (int)(second % 60));
}
