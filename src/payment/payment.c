/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing what was in flight, and what every step of a payment does with its records. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/secret.h"
#include "machine.h"

#define INTERRUPTED_REASON_CODE 4007 /* DE25: the terminal could not complete */
#define TICK_MAX_MS             60000
#define ARCHIVE_PAUSE_MS        20
#define ANCHOR_AGAIN_MS         30000
#define UNREAD_AGAIN_MS         30000

int64_t mono(const struct dp_payment *p)
{
    return p->config.clock->mono_ms(p->config.clock->ctx);
}

int64_t wall(const struct dp_payment *p)
{
    return p->config.clock->wall_ms(p->config.clock->ctx);
}

void record_begin(const struct dp_payment *p, enum dp_record_type type, const uint8_t tx[16],
                  struct dp_record *r)
{
    const struct dp_params *params = p->config.params;
    struct dp_acquirer_batch batch = {0};
    memset(r, 0, sizeof *r);
    r->type = type;
    if (tx != NULL) {
        memcpy(r->tx, tx, sizeof r->tx);
        r->has_tx = true;
    }
    if (params == NULL)
        return;
    memcpy(r->tid, params->terminal.tid, sizeof r->tid);
    memcpy(r->mid, params->terminal.mid, sizeof r->mid);
    r->params_version = (uint32_t)params->version;
    r->business_date = dp_params_business_date(params, wall(p));
    dp_acquirer_batch(p->acquirer, &batch);
    r->batch = batch.batch;
}

static int fail_stop(struct dp_payment *p, const char *what, int err)
{
    if (err == DP_ERR_FULL && !p->stopped) {
        dp_log(DP_LOG_ERROR, "%s: %s", what, dp_strerr(err));
        return err; /* refused before anything was written: the journal still stands */
    }
    dp_log(DP_LOG_ERROR, "%s: %s; nothing may go on", what, dp_strerr(err));
    p->stopped = true;
    return err;
}

void flag_degraded(struct dp_payment *p, const uint8_t tx[16])
{
    struct entry *e = index_by_tx(&p->index, tx);
    if (e == NULL)
        return;
    e->degraded = true;
    if (e->mode != DP_MODE_DECLINED)
        p->degraded_n++;
}

static void see_degraded(struct dp_payment *p, const struct dp_record *r)
{
    if (r->type == DP_RECORD_DEGRADED_ON) {
        p->degraded = true;
        p->degraded_n = 0;
        if (r->has_tx)
            flag_degraded(p, r->tx);
    } else if (r->type == DP_RECORD_DEGRADED_OFF) {
        p->degraded = false;
    } else if (r->type == DP_RECORD_OUTCOME && r->degraded && r->mode != DP_MODE_DECLINED) {
        p->degraded_n++;
    }
}

/* The journal says by itself when the anchor dies, and that it works again. */
static void note_degraded(struct dp_payment *p)
{
    bool now = dp_journal_is_degraded(p->journal);
    if (now && !p->degraded)
        p->degraded_n = 0;
    p->degraded = now;
}

/* Index, round and clock follow the journal, record by record. */
static void see(struct dp_payment *p, const struct dp_record *r)
{
    int64_t synced = p->round.synced_wall_ms;
    index_see(&p->index, &p->round, r);
    see_degraded(p, r);
    clock_see(p, r, p->round.synced_wall_ms != synced);
}

int keep(struct dp_payment *p, struct dp_record *r)
{
    int err = p->journal == NULL ? DP_ERR_STATE : dp_journal_append(p->journal, r);
    if (err < 0)
        return fail_stop(p, "journal record", err);
    see(p, r);
    if (p->acquirer != NULL)
        dp_acquirer_see(p->acquirer, r);
    return DP_OK;
}

int keep_durable(struct dp_payment *p, struct dp_record *r)
{
    int err = keep(p, r);
    if (err == DP_OK) {
        err = dp_journal_flush(p->journal);
        if (err < 0)
            p->stopped = true;
        note_degraded(p);
    }
    return err;
}

int bind_all(struct dp_payment *p)
{
    int err = dp_journal_checkpoint(p->journal);
    if (err < 0) {
        dp_log(DP_LOG_ERROR, "journal checkpoint: %s; nothing may go on", dp_strerr(err));
        p->stopped = true;
    }
    note_degraded(p);
    return err;
}

