/* SPDX-License-Identifier: Apache-2.0 */
/* Payments while the token is dead in part: its anchor, or its keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "payment/machine.h"
#include "tests/payment/world.h"

static struct world w;

static int set_up(void **state)
{
    (void)state;
    world_make(&w);
    w.params->degraded_payments_max = 2;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

static void assert_refused(uint64_t request, enum dp_reason reason)
{
    const struct dp_pay_result *r = world_result(&w, request);
    assert_int_equal(r->state, DP_PAY_REFUSED);
    assert_string_equal(dp_reason_name(r->reason), dp_reason_name(reason));
}

/* A payment without a link; each card pays once. */
static const struct dp_pay_result *pays(uint64_t request, const char *service)
{
    w.card_hash[0]++;
    world_pay(&w, request, service, 1000);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, request)->state, DP_PAY_APPROVED);
    return world_result(&w, request);
}

static struct dp_diagnosis diagnose(void)
{
    struct dp_diagnosis d;
    dp_payment_diagnose(w.p, &d);
    return d;
}

static enum dp_verdict verdict(struct dp_verify_result *v)
{
    struct dp_store store = memstore_store(&w.mem);
    struct dp_verify_options o;
    memset(&o, 0, sizeof o);
    o.has_anchor = true;
    assert_int_equal(dp_hsm_anchor_read(w.hsm, o.anchor), DP_OK);
    assert_int_equal(dp_journal_verify(&store, &o, NULL, NULL, v), DP_OK);
    assert_null(v->rule);
    return v->verdict;
}

/* The anchor dies when the first payment of this start is bound. */
static void dies(const char *more)
{
    char script[128];
    (void)snprintf(script, sizeof script, "anchor_extend 1 %s\n", more);
    world_kill_token(&w, script);
    assert_false(diagnose().degraded);
}

static void a_dead_anchor_leaves_a_few_flagged_payments(void **state)
{
    struct dp_verify_result v;
    (void)state;
    assert_false(pays(1, "S1")->degraded);
    dies("wear");
    assert_true(pays(2, "S2")->degraded); /* it died under this one */
    assert_true(diagnose().degraded && diagnose().journal_ok);
    assert_int_equal(diagnose().degraded_left, 1);
    assert_non_null(strstr(diagnose().trouble, "anchor"));
    assert_true(pays(3, "S3")->degraded);
    assert_int_equal(diagnose().degraded_left, 0);
    world_pay(&w, 4, "S4", 1000);
    assert_refused(4, DP_REASON_DEGRADED);
    assert_int_equal(verdict(&v), DP_VERDICT_UNKNOWN);
    assert_true(v.degraded);
    assert_int_equal(v.totals.intents, 3); /* a refusal begins nothing */
}

static void none_is_left_unless_the_parameters_say_so(void **state)
{
    (void)state;
    w.params->degraded_payments_max = 0;
    dies("wear");
    assert_true(pays(1, "S1")->degraded); /* charged when it died: it stands, flagged */
    world_pay(&w, 2, "S2", 1000);
    assert_refused(2, DP_REASON_DEGRADED);
}

static void flags_and_the_count_outlive_a_restart(void **state)
{
    (void)state;
    (void)pays(1, "S1");
    dies("wear");
    (void)pays(2, "S2");
    (void)pays(3, "S3");
    world_kill_token(&w, "anchor_read 1 wear\n");
    assert_true(diagnose().degraded && diagnose().journal_ok);
    assert_false(world_status(&w, "S1").degraded);
    assert_true(world_status(&w, "S2").degraded);
    assert_true(world_status(&w, "S3").degraded);
    world_pay(&w, 4, "S4", 1000);
    assert_refused(4, DP_REASON_DEGRADED);
}

static void what_is_queued_is_forwarded_all_the_same(void **state)
{
    struct books b;
    (void)state;
    dies("wear");
    (void)pays(1, "S1");
    dp_payment_link_up(w.p, true);
    world_forward_all(&w, 0);
    assert_int_equal(world_status(&w, "S1").forward, DP_FORWARD_ACCEPTED);
    world_kill_token(&w, NULL);
    world_books(&w, &b);
    assert_true(b.fresh);
    assert_int_equal(b.forwarded, 1);
}

