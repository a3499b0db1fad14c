/* SPDX-License-Identifier: Apache-2.0 */
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

static struct world w;

static int make(void **state)
{
    (void)state;
    world_make(&w);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

static void opens(int err)
{
    assert_int_equal(world_open(&w), err);
}

static void is_fresh(uint64_t records)
{
    struct dp_verify_result v;
    verify_mem(&w, true, &v);
    assert_string_equal(v.rule != NULL ? v.words : "", "");
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
    assert_int_equal(v.records, records);
}

static void a_new_journal_is_bound_from_its_first_record(void **state)
{
    struct dp_verify_result v;
    uint8_t id[16];
    (void)state;
    opens(DP_OK);
    assert_true(w.opened.created);
    assert_false(w.opened.recovered);
    assert_int_equal(w.opened.records, 2);
    assert_int_equal(w.seen, 2);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
    assert_int_equal(v.signed_size, 2);
    dp_journal_id(w.j, id);
    assert_memory_equal(v.journal, id, sizeof id);
    world_close(&w);
    verify_mem(&w, false, &v);
    assert_int_equal(v.verdict, DP_VERDICT_UNKNOWN);
    assert_null(v.rule);
    assert_int_equal(v.signed_size, 2);
}

static void goes_on_where_it_stopped(void **state)
{
    struct dp_verify_result v;
    struct dp_totals t;
    (void)state;
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    assert_int_equal(pay_offline(w.j, 2), DP_OK);
    world_close(&w);
    opens(DP_OK);
    assert_false(w.opened.created);
    assert_int_equal(w.seen, 2 + 5 + 3);
    assert_int_equal(pay_declined(w.j, 3), DP_OK);
    assert_int_equal(pay_no_answer(w.j, 4), DP_OK);
    dp_journal_totals(w.j, &t);
    assert_int_equal(t.intents, 4);
    assert_int_equal(t.online_n, 1);
    assert_int_equal(t.online_amount, 101);
    assert_int_equal(t.offline_amount, 102);
    assert_int_equal(t.declined_n, 2);
    assert_int_equal(t.reversed_n, 1);
    assert_int_equal(t.reversed_amount, 104);
    is_fresh(10 + 3 + 6);
    verify_mem(&w, true, &v);
    assert_memory_equal(&v.totals, &t, sizeof t);
    assert_int_equal(v.checkpoints, 7);
}

static void fills_segment_after_segment(void **state)
{
    struct dp_verify_result v;
    (void)state;
    opens(DP_OK);
    for (uint32_t i = 0; i < 60; i++)
        assert_int_equal(pay_online(w.j, i), DP_OK);
    is_fresh(2 + 60 * 5);
    assert_non_null(memstore_segment(&w.mem, 8));
    world_close(&w);
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 100), DP_OK);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
    assert_int_equal(v.totals.online_n, 61);
}

static void a_batch_is_one_write_and_one_flush(void **state)
{
    struct dp_record r;
    unsigned calls, syncs;
    (void)state;
    w.segment_bytes = 1048576;
    opens(DP_OK);
    assert_int_equal(pay_declined(w.j, 1), DP_OK);
    record_of(&r, DP_RECORD_EVIDENCE, 2);
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    calls = w.mem.calls;
    syncs = w.mem.syncs;
    assert_int_equal(dp_journal_checkpoint(w.j), DP_OK);
    assert_int_equal(w.mem.calls - calls, 2);
    assert_int_equal(w.mem.syncs - syncs, 1);
    assert_int_equal(dp_journal_flush(w.j), DP_OK); /* nothing */
    assert_int_equal(dp_journal_checkpoint(w.j), DP_OK);
    assert_int_equal(w.mem.calls - calls, 2);
}

