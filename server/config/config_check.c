/*
 * What no single value of the configuration shows: references between sections,
 * bounds that contradict each other, sections that lack what they need. A message
 * begins with the FILE:LINE of the section that is wrong.
 */
#include <string.h>

#include "server/config/config.h"

static const struct srv_config_model *find_model(const struct srv_config *config, const char *name)
{
    for (size_t i = 0; i < config->n_models; i++)
        if (strcmp(config->models[i].name, name) == 0)
            return &config->models[i];
    return NULL;
}

static enum att_status check_bounds(const struct srv_config *config, struct att_err *err)
{
    if (config->limits_tokens_max.number > config->batching_queue_tokens_max.number)
        return att_err_set(
            err, ATT_EINVAL,
            "[limits] tokens_max = %llu is above [batching] queue_tokens_max = %llu: such a request could "
            "never be queued",
            (unsigned long long)config->limits_tokens_max.number,
            (unsigned long long)config->batching_queue_tokens_max.number);
    if (config->limits_body_bytes_max.number > config->batching_queue_bytes_max.number ||
        config->limits_body_bytes_max.number > config->limits_bodies_bytes_max.number)
        return att_err_set(err, ATT_EINVAL,
                           "[limits] body_bytes_max = %llu is above [batching] queue_bytes_max or [limits] "
                           "bodies_bytes_max: such a body could never be read",
                           (unsigned long long)config->limits_body_bytes_max.number);
    if (config->limits_deadline_ms_default.number > config->limits_deadline_ms_max.number)
        return att_err_set(err, ATT_EINVAL, "[limits] deadline_ms_default is above deadline_ms_max");
    if (config->server_http_threads.number > config->server_connections_max.number)
        return att_err_set(err, ATT_EINVAL, "[server] http_threads is above connections_max");
    return ATT_OK;
}

/* What a rule asks for beyond one item: at least one condition, or every item would be an alert. */
static enum att_status check_alerts(const struct srv_config *config, struct att_err *err)
{
    for (size_t i = 0; i < config->n_alerts; i++) {
        const struct srv_config_alert *alert = &config->alerts[i];

        if (alert->items_min.number <= 1 && alert->sources_min.number <= 1 && alert->heat_min.number == 0 &&
            alert->growth_min.number == 0 && alert->negative_share_min.number == 0 &&
            srv_config_decimal(&alert->polarity_max) >= 1 && alert->importance_min.number == 0 &&
            srv_config_text(&alert->entity) == NULL && srv_config_text(&alert->topic) == NULL &&
            srv_config_text(&alert->source) == NULL)
            return att_err_set(err, ATT_EINVAL,
                               "%s: [alert %s] asks for nothing, expected a condition such as items_min, heat_min, "
                               "negative_share_min or entity",
                               alert->where, alert->name);
    }
    return ATT_OK;
}

/* "red orange": bit i for alert level i. */
static bool parse_levels(const char *text, unsigned *ret_levels)
{
    static const char *const words[] = {"blue", "yellow", "orange", "red"};
    unsigned levels = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, " "), i = 0;

        while (i < 4 && (strlen(words[i]) != len || strncmp(words[i], text, len) != 0))
            i++;
        if (len > 0 && i == 4)
            return false;
        levels |= len > 0 ? 1U << i : 0;
        text += len + (text[len] == ' ');
    }
    *ret_levels = levels;
    return levels != 0;
}

unsigned srv_config_levels(const struct srv_config_webhook *webhook)
{
    unsigned levels = 0;

    (void)parse_levels(webhook->levels.text, &levels);
    return levels;
}

static enum att_status check_webhooks(const struct srv_config *config, struct att_err *err)
{
    for (size_t i = 0; i < config->n_webhooks; i++) {
        const struct srv_config_webhook *webhook = &config->webhooks[i];
        const char *url = webhook->url.text;
        unsigned levels;

        if (url == NULL)
            return att_err_set(err, ATT_EINVAL, "%s: [webhook %s] has no url", webhook->where, webhook->name);
        if ((strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) || strpbrk(url, " \t#@") != NULL)
            return att_err_set(err, ATT_EINVAL,
                               "%s: [webhook %s] url = %.60s, expected http://HOST/PATH or https://HOST/PATH without "
                               "a user, a fragment or blanks",
                               webhook->where, webhook->name, url);
        if (!parse_levels(webhook->levels.text, &levels))
            return att_err_set(err, ATT_EINVAL,
                               "%s: [webhook %s] levels = %.60s, expected words of red, orange, yellow and blue",
                               webhook->where, webhook->name, webhook->levels.text);
    }
    return ATT_OK;
}

static enum att_status check_kb(const struct srv_config *config, const struct srv_config_kb *kb, struct att_err *err)
{
    const struct {
        const char *key, *model;
    } uses[] = {{"model", kb->model.text},
                {"reranker", srv_config_text(&kb->reranker)},
                {"reader", srv_config_text(&kb->reader)},
                {"generator", srv_config_text(&kb->generator)}};

    if (kb->path.text == NULL || kb->model.text == NULL)
        return att_err_set(err, ATT_EINVAL, "%s: [kb %s] has no %s", kb->where, kb->name,
                           kb->path.text == NULL ? "path" : "model");
    for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
        const struct srv_config_model *model;

        if (uses[i].model == NULL)
            continue;
        model = find_model(config, uses[i].model);
        if (model == NULL)
            return att_err_set(err, ATT_EINVAL, "%s: [kb %s] %s = %s is the name of no model", kb->where, kb->name,
                               uses[i].key, uses[i].model);
        if (model->enabled.number == 0)
            return att_err_set(err, ATT_EINVAL, "%s: [kb %s] %s = %s is disabled", kb->where, kb->name, uses[i].key,
                               uses[i].model);
    }
    return ATT_OK;
}

enum att_status srv_config_check(const struct srv_config *config, struct att_err *err)
{
    enum att_status status = check_bounds(config, err);

    if (status == ATT_OK)
        status = check_alerts(config, err);
    if (status == ATT_OK)
        status = check_webhooks(config, err);
    if (status != ATT_OK)
        return status;
    if (config->n_models == 0)
        return att_err_set(err, ATT_EINVAL, "no model is configured: add a section [model NAME], or --model NAME=DIR");
    for (size_t i = 0; i < config->n_models; i++) {
        const struct srv_config_model *model = &config->models[i];
        const char *encoder = srv_config_text(&model->encoder);

        if (model->path.text == NULL)
            return att_err_set(err, ATT_EINVAL, "%s: [model %s] has no path", model->where, model->name);
        if (encoder != NULL && (find_model(config, encoder) == NULL || strcmp(encoder, model->name) == 0))
            return att_err_set(err, ATT_EINVAL, "%s: [model %s] encoder = %s is the name of no other model",
                               model->where, model->name, encoder);
        if (encoder != NULL && model->enabled.number != 0 && find_model(config, encoder)->enabled.number == 0)
            return att_err_set(err, ATT_EINVAL, "%s: [model %s] encoder = %s is disabled", model->where, model->name,
                               encoder);
    }
    for (size_t i = 0; i < config->n_kbs; i++) {
        const struct srv_config_kb *kb = &config->kbs[i];

        status = check_kb(config, kb, err);
        if (status != ATT_OK)
            return status;
        for (size_t k = 0; k < i; k++)
            if (strcmp(config->kbs[k].path.text, kb->path.text) == 0)
                return att_err_set(err, ATT_EINVAL, "%s: [kb %s] path = %s is that of [kb %s] too", kb->where, kb->name,
                                   kb->path.text, config->kbs[k].name);
    }
    return ATT_OK;
}
