/* SPDX-License-Identifier: Apache-2.0 */
/* Every rule of docs/PROTOCOL.journal, 8, is seen to fire, and names the place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "forge.h"
#include "journal/body.h"
#include "journal/crc32c.h"
#include "journal/segment.h"
#include "world.h"

static struct world w;
static struct forge f;

static int make(void **state)
{
    (void)state;
    world_make(&w);
    w.segment_bytes = 65536;
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(pay_online(w.j, 1), DP_OK);
    assert_int_equal(pay_offline(w.j, 2), DP_OK);
    assert_int_equal(pay_no_answer(w.j, 3), DP_OK);
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

static struct dp_verify_result v;

/* With the token and without, the same rule. */
static void fires(const char *rule, uint64_t seq)
{
    for (int anchor = 1; anchor >= 0; anchor--) {
        verify_mem(&w, anchor == 1, &v);
        assert_int_equal(v.verdict, DP_VERDICT_TAMPERED);
        assert_non_null(v.rule);
        assert_string_equal(v.rule, rule);
        assert_true(v.has_seq);
        assert_int_equal(v.seq, seq);
        assert_true(v.segment >= 1);
        assert_true(strlen(v.words) > 10);
    }
}

static void stored_fires(const char *rule, uint64_t seq)
{
    forge_store(&f, &w.mem);
    fires(rule, seq);
}

static uint8_t *segment_bytes(void)
{
    return memstore_segment(&w.mem, 1)->data;
}

/* Where frame i stands in the first segment, after forge_store. */
static uint32_t offset_of(int i)
{
    uint32_t at = SEGMENT_HEADER_BYTES;
    for (int k = 0; k < i; k++)
        at += (uint32_t)frame_bytes(f.parts[k].n);
    return at;
}

static void what_was_taken_apart_and_put_together_is_the_same(void **state)
{
    (void)state;
    forge_store(&f, &w.mem);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
    forge_rebind(&f);
    forge_store(&f, &w.mem);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
    assert_int_equal(v.records, 16);
}

/* ---- segments ---- */

static void seal_header(void)
{
    uint8_t *p = segment_bytes();
    uint32_t crc = crc32c(0, p, 96);
    for (int i = 0; i < 4; i++)
        p[96 + i] = (uint8_t)(crc >> (24 - 8 * i));
}

static void segment_header(void **state)
{
    (void)state;
    segment_bytes()[30] ^= 1;
    fires("segment-header", 0);
    segment_bytes()[30] ^= 1;
    segment_bytes()[11] = 1; /* an incompatible feature */
    seal_header();
    fires("segment-header", 0);
    segment_bytes()[11] = 0;
    segment_bytes()[15] = 1; /* a compatible one */
    seal_header();
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
    memstore_segment(&w.mem, 1)->n -= 8; /* the file was cut */
    fires("segment-header", 0);
    memstore_segment(&w.mem, 1)->n = 20;
    fires("segment-header", 0);
}

static void many_segments(void)
{
    w.segment_bytes = 8192;
    assert_int_equal(world_open(&w), DP_OK);
    for (uint32_t i = 10; i < 40; i++)
        assert_int_equal(pay_online(w.j, i), DP_OK);
    world_close(&w);
    assert_non_null(memstore_segment(&w.mem, 4));
}

static void rename_segment(uint32_t from, uint32_t to)
{
    snprintf(memstore_segment(&w.mem, from)->name, 48, "seg-%08u.dpj", to);
}

static void segment_order(void **state)
{
    uint64_t seq;
    (void)state;
    many_segments();
    rename_segment(3, 99);
    verify_mem(&w, true, &v);
    assert_string_equal(v.rule, "segment-order"); /* one is missing */
    assert_int_equal(v.segment, 3);
    seq = v.seq;
    rename_segment(2, 3);
    rename_segment(99, 2); /* two in each other's place */
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_TAMPERED);
    assert_string_equal(v.rule, "segment-order");
    assert_int_equal(v.segment, 2);
    assert_true(v.seq < seq);
}

