/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/reader.h"

#include "scan.h"
#include "segment.h"
#include "totals.h"

static const uint8_t magic[8] = "DPSNAP1\n";

/* ---- the form ---- */

static void write_totals(const struct dp_totals *t, struct dp_writer *w)
{
    struct dp_writer inner;
    uint8_t bytes[SNAPSHOT_HEAD_MAX / 4];
    dp_writer_init(&inner, bytes, sizeof bytes);
    totals_write(&inner, t);
    DP_ASSERT(inner.err == DP_OK);
    dp_write_u32(w, (uint32_t)inner.n);
    dp_write_bytes(w, bytes, inner.n);
}

static void write_epoch(const struct epoch *e, struct dp_writer *w)
{
    uint8_t bytes[BODY_BYTES_MAX];
    size_t n = 0;
    int err = epoch_write(e, bytes, sizeof bytes, &n);
    if (err != DP_OK) {
        (void)dp_writer_fail(w, err);
        return;
    }
    dp_write_u32(w, (uint32_t)n);
    dp_write_bytes(w, bytes, n);
}

void snapshot_write_head(const struct snapshot *s, struct dp_writer *w)
{
    dp_write_bytes(w, magic, sizeof magic);
    dp_write_u32(w, 0); /* incompatible features */
    dp_write_u64(w, s->tree.size);
    dp_write_bytes(w, s->journal, sizeof s->journal);
    dp_write_u32(w, s->segment);
    dp_write_u32(w, s->offset);
    dp_write_u32(w, s->shred_generation);
    dp_write_u64(w, s->acked);
    dp_write_u64(w, s->checkpoints);
    dp_write_u64(w, s->last.seq);
    dp_write_u64(w, s->last.before_size);
    dp_write_bytes(w, s->last.before, sizeof s->last.before);
    dp_write_bytes(w, s->last.digest, sizeof s->last.digest);
    dp_write_bytes(w, s->leaf, sizeof s->leaf);
    for (unsigned i = 0; i < TREE_DEPTH_MAX; i++)
        if ((s->tree.size >> i & 1) != 0)
            dp_write_bytes(w, s->tree.peak[i], HASH_BYTES);
    write_totals(&s->totals, w);
    write_epoch(&s->epoch, w);
    dp_write_u32(w, (uint32_t)s->ledger.n);
    dp_write_u32(w, (uint32_t)s->owner.n);
}

static void read_peaks(struct dp_reader *r, struct tree *t)
{
    for (unsigned i = 0; i < TREE_DEPTH_MAX; i++)
        if ((t->size >> i & 1) != 0)
            dp_read_copy(r, t->peak[i], HASH_BYTES);
}

static void read_totals(struct dp_reader *r, struct dp_totals *t)
{
    struct dp_reader inner = dp_read_sub(r, dp_read_u32(r));
    totals_read(&inner, t);
    if (r->err == DP_OK && dp_reader_finish(&inner) != DP_OK)
        (void)dp_reader_fail(r, dp_reader_finish(&inner));
}

static void read_epoch(struct dp_reader *r, struct epoch *e)
{
    struct dp_bytes b = dp_read_bytes(r, dp_read_u32(r));
    int err = r->err == DP_OK ? epoch_read(b.p, b.n, e) : r->err;
    if (err != DP_OK)
        (void)dp_reader_fail(r, err);
}

/* A place that a scan may go on from. */
static bool possible(const struct snapshot *s)
{
    return s->tree.size > 0 && s->last.seq < s->tree.size && s->acked <= s->tree.size &&
           s->last.before_size <= s->last.seq && s->segment >= 1 &&
           s->segment <= DP_JOURNAL_SEGMENTS_MAX && s->offset >= SEGMENT_HEADER_BYTES &&
           s->offset <= DP_JOURNAL_SEGMENT_BYTES && s->offset % 8 == 0 && s->checkpoints > 0 &&
           s->checkpoints <= s->tree.size;
}

static struct dp_bytes aad(void)
{
    static const uint8_t text[] = "doorpay snapshot 1";
    return (struct dp_bytes){text, sizeof text - 1};
}

int snapshot_sign(struct dp_writer *w, const uint8_t identity[65], dp_cose_sign_fn *sign, void *ctx)
{
    uint8_t digest[HASH_BYTES], kid[DP_COSE_KID_BYTES], cose[SNAPSHOT_SIGNATURE_MAX - 4];
    size_t n = 0;
    int err = w->err;
    if (err == DP_OK)
        err = hash_parts(&(struct dp_bytes){w->p, w->n}, 1, digest);
    if (err == DP_OK)
        err = dp_cose_key_id(identity, kid);
    if (err == DP_OK)
        err = dp_cose_sign1(sign, ctx, kid, aad(), (struct dp_bytes){digest, sizeof digest}, cose,
                            sizeof cose, &n);
    if (err != DP_OK)
        return err;
    dp_write_u32(w, (uint32_t)n);
    dp_write_bytes(w, cose, n);
    return w->err;
}

static void read_binding(struct dp_reader *r, struct binding *b)
{
    int err;
    b->seq = dp_read_u64(r);
    b->before_size = dp_read_u64(r);
    dp_read_copy(r, b->before, sizeof b->before);
    dp_read_copy(r, b->digest, sizeof b->digest);
    err = hash_extend(b->before, b->digest, b->after);
    if (err != DP_OK)
        (void)dp_reader_fail(r, err);
}

