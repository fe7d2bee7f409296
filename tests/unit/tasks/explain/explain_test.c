/* Explanations: what is left out is bit for bit what a request without it answers. */
#include "tests/unit/tasks/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char sentence[] = "company profit rose and the stock beat expectations in may";

/* `text` without the words whose numbers stand in `out`; words have one blank between them. */
static void without(const char *text, const bool *out, char *copy)
{
    size_t word = 0;
    *copy = '\0';
    while (*text) {
        size_t len = strcspn(text, " ");
        if (!out[word++])
            snprintf(copy + strlen(copy), 64, "%s%.*s", *copy ? " " : "", (int)len, text);
        text += len + (text[len] == ' ');
    }
}

/* Numbers are written as the shortest text of their float. */
static float change(double base, double left)
{
    return (float)base - (float)left;
}

static double logit_without(const char *head, const char *label, const bool *out, double *ret_score)
{
    char text[256], body[512], path[128];
    without(sentence, out, text);
    snprintf(body, sizeof body, "{'model':'heads','input':'%s'}", text);
    struct att_json *answer = fixture_answer(&task_classify, body);
    snprintf(path, sizeof path, "data.0.heads.%s.scores", head);
    const struct att_json *scores = fixture_at(answer, path);
    double logit = NAN;
    for (size_t i = 0; i < att_json_count(scores); i++) {
        const struct att_json *row = att_json_at(scores, i);
        if (strcmp(att_json_string(att_json_get(row, "label"), NULL), label) != 0)
            continue;
        logit = att_json_number(att_json_get(row, "logit"), NAN);
        *ret_score = att_json_number(att_json_get(row, "score"), NAN);
    }
    att_json_destroy(answer);
    return logit;
}

/* Checks one head's part of an explanation of `sentence`; order[3] are its words of most weight. */
static void check_head(const char *head, const struct att_json *part, size_t order[3])
{
    bool out[10] = {false};
    double score, base_score;
    const char *label = fixture_text(part, "label");
    double base = logit_without(head, label, out, &base_score);
    const struct att_json *tokens = fixture_at(part, "tokens");
    assert_int_equal(att_json_count(tokens), 10);
    double weights[10];
    for (size_t i = 0; i < 10; i++) {
        const struct att_json *token = att_json_at(tokens, i);
        out[i] = true;
        double left = logit_without(head, label, out, &score);
        out[i] = false;
        weights[i] = att_json_number(att_json_get(token, "weight"), NAN);
        assert_true((float)weights[i] == change(base, left));
        assert_memory_equal(sentence + (size_t)fixture_number(token, "start"), fixture_text(token, "text"),
                            strlen(fixture_text(token, "text")));
    }
    for (size_t k = 0; k < 3; k++) {
        size_t best = 10;
        for (size_t i = 0; i < 10; i++)
            if (!out[i] && (best == 10 || weights[i] > weights[best]))
                best = i;
        out[best] = true;
        order[k] = best;
    }
    logit_without(head, label, out, &score);
    assert_true(fabs(fixture_number(part, "faithfulness.top3_drop") - (base_score - score)) < 1e-6);
}

static void a_word_weighs_what_leaving_it_out_changes(void **state)
{
    (void)state;
    char body[256];
    size_t order[3];
    snprintf(body, sizeof body, "{'model':'heads','input':['cat','%s'],'explain':'occlusion'}", sentence);
    struct att_json *answer = fixture_answer(&task_classify, body);
    const struct att_json *part = fixture_at(answer, "data.1.explain");
    assert_string_equal(fixture_text(part, "method"), "occlusion");
    assert_string_equal(fixture_text(part, "head"), "sentiment");
    check_head("sentiment", part, order);
    check_head("topics", fixture_at(part, "heads.topics"), order);
    assert_int_equal(att_json_count(fixture_at(answer, "data.0.explain.tokens")), 1);
    double prompt_tokens = fixture_number(answer, "usage.prompt_tokens");
    /* Ten texts of nine words, and the curves. */
    assert_true(fixture_number(answer, "usage.total_tokens") > prompt_tokens + 90);
    struct att_json *again = fixture_answer(&task_classify, body);
    assert_true(fixture_number(again, "data.1.explain.faithfulness.random3_move") ==
                fixture_number(part, "faithfulness.random3_move"));
    att_json_destroy(again);
    att_json_destroy(answer);
}

static double sum_of_weights(const struct att_json *tokens)
{
    double sum = 0;
    for (size_t i = 0; i < att_json_count(tokens); i++)
        sum += att_json_number(att_json_get(att_json_at(tokens, i), "weight"), NAN);
    return sum;
}

static void attention_and_rollout_sum_to_one_and_differ(void **state)
{
    (void)state;
    static const char *const methods[] = {"attention", "rollout"};
    double first[2];
    for (size_t i = 0; i < 2; i++) {
        char body[256];
        snprintf(body, sizeof body, "{'input':'%s','explain':'%s'}", sentence, methods[i]);
        struct att_json *plain = fixture_answer(&task_classify, body);
        assert_string_equal(fixture_text(plain, "data.0.explain.method"), methods[i]);
        assert_true(fabs(sum_of_weights(fixture_at(plain, "data.0.explain.tokens")) - 1) < 1e-4);
        assert_null(att_json_get(fixture_at(plain, "data.0.explain"), "faithfulness"));
        first[i] = fixture_number(plain, "data.0.explain.tokens.0.weight");
        snprintf(body, sizeof body, "{'input':'%s','explain':'%s','faithfulness':true}", sentence, methods[i]);
        struct att_json *measured = fixture_answer(&task_classify, body);
        assert_true(fixture_number(measured, "data.0.explain.tokens.0.weight") == first[i]);
        assert_string_equal(fixture_text(measured, "data.0.explain.head"), "default");
        assert_true(isfinite(fixture_number(measured, "data.0.explain.faithfulness.deletion_area")));
        att_json_destroy(plain);
        att_json_destroy(measured);
    }
    assert_true(first[0] != first[1]);
}

