/* SPDX-License-Identifier: Apache-2.0 */
/* One payment at the door, from the sale's request to the answer that is bound in the journal. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/secret.h"
#include "machine.h"

#define AID_MIN            5
#define CARD_WAIT_MS       60000  /* to present a card */
#define CARD_PATIENCE_MS   180000 /* the card process ends a tap well before */
#define NO_ANSWER_CODE     4021   /* DE25 */
#define CARD_REFUSED_CODE  4350
#define NOT_COMPLETED_CODE 4007
#define UNSENT_MAX         (DP_PAYMENT_INDEX_MAX / 4) /* what is pending must stay in the index */

static void answer_waiters(struct dp_payment *p, const struct dp_pay_result *r)
{
    for (unsigned i = 0; i < p->door.waiters_n; i++)
        p->config.ops.result(p->config.ops.ctx, p->door.waiters[i], r);
    p->door.waiters_n = 0;
}

static void leave_door(struct dp_payment *p)
{
    dp_wipe(&p->door, sizeof p->door);
}

/* The journal could not take it: nobody may say paid or not paid from memory. */
static void end_unknown(struct dp_payment *p)
{
    for (unsigned i = 0; i < p->door.waiters_n; i++)
        refuse(p, p->door.waiters[i], DP_REASON_UNKNOWN);
    leave_door(p);
}

/* ---- the sale asks ---- */

/* Refusals that begin nothing and are not kept. */
static enum dp_reason refusal(const struct dp_payment *p, const struct dp_pay_request *q)
{
    const struct dp_params *params = p->config.params;
    struct dp_acquirer_unsent unsent = {0};
    enum dp_reason offline, deferred;
    if (p->key_dead)
        return DP_REASON_KEY_STORE;
    if (p->journal_err < 0 && params != NULL)
        return DP_REASON_JOURNAL;
    if (params == NULL || p->acquirer == NULL)
        return DP_REASON_PARAMS;
    if (clock_best(p) / 1000 < params->valid_from || clock_best(p) / 1000 > params->valid_to)
        return DP_REASON_PARAMS;
    if (q->amount.currency != params->terminal.currency ||
        q->amount.exponent != params->terminal.exponent)
        return DP_REASON_CURRENCY;
    if (q->amount.minor <= 0 || q->amount.minor > 999999999999LL)
        return DP_REASON_AMOUNT;
    if (q->parcel[0] != '\0' && !dp_params_parcel_known(params, q->parcel))
        return DP_REASON_PARCEL;
    if (!dp_params_agent_known(params, q->agent) || (q->aid_n > 0 && q->aid_n < AID_MIN))
        return DP_REASON_NOT_ALLOWED;
    if (dp_acquirer_is_anothers(p->acquirer)) {
        dp_log(DP_LOG_ERROR, "the open batch is of another terminal id, merchant or currency than "
                             "the parameters': settle it first");
        return DP_REASON_PARAMS;
    }
    if (index_is_paid(&p->index, q->sale_id, q->sale_tx))
        return DP_REASON_ALREADY_PAID;
    if (p->door.state != DOOR_IDLE || (p->pending.busy && p->pending.is_totals))
        return DP_REASON_BUSY; /* totals under way: a sale more would put them out of balance */
    if (p->degraded && degraded_left(p) == 0)
        return DP_REASON_DEGRADED;
    if (!dp_journal_has_room(p->journal)) {
        dp_log(DP_LOG_ERROR, "the disk is full: the journal keeps what is left for payments that "
                             "are not over");
        return DP_REASON_JOURNAL;
    }
    dp_acquirer_unsent(p->acquirer, &unsent);
    if (unsent.n >= UNSENT_MAX)
        return DP_REASON_LIMIT_ROUND;
    if (p->link_up)
        return DP_REASON_NONE;
    offline = q->offline == DP_FORBID ? DP_REASON_NO_LINK : policy_offline(p, q->amount.minor);
    deferred = q->deferred == DP_FORBID ? DP_REASON_NO_LINK : policy_deferred(p, q->amount.minor);
    return offline != DP_REASON_NONE && deferred != DP_REASON_NONE ? offline : DP_REASON_NONE;
}

