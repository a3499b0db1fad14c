/* SPDX-License-Identifier: Apache-2.0 */
/* A07: a card that asks for less, or more, than the whole unpredictable number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim_payment.h"

static struct sim_payment p;

/* The card with a list in which 9F37 has this length. */
static void ask(const char *card, const char *list, const char *before, unsigned length,
                const char *after)
{
    char line[128];
    (void)snprintf(line, sizeof line, "%s = %s9F37%02X%s", list, before, length, after);
    sim_payment_open_with(&p, card, line);
    assert_int_equal(sim_payment_run(&p), DP_OK);
}

static void refused_before(uint8_t ins)
{
    assert_int_equal(p.result.outcome, DP_EMV_ENDED);
    assert_int_equal(p.result.reason, DP_EMV_REASON_CARD_DATA);
    assert_null(sim_payment_command(&p, ins, 1, NULL));
}

static void a_list_that_cuts_or_pads_the_number_is_refused(void **state)
{
    static const struct {
        const char *card, *list, *before, *after;
        uint8_t ins; /* the command it would fill */
    } lists[] = {
        {"cda-offline", "9F38", "9F0206", "5F2A02", 0xA8},
        {"cda-offline", "8C", "9F02069F03069F1A0295055F2A029A039C01", "9F3501", 0xAE},
        {"cda-online", "8D", "910A8A029505", "", 0xAE},
        {"dda", "9F49", "", "9F0206", 0x88},
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (unsigned length = 0; length <= 16; length++) {
            ask(lists[i].card, lists[i].list, lists[i].before, length, lists[i].after);
            if (length != 4)
                refused_before(lists[i].ins);
            else
                assert_non_null(sim_payment_command(&p, lists[i].ins, 1, NULL));
        }
}

static void the_whole_number_goes_to_the_card(void **state)
{
    const uint8_t *c;
    size_t n;
    ask("cda-offline", "9F38", "", 4, "");
    assert_int_equal(p.result.outcome, DP_EMV_APPROVED_OFFLINE);
    c = sim_payment_command(&p, 0xA8, 1, &n);
    assert_non_null(c);
    assert_memory_equal(c + 7, p.transaction.unpredictable_number, 4);
}

static void a_list_that_asks_twice_gets_it_whole_or_not_at_all(void **state)
{
    ask("cda-offline", "9F38", "9F3704", 3, "");
    refused_before(0xA8);
    ask("cda-offline", "9F38", "9F3703", 4, "");
    refused_before(0xA8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_that_cuts_or_pads_the_number_is_refused),
        cmocka_unit_test(the_whole_number_goes_to_the_card),
        cmocka_unit_test(a_list_that_asks_twice_gets_it_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
