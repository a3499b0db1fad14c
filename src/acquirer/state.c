/* SPDX-License-Identifier: Apache-2.0 */
/* The table of messages as the journal's records tell it. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/secret.h"

int dp_acquirer_new(const struct dp_acquirer_config *config, struct dp_acquirer **out)
{
    struct dp_acquirer *a;
    DP_ASSERT(config != NULL && out != NULL);
    if (config->clock == NULL || config->random == NULL ||
        (config->mac_len != 8 && config->mac_len != 16) || strlen(config->tid) != 8 ||
        config->mid[0] == '\0')
        return DP_ERR_ARG;
    a = calloc(1, sizeof *a);
    if (a == NULL)
        return DP_ERR_NOMEM;
    a->messages = calloc(DP_ACQUIRER_MESSAGES_MAX, sizeof *a->messages);
    if (a->messages == NULL) {
        free(a);
        return DP_ERR_NOMEM;
    }
    a->config = *config;
    a->layout = dp_iso8583_profile("iso93-pos");
    DP_ASSERT(a->layout != NULL);
    memset(a->by_tx, 0xFF, sizeof a->by_tx); /* -1 */
    a->batch.batch = 1;
    *out = a;
    return DP_OK;
}

void dp_acquirer_free(struct dp_acquirer **a)
{
    if (*a == NULL)
        return;
    free((*a)->messages);
    free(*a);
    *a = NULL;
}

/* ---- finding ---- */

static int32_t *bucket(struct dp_acquirer *a, const uint8_t tx[16])
{
    uint32_t h = 0;
    memcpy(&h, tx, sizeof h); /* transaction ids are drawn at random */
    return &a->by_tx[h % TX_BUCKETS];
}

const struct message *next_of_tx_const(const struct dp_acquirer *a, const uint8_t tx[16],
                                       const struct message *m)
{
    uint32_t h = 0;
    int32_t i;
    memcpy(&h, tx, sizeof h);
    for (i = m == NULL ? a->by_tx[h % TX_BUCKETS] : m->next_tx; i >= 0; i = a->messages[i].next_tx)
        if (memcmp(a->messages[i].tx, tx, 16) == 0)
            return &a->messages[i];
    return NULL;
}

struct message *next_of_tx(struct dp_acquirer *a, const uint8_t tx[16], const struct message *m)
{
    const struct message *next = next_of_tx_const(a, tx, m);
    return next == NULL ? NULL : &a->messages[next - a->messages];
}

struct message *find_sale(struct dp_acquirer *a, const uint8_t tx[16], uint32_t stan)
{
    struct message *m = NULL;
    while ((m = next_of_tx(a, tx, m)) != NULL)
        if ((m->kind == MESSAGE_REQUEST || m->kind == MESSAGE_ADVICE) && m->stan == stan)
            return m;
    return NULL;
}

struct message *find_reversal(struct dp_acquirer *a, const uint8_t tx[16], uint32_t stan)
{
    struct message *m = NULL;
    while ((m = next_of_tx(a, tx, m)) != NULL)
        if (m->kind == MESSAGE_REVERSAL && m->stan == stan)
            return m;
    return NULL;
}

struct message *find_packed(struct dp_acquirer *a, const uint8_t tx[16], uint32_t stan,
                            uint32_t mti)
{
    struct message *m = NULL;
    while ((m = next_of_tx(a, tx, m)) != NULL)
        if (m->kind != MESSAGE_DEFERRED && m->stan == stan && m->mti == mti / 10 * 10)
            return m;
    return NULL;
}

struct message *find_deferred(struct dp_acquirer *a, const uint8_t tx[16])
{
    struct message *m = NULL;
    while ((m = next_of_tx(a, tx, m)) != NULL)
        if (m->kind == MESSAGE_DEFERRED && m->state == STATE_QUEUED)
            return m;
    return NULL;
}

/* ---- a new message ---- */

static void unchain(struct dp_acquirer *a, int32_t i)
{
    int32_t *at = bucket(a, a->messages[i].tx);
    while (*at != i) {
        DP_ASSERT(*at >= 0);
        at = &a->messages[*at].next_tx;
    }
    *at = a->messages[i].next_tx;
}

void chain_message(struct dp_acquirer *a, int32_t i)
{
    struct message *m = &a->messages[i];
    m->next_tx = *bucket(a, m->tx);
    *bucket(a, m->tx) = i;
}

