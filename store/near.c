/*
 * MinHash signatures and the index of bands.
 *
 * Texts stand in one array in the order of their adding. Each of 32 bands has a
 * table of chains: the newest text first, each text pointing to the one added
 * before it with the same slot. So the last text is always the head of its
 * chains, and taking it away again is as cheap as adding it.
 */
#include "store/near.h"

#include <math.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"

enum {
    BANDS = STORE_NEAR_HASHES / 2,
    SLOTS = 1 << 14, /* of one band */
    CHARACTERS_MAX = 8192,
    SHINGLE_CJK = 3,
    SHINGLE_OTHER = 6,
    CANDIDATES_MAX = 4096, /* looked at for one text: a flood of equal texts must not make each new one slower */
};

struct near_text {
    int64_t seq, cluster, time_ms;
    uint64_t model;
    int8_t *vector;
    size_t dimensions;
    uint32_t signature[STORE_NEAR_HASHES];
    uint32_t before[BANDS]; /* index + 1 of the text before it in its chain; 0: none */
    uint64_t forgotten;     /* in this round; 0: it is not */
};

struct store_near {
    int64_t window_ms;
    struct near_text *texts;
    size_t count, capacity;
    size_t begun;    /* count where the round began */
    uint64_t round;  /* from 1 */
    bool forgets;    /* something was forgotten in this round */
    uint32_t *heads; /* [BANDS][SLOTS], index + 1 */
};

/* ---- signatures ---- */

/* The finaliser of SplitMix64: every bit of the input reaches every bit of the output. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static bool is_cjk(uint32_t c)
{
    return c >= 0x2e80 && c < 0xfb00;
}

/* Small letters and digits; 0 for what does not count. */
static uint32_t fold(uint32_t c)
{
    if (c >= 0xff01 && c <= 0xff5e) /* full width */
        c -= 0xfee0;
    if (c >= 'A' && c <= 'Z')
        return c + 32;
    if (c < 0x80)
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : 0;
    if (c < 0xc0 || (c >= 0x2000 && c < 0x2070) || (c >= 0x3000 && c < 0x3040) || c == 0xfffd)
        return 0;
    return c;
}

static size_t fold_text(const char *text, uint32_t *characters, size_t count)
{
    size_t len = text ? strlen(text) : 0, at = 0;
    while (at < len && count < CHARACTERS_MAX) {
        uint32_t c = fold(att_utf8_next(text, len, &at));
        if (c)
            characters[count++] = c;
    }
    return count;
}

bool store_near_sign(const char *title, const char *text, uint32_t signature[STORE_NEAR_HASHES])
{
    uint32_t characters[CHARACTERS_MAX];
    size_t count = fold_text(text, characters, fold_text(title, characters, 0)), shingles = 0;
    memset(signature, 0xff, STORE_NEAR_HASHES * sizeof *signature);
    for (size_t i = 0; i < count; i++) {
        size_t length = is_cjk(characters[i]) ? SHINGLE_CJK : SHINGLE_OTHER;
        if (i + length > count && shingles > 0)
            break;
        uint64_t x = length;
        for (size_t k = i; k < i + length && k < count; k++)
            x = mix(x * 31 + characters[k]);
        for (uint64_t h = 0; h < STORE_NEAR_HASHES; h++) {
            uint32_t value = (uint32_t)(((x | 1) * (mix(h + 1) | 1) + mix(~h)) >> 32);
            if (value < signature[h])
                signature[h] = value;
        }
        shingles++;
    }
    return shingles > 0;
}

void store_near_quantize(const float *vector, size_t dimensions, int8_t *bytes)
{
    float largest = 0;
    for (size_t i = 0; i < dimensions; i++)
        largest = fmaxf(largest, fabsf(vector[i]));
    for (size_t i = 0; i < dimensions; i++)
        bytes[i] = largest > 0 ? (int8_t)lrintf(vector[i] / largest * 127.0f) : 0;
}

/* ---- comparing ---- */

static double cosine(const int8_t *a, const int8_t *b, size_t n)
{
    int64_t ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ab += (int64_t)a[i] * b[i];
        aa += (int64_t)a[i] * a[i];
        bb += (int64_t)b[i] * b[i];
    }
    return ab > 0 ? (double)ab / sqrt((double)aa * (double)bb) : 0;
}

static double similarity(const struct near_text *a, const struct store_near_text *b)
{
    size_t equal = 0;
    for (size_t h = 0; h < STORE_NEAR_HASHES; h++)
        equal += a->signature[h] == b->signature[h];
    double jaccard = (double)equal / STORE_NEAR_HASHES;
    if (!a->vector || !b->vector || a->dimensions != b->dimensions || a->model != b->model || jaccard >= 1)
        return jaccard;
    return (jaccard + cosine(a->vector, b->vector, a->dimensions)) / 2;
}

static size_t slot(const uint32_t *signature, size_t band)
{
    uint64_t pair = (uint64_t)signature[2 * band] << 32 | signature[2 * band + 1];
    return (size_t)(mix(pair + band) % SLOTS);
}

static bool is_within(int64_t a, int64_t b, int64_t window)
{
    return a > b ? a - b <= window : b - a <= window;
}

