/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A26: two payments from one tap of the button, or an old success replayed for a new sale. The
 * round app asks again under the same ServiceID: while the payment runs, after it, after kill -9,
 * after a power cut; and once with another request under it.
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

static void assert_same(const struct dp_pay_result *a, const struct dp_pay_result *b)
{
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->stan, b->stan);
    assert_int_equal(a->amount.minor, b->amount.minor);
    assert_memory_equal(a->tx, b->tx, sizeof a->tx);
    assert_string_equal(a->rrn, b->rrn);
}

static void second_press_joins_the_payment_that_runs(void **state)
{
    struct books b;
    (void)state;
    world_pay(&w, 1, "S1", AMOUNT);
    world_pay(&w, 2, "S1", AMOUNT);
    assert_int_equal(w.orders, 1);
    world_seen(&w);
    world_pay(&w, 3, "S1", AMOUNT);
    assert_int_equal(w.results_n, 0);
    world_ended(&w, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_int_equal(w.orders, 1);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_APPROVED);
    assert_same(world_result(&w, 1), world_result(&w, 2));
    assert_same(world_result(&w, 1), world_result(&w, 3));
    world_books(&w, &b);
    assert_int_equal(b.intents, 1);
    assert_int_equal(b.approved_amount, AMOUNT);
}

static void more_presses_than_can_wait_are_told_that_it_runs(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++)
        world_pay(&w, i, "S1", AMOUNT);
    assert_int_equal(w.orders, 1);
    assert_int_equal(world_result(&w, 19)->state, DP_PAY_IN_PROGRESS);
    world_tap_offline(&w);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(world_answers(&w, i), 1);
}

static void press_after_the_end_gets_the_same_answer(void **state)
{
    struct books b;
    (void)state;
    world_pay(&w, 1, "S1", AMOUNT);
    world_tap_offline(&w);
    world_pay(&w, 2, "S1", AMOUNT);
    world_kill(&w); /* kill -9 */
    world_pay(&w, 3, "S1", AMOUNT);
    world_power_on(&w, 7);
    world_pay(&w, 4, "S1", AMOUNT);
    assert_int_equal(w.orders, 1);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_APPROVED);
    for (unsigned i = 2; i <= 4; i++)
        assert_same(world_result(&w, 1), world_result(&w, i));
    world_books(&w, &b);
    assert_int_equal(b.intents, 1);
}

static void decline_is_kept_as_well(void **state)
{
    (void)state;
    world_pay(&w, 1, "S1", AMOUNT);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    world_kill(&w);
    world_pay(&w, 2, "S1", AMOUNT);
    assert_int_equal(w.orders, 1);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_DECLINED);
    assert_same(world_result(&w, 1), world_result(&w, 2));
}

static void payment_cut_short_is_not_begun_again(void **state)
{
    (void)state;
    world_pay(&w, 1, "S1", AMOUNT);
    world_seen(&w);
    world_kill(&w);
    world_pay(&w, 2, "S1", AMOUNT);
    assert_int_equal(w.orders, 1);
    assert_int_equal(world_result(&w, 2)->state, DP_PAY_DECLINED);
    assert_int_equal(world_result(&w, 2)->reason, DP_REASON_INTERRUPTED);
}

static void another_request_under_it_is_refused_and_never_gets_the_old_answer(void **state)
{
    struct dp_pay_request q;
    (void)state;
    world_pay(&w, 1, "S1", AMOUNT);
    world_pay(&w, 2, "S1", AMOUNT + 1); /* while it runs */
    assert_int_equal(world_result(&w, 2)->state, DP_PAY_REFUSED);
    assert_int_equal(world_result(&w, 2)->reason, DP_REASON_SERVICE_ID_REUSED);
    world_tap_offline(&w);
    world_pay(&w, 3, "S1", AMOUNT + 1);
    world_kill(&w);
    world_pay(&w, 4, "S1", AMOUNT + 1);
    q = world_request("S1", AMOUNT); /* same amount, other fingerprint: another parcel, say */
    q.fingerprint[31] ^= 1;
    dp_payment_pay(w.p, 5, &q);
    for (unsigned i = 3; i <= 5; i++) {
        assert_int_equal(world_result(&w, i)->state, DP_PAY_REFUSED);
        assert_int_equal(world_result(&w, i)->reason, DP_REASON_SERVICE_ID_REUSED);
        assert_int_equal(world_result(&w, i)->amount.minor, 0);
    }
    assert_int_equal(w.orders, 1);
}

static void same_sale_under_another_service_id_is_paid_already(void **state)
{
    struct dp_pay_request q;
    (void)state;
    world_pay(&w, 1, "S1", AMOUNT);
    world_tap_offline(&w);
    world_kill(&w);
    q = world_request("S2", AMOUNT);
    memcpy(q.sale_tx, "sale-S1", 8);
    dp_payment_pay(w.p, 2, &q);
    assert_int_equal(world_result(&w, 2)->reason, DP_REASON_ALREADY_PAID);
    assert_int_equal(w.orders, 1);
    world_reverse(&w, 3, "R1", world_result(&w, 1)->tx);
    dp_payment_pay(w.p, 4, &q); /* undone: it may be paid again */
    assert_int_equal(w.orders, 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(second_press_joins_the_payment_that_runs),
        TEST(more_presses_than_can_wait_are_told_that_it_runs),
        TEST(press_after_the_end_gets_the_same_answer),
        TEST(decline_is_kept_as_well),
        TEST(payment_cut_short_is_not_begun_again),
        TEST(another_request_under_it_is_refused_and_never_gets_the_old_answer),
        TEST(same_sale_under_another_service_id_is_paid_already),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
