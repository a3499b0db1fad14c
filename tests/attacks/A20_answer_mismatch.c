/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A20: a hostile acquirer, or somebody in front of it, sends answers that differ in a match column,
 * bear a wrong MAC, come late or twice. Each is no answer: the payment is taken back. The MAC is
 * checked before a byte is decoded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/acquirer/world.h"

static struct world w;
static struct dp_iso8583_message m;
static struct dp_acquirer_answer answer;
static uint8_t p[DP_ISO8583_MESSAGE_MAX];
static uint32_t stan;

static int begin(void **state)
{
    memset(&w, 0, sizeof w);
    world_begin(&w);
    stan = world_online(&w, 1, 2350);
    host_answer(w.sent, w.sent_n, 0, &m);
    return 0;
}

static int end(void **state)
{
    world_end(&w);
    return 0;
}

static void assert_no_answer(size_t n)
{
    assert_int_equal(world_answer(&w, p, n, &answer), DP_ACQUIRER_NO_ANSWER);
    assert_false(answer.approved);
}

/* No answer came: the payment is reversed, and the reversal is what leaves next. */
static void assert_taken_back(void)
{
    struct dp_acquirer_job job;
    (void)world_reverse(&w, 1, stan, 4020);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_REVERSAL);
    world_decode(w.sent, w.sent_n, &m);
    assert_int_equal(m.mti, 1420);
}

static void other_column(int de, const char *other)
{
    dp_iso8583_set_text(&m, de, other);
    assert_no_answer(host_seal(&w, &m, p));
    assert_taken_back();
}

static void an_answer_of_another_class_is_none(void **state)
{
    m.mti = 1230;
    assert_no_answer(host_seal(&w, &m, p));
    assert_taken_back();
}

static void an_answer_with_another_stan_is_none(void **state)
{
    other_column(11, "000009");
}

static void an_answer_with_another_time_is_none(void **state)
{
    other_column(12, "261124205319");
}

static void an_answer_for_another_terminal_is_none(void **state)
{
    other_column(41, "T0000009");
}

static void an_answer_over_another_amount_is_none(void **state)
{
    other_column(4, "000000000001");
}

static void an_answer_in_another_currency_is_none(void **state)
{
    other_column(49, "392");
}

static void an_answer_with_another_rrn_is_none(void **state)
{
    other_column(37, "632819000009");
}

static void an_answer_with_a_wrong_mac_is_none(void **state)
{
    size_t n = host_seal(&w, &m, p);
    for (size_t i = 0; i < w.mac_len; i++) {
        p[n - 1 - i] ^= 0x01;
        assert_no_answer(n);
        p[n - 1 - i] ^= 0x01;
    }
    assert_taken_back();
}

static void a_decline_turned_into_an_approval_is_none(void **state)
{
    size_t n = host_reply(&w, w.sent, w.sent_n, 100, p), approved_n;
    uint8_t approved[DP_ISO8583_MESSAGE_MAX];
    approved_n = host_reply(&w, w.sent, w.sent_n, 0, approved);
    assert_int_equal(n, approved_n);
    memcpy(approved + n - w.mac_len, p + n - w.mac_len, w.mac_len);
    memcpy(p, approved, n);
    assert_no_answer(n);
    assert_taken_back();
}

static void the_mac_is_checked_before_anything_is_decoded(void **state)
{
    size_t masked_n = 0, n = host_seal(&w, &m, p);
    p[18] = 0xEE; /* DE3 is no digits any more: what decodes stumbles over it */
    world_hsm.macs = 0;
    assert_int_equal(dp_acquirer_take(w.a, p, n, &answer, w.masked, &masked_n), DP_OK);
    assert_int_equal(world_hsm.macs, 1);
    assert_string_equal(answer.why, "its MAC is wrong");
    assert_int_equal(masked_n, 0);
}

static void a_second_answer_is_none(void **state)
{
    size_t n = host_seal(&w, &m, p);
    assert_int_equal(world_answer(&w, p, n, &answer), DP_ACQUIRER_ONLINE);
    assert_no_answer(n);
}

static void an_answer_after_the_reversal_is_none(void **state)
{
    size_t n = host_seal(&w, &m, p);
    assert_taken_back();
    assert_no_answer(n);
}

#define UNIT(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(an_answer_of_another_class_is_none),
        UNIT(an_answer_with_another_stan_is_none),
        UNIT(an_answer_with_another_time_is_none),
        UNIT(an_answer_for_another_terminal_is_none),
        UNIT(an_answer_over_another_amount_is_none),
        UNIT(an_answer_in_another_currency_is_none),
        UNIT(an_answer_with_another_rrn_is_none),
        UNIT(an_answer_with_a_wrong_mac_is_none),
        UNIT(a_decline_turned_into_an_approval_is_none),
        UNIT(the_mac_is_checked_before_anything_is_decoded),
        UNIT(a_second_answer_is_none),
        UNIT(an_answer_after_the_reversal_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