struct store_near_match store_near_find(const struct store_near *near, const struct store_near_text *text,
                                        int64_t except)
{
    struct store_near_match best = {0};
    size_t best_index = SIZE_MAX, seen = 0;
    if (!text->signature)
        return best;
    for (size_t band = 0; band < BANDS; band++) {
        uint32_t at = near->heads[band * SLOTS + slot(text->signature, band)];
        for (; at != 0 && seen < CANDIDATES_MAX; at = near->texts[at - 1].before[band]) {
            const struct near_text *other = &near->texts[at - 1];
            if (other->signature[2 * band] != text->signature[2 * band] || other->seq == except || other->forgotten ||
                !is_within(other->time_ms, text->time_ms, near->window_ms))
                continue;
            seen++;
            double s = similarity(other, text);
            if (s > best.similarity || (s > 0 && s >= best.similarity && at - 1 < best_index)) {
                best = (struct store_near_match){other->seq, other->cluster, s, at - 1};
                best_index = at - 1;
            }
        }
    }
    return best;
}

/* ---- the index ---- */

enum att_status store_near_create(int64_t window_ms, struct store_near **ret_near, struct att_err *err)
{
    struct store_near *near = att_mem_calloc(1, sizeof *near);
    if (near)
        near->heads = att_mem_calloc((size_t)BANDS * SLOTS, sizeof *near->heads);
    if (!near || !near->heads) {
        store_near_destroy(near);
        return att_err_set(err, ATT_ENOMEM, "no memory for the index of near-duplicates");
    }
    near->window_ms = window_ms;
    near->round = 1;
    *ret_near = near;
    return ATT_OK;
}

void store_near_destroy(struct store_near *near)
{
    if (!near)
        return;
    for (size_t i = 0; i < near->count; i++)
        att_mem_free(near->texts[i].vector);
    att_mem_free(near->texts);
    att_mem_free(near->heads);
    att_mem_free(near);
}

static void link_text(struct store_near *near, size_t index)
{
    struct near_text *text = &near->texts[index];
    for (size_t band = 0; band < BANDS; band++) {
        uint32_t *head = &near->heads[band * SLOTS + slot(text->signature, band)];
        text->before[band] = *head;
        *head = (uint32_t)index + 1;
    }
}

enum att_status store_near_add(struct store_near *near, const struct store_near_text *text, struct att_err *err)
{
    if (!text->signature)
        return ATT_OK;
    if (near->count == near->capacity) {
        size_t capacity = near->capacity ? near->capacity * 2 : 256;
        struct near_text *texts = att_mem_realloc(near->texts, capacity, sizeof *texts);
        if (!texts)
            return att_err_set(err, ATT_ENOMEM, "no memory for the index of near-duplicates");
        near->texts = texts;
        near->capacity = capacity;
    }
    struct near_text *added = &near->texts[near->count];
    *added =
        (struct near_text){.seq = text->seq, .cluster = text->cluster, .time_ms = text->time_ms, .model = text->model};
    if (text->vector) {
        added->vector = att_mem_calloc(text->dimensions, 1);
        if (!added->vector)
            return att_err_set(err, ATT_ENOMEM, "no memory for the index of near-duplicates");
        memcpy(added->vector, text->vector, text->dimensions);
        added->dimensions = text->dimensions;
    }
    memcpy(added->signature, text->signature, sizeof added->signature);
    link_text(near, near->count++);
    return ATT_OK;
}

size_t store_near_count(const struct store_near *near)
{
    return near->count;
}

bool store_near_is(const struct store_near *near, size_t index, const struct store_near_text *text)
{
    const struct near_text *found = &near->texts[index];
    size_t dimensions = text->vector ? text->dimensions : 0;
    if (!text->signature || found->seq != text->seq || found->time_ms != text->time_ms ||
        found->dimensions != dimensions || memcmp(found->signature, text->signature, sizeof found->signature) != 0)
        return false;
    return dimensions == 0 || (found->model == text->model && memcmp(found->vector, text->vector, dimensions) == 0);
}

void store_near_forget(struct store_near *near, size_t index)
{
    near->texts[index].forgotten = near->round;
    near->forgets = true;
}

void store_near_begin(struct store_near *near)
{
    near->begun = near->count;
    near->round++;
    near->forgets = false;
}

void store_near_undo(struct store_near *near)
{
    while (near->count > near->begun) {
        const struct near_text *last = &near->texts[--near->count];
        for (size_t band = 0; band < BANDS; band++)
            near->heads[band * SLOTS + slot(last->signature, band)] = last->before[band];
        att_mem_free(last->vector);
    }
    for (size_t i = 0; near->forgets && i < near->count; i++)
        if (near->texts[i].forgotten == near->round)
            near->texts[i].forgotten = 0;
    near->forgets = false;
}

static bool is_over(const struct near_text *text, int64_t oldest_ms)
{
    return text->forgotten || text->time_ms < oldest_ms;
}

void store_near_settle(struct store_near *near, int64_t newest_ms)
{
    size_t old = 0, kept = 0, half = near->count > STORE_NEAR_TEXTS_MAX ? near->count / 2 : 0;
    int64_t oldest_ms = newest_ms - near->window_ms;
    store_near_begin(near);
    for (size_t i = 0; i < near->count; i++)
        old += i < half || is_over(&near->texts[i], oldest_ms);
    if (old * 2 < near->count || near->count < 256)
        return;
    memset(near->heads, 0, (size_t)BANDS * SLOTS * sizeof *near->heads);
    for (size_t i = 0; i < near->count; i++) {
        if (i < half || is_over(&near->texts[i], oldest_ms)) {
            att_mem_free(near->texts[i].vector);
            continue;
        }
        near->texts[kept] = near->texts[i];
        link_text(near, kept++);
    }
    near->count = kept;
    near->begun = kept;
}
