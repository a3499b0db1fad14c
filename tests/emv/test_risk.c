/* SPDX-License-Identifier: Apache-2.0 */
/* Terminal risk management, and what terminal action analysis makes of its findings. */
#include "step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct step s;

static void amount_leads_to(int64_t minor, const char *tvr)
{
    step_begin(&s);
    s.transaction.amount.minor = minor;
    assert_int_equal(emv_manage_risk(&s.k), EMV_GO_ON);
    step_tvr(&s, tvr);
    assert_int_equal(s.k.tsi[0], TSI_TERMINAL_RISK);
    step_end(&s);
}

static void the_floor_limit_itself_is_over_it(void **state)
{
    amount_leads_to(4999, "0000000000");
    amount_leads_to(5000, "0000008000");
}

/* target 20 %, maximum 60 %, threshold 20.00, floor 50.00; the number drawn is value % 99 + 1 */
static bool selected(int64_t minor, uint8_t value)
{
    bool yes;
    step_begin(&s);
    s.aids[0].random_target = 20;
    s.aids[0].random_max = 60;
    s.aids[0].random_threshold = 2000;
    s.transaction.amount.minor = minor;
    s.transaction.random[3] = value;
    assert_int_equal(emv_manage_risk(&s.k), EMV_GO_ON);
    yes = emv_tvr_has(&s.k, TVR_RANDOMLY_SELECTED);
    step_end(&s);
    return yes;
}

static void selects_at_random_below_the_threshold(void **state)
{
    assert_true(selected(100, 19)); /* 20 */
    assert_false(selected(100, 20));
    assert_true(selected(1999, 0));
    assert_true(selected(1999, 99)); /* 1 again */
}

static void selects_more_of_larger_amounts(void **state)
{
    assert_true(selected(2000, 19));
    assert_false(selected(2000, 20));
    assert_true(selected(3500, 39)); /* half way: 40 % */
    assert_false(selected(3500, 40));
    assert_true(selected(4999, 58)); /* 59 % */
    assert_false(selected(4999, 59));
    assert_false(selected(5000, 0)); /* over the floor limit anyway */
}

static void counters(const char *lower, const char *upper, const char *now, const char *last,
                     const char *tvr)
{
    const struct step_exchange script[] = {{"80CA9F3600", now}, {"80CA9F1300", last}};
    step_begin(&s);
    STEP_PLAY(&s, script);
    step_set(&s, 0x9F14, lower);
    step_set(&s, 0x9F23, upper);
    assert_int_equal(emv_manage_risk(&s.k), EMV_GO_ON);
    step_tvr(&s, tvr);
    step_played(&s);
    step_end(&s);
}

static void counts_payments_since_the_card_was_online(void **state)
{
    counters("02", "04", "9F360200059000", "9F130200039000", "0000000000"); /* 2: not above 2 */
    counters("02", "04", "9F360200069000", "9F130200039000", "0000004000");
    counters("02", "04", "9F360200089000", "9F130200039000", "0000006000");
    counters("FF", "FF", "9F360200039000", "9F130200039000", "0000006000"); /* does not move */
    counters("FF", "FF", "9F360200029000", "9F130200039000", "0000006000"); /* runs backwards */
    counters("FF", "FF", "9F360200019000", "9F130200009000", "0008000000"); /* a new card */
    counters("04", "02", "9F360200069000", "9F130200039000",
             "0000000000"); /* the lower one first */
}

static void counters_the_card_does_not_give_count_as_exceeded(void **state)
{
    counters("FF", "FF", "6A88", "9F130200039000", "2000006000");
    counters("FF", "FF", "9F360200059000", "6A88", "2000006000");
    counters("FF", "FF", "9F36039999999000", "9F130200039000", "2000006000");
}

static void without_limits_no_counter_is_asked_for(void **state)
{
    step_begin(&s);
    step_set(&s, 0x9F14, "02");
    assert_int_equal(emv_manage_risk(&s.k), EMV_GO_ON); /* a command would fail the test */
    step_tvr(&s, "0000000000");
    step_end(&s);
}

static void the_exception_list_sets_its_bit(void **state)
{
    step_begin(&s);
    s.policy.on_exception_list = true;
    assert_int_equal(emv_manage_risk(&s.k), EMV_GO_ON);
    step_tvr(&s, "1000000000");
    step_end(&s);
}