/* m's transaction waits for something that m may matter to. What was taken back, and is answered
 * for, does not matter to a deferred payment that is asked for again. */
static bool is_wanted(const struct dp_acquirer *a, const struct message *m)
{
    const struct message *other = NULL;
    if (m->state == STATE_OPEN || m->state == STATE_QUEUED)
        return true;
    while ((other = next_of_tx_const(a, m->tx, other)) != NULL)
        if (other->state == STATE_OPEN ||
            (other->state == STATE_QUEUED &&
             (other->kind != MESSAGE_DEFERRED || m->state != STATE_CLOSED)))
            return true;
    return false;
}

/* A free place, or that of a message which nothing waits for any more. */
static int32_t place(struct dp_acquirer *a)
{
    if (a->n < DP_ACQUIRER_MESSAGES_MAX)
        return (int32_t)a->n++;
    for (uint32_t tried = 0; tried < DP_ACQUIRER_MESSAGES_MAX; tried++) {
        int32_t i = (int32_t)(a->cursor++ % DP_ACQUIRER_MESSAGES_MAX);
        if (!is_wanted(a, &a->messages[i])) {
            unchain(a, i);
            return i;
        }
    }
    return -1;
}

static struct message *add(struct dp_acquirer *a, enum message_kind kind, enum message_state state,
                           const struct dp_record *r)
{
    int32_t i = place(a);
    struct message *m;
    DP_ASSERT(i >= 0); /* fill_* refuse long before so much is outstanding */
    m = &a->messages[i];
    memset(m, 0, sizeof *m);
    m->kind = (uint8_t)kind;
    m->state = (uint8_t)state;
    memcpy(m->tx, r->tx, sizeof m->tx);
    m->stan = kind == MESSAGE_DEFERRED ? 0 : r->stan;
    m->mti = r->mti;
    m->function = r->function;
    m->msg_reason = r->msg_reason;
    m->batch = r->batch;
    m->business_date = r->business_date;
    m->interface = r->interface;
    m->cvm = r->cvm;
    m->mode = r->mode;
    memcpy(m->tid, r->tid, sizeof m->tid);
    memcpy(m->mid, r->mid, sizeof m->mid);
    memcpy(m->rrn, r->rrn, sizeof m->rrn);
    memcpy(m->de7, r->de7, sizeof m->de7);
    memcpy(m->de12, r->de12, sizeof m->de12);
    memcpy(m->auth_code, r->auth_code, sizeof m->auth_code);
    memcpy(m->parcel, r->parcel, sizeof m->parcel);
    m->amount = r->amount;
    m->wall_ms = (int64_t)r->wall_ms;
    m->deferred_until = r->deferred_until;
    m->order = ++a->order;
    m->live = m->stan != 0 && m->stan == a->fresh_stan;
    m->may_have_left = !m->live;
    m->sends = m->live ? 0 : 1;
    chain_message(a, i);
    a->fresh_stan = m->live ? 0 : a->fresh_stan;
    return m;
}

static void keep_emv(struct message *m, const uint8_t *emv, uint16_t n)
{
    DP_ASSERT(n <= sizeof m->emv);
    memcpy(m->emv, emv, n);
    m->emv_n = n;
}

/* STANs rise and wrap; a record that comes late (SETTLED) does not turn them back. */
static void see_stan(struct dp_acquirer *a, uint32_t stan)
{
    if (stan > 0 && (stan + STAN_MAX - a->stan) % STAN_MAX < STAN_MAX / 2)
        a->stan = stan;
}

/* ---- records ---- */

/* m stands in the open batch's totals. */
static void own_batch(struct dp_acquirer *a, const struct message *m)
{
    struct owner *o = &a->batch_owner;
    if (o->currency != 0)
        return;
    memcpy(o->tid, m->tid, sizeof o->tid);
    memcpy(o->mid, m->mid, sizeof o->mid);
    o->currency = m->amount.currency;
}

static void count_sale(struct dp_acquirer *a, struct message *m)
{
    m->state = STATE_CAPTURED;
    m->counted = true;
    if (m->batch != a->batch.batch)
        return;
    own_batch(a, m);
    a->batch.sales_n++;
    a->batch.sales_amount += (uint64_t)m->amount.minor;
}

