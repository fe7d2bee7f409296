/*
 * Weights that no file holds: weights_spec.json names tensors, shapes, a seed, and for each tensor a base and an
 * amplitude, and every value follows from them by splitmix64:
 *
 *   s = seed ^ fnv1a64(name);  z = splitmix64(s + (i + 1) * 0x9E3779B97F4A7C15)
 *   value i = (float)(base + ((z >> 40) * 2^-23 - 1) * amplitude)
 */
#ifndef ATT_IO_SEEDED_H
#define ATT_IO_SEEDED_H

#include "core/io/weights.h"

/* ATT_EFORMAT where the first values of a tensor are not those that the file says ("first4"). */
enum att_status att_seeded_open(const struct att_dir *dir, const char *spec, struct att_weights *ret_weights,
                                struct att_err *err) ATT_MUST_USE;
void att_seeded_fill(const struct att_tensor *tensor, float *out);

#endif
