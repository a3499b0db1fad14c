/* SPDX-License-Identifier: Apache-2.0 */
/* Contactless payments with the simulated kernel 3 cards: honest ones, and ones with somebody
 * between card and reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <doorpay/tlv.h>

#include "sim_payment.h"

#define INS_GPO         0xA8
#define INS_READ_RECORD 0xB2

enum {
    TVR_ODA_NOT_PERFORMED = 0x80,
    TVR_DDA_FAILED = 0x08,
    TVR_EXPIRED = 0x40,
    TVR_CVM_FAILED = 0x80
};

static struct sim_payment p;

/* The demo's contactless application, with limits under which a card may approve offline. */
static void open_with(const char *card, const char *lines)
{
    struct dp_emv_aid *a;
    sim_payment_open_with(&p, card, lines);
    a = &p.aids[2];
    *a = (struct dp_emv_aid){.aid = {0xA0, 0x00, 0x00, 0x09, 0x99, 0x01, 0x01},
                             .aid_n = 7,
                             .kernel = 3,
                             .version = {0x00, 0x01},
                             .ttq = {0x33, 0x00, 0x40, 0x00},
                             .cl_transaction_limit = 50000,
                             .cl_cvm_limit = 5000,
                             .cl_floor_limit = 5000};
    p.terminal.aids_n = 3;
    p.transaction.amount.minor = 1250;
    p.transaction.kernel3_offline_max = 2000;
}

static void open_card(const char *card)
{
    open_with(card, "");
}

/* The TTQ in what was sent for the sim's PDOL, which begins with it. */
static const uint8_t *sent_ttq(void)
{
    const uint8_t *gpo = sim_payment_command(&p, INS_GPO, 1, NULL);
    assert_non_null(gpo);
    return gpo + 7;
}

static unsigned records_read(void)
{
    unsigned n = 0;
    while (sim_payment_command(&p, INS_READ_RECORD, n + 1, NULL) != NULL)
        n++;
    return n;
}

static void words_are(const char *words)
{
    assert_string_equal(p.result.summary.authentication_reason, words);
}

/* ---- offline ---- */

static void approves_offline_with_fdda_within_its_own_ceiling(void **state)
{
    open_card("qvsdc");
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_int_equal(sent_ttq()[1], 0x00);
    assert_true(p.asked_policy && !p.result.went_online);
    assert_int_equal(p.result.summary.kernel, 3);
    assert_int_equal(p.result.summary.authentication, DP_EMV_AUTH_FDDA);
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_PASSED);
    assert_int_equal(p.result.summary.cid, 0x40);
    assert_int_equal(p.result.summary.cvm, DP_EMV_CVM_NONE);
    assert_string_equal(p.result.card.pan, "9999030000000019");
    assert_string_equal(p.result.card.expiry, "2812");
    assert_true(p.result.card.has_sequence && p.result.card.sequence == 1);
    assert_true((p.ui_seen & 1U << DP_EMV_UI_CARD_READ_OK) != 0);
    assert_true(p.commands == 3 + records_read());
}

/* Zero unless the signed parameters set it. */
static void never_approves_offline_over_the_ceiling(void **state)
{
    static const uint64_t ceilings[] = {0, 1249};
    for (size_t i = 0; i < 2; i++) {
        open_card("qvsdc");
        p.transaction.kernel3_offline_max = ceilings[i];
        sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
        assert_int_equal(sent_ttq()[1], 0x80); /* online cryptogram required */
        assert_true(p.cryptogram_good);
    }
    open_card("qvsdc");
    p.transaction.kernel3_offline_max = 1250;
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
}

static void floor_limit_and_policy_ask_for_an_online_cryptogram(void **state)
{
    open_card("qvsdc");
    p.aids[2].cl_floor_limit = 1249;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(sent_ttq()[1], 0x80);
    open_card("qvsdc");
    p.transaction.offline_allowed = false;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(sent_ttq()[1], 0x80);
}

