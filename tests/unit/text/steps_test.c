/*
 * Every step of tokenizers by itself: normalisers rewrite, pre-tokenisers cut,
 * decoders join, with the results of Hugging Face's `tokenizers`; a step that
 * cannot be is refused by its field, and lack of memory is told as such.
 */
#include "core/text/steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/text/steps_json.h"

struct row {
    const char *section, *in, *out; /* ' stands for "; out: pieces are parted by | */
};

static struct att_json *parse(const char *section)
{
    char *text = strdup(section);
    struct att_json *json = NULL;
    struct att_err err = {.message = ""};
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    if (att_json_parse(text, strlen(text), ATT_JSON_ANY_ROOT, 16, &json, &err) != ATT_OK)
        fail_msg("%s: %s", section, err.message);
    free(text);
    return json;
}

static enum att_status normalize(const struct att_steps *steps, const char *in, char **ret, struct att_err *err)
{
    struct att_step_work work = {.match = NULL};
    const struct att_aligned *normal = NULL;
    enum att_status status = att_normalize(steps, in, 0, strlen(in), &work, &normal, err);
    if (status == ATT_OK) {
        *ret = calloc(normal->len + 1, 1);
        assert_non_null(*ret);
        if (normal->len > 0)
            memcpy(*ret, normal->bytes, normal->len);
        for (size_t i = 0; i < normal->len; i++)
            assert_true(normal->starts[i] <= normal->ends[i] && normal->ends[i] <= strlen(in));
    }
    att_step_work_finish(&work);
    return status;
}

static enum att_status cut(const struct att_steps *steps, const char *in, char **ret, struct att_err *err)
{
    static const struct att_steps none;
    struct att_step_work work = {.match = NULL};
    struct att_step_work own = {.match = NULL};
    const struct att_aligned *normal = NULL;
    const struct att_pieces *pieces = NULL;
    enum att_status status = att_normalize(&none, in, 0, strlen(in), &work, &normal, err);
    if (status == ATT_OK && !(own.match = att_regex_match_create()))
        status = att_err_set(err, ATT_ENOMEM, "out of memory");
    if (status == ATT_OK)
        status = att_pretokenize(steps, normal, 0, normal->len, 0, &own, &pieces, err);
    if (status == ATT_OK) {
        char *out = calloc(1, 2 * pieces->text.len + 2), *to = out;
        for (size_t i = 0; i < pieces->count; i++) {
            size_t len = pieces->items[i].end - pieces->items[i].begin;
            if (i > 0)
                *to++ = '|';
            memcpy(to, pieces->text.bytes + pieces->items[i].begin, len);
            to += len;
        }
        *ret = out;
    }
    att_step_work_finish(&own);
    att_step_work_finish(&work);
    return status;
}

static enum att_status join(const struct att_steps *steps, const char *in, char **ret, struct att_err *err)
{
    const char *tokens[16];
    char *copy = strdup(in), *rest = copy, *text = NULL;
    size_t n = 0, len = 0;
    while (rest)
        tokens[n++] = strsep(&rest, "|");
    enum att_status status = att_decode_steps(steps, tokens, n, &text, &len, err);
    if (status == ATT_OK)
        *ret = strdup(text);
    att_mem_free(text);
    free(copy);
    return status;
}

typedef enum att_status (*run_fn)(const struct att_steps *steps, const char *in, char **ret, struct att_err *err);

static enum att_status read_and_run(enum att_step_list list, const struct att_json *section, const char *in, char **ret,
                                    struct att_err *err)
{
    static const run_fn runs[] = {normalize, cut, join};
    static struct att_steps steps;
    memset(&steps, 0, sizeof steps);
    enum att_status status = att_steps_read(list, section, "tokenizer.json", &steps, err);
    if (status == ATT_OK)
        status = runs[list](&steps, in, ret, err);
    att_steps_finish(&steps);
    return status;
}

