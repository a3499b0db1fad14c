/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked up in a set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/params.h>

#include "base/hex.h"
#include "base/limits.h"
#include "notation.h"

static struct dp_params *read_set(const char *text)
{
    static uint8_t set[DP_PARAMS_SET_MAX];
    static char error[160];
    struct dp_params *p = NULL;
    size_t n = notation_sign(text, set, sizeof set);
    if (dp_params_decode(set, n, notation_back_office(), &p, error, sizeof error) != DP_OK)
        fail_msg("%s", error);
    return p;
}

/* HMAC-SHA256 under 4B4C…4B4C, computed elsewhere. */
static void card_hash_is_hmac_cut_to_16(void **state)
{
    struct dp_params *p = read_set(notation_set);
    uint8_t hash[16];
    char text[33];
    (void)state;
    assert_int_equal(dp_params_card_hash(p->exception_key, "9999010000000011", hash), DP_OK);
    assert_string_equal(dp_hex_encode(hash, 16, text, sizeof text),
                        "7405C9B4DC223E676F5A311D80ADD67B");
    assert_int_equal(dp_params_card_hash(p->exception_key, "999901000000001F", hash), DP_ERR_ARG);
    assert_int_equal(dp_params_card_hash(p->exception_key, "9999010", hash), DP_ERR_ARG);
    assert_int_equal(dp_params_card_hash(p->exception_key, "99990100000000000000", hash),
                     DP_ERR_ARG);
    dp_params_free(&p);
}

/* Lists of each length from none to many: every entry is found, what lies between is not. */
static void exceptions_are_found_at_any_place(void **state)
{
    static char list[8192], old[256];
    const char *from = strstr(notation_set, "2 list: [ "), *to = strstr(from, "] }");
    (void)state;
    memcpy(old, from, (size_t)(to - from));
    for (int n = 0; n <= 17; n++) {
        struct dp_params *p;
        uint8_t hash[16] = {0};
        size_t at = (size_t)sprintf(list, "2 [ ");
        for (int i = 0; i < n; i++)
            at += (size_t)sprintf(list + at, "h'%02X0000000000000000000000000000FF' ", 10 * i + 5);
        p = read_set(notation_with(old, list));
        hash[15] = 0xFF;
        for (int v = 0; v < 256; v++) {
            hash[0] = (uint8_t)v;
            assert_int_equal(dp_params_is_exception(p, hash), v % 10 == 5 && v / 10 < n);
        }
        hash[0] = 5;
        hash[15] = 0xFE; /* all sixteen bytes count */
        assert_false(dp_params_is_exception(p, hash));
        dp_params_free(&p);
    }
}

static void a_bin_comes_only_with_its_applications(void **state)
{
    static const uint8_t a[] = {0xA0, 0, 0, 9, 0x99, 1, 1},
                         longer[] = {0xA0, 0, 0, 9, 0x99, 1, 1, 7},
                         other[] = {0xA0, 0, 0, 9, 0x99, 2, 1}, rid[] = {0xA0, 0, 0, 9, 0x99},
                         foreign[] = {0xA0, 0, 0, 8, 0x88, 2, 2};
    struct dp_params *p = read_set(notation_set);
    (void)state;
    assert_true(dp_params_bin_permits(p, "999901", a, sizeof a));
    assert_true(dp_params_bin_permits(p, "999907", a, sizeof a));
    assert_true(dp_params_bin_permits(p, "99990799", a, sizeof a));
    assert_true(dp_params_bin_permits(p, "999904", longer, sizeof longer)); /* a prefix */
    assert_false(dp_params_bin_permits(p, "999904", other, sizeof other));
    /* shorter than the prefix, whatever stands behind it in memory */
    assert_false(dp_params_bin_permits(p, "999904", rid, sizeof rid));
    assert_false(dp_params_bin_permits(p, "999904", a, sizeof a - 1));
    assert_false(dp_params_bin_permits(p, "999900", a, sizeof a));
    assert_false(dp_params_bin_permits(p, "99990099", a, sizeof a));
    /* 99990850 to 99990899: what is known of the card decides */
    assert_true(dp_params_bin_permits(p, "99990850", other, sizeof other));
    assert_true(dp_params_bin_permits(p, "99990899", foreign, sizeof foreign));
    assert_true(dp_params_bin_permits(p, "999908", a, sizeof a));
    assert_true(dp_params_bin_permits(p, "9999085", a, sizeof a));
    assert_false(dp_params_bin_permits(p, "9999084", a, sizeof a));
    assert_false(dp_params_bin_permits(p, "99990849", a, sizeof a));
    assert_false(dp_params_bin_permits(p, "999909", a, sizeof a));
    /* no BIN at all */
    assert_false(dp_params_bin_permits(p, "99990", a, sizeof a));
    assert_false(dp_params_bin_permits(p, "99990A", a, sizeof a));
    assert_false(dp_params_bin_permits(p, "", a, sizeof a));
    dp_params_free(&p);
}

