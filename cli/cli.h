/*
 * attend: the command line over the same core and tasks as the daemon.
 *
 * Each command is one function of argc and argv, where argv[0] is the command's
 * name. It answers the exit status: 0 done; 1 something failed (a case, a line,
 * a model that is refused); 2 the command line itself is wrong.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/attend.h"
#include "tasks/task.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

int cli_run(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_inspect(int argc, char **argv);
int cli_offline(int argc, char **argv); /* classify, embed, rerank, recommend, reply */
int cli_eval(int argc, char **argv);    /* reads --task and hands on to one of the next three */
int cli_eval_classify(int argc, char **argv);
int cli_eval_retrieve(int argc, char **argv);
int cli_eval_recommend(int argc, char **argv);
int cli_eval_reply(int argc, char **argv);
int cli_fit(int argc, char **argv);
int cli_train_head(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_kb(int argc, char **argv);
int cli_items(int argc, char **argv);
int cli_key(int argc, char **argv);
int cli_ingest(int argc, char **argv);
int cli_report(int argc, char **argv);

/* ---- options.c ---- */

enum { CLI_LIMITS_MAX = 2, CLI_BASES_MAX = 16, CLI_MAPS_MAX = 256, CLI_THREADS_MAX = 256 };

struct cli_options {
    const char *model, *encoder, *reranker, *kb;
    const char *db, *source_weights; /* news */
    const char *url, *key_file, *entities, *redis, *group, *consumer, *source, *state;
    bool news_create, follow;         /* news_create: the command writes the file of --db */
    size_t half_life_hours;           /* 0: not given */
    const char *catalogue;            /* of a recommender */
    bool create;                      /* the command may make the file of --kb or --catalogue */
    const char *bases[CLI_BASES_MAX]; /* "NAME=DIR" */
    size_t n_bases;
    const char *maps[CLI_MAPS_MAX]; /* "old=new" */
    size_t n_maps;
    const char *limits[CLI_LIMITS_MAX]; /* "requests_per_s=50" */
    size_t n_limits;
    const char *keys, *scopes;
    const char *input, *data, *task, *head, *file, *format, *rewrite, *templates, *compare_dtype;
    size_t threads, batch_tokens, max_length; /* 0: not given */
    double seconds, precision;                /* 0: not given */
    const char *out, *outside;
    bool dry_run, json, with_tokenizer, multi_label;
    enum att_dtype dtype;
    char *const *rest; /* what follows the options */
    size_t n_rest;
};

/* Reads the options whose names stand in `allowed` (blank-separated, "model threads json"). `about` is the text that
 * --help prints before the list of options. Answers -1 to go on, else the exit status: help was printed, or a message
 * on stderr. */
int cli_options_parse(int argc, char **argv, const char *allowed, const char *about, struct cli_options *ret);

/* ---- print.c ---- */

/* "attend COMMAND: message" on stderr; answers CLI_FAILED. */
int cli_fail(const char *command, const struct att_err *err);
/* The same for a missing option; answers CLI_USAGE. */
int cli_missing(const char *command, const char *option);
/* What was written, and a line break, on stdout. The writer stays to be finished. */
enum att_status cli_json_print(struct att_jsonw *w, struct att_err *err) ATT_MUST_USE;

/* ---- env.c: the names that tasks look up ---- */

/* Room for files of one's own, where the daemon guards against strangers. */
extern const struct task_limits cli_limits;

struct cli_env; /* holds models, knowledge base and items until it is destroyed */
/* Loads --model, and --encoder, --reranker and --kb where they are given. */
enum att_status cli_env_create(const struct cli_options *options, struct cli_env **ret_env,
                               struct att_err *err) ATT_MUST_USE;
void cli_env_destroy(struct cli_env *env);
/* A whole command that needs --model and --data: its options, its models, `run`; answers the exit status. */
int cli_env_run(int argc, char **argv, const char *allowed, const char *about,
                enum att_status (*run)(const struct cli_env *env, const struct cli_options *options,
                                       struct att_err *err));
const struct task_env *cli_env_task(const struct cli_env *env);
const struct task_model *cli_env_model(const struct cli_env *env); /* of --model */
const struct task_kb *cli_env_kb(const struct cli_env *env);       /* NULL without --kb */
/* Loads one model; adapters find their base NAME in --base NAME=DIR, DIR/../NAME, DIR/../../var/models/NAME and
 * var/models/NAME, in this order. Free with att_model_unref. */
enum att_status cli_model_load(const char *dir, const struct cli_options *options, struct att_model **ret_model,
                               struct att_err *err) ATT_MUST_USE;

/* ---- verbs.c: commands that say what to do by a word, as attend kb import ---- */

struct cli_verb {
    const char *name;
    int (*run)(const struct cli_env *env, const struct cli_options *options);
    bool creates; /* it may make the file of --kb or --catalogue */
};
struct cli_verbs {
    const char *command, *names, *about,
        *allowed; /* names: of the verbs, for a person; allowed: as cli_options_parse */
    const struct cli_verb *verbs;
    size_t n_verbs;
    /* The name of an option that the verb needs and that was not given, or NULL. */
    const char *(*missing)(const struct cli_verb *verb, const struct cli_options *options);
};
/* The whole command: its options, its models, the verb; answers the exit status. */
int cli_verbs_run(int argc, char **argv, const struct cli_verbs *command);

/* ---- lines.c: one line after the other, of any length up to 64 MiB ---- */

struct cli_lines {
    FILE *file;
    char *text;                          /* the buffer; lines lie in it until the next call */
    size_t begin, end, capacity, number; /* number: of the line last given, from 1 */
    bool eof;
};

void cli_lines_init(struct cli_lines *lines, FILE *file);
void cli_lines_finish(struct cli_lines *lines);
/* The next line that is not blank, NUL-terminated, without its line break; *ret_text is NULL at the end. */
enum att_status cli_lines_next(struct cli_lines *lines, char **ret_text, size_t *ret_len,
                               struct att_err *err) ATT_MUST_USE;

/* ---- map.c: lines in, lines out, in order, by several threads ---- */

struct cli_map {
    void *context; /* shared by all threads; the functions do not change it */
    enum att_status (*worker_create)(void *context, void **ret_worker, struct att_err *err);
    void (*worker_destroy)(void *worker);
    /* Writes the answer of one line: a JSON value, also for an error, which answers false. */
    bool (*line)(void *context, void *worker, const char *text, size_t len, struct att_jsonw *answer);
};

/* Answers CLI_OK, or CLI_FAILED when a line failed or the input or output did. Blank lines give nothing. n_threads 0:
 * as many as there are processors. */
int cli_map_run(const struct cli_map *map, const char *command, FILE *in, FILE *out, size_t n_threads);

#endif
