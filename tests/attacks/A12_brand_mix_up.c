/* SPDX-License-Identifier: Apache-2.0 */
/* A12: the number of one brand's card under another brand's application (Basin 2021). The signed
 * table of number ranges says which may come together; co-badged cards stand in it with both. */
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
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

static void come_as(const char *bin8, const char aid[7])
{
    (void)snprintf(w.bin8, sizeof w.bin8, "%s", bin8);
    memcpy(w.aid, aid, sizeof w.aid);
}

#define OURS    "\xA0\x00\x00\x09\x99\x01\x01"
#define OTHER   "\xA0\x00\x00\x08\x88\x02\x02"
#define UNKNOWN "\xA0\x00\x00\x07\x77\x01\x01"

static const struct {
    const char *bin8, *aid;
} mixed[] = {
    {"99990100", OTHER},   {"99990100", UNKNOWN},
    {"99990850", UNKNOWN}, {"99990900", OURS}, /* a range nobody listed */
    {"99990849", OURS},                        /* one below, one above a listed range */
    {"99990900", OTHER},
};

static void declined(uint64_t request)
{
    const struct dp_pay_result *r = world_result(&w, request);
    assert_int_equal(r->state, DP_PAY_DECLINED);
    assert_int_equal(r->reason, DP_REASON_BIN_AID);
}

static void mixed_up_card_is_declined_without_a_link(void **state)
{
    char service[8];
    (void)state;
    for (unsigned i = 0; i < sizeof mixed / sizeof mixed[0]; i++) {
        come_as(mixed[i].bin8, mixed[i].aid);
        (void)snprintf(service, sizeof service, "S%u", i);
        world_pay(&w, i + 1, service, 100);
        world_seen(&w);
        assert_int_equal(w.policy.verdict, DP_EMV_POLICY_DECLINE);
        world_ended(&w, i % 2 == 0 ? DP_EMV_APPROVED_OFFLINE : DP_EMV_DEFERRED, DP_EMV_REASON_NONE);
        declined(i + 1);
    }
}

static void and_is_not_taken_to_the_acquirer(void **state)
{
    unsigned sends;
    (void)state;
    dp_payment_link_up(w.p, true);
    assert_true(world_answer(&w, 800));
    sends = w.sends;
    come_as(mixed[0].bin8, mixed[0].aid);
    world_pay(&w, 1, "S1", 100);
    world_seen(&w);
    world_wants_online(&w);
    assert_int_equal(w.sends, sends);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_NO_LINK);
    declined(1);
}

static void co_badged_card_may_come_as_either(void **state)
{
    (void)state;
    come_as("99990850", OURS);
    world_pay(&w, 1, "S1", 100);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 1)->state, DP_PAY_APPROVED);
    memset(w.card_hash, 0xC2, sizeof w.card_hash);
    come_as("99990850", OTHER);
    world_pay(&w, 2, "S2", 100);
    world_tap_offline(&w);
    assert_int_equal(world_result(&w, 2)->state, DP_PAY_APPROVED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mixed_up_card_is_declined_without_a_link, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(and_is_not_taken_to_the_acquirer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(co_badged_card_may_come_as_either, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("A12", tests, NULL, NULL);
}
