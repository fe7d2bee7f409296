/*
 * attend tokenize: answers the tokenizer cases of the golden data (ops encode,
 * encode_pair, truncate, decode, batch), so that parity with Hugging Face's
 * `tokenizers` can be checked from outside. Offsets are bytes in the core and
 * code points here, as in the cases. Special tokens in a text count as special
 * tokens here, which they do not in requests.
 */
#include "cli/tokenize.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

enum { WINDOWS_SHOWN = 8, DEPTH_MAX = 16 };

/* One case: everything it needs lies in the arena or in tokens, and goes with it. */
struct job {
    const struct att_tokenizer *tokenizer;
    const struct cli_chat *chat; /* NULL: none */
    const struct att_json *root;
    struct att_arena arena;
    struct att_tokens tokens[2];
    uint32_t *code_points[2]; /* number of the code point at a byte of a text */
    struct att_sequence sequence;
    int8_t *text_numbers; /* what windows say instead of sequence.text_index; NULL: the same */
    struct att_jsonw out;
    struct att_err *err;
};

static enum att_status refuse(struct job *job, const char *field, const char *expected)
{
    return att_err_set(job->err, ATT_EINVAL, "%s: expected %s", field, expected);
}

static enum att_status out_of_memory(struct job *job)
{
    return att_err_set(job->err, ATT_ENOMEM, "out of memory");
}

/* The text at `value` to tokens[index] and code_points[index]. */
static enum att_status encode(struct job *job, const struct att_json *value, const char *field, int index)
{
    size_t len;
    const char *text = att_json_string(value, &len);
    if (!text)
        return refuse(job, field, "a string");
    uint32_t *code_points = att_arena_alloc(&job->arena, len + 1, sizeof *code_points);
    if (!code_points)
        return out_of_memory(job);
    uint32_t count = 0;
    for (size_t i = 0; i <= len; i++) {
        code_points[i] = count;
        count += i < len && ((unsigned char)text[i + 1] & 0xc0) != 0x80;
    }
    job->code_points[index] = code_points;
    return att_tokenizer_encode(job->tokenizer, text, len, 0, 0, &job->tokens[index], job->err);
}

static bool reserve_sequence(struct job *job, size_t capacity)
{
    struct att_sequence *sequence = &job->sequence;
    sequence->ids = att_arena_alloc(&job->arena, capacity, sizeof *sequence->ids);
    sequence->type_ids = att_arena_alloc(&job->arena, capacity, sizeof *sequence->type_ids);
    sequence->starts = att_arena_alloc(&job->arena, capacity, sizeof *sequence->starts);
    sequence->ends = att_arena_alloc(&job->arena, capacity, sizeof *sequence->ends);
    sequence->special = att_arena_alloc(&job->arena, capacity, sizeof *sequence->special);
    sequence->text_index = att_arena_alloc(&job->arena, capacity, sizeof *sequence->text_index);
    sequence->capacity = capacity;
    return sequence->ids && sequence->type_ids && sequence->starts && sequence->ends && sequence->special &&
           sequence->text_index;
}

/* Leaves the template's tokens out of the sequence, for add_special_tokens = false. */
static void drop_special(struct att_sequence *sequence)
{
    size_t len = 0;
    for (size_t i = 0; i < sequence->len; i++) {
        if (sequence->special[i])
            continue;
        sequence->ids[len] = sequence->ids[i];
        sequence->type_ids[len] = sequence->type_ids[i];
        sequence->starts[len] = sequence->starts[i];
        sequence->ends[len] = sequence->ends[i];
        sequence->special[len] = 0;
        sequence->text_index[len++] = sequence->text_index[i];
    }
    sequence->len = len;
}