static void the_first_segment_or_all_are_missing(void **state)
{
    (void)state;
    many_segments();
    memstore_segment(&w.mem, 1)->here = false;
    fires("segment-order", 0);
    for (int i = 0; i < w.mem.nodes_n; i++)
        if (strncmp(w.mem.nodes[i].name, "seg-", 4) == 0)
            w.mem.nodes[i].here = false;
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_TAMPERED);
    assert_string_equal(v.rule, "segment-order");
}

/* A segment of another journal, of another time. */
static void a_segment_of_another_journal_does_not_fit(void **state)
{
    struct world other;
    (void)state;
    many_segments();
    world_make(&other);
    other.segment_bytes = 8192;
    assert_int_equal(world_open(&other), DP_OK);
    for (uint32_t i = 10; i < 40; i++)
        assert_int_equal(pay_online(other.j, i), DP_OK);
    world_close(&other);
    memcpy(memstore_segment(&w.mem, 3)->data, memstore_segment(&other.mem, 3)->data, 8192);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_TAMPERED);
    assert_string_equal(v.rule, "journal-id");
    assert_int_equal(v.segment, 3);
    world_remove(&other);
}

/* ---- frames ---- */

static void frame_crc(void **state)
{
    int i = forge_find(&f, DP_RECORD_OUTCOME, 0);
    (void)state;
    segment_bytes()[offset_of(i) + 60] ^= 0x10;
    fires("frame-crc", 5);
    assert_int_equal(v.offset, offset_of(i));
}

static void frame_padding(void **state)
{
    int i = 0;
    (void)state;
    while (f.parts[i].signature || (12 + f.parts[i].n) % 8 == 0)
        i++;
    segment_bytes()[offset_of(i + 1) - 1] = 1;
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_TAMPERED);
    assert_string_equal(v.rule, "frame-padding");
}

static void frame_batch(void **state)
{
    uint32_t at = offset_of(forge_find(&f, DP_RECORD_INTENT, 1));
    const struct forge_part *p = &f.parts[forge_find(&f, DP_RECORD_INTENT, 1)];
    uint8_t frame[4200], salt[16];
    struct dp_writer dw;
    (void)state;
    memcpy(salt, segment_bytes() + 24, sizeof salt);
    dp_writer_init(&dw, frame, sizeof frame);
    frame_write(&dw, salt, 7, 136, (struct dp_bytes){p->payload, p->n});
    memcpy(segment_bytes() + at, frame, dw.n);
    fires("frame-batch", 7);
}

/* ---- records ---- */

static void record_format(void **state)
{
    int i = forge_find(&f, DP_RECORD_OUTCOME, 0);
    (void)state;
    f.parts[i].n = 1;
    f.parts[i].payload[0] = 0xA0;
    stored_fires("record-format", 5);
}

static void record_key(void **state)
{
    struct forge_part *p = &f.parts[forge_find(&f, DP_RECORD_INTENT, 0)];
    (void)state;
    assert_in_range(p->payload[0], 0xA1, 0xB6);
    p->payload[0]++;
    memcpy(p->payload + p->n, "\x18\x64\x01", 3); /* 100 */
    p->n += 3;
    stored_fires("record-key", 2);
    p->payload[p->n - 2] = 0xC8; /* 200 may come from a later version: the chain then says no */
    stored_fires("prev-hash", 3);
}

static void seq_gap(void **state)
{
    (void)state;
    forge_remove(&f, forge_find(&f, DP_RECORD_OUTCOME, 1));
    stored_fires("seq-gap", 8);
}

static void two_records_changed_places(void **state)
{
    (void)state;
    forge_swap(&f, forge_find(&f, DP_RECORD_INTENT, 0), forge_find(&f, DP_RECORD_INTENT, 1));
    stored_fires("seq-gap", 2);
}

static void prev_hash(void **state)
{
    int i = forge_find(&f, DP_RECORD_OUTCOME, 0);
    (void)state;
    forge_edit(&f, i)->batch = 7;
    forge_put(&f, i);
    stored_fires("prev-hash", 6);
}

