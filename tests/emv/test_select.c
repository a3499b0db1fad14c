/* SPDX-License-Identifier: Apache-2.0 */
#include "emv/names.h"
#include "step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PSE     "00A404000E315041592E5359532E444446303100"
#define PSE_FCI "6F15840E315041592E5359532E4444463031A5038801" /* and the SFI */
#define NO_PSE                                                                                     \
    {                                                                                              \
        PSE, "6A82"                                                                                \
    }
#define AID_1    "A0000009990101"
#define AID_2    "A0000009990201"
#define SELECT_1 "00A4040007" AID_1 "00"
#define SELECT_2 "00A4040007" AID_2 "00"
#define NEXT_1   "00A4040207" AID_1 "00"

static struct step s;

/* Two applications of the terminal, the first of which may match in part. */
static void begin(const struct step_exchange *script, size_t n)
{
    step_begin(&s);
    step_aid(&s, 0, AID_1, true);
    step_aid(&s, 1, AID_2, false);
    step_play(&s, script, n);
}
#define BEGIN(script) begin(script, sizeof(script) / sizeof((script)[0]))

static void ended(int rc, enum dp_emv_reason reason)
{
    assert_int_equal(rc, EMV_OVER);
    assert_int_equal(s.result.outcome, DP_EMV_ENDED);
    assert_int_equal(s.result.reason, reason);
    step_played(&s);
    step_end(&s);
}

static void candidate(size_t i, const char *hex, uint8_t priority)
{
    struct dp_bytes v = step_hex(hex);
    assert_true(i < s.k.candidates_n);
    assert_int_equal(s.k.candidates[i].name_n, v.n);
    assert_memory_equal(s.k.candidates[i].name, v.p, v.n);
    assert_int_equal(s.k.candidates[i].priority, priority);
}

static void reads_the_directory_to_its_end(void **state)
{
    static const struct step_exchange script[] = {
        {PSE, PSE_FCI "029000"},
        {"00B2011400", "701D610C4F07" AID_2 "870102610D4F08" AID_1 "668701039000"},
        {"00B2021400", "700E610C4F07" AID_1 "8701819000"},
        {"00B2031400", "6A83"},
    };
    BEGIN(script);
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    step_played(&s);
    assert_int_equal(s.k.candidates_n, 3);
    candidate(0, AID_2, 2);
    candidate(1, AID_1 "66", 3);
    candidate(2, AID_1, 1);
    assert_true(s.k.candidates[2].confirm && !s.k.candidates[0].confirm);
    assert_ptr_equal(s.k.candidates[1].aid, &s.aids[0]);
    step_end(&s);
}

static void a_contactless_application_of_ours_is_none_here(void **state)
{
    static const struct step_exchange script[] = {
        {PSE, PSE_FCI "019000"},
        {"00B2010C00", "700F610D4F08" AID_1 "778701019000"},
        {"00B2020C00", "6A83"},
    };
    static const struct step_exchange none[] = {NO_PSE};
    BEGIN(script);
    step_aid(&s, 2, AID_1 "77", false);
    s.aids[2].kernel = 3;
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    assert_int_equal(s.k.candidates_n, 1);
    assert_ptr_equal(s.k.candidates[0].aid, &s.aids[0]);
    step_end(&s);
    BEGIN(none);
    s.aids[0].kernel = s.aids[1].kernel = 3;
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    assert_int_equal(s.k.candidates_n, 0);
    step_end(&s);
}

static void what_is_not_ours_in_the_directory_is_passed_over(void **state)
{
    static const struct step_exchange script[] = {
        {PSE, PSE_FCI "019000"},
        {"00B2010C00", "7031610C4F07A000000003101087010161054F03A00000" /* too short a name */
                       "610D4F08" AID_2 "55870102" /* a longer name where it must be exact */
                       "61059D030102039D00"
                       "730200009000"},
        {"00B2020C00", "6A83"},
        {SELECT_1, "6A82"},
        {SELECT_2, "6A82"},
    };
    BEGIN(script);
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    step_played(&s);
    assert_int_equal(s.k.candidates_n, 0);
    ended(emv_application_select(&s.k), DP_EMV_REASON_NO_APPLICATION);
}

