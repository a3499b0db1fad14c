/* SPDX-License-Identifier: Apache-2.0 */
/* Whole payments with the simulated cards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <doorpay/tlv.h>

#include "sim_payment.h"

#define INS_GENERATE_AC           0xAE
#define INS_EXTERNAL_AUTHENTICATE 0x82
#define INS_INTERNAL_AUTHENTICATE 0x88

static struct sim_payment p;

static void approves_offline_with_cda(void **state)
{
    const uint8_t *ac;
    sim_payment_open(&p, "cda-offline");
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    ac = sim_payment_command(&p, INS_GENERATE_AC, 1, NULL);
    assert_int_equal(ac[2], 0x50); /* TC, signed */
    assert_null(sim_payment_command(&p, INS_GENERATE_AC, 2, NULL));
    assert_false(p.result.went_online);
    assert_int_equal(p.result.summary.cid, 0x40);
    assert_string_equal(p.result.summary.bin, "999901");
    assert_string_equal(p.result.summary.last4, "0011");
    assert_string_equal(p.result.summary.label, "DOORPAY DEBIT");
    assert_string_equal(p.result.card.pan, "9999010000000011");
    assert_string_equal(p.result.card.expiry, "2812");
    assert_true(p.result.card.has_sequence && p.result.card.sequence == 1);
    assert_int_equal(p.result.summary.cvm, DP_EMV_CVM_SIGNATURE);
}

static void the_longest_keys_approve_offline(void **state)
{
    sim_payment_open(&p, "cda-1984");
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
}

static void t0_with_format_1_approves_offline(void **state)
{
    sim_payment_open(&p, "cda-t0");
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
}

static void approves_online_when_issuer_and_card_agree(void **state)
{
    static const char *const cards[] = {"cda-online", "dda", "dda-offline",
                                        "no-oda",     "sda", "cobadged"};
    for (size_t i = 0; i < sizeof cards / sizeof cards[0]; i++) {
        print_message("# %s\n", cards[i]);
        sim_payment_open(&p, cards[i]);
        sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
        assert_true(p.result.went_online && p.cryptogram_good);
        assert_int_equal(p.result.summary.cid, 0x40);
        assert_int_equal(sim_payment_command(&p, INS_GENERATE_AC, 2, NULL)[2] & 0xC0, 0x40);
    }
}

static void issuer_authentication_goes_where_the_card_wants_it(void **state)
{
    const uint8_t *c;
    size_t n;
    sim_payment_open(&p, "dda");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    c = sim_payment_command(&p, INS_EXTERNAL_AUTHENTICATE, 1, &n);
    assert_non_null(c);
    assert_int_equal(n, 5 + c[4]); /* no Le: there is no answer */
    assert_true((p.result.summary.tsi[0] & 0x10) != 0);
    sim_payment_open(&p, "cda-online");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_null(sim_payment_command(&p, INS_EXTERNAL_AUTHENTICATE, 1, NULL));
    assert_true(p.card.t.issuer_good);
}

static void a_forged_issuer_answer_is_reversed(void **state)
{
    sim_payment_open(&p, "cda-online");
    p.issuer = ISSUER_FORGED;
    sim_payment_expect(&p, DP_EMV_REVERSE, DP_EMV_REASON_CARD_DECLINED);
    sim_payment_open(&p, "dda");
    p.issuer = ISSUER_FORGED;
    sim_payment_expect(&p, DP_EMV_REVERSE, DP_EMV_REASON_CARD_DECLINED);
}

static void what_the_card_does_not_answer_after_approval_is_reversed(void **state)
{
    sim_payment_open(&p, "cda-online");
    sim_payment_script(&p, "generate-ac-2 remove");
    sim_payment_expect(&p, DP_EMV_REVERSE, DP_EMV_REASON_CARD_GONE);
    sim_payment_open(&p, "cda-online");
    sim_payment_script(&p, "generate-ac-2 replace 6985");
    sim_payment_expect(&p, DP_EMV_REVERSE, DP_EMV_REASON_CARD_ERROR);
    sim_payment_open(&p, "cda-online");
    sim_payment_script(&p, "generate-ac-2 flip 9F4B 20");
    sim_payment_expect(&p, DP_EMV_REVERSE, DP_EMV_REASON_NOT_AUTHENTICATED);
    assert_int_equal(p.result.summary.cid, 0x80); /* the first ARQC's data */
    assert_true(p.result.emv_n == p.online_emv_n &&
                memcmp(p.result.emv, p.online_emv, p.online_emv_n) == 0);
}