/* A card that CDA will authenticate, and whose cryptogram covers the amount. */
static void begin_authenticated(void)
{
    step_begin(&s);
    s.k.oda = DP_EMV_AUTH_CDA;
    s.k.icc_key_good = true;
    s.k.policy = s.policy;
    step_set(&s, 0x8C, "9F0206");
}

static void a_policy_that_answers_nothing_declines(void **state)
{
    struct emv_action a;
    begin_authenticated();
    s.policy_silent = true;
    assert_int_equal(emv_manage_risk(&s.k), EMV_GO_ON);
    emv_action_first(&s.k, &a);
    assert_int_equal(a.cid, CID_AAC);
    assert_int_equal(a.reason, DP_EMV_REASON_POLICY);
    step_end(&s);
}

/* ---- action analysis ---- */

/* What to ask for, of a card that CDA will authenticate, with one TVR bit and codes set. */
static struct emv_action action(enum emv_tvr bit, const char *iac_denial, const char *iac_online,
                                bool no_link)
{
    struct emv_action a;
    begin_authenticated();
    if (bit != 0)
        emv_tvr_set(&s.k, bit);
    if (iac_denial != NULL)
        step_set(&s, 0x9F0E, iac_denial);
    if (iac_online != NULL) {
        step_set(&s, 0x9F0F, iac_online);
        step_set(&s, 0x9F0D, iac_online);
    }
    if (no_link)
        emv_action_no_link(&s.k, &a);
    else
        emv_action_first(&s.k, &a);
    step_end(&s);
    return a;
}

static void absent_issuer_codes_deny_nothing_and_want_all_online(void **state)
{
    assert_int_equal(action(0, NULL, NULL, false).cid, CID_TC);
    assert_int_equal(action(TVR_SCRIPT_FAILED_AFTER, NULL, NULL, false).cid, CID_ARQC);
    assert_int_equal(action(TVR_VERSIONS_DIFFER, NULL, NULL, false).cid, CID_ARQC);
    assert_int_equal(action(TVR_VERSIONS_DIFFER, NULL, NULL, true).cid, CID_AAC);
    assert_int_equal(action(TVR_VERSIONS_DIFFER, NULL, "0000000000", false).cid, CID_TC);
    assert_int_equal(action(TVR_VERSIONS_DIFFER, NULL, "0000000000", true).cid, CID_TC);
}

static void denial_codes_go_first(void **state)
{
    struct emv_action a = action(TVR_VERSIONS_DIFFER, "0080000000", NULL, false);
    assert_int_equal(a.cid, CID_AAC);
    assert_int_equal(a.reason, DP_EMV_REASON_TERMINAL_DECLINED);
    assert_string_equal(a.words, "application versions differ");
    assert_int_equal(action(TVR_EXPIRED, "0040000000", NULL, false).reason, DP_EMV_REASON_EXPIRED);
    assert_int_equal(action(TVR_CVM_FAILED, "0000800000", NULL, false).reason, DP_EMV_REASON_CVM);
}

static void terminal_codes_count_beside_the_issuers(void **state)
{
    struct emv_action a;
    begin_authenticated();
    step_set(&s, 0x9F0F, "0000000000");
    step_set(&s, 0x9F0D, "0000000000");
    emv_tvr_set(&s.k, TVR_NEW_CARD);
    emv_action_first(&s.k, &a);
    assert_int_equal(a.cid, CID_TC);
    s.aids[0].tac_online[1] = 0x08;
    emv_action_first(&s.k, &a);
    assert_int_equal(a.cid, CID_ARQC);
    s.aids[0].tac_denial[1] = 0x08;
    emv_action_first(&s.k, &a);
    assert_int_equal(a.cid, CID_AAC);
    step_end(&s);
}

static void the_terminals_type_decides_on_going_online(void **state)
{
    struct emv_action a;
    begin_authenticated();
    step_set(&s, 0x9F0D, "0000000000");
    s.terminal.type = 0x21;
    emv_action_first(&s.k, &a);
    assert_int_equal(a.cid, CID_ARQC);
    s.terminal.type = 0x23;
    emv_tvr_set(&s.k, TVR_NEW_CARD); /* IAC-Online would want it online */
    emv_action_first(&s.k, &a);
    assert_int_equal(a.cid, CID_TC);
    step_end(&s);
}

