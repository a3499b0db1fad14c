/* SPDX-License-Identifier: Apache-2.0 */
/* Taking back: what got no answer, and what the sale wants undone. */
#include <string.h>

#include "base/log.h"
#include "machine.h"

#define CUSTOMER_CANCELLATION 4000 /* DE25 */

int reverse_stan(struct dp_payment *p, const uint8_t tx[16], uint32_t stan, uint32_t msg_reason,
                 enum dp_reason reason)
{
    struct dp_record r;
    int err;
    record_begin(p, DP_RECORD_REVERSAL, tx, &r);
    r.reason = reason;
    err = dp_acquirer_fill_reversal(p->acquirer, tx, stan, msg_reason, &r);
    if (err == DP_ERR_DUPLICATE)
        return DP_OK; /* it is being taken back already */
    if (err < 0) {
        dp_log(DP_LOG_ERROR, "reversal of STAN %06u cannot be made: %s", stan, dp_strerr(err));
        return err;
    }
    return keep(p, &r);
}

/* Why this sale cannot be undone; NONE: it can. */
static enum dp_reason obstacle(const struct dp_payment *p, const struct entry *sale,
                               const struct dp_reverse_request *q)
{
    struct dp_acquirer_batch batch;
    if (sale == NULL)
        return DP_REASON_NOT_FOUND;
    if (strcmp(sale->sale_id, q->sale_id) != 0)
        return DP_REASON_NOT_ALLOWED; /* somebody else's sale: A31 */
    if (sale->reversed)
        return DP_REASON_ALREADY_REVERSED;
    if (!sale->done)
        return DP_REASON_BUSY;
    if (sale->mode != DP_MODE_ONLINE && sale->mode != DP_MODE_OFFLINE &&
        sale->mode != DP_MODE_DEFERRED)
        return DP_REASON_NOT_FOUND;
    if (lost_later(sale))
        return DP_REASON_NOT_FOUND;
    if (q->amount != 0 && q->amount != sale->amount.minor)
        return DP_REASON_AMOUNT; /* in part or for more: A31 */
    dp_acquirer_batch(p->acquirer, &batch);
    if (sale->batch != batch.batch && !p->config.params->refunds)
        return DP_REASON_NOT_ALLOWED; /* settled: the money has moved */
    return DP_REASON_NONE;
}

static void name_request(struct dp_record *r, const struct dp_reverse_request *q)
{
    memcpy(r->sale_id, q->sale_id, sizeof r->sale_id);
    memcpy(r->service_id, q->service_id, sizeof r->service_id);
    memcpy(r->poi_id, q->poi_id, sizeof r->poi_id);
    memcpy(r->fingerprint, q->fingerprint, sizeof r->fingerprint);
    r->has_fingerprint = true;
    memcpy(r->original_tx, q->original_tx, sizeof r->original_tx);
    r->has_original_tx = true;
}

/* A settled sale of another terminal id would come into this one's totals. */
static bool is_anothers(const struct dp_payment *p, const struct dp_record *r,
                        const struct entry *sale)
{
    struct dp_acquirer_batch batch;
    dp_acquirer_batch(p->acquirer, &batch);
    return sale->batch != batch.batch &&
           (strcmp(r->tid, p->config.params->terminal.tid) != 0 ||
            strcmp(r->mid, p->config.params->terminal.mid) != 0 ||
            r->amount.currency != p->config.params->terminal.currency);
}

/* VOID when nothing of the sale has left the device, REVERSAL otherwise. A deferred authorisation
 * that is being asked for right now needs both: its message is taken back, and the wish withdrawn.
 */
static int undo(struct dp_payment *p, const struct entry *entry, const struct dp_reverse_request *q)
{
    struct dp_record r;
    struct entry copy = *entry; /* the index moves under keep() */
    const struct entry *sale = &copy;
    const uint8_t *tx = copy.tx;
    bool local;
    int err = DP_OK;
    if (sale->mode == DP_MODE_DEFERRED && sale->open_stan != 0)
        err = reverse_stan(p, tx, sale->open_stan, CUSTOMER_CANCELLATION, DP_REASON_CANCELLED);
    if (err < 0)
        return err;
    local = dp_acquirer_is_unsent(p->acquirer, tx);
    record_begin(p, local ? DP_RECORD_VOID : DP_RECORD_REVERSAL, tx, &r);
    if (!local)
        err = dp_acquirer_fill_reversal(p->acquirer, tx, dp_acquirer_captured_stan(p->acquirer, tx),
                                        CUSTOMER_CANCELLATION, &r);
    if (err == DP_OK && !local && is_anothers(p, &r, sale))
        err = DP_ERR_DENIED;
    if (err < 0)
        return err;
    name_request(&r, q);
    r.amount = sale->amount;
    r.has_amount = true;
    r.mode = local ? DP_MODE_VOID : DP_MODE_REVERSED;
    r.reason = DP_REASON_CANCELLED;
    memcpy(r.parcel, sale->parcel, sizeof r.parcel);
    err = keep(p, &r);
    if (err == DP_OK)
        err = bind_all(p);
    if (err < 0)
        p->stopped = true;
    else if (local && !p->key_dead)
        card_data_drop(p, tx); /* only now: until VOID is durable the sale may have to be sent */
    return err;
}

void dp_payment_reverse(struct dp_payment *p, uint64_t request, const struct dp_reverse_request *q)
{
    struct dp_pay_result result;
    const struct entry *known = index_by_service(&p->index, q->sale_id, q->service_id);
    const struct entry *sale;
    enum dp_reason why;
    if (p->stopped || (known != NULL && nobody_knows(p))) {
        refuse(p, request, DP_REASON_UNKNOWN);
        return;
    }
    if (known != NULL) {
        if (!known->is_reversal ||
            memcmp(known->fingerprint, q->fingerprint, sizeof known->fingerprint) != 0) {
            refuse(p, request, DP_REASON_SERVICE_ID_REUSED);
            return;
        }
        result_of(p, known, &result);
        p->config.ops.result(p->config.ops.ctx, request, &result);
        return;
    }
    sale = index_by_tx(&p->index, q->original_tx);
    if (p->key_dead && !keyless_may_void(p, sale)) {
        refuse(p, request, sale == NULL ? DP_REASON_NOT_FOUND : DP_REASON_KEY_STORE);
        return;
    }
    if ((p->journal_err < 0 && !p->key_dead) || p->config.params == NULL) {
        refuse(p, request, p->config.params == NULL ? DP_REASON_PARAMS : DP_REASON_JOURNAL);
        return;
    }
    why = obstacle(p, sale, q);
    if (why == DP_REASON_NONE && p->pending.busy && p->pending.is_totals)
        why = DP_REASON_BUSY; /* a reversal more would put the totals out of balance */
    if (why != DP_REASON_NONE) {
        dp_log(DP_LOG_WARNING, "reversal refused: %s", dp_reason_name(why));
        refuse(p, request, why);
        return;
    }
    if (undo(p, sale, q) < 0) {
        refuse(p, request, p->stopped ? DP_REASON_UNKNOWN : DP_REASON_NOT_ALLOWED);
        return;
    }
    known = index_by_service(&p->index, q->sale_id, q->service_id);
    if (known == NULL) {
        refuse(p, request, DP_REASON_UNKNOWN);
        return;
    }
    result_of(p, known, &result);
    p->config.ops.result(p->config.ops.ctx, request, &result);
}