static void write_offsets(struct job *job)
{
    const struct att_sequence *sequence = &job->sequence;
    att_jsonw_key(&job->out, "offsets");
    att_jsonw_array_begin(&job->out);
    for (size_t i = 0; i < sequence->len; i++) {
        const uint32_t *code_points = sequence->text_index[i] < 0 ? NULL : job->code_points[sequence->text_index[i]];
        att_jsonw_array_begin(&job->out);
        att_jsonw_int(&job->out, code_points ? code_points[sequence->starts[i]] : 0);
        att_jsonw_int(&job->out, code_points ? code_points[sequence->ends[i]] : 0);
        att_jsonw_array_end(&job->out);
    }
    att_jsonw_array_end(&job->out);
}

/* The members of one sequence; type_ids are left out when all are 0, as in the cases. */
static void write_sequence(struct job *job, bool pair)
{
    const struct att_sequence *sequence = &job->sequence;
    struct att_jsonw *out = &job->out;
    int32_t types = 0;
    att_jsonw_key(out, "ids");
    att_jsonw_array_begin(out);
    for (size_t i = 0; i < sequence->len; i++) {
        att_jsonw_int(out, sequence->ids[i]);
        types |= sequence->type_ids[i];
    }
    att_jsonw_array_end(out);
    if (types != 0) {
        att_jsonw_key(out, "type_ids");
        att_jsonw_array_begin(out);
        for (size_t i = 0; i < sequence->len; i++)
            att_jsonw_int(out, sequence->type_ids[i]);
        att_jsonw_array_end(out);
    }
    write_offsets(job);
    if (!pair)
        return;
    att_jsonw_key(out, "special_mask");
    att_jsonw_array_begin(out);
    for (size_t i = 0; i < sequence->len; i++)
        att_jsonw_int(out, sequence->special[i]);
    att_jsonw_array_end(out);
    att_jsonw_key(out, "sequence_ids");
    att_jsonw_array_begin(out);
    for (size_t i = 0; i < sequence->len; i++)
        att_jsonw_int(out, job->text_numbers ? job->text_numbers[i] : sequence->text_index[i]);
    att_jsonw_array_end(out);
}

static enum att_status write_decoded(struct job *job, const int32_t *ids, size_t count)
{
    static const char *const keys[] = {"decode_keep", "decode_skip"};
    for (int skip = 0; skip < 2; skip++) {
        char *text = NULL;
        size_t len = 0;
        enum att_status status = att_tokenizer_decode(job->tokenizer, ids, count, skip, &text, &len, job->err);
        if (status != ATT_OK)
            return status;
        att_jsonw_put_string(&job->out, keys[skip], text, len);
        att_mem_free(text);
    }
    return ATT_OK;
}

static enum att_status encode_texts(struct job *job, bool *ret_pair)
{
    const struct att_json *second = att_json_get(job->root, "pair");
    enum att_status status = encode(job, att_json_get(job->root, "text"), "text", 0);
    if (status == ATT_OK && second)
        status = encode(job, second, "pair", 1);
    *ret_pair = second != NULL;
    if (status != ATT_OK)
        return status;
    size_t count = job->tokens[0].count + (second ? job->tokens[1].count : 0);
    return reserve_sequence(job, count + att_tokenizer_special_count(job->tokenizer, second)) ? ATT_OK
                                                                                              : out_of_memory(job);
}

static enum att_status run_encode(struct job *job)
{
    bool pair;
    enum att_status status = encode_texts(job, &pair);
    if (status == ATT_OK)
        status =
            att_tokenizer_assemble(job->tokenizer, job->tokens[0].items, job->tokens[0].count,
                                   pair ? job->tokens[1].items : NULL, job->tokens[1].count, &job->sequence, job->err);
    if (status != ATT_OK)
        return status;
    if (!att_json_bool(att_json_get(job->root, "add_special_tokens"), true))
        drop_special(&job->sequence);
    write_sequence(job, pair);
    return write_decoded(job, job->sequence.ids, job->sequence.len);
}

