/* attend: choosing the command. What the commands share stands in cli.h. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/tokenize.h"

/* That command takes what follows its name. */
static int tokenize(int argc, char **argv)
{
    return cli_tokenize(argc - 1, argv + 1);
}

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"run", cli_run, "reference cases through a model: --model DIR < cases.jsonl > out.jsonl"},
    {"check", cli_check, "can this model directory be served? DIR"},
    {"inspect", cli_inspect, "what a model directory holds: DIR [--json]"},
    {"tokenize", tokenize, "tokenizer cases: --model DIR < cases.jsonl > out.jsonl"},
    {"classify", cli_offline, "labels of texts: --model DIR < requests.jsonl > answers.jsonl"},
    {"generate", cli_offline, "texts of a generative model: --model DIR < requests.jsonl > answers.jsonl"},
    {"embed", cli_offline, "vectors of texts: --model DIR < requests.jsonl > answers.jsonl"},
    {"rerank", cli_offline, "documents in order for a query: --model DIR < requests.jsonl > answers.jsonl"},
    {"recommend", cli_offline, "items in order for a user: --model DIR < requests.jsonl > answers.jsonl"},
    {"reply", cli_offline, "answers of a knowledge base: --model DIR --kb FILE < requests.jsonl > answers.jsonl"},
    {"report", cli_report, "public-opinion report over a news store: --db FILE [BODY] > report.html"},
    {"kb", cli_kb, "knowledge bases: import, export, list, fit or check --kb FILE"},
    {"items", cli_items, "item tables: index, import or export --model DIR --encoder DIR"},
    {"ingest", cli_ingest, "news into a daemon or a store: FILE... --url URL, or --db FILE --model DIR"},
    {"key", cli_key, "makes an API key of the daemon: NAME [--scopes LIST] [--keys FILE]"},
    {"eval", cli_eval, "quality on labelled data: --model DIR --task NAME --data FILE"},
    {"fit", cli_fit, "calibrates a classifier on labelled texts: --model DIR --data FILE"},
    {"train-head", cli_train_head, "a classifier from labelled texts: --model DIR --data FILE --out DIR"},
    {"bench", cli_bench, "speed: --model DIR --input FILE"},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void usage(FILE *to)
{
    fprintf(to, "attend " ATT_VERSION ": Transformer checkpoints from the command line\n\n"
                "usage: attend COMMAND [options]\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    fputs("\nattend COMMAND --help lists the options of a command; attend --version names version and kernels.\n"
          "ATTEND_CPU_MASK=-avx512 in the environment leaves CPU features unused.\n",
          to);
}

int main(int argc, char **argv)
{
    struct att_err err;
    if (argc < 2) {
        usage(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return CLI_OK;
    }
    if (att_init(NULL, &err) != ATT_OK)
        return cli_fail(argv[1], &err);
    if (strcmp(argv[1], "--version") == 0) {
        printf("attend %s (%s)\n", ATT_VERSION, att_kernel_names(ATT_F32));
        return CLI_OK;
    }
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "attend: '%s' is no command of this version; attend --help lists them\n", argv[1]);
    return CLI_USAGE;
}
