/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the journal for writing: what is on disk held against the token, recovery, or a new one.
 */
#include "writer.h"

#include <stdlib.h>
#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "base/log.h"

#define BEGIN  "begin"  /* a journal that is being made; a crash leaves nothing that counts */
#define CLOSED "closed" /* journals whose round is over */

static const uint8_t zeros[HASH_BYTES];

/* ---- a new journal ---- */

static void remove_left(void *user, const char *name)
{
    const struct dp_store *store = user;
    char path[DP_JOURNAL_NAME_MAX];
    if (strcmp(name, "side") == 0)
        return; /* a directory, and still empty */
    if (store->ops->remove(store->ctx, journal_path(BEGIN, name, path)) != DP_OK)
        dp_log(DP_LOG_WARNING, "journal: %s/%s is in the way of a new one", BEGIN, name);
}

static int begin_dir(struct dp_journal *j)
{
    struct dp_store *store = &j->config.store;
    char path[DP_JOURNAL_NAME_MAX];
    int err = store->ops->make_dir(store->ctx, BEGIN);
    if (err == DP_OK)
        err = store->ops->list(store->ctx, BEGIN, remove_left, store);
    memcpy(j->dir, BEGIN, sizeof BEGIN);
    if (err == DP_OK)
        err = store->ops->make_dir(store->ctx, journal_path(BEGIN, "side", path));
    if (err == DP_OK)
        err = store->ops->lock(store->ctx, journal_path(BEGIN, "lock", path), &j->lock);
    return err;
}

/* OPEN and the first checkpoint are durable before the directory has its name: a journal that can
 * be seen is one that the anchor can be compared with. */
static int begin(struct dp_journal *j)
{
    const struct dp_store *store = &j->config.store;
    const struct dp_random *random = j->config.random;
    uint8_t digest[HASH_BYTES];
    char name[33];
    int err = random->fill(random->ctx, j->id, sizeof j->id);
    if (err == DP_OK)
        err = ledger_new(&j->ledger);
    if (err == DP_OK)
        err = ledger_reserve(j->ledger, DP_JOURNAL_LEDGER_RESERVE);
    if (err == DP_OK)
        err = begin_dir(j);
    if (err == DP_OK)
        err = journal_next_segment(j);
    if (err == DP_OK)
        err = journal_put_epoch(j, DP_RECORD_OPEN);
    if (err == DP_OK)
        err = journal_put_checkpoint(j, digest);
    if (err == DP_OK)
        err = journal_sign(j);
    if (err == DP_OK)
        err = journal_flush_batch(j);
    journal_dir_name(j->id, name);
    if (err == DP_OK)
        err = store->ops->sync_dir(store->ctx, BEGIN);
    if (err == DP_OK)
        err = store->ops->rename(store->ctx, BEGIN, name);
    if (err == DP_OK)
        err = store->ops->sync_dir(store->ctx, ".");
    if (err != DP_OK)
        return err;
    memcpy(j->dir, name, sizeof name);
    err = journal_extend(j, digest);
    j->bound_size = j->tree.size;
    return err == DP_OK ? side_open(j, 0) : err;
}

/* ---- may there be a new journal? ---- */

struct closed_search {
    const struct dp_journal *j;
    bool found;
};

static void see_closed(void *user, const char *name)
{
    struct closed_search *c = user;
    struct scan *s = NULL;
    char dir[JOURNAL_DIR_MAX] = CLOSED "/";
    if (c->found || strlen(name) != 32)
        return;
    memcpy(dir + sizeof CLOSED, name, 33);
    if (scan_new(&c->j->config.store, NULL, NULL, NULL, &s) == DP_OK && scan_run(s, dir) == DP_OK)
        c->found = s->rule == NULL && s->closed && s->last.any && s->damages_n == 0 &&
                   memcmp(s->last.after, c->j->anchor, sizeof c->j->anchor) == 0;
    scan_free(&s);
}

