/* SPDX-License-Identifier: Apache-2.0 */
/* Which application a contactless card and the terminal settle on, and what the limits make of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "base/limits.h"
#include "emv/contactless.h"
#include "sim_payment.h"

#define INS_SELECT 0xA4
#define INS_GPO    0xA8

#define APPLICATION_1 "A0000009990101"
#define APPLICATION_2 "A0000009990201"

static struct sim_payment p;

static const struct dp_emv_aid kernel3 = {
    .aid = {0xA0, 0x00, 0x00, 0x09, 0x99, 0x01, 0x01},
    .aid_n = 7,
    .kernel = 3,
    .version = {0x00, 0x01},
    .ttq = {0x33, 0x00, 0x40, 0x00},
    .cl_transaction_limit = 50000,
    .cl_cvm_limit = 5000,
    .cl_floor_limit = 5000,
};

/* A contactless card with two applications; the terminal knows both, in kernel 3. */
static void open_card(void)
{
    static struct dp_emv_aid aids[4];
    sim_payment_open_with(&p, "qvsdc-online",
                          "[application]\naid = " APPLICATION_1 "\npriority = 2\n"
                          "[application]\naid = " APPLICATION_2 "\npriority = 1\n");
    memset(aids, 0, sizeof aids);
    aids[0] = aids[1] = kernel3;
    aids[1].aid[5] = 0x02;
    p.terminal.aids = aids;
    p.terminal.aids_n = 2;
    p.transaction.amount.minor = 1250;
}

static struct dp_emv_aid *aid(size_t i)
{
    return (struct dp_emv_aid *)(uintptr_t)&p.terminal.aids[i];
}

/* The directory as the card would have it: entries as hex, in BF0C in A5 in 6F. */
static void directory(const char *entries)
{
    static uint8_t bytes[1024];
    static char line[4096], hex[2100];
    size_t n = 0;
    struct sim_buf *b = calloc(1, sizeof *b), *c = calloc(1, sizeof *c);
    assert_true(b != NULL && c != NULL);
    assert_int_equal(dp_hex_decode(entries, strlen(entries), bytes, sizeof bytes, &n), DP_OK);
    sim_put_tlv(b, 0xBF0C, bytes, n);
    sim_put_tlv(c, 0x84, "2PAY.SYS.DDF01", 14);
    sim_put_tlv_buf(c, 0xA5, b);
    b->n = 0;
    sim_put_tlv_buf(b, 0x6F, c);
    (void)snprintf(line, sizeof line, "select-ppse replace %s9000",
                   dp_hex_encode(b->p, b->n, hex, sizeof hex));
    free(b);
    free(c);
    sim_payment_script(&p, line);
}

/* The nth application selected, the directory not counted; as hex. */
static const char *selected(unsigned nth)
{
    static char hex[40];
    const uint8_t *c = sim_payment_command(&p, INS_SELECT, nth + 1, NULL);
    return c == NULL ? "" : dp_hex_encode(c + 5, c[4], hex, sizeof hex);
}

/* ---- the choice ---- */

static void the_card_s_priority_decides(void **state)
{
    const uint8_t *c;
    size_t n;
    open_card();
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    c = sim_payment_command(&p, INS_SELECT, 1, &n);
    assert_int_equal(n, 20);
    assert_memory_equal(c,
                        "\x00\xA4\x04\x00\x0E"
                        "2PAY.SYS.DDF01\x00",
                        20);
    assert_string_equal(selected(1), APPLICATION_2);
    assert_string_equal(selected(2), "");
    assert_memory_equal(p.result.summary.aid, aid(1)->aid, 7);
}

