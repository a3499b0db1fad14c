/* SPDX-License-Identifier: Apache-2.0 */
/* Payments from the sale's request to the answer, and on to the acquirer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/cbor.h>
#include <doorpay/cose.h>

#include "base/writer.h"

#include "tests/payment/world.h"

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

/* The link is up and the sign-on answered. */
static void link_up(void)
{
    dp_payment_link_up(w.p, true);
    assert_int_equal(world_mti(&w), 1804);
    assert_true(world_answer(&w, 800));
}

static void assert_declined(uint64_t request, enum dp_reason reason)
{
    const struct dp_pay_result *r = world_result(&w, request);
    assert_int_equal(r->state, DP_PAY_DECLINED);
    assert_string_equal(dp_reason_name(r->reason), dp_reason_name(reason));
    assert_int_equal(r->mode, DP_MODE_DECLINED);
}

static void assert_refused(uint64_t request, enum dp_reason reason)
{
    const struct dp_pay_result *r = world_result(&w, request);
    assert_int_equal(r->state, DP_PAY_REFUSED);
    assert_string_equal(dp_reason_name(r->reason), dp_reason_name(reason));
}

static void assert_balanced(struct books *b)
{
    world_books(&w, b);
    assert_int_equal(b->open, 0);
    assert_int_equal(b->closed_more, 0);
    assert_int_equal(b->intents_open, 0);
}

static void online_payment_is_approved_and_captured_at_once(void **state)
{
    const struct dp_pay_result *r;
    struct books b;
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", 2350);
    assert_int_equal(w.orders, 1);
    assert_true(w.order.transaction.online_possible);
    world_seen(&w);
    assert_int_equal(w.policy.verdict, DP_EMV_POLICY_GO_ON);
    world_wants_online(&w);
    assert_int_equal(world_mti(&w), 1200);
    assert_int_equal(w.results_n, 0);
    assert_true(world_answer(&w, 0));
    assert_true(w.online.online && w.online.approved);
    assert_int_equal(w.results_n, 0); /* the card has the last word */
    world_ended(&w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    r = world_result(&w, 1);
    assert_int_equal(r->state, DP_PAY_APPROVED);
    assert_int_equal(r->mode, DP_MODE_ONLINE);
    assert_int_equal(r->forward, DP_FORWARD_NONE);
    assert_int_equal(r->amount.minor, 2350);
    assert_string_equal(r->auth_code, "A1B2C3");
    assert_string_equal(r->last4, "0018");
    assert_string_equal(r->parcel, "6A1");
    assert_balanced(&b);
    assert_int_equal(b.requested, 1);
    assert_int_equal(b.last_outcome.stan, b.last_requested.stan);
    assert_int_equal(b.reversals, 0);
}

/* Track 2 leaves the card's process where the acquirer wants it in clear, or the payment is
 * deferred. */
static void track_2_is_asked_for_in_the_clear_profile_only(void **state)
{
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", 2350);
    assert_false(w.order.track2_online);
    w.params->acquirer.card_data = DP_CARD_DATA_CLEAR;
    world_kill(&w);
    link_up();
    world_pay(&w, 2, "S2", 2350);
    assert_int_equal(w.orders, 2);
    assert_true(w.order.track2_online);
}

static void issuer_declines(void **state)
{
    struct books b;
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", 2350);
    world_seen(&w);
    world_wants_online(&w);
    assert_true(world_answer(&w, 116));
    assert_false(w.online.approved);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_ISSUER_DECLINED);
    assert_declined(1, DP_REASON_ISSUER_DECLINED);
    assert_string_equal(world_result(&w, 1)->action_code, "116");
    assert_balanced(&b);
    assert_int_equal(b.reversals, 0);
}

static void soft_decline_says_so(void **state)
{
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", 2350);
    world_seen(&w);
    world_wants_online(&w);
    assert_true(world_answer(&w, 190));
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_ISSUER_DECLINED);
    assert_declined(1, DP_REASON_SOFT_DECLINE);
}

static void issuer_decline_beats_a_card_process_that_says_approved(void **state)
{
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", 2350);
    world_seen(&w);
    world_wants_online(&w);
    assert_true(world_answer(&w, 100));
    world_ended(&w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_declined(1, DP_REASON_ISSUER_DECLINED);
}

static void card_refuses_after_the_issuer_approved_and_the_money_is_taken_back(void **state)
{
    struct books b;
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", 2350);
    world_seen(&w);
    world_wants_online(&w);
    assert_true(world_answer(&w, 0));
    world_ended(&w, DP_EMV_REVERSE, DP_EMV_REASON_CARD_DECLINED);
    assert_declined(1, DP_REASON_CARD_REFUSED_AFTER);
    assert_balanced(&b);
    assert_int_equal(b.reversals, 1);
    assert_int_equal(b.last_reversal.msg_reason, 4350);
    assert_int_equal(b.last_outcome.stan, 0); /* the REVERSAL alone closes what was asked */
    world_forward_all(&w, 0);
    assert_balanced(&b);
    assert_int_equal(b.last_forwarded.result, 3);
}

static void offline_payment_is_approved_advised_and_its_card_data_dropped(void **state)
{
    const struct dp_pay_result *r;
    struct books b;
    (void)state;
    world_pay(&w, 1, "S1", 2350);
    assert_false(w.order.transaction.online_possible);
    assert_true(w.order.transaction.offline_allowed);
    world_tap_offline(&w);
    r = world_result(&w, 1);
    assert_int_equal(r->state, DP_PAY_APPROVED);
    assert_int_equal(r->mode, DP_MODE_OFFLINE);
    assert_int_equal(r->forward, DP_FORWARD_PENDING);
    assert_int_equal(r->headroom.unsent_count, 1);
    assert_int_equal(r->headroom.offline_amount, 50000 - 2350);
    assert_int_equal(r->headroom.offline_count, 39);
    assert_int_equal(w.sends, 0);
    dp_payment_link_up(w.p, true);
    assert_true(world_answer(&w, 800));
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1220);
    assert_true(world_answer(&w, 0));
    assert_int_equal(world_status(&w, "S1").forward, DP_FORWARD_ACCEPTED);
    assert_int_equal(world_status(&w, "S1").headroom.unsent_count, 0);
    assert_balanced(&b);
    assert_int_equal(b.requested, 0);
    assert_int_equal(b.last_outcome.mti, 1220);
    assert_int_equal(b.last_forwarded.stan, b.last_outcome.stan);
    assert_true(b.last_outcome.has_pan_commitment);
    assert_false(b.last_outcome.has_track_commitment);
}

static void deferred_payment_is_kept_and_asked_for_later(void **state)
{
    struct books b;
    (void)state;
    world_pay(&w, 1, "S1", 2350);
    world_tap_deferred(&w);
    assert_int_equal(world_result(&w, 1)->mode, DP_MODE_DEFERRED);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_APPROVED);
    link_up();
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1200);
    assert_true(world_answer(&w, 0));
    assert_int_equal(world_status(&w, "S1").forward, DP_FORWARD_ACCEPTED);
    assert_balanced(&b);
    assert_true(b.last_outcome.has_track_commitment);
    assert_int_equal(b.requested, 1);
    assert_int_equal(b.last_forwarded.stan, b.last_requested.stan);
}

/* Wraps something under a generation's key: it is there, or destroyed. */
static bool key_is_there(uint32_t generation)
{
    const struct dp_bytes any = {(const uint8_t *)"any", 3};
    uint8_t out[64];
    size_t n = 0;
    int err = dp_hsm_wrap(w.hsm, generation, any, any, out, sizeof out, &n);
    assert_true(err == DP_OK || err == DP_ERR_NOT_FOUND);
    return err == DP_OK;
}

static void track_2_is_shredded_when_its_payment_was_answered(void **state)
{
    struct books b;
    uint32_t generation = 0;
    (void)state;
    assert_int_equal(dp_hsm_wrap_generation(w.hsm, &generation), DP_OK);
    for (uint64_t i = 1; i <= 2; i++) {
        world_pay(&w, i, i == 1 ? "S1" : "S2", 100);
        world_tap_deferred(&w);
        w.card_hash[0]++;
        w.atc++;
    }
    (void)dp_payment_tick(w.p);
    world_books(&w, &b);
    assert_int_equal(b.shreds, 0); /* both are wanted */
    link_up();
    (void)dp_payment_tick(w.p);
    assert_true(world_answer(&w, 0));
    (void)dp_payment_tick(w.p); /* the other one goes */
    world_books(&w, &b);
    assert_int_equal(b.shreds, 0);
    assert_true(world_answer(&w, 116));
    assert_true(key_is_there(generation));
    (void)dp_payment_tick(w.p);
    assert_balanced(&b);
    assert_int_equal(b.shreds, 1);
    assert_int_equal(b.survivors, 0);
    assert_true(b.fresh);
    assert_int_equal(b.settled, 0);
    assert_false(key_is_there(generation));
    assert_true(key_is_there(generation + 1));
    (void)dp_payment_tick(w.p);
    world_books(&w, &b);
    assert_int_equal(b.shreds, 1); /* once */
}