static void journal_id(void **state)
{
    int i = forge_find(&f, DP_RECORD_INTENT, 2);
    (void)state;
    forge_edit(&f, i)->journal[3] ^= 1;
    forge_put(&f, i);
    stored_fires("journal-id", 10);
}

/* ---- checkpoints ---- */

static struct checkpoint body;

static void edit_body(int i)
{
    const struct dp_record *r = forge_edit(&f, i);
    assert_int_equal(checkpoint_read(r->body, r->body_n, &body), DP_OK);
}

static void put_body(int i)
{
    size_t n;
    struct dp_record *r = &f.record;
    assert_int_equal(checkpoint_write(&body, r->body, sizeof r->body, &n), DP_OK);
    r->body_n = (uint16_t)n;
    forge_put(&f, i);
}

static void last_leaf_and_tree_root(void **state)
{
    int i = forge_find(&f, DP_RECORD_OUTCOME, 0), c = forge_find(&f, DP_RECORD_CHECKPOINT, 2);
    (void)state;
    forge_edit(&f, i)->batch = 7;
    forge_put(&f, i);
    forge_rechain(&f);
    stored_fires("last-leaf", 6);
    edit_body(c);
    memcpy(body.last_leaf, f.record.prev, sizeof body.last_leaf);
    put_body(c);
    stored_fires("tree-root", 6);
}

static void checkpoint_size(void **state)
{
    int c = forge_find(&f, DP_RECORD_CHECKPOINT, 1);
    (void)state;
    edit_body(c);
    body.size--;
    put_body(c);
    stored_fires("checkpoint-size", 4);
}

static void anchor_chain(void **state)
{
    int c = forge_find(&f, DP_RECORD_CHECKPOINT, 1);
    (void)state;
    edit_body(c);
    body.before[0] ^= 1;
    put_body(c);
    stored_fires("anchor-chain", 4);
}

static void totals_of_a_checkpoint(void **state)
{
    int c = forge_find(&f, DP_RECORD_CHECKPOINT, 3);
    (void)state;
    edit_body(c);
    body.totals.offline_amount -= 50;
    put_body(c);
    stored_fires("totals", 9);
}

static void totals_of_a_record(void **state)
{
    int i = forge_find(&f, DP_RECORD_OUTCOME, 1);
    (void)state;
    forge_edit(&f, i)->totals.offline_amount -= 50;
    forge_put(&f, i);
    stored_fires("totals", 8);
    forge_edit(&f, i)->has_totals = false;
    forge_put(&f, i);
    stored_fires("totals", 8);
}

/* ---- signatures and keys ---- */

static void signature_missing(void **state)
{
    (void)state;
    forge_remove(&f, forge_signature(&f, 1));
    stored_fires("signature-missing", 3); /* REQUESTED, with which the batch begins */
    assert_int_equal(v.offset, offset_of(forge_find(&f, DP_RECORD_REQUESTED, 0)));
}

/* A crash leaves it so, unless the token has bound it. */
static void a_last_batch_without_its_signature_is_torn(void **state)
{
    (void)state;
    f.n--;
    forge_store(&f, &w.mem);
    verify_mem(&w, false, &v);
    assert_int_equal(v.verdict, DP_VERDICT_UNKNOWN);
    assert_string_equal(v.rule, "torn-tail");
    assert_int_equal(v.offset, offset_of(forge_find(&f, DP_RECORD_REVERSAL, 0)));
    assert_int_equal(v.records, 13);
    assert_int_equal(v.signed_size, 13);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_TAMPERED);
    assert_string_equal(v.rule, "frame-crc");
}

