/* Reading checked fields of config.json. Messages start with the field's name. */
#ifndef ATT_ARCH_CONFIG_H
#define ATT_ARCH_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/json.h"
#include "core/base/status.h"
#include "core/ops/linear.h" /* enum att_act */

/* Integer field within [min, max]; absent or null: `otherwise`, or an error when otherwise is SIZE_MAX. */
enum att_status att_config_size(const struct att_json *config, const char *field, size_t min, size_t max,
                                size_t otherwise, size_t *ret, struct att_err *err) ATT_MUST_USE;

struct att_config_field {
    const char *name; /* NULL: *ret stays */
    size_t min, max, otherwise, *ret;
};
enum att_status att_config_sizes(const struct att_json *config, const struct att_config_field *fields, size_t n_fields,
                                 struct att_err *err) ATT_MUST_USE;

enum att_status att_config_float(const struct att_json *config, const char *field, double min, double max,
                                 double otherwise, float *ret, struct att_err *err) ATT_MUST_USE;
enum att_status att_config_bool(const struct att_json *config, const char *field, bool otherwise, bool *ret,
                                struct att_err *err) ATT_MUST_USE;
/* Fields that hold token ids, each null, -1 (none) or below rows; eos_token_id may be a list. Every model's
 * pad_token_id, the others where `generates`; elsewhere they only must be numbers. */
enum att_status att_config_ids(const struct att_json *config, size_t rows, bool generates,
                               struct att_err *err) ATT_MUST_USE;
/* A list of names (architectures): absent, null, or an array of strings. */
enum att_status att_config_names(const struct att_json *config, const char *field, struct att_err *err) ATT_MUST_USE;
/* An activation by name; absent: `otherwise`. */
enum att_status att_config_act(const struct att_json *config, const char *field, enum att_act otherwise,
                               enum att_act *ret, struct att_err *err) ATT_MUST_USE;
/* Number of labels: id2label, else num_labels, else 2. */
enum att_status att_config_labels(const struct att_json *config, size_t *ret, struct att_err *err) ATT_MUST_USE;
/* n_heads, read from `field`, must divide width. */
enum att_status att_config_heads(const char *field, size_t width, size_t n_heads, struct att_err *err) ATT_MUST_USE;
/* Fields that have one known value; absent is well. */
enum att_status att_config_must_be(const struct att_json *config, const char *field, const char *expected,
                                   struct att_err *err) ATT_MUST_USE;
enum att_status att_config_must_be_bool(const struct att_json *config, const char *field, bool expected,
                                        struct att_err *err) ATT_MUST_USE;
/* `why` ends the message. */
enum att_status att_config_must_be_null(const struct att_json *config, const char *field, const char *why,
                                        struct att_err *err) ATT_MUST_USE;

#endif