/* Dual message: what an approved 1100 promised is captured by a 1220 under the same numbers. */
static void add_completion(struct dp_acquirer *a, struct message *request, const uint8_t *emv,
                           uint16_t emv_n, const char *auth_code)
{
    struct dp_record r;
    struct message *m;
    memset(&r, 0, sizeof r);
    memcpy(r.tx, request->tx, sizeof r.tx);
    r.stan = request->stan;
    r.mti = 1220;
    r.function = 201;
    r.msg_reason = request->mode == DP_MODE_DEFERRED ? 1003 : 1004;
    r.batch = request->batch;
    r.business_date = request->business_date;
    r.interface = request->interface;
    r.cvm = request->cvm;
    r.mode = request->mode;
    memcpy(r.tid, request->tid, sizeof r.tid);
    memcpy(r.mid, request->mid, sizeof r.mid);
    memcpy(r.rrn, request->rrn, sizeof r.rrn);
    memcpy(r.de7, request->de7, sizeof r.de7);
    memcpy(r.de12, request->de12, sizeof r.de12);
    memcpy(r.auth_code, auth_code, sizeof r.auth_code);
    memcpy(r.parcel, request->parcel, sizeof r.parcel);
    r.amount = request->amount;
    r.wall_ms = (uint64_t)request->wall_ms;
    request->state = STATE_AUTHORISED;
    m = add(a, MESSAGE_ADVICE, STATE_QUEUED, &r);
    keep_emv(m, emv, emv_n);
    m->live = request->live;
    m->may_have_left = !request->live;
    m->sends = request->live ? 0 : 1;
}

static void see_outcome(struct dp_acquirer *a, const struct dp_record *r)
{
    struct message *m = r->stan == 0 ? NULL : find_sale(a, r->tx, r->stan);
    if (r->mode == DP_MODE_OFFLINE) {
        see_stan(a, r->stan);
        keep_emv(add(a, MESSAGE_ADVICE, STATE_QUEUED, r), r->emv, r->emv_n);
        return;
    }
    if (r->mode == DP_MODE_DEFERRED) {
        keep_emv(add(a, MESSAGE_DEFERRED, STATE_QUEUED, r), r->emv, r->emv_n);
        return;
    }
    if (m == NULL || m->kind != MESSAGE_REQUEST || m->state != STATE_OPEN)
        return;
    m->interface = r->interface;
    m->cvm = r->cvm;
    if (r->mode != DP_MODE_ONLINE)
        m->state = STATE_CLOSED;
    else if (m->mti == 1100)
        add_completion(a, m, r->emv, r->emv_n, r->auth_code);
    else
        count_sale(a, m);
}

static void see_reversal(struct dp_acquirer *a, const struct dp_record *r)
{
    struct message *sale =
        find_sale(a, r->has_original_tx ? r->original_tx : r->tx, r->original.stan);
    struct message *m;
    see_stan(a, r->stan);
    if (sale != NULL) {
        sale->reversed = true;
        if (sale->state == STATE_OPEN)
            sale->state = STATE_CLOSED;
    }
    m = add(a, MESSAGE_REVERSAL, STATE_QUEUED, r);
    m->original.mti = (uint16_t)r->original.mti;
    m->original.stan = r->original.stan;
    memcpy(m->original.de12, r->original.de12, sizeof m->original.de12);
    memcpy(m->original.acquirer, r->original.acquirer, sizeof m->original.acquirer);
    if (sale == NULL)
        return;
    /* what a 1420 says of its sale, the same in every repeat */
    m->mode = sale->mode;
    m->interface = sale->interface;
    m->cvm = sale->cvm;
}

static void see_void(struct dp_acquirer *a, const struct dp_record *r)
{
    const uint8_t *tx = r->has_original_tx ? r->original_tx : r->tx;
    struct message *m = NULL;
    while ((m = next_of_tx(a, tx, m)) != NULL)
        if (m->state == STATE_QUEUED && m->kind != MESSAGE_REVERSAL)
            m->state = STATE_CLOSED;
}

static void see_reversal_forwarded(struct dp_acquirer *a, struct message *m, uint32_t result)
{
    const struct message *sale = find_sale(a, m->tx, m->original.stan);
    m->state = STATE_CLOSED;
    if (result != RESULT_REVERSAL_ACCEPTED || sale == NULL || !sale->counted || m->counted)
        return;
    m->counted = true;
    if (m->batch != a->batch.batch)
        return;
    own_batch(a, m);
    a->batch.reversals_n++;
    a->batch.reversals_amount += (uint64_t)m->amount.minor;
}

