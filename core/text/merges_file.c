/*
 * vocab.json with merges.txt, the older form of GPT-2's and RoBERTa's tokenizers:
 * put together as the tokenizer.json that transformers would write for them.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/io/json_file.h"
#include "core/text/pipeline.h"

enum { MERGES_BYTES_MAX = 64 << 20 };
static const size_t text_bytes_max = (size_t)256 << 20;

/* The files of one directory. */
struct files {
    struct att_json *vocab, *config, *model; /* vocab.json, tokenizer_config.json, config.json */
    char *merges;
    size_t merges_len;
    bool roberta;
};

static void files_finish(struct files *files)
{
    att_json_destroy(files->vocab);
    att_json_destroy(files->config);
    att_json_destroy(files->model);
    att_mem_free(files->merges);
}

/* Whose conventions hold: by the tokenizer's class, else by the model's type. */
static enum att_status choose_family(struct files *files, struct att_err *err)
{
    const char *class = att_json_string(att_json_get(files->config, "tokenizer_class"), NULL);
    const char *type = att_json_string(att_json_get(files->model, "model_type"), NULL);
    const char *name = class ? class : type ? type : "";
    static const struct {
        const char *part;
        bool roberta;
    } families[] = {{"Roberta", true}, {"Bart", true}, {"GPT2", false},
                    {"roberta", true}, {"bart", true}, {"gpt2", false}};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strstr(name, families[i].part)) {
            files->roberta = families[i].roberta;
            return ATT_OK;
        }
    return att_err_set(err, ATT_EUNSUPPORTED,
                       "merges.txt: belongs to '%.60s', expected a tokenizer of GPT-2, RoBERTa or BART, or a "
                       "tokenizer.json",
                       name);
}

static void put_added(struct att_jsonw *out, int64_t id, const char *text, bool lstrip, bool normalized)
{
    static const char *const flags[] = {"single_word", "rstrip"};
    att_jsonw_object_begin(out);
    att_jsonw_put_int(out, "id", id);
    att_jsonw_put_text(out, "content", text);
    for (size_t i = 0; i < 2; i++)
        att_jsonw_put_bool(out, flags[i], false);
    att_jsonw_put_bool(out, "lstrip", lstrip);
    att_jsonw_put_bool(out, "normalized", normalized);
    att_jsonw_put_bool(out, "special", true);
    att_jsonw_object_end(out);
}

/* Special tokens by the family's names, those that the vocabulary has. */
static void put_specials(struct att_jsonw *out, const struct files *files)
{
    static const char *const roberta[] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>", NULL};
    static const char *const gpt2[] = {"<|endoftext|>", NULL};
    att_jsonw_key(out, "added_tokens");
    att_jsonw_array_begin(out);
    for (const char *const *name = files->roberta ? roberta : gpt2; *name; name++) {
        int64_t id = -1;
        if (att_json_integer(att_json_get(files->vocab, *name), 0, INT32_MAX, &id))
            put_added(out, id, *name, strcmp(*name, "<mask>") == 0, !files->roberta);
    }
    att_jsonw_array_end(out);
}

static void put_byte_level(struct att_jsonw *out, const char *section, bool prefix_space, bool trims)
{
    att_jsonw_key(out, section);
    att_jsonw_object_begin(out);
    att_jsonw_put_text(out, "type", "ByteLevel");
    att_jsonw_put_bool(out, "add_prefix_space", prefix_space);
    att_jsonw_put_bool(out, "trim_offsets", trims);
    att_jsonw_object_end(out);
}

static void put_named_id(struct att_jsonw *out, const struct files *files, const char *key, const char *token)
{
    att_jsonw_key(out, key);
    att_jsonw_array_begin(out);
    att_jsonw_cstring(out, token);
    att_jsonw_int(out, (int64_t)att_json_number(att_json_get(files->vocab, token), -1));
    att_jsonw_array_end(out);
}

