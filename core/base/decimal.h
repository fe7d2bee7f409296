/*
 * The shortest decimal of a float: the fewest digits, 6 to 9, that read back to the same float, and of those the
 * nearest to it; as printf's %g with so many digits prints it.
 */
#ifndef ATT_BASE_DECIMAL_H
#define ATT_BASE_DECIMAL_H

#include <stddef.h>

enum { ATT_DECIMAL_BYTES = 24 };

/* Writes the decimal of a finite value, no NUL behind it; its length. */
size_t att_decimal_print(float value, char text[ATT_DECIMAL_BYTES]);

#endif