static void only_an_intent_is_flushed_without_a_signature(void **state)
{
    struct dp_verify_result v;
    struct dp_record r;
    (void)state;
    opens(DP_OK);
    record_of(&r, DP_RECORD_INTENT, 1);
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    assert_int_equal(dp_journal_flush(w.j), DP_OK);
    verify_mem(&w, true, &v);
    assert_int_equal(v.records, 3);
    assert_int_equal(v.signed_size, 2);
    record_of(&r, DP_RECORD_TIME_SYNC, 1);
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    record_of(&r, DP_RECORD_INTENT, 2);
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    assert_int_equal(dp_journal_flush(w.j), DP_OK); /* with another beside it, all of it is bound */
    is_fresh(6);
}

/* A batch that gets too large is ended, and what ends it has its place. */
static void a_full_batch_is_bound(void **state)
{
    struct dp_verify_result v;
    struct dp_record r;
    uint64_t last = 1;
    (void)state;
    opens(DP_OK);
    for (unsigned i = 0; i < 200; i++) {
        record_of(&r, DP_RECORD_TIME_SYNC, i);
        memset(r.text, 'x', i % 100);
        assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
        assert_true(r.seq > last); /* what was put before it moved it, and nothing else */
        last = r.seq;
    }
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
    assert_in_range(v.records, 150, 230);
    assert_int_equal(dp_journal_checkpoint(w.j), DP_OK);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
    assert_int_equal(v.records - v.checkpoints, 201); /* and OPEN */
}

static void what_was_not_bound_is_kept_and_told_apart(void **state)
{
    struct dp_verify_result v;
    struct dp_record r;
    (void)state;
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    record_of(&r, DP_RECORD_INTENT, 2);
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    assert_int_equal(dp_journal_flush(w.j), DP_OK);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_UNKNOWN);
    assert_null(v.rule);
    assert_int_equal(v.records, 8);
    world_kill(&w);
    opens(DP_OK);
    assert_int_equal(w.seen, 8);
    assert_int_equal(dp_journal_checkpoint(w.j), DP_OK);
    is_fresh(9);
}

static void a_crash_between_flush_and_extend_is_made_good(void **state)
{
    struct dp_verify_result v;
    uint8_t before[32], after[32];
    (void)state;
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    world_token_keep(&w);
    assert_int_equal(dp_hsm_anchor_read(w.hsm, before), DP_OK);
    assert_int_equal(pay_offline(w.j, 2), DP_OK);
    assert_int_equal(dp_hsm_anchor_read(w.hsm, after), DP_OK);
    world_kill(&w);
    world_token_restore(&w);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_UNKNOWN); /* not yet bound */
    assert_null(v.rule);
    opens(DP_OK);
    assert_int_equal(dp_hsm_anchor_read(w.hsm, before), DP_OK);
    assert_memory_equal(before, after, sizeof after); /* extended again by the same body */
    is_fresh(10);
    assert_int_equal(pay_online(w.j, 3), DP_OK);
    is_fresh(15);
}

/* A batch was written and not flushed when its writer was killed. The next one sees it in memory,
 * binds it, and then the power goes. */
static void a_start_makes_durable_what_it_builds_on(void **state)
{
    struct memstore base;
    struct dp_record r;
    (void)state;
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    record_of(&r, DP_RECORD_TIME_SYNC, 1);
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    memstore_fail(&w.mem, FAULT_IO, 2);
    assert_int_equal(dp_journal_checkpoint(w.j), DP_ERR_IO);
    world_kill(&w);
    world_token_keep(&w);
    memstore_copy(&base, &w.mem);
    for (uint64_t seed = 1; seed < 9; seed++) {
        memstore_free(&w.mem);
        memstore_copy(&w.mem, &base);
        world_token_restore(&w);
        opens(DP_OK);
        w.mem.dead = true;
        dp_journal_free(&w.j);
        memstore_power_on(&w.mem, seed);
        opens(DP_OK);
        world_close(&w);
        is_fresh(9);
    }
    memstore_free(&base);
}

