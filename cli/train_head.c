/*
 * attend train-head: POST /v1/classifiers without a daemon. Labelled texts of a file
 * in, a model directory out: a head over the encoder, which it names and does not
 * hold.
 */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"

enum { DEPTH_MAX = 8 };
static const size_t body_bytes_max = (size_t)1 << 30;

static const char about[] =
    "usage: attend train-head --model ENCODER_DIR --data FILE --out DIR\n\n"
    "Trains a classifier on labelled texts: lines {\"text\",\"label\"} (null: none of the labels), with --multi-label\n"
    "{\"text\",\"labels\":[…]}, or a .tsv file with a header line label<TAB>text. DIR is made, and its name is that "
    "of\n"
    "the classifier. Prints how well it did on texts that it had not seen, as JSON.\n";

/* Where the folder DIR is to be made, and its name. */
struct place {
    char parent[4096];
    const char *name;
};

static bool place_of(const char *out, struct place *place)
{
    const char *slash = strrchr(out, '/');
    place->name = slash ? slash + 1 : out;
    int n = snprintf(place->parent, sizeof place->parent, "%.*s", slash ? (int)(slash - out) : 1, slash ? out : ".");
    return n >= 0 && n < (int)sizeof place->parent && *place->name;
}

static enum att_status put_tsv(const char *line, size_t len, const char *outside, struct att_jsonw *body,
                               struct att_err *err)
{
    const char *tab = memchr(line, '\t', len);
    if (!tab)
        return att_err_set(err, ATT_EFORMAT, "expected a label, a tab and a text");
    size_t label = (size_t)(tab - line);
    att_jsonw_object_begin(body);
    att_jsonw_put_string(body, "text", tab + 1, len - label - 1);
    att_jsonw_key(body, "label");
    if (outside && strlen(outside) == label && memcmp(outside, line, label) == 0)
        att_jsonw_null(body);
    else
        att_jsonw_string(body, line, label);
    att_jsonw_object_end(body);
    return ATT_OK;
}

/* One line as an example; a label that means none of them becomes null. */
static enum att_status put_json(const char *line, size_t len, const char *outside, struct att_jsonw *body,
                                struct att_err *err)
{
    struct att_json *json = NULL;
    enum att_status status = att_json_parse(line, len, 0, DEPTH_MAX, &json, err);
    if (status != ATT_OK)
        return status;
    const char *label = att_json_string(att_json_get(json, "label"), NULL);
    if (label && outside && strcmp(label, outside) == 0) {
        att_jsonw_object_begin(body);
        att_jsonw_key(body, "text");
        att_jsonw_value(body, att_json_get(json, "text"));
        att_jsonw_key(body, "label");
        att_jsonw_null(body);
        att_jsonw_object_end(body);
    } else {
        att_jsonw_value(body, json);
    }
    att_json_destroy(json);
    return ATT_OK;
}

static enum att_status put_examples(const struct cli_options *options, struct att_jsonw *body, struct att_err *err)
{
    const char *dot = strrchr(options->data, '.');
    bool tsv = dot && strcmp(dot, ".tsv") == 0;
    struct cli_lines lines;
    char *line = NULL;
    size_t len = 0;
    FILE *file = fopen(options->data, "rb");
    if (!file)
        return att_err_set(err, ATT_ENOTFOUND, "%s: %s", options->data, strerror(errno));
    cli_lines_init(&lines, file);
    att_jsonw_key(body, "examples");
    att_jsonw_array_begin(body);
    enum att_status status = tsv ? cli_lines_next(&lines, &line, &len, err) : ATT_OK; /* the header */
    if (status == ATT_OK && tsv && (!line || strncmp(line, "label\t", 6) != 0))
        status = att_err_set(err, ATT_EFORMAT, "expected the header line label<TAB>text");
    while (status == ATT_OK && (status = cli_lines_next(&lines, &line, &len, err)) == ATT_OK && line)
        status = (tsv ? put_tsv : put_json)(line, len, options->outside, body, err);
    if (status != ATT_OK)
        att_err_prefix(err, "%s: line %zu", options->data, lines.number);
    att_jsonw_array_end(body);
    cli_lines_finish(&lines);
    fclose(file);
    return status;
}

static enum att_status make_body(const struct cli_options *options, const char *name, struct att_json **ret_body,
                                 struct att_err *err)
{
    struct att_jsonw w;
    char *text = NULL;
    size_t len = 0;
    att_jsonw_init(&w, body_bytes_max);
    att_jsonw_object_begin(&w);
    att_jsonw_put_text(&w, "name", name);
    att_jsonw_put_bool(&w, "multi_label", options->multi_label);
    if (options->precision > 0)
        att_jsonw_put_double(&w, "precision", options->precision, 15);
    enum att_status status = put_examples(options, &w, err);
    att_jsonw_object_end(&w);
    if (status == ATT_OK)
        status = att_jsonw_take(&w, &text, &len, err);
    if (status == ATT_OK)
        status = att_json_parse(text, len, 0, DEPTH_MAX, ret_body, err);
    att_jsonw_finish(&w);
    att_mem_free(text);
    return status;
}

static enum att_status train(const struct cli_options *options, const struct place *place, struct att_err *err)
{
    struct cli_env *env = NULL;
    struct task_contexts *contexts = NULL;
    struct att_json *body = NULL;
    char *answer = NULL;
    size_t len = 0;
    enum att_status status = cli_env_create(options, &env, err);
    if (status == ATT_OK)
        status = make_body(options, place->name, &body, err);
    if (status == ATT_OK)
        status = task_contexts_create(&contexts, err);
    if (status == ATT_OK) {
        struct task_env task = *cli_env_task(env);
        task.classifiers = place->parent;
        status = task_run(contexts, &task_classifier_put, &task, body, &answer, &len, err);
    }
    if (status == ATT_OK)
        puts(answer);
    att_mem_free(answer);
    task_contexts_destroy(contexts);
    att_json_destroy(body);
    cli_env_destroy(env);
    return status;
}

int cli_train_head(int argc, char **argv)
{
    struct cli_options options;
    struct att_err err;
    struct place place;
    int usage =
        cli_options_parse(argc, argv, "model base dtype data out outside precision multi-label", about, &options);
    if (usage >= 0)
        return usage;
    if (!options.model || !options.data || !options.out)
        return cli_missing(argv[0], !options.model ? "model" : !options.data ? "data" : "out");
    enum att_status status = place_of(options.out, &place)
                                 ? train(&options, &place, &err)
                                 : att_err_set(&err, ATT_EINVAL, "%s: is no name of a folder", options.out);
    return status == ATT_OK ? CLI_OK : cli_fail(argv[0], &err);
}
