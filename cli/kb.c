/*
 * attend kb: knowledge bases from the command line. An import checks every line
 * first, then embeds the entries that are new or changed, and writes all of them
 * in one transaction: it is there wholly or not at all, the file is locked for a
 * moment only, and running it again changes nothing.
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "cli/kb_verbs.h"
#include "cli/table_file.h"
#include "tasks/kb/kb_entry.h"

enum { CHUNK = 64, DEPTH_MAX = 16, BODY_BYTES_MAX = 128 << 20, JOBS_BYTES = 64 << 20, ENTRIES_BYTES = 1 << 30 };

struct place {
    int64_t id;
    size_t line;
};

struct import {
    const struct cli_env *env;
    const struct cli_table_file *file;
    struct att_arena arena;         /* holds what the entries are made of, beside json */
    struct att_json **json;         /* [n_entries], the entries' texts */
    struct store_kb_entry *entries; /* new or changed */
    size_t n_entries, n_texts;
    float *vectors;                  /* [n_texts][hidden_size] */
    size_t first, count, texts_done; /* of the chunk that is embedded */
};

static int by_id(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return x->id != y->id ? (x->id > y->id) - (x->id < y->id) : (x->line > y->line) - (x->line < y->line);
}

/* An id on two lines would keep the last of them without a word. */
static enum att_status check_ids(struct place *places, size_t n, struct att_err *err)
{
    qsort(places, n, sizeof *places, by_id);
    for (size_t i = 1; i < n; i++)
        if (places[i].id == places[i - 1].id)
            return att_err_set(err, ATT_EFORMAT, "line %zu: id: %lld stands on line %zu already", places[i].line,
                               (long long)places[i].id, places[i - 1].line);
    return ATT_OK;
}

/* Tokenises the entry, so that nothing is written of a file that holds a text too long for the encoder. */
static enum att_status check_texts(const struct import *import, const struct store_kb_entry *entry, struct att_err *err)
{
    struct att_arena arena;
    att_arena_init(&arena, JOBS_BYTES);
    struct task_call call = {.env = cli_env_task(import->env), .arena = &arena};
    enum att_status status = task_kb_entry_jobs(&call, cli_env_kb(import->env)->encoder, "", entry, 1, err);
    att_arena_finish(&arena);
    return status;
}

/* Line i: kept in `entries` when it differs from what is stored. */
static enum att_status take_entry(struct import *import, const struct store_kb_view *view, size_t i, int64_t *ret_id,
                                  struct att_err *err)
{
    struct task_call call = {.env = cli_env_task(import->env), .arena = &import->arena};
    const char *text = import->file->entries[i];
    struct att_json *json = NULL;
    struct store_kb_entry entry;
    enum att_status status = att_json_parse(text, strlen(text), 0, DEPTH_MAX, &json, err);
    if (status == ATT_OK)
        status = task_kb_entry_parse(&call, json, "", 0, &entry, err);
    bool changed = status == ATT_OK && !store_kb_same(view, &entry);
    if (changed)
        status = check_texts(import, &entry, err);
    if (status != ATT_OK) {
        att_json_destroy(json);
        return status;
    }
    *ret_id = entry.id;
    if (changed) {
        import->json[import->n_entries] = json;
        import->entries[import->n_entries++] = entry;
        import->n_texts += 1 + entry.n_alternates;
    } else {
        att_json_destroy(json);
    }
    return ATT_OK;
}

/* Parses every line. */
static enum att_status take_entries(struct import *import, const struct store_kb_view *view, struct att_err *err)
{
    size_t n = import->file->count;
    enum att_status status = ATT_OK;
    struct place *places = att_mem_calloc(n + 1, sizeof *places);
    import->json = att_mem_calloc(n + 1, sizeof(struct att_json *));
    import->entries = att_mem_calloc(n + 1, sizeof *import->entries);
    if (!places || !import->json || !import->entries)
        status = att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        places[i].line = import->file->numbers[i];
        status = take_entry(import, view, i, &places[i].id, err);
        if (status != ATT_OK)
            att_err_prefix(err, "line %zu", places[i].line);
    }
    if (status == ATT_OK)
        status = check_ids(places, n, err);
    att_mem_free(places);
    return status;
}

