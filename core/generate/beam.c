/* Scores are f32 as in the reference; what is out of the race gets -1e9 added, not -infinity, as there. */
#include "core/generate/beam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

static const float out_of_race = -1.0e9f;

struct beam {
    int32_t *ids; /* [room] */
    size_t len;
    float score; /* running: sum of log-probabilities; finished: over length^penalty */
    bool finished;
};

struct candidate {
    float score;
    uint32_t beam;
    int32_t id;
    bool stops;
};

struct att_beams {
    const struct att_generation *generation;
    size_t n, keep, room, n_prompt, vocab; /* n beams, keep candidates a step */
    struct beam *running, *finished;       /* [n] each */
    struct beam *next;                     /* [n], of the step */
    struct beam *merged;                   /* [n + keep] */
    struct candidate *candidates;          /* [keep] */
    int32_t *memory;
    bool improvable;
};

struct att_beams *att_beams_create(const struct att_generation *generation, const int32_t *prompt, size_t n_prompt,
                                   size_t vocab)
{
    struct att_beams *beams = att_mem_calloc(1, sizeof *beams);
    size_t n = generation->num_beams, eos = generation->n_eos + 1 > 2 ? generation->n_eos + 1 : 2, sequences;
    if (!beams)
        return NULL;
    *beams =
        (struct att_beams){.generation = generation, .n = n, .keep = eos * n, .n_prompt = n_prompt, .vocab = vocab};
    beams->keep = beams->keep < n * vocab ? beams->keep : n * vocab;
    beams->room = n_prompt + generation->max_new_tokens;
    beams->improvable = true;
    sequences = 4 * n + beams->keep;
    beams->running = att_mem_calloc(sequences, sizeof *beams->running);
    beams->candidates = att_mem_calloc(beams->keep, sizeof *beams->candidates);
    beams->memory =
        att_size_mul(sequences, beams->room, &sequences) ? att_mem_calloc(sequences, sizeof(int32_t)) : NULL;
    if (!beams->running || !beams->candidates || !beams->memory) {
        att_beams_destroy(beams);
        return NULL;
    }
    beams->finished = beams->running + n;
    beams->next = beams->finished + n;
    beams->merged = beams->next + n;
    for (size_t i = 0; i < 4 * n + beams->keep; i++)
        beams->running[i].ids = beams->memory + i * beams->room;
    for (size_t i = 0; i < 2 * n; i++) {
        memcpy(beams->running[i].ids, prompt, n_prompt * sizeof *prompt);
        beams->running[i].len = n_prompt;
        beams->running[i].score = i == 0 ? 0 : out_of_race; /* equal beams would choose equal tokens */
    }
    return beams;
}

void att_beams_destroy(struct att_beams *beams)
{
    if (!beams)
        return;
    att_mem_free(beams->running);
    att_mem_free(beams->candidates);
    att_mem_free(beams->memory);
    att_mem_free(beams);
}

static void log_softmax(size_t n, float *x)
{
    float top = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)(x[i] - top));
    float log_sum = (float)log(sum);
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] - top - log_sum;
}

/* The `keep` best continuations of all beams, best first; equal ones in order of beam and id. */
static void choose_candidates(struct att_beams *beams, const float *scores)
{
    size_t count = 0;
    for (uint32_t b = 0; b < beams->n; b++)
        for (size_t id = 0; id < beams->vocab; id++) {
            float score = scores[b * beams->vocab + id] + beams->running[b].score;
            size_t at = count;
            if (count == beams->keep && !(score > beams->candidates[count - 1].score))
                continue;
            at = count < beams->keep ? count++ : count - 1;
            while (at > 0 && score > beams->candidates[at - 1].score) {
                beams->candidates[at] = beams->candidates[at - 1];
                at--;
            }
            beams->candidates[at] = (struct candidate){.score = score, .beam = b, .id = (int32_t)id};
        }
}

static bool is_eos(const struct att_generation *generation, int32_t id)
{
    for (size_t i = 0; i < generation->n_eos; i++)
        if (generation->eos_ids[i] == id)
            return true;
    return false;
}

static void copy_beam(struct beam *to, const struct beam *from)
{
    memcpy(to->ids, from->ids, from->len * sizeof *to->ids);
    to->len = from->len;
    to->score = from->score;
    to->finished = from->finished;
}

static void extend(struct beam *to, const struct beam *from, int32_t id, float score, bool finished)
{
    copy_beam(to, from);
    to->ids[to->len++] = id;
    to->score = score;
    to->finished = finished;
}

static int better(const void *a, const void *b)
{
    const struct beam *x = a, *y = b;
    if (x->score != y->score)
        return (x->score < y->score) - (x->score > y->score);
    return (x->ids > y->ids) - (x->ids < y->ids); /* their places in memory are their order */
}

