/* POST /v1/rerank as a task: order, shapes, bi-encoder scores, refusals. */
#include "tests/unit/tasks/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void the_same_text_comes_first(void **state)
{
    (void)state;
    struct att_json *answer =
        fixture_answer(&task_rerank, "{'query':'where is my order','documents':['the stock rose',{'text':'where is my "
                                     "order'},'inflation'],'return_documents':true}");
    assert_string_equal(fixture_text(answer, "object"), "list");
    assert_string_equal(fixture_text(answer, "model"), "encoder");
    assert_string_equal(fixture_text(answer, "meta.method"), "bi-encoder");
    assert_int_equal(att_json_count(fixture_at(answer, "results")), 3);
    assert_int_equal(fixture_number(answer, "results.0.index"), 1);
    assert_string_equal(fixture_text(answer, "results.0.document.text"), "where is my order");
    /* cosine 1: logit 20 - 10 */
    assert_true(fabs(fixture_number(answer, "results.0.logit") - 10) < 1e-4);
    for (size_t i = 0; i < 3; i++) {
        const struct att_json *result = att_json_at(fixture_at(answer, "results"), i);
        double logit = att_json_number(att_json_get(result, "logit"), NAN);
        assert_true(fabs(att_json_number(att_json_get(result, "relevance_score"), 0) - 1 / (1 + exp(-logit))) < 1e-6);
        if (i > 0)
            assert_true(logit <=
                        att_json_number(att_json_get(att_json_at(fixture_at(answer, "results"), i - 1), "logit"), NAN));
    }
    att_json_destroy(answer);
}

static void top_n_and_equal_documents(void **state)
{
    (void)state;
    struct att_json *answer = fixture_answer(&task_rerank, "{'query':'a','documents':['b','c','b','c','b'],'top_n':5}");
    double before = 0, index_before = -1;
    for (size_t i = 0; i < 5; i++) { /* equal documents have equal logits and keep their order */
        const struct att_json *result = att_json_at(fixture_at(answer, "results"), i);
        double logit = att_json_number(att_json_get(result, "logit"), NAN);
        double index = att_json_number(att_json_get(result, "index"), -1);
        if (i > 0 && logit == before)
            assert_true(index > index_before);
        assert_null(att_json_get(result, "document"));
        before = logit;
        index_before = index;
    }
    att_json_destroy(answer);
    answer = fixture_answer(&task_rerank, "{'query':'a','documents':['b','c','d'],'top_n':2}");
    assert_int_equal(att_json_count(fixture_at(answer, "results")), 2);
    att_json_destroy(answer);
    answer = fixture_answer(&task_rerank, "{'query':'a','documents':['b'],'top_n':9}");
    assert_int_equal(att_json_count(fixture_at(answer, "results")), 1);
    att_json_destroy(answer);
}

/* A long document is as relevant as its best window, unless the request cuts it. */
static void long_documents_are_read_to_their_end(void **state)
{
    (void)state;
    char *body = fixture_body("{'query':'where is my order','documents':['%s']}", "where is my order", 30);
    struct att_json *answer = fixture_answer(&task_rerank, body);
    double whole = fixture_number(answer, "results.0.logit");
    assert_int_equal(fixture_number(answer, "meta.tokens_dropped"), 0);
    assert_int_equal(fixture_number(answer, "usage.prompt_tokens"), 124);
    att_json_destroy(answer);
    free(body);
    body = fixture_body("{'query':'where is my order','documents':['%s'],'max_tokens_per_doc':4}", "where is my order",
                        30);
    answer = fixture_answer(&task_rerank, body);
    assert_true(fixture_number(answer, "results.0.logit") > 9.99); /* the first four words are the query */
    assert_true(whole < 9.99);
    assert_int_equal(fixture_number(answer, "meta.tokens_dropped"), 116);
    att_json_destroy(answer);
    free(body);
    body = fixture_body("{'query':'%s','documents':['y']}", "x", 60);
    answer = fixture_answer(&task_rerank, body);
    assert_int_equal(fixture_number(answer, "meta.tokens_dropped"), 14); /* of the query: 46 fit */
    att_json_destroy(answer);
    free(body);
}

static void refusals_name_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *body, *param;
        enum att_status status;
    } bad[] = {
        {"{'documents':['a']}", "query", ATT_EINVAL},
        {"{'query':5,'documents':['a']}", "query", ATT_EINVAL},
        {"{'query':'a'}", "documents", ATT_EINVAL},
        {"{'query':'a','documents':[]}", "documents", ATT_EINVAL},
        {"{'query':'a','documents':'b'}", "documents", ATT_EINVAL},
        {"{'query':'a','documents':['b',7]}", "documents[1]", ATT_EINVAL},
        {"{'query':'a','documents':[{'text':7}]}", "documents[0].text", ATT_EINVAL},
        {"{'query':'a','documents':[{'title':'x','text':'y'}]}", "documents[0].title", ATT_EINVAL},
        {"{'query':'a','documents':['b'],'top_n':0}", "top_n", ATT_EINVAL},
        {"{'query':'a','documents':['b'],'max_tokens_per_doc':0}", "max_tokens_per_doc", ATT_EINVAL},
        {"{'query':'a','documents':['b'],'model':'none'}", "model", ATT_ENOTFOUND},
        {"{'query':'a','docs':['b']}", "docs", ATT_EINVAL},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        fixture_refused(&task_rerank, bad[i].body, bad[i].status, bad[i].param, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_text_comes_first),
        cmocka_unit_test(top_n_and_equal_documents),
        cmocka_unit_test(long_documents_are_read_to_their_end),
        cmocka_unit_test(refusals_name_the_field),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
