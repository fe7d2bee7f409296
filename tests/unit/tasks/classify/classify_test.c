/* POST /v1/classify as a task: shapes, decisions, windows, explanations, refusals. */
#include "tests/unit/tasks/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double close = 1e-5;

/* The reference's logits of this text, from the checkpoint's golden data. */
static void one_text_gives_the_reference_label(void **state)
{
    (void)state;
    struct att_json *answer =
        fixture_answer(&task_classify, "{'input':'The company beat expectations and the stock rose 5%.'}");
    assert_string_equal(fixture_text(answer, "object"), "list");
    assert_string_equal(fixture_text(answer, "model"), "plain");
    assert_int_equal(strncmp(fixture_text(answer, "id"), "cls-", 4), 0);
    assert_true(strlen(fixture_text(answer, "system_fingerprint")) >= 8);
    assert_true(fixture_number(answer, "created") > 1e9);
    assert_string_equal(fixture_text(answer, "data.0.heads.default.label"), "positive");
    assert_true(fabs(fixture_number(answer, "data.0.heads.default.score") - 0.394028842) < close);
    assert_true(fabs(fixture_number(answer, "data.0.heads.default.logit") + 0.337205231) < close);
    assert_int_equal(att_json_count(fixture_at(answer, "data.0.heads.default.scores")), 3);
    assert_string_equal(fixture_text(answer, "data.0.heads.default.scores.1.label"), "neutral");
    /* One head: flat as well. */
    assert_string_equal(fixture_text(answer, "data.0.label"), "positive");
    assert_true(fixture_number(answer, "data.0.score") == fixture_number(answer, "data.0.heads.default.score"));
    assert_int_equal(fixture_number(answer, "data.0.windows.count"), 1);
    assert_int_equal(fixture_number(answer, "data.0.windows.tokens"), 19);
    assert_int_equal(fixture_number(answer, "usage.prompt_tokens"), 19);
    assert_int_equal(att_json_count(fixture_at(answer, "timing_ms")), 4);
    att_json_destroy(answer);
}

static void inputs_are_texts_objects_and_pairs(void **state)
{
    (void)state;
    struct att_json *answer = fixture_answer(
        &task_classify, "{'input':['first',{'id':'n7','text':'second'},{'text':'second','text_pair':'x'}]}");
    assert_int_equal(att_json_count(fixture_at(answer, "data")), 3);
    assert_int_equal(fixture_number(answer, "data.2.index"), 2);
    assert_string_equal(fixture_text(answer, "data.1.id"), "n7");
    assert_null(att_json_get(fixture_at(answer, "data.0"), "id"));
    assert_true(fixture_number(answer, "data.1.score") != fixture_number(answer, "data.2.score"));
    att_json_destroy(answer);
}

static void an_answer_does_not_depend_on_its_neighbours(void **state)
{
    (void)state;
    struct att_json *one = fixture_answer(&task_classify, "{'input':'queue latency rose'}");
    struct att_json *many = fixture_answer(
        &task_classify, "{'input':['a much longer neighbour that fills the batch','queue latency rose','x']}");
    assert_true(fixture_number(one, "data.0.heads.default.logit") ==
                fixture_number(many, "data.1.heads.default.logit"));
    att_json_destroy(one);
    att_json_destroy(many);
}

static void heads_can_be_chosen(void **state)
{
    (void)state;
    struct att_json *answer =
        fixture_answer(&task_classify, "{'model':'heads','input':'cat','heads':['topics'],'top_k':2}");
    const struct att_json *heads = fixture_at(answer, "data.0.heads");
    assert_int_equal(att_json_count(heads), 1);
    assert_int_equal(att_json_count(fixture_at(answer, "data.0.heads.topics.scores")), 2);
    assert_null(att_json_get(fixture_at(answer, "data.0"), "label"));
    att_json_destroy(answer);
    fixture_refused(&task_classify, "{'model':'heads','input':'cat','heads':['topics','nope']}", ATT_EINVAL, "heads[1]",
                    "nope");
    fixture_refused(&task_classify, "{'model':'heads','input':'cat','heads':[]}", ATT_EINVAL, "heads", "array");
}

