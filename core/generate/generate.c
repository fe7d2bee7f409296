/* The loops of generation: one token a row and step, chosen greedily, by lot, or by beams. */
#include "core/generate/generate.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/decoder.h"
#include "core/generate/beam.h"

/* A run of generation: rows are prompts times copies. */
struct run {
    struct att_model *model;
    const struct att_generation *generation;
    const struct att_batch *prompts;
    const struct att_listener *listener;
    struct att_decoder *decoder;
    size_t n_rows, copies, vocab;
    bool seq2seq;
    const float *logits;
    float *scores, *work; /* [rows][vocab], [2 * vocab] */
    int32_t *next;        /* [rows] */
};

/* The ids that a row begins with, and their number. */
static size_t row_prompt(const struct run *run, size_t row, const int32_t **ret_ids)
{
    size_t prompt = row / run->copies;
    if (run->seq2seq) {
        *ret_ids = &run->generation->start_id;
        return 1;
    }
    *ret_ids = run->prompts->ids + run->prompts->cu_seqlens[prompt];
    return run->prompts->cu_seqlens[prompt + 1] - run->prompts->cu_seqlens[prompt];
}

static enum att_status check(const struct run *run, struct att_err *err)
{
    const struct att_generation *g = run->generation;
    const int32_t ids[] = {g->start_id, g->forced_bos_id, g->forced_eos_id, g->pad_id};
    if (run->seq2seq && g->start_id < 0)
        return att_err_set(err, ATT_EFORMAT, "generation_config.json: decoder_start_token_id: is missing");
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (ids[i] >= 0 && (size_t)ids[i] >= run->vocab)
            return att_err_set(err, ATT_EFORMAT, "generation_config.json: id %d, expected 0 to %zu", ids[i],
                               run->vocab - 1);
    return ATT_OK;
}

static enum att_status start(struct run *run, struct att_err *err)
{
    const struct att_model_info *info = att_model_info(run->model);
    size_t longest = 0, count = 0, work = 0;
    for (size_t s = 0; s < run->prompts->n_seqs; s++) {
        size_t len = run->prompts->cu_seqlens[s + 1] - run->prompts->cu_seqlens[s];
        longest = len > longest ? len : longest;
    }
    size_t len = (run->seq2seq ? 1 : longest) + run->generation->max_new_tokens;
    size_t most = info->limit_tokens;
    if (longest > most || (len > most && longest + 1 > most))
        return att_err_limit(err, NULL, most, longest, "a prompt of %zu tokens, expected fewer than %zu", longest,
                             most);
    len = len < most ? len : most;
    if (!att_size_mul(run->n_rows, run->vocab, &count) || !att_size_mul(2, run->vocab, &work))
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    run->scores = att_mem_aligned(count, sizeof *run->scores);
    run->work = att_mem_aligned(work, sizeof *run->work);
    run->next = att_mem_calloc(run->n_rows, sizeof *run->next);
    if (!run->scores || !run->work || !run->next)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the scores of %zu rows", run->n_rows);
    enum att_status status = att_decoder_create(run->model, run->n_rows, len,
                                                run->prompts->cu_seqlens[run->prompts->n_seqs], &run->decoder, err);
    if (status == ATT_OK)
        status = att_decoder_start(run->decoder, run->prompts, run->copies, &run->logits, err);
    for (size_t r = 0; r < run->n_rows; r++)
        run->next[r] = run->generation->start_id;
    if (status == ATT_OK && run->seq2seq)
        status = att_decoder_step(run->decoder, run->next, &run->logits, err);
    return status;
}

/* ---- one row at a time ---- */

struct row {
    struct att_writer writer;
    bool done;
};

/* The next token of every row that is not done. False: none is left. Rows that are done make no difference to others,
 * and need no more room. */
static bool write_tokens(struct run *run, struct row *rows)
{
    const size_t limit = att_model_info(run->model)->limit_tokens;
    const struct att_generation *g = run->generation;
    bool left = false;
    memcpy(run->scores, run->logits, run->n_rows * run->vocab * sizeof *run->scores);
    for (size_t r = 0; r < run->n_rows; r++) {
        struct row *row = &rows[r];
        run->next[r] = g->pad_id >= 0 ? g->pad_id : 0;
        if (row->done)
            continue;
        row->done = !att_writer_write(&row->writer, g, run->vocab, run->scores + r * run->vocab, run->work) ||
                    row->writer.len >= limit;
        run->next[r] = row->writer.ids[row->writer.len - 1];
        if (run->listener && !run->listener->token(run->listener->context, r / run->copies, run->next[r]))
            row->done = true;
        if (row->done)
            att_decoder_forget(run->decoder, r);
        left = left || !row->done;
    }
    return left;
}

static enum att_status rows_prepare(const struct run *run, struct row *rows, struct att_err *err)
{
    for (size_t r = 0; r < run->n_rows; r++) {
        const int32_t *prompt;
        size_t n_prompt = row_prompt(run, r, &prompt);
        int32_t *ids = att_mem_calloc(n_prompt + run->generation->max_new_tokens, sizeof *ids);
        if (!ids)
            return att_err_set(err, ATT_ENOMEM, "out of memory for new tokens");
        memcpy(ids, prompt, n_prompt * sizeof *prompt);
        att_writer_init(&rows[r].writer, run->generation, ids, n_prompt, r);
    }
    return ATT_OK;
}

