/*
 * One text being written: which tokens go through the model next, and what the
 * text is after each.
 */
#include "tasks/generate/generation.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "tasks/encode.h"
#include "tasks/generate/generator.h"

enum { NEW_TOKENS = 256, PROMPT_TOKENS = 256 /* of a prompt that are read in one round */ };

struct task_generation {
    struct task_job job; /* first: after() casts back */
    struct task_generation_ask ask;
    struct att_generation how;
    struct att_sequence prompt;
    struct att_writer writer; /* of encoder-decoders: of the target, which begins with the start id */
    struct att_past *past;
    struct task_room *room;
    size_t room_bytes;  /* taken of it; 0: none */
    size_t vocab, read; /* read: tokens of writer.ids that the model has seen */
    bool is_seq2seq, source_read, over;
    enum att_status failed; /* after the last round */
    const char *reason;
    float *logits, *work, *attention, *seen; /* attention, seen: only where it is explained */
    struct att_decoding decoding;            /* of all tokens; the text may end before */
    size_t text_len, settled;
    struct task_written *written; /* [max_new_tokens]; NULL: not asked for */
    struct task_likely *likely;   /* [max_new_tokens][n_likely] */
};

void task_generation_defaults(const struct task_model *model, struct task_generation_ask *ask)
{
    const struct att_generation *defaults = &model->generator->defaults;
    ask->model = model;
    ask->temperature = defaults->do_sample ? (double)defaults->warping.temperature : 0;
    ask->top_p = (double)defaults->warping.top_p;
    ask->top_k = defaults->do_sample ? defaults->warping.top_k : 0;
}

/* ---- room ---- */

static enum att_status room_take(struct task_generation *generation, struct task_room *room, size_t bytes,
                                 struct att_err *err)
{
    if (!room)
        return ATT_OK;
    size_t texts = atomic_fetch_add_explicit(&room->texts, 1, memory_order_relaxed) + 1;
    size_t taken = atomic_fetch_add_explicit(&room->bytes, bytes, memory_order_relaxed) + bytes;
    generation->room = room;
    generation->room_bytes = bytes;
    /* One text alone always finds room: else a small limit would refuse it for ever. */
    if (texts > room->texts_max || (taken > room->bytes_max && texts > 1))
        return att_err_set(err, ATT_EBUSY,
                           "too many texts are being written; limits.generations_max and "
                           "limits.generation_bytes_max say how many");
    return ATT_OK;
}

static void room_give_back(struct task_generation *generation)
{
    att_past_destroy(generation->past);
    generation->past = NULL;
    if (!generation->room)
        return;
    atomic_fetch_sub_explicit(&generation->room->texts, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&generation->room->bytes, generation->room_bytes, memory_order_relaxed);
    generation->room = NULL;
}

void task_generation_finish(struct task_generation *generation)
{
    if (!generation)
        return;
    room_give_back(generation);
    att_decoding_finish(&generation->decoding);
}

/* ---- the text ---- */

/* Bytes at the end that the next token may change: half a character, decoded as U+FFFD. */
static size_t broken_tail(const char *text, size_t len)
{
    size_t n = 0;
    while (len - n >= 3 && memcmp(text + len - n - 3, "\xef\xbf\xbd", 3) == 0)
        n += 3;
    return n;
}

/* The longest end of the text that a stop text begins with. */
static size_t stop_tail(const struct task_generation_ask *ask, const char *text, size_t len)
{
    size_t longest = 0;
    for (size_t i = 0; i < ask->n_stops; i++)
        for (size_t n = ask->stops[i].len - 1; n > longest; n--)
            if (n <= len && memcmp(text + len - n, ask->stops[i].text, n) == 0)
                longest = n;
    return longest;
}

