/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payments that have left the index, packed one behind the other: status, reversal, "paid already"
 * and a card's own limits still find them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "machine.h"

/* ---- one entry, written and read ---- */

/* Whoever adds a field writes and reads it here. */
_Static_assert(sizeof(void *) != 8 || sizeof(struct entry) == 472, "a field is not packed");

static uint8_t flags_of(const struct entry *e)
{
    return (uint8_t)(e->done | e->reversed << 1 | e->is_reversal << 2 | e->pending_signature << 3 |
                     e->has_card_hash << 4 | e->degraded << 5 | e->authorised << 6);
}

void entry_write(struct dp_writer *w, const struct entry *e)
{
    dp_write_bytes(w, e->tx, sizeof e->tx);
    dp_write_bytes(w, e->original_tx, sizeof e->original_tx);
    dp_write_bytes(w, e->fingerprint, sizeof e->fingerprint);
    dp_write_bytes(w, e->card_hash, sizeof e->card_hash);
    dp_write_bytes(w, e->cryptogram, sizeof e->cryptogram);
    dp_write_text(w, e->sale_id);
    dp_write_text(w, e->service_id);
    dp_write_text(w, e->poi_id);
    dp_write_text(w, e->sale_tx);
    dp_write_text(w, e->parcel);
    dp_write_u64(w, (uint64_t)e->amount.minor);
    dp_write_u16(w, e->amount.currency);
    dp_write_u8(w, e->amount.exponent);
    dp_write_text(w, e->rrn);
    dp_write_text(w, e->auth_code);
    dp_write_text(w, e->action_code);
    dp_write_text(w, e->bin);
    dp_write_text(w, e->last4);
    dp_write_text(w, e->par);
    dp_write_u32(w, e->stan);
    dp_write_u32(w, e->batch);
    dp_write_u32(w, e->business_date);
    dp_write_u8(w, (uint8_t)e->cvm);
    dp_write_u8(w, (uint8_t)e->interface);
    dp_write_u16(w, e->atc);
    dp_write_u8(w, e->aid_n);
    dp_write_bytes(w, e->aid, e->aid_n);
    dp_write_u8(w, (uint8_t)e->mode);
    dp_write_u32(w, (uint32_t)e->reason);
    dp_write_u8(w, (uint8_t)e->forward);
    dp_write_u8(w, flags_of(e));
    dp_write_u32(w, e->open_stan);
    dp_write_u64(w, (uint64_t)e->wall_ms);
    dp_write_u64(w, e->headroom_amount);
    dp_write_u64(w, e->headroom_count);
    dp_write_u32(w, e->round);
    dp_write_u64(w, e->seq);
    dp_write_u64(w, e->order);
}

static void read_flags(struct dp_reader *r, struct entry *e)
{
    uint8_t flags = dp_read_u8(r);
    if (flags >> 7 != 0)
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    e->done = (flags & 1) != 0;
    e->reversed = (flags & 2) != 0;
    e->is_reversal = (flags & 4) != 0;
    e->pending_signature = (flags & 8) != 0;
    e->has_card_hash = (flags & 16) != 0;
    e->degraded = (flags & 32) != 0;
    e->authorised = (flags & 64) != 0;
}

void entry_read(struct dp_reader *r, struct entry *e)
{
    memset(e, 0, sizeof *e);
    dp_read_copy(r, e->tx, sizeof e->tx);
    dp_read_copy(r, e->original_tx, sizeof e->original_tx);
    dp_read_copy(r, e->fingerprint, sizeof e->fingerprint);
    dp_read_copy(r, e->card_hash, sizeof e->card_hash);
    dp_read_copy(r, e->cryptogram, sizeof e->cryptogram);
    dp_read_text(r, e->sale_id, sizeof e->sale_id);
    dp_read_text(r, e->service_id, sizeof e->service_id);
    dp_read_text(r, e->poi_id, sizeof e->poi_id);
    dp_read_text(r, e->sale_tx, sizeof e->sale_tx);
    dp_read_text(r, e->parcel, sizeof e->parcel);
    e->amount.minor = (int64_t)dp_read_u64(r);
    e->amount.currency = dp_read_u16(r);
    e->amount.exponent = dp_read_u8(r);
    dp_read_text(r, e->rrn, sizeof e->rrn);
    dp_read_text(r, e->auth_code, sizeof e->auth_code);
    dp_read_text(r, e->action_code, sizeof e->action_code);
    dp_read_text(r, e->bin, sizeof e->bin);
    dp_read_text(r, e->last4, sizeof e->last4);
    dp_read_text(r, e->par, sizeof e->par);
    e->stan = dp_read_u32(r);
    e->batch = dp_read_u32(r);
    e->business_date = dp_read_u32(r);
    e->cvm = dp_read_u8(r);
    e->interface = dp_read_u8(r);
    e->atc = dp_read_u16(r);
    e->aid_n = dp_read_u8(r);
    if (e->aid_n > sizeof e->aid) {
        e->aid_n = 0;
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    }
    dp_read_copy(r, e->aid, e->aid_n);
    e->mode = (enum dp_mode)dp_read_u8(r);
    e->reason = (enum dp_reason)dp_read_u32(r);
    e->forward = (enum dp_forward_state)dp_read_u8(r);
    read_flags(r, e);
    e->open_stan = dp_read_u32(r);
    e->wall_ms = (int64_t)dp_read_u64(r);
    e->headroom_amount = dp_read_u64(r);
    e->headroom_count = dp_read_u64(r);
    e->round = dp_read_u32(r);
    e->seq = dp_read_u64(r);
    e->order = dp_read_u64(r);
}

