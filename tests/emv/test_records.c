/* SPDX-License-Identifier: Apache-2.0 */
/* GET PROCESSING OPTIONS, the file locator, records, and whose card it is. */
#include "step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct step s;

static void afl(const char *hex, int wanted)
{
    step_begin(&s);
    assert_int_equal(emv_afl_keep(&s.k, step_hex(hex)), wanted);
    assert_int_equal(s.k.afl_n > 0, wanted == DP_OK);
    step_end(&s);
}

static void a_file_locator_is_held_to_its_rules(void **state)
{
    afl("08010100", DP_OK);
    afl("0801020210010301F0010100", DP_OK);
    afl("", DP_ERR_MISSING);
    afl("080101", DP_ERR_FORMAT);
    afl("0801010010", DP_ERR_FORMAT);
    afl("00010100", DP_ERR_RANGE);         /* file 0 */
    afl("F8010100", DP_ERR_RANGE);         /* file 31 */
    afl("09010100", DP_ERR_RANGE);         /* low bits */
    afl("08000100", DP_ERR_RANGE);         /* record 0 */
    afl("08020100", DP_ERR_RANGE);         /* backwards */
    afl("08010102", DP_ERR_RANGE);         /* more signed than there are */
    afl("0801010008020203", DP_ERR_RANGE); /* in a later entry */
    afl("08014000", DP_OK);
    afl("08014100", DP_ERR_LIMIT); /* 65 records */
    afl("0801FFFF10010100", DP_ERR_LIMIT);
}

static void answers_of_format_1_and_2_are_read(void **state)
{
    static const char *const good[] = {"80063800 08010100", "770A82023800940408010100",
                                       "770F 9F360200019404080101008202 3800"};
    for (size_t i = 0; i < 3; i++) {
        step_begin(&s);
        assert_int_equal(emv_gpo_take(&s.k, step_hex(good[i])), DP_OK);
        assert_memory_equal(s.k.aip, "\x38\x00", 2);
        assert_int_equal(s.k.afl_n, 4);
        step_end(&s);
    }
}