/* What the card process must know of this payment; the unpredictable number is drawn here (A07). */
static int make_transaction(struct dp_payment *p, const struct dp_pay_request *q)
{
    const struct dp_params *params = p->config.params;
    const struct dp_random *random = p->config.random;
    struct dp_emv_transaction *t = &p->door.transaction;
    memset(t, 0, sizeof *t);
    t->amount = q->amount;
    dp_date_time_from_ms(clock_best(p), params->terminal.utc_offset_min, &t->local);
    t->sequence = ++p->sequence;
    t->online_possible = p->link_up;
    t->offline_allowed =
        q->offline == DP_ALLOW && policy_offline(p, q->amount.minor) == DP_REASON_NONE;
    t->deferred_allowed =
        q->deferred == DP_ALLOW && policy_deferred(p, q->amount.minor) == DP_REASON_NONE;
    t->kernel3_offline_max = params->offline.kernel3_max;
    t->oda_failure_declines = params->offline.oda_failure_declines;
    memcpy(t->chosen_aid, q->aid, sizeof t->chosen_aid);
    t->chosen_aid_n = q->aid_n;
    t->choice_wanted = q->ask_choice;
    if (random->fill(random->ctx, t->unpredictable_number, sizeof t->unpredictable_number) < 0 ||
        random->fill(random->ctx, t->random, sizeof t->random) < 0 ||
        random->fill(random->ctx, p->door.tx, sizeof p->door.tx) < 0)
        return DP_ERR_RANDOM;
    return DP_OK;
}

static int keep_intent(struct dp_payment *p, const struct dp_pay_request *q)
{
    struct dp_record r;
    record_begin(p, DP_RECORD_INTENT, p->door.tx, &r);
    r.amount = q->amount;
    r.has_amount = true;
    memcpy(r.fingerprint, q->fingerprint, sizeof r.fingerprint);
    r.has_fingerprint = true;
    memcpy(r.sale_id, q->sale_id, sizeof r.sale_id);
    memcpy(r.service_id, q->service_id, sizeof r.service_id);
    memcpy(r.poi_id, q->poi_id, sizeof r.poi_id);
    memcpy(r.sale_tx, q->sale_tx, sizeof r.sale_tx);
    memcpy(r.parcel, q->parcel, sizeof r.parcel);
    memcpy(r.manifest, q->manifest, sizeof r.manifest);
    memcpy(r.agent, q->agent, sizeof r.agent);
    return keep_durable(p, &r);
}

static int order_card(struct dp_payment *p)
{
    const struct dp_params *params = p->config.params;
    struct dp_card_order o;
    int err = DP_OK;
    memset(&o, 0, sizeof o);
    o.transaction = p->door.transaction;
    memcpy(o.journal, p->journal_id, sizeof o.journal);
    memcpy(o.tx, p->door.tx, sizeof o.tx);
    memcpy(o.hash_key, params->exception_key, sizeof o.hash_key);
    o.wait_ms = CARD_WAIT_MS;
    o.track2_online = params->acquirer.card_data == DP_CARD_DATA_CLEAR;
    if (params->acquirer.card_data == DP_CARD_DATA_SEALED)
        memcpy(o.recipient, params->acquirer.sealing_key, sizeof o.recipient);
    else
        err = dp_hsm_public(p->config.hsm, DP_KEY_CARD_DATA, o.recipient);
    if (err == DP_OK)
        err = p->config.ops.card_order(p->config.ops.ctx, &o);
    dp_wipe(&o, sizeof o);
    return err;
}

static void finish_declined(struct dp_payment *p, enum dp_reason reason,
                            const struct dp_card_outcome *o);

static void begin_payment(struct dp_payment *p, uint64_t request, const struct dp_pay_request *q)
{
    int err = make_transaction(p, q);
    if (err < 0) {
        dp_log(DP_LOG_ERROR, "random source failed: no payment");
        leave_door(p);
        refuse(p, request, DP_REASON_JOURNAL);
        return;
    }
    p->door.request = *q;
    p->door.waiters[p->door.waiters_n++] = request;
    err = keep_intent(p, q);
    if (err == DP_ERR_FULL) {
        leave_door(p);
        refuse(p, request, DP_REASON_JOURNAL);
        return;
    }
    if (err < 0) {
        end_unknown(p);
        return;
    }
    p->door.state = DOOR_TAP;
    p->door.deadline_ms = mono(p) + CARD_WAIT_MS + CARD_PATIENCE_MS;
    if (order_card(p) < 0)
        finish_declined(p, DP_REASON_READER, NULL);
}

