/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to the sale, built from what the journal says and from nothing else. */
#include <string.h>

#include "machine.h"

bool lost_later(const struct entry *e)
{
    return e->mode == DP_MODE_DEFERRED && !e->is_reversal &&
           (e->forward == DP_FORWARD_DECLINED || e->forward == DP_FORWARD_GIVEN_UP);
}

static bool approved(const struct entry *e)
{
    if (lost_later(e))
        return false;
    return e->mode == DP_MODE_ONLINE || e->mode == DP_MODE_OFFLINE || e->mode == DP_MODE_DEFERRED ||
           e->is_reversal;
}

void result_of(const struct dp_payment *p, const struct entry *e, struct dp_pay_result *out)
{
    const struct dp_params *params = p->config.params;
    memset(out, 0, sizeof *out);
    memcpy(out->journal, p->journal_id, sizeof out->journal);
    memcpy(out->tx, e->tx, sizeof out->tx);
    memcpy(out->original_tx, e->original_tx, sizeof out->original_tx);
    memcpy(out->sale_id, e->sale_id, sizeof out->sale_id);
    memcpy(out->service_id, e->service_id, sizeof out->service_id);
    memcpy(out->poi_id, e->poi_id, sizeof out->poi_id);
    memcpy(out->sale_tx, e->sale_tx, sizeof out->sale_tx);
    memcpy(out->parcel, e->parcel, sizeof out->parcel);
    memcpy(out->rrn, e->rrn, sizeof out->rrn);
    memcpy(out->auth_code, e->auth_code, sizeof out->auth_code);
    memcpy(out->action_code, e->action_code, sizeof out->action_code);
    memcpy(out->bin, e->bin, sizeof out->bin);
    memcpy(out->last4, e->last4, sizeof out->last4);
    memcpy(out->par, e->par, sizeof out->par);
    memcpy(out->aid, e->aid, sizeof out->aid);
    out->aid_n = e->aid_n;
    out->amount = e->amount;
    out->stan = e->stan;
    out->batch = e->batch;
    out->business_date = e->business_date;
    out->cvm = e->cvm;
    out->interface = (enum dp_card_interface)e->interface;
    out->mode = e->mode;
    out->reason = e->done && !approved(e) && e->reason == DP_REASON_NONE ? DP_REASON_ISSUER_DECLINED
                                                                         : e->reason;
    out->forward = e->forward;
    out->reversed = e->reversed;
    out->is_reversal = e->is_reversal;
    out->pending_signature = e->pending_signature;
    out->degraded = e->degraded;
    out->wall_ms = e->wall_ms;
    if (!e->done)
        out->state = DP_PAY_IN_PROGRESS;
    else
        out->state = approved(e) ? DP_PAY_APPROVED : DP_PAY_DECLINED;
    if (params != NULL) {
        memcpy(out->tid, params->terminal.tid, sizeof out->tid);
        memcpy(out->mid, params->terminal.mid, sizeof out->mid);
        memcpy(out->merchant_name, params->terminal.merchant_name, sizeof out->merchant_name);
    }
    headroom(p, &out->headroom);
    keyless_doubt(p, e, out);
}

void refuse(struct dp_payment *p, uint64_t request, enum dp_reason reason)
{
    struct dp_pay_result r;
    memset(&r, 0, sizeof r);
    r.state = reason == DP_REASON_NOT_FOUND ? DP_PAY_NOT_FOUND
              : reason == DP_REASON_UNKNOWN ? DP_PAY_UNKNOWN
                                            : DP_PAY_REFUSED;
    r.reason = reason;
    memcpy(r.journal, p->journal_id, sizeof r.journal);
    headroom(p, &r.headroom);
    p->config.ops.result(p->config.ops.ctx, request, &r);
}

enum dp_reason reason_of_emv(enum dp_emv_outcome outcome, enum dp_emv_reason reason)
{
    static const struct {
        enum dp_emv_reason emv;
        enum dp_reason ours;
    } table[] = {
        {DP_EMV_REASON_CARD_DECLINED, DP_REASON_CARD_DECLINED},
        {DP_EMV_REASON_TERMINAL_DECLINED, DP_REASON_TERMINAL_DECLINED},
        {DP_EMV_REASON_ISSUER_DECLINED, DP_REASON_ISSUER_DECLINED},
        {DP_EMV_REASON_NO_LINK, DP_REASON_NO_LINK},
        {DP_EMV_REASON_NOT_AUTHENTICATED, DP_REASON_NOT_AUTHENTICATED},
        {DP_EMV_REASON_OVER_LIMIT, DP_REASON_LIMIT_PAYMENT},
        {DP_EMV_REASON_EXPIRED, DP_REASON_EXPIRED_CARD},
        {DP_EMV_REASON_CVM, DP_REASON_CVM},
        {DP_EMV_REASON_NO_APPLICATION, DP_REASON_NO_APPLICATION},
        {DP_EMV_REASON_BLOCKED, DP_REASON_CARD_BLOCKED},
        {DP_EMV_REASON_CARD_DATA, DP_REASON_CARD_DATA},
        {DP_EMV_REASON_CARD_GONE, DP_REASON_CARD_GONE},
        {DP_EMV_REASON_CARD_ERROR, DP_REASON_CARD_ERROR},
        {DP_EMV_REASON_READER, DP_REASON_READER},
        {DP_EMV_REASON_KERNEL_UNSUPPORTED, DP_REASON_OTHER_INTERFACE},
        {DP_EMV_REASON_CANCELLED, DP_REASON_CANCELLED},
        {DP_EMV_REASON_CHOICE, DP_REASON_CHOICE},
        {DP_EMV_REASON_REFERRAL, DP_REASON_REFERRAL},
    };
    if (outcome == DP_EMV_TRY_OTHER_INTERFACE)
        return DP_REASON_OTHER_INTERFACE;
    if (outcome == DP_EMV_CDCVM_WANTED)
        return DP_REASON_SEE_PHONE;
    if (outcome == DP_EMV_TRY_AGAIN)
        return reason == DP_EMV_REASON_CANCELLED ? DP_REASON_TIMEOUT : DP_REASON_CARD_GONE;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].emv == reason)
            return table[i].ours;
    return DP_REASON_CARD_DECLINED;
}
