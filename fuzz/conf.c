/* Any bytes as the configuration: refused with a sentence that begins with the file, or values within their bounds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/directory.h"
#include "fuzz/target.h"
#include "server/config/config.h"

static void check_values(const struct srv_config *config)
{
    size_t n;
    const struct srv_option *options = srv_options(&n);
    check(config->n_models <= SRV_MODELS_MAX && config->n_kbs <= SRV_KBS_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct srv_value *value = (const void *)((const char *)config + options[i].offset);
        if (options[i].type == SRV_NUMBER && !options[i].named_section)
            check(value->number >= options[i].min && value->number <= options[i].max);
    }
    for (size_t i = 0; i < config->n_models; i++)
        check(strlen(config->models[i].name) - 1 < SRV_NAME_MAX && config->models[i].where);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct srv_config config;
    struct att_err err = {.message = ""};
    char path[300];
    fuzz_directory_write("a.conf", bytes, size);
    snprintf(path, sizeof path, "%s/a.conf", fuzz_directory_path());
    check(srv_config_init(&config, &err) == ATT_OK);
    enum att_status status = srv_config_read(&config, path, &err);
    if (status == ATT_OK) {
        check_values(&config);
        status = srv_config_check(&config, &err);
        check(status == ATT_OK || (status == ATT_EINVAL && err.message[0]));
    } else {
        check(status == ATT_EINVAL && strncmp(err.message, path, strlen(path)) == 0);
    }
    srv_config_finish(&config);
    return 0;
}
