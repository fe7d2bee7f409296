/* Commands of several verbs, which share options and what they load. */
#include "cli/cli.h"

#include <string.h>

static const struct cli_verb *verb_find(const struct cli_verbs *command, const struct cli_options *options)
{
    for (size_t i = 0; options->n_rest == 1 && i < command->n_verbs; i++)
        if (strcmp(options->rest[0], command->verbs[i].name) == 0)
            return &command->verbs[i];
    return NULL;
}

int cli_verbs_run(int argc, char **argv, const struct cli_verbs *command)
{
    const char *name = command->command;
    struct cli_options options;
    struct cli_env *env = NULL;
    struct att_err err;
    int code = cli_options_parse(argc, argv, command->allowed, command->about, &options);
    if (code >= 0)
        return code;
    const struct cli_verb *verb = verb_find(command, &options);
    if (!verb) {
        fprintf(stderr, "attend %s: expected %s; attend %s --help says more\n", name, command->names, name);
        return CLI_USAGE;
    }
    if (command->missing(verb, &options))
        return cli_missing(name, command->missing(verb, &options));
    if (options.format && strcmp(options.format, "csv") != 0 && strcmp(options.format, "jsonl") != 0) {
        fprintf(stderr, "attend %s: --format: is '%s', expected jsonl or csv\n", name, options.format);
        return CLI_USAGE;
    }
    options.create = verb->creates;
    if (cli_env_create(&options, &env, &err) != ATT_OK)
        return cli_fail(name, &err);
    code = verb->run(env, &options);
    cli_env_destroy(env);
    return code;
}
