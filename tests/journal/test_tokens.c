/* SPDX-License-Identifier: Apache-2.0 */
/* A journal whose keys are in a PKCS #11 token (SoftHSM2) and whose anchor is a TPM's (swtpm). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "world.h"

static struct fixture f;
static struct world w;

static int fresh(void **state)
{
    (void)state;
    if (fixture_make("composite", &f) != 0)
        return -1;
    world_make_on(&w, f.uri, f.hsm);
    f.hsm = NULL;
    return 0;
}

static int gone(void **state)
{
    (void)state;
    world_remove(&w);
    fixture_remove(&f);
    return 0;
}

static void is(enum dp_verdict verdict)
{
    struct dp_verify_result v;
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, verdict);
}

static void payments_are_bound_to_the_tpm(void **state)
{
    uint8_t before[32], after[32];
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    assert_true(w.opened.created);
    assert_int_equal(dp_hsm_anchor_read(w.hsm, before), DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    assert_int_equal(pay_offline(w.j, 2), DP_OK);
    assert_int_equal(dp_hsm_anchor_read(w.hsm, after), DP_OK);
    assert_memory_not_equal(before, after, 32);
    world_close(&w);
    is(DP_VERDICT_FRESH);
}

static void goes_on_after_a_crash(void **state)
{
    uint64_t records;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    records = w.opened.records;
    world_kill(&w); /* no signature flushed, token and TPM opened anew */
    assert_int_equal(world_open(&w), DP_OK);
    assert_false(w.opened.created);
    assert_true(w.opened.records > records);
    assert_int_equal(pay_declined(w.j, 2), DP_OK);
    assert_int_equal(dp_journal_rotate(w.j), DP_OK);
    assert_int_equal(pay_online(w.j, 3), DP_OK);
    world_close(&w);
    is(DP_VERDICT_FRESH);
}

static void an_old_copy_is_a_rollback(void **state)
{
    struct memstore old;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    world_close(&w);
    memstore_copy(&old, &w.mem);
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(pay_online(w.j, 2), DP_OK);
    world_close(&w);
    memstore_free(&w.mem);
    w.mem = old;
    assert_int_equal(world_open(&w), DP_ERR_ROLLBACK);
    assert_null(w.j);
    is(DP_VERDICT_ROLLBACK);
}

/* A TPM that dies in the middle of a payment: the key is in the other token, and goes on signing.
 */
static void a_dead_tpm_leaves_a_signed_journal(void **state)
{
    struct dp_verify_result v;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    fixture_end_tpm(&f);
    assert_int_equal(pay_online(w.j, 2), DP_OK);
    assert_true(dp_journal_is_degraded(w.j));
    assert_int_equal(pay_online(w.j, 3), DP_OK);
    assert_true(dp_journal_try_anchor(w.j) < 0);
    world_close(&w);
    verify_mem(&w, false, &v);
    assert_null(v.rule);
    assert_true(v.degraded);
    assert_int_equal(v.signed_size, v.records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(payments_are_bound_to_the_tpm, fresh, gone),
        cmocka_unit_test_setup_teardown(goes_on_after_a_crash, fresh, gone),
        cmocka_unit_test_setup_teardown(an_old_copy_is_a_rollback, fresh, gone),
        cmocka_unit_test_setup_teardown(a_dead_tpm_leaves_a_signed_journal, fresh, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
