/* SPDX-License-Identifier: Apache-2.0 */
/* A13: authentication made to fail, in the hope that the terminal then asks for less (Basin 2023).
 * It asks for more: never offline, never kept for later, online only with the failure in the TVR,
 * and not even that when the parameters say so. */
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

static const char *const contact[] = {"unknown-ca-key", "damaged-certificate", "cvm-list",
                                      "damaged-issuer-certificate"};
static const char *const contactless[] = {"unknown-ca-key", "damaged-certificate",
                                          "damaged-issuer-certificate"};

static void open_tap(const char *card, const char *script)
{
    sim_payment_open_with(&p, card, "online_above = never\n");
    p.aids[2] = (struct dp_emv_aid){.aid = {0xA0, 0x00, 0x00, 0x09, 0x99, 0x01, 0x01},
                                    .aid_n = 7,
                                    .kernel = 3,
                                    .ttq = {0x33, 0x00, 0x40, 0x00},
                                    .cl_transaction_limit = 50000,
                                    .cl_cvm_limit = 5000,
                                    .cl_floor_limit = 10000};
    p.terminal.aids_n = 3;
    p.transaction.kernel3_offline_max = 10000;
    sim_payment_script_file(&p, script);
}

static void insert(const char *script, bool link, bool declines)
{
    sim_payment_open(&p, "cda-offline");
    sim_payment_script_file(&p, script);
    p.transaction.online_possible = link;
    p.transaction.oda_failure_declines = declines;
    assert_int_equal(sim_payment_run(&p), DP_OK);
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_FAILED);
}

static void inserted_card_is_neither_approved_nor_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof contact / sizeof contact[0]; i++) {
        insert(contact[i], false, false);
        if (p.result.outcome != DP_EMV_DECLINED)
            fail_msg("%s: %s", contact[i], p.result.words);
    }
}

static void issuer_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof contact / sizeof contact[0]; i++) {
        struct dp_bytes tvr, emv = {p.online_emv, 0};
        insert(contact[i], true, false);
        assert_true(p.result.went_online);
        emv.n = p.online_emv_n;
        assert_int_equal(dp_tlv_find(emv, 0x95, &tvr), DP_OK);
        assert_true((tvr.p[0] & 0x04) != 0);
    }
}

static void is_declined_outright_when_the_parameters_say_so(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof contact / sizeof contact[0]; i++) {
        insert(contact[i], true, true);
        assert_int_equal(p.result.outcome, DP_EMV_DECLINED);
        assert_int_equal(p.result.reason, DP_EMV_REASON_NOT_AUTHENTICATED);
        assert_false(p.result.went_online);
    }
}

static void tapped_card_is_not_approved_either(void **state)
{
    (void)state;
    open_tap("qvsdc", "pin-says-yes");
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    for (size_t i = 0; i < sizeof contactless / sizeof contactless[0]; i++)
        for (int link = 0; link < 2; link++) {
            open_tap("qvsdc", contactless[i]);
            p.transaction.online_possible = link != 0;
            assert_int_equal(sim_payment_run(&p), DP_OK);
            assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_FAILED);
            assert_true(p.result.outcome != DP_EMV_APPROVED_OFFLINE &&
                        p.result.outcome != DP_EMV_DEFERRED);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inserted_card_is_neither_approved_nor_kept),
        cmocka_unit_test(issuer_is_told),
        cmocka_unit_test(is_declined_outright_when_the_parameters_say_so),
        cmocka_unit_test(tapped_card_is_not_approved_either),
    };
    return cmocka_run_group_tests_name("A13", tests, NULL, NULL);
}
