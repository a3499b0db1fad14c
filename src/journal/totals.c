/* SPDX-License-Identifier: Apache-2.0 */
#include "totals.h"

#include <string.h>

#include <doorpay/cbor.h>

#include "base/reader.h"

#define MTI_AUTHORISATION 1100

/* In the order of the format's array. */
static const uint16_t places[] = {
    offsetof(struct dp_totals, intents),         offsetof(struct dp_totals, online_n),
    offsetof(struct dp_totals, online_amount),   offsetof(struct dp_totals, offline_n),
    offsetof(struct dp_totals, offline_amount),  offsetof(struct dp_totals, deferred_n),
    offsetof(struct dp_totals, deferred_amount), offsetof(struct dp_totals, declined_n),
    offsetof(struct dp_totals, reversed_n),      offsetof(struct dp_totals, reversed_amount),
    offsetof(struct dp_totals, void_n),          offsetof(struct dp_totals, void_amount),
    offsetof(struct dp_totals, forwarded_n),     offsetof(struct dp_totals, forwarded_amount),
};

#define PLACES (sizeof places / sizeof places[0])

bool totals_concern(enum dp_record_type type)
{
    return type == DP_RECORD_INTENT || type == DP_RECORD_OUTCOME || type == DP_RECORD_REVERSAL ||
           type == DP_RECORD_VOID || type == DP_RECORD_FORWARDED;
}

static void count(uint64_t *n, uint64_t *amount, const struct dp_record *r)
{
    *n += 1;
    if (r->has_amount)
        *amount += (uint64_t)r->amount.minor;
}

/* An 1100 that was answered may be captured; what captures it, and counts, is its 1220. */
static bool is_forwarded(const struct dp_record *r)
{
    return r->result == 1 && r->mti != MTI_AUTHORISATION;
}

static void count_outcome(struct dp_totals *t, const struct dp_record *r)
{
    if (r->mode == DP_MODE_ONLINE)
        count(&t->online_n, &t->online_amount, r);
    else if (r->mode == DP_MODE_OFFLINE)
        count(&t->offline_n, &t->offline_amount, r);
    else if (r->mode == DP_MODE_DEFERRED)
        count(&t->deferred_n, &t->deferred_amount, r);
    else if (r->mode == DP_MODE_DECLINED)
        t->declined_n++;
}

void totals_add(struct dp_totals *t, const struct dp_record *r)
{
    if (r->type == DP_RECORD_INTENT)
        t->intents++;
    else if (r->type == DP_RECORD_OUTCOME)
        count_outcome(t, r);
    else if (r->type == DP_RECORD_REVERSAL)
        count(&t->reversed_n, &t->reversed_amount, r);
    else if (r->type == DP_RECORD_VOID)
        count(&t->void_n, &t->void_amount, r);
    else if (r->type == DP_RECORD_FORWARDED && is_forwarded(r))
        count(&t->forwarded_n, &t->forwarded_amount, r);
}

bool totals_equal(const struct dp_totals *a, const struct dp_totals *b)
{
    _Static_assert(sizeof *a == PLACES * sizeof(uint64_t), "no padding, nothing forgotten");
    return memcmp(a, b, sizeof *a) == 0;
}

void totals_write(struct dp_writer *w, const struct dp_totals *t)
{
    dp_cbor_write_array(w, PLACES);
    for (size_t i = 0; i < PLACES; i++) {
        uint64_t v;
        memcpy(&v, (const uint8_t *)t + places[i], sizeof v);
        dp_cbor_write_uint(w, v);
    }
}

void totals_read(struct dp_reader *r, struct dp_totals *t)
{
    if (dp_cbor_read_array(r) != PLACES)
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
    for (size_t i = 0; i < PLACES; i++) {
        uint64_t v = dp_cbor_read_uint(r);
        memcpy((uint8_t *)t + places[i], &v, sizeof v);
    }
}
