/*
 * attend kb: knowledge bases from the command line. An import checks every line
 * first, then embeds and writes the entries that are new or changed; running it
 * again changes nothing.
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "cli/kb_file.h"
#include "tasks/kb_entry.h"

enum { CHUNK = 64, DEPTH_MAX = 16, BODY_BYTES_MAX = 128 << 20, ARENA_BYTES = 64 << 20 };

struct place {
    int64_t id;
    size_t line;
};

struct import {
    const struct cli_env *env;
    const struct cli_kb_file *file;
    bool *changed; /* [file->count] */
    size_t n_changed;
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

/* Parses every entry and notes which differ from the stored ones. Those are tokenised too, so that nothing is written
 * of a file that holds a text too long for the encoder. */
static enum att_status check_entries(struct import *import, const struct store_kb_view *view, struct att_err *err)
{
    enum att_status status = ATT_OK;
    struct place *places = att_mem_calloc(import->file->count + 1, sizeof *places);
    if (!places)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t i = 0; status == ATT_OK && i < import->file->count; i++) {
        const char *text = import->file->entries[i];
        struct att_json *json = NULL;
        struct att_arena arena;
        struct store_kb_entry entry;
        att_arena_init(&arena, ARENA_BYTES);
        struct task_call call = {.env = cli_env_task(import->env), .arena = &arena};
        status = att_json_parse(text, strlen(text), 0, DEPTH_MAX, &json, err);
        if (status == ATT_OK)
            status = task_kb_entry_parse(&call, json, "", 0, &entry, err);
        if (status == ATT_OK)
            import->changed[i] = !store_kb_same(view, &entry);
        if (status == ATT_OK && import->changed[i])
            status = task_kb_entry_jobs(&call, cli_env_kb(import->env)->encoder, "", &entry, 1, err);
        if (status == ATT_OK)
            places[i] = (struct place){entry.id, import->file->numbers[i]};
        import->n_changed += import->changed[i];
        if (status != ATT_OK)
            att_err_prefix(err, "line %zu", import->file->numbers[i]);
        att_json_destroy(json);
        att_arena_finish(&arena);
    }
    if (status == ATT_OK)
        status = check_ids(places, import->file->count, err);
    att_mem_free(places);
    return status;
}

/* The next changed entries from *at on as a request body. */
static enum att_status chunk_body(const struct import *import, size_t *at, struct att_json **ret_body,
                                  struct att_err *err)
{
    struct att_jsonw w;
    char *text = NULL;
    size_t len = 0, count = 0;
    att_jsonw_init(&w, BODY_BYTES_MAX);
    att_jsonw_object_begin(&w);
    att_jsonw_key(&w, "entries");
    att_jsonw_array_begin(&w);
    for (; *at < import->file->count && count < CHUNK; ++*at)
        if (import->changed[*at]) {
            att_jsonw_raw(&w, import->file->entries[*at], strlen(import->file->entries[*at]));
            count++;
        }
    att_jsonw_array_end(&w);
    att_jsonw_object_end(&w);
    enum att_status status = att_jsonw_take(&w, &text, &len, err);
    if (status == ATT_OK && count > 0)
        status = att_json_parse(text, len, 0, DEPTH_MAX, ret_body, err);
    att_mem_free(text);
    return status;
}

static enum att_status write_entries(const struct import *import, struct att_err *err)
{
    struct task_contexts *contexts = NULL;
    enum att_status status = task_contexts_create(&contexts, err);
    for (size_t at = 0; status == ATT_OK && at < import->file->count;) {
        struct att_json *body = NULL;
        char *answer = NULL;
        size_t len;
        status = chunk_body(import, &at, &body, err);
        if (status == ATT_OK && body)
            status = task_run(contexts, &task_kb_entries_put, cli_env_task(import->env), body, &answer, &len, err);
        att_json_destroy(body);
        att_mem_free(answer);
    }
    task_contexts_destroy(contexts);
    return status;
}

static int run_import(const struct cli_env *env, const char *path)
{
    struct att_err err;
    struct cli_kb_file file;
    struct store_kb *kb = cli_env_kb(env)->kb;
    struct import import = {.env = env, .file = &file};
    enum att_status status = cli_kb_file_read(path, &file, &err);
    if (status == ATT_OK && !(import.changed = att_mem_calloc(file.count + 1, sizeof *import.changed)))
        status = att_err_set(&err, ATT_ENOMEM, "out of memory");
    if (status == ATT_OK) {
        const struct store_kb_view *view = store_kb_view(kb);
        status = check_entries(&import, view, &err);
        store_kb_view_release(kb, view);
        if (status != ATT_OK)
            att_err_prefix(&err, "%s", path);
    }
    if (status == ATT_OK)
        status = write_entries(&import, &err);
    if (status == ATT_OK)
        printf("%zu entries read, %zu written, %zu unchanged\n", file.count, import.n_changed,
               file.count - import.n_changed);
    att_mem_free(import.changed);
    cli_kb_file_finish(&file);
    return status == ATT_OK ? CLI_OK : cli_fail("kb", &err);
}

/* Every entry as a line of JSON, ready to be imported. */
static int run_export(const struct cli_env *env)
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
        task_kb_entry_render(&view->entries[i], &w);
        if (att_jsonw_take(&w, &text, &len, &err) != ATT_OK)
            code = cli_fail("kb", &err);
        else
            puts(text);
        att_mem_free(text);
    }
    store_kb_view_release(kb, view);
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

int cli_kb(int argc, char **argv)
{
    static const char about[] =
        "usage: attend kb import --kb FILE --model ENCODER_DIR --file ENTRIES.jsonl|.csv\n"
        "       attend kb export|list --kb FILE --model ENCODER_DIR\n\n"
        "A knowledge base is one file; the encoder embeds its questions. Import adds and replaces by id.\n";
    struct cli_options options;
    struct cli_env *env = NULL;
    struct att_err err;
    int code = cli_options_parse(argc, argv, "model kb file dtype", about, &options);
    if (code >= 0)
        return code;
    const char *verb = options.n_rest == 1 ? options.rest[0] : "";
    bool import = strcmp(verb, "import") == 0, export = strcmp(verb, "export") == 0;
    if (!import && !export && strcmp(verb, "list") != 0) {
        fprintf(stderr, "attend kb: expected import, export or list; attend kb --help says more\n");
        return CLI_USAGE;
    }
    if (!options.model || !options.kb || (import && !options.file))
        return cli_missing("kb", !options.model ? "model" : !options.kb ? "kb" : "file");
    if (cli_env_create(&options, &env, &err) != ATT_OK)
        return cli_fail("kb", &err);
    code = import ? run_import(env, options.file) : export ? run_export(env) : run_list(env);
    cli_env_destroy(env);
    return code;
}
