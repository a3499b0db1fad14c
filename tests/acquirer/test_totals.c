/* SPDX-License-Identifier: Apache-2.0 */
/* Totals by batch, network messages, and numbers that wrap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/acquirer/world.h"

static struct world w;
static struct dp_iso8583_message m;
static struct dp_acquirer_answer answer;
static struct dp_acquirer_job job;
static uint8_t p[DP_ISO8583_MESSAGE_MAX];

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
    enum dp_acquirer_kind kind =
        world_answer(&w, p, host_reply(&w, w.sent, w.sent_n, action, p), &answer);
    if (kind != wanted)
        fail_msg("kind %d, wanted %d: %s", kind, wanted, answer.why == NULL ? "" : answer.why);
}

static uint32_t approved(unsigned number, int64_t amount)
{
    uint32_t stan = world_online(&w, number, amount);
    answered(0, DP_ACQUIRER_ONLINE);
    world_outcome(&w, number, amount, stan, true);
    return stan;
}

static void assert_batch(uint32_t batch, uint64_t sales, uint64_t amount, uint64_t reversals,
                         uint64_t reversed)
{
    struct dp_acquirer_batch b;
    dp_acquirer_batch(w.a, &b);
    assert_int_equal(b.batch, batch);
    assert_int_equal(b.sales_n, sales);
    assert_int_equal(b.sales_amount, amount);
    assert_int_equal(b.reversals_n, reversals);
    assert_int_equal(b.reversals_amount, reversed);
}

static void settle(unsigned action)
{
    struct dp_record r;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_SETTLED;
    assert_int_equal(dp_acquirer_pack_totals(w.a, &r, w.sent, sizeof w.sent, &w.sent_n), DP_OK);
    answered(action, DP_ACQUIRER_TOTALS);
    assert_int_equal(answer.approved, action == 500);
    (void)snprintf(r.action_code, sizeof r.action_code, "%03u", action % 1000);
    world_see(&w, &r);
}

/* ---- counting ---- */

static void only_what_is_captured_counts(void **state)
{
    uint32_t stan;
    assert_batch(1, 0, 0, 0, 0);
    (void)approved(1, 1000);
    assert_batch(1, 1, 1000, 0, 0);
    stan = world_online(&w, 2, 500);
    answered(100, DP_ACQUIRER_ONLINE);
    world_outcome(&w, 2, 500, stan, false);
    assert_batch(1, 1, 1000, 0, 0);
    (void)world_offline(&w, 3, 70);
    assert_batch(1, 1, 1000, 0, 0); /* not before the acquirer took it */
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_ADVICE);
    answered(0, DP_ACQUIRER_ADVICE);
    assert_batch(1, 2, 1070, 0, 0);
    world_deferred(&w, 4, 8);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_DEFERRED);
    answered(0, DP_ACQUIRER_DEFERRED);
    assert_batch(1, 3, 1078, 0, 0);
}

static void a_reversal_counts_when_its_sale_did(void **state)
{
    uint32_t stan = approved(1, 1000);
    (void)world_reverse(&w, 1, stan, 4000);
    assert_batch(1, 1, 1000, 0, 0);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_REVERSAL);
    answered(400, DP_ACQUIRER_REVERSAL);
    assert_batch(1, 1, 1000, 1, 1000);
    stan = world_online(&w, 2, 500); /* no answer: taken back before it was known */
    (void)world_reverse(&w, 2, stan, 4021);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_REVERSAL);
    answered(400, DP_ACQUIRER_REVERSAL);
    assert_batch(1, 1, 1000, 1, 1000);
}

static void dual_message_counts_at_the_completion(void **state)
{
    world_end(&w);
    w.dual = true;
    world_begin(&w);
    (void)approved(1, 1000);
    assert_batch(1, 0, 0, 0, 0);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_ADVICE);
    answered(0, DP_ACQUIRER_ADVICE);
    assert_batch(1, 1, 1000, 0, 0);
    world_deferred(&w, 2, 30);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_DEFERRED);
    answered(0, DP_ACQUIRER_DEFERRED);
    assert_batch(1, 1, 1000, 0, 0);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_ADVICE);
    answered(0, DP_ACQUIRER_ADVICE);
    assert_batch(1, 2, 1030, 0, 0);
}

/* ---- settling ---- */

