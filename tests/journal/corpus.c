/* SPDX-License-Identifier: Apache-2.0 */
#include "corpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "history.h"
#include "journal/archive.h"
#include "journal/body.h"
#include "journal/crc32c.h"
#include "journal/segment.h"

#define SEGMENT 32768

/* ---- the journal that is changed ---- */

static void pay_three(struct world *w)
{
    w->segment_bytes = SEGMENT;
    DP_ASSERT(world_open(w) == DP_OK);
    DP_ASSERT(pay_online(w->j, 1) == DP_OK);
    DP_ASSERT(pay_offline(w->j, 2) == DP_OK);
    DP_ASSERT(pay_no_answer(w->j, 3) == DP_OK);
    world_close(w);
}

void corpus_make(struct corpus *c)
{
    memset(c, 0, sizeof *c);
    world_make(&c->w);
    pay_three(&c->w);
    memstore_copy(&c->base, &c->w.mem);
    world_token_keep(&c->w);
}

void corpus_begin(struct corpus *c)
{
    memstore_free(&c->w.mem);
    memstore_copy(&c->w.mem, &c->base);
    c->w.segment_bytes = SEGMENT;
    c->has_head = c->has_identity = false;
    memset(&c->known, 0, sizeof c->known);
    forge_load(&c->f, &c->w.mem);
}

/* Whatever the case did to the token is undone. */
void corpus_end(struct corpus *c)
{
    dp_journal_free(&c->w.j);
    world_token_restore(&c->w);
}

void corpus_remove(struct corpus *c)
{
    memstore_free(&c->base);
    world_remove(&c->w);
}

/* ---- small steps of the cases ---- */

static void store(struct corpus *c)
{
    forge_store(&c->f, &c->w.mem);
}

static int at(struct corpus *c, enum dp_record_type type, int nth)
{
    return forge_find(&c->f, type, nth);
}

static uint8_t *bytes(struct corpus *c)
{
    return memstore_segment(&c->w.mem, 1)->data;
}

static uint32_t offset_of(const struct corpus *c, int i)
{
    uint32_t offset = SEGMENT_HEADER_BYTES;
    for (int k = 0; k < i; k++)
        offset += (uint32_t)frame_bytes(c->f.parts[k].n);
    return offset;
}

static void seal_header(uint8_t *p)
{
    uint32_t crc = crc32c(0, p, 96);
    for (int i = 0; i < 4; i++)
        p[96 + i] = (uint8_t)(crc >> (24 - 8 * i));
}

static struct checkpoint body;

static void edit_body(struct corpus *c, int i)
{
    const struct dp_record *r = forge_edit(&c->f, i);
    DP_ASSERT(checkpoint_read(r->body, r->body_n, &body) == DP_OK);
}

static void put_body(struct corpus *c, int i)
{
    struct dp_record *r = &c->f.record;
    size_t n;
    DP_ASSERT(checkpoint_write(&body, r->body, sizeof r->body, &n) == DP_OK);
    r->body_n = (uint16_t)n;
    forge_put(&c->f, i);
    store(c);
}

static void more(struct corpus *c, uint32_t from, uint32_t to, uint32_t segment_bytes)
{
    c->w.segment_bytes = segment_bytes;
    DP_ASSERT(world_open(&c->w) == DP_OK);
    for (uint32_t i = from; i < to; i++)
        DP_ASSERT(pay_online(c->w.j, i) == DP_OK);
    world_close(&c->w);
}

/* ---- segments ---- */

static void nothing(struct corpus *c)
{
    (void)c;
}

static void compatible_flag(struct corpus *c)
{
    bytes(c)[15] = 1;
    seal_header(bytes(c));
}

static void header_flipped(struct corpus *c)
{
    bytes(c)[30] ^= 1;
}

static void incompatible_flag(struct corpus *c)
{
    bytes(c)[11] = 1;
    seal_header(bytes(c));
}

static void file_cut(struct corpus *c)
{
    memstore_segment(&c->w.mem, 1)->n -= 8;
}

static void file_of_no_bytes(struct corpus *c)
{
    memstore_segment(&c->w.mem, 1)->n = 0;
}

static void many_segments(struct corpus *c)
{
    more(c, 10, 40, 8192);
    DP_ASSERT(memstore_segment(&c->w.mem, 4) != NULL);
}

static void damage_that_nothing_names(struct corpus *c)
{
    many_segments(c);
    memstore_segment(&c->w.mem, 2)->data[8190] = 0x55;
}

static void name_segment(struct corpus *c, uint32_t from, uint32_t to)
{
    (void)snprintf(memstore_segment(&c->w.mem, from)->name, 48, "seg-%08u.dpj", to);
}

static void segment_missing(struct corpus *c)
{
    many_segments(c);
    memstore_segment(&c->w.mem, 3)->here = false;
}

static void first_segment_missing(struct corpus *c)
{
    many_segments(c);
    memstore_segment(&c->w.mem, 1)->here = false;
}

static void last_segment_missing(struct corpus *c)
{
    uint32_t n = 1;
    many_segments(c);
    while (memstore_segment(&c->w.mem, n + 1) != NULL)
        n++;
    memstore_segment(&c->w.mem, n)->here = false;
}

static void every_segment_missing(struct corpus *c)
{
    memstore_segment(&c->w.mem, 1)->here = false;
}

static void segments_changed_places(struct corpus *c)
{
    many_segments(c);
    name_segment(c, 3, 99);
    name_segment(c, 2, 3);
    name_segment(c, 99, 2);
}

/* A later segment in an earlier one's place, with a header that says so. */
static void segment_renumbered(struct corpus *c)
{
    many_segments(c);
    memcpy(memstore_segment(&c->w.mem, 2)->data, memstore_segment(&c->w.mem, 3)->data, 8192);
    memstore_segment(&c->w.mem, 2)->data[19] = 2;
    seal_header(memstore_segment(&c->w.mem, 2)->data);
}

static void segment_leaf_edited(struct corpus *c)
{
    many_segments(c);
    memstore_segment(&c->w.mem, 3)->data[70] ^= 1;
    seal_header(memstore_segment(&c->w.mem, 3)->data);
}

static void other_journal(struct corpus *c, void (*use)(struct corpus *c, struct world *other))
{
    static struct world other;
    world_make(&other);
    pay_three(&other);
    other.segment_bytes = 8192;
    DP_ASSERT(world_open(&other) == DP_OK);
    for (uint32_t i = 10; i < 40; i++)
        DP_ASSERT(pay_online(other.j, i) == DP_OK);
    world_close(&other);
    use(c, &other);
    world_remove(&other);
}

static void take_segment(struct corpus *c, struct world *other)
{
    memcpy(memstore_segment(&c->w.mem, 3)->data, memstore_segment(&other->mem, 3)->data, 8192);
}

static void segment_of_another_journal(struct corpus *c)
{
    many_segments(c);
    other_journal(c, take_segment);
}

/* ---- frames ---- */

static void frame_edited(struct corpus *c)
{
    bytes(c)[offset_of(c, at(c, DP_RECORD_OUTCOME, 0)) + 60] ^= 0x10;
}

static void frame_length_edited(struct corpus *c)
{
    bytes(c)[offset_of(c, at(c, DP_RECORD_INTENT, 1)) + 2] ^= 0x40;
}

static void frame_zeroed(struct corpus *c)
{
    int i = at(c, DP_RECORD_INTENT, 1);
    memset(bytes(c) + offset_of(c, i), 0, frame_bytes(c->f.parts[i].n));
}

static void padding_edited(struct corpus *c)
{
    int i = 0;
    while (c->f.parts[i].signature || (12 + c->f.parts[i].n) % 8 == 0)
        i++;
    bytes(c)[offset_of(c, i + 1) - 1] = 1;
}

static void last_padding_edited(struct corpus *c)
{
    while ((12 + c->f.parts[c->f.n - 1].n) % 8 == 0)
        c->f.n--;
    store(c);
    bytes(c)[offset_of(c, c->f.n) - 1] = 1;
}

static void write_frame(struct corpus *c, int i, uint64_t seq, uint32_t batch)
{
    const struct forge_part *p = &c->f.parts[i];
    uint8_t frame[4200], salt[16];
    struct dp_writer w;
    memcpy(salt, bytes(c) + 24, sizeof salt);
    dp_writer_init(&w, frame, sizeof frame);
    frame_write(&w, salt, seq, batch, (struct dp_bytes){p->payload, p->n});
    DP_ASSERT(w.err == DP_OK);
    memcpy(bytes(c) + offset_of(c, i), frame, w.n);
}

