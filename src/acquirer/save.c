/* SPDX-License-Identifier: Apache-2.0 */
/* The table of messages as a snapshot of the journal keeps it: what the records said. What a
 * restart may forget is forgotten here too. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/reader.h"
#include "base/writer.h"
#include "state.h"

#define VERSION     1
#define FIXED       128
#define MESSAGE_MAX (DP_JOURNAL_EMV_MAX + 256)

/* Whoever adds a field writes and reads it here, or says why a restart may forget it. */
_Static_assert(sizeof(void *) != 8 || sizeof(struct message) == 792, "a field is not kept");

size_t dp_acquirer_state_bytes_max(const struct dp_acquirer *a)
{
    return FIXED + (size_t)a->n * MESSAGE_MAX;
}

static void write_message(struct dp_writer *w, const struct message *m)
{
    /* of what was answered no copy goes out any more */
    bool over = m->state == STATE_CLOSED || m->state == STATE_CAPTURED;
    dp_write_u8(w, m->kind);
    dp_write_u8(w, m->state);
    dp_write_u8(w, (uint8_t)(m->reversed | m->counted << 1));
    dp_write_bytes(w, m->tx, sizeof m->tx);
    dp_write_u32(w, m->stan);
    dp_write_u16(w, (uint16_t)m->mti);
    dp_write_u16(w, (uint16_t)m->function);
    dp_write_u16(w, (uint16_t)m->msg_reason);
    dp_write_u32(w, m->batch);
    dp_write_u32(w, m->business_date);
    dp_write_u8(w, (uint8_t)m->interface);
    dp_write_u8(w, (uint8_t)m->cvm);
    dp_write_u8(w, (uint8_t)m->mode);
    dp_write_text(w, m->tid);
    dp_write_text(w, m->mid);
    dp_write_text(w, m->rrn);
    dp_write_text(w, m->de7);
    dp_write_text(w, m->de12);
    dp_write_text(w, m->auth_code);
    dp_write_text(w, m->parcel);
    dp_write_u64(w, (uint64_t)m->amount.minor);
    dp_write_u16(w, m->amount.currency);
    dp_write_u8(w, m->amount.exponent);
    dp_write_u64(w, (uint64_t)m->wall_ms);
    dp_write_u64(w, m->deferred_until);
    dp_write_u64(w, m->order);
    dp_write_u16(w, m->original.mti);
    dp_write_u32(w, m->original.stan);
    dp_write_text(w, m->original.de12);
    dp_write_text(w, m->original.acquirer);
    dp_write_u16(w, over ? 0 : m->emv_n);
    dp_write_bytes(w, m->emv, over ? 0 : m->emv_n);
}

static void read_numbers(struct dp_reader *r, struct message *m)
{
    uint8_t flags;
    m->kind = dp_read_u8(r);
    m->state = dp_read_u8(r);
    flags = dp_read_u8(r);
    if (m->kind < MESSAGE_REQUEST || m->kind > MESSAGE_REVERSAL || m->state < STATE_QUEUED ||
        m->state > STATE_CLOSED || flags > 3)
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    m->reversed = (flags & 1) != 0;
    m->counted = (flags & 2) != 0;
    dp_read_copy(r, m->tx, sizeof m->tx);
    m->stan = dp_read_u32(r);
    m->mti = dp_read_u16(r);
    m->function = dp_read_u16(r);
    m->msg_reason = dp_read_u16(r);
    m->batch = dp_read_u32(r);
    m->business_date = dp_read_u32(r);
    m->interface = dp_read_u8(r);
    m->cvm = dp_read_u8(r);
    m->mode = (enum dp_mode)dp_read_u8(r);
}

