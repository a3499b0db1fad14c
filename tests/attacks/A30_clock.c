/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A30: the clock is set back, so that limits do not run out; or forward, so that money is given up;
 * or it is the year 2038. The wall clock lies beside a monotonic clock that does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/payment/world.h"

#define HOUR_MS      INT64_C(3600000)
#define DAY_MS       (24 * HOUR_MS)
#define YEAR_MS      (365 * DAY_MS)
#define AMOUNT       2350
#define OVER_2038_MS INT64_C(2147483647500) /* half a second before 32 bits of seconds are over */
#define FAR_S        UINT64_C(4102444800)

static struct world w;

static int set_up(void **state)
{
    (void)state;
    world_make(&w); /* the last sync may be a day old at most; the set is good for years */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

static int64_t sync_left_s(void)
{
    struct dp_diagnosis d;
    dp_payment_diagnose(w.p, &d);
    return d.headroom.sync_left_s;
}

static void assert_refused(uint64_t request, const char *service, enum dp_reason reason)
{
    world_pay(&w, request, service, AMOUNT);
    assert_int_equal(world_result(&w, request)->state, DP_PAY_REFUSED);
    assert_int_equal(world_result(&w, request)->reason, reason);
}

static void sign_on(void)
{
    dp_payment_link_up(w.p, true);
    assert_true(world_answer(&w, 800));
}

static void set_back_earns_no_time_without_a_link(void **state)
{
    (void)state;
    w.now += 23 * HOUR_MS;
    world_pay(&w, 1, "S1", AMOUNT);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_APPROVED);
    w.clock_wrong_ms = -HOUR_MS / 2; /* a little: what the journal proves goes on counting */
    assert_true(sync_left_s() <= 3600);
    w.now += 2 * HOUR_MS;
    assert_int_equal(sync_left_s(), 0);
    assert_refused(2, "S2", DP_REASON_LIMIT_SYNC);
    w.clock_wrong_ms = -22 * HOUR_MS; /* a lot: it is known to be wrong */
    assert_int_equal(sync_left_s(), 0);
    assert_refused(3, "S3", DP_REASON_LIMIT_SYNC);
}

static void set_back_before_a_restart_earns_no_time_either(void **state)
{
    (void)state;
    w.now += 23 * HOUR_MS;
    world_pay(&w, 1, "S1", AMOUNT);
    world_tap_offline(&w);
    w.now += 10 * HOUR_MS;
    w.clock_wrong_ms = -32 * HOUR_MS;
    world_kill(&w);
    assert_int_equal(sync_left_s(), 0);
    assert_refused(2, "S2", DP_REASON_LIMIT_SYNC);
}

static void set_back_does_not_renew_parameters_that_are_over(void **state)
{
    (void)state;
    sign_on();
    w.params->valid_to = (uint64_t)(w.now + HOUR_MS) / 1000;
    w.now += HOUR_MS / 2;
    world_pay(&w, 1, "S1", AMOUNT);
    world_seen(&w);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    w.now += HOUR_MS;
    w.clock_wrong_ms = -HOUR_MS;
    assert_refused(2, "S2", DP_REASON_PARAMS);
}

static void card_is_told_no_day_that_is_over(void **state)
{
    (void)state;
    w.now += 5 * HOUR_MS + 5 * HOUR_MS / 6; /* 0:43 at the terminal */
    world_pay(&w, 1, "S1", AMOUNT);
    assert_int_equal(w.order.transaction.local.day, 25);
    world_tap_offline(&w);
    w.clock_wrong_ms = -5 * HOUR_MS / 6; /* a card that expired yesterday would be good again */
    world_pay(&w, 2, "S2", AMOUNT);
    assert_int_equal(w.orders, 2);
    assert_int_equal(w.order.transaction.local.day, 25);
}

static void answer_of_the_acquirer_heals_a_clock_that_had_run_ahead(void **state)
{
    (void)state;
    w.clock_wrong_ms = YEAR_MS;
    assert_refused(1, "S1", DP_REASON_LIMIT_SYNC);
    sign_on();
    world_pay(&w, 2, "S2", AMOUNT);
    world_seen(&w);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    w.clock_wrong_ms = 0;
    dp_payment_link_up(w.p, false);
    assert_refused(3, "S3", DP_REASON_LIMIT_SYNC); /* nobody knows which was wrong */
    sign_on();
    dp_payment_link_up(w.p, false);
    world_pay(&w, 4, "S4", AMOUNT);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 4)->state, DP_PAY_APPROVED);
}

