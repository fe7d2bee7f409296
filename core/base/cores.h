/* The cores that this process may use. */
#ifndef ATT_BASE_CORES_H
#define ATT_BASE_CORES_H

#include <stddef.h>

/* How many; 1 when that is unknown. */
size_t att_cores_count(void);
/* Of the cores that the calling thread may use the i-th, round and round; -1 when that is unknown. */
int att_cores_pick(size_t i);
/* This thread runs on that core alone from now on. Where the sandbox forbids it (EPERM), or for -1, it runs as before.
 */
void att_cores_pin(int core);

#endif
