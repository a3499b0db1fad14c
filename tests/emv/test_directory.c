/* SPDX-License-Identifier: Apache-2.0 */
/* The card's list of its applications when it is unusual: directories in it that are none, names of
 * any length, a card that goes while it is read. Its plain cases stand in test_select.c. */
#include "step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PSE      "00A404000E315041592E5359532E444446303100"
#define PSE_NAME "840E315041592E5359532E4444463031"
#define PSE_FCI  "6F15" PSE_NAME "A503880101" /* SFI 1 */
#define AID_1    "A0000009990101"
#define AID_2    "A0000009990201"
#define SELECT_1 "00A4040007" AID_1 "00"
#define SELECT_2 "00A4040007" AID_2 "00"
#define DDF      "AABBCCDDEE"
#define SELECT_D "00A4040005" DDF "00"
#define DDF_NAME "8405" DDF
#define DDF_FCI  "6F0C" DDF_NAME "A503880103" /* SFI 3 */

static struct step s;

static void begin(const struct step_exchange *script, size_t n)
{
    step_begin(&s);
    step_aid(&s, 0, AID_1, true);
    step_aid(&s, 1, AID_2, false);
    step_play(&s, script, n);
}
#define BEGIN(script) begin(script, sizeof(script) / sizeof((script)[0]))

/* Plays the script to its end and leaves so many candidates. */
static void built(size_t candidates_n)
{
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    step_played(&s);
    assert_int_equal(s.k.candidates_n, candidates_n);
}

static void candidate(size_t i, const char *hex, uint8_t priority)
{
    struct dp_bytes v = step_hex(hex);
    assert_true(i < s.k.candidates_n);
    assert_int_equal(s.k.candidates[i].name_n, v.n);
    assert_memory_equal(s.k.candidates[i].name, v.p, v.n);
    assert_int_equal(s.k.candidates[i].priority, priority);
}

static void a_nested_directory_that_is_none_is_missed_by_none(void **state)
{
    static const char *const none[] = {
        "6A82",
        "6A81", /* of the card itself only where the first is selected */
        "6283",
        "9000",
        "6F07" DDF_NAME "9000",
        "6F0C" DDF_NAME "A5038701019000", /* no SFI */
        "6F0B" DDF_NAME "A50288009000",
        "6F0C" DDF_NAME "A5038801009000", /* SFI 0 and 11 */
        "6F0C" DDF_NAME "A50388010B9000",
    };
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        const struct step_exchange script[] = {
            {PSE, PSE_FCI "9000"},
            {"00B2010C00", "7021610C4F07" AID_2 "87010261079D05" DDF "61089D06" DDF "FF9000"},
            {"00B2020C00", "6A83"},
            {SELECT_D, none[i]},
            {"00A4040006" DDF "FF00", "6F0D8406" DDF "FFA5038801039000"},
            {"00B2011C00", "700E610C4F07" AID_1 "8701019000"},
            {"00B2021C00", "6A83"},
        };
        BEGIN(script);
        built(2);
        candidate(0, AID_2, 2);
        candidate(1, AID_1, 1);
        step_end(&s);
    }
}

static void a_nested_directory_that_is_wrong_gives_way_to_the_list(void **state)
{
    static const char *const records[] = {"6A82", "9000", "71009000",
                                          "7003610543" /* cut in the row */ "9000",
                                          "700561034F05A0" /* and in the entry */ "9000"};
    (void)state;
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        const struct step_exchange script[] = {
            {PSE, PSE_FCI "9000"},
            {"00B2010C00", "7017610C4F07" AID_2 "87010261079D05" DDF "9000"},
            {"00B2020C00", "6A83"},
            {SELECT_D, DDF_FCI "9000"},
            {"00B2011C00", records[i]},
            {SELECT_1, "6A82"},
            {SELECT_2, "6F0E8407" AID_2 "A5038701039000"},
        };
        BEGIN(script);
        built(1);
        candidate(0, AID_2, 3); /* as its own FCI has it */
        step_end(&s);
    }
}

static void a_directory_without_a_file_of_its_own_gives_way_to_the_list(void **state)
{
    static const char *const fcis[] = {"6F15" PSE_NAME "A5038801009000",
                                       "6F15" PSE_NAME "A50388010B9000",
                                       "6F15" PSE_NAME "A5038701019000",
                                       "6F16" PSE_NAME "A504880201019000", "6F10" PSE_NAME "9000"};
    (void)state;
    for (size_t i = 0; i < sizeof fcis / sizeof fcis[0]; i++) {
        const struct step_exchange script[] = {
            {PSE, fcis[i]}, {SELECT_1, "6A82"}, {SELECT_2, "6F0E8407" AID_2 "A5038701039000"}};
        BEGIN(script);
        built(1);
        step_end(&s);
    }
}

