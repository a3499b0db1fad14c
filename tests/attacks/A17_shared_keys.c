/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A17: one terminal poses as another with keys that many share, or takes back what was never sold.
 * The acquirer is the simulators' host: what the terminal calls itself is held against the name in
 * its certificate. The terminal undoes only a sale of its own journal, whole; and finds a wrong MAC
 * in a time that says nothing of where it is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/secret.h"
#include "sim/dukpt.h"
#include "sim/host.h"
#include "tests/params/notation.h"
#include "tests/payment/world.h"

#define TID          "DP000001"
#define ANOTHER      "DP000002"
#define AMOUNT       2350
#define COMPARED     (1U << 20)
#define ROUNDS       9
#define SLOWER_TIMES 8 /* a comparison that stops early is thousands of times faster */

static struct world w;
static struct sim_host host;

static int set_up(void **state)
{
    (void)state;
    world_make(&w);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

/* The terminal gets its initial key from the host's, as every terminal of this acquirer. */
static void open_host(uint8_t number)
{
    uint8_t id[8] = {8, 7, 6, 5, 4, 3, 2, number};
    char keys[512], books[128];
    uint8_t key[16];
    (void)snprintf(keys, sizeof keys, "%s/tests/keys", getenv("DP_BUILD_ROOT"));
    (void)snprintf(books, sizeof books, "%s/books-%u.db", w.dir, number);
    assert_int_equal(sim_host_open(&host, keys, books), DP_OK);
    assert_int_equal(sim_dukpt_initial_key(host.bdk, id, key), DP_OK);
    assert_int_equal(dp_hsm_dukpt_load(w.hsm, key, id), DP_OK);
}

/* What was sent last arrives over a connection of this certificate. Answered: the action code. */
static unsigned arrives_as(const char *certified)
{
    static struct dp_iso8583_message m;
    struct dp_iso8583_error error = {0};
    static struct sim_host_answer answer;
    uint64_t action = 0;
    memset(&answer, 0, sizeof answer);
    assert_int_equal(sim_host_take(&host, 1, certified, w.sent, w.sent_n, &answer), DP_OK);
    if (answer.times == 0)
        return 0;
    assert_int_equal(dp_iso8583_unpack(dp_iso8583_profile("iso93-pos"), answer.frame.p,
                                       answer.frame.n, &m, &error),
                     DP_OK);
    assert_true(dp_iso8583_get_number(&m, 39, &action));
    return (unsigned)action;
}

static void terminal_is_who_its_certificate_says(void **state)
{
    (void)state;
    open_host(1);
    dp_payment_link_up(w.p, true); /* the sign-on, its MAC by a key that is right */
    assert_int_equal(world_mti(&w), 1804);
    assert_int_equal(arrives_as(ANOTHER), 904);
    sim_host_close(&host);
    dp_payment_link_up(w.p, false);
    open_host(2);
    w.sent_n = 0;
    dp_payment_link_up(w.p, true);
    assert_int_equal(arrives_as(TID), 800);
    w.sent_n = 0;
    dp_payment_link_up(w.p, false);
    dp_payment_link_up(w.p, true);
    assert_int_equal(arrives_as(ANOTHER), 916); /* nor is its key for anybody else */
    sim_host_close(&host);
}

static void assert_not_undone(uint64_t request, const char *service, const uint8_t tx[16],
                              int64_t amount, enum dp_reason reason)
{
    struct dp_reverse_request q;
    struct books before, after;
    world_books(&w, &before);
    memset(&q, 0, sizeof q);
    (void)snprintf(q.sale_id, sizeof q.sale_id, "round-7");
    (void)snprintf(q.service_id, sizeof q.service_id, "%s", service);
    memcpy(q.original_tx, tx, sizeof q.original_tx);
    memset(q.fingerprint, 0x5E, sizeof q.fingerprint);
    q.amount = amount;
    dp_payment_reverse(w.p, request, &q);
    assert_int_not_equal(world_result(&w, request)->state, DP_PAY_APPROVED);
    assert_int_equal(world_result(&w, request)->reason, reason);
    (void)dp_payment_tick(w.p);
    assert_int_equal(w.sent_n, 0);
    world_books(&w, &after);
    assert_int_equal(after.reversals + after.voids, before.reversals + before.voids);
}

static void nothing_is_given_back_but_a_sale_of_this_journal(void **state)
{
    uint8_t never[16], sale[16];
    (void)state;
    memset(never, 0x77, sizeof never);
    assert_not_undone(1, "R1", never, 0, DP_REASON_NOT_FOUND);
    assert_not_undone(2, "R2", never, AMOUNT, DP_REASON_NOT_FOUND);
    world_pay(&w, 3, "S1", AMOUNT);
    world_seen(&w);
    world_ended(&w, DP_EMV_DECLINED, DP_EMV_REASON_CARD_DECLINED);
    memcpy(sale, world_result(&w, 3)->tx, sizeof sale);
    assert_not_undone(4, "R4", sale, 0, DP_REASON_NOT_FOUND); /* nothing was paid */
    world_pay(&w, 5, "S5", AMOUNT);
    world_tap_offline(&w);
    memcpy(sale, world_result(&w, 5)->tx, sizeof sale);
    assert_not_undone(6, "R6", sale, AMOUNT + 1, DP_REASON_AMOUNT);
    assert_not_undone(7, "R7", sale, 1, DP_REASON_AMOUNT);
    sale[15] ^= 1;
    assert_not_undone(8, "R8", sale, 0, DP_REASON_NOT_FOUND);
}

static void what_is_settled_is_given_back_only_where_the_set_says_so(void **state)
{
    static uint8_t set[8192];
    struct dp_params *params = NULL;
    char error[160] = "";
    uint8_t sale[16];
    size_t n = notation_sign(notation_with(" 16 refunds: true", ""), set, sizeof set);
    (void)state;
    assert_true(dp_params_decode(set, n, notation_back_office(), &params, error, sizeof error) < 0);
    assert_non_null(strstr(error, "refunds")); /* it has to say; nobody guesses */
    world_pay(&w, 1, "S1", AMOUNT);
    world_tap_offline(&w);
    memcpy(sale, world_result(&w, 1)->tx, sizeof sale);
    dp_payment_link_up(w.p, true);
    assert_true(world_answer(&w, 800));
    world_forward_all(&w, 0);
    dp_payment_settle(w.p, 9);
    assert_true(world_answer(&w, 500));
    assert_true(w.settled.in_balance);
    w.params->refunds = false;
    assert_not_undone(2, "R2", sale, 0, DP_REASON_NOT_ALLOWED);
    w.params->refunds = true;
    world_reverse(&w, 3, "R3", sale);
    assert_int_equal(world_result(&w, 3)->state, DP_PAY_APPROVED);
}

static void each_byte_of_a_mac_counts(void **state)
{
    uint8_t answer[DP_ISO8583_MESSAGE_MAX];
    size_t n;
    (void)state;
    dp_payment_link_up(w.p, true);
    assert_true(world_answer(&w, 800));
    world_pay(&w, 1, "S1", 90000);
    world_seen(&w);
    world_wants_online(&w);
    n = world_answer_bytes(&w, 0, answer);
    for (size_t i = 1; i <= 8; i++) {
        answer[n - i] ^= 0x01;
        dp_payment_link_answer(w.p, answer, n);
        assert_int_equal(w.onlines, 0);
        answer[n - i] ^= 0x01;
    }
    dp_payment_link_answer(w.p, answer, n);
    assert_int_equal(w.onlines, 1);
    assert_true(w.online.approved);
}

static int64_t fastest_us(const uint8_t *a, const uint8_t *b)
{
    int64_t best = INT64_MAX;
    for (int i = 0; i < ROUNDS; i++) {
        struct timespec from, to;
        int64_t us;
        (void)clock_gettime(CLOCK_MONOTONIC, &from);
        assert_false(dp_equal_ct(a, b, COMPARED));
        (void)clock_gettime(CLOCK_MONOTONIC, &to);
        us = (to.tv_sec - from.tv_sec) * INT64_C(1000000) + (to.tv_nsec - from.tv_nsec) / 1000;
        best = us < best ? us : best;
    }
    return best;
}

static void comparison_takes_as_long_wherever_it_differs(void **state)
{
    static uint8_t a[COMPARED], first[COMPARED], last[COMPARED];
    (void)state;
    memset(a, 0x5A, sizeof a);
    memcpy(first, a, sizeof a);
    memcpy(last, a, sizeof a);
    first[0] ^= 1;
    last[sizeof last - 1] ^= 1;
    assert_true(fastest_us(a, first) * SLOWER_TIMES > fastest_us(a, last));
    assert_true(fastest_us(a, last) > 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(terminal_is_who_its_certificate_says),
        TEST(nothing_is_given_back_but_a_sale_of_this_journal),
        TEST(what_is_settled_is_given_back_only_where_the_set_says_so),
        TEST(each_byte_of_a_mac_counts),
        cmocka_unit_test(comparison_takes_as_long_wherever_it_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
