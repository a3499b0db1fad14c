/* SPDX-License-Identifier: Apache-2.0 */
/* A08: the reader is talked down to the magnetic stripe's data over the air (Roland 2013): by
 * qualifiers that allow it, or by a card that answers with nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim_payment.h"

static struct sim_payment p;

static void open_card(const char *card)
{
    sim_payment_open(&p, card);
    p.aids[2] = (struct dp_emv_aid){.aid = {0xA0, 0x00, 0x00, 0x09, 0x99, 0x01, 0x01},
                                    .aid_n = 7,
                                    .kernel = 3,
                                    .ttq = {0xF3, 0x00, 0x40, 0x00}, /* MSD and all the rest */
                                    .cl_transaction_limit = 50000,
                                    .cl_cvm_limit = 5000,
                                    .cl_floor_limit = 5000};
    p.terminal.aids_n = 3;
    p.transaction.kernel3_offline_max = 5000;
}

static void the_terminal_never_says_that_it_speaks_it(void **state)
{
    open_card("qvsdc");
    sim_payment_expect(&p, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
    assert_int_equal(sim_payment_command(&p, 0xA8, 1, NULL)[7] & 0x80, 0);
}

static void a_card_that_offers_nothing_else_is_not_paid_with(void **state)
{
    static const char *const offers[] = {
        "gpo replace 80060080080101009000",         /* AIP: magnetic stripe; AFL */
        "gpo replace 770A820200809404080101009000", /* the same with tags */
        "gpo drop 9F26",                            /* all but a cryptogram */
        "gpo drop 9F26\ngpo tag 82 0080",
    };
    for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
        open_card("qvsdc");
        sim_payment_script(&p, offers[i]);
        sim_payment_expect(&p, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_CARD_DATA);
        assert_false(p.result.went_online);
        assert_null(sim_payment_command(&p, 0xB2, 1, NULL)); /* its track is not even read */
    }
}

/* ... neither one that speaks it rightly, with a number that changes (CVC3). */
static void a_real_stripe_card_is_not_paid_with(void **state)
{
    open_card("stripe");
    sim_payment_expect(&p, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_CARD_DATA);
    assert_non_null(sim_payment_command(&p, 0xA8, 1, NULL));
    assert_null(sim_payment_command(&p, 0xB2, 1, NULL));
    assert_null(sim_payment_command(&p, 0x2A, 1, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_terminal_never_says_that_it_speaks_it),
        cmocka_unit_test(a_card_that_offers_nothing_else_is_not_paid_with),
        cmocka_unit_test(a_real_stripe_card_is_not_paid_with),
    };
    return cmocka_run_group_tests_name("A08", tests, NULL, NULL);
}