int end_round(struct dp_payment *p)
{
    int err;
    p->round_over = false; /* rotating makes a snapshot: it is to say so */
    err = p->degraded ? DP_ERR_STATE : dp_journal_rotate(p->journal);
    p->round_over = err < 0;
    note_degraded(p);
    if (err == DP_ERR_STATE && p->degraded) {
        dp_log(DP_LOG_WARNING, "no new key of the journal while the anchor is dead; it comes then");
        return DP_OK;
    }
    if (err < 0) {
        dp_log(DP_LOG_ERROR, "new key of the journal: %s; nothing may go on", dp_strerr(err));
        p->stopped = true;
        return err;
    }
    dp_log(DP_LOG_INFO, "the round is over: the journal has a new key");
    return DP_OK;
}

int send_packed(struct dp_payment *p, size_t n, uint32_t *id)
{
    int err;
    DP_ASSERT(n > 0 && n <= sizeof p->packed);
    *id = ++p->next_link_id;
    if (p->config.ops.wire != NULL)
        p->config.ops.wire(p->config.ops.ctx, true, p->masked, n);
    err = p->config.ops.link_send(p->config.ops.ctx, *id, p->packed, n);
    dp_wipe(p->packed, sizeof p->packed);
    if (err < 0)
        dp_log(DP_LOG_WARNING, "no link process to send with");
    return err < 0 ? DP_ERR_GONE : DP_OK;
}

int payment_make_acquirer(struct dp_payment *p)
{
    const struct dp_params *params = p->config.params;
    struct dp_acquirer_config c;
    memset(&c, 0, sizeof c);
    memcpy(c.tid, params->terminal.tid, sizeof c.tid);
    memcpy(c.mid, params->terminal.mid, sizeof c.mid);
    memcpy(c.acquirer_id, params->terminal.acquirer_id, sizeof c.acquirer_id);
    c.currency = params->terminal.currency;
    c.exponent = params->terminal.exponent;
    c.utc_offset_min = params->terminal.utc_offset_min;
    c.mac_len = (uint8_t)params->acquirer.mac_len;
    c.dual = params->acquirer.message == DP_MESSAGE_DUAL;
    c.clear_card = params->acquirer.card_data == DP_CARD_DATA_CLEAR;
    c.online_timeout_ms = params->acquirer.online_timeout_ms;
    c.retry_first_ms = params->acquirer.retry_first_ms;
    c.retry_max_ms = params->acquirer.retry_max_ms;
    c.repeat_max = params->acquirer.repeat_max;
    memcpy(c.journal, p->journal_id, sizeof c.journal);
    c.hsm = p->config.hsm;
    c.clock = p->config.clock;
    c.random = p->config.random;
    return dp_acquirer_new(&c, &p->acquirer);
}

/* Every record of the journal, at start. The acquirer's conversation belongs to a journal, whose id
 * the first record tells. */
void see_at_open(void *user, const struct dp_record *r)
{
    struct dp_payment *p = user;
    if (p->config.params != NULL && p->acquirer == NULL && p->begin_err == DP_OK) {
        memcpy(p->journal_id, r->journal, sizeof p->journal_id);
        p->begin_err = payment_make_acquirer(p);
    }
    see(p, r);
    if (p->acquirer != NULL)
        dp_acquirer_see(p->acquirer, r);
    if (r->type == DP_RECORD_INTENT)
        p->sequence++; /* 9F41 goes on where the last run left it */
    if (r->type == DP_RECORD_SETTLED && strcmp(r->action_code, SETTLED_IN_BALANCE) == 0)
        p->round_over = true;
    if (r->type == DP_RECORD_KEY_ROTATE)
        p->round_over = false;
    if (r->type == DP_RECORD_PARAMS)
        memcpy(p->params_digest, r->digest, sizeof p->params_digest);
}

