/*
 * Pasts: texts that are written together, each at its own place, with prompts read in pieces, get the ids that each of
 * them gets alone from att_generate; decoders and encoder-decoders.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/generate/generate.h"

enum { TEXTS = 3, NEW = 10, PROMPT_MAX = 24, PIECE = 5 };

struct text {
    int32_t prompt[PROMPT_MAX], *ids; /* ids: prompt (or start id) and what is written */
    size_t n_prompt;
    struct att_writer writer;
    struct att_past *past;
    size_t read;
    bool source_read, over;
    float *logits;
};

static struct att_model *load(const char *name)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    struct att_model *model = NULL;
    struct att_err err = {.message = ""};
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/data/%s", root ? root : ".", name);
    if (att_model_load(path, &(struct att_model_options){.dtype = ATT_F32}, &model, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return model;
}

static void begin(struct text *text, struct att_model *model, const struct att_generation *how)
{
    const struct att_model_info *info = att_model_info(model);
    bool seq2seq = info->n_decoder_layers > 0;
    size_t n = seq2seq ? 1 : text->n_prompt;
    text->ids = calloc(n + NEW, sizeof *text->ids);
    text->logits = calloc(info->logits_size, sizeof *text->logits);
    assert_true(text->ids && text->logits);
    memcpy(text->ids, seq2seq ? &how->start_id : text->prompt, n * sizeof *text->ids);
    att_writer_init(&text->writer, how, text->ids, n, 0);
    assert_int_equal(att_past_create(model, seq2seq ? text->n_prompt : 0, n + NEW, &text->past, NULL), ATT_OK);
    text->source_read = !seq2seq;
    text->over = false;
    text->read = 0;
}

/* One pass over the texts that have begun and are not over: sources first, or the next tokens of each. */
static void step(struct att_context *context, struct text *texts, size_t n, const struct att_generation *how,
                 bool sources, size_t vocab, float *work)
{
    struct att_past *pasts[TEXTS];
    float *logits[TEXTS];
    struct text *chosen[TEXTS];
    int32_t ids[TEXTS * PROMPT_MAX];
    uint32_t cu[TEXTS + 1] = {0};
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        struct text *text = &texts[i];
        if (text->over || text->source_read == sources)
            continue;
        size_t left = sources ? text->n_prompt : text->writer.len - text->read, len = left;
        if (!sources && len > PIECE)
            len = PIECE;
        memcpy(ids + cu[count], sources ? text->prompt : text->ids + text->read, len * sizeof *ids);
        cu[count + 1] = cu[count] + (uint32_t)len;
        pasts[count] = text->past;
        logits[count] = !sources && len == left ? text->logits : NULL;
        chosen[count++] = text;
        text->read += sources ? 0 : len;
        text->source_read = true;
    }
    if (count == 0)
        return;
    const struct att_batch batch = {.ids = ids, .cu_seqlens = cu, .n_seqs = count};
    assert_int_equal(sources ? att_forward_source(context, &batch, pasts, NULL)
                             : att_forward_past(context, &batch, pasts, logits, NULL, NULL),
                     ATT_OK);
    for (size_t i = 0; i < count; i++)
        if (logits[i])
            chosen[i]->over = !att_writer_write(&chosen[i]->writer, how, vocab, chosen[i]->logits, work);
}

static void check(const char *name)
{
    struct att_model *model = load(name);
    const struct att_model_info *info = att_model_info(model);
    struct att_generation how;
    struct att_context *context;
    struct text texts[TEXTS] = {{.n_prompt = 3}, {.n_prompt = 17}, {.n_prompt = 9}};
    float *work = calloc(2 * info->logits_size, sizeof *work);
    assert_non_null(work);
    assert_int_equal(att_generation_defaults(model, &how, NULL), ATT_OK);
    how.max_new_tokens = NEW;
    how.num_beams = how.num_return_sequences = 1;
    how.do_sample = false;
    assert_int_equal(att_context_create_writing(model, 64, TEXTS, PROMPT_MAX + NEW, &context, NULL), ATT_OK);
    for (size_t i = 0; i < TEXTS; i++) {
        for (size_t t = 0; t < texts[i].n_prompt; t++)
            texts[i].prompt[t] = (int32_t)((i * 53 + t * 29) % (info->vocab_size - 10)) + 5;
        begin(&texts[i], model, &how);
    }
    for (size_t round = 0; round < 3 * (NEW + PROMPT_MAX); round++) {
        size_t begun = 1 + round / 2 < TEXTS ? 1 + round / 2 : TEXTS; /* one after the other */
        step(context, texts, begun, &how, true, info->logits_size, work);
        step(context, texts, begun, &how, false, info->logits_size, work);
    }
    for (size_t i = 0; i < TEXTS; i++) {
        const uint32_t cu[2] = {0, (uint32_t)texts[i].n_prompt};
        const struct att_batch alone = {.ids = texts[i].prompt, .cu_seqlens = cu, .n_seqs = 1};
        struct att_generated result;
        size_t skip = info->n_decoder_layers > 0 ? 0 : texts[i].n_prompt;
        assert_int_equal(att_generate(model, &how, &alone, NULL, &result, NULL), ATT_OK);
        assert_true(texts[i].over);
        assert_int_equal(texts[i].writer.len - skip, result.len);
        assert_memory_equal(texts[i].ids + skip, result.ids, result.len * sizeof *result.ids);
        assert_int_equal(att_past_len(texts[i].past), texts[i].writer.len - 1);
        att_mem_free(result.ids);
        att_past_destroy(texts[i].past);
        free(texts[i].ids);
        free(texts[i].logits);
    }
    free(work);
    att_context_destroy(context);
    att_model_unref(model);
}

static void test_same_as_alone(void **state)
{
    (void)state;
    check("llama-f16");
    check("qwen3");
    check("t5-v1_1");
}

static void test_refusals(void **state)
{
    struct att_model *model = load("qwen3");
    struct att_past *past = NULL;
    (void)state;
    assert_int_equal(att_past_create(model, 0, 0, &past, NULL), ATT_ELIMIT);
    assert_int_equal(att_past_create(model, 0, SIZE_MAX / 2, &past, NULL), ATT_ELIMIT);
    assert_true(att_past_bytes(model, 0, SIZE_MAX / 2) == SIZE_MAX);
    assert_true(att_past_bytes(model, 0, 10) > 10 * 2 * sizeof(float));
    assert_null(past);
    for (size_t n = 1; n <= 2; n++) {
        att_mem_fail_at(n, false);
        assert_int_equal(att_past_create(model, 0, 10, &past, NULL), ATT_ENOMEM);
        att_mem_fail_at(0, false);
    }
    att_past_destroy(NULL);
    att_model_unref(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_alone),
        cmocka_unit_test(test_refusals),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (att_init(NULL, NULL) != ATT_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
