/* Options of generation: from a model's files, and from the fields of a request. */
#include <math.h>
#include <string.h>

#include "core/arch/config.h"
#include "core/generate/generate.h"
#include "core/io/json_file.h"
#include "core/model.h"

static enum att_status read_id(const struct att_json *value, const char *field, int32_t *ret, struct att_err *err)
{
    int64_t id = -1;
    if (!value || att_json_type(value) == ATT_JSON_NULL)
        return ATT_OK;
    if (!att_json_integer(value, -1, INT32_MAX, &id)) /* -1 is what old files write for none */
        return att_err_set(err, ATT_EFORMAT, "%s: is %s, expected a token id", field, att_json_type_name(value));
    *ret = (int32_t)id;
    return ATT_OK;
}

/* One id or a list of them. */
static enum att_status read_eos(const struct att_json *value, struct att_generation *generation, struct att_err *err)
{
    bool list = att_json_is_array(value);
    size_t count = list ? att_json_count(value) : 1;
    if (!value || att_json_type(value) == ATT_JSON_NULL)
        return ATT_OK;
    if (count > ATT_EOS_MAX)
        return att_err_set(err, ATT_EFORMAT, "eos_token_id: has %zu ids, expected at most %d", count, ATT_EOS_MAX);
    generation->n_eos = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t id = -1;
        enum att_status status = read_id(list ? att_json_at(value, i) : value, "eos_token_id", &id, err);
        if (status != ATT_OK)
            return status;
        generation->eos_ids[generation->n_eos++] = id;
    }
    return ATT_OK;
}

static enum att_status read_banned(const struct att_json *words, struct att_generation *generation, struct att_err *err)
{
    size_t used = 0;
    if (!words || att_json_type(words) == ATT_JSON_NULL)
        return ATT_OK;
    generation->n_banned = 0;
    for (size_t i = 0; i < att_json_count(words); i++) {
        const struct att_json *word = att_json_at(words, i);
        size_t len = att_json_count(word);
        if (!att_json_is_array(word) || len == 0 || i == ATT_BANNED_MAX || len > ATT_BANNED_IDS - used)
            return att_err_set(err, ATT_EFORMAT, "bad_words_ids[%zu]: expected lists of ids, %d ids in all", i,
                               ATT_BANNED_IDS);
        for (size_t k = 0; k < len; k++) {
            enum att_status status =
                read_id(att_json_at(word, k), "bad_words_ids", &generation->banned_ids[used + k], err);
            if (status != ATT_OK)
                return status;
        }
        /* An end of sequence is never banned. */
        bool eos = false;
        for (size_t k = 0; len == 1 && k < generation->n_eos; k++)
            eos |= generation->eos_ids[k] == generation->banned_ids[used];
        if (!eos)
            generation->banned[generation->n_banned++] = (struct att_banned){generation->banned_ids + used, len};
        used += len;
    }
    return ATT_OK;
}

static enum att_status read_early_stopping(const struct att_json *value, struct att_generation *generation,
                                           struct att_err *err)
{
    const char *word = att_json_string(value, NULL);
    if (!value || att_json_type(value) == ATT_JSON_NULL)
        return ATT_OK;
    if (word && strcmp(word, "never") == 0)
        generation->early_stopping = ATT_STOP_NEVER;
    else if (att_json_is_bool(value))
        generation->early_stopping = att_json_bool(value, false) ? ATT_STOP_WHEN_FULL : ATT_STOP_WHEN_HOPELESS;
    else
        return att_err_set(err, ATT_EFORMAT, "early_stopping: is %s, expected true, false or \"never\"",
                           att_json_type_name(value));
    return ATT_OK;
}

static enum att_status read_ids(const struct att_json *from, struct att_generation *generation, struct att_err *err)
{
    const struct {
        const char *field;
        int32_t *ret;
    } ids[] = {{"pad_token_id", &generation->pad_id},
               {"decoder_start_token_id", &generation->start_id},
               {"forced_bos_token_id", &generation->forced_bos_id},
               {"forced_eos_token_id", &generation->forced_eos_id}};
    enum att_status status = read_eos(att_json_get(from, "eos_token_id"), generation, err);
    for (size_t i = 0; status == ATT_OK && i < sizeof ids / sizeof *ids; i++)
        status = read_id(att_json_get(from, ids[i].field), ids[i].field, ids[i].ret, err);
    if (status == ATT_OK)
        status = read_banned(att_json_get(from, "bad_words_ids"), generation, err);
    return status;
}

static enum att_status read_numbers(const struct att_json *from, struct att_generation *g, struct att_err *err)
{
    const struct {
        const char *field;
        double min, max;
        float *ret;
    } floats[] = {{"length_penalty", -100, 100, &g->length_penalty},
                  {"repetition_penalty", 0.01, 100, &g->repetition_penalty},
                  {"temperature", 1e-3, 1000, &g->warping.temperature},
                  {"top_p", 0, 1, &g->warping.top_p},
                  {"min_p", 0, 1, &g->warping.min_p}};
    const struct att_config_field sizes[] = {
        {"min_new_tokens", 0, ATT_NEW_TOKENS_MAX, g->min_new_tokens, &g->min_new_tokens},
        {"max_new_tokens", 1, ATT_NEW_TOKENS_MAX, g->max_new_tokens, &g->max_new_tokens},
        {"num_beams", 1, ATT_BEAMS_MAX, g->num_beams, &g->num_beams},
        {"num_return_sequences", 1, ATT_BEAMS_MAX, g->num_return_sequences, &g->num_return_sequences},
        {"no_repeat_ngram_size", 0, 1024, g->no_repeat_ngram_size, &g->no_repeat_ngram_size},
        {"top_k", 0, 1 << 22, g->warping.top_k, &g->warping.top_k},
    };
    enum att_status status = att_config_sizes(from, sizes, sizeof sizes / sizeof *sizes, err);
    for (size_t i = 0; status == ATT_OK && i < sizeof floats / sizeof *floats; i++)
        status = att_config_float(from, floats[i].field, floats[i].min, floats[i].max, (double)*floats[i].ret,
                                  floats[i].ret, err);
    if (status == ATT_OK)
        status = att_config_bool(from, "do_sample", g->do_sample, &g->do_sample, err);
    if (status == ATT_OK)
        status = read_early_stopping(att_json_get(from, "early_stopping"), g, err);
    return status;
}