/* Probabilities are softmax(logits / temperature); polarity is their sum over the labels' values. */
static void temperature_and_polarity(void **state)
{
    (void)state;
    struct att_json *answer = fixture_answer(&task_classify, "{'model':'heads','input':'company profit up'}");
    const struct att_json *scores = fixture_at(answer, "data.0.heads.sentiment.scores");
    double sum = 0, polarity = 0, all = 0;
    for (size_t i = 0; i < 3; i++)
        sum += exp(att_json_number(att_json_get(att_json_at(scores, i), "logit"), 0) / 2);
    for (size_t i = 0; i < 3; i++) {
        const struct att_json *row = att_json_at(scores, i);
        const char *label = att_json_string(att_json_get(row, "label"), NULL);
        double score = att_json_number(att_json_get(row, "score"), -1);
        assert_true(fabs(score - exp(att_json_number(att_json_get(row, "logit"), 0) / 2) / sum) < close);
        polarity += strcmp(label, "positive") == 0 ? score : strcmp(label, "negative") == 0 ? -score : 0;
        all += score;
    }
    assert_true(fabs(all - 1) < close);
    assert_true(fabs(polarity - fixture_number(answer, "data.0.heads.sentiment.polarity")) < close);
    att_json_destroy(answer);
}

static void a_doubtful_text_is_out_of_scope(void **state)
{
    (void)state;
    struct att_json *answer = fixture_answer(
        &task_classify, "{'model':'heads','input':['the dog plays outside','cat'],'heads':['sentiment']}");
    assert_string_equal(fixture_text(answer, "data.0.heads.sentiment.label"), "unknown");
    assert_true(att_json_bool(fixture_at(answer, "data.0.heads.sentiment.abstained"), false));
    assert_true(fixture_number(answer, "data.0.heads.sentiment.score") < 0.6);
    assert_string_equal(fixture_text(answer, "data.0.heads.sentiment.scores.0.label"), "neutral");
    assert_false(att_json_bool(fixture_at(answer, "data.1.heads.sentiment.abstained"), true));
    att_json_destroy(answer);
    answer = fixture_answer(&task_classify, "{'model':'heads','input':'cat','threshold':{'sentiment':0.99}}");
    assert_string_equal(fixture_text(answer, "data.0.heads.sentiment.label"), "unknown");
    att_json_destroy(answer);
    /* A model without such a label abstains when asked to, and its flat label says what the head says. */
    answer = fixture_answer(&task_classify, "{'input':'cat','threshold':{'default':1}}");
    assert_true(att_json_bool(fixture_at(answer, "data.0.heads.default.abstained"), false));
    assert_string_equal(fixture_text(answer, "data.0.label"), fixture_text(answer, "data.0.heads.default.label"));
    att_json_destroy(answer);
}

static void several_labels_at_once(void **state)
{
    (void)state;
    struct att_json *answer = fixture_answer(&task_classify, "{'model':'heads','input':'cat'}");
    const struct att_json *scores = fixture_at(answer, "data.0.heads.topics.scores");
    assert_int_equal(att_json_count(fixture_at(answer, "data.0.heads.topics.labels")), 2);
    assert_string_equal(fixture_text(answer, "data.0.heads.topics.labels.0"), "politics");
    for (size_t i = 0; i < 4; i++) {
        double logit = att_json_number(att_json_get(att_json_at(scores, i), "logit"), 0);
        assert_true(fabs(att_json_number(att_json_get(att_json_at(scores, i), "score"), 0) - 1 / (1 + exp(-logit))) <
                    close);
    }
    att_json_destroy(answer);
    answer = fixture_answer(&task_classify, "{'model':'heads','input':'cat','threshold':{'topics':0.9}}");
    assert_int_equal(att_json_count(fixture_at(answer, "data.0.heads.topics.labels")), 1);
    assert_true(fixture_number(answer, "data.0.heads.topics.threshold") == 0.9);
    att_json_destroy(answer);
    fixture_refused(&task_classify, "{'model':'heads','input':'cat','threshold':{'nope':0.9}}", ATT_EINVAL, "threshold",
                    "nope");
    fixture_refused(&task_classify, "{'model':'heads','input':'cat','threshold':{'topics':2}}", ATT_EINVAL,
                    "threshold.topics", "2");
}

