/* SPDX-License-Identifier: Apache-2.0 */
/* A05: the no-PIN wedge (Murdoch 2010): between card and terminal somebody answers "PIN right". We
 * send no VERIFY and believe no card's word of a PIN: where the list wants one, the holder is not
 * verified, and card and issuer are told so. */
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

/* PIN in clear, online, in clear and signature, enciphered, enciphered and signature: or fail. */
static const char *const lists[] = {
    "8E = 00000000000000000100", "8E = 00000000000000000200",
    "8E = 00000000000000000300", "8E = 00000000000000000400",
    "8E = 00000000000000000500", "8E = 00000000000000004103420304030503",
};

static void open_card(size_t i, bool link)
{
    sim_payment_open_with(&p, "cda-offline", lists[i]);
    sim_payment_script_file(&p, "pin-says-yes");
    p.terminal.capabilities[1] = 0xF8; /* whoever wrote the parameters thought of a PIN pad */
    p.transaction.online_possible = link;
}

static const uint8_t *told(uint32_t tag, size_t n)
{
    struct dp_bytes v;
    assert_int_equal(dp_tlv_find((struct dp_bytes){p.online_emv, p.online_emv_n}, tag, &v), DP_OK);
    assert_int_equal(v.n, n);
    return v.p;
}

static void no_pin_is_asked_for_and_none_is_believed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        open_card(i, true);
        assert_int_equal(sim_payment_run(&p), DP_OK);
        assert_null(sim_payment_command(&p, 0x20, 1, NULL));
        assert_true(sim_payment_tvr(&p, 2, 0x80)); /* cardholder verification was not successful */
        assert_int_equal(p.result.summary.cvm_results[2], 0x01);
        assert_int_equal(p.result.summary.cvm, DP_EMV_CVM_NONE);
        assert_true(p.result.went_online);
        assert_int_equal(told(0x9F34, 3)[2], 0x01);
        assert_true((told(0x95, 5)[2] & 0x80) != 0);
        assert_true((told(0x9F33, 3)[1] & 0xD0) == 0); /* no PIN of any kind */
    }
}

static void without_a_link_nothing_is_approved(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        open_card(i, false);
        assert_int_equal(sim_payment_run(&p), DP_OK);
        assert_null(sim_payment_command(&p, 0x20, 1, NULL));
        assert_int_equal(p.result.outcome, DP_EMV_DECLINED); /* nor kept for later */
    }
}

/* The AIP without "cardholder verification is supported" (Book 3, Annex C1), in a card that does
 * not sign it. */
static size_t wants_no_holder(struct sim_payment *q, const uint8_t *command, size_t n,
                              struct sim_buf *answer)
{
    (void)q;
    for (size_t i = 0; n > 1 && command[1] == 0xA8 && i + 3 < answer->n; i++)
        if (answer->p[i] == 0x82 && answer->p[i + 1] == 2) {
            answer->p[i + 2] &= 0xEF;
            break;
        }
    return answer->n;
}

static void a_card_said_to_want_no_verification_is_not_approved_offline(void **state)
{
    (void)state;
    for (unsigned link = 0; link < 2; link++) {
        sim_payment_open_with(&p, "cda-offline", "8E = 00000000000000000100\n9F4A = ");
        p.transaction.online_possible = link != 0;
        p.alter = wants_no_holder;
        assert_int_equal(sim_payment_run(&p), DP_OK);
        assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_PASSED);
        assert_int_equal(p.result.summary.aip[0] & 0x10, 0);
        assert_int_equal(p.result.summary.cvm_results[0], 0x3F);
        assert_int_equal(p.result.outcome, link != 0 ? DP_EMV_APPROVED_ONLINE : DP_EMV_DECLINED);
        assert_int_equal(p.result.went_online, link);
    }
}

static void a_list_without_a_rule_is_not_approved_offline(void **state)
{
    (void)state;
    sim_payment_open_with(&p, "cda-offline", "8E = 0000000000000000");
    p.transaction.online_possible = false;
    assert_int_equal(sim_payment_run(&p), DP_OK);
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_PASSED);
    assert_int_equal(p.result.outcome, DP_EMV_DECLINED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_pin_is_asked_for_and_none_is_believed),
        cmocka_unit_test(without_a_link_nothing_is_approved),
        cmocka_unit_test(a_card_said_to_want_no_verification_is_not_approved_offline),
        cmocka_unit_test(a_list_without_a_rule_is_not_approved_offline),
    };
    return cmocka_run_group_tests_name("A05", tests, NULL, NULL);
}