/* Journalled once for each set, not at each start. */
static int take_params_into_use(struct dp_payment *p)
{
    const struct dp_params *params = p->config.params;
    struct dp_record r;
    if (memcmp(p->params_digest, params->digest, sizeof p->params_digest) == 0)
        return DP_OK;
    memcpy(p->params_digest, params->digest, sizeof p->params_digest);
    record_begin(p, DP_RECORD_PARAMS, NULL, &r);
    r.params_version = (uint32_t)params->version;
    memcpy(r.digest, params->digest, sizeof r.digest);
    r.has_digest = true;
    return keep(p, &r) < 0 ? DP_ERR_IO : bind_all(p);
}

/* A payment that the last run left without an end: nothing was answered to the sale, so it is not
 * paid. */
static int close_one(struct dp_payment *p, const struct entry *open)
{
    struct dp_record r;
    struct entry e = *open; /* the index moves under keep() */
    int err;
    if (e.open_stan != 0) {
        err = reverse_stan(p, e.tx, e.open_stan, INTERRUPTED_REASON_CODE, DP_REASON_INTERRUPTED);
        if (err < 0)
            return err;
    }
    if (e.done)
        return DP_OK; /* a deferred authorisation in flight: its OUTCOME stands, it is asked again
                       */
    record_begin(p, DP_RECORD_OUTCOME, e.tx, &r);
    r.amount = e.amount;
    r.has_amount = true;
    r.mode = DP_MODE_DECLINED;
    r.reason = DP_REASON_INTERRUPTED;
    memcpy(r.fingerprint, e.fingerprint, sizeof r.fingerprint);
    r.has_fingerprint = true;
    memcpy(r.sale_id, e.sale_id, sizeof r.sale_id);
    memcpy(r.service_id, e.service_id, sizeof r.service_id);
    memcpy(r.poi_id, e.poi_id, sizeof r.poi_id);
    memcpy(r.sale_tx, e.sale_tx, sizeof r.sale_tx);
    memcpy(r.parcel, e.parcel, sizeof r.parcel);
    return keep(p, &r);
}

static int close_open_payments(struct dp_payment *p)
{
    unsigned closed = 0;
    for (uint32_t i = 0; i < p->index.n; i++) {
        const struct entry *e = &p->index.entries[i];
        if (e->is_reversal || (e->done && e->open_stan == 0))
            continue;
        int err = close_one(p, e);
        if (err < 0)
            return err;
        closed++;
    }
    if (closed == 0)
        return DP_OK;
    dp_log(DP_LOG_WARNING, "%u payments were in flight at the last end and are closed", closed);
    return bind_all(p);
}

void journal_config(const struct dp_payment *p, struct dp_journal_config *c)
{
    memset(c, 0, sizeof *c);
    c->store = p->config.store;
    c->hsm = p->config.hsm;
    c->clock = p->config.clock;
    c->random = p->config.random;
    memcpy(c->software_digest, p->config.software_digest, sizeof c->software_digest);
    c->reserve_bytes = p->config.reserve_bytes;
}

bool refuse_forged(struct dp_payment *p, uint64_t signed_size)
{
    if (!index_is_begun_twice(&p->index, signed_size))
        return false;
    dp_log(DP_LOG_ERROR,
           "journal: at its end a payment was begun under the ServiceID of another, and "
           "no signature vouches for it");
    dp_journal_abandon(&p->journal);
    return true;
}

static int open_journal(struct dp_payment *p)
{
    struct dp_journal_config c;
    struct dp_journal_opened opened = {0};
    int err;
    if (p->config.hsm == NULL)
        return DP_ERR_TOKEN;
    journal_config(p, &c);
    c.state = &payment_state_ops;
    err = dp_journal_open(&c, see_at_open, p, &opened, &p->journal);
    if (err < 0) {
        dp_log(DP_LOG_ERROR, "journal: %s; no payment is taken", dp_strerr(err));
        return err;
    }
    dp_journal_id(p->journal, p->journal_id);
    p->unread = opened.resumed;
    if (refuse_forged(p, opened.signed_size))
        return DP_ERR_TAMPERED;
    if (opened.recovered)
        dp_log(DP_LOG_WARNING, "journal: a torn batch of the last run was set aside");
    err = dp_journal_checkpoint(p->journal); /* what is answered from now on is bound */
    note_degraded(p);
    return err;
}