static void the_customer_s_choice_comes_before_it(void **state)
{
    open_card();
    memcpy(p.transaction.chosen_aid, aid(0)->aid, 7);
    p.transaction.chosen_aid_n = 7;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_string_equal(selected(1), APPLICATION_1);
    assert_int_equal(p.offers_n, 0); /* it was made */
    p.transaction.chosen_aid[6] = 0x77;
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CHOICE);
    assert_string_equal(selected(1), "");
    /* it is there, and the card does not give it */
    open_card();
    memcpy(p.transaction.chosen_aid, aid(0)->aid, 7);
    p.transaction.chosen_aid_n = 7;
    sim_payment_script(&p, "select replace 6A82");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_CHOICE);
    assert_int_equal(p.commands, 2);
    /* inserted, it might be had */
    open_card();
    directory("6110 4F07" APPLICATION_1 "870101 9F2A0102");
    memcpy(p.transaction.chosen_aid, aid(0)->aid, 7);
    p.transaction.chosen_aid_n = 7;
    sim_payment_expect(&p, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_KERNEL_UNSUPPORTED);
}

static void an_application_named_twice_is_one(void **state)
{
    (void)state;
    open_card();
    directory("610C 4F07" APPLICATION_1 "870101 610C 4F07" APPLICATION_1 "870102");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.offers_n, 0);
    open_card();
    directory("610C 4F07" APPLICATION_1 "870102 610C 4F07" APPLICATION_2
              "870101 610C 4F07" APPLICATION_1 "870103");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_int_equal(p.offers_n, 2);
    /* the one that fails is not tried again under its second entry */
    open_card();
    sim_payment_script(&p, "select replace 6A82");
    directory("610C 4F07" APPLICATION_1 "870101 610C 4F07" APPLICATION_1 "870102");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION);
    assert_int_equal(p.commands, 2);
}

static void nothing_is_told_of_an_application_that_is_out(void **state)
{
    (void)state;
    open_card();
    sim_payment_script(&p, "gpo replace 6985");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION);
    assert_int_equal(p.result.summary.aid_n, 0);
    assert_int_equal(p.result.summary.kernel, 0);
    assert_string_equal(p.result.summary.label, "");
    assert_string_equal(p.result.summary.languages, "");
}

static void no_priority_comes_last_and_equals_keep_the_card_s_order(void **state)
{
    open_card();
    directory("6110 4F07" APPLICATION_1 "870100 9F2A0103 6110 4F07" APPLICATION_2
              "87010F 9F2A0103");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_string_equal(selected(1), APPLICATION_2);
    open_card();
    directory("6109 4F07" APPLICATION_1 "6109 4F07" APPLICATION_2);
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_string_equal(selected(1), APPLICATION_1);
    /* the upper half of the priority is no priority */
    open_card();
    directory("610C 4F07" APPLICATION_1 "8701F2 610C 4F07" APPLICATION_2 "870103");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_string_equal(selected(1), APPLICATION_1);
}

static void the_next_one_is_tried_when_the_card_does_not_give_the_first(void **state)
{
    static const char *const scripts[] = {
        "select#1 replace 6A82", "select#1 replace 6283", "select#1 drop 84",
        "select#1 drop A5",      "select#1 status 6283",  "select#1 tag 84 A0000009990101",
        "gpo#1 replace 6985",    "select#1 drop 9F38",
    };
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        print_message("# %s\n", scripts[i]);
        open_card();
        sim_payment_script(&p, scripts[i]);
        sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
        assert_string_equal(selected(1), APPLICATION_2);
        assert_string_equal(selected(2), APPLICATION_1);
        assert_memory_equal(p.result.summary.aid, aid(0)->aid, 7);
        assert_true(p.cryptogram_good);
    }
    /* and nothing of it is left: its PDOL does not serve another one */
    open_card();
    sim_payment_script(&p, "gpo#1 replace 6985\nselect#2 drop 9F38");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION);
    assert_null(sim_payment_command(&p, INS_GPO, 2, NULL));
    open_card();
    sim_payment_script(&p, "select replace 6A82");
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION);
    assert_int_equal(p.commands, 3);
}

static void partial_names_match_only_where_allowed(void **state)
{
    open_card();
    p.terminal.aids_n = 1;
    aid(0)->aid_n = 5;
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION);
    aid(0)->partial = true;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_string_equal(selected(1), APPLICATION_2);
}

/* ---- kernels ---- */

