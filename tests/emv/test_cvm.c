/* SPDX-License-Identifier: Apache-2.0 */
#include "step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"

static struct step s;

/* Rules, behind amounts X = 20.00 and Y = 30.00; the payment is of 23.50. */
static void ends(const char *rules, const char *results, const char *tvr)
{
    char list[128] = "000007D000000BB8", text[7];
    step_begin(&s);
    s.k.aip[0] = AIP_CVM;
    step_set(&s, 0x9F42, "0978");
    step_set(&s, 0x8E, strcat(list, rules));
    assert_int_equal(emv_verify_holder(&s.k), EMV_GO_ON);
    assert_string_equal(dp_hex_encode(s.k.cvm_results, 3, text, sizeof text), results);
    step_tvr(&s, tvr);
    assert_int_equal(s.k.tsi[0], TSI_CVM);
    step_end(&s);
}

static void signature_is_for_a_person_to_judge(void **state)
{
    ends("1E00", "1E0000", "0000000000");
    assert_int_equal(s.result.summary.cvm, DP_EMV_CVM_SIGNATURE);
    ends("5E031F00", "5E0300", "0000000000");
}

static void no_cvm_is_success(void **state)
{
    ends("1F00", "1F0002", "0000000000");
    assert_int_equal(s.result.summary.cvm, DP_EMV_CVM_NONE);
    ends("1F02", "1F0202", "0000000000");
}

static void amounts_decide_in_the_cards_currency(void **state)
{
    ends("1F061E07", "1E0700", "0000000000"); /* over X */
    ends("1F081E09", "1F0802", "0000000000"); /* under Y */
    ends("1F061E09", "3F0001", "0000800000"); /* neither */
}

static void amounts_in_another_currency_decide_nothing(void **state)
{
    step_begin(&s);
    s.k.aip[0] = AIP_CVM;
    step_set(&s, 0x9F42, "0840");
    step_set(&s, 0x8E, "000007D000000BB81F071E00");
    assert_int_equal(emv_verify_holder(&s.k), EMV_GO_ON);
    assert_int_equal(s.k.cvm_results[0], 0x1E);
    step_end(&s);
}

static void pins_are_known_and_never_succeed(void **state)
{
    static const char *const pins[] = {"41", "42", "43", "44", "45"};
    for (size_t i = 0; i < 5; i++) {
        char rules[16];
        (void)strcpy(rules, pins[i]);
        ends(strcat(rules, "001F00"), "1F0002", "0000100000");
        rules[0] = '0';
        rules[4] = '\0';
        rules[2] = rules[3] = '0';
        rules[1] = pins[i][1];
        step_begin(&s);
        s.k.aip[0] = AIP_CVM;
        step_set(&s, 0x8E, strcat(strcpy((char[40]){0}, "0000000000000000"), rules));
        assert_int_equal(emv_verify_holder(&s.k), EMV_GO_ON);
        step_tvr(&s, "0000900000");
        assert_memory_equal(s.k.cvm_results, "\x3F\x00\x01", 3); /* nothing was performed */
        step_end(&s);
        /* only if we had one: passed over */
        rules[3] = '3';
        ends(strcat(rules, "1F00"), "1F0002", "0000000000");
    }
}

static void an_unknown_method_is_noted(void **state)
{
    ends("60001F00", "1F0002", "0000400000");
    ends("20001F00", "3F0001", "0000C00000");
    ends("86001F00", "3F0001", "0000C00000"); /* a reserved bit is no method */
}

static void fail_means_fail(void **state)
{
    ends("00001F00", "000001", "0000800000");
    ends("40001F00", "400001", "0000800000");
    ends("410000001F00", "000001", "0000900000"); /* behind a PIN, which is none here */
}

static void unknown_conditions_and_cash_pass_over_a_rule(void **state)
{
    ends("1E011F00", "1F0002", "0000000000");
    ends("1E041E051E0A1EFF1F00", "1F0002", "0000000000");
    ends("1E01", "3F0001", "0000800000");
}

static void without_support_or_list_nothing_is_performed(void **state)
{
    step_begin(&s);
    step_set(&s, 0x8E, "00000000000000001E00");
    assert_int_equal(emv_verify_holder(&s.k), EMV_GO_ON);
    assert_memory_equal(s.k.cvm_results, "\x3F\x00\x00", 3);
    step_tvr(&s, "0000000000");
    assert_int_equal(s.k.tsi[0], 0);
    step_end(&s);
    step_begin(&s);
    s.k.aip[0] = AIP_CVM;
    assert_int_equal(emv_verify_holder(&s.k), EMV_GO_ON);
    step_tvr(&s, "2000000000");
    assert_int_equal(s.k.tsi[0], 0);
    step_end(&s);
    step_begin(&s);
    s.k.aip[0] = AIP_CVM;
    step_set(&s, 0x8E, "0000000000000000"); /* no rule */
    assert_int_equal(emv_verify_holder(&s.k), EMV_GO_ON);
    step_tvr(&s, "2000000000");
    assert_memory_equal(s.k.cvm_results, "\x3F\x00\x00", 3);
    assert_int_equal(s.k.tsi[0], 0);
    step_end(&s);
}

