/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one writer: records into a batch, a signature for the batch, one flush, then the anchor
 * (docs/PROTOCOL.journal, 6). After any failure to write nothing goes on.
 */
#include "writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/writer.h"

#include "totals.h"

#define SPARE "spare"

int journal_stop(struct dp_journal *j, const char *what, int err)
{
    DP_ASSERT(err < 0);
    if (!j->stopped)
        dp_log(DP_LOG_ERROR, "journal: %s: %s; nothing is written any more", what, dp_strerr(err));
    j->stopped = true;
    return err;
}

/* ---- segments ---- */

static int make_spare(struct dp_journal *j, int *file)
{
    const struct dp_store *store = &j->config.store;
    char path[DP_JOURNAL_NAME_MAX];
    int err =
        store->ops->create(store->ctx, journal_path(j->dir, SPARE, path), j->segment_bytes, file);
    if (err == DP_OK)
        err = store->ops->sync(store->ctx, *file);
    j->spare = err == DP_OK;
    return err;
}

/* The header is durable before the file has a segment's name: a segment never has a torn one. */
int journal_next_segment(struct dp_journal *j)
{
    const struct dp_store *store = &j->config.store;
    const struct dp_random *random = j->config.random;
    struct segment_header h;
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    char name[SEGMENT_NAME_BYTES], from[DP_JOURNAL_NAME_MAX], to[DP_JOURNAL_NAME_MAX];
    int file = -1;
    int err = j->spare
                  ? store->ops->open(store->ctx, journal_path(j->dir, SPARE, from), true, &file)
                  : make_spare(j, &file);
    memset(&h, 0, sizeof h);
    h.number = j->number + 1;
    h.bytes = j->segment_bytes;
    h.first_seq = j->flushed;
    memcpy(h.prev_leaf, j->flushed_leaf, sizeof h.prev_leaf);
    memcpy(h.journal, j->id, sizeof h.journal);
    if (err == DP_OK)
        err = random->fill(random->ctx, h.salt, sizeof h.salt);
    if (err == DP_OK) {
        segment_header_write(&h, bytes);
        err = store->ops->write_at(store->ctx, file, 0, bytes, sizeof bytes);
    }
    if (err == DP_OK)
        err = store->ops->sync(store->ctx, file);
    segment_name(h.number, name);
    if (err == DP_OK)
        err = store->ops->rename(store->ctx, journal_path(j->dir, SPARE, from),
                                 journal_path(j->dir, name, to));
    if (err == DP_OK)
        err = store->ops->sync_dir(store->ctx, j->dir);
    if (err != DP_OK) {
        store->ops->close(store->ctx, file);
        return err;
    }
    store->ops->close(store->ctx, j->file);
    j->file = file;
    j->spare = false;
    j->number = h.number;
    j->offset = SEGMENT_HEADER_BYTES;
    memcpy(j->salt, h.salt, sizeof j->salt);
    return DP_OK;
}

/* ---- the disk reserve ---- */

static size_t segment_left(const struct dp_journal *j)
{
    size_t used = j->offset + j->batch_frames_n;
    return used < j->segment_bytes ? j->segment_bytes - used : 0;
}

static int ask_room(const struct dp_journal *j)
{
    const struct dp_store *store = &j->config.store;
    uint64_t needed = j->config.reserve_bytes, free_bytes = 0;
    int err = store->ops->space(store->ctx, &free_bytes);
    if (err != DP_OK)
        return err;
    if (!j->spare && segment_left(j) < DP_JOURNAL_PAYMENT_BYTES)
        needed += j->segment_bytes;
    return free_bytes < needed ? DP_ERR_FULL : DP_OK;
}

bool dp_journal_has_room(const struct dp_journal *j)
{
    return !j->stopped && !j->closed && !j->tampered && ask_room(j) == DP_OK;
}

/* What begins a payment finds the space for its end taken already. */
static int take_room(struct dp_journal *j)
{
    const struct dp_store *store = &j->config.store;
    int file = -1;
    int err = ask_room(j);
    if (err != DP_OK || j->spare || segment_left(j) >= DP_JOURNAL_PAYMENT_BYTES)
        return err;
    err = make_spare(j, &file);
    if (file >= 0)
        store->ops->close(store->ctx, file);
    return err;
}

