/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/reader.h"

#include "hash.h"

#define FIRST_SLOTS       64
#define MTI_AUTHORISATION 1100
#define MTI_ADVICE        1220
#define GIVEN_UP          4 /* key 48 */

enum what {
    FREE = 0,
    PAYMENT,   /* stan 0 */
    REQUESTED, /* a message that can move money, sent under stan */
    ADVICE,    /* of an offline approval */
    REVERSAL   /* its own message */
};

struct entry {
    uint8_t tx[16];
    uint32_t stan;
    uint8_t what, mode;
    bool closed;   /* PAYMENT: has its OUTCOME; others: answered, or taken back without an answer */
    bool reversed; /* a REVERSAL names this stan; PAYMENT: void */
    bool forwarded;
    bool refused;       /* the acquirer declined it: there is nothing to take back */
    bool authorisation; /* REQUESTED: an 1100; a completion under the same STAN captures it */
    bool completing;    /* ... which is still to be answered */
    uint32_t open_stan; /* PAYMENT: a REQUESTED nothing has closed yet */
    struct dp_money amount;
};

/* Open addressing; slots is a power of two. A place comes from SHA-256, so that whoever chooses
 * transaction ids cannot cheaply pile them up in one. */
struct ledger {
    struct entry *entries;
    size_t slots, used;
};

int ledger_new(struct ledger **out)
{
    struct ledger *l = calloc(1, sizeof *l);
    *out = NULL;
    if (l == NULL)
        return DP_ERR_NOMEM;
    l->slots = FIRST_SLOTS;
    l->entries = calloc(l->slots, sizeof *l->entries);
    if (l->entries == NULL) {
        free(l);
        return DP_ERR_NOMEM;
    }
    *out = l;
    return DP_OK;
}

void ledger_free(struct ledger **l)
{
    if (*l == NULL)
        return;
    free((*l)->entries);
    free(*l);
    *l = NULL;
}

static int place_of(const uint8_t tx[16], uint32_t stan, uint64_t *place)
{
    const uint8_t number[4] = {(uint8_t)(stan >> 24), (uint8_t)(stan >> 16), (uint8_t)(stan >> 8),
                               (uint8_t)stan};
    const struct dp_bytes parts[] = {{tx, 16}, {number, sizeof number}};
    uint8_t hash[HASH_BYTES];
    int err = hash_parts(parts, 2, hash);
    if (err == DP_OK)
        memcpy(place, hash, sizeof *place);
    return err;
}

/* The entry, or the free slot where it would stand. */
static int slot(const struct ledger *l, const uint8_t tx[16], uint32_t stan, struct entry **out)
{
    uint64_t place;
    int err = place_of(tx, stan, &place);
    if (err != DP_OK)
        return err;
    for (size_t i = 0; i < l->slots; i++) {
        struct entry *e = &l->entries[(place + i) & (l->slots - 1)];
        if (e->what == FREE || (e->stan == stan && memcmp(e->tx, tx, sizeof e->tx) == 0)) {
            *out = e;
            return DP_OK;
        }
    }
    return DP_ERR_INTERNAL; /* never full */
}

bool ledger_is_deferred(const struct ledger *l, const uint8_t tx[16])
{
    struct entry *e;
    return slot(l, tx, 0, &e) == DP_OK && e->what == PAYMENT && e->closed &&
           e->mode == DP_MODE_DEFERRED;
}

/* More than half of the slots stay free. */
static int grow(struct ledger *l, size_t records)
{
    struct ledger bigger = {NULL, l->slots * 2, l->used};
    int err = DP_OK;
    if (l->used >= DP_JOURNAL_LEDGER_MAX)
        return DP_ERR_LIMIT;
    if (l->used + records <= l->slots / 2)
        return DP_OK;
    while (bigger.slots / 2 < l->used + records)
        bigger.slots *= 2;
    bigger.entries = calloc(bigger.slots, sizeof *bigger.entries);
    if (bigger.entries == NULL)
        return DP_ERR_NOMEM;
    for (size_t i = 0; err == DP_OK && i < l->slots; i++) {
        struct entry *to;
        if (l->entries[i].what == FREE)
            continue;
        err = slot(&bigger, l->entries[i].tx, l->entries[i].stan, &to);
        if (err == DP_OK)
            *to = l->entries[i];
    }
    if (err != DP_OK) {
        free(bigger.entries);
        return err;
    }
    free(l->entries);
    *l = bigger;
    return DP_OK;
}