/* Whoever writes the files can put a record there, and a right body behind it. */
static void what_no_signature_covers_is_not_read(void **state)
{
    static struct forge_part settled;
    struct dp_record *r = forge_edit(&f, 0);
    (void)state;
    memset(&settled, 0, sizeof settled);
    settled.starts_batch = true;
    r->type = DP_RECORD_SETTLED;
    r->body_n = 0;
    memcpy(r->settled.verdict, "500", 4);
    assert_int_equal(dp_record_encode(r, settled.payload, sizeof settled.payload, &settled.n),
                     DP_OK);
    for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
        if (checkpoint == 0)
            forge_insert(&f, f.n, &settled);
        else
            f.parts[f.n++] = f.parts[forge_find(&f, DP_RECORD_CHECKPOINT, 1)];
        forge_rebind(&f);
        forge_store(&f, &w.mem);
        verify_mem(&w, true, &v);
        assert_int_equal(v.verdict, DP_VERDICT_UNKNOWN);
        assert_string_equal(v.rule, "torn-tail");
        assert_int_equal(v.records, 16);
        assert_int_equal(v.checkpoints, 6);
    }
}

static void signature_invalid(void **state)
{
    int s = forge_signature(&f, 1);
    (void)state;
    f.parts[s].payload[f.parts[s].n - 9] ^= 1;
    stored_fires("signature-invalid", 4);
}

static void a_signature_is_for_one_checkpoint_once(void **state)
{
    static struct forge_part again;
    int s = forge_signature(&f, 1);
    (void)state;
    again = f.parts[s];
    forge_insert(&f, s + 1, &again);
    stored_fires("signature-missing", 3); /* the batch is not of the form of a signed one */
    forge_remove(&f, s + 1);
    forge_insert(&f, forge_find(&f, DP_RECORD_INTENT, 1) + 1, &again);
    stored_fires("signature-invalid", 4);
}

static void signature_key(void **state)
{
    int s = forge_signature(&f, 1), c = forge_find(&f, DP_RECORD_CHECKPOINT, 1);
    uint8_t *p = f.parts[s].payload;
    size_t at = 0;
    (void)state;
    edit_body(c);
    while (memcmp(p + at, body.kid, sizeof body.kid) != 0)
        at++;
    p[at] ^= 1;
    stored_fires("signature-key", 4);
    p[at] ^= 1;
    body.kid[0] ^= 1;
    put_body(c);
    stored_fires("signature-key", 4);
}

static void epoch_certificate(void **state)
{
    struct dp_record *r = forge_edit(&f, 0);
    (void)state;
    r->body[r->body_n - 5] ^= 1; /* in the certificate's signature */
    forge_put(&f, 0);
    stored_fires("epoch-certificate", 0);
    r = forge_edit(&f, 0);
    r->body[r->body_n - 5] ^= 1;
    r->body[30] ^= 1; /* in the epoch key */
    forge_put(&f, 0);
    stored_fires("epoch-certificate", 0);
}

static void identity_mismatch(void **state)
{
    struct dp_verify_options o;
    (void)state;
    memset(&o, 0, sizeof o);
    o.has_identity = true;
    assert_int_equal(dp_hsm_public(w.hsm, DP_KEY_JOURNAL_IDENTITY, o.identity), DP_OK);
    assert_int_equal(dp_journal_verify(&w.config.store, &o, NULL, NULL, &v), DP_OK);
    assert_int_equal(v.verdict, DP_VERDICT_UNKNOWN);
    assert_memory_equal(v.identity, o.identity, sizeof o.identity);
    o.identity[20] ^= 1;
    assert_int_equal(dp_journal_verify(&w.config.store, &o, NULL, NULL, &v), DP_OK);
    assert_int_equal(v.verdict, DP_VERDICT_TAMPERED);
    assert_string_equal(v.rule, "identity-mismatch");
    assert_int_equal(v.seq, 0);
}

/* ---- the state machine ---- */

static void without(enum dp_record_type type, int nth, uint64_t seq)
{
    static struct forge whole;
    int i = forge_find(&f, type, nth);
    bool alone = type == DP_RECORD_REQUESTED || type == DP_RECORD_OPEN;
    whole = f;
    for (int n = alone ? 3 : 1; n > 0; n--) /* with the checkpoint that is for it, signed */
        forge_remove(&f, i);
    forge_rechain(&f);
    stored_fires("state-machine", seq);
    f = whole;
}

