/*
 * Writing token by token: prompts in, then one token a row and step, with the
 * keys and values of earlier tokens kept (KV cache). How the next token is
 * chosen is generate.h's.
 *
 *   att_decoder_create(model, 4, 512, 256, &decoder, &err);
 *   att_decoder_start(decoder, &prompts, 1, &logits, &err);     // [rows][logits_size]
 *   att_decoder_step(decoder, next_ids, &logits, &err);         // …
 *
 * A decoder belongs to one thread at a time. Equal rows give equal bits
 * whatever the other rows are.
 */
#ifndef ATT_DECODER_H
#define ATT_DECODER_H

#include "core/attend.h"

struct att_decoder;

/* For up to n_rows sequences of up to max_len tokens each (prompts included where the model has one stack), and prompts
 * of up to max_prompt tokens in all. Holds a reference to the model. */
enum att_status att_decoder_create(struct att_model *model, size_t n_rows, size_t max_len, size_t max_prompt,
                                   struct att_decoder **ret_decoder, struct att_err *err) ATT_MUST_USE;
void att_decoder_destroy(struct att_decoder *decoder);
size_t att_decoder_bytes(const struct att_decoder *decoder);
/* Forgets everything and reads the prompts; each becomes `copies` neighbouring rows, n_rows in all. Models of one stack
 * answer the logits of what follows; encoder-decoders encode, and NULL stands for logits: their first step is the start
 * token. */
enum att_status att_decoder_start(struct att_decoder *decoder, const struct att_batch *prompts, size_t copies,
                                  const float **ret_logits, struct att_err *err) ATT_MUST_USE;
/* One more token for every row; ids [n_rows]. logits point into the decoder until its next call. */
enum att_status att_decoder_step(struct att_decoder *decoder, const int32_t *ids, const float **ret_logits,
                                 struct att_err *err) ATT_MUST_USE;
/* What row `row` has read is forgotten: it takes part in steps, with room again, and its logits mean nothing. */
void att_decoder_forget(struct att_decoder *decoder, size_t row);
/* Row r goes on from what row from[r] was; both of the same prompt. */
void att_decoder_reorder(struct att_decoder *decoder, const uint32_t *from);

#endif