static enum att_status read_truncation(struct job *job, struct att_truncation *ret)
{
    static const char *const strategies[] = {"longest_first", "only_first", "only_second"};
    const char *name = att_json_string(att_json_get(job->root, "strategy"), NULL);
    const char *direction = att_json_string(att_json_get(job->root, "direction"), NULL);
    int64_t max_len, stride = 0;
    size_t strategy = 0;
    while (name && strategy < 3 && strcmp(name, strategies[strategy]) != 0)
        strategy++;
    if (strategy == 3)
        return refuse(job, "strategy", "longest_first, only_first or only_second");
    if (direction && strcmp(direction, "left") != 0 && strcmp(direction, "right") != 0)
        return refuse(job, "direction", "left or right");
    if (!att_json_integer(att_json_get(job->root, "max_length"), 0, INT32_MAX, &max_len))
        return refuse(job, "max_length", "a number of tokens");
    if (att_json_get(job->root, "stride") &&
        !att_json_integer(att_json_get(job->root, "stride"), 0, INT32_MAX, &stride))
        return refuse(job, "stride", "a number of tokens");
    *ret = (struct att_truncation){
        .strategy = (enum att_truncate_strategy)strategy,
        .max_len = (size_t)max_len,
        .stride = (size_t)stride,
        .left = direction && strcmp(direction, "left") == 0,
    };
    return ATT_OK;
}

/* Overflowing parts of a pair keep what they had before post-processing (see tokenizer.h). */
static enum att_status as_overflow(struct job *job, bool a_overflows, bool b_overflows)
{
    const struct att_sequence *sequence = &job->sequence;
    enum att_post_processor processor = att_tokenizer_post_processor(job->tokenizer);
    job->text_numbers = att_arena_alloc(&job->arena, sequence->len + 1, 1);
    if (!job->text_numbers)
        return out_of_memory(job);
    for (size_t i = 0; i < sequence->len; i++) {
        int index = sequence->text_index[i];
        job->text_numbers[i] = sequence->text_index[i];
        bool overflows = index == 0 ? a_overflows : b_overflows;
        if (index >= 0 && overflows && processor == ATT_PROCESSOR_TEMPLATE)
            sequence->type_ids[i] = index;
        if (index == 1 && processor == ATT_PROCESSOR_NONE)
            job->text_numbers[i] = a_overflows ? 0 : b_overflows ? -1 : 1;
    }
    return ATT_OK;
}

static enum att_status write_window(struct job *job, const struct att_cut *a, const struct att_cut *b, size_t window)
{
    size_t a_part, b_part, begins[2] = {0}, ends[2] = {0};
    att_cut_window(a, b, window, &a_part, &b_part);
    att_cut_range(a, a_part, &begins[0], &ends[0]);
    if (b)
        att_cut_range(b, b_part, &begins[1], &ends[1]);
    enum att_status status = att_tokenizer_assemble(job->tokenizer, job->tokens[0].items + begins[0],
                                                    ends[0] - begins[0], b ? job->tokens[1].items + begins[1] : NULL,
                                                    ends[1] - begins[1], &job->sequence, job->err);
    if (status != ATT_OK)
        return status;
    if (b && (status = as_overflow(job, a_part > 0, b_part > 0)) != ATT_OK)
        return status;
    att_jsonw_object_begin(&job->out);
    write_sequence(job, b);
    att_jsonw_object_end(&job->out);
    return ATT_OK;
}

static enum att_status run_truncate(struct job *job)
{
    struct att_truncation truncation;
    struct att_cut cuts[2];
    bool pair;
    enum att_status status = read_truncation(job, &truncation);
    if (status == ATT_OK)
        status = encode_texts(job, &pair);
    if (status != ATT_OK)
        return status;
    status = att_truncate(&truncation, att_tokenizer_special_count(job->tokenizer, pair), job->tokens[0].count, pair,
                          job->tokens[1].count, &cuts[0], &cuts[1], job->err);
    if (status != ATT_OK) { /* an answer too: the reference raises here */
        att_jsonw_put_text(&job->out, "error", job->err->message);
        return ATT_OK;
    }
    const struct att_cut *second = pair ? &cuts[1] : NULL;
    size_t windows = att_cut_windows(&cuts[0], second);
    att_jsonw_key(&job->out, "windows");
    att_jsonw_array_begin(&job->out);
    for (size_t i = 0; status == ATT_OK && i < windows && i < WINDOWS_SHOWN; i++)
        status = write_window(job, &cuts[0], second, i);
    att_jsonw_array_end(&job->out);
    att_jsonw_put_size(&job->out, "n_windows", windows);
    return status;
}

