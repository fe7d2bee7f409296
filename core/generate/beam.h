/*
 * Beam search over one prompt, as transformers 5 does it: the running beams of
 * each step, and the best finished sequences.
 */
#ifndef ATT_GENERATE_BEAM_H
#define ATT_GENERATE_BEAM_H

#include "core/generate/generate.h"

struct att_beams;

/* prompt [n_prompt]: the ids before the first new one; copied. NULL when memory is out. */
struct att_beams *att_beams_create(const struct att_generation *generation, const int32_t *prompt, size_t n_prompt,
                                   size_t vocab) ATT_MUST_USE;
void att_beams_destroy(struct att_beams *beams);
/* Takes the logits [num_beams][vocab] of the running beams (changed), chooses the next ids [num_beams], and says which
 * beam each goes on from. False: the search is over. */
bool att_beams_step(struct att_beams *beams, float *logits, int32_t *next_ids, uint32_t *from);
/* The i-th best sequence: ids from the prompt's on, with its score. */
void att_beams_result(const struct att_beams *beams, size_t i, const int32_t **ret_ids, size_t *ret_len,
                      float *ret_score);

#endif
