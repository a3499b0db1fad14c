/* SPDX-License-Identifier: Apache-2.0 */
/* A10: a wedge tells the reader that the phone has verified its owner, which the card never said
 * (Galloway 2019, Basin 2021). Over the limit for it, nothing that is not signed is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim_payment.h"

static struct sim_payment p;

/* Limits under which the card itself would approve the amount offline. */
static void open_card(const char *card, const char *lines, const char *wedge)
{
    sim_payment_open_with(&p, card, lines);
    p.aids[2] = (struct dp_emv_aid){.aid = {0xA0, 0x00, 0x00, 0x09, 0x99, 0x01, 0x01},
                                    .aid_n = 7,
                                    .kernel = 3,
                                    .ttq = {0x33, 0x00, 0x40, 0x00},
                                    .cl_transaction_limit = 50000,
                                    .cl_cvm_limit = 5000,
                                    .cl_floor_limit = 10000};
    p.terminal.aids_n = 3;
    p.transaction.amount.minor = 7000;
    p.transaction.kernel3_offline_max = 10000;
    sim_payment_script(&p, wedge);
}

static const char *const wedges[] = {
    "gpo tag 9F6C 0080",                                          /* forged, over the true answer */
    "gpo tag 9F6C 0080\nread-record:3.2 tag 9F69 01000000000080", /* and what is signed, too */
    "gpo tag 9F6C 0080\nread-record:3.2 drop 9F69",
    "gpo tag 9F6C 0080\ngpo drop 9F4B", /* authentication taken out */
    "gpo tag 9F6C 0080\ngpo tag 82 1000",
    "gpo tag 9F6C 0080\nread-record:3.1 tag 8F EE", /* or made to fail (A13) */
    "gpo tag 9F6C 0080\nread-record:3.2 flip 9F46 20",
};

static void it_is_not_approved_offline(void **state)
{
    for (size_t i = 0; i < sizeof wedges / sizeof wedges[0]; i++) {
        open_card("qvsdc", "online_above = never\ncvm = none\n", wedges[i]);
        assert_int_equal(sim_payment_run(&p), DP_OK);
        if (p.result.outcome != DP_EMV_DECLINED)
            fail_msg("%s: %s", wedges[i], p.result.words);
        assert_true(p.result.summary.cvm != DP_EMV_CVM_DEVICE);
    }
}

static void the_issuer_sees_it_flagged(void **state)
{
    for (size_t i = 0; i < sizeof wedges / sizeof wedges[0]; i++) {
        open_card("qvsdc-online", "", wedges[i]);
        sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
        assert_int_equal(p.policy_summary.authentication_result, DP_EMV_AUTH_NOT_PERFORMED);
        assert_true(p.result.summary.authentication_result != DP_EMV_AUTH_PASSED);
        assert_int_equal(p.result.summary.cvm, DP_EMV_CVM_NONE);
        assert_true(sim_payment_tvr(&p, 2, 0x80) && p.result.summary.cvm_results[0] == 0x3F);
    }
}

static void nor_is_it_deferred(void **state)
{
    for (size_t i = 0; i < sizeof wedges / sizeof wedges[0]; i++) {
        open_card("qvsdc-online", "", wedges[i]);
        p.transaction.online_possible = false;
        assert_int_equal(sim_payment_run(&p), DP_OK);
        assert_int_equal(p.result.outcome, DP_EMV_DECLINED);
    }
}

static void what_the_card_did_sign_is_believed(void **state)
{
    open_card("qvsdc", "online_above = never\ncvm = device\n", "");
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.result.summary.cvm, DP_EMV_CVM_DEVICE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_not_approved_offline),
        cmocka_unit_test(the_issuer_sees_it_flagged),
        cmocka_unit_test(nor_is_it_deferred),
        cmocka_unit_test(what_the_card_did_sign_is_believed),
    };
    return cmocka_run_group_tests_name("A10", tests, NULL, NULL);
}
