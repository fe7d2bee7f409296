/* TEI's POST /tokenize and /decode: tokens of texts, and texts of token ids. */
#include <stdio.h>
#include <string.h>

#include "tasks/wire/tei.h"

enum { PATH_BYTES = 48 };

/* ---- /tokenize ---- */

struct tokens {
    const struct task_model *model;
    struct att_sequence *sequences; /* [n]; text_index -1 marks special tokens */
    const char **texts;             /* [n] */
    size_t n;
};

/* *text becomes prompt and text, *len its length. */
static enum att_status put_before(struct task_call *call, const char *prompt, const char **text, size_t *len,
                                  struct att_err *err)
{
    size_t prompt_len = strlen(prompt);
    char *both = task_alloc(call, prompt_len + *len + 1, 1, err);
    if (!both)
        return err->status;
    memcpy(both, prompt, prompt_len);
    memcpy(both + prompt_len, *text, *len);
    *text = both;
    *len += prompt_len;
    return ATT_OK;
}

static enum att_status parse_tokenize(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    const struct att_json *inputs = att_json_get(body, "inputs");
    struct task_tei tei = {.truncate = false};
    struct tokens *tokens = task_alloc(call, 1, sizeof *tokens, err);
    bool special = true, single = att_json_is_string(inputs);
    size_t room;
    if (!tokens)
        return err->status;
    call->state = tokens;
    enum att_status status = task_tei_parse(call, body, "tokenize", body, "", &tei, err);
    if (status == ATT_OK)
        status = task_tokens_room(tei.model, false, &room, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "add_special_tokens", &special, err);
    if (status == ATT_OK)
        status = task_tei_count(call, inputs, single, "inputs", &tokens->n, err);
    if (status != ATT_OK)
        return status;
    tokens->model = tei.model;
    tokens->texts = task_alloc(call, tokens->n, sizeof *tokens->texts, err);
    tokens->sequences = tokens->texts ? task_alloc(call, tokens->n, sizeof *tokens->sequences, err) : NULL;
    if (!tokens->sequences)
        return err->status;
    for (size_t i = 0; status == ATT_OK && i < tokens->n; i++) {
        struct task_tokens encoded = {NULL, 0};
        char path[PATH_BYTES] = "inputs";
        size_t len;
        if (!single)
            snprintf(path, sizeof path, "inputs[%zu]", i);
        status = task_field_text(call, single ? inputs : att_json_at(inputs, i), path, &tokens->texts[i], &len, err);
        if (status == ATT_OK && tei.prompt)
            status = put_before(call, tei.prompt, &tokens->texts[i], &len, err);
        if (status == ATT_OK)
            status = task_tokens_encode(call, tei.model, tokens->texts[i], len, path, &encoded, err);
        if (status == ATT_OK)
            status = task_tokens_sequence(call, tei.model, &encoded, special, &tokens->sequences[i], err);
    }
    return status;
}

static void put_position(struct att_jsonw *answer, const char *name, bool special, uint32_t position)
{
    att_jsonw_key(answer, name);
    if (special)
        att_jsonw_null(answer);
    else
        att_jsonw_int(answer, position);
}

static void put_token(struct att_jsonw *answer, const struct tokens *tokens, size_t text, size_t i)
{
    const struct att_sequence *sequence = &tokens->sequences[text];
    bool special = sequence->text_index[i] < 0;
    att_jsonw_object_begin(answer);
    att_jsonw_put_int(answer, "id", sequence->ids[i]);
    att_jsonw_key(answer, "text");
    if (special)
        att_jsonw_cstring(answer, att_tokenizer_token(att_model_tokenizer(tokens->model->model), sequence->ids[i]));
    else
        att_jsonw_string(answer, tokens->texts[text] + sequence->starts[i], sequence->ends[i] - sequence->starts[i]);
    att_jsonw_put_bool(answer, "special", special);
    put_position(answer, "start", special, sequence->starts[i]);
    put_position(answer, "stop", special, sequence->ends[i]);
    att_jsonw_object_end(answer);
}

