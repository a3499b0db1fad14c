/* SPDX-License-Identifier: Apache-2.0 */
/* Which message is an answer, and to what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "tests/acquirer/world.h"

static struct world w;
static struct dp_iso8583_message m;
static struct dp_acquirer_answer answer;
static uint8_t p[DP_ISO8583_MESSAGE_MAX];

static int begin(void **state)
{
    memset(&w, 0, sizeof w);
    world_begin(&w);
    return 0;
}

static int end(void **state)
{
    world_end(&w);
    return 0;
}

static enum dp_acquirer_kind take(size_t n)
{
    return world_answer(&w, p, n, &answer);
}

static void assert_none(size_t n, const char *why)
{
    assert_int_equal(take(n), DP_ACQUIRER_NO_ANSWER);
    if (strstr(answer.why, why) == NULL)
        fail_msg("\"%s\", wanted \"%s\"", answer.why, why);
    assert_false(answer.approved || answer.scripts_n > 0 || answer.stan != 0);
}

/* ---- what an answer says ---- */

static void an_approval_comes_with_what_the_card_needs(void **state)
{
    static const char emv[] = "8A023030"
                              "910A0102030405060708090A"
                              "71059F18020102"
                              "72049F180101"
                              "DF0102AABB";
    uint8_t de55[64];
    size_t n = 0, masked_n = 0;
    uint32_t stan = world_online(&w, 1, 2350);
    host_answer(w.sent, w.sent_n, 0, &m);
    assert_int_equal(dp_hex_decode(emv, strlen(emv), de55, sizeof de55, &n), DP_OK);
    dp_iso8583_set(&m, 55, de55, n);
    dp_iso8583_set_text(&m, 38, "A12345");
    n = host_seal(&w, &m, p);
    assert_int_equal(dp_acquirer_take(w.a, p, n, &answer, w.masked, &masked_n), DP_OK);
    assert_int_equal(answer.kind, DP_ACQUIRER_ONLINE);
    assert_true(answer.approved);
    assert_false(answer.soft_decline);
    assert_int_equal(answer.stan, stan);
    assert_string_equal(answer.auth_code, "A12345");
    assert_string_equal(answer.action_code, "000");
    assert_string_equal(answer.arc, "00");
    assert_int_equal(answer.issuer_authentication_n, 10);
    assert_memory_equal(answer.issuer_authentication, "\1\2\3\4\5\6\7\10\11\12", 10);
    assert_int_equal(answer.scripts_n, 13);
    assert_memory_equal(answer.scripts, "\x71\5\x9F\x18\2\1\2\x72\4\x9F\x18\1\1", 13);
    assert_int_equal(masked_n, n);
}

static void a_decline_is_an_answer_and_190_a_soft_one(void **state)
{
    static const struct {
        unsigned action;
        bool soft;
    } cases[] = {{100, false}, {116, false}, {190, true}, {912, false}};
    for (unsigned i = 0; i < 4; i++) {
        (void)world_online(&w, i, 2350);
        assert_int_equal(take(host_reply(&w, w.sent, w.sent_n, cases[i].action, p)),
                         DP_ACQUIRER_ONLINE);
        assert_false(answer.approved);
        assert_int_equal(answer.soft_decline, cases[i].soft);
        assert_string_equal(answer.arc, "05");
    }
    (void)world_online(&w, 9, 2350);
    host_answer(w.sent, w.sent_n, 100, &m);
    dp_iso8583_set(&m, 55,
                   "\x8A\x02"
                   "1A",
                   4);
    assert_int_equal(take(host_seal(&w, &m, p)), DP_ACQUIRER_ONLINE);
    assert_true(answer.soft_decline);
}

static void emv_data_that_cannot_be_used_makes_it_no_answer(void **state)
{
    static const char *const bad[] = {
        "8A03303030",                             /* 8A of three bytes */
        "8A0230308A023035",                       /* twice */
        "91020102",                               /* too short for issuer authentication data */
        "91110102030405060708090A0B0C0D0E0F1011", /* too long */
        "910A0102",                               /* cut */
        "8A02303091",                             /* cut after the tag */
    };
    uint8_t de55[64];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t n = 0;
        (void)world_online(&w, (unsigned)i, 2350);
        host_answer(w.sent, w.sent_n, 0, &m);
        assert_int_equal(dp_hex_decode(bad[i], strlen(bad[i]), de55, sizeof de55, &n), DP_OK);
        dp_iso8583_set(&m, 55, de55, n);
        assert_none(host_seal(&w, &m, p), "EMV data");
    }
}

static void as_many_scripts_as_de55_holds_are_taken(void **state)
{
    uint8_t de55[512];
    (void)world_online(&w, 1, 2350);
    host_answer(w.sent, w.sent_n, 0, &m);
    memset(de55, 0, sizeof de55);
    de55[0] = 0x72;
    de55[1] = 0x82;
    de55[2] = 0x01;
    de55[3] = 0xFC; /* 508: the element has 512 bytes, just what fits */
    dp_iso8583_set(&m, 55, de55, 512);
    assert_int_equal(take(host_seal(&w, &m, p)), DP_ACQUIRER_ONLINE);
    assert_int_equal(answer.scripts_n, 512);
}

