/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Store and forward. A message is sent until it is answered; per transaction nothing overtakes:
 * an advice goes before its own reversal, a reversal before the deferred payment is asked again.
 */
#include <string.h>

#include "base/assert.h"
#include "state.h"

#define BLOCKED_WAIT_MS 1000 /* the way is freed by an answer's record, not by time */

bool is_queued(const struct message *m)
{
    return m->state == STATE_QUEUED;
}

/* ---- back-off with full jitter ---- */

static uint32_t jitter(const struct dp_acquirer *a, uint32_t exponent)
{
    const struct dp_acquirer_config *c = &a->config;
    uint64_t most = c->retry_first_ms;
    uint32_t drawn = 0;
    for (uint32_t i = 0; i < exponent && most < c->retry_max_ms; i++)
        most *= 2;
    if (most > c->retry_max_ms)
        most = c->retry_max_ms;
    if (most == 0)
        most = 1;
    if (c->random->fill(c->random->ctx, (uint8_t *)&drawn, sizeof drawn) < 0)
        return (uint32_t)most; /* no randomness here harms nobody: the longest wait */
    return (uint32_t)(1 + drawn % most);
}

static struct message *job_message(struct dp_acquirer *a, const struct dp_acquirer_job *job)
{
    const struct dp_record *r = &job->record;
    if (job->kind == DP_ACQUIRER_JOB_DEFERRED)
        return find_deferred(a, r->tx);
    return job->kind == DP_ACQUIRER_JOB_NONE ? NULL : find_packed(a, r->tx, r->stan, r->mti);
}

void dp_acquirer_sent(struct dp_acquirer *a, const struct dp_acquirer_job *job, int64_t mono_ms)
{
    struct message *m = job_message(a, job);
    if (m == NULL || !is_queued(m))
        return;
    m->sends += m->sends < 255 ? 1 : 0;
    m->tries++;
    m->may_have_left = true;
    m->due_ms = mono_ms + a->config.online_timeout_ms + jitter(a, m->exponent);
}

void dp_acquirer_failed(struct dp_acquirer *a, const struct dp_acquirer_job *job, int64_t mono_ms)
{
    struct message *m = job_message(a, job);
    if (m == NULL || !is_queued(m))
        return;
    m->due_ms = mono_ms + jitter(a, m->exponent);
    m->exponent += m->exponent < 31 ? 1 : 0;
}

void dp_acquirer_kick(struct dp_acquirer *a)
{
    for (uint32_t i = 0; i < a->n; i++) {
        a->messages[i].exponent = 0;
        a->messages[i].tries = 0;
        a->messages[i].due_ms = INT64_MIN;
    }
}

/* ---- which is next ---- */

/* Something of the same transaction must be answered first. */
static bool is_blocked(const struct dp_acquirer *a, const struct message *m)
{
    const struct message *other = NULL;
    while ((other = next_of_tx_const(a, m->tx, other)) != NULL) {
        if (other == m)
            continue;
        if (other->state == STATE_OPEN && m->kind != MESSAGE_REVERSAL)
            return true;
        if (is_queued(other) && other->kind != MESSAGE_DEFERRED && other->order < m->order)
            return true;
        /* a request taken back after its payment was deferred is younger, and still goes first */
        if (is_queued(other) && other->kind == MESSAGE_REVERSAL && m->kind == MESSAGE_DEFERRED)
            return true;
    }
    return false;
}

/* Tried often enough; it is kept, and offered again when the link comes up or a person asks. */
static bool is_resting(const struct dp_acquirer *a, const struct message *m)
{
    return a->config.repeat_max > 0 && m->tries > a->config.repeat_max;
}

static bool goes_before(const struct message *m, const struct message *than)
{
    bool reversal = m->kind == MESSAGE_REVERSAL;
    if (than == NULL)
        return true;
    if (reversal != (than->kind == MESSAGE_REVERSAL))
        return reversal;
    return m->order < than->order;
}

static void fill_job(const struct message *m, struct dp_acquirer_job *job)
{
    struct dp_record *r = &job->record;
    memset(job, 0, sizeof *job);
    job->kind = m->kind == MESSAGE_REVERSAL ? DP_ACQUIRER_JOB_REVERSAL
                : m->kind == MESSAGE_ADVICE ? DP_ACQUIRER_JOB_ADVICE
                                            : DP_ACQUIRER_JOB_DEFERRED;
    job->repeat = m->kind == MESSAGE_DEFERRED ? 0 : m->sends;
    r->type = m->kind == MESSAGE_REVERSAL ? DP_RECORD_REVERSAL : DP_RECORD_OUTCOME;
    memcpy(r->tx, m->tx, sizeof r->tx);
    r->has_tx = true;
    r->amount = m->amount;
    r->has_amount = true;
    r->stan = m->stan;
    r->mti = m->mti;
    r->function = m->function;
    r->msg_reason = m->msg_reason;
    r->batch = m->batch;
    r->business_date = m->business_date;
    r->interface = m->interface;
    r->cvm = m->cvm;
    r->mode = m->mode;
    r->deferred_until = m->deferred_until;
    memcpy(r->tid, m->tid, sizeof r->tid);
    memcpy(r->mid, m->mid, sizeof r->mid);
    memcpy(r->rrn, m->rrn, sizeof r->rrn);
    memcpy(r->de7, m->de7, sizeof r->de7);
    memcpy(r->de12, m->de12, sizeof r->de12);
    memcpy(r->auth_code, m->auth_code, sizeof r->auth_code);
    memcpy(r->parcel, m->parcel, sizeof r->parcel);
    memcpy(r->emv, m->emv, m->emv_n);
    r->emv_n = m->emv_n;
    r->has_original = m->kind == MESSAGE_REVERSAL;
    r->original.mti = m->original.mti;
    r->original.stan = m->original.stan;
    memcpy(r->original.de12, m->original.de12, sizeof r->original.de12);
    memcpy(r->original.acquirer, m->original.acquirer, sizeof r->original.acquirer);
}

