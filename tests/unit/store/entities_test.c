/* The dictionary: names are found where they are meant, and only there; a file that is wrong is told by its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "store/entities.h"

static const char file[] =
    "{\"id\":\"apple\",\"name\":\"Apple "
    "Inc.\",\"type\":\"company\",\"ticker\":\"AAPL\",\"aliases\":[\"Apple\",\"苹果公司\"]}\n"
    "\n"
    "{\"id\":\"moutai\",\"name\":\"贵州茅台\",\"ticker\":\"600519.SH\",\"aliases\":[\"茅台\",\"Kweichow "
    "Moutai\"],\"lang\":\"zh\"}\n"
    "{\"id\":\"pingan\",\"name\":\"中国平安\",\"aliases\":[\"平安\"]}\n"
    "{\"id\":\"pabank\",\"name\":\"平安银行\"}\n"
    "{\"id\":\"ibm\",\"name\":\"International Business Machines\",\"ticker\":\"IBM\",\"aliases\":[\"IBM\"]}\n"
    "{\"id\":\"all\",\"name\":\"Allstate\",\"ticker\":\"ALL\"}\n"
    "{\"id\":\"fed\",\"name\":\"Federal Reserve\",\"aliases\":[\"the fed\"]}\n"
    "{\"id\":\"ebay\",\"name\":\"eBay\"}\n";

static struct store_entities *parsed(const char *bytes)
{
    struct store_entities *entities = NULL;
    struct att_err err;
    if (store_entities_parse(bytes, strlen(bytes), "test.jsonl", &entities, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return entities;
}

/* "id:text id:text" of what is found. */
static const char *found(const struct store_entities *entities, const char *text)
{
    static char out[512];
    struct store_mention mentions[16];
    size_t n = store_entities_search(entities, text, strlen(text), mentions, 16), len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, sizeof out - len, "%s%s:%.*s", i ? " " : "",
                                store_entities_at(entities, mentions[i].entity)->id,
                                (int)(mentions[i].end - mentions[i].start), text + mentions[i].start);
    return out;
}

static void test_finds_what_is_meant(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"Apple beats estimates", "apple:Apple"},
        {"APPLE BEATS ESTIMATES", "apple:APPLE"},
        {"an apple a day", ""},
        {"Applebee's and Pineapple", ""},
        {"Apple's services", "apple:Apple"},
        {"Apple Inc. said", "apple:Apple Inc."},
        {"$AAPL up, AAPL up, (AAPL) up, NASDAQ: AAPL up", "apple:AAPL apple:AAPL apple:AAPL"},
        {"$aapl is not it", ""},
        {"ALL shares fell; $ALL too", "all:ALL"},
        {"IBM and ibm", "ibm:IBM"},
        {"the Fed and The FED", "fed:the Fed fed:The FED"},
        {"eBay, Ebay and EBAY", "ebay:eBay ebay:Ebay ebay:EBAY"},
        {"茅台股价上涨，贵州茅台（600519.SH）发布公告", "moutai:茅台 moutai:贵州茅台 moutai:600519.SH"},
        {"贵州茅台(600519)与编号600519无关", "moutai:贵州茅台 moutai:600519"},
        {"中国平安旗下的平安银行，平安健康", "pingan:中国平安 pabank:平安银行 pingan:平安"},
        {"Ｋｗｅｉｃｈｏｗ Moutai", "moutai:Ｋｗｅｉｃｈｏｗ Moutai"},
        {"苹果公司与Apple合作", "apple:苹果公司 apple:Apple"},
        {"", ""},
    };
    struct store_entities *entities = parsed(file);
    assert_int_equal(store_entities_count(entities), 8);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(found(entities, cases[i].text), cases[i].expected);
    assert_int_equal(store_entities_find(entities, "ibm"), 4);
    assert_int_equal(store_entities_find(entities, "none"), 8);
    assert_string_equal(store_entities_at(entities, 1)->lang, "zh");
    store_entities_unref(entities);
}