/* ---- long texts ---- */

static double logit_of(const struct att_json *answer, size_t index, const char *label)
{
    char path[64];
    snprintf(path, sizeof path, "data.%zu.heads.default.scores", index);
    const struct att_json *scores = fixture_at(answer, path);
    for (size_t i = 0; i < att_json_count(scores); i++)
        if (strcmp(att_json_string(att_json_get(att_json_at(scores, i), "label"), NULL), label) == 0)
            return att_json_number(att_json_get(att_json_at(scores, i), "logit"), 0);
    fail_msg("no label %s", label);
    return 0;
}

static void a_long_text_is_read_to_its_end(void **state)
{
    (void)state;
    char *body = fixture_body("{'input':'%s'}", "the order rose", 60);
    struct att_json *answer = fixture_answer(&task_classify, body);
    assert_int_equal(fixture_number(answer, "data.0.windows.tokens"), 180);
    assert_true(fixture_number(answer, "data.0.windows.count") >= 3);
    assert_int_equal(fixture_number(answer, "data.0.windows.dropped"), 0);
    assert_false(att_json_bool(fixture_at(answer, "data.0.truncated"), true));
    att_json_destroy(answer);
    free(body);
    body = fixture_body("{'input':'%s','truncate':true}", "the order rose", 60);
    answer = fixture_answer(&task_classify, body);
    assert_int_equal(fixture_number(answer, "data.0.windows.count"), 1);
    assert_int_equal(fixture_number(answer, "data.0.windows.dropped"), 180 - 62);
    assert_true(att_json_bool(fixture_at(answer, "data.0.truncated"), false));
    att_json_destroy(answer);
    free(body);
}

/* Two windows without overlap are two texts; the aggregates are those of their logits. */
static void aggregates_are_those_of_the_windows(void **state)
{
    (void)state;
    static const char *const words[] = {"mean", "max", "first"};
    char *a = fixture_body("%s", "the order", 31), *b = fixture_body("%s", "your order", 20), body[2048];
    /* 62 tokens fill a window of 64. */
    snprintf(body, sizeof body, "{'input':['%s','%s']}", a, b);
    struct att_json *apart = fixture_answer(&task_classify, body);
    assert_int_equal(fixture_number(apart, "data.0.windows.count"), 1);
    for (size_t w = 0; w < 3; w++) {
        snprintf(body, sizeof body, "{'input':'%s%s','windows':{'stride':62,'aggregate':'%s'}}", a, b, words[w]);
        struct att_json *answer = fixture_answer(&task_classify, body);
        assert_int_equal(fixture_number(answer, "data.0.windows.count"), 2);
        static const char *const labels[] = {"negative", "neutral", "positive"};
        for (size_t i = 0; i < 3; i++) {
            double x = logit_of(apart, 0, labels[i]), y = logit_of(apart, 1, labels[i]);
            double expected = w == 0 ? (x + y) / 2 : w == 1 ? fmax(x, y) : x;
            assert_true(fabs(logit_of(answer, 0, labels[i]) - expected) < 1e-6);
        }
        att_json_destroy(answer);
    }
    att_json_destroy(apart);
    free(a);
    free(b);
}

