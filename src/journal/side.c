/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The side store, docs/PROTOCOL.journal, 7: sealed blobs that must go away one day, wrapped by a
 * key that the token destroys. The chain holds their commitments only.
 */
#include "writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <doorpay/cbor.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/reader.h"
#include "base/secret.h"
#include "base/writer.h"

#include "side.h"

#define KIND_DROPPED    3
#define KIND_MAX        4
#define WRAPPED_MAX     (DP_SEALED_MAX + DP_HSM_WRAP_OVERHEAD)
#define PAYLOAD_MAX     (WRAPPED_MAX + 64)
#define FRAME_MAX       (FRAME_HEADER_BYTES + PAYLOAD_MAX + 8)
#define GENERATIONS_MAX 16 /* files of generations that a crash can have left */

static const uint8_t no_salt[SEGMENT_SALT_BYTES];

/* ---- one item, written and read ---- */

int side_item_write(const struct side_item *item, uint8_t *out, size_t max, size_t *n)
{
    struct dp_writer w;
    dp_writer_init(&w, out, max);
    dp_cbor_write_array(&w, 4);
    dp_cbor_write_uint(&w, item->kind);
    dp_cbor_write_bytes(&w, item->tx, sizeof item->tx);
    dp_cbor_write_bytes(&w, item->salt, sizeof item->salt);
    dp_cbor_write_bytes(&w, item->wrapped.p, item->wrapped.n);
    *n = w.err == DP_OK ? w.n : 0;
    return dp_cbor_finish(&w);
}

int side_item_read(const uint8_t *p, size_t n, struct side_item *out)
{
    struct dp_reader r;
    struct dp_bytes tx, salt;
    uint64_t kind;
    int err = dp_cbor_check(p, n, NULL);
    if (err != DP_OK)
        return err;
    dp_reader_init(&r, p, n);
    if (dp_cbor_read_array(&r) != 4)
        return DP_ERR_FORMAT;
    kind = dp_cbor_read_uint(&r);
    tx = dp_cbor_read_bytes(&r);
    salt = dp_cbor_read_bytes(&r);
    out->wrapped = dp_cbor_read_bytes(&r);
    err = dp_reader_finish(&r);
    if (err != DP_OK)
        return err;
    if (kind < 1 || kind > KIND_MAX || tx.n != sizeof out->tx || salt.n != sizeof out->salt ||
        out->wrapped.n > WRAPPED_MAX || (kind == KIND_DROPPED) != (out->wrapped.n == 0))
        return DP_ERR_RANGE;
    out->kind = (uint8_t)kind;
    memcpy(out->tx, tx.p, sizeof out->tx);
    memcpy(out->salt, salt.p, sizeof out->salt);
    return DP_OK;
}

static const char *side_path(const struct dp_journal *j, uint32_t generation,
                             char out[DP_JOURNAL_NAME_MAX])
{
    int n = snprintf(out, DP_JOURNAL_NAME_MAX, "%s/side/gen-%u.dps", j->dir, generation);
    DP_ASSERT(n > 0 && n < DP_JOURNAL_NAME_MAX);
    return out;
}

static const char *side_dir(const struct dp_journal *j, char out[DP_JOURNAL_NAME_MAX])
{
    return journal_path(j->dir, "side", out);
}

/* Where a file ends and how many frames it has. */
struct side_end {
    int file;
    uint64_t offset;
    uint32_t index;
};

/* The frame goes to the end that is told; the end moves when it was written. */
static int item_append(struct dp_journal *j, struct side_end *end, const struct side_item *item,
                       uint32_t *frame_n)
{
    const struct dp_store *store = &j->config.store;
    uint8_t payload[PAYLOAD_MAX], frame[FRAME_MAX];
    struct dp_writer w;
    size_t n = 0;
    int err = side_item_write(item, payload, sizeof payload, &n);
    if (err != DP_OK)
        return err;
    if (end->offset > UINT32_MAX - FRAME_MAX)
        return DP_ERR_LIMIT; /* a batch is named by 32 bits */
    dp_writer_init(&w, frame, sizeof frame);
    frame_write(&w, no_salt, end->index, (uint32_t)end->offset, (struct dp_bytes){payload, n});
    DP_ASSERT(w.err == DP_OK);
    err = store->ops->write_at(store->ctx, end->file, end->offset, frame, w.n);
    if (err != DP_OK)
        return err;
    end->offset += w.n;
    end->index++;
    *frame_n = (uint32_t)w.n;
    return DP_OK;
}

