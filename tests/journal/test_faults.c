/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call to the store fails once, in every scenario: an error, a full disk, half a write, a
 * power cut before it and in the middle of it, with what was not flushed gone, torn or out of
 * order. Afterwards the journal opens, what was acknowledged is in it, and it goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "journal/segment.h"
#include "world.h"

#define PAYMENTS_MAX 64
#define FIRST_NEW    10

static struct world w;
static struct memstore base;
static bool done[PAYMENTS_MAX], found[PAYMENTS_MAX];
static unsigned runs, recovered;

static int acknowledged(int err, uint32_t payment)
{
    if (err == DP_OK)
        done[payment] = true;
    return err;
}

/* ---- scenarios: what happens until the fault ---- */

static int a_round(void)
{
    struct dp_record r;
    int err = world_open(&w);
    if (err == DP_OK)
        err = acknowledged(pay_online(w.j, FIRST_NEW), FIRST_NEW);
    if (err == DP_OK)
        err = acknowledged(pay_offline(w.j, FIRST_NEW + 1), FIRST_NEW + 1);
    if (err == DP_OK)
        err = acknowledged(pay_no_answer(w.j, FIRST_NEW + 2), FIRST_NEW + 2);
    record_of(&r, DP_RECORD_TIME_SYNC, 2); /* so that the old key has something to sign */
    if (err == DP_OK)
        err = dp_journal_append(w.j, &r);
    if (err == DP_OK)
        err = dp_journal_rotate(w.j);
    record_of(&r, DP_RECORD_OUTCOME, 2);
    if (err == DP_OK)
        err = dp_side_drop(w.j, r.tx, DP_SIDE_PAN);
    if (err == DP_OK)
        err = dp_side_shred(w.j);
    for (uint32_t i = FIRST_NEW + 3; err == DP_OK && i < FIRST_NEW + 6; i++)
        err = acknowledged(pay_declined(w.j, i), i);
    return err;
}

static int an_opening(void)
{
    int err = world_open(&w);
    return err == DP_OK ? acknowledged(pay_online(w.j, FIRST_NEW), FIRST_NEW) : err;
}

static int an_end(void)
{
    int err = world_open(&w);
    return err == DP_OK ? dp_journal_close_round(w.j) : err;
}

/* ---- one fault ---- */

static void see(void *user, const struct dp_record *r)
{
    uint32_t payment;
    (void)user;
    memcpy(&payment, r->tx, sizeof payment);
    if (r->type == DP_RECORD_OUTCOME && payment < PAYMENTS_MAX)
        found[payment] = true;
}

static void holds_what_was_acknowledged(bool round_may_be_over)
{
    struct dp_verify_options o;
    struct dp_verify_result v;
    memset(&o, 0, sizeof o);
    memset(found, 0, sizeof found);
    o.has_anchor = true;
    assert_int_equal(dp_hsm_anchor_read(w.hsm, o.anchor), DP_OK);
    assert_int_equal(dp_journal_verify(&w.config.store, &o, see, NULL, &v), DP_OK);
    if (v.verdict != DP_VERDICT_FRESH)
        fail_msg("%s: %s", v.rule != NULL ? v.rule : "", v.words);
    for (uint32_t i = 0; i < PAYMENTS_MAX; i++)
        if (done[i] && !found[i] && !round_may_be_over)
            fail_msg("payment %u was acknowledged and is lost", i);
}

/* True when the fault came. */
static bool one_fault(int (*scenario)(void), enum fault fault, unsigned n, uint64_t seed)
{
    bool came, ends = scenario == an_end;
    int err;
    memstore_free(&w.mem);
    memstore_copy(&w.mem, &base);
    world_token_restore(&w);
    memset(done, 0, sizeof done);
    memstore_fail(&w.mem, fault, n);
    err = scenario();
    came = w.mem.calls >= w.mem.fault_at;
    if (!came)
        assert_int_equal(err, DP_OK);
    w.mem.dead = true;
    dp_journal_free(&w.j);
    dp_hsm_free(&w.hsm);
    assert_int_equal(dp_hsm_open(w.uri, &w.hsm), DP_OK);
    if (fault == FAULT_CUT || fault == FAULT_TORN)
        memstore_power_on(&w.mem, seed);
    else
        memstore_restart(&w.mem);
    err = world_open(&w);
    if (ends && err == DP_ERR_STATE)
        err = world_open(&w); /* the close was finished, and the next round begins */
    if (err != DP_OK)
        fail_msg("call %u, fault %d, seed %u: %s", n, (int)fault, (unsigned)seed, dp_strerr(err));
    recovered += w.opened.recovered;
    assert_int_equal(pay_online(w.j, PAYMENTS_MAX - 1), DP_OK);
    world_close(&w);
    holds_what_was_acknowledged(ends);
    runs++;
    return came;
}

static void every_fault(int (*scenario)(void))
{
    static const enum fault faults[] = {FAULT_IO,  FAULT_FULL, FAULT_SHORT,
                                        FAULT_CUT, FAULT_TORN, FAULT_TORN};
    const char *kind = getenv("DP_TEST_KIND");
    unsigned step = kind != NULL && kind[0] != '\0' ? 7 : 1;
    bool came = true;
    unsigned n;
    runs = recovered = 0;
    for (n = 1; came; n += step)
        for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++)
            came = one_fault(scenario, faults[f], n, n * 8 + f);
    assert_true(n > 5);
    print_message("# %u runs, %u recoveries\n", runs, recovered);
}

/* ---- */

static int make(void **state)
{
    (void)state;
    world_make(&w);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    memstore_free(&base);
    world_remove(&w);
    return 0;
}

static void keep_base(void)
{
    memstore_copy(&base, &w.mem);
    world_token_keep(&w);
}

static void two_payments(void)
{
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    assert_int_equal(pay_offline(w.j, 2), DP_OK);
}

static void at_the_first_start(void **state)
{
    (void)state;
    keep_base();
    every_fault(an_opening);
}

static void during_a_round(void **state)
{
    (void)state;
    two_payments();
    world_close(&w);
    keep_base();
    every_fault(a_round);
}

static void while_a_round_is_closed(void **state)
{
    (void)state;
    two_payments();
    world_close(&w);
    keep_base();
    every_fault(an_end);
}

/* A torn batch is there: recovery itself is interrupted, and recovery from that. */
static void during_recovery(void **state)
{
    struct dp_record r;
    struct node *s;
    size_t at;
    (void)state;
    w.segment_bytes = 65536;
    two_payments();
    world_token_keep(&w);
    for (unsigned i = 0; i < 6; i++) {
        record_of(&r, DP_RECORD_TIME_SYNC, 1);
        assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    }
    assert_int_equal(dp_journal_flush(w.j), DP_OK);
    world_kill(&w);
    world_token_restore(&w); /* the crash came before the extension */
    s = memstore_segment(&w.mem, 1);
    for (at = s->n; s->data[at - 1] == 0; at--)
        ;
    s->data[at - 300] ^= 1;
    assert_int_equal(world_open(&w), DP_OK);
    assert_true(w.opened.recovered);
    world_kill(&w);
    at = memstore_segment(&w.mem, 2)->n;
    memset(memstore_segment(&w.mem, 2)->data + 140, 0x55, 100); /* and RECOVERY is torn as well */
    keep_base();
    every_fault(an_opening);
    assert_true(recovered > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, make, unmake)
        T(at_the_first_start),
        T(during_a_round),
        T(while_a_round_is_closed),
        T(during_recovery),
    };
    dp_log_set(NULL, NULL, DP_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