static void write_batch(struct corpus *c, int i, uint32_t batch)
{
    write_frame(c, i, forge_edit(&c->f, i)->seq, batch);
}

static void batch_in_an_earlier_one(struct corpus *c)
{
    write_batch(c, at(c, DP_RECORD_INTENT, 1), offset_of(c, 1));
}

static void batch_that_is_no_frame(struct corpus *c)
{
    write_batch(c, at(c, DP_RECORD_INTENT, 1), 136);
}

static void batch_in_the_future(struct corpus *c)
{
    write_batch(c, at(c, DP_RECORD_INTENT, 1), 9000);
}

/* ---- records ---- */

static void record_of_nothing(struct corpus *c)
{
    int i = at(c, DP_RECORD_OUTCOME, 0);
    c->f.parts[i].n = 1;
    c->f.parts[i].payload[0] = 0xA0;
    store(c);
}

static void record_not_cbor(struct corpus *c)
{
    int i = at(c, DP_RECORD_INTENT, 0);
    c->f.parts[i].payload[c->f.parts[i].n - 1] = 0xFF;
    store(c);
}

static void with_key(struct corpus *c, const char *encoded, size_t n)
{
    struct forge_part *p = &c->f.parts[at(c, DP_RECORD_INTENT, 0)];
    DP_ASSERT(p->payload[0] > 0xA1 && p->payload[0] < 0xB7);
    p->payload[0]++;
    memcpy(p->payload + p->n, encoded, n);
    p->n += n;
    store(c);
}

static void unknown_key(struct corpus *c)
{
    with_key(c, "\x18\x64\x01", 3);
}

static void later_versions_key(struct corpus *c)
{
    with_key(c, "\x18\xC8\x01", 3);
}

static void zero_written_out(struct corpus *c)
{
    with_key(c, "\x18\x3D\x00", 3);
}

static void keys_out_of_order(struct corpus *c)
{
    with_key(c, "\x18\x1E\x61\x41", 4);
}

static void record_deleted(struct corpus *c)
{
    forge_remove(&c->f, at(c, DP_RECORD_OUTCOME, 1));
    store(c);
}

static void records_swapped(struct corpus *c)
{
    forge_swap(&c->f, at(c, DP_RECORD_INTENT, 0), at(c, DP_RECORD_INTENT, 1));
    store(c);
}

static void record_inserted(struct corpus *c)
{
    static struct forge_part again;
    int i = at(c, DP_RECORD_OUTCOME, 1);
    again = c->f.parts[i];
    forge_insert(&c->f, i, &again);
    c->f.parts[i + 1].starts_batch = false;
    store(c);
}

static void take_record(struct corpus *c, struct world *other)
{
    int i = at(c, DP_RECORD_OUTCOME, 0);
    forge_load(&c->kept, &other->mem);
    c->f.parts[i] = c->kept.parts[i];
    store(c);
}

static void record_of_another_journal(struct corpus *c)
{
    other_journal(c, take_record);
}

static void record_edited(struct corpus *c)
{
    int i = at(c, DP_RECORD_OUTCOME, 0);
    forge_edit(&c->f, i)->batch = 7;
    forge_put(&c->f, i);
    store(c);
}

static void record_says_another_journal(struct corpus *c)
{
    int i = at(c, DP_RECORD_INTENT, 1);
    forge_edit(&c->f, i)->journal[3] ^= 1;
    forge_put(&c->f, i);
    store(c);
}

/* ---- checkpoints ---- */

static void chain_made_right(struct corpus *c)
{
    record_edited(c);
    forge_rechain(&c->f);
    store(c);
}

static void leaf_made_right_too(struct corpus *c)
{
    int i = at(c, DP_RECORD_CHECKPOINT, 2);
    chain_made_right(c);
    edit_body(c, i);
    memcpy(body.last_leaf, c->f.record.prev, sizeof body.last_leaf);
    put_body(c, i);
}

static void everything_but_the_signature(struct corpus *c)
{
    record_edited(c);
    forge_rebind(&c->f);
    store(c);
}

static void everything_and_no_signature(struct corpus *c)
{
    record_edited(c);
    forge_rebind(&c->f);
    forge_strip(&c->f);
    store(c);
}

static void clock_edited(struct corpus *c)
{
    int i = at(c, DP_RECORD_OUTCOME, 0);
    forge_edit(&c->f, i)->wall_ms -= 86400000;
    forge_put(&c->f, i);
    forge_rechain(&c->f);
    store(c);
}

static void size_edited(struct corpus *c)
{
    int i = at(c, DP_RECORD_CHECKPOINT, 1);
    edit_body(c, i);
    body.size--;
    put_body(c, i);
}

static void anchor_edited(struct corpus *c)
{
    int i = at(c, DP_RECORD_CHECKPOINT, 1);
    edit_body(c, i);
    body.before[0] ^= 1;
    put_body(c, i);
}

static void checkpoint_of_another_journal(struct corpus *c)
{
    int i = at(c, DP_RECORD_CHECKPOINT, 1);
    edit_body(c, i);
    body.journal[0] ^= 1;
    put_body(c, i);
}

static void totals_of_a_checkpoint(struct corpus *c)
{
    int i = at(c, DP_RECORD_CHECKPOINT, 3);
    edit_body(c, i);
    body.totals.offline_amount -= 50;
    put_body(c, i);
}

static void totals_of_a_record(struct corpus *c)
{
    int i = at(c, DP_RECORD_OUTCOME, 1);
    forge_edit(&c->f, i)->totals.offline_amount -= 50;
    forge_put(&c->f, i);
    store(c);
}

static void totals_left_out(struct corpus *c)
{
    int i = at(c, DP_RECORD_OUTCOME, 1);
    forge_edit(&c->f, i)->has_totals = false;
    forge_put(&c->f, i);
    store(c);
}

/* ---- signatures and keys ---- */

static void signature_stripped(struct corpus *c)
{
    forge_remove(&c->f, forge_signature(&c->f, 1));
    store(c);
}

static void last_signature_stripped(struct corpus *c)
{
    c->f.n--;
    store(c);
}

static void signature_edited(struct corpus *c)
{
    int s = forge_signature(&c->f, 1);
    c->f.parts[s].payload[c->f.parts[s].n - 9] ^= 1;
    store(c);
}

static void signature_twice(struct corpus *c)
{
    static struct forge_part again;
    int s = forge_signature(&c->f, 1);
    again = c->f.parts[s];
    forge_insert(&c->f, s + 1, &again);
    store(c);
}

static void take_signature(struct corpus *c, struct world *other)
{
    int s = forge_signature(&c->f, 1);
    forge_load(&c->kept, &other->mem);
    c->f.parts[s] = c->kept.parts[forge_signature(&c->kept, 1)];
    store(c);
}

static void signature_of_another_journal(struct corpus *c)
{
    other_journal(c, take_signature);
}

static void checkpoint_of_an_unknown_key(struct corpus *c)
{
    int i = at(c, DP_RECORD_CHECKPOINT, 1);
    edit_body(c, i);
    body.kid[0] ^= 1;
    put_body(c, i);
}

static void rotate(struct corpus *c)
{
    DP_ASSERT(world_open(&c->w) == DP_OK);
    DP_ASSERT(dp_journal_rotate(c->w.j) == DP_OK);
    DP_ASSERT(pay_online(c->w.j, 10) == DP_OK);
    world_close(&c->w);
    forge_load(&c->f, &c->w.mem);
}

/* The last round's key says this round's checkpoint. */
static void checkpoint_of_an_old_epoch(struct corpus *c)
{
    uint8_t old[DP_COSE_KID_BYTES];
    int i;
    rotate(c);
    edit_body(c, at(c, DP_RECORD_CHECKPOINT, 1));
    memcpy(old, body.kid, sizeof old);
    for (i = c->f.n - 1; c->f.parts[i].signature; i--)
        ;
    edit_body(c, i);
    DP_ASSERT(memcmp(old, body.kid, sizeof old) != 0);
    memcpy(body.kid, old, sizeof old);
    put_body(c, i);
}

/* The first round's key is the next round's too. */
static void epoch_repeated(struct corpus *c)
{
    static struct dp_record open;
    int i;
    rotate(c);
    open = *forge_edit(&c->f, 0);
    i = at(c, DP_RECORD_KEY_ROTATE, 0);
    forge_edit(&c->f, i);
    memcpy(c->f.record.body, open.body, sizeof open.body);
    c->f.record.body_n = open.body_n;
    forge_put(&c->f, i);
    store(c);
}

