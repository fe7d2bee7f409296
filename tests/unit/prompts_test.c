/* Prompts of config_sentence_transformers.json and attend.json's cosine_floor: what is taken and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/model.h"

static char folder[64];
static uint64_t fail_at; /* which allocation of the function under test fails */

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/attend-prompts-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* Loads the file's text (NULL: no file) and attend.json's into a model that has only these. */
static enum att_status load(struct att_model *model, struct att_model *base, const char *text, const char *own,
                            struct att_err *err)
{
    struct att_dir dir;
    char path[128];
    *model = (struct att_model){.base = base};
    *err = (struct att_err){.message = ""};
    att_arena_init(&model->arena, 1 << 20);
    snprintf(path, sizeof path, "%s/config_sentence_transformers.json", folder);
    if (text) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(text, file);
        assert_int_equal(fclose(file), 0);
    }
    if (own)
        assert_int_equal(att_json_parse(own, strlen(own), 0, 8, &model->attend_json, err), ATT_OK);
    assert_int_equal(att_dir_open(folder, &dir, err), ATT_OK);
    att_mem_fail_at(fail_at, false);
    enum att_status status = att_prompts_load(model, &dir, err);
    att_mem_fail_at(0, false);
    att_dir_close(&dir);
    unlink(path);
    return status;
}

static void unload(struct att_model *model)
{
    att_json_destroy(model->attend_json);
    att_arena_finish(&model->arena);
}

static void expect(const char *text, const char *fallback, const char *query, const char *passage)
{
    struct att_model model;
    struct att_err err;
    assert_int_equal(load(&model, NULL, text, NULL, &err), ATT_OK);
    assert_string_equal(model.info.default_prompt, fallback);
    assert_string_equal(model.info.query_prompt, query);
    assert_string_equal(model.info.passage_prompt, passage);
    unload(&model);
}

static void parts_have_their_prompts(void **state)
{
    (void)state;
    expect(NULL, "", "", "");
    expect("{}", "", "", "");
    expect("{\"prompts\":{},\"default_prompt_name\":null}", "", "", "");
    expect("{\"prompts\":{\"query\":\"query: \",\"passage\":\"passage: \"}}", "", "query: ", "passage: ");
    expect("{\"prompts\":{\"query\":\"q \",\"passage\":\"p \",\"document\":\"d \"}}", "", "q ", "d ");
    /* What has no prompt of its own has the default one. */
    expect("{\"prompts\":{\"corpus\":\"c \",\"sts\":\"s \"},\"default_prompt_name\":\"sts\"}", "s ", "s ", "c ");
    expect("{\"prompts\":{\"query\":\"\",\"sts\":\"s \"},\"default_prompt_name\":\"sts\"}", "s ", "", "s ");
}

static void an_adapter_has_its_bases(void **state)
{
    struct att_model base, model;
    struct att_err err;
    (void)state;
    assert_int_equal(load(&base, NULL, "{\"prompts\":{\"query\":\"q \"},\"default_prompt_name\":\"query\"}",
                          "{\"cosine_floor\":0.7}", &err),
                     ATT_OK);
    assert_int_equal(load(&model, &base, NULL, NULL, &err), ATT_OK);
    assert_string_equal(model.info.default_prompt, "q ");
    assert_string_equal(att_model_prompt(&model.info, "query"), "q ");
    assert_null(att_model_prompt(&model.info, "passage"));
    assert_null(att_model_prompt(&model.info, NULL));
    assert_float_equal(model.info.cosine_floor, 0.7f, 0);
    unload(&model);
    assert_int_equal(load(&model, &base, "{\"prompts\":{\"query\":\"own \"}}", "{\"cosine_floor\":0.5}", &err), ATT_OK);
    assert_string_equal(model.info.default_prompt, "");
    assert_string_equal(model.info.query_prompt, "own ");
    assert_float_equal(model.info.cosine_floor, 0.5f, 0);
    unload(&model);
    unload(&base);
}

static void refuse(const char *text, const char *own, const char *message)
{
    struct att_model model;
    struct att_err err;
    assert_int_equal(load(&model, NULL, text, own, &err), ATT_EFORMAT);
    if (!strstr(err.message, message))
        fail_msg("'%s' instead of '%s'", err.message, message);
    unload(&model);
}

static void what_is_no_prompt_is_refused(void **state)
{
    char text[4096];
    (void)state;
    refuse("{\"prompts\":[]}", NULL,
           "config_sentence_transformers.json: prompts: is array, expected an object of texts");
    refuse("{\"prompts\":{\"query\":1}}", NULL, "prompts.query: is");
    refuse("{\"prompts\":{\"query\":\"q\"},\"default_prompt_name\":\"passage\"}", NULL,
           "default_prompt_name: expected");
    refuse("{\"default_prompt_name\":1}", NULL, "default_prompt_name: expected");
    snprintf(text, sizeof text, "{\"prompts\":{\"query\":\"%01030d\"}}", 0);
    refuse(text, NULL, "prompts.query: is too long, expected a text of at most 1024 bytes");
    size_t at = (size_t)snprintf(text, sizeof text, "{\"prompts\":{\"p\":\"\"");
    for (int i = 0; i < 64; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, ",\"%d\":\"\"", i);
    snprintf(text + at, sizeof text - at, "}}");
    refuse(text, NULL, "prompts: has 65 members, expected at most 64");
    refuse(NULL, "{\"cosine_floor\":1}", "attend.json: cosine_floor");
    refuse(NULL, "{\"cosine_floor\":\"low\"}", "attend.json: cosine_floor");
}

static void memory_may_be_out(void **state)
{
    struct att_model model;
    struct att_err err;
    enum att_status status = ATT_ENOMEM;
    (void)state;
    for (uint64_t k = 1; status == ATT_ENOMEM; k++) {
        fail_at = k;
        status = load(&model, NULL, "{\"prompts\":{\"query\":\"q \"}}", NULL, &err);
        fail_at = 0;
        if (status != ATT_OK)
            assert_int_equal(status, ATT_ENOMEM);
        unload(&model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_have_their_prompts),
        cmocka_unit_test(an_adapter_has_its_bases),
        cmocka_unit_test(what_is_no_prompt_is_refused),
        cmocka_unit_test(memory_may_be_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
