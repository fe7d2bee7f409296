/* UTF-8 validation and stepping (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
#ifndef ATT_BASE_UTF8_H
#define ATT_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool att_utf8_valid(const char *bytes, size_t len);
/* Decodes the code point at bytes[*at], moves *at behind it. Invalid input gives U+FFFD and moves one byte. at < len.
 */
uint32_t att_utf8_next(const char *bytes, size_t len, size_t *at);
/* Writes 1..4 bytes, returns how many. */
size_t att_utf8_put(uint32_t code_point, char out[4]);

#endif