static void the_issuer_declines(void **state)
{
    sim_payment_open(&p, "cda-online");
    p.issuer = ISSUER_DECLINES;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_ISSUER_DECLINED);
    assert_int_equal(sim_payment_command(&p, INS_GENERATE_AC, 2, NULL)[2], 0x00);
    sim_payment_open(&p, "cda-online");
    p.issuer = ISSUER_DECLINES;
    sim_payment_script(&p, "generate-ac-2 remove");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_ISSUER_DECLINED);
}

static void the_card_declines(void **state)
{
    sim_payment_open(&p, "declines");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    assert_false(p.result.went_online);
}

static void without_a_link_an_arqc_is_kept(void **state)
{
    sim_payment_open(&p, "cda-online");
    p.transaction.online_possible = false;
    sim_payment_expect(&p, DP_EMV_DEFERRED, DP_EMV_REASON_NO_LINK);
    assert_false(p.result.went_online);
    assert_int_equal(p.result.summary.cid, 0x80);
    assert_int_equal(sim_payment_command(&p, INS_GENERATE_AC, 2, NULL)[2] & 0xC0, 0x40);
    sim_payment_open(&p, "cda-online");
    p.issuer = ISSUER_SILENT;
    sim_payment_expect(&p, DP_EMV_DEFERRED, DP_EMV_REASON_NO_LINK);
    assert_true(p.result.went_online);
    assert_memory_equal(p.result.emv, p.online_emv, p.online_emv_n);
}

static void deferral_needs_leave_from_sale_and_policy(void **state)
{
    for (int i = 0; i < 2; i++) {
        sim_payment_open(&p, "cda-online");
        p.transaction.online_possible = false;
        p.transaction.deferred_allowed = i != 0;
        p.policy.deferred_allowed = i == 0;
        sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    }
}

static void an_unauthenticated_card_is_never_deferred(void **state)
{
    sim_payment_open(&p, "dda");
    p.transaction.online_possible = false;
    sim_payment_script(&p, "internal-authenticate flip 9F4B 20");
    assert_int_equal(sim_payment_run(&p), DP_OK);
    assert_int_equal(p.result.outcome, DP_EMV_DECLINED);
    assert_true(sim_payment_tvr(&p, 0, 0x08));
}

/* As with kernel 3: what the terminal found out itself, it does not leave to the issuer. */
static void what_failed_a_check_is_never_deferred(void **state)
{
    static const struct {
        const char *lines, *script;
        bool exception_list;
        enum dp_emv_reason reason;
    } cases[] = {
        {"", "", false, DP_EMV_REASON_NO_LINK}, /* this one is */
        {"5F24 = 210131\n", "", false, DP_EMV_REASON_EXPIRED},
        {"5F25 = 271231\n", "", false, DP_EMV_REASON_TERMINAL_DECLINED},
        {"8E = 000000000000000002030000\n", "", false, DP_EMV_REASON_CVM},
        {"82 = 2900\n", "", false, DP_EMV_REASON_CVM}, /* no verification at all: A05 */
        {"", "", true, DP_EMV_REASON_POLICY},
        {"", "read-record:3.2 flip 9F46 20", false, DP_EMV_REASON_NOT_AUTHENTICATED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("# %zu\n", i);
        sim_payment_open_with(&p, "cda-online", cases[i].lines);
        sim_payment_script(&p, cases[i].script);
        p.transaction.online_possible = false;
        p.policy.on_exception_list = cases[i].exception_list;
        /* codes that say nothing, so that the card is asked for an ARQC and none denies it */
        memset(p.aids[0].tac_denial, 0, sizeof p.aids[0].tac_denial);
        sim_payment_expect(&p, i == 0 ? DP_EMV_DEFERRED : DP_EMV_DECLINED, cases[i].reason);
        assert_non_null(sim_payment_command(&p, INS_GENERATE_AC, 2, NULL));
    }
}

static void without_a_link_a_card_that_agrees_is_approved_by_y3(void **state)
{
    size_t n;
    const uint8_t *c;
    sim_payment_open_with(&p, "cda-online", "unable_to_go_online = approve");
    p.transaction.online_possible = false;
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    c = sim_payment_command(&p, INS_GENERATE_AC, 2, &n);
    assert_int_equal(c[2], 0x50);
    assert_memory_equal(c + 5 + 10, "Y3", 2); /* CDOL2: 91, 8A */
    assert_int_equal(p.result.summary.cid, 0x40);
}

static void without_a_link_default_codes_decline_by_z3(void **state)
{
    const uint8_t *c;
    sim_payment_open_with(&p, "cda-online", "unable_to_go_online = approve");
    p.transaction.online_possible = false;
    p.transaction.deferred_allowed = false;
    p.aids[0].floor_limit = 1000; /* over the floor limit: in TAC-Default */
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    c = sim_payment_command(&p, INS_GENERATE_AC, 2, NULL);
    assert_int_equal(c[2], 0x00);
    assert_memory_equal(c + 5 + 10, "Z3", 2);
}

static void a_card_without_cda_is_never_approved_offline(void **state)
{
    static const char *const cards[] = {"dda-offline", "dda", "sda", "no-oda"};
    for (size_t i = 0; i < sizeof cards / sizeof cards[0]; i++) {
        sim_payment_open_with(&p, cards[i], "unable_to_go_online = approve");
        p.transaction.online_possible = false;
        p.transaction.deferred_allowed = false;
        assert_int_equal(sim_payment_run(&p), DP_OK);
        assert_int_equal(p.result.outcome, DP_EMV_DECLINED);
        for (unsigned nth = 1; nth <= 2; nth++)
            assert_int_not_equal(sim_payment_command(&p, INS_GENERATE_AC, nth, NULL)[2] & 0xC0,
                                 0x40);
    }
}

static void offline_needs_leave_from_sale_and_policy(void **state)
{
    for (int i = 0; i < 2; i++) {
        sim_payment_open(&p, "cda-offline");
        p.transaction.offline_allowed = i != 0;
        p.policy.offline_allowed = i == 0;
        sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    }
    sim_payment_open(&p, "cda-offline");
    p.transaction.type = 0x20; /* a refund gives money away: never without the issuer */
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
}

static void the_policy_declines(void **state)
{
    sim_payment_open(&p, "cda-offline");
    p.policy.verdict = DP_EMV_POLICY_DECLINE;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_POLICY);
    assert_int_equal(sim_payment_command(&p, INS_GENERATE_AC, 1, NULL)[2], 0x00);
    assert_string_equal(p.policy_summary.bin, "999901");
}