/* A long text goes through windows, and its spans are no more than are left out one by one. */
static void long_texts_are_explained_by_spans(void **state)
{
    (void)state;
    size_t limit = fixture_env.limits.tokens_max;
    char *body = fixture_body("{'input':'%s','explain':'occlusion','faithfulness':false}", "order profit", 100);
    fixture_env.limits.tokens_max = 100000;
    struct att_json *answer = fixture_answer(&task_classify, body);
    const struct att_json *tokens = fixture_at(answer, "data.0.explain.tokens");
    assert_true(fixture_number(answer, "data.0.windows.count") > 1);
    assert_true(att_json_count(tokens) > 32 && att_json_count(tokens) <= 64);
    assert_string_equal(fixture_text(tokens, "0.text"), "order profit order profit");
    assert_null(att_json_get(fixture_at(answer, "data.0.explain"), "faithfulness"));
    fixture_env.limits.tokens_max = limit;
    att_json_destroy(answer);
    free(body);
}

static void nothing_to_leave_out(void **state)
{
    (void)state;
    struct att_json *answer = fixture_answer(&task_classify, "{'input':['',' '],'explain':'occlusion'}");
    assert_int_equal(att_json_count(fixture_at(answer, "data.1.explain.tokens")), 0);
    assert_null(att_json_get(fixture_at(answer, "data.1.explain"), "faithfulness"));
    att_json_destroy(answer);
}

static void both_texts_of_a_pair(void **state)
{
    (void)state;
    struct att_json *answer =
        fixture_answer(&task_classify, "{'input':[{'text':'profit up','text_pair':'loss'}],'explain':'occlusion'}");
    struct att_json *left = fixture_answer(&task_classify, "{'input':[{'text':'profit up','text_pair':''}]}");
    const struct att_json *tokens = fixture_at(answer, "data.0.explain.tokens");
    assert_int_equal(att_json_count(tokens), 3);
    assert_true(att_json_bool(fixture_at(tokens, "2.pair"), false));
    const char *label = fixture_text(answer, "data.0.explain.label");
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof path, "data.0.heads.default.scores.%zu", i);
        const struct att_json *row = fixture_at(left, path);
        if (strcmp(fixture_text(row, "label"), label) == 0)
            assert_true((float)fixture_number(tokens, "2.weight") ==
                        change(fixture_number(answer, "data.0.heads.default.logit"), fixture_number(row, "logit")));
    }
    att_json_destroy(left);
    att_json_destroy(answer);
}

static void a_result_is_explained_by_its_document(void **state)
{
    (void)state;
    struct att_json *answer = fixture_answer(
        &task_rerank,
        "{'query':'where is my order','documents':['inflation','where is my order'],'explain':'occlusion',"
        "'top_n':1}");
    struct att_json *left =
        fixture_answer(&task_rerank, "{'query':'where is my order','documents':['where my order','where is my']}");
    assert_string_equal(fixture_text(answer, "results.0.explain.tokens.3.text"), "order");
    for (size_t i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "results.%zu", i);
        const struct att_json *result = fixture_at(left, path);
        bool is_first = fixture_number(result, "index") == 0; /* the one without "is" */
        double weight = fixture_number(answer, is_first ? "results.0.explain.tokens.1.weight"
                                                        : "results.0.explain.tokens.3.weight");
        assert_true((float)weight ==
                    change(fixture_number(answer, "results.0.logit"), fixture_number(result, "logit")));
    }
    assert_true(isfinite(fixture_number(answer, "results.0.explain.faithfulness.top3_drop")));
    att_json_destroy(left);
    att_json_destroy(answer);
}

static void wrong_words_are_refused(void **state)
{
    (void)state;
    fixture_refused(&task_classify, "{'input':'a','explain':'magic'}", ATT_EINVAL, "explain", "rollout");
    fixture_refused(&task_classify, "{'input':'a','explain':'occlusion','faithfulness':1}", ATT_EINVAL, "faithfulness",
                    "true or false");
    fixture_refused(&task_rerank, "{'query':'a','documents':['b'],'explain':'rollout'}", ATT_EINVAL, "explain",
                    "occlusion");
    /* Many long texts: their variants are more than one request may have. */
    size_t limit = fixture_env.limits.tokens_max;
    fixture_env.limits.tokens_max = 1000;
    char *body = fixture_body("{'input':'%s','explain':'occlusion'}", "profit", 60);
    fixture_refused(&task_classify, body, ATT_ELIMIT, "explain", "1000 tokens");
    fixture_env.limits.tokens_max = limit;
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_weighs_what_leaving_it_out_changes),
        cmocka_unit_test(attention_and_rollout_sum_to_one_and_differ),
        cmocka_unit_test(long_texts_are_explained_by_spans),
        cmocka_unit_test(nothing_to_leave_out),
        cmocka_unit_test(both_texts_of_a_pair),
        cmocka_unit_test(a_result_is_explained_by_its_document),
        cmocka_unit_test(wrong_words_are_refused),
    };
    return cmocka_run_group_tests_name("explain", tests, fixture_start, fixture_stop);
}
