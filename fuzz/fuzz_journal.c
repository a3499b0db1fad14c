/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A journal as files. First byte: 0 a segment's header; 1 frames; 2 the bodies of records and
 * frames; 3 segments as they stand on disk, each padded with zeros to its size; 4 a header and
 * frames, whose check sums are made right, so that what stands behind them is met: flags u8, length
 * u16, payload; 5 a file of the side store. The verifier is given the anchor of the journal that
 * the seeds were made from.
 */
#include <stdint.h>
#include <string.h>

#include <doorpay/cbor.h>
#include <doorpay/journal.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/reader.h"
#include "base/writer.h"
#include "journal/batch.h"
#include "journal/body.h"
#include "journal/segment.h"
#include "journal/side.h"

#define SEGMENT_BYTES 8192
#define FILES_MAX     3
#define STARTS_BATCH  1

#include "journal_seed.h" /* seed_anchor, seed_records, seed_totals */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t files[FILES_MAX][SEGMENT_BYTES];
static int files_n;
static struct dp_bytes side; /* p NULL: there is none */

/* ---- the store: read only, one directory ---- */

static int store_open(void *ctx, const char *name, bool write, int *file)
{
    (void)ctx;
    DP_ASSERT(!write && strncmp(name, "./", 2) == 0);
    if (side.p != NULL) {
        *file = 0;
        return strcmp(name, "./side/gen-7.dps") == 0 ? DP_OK : DP_ERR_NOT_FOUND;
    }
    *file = (int)segment_number(name + 2) - 1;
    return *file >= 0 && *file < files_n ? DP_OK : DP_ERR_NOT_FOUND;
}

static int store_read_at(void *ctx, int file, uint64_t offset, void *p, size_t n, size_t *got)
{
    (void)ctx;
    if (side.p != NULL) {
        *got = offset >= side.n ? 0 : side.n - offset < n ? side.n - offset : n;
        if (*got > 0)
            memcpy(p, side.p + offset, *got);
        return DP_OK;
    }
    DP_ASSERT(offset == 0 && n == SEGMENT_BYTES);
    memcpy(p, files[file], n);
    *got = n;
    return DP_OK;
}

static int store_size(void *ctx, int file, uint64_t *size)
{
    (void)ctx;
    (void)file;
    *size = SEGMENT_BYTES;
    return DP_OK;
}

static void store_close(void *ctx, int file)
{
    (void)ctx;
    (void)file;
}

static int store_list(void *ctx, const char *name, void (*each)(void *user, const char *name),
                      void *user)
{
    char segment[SEGMENT_NAME_BYTES];
    (void)ctx;
    if (side.p != NULL && strcmp(name, "./side") == 0) {
        each(user, "gen-7.dps");
        return DP_OK;
    }
    for (int i = 0; i < files_n; i++) {
        segment_name((uint32_t)i + 1, segment);
        each(user, segment);
    }
    return DP_OK;
}

static const struct dp_store_ops ops = {
    .open = store_open,
    .read_at = store_read_at,
    .size = store_size,
    .close = store_close,
    .list = store_list,
};

/* ---- a verdict and what must hold of it ---- */

struct seen {
    uint64_t records;
    uint64_t owing; /* records up to the last one that may not stand without a signature */
    unsigned begun; /* INTENTs since the last CHECKPOINT */
};

/* Whoever writes the files may write these behind what is signed: they gain him nothing. */
static bool may_stand_unsigned(uint64_t type)
{
    return type == DP_RECORD_INTENT || type == DP_RECORD_VOID || type == DP_RECORD_RECOVERY;
}

static void see(void *user, const struct dp_record *r)
{
    struct seen *seen = user;
    DP_ASSERT(r->seq == seen->records);
    seen->records++;
    seen->begun = r->type == DP_RECORD_CHECKPOINT ? 0 : seen->begun + (r->type == DP_RECORD_INTENT);
    if (!may_stand_unsigned(r->type) || (r->type == DP_RECORD_INTENT && seen->begun > 1))
        seen->owing = seen->records;
}

static void verify(bool anchor)
{
    const struct dp_store store = {&ops, NULL};
    struct dp_verify_options o;
    struct dp_verify_result v;
    struct seen seen = {0, 0, 0};
    memset(&o, 0, sizeof o);
    o.has_anchor = anchor;
    memcpy(o.anchor, seed_anchor, sizeof o.anchor);
    if (dp_journal_verify(&store, &o, see, &seen, &v) != DP_OK)
        return;
    DP_ASSERT(seen.records == v.records && v.words[0] != '\0');
    DP_ASSERT(v.rule == NULL || v.has_seq);
    DP_ASSERT(v.verdict != DP_VERDICT_TAMPERED || v.rule != NULL);
    DP_ASSERT(v.signed_size <= v.records);
    /* nothing is believed that the token did not sign, but what gains nobody anything */
    DP_ASSERT(v.verdict == DP_VERDICT_TAMPERED || seen.owing <= v.signed_size);
    if (v.verdict != DP_VERDICT_FRESH)
        return;
    /* only what the token has bound, every record of it */
    DP_ASSERT(anchor && v.rule == NULL && !v.torn_tail);
    DP_ASSERT(v.records == seed_records);
    DP_ASSERT(memcmp(v.anchor, seed_anchor, sizeof v.anchor) == 0);
    DP_ASSERT(memcmp(&v.totals, seed_totals, sizeof v.totals) == 0);
}