/* With journal and parameters there: what was in flight is closed. */
static int begin(struct dp_payment *p)
{
    int err = p->begin_err;
    if (err == DP_OK && p->acquirer == NULL) /* a journal begun just now */
        err = payment_make_acquirer(p);
    if (err == DP_OK)
        err = close_open_payments(p);
    if (err == DP_OK)
        err = take_params_into_use(p);
    if (err == DP_OK && p->round_over) /* the last run ended before it could */
        err = end_round(p);
    if (err == DP_OK)
        forward_drop_leftovers(p);
    p->archiving = err == DP_OK; /* what the last run did not come to */
    return err;
}

int dp_payment_open(const struct dp_payment_config *config, struct dp_payment **out)
{
    struct dp_payment *p = calloc(1, sizeof *p);
    int err;
    if (p == NULL)
        return DP_ERR_NOMEM;
    p->config = *config;
    if (index_new(&p->index, DP_PAYMENT_INDEX_MAX) < 0) {
        free(p);
        return DP_ERR_NOMEM;
    }
    clock_begin(p);
    p->journal_err = open_journal(p);
    if (p->journal_err == DP_OK && config->params != NULL) {
        p->journal_err = begin(p);
        if (p->journal_err < 0)
            dp_log(DP_LOG_ERROR, "payments cannot begin: %s", dp_strerr(p->journal_err));
    }
    *out = p;
    if (!keyless_is(p->journal_err))
        return DP_OK;
    err = keyless_open(p);
    if (err < 0)
        dp_payment_free(out);
    return err;
}

void dp_payment_free(struct dp_payment **pp)
{
    struct dp_payment *p = *pp;
    if (p == NULL)
        return;
    dp_acquirer_free(&p->acquirer);
    dp_journal_free(&p->journal);
    index_free(&p->index);
    free(p);
    *pp = NULL;
}

bool nobody_knows(const struct dp_payment *p)
{
    return p->stopped || (p->journal_err < 0 && !keyless_is(p->journal_err));
}

void dp_payment_status(struct dp_payment *p, uint64_t request, const struct dp_status_query *q)
{
    struct dp_pay_result r;
    const struct entry *e = q->by_tx ? index_by_tx(&p->index, q->tx)
                                     : index_by_service(&p->index, q->sale_id, q->service_id);
    if (!q->by_tx && q->service_id[0] == '\0')
        e = index_by_parcel(&p->index, q->parcel);
    if (nobody_knows(p)) {
        refuse(p, request, DP_REASON_UNKNOWN);
        return;
    }
    if (e == NULL) {
        refuse(p, request, DP_REASON_NOT_FOUND);
        return;
    }
    result_of(p, e, &r);
    p->config.ops.result(p->config.ops.ctx, request, &r);
}

static const char *trouble(const struct dp_payment *p)
{
    if (p->stopped)
        return "the journal can no longer be written";
    if (p->journal_err == DP_ERR_ROLLBACK)
        return "the journal is older than the key store says: no payment until it is examined";
    if (p->journal_err == DP_ERR_TAMPERED)
        return "the journal was tampered with: no payment until it is examined";
    if (p->key_dead)
        return "the key store is dead: no payments; what was paid is kept: bring the device back";
    if (p->journal_err < 0)
        return "the journal cannot be opened";
    if (p->config.params == NULL)
        return "no valid parameter set";
    if (p->degraded && degraded_left(p) == 0)
        return "the key store's anchor is out of order: no more payments; bring the device back";
    if (p->acquirer != NULL && dp_acquirer_is_anothers(p->acquirer))
        return "the open batch is of another terminal: settle it first";
    if (!p->reader_ok)
        return "no card reader";
    if (p->degraded)
        return "the key store's anchor is out of order: few payments left, and they are marked";
    if (!p->link_up)
        return "no network: payments go on within the limits left";
    return "";
}

