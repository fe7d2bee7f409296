/* N-grams as 32-bit hashes; see lexical.h. */
#include "store/lexical.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"

enum { WORD_MAX = 64, LAUGHTER = 3 }; /* characters of a word that count; repetitions that are none of a word */

static bool is_cjk(uint32_t c)
{
    return (c >= 0x3040 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x9fff) || (c >= 0xac00 && c <= 0xd7af) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x3ffff);
}

/* Letters and digits of other scripts; ASCII punctuation, white space and common CJK punctuation part words. */
static bool is_word(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
    return c >= 0xc0 && !is_cjk(c) && !(c >= 0x2000 && c <= 0x206f) && !(c >= 0x3000 && c <= 0x303f) &&
           !(c >= 0xff00 && c <= 0xff65) && c != 0xfffd;
}

/* The highest bit tells pairs from the rest, so that their weight needs no table of its own. */
static const uint32_t pair_bit = UINT32_C(1) << 31;
static const float pair_weight = 0.5f; /* tools/train/reply.py --pair-weight: best of 0.2 to 1 */

/* FNV-1a over the characters, with the kind of n-gram as its first byte. */
static uint32_t hash(char kind, const uint32_t *characters, size_t count)
{
    uint32_t h = (2166136261u ^ (uint8_t)kind) * 16777619u;
    for (size_t i = 0; i < count; i++)
        for (int shift = 0; shift < 24; shift += 8)
            h = (h ^ (characters[i] >> shift & 255)) * 16777619u;
    return kind == 'p' ? h | pair_bit : h & ~pair_bit;
}

struct sink {
    uint32_t *grams;
    size_t count;
};

static void put(struct sink *sink, uint32_t gram)
{
    if (sink->count < STORE_GRAMS_MAX)
        sink->grams[sink->count++] = gram;
}

static void put_word(struct sink *sink, const uint32_t *word, size_t len)
{
    uint32_t marked[WORD_MAX + 2];
    put(sink, hash('w', word, len));
    marked[0] = '<';
    memcpy(marked + 1, word, len * sizeof *word);
    marked[len + 1] = '>';
    for (size_t i = 0; i + 3 <= len + 2; i++)
        put(sink, hash('t', marked + i, 3));
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

size_t store_grams_distinct(uint32_t *grams, size_t count)
{
    size_t kept = 0;
    qsort(grams, count, sizeof *grams, by_value);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || grams[kept - 1] != grams[i])
            grams[kept++] = grams[i];
    return kept;
}

bool store_grams_has(const uint32_t *grams, size_t count, uint32_t gram)
{
    return bsearch(&gram, grams, count, sizeof gram, by_value) != NULL;
}

/* How often c stands at *at and right behind it; *at moves to the last. */
static size_t repetitions(const char *text, size_t len, uint32_t c, size_t *at)
{
    size_t count = 1, next = *at;
    while (next < len && att_utf8_next(text, len, &next) == c) {
        *at = next;
        count++;
    }
    return count;
}

size_t store_grams(const char *text, size_t len, uint32_t grams[STORE_GRAMS_MAX])
{
    struct sink sink = {grams, 0};
    uint32_t word[WORD_MAX], previous = 0;
    size_t word_len = 0, at = 0;
    while (at < len) {
        uint32_t c = att_utf8_next(text, len, &at);
        if (c >= 'A' && c <= 'Z')
            c += 'a' - 'A';
        bool cjk = is_cjk(c);
        if (is_word(c)) {
            if (word_len < WORD_MAX)
                word[word_len++] = c;
        } else if (word_len > 0) {
            put_word(&sink, word, word_len);
            word_len = 0;
        }
        if (cjk) {
            const uint32_t pair[2] = {previous, c};
            size_t next = at;
            if (repetitions(text, len, c, &next) >= LAUGHTER) {
                put(&sink, hash('r', &c, 1));
                previous = 0;
                at = next;
                continue;
            }
            put(&sink, hash('c', &c, 1));
            if (previous)
                put(&sink, hash('p', pair, 2));
        }
        previous = cjk ? c : 0;
    }
    if (word_len > 0)
        put_word(&sink, word, word_len);
    return store_grams_distinct(grams, sink.count);
}

float store_cjk_share(const char *text, size_t len)
{
    size_t cjk = 0, all = 0, at = 0;
    while (at < len) {
        uint32_t c = att_utf8_next(text, len, &at);
        if (c <= ' ')
            continue;
        all++;
        cjk += is_cjk(c) || (c >= 0x3000 && c <= 0x303f) || (c >= 0xff00 && c <= 0xff65);
    }
    return all ? (float)cjk / (float)all : 0;
}

bool store_idf_build(struct att_arena *arena, uint32_t *all, size_t n_all, size_t n_texts, struct store_idf *idf)
{
    qsort(all, n_all, sizeof *all, by_value);
    size_t distinct = 0;
    for (size_t i = 0; i < n_all; i++)
        distinct += i == 0 || all[i - 1] != all[i];
    uint32_t *grams = att_arena_alloc(arena, distinct + 1, sizeof *grams);
    float *weights = att_arena_alloc(arena, distinct + 1, sizeof *weights);
    if (!grams || !weights)
        return false;
    size_t to = 0;
    for (size_t i = 0; i < n_all;) {
        size_t end = i;
        while (end < n_all && all[end] == all[i])
            end++;
        grams[to] = all[i];
        weights[to++] = logf(1.0f + (float)n_texts / (1.0f + (float)(end - i)));
        i = end;
    }
    *idf = (struct store_idf){grams, weights, distinct, logf(1.0f + (float)n_texts)};
    return true;
}

float store_idf_weight(const struct store_idf *idf, uint32_t gram)
{
    const uint32_t *found = bsearch(&gram, idf->grams, idf->count, sizeof gram, by_value);
    float weight = found ? idf->weights[found - idf->grams] : idf->unseen;
    return gram & pair_bit ? pair_weight * weight : weight;
}

float store_grams_norm(const struct store_idf *idf, const uint32_t *grams, size_t count)
{
    float sum = 0;
    for (size_t i = 0; i < count; i++) {
        float weight = store_idf_weight(idf, grams[i]);
        sum += weight * weight;
    }
    return sqrtf(sum);
}

/* Sum of the squared weights of what both have. */
static float common(const struct store_idf *idf, const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b)
{
    float sum = 0;
    for (size_t i = 0, j = 0; i < n_a && j < n_b;) {
        if (a[i] == b[j]) {
            float weight = store_idf_weight(idf, a[i]);
            sum += weight * weight;
            i++;
            j++;
        } else if (a[i] < b[j]) {
            i++;
        } else {
            j++;
        }
    }
    return sum;
}

float store_grams_cosine(const struct store_idf *idf, const uint32_t *a, size_t n_a, float norm_a, const uint32_t *b,
                         size_t n_b, float norm_b)
{
    return norm_a > 0 && norm_b > 0 ? common(idf, a, n_a, b, n_b) / (norm_a * norm_b) : 0;
}

float store_grams_cover(const struct store_idf *idf, const uint32_t *a, size_t n_a, float norm_a, const uint32_t *b,
                        size_t n_b)
{
    return norm_a > 0 ? common(idf, a, n_a, b, n_b) / (norm_a * norm_a) : 0;
}
