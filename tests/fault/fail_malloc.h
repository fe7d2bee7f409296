/* What a test and fail_malloc.c in the daemon share: one page, mapped from the file that ATT_FAIL_FILE names. */
#ifndef TESTS_FAULT_FAIL_MALLOC_H
#define TESTS_FAULT_FAIL_MALLOC_H

#include <stdatomic.h>

struct fail_plan {
    atomic_long count;       /* allocations so far */
    atomic_long from, until; /* those with from <= number < until fail, counted from 1; from 0: none */
    atomic_long failed;      /* how many did */
};

#endif
