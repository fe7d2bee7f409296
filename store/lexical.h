/*
 * Lexical likeness of two texts: the cosine of their n-gram sets weighted by
 * inverse document frequency, or how much of one the other covers. Latin words give the word and its character
 * trigrams (typing errors cost little); Chinese, Japanese and Korean characters
 * give themselves and, at half the weight, their pairs, since those scripts write
 * no word breaks; three times the same is an n-gram of its own. Case is folded
 * for ASCII. Pure functions.
 */
#ifndef STORE_LEXICAL_H
#define STORE_LEXICAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"

enum { STORE_GRAMS_MAX = 1024 };

/* Sorted distinct hashes of the text's n-grams into grams[STORE_GRAMS_MAX]; what is beyond is left out. */
size_t store_grams(const char *text, size_t len, uint32_t grams[STORE_GRAMS_MAX]);
/* Share of CJK characters among those that are no white space, 0..1. */
float store_cjk_share(const char *text, size_t len);

/* How many of n texts have each n-gram. */
struct store_idf {
    const uint32_t *grams; /* sorted */
    const float *weights;
    size_t count;
    float unseen; /* weight of an n-gram that no text has */
};
/* `all` holds the n-grams of every text one after the other and is sorted here. False when memory is out. */
bool store_idf_build(struct att_arena *arena, uint32_t *all, size_t n_all, size_t n_texts,
                     struct store_idf *idf) ATT_MUST_USE;
float store_idf_weight(const struct store_idf *idf, uint32_t gram);
/* Length of the weighted vector. */
float store_grams_norm(const struct store_idf *idf, const uint32_t *grams, size_t count);
/* Cosine, 0..1. */
float store_grams_cosine(const struct store_idf *idf, const uint32_t *a, size_t n_a, float norm_a, const uint32_t *b,
                         size_t n_b, float norm_b);
/* The part of a's weight that b has too, 0..1. b may be longer than STORE_GRAMS_MAX. */
float store_grams_cover(const struct store_idf *idf, const uint32_t *a, size_t n_a, float norm_a, const uint32_t *b,
                        size_t n_b);
bool store_grams_has(const uint32_t *grams, size_t count, uint32_t gram);
/* Sorts and drops what stands twice; how many are left. */
size_t store_grams_distinct(uint32_t *grams, size_t count);

#endif