static void sale_split_in_two_is_one_against_the_ceilings(void **state)
{
    static const struct {
        uint64_t before, floor_limit;
        bool approved;
    } cases[] = {{749, 5000, true},         /* 12.50 and 7.49: ceiling 20.00 */
                 {750, 5000, true},         /* the ceiling itself may be reached */
                 {751, 5000, false},        /* 20.01 */
                 {UINT64_MAX, 5000, false}, /* no sum overflows */
                 {100, 1350, true},         /* the floor limit is lower */
                 {101, 1350, false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("# %zu\n", i);
        open_card("qvsdc");
        p.policy.card_amount = cases[i].before;
        p.aids[2].cl_floor_limit = cases[i].floor_limit;
        if (cases[i].approved) {
            sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
            continue;
        }
        sim_payment_expect(&p, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_OVER_LIMIT);
        assert_true((p.ui_seen & 1U << DP_EMV_UI_INSERT_CARD) != 0);
        /* a terminal without a slot declines */
        open_card("qvsdc");
        p.policy.card_amount = cases[i].before;
        p.aids[2].cl_floor_limit = cases[i].floor_limit;
        p.aids[2].ttq[0] &= (uint8_t)~0x10;
        sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_OVER_LIMIT);
    }
    /* with the issuer's word it does not count */
    open_card("qvsdc-online");
    p.policy.card_amount = 100000;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
}

static void a_card_that_is_not_yet_valid_is_declined_offline(void **state)
{
    (void)state;
    open_with("qvsdc", "5F25 = 271231\n");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_TERMINAL_DECLINED);
    assert_true(sim_payment_tvr(&p, 1, 0x20));
}

/* A card that says TC although it was asked for an ARQC (A11). */
static void a_tc_that_was_not_asked_for_is_declined(void **state)
{
    open_card("qvsdc");
    p.transaction.kernel3_offline_max = 0;
    sim_payment_script(&p, "gpo tag 9F27 40");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_OVER_LIMIT);
    assert_false(p.result.went_online);
}

static void an_aac_dressed_as_a_tc_needs_a_signature_still(void **state)
{
    open_with("qvsdc", "decline = always\n");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    assert_string_equal(p.result.summary.last4, "0019");
    open_with("qvsdc", "decline = always\n");
    sim_payment_script(&p, "gpo tag 9F27 40");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NOT_AUTHENTICATED);
}

static void policy_can_still_decline_a_tc(void **state)
{
    open_card("qvsdc");
    p.policy.verdict = DP_EMV_POLICY_DECLINE;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_POLICY);
    open_card("qvsdc");
    p.policy.offline_allowed = false;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_POLICY);
    open_card("qvsdc");
    p.policy_err = DP_ERR_GONE;
    assert_int_equal(sim_payment_run(&p), DP_ERR_GONE);
}

static void an_expired_card_is_declined_offline(void **state)
{
    open_with("qvsdc", "5F24 = 251231\n");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_EXPIRED);
    assert_true(sim_payment_tvr(&p, 1, TVR_EXPIRED));
    /* the qualifiers' bit: online instead */
    open_with("qvsdc", "5F24 = 251231\n9F6C = 0800\n");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
}

/* ---- authentication made to fail (A13) ---- */

static void failed_authentication_is_never_approved_offline(void **state)
{
    static const struct {
        const char *script, *words;
    } attacks[] = {
        {"read-record:3.1 tag 8F EE", "unknown CA key"},
        {"read-record:3.1 flip 90 20", "issuer certificate: header or trailer"},
        {"read-record:3.1 flip 9F32 0", "issuer certificate: hash"},
        {"read-record:3.2 flip 9F46 20", "ICC certificate: header or trailer"},
        {"read-record:3.2 flip 9F48 3", "ICC certificate: hash"},
        {"read-record:2.1 flip 5F25 1", "ICC certificate: hash"},
        {"gpo flip 9F4B 20", "fDDA: header or trailer"},
        {"read-record:3.2 tag 9F69 00000000000000", "fDDA: version is not 01"},
        {"read-record:3.2 flip 9F69 1", "fDDA: hash"},
        {"read-record:3.2 drop 9F69", "fDDA: no 9F69"},
        {"gpo tag 9F6C 0080", "fDDA: CTQ differs from the signed one"}, /* A10 */
        {"gpo drop 9F6C", "fDDA: CTQ differs from the signed one"},
        {"read-record:2.1 tag 9F4A 5A", "a record to be signed is not sound"},
        {"gpo drop 9F4B", "the card gave no dynamic signature"},
    };
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        print_message("# %s\n", attacks[i].script);
        open_card("qvsdc");
        sim_payment_script(&p, attacks[i].script);
        sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NOT_AUTHENTICATED);
        words_are(attacks[i].words);
        assert_false(p.result.went_online);
        assert_true(sim_payment_tvr(&p, 0, TVR_DDA_FAILED | TVR_ODA_NOT_PERFORMED));
    }
}