static void an_old_copy_is_a_rollback(void **state)
{
    struct memstore old;
    struct dp_verify_result v;
    (void)state;
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    world_close(&w);
    memstore_copy(&old, &w.mem);
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 2), DP_OK);
    world_close(&w);
    memstore_free(&w.mem);
    w.mem = old;
    opens(DP_ERR_ROLLBACK);
    assert_null(w.j);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_ROLLBACK);
    assert_string_equal(v.rule, "rollback");
    verify_mem(&w, false, &v);
    assert_int_equal(v.verdict, DP_VERDICT_UNKNOWN);
}

static void a_journal_taken_away_is_a_rollback(void **state)
{
    (void)state;
    opens(DP_OK);
    world_close(&w);
    memstore_free(&w.mem);
    memstore_init(&w.mem);
    opens(DP_ERR_ROLLBACK);
    assert_int_equal(w.mem.nodes_n, 2); /* the lock alone: nothing was begun */
}

static void a_torn_batch_is_set_aside(void **state)
{
    struct dp_verify_result v;
    struct dp_record r;
    struct node *s;
    uint32_t used;
    struct segment seg = {NULL, 0, {0}};
    (void)state;
    w.segment_bytes = 65536;
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    world_token_keep(&w);
    s = memstore_segment(&w.mem, 1);
    seg.p = s->data;
    seg.n = (uint32_t)s->n;
    used = segment_used(&seg, 128);
    record_of(&r, DP_RECORD_TIME_SYNC, 1);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    assert_int_equal(dp_journal_flush(w.j), DP_OK);
    world_kill(&w);
    world_token_restore(&w);  /* the crash came before the extension */
    s->data[used + 200] ^= 1; /* of the second; behind it stand others */
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_UNKNOWN);
    assert_string_equal(v.rule, "torn-tail");
    assert_true(v.torn_tail);
    assert_int_equal(v.records, 7);
    opens(DP_OK);
    assert_true(w.opened.recovered);
    assert_int_equal(w.seen, 8); /* the batch as a whole is gone, RECOVERY is there */
    assert_int_equal(dp_journal_checkpoint(w.j), DP_OK);
    is_fresh(9);
    assert_non_null(memstore_segment(&w.mem, 2));
    s->data[used + 200] ^= 4; /* what was set aside is named by its hash */
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_TAMPERED);
    assert_string_equal(v.rule, "recovery-mismatch");
}

static void damage_that_was_bound_is_tampering(void **state)
{
    struct dp_verify_result v;
    struct node *s;
    (void)state;
    w.segment_bytes = 65536;
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    world_kill(&w);
    s = memstore_segment(&w.mem, 1);
    for (size_t at = s->n; at-- > 0;)
        if (s->data[at] != 0) {
            s->data[at] ^= 1; /* the last byte of the last signature */
            break;
        }
    opens(DP_ERR_TAMPERED);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_TAMPERED);
    assert_string_equal(v.rule, "frame-crc");
    verify_mem(&w, false, &v);
    assert_int_equal(v.verdict, DP_VERDICT_UNKNOWN); /* alone it looks like a crash */
    s->data[400] ^= 1;                               /* the first batch, with others behind it */
    verify_mem(&w, false, &v);
    assert_int_equal(v.verdict, DP_VERDICT_TAMPERED);
    assert_string_equal(v.rule, "frame-crc");
}

static void the_reserve_is_for_what_closes_a_payment(void **state)
{
    struct dp_record r;
    unsigned calls;
    (void)state;
    opens(DP_OK);
    assert_true(dp_journal_has_room(w.j));
    w.mem.space = w.config.reserve_bytes - 1;
    assert_false(dp_journal_has_room(w.j));
    calls = w.mem.calls;
    record_of(&r, DP_RECORD_INTENT, 1);
    assert_int_equal(dp_journal_append(w.j, &r), DP_ERR_FULL);
    record_of(&r, DP_RECORD_EVIDENCE, 1);
    assert_int_equal(dp_journal_append(w.j, &r), DP_ERR_FULL);
    assert_int_equal(w.mem.calls, calls);
    w.mem.space = UINT64_MAX / 2;
    record_of(&r, DP_RECORD_INTENT, 1);
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    w.mem.space = 0;
    record_of(&r, DP_RECORD_OUTCOME, 1);
    r.mode = DP_MODE_DECLINED;
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    assert_int_equal(dp_journal_checkpoint(w.j), DP_OK);
}

