/*
 * What is done to the next token's scores before one is chosen: penalties and
 * bans, then temperature, top-k, top-p and min-p, in transformers' order and with
 * its results. Scores are logits or log-probabilities; what is ruled out becomes
 * -infinity.
 */
#ifndef ATT_GENERATE_LOGITS_H
#define ATT_GENERATE_LOGITS_H

#include <stddef.h>
#include <stdint.h>

/* A token sequence that may not be written; the last id is banned where the others stand before it. */
struct att_banned {
    const int32_t *ids;
    size_t len;
};

struct att_processing {
    float repetition_penalty;    /* 1: none (Keskar et al. 2019) */
    size_t no_repeat_ngram_size; /* 0: none */
    const struct att_banned *banned;
    size_t n_banned;
    const int32_t *eos_ids;
    size_t n_eos;
    size_t min_new_tokens, max_new_tokens;
    int32_t forced_bos_id, forced_eos_id; /* -1: none */
};

struct att_warping {
    float temperature; /* 1: as it is */
    size_t top_k;      /* 0: all */
    float top_p;       /* 1: all (Holtzman et al. 2020) */
    float min_p;       /* 0: all (Nguyen et al. 2024) */
};

/* history [n_history]: all ids before the next, the last n_new of them written by the model. */
void att_logits_process(const struct att_processing *processing, const int32_t *history, size_t n_history, size_t n_new,
                        size_t vocab, float *scores);
/* work [2 * vocab]. */
void att_logits_warp(const struct att_warping *warping, size_t vocab, float *scores, float *work);

#endif
