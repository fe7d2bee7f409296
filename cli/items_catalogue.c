/*
 * attend items import and export: the catalogue of a recommender, which is what a
 * daemon with it in its configuration takes at PUT /v1/models/{id}/items, in the same
 * form. An import checks every line first, then embeds and stores some hundred items
 * at a time; it replaces by id, so one that was cut off is simply run again. Both may
 * run beside a daemon that serves the file, which sees the items at once.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/items_verbs.h"
#include "cli/table_file.h"
#include "core/base/jsonw.h"
#include "store/catalogue.h"
#include "store/items.h"
#include "tasks/csv.h"
#include "tasks/task.h"

enum { CHUNK = 256, DEPTH_MAX = 16, ARENA_BYTES = 256 << 20, LINE_BYTES_MAX = 8 << 20 };

/* Lines first .. first + n - 1 as the body of a request. */
static enum att_status body_of(const struct cli_table_file *file, size_t first, size_t n, struct att_json **ret_body,
                               struct att_err *err)
{
    struct att_jsonw w;
    char *text = NULL;
    size_t len = 0;
    att_jsonw_init(&w, (size_t)1 << 31);
    att_jsonw_object_begin(&w);
    att_jsonw_key(&w, "items");
    att_jsonw_array_begin(&w);
    for (size_t i = first; i < first + n; i++)
        att_jsonw_raw(&w, file->entries[i], strlen(file->entries[i]));
    att_jsonw_array_end(&w);
    att_jsonw_object_end(&w);
    enum att_status status = att_jsonw_take(&w, &text, &len, err);
    att_jsonw_finish(&w);
    if (status == ATT_OK)
        status = att_json_parse(text, len, 0, DEPTH_MAX, ret_body, err);
    att_mem_free(text);
    return status;
}

/* One line by itself, so that what is wrong is told by its number: its fields, and how long its texts are. */
static enum att_status check_line(const struct cli_env *env, const struct cli_table_file *file, size_t i,
                                  struct att_err *err)
{
    struct att_json *line = NULL, *body = NULL;
    struct att_arena arena;
    att_arena_init(&arena, ARENA_BYTES);
    struct task_call call = {.task = &task_items_put, .env = cli_env_task(env), .arena = &arena};
    enum att_status status = att_json_parse(file->entries[i], strlen(file->entries[i]), 0, DEPTH_MAX, &line, err);
    if (status == ATT_OK)
        status = body_of(file, i, 1, &body, err);
    if (status == ATT_OK)
        status = task_items_put.parse(&call, body, err);
    task_items_put.finish(&call);
    att_json_destroy(body);
    att_json_destroy(line);
    att_arena_finish(&arena);
    if (status == ATT_OK || status == ATT_ENOMEM)
        return status;
    static const char first[] = "items[0].";
    if (strncmp(err->message, first, sizeof first - 1) == 0)
        memmove(err->message, err->message + sizeof first - 1, strlen(err->message + sizeof first - 1) + 1);
    return att_err_prefix(err, "line %zu", file->numbers[i]);
}

static enum att_status write_items(const struct cli_env *env, const struct cli_table_file *file, size_t *ret_embedded,
                                   struct att_err *err)
{
    struct task_contexts *contexts = NULL;
    enum att_status status = task_contexts_create(&contexts, err);
    for (size_t first = 0; status == ATT_OK && first < file->count; first += CHUNK) {
        const size_t left = file->count - first;
        struct att_json *body = NULL, *answer = NULL;
        char *text = NULL;
        size_t len = 0;
        status = body_of(file, first, left < CHUNK ? left : CHUNK, &body, err);
        if (status == ATT_OK)
            status = task_run(contexts, &task_items_put, cli_env_task(env), body, &text, &len, err);
        if (status == ATT_OK)
            status = att_json_parse(text, len, 0, DEPTH_MAX, &answer, err);
        *ret_embedded += (size_t)att_json_number(att_json_get(answer, "embedded"), 0);
        att_json_destroy(answer);
        att_json_destroy(body);
        att_mem_free(text);
    }
    task_contexts_destroy(contexts);
    return status;
}