static void an_application_for_another_kernel_is_inserted_instead(void **state)
{
    open_card();
    directory("6110 4F07" APPLICATION_1 "870101 9F2A0102");
    sim_payment_expect(&p, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_KERNEL_UNSUPPORTED);
    assert_true((p.ui_seen & 1U << DP_EMV_UI_INSERT_CARD) != 0);
    assert_int_equal(p.commands, 1);
    /* the terminal's AID is for kernel 2 */
    open_card();
    aid(0)->kernel = aid(1)->kernel = 2;
    sim_payment_expect(&p, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_KERNEL_UNSUPPORTED);
    /* domestic kernels */
    open_card();
    directory("6112 4F07" APPLICATION_1 "870101 9F2A03830056");
    sim_payment_expect(&p, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_KERNEL_UNSUPPORTED);
    /* contact applications do not count */
    open_card();
    aid(0)->kernel = aid(1)->kernel = 0;
    sim_payment_expect(&p, DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION);
}

static void one_of_two_kernels_is_enough(void **state)
{
    open_card();
    directory("6110 4F07" APPLICATION_2 "870101 9F2A0102 6110 4F07" APPLICATION_1
              "870102 9F2A0103");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_string_equal(selected(1), APPLICATION_1);
}

static void without_an_identifier_the_scheme_names_the_kernel(void **state)
{
    static const struct {
        uint8_t aid[7];
        bool kernel3;
    } schemes[] = {
        {{0xA0, 0, 0, 0, 0x03, 0x10, 0x10}, true},  {{0xA0, 0, 0, 0, 0x04, 0x10, 0x10}, false},
        {{0xA0, 0, 0, 0, 0x25, 0x01, 0x01}, false}, {{0xA0, 0, 0, 0, 0x65, 0x10, 0x10}, false},
        {{0xA0, 0, 0, 1, 0x52, 0x30, 0x10}, false}, {{0xA0, 0, 0, 3, 0x24, 0x10, 0x10}, false},
        {{0xA0, 0, 0, 3, 0x33, 0x01, 0x01}, false}, {{0xA0, 0, 0, 9, 0x99, 0x01, 0x01}, true},
    };
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        char entry[64], hex[15];
        open_card();
        memcpy(aid(0)->aid, schemes[i].aid, 7);
        (void)snprintf(entry, sizeof entry, "610C 4F07%s 870101",
                       dp_hex_encode(schemes[i].aid, 7, hex, sizeof hex));
        directory(entry);
        assert_int_equal(sim_payment_run(&p), DP_OK);
        assert_true(schemes[i].kernel3 == (sim_payment_command(&p, INS_SELECT, 2, NULL) != NULL));
        if (!schemes[i].kernel3)
            assert_int_equal(p.result.reason, DP_EMV_REASON_KERNEL_UNSUPPORTED);
    }
}

/* ---- limits ---- */

static void at_the_transaction_limit_the_card_is_inserted(void **state)
{
    open_card();
    p.transaction.amount.minor = 49999;
    aid(0)->cl_cvm_limit = aid(1)->cl_cvm_limit = 60000;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    p.transaction.amount.minor = 50000;
    sim_payment_expect(&p, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_OVER_LIMIT);
    assert_null(sim_payment_command(&p, INS_GPO, 1, NULL));
    /* the other application may have a higher one */
    aid(0)->cl_transaction_limit = 60000;
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_string_equal(selected(1), APPLICATION_1);
}

static void a_reader_that_does_not_speak_qvsdc_serves_none(void **state)
{
    open_card();
    aid(0)->ttq[0] = aid(1)->ttq[0] = 0x13;
    sim_payment_expect(&p, DP_EMV_TRY_OTHER_INTERFACE, DP_EMV_REASON_OVER_LIMIT);
}