void dp_payment_pay(struct dp_payment *p, uint64_t request, const struct dp_pay_request *q)
{
    struct dp_pay_result result;
    const struct entry *known = index_by_service(&p->index, q->sale_id, q->service_id);
    enum dp_reason why;
    if (p->stopped || (known != NULL && nobody_knows(p))) {
        refuse(p, request, DP_REASON_UNKNOWN);
        return;
    }
    if (known != NULL && (known->is_reversal ||
                          memcmp(known->fingerprint, q->fingerprint, sizeof q->fingerprint) != 0)) {
        refuse(p, request, DP_REASON_SERVICE_ID_REUSED); /* never the old result (A26) */
        return;
    }
    if (known != NULL && !known->done && p->door.waiters_n < WAITERS_MAX &&
        memcmp(known->tx, p->door.tx, sizeof p->door.tx) == 0) {
        p->door.waiters[p->door.waiters_n++] = request;
        return;
    }
    if (known != NULL) {
        result_of(p, known, &result);
        p->config.ops.result(p->config.ops.ctx, request, &result);
        return;
    }
    why = refusal(p, q);
    if (why != DP_REASON_NONE) {
        dp_log(DP_LOG_INFO, "payment refused: %s", dp_reason_name(why));
        refuse(p, request, why);
        return;
    }
    begin_payment(p, request, q);
}

bool dp_payment_abort(struct dp_payment *p, const char *sale_id, const char *service_id)
{
    struct door *d = &p->door;
    if ((d->state != DOOR_TAP && d->state != DOOR_QUEUED) ||
        strcmp(d->request.sale_id, sale_id) != 0 || strcmp(d->request.service_id, service_id) != 0)
        return false; /* with the acquirer or the card: it ends as they say */
    d->cancelled = true;
    return p->config.ops.card_cancel(p->config.ops.ctx) == DP_OK;
}

/* ---- the card process says ---- */

void dp_payment_card_ready(struct dp_payment *p, bool reader_ok)
{
    p->reader_ok = reader_ok;
}

void dp_payment_card_ui(struct dp_payment *p, const struct dp_card_ui *ui)
{
    struct dp_pay_event e;
    if (p->door.state == DOOR_IDLE)
        return;
    memset(&e, 0, sizeof e);
    e.ui = ui->ui;
    memcpy(e.languages, ui->languages, sizeof e.languages);
    memcpy(e.application, ui->application, sizeof e.application);
    memcpy(e.offers, ui->offers, sizeof e.offers);
    e.offers_n = ui->offers_n;
    memcpy(e.service_id, p->door.request.service_id, sizeof e.service_id);
    e.degraded = p->degraded;
    p->config.ops.event(p->config.ops.ctx, &e);
}

void dp_payment_card_seen(struct dp_payment *p, const struct dp_card_seen *seen)
{
    struct dp_emv_policy_answer answer;
    struct door *d = &p->door;
    if (d->state != DOOR_TAP || d->seen)
        return;
    d->seen = true;
    d->card = *seen;
    d->policy_reason = policy_card(p, seen, d->request.amount.minor, &answer);
    if (d->policy_reason == DP_REASON_NONE && seen->summary.kernel == 3 &&
        policy_replayed(p, seen->card_hash, &seen->summary)) {
        /* kernel 3: the cryptogram came with GPO and can be judged here already (A16) */
        d->policy_reason = DP_REASON_REPLAY;
        answer.verdict = DP_EMV_POLICY_DECLINE;
    }
    d->policy_offline = answer.offline_allowed;
    d->policy_deferred = answer.deferred_allowed;
    if (p->config.ops.card_policy(p->config.ops.ctx, &answer) < 0)
        dp_payment_card_lost(p);
}

static void tell_card(struct dp_payment *p, const struct dp_emv_online_answer *answer)
{
    p->door.state = DOOR_COMPLETING;
    p->door.deadline_ms = mono(p) + CARD_PATIENCE_MS;
    if (p->config.ops.card_online(p->config.ops.ctx, answer) < 0)
        dp_payment_card_lost(p);
}

static void tell_unable(struct dp_payment *p)
{
    struct dp_emv_online_answer none;
    memset(&none, 0, sizeof none);
    tell_card(p, &none);
}

