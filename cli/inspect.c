/*
 * attend inspect DIR: what is in a model directory, as a table or as one JSON
 * object: architecture, sizes, tokenizer, heads, limits, memory, and the tensors
 * of its safetensors files.
 */
#include <dirent.h>
#include <string.h>

#include "cli/cli.h"

enum { HEADER_BYTES_MAX = 64 << 20, DEPTH_MAX = 8, LABELS_SHOWN = 6 };

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
    att_jsonw_key(&sink->w, name);
    att_jsonw_cstring(&sink->w, text && *text ? text : NULL);
}

static void put_size(struct sink *sink, const char *name, size_t value)
{
    if (!sink->json) {
        printf("%-16s %zu\n", name, value);
        return;
    }
    att_jsonw_key(&sink->w, name);
    att_jsonw_int(&sink->w, (int64_t)value);
}

static void put_bool(struct sink *sink, const char *name, bool value)
{
    if (!sink->json) {
        printf("%-16s %s\n", name, value ? "yes" : "no");
        return;
    }
    att_jsonw_key(&sink->w, name);
    att_jsonw_bool(&sink->w, value);
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
    put_size(sink, "intermediate", info->intermediate_size);
    put_size(sink, "vocab_size", info->vocab_size);
    put_size(sink, "max_tokens", info->max_tokens);
    put_text(sink, "tokenizer", tokenizer ? att_tokenizer_model_name(tokenizer) : NULL);
    put_text(sink, "pooling", poolings[info->pooling]);
    put_bool(sink, "normalize", info->normalize);
    put_bool(sink, "strip_urls", info->strip_urls);
    put_text(sink, "languages", info->languages);
    put_text(sink, "licence", info->licence);
    put_text(sink, "digest", info->digest);
    put_text(sink, "dtype", "f32");
    put_size(sink, "memory_bytes", info->weight_bytes);
    put_size(sink, "unused_tensors", info->n_unused);
    put_text(sink, "first_unused", info->unused);
}