/* What a record finds: its payment and the message it speaks of. Pointers hold until grow(). */
struct view {
    struct entry *payment, *message, *own;
};

static void take(struct ledger *l, struct entry *e, const uint8_t tx[16], uint32_t stan,
                 enum what what)
{
    DP_ASSERT(e->what == FREE);
    memcpy(e->tx, tx, sizeof e->tx);
    e->stan = stan;
    e->what = (uint8_t)what;
    l->used++;
}

static bool another_amount(const struct dp_record *r, const struct entry *p)
{
    return r->amount.minor != p->amount.minor || r->amount.currency != p->amount.currency ||
           r->amount.exponent != p->amount.exponent;
}

/* ---- one function a type: NULL, or why it must not stand here ---- */

static const char *see_intent(struct ledger *l, const struct dp_record *r, struct view *v)
{
    if (v->payment->what != FREE)
        return "a second INTENT of the same transaction";
    take(l, v->payment, r->tx, 0, PAYMENT);
    v->payment->amount = r->amount;
    return NULL;
}

static const char *see_requested(struct ledger *l, const struct dp_record *r, struct view *v)
{
    struct entry *p = v->payment;
    if (p->what == FREE)
        return "REQUESTED without an INTENT";
    if (another_amount(r, p))
        return "REQUESTED has another amount than its INTENT";
    if (r->mode != DP_MODE_ONLINE && r->mode != DP_MODE_DEFERRED)
        return "REQUESTED is neither online nor deferred";
    if (r->mode == DP_MODE_ONLINE && p->closed)
        return "REQUESTED online after the OUTCOME";
    if (r->mode == DP_MODE_DEFERRED && (!p->closed || p->mode != DP_MODE_DEFERRED || p->reversed))
        return "REQUESTED for later, and the payment is not deferred";
    if (p->forwarded)
        return "REQUESTED after the payment had its answer";
    if (p->open_stan != 0)
        return "REQUESTED while another of the transaction is open";
    if (v->message->what != FREE)
        return "REQUESTED under a STAN that the transaction used before";
    take(l, v->message, r->tx, r->stan, REQUESTED);
    v->message->authorisation = r->mti == MTI_AUTHORISATION;
    p->open_stan = r->stan;
    return NULL;
}

static const char *see_outcome(struct ledger *l, const struct dp_record *r, struct view *v)
{
    struct entry *p = v->payment;
    if (p->what == FREE)
        return "OUTCOME without an INTENT";
    if (p->closed)
        return "a second OUTCOME of the same transaction";
    if (another_amount(r, p))
        return "OUTCOME has another amount than its INTENT";
    if (r->mode < DP_MODE_ONLINE || r->mode > DP_MODE_DECLINED)
        return "OUTCOME has no mode that ends a payment";
    if (r->mode == DP_MODE_ONLINE && (p->open_stan == 0 || r->stan != p->open_stan))
        return "OUTCOME online without its REQUESTED";
    if (r->mode == DP_MODE_OFFLINE && (r->stan == 0 || v->message->what != FREE))
        return "OUTCOME offline-approved without a STAN of its own for the advice";
    if (p->open_stan != 0 && r->stan == p->open_stan &&
        (r->mode == DP_MODE_ONLINE || (r->mode == DP_MODE_DECLINED && r->action_code[0] != '\0'))) {
        v->message->closed = true;
        v->message->refused = r->mode == DP_MODE_DECLINED;
        v->message->completing = v->message->authorisation && r->mode == DP_MODE_ONLINE;
        p->open_stan = 0;
    }
    if (p->open_stan != 0)
        return "OUTCOME while a REQUESTED is open";
    if (r->mode == DP_MODE_OFFLINE)
        take(l, v->message, r->tx, r->stan, ADVICE);
    p->closed = true;
    p->mode = (uint8_t)r->mode;
    return NULL;
}

static const char *see_reversal(struct ledger *l, const struct dp_record *r, struct view *v)
{
    struct entry *p = v->payment, *m = v->message;
    if (p->what == FREE)
        return "REVERSAL of an unknown transaction";
    if (m->what != REQUESTED && m->what != ADVICE)
        return "REVERSAL of a message that was never sent";
    if (m->refused)
        return "REVERSAL of a message that was declined";
    if (m->reversed || p->reversed)
        return "a second REVERSAL of the same message";
    if (another_amount(r, p))
        return "REVERSAL has another amount than its sale";
    if (v->own->what != FREE)
        return "REVERSAL under a STAN that the transaction used before";
    m->reversed = true;
    if (p->open_stan == m->stan) {
        p->open_stan = 0;
        m->closed = true;
    }
    take(l, v->own, p->tx, r->stan, REVERSAL);
    return NULL;
}