/* Space for the end of a payment is taken at its beginning, as a file. */
static void an_intent_near_a_segments_end_takes_the_next(void **state)
{
    struct dp_record r;
    (void)state;
    w.segment_bytes = 65536;
    w.config.reserve_bytes = 0;
    opens(DP_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        record_of(&r, DP_RECORD_TIME_SYNC, i);
        memset(r.text, 'x', 100);
        assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
        assert_int_equal(dp_journal_flush(w.j), DP_OK);
        w.mem.space = i % 2 == 0 ? 65535 : 65536;
        if (!dp_journal_has_room(w.j))
            break;
    }
    assert_int_equal(w.mem.space, 65535);
    assert_null(memstore_segment(&w.mem, 2));
    record_of(&r, DP_RECORD_INTENT, 1);
    assert_int_equal(dp_journal_append(w.j, &r), DP_ERR_FULL);
    w.mem.space = 65536;
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    w.mem.space = 0;
    assert_true(dp_journal_has_room(w.j)); /* the next segment is there already */
    memstore_fail(&w.mem, FAULT_NONE, 0);
    assert_int_equal(dp_journal_checkpoint(w.j), DP_OK);
}

static void nothing_goes_on_after_an_error(void **state)
{
    struct dp_record r;
    (void)state;
    opens(DP_OK);
    record_of(&r, DP_RECORD_TIME_SYNC, 1);
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    memstore_fail(&w.mem, FAULT_IO, 2); /* the flush */
    assert_int_equal(dp_journal_flush(w.j), DP_ERR_IO);
    assert_int_equal(dp_journal_append(w.j, &r), DP_ERR_STATE);
    assert_int_equal(dp_journal_flush(w.j), DP_ERR_STATE);
    assert_int_equal(dp_journal_checkpoint(w.j), DP_ERR_STATE);
    assert_int_equal(dp_journal_rotate(w.j), DP_ERR_STATE);
    assert_int_equal(dp_journal_close_round(w.j), DP_ERR_STATE);
    assert_int_equal(dp_side_drop(w.j, r.tx, DP_SIDE_PAN), DP_ERR_STATE);
    assert_false(dp_journal_has_room(w.j));
}

static void the_writers_own_records_are_its_own(void **state)
{
    static const enum dp_record_type own[] = {DP_RECORD_OPEN,       DP_RECORD_CHECKPOINT,
                                              DP_RECORD_KEY_ROTATE, DP_RECORD_RECOVERY,
                                              DP_RECORD_SHRED,      DP_RECORD_CLOSE};
    struct dp_record r;
    (void)state;
    opens(DP_OK);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        record_of(&r, own[i], 1);
        assert_int_equal(dp_journal_append(w.j, &r), DP_ERR_ARG);
    }
    record_of(&r, DP_RECORD_INTENT, 1);
    r.has_tx = false;
    assert_int_equal(dp_journal_append(w.j, &r), DP_ERR_MISSING);
    assert_int_equal(pay_online(w.j, 1), DP_OK); /* a refused record changed nothing */
    is_fresh(7);
}

static void there_is_one_writer(void **state)
{
    struct dp_journal_opened opened;
    struct dp_journal *second = NULL;
    (void)state;
    opens(DP_OK);
    assert_int_equal(dp_journal_open(&w.config, NULL, NULL, &opened, &second), DP_ERR_BUSY);
    assert_null(second);
    world_close(&w);
    opens(DP_OK);
}