/* The frame at offset: DP_ERR_NOT_FOUND when no whole one stands there. buffer holds what item
 * points to. */
static int item_at(struct dp_journal *j, uint64_t offset, uint32_t index,
                   uint8_t buffer[SEGMENT_HEADER_BYTES + FRAME_MAX], struct side_item *item,
                   uint32_t *frame_n)
{
    const struct dp_store *store = &j->config.store;
    struct segment s = {buffer, 0, {0}};
    struct frame f;
    enum frame_state state;
    size_t got = 0;
    int err = store->ops->read_at(store->ctx, j->side.file, offset, buffer + SEGMENT_HEADER_BYTES,
                                  FRAME_MAX, &got);
    if (err != DP_OK)
        return err;
    s.n = SEGMENT_HEADER_BYTES + (uint32_t)got;
    state = frame_read(&s, SEGMENT_HEADER_BYTES, 0, index, &f);
    /* in this buffer the frame stands elsewhere than in its file, where its batch is its place */
    if ((state != FRAME_GOOD && state != FRAME_BATCH) || f.batch != offset || f.signature ||
        side_item_read(f.payload.p, f.payload.n, item) != DP_OK)
        return DP_ERR_NOT_FOUND;
    *frame_n = f.next - f.offset;
    return DP_OK;
}

/* ---- what is wanted ---- */

static struct side_entry *find(struct side *s, const uint8_t tx[16], uint8_t kind)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->entries[i].kind == kind && memcmp(s->entries[i].tx, tx, 16) == 0)
            return &s->entries[i];
    return NULL;
}

static void forget(struct side *s, struct side_entry *e)
{
    *e = s->entries[--s->n];
}

/* A dropped blob is named by its salt. */
static void see_item(struct side *s, const struct side_item *item, uint64_t offset, uint32_t index,
                     uint32_t bytes)
{
    struct side_entry *e;
    for (uint32_t i = 0; item->kind == KIND_DROPPED && i < s->n; i++)
        if (memcmp(s->entries[i].tx, item->tx, sizeof item->tx) == 0 &&
            memcmp(s->entries[i].salt, item->salt, sizeof item->salt) == 0) {
            s->track2_dropped += s->entries[i].kind == DP_SIDE_TRACK2;
            forget(s, &s->entries[i]);
            return;
        }
    if (item->kind == KIND_DROPPED || s->n == DP_JOURNAL_SIDE_MAX)
        return;
    e = &s->entries[s->n++];
    e->kind = item->kind;
    memcpy(e->tx, item->tx, sizeof e->tx);
    memcpy(e->salt, item->salt, sizeof e->salt);
    e->offset = offset;
    e->index = index;
    e->bytes = bytes;
}

static int keep_item(struct dp_journal *j, const struct side_item *item)
{
    struct side *s = &j->side;
    struct side_end end = {s->file, s->offset, s->index};
    uint32_t bytes = 0;
    int err = item_append(j, &end, item, &bytes);
    if (err == DP_ERR_FULL || err == DP_ERR_LIMIT)
        return err; /* what was half written is written over */
    if (err != DP_OK)
        return journal_stop(j, "side store", err);
    see_item(s, item, s->offset, s->index, bytes);
    s->offset = end.offset;
    s->index = end.index;
    s->dirty = true;
    return DP_OK;
}

/* ---- opening ---- */

struct generations {
    uint32_t at[GENERATIONS_MAX];
    unsigned n;
};

static void see_generation(void *user, const char *name)
{
    struct generations *g = user;
    uint32_t number = 0;
    char again[24];
    for (const char *p = name + 4; strncmp(name, "gen-", 4) == 0 && *p >= '0' && *p <= '9'; p++) {
        if (number > (UINT32_MAX - 9) / 10)
            return;
        number = number * 10 + (uint32_t)(*p - '0');
    }
    (void)snprintf(again, sizeof again, "gen-%u.dps", number);
    if (strcmp(name, again) == 0 && g->n < GENERATIONS_MAX)
        g->at[g->n++] = number;
}

