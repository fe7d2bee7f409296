/* A table of what each step is called and which fields it has; whatever else a file names is refused. */
#include "core/text/steps_json.h"

#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"

enum { DEPTH_MAX = 4 };

/* GPT-2's words, which ByteLevel cuts by itself. */
static const char gpt2_pattern[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static const char *const sections[] = {"normalizer", "pre_tokenizer", "decoder"};
static const char *const members[] = {"normalizers", "pretokenizers", "decoders"};

struct reading {
    enum att_step_list list;
    const char *file;
    struct att_step *step;
    const struct att_json *json;
    struct att_err *err;
};

static enum att_status bad(const struct reading *r, const char *field, const char *expected)
{
    const struct att_json *value = att_json_get(r->json, field);
    return att_err_set(r->err, ATT_EFORMAT, "%s: %s.%s: is %s, expected %s", r->file, sections[r->list], field,
                       value ? att_json_type_name(value) : "missing", expected);
}

static enum att_status copy(const struct reading *r, const char *text, size_t len, char **ret, size_t *ret_len)
{
    char *to = att_mem_calloc(len + 1, 1);
    if (!to)
        return att_err_set(r->err, ATT_ENOMEM, "out of memory for %s", sections[r->list]);
    memcpy(to, text, len);
    *ret = to;
    *ret_len = len;
    return ATT_OK;
}

static enum att_status read_flag(const struct reading *r, const char *field, bool otherwise, bool *ret)
{
    const struct att_json *value = att_json_get(r->json, field);
    if (value && !att_json_is_bool(value))
        return bad(r, field, "true or false");
    *ret = att_json_bool(value, otherwise);
    return ATT_OK;
}

static enum att_status read_text(const struct reading *r, const char *field)
{
    size_t len;
    const char *text = att_json_string(att_json_get(r->json, field), &len);
    return text ? copy(r, text, len, &r->step->text, &r->step->text_len) : bad(r, field, "a string");
}

static enum att_status read_char(const struct reading *r, const char *field)
{
    enum att_status status = read_text(r, field);
    size_t at = 0;
    if (status != ATT_OK)
        return status;
    if (r->step->text_len > 0)
        att_utf8_next(r->step->text, r->step->text_len, &at);
    return at > 0 && at == r->step->text_len ? ATT_OK : bad(r, field, "one character");
}

static enum att_status read_count(const struct reading *r, const char *field, size_t *ret)
{
    int64_t number = 0;
    if (!att_json_integer(att_json_get(r->json, field), 0, 1 << 20, &number))
        return bad(r, field, "an integer from 0");
    *ret = (size_t)number;
    return ATT_OK;
}

/* {"String": "…"} or {"Regex": "…"}. */
static enum att_status read_pattern(const struct reading *r)
{
    const struct att_json *pattern = att_json_get(r->json, "pattern");
    size_t len = 0;
    const char *regex = att_json_string(att_json_get(pattern, "Regex"), NULL);
    const char *literal = att_json_string(att_json_get(pattern, "String"), &len);
    char field[64];
    snprintf(field, sizeof field, "%.30s: %s.pattern", r->file, sections[r->list]);
    if (regex)
        return att_regex_compile(regex, field, &r->step->regex, r->err);
    if (!literal || len == 0)
        return bad(r, "pattern", "a String or a Regex that is not empty");
    return copy(r, literal, len, &r->step->literal, &r->step->literal_len);
}

static enum att_status read_behavior(const struct reading *r)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    const struct att_json *value = att_json_get(r->json, "behavior");
    const char *name = att_json_string(value, NULL);
    if (!value && r->step->kind == ATT_STEP_PUNCTUATION)
        name = "Isolated";
    for (int i = 0; name && i <= ATT_CONTIGUOUS; i++)
        if (strcmp(names[i], name) == 0) {
            r->step->behavior = (enum att_behavior)i;
            return ATT_OK;
        }
    return bad(r, "behavior", "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

static enum att_status read_metaspace(const struct reading *r)
{
    static const char *const names[] = {"always", "first", "never"};
    const char *scheme = att_json_string(att_json_get(r->json, "prepend_scheme"), NULL);
    bool added = true;
    int i = 0;
    enum att_status status = read_char(r, "replacement");
    if (status == ATT_OK)
        status = read_flag(r, "add_prefix_space", true, &added);
    if (status == ATT_OK)
        status = read_flag(r, "split", true, &r->step->right);
    if (status != ATT_OK)
        return status;
    while (scheme && i < 3 && strcmp(names[i], scheme) != 0)
        i++;
    if (i == 3)
        return bad(r, "prepend_scheme", "always, first or never");
    r->step->prepend = scheme ? (enum att_prepend)i : added ? ATT_PREPEND_ALWAYS : ATT_PREPEND_NEVER;
    return copy(r, r->step->text, r->step->text_len, &r->step->literal, &r->step->literal_len);
}

static enum att_status read_byte_level(const struct reading *r)
{
    bool regex = true;
    if (r->list != ATT_PRE_TOKENIZERS)
        return ATT_OK;
    enum att_status status = read_flag(r, "add_prefix_space", true, &r->step->left);
    if (status == ATT_OK)
        status = read_flag(r, "use_regex", true, &regex);
    if (status == ATT_OK && regex)
        status = att_regex_compile(gpt2_pattern, "pre_tokenizer", &r->step->regex, r->err);
    return status;
}

static enum att_status read_map(const struct reading *r)
{
    size_t len = 0;
    char field[96];
    const char *map = att_json_string(att_json_get(r->json, "precompiled_charsmap"), &len);
    snprintf(field, sizeof field, "%.30s: normalizer.precompiled_charsmap", r->file);
    return map ? att_charsmap_read(map, len, field, &r->step->map, r->err) : bad(r, "precompiled_charsmap", "a string");
}

/* The fields of one step. */
static enum att_status read_fields(const struct reading *r)
{
    struct att_step *step = r->step;
    enum att_status status = ATT_OK;
    switch (step->kind) {
    case ATT_STEP_STRIP:
        status = read_flag(r, "strip_left", true, &step->left);
        return status == ATT_OK ? read_flag(r, "strip_right", true, &step->right) : status;
    case ATT_STEP_PREPEND:
        return read_text(r, "prepend");
    case ATT_STEP_REPLACE:
        status = read_pattern(r);
        return status == ATT_OK ? read_text(r, "content") : status;
    case ATT_STEP_PRECOMPILED:
        return read_map(r);
    case ATT_STEP_BYTE_LEVEL:
        return read_byte_level(r);
    case ATT_STEP_METASPACE:
        return read_metaspace(r);
    case ATT_STEP_SPLIT:
        status = read_pattern(r);
        if (status == ATT_OK)
            status = read_behavior(r);
        return status == ATT_OK ? read_flag(r, "invert", false, &step->left) : status;
    case ATT_STEP_DIGITS:
        return read_flag(r, "individual_digits", false, &step->left);
    case ATT_STEP_PUNCTUATION:
        return read_behavior(r);
    case ATT_STEP_DELIMITER:
        return read_char(r, "delimiter");
    case ATT_STEP_WORDPIECE:
        status = read_text(r, "prefix");
        return status == ATT_OK ? read_flag(r, "cleanup", true, &step->left) : status;
    case ATT_STEP_BPE_SUFFIX:
        status = read_text(r, "suffix");
        return status == ATT_OK && step->text_len == 0 ? bad(r, "suffix", "a string that is not empty") : status;
    case ATT_STEP_STRIP_TOKEN:
        status = read_char(r, "content");
        if (status == ATT_OK)
            status = read_count(r, "start", &step->start);
        return status == ATT_OK ? read_count(r, "stop", &step->stop) : status;
    default:
        return ATT_OK;
    }
}

static const struct {
    enum att_step_list list;
    const char *name;
    enum att_step_kind kind;
} known[] = {
    {ATT_NORMALIZERS, "NFC", ATT_STEP_NFC},
    {ATT_NORMALIZERS, "NFD", ATT_STEP_NFD},
    {ATT_NORMALIZERS, "NFKC", ATT_STEP_NFKC},
    {ATT_NORMALIZERS, "NFKD", ATT_STEP_NFKD},
    {ATT_NORMALIZERS, "Lowercase", ATT_STEP_LOWERCASE},
    {ATT_NORMALIZERS, "StripAccents", ATT_STEP_STRIP_ACCENTS},
    {ATT_NORMALIZERS, "Strip", ATT_STEP_STRIP},
    {ATT_NORMALIZERS, "Prepend", ATT_STEP_PREPEND},
    {ATT_NORMALIZERS, "Replace", ATT_STEP_REPLACE},
    {ATT_NORMALIZERS, "Nmt", ATT_STEP_NMT},
    {ATT_NORMALIZERS, "Precompiled", ATT_STEP_PRECOMPILED},
    {ATT_NORMALIZERS, "ByteLevel", ATT_STEP_BYTE_LEVEL},
    {ATT_PRE_TOKENIZERS, "Whitespace", ATT_STEP_WHITESPACE},
    {ATT_PRE_TOKENIZERS, "WhitespaceSplit", ATT_STEP_WHITESPACE_SPLIT},
    {ATT_PRE_TOKENIZERS, "BertPreTokenizer", ATT_STEP_BERT},
    {ATT_PRE_TOKENIZERS, "ByteLevel", ATT_STEP_BYTE_LEVEL},
    {ATT_PRE_TOKENIZERS, "Metaspace", ATT_STEP_METASPACE},
    {ATT_PRE_TOKENIZERS, "Split", ATT_STEP_SPLIT},
    {ATT_PRE_TOKENIZERS, "Digits", ATT_STEP_DIGITS},
    {ATT_PRE_TOKENIZERS, "Punctuation", ATT_STEP_PUNCTUATION},
    {ATT_PRE_TOKENIZERS, "CharDelimiterSplit", ATT_STEP_DELIMITER},
    {ATT_DECODERS, "ByteLevel", ATT_STEP_BYTE_LEVEL},
    {ATT_DECODERS, "Metaspace", ATT_STEP_METASPACE},
    {ATT_DECODERS, "WordPiece", ATT_STEP_WORDPIECE},
    {ATT_DECODERS, "BPEDecoder", ATT_STEP_BPE_SUFFIX},
    {ATT_DECODERS, "ByteFallback", ATT_STEP_BYTE_FALLBACK},
    {ATT_DECODERS, "Fuse", ATT_STEP_FUSE},
    {ATT_DECODERS, "Strip", ATT_STEP_STRIP_TOKEN},
    {ATT_DECODERS, "Replace", ATT_STEP_REPLACE},
};

static enum att_status refuse(const struct reading *r, const char *name)
{
    char names[512];
    size_t at = 0;
    names[0] = '\0';
    for (size_t i = 0; i < sizeof known / sizeof *known && at < sizeof names; i++)
        if (known[i].list == r->list)
            at += (size_t)snprintf(names + at, sizeof names - at, "%s, ", known[i].name);
    return att_err_set(r->err, ATT_EUNSUPPORTED, "%s: %s.type: '%.60s' is not known, expected %sSequence", r->file,
                       sections[r->list], name, names);
}

static enum att_status read_step(enum att_step_list list, const struct att_json *json, const char *file, int depth,
                                 struct att_steps *steps, struct att_err *err)
{
    struct reading r = {.list = list, .file = file, .json = json, .err = err};
    const char *name = att_json_string(att_json_get(json, "type"), NULL);
    if (!name)
        return bad(&r, "type", "a string");
    if (strcmp(name, "Sequence") == 0 && depth < DEPTH_MAX) {
        const struct att_json *inner = att_json_get(json, members[list]);
        if (!att_json_is_array(inner))
            return bad(&r, members[list], "an array");
        for (size_t i = 0; i < att_json_count(inner); i++) {
            enum att_status status = read_step(list, att_json_at(inner, i), file, depth + 1, steps, err);
            if (status != ATT_OK)
                return status;
        }
        return ATT_OK;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].list != list || strcmp(known[i].name, name) != 0)
            continue;
        if (steps->count == ATT_STEPS_MAX)
            return att_err_set(err, ATT_EUNSUPPORTED, "%s: %s: more than %d steps", file, sections[list],
                               ATT_STEPS_MAX);
        r.step = &steps->items[steps->count++];
        r.step->kind = known[i].kind;
        return read_fields(&r);
    }
    return refuse(&r, name);
}

enum att_status att_steps_read(enum att_step_list list, const struct att_json *section, const char *file,
                               struct att_steps *steps, struct att_err *err)
{
    if (!section || att_json_type(section) == ATT_JSON_NULL)
        return ATT_OK;
    return read_step(list, section, file, 0, steps, err);
}