static void qualifiers_say_what_follows_failed_authentication(void **state)
{
    open_with("qvsdc", "9F6C = 2000\n");
    sim_payment_script(&p, "read-record:3.1 tag 8F EE");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_true(sim_payment_tvr(&p, 0, TVR_DDA_FAILED));
    open_with("qvsdc", "9F6C = 2000\n");
    p.transaction.oda_failure_declines = true;
    sim_payment_script(&p, "read-record:3.1 tag 8F EE");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NOT_AUTHENTICATED);
    open_with("qvsdc", "9F6C = 2000\n");
    p.transaction.online_possible = false;
    sim_payment_script(&p, "read-record:3.1 tag 8F EE");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NOT_AUTHENTICATED);
    open_with("qvsdc", "9F6C = 2000\n");
    p.transaction.oda_failure_declines = true;
    sim_payment_script(&p, "gpo drop 9F4B");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NOT_AUTHENTICATED);
    /* a TC is not what a deferred authorisation is made of */
    open_with("qvsdc", "9F6C = 2000\n");
    p.issuer = ISSUER_SILENT;
    sim_payment_script(&p, "read-record:3.1 tag 8F EE");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    open_with("qvsdc", "9F6C = 1000\n");
    sim_payment_script(&p, "read-record:3.1 tag 8F EE");
    sim_payment_expect(&p, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_NOT_AUTHENTICATED);
    assert_true((p.ui_seen & 1U << DP_EMV_UI_INSERT_CARD) != 0);
}

static void two_cards_in_one_are_refused(void **state)
{
    open_card("qvsdc");
    sim_payment_script(&p, "gpo tag 57 9999030000000027D28122010000000000");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CARD_DATA);
}

/* ---- online ---- */

static void an_online_payment_is_authenticated_too_and_its_cryptogram_verifies(void **state)
{
    open_card("qvsdc-online");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_true(p.cryptogram_good && p.result.went_online);
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_PASSED);
    assert_int_equal(p.result.summary.cid, 0x80);
    open_card("qvsdc-online");
    p.issuer = ISSUER_DECLINES;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_ISSUER_DECLINED);
    open_card("qvsdc-online");
    p.online_err = DP_ERR_IO;
    assert_int_equal(sim_payment_run(&p), DP_ERR_IO);
}

/* Three commands: the customer's time is the card's time. */
static void without_oda_for_online_no_record_is_read(void **state)
{
    open_card("qvsdc-online");
    p.aids[2].ttq[0] = 0x32;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.commands, 3);
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_NOT_PERFORMED);
    assert_true(sim_payment_tvr(&p, 0, TVR_ODA_NOT_PERFORMED));
    assert_true(p.cryptogram_good);
    assert_string_equal(p.result.card.expiry, "2812"); /* from track 2 */
    words_are("not asked for");
}