/* The network is gone again before the second one: the first one's does not wait for it. */
static void answered_track_2_does_not_wait_for_one_that_has_no_network(void **state)
{
    struct books b;
    (void)state;
    for (uint64_t i = 1; i <= 2; i++) {
        world_pay(&w, i, i == 1 ? "S1" : "S2", 100);
        world_tap_deferred(&w);
        w.card_hash[0]++;
        w.atc++;
    }
    link_up();
    (void)dp_payment_tick(w.p);
    assert_true(world_answer(&w, 0));
    dp_payment_link_up(w.p, false);
    (void)dp_payment_tick(w.p);
    world_books(&w, &b);
    assert_int_equal(b.shreds, 1);
    assert_int_equal(b.survivors, 2); /* of the second: card number and track 2 */
    link_up();
    world_forward_all(&w, 0);
    (void)dp_payment_tick(w.p);
    assert_balanced(&b);
    assert_int_equal(b.shreds, 2);
    assert_int_equal(b.survivors, 0);
    assert_int_equal(world_status(&w, "S2").forward, DP_FORWARD_ACCEPTED);
}

static void deferred_payment_declined_later_is_not_paid(void **state)
{
    struct dp_pay_result r;
    (void)state;
    world_pay(&w, 1, "S1", 2350);
    world_tap_deferred(&w);
    link_up();
    (void)dp_payment_tick(w.p);
    assert_true(world_answer(&w, 116));
    r = world_status(&w, "S1");
    assert_int_equal(r.state, DP_PAY_DECLINED);
    assert_int_equal(r.forward, DP_FORWARD_DECLINED);
    world_kill(&w);
    r = world_status(&w, "S1");
    assert_int_equal(r.state, DP_PAY_DECLINED);
    world_pay(&w, 2, "S2", 2350); /* and may be tried again */
    assert_int_equal(w.orders, 2);
}

static void deferred_request_without_answer_is_reversed_and_asked_under_a_new_stan(void **state)
{
    struct books b;
    uint32_t first;
    (void)state;
    world_pay(&w, 1, "S1", 2350);
    world_tap_deferred(&w);
    link_up();
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1200);
    world_books(&w, &b);
    first = b.last_requested.stan;
    w.sent_n = 0;
    w.now += w.params->acquirer.online_timeout_ms;
    (void)dp_payment_tick(w.p);
    assert_balanced(&b);
    assert_int_equal(b.reversals, 1);
    assert_int_equal(b.last_reversal.original.stan, first);
    world_forward_all(&w, 0);
    assert_balanced(&b);
    assert_int_equal(b.requested, 2);
    assert_int_not_equal(b.last_requested.stan, first);
    assert_int_equal(world_status(&w, "S1").forward, DP_FORWARD_ACCEPTED);
    assert_false(world_status(&w, "S1").reversed);
}

/* Past its time nobody is asked any more; the sale is told, across restarts, and the round goes on.
 */
static void deferred_payment_past_its_time_is_given_up(void **state)
{
    struct dp_pay_result r;
    struct books b;
    (void)state;
    world_pay(&w, 1, "S1", 2350);
    world_tap_deferred(&w);
    w.now += (int64_t)w.params->deferred.expiry_s * 1000;
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_status(&w, "S1").state, DP_PAY_APPROVED); /* to the last moment */
    w.now += 1;
    (void)dp_payment_tick(w.p); /* with no link at all */
    r = world_status(&w, "S1");
    assert_int_equal(r.state, DP_PAY_DECLINED);
    assert_int_equal(r.forward, DP_FORWARD_GIVEN_UP);
    assert_string_equal(dp_reason_name(r.reason), "deferred_expired");
    assert_int_equal(r.headroom.unsent_count, 0);
    assert_balanced(&b);
    assert_int_equal(b.last_forwarded.result, 4);
    assert_int_equal(b.forwarded, 1);
    world_kill(&w);
    assert_int_equal(world_status(&w, "S1").reason, DP_REASON_DEFERRED_EXPIRED);
    world_reverse(&w, 2, "R1", r.tx);
    assert_int_equal(world_result(&w, 2)->reason, DP_REASON_NOT_FOUND);
    link_up();
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 0); /* not asked */
    dp_payment_settle(w.p, 9);
    assert_int_equal(world_mti(&w), 1520);
}

/* What was asked in time has its answer, or is taken back first. */
static void deferred_payment_under_way_is_given_up_only_when_taken_back(void **state)
{
    struct books b;
    (void)state;
    world_pay(&w, 1, "S1", 2350);
    world_tap_deferred(&w);
    w.now += (int64_t)w.params->deferred.expiry_s * 1000;
    link_up();
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1200);
    w.now += 1000;
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_status(&w, "S1").forward, DP_FORWARD_PENDING);
    w.sent_n = 0;
    w.now += w.params->acquirer.online_timeout_ms;
    (void)dp_payment_tick(w.p);
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_status(&w, "S1").forward, DP_FORWARD_GIVEN_UP);
    world_forward_all(&w, 0);
    assert_balanced(&b);
    assert_int_equal(b.requested, 1);
    assert_int_equal(b.reversals, 1);
    assert_int_equal(b.last_forwarded.result, 3);
    assert_int_equal(world_status(&w, "S1").state, DP_PAY_DECLINED);
}

static void no_answer_is_taken_back_and_the_card_decides_without(void **state)
{
    struct books b;
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", 2350);
    world_seen(&w);
    world_wants_online(&w);
    w.sent_n = 0;
    w.now += w.params->acquirer.online_timeout_ms;
    (void)dp_payment_tick(w.p);
    assert_int_equal(w.onlines, 1);
    assert_false(w.online.online);
    world_books(&w, &b);
    assert_int_equal(b.reversals, 1); /* before the card is told */
    assert_int_equal(b.last_reversal.msg_reason, 4021);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    assert_declined(1, DP_REASON_NO_ANSWER);
    assert_balanced(&b);
    world_forward_all(&w, 0);
    assert_balanced(&b);
    assert_int_equal(b.last_forwarded.result, 3);
}

static void point_of_service(unsigned mti, char out[13])
{
    struct dp_iso8583_message m;
    assert_int_equal(dp_iso8583_unpack(dp_iso8583_profile("iso93-pos"), w.sent, w.sent_n, &m, NULL),
                     DP_OK);
    assert_int_equal(m.mti, mti);
    assert_true(dp_iso8583_get_text(&m, 22, out, 13));
    dp_iso8583_wipe(&m);
}

/* Contactless with a signature: 1200 says so, and so must its 1420, before there is an OUTCOME. */
static void ask_contactless(void)
{
    char text[13];
    w.kernel = 3;
    w.cvm = DP_EMV_CVM_SIGNATURE;
    link_up();
    world_pay(&w, 1, "S1", 2350);
    world_seen(&w);
    world_wants_online(&w);
    point_of_service(1200, text);
    assert_string_equal(text, "500401C54240");
    w.sent_n = 0;
}

static void a_reversal_for_want_of_an_answer_says_how_the_card_was_read(void **state)
{
    struct books b;
    char text[13];
    (void)state;
    ask_contactless();
    w.now += w.params->acquirer.online_timeout_ms;
    (void)dp_payment_tick(w.p);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    (void)dp_payment_tick(w.p);
    point_of_service(1420, text);
    assert_string_equal(text, "500401C54240");
    world_books(&w, &b);
    assert_int_equal(b.last_requested.interface, DP_INTERFACE_CONTACTLESS);
    assert_int_equal(b.last_requested.cvm, DP_EMV_CVM_SIGNATURE);
}

static void a_start_that_takes_back_says_how_the_card_was_read(void **state)
{
    char text[13];
    (void)state;
    ask_contactless();
    world_kill(&w);
    link_up();
    (void)dp_payment_tick(w.p);
    point_of_service(1420, text);
    assert_string_equal(text, "500401C54240");
}

static void a_deferred_request_taken_back_says_how_the_card_was_read(void **state)
{
    struct books b;
    char text[13];
    (void)state;
    w.kernel = 3;
    world_pay(&w, 1, "S1", 2350);
    world_tap_deferred(&w);
    link_up();
    (void)dp_payment_tick(w.p);
    point_of_service(1200, text);
    assert_string_equal(text, "500401C00240");
    w.sent_n = 0;
    w.now += w.params->acquirer.online_timeout_ms;
    (void)dp_payment_tick(w.p);
    (void)dp_payment_tick(w.p);
    point_of_service(1420, text);
    assert_string_equal(text, "500401C00240");
    world_books(&w, &b);
    assert_int_equal(b.last_requested.interface, DP_INTERFACE_CONTACTLESS);
}

static void no_answer_then_offline_approval_has_a_stan_of_its_own(void **state)
{
    struct books b;
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", 2350);
    world_seen(&w);
    world_wants_online(&w);
    w.sent_n = 0;
    w.now += w.params->acquirer.online_timeout_ms;
    (void)dp_payment_tick(w.p);
    world_ended(&w, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE); /* Y3 */
    assert_int_equal(world_result(&w, 1)->mode, DP_MODE_OFFLINE);
    assert_balanced(&b);
    assert_int_not_equal(b.last_outcome.stan, b.last_requested.stan);
    world_forward_all(&w, 0);
    assert_balanced(&b);
    assert_int_equal(b.forwarded, 2);
    assert_int_equal(world_status(&w, "S1").forward, DP_FORWARD_ACCEPTED);
    assert_false(world_status(&w, "S1").reversed);
}

