/*
 * Configuration: one INI file, its drop-ins (FILE.d/NAME.conf, in order of name)
 * and the command line, checked completely before anything is loaded. Unknown
 * sections and keys are errors. Relative paths are relative to the folder the
 * daemon is started in, as for every other command.
 */
#ifndef SRV_CONFIG_H
#define SRV_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

enum { SRV_MODELS_MAX = 64, SRV_KBS_MAX = 64, SRV_ALERTS_MAX = 64, SRV_WEBHOOKS_MAX = 16, SRV_NAME_MAX = 64 };

enum srv_option_type {
    SRV_NUMBER,
    SRV_TEXT_VALUE,
    SRV_LEVEL,
    SRV_FORMAT,
    SRV_BOOL,
    SRV_DTYPE,
    SRV_DECIMAL, /* signed; number, min and max are thousandths */
    SRV_ALERT_LEVEL,
    SRV_ALERT_SUBJECT
};

/* A value: the number (or the index of its word), or the text. */
struct srv_value {
    uint64_t number;
    char *text;
};

struct srv_config_model {
    char name[SRV_NAME_MAX + 1];
    char *where; /* FILE:LINE of its section, for messages */
    struct srv_value path, dtype, encoder, items, catalogue, enabled, is_default;
};

struct srv_config_kb {
    char name[SRV_NAME_MAX + 1];
    char *where;
    struct srv_value path, model, reranker, reader, generator, generated_cover_min, record, record_days, record_max;
};

/* A rule: news/alert.h says what its values mean. */
struct srv_config_alert {
    char name[SRV_NAME_MAX + 1];
    char *where;
    struct srv_value level, subject, entity, topic, source, window_minutes, cooldown_minutes, items_min, sources_min,
        heat_min, growth_min, negative_share_min, polarity_max, importance_min;
};

struct srv_config_webhook {
    char name[SRV_NAME_MAX + 1];
    char *where;
    struct srv_value url, secret_file, levels, ca_file, timeout_ms, attempts_max;
};

struct srv_config {
#define SRV_OPTION(section, name, type, unit, otherwise, min, max, help) struct srv_value section##_##name;
#define SRV_OPTION_OF(section, name, type, unit, otherwise, min, max, help)
#include "server/config/options.def"
#undef SRV_OPTION
#undef SRV_OPTION_OF
    struct srv_config_model models[SRV_MODELS_MAX];
    size_t n_models;
    struct srv_config_kb kbs[SRV_KBS_MAX];
    size_t n_kbs;
    struct srv_config_alert alerts[SRV_ALERTS_MAX];
    size_t n_alerts;
    struct srv_config_webhook webhooks[SRV_WEBHOOKS_MAX];
    size_t n_webhooks;
};

/* One row of options.def. */
struct srv_option {
    const char *section, *name;
    enum srv_option_type type;
    const char *unit, *otherwise;
    uint64_t min, max;
    const char *help;
    bool named_section; /* [model NAME], [kb NAME], … */
    size_t offset;      /* of its struct srv_value in the configuration, or in its section's struct */
};

const struct srv_option *srv_options(size_t *ret_count);
/* A reload does not change it: sockets, threads and what else is made at the start. */
bool srv_option_needs_restart(const struct srv_option *option);
/* Of an option without named sections: both configurations say the same. */
bool srv_option_equal(const struct srv_option *option, const struct srv_config *a, const struct srv_config *b);

/* All defaults. */
enum att_status srv_config_init(struct srv_config *config, struct att_err *err) ATT_MUST_USE;
void srv_config_finish(struct srv_config *config);
/* Reads FILE and its drop-ins over what is there. Messages begin with FILE:LINE. */
enum att_status srv_config_read(struct srv_config *config, const char *path, struct att_err *err) ATT_MUST_USE;
/* One value, as a line of the file would set it; section_name is NULL for sections without a name. `where` is for
 * messages. */
enum att_status srv_config_set(struct srv_config *config, const char *section, const char *section_name,
                               const char *key, const char *value, const char *where, struct att_err *err) ATT_MUST_USE;
/* What no single value shows: references between sections, bounds that contradict each other. */
enum att_status srv_config_check(const struct srv_config *config, struct att_err *err) ATT_MUST_USE;
/* Levels that a checked webhook wants: bit i for the i-th of blue, yellow, orange, red. */
unsigned srv_config_levels(const struct srv_config_webhook *webhook);
/* Of SRV_DECIMAL. */
double srv_config_decimal(const struct srv_value *value);
/* NULL for "none". */
const char *srv_config_text(const struct srv_value *value);

#endif
