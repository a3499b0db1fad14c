/* SPDX-License-Identifier: Apache-2.0 */
/* Store and forward: what the door left to be sent, one message at a time, each answer journalled.
 * Totals and sign-on too. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "machine.h"

#define NO_ANSWER_CODE 4021
#define SIGN_ON        801
#define SYNC_RECORD_MS 600000 /* a sign-on is worth a record when the last answer is older */

static void pending_done(struct dp_payment *p)
{
    memset(&p->pending, 0, sizeof p->pending);
}

static int pending_begin(struct dp_payment *p, size_t n)
{
    int err = send_packed(p, n, &p->pending.link_id);
    if (err < 0) {
        pending_done(p);
        return err;
    }
    p->pending.busy = true;
    p->pending.deadline_ms = mono(p) + p->config.params->acquirer.online_timeout_ms;
    return DP_OK;
}

/* ---- jobs ---- */

/* A deferred authorisation is asked under a new STAN each time: REQUESTED first. */
static int request_deferred(struct dp_payment *p, struct dp_acquirer_job *job)
{
    struct dp_record *r = &job->record;
    struct dp_record sale = *r;
    int err;
    record_begin(p, DP_RECORD_REQUESTED, sale.tx, r);
    r->amount = sale.amount;
    r->has_amount = true;
    r->mode = DP_MODE_DEFERRED;
    r->batch = sale.batch != 0 ? sale.batch : r->batch;
    memcpy(r->tid, sale.tid, sizeof r->tid); /* whatever the terminal is called by now */
    memcpy(r->mid, sale.mid, sizeof r->mid);
    memcpy(r->parcel, sale.parcel, sizeof r->parcel);
    r->deferred_until = sale.deferred_until;
    r->interface = sale.interface;
    r->cvm = sale.cvm;
    err = dp_acquirer_fill_online(p->acquirer, r);
    if (err == DP_OK)
        err = keep_durable(p, r);
    /* what the message needs of the sale but the record does not repeat */
    memcpy(r->emv, sale.emv, sale.emv_n);
    r->emv_n = sale.emv_n;
    return err;
}

static int pack_job(struct dp_payment *p, struct dp_acquirer_job *job, size_t *n)
{
    struct message_card m;
    const struct dp_acquirer_card *card = NULL;
    int err = DP_OK;
    memset(&m, 0, sizeof m);
    if (job->kind != DP_ACQUIRER_JOB_REVERSAL) {
        err = message_card_stored(p, &job->record, job->kind == DP_ACQUIRER_JOB_DEFERRED, &m);
        m.card.emv = (struct dp_bytes){job->record.emv, job->record.emv_n};
        m.card.contactless = job->record.interface == DP_INTERFACE_CONTACTLESS;
        m.card.cvm = job->record.cvm;
        card = &m.card;
    }
    if (err == DP_OK && job->kind == DP_ACQUIRER_JOB_DEFERRED)
        err = request_deferred(p, job);
    if (err == DP_OK) {
        m.card.emv = (struct dp_bytes){job->record.emv, job->record.emv_n};
        err = dp_acquirer_pack(p->acquirer, &job->record, card, job->repeat, p->packed,
                               sizeof p->packed, n, p->masked);
    }
    message_card_wipe(&m);
    return err;
}

/* A job that brought no answer. A deferred authorisation may have been heard: it is taken back, and
 * asked again under a new STAN; all others are repeated as they are. */
static void job_failed(struct dp_payment *p, const struct dp_acquirer_job *job)
{
    if (job->kind == DP_ACQUIRER_JOB_DEFERRED && job->record.type == DP_RECORD_REQUESTED &&
        job->record.seq != 0) {
        int err =
            reverse_stan(p, job->record.tx, job->record.stan, NO_ANSWER_CODE, DP_REASON_NO_ANSWER);
        if (err < 0 || bind_all(p) < 0) {
            p->stopped = true;
            return;
        }
    }
    dp_acquirer_failed(p->acquirer, job, mono(p));
}

static void start_job(struct dp_payment *p, struct dp_acquirer_job *job)
{
    size_t n = 0;
    int err = pack_job(p, job, &n);
    if (p->stopped)
        return;
    if (err == DP_OK) {
        err = pending_begin(p, n);
        p->pending.job = *job;
    }
    if (err < 0) {
        dp_log(DP_LOG_ERROR, "a stored message cannot be sent: %s; it stays queued",
               dp_strerr(err));
        pending_done(p);
        job_failed(p, job);
        return;
    }
    dp_acquirer_sent(p->acquirer, job, mono(p));
}

/* Past its time a deferred payment may not be asked for any more, with or without a link: it is not
 * paid, and the sale may know. By a clock that was just set forward nothing is given up: it is
 * asked for when there is a link, and the acquirer judges. False: there was none. */
