/* Affinity masks of cores.h; threads that are made later inherit them. */
#include "core/base/cores.h"

#include <pthread.h>
#include <sched.h>

size_t att_cores_count(void)
{
    cpu_set_t set;
    const int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 1 ? (size_t)count : 1;
}

int att_cores_pick(size_t i)
{
    cpu_set_t set;
    size_t n;
    if (sched_getaffinity(0, sizeof set, &set) != 0 || (n = (size_t)CPU_COUNT(&set)) == 0)
        return -1;
    i %= n;
    for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET((size_t)core, &set) && i-- == 0)
            return core;
    return -1;
}

void att_cores_pin(int core)
{
    cpu_set_t set;
    if (core < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}