static void link_that_breaks_or_is_not_there_ends_the_wait_at_once(void **state)
{
    struct books b;
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", 2350);
    world_seen(&w);
    world_wants_online(&w);
    dp_payment_link_failed(w.p, w.sent_id + 7, true); /* another message's */
    assert_int_equal(w.onlines, 0);
    dp_payment_link_up(w.p, false);
    w.sent_n = 0;
    assert_int_equal(w.onlines, 1);
    assert_false(w.online.online);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    assert_declined(1, DP_REASON_NO_ANSWER);
    link_up();
    w.link_dead = true;
    world_pay(&w, 2, "S2", 2350);
    world_seen(&w);
    world_wants_online(&w);
    assert_int_equal(w.onlines, 2);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    assert_declined(2, DP_REASON_NO_ANSWER);
    assert_balanced(&b);
    assert_int_equal(b.reversals, 2);
}

static void late_answer_changes_nothing(void **state)
{
    uint8_t late[DP_ISO8583_MESSAGE_MAX];
    struct books b;
    size_t n;
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", 2350);
    world_seen(&w);
    world_wants_online(&w);
    n = world_answer_bytes(&w, 0, late);
    w.sent_n = 0;
    w.now += w.params->acquirer.online_timeout_ms;
    (void)dp_payment_tick(w.p);
    dp_payment_link_answer(w.p, late, n);
    assert_int_equal(w.onlines, 1);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    dp_payment_link_answer(w.p, late, n);
    assert_declined(1, DP_REASON_NO_ANSWER);
    assert_balanced(&b);
    assert_int_equal(b.reversals, 1);
}

static void answer_that_is_not_genuine_is_no_answer(void **state)
{
    uint8_t answer[DP_ISO8583_MESSAGE_MAX];
    size_t n;
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", 2350);
    world_seen(&w);
    world_wants_online(&w);
    n = world_answer_bytes(&w, 0, answer);
    answer[n - 1] ^= 1;
    dp_payment_link_answer(w.p, answer, n);
    dp_payment_link_answer(w.p, answer, 0);
    dp_payment_link_answer(w.p, w.sent, w.sent_n); /* our own, reflected */
    assert_int_equal(w.onlines, 0);
    answer[n - 1] ^= 1;
    dp_payment_link_answer(w.p, answer, n);
    assert_int_equal(w.onlines, 1);
    assert_true(w.online.approved);
}

static void limits_are_each_the_reason(void **state)
{
    (void)state;
    world_pay(&w, 1, "S1", 5001);
    assert_refused(1, DP_REASON_LIMIT_PAYMENT);
    w.now += 86400 * INT64_C(1000) + 2000;
    world_pay(&w, 2, "S2", 1000);
    assert_refused(2, DP_REASON_LIMIT_SYNC);
    w.now -= 86400 * INT64_C(1000) * 2; /* a clock set back earns nothing */
    world_pay(&w, 3, "S3", 1000);
    assert_refused(3, DP_REASON_LIMIT_SYNC);
    w.now += 86400 * INT64_C(1000);
    w.params->offline.round_amount_max = 4000;
    w.params->deferred.allowed = false;
    world_pay(&w, 4, "S4", 3000);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 4)->state, DP_PAY_APPROVED);
    world_pay(&w, 5, "S5", 1001);
    assert_refused(5, DP_REASON_LIMIT_ROUND);
    world_pay(&w, 6, "S6", 1000);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 6)->state, DP_PAY_APPROVED);
    assert_int_equal(w.orders, 2);
}

static void outcome_and_answer_show_the_same_headroom(void **state)
{
    const struct dp_pay_result *r;
    struct books b;
    (void)state;
    world_pay(&w, 1, "S1", 2000);
    world_tap_offline(&w);
    r = world_result(&w, 1);
    world_books(&w, &b);
    assert_int_equal(r->headroom.offline_amount, 48000);
    assert_int_equal(b.last_outcome.headroom_amount, 48000);
    assert_int_equal(b.last_outcome.headroom_count, r->headroom.offline_count);
    world_pay(&w, 2, "S2", 1000); /* takes nothing of what is left for offline approvals */
    world_tap_deferred(&w);
    world_books(&w, &b);
    assert_int_equal(b.last_outcome.headroom_amount, 48000);
}

static void count_of_the_round_is_a_limit(void **state)
{
    (void)state;
    w.params->offline.round_count_max = 1;
    w.params->deferred.allowed = false;
    world_pay(&w, 1, "S1", 100);
    world_tap_offline(&w);
    world_pay(&w, 2, "S2", 100);
    assert_refused(2, DP_REASON_LIMIT_ROUND);
    world_kill(&w); /* and stays one */
    world_pay(&w, 3, "S3", 100);
    assert_refused(3, DP_REASON_LIMIT_ROUND);
}

static void card_that_has_paid_enough_is_declined_without_a_link(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        char service[8];
        (void)snprintf(service, sizeof service, "S%u", i);
        world_pay(&w, i, service, 100);
        world_tap_offline(&w);
        assert_int_equal(world_result(&w, i)->state, DP_PAY_APPROVED);
    }
    world_pay(&w, 3, "S3", 100);
    world_tap_offline(&w); /* the card process does not care for the verdict */
    assert_int_equal(w.policy.verdict, DP_EMV_POLICY_DECLINE);
    assert_declined(3, DP_REASON_LIMIT_CARD);
    w.card_hash[0] ^= 1; /* another card */
    world_pay(&w, 4, "S4", 100);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 4)->state, DP_PAY_APPROVED);
}

