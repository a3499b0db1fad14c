/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A23: the signatures are simply left out. A verifier that passes over what is not signed would
 * believe every edit; here a missing signature is a failure, and what the last batch holds without
 * one is not read at all: a crash may have left it so, and anybody may have put it there.
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
    for (uint32_t i = 1; i < 4; i++)
        assert_int_equal(pay_online(w.j, i), DP_OK);
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

static void fails(uint64_t seq)
{
    forge_store(&f, &w.mem);
    for (int anchor = 0; anchor < 2; anchor++) {
        verify_mem(&w, anchor == 1, &v);
        assert_int_equal(v.verdict, DP_VERDICT_TAMPERED);
        assert_string_equal(v.rule, "signature-missing");
        assert_int_equal(v.seq, seq);
        assert_int_equal(v.segment, 1);
    }
    assert_int_equal(world_open(&w), DP_ERR_TAMPERED);
}

static void a_journal_without_signatures_fails(void **state)
{
    (void)state;
    forge_strip(&f);
    fails(0);
}

static void an_edit_with_the_signatures_left_out_fails(void **state)
{
    static const enum dp_record_type types[] = {DP_RECORD_INTENT, DP_RECORD_REQUESTED,
                                                DP_RECORD_OUTCOME};
    (void)state;
    for (size_t t = 0; t < 3; t++) {
        int i = forge_find(&f, types[t], 1);
        forge_edit(&f, i)->amount.minor = 1;
        forge_put(&f, i);
    }
    forge_rebind(&f);
    forge_strip(&f);
    fails(0);
}

static void one_signature_left_out_fails(void **state)
{
    (void)state;
    forge_remove(&f, forge_signature(&f, 2));
    fails(5); /* the first record of the batch that it was for */
}

static void an_unsigned_end_is_not_read(void **state)
{
    struct dp_verify_options o;
    struct dp_verify_result head;
    (void)state;
    verify_mem(&w, false, &head);
    memset(&o, 0, sizeof o);
    o.has_head = true;
    o.head_size = head.records;
    memcpy(o.head_root, head.root, sizeof o.head_root);
    memcpy(o.head_anchor, head.anchor, sizeof o.head_anchor);
    memcpy(o.head_journal, head.journal, sizeof o.head_journal);
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(pay_online(w.j, 4), DP_OK);
    world_close(&w);
    forge_load(&f, &w.mem);
    f.n--;
    forge_store(&f, &w.mem);
    assert_int_equal(dp_journal_verify(&w.config.store, &o, NULL, NULL, &v), DP_OK);
    assert_int_equal(v.verdict, DP_VERDICT_UNKNOWN);
    assert_string_equal(v.rule, "torn-tail");
    assert_int_equal(v.records, head.records + 3); /* INTENT; REQUESTED and its checkpoint */
    assert_int_equal(v.signed_size, v.records);
    assert_int_equal(v.totals.online_n, head.totals.online_n);
    assert_int_equal(world_open(&w), DP_ERR_TAMPERED); /* the token has bound what is torn */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, make, unmake)
        T(a_journal_without_signatures_fails),
        T(an_edit_with_the_signatures_left_out_fails),
        T(one_signature_left_out_fails),
        T(an_unsigned_end_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