static void a_directory_that_is_wrong_gives_way_to_the_list(void **state)
{
    static const char *const records[] = {
        "6A82", "9000", "71009000", "70054F03A000009000", "700561054F03A09000", "70FF9000"};
    static const char *const fcis[] = {
        "6283", "6F009000", "6F07840131A50288009000", "6F07840131A502880B9000", "9000", "6A00"};
    for (size_t i = 0; i < 6; i++) {
        const struct step_exchange by_record[] = {
            {PSE, PSE_FCI "019000"},    {"00B2010C00", "700E610C4F07" AID_1 "8701019000"},
            {"00B2020C00", records[i]}, {SELECT_1, "6A82"},
            {SELECT_2, "6A82"},
        };
        const struct step_exchange by_fci[] = {
            {PSE, fcis[i]}, {SELECT_1, "6A82"}, {SELECT_2, "6A82"}};
        if (i != 3) { /* a record with no entry of ours is a sound one */
            BEGIN(by_record);
            assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
            step_played(&s);
            assert_int_equal(s.k.candidates_n, 0);
            step_end(&s);
        }
        BEGIN(by_fci);
        assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
        step_played(&s);
        step_end(&s);
    }
}

static unsigned told;

static void note_warning(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    told += level == DP_LOG_WARNING && strstr(line, "its list is not used") != NULL;
}

/* With its last record read it is whole; of one that goes on nothing is taken, and that is said. */
static void a_directory_without_end_gives_way_to_the_list(void **state)
{
    static struct step_exchange script[3 + DP_EMV_RECORDS_MAX];
    static char commands[DP_EMV_RECORDS_MAX][11];
    (void)state;
    for (unsigned ends = 0; ends < 2; ends++) {
        size_t n = 0;
        script[n++] = (struct step_exchange){PSE, PSE_FCI "019000"};
        for (unsigned i = 1; i <= DP_EMV_RECORDS_MAX; i++) {
            (void)snprintf(commands[i - 1], sizeof commands[0], "00B2%02X0C00", i);
            script[n++] = (struct step_exchange){
                commands[i - 1],
                ends && i == DP_EMV_RECORDS_MAX ? "6A83" : "700E610C4F07" AID_1 "8701019000"};
        }
        if (!ends) {
            script[n++] = (struct step_exchange){SELECT_1, "6A82"};
            script[n++] = (struct step_exchange){SELECT_2, "6F0E8407" AID_2 "A5038701039000"};
        }
        told = 0;
        dp_log_set(note_warning, NULL, DP_LOG_WARNING);
        begin(script, n);
        assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
        dp_log_set(NULL, NULL, DP_LOG_INFO);
        step_played(&s);
        assert_int_equal(s.k.candidates_n, 1);
        candidate(0, ends ? AID_1 : AID_2, ends ? 1 : 3);
        assert_int_equal(told, !ends);
        step_end(&s);
    }
}

static void a_blocked_card_ends_it(void **state)
{
    static const struct step_exchange at_once[] = {{PSE, "6A81"}};
    static const struct step_exchange later[] = {NO_PSE, {SELECT_1, "6A81"}};
    BEGIN(at_once);
    ended(emv_candidates_build(&s.k), DP_EMV_REASON_BLOCKED);
    BEGIN(later);
    ended(emv_candidates_build(&s.k), DP_EMV_REASON_BLOCKED);
}

static void a_partial_match_asks_for_the_next_occurrence(void **state)
{
    static const struct step_exchange script[] = {
        NO_PSE,
        {SELECT_1, "6F0F8408" AID_1 "01A5038701029000"},
        {NEXT_1, "6F0F8408" AID_1 "02A5038701016283"}, /* blocked */
        {NEXT_1, "6F0F8408" AID_1 "03A5038701019000"},
        {NEXT_1, "6A82"},
        {SELECT_2, "6F0E8407" AID_2 "A5038701039000"}, /* exact: no next */
    };
    BEGIN(script);
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    step_played(&s);
    assert_int_equal(s.k.candidates_n, 3);
    candidate(0, AID_1 "01", 2);
    candidate(1, AID_1 "03", 1);
    candidate(2, AID_2, 3);
    step_end(&s);
}

