/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots, docs/PROTOCOL.journal, 13: making one, opening from one, and the look through what
 * opening from one has not read.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "writer.h"

/* ---- making one ---- */

static size_t owner_bytes_max(const struct dp_journal *j)
{
    const struct dp_journal_state_ops *o = j->config.state;
    return o == NULL ? 0 : o->bytes_max(j->user);
}

static void state_of(const struct dp_journal *j, struct snapshot *s)
{
    memset(s, 0, sizeof *s);
    memcpy(s->journal, j->id, sizeof s->journal);
    s->tree = j->tree;
    memcpy(s->leaf, j->leaf, sizeof s->leaf);
    s->checkpoints = j->checkpoints;
    s->last = j->last;
    s->totals = j->totals;
    s->epoch = j->epoch;
    s->shred_generation = j->shred_generation;
    s->acked = j->acked;
    s->segment = j->number;
    s->offset = j->offset;
    s->ledger.n = ledger_saved_bytes(j->ledger);
}

static int sign_identity(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    return dp_hsm_sign(ctx, DP_KEY_JOURNAL_IDENTITY, digest, signature);
}

/* The owner's length stands before its bytes, which stand last: they are written first, at the end
 * of the space, and moved. */
static int make(struct dp_journal *j, uint8_t *bytes, size_t max, size_t *n)
{
    const struct dp_journal_state_ops *o = j->config.state;
    size_t owner_max = owner_bytes_max(j);
    uint8_t *owner = bytes + max - owner_max;
    struct snapshot s;
    struct dp_writer w;
    int err;
    state_of(j, &s);
    if (o != NULL) {
        err = o->save(j->user, owner, owner_max, &s.owner.n);
        if (err != DP_OK)
            return err;
    }
    dp_writer_init(&w, bytes, max - owner_max);
    snapshot_write_head(&s, &w);
    ledger_save(j->ledger, &w);
    if (w.err != DP_OK)
        return w.err;
    memmove(bytes + w.n, owner, s.owner.n);
    w.n += s.owner.n;
    w.max = max;
    err = snapshot_sign(&w, j->epoch.identity, sign_identity, j->config.hsm);
    *n = w.n;
    return err;
}

/* A crash leaves less than a snapshot, or one more: neither harms. */
static int store_file(struct dp_journal *j, unsigned slot, const uint8_t *bytes, size_t n)
{
    const struct dp_store *store = &j->config.store;
    char path[DP_JOURNAL_NAME_MAX];
    int file = -1;
    int err = store->ops->remove(store->ctx, journal_path(j->dir, snapshot_name(slot), path));
    if (err == DP_OK || err == DP_ERR_NOT_FOUND)
        err = store->ops->create(store->ctx, path, 0, &file);
    if (err == DP_OK)
        err = store->ops->write_at(store->ctx, file, 0, bytes, n);
    if (err == DP_OK)
        err = store->ops->sync(store->ctx, file);
    store->ops->close(store->ctx, file);
    if (err == DP_OK)
        err = store->ops->sync_dir(store->ctx, j->dir);
    if (err == DP_ERR_FULL && store->ops->remove(store->ctx, path) != DP_OK)
        dp_log(DP_LOG_WARNING, "journal: half a snapshot is left");
    return err;
}

static bool has_space(const struct dp_journal *j, size_t n)
{
    const struct dp_store *store = &j->config.store;
    uint64_t free_bytes = 0;
    return store->ops->space(store->ctx, &free_bytes) == DP_OK &&
           free_bytes > j->config.reserve_bytes + j->segment_bytes + n;
}

static int write_snapshot(struct dp_journal *j)
{
    unsigned slot = (j->snapshot_slot + 1) % SNAPSHOT_SLOTS;
    size_t max = SNAPSHOT_HEAD_MAX + ledger_saved_bytes(j->ledger) + SNAPSHOT_SIGNATURE_MAX +
                 owner_bytes_max(j);
    uint8_t *bytes = max > DP_JOURNAL_SNAPSHOT_MAX || !has_space(j, max) ? NULL : malloc(max);
    size_t n = 0;
    int err = bytes == NULL ? DP_ERR_FULL : DP_OK;
    if (err == DP_OK)
        err = make(j, bytes, max, &n);
    if (err == DP_OK)
        err = store_file(j, slot, bytes, n);
    free(bytes);
    /* when the next one is due: without space not at each call */
    j->snapshot_size = j->tree.size;
    if (err == DP_OK)
        j->snapshot_slot = slot;
    if (err == DP_ERR_FULL || err == DP_ERR_LIMIT || err == DP_ERR_SPACE) {
        dp_log(DP_LOG_WARNING, "journal: no snapshot of %zu bytes: %s", max, dp_strerr(err));
        return DP_OK;
    }
    return err;
}

/* While it is degraded the anchor says nothing of the end, and a snapshot would. */
static bool can_be_made(const struct dp_journal *j)
{
    return j->snapshots && j->ledger != NULL && !j->degraded && !j->say_on && !j->say_off;
}

int dp_journal_snapshot(struct dp_journal *j)
{
    int err;
    if (j->stopped || j->closed)
        return DP_ERR_STATE;
    if (!can_be_made(j))
        return DP_OK;
    err = dp_journal_checkpoint(j);
    if (err != DP_OK || !can_be_made(j))
        return err;
    DP_ASSERT(j->batch_n == 0 && j->flushed == j->tree.size);
    err = write_snapshot(j);
    if (err != DP_OK)
        return journal_stop(j, "snapshot", err);
    if (ledger_reserve(j->ledger, DP_JOURNAL_LEDGER_RESERVE) != DP_OK)
        ledger_free(&j->ledger);
    return DP_OK;
}