static void twice(enum dp_record_type type, int nth, uint64_t seq)
{
    static struct forge whole;
    static struct forge_part again;
    int i = forge_find(&f, type, nth);
    whole = f;
    again = f.parts[i];
    again.starts_batch = type == DP_RECORD_INTENT; /* into the signed batch behind it */
    forge_insert(&f, i + 1, &again);
    if (type == DP_RECORD_INTENT)
        f.parts[i + 2].starts_batch = false;
    forge_rechain(&f);
    stored_fires("state-machine", seq);
    f = whole;
}

static void state_machine(void **state)
{
    (void)state;
    without(DP_RECORD_INTENT, 0, 2);    /* REQUESTED without INTENT */
    without(DP_RECORD_REQUESTED, 0, 3); /* OUTCOME online without REQUESTED */
    without(DP_RECORD_REVERSAL, 0, 13); /* OUTCOME declined, REQUESTED open */
    without(DP_RECORD_REQUESTED, 1, 11);
    twice(DP_RECORD_INTENT, 0, 3);
    twice(DP_RECORD_REQUESTED, 0, 4);
    twice(DP_RECORD_OUTCOME, 0, 6);
    twice(DP_RECORD_REVERSAL, 0, 14);
    twice(DP_RECORD_OPEN, 0, 1);
    without(DP_RECORD_OPEN, 0, 0);
}

static void one_amount_from_intent_to_outcome(void **state)
{
    int i = forge_find(&f, DP_RECORD_OUTCOME, 0);
    (void)state;
    forge_edit(&f, i)->amount.minor++;
    forge_put(&f, i);
    forge_rebind(&f);
    stored_fires("state-machine", 5);
}

/* ---- the end ---- */

static void torn_tail(void **state)
{
    (void)state;
    memset(segment_bytes() + offset_of(f.n - 1) + 40, 0, 300); /* the last frame, a signature's */
    verify_mem(&w, false, &v);
    assert_int_equal(v.verdict, DP_VERDICT_UNKNOWN);
    assert_string_equal(v.rule, "torn-tail");
    assert_int_equal(v.offset, offset_of(forge_find(&f, DP_RECORD_REVERSAL, 0)));
    assert_int_equal(v.records, 13);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_TAMPERED); /* the token has bound it */
    assert_string_equal(v.rule, "frame-crc");
}

static void a_cut_tail_is_a_rollback(void **state)
{
    struct dp_verify_options o;
    struct dp_verify_result head;
    (void)state;
    verify_mem(&w, false, &head);
    for (int records = 0; records < 6; f.n--)
        records += !f.parts[f.n - 1].signature;
    forge_store(&f, &w.mem);
    verify_mem(&w, true, &v);
    assert_int_equal(v.verdict, DP_VERDICT_ROLLBACK);
    assert_string_equal(v.rule, "rollback");
    assert_int_equal(v.records, 10);
    verify_mem(&w, false, &v);
    assert_int_equal(v.verdict, DP_VERDICT_UNKNOWN);
    memset(&o, 0, sizeof o);
    o.has_head = true;
    o.head_size = head.records;
    memcpy(o.head_root, head.root, sizeof o.head_root);
    memcpy(o.head_anchor, head.anchor, sizeof o.head_anchor);
    memcpy(o.head_journal, head.journal, sizeof o.head_journal);
    assert_int_equal(dp_journal_verify(&w.config.store, &o, NULL, NULL, &v), DP_OK);
    assert_int_equal(v.verdict, DP_VERDICT_ROLLBACK);
    assert_string_equal(v.rule, "rollback");
    assert_non_null(strstr(v.words, "10"));
    assert_non_null(strstr(v.words, "16"));
}

