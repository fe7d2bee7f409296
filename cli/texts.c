/* Reading and tokenising the lines of texts.h. */
#include "cli/texts.h"

#include <string.h>

#include "cli/cli.h"

enum { TEXTS_MAX = 1 << 20, DEPTH_MAX = 16 };

enum att_status cli_text_encode(const struct att_model *model, const struct cli_text *text, struct att_tokens *tokens,
                                int32_t *ids, size_t capacity, size_t *ret_count, struct att_err *err)
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(model);
    size_t longest = att_model_info(model)->max_tokens, special = att_tokenizer_special_count(tokenizer, false);
    enum att_status status =
        att_tokenizer_encode(tokenizer, text->bytes, text->len, ATT_ENCODE_SPECIAL_AS_TEXT, 0, tokens, err);
    size_t room = longest > special ? longest - special : 0;
    struct att_sequence sequence = {.ids = ids, .capacity = capacity};
    if (status == ATT_OK)
        status = att_tokenizer_assemble(tokenizer, tokens->items, tokens->count < room ? tokens->count : room, NULL, 0,
                                        &sequence, err);
    if (status == ATT_OK)
        *ret_count = sequence.len;
    return status;
}

/* One line {"text":…}. */
static enum att_status read_text(const struct att_model *model, const char *line, size_t line_len,
                                 struct att_tokens *tokens, struct cli_text *text, struct att_err *err)
{
    struct att_json *root = NULL;
    enum att_status status = att_json_parse(line, line_len, 0, DEPTH_MAX, &root, err);
    if (status != ATT_OK)
        return status;
    const char *bytes = att_json_string(att_json_get(root, "text"), &text->len);
    text->bytes = bytes ? att_mem_calloc(text->len + 1, 1) : NULL;
    size_t longest = att_model_info(model)->max_tokens;
    text->ids = bytes ? att_mem_calloc(longest, sizeof *text->ids) : NULL;
    if (!bytes)
        status = att_err_set(err, ATT_EFORMAT, "text: is missing");
    else if (!text->bytes || !text->ids)
        status = att_err_set(err, ATT_ENOMEM, "out of memory");
    else
        memcpy(text->bytes, bytes, text->len);
    att_json_destroy(root);
    return status == ATT_OK ? cli_text_encode(model, text, tokens, text->ids, longest, &text->count, err) : status;
}

struct list {
    const struct att_model *model;
    struct cli_text *texts;
    size_t count, capacity;
};

static enum att_status add_line(struct list *list, const char *line, size_t len, struct att_tokens *tokens,
                                struct att_err *err)
{
    if (list->count == TEXTS_MAX)
        return att_err_limit(err, NULL, TEXTS_MAX, TEXTS_MAX + 1, "more than %d texts", TEXTS_MAX);
    if (list->count == list->capacity) {
        size_t more = list->capacity ? list->capacity * 2 : 512;
        struct cli_text *texts = att_mem_realloc(list->texts, more, sizeof *texts);
        if (!texts)
            return att_err_set(err, ATT_ENOMEM, "out of memory");
        list->texts = texts;
        list->capacity = more;
    }
    struct cli_text *text = &list->texts[list->count++];
    *text = (struct cli_text){.bytes = NULL};
    return read_text(list->model, line, len, tokens, text, err);
}

static enum att_status read_all(struct list *list, const char *path, struct att_err *err)
{
    FILE *file = fopen(path, "rb");
    struct cli_lines lines;
    struct att_tokens tokens;
    size_t len;
    char *line = NULL;
    if (!file)
        return att_err_set(err, ATT_ENOTFOUND, "%s: cannot be opened", path);
    cli_lines_init(&lines, file);
    att_tokens_init(&tokens);
    enum att_status status;
    while ((status = cli_lines_next(&lines, &line, &len, err)) == ATT_OK && line) {
        status = add_line(list, line, len, &tokens, err);
        if (status != ATT_OK)
            break;
    }
    if (status == ATT_OK && list->count == 0)
        status = att_err_set(err, ATT_EFORMAT, "holds no text");
    if (status != ATT_OK)
        att_err_prefix(err, "%s: line %zu", path, lines.number);
    att_tokens_finish(&tokens);
    cli_lines_finish(&lines);
    fclose(file);
    return status;
}

void cli_texts_free(struct cli_text *texts, size_t n_texts)
{
    for (size_t i = 0; i < n_texts; i++) {
        att_mem_free(texts[i].bytes);
        att_mem_free(texts[i].ids);
    }
    att_mem_free(texts);
}

enum att_status cli_texts_read(const struct att_model *model, const char *path, struct cli_text **ret_texts,
                               size_t *ret_n_texts, struct att_err *err)
{
    struct list list = {.model = model};
    enum att_status status = read_all(&list, path, err);
    if (status != ATT_OK) {
        cli_texts_free(list.texts, list.count);
        return status;
    }
    *ret_texts = list.texts;
    *ret_n_texts = list.count;
    return ATT_OK;
}
