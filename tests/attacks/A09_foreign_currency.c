/* SPDX-License-Identifier: Apache-2.0 */
/* A09: an amount in a foreign currency, for which the card's own limits do not hold (Emms 2014).
 * The currency in every list is the transaction's, whatever the card puts beside it, and amounts in
 * the card's currency decide nothing about ours. */
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

/* No verification below X in the application's currency (X is very much), else fail. */
#define BELOW_X "8E = 7FFFFFFF000000001F060000"
/* A record brings the terminal's elements: currency, amount, country. */
#define OWN_RECORDS                                                                                \
    "5F2A = 0752\n9F02 = 000000000001\n9F1A = 0752\n"                                              \
    "record 1 1 = 57 5F20 5F30 5F2A 9F02 9F1A\n"                                                   \
    "record 2 1 signed = 5A 5F24 5F25 5F28 5F34 9F07 8E 9F0D 9F0E 9F0F 9F4A\n"                     \
    "record 2 2 = 8C 8D 9F08 9F42 9F44 9F49\nrecord 3 1 = 8F 9F32 92 90\n"                         \
    "record 3 2 = 9F47 9F48 9F46\n"

static void told_is(struct dp_bytes emv, uint32_t tag, const char *bytes, size_t n)
{
    struct dp_bytes v;
    assert_int_equal(dp_tlv_find(emv, tag, &v), DP_OK);
    assert_int_equal(v.n, n);
    assert_memory_equal(v.p, bytes, n);
}

/* CDOL1 of the simulated cards: 9F02 06, 9F03 06, 9F1A 02, 95 05, 5F2A 02, ... */
static void currency_is_the_transactions_own(void **state)
{
    static const struct {
        uint16_t currency;
        const char *bytes;
    } asked[] = {{978, "\x09\x78"}, {840, "\x08\x40"}, {752, "\x07\x52"}};
    (void)state;
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        struct dp_bytes emv = {p.online_emv, 0};
        const uint8_t *c;
        size_t n = 0;
        sim_payment_open_with(&p, "cda-online", OWN_RECORDS);
        p.transaction.amount.currency = asked[i].currency;
        assert_int_equal(sim_payment_run(&p), DP_OK);
        c = sim_payment_command(&p, 0xAE, 1, &n);
        assert_non_null(c);
        assert_true(n > 5 + 21);
        assert_memory_equal(c + 5, "\0\0\0\0\x23\x50", 6);
        assert_memory_equal(c + 5 + 12, "\x00\x56", 2);
        assert_memory_equal(c + 5 + 19, asked[i].bytes, 2);
        emv.n = p.online_emv_n;
        told_is(emv, 0x5F2A, asked[i].bytes, 2);
        told_is(emv, 0x9F1A, "\x00\x56", 2);
        told_is(emv, 0x9F02, "\0\0\0\0\x23\x50", 6);
    }
}

static void foreign_amount_is_below_no_limit_of_the_cards(void **state)
{
    (void)state;
    sim_payment_open_with(&p, "cda-offline", BELOW_X);
    p.transaction.amount.currency = 840;
    assert_int_equal(sim_payment_run(&p), DP_OK);
    assert_true(p.result.outcome != DP_EMV_APPROVED_OFFLINE);
    assert_true(sim_payment_tvr(&p, 2, 0x80));
    assert_int_equal(p.result.summary.cvm_results[2], 0x01);
    /* nor with the card's currency rewritten: that is not what it signed nor what matters */
    sim_payment_open_with(&p, "cda-offline", BELOW_X);
    p.transaction.amount.currency = 752;
    sim_payment_script_file(&p, "foreign-currency");
    assert_int_equal(sim_payment_run(&p), DP_OK);
    assert_true(p.result.outcome != DP_EMV_APPROVED_OFFLINE);
    assert_true(sim_payment_tvr(&p, 2, 0x80));
}

static void in_the_cards_currency_the_limit_counts(void **state)
{
    (void)state;
    sim_payment_open_with(&p, "cda-offline", BELOW_X);
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.result.summary.cvm_results[0], 0x1F);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(currency_is_the_transactions_own),
        cmocka_unit_test(foreign_amount_is_below_no_limit_of_the_cards),
        cmocka_unit_test(in_the_cards_currency_the_limit_counts),
    };
    return cmocka_run_group_tests_name("A09", tests, NULL, NULL);
}