static void head_mismatch(void **state)
{
    struct dp_verify_options o, good;
    (void)state;
    verify_mem(&w, false, &v);
    memset(&good, 0, sizeof good);
    good.has_head = true;
    good.head_size = v.records;
    memcpy(good.head_root, v.root, sizeof good.head_root);
    memcpy(good.head_anchor, v.anchor, sizeof good.head_anchor);
    memcpy(good.head_journal, v.journal, sizeof good.head_journal);
    for (int i = 0; i < 4; i++) {
        o = good;
        if (i == 1)
            o.head_root[31] ^= 1;
        else if (i == 2)
            o.head_anchor[0] ^= 1;
        else if (i == 3)
            o.head_journal[0] ^= 1;
        assert_int_equal(dp_journal_verify(&w.config.store, &o, NULL, NULL, &v), DP_OK);
        assert_int_equal(v.verdict, i == 0 ? DP_VERDICT_FRESH : DP_VERDICT_TAMPERED);
        if (i > 0)
            assert_string_equal(v.rule, "head-mismatch");
    }
    /* the journal went on since: it still agrees, and what was bound since is bound */
    assert_int_equal(world_open(&w), DP_OK);
    assert_int_equal(pay_online(w.j, 50), DP_OK);
    world_close(&w);
    assert_int_equal(dp_journal_verify(&w.config.store, &good, NULL, NULL, &v), DP_OK);
    assert_int_equal(v.verdict, DP_VERDICT_FRESH);
    assert_int_equal(v.records, 21);
}

static void there_is_one_journal_or_a_name_is_wanted(void **state)
{
    struct memstore none;
    struct dp_store store = memstore_store(&none);
    (void)state;
    memstore_init(&none);
    assert_int_equal(dp_journal_verify(&store, NULL, NULL, NULL, &v), DP_ERR_NOT_FOUND);
    assert_int_equal(store.ops->make_dir(&none, "0123456789abcdef0123456789abcdef"), DP_OK);
    assert_int_equal(store.ops->make_dir(&none, "0123456789abcdef0123456789abcdee"), DP_OK);
    assert_int_equal(dp_journal_verify(&store, NULL, NULL, NULL, &v), DP_ERR_DUPLICATE);
    memstore_free(&none);
}

/* Whatever byte of the file is another, in whatever way: never fresh, and a record is named. */
static void every_byte_counts(void **state)
{
    const char *kind = getenv("DP_TEST_KIND");
    unsigned step = kind != NULL && kind[0] != '\0' ? 41 : 1;
    struct node *s = memstore_segment(&w.mem, 1);
    size_t used = offset_of(f.n) + 64;
    unsigned tampered = 0, unknown = 0;
    (void)state;
    for (size_t i = 0; i < used; i += step) {
        uint8_t kept = s->data[i];
        s->data[i] ^= (uint8_t)(1u << i % 8);
        verify_mem(&w, true, &v);
        s->data[i] = kept;
        if (v.verdict == DP_VERDICT_FRESH || !v.has_seq)
            fail_msg("byte %zu: verdict %d", i, (int)v.verdict);
        tampered += v.verdict == DP_VERDICT_TAMPERED;
        unknown += v.verdict == DP_VERDICT_UNKNOWN;
    }
    print_message("# %u tampered, %u torn tails\n", tampered, unknown);
    assert_true(tampered * step > offset_of(f.n - 1) - 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, make, unmake)
        T(what_was_taken_apart_and_put_together_is_the_same),
        T(segment_header),
        T(segment_order),
        T(the_first_segment_or_all_are_missing),
        T(a_segment_of_another_journal_does_not_fit),
        T(frame_crc),
        T(frame_padding),
        T(frame_batch),
        T(record_format),
        T(record_key),
        T(seq_gap),
        T(two_records_changed_places),
        T(prev_hash),
        T(journal_id),
        T(last_leaf_and_tree_root),
        T(checkpoint_size),
        T(anchor_chain),
        T(totals_of_a_checkpoint),
        T(totals_of_a_record),
        T(signature_missing),
        T(a_last_batch_without_its_signature_is_torn),
        T(what_no_signature_covers_is_not_read),
        T(signature_invalid),
        T(a_signature_is_for_one_checkpoint_once),
        T(signature_key),
        T(epoch_certificate),
        T(identity_mismatch),
        T(state_machine),
        T(one_amount_from_intent_to_outcome),
        T(torn_tail),
        T(a_cut_tail_is_a_rollback),
        T(head_mismatch),
        T(there_is_one_journal_or_a_name_is_wanted),
        T(every_byte_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
