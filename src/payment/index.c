/* SPDX-License-Identifier: Apache-2.0 */
/* Payments as the journal tells them. Nothing is kept here that a restart could not read again. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "machine.h"

#define AUTHORISATION 1100

/* Key 48 of FORWARDED. */
enum {
    ACCEPTED = 1,
    REVERSAL_ACCEPTED = 3,
    GIVEN_UP = 4
};

static uint32_t hash(const void *p, size_t n, uint32_t h)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) *
            16777619U; /* FNV-1a: keys are random or the till's own, limits bound the rest */
    return h;
}

static uint32_t tx_bucket(const uint8_t tx[16])
{
    return hash(tx, 16, 2166136261U) % INDEX_BUCKETS;
}

static uint32_t service_bucket(const char *sale_id, const char *service_id)
{
    uint32_t h = hash(sale_id, strlen(sale_id) + 1, 2166136261U);
    return hash(service_id, strlen(service_id), h) % INDEX_BUCKETS;
}

int index_new(struct index *x, uint32_t max)
{
    memset(x, 0, sizeof *x);
    x->max = max;
    x->entries = calloc(max, sizeof *x->entries);
    if (x->entries == NULL || older_new(&x->older) < 0) {
        index_free(x);
        return DP_ERR_NOMEM;
    }
    memset(x->by_tx, 0xFF, sizeof x->by_tx); /* -1 */
    memset(x->by_service, 0xFF, sizeof x->by_service);
    return DP_OK;
}

void index_free(struct index *x)
{
    free(x->entries);
    x->entries = NULL;
    older_free(&x->older);
}

static struct entry *at_hand_again(struct index *x, uint32_t older, const struct entry *e);

/* The newest first: a reversal shares its sale's transaction id and must not hide it. */
struct entry *index_by_tx(struct index *x, const uint8_t tx[16])
{
    struct entry like, e;
    uint32_t older = x->older.n;
    for (int32_t i = x->by_tx[tx_bucket(tx)]; i >= 0; i = x->entries[i].next_tx)
        if (!x->entries[i].is_reversal && memcmp(x->entries[i].tx, tx, 16) == 0)
            return &x->entries[i];
    memset(&like, 0, sizeof like);
    memcpy(like.tx, tx, sizeof like.tx);
    while (older_next(&x->older, OLDER_TX, &like, &older, &e))
        if (!e.is_reversal)
            return at_hand_again(x, older, &e);
    return NULL;
}

/* False: longer than any that was kept. */
static bool take_text(char *out, size_t max, const char *text)
{
    size_t n = strlen(text);
    if (n >= max)
        return false;
    memcpy(out, text, n + 1);
    return true;
}

/* The newest at hand but for that one, -1: none. */
static int32_t at_hand(const struct index *x, const char *sale_id, const char *service_id,
                       const struct entry *but)
{
    int32_t i = x->by_service[service_bucket(sale_id, service_id)];
    while (i >= 0 && (&x->entries[i] == but || strcmp(x->entries[i].sale_id, sale_id) != 0 ||
                      strcmp(x->entries[i].service_id, service_id) != 0))
        i = x->entries[i].next_service;
    return i;
}

struct entry *index_by_service(struct index *x, const char *sale_id, const char *service_id)
{
    struct entry like, e;
    uint32_t older = x->older.n;
    int32_t i;
    if (service_id[0] == '\0')
        return NULL;
    i = at_hand(x, sale_id, service_id, NULL);
    if (i >= 0)
        return &x->entries[i];
    memset(&like, 0, sizeof like);
    if (take_text(like.sale_id, sizeof like.sale_id, sale_id) &&
        take_text(like.service_id, sizeof like.service_id, service_id) &&
        older_next(&x->older, OLDER_SERVICE, &like, &older, &e))
        return at_hand_again(x, older, &e);
    return NULL;
}

bool index_is_begun_twice(const struct index *x, uint64_t from)
{
    struct entry e;
    for (uint32_t i = 0; i < x->n; i++) {
        const struct entry *at = &x->entries[i];
        uint32_t older = x->older.n;
        if (at->seq >= from && !at->done && !at->is_reversal && at->service_id[0] != '\0')
            return at_hand(x, at->sale_id, at->service_id, at) >= 0 ||
                   older_next(&x->older, OLDER_SERVICE, at, &older, &e);
    }
    return false;
}

