/* SPDX-License-Identifier: Apache-2.0 */
/* A11: a wedge between card and reader dresses the card's AAC or ARQC as a TC, or the card simply
 * says TC. Only CDA signs the kind of cryptogram: nothing else is approved offline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim_payment.h"

static struct sim_payment p;

static const char *const wedges[] = {
    "generate-ac-1 tag 9F27 40",
    "generate-ac-2 tag 9F27 40",
    "any tag 9F27 40",
    /* and the card's authentication is made to look like another, or like none */
    "any tag 9F27 40\ngpo tag 82 3800",
    "any tag 9F27 40\ngpo tag 82 3900\nread-record:3.2 flip 9F46 20",
    "any tag 9F27 40\nread-record:3.1 tag 8F EE",
    "generate-ac-1 drop 9F4B\ngenerate-ac-1 tag 9F27 40",
    "generate-ac-1 flip 9F4B 9",
    "generate-ac-1 flip 9F27\ngenerate-ac-1 flip 9F10",
};

static void never_approved_offline(const char *card, const char *wedge, bool link)
{
    sim_payment_open_with(&p, card, "unable_to_go_online = approve");
    sim_payment_script(&p, wedge);
    p.transaction.online_possible = link;
    p.issuer = ISSUER_SILENT;
    assert_int_equal(sim_payment_run(&p), DP_OK);
    if (p.result.outcome == DP_EMV_APPROVED_OFFLINE)
        fail_msg("%s, %s, %s: %s", card, link ? "link" : "no link", wedge, p.result.words);
}

static void a_dressed_up_cryptogram_is_never_approved_offline(void **state)
{
    static const char *const cards[] = {"declines", "dda-offline", "dda", "sda", "no-oda"};
    for (size_t c = 0; c < sizeof cards / sizeof cards[0]; c++)
        for (size_t w = 0; w < sizeof wedges / sizeof wedges[0]; w++)
            for (int link = 0; link < 2; link++)
                never_approved_offline(cards[c], wedges[w], link != 0);
}

static void nor_is_one_of_a_card_that_signs(void **state)
{
    /* the signature is true, and is of another kind or another answer */
    static const char *const tampered[] = {
        "generate-ac-1 tag 9F27 40", /* the ARQC's */
        "generate-ac-1 flip 9F10 1", "generate-ac-1 flip 9F36 1", "generate-ac-1 flip 9F4B 40",
        "generate-ac-1 drop 9F4B",   "generate-ac-1 drop 9F10",
    };
    for (size_t w = 0; w < sizeof tampered / sizeof tampered[0]; w++) {
        never_approved_offline("cda-online", tampered[w], false);
        if (w > 0)
            never_approved_offline("cda-offline", tampered[w], false);
    }
}

static void a_tc_without_cda_is_no_approval_whoever_the_card_is(void **state)
{
    static const char *const cards[] = {"dda-offline", "dda", "sda", "no-oda"};
    for (size_t c = 0; c < sizeof cards / sizeof cards[0]; c++) {
        never_approved_offline(cards[c], "generate-ac-1 delay 0", false);
        never_approved_offline(cards[c], "generate-ac-1 delay 0", true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dressed_up_cryptogram_is_never_approved_offline),
        cmocka_unit_test(nor_is_one_of_a_card_that_signs),
        cmocka_unit_test(a_tc_without_cda_is_no_approval_whoever_the_card_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