/* ---- appending ---- */

static void fill_own(struct dp_journal *j, struct dp_record *r)
{
    const struct dp_clock *clock = j->config.clock;
    int64_t wall = clock->wall_ms(clock->ctx), mono = clock->mono_ms(clock->ctx);
    r->seq = j->tree.size;
    memcpy(r->prev, j->leaf, sizeof r->prev);
    memcpy(r->journal, j->id, sizeof r->journal);
    memcpy(r->boot, j->boot, sizeof r->boot);
    r->wall_ms = wall > 0 ? (uint64_t)wall : 0;
    r->mono_ms = mono > 0 ? (uint64_t)mono : 0;
    r->clock = clock->quality(clock->ctx);
    r->has_totals = totals_concern(r->type);
    r->totals = j->totals;
    totals_add(&r->totals, r);
    r->degraded = j->degraded && r->type == DP_RECORD_OUTCOME;
}

/* Bytes of frames that one flush may have. */
static size_t batch_max(const struct dp_journal *j)
{
    size_t most = j->segment_bytes - SEGMENT_HEADER_BYTES;
    return most < sizeof j->frames ? most : sizeof j->frames;
}

static size_t signature_frame(const struct dp_journal *j)
{
    return j->signature_n > 0 ? frame_bytes(j->signature_n) : 0;
}

/* What binds a batch finds its place in it, whatever else was appended: this much stays free behind
 * a record of the type. */
static size_t kept_free(enum dp_record_type type)
{
    size_t n = frame_bytes(SIGNATURE_FRAME_MAX);
    if (type == DP_RECORD_CHECKPOINT)
        return n;
    n += frame_bytes(CHECKPOINT_RECORD_MAX);
    if (type == DP_RECORD_DEGRADED_ON || type == DP_RECORD_DEGRADED_OFF)
        return n;
    return n + frame_bytes(DEGRADED_RECORD_MAX);
}

static int encode(struct dp_journal *j, struct dp_record *r, uint8_t *payload, size_t *n)
{
    fill_own(j, r);
    return dp_record_encode(r, payload, DP_JOURNAL_RECORD_MAX, n);
}

/* What a scan would know behind r. Without it there are no more snapshots, and nothing else. */
static void follow(struct dp_journal *j, const struct dp_record *r)
{
    const char *why;
    if (r->type == DP_RECORD_SHRED)
        j->shred_generation = r->shred.new_generation;
    if (r->type == DP_RECORD_CHECKPOINT) {
        j->checkpoints++;
        j->last.before_size = j->last.seq + (j->checkpoints > 1);
        j->last.seq = r->seq;
    }
    if (j->ledger == NULL || ledger_see(j->ledger, r, &why) == DP_OK)
        return;
    dp_log(DP_LOG_WARNING, "journal: no snapshot is made any more: too many payments to follow");
    ledger_free(&j->ledger);
}

/* What a reader believes without a signature: docs/PROTOCOL.journal, 3. */
static bool owes_for(const struct dp_journal *j, enum dp_record_type type)
{
    return type == DP_RECORD_INTENT ? j->begun
           : type == DP_RECORD_VOID ? !j->keyless
                                    : type != DP_RECORD_RECOVERY;
}

static int chain(struct dp_journal *j, const struct dp_record *r, struct dp_bytes payload)
{
    struct dp_writer w;
    int err = tree_leaf_hash(payload, j->leaf);
    if (err == DP_OK)
        err = tree_append(&j->tree, j->leaf);
    if (err != DP_OK)
        return journal_stop(j, "hash of a record", err);
    dp_writer_init(&w, j->batch + j->batch_n, sizeof j->batch - j->batch_n);
    dp_write_u32(&w, (uint32_t)payload.n);
    dp_write_bytes(&w, payload.p, payload.n);
    DP_ASSERT(w.err == DP_OK); /* 4 bytes of length against 12 of a frame's header */
    j->batch_n += w.n;
    j->batch_frames_n += frame_bytes(payload.n);
    j->owes |= owes_for(j, r->type);
    j->begun = r->type == DP_RECORD_INTENT || (j->begun && r->type != DP_RECORD_CHECKPOINT);
    totals_add(&j->totals, r);
    if (r->type == DP_RECORD_OUTCOME) {
        j->has_outcome = true;
        memcpy(j->outcome_tx, r->tx, sizeof j->outcome_tx);
    }
    follow(j, r);
    if (j->each != NULL)
        j->each(j->user, r);
    return DP_OK;
}

