/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: opening from one reads what stands behind it and nothing else, and finds what reading
 * everything finds; what is not the token's own is never taken; what opening has not read is looked
 * through behind it. tests/journal/test_faults.c and test_crash.c cut the power in their making.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "forge.h"
#include "journal/writer.h"
#include "world.h"

#define BEHIND 2 /* payments behind the snapshot */

static struct world w;
static uint64_t size; /* records before the snapshot */

static void open_and_pay(uint32_t from, uint32_t to)
{
    assert_int_equal(world_open(&w), DP_OK);
    for (uint32_t i = from; i < to; i++)
        assert_int_equal(i % 3 == 1 ? pay_offline(w.j, i) : pay_online(w.j, i), DP_OK);
}

/* Eight payments in several segments, a snapshot, and two behind it. */
static int make(void **state)
{
    (void)state;
    world_make(&w);
    w.leave_unread = true;
    open_and_pay(1, 9);
    assert_int_equal(dp_journal_snapshot(w.j), DP_OK);
    size = w.j->tree.size;
    for (uint32_t i = 9; i < 9 + BEHIND; i++)
        assert_int_equal(pay_online(w.j, i), DP_OK);
    assert_true(w.j->number > 1);
    world_close(&w);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

static struct node *file(unsigned slot)
{
    for (int i = 1; i < w.mem.nodes_n; i++)
        if (w.mem.nodes[i].here && strcmp(w.mem.nodes[i].name, snapshot_name(slot)) == 0)
            return &w.mem.nodes[i];
    return NULL;
}

static struct node *newest(void)
{
    struct node *a = file(0), *b = file(1);
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    return memcmp(a->data + 12, b->data + 12, 8) > 0 ? a : b;
}

static void is_fresh(void)
{
    struct dp_verify_result v;
    verify_mem(&w, true, &v);
    assert_string_equal(v.rule != NULL ? v.words : "", "");
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
}

/* It opens, from the snapshot or not, and goes on. */
static void opens(bool resumed)
{
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(w.opened.resumed, resumed);
    assert_int_equal(w.seen, w.opened.records);
    assert_int_equal(pay_online(w.j, 50), DP_OK);
    world_close(&w);
    is_fresh();
}

static void reads_only_what_stands_behind_it(void **state)
{
    (void)state;
    memset(memstore_segment(&w.mem, 1)->data + 200, 0x55, 2000);
    assert_int_equal(world_open(&w), DP_OK);
    assert_true(w.opened.resumed);
    assert_int_equal(w.told, w.opened.records - size);
    assert_int_equal(w.seen, w.opened.records);
}

static void what_opening_knows_is_what_reading_everything_says(void **state)
{
    static struct dp_journal resumed;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    assert_true(w.opened.resumed);
    resumed = *w.j;
    w.mem.dead = true; /* it writes nothing more */
    dp_journal_free(&w.j);
    memstore_restart(&w.mem);
    w.no_snapshots = true;
    assert_int_equal(world_open(&w), DP_OK);
    assert_false(w.opened.resumed);
    assert_int_equal(resumed.tree.size, w.j->tree.size);
    for (unsigned i = 0; i < TREE_DEPTH_MAX; i++)
        if ((resumed.tree.size >> i & 1) != 0)
            assert_memory_equal(resumed.tree.peak[i], w.j->tree.peak[i], HASH_BYTES);
    assert_memory_equal(resumed.leaf, w.j->leaf, sizeof resumed.leaf);
    assert_memory_equal(&resumed.totals, &w.j->totals, sizeof resumed.totals);
    assert_memory_equal(&resumed.epoch, &w.j->epoch, sizeof resumed.epoch);
    assert_memory_equal(resumed.anchor, w.j->anchor, sizeof resumed.anchor);
    assert_memory_equal(resumed.salt, w.j->salt, sizeof resumed.salt);
    assert_int_equal(resumed.bound_size, w.j->bound_size);
    assert_int_equal(resumed.checkpoints, w.j->checkpoints);
    assert_int_equal(resumed.last.seq, w.j->last.seq);
    assert_int_equal(resumed.last.before_size, w.j->last.before_size);
    assert_memory_equal(resumed.last.before, w.j->last.before, 32);
    assert_memory_equal(resumed.last.digest, w.j->last.digest, 32);
    assert_int_equal(resumed.shred_generation, w.j->shred_generation);
    assert_int_equal(resumed.acked, w.j->acked);
    assert_int_equal(resumed.number, w.j->number);
    assert_int_equal(resumed.offset, w.j->offset);
    assert_int_equal(resumed.signature_n, w.j->signature_n);
}

/* From snapshot to snapshot, through rotation, shredding and restarts. */
static void a_snapshot_is_made_of_what_a_snapshot_said(void **state)
{
    (void)state;
    for (uint32_t i = 20; i < 26; i++) {
        uint64_t at;
        open_and_pay(2 * i, 2 * i + 2);
        assert_true(w.opened.resumed);
        if (i % 2 == 0)
            assert_int_equal(dp_journal_rotate(w.j), DP_OK); /* makes one itself */
        else
            assert_int_equal(dp_side_shred(w.j), DP_OK);
        if (i % 2 != 0)
            assert_int_equal(dp_journal_snapshot(w.j), DP_OK);
        at = w.j->tree.size;
        world_close(&w);
        assert_int_equal(world_open(&w), DP_OK);
        assert_true(w.opened.resumed);
        assert_int_equal(w.told, w.opened.records - at);
        world_close(&w);
        is_fresh();
    }
}

/* What the ledger knows of earlier payments is not forgotten. */
static void a_second_intent_of_an_earlier_payment_is_found(void **state)
{
    struct dp_record r;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    record_of(&r, DP_RECORD_INTENT, 3);
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    assert_int_equal(dp_journal_flush(w.j), DP_OK);
    world_kill(&w);
    assert_int_equal(world_open(&w), DP_ERR_TAMPERED);
}

static void without_it_everything_is_read(void **state)
{
    (void)state;
    newest()->here = false;
    opens(false);
}

/* Whatever of it was changed. */
static void a_damaged_one_is_not_taken(void **state)
{
    struct memstore base;
    (void)state;
    memstore_copy(&base, &w.mem);
    world_token_keep(&w);
    for (size_t i = 0; i < newest()->n; i += i < 64 ? 1 : 97) {
        newest()->data[i] ^= 0x10;
        assert_int_equal(world_open(&w), DP_OK);
        assert_false(w.opened.resumed);
        world_close(&w);
        memstore_free(&w.mem);
        memstore_copy(&w.mem, &base);
        world_token_restore(&w);
    }
    newest()->n -= 1;
    opens(false);
    memstore_free(&base);
}

static int sign(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    return dp_hsm_sign(ctx, DP_KEY_JOURNAL_IDENTITY, digest, signature);
}

/* Signs a snapshot, changed or not, as the device whose token is hsm. */
static void sign_again(struct node *n, struct dp_hsm *hsm)
{
    struct snapshot s;
    struct dp_writer writer;
    struct dp_bytes signature;
    uint8_t point[65];
    size_t signed_n, whole = n->n;
    assert_int_equal(snapshot_read(n->data, n->n, &s, &signed_n, &signature), DP_OK);
    dp_writer_init(&writer, n->data, whole);
    writer.n = signed_n;
    assert_int_equal(dp_hsm_public(hsm, DP_KEY_JOURNAL_IDENTITY, point), DP_OK);
    assert_int_equal(snapshot_sign(&writer, point, sign, hsm), DP_OK);
    assert_int_equal(writer.n, whole);
}

/* Well made, by somebody who has not the token. */
static void one_that_another_key_signed_is_not_taken(void **state)
{
    struct world other;
    (void)state;
    world_make(&other);
    sign_again(newest(), other.hsm);
    world_remove(&other);
    opens(false);
}

/* The same with the right token: it is what the test above stands on. */
static void one_that_was_signed_again_is_taken(void **state)
{
    (void)state;
    sign_again(newest(), w.hsm);
    opens(true);
}

/* Of this device, and of another round. */
static void one_of_another_journal_is_not_taken(void **state)
{
    (void)state;
    newest()->data[20] ^= 1; /* the journal's id */
    sign_again(newest(), w.hsm);
    opens(false);
}

/* An older one, put back: more is read, nothing else. */
static void an_older_one_only_makes_more_to_read(void **state)
{
    uint64_t older = size;
    (void)state;
    open_and_pay(20, 24);
    assert_int_equal(dp_journal_snapshot(w.j), DP_OK);
    world_close(&w);
    newest()->here = false;
    assert_int_equal(world_open(&w), DP_OK);
    assert_true(w.opened.resumed);
    assert_int_equal(w.told, w.opened.records - older);
}

static void what_the_owner_cannot_use_is_not_taken(void **state)
{
    (void)state;
    w.refuse_state = true;
    opens(false);
}

/* A disk that lied: nothing may be written behind the hole. */
static void a_hole_in_the_segment_it_ends_in_is_not_passed_over(void **state)
{
    struct node *last = NULL;
    struct snapshot s;
    struct dp_bytes signature;
    size_t signed_n;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(dp_journal_snapshot(w.j), DP_OK);
    world_close(&w);
    assert_int_equal(snapshot_read(newest()->data, newest()->n, &s, &signed_n, &signature), DP_OK);
    last = memstore_segment(&w.mem, s.segment);
    memset(last->data + s.offset - 100, 0, 100);       /* of the last signature's frame */
    assert_int_equal(world_open(&w), DP_ERR_TAMPERED); /* the token has bound it */
}

static void without_space_there_is_none_and_payments_go_on(void **state)
{
    struct node *before = newest();
    (void)state;
    open_and_pay(20, 22);
    w.mem.space = w.config.reserve_bytes + w.segment_bytes;
    assert_int_equal(dp_journal_snapshot(w.j), DP_OK);
    assert_int_equal(pay_online(w.j, 30), DP_OK);
    world_close(&w);
    assert_ptr_equal(newest(), before);
    opens(true);
}

static void is_due_after_so_many_records(void **state)
{
    uint32_t i = 20;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    for (; w.j->tree.size - size < DP_JOURNAL_SNAPSHOT_EVERY; i++) {
        struct dp_record r;
        assert_false(dp_journal_snapshot_due(w.j));
        record_of(&r, DP_RECORD_TIME_SYNC, 1);
        assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    }
    assert_true(dp_journal_snapshot_due(w.j));
    assert_int_equal(dp_journal_snapshot(w.j), DP_OK);
    assert_false(dp_journal_snapshot_due(w.j));
}

/* ---- the anchor's rule stands ---- */

static void an_older_copy_with_its_snapshot_is_a_rollback(void **state)
{
    struct memstore older;
    (void)state;
    memstore_copy(&older, &w.mem);
    open_and_pay(20, 21);
    world_close(&w);
    memstore_free(&w.mem);
    w.mem = older;
    assert_int_equal(world_open(&w), DP_ERR_ROLLBACK);
}

/* ---- in one segment, to be taken apart: the frames behind the snapshot ---- */

static struct forge f;

static int make_in_one(void **state)
{
    (void)state;
    world_make(&w);
    w.leave_unread = true;
    w.segment_bytes = 65536;
    open_and_pay(1, 4);
    assert_int_equal(dp_journal_snapshot(w.j), DP_OK);
    size = w.j->tree.size;
    for (uint32_t i = 4; i < 6; i++)
        assert_int_equal(pay_online(w.j, i), DP_OK);
    world_close(&w);
    forge_load(&f, &w.mem);
    return 0;
}

static void stored_gives(int err)
{
    forge_store(&f, &w.mem);
    assert_int_equal(world_open(&w), err);
    if (err == DP_OK)
        assert_true(w.opened.resumed);
}

static void put_together_the_same_it_opens(void **state)
{
    (void)state;
    stored_gives(DP_OK);
}

static void what_was_cut_behind_it_is_a_rollback(void **state)
{
    (void)state;
    f.n = forge_find(&f, DP_RECORD_INTENT, 4);
    stored_gives(DP_ERR_ROLLBACK);
}

static void everything_behind_it_cut_is_a_rollback(void **state)
{
    (void)state;
    f.n = forge_find(&f, DP_RECORD_INTENT, 3);
    stored_gives(DP_ERR_ROLLBACK);
}

static void what_was_changed_behind_it_is_found(void **state)
{
    int i = forge_find(&f, DP_RECORD_INTENT, 3);
    (void)state;
    forge_edit(&f, i)->amount.minor = 1;
    forge_put(&f, i);
    stored_gives(DP_ERR_TAMPERED);
}

static void the_last_signature_is_checked(void **state)
{
    int i = f.n - 1;
    (void)state;
    while (!f.parts[i].signature)
        i--;
    f.parts[i].payload[f.parts[i].n - 1] ^= 1;
    stored_gives(DP_ERR_TAMPERED);
}

/* ---- what opening has not read ---- */

static int recheck_all(void)
{
    bool more = true;
    int err = DP_OK;
    for (unsigned i = 0; err == DP_OK && more; i++) {
        assert_true(i < 64);
        err = dp_journal_recheck(w.j, &more);
    }
    return err;
}

static void what_was_not_read_is_looked_through_while_payments_go_on(void **state)
{
    unsigned steps = 0;
    bool more = true;
    (void)state;
    assert_int_equal(world_open(&w), DP_OK);
    for (uint32_t i = 60; more; i++, steps++) {
        assert_int_equal(pay_online(w.j, i), DP_OK);
        assert_int_equal(dp_journal_recheck(w.j, &more), DP_OK);
    }
    assert_true(steps > 1);
    assert_int_equal(dp_journal_recheck(w.j, &more), DP_OK);
    assert_false(more);
    assert_int_equal(pay_online(w.j, 90), DP_OK);
    world_close(&w);
    is_fresh();
}

static int reads_nothing(void *ctx, int file, uint64_t offset, void *out, size_t n, size_t *got)
{
    (void)ctx, (void)file, (void)offset, (void)out, (void)n;
    *got = 0;
    return DP_ERR_IO;
}

/* A disk that fails for a while, at the first segment and in the middle: nothing is left out, and
 * nothing is called tampering. */
static void what_cannot_be_read_is_looked_through_later(void **state)
{
    const struct dp_store_ops *good;
    struct dp_store_ops bad;
    (void)state;
    for (unsigned before = 0; before < 2; before++) {
        bool more = false;
        assert_int_equal(world_open(&w), DP_OK);
        for (unsigned i = 0; i < before; i++)
            assert_int_equal(dp_journal_recheck(w.j, &more), DP_OK);
        good = w.j->config.store.ops;
        bad = *good;
        bad.read_at = reads_nothing;
        w.j->config.store.ops = &bad;
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(dp_journal_recheck(w.j, &more), DP_ERR_IO);
            assert_true(more);
        }
        w.j->config.store.ops = good;
        memstore_segment(&w.mem, 1)->data[300] ^= before == 0 ? 0 : 1; /* seen again */
        assert_int_equal(recheck_all(), before == 0 ? DP_OK : DP_ERR_TAMPERED);
        world_close(&w);
    }
}

