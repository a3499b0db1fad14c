/* SPDX-License-Identifier: Apache-2.0 */
/* Store and forward: what goes next, what waits, when it is tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/acquirer/world.h"

#define FIRST_MS   30000
#define MAX_MS     600000
#define TIMEOUT_MS 20000

static struct world w;
static struct dp_acquirer_answer answer;
static struct dp_acquirer_job job;
static uint8_t p[DP_ISO8583_MESSAGE_MAX], tx[16];

static int begin(void **state)
{
    memset(&w, 0, sizeof w);
    world_begin(&w);
    return 0;
}

static int end(void **state)
{
    world_end(&w);
    return 0;
}

static void answered(unsigned action, enum dp_acquirer_kind wanted)
{
    assert_int_equal(world_answer(&w, p, host_reply(&w, w.sent, w.sent_n, action, p), &answer),
                     wanted);
}

static int64_t wait_at(int64_t now)
{
    struct dp_acquirer_job next;
    int64_t wait = -2;
    dp_acquirer_next(w.a, now, &next, &wait);
    assert_true(wait == 0 || next.kind == DP_ACQUIRER_JOB_NONE);
    return wait;
}

static void assert_job(int64_t now, enum dp_acquirer_job_kind kind, unsigned number)
{
    assert_int_equal(world_forward(&w, now, &job), kind);
    world_tx(number, tx);
    if (kind != DP_ACQUIRER_JOB_NONE)
        assert_memory_equal(job.record.tx, tx, 16);
}

static bool unsent(unsigned number)
{
    world_tx(number, tx);
    return dp_acquirer_is_unsent(w.a, tx);
}

static uint32_t captured(unsigned number)
{
    world_tx(number, tx);
    return dp_acquirer_captured_stan(w.a, tx);
}

static void start_again(void)
{
    struct dp_acquirer *again = world_rebuild(&w);
    dp_acquirer_free(&w.a);
    w.a = again;
}

/* ---- order ---- */

static void nothing_queued_is_nothing_to_wait_for(void **state)
{
    assert_int_equal(wait_at(0), -1);
}

static void reversals_go_first_then_the_oldest(void **state)
{
    uint32_t stan;
    (void)world_offline(&w, 1, 100);
    (void)world_offline(&w, 2, 200);
    stan = world_online(&w, 3, 300);
    (void)world_reverse(&w, 3, stan, 4021);
    assert_job(0, DP_ACQUIRER_JOB_REVERSAL, 3);
    answered(400, DP_ACQUIRER_REVERSAL);
    assert_job(0, DP_ACQUIRER_JOB_ADVICE, 1);
    answered(0, DP_ACQUIRER_ADVICE);
    assert_job(0, DP_ACQUIRER_JOB_ADVICE, 2);
    answered(0, DP_ACQUIRER_ADVICE);
    assert_int_equal(wait_at(0), -1);
}

static void an_advice_goes_before_its_own_reversal(void **state)
{
    uint32_t stan = world_offline(&w, 1, 100);
    (void)world_offline(&w, 2, 200);
    assert_job(0, DP_ACQUIRER_JOB_ADVICE, 1); /* it may have been heard: a VOID is too late */
    (void)world_reverse(&w, 1, stan, 4000);
    assert_false(unsent(1)); /* and stays so: what is reversed is not void too */
    assert_int_equal(captured(1), 0);
    assert_job(1, DP_ACQUIRER_JOB_ADVICE, 2);
    answered(0, DP_ACQUIRER_ADVICE);
    assert_job(1, DP_ACQUIRER_JOB_NONE, 0);
    assert_job(TIMEOUT_MS + FIRST_MS + 1, DP_ACQUIRER_JOB_ADVICE, 1);
    assert_int_equal(job.repeat, 1);
    answered(0, DP_ACQUIRER_ADVICE);
    assert_job(TIMEOUT_MS + FIRST_MS + 1, DP_ACQUIRER_JOB_REVERSAL, 1);
    answered(400, DP_ACQUIRER_REVERSAL);
    assert_int_equal(wait_at(INT32_MAX), -1);
}

