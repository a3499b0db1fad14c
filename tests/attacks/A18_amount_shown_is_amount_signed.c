/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A18: the amount shown is not the amount signed. The card process is subverted: it lets the card
 * sign another amount, currency, day or challenge than the sale's, and reports an approval.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/payment/world.h"

#define AMOUNT 2350

static struct world w;

static int set_up(void **state)
{
    (void)state;
    world_make(&w);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

static void link_up(void)
{
    dp_payment_link_up(w.p, true);
    assert_true(world_answer(&w, 800));
}

static void assert_inconsistent(uint64_t request)
{
    struct books b;
    assert_int_equal(world_result(&w, request)->state, DP_PAY_DECLINED);
    assert_int_equal(world_result(&w, request)->reason, DP_REASON_INCONSISTENT);
    world_books(&w, &b);
    assert_int_equal(b.approved_amount, 0);
    assert_int_equal(b.open, 0);
}

static void amount_is_one_from_the_sale_to_the_message(void **state)
{
    static struct dp_iso8583_message m;
    struct dp_iso8583_error error = {0};
    struct books b;
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", AMOUNT);
    assert_int_equal(w.order.transaction.amount.minor, AMOUNT);
    assert_int_equal(w.order.transaction.amount.currency, 978);
    world_seen(&w);
    world_wants_online(&w);
    assert_int_equal(
        dp_iso8583_unpack(dp_iso8583_profile("iso93-pos"), w.sent, w.sent_n, &m, &error), DP_OK);
    assert_memory_equal(dp_iso8583_get(&m, 4).p, "000000002350", 12);
    assert_memory_equal(dp_iso8583_get(&m, 49).p, "978", 3);
    assert_true(world_answer(&w, 0));
    world_ended(&w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_APPROVED);
    assert_int_equal(world_result(&w, 1)->amount.minor, AMOUNT);
    world_books(&w, &b);
    assert_int_equal(b.last_requested.amount.minor, AMOUNT);
    assert_int_equal(b.last_outcome.amount.minor, AMOUNT);
}

static void another_amount_signed_is_not_approved_without_a_link(void **state)
{
    (void)state;
    w.emv_amount = 100;
    world_pay(&w, 1, "S1", AMOUNT);
    world_tap_offline(&w);
    assert_inconsistent(1);
    world_pay(&w, 2, "S2", AMOUNT);
    world_tap_deferred(&w);
    assert_inconsistent(2);
}

static void another_amount_signed_is_not_asked_for(void **state)
{
    unsigned sends;
    (void)state;
    link_up();
    sends = w.sends;
    w.emv_amount = 235000;
    world_pay(&w, 1, "S1", AMOUNT);
    world_seen(&w);
    world_wants_online(&w);
    assert_int_equal(w.sends, sends);
    assert_false(w.online.online);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    assert_inconsistent(1);
}

static void another_amount_at_the_second_cryptogram_is_taken_back(void **state)
{
    struct books b;
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", AMOUNT);
    world_seen(&w);
    world_wants_online(&w);
    assert_true(world_answer(&w, 0));
    w.emv_amount = 1;
    world_ended(&w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_inconsistent(1);
    world_books(&w, &b);
    assert_int_equal(b.reversals, 1);
}

static void another_challenge_or_kind_of_cryptogram_is_not_approved(void **state)
{
    (void)state;
    w.emv_un_flip = 1; /* a cryptogram made before, for another challenge */
    world_pay(&w, 1, "S1", AMOUNT);
    world_tap_offline(&w);
    assert_inconsistent(1);
    w.emv_un_flip = 0;
    w.emv_cid = 0x80; /* an ARQC dressed as a TC */
    world_pay(&w, 2, "S2", AMOUNT);
    world_tap_offline(&w);
    assert_inconsistent(2);
    w.emv_cid = 0x40; /* and the reverse */
    world_pay(&w, 3, "S3", AMOUNT);
    world_tap_deferred(&w);
    assert_inconsistent(3);
    w.emv_cid = 0;
    world_pay(&w, 4, "S4", AMOUNT);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 4)->state, DP_PAY_APPROVED);
}

static void another_card_than_the_one_judged_is_not_approved(void **state)
{
    (void)state;
    world_pay(&w, 1, "S1", AMOUNT);
    world_seen(&w);
    memcpy(w.last4, "0026", 5);
    world_ended(&w, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_inconsistent(1);
    world_pay(&w, 2, "S2", AMOUNT);
    world_ended(&w, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE); /* no second policy step at all */
    assert_inconsistent(2);
}

static void card_numbers_in_emv_data_reach_no_record(void **state)
{
    struct books b;
    (void)state;
    w.emv_forbidden = true;
    world_pay(&w, 1, "S1", AMOUNT);
    world_tap_offline(&w);
    assert_inconsistent(1);
    world_books(&w, &b);
    assert_int_equal(b.last_outcome.emv_n, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(amount_is_one_from_the_sale_to_the_message),
        TEST(another_amount_signed_is_not_approved_without_a_link),
        TEST(another_amount_signed_is_not_asked_for),
        TEST(another_amount_at_the_second_cryptogram_is_taken_back),
        TEST(another_challenge_or_kind_of_cryptogram_is_not_approved),
        TEST(another_card_than_the_one_judged_is_not_approved),
        TEST(card_numbers_in_emv_data_reach_no_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
