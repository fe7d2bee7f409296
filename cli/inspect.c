/*
 * attend inspect DIR: what is in a model directory, as a table or as one JSON
 * object: architecture, sizes, tokenizer, heads, limits, memory, and the tensors
 * of its weight files.
 */
#include <string.h>

#include "cli/compare.h"

enum { JSON_BYTES_MAX = 64 << 20, LABELS_SHOWN = 6 };

struct sink {
    bool json;
    struct att_jsonw w;
};

static void put_text(struct sink *sink, const char *name, const char *text)
{
    if (!sink->json) {
        printf("%-16s %s\n", name, text && *text ? text : "-");
        return;
    }
    att_jsonw_put_text(&sink->w, name, text && *text ? text : NULL);
}

static void put_size(struct sink *sink, const char *name, size_t value)
{
    if (!sink->json) {
        printf("%-16s %zu\n", name, value);
        return;
    }
    att_jsonw_put_size(&sink->w, name, value);
}

static void put_bool(struct sink *sink, const char *name, bool value)
{
    if (!sink->json) {
        printf("%-16s %s\n", name, value ? "yes" : "no");
        return;
    }
    att_jsonw_put_bool(&sink->w, name, value);
}

static void put_model(struct sink *sink, const struct att_model_info *info, const struct att_tokenizer *tokenizer)
{
    static const char *const poolings[] = {"none", "mean", "cls", "last"};
    put_text(sink, "architecture", info->arch);
    put_text(sink, "class", info->class_name);
    put_text(sink, "base", info->base);
    put_text(sink, "task", info->task);
    put_size(sink, "layers", info->n_layers);
    put_size(sink, "hidden_size", info->hidden_size);
    put_size(sink, "attention_heads", info->n_heads);
    if (info->n_kv_heads)
        put_size(sink, "key_value_heads", info->n_kv_heads);
    if (info->n_decoder_layers) {
        put_size(sink, "decoder_layers", info->n_decoder_layers);
        put_size(sink, "decoder_heads", info->n_decoder_heads);
    }
    put_size(sink, "intermediate", info->intermediate_size);
    put_size(sink, "vocab_size", info->vocab_size);
    if (info->logits_size && info->logits_size != info->vocab_size)
        put_size(sink, "target_vocab", info->logits_size);
    put_size(sink, "max_tokens", info->max_tokens);
    if (info->limit_tokens != info->max_tokens)
        put_size(sink, "limit_tokens", info->limit_tokens);
    put_text(sink, "tokenizer", tokenizer ? att_tokenizer_model_name(tokenizer) : NULL);
    put_text(sink, "pooling", poolings[info->pooling]);
    put_bool(sink, "normalize", info->normalize);
    put_bool(sink, "strip_urls", info->strip_urls);
    put_text(sink, "languages", info->languages);
    put_text(sink, "licence", info->licence);
    put_text(sink, "digest", info->digest);
    put_text(sink, "dtype", att_dtype_name(info->dtype));
    put_size(sink, "memory_bytes", info->weight_bytes);
    if (!info->generates && strcmp(info->task, "recommend") != 0) {
        put_size(sink, "memory_f32", info->weight_bytes_as[ATT_F32]);
        put_size(sink, "memory_bf16", info->weight_bytes_as[ATT_BF16]);
        put_size(sink, "memory_int8", info->weight_bytes_as[ATT_INT8]);
    }
    put_size(sink, "unused_tensors", info->n_unused);
    put_text(sink, "first_unused", info->unused);
}

static void put_head_json(struct att_jsonw *w, const struct att_head_info *head)
{
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "name", head->name);
    att_jsonw_put_bool(w, "multi_label", head->multi_label);
    att_jsonw_put_float(w, "temperature", head->temperature);
    att_jsonw_put_text(w, "out_of_scope", head->out_of_scope_label);
    if (head->out_of_scope_label)
        att_jsonw_put_float(w, "out_of_scope_threshold", head->out_of_scope_threshold);
    att_jsonw_key(w, "labels");
    att_jsonw_array_begin(w);
    for (size_t i = 0; i < head->n_labels; i++)
        att_jsonw_cstring(w, head->labels[i]);
    att_jsonw_array_end(w);
    att_jsonw_object_end(w);
}

static void put_heads(struct sink *sink, const struct att_model_info *info)
{
    if (sink->json) {
        att_jsonw_key(&sink->w, "heads");
        att_jsonw_array_begin(&sink->w);
    }
    for (size_t h = 0; h < info->n_head_infos; h++) {
        const struct att_head_info *head = &info->heads[h];
        if (sink->json) {
            put_head_json(&sink->w, head);
            continue;
        }
        printf("%-16s %s: %zu labels%s, temperature %.4g:", "head", head->name, head->n_labels,
               head->multi_label ? " (several at once)" : "", (double)head->temperature);
        for (size_t i = 0; i < head->n_labels && i < LABELS_SHOWN; i++)
            printf(" %s", head->labels[i]);
        puts(head->n_labels > LABELS_SHOWN ? " …" : "");
    }
    if (sink->json)
        att_jsonw_array_end(&sink->w);
}

/* ---- tensors ---- */