/* Which generation counts: that of the last SHRED; before the first, the file there is. */
static int choose(struct dp_journal *j, const struct generations *g, uint32_t recorded)
{
    uint32_t current = 0;
    int err = dp_hsm_wrap_generation(j->config.hsm, &current);
    if (err != DP_OK)
        return err;
    j->side.generation = current;
    for (unsigned i = 0; i < g->n; i++)
        if (g->at[i] < j->side.generation)
            j->side.generation = g->at[i];
    if (recorded != 0)
        j->side.generation = recorded;
    return DP_OK;
}

/* An older file: its SHRED is recorded, and the crash came before the key's end. A newer one: the
 * crash came before its SHRED. */
static int tidy(struct dp_journal *j, const struct generations *g)
{
    const struct dp_store *store = &j->config.store;
    char path[DP_JOURNAL_NAME_MAX];
    int err = DP_OK;
    for (unsigned i = 0; err == DP_OK && i < g->n; i++) {
        if (g->at[i] == j->side.generation)
            continue;
        if (g->at[i] < j->side.generation)
            err = dp_hsm_wrap_destroy(j->config.hsm, g->at[i]);
        if (err == DP_OK || err == DP_ERR_NOT_FOUND)
            err = store->ops->remove(store->ctx, side_path(j, g->at[i], path));
    }
    return err;
}

/* The end of what is whole; what a crash left behind it is made zero, so that it cannot come back
 * to life behind a new frame. */
static int load(struct dp_journal *j)
{
    static const uint8_t zeros[512];
    const struct dp_store *store = &j->config.store;
    struct side *s = &j->side;
    uint8_t buffer[SEGMENT_HEADER_BYTES + FRAME_MAX];
    struct side_item item;
    uint64_t size = 0;
    uint32_t bytes;
    int err = store->ops->size(store->ctx, s->file, &size);
    while (err == DP_OK && s->offset < size) {
        err = item_at(j, s->offset, s->index, buffer, &item, &bytes);
        if (err != DP_OK)
            break;
        see_item(s, &item, s->offset, s->index, bytes);
        s->offset += bytes;
        s->index++;
    }
    if (err == DP_ERR_NOT_FOUND)
        err = DP_OK;
    for (uint64_t at = s->offset; err == DP_OK && at < size; at += sizeof zeros) {
        size_t n = size - at < sizeof zeros ? (size_t)(size - at) : sizeof zeros;
        err = store->ops->write_at(store->ctx, s->file, at, zeros, n);
    }
    return err == DP_OK ? store->ops->sync(store->ctx, s->file) : err;
}

int side_open(struct dp_journal *j, uint32_t generation)
{
    const struct dp_store *store = &j->config.store;
    struct generations g = {{0}, 0};
    char path[DP_JOURNAL_NAME_MAX];
    int err;
    j->side.file = -1;
    if (!j->caps.wrap)
        return DP_OK; /* dp_side_put says that it cannot */
    err = store->ops->make_dir(store->ctx, side_dir(j, path));
    if (err == DP_OK)
        err = store->ops->list(store->ctx, side_dir(j, path), see_generation, &g);
    if (err == DP_OK)
        err = choose(j, &g, generation);
    if (err == DP_OK)
        err = tidy(j, &g);
    if (err != DP_OK)
        return err;
    err = store->ops->open(store->ctx, side_path(j, j->side.generation, path), true, &j->side.file);
    if (err == DP_OK)
        return load(j);
    if (err == DP_ERR_NOT_FOUND)
        err = store->ops->create(store->ctx, path, 0, &j->side.file);
    if (err == DP_OK)
        err = store->ops->sync_dir(store->ctx, side_dir(j, path));
    return err == DP_OK ? store->ops->sync_dir(store->ctx, j->dir) : err;
}