static enum att_status render_tokenize(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct tokens *tokens = call->state;
    (void)err;
    att_jsonw_array_begin(answer);
    for (size_t t = 0; t < tokens->n; t++) {
        att_jsonw_array_begin(answer);
        for (size_t i = 0; i < tokens->sequences[t].len; i++)
            put_token(answer, tokens, t, i);
        att_jsonw_array_end(answer);
    }
    att_jsonw_array_end(answer);
    return ATT_OK;
}

/* ---- /decode ---- */

struct decode {
    const struct task_model *model;
    int32_t **ids;  /* [n] */
    size_t *counts; /* [n] */
    size_t n;
    bool skip_special;
};

static enum att_status read_ids(struct task_call *call, const struct decode *decode, const struct att_json *value,
                                size_t index, const char *path, struct att_err *err)
{
    size_t n = att_json_count(value), limit = call->env->limits.tokens_max;
    size_t vocab = att_tokenizer_vocab_size(att_model_tokenizer(decode->model->model));
    if (!att_json_is_array(value))
        return att_err_param(err, ATT_EINVAL, path, "%s: is %s, expected an array of token ids", path,
                             att_json_type_name(value));
    if (n > limit - call->prompt_tokens)
        return att_err_limit(err, path, limit, call->prompt_tokens + n, "%s: the request has more than %zu tokens",
                             path, limit);
    if (!(decode->ids[index] = task_alloc(call, n + 1, sizeof(int32_t), err)))
        return err->status;
    for (size_t i = 0; i < n; i++) {
        int64_t id;
        if (!att_json_integer(att_json_at(value, i), 0, (int64_t)vocab - 1, &id))
            return att_err_param(err, ATT_EINVAL, path, "%s: token %zu is not an id from 0 to %zu", path, i, vocab - 1);
        decode->ids[index][i] = (int32_t)id;
    }
    decode->counts[index] = n;
    call->prompt_tokens += n;
    return ATT_OK;
}

static enum att_status parse_decode(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    const struct att_json *ids = att_json_get(body, "ids");
    struct decode *decode = task_alloc(call, 1, sizeof *decode, err);
    bool single = att_json_is_number(att_json_at(ids, 0));
    size_t room;
    if (!decode)
        return err->status;
    *decode = (struct decode){.skip_special = true};
    call->state = decode;
    enum att_status status = task_field_common_lenient(call, body, err);
    if (status == ATT_OK)
        status = task_field_model(call, body, "tokenize", &decode->model, err);
    if (status == ATT_OK)
        status = task_tokens_room(decode->model, false, &room, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "skip_special_tokens", &decode->skip_special, err);
    if (status == ATT_OK)
        status = task_tei_count(call, ids, single, "ids", &decode->n, err);
    if (status != ATT_OK)
        return status;
    decode->counts = task_alloc(call, decode->n, sizeof *decode->counts, err);
    decode->ids = decode->counts ? task_alloc(call, decode->n, sizeof *decode->ids, err) : NULL;
    if (!decode->ids)
        return err->status;
    for (size_t i = 0; status == ATT_OK && i < decode->n; i++) {
        char path[PATH_BYTES] = "ids";
        if (!single)
            snprintf(path, sizeof path, "ids[%zu]", i);
        status = read_ids(call, decode, single ? ids : att_json_at(ids, i), i, path, err);
    }
    return status;
}

static enum att_status render_decode(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct decode *decode = call->state;
    enum att_status status = ATT_OK;
    att_jsonw_array_begin(answer);
    for (size_t i = 0; status == ATT_OK && i < decode->n; i++) {
        char *text = NULL;
        size_t len;
        status = att_tokenizer_decode(att_model_tokenizer(decode->model->model), decode->ids[i], decode->counts[i],
                                      decode->skip_special, &text, &len, err);
        if (status == ATT_OK)
            att_jsonw_string(answer, text, len);
        att_mem_free(text);
    }
    att_jsonw_array_end(answer);
    return status;
}

const struct task task_tei_tokenize = {.name = "tei_tokenize", .parse = parse_tokenize, .render = render_tokenize};
const struct task task_tei_decode = {.name = "tei_decode", .parse = parse_decode, .render = render_decode};
