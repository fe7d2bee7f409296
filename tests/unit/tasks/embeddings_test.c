/* POST /v1/embeddings as a task: OpenAI's shapes, the reference's numbers, long texts. */
#include "tests/unit/tasks/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HIDDEN = 32 };

static void vector_at(const struct att_json *answer, const char *path, float *vector, size_t count)
{
    const struct att_json *numbers = fixture_at(answer, path);
    assert_int_equal(att_json_count(numbers), count);
    for (size_t i = 0; i < count; i++)
        vector[i] = (float)att_json_number(att_json_at(numbers, i), NAN);
}

static double length_of(const float *vector, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)vector[i] * (double)vector[i];
    return sqrt(sum);
}

static void a_text_gives_the_reference_vector(void **state)
{
    (void)state;
    static const float expected[] = {-0.130248353f, -0.0438572727f, -0.145883664f, -0.212407887f};
    float vector[HIDDEN];
    struct att_json *answer =
        fixture_answer(&task_embeddings, "{'input':'The company beat expectations and the stock rose 5%.'}");
    assert_string_equal(fixture_text(answer, "object"), "list");
    assert_string_equal(fixture_text(answer, "model"), "encoder");
    assert_string_equal(fixture_text(answer, "data.0.object"), "embedding");
    assert_int_equal(fixture_number(answer, "data.0.index"), 0);
    assert_int_equal(fixture_number(answer, "usage.prompt_tokens"), 19);
    assert_null(att_json_get(fixture_at(answer, "data.0"), "windows"));
    vector_at(answer, "data.0.embedding", vector, HIDDEN);
    for (size_t i = 0; i < 4; i++)
        assert_true(fabsf(vector[i] - expected[i]) < 1e-6f);
    assert_true(fabs(length_of(vector, HIDDEN) - 1) < 1e-6);
    att_json_destroy(answer);
}

/* The same tokens as ids, between the special ones, are the same vector. */
static void ids_are_texts(void **state)
{
    (void)state;
    float text[HIDDEN], ids[HIDDEN], first[HIDDEN];
    struct att_json *answer = fixture_answer(&task_embeddings, "{\"input\":\"Where is my order? It hasn't arrived!\"}");
    vector_at(answer, "data.0.embedding", text, HIDDEN);
    att_json_destroy(answer);
    answer = fixture_answer(&task_embeddings, "{'input':[997,821,886,1009,35,869,1336,507,11,62,943,1208,796,5]}");
    assert_int_equal(att_json_count(fixture_at(answer, "data")), 1);
    vector_at(answer, "data.0.embedding", ids, HIDDEN);
    att_json_destroy(answer);
    assert_memory_equal(text, ids, sizeof text);
    answer = fixture_answer(&task_embeddings,
                            "{'input':[[997,821,886,1009,35,869,1336,507,11,62,943,1208,796,5],[5,6]],'user':'u'}");
    assert_int_equal(att_json_count(fixture_at(answer, "data")), 2);
    vector_at(answer, "data.0.embedding", first, HIDDEN);
    assert_memory_equal(text, first, sizeof text);
    att_json_destroy(answer);
}

static int sextet(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = strchr(digits, c);
    assert_true(at && c);
    return (int)(at - digits);
}

static void base64_is_the_same_bits(void **state)
{
    (void)state;
    float plain[HIDDEN], packed[HIDDEN];
    unsigned char bytes[sizeof packed];
    struct att_json *answer = fixture_answer(&task_embeddings, "{'input':['latency'],'encoding_format':'float'}");
    vector_at(answer, "data.0.embedding", plain, HIDDEN);
    att_json_destroy(answer);
    answer = fixture_answer(&task_embeddings, "{'input':['latency'],'encoding_format':'base64'}");
    const char *text = fixture_text(answer, "data.0.embedding");
    size_t n = 0;
    assert_int_equal(strlen(text), (sizeof packed + 2) / 3 * 4);
    for (const char *p = text; n < sizeof bytes; p += 4) {
        int group = sextet(p[0]) << 18 | sextet(p[1]) << 12;
        group |= p[2] == '=' ? 0 : sextet(p[2]) << 6;
        group |= p[3] == '=' ? 0 : sextet(p[3]);
        for (int k = 16; k >= 0 && n < sizeof bytes; k -= 8)
            bytes[n++] = (unsigned char)(group >> k);
    }
    memcpy(packed, bytes, sizeof packed); /* little endian, as this machine */
    assert_memory_equal(plain, packed, sizeof plain);
    att_json_destroy(answer);
    answer = fixture_answer(&task_embeddings, "{'input':'latency','encoding_format':'base64','dimensions':2}");
    assert_int_equal(strlen(fixture_text(answer, "data.0.embedding")), 12);
    assert_int_equal(fixture_text(answer, "data.0.embedding")[11], '=');
    att_json_destroy(answer);
}