static void set_forward_gives_up_no_money(void **state)
{
    struct books b;
    (void)state;
    world_pay(&w, 1, "S1", AMOUNT);
    world_tap_deferred(&w);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_APPROVED);
    w.clock_wrong_ms = 12 * YEAR_MS;
    for (int i = 0; i < 5; i++)
        (void)dp_payment_tick(w.p);
    assert_int_equal(world_status(&w, "S1").forward, DP_FORWARD_PENDING);
    sign_on();
    world_forward_all(&w, 0); /* it is asked for, and the acquirer says yes */
    assert_int_equal(world_status(&w, "S1").forward, DP_FORWARD_ACCEPTED);
    world_books(&w, &b);
    assert_int_equal(b.approved_amount, AMOUNT);
}

/* The sequence orders them, and both clocks stand beside it: the jump can be seen. */
static void jump_stands_in_the_journal_and_orders_nothing(void **state)
{
    struct books b;
    struct dp_record first;
    (void)state;
    world_pay(&w, 1, "S1", AMOUNT);
    world_tap_offline(&w);
    world_books(&w, &b);
    first = b.last_outcome;
    w.now += HOUR_MS;
    w.clock_wrong_ms = -100 * DAY_MS;
    sign_on();
    world_pay(&w, 2, "S2", AMOUNT);
    world_seen(&w);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    world_books(&w, &b); /* verified, with the token's anchor */
    assert_true(b.last_outcome.seq > first.seq);
    assert_true(b.last_outcome.wall_ms < first.wall_ms);
    assert_true(b.last_outcome.mono_ms > first.mono_ms);
    world_kill(&w);
    assert_int_equal(world_status(&w, "S1").state, DP_PAY_APPROVED);
    assert_int_equal(world_status(&w, "S2").state, DP_PAY_DECLINED);
}

static void seconds_do_not_run_over_in_2038(void **state)
{
    static struct dp_iso8583_message m;
    struct dp_iso8583_error error = {0};
    struct books b;
    (void)state;
    w.params->valid_to = FAR_S;
    w.now = OVER_2038_MS;
    sign_on();
    w.now += 1000;
    world_pay(&w, 1, "S1", AMOUNT);
    assert_int_equal(w.order.transaction.local.year, 2038);
    assert_int_equal(w.order.transaction.local.month, 1);
    assert_int_equal(w.order.transaction.local.day, 19);
    world_seen(&w);
    world_wants_online(&w);
    assert_int_equal(
        dp_iso8583_unpack(dp_iso8583_profile("iso93-pos"), w.sent, w.sent_n, &m, &error), DP_OK);
    assert_memory_equal(dp_iso8583_get(&m, 12).p, "380119", 6);
    assert_true(world_answer(&w, 0));
    world_ended(&w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_APPROVED);
    dp_payment_link_up(w.p, false);
    world_pay(&w, 2, "S2", AMOUNT);
    world_tap_deferred(&w);
    assert_int_equal(world_result(&w, 2)->state, DP_PAY_APPROVED);
    world_kill(&w);
    assert_int_equal(world_status(&w, "S2").forward, DP_FORWARD_PENDING);
    world_books(&w, &b);
    assert_true(b.last_outcome.wall_ms > (uint64_t)INT32_MAX * 1000);
    assert_true(b.last_outcome.deferred_until > b.last_outcome.wall_ms);
    assert_int_equal(b.last_outcome.business_date, 20380119);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(set_back_earns_no_time_without_a_link),
        TEST(set_back_before_a_restart_earns_no_time_either),
        TEST(set_back_does_not_renew_parameters_that_are_over),
        TEST(card_is_told_no_day_that_is_over),
        TEST(answer_of_the_acquirer_heals_a_clock_that_had_run_ahead),
        TEST(set_forward_gives_up_no_money),
        TEST(jump_stands_in_the_journal_and_orders_nothing),
        TEST(seconds_do_not_run_over_in_2038),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