static void card_over_its_cap_may_still_go_online(void **state)
{
    (void)state;
    w.params->offline.card_count_max = 0;
    link_up();
    world_pay(&w, 1, "S1", 100);
    world_seen(&w);
    assert_int_equal(w.policy.verdict, DP_EMV_POLICY_GO_ON);
    assert_false(w.policy.offline_allowed);
    world_ended(&w, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_declined(1, DP_REASON_INCONSISTENT);
    world_pay(&w, 2, "S2", 100);
    world_seen(&w);
    world_wants_online(&w);
    assert_true(world_answer(&w, 0));
    world_ended(&w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(world_result(&w, 2)->state, DP_PAY_APPROVED);
}

static void exception_list_and_wrong_brand_are_declined(void **state)
{
    (void)state;
    memset(w.card_hash, 0x01, sizeof w.card_hash); /* on the list */
    world_pay(&w, 1, "S1", 100);
    world_seen(&w);
    assert_true(w.policy.on_exception_list);
    world_ended(&w, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_declined(1, DP_REASON_EXCEPTION_LIST);
}

static void sale_may_forbid_each_way(void **state)
{
    struct dp_pay_request q = world_request("S1", 100);
    (void)state;
    q.offline = DP_FORBID;
    q.deferred = DP_FORBID;
    dp_payment_pay(w.p, 1, &q);
    assert_refused(1, DP_REASON_NO_LINK);
    q = world_request("S2", 100);
    q.offline = DP_FORBID;
    dp_payment_pay(w.p, 2, &q);
    assert_false(w.order.transaction.offline_allowed);
    assert_true(w.order.transaction.deferred_allowed);
    world_tap_offline(&w);
    assert_declined(2, DP_REASON_INCONSISTENT);
    q = world_request("S3", 100);
    q.deferred = DP_FORBID;
    dp_payment_pay(w.p, 3, &q);
    world_tap_deferred(&w);
    assert_declined(3, DP_REASON_INCONSISTENT);
}

static void what_cannot_be_paid_is_refused_and_forgotten(void **state)
{
    struct dp_pay_request q = world_request("S1", 100);
    struct books b;
    (void)state;
    q.amount.currency = 752;
    dp_payment_pay(w.p, 1, &q);
    assert_refused(1, DP_REASON_CURRENCY);
    world_pay(&w, 2, "S1", 0);
    assert_refused(2, DP_REASON_AMOUNT);
    q = world_request("S1", 100);
    memcpy(q.parcel, "6A9", 4);
    dp_payment_pay(w.p, 3, &q);
    assert_refused(3, DP_REASON_PARCEL);
    q = world_request("S1", 100);
    memcpy(q.agent, "a99", 4);
    dp_payment_pay(w.p, 4, &q);
    assert_refused(4, DP_REASON_NOT_ALLOWED);
    world_pay(&w, 5, "S1", 100); /* the same ServiceID: none of these was kept */
    assert_int_equal(w.orders, 1);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 5)->state, DP_PAY_APPROVED);
    assert_balanced(&b);
    assert_int_equal(b.intents, 1);
}

static void busy_is_said_and_not_kept(void **state)
{
    struct dp_pay_result r;
    (void)state;
    world_pay(&w, 1, "S1", 100);
    world_pay(&w, 2, "S2", 100);
    assert_refused(2, DP_REASON_BUSY);
    assert_int_equal(world_status(&w, "S1").state, DP_PAY_IN_PROGRESS);
    assert_int_equal(world_status(&w, "S2").state, DP_PAY_NOT_FOUND);
    world_tap_offline(&w);
    world_pay(&w, 3, "S2", 100);
    assert_int_equal(w.orders, 2);
    world_tap_offline(&w);
    r = *world_result(&w, 3);
    assert_int_equal(r.state, DP_PAY_APPROVED);
}

static void abort_ends_a_tap_and_a_tc_after_it_captures_nothing(void **state)
{
    struct books b;
    (void)state;
    assert_false(dp_payment_abort(w.p, "round-7", "S1"));
    world_pay(&w, 1, "S1", 100);
    assert_false(dp_payment_abort(w.p, "round-8", "S1"));
    assert_true(dp_payment_abort(w.p, "round-7", "S1"));
    assert_int_equal(w.cancels, 1);
    world_tap_offline(&w);
    assert_declined(1, DP_REASON_CANCELLED);
    assert_balanced(&b);
    assert_int_equal(b.approved_amount, 0);
}

static void abort_before_online_asks_nobody(void **state)
{
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", 100);
    world_seen(&w);
    assert_true(dp_payment_abort(w.p, "round-7", "S1"));
    world_wants_online(&w);
    assert_int_equal(w.sent_n, 0);
    assert_false(w.online.online);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    assert_declined(1, DP_REASON_CANCELLED);
}

static void card_process_lost_at_each_step_leaves_nothing_open(void **state)
{
    struct books b;
    (void)state;
    world_pay(&w, 1, "S1", 100);
    dp_payment_card_lost(w.p);
    assert_declined(1, DP_REASON_INTERRUPTED);
    link_up();
    world_pay(&w, 2, "S2", 100);
    world_seen(&w);
    world_wants_online(&w);
    dp_payment_card_lost(w.p);
    assert_declined(2, DP_REASON_INTERRUPTED);
    w.sent_n = 0;
    world_pay(&w, 3, "S3", 100);
    world_seen(&w);
    world_wants_online(&w);
    assert_true(world_answer(&w, 0));
    dp_payment_card_lost(w.p);
    assert_declined(3, DP_REASON_INTERRUPTED);
    assert_balanced(&b);
    assert_int_equal(b.reversals, 2);
    w.card_dead = true;
    world_pay(&w, 4, "S4", 100);
    assert_declined(4, DP_REASON_READER);
    assert_balanced(&b);
}

static void card_process_that_hangs_is_ended(void **state)
{
    (void)state;
    world_pay(&w, 1, "S1", 100);
    world_seen(&w);
    w.now += 300000;
    (void)dp_payment_tick(w.p);
    assert_declined(1, DP_REASON_INTERRUPTED);
    assert_int_equal(w.ends, 1);
}

static void nobody_presents_a_card(void **state)
{
    (void)state;
    world_pay(&w, 1, "S1", 100);
    world_ended(&w, DP_EMV_TRY_AGAIN, DP_EMV_REASON_CANCELLED);
    assert_declined(1, DP_REASON_TIMEOUT);
}

static void unsent_sale_is_voided_and_never_sent(void **state)
{
    struct dp_pay_result r;
    struct books b;
    unsigned sends;
    (void)state;
    world_pay(&w, 1, "S1", 100);
    world_tap_offline(&w);
    r = *world_result(&w, 1);
    world_reverse(&w, 2, "R1", r.tx);
    r = *world_result(&w, 2);
    assert_int_equal(r.state, DP_PAY_APPROVED);
    assert_true(r.is_reversal);
    assert_int_equal(r.mode, DP_MODE_VOID);
    assert_true(world_status(&w, "S1").reversed);
    link_up();
    sends = w.sends;
    world_forward_all(&w, 0);
    assert_int_equal(w.sends, sends);
    assert_balanced(&b);
    assert_int_equal(b.voids, 1);
    assert_int_equal(b.reversals, 0);
}

static void captured_sale_is_reversed_once(void **state)
{
    struct dp_pay_result r;
    struct books b;
    uint8_t tx[16];
    (void)state;
    link_up();
    world_pay(&w, 1, "S1", 100);
    world_seen(&w);
    world_wants_online(&w);
    assert_true(world_answer(&w, 0));
    world_ended(&w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    memcpy(tx, world_result(&w, 1)->tx, sizeof tx);
    world_reverse(&w, 2, "R1", tx);
    assert_int_equal(world_result(&w, 2)->mode, DP_MODE_REVERSED);
    assert_int_equal(world_result(&w, 2)->forward, DP_FORWARD_PENDING);
    world_reverse(&w, 3, "R1", tx); /* the same request: the same answer */
    r = *world_result(&w, 3);
    assert_int_equal(r.state, DP_PAY_APPROVED);
    assert_int_equal(r.stan, world_result(&w, 2)->stan);
    world_reverse(&w, 4, "R2", tx); /* another: it is reversed already */
    assert_refused(4, DP_REASON_ALREADY_REVERSED);
    world_forward_all(&w, 0);
    assert_int_equal(world_status(&w, "R1").forward, DP_FORWARD_ACCEPTED);
    assert_true(world_status(&w, "S1").reversed);
    assert_balanced(&b);
    assert_int_equal(b.reversals, 1);
    world_kill(&w);
    assert_true(world_status(&w, "S1").reversed);
    assert_int_equal(world_status(&w, "R1").forward, DP_FORWARD_ACCEPTED);
}

static void only_whole_sales_of_ones_own_are_undone(void **state)
{
    struct dp_reverse_request q;
    struct dp_pay_result r;
    uint8_t nothing[16] = {9};
    (void)state;
    world_pay(&w, 1, "S1", 100);
    world_tap_offline(&w);
    r = *world_result(&w, 1);
    memset(&q, 0, sizeof q);
    memcpy(q.sale_id, "round-7", 8);
    memcpy(q.service_id, "R1", 3);
    memcpy(q.original_tx, r.tx, sizeof q.original_tx);
    q.amount = 101;
    dp_payment_reverse(w.p, 2, &q);
    assert_refused(2, DP_REASON_AMOUNT);
    q.amount = 99;
    dp_payment_reverse(w.p, 3, &q);
    assert_refused(3, DP_REASON_AMOUNT);
    q.amount = 100;
    memcpy(q.sale_id, "round-8", 8);
    dp_payment_reverse(w.p, 4, &q);
    assert_refused(4, DP_REASON_NOT_ALLOWED);
    world_reverse(&w, 5, "R5", nothing);
    assert_int_equal(world_result(&w, 5)->state, DP_PAY_NOT_FOUND);
    memcpy(q.sale_id, "round-7", 8);
    dp_payment_reverse(w.p, 6, &q);
    assert_int_equal(world_result(&w, 6)->state, DP_PAY_APPROVED);
}

static void deferred_sale_in_flight_is_taken_back_and_not_asked_again(void **state)
{
    struct books b;
    struct dp_pay_result r;
    (void)state;
    world_pay(&w, 1, "S1", 100);
    world_tap_deferred(&w);
    r = *world_result(&w, 1);
    link_up();
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1200);
    world_reverse(&w, 2, "R1", r.tx);
    assert_int_equal(world_result(&w, 2)->state, DP_PAY_APPROVED);
    w.sent_n = 0; /* no answer ever */
    w.now += w.params->acquirer.online_timeout_ms;
    world_forward_all(&w, 0);
    assert_balanced(&b);
    assert_int_equal(b.requested, 1);
    assert_int_equal(b.reversals, 1);
    assert_int_equal(b.voids, 1);
    assert_true(world_status(&w, "S1").reversed);
}

static void advice_goes_before_its_own_reversal(void **state)
{
    struct dp_pay_result r;
    struct books b;
    (void)state;
    world_pay(&w, 1, "S1", 100);
    world_tap_offline(&w);
    r = *world_result(&w, 1);
    link_up();
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1220);
    world_reverse(&w, 2, "R1", r.tx); /* a byte has left: no VOID any more */
    assert_int_equal(world_result(&w, 2)->mode, DP_MODE_REVERSED);
    assert_true(world_answer(&w, 0));
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1420);
    assert_true(world_answer(&w, 400));
    assert_balanced(&b);
    assert_int_equal(b.last_forwarded.result, 3);
}

static void settlement_closes_the_batch_and_opens_the_round(void **state)
{
    struct books b;
    (void)state;
    dp_payment_settle(w.p, 9);
    assert_false(w.settled.asked);
    assert_int_equal(w.settled.reason, DP_REASON_NO_LINK);
    world_pay(&w, 1, "S1", 2000);
    world_tap_offline(&w);
    link_up();
    dp_payment_settle(w.p, 9);
    assert_int_equal(w.settled.reason, DP_REASON_BUSY); /* unsent */
    world_forward_all(&w, 0);
    dp_payment_settle(w.p, 9);
    assert_int_equal(world_mti(&w), 1520);
    world_pay(&w, 2, "S2", 100); /* would put the totals out of balance */
    assert_refused(2, DP_REASON_BUSY);
    assert_true(world_answer(&w, 500));
    assert_int_equal(w.settlements, 3);
    assert_true(w.settled.asked && w.settled.in_balance);
    assert_int_equal(w.settled.sales_n, 1);
    assert_int_equal(w.settled.sales_amount, 2000);
    assert_balanced(&b);
    assert_int_equal(b.settled, 1);
    assert_int_equal(world_status(&w, "S1").headroom.offline_amount, 50000);
    world_kill(&w);
    assert_int_equal(world_status(&w, "S1").headroom.offline_amount, 50000);
}