static void the_track_s_month_counts_where_no_record_is_read(void **state)
{
    static const char *const tracks[] = {"9999040000000018D2813201", "9999040000000018D2800201",
                                         "9999040000000018D28F2201", "9999040000000018D2",
                                         "9999040000000018D2812201"};
    open_card("qvsdc-online");
    p.aids[2].ttq[0] = 0x32;
    p.transaction.local = (struct dp_date_time){2028, 12, 31, 23, 0, 0};
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_false(sim_payment_tvr(&p, 1, TVR_EXPIRED));
    p.transaction.local = (struct dp_date_time){2029, 1, 1, 0, 0, 0};
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_true(sim_payment_tvr(&p, 1, TVR_EXPIRED));
    for (size_t i = 0; i < sizeof tracks / sizeof tracks[0]; i++) {
        char script[64];
        (void)snprintf(script, sizeof script, "gpo tag 57 %s", tracks[i]);
        open_card("qvsdc-online");
        p.aids[2].ttq[0] = 0x32;
        sim_payment_script(&p, script);
        if (i + 1 < sizeof tracks / sizeof tracks[0])
            sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CARD_DATA);
        else
            sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    }
}

static void without_track_2_in_the_answer_the_records_are_read(void **state)
{
    open_card("qvsdc");
    p.transaction.kernel3_offline_max = 0;
    sim_payment_script(&p, "gpo drop 57");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_true(records_read() > 0);
    assert_string_equal(p.result.card.pan, "9999030000000019");
    /* though there is nothing to authenticate: the card says it cannot */
    open_card("qvsdc");
    p.transaction.kernel3_offline_max = 0;
    sim_payment_script(&p, "gpo drop 57\ngpo tag 82 1000");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_true(records_read() > 0);
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_NOT_PERFORMED);
    open_card("qvsdc");
    p.transaction.kernel3_offline_max = 0;
    sim_payment_script(&p, "gpo tag 82 1000");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(records_read(), 0);
}

static void failed_authentication_goes_online_flagged_or_declines(void **state)
{
    open_card("qvsdc-online");
    sim_payment_script(&p, "gpo flip 9F4B 20");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_true(sim_payment_tvr(&p, 0, TVR_DDA_FAILED));
    assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_FAILED);
    assert_true(p.cryptogram_good); /* 95 is what the card was told */
    open_card("qvsdc-online");
    p.transaction.oda_failure_declines = true;
    sim_payment_script(&p, "gpo flip 9F4B 20");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NOT_AUTHENTICATED);
    assert_false(p.result.went_online);
}

/* ---- no link ---- */

static void an_arqc_without_a_link_is_deferred(void **state)
{
    struct dp_bytes cryptogram;
    open_card("qvsdc-online");
    p.transaction.online_possible = false;
    sim_payment_expect(&p, DP_EMV_DEFERRED, DP_EMV_REASON_NO_LINK);
    assert_int_equal(
        dp_tlv_find((struct dp_bytes){p.result.emv, p.result.emv_n}, 0x9F26, &cryptogram), DP_OK);
    assert_memory_equal(cryptogram.p, p.card.t.session.arqc, 8);
    assert_true(p.result.card.track2_n > 0 && !p.result.went_online);
    open_card("qvsdc-online");
    p.issuer = ISSUER_SILENT;
    sim_payment_expect(&p, DP_EMV_DEFERRED, DP_EMV_REASON_NO_LINK);
    assert_true(p.result.went_online);
}

static void what_is_not_fit_to_be_deferred_is_declined(void **state)
{
    open_card("qvsdc-online");
    p.transaction.online_possible = p.transaction.deferred_allowed = false;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    open_card("qvsdc-online");
    p.transaction.online_possible = p.policy.deferred_allowed = false;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    open_card("qvsdc-online");
    p.transaction.online_possible = false;
    sim_payment_script(&p, "gpo flip 9F4B 20");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NOT_AUTHENTICATED);
    open_with("qvsdc-online", "5F24 = 251231\n");
    p.transaction.online_possible = false;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_EXPIRED);
    open_with("qvsdc-online", "5F25 = 271231\n");
    p.transaction.online_possible = false;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_TERMINAL_DECLINED);
    open_card("qvsdc-online");
    p.transaction.online_possible = false;
    p.policy.on_exception_list = true;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_POLICY);
    open_with("qvsdc-online", "cvm = device\n");
    p.transaction.online_possible = false;
    p.transaction.amount.minor = 7000;
    sim_payment_script(&p, "gpo drop 9F4B");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_CVM);
    open_card("qvsdc");
    p.transaction.kernel3_offline_max = 0;
    p.transaction.online_possible = false;
    sim_payment_script(&p, "gpo tag 9F27 40");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_OVER_LIMIT);
}