/* Where the first stop text begins, from `from` on; len: nowhere. */
static size_t find_stop(const struct task_generation_ask *ask, const char *text, size_t from, size_t len)
{
    size_t first = len;
    for (size_t i = 0; i < ask->n_stops; i++) {
        const char *at = memmem(text + from, len - from, ask->stops[i].text, ask->stops[i].len);
        if (at && (size_t)(at - text) < first)
            first = (size_t)(at - text);
    }
    return first;
}

/* Decodes what is written, and judges whether it is over. `more`: the writer would go on. */
static enum att_status text_update(struct task_generation *generation, bool more)
{
    const struct att_writer *writer = &generation->writer;
    struct att_decoding *decoding = &generation->decoding;
    size_t n_new = writer->len - writer->n_prompt, len, stop;
    enum att_status status = att_decoding_update(decoding, att_model_tokenizer(generation->ask.model->model),
                                                 writer->ids + writer->n_prompt, n_new - writer->finished, NULL);
    if (status != ATT_OK)
        return status;
    const char *text = decoding->text;
    len = decoding->len;
    if (generation->written)
        generation->written[n_new - 1].text_end = len;
    stop = find_stop(&generation->ask, text, generation->settled < len ? generation->settled : len, len);
    generation->over = !more || stop < len;
    if (generation->over)
        generation->reason = stop < len || writer->finished ? "stop" : "length";
    generation->text_len = stop;
    if (generation->over) {
        generation->settled = stop;
        return ATT_OK;
    }
    size_t broken = broken_tail(text, len), begun = stop_tail(&generation->ask, text, len);
    size_t settled = len - (broken > begun ? broken : begun);
    generation->settled = settled > generation->settled ? settled : generation->settled;
    return ATT_OK;
}

/* ---- after a pass, on the thread that ran it ---- */

/* log p = logit - largest + log p(largest) */
static void note_likely(struct task_generation *generation)
{
    size_t place = generation->writer.len - generation->writer.n_prompt, n = generation->ask.n_likely, kept = 0,
           best = 0;
    const float *logits = generation->logits;
    struct task_likely *likely = generation->likely + place * n;
    att_softmax(generation->vocab, logits, 1, generation->work);
    for (size_t i = 1; i < generation->vocab; i++)
        best = logits[i] > logits[best] ? i : best;
    float base = logf(generation->work[best]) - logits[best];
    for (size_t i = 0; n > 0 && i < generation->vocab; i++) {
        if (kept == n && logits[i] + base <= likely[n - 1].logprob)
            continue;
        size_t at = kept < n ? kept++ : n - 1;
        for (; at > 0 && likely[at - 1].logprob < logits[i] + base; at--)
            likely[at] = likely[at - 1];
        likely[at] = (struct task_likely){(int32_t)i, logits[i] + base};
    }
    generation->written[place] = (struct task_written){.logprob = base, .likely = n > 0 ? likely : NULL};
}

static void after(struct task_job *job)
{
    struct task_generation *generation = (struct task_generation *)job;
    struct att_writer *writer = &generation->writer;
    float *raw = NULL;
    if (!job->logits)
        return;
    for (size_t t = 0; job->attention && t < generation->prompt.len; t++)
        generation->seen[t] += job->attention[t];
    if (generation->written) {
        note_likely(generation);
        raw = generation->work + 2 * generation->vocab; /* the choice changes the logits */
        memcpy(raw, generation->logits, generation->vocab * sizeof *raw);
    }
    bool more = att_writer_write(writer, &generation->how, generation->vocab, generation->logits, generation->work);
    if (generation->written) {
        struct task_written *written = &generation->written[writer->len - writer->n_prompt - 1];
        written->id = writer->ids[writer->len - 1];
        written->logprob += raw[written->id];
    }
    generation->failed = text_update(generation, more);
}

/* ---- rounds ---- */

