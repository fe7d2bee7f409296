/*
 * Arguments. Each becomes the value of an option of the configuration, so that
 * a file and a command line are checked by the same code.
 */
#include "server/config/args.h"

#include <stdio.h>
#include <string.h>

enum { PART_BYTES_MAX = 1024 };

const char srv_args_help[] =
    "attentd - serves Transformer models over HTTP\n"
    "\n"
    "  attentd --config FILE [--listen ADDRESS:PORT]\n"
    "  attentd --listen ADDRESS:PORT --model NAME=DIR[,dtype=f32][,encoder=NAME][,default=yes] [--kb "
    "NAME=FILE,model=NAME]\n"
    "  attentd --check --config FILE\n"
    "  attentd --version | --help\n"
    "\n"
    "  --config FILE   configuration; FILE.d/*.conf are read after it\n"
    "  --listen A:P    where to listen; port 0 picks a free one and prints it\n"
    "  --model ...     one more model, repeatable; keys as in a section [model NAME]\n"
    "  --kb ...        one more knowledge base, repeatable; keys as in [kb NAME]\n"
    "  --check         read and check everything, load nothing; exit 0, or 1 with FILE:LINE: message\n"
    "\n"
    "SIGTERM and SIGINT stop accepting, answer what was accepted, and exit 0; a second one exits at once. SIGHUP "
    "reads\n"
    "the configuration, API keys, certificates and models that have changed, and serves on as before if one is bad.\n";

/* NAME=PATH[,key=value]... */
static enum att_status read_named(struct srv_config *config, const char *section, const char *option, const char *text,
                                  struct att_err *err)
{
    char name[SRV_NAME_MAX + 1], part[PART_BYTES_MAX];
    size_t name_len = strcspn(text, "=");
    bool is_first = true, is_last = false;

    if (text[name_len] != '=' || name_len == 0 || name_len > SRV_NAME_MAX)
        return att_err_set(err, ATT_EINVAL, "%s %s: expected NAME=PATH[,key=value...]", option, text);
    snprintf(name, sizeof(name), "%.*s", (int)name_len, text);
    text += name_len + 1;
    while (!is_last) {
        size_t len = strcspn(text, ",");
        char *equals;
        enum att_status status;

        if (len >= sizeof(part))
            return att_err_set(err, ATT_EINVAL, "%s %s: a value is too long", option, name);
        snprintf(part, sizeof(part), "%.*s", (int)len, text);
        equals = is_first ? NULL : strchr(part, '=');
        if (!is_first && equals == NULL)
            return att_err_set(err, ATT_EINVAL, "%s %s: '%s' is not key=value", option, name, part);
        if (equals != NULL)
            *equals = '\0';
        status =
            srv_config_set(config, section, name, is_first ? "path" : part, is_first ? part : equals + 1, option, err);
        if (status != ATT_OK)
            return status;
        is_first = false;
        is_last = text[len] == '\0';
        text += len + 1;
    }
    return ATT_OK;
}

static enum att_status read_one(struct srv_config *config, const char *option, const char *value, struct att_err *err)
{
    if (strcmp(option, "--config") == 0)
        return ATT_OK;
    if (strcmp(option, "--listen") == 0)
        return srv_config_set(config, "server", NULL, "listen", value, option, err);
    if (strcmp(option, "--model") == 0)
        return read_named(config, "model", option, value, err);
    return read_named(config, "kb", option, value, err);
}

static bool takes_value(const char *option)
{
    return strcmp(option, "--config") == 0 || strcmp(option, "--listen") == 0 || strcmp(option, "--model") == 0 ||
           strcmp(option, "--kb") == 0;
}

/* Actions, and the configuration file if one is named. */
static enum att_status first_pass(int argc, char **argv, enum srv_action *ret_action, const char **ret_file,
                                  struct att_err *err)
{
    for (int i = 1; i < argc; i++) {
        if (takes_value(argv[i])) {
            if (i + 1 == argc)
                return att_err_set(err, ATT_EINVAL, "%s needs a value; see --help", argv[i]);
            if (strcmp(argv[i], "--config") == 0 && *ret_file != NULL)
                return att_err_set(err, ATT_EINVAL, "--config is given twice");
            if (strcmp(argv[i], "--config") == 0)
                *ret_file = argv[i + 1];
            i++;
        } else if (strcmp(argv[i], "--check") == 0) {
            *ret_action = SRV_CHECK;
        } else if (strcmp(argv[i], "--version") == 0) {
            *ret_action = SRV_VERSION;
            return ATT_OK;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *ret_action = SRV_HELP;
            return ATT_OK;
        } else {
            return att_err_set(err, ATT_EINVAL, "unknown argument '%s'; see --help", argv[i]);
        }
    }
    return ATT_OK;
}

enum att_status srv_args_read(int argc, char **argv, struct srv_config *config, enum srv_action *ret_action,
                              struct att_err *err)
{
    enum srv_action action = SRV_SERVE;
    const char *file = NULL;
    enum att_status status = first_pass(argc, argv, &action, &file, err);

    if (status == ATT_OK && (action == SRV_SERVE || action == SRV_CHECK)) {
        if (file != NULL)
            status = srv_config_read(config, file, err);
        for (int i = 1; i < argc && status == ATT_OK; i++) {
            if (!takes_value(argv[i]))
                continue;
            status = read_one(config, argv[i], argv[i + 1], err);
            i++;
        }
        if (status == ATT_OK) {
            status = srv_config_check(config, err);
            if (status != ATT_OK && file != NULL && strstr(err->message, file) != err->message)
                att_err_prefix(err, "%s", file);
        }
    }
    if (status == ATT_OK)
        *ret_action = action;
    return status;
}