/* ---- cardholder verification ---- */

static void the_cvm_limit_asks_for_a_verification(void **state)
{
    open_card("qvsdc");
    p.transaction.amount.minor = 4999;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(sent_ttq()[1] & 0x40, 0);
    assert_int_equal(p.result.summary.cvm, DP_EMV_CVM_NONE);
    open_card("qvsdc");
    p.transaction.amount.minor = 5000;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(sent_ttq()[1] & 0x40, 0x40);
    assert_int_equal(p.result.summary.cvm, DP_EMV_CVM_SIGNATURE);
    assert_int_equal(p.result.summary.cvm_results[0], 0x1E);
}

static void over_the_cvm_limit_without_any_is_declined(void **state)
{
    open_card("qvsdc-online");
    p.transaction.amount.minor = 5000;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_CVM);
    assert_true(sim_payment_tvr(&p, 2, TVR_CVM_FAILED));
    assert_false(p.result.went_online);
    /* a signature, where the terminal takes none */
    open_with("qvsdc-online", "9F6C = 4000\n");
    p.aids[2].ttq[0] = 0x31;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_CVM);
    /* online PIN: this terminal takes none */
    open_with("qvsdc-online", "9F6C = 8000\n");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_CVM);
}

static void without_qualifiers_a_signature_is_asked_for(void **state)
{
    open_card("qvsdc-online");
    p.transaction.amount.minor = 5000;
    p.aids[2].ttq[0] = 0x32;
    sim_payment_script(&p, "gpo drop 9F6C");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.result.summary.cvm, DP_EMV_CVM_SIGNATURE);
}

static void a_proven_device_cvm_counts(void **state)
{
    open_with("qvsdc-online", "cvm = device\n");
    p.transaction.amount.minor = 7000;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.result.summary.cvm, DP_EMV_CVM_DEVICE);
    assert_false(sim_payment_tvr(&p, 2, TVR_CVM_FAILED));
}

/* A10: not proven, so not believed; the issuer gets to see it flagged. */
static void a_device_cvm_that_is_not_proven_is_flagged(void **state)
{
    static const char *const scripts[] = {"gpo tag 9F6C 0080", "gpo drop 9F4B"};
    for (size_t i = 0; i < 2; i++) {
        open_with("qvsdc-online", i == 0 ? "" : "cvm = device\n");
        p.transaction.amount.minor = 7000;
        sim_payment_script(&p, scripts[i]);
        sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
        assert_int_equal(p.result.summary.cvm, DP_EMV_CVM_NONE);
        assert_true(sim_payment_tvr(&p, 2, TVR_CVM_FAILED));
        assert_int_equal(p.result.summary.cvm_results[0], 0x3F);
        assert_true(sim_payment_tvr(&p, 0, TVR_DDA_FAILED | TVR_ODA_NOT_PERFORMED));
    }
}

/* And never offline, not even if the ceilings allow the amount. */
static void a_device_cvm_that_is_not_proven_is_not_approved_offline(void **state)
{
    open_with("qvsdc", "online_above = never\n");
    p.transaction.amount.minor = 7000;
    p.transaction.kernel3_offline_max = 10000;
    p.aids[2].cl_floor_limit = 10000;
    sim_payment_script(&p, "gpo tag 9F6C 0080");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_NOT_AUTHENTICATED);
    open_with("qvsdc", "online_above = never\ncvm = device\n");
    p.transaction.amount.minor = 7000;
    p.transaction.kernel3_offline_max = 10000;
    p.aids[2].cl_floor_limit = 10000;
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.result.summary.cvm, DP_EMV_CVM_DEVICE);
    open_with("qvsdc", "online_above = never\ncvm = none\n");
    p.transaction.amount.minor = 7000;
    p.transaction.kernel3_offline_max = 10000;
    p.aids[2].cl_floor_limit = 10000;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_CVM);
}