static void after_reading_everything_nothing_is_left_to_look_through(void **state)
{
    bool more = true;
    (void)state;
    w.no_snapshots = true;
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(dp_journal_recheck(w.j, &more), DP_OK);
    assert_false(more);
    assert_null(w.j->recheck);
}

/* No new payment is taken, what is under way is ended, and the next start finds it at once. */
static void is_found_behind_the_opening(void)
{
    struct dp_verify_result v;
    struct dp_record r;
    assert_int_equal(world_open(&w), DP_OK);
    assert_true(w.opened.resumed);
    record_of(&r, DP_RECORD_INTENT, 80);
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    assert_int_equal(recheck_all(), DP_ERR_TAMPERED);
    assert_false(dp_journal_has_room(w.j));
    record_of(&r, DP_RECORD_INTENT, 81);
    assert_int_equal(dp_journal_append(w.j, &r), DP_ERR_TAMPERED);
    record_of(&r, DP_RECORD_OUTCOME, 80);
    r.mode = DP_MODE_DECLINED;
    assert_int_equal(dp_journal_append(w.j, &r), DP_OK);
    assert_int_equal(dp_journal_checkpoint(w.j), DP_OK);
    world_close(&w);
    assert_int_equal(world_open(&w), DP_ERR_TAMPERED);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_TAMPERED);
}