static void certificate_edited(struct corpus *c)
{
    struct dp_record *r = forge_edit(&c->f, 0);
    r->body[r->body_n - 5] ^= 1;
    forge_put(&c->f, 0);
    store(c);
}

static void epoch_key_edited(struct corpus *c)
{
    forge_edit(&c->f, 0)->body[30] ^= 1;
    forge_put(&c->f, 0);
    store(c);
}

static void take_open(struct corpus *c, struct world *other)
{
    static struct dp_record open;
    forge_load(&c->kept, &other->mem);
    open = *forge_edit(&c->kept, 0);
    forge_edit(&c->f, 0);
    memcpy(c->f.record.body, open.body, sizeof open.body);
    c->f.record.body_n = open.body_n;
    forge_put(&c->f, 0);
    store(c);
}

static void certificate_of_another_journal(struct corpus *c)
{
    other_journal(c, take_open);
}

static void trust(struct corpus *c)
{
    c->has_identity = true;
    DP_ASSERT(dp_hsm_public(c->w.hsm, DP_KEY_JOURNAL_IDENTITY, c->known.identity) == DP_OK);
}

static void foreign_identity(struct corpus *c)
{
    trust(c);
    c->known.identity[20] ^= 1;
}

static void take_rotation(struct corpus *c, struct world *other)
{
    int i = at(c, DP_RECORD_KEY_ROTATE, 0);
    struct epoch mine, theirs;
    const struct dp_record *r;
    size_t n;
    forge_load(&c->kept, &other->mem);
    r = forge_edit(&c->kept, 0);
    DP_ASSERT(epoch_read(r->body, r->body_n, &theirs) == DP_OK);
    r = forge_edit(&c->f, i);
    DP_ASSERT(epoch_read(r->body, r->body_n, &mine) == DP_OK);
    memcpy(mine.identity, theirs.identity, sizeof mine.identity);
    DP_ASSERT(epoch_write(&mine, c->f.record.body, sizeof c->f.record.body, &n) == DP_OK);
    forge_put(&c->f, i);
    store(c);
}

static void identity_changed_on_the_way(struct corpus *c)
{
    rotate(c);
    other_journal(c, take_rotation);
}

/* ---- what payments cannot do ---- */

static void dropped(struct corpus *c, enum dp_record_type type)
{
    forge_remove(&c->f, at(c, type, 0));
    forge_rechain(&c->f);
    store(c);
}

static void no_intent(struct corpus *c)
{
    dropped(c, DP_RECORD_INTENT);
}

static void no_reversal(struct corpus *c)
{
    dropped(c, DP_RECORD_REVERSAL);
}

static void no_open(struct corpus *c)
{
    dropped(c, DP_RECORD_OPEN);
}

static void another_amount(struct corpus *c)
{
    int i = at(c, DP_RECORD_OUTCOME, 0);
    forge_edit(&c->f, i)->amount.minor++;
    forge_put(&c->f, i);
    forge_rebind(&c->f);
    store(c);
}

static void closed(struct corpus *c)
{
    DP_ASSERT(world_open(&c->w) == DP_OK);
    DP_ASSERT(dp_journal_close_round(c->w.j) == DP_OK);
    world_close(&c->w);
    forge_load(&c->f, &c->w.mem);
}

static void a_payment_after_close(struct corpus *c)
{
    static struct forge_part again;
    int i;
    closed(c);
    i = at(c, DP_RECORD_CLOSE, 0);
    again = c->f.parts[at(c, DP_RECORD_INTENT, 0)];
    again.starts_batch = false;
    forge_insert(&c->f, i + 1, &again);
    forge_edit(&c->f, i + 1)->tx[0] = 99;
    forge_put(&c->f, i + 1);
    forge_rechain(&c->f);
    store(c);
}

/* ---- honest journals ---- */

static void a_whole_day(struct corpus *c)
{
    struct dp_record r;
    rotate(c);
    DP_ASSERT(world_open(&c->w) == DP_OK);
    record_of(&r, DP_RECORD_OUTCOME, 2);
    DP_ASSERT(dp_side_drop(c->w.j, r.tx, DP_SIDE_PAN) == DP_OK);
    DP_ASSERT(dp_side_shred(c->w.j) == DP_OK);
    DP_ASSERT(pay_declined(c->w.j, 20) == DP_OK);
    world_close(&c->w);
}

/* ---- a dead anchor ---- */

/* One payment is anchored, and the next three are not. */
static void degraded_from(struct corpus *c, uint32_t payment)
{
    world_script(&c->w, "anchor_extend 3 wear\n");
    more(c, payment, payment + 4, SEGMENT);
    world_script(&c->w, NULL);
    forge_load(&c->f, &c->w.mem);
}

static void degraded(struct corpus *c)
{
    degraded_from(c, 30);
}

static void degraded_from_the_start(struct corpus *c)
{
    world_script(&c->w, "anchor_read 1 wear\n");
    more(c, 30, 32, SEGMENT);
    world_script(&c->w, NULL);
}

static void degraded_and_back(struct corpus *c)
{
    degraded(c);
    more(c, 40, 41, SEGMENT);
    forge_load(&c->f, &c->w.mem);
}

static void degraded_twice(struct corpus *c)
{
    degraded_and_back(c);
    degraded_from(c, 50);
}

/* The anchor died again before it had all that it missed. */
static void degraded_half_way_back(struct corpus *c)
{
    degraded(c);
    world_script(&c->w, "anchor_extend 3 wear\n");
    more(c, 40, 41, SEGMENT);
    world_script(&c->w, NULL);
}

/* Nobody can tell while the anchor is dead: signed, and not bound. */
static void degraded_tail_cut(struct corpus *c)
{
    degraded(c);
    do
        c->f.n--;
    while (!c->f.parts[c->f.n - 1].signature);
    store(c);
}

/* With DEGRADED_ON everything is gone that could say why the token is behind: as if a crash had
 * come before the extension. */
static void degraded_record_cut(struct corpus *c)
{
    degraded(c);
    c->f.n = at(c, DP_RECORD_DEGRADED_ON, 0);
    store(c);
}

static void older_copy_while_degraded(struct corpus *c)
{
    struct memstore kept;
    degraded(c);
    memstore_copy(&kept, &c->w.mem);
    more(c, 40, 41, SEGMENT);
    memstore_free(&c->w.mem);
    c->w.mem = kept;
}

static void say_degraded(struct corpus *c, int outcome, bool says)
{
    int i = at(c, DP_RECORD_OUTCOME, outcome);
    forge_edit(&c->f, i)->degraded = says;
    forge_put(&c->f, i);
    forge_rechain(&c->f);
    store(c);
}

static void outcome_hides_degraded(struct corpus *c)
{
    degraded(c);
    say_degraded(c, 5, false);
}

static void outcome_claims_degraded(struct corpus *c)
{
    degraded(c);
    say_degraded(c, 1, true);
}

/* A record of a type that must not stand before part i. */
static void put_type(struct corpus *c, int i, int like, enum dp_record_type type)
{
    static struct forge_part copy;
    copy = c->f.parts[like];
    copy.starts_batch = c->f.parts[i].starts_batch;
    c->f.parts[i].starts_batch = false;
    forge_insert(&c->f, i, &copy);
    forge_edit(&c->f, i)->type = type;
    forge_put(&c->f, i);
    forge_rechain(&c->f);
    store(c);
}

static void degraded_on_twice(struct corpus *c)
{
    degraded(c);
    put_type(c, at(c, DP_RECORD_OUTCOME, 5), at(c, DP_RECORD_DEGRADED_ON, 0),
             DP_RECORD_DEGRADED_ON);
}

static void degraded_off_alone(struct corpus *c)
{
    degraded(c);
    put_type(c, at(c, DP_RECORD_OUTCOME, 1), at(c, DP_RECORD_DEGRADED_ON, 0),
             DP_RECORD_DEGRADED_OFF);
}

static void degraded_before_a_checkpoint(struct corpus *c)
{
    degraded(c);
    put_type(c, 1, at(c, DP_RECORD_DEGRADED_ON, 0), DP_RECORD_DEGRADED_ON);
}