static bool give_up(struct dp_payment *p)
{
    struct dp_record r;
    record_begin(p, DP_RECORD_FORWARDED, NULL, &r);
    r.reason = DP_REASON_DEFERRED_EXPIRED;
    if (p->door.state != DOOR_IDLE || clock_jumped(p) || dp_acquirer_give_up(p->acquirer, &r) < 0)
        return false;
    dp_log(DP_LOG_WARNING, "a deferred payment could not be asked for in its time: it is not paid");
    if (keep(p, &r) < 0 || bind_all(p) < 0)
        p->stopped = true;
    else
        card_data_drop(p, r.tx);
    return true;
}

/* After authorisation nobody may have track 2 any more: when the last deferred payment that has one
 * is answered, or the rest must wait for the network, its key is destroyed. What else is in the
 * side store waits for the settlement. */
static void shred_track2(struct dp_payment *p)
{
    uint32_t wanted, dropped;
    if (p->stopped || p->journal_err < 0) /* there may be none */
        return;
    dp_side_track2(p->journal, &wanted, &dropped);
    if (dropped == 0 || (wanted > 0 && p->link_up))
        return;
    if (p->shred_failed || p->door.state != DOOR_IDLE)
        return;
    p->shred_failed = dp_side_shred(p->journal) < 0;
    if (p->shred_failed)
        dp_log(DP_LOG_WARNING, "track 2 of what was answered could not be shredded");
    (void)bind_all(p); /* a journal that is at its end shows here */
}

void forward_tick(struct dp_payment *p, int64_t now, int64_t *wait)
{
    struct dp_acquirer_job job;
    int64_t again = -1;
    if (give_up(p)) {
        *wait = 0;
        return;
    }
    if (p->pending.busy) {
        if (now >= p->pending.deadline_ms) {
            forward_failed(p, p->pending.link_id);
            *wait = 0; /* for whoever waited for the link */
        } else if (p->pending.deadline_ms - now < *wait) {
            *wait = p->pending.deadline_ms - now;
        }
        return;
    }
    shred_track2(p);
    if (!p->link_up || p->held || p->door.state != DOOR_IDLE)
        return; /* the payment at the door has the link to itself */
    memset(&job, 0, sizeof job);
    dp_acquirer_next(p->acquirer, now, &job, &again);
    if (job.kind != DP_ACQUIRER_JOB_NONE) {
        start_job(p, &job);
        *wait = p->pending.busy ? *wait : 100;
    } else if (again >= 0 && again < *wait) {
        *wait = again;
    }
}

/* ---- answers ---- */

static bool nothing_pending(const struct entry *e)
{
    return e->done && e->open_stan == 0 && e->forward != DP_FORWARD_PENDING;
}

void forward_drop_leftovers(struct dp_payment *p)
{
    for (uint32_t i = 0; i < p->index.n; i++) {
        const struct entry *e = &p->index.entries[i];
        bool kept =
            e->mode == DP_MODE_OFFLINE || e->mode == DP_MODE_DEFERRED || e->mode == DP_MODE_ONLINE;
        if (!e->is_reversal && kept && nothing_pending(e))
            card_data_drop(p, e->tx);
        else if (!e->is_reversal && e->authorised)
            track2_drop(p, e->tx);
    }
}

/* Card data is kept until its last message is answered, track 2 until the issuer answers, no
 * longer. The answer is durable first: a crash in between must find what a repeat needs. */
static void answered_job(struct dp_payment *p, const struct dp_acquirer_answer *answer)
{
    struct dp_record r;
    const struct entry *e;
    record_begin(p, DP_RECORD_FORWARDED, answer->tx, &r);
    if (dp_acquirer_forwarded(p->acquirer, answer, &r) < 0)
        return;
    if (keep(p, &r) < 0 || bind_all(p) < 0) {
        p->stopped = true;
        return;
    }
    e = index_by_tx(&p->index, answer->tx);
    if (e != NULL && nothing_pending(e))
        card_data_drop(p, answer->tx);
    else if (answer->kind == DP_ACQUIRER_DEFERRED)
        track2_drop(p, answer->tx);
}

static void answered_totals(struct dp_payment *p, const struct dp_acquirer_answer *answer)
{
    struct dp_settle_result result;
    struct dp_record *r = &p->pending.settled;
    struct dp_acquirer_batch batch;
    uint64_t request = p->pending.request;
    dp_acquirer_batch(p->acquirer, &batch);
    memset(&result, 0, sizeof result);
    result.asked = true;
    result.in_balance = answer->approved;
    result.batch = batch.batch;
    result.sales_n = batch.sales_n;
    result.sales_amount = batch.sales_amount;
    result.reversals_n = batch.reversals_n;
    result.reversals_amount = batch.reversals_amount;
    memcpy(result.verdict, answer->action_code, sizeof result.verdict);
    memcpy(r->action_code, answer->action_code, sizeof r->action_code);
    memcpy(r->settled.verdict, answer->action_code, sizeof r->settled.verdict);
    if (keep(p, r) < 0 || bind_all(p) < 0) {
        result.asked = false;
        result.reason = DP_REASON_UNKNOWN;
    } else if (result.in_balance) {
        p->shred_failed = dp_side_shred(p->journal) < 0;
        if (p->shred_failed)
            dp_log(DP_LOG_WARNING, "the side store could not be shredded; it is tried again");
        p->round_over = true;
        (void)end_round(p); /* settled it is, whatever comes of this */
    }
    p->config.ops.settled(p->config.ops.ctx, request, &result);
}

