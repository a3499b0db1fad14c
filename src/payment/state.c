/* SPDX-License-Identifier: Apache-2.0 */
/* What a snapshot of the journal keeps for this room: the index, the round, the clock, and the
 * acquirer's conversation; all that reading the journal again would give. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "machine.h"

#define VERSION 1
#define FIXED   256 /* bytes of all but entries and the acquirer's */

static size_t bytes_max(void *user)
{
    const struct dp_payment *p = user;
    return FIXED + (size_t)p->index.n * ENTRY_BYTES_MAX + p->index.older.used +
           (size_t)p->index.older.n * 4 +
           (p->acquirer != NULL ? dp_acquirer_state_bytes_max(p->acquirer) : 0);
}

static void save_older(const struct older *o, struct dp_writer *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < o->n; i++)
        n += o->keys[i].n > 0;
    dp_write_u32(w, n);
    for (uint32_t i = 0; i < o->n; i++)
        dp_write_bytes(w, o->bytes + o->keys[i].at, o->keys[i].n);
}

static int save(void *user, uint8_t *out, size_t max, size_t *n)
{
    const struct dp_payment *p = user;
    struct dp_writer w;
    size_t acquirer_n = 0;
    int err;
    if (p->acquirer == NULL)
        return DP_ERR_LIMIT; /* nothing that a start with parameters could use */
    dp_writer_init(&w, out, max);
    dp_write_u32(&w, VERSION);
    dp_write_bytes(&w, p->journal_id, sizeof p->journal_id);
    dp_write_u32(&w, p->round.number);
    dp_write_u64(&w, p->round.offline_n);
    dp_write_u64(&w, p->round.offline_amount);
    dp_write_u64(&w, p->round.deferred_n);
    dp_write_u64(&w, p->round.deferred_amount);
    dp_write_u64(&w, (uint64_t)p->round.synced_wall_ms);
    dp_write_u64(&w, (uint64_t)p->time.journal_wall_ms);
    dp_write_u32(&w, p->sequence);
    dp_write_u8(&w, p->round_over);
    dp_write_bytes(&w, p->params_digest, sizeof p->params_digest);
    dp_write_u32(&w, p->index.cursor);
    dp_write_u64(&w, p->index.order);
    dp_write_u32(&w, p->index.n);
    for (uint32_t i = 0; i < p->index.n; i++)
        entry_write(&w, &p->index.entries[i]);
    save_older(&p->index.older, &w);
    if (w.err != DP_OK)
        return w.err;
    err = dp_acquirer_save(p->acquirer, w.p + w.n, w.max - w.n, &acquirer_n);
    *n = w.n + acquirer_n;
    return err;
}

static void read_round(struct dp_reader *r, struct dp_payment *p)
{
    p->round.number = dp_read_u32(r);
    p->round.offline_n = dp_read_u64(r);
    p->round.offline_amount = dp_read_u64(r);
    p->round.deferred_n = dp_read_u64(r);
    p->round.deferred_amount = dp_read_u64(r);
    p->round.synced_wall_ms = (int64_t)dp_read_u64(r);
    p->time.journal_wall_ms = (int64_t)dp_read_u64(r);
    p->time.latest_wall_ms = p->time.journal_wall_ms;
    p->sequence = dp_read_u32(r);
    p->round_over = dp_read_u8(r) == 1;
    dp_read_copy(r, p->params_digest, sizeof p->params_digest);
}

static int read_index(struct dp_reader *r, struct index *x)
{
    struct entry e;
    uint32_t n;
    x->cursor = dp_read_u32(r);
    x->order = dp_read_u64(r);
    n = dp_read_u32(r);
    if (n > x->max)
        return DP_ERR_LIMIT;
    for (x->n = 0; x->n < n && r->err == DP_OK; x->n++)
        entry_read(r, &x->entries[x->n]);
    n = dp_read_u32(r);
    if (n > DP_PAYMENT_OLDER_MAX)
        return DP_ERR_LIMIT;
    for (uint32_t i = 0; i < n && r->err == DP_OK; i++) {
        entry_read(r, &e);
        if (r->err == DP_OK)
            older_put(&x->older, &e);
    }
    return r->err == DP_OK ? index_chain(x) : r->err;
}

/* As if nothing had been read. */
static void start_again(struct dp_payment *p)
{
    p->index.n = p->index.cursor = 0;
    p->index.order = 0;
    p->index.older.n = p->index.older.used = 0;
    memset(p->index.by_tx, 0xFF, sizeof p->index.by_tx); /* -1 */
    memset(p->index.by_service, 0xFF, sizeof p->index.by_service);
    memset(&p->round, 0, sizeof p->round);
    p->time.latest_wall_ms = p->time.journal_wall_ms = 0;
    p->sequence = 0;
    p->round_over = false;
    memset(p->params_digest, 0, sizeof p->params_digest);
    memset(p->journal_id, 0, sizeof p->journal_id);
    dp_acquirer_free(&p->acquirer);
}

static int read_state(struct dp_payment *p, const uint8_t *bytes, size_t n)
{
    struct dp_reader r;
    int err;
    dp_reader_init(&r, bytes, n);
    if (dp_read_u32(&r) != VERSION)
        return DP_ERR_UNSUPPORTED;
    dp_read_copy(&r, p->journal_id, sizeof p->journal_id);
    read_round(&r, p);
    err = read_index(&r, &p->index);
    if (err == DP_OK)
        err = payment_make_acquirer(p);
    return err == DP_OK ? dp_acquirer_restore(p->acquirer, r.p, r.left) : err;
}

static int restore(void *user, const uint8_t *bytes, size_t n)
{
    struct dp_payment *p = user;
    int err = p->config.params == NULL ? DP_ERR_UNSUPPORTED : read_state(p, bytes, n);
    if (err != DP_OK)
        start_again(p);
    return err;
}

const struct dp_journal_state_ops payment_state_ops = {bytes_max, save, restore};