static void an_anchor_that_works_again_ends_it(void **state)
{
    struct dp_verify_result v;
    (void)state;
    dies("error\nanchor_read 2 error\n");
    (void)pays(1, "S1");
    (void)dp_payment_tick(w.p);
    assert_true(diagnose().degraded); /* not yet */
    (void)dp_payment_tick(w.p);
    assert_true(diagnose().degraded); /* nor is it tried at every tick */
    w.now += 30000;
    (void)dp_payment_tick(w.p);
    assert_false(diagnose().degraded);
    assert_int_equal(verdict(&v), DP_VERDICT_FRESH);
    assert_false(pays(2, "S2")->degraded);
    assert_true(world_status(&w, "S1").degraded); /* it was, and stays */
    assert_int_equal(verdict(&v), DP_VERDICT_FRESH);
}

static void it_is_not_tried_with_a_payment_at_the_door(void **state)
{
    (void)state;
    dies("error\n");
    (void)pays(1, "S1");
    world_pay(&w, 2, "S2", 1000);
    (void)dp_payment_tick(w.p);
    assert_true(diagnose().degraded);
    w.card_hash[0]++;
    world_tap_offline(&w);
    assert_true(world_result(&w, 2)->degraded);
    (void)dp_payment_tick(w.p);
    assert_false(diagnose().degraded);
}

static void a_round_that_is_settled_gets_its_key_later(void **state)
{
    char script[1024] = "anchor_extend 1 error\n";
    struct books b;
    (void)state;
    for (size_t i = 2, n = strlen(script); i < 30; i++)
        n += (size_t)snprintf(script + n, sizeof script - n, "anchor_read %zu error\n", i);
    world_kill_token(&w, script);
    dp_payment_link_up(w.p, true);
    assert_true(world_answer(&w, 800));
    world_pay(&w, 1, "S1", 1000);
    world_seen(&w);
    world_wants_online(&w);
    assert_true(world_answer(&w, 0));
    world_ended(&w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_true(world_result(&w, 1)->degraded);
    dp_payment_settle(w.p, 9);
    assert_true(world_answer(&w, 500));
    assert_true(w.settled.in_balance);
    assert_false(dp_payment_stopped(w.p));
    assert_true(diagnose().degraded);
    for (int i = 0; i < 30 && diagnose().degraded; i++) {
        w.now += 60000;
        (void)dp_payment_tick(w.p);
    }
    assert_false(diagnose().degraded);
    world_books(&w, &b);
    assert_int_equal(b.rotated, 1);
}

/* ---- the keys are dead ---- */

static void a_dead_key_leaves_status_alone(void **state)
{
    (void)state;
    (void)pays(1, "S1");
    world_kill_token(&w, "* 1 remove\n");
    assert_false(diagnose().journal_ok);
    assert_non_null(strstr(diagnose().trouble, "key store is dead"));
    assert_int_equal(world_status(&w, "S1").state, DP_PAY_APPROVED);
    world_pay(&w, 2, "S2", 1000);
    assert_refused(2, DP_REASON_KEY_STORE);
    dp_payment_link_up(w.p, true); /* nothing is forwarded by a device that cannot record it */
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 0);
    dp_payment_settle(w.p, 3);
    assert_false(w.settled.asked);
    assert_string_equal(dp_reason_name(w.settled.reason), "key_store");
    assert_false(dp_payment_stopped(w.p));
}

static void without_any_key_store_status_is_answered_too(void **state)
{
    (void)state;
    (void)pays(1, "S1");
    dp_payment_free(&w.p);
    dp_hsm_free(&w.hsm);
    world_open(&w);
    assert_int_equal(world_status(&w, "S1").state, DP_PAY_APPROVED);
    world_pay(&w, 2, "S2", 1000);
    assert_refused(2, DP_REASON_KEY_STORE);
    dp_payment_free(&w.p);
    assert_int_equal(dp_hsm_open(w.uri, &w.hsm), DP_OK);
    world_open(&w);
    assert_false(pays(3, "S3")->degraded);
}

/* The key goes in the middle of a payment: nobody may say paid or not paid until it is back. */
static void what_nothing_vouches_for_is_not_said_to_be_paid(void **state)
{
    (void)state;
    (void)pays(1, "S1");
    world_kill_token(&w, "sign 1 remove\n");
    w.card_hash[0]++;
    world_pay(&w, 2, "S2", 1000);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 2)->state, DP_PAY_UNKNOWN);
    assert_true(dp_payment_stopped(w.p));
    world_kill_token(&w, "* 1 remove\n");
    assert_int_equal(world_status(&w, "S1").state, DP_PAY_APPROVED);
    assert_int_equal(world_status(&w, "S2").state, DP_PAY_UNKNOWN);
    assert_string_equal(dp_reason_name(world_status(&w, "S2").reason), "key_store");
    world_kill_token(&w, NULL);
    assert_int_equal(world_status(&w, "S2").state, DP_PAY_DECLINED); /* its end was never signed */
}