/* A chunk of entries as a task, so that its jobs are packed and run as those of any other. */
static enum att_status embed_parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    const struct import *import = call->env->context;
    (void)body;
    return task_kb_entry_jobs(call, cli_env_kb(import->env)->encoder, "", import->entries + import->first,
                              import->count, err);
}

static enum att_status embed_render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct import *import = call->env->context;
    const struct task_model *encoder = cli_env_kb(import->env)->encoder;
    size_t hidden = att_model_info(encoder->model)->hidden_size;
    const float *vectors = task_kb_entry_vectors(call, encoder, err);
    if (!vectors)
        return err->status;
    memcpy(import->vectors + import->texts_done * hidden, vectors, call->n_jobs * hidden * sizeof *vectors);
    import->texts_done += call->n_jobs;
    att_jsonw_null(answer);
    return ATT_OK;
}

static enum att_status embed_entries(struct import *import, struct att_err *err)
{
    static const struct task embed = {.name = "kb_import", .parse = embed_parse, .render = embed_render};
    size_t hidden = att_model_info(cli_env_kb(import->env)->encoder->model)->hidden_size, floats;
    struct task_env env = *cli_env_task(import->env);
    struct task_contexts *contexts = NULL;
    env.context = import;
    if (att_size_mul(import->n_texts + 1, hidden, &floats))
        import->vectors = att_mem_aligned(floats, sizeof *import->vectors);
    if (!import->vectors)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the vectors");
    enum att_status status = task_contexts_create(&contexts, err);
    for (import->first = 0; status == ATT_OK && import->first < import->n_entries; import->first += import->count) {
        size_t left = import->n_entries - import->first, len;
        char *answer = NULL;
        import->count = left < CHUNK ? left : CHUNK;
        status = task_run(contexts, &embed, &env, NULL, &answer, &len, err);
        att_mem_free(answer);
    }
    task_contexts_destroy(contexts);
    return status;
}

static void import_finish(struct import *import)
{
    for (size_t i = 0; i < import->n_entries; i++)
        att_json_destroy(import->json[i]);
    att_mem_free(import->json);
    att_mem_free(import->entries);
    att_mem_free(import->vectors);
    att_arena_finish(&import->arena);
}

static int run_import(const struct cli_env *env, const char *path)
{
    struct att_err err;
    struct cli_table_file file;
    struct store_kb *kb = cli_env_kb(env)->kb;
    struct import import = {.env = env, .file = &file};
    att_arena_init(&import.arena, ENTRIES_BYTES);
    enum att_status status = cli_table_file_read(path, &cli_kb_columns, &file, &err);
    if (status == ATT_OK) {
        const struct store_kb_view *view = store_kb_view(kb);
        status = take_entries(&import, view, &err);
        store_kb_view_release(kb, view);
        if (status != ATT_OK)
            att_err_prefix(&err, "%s", path);
    }
    if (status == ATT_OK && import.n_entries > 0)
        status = embed_entries(&import, &err);
    if (status == ATT_OK && import.n_entries > 0)
        status = store_kb_put(kb, import.entries, import.n_entries, import.vectors, false, &err);
    if (status == ATT_OK)
        printf("%zu entries read, %zu written, %zu unchanged\n", file.count, import.n_entries,
               file.count - import.n_entries);
    import_finish(&import);
    cli_table_file_finish(&file);
    return status == ATT_OK ? CLI_OK : cli_fail("kb", &err);
}

