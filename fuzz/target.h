/*
 * A fuzz target is one function over bytes. With -Dfuzz=true (clang) each is a
 * libFuzzer program; always, each is also built with replay.c, which runs its
 * seed corpus and a fixed number of mutations as a normal test.
 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What a target claims of every input; assert() is gone in release builds. */
static inline void check(bool holds)
{
    if (!holds)
        abort();
}

#endif
