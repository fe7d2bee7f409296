/*
 * Numbers as checkpoints store them, widened to f32: plain ones of 32 or 16 bits,
 * and GGUF's blocks of small integers with shared scales (ggml-quants.c), bit
 * for bit as ggml computes them.
 */
#ifndef ATT_IO_BLOCKS_H
#define ATT_IO_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

struct att_block_type {
    const char *name;     /* "F32", "Q4_K" */
    size_t values, bytes; /* of one block */
    int gguf;             /* its number in GGUF files */
    void (*widen)(const uint8_t *blocks, size_t n_blocks, float *out);
};

/* By name, or by GGUF's number; NULL: not known. */
const struct att_block_type *att_block_type_find(const char *name);
const struct att_block_type *att_block_type_number(uint32_t number);
/* "F32, F16, …" for messages. */
const char *att_block_type_names(void);

#endif
