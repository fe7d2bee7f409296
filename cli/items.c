/* attend items: its verbs, and index, which embeds the texts of an item table, so that items can be ranked by words. */
#include "cli/cli.h"

#include <string.h>

#include "cli/items_verbs.h"
#include "store/items.h"
#include "tasks/window.h"

enum { ARENA_BYTES = 16 << 20 };

/* The vector of one text into out[dimensions]: of its windows, averaged by their tokens. */
static enum att_status embed(const struct cli_env *env, struct att_context *context, const char *text, size_t len,
                             float *out, struct att_err *err)
{
    const struct task_model *encoder = cli_env_model(env)->encoder;
    const struct att_model_info *info = att_model_info(encoder->model);
    const struct task_windows_options options = {.pooled = true, .stride = SIZE_MAX, .prompt = info->passage_prompt};
    size_t dimensions = info->hidden_size;
    struct att_arena arena;
    struct task_windows windows;
    att_arena_init(&arena, ARENA_BYTES);
    struct task_call call = {.env = cli_env_task(env), .arena = &arena};
    enum att_status status = task_windows_plan(&call, encoder, &options, text, len, NULL, 0, "text", &windows, err);
    if (status == ATT_OK)
        status = task_windows_jobs(&call, &options, &windows, 1, err);
    for (size_t i = 0; status == ATT_OK && i < call.n_jobs; i++) {
        struct task_job *job = &call.jobs[i];
        task_jobs_run(context, &job, 1);
        status = job->status == ATT_OK ? ATT_OK : att_err_set(err, job->status, "the encoder could not read the text");
        for (size_t d = 0; status == ATT_OK && d < dimensions; d++)
            out[d] += job->pooled[d] * (float)job->len;
    }
    if (status == ATT_OK)
        att_l2_normalize(dimensions, out);
    att_arena_finish(&arena);
    return status;
}

static enum att_status index_items(const struct cli_env *env, size_t *ret_count, struct att_err *err)
{
    const struct task_model *model = cli_env_model(env);
    const struct att_model_info *info = att_model_info(model->encoder->model);
    size_t n = store_items_count(model->items), floats = 0, count = 0;
    struct att_context *context = NULL;
    float *vectors = att_size_mul(n + 1, info->hidden_size, &floats) ? att_mem_aligned(floats, sizeof *vectors) : NULL;
    enum att_status status = vectors ? att_context_create(model->encoder->model, info->max_tokens, 1, &context, err)
                                     : att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t i = 1; status == ATT_OK && i <= n; i++) {
        const struct store_item *item = store_items_at(model->items, i);
        if (!item->id || item->text_len == 0)
            continue;
        status = embed(env, context, item->text, item->text_len, vectors + i * info->hidden_size, err);
        if (status != ATT_OK)
            att_err_prefix(err, "item '%.60s'", item->id);
        count++;
    }
    if (status == ATT_OK)
        status = store_items_vectors_write(model->items, vectors, info->digest, info->hidden_size, err);
    att_context_destroy(context);
    att_mem_free(vectors);
    if (status == ATT_OK)
        *ret_count = count;
    return status;
}

static int index_verb(const struct cli_env *env, const struct cli_options *options)
{
    const struct task_model *model = cli_env_model(env);
    struct att_err err;
    size_t count = 0;
    if (!model->items || !model->encoder || !att_model_tokenizer(model->encoder->model)) {
        att_err_set(&err, ATT_EINVAL, "%s: %s", options->model,
                    !model->items ? "has no items.jsonl" : "needs --encoder, a model that embeds texts");
        return cli_fail("items", &err);
    }
    if (index_items(env, &count, &err) != ATT_OK)
        return cli_fail("items", &err);
    printf("%zu items embedded\n", count);
    return CLI_OK;
}

static const struct cli_verb verbs[] = {
    {.name = "index", .run = index_verb},
    {.name = "import", .run = cli_items_import, .creates = true},
    {.name = "export", .run = cli_items_export},
};

static const char *missing_option(const struct cli_verb *verb, const struct cli_options *options)
{
    if (!options->model)
        return "model";
    if (verb->run != index_verb && !options->catalogue)
        return "catalogue";
    return verb->run == cli_items_import && !options->file ? "file" : NULL;
}

int cli_items(int argc, char **argv)
{
    static const char about[] =
        "usage: attend items index --model RECOMMENDER_DIR --encoder ENCODER_DIR\n"
        "       attend items import --model RECOMMENDER_DIR --encoder ENCODER_DIR --catalogue FILE --file FILE\n"
        "       attend items export --model RECOMMENDER_DIR --encoder ENCODER_DIR --catalogue FILE [--format csv]\n\n"
        "Index embeds the texts of items.jsonl into items.index beside it. A catalogue is a file of items that were\n"
        "put or changed while the model serves; import adds and replaces by id and embeds the texts, export writes\n"
        "what import takes: JSON lines (FILE.jsonl, the default) or CSV (FILE.csv).\n";
    static const struct cli_verbs command = {
        .command = "items",
        .names = "index, import or export",
        .about = about,
        .allowed = "model encoder catalogue file format dtype",
        .verbs = verbs,
        .n_verbs = sizeof verbs / sizeof *verbs,
        .missing = missing_option,
    };
    return cli_verbs_run(argc, argv, &command);
}