static void an_exact_match_alone_is_wanted(void **state)
{
    static const struct step_exchange script[] = {
        NO_PSE,
        {SELECT_1, "6F0F8408" AID_1 "01A5038701029000"},
        {NEXT_1, "6A82"},
        {SELECT_2, "6F0F8408" AID_2 "01A5038701029000"}, /* longer: nor is a next one asked for */
    };
    BEGIN(script);
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    step_played(&s);
    assert_int_equal(s.k.candidates_n, 1);
    candidate(0, AID_1 "01", 2);
    step_end(&s);
}

static void another_name_than_asked_for_is_no_occurrence(void **state)
{
    static const struct step_exchange script[] = {
        NO_PSE,
        {SELECT_1, "6F0E8407" AID_2 "A5038701019000"},
        {SELECT_2, "6F058403A00000A50087019000"},
    };
    BEGIN(script);
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    step_played(&s);
    assert_int_equal(s.k.candidates_n, 0);
    step_end(&s);
}

static void a_card_that_always_has_a_next_one_is_left(void **state)
{
    static struct step_exchange script[3 + DP_EMV_CANDIDATES_MAX];
    script[0] = (struct step_exchange)NO_PSE;
    for (size_t i = 0; i <= DP_EMV_CANDIDATES_MAX; i++)
        script[1 + i] =
            (struct step_exchange){i == 0 ? SELECT_1 : NEXT_1, "6F0F8408" AID_1 "01A5038701029000"};
    script[2 + DP_EMV_CANDIDATES_MAX] = (struct step_exchange){SELECT_2, "6A82"};
    BEGIN(script);
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    step_played(&s);
    assert_int_equal(s.k.candidates_n, 1);
    step_end(&s);
}

/* The card's directory names so many applications of ours, priorities 1 to 15 in turn. */
static void directory_of(unsigned n)
{
    static char records[8][256], commands[8][16];
    static struct step_exchange script[10];
    size_t at = 0, i = 0;
    script[at++] = (struct step_exchange){PSE, PSE_FCI "019000"};
    for (unsigned done = 0; done < n; i++) {
        unsigned some = n - done < 7 ? n - done : 7;
        int used = snprintf(records[i], sizeof records[i], "70%02X", 15 * some);
        for (unsigned j = 0; j < some; j++, done++)
            used += snprintf(records[i] + used, sizeof records[i] - (size_t)used,
                             "610D4F08" AID_1 "%02X8701%02X", done, done % 15 + 1);
        (void)snprintf(records[i] + used, sizeof records[i] - (size_t)used, "9000");
        (void)snprintf(commands[i], sizeof commands[i], "00B2%02X0C00", (unsigned)i + 1);
        script[at++] = (struct step_exchange){commands[i], records[i]};
    }
    (void)snprintf(commands[i], sizeof commands[i], "00B2%02X0C00", (unsigned)i + 1);
    script[at++] = (struct step_exchange){commands[i], "6A83"};
    begin(script, at);
}

static void as_many_as_a_card_may_have_are_offered(void **state)
{
    (void)state;
    directory_of(DP_EMV_CANDIDATES_MAX);
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    step_played(&s);
    assert_int_equal(emv_candidates_offer(&s.k), EMV_GO_ON);
    assert_int_equal(s.offers_n, DP_EMV_CANDIDATES_MAX);
    for (size_t i = 0; i < s.offers_n; i++) {
        /* the first of each priority, then the second, in the card's order */
        size_t number = i < 6 ? i / 3 + i % 3 * 15 : 6 / 3 + (i - 6) / 2 + (i - 6) % 2 * 15;
        assert_int_equal(s.offers[i].aid_n, 8);
        assert_int_equal(s.offers[i].aid[7], number);
    }
    step_end(&s);
}

