/* SPDX-License-Identifier: Apache-2.0 */
/* A03: GET RESPONSE games: 61xx that never ends, 61xx with nothing behind it, 6Cxx for ever, no
 * status word. At each step, over T=0 and T=1; each command has an end, and so has the payment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "sim_payment.h"

static struct sim_payment p;

static const char *const steps[] = {"select-pse", "select", "gpo", "read-record", "generate-ac-1"};
/* each begins with the step */
static const char *const games[] = {
    " replace 6110\nget-response replace 6110",
    " replace 61FF\nget-response replace 6C10",
    " replace 6110\nget-response replace 9000",
    " replace 6100\nget-response cut 1",
    " replace 6C10",
    " replace 6C00",
    " cut 1",
    " cut 0",
    " replace 61",
    " replace 6110\nget-response cut 0",
};

/* Rounds of one command: GET RESPONSE, or the same instruction and parameters again. */
static unsigned longest_command(void)
{
    unsigned longest = 1, rounds = 1;
    for (unsigned i = 1; i < p.commands; i++) {
        bool more = p.log[i].p[1] == 0xC0 || memcmp(p.log[i].p, p.log[i - 1].p, 4) == 0;
        rounds = more ? rounds + 1 : 1;
        longest = rounds > longest ? rounds : longest;
    }
    return longest;
}

static void holds(const char *what)
{
    if (p.result.outcome == DP_EMV_APPROVED_OFFLINE || p.result.outcome == DP_EMV_APPROVED_ONLINE ||
        longest_command() > DP_APDU_CHAIN_MAX + 1 || p.commands > DP_EMV_COMMANDS_MAX)
        fail_msg("%s: %u commands, %u for one; %s", what, p.commands, longest_command(),
                 p.result.words);
}

static void play(const char *card, const char *step, const char *game)
{
    char lines[128];
    (void)snprintf(lines, sizeof lines, "%s%s", step, game);
    sim_payment_open(&p, card);
    sim_payment_script(&p, lines);
    assert_int_equal(sim_payment_run(&p), DP_OK);
    /* without a directory the terminal's own list serves */
    if (strcmp(step, "select-pse") != 0)
        holds(lines);
    assert_true(longest_command() <= DP_APDU_CHAIN_MAX + 1);
}

static void every_command_has_an_end_at_every_step(void **state)
{
    static const char *const cards[] = {"cda-t0", "cda-offline"};
    (void)state;
    for (size_t c = 0; c < sizeof cards / sizeof cards[0]; c++)
        for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++)
            for (size_t g = 0; g < sizeof games / sizeof games[0]; g++)
                play(cards[c], steps[s], games[g]);
}

static void scripts_of_the_examples_end_too(void **state)
{
    static const char *const scripts[] = {"endless-61", "endless-6c", "empty-61", "no-status"};
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        sim_payment_open(&p, "cda-t0");
        sim_payment_script_file(&p, scripts[i]);
        assert_int_equal(sim_payment_run(&p), DP_OK);
        assert_int_equal(p.result.outcome, DP_EMV_ENDED);
        holds(scripts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_an_end_at_every_step),
        cmocka_unit_test(scripts_of_the_examples_end_too),
    };
    return cmocka_run_group_tests_name("A03", tests, NULL, NULL);
}