static void a_deferred_payment_is_asked_again_under_a_new_stan_after_its_reversal(void **state)
{
    uint32_t first, second;
    world_deferred(&w, 1, 100);
    assert_job(0, DP_ACQUIRER_JOB_DEFERRED, 1);
    first = job.record.stan;
    assert_int_equal(captured(1), first);           /* it may have been */
    assert_job(INT32_MAX, DP_ACQUIRER_JOB_NONE, 0); /* in flight: nothing of it overtakes */
    (void)world_reverse(&w, 1, first, 4021);
    dp_acquirer_failed(w.a, &job, 0);
    dp_acquirer_kick(w.a);
    assert_job(1, DP_ACQUIRER_JOB_REVERSAL, 1);
    assert_job(2, DP_ACQUIRER_JOB_NONE, 0); /* the payment is due, its reversal not yet again */
    dp_acquirer_kick(w.a);
    assert_job(1, DP_ACQUIRER_JOB_REVERSAL, 1); /* still not answered: not asked again yet */
    answered(400, DP_ACQUIRER_REVERSAL);
    assert_job(1, DP_ACQUIRER_JOB_DEFERRED, 1);
    second = job.record.stan;
    assert_int_not_equal(first, second);
    assert_int_equal(job.repeat, 0);
    answered(0, DP_ACQUIRER_DEFERRED);
    assert_int_equal(captured(1), second);
    assert_int_equal(wait_at(INT32_MAX), -1);
}

/* A host that takes reversals and never answers a request: what was taken back makes room. */
static void a_deferred_payment_may_be_asked_for_ever(void **state)
{
    world_deferred(&w, 1, 100);
    for (unsigned i = 0; i < DP_ACQUIRER_MESSAGES_MAX / 2 + 10; i++) {
        dp_acquirer_kick(w.a);
        assert_job(1, DP_ACQUIRER_JOB_DEFERRED, 1);
        (void)world_reverse(&w, 1, job.record.stan, 4021);
        dp_acquirer_failed(w.a, &job, 0);
        dp_acquirer_kick(w.a);
        assert_job(1, DP_ACQUIRER_JOB_REVERSAL, 1);
        answered(400, DP_ACQUIRER_REVERSAL);
    }
    dp_acquirer_kick(w.a);
    assert_job(1, DP_ACQUIRER_JOB_DEFERRED, 1);
    answered(0, DP_ACQUIRER_DEFERRED);
    assert_int_equal(captured(1), job.record.stan);
}

static void a_payment_deferred_after_a_time_out_waits_for_the_reversal(void **state)
{
    uint32_t stan = world_online(&w, 1, 100);
    (void)world_reverse(&w, 1, stan, 4021);
    world_deferred(&w, 1, 100);
    assert_job(0, DP_ACQUIRER_JOB_REVERSAL, 1);
    dp_acquirer_kick(w.a);
    assert_job(1, DP_ACQUIRER_JOB_REVERSAL, 1);
    answered(400, DP_ACQUIRER_REVERSAL);
    assert_job(1, DP_ACQUIRER_JOB_DEFERRED, 1);
}

static void a_declined_deferred_payment_is_asked_no_more(void **state)
{
    world_deferred(&w, 1, 100);
    assert_job(0, DP_ACQUIRER_JOB_DEFERRED, 1);
    answered(116, DP_ACQUIRER_DEFERRED);
    assert_false(answer.approved);
    assert_int_equal(wait_at(INT32_MAX), -1);
    assert_int_equal(captured(1), 0);
    assert_false(unsent(1));
}

/* ---- void or reversal ---- */

static void an_unsent_sale_can_be_void_and_a_sent_one_not(void **state)
{
    struct dp_record r;
    (void)world_offline(&w, 1, 100);
    world_deferred(&w, 2, 100);
    assert_true(unsent(1) && unsent(2));
    assert_int_equal(captured(1), 0);
    assert_int_equal(captured(2), 0);
    assert_false(unsent(3));
    for (unsigned i = 1; i <= 2; i++) {
        world_record(&w, DP_RECORD_VOID, i, 100, &r);
        memcpy(r.original_tx, r.tx, 16);
        r.has_original_tx = true;
        world_see(&w, &r);
        assert_false(unsent(i));
    }
    assert_int_equal(wait_at(0), -1);
    (void)world_offline(&w, 4, 100);
    assert_job(0, DP_ACQUIRER_JOB_ADVICE, 4);
    assert_false(unsent(4));
    assert_int_equal(captured(4), job.record.stan);
}

static void after_a_restart_what_was_queued_may_have_left(void **state)
{
    uint32_t stan = world_offline(&w, 1, 100);
    world_deferred(&w, 2, 100);
    start_again();
    assert_false(unsent(1)); /* no record says that it was not sent */
    assert_true(unsent(2));  /* before it is sent there would be a REQUESTED */
    assert_int_equal(captured(1), stan);
    assert_job(0, DP_ACQUIRER_JOB_ADVICE, 1);
    assert_int_equal(job.repeat, 1);
}