/* REQUESTED is bound before the first byte leaves. */
static int ask_acquirer(struct dp_payment *p, const struct dp_card_online *online)
{
    struct message_card m;
    struct door *d = &p->door;
    struct dp_record *r = &d->requested;
    size_t n = 0;
    int err = message_card_from(p, d->tx, &online->sealed, &m);
    if (err < 0)
        goto out;
    m.card.emv = (struct dp_bytes){online->emv, online->emv_n};
    m.card.contactless = online->summary.interface == DP_INTERFACE_CONTACTLESS;
    m.card.cvm = online->summary.cvm;
    record_begin(p, DP_RECORD_REQUESTED, d->tx, r);
    r->amount = d->request.amount;
    r->has_amount = true;
    r->mode = DP_MODE_ONLINE;
    memcpy(r->parcel, d->request.parcel, sizeof r->parcel);
    /* a reversal for want of an answer says them too, and there may be no OUTCOME yet to ask */
    r->interface = online->summary.interface;
    r->cvm = online->summary.cvm;
    err = dp_acquirer_fill_online(p->acquirer, r);
    if (err == DP_OK)
        err = keep_durable(p, r);
    if (err < 0)
        goto out;
    d->asked_online = true;
    err = dp_acquirer_pack(p->acquirer, r, &m.card, 0, p->packed, sizeof p->packed, &n, p->masked);
    if (err == DP_OK)
        err = send_packed(p, n, &d->link_id);
    if (err == DP_OK) {
        d->state = DOOR_ONLINE;
        d->deadline_ms = mono(p) + p->config.params->acquirer.online_timeout_ms;
    }
out:
    message_card_wipe(&m);
    dp_wipe(p->packed, sizeof p->packed);
    return err;
}

static void go_online(struct dp_payment *p, const struct dp_card_online *online)
{
    int err;
    if (p->door.cancelled || !p->link_up) {
        tell_unable(p);
        return;
    }
    err = ask_acquirer(p, online);
    if (err < 0 && !p->stopped) {
        dp_log(DP_LOG_ERROR, "message to the acquirer: %s", dp_strerr(err));
        door_no_answer(p);
    } else if (p->stopped) {
        end_unknown(p);
    }
}

/* Why the acquirer is not asked; NONE: it is. */
static enum dp_reason not_to_be_asked(const struct dp_payment *p,
                                      const struct dp_card_online *online)
{
    const struct door *d = &p->door;
    if (!d->seen)
        return DP_REASON_INCONSISTENT; /* it skipped the second policy step */
    if (d->policy_reason != DP_REASON_NONE)
        return d->policy_reason;
    if (!claims_same_card(p, &online->summary) || !claims_amount(p, online->emv, online->emv_n) ||
        online->sealed.pan_n == 0)
        return DP_REASON_INCONSISTENT;
    if (policy_replayed(p, d->card.card_hash, &online->summary))
        return DP_REASON_REPLAY;
    return DP_REASON_NONE;
}

void dp_payment_card_wants_online(struct dp_payment *p, const struct dp_card_online *online)
{
    struct door *d = &p->door;
    if (p->stopped || d->state != DOOR_TAP || d->asked_online)
        return;
    d->online = *online;
    d->policy_reason = not_to_be_asked(p, online);
    if (d->policy_reason != DP_REASON_NONE) {
        dp_log(DP_LOG_WARNING, "not asked online: %s", dp_reason_name(d->policy_reason));
        tell_unable(p);
    } else if (p->pending.busy && p->link_up) {
        /* one message at a time on the link; what is under way ends by its own time-out */
        d->state = DOOR_QUEUED;
    } else {
        go_online(p, online);
    }
}

/* ---- the acquirer answers, or does not ---- */

void door_answer(struct dp_payment *p, const struct dp_acquirer_answer *answer)
{
    struct dp_emv_online_answer a;
    struct door *d = &p->door;
    if (d->state != DOOR_ONLINE || answer->stan != d->requested.stan ||
        memcmp(answer->tx, d->tx, sizeof d->tx) != 0) {
        dp_log(DP_LOG_WARNING, "an answer came too late; its payment was taken back");
        return;
    }
    d->answer = *answer;
    d->answered = true;
    d->issuer_approved = answer->approved;
    memset(&a, 0, sizeof a);
    a.online = true;
    a.approved = answer->approved;
    memcpy(a.arc, answer->arc, sizeof a.arc);
    memcpy(a.issuer_authentication, answer->issuer_authentication, sizeof a.issuer_authentication);
    a.issuer_authentication_n = answer->issuer_authentication_n;
    memcpy(a.scripts, answer->scripts, sizeof a.scripts);
    a.scripts_n = answer->scripts_n;
    tell_card(p, &a);
}

