/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A29: the disk is full, fails, writes half, or says that it flushed what it did not, at call n for
 * every n. Nothing that was answered is lost in silence, and a payment is refused before the space
 * is gone that its end and its reversal need.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/payment/story.h"

#define RESERVE 65536 /* of world_open */

static struct scene s;
static char where[96];
static unsigned faults, noticed;

#define HOLDS(c)                                                                                   \
    do {                                                                                           \
        if (!(c))                                                                                  \
            fail_msg("%s: %s", where, #c);                                                         \
    } while (0)

/* What was answered is what is known, and what the acquirer pays. */
static void nothing_is_lost(bool told, const struct dp_pay_result *said)
{
    struct dp_pay_result now = world_status(&s.w, "S1");
    unsigned sales = 0;
    struct books b;
    HOLDS(!told || (now.state == said->state && memcmp(now.tx, said->tx, sizeof now.tx) == 0));
    story_forward_all(&s);
    now = world_status(&s.w, "S1");
    world_books(&s.w, &b);
    HOLDS(b.open == 0 && b.closed_more == 0 && b.intents_open == 0);
    HOLDS(story_captured(&s, &sales) ==
          (now.state == DP_PAY_APPROVED && !now.reversed ? STORY_CENTS : 0));
}

/* True when the fault came. */
static bool one_fault(const struct story *story, enum fault fault, unsigned n)
{
    struct dp_pay_result said;
    bool came, told, undone;
    (void)snprintf(where, sizeof where, "%s, fault %d at call %u", story->name, (int)fault, n);
    story_begin(&s, story);
    memstore_fail(&s.w.mem, fault, n);
    (void)story_tell(&s, story);
    came = s.w.mem.calls >= s.w.mem.fault_at;
    story_hear(&s);
    told = story_told(&s, &said, &undone);
    if (dp_payment_stopped(s.w.p)) {
        /* fail-stop: whoever asks hears that nobody knows, and no payment is begun */
        HOLDS(world_status(&s.w, "S1").state == DP_PAY_UNKNOWN);
        world_pay(&s.w, 57, "S9", 100);
        HOLDS(world_result(&s.w, 57)->state == DP_PAY_UNKNOWN);
        noticed++;
    }
    world_kill(&s.w);
    nothing_is_lost(told, &said);
    world_remove(&s.w);
    faults += came;
    return came;
}

static void failing_call_loses_nothing_that_was_answered(void **state)
{
    static const enum fault kinds[] = {FAULT_IO, FAULT_FULL, FAULT_SHORT};
    (void)state;
    for (unsigned i = 0; i < stories_n; i++) {
        bool came = true;
        for (unsigned n = 1; came; n++) {
            assert_true(n < 400);
            for (unsigned k = 0; came && k < 3; k++)
                came = one_fault(&stories[i], kinds[k], n);
        }
    }
    print_message("# %u faults, %u stopped the machine\n", faults, noticed);
    assert_true(faults > 100 && noticed > 80);
}

static bool journal_is_refused(void)
{
    struct dp_diagnosis d;
    dp_payment_diagnose(s.w.p, &d);
    return !d.journal_ok;
}

/* Flush n did nothing, and the power goes behind the story's end. What was answered is still known,
 * or the terminal sees that its journal is not what the token bound: it takes no payment, and says
 * of the old one that nobody knows. */
static bool one_lie(const struct story *story, unsigned n, uint64_t seed)
{
    struct dp_pay_result said, now;
    bool came, told, undone;
    (void)snprintf(where, sizeof where, "%s, the flush at call %u is a lie", story->name, n);
    story_begin(&s, story);
    memstore_fail(&s.w.mem, FAULT_LIE, n);
    (void)story_tell(&s, story);
    came = s.w.mem.calls >= s.w.mem.fault_at;
    told = story_told(&s, &said, &undone);
    world_power_on(&s.w, seed);
    now = world_status(&s.w, "S1");
    if (journal_is_refused()) {
        HOLDS(now.state == DP_PAY_UNKNOWN);
        world_pay(&s.w, 57, "S9", 100);
        HOLDS(world_result(&s.w, 57)->state == DP_PAY_REFUSED);
        noticed++;
    } else if (told) {
        HOLDS(now.state == said.state && memcmp(now.tx, said.tx, sizeof now.tx) == 0);
    }
    world_remove(&s.w);
    faults += came;
    return came;
}

static void flush_that_was_a_lie_loses_nothing_in_silence(void **state)
{
    (void)state;
    faults = noticed = 0;
    for (unsigned i = 0; i < stories_n; i++) {
        bool came = true;
        for (unsigned n = 1; came; n++) {
            assert_true(n < 400);
            came = one_lie(&stories[i], n, n * 5 + i) && one_lie(&stories[i], n, n * 9 + i);
        }
    }
    print_message("# %u calls, %u lies were noticed\n", faults, noticed);
    assert_true(faults > 80 && noticed > 3);
}

/* ---- the reserve ---- */

static int nothing(void **state)
{
    (void)state;
    story_begin(&s, &stories[0]);
    (void)snprintf(where, sizeof where, "the reserve");
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_remove(&s.w);
    return 0;
}

static void payment_is_refused_before_the_reserve_is_gone(void **state)
{
    struct books b;
    (void)state;
    s.w.mem.space = RESERVE - 1;
    world_pay(&s.w, 1, "S1", STORY_CENTS);
    assert_int_equal(world_result(&s.w, 1)->state, DP_PAY_REFUSED);
    assert_int_equal(world_result(&s.w, 1)->reason, DP_REASON_JOURNAL);
    assert_int_equal(s.w.orders, 0); /* no card was asked for */
    s.w.mem.space = RESERVE;
    world_pay(&s.w, 2, "S1", STORY_CENTS);
    assert_int_equal(s.w.orders, 1);
    world_tap_offline(&s.w);
    assert_int_equal(world_result(&s.w, 2)->state, DP_PAY_APPROVED);
    world_books(&s.w, &b);
    assert_int_equal(b.intents, 1);
}

/* Somebody else takes the last byte behind INTENT: outcome and reversal have their place. */
static void payment_that_was_begun_ends_on_a_full_disk(void **state)
{
    struct dp_pay_result r;
    struct books b;
    (void)state;
    dp_payment_link_up(s.w.p, true);
    assert_true(world_answer(&s.w, 800));
    world_pay(&s.w, 1, "S1", STORY_CENTS);
    world_seen(&s.w);
    s.w.mem.disk = 0;
    world_wants_online(&s.w);
    story_hear(&s);
    assert_true(world_answer(&s.w, 0));
    world_ended(&s.w, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    r = *world_result(&s.w, 1);
    assert_int_equal(r.state, DP_PAY_APPROVED);
    world_pay(&s.w, 2, "S2", 100); /* and no other is begun */
    assert_int_equal(world_result(&s.w, 2)->reason, DP_REASON_JOURNAL);
    world_reverse(&s.w, 3, "R1", r.tx);
    assert_int_equal(world_result(&s.w, 3)->state, DP_PAY_APPROVED);
    world_books(&s.w, &b);
    assert_int_equal(b.open, 0);
    assert_int_equal(b.reversals, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failing_call_loses_nothing_that_was_answered),
        cmocka_unit_test(flush_that_was_a_lie_loses_nothing_in_silence),
        cmocka_unit_test_setup_teardown(payment_is_refused_before_the_reserve_is_gone, nothing,
                                        end),
        cmocka_unit_test_setup_teardown(payment_that_was_begun_ends_on_a_full_disk, nothing, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