static void totals_are_sent_and_the_next_batch_begins(void **state)
{
    uint64_t value = 0;
    uint32_t stan = approved(1, 1000);
    (void)approved(2, 30);
    (void)world_reverse(&w, 1, stan, 4000);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_REVERSAL);
    answered(400, DP_ACQUIRER_REVERSAL);
    settle(500);
    world_decode(w.sent, w.sent_n, &m);
    assert_true(dp_iso8583_get_number(&m, 76, &value) && value == 2);
    assert_true(dp_iso8583_get_number(&m, 77, &value) && value == 1);
    assert_true(dp_iso8583_get_number(&m, 88, &value) && value == 1030);
    assert_true(dp_iso8583_get_number(&m, 89, &value) && value == 1000);
    assert_memory_equal(dp_iso8583_get(&m, 97).p, "C0000000000000030", 17);
    assert_batch(2, 0, 0, 0, 0);
    settle(501);
    assert_batch(3, 0, 0, 0, 0);
}

static void more_reversed_than_sold_makes_us_the_debtor(void **state)
{
    uint32_t stan = approved(1, 1000);
    settle(500);
    (void)world_reverse(&w, 1, stan, 4000);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_REVERSAL);
    answered(400, DP_ACQUIRER_REVERSAL);
    assert_batch(2, 0, 0, 1, 1000);
    settle(500);
    world_decode(w.sent, w.sent_n, &m);
    assert_memory_equal(dp_iso8583_get(&m, 97).p, "D0000000000001000", 17);
}

static void a_sale_that_ends_after_its_batch_counts_in_no_other(void **state)
{
    struct dp_record r;
    uint32_t stan = world_online(&w, 1, 1000);
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_SETTLED;
    r.batch = 1;
    world_see(&w, &r);
    world_outcome(&w, 1, 1000, stan, true);
    assert_batch(2, 0, 0, 0, 0);
}

static void nothing_is_settled_while_something_is_unsent(void **state)
{
    struct dp_record r;
    uint32_t stan;
    memset(&r, 0, sizeof r);
    (void)world_offline(&w, 1, 100);
    assert_int_equal(dp_acquirer_pack_totals(w.a, &r, w.sent, sizeof w.sent, &w.sent_n),
                     DP_ERR_STATE);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_ADVICE);
    answered(0, DP_ACQUIRER_ADVICE);
    stan = world_online(&w, 2, 100);
    assert_int_equal(dp_acquirer_pack_totals(w.a, &r, w.sent, sizeof w.sent, &w.sent_n),
                     DP_ERR_STATE);
    world_outcome(&w, 2, 100, stan, false);
    assert_int_equal(dp_acquirer_pack_totals(w.a, &r, w.sent, sizeof w.sent, &w.sent_n), DP_OK);
}

static void the_hosts_totals_come_back(void **state)
{
    struct dp_record r;
    memset(&r, 0, sizeof r);
    assert_int_equal(dp_acquirer_pack_totals(w.a, &r, w.sent, sizeof w.sent, &w.sent_n), DP_OK);
    assert_int_equal(r.mti, 1520);
    assert_int_equal(r.batch, 1);
    host_answer(w.sent, w.sent_n, 501, &m);
    dp_iso8583_set_number(&m, 76, 3, 10);
    dp_iso8583_set_number(&m, 77, 1, 10);
    dp_iso8583_set_number(&m, 88, 900, 16);
    dp_iso8583_set_number(&m, 89, 100, 16);
    assert_int_equal(world_answer(&w, p, host_seal(&w, &m, p), &answer), DP_ACQUIRER_TOTALS);
    assert_false(answer.approved);
    assert_int_equal(answer.totals_sales_n, 3);
    assert_int_equal(answer.totals_sales_amount, 900);
    assert_int_equal(answer.totals_reversals_n, 1);
    assert_int_equal(answer.totals_reversals_amount, 100);
    answered(500, DP_ACQUIRER_NO_ANSWER); /* once */
}