/* The connection that would have brought the answer is gone. */
void door_link_lost(struct dp_payment *p)
{
    if (p->door.state == DOOR_ONLINE)
        door_no_answer(p);
}

/* What may have reached the acquirer is taken back before the card is told that there is no answer.
 */
void door_no_answer(struct dp_payment *p)
{
    struct door *d = &p->door;
    if (d->asked_online) {
        int err = reverse_stan(p, d->tx, d->requested.stan, NO_ANSWER_CODE, DP_REASON_NO_ANSWER);
        d->taken_back = true;
        if (err < 0 || bind_all(p) < 0) {
            p->stopped = true;
            end_unknown(p);
            return;
        }
    }
    tell_unable(p);
}

/* ---- the end ---- */

static void describe_card(struct dp_record *r, const struct dp_card_outcome *o)
{
    const struct dp_emv_summary *s = &o->summary;
    memcpy(r->emv, o->emv, o->emv_n);
    r->emv_n = o->emv_n;
    memcpy(r->bin, s->bin, sizeof r->bin);
    memcpy(r->last4, s->last4, sizeof r->last4);
    memcpy(r->par, s->par, sizeof r->par);
    memcpy(r->aid, s->aid, sizeof r->aid);
    r->aid_n = s->aid_n;
    r->interface = s->interface;
    r->cvm = s->cvm;
}

static void begin_outcome(struct dp_payment *p, const struct dp_card_outcome *o,
                          struct dp_record *r)
{
    const struct dp_pay_request *q = &p->door.request;
    record_begin(p, DP_RECORD_OUTCOME, p->door.tx, r);
    r->amount = q->amount;
    r->has_amount = true;
    memcpy(r->fingerprint, q->fingerprint, sizeof r->fingerprint);
    r->has_fingerprint = true;
    memcpy(r->sale_id, q->sale_id, sizeof r->sale_id);
    memcpy(r->service_id, q->service_id, sizeof r->service_id);
    memcpy(r->poi_id, q->poi_id, sizeof r->poi_id);
    memcpy(r->sale_tx, q->sale_tx, sizeof r->sale_tx);
    memcpy(r->parcel, q->parcel, sizeof r->parcel);
    if (o != NULL) {
        describe_card(r, o);
        (void)snprintf(r->reason_text, sizeof r->reason_text, "%.64s", o->words);
    }
    if (p->door.answered && !p->door.taken_back) {
        r->stan = p->door.requested.stan;
        memcpy(r->rrn, p->door.requested.rrn, sizeof r->rrn);
        memcpy(r->action_code, p->door.answer.action_code, sizeof r->action_code);
        memcpy(r->auth_code, p->door.answer.auth_code, sizeof r->auth_code);
        r->mti = p->door.requested.mti;
    }
}

/* What is left once this record counts. */
static void note_headroom(const struct dp_payment *p, struct dp_record *r)
{
    struct dp_headroom h;
    headroom(p, &h);
    if (r->mode == DP_MODE_OFFLINE) { /* the policy let it through, so there is as much */
        DP_ASSERT(h.offline_amount >= r->amount.minor && h.offline_count > 0);
        h.offline_amount -= r->amount.minor;
        h.offline_count--;
    }
    r->headroom_amount = (uint64_t)h.offline_amount;
    r->headroom_count = h.offline_count;
    r->has_headroom = true;
}

/* OUTCOME and checkpoint are durable and bound before the answer leaves. */
static void finish(struct dp_payment *p, struct dp_record *r)
{
    struct dp_pay_result result;
    const struct entry *e;
    bool anchored = !p->degraded;
    note_headroom(p, r);
    if (keep(p, r) < 0 || bind_all(p) < 0) {
        p->stopped = true;
        end_unknown(p);
        return;
    }
    if (anchored && p->degraded)
        flag_degraded(p, r->tx);
    e = index_by_tx(&p->index, r->tx);
    DP_ASSERT(e != NULL && e->done);
    result_of(p, e, &result);
    dp_log(DP_LOG_INFO, "payment ended: %s%s%s", dp_mode_name(r->mode),
           r->mode == DP_MODE_DECLINED ? ", " : "",
           r->mode == DP_MODE_DECLINED ? dp_reason_name((enum dp_reason)r->reason) : "");
    answer_waiters(p, &result);
    leave_door(p);
}