void dp_acquirer_next(struct dp_acquirer *a, int64_t mono_ms, struct dp_acquirer_job *job,
                      int64_t *wait_ms)
{
    const struct message *best = NULL;
    memset(job, 0, sizeof *job);
    *wait_ms = -1;
    for (uint32_t i = 0; i < a->n; i++) {
        const struct message *m = &a->messages[i];
        int64_t wait;
        if (!is_queued(m) || is_resting(a, m))
            continue;
        if (is_blocked(a, m))
            wait = BLOCKED_WAIT_MS;
        else
            wait = m->due_ms <= mono_ms ? 0 : m->due_ms - mono_ms;
        if (wait == 0 && goes_before(m, best))
            best = m;
        if (*wait_ms < 0 || wait < *wait_ms)
            *wait_ms = wait;
    }
    if (best != NULL)
        fill_job(best, job);
}

bool dp_acquirer_outstanding(const struct dp_acquirer *a, uint64_t *cursor,
                             struct dp_acquirer_job *job)
{
    const struct message *oldest = NULL;
    for (uint32_t i = 0; i < a->n; i++) {
        const struct message *m = &a->messages[i];
        bool out = is_queued(m) || m->state == STATE_OPEN;
        if (out && m->order > *cursor && (oldest == NULL || m->order < oldest->order))
            oldest = m;
    }
    if (oldest == NULL)
        return false;
    *cursor = oldest->order;
    fill_job(oldest, job);
    if (oldest->state == STATE_OPEN) {
        job->kind = DP_ACQUIRER_JOB_NONE;
        job->record.type = DP_RECORD_REQUESTED;
    }
    return true;
}

/* ---- the record of an answer ---- */

int dp_acquirer_forwarded(struct dp_acquirer *a, const struct dp_acquirer_answer *answer,
                          struct dp_record *r)
{
    struct message *m = answer->kind == DP_ACQUIRER_REVERSAL
                            ? find_reversal(a, answer->tx, answer->stan)
                            : find_sale(a, answer->tx, answer->stan);
    if (answer->kind != DP_ACQUIRER_ADVICE && answer->kind != DP_ACQUIRER_DEFERRED &&
        answer->kind != DP_ACQUIRER_REVERSAL)
        return DP_ERR_ARG;
    if (m == NULL || (m->state != STATE_QUEUED && m->state != STATE_OPEN))
        return DP_ERR_STATE;
    memcpy(r->tx, m->tx, sizeof r->tx);
    r->has_tx = true;
    r->stan = m->stan;
    r->mti = m->mti;
    r->batch = m->batch;
    r->mode = m->kind == MESSAGE_REVERSAL ? DP_MODE_REVERSED : m->mode;
    r->amount = m->amount;
    r->has_amount = true;
    memcpy(r->rrn, m->rrn, sizeof r->rrn);
    memcpy(r->action_code, answer->action_code, sizeof r->action_code);
    memcpy(r->auth_code, answer->auth_code, sizeof r->auth_code);
    if (answer->kind == DP_ACQUIRER_REVERSAL)
        r->result = RESULT_REVERSAL_ACCEPTED;
    else
        r->result = answer->approved ? RESULT_ACCEPTED : RESULT_DECLINED;
    return DP_OK;
}

/* A clock that was never set says nothing about what is over. */
static bool is_over(const struct dp_acquirer *a, const struct message *m)
{
    const struct dp_clock *clock = a->config.clock;
    return m->kind == MESSAGE_DEFERRED && is_queued(m) && m->deferred_until != 0 &&
           clock->quality(clock->ctx) != DP_CLOCK_UNKNOWN &&
           clock->wall_ms(clock->ctx) > (int64_t)m->deferred_until;
}

static bool is_asked(const struct dp_acquirer *a, const struct message *m)
{
    const struct message *other = NULL;
    while ((other = next_of_tx_const(a, m->tx, other)) != NULL)
        if (other->state == STATE_OPEN)
            return true;
    return false;
}

int dp_acquirer_give_up(const struct dp_acquirer *a, struct dp_record *r)
{
    for (uint32_t i = 0; i < a->n; i++) {
        const struct message *m = &a->messages[i];
        if (!is_over(a, m) || is_asked(a, m))
            continue;
        memcpy(r->tx, m->tx, sizeof r->tx);
        r->has_tx = true;
        memcpy(r->tid, m->tid, sizeof r->tid);
        memcpy(r->mid, m->mid, sizeof r->mid);
        memcpy(r->parcel, m->parcel, sizeof r->parcel);
        r->batch = m->batch;
        r->mode = DP_MODE_DEFERRED;
        r->amount = m->amount;
        r->has_amount = true;
        r->deferred_until = m->deferred_until;
        r->result = RESULT_GIVEN_UP;
        return DP_OK;
    }
    return DP_ERR_NOT_FOUND;
}

void dp_acquirer_unsent(const struct dp_acquirer *a, struct dp_acquirer_unsent *out)
{
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < a->n; i++) {
        const struct message *m = &a->messages[i];
        if (!is_queued(m))
            continue;
        out->n++;
        if (m->kind != MESSAGE_REVERSAL)
            out->amount += (uint64_t)m->amount.minor;
        if (out->oldest_wall_ms == 0 || m->wall_ms < out->oldest_wall_ms)
            out->oldest_wall_ms = m->wall_ms;
    }
}
