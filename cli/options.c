/*
 * The options of all commands in one table, so that a name means the same
 * everywhere and --help cannot forget one. A command says which it takes.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum kind { TEXT, SIZE, SECONDS, SHARE, FLAG, LIST, DTYPE, HELP };

static const struct row {
    const char *name, *argument, *help;
    enum kind kind;
    size_t offset, count_offset; /* in struct cli_options; LIST: the array and its count */
    size_t max;                  /* SIZE: largest value; LIST: longest list */
} rows[] = {
    {"model", "DIR", "model directory", TEXT, offsetof(struct cli_options, model), 0, 0},
    {"base", "NAME=DIR", "where an adapter's base model lies; may be repeated", LIST,
     offsetof(struct cli_options, bases), offsetof(struct cli_options, n_bases), CLI_BASES_MAX},
    {"encoder", "DIR", "text encoder beside a recommender", TEXT, offsetof(struct cli_options, encoder), 0, 0},
    {"reranker", "DIR", "cross-encoder that orders the best entries of a knowledge base", TEXT,
     offsetof(struct cli_options, reranker), 0, 0},
    {"rewrite", "WORD", "what is made of the dialogue: none, previous, join, mix (default) or turns", TEXT,
     offsetof(struct cli_options, rewrite), 0, 0},
    {"precision", "P", "wanted share of right answers among those given (default 0.95)", SHARE,
     offsetof(struct cli_options, precision), 0, 0},
    {"dry-run", NULL, "figures alone: nothing is stored", FLAG, offsetof(struct cli_options, dry_run), 0, 0},
    {"kb", "FILE", "knowledge base (.db)", TEXT, offsetof(struct cli_options, kb), 0, 0},
    {"catalogue", "FILE", "items that are put and changed while a recommender serves (.db)", TEXT,
     offsetof(struct cli_options, catalogue), 0, 0},
    {"file", "FILE", "entries or items, .jsonl or .csv", TEXT, offsetof(struct cli_options, file), 0, 0},
    {"format", "FORMAT", "of what is written: jsonl (default) or csv", TEXT, offsetof(struct cli_options, format), 0,
     0},
    {"db", "FILE", "news store (.db)", TEXT, offsetof(struct cli_options, db), 0, 0},
    {"half-life-hours", "N", "heat halves in so many hours (default 24)", SIZE,
     offsetof(struct cli_options, half_life_hours), 0, 8760},
    {"source-weights", "FILE", "sources that weigh more or less than 1 in heat", TEXT,
     offsetof(struct cli_options, source_weights), 0, 0},
    {"task", "NAME", "classify, retrieve or recommend", TEXT, offsetof(struct cli_options, task), 0, 0},
    {"data", "FILE", "labelled lines, JSONL or TSV", TEXT, offsetof(struct cli_options, data), 0, 0},
    {"head", "NAME", "the head that plain labels belong to", TEXT, offsetof(struct cli_options, head), 0, 0},
    {"map", "OLD=NEW", "reads label OLD as NEW; may be repeated", LIST, offsetof(struct cli_options, maps),
     offsetof(struct cli_options, n_maps), CLI_MAPS_MAX},
    {"input", "FILE", "texts, one JSON object {\"text\":…} a line", TEXT, offsetof(struct cli_options, input), 0, 0},
    {"dtype", "DTYPE", "an encoder's weights and products: f32 (default), bf16 or int8", DTYPE,
     offsetof(struct cli_options, dtype), 0, 0},
    {"compare-dtype", "FILE", "what bf16 and int8 lose on these texts, {\"text\":…} a line", TEXT,
     offsetof(struct cli_options, compare_dtype), 0, 0},
    {"keys", "FILE", "the file of API keys that gets the new line", TEXT, offsetof(struct cli_options, keys), 0, 0},
    {"scopes", "LIST", "infer, write, admin (default: infer)", TEXT, offsetof(struct cli_options, scopes), 0, 0},
    {"limit", "NAME=N", "requests_per_s=N or tokens_per_s=N; may be repeated", LIST,
     offsetof(struct cli_options, limits), offsetof(struct cli_options, n_limits), CLI_LIMITS_MAX},
    {"templates", "DIR", "chat templates, DIR/NAME.jinja, that cases name", TEXT,
     offsetof(struct cli_options, templates), 0, 0},
    {"threads", "N", "worker threads, 1 to 256 (default: all; run, bench: 1)", SIZE,
     offsetof(struct cli_options, threads), 0, CLI_THREADS_MAX},
    {"batch-tokens", "N", "tokens of one packed batch", SIZE, offsetof(struct cli_options, batch_tokens), 0, 1 << 20},
    {"max-length", "N", "cuts texts to N tokens, special tokens included", SIZE,
     offsetof(struct cli_options, max_length), 0, 1 << 20},
    {"out", "DIR", "the folder that is made", TEXT, offsetof(struct cli_options, out), 0, 0},
    {"outside", "LABEL", "the label of texts that are none of the others", TEXT, offsetof(struct cli_options, outside),
     0, 0},
    {"multi-label", NULL, "a text may have several labels, or none", FLAG, offsetof(struct cli_options, multi_label), 0,
     0},
    {"seconds", "S", "how long to measure (default 5), and to the end of a pass over the texts or four times as long",
     SECONDS, offsetof(struct cli_options, seconds), 0, 3600},
    {"with-tokenizer", NULL, "the clock includes tokenising", FLAG, offsetof(struct cli_options, with_tokenizer), 0, 0},
    {"url", "URL", "the daemon: http://…, https://… or unix:PATH", TEXT, offsetof(struct cli_options, url), 0, 0},
    {"key-file", "FILE", "its API key, in the first line", TEXT, offsetof(struct cli_options, key_file), 0, 0},
    {"entities", "FILE", "dictionary of entities, JSONL", TEXT, offsetof(struct cli_options, entities), 0, 0},
    {"redis", "URL", "redis://HOST[:PORT]/STREAM; password: ATTEND_REDIS_PASSWORD", TEXT,
     offsetof(struct cli_options, redis), 0, 0},
    {"group", "NAME", "consumer group of the stream (default: attend)", TEXT, offsetof(struct cli_options, group), 0,
     0},
    {"consumer", "NAME", "this consumer's name in it (default: attend)", TEXT, offsetof(struct cli_options, consumer),
     0, 0},
    {"source", "NAME", "source of items that name none", TEXT, offsetof(struct cli_options, source), 0, 0},
    {"state", "FILE", "remembers how far files were read", TEXT, offsetof(struct cli_options, state), 0, 0},
    {"follow", NULL, "goes on as files grow, feeds change or the stream fills", FLAG,
     offsetof(struct cli_options, follow), 0, 0},
    {"json", NULL, "one JSON object instead of a table", FLAG, offsetof(struct cli_options, json), 0, 0},
    {"help", NULL, "this text", HELP, 0, 0, 0},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

/* True when `name` is one of the blank-separated words. */
static bool has_word(const char *words, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = words; (at = strstr(at, name)) != NULL; at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

static void print_help(const char *allowed, const char *about)
{
    printf("%s\n", about);
    for (size_t i = 0; i < N_ROWS; i++) {
        char left[64];
        if (rows[i].kind != HELP && !has_word(allowed, rows[i].name))
            continue;
        snprintf(left, sizeof left, "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
                 rows[i].argument ? rows[i].argument : "");
        printf("  %-20s %s\n", left, rows[i].help);
    }
    puts("\nExit status: 0 done; 1 a line, a case or a model failed; 2 the command line is wrong.");
}

static int wrong(const char *command, const char *option, const char *value, const char *expected)
{
    fprintf(stderr, "attend %s: --%s: is '%s', expected %s\n", command, option, value, expected);
    return CLI_USAGE;
}

static int set_size(const char *command, const struct row *row, const char *value, size_t *ret)
{
    char *end, expected[64];
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (errno || *end || *value < '0' || *value > '9' || number < 1 || number > row->max) {
        snprintf(expected, sizeof expected, "1 to %zu", row->max);
        return wrong(command, row->name, value, expected);
    }
    *ret = (size_t)number;
    return -1;
}

static int set_seconds(const char *command, const struct row *row, const char *value, double *ret)
{
    char *end;
    double number = strtod(value, &end);
    if (*end || end == value || !(number > 0 && number <= (double)row->max))
        return wrong(command, row->name, value, "a number of seconds up to 3600");
    *ret = number;
    return -1;
}

static int set_share(const char *command, const struct row *row, const char *value, double *ret)
{
    char *end;
    double number = strtod(value, &end);
    if (*end || end == value || !(number > 0 && number < 1))
        return wrong(command, row->name, value, "a number between 0 and 1");
    *ret = number;
    return -1;
}

static int set_dtype(const char *command, const struct row *row, const char *value, enum att_dtype *ret)
{
    for (int dtype = 0; dtype < ATT_DTYPE_COUNT; dtype++)
        if (strcmp(value, att_dtype_name((enum att_dtype)dtype)) == 0) {
            *ret = (enum att_dtype)dtype;
            return -1;
        }
    return wrong(command, row->name, value, "f32, bf16 or int8");
}

static int set(const char *command, const struct row *row, const char *value, struct cli_options *options)
{
    char *base = (char *)options;
    if (row->kind == SIZE)
        return set_size(command, row, value, (size_t *)(void *)(base + row->offset));
    if (row->kind == SECONDS)
        return set_seconds(command, row, value, (double *)(void *)(base + row->offset));
    if (row->kind == SHARE)
        return set_share(command, row, value, (double *)(void *)(base + row->offset));
    if (row->kind == DTYPE)
        return set_dtype(command, row, value, (enum att_dtype *)(void *)(base + row->offset));
    if (row->kind == FLAG) {
        *(bool *)(base + row->offset) = true;
    } else if (row->kind == LIST) {
        size_t *count = (size_t *)(void *)(base + row->count_offset);
        const char *equals = strchr(value, '=');
        if (!equals || equals == value || !equals[1])
            return wrong(command, row->name, value, row->argument);
        if (*count == row->max)
            return wrong(command, row->name, value, "fewer of them");
        ((const char **)(void *)(base + row->offset))[(*count)++] = value;
    } else {
        *(const char **)(void *)(base + row->offset) = value;
    }
    return -1;
}

int cli_options_parse(int argc, char **argv, const char *allowed, const char *about, struct cli_options *ret)
{
    struct option longs[N_ROWS + 1] = {{0}};
    struct cli_options options = {.model = NULL};
    int n = 0, at[N_ROWS + 1], index = 0, c;
    for (int i = 0; i < N_ROWS; i++) {
        if (rows[i].kind != HELP && !has_word(allowed, rows[i].name))
            continue;
        longs[n] = (struct option){rows[i].name, rows[i].argument ? required_argument : no_argument, NULL, 1};
        at[n++] = i;
    }
    optind = 0; /* glibc: begin anew, also after another command line */
    while ((c = getopt_long(argc, argv, "h", longs, &index)) != -1) {
        if (c == 'h' || (c == 1 && rows[at[index]].kind == HELP)) {
            print_help(allowed, about);
            return CLI_OK;
        }
        if (c != 1) {
            fprintf(stderr, "attend %s --help lists the options\n", argv[0]);
            return CLI_USAGE;
        }
        int status = set(argv[0], &rows[at[index]], optarg, &options);
        if (status >= 0)
            return status;
    }
    options.rest = argv + optind;
    options.n_rest = (size_t)(argc - optind);
    *ret = options;
    return -1;
}