static void put_post_processor(struct att_jsonw *out, const struct files *files, bool prefix_space)
{
    if (!files->roberta) {
        put_byte_level(out, "post_processor", prefix_space, false);
        return;
    }
    att_jsonw_key(out, "post_processor");
    att_jsonw_object_begin(out);
    att_jsonw_put_text(out, "type", "RobertaProcessing");
    put_named_id(out, files, "sep", "</s>");
    put_named_id(out, files, "cls", "<s>");
    att_jsonw_put_bool(out, "trim_offsets", true);
    att_jsonw_put_bool(out, "add_prefix_space", prefix_space);
    att_jsonw_object_end(out);
}

/* Lines "LEFT RIGHT"; a first line "#version: …" and empty ones do not count. */
static void put_merges(struct att_jsonw *out, const struct files *files)
{
    att_jsonw_key(out, "merges");
    att_jsonw_array_begin(out);
    for (size_t at = 0; at < files->merges_len;) {
        const char *line = files->merges + at, *feed = memchr(line, '\n', files->merges_len - at);
        size_t len = feed ? (size_t)(feed - line) : files->merges_len - at;
        size_t text_len = len > 0 && line[len - 1] == '\r' ? len - 1 : len;
        bool version = at == 0 && text_len >= 8 && memcmp(line, "#version", 8) == 0;
        if (text_len > 0 && !version)
            att_jsonw_string(out, line, text_len);
        at += len + 1;
    }
    att_jsonw_array_end(out);
}

static void put_all(struct att_jsonw *out, const struct files *files)
{
    bool prefix_space = att_json_bool(att_json_get(files->config, "add_prefix_space"), false);
    att_jsonw_object_begin(out);
    put_specials(out, files);
    att_jsonw_key(out, "normalizer");
    att_jsonw_null(out);
    put_byte_level(out, "pre_tokenizer", prefix_space, true);
    put_post_processor(out, files, prefix_space);
    put_byte_level(out, "decoder", prefix_space, true);
    att_jsonw_key(out, "model");
    att_jsonw_object_begin(out);
    att_jsonw_put_text(out, "type", "BPE");
    att_jsonw_key(out, "vocab");
    att_jsonw_value(out, files->vocab);
    put_merges(out, files);
    att_jsonw_object_end(out);
    att_jsonw_object_end(out);
}

static enum att_status open_files(const struct att_dir *dir, struct files *files, struct att_err *err)
{
    enum att_status status = att_json_file(dir, "vocab.json", false, &files->vocab, err);
    if (status == ATT_OK)
        status = att_json_file(dir, "tokenizer_config.json", true, &files->config, err);
    if (status == ATT_OK)
        status = att_json_file(dir, "config.json", true, &files->model, err);
    if (status == ATT_OK)
        status = att_dir_read(dir, "merges.txt", MERGES_BYTES_MAX, &files->merges, &files->merges_len, err);
    if (status == ATT_OK && !att_json_is_object(files->vocab))
        return att_err_set(err, ATT_EFORMAT, "vocab.json: expected an object of token texts and ids");
    if (status == ATT_OK && files->merges_len == 0)
        return att_err_set(err, ATT_EFORMAT, "merges.txt: is empty, expected lines of two pieces");
    return status == ATT_OK ? choose_family(files, err) : status;
}

enum att_status att_tokenizer_read_merges(const struct att_dir *dir, const struct att_tokenizer_bounds *bounds,
                                          struct att_tokenizer *tokenizer, struct att_err *err)
{
    struct files files = {.vocab = NULL};
    char *text = NULL;
    size_t len = 0;
    enum att_status status = open_files(dir, &files, err);
    if (status == ATT_OK) {
        struct att_jsonw out;
        att_jsonw_init(&out, text_bytes_max);
        put_all(&out, &files);
        status = att_jsonw_take(&out, &text, &len, err);
        att_jsonw_finish(&out);
    }
    if (status == ATT_OK && (status = att_tokenizer_parse_json(text, len, bounds, tokenizer, err)) != ATT_OK)
        att_err_prefix(err, "vocab.json and merges.txt, read as");
    att_mem_free(text);
    files_finish(&files);
    return status;
}