static void totals_must_match_and_say_their_verdict(void **state)
{
    struct dp_record r;
    memset(&r, 0, sizeof r);
    assert_int_equal(dp_acquirer_pack_totals(w.a, &r, w.sent, sizeof w.sent, &w.sent_n), DP_OK);
    answered(912, DP_ACQUIRER_NO_ANSWER);
    host_answer(w.sent, w.sent_n, 500, &m);
    dp_iso8583_set_text(&m, 37, "000000000000");
    assert_int_equal(world_answer(&w, p, host_seal(&w, &m, p), &answer), DP_ACQUIRER_NO_ANSWER);
    host_answer(w.sent, w.sent_n, 500, &m);
    m.mti = 1814;
    assert_int_equal(world_answer(&w, p, host_seal(&w, &m, p), &answer), DP_ACQUIRER_NO_ANSWER);
    answered(500, DP_ACQUIRER_TOTALS);
}

/* ---- network ---- */

static void a_sign_on_is_answered_once(void **state)
{
    assert_int_equal(dp_acquirer_pack_network(w.a, 801, w.sent, sizeof w.sent, &w.sent_n), DP_OK);
    answered(800, DP_ACQUIRER_NETWORK);
    assert_true(answer.approved);
    answered(800, DP_ACQUIRER_NO_ANSWER);
    assert_int_equal(dp_acquirer_pack_network(w.a, 831, w.sent, sizeof w.sent, &w.sent_n), DP_OK);
    answered(904, DP_ACQUIRER_NETWORK);
    assert_false(answer.approved);
}

/* ---- numbers ---- */

static void stans_wrap_and_pass_over_what_is_outstanding(void **state)
{
    struct dp_record r;
    uint32_t first = world_offline(&w, 1, 100);
    assert_int_equal(first, 1);
    for (uint32_t stan = 333332; stan <= 999998; stan += 333333) {
        world_record(&w, DP_RECORD_REQUESTED, stan, 100, &r);
        r.mode = DP_MODE_ONLINE;
        r.mti = 1200;
        r.stan = stan;
        world_see(&w, &r);
    }
    assert_int_equal(world_online(&w, 4, 100), 999999);
    assert_int_equal(world_online(&w, 5, 100), 2); /* 1 still waits */
    assert_int_equal(world_online(&w, 6, 100), 3);
    struct dp_acquirer *again = world_rebuild(&w);
    dp_acquirer_free(&w.a);
    w.a = again;
    assert_int_equal(world_online(&w, 7, 100), 4);
}

static void a_leap_day_counts_from_march_on(void **state)
{
    struct dp_record r;
    world_record(&w, DP_RECORD_OUTCOME, 1, 100, &r);
    w.wall_ms = INT64_C(1831550400000); /* 15 January 2028, 12:00 UTC */
    assert_int_equal(dp_acquirer_fill_advice(w.a, &r), DP_OK);
    assert_memory_equal(r.rrn, "801512", 6);
    w.wall_ms = INT64_C(1836734400000); /* 15 March 2028 */
    assert_int_equal(dp_acquirer_fill_advice(w.a, &r), DP_OK);
    assert_memory_equal(r.rrn, "807512", 6);
    w.wall_ms = INT64_C(1805112000000); /* 15 March 2027 */
    assert_int_equal(dp_acquirer_fill_advice(w.a, &r), DP_OK);
    assert_memory_equal(r.rrn, "707412", 6);
}

static void a_late_record_does_not_turn_the_numbers_back(void **state)
{
    struct dp_record r;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_SETTLED;
    assert_int_equal(dp_acquirer_pack_totals(w.a, &r, w.sent, sizeof w.sent, &w.sent_n), DP_OK);
    assert_int_equal(r.stan, 1);
    assert_int_equal(world_online(&w, 1, 100), 2);
    world_outcome(&w, 1, 100, 2, false); /* so that 2 is free again */
    world_see(&w, &r);
    assert_int_equal(world_online(&w, 2, 100), 3);
}

#define UNIT(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(only_what_is_captured_counts),
        UNIT(a_reversal_counts_when_its_sale_did),
        UNIT(dual_message_counts_at_the_completion),
        UNIT(totals_are_sent_and_the_next_batch_begins),
        UNIT(more_reversed_than_sold_makes_us_the_debtor),
        UNIT(a_sale_that_ends_after_its_batch_counts_in_no_other),
        UNIT(nothing_is_settled_while_something_is_unsent),
        UNIT(the_hosts_totals_come_back),
        UNIT(totals_must_match_and_say_their_verdict),
        UNIT(a_sign_on_is_answered_once),
        UNIT(stans_wrap_and_pass_over_what_is_outstanding),
        UNIT(a_leap_day_counts_from_march_on),
        UNIT(a_late_record_does_not_turn_the_numbers_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