static void directories_have_names_of_5_to_16_bytes(void **state)
{
    static const struct step_exchange script[] = {
        {PSE, PSE_FCI "9000"},
        {"00B2010C00", "703A"
                       "61069D04AABBCCDD"
                       "61079D05AABBCCDDEE"
                       "61129D10000102030405060708090A0B0C0D0E0F"
                       "61139D11000102030405060708090A0B0C0D0E0F10"
                       "9000"},
        {"00B2020C00", "6A83"},
        {SELECT_D, "6A82"},
        {"00A4040010000102030405060708090A0B0C0D0E0F00", "6A82"},
        {SELECT_1, "6A82"},
        {SELECT_2, "6A82"},
    };
    (void)state;
    BEGIN(script);
    built(0);
    step_end(&s);
}

static void an_entry_is_an_application_or_a_directory_or_nothing(void **state)
{
    static const struct step_exchange script[] = {
        {PSE, PSE_FCI "9000"},
        /* neither; both */
        {"00B2010C00", "701A610387010161134F07" AID_2 "9D05" DDF "8701029000"},
        {"00B2020C00", "6A83"},
    };
    (void)state;
    BEGIN(script);
    built(1);
    candidate(0, AID_2, 2);
    step_end(&s);
}

/* At the limit the last one may still say that it ends. */
static void directories_share_one_limit_of_records(void **state)
{
    static struct step_exchange script[4 + DP_EMV_RECORDS_MAX];
    static char commands[DP_EMV_RECORDS_MAX][11];
    const unsigned first = DP_EMV_RECORDS_MAX - 3; /* the last of them is not there */
    (void)state;
    for (unsigned ends = 0; ends < 2; ends++) {
        size_t n = 0;
        script[n++] = (struct step_exchange){PSE, PSE_FCI "9000"};
        for (unsigned i = 1; i <= DP_EMV_RECORDS_MAX; i++) {
            bool nested = i > first, end = i == first || (ends && i == DP_EMV_RECORDS_MAX);
            (void)snprintf(commands[i - 1], sizeof commands[0], "00B2%02X%s00",
                           nested ? i - first : i, nested ? "1C" : "0C");
            script[n++] =
                (struct step_exchange){commands[i - 1], end      ? "6A83"
                                                        : nested ? "700E610C4F07" AID_2 "8701029000"
                                                                 : "700961079D05" DDF "9000"};
            if (i == first)
                script[n++] = (struct step_exchange){SELECT_D, DDF_FCI "9000"};
        }
        if (!ends) {
            script[n++] = (struct step_exchange){SELECT_1, "6A82"};
            script[n++] = (struct step_exchange){SELECT_2, "6F0E8407" AID_2 "A5038701039000"};
        }
        begin(script, n);
        built(1);
        candidate(0, AID_2, ends ? 2 : 3);
        step_end(&s);
    }
}

static void a_card_that_goes_while_its_directories_are_read_may_come_again(void **state)
{
    static const struct step_exchange script[] = {
        {PSE, PSE_FCI "9000"},
        {"00B2010C00", "7017610C4F07" AID_2 "87010261079D05" DDF "9000"},
        {"00B2020C00", "6A83"},
        {SELECT_D, DDF_FCI "9000"},
        {"00B2011C00", "700E610C4F07" AID_1 "8701019000"},
    };
    (void)state;
    for (size_t n = 0; n < sizeof script / sizeof script[0]; n++) {
        struct step_exchange cut[sizeof script / sizeof script[0]];
        memcpy(cut, script, sizeof cut);
        cut[n].answer = NULL;
        begin(cut, n + 1);
        assert_int_equal(emv_candidates_build(&s.k), EMV_OVER);
        step_played(&s);
        assert_int_equal(s.result.outcome, DP_EMV_TRY_AGAIN);
        assert_int_equal(s.result.reason, DP_EMV_REASON_CARD_GONE);
        step_end(&s);
    }
}

/* And of its alphabet, when it is one. */
static void the_first_directory_alone_speaks_of_languages(void **state)
{
    static const struct step_exchange script[] = {
        {PSE, "6F1F" PSE_NAME "A50D8801015F2D0266729F110201019000"},
        {"00B2010C00", "700961079D05" DDF "9000"},
        {"00B2020C00", "6A83"},
        {SELECT_D, "6F15" DDF_NAME "A50C8801035F2D0264659F1101019000"},
        {"00B2011C00", "701B61194F07" AID_2 "50034445428701029F12054361E97EE89000"},
        {"00B2021C00", "6A83"},
    };
    (void)state;
    BEGIN(script);
    built(1);
    assert_string_equal(s.result.summary.languages, "fr");
    assert_string_equal(s.k.candidates[0].label, "DEB");
    step_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nested_directory_that_is_none_is_missed_by_none),
        cmocka_unit_test(a_nested_directory_that_is_wrong_gives_way_to_the_list),
        cmocka_unit_test(a_directory_without_a_file_of_its_own_gives_way_to_the_list),
        cmocka_unit_test(directories_have_names_of_5_to_16_bytes),
        cmocka_unit_test(an_entry_is_an_application_or_a_directory_or_nothing),
        cmocka_unit_test(directories_share_one_limit_of_records),
        cmocka_unit_test(a_card_that_goes_while_its_directories_are_read_may_come_again),
        cmocka_unit_test(the_first_directory_alone_speaks_of_languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
