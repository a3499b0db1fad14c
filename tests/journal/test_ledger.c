/* SPDX-License-Identifier: Apache-2.0 */
/* How one transaction may go on: steps as history.h has them; a '!' marks one that must be refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "history.h"
#include "journal/ledger.h"

static void goes(const char *history)
{
    struct ledger *l = NULL;
    char text[128], *at, *kept = NULL;
    assert_int_equal(ledger_new(&l), DP_OK);
    snprintf(text, sizeof text, "%s", history);
    for (at = strtok_r(text, " ", &kept); at != NULL; at = strtok_r(NULL, " ", &kept)) {
        struct dp_record r;
        const char *why;
        bool refused = at[0] == '!';
        history_step(at + refused, &r);
        assert_int_equal(ledger_see(l, &r, &why), DP_OK);
        if ((why != NULL) != refused)
            fail_msg("%s: %s is %s", history, at, why != NULL ? why : "taken");
    }
    ledger_free(&l);
}

static void all_go(const char *const *histories, size_t n)
{
    for (size_t i = 0; i < n; i++)
        goes(histories[i]);
}

#define ALL_GO(...)                                                                                \
    do {                                                                                           \
        static const char *const histories[] = {__VA_ARGS__};                                      \
        all_go(histories, sizeof histories / sizeof histories[0]);                                 \
    } while (0)

static void every_way_a_payment_ends(void **state)
{
    (void)state;
    ALL_GO("I Qo1 Oo1",                  /* approved online */
           "I Qo1 Or1",                  /* declined by the issuer */
           "I On0",                      /* declined here */
           "I Qo1 R2<1 On0 F32",         /* no answer, taken back */
           "I Qo1 R2<1 On1 F32",         /* approved, refused by the card, taken back */
           "I Qo1 R2<1 Of3 F32 F13",     /* no answer, then approved offline */
           "I !Oo1",                     /* online without having asked */
           "I Of1 F11 R2<1 F32",         /* an advice, and its sale undone */
           "I Of1 F21",                  /* an advice declined */
           "I Of1 V",                    /* undone before it was sent */
           "I Of1 R2<1 F11 F32",         /* an advice before its own reversal */
           "I Od0 Qd1 F11",              /* deferred and approved */
           "I Od0 Qd1 R2<1 Qd3 F13 F32", /* asked again under a new STAN */
           "I Od0 V",                    /* deferred, never asked */
           "I Od0 Qd1 F41",              /* given up */
           "I Od0 F40",                  /* its time to be asked is over */
           "I Od0 Qd1 R2<1 F40 F32",     /* ... after a request that was taken back */
           "I Qa1 Oo1 Fc1",              /* dual message: a completion */
           "I Qo1 Oo1 R2<1 F32");        /* a sale undone */
}

static void nothing_ends_twice_or_begins_late(void **state)
{
    (void)state;
    ALL_GO("!Qo1", "!On0", "!V", "!F11", "!R2<1", /* without an INTENT */
           "I !I", "I On0 !I", "I On0 !On0", "I Qo1 Oo1 !Oo1", "I Qo1 !Qo2", "I Qo1 Oo1 !Qo2",
           "I Qo1 R2<1 !Qo1", "I Qo1 Oo1 R2<1 !R3<1", "I Of1 V !V", "I Of1 F11 !F11",
           "I Of1 F11 !F41", "I Od0 Qd1 F11 !F11", "I Qo1 R2<1 On0 F32 !F32", "I Od0 Qd1 R2<1 !F11",
           "I Qo1 Or1 !R2<1", "I Od0 Qd1 F21 !R2<1", "I Of1 F21 !R2<1", "!F40", "I !F40",
           "I Od0 !F10", "I Od0 !F20", "I Od0 F40 !F40", "I Od0 F40 !Qd1", "I Od0 F40 !V",
           "I Od0 V !F40", "I Of1 !F40", "I On0 !F40", "I Od0 Qd1 !F40", "I Od0 Qd1 F11 !F40",
           "I Od0 Qd1 F21 !Qd2", "I Od0 !F4$0");
    /* the money of its INTENT, whole; and what is captured says how much */
    ALL_GO("I !Oo1$", "I !On0#", "I !On0^", "I !Qo1#", "I Qo1 !Oo1^", "I Qo1 Oo1 !R2<1#",
           "I Of1 !V^", "I Of1 !F11#", "I Of1 !F11~", "I Of1 F21~", "I Od0 Qd1 !F11~",
           "I Qa1 Oo1 !Fc1~");
    /* a completion follows its authorisation, once */
    ALL_GO("I Od0 Qe1 !Fc1", "I Od0 Qe1 Fa1 Fc1 !Fc1");
}

static void what_is_open_is_closed_first(void **state)
{
    (void)state;
    ALL_GO("I Qo1 !On0", "I Qo1 !Of2", "I Qo1 !Od0", "I Qo1 !Oo2", "I Qo1 !Or2", "I Qo1 !On1",
           "I Od0 Qd1 !V", "I Od0 Qd1 !Qd2", "I Qo1 !F11", "I Qo1 Oo1 !F11");
}

static void each_message_has_the_answers_it_can_have(void **state)
{
    (void)state;
    ALL_GO("I Of1 !F31", "I Qo1 R2<1 On0 !F12", "I Of1 V !F11", "I Of1 F11 !V", "I Of1 F21 !V",
           "I Qo1 Oo1 !V", "I On0 !V", "I Of1 !R1<1", "I Of1 !R2<3", "I Of1 V !R2<1",
           "I Qo1 R2<1 On0 !R3<2", "I !Of0", "I Od0 !Qo1", "I Of1 !Qd2", "I !Qf1", "I Qo1 Oo1 !Fc1",
           "I Qa1 Oo1 Fc1 !Fc1", "I Qa1 Or1 !Fc1");
}

static void the_amount_is_one(void **state)
{
    (void)state;
    ALL_GO("I !Qo1$", "I !On0$", "I Qo1 !R2<1$", "I Of1 !F11$", "I Of1 !V$", "I Qa1 Oo1 !Fc1$");
}

/* More transactions than the first table holds; each finds its own. */
static void grows(void **state)
{
    struct ledger *l = NULL;
    struct dp_record r;
    const char *why;
    (void)state;
    assert_int_equal(ledger_new(&l), DP_OK);
    for (unsigned round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 5000; i++) {
            history_step(round == 0 ? "I" : "On0", &r);
            memcpy(r.tx, &i, sizeof i);
            assert_int_equal(ledger_see(l, &r, &why), DP_OK);
            assert_null(why);
        }
    assert_int_equal(ledger_see(l, &r, &why), DP_OK);
    assert_non_null(why);
    ledger_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_a_payment_ends),
        cmocka_unit_test(nothing_ends_twice_or_begins_late),
        cmocka_unit_test(what_is_open_is_closed_first),
        cmocka_unit_test(each_message_has_the_answers_it_can_have),
        cmocka_unit_test(the_amount_is_one),
        cmocka_unit_test(grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
