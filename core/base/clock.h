/* Time. Deadlines and durations use the monotonic clock alone; a step of the wall clock changes no timeout. */
#ifndef ATT_BASE_CLOCK_H
#define ATT_BASE_CLOCK_H

#include <stdint.h>

/* Microseconds of CLOCK_MONOTONIC. */
uint64_t att_clock_us(void);
/* What this thread has computed, in microseconds: waiting does not count. */
uint64_t att_clock_thread_us(void);
/* Seconds since the epoch, for `created` fields and records alone. */
int64_t att_clock_unix_s(void);
/* The same in milliseconds. */
int64_t att_clock_unix_ms(void);

#endif