static void see_request_forwarded(struct dp_acquirer *a, struct message *m,
                                  const struct dp_record *r)
{
    struct message *deferred = find_deferred(a, m->tx);
    if (deferred != NULL) {
        deferred->state = STATE_CLOSED;
        m->interface = deferred->interface;
        m->cvm = deferred->cvm;
    }
    if (r->result != RESULT_ACCEPTED)
        m->state = STATE_CLOSED;
    else if (m->mti == 1100 && deferred != NULL)
        add_completion(a, m, deferred->emv, deferred->emv_n, r->auth_code);
    else
        count_sale(a, m);
}

static void see_forwarded(struct dp_acquirer *a, const struct dp_record *r)
{
    bool wish = r->stan == 0 && r->result == RESULT_GIVEN_UP;
    struct message *m = wish ? find_deferred(a, r->tx) : find_packed(a, r->tx, r->stan, r->mti);
    if (m == NULL || m->state == STATE_CLOSED || m->state == STATE_CAPTURED)
        return;
    if (m->kind == MESSAGE_DEFERRED)
        m->state = STATE_CLOSED;
    else if (m->kind == MESSAGE_REVERSAL)
        see_reversal_forwarded(a, m, r->result);
    else if (m->kind == MESSAGE_REQUEST && m->state == STATE_OPEN)
        see_request_forwarded(a, m, r);
    else if (m->kind == MESSAGE_ADVICE && r->result == RESULT_ACCEPTED)
        count_sale(a, m);
    else if (m->kind == MESSAGE_ADVICE)
        m->state = STATE_CLOSED;
}

static void see_settled(struct dp_acquirer *a, const struct dp_record *r)
{
    uint32_t settled = r->batch > a->batch.batch ? r->batch : a->batch.batch;
    see_stan(a, r->stan);
    memset(&a->batch, 0, sizeof a->batch);
    memset(&a->batch_owner, 0, sizeof a->batch_owner);
    a->batch.batch = settled + 1;
}

void dp_acquirer_see(struct dp_acquirer *a, const struct dp_record *r)
{
    switch (r->type) {
    case DP_RECORD_REQUESTED:
        see_stan(a, r->stan);
        (void)add(a, MESSAGE_REQUEST, STATE_OPEN, r);
        break;
    case DP_RECORD_OUTCOME:
        see_outcome(a, r);
        break;
    case DP_RECORD_REVERSAL:
        see_reversal(a, r);
        break;
    case DP_RECORD_VOID:
        see_void(a, r);
        break;
    case DP_RECORD_FORWARDED:
        see_forwarded(a, r);
        break;
    case DP_RECORD_SETTLED:
        see_settled(a, r);
        break;
    default:
        break;
    }
}

/* ---- what the sale may still do ---- */

/* Under its STAN the acquirer has, or may have, this sale. */
static bool is_with_acquirer(const struct message *m)
{
    if (m->reversed)
        return false;
    if (m->kind == MESSAGE_REQUEST)
        return m->state == STATE_OPEN || m->state == STATE_CAPTURED;
    return m->kind == MESSAGE_ADVICE &&
           (m->state == STATE_CAPTURED ||
            (m->state == STATE_QUEUED && (m->may_have_left || m->mode != DP_MODE_OFFLINE)));
}

bool dp_acquirer_is_unsent(const struct dp_acquirer *a, const uint8_t tx[16])
{
    const struct message *m = NULL;
    bool waits = false;
    while ((m = next_of_tx_const(a, tx, m)) != NULL) {
        if (is_with_acquirer(m) || (m->kind == MESSAGE_ADVICE && m->reversed))
            return false;
        /* a deferred request that was taken back leaves nothing there: the wish alone can go */
        waits = waits || (m->state == STATE_QUEUED && m->kind != MESSAGE_REVERSAL);
    }
    return waits;
}

uint32_t dp_acquirer_captured_stan(const struct dp_acquirer *a, const uint8_t tx[16])
{
    const struct message *m = NULL;
    while ((m = next_of_tx_const(a, tx, m)) != NULL)
        if (is_with_acquirer(m))
            return m->stan;
    return 0;
}