static void a_list_with_half_a_rule_ends_the_payment(void **state)
{
    step_begin(&s);
    s.k.aip[0] = AIP_CVM;
    step_set(&s, 0x8E, "00000000000000001E001F");
    assert_int_equal(emv_verify_holder(&s.k), EMV_OVER);
    assert_int_equal(s.result.reason, DP_EMV_REASON_CARD_DATA);
    step_end(&s);
}

static void at_the_amounts_themselves_neither_rule_counts(void **state)
{
    static const struct {
        int64_t minor;
        const char *rules;
        uint8_t code;
    } cases[] = {
        {1999, "1F061E00", 0x1F}, {2000, "1F061E00", 0x1E}, {2000, "1F071E00", 0x1E},
        {2001, "1F071E00", 0x1F}, {2999, "1F081E00", 0x1F}, {3000, "1F081E00", 0x1E},
        {3000, "1F091E00", 0x1E}, {3001, "1F091E00", 0x1F},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char list[64] = "000007D000000BB8";
        step_begin(&s);
        s.k.aip[0] = AIP_CVM;
        s.transaction.amount.minor = cases[i].minor;
        step_set(&s, 0x9F42, "0978");
        step_set(&s, 0x8E, strcat(list, cases[i].rules));
        assert_int_equal(emv_verify_holder(&s.k), EMV_GO_ON);
        assert_int_equal(s.k.cvm_results[0], cases[i].code);
        step_end(&s);
    }
}

static void without_a_currency_of_the_card_no_amount_decides(void **state)
{
    static const char *const rules[] = {"061E00", "071E00", "081E00", "091E00"};
    for (size_t i = 0; i < 4; i++) {
        char list[64] = "000007D000000BB81F";
        step_begin(&s);
        s.k.aip[0] = AIP_CVM;
        step_set(&s, 0x8E, strcat(list, rules[i]));
        assert_int_equal(emv_verify_holder(&s.k), EMV_GO_ON);
        assert_int_equal(s.k.cvm_results[0], 0x1E);
        step_end(&s);
    }
}

static void what_the_terminal_cannot_do_fails(void **state)
{
    static const char *const rules[] = {"1E00", "1F00"};
    for (size_t i = 0; i < 2; i++) {
        char list[64] = "0000000000000000";
        step_begin(&s);
        s.k.aip[0] = AIP_CVM;
        s.terminal.capabilities[1] = 0;
        step_set(&s, 0x8E, strcat(list, rules[i]));
        assert_int_equal(emv_verify_holder(&s.k), EMV_GO_ON);
        step_tvr(&s, "0000800000");
        assert_int_equal(s.k.cvm_results[2], 0x01);
        step_end(&s);
    }
}

/* One rule, no CVM under a condition; does it count for this use of the terminal? */
static bool counts(const char *rule, uint8_t type, uint8_t terminal)
{
    char list[64] = "000007D000000BB8";
    bool yes;
    step_begin(&s);
    s.transaction.type = type;
    s.terminal.type = terminal;
    s.k.aip[0] = AIP_CVM;
    step_set(&s, 0x8E, strcat(list, rule));
    assert_int_equal(emv_verify_holder(&s.k), EMV_GO_ON);
    yes = s.k.cvm_results[2] == 2;
    step_end(&s);
    return yes;
}

static void conditions_know_cash_from_goods(void **state)
{
    (void)state;
    assert_true(counts("1F02", 0x00, 0x22)); /* neither cash nor cashback */
    assert_false(counts("1F02", 0x01, 0x22));
    assert_false(counts("1F02", 0x09, 0x22));
    assert_true(counts("1F01", 0x01, 0x25)); /* unattended cash */
    assert_false(counts("1F01", 0x01, 0x22));
    assert_true(counts("1F04", 0x01, 0x22)); /* manual cash */
    assert_false(counts("1F04", 0x01, 0x25));
    assert_true(counts("1F05", 0x09, 0x22)); /* purchase with cashback */
    assert_false(counts("1F05", 0x00, 0x22));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signature_is_for_a_person_to_judge),
        cmocka_unit_test(no_cvm_is_success),
        cmocka_unit_test(amounts_decide_in_the_cards_currency),
        cmocka_unit_test(amounts_in_another_currency_decide_nothing),
        cmocka_unit_test(pins_are_known_and_never_succeed),
        cmocka_unit_test(an_unknown_method_is_noted),
        cmocka_unit_test(fail_means_fail),
        cmocka_unit_test(unknown_conditions_and_cash_pass_over_a_rule),
        cmocka_unit_test(without_support_or_list_nothing_is_performed),
        cmocka_unit_test(a_list_with_half_a_rule_ends_the_payment),
        cmocka_unit_test(at_the_amounts_themselves_neither_rule_counts),
        cmocka_unit_test(without_a_currency_of_the_card_no_amount_decides),
        cmocka_unit_test(what_the_terminal_cannot_do_fails),
        cmocka_unit_test(conditions_know_cash_from_goods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