static void unchain(struct index *x, int32_t i)
{
    struct entry *e = &x->entries[i];
    int32_t *at = &x->by_tx[tx_bucket(e->tx)];
    while (*at >= 0 && *at != i)
        at = &x->entries[*at].next_tx;
    if (*at == i)
        *at = e->next_tx;
    at = &x->by_service[service_bucket(e->sale_id, e->service_id)];
    while (*at >= 0 && *at != i)
        at = &x->entries[*at].next_service;
    if (*at == i)
        *at = e->next_service;
}

/* A free place, or that of the oldest payment which nothing is pending for. */
static int32_t place(struct index *x)
{
    if (x->n < x->max)
        return (int32_t)x->n++;
    for (uint32_t tried = 0; tried < x->max; tried++) {
        int32_t i = (int32_t)(x->cursor++ % x->max);
        const struct entry *e = &x->entries[i];
        if (e->done && e->open_stan == 0 && e->forward != DP_FORWARD_PENDING) {
            unchain(x, i);
            older_put(&x->older, e);
            return i;
        }
    }
    return -1;
}

static void chain(struct index *x, int32_t i)
{
    struct entry *e = &x->entries[i];
    uint32_t b = tx_bucket(e->tx);
    e->next_tx = x->by_tx[b];
    x->by_tx[b] = i;
    b = service_bucket(e->sale_id, e->service_id);
    e->next_service = x->by_service[b];
    x->by_service[b] = i;
}

/* An older payment that is asked for comes back: who asks once asks again, and what is done to it
 * is done here. */
static struct entry *at_hand_again(struct index *x, uint32_t older, const struct entry *e)
{
    int32_t i;
    x->older.keys[older].n = 0; /* before another takes its way out */
    i = place(x);
    DP_ASSERT(i >= 0);
    x->entries[i] = *e;
    chain(x, i);
    return &x->entries[i];
}

static int by_order(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;
    return (x->order > y->order) - (x->order < y->order);
}

int index_chain(struct index *x)
{
    const struct entry **sorted = calloc(x->n + 1, sizeof *sorted);
    if (sorted == NULL)
        return DP_ERR_NOMEM;
    memset(x->by_tx, 0xFF, sizeof x->by_tx); /* -1 */
    memset(x->by_service, 0xFF, sizeof x->by_service);
    for (uint32_t i = 0; i < x->n; i++)
        sorted[i] = &x->entries[i];
    qsort(sorted, x->n, sizeof *sorted, by_order);
    for (uint32_t i = 0; i < x->n; i++)
        chain(x, (int32_t)(sorted[i] - x->entries));
    free(sorted);
    return DP_OK;
}

static struct entry *add(struct index *x, const struct dp_record *r)
{
    int32_t i = place(x);
    struct entry *e;
    DP_ASSERT(i >= 0); /* the queue of what is pending is far shorter than the index */
    e = &x->entries[i];
    memset(e, 0, sizeof *e);
    memcpy(e->tx, r->tx, sizeof e->tx);
    memcpy(e->original_tx, r->original_tx, sizeof e->original_tx);
    memcpy(e->fingerprint, r->fingerprint, sizeof e->fingerprint);
    memcpy(e->sale_id, r->sale_id, sizeof e->sale_id);
    memcpy(e->service_id, r->service_id, sizeof e->service_id);
    memcpy(e->poi_id, r->poi_id, sizeof e->poi_id);
    memcpy(e->sale_tx, r->sale_tx, sizeof e->sale_tx);
    memcpy(e->parcel, r->parcel, sizeof e->parcel);
    e->amount = r->amount;
    e->batch = r->batch;
    e->business_date = r->business_date;
    e->wall_ms = (int64_t)r->wall_ms;
    e->seq = r->seq;
    e->order = ++x->order;
    chain(x, i);
    return e;
}

static void count_round(struct round *round, const struct dp_record *r)
{
    if (r->mode == DP_MODE_OFFLINE) {
        round->offline_n++;
        round->offline_amount += (uint64_t)r->amount.minor;
    } else if (r->mode == DP_MODE_DEFERRED) {
        round->deferred_n++;
        round->deferred_amount += (uint64_t)r->amount.minor;
    } else if (r->action_code[0] != '\0') {
        round->synced_wall_ms = (int64_t)r->wall_ms;
    }
}