void dp_payment_diagnose(struct dp_payment *p, struct dp_diagnosis *out)
{
    const struct dp_params *params = p->config.params;
    struct dp_acquirer_batch batch = {0};
    memset(out, 0, sizeof *out);
    out->journal_ok = p->journal_err == DP_OK && !p->stopped;
    out->params_ok = params != NULL;
    out->link_up = p->link_up;
    out->reader_ok = p->reader_ok;
    out->busy = p->door.state != DOOR_IDLE;
    out->degraded = p->degraded;
    out->degraded_left = degraded_left(p);
    memcpy(out->journal, p->journal_id, sizeof out->journal);
    if (p->acquirer != NULL)
        dp_acquirer_batch(p->acquirer, &batch);
    out->batch = batch.batch;
    headroom(p, &out->headroom);
    if (params != NULL) {
        out->params_version = params->version;
        memcpy(out->tid, params->terminal.tid, sizeof out->tid);
        memcpy(out->mid, params->terminal.mid, sizeof out->mid);
        memcpy(out->merchant_name, params->terminal.merchant_name, sizeof out->merchant_name);
        out->currency = params->terminal.currency;
        out->exponent = params->terminal.exponent;
        out->business_date = dp_params_business_date(params, wall(p));
    }
    (void)snprintf(out->trouble, sizeof out->trouble, "%s", trouble(p));
}

void dp_payment_totals(struct dp_payment *p, struct dp_till_totals *out)
{
    struct dp_acquirer_batch batch = {0};
    struct dp_acquirer_unsent unsent = {0};
    memset(out, 0, sizeof *out);
    if (p->journal != NULL)
        dp_journal_totals(p->journal, &out->totals);
    if (p->acquirer == NULL)
        return;
    dp_acquirer_batch(p->acquirer, &batch);
    dp_acquirer_unsent(p->acquirer, &unsent);
    out->batch = batch.batch;
    out->sales_n = batch.sales_n;
    out->sales_amount = batch.sales_amount;
    out->reversals_n = batch.reversals_n;
    out->reversals_amount = batch.reversals_amount;
    out->pending_n = unsent.n;
    out->pending_amount = unsent.amount;
    out->business_date = dp_params_business_date(p->config.params, wall(p));
    out->money.currency = p->config.params->terminal.currency;
    out->money.exponent = p->config.params->terminal.exponent;
}

void dp_payment_link_up(struct dp_payment *p, bool up)
{
    if (p->link_up == up)
        return;
    p->link_up = up;
    dp_log(DP_LOG_INFO, "acquirer link is %s", up ? "up" : "down");
    if (p->acquirer == NULL || p->stopped || p->journal_err < 0)
        return;
    if (up) {
        forward_link_up(p);
        return;
    }
    /* the connection is gone, and with it the answers to what was sent on it */
    if (p->pending.busy)
        forward_failed(p, p->pending.link_id);
    if (!p->stopped)
        door_link_lost(p);
}

void dp_payment_link_answer(struct dp_payment *p, const uint8_t *bytes, size_t n)
{
    struct dp_acquirer_answer answer;
    size_t masked_n = 0;
    int err;
    if (p->acquirer == NULL || p->stopped || n > sizeof p->masked)
        return;
    memset(&answer, 0, sizeof answer);
    err = dp_acquirer_take(p->acquirer, bytes, n, &answer, p->masked, &masked_n);
    if (masked_n > 0 && p->config.ops.wire != NULL)
        p->config.ops.wire(p->config.ops.ctx, false, p->masked, masked_n);
    if (err < 0 || answer.kind == DP_ACQUIRER_NO_ANSWER) {
        dp_log(DP_LOG_WARNING, "a message from the acquirer is no answer: %s",
               err < 0 ? dp_strerr(err) : answer.why);
        return;
    }
    if (answer.kind == DP_ACQUIRER_ONLINE)
        door_answer(p, &answer);
    else
        forward_answer(p, &answer);
}

void dp_payment_link_failed(struct dp_payment *p, uint32_t id, bool sent)
{
    (void)sent; /* a byte may have left that the link does not know of: both are taken back */
    if (p->stopped)
        return;
    if (p->door.state == DOOR_ONLINE && p->door.link_id == id)
        door_no_answer(p);
    else if (p->pending.busy && p->pending.link_id == id)
        forward_failed(p, id);
}

