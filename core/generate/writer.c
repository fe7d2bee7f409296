/* Which token comes next: the likeliest, or one drawn by its probability. */
#include <string.h>

#include "core/generate/generate.h"

/* splitmix64 (Steele et al. 2014): each text its own stream. */
static double draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

bool att_generation_ends(const struct att_generation *generation, int32_t id)
{
    for (size_t i = 0; i < generation->n_eos; i++)
        if (generation->eos_ids[i] == id)
            return true;
    return false;
}

static int32_t choose(struct att_writer *writer, const struct att_generation *g, size_t vocab, float *scores,
                      float *work)
{
    const struct att_processing processing = {
        .repetition_penalty = g->repetition_penalty,
        .no_repeat_ngram_size = g->no_repeat_ngram_size,
        .banned = g->banned,
        .n_banned = g->n_banned,
        .eos_ids = g->eos_ids,
        .n_eos = g->n_eos,
        .min_new_tokens = g->min_new_tokens,
        .max_new_tokens = g->max_new_tokens,
        .forced_bos_id = g->forced_bos_id,
        .forced_eos_id = g->forced_eos_id,
    };
    size_t best = 0;
    att_logits_process(&processing, writer->ids, writer->len, writer->len - writer->n_prompt, vocab, scores);
    for (size_t i = 1; i < vocab; i++)
        best = scores[i] > scores[best] ? i : best;
    if (!g->do_sample)
        return (int32_t)best;
    att_logits_warp(&g->warping, vocab, scores, work);
    att_softmax(vocab, scores, 1, scores);
    double left = draw(&writer->random);
    for (size_t i = 0; i < vocab; i++) {
        left -= (double)scores[i];
        if (left < 0 && scores[i] > 0)
            return (int32_t)i;
    }
    return (int32_t)best;
}

void att_writer_init(struct att_writer *writer, const struct att_generation *generation, int32_t *ids, size_t n_prompt,
                     size_t number)
{
    *writer = (struct att_writer){.ids = ids, .len = n_prompt, .n_prompt = n_prompt};
    writer->random = generation->seed * 0x9e3779b97f4a7c15u + number;
}

bool att_writer_write(struct att_writer *writer, const struct att_generation *generation, size_t vocab, float *logits,
                      float *work)
{
    int32_t id = choose(writer, generation, vocab, logits, work);
    writer->ids[writer->len++] = id;
    writer->finished = att_generation_ends(generation, id);
    return !writer->finished && writer->len - writer->n_prompt < generation->max_new_tokens;
}