static void what_was_not_sent_or_is_reversed_already_is_not_reversed(void **state)
{
    struct dp_record r;
    uint32_t stan;
    memset(&r, 0, sizeof r);
    world_tx(1, tx);
    assert_int_equal(dp_acquirer_fill_reversal(w.a, tx, 1, 4000, &r), DP_ERR_NOT_FOUND);
    stan = world_offline(&w, 1, 100);
    assert_int_equal(dp_acquirer_fill_reversal(w.a, tx, stan, 4000, &r), DP_ERR_NOT_FOUND);
    world_tx(2, tx);
    stan = world_online(&w, 2, 100);
    (void)snprintf(r.tid, sizeof r.tid, "T9999999");
    assert_int_equal(dp_acquirer_fill_reversal(w.a, tx, stan, 4021, &r), DP_OK);
    assert_string_equal(r.tid, WORLD_TID); /* the host knows it by the sale's terminal */
    assert_int_equal(dp_acquirer_fill_reversal(w.a, tx, stan + 1, 4000, &r), DP_ERR_NOT_FOUND);
    (void)world_reverse(&w, 2, stan, 4021);
    assert_int_equal(dp_acquirer_fill_reversal(w.a, tx, stan, 4021, &r), DP_ERR_DUPLICATE);
    assert_int_equal(captured(2), 0);
    stan = world_online(&w, 3, 100);
    world_outcome(&w, 3, 100, stan, false);
    world_tx(3, tx);
    assert_int_equal(dp_acquirer_fill_reversal(w.a, tx, stan, 4000, &r), DP_ERR_NOT_FOUND);
}

/* ---- back-off ---- */

static void the_first_copy_is_due_at_once_and_the_next_within_the_back_off(void **state)
{
    static const uint32_t draws[] = {0, 1, 29999, 30000, 123456789, UINT32_MAX};
    for (unsigned i = 0; i < sizeof draws / sizeof draws[0]; i++) {
        int64_t now = 1000, most = FIRST_MS;
        w.drawn = draws[i];
        (void)world_offline(&w, i, 100);
        for (int attempt = 0; attempt < 12; attempt++) {
            int64_t wait;
            assert_job(now, DP_ACQUIRER_JOB_ADVICE, i);
            assert_int_equal(job.repeat, attempt);
            wait = wait_at(now);
            assert_in_range(wait, TIMEOUT_MS + 1, TIMEOUT_MS + most);
            now += TIMEOUT_MS;
            dp_acquirer_failed(w.a, &job, now);
            wait = wait_at(now);
            assert_in_range(wait, 1, most);
            assert_int_equal(wait, 1 + draws[i] % most);
            assert_int_equal(wait_at(now + wait - 1), 1);
            now += wait;
            most = most * 2 > MAX_MS ? MAX_MS : most * 2;
        }
        assert_job(now, DP_ACQUIRER_JOB_ADVICE, i);
        answered(0, DP_ACQUIRER_ADVICE);
    }
}

static void without_randomness_the_longest_wait_is_taken(void **state)
{
    (void)world_offline(&w, 1, 100);
    w.random_fails = true;
    assert_job(0, DP_ACQUIRER_JOB_ADVICE, 1);
    dp_acquirer_failed(w.a, &job, 0);
    assert_int_equal(wait_at(0), FIRST_MS);
}

static void a_kick_makes_all_due_and_starts_the_back_off_afresh(void **state)
{
    w.drawn = UINT32_MAX;
    (void)world_offline(&w, 1, 100);
    for (int i = 0; i < 8; i++) {
        dp_acquirer_kick(w.a);
        assert_job(0, DP_ACQUIRER_JOB_ADVICE, 1);
        dp_acquirer_failed(w.a, &job, 0);
        assert_in_range(wait_at(0), 1, FIRST_MS);
    }
}

static void a_message_that_cannot_be_made_backs_off_too(void **state)
{
    int64_t wait = 0;
    (void)world_offline(&w, 1, 100);
    dp_acquirer_next(w.a, 0, &job, &wait);
    assert_int_equal(job.kind, DP_ACQUIRER_JOB_ADVICE);
    dp_acquirer_failed(w.a, &job, 0);
    assert_in_range(wait_at(0), 1, FIRST_MS);
    assert_true(unsent(1)); /* it never left */
}