static const char *see_void(const struct dp_record *r, struct view *v)
{
    struct entry *p = v->payment;
    if (p->what == FREE)
        return "VOID of an unknown transaction";
    if (!p->closed || (p->mode != DP_MODE_OFFLINE && p->mode != DP_MODE_DEFERRED))
        return "VOID of a payment that was not approved without a link";
    if (p->reversed)
        return "a second VOID of the same transaction";
    if (p->forwarded || p->open_stan != 0)
        return "VOID of a payment that has left the device";
    if (another_amount(r, p))
        return "VOID has another amount than its sale";
    p->reversed = true;
    return NULL;
}

/* Without a STAN it is the wish itself that ends: what was deferred is not asked for any more. */
static const char *see_given_up(const struct dp_record *r, struct entry *p)
{
    if (p->what == FREE)
        return "FORWARDED of an unknown transaction";
    if (r->result != GIVEN_UP)
        return "FORWARDED without a STAN, and it gives nothing up";
    if (!p->closed || p->mode != DP_MODE_DEFERRED || p->reversed || p->forwarded)
        return "FORWARDED gives up a payment that does not wait to be asked for";
    if (p->open_stan != 0)
        return "FORWARDED gives up a payment while its REQUESTED is open";
    if (r->has_amount && another_amount(r, p))
        return "FORWARDED has another amount than its sale";
    p->forwarded = true;
    return NULL;
}

static const char *see_forwarded(const struct dp_record *r, struct view *v)
{
    struct entry *p = v->payment, *m = v->message;
    bool reversal = m->what == REVERSAL;
    if (r->stan == 0)
        return see_given_up(r, p);
    if (p->what == FREE || m->what == FREE)
        return "FORWARDED names a message that was never made";
    if (r->has_amount && another_amount(r, p))
        return "FORWARDED has another amount than its sale";
    if (!r->has_amount && r->result == 1)
        return "FORWARDED says accepted, and not how much";
    if (m->completing && r->mti == MTI_ADVICE && r->result != 3) {
        m->completing = false;
        p->forwarded = true;
        return NULL;
    }
    if (m->closed)
        return "FORWARDED closes a message that is closed";
    if (m->what == REQUESTED && p->mode != DP_MODE_DEFERRED)
        return "FORWARDED closes an online message";
    if (m->authorisation && r->mti == MTI_ADVICE)
        return "FORWARDED completes an authorisation that has no answer";
    if (!reversal && p->reversed)
        return "FORWARDED after a VOID";
    if (r->result != GIVEN_UP && reversal != (r->result == 3))
        return "FORWARDED has a result that its message cannot have";
    m->closed = true;
    m->refused = r->result == 2;
    m->completing = m->authorisation && r->result == 1;
    if (p->open_stan == m->stan)
        p->open_stan = 0;
    p->forwarded |= !reversal;
    return NULL;
}

static const char *judge(struct ledger *l, const struct dp_record *r, struct view *v)
{
    switch (r->type) {
    case DP_RECORD_INTENT:
        return see_intent(l, r, v);
    case DP_RECORD_REQUESTED:
        return see_requested(l, r, v);
    case DP_RECORD_OUTCOME:
        return see_outcome(l, r, v);
    case DP_RECORD_REVERSAL:
        return see_reversal(l, r, v);
    case DP_RECORD_VOID:
        return see_void(r, v);
    default:
        DP_ASSERT(r->type == DP_RECORD_FORWARDED);
        return see_forwarded(r, v);
    }
}

int ledger_see(struct ledger *l, const struct dp_record *r, const char **why)
{
    bool undo = r->type == DP_RECORD_REVERSAL || r->type == DP_RECORD_VOID;
    const uint8_t *tx = undo && r->has_original_tx ? r->original_tx : r->tx;
    uint32_t stan = r->type == DP_RECORD_REVERSAL ? r->original.stan : r->stan;
    struct view v;
    int err;
    *why = NULL;
    if (r->type < DP_RECORD_INTENT || r->type > DP_RECORD_FORWARDED)
        return DP_OK;
    err = grow(l, 1);
    if (err == DP_OK)
        err = slot(l, tx, 0, &v.payment);
    if (err == DP_OK)
        err = slot(l, tx, stan, &v.message);
    if (err == DP_OK)
        err = slot(l, tx, r->stan, &v.own);
    if (err == DP_OK)
        *why = judge(l, r, &v);
    return err;
}

