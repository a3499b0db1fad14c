/* SPDX-License-Identifier: Apache-2.0 */
/* Totals of the open batch, and network messages. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/writer.h"
#include "state.h"

void dp_acquirer_batch(const struct dp_acquirer *a, struct dp_acquirer_batch *out)
{
    *out = a->batch;
}

static bool is_anything_open(const struct dp_acquirer *a)
{
    for (uint32_t i = 0; i < a->n; i++)
        if (is_queued(&a->messages[i]) || a->messages[i].state == STATE_OPEN)
            return true;
    return false;
}

static bool is_config(const struct dp_acquirer *a, const char *tid, const char *mid,
                      uint16_t currency)
{
    return strcmp(tid, a->config.tid) == 0 && strcmp(mid, a->config.mid) == 0 &&
           currency == a->config.currency;
}

bool dp_acquirer_is_anothers(const struct dp_acquirer *a)
{
    const struct owner *o = &a->batch_owner;
    if (o->currency != 0 && !is_config(a, o->tid, o->mid, o->currency))
        return true;
    for (uint32_t i = 0; i < a->n; i++) {
        const struct message *m = &a->messages[i];
        if ((is_queued(m) || m->state == STATE_OPEN) &&
            !is_config(a, m->tid, m->mid, m->amount.currency))
            return true;
    }
    return false;
}

/* DE74 to 77, 86 to 89: there are no credits; DE97 says who owes. */
static void set_totals(struct dp_iso8583_message *m, const struct dp_acquirer_batch *b)
{
    bool credited = b->sales_amount > b->reversals_amount;
    uint64_t net =
        credited ? b->sales_amount - b->reversals_amount : b->reversals_amount - b->sales_amount;
    char text[18];
    int n = snprintf(text, sizeof text, "%c%016llu", credited ? 'C' : 'D', (unsigned long long)net);
    DP_ASSERT(n == 17);
    dp_iso8583_set_number(m, 74, 0, 10);
    dp_iso8583_set_number(m, 75, 0, 10);
    dp_iso8583_set_number(m, 76, b->sales_n, 10);
    dp_iso8583_set_number(m, 77, b->reversals_n, 10);
    dp_iso8583_set_number(m, 86, 0, 16);
    dp_iso8583_set_number(m, 87, 0, 16);
    dp_iso8583_set_number(m, 88, b->sales_amount, 16);
    dp_iso8583_set_number(m, 89, b->reversals_amount, 16);
    dp_iso8583_set(m, 97, text, 17);
}

static void set_batch(const struct dp_acquirer *a, struct dp_iso8583_message *m)
{
    uint8_t out[32], batch[4];
    size_t n = 0;
    int err;
    struct dp_writer w;
    dp_writer_init(&w, batch, sizeof batch);
    dp_write_u32(&w, a->batch.batch);
    err = dp_iso8583_tag_add(out, sizeof out, &n, DP_DE48_BATCH, batch, sizeof batch);
    DP_ASSERT(err == DP_OK);
    err = dp_iso8583_tag_add(out, sizeof out, &n, DP_DE48_JOURNAL, a->config.journal, 16);
    DP_ASSERT(err == DP_OK);
    dp_iso8583_set(m, 48, out, n);
}

/* What 1520 and 1804 share. */
static void set_terminal(const struct owner *o, struct dp_iso8583_message *m, uint32_t stan,
                         const char *de7, const char *de12, uint32_t function)
{
    dp_iso8583_set_text(m, 7, de7);
    dp_iso8583_set_number(m, 11, stan, 6);
    dp_iso8583_set_text(m, 12, de12);
    dp_iso8583_set_number(m, 24, function, 3);
    dp_iso8583_set_text(m, 41, o->tid);
    dp_iso8583_set_text(m, 42, o->mid);
}

static struct owner config_owner(const struct dp_acquirer *a)
{
    struct owner o;
    memset(&o, 0, sizeof o);
    memcpy(o.tid, a->config.tid, sizeof o.tid);
    memcpy(o.mid, a->config.mid, sizeof o.mid);
    o.currency = a->config.currency;
    return o;
}

int dp_acquirer_pack_totals(struct dp_acquirer *a, struct dp_record *r, uint8_t *out, size_t max,
                            size_t *n)
{
    struct owner owner = a->batch_owner.currency != 0 ? a->batch_owner : config_owner(a);
    struct dp_iso8583_message m;
    int err;
    *n = 0;
    if (is_anything_open(a))
        return DP_ERR_STATE;
    memcpy(r->tid, owner.tid, sizeof r->tid);
    memcpy(r->mid, owner.mid, sizeof r->mid);
    number_message(a, &r->stan, r->rrn, r->de7, r->de12);
    r->mti = 1520;
    r->function = 500;
    r->batch = a->batch.batch;
    r->settled.count = a->batch.sales_n + a->batch.reversals_n;
    r->settled.amount = a->batch.sales_amount;
    dp_iso8583_init(&m, 1520);
    set_terminal(&owner, &m, r->stan, r->de7, r->de12, r->function);
    dp_iso8583_set_text(&m, 3, "000000");
    dp_iso8583_set_text(&m, 37, r->rrn);
    set_batch(a, &m);
    set_totals(&m, &a->batch);
    err = seal_message(a, &m, out, max, n, NULL);
    if (err < 0) {
        *n = 0;
        return err;
    }
    memset(&a->totals, 0, sizeof a->totals);
    a->totals.waiting = true;
    a->totals.mti = 1520;
    a->totals.stan = r->stan;
    memcpy(a->totals.tid, owner.tid, sizeof a->totals.tid);
    memcpy(a->totals.de12, r->de12, sizeof a->totals.de12);
    memcpy(a->totals.rrn, r->rrn, sizeof a->totals.rrn);
    return DP_OK;
}

int dp_acquirer_pack_network(struct dp_acquirer *a, uint32_t function, uint8_t *out, size_t max,
                             size_t *n)
{
    struct owner owner = config_owner(a);
    struct dp_iso8583_message m;
    struct asked q;
    char de7[11];
    int err;
    *n = 0;
    if (function != 801 && function != 831)
        return DP_ERR_ARG;
    memset(&q, 0, sizeof q);
    q.mti = 1804;
    number_message(a, &q.stan, NULL, de7, q.de12);
    dp_iso8583_init(&m, 1804);
    memcpy(q.tid, owner.tid, sizeof q.tid);
    set_terminal(&owner, &m, q.stan, de7, q.de12, function);
    err = seal_message(a, &m, out, max, n, NULL);
    if (err < 0) {
        *n = 0;
        return err;
    }
    q.waiting = true;
    a->network = q;
    return DP_OK;
}