bool dp_journal_snapshot_due(const struct dp_journal *j)
{
    return can_be_made(j) && !j->stopped && !j->closed &&
           j->tree.size - j->snapshot_size >= DP_JOURNAL_SNAPSHOT_EVERY;
}

/* ---- opening from one ---- */

/* The last thing that may fail without harm. */
static int restore_owner(const struct dp_journal *j, struct dp_bytes owner)
{
    const struct dp_journal_state_ops *o = j->config.state;
    if (o == NULL)
        return DP_OK;
    return o->restore(j->user, owner.p, owner.n);
}

/* Everything that may fall back to a whole scan, before the owner is told anything. */
static int resume_to(struct dp_journal *j, struct scan *s, uint8_t **bytes, struct snapshot *from)
{
    uint8_t identity[65];
    int err = dp_hsm_public(j->config.hsm, DP_KEY_JOURNAL_IDENTITY, identity);
    if (err == DP_OK)
        err = snapshot_load(&j->config.store, j->dir, identity, &j->snapshot_slot, bytes, from);
    if (err == DP_ERR_NOT_FOUND)
        return err;
    if (err == DP_OK)
        err = scan_resume(s, j->dir, from);
    if (err == DP_OK)
        err = restore_owner(j, from->owner);
    if (err != DP_OK)
        dp_log(DP_LOG_WARNING, "journal: its snapshot is not taken: %s", dp_strerr(err));
    return err;
}

static void begin_recheck(struct dp_journal *j, const struct snapshot *from)
{
    struct dp_verify_options *o = &j->recheck_to;
    memset(o, 0, sizeof *o);
    o->has_head = true;
    o->head_size = from->tree.size;
    memcpy(o->head_journal, from->journal, sizeof o->head_journal);
    memcpy(o->head_anchor, from->last.after, sizeof o->head_anchor);
    if (tree_root(&from->tree, o->head_root) != DP_OK)
        return;
    j->recheck_next = 1;
    j->recheck_last = from->segment;
}

int journal_resume(struct dp_journal *j, struct scan **out)
{
    struct snapshot from;
    struct scan *s = NULL;
    uint8_t *bytes = NULL;
    int err;
    *out = NULL;
    if (!j->snapshots)
        return DP_OK;
    err = scan_new(&j->config.store, &j->own_identity, NULL, NULL, &s);
    if (err != DP_OK)
        return err;
    if (resume_to(j, s, &bytes, &from) != DP_OK)
        goto out;
    s->each = j->each;
    s->user = j->user;
    s->bound_elsewhere = j->caps.anchor && j->anchor_err == DP_OK;
    j->snapshot_size = from.tree.size;
    begin_recheck(j, &from);
    err = scan_go_on(s);
    *out = s;
    s = NULL;
out:
    free(bytes);
    scan_free(&s);
    return err;
}

/* ---- what opening did not read ---- */

void journal_recheck_end(struct dp_journal *j)
{
    scan_free(&j->recheck);
    j->recheck_next = 0;
}

/* The next start shall read everything, and find the same. */
static void forget_snapshots(struct dp_journal *j)
{
    const struct dp_store *store = &j->config.store;
    char path[DP_JOURNAL_NAME_MAX];
    for (unsigned slot = 0; slot < SNAPSHOT_SLOTS; slot++) {
        int err = store->ops->remove(store->ctx, journal_path(j->dir, snapshot_name(slot), path));
        if (err != DP_OK && err != DP_ERR_NOT_FOUND)
            dp_log(DP_LOG_WARNING, "journal: %s stays: %s", path, dp_strerr(err));
    }
    ledger_free(&j->ledger); /* and none is made any more */
}

static int found(struct dp_journal *j)
{
    const struct scan *s = j->recheck;
    dp_log(DP_LOG_ERROR, "journal: %s: %s (segment %u, offset %llu)",
           s->rule != NULL ? s->rule : "head-mismatch",
           s->rule != NULL ? s->words : "what stands before its snapshot is not what was there",
           s->rule != NULL ? s->found_segment : j->recheck_last,
           (unsigned long long)s->found_offset);
    j->tampered = true;
    forget_snapshots(j);
    journal_recheck_end(j);
    return DP_ERR_TAMPERED;
}

/* What could not be read may be readable later. A scan that ended in the middle of a segment cannot
 * go on: from the first one again. */
static int again(struct dp_journal *j, int err, bool *more)
{
    scan_free(&j->recheck);
    j->recheck_next = 1;
    *more = true;
    return err;
}

int dp_journal_recheck(struct dp_journal *j, bool *more)
{
    int err = DP_OK;
    *more = false;
    if (j->stopped || j->recheck_next == 0)
        return j->tampered ? DP_ERR_TAMPERED : DP_OK;
    if (j->recheck == NULL) {
        err = scan_new(&j->config.store, &j->recheck_to, NULL, NULL, &j->recheck);
        if (err == DP_OK)
            err = scan_begin(j->recheck, j->dir);
        if (err == DP_OK)
            j->recheck->bound_elsewhere = true;
    }
    if (err == DP_OK)
        err = scan_segment(j->recheck, j->recheck_next);
    if (err != DP_OK)
        return again(j, err, more);
    if (j->recheck->rule != NULL)
        return found(j);
    if (j->recheck_next < j->recheck_last) {
        j->recheck_next++;
        *more = true;
        return DP_OK;
    }
    if (!j->recheck->head_seen)
        return found(j);
    journal_recheck_end(j);
    return DP_OK;
}