/* What was written, without the prompt of a model of one stack. */
static void result_take(const struct run *run, int32_t *ids, size_t len, size_t n_prompt, struct att_generated *result)
{
    size_t skip = run->seq2seq ? 0 : n_prompt;
    memmove(ids, ids + skip, (len - skip) * sizeof *ids);
    result->ids = ids;
    result->len = len - skip;
    result->finished = len > n_prompt && att_generation_ends(run->generation, ids[len - skip - 1]);
}

static enum att_status run_rows(struct run *run, struct att_generated *results, struct att_err *err)
{
    struct row *rows = att_mem_calloc(run->n_rows, sizeof *rows);
    if (!rows)
        return att_err_set(err, ATT_ENOMEM, "out of memory for %zu rows", run->n_rows);
    enum att_status status = rows_prepare(run, rows, err);
    while (status == ATT_OK && write_tokens(run, rows))
        status = att_decoder_step(run->decoder, run->next, &run->logits, err);
    for (size_t r = 0; r < run->n_rows; r++) {
        const struct att_writer *writer = &rows[r].writer;
        if (status == ATT_OK)
            result_take(run, writer->ids, writer->len, writer->n_prompt, &results[r]);
        else
            att_mem_free(writer->ids);
    }
    att_mem_free(rows);
    return status;
}

/* ---- beams ---- */

static enum att_status beams_results(const struct run *run, const struct att_beams *beams, size_t n_prompt,
                                     struct att_generated *results, struct att_err *err)
{
    for (size_t i = 0; i < run->generation->num_return_sequences; i++) {
        const int32_t *ids;
        size_t len;
        att_beams_result(beams, i, &ids, &len, &results[i].score);
        int32_t *copy = att_mem_calloc(len, sizeof *copy);
        if (!copy)
            return att_err_set(err, ATT_ENOMEM, "out of memory for new tokens");
        memcpy(copy, ids, len * sizeof *copy);
        result_take(run, copy, len, n_prompt, &results[i]);
    }
    return ATT_OK;
}

/* One prompt alone: its beams are the decoder's rows. */
static enum att_status run_beams(struct run *run, struct att_generated *results, struct att_err *err)
{
    const int32_t *prompt;
    size_t n_prompt = row_prompt(run, 0, &prompt), room = att_model_info(run->model)->limit_tokens - n_prompt;
    uint32_t from[ATT_BEAMS_MAX];
    struct att_generation fitting; /* running beams are finished where the model's room ends */
    att_generation_copy(run->generation, &fitting);
    if (fitting.max_new_tokens > room)
        fitting.max_new_tokens = room;
    struct att_beams *beams = att_beams_create(&fitting, prompt, n_prompt, run->vocab);
    if (!beams)
        return att_err_set(err, ATT_ENOMEM, "out of memory for %zu beams", run->generation->num_beams);
    enum att_status status = ATT_OK;
    memcpy(run->scores, run->logits, run->n_rows * run->vocab * sizeof *run->scores);
    while (status == ATT_OK && att_beams_step(beams, run->scores, run->next, from)) {
        att_decoder_reorder(run->decoder, from);
        status = att_decoder_step(run->decoder, run->next, &run->logits, err);
        if (status == ATT_OK)
            memcpy(run->scores, run->logits, run->n_rows * run->vocab * sizeof *run->scores);
    }
    if (status == ATT_OK)
        status = beams_results(run, beams, n_prompt, results, err);
    att_beams_destroy(beams);
    return status;
}

static void run_finish(struct run *run)
{
    att_decoder_destroy(run->decoder);
    att_mem_free(run->scores);
    att_mem_free(run->work);
    att_mem_free(run->next);
    run->decoder = NULL;
    run->scores = run->work = NULL;
    run->next = NULL;
}

enum att_status att_generate(struct att_model *model, const struct att_generation *generation,
                             const struct att_batch *prompts, const struct att_listener *listener,
                             struct att_generated *results, struct att_err *err)
{
    const struct att_model_info *info = att_model_info(model);
    bool beams = generation->num_beams > 1;
    size_t groups = beams ? prompts->n_seqs : 1, done = 0;
    enum att_status status = ATT_OK;
    memset(results, 0, prompts->n_seqs * generation->num_return_sequences * sizeof *results);
    for (size_t g = 0; status == ATT_OK && g < groups; g++) {
        uint32_t cu[2] = {0, prompts->cu_seqlens[g + 1] - prompts->cu_seqlens[g]};
        const struct att_batch alone = {.ids = prompts->ids + prompts->cu_seqlens[g], .cu_seqlens = cu, .n_seqs = 1};
        struct run run = {.model = model,
                          .generation = generation,
                          .prompts = beams ? &alone : prompts,
                          .listener = listener,
                          .vocab = info->logits_size,
                          .seq2seq = info->n_decoder_layers > 0};
        run.copies = beams ? generation->num_beams : generation->num_return_sequences;
        run.n_rows = run.prompts->n_seqs * run.copies;
        status = info->generates ? check(&run, err)
                                 : att_err_set(err, ATT_EUNSUPPORTED, "the model writes no text: it has no decoder");
        if (status == ATT_OK)
            status = start(&run, err);
        if (status == ATT_OK)
            status = beams ? run_beams(&run, results + done, err) : run_rows(&run, results + done, err);
        done += generation->num_return_sequences;
        run_finish(&run);
    }
    for (size_t i = 0; status != ATT_OK && i < prompts->n_seqs * generation->num_return_sequences; i++) {
        att_mem_free(results[i].ids);
        results[i].ids = NULL;
    }
    return status;
}