static void a_byte_changed_before_it_is_found(void **state)
{
    (void)state;
    memstore_segment(&w.mem, 1)->data[300] ^= 1;
    is_found_behind_the_opening();
}

/* The body that a signature frame carries, for the one of its checkpoint: the same length. */
static void carry(struct forge_part *signature, const struct dp_record *r)
{
    static const uint8_t key[] = {0xA1, 0x01, 0x26}; /* {1: -7} */
    uint8_t *p = memmem(signature->payload, signature->n, key, sizeof key);
    assert_non_null(p);
    p = memmem(p, 200, r->body, 8); /* the map's head, version and journal id */
    assert_non_null(p);
    assert_true(p + r->body_n < signature->payload + signature->n);
    memcpy(p, r->body, r->body_n);
}

/* With every check sum, hash, total and body made right again before the snapshot; only the
 * signatures over them are not. */
static void another_history_before_it_is_found(void **state)
{
    static struct forge g;
    static struct dp_record checkpoint;
    int i = forge_find(&f, DP_RECORD_INTENT, 1), end = forge_find(&f, DP_RECORD_INTENT, 3);
    (void)state;
    g = f;
    memcpy(forge_edit(&g, i)->parcel, "RR123456786DE", 14);
    forge_put(&g, i);
    forge_rebind(&g);
    for (int k = 0; k < end; k++) {
        if (g.parts[k].signature)
            carry(&g.parts[k], &checkpoint);
        else if (forge_edit(&g, k)->type == DP_RECORD_CHECKPOINT)
            checkpoint = g.record;
        f.parts[k] = g.parts[k];
    }
    stored_gives(DP_ERR_TAMPERED); /* it is the segment that the snapshot ends in */
}

