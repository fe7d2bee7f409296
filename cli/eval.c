/* attend eval: which task's figures are wanted. Each is measured in a file of its own. */
#include <string.h>

#include "cli/cli.h"

static const struct {
    const char *task;
    int (*run)(int argc, char **argv);
} evals[] = {
    {"classify", cli_eval_classify},
    {"retrieve", cli_eval_retrieve},
    {"recommend", cli_eval_recommend},
    {"reply", cli_eval_reply},
};
enum { N_EVALS = sizeof evals / sizeof *evals };

/* The value of --task; the other options belong to whoever measures. */
static const char *task_of(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--task") == 0)
            return i + 1 < argc ? argv[i + 1] : "";
        if (strncmp(argv[i], "--task=", 7) == 0)
            return argv[i] + 7;
    }
    return NULL;
}

int cli_eval(int argc, char **argv)
{
    const char *task = task_of(argc, argv);
    if (!task && argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        puts("usage: attend eval --model DIR --task NAME --data FILE [--json]\n\n"
             "Quality on labelled data. Tasks; attend eval --task NAME --help says more:");
        for (size_t i = 0; i < N_EVALS; i++)
            printf("  %s\n", evals[i].task);
        return CLI_OK;
    }
    for (size_t i = 0; task && i < N_EVALS; i++)
        if (strcmp(evals[i].task, task) == 0)
            return evals[i].run(argc, argv);
    fprintf(stderr, "attend eval: --task: is '%s', expected", task ? task : "missing");
    for (size_t i = 0; i < N_EVALS; i++)
        fprintf(stderr, "%s %s", i ? "," : "", evals[i].task);
    fputc('\n', stderr);
    return CLI_USAGE;
}