static void answered_network(struct dp_payment *p)
{
    struct dp_record r;
    if (clock_best(p) - p->round.synced_wall_ms < SYNC_RECORD_MS && !clock_set_back(p))
        return;
    record_begin(p, DP_RECORD_TIME_SYNC, NULL, &r);
    (void)snprintf(r.text, sizeof r.text, "acquirer answered the sign-on");
    if (keep(p, &r) == DP_OK)
        (void)bind_all(p);
}

static bool answers_pending(const struct pending *was, const struct dp_acquirer_answer *answer)
{
    if (answer->kind == DP_ACQUIRER_TOTALS || answer->kind == DP_ACQUIRER_NETWORK)
        return was->job.kind == DP_ACQUIRER_JOB_NONE &&
               was->is_totals == (answer->kind == DP_ACQUIRER_TOTALS);
    return was->job.kind != DP_ACQUIRER_JOB_NONE && was->job.record.stan == answer->stan &&
           memcmp(was->job.record.tx, answer->tx, sizeof answer->tx) == 0;
}

void forward_answer(struct dp_payment *p, const struct dp_acquirer_answer *answer)
{
    bool ours = p->pending.busy && answers_pending(&p->pending, answer);
    if (answer->kind == DP_ACQUIRER_NETWORK)
        answered_network(p);
    else if (answer->kind == DP_ACQUIRER_TOTALS && ours)
        answered_totals(p, answer);
    else if (answer->kind != DP_ACQUIRER_TOTALS)
        answered_job(p, answer);
    if (ours) /* another's, come late: what is under way goes on */
        pending_done(p);
}

void forward_failed(struct dp_payment *p, uint32_t link_id)
{
    struct pending was = p->pending;
    if (!was.busy || was.link_id != link_id)
        return;
    pending_done(p);
    if (was.is_totals) {
        struct dp_settle_result result;
        memset(&result, 0, sizeof result);
        result.reason = DP_REASON_NO_ANSWER;
        p->config.ops.settled(p->config.ops.ctx, was.request, &result);
    } else if (was.job.kind != DP_ACQUIRER_JOB_NONE) {
        job_failed(p, &was.job);
    }
}

void forward_link_up(struct dp_payment *p)
{
    size_t n = 0;
    dp_acquirer_kick(p->acquirer);
    if (p->pending.busy)
        return;
    if (dp_acquirer_pack_network(p->acquirer, SIGN_ON, p->packed, sizeof p->packed, &n) < 0)
        return;
    memcpy(p->masked, p->packed, n); /* a sign-on carries nothing of a card */
    (void)!pending_begin(p, n);
}

/* ---- the sale or a person asks ---- */

void dp_payment_forward(struct dp_payment *p, enum dp_forward_command command)
{
    p->held = command == DP_FORWARD_HOLD;
    if (command == DP_FORWARD_NOW && p->acquirer != NULL)
        dp_acquirer_kick(p->acquirer);
}

static void settle_refused(struct dp_payment *p, uint64_t request, enum dp_reason reason)
{
    struct dp_settle_result result;
    memset(&result, 0, sizeof result);
    result.reason = reason;
    p->config.ops.settled(p->config.ops.ctx, request, &result);
}

void dp_payment_settle(struct dp_payment *p, uint64_t request)
{
    struct dp_acquirer_unsent unsent;
    size_t n = 0;
    if (p->acquirer == NULL || p->journal_err < 0 || p->stopped) {
        settle_refused(p, request, p->key_dead ? DP_REASON_KEY_STORE : DP_REASON_JOURNAL);
        return;
    }
    dp_acquirer_unsent(p->acquirer, &unsent);
    if (!p->link_up) {
        settle_refused(p, request, DP_REASON_NO_LINK);
        return;
    }
    if (p->pending.busy || p->door.state != DOOR_IDLE || unsent.n > 0) {
        settle_refused(p, request, DP_REASON_BUSY);
        return;
    }
    record_begin(p, DP_RECORD_SETTLED, NULL, &p->pending.settled);
    if (dp_acquirer_pack_totals(p->acquirer, &p->pending.settled, p->packed, sizeof p->packed, &n) <
        0) {
        pending_done(p);
        settle_refused(p, request, DP_REASON_BUSY);
        return;
    }
    memcpy(p->masked, p->packed, n); /* totals carry nothing of a card */
    p->pending.is_totals = true;
    p->pending.request = request;
    if (pending_begin(p, n) < 0)
        settle_refused(p, request, DP_REASON_NO_LINK);
}