int side_flush(struct dp_journal *j)
{
    const struct dp_store *store = &j->config.store;
    int err;
    if (!j->side.dirty)
        return DP_OK;
    err = store->ops->sync(store->ctx, j->side.file);
    j->side.dirty = err != DP_OK;
    return err;
}

void side_close(struct dp_journal *j)
{
    j->config.store.ops->close(j->config.store.ctx, j->side.file);
    j->side.file = -1;
}

/* ---- keeping, reading, dropping ---- */

/* Additional data of a wrapped blob: journal id || tx || kind. */
static void additional(const struct dp_journal *j, const struct side_item *item, uint8_t out[33])
{
    memcpy(out, j->id, 16);
    memcpy(out + 16, item->tx, 16);
    out[32] = item->kind;
}

static int wrap(struct dp_journal *j, uint32_t generation, struct dp_bytes blob,
                struct side_item *item, uint8_t wrapped[WRAPPED_MAX])
{
    uint8_t aad[33];
    size_t n = 0;
    int err;
    additional(j, item, aad);
    err = dp_hsm_wrap(j->config.hsm, generation, (struct dp_bytes){aad, sizeof aad}, blob, wrapped,
                      WRAPPED_MAX, &n);
    item->wrapped = (struct dp_bytes){wrapped, n};
    return err;
}

static bool side_usable(const struct dp_journal *j)
{
    return !j->stopped && !j->closed;
}

int dp_side_put(struct dp_journal *j, const uint8_t tx[16], enum dp_side_kind kind,
                struct dp_bytes blob, uint8_t commitment[32])
{
    const struct dp_random *random = j->config.random;
    uint8_t wrapped[WRAPPED_MAX];
    struct side_item item;
    int err;
    if (!side_usable(j))
        return DP_ERR_STATE;
    if (!j->caps.wrap)
        return DP_ERR_UNSUPPORTED;
    if (blob.n == 0 || blob.n > DP_SEALED_MAX || (kind != DP_SIDE_PAN && kind != DP_SIDE_TRACK2))
        return DP_ERR_ARG;
    if (j->side.n == DP_JOURNAL_SIDE_MAX)
        return DP_ERR_LIMIT;
    if (find(&j->side, tx, (uint8_t)kind) != NULL)
        return DP_ERR_DUPLICATE;
    memset(&item, 0, sizeof item);
    item.kind = (uint8_t)kind;
    memcpy(item.tx, tx, sizeof item.tx);
    err = random->fill(random->ctx, item.salt, sizeof item.salt);
    if (err == DP_OK)
        err = hash_parts((const struct dp_bytes[]){{item.salt, sizeof item.salt}, blob}, 2,
                         commitment);
    if (err == DP_OK)
        err = wrap(j, j->side.generation, blob, &item, wrapped);
    return err == DP_OK ? keep_item(j, &item) : err;
}

static int read_entry(struct dp_journal *j, const struct side_entry *e, uint8_t *out, size_t max,
                      size_t *n)
{
    uint8_t buffer[SEGMENT_HEADER_BYTES + FRAME_MAX], aad[33];
    struct side_item item;
    uint32_t bytes;
    int err = item_at(j, e->offset, e->index, buffer, &item, &bytes);
    if (err == DP_ERR_NOT_FOUND ||
        (err == DP_OK && (item.kind != e->kind || memcmp(item.tx, e->tx, sizeof e->tx) != 0)))
        return DP_ERR_TAMPERED;
    if (err != DP_OK)
        return err;
    additional(j, &item, aad);
    err = dp_hsm_unwrap(j->config.hsm, j->side.generation, (struct dp_bytes){aad, sizeof aad},
                        item.wrapped, out, max, n);
    return err == DP_ERR_SIGNATURE ? DP_ERR_TAMPERED : err;
}

int dp_side_get(struct dp_journal *j, const uint8_t tx[16], enum dp_side_kind kind, uint8_t *out,
                size_t max, size_t *n)
{
    const struct side_entry *e = find(&j->side, tx, (uint8_t)kind);
    *n = 0;
    if (j->side.file < 0 || e == NULL)
        return DP_ERR_NOT_FOUND;
    return read_entry(j, e, out, max, n);
}