static void new_epoch_while_degraded(struct corpus *c)
{
    degraded(c);
    put_type(c, at(c, DP_RECORD_OUTCOME, 5), at(c, DP_RECORD_OPEN, 0), DP_RECORD_KEY_ROTATE);
}

static void closed_while_degraded(struct corpus *c)
{
    degraded(c);
    put_type(c, at(c, DP_RECORD_OUTCOME, 5), at(c, DP_RECORD_DEGRADED_ON, 0), DP_RECORD_CLOSE);
}

static void clock_set_back(struct corpus *c)
{
    c->w.now -= 86400000;
    more(c, 10, 12, SEGMENT);
    c->w.now += 86400000;
}

static void an_unbound_record(struct corpus *c)
{
    struct dp_record r;
    DP_ASSERT(world_open(&c->w) == DP_OK);
    record_of(&r, DP_RECORD_INTENT, 40);
    DP_ASSERT(dp_journal_append(c->w.j, &r) == DP_OK && dp_journal_flush(c->w.j) == DP_OK);
    world_kill(&c->w);
}

/* A crash between flush and extension: the token is where it was. */
static void flushed_and_not_extended(struct corpus *c)
{
    struct dp_record r;
    DP_ASSERT(world_open(&c->w) == DP_OK);
    for (unsigned i = 0; i < 6; i++) {
        record_of(&r, DP_RECORD_TIME_SYNC, 1);
        DP_ASSERT(dp_journal_append(c->w.j, &r) == DP_OK);
    }
    DP_ASSERT(dp_journal_flush(c->w.j) == DP_OK);
    world_kill(&c->w);
    world_token_restore(&c->w);
    forge_load(&c->f, &c->w.mem);
}

/* The batch of the last flush: a part of it never came to the disk. */
static void torn(struct corpus *c, int part)
{
    memset(bytes(c) + offset_of(c, part) + 20, 0, 60);
}

static void torn_batch(struct corpus *c)
{
    flushed_and_not_extended(c);
    torn(c, at(c, DP_RECORD_TIME_SYNC, 2));
}

static void torn_first_frame(struct corpus *c)
{
    flushed_and_not_extended(c);
    torn(c, at(c, DP_RECORD_TIME_SYNC, 0));
}

static void torn_signature(struct corpus *c)
{
    flushed_and_not_extended(c);
    torn(c, c->f.n - 1);
}

/* Nothing of the signature did: what is there is whole. */
static void signature_never_written(struct corpus *c)
{
    flushed_and_not_extended(c);
    c->f.n--;
    store(c);
}

static void checkpoint_never_written(struct corpus *c)
{
    flushed_and_not_extended(c);
    c->f.n -= 2;
    store(c);
}

static void torn_last_frame(struct corpus *c)
{
    memset(bytes(c) + offset_of(c, c->f.n - 1) + 40, 0, 300);
}

static void garbage_behind_the_end(struct corpus *c)
{
    bytes(c)[offset_of(c, c->f.n) + 1000] = 0x55;
}

static void recovered(struct corpus *c)
{
    torn_batch(c);
    more(c, 20, 22, SEGMENT);
    DP_ASSERT(c->w.opened.recovered);
}

static void recovered_twice(struct corpus *c)
{
    uint8_t *second;
    torn_batch(c);
    DP_ASSERT(world_open(&c->w) == DP_OK);
    world_kill(&c->w);
    second = memstore_segment(&c->w.mem, 2)->data;
    memset(second + SEGMENT_HEADER_BYTES + 20, 0x55, 100);
    more(c, 20, 22, SEGMENT);
    DP_ASSERT(memstore_segment(&c->w.mem, 3) != NULL);
}

/* What RECOVERY names is something else than what is there. */
static void torn_bytes_edited(struct corpus *c)
{
    size_t n;
    recovered(c);
    for (n = SEGMENT; bytes(c)[n - 1] == 0; n--)
        ;
    bytes(c)[n - 200] ^= 1;
}

static void torn_bytes_wiped(struct corpus *c)
{
    size_t n, from;
    recovered(c);
    from = offset_of(c, at(c, DP_RECORD_TIME_SYNC, 0));
    for (n = SEGMENT; bytes(c)[n - 1] == 0; n--)
        ;
    memset(bytes(c) + from, 0, n - from);
}

/* ---- behind the end, by somebody who can write the files ---- */

/* In a batch of its own, the chain made right. */
static void append(struct corpus *c, const struct dp_record *r, bool starts_batch)
{
    struct forge_part *p = &c->f.parts[c->f.n++];
    static struct dp_record full;
    const struct dp_record *like = forge_edit(&c->f, 0);
    full = *r;
    memcpy(full.journal, like->journal, sizeof full.journal);
    memcpy(full.boot, like->boot, sizeof full.boot);
    full.wall_ms = like->wall_ms + 1;
    DP_ASSERT(dp_record_encode(&full, p->payload, sizeof p->payload, &p->n) == DP_OK);
    p->signature = false;
    p->starts_batch = starts_batch;
}

static void appended_and_bound(struct corpus *c)
{
    forge_rechain(&c->f);
    forge_rebind(&c->f);
    store(c);
}

static void append_settled(struct corpus *c, bool starts_batch)
{
    struct dp_record r;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_SETTLED;
    memcpy(r.action_code, "500", 4);
    memcpy(r.settled.verdict, "500", 4);
    append(c, &r, starts_batch);
}

static void append_of_payment(struct corpus *c, enum dp_record_type type, uint32_t payment)
{
    struct dp_record r;
    record_of(&r, type, payment);
    r.has_totals = true;
    r.stan = type == DP_RECORD_FORWARDED ? 5 : 0;
    r.mti = type == DP_RECORD_FORWARDED ? 1220 : 0;
    r.result = type == DP_RECORD_FORWARDED ? 1 : 0;
    r.has_original_tx = type == DP_RECORD_VOID;
    if (r.has_original_tx)
        memcpy(r.original_tx, r.tx, sizeof r.tx);
    append(c, &r, true);
}

static void append_checkpoint(struct corpus *c)
{
    struct dp_record r = *forge_edit(&c->f, at(c, DP_RECORD_CHECKPOINT, 1));
    append(c, &r, false);
}

static void appended_settled(struct corpus *c)
{
    append_settled(c, true);
    appended_and_bound(c);
}

static void appended_forwarded(struct corpus *c)
{
    append_of_payment(c, DP_RECORD_FORWARDED, 2);
    appended_and_bound(c);
}

static void appended_checkpoint(struct corpus *c)
{
    append_settled(c, true);
    append_checkpoint(c);
    appended_and_bound(c);
}

static void appended_signature(struct corpus *c)
{
    static struct forge_part signature;
    signature = c->f.parts[forge_signature(&c->f, 1)];
    append_settled(c, true);
    append_checkpoint(c);
    appended_and_bound(c);
    forge_insert(&c->f, c->f.n, &signature);
    store(c);
}

/* Behind the signature, and between it and what it signs. */
static void appended_to_the_last_batch(struct corpus *c)
{
    append_settled(c, false);
    appended_and_bound(c);
}

static void inserted_behind_the_last_checkpoint(struct corpus *c)
{
    append_settled(c, false);
    forge_swap(&c->f, c->f.n - 1, c->f.n - 2);
    appended_and_bound(c);
}

static void appended_under_an_intent(struct corpus *c)
{
    append_settled(c, true);
    append_of_payment(c, DP_RECORD_INTENT, 40);
    appended_and_bound(c);
}

/* Of an offline approval: only a signed one. */
static void appended_void(struct corpus *c)
{
    append_of_payment(c, DP_RECORD_VOID, 2);
    appended_and_bound(c);
}

static void deferred_payment(struct corpus *c)
{
    struct dp_record r;
    DP_ASSERT(world_open(&c->w) == DP_OK);
    record_of(&r, DP_RECORD_INTENT, 50);
    DP_ASSERT(dp_journal_append(c->w.j, &r) == DP_OK);
    record_of(&r, DP_RECORD_OUTCOME, 50);
    r.mode = DP_MODE_DEFERRED;
    DP_ASSERT(dp_journal_append(c->w.j, &r) == DP_OK && dp_journal_flush(c->w.j) == DP_OK);
    world_close(&c->w);
    forge_load(&c->f, &c->w.mem);
}

/* A writer without a key can write these, so everybody can. */
static void appended_void_of_a_deferred_payment(struct corpus *c)
{
    deferred_payment(c);
    append_of_payment(c, DP_RECORD_VOID, 50);
    appended_and_bound(c);
}