int journal_put_in(struct dp_journal *j, struct dp_record *r)
{
    uint8_t payload[DP_JOURNAL_RECORD_MAX];
    size_t n = 0;
    int err = encode(j, r, payload, &n);
    if (err != DP_OK)
        return err;
    if (j->batch_frames_n + frame_bytes(n) + kept_free(r->type) > batch_max(j))
        return DP_ERR_LIMIT;
    return chain(j, r, (struct dp_bytes){payload, n});
}

int journal_put(struct dp_journal *j, struct dp_record *r)
{
    int err;
    if (j->stopped)
        return DP_ERR_STATE;
    err = journal_put_in(j, r);
    if (err != DP_ERR_LIMIT || j->batch_n == 0)
        return err;
    err = dp_journal_flush(j); /* the batch is full */
    return err == DP_OK ? journal_put_in(j, r) : err;
}

static bool writers_own(enum dp_record_type type)
{
    return type == DP_RECORD_OPEN || type == DP_RECORD_CHECKPOINT || type == DP_RECORD_KEY_ROTATE ||
           type == DP_RECORD_RECOVERY || type == DP_RECORD_SHRED || type == DP_RECORD_CLOSE ||
           type == DP_RECORD_DEGRADED_ON || type == DP_RECORD_DEGRADED_OFF ||
           type == DP_RECORD_UPLOAD_ACK;
}

int dp_journal_append(struct dp_journal *j, struct dp_record *r)
{
    int err = DP_OK;
    if (j->stopped || j->closed)
        return DP_ERR_STATE;
    if (writers_own(r->type))
        return DP_ERR_ARG;
    if (j->tampered && r->type == DP_RECORD_INTENT)
        return DP_ERR_TAMPERED;
    if (j->keyless && r->type != DP_RECORD_VOID)
        return DP_ERR_STATE;
    if (r->type == DP_RECORD_INTENT || r->type == DP_RECORD_EVIDENCE)
        err = take_room(j);
    if (err == DP_ERR_FULL)
        return err;
    if (err != DP_OK)
        return journal_stop(j, "space on the disk", err);
    return journal_put(j, r);
}

/* ---- flushing ---- */

static void write_frames(struct dp_journal *j, struct dp_writer *w)
{
    uint64_t seq = j->flushed;
    dp_writer_init(w, j->frames, sizeof j->frames);
    for (size_t at = 0; at < j->batch_n; seq++) {
        const uint8_t *p = j->batch + at;
        uint32_t n = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        frame_write(w, j->salt, seq, j->offset, (struct dp_bytes){p + 4, n});
        at += 4 + n;
    }
    if (j->signature_n > 0)
        frame_write(w, j->salt, seq - 1, j->offset,
                    (struct dp_bytes){j->signature, j->signature_n});
    DP_ASSERT(w->err == DP_OK && seq == j->tree.size);
}

int journal_flush_batch(struct dp_journal *j)
{
    const struct dp_store *store = &j->config.store;
    struct dp_writer w;
    int err = side_flush(j);
    if (err != DP_OK || j->batch_n == 0)
        return err;
    if (j->batch_frames_n + signature_frame(j) > j->segment_bytes - j->offset)
        err = journal_next_segment(j);
    if (err != DP_OK)
        return err;
    write_frames(j, &w);
    err = store->ops->write_at(store->ctx, j->file, j->offset, w.p, w.n);
    if (err == DP_OK)
        err = store->ops->sync(store->ctx, j->file);
    if (err != DP_OK)
        return err;
    j->offset += (uint32_t)w.n;
    j->flushed = j->tree.size;
    memcpy(j->flushed_leaf, j->leaf, sizeof j->flushed_leaf);
    j->batch_n = 0;
    j->batch_frames_n = 0;
    j->signature_n = 0;
    j->owes = false;
    return DP_OK;
}

