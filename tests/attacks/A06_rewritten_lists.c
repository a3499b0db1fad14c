/* SPDX-License-Identifier: Apache-2.0 */
/* A06: the list of verification methods, or the issuer's action codes, rewritten between card and
 * terminal (Barisani 2011). They are signed: authentication fails, so nothing is approved offline,
 * and what goes online says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/tlv.h>

#include "sim_payment.h"

static struct sim_payment p;

static const struct {
    const char *card;
    uint8_t failed; /* TVR byte 1 */
} cards[] = {{"cda-offline", 0x04}, {"dda-offline", 0x08}, {"sda", 0x40}};
static const char *const scripts[] = {"cvm-list", "action-codes"};

static void rewritten(size_t card, size_t script, bool link)
{
    sim_payment_open(&p, cards[card].card);
    sim_payment_script_file(&p, scripts[script]);
    p.transaction.online_possible = link;
    assert_int_equal(sim_payment_run(&p), DP_OK);
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_FAILED);
    assert_true(sim_payment_tvr(&p, 0, cards[card].failed));
}

static void never_approved_or_kept_without_a_link(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof cards / sizeof cards[0]; c++)
        for (size_t s = 0; s < sizeof scripts / sizeof scripts[0]; s++) {
            rewritten(c, s, false);
            assert_int_equal(p.result.outcome, DP_EMV_DECLINED);
        }
}

static void online_only_with_the_failure_in_the_tvr(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof cards / sizeof cards[0]; c++)
        for (size_t s = 0; s < sizeof scripts / sizeof scripts[0]; s++) {
            struct dp_bytes tvr;
            rewritten(c, s, true);
            assert_true(p.result.went_online);
            assert_int_equal(
                dp_tlv_find((struct dp_bytes){p.online_emv, p.online_emv_n}, 0x95, &tvr), DP_OK);
            assert_true((tvr.p[0] & cards[c].failed) != 0);
            assert_true(p.result.outcome != DP_EMV_APPROVED_OFFLINE);
        }
}

static void true_lists_are_authenticated(void **state)
{
    (void)state;
    sim_payment_open(&p, "cda-offline");
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_approved_or_kept_without_a_link),
        cmocka_unit_test(online_only_with_the_failure_in_the_tvr),
        cmocka_unit_test(true_lists_are_authenticated),
    };
    return cmocka_run_group_tests_name("A06", tests, NULL, NULL);
}