static void appended_void_that_cannot_be_read(struct corpus *c)
{
    struct forge_part *p;
    deferred_payment(c);
    append_of_payment(c, DP_RECORD_VOID, 50);
    forge_rechain(&c->f);
    p = &c->f.parts[c->f.n - 1];
    memcpy(p->payload + p->n, "\x18\x64\x01", 3); /* key 100 */
    p->n += 3;
    DP_ASSERT(p->payload[0] > 0xA1 && p->payload[0] < 0xB7);
    p->payload[0]++;
    store(c);
}

static void appended_intent(struct corpus *c)
{
    append_of_payment(c, DP_RECORD_INTENT, 40);
    appended_and_bound(c);
}

/* One payment is at the door. */
static void appended_intents(struct corpus *c)
{
    append_of_payment(c, DP_RECORD_INTENT, 40);
    append_of_payment(c, DP_RECORD_INTENT, 41);
    appended_and_bound(c);
}

/* ---- behind damage ---- */

static void frame_behind(struct corpus *c, uint32_t distance, int part, uint64_t seq,
                         uint32_t batch)
{
    const struct forge_part *p = &c->f.parts[part];
    uint32_t end = offset_of(c, c->f.n);
    struct dp_writer w;
    memset(bytes(c) + end, 0xFF, 8);
    dp_writer_init(&w, bytes(c) + end + distance, SEGMENT - end - distance);
    frame_write(&w, bytes(c) + 24, seq, batch, (struct dp_bytes){p->payload, p->n});
    DP_ASSERT(w.err == DP_OK);
}

/* Of a batch that has its signature: no frame of it can have stood there. */
static void frame_of_the_signed_batch_behind_damage(struct corpus *c)
{
    int first = c->f.n - 1;
    while (!c->f.parts[first].starts_batch)
        first--;
    frame_behind(c, 16, first, forge_edit(&c->f, first)->seq, offset_of(c, first));
}

static void frame_of_an_earlier_batch_behind_damage(struct corpus *c)
{
    frame_behind(c, 16, at(c, DP_RECORD_INTENT, 1),
                 forge_edit(&c->f, at(c, DP_RECORD_INTENT, 1))->seq,
                 offset_of(c, at(c, DP_RECORD_INTENT, 1)));
}

static void padded_frame_behind_damage(struct corpus *c)
{
    int i = at(c, DP_RECORD_INTENT, 0);
    uint32_t place = offset_of(c, c->f.n) + 16;
    while (c->f.parts[i].signature || (12 + c->f.parts[i].n) % 8 == 0)
        i++;
    frame_behind(c, 16, i, forge_edit(&c->f, i)->seq, place);
    bytes(c)[place + frame_bytes(c->f.parts[i].n) - 1] = 1;
}

static void frame_of_no_number_behind_damage(struct corpus *c)
{
    int i = at(c, DP_RECORD_INTENT, 0);
    c->f.parts[i].payload[0] = 0xA2; /* it names none */
    frame_behind(c, 16, i, UINT64_MAX, offset_of(c, c->f.n) + 16);
}

/* A crash, and another in the recovery, before it named anything. */
static void torn_twice(struct corpus *c)
{
    recovered_twice(c);
    memset(memstore_segment(&c->w.mem, 3)->data + SEGMENT_HEADER_BYTES, 0,
           SEGMENT - SEGMENT_HEADER_BYTES);
    world_token_restore(&c->w);
}

/* A payload that says it is a signature names its own number. */
static void signature_under_another_number(struct corpus *c)
{
    int i = c->f.n - 1;
    write_frame(c, i, 15 + 1, offset_of(c, at(c, DP_RECORD_REVERSAL, 0)));
}

static void signature_of_an_intent(struct corpus *c)
{
    static struct forge_part signature;
    signature = c->f.parts[forge_signature(&c->f, 1)];
    signature.starts_batch = false;
    forge_insert(&c->f, at(c, DP_RECORD_INTENT, 1) + 1, &signature);
    store(c);
}

static void signature_without_a_form(struct corpus *c)
{
    int s = forge_signature(&c->f, 1), first = s;
    uint64_t seq = forge_edit(&c->f, s - 1)->seq;
    while (!c->f.parts[first].starts_batch)
        first--;
    memset(c->f.parts[s].payload + c->f.parts[s].n - 70, 0xFF, 70);
    c->f.parts[s].payload[4] ^= 0x20; /* a text string */
    write_frame(c, s, seq, offset_of(c, first));
}

/* The offset of a segment's last frame. */
static uint32_t last_frame(const uint8_t *p)
{
    uint32_t at = SEGMENT_HEADER_BYTES, last = at;
    for (uint32_t n; at + 4 < 8192 && (n = (uint32_t)p[at + 2] << 8 | p[at + 3]) != 0;
         at += (uint32_t)frame_bytes(n))
        last = at;
    return last;
}

/* A segment that ends with a signature, and one behind it. */
static uint8_t *segment_of_signatures(struct corpus *c)
{
    struct dp_record r;
    c->w.segment_bytes = 8192;
    DP_ASSERT(world_open(&c->w) == DP_OK);
    for (unsigned i = 0; i < 80; i++) {
        record_of(&r, DP_RECORD_TIME_SYNC, 1);
        DP_ASSERT(dp_journal_append(c->w.j, &r) == DP_OK);
        DP_ASSERT(i % 4 != 3 || dp_journal_flush(c->w.j) == DP_OK);
    }
    world_close(&c->w);
    DP_ASSERT(memstore_segment(&c->w.mem, 3) != NULL);
    return memstore_segment(&c->w.mem, 2)->data;
}

static void signature_wiped_at_a_segments_end(struct corpus *c)
{
    uint8_t *p = segment_of_signatures(c);
    uint32_t last = last_frame(p);
    DP_ASSERT(p[last + FRAME_HEADER_BYTES] == 0x83);
    memset(p + last, 0, 8192 - last);
}

/* The next segment knows nothing of it. */
static void appended_at_a_segments_end(struct corpus *c)
{
    uint8_t *p = segment_of_signatures(c);
    uint32_t end = last_frame(p);
    struct segment_header h;
    struct dp_writer w;
    end += (uint32_t)frame_bytes((size_t)p[end + 2] << 8 | p[end + 3]);
    append_settled(c, true);
    DP_ASSERT(segment_header_read(memstore_segment(&c->w.mem, 3)->data, &h) == DP_OK);
    forge_edit(&c->f, c->f.n - 1)->seq = h.first_seq;
    forge_put(&c->f, c->f.n - 1);
    dp_writer_init(&w, p + end, 8192 - end);
    frame_write(&w, p + 24, h.first_seq, end,
                (struct dp_bytes){c->f.parts[c->f.n - 1].payload, c->f.parts[c->f.n - 1].n});
    DP_ASSERT(w.err == DP_OK);
}

/* ---- acknowledgements ---- */

static struct ack said;

static void acknowledge(struct corpus *c)
{
    c->known.has_collector = true;
    collector_point(&c->w, c->known.collector);
    DP_ASSERT(world_open(&c->w) == DP_OK);
    collector_head(&c->w, &said);
    DP_ASSERT(collector_acknowledges(&c->w, &said) == DP_OK);
}

static void acknowledged(struct corpus *c)
{
    acknowledge(c);
    DP_ASSERT(pay_online(c->w.j, 10) == DP_OK);
    collector_head(&c->w, &said);
    DP_ASSERT(collector_acknowledges(&c->w, &said) == DP_OK);
    world_close(&c->w);
    forge_load(&c->f, &c->w.mem);
}

/* The second acknowledgement says something else, signed by the collector all the same. */
static void say(struct corpus *c)
{
    int i = at(c, DP_RECORD_UPLOAD_ACK, 1);
    struct dp_record *r = forge_edit(&c->f, i);
    struct dp_cose_sign1_view v;
    size_t n = 0;
    r->body_n = (uint16_t)collector_sign(&c->w, &said, r->body);
    DP_ASSERT(dp_cose_sign1_parse(r->body, r->body_n, &v) == DP_OK);
    DP_ASSERT(psa_hash_compute(PSA_ALG_SHA_256, r->body, r->body_n, r->digest, 32, &n) ==
              PSA_SUCCESS);
    forge_put(&c->f, i);
    store(c);
}

static void acknowledged_another_root(struct corpus *c)
{
    acknowledged(c);
    said.root[5] ^= 1;
    say(c);
}