static void next_job(struct task_generation *generation, struct task_call *call)
{
    struct task_job *job = &generation->job;
    const struct att_writer *writer = &generation->writer;
    size_t most = att_model_info(generation->ask.model->model)->max_tokens;
    *job = (struct task_job){.model = generation->ask.model->model, .past = generation->past, .after = after};
    if (generation->is_seq2seq && !generation->source_read) {
        job->ids = generation->prompt.ids;
        job->len = generation->prompt.len;
        job->source = generation->source_read = true;
    } else {
        most = most < PROMPT_TOKENS ? most : PROMPT_TOKENS;
        job->ids = writer->ids + generation->read;
        job->len = writer->len - generation->read < most ? writer->len - generation->read : most;
        generation->read += job->len;
        job->logits = generation->read == writer->len ? generation->logits : NULL;
        job->attention = job->logits ? generation->attention : NULL;
        job->n_attention = generation->is_seq2seq ? generation->prompt.len : generation->read;
    }
    call->jobs = job;
    call->n_jobs = 1;
}

/* How many tokens are to be written, within what the model and the limits allow. */
static enum att_status choose_length(const struct task_call *call, const struct task_generation *generation,
                                     size_t *ret_max_new, struct att_err *err)
{
    const struct task_generation_ask *ask = &generation->ask;
    size_t longest = att_model_info(ask->model->model)->max_tokens, n = generation->prompt.len;
    size_t before = generation->is_seq2seq ? 1 : n; /* in the stack that writes */
    longest = longest < call->env->limits.generation_tokens_max ? longest : call->env->limits.generation_tokens_max;
    if (n > longest || before >= longest)
        return att_err_limit(err, ask->path, longest, n, "%s: the prompt has %zu tokens, expected fewer than %zu",
                             ask->path, n, longest);
    *ret_max_new = ask->max_tokens > 0 ? ask->max_tokens : NEW_TOKENS;
    if (ask->max_tokens == 0 && *ret_max_new > longest - before)
        *ret_max_new = longest - before;
    if (*ret_max_new > longest - before)
        return att_err_limit(err, "max_tokens", longest, before + *ret_max_new,
                             "max_tokens: %zu new tokens behind %zu, expected at most %zu together", *ret_max_new,
                             before, longest);
    return ATT_OK;
}

static void choose_way(struct task_generation *generation, size_t max_new)
{
    const struct task_generation_ask *ask = &generation->ask;
    struct att_generation *how = &generation->how;
    att_generation_copy(&ask->model->generator->defaults, how);
    how->max_new_tokens = max_new;
    how->min_new_tokens = how->min_new_tokens < max_new ? how->min_new_tokens : max_new;
    how->num_beams = how->num_return_sequences = 1;
    how->do_sample = ask->temperature > 0;
    how->warping.temperature = ask->temperature > 0 ? (float)ask->temperature : 1;
    how->warping.top_p = ask->top_p > 0 ? (float)ask->top_p : 1;
    how->warping.top_k = ask->top_k;
    how->seed = ask->seed;
}

/* All memory of the text but its keys and values, from the arena. */
static enum att_status allocate(struct task_call *call, struct task_generation *generation, struct att_err *err)
{
    size_t max_new = generation->how.max_new_tokens, vocab = generation->vocab, n = generation->ask.n_likely;
    const struct att_sequence *prompt = &generation->prompt;
    size_t n_prompt = generation->is_seq2seq ? 1 : prompt->len;
    int32_t *ids = task_alloc(call, n_prompt + max_new, sizeof *ids, err);
    if (!ids || !(generation->logits = task_alloc(call, vocab, sizeof(float), err)) ||
        !(generation->work = task_alloc(call, (generation->ask.logprobs ? 3 : 2) * vocab, sizeof(float), err)))
        return err->status;
    if (generation->ask.explains &&
        (!(generation->attention = task_alloc(call, prompt->len + max_new, sizeof(float), err)) ||
         !(generation->seen = task_alloc(call, prompt->len, sizeof(float), err))))
        return err->status;
    if (generation->ask.logprobs &&
        (!(generation->written = task_alloc(call, max_new, sizeof *generation->written, err)) ||
         !(generation->likely = task_alloc(call, max_new * n + 1, sizeof *generation->likely, err))))
        return err->status;
    if (generation->is_seq2seq)
        ids[0] = generation->how.start_id;
    else
        memcpy(ids, prompt->ids, n_prompt * sizeof *ids);
    att_writer_init(&generation->writer, &generation->how, ids, n_prompt, 0);
    for (size_t t = 0; generation->seen && t < prompt->len; t++)
        generation->seen[t] = 0;
    return ATT_OK;
}