/* The totals that are under way say nothing of it, and the batch may be closed already. */
static void reversal_waits_until_the_totals_are_answered(void **state)
{
    struct dp_pay_result r;
    struct books b;
    (void)state;
    world_pay(&w, 1, "S1", 2000);
    world_tap_offline(&w);
    r = *world_result(&w, 1);
    link_up();
    world_forward_all(&w, 0);
    dp_payment_settle(w.p, 9);
    assert_int_equal(world_mti(&w), 1520);
    world_reverse(&w, 2, "R1", r.tx);
    assert_refused(2, DP_REASON_BUSY);
    assert_true(world_answer(&w, 500));
    assert_balanced(&b);
    assert_int_equal(b.reversals, 0);
    w.params->refunds = false;
    world_reverse(&w, 3, "R1", r.tx); /* settled: the money has moved */
    assert_refused(3, DP_REASON_NOT_ALLOWED);
}

static void assert_sent_by(const char *tid)
{
    static struct dp_iso8583_message m;
    struct dp_bytes de41;
    assert_int_equal(dp_iso8583_unpack(dp_iso8583_profile("iso93-pos"), w.sent, w.sent_n, &m, NULL),
                     DP_OK);
    de41 = dp_iso8583_get(&m, 41);
    assert_int_equal(de41.n, 8);
    assert_memory_equal(de41.p, tid, 8);
}

/* A parameter set may give the device to another terminal id at any time: what was paid under the
 * old one is asked for, taken back and settled under the old one, and nothing is mixed into it. */
static void batch_of_another_terminal_is_settled_first_and_under_its_name(void **state)
{
    char old[9];
    struct books b;
    struct dp_pay_result r;
    (void)state;
    memcpy(old, w.params->terminal.tid, sizeof old);
    world_pay(&w, 1, "S1", 1000);
    world_tap_offline(&w);
    world_pay(&w, 2, "S2", 2000);
    world_tap_deferred(&w);
    r = *world_result(&w, 1);
    memcpy(w.params->terminal.tid, "OTHER009", 9);
    world_kill(&w);
    world_pay(&w, 3, "S3", 100);
    assert_refused(3, DP_REASON_PARAMS);
    link_up();
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w) / 10, 122);
    assert_sent_by(old);
    assert_true(world_answer(&w, 0));
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1200);
    assert_sent_by(old);
    assert_true(world_answer(&w, 0));
    world_books(&w, &b);
    assert_string_equal(b.last_requested.tid, old);
    world_pay(&w, 4, "S3", 100);
    assert_refused(4, DP_REASON_PARAMS); /* answered, and still in its totals */
    dp_payment_settle(w.p, 9);
    assert_int_equal(world_mti(&w), 1520);
    assert_sent_by(old);
    assert_true(world_answer(&w, 500));
    assert_true(w.settled.in_balance);
    assert_int_equal(w.settled.sales_n, 2);
    world_reverse(&w, 6, "R1", r.tx); /* would be in the new terminal's totals */
    assert_refused(6, DP_REASON_NOT_ALLOWED);
    world_pay(&w, 5, "S3", 100);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 5)->state, DP_PAY_APPROVED);
    (void)dp_payment_tick(w.p);
    assert_sent_by("OTHER009");
    assert_true(world_answer(&w, 0));
    dp_payment_settle(w.p, 9);
    assert_sent_by("OTHER009");
    assert_true(world_answer(&w, 500));
    assert_balanced(&b);
}

/* Whoever steals the key of this round cannot sign the last one again. */
static void round_ends_with_its_batch_and_takes_its_key_along(void **state)
{
    uint8_t first[65], second[65], third[65];
    struct books b;
    (void)state;
    assert_int_equal(dp_hsm_public(w.hsm, DP_KEY_JOURNAL_EPOCH, first), DP_OK);
    link_up();
    dp_payment_settle(w.p, 9);
    assert_true(world_answer(&w, 501)); /* out of balance: the round stays open */
    assert_false(w.settled.in_balance);
    assert_int_equal(dp_hsm_public(w.hsm, DP_KEY_JOURNAL_EPOCH, second), DP_OK);
    assert_memory_equal(first, second, sizeof first);
    dp_payment_settle(w.p, 9);
    assert_true(world_answer(&w, 500));
    assert_int_equal(dp_hsm_public(w.hsm, DP_KEY_JOURNAL_EPOCH, third), DP_OK);
    assert_memory_not_equal(first, third, sizeof first);
    assert_balanced(&b);
    assert_int_equal(b.settled, 2);
    assert_int_equal(b.rotated, 1);
    assert_false(b.round_over);
    world_kill(&w);
    world_books(&w, &b);
    assert_int_equal(b.rotated, 1);
}

static void settlement_without_answer_settles_nothing(void **state)
{
    struct books b;
    (void)state;
    link_up();
    dp_payment_settle(w.p, 9);
    assert_int_equal(world_mti(&w), 1520);
    w.sent_n = 0;
    w.now += w.params->acquirer.online_timeout_ms;
    (void)dp_payment_tick(w.p);
    assert_int_equal(w.settlements, 1);
    assert_int_equal(w.settled.reason, DP_REASON_NO_ANSWER);
    assert_balanced(&b);
    assert_int_equal(b.settled, 0);
}

static void payment_at_the_door_waits_for_the_message_under_way(void **state)
{
    (void)state;
    dp_payment_link_up(w.p, true);
    assert_int_equal(world_mti(&w), 1804);
    world_pay(&w, 1, "S1", 100);
    world_seen(&w);
    world_wants_online(&w);
    assert_int_equal(world_mti(&w), 1804); /* still: one message at a time */
    assert_true(world_answer(&w, 800));
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1200);
    assert_true(world_answer(&w, 0));
    world_ended(&w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_APPROVED);
}

/* Nobody else wakes the machine: it says itself that there is something to do at once. */
static void payment_that_waits_goes_on_as_soon_as_the_message_before_it_is_out_of_time(void **state)
{
    (void)state;
    dp_payment_link_up(w.p, true);
    assert_int_equal(world_mti(&w), 1804);
    world_pay(&w, 1, "S1", 100);
    world_seen(&w);
    world_wants_online(&w);
    w.sent_n = 0; /* the sign-on is lost */
    w.now += w.params->acquirer.online_timeout_ms;
    assert_int_equal(dp_payment_tick(w.p), 0);
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1200);
}

/* The customer's signature is wrong: the postal worker's Reversal undoes it, sent or not. */
static void refused_signature_ends_in_a_void_or_a_reversal(void **state)
{
    struct dp_pay_result r;
    struct books b;
    (void)state;
    w.cvm = DP_EMV_CVM_SIGNATURE;
    world_pay(&w, 1, "S1", 100);
    world_tap_offline(&w);
    r = *world_result(&w, 1);
    assert_true(r.pending_signature);
    world_reverse(&w, 2, "R1", r.tx);
    assert_int_equal(world_result(&w, 2)->mode, DP_MODE_VOID);
    link_up();
    world_pay(&w, 3, "S3", 100);
    world_seen(&w);
    world_wants_online(&w);
    assert_true(world_answer(&w, 0));
    world_ended(&w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    r = *world_result(&w, 3);
    assert_true(r.pending_signature);
    world_kill(&w); /* it is for the sale to say, whatever happens meanwhile */
    assert_int_equal(world_status(&w, "S3").state, DP_PAY_APPROVED);
    world_reverse(&w, 4, "R4", r.tx);
    link_up();
    world_forward_all(&w, 0);
    assert_balanced(&b);
    assert_int_equal(b.voids, 1);
    assert_int_equal(b.reversals, 1);
    assert_int_equal(b.last_forwarded.result, 3);
    assert_true(world_status(&w, "S3").reversed);
}

static void held_messages_stay_until_released(void **state)
{
    (void)state;
    world_pay(&w, 1, "S1", 100);
    world_tap_offline(&w);
    dp_payment_forward(w.p, DP_FORWARD_HOLD);
    link_up();
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 0);
    dp_payment_forward(w.p, DP_FORWARD_NOW);
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1220);
}

static void dual_message_is_completed_by_an_advice_under_the_same_numbers(void **state)
{
    struct books b;
    (void)state;
    w.params->acquirer.message = DP_MESSAGE_DUAL;
    world_kill(&w); /* the acquirer's conversation begins with it */
    link_up();
    world_pay(&w, 1, "S1", 100);
    world_seen(&w);
    world_wants_online(&w);
    assert_int_equal(world_mti(&w), 1100);
    assert_true(world_answer(&w, 0));
    world_ended(&w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(world_result(&w, 1)->mode, DP_MODE_ONLINE);
    assert_int_equal(world_result(&w, 1)->forward, DP_FORWARD_PENDING);
    world_kill(&w); /* what the completion needs survives */
    link_up();
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w) / 10, 122);
    assert_true(world_answer(&w, 0));
    assert_int_equal(world_status(&w, "S1").forward, DP_FORWARD_ACCEPTED);
    assert_balanced(&b);
    assert_int_equal(b.last_forwarded.stan, b.last_requested.stan);
}