/* The token has bound nothing yet, or its last word is the end of a round that is over. Otherwise
 * a journal was taken away. */
static int may_begin(const struct dp_journal *j)
{
    const struct dp_store *store = &j->config.store;
    struct closed_search c = {j, false};
    int err;
    if (!j->caps.anchor || memcmp(j->anchor, zeros, sizeof zeros) == 0)
        return DP_OK;
    err = store->ops->list(store->ctx, CLOSED, see_closed, &c);
    if (err != DP_OK && err != DP_ERR_NOT_FOUND)
        return err;
    if (c.found)
        return DP_OK;
    dp_log(DP_LOG_ERROR, "journal: the token has bound a journal that is not here");
    return DP_ERR_ROLLBACK;
}

/* ---- the journal that is there ---- */

/* The anchor rule. */
static int check_anchor(const struct dp_journal *j, const struct scan *s)
{
    uint32_t at;
    if (!j->caps.anchor)
        return s->last.any ? DP_OK : DP_ERR_TAMPERED;
    if (j->anchor_err < 0) /* a dead anchor says nothing, and begins nothing */
        return s->last.any && !s->closed ? DP_OK : j->anchor_err;
    if (s->last.any && memcmp(j->anchor, s->last.after, sizeof j->anchor) == 0)
        return DP_OK;
    /* a crash between flush and extend: again. It is this token's own body, by its signature */
    if (s->last.any && memcmp(j->anchor, s->last.before, sizeof j->anchor) == 0)
        return DP_OK;
    if (s->degraded && missed_find(&s->missed, j->anchor, &at, NULL) == DP_OK)
        return DP_OK;
    if (s->damages_n > 0) {
        dp_log(DP_LOG_ERROR, "journal: what is damaged in segment %u had been bound by the token",
               s->damages[s->damages_n - 1].segment);
        return DP_ERR_TAMPERED;
    }
    dp_log(DP_LOG_ERROR, "journal: it ends at record %llu, and the token has bound another end",
           (unsigned long long)s->tree.size);
    return DP_ERR_ROLLBACK;
}

static int take_state(struct dp_journal *j, struct scan *s)
{
    memcpy(j->id, s->header.journal, sizeof j->id);
    j->tree = s->tree;
    memcpy(j->leaf, s->leaf, sizeof j->leaf);
    j->totals = s->totals;
    j->epoch = s->epoch;
    j->closed = s->closed;
    j->bound_size = s->last.seq + 1;
    j->begun = s->begun;
    j->flushed = s->tree.size;
    memcpy(j->flushed_leaf, s->leaf, sizeof j->flushed_leaf);
    j->number = s->segments;
    j->acked = s->acked;
    j->offset = s->offset;
    memcpy(j->salt, s->header.salt, sizeof j->salt);
    if (!j->caps.anchor)
        memcpy(j->anchor, s->last.after, sizeof j->anchor);
    j->checkpoints = s->checkpoints;
    j->last.seq = s->last.seq;
    j->last.before_size = s->last.before_size;
    memcpy(j->last.before, s->last.before, sizeof j->last.before);
    memcpy(j->last.digest, s->last.digest, sizeof j->last.digest);
    j->shred_generation = s->shred_generation;
    j->ledger = s->ledger;
    s->ledger = NULL;
    return ledger_reserve(j->ledger, DP_JOURNAL_LEDGER_RESERVE);
}