/* ---- binding ---- */

int journal_put_checkpoint(struct dp_journal *j, uint8_t digest[HASH_BYTES])
{
    const struct dp_clock *clock = j->config.clock;
    int64_t wall = clock->wall_ms(clock->ctx);
    struct checkpoint c;
    size_t n = 0;
    int err;
    memset(&c, 0, sizeof c);
    memcpy(c.journal, j->id, sizeof c.journal);
    c.size = j->tree.size;
    err = tree_root(&j->tree, c.root);
    memcpy(c.last_leaf, j->leaf, sizeof c.last_leaf);
    memcpy(c.before, j->anchor, sizeof c.before);
    c.totals = j->totals;
    memcpy(c.kid, j->epoch.kid, sizeof c.kid);
    memcpy(c.software, j->config.software_digest, sizeof c.software);
    c.wall_ms = wall > 0 ? (uint64_t)wall : 0;
    memset(&j->body, 0, sizeof j->body);
    j->body.type = DP_RECORD_CHECKPOINT;
    if (err == DP_OK)
        err = checkpoint_write(&c, j->body.body, sizeof j->body.body, &n);
    j->body.body_n = (uint16_t)n;
    if (err == DP_OK)
        err = hash_parts(&(struct dp_bytes){j->body.body, n}, 1, digest);
    if (err == DP_OK)
        err = journal_put_in(j, &j->body);
    if (err != DP_OK)
        return err;
    memcpy(j->last.before, c.before, sizeof j->last.before);
    memcpy(j->last.digest, digest, sizeof j->last.digest);
    return DP_OK;
}

int journal_extend(struct dp_journal *j, const uint8_t digest[HASH_BYTES])
{
    uint8_t should[HASH_BYTES], is[HASH_BYTES];
    int err = hash_extend(j->anchor, digest, should);
    if (err == DP_OK && j->caps.anchor) {
        err = dp_hsm_anchor_extend(j->config.hsm, digest, is);
        if (err == DP_OK && memcmp(is, should, sizeof is) != 0)
            err = DP_ERR_ROLLBACK; /* somebody else extends this token */
    }
    if (err == DP_OK)
        memcpy(j->anchor, should, sizeof j->anchor);
    return err;
}

static int sign_epoch(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    return dp_hsm_sign(ctx, DP_KEY_JOURNAL_EPOCH, digest, signature);
}

int journal_sign(struct dp_journal *j)
{
    uint8_t cose[SIGNATURE_FRAME_MAX];
    size_t n = 0;
    int err = dp_cose_sign1(sign_epoch, j->config.hsm, j->epoch.kid, checkpoint_aad(),
                            (struct dp_bytes){j->body.body, j->body.body_n}, cose, sizeof cose, &n);
    if (err == DP_OK)
        err = signature_write(j->body.seq, (struct dp_bytes){cose, n}, j->signature,
                              sizeof j->signature, &j->signature_n);
    return err;
}

int journal_bind(struct dp_journal *j)
{
    uint8_t digest[HASH_BYTES];
    /* before anything is written: an honest journal must not look like a forged one */
    int err = journal_may_miss(j) ? journal_put_checkpoint(j, digest) : DP_ERR_LIMIT;
    /* what is on the disk without a signature anybody may have written there */
    if (err == DP_OK)
        err = journal_sign(j);
    if (err == DP_OK)
        err = journal_flush_batch(j);
    return err == DP_OK ? journal_follow(j, digest) : err;
}

static int flush(struct dp_journal *j)
{
    int err = journal_flush_batch(j);
    return err == DP_OK ? DP_OK : journal_stop(j, "flush", err);
}

int dp_journal_checkpoint(struct dp_journal *j)
{
    int err;
    if (j->stopped)
        return DP_ERR_STATE;
    if (j->bound_size == j->tree.size || j->keyless)
        return flush(j); /* everything is bound; the side store may wait for its flush */
    err = journal_bind(j);
    if (err == DP_OK && j->say_on) { /* the anchor died just now: that is on record before anything
                                        is answered */
        err = journal_say_degraded(j);
        if (err == DP_OK)
            err = journal_bind(j);
    }
    if (err != DP_OK)
        return journal_stop(j, "checkpoint", err);
    j->bound_size = j->tree.size;
    j->has_outcome = false;
    return DP_OK;
}

