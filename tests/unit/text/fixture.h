/* A small WordPiece tokenizer in a temporary directory, with parts of its tokenizer.json replaced at will. */
#ifndef TEST_TEXT_FIXTURE_H
#define TEST_TEXT_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/io/dir.h"
#include "core/text/tokenizer.h"

static const char fixture_json[] =
    "{\"version\":\"1.0\",\"truncation\":{\"max_length\":4},\"padding\":null,"
    "\"added_tokens\":["
    "{\"id\":0,\"content\":\"[PAD]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
    "\"special\":true},"
    "{\"id\":1,\"content\":\"[UNK]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
    "\"special\":true},"
    "{\"id\":2,\"content\":\"[CLS]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
    "\"special\":true},"
    "{\"id\":3,\"content\":\"[SEP]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
    "\"special\":true},"
    "{\"id\":20,\"content\":\"Caf\xc3\xa9 "
    "Noir\",\"single_word\":true,\"lstrip\":false,\"rstrip\":false,\"normalized\":true,\"special\":false}"
    "],"
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":"
    "null,\"lowercase\":true},"
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\","
    "\"single\":[{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
    "{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],"
    "\"pair\":[{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
    "{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}},"
    "{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":1}}],"
    "\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[2],\"tokens\":[\"[CLS]\"]},"
    "\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[3],\"tokens\":[\"[SEP]\"]}}},"
    "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
    "\"max_input_chars_per_word\":100,\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,"
    "\"the\":4,\"price\":5,\"##s\":6,\"un\":7,\"##aff\":8,\"##able\":9,\"a\":10,\".\":11,\"don\":12,\"'\":13,\"t\":14,"
    "\"[\":15,\"]\":16,\"sep\":17,\"##a\":18,\"\xe4\xb8\xad\":19}}}";

/* Copy of the JSON with the first `from` replaced; from must be there. Free with free. */
static inline char *fixture_replace(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    if (!at)
        abort();
    size_t before = (size_t)(at - text), len = strlen(text) - strlen(from) + strlen(to);
    char *copy = malloc(len + 1);
    if (!copy)
        abort();
    snprintf(copy, len + 1, "%.*s%s%s", (int)before, text, to, at + strlen(from));
    return copy;
}

struct fixture {
    char path[64];
    struct att_dir dir;
};

static inline void fixture_open(struct fixture *fixture)
{
    snprintf(fixture->path, sizeof fixture->path, "/tmp/attend-text-XXXXXX");
    if (!mkdtemp(fixture->path) || att_dir_open(fixture->path, &fixture->dir, NULL) != ATT_OK)
        abort();
}

static inline void fixture_remove(const struct fixture *fixture, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", fixture->path, name);
    unlink(path);
}

static inline void fixture_close(struct fixture *fixture)
{
    static const char *const names[] = {"tokenizer.json", "vocab.txt",  "tokenizer_config.json",
                                        "vocab.json",     "merges.txt", "config.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        fixture_remove(fixture, names[i]);
    att_dir_close(&fixture->dir);
    rmdir(fixture->path);
}

static inline void fixture_write(const struct fixture *fixture, const char *name, const char *bytes, size_t len)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", fixture->path, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, len, file) != len || fclose(file) != 0)
        abort();
}

/* The tokenizer of this JSON. */
static inline enum att_status fixture_load(const char *json, size_t vocab_rows, size_t type_rows,
                                           struct att_tokenizer **ret_tokenizer, struct att_err *err)
{
    struct fixture fixture;
    fixture_open(&fixture);
    fixture_write(&fixture, "tokenizer.json", json, strlen(json));
    enum att_status status = att_tokenizer_load(&fixture.dir, vocab_rows, type_rows, ret_tokenizer, err);
    fixture_close(&fixture);
    return status;
}

#endif