static void acknowledged_another_anchor(struct corpus *c)
{
    acknowledged(c);
    said.anchor[5] ^= 1;
    say(c);
}

static void acknowledged_another_journal(struct corpus *c)
{
    acknowledged(c);
    said.journal[5] ^= 1;
    say(c);
}

static void acknowledged_more_than_there_is(struct corpus *c)
{
    acknowledged(c);
    said.size += 100;
    say(c);
}

static void acknowledged_between_checkpoints(struct corpus *c)
{
    acknowledged(c);
    said.size--;
    say(c);
}

static void acknowledged_twice(struct corpus *c)
{
    static struct forge_part again;
    int i;
    acknowledged(c);
    i = at(c, DP_RECORD_UPLOAD_ACK, 0);
    again = c->f.parts[i];
    again.starts_batch = false;
    forge_insert(&c->f, i + 1, &again);
    forge_rechain(&c->f);
    store(c);
}

static void acknowledged_by_nobody(struct corpus *c)
{
    int i;
    acknowledged(c);
    i = at(c, DP_RECORD_UPLOAD_ACK, 0);
    forge_edit(&c->f, i)->digest[0] ^= 1;
    forge_put(&c->f, i);
    store(c);
}

static void acknowledgement_not_cbor(struct corpus *c)
{
    int i;
    acknowledged(c);
    i = at(c, DP_RECORD_UPLOAD_ACK, 0);
    forge_edit(&c->f, i)->body[0] = 0xA0;
    forge_put(&c->f, i);
    store(c);
}

static void acknowledgement_of_a_later_version(struct corpus *c)
{
    struct dp_record *r;
    int i;
    acknowledged(c);
    i = at(c, DP_RECORD_UPLOAD_ACK, 0);
    r = forge_edit(&c->f, i);
    for (unsigned k = 0; k + 4 < r->body_n; k++)
        if (memcmp(r->body + k, "\xA7\x01\x01\x02", 4) == 0)
            r->body[k + 2] = 2;
    forge_put(&c->f, i);
    store(c);
}

static void acknowledgement_without_its_body(struct corpus *c)
{
    struct dp_record *r;
    int i;
    acknowledged(c);
    i = at(c, DP_RECORD_UPLOAD_ACK, 0);
    r = forge_edit(&c->f, i);
    r->type = DP_RECORD_TIME_SYNC; /* one form each: the encoder would refuse it */
    r->body_n = 0;
    forge_put(&c->f, i);
    c->f.parts[i].payload[4] = DP_RECORD_UPLOAD_ACK;
    store(c);
}

static void acknowledged_by_another_collector(struct corpus *c)
{
    acknowledged(c);
    DP_ASSERT(dp_hsm_public(c->w.hsm, DP_KEY_JOURNAL_IDENTITY, c->known.collector) == DP_OK);
}

static void acknowledgement_badly_signed(struct corpus *c)
{
    struct dp_record *r;
    size_t n = 0;
    int i;
    acknowledged(c);
    i = at(c, DP_RECORD_UPLOAD_ACK, 0);
    r = forge_edit(&c->f, i);
    r->body[r->body_n - 1] ^= 1;
    DP_ASSERT(psa_hash_compute(PSA_ALG_SHA_256, r->body, r->body_n, r->digest, 32, &n) ==
              PSA_SUCCESS);
    forge_put(&c->f, i);
    store(c);
}

/* ---- archives ---- */

static void archive(struct corpus *c)
{
    bool more = true;
    many_segments(c);
    acknowledge(c);
    while (more)
        DP_ASSERT(dp_journal_archive(c->w.j, &more) == DP_OK);
    DP_ASSERT(pay_online(c->w.j, 50) == DP_OK);
    world_close(&c->w);
    DP_ASSERT(memstore_segment(&c->w.mem, 3) == NULL && memstore_archive(&c->w.mem, 3) != NULL);
}

static void archived(struct corpus *c)
{
    archive(c);
}

static struct node *third(struct corpus *c)
{
    archive(c);
    return memstore_archive(&c->w.mem, 3);
}

/* The third segment as a file again, as before the crash, beside its archive. */
static struct node *file_of_the_third(struct corpus *c)
{
    struct node *from = third(c);
    struct node *n = &c->w.mem.nodes[c->w.mem.nodes_n++];
    size_t got = 0;
    DP_ASSERT(c->w.mem.nodes_n < NODES_MAX);
    *n = *from;
    n->data = malloc(8192);
    n->durable = malloc(1);
    n->dirty = calloc(1, 16);
    DP_ASSERT(n->data != NULL && n->durable != NULL && n->dirty != NULL);
    DP_ASSERT(archive_unpack(from->data, from->n, n->data, 8192, &got) == DP_OK);
    n->n = got;
    n->durable_n = 0;
    (void)snprintf(n->name, sizeof n->name, "seg-%08u.dpj", 3U);
    return n;
}

static void archive_beside_its_file(struct corpus *c)
{
    (void)file_of_the_third(c);
}

/* A disk that lied: the archive has its name, and not its bytes. */
static void no_archive_beside_its_file(struct corpus *c)
{
    struct node *n;
    (void)file_of_the_third(c);
    n = memstore_archive(&c->w.mem, 3);
    n->data[n->n / 2] ^= 4;
}

static void archive_beside_another_file(struct corpus *c)
{
    file_of_the_third(c)->data[8191] ^= 1;
}

static void archive_beside_a_short_file(struct corpus *c)
{
    file_of_the_third(c)->n = 100;
}

static void no_archive_beside_a_short_file(struct corpus *c)
{
    struct node *n;
    file_of_the_third(c)->n = 100;
    n = memstore_archive(&c->w.mem, 3);
    n->data[n->n / 2] ^= 4;
}

/* A file of the size that its header says, which no segment has. */
static void segment_of_another_size(struct corpus *c)
{
    struct node *n = memstore_segment(&c->w.mem, 1);
    n->n = 8196;
    n->data[22] = 0x20;
    n->data[23] = 4;
    seal_header(n->data);
}

/* Its space was taken, and nothing was written. */
static void nothing_but_a_header(struct corpus *c)
{
    c->f.n = 0;
    store(c);
}

static void archive_flipped(struct corpus *c)
{
    struct node *n = third(c);
    n->data[n->n / 2] ^= 4;
}

static void archive_of_another_form(struct corpus *c)
{
    third(c)->data[4] &= (uint8_t)~0x04; /* without its check sum */
}

static void archive_cut(struct corpus *c)
{
    third(c)->n -= 3;
}

static void archive_of_no_bytes(struct corpus *c)
{
    third(c)->n = 0;
}

static void archive_and_more(struct corpus *c)
{
    struct node *n = third(c);
    n->data = realloc(n->data, n->n + 16);
    DP_ASSERT(n->data != NULL);
    memcpy(n->data + n->n, "\x50\x2A\x4D\x18\x08\0\0\0hidden..", 16); /* a skippable frame */
    n->n += 16;
}

static void archive_of_zeros(struct corpus *c, size_t bytes)
{
    struct node *n = third(c);
    uint8_t *zeros = calloc(1, bytes);
    size_t got = 0;
    free(n->data);
    n->data = malloc(DP_JOURNAL_ARCHIVE_BYTES);
    DP_ASSERT(zeros != NULL && n->data != NULL);
    DP_ASSERT(archive_pack(zeros, bytes, n->data, DP_JOURNAL_ARCHIVE_BYTES, &got) == DP_OK);
    n->n = got;
    free(zeros);
}

static void archive_of_nothing(struct corpus *c)
{
    archive_of_zeros(c, 8192);
}

/* It says a size that no segment has: 256 MiB of zeros in some kilobytes. */
static void archive_bomb(struct corpus *c)
{
    struct node *n;
    archive_of_zeros(c, DP_JOURNAL_SEGMENT_BYTES);
    n = memstore_archive(&c->w.mem, 3);
    DP_ASSERT(n->data[4] == 0xA4 && n->data[7] == 0x10);
    n->data[8] = 0x10;
}

static void archive_missing(struct corpus *c)
{
    third(c)->here = false;
}

static void archives_changed_places(struct corpus *c)
{
    struct node *n = third(c), *m = memstore_archive(&c->w.mem, 2);
    char name[sizeof n->name];
    memcpy(name, n->name, sizeof name);
    memcpy(n->name, m->name, sizeof name);
    memcpy(m->name, name, sizeof name);
}

