/* Reading RoPE's parameters from config.json, in the spelling of transformers 5 (rope_parameters) and before
 * (rope_theta, rope_scaling). */
#ifndef ATT_ARCH_ROPE_CONFIG_H
#define ATT_ARCH_ROPE_CONFIG_H

#include "core/base/json.h"
#include "core/base/status.h"
#include "core/ops/rope.h"

struct att_rope_fields {
    const char *section; /* of rope_parameters, where they differ by layer: "full_attention"; or NULL */
    const char *theta;   /* the field of old files: "rope_theta" */
    double default_theta;
    size_t head_dim, max_position;
};

/* Fills and initialises rope. A scaling that is not known is refused by name. */
enum att_status att_rope_configure(const struct att_json *config, const struct att_rope_fields *fields,
                                   struct att_rope *rope, struct att_err *err) ATT_MUST_USE;
/* How many positions the scaling reaches: max_position, or more where it stretches a shorter training. */
size_t att_rope_reach(const struct att_rope *rope, size_t max_position);

#endif