int main(void)
{
#define T(name)      cmocka_unit_test_setup_teardown(name, make, unmake)
#define IN_ONE(name) cmocka_unit_test_setup_teardown(name, make_in_one, unmake)
    const struct CMUnitTest tests[] = {
        T(reads_only_what_stands_behind_it),
        T(what_opening_knows_is_what_reading_everything_says),
        T(a_snapshot_is_made_of_what_a_snapshot_said),
        T(a_second_intent_of_an_earlier_payment_is_found),
        T(without_it_everything_is_read),
        T(a_damaged_one_is_not_taken),
        T(one_that_another_key_signed_is_not_taken),
        T(one_that_was_signed_again_is_taken),
        T(one_of_another_journal_is_not_taken),
        T(an_older_one_only_makes_more_to_read),
        T(what_the_owner_cannot_use_is_not_taken),
        T(a_hole_in_the_segment_it_ends_in_is_not_passed_over),
        T(without_space_there_is_none_and_payments_go_on),
        T(is_due_after_so_many_records),
        T(an_older_copy_with_its_snapshot_is_a_rollback),
        IN_ONE(put_together_the_same_it_opens),
        IN_ONE(what_was_cut_behind_it_is_a_rollback),
        IN_ONE(everything_behind_it_cut_is_a_rollback),
        IN_ONE(what_was_changed_behind_it_is_found),
        IN_ONE(the_last_signature_is_checked),
        T(what_was_not_read_is_looked_through_while_payments_go_on),
        T(what_cannot_be_read_is_looked_through_later),
        T(after_reading_everything_nothing_is_left_to_look_through),
        T(a_byte_changed_before_it_is_found),
        IN_ONE(another_history_before_it_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
