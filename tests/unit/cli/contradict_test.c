/* Answers that differ in numbers or deny each other, and those that only say more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cli/contradict.h"

static void tells_what_differs(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *differs;
    } cases[] = {
        {"It costs 3.95 euro.", "It costs 4.95 euro.", "numbers"},
        {"It costs 1,250 euro.", "It costs 1250 euro", NULL},
        {"It takes 3 days.", "It takes 3.0 days.", NULL},
        {"It takes 3-5 days.", "It takes 3 days.", NULL}, /* one says more */
        {"Within 30 days.", "Soon.", NULL},
        {"Until 2026-12-24", "Until 2026-12-31", "numbers"},
        {"Yes, you can.", "No, you cannot.", "negation"},
        {"You can't return it.", "You can return it.", "negation"},
        {"Nothing notable here.", "Another thing.", NULL}, /* no word that denies */
        {"可以退货。", "不可以退货。", "negation"},
        {"不仅可以退，还可以换。", "可以退，可以换。", NULL},
        {"运费12元。", "运费10元。", "numbers"},
        {"Points expire after 24 months.", "A point for each 10 euro.", NULL}, /* of other things */
        {"It takes 3-5 days.", "It takes 7-9 days.", "numbers"},
        {"Within 30 days of delivery.", "Within 14 day of delivery.", "numbers"},
        {"Press \"Cancel\" in your orders.", "We do not have it any more; the supplier has stopped.", NULL},
        {"退款需要3个工作日。", "退款需要5个工作日。", "numbers"},
        {"打开我的订单，点击取消。", "商品没有库存时我们会取消并退款。", NULL},
        {"配送到42个国家。", "需要7–14个工作日。", NULL},
        {"需要7–14个工作日。", "需要3至5个工作日。", "numbers"},
        {"", "", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *there = cli_contradict(cases[i].a, cases[i].b), *back = cli_contradict(cases[i].b, cases[i].a);
        if (there != back && (!there || !back || strcmp(there, back) != 0))
            fail_msg("%s / %s: not the same both ways", cases[i].a, cases[i].b);
        if ((there == NULL) != (cases[i].differs == NULL) || (there && strcmp(there, cases[i].differs) != 0))
            fail_msg("%s / %s: %s", cases[i].a, cases[i].b, there ? there : "nothing");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tells_what_differs)};
    return cmocka_run_group_tests_name("cli/contradict", tests, NULL, NULL);
}
