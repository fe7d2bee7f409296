/* Points in time as text, RFC 3339 on one side and Unix seconds on the other. No clock and no locale. */
#ifndef ATT_BASE_DATE_H
#define ATT_BASE_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ATT_DATE_BYTES = 32 };

/* "2026-12-24" (midnight UTC), "2026-12-24T18:30:00Z" or with an offset "+08:00"; seconds may be left out, their
 * fraction is dropped. Years 1970 to 9999. False: it is none of these. */
bool att_date_parse(const char *text, size_t len, int64_t *ret_unix_s);
/* "2026-12-24T10:30:00Z". unix_s from 0 up to the end of 9999. */
void att_date_format(int64_t unix_s, char text[ATT_DATE_BYTES]);

#endif