static void put_tensor(void *context, const struct att_tensor_info *tensor)
{
    struct sink *sink = context;
    if (sink->json) {
        att_jsonw_object_begin(&sink->w);
        att_jsonw_put_text(&sink->w, "name", tensor->name);
        att_jsonw_put_text(&sink->w, "file", tensor->file);
        att_jsonw_put_text(&sink->w, "dtype", tensor->dtype);
        att_jsonw_key(&sink->w, "shape");
        att_jsonw_array_begin(&sink->w);
        for (size_t i = 0; i < tensor->rank; i++)
            att_jsonw_int(&sink->w, (int64_t)tensor->shape[i]);
        att_jsonw_array_end(&sink->w);
        att_jsonw_object_end(&sink->w);
        return;
    }
    printf("%-16s %-5s %s [", "tensor", tensor->dtype, tensor->name);
    for (size_t i = 0; i < tensor->rank; i++)
        printf("%s%zu", i ? "," : "", tensor->shape[i]);
    puts("]");
}

static enum att_status put_tensors(struct sink *sink, const char *path, struct att_err *err)
{
    if (sink->json) {
        att_jsonw_key(&sink->w, "tensors");
        att_jsonw_array_begin(&sink->w);
    }
    enum att_status status = att_model_tensors(path, put_tensor, sink, err);
    if (sink->json)
        att_jsonw_array_end(&sink->w);
    return status;
}

/* ---- what other dtypes lose ---- */

static void put_comparison(struct sink *sink, const struct cli_comparison *c)
{
    const double agreement = c->n_decisions ? (double)c->n_agree / (double)c->n_decisions : 1;
    if (!sink->json) {
        printf("%-16s %s: %zu texts, cosine to f32 min %.6f mean %.6f", "compare", att_dtype_name(c->dtype), c->n_texts,
               c->cosine_min, c->cosine_mean);
        if (c->n_decisions)
            printf(", same label %.2f %% of %zu, probabilities within %.4f", 100 * agreement, c->n_decisions,
                   c->probability_change);
        printf(", %zu bytes of %zu\n", c->weight_bytes, c->weight_bytes_of_f32);
        return;
    }
    att_jsonw_object_begin(&sink->w);
    att_jsonw_put_text(&sink->w, "dtype", att_dtype_name(c->dtype));
    const struct {
        const char *name;
        double value;
    } rows[] = {
        {"texts", (double)c->n_texts},
        {"cosine_min", c->cosine_min},
        {"cosine_mean", c->cosine_mean},
        {"decisions", (double)c->n_decisions},
        {"label_agreement", agreement},
        {"probability_change_max", c->probability_change},
        {"memory_bytes", (double)c->weight_bytes},
        {"memory_bytes_f32", (double)c->weight_bytes_of_f32},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        att_jsonw_put_double(&sink->w, rows[i].name, rows[i].value, 12);
    att_jsonw_object_end(&sink->w);
}

static enum att_status put_comparisons(struct sink *sink, const struct cli_options *options, struct att_err *err)
{
    enum att_status status = ATT_OK;
    if (sink->json) {
        att_jsonw_key(&sink->w, "compare_dtype");
        att_jsonw_array_begin(&sink->w);
    }
    for (int dtype = ATT_BF16; status == ATT_OK && dtype < ATT_DTYPE_COUNT; dtype++) {
        struct cli_comparison comparison;
        status = cli_compare(options->rest[0], options, (enum att_dtype)dtype, &comparison, err);
        if (status == ATT_OK)
            put_comparison(sink, &comparison);
    }
    if (sink->json)
        att_jsonw_array_end(&sink->w);
    return status;
}

static enum att_status print_json(struct sink *sink, struct att_err *err)
{
    att_jsonw_object_end(&sink->w);
    return cli_json_print(&sink->w, err);
}

static const char about[] = "usage: attend inspect DIR [--json] [--base NAME=DIR] [--compare-dtype FILE.jsonl]\n\n"
                            "What a model directory holds, and what it loses in bf16 and int8.\n";

int cli_inspect(int argc, char **argv)
{
    struct cli_options options;
    struct att_err err;
    struct att_model *model = NULL;
    int usage = cli_options_parse(argc, argv, "base dtype json compare-dtype", about, &options);
    if (usage >= 0)
        return usage;
    if (options.n_rest != 1) {
        fprintf(stderr, "attend inspect: expected one model directory; attend inspect --help\n");
        return CLI_USAGE;
    }
    enum att_status status = cli_model_load(options.rest[0], &options, &model, &err);
    if (status != ATT_OK)
        return cli_fail(argv[0], &err);
    struct sink sink = {.json = options.json};
    att_jsonw_init(&sink.w, JSON_BYTES_MAX);
    if (sink.json)
        att_jsonw_object_begin(&sink.w);
    put_model(&sink, att_model_info(model), att_model_tokenizer(model));
    put_heads(&sink, att_model_info(model));
    status = put_tensors(&sink, options.rest[0], &err);
    if (status == ATT_OK && options.compare_dtype)
        status = put_comparisons(&sink, &options, &err);
    if (status == ATT_OK && sink.json)
        status = print_json(&sink, &err);
    att_jsonw_finish(&sink.w);
    att_model_unref(model);
    return status == ATT_OK ? CLI_OK : cli_fail(argv[0], &err);
}
