/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power goes at every call that changes the disk, and the process is killed after every step:
 * what was answered stays true, nothing stays open, nothing happens twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/payment/world.h"

#define PAY     1
#define REVERSE 2
#define AMOUNT  2350

/* A story is told step by step, so that the end can come between any two. */
struct story {
    const char *name;
    void (*steps[12])(struct world *w);
};

static void link_comes(struct world *w)
{
    dp_payment_link_up(w->p, true);
}

static void answered_800(struct world *w)
{
    (void)world_answer(w, 800);
}

static void asked(struct world *w)
{
    world_pay(w, PAY, "S1", AMOUNT);
}

static void approved_by_issuer(struct world *w)
{
    (void)world_answer(w, 0);
}

static void declined_by_issuer(struct world *w)
{
    (void)world_answer(w, 116);
}

static void card_agrees(struct world *w)
{
    world_ended(w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
}

static void card_refuses(struct world *w)
{
    world_ended(w, DP_EMV_REVERSE, DP_EMV_REASON_CARD_DECLINED);
}

static void issuer_refused(struct world *w)
{
    world_ended(w, DP_EMV_DECLINED, DP_EMV_REASON_ISSUER_DECLINED);
}

static void nobody_answers(struct world *w)
{
    w->sent_n = 0;
    w->now += w->params->acquirer.online_timeout_ms;
    (void)dp_payment_tick(w->p);
}

static void card_without_link(struct world *w)
{
    world_ended(w, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
}

static void ticks(struct world *w)
{
    (void)dp_payment_tick(w->p);
}

static void undone(struct world *w)
{
    struct dp_pay_result r = world_status(w, "S1");
    world_reverse(w, REVERSE, "R1", r.tx);
}

static void time_is_over(struct world *w)
{
    w->now += (int64_t)w->params->deferred.expiry_s * 1000 + 1;
    (void)dp_payment_tick(w->p);
}

static const struct story stories[] = {
    {"online",
     {link_comes, answered_800, asked, world_seen, world_wants_online, approved_by_issuer,
      card_agrees}},
    {"online, then reversed",
     {link_comes, answered_800, asked, world_seen, world_wants_online, approved_by_issuer,
      card_agrees, undone, ticks, answered_800}},
    {"declined",
     {link_comes, answered_800, asked, world_seen, world_wants_online, declined_by_issuer,
      issuer_refused}},
    {"card refuses",
     {link_comes, answered_800, asked, world_seen, world_wants_online, approved_by_issuer,
      card_refuses}},
    {"no answer",
     {link_comes, answered_800, asked, world_seen, world_wants_online, nobody_answers,
      card_without_link}},
    {"offline, then advised",
     {asked, world_tap_offline, link_comes, answered_800, ticks, approved_by_issuer}},
    {"offline, then void", {asked, world_tap_offline, undone, link_comes, answered_800, ticks}},
    {"deferred, then asked",
     {asked, world_tap_deferred, link_comes, answered_800, ticks, approved_by_issuer}},
    {"deferred, no answer",
     {asked, world_tap_deferred, link_comes, answered_800, ticks, nobody_answers}},
    {"deferred, given up",
     {asked, world_tap_deferred, time_is_over, link_comes, answered_800, ticks}},
};
#define STORIES (sizeof stories / sizeof stories[0])

/* What the sale was told before the end. */
struct told {
    bool answered, unknown;
    struct dp_pay_result pay;
    bool undone;
};

static void hear(const struct world *w, struct told *t)
{
    memset(t, 0, sizeof *t);
    for (unsigned i = 0; i < w->results_n; i++) {
        const struct dp_pay_result *r = &w->results[i].result;
        if (w->results[i].request == PAY) {
            assert_false(t->answered); /* once */
            t->answered = true;
            t->unknown = r->state == DP_PAY_UNKNOWN;
            t->pay = *r;
        } else if (w->results[i].request == REVERSE) {
            t->undone = r->state == DP_PAY_APPROVED;
        }
    }
}

static bool is_final(enum dp_pay_state state)
{
    return state == DP_PAY_APPROVED || state == DP_PAY_DECLINED || state == DP_PAY_NOT_FOUND;
}

/* The terminal lives again: the journal is whole, and it says what was said. */
static void holds(struct world *w, const struct told *t)
{
    struct dp_pay_result now = world_status(w, "S1");
    struct books b;
    world_books(w, &b);
    assert_int_equal(b.open, 0);
    assert_int_equal(b.closed_more, 0);
    assert_int_equal(b.intents_open, 0);
    assert_true(b.intents <= 1);
    assert_true(b.fresh); /* whatever is answered now is bound */
    assert_true(is_final(now.state));
    if (t->answered && !t->unknown && t->pay.state != DP_PAY_REFUSED) {
        if (now.forward != DP_FORWARD_GIVEN_UP) {
            assert_int_equal(now.state, t->pay.state);
            assert_int_equal(now.reason, t->pay.reason);
        }
        assert_int_equal(now.mode, t->pay.mode);
        assert_int_equal(now.amount.minor, AMOUNT);
        assert_memory_equal(now.tx, t->pay.tx, sizeof now.tx);
        assert_string_equal(now.auth_code[0] != '\0' ? now.auth_code : t->pay.auth_code,
                            now.auth_code);
        assert_true(!t->pay.reversed || now.reversed);
    }
    if (t->undone)
        assert_true(now.reversed);
    if (!t->answered && now.state == DP_PAY_APPROVED)
        fail_msg("approved, and nobody was told");
}

/* Whatever is queued goes out, and the round ends in balance: each message that may have moved
 * money is captured or taken back, never both and never twice. */
static void goes_out(struct world *w)
{
    struct dp_pay_result before, after;
    struct books b;
    (void)dp_payment_tick(w->p); /* gives up what has no time left */
    before = world_status(w, "S1");
    dp_payment_link_up(w->p, true);
    world_forward_all(w, 0);
    after = world_status(w, "S1");
    assert_int_equal(after.headroom.unsent_count, 0);
    if (before.state != DP_PAY_NOT_FOUND) {
        assert_int_equal(after.state, before.state);
        assert_int_equal(after.reversed, before.reversed);
    }
    world_books(w, &b);
    assert_int_equal(b.open, 0);
    assert_int_equal(b.closed_more, 0);
    assert_false(b.track2_wanted || b.track2_left); /* gone before the round is */
    dp_payment_settle(w->p, 9);
    assert_int_equal(world_mti(w), 1520);
    assert_true(world_answer(w, 500));
    assert_true(w->settled.in_balance);
    assert_int_equal(w->settled.sales_n - w->settled.reversals_n,
                     after.state == DP_PAY_APPROVED && !after.reversed ? 1 : 0);
}

/* The same request again: the same answer, or a new payment when nothing was begun. */
static void asked_again(struct world *w)
{
    struct dp_pay_result before = world_status(w, "S1");
    unsigned orders = w->orders;
    world_pay(w, 55, "S1", AMOUNT);
    if (before.state == DP_PAY_NOT_FOUND) {
        assert_int_equal(w->orders, orders + 1);
        world_ended(w, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    } else {
        assert_int_equal(w->orders, orders);
        assert_int_equal(world_result(w, 55)->state, before.state);
        assert_memory_equal(world_result(w, 55)->tx, before.tx, sizeof before.tx);
    }
    world_pay(w, 56, "S1", AMOUNT + 1);
    assert_int_equal(world_result(w, 56)->reason, DP_REASON_SERVICE_ID_REUSED);
}

static void killed_after_every_step(void **state)
{
    (void)state;
    for (size_t s = 0; s < STORIES; s++) {
        unsigned n = 0;
        while (n < 12 && stories[s].steps[n] != NULL)
            n++;
        for (unsigned end = 1; end <= n; end++) {
            static struct world w;
            struct told t;
            world_make(&w);
            for (unsigned i = 0; i < end; i++)
                stories[s].steps[i](&w);
            hear(&w, &t);
            world_kill(&w);
            holds(&w, &t);
            world_kill(&w); /* and once more: closing is done once */
            holds(&w, &t);
            asked_again(&w);
            goes_out(&w);
            world_remove(&w);
        }
    }
}

/* Until the power goes; false when the story came to its end before. */
static bool tell_until_dark(struct world *w, const struct story *story, unsigned n)
{
    memstore_fail(&w->mem, FAULT_CUT, n);
    for (unsigned i = 0; i < 12 && story->steps[i] != NULL; i++) {
        if (w->mem.dead || dp_payment_stopped(w->p))
            return true;
        story->steps[i](w);
    }
    return w->mem.dead;
}

static void power_cut_at(const struct story *story, unsigned n, uint64_t seed, bool *dark)
{
    static struct world w;
    struct told t;
    world_make(&w);
    *dark = tell_until_dark(&w, story, n);
    hear(&w, &t);
    if (w.mem.dead && !dp_payment_stopped(w.p)) /* fail-stop: the process ends itself */
        fail_msg("%s goes on after the power went at %u", story->name, n);
    world_power_on(&w, seed);
    holds(&w, &t);
    asked_again(&w);
    goes_out(&w);
    world_remove(&w);
}

static void power_cut_at_every_write_and_flush(void **state)
{
    unsigned cuts = 0;
    (void)state;
    for (size_t s = 0; s < STORIES; s++) {
        bool dark = true;
        for (unsigned n = 1; dark && n < 400; n++)
            for (unsigned seed = 0; seed < 2; seed++) {
                power_cut_at(&stories[s], n, n * 7 + seed * 1000 + s, &dark);
                cuts += dark;
            }
        assert_false(dark);
    }
    assert_true(cuts > 130); /* or the stories do not write what they should */
}

static void settles(struct world *w)
{
    dp_payment_settle(w->p, 9);
}

static void in_balance(struct world *w)
{
    (void)world_answer(w, 500);
}

/* Wherever the power goes around the end of a round: what was answered is settled, and a settled
 * round's key is gone at the latest after the restart. */
static void power_cut_at_the_end_of_a_round(void **state)
{
    static const struct story story = {"settled",
                                       {asked, world_tap_offline, link_comes, answered_800, ticks,
                                        approved_by_issuer, settles, in_balance}};
    bool dark = true;
    unsigned after = 0;
    (void)state;
    for (unsigned n = 1; dark; n++) {
        static struct world w;
        struct books b;
        bool settled;
        assert_true(n < 400);
        world_make(&w);
        dark = tell_until_dark(&w, &story, n);
        settled = w.settlements > 0 && w.settled.asked;
        world_power_on(&w, n);
        world_books(&w, &b);
        assert_true(!settled || b.settled == 1);
        assert_false(b.round_over);
        assert_int_equal(b.rotated, b.settled);
        after += b.settled == 1 && dark;
        world_remove(&w);
    }
    assert_true(after > 0); /* or no cut came between SETTLED and the new key */
}

/* The disk refuses, and the machine lives: it stops, answers "unknown", and a restart knows. */
static void failing_disk_stops_everything(void **state)
{
    (void)state;
    for (size_t s = 0; s < STORIES; s++) {
        for (unsigned n = 1; n < 60; n++) {
            static struct world w;
            struct told t;
            bool stopped;
            world_make(&w);
            memstore_fail(&w.mem, FAULT_IO, n);
            for (unsigned i = 0; i < 12 && stories[s].steps[i] != NULL; i++)
                if (!dp_payment_stopped(w.p))
                    stories[s].steps[i](&w);
            stopped = dp_payment_stopped(w.p);
            if (stopped) {
                assert_int_equal(world_status(&w, "S1").state, DP_PAY_UNKNOWN);
                world_pay(&w, 57, "S9", 100);
                assert_int_equal(world_result(&w, 57)->state, DP_PAY_UNKNOWN);
                w.results_n--;
            }
            hear(&w, &t);
            memstore_fail(&w.mem, FAULT_NONE, 0);
            world_kill(&w);
            holds(&w, &t);
            world_remove(&w);
            if (!stopped)
                break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_after_every_step),
        cmocka_unit_test(power_cut_at_every_write_and_flush),
        cmocka_unit_test(power_cut_at_the_end_of_a_round),
        cmocka_unit_test(failing_disk_stops_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