int dp_side_drop(struct dp_journal *j, const uint8_t tx[16], enum dp_side_kind kind)
{
    const struct side_entry *e = find(&j->side, tx, (uint8_t)kind);
    struct side_item item;
    if (!side_usable(j))
        return DP_ERR_STATE;
    if (j->side.file < 0 || e == NULL)
        return DP_ERR_NOT_FOUND;
    memset(&item, 0, sizeof item);
    item.kind = KIND_DROPPED;
    memcpy(item.tx, tx, sizeof item.tx);
    memcpy(item.salt, e->salt, sizeof item.salt);
    return keep_item(j, &item);
}

/* ---- shredding ---- */

void dp_side_track2(const struct dp_journal *j, uint32_t *wanted, uint32_t *dropped)
{
    *wanted = 0;
    *dropped = j->side.track2_dropped;
    for (uint32_t i = 0; i < j->side.n; i++)
        *wanted += j->side.entries[i].kind == DP_SIDE_TRACK2;
}

/* The next generation's key; one that an interrupted shred made is used. */
static int next_generation(struct dp_journal *j, uint32_t *generation)
{
    int err = dp_hsm_wrap_generation(j->config.hsm, generation);
    if (err == DP_OK && *generation <= j->side.generation)
        err = dp_hsm_wrap_rotate(j->config.hsm, generation);
    return err;
}

/* One survivor under the new key. One that cannot be read is lost already, and is not kept. */
static int rewrap(struct dp_journal *j, struct side_entry *e, uint32_t generation,
                  struct side_end *end, bool *survives)
{
    uint8_t blob[DP_SEALED_MAX], wrapped[WRAPPED_MAX];
    struct side_item item;
    size_t n = 0;
    uint64_t offset = end->offset;
    uint32_t index = end->index, bytes = 0;
    int err = read_entry(j, e, blob, sizeof blob, &n);
    *survives = err == DP_OK;
    if (err == DP_ERR_TAMPERED || err == DP_ERR_NOT_FOUND) {
        dp_log(DP_LOG_ERROR, "side store: a sealed blob cannot be read, and is given up");
        return DP_OK;
    }
    memset(&item, 0, sizeof item);
    item.kind = e->kind;
    memcpy(item.tx, e->tx, sizeof item.tx);
    memcpy(item.salt, e->salt, sizeof item.salt);
    if (err == DP_OK)
        err = wrap(j, generation, (struct dp_bytes){blob, n}, &item, wrapped);
    dp_wipe(blob, sizeof blob);
    if (err == DP_OK)
        err = item_append(j, end, &item, &bytes);
    e->offset = offset;
    e->index = index;
    e->bytes = bytes;
    return err;
}

static int new_file(struct dp_journal *j, uint32_t generation, struct side_end *end)
{
    const struct dp_store *store = &j->config.store;
    char path[DP_JOURNAL_NAME_MAX];
    int err = store->ops->remove(store->ctx, side_path(j, generation, path));
    if (err != DP_OK && err != DP_ERR_NOT_FOUND)
        return err;
    memset(end, 0, sizeof *end);
    return store->ops->create(store->ctx, path, 0, &end->file);
}

/* The survivors, durable under the new key. The entries move on to the new file. */
static int move_survivors(struct dp_journal *j, uint32_t generation, struct side_end *end)
{
    const struct dp_store *store = &j->config.store;
    char path[DP_JOURNAL_NAME_MAX];
    int err = new_file(j, generation, end);
    for (uint32_t i = 0; err == DP_OK && i < j->side.n;) {
        bool survives = true;
        err = rewrap(j, &j->side.entries[i], generation, end, &survives);
        if (survives)
            i++;
        else
            forget(&j->side, &j->side.entries[i]);
    }
    if (err == DP_OK)
        err = store->ops->sync(store->ctx, end->file);
    return err == DP_OK ? store->ops->sync_dir(store->ctx, side_dir(j, path)) : err;
}

