/* SPDX-License-Identifier: Apache-2.0 */
/* Every answer to GENERATE AC, first and second, and what it leads to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <doorpay/tlv.h>
#include <psa/crypto.h>

#include "sim_payment.h"

#define INS_GENERATE_AC 0xAE

static struct sim_payment p;

static void first(const char *card, const char *script, enum dp_emv_outcome outcome,
                  enum dp_emv_reason reason)
{
    sim_payment_open(&p, card);
    sim_payment_script(&p, script);
    sim_payment_expect(&p, outcome, reason);
}

static void a_kind_that_was_not_asked_for_ends_the_payment(void **state)
{
    /* TC asked for: all but RFU may come */
    first("cda-offline", "generate-ac-1 tag 9F27 C0", DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR);
    /* ARQC asked for */
    first("no-oda", "generate-ac-1 tag 9F27 40", DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR);
    assert_false(p.result.went_online);
    /* AAC asked for */
    sim_payment_open(&p, "no-oda");
    p.policy.verdict = DP_EMV_POLICY_DECLINE;
    sim_payment_script(&p, "generate-ac-1 tag 9F27 80");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR);
    assert_false(p.result.went_online);
}

static void bits_beside_the_kind_do_not_matter(void **state)
{
    first("no-oda", "generate-ac-1 tag 9F27 8B", DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    first("declines", "generate-ac-1 tag 9F27 09", DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
}

static void answers_that_are_none_end_the_payment(void **state)
{
    static const char *const scripts[] = {
        "generate-ac-1 replace 6985",
        "generate-ac-1 replace 9000",
        "generate-ac-1 replace 77009000",
        "generate-ac-1 replace 71009000",
        "generate-ac-1 replace 80038000019000",
        "generate-ac-1 drop 9F27",
        "generate-ac-1 drop 9F36",
        "generate-ac-1 drop 9F26",
        "generate-ac-1 tag 9F36 000001",
        "generate-ac-1 tag 9F26 11223344556677",
        "generate-ac-1 tag 9F27 8000",
        ("generate-ac-1 tag 9F10 "
         "000000000000000000000000000000000000000000000000000000000000000000"),
        "generate-ac-1 replace 77189F2701809F3602000A9F260811223344556677889F2701809000",
    };
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        first("no-oda", scripts[i], DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR);
        assert_false(p.result.went_online);
    }
}

static void format_1_and_2_are_told_apart(void **state)
{
    first("no-oda",
          "generate-ac-1 replace 800B80000A11223344556677889000\ngenerate-ac-2 replace "
          "800B40000A11223344556677889000",
          DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.result.summary.atc, 10);
    assert_memory_equal(p.result.summary.cryptogram, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
    /* what is signed comes in format 2 alone */
    first("cda-offline", "generate-ac-1 replace 800B40000A11223344556677889000", DP_EMV_DECLINED,
          DP_EMV_REASON_NOT_AUTHENTICATED);
}

static void unknown_elements_are_harmless(void **state)
{
    first("no-oda",
          "generate-ac-1 replace 77269F2701809F3602000A9F26081122334455667788"
          "DF0101AA9F6E0401020304BF0C03500141009000",
          DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
}

static void an_answer_changes_nothing_the_card_said_before(void **state)
{
    struct dp_bytes emv, aip, name;
    first("no-oda",
          "generate-ac-1 replace "
          "772D9F2701809F3602000A9F260811223344556677888202FFFF5A021111950500000000008407A000000999"
          "01777F9000",
          DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR); /* 7F: an element that is none */
    first("no-oda",
          "generate-ac-1 replace "
          "772C9F2701809F3602000A9F260811223344556677888202FFFF5A021111950500000000008407A000000999"
          "01779000",
          DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    emv = (struct dp_bytes){p.online_emv, p.online_emv_n};
    assert_int_equal(dp_tlv_find(emv, 0x82, &aip), DP_OK);
    assert_memory_equal(aip.p, p.result.summary.aip, 2);
    assert_int_equal(dp_tlv_find(emv, 0x84, &name), DP_OK);
    assert_memory_equal(name.p, p.aids[0].aid, 7);
}

static void after_approval_anything_but_a_tc_is_reversed(void **state)
{
    static const char *const scripts[] = {
        "generate-ac-2 tag 9F27 00",  "generate-ac-2 tag 9F27 80", "generate-ac-2 tag 9F27 C0",
        "generate-ac-2 replace 6985", "generate-ac-2 replace 90",  "generate-ac-2 drop 9F26",
        "generate-ac-2 replace 9000", "generate-ac-2 remove",      "generate-ac-2 fill 300 77",
    };
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        sim_payment_open(&p, "no-oda");
        sim_payment_script(&p, scripts[i]);
        assert_int_equal(sim_payment_run(&p), DP_OK);
        if (p.result.outcome != DP_EMV_REVERSE)
            fail_msg("%s: %s", scripts[i], p.result.words);
        assert_memory_equal(p.result.emv, p.online_emv, p.online_emv_n);
        assert_int_equal(p.result.emv_n, p.online_emv_n);
    }
}

static void after_a_decline_a_tc_changes_nothing(void **state)
{
    sim_payment_open(&p, "no-oda");
    p.issuer = ISSUER_DECLINES;
    sim_payment_script(&p, "generate-ac-2 tag 9F27 40");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_ISSUER_DECLINED);
}

static void without_a_link_a_second_answer_that_is_none_defers_nothing(void **state)
{
    static const char *const scripts[] = {
        "generate-ac-2 replace 6985",
        "generate-ac-2 remove",
        "generate-ac-2 tag 9F27 80",
        "generate-ac-2 tag 9F27 40",
    };
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        sim_payment_open(&p, "no-oda");
        p.transaction.online_possible = false;
        sim_payment_script(&p, scripts[i]);
        assert_int_equal(sim_payment_run(&p), DP_OK);
        assert_int_equal(p.result.outcome, DP_EMV_ENDED);
    }
}

static void a_second_arqc_is_no_answer(void **state)
{
    sim_payment_open(&p, "cda-online"); /* that is asked for a TC, so that ARQC is less */
    p.transaction.online_possible = false;
    sim_payment_script(&p, "generate-ac-2 tag 9F27 80");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR);
}