/* Between two payments: a dead token may take its time to say so. */
static void try_anchor(struct dp_payment *p, int64_t now, int64_t *wait)
{
    int err = dp_journal_try_anchor(p->journal);
    p->anchor_again_ms = err == DP_ERR_BUSY ? now : now + ANCHOR_AGAIN_MS;
    *wait = err == DP_ERR_BUSY ? 0 : ANCHOR_AGAIN_MS;
    note_degraded(p);
    if (err == DP_ERR_ROLLBACK || err == DP_ERR_STATE)
        p->stopped = true;
    else if (err == DP_OK && p->round_over)
        (void)end_round(p);
}

/* ---- the collector ---- */

void dp_payment_acknowledge(struct dp_payment *p, const uint8_t *ack, size_t n,
                            struct dp_ack_result *out)
{
    const struct dp_params *params = p->config.params;
    const char *why = NULL;
    struct dp_record r;
    int err;
    memset(out, 0, sizeof *out);
    if (p->stopped || p->journal_err < 0 || p->journal == NULL)
        why = "the journal takes no record";
    else if (params == NULL || !params->has_collector)
        why = "the parameters name no collector";
    else if (p->door.state != DOOR_IDLE)
        why = "a payment is under way: again when it is over";
    if (why != NULL) {
        (void)snprintf(out->words, sizeof out->words, "%s", why);
        return;
    }
    err = dp_journal_acknowledge(p->journal, ack, n, params->collector.key, &r, out->words,
                                 sizeof out->words);
    if (err == DP_OK) {
        see(p, &r);
        err = bind_all(p);
        if (err < 0)
            (void)snprintf(out->words, sizeof out->words, "the journal cannot be written: %s",
                           dp_strerr(err));
    }
    out->taken = err == DP_OK || err == DP_ERR_DUPLICATE;
    p->archiving = p->archiving || err == DP_OK;
    dp_log(out->taken ? DP_LOG_INFO : DP_LOG_WARNING, "acknowledgement: %s", out->words);
}

/* Between payments: a snapshot when it is due, and a segment at a time of what opening from the
 * last one has not read. */
static void look_after_journal(struct dp_payment *p, int64_t now, int64_t *wait)
{
    int err = DP_OK;
    if (p->door.state != DOOR_IDLE || p->pending.busy)
        return;
    if (dp_journal_snapshot_due(p->journal)) {
        if (dp_journal_snapshot(p->journal) < 0)
            p->stopped = true;
        note_degraded(p);
        return;
    }
    if (!p->unread || now < p->unread_again_ms)
        return;
    err = dp_journal_recheck(p->journal, &p->unread);
    if (err == DP_ERR_TAMPERED) {
        p->journal_err = err;
    } else if (err < 0) {
        p->unread_again_ms = now + UNREAD_AGAIN_MS;
        dp_log(DP_LOG_WARNING, "journal: older records cannot be looked through: %s",
               dp_strerr(err));
    } else if (p->unread && *wait > ARCHIVE_PAUSE_MS) {
        *wait = ARCHIVE_PAUSE_MS;
    }
}

/* One segment at a time, while nobody waits for anything. */
static void archive(struct dp_payment *p, int64_t *wait)
{
    const struct dp_params *params = p->config.params;
    if (!p->archiving || !params->has_collector || !params->collector.archive ||
        p->door.state != DOOR_IDLE || p->pending.busy)
        return;
    if (dp_journal_archive(p->journal, &p->archiving) < 0)
        p->archiving = false;
    if (p->archiving && *wait > ARCHIVE_PAUSE_MS)
        *wait = ARCHIVE_PAUSE_MS;
}

int dp_payment_tick(struct dp_payment *p)
{
    int64_t now = mono(p), wait = TICK_MAX_MS;
    if (p->stopped || p->acquirer == NULL || p->journal_err < 0)
        return TICK_MAX_MS;
    if (p->degraded && p->door.state == DOOR_IDLE && now >= p->anchor_again_ms)
        try_anchor(p, now, &wait);
    door_tick(p, now, &wait);
    if (!p->stopped)
        forward_tick(p, now, &wait);
    if (!p->stopped)
        look_after_journal(p, now, &wait);
    if (!p->stopped)
        archive(p, &wait);
    DP_ASSERT(wait >= 0);
    return wait > TICK_MAX_MS ? TICK_MAX_MS : (int)wait;
}

bool dp_payment_stopped(const struct dp_payment *p)
{
    return p->stopped;
}