/* ---- what the card may answer ---- */

static void status_words_of_get_processing_options(void **state)
{
    static const struct {
        const char *script;
        enum dp_emv_outcome outcome;
        enum dp_emv_reason reason;
        enum dp_emv_ui ui;
    } answers[] = {
        {"gpo replace 6984", DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_CARD_DECLINED,
         DP_EMV_UI_INSERT_CARD},
        {"gpo replace 6985", DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION, DP_EMV_UI_INSERT_CARD},
        {"gpo replace 6986", DP_EMV_CDCVM_WANTED, DP_EMV_REASON_CVM, DP_EMV_UI_SEE_PHONE},
        {"gpo replace 6700", DP_EMV_ENDED, DP_EMV_REASON_CARD_ERROR, DP_EMV_UI_PROCESSING},
        {"gpo remove", DP_EMV_TRY_AGAIN, DP_EMV_REASON_CARD_GONE, DP_EMV_UI_PROCESSING},
        {"read-record remove", DP_EMV_TRY_AGAIN, DP_EMV_REASON_CARD_GONE, DP_EMV_UI_PROCESSING},
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        print_message("# %s\n", answers[i].script);
        open_card("qvsdc");
        sim_payment_script(&p, answers[i].script);
        sim_payment_expect(&p, answers[i].outcome, answers[i].reason);
        assert_true((p.ui_seen & 1U << answers[i].ui) != 0);
    }
}

/* A08 */
static void magnetic_stripe_mode_is_never_spoken(void **state)
{
    open_card("qvsdc");
    memset(p.aids[2].ttq, 0xFF, 4);
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_int_equal(sent_ttq()[0], 0x73); /* no MSD, no PIN, not offline only */
    assert_int_equal(sent_ttq()[1], 0x1F); /* nothing required, no offline PIN */
    assert_int_equal(sent_ttq()[2], 0x7F); /* no issuer update */
    open_card("qvsdc");
    sim_payment_script(&p, "gpo replace 80060080080101009000");
    sim_payment_expect(&p, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_CARD_DATA);
    open_card("qvsdc");
    sim_payment_script(&p, "gpo drop 9F26");
    sim_payment_expect(&p, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_CARD_DATA);
}

static void mandatory_elements_must_be_there(void **state)
{
    static const char *const scripts[] = {
        "gpo drop 82",           "gpo drop 9F36",         "gpo drop 9F10", "gpo tag 82 00",
        "gpo tag 94 08010101FF", "gpo tag 94 0800010000", "gpo cut 20",    "gpo replace 9000",
        "gpo replace 77009000",  "gpo replace 70009000",  "gpo pad 1",     "gpo poke 0 70",
    };
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        print_message("# %s\n", scripts[i]);
        open_card("qvsdc");
        sim_payment_script(&p, scripts[i]);
        assert_int_equal(sim_payment_run(&p), DP_OK);
        assert_true(p.result.outcome == DP_EMV_ENDED ||
                    p.result.outcome == DP_EMV_TRY_OTHER_INTERFACE);
        assert_false(p.result.went_online);
    }
}

static void without_cid_the_issuer_application_data_tell(void **state)
{
    open_card("qvsdc");
    sim_payment_script(&p, "gpo drop 9F27");
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.result.summary.cid, 0x40);
    open_card("qvsdc-online");
    sim_payment_script(&p, "gpo drop 9F27");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.result.summary.cid, 0x80);
    open_card("qvsdc");
    sim_payment_script(&p, "gpo drop 9F27\ngpo tag 9F10 0601");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CARD_DATA);
    open_card("qvsdc");
    sim_payment_script(&p, "gpo drop 9F27\ngpo tag 9F10 06010A04100000");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CARD_DATA);
}

static void a_cryptogram_of_no_type_is_declined(void **state)
{
    open_card("qvsdc");
    sim_payment_script(&p, "gpo tag 9F27 C0");
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_CARD_ERROR);
}

