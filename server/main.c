/* attentd: reads the command line and does what it says. Exit status: 0, or 1 with one sentence on standard error. */
#include <stdio.h>

#include "core/attend.h"
#include "server/config/args.h"
#include "server/daemon.h"
#include "server/net/tls.h"

static int print_version(void)
{
    struct att_err err;

    if (att_init(NULL, &err) != ATT_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("attentd %s\n%s\n", ATT_VERSION, att_kernel_names(ATT_F32));
    return 0;
}

/* What the configuration names but models: these are loaded, not read. */
static int check(const struct srv_config *config)
{
    struct srv_keys *keys = NULL;
    struct srv_tls_pair *pair = NULL;
    struct att_err err;
    enum att_status status = srv_keys_load(&config->server_api_keys, NULL, &keys, &err);

    if (status == ATT_OK)
        status = srv_tls_pair_load(config, &pair, &err);
    if (status == ATT_OK)
        fprintf(stderr, "the configuration is sound: %zu models, %zu knowledge bases%s%s\n", config->n_models,
                config->n_kbs, keys != NULL ? ", API keys" : "", pair != NULL ? ", TLS" : "");
    else
        fprintf(stderr, "%s\n", err.message);
    srv_keys_destroy(keys);
    srv_tls_pair_destroy(pair);
    return status == ATT_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    enum srv_action action = SRV_SERVE;
    struct att_err err;
    struct srv_settings *settings = srv_settings_create(&err);
    int result = 0;

    if (settings == NULL || srv_args_read(argc, argv, &settings->config, &action, &err) != ATT_OK) {
        fprintf(stderr, "%s\n", err.message);
        srv_settings_unref(settings);
        return 1;
    }
    if (action == SRV_VERSION)
        result = print_version();
    else if (action == SRV_HELP)
        fputs(srv_args_help, stdout);
    else if (action == SRV_CHECK)
        result = check(&settings->config);
    else
        result = srv_daemon_run(settings, argc, argv);
    srv_settings_unref(settings);
    return result;
}
