/* attend check DIR: the same loading and self-test as the daemon's, and one line that says what is wrong. */
#include <string.h>

#include "cli/cli.h"
#include "core/generate/generate.h"
#include "store/items.h"

static const char about[] = "usage: attend check DIR [--base NAME=DIR]\n\n"
                            "Loads a model directory and its items and runs its golden.jsonl, as the daemon would. "
                            "Exit status 1 and one line on\n"
                            "standard error, FILE: FIELD: what, expected what, for one that is not served.\n";

/* What is read beside the model: how it writes, and a recommender's items, which are optional. */
static enum att_status check_beside(const char *dir, const struct att_model *model, struct att_err *err)
{
    const struct att_model_info *info = att_model_info(model);
    struct att_generation generation;
    struct store_items *items = NULL;
    if (info->generates)
        return att_generation_defaults(model, &generation, err);
    if (strcmp(info->task, "recommend") != 0)
        return ATT_OK;
    enum att_status status = store_items_open(dir, info->vocab_size - 1, &items, err);
    store_items_close(items);
    return status == ATT_ENOTFOUND ? ATT_OK : status;
}

int cli_check(int argc, char **argv)
{
    struct cli_options options;
    struct att_err err;
    struct att_model *model = NULL;
    size_t cases = 0;
    int usage = cli_options_parse(argc, argv, "base dtype", about, &options);
    if (usage >= 0)
        return usage;
    if (options.n_rest != 1) {
        fprintf(stderr, "attend check: expected one model directory; attend check --help\n");
        return CLI_USAGE;
    }
    enum att_status status = cli_model_load(options.rest[0], &options, &model, &err);
    if (status == ATT_OK)
        status = att_model_self_test(model, &cases, &err);
    if (status == ATT_OK)
        status = check_beside(options.rest[0], model, &err);
    if (status == ATT_OK) {
        const struct att_model_info *info = att_model_info(model);
        printf("%s: ok: %s for %s, %zu self-test cases passed\n", options.rest[0], info->arch, info->task, cases);
    }
    att_model_unref(model);
    return status == ATT_OK ? CLI_OK : cli_fail(argv[0], &err);
}
