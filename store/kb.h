/*
 * A knowledge base of question–answer entries in one SQLite file.
 *
 *   entries(id, lang, question, answer, source, metadata, prompts, context_only, chitchat, valid_from, valid_until)
 *   texts(id, entry, text, vector)      the question and its alternates, each embedded
 *   texts_fts                           FTS5 over texts, trigram tokenizer: Chinese needs no word breaks
 *   questions(id, time, kind, entry, …) what customers asked, and thought of the answers: store/kb_questions.h
 *   meta(key, value)                    schema version, the encoder's digest, dimensions, fitted calibration
 *
 * Writes are transactions in WAL mode with synchronous=FULL: acknowledged means
 * durable, failed means unchanged. Readers work on a view: an immutable copy in
 * memory, replaced by every write and freed with its last reader. Taking a view
 * never waits for the disk, nor for a write that is under way. Thread safe.
 */
#ifndef STORE_KB_H
#define STORE_KB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

enum { STORE_KB_TEXTS_MAX = 64, STORE_KB_PROMPTS_MAX = 32, STORE_KB_FIT_BYTES_MAX = 16384 };

#define STORE_KB_TIME_MAX INT64_C(253402300799) /* the end of the year 9999 */

struct store_kb_entry {
    int64_t id;       /* 1 .. 2^53 */
    const char *lang; /* "en", or "" */
    const char *question, *answer;
    const char *const *alternates;
    size_t n_alternates;    /* at most STORE_KB_TEXTS_MAX - 1 */
    const char *source;     /* or "" */
    const char *metadata;   /* a JSON object as text, "{}" when there is none */
    const int64_t *prompts; /* entries to offer next */
    size_t n_prompts;
    bool context_only;               /* makes sense only as a follow-up */
    bool chitchat;                   /* small talk: answered, but no business answer */
    int64_t valid_from, valid_until; /* Unix seconds; answers from the first up to the second, 0: no bound */
};

/* A text that is matched: the question (first of its entry) or an alternate. */
struct store_kb_text {
    const char *text;
    size_t entry;          /* index into entries */
    const uint32_t *grams; /* sorted hashes of its n-grams: store/lexical.h */
    size_t n_grams;
    float norm; /* length of the weighted n-gram vector */
    bool cjk;   /* mostly Chinese, Japanese or Korean characters */
};

/* All n-grams of an entry's question and alternates, sorted. */
struct store_kb_terms {
    const uint32_t *grams;
    size_t count;
};

struct store_kb_view {
    const struct store_kb_entry *entries; /* ascending id */
    const struct store_kb_terms *terms;   /* [n_entries] */
    size_t n_entries;
    const struct store_kb_text *texts; /* those of one entry follow one another */
    size_t n_texts, dimensions;
    const float *vectors; /* [n_texts][dimensions], unit length */
    const struct store_idf *idf;
    const char *fit; /* JSON object of store_kb_fit_put, or NULL */
};

struct store_kb;

/* Opens or creates. encoder_digest and dimensions are those of the model that embeds for this file; a file made with
 * another encoder is refused with advice, as is what is damaged, or no knowledge base: ATT_EFORMAT. The messages of
 * all functions here name the file. */
enum att_status store_kb_open(const char *path, const char *encoder_digest, size_t dimensions, struct store_kb **ret_kb,
                              struct att_err *err) ATT_MUST_USE;
/* Drops one reference; the last one closes, and then no view may be held. NULL is allowed. */
void store_kb_close(struct store_kb *kb);
/* One more owner of an open file, for instance the next configuration beside the present one. Returns kb. */
struct store_kb *store_kb_ref(struct store_kb *kb);
/* Reads the file anew and replaces the view when another process has changed it since the view was made; costs one
 * small read when none has. Waits for a write that is under way. On failure the old view stays; a file that was removed
 * or replaced while it is open is such a failure, ATT_EIO. Thread safe. */
enum att_status store_kb_refresh(struct store_kb *kb, struct att_err *err) ATT_MUST_USE;

const struct store_kb_view *store_kb_view(struct store_kb *kb);
void store_kb_view_release(struct store_kb *kb, const struct store_kb_view *view);
/* Index into view->entries, or n_entries. */
size_t store_kb_find(const struct store_kb_view *view, int64_t id);

/* Inserts or replaces entries by id. vectors: for every entry its question's and alternates' vectors in order,
 * [sum of 1 + n_alternates][dimensions]. `replace_all` removes all other entries. On failure file and view are as
 * before. ATT_ESPACE: disk full or read-only; ATT_EBUSY: another process held the file for five seconds; ATT_EIO: the
 * disk failed, or the file was removed or replaced while it is open. */
enum att_status store_kb_put(struct store_kb *kb, const struct store_kb_entry *entries, size_t n_entries,
                             const float *vectors, bool replace_all, struct att_err *err) ATT_MUST_USE;
/* *ret_removed is false when there was no such entry. */
enum att_status store_kb_remove(struct store_kb *kb, int64_t id, bool *ret_removed, struct att_err *err) ATT_MUST_USE;
enum att_status store_kb_clear(struct store_kb *kb, struct att_err *err) ATT_MUST_USE;
/* Keeps a JSON object of at most STORE_KB_FIT_BYTES_MAX as the calibration of this file with its encoder; NULL removes
 * it. The store does not read it. Errors as store_kb_put's. */
enum att_status store_kb_fit_put(struct store_kb *kb, const char *fit, struct att_err *err) ATT_MUST_USE;
/* Whether the entry answers at this time. */
bool store_kb_valid(const struct store_kb_entry *entry, int64_t unix_s);
/* True when the stored entry of that id says exactly the same, so that it need not be embedded again. */
bool store_kb_same(const struct store_kb_view *view, const struct store_kb_entry *entry);

/* Texts that share trigrams with the query, best BM25 first: indexes into view->texts of the newest view; texts that
 * `view` does not have are left out. Queries shorter than three characters match as a part of the text. */
enum att_status store_kb_match(struct store_kb *kb, const struct store_kb_view *view, const char *query, size_t len,
                               size_t *texts, size_t max, size_t *ret_count, struct att_err *err) ATT_MUST_USE;

#endif