/* The answer to the 1100 says that it may be captured; what is forwarded is its 1220. */
static void deferred_payment_under_dual_message_is_forwarded_once(void **state)
{
    struct dp_till_totals t;
    struct books b;
    (void)state;
    w.params->acquirer.message = DP_MESSAGE_DUAL;
    world_kill(&w);
    world_pay(&w, 1, "S1", 2350);
    world_tap_deferred(&w);
    link_up();
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1100);
    assert_true(world_answer(&w, 0));
    assert_int_equal(world_status(&w, "S1").forward, DP_FORWARD_PENDING);
    dp_payment_totals(w.p, &t);
    assert_int_equal(t.totals.forwarded_n, 0);
    (void)dp_payment_tick(w.p);
    assert_int_equal(world_mti(&w), 1220);
    world_books(&w, &b);
    assert_int_equal(b.shreds, 1); /* authorised: no track 2 any more, only what the 1220 needs */
    assert_int_equal(b.survivors, 1);
    assert_true(world_answer(&w, 0));
    assert_int_equal(world_status(&w, "S1").forward, DP_FORWARD_ACCEPTED);
    dp_payment_totals(w.p, &t);
    assert_int_equal(t.totals.forwarded_n, 1);
    assert_int_equal(t.totals.forwarded_amount, 2350);
    assert_int_equal(t.sales_n, 1);
    assert_balanced(&b);
    assert_int_equal(b.forwarded, 2);
}

/* The power goes after the answer to the 1100: it is durable, what follows from it may be or not.
 */
static void authorised_track_2_is_shredded_after_a_power_cut(void **state)
{
    struct books b;
    (void)state;
    w.params->acquirer.message = DP_MESSAGE_DUAL;
    world_kill(&w);
    for (uint32_t i = 1; i <= 8; i++) {
        char service[4];
        (void)snprintf(service, sizeof service, "S%u", i);
        world_pay(&w, i, service, 100);
        world_tap_deferred(&w);
        w.card_hash[0]++;
        w.atc++;
        link_up();
        (void)dp_payment_tick(w.p);
        assert_int_equal(world_mti(&w), 1100);
        assert_true(world_answer(&w, 0));
        w.mem.dead = true;
        world_power_on(&w, i);
        (void)dp_payment_tick(w.p);
        world_books(&w, &b);
        assert_int_equal(b.shreds, i);
        assert_int_equal(b.survivors, 1);
        assert_false(b.track2_left);
        link_up();
        world_forward_all(&w, 0);
        assert_int_equal(world_status(&w, service).forward, DP_FORWARD_ACCEPTED);
        dp_payment_link_up(w.p, false);
    }
    assert_balanced(&b);
}

/* A11: what does not sign the cryptogram's kind approves nothing without a link. */
static void less_than_cda_is_not_approved_without_a_link(void **state)
{
    static const struct {
        uint8_t kernel;
        enum dp_emv_authentication authentication;
        enum dp_emv_auth_result result;
        uint64_t kernel3_max;
        bool approved;
    } cases[] = {
        {0, DP_EMV_AUTH_CDA, DP_EMV_AUTH_PASSED, 0, true},
        {0, DP_EMV_AUTH_CDA, DP_EMV_AUTH_FAILED, 0, false},
        {0, DP_EMV_AUTH_CDA, DP_EMV_AUTH_NOT_PERFORMED, 0, false},
        {0, DP_EMV_AUTH_DDA, DP_EMV_AUTH_PASSED, 0, false},
        {0, DP_EMV_AUTH_SDA, DP_EMV_AUTH_PASSED, 0, false},
        {0, DP_EMV_AUTH_NONE, DP_EMV_AUTH_PASSED, 0, false},
        {2, DP_EMV_AUTH_FDDA, DP_EMV_AUTH_PASSED, 5000, false},
        {3, DP_EMV_AUTH_FDDA, DP_EMV_AUTH_PASSED, 0, false},
        {3, DP_EMV_AUTH_FDDA, DP_EMV_AUTH_PASSED, 99, false},
        {3, DP_EMV_AUTH_FDDA, DP_EMV_AUTH_PASSED, 100, true},
        {3, DP_EMV_AUTH_FDDA, DP_EMV_AUTH_FAILED, 100, false},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char service[8];
        w.kernel = cases[i].kernel;
        w.authentication = cases[i].authentication;
        w.authentication_result = cases[i].result;
        w.params->offline.kernel3_max = cases[i].kernel3_max;
        w.card_hash[0]++; /* each a card of its own */
        (void)snprintf(service, sizeof service, "S%u", i);
        world_pay(&w, i, service, 100);
        world_tap_offline(&w);
        if ((world_result(&w, i)->state == DP_PAY_APPROVED) != cases[i].approved)
            fail_msg("case %u", i);
    }
}

static void failed_authentication_is_not_deferred(void **state)
{
    (void)state;
    w.authentication_result = DP_EMV_AUTH_FAILED;
    world_pay(&w, 1, "S1", 100);
    world_tap_deferred(&w);
    assert_declined(1, DP_REASON_INCONSISTENT);
    w.authentication_result = DP_EMV_AUTH_NOT_PERFORMED;
    world_pay(&w, 2, "S2", 100);
    world_tap_deferred(&w);
    assert_int_equal(world_result(&w, 2)->state, DP_PAY_APPROVED);
}

/* A16: a counter that does not rise, a cryptogram seen before; contact and contactless, after a
 * restart too. */
static void replayed_cryptogram_is_declined(void **state)
{
    uint16_t atc = w.atc;
    unsigned sends;
    (void)state;
    world_pay(&w, 1, "S1", 100);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_APPROVED);
    world_kill(&w);
    w.atc = atc;
    world_pay(&w, 2, "S2", 100);
    world_tap_offline(&w);
    assert_declined(2, DP_REASON_INCONSISTENT);
    w.atc = (uint16_t)(atc - 1);
    world_pay(&w, 3, "S3", 100);
    world_tap_deferred(&w);
    assert_declined(3, DP_REASON_INCONSISTENT);
    link_up();
    sends = w.sends;
    w.atc = atc;
    world_pay(&w, 4, "S4", 100);
    world_seen(&w);
    world_wants_online(&w);
    assert_int_equal(w.sends, sends);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    assert_declined(4, DP_REASON_REPLAY);
    w.kernel = 3;
    w.atc = atc;
    world_pay(&w, 5, "S5", 100);
    world_seen(&w);
    assert_int_equal(w.policy.verdict, DP_EMV_POLICY_DECLINE);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_POLICY);
    assert_declined(5, DP_REASON_REPLAY);
}

/* A co-badged card has a counter for each of its applications: neither is a replay of the other,
 * and a replay within either is one still. */
static void each_application_of_a_card_counts_for_itself(void **state)
{
    uint16_t first;
    (void)state;
    (void)snprintf(w.bin8, sizeof w.bin8, "99990850"); /* a BIN with both brands */
    w.atc = 500;
    world_pay(&w, 1, "S1", 100);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_APPROVED);
    first = w.atc;
    w.aid[5] ^= 3;
    w.atc = 20; /* the other one was used less */
    world_pay(&w, 2, "S2", 100);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 2)->state, DP_PAY_APPROVED);
    w.atc = 19; /* below its own */
    world_pay(&w, 3, "S3", 101);
    world_tap_offline(&w);
    assert_declined(3, DP_REASON_INCONSISTENT);
    w.aid[5] ^= 3;
    w.atc = (uint16_t)(first - 2); /* above the other's, below its own */
    world_pay(&w, 4, "S4", 102);
    world_tap_offline(&w);
    assert_declined(4, DP_REASON_INCONSISTENT);
    w.atc = first;
    world_pay(&w, 5, "S5", 103);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 5)->state, DP_PAY_APPROVED);
}

/* The cryptogram itself names no application: seen once, it is worth nothing under another name. */
static void replayed_cryptogram_is_declined_under_another_application(void **state)
{
    uint16_t atc = w.atc;
    (void)state;
    (void)snprintf(w.bin8, sizeof w.bin8, "99990850");
    world_pay(&w, 1, "S1", 100);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_APPROVED);
    w.aid[5] ^= 3;
    w.atc = atc;
    world_pay(&w, 2, "S2", 100);
    world_tap_offline(&w);
    assert_declined(2, DP_REASON_INCONSISTENT);
}

