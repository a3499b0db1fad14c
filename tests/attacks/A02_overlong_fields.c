/* SPDX-License-Identifier: Apache-2.0 */
/* A02: elements longer or shorter than they can be, and lengths that promise what is not there
 * (PinPadPwn 2012). None is cut to size, none is taken: the payment ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim_payment.h"

static struct sim_payment p;

/* What one element becomes, wherever the card gives it. */
static struct {
    uint32_t tag;
    size_t n;
    bool lying; /* its length field says n, and the bytes are the card's own */
    unsigned met;
} attack;

static size_t lengthen(struct sim_payment *x, const uint8_t *command, size_t n,
                       struct sim_buf *answer)
{
    uint8_t value[256], sw[2];
    struct sim_tlv e;
    (void)x;
    (void)command;
    (void)n;
    if (answer->n < 2)
        return answer->n;
    memcpy(sw, answer->p + answer->n - 2, 2);
    answer->n -= 2;
    if (sim_tlv_find(answer->p, answer->n, attack.tag, &e) == DP_OK) {
        attack.met++;
        memset(value, 0x11, sizeof value);
        memcpy(value, answer->p + e.value, e.n < sizeof value ? e.n : sizeof value);
        if (attack.lying)
            answer->p[e.value - 1] = (uint8_t)attack.n;
        else
            assert_int_equal(sim_tlv_replace(answer, attack.tag, value, attack.n), DP_OK);
    }
    sim_put(answer, sw, 2);
    return answer->n;
}

static void pay(const char *card, uint32_t tag, size_t n, bool lying)
{
    sim_payment_open(&p, card);
    p.alter = lengthen;
    attack.tag = tag;
    attack.n = n;
    attack.lying = lying;
    attack.met = 0;
    assert_int_equal(sim_payment_run(&p), DP_OK);
    assert_true(attack.met > 0);
}

/* card: one that gives the element. */
static const struct {
    uint32_t tag;
    size_t max;
    const char *card;
} elements[] = {
    {0x5A, 10, "cda-offline"},  {0x57, 19, "cda-offline"},  {0x5F24, 3, "cda-offline"},
    {0x5F25, 3, "cda-offline"}, {0x5F28, 2, "cda-offline"}, {0x5F34, 1, "cda-offline"},
    {0x9F07, 2, "cda-offline"}, {0x9F08, 2, "cda-offline"}, {0x9F0D, 5, "cda-offline"},
    {0x9F0E, 5, "cda-offline"}, {0x9F0F, 5, "cda-offline"}, {0x9F42, 2, "cda-offline"},
    {0x82, 2, "cda-offline"},   {0x84, 16, "cda-offline"},  {0x9F10, 32, "cda-offline"},
    {0x9F27, 1, "cda-offline"}, {0x9F36, 2, "cda-offline"}, {0x9F26, 8, "dda"},
};

static void element_too_long_ends_the_payment(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        const size_t sizes[] = {elements[i].max + 1, 127, 128, 255};
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            pay(elements[i].card, elements[i].tag, sizes[j], false);
            if (p.result.outcome != DP_EMV_ENDED)
                fail_msg("%X of %zu bytes: %s", (unsigned)elements[i].tag, sizes[j],
                         p.result.words);
        }
    }
}

static void element_empty_or_stretched_is_never_approved_offline(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        const size_t sizes[] = {0, elements[i].max};
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            size_t own = elements[i].tag == 0x84 || elements[i].tag == 0x57 ? 0 : sizes[j];
            pay(elements[i].card, elements[i].tag, sizes[j], false);
            if (own == elements[i].max && p.result.outcome == DP_EMV_APPROVED_OFFLINE)
                assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_PASSED);
            else if (own == 0 && elements[i].tag != 0x57 && elements[i].tag != 0x9F42 &&
                     elements[i].tag != 0x9F08)
                assert_true(p.result.outcome != DP_EMV_APPROVED_OFFLINE);
        }
    }
}

static void length_that_promises_more_is_found_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        static const size_t lies[] = {0x7F, 0x81, 0x82, 0xFF};
        for (size_t j = 0; j < sizeof lies / sizeof lies[0]; j++) {
            pay(elements[i].card, elements[i].tag, lies[j], true);
            assert_true(p.result.outcome != DP_EMV_APPROVED_OFFLINE);
            /* what swallows its neighbours and still parses is not what the card signed */
            if (p.result.outcome == DP_EMV_APPROVED_ONLINE)
                assert_int_equal(p.result.summary.authentication_result, DP_EMV_AUTH_FAILED);
        }
    }
}

/* Length 0x81FF where the record ends long before. */
static void length_of_81_ff_ends_the_payment(void **state)
{
    (void)state;
    sim_payment_open(&p, "cda-offline");
    sim_payment_script_file(&p, "length-81ff");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CARD_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(element_too_long_ends_the_payment),
        cmocka_unit_test(element_empty_or_stretched_is_never_approved_offline),
        cmocka_unit_test(length_that_promises_more_is_found_out),
        cmocka_unit_test(length_of_81_ff_ends_the_payment),
    };
    return cmocka_run_group_tests_name("A02", tests, NULL, NULL);
}