/* ---- whose answer ---- */

static void each_match_column_decides(void **state)
{
    static const struct {
        int de;
        const char *other;
    } columns[] = {
        {4, "000000002351"},  {11, "000002"},   {12, "261124205321"},
        {37, "632819000002"}, {41, "T0000002"}, {49, "826"},
    };
    (void)world_online(&w, 1, 2350);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        host_answer(w.sent, w.sent_n, 0, &m);
        dp_iso8583_set_text(&m, columns[i].de, columns[i].other);
        assert_none(host_seal(&w, &m, p), "matches nothing");
        host_answer(w.sent, w.sent_n, 0, &m);
        m.field[columns[i].de].n = 0; /* not echoed at all */
        assert_none(host_seal(&w, &m, p), "matches nothing");
    }
    for (uint16_t mti = 1000; mti < 2000; mti = (uint16_t)(mti + 10)) {
        host_answer(w.sent, w.sent_n, 0, &m);
        m.mti = mti;
        if (mti != 1210)
            assert_none(host_seal(&w, &m, p), "matches nothing");
    }
    /* none of that used it up */
    assert_int_equal(take(host_reply(&w, w.sent, w.sent_n, 0, p)), DP_ACQUIRER_ONLINE);
}

static void without_an_action_code_it_is_no_answer(void **state)
{
    (void)world_online(&w, 1, 2350);
    host_answer(w.sent, w.sent_n, 0, &m);
    m.field[39].n = 0;
    assert_none(host_seal(&w, &m, p), "action code");
}

static void a_second_answer_is_none(void **state)
{
    size_t n;
    (void)world_online(&w, 1, 2350);
    n = host_reply(&w, w.sent, w.sent_n, 0, p);
    assert_int_equal(take(n), DP_ACQUIRER_ONLINE);
    assert_none(n, "second answer");
}

static void an_answer_after_the_reversal_is_too_late(void **state)
{
    uint32_t stan = world_online(&w, 1, 2350);
    size_t n = host_reply(&w, w.sent, w.sent_n, 0, p);
    (void)world_reverse(&w, 1, stan, 4021);
    assert_none(n, "matches nothing");
}

static void an_answer_after_a_restart_is_too_late(void **state)
{
    size_t n;
    (void)world_online(&w, 1, 2350);
    n = host_reply(&w, w.sent, w.sent_n, 0, p);
    struct dp_acquirer *again = world_rebuild(&w);
    dp_acquirer_free(&w.a);
    w.a = again;
    assert_none(n, "not asked since the start");
}

/* No record says which STAN a sign-on had; the class keeps it from what moves money. */
static void a_payment_under_the_stan_of_an_old_sign_on_gets_its_own_answer(void **state)
{
    static uint8_t sign_on[DP_ISO8583_MESSAGE_MAX];
    static struct dp_iso8583_message asked;
    struct dp_acquirer *again;
    uint64_t stan = 0;
    size_t n = 0;
    (void)state;
    assert_int_equal(dp_acquirer_pack_network(w.a, 801, sign_on, sizeof sign_on, &n), DP_OK);
    world_decode(sign_on, n, &asked);
    assert_true(dp_iso8583_get_number(&asked, 11, &stan));
    again = world_rebuild(&w);
    dp_acquirer_free(&w.a);
    w.a = again;
    assert_int_equal(world_online(&w, 1, 2350), stan);
    /* the old answer, even under the key of the new message and with all that a payment echoes */
    world_decode(w.sent, w.sent_n, &asked);
    host_answer(w.sent, w.sent_n, 0, &m);
    m.mti = 1814;
    assert_none(host_seal(&w, &m, p), "matches nothing");
    host_answer(sign_on, n, 800, &m);
    dp_iso8583_set(&m, 53, dp_iso8583_get(&asked, 53).p, DP_KSN_BYTES);
    assert_none(host_seal(&w, &m, p), "matches nothing");
    assert_int_equal(take(host_reply(&w, w.sent, w.sent_n, 0, p)), DP_ACQUIRER_ONLINE);
}

static void a_late_answer_to_an_advice_is_taken_once(void **state)
{
    struct dp_acquirer_job job;
    size_t n;
    (void)world_offline(&w, 1, 2350);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_ADVICE);
    n = host_reply(&w, w.sent, w.sent_n, 0, p);
    dp_acquirer_failed(w.a, &job, 20000);
    assert_int_equal(take(n), DP_ACQUIRER_ADVICE);
    assert_true(answer.approved);
    assert_none(n, "matches nothing"); /* its record closed it */
}