static void see_outcome(struct index *x, struct round *round, const struct dp_record *r)
{
    struct entry *e = index_by_tx(x, r->tx);
    if (e == NULL)
        return;
    memcpy(e->rrn, r->rrn, sizeof e->rrn);
    memcpy(e->auth_code, r->auth_code, sizeof e->auth_code);
    memcpy(e->action_code, r->action_code, sizeof e->action_code);
    memcpy(e->bin, r->bin, sizeof e->bin);
    memcpy(e->last4, r->last4, sizeof e->last4);
    memcpy(e->par, r->par, sizeof e->par);
    memcpy(e->aid, r->aid, sizeof e->aid);
    memcpy(e->card_hash, r->card_hash, sizeof e->card_hash);
    e->has_card_hash = r->has_card_hash;
    e->aid_n = r->aid_n;
    e->stan = r->stan;
    e->cvm = r->cvm;
    e->interface = r->interface;
    e->mode = r->mode;
    e->reason = (enum dp_reason)r->reason;
    e->pending_signature = r->pending_signature;
    e->degraded = r->degraded;
    e->seq = r->seq;
    e->wall_ms = (int64_t)r->wall_ms;
    e->headroom_amount = r->headroom_amount;
    e->headroom_count = r->headroom_count;
    e->round = round->number;
    e->done = true;
    e->open_stan = 0;
    if (r->mode == DP_MODE_OFFLINE || r->mode == DP_MODE_DEFERRED ||
        (r->mode == DP_MODE_ONLINE && r->mti == AUTHORISATION))
        e->forward = DP_FORWARD_PENDING; /* of an authorisation: its completion */
    claims_cryptogram(r->emv, r->emv_n, e->cryptogram, &e->atc);
    count_round(round, r);
}

static void see_reversal(struct index *x, const struct dp_record *r, bool is_void)
{
    struct entry *sale = index_by_tx(x, r->has_original_tx ? r->original_tx : r->tx);
    if (sale == NULL)
        return;
    if (sale->open_stan != 0 && sale->open_stan == r->original.stan)
        sale->open_stan = 0;
    if (!is_void && r->service_id[0] == '\0')
        return; /* ours, about a message that got no answer; the payment itself ends by its OUTCOME
                 */
    sale->reversed = true;
    if (is_void)
        sale->forward = DP_FORWARD_NONE;
    if (r->service_id[0] == '\0' || index_by_service(x, r->sale_id, r->service_id) != NULL)
        return;
    struct entry *e = add(x, r);
    sale = index_by_tx(x, r->has_original_tx ? r->original_tx : r->tx);
    e->is_reversal = true;
    e->done = true;
    e->mode = is_void ? DP_MODE_VOID : DP_MODE_REVERSED;
    e->stan = r->stan;
    memcpy(e->rrn, r->rrn, sizeof e->rrn);
    if (sale != NULL) {
        memcpy(e->bin, sale->bin, sizeof e->bin);
        memcpy(e->last4, sale->last4, sizeof e->last4);
        e->amount = sale->amount;
    }
    e->forward = is_void ? DP_FORWARD_NONE : DP_FORWARD_PENDING;
}

/* The reversal that stan stands for, among the sale-made ones of tx. */
static struct entry *reversal_by_stan(struct index *x, const uint8_t tx[16], uint32_t stan)
{
    for (int32_t i = x->by_tx[tx_bucket(tx)]; i >= 0; i = x->entries[i].next_tx)
        if (x->entries[i].is_reversal && x->entries[i].stan == stan &&
            memcmp(x->entries[i].tx, tx, 16) == 0)
            return &x->entries[i];
    return NULL;
}

/* What was deferred is asked for no more. */
static void see_given_up(struct entry *e, const struct dp_record *r)
{
    e->forward = DP_FORWARD_GIVEN_UP;
    e->reason = (enum dp_reason)r->reason;
}

static void see_forwarded(struct index *x, struct round *round, const struct dp_record *r)
{
    struct entry *e = index_by_tx(x, r->tx);
    struct entry *reversal = r->stan == 0 ? NULL : reversal_by_stan(x, r->tx, r->stan);
    if (r->stan == 0) {
        if (e != NULL && e->mode == DP_MODE_DEFERRED && r->result == GIVEN_UP)
            see_given_up(e, r);
        return;
    }
    if (r->result != GIVEN_UP)
        round->synced_wall_ms = (int64_t)r->wall_ms;
    if (reversal != NULL) {
        reversal->forward =
            r->result == REVERSAL_ACCEPTED ? DP_FORWARD_ACCEPTED : DP_FORWARD_DECLINED;
        return;
    }
    if (e == NULL || r->result == REVERSAL_ACCEPTED)
        return;
    if (r->stan != 0 && e->open_stan == r->stan)
        e->open_stan = 0;
    else if (r->stan != 0 && e->stan != r->stan && e->mode != DP_MODE_DEFERRED)
        return; /* of a message that the payment does not hang on */
    e->authorised = e->mode == DP_MODE_DEFERRED && r->mti == AUTHORISATION && r->result == ACCEPTED;
    if (r->mti != AUTHORISATION || r->result != ACCEPTED) /* else its completion is still to come */
        e->forward = r->result == ACCEPTED ? DP_FORWARD_ACCEPTED : DP_FORWARD_DECLINED;
    e->stan = r->stan;
    if (r->auth_code[0] != '\0')
        memcpy(e->auth_code, r->auth_code, sizeof e->auth_code);
    memcpy(e->action_code, r->action_code, sizeof e->action_code);
}

