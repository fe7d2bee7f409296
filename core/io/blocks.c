/* See blocks.h. Integers are little-endian; d is the scale of a block, m its offset. */
#include "core/io/blocks.h"

#include <string.h>

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint16_t u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

/* IEEE 754 binary16; subnormals are scaled by 2^-24, which is exact. */
static float from_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31)
        return from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent != 0)
        return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float value = (float)fraction * 0x1p-24f;
    return sign ? -value : value;
}

static void widen_f32(const uint8_t *blocks, size_t n, float *out)
{
    memcpy(out, blocks, n * sizeof *out);
}

static void widen_f16(const uint8_t *blocks, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = from_f16(u16(blocks + 2 * i));
}

static void widen_bf16(const uint8_t *blocks, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = from_bits((uint32_t)u16(blocks + 2 * i) << 16);
}

/* d, 32 bytes */
static void widen_q8_0(const uint8_t *block, size_t n, float *out)
{
    for (; n > 0; n--, block += 34, out += 32) {
        float d = from_f16(u16(block));
        for (size_t i = 0; i < 32; i++)
            out[i] = (float)(int8_t)block[2 + i] * d;
    }
}

/* d, 16 bytes: low halves are the first 16 values, high halves the last */
static void widen_q4_0(const uint8_t *block, size_t n, float *out)
{
    for (; n > 0; n--, block += 18, out += 32) {
        float d = from_f16(u16(block));
        for (size_t i = 0; i < 16; i++) {
            out[i] = (float)((block[2 + i] & 15) - 8) * d;
            out[16 + i] = (float)((block[2 + i] >> 4) - 8) * d;
        }
    }
}

/* d, m, 16 bytes */
static void widen_q4_1(const uint8_t *block, size_t n, float *out)
{
    for (; n > 0; n--, block += 20, out += 32) {
        float d = from_f16(u16(block)), m = from_f16(u16(block + 2));
        for (size_t i = 0; i < 16; i++) {
            out[i] = (float)(block[4 + i] & 15) * d + m;
            out[16 + i] = (float)(block[4 + i] >> 4) * d + m;
        }
    }
}

/* d, 32 fifth bits, 16 bytes */
static void widen_q5_0(const uint8_t *block, size_t n, float *out)
{
    for (; n > 0; n--, block += 22, out += 32) {
        float d = from_f16(u16(block));
        uint32_t high = u16(block + 2) | (uint32_t)u16(block + 4) << 16;
        for (size_t i = 0; i < 16; i++) {
            out[i] = (float)((int)(block[6 + i] & 15) - 16 + (int)(high >> i & 1) * 16) * d;
            out[16 + i] = (float)((int)(block[6 + i] >> 4) - 16 + (int)(high >> (i + 16) & 1) * 16) * d;
        }
    }
}

/* d, m, 32 fifth bits, 16 bytes */
static void widen_q5_1(const uint8_t *block, size_t n, float *out)
{
    for (; n > 0; n--, block += 24, out += 32) {
        float d = from_f16(u16(block)), m = from_f16(u16(block + 2));
        uint32_t high = u16(block + 4) | (uint32_t)u16(block + 6) << 16;
        for (size_t i = 0; i < 16; i++) {
            out[i] = (float)((int)(block[8 + i] & 15) + (int)(high >> i & 1) * 16) * d + m;
            out[16 + i] = (float)((int)(block[8 + i] >> 4) + (int)(high >> (i + 16) & 1) * 16) * d + m;
        }
    }
}

/* Scale and offset j of 8, 6 bits each, packed into 12 bytes. */
static void scale_and_offset(const uint8_t *packed, size_t j, uint8_t *scale, uint8_t *offset)
{
    if (j < 4) {
        *scale = packed[j] & 63;
        *offset = packed[j + 4] & 63;
    } else {
        *scale = (uint8_t)((packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4);
        *offset = (uint8_t)((packed[j + 4] >> 4) | (packed[j] >> 6) << 4);
    }
}

/* d, dmin, 12 bytes of scales, 128 bytes: 8 groups of 32 values */
static void widen_q4_k(const uint8_t *block, size_t n, float *out)
{
    for (; n > 0; n--, block += 144, out += 256) {
        float d = from_f16(u16(block)), dmin = from_f16(u16(block + 2));
        for (size_t group = 0; group < 8; group++) {
            uint8_t scale, offset;
            scale_and_offset(block + 4, group, &scale, &offset);
            float a = d * (float)scale, b = dmin * (float)offset;
            const uint8_t *bytes = block + 16 + group / 2 * 32;
            for (size_t i = 0; i < 32; i++)
                out[group * 32 + i] = a * (float)(bytes[i] >> (group % 2 * 4) & 15) - b;
        }
    }
}

/* d, dmin, 12 bytes of scales, 32 bytes of fifth bits, 128 bytes */
static void widen_q5_k(const uint8_t *block, size_t n, float *out)
{
    for (; n > 0; n--, block += 176, out += 256) {
        float d = from_f16(u16(block)), dmin = from_f16(u16(block + 2));
        for (size_t group = 0; group < 8; group++) {
            uint8_t scale, offset;
            scale_and_offset(block + 4, group, &scale, &offset);
            float a = d * (float)scale, b = dmin * (float)offset;
            const uint8_t *bytes = block + 48 + group / 2 * 32;
            for (size_t i = 0; i < 32; i++) {
                int value = (bytes[i] >> (group % 2 * 4) & 15) + (block[16 + i] >> group & 1) * 16;
                out[group * 32 + i] = a * (float)value - b;
            }
        }
    }
}

/* 128 bytes of low halves, 64 of upper two bits, 16 scales, d: two halves of 128 values */
static void widen_q6_k(const uint8_t *block, size_t n, float *out)
{
    for (; n > 0; n--, block += 210, out += 256) {
        float d = from_f16(u16(block + 208));
        for (size_t half = 0; half < 2; half++) {
            const uint8_t *low = block + 64 * half, *high = block + 128 + 32 * half, *scales = block + 192 + 8 * half;
            for (size_t i = 0; i < 128; i++) {
                size_t part = i / 32, at = i % 32;
                int nibble = low[at + (part & 1) * 32] >> (part / 2 * 4) & 15;
                int value = (nibble | (high[at] >> (2 * part) & 3) << 4) - 32;
                out[128 * half + i] = d * (float)(int8_t)scales[at / 16 + 2 * part] * (float)value;
            }
        }
    }
}

static const struct att_block_type types[] = {
    {"F32", 1, 4, 0, widen_f32},        {"F16", 1, 2, 1, widen_f16},        {"BF16", 1, 2, 30, widen_bf16},
    {"Q8_0", 32, 34, 8, widen_q8_0},    {"Q4_0", 32, 18, 2, widen_q4_0},    {"Q4_1", 32, 20, 3, widen_q4_1},
    {"Q5_0", 32, 22, 6, widen_q5_0},    {"Q5_1", 32, 24, 7, widen_q5_1},    {"Q4_K", 256, 144, 12, widen_q4_k},
    {"Q5_K", 256, 176, 13, widen_q5_k}, {"Q6_K", 256, 210, 14, widen_q6_k},
};

const struct att_block_type *att_block_type_find(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const struct att_block_type *att_block_type_number(uint32_t number)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if ((uint32_t)types[i].gguf == number)
            return &types[i];
    return NULL;
}

const char *att_block_type_names(void)
{
    return "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K or Q6_K";
}