static void finish_declined(struct dp_payment *p, enum dp_reason reason,
                            const struct dp_card_outcome *o)
{
    struct dp_record r;
    begin_outcome(p, o, &r);
    r.mode = DP_MODE_DECLINED;
    r.reason = reason;
    finish(p, &r);
}

/* An approval of the issuer's that cannot stand: taken back, then declined. */
static void finish_taken_back(struct dp_payment *p, uint32_t msg_reason, enum dp_reason reason,
                              const struct dp_card_outcome *o)
{
    p->door.taken_back = true;
    if (reverse_stan(p, p->door.tx, p->door.requested.stan, msg_reason, reason) < 0) {
        p->stopped = true;
        end_unknown(p);
        return;
    }
    finish_declined(p, reason, o);
}

static int keep_sealed(struct dp_payment *p, const struct dp_card_sealed *sealed,
                       struct dp_record *r)
{
    struct dp_bytes pan = {sealed->pan, sealed->pan_n};
    struct dp_bytes track2 = {sealed->track2, sealed->track2_n};
    int err = dp_side_put(p->journal, p->door.tx, DP_SIDE_PAN, pan, r->pan_commitment);
    r->has_pan_commitment = err == DP_OK;
    if (err == DP_OK && r->mode == DP_MODE_DEFERRED && track2.n > 0) {
        err = dp_side_put(p->journal, p->door.tx, DP_SIDE_TRACK2, track2, r->track_commitment);
        r->has_track_commitment = err == DP_OK;
    }
    return err;
}

static void finish_without_link(struct dp_payment *p, const struct dp_card_outcome *o,
                                enum dp_mode mode)
{
    struct dp_record r;
    int err = DP_OK;
    begin_outcome(p, o, &r);
    r.mode = mode;
    memcpy(r.card_hash, o->card_hash, sizeof r.card_hash);
    r.has_card_hash = true;
    r.pending_signature = o->summary.cvm == DP_EMV_CVM_SIGNATURE;
    if (mode == DP_MODE_OFFLINE)
        err = dp_acquirer_fill_advice(p->acquirer, &r);
    else
        r.deferred_until = (uint64_t)wall(p) + p->config.params->deferred.expiry_s * UINT64_C(1000);
    if (err == DP_OK)
        err = keep_sealed(p, &o->sealed, &r);
    if (err < 0) {
        /* nothing of an approval is in the journal yet: it can still be declined */
        dp_log(DP_LOG_ERROR, "a payment without link cannot be kept: %s", dp_strerr(err));
        finish_declined(p, DP_REASON_JOURNAL, o);
        return;
    }
    finish(p, &r);
}

static void finish_online(struct dp_payment *p, const struct dp_card_outcome *o)
{
    struct dp_record r;
    int err = DP_OK;
    begin_outcome(p, o, &r);
    r.mode = DP_MODE_ONLINE;
    memcpy(r.card_hash, o->card_hash, sizeof r.card_hash);
    r.has_card_hash = true;
    r.pending_signature = o->summary.cvm == DP_EMV_CVM_SIGNATURE;
    if (p->config.params->acquirer.message == DP_MESSAGE_DUAL) /* for the completion */
        err = keep_sealed(p, &p->door.online.sealed, &r);
    if (err < 0) {
        dp_log(DP_LOG_ERROR, "card data cannot be kept: %s", dp_strerr(err));
        finish_taken_back(p, NOT_COMPLETED_CODE, DP_REASON_JOURNAL, o);
        return;
    }
    finish(p, &r);
}

/* "Refer to card issuer", with or without special conditions (ISO 8583:1993 action codes), or the
 * issuer's response code for it. */
static bool is_referral(const struct dp_acquirer_answer *a)
{
    return strcmp(a->action_code, "107") == 0 || strcmp(a->action_code, "108") == 0 ||
           strcmp(a->arc, "01") == 0 || strcmp(a->arc, "02") == 0;
}

static enum dp_reason issuer_reason(const struct dp_acquirer_answer *a)
{
    if (a->soft_decline)
        return DP_REASON_SOFT_DECLINE;
    return is_referral(a) ? DP_REASON_REFERRAL : DP_REASON_ISSUER_DECLINED;
}