static void parcels_and_agents_are_those_listed_or_any(void **state)
{
    struct dp_params *p = read_set(notation_set);
    (void)state;
    assert_true(dp_params_parcel_known(p, "6A1"));
    assert_true(dp_params_parcel_known(p, "6A2"));
    assert_false(dp_params_parcel_known(p, "6A"));
    assert_false(dp_params_parcel_known(p, "6A12"));
    assert_false(dp_params_parcel_known(p, ""));
    assert_true(dp_params_agent_known(p, "a17"));
    assert_false(dp_params_agent_known(p, "a1"));
    dp_params_free(&p);
    p = read_set(notation_with("[ parcel: '6A1' '6A2' ]", "[ ]"));
    assert_true(dp_params_parcel_known(p, "anything"));
    dp_params_free(&p);
    p = read_set(notation_with("14 agents: [ agent: 'a17' ] ", ""));
    assert_true(dp_params_agent_known(p, "anybody"));
    dp_params_free(&p);
}

static int64_t utc(int year, int month, int day, int hour, int minute)
{
    struct dp_date_time t = {(uint16_t)year, (uint8_t)month,  (uint8_t)day,
                             (uint8_t)hour,  (uint8_t)minute, 0};
    return dp_date_time_to_ms(&t, 0);
}

/* The set: an hour behind UTC, the next date begins at 22:00 local time. */
static void business_date_turns_at_the_cut_off(void **state)
{
    struct dp_params *p = read_set(notation_set);
    (void)state;
    assert_int_equal(dp_params_business_date(p, utc(2026, 7, 1, 12, 0)), 20260701);
    assert_int_equal(dp_params_business_date(p, utc(2026, 7, 1, 22, 59)), 20260701);
    assert_int_equal(dp_params_business_date(p, utc(2026, 7, 1, 23, 0)), 20260702);
    assert_int_equal(dp_params_business_date(p, utc(2026, 7, 2, 0, 30)), 20260702);
    assert_int_equal(dp_params_business_date(p, utc(2026, 12, 31, 23, 0)), 20270101);
    dp_params_free(&p);
    p = read_set(notation_with("cut_off_min: 1320", "0"));
    assert_int_equal(dp_params_business_date(p, utc(2026, 7, 2, 0, 59)), 20260701);
    assert_int_equal(dp_params_business_date(p, utc(2026, 7, 2, 1, 0)), 20260702);
    dp_params_free(&p);
}

/* An ocean away: UTC + 11, and a cut-off in the small hours. */
static void business_date_follows_the_terminals_zone(void **state)
{
    struct dp_params *p = read_set(notation_with("utc_offset_min: -60", "660"));
    (void)state;
    assert_int_equal(dp_params_business_date(p, utc(2026, 2, 28, 10, 59)), 20260228);
    assert_int_equal(dp_params_business_date(p, utc(2026, 2, 28, 11, 0)), 20260301);
    dp_params_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(card_hash_is_hmac_cut_to_16),
        cmocka_unit_test(exceptions_are_found_at_any_place),
        cmocka_unit_test(a_bin_comes_only_with_its_applications),
        cmocka_unit_test(parcels_and_agents_are_those_listed_or_any),
        cmocka_unit_test(business_date_turns_at_the_cut_off),
        cmocka_unit_test(business_date_follows_the_terminals_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