static void a_payment_in_flight_stays_open_until_the_key_is_back(void **state)
{
    struct books b;
    (void)state;
    world_pay(&w, 1, "S1", 1000);
    world_kill_token(&w, "sign 1 wear\n");
    assert_int_equal(w.p->index.n, 1); /* read twice, and counted once */
    assert_int_equal(world_status(&w, "S1").state, DP_PAY_UNKNOWN);
    world_kill_token(&w, NULL);
    assert_int_equal(world_status(&w, "S1").state, DP_PAY_DECLINED);
    world_books(&w, &b);
    assert_true(b.fresh);
    assert_int_equal(b.intents_open, 0);
}

static unsigned vouched_for_by_nobody;

static void hear(void *user, enum dp_log_level level, const char *line)
{
    (void)user;
    vouched_for_by_nobody +=
        level == DP_LOG_WARNING && strstr(line, "no signature vouches for 1 payments") != NULL;
}

static void what_never_left_can_be_made_void_without_a_key(void **state)
{
    struct dp_verify_result v;
    struct books b;
    uint8_t deferred[16], offline[16];
    (void)state;
    world_pay(&w, 1, "S1", 1000);
    world_tap_deferred(&w);
    memcpy(deferred, world_result(&w, 1)->tx, sizeof deferred);
    memcpy(offline, pays(2, "S2")->tx, sizeof offline);
    world_kill_token(&w, "* 1 remove\n");
    world_reverse(&w, 3, "S3", deferred);
    assert_int_equal(world_result(&w, 3)->state, DP_PAY_APPROVED);
    assert_int_equal(world_result(&w, 3)->mode, DP_MODE_VOID);
    assert_true(world_status(&w, "S1").reversed);
    world_reverse(&w, 4, "S4", offline); /* may have left: only a message takes it back */
    assert_refused(4, DP_REASON_KEY_STORE);
    vouched_for_by_nobody = 0;
    dp_log_set(hear, NULL, DP_LOG_WARNING);
    world_kill_token(&w, NULL);
    world_kill(&w); /* it is bound by now */
    dp_log_set(NULL, NULL, DP_LOG_ERROR);
    assert_int_equal(vouched_for_by_nobody, 1);
    assert_true(world_status(&w, "S1").reversed);
    assert_int_equal(verdict(&v), DP_VERDICT_FRESH);
    world_books(&w, &b);
    assert_int_equal(b.voids, 1);
}

static void without_a_key_nothing_but_a_void_is_written(void **state)
{
    struct dp_journal_config c;
    struct dp_journal_opened opened;
    struct dp_journal *j = NULL;
    struct dp_record r;
    (void)state;
    (void)pays(1, "S1");
    dp_payment_free(&w.p);
    memset(&c, 0, sizeof c);
    c.store = memstore_store(&w.mem);
    c.clock = &w.clock;
    c.random = &w.random;
    assert_int_equal(dp_journal_open_keyless(&c, NULL, NULL, &opened, &j), DP_OK);
    assert_int_equal(opened.signed_size, opened.records);
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_TIME_SYNC;
    assert_int_equal(dp_journal_append(j, &r), DP_ERR_STATE);
    r.type = DP_RECORD_INTENT;
    assert_int_equal(dp_journal_append(j, &r), DP_ERR_STATE);
    assert_int_equal(dp_journal_rotate(j), DP_ERR_STATE);
    assert_int_equal(dp_journal_close_round(j), DP_ERR_STATE);
    dp_journal_free(&j);
    world_open(&w);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_dead_anchor_leaves_a_few_flagged_payments),
        TEST(none_is_left_unless_the_parameters_say_so),
        TEST(flags_and_the_count_outlive_a_restart),
        TEST(what_is_queued_is_forwarded_all_the_same),
        TEST(an_anchor_that_works_again_ends_it),
        TEST(it_is_not_tried_with_a_payment_at_the_door),
        TEST(a_round_that_is_settled_gets_its_key_later),
        TEST(a_dead_key_leaves_status_alone),
        TEST(without_any_key_store_status_is_answered_too),
        TEST(what_nothing_vouches_for_is_not_said_to_be_paid),
        TEST(a_payment_in_flight_stays_open_until_the_key_is_back),
        TEST(what_never_left_can_be_made_void_without_a_key),
        TEST(without_a_key_nothing_but_a_void_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