/* ---- the end of it ---- */

static void take_head(struct corpus *c)
{
    struct dp_verify_result v;
    verify_mem(&c->w, false, &v);
    c->has_head = true;
    c->known.head_size = v.records;
    memcpy(c->known.head_root, v.root, sizeof v.root);
    memcpy(c->known.head_anchor, v.anchor, sizeof v.anchor);
    memcpy(c->known.head_journal, v.journal, sizeof v.journal);
}

static void tail_cut(struct corpus *c)
{
    for (int records = 0; records < 6; c->f.n--)
        records += !c->f.parts[c->f.n - 1].signature;
    store(c);
}

static void tail_cut_before_a_head(struct corpus *c)
{
    take_head(c);
    tail_cut(c);
}

static void older_copy(struct corpus *c)
{
    struct memstore kept;
    memstore_copy(&kept, &c->w.mem);
    more(c, 10, 12, SEGMENT);
    memstore_free(&c->w.mem);
    c->w.mem = kept;
}

/* Two histories from one state: the token of one, the files of the other. */
static void fork_of_the_token(struct corpus *c)
{
    struct memstore kept;
    memstore_copy(&kept, &c->w.mem);
    more(c, 10, 12, SEGMENT);
    take_head(c);
    c->has_head = false;
    c->known.has_anchor = true;
    DP_ASSERT(dp_hsm_anchor_read(c->w.hsm, c->known.anchor) == DP_OK);
    world_token_restore(&c->w);
    memstore_free(&c->w.mem);
    c->w.mem = kept;
    more(c, 20, 22, SEGMENT);
}

static void fork_of_the_head(struct corpus *c)
{
    fork_of_the_token(c);
    c->has_head = true;
}

static void head(struct corpus *c)
{
    take_head(c);
}

static void head_and_more(struct corpus *c)
{
    take_head(c);
    more(c, 10, 12, SEGMENT);
}

static void head_of_another_root(struct corpus *c)
{
    take_head(c);
    c->known.head_root[3] ^= 1;
}

static void head_of_another_anchor(struct corpus *c)
{
    take_head(c);
    c->known.head_anchor[3] ^= 1;
}

static void head_of_another_journal(struct corpus *c)
{
    take_head(c);
    c->known.head_journal[3] ^= 1;
}

static void anchor_of_another_token(struct corpus *c)
{
    uint8_t value[32], digest[32] = {1};
    DP_ASSERT(dp_hsm_anchor_extend(c->w.hsm, digest, value) == DP_OK);
}

static void damage_under_the_anchor(struct corpus *c)
{
    int i = c->f.n - 1;
    while (c->f.parts[i].signature)
        i--;
    memset(bytes(c) + offset_of(c, i) + 30, 0x77, 900);
}

static void damage_under_the_head(struct corpus *c)
{
    take_head(c);
    damage_under_the_anchor(c);
}

/* Whose it is, is said before how much of it there is. */
static void longer_head_of_another_journal(struct corpus *c)
{
    take_head(c);
    c->known.head_size++;
    c->known.head_journal[0] ^= 1;
}

static void torn_under_a_longer_head_of_another_journal(struct corpus *c)
{
    damage_under_the_anchor(c);
    longer_head_of_another_journal(c);
}

const struct corpus_case corpus_cases[] = {
#define GOOD(f)                                                                                    \
    {                                                                                              \
#f, NULL, DP_VERDICT_FRESH, f                                                              \
    }
#define UNSURE(rule, f)                                                                            \
    {                                                                                              \
#f, rule, DP_VERDICT_UNKNOWN, f                                                            \
    }
#define BEHIND(f)                                                                                  \
    {                                                                                              \
#f, "rollback", DP_VERDICT_ROLLBACK, f                                                     \
    }
#define CAUGHT(rule, f)                                                                            \
    {                                                                                              \
#f, rule, DP_VERDICT_TAMPERED, f                                                           \
    }
    GOOD(nothing),
    GOOD(compatible_flag),
    GOOD(many_segments),
    GOOD(a_whole_day),
    GOOD(clock_set_back),
    GOOD(closed),
    GOOD(recovered),
    GOOD(recovered_twice),
    GOOD(head),
    GOOD(head_and_more),
    GOOD(trust),
    GOOD(degraded_and_back),
    UNSURE(NULL, degraded),
    UNSURE(NULL, degraded_from_the_start),
    UNSURE(NULL, degraded_twice),
    UNSURE(NULL, degraded_half_way_back),
    UNSURE(NULL, degraded_tail_cut),
    UNSURE(NULL, degraded_record_cut),
    BEHIND(older_copy_while_degraded),
    GOOD(acknowledged),
    GOOD(archived),
    GOOD(archive_beside_its_file),
    GOOD(no_archive_beside_its_file),
    UNSURE(NULL, an_unbound_record),
    UNSURE("torn-tail", torn_batch),
    UNSURE(NULL, flushed_and_not_extended),
    UNSURE("torn-tail", torn_first_frame),
    UNSURE("torn-tail", torn_signature),
    UNSURE("torn-tail", signature_never_written),
    UNSURE("torn-tail", checkpoint_never_written),
    UNSURE("torn-tail", appended_settled),
    UNSURE("torn-tail", appended_forwarded),
    UNSURE("torn-tail", appended_checkpoint),
    UNSURE("torn-tail", appended_void),
    UNSURE("torn-tail", appended_void_that_cannot_be_read),
    UNSURE(NULL, appended_void_of_a_deferred_payment),
    UNSURE(NULL, appended_intent),
    UNSURE("torn-tail", frame_of_the_signed_batch_behind_damage),
    UNSURE("torn-tail", frame_of_an_earlier_batch_behind_damage),
    UNSURE("torn-tail", frame_of_no_number_behind_damage),
    UNSURE("torn-tail", torn_twice),
    UNSURE("torn-tail", garbage_behind_the_end),
    BEHIND(tail_cut),
    BEHIND(tail_cut_before_a_head),
    BEHIND(older_copy),
    BEHIND(last_segment_missing),
    BEHIND(anchor_of_another_token),
    BEHIND(fork_of_the_token),
    CAUGHT("segment-header", header_flipped),
    CAUGHT("segment-header", incompatible_flag),
    CAUGHT("segment-header", file_cut),
    CAUGHT("segment-header", file_of_no_bytes),
    CAUGHT("segment-order", segment_missing),
    CAUGHT("segment-order", first_segment_missing),
    CAUGHT("segment-order", every_segment_missing),
    CAUGHT("segment-order", segments_changed_places),
    CAUGHT("seq-gap", segment_renumbered),
    CAUGHT("prev-hash", segment_leaf_edited),
    CAUGHT("journal-id", segment_of_another_journal),
    CAUGHT("frame-crc", frame_edited),
    CAUGHT("frame-crc", frame_length_edited),
    CAUGHT("frame-crc", frame_zeroed),
    CAUGHT("frame-crc", damage_under_the_anchor),
    CAUGHT("frame-crc", damage_under_the_head),
    CAUGHT("frame-crc", damage_that_nothing_names),
    CAUGHT("frame-padding", padding_edited),
    CAUGHT("frame-padding", last_padding_edited),
    CAUGHT("frame-batch", batch_in_an_earlier_one),
    CAUGHT("frame-batch", batch_that_is_no_frame),
    CAUGHT("frame-batch", batch_in_the_future),
    CAUGHT("record-format", record_of_nothing),
    CAUGHT("record-format", record_not_cbor),
    CAUGHT("record-format", zero_written_out),
    CAUGHT("record-format", keys_out_of_order),
    CAUGHT("record-key", unknown_key),
    CAUGHT("prev-hash", later_versions_key),
    CAUGHT("seq-gap", record_deleted),
    CAUGHT("seq-gap", records_swapped),
    CAUGHT("seq-gap", record_inserted),
    CAUGHT("prev-hash", record_of_another_journal),
    CAUGHT("prev-hash", record_edited),
    CAUGHT("journal-id", record_says_another_journal),
    CAUGHT("last-leaf", chain_made_right),
    CAUGHT("tree-root", leaf_made_right_too),
    CAUGHT("signature-invalid", everything_but_the_signature),
    CAUGHT("signature-missing", everything_and_no_signature),
    CAUGHT("last-leaf", clock_edited),
    CAUGHT("checkpoint-size", size_edited),
    CAUGHT("anchor-chain", anchor_edited),
    CAUGHT("journal-id", checkpoint_of_another_journal),
    CAUGHT("totals", totals_of_a_checkpoint),
    CAUGHT("totals", totals_of_a_record),
    CAUGHT("totals", totals_left_out),
    CAUGHT("signature-missing", signature_stripped),
    CAUGHT("frame-crc", last_signature_stripped),
    CAUGHT("frame-crc", torn_last_frame),
    CAUGHT("frame-crc", appended_to_the_last_batch),
    CAUGHT("frame-crc", inserted_behind_the_last_checkpoint),
    CAUGHT("signature-invalid", appended_signature),
    CAUGHT("signature-missing", appended_under_an_intent),
    UNSURE("torn-tail", appended_intents),
    CAUGHT("frame-crc", padded_frame_behind_damage),
    CAUGHT("frame-crc", signature_under_another_number),
    CAUGHT("signature-missing", appended_at_a_segments_end),
    CAUGHT("seq-gap", signature_wiped_at_a_segments_end),
    CAUGHT("signature-invalid", signature_of_an_intent),
    CAUGHT("signature-invalid", signature_without_a_form),
    CAUGHT("signature-invalid", signature_edited),
    CAUGHT("signature-missing", signature_twice),
    CAUGHT("signature-key", signature_of_another_journal),
    CAUGHT("signature-key", checkpoint_of_an_unknown_key),
    CAUGHT("signature-key", checkpoint_of_an_old_epoch),
    CAUGHT("epoch-certificate", epoch_repeated),
    CAUGHT("epoch-certificate", certificate_edited),
    CAUGHT("epoch-certificate", epoch_key_edited),
    CAUGHT("epoch-certificate", certificate_of_another_journal),
    CAUGHT("identity-mismatch", foreign_identity),
    CAUGHT("identity-mismatch", identity_changed_on_the_way),
    CAUGHT("state-machine", no_intent),
    CAUGHT("state-machine", no_reversal),
    CAUGHT("state-machine", no_open),
    CAUGHT("state-machine", another_amount),
    CAUGHT("state-machine", a_payment_after_close),
    CAUGHT("state-machine", outcome_hides_degraded),
    CAUGHT("state-machine", outcome_claims_degraded),
    CAUGHT("state-machine", degraded_on_twice),
    CAUGHT("state-machine", degraded_off_alone),
    CAUGHT("state-machine", degraded_before_a_checkpoint),
    CAUGHT("state-machine", new_epoch_while_degraded),
    CAUGHT("state-machine", closed_while_degraded),
    CAUGHT("recovery-mismatch", torn_bytes_edited),
    CAUGHT("recovery-mismatch", torn_bytes_wiped),
    CAUGHT("acknowledgement", acknowledged_another_root),
    CAUGHT("acknowledgement", acknowledged_another_anchor),
    CAUGHT("acknowledgement", acknowledged_another_journal),
    CAUGHT("acknowledgement", acknowledged_more_than_there_is),
    CAUGHT("acknowledgement", acknowledged_between_checkpoints),
    CAUGHT("acknowledgement", acknowledged_twice),
    CAUGHT("acknowledgement", acknowledged_by_nobody),
    CAUGHT("record-format", acknowledgement_not_cbor),
    CAUGHT("record-format", acknowledgement_of_a_later_version),
    CAUGHT("record-format", acknowledgement_without_its_body),
    CAUGHT("acknowledgement-signature", acknowledged_by_another_collector),
    CAUGHT("acknowledgement-signature", acknowledgement_badly_signed),
    CAUGHT("segment-archive", archive_beside_another_file),
    CAUGHT("segment-archive", archive_beside_a_short_file),
    CAUGHT("segment-header", no_archive_beside_a_short_file),
    CAUGHT("segment-header", segment_of_another_size),
    BEHIND(nothing_but_a_header),
    CAUGHT("segment-archive", archive_flipped),
    CAUGHT("segment-archive", archive_of_another_form),
    CAUGHT("segment-archive", archive_cut),
    CAUGHT("segment-archive", archive_of_no_bytes),
    CAUGHT("segment-archive", archive_and_more),
    CAUGHT("segment-archive", archive_bomb),
    CAUGHT("segment-header", archive_of_nothing),
    CAUGHT("segment-order", archive_missing),
    CAUGHT("segment-order", archives_changed_places),
    CAUGHT("head-mismatch", fork_of_the_head),
    CAUGHT("head-mismatch", head_of_another_root),
    CAUGHT("head-mismatch", head_of_another_anchor),
    CAUGHT("head-mismatch", head_of_another_journal),
    CAUGHT("head-mismatch", longer_head_of_another_journal),
    CAUGHT("head-mismatch", torn_under_a_longer_head_of_another_journal),
};
const size_t corpus_cases_n = sizeof corpus_cases / sizeof corpus_cases[0];