void index_see(struct index *x, struct round *round, const struct dp_record *r)
{
    struct entry *e;
    switch (r->type) {
    case DP_RECORD_OPEN:
        round->synced_wall_ms = (int64_t)r->wall_ms; /* provisioned: it was with the back office */
        break;
    case DP_RECORD_INTENT:
        (void)add(x, r);
        break;
    case DP_RECORD_REQUESTED:
        e = index_by_tx(x, r->tx);
        if (e != NULL)
            e->open_stan = r->stan;
        break;
    case DP_RECORD_OUTCOME:
        see_outcome(x, round, r);
        break;
    case DP_RECORD_REVERSAL:
        see_reversal(x, r, false);
        break;
    case DP_RECORD_VOID:
        see_reversal(x, r, true);
        break;
    case DP_RECORD_FORWARDED:
        see_forwarded(x, round, r);
        break;
    case DP_RECORD_TIME_SYNC:
        round->synced_wall_ms = (int64_t)r->wall_ms;
        break;
    case DP_RECORD_SETTLED: {
        uint32_t number = round->number + 1;
        if (strcmp(r->action_code, SETTLED_IN_BALANCE) != 0)
            break; /* out of balance: the round stays open */
        memset(round, 0, sizeof *round);
        round->number = number;
        round->synced_wall_ms = (int64_t)r->wall_ms;
        break;
    }
    default:
        break;
    }
}

static bool is_paid(const struct entry *e)
{
    bool approved = e->mode == DP_MODE_ONLINE || e->mode == DP_MODE_OFFLINE ||
                    (e->mode == DP_MODE_DEFERRED && !lost_later(e));
    return approved && !e->reversed && !e->is_reversal;
}

bool index_is_paid(const struct index *x, const char *sale_id, const char *sale_tx)
{
    struct entry like, e;
    uint32_t older = x->older.n;
    if (sale_tx[0] == '\0')
        return false;
    for (uint32_t i = 0; i < x->n; i++) {
        const struct entry *at = &x->entries[i];
        if (is_paid(at) && strcmp(at->sale_tx, sale_tx) == 0 && strcmp(at->sale_id, sale_id) == 0)
            return true;
    }
    memset(&like, 0, sizeof like);
    if (!take_text(like.sale_id, sizeof like.sale_id, sale_id) ||
        !take_text(like.sale_tx, sizeof like.sale_tx, sale_tx))
        return false;
    while (older_next(&x->older, OLDER_SALE, &like, &older, &e))
        if (is_paid(&e))
            return true;
    return false;
}

static bool goes_before(const struct entry *e, const struct entry *than)
{
    if (than == NULL || is_paid(e) != is_paid(than))
        return than == NULL || is_paid(e);
    return e->wall_ms >= than->wall_ms;
}

/* An older one that goes before the one found at hand (NULL: none is). */
static const struct entry *older_by_parcel(struct index *x, const char *parcel,
                                           const struct entry *found)
{
    struct entry like, e, best;
    uint32_t i = x->older.n, at = 0;
    bool any = false;
    memset(&like, 0, sizeof like);
    memset(&best, 0, sizeof best);
    if (!take_text(like.parcel, sizeof like.parcel, parcel))
        return found;
    while (older_next(&x->older, OLDER_PARCEL, &like, &i, &e)) {
        const struct entry *so_far = any ? &best : found;
        if (e.is_reversal || (so_far != NULL && goes_before(so_far, &e)))
            continue;
        best = e;
        at = i;
        any = true;
    }
    return any ? at_hand_again(x, at, &best) : found;
}

const struct entry *index_by_parcel(struct index *x, const char *parcel)
{
    const struct entry *found = NULL;
    if (parcel[0] == '\0')
        return NULL;
    for (uint32_t i = 0; i < x->n; i++) {
        const struct entry *e = &x->entries[i];
        if (!e->is_reversal && strcmp(e->parcel, parcel) == 0 && goes_before(e, found))
            found = e;
    }
    return older_by_parcel(x, parcel, found);
}