static void short_strides_are_bounded(void **state)
{
    (void)state;
    char *body = fixture_body("{'input':'%s','windows':{'stride':10}}", "the order", 60);
    struct att_json *answer = fixture_answer(&task_classify, body);
    assert_int_equal(fixture_number(answer, "data.0.windows.count"), 7);
    att_json_destroy(answer);
    free(body);
    body = fixture_body("{'input':'%s','windows':{'stride':1}}", "the order", 200);
    fixture_refused(&task_classify, body, ATT_ELIMIT, "windows.stride", "stride");
    free(body);
}

static void pairs_of_any_length_are_answered(void **state)
{
    (void)state;
    for (size_t text = 0; text < 200; text += 31)
        for (size_t pair = 0; pair < 200; pair += 31) {
            char *a = fixture_body("%s", "rose", text), *b = fixture_body("%s", "order", pair), body[4096];
            snprintf(body, sizeof body, "{'input':[{'text':'%s','text_pair':'%s'}],'explain':'attention'}", a, b);
            struct att_json *answer = fixture_answer(&task_classify, body);
            assert_int_equal(fixture_number(answer, "data.0.windows.tokens"), text + pair);
            double dropped = fixture_number(answer, "data.0.windows.dropped");
            assert_true(text + pair > 61 || dropped == 0);
            assert_true(att_json_bool(fixture_at(answer, "data.0.truncated"), false) == (dropped > 0));
            att_json_destroy(answer);
            free(a);
            free(b);
        }
}

/* ---- explanations ---- */

static void attention_is_over_words_of_the_text(void **state)
{
    (void)state;
    static const char text[] = "Internationalization: café  unhappiness";
    char body[200];
    snprintf(body, sizeof body, "{'input':'%s','explain':'attention'}", text);
    struct att_json *answer = fixture_answer(&task_classify, body);
    const struct att_json *tokens = fixture_at(answer, "data.0.explain.tokens");
    assert_string_equal(fixture_text(answer, "data.0.explain.method"), "attention");
    double sum = 0;
    size_t before = 0;
    for (size_t i = 0; i < att_json_count(tokens); i++) {
        const struct att_json *token = att_json_at(tokens, i);
        const char *word = att_json_string(att_json_get(token, "text"), NULL);
        size_t start = (size_t)att_json_number(att_json_get(token, "start"), -1);
        size_t end = (size_t)att_json_number(att_json_get(token, "end"), -1);
        assert_true(start >= before && end > start && end <= strlen(text));
        assert_int_equal(strlen(word), end - start);
        assert_memory_equal(word, text + start, end - start);
        sum += att_json_number(att_json_get(token, "weight"), NAN);
        before = end;
    }
    assert_true(fabs(sum - 1) < close);
    assert_string_equal(fixture_text(answer, "data.0.explain.tokens.0.text"), "Internationalization");
    att_json_destroy(answer);
}

static void attention_of_windows_covers_the_whole_text(void **state)
{
    (void)state;
    char *body = fixture_body("{'input':'%s','explain':'attention'}", "order", 150);
    struct att_json *answer = fixture_answer(&task_classify, body);
    const struct att_json *tokens = fixture_at(answer, "data.0.explain.tokens");
    double sum = 0;
    assert_int_equal(att_json_count(tokens), 150);
    for (size_t i = 0; i < 150; i++)
        sum += att_json_number(att_json_get(att_json_at(tokens, i), "weight"), NAN);
    assert_true(fabs(sum - 1) < close);
    att_json_destroy(answer);
    free(body);
    answer = fixture_answer(&task_classify, "{'input':'','explain':'attention'}");
    assert_int_equal(att_json_count(fixture_at(answer, "data.0.explain.tokens")), 0);
    att_json_destroy(answer);
}

static void links_are_blanked_where_the_model_says_so(void **state)
{
    (void)state;
    struct att_json *with = fixture_answer(
        &task_classify, "{'model':'heads','input':'stock https://t.co/x?y=1 rose','explain':'attention'}");
    struct att_json *without = fixture_answer(&task_classify, "{'model':'heads','input':'stock rose'}");
    assert_true(fixture_number(with, "data.0.heads.sentiment.logit") ==
                fixture_number(without, "data.0.heads.sentiment.logit"));
    assert_int_equal(fixture_number(with, "data.0.explain.tokens.1.start"), 25);
    att_json_destroy(with);
    att_json_destroy(without);
}

