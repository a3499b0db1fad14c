/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A21: the power goes around TC, approval and reversal. At every call to the disk of every story
 * the process is killed, or the power is cut and what was not flushed is partly there; then the
 * restart is cut as well. Whatever was in flight may have reached the acquirer, or not. At the end
 * each REQUESTED is closed in one way, the acquirer pays for what the sale was told and for nothing
 * else, and never twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/payment/story.h"

enum end {
    END_KILL,    /* what was written is there */
    END_POWER,   /* what was flushed is there, the rest as it comes */
    END_RESTART, /* and the restart is cut too */
    ENDS
};

static struct scene s;
static char where[96];
static unsigned cuts, open_once, tc_lost;

#define HOLDS(c)                                                                                   \
    do {                                                                                           \
        if (!(c))                                                                                  \
            fail_msg("%s: %s", where, #c);                                                         \
    } while (0)

/* A restart that is cut at its nth call to the disk, and another one. */
static void restart_cut(unsigned n, uint64_t seed)
{
    s.w.mem.dead = true;
    dp_payment_free(&s.w.p);
    dp_hsm_free(&s.w.hsm);
    assert_int_equal(dp_hsm_open(s.w.uri, &s.w.hsm), DP_OK);
    memstore_power_on(&s.w.mem, seed);
    memstore_fail(&s.w.mem, FAULT_CUT, n);
    world_open(&s.w);
    world_power_on(&s.w, seed + 1);
}

static void comes_back(enum end end, unsigned n)
{
    if (end == END_KILL)
        world_kill(&s.w);
    else if (end == END_POWER)
        world_power_on(&s.w, n * 7);
    else
        restart_cut(1 + n % 14, n * 11);
}

/* What the journal says now, and what the acquirer would pay once everything has reached him. */
static void books_agree(const struct story *story, bool told, const struct dp_pay_result *said,
                        bool undone)
{
    struct dp_pay_result now = world_status(&s.w, "S1");
    unsigned sales = 0;
    struct books b;
    world_books(&s.w, &b);
    HOLDS(b.open == 0 && b.closed_more == 0 && b.intents_open == 0 && b.fresh);
    HOLDS(now.state == DP_PAY_APPROVED || now.state == DP_PAY_DECLINED ||
          now.state == DP_PAY_NOT_FOUND);
    HOLDS(!told || (now.state == said->state && memcmp(now.tx, said->tx, sizeof now.tx) == 0));
    HOLDS(!undone || now.reversed);
    open_once += b.reversals > 0 && !told;
    tc_lost += story->tc && now.state == DP_PAY_DECLINED;
    story_forward_all(&s);
    now = world_status(&s.w, "S1");
    HOLDS(now.headroom.unsent_count == 0);
    world_books(&s.w, &b);
    HOLDS(b.open == 0 && b.closed_more == 0 && b.intents <= 1 && b.outcomes == b.intents);
    HOLDS(story_captured(&s, &sales) ==
          (now.state == DP_PAY_APPROVED && !now.reversed ? STORY_CENTS : 0));
    HOLDS(sales <= 1 || story->declines);
}

/* False when the story came to its end before. */
static bool one_cut(const struct story *story, unsigned n, enum end end)
{
    struct dp_pay_result said;
    bool dark, told, undone;
    (void)snprintf(where, sizeof where, "%s, call %u, end %d", story->name, n, (int)end);
    story_begin(&s, story);
    memstore_fail(&s.w.mem, FAULT_CUT, n);
    dark = story_tell(&s, story);
    if (n % 2 == 0)
        story_hear(&s); /* what had left arrived; else it was lost on the way */
    told = story_told(&s, &said, &undone);
    HOLDS(!s.w.mem.dead || dp_payment_stopped(s.w.p));
    comes_back(end, n);
    books_agree(story, told, &said, undone);
    world_remove(&s.w);
    cuts += dark;
    return dark;
}

static void every_requested_ends_one_way_wherever_the_power_goes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < stories_n; i++) {
        bool dark = true;
        for (unsigned n = 1; dark; n++) {
            assert_true(n < 400);
            for (enum end end = END_KILL; dark && end < ENDS; end++)
                dark = one_cut(&stories[i], n, end);
        }
    }
    print_message("# %u cuts, %u left a message open, %u a TC without its OUTCOME\n", cuts,
                  open_once, tc_lost);
    assert_true(cuts > 150 && open_once > 10 && tc_lost > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_requested_ends_one_way_wherever_the_power_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