static enum att_status run_decode(struct job *job)
{
    const struct att_json *list = att_json_get(job->root, "ids");
    size_t count = att_json_count(list);
    int32_t *ids = att_arena_alloc(&job->arena, count, sizeof *ids);
    if (!att_json_is_array(list))
        return refuse(job, "ids", "an array of ids");
    if (!ids)
        return out_of_memory(job);
    for (size_t i = 0; i < count; i++) {
        int64_t id;
        if (!att_json_integer(att_json_at(list, i), 0, INT32_MAX, &id))
            return refuse(job, "ids", "an array of ids");
        ids[i] = (int32_t)id;
    }
    return write_decoded(job, ids, count);
}

/* A padded matrix: rows[i][0..lens[i]) between `pad` to the width. rows NULL: ones. */
static void write_rows(struct job *job, const char *key, int32_t *const *rows, const size_t *lens, size_t count,
                       size_t width, int32_t pad, bool left)
{
    att_jsonw_key(&job->out, key);
    att_jsonw_array_begin(&job->out);
    for (size_t i = 0; i < count; i++) {
        size_t first = left && lens[i] < width ? width - lens[i] : 0, last = lens[i] < width ? width : lens[i];
        att_jsonw_array_begin(&job->out);
        for (size_t j = 0; j < last; j++) {
            bool real = j >= first && j - first < lens[i];
            att_jsonw_int(&job->out, !real ? pad : rows ? rows[i][j - first] : 1);
        }
        att_jsonw_array_end(&job->out);
    }
    att_jsonw_array_end(&job->out);
}

/* One text of a batch: cut to max_length, with its special tokens. */
static enum att_status batch_row(struct job *job, const struct att_json *text, const struct att_truncation *truncation,
                                 int32_t **ret_ids, int32_t **ret_types, size_t *ret_len)
{
    struct att_cut cut;
    size_t begin, end, special = att_tokenizer_special_count(job->tokenizer, false);
    enum att_status status = encode(job, text, "texts", 0);
    if (status == ATT_OK)
        status = att_truncate(truncation, special, job->tokens[0].count, false, 0, &cut, NULL, job->err);
    if (status != ATT_OK)
        return status;
    att_cut_range(&cut, 0, &begin, &end);
    if (!reserve_sequence(job, end - begin + special))
        return out_of_memory(job);
    status = att_tokenizer_assemble(job->tokenizer, job->tokens[0].items + begin, end - begin, NULL, 0, &job->sequence,
                                    job->err);
    if (status == ATT_OK) {
        *ret_ids = job->sequence.ids;
        *ret_types = job->sequence.type_ids;
        *ret_len = job->sequence.len;
    }
    return status;
}