/* A choice from which something is missing is none. */
static void a_card_with_more_is_not_paid_with(void **state)
{
    static char answers[DP_EMV_CANDIDATES_MAX + 1][64];
    static struct step_exchange script[3 + DP_EMV_CANDIDATES_MAX];
    (void)state;
    directory_of(DP_EMV_CANDIDATES_MAX + 1);
    ended(emv_candidates_build(&s.k), DP_EMV_REASON_CARD_DATA);
    script[0] = (struct step_exchange)NO_PSE;
    for (unsigned i = 0; i <= DP_EMV_CANDIDATES_MAX; i++) {
        (void)snprintf(answers[i], sizeof answers[i], "6F0F8408" AID_1 "%02XA5038701019000", i);
        script[1 + i] = (struct step_exchange){i == 0 ? SELECT_1 : NEXT_1, answers[i]};
    }
    script[2 + DP_EMV_CANDIDATES_MAX] = (struct step_exchange){SELECT_2, "6A82"};
    BEGIN(script);
    ended(emv_candidates_build(&s.k), DP_EMV_REASON_CARD_DATA);
}

static void only_blocked_applications_are_no_application(void **state)
{
    static const struct step_exchange script[] = {
        NO_PSE, {SELECT_1, "6F0E8407" AID_1 "A5038701016283"}, {SELECT_2, "6A82"}};
    BEGIN(script);
    ended(emv_candidates_build(&s.k), DP_EMV_REASON_BLOCKED);
}

/* ---- the final selection ---- */

static const struct step_exchange three[] = {
    {PSE, PSE_FCI "019000"},
    {"00B2010C00", "702C610D4F08" AID_1 "01870102"
                   "610D4F08" AID_1 "02870100"
                   "610C4F07" AID_2 "8701019000"},
    {"00B2020C00", "6A83"},
};

static void build_three(void)
{
    BEGIN(three);
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    assert_int_equal(s.k.candidates_n, 3);
}

static void the_cards_priority_decides_and_what_fails_is_struck_off(void **state)
{
    static const struct step_exchange script[] = {
        {SELECT_2, "6283"},
        {"00A4040008" AID_1 "0100", "6F0E8407" AID_1 "A5038701029000"}, /* another name */
        {"00A4040008" AID_1 "0200", "6F1D8408" AID_1 "02A511"
                                    "50054C6162656C"
                                    "9F110101"
                                    "9F1203"
                                    "414243"
                                    "9000"},
    };
    build_three();
    STEP_PLAY(&s, script);
    assert_int_equal(emv_application_select(&s.k), EMV_GO_ON);
    step_played(&s);
    assert_string_equal(s.result.summary.label, "ABC");
    assert_int_equal(s.result.summary.aid_n, 8);
    /* the whole name, where the terminal's list has seven bytes of it */
    assert_int_equal(emv_data_get(&s.k.data, 0x9F06).n, 8);
    assert_memory_equal(emv_data_get(&s.k.data, 0x9F06).p, s.result.summary.aid, 8);
    emv_candidate_strike(&s.k);
    assert_string_equal(s.result.summary.label, ""); /* nor is anything told of it */
    assert_int_equal(s.result.summary.aid_n, 0);
    ended(emv_application_select(&s.k), DP_EMV_REASON_NO_APPLICATION);
}

static void the_customers_choice_decides_first(void **state)
{
    static const struct step_exchange script[] = {
        {"00A4040008" AID_1 "0100", "6F168408" AID_1 "01A50A"
                                    "50054C616265"
                                    "31"
                                    "870102"
                                    "9000"},
    };
    build_three();
    STEP_PLAY(&s, script);
    memcpy(s.transaction.chosen_aid, s.aids[0].aid, 7);
    s.transaction.chosen_aid_n = 7;
    assert_int_equal(emv_application_select(&s.k), EMV_GO_ON);
    step_played(&s);
    step_end(&s);
}