static void application_that_was_not_chosen_is_not_paid_with(void **state)
{
    struct dp_pay_request q = world_request("S1", 100);
    (void)state;
    memcpy(q.aid, w.aid, sizeof w.aid);
    q.aid_n = sizeof w.aid;
    q.aid[6] ^= 1;
    dp_payment_pay(w.p, 1, &q);
    world_seen(&w);
    assert_int_equal(w.policy.verdict, DP_EMV_POLICY_DECLINE);
    world_ended(&w, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_declined(1, DP_REASON_INCONSISTENT);
    /* nor with one that is shorter than the choice */
    q = world_request("S2", 100);
    memcpy(q.aid, w.aid, sizeof w.aid);
    q.aid_n = sizeof w.aid + 1;
    dp_payment_pay(w.p, 2, &q);
    world_seen(&w);
    assert_int_equal(w.policy.verdict, DP_EMV_POLICY_DECLINE);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_POLICY);
    assert_declined(2, DP_REASON_INCONSISTENT);
    /* a beginning is enough */
    q = world_request("S3", 100);
    memcpy(q.aid, w.aid, 5);
    q.aid_n = 5;
    dp_payment_pay(w.p, 3, &q);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 3)->state, DP_PAY_APPROVED);
}

/* What no kernel of ours keeps is not kept because a card process says so. */
static void failed_checks_in_the_tvr_are_not_deferred(void **state)
{
    static const struct {
        size_t byte;
        uint8_t bit;
    } bits[] = {{0, 0x40}, {0, 0x10}, {0, 0x08}, {0, 0x04}, {1, 0x40}, {1, 0x20}, {2, 0x80}};
    (void)state;
    for (unsigned i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        char service[8];
        memset(w.emv_tvr, 0, sizeof w.emv_tvr);
        w.emv_tvr[bits[i].byte] = bits[i].bit;
        (void)snprintf(service, sizeof service, "S%u", i);
        world_pay(&w, i, service, 100);
        world_tap_deferred(&w);
        assert_declined(i, DP_REASON_INCONSISTENT);
    }
    memset(w.emv_tvr, 0, sizeof w.emv_tvr);
    w.emv_tvr[2] = 0x10; /* chosen at random */
    world_pay(&w, 20, "S20", 100);
    world_tap_deferred(&w);
    assert_int_equal(world_result(&w, 20)->state, DP_PAY_APPROVED);
}

static void account_reference_is_whole_or_none(void **state)
{
    static const struct {
        const char *said, *kept;
    } cases[] = {
        {"Q1HJZ28RKA1EBL470G9XYG90R5D3E", "Q1HJZ28RKA1EBL470G9XYG90R5D3E"},
        {"Q1HJZ28RKA1EBL470G9XYG90R5D3", ""},  /* too short */
        {"q1HJZ28RKA1EBL470G9XYG90R5D3E", ""}, /* no small letters */
        {"Q1HJZ28RKA1EBL470G9XYG90R5D3 ", ""},
        {"AAAAA9999010000000018AAAAAAAA", ""}, /* what might be a card number */
        {"", ""},
    };
    struct dp_card_outcome o;
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char service[8];
        (void)snprintf(service, sizeof service, "S%u", i);
        world_pay(&w, i, service, 100);
        world_seen(&w);
        world_say_ended(&w, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE, &o);
        (void)snprintf(o.summary.par, sizeof o.summary.par, "%s", cases[i].said);
        dp_payment_card_ended(w.p, &o);
        w.atc++;
        assert_string_equal(world_result(&w, i)->par, cases[i].kept);
    }
}

static void customers_choice_goes_to_the_card(void **state)
{
    struct dp_pay_request q = world_request("S1", 100);
    (void)state;
    q.ask_choice = true;
    dp_payment_pay(w.p, 1, &q);
    assert_true(w.order.transaction.choice_wanted);
    assert_int_equal(w.order.transaction.chosen_aid_n, 0);
    world_ended(&w, DP_EMV_ENDED, DP_EMV_REASON_CHOICE);
    assert_declined(1, DP_REASON_CHOICE);
    q = world_request("S2", 100);
    memcpy(q.aid, w.aid, sizeof w.aid);
    q.aid_n = sizeof w.aid;
    dp_payment_pay(w.p, 2, &q);
    assert_int_equal(w.order.transaction.chosen_aid_n, sizeof w.aid);
    assert_memory_equal(w.order.transaction.chosen_aid, w.aid, sizeof w.aid);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 2)->state, DP_PAY_APPROVED);
    q = world_request("S3", 100);
    q.aid_n = 4;
    dp_payment_pay(w.p, 3, &q);
    assert_refused(3, DP_REASON_NOT_ALLOWED);
}

static void sales_of_one_card_add_up_for_its_floor_limit(void **state)
{
    (void)state;
    world_pay(&w, 1, "S1", 150);
    world_seen(&w);
    assert_int_equal(w.policy.card_amount, 0);
    world_ended(&w, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    world_pay(&w, 2, "S2", 200);
    world_seen(&w);
    assert_int_equal(w.policy.card_amount, 150);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    world_pay(&w, 3, "S3", 200);
    world_tap_deferred(&w);
    world_pay(&w, 4, "S4", 200);
    world_seen(&w);
    assert_int_equal(w.policy.card_amount, 350);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    world_reverse(&w, 5, "R1", world_result(&w, 1)->tx); /* taken back: it counts no more */
    memset(w.card_hash, 0xC1, sizeof w.card_hash);
    world_pay(&w, 6, "S6", 200);
    world_seen(&w);
    assert_int_equal(w.policy.card_amount, 200);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    memset(w.card_hash, 0xC7, sizeof w.card_hash); /* another card */
    world_pay(&w, 7, "S7", 200);
    world_seen(&w);
    assert_int_equal(w.policy.card_amount, 0);
}

static void referral_has_a_reason_of_its_own(void **state)
{
    (void)state;
    link_up();
    for (unsigned action = 107; action <= 108; action++) {
        char service[8];
        (void)snprintf(service, sizeof service, "S%u", action);
        world_pay(&w, action, service, 100);
        world_seen(&w);
        world_wants_online(&w);
        assert_true(world_answer(&w, action));
        world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_ISSUER_DECLINED);
        assert_declined(action, DP_REASON_REFERRAL);
    }
    world_pay(&w, 1, "S1", 100);
    world_seen(&w);
    world_wants_online(&w);
    assert_true(world_answer(&w, 100));
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_REFERRAL); /* the card process alone says so */
    assert_declined(1, DP_REASON_ISSUER_DECLINED);
}

/* A restart with nothing in flight has nothing to say. */
static void quiet_restart_writes_nothing(void **state)
{
    struct books before, after;
    (void)state;
    world_pay(&w, 1, "S1", 100);
    world_tap_deferred(&w);
    link_up();
    (void)dp_payment_tick(w.p);
    w.sent_n = 0;
    w.now += w.params->acquirer.online_timeout_ms;
    (void)dp_payment_tick(w.p); /* taken back; the wish waits */
    world_books(&w, &before);
    world_kill(&w);
    world_kill(&w);
    world_books(&w, &after);
    assert_int_equal(after.records, before.records);
}

static struct dp_pay_result status_of_parcel(const char *parcel)
{
    struct dp_status_query q;
    memset(&q, 0, sizeof q);
    (void)snprintf(q.parcel, sizeof q.parcel, "%s", parcel);
    dp_payment_status(w.p, 77, &q);
    return w.results[--w.results_n].result;
}

static void parcel_leads_to_the_payment_that_stands_for_it(void **state)
{
    (void)state;
    assert_int_equal(status_of_parcel("6A1").state, DP_PAY_NOT_FOUND);
    world_pay(&w, 1, "S1", 100);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    assert_string_equal(status_of_parcel("6A1").service_id, "S1");
    world_pay(&w, 2, "S2", 200);
    world_tap_offline(&w);
    w.now += 1000;
    world_pay(&w, 3, "S3", 300); /* a mistake, declined */
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    assert_string_equal(status_of_parcel("6A1").service_id, "S2");
    world_reverse(&w, 4, "R1", world_result(&w, 2)->tx);
    assert_string_equal(status_of_parcel("6A1").service_id, "S3");
    assert_int_equal(status_of_parcel("6A2").state, DP_PAY_NOT_FOUND);
    assert_int_equal(status_of_parcel("").state, DP_PAY_NOT_FOUND);
}

static void diagnosis_names_the_trouble(void **state)
{
    struct dp_diagnosis d;
    (void)state;
    dp_payment_diagnose(w.p, &d);
    assert_true(d.journal_ok && d.params_ok && d.reader_ok && !d.link_up);
    assert_non_null(strstr(d.trouble, "no network"));
    assert_int_equal(d.headroom.offline_amount, 50000);
    link_up();
    dp_payment_diagnose(w.p, &d);
    assert_string_equal(d.trouble, "");
    dp_payment_card_ready(w.p, false);
    dp_payment_diagnose(w.p, &d);
    assert_string_equal(d.trouble, "no card reader");
}

/* ---- the collector: its key is the token's for TLS ---- */

/* A journal that is refused says nothing, to a request that comes again either: what it lacks, or
 * what somebody wrote into it, would be the answer. */