static void as_on_disk(const uint8_t *p, size_t n)
{
    memset(files, 0, sizeof files);
    for (files_n = 0; files_n < FILES_MAX && n > 0; files_n++) {
        size_t part = n < SEGMENT_BYTES ? n : SEGMENT_BYTES;
        memcpy(files[files_n], p, part);
        p += part;
        n -= part;
    }
}

/* A signature frame's is the one it names, whatever stands behind it. */
static uint64_t seq_of(struct dp_bytes payload, uint64_t *records)
{
    struct dp_reader r;
    uint64_t seq;
    dp_reader_init(&r, payload.p, payload.n);
    if (dp_cbor_peek(&r) == DP_CBOR_ARRAY && dp_cbor_read_array(&r) == 3) {
        (void)dp_cbor_read_uint(&r);
        seq = dp_cbor_read_uint(&r);
        if (r.err == DP_OK)
            return seq;
    }
    return (*records)++;
}

static void from_frames(const uint8_t *p, size_t n)
{
    struct segment_header h;
    struct dp_reader r;
    struct dp_writer w;
    uint32_t batch = SEGMENT_HEADER_BYTES;
    uint64_t records = 0;
    memset(files, 0, sizeof files);
    memset(&h, 0, sizeof h);
    dp_reader_init(&r, p, n);
    dp_read_copy(&r, h.journal, sizeof h.journal);
    h.number = 1;
    h.bytes = SEGMENT_BYTES;
    segment_header_write(&h, files[0]);
    files_n = 1;
    dp_writer_init(&w, files[0], SEGMENT_BYTES);
    w.n = SEGMENT_HEADER_BYTES;
    while (r.err == DP_OK && r.left > 0) {
        uint8_t flags = dp_read_u8(&r);
        struct dp_bytes payload = dp_read_bytes(&r, dp_read_u16(&r));
        if (r.err != DP_OK || payload.n < 1 || payload.n > DP_JOURNAL_RECORD_MAX ||
            frame_bytes(payload.n) > w.max - w.n)
            break;
        if ((flags & STARTS_BATCH) != 0)
            batch = (uint32_t)w.n;
        frame_write(&w, h.salt, seq_of(payload, &records), batch, payload);
    }
}

/* ---- the parsers alone ---- */

static void header(const uint8_t *p, size_t n)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES] = {0}, again[SEGMENT_HEADER_BYTES];
    struct segment_header h;
    memcpy(bytes, p, n < sizeof bytes ? n : sizeof bytes);
    if (segment_header_read(bytes, &h) != DP_OK)
        return;
    segment_header_write(&h, again);
    DP_ASSERT(memcmp(again, bytes, 12) == 0); /* then come features that may be ignored */
    DP_ASSERT(memcmp(again + 16, bytes + 16, 80) == 0);
}

static bool owes_for(void *ctx, const struct frame *f)
{
    unsigned *asked = ctx;
    DP_ASSERT(!f->signature);
    (*asked)++;
    return !may_stand_unsigned(f->type);
}

/* The rule of a batch, said once more: what it holds needs no signature, or it has its one. */
static void batch(const struct segment *s, uint32_t offset)
{
    struct batch b;
    struct frame f, last[2];
    unsigned checkpoints = 0, signatures = 0;
    unsigned asked = 0;
    bool owing = false;
    enum frame_state state = batch_walk(s, offset, 7, owes_for, &asked, &b);
    uint64_t expected = 7;
    memset(last, 0, sizeof last);
    DP_ASSERT(b.offset == offset && b.end >= offset && b.end <= s->n);
    DP_ASSERT(state != FRAME_END || segment_used(s, b.end) == b.end);
    for (uint32_t at = offset, before = 0; at < b.end; at = f.next, before = offset) {
        DP_ASSERT(frame_read(s, at, before, expected, &f) == FRAME_GOOD && f.batch == offset);
        expected += f.signature ? 0 : 1;
        owing = owing || (!f.signature && !may_stand_unsigned(f.type));
        checkpoints += !f.signature && f.type == DP_RECORD_CHECKPOINT;
        signatures += f.signature;
        last[0] = last[1];
        last[1] = f;
    }
    DP_ASSERT(asked == expected - 7);
    DP_ASSERT(b.owes == (owing && !b.is_signed));
    if (b.is_signed)
        DP_ASSERT(checkpoints == 1 && signatures == 1 && last[1].signature && !last[0].signature &&
                  last[0].type == DP_RECORD_CHECKPOINT);
    if (state == FRAME_GOOD)
        DP_ASSERT(frame_read(s, b.end, offset, expected, &f) == FRAME_GOOD && f.batch == b.end);
}