static void limits_and_permissions_make_the_qualifiers(void **state)
{
    static const struct {
        int64_t amount;
        uint64_t floor, cvm, ceiling;
        bool offline;
        uint8_t byte2;
    } cases[] = {
        {1000, 1000, 1001, 1000, true, 0x00},
        {1001, 1000, 1002, 2000, true, 0x80},
        {1000, 1000, 1000, 1000, true, 0x40},
        {1000, 1000, 1001, 999, true, 0x80},
        {1000, 1000, 1001, 1000, false, 0x80},
        {1, 0, 0, 0, true, 0xC0},
        {0, 0, 1, 0, true, 0x00},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dp_emv_aid a = kernel3;
        struct dp_emv_transaction t = {.amount = {cases[i].amount, 978, 2}};
        struct emv_preprocessed made;
        a.ttq[1] = 0xC0; /* what the parameters say there counts for nothing */
        a.cl_floor_limit = cases[i].floor;
        a.cl_cvm_limit = cases[i].cvm;
        t.kernel3_offline_max = cases[i].ceiling;
        t.offline_allowed = cases[i].offline;
        made = emv_preprocess(&a, &t);
        assert_int_equal(made.ttq[1], cases[i].byte2);
        assert_int_equal(made.ttq[0], 0x33);
        assert_true(made.allowed);
        t.type = 0x20; /* nothing but a purchase is approved offline */
        assert_int_equal(emv_preprocess(&a, &t).ttq[1], cases[i].byte2 | 0x80);
    }
}

/* ---- the directory's form ---- */

static void without_a_directory_there_is_no_application(void **state)
{
    static const struct {
        const char *script;
        enum dp_emv_outcome outcome;
        enum dp_emv_reason reason;
    } answers[] = {
        {"select-ppse replace 6A82", DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION},
        {"select-ppse replace 6A81", DP_EMV_ENDED, DP_EMV_REASON_BLOCKED},
        {"select-ppse status 6283", DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION},
        {"select-ppse drop BF0C", DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION},
        {"select-ppse drop A5", DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION},
        {"select-ppse replace 9000", DP_EMV_ENDED, DP_EMV_REASON_NO_APPLICATION},
        {"select-ppse replace 6F05A503BF0C059000", DP_EMV_ENDED, DP_EMV_REASON_CARD_DATA},
        {"select-ppse remove", DP_EMV_TRY_AGAIN, DP_EMV_REASON_CARD_GONE},
        {"select-ppse fill 256 6F", DP_EMV_ENDED, DP_EMV_REASON_CARD_DATA},
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        print_message("# %s\n", answers[i].script);
        open_card();
        sim_payment_script(&p, answers[i].script);
        sim_payment_expect(&p, answers[i].outcome, answers[i].reason);
    }
}

static void entries_that_are_not_sound_are_passed_over(void **state)
{
    open_card();
    aid(0)->partial = true;
    directory("6103 870101"                                        /* no name */
              "6106 4F04A0000009"                                  /* too short */
              "6116 4F11A000000999010100000000000000000000 870101" /* too long */
              "6100 5F55024245 6103 4F0701"                        /* empty; not ours; cut */
              "6110 4F07" APPLICATION_1 "870102 9F2A0103");
    sim_payment_expect(&p, DP_EMV_APPROVED_ONLINE, DP_EMV_REASON_NONE);
    assert_string_equal(selected(1), APPLICATION_1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_card_s_priority_decides),
        cmocka_unit_test(the_customer_s_choice_comes_before_it),
        cmocka_unit_test(an_application_named_twice_is_one),
        cmocka_unit_test(nothing_is_told_of_an_application_that_is_out),
        cmocka_unit_test(no_priority_comes_last_and_equals_keep_the_card_s_order),
        cmocka_unit_test(the_next_one_is_tried_when_the_card_does_not_give_the_first),
        cmocka_unit_test(partial_names_match_only_where_allowed),
        cmocka_unit_test(an_application_for_another_kernel_is_inserted_instead),
        cmocka_unit_test(one_of_two_kernels_is_enough),
        cmocka_unit_test(without_an_identifier_the_scheme_names_the_kernel),
        cmocka_unit_test(at_the_transaction_limit_the_card_is_inserted),
        cmocka_unit_test(a_reader_that_does_not_speak_qvsdc_serves_none),
        cmocka_unit_test(limits_and_permissions_make_the_qualifiers),
        cmocka_unit_test(without_a_directory_there_is_no_application),
        cmocka_unit_test(entries_that_are_not_sound_are_passed_over),
    };
    return cmocka_run_group_tests_name("entry point", tests, NULL, NULL);
}