static void fewer_dimensions_are_a_scaled_prefix(void **state)
{
    (void)state;
    float all[HIDDEN], few[5];
    struct att_json *answer = fixture_answer(&task_embeddings, "{'input':'upgrade'}");
    vector_at(answer, "data.0.embedding", all, HIDDEN);
    att_json_destroy(answer);
    answer = fixture_answer(&task_embeddings, "{'input':'upgrade','dimensions':5}");
    vector_at(answer, "data.0.embedding", few, 5);
    att_json_destroy(answer);
    double scale = length_of(all, 5);
    assert_true(fabs(length_of(few, 5) - 1) < 1e-6);
    for (size_t i = 0; i < 5; i++)
        assert_true(fabs((double)few[i] * scale - (double)all[i]) < 1e-6);
}

static void a_long_text_is_embedded_whole(void **state)
{
    (void)state;
    float whole[HIDDEN], a[HIDDEN], b[HIDDEN], mean[HIDDEN];
    char *first = fixture_body("{'input':'%s'}", "rose", 46), *second = fixture_body("{'input':'%s'}", "order", 10);
    char both[1024];
    char *stocks = fixture_body("%s", "rose", 46), *orders = fixture_body("%s", "order", 10);
    snprintf(both, sizeof both, "{'input':'%s%s'}", stocks, orders);
    struct att_json *answer = fixture_answer(&task_embeddings, both);
    assert_int_equal(fixture_number(answer, "data.0.windows.count"), 2);
    assert_int_equal(fixture_number(answer, "data.0.windows.dropped"), 0);
    assert_int_equal(fixture_number(answer, "usage.prompt_tokens"), 56);
    vector_at(answer, "data.0.embedding", whole, HIDDEN);
    att_json_destroy(answer);
    vector_at(answer = fixture_answer(&task_embeddings, first), "data.0.embedding", a, HIDDEN);
    att_json_destroy(answer);
    vector_at(answer = fixture_answer(&task_embeddings, second), "data.0.embedding", b, HIDDEN);
    att_json_destroy(answer);
    for (size_t i = 0; i < HIDDEN; i++) /* by their tokens, special ones included */
        mean[i] = (a[i] * 48 + b[i] * 12) / 60;
    double scale = length_of(mean, HIDDEN);
    for (size_t i = 0; i < HIDDEN; i++)
        assert_true(fabs((double)mean[i] / scale - (double)whole[i]) < 1e-5);
    free(first);
    free(second);
    free(stocks);
    free(orders);
}

static void refusals_name_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *body, *param;
        enum att_status status;
    } bad[] = {
        {"{}", "input", ATT_EINVAL},
        {"{'input':[]}", "input", ATT_EINVAL},
        {"{'input':''}", "input", ATT_EINVAL},
        {"{'input':['a','']}", "input[1]", ATT_EINVAL},
        {"{'input':['a',5]}", "input[1]", ATT_EINVAL},
        {"{'input':[1,'a']}", "input", ATT_EINVAL},
        {"{'input':[[]]}", "input[0]", ATT_EINVAL},
        {"{'input':[[1],[1.5]]}", "input[1]", ATT_EINVAL},
        {"{'input':[-1]}", "input", ATT_EINVAL},
        {"{'input':[99999999]}", "input", ATT_EINVAL},
        {"{'input':{'text':'a'}}", "input", ATT_EINVAL},
        {"{'input':'a','dimensions':0}", "dimensions", ATT_EINVAL},
        {"{'input':'a','dimensions':33}", "dimensions", ATT_EINVAL},
        {"{'input':'a','encoding_format':'int8'}", "encoding_format", ATT_EINVAL},
        {"{'input':'a','user':5}", "user", ATT_EINVAL},
        {"{'input':'a','texts':[]}", "texts", ATT_EINVAL},
        {"{'input':'a','model':'text-embedding-3-small'}", "model", ATT_ENOTFOUND},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        fixture_refused(&task_embeddings, bad[i].body, bad[i].status, bad[i].param, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_gives_the_reference_vector), cmocka_unit_test(ids_are_texts),
        cmocka_unit_test(base64_is_the_same_bits),           cmocka_unit_test(fewer_dimensions_are_a_scaled_prefix),
        cmocka_unit_test(a_long_text_is_embedded_whole),     cmocka_unit_test(refusals_name_the_field),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