/* ---- many ---- */

int older_new(struct older *o)
{
    memset(o, 0, sizeof *o);
    o->bytes = malloc(DP_PAYMENT_OLDER_BYTES);
    o->keys = calloc(DP_PAYMENT_OLDER_MAX, sizeof *o->keys);
    if (o->bytes != NULL && o->keys != NULL)
        return DP_OK;
    older_free(o);
    return DP_ERR_NOMEM;
}

void older_free(struct older *o)
{
    free(o->bytes);
    free(o->keys);
    memset(o, 0, sizeof *o);
}

static uint32_t hash(const void *p, size_t n, uint32_t h)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 16777619U; /* FNV-1a: a wrong guess costs a comparison */
    return h;
}

static uint32_t hash_texts(const char *a, const char *b)
{
    return hash(b, strlen(b), hash(a, strlen(a) + 1, 2166136261U));
}

static void key_of(const struct entry *e, struct older_key *k)
{
    k->tx = hash(e->tx, sizeof e->tx, 2166136261U);
    k->service = hash_texts(e->sale_id, e->service_id);
    k->sale = hash_texts(e->sale_id, e->sale_tx);
    k->parcel = hash_texts("", e->parcel);
    k->card = hash(e->card_hash, sizeof e->card_hash, 2166136261U);
}

/* What came back to hand has left its place: looking for payments makes none of them forgotten. */
static void squeeze(struct older *o)
{
    uint32_t to = 0, used = 0;
    for (uint32_t i = 0; i < o->n; i++) {
        struct older_key k = o->keys[i];
        if (k.n == 0)
            continue;
        memmove(o->bytes + used, o->bytes + k.at, k.n);
        k.at = used;
        used += k.n;
        o->keys[to++] = k;
    }
    o->n = to;
    o->used = used;
}

static bool is_full(const struct older *o)
{
    return o->n == DP_PAYMENT_OLDER_MAX || DP_PAYMENT_OLDER_BYTES - o->used < ENTRY_BYTES_MAX;
}

/* The oldest quarter goes. */
static void forget(struct older *o)
{
    uint32_t gone = o->n / 4 > 0 ? o->n / 4 : o->n, bytes = o->used;
    if (gone < o->n)
        bytes = o->keys[gone].at;
    memmove(o->bytes, o->bytes + bytes, o->used - bytes);
    memmove(o->keys, o->keys + gone, (o->n - gone) * sizeof *o->keys);
    o->used -= bytes;
    o->n -= gone;
    for (uint32_t i = 0; i < o->n; i++)
        o->keys[i].at -= bytes;
}

void older_put(struct older *o, const struct entry *e)
{
    struct older_key *k;
    struct dp_writer w;
    if (is_full(o))
        squeeze(o);
    if (is_full(o))
        forget(o);
    dp_writer_init(&w, o->bytes + o->used, ENTRY_BYTES_MAX);
    entry_write(&w, e);
    DP_ASSERT(w.err == DP_OK);
    k = &o->keys[o->n++];
    k->at = o->used;
    k->n = (uint32_t)w.n;
    key_of(e, k);
    o->used += (uint32_t)w.n;
}

static bool same_key(const struct older_key *a, const struct older_key *b, enum older_by by)
{
    switch (by) {
    case OLDER_TX:
        return a->tx == b->tx;
    case OLDER_SERVICE:
        return a->service == b->service;
    case OLDER_SALE:
        return a->sale == b->sale;
    case OLDER_PARCEL:
        return a->parcel == b->parcel;
    default:
        return a->card == b->card;
    }
}

static bool same(const struct entry *a, const struct entry *b, enum older_by by)
{
    switch (by) {
    case OLDER_TX:
        return memcmp(a->tx, b->tx, sizeof a->tx) == 0;
    case OLDER_SERVICE:
        return strcmp(a->sale_id, b->sale_id) == 0 && strcmp(a->service_id, b->service_id) == 0;
    case OLDER_SALE:
        return strcmp(a->sale_id, b->sale_id) == 0 && strcmp(a->sale_tx, b->sale_tx) == 0;
    case OLDER_PARCEL:
        return strcmp(a->parcel, b->parcel) == 0;
    default:
        return a->has_card_hash && b->has_card_hash &&
               memcmp(a->card_hash, b->card_hash, sizeof a->card_hash) == 0;
    }
}

bool older_next(const struct older *o, enum older_by by, const struct entry *like, uint32_t *i,
                struct entry *e)
{
    struct older_key key;
    memset(&key, 0, sizeof key);
    key_of(like, &key);
    while (*i > 0) {
        const struct older_key *k = &o->keys[--*i];
        struct dp_reader r;
        if (k->n == 0 || !same_key(k, &key, by))
            continue;
        dp_reader_init(&r, o->bytes + k->at, k->n);
        entry_read(&r, e);
        DP_ASSERT(dp_reader_finish(&r) == DP_OK);
        if (same(e, like, by))
            return true;
    }
    return false;
}
