/* SPDX-License-Identifier: Apache-2.0 */
#include "step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct step s;

/* Restrictions with one element changed; the TVR that follows. */
static void leads_to(uint32_t tag, const char *value, const char *tvr)
{
    step_begin(&s);
    step_set(&s, 0x5F24, "281231");
    step_set(&s, 0x5F28, "0056");
    step_set(&s, 0x9F07, "FFC0");
    step_set(&s, 0x9F08, "0001");
    step_set(&s, tag, value);
    assert_int_equal(emv_restrict(&s.k), EMV_GO_ON);
    step_tvr(&s, tvr);
    step_end(&s);
}

static void versions_that_differ_are_noted(void **state)
{
    leads_to(0x9F08, "0001", "0000000000");
    leads_to(0x9F08, "0002", "0080000000");
    leads_to(0x9F08, "", "0000000000"); /* none: nothing to compare */
}

static void dates_are_compared_to_the_day(void **state)
{
    leads_to(0x5F24, "261124", "0000000000");
    leads_to(0x5F24, "261123", "0040000000");
    leads_to(0x5F24, "991231", "0040000000"); /* 1999 */
    leads_to(0x5F24, "491231", "0000000000");
    leads_to(0x5F25, "261124", "0000000000");
    leads_to(0x5F25, "261125", "0020000000");
    leads_to(0x5F25, "500101", "0000000000");
}

static void usage_control_is_for_goods_and_services_at_home_and_abroad(void **state)
{
    leads_to(0x9F07, "2900", "0000000000"); /* domestic */
    leads_to(0x9F07, "0900", "0000000000"); /* domestic services alone */
    leads_to(0x9F07, "1500", "0010000000"); /* international alone */
    leads_to(0x9F07, "FE00", "0010000000"); /* ATMs alone */
    leads_to(0x5F28, "0250", "0000000000");
    step_begin(&s);
    step_set(&s, 0x5F24, "281231");
    step_set(&s, 0x9F07, "2900");
    step_set(&s, 0x5F28, "0250");
    assert_int_equal(emv_restrict(&s.k), EMV_GO_ON);
    step_tvr(&s, "0010000000");
    step_end(&s);
    step_begin(&s);
    step_set(&s, 0x5F24, "281231");
    step_set(&s, 0x9F07, "0100"); /* no issuer country: only where it is used counts */
    assert_int_equal(emv_restrict(&s.k), EMV_GO_ON);
    step_tvr(&s, "0000000000");
    step_end(&s);
}

static void data_that_say_nothing_sound_restrict(void **state)
{
    leads_to(0x5F24, "", "0040000000");       /* no date: expired */
    leads_to(0x5F24, "2A1231", "0040000000"); /* no digits */
    leads_to(0x5F25, "2A0101", "0020000000");
    leads_to(0x5F25, "", "0000000000");
    leads_to(0x9F08, "000100", "0080000000"); /* of another length */
    leads_to(0x9F07, "", "0000000000");       /* no usage control */
}

static void a_refund_needs_no_leave_for_goods(void **state)
{
    for (int i = 0; i < 2; i++) {
        step_begin(&s);
        s.transaction.type = i == 0 ? 0x00 : 0x20;
        step_set(&s, 0x5F24, "281231");
        step_set(&s, 0x5F28, "0056");
        step_set(&s, 0x9F07, "0100");
        assert_int_equal(emv_restrict(&s.k), EMV_GO_ON);
        step_tvr(&s, i == 0 ? "0010000000" : "0000000000");
        step_end(&s);
    }
}

static void cash_needs_its_own_leave(void **state)
{
    static const struct {
        uint8_t type;
        const char *usage, *country, *tvr;
    } cases[] = {
        {0x01, "8100", "0056", "0000000000"}, {0x01, "4100", "0056", "0010000000"},
        {0x01, "4100", "0250", "0000000000"}, {0x01, "3F00", "0056", "0010000000"},
        {0x09, "2180", "0056", "0000000000"}, {0x09, "2100", "0056", "0010000000"},
        {0x09, "0180", "0056", "0010000000"}, {0x09, "1140", "0250", "0000000000"},
        {0x09, "1180", "0250", "0010000000"}, {0x20, "0100", "0056", "0000000000"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        step_begin(&s);
        s.transaction.type = cases[i].type;
        step_set(&s, 0x5F24, "281231");
        step_set(&s, 0x5F28, cases[i].country);
        step_set(&s, 0x9F07, cases[i].usage);
        assert_int_equal(emv_restrict(&s.k), EMV_GO_ON);
        step_tvr(&s, cases[i].tvr);
        step_end(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_that_differ_are_noted),
        cmocka_unit_test(dates_are_compared_to_the_day),
        cmocka_unit_test(usage_control_is_for_goods_and_services_at_home_and_abroad),
        cmocka_unit_test(data_that_say_nothing_sound_restrict),
        cmocka_unit_test(a_refund_needs_no_leave_for_goods),
        cmocka_unit_test(cash_needs_its_own_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