static int record_shred(struct dp_journal *j, uint32_t old_generation, uint32_t generation)
{
    int err;
    memset(&j->own, 0, sizeof j->own);
    j->own.type = DP_RECORD_SHRED;
    j->own.shred.old_generation = old_generation;
    j->own.shred.new_generation = generation;
    j->own.shred.survivors = j->side.n;
    err = journal_put(j, &j->own);
    return err == DP_OK ? dp_journal_flush(j) : err;
}

int dp_side_shred(struct dp_journal *j)
{
    const struct dp_store *store = &j->config.store;
    struct side *s = &j->side;
    char path[DP_JOURNAL_NAME_MAX];
    struct side_end end;
    uint32_t old_generation = s->generation, generation = 0;
    int err;
    if (!side_usable(j))
        return DP_ERR_STATE;
    if (s->file < 0)
        return DP_ERR_UNSUPPORTED;
    err = next_generation(j, &generation);
    if (err != DP_OK)
        return err;
    err = move_survivors(j, generation, &end);
    if (err == DP_OK) {
        side_close(j);
        s->file = end.file;
        s->offset = end.offset;
        s->index = end.index;
        s->generation = generation;
        s->dirty = false;
        s->track2_dropped = 0;
        err = record_shred(j, old_generation, generation);
    }
    if (err != DP_OK)
        return journal_stop(j, "shred", err);
    err = dp_hsm_wrap_destroy(j->config.hsm, old_generation);
    if (err != DP_OK && err != DP_ERR_NOT_FOUND)
        return err; /* the next start tries again, and the file is there to tell it */
    err = store->ops->remove(store->ctx, side_path(j, old_generation, path));
    if (err == DP_OK)
        err = store->ops->sync_dir(store->ctx, side_dir(j, path));
    return err == DP_OK ? DP_OK : journal_stop(j, "shred", err);
}

/* ---- a store that nobody writes any more ---- */

static int look_at(struct dp_journal *j, struct dp_side_found *found,
                   void (*each)(void *user, const struct dp_side_found *found), void *user)
{
    const struct dp_store *store = &j->config.store;
    uint8_t buffer[SEGMENT_HEADER_BYTES + FRAME_MAX];
    struct side_item item;
    uint64_t offset = 0;
    uint32_t bytes = 0;
    char path[DP_JOURNAL_NAME_MAX];
    int err =
        store->ops->open(store->ctx, side_path(j, found->generation, path), false, &j->side.file);
    if (err != DP_OK)
        return err;
    for (uint32_t index = 0; err == DP_OK; index++, offset += bytes) {
        err = item_at(j, offset, index, buffer, &item, &bytes);
        if (err != DP_OK)
            break;
        memcpy(found->tx, item.tx, sizeof found->tx);
        memcpy(found->salt, item.salt, sizeof found->salt);
        found->kind = item.kind;
        found->wrapped = item.wrapped;
        each(user, found);
    }
    side_close(j);
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

int dp_side_look(const struct dp_store *store, const uint8_t journal[16],
                 void (*each)(void *user, const struct dp_side_found *found), void *user)
{
    struct generations g = {{0}, 0};
    struct dp_side_found found = {.generation = 0};
    char path[DP_JOURNAL_NAME_MAX];
    struct dp_journal *j = calloc(1, sizeof *j);
    int err = DP_ERR_NOMEM;
    if (j == NULL)
        return err;
    j->config.store = *store;
    j->side.file = -1;
    memcpy(found.journal, journal, sizeof found.journal);
    err = journal_find(store, j->dir);
    if (err == DP_OK)
        err = store->ops->list(store->ctx, side_dir(j, path), see_generation, &g);
    for (unsigned i = 0; err == DP_OK && i < g.n; i++) {
        found.generation = g.at[i];
        err = look_at(j, &found, each, user);
    }
    free(j);
    return err;
}

int dp_side_unwrap(struct dp_hsm *hsm, const struct dp_side_found *found, uint8_t *out, size_t max,
                   size_t *n)
{
    uint8_t aad[33];
    memcpy(aad, found->journal, 16);
    memcpy(aad + 16, found->tx, 16);
    aad[32] = found->kind;
    return dp_hsm_unwrap(hsm, found->generation, (struct dp_bytes){aad, sizeof aad}, found->wrapped,
                         out, max, n);
}