/* ---- two changes at once: which is named first ---- */

/* In an order in which each leaves the next something to take hold of. */
static void (*const pairable[])(struct corpus *c) = {
    another_amount,
    leaf_made_right_too,
    clock_edited,
    no_reversal,
    no_intent,
    size_edited,
    anchor_edited,
    checkpoint_of_another_journal,
    totals_of_a_checkpoint,
    checkpoint_of_an_unknown_key,
    record_edited,
    record_says_another_journal,
    totals_of_a_record,
    totals_left_out,
    certificate_edited,
    epoch_key_edited,
    signature_edited,
    signature_twice,
    signature_stripped,
    record_inserted,
    records_swapped,
    record_deleted,
    zero_written_out,
    unknown_key,
};
#define PAIRABLE (sizeof pairable / sizeof pairable[0])

bool corpus_pair(struct corpus *c, size_t n)
{
    if (n >= PAIRABLE * PAIRABLE || n / PAIRABLE >= n % PAIRABLE)
        return false;
    pairable[n / PAIRABLE](c);
    pairable[n % PAIRABLE](c);
    return true;
}

const size_t corpus_pairs_n = PAIRABLE * PAIRABLE;

/* ---- histories of a transaction ---- */

static int sign_epoch(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    return dp_hsm_sign(ctx, DP_KEY_JOURNAL_EPOCH, digest, signature);
}

/* By the token: what it would sign if the writer were as careless as this. */
static void sign(struct corpus *c, int checkpoint, struct forge_part *p)
{
    uint8_t cose[SIGNATURE_FRAME_MAX];
    const struct dp_record *r = forge_edit(&c->f, checkpoint);
    size_t n = 0;
    edit_body(c, checkpoint);
    DP_ASSERT(dp_cose_sign1(sign_epoch, c->w.hsm, body.kid, checkpoint_aad(),
                            (struct dp_bytes){r->body, r->body_n}, cose, sizeof cose, &n) == DP_OK);
    DP_ASSERT(signature_write(r->seq, (struct dp_bytes){cose, n}, p->payload, sizeof p->payload,
                              &p->n) == DP_OK);
    p->signature = true;
    p->starts_batch = false;
}

static void add_step(struct corpus *c, const char *step)
{
    struct forge_part *p = &c->f.parts[c->f.n++];
    static struct dp_record r;
    const struct dp_record *like;
    like = forge_edit(&c->kept, 1);
    history_step(step, &r);
    memcpy(r.journal, like->journal, sizeof r.journal);
    memcpy(r.boot, like->boot, sizeof r.boot);
    r.mono_ms = like->mono_ms;
    r.wall_ms = like->wall_ms;
    r.clock = like->clock;
    r.has_totals = r.type != DP_RECORD_REQUESTED;
    DP_ASSERT(dp_record_encode(&r, p->payload, sizeof p->payload, &p->n) == DP_OK);
    p->signature = false;
    p->starts_batch = c->f.n == 4;
}

void corpus_history(struct corpus *c, const char *history)
{
    char text[128], *kept = NULL;
    forge_load(&c->kept, &c->base);
    c->f.n = 3; /* OPEN, its CHECKPOINT, the signature */
    (void)snprintf(text, sizeof text, "%s", history);
    for (char *s = strtok_r(text, " ", &kept); s != NULL; s = strtok_r(NULL, " ", &kept))
        add_step(c, s);
    c->f.parts[c->f.n++] = c->kept.parts[forge_find(&c->kept, DP_RECORD_CHECKPOINT, 1)];
    c->f.parts[c->f.n - 1].starts_batch = false;
    forge_rebind(&c->f);
    sign(c, c->f.n - 1, &c->f.parts[c->f.n]);
    c->f.n++;
    store(c);
}
