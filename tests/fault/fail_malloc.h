/* What a test and fail_malloc.c share: in one process, or through the file that ATT_FAIL_FILE names. */
#ifndef TESTS_FAULT_FAIL_MALLOC_H
#define TESTS_FAULT_FAIL_MALLOC_H

#include <stdatomic.h>

struct fail_plan {
    atomic_long count;       /* allocations so far */
    atomic_long from, until; /* those with from <= number < until fail, counted from 1; from 0: none */
    atomic_long failed;      /* how many did */
};

extern struct fail_plan *fail_malloc_plan;

#endif
