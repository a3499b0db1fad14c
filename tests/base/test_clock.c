/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <time.h>

#include <doorpay/base.h>

static void agrees_with_gmtime_over_a_century(void **state)
{
    (void)state;
    for (int64_t s = -86400LL * 365; s < 86400LL * 365 * 100; s += 86400LL * 3 + 12345) {
        time_t t = (time_t)s;
        struct tm want;
        struct dp_date_time got;
        assert_non_null(gmtime_r(&t, &want));
        dp_date_time_from_ms(s * 1000, 0, &got);
        assert_int_equal(got.year, want.tm_year + 1900);
        assert_int_equal(got.month, want.tm_mon + 1);
        assert_int_equal(got.day, want.tm_mday);
        assert_int_equal(got.hour, want.tm_hour);
        assert_int_equal(got.minute, want.tm_min);
        assert_int_equal(got.second, want.tm_sec);
        assert_int_equal(dp_date_time_to_ms(&got, 0), s * 1000);
    }
}

static void an_offset_moves_the_business_day(void **state)
{
    struct dp_date_time t;
    (void)state;
    /* 2026-11-24 22:30 UTC is the 25th on Reunion (UTC+4) */
    dp_date_time_from_ms(1795559400000LL, 240, &t);
    assert_int_equal(t.day, 25);
    assert_int_equal(t.hour, 2);
    assert_int_equal(dp_date_time_to_ms(&t, 240), 1795559400000LL);
}

/* What the calendar has no day for becomes another day there and back. */
static void a_date_is_one_when_the_calendar_has_it(void **state)
{
    static const uint16_t years[] = {1000, 1600, 1800, 1900, 1999, 2000, 2023, 2024, 2100, 9999};
    struct dp_date_time t = {0}, back;
    (void)state;
    for (size_t i = 0; i < sizeof years / sizeof years[0]; i++) {
        t.year = years[i];
        for (t.month = 0; t.month < 100; t.month++) {
            for (t.day = 0; t.day < 100; t.day++) {
                bool is = false;
                if (t.month >= 1 && t.month <= 12) {
                    dp_date_time_from_ms(dp_date_time_to_ms(&t, 0), 0, &back);
                    is = back.year == t.year && back.month == t.month && back.day == t.day;
                }
                assert_int_equal(dp_is_date(t.year * 10000U + t.month * 100U + t.day), is);
            }
        }
    }
    assert_true(dp_is_date(20000229));
    assert_false(dp_is_date(9991231)); /* seven digits */
    assert_false(dp_is_date(100000101));
    assert_false(dp_is_date(0));
    assert_false(dp_is_date(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_gmtime_over_a_century),
        cmocka_unit_test(an_offset_moves_the_business_day),
        cmocka_unit_test(a_date_is_one_when_the_calendar_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
