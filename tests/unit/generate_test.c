/* Generation up to a model's last position: beams are finished there, and a row that gets there stops alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "core/generate/generate.h"

enum { POSITIONS = 16, PROMPTS = 2, LONG = 12, SHORT = 3 };

static const char config[] =
    "{\"model_type\":\"gpt2\",\"architectures\":[\"GPT2LMHeadModel\"],\"n_embd\":8,\"n_layer\":1,\"n_head\":2,"
    "\"n_positions\":16,\"vocab_size\":20}";

static const char *const tensors[][2] = {
    {"wte.weight", "20,8"},
    {"wpe.weight", "16,8"},
    {"ln_f.weight", "8"},
    {"ln_f.bias", "8"},
    {"h.0.ln_1.weight", "8"},
    {"h.0.ln_1.bias", "8"},
    {"h.0.ln_2.weight", "8"},
    {"h.0.ln_2.bias", "8"},
    {"h.0.attn.c_attn.weight", "8,24"},
    {"h.0.attn.c_attn.bias", "24"},
    {"h.0.attn.c_proj.weight", "8,8"},
    {"h.0.attn.c_proj.bias", "8"},
    {"h.0.mlp.c_fc.weight", "8,32"},
    {"h.0.mlp.c_fc.bias", "32"},
    {"h.0.mlp.c_proj.weight", "32,8"},
    {"h.0.mlp.c_proj.bias", "8"},
};

static const int32_t ids[LONG + SHORT] = {3, 5, 7, 2, 9, 11, 4, 6, 13, 8, 1, 10, 12, 14, 17};

/* A GPT-2 of POSITIONS positions, out of a folder that is gone again. */
static struct att_model *load(void)
{
    char dir[] = "/tmp/attend-generate-XXXXXX", names[2][64];
    struct att_model *model = NULL;
    struct att_err err = {.message = ""};
    assert_non_null(mkdtemp(dir));
    snprintf(names[0], sizeof names[0], "%s/config.json", dir);
    snprintf(names[1], sizeof names[1], "%s/weights_spec.json", dir);
    FILE *file = fopen(names[0], "w");
    assert_non_null(file);
    fputs(config, file);
    assert_int_equal(fclose(file), 0);
    file = fopen(names[1], "w");
    assert_non_null(file);
    fputs("{\"seed\":7,\"tensors\":[", file);
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
        fprintf(file, "%s{\"name\":\"%s\",\"shape\":[%s],\"base\":0.25,\"amp\":0.5}", i ? "," : "", tensors[i][0],
                tensors[i][1]);
    fputs("]}", file);
    assert_int_equal(fclose(file), 0);
    enum att_status status = att_model_load(dir, &(struct att_model_options){.dtype = ATT_F32}, &model, &err);
    for (size_t i = 0; i < 2; i++)
        unlink(names[i]);
    assert_int_equal(rmdir(dir), 0);
    if (status != ATT_OK)
        fail_msg("%s", err.message);
    return model;
}

static void ask(size_t max_new_tokens, size_t num_beams, struct att_generation *how)
{
    *how = (struct att_generation){.max_new_tokens = max_new_tokens,
                                   .num_beams = num_beams,
                                   .num_return_sequences = 1,
                                   .length_penalty = 1,
                                   .repetition_penalty = 1,
                                   .pad_id = -1,
                                   .start_id = -1,
                                   .forced_bos_id = -1,
                                   .forced_eos_id = -1};
}

static void write_texts(struct att_model *model, const struct att_generation *how, const int32_t *prompts,
                        const uint32_t *cu, size_t n, struct att_generated *results)
{
    const struct att_batch batch = {.ids = prompts, .cu_seqlens = cu, .n_seqs = n};
    struct att_err err = {.message = ""};
    if (att_generate(model, how, &batch, NULL, results, &err) != ATT_OK)
        fail_msg("%s", err.message);
}

static void beams_that_pass_the_end_are_those_that_fit(void **state)
{
    (void)state;
    static const uint32_t cu[] = {0, LONG};
    struct att_model *model = load();
    struct att_generation how;
    struct att_generated fits, passes;
    ask(POSITIONS - LONG, 3, &how);
    write_texts(model, &how, ids, cu, 1, &fits);
    ask(40, 3, &how);
    write_texts(model, &how, ids, cu, 1, &passes);
    assert_int_equal(fits.len, POSITIONS - LONG);
    assert_int_equal(passes.len, fits.len);
    assert_memory_equal(passes.ids, fits.ids, fits.len * sizeof *fits.ids);
    assert_true(passes.score >= fits.score && passes.score <= fits.score);
    att_mem_free(fits.ids);
    att_mem_free(passes.ids);
    att_model_unref(model);
}

static void a_row_at_the_end_stops_alone(void **state)
{
    (void)state;
    static const uint32_t cu[] = {0, LONG, LONG + SHORT}, alone[] = {0, SHORT};
    struct att_model *model = load();
    struct att_generation how;
    struct att_generated both[PROMPTS], one;
    ask(10, 1, &how);
    write_texts(model, &how, ids, cu, PROMPTS, both);
    write_texts(model, &how, ids + LONG, alone, 1, &one);
    assert_int_equal(both[0].len, POSITIONS - LONG);
    assert_int_equal(one.len, 10);
    assert_int_equal(both[1].len, one.len);
    assert_memory_equal(both[1].ids, one.ids, one.len * sizeof *one.ids);
    att_mem_free(both[0].ids);
    att_mem_free(both[1].ids);

    /* One that ends before the others takes no place of theirs. */
    how.max_new_tokens = 40;
    write_texts(model, &how, ids, cu, PROMPTS, both);
    assert_int_equal(both[0].len, POSITIONS - LONG);
    assert_int_equal(both[1].len, POSITIONS - SHORT);
    att_mem_free(both[0].ids);
    att_mem_free(both[1].ids);
    att_mem_free(one.ids);
    att_model_unref(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beams_that_pass_the_end_are_those_that_fit),
        cmocka_unit_test(a_row_at_the_end_stops_alone),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (att_init(NULL, NULL) != ATT_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