static void trouble_at_the_host_is_no_answer_to_store_and_forward(void **state)
{
    struct dp_acquirer_job job;
    uint32_t stan = world_online(&w, 1, 100);
    (void)world_reverse(&w, 1, stan, 4021);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_REVERSAL);
    assert_none(host_reply(&w, w.sent, w.sent_n, 912, p), "could not process");
    assert_none(host_reply(&w, w.sent, w.sent_n, 100, p), "not accepted");
    assert_int_equal(take(host_reply(&w, w.sent, w.sent_n, 400, p)), DP_ACQUIRER_REVERSAL);
    (void)world_offline(&w, 2, 100);
    assert_int_equal(world_forward(&w, 0, &job), DP_ACQUIRER_JOB_ADVICE);
    assert_none(host_reply(&w, w.sent, w.sent_n, 904, p), "could not process");
    assert_int_equal(take(host_reply(&w, w.sent, w.sent_n, 100, p)), DP_ACQUIRER_ADVICE);
    assert_false(answer.approved);
}

/* ---- MAC ---- */

static void every_changed_bit_makes_it_no_answer(void **state)
{
    size_t n;
    (void)world_online(&w, 1, 2350);
    n = host_reply(&w, w.sent, w.sent_n, 0, p);
    for (size_t bit = 0; bit < n * 8; bit++) {
        p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_none(n, "MAC");
        p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(take(n), DP_ACQUIRER_ONLINE);
}

static void a_cut_message_is_no_answer(void **state)
{
    size_t n;
    (void)world_online(&w, 1, 2350);
    n = host_reply(&w, w.sent, w.sent_n, 0, p);
    for (size_t cut = 0; cut < n; cut++)
        assert_none(cut, "MAC");
    p[n] = 0;
    assert_none(n + 1, "MAC");
    assert_none(DP_ISO8583_MESSAGE_MAX + 1, "too long");
}

static void our_own_message_sent_back_is_no_answer(void **state)
{
    (void)world_online(&w, 1, 2350);
    memcpy(p, w.sent, w.sent_n);
    assert_none(w.sent_n, "MAC"); /* a key for each direction */
}

static void nothing_is_decoded_before_its_mac_is_right(void **state)
{
    size_t n, masked_n = 99;
    (void)world_online(&w, 1, 2350);
    n = host_reply(&w, w.sent, w.sent_n, 0, p);
    p[12] = 0xAA; /* DE3: no digits; the walk to the MAC does not look at them */
    assert_int_equal(dp_acquirer_take(w.a, p, n, &answer, w.masked, &masked_n), DP_OK);
    assert_string_equal(answer.why, "its MAC is wrong");
    assert_int_equal(masked_n, 0);
}

static void what_the_key_store_cannot_do_is_an_error(void **state)
{
    size_t n, masked_n;
    (void)world_online(&w, 1, 2350);
    n = host_reply(&w, w.sent, w.sent_n, 0, p);
    world_hsm.mac_err = DP_ERR_TOKEN;
    assert_int_equal(dp_acquirer_take(w.a, p, n, &answer, w.masked, &masked_n), DP_ERR_TOKEN);
    assert_int_equal(answer.kind, DP_ACQUIRER_NO_ANSWER);
    world_hsm.mac_err = 0;
    host_answer(w.sent, w.sent_n, 0, &m);
    dp_iso8583_set(&m, 53, "another key!", 12);
    assert_int_equal(dp_iso8583_pack(dp_iso8583_profile("iso93-pos"), &m, 8, p, sizeof p, &n, NULL),
                     DP_OK);
    assert_none(n, "a key that is not there");
}

static void a_mac_of_the_other_length_is_wrong(void **state)
{
    size_t n;
    (void)world_online(&w, 1, 2350);
    w.mac_len = 16;
    n = host_reply(&w, w.sent, w.sent_n, 0, p);
    w.mac_len = 8;
    assert_none(n, "MAC");
}

#define UNIT(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(an_approval_comes_with_what_the_card_needs),
        UNIT(a_decline_is_an_answer_and_190_a_soft_one),
        UNIT(emv_data_that_cannot_be_used_makes_it_no_answer),
        UNIT(as_many_scripts_as_de55_holds_are_taken),
        UNIT(each_match_column_decides),
        UNIT(without_an_action_code_it_is_no_answer),
        UNIT(a_second_answer_is_none),
        UNIT(an_answer_after_the_reversal_is_too_late),
        UNIT(an_answer_after_a_restart_is_too_late),
        UNIT(a_payment_under_the_stan_of_an_old_sign_on_gets_its_own_answer),
        UNIT(a_late_answer_to_an_advice_is_taken_once),
        UNIT(trouble_at_the_host_is_no_answer_to_store_and_forward),
        UNIT(every_changed_bit_makes_it_no_answer),
        UNIT(a_cut_message_is_no_answer),
        UNIT(our_own_message_sent_back_is_no_answer),
        UNIT(nothing_is_decoded_before_its_mac_is_right),
        UNIT(what_the_key_store_cannot_do_is_an_error),
        UNIT(a_mac_of_the_other_length_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