static void what_needs_consent_is_not_taken_without_it(void **state)
{
    static const struct step_exchange script[] = {
        {PSE, PSE_FCI "019000"},
        {"00B2010C00", "700E610C4F07" AID_1 "8701819000"},
        {"00B2020C00", "6A83"},
    };
    static const struct step_exchange with_consent[] = {
        {SELECT_1, "6F0E8407" AID_1 "A5038701819000"}};
    BEGIN(script);
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    assert_int_equal(emv_candidates_offer(&s.k), EMV_GO_ON);
    assert_int_equal(s.offers_n, 1);
    assert_true(s.offers[0].confirm);
    ended(emv_application_select(&s.k), DP_EMV_REASON_CHOICE);
    BEGIN(script);
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    STEP_PLAY(&s, with_consent);
    memcpy(s.transaction.chosen_aid, s.aids[0].aid, 7);
    s.transaction.chosen_aid_n = 7;
    assert_int_equal(emv_application_select(&s.k), EMV_GO_ON);
    step_end(&s);
}

static void label_is(const char *label, const char *preferred, const char *table, const char *text)
{
    step_set(&s, 0x50, label);
    step_set(&s, 0x9F12, preferred);
    step_set(&s, 0x9F11, table);
    assert_int_equal(emv_application_selected(&s.k, &s.aids[0]), DP_OK);
    assert_string_equal(s.result.summary.label, text);
}

static void labels_are_printable_or_empty(void **state)
{
    step_begin(&s);
    label_is("4445424954", "414243", "01", "ABC");
    label_is("4445424954", "414243", "05", "DEBIT"); /* not our alphabet */
    /* what is no character is left out: a control character, in a label one of Latin 1 too */
    label_is("44450A42C9491B54", "414243", "05", "DEBIT");
    label_is("4445424954", "41C98142", "01",
             "A\xC3\x89"
             "B");
    /* nothing to be read: as if it was not there */
    label_is("4445424954", "20A00A", "01", "DEBIT");
    label_is("0A2020", "20A00A", "01", "");
    step_end(&s);
}

#define DDF     "AABBCCDDEE"
#define DDF_FCI "6F0C8405" DDF "A503880103"

static void directories_in_the_directory_are_read_too(void **state)
{
    static const struct step_exchange script[] = {
        {PSE, PSE_FCI "019000"},
        /* itself, one that is there, one that is not, one named twice */
        {"00B2010C00", "702E61109D0E315041592E5359532E444446303161079D05AABBCCDDEE61079D05AABBCCDDE"
                       "E61089D06AABBCCDDEEFF"
                       "9000"},
        {"00B2020C00", "6A83"},
        {"00A4040005" DDF "00", DDF_FCI "9000"},
        {"00B2011C00", "700E610C4F07" AID_2 "8701029000"},
        {"00B2021C00", "6A83"},
        {"00A4040006AABBCCDDEEFF00", "6A82"},
    };
    (void)state;
    BEGIN(script);
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    step_played(&s);
    assert_int_equal(s.k.candidates_n, 1);
    candidate(0, AID_2, 2);
    step_end(&s);
}

/* Each directory names the next: four are read, and of a card with five none is taken. */
static void more_directories_than_are_read_give_way_to_the_list(void **state)
{
    static char select[4][32], fci[4][64], record[4][64];
    static struct step_exchange script[16];
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        size_t n = 0;
        script[n++] = (struct step_exchange){PSE, PSE_FCI "019000"};
        for (unsigned i = 0; i < 4; i++) {
            unsigned next = i == 3 && !more ? 0 : i; /* the last one names the second again */
            (void)snprintf(select[i], sizeof select[i], "00A4040005AABBCCDD%02X00", i);
            (void)snprintf(fci[i], sizeof fci[i], "6F0C8405AABBCCDD%02XA5038801019000", i);
            (void)snprintf(record[i], sizeof record[i],
                           "7017610C4F07" AID_2 "87010261079D05AABBCCDD%02X9000", next);
            if (i > 0)
                script[n++] = (struct step_exchange){select[i - 1], fci[i - 1]};
            script[n++] = (struct step_exchange){"00B2010C00", record[i]};
            if (i < 3 || !more)
                script[n++] = (struct step_exchange){"00B2020C00", "6A83"};
        }
        if (more) {
            script[n++] = (struct step_exchange){SELECT_1, "6F0E8407" AID_1 "A5038701019000"};
            script[n++] = (struct step_exchange){SELECT_2, "6F0E8407" AID_2 "A5038701039000"};
        }
        told = 0;
        dp_log_set(note_warning, NULL, DP_LOG_WARNING);
        begin(script, n);
        assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
        dp_log_set(NULL, NULL, DP_LOG_INFO);
        step_played(&s);
        assert_int_equal(s.k.candidates_n, more ? 2 : 1);
        assert_int_equal(told, more);
        step_end(&s);
    }
}