static void a_refused_journal_answers_no_request_again(void **state)
{
    struct memstore old;
    uint8_t tx[16];
    struct dp_diagnosis d;
    (void)state;
    world_pay(&w, 1, "S1", 1000);
    world_tap_deferred(&w);
    memcpy(tx, world_result(&w, 1)->tx, sizeof tx);
    world_reverse(&w, 2, "S2", tx);
    assert_int_equal(world_result(&w, 2)->mode, DP_MODE_VOID);
    memstore_copy(&old, &w.mem);
    w.card_hash[0]++;
    world_pay(&w, 3, "S3", 1000);
    world_tap_deferred(&w);
    assert_int_equal(world_result(&w, 3)->state, DP_PAY_APPROVED);
    memstore_free(&w.mem);
    w.mem = old; /* yesterday's */
    world_kill(&w);
    dp_payment_diagnose(w.p, &d);
    assert_false(d.journal_ok);
    assert_int_equal(world_status(&w, "S1").state, DP_PAY_UNKNOWN);
    world_pay(&w, 4, "S1", 1000);
    assert_int_equal(world_result(&w, 4)->state, DP_PAY_UNKNOWN);
    world_reverse(&w, 5, "S2", tx);
    assert_int_equal(world_result(&w, 5)->state, DP_PAY_UNKNOWN);
    world_pay(&w, 6, "S4", 1000); /* a new one is refused for what it is */
    assert_refused(6, DP_REASON_JOURNAL);
}

static int sign_as_collector(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    return dp_hsm_sign(ctx, DP_KEY_TLS_CLIENT, digest, signature);
}

/* Of the last signed checkpoint. */
static size_t acknowledgement(uint8_t out[DP_ACKNOWLEDGEMENT_MAX])
{
    static const uint8_t aad[] = "doorpay acknowledgement 1";
    struct dp_store store = memstore_store(&w.mem);
    struct dp_verify_result v;
    uint8_t payload[256], point[65], kid[DP_COSE_KID_BYTES];
    struct dp_writer p;
    size_t n = 0;
    assert_int_equal(dp_journal_verify(&store, NULL, NULL, NULL, &v), DP_OK);
    dp_writer_init(&p, payload, sizeof payload);
    dp_cbor_write_map(&p, 7);
    for (unsigned key = 1; key <= 7; key++) {
        dp_cbor_write_uint(&p, key);
        if (key == 1 || key == 3 || key == 6)
            dp_cbor_write_uint(&p, key == 3 ? v.signed_head.size : 1);
        else if (key == 7)
            dp_cbor_write_text(&p, "c", 1);
        else if (key == 2)
            dp_cbor_write_bytes(&p, v.journal, sizeof v.journal);
        else
            dp_cbor_write_bytes(&p, key == 4 ? v.signed_head.root : v.signed_head.anchor, 32);
    }
    assert_int_equal(dp_hsm_public(w.hsm, DP_KEY_TLS_CLIENT, point), DP_OK);
    assert_int_equal(dp_cose_key_id(point, kid), DP_OK);
    assert_int_equal(
        dp_cose_sign1(sign_as_collector, w.hsm, kid, (struct dp_bytes){aad, sizeof aad - 1},
                      (struct dp_bytes){payload, p.n}, out, DP_ACKNOWLEDGEMENT_MAX, &n),
        DP_OK);
    return n;
}

static void what_the_collector_has_is_taken_between_payments_and_bound(void **state)
{
    uint8_t ack[DP_ACKNOWLEDGEMENT_MAX];
    struct dp_ack_result r;
    struct dp_verify_result v;
    struct dp_store store = memstore_store(&w.mem);
    struct books b;
    size_t n;
    (void)state;
    link_up();
    n = acknowledgement(ack);
    dp_payment_acknowledge(w.p, ack, n, &r);
    assert_false(r.taken);
    assert_string_equal(r.words, "the parameters name no collector");
    assert_int_equal(dp_hsm_public(w.hsm, DP_KEY_TLS_CLIENT, w.params->collector.key), DP_OK);
    w.params->has_collector = true;
    world_pay(&w, 1, "S1", 2350);
    dp_payment_acknowledge(w.p, ack, n, &r);
    assert_false(r.taken);
    assert_non_null(strstr(r.words, "a payment is under way"));
    world_seen(&w);
    world_wants_online(&w);
    assert_true(world_answer(&w, 0));
    world_ended(&w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    dp_payment_acknowledge(w.p, ack, n, &r);
    assert_true(r.taken);
    world_books(&w, &b); /* fresh: the record is bound */
    assert_true(b.fresh);
    assert_int_equal(dp_journal_verify(&store, NULL, NULL, NULL, &v), DP_OK);
    assert_true(v.acknowledged > 0);
    dp_payment_acknowledge(w.p, ack, n, &r); /* asked again: nothing is written */
    assert_true(r.taken);
    world_kill(&w); /* and the last one is known after it */
    dp_payment_acknowledge(w.p, ack, n, &r);
    assert_true(r.taken);
    ack[n - 1] ^= 1;
    dp_payment_acknowledge(w.p, ack, n, &r);
    assert_false(r.taken);
    assert_non_null(strstr(r.words, "signature"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(online_payment_is_approved_and_captured_at_once),
        TEST(track_2_is_asked_for_in_the_clear_profile_only),
        TEST(issuer_declines),
        TEST(soft_decline_says_so),
        TEST(issuer_decline_beats_a_card_process_that_says_approved),
        TEST(card_refuses_after_the_issuer_approved_and_the_money_is_taken_back),
        TEST(offline_payment_is_approved_advised_and_its_card_data_dropped),
        TEST(deferred_payment_is_kept_and_asked_for_later),
        TEST(track_2_is_shredded_when_its_payment_was_answered),
        TEST(answered_track_2_does_not_wait_for_one_that_has_no_network),
        TEST(deferred_payment_declined_later_is_not_paid),
        TEST(deferred_request_without_answer_is_reversed_and_asked_under_a_new_stan),
        TEST(deferred_payment_past_its_time_is_given_up),
        TEST(deferred_payment_under_way_is_given_up_only_when_taken_back),
        TEST(no_answer_is_taken_back_and_the_card_decides_without),
        TEST(a_reversal_for_want_of_an_answer_says_how_the_card_was_read),
        TEST(a_start_that_takes_back_says_how_the_card_was_read),
        TEST(a_deferred_request_taken_back_says_how_the_card_was_read),
        TEST(no_answer_then_offline_approval_has_a_stan_of_its_own),
        TEST(link_that_breaks_or_is_not_there_ends_the_wait_at_once),
        TEST(late_answer_changes_nothing),
        TEST(answer_that_is_not_genuine_is_no_answer),
        TEST(limits_are_each_the_reason),
        TEST(outcome_and_answer_show_the_same_headroom),
        TEST(count_of_the_round_is_a_limit),
        TEST(card_that_has_paid_enough_is_declined_without_a_link),
        TEST(card_over_its_cap_may_still_go_online),
        TEST(exception_list_and_wrong_brand_are_declined),
        TEST(sale_may_forbid_each_way),
        TEST(what_cannot_be_paid_is_refused_and_forgotten),
        TEST(busy_is_said_and_not_kept),
        TEST(abort_ends_a_tap_and_a_tc_after_it_captures_nothing),
        TEST(abort_before_online_asks_nobody),
        TEST(card_process_lost_at_each_step_leaves_nothing_open),
        TEST(card_process_that_hangs_is_ended),
        TEST(nobody_presents_a_card),
        TEST(unsent_sale_is_voided_and_never_sent),
        TEST(captured_sale_is_reversed_once),
        TEST(only_whole_sales_of_ones_own_are_undone),
        TEST(deferred_sale_in_flight_is_taken_back_and_not_asked_again),
        TEST(advice_goes_before_its_own_reversal),
        TEST(settlement_closes_the_batch_and_opens_the_round),
        TEST(reversal_waits_until_the_totals_are_answered),
        TEST(batch_of_another_terminal_is_settled_first_and_under_its_name),
        TEST(round_ends_with_its_batch_and_takes_its_key_along),
        TEST(settlement_without_answer_settles_nothing),
        TEST(payment_at_the_door_waits_for_the_message_under_way),
        TEST(payment_that_waits_goes_on_as_soon_as_the_message_before_it_is_out_of_time),
        TEST(refused_signature_ends_in_a_void_or_a_reversal),
        TEST(held_messages_stay_until_released),
        TEST(dual_message_is_completed_by_an_advice_under_the_same_numbers),
        TEST(deferred_payment_under_dual_message_is_forwarded_once),
        TEST(authorised_track_2_is_shredded_after_a_power_cut),
        TEST(less_than_cda_is_not_approved_without_a_link),
        TEST(failed_authentication_is_not_deferred),
        TEST(failed_checks_in_the_tvr_are_not_deferred),
        TEST(replayed_cryptogram_is_declined),
        TEST(each_application_of_a_card_counts_for_itself),
        TEST(replayed_cryptogram_is_declined_under_another_application),
        TEST(customers_choice_goes_to_the_card),
        TEST(application_that_was_not_chosen_is_not_paid_with),
        TEST(account_reference_is_whole_or_none),
        TEST(sales_of_one_card_add_up_for_its_floor_limit),
        TEST(referral_has_a_reason_of_its_own),
        TEST(quiet_restart_writes_nothing),
        TEST(parcel_leads_to_the_payment_that_stands_for_it),
        TEST(diagnosis_names_the_trouble),
        TEST(a_refused_journal_answers_no_request_again),
        TEST(what_the_collector_has_is_taken_between_payments_and_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