/* The result, and the same or ATT_ENOMEM when any allocation fails. */
static void check(enum att_step_list list, const struct row *row)
{
    struct att_json *section = parse(row->section);
    struct att_err err = {.message = ""};
    char *out = NULL;
    if (read_and_run(list, section, row->in, &out, &err) != ATT_OK)
        fail_msg("%s: %s", row->section, err.message);
    if (strcmp(out, row->out) != 0)
        fail_msg("%s: '%s' gives '%s', expected '%s'", row->section, row->in, out, row->out);
    free(out);
    for (uint64_t k = 1;; k++) {
        out = NULL;
        uint64_t before = att_mem_count();
        att_mem_fail_at(k, false);
        enum att_status status = read_and_run(list, section, row->in, &out, &err);
        att_mem_fail_at(0, false);
        if (att_mem_count() - before < k) {
            free(out);
            break;
        }
        if (status != ATT_ENOMEM)
            fail_msg("%s: status %d when allocation %llu fails", row->section, (int)status, (unsigned long long)k);
    }
    att_json_destroy(section);
}

static void normalizers_rewrite(void **state)
{
    static const struct row rows[] = {
        {"null", "aB", "aB"},
        {"{'type':'NFC'}", "e\xcc\x81", "\xc3\xa9"},
        {"{'type':'NFD'}", "\xc3\xa9", "e\xcc\x81"},
        {"{'type':'NFKC'}", "\xef\xac\x81 \xe2\x91\xa0", "fi 1"},
        {"{'type':'NFKD'}", "\xef\xac\x81\xc3\xa9", "fie\xcc\x81"},
        {"{'type':'NFKC'}", "plain", "plain"},
        {"{'type':'Lowercase'}", "AB\xc3\x89", "ab\xc3\xa9"},
        {"{'type':'Sequence','normalizers':[{'type':'NFD'},{'type':'StripAccents'}]}", "\xc3\xa9t\xc3\xa9", "ete"},
        {"{'type':'Strip','strip_left':true,'strip_right':true}", "  a b \t", "a b"},
        {"{'type':'Strip','strip_left':false,'strip_right':true}", " a ", " a"},
        {"{'type':'Prepend','prepend':'_'}", "ab", "_ab"},
        {"{'type':'Replace','pattern':{'String':'ab'},'content':'x'}", "abcab", "xcx"},
        {"{'type':'Replace','pattern':{'Regex':' {2,}'},'content':' '}", "a   b  c", "a b c"},
        {"{'type':'Nmt'}",
         "a\x01"
         "b\xe2\x80\x8b"
         "c",
         "ab c"},
        {"{'type':'ByteLevel'}", "a \xc3\xa9", "a\xc4\xa0\xc3\x83\xc2\xa9"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(ATT_NORMALIZERS, &rows[i]);
}

static void pre_tokenizers_cut(void **state)
{
    static const struct row rows[] = {
        {"null", "a b", "a b"},
        {"{'type':'Whitespace'}", "Hey, you_1 !?", "Hey|,|you_1|!?"},
        {"{'type':'WhitespaceSplit'}", " a b,\tc ", "a|b,|c"},
        {"{'type':'BertPreTokenizer'}", "it's  5%", "it|'|s|5|%"},
        {"{'type':'Punctuation'}", "a,b!!", "a|,|b|!|!"},
        {"{'type':'Punctuation','behavior':'Contiguous'}", "a,b!!", "a|,|b|!!"},
        {"{'type':'Punctuation','behavior':'Removed'}", "a,b!!", "a|b"},
        {"{'type':'Punctuation','behavior':'MergedWithPrevious'}", "a,b!!", "a,|b!|!"},
        {"{'type':'Punctuation','behavior':'MergedWithNext'}", "a,b!!c", "a|,b|!|!c"},
        {"{'type':'Digits','individual_digits':true}", "a12b", "a|1|2|b"},
        {"{'type':'Digits','individual_digits':false}", "a12b", "a|12|b"},
        {"{'type':'CharDelimiterSplit','delimiter':'-'}", "a-b--c", "a|b|c"},
        {"{'type':'Split','pattern':{'String':'x'},'behavior':'Isolated','invert':false}", "axbx", "a|x|b|x"},
        {"{'type':'Split','pattern':{'Regex':'[0-9]+'},'behavior':'Removed','invert':true}", "ab12c3", "12|3"},
        {"{'type':'Split','pattern':{'String':'x'},'behavior':'MergedWithPrevious','invert':false}", "axbx", "ax|bx"},
        {"{'type':'Split','pattern':{'String':'x'},'behavior':'MergedWithNext','invert':false}", "axbxc", "a|xb|xc"},
        {"{'type':'Split','pattern':{'String':'x'},'behavior':'Contiguous','invert':false}", "axxb", "a|xx|b"},
        {"{'type':'Metaspace','replacement':'_','prepend_scheme':'always','split':true}", "a b", "_a|_b"},
        {"{'type':'Metaspace','replacement':'_','prepend_scheme':'never','split':false}", "a b", "a_b"},
        {"{'type':'Metaspace','replacement':'_','prepend_scheme':'first'}", "a b", "_a|_b"},
        {"{'type':'Metaspace','replacement':'_'}", "a b", "_a|_b"},
        {"{'type':'Metaspace','replacement':'_','add_prefix_space':false}", "a b", "a|_b"},
        {"{'type':'ByteLevel','add_prefix_space':true,'use_regex':true}", "it's 12",
         "\xc4\xa0it|'s|\xc4\xa0"
         "12"},
        {"{'type':'ByteLevel','add_prefix_space':false,'use_regex':false}", "a b\xc3\xa9",
         "a\xc4\xa0"
         "b\xc3\x83\xc2\xa9"},
        {"{'type':'Sequence','pretokenizers':[{'type':'WhitespaceSplit'},{'type':'Digits'}]}", "a1 b2", "a|1|b|2"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(ATT_PRE_TOKENIZERS, &rows[i]);
}

static void decoders_join(void **state)
{
    static const struct row rows[] = {
        {"null", "a|b", "a b"},
        {"{'type':'WordPiece','prefix':'##','cleanup':true}", "do|##n|'|t|,|x", "don ' t, x"},
        {"{'type':'WordPiece','prefix':'##','cleanup':false}", "a|##b|,", "ab ,"},
        {"{'type':'BPEDecoder','suffix':'</w>'}", "a</w>|b|c</w>", "a bc"},
        {"{'type':'ByteLevel'}", "\xc4\xa0it|\xc3\x83\xc2\xa9", " it\xc3\xa9"},
        {"{'type':'Metaspace','replacement':'_','prepend_scheme':'always','split':true}", "_a|_b", "a b"},
        {"{'type':'ByteFallback'}", "<0xC3>|<0xA9>|x|<0xFF>", "\xc3\xa9x\xef\xbf\xbd"},
        {"{'type':'Replace','pattern':{'String':'_'},'content':' '}", "_a|b_", " ab "},
        {"{'type':'Sequence','decoders':[{'type':'Replace','pattern':{'String':'_'},'content':' '},{'type':'Fuse'},"
         "{'type':'Strip','content':' ','start':1,'stop':1}]}",
         "_a|_b_", "a b"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(ATT_DECODERS, &rows[i]);
}

static void what_cannot_be_is_refused_by_field(void **state)
{
    static const struct {
        enum att_step_list list;
        const char *section, *says;
    } rows[] = {
        {ATT_NORMALIZERS, "5", "normalizer"},
        {ATT_NORMALIZERS, "{'type':'Foo'}", "Foo"},
        {ATT_NORMALIZERS, "{'type':'Digits'}", "Digits"},
        {ATT_NORMALIZERS, "{'type':'Strip','strip_left':1}", "strip_left"},
        {ATT_NORMALIZERS, "{'type':'Prepend'}", "prepend"},
        {ATT_NORMALIZERS, "{'type':'Replace','content':'x'}", "pattern"},
        {ATT_NORMALIZERS, "{'type':'Replace','pattern':{'String':''},'content':'x'}", "pattern"},
        {ATT_NORMALIZERS, "{'type':'Replace','pattern':{'String':'a'}}", "content"},
        {ATT_NORMALIZERS, "{'type':'Replace','pattern':{'Regex':'('},'content':'x'}", "pattern"},
        {ATT_NORMALIZERS, "{'type':'Replace','pattern':{'Regex':'\\\\w'},'content':'x'}", "escape"},
        {ATT_NORMALIZERS, "{'type':'Replace','pattern':{'Regex':'[a[b]]'},'content':'x'}", "class"},
        {ATT_NORMALIZERS, "{'type':'Replace','pattern':{'Regex':'[a&&b]'},'content':'x'}", "&&"},
        {ATT_NORMALIZERS, "{'type':'Precompiled'}", "precompiled_charsmap"},
        {ATT_NORMALIZERS, "{'type':'Precompiled','precompiled_charsmap':'AA=='}", "precompiled_charsmap"},
        {ATT_NORMALIZERS, "{'type':'Precompiled','precompiled_charsmap':'A-A='}", "precompiled_charsmap"},
        {ATT_NORMALIZERS, "{'type':'Sequence'}", "normalizers"},
        {ATT_PRE_TOKENIZERS, "{'type':'Split','pattern':{'String':'a'},'behavior':'Eaten'}", "behavior"},
        {ATT_PRE_TOKENIZERS, "{'type':'Split','pattern':{'String':'a'},'behavior':'Removed','invert':'no'}", "invert"},
        {ATT_PRE_TOKENIZERS, "{'type':'Metaspace','replacement':'ab'}", "replacement"},
        {ATT_PRE_TOKENIZERS, "{'type':'Metaspace','replacement':'_','prepend_scheme':'often'}", "prepend_scheme"},
        {ATT_PRE_TOKENIZERS, "{'type':'Metaspace','replacement':'_','add_prefix_space':1}", "add_prefix_space"},
        {ATT_PRE_TOKENIZERS, "{'type':'Metaspace','replacement':'_','split':1}", "split"},
        {ATT_PRE_TOKENIZERS, "{'type':'Split','pattern':{'String':'a'}}", "behavior: is missing"},
        {ATT_PRE_TOKENIZERS, "{'type':'Punctuation','behavior':5}", "behavior: is number"},
        {ATT_PRE_TOKENIZERS, "{'type':'ByteLevel','add_prefix_space':0}", "add_prefix_space"},
        {ATT_PRE_TOKENIZERS, "{'type':'Sequence','pretokenizers':[{'type':'Digits'},5]}", "type: is missing"},
        {ATT_PRE_TOKENIZERS, "{'type':'CharDelimiterSplit','delimiter':''}", "delimiter"},
        {ATT_PRE_TOKENIZERS, "{'type':'Digits','individual_digits':'x'}", "individual_digits"},
        {ATT_PRE_TOKENIZERS, "{'type':'ByteLevel','use_regex':0}", "use_regex"},
        {ATT_DECODERS, "{'type':'BPEDecoder','suffix':''}", "suffix"},
        {ATT_DECODERS, "{'type':'WordPiece'}", "prefix"},
        {ATT_DECODERS, "{'type':'WordPiece','prefix':'#','cleanup':1}", "cleanup"},
        {ATT_DECODERS, "{'type':'BPEDecoder'}", "suffix: is missing"},
        {ATT_DECODERS, "{'type':'Strip','content':' ','start':-1,'stop':0}", "start"},
        {ATT_DECODERS, "{'type':'Strip','content':'ab','start':0,'stop':0}", "content"},
        {ATT_DECODERS, "{'type':'Strip','content':' ','start':0,'stop':0.5}", "stop"},
        {ATT_NORMALIZERS,
         "{'type':'Sequence','normalizers':[{'type':'Sequence','normalizers':[{'type':'Sequence','normalizers':["
         "{'type':'Sequence','normalizers':[{'type':'Sequence','normalizers':[]}]}]}]}]}",
         "'Sequence' is not known"},
    };
    static struct att_steps steps;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct att_json *section = parse(rows[i].section);
        struct att_err err = {.message = ""};
        memset(&steps, 0, sizeof steps);
        enum att_status status = att_steps_read(rows[i].list, section, "tokenizer.json", &steps, &err);
        if (status != ATT_EFORMAT && status != ATT_EUNSUPPORTED)
            fail_msg("%s: status %d", rows[i].section, (int)status);
        if (!strstr(err.message, rows[i].says) || strncmp(err.message, "tokenizer.json", 14) != 0)
            fail_msg("%s: '%s' does not say '%s'", rows[i].section, err.message, rows[i].says);
        att_steps_finish(&steps);
        att_json_destroy(section);
    }
}

/* As many steps as may be, and one more. */
static void steps_are_counted(void **state)
{
    static struct att_steps steps;
    char section[ATT_STEPS_MAX * 16 + 80];
    (void)state;
    for (int n = ATT_STEPS_MAX; n <= ATT_STEPS_MAX + 1; n++) {
        size_t len = (size_t)snprintf(section, sizeof section, "{'type':'Sequence','normalizers':[");
        for (int i = 0; i < n; i++)
            len += (size_t)snprintf(section + len, sizeof section - len, "%s{'type':'NFC'}", i ? "," : "");
        snprintf(section + len, sizeof section - len, "]}");
        struct att_json *json = parse(section);
        struct att_err err = {.message = ""};
        memset(&steps, 0, sizeof steps);
        enum att_status status = att_steps_read(ATT_NORMALIZERS, json, "tokenizer.json", &steps, &err);
        assert_int_equal(steps.count, ATT_STEPS_MAX);
        assert_int_equal(status, n == ATT_STEPS_MAX ? ATT_OK : ATT_EUNSUPPORTED);
        assert_string_equal(err.message, n == ATT_STEPS_MAX ? "" : "tokenizer.json: normalizer: more than 32 steps");
        att_steps_finish(&steps);
        att_json_destroy(json);
    }
}

/* ---- SentencePiece's map ---- */

/* The base64 of a map of one key: a double array in which byte i of the key leads from base 256 (i + 1) to the next. */
static char *map_of(const char *key, const char *value)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(key), n_units = 256 * (n + 2), size = 4 * n_units, total = 4 + size + strlen(value) + 1;
    unsigned char *bytes = calloc(1, total + 3);
    char *text = calloc(1, total / 3 * 4 + 8), *to = text;
    uint32_t *units = calloc(n_units, sizeof *units);
    units[0] = 256u << 10;
    for (size_t i = 0; i < n; i++) {
        uint32_t byte = (unsigned char)key[i], node = (uint32_t)(256 * (i + 1)) ^ byte;
        units[node] = (node ^ (uint32_t)(256 * (i + 2))) << 10 | byte;
        if (i + 1 == n)
            units[node] |= 1u << 8;
    }
    if (n > 0)
        units[256 * (n + 1)] = 1u << 31;
    for (size_t i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(size >> 8 * i);
    for (size_t i = 0; i < size; i++)
        bytes[4 + i] = (unsigned char)(units[i / 4] >> 8 * (i % 4));
    memcpy(bytes + 4 + size, value, strlen(value));
    for (size_t i = 0; i < total; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            *to++ = digits[group >> shift & 63];
    }
    free(units);
    free(bytes);
    return text;
}

static void precompiled_maps_rewrite(void **state)
{
    char *map = map_of("\xef\xac\x81", "fi"), *section = malloc(strlen(map) + 64);
    const struct row rows[] = {
        {section, "\xef\xac\x81x\xef\xac\x82", "fix\xef\xac\x82"}, {section, "plain", "plain"}, {section, "", ""}};
    (void)state;
    snprintf(section, strlen(map) + 64, "{'type':'Precompiled','precompiled_charsmap':'%s'}", map);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(ATT_NORMALIZERS, &rows[i]);
    free(section);
    free(map);
}

/* A map whose array or values lead out of itself finds nothing. */
static void maps_that_lie_find_nothing(void **state)
{
    uint32_t units[600] = {256u << 10};
    char block[] = "x";
    const struct att_charsmap map = {units, 600, block, 1};
    (void)state;
    units[256 ^ 'a'] = 0x1ffff0u << 10 | 'a'; /* leads far away */
    units[256 ^ 'b'] = (uint32_t)((256 ^ 'b') ^ 512) << 10 | 1u << 8 | 'b';
    units[512] = 1u << 31 | 77; /* a value behind the block */
    assert_null(att_charsmap_find(&map, "a", 1));
    assert_null(att_charsmap_find(&map, "b", 1));
    assert_null(att_charsmap_find(&map, "c", 1));
    units[0] = 0x1fffffu << 10;
    assert_null(att_charsmap_find(&map, "b", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalizers_rewrite),
        cmocka_unit_test(pre_tokenizers_cut),
        cmocka_unit_test(decoders_join),
        cmocka_unit_test(what_cannot_be_is_refused_by_field),
        cmocka_unit_test(steps_are_counted),
        cmocka_unit_test(precompiled_maps_rewrite),
        cmocka_unit_test(maps_that_lie_find_nothing),
    };
    return cmocka_run_group_tests_name("text/steps", tests, NULL, NULL);
}