static void put_head_json(struct att_jsonw *w, const struct att_head_info *head)
{
    att_jsonw_object_begin(w);
    att_jsonw_key(w, "name");
    att_jsonw_cstring(w, head->name);
    att_jsonw_key(w, "multi_label");
    att_jsonw_bool(w, head->multi_label);
    att_jsonw_key(w, "temperature");
    att_jsonw_float(w, head->temperature);
    att_jsonw_key(w, "out_of_scope");
    att_jsonw_cstring(w, head->out_of_scope_label);
    if (head->out_of_scope_label) {
        att_jsonw_key(w, "out_of_scope_threshold");
        att_jsonw_float(w, head->out_of_scope_threshold);
    }
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

/* A safetensors file begins with the length of its header, 8 bytes little endian, and the header in JSON. */
static enum att_status read_header(const struct att_dir *dir, const char *name, struct att_json **ret_header,
                                   struct att_err *err)
{
    struct att_file file;
    unsigned char prefix[8];
    uint64_t len = 0;
    char *text = NULL;
    enum att_status status = att_file_open(dir, name, &file, err);
    if (status != ATT_OK)
        return status;
    status = att_file_read(&file, 0, prefix, sizeof prefix, err);
    for (size_t i = sizeof prefix; i-- > 0;)
        len = len << 8 | prefix[i];
    if (status == ATT_OK && (len > HEADER_BYTES_MAX || len + 8 > file.size))
        status = att_err_set(err, ATT_EFORMAT, "%s: header length: is %llu, expected less than the file", name,
                             (unsigned long long)len);
    if (status == ATT_OK && !(text = att_mem_calloc((size_t)len + 1, 1)))
        status = att_err_set(err, ATT_ENOMEM, "out of memory");
    if (status == ATT_OK)
        status = att_file_read(&file, 8, text, (size_t)len, err);
    if (status == ATT_OK)
        status = att_json_parse(text, (size_t)len, 0, DEPTH_MAX, ret_header, err);
    att_mem_free(text);
    att_file_close(&file);
    return status;
}

static void put_tensor(struct sink *sink, const char *file, const char *name, const struct att_json *entry)
{
    const struct att_json *shape = att_json_get(entry, "shape");
    const char *dtype = att_json_string(att_json_get(entry, "dtype"), NULL);
    if (sink->json) {
        att_jsonw_object_begin(&sink->w);
        att_jsonw_key(&sink->w, "name");
        att_jsonw_cstring(&sink->w, name);
        att_jsonw_key(&sink->w, "file");
        att_jsonw_cstring(&sink->w, file);
        att_jsonw_key(&sink->w, "dtype");
        att_jsonw_cstring(&sink->w, dtype);
        att_jsonw_key(&sink->w, "shape");
        att_jsonw_value(&sink->w, shape);
        att_jsonw_object_end(&sink->w);
        return;
    }
    printf("%-16s %-5s %s [", "tensor", dtype ? dtype : "?", name);
    for (size_t i = 0; i < att_json_count(shape); i++)
        printf("%s%.0f", i ? "," : "", att_json_number(att_json_at(shape, i), 0));
    puts("]");
}

static enum att_status put_file(struct sink *sink, const struct att_dir *dir, const char *file, struct att_err *err)
{
    struct att_json *header = NULL;
    struct att_json_iter iter;
    const char *name;
    const struct att_json *entry;
    enum att_status status = read_header(dir, file, &header, err);
    if (status != ATT_OK)
        return status;
    att_json_iter_init(&iter, header);
    while (att_json_iter_next(&iter, &name, &entry))
        if (strcmp(name, "__metadata__") != 0)
            put_tensor(sink, file, name, entry);
    att_json_destroy(header);
    return ATT_OK;
}

static enum att_status put_tensors(struct sink *sink, const char *path, struct att_err *err)
{
    struct att_dir dir;
    enum att_status status = att_dir_open(path, &dir, err);
    if (status != ATT_OK)
        return status;
    DIR *folder = opendir(path);
    const struct dirent *entry;
    if (sink->json) {
        att_jsonw_key(&sink->w, "tensors");
        att_jsonw_array_begin(&sink->w);
    }
    while (folder && status == ATT_OK && (entry = readdir(folder)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot && strcmp(dot, ".safetensors") == 0)
            status = put_file(sink, &dir, entry->d_name, err);
    }
    if (sink->json)
        att_jsonw_array_end(&sink->w);
    if (folder)
        closedir(folder);
    att_dir_close(&dir);
    return status;
}

static enum att_status print_json(struct sink *sink, struct att_err *err)
{
    char *text = NULL;
    size_t len = 0;
    att_jsonw_object_end(&sink->w);
    enum att_status status = att_jsonw_take(&sink->w, &text, &len, err);
    if (status == ATT_OK)
        puts(text);
    att_mem_free(text);
    return status;
}

static const char about[] = "usage: attend inspect DIR [--json] [--base NAME=DIR]\n\n"
                            "What a model directory holds.\n";

int cli_inspect(int argc, char **argv)
{
    struct cli_options options;
    struct att_err err;
    struct att_model *model = NULL;
    int usage = cli_options_parse(argc, argv, "base dtype json", about, &options);
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
    att_jsonw_init(&sink.w, HEADER_BYTES_MAX);
    if (sink.json)
        att_jsonw_object_begin(&sink.w);
    put_model(&sink, att_model_info(model), att_model_tokenizer(model));
    put_heads(&sink, att_model_info(model));
    status = put_tensors(&sink, options.rest[0], &err);
    if (status == ATT_OK && sink.json)
        status = print_json(&sink, &err);
    att_jsonw_finish(&sink.w);
    att_model_unref(model);
    return status == ATT_OK ? CLI_OK : cli_fail(argv[0], &err);
}
