/* SPDX-License-Identifier: Apache-2.0 */
/* What a record must hold before its message may leave: numbers and times, kept for life. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "state.h"

#define AMOUNT_MAX INT64_C(999999999999)

static bool is_in_use(const struct dp_acquirer *a, uint32_t stan)
{
    for (uint32_t i = 0; i < a->n; i++)
        if (a->messages[i].stan == stan &&
            (a->messages[i].state == STATE_QUEUED || a->messages[i].state == STATE_OPEN))
            return true;
    return false;
}

static uint32_t next_stan(struct dp_acquirer *a)
{
    do
        a->stan = a->stan % STAN_MAX + 1;
    while (is_in_use(a, a->stan));
    return a->stan;
}

/* Days before the first of each month, in a year that is not a leap year. */
static unsigned day_of_year(const struct dp_date_time *t)
{
    static const uint16_t before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    bool leap = (t->year % 4 == 0 && t->year % 100 != 0) || t->year % 400 == 0;
    return before[t->month - 1] + t->day + (leap && t->month > 2 ? 1U : 0U);
}

void number_message(struct dp_acquirer *a, uint32_t *stan, char rrn[13], char de7[11],
                    char de12[13])
{
    const struct dp_clock *clock = a->config.clock;
    int64_t now = clock->wall_ms(clock->ctx);
    struct dp_date_time utc, local;
    int n;
    dp_date_time_from_ms(now, 0, &utc);
    dp_date_time_from_ms(now, a->config.utc_offset_min, &local);
    *stan = next_stan(a);
    n = snprintf(de7, 11, "%02u%02u%02u%02u%02u", utc.month % 100U, utc.day % 100U, utc.hour % 100U,
                 utc.minute % 100U, utc.second % 100U);
    DP_ASSERT(n == 10);
    n = snprintf(de12, 13, "%02u%02u%02u%02u%02u%02u", local.year % 100U, local.month % 100U,
                 local.day % 100U, local.hour % 100U, local.minute % 100U, local.second % 100U);
    DP_ASSERT(n == 12);
    if (rrn == NULL)
        return;
    n = snprintf(rrn, 13, "%u%03u%02u%06u", utc.year % 10U, day_of_year(&utc) % 1000U,
                 utc.hour % 100U, (unsigned)(*stan % 1000000U));
    DP_ASSERT(n == 12);
}

static void number_record(struct dp_acquirer *a, struct dp_record *r, uint32_t mti,
                          uint32_t function)
{
    number_message(a, &r->stan, r->rrn, r->de7, r->de12);
    r->mti = mti;
    r->function = function;
    a->fresh_stan = r->stan;
}

static int check_sale(const struct dp_acquirer *a, const struct dp_record *r)
{
    struct dp_acquirer_unsent unsent;
    if (!r->has_tx || !r->has_amount || strlen(r->tid) != 8)
        return DP_ERR_ARG;
    /* a deferred payment may be of parameters that have been replaced since */
    if (r->amount.minor <= 0 || r->amount.minor > AMOUNT_MAX ||
        (r->mode != DP_MODE_DEFERRED && r->amount.currency != a->config.currency))
        return DP_ERR_RANGE;
    dp_acquirer_unsent(a, &unsent);
    /* a deferred payment waits in the queue already; asking for it adds nothing */
    if (r->mode != DP_MODE_DEFERRED && unsent.n >= DP_ACQUIRER_QUEUE_MAX)
        return DP_ERR_LIMIT;
    return DP_OK;
}

int dp_acquirer_fill_online(struct dp_acquirer *a, struct dp_record *r)
{
    int err = check_sale(a, r);
    if (err < 0)
        return err;
    number_record(a, r, a->config.dual ? 1100 : 1200, a->config.dual ? 100 : 200);
    return DP_OK;
}

int dp_acquirer_fill_advice(struct dp_acquirer *a, struct dp_record *r)
{
    int err = check_sale(a, r);
    if (err < 0)
        return err;
    number_record(a, r, 1220, 201);
    r->msg_reason = 1004;
    return DP_OK;
}

int dp_acquirer_fill_reversal(struct dp_acquirer *a, const uint8_t tx[16], uint32_t stan,
                              uint32_t msg_reason, struct dp_record *r)
{
    const struct message *sale = stan == 0 ? NULL : find_sale(a, tx, stan);
    if (sale == NULL)
        return DP_ERR_NOT_FOUND;
    if (sale->reversed)
        return DP_ERR_DUPLICATE;
    if (sale->state == STATE_CLOSED ||
        (sale->state == STATE_QUEUED && !sale->may_have_left && sale->mode == DP_MODE_OFFLINE))
        return DP_ERR_NOT_FOUND;
    memcpy(r->tx, tx, sizeof r->tx);
    r->has_tx = true;
    memcpy(r->original_tx, tx, sizeof r->original_tx);
    r->has_original_tx = true;
    r->original.mti = sale->mti;
    r->original.stan = sale->stan;
    memcpy(r->original.de12, sale->de12, sizeof r->original.de12);
    memcpy(r->original.acquirer, a->config.acquirer_id, sizeof r->original.acquirer);
    r->has_original = true;
    r->amount = sale->amount;
    r->has_amount = true;
    memcpy(r->tid, sale->tid, sizeof r->tid);
    memcpy(r->mid, sale->mid, sizeof r->mid);
    memcpy(r->parcel, sale->parcel, sizeof r->parcel);
    number_record(a, r, 1420, 400);
    r->msg_reason = msg_reason;
    return DP_OK;
}
