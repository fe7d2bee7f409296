/*
 * Parity with Hugging Face's `tokenizers`: every case of tests/golden/tokenizers
 * (and, where ATT_SHARED names the folder of the full golden data, of all its
 * sets) through what `attend tokenize` runs; all outputs must be equal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/tokenize.h"

/* Members of a case that are its input, not what is expected. */
static bool is_input(const char *key, const char *op)
{
    static const char *const inputs[] = {"op",
                                         "text",
                                         "pair",
                                         "add_special_tokens",
                                         "has_nul",
                                         "texts",
                                         "max_length",
                                         "strategy",
                                         "stride",
                                         "direction",
                                         "pad_id",
                                         "pad_length",
                                         "pad_to_multiple_of",
                                         "pad_direction"};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
        if (strcmp(inputs[i], key) == 0)
            return true;
    return strcmp(op, "decode") == 0 && strcmp(key, "ids") == 0;
}

/* Equal as written. */
static bool equal(const struct att_json *a, const struct att_json *b)
{
    struct att_jsonw texts[2];
    for (int i = 0; i < 2; i++) {
        att_jsonw_init(&texts[i], SIZE_MAX);
        att_jsonw_value(&texts[i], i == 0 ? a : b);
    }
    bool same = texts[0].len == texts[1].len && memcmp(texts[0].bytes, texts[1].bytes, texts[0].len) == 0;
    att_jsonw_finish(&texts[0]);
    att_jsonw_finish(&texts[1]);
    return same;
}

/* Object members in any order, at the top and inside each window. */
static bool matches(const struct att_json *expected, const struct att_json *got)
{
    const char *key;
    const struct att_json *value;
    struct att_json_iter iter;
    if (att_json_is_array(expected) && att_json_is_object(att_json_at(expected, 0))) {
        bool same = att_json_count(expected) == att_json_count(got);
        for (size_t i = 0; same && i < att_json_count(expected); i++)
            same = matches(att_json_at(expected, i), att_json_at(got, i));
        return same;
    }
    if (!att_json_is_object(expected))
        return equal(expected, got);
    bool same = att_json_count(expected) == att_json_count(got);
    att_json_iter_init(&iter, expected);
    while (same && att_json_iter_next(&iter, &key, &value))
        same = matches(value, att_json_get(got, key));
    return same;
}

static void check_case(const struct att_tokenizer *tokenizer, const char *set, const char *line, size_t len,
                       size_t number)
{
    struct att_json *root = NULL, *answer = NULL;
    char *text = NULL;
    struct att_err err = {.message = ""};
    if (att_json_parse(line, len, ATT_JSON_ALLOW_NUL, 16, &root, &err) != ATT_OK)
        fail_msg("%s: case %zu: %s", set, number, err.message);
    bool done = cli_tokenize_case(tokenizer, NULL, line, len, number, &text);
    if (!done || att_json_parse(text, strlen(text), ATT_JSON_ALLOW_NUL, 16, &answer, &err) != ATT_OK)
        fail_msg("%s: case %zu: %s", set, number, text ? text : "no answer");
    const struct att_json *outputs = att_json_get(answer, "outputs"), *value;
    const char *op = att_json_string(att_json_get(root, "op"), NULL), *key;
    assert_true(att_json_number(att_json_get(answer, "case"), -1) == (double)number);
    struct att_json_iter iter;
    size_t expected = 0;
    att_json_iter_init(&iter, root);
    while (att_json_iter_next(&iter, &key, &value)) {
        if (is_input(key, op))
            continue;
        expected++;
        if (!matches(value, att_json_get(outputs, key)))
            fail_msg("%s: case %zu: %s differs: %s", set, number, key, text);
    }
    if (att_json_count(outputs) != expected || expected == 0)
        fail_msg("%s: case %zu: %zu outputs, expected %zu", set, number, att_json_count(outputs), expected);
    att_json_destroy(root);
    att_json_destroy(answer);
    att_mem_free(text);
}

/* Runs the cases of a set through the tokenizer of a directory; false when the set is not there. */
static bool check_tokenizer(const char *model, const char *set, size_t cases_min)
{
    struct att_dir model_dir, dir;
    struct att_err err;
    struct att_tokenizer *tokenizer = NULL;
    char *cases = NULL;
    size_t len = 0, count = 0;
    if (att_dir_open(set, &dir, &err) != ATT_OK)
        return false;
    if (att_dir_open(model, &model_dir, &err) != ATT_OK ||
        att_tokenizer_open(&model_dir, 0, 0, &tokenizer, &err) != ATT_OK ||
        att_dir_read(&dir, "cases.jsonl", 64 << 20, &cases, &len, &err) != ATT_OK)
        fail_msg("%s: %s", model, err.message);
    for (size_t at = 0; at < len; count++) {
        const char *end = memchr(cases + at, '\n', len - at);
        size_t line_len = end ? (size_t)(end - cases) - at : len - at;
        check_case(tokenizer, set, cases + at, line_len, count);
        at += line_len + 1;
    }
    assert_true(count >= cases_min);
    att_mem_free(cases);
    att_tokenizer_destroy(tokenizer);
    att_dir_close(&model_dir);
    att_dir_close(&dir);
    return true;
}