static void a_callbacks_error_comes_back(void **state)
{
    sim_payment_open(&p, "cda-online");
    p.policy_err = DP_ERR_GONE;
    assert_int_equal(sim_payment_run(&p), DP_ERR_GONE);
    assert_null(sim_payment_command(&p, INS_GENERATE_AC, 1, NULL));
    sim_payment_open(&p, "cda-online");
    p.online_err = DP_ERR_TIMEOUT;
    assert_int_equal(sim_payment_run(&p), DP_ERR_TIMEOUT);
}

static void an_expired_card_goes_online_and_never_offline(void **state)
{
    sim_payment_open(&p, "expired");
    assert_int_equal(sim_payment_run(&p), DP_OK);
    assert_true(sim_payment_tvr(&p, 1, 0x40));
    assert_true(p.result.went_online);
    sim_payment_open(&p, "expired");
    p.transaction.online_possible = false;
    p.transaction.deferred_allowed = false;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_EXPIRED);
}

static void failed_authentication_goes_online_with_the_failure_in_the_tvr(void **state)
{
    static const char *const scripts[] = {"read-record:3.2 flip 9F46 20",
                                          "read-record:3.1 tag 8F EE", "read-record:3.1 flip 90 30",
                                          "read-record:2.1 tag 8E 00000000000000001F00"};
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        sim_payment_open(&p, "cda-offline");
        sim_payment_script(&p, scripts[i]);
        sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
        assert_true(sim_payment_tvr(&p, 0, 0x04));
        assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_FAILED);
        assert_true(p.result.summary.authentication_reason[0] != '\0');
        assert_int_equal(sim_payment_command(&p, INS_GENERATE_AC, 1, NULL)[2], 0x80);
        sim_payment_open(&p, "cda-offline");
        sim_payment_script(&p, scripts[i]);
        p.transaction.oda_failure_declines = true;
        sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NOT_AUTHENTICATED);
        assert_false(p.result.went_online);
    }
}

/* A card of elliptic curves (XDA) that says CDA as well: not authenticated, and told so. */
static void certificate_of_elliptic_curves_fails_by_its_name(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        sim_payment_open(&p, "cda-offline");
        sim_payment_script(&p, "read-record:3.1 tag 90 1200549999011FFF1020301231000001");
        p.transaction.online_possible = i == 0;
        assert_int_equal(sim_payment_run(&p), DP_OK);
        assert_int_equal(p.result.outcome, i == 0 ? DP_EMV_APPROVED_ONLINE : DP_EMV_DECLINED);
        assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_FAILED);
        assert_string_equal(p.result.summary.authentication_reason,
                            "issuer certificate: ECC is not supported");
        assert_true(sim_payment_tvr(&p, 0, 0x04));
    }
    /* XDA alone (AIP, byte 1, bit 8) is a method this terminal has not */
    sim_payment_open_with(&p, "no-oda", "82 = 9800\n");
    assert_int_equal(sim_payment_run(&p), DP_OK);
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_NOT_PERFORMED);
    assert_true(sim_payment_tvr(&p, 0, 0x80));
}