/* Fields that change what is written and are not known here. */
static enum att_status refuse(const struct att_json *from, struct att_err *err)
{
    static const char *const unknown[] = {"suppress_tokens",
                                          "begin_suppress_tokens",
                                          "sequence_bias",
                                          "exponential_decay_length_penalty",
                                          "encoder_no_repeat_ngram_size",
                                          "constraints",
                                          "force_words_ids"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        const struct att_json *value = att_json_get(from, unknown[i]);
        if (value && att_json_type(value) != ATT_JSON_NULL && att_json_number(value, 1) != 0)
            return att_err_set(err, ATT_EUNSUPPORTED, "%s: is not known, expected null", unknown[i]);
    }
    return ATT_OK;
}

static enum att_status read_all(const struct att_json *from, struct att_generation *generation, struct att_err *err)
{
    enum att_status status = refuse(from, err);
    if (status == ATT_OK)
        status = read_ids(from, generation, err);
    if (status == ATT_OK)
        status = read_numbers(from, generation, err);
    return status;
}

enum att_status att_generation_read(const struct att_json *params, struct att_generation *generation,
                                    struct att_err *err)
{
    static const char *const known[] = {"max_new_tokens",
                                        "min_new_tokens",
                                        "num_beams",
                                        "num_return_sequences",
                                        "length_penalty",
                                        "early_stopping",
                                        "repetition_penalty",
                                        "no_repeat_ngram_size",
                                        "do_sample",
                                        "temperature",
                                        "top_k",
                                        "top_p",
                                        "min_p",
                                        "eos_token_id",
                                        "pad_token_id",
                                        "bad_words_ids",
                                        "forced_bos_token_id",
                                        "forced_eos_token_id",
                                        "decoder_start_token_id",
                                        "seed"};
    struct att_json_iter iter;
    const char *name;
    const struct att_json *value;
    int64_t seed = 0;
    att_json_iter_init(&iter, params);
    while (att_json_iter_next(&iter, &name, &value)) {
        size_t i = 0;
        while (i < sizeof known / sizeof *known && strcmp(known[i], name) != 0)
            i++;
        if (i == sizeof known / sizeof *known)
            return att_err_set(err, ATT_EINVAL, "%.60s: is not a field of generation", name);
    }
    enum att_status status = read_all(params, generation, err);
    if (status == ATT_OK && att_json_get(params, "seed")) {
        if (!att_json_integer(att_json_get(params, "seed"), 0, INT64_MAX, &seed))
            return att_err_set(err, ATT_EINVAL, "seed: expected an integer from 0");
        generation->seed = (uint64_t)seed;
    }
    if (status == ATT_OK && generation->num_return_sequences > generation->num_beams && !generation->do_sample)
        return att_err_set(err, ATT_EINVAL, "num_return_sequences: is %zu, expected at most num_beams %zu",
                           generation->num_return_sequences, generation->num_beams);
    if (status == ATT_OK && generation->num_beams > 1 && generation->do_sample)
        return att_err_set(err, ATT_EUNSUPPORTED, "do_sample: is true with num_beams %zu, expected one or the other",
                           generation->num_beams);
    return status == ATT_OK ? ATT_OK : status == ATT_EFORMAT ? (enum att_status)ATT_EINVAL : status;
}

enum att_status att_generation_defaults(const struct att_model *model, struct att_generation *ret, struct att_err *err)
{
    struct att_dir dir;
    struct att_json *file = NULL;
    *ret = (struct att_generation){
        .max_new_tokens = 20,
        .num_beams = 1,
        .num_return_sequences = 1,
        .length_penalty = 1,
        .repetition_penalty = 1,
        .warping = {.temperature = 1, .top_k = 50, .top_p = 1},
        .pad_id = -1,
        .start_id = -1,
        .forced_bos_id = -1,
        .forced_eos_id = -1,
    };
    enum att_status status = read_ids(model->config, ret, err);
    if (status != ATT_OK)
        return att_err_file(err, status, "config.json");
    status = att_dir_open(model->info.dir, &dir, err);
    if (status != ATT_OK)
        return status;
    status = att_json_file(&dir, "generation_config.json", true, &file, err);
    att_dir_close(&dir);
    if (status == ATT_OK && file && (status = read_all(file, ret, err)) != ATT_OK)
        status = att_err_file(err, status, "generation_config.json");
    att_json_destroy(file);
    if (status == ATT_OK && ret->start_id < 0 && model->arch_info.n_decoder_layers > 0)
        status = read_id(att_json_get(model->config, "bos_token_id"), "bos_token_id", &ret->start_id, err);
    if (ret->pad_id < 0 && ret->n_eos > 0)
        ret->pad_id = ret->eos_ids[0];
    return status;
}

void att_generation_copy(const struct att_generation *from, struct att_generation *to)
{
    *to = *from;
    for (size_t i = 0; i < to->n_banned; i++)
        to->banned[i].ids = to->banned_ids + (from->banned[i].ids - from->banned_ids);
}
