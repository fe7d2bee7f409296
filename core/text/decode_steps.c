/* The decoders. Each rewrites the list of token texts; at the end they are joined. */
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/text/cleanup.h"
#include "core/text/steps.h"
#include "core/text/unicode.h"

/* ---- bytes as characters ---- */

/* Printable bytes stand for themselves, the others for U+0100 and on (GPT-2). */
static bool plain(unsigned char byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

uint32_t att_byte_char(unsigned char byte)
{
    if (plain(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100u + byte;
    if (byte <= 0xa0)
        return 0x100u + 0x21u + (byte - 0x7fu);
    return 0x143; /* 0xad */
}

int att_char_byte(uint32_t c)
{
    if (c < 0x100)
        return plain((unsigned char)c) ? (int)c : -1;
    if (c <= 0x120)
        return (int)c - 0x100;
    if (c <= 0x142)
        return (int)c - 0x121 + 0x7f;
    return c == 0x143 ? 0xad : -1;
}

bool att_is_token_space(uint32_t c)
{
    return c == 0x120 || (att_char_classify(c) & ATT_CHAR_SPACE);
}

/* ---- the list of texts: end to end in one buffer ---- */

struct texts {
    char *bytes;
    size_t len, capacity;
    size_t *ends;
    size_t count, end_capacity;
    bool failed;
};

static void texts_finish(struct texts *texts)
{
    att_mem_free(texts->bytes);
    att_mem_free(texts->ends);
}

static void put(struct texts *texts, const char *bytes, size_t len)
{
    if (texts->capacity - texts->len < len + 1) {
        size_t capacity = texts->capacity ? texts->capacity : 256;
        while (capacity - texts->len < len + 1)
            capacity *= 2;
        char *more = texts->failed ? NULL : att_mem_realloc(texts->bytes, capacity, 1);
        texts->failed = texts->failed || !more;
        if (!more)
            return;
        texts->bytes = more;
        texts->capacity = capacity;
    }
    memcpy(texts->bytes + texts->len, bytes, len);
    texts->len += len;
}

static void close_text(struct texts *texts)
{
    if (texts->count == texts->end_capacity) {
        size_t capacity = texts->end_capacity ? 2 * texts->end_capacity : 64;
        size_t *more = texts->failed ? NULL : att_mem_realloc(texts->ends, capacity, sizeof *more);
        texts->failed = texts->failed || !more;
        if (!more)
            return;
        texts->ends = more;
        texts->end_capacity = capacity;
    }
    texts->ends[texts->count++] = texts->len;
}

static void put_code_point(struct texts *texts, uint32_t c)
{
    char bytes[4];
    put(texts, bytes, att_utf8_put(c, bytes));
}

/* Bytes as text; each maximal part that is no UTF-8 becomes U+FFFD, as Rust's from_utf8_lossy has it. */
static void put_lossy(struct texts *to, const char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        unsigned char lead = (unsigned char)bytes[at];
        size_t want = lead < 0x80                    ? 1
                      : lead >= 0xc2 && lead <= 0xdf ? 2
                      : lead >= 0xe0 && lead <= 0xef ? 3
                      : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                     : 0;
        size_t have = want > 0 ? 1 : 0;
        while (have > 0 && have < want && at + have < len) {
            unsigned char c = (unsigned char)bytes[at + have];
            unsigned char low = 0x80, high = 0xbf;
            if (have == 1) {
                low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
                high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
            }
            if (c < low || c > high)
                break;
            have++;
        }
        if (want > 0 && have == want)
            put(to, bytes + at, want);
        else
            put_code_point(to, 0xfffd);
        at += have > 0 ? have : 1;
    }
}

static size_t begin_of(const struct texts *texts, size_t i)
{
    return i > 0 ? texts->ends[i - 1] : 0;
}

/* ---- the steps ---- */

/* A token all of whose characters stand for bytes is those bytes, another one its own. */
static void byte_level(const struct texts *from, struct texts *work, struct texts *to)
{
    for (size_t i = 0; i < from->count; i++) {
        size_t begin = begin_of(from, i), end = from->ends[i], first = work->len;
        bool all = true;
        for (size_t at = begin; all && at < end;) {
            int byte = att_char_byte(att_utf8_next(from->bytes, end, &at));
            char c = (char)byte;
            all = byte >= 0;
            if (all)
                put(work, &c, 1);
        }
        if (all)
            continue;
        work->len = work->failed ? work->len : first;
        put(work, from->bytes + begin, end - begin);
    }
    if (!work->failed)
        put_lossy(to, work->bytes, work->len);
    to->failed = to->failed || work->failed;
    close_text(to);
}

static void metaspace(const struct att_step *step, const struct texts *from, struct texts *to)
{
    for (size_t i = 0; i < from->count; i++) {
        for (size_t at = begin_of(from, i), end = from->ends[i]; at < end;) {
            if (end - at >= step->text_len && memcmp(from->bytes + at, step->text, step->text_len) == 0) {
                if (i > 0 || step->prepend == ATT_PREPEND_NEVER)
                    put(to, " ", 1);
                at += step->text_len;
            } else {
                put(to, from->bytes + at++, 1);
            }
        }
        close_text(to);
    }
}

static int byte_of(const char *text, size_t len)
{
    int value = 0;
    if (len != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    for (int i = 3; i < 5; i++) {
        const char *digits = "0123456789abcdef", *found = strchr(digits, text[i] | 0x20);
        if (text[i] == '\0' || !found || (text[i] < '0'))
            return -1;
        value = 16 * value + (int)(found - digits);
    }
    return value;
}

static void flush_bytes(const char *bytes, size_t len, struct texts *to)
{
    if (len == 0)
        return;
    if (att_utf8_valid(bytes, len)) {
        put(to, bytes, len);
        close_text(to);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        put_code_point(to, 0xfffd);
        close_text(to);
    }
}

static void byte_fallback(const struct texts *from, struct texts *work, struct texts *to)
{
    for (size_t i = 0; i < from->count; i++) {
        size_t begin = begin_of(from, i), end = from->ends[i];
        int byte = byte_of(from->bytes + begin, end - begin);
        char c = (char)byte;
        if (byte >= 0) {
            put(work, &c, 1);
            continue;
        }
        flush_bytes(work->bytes, work->len, to);
        work->len = 0;
        put(to, from->bytes + begin, end - begin);
        close_text(to);
    }
    flush_bytes(work->bytes, work->len, to);
    to->failed = to->failed || work->failed;
}

static void strip_token(const struct att_step *step, const struct texts *from, struct texts *to)
{
    size_t n = step->text_len;
    for (size_t i = 0; i < from->count; i++) {
        size_t begin = begin_of(from, i), end = from->ends[i];
        for (size_t k = 0; k < step->start && end - begin >= n && memcmp(from->bytes + begin, step->text, n) == 0; k++)
            begin += n;
        for (size_t k = 0; k < step->stop && end - begin >= n && memcmp(from->bytes + end - n, step->text, n) == 0; k++)
            end -= n;
        put(to, from->bytes + begin, end - begin);
        close_text(to);
    }
}

static bool replace(const struct att_step *step, struct att_regex_match *match, const struct texts *from,
                    struct texts *to)
{
    for (size_t i = 0; i < from->count; i++) {
        const char *text = from->bytes + begin_of(from, i);
        size_t len = from->ends[i] - begin_of(from, i), at = 0, begin = 0, end = 0;
        while (at < len) {
            int rc = 0;
            if (step->regex) {
                rc = att_regex_find(step->regex, match, text, len, at, &begin, &end);
            } else {
                const char *found = memmem(text + at, len - at, step->literal, step->literal_len);
                rc = found ? 1 : 0;
                begin = found ? (size_t)(found - text) : 0;
                end = begin + step->literal_len;
            }
            if (rc < 0)
                return false;
            if (rc == 0 || end == begin)
                break;
            put(to, text + at, begin - at);
            put(to, step->text, step->text_len);
            at = end;
        }
        put(to, text + at, len - at);
        close_text(to);
    }
    return true;
}

static void bpe_suffix(const struct att_step *step, const struct texts *from, struct texts *to)
{
    for (size_t i = 0; i < from->count; i++) {
        const char *text = from->bytes + begin_of(from, i);
        size_t len = from->ends[i] - begin_of(from, i), at = 0;
        for (const char *found; at < len && (found = memmem(text + at, len - at, step->text, step->text_len));) {
            put(to, text + at, (size_t)(found - text) - at);
            if (i + 1 < from->count)
                put(to, " ", 1);
            at = (size_t)(found - text) + step->text_len;
        }
        put(to, text + at, len - at);
        close_text(to);
    }
}

static void wordpiece(const struct att_step *step, const struct texts *from, struct texts *to)
{
    for (size_t i = 0; i < from->count; i++) {
        const char *text = from->bytes + begin_of(from, i);
        size_t len = from->ends[i] - begin_of(from, i), first = to->len;
        bool glued = i > 0 && len >= step->text_len && memcmp(text, step->text, step->text_len) == 0;
        if (i > 0 && !glued)
            put(to, " ", 1);
        put(to, text + (glued ? step->text_len : 0), len - (glued ? step->text_len : 0));
        if (step->left && !to->failed)
            to->len = first + att_cleanup(to->bytes + first, to->len - first);
        close_text(to);
    }
}

static bool run(const struct att_step *step, struct att_regex_match *match, const struct texts *from, struct texts *to)
{
    struct texts work = {.bytes = NULL};
    bool done = true;
    switch (step->kind) {
    case ATT_STEP_BYTE_LEVEL:
        byte_level(from, &work, to);
        break;
    case ATT_STEP_METASPACE:
        metaspace(step, from, to);
        break;
    case ATT_STEP_BYTE_FALLBACK:
        byte_fallback(from, &work, to);
        break;
    case ATT_STEP_STRIP_TOKEN:
        strip_token(step, from, to);
        break;
    case ATT_STEP_REPLACE:
        done = replace(step, match, from, to);
        break;
    case ATT_STEP_BPE_SUFFIX:
        bpe_suffix(step, from, to);
        break;
    case ATT_STEP_WORDPIECE:
        wordpiece(step, from, to);
        break;
    default: /* Fuse */
        put(to, from->bytes, from->len);
        close_text(to);
        break;
    }
    texts_finish(&work);
    return done;
}

enum att_status att_decode_steps(const struct att_steps *steps, const char *const *tokens, size_t count,
                                 char **ret_text, size_t *ret_len, struct att_err *err)
{
    struct texts from = {.bytes = NULL};
    struct att_regex_match *match = att_regex_match_create();
    bool done = match != NULL;
    put(&from, "", 0);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && steps->count == 0)
            put(&from, " ", 1);
        put(&from, tokens[i], strlen(tokens[i]));
        close_text(&from);
    }
    for (size_t i = 0; done && !from.failed && i < steps->count; i++) {
        struct texts to = {.bytes = NULL};
        put(&to, "", 0);
        done = run(&steps->items[i], match, &from, &to);
        texts_finish(&from);
        from = to;
    }
    att_regex_match_destroy(match);
    if (!done || from.failed) {
        texts_finish(&from);
        return att_err_set(err, ATT_ENOMEM, "out of memory for a text");
    }
    from.bytes[from.len] = '\0';
    att_mem_free(from.ends);
    *ret_text = from.bytes;
    *ret_len = from.len;
    return ATT_OK;
}
