/* Closing up punctuation and English contractions in decoded text, as the reference's list of replacements does. */
#ifndef ATT_TEXT_CLEANUP_H
#define ATT_TEXT_CLEANUP_H

#include <stddef.h>

/* In place; returns the new length, never longer. */
size_t att_cleanup(char *text, size_t len);

#endif