static void missing_authentication_declines_where_the_parameter_says_so(void **state)
{
    sim_payment_open(&p, "no-oda");
    p.transaction.oda_failure_declines = true;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NOT_AUTHENTICATED);
    assert_true(sim_payment_tvr(&p, 0, 0x80));
}

/* A card of its own lines, whose authentication must fail with these TVR bits in byte 1. */
static void authentication_fails(const char *card, const char *lines, const char *script,
                                 uint8_t tvr)
{
    sim_payment_open_with(&p, card, lines);
    sim_payment_script(&p, script);
    assert_int_equal(sim_payment_run(&p), DP_OK);
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_FAILED);
    assert_int_equal(p.result.summary.tvr[0] & 0xEC, tvr);
    assert_true(p.result.outcome != DP_EMV_APPROVED_OFFLINE);
}

static void an_internal_authenticate_refused_ends_the_payment(void **state)
{
    (void)state;
    sim_payment_open(&p, "dda");
    sim_payment_script(&p, "internal-authenticate replace 6985");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR);
    assert_null(sim_payment_command(&p, INS_GENERATE_AC, 1, NULL));
}

/* TSI, bit 8: CDA is performed with the cryptogram, and has failed before it where its keys have.
 */
static void cda_is_performed_when_the_cryptogram_comes(void **state)
{
    const char lines[] = "8C = 9F02069F37049B02\n";
    const uint8_t *c;
    (void)state;
    sim_payment_open_with(&p, "cda-offline", lines);
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    c = sim_payment_command(&p, INS_GENERATE_AC, 1, NULL);
    assert_int_equal(c[5 + 10] & 0x80, 0);
    assert_int_equal(p.result.summary.tsi[0] & 0x80, 0x80);
    /* an AAC has no signature */
    sim_payment_open_with(&p, "cda-offline", "offline = decline\n");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    assert_int_equal(sim_payment_command(&p, INS_GENERATE_AC, 1, NULL)[2] & 0x10, 0x10);
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_NOT_PERFORMED);
    assert_int_equal(p.result.summary.tsi[0] & 0x80, 0);
    sim_payment_open_with(&p, "cda-offline", lines);
    sim_payment_script(&p, "read-record:3.1 tag 8F EE");
    assert_int_equal(sim_payment_run(&p), DP_OK);
    c = sim_payment_command(&p, INS_GENERATE_AC, 1, NULL);
    assert_int_equal(c[5 + 10] & 0x80, 0x80);
}

static void data_that_authentication_needs_are_missed(void **state)
{
    authentication_fails("cda-offline", "", "read-record:3.1 drop 90", 0x24);
    authentication_fails("cda-offline", "", "read-record:3.1 drop 8F", 0x24);
    authentication_fails("cda-offline", "", "read-record:3.1 drop 9F32", 0x24);
    authentication_fails("cda-offline", "", "read-record:3.2 drop 9F46", 0x24);
    authentication_fails("dda", "", "read-record:3.2 drop 9F47", 0x28);
    authentication_fails("sda", "", "read-record:3.2 drop 93", 0x60);
}

static void a_tag_list_of_more_than_the_aip_authenticates_nobody(void **state)
{
    /* the card signs as if the list did not count */
    authentication_fails("cda-offline", "9F4A = 5F34", "generate-ac-1 delay 0", 0x04);
    authentication_fails("sda", "9F4A = 5F34", "generate-ac-1 delay 0", 0x40);
}

static void lists_without_the_unpredictable_number_authenticate_nobody(void **state)
{
    authentication_fails("dda", "9F49 = 9F0206", "generate-ac-1 delay 0", 0x08);
    assert_null(sim_payment_command(&p, INS_INTERNAL_AUTHENTICATE, 1, NULL));
    authentication_fails("cda-offline", "8C = 9F02069505", "generate-ac-1 delay 0", 0x04);
    assert_int_equal(sim_payment_command(&p, INS_GENERATE_AC, 1, NULL)[2], 0x80);
}