int dp_journal_flush(struct dp_journal *j)
{
    if (j->stopped)
        return DP_ERR_STATE;
    return j->owes ? dp_journal_checkpoint(j) : flush(j);
}

/* ---- epochs ---- */

static int sign_identity(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    return dp_hsm_sign(ctx, DP_KEY_JOURNAL_IDENTITY, digest, signature);
}

int journal_put_epoch(struct dp_journal *j, enum dp_record_type type)
{
    struct dp_hsm *hsm = j->config.hsm;
    struct epoch *e = &j->epoch;
    size_t n = 0;
    int err = dp_hsm_epoch_new(hsm, &e->number);
    if (err == DP_OK)
        err = dp_hsm_public(hsm, DP_KEY_JOURNAL_EPOCH, e->point);
    if (err == DP_OK)
        err = dp_hsm_public(hsm, DP_KEY_JOURNAL_IDENTITY, e->identity);
    if (err == DP_OK)
        err = epoch_certify(e, j->id, sign_identity, hsm);
    memset(&j->own, 0, sizeof j->own);
    j->own.type = type;
    if (err == DP_OK)
        err = epoch_write(e, j->own.body, sizeof j->own.body, &n);
    j->own.body_n = (uint16_t)n;
    return err == DP_OK ? journal_put(j, &j->own) : err;
}

/* The old key signs everything it has to before it is destroyed by the new one. */
int dp_journal_rotate(struct dp_journal *j)
{
    int err;
    if (j->stopped || j->closed || j->degraded || j->keyless)
        return DP_ERR_STATE;
    err = dp_journal_checkpoint(j);
    if (err == DP_OK && j->degraded)
        err = DP_ERR_STATE;
    if (err != DP_OK)
        return err;
    err = journal_put_epoch(j, DP_RECORD_KEY_ROTATE);
    if (err != DP_OK)
        return journal_stop(j, "new epoch key", err);
    err = dp_journal_checkpoint(j);
    return err == DP_OK ? dp_journal_snapshot(j) : err;
}

int journal_finish_close(struct dp_journal *j)
{
    int err = dp_journal_checkpoint(j);
    if (err != DP_OK)
        return err;
    err = dp_hsm_epoch_destroy(j->config.hsm);
    return err == DP_OK ? DP_OK : journal_stop(j, "end of the epoch key", err);
}

int dp_journal_close_round(struct dp_journal *j)
{
    int err;
    if (j->stopped || j->closed || j->degraded || j->keyless)
        return DP_ERR_STATE;
    memset(&j->own, 0, sizeof j->own);
    j->own.type = DP_RECORD_CLOSE;
    err = journal_put(j, &j->own);
    if (err != DP_OK)
        return journal_stop(j, "close", err);
    j->closed = true;
    return journal_finish_close(j);
}

/* ---- the rest ---- */

void dp_journal_id(const struct dp_journal *j, uint8_t id[16])
{
    memcpy(id, j->id, sizeof j->id);
}

void dp_journal_totals(const struct dp_journal *j, struct dp_totals *out)
{
    *out = j->totals;
}

void dp_journal_abandon(struct dp_journal **jj)
{
    if (*jj != NULL)
        (*jj)->stopped = true;
    dp_journal_free(jj);
}

/* A clean end leaves nothing unbound behind. */
void dp_journal_free(struct dp_journal **jj)
{
    struct dp_journal *j = *jj;
    const struct dp_store *store;
    if (j == NULL)
        return;
    store = &j->config.store;
    if (!j->stopped && !j->closed && !j->keyless && j->file >= 0 &&
        dp_journal_checkpoint(j) != DP_OK)
        dp_log(DP_LOG_WARNING, "journal: its end is not bound; the next start sees to it");
    side_close(j);
    journal_recheck_end(j);
    ledger_free(&j->ledger);
    store->ops->close(store->ctx, j->file);
    store->ops->close(store->ctx, j->lock);
    store->ops->close(store->ctx, j->root_lock);
    free(j);
    *jj = NULL;
}
