/*
 * Near-duplicates: which earlier text says almost the same.
 *
 * A text's signature is 64 MinHash values over its character shingles (3
 * characters of Chinese, Japanese or Korean, 6 of other scripts; case, blanks
 * and punctuation do not count), so the share of equal values estimates the
 * Jaccard similarity of two texts. Bands of two values find candidates without
 * comparing with everything. Where both texts have a vector of the same model,
 * similarity is the mean of Jaccard and cosine, so that a rewrite counts too.
 *
 * Nothing here is random: equal texts in equal order give equal clusters. One
 * thread at a time.
 */
#ifndef STORE_NEAR_H
#define STORE_NEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

enum { STORE_NEAR_HASHES = 64, STORE_NEAR_TEXTS_MAX = 131072 };

struct store_near_text {
    int64_t seq, cluster, time_ms;
    const uint32_t *signature; /* [STORE_NEAR_HASHES], or NULL: a text without a shingle, like nothing */
    const int8_t *vector;      /* [dimensions], or NULL */
    size_t dimensions;
    uint64_t model; /* vectors of different models are not compared */
};

struct store_near_match {
    int64_t seq, cluster; /* of the most similar; 0: there is none */
    double similarity;    /* 0..1 */
    size_t index;         /* for store_near_is and store_near_forget, before anything is added */
};

struct store_near;

/* Signature of two texts, one behind the other. False: they have no shingle. */
bool store_near_sign(const char *title, const char *text, uint32_t signature[STORE_NEAR_HASHES]);
/* A vector of any length as bytes; cosines stay within about 0.01. */
void store_near_quantize(const float *vector, size_t dimensions, int8_t *bytes);

/* window_ms: texts further apart than this are not compared. */
enum att_status store_near_create(int64_t window_ms, struct store_near **ret_near, struct att_err *err) ATT_MUST_USE;
void store_near_destroy(struct store_near *near);
/* The most similar text of the window; of equals the first added. The text with `except` as its seq is left out. */
struct store_near_match store_near_find(const struct store_near *near, const struct store_near_text *text,
                                        int64_t except);
/* Copies. Beyond STORE_NEAR_TEXTS_MAX the older half is forgotten, at the next store_near_settle. */
enum att_status store_near_add(struct store_near *near, const struct store_near_text *text,
                               struct att_err *err) ATT_MUST_USE;
/* Is the text that was found still what is said of its seq? Time, signature and vector are compared. */
bool store_near_is(const struct store_near *near, size_t index, const struct store_near_text *text);
/* It is found no more. */
void store_near_forget(struct store_near *near, size_t index);
size_t store_near_count(const struct store_near *near);
/* Begins what store_near_undo undoes: what a failed transaction added, and what it forgot. */
void store_near_begin(struct store_near *near);
void store_near_undo(struct store_near *near);
/* Lets go what is forgotten or older than the window before `newest_ms`, when that is worth the work. Then begins. */
void store_near_settle(struct store_near *near, int64_t newest_ms);

#endif