/* A07 and its kin: the answer must be bound to this terminal's number and qualifiers. */
static void a_pdol_without_number_or_qualifiers_is_not_served(void **state)
{
    open_with("qvsdc", "9F38 = 9F3704\n");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION);
    assert_null(sim_payment_command(&p, INS_GPO, 1, NULL));
    open_with("qvsdc", "9F38 = 9F6604\n");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION);
    assert_null(sim_payment_command(&p, INS_GPO, 1, NULL));
    open_with("qvsdc", "9F38 = 9F66029F3704\n");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION);
    open_with("qvsdc", "9F38 = 9F66049F3702\n");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CARD_DATA);
    assert_null(sim_payment_command(&p, INS_GPO, 1, NULL));
}

static void a_card_on_the_exception_list_is_not_approved_offline(void **state)
{
    open_card("qvsdc");
    p.policy.on_exception_list = true;
    sim_payment_expect(&p, DP_EMV_DECLINED, DP_EMV_REASON_POLICY);
    assert_true(sim_payment_tvr(&p, 0, 0x10));
}

static void cancelling_is_heard_before_the_card_has_answered(void **state)
{
    open_card("qvsdc");
    p.cancel_after = 1;
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CANCELLED);
    assert_int_equal(p.commands, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(approves_offline_with_fdda_within_its_own_ceiling),
        cmocka_unit_test(never_approves_offline_over_the_ceiling),
        cmocka_unit_test(floor_limit_and_policy_ask_for_an_online_cryptogram),
        cmocka_unit_test(sale_split_in_two_is_one_against_the_ceilings),
        cmocka_unit_test(a_card_that_is_not_yet_valid_is_declined_offline),
        cmocka_unit_test(a_tc_that_was_not_asked_for_is_declined),
        cmocka_unit_test(an_aac_dressed_as_a_tc_needs_a_signature_still),
        cmocka_unit_test(policy_can_still_decline_a_tc),
        cmocka_unit_test(an_expired_card_is_declined_offline),
        cmocka_unit_test(failed_authentication_is_never_approved_offline),
        cmocka_unit_test(qualifiers_say_what_follows_failed_authentication),
        cmocka_unit_test(two_cards_in_one_are_refused),
        cmocka_unit_test(an_online_payment_is_authenticated_too_and_its_cryptogram_verifies),
        cmocka_unit_test(without_oda_for_online_no_record_is_read),
        cmocka_unit_test(the_track_s_month_counts_where_no_record_is_read),
        cmocka_unit_test(without_track_2_in_the_answer_the_records_are_read),
        cmocka_unit_test(failed_authentication_goes_online_flagged_or_declines),
        cmocka_unit_test(an_arqc_without_a_link_is_deferred),
        cmocka_unit_test(what_is_not_fit_to_be_deferred_is_declined),
        cmocka_unit_test(the_cvm_limit_asks_for_a_verification),
        cmocka_unit_test(over_the_cvm_limit_without_any_is_declined),
        cmocka_unit_test(without_qualifiers_a_signature_is_asked_for),
        cmocka_unit_test(a_proven_device_cvm_counts),
        cmocka_unit_test(a_device_cvm_that_is_not_proven_is_flagged),
        cmocka_unit_test(a_device_cvm_that_is_not_proven_is_not_approved_offline),
        cmocka_unit_test(status_words_of_get_processing_options),
        cmocka_unit_test(magnetic_stripe_mode_is_never_spoken),
        cmocka_unit_test(mandatory_elements_must_be_there),
        cmocka_unit_test(without_cid_the_issuer_application_data_tell),
        cmocka_unit_test(a_cryptogram_of_no_type_is_declined),
        cmocka_unit_test(a_pdol_without_number_or_qualifiers_is_not_served),
        cmocka_unit_test(a_card_on_the_exception_list_is_not_approved_offline),
        cmocka_unit_test(cancelling_is_heard_before_the_card_has_answered),
    };
    return cmocka_run_group_tests_name("kernel 3", tests, NULL, NULL);
}
