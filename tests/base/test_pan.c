/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/base.h>

#include "base/log.h"
#include "base/pan.h"

/* 9999 01: a BIN of our own test range */
static const uint8_t bcd[] = {0x99, 0x99, 0x01, 0x00, 0x00, 0x00, 0x00, 0x19};

static void reads_a_pan_from_5a_and_57(void **state)
{
    static const uint8_t odd[] = {0x99, 0x99, 0x01, 0x23, 0x4F};
    static const uint8_t track2[] = {0x99, 0x99, 0x01, 0x00, 0x00, 0x00,
                                     0x00, 0x19, 0xD2, 0x91, 0x22, 0x01};
    struct dp_pan a, b;
    (void)state;
    assert_int_equal(dp_pan_from_bcd(bcd, sizeof bcd, &a), DP_OK);
    assert_int_equal(a.n, 16);
    assert_int_equal(dp_pan_from_track2(track2, sizeof track2, &b), DP_OK);
    assert_true(dp_pan_equal(&a, &b));
    assert_int_equal(dp_pan_from_bcd(odd, sizeof odd, &a), DP_OK);
    assert_int_equal(a.n, 9);
}

static void refuses_malformed_pans(void **state)
{
    static const uint8_t hex[] = {0x99, 0x99, 0x0A, 0x00, 0x00, 0x00, 0x00, 0x19};
    static const uint8_t hole[] = {0x99, 0x99, 0x01, 0x00, 0x00, 0xF0, 0x00, 0x19};
    static const uint8_t small[] = {0x99, 0x99, 0x01, 0xFF};
    static const uint8_t big[] = {0x99, 0x99, 0x01, 0x00, 0x00, 0x00, 0x00, 0x19, 0x12, 0x34};
    struct dp_pan pan;
    (void)state;
    assert_int_equal(dp_pan_from_bcd(hex, sizeof hex, &pan), DP_ERR_FORMAT);
    assert_int_equal(dp_pan_from_bcd(hole, sizeof hole, &pan), DP_ERR_FORMAT);
    assert_int_equal(dp_pan_from_bcd(small, sizeof small, &pan), DP_ERR_FORMAT);
    assert_int_equal(dp_pan_from_bcd(big, sizeof big, &pan), DP_ERR_FORMAT);
    assert_int_equal(dp_pan_from_bcd(NULL, 0, &pan), DP_ERR_FORMAT);
    assert_int_equal(dp_pan_from_track2(bcd, sizeof bcd, &pan), DP_ERR_FORMAT);
}

static void shows_only_first_six_and_last_four(void **state)
{
    struct dp_pan pan;
    struct dp_pan_short s;
    (void)state;
    assert_int_equal(dp_pan_from_bcd(bcd, sizeof bcd, &pan), DP_OK);
    dp_pan_shorten(&pan, &s);
    assert_string_equal(s.bin, "999901");
    assert_string_equal(s.last4, "0019");
}

static char seen[256];

static void keep(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    strncpy(seen, line, sizeof seen - 1);
}

static void a_pan_in_a_log_line_comes_out_masked(void **state)
{
    (void)state;
    dp_log_set(keep, NULL, DP_LOG_INFO);
    dp_log(DP_LOG_INFO, "card %s at step %d, id %s\nx", "9999010000000019", 3, "12345678901");
    assert_string_equal(seen, "card ************0019 at step 3, id 12345678901 x");
    seen[0] = '\0';
    dp_log(DP_LOG_DEBUG, "not wanted");
    assert_string_equal(seen, "");
    dp_log_set(NULL, NULL, DP_LOG_INFO);
}

static void checks_luhn(void **state)
{
    struct dp_pan pan = {{9, 9, 9, 9, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 16};
    int good = 0;
    (void)state;
    for (uint8_t d = 0; d < 10; d++) {
        pan.digits[15] = d;
        good += dp_pan_luhn(&pan);
    }
    assert_int_equal(good, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_pan_from_5a_and_57),
        cmocka_unit_test(refuses_malformed_pans),
        cmocka_unit_test(shows_only_first_six_and_last_four),
        cmocka_unit_test(a_pan_in_a_log_line_comes_out_masked),
        cmocka_unit_test(checks_luhn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
