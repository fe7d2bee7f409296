/* Calibrations: their text form, the logistic regression, and what a search makes of examples with a known answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tasks/kb/kb_fit_search.h"

enum { TEXT_BYTES = 8192 };

static void render(const struct task_fit *fit, char out[TEXT_BYTES])
{
    struct att_jsonw w;
    struct att_err err;
    char *text = NULL;
    size_t len = 0;
    att_jsonw_init(&w, TEXT_BYTES);
    att_jsonw_object_begin(&w);
    task_fit_render(fit, &w);
    att_jsonw_object_end(&w);
    assert_int_equal(att_jsonw_take(&w, &text, &len, &err), ATT_OK);
    memcpy(out, text, len + 1);
    att_mem_free(text);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    char text[TEXT_BYTES], second[TEXT_BYTES];
    struct task_fit fit, again;
    struct att_err err;
    task_fit_default(0, &fit);
    fit.latin.floor = 0.75f;
    fit.cjk.weights = (struct task_match_features){0.25f, 0.25f, 0.3f, 0.2f};
    fit.threshold = 0.625;
    memset(fit.rerank.digest, 'a', 64);
    fit.rerank.mix = 0.5f;
    render(&fit, text);
    assert_int_equal(task_fit_parse(text, &(struct att_model_info){.cosine_floor = 0}, &again, &err), ATT_OK);
    assert_true(again.fitted);
    again.fitted = false;
    render(&again, second);
    assert_string_equal(text, second);
    assert_int_equal(task_fit_parse(NULL, &(struct att_model_info){.cosine_floor = 0.7f}, &again, &err), ATT_OK);
    assert_false(again.fitted);
    assert_true(again.threshold == 0.5);
    assert_true(again.latin.floor == 0.7f && again.cjk.floor == 0.7f);
}

static void damaged_ones_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"\"threshold\":0.5", "\"threshold\":1.5", "threshold"},
        {"\"margin\":", "\"nigram\":", "margin"},
        {"\"half\":0.48", "\"half\":0", "latin.half"},
        {"\"best\":0.4,", "\"best\":\"x\",", "latin.best"},
        {"\"cjk\"", "\"kjc\"", "cjk.best"},
        {"\"model\":\"aaaa", "\"model\":\"a", "rerank.model"},
        {"\"mix\":1", "\"mix\":2", "rerank.mix"},
        {"{", "", "no JSON"},
    };
    char text[TEXT_BYTES];
    struct task_fit fit;
    task_fit_default(0, &fit);
    memset(fit.rerank.digest, 'a', 64);
    render(&fit, text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char damaged[TEXT_BYTES];
        struct att_err err = {.message = ""};
        const char *at = strstr(text, cases[i].from);
        assert_non_null(at);
        snprintf(damaged, sizeof damaged, "%.*s%s%s", (int)(at - text), text, cases[i].to, at + strlen(cases[i].from));
        assert_int_equal(task_fit_parse(damaged, &(struct att_model_info){.cosine_floor = 0}, &fit, &err), ATT_EFORMAT);
        if (!strstr(err.message, cases[i].says))
            fail_msg("'%s' does not say '%s'", err.message, cases[i].says);
    }
}

static void the_score_is_continuous_and_clamped(void **state)
{
    (void)state;
    struct task_fit fit;
    task_fit_default(0, &fit);
    float before = task_calibration_score(&fit.latin, -1);
    assert_true(before == 0);
    for (float s = -1; s < 2; s += 0.001f) {
        float score = task_calibration_score(&fit.latin, s);
        assert_true(score >= before && score - before < 0.01f && score <= 1);
        before = score;
    }
    assert_true(before == 1);
    assert_true(fabsf(task_calibration_score(&fit.latin, fit.latin.half) - 0.5f) < 1e-6f);
}

/* Stretched cosines: the floor is nothing, one stays one. */
static void the_floor_is_taken_off_cosines_alone(void **state)
{
    (void)state;
    struct task_calibration row = {.weights = {0.5f, 0.5f, 0, 0}, .floor = 0.75f};
    const struct task_match_features none = {0.75f, 0.75f, 0.5f, 0.5f}, all = {1, 1, 0, 0};
    assert_true(fabsf(task_features_fuse(&none, &row)) < 1e-6f);
    assert_true(fabsf(task_features_fuse(&all, &row) - 1) < 1e-6f);
}