int ledger_reserve(struct ledger *l, size_t records)
{
    return grow(l, records);
}

/* ---- as a part of a snapshot ---- */

/* slots u32; then, for each that is taken: slot u32, tx, stan u32, what u8, mode u8, flags u8,
 * open_stan u32, amount u64, currency u16, exponent u8. A place is a hash: with it nothing has to
 * be hashed again. */
#define SAVED_HEAD  4
#define SAVED_ENTRY 42
#define FLAGS       6

static uint8_t flags_of(const struct entry *e)
{
    return (uint8_t)(e->closed | e->reversed << 1 | e->forwarded << 2 | e->refused << 3 |
                     e->authorisation << 4 | e->completing << 5);
}

size_t ledger_saved_bytes(const struct ledger *l)
{
    return SAVED_HEAD + l->used * SAVED_ENTRY;
}

void ledger_save(const struct ledger *l, struct dp_writer *w)
{
    size_t begin = w->n;
    dp_write_u32(w, (uint32_t)l->slots);
    for (size_t i = 0; i < l->slots; i++) {
        const struct entry *e = &l->entries[i];
        if (e->what == FREE)
            continue;
        dp_write_u32(w, (uint32_t)i);
        dp_write_bytes(w, e->tx, sizeof e->tx);
        dp_write_u32(w, e->stan);
        dp_write_u8(w, e->what);
        dp_write_u8(w, e->mode);
        dp_write_u8(w, flags_of(e));
        dp_write_u32(w, e->open_stan);
        dp_write_u64(w, (uint64_t)e->amount.minor);
        dp_write_u16(w, e->amount.currency);
        dp_write_u8(w, e->amount.exponent);
    }
    DP_ASSERT(w->err != DP_OK || w->n - begin == ledger_saved_bytes(l));
}

/* next: the first slot that it may be in. */
static int restore_entry(struct ledger *l, struct dp_reader *r, uint32_t *next)
{
    uint32_t i = dp_read_u32(r);
    struct entry e;
    uint8_t flags;
    memset(&e, 0, sizeof e);
    dp_read_copy(r, e.tx, sizeof e.tx);
    e.stan = dp_read_u32(r);
    e.what = dp_read_u8(r);
    e.mode = dp_read_u8(r);
    flags = dp_read_u8(r);
    e.open_stan = dp_read_u32(r);
    e.amount.minor = (int64_t)dp_read_u64(r);
    e.amount.currency = dp_read_u16(r);
    e.amount.exponent = dp_read_u8(r);
    if (r->err != DP_OK)
        return r->err;
    if (i < *next || i >= l->slots || e.what == FREE || e.what > REVERSAL || flags >> FLAGS != 0 ||
        (e.what == PAYMENT) != (e.stan == 0))
        return DP_ERR_RANGE;
    e.closed = (flags & 1) != 0;
    e.reversed = (flags & 2) != 0;
    e.forwarded = (flags & 4) != 0;
    e.refused = (flags & 8) != 0;
    e.authorisation = (flags & 16) != 0;
    e.completing = (flags & 32) != 0;
    l->entries[i] = e;
    l->used++;
    *next = i + 1;
    return DP_OK;
}

int ledger_restore(struct dp_bytes saved, struct ledger **out)
{
    struct dp_reader r;
    struct ledger *l;
    uint32_t slots, next = 0;
    int err = DP_OK;
    *out = NULL;
    dp_reader_init(&r, saved.p, saved.n);
    slots = dp_read_u32(&r);
    if (r.err != DP_OK)
        return r.err;
    if (slots < FIRST_SLOTS || (slots & (slots - 1)) != 0 ||
        slots / 4 > r.left / SAVED_ENTRY + DP_JOURNAL_LEDGER_RESERVE ||
        r.left / SAVED_ENTRY > slots / 2)
        return DP_ERR_RANGE;
    l = calloc(1, sizeof *l);
    if (l == NULL)
        return DP_ERR_NOMEM;
    l->slots = slots;
    l->entries = calloc(slots, sizeof *l->entries);
    err = l->entries == NULL ? DP_ERR_NOMEM : DP_OK;
    while (err == DP_OK && r.left > 0)
        err = restore_entry(l, &r, &next);
    if (err != DP_OK)
        ledger_free(&l);
    *out = l;
    return err;
}
