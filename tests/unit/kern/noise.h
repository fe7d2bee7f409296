/* Numbers without a pattern, the same in every run. */
#ifndef ATT_TESTS_KERN_NOISE_H
#define ATT_TESTS_KERN_NOISE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static uint32_t seed = 1;

/* -1 to 1. */
static float noise(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(int32_t)seed * 0x1p-31f;
}

/* n floats of noise in a block of exactly that size, so that a sanitizer sees one byte too many. */
static float *fresh(size_t n)
{
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = noise();
    return x;
}

#endif
