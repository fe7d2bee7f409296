/* Reading labelled texts; see samples.h. */
#include "cli/samples.h"

#include <errno.h>
#include <string.h>

enum { DEPTH_MAX = 8, ANSWER_DEPTH_MAX = 16, LABEL_BYTES = 256, SAMPLES_MAX = 10000000 };

struct reader {
    const struct cli_options *options;
    const struct att_model_info *info;
    size_t head; /* of plain labels */
};

static enum att_status find_head(const struct att_model_info *info, const char *name, size_t *ret, struct att_err *err)
{
    for (size_t i = 0; i < info->n_head_infos; i++)
        if (strcmp(info->heads[i].name, name) == 0) {
            *ret = i;
            return ATT_OK;
        }
    return att_err_set(err, ATT_ENOTFOUND, "the model has no head '%.60s'", name);
}

/* The label's new name by --map. */
static const char *mapped(const struct cli_options *options, const char *label)
{
    size_t len = strlen(label);
    for (size_t i = 0; i < options->n_maps; i++)
        if (strncmp(options->maps[i], label, len) == 0 && options->maps[i][len] == '=')
            return options->maps[i] + len + 1;
    return label;
}

static enum att_status set_label(const struct reader *reader, struct cli_sample *sample, size_t head, const char *label,
                                 struct att_err *err)
{
    const struct att_head_info *info = &reader->info->heads[head];
    const char *name = mapped(reader->options, label);
    for (size_t i = 0; i < info->n_labels; i++)
        if (strcmp(info->labels[i], name) == 0) {
            sample->labels[head] = info->multi_label ? 0 : i;
            sample->several[info->logits_begin + i] = 1;
            return ATT_OK;
        }
    bool outside = (info->out_of_scope_label && strcmp(info->out_of_scope_label, name) == 0) ||
                   (reader->options->outside && strcmp(reader->options->outside, name) == 0);
    if (!outside || info->multi_label)
        return att_err_set(err, ATT_EFORMAT, "'%.60s' is no label of head '%s' (--map OLD=NEW renames labels)", name,
                           info->name);
    sample->labels[head] = CLI_LABEL_OUTSIDE;
    return ATT_OK;
}

