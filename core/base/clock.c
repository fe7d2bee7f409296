/* The clocks of clock.h. */
#include "core/base/clock.h"

#include <time.h>

static uint64_t read_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t att_clock_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t att_clock_thread_us(void)
{
    return read_us(CLOCK_THREAD_CPUTIME_ID);
}

int64_t att_clock_unix_s(void)
{
    return (int64_t)time(NULL);
}

int64_t att_clock_unix_ms(void)
{
    return (int64_t)(read_us(CLOCK_REALTIME) / 1000);
}
