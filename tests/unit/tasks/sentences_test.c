/* Where sentences end, and where they only seem to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tasks/sentences.h"

/* The sentences with | between them. */
static void expect(const char *text, const char *parts)
{
    struct task_sentence sentences[8];
    char joined[512] = "";
    size_t n = task_sentences_split(text, strlen(text), sentences, 8), at = 0;
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(joined + at, sizeof joined - at, "%s%.*s", i ? "|" : "",
                               (int)(sentences[i].end - sentences[i].begin), text + sentences[i].begin);
    assert_string_equal(joined, parts);
}

static void sentences_end_at_their_marks(void **state)
{
    (void)state;
    expect("", "");
    expect("  \n ", "");
    expect("One", "One");
    expect("One. Two! Three?", "One.|Two!|Three?");
    expect(" One.  Two\n\nThree ", "One.|Two|Three");
    expect("He said \"go.\" Then left.", "He said \"go.\"|Then left.");
    expect("打开订单。点退货！好吗？好", "打开订单。|点退货！|好吗？|好");
    expect("他说“好。”然后走了。", "他说“好。”|然后走了。");
    expect("What?! Really... yes.", "What?!|Really...|yes.");
}

static void numbers_and_abbreviations_go_on(void **state)
{
    (void)state;
    expect("It costs 3.95 euro. Pay now.", "It costs 3.95 euro.|Pay now.");
    expect("Bring papers, e.g. a passport. Sign.", "Bring papers, e.g. a passport.|Sign.");
    expect("Ask Mr. Smith at No. 5. He knows.", "Ask Mr. Smith at No. 5.|He knows.");
    expect("See www.example.com/a?b. Thanks.", "See www.example.com/a?b.|Thanks.");
    expect("J. R. wrote it.", "J. R. wrote it.");
}

static void names_of_companies_go_on(void **state)
{
    (void)state;
    expect("Boeing Co. plunged 12% after fraud. Apple Inc. rose.",
           "Boeing Co. plunged 12% after fraud.|Apple Inc. rose.");
    expect("Sony Group Corp. (SONY) and TSMC Co. Ltd. won.", "Sony Group Corp. (SONY) and TSMC Co. Ltd. won.");
    expect("Tesla Inc. Model Y sales fell.", "Tesla Inc. Model Y sales fell.");
    expect("Boeing Co. Shares Plunge", "Boeing Co. Shares Plunge");
    expect("Shares of Boeing Co. Plunge", "Shares of Boeing Co. Plunge");
    expect("He left Tesla Inc. Chief Elon Musk on Nov. 5 for Ford Motor Co. 737 staff.",
           "He left Tesla Inc. Chief Elon Musk on Nov. 5 for Ford Motor Co. 737 staff.");
    expect("They sued Boeing Co. Monday at 4 p.m. ET in court.", "They sued Boeing Co. Monday at 4 p.m. ET in court.");
    expect("It owns J.P. Morgan, said Sen. Warren.", "It owns J.P. Morgan, said Sen. Warren.");
    expect("The U.S. economy and the U.S. Treasury grew.", "The U.S. economy and the U.S. Treasury grew.");
}

static void names_of_companies_end_sentences(void **state)
{
    (void)state;
    expect("It sold the stake to Acme Corp. Shares rose.", "It sold the stake to Acme Corp.|Shares rose.");
    expect("It sued Acme Ltd. \"We won,\" he said.", "It sued Acme Ltd.|\"We won,\" he said.");
    expect("It sued Acme Co. Boeing fell.", "It sued Acme Co.|Boeing fell.");
    expect("It sells in the U.S. Shares rose.", "It sells in the U.S.|Shares rose.");
    expect("We open at 9 a.m. Orders wait.", "We open at 9 a.m.|Orders wait.");
    expect("It sold Acme Inc.\nShares rose.", "It sold Acme Inc.|Shares rose.");
    expect("It sold Acme Inc.", "It sold Acme Inc.");
    /* What the sentence before had counts no more. */
    expect("It fell. Acme Co. Shares Plunge", "It fell.|Acme Co. Shares Plunge");
}

static void the_last_holds_the_rest(void **state)
{
    (void)state;
    struct task_sentence two[2];
    assert_int_equal(task_sentences_split("Aa. Bb. Cc.", 11, two, 2), 2);
    assert_int_equal(two[1].begin, 4);
    assert_int_equal(two[1].end, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_end_at_their_marks), cmocka_unit_test(numbers_and_abbreviations_go_on),
        cmocka_unit_test(names_of_companies_go_on),     cmocka_unit_test(names_of_companies_end_sentences),
        cmocka_unit_test(the_last_holds_the_rest),
    };
    return cmocka_run_group_tests_name("tasks/sentences", tests, NULL, NULL);
}
