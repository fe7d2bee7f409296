/*
 * Fast for normal floats up to a million: they are scaled to nine digits before
 * the point, where a candidate of fewer digits is an exact double; it reads back to
 * the float if it is nearer than half the gap between floats. What is too near to a
 * tie to be told in doubles, and all other floats, are left to printf.
 */
#include "core/base/decimal.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 9, DIGITS_MIN = 6, CANDIDATES = DIGITS - DIGITS_MIN + 1, FIXED_MIN = -4 /* below: d.ddde-05 */ };

/* Exact up to 1e22, else off by less than 2^-53 of them. */
static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23,
                                1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35,
                                1e36, 1e37, 1e38, 1e39, 1e40, 1e41, 1e42, 1e43, 1e44, 1e45, 1e46};

/* The largest e with 10^e <= x, for x = 1.… · 2^binary below a million. */
static int exponent_of(double x, int binary)
{
    const int e = (binary * 1233 + 4096 * 64) / 4096 - 64; /* floor(binary · log10 2): it, or one less */
    return e + (e + 1 < 0 ? x * powers[-e - 1] >= 1 : x >= powers[e + 1]);
}

/* A normal double. */
static double power_of_two(int exponent)
{
    const uint64_t bits = (uint64_t)(1023 + exponent) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

/* 0 <= x < 2^51, to the nearest integer, ties to even. */
static double nearest(double x)
{
    return x + 0x1p52 - 0x1p52;
}

/* Nine digits, zeros at the end, times 10^(exponent - 8); false: not told here. Errors of the doubles are below 5e-7,
 * `doubt` above that. */
static bool shortest(float value, uint32_t *ret_digits, int *ret_exponent)
{
    static const double steps[CANDIDATES] = {1e3, 1e2, 1e1, 1e0}, inverse[CANDIDATES] = {1e-3, 1e-2, 1e-1, 1e0};
    static const double doubt = 1e-6;
    const double x = fabs((double)value);
    uint32_t bits;
    if (!(x >= FLT_MIN && x < 1e6))
        return false;
    memcpy(&bits, &value, sizeof bits);
    const int binary = (int)(bits >> 23 & 0xff) - 127, e = exponent_of(x, binary);
    const double scaled = x * powers[DIGITS - 1 - e], half_gap = powers[DIGITS - 1 - e] * power_of_two(binary - 24);
    double candidates[CANDIDATES], distances[CANDIDATES];
    unsigned near = 0;
    for (size_t i = 0; i < CANDIDATES; i++) {
        candidates[i] = nearest(scaled * inverse[i]) * steps[i];
        distances[i] = fabs(candidates[i] - scaled);
        near |= (unsigned)(distances[i] <= half_gap + doubt) << i;
    }
    const size_t i = (size_t)__builtin_ctz(near | 1u << (CANDIDATES - 1));
    if (distances[i] > half_gap - doubt || distances[i] > steps[i] / 2 - doubt || candidates[i] >= 1e9)
        return false;
    if ((bits & 0x7fffff) == 0 && distances[i] > 0)
        return false; /* the gap below a power of two is half as wide */
    *ret_digits = (uint32_t)candidates[i];
    *ret_exponent = e;
    return true;
}

/* The eight digits of value as bytes, the first one lowest: pairs of four, of two, of one digit beside each other. */
static uint64_t eight_digits(uint32_t value)
{
    const uint64_t fours = value / 10000 | (uint64_t)(value % 10000) << 32;
    const uint64_t hundreds = fours * 10486 >> 20 & 0x7f0000007f;
    const uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
    const uint64_t tens = twos * 103 >> 10 & 0xf000f000f000f;
    return tens | (twos - tens * 10) << 8;
}

/* Eight characters, of little-endian order as all files that are read here. */
static void put_eight(uint64_t digits, char *text)
{
    digits += 0x3030303030303030;
    memcpy(text, &digits, sizeof digits);
}

/* Eight characters are stored where fewer are counted: text has room for them. */
static size_t put(uint32_t digits, int e, char *text)
{
    const char first = (char)('0' + digits / 100000000);
    const uint64_t rest = eight_digits(digits % 100000000);
    const size_t n = rest ? 9 - (size_t)__builtin_clzll(rest) / 8 : 1; /* without the zeros at the end */
    if (e >= 0) {
        const size_t whole = (size_t)e;
        text[0] = first;
        put_eight(rest, text + 1);
        if (n <= whole + 1)
            return whole + 1;
        text[whole + 1] = '.';
        put_eight(rest >> 8 * whole, text + whole + 2);
        return n + 1;
    }
    if (e >= FIXED_MIN) {
        const size_t at = (size_t)(1 - e);
        memcpy(text, "0.000", 5);
        text[at] = first;
        put_eight(rest, text + at + 1);
        return at + n;
    }
    const char suffix[] = {'e', '-', (char)('0' + -e / 10), (char)('0' + -e % 10)};
    const size_t at = n == 1 ? 1 : n + 1;
    text[0] = first;
    text[1] = '.';
    put_eight(rest, text + 2);
    memcpy(text + at, suffix, sizeof suffix);
    return at + sizeof suffix;
}

static size_t print_slowly(float value, char text[ATT_DECIMAL_BYTES])
{
    for (int digits = DIGITS_MIN;; digits++) {
        const int length = snprintf(text, ATT_DECIMAL_BYTES, "%.*g", digits, (double)value);
        if (digits == DIGITS || strtof(text, NULL) == value)
            return (size_t)length;
    }
}

size_t att_decimal_print(float value, char text[ATT_DECIMAL_BYTES])
{
    uint32_t digits;
    int exponent;
    if (value == 0 && !signbit(value)) {
        text[0] = '0';
        return 1;
    }
    if (!shortest(value, &digits, &exponent))
        return print_slowly(value, text);
    text[0] = '-';
    const size_t at = value < 0;
    return at + put(digits, exponent, text + at);
}