static void a_new_epoch_key_signs_what_follows(void **state)
{
    uint8_t first[65], second[65];
    (void)state;
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    assert_int_equal(dp_hsm_public(w.hsm, DP_KEY_JOURNAL_EPOCH, first), DP_OK);
    assert_int_equal(dp_journal_rotate(w.j), DP_OK);
    assert_int_equal(dp_hsm_public(w.hsm, DP_KEY_JOURNAL_EPOCH, second), DP_OK);
    assert_memory_not_equal(first, second, sizeof first);
    assert_int_equal(pay_online(w.j, 2), DP_OK);
    is_fresh(7 + 2 + 5);
    world_close(&w);
    opens(DP_OK);
    is_fresh(14);
}

static void a_new_key_without_its_record_gets_one_at_start(void **state)
{
    uint32_t number;
    (void)state;
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    world_close(&w);
    assert_int_equal(dp_hsm_epoch_new(w.hsm, &number), DP_OK);
    opens(DP_OK);
    is_fresh(7 + 2);
    assert_int_equal(pay_online(w.j, 2), DP_OK);
    is_fresh(14);
}

static void a_closed_round_ends_and_the_next_begins(void **state)
{
    struct dp_record r;
    uint8_t first[16], second[16];
    char path[80] = "closed/";
    (void)state;
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    dp_journal_id(w.j, first);
    assert_int_equal(dp_journal_close_round(w.j), DP_OK);
    record_of(&r, DP_RECORD_TIME_SYNC, 1);
    assert_int_equal(dp_journal_append(w.j, &r), DP_ERR_STATE);
    assert_false(dp_journal_has_room(w.j));
    is_fresh(9);
    assert_int_equal(dp_hsm_public(w.hsm, DP_KEY_JOURNAL_EPOCH, (uint8_t[65]){0}),
                     DP_ERR_NOT_FOUND);
    world_close(&w);
    opens(DP_OK);
    assert_true(w.opened.created);
    assert_int_equal(w.seen, 2); /* nothing of the round before */
    dp_journal_id(w.j, second);
    assert_memory_not_equal(first, second, sizeof first);
    for (unsigned i = 0; i < 16; i++)
        snprintf(path + 7 + 2 * i, 3, "%02x", first[i]);
    assert_non_null(memstore_file(&w.mem, path));
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    is_fresh(7);
}

static void a_crash_in_the_close_is_finished_at_start(void **state)
{
    (void)state;
    opens(DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    /* CLOSE and its checkpoint are written, and not bound yet */
    memstore_fail(&w.mem, FAULT_CUT, 2);
    assert_int_not_equal(dp_journal_close_round(w.j), DP_OK);
    world_kill(&w);
    opens(DP_ERR_STATE);
    opens(DP_OK);
    assert_true(w.opened.created);
    is_fresh(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, make, unmake)
        T(a_new_journal_is_bound_from_its_first_record),
        T(goes_on_where_it_stopped),
        T(fills_segment_after_segment),
        T(a_batch_is_one_write_and_one_flush),
        T(only_an_intent_is_flushed_without_a_signature),
        T(a_full_batch_is_bound),
        T(what_was_not_bound_is_kept_and_told_apart),
        T(a_crash_between_flush_and_extend_is_made_good),
        T(a_start_makes_durable_what_it_builds_on),
        T(an_old_copy_is_a_rollback),
        T(a_journal_taken_away_is_a_rollback),
        T(a_torn_batch_is_set_aside),
        T(damage_that_was_bound_is_tampering),
        T(the_reserve_is_for_what_closes_a_payment),
        T(an_intent_near_a_segments_end_takes_the_next),
        T(nothing_goes_on_after_an_error),
        T(the_writers_own_records_are_its_own),
        T(there_is_one_writer),
        T(a_new_epoch_key_signs_what_follows),
        T(a_new_key_without_its_record_gets_one_at_start),
        T(a_closed_round_ends_and_the_next_begins),
        T(a_crash_in_the_close_is_finished_at_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