static void after_the_most_repeats_it_rests_until_somebody_asks(void **state)
{
    world_end(&w);
    w.repeat_max = 2;
    world_begin(&w);
    (void)world_offline(&w, 1, 100);
    for (int i = 0; i < 3; i++)
        assert_job((int64_t)i * 10000000, DP_ACQUIRER_JOB_ADVICE, 1);
    assert_job(INT32_MAX, DP_ACQUIRER_JOB_NONE, 0);
    struct dp_acquirer_unsent u;
    dp_acquirer_unsent(w.a, &u);
    assert_int_equal(u.n, 1); /* kept, and shown */
    dp_acquirer_kick(w.a);
    assert_job(0, DP_ACQUIRER_JOB_ADVICE, 1);
    assert_int_equal(job.repeat, 3);
}

/* ---- how much ---- */

static void unsent_counts_what_waits(void **state)
{
    struct dp_acquirer_unsent u;
    int64_t first = w.wall_ms;
    uint32_t stan;
    (void)world_offline(&w, 1, 100);
    w.wall_ms += 60000;
    world_deferred(&w, 2, 250);
    stan = world_online(&w, 3, 4000);
    (void)world_reverse(&w, 3, stan, 4021);
    (void)world_online(&w, 4, 9999); /* at the door: not stored */
    dp_acquirer_unsent(w.a, &u);
    assert_int_equal(u.n, 3);
    assert_int_equal(u.amount, 350);
    assert_int_equal(u.oldest_wall_ms, first);
}

static void a_full_queue_takes_no_new_sale_but_every_reversal(void **state)
{
    struct dp_record r;
    uint32_t stan = world_online(&w, 1, 100);
    for (unsigned i = 0; i < DP_ACQUIRER_QUEUE_MAX; i++)
        (void)world_offline(&w, 10 + i, 100);
    world_record(&w, DP_RECORD_OUTCOME, 5000, 100, &r);
    r.mode = DP_MODE_OFFLINE;
    assert_int_equal(dp_acquirer_fill_advice(w.a, &r), DP_ERR_LIMIT);
    r.mode = DP_MODE_ONLINE;
    assert_int_equal(dp_acquirer_fill_online(w.a, &r), DP_ERR_LIMIT);
    (void)world_reverse(&w, 1, stan, 4021);
}

static void old_sales_make_room_and_what_waits_stays(void **state)
{
    uint32_t waiting = world_offline(&w, 1, 100);
    for (unsigned i = 0; i < DP_ACQUIRER_MESSAGES_MAX + 100; i++) {
        uint32_t stan = world_online(&w, 10 + i, 100);
        world_outcome(&w, 10 + i, 100, stan, true);
    }
    assert_int_equal(captured(10), 0); /* forgotten */
    assert_int_not_equal(captured(DP_ACQUIRER_MESSAGES_MAX), 0);
    assert_job(0, DP_ACQUIRER_JOB_ADVICE, 1);
    assert_int_equal(job.record.stan, waiting);
}

#define UNIT(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(nothing_queued_is_nothing_to_wait_for),
        UNIT(reversals_go_first_then_the_oldest),
        UNIT(an_advice_goes_before_its_own_reversal),
        UNIT(a_deferred_payment_is_asked_again_under_a_new_stan_after_its_reversal),
        UNIT(a_deferred_payment_may_be_asked_for_ever),
        UNIT(a_payment_deferred_after_a_time_out_waits_for_the_reversal),
        UNIT(a_declined_deferred_payment_is_asked_no_more),
        UNIT(an_unsent_sale_can_be_void_and_a_sent_one_not),
        UNIT(after_a_restart_what_was_queued_may_have_left),
        UNIT(what_was_not_sent_or_is_reversed_already_is_not_reversed),
        UNIT(the_first_copy_is_due_at_once_and_the_next_within_the_back_off),
        UNIT(without_randomness_the_longest_wait_is_taken),
        UNIT(a_kick_makes_all_due_and_starts_the_back_off_afresh),
        UNIT(a_message_that_cannot_be_made_backs_off_too),
        UNIT(after_the_most_repeats_it_rests_until_somebody_asks),
        UNIT(unsent_counts_what_waits),
        UNIT(a_full_queue_takes_no_new_sale_but_every_reversal),
        UNIT(old_sales_make_room_and_what_waits_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