static bool check_set(const char *folder, const char *set, size_t cases_min)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tokenizers/%s", folder, set);
    return check_tokenizer(path, path, cases_min);
}

static void chosen_cases(void **state)
{
    (void)state;
    const char *root = getenv("ATT_SOURCE_ROOT");
    char folder[400];
    snprintf(folder, sizeof folder, "%s/tests/golden", root ? root : ".");
    assert_true(check_set(folder, "wordpiece-small", 100));
    assert_true(check_set(folder, "wordpiece-cased", 60));
    assert_true(check_set(folder, "wordpiece-keepaccents", 40));
    assert_true(check_set(folder, "bpe-gpt2", 60));
    assert_true(check_set(folder, "bpe-llama2", 60));
}

/* The same pieces and scores in a GGUF file give the same ids. */
static void cases_through_gguf(void **state)
{
    (void)state;
    const char *root = getenv("ATT_SOURCE_ROOT");
    char model[400], set[400];
    snprintf(model, sizeof model, "%s/tests/data/gguf/pieces", root ? root : ".");
    snprintf(set, sizeof set, "%s/tests/golden/tokenizers/bpe-llama2", root ? root : ".");
    assert_true(check_tokenizer(model, set, 60));
}

static void all_cases(void **state)
{
    (void)state;
    /* The two others are packed there (tokenizer.json.gz). */
    static const char *const sets[] = {
        "wordpiece-minilm", "wordpiece-small", "wordpiece-cased",   "wordpiece-keepaccents", "bpe-gpt2",
        "bpe-roberta",      "bpe-llama2",      "bpe-llama3",        "bpe-mistral",           "bpe-qwen2",
        "unigram-albert",   "unigram-t5",      "unigram-xlmr-small"};
    const char *shared = getenv("ATT_SHARED");
    if (!shared)
        return; /* cmocka's skip() reads as a failure in TAP */
    char folder[400];
    snprintf(folder, sizeof folder, "%s/golden", shared);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (!check_set(folder, sets[i], 476))
            fail_msg("%s/tokenizers/%s: is missing", folder, sets[i]);
}

/* A case that is none gives an error line, and the name of what is wrong. */
static void refused_cases(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"{\"op\":\"sing\"}", "op: expected encode"},
        {"{\"op\":\"encode\"}", "text: expected a string"},
        {"{\"op\":\"encode\",\"text\":1}", "text: expected a string"},
        {"{\"op\":\"encode\",\"text\":\"a\",\"pair\":[]}", "pair: expected a string"},
        {"{\"op\":\"truncate\",\"text\":\"a\",\"strategy\":\"none\",\"max_length\":4}", "strategy"},
        {"{\"op\":\"truncate\",\"text\":\"a\",\"max_length\":-1}", "max_length"},
        {"{\"op\":\"truncate\",\"text\":\"a\",\"max_length\":8,\"stride\":\"x\"}", "stride"},
        {"{\"op\":\"truncate\",\"text\":\"a\",\"max_length\":8,\"direction\":\"up\"}", "direction"},
        {"{\"op\":\"decode\",\"ids\":[1,-1]}", "ids: expected"},
        {"{\"op\":\"decode\"}", "ids: expected"},
        {"{\"op\":\"batch\",\"texts\":[\"a\"],\"max_length\":8}", "pad_id"},
        {"{\"op\":\"batch\",\"texts\":[3],\"max_length\":8,\"pad_id\":0}", "texts: expected a string"},
        {"{\"op\":", "not JSON"},
        {"", "not JSON"},
    };
    const char *root = getenv("ATT_SOURCE_ROOT");
    char path[512];
    struct att_dir dir;
    struct att_tokenizer *tokenizer = NULL;
    snprintf(path, sizeof path, "%s/tests/golden/tokenizers/wordpiece-small", root ? root : ".");
    assert_int_equal(att_dir_open(path, &dir, NULL), ATT_OK);
    assert_int_equal(att_tokenizer_load(&dir, 0, 0, &tokenizer, NULL), ATT_OK);
    att_dir_close(&dir);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = NULL;
        assert_false(cli_tokenize_case(tokenizer, NULL, cases[i].line, strlen(cases[i].line), 7, &text));
        if (!text || strncmp(text, "{\"case\":7,\"error\":\"", 19) != 0 || !strstr(text, cases[i].says))
            fail_msg("case %zu: %s", i, text ? text : "no answer");
        att_mem_free(text);
    }
    att_tokenizer_destroy(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_cases),
        cmocka_unit_test(cases_through_gguf),
        cmocka_unit_test(all_cases),
        cmocka_unit_test(refused_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