int cli_items_import(const struct cli_env *env, const struct cli_options *options)
{
    struct att_err err;
    struct cli_table_file file;
    size_t embedded = 0;
    enum att_status status = cli_table_file_read(options->file, &cli_item_columns, &file, &err);
    for (size_t i = 0; status == ATT_OK && i < file.count; i++) {
        status = check_line(env, &file, i, &err);
        if (status != ATT_OK)
            att_err_prefix(&err, "%s", options->file);
    }
    if (status == ATT_OK)
        status = write_items(env, &file, &embedded, &err);
    if (status == ATT_OK)
        printf("%zu items written, %zu embedded\n", file.count, embedded);
    cli_table_file_finish(&file);
    return status == ATT_OK ? CLI_OK : cli_fail("items", &err);
}

/* ---- export ---- */

static void put_json(const struct store_catalogue_item *item, struct att_jsonw *w)
{
    const struct {
        const char *name, *text;
    } texts[] = {{"id", item->id}, {"title", item->title}, {"text", item->text}};
    att_jsonw_object_begin(w);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!texts[i].text)
            continue;
        att_jsonw_put_text(w, texts[i].name, texts[i].text);
    }
    if (item->metadata) {
        att_jsonw_key(w, "metadata");
        att_jsonw_raw(w, item->metadata, strlen(item->metadata));
    }
    if (item->popularity >= 0)
        att_jsonw_put_int(w, "popularity", item->popularity);
    if (item->unavailable || item->deleted)
        att_jsonw_put_bool(w, "available", false);
    att_jsonw_object_end(w);
}

static void put_row(const struct store_catalogue_item *item, struct att_jsonw *w)
{
    const char *const texts[] = {item->id, item->title, item->text, item->metadata};
    char rest[48] = ",";
    if (item->popularity >= 0)
        snprintf(rest, sizeof rest, ",%lld", (long long)item->popularity);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (i > 0)
            att_jsonw_append(w, ",", 1);
        task_csv_field(w, texts[i] ? texts[i] : "");
    }
    att_jsonw_append(w, rest, strlen(rest));
    const char *end = item->unavailable || item->deleted ? ",false\r\n" : ",\r\n";
    att_jsonw_append(w, end, strlen(end));
}

/* One item on standard output. */
static enum att_status print_item(const struct store_catalogue_item *item, bool csv, struct att_err *err)
{
    struct att_jsonw w;
    char *text = NULL;
    size_t len = 0;
    att_jsonw_init(&w, LINE_BYTES_MAX);
    if (csv)
        put_row(item, &w);
    else
        put_json(item, &w);
    enum att_status status = att_jsonw_take(&w, &text, &len, err);
    att_jsonw_finish(&w);
    if (status == ATT_OK)
        printf("%s%s", text, csv ? "" : "\n");
    att_mem_free(text);
    return status;
}

/* A removed item of the model is one that is not available; a removed new one is none. */
int cli_items_export(const struct cli_env *env, const struct cli_options *options)
{
    const struct task_model *model = cli_env_model(env);
    const struct store_catalogue_view *view = NULL;
    const bool csv = options->format && strcmp(options->format, "csv") == 0;
    struct att_err err;
    enum att_status status = store_catalogue_view(model->catalogue, &view, &err);
    if (status != ATT_OK)
        return cli_fail("items", &err);
    if (csv)
        printf("id,title,text,metadata,popularity,available\r\n");
    for (size_t i = 0; status == ATT_OK && i < view->n; i++) {
        const bool known = model->items ? store_items_find(model->items, view->items[i]->id) > 0 : true;
        if (!view->items[i]->deleted || known)
            status = print_item(view->items[i], csv, &err);
    }
    store_catalogue_view_release(view);
    if (status != ATT_OK)
        return cli_fail("items", &err);
    /* This is a backup for some: a cut one must not look whole. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "attend items: standard output cannot be written\n");
        return CLI_FAILED;
    }
    return CLI_OK;
}