/* Every entry as a line of JSON or a row of CSV, ready to be imported. */
static int run_export(const struct cli_env *env, bool csv)
{
    struct store_kb *kb = cli_env_kb(env)->kb;
    const struct store_kb_view *view = store_kb_view(kb);
    int code = CLI_OK;
    for (size_t i = 0; code == CLI_OK && i < view->n_entries; i++) {
        struct att_jsonw w;
        struct att_err err;
        char *text = NULL;
        size_t len;
        att_jsonw_init(&w, BODY_BYTES_MAX);
        if (csv && i == 0)
            task_kb_csv_header(&w);
        if (csv)
            task_kb_csv_row(&view->entries[i], &w);
        else
            task_kb_entry_render(&view->entries[i], &w);
        if (att_jsonw_take(&w, &text, &len, &err) != ATT_OK)
            code = cli_fail("kb", &err);
        else
            printf("%s%s", text, csv ? "" : "\n");
        att_mem_free(text);
    }
    store_kb_view_release(kb, view);
    /* This is a backup for some: a cut one must not look whole. */
    if (code == CLI_OK && (fflush(stdout) != 0 || ferror(stdout))) {
        fprintf(stderr, "attend kb: standard output cannot be written\n");
        code = CLI_FAILED;
    }
    return code;
}

static int run_list(const struct cli_env *env)
{
    struct store_kb *kb = cli_env_kb(env)->kb;
    const struct store_kb_view *view = store_kb_view(kb);
    for (size_t i = 0; i < view->n_entries; i++)
        printf("%lld\t%s\t%zu\t%s\n", (long long)view->entries[i].id, view->entries[i].lang,
               view->entries[i].n_alternates, view->entries[i].question);
    store_kb_view_release(kb, view);
    return CLI_OK;
}

static int import_verb(const struct cli_env *env, const struct cli_options *options)
{
    return run_import(env, options->file);
}

static int export_verb(const struct cli_env *env, const struct cli_options *options)
{
    return run_export(env, options->format && strcmp(options->format, "csv") == 0);
}

static int list_verb(const struct cli_env *env, const struct cli_options *options)
{
    (void)options;
    return run_list(env);
}

static const struct cli_verb verbs[] = {
    {.name = "import", .run = import_verb, .creates = true},
    {.name = "export", .run = export_verb},
    {.name = "list", .run = list_verb},
    {.name = "fit", .run = cli_kb_fit},
    {.name = "check", .run = cli_kb_check},
};

/* The option that the verb needs beside --kb and --model, or NULL. */
static const char *missing_option(const struct cli_verb *verb, const struct cli_options *options)
{
    if (!options->model || !options->kb)
        return options->model ? "kb" : "model";
    if (verb->run == import_verb && !options->file)
        return "file";
    return verb->run == cli_kb_fit && !options->data ? "data" : NULL;
}

int cli_kb(int argc, char **argv)
{
    static const char about[] =
        "usage: attend kb import --kb FILE --model ENCODER_DIR --file ENTRIES.jsonl|.csv\n"
        "       attend kb export --kb FILE --model ENCODER_DIR [--format jsonl|csv]\n"
        "       attend kb list --kb FILE --model ENCODER_DIR\n"
        "       attend kb fit --kb FILE --model ENCODER_DIR --data QUESTIONS.jsonl [--reranker DIR] [--precision P]\n"
        "       attend kb check --kb FILE --model ENCODER_DIR [--json]\n\n"
        "A knowledge base is one file; the encoder embeds its questions. Import adds and replaces by id. Fit finds "
        "weights,\n"
        "confidence, threshold and margin from lines {\"question\",\"context\",\"expect\"}, expect null: no entry "
        "answers.\n"
        "Check finds entries that answer each other's questions, contradict each other, have expired or prompt for "
        "none.\n";
    static const struct cli_verbs command = {
        .command = "kb",
        .names = "import, export, list, fit or check",
        .about = about,
        .allowed = "model base kb file format data reranker precision dry-run json dtype",
        .verbs = verbs,
        .n_verbs = sizeof verbs / sizeof *verbs,
        .missing = missing_option,
    };
    return cli_verbs_run(argc, argv, &command);
}