static void nothing_but_cda_may_be_approved_offline(void **state)
{
    struct emv_action a;
    begin_authenticated();
    for (int oda = DP_EMV_AUTH_NONE; oda <= DP_EMV_AUTH_FDDA; oda++)
        for (int key = 0; key < 2; key++) {
            bool good = oda == DP_EMV_AUTH_CDA && key != 0;
            s.k.oda = (enum dp_emv_authentication)oda;
            s.k.icc_key_good = key != 0;
            assert_int_equal(emv_offline_permitted(&s.k), good);
            emv_action_first(&s.k, &a);
            assert_int_equal(a.cid, good ? CID_TC : CID_ARQC);
            emv_action_no_link(&s.k, &a);
            assert_int_equal(a.cid, good ? CID_TC : CID_AAC);
        }
    step_end(&s);
}

/* Codes that name none of it, the terminal's and the card's. */
static void some_things_no_action_code_can_allow_offline(void **state)
{
    static const enum emv_tvr bits[] = {TVR_CDA_FAILED, TVR_EXCEPTION_FILE,
                                        TVR_EXPIRED,    TVR_NOT_YET_EFFECTIVE,
                                        TVR_CVM_FAILED, TVR_OVER_FLOOR_LIMIT};
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        assert_int_equal(action(bits[i], NULL, "0000000000", false).cid, CID_ARQC);
        assert_int_equal(action(bits[i], NULL, "0000000000", true).cid, CID_AAC);
    }
}

static void a_cryptogram_that_does_not_cover_the_amount_approves_nothing(void **state)
{
    static const struct {
        uint32_t list;
        const char *names;
        bool good;
    } lists[] = {{0x8C, "9F3704", false},
                 {0x8C, "9F37049F0206", true},
                 {0x8C, "9F0205", false},
                 {0x9F38, "9F0206", true},
                 {0x9F38, "9F0201", false}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        begin_authenticated();
        step_set(&s, 0x8C, "9F3704");
        step_set(&s, lists[i].list, lists[i].names);
        assert_int_equal(emv_offline_permitted(&s.k), lists[i].good);
        step_end(&s);
    }
}

static void sale_split_in_two_is_one_against_the_floor_limit(void **state)
{
    static const struct {
        uint64_t before;
        const char *tvr;
    } paid[] = {{0, "0000000000"},
                {2649, "0000000000"},
                {2650, "0000008000"}, /* 23.50 and 26.50 are 50.00 */
                {5000, "0000008000"},
                {UINT64_MAX, "0000008000"}};
    (void)state;
    for (size_t i = 0; i < sizeof paid / sizeof paid[0]; i++) {
        step_begin(&s);
        s.policy.card_amount = paid[i].before;
        assert_int_equal(emv_manage_risk(&s.k), EMV_GO_ON);
        step_tvr(&s, paid[i].tvr);
        step_end(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_floor_limit_itself_is_over_it),
        cmocka_unit_test(selects_at_random_below_the_threshold),
        cmocka_unit_test(selects_more_of_larger_amounts),
        cmocka_unit_test(counts_payments_since_the_card_was_online),
        cmocka_unit_test(counters_the_card_does_not_give_count_as_exceeded),
        cmocka_unit_test(without_limits_no_counter_is_asked_for),
        cmocka_unit_test(the_exception_list_sets_its_bit),
        cmocka_unit_test(a_policy_that_answers_nothing_declines),
        cmocka_unit_test(absent_issuer_codes_deny_nothing_and_want_all_online),
        cmocka_unit_test(denial_codes_go_first),
        cmocka_unit_test(terminal_codes_count_beside_the_issuers),
        cmocka_unit_test(the_terminals_type_decides_on_going_online),
        cmocka_unit_test(nothing_but_cda_may_be_approved_offline),
        cmocka_unit_test(some_things_no_action_code_can_allow_offline),
        cmocka_unit_test(a_cryptogram_that_does_not_cover_the_amount_approves_nothing),
        cmocka_unit_test(sale_split_in_two_is_one_against_the_floor_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