static void languages_and_names_come_for_people(void **state)
{
    static const struct step_exchange script[] = {
        {PSE, "6F20840E315041592E5359532E4444463031A50E8801015F2D046E6C46529F1101019000"},
        {"00B2010C00", "701B61194F07A000000999020150034445428701029F12054361E97EE89000"},
        {"00B2020C00", "6A83"},
    };
    static const struct step_exchange select[] = {
        {SELECT_2, "6F158407A0000009990201A50A50034445425F2D0264659000"}};
    (void)state;
    BEGIN(script);
    assert_int_equal(emv_candidates_build(&s.k), EMV_GO_ON);
    step_played(&s);
    assert_int_equal(s.k.candidates_n, 1);
    assert_string_equal(s.result.summary.languages, "nlfr");
    assert_string_equal(s.k.candidates[0].label, "Ca\xC3\xA9~\xC3\xA8");
    /* the application's own preference goes before the directory's */
    STEP_PLAY(&s, select);
    assert_int_equal(emv_application_select(&s.k), EMV_GO_ON);
    assert_string_equal(s.result.summary.languages, "de");
    assert_string_equal(s.result.summary.label, "DEB");
    /* and goes with it */
    emv_candidate_strike(&s.k);
    assert_string_equal(s.result.summary.languages, "nlfr");
    step_end(&s);
}

static void languages_that_are_none_are_not_taken(void **state)
{
    static const char *const bad[] = {"66", "667231", "6672656E6E6C64656974", "6672653B"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct dp_bytes v = step_hex(bad[i]);
        char out[9] = "de";
        emv_languages_take(v, out);
        assert_string_equal(out, "de");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_directory_to_its_end),
        cmocka_unit_test(a_contactless_application_of_ours_is_none_here),
        cmocka_unit_test(what_is_not_ours_in_the_directory_is_passed_over),
        cmocka_unit_test(a_directory_that_is_wrong_gives_way_to_the_list),
        cmocka_unit_test(a_directory_without_end_gives_way_to_the_list),
        cmocka_unit_test(a_blocked_card_ends_it),
        cmocka_unit_test(a_partial_match_asks_for_the_next_occurrence),
        cmocka_unit_test(an_exact_match_alone_is_wanted),
        cmocka_unit_test(another_name_than_asked_for_is_no_occurrence),
        cmocka_unit_test(a_card_that_always_has_a_next_one_is_left),
        cmocka_unit_test(as_many_as_a_card_may_have_are_offered),
        cmocka_unit_test(a_card_with_more_is_not_paid_with),
        cmocka_unit_test(only_blocked_applications_are_no_application),
        cmocka_unit_test(the_cards_priority_decides_and_what_fails_is_struck_off),
        cmocka_unit_test(the_customers_choice_decides_first),
        cmocka_unit_test(what_needs_consent_is_not_taken_without_it),
        cmocka_unit_test(labels_are_printable_or_empty),
        cmocka_unit_test(directories_in_the_directory_are_read_too),
        cmocka_unit_test(more_directories_than_are_read_give_way_to_the_list),
        cmocka_unit_test(languages_and_names_come_for_people),
        cmocka_unit_test(languages_that_are_none_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