static void read_message(struct dp_reader *r, struct message *m)
{
    memset(m, 0, sizeof *m);
    read_numbers(r, m);
    dp_read_text(r, m->tid, sizeof m->tid);
    dp_read_text(r, m->mid, sizeof m->mid);
    dp_read_text(r, m->rrn, sizeof m->rrn);
    dp_read_text(r, m->de7, sizeof m->de7);
    dp_read_text(r, m->de12, sizeof m->de12);
    dp_read_text(r, m->auth_code, sizeof m->auth_code);
    dp_read_text(r, m->parcel, sizeof m->parcel);
    m->amount.minor = (int64_t)dp_read_u64(r);
    m->amount.currency = dp_read_u16(r);
    m->amount.exponent = dp_read_u8(r);
    m->wall_ms = (int64_t)dp_read_u64(r);
    m->deferred_until = dp_read_u64(r);
    m->order = dp_read_u64(r);
    m->original.mti = dp_read_u16(r);
    m->original.stan = dp_read_u32(r);
    dp_read_text(r, m->original.de12, sizeof m->original.de12);
    dp_read_text(r, m->original.acquirer, sizeof m->original.acquirer);
    m->emv_n = dp_read_u16(r);
    if (m->emv_n > sizeof m->emv) {
        m->emv_n = 0;
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    }
    dp_read_copy(r, m->emv, m->emv_n);
    m->may_have_left = true; /* as add() says of a record that is read again */
    m->sends = 1;
}

int dp_acquirer_save(const struct dp_acquirer *a, uint8_t *out, size_t max, size_t *n)
{
    struct dp_writer w;
    dp_writer_init(&w, out, max);
    dp_write_u32(&w, VERSION);
    dp_write_u32(&w, a->stan);
    dp_write_u64(&w, a->order);
    dp_write_u32(&w, a->cursor);
    dp_write_u32(&w, a->batch.batch);
    dp_write_u64(&w, a->batch.sales_n);
    dp_write_u64(&w, a->batch.sales_amount);
    dp_write_u64(&w, a->batch.reversals_n);
    dp_write_u64(&w, a->batch.reversals_amount);
    dp_write_text(&w, a->batch_owner.tid);
    dp_write_text(&w, a->batch_owner.mid);
    dp_write_u16(&w, a->batch_owner.currency);
    dp_write_u32(&w, a->n);
    for (uint32_t i = 0; i < a->n; i++)
        write_message(&w, &a->messages[i]);
    *n = w.err == DP_OK ? w.n : 0;
    return w.err;
}

static int by_order(const void *a, const void *b)
{
    const struct message *x = *(const struct message *const *)a,
                         *y = *(const struct message *const *)b;
    return (x->order > y->order) - (x->order < y->order);
}

/* Newest first, as they came. */
static int chain(struct dp_acquirer *a)
{
    struct message **sorted = calloc(a->n + 1, sizeof *sorted);
    if (sorted == NULL)
        return DP_ERR_NOMEM;
    for (uint32_t i = 0; i < a->n; i++)
        sorted[i] = &a->messages[i];
    qsort(sorted, a->n, sizeof *sorted, by_order);
    for (uint32_t i = 0; i < a->n; i++)
        chain_message(a, (int32_t)(sorted[i] - a->messages));
    free(sorted);
    return DP_OK;
}

int dp_acquirer_restore(struct dp_acquirer *a, const uint8_t *p, size_t n)
{
    struct dp_reader r;
    uint32_t messages;
    DP_ASSERT(a->n == 0 && a->order == 0); /* it has seen nothing */
    dp_reader_init(&r, p, n);
    if (dp_read_u32(&r) != VERSION)
        return DP_ERR_UNSUPPORTED;
    a->stan = dp_read_u32(&r);
    a->order = dp_read_u64(&r);
    a->cursor = dp_read_u32(&r);
    a->batch.batch = dp_read_u32(&r);
    a->batch.sales_n = dp_read_u64(&r);
    a->batch.sales_amount = dp_read_u64(&r);
    a->batch.reversals_n = dp_read_u64(&r);
    a->batch.reversals_amount = dp_read_u64(&r);
    dp_read_text(&r, a->batch_owner.tid, sizeof a->batch_owner.tid);
    dp_read_text(&r, a->batch_owner.mid, sizeof a->batch_owner.mid);
    a->batch_owner.currency = dp_read_u16(&r);
    messages = dp_read_u32(&r);
    if (messages > DP_ACQUIRER_MESSAGES_MAX || a->stan > STAN_MAX)
        return DP_ERR_RANGE;
    for (a->n = 0; a->n < messages && r.err == DP_OK; a->n++)
        read_message(&r, &a->messages[a->n]);
    return dp_reader_finish(&r) == DP_OK ? chain(a) : dp_reader_finish(&r);
}