static void the_logistic_finds_what_made_the_data(void **state)
{
    (void)state;
    enum { N = 4000 };
    static double x[2 * N];
    static bool right[N];
    double found[3];
    uint32_t seed = 1;
    for (size_t i = 0; i < N; i++) {
        double u[3];
        for (size_t k = 0; k < 3; k++) {
            seed = seed * 1664525u + 1013904223u;
            u[k] = (double)(seed >> 8) / (1 << 24);
        }
        x[2 * i] = u[0];
        x[2 * i + 1] = u[1];
        right[i] = u[2] < task_sigmoid(6 * u[0] - 3 * u[1] - 1);
    }
    assert_true(task_logistic_fit(x, right, N, 2, found));
    assert_true(fabs(found[0] - 6) < 0.5 && fabs(found[1] + 3) < 0.5 && fabs(found[2] + 1) < 0.4);
    /* All right: their share, and no slope. */
    for (size_t i = 0; i < N; i++)
        right[i] = true;
    assert_false(task_logistic_fit(x, right, N, 2, found));
    assert_true(found[0] == 0 && task_sigmoid(found[2]) > 0.99);
    /* Parted by one line: the ridge keeps the slope finite. */
    for (size_t i = 0; i < N; i++)
        right[i] = x[2 * i] > 0.5;
    assert_true(task_logistic_fit(x, right, N, 1, found));
    assert_true(isfinite(found[0]) && isfinite(found[1]));
}

enum { EXAMPLES = 120, CANDIDATES = 6 };
static struct task_fit_candidate pool[EXAMPLES][CANDIDATES];
static struct task_fit_example examples[EXAMPLES];

/* Words tell the right entry, cosines say nothing in their narrow band; every fourth question has none. The
 * cross-encoder knows all. */
static void make_examples(void)
{
    uint32_t seed = 7;
    for (size_t i = 0; i < EXAMPLES; i++) {
        bool outside = i % 8 == 6 || i % 8 == 7;
        examples[i] = (struct task_fit_example){.candidates = pool[i],
                                                .n = CANDIDATES,
                                                .expect = outside ? 0 : 1 + (int64_t)(i % CANDIDATES),
                                                .held_out = i % 2};
        for (size_t c = 0; c < CANDIDATES; c++) {
            seed = seed * 1664525u + 1013904223u;
            float noise = (float)(seed >> 8) / (1 << 24);
            bool own = !outside && c == i % CANDIDATES;
            pool[i][c] = (struct task_fit_candidate){
                .id = 1 + (int64_t)c,
                .features = {0.8f + 0.1f * noise, 0.8f + 0.1f * noise, own ? 0.5f + 0.3f * noise : 0.3f * noise, 0.2f},
                .rerank = own ? 4 : -4,
                .reranked = true};
        }
    }
}

static void a_search_finds_the_feature_that_tells(void **state)
{
    (void)state;
    struct task_fit fit;
    struct att_err err;
    bool fitted[2];
    size_t right = 0, answered = 0, strange = 0, inside = 0;
    make_examples();
    task_fit_default(0, &fit);
    assert_int_equal(task_fit_search(examples, EXAMPLES, 0.95, &fit, fitted, &err), ATT_OK);
    assert_true(fitted[0]);
    assert_false(fitted[1]); /* no example in Chinese: as it was */
    assert_true(fit.cjk.half == 0.44f);
    assert_true(fit.latin.weights.lexical > fit.latin.weights.best + fit.latin.weights.near);
    assert_true(fit.latin.floor > 0.79f && fit.latin.floor < 0.9f);
    for (size_t i = 1; i < EXAMPLES; i += 2) {
        struct task_fit_outcome out = task_fit_outcome(&examples[i], &fit, false);
        answered += out.answered;
        right += out.answered && out.first_right;
        strange += out.answered && examples[i].expect == 0;
        inside += examples[i].expect != 0;
    }
    assert_true(strange == 0 && right == answered && right * 10 >= inside * 9);
}

static void a_cross_encoder_that_knows_takes_over(void **state)
{
    (void)state;
    struct task_fit fit;
    struct att_err err;
    char digest[65];
    make_examples();
    for (size_t i = 0; i < EXAMPLES; i++) /* nothing else tells */
        for (size_t c = 0; c < CANDIDATES; c++)
            pool[i][c].features.lexical = 0.1f;
    memset(digest, 'b', 64);
    digest[64] = '\0';
    task_fit_default(0, &fit);
    assert_int_equal(task_fit_search_rerank(examples, EXAMPLES, 0.95, digest, &fit, &err), ATT_OK);
    assert_string_equal(fit.rerank.digest, digest);
    assert_true(fit.rerank.mix > 0.4f);
    for (size_t i = 1; i < EXAMPLES; i += 2) {
        struct task_fit_outcome out = task_fit_outcome(&examples[i], &fit, true);
        assert_true(out.answered == (examples[i].expect != 0));
        assert_true((out.confidence > 0.9) == (examples[i].expect != 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(damaged_ones_are_named),
        cmocka_unit_test(the_score_is_continuous_and_clamped),
        cmocka_unit_test(the_floor_is_taken_off_cosines_alone),
        cmocka_unit_test(the_logistic_finds_what_made_the_data),
        cmocka_unit_test(a_search_finds_the_feature_that_tells),
        cmocka_unit_test(a_cross_encoder_that_knows_takes_over),
    };
    return cmocka_run_group_tests_name("tasks/kb_fit", tests, NULL, NULL);
}
