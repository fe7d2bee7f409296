/*
 * Generation: from prompts to sequences of ids, greedily, by sampling, or by
 * beam search, with the results of transformers' generate().
 */
#ifndef ATT_GENERATE_GENERATE_H
#define ATT_GENERATE_GENERATE_H

#include "core/attend.h"
#include "core/generate/logits.h"

enum att_early_stopping { ATT_STOP_WHEN_HOPELESS, ATT_STOP_WHEN_FULL, ATT_STOP_NEVER };

enum {
    ATT_EOS_MAX = 16,
    ATT_BEAMS_MAX = 64,
    ATT_NEW_TOKENS_MAX = 1 << 16,
    ATT_BANNED_MAX = 256,
    ATT_BANNED_IDS = 1024
};

struct att_generation {
    size_t max_new_tokens, min_new_tokens;
    size_t num_beams, num_return_sequences;
    float length_penalty; /* beams: scores are divided by length to this power */
    enum att_early_stopping early_stopping;
    float repetition_penalty;
    size_t no_repeat_ngram_size;
    bool do_sample;
    struct att_warping warping; /* with do_sample */
    uint64_t seed;              /* equal seeds write equal texts */
    int32_t eos_ids[ATT_EOS_MAX];
    size_t n_eos;
    int32_t pad_id, start_id;             /* start_id: an encoder-decoder's first id; -1: none */
    int32_t forced_bos_id, forced_eos_id; /* -1: none */
    int32_t banned_ids[ATT_BANNED_IDS];   /* bad_words_ids, end to end */
    struct att_banned banned[ATT_BANNED_MAX];
    size_t n_banned;
};

/* One sequence that was written. */
struct att_generated {
    int32_t *ids; /* encoder-decoders: the start id first */
    size_t len;
    bool finished; /* it ends with an end-of-sequence id, not at max_new_tokens */
    float score;   /* beams: sum of log-probabilities / length^length_penalty */
};

/* generation_config.json and config.json, over transformers' defaults. The pointers of `banned` are into *ret, which
 * may not be copied. */
enum att_status att_generation_defaults(const struct att_model *model, struct att_generation *ret,
                                        struct att_err *err) ATT_MUST_USE;
/* The fields of transformers' generate() in `params`, over what *generation holds. Unknown fields are errors. */
enum att_status att_generation_read(const struct att_json *params, struct att_generation *generation,
                                    struct att_err *err) ATT_MUST_USE;

/* A copy whose pointers are into itself. */
void att_generation_copy(const struct att_generation *from, struct att_generation *to);

/* Whether the id is one of those that end a text. */
bool att_generation_ends(const struct att_generation *generation, int32_t id);

/* ---- one text, token by token ---- */

/* A text that is being written greedily or by lot. */
struct att_writer {
    int32_t *ids; /* [n_prompt + max_new_tokens], the caller's: prompt and new ones */
    size_t len, n_prompt;
    uint64_t random;
    bool finished; /* it ends with an end-of-sequence id */
};

/* The first n_prompt of ids are there. Texts of one seed and different numbers are different. */
void att_writer_init(struct att_writer *writer, const struct att_generation *generation, int32_t *ids, size_t n_prompt,
                     size_t number);
/* Appends the next id, by the logits [vocab] of what comes next, which are changed; work [2 * vocab]. False: it was the
 * last one. */
bool att_writer_write(struct att_writer *writer, const struct att_generation *generation, size_t vocab, float *logits,
                      float *work);

/* Hears every token of a greedy or sampled text as it is written; false ends it. */
struct att_listener {
    void *context;
    bool (*token)(void *context, size_t prompt, int32_t id);
};

/* Writes num_return_sequences for each prompt, best first, into results [prompts * num_return_sequences]; their ids are
 * freed with att_mem_free. listener may be NULL. */
enum att_status att_generate(struct att_model *model, const struct att_generation *generation,
                             const struct att_batch *prompts, const struct att_listener *listener,
                             struct att_generated *results, struct att_err *err) ATT_MUST_USE;

#endif