static void read_body(struct dp_reader *r, struct snapshot *out)
{
    out->tree.size = dp_read_u64(r);
    dp_read_copy(r, out->journal, sizeof out->journal);
    out->segment = dp_read_u32(r);
    out->offset = dp_read_u32(r);
    out->shred_generation = dp_read_u32(r);
    out->acked = dp_read_u64(r);
    out->checkpoints = dp_read_u64(r);
    read_binding(r, &out->last);
    dp_read_copy(r, out->leaf, sizeof out->leaf);
    read_peaks(r, &out->tree);
    read_totals(r, &out->totals);
    read_epoch(r, &out->epoch);
    out->ledger.n = dp_read_u32(r);
    out->owner.n = dp_read_u32(r);
    out->ledger = dp_read_bytes(r, out->ledger.n);
    out->owner = dp_read_bytes(r, out->owner.n);
}

int snapshot_read(const uint8_t *p, size_t n, struct snapshot *out, size_t *signed_n,
                  struct dp_bytes *signature)
{
    struct dp_reader r;
    uint8_t start[sizeof magic];
    uint32_t features;
    memset(out, 0, sizeof *out);
    dp_reader_init(&r, p, n);
    dp_read_copy(&r, start, sizeof start);
    features = dp_read_u32(&r);
    if (r.err == DP_OK && (memcmp(start, magic, sizeof magic) != 0 || features != 0))
        return features != 0 ? DP_ERR_UNSUPPORTED : DP_ERR_FORMAT;
    read_body(&r, out);
    *signed_n = r.done;
    *signature = dp_read_bytes(&r, dp_read_u32(&r));
    if (dp_reader_finish(&r) != DP_OK)
        return dp_reader_finish(&r);
    return possible(out) ? DP_OK : DP_ERR_RANGE;
}

/* ---- the files ---- */

const char *snapshot_name(unsigned slot)
{
    static const char *const names[SNAPSHOT_SLOTS] = {"snapshot-0", "snapshot-1"};
    DP_ASSERT(slot < SNAPSHOT_SLOTS);
    return names[slot];
}

static int read_file(const struct dp_store *store, const char *path, uint8_t **bytes, size_t *n)
{
    uint64_t size = 0;
    int file;
    int err = store->ops->open(store->ctx, path, false, &file);
    *bytes = NULL;
    if (err != DP_OK)
        return err;
    err = store->ops->size(store->ctx, file, &size);
    if (err == DP_OK && (size == 0 || size > DP_JOURNAL_SNAPSHOT_MAX))
        err = DP_ERR_NOT_FOUND;
    if (err == DP_OK) {
        *bytes = malloc((size_t)size);
        err = *bytes == NULL ? DP_ERR_NOMEM : DP_OK;
    }
    if (err == DP_OK)
        err = store->ops->read_at(store->ctx, file, 0, *bytes, (size_t)size, n);
    store->ops->close(store->ctx, file);
    return err;
}

static int check_signature(const uint8_t *p, size_t n, struct dp_bytes signature,
                           const uint8_t identity[65])
{
    struct dp_cose_sign1_view v;
    uint8_t digest[HASH_BYTES];
    int err = dp_cose_sign1_parse(signature.p, signature.n, &v);
    if (err == DP_OK)
        err = hash_parts(&(struct dp_bytes){p, n}, 1, digest);
    if (err != DP_OK)
        return err;
    if (v.payload.n != sizeof digest || memcmp(v.payload.p, digest, sizeof digest) != 0)
        return DP_ERR_SIGNATURE;
    return dp_cose_verify(&v, aad(), identity);
}

/* How many records the file says it has; 0: it is none. */
static uint64_t claimed_size(const struct dp_store *store, const char *dir, unsigned slot)
{
    char path[DP_JOURNAL_NAME_MAX];
    uint8_t head[sizeof magic + 12];
    struct dp_reader r;
    size_t got = 0;
    int file;
    if (store->ops->open(store->ctx, journal_path(dir, snapshot_name(slot), path), false, &file) !=
        DP_OK)
        return 0;
    if (store->ops->read_at(store->ctx, file, 0, head, sizeof head, &got) != DP_OK)
        got = 0;
    store->ops->close(store->ctx, file);
    dp_reader_init(&r, head, got);
    dp_read_skip(&r, sizeof magic + 4);
    return dp_read_u64(&r);
}

static int load_slot(const struct dp_store *store, const char *dir, const uint8_t identity[65],
                     unsigned slot, uint8_t **bytes, struct snapshot *out)
{
    char path[DP_JOURNAL_NAME_MAX];
    struct dp_bytes signature;
    size_t n = 0, signed_n = 0;
    int err = read_file(store, journal_path(dir, snapshot_name(slot), path), bytes, &n);
    if (err == DP_OK)
        err = snapshot_read(*bytes, n, out, &signed_n, &signature);
    if (err == DP_OK)
        err = check_signature(*bytes, signed_n, signature, identity);
    if (err != DP_OK) {
        free(*bytes);
        *bytes = NULL;
    }
    return err;
}

int snapshot_load(const struct dp_store *store, const char *dir, const uint8_t identity[65],
                  unsigned *slot, uint8_t **bytes, struct snapshot *out)
{
    unsigned first = claimed_size(store, dir, 1) > claimed_size(store, dir, 0) ? 1 : 0;
    *bytes = NULL;
    for (unsigned i = 0; i < SNAPSHOT_SLOTS; i++) {
        int err;
        *slot = (first + i) % SNAPSHOT_SLOTS;
        err = load_slot(store, dir, identity, *slot, bytes, out);
        if (err == DP_OK)
            return DP_OK;
        if (err != DP_ERR_NOT_FOUND)
            dp_log(DP_LOG_WARNING, "journal: %s is not taken: %s", snapshot_name(*slot),
                   dp_strerr(err));
    }
    return DP_ERR_NOT_FOUND;
}