static void the_terminals_ddol_serves_where_the_card_has_none(void **state)
{
    sim_payment_open(&p, "dda");
    sim_payment_script(&p, "read-record:2.2 drop 9F49");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_PASSED);
    sim_payment_open(&p, "dda");
    p.aids[0].ddol_n = 0;
    sim_payment_script(&p, "read-record:2.2 drop 9F49");
    assert_int_equal(sim_payment_run(&p), DP_OK);
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_FAILED);
}

static void what_the_pdol_sent_is_signed_too(void **state)
{
    const uint8_t *c;
    sim_payment_open_with(&p, "cda-offline", "9F38 = 9F02069F33039F3704");
    p.terminal.capabilities[1] = 0xF8; /* a PIN pad it has not */
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    c = sim_payment_command(&p, 0xA8, 1, NULL);
    assert_memory_equal(c + 7 + 6, "\x20\x28\xC8", 3);
}

static void an_arqc_without_a_good_signature_is_not_sent(void **state)
{
    sim_payment_open(&p, "cda-online");
    sim_payment_script(&p, "generate-ac-1 flip 9F4B 20");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NOT_AUTHENTICATED);
    assert_false(p.result.went_online);
    assert_int_equal(sim_payment_command(&p, INS_GENERATE_AC, 2, NULL)[2], 0x00);
}

static void authenticates_by_dda_and_sda(void **state)
{
    sim_payment_open(&p, "dda");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.result.summary.authentication, DP_EMV_AUTH_DDA);
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_PASSED);
    assert_non_null(sim_payment_command(&p, INS_INTERNAL_AUTHENTICATE, 1, NULL));
    sim_payment_open(&p, "sda");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.result.summary.authentication, DP_EMV_AUTH_SDA);
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_PASSED);
    assert_true(sim_payment_tvr(&p, 0, 0x02));
    sim_payment_open(&p, "sda");
    sim_payment_script(&p, "read-record:2.1 tag 9F07 FF80");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_true(sim_payment_tvr(&p, 0, 0x40));
}

static void the_customers_choice_goes_before_the_cards_priority(void **state)
{
    sim_payment_open(&p, "cobadged");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_string_equal(p.result.summary.label, "DOORPAY DEBIT");
    sim_payment_open(&p, "cobadged");
    memcpy(p.transaction.chosen_aid, p.aids[1].aid, 7);
    p.transaction.chosen_aid_n = 7;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_string_equal(p.result.summary.label, "Domestique");
    sim_payment_open(&p, "cda-offline");
    memcpy(p.transaction.chosen_aid, p.aids[1].aid, 7);
    p.transaction.chosen_aid_n = 7;
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CHOICE);
    assert_null(sim_payment_command(&p, 0xA8, 1, NULL));
    /* it is there, and the card does not give it */
    sim_payment_open(&p, "cobadged");
    sim_payment_script(&p, "gpo#1 replace 6985");
    memcpy(p.transaction.chosen_aid, p.aids[1].aid, 7);
    p.transaction.chosen_aid_n = 7;
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CHOICE);
}

static void without_a_directory_the_terminals_list_serves(void **state)
{
    sim_payment_open_with(&p, "cda-offline", "pse = no");
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    sim_payment_open(&p, "cda-offline");
    p.terminal.aids_n = 1;
    p.aids[0].aid[5] = 0x77;
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION);
}

static void an_application_that_refuses_gives_way_to_the_next(void **state)
{
    sim_payment_open(&p, "cobadged");
    sim_payment_script(&p, "gpo#1 replace 6985");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_string_equal(p.result.summary.label, "Domestique");
    sim_payment_open(&p, "cobadged");
    sim_payment_script(&p, "select#1 replace 6283");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_string_equal(p.result.summary.label, "Domestique");
}

static void cancelling_counts_until_a_cryptogram_is_asked_for(void **state)
{
    unsigned all;
    sim_payment_open(&p, "cda-online");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    all = p.commands;
    for (unsigned n = 1; n <= all; n++) {
        sim_payment_open(&p, "cda-online");
        p.cancel_after = n;
        assert_int_equal(sim_payment_run(&p), DP_OK);
        if (n < all - 1) { /* the last two are the cryptograms */
            assert_int_equal(p.result.reason, DP_EMV_REASON_CANCELLED);
            assert_null(sim_payment_command(&p, INS_GENERATE_AC, 1, NULL));
        } else {
            assert_int_equal(p.result.outcome, DP_EMV_APPROVED_ONLINE);
        }
    }
}

