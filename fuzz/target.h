/*
 * A fuzz target is one function over bytes. With -Dfuzz=true (clang) each is a
 * libFuzzer program; always, each is also built with replay.c, which runs its
 * seed corpus and a fixed number of mutations as a normal test.
 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
