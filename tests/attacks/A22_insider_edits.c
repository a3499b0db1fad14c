/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A22: somebody who may write the device's files edits, cuts, reorders, splices or rolls back the
 * journal, with every check sum and every hash made right again. What he has not is the token. The
 * verifier says so, and the writer takes no new payment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "forge.h"
#include "world.h"

static struct world w;
static struct forge f;
static struct dp_verify_result v;

static int make(void **state)
{
    (void)state;
    world_make(&w);
    w.segment_bytes = 65536;
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    assert_int_equal(pay_offline(w.j, 2), DP_OK);
    assert_int_equal(pay_online(w.j, 3), DP_OK);
    world_close(&w);
    forge_load(&f, &w.mem);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

/* Never fresh, whoever looks; and no payment is taken on top of it. */
static void is_found_out(enum dp_verdict with_token)
{
    int err;
    forge_store(&f, &w.mem);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, with_token);
    assert_non_null(v.rule);
    assert_true(v.has_seq);
    verify_mem(&w, false, &v);
    assert_int_not_equal(v.verdict, DP_VERDICT_FRESH);
    err = world_open(&w);
    assert_int_equal(err, with_token == DP_VERDICT_ROLLBACK ? DP_ERR_ROLLBACK : DP_ERR_TAMPERED);
    assert_null(w.j);
}

static void a_sale_made_cheaper(void **state)
{
    static const enum dp_record_type types[] = {DP_RECORD_INTENT, DP_RECORD_REQUESTED,
                                                DP_RECORD_OUTCOME};
    (void)state;
    for (size_t t = 0; t < 3; t++) {
        int i = forge_find(&f, types[t], 0);
        forge_edit(&f, i)->amount.minor = 1;
        forge_put(&f, i);
    }
    forge_rebind(&f);
    is_found_out(DP_VERDICT_TAMPERED);
}

static void an_approval_turned_into_a_decline(void **state)
{
    int i = forge_find(&f, DP_RECORD_OUTCOME, 1);
    struct dp_record *r = forge_edit(&f, i);
    (void)state;
    r->mode = DP_MODE_DECLINED;
    r->stan = 0;
    forge_put(&f, i);
    forge_rebind(&f);
    is_found_out(DP_VERDICT_TAMPERED);
}

static void a_payment_taken_out_of_the_middle(void **state)
{
    int i = forge_find(&f, DP_RECORD_INTENT, 1), end = forge_find(&f, DP_RECORD_INTENT, 2);
    (void)state;
    for (int n = end - i; n > 0; n--)
        forge_remove(&f, i);
    forge_rebind(&f);
    is_found_out(DP_VERDICT_TAMPERED);
}

static void the_last_payment_cut_off(void **state)
{
    int i = forge_find(&f, DP_RECORD_INTENT, 2);
    (void)state;
    f.n = i;
    is_found_out(DP_VERDICT_ROLLBACK);
}

static void only_the_last_checkpoint_cut_off(void **state)
{
    (void)state;
    f.n = forge_find(&f, DP_RECORD_CHECKPOINT, 5);
    is_found_out(DP_VERDICT_TAMPERED); /* what is left of its batch has no signature */
}

static void two_payments_in_another_order(void **state)
{
    int a = forge_find(&f, DP_RECORD_INTENT, 0), b = forge_find(&f, DP_RECORD_INTENT, 2);
    (void)state;
    for (int k = 0; k < 4; k++)
        forge_swap(&f, a + k, b + k);
    forge_rebind(&f);
    is_found_out(DP_VERDICT_TAMPERED);
}

/* A payment of another device's journal, made to look like one of this. */
static void a_payment_spliced_in(void **state)
{
    static struct world other;
    static struct forge g;
    uint8_t id[16];
    int at = forge_find(&f, DP_RECORD_INTENT, 1), from;
    (void)state;
    world_make(&other);
    other.segment_bytes = 65536;
    assert_int_equal(world_open(&other), DP_OK);
    assert_int_equal(pay_offline(other.j, 9), DP_OK);
    world_close(&other);
    forge_load(&g, &other.mem);
    memcpy(id, forge_edit(&f, 0)->journal, sizeof id);
    from = forge_find(&g, DP_RECORD_INTENT, 0);
    for (int k = 0; k < 3; k++) {
        while (g.parts[from + k].signature)
            from++;
        forge_insert(&f, at + k, &g.parts[from + k]);
        memcpy(forge_edit(&f, at + k)->journal, id, sizeof id);
        forge_put(&f, at + k);
    }
    forge_rebind(&f);
    world_remove(&other);
    is_found_out(DP_VERDICT_TAMPERED);
}

/* Behind the end, with a checkpoint that nobody signed: the token has never heard of it. */
static void a_payment_made_up_at_the_end(void **state)
{
    static struct forge_part parts[3];
    int from = forge_find(&f, DP_RECORD_INTENT, 1), n = 0;
    (void)state;
    for (int i = from; n < 3; i++)
        if (!f.parts[i].signature)
            parts[n++] = f.parts[i];
    for (int i = 0; i < 3; i++) {
        struct dp_record *r;
        forge_insert(&f, f.n, &parts[i]);
        r = forge_edit(&f, f.n - 1);
        r->tx[0] = 99;
        forge_put(&f, f.n - 1);
    }
    forge_rebind(&f);
    forge_store(&f, &w.mem);
    verify_mem(&w, true, &v);
    assert_int_not_equal(v.verdict, DP_VERDICT_FRESH);
    verify_mem(&w, false, &v);
    assert_int_not_equal(v.verdict, DP_VERDICT_FRESH);
    assert_true(v.signed_size < v.records);
}

static void yesterdays_files_put_back(void **state)
{
    struct memstore old;
    (void)state;
    memstore_copy(&old, &w.mem);
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(pay_online(w.j, 4), DP_OK);
    world_close(&w);
    memstore_free(&w.mem);
    w.mem = old;
    is_found_out(DP_VERDICT_ROLLBACK);
}

static void the_whole_journal_taken_away(void **state)
{
    (void)state;
    memstore_free(&w.mem);
    memstore_init(&w.mem);
    assert_int_equal(world_open(&w), DP_ERR_ROLLBACK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, make, unmake)
        T(a_sale_made_cheaper),
        T(an_approval_turned_into_a_decline),
        T(a_payment_taken_out_of_the_middle),
        T(the_last_payment_cut_off),
        T(only_the_last_checkpoint_cut_off),
        T(two_payments_in_another_order),
        T(a_payment_spliced_in),
        T(a_payment_made_up_at_the_end),
        T(yesterdays_files_put_back),
        T(the_whole_journal_taken_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