static void the_issuers_authentication_that_fails_is_told(void **state)
{
    sim_payment_open_with(&p, "dda", "arpc = ignored");
    p.issuer = ISSUER_FORGED;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_true(sim_payment_tvr(&p, 4, 0x40));
    /* too short to be one: not sent */
    sim_payment_open_with(&p, "dda", "arpc = ignored");
    p.tag_91_n = 7;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_null(sim_payment_command(&p, 0x82, 1, NULL));
    assert_false(sim_payment_tvr(&p, 4, 0x40));
}

static void a_card_that_asks_gets_the_tc_hash(void **state)
{
    static const uint8_t hashed[] = {0x00, 0x00, 0x00, 0x00, 0x23, 0x50};
    uint8_t wanted[20];
    const uint8_t *c;
    size_t n;
    sim_payment_open_with(&p, "cda-offline", "8C = 98149F02069F37049505");
    memcpy(p.aids[0].tdol, "\x9F\x02\x06", 3);
    p.aids[0].tdol_n = 3;
    assert_int_equal(sim_payment_run(&p), DP_OK);
    assert_int_equal(
        psa_hash_compute(PSA_ALG_SHA_1, hashed, sizeof hashed, wanted, sizeof wanted, &n),
        PSA_SUCCESS);
    c = sim_payment_command(&p, INS_GENERATE_AC, 1, &n);
    assert_non_null(c);
    assert_memory_equal(c + 5, wanted, 20);
    assert_int_equal(c[5 + 20 + 6 + 4 + 4] & 0x80, 0x80); /* the default list was used */
}

static void the_tvr_of_the_message_is_the_one_the_card_signed(void **state)
{
    /* scripts fail after the TC: too late for the cryptogram's TVR */
    static const uint8_t script[] = {0x72, 0x08, 0x86, 0x06, 0x84, 0x1E, 0x00, 0x00, 0x01, 0xAA};
    sim_payment_open(&p, "cda-online");
    memcpy(p.scripts, script, sizeof script);
    p.scripts_n = sizeof script;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.result.script_results[0], 0x11);
    assert_false(sim_payment_tvr(&p, 4, 0x10));
}

static void malformed_scripts_fail_and_harm_nothing(void **state)
{
    static const struct {
        uint8_t bytes[16], n, result, results_n;
    } cases[] = {
        {{0x71, 0x03, 0x86, 0x04, 0x84}, 5, 0x00, 5},                    /* an element leaves it */
        {{0x71, 0x05, 0x86, 0x03, 0x84, 0x1E, 0x00}, 7, 0x11, 5},        /* no whole header */
        {{0x71, 0x08, 0x86, 0x06, 0x84, 0x1E, 0, 0, 9, 1}, 10, 0x11, 5}, /* Lc says more */
        {{0x71, 0x00}, 2, 0x20, 5},                                      /* nothing to do is done */
        {{0x71, 0x20, 0x86}, 3, 0x00, 0},                                /* no whole template */
        {{0x9F, 0x99}, 2, 0x00, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sim_payment_open(&p, "cda-online");
        memcpy(p.scripts, cases[i].bytes, cases[i].n);
        p.scripts_n = cases[i].n;
        sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
        assert_int_equal(p.result.script_results_n, cases[i].results_n);
        assert_int_equal(p.result.script_results[0], cases[i].result);
        assert_int_equal(sim_payment_tvr(&p, 4, 0x20), i != 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kind_that_was_not_asked_for_ends_the_payment),
        cmocka_unit_test(bits_beside_the_kind_do_not_matter),
        cmocka_unit_test(answers_that_are_none_end_the_payment),
        cmocka_unit_test(format_1_and_2_are_told_apart),
        cmocka_unit_test(unknown_elements_are_harmless),
        cmocka_unit_test(an_answer_changes_nothing_the_card_said_before),
        cmocka_unit_test(after_approval_anything_but_a_tc_is_reversed),
        cmocka_unit_test(after_a_decline_a_tc_changes_nothing),
        cmocka_unit_test(without_a_link_a_second_answer_that_is_none_defers_nothing),
        cmocka_unit_test(a_second_arqc_is_no_answer),
        cmocka_unit_test(the_issuers_authentication_that_fails_is_told),
        cmocka_unit_test(a_card_that_asks_gets_the_tc_hash),
        cmocka_unit_test(the_tvr_of_the_message_is_the_one_the_card_signed),
        cmocka_unit_test(malformed_scripts_fail_and_harm_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