static enum att_status run_batch(struct job *job)
{
    const struct att_json *texts = att_json_get(job->root, "texts");
    size_t count = att_json_count(texts), width = 0;
    struct att_truncation truncation;
    int64_t pad_id, pad_length = 0, multiple = 0;
    enum att_status status = read_truncation(job, &truncation);
    if (status != ATT_OK)
        return status;
    if (!att_json_integer(att_json_get(job->root, "pad_id"), 0, INT32_MAX, &pad_id))
        return refuse(job, "pad_id", "an id");
    if (att_json_is_number(att_json_get(job->root, "pad_length")) &&
        !att_json_integer(att_json_get(job->root, "pad_length"), 0, 1 << 20, &pad_length))
        return refuse(job, "pad_length", "a number of tokens or null");
    if (att_json_is_number(att_json_get(job->root, "pad_to_multiple_of")) &&
        !att_json_integer(att_json_get(job->root, "pad_to_multiple_of"), 1, 1 << 20, &multiple))
        return refuse(job, "pad_to_multiple_of", "a number of tokens or null");
    const char *direction = att_json_string(att_json_get(job->root, "pad_direction"), NULL);
    bool left = direction && strcmp(direction, "left") == 0;
    int32_t **ids = att_arena_alloc(&job->arena, count, sizeof *ids);
    int32_t **types = att_arena_alloc(&job->arena, count, sizeof *types);
    size_t *lens = att_arena_alloc(&job->arena, count, sizeof *lens);
    if (!ids || !types || !lens)
        return out_of_memory(job);
    for (size_t i = 0; i < count; i++) {
        status = batch_row(job, att_json_at(texts, i), &truncation, &ids[i], &types[i], &lens[i]);
        if (status != ATT_OK)
            return status;
        width = lens[i] > width ? lens[i] : width;
    }
    width = pad_length > 0 ? (size_t)pad_length : width;
    if (multiple > 0 && width % (size_t)multiple != 0)
        width += (size_t)multiple - width % (size_t)multiple;
    write_rows(job, "ids", ids, lens, count, width, (int32_t)pad_id, left);
    write_rows(job, "type_ids", types, lens, count, width, 0, left);
    write_rows(job, "attention_mask", NULL, lens, count, width, 0, left);
    return ATT_OK;
}

/* Messages to the prompt and its ids, without special tokens around it. */
static enum att_status run_chat(struct job *job)
{
    char *text = NULL;
    size_t len = 0;
    bool refused = false;
    if (!job->chat)
        return refuse(job, "op", "encode, encode_pair, truncate, decode or batch");
    enum att_status status = cli_chat_prompt(job->chat, job->root, &text, &len, &refused, job->err);
    if (refused) { /* an answer too */
        att_jsonw_put_text(&job->out, "error", job->err->message);
        return ATT_OK;
    }
    if (status == ATT_OK)
        status = att_tokenizer_encode(job->tokenizer, text, len, 0, 0, &job->tokens[0], job->err);
    if (status == ATT_OK) {
        att_jsonw_put_string(&job->out, "expected", text, len);
        att_jsonw_key(&job->out, "ids");
        att_jsonw_array_begin(&job->out);
        for (size_t i = 0; i < job->tokens[0].count; i++)
            att_jsonw_int(&job->out, job->tokens[0].items[i].id);
        att_jsonw_array_end(&job->out);
    }
    att_mem_free(text);
    return status;
}

static enum att_status run_op(struct job *job)
{
    static const struct {
        const char *name;
        enum att_status (*run)(struct job *job);
    } ops[] = {
        {"encode", run_encode}, {"encode_pair", run_encode}, {"truncate", run_truncate},
        {"decode", run_decode}, {"batch", run_batch},        {"chat", run_chat},
    };
    const char *name = att_json_string(att_json_get(job->root, "op"), NULL);
    if (cli_chat_is_case(job->root))
        return run_chat(job);
    for (size_t i = 0; name && i < sizeof ops / sizeof *ops; i++)
        if (strcmp(ops[i].name, name) == 0)
            return ops[i].run(job);
    return refuse(job, "op", "encode, encode_pair, truncate, decode, batch or chat");
}

static void write_name(struct job *job, size_t number)
{
    const struct att_json *name = att_json_get(job->root, "case");
    att_jsonw_key(&job->out, "case");
    if (name)
        att_jsonw_value(&job->out, name);
    else
        att_jsonw_int(&job->out, (int64_t)number);
}

