/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/base.h>

static int parse(const char *a, const char *c, int64_t *minor)
{
    struct dp_money m = {0};
    int err = dp_money_parse(a, c, &m);
    *minor = m.minor;
    return err;
}

static void accepts_plain_decimal_amounts(void **state)
{
    int64_t v;
    (void)state;
    assert_int_equal(parse("23.50", "EUR", &v), DP_OK);
    assert_int_equal(v, 2350);
    assert_int_equal(parse("7", "EUR", &v), DP_OK);
    assert_int_equal(v, 700);
    assert_int_equal(parse("0.5", "EUR", &v), DP_OK);
    assert_int_equal(v, 50);
    assert_int_equal(parse("500", "JPY", &v), DP_OK);
    assert_int_equal(v, 500);
    assert_int_equal(parse("1.234", "KWD", &v), DP_OK);
    assert_int_equal(v, 1234);
    assert_int_equal(parse("9999999999.99", "EUR", &v), DP_OK);
    assert_int_equal(v, 999999999999LL);
}

static void refuses_what_is_not_an_amount(void **state)
{
    static const struct {
        const char *amount, *currency;
        int err;
    } cases[] = {
        {"23.505", "EUR", DP_ERR_FORMAT},
        {"", "EUR", DP_ERR_FORMAT},
        {".", "EUR", DP_ERR_FORMAT},
        {"5.", "EUR", DP_ERR_FORMAT},
        {".5", "EUR", DP_ERR_FORMAT},
        {"-5", "EUR", DP_ERR_FORMAT},
        {"1e3", "EUR", DP_ERR_FORMAT},
        {"5 ", "EUR", DP_ERR_FORMAT},
        {"1.2.3", "EUR", DP_ERR_FORMAT},
        {"0", "EUR", DP_ERR_RANGE},
        {"0.00", "EUR", DP_ERR_RANGE},
        {"10000000000", "EUR", DP_ERR_RANGE},
        {"99999999999999999999", "EUR", DP_ERR_RANGE},
        {"5.0", "JPY", DP_ERR_FORMAT},
        {"5", "ZZZ", DP_ERR_UNSUPPORTED},
        {"5", "eur", DP_ERR_UNSUPPORTED},
    };
    int64_t v;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(cases[i].amount, cases[i].currency, &v), cases[i].err);
        assert_int_equal(v, 0);
    }
}

static void writes_amounts_with_their_currency(void **state)
{
    char t[32];
    struct dp_money m = {2305, 978, 2};
    (void)state;
    assert_string_equal(dp_money_text(&m, t, sizeof t), "23.05 EUR");
    m.minor = -7;
    assert_string_equal(dp_money_text(&m, t, sizeof t), "-0.07 EUR");
    m = (struct dp_money){500, 392, 0};
    assert_string_equal(dp_money_text(&m, t, sizeof t), "500 JPY");
    m = (struct dp_money){500, 998, 2};
    assert_string_equal(dp_money_text(&m, t, sizeof t), "5.00 998");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_plain_decimal_amounts),
        cmocka_unit_test(refuses_what_is_not_an_amount),
        cmocka_unit_test(writes_amounts_with_their_currency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