static void a_card_pulled_out_is_never_approved_offline(void **state)
{
    char rule[32];
    for (unsigned n = 1; n < 20; n++) {
        sim_payment_open(&p, "cda-offline");
        (void)snprintf(rule, sizeof rule, "remove-after %u", n);
        sim_payment_script(&p, rule);
        assert_int_equal(sim_payment_run(&p), DP_OK);
        if (p.result.outcome == DP_EMV_APPROVED_OFFLINE)
            break; /* all commands went through */
        assert_int_equal(p.result.reason, DP_EMV_REASON_CARD_GONE);
        assert_int_equal(p.result.outcome, sim_payment_command(&p, INS_GENERATE_AC, 1, NULL) == NULL
                                               ? DP_EMV_TRY_AGAIN
                                               : DP_EMV_ENDED);
        assert_true(n < 19);
    }
}

static void scripts_run_before_and_after_the_second_cryptogram(void **state)
{
    static const uint8_t results[] = {0x11, 1, 2, 3, 4, 0x11, 5, 6, 7, 8};
    /* MACs of zeros: the card refuses both; the payment stands */
    static const uint8_t scripts[] = {0x71, 0x16, 0x9F, 0x18, 4, 1, 2, 3, 4, 0x86, 0x0D, 0x84,
                                      0x1E, 0,    0,    8,    0, 0, 0, 0, 0, 0,    0,    0,
                                      0x72, 0x16, 0x9F, 0x18, 4, 5, 6, 7, 8, 0x86, 0x0D, 0x84,
                                      0x18, 0,    0,    8,    0, 0, 0, 0, 0, 0,    0,    0};
    struct dp_bytes sent;
    sim_payment_open(&p, "cda-online");
    memcpy(p.scripts, scripts, sizeof scripts);
    p.scripts_n = sizeof scripts;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.result.script_results_n, sizeof results);
    assert_memory_equal(p.result.script_results, results, sizeof results);
    /* for the message that follows; the cryptogram's own message had none */
    assert_int_equal(dp_tlv_find((struct dp_bytes){p.result.emv, p.result.emv_n}, 0x9F5B, &sent),
                     DP_OK);
    assert_int_equal(sent.n, sizeof results);
    assert_memory_equal(sent.p, results, sizeof results);
    assert_int_equal(dp_tlv_find((struct dp_bytes){p.online_emv, p.online_emv_n}, 0x9F5B, &sent),
                     DP_ERR_NOT_FOUND);
    assert_true(sim_payment_tvr(&p, 4, 0x20));
    assert_int_equal(p.log[p.commands - 3].p[1], 0x1E);
    assert_int_equal(p.log[p.commands - 2].p[1], 0xAE);
    assert_int_equal(p.log[p.commands - 1].p[1], 0x18);
}

static void scripts_never_carry_a_pin_or_a_second_payment(void **state)
{
    static const uint8_t inss[] = {0x20, 0xAE, 0xA8, 0x82};
    for (size_t i = 0; i < sizeof inss; i++) {
        const uint8_t script[] = {0x71, 0x0C, 0x86, 0x0A, 0x00, inss[i], 0, 0x80, 5, 1, 2, 3, 4, 5};
        sim_payment_open(&p, "cda-online");
        memcpy(p.scripts, script, sizeof script);
        p.scripts_n = sizeof script;
        sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
        assert_int_equal(p.result.script_results[0], 0x11);
        assert_int_equal(p.log[p.commands - 1].p[1], 0xAE);
        assert_int_equal(p.log[p.commands - 2].p[1], 0xAE);
    }
}

static void a_pin_is_wanted_and_never_taken(void **state)
{
    /* PIN for the card, then for the issuer, then fail */
    sim_payment_open_with(&p, "cda-offline", "8E = 0000000000000000410342000100");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_true(sim_payment_tvr(&p, 2, 0x80));
    assert_true(sim_payment_tvr(&p, 2, 0x10));
    sim_payment_open_with(&p, "cda-offline", "8E = 0000000000000000410342000100");
    p.transaction.online_possible = false;
    p.transaction.deferred_allowed = false;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_CVM);
}

static void what_leaves_is_on_the_white_list(void **state)
{
    static const char pan_bcd[] = "\x99\x99\x01\x00\x00\x00\x00\x11";
    sim_payment_open(&p, "cda-offline");
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_true(p.result.emv_n > 100);
    assert_null(memmem(p.result.emv, p.result.emv_n, pan_bcd, 8));
    dp_emv_result_wipe(&p.result);
    assert_int_equal(p.result.card.pan[0], '\0');
    assert_int_equal(p.result.emv_n, 0);
}