static void answers_in_other_forms_end_the_payment(void **state)
{
    static const struct {
        const char *answer;
        int err;
    } bad[] = {
        {"", DP_ERR_MISSING},
        {"8000", DP_ERR_SHORT},
        {"800138", DP_ERR_SHORT},
        {"80023800", DP_ERR_MISSING},
        {"8005380008 0101", DP_ERR_FORMAT},
        {"7706940408010100", DP_ERR_MISSING},
        {"770482023800", DP_ERR_MISSING},
        {"770E 82023800 82023800 940408010100", DP_ERR_DUPLICATE},
        {"770B 8203380000 940408010100", DP_ERR_RANGE},
        {"7006940408010100", DP_ERR_FORMAT},
        {"770A82023800940408010100 9F3602", DP_ERR_TRAILING},
        {"771082023800940408010100", DP_ERR_SHORT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        step_begin(&s);
        assert_int_equal(emv_gpo_take(&s.k, step_hex(bad[i].answer)), bad[i].err);
        step_end(&s);
    }
}

static void the_command_carries_the_pdol(void **state)
{
    static const struct step_exchange plain[] = {{"80A8000002830000", "80063800080101009000"}};
    static const struct step_exchange filled[] = {
        {"80A800000B83090000000023500102 0300", "80063800080101009000"}};
    static const struct step_exchange refused[] = {{"80A8000002830000", "6985"}};
    static const struct step_exchange failed[] = {{"80A8000002830000", "6A81"}};
    step_begin(&s);
    STEP_PLAY(&s, plain);
    assert_int_equal(emv_initiate(&s.k), EMV_GO_ON);
    STEP_PLAY(&s, refused);
    assert_int_equal(emv_initiate(&s.k), EMV_SELECT_AGAIN);
    STEP_PLAY(&s, failed);
    assert_int_equal(emv_initiate(&s.k), EMV_OVER);
    assert_int_equal(s.result.reason, DP_EMV_REASON_CARD_ERROR);
    step_end(&s);
    step_begin(&s);
    step_set(&s, 0x9F38, "9F0206DF7E03");
    step_set(&s, 0xDF7E, "010203");
    STEP_PLAY(&s, filled);
    assert_int_equal(emv_initiate(&s.k), EMV_GO_ON);
    step_end(&s);
}

/* ---- records ---- */

static int read(const char *file_locator, const struct step_exchange *script, size_t n)
{
    step_begin(&s);
    step_play(&s, script, n);
    assert_int_equal(emv_afl_keep(&s.k, step_hex(file_locator)), DP_OK);
    return emv_records_read(&s.k);
}
#define READ(locator, script) read(locator, script, sizeof(script) / sizeof((script)[0]))

static void records_are_read_in_order_and_signed_ones_kept(void **state)
{
    static const struct step_exchange script[] = {
        {"00B2010C00", "70035A01119000"},
        {"00B2020C00", "70065F24032812319000"},
        {"00B2031400", "70048F0101009000"}, /* padding */
        {"00B2016400", "FF9000"},
    };
    assert_int_equal(READ("08010201"
                          "10030301"
                          "60010100",
                          script),
                     EMV_GO_ON);
    step_played(&s);
    assert_int_equal(s.k.signed_records_n, 3 + 4);
    assert_memory_equal(s.k.signed_records, "\x5A\x01\x11\x8F\x01\x01\x00", 7);
    assert_true(emv_data_has(&s.k.data, 0x5A) && emv_data_has(&s.k.data, 0x5F24));
    step_end(&s);
}

static void put(const char *what, const char *record, enum dp_emv_reason reason)
{
    const struct step_exchange script[] = {{"00B2010C00", record}};
    assert_int_equal(READ("08010100", script), EMV_OVER);
    if (s.result.reason != reason)
        fail_msg("%s: %s", what, s.result.words);
    step_end(&s);
}

static void records_that_are_none_end_the_payment(void **state)
{
    put("refused", "6985", DP_EMV_REASON_CARD_ERROR);
    put("empty", "9000", DP_EMV_REASON_CARD_DATA);
    put("another template", "71009000", DP_EMV_REASON_CARD_DATA);
    put("no template", "5A01119000", DP_EMV_REASON_CARD_DATA);
    put("trailing", "70005A01119000", DP_EMV_REASON_CARD_DATA);
    put("cut", "70055A03119000", DP_EMV_REASON_CARD_DATA);
    put("an element leaves it", "70035A03119000", DP_EMV_REASON_CARD_DATA);
    put("twice", "70065A01115A01119000", DP_EMV_REASON_CARD_DATA);
    put("too long", "700E5A0C1111111111111111111111119000", DP_EMV_REASON_CARD_DATA);
    put("gone", NULL, DP_EMV_REASON_CARD_GONE);
}

static void an_element_in_two_records_ends_the_payment(void **state)
{
    static const struct step_exchange script[] = {{"00B2010C00", "70035A01119000"},
                                                  {"00B2020C00", "70035A01119000"}};
    assert_int_equal(READ("08010200", script), EMV_OVER);
    assert_int_equal(s.result.reason, DP_EMV_REASON_CARD_DATA);
    step_end(&s);
}

static void unknown_and_foreign_elements_are_harmless(void **state)
{
    /* private, long, empty, a template; amounts, an unpredictable number and a TVR of the card's;
     * one of wrong length that nobody needs; another DF name than was selected */
    static const struct step_exchange script[] = {
        {"00B2010C00",
         "7047DF8181010211229F6E0705640000303000DF7F009F10007F2104030102039F02069999999999999F37040"
         "0000000950500000000005F2D01458407A00000099977779F440201029000"}};
    struct dp_bytes amount;
    assert_int_equal(READ("08010100", script), EMV_GO_ON);
    amount = emv_data_get(&s.k.data, 0x9F02);
    assert_memory_equal(amount.p, "\x00\x00\x00\x00\x23\x50", 6);
    assert_memory_equal(emv_data_get(&s.k.data, 0x9F37).p, "\x01\x02\x03\x04", 4);
    assert_int_equal(emv_data_get(&s.k.data, 0x84).p[5], 0x01);
    assert_int_equal(emv_data_get(&s.k.data, 0x9F6E).n, 7);
    assert_false(emv_data_has(&s.k.data, 0x95));
    assert_false(emv_data_has(&s.k.data, 0x9F44));
    assert_false(emv_data_has(&s.k.data, 0x5F2D));
    step_end(&s);
}

static void selection_cannot_say_what_processing_options_will(void **state)
{
    /* AIP, AFL, PAN and an expiry date in the FCI */
    struct dp_bytes name;
    step_begin(&s);
    name = emv_data_get(&s.k.data, 0x84);
    assert_int_equal(emv_fci_take(&s.k,
                                  step_hex("6F298407A0000009990101A51E820201008701019404080101005A0"
                                           "211115F2403491231BF0C0482027C00"),
                                  name),
                     DP_OK);
    assert_false(emv_data_has(&s.k.data, 0x82) || emv_data_has(&s.k.data, 0x94) ||
                 emv_data_has(&s.k.data, 0x5A) || emv_data_has(&s.k.data, 0x5F24));
    assert_true(emv_data_has(&s.k.data, 0x87));
    assert_int_equal(emv_gpo_take(&s.k, step_hex("770A82023800940408010100")), DP_OK);
    assert_int_equal(s.k.aip[0], 0x38);
    step_end(&s);
}

static void only_the_aip_may_be_signed_beside_records(void **state)
{
    static const struct step_exchange aip[] = {{"00B2010C00", "70049F4A01829000"}};
    static const struct step_exchange more[] = {{"00B2010C00", "70069F4A03825F349000"}};
    assert_int_equal(READ("08010101", aip), EMV_GO_ON);
    assert_int_equal(s.k.signed_records_n, 4 + 2);
    assert_false(s.k.signed_records_bad);
    step_end(&s);
    assert_int_equal(READ("08010101", more), EMV_GO_ON);
    assert_true(s.k.signed_records_bad);
    step_end(&s);
}

static void records_of_other_files_are_signed_whole(void **state)
{
    static const struct step_exchange sound[] = {{"00B2015C00", "70030102039000"}};
    static const struct step_exchange none[] = {{"00B2015C00", "FF9000"}};
    assert_int_equal(READ("58010101", sound), EMV_GO_ON);
    assert_int_equal(s.k.signed_records_n, 5);
    step_end(&s);
    assert_int_equal(READ("58010100", none), EMV_GO_ON);
    assert_false(s.k.signed_records_bad);
    step_end(&s);
    assert_int_equal(READ("58010101", none), EMV_GO_ON);
    assert_true(s.k.signed_records_bad);
    step_end(&s);
}

/* ---- whose card it is ---- */

static int card(const char *pan, const char *track2, const char *expiry, const char *psn)
{
    step_begin(&s);
    step_set(&s, 0x5A, pan);
    step_set(&s, 0x57, track2);
    step_set(&s, 0x5F24, expiry);
    step_set(&s, 0x5F34, psn);
    return emv_card_data_fill(&s.k);
}

static void card_data_are_read(void **state)
{
    assert_int_equal(
        card("9999010000000011", "9999010000000011D281220100000000000F", "281231", "12"),
        EMV_GO_ON);
    assert_string_equal(s.result.card.pan, "9999010000000011");
    assert_string_equal(s.result.card.expiry, "2812");
    assert_int_equal(s.result.card.sequence, 12);
    assert_int_equal(s.result.card.track2_n, 18);
    assert_string_equal(s.result.summary.bin, "999901");
    assert_string_equal(s.result.summary.last4, "0011");
    step_end(&s);
    assert_int_equal(card("", "9999010000000011D281220100000000000F", "281231", ""), EMV_GO_ON);
    assert_string_equal(s.result.card.pan, "9999010000000011");
    assert_false(s.result.card.has_sequence);
    step_end(&s);
}

static void card_data_that_do_not_agree_or_are_no_digits_end_the_payment(void **state)
{
    static const struct {
        const char *pan, *track2, *expiry, *psn;
    } bad[] = {
        {"", "", "281231", ""},
        {"99990100000000A1", "", "281231", ""},
        {"9999010000000011", "9999010000000099D281220100000000000F", "281231", ""},
        {"9999010000000011", "99990100000000112812201000000000", "281231", ""},
        {"9999010000000011", "", "281331", ""},
        {"9999010000000011", "", "2A1231", ""},
        {"9999010000000011", "", "281231", "A1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(card(bad[i].pan, bad[i].track2, bad[i].expiry, bad[i].psn), EMV_OVER);
        assert_int_equal(s.result.reason, DP_EMV_REASON_CARD_DATA);
        step_end(&s);
    }
}

static void mandatory_elements_and_sound_lists_are_demanded(void **state)
{
    static const struct {
        uint32_t tag;
        const char *value;
        int wanted;
    } cases[] = {
        {0xDF7F, "", EMV_GO_ON},       {0x5A, "", EMV_OVER},
        {0x5F24, "", EMV_OVER},        {0x8C, "", EMV_OVER},
        {0x8D, "", EMV_OVER},          {0x8C, "9F02", EMV_OVER},
        {0x8D, "9F02FF", EMV_OVER},    {0x8C, "9F02FC", EMV_GO_ON},
        {0x8C, "9F3703", EMV_OVER},    {0x8D, "9F3708", EMV_OVER},
        {0x9F49, "9F3702", EMV_OVER},  {0x97, "9F3700", EMV_OVER},
        {0x9F49, "9F3704", EMV_GO_ON}, {0x8C, "9F3704 9F3704", EMV_GO_ON},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        step_begin(&s);
        step_set(&s, 0x5A, "9999010000000011");
        step_set(&s, 0x5F24, "281231");
        step_set(&s, 0x8C, "9F02069F3704");
        step_set(&s, 0x8D, "8A02");
        step_set(&s, cases[i].tag, cases[i].value);
        assert_int_equal(emv_lists_check(&s.k), cases[i].wanted);
        if (cases[i].wanted == EMV_OVER)
            assert_int_equal(s.result.reason, DP_EMV_REASON_CARD_DATA);
        step_end(&s);
    }
}

static void a_file_locator_has_a_longest(void **state)
{
    char hex[8 * 17 + 1] = "";
    for (size_t i = 0; i < 17; i++)
        (void)strcat(hex, "08010100");
    afl(hex, DP_ERR_LIMIT);
    hex[8 * 16] = '\0';
    afl(hex, DP_OK);
}

static void more_signed_records_than_there_is_room_for_authenticate_nobody(void **state)
{
    static const struct step_exchange script[] = {{"00B2010C00", "7004DF7F01029000"}};
    for (size_t left = 3; left <= 4; left++) {
        step_begin(&s);
        STEP_PLAY(&s, script);
        assert_int_equal(emv_afl_keep(&s.k, step_hex("08010101")), DP_OK);
        s.k.signed_records_n = sizeof s.k.signed_records - left;
        assert_int_equal(emv_records_read(&s.k), EMV_GO_ON);
        assert_int_equal(s.k.signed_records_bad, left == 3);
        step_end(&s);
    }
}

static void expiry_dates_have_a_month(void **state)
{
    assert_int_equal(card("9999010000000011", "", "280031", ""), EMV_OVER);
    step_end(&s);
    assert_int_equal(card("9999010000000011", "", "280131", ""), EMV_GO_ON);
    step_end(&s);
    assert_int_equal(card("9999010000000011", "", "", ""),
                     EMV_GO_ON); /* who needs it will miss it */
    assert_string_equal(s.result.card.expiry, "");
    step_end(&s);
}

static void reference(const char *text, const char *wanted)
{
    step_begin(&s);
    step_set(&s, 0x5A, "9999010000000011");
    assert_int_equal(emv_data_set(&s.k.data, 0x9F24, EMV_FROM_CARD, text, strlen(text)), DP_OK);
    assert_int_equal(emv_card_data_fill(&s.k), EMV_GO_ON);
    assert_string_equal(s.result.summary.par, wanted);
    step_end(&s);
}

static void an_account_reference_is_29_capitals_and_digits(void **state)
{
    reference("Q1JZ58W2AV3N6XK7C0DM4HTBGR9EY", "Q1JZ58W2AV3N6XK7C0DM4HTBGR9EY");
    reference("Q1JZ58W2AV3N6XK7C0DM4HTBGR9E", "");
    reference("Q1JZ58W2AV3N6XK7C0DM4HTBGR9Ey", "");
    reference("Q1JZ58W2AV3N6XK7C0DM4HTBGR9E[", "");
    reference("Q1JZ58W2AV3N6XK7C0DM4HTBGR9E:", "");
    reference("Q1JZ58W2AV3N6XK7C0DM4HTBGR9E/", "");
}

/* ---- lists, filled ---- */

static void values_are(const char *dol, const char *wanted)
{
    struct emv_values v;
    struct dp_bytes w;
    assert_int_equal(emv_dol_values(&s.k, step_hex(dol), &v), DP_OK);
    w = step_hex(wanted);
    assert_int_equal(v.n, w.n);
    assert_memory_equal(v.p, w.p, w.n);
}

static void results_so_far_are_told_as_they_stand(void **state)
{
    step_begin(&s);
    emv_tvr_set(&s.k, TVR_EXPIRED);
    s.k.tsi[0] = 0xE0;
    memcpy(s.k.cvm_results, "\x1E\x03\x00", 3);
    values_are("95059B029F3403", "0040000000E0001E0300");
    values_are("9C019F02065F2A02DF7F02", "0000000000235009780000");
    step_end(&s);
}

static void a_tc_hash_is_over_the_cards_list_or_the_terminals(void **state)
{
    struct emv_values card, own, v;
    step_begin(&s);
    memcpy(s.aids[0].tdol, "\x9F\x02\x06", 3);
    s.aids[0].tdol_n = 3;
    assert_int_equal(emv_dol_values(&s.k, step_hex("9814"), &own), DP_OK);
    assert_int_equal(own.n, 20);
    step_tvr(&s, "0000000080");
    step_end(&s);
    step_begin(&s);
    step_set(&s, 0x97, "9F02069F3704");
    assert_int_equal(emv_dol_values(&s.k, step_hex("9814"), &card), DP_OK);
    step_tvr(&s, "0000000000");
    assert_memory_not_equal(card.p, own.p, 20);
    step_set(&s, 0x97, "9F02");
    assert_int_equal(emv_dol_values(&s.k, step_hex("9814"), &v), DP_ERR_SHORT);
    step_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_locator_is_held_to_its_rules),
        cmocka_unit_test(answers_of_format_1_and_2_are_read),
        cmocka_unit_test(answers_in_other_forms_end_the_payment),
        cmocka_unit_test(the_command_carries_the_pdol),
        cmocka_unit_test(records_are_read_in_order_and_signed_ones_kept),
        cmocka_unit_test(records_that_are_none_end_the_payment),
        cmocka_unit_test(an_element_in_two_records_ends_the_payment),
        cmocka_unit_test(unknown_and_foreign_elements_are_harmless),
        cmocka_unit_test(selection_cannot_say_what_processing_options_will),
        cmocka_unit_test(only_the_aip_may_be_signed_beside_records),
        cmocka_unit_test(records_of_other_files_are_signed_whole),
        cmocka_unit_test(card_data_are_read),
        cmocka_unit_test(card_data_that_do_not_agree_or_are_no_digits_end_the_payment),
        cmocka_unit_test(mandatory_elements_and_sound_lists_are_demanded),
        cmocka_unit_test(a_file_locator_has_a_longest),
        cmocka_unit_test(more_signed_records_than_there_is_room_for_authenticate_nobody),
        cmocka_unit_test(expiry_dates_have_a_month),
        cmocka_unit_test(an_account_reference_is_29_capitals_and_digits),
        cmocka_unit_test(results_so_far_are_told_as_they_stand),
        cmocka_unit_test(a_tc_hash_is_over_the_cards_list_or_the_terminals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
