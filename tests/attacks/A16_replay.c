/* SPDX-License-Identifier: Apache-2.0 */
/* A16: a cryptogram that was seen before, or a counter that does not rise. The journal knows both
 * of every card of the round, also after the power was gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/payment/world.h"

static struct world w;

static int set_up(void **state)
{
    (void)state;
    world_make(&w);
    world_pay(&w, 1, "S1", 100);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_APPROVED);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

static void declined_and_journalled(uint64_t request)
{
    const struct dp_pay_result *r = world_result(&w, request);
    struct books b;
    assert_int_equal(r->state, DP_PAY_DECLINED);
    assert_true(r->reason == DP_REASON_REPLAY || r->reason == DP_REASON_INCONSISTENT);
    world_books(&w, &b);
    assert_int_equal(b.last_outcome.mode, DP_MODE_DECLINED);
    assert_int_equal(b.last_outcome.reason, r->reason);
    assert_int_equal(b.approved_amount, 100);
}

static void same_cryptogram_is_declined(void **state)
{
    (void)state;
    w.atc--;
    world_pay(&w, 2, "S2", 100);
    world_tap_offline(&w);
    declined_and_journalled(2);
}

static void same_cryptogram_of_another_number_is_declined(void **state)
{
    (void)state;
    w.atc--;
    /* the card's hash changes but for the bytes of which the test makes the cryptogram */
    w.card_hash[15] ^= 1;
    world_pay(&w, 2, "S2", 100);
    world_tap_deferred(&w);
    declined_and_journalled(2);
}

static void falling_counter_is_declined_after_power_loss_too(void **state)
{
    (void)state;
    world_kill(&w);
    w.atc = (uint16_t)(w.atc - 5);
    world_pay(&w, 2, "S2", 100);
    world_tap_deferred(&w);
    declined_and_journalled(2);
}

static void replay_is_not_taken_to_the_acquirer(void **state)
{
    unsigned sends;
    (void)state;
    world_forward_all(&w, 0);
    dp_payment_link_up(w.p, true);
    world_forward_all(&w, 0);
    w.atc--;
    sends = w.sends;
    world_pay(&w, 2, "S2", 100);
    world_seen(&w);
    world_wants_online(&w);
    assert_int_equal(w.sends, sends);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    assert_int_equal(world_result(&w, 2)->reason, DP_REASON_REPLAY);
}

static void tapped_replay_is_found_before_the_kernel_decides(void **state)
{
    (void)state;
    w.kernel = 3;
    w.atc--;
    world_pay(&w, 2, "S2", 100);
    world_seen(&w);
    assert_int_equal(w.policy.verdict, DP_EMV_POLICY_DECLINE);
    world_ended(&w, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_int_equal(world_result(&w, 2)->reason, DP_REASON_REPLAY);
}

static void next_cryptogram_of_the_same_card_is_taken(void **state)
{
    (void)state;
    world_pay(&w, 2, "S2", 100);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 2)->state, DP_PAY_APPROVED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(same_cryptogram_is_declined, set_up, tear_down),
        cmocka_unit_test_setup_teardown(same_cryptogram_of_another_number_is_declined, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(falling_counter_is_declined_after_power_loss_too, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(replay_is_not_taken_to_the_acquirer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tapped_replay_is_found_before_the_kernel_decides, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(next_cryptogram_of_the_same_card_is_taken, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("A16", tests, NULL, NULL);
}