static void bad_terminal_data_are_the_callers_fault(void **state)
{
    sim_payment_open(&p, "cda-offline");
    p.terminal.tid[7] = '\0';
    assert_int_equal(sim_payment_run(&p), DP_ERR_ARG);
    p.terminal.tid[7] = '1';
    p.transaction.amount.minor = 1000000000000;
    assert_int_equal(sim_payment_run(&p), DP_ERR_ARG);
    p.transaction.amount.minor = 1;
    p.aids[1].aid_n = 17;
    assert_int_equal(sim_payment_run(&p), DP_ERR_ARG);
    p.aids[1].aid_n = 7;
    p.transaction.local.month = 13;
    assert_int_equal(sim_payment_run(&p), DP_ERR_ARG);
    assert_int_equal(p.commands, 0);
}

static void referral_is_a_decline_of_its_own(void **state)
{
    (void)state;
    for (char second = '1'; second <= '2'; second++) {
        sim_payment_open(&p, "cda-online");
        p.issuer = ISSUER_DECLINES;
        p.arc[0] = '0';
        p.arc[1] = second;
        sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_REFERRAL);
        assert_int_equal(sim_payment_command(&p, INS_GENERATE_AC, 2, NULL)[2], 0x00);
    }
    sim_payment_open(&p, "cda-online"); /* approved in spite of it: the acquirer's word counts */
    p.arc[0] = '0';
    p.arc[1] = '1';
    assert_int_equal(sim_payment_run(&p), DP_OK);
    assert_true(p.result.reason != DP_EMV_REASON_REFERRAL);
}

static void the_card_says_why_and_whether_its_issuer_is_to_know(void **state)
{
    static const struct {
        const char *script, *words;
        bool advice;
    } cases[] = {
        {"generate-ac-1 tag 9F27 00", "AAC", false},
        {"generate-ac-1 tag 9F27 09", "advice wanted: AAC: service not allowed", true},
        {"generate-ac-1 tag 9F27 02", "AAC: no PIN tries left", false},
        {"generate-ac-1 tag 9F27 0B", "advice wanted: AAC: issuer authentication failed", true},
        {"generate-ac-1 tag 9F27 07", "AAC", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sim_payment_open(&p, "declines");
        sim_payment_script(&p, cases[i].script);
        sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
        assert_string_equal(p.result.words, cases[i].words);
        assert_int_equal(p.result.advice_wanted, cases[i].advice);
    }
}

static void terminal_that_is_offline_only_takes_no_arqc_online(void **state)
{
    (void)state;
    sim_payment_open(&p, "cda-online"); /* says ARQC where a TC was asked for */
    p.terminal.type = 0x23;
    p.transaction.deferred_allowed = false;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    assert_false(p.result.went_online);
    assert_int_equal(sim_payment_command(&p, INS_GENERATE_AC, 1, NULL)[2] & 0xC0, 0x40);
    assert_non_null(sim_payment_command(&p, INS_GENERATE_AC, 2, NULL));
    sim_payment_open(&p, "cda-offline");
    p.terminal.type = 0x23;
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
}

static void several_applications_are_offered_with_their_names(void **state)
{
    (void)state;
    sim_payment_open(&p, "cobadged");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.offers_n, 2);
    assert_string_equal(p.offers[0].label, "DOORPAY DEBIT");
    assert_string_equal(p.offers[1].label, "DOORPAY DOMESTIC");
    assert_memory_equal(p.offers[1].aid, p.aids[1].aid, 7);
    /* the app wants to be asked: nothing is begun with the card */
    sim_payment_open(&p, "cobadged");
    p.transaction.choice_wanted = true;
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CHOICE);
    assert_int_equal(p.offers_n, 2);
    assert_null(sim_payment_command(&p, 0xA8, 1, NULL));
    /* it was asked */
    sim_payment_open(&p, "cobadged");
    p.transaction.choice_wanted = true;
    memcpy(p.transaction.chosen_aid, p.aids[1].aid, 7);
    p.transaction.chosen_aid_n = 7;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_string_equal(p.result.summary.label, "Domestique");
    assert_int_equal(p.offers_n, 0); /* and is not asked again */
    /* one alone is no choice */
    sim_payment_open(&p, "cda-offline");
    p.transaction.choice_wanted = true;
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.offers_n, 0);
}