/* One label, or the list of a multi-label head. */
static enum att_status set_labels(const struct reader *reader, struct cli_sample *sample, size_t head,
                                  const struct att_json *value, struct att_err *err)
{
    const struct att_head_info *info = &reader->info->heads[head];
    const char *label = att_json_string(value, NULL);
    if (label)
        return set_label(reader, sample, head, label, err);
    if (!info->multi_label || !att_json_is_array(value))
        return att_err_set(err, ATT_EFORMAT, "head '%s': is %s, expected %s", info->name, att_json_type_name(value),
                           info->multi_label ? "a list of labels" : "a label");
    sample->labels[head] = 0;
    for (size_t i = 0; i < att_json_count(value); i++) {
        label = att_json_string(att_json_at(value, i), NULL);
        enum att_status status = label ? set_label(reader, sample, head, label, err)
                                       : att_err_set(err, ATT_EFORMAT, "head '%s': label %zu is %s, expected a string",
                                                     info->name, i, att_json_type_name(att_json_at(value, i)));
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

static enum att_status add(struct cli_samples *samples, const struct att_model_info *info, const char *text, size_t len,
                           struct cli_sample **ret_sample, struct att_err *err)
{
    if (samples->count == SAMPLES_MAX)
        return att_err_limit(err, NULL, SAMPLES_MAX, SAMPLES_MAX + 1, "more than %d texts", SAMPLES_MAX);
    if (samples->count == samples->capacity) {
        size_t more = samples->capacity ? samples->capacity * 2 : 1024;
        struct cli_sample *items = att_mem_realloc(samples->items, more, sizeof *items);
        if (!items)
            return att_err_set(err, ATT_ENOMEM, "out of memory");
        samples->items = items;
        samples->capacity = more;
    }
    struct cli_sample *sample = &samples->items[samples->count++];
    *sample = (struct cli_sample){.text = att_mem_calloc(len + 1, 1), .len = len};
    sample->labels = att_mem_calloc(info->n_head_infos, sizeof *sample->labels);
    sample->several = att_mem_calloc(info->n_logits, 1);
    if (!sample->text || !sample->labels || !sample->several)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    memcpy(sample->text, text, len);
    for (size_t i = 0; i < info->n_head_infos; i++)
        sample->labels[i] = CLI_LABEL_NONE;
    *ret_sample = sample;
    return ATT_OK;
}

static enum att_status read_object(const struct reader *reader, const struct att_json *root,
                                   struct cli_samples *samples, struct att_err *err)
{
    size_t len, head = 0;
    const char *text = att_json_string(att_json_get(root, "text"), &len);
    const char *label = att_json_string(att_json_get(root, "label"), NULL), *name;
    const struct att_json *labels = att_json_get(root, "labels"), *value;
    struct att_json_iter iter;
    struct cli_sample *sample = NULL;
    bool is_list = att_json_is_array(labels), by_head = att_json_is_object(labels) && att_json_count(labels) > 0;
    if (!text || (!label && !is_list && !by_head))
        return att_err_set(err, ATT_EFORMAT, "expected {\"text\",\"label\"} or {\"text\",\"labels\":{HEAD:LABEL}}");
    enum att_status status = add(samples, reader->info, text, len, &sample, err);
    if (status == ATT_OK && label)
        status = set_label(reader, sample, reader->head, label, err);
    if (status == ATT_OK && is_list)
        status = set_labels(reader, sample, reader->head, labels, err);
    if (!by_head)
        return status;
    att_json_iter_init(&iter, labels);
    while (status == ATT_OK && att_json_iter_next(&iter, &name, &value)) {
        status = find_head(reader->info, name, &head, err);
        if (status == ATT_OK)
            status = set_labels(reader, sample, head, value, err);
    }
    return status;
}

static enum att_status read_json(const struct reader *reader, const char *line, size_t len, struct cli_samples *samples,
                                 struct att_err *err)
{
    struct att_json *root = NULL;
    enum att_status status = att_json_parse(line, len, 0, DEPTH_MAX, &root, err);
    if (status == ATT_OK)
        status = read_object(reader, root, samples, err);
    att_json_destroy(root);
    return status;
}

static enum att_status read_tsv(const struct reader *reader, const char *line, size_t len, struct cli_samples *samples,
                                struct att_err *err)
{
    const char *tab = memchr(line, '\t', len);
    char label[LABEL_BYTES];
    struct cli_sample *sample = NULL;
    if (!tab || (size_t)(tab - line) >= sizeof label)
        return att_err_set(err, ATT_EFORMAT, "expected a label, a tab and a text");
    snprintf(label, sizeof label, "%.*s", (int)(tab - line), line);
    enum att_status status = add(samples, reader->info, tab + 1, len - (size_t)(tab + 1 - line), &sample, err);
    return status == ATT_OK ? set_label(reader, sample, reader->head, label, err) : status;
}

static enum att_status read_lines(const struct reader *reader, FILE *file, bool tsv, struct cli_samples *samples,
                                  struct att_err *err)
{
    struct cli_lines lines;
    char *line = NULL;
    size_t len = 0;
    cli_lines_init(&lines, file);
    enum att_status status = cli_lines_next(&lines, &line, &len, err);
    if (status == ATT_OK && tsv && (!line || strncmp(line, "label\t", 6) != 0))
        status = att_err_set(err, ATT_EFORMAT, "expected the header line label<TAB>text");
    else if (status == ATT_OK && tsv)
        status = cli_lines_next(&lines, &line, &len, err);
    while (status == ATT_OK && line) {
        status = (tsv ? read_tsv : read_json)(reader, line, len, samples, err);
        if (status == ATT_OK)
            status = cli_lines_next(&lines, &line, &len, err);
    }
    if (status == ATT_OK && samples->count == 0)
        status = att_err_set(err, ATT_EFORMAT, "holds no text");
    if (status != ATT_OK)
        att_err_prefix(err, "%s: line %zu", reader->options->data, lines.number);
    cli_lines_finish(&lines);
    return status;
}

enum att_status cli_samples_read(const struct cli_options *options, const struct att_model_info *info,
                                 struct cli_samples *samples, struct att_err *err)
{
    struct reader reader = {.options = options, .info = info};
    *samples = (struct cli_samples){.items = NULL};
    enum att_status status = ATT_OK;
    if (options->head)
        status = find_head(info, options->head, &reader.head, err);
    if (status != ATT_OK)
        return status;
    const char *dot = strrchr(options->data, '.');
    FILE *file = fopen(options->data, "rb");
    if (!file)
        return att_err_set(err, ATT_ENOTFOUND, "%s: %s", options->data, strerror(errno));
    status = read_lines(&reader, file, dot && strcmp(dot, ".tsv") == 0, samples, err);
    fclose(file);
    return status;
}

void cli_samples_finish(struct cli_samples *samples)
{
    for (size_t i = 0; i < samples->count; i++) {
        att_mem_free(samples->items[i].text);
        att_mem_free(samples->items[i].labels);
        att_mem_free(samples->items[i].several);
    }
    att_mem_free(samples->items);
    *samples = (struct cli_samples){.items = NULL};
}

enum att_status cli_samples_ask(const struct cli_env *env, struct task_contexts *contexts,
                                const struct cli_samples *samples, size_t begin, size_t end,
                                struct att_json **ret_answer, struct att_err *err)
{
    struct att_jsonw w;
    struct att_json *body = NULL;
    char *text = NULL, *answer = NULL;
    size_t len = 0, answer_len = 0;
    att_jsonw_init(&w, SIZE_MAX);
    att_jsonw_object_begin(&w);
    att_jsonw_key(&w, "input");
    att_jsonw_array_begin(&w);
    for (size_t i = begin; i < end; i++)
        att_jsonw_string(&w, samples->items[i].text, samples->items[i].len);
    att_jsonw_array_end(&w);
    att_jsonw_object_end(&w);
    enum att_status status = att_jsonw_take(&w, &text, &len, err);
    if (status == ATT_OK)
        status = att_json_parse(text, len, 0, ANSWER_DEPTH_MAX, &body, err);
    if (status == ATT_OK)
        status = task_run(contexts, &task_classify, cli_env_task(env), body, &answer, &answer_len, err);
    if (status == ATT_OK)
        status = att_json_parse(answer, answer_len, 0, ANSWER_DEPTH_MAX, ret_answer, err);
    att_jsonw_finish(&w);
    att_json_destroy(body);
    att_mem_free(text);
    att_mem_free(answer);
    return status;
}