/* What a frame is taken for is what its record is. */
static void says_its_type(const struct frame *f)
{
    static struct dp_record r;
    unsigned key = 0;
    if (dp_record_decode(f->payload.p, f->payload.n, &r, &key) == DP_OK)
        DP_ASSERT(!f->signature && f->type == (uint64_t)r.type);
}

static void frames(const uint8_t *p, size_t n)
{
    struct segment s = {files[0], SEGMENT_BYTES, {0}};
    uint32_t at = SEGMENT_HEADER_BYTES, before = 0;
    struct frame f;
    enum frame_state state;
    memset(files[0], 0, SEGMENT_BYTES);
    memcpy(files[0], p, n < SEGMENT_BYTES ? n : SEGMENT_BYTES);
    while ((state = frame_read(&s, at, before, 7, &f)) == FRAME_GOOD) {
        DP_ASSERT(f.offset == at && f.next > at && f.next <= s.n && f.next % 8 == 0);
        DP_ASSERT(f.payload.p >= s.p + at && f.payload.p + f.payload.n <= s.p + f.next);
        if (f.batch == at)
            batch(&s, at);
        says_its_type(&f);
        before = f.batch;
        at = f.next;
    }
    DP_ASSERT(segment_used(&s, at) >= at);
    if (state == FRAME_END)
        DP_ASSERT(segment_used(&s, at) == at && !frame_later(&s, at));
    else if (at > SEGMENT_HEADER_BYTES)
        (void)(frame_later(&s, at) || frame_same_batch(&s, at, SEGMENT_HEADER_BYTES));
}

static void bodies(const uint8_t *p, size_t n)
{
    static struct checkpoint c;
    static struct epoch e;
    struct side_item item;
    struct dp_bytes cose;
    uint64_t seq;
    uint8_t again[1024];
    size_t again_n = 0;
    if (n > sizeof again)
        return;
    if (checkpoint_read(p, n, &c) == DP_OK) {
        DP_ASSERT(checkpoint_write(&c, again, sizeof again, &again_n) == DP_OK);
        DP_ASSERT(again_n == n && memcmp(again, p, n) == 0);
    }
    if (epoch_read(p, n, &e) == DP_OK) {
        DP_ASSERT(epoch_write(&e, again, sizeof again, &again_n) == DP_OK);
        DP_ASSERT(again_n == n && memcmp(again, p, n) == 0);
    }
    if (signature_read(p, n, &seq, &cose) == DP_OK) {
        DP_ASSERT(signature_write(seq, cose, again, sizeof again, &again_n) == DP_OK);
        DP_ASSERT(again_n == n && memcmp(again, p, n) == 0);
    }
    if (side_item_read(p, n, &item) == DP_OK) {
        DP_ASSERT(side_item_write(&item, again, sizeof again, &again_n) == DP_OK);
        DP_ASSERT(again_n == n && memcmp(again, p, n) == 0);
    }
}

static void see_side(void *user, const struct dp_side_found *found)
{
    size_t *bytes = user;
    DP_ASSERT(found->generation == 7 && found->kind >= 1 && found->kind <= 4);
    DP_ASSERT((found->kind == 3) == (found->wrapped.n == 0));
    *bytes += found->wrapped.n + 1;
}

/* A store that nobody writes any more: what is whole in it is told, and no more than there is. */
static void look_at_side(const uint8_t *p, size_t n)
{
    const struct dp_store store = {&ops, NULL};
    static const uint8_t journal[16];
    static uint8_t file[1];
    size_t bytes = 0;
    side = (struct dp_bytes){n > 0 ? p : file, n};
    files_n = 1;
    DP_ASSERT(dp_side_look(&store, journal, see_side, &bytes) == DP_OK);
    DP_ASSERT(bytes <= n);
    side.p = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 6) {
    case 0:
        header(data + 1, size - 1);
        return 0;
    case 1:
        frames(data + 1, size - 1);
        return 0;
    case 2:
        bodies(data + 1, size - 1);
        return 0;
    case 5:
        look_at_side(data + 1, size - 1);
        return 0;
    case 3:
        as_on_disk(data + 1, size - 1);
        break;
    default:
        from_frames(data + 1, size - 1);
        break;
    }
    verify(true);
    verify(false);
    return 0;
}