static void certificate_its_scheme_took_back_authenticates_nobody(void **state)
{
    static const struct {
        struct dp_emv_revoked list;
        bool revoked;
    } cases[] = {
        {{{0xA0, 0, 0, 0x09, 0x99}, 0x01, {0, 0, 1}}, true},
        {{{0xA0, 0, 0, 0x09, 0x99}, 0x01, {0, 0, 2}}, false}, /* the card's own has this one */
        {{{0xA0, 0, 0, 0x09, 0x99}, 0x02, {0, 0, 1}}, false},
        {{{0xA0, 0, 0, 0x09, 0x98}, 0x01, {0, 0, 1}}, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sim_payment_open(&p, "cda-offline");
        p.terminal.revoked = &cases[i].list;
        p.terminal.revoked_n = 1;
        p.transaction.online_possible = false;
        assert_int_equal(sim_payment_run(&p), DP_OK);
        assert_int_equal(p.result.outcome == DP_EMV_APPROVED_OFFLINE, !cases[i].revoked);
        assert_string_equal(p.result.summary.authentication_reason,
                            cases[i].revoked ? "issuer certificate: revoked" : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(approves_offline_with_cda),
        cmocka_unit_test(the_longest_keys_approve_offline),
        cmocka_unit_test(t0_with_format_1_approves_offline),
        cmocka_unit_test(approves_online_when_issuer_and_card_agree),
        cmocka_unit_test(issuer_authentication_goes_where_the_card_wants_it),
        cmocka_unit_test(a_forged_issuer_answer_is_reversed),
        cmocka_unit_test(what_the_card_does_not_answer_after_approval_is_reversed),
        cmocka_unit_test(the_issuer_declines),
        cmocka_unit_test(the_card_declines),
        cmocka_unit_test(without_a_link_an_arqc_is_kept),
        cmocka_unit_test(deferral_needs_leave_from_sale_and_policy),
        cmocka_unit_test(an_unauthenticated_card_is_never_deferred),
        cmocka_unit_test(what_failed_a_check_is_never_deferred),
        cmocka_unit_test(without_a_link_a_card_that_agrees_is_approved_by_y3),
        cmocka_unit_test(without_a_link_default_codes_decline_by_z3),
        cmocka_unit_test(a_card_without_cda_is_never_approved_offline),
        cmocka_unit_test(offline_needs_leave_from_sale_and_policy),
        cmocka_unit_test(the_policy_declines),
        cmocka_unit_test(a_callbacks_error_comes_back),
        cmocka_unit_test(an_expired_card_goes_online_and_never_offline),
        cmocka_unit_test(failed_authentication_goes_online_with_the_failure_in_the_tvr),
        cmocka_unit_test(certificate_of_elliptic_curves_fails_by_its_name),
        cmocka_unit_test(missing_authentication_declines_where_the_parameter_says_so),
        cmocka_unit_test(an_internal_authenticate_refused_ends_the_payment),
        cmocka_unit_test(cda_is_performed_when_the_cryptogram_comes),
        cmocka_unit_test(data_that_authentication_needs_are_missed),
        cmocka_unit_test(a_tag_list_of_more_than_the_aip_authenticates_nobody),
        cmocka_unit_test(lists_without_the_unpredictable_number_authenticate_nobody),
        cmocka_unit_test(the_terminals_ddol_serves_where_the_card_has_none),
        cmocka_unit_test(what_the_pdol_sent_is_signed_too),
        cmocka_unit_test(an_arqc_without_a_good_signature_is_not_sent),
        cmocka_unit_test(authenticates_by_dda_and_sda),
        cmocka_unit_test(the_customers_choice_goes_before_the_cards_priority),
        cmocka_unit_test(without_a_directory_the_terminals_list_serves),
        cmocka_unit_test(an_application_that_refuses_gives_way_to_the_next),
        cmocka_unit_test(cancelling_counts_until_a_cryptogram_is_asked_for),
        cmocka_unit_test(a_card_pulled_out_is_never_approved_offline),
        cmocka_unit_test(scripts_run_before_and_after_the_second_cryptogram),
        cmocka_unit_test(scripts_never_carry_a_pin_or_a_second_payment),
        cmocka_unit_test(a_pin_is_wanted_and_never_taken),
        cmocka_unit_test(what_leaves_is_on_the_white_list),
        cmocka_unit_test(bad_terminal_data_are_the_callers_fault),
        cmocka_unit_test(referral_is_a_decline_of_its_own),
        cmocka_unit_test(the_card_says_why_and_whether_its_issuer_is_to_know),
        cmocka_unit_test(terminal_that_is_offline_only_takes_no_arqc_online),
        cmocka_unit_test(several_applications_are_offered_with_their_names),
        cmocka_unit_test(certificate_its_scheme_took_back_authenticates_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