static void test_refuses_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *file, *message;
    } cases[] = {
        {"{\"id\":\"a\"}", "test.jsonl: line 1: name: is nothing, expected a text of 1 to 256 bytes"},
        {"\n{\"id\":\"a\",\"name\":\"A\",\"alias\":[]}", "test.jsonl: line 2: alias: is no field of an entity"},
        {"{\"id\":\"a\",\"name\":\"Aa\"}\n{\"id\":\"a\",\"name\":\"Bb\"}",
         "test.jsonl: line 2: id: \"a\" stands in an earlier line"},
        {"{\"id\":\"a\",\"name\":\"Acme\"}\n{\"id\":\"b\",\"name\":\"Bb\",\"aliases\":[\"Acme\"]}",
         "test.jsonl: line 2: \"Acme\" names \"a\" too"},
        {"[1]", "test.jsonl: line 1: is array, expected an object"},
        {"{\"id\":\"a\",\"name\":\"A\",\"aliases\":[1]}",
         "test.jsonl: line 1: aliases: is array, expected a text of 1 to 256 bytes"},
        {"nonsense", "test.jsonl: line 1: is no JSON object"},
    };
    struct store_entities *entities = NULL;
    struct att_err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(store_entities_parse(cases[i].file, strlen(cases[i].file), "test.jsonl", &entities, &err),
                         ATT_EFORMAT);
        assert_string_equal(err.message, cases[i].message);
    }
    assert_int_equal(store_entities_load("/nowhere/entities.jsonl", &entities, &err), ATT_ENOTFOUND);
    entities = parsed("");
    assert_string_equal(found(entities, "Apple"), "");
    store_entities_unref(entities);
}

static void test_the_shipped_dictionary(void **state)
{
    (void)state;
    const char *root = getenv("ATT_SOURCE_ROOT");
    char path[512];
    struct store_entities *entities = NULL;
    struct att_err err;
    snprintf(path, sizeof path, "%s/conf/entities.jsonl", root ? root : ".");
    if (store_entities_load(path, &entities, &err) != ATT_OK)
        fail_msg("%s", err.message);
    assert_true(store_entities_count(entities) >= 150);
    assert_string_equal(found(entities, "Ford says 中石油 and Nestlé buy; the fed and BP.L too"),
                        "ford:Ford petrochina:中石油 nestle:Nestlé fed:the fed bp:BP.L");
    store_entities_unref(entities);
}

/* Newsrooms write ’ where a dictionary has '. */
static void test_apostrophes_are_one(void **state)
{
    (void)state;
    struct store_entities *entities =
        parsed("{\"id\":\"pboc\",\"name\":\"People's Bank of China\"}\n{\"id\":\"boc\",\"name\":\"Bank of China\"}\n"
               "{\"id\":\"mcd\",\"name\":\"McDonald's\"}\n{\"id\":\"moodys\",\"name\":\"Moody’s\"}\n");
    assert_string_equal(found(entities, "The People’s Bank of China, the People's Bank of China, Bank of China"),
                        "pboc:People’s Bank of China pboc:People's Bank of China boc:Bank of China");
    assert_string_equal(found(entities, "McDonald’s and Moody's"), "mcd:McDonald’s moodys:Moody's");
    store_entities_unref(entities);
}

static void test_a_copyright_mark_is_no_ticker(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"(C) 2026 Reuters", ""},
        {"(C)2026 Reuters", ""},
        {"Profit fell. (C) 2024-2026 Reuters", ""},
        {"Profit fell. (C) Reuters", ""},
        {"Profit fell.\n(C) Thomson Reuters", ""},
        {"(c) Reuters", ""},
        {"Copyright (C) Reuters", ""},
        {"版权所有（C）路透社", ""},
        {"（C）2026 路透社", ""},
        {"Citigroup (C) fell", "citi:Citigroup citi:C"},
        {"Citigroup (C) Chief Executive Jane Fraser", "citi:Citigroup citi:C"},
        {"Citigroup Inc. (C) Chief Executive Jane Fraser", "citi:Citigroup citi:C"},
        {"Citigroup (C) 20260 jobs", "citi:Citigroup citi:C"},
        {"花旗（C）股价下跌", "citi:C"},
        {"Movers: (C), (BAC)", "citi:C"},
        {"Banks (JPM) (BAC) (C) Rally", "citi:C"},
        {"Buy (C)", "citi:C"},
        {"Citigroup (NYSE: C) 2026 results, $C", "citi:Citigroup citi:C citi:C"},
    };
    struct store_entities *entities = parsed("{\"id\":\"citi\",\"name\":\"Citigroup\",\"ticker\":\"C\"}\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(found(entities, cases[i].text), cases[i].expected);
    store_entities_unref(entities);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct store_entities *entities = NULL;
    struct att_err err;
    uint64_t k = 1;
    for (;; k++) {
        att_mem_fail_at(k, false);
        enum att_status status = store_entities_parse(file, strlen(file), "test.jsonl", &entities, &err);
        att_mem_fail_at(0, false);
        if (status == ATT_OK)
            break;
        assert_int_equal(status, ATT_ENOMEM);
    }
    assert_true(k > 10);
    store_entities_unref(entities);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_what_is_meant),           cmocka_unit_test(test_refuses_what_is_wrong),
        cmocka_unit_test(test_the_shipped_dictionary),        cmocka_unit_test(test_apostrophes_are_one),
        cmocka_unit_test(test_a_copyright_mark_is_no_ticker), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