/* Finished sequences: the old ones and those of the best n candidates that stop here. */
static void update_finished(struct att_beams *beams)
{
    const struct att_generation *generation = beams->generation;
    size_t n = beams->n, count = n, length = beams->running[0].len + 1 - beams->n_prompt;
    bool full = generation->early_stopping == ATT_STOP_WHEN_FULL;
    for (size_t i = 0; i < n; i++) {
        beams->merged[i].ids = beams->memory + (3 * n + i) * beams->room;
        copy_beam(&beams->merged[i], &beams->finished[i]);
        full = full && beams->finished[i].finished;
    }
    for (size_t c = 0; c < beams->keep; c++) {
        const struct candidate *candidate = &beams->candidates[c];
        bool just_finished = candidate->stops && c < n;
        if (!just_finished || full || !beams->improvable)
            continue;
        beams->merged[count].ids = beams->memory + (3 * n + count) * beams->room;
        extend(&beams->merged[count++], &beams->running[candidate->beam], candidate->id,
               candidate->score / powf((float)length, generation->length_penalty), true);
    }
    qsort(beams->merged, count, sizeof *beams->merged, better);
    for (size_t i = 0; i < n; i++)
        copy_beam(&beams->finished[i], &beams->merged[i]);
}

/* The next running beams: the best n candidates that go on; those that stop only where too few go on. */
static void update_running(struct att_beams *beams, int32_t *next_ids, uint32_t *from)
{
    size_t count = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t c = 0; c < beams->keep && count < beams->n; c++) {
            const struct candidate *candidate = &beams->candidates[c];
            if (candidate->stops != (pass == 1))
                continue;
            extend(&beams->next[count], &beams->running[candidate->beam], candidate->id,
                   candidate->score + (candidate->stops ? out_of_race : 0), false);
            next_ids[count] = candidate->id;
            from[count++] = candidate->beam;
        }
    for (size_t i = 0; i < beams->n; i++)
        copy_beam(&beams->running[i], &beams->next[i]);
}

/* Whether a running beam may still beat the worst finished one. */
static bool improvable(const struct att_beams *beams)
{
    const struct att_generation *generation = beams->generation;
    size_t length = beams->running[0].len - beams->n_prompt;
    if (generation->early_stopping == ATT_STOP_NEVER && generation->length_penalty > 0)
        length = generation->max_new_tokens;
    float best = beams->running[0].score / powf((float)length, generation->length_penalty), worst = INFINITY;
    for (size_t i = 0; i < beams->n; i++)
        worst = beams->finished[i].score < worst ? beams->finished[i].score : worst;
    for (size_t i = 0; i < beams->n; i++)
        if (best > (beams->finished[i].finished ? worst : out_of_race))
            return true;
    return false;
}

bool att_beams_step(struct att_beams *beams, float *logits, int32_t *next_ids, uint32_t *from)
{
    const struct att_generation *generation = beams->generation;
    const struct att_processing processing = {
        .repetition_penalty = generation->repetition_penalty,
        .no_repeat_ngram_size = generation->no_repeat_ngram_size,
        .banned = generation->banned,
        .n_banned = generation->n_banned,
        .eos_ids = generation->eos_ids,
        .n_eos = generation->n_eos,
        .min_new_tokens = generation->min_new_tokens,
        .max_new_tokens = generation->max_new_tokens,
        .forced_bos_id = generation->forced_bos_id,
        .forced_eos_id = generation->forced_eos_id,
    };
    size_t written = beams->running[0].len - beams->n_prompt;
    bool all_stop = true, all_finished = true;
    for (size_t b = 0; b < beams->n; b++) {
        float *scores = logits + b * beams->vocab;
        log_softmax(beams->vocab, scores);
        att_logits_process(&processing, beams->running[b].ids, beams->running[b].len, written, beams->vocab, scores);
    }
    choose_candidates(beams, logits);
    for (size_t c = 0; c < beams->keep; c++) {
        struct candidate *candidate = &beams->candidates[c];
        candidate->stops = is_eos(generation, candidate->id) || written + 1 == generation->max_new_tokens;
        all_stop = all_stop && candidate->stops;
    }
    update_finished(beams);
    update_running(beams, next_ids, from);
    beams->improvable = beams->improvable && improvable(beams);
    for (size_t i = 0; i < beams->n; i++)
        all_finished = all_finished && beams->finished[i].finished;
    bool closed = all_finished && generation->early_stopping == ATT_STOP_WHEN_FULL;
    return beams->improvable && !closed && !all_stop;
}

void att_beams_result(const struct att_beams *beams, size_t i, const int32_t **ret_ids, size_t *ret_len,
                      float *ret_score)
{
    *ret_ids = beams->finished[i].ids;
    *ret_len = beams->finished[i].len;
    *ret_score = beams->finished[i].score;
}