bool cli_tokenize_case(const struct att_tokenizer *tokenizer, const struct cli_chat *chat, const char *line, size_t len,
                       size_t number, char **ret_answer)
{
    struct att_json *root = NULL;
    struct att_err err;
    struct job job = {.tokenizer = tokenizer, .chat = chat, .err = &err};
    att_arena_init(&job.arena, SIZE_MAX);
    att_tokens_init(&job.tokens[0]);
    att_tokens_init(&job.tokens[1]);
    att_jsonw_init(&job.out, SIZE_MAX);
    enum att_status status = att_json_parse(line, len, ATT_JSON_ALLOW_NUL, DEPTH_MAX, &root, &err);
    job.root = root;
    if (status == ATT_OK) {
        att_jsonw_object_begin(&job.out);
        write_name(&job, number);
        att_jsonw_key(&job.out, "outputs");
        att_jsonw_object_begin(&job.out);
        status = run_op(&job);
        att_jsonw_object_end(&job.out);
        att_jsonw_object_end(&job.out);
    }
    if (status != ATT_OK) {
        att_jsonw_finish(&job.out);
        att_jsonw_init(&job.out, SIZE_MAX);
        att_jsonw_object_begin(&job.out);
        write_name(&job, number);
        att_jsonw_put_text(&job.out, "error", err.message);
        att_jsonw_object_end(&job.out);
    }
    size_t answer_len;
    *ret_answer = NULL;
    if (att_jsonw_take(&job.out, ret_answer, &answer_len, NULL) != ATT_OK)
        status = ATT_ENOMEM;
    att_jsonw_finish(&job.out);
    att_tokens_finish(&job.tokens[0]);
    att_tokens_finish(&job.tokens[1]);
    att_arena_finish(&job.arena);
    att_json_destroy(root);
    return status == ATT_OK;
}

/* Answers every line of standard input. */
static enum att_status run_lines(const struct att_tokenizer *tokenizer, const struct cli_chat *chat, bool *ret_good,
                                 struct att_err *err)
{
    struct cli_lines lines;
    char *line, *answer;
    size_t len;
    bool good = true;
    cli_lines_init(&lines, stdin);
    enum att_status status;
    while ((status = cli_lines_next(&lines, &line, &len, err)) == ATT_OK && line) {
        good &= cli_tokenize_case(tokenizer, chat, line, len, lines.number - 1, &answer);
        if (!answer) {
            status = att_err_set(err, ATT_ENOMEM, "line %zu: out of memory", lines.number);
            break;
        }
        puts(answer);
        att_mem_free(answer);
    }
    cli_lines_finish(&lines);
    if (status == ATT_OK && (fflush(stdout) != 0 || ferror(stdout)))
        status = att_err_set(err, ATT_EIO, "the output cannot be written");
    *ret_good = good;
    return status;
}

int cli_tokenize(int argc, char **argv)
{
    static const char about[] = "usage: attend tokenize --model DIR < cases.jsonl > out.jsonl\n\n"
                                "Answers tokenizer cases, a JSON line each: encode, encode_pair, truncate, decode, "
                                "batch, chat.\n";
    struct cli_options options;
    int exit_status =
        cli_options_parse(argc + 1, argv - 1, "model templates", about, &options); /* it skips the command's name */
    if (exit_status >= 0)
        return exit_status;
    if (!options.model)
        return cli_missing("tokenize", "model");
    struct att_err err;
    struct att_dir dir;
    struct att_tokenizer *tokenizer = NULL;
    struct cli_chat *chat = NULL;
    bool good = true;
    enum att_status status = att_dir_open(options.model, &dir, &err);
    if (status == ATT_OK) {
        status = att_tokenizer_open(&dir, 0, 0, &tokenizer, &err);
        att_dir_close(&dir);
    }
    if (status == ATT_OK)
        status = cli_chat_open(options.model, options.templates, &chat, &err);
    if (status == ATT_OK)
        status = run_lines(tokenizer, chat, &good, &err);
    cli_chat_close(chat);
    att_tokenizer_destroy(tokenizer);
    if (status != ATT_OK)
        return cli_fail("tokenize", &err);
    return good ? CLI_OK : CLI_FAILED;
}