/* The acquirer answered: its word and the card's last word decide. */
static void end_answered(struct dp_payment *p, const struct dp_card_outcome *o)
{
    const struct door *d = &p->door;
    if (!d->issuer_approved)
        finish_declined(p, issuer_reason(&d->answer), o);
    else if (o->outcome == DP_EMV_APPROVED_ONLINE && claims_online(p, o))
        finish_online(p, o);
    else if (o->outcome == DP_EMV_APPROVED_ONLINE)
        finish_taken_back(p, NOT_COMPLETED_CODE, DP_REASON_INCONSISTENT, o);
    else
        finish_taken_back(p, CARD_REFUSED_CODE, DP_REASON_CARD_REFUSED_AFTER, o);
}

/* Nobody answered, or nobody was asked: the card process' claim is held against what the vault
 * knows. */
static void end_unanswered(struct dp_payment *p, const struct dp_card_outcome *o)
{
    const struct door *d = &p->door;
    enum dp_reason reason = reason_of_emv(o->outcome, o->reason);
    if (d->cancelled)
        reason = DP_REASON_CANCELLED;
    else if (d->policy_reason != DP_REASON_NONE)
        reason = d->policy_reason;
    else if (d->asked_online && reason == DP_REASON_NO_LINK)
        reason = DP_REASON_NO_ANSWER;
    if (!d->cancelled && o->outcome == DP_EMV_APPROVED_OFFLINE && claims_offline(p, o))
        finish_without_link(p, o, DP_MODE_OFFLINE);
    else if (!d->cancelled && o->outcome == DP_EMV_DEFERRED && claims_deferred(p, o))
        finish_without_link(p, o, DP_MODE_DEFERRED);
    else if (o->outcome == DP_EMV_APPROVED_OFFLINE || o->outcome == DP_EMV_DEFERRED ||
             o->outcome == DP_EMV_APPROVED_ONLINE)
        finish_declined(
            p, d->policy_reason != DP_REASON_NONE || d->cancelled ? reason : DP_REASON_INCONSISTENT,
            o);
    else
        finish_declined(p, reason, o);
}

void dp_payment_card_ended(struct dp_payment *p, const struct dp_card_outcome *said)
{
    struct dp_card_outcome o;
    struct door *d = &p->door;
    if (p->stopped || d->state == DOOR_IDLE)
        return;
    o = *said;
    claims_mend(&o);
    if (d->state == DOOR_ONLINE) {
        /* the card process did not wait for the answer it asked for */
        finish_taken_back(p, NOT_COMPLETED_CODE, reason_of_emv(o.outcome, o.reason), &o);
    } else if (d->answered) {
        end_answered(p, &o);
    } else {
        end_unanswered(p, &o);
    }
    dp_wipe(&o, sizeof o);
}

void dp_payment_card_lost(struct dp_payment *p)
{
    struct door *d = &p->door;
    p->reader_ok = false;
    if (p->stopped || d->state == DOOR_IDLE)
        return;
    if (d->state == DOOR_ONLINE || (d->answered && d->issuer_approved))
        finish_taken_back(p, NOT_COMPLETED_CODE, DP_REASON_INTERRUPTED, NULL);
    else if (d->answered)
        finish_declined(p, DP_REASON_ISSUER_DECLINED, NULL);
    else
        finish_declined(p, DP_REASON_INTERRUPTED, NULL);
}

void door_tick(struct dp_payment *p, int64_t now, int64_t *wait)
{
    struct door *d = &p->door;
    if (d->state == DOOR_IDLE)
        return;
    if (d->state == DOOR_QUEUED && !p->pending.busy) {
        struct dp_card_online online = d->online;
        go_online(p, &online);
        dp_wipe(&online, sizeof online);
        *wait = 0;
        return;
    }
    if (now >= d->deadline_ms) {
        dp_log(DP_LOG_WARNING, "%s did not answer in time",
               d->state == DOOR_ONLINE ? "the acquirer" : "the card process");
        if (d->state == DOOR_ONLINE) {
            door_no_answer(p);
        } else {
            /* what it might still say belongs to a payment that has ended */
            p->config.ops.card_end(p->config.ops.ctx);
            dp_payment_card_lost(p);
        }
        *wait = 0;
        return;
    }
    if (d->deadline_ms - now < *wait)
        *wait = d->deadline_ms - now;
}