enum att_status task_generation_begin(struct task_call *call, const struct task_generation_ask *ask,
                                      struct task_generation **ret_generation, struct att_err *err)
{
    const struct att_model_info *info = att_model_info(ask->model->model);
    struct task_generation *generation = task_alloc(call, 1, sizeof *generation, err);
    size_t max_new = 0;
    if (!generation)
        return err->status;
    memset(generation, 0, sizeof *generation);
    *ret_generation = generation;
    generation->ask = *ask;
    generation->vocab = info->logits_size;
    generation->is_seq2seq = info->n_decoder_layers > 0;
    if (!ask->model->generator)
        return att_err_param(err, ATT_EUNSUPPORTED, "model", "model: \"%s\" writes no text", ask->model->name);
    assert(ask->n_stops <= TASK_STOPS_MAX && ask->n_likely <= TASK_LIKELY_MAX && (ask->prompt || ask->turns));
    enum att_status status = task_prompt_encode(call, ask, &generation->prompt, err);
    if (status == ATT_OK)
        status = choose_length(call, generation, &max_new, err);
    if (status != ATT_OK)
        return status;
    choose_way(generation, max_new);
    if (generation->is_seq2seq && generation->how.start_id < 0)
        return att_err_param(err, ATT_EUNSUPPORTED, "model", "model: \"%s\" names no decoder_start_token_id",
                             ask->model->name);
    size_t source = generation->is_seq2seq ? generation->prompt.len : 0;
    size_t most = (generation->is_seq2seq ? 1 : generation->prompt.len) + max_new;
    status = room_take(generation, call->env->room, att_past_bytes(ask->model->model, source, most), err);
    if (status == ATT_OK)
        status = allocate(call, generation, err);
    if (status == ATT_OK)
        status = att_past_create(ask->model->model, source, most, &generation->past, err);
    if (status == ATT_OK)
        next_job(generation, call);
    return status;
}

enum att_status task_generation_step(struct task_generation *generation, struct task_call *call, struct att_err *err)
{
    if (generation->failed != ATT_OK)
        return att_err_set(err, generation->failed, "the text could not be decoded");
    if (!generation->over) {
        next_job(generation, call);
        return ATT_OK;
    }
    call->n_jobs = 0;
    room_give_back(generation);
    return ATT_OK;
}

/* ---- results ---- */

const char *task_generation_text(const struct task_generation *generation, size_t *ret_len, size_t *ret_settled)
{
    *ret_len = generation->text_len;
    *ret_settled = generation->settled;
    return generation->decoding.text ? generation->decoding.text : "";
}

const char *task_generation_reason(const struct task_generation *generation)
{
    return generation->reason;
}

size_t task_generation_prompt_tokens(const struct task_generation *generation)
{
    return generation->prompt.len;
}

size_t task_generation_new_tokens(const struct task_generation *generation)
{
    return generation->writer.len - generation->writer.n_prompt;
}

struct task_written task_generation_token(const struct task_generation *generation, size_t i)
{
    assert(generation->written && i < task_generation_new_tokens(generation));
    return generation->written[i];
}

bool task_generation_seen(const struct task_generation *generation, size_t i, struct task_seen *ret_seen)
{
    size_t n_new = task_generation_new_tokens(generation);
    assert(generation->seen && i < generation->prompt.len);
    *ret_seen = (struct task_seen){generation->prompt.starts[i], generation->prompt.ends[i],
                                   n_new > 0 ? generation->seen[i] / (float)n_new : 0};
    return !generation->prompt.special[i];
}