/* What was read may be in memory only: it is made durable before anything is built on it. */
static int take_segment(struct dp_journal *j, const struct scan *s)
{
    const struct dp_store *store = &j->config.store;
    char name[SEGMENT_NAME_BYTES], path[DP_JOURNAL_NAME_MAX];
    int err;
    segment_name(j->number, name);
    err = store->ops->open(store->ctx, journal_path(j->dir, name, path), true, &j->file);
    if (err == DP_OK)
        err = store->ops->sync(store->ctx, j->file);
    if (err == DP_OK)
        err = store->ops->sync_dir(store->ctx, j->dir);
    if (err != DP_OK)
        return err;
    if (s->header.bytes != j->segment_bytes)
        j->offset = j->segment_bytes; /* of another size: it takes nothing more */
    err = store->ops->remove(store->ctx, journal_path(j->dir, "spare", path));
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

/* Every torn place gets its RECOVERY record, first in a new segment. */
static int recover(struct dp_journal *j, const struct scan *s)
{
    int err = DP_OK;
    if (s->damages[s->damages_n - 1].segment == j->number)
        err = journal_next_segment(j);
    for (unsigned i = 0; err == DP_OK && i < s->damages_n; i++) {
        const struct damage *d = &s->damages[i];
        dp_log(DP_LOG_WARNING, "journal: torn batch in segment %u at %u, %u bytes, set aside",
               d->segment, d->offset, d->length);
        memset(&j->own, 0, sizeof j->own);
        j->own.type = DP_RECORD_RECOVERY;
        j->own.has_damage = true;
        j->own.damage.segment = d->segment;
        j->own.damage.offset = d->offset;
        j->own.damage.length = d->length;
        memcpy(j->own.damage.hash, d->hash, sizeof d->hash);
        err = journal_put(j, &j->own);
    }
    return err == DP_OK ? dp_journal_flush(j) : err;
}

/* A key to sign with. */
static int take_epoch(struct dp_journal *j, const struct scan *s)
{
    uint8_t point[65];
    int err = dp_hsm_public(j->config.hsm, DP_KEY_JOURNAL_EPOCH, point);
    if (err != DP_OK && err != DP_ERR_NOT_FOUND)
        return err;
    if (j->closed || (err == DP_OK && memcmp(point, s->epoch.point, sizeof point) == 0))
        return DP_OK;
    if (s->degraded || j->degraded) {
        dp_log(DP_LOG_ERROR,
               "journal: its epoch key is not in the token, and the anchor cannot tell "
               "whether it is an old copy");
        return DP_ERR_ROLLBACK;
    }
    /* the last run ended between a new key and its record */
    err = journal_put_epoch(j, DP_RECORD_KEY_ROTATE);
    return err == DP_OK ? dp_journal_checkpoint(j) : err;
}

static int go_on(struct dp_journal *j, struct scan *s, struct dp_journal_opened *opened)
{
    int err;
    if (s->rule != NULL) {
        dp_log(DP_LOG_ERROR, "journal: %s: %s (segment %u, offset %llu)", s->rule, s->words,
               s->found_segment, (unsigned long long)s->found_offset);
        return DP_ERR_TAMPERED;
    }
    err = check_anchor(j, s);
    if (err != DP_OK)
        return err;
    opened->signed_size = s->signed_size;
    if (s->voids > 0)
        dp_log(DP_LOG_WARNING,
               "journal: no signature vouches for %llu payments that were called off: as when the "
               "keys were dead",
               (unsigned long long)s->voids);
    err = take_state(j, s);
    if (err == DP_OK)
        err = take_segment(j, s);
    if (err == DP_OK && j->caps.anchor)
        err = journal_follow_scan(j, s);
    if (err == DP_OK && s->damages_n > 0) {
        opened->recovered = true;
        err = recover(j, s);
    }
    if (err == DP_OK)
        err = take_epoch(j, s);
    if (err == DP_OK)
        err = journal_say_degraded(j);
    return err == DP_OK ? side_open(j, s->shred_generation) : err;
}

/* A round that is over makes place for the next one. */
static int retire(struct dp_journal *j)
{
    const struct dp_store *store = &j->config.store;
    char to[DP_JOURNAL_NAME_MAX];
    int err = store->ops->make_dir(store->ctx, CLOSED);
    if (err == DP_OK)
        err = store->ops->rename(store->ctx, j->dir, journal_path(CLOSED, j->dir, to));
    if (err == DP_OK)
        err = store->ops->sync_dir(store->ctx, CLOSED);
    if (err == DP_OK)
        err = store->ops->sync_dir(store->ctx, ".");
    store->ops->close(store->ctx, j->lock);
    j->lock = -1;
    return err;
}

static bool over(const struct dp_journal *j, const struct scan *s)
{
    return s->rule == NULL && s->closed && s->last.any && s->damages_n == 0 &&
           s->last.seq == s->tree.size - 1 &&
           (!j->caps.anchor || memcmp(s->last.after, j->anchor, sizeof j->anchor) == 0);
}

/* Without an epoch key the round is over, and its records are not this round's. */
static int open_existing(struct dp_journal *j, struct dp_journal_opened *opened, bool *is_over)
{
    const struct dp_store *store = &j->config.store;
    struct scan *s = NULL;
    uint8_t point[65];
    char path[DP_JOURNAL_NAME_MAX];
    bool keyless;
    int err = dp_hsm_public(j->config.hsm, DP_KEY_JOURNAL_EPOCH, point);
    keyless = err == DP_ERR_NOT_FOUND;
    if (err != DP_OK && !keyless)
        return err;
    err = dp_hsm_public(j->config.hsm, DP_KEY_JOURNAL_IDENTITY, j->own_identity.identity);
    if (err != DP_OK)
        return err;
    j->own_identity.has_identity = true;
    err = store->ops->lock(store->ctx, journal_path(j->dir, "lock", path), &j->lock);
    if (err != DP_OK)
        return err;
    err = keyless ? DP_OK : journal_resume(j, &s);
    opened->resumed = s != NULL;
    if (err == DP_OK && s == NULL) {
        err = scan_new(store, &j->own_identity, keyless ? NULL : j->each, j->user, &s);
        if (err == DP_OK)
            err = scan_run(s, j->dir);
    }
    if (err == DP_OK && keyless && j->anchor_err < 0) {
        err = j->anchor_err; /* the end of a round, and nobody can say whether it is the last */
        goto out;
    }
    if (err == DP_OK && keyless && over(j, s)) {
        *is_over = true;
        if (!j->caps.anchor)
            memcpy(j->anchor, s->last.after, sizeof j->anchor);
        err = retire(j);
        goto out;
    }
    if (err == DP_OK && keyless) {
        scan_free(&s);
        err = scan_new(store, &j->own_identity, j->each, j->user, &s);
        if (err == DP_OK)
            err = scan_run(s, j->dir);
    }
    if (err == DP_OK)
        err = go_on(j, s, opened);
    if (err == DP_OK && j->closed) {
        err = journal_finish_close(j);
        dp_log(DP_LOG_WARNING, "journal: the round was closed; the next start begins another");
        err = err == DP_OK ? DP_ERR_STATE : err;
    }
out:
    scan_free(&s);
    return err;
}

/* ---- opening ---- */

static int open_any(struct dp_journal *j, struct dp_journal_opened *opened)
{
    const struct dp_store *store = &j->config.store;
    const struct dp_random *random = j->config.random;
    bool is_over = false;
    int err = store->ops->lock(store->ctx, "lock", &j->root_lock);
    if (err == DP_OK)
        err = random->fill(random->ctx, j->boot, sizeof j->boot);
    if (err == DP_OK && j->caps.anchor)
        j->anchor_err = dp_hsm_anchor_read(j->config.hsm, j->anchor);
    if (err != DP_OK)
        return err;
    err = journal_find(store, j->dir);
    if (err == DP_OK && strcmp(j->dir, ".") == 0) {
        dp_log(DP_LOG_ERROR, "journal: the directory above it is wanted, not a journal itself");
        return DP_ERR_ARG;
    }
    if (err == DP_OK) {
        err = open_existing(j, opened, &is_over);
        if (err != DP_OK || !is_over)
            return err;
        err = DP_ERR_NOT_FOUND;
    }
    if (err == DP_ERR_NOT_FOUND) {
        opened->created = true;
        err = j->anchor_err < 0 ? j->anchor_err : may_begin(j);
        return err == DP_OK ? begin(j) : err;
    }
    return err;
}

int journal_open_sized(const struct dp_journal_config *config, uint32_t segment_bytes,
                       dp_journal_each *each, void *user, struct dp_journal_opened *opened,
                       struct dp_journal **out)
{
    struct dp_journal *j = calloc(1, sizeof *j);
    int err;
    *out = NULL;
    memset(opened, 0, sizeof *opened);
    if (j == NULL)
        return DP_ERR_NOMEM;
    DP_ASSERT(segment_bytes >= DP_JOURNAL_SEGMENT_MIN && segment_bytes <= DP_JOURNAL_SEGMENT_BYTES);
    j->config = *config;
    j->segment_bytes = segment_bytes;
    j->each = each;
    j->user = user;
    j->root_lock = j->lock = j->file = j->side.file = -1;
    dp_hsm_get_caps(config->hsm, &j->caps);
    j->snapshots = each == NULL || config->state != NULL;
    err = psa_crypto_init() == PSA_SUCCESS ? open_any(j, opened) : DP_ERR_CRYPTO;
    j->each = NULL;
    if (err != DP_OK) {
        j->stopped = true;
        dp_journal_free(&j);
        return err;
    }
    opened->records = j->tree.size;
    *out = j;
    return DP_OK;
}

int dp_journal_open(const struct dp_journal_config *config, dp_journal_each *each, void *user,
                    struct dp_journal_opened *opened, struct dp_journal **out)
{
    return journal_open_sized(config, DP_JOURNAL_SEGMENT_BYTES, each, user, opened, out);
}

/* ---- without a key ---- */

/* What is torn wants a RECOVERY, and a round that is closed wants another: both need the key. */
static int take_keyless(struct dp_journal *j, struct scan *s)
{
    int err;
    if (s->rule != NULL)
        return DP_ERR_TAMPERED;
    if (s->damages_n > 0 || s->closed || !s->last.any)
        return DP_ERR_STATE;
    err = take_state(j, s);
    return err == DP_OK ? take_segment(j, s) : err;
}

static int read_keyless(struct dp_journal *j, struct dp_journal_opened *opened)
{
    const struct dp_store *store = &j->config.store;
    struct scan *s = NULL;
    char path[DP_JOURNAL_NAME_MAX];
    int err = store->ops->lock(store->ctx, "lock", &j->root_lock);
    if (err == DP_OK)
        err = journal_find(store, j->dir);
    if (err == DP_OK)
        err = store->ops->lock(store->ctx, journal_path(j->dir, "lock", path), &j->lock);
    if (err == DP_OK)
        err = j->config.random->fill(j->config.random->ctx, j->boot, sizeof j->boot);
    if (err == DP_OK)
        err = scan_new(store, NULL, j->each, j->user, &s);
    if (err == DP_OK)
        err = scan_run(s, j->dir);
    if (err == DP_OK) {
        opened->signed_size = s->signed_size;
        opened->records = s->tree.size;
        err = take_keyless(j, s);
    }
    scan_free(&s);
    return err;
}

int dp_journal_open_keyless(const struct dp_journal_config *config, dp_journal_each *each,
                            void *user, struct dp_journal_opened *opened, struct dp_journal **out)
{
    struct dp_journal *j = calloc(1, sizeof *j);
    int err;
    *out = NULL;
    memset(opened, 0, sizeof *opened);
    if (j == NULL)
        return DP_ERR_NOMEM;
    j->config = *config;
    j->keyless = true;
    j->segment_bytes = DP_JOURNAL_SEGMENT_BYTES;
    j->each = each;
    j->user = user;
    j->root_lock = j->lock = j->file = j->side.file = -1;
    err = read_keyless(j, opened);
    j->each = NULL;
    if (err == DP_OK)
        *out = j;
    else
        dp_journal_free(&j);
    return err;
}