/* "[SEP]" of a stranger's text is text. */
static void special_tokens_in_texts_are_text(void **state)
{
    (void)state;
    struct att_json *answer = fixture_answer(&task_classify, "{'input':'a [SEP] b'}");
    assert_true(fixture_number(answer, "data.0.windows.tokens") > 3);
    att_json_destroy(answer);
}

static void refusals_name_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *body, *param, *words;
        enum att_status status;
    } bad[] = {
        {"{}", "input", "missing", ATT_EINVAL},
        {"{'input':[]}", "input", "empty", ATT_EINVAL},
        {"{'input':7}", "input", "number", ATT_EINVAL},
        {"{'input':null}", "input", "", ATT_EINVAL},
        {"{'input':{'text':'a'}}", "input", "", ATT_EINVAL},
        {"{'input':['a',3]}", "input[1]", "number", ATT_EINVAL},
        {"{'input':[{'id':'x'}]}", "input[0].text", "text", ATT_EINVAL},
        {"{'input':[{'text':'a','pair':'b'}]}", "input[0].pair", "", ATT_EINVAL},
        {"{'input':[{'text':'a','text_pair':5}]}", "input[0].text_pair", "", ATT_EINVAL},
        {"{'input':[{'id':5,'text':'a'}]}", "input[0].id", "", ATT_EINVAL},
        {"{'input':'a','top_k':-1}", "top_k", "", ATT_EINVAL},
        {"{'input':'a','explain':'yes'}", "explain", "", ATT_EINVAL},
        {"{'input':'a','windows':{'stride':0}}", "windows.stride", "", ATT_EINVAL},
        {"{'input':'a','windows':{'aggregate':'sum'}}", "windows.aggregate", "", ATT_EINVAL},
        {"{'input':'a','windows':{'size':3}}", "windows.size", "", ATT_EINVAL},
        {"{'input':'a','windows':3}", "windows", "", ATT_EINVAL},
        {"{'input':'a','truncate':'yes'}", "truncate", "", ATT_EINVAL},
        {"{'input':'a','model':'none'}", "model", "none", ATT_ENOTFOUND},
        {"{'input':'a','model':'encoder'}", "model", "head", ATT_EINVAL},
        {"{'input':'a','inputs':'b'}", "inputs", "", ATT_EINVAL},
        {"{'input':['','','','','','','','','','','','','','','','','']}", "input", "17", ATT_ELIMIT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        fixture_refused(&task_classify, bad[i].body, bad[i].status, bad[i].param, bad[i].words);
    char *body = fixture_body("{'input':['x','%s']}", "a", 2000);
    fixture_refused(&task_classify, body, ATT_ELIMIT, "input[1]", "tokens");
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_text_gives_the_reference_label),
        cmocka_unit_test(inputs_are_texts_objects_and_pairs),
        cmocka_unit_test(an_answer_does_not_depend_on_its_neighbours),
        cmocka_unit_test(heads_can_be_chosen),
        cmocka_unit_test(temperature_and_polarity),
        cmocka_unit_test(a_doubtful_text_is_out_of_scope),
        cmocka_unit_test(several_labels_at_once),
        cmocka_unit_test(a_long_text_is_read_to_its_end),
        cmocka_unit_test(aggregates_are_those_of_the_windows),
        cmocka_unit_test(short_strides_are_bounded),
        cmocka_unit_test(pairs_of_any_length_are_answered),
        cmocka_unit_test(attention_is_over_words_of_the_text),
        cmocka_unit_test(attention_of_windows_covers_the_whole_text),
        cmocka_unit_test(links_are_blanked_where_the_model_says_so),
        cmocka_unit_test(special_tokens_in_texts_are_text),
        cmocka_unit_test(refusals_name_the_field),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
