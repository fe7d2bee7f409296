/* POST /v1/tokenize: ids, tokens and byte offsets, as the model itself sees a text. */
#include <stdio.h>
#include <string.h>

#include "tasks/encode.h"

struct tokenize {
    const struct task_model *model;
    struct att_sequence *sequences; /* [n] */
    size_t n;
    bool many;
};

static enum att_status one(struct task_call *call, struct tokenize *tokenize, const struct att_json *value,
                           const char *path, bool special, struct att_sequence *sequence, struct att_err *err)
{
    const char *text;
    size_t len, room;
    struct task_tokens tokens;
    enum att_status status = task_tokens_room(tokenize->model, false, &room, err);
    if (status == ATT_OK)
        status = task_field_text(call, value, path, &text, &len, err);
    if (status == ATT_OK)
        status = task_tokens_encode(call, tokenize->model, text, len, path, &tokens, err);
    return status == ATT_OK ? task_tokens_sequence(call, tokenize->model, &tokens, special, sequence, err) : status;
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const fields[] = {"model",       "input",    "text", "add_special_tokens",
                                         "deadline_ms", "priority", NULL};
    struct tokenize *tokenize = task_alloc(call, 1, sizeof *tokenize, err);
    bool special = true;
    if (!tokenize)
        return err->status;
    call->state = tokenize;
    enum att_status status = task_fields_known(body, "", fields, err);
    if (status == ATT_OK)
        status = task_field_model(call, body, "embed", &tokenize->model, err);
    if (status == ATT_OK)
        status = task_field_common(call, body, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "add_special_tokens", &special, err);
    if (status != ATT_OK)
        return status;
    const struct att_json *input = att_json_get(body, "input"), *text = att_json_get(body, "text");
    if (input && text)
        return att_err_param(err, ATT_EINVAL, "text", "text: stands beside input, expected one of them");
    input = input ? input : text;
    status = task_field_inputs(call, input, "input", &tokenize->n, err);
    if (status != ATT_OK)
        return status;
    tokenize->many = att_json_is_array(input);
    tokenize->sequences = task_alloc(call, tokenize->n, sizeof *tokenize->sequences, err);
    if (!tokenize->sequences)
        return err->status;
    for (size_t i = 0; status == ATT_OK && i < tokenize->n; i++) {
        char path[48] = "input";
        if (tokenize->many)
            snprintf(path, sizeof path, "input[%zu]", i);
        status = one(call, tokenize, tokenize->many ? att_json_at(input, i) : input, path, special,
                     &tokenize->sequences[i], err);
    }
    return status;
}

static void put_sequence(struct att_jsonw *answer, const struct att_tokenizer *tokenizer,
                         const struct att_sequence *sequence, size_t index)
{
    att_jsonw_object_begin(answer);
    att_jsonw_put_size(answer, "index", index);
    att_jsonw_key(answer, "ids");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < sequence->len; i++)
        att_jsonw_int(answer, sequence->ids[i]);
    att_jsonw_array_end(answer);
    att_jsonw_key(answer, "tokens");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < sequence->len; i++)
        att_jsonw_cstring(answer, att_tokenizer_token(tokenizer, sequence->ids[i]));
    att_jsonw_array_end(answer);
    att_jsonw_key(answer, "offsets");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < sequence->len; i++) {
        att_jsonw_array_begin(answer);
        att_jsonw_int(answer, sequence->starts[i]);
        att_jsonw_int(answer, sequence->ends[i]);
        att_jsonw_array_end(answer);
    }
    att_jsonw_array_end(answer);
    att_jsonw_put_size(answer, "count", sequence->len);
    att_jsonw_object_end(answer);
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct tokenize *tokenize = call->state;
    const struct att_tokenizer *tokenizer = att_model_tokenizer(tokenize->model->model);
    (void)err;
    att_jsonw_object_begin(answer);
    task_render_id(answer, "tok");
    att_jsonw_put_text(answer, "object", "list");
    att_jsonw_put_text(answer, "model", tokenize->model->name);
    att_jsonw_key(answer, "data");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < tokenize->n; i++)
        put_sequence(answer, tokenizer, &tokenize->sequences[i], i);
    att_jsonw_array_end(answer);
    task_render_usage(call, answer);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

const struct task task_tokenize = {.name = "tokenize", .parse = parse, .render = render};
