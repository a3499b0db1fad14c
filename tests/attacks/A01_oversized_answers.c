/* SPDX-License-Identifier: Apache-2.0 */
/* A01: answers of every awkward size at every step of a payment, and a reader that reports more
 * than it had room for. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "sim_payment.h"

static struct sim_payment p;

/* What one command's answer becomes. */
static struct {
    unsigned at; /* which command, from 1 */
    size_t size; /* of the answer, status word too */
    bool padded; /* the true answer goes on to that size; else only filling */
} attack;

static size_t oversize(struct sim_payment *x, const uint8_t *command, size_t n,
                       struct sim_buf *answer)
{
    if (x->commands != attack.at)
        return answer->n;
    if (!attack.padded)
        answer->n = 0;
    while (answer->n < attack.size && answer->n < SIM_BUF_MAX)
        answer->p[answer->n++] = 0x90;
    if (attack.size >= 2 && attack.size <= SIM_BUF_MAX)
        answer->p[attack.size - 1] = 0x00;
    answer->n = attack.size < SIM_BUF_MAX ? attack.size : SIM_BUF_MAX;
    return attack.size;
}

/* Selection may fail and be taken another way; a card that fails to authenticate, or to hear the
 * issuer, may be approved by the issuer all the same. */
static bool may_be_done_without(const struct sim_payment *x, unsigned at)
{
    uint8_t ins = x->log[at - 1].p[1];
    unsigned gpo = 0;
    if (ins == 0x88 || ins == 0x82)
        return true;
    while (gpo < x->commands && x->log[gpo].p[1] != 0xA8)
        gpo++;
    return at <= gpo;
}

static unsigned commands_of(const char *card)
{
    sim_payment_open(&p, card);
    assert_int_equal(sim_payment_run(&p), DP_OK);
    return p.commands;
}

static void attack_each_step(const char *card, bool padded)
{
    static const size_t sizes[] = {0, 1, 2, 256, 257, 258, 264, 65538};
    unsigned all = commands_of(card);
    assert_true(all > 8);
    for (unsigned at = 1; at <= all; at++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            attack.at = at;
            attack.size = sizes[i];
            attack.padded = padded;
            sim_payment_open(&p, card);
            p.alter = oversize;
            assert_int_equal(sim_payment_run(&p), DP_OK);
            if (sizes[i] > DP_APDU_RESPONSE_MAX && !p.result.went_online)
                assert_int_equal(p.result.reason, DP_EMV_REASON_READER);
            if (sizes[i] > DP_APDU_RESPONSE_MAX && p.log[at - 1].p[1] != 0x82)
                assert_int_equal(p.commands, at);
            if (!may_be_done_without(&p, at))
                assert_true(p.result.outcome != DP_EMV_APPROVED_OFFLINE &&
                            p.result.outcome != DP_EMV_APPROVED_ONLINE);
        }
}

static void filling_of_any_size_ends_a_payment_offline(void **state)
{
    attack_each_step("cda-offline", false);
}

static void filling_of_any_size_ends_a_payment_online(void **state)
{
    attack_each_step("cda-online", false);
    attack_each_step("dda", false);
}

static void true_answers_that_go_on_too_long_end_it_too(void **state)
{
    attack_each_step("cda-offline", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filling_of_any_size_ends_a_payment_offline),
        cmocka_unit_test(filling_of_any_size_ends_a_payment_online),
        cmocka_unit_test(true_answers_that_go_on_too_long_end_it_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
