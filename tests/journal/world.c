/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <doorpay/cbor.h>
#include <doorpay/cose.h>

#include "base/assert.h"
#include "base/reader.h"
#include "base/writer.h"
#include "journal/writer.h"

static int64_t now_ms(void *ctx)
{
    return *(const int64_t *)ctx;
}

static enum dp_clock_quality quality(void *ctx)
{
    (void)ctx;
    return DP_CLOCK_SYNCED;
}

static void shell(const struct world *w, const char *what)
{
    char command[512];
    snprintf(command, sizeof command, "cd %s && %s", w->dir, what);
    DP_ASSERT(system(command) == 0);
}

void world_make_on(struct world *w, const char *uri, struct dp_hsm *hsm)
{
    static struct dp_clock clock;
    /* the token's flushes are not what is tested here: in memory where there is such a place */
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    memset(w, 0, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "%s/dp-journal-XXXXXX", tmp);
    DP_ASSERT(mkdtemp(w->dir) != NULL);
    if (hsm == NULL) {
        snprintf(w->uri, sizeof w->uri, "soft:%s/token", w->dir);
        DP_ASSERT(dp_hsm_provision(w->uri) == DP_OK);
        DP_ASSERT(dp_hsm_open(w->uri, &w->hsm) == DP_OK);
    } else {
        snprintf(w->uri, sizeof w->uri, "%s", uri);
        w->hsm = hsm;
    }
    memstore_init(&w->mem);
    w->now = 1790000000000;
    clock = (struct dp_clock){&w->now, now_ms, now_ms, quality};
    w->config.store = memstore_store(&w->mem);
    w->config.clock = &clock;
    w->config.random = dp_random_system();
    w->config.reserve_bytes = 65536;
    w->segment_bytes = 8192;
}

void world_make(struct world *w)
{
    world_make_on(w, NULL, NULL);
}

void world_remove(struct world *w)
{
    dp_journal_free(&w->j);
    dp_hsm_free(&w->hsm);
    memstore_free(&w->mem);
    shell(w, "rm -rf \"$PWD\"");
}

static void count(void *user, const struct dp_record *r)
{
    struct world *w = user;
    DP_ASSERT(r->seq == w->seen);
    w->seen++;
    w->told++;
}

/* The owner's state: how many records it was told of. */
static size_t state_bytes(void *user)
{
    (void)user;
    return sizeof(uint32_t);
}

static int state_save(void *user, uint8_t *out, size_t max, size_t *n)
{
    const struct world *w = user;
    struct dp_writer writer;
    dp_writer_init(&writer, out, max);
    dp_write_u32(&writer, (uint32_t)w->j->tree.size);
    *n = writer.n;
    return writer.err;
}

static int state_restore(void *user, const uint8_t *p, size_t n)
{
    struct world *w = user;
    struct dp_reader r;
    uint32_t seen;
    dp_reader_init(&r, p, n);
    seen = dp_read_u32(&r);
    if (dp_reader_finish(&r) != DP_OK || w->refuse_state)
        return DP_ERR_UNSUPPORTED;
    w->seen = seen;
    return DP_OK;
}

static const struct dp_journal_state_ops state_ops = {state_bytes, state_save, state_restore};

int world_look_through(struct world *w)
{
    bool more = true;
    int err = DP_OK;
    while (err == DP_OK && more)
        err = dp_journal_recheck(w->j, &more);
    if (err == DP_ERR_TAMPERED)
        dp_journal_free(&w->j);
    return err;
}

int world_open(struct world *w)
{
    int err;
    w->config.hsm = w->hsm;
    w->config.state = w->no_snapshots ? NULL : &state_ops;
    w->seen = w->told = 0;
    err = journal_open_sized(&w->config, w->segment_bytes, count, w, &w->opened, &w->j);
    return err != DP_OK || w->leave_unread ? err : world_look_through(w);
}

void world_kill(struct world *w)
{
    w->mem.dead = true;
    dp_journal_free(&w->j);
    dp_hsm_free(&w->hsm);
    memstore_restart(&w->mem);
    DP_ASSERT(dp_hsm_open(w->uri, &w->hsm) == DP_OK);
}

void world_close(struct world *w)
{
    dp_journal_free(&w->j);
}

void world_script(struct world *w, const char *script)
{
    char path[128];
    DP_ASSERT(w->j == NULL);
    dp_hsm_free(&w->hsm);
    snprintf(w->uri, sizeof w->uri, "soft:%s/token", w->dir);
    if (script != NULL) {
        FILE *f;
        snprintf(path, sizeof path, "%s/script", w->dir);
        f = fopen(path, "we");
        DP_ASSERT(f != NULL && fputs(script, f) >= 0 && fclose(f) == 0);
        snprintf(w->uri, sizeof w->uri, "sim:dir=%s/token?script=%s", w->dir, path);
    }
    DP_ASSERT(dp_hsm_open(w->uri, &w->hsm) == DP_OK);
}

void world_token_keep(struct world *w)
{
    shell(w, "rm -rf kept && cp -a token kept");
}

void world_token_restore(struct world *w)
{
    dp_hsm_free(&w->hsm);
    shell(w, "rm -rf token && cp -a kept token");
    DP_ASSERT(dp_hsm_open(w->uri, &w->hsm) == DP_OK);
}

/* ---- records ---- */

void record_of(struct dp_record *r, enum dp_record_type type, uint32_t payment)
{
    memset(r, 0, sizeof *r);
    r->type = type;
    r->has_tx = r->has_amount = true;
    memcpy(r->tx, &payment, sizeof payment);
    r->tx[15] = 1;
    r->amount = (struct dp_money){100 + payment, 978, 2};
    memcpy(r->tid, "T0000001", 9);
    memcpy(r->parcel, "RR123456785DE", 14);
}

static uint32_t stan_of(uint32_t payment, uint32_t which)
{
    return payment * 2 % 900000 + which;
}

static int intent(struct dp_journal *j, uint32_t payment)
{
    struct dp_record r;
    int err;
    record_of(&r, DP_RECORD_INTENT, payment);
    snprintf(r.service_id, sizeof r.service_id, "%010u", payment);
    err = dp_journal_append(j, &r);
    return err == DP_OK ? dp_journal_flush(j) : err;
}

static int requested(struct dp_journal *j, uint32_t payment)
{
    struct dp_record r;
    int err;
    record_of(&r, DP_RECORD_REQUESTED, payment);
    r.mode = DP_MODE_ONLINE;
    r.stan = stan_of(payment, 1);
    r.mti = 1200;
    err = dp_journal_append(j, &r);
    return err == DP_OK ? dp_journal_flush(j) : err;
}

static int outcome(struct dp_journal *j, uint32_t payment, enum dp_mode mode, uint32_t stan)
{
    static const uint8_t blob[] = "sealed card data";
    struct dp_record r;
    int err = DP_OK;
    record_of(&r, DP_RECORD_OUTCOME, payment);
    r.mode = mode;
    r.stan = stan;
    if (mode == DP_MODE_ONLINE)
        memcpy(r.auth_code, "A1B2C3", 7);
    if (mode == DP_MODE_OFFLINE) {
        err = dp_side_put(j, r.tx, DP_SIDE_PAN, (struct dp_bytes){blob, sizeof blob},
                          r.pan_commitment);
        r.has_pan_commitment = true;
    }
    if (err == DP_OK)
        err = dp_journal_append(j, &r);
    return err == DP_OK ? dp_journal_checkpoint(j) : err;
}

int pay_online(struct dp_journal *j, uint32_t payment)
{
    int err = intent(j, payment);
    if (err == DP_OK)
        err = requested(j, payment);
    return err == DP_OK ? outcome(j, payment, DP_MODE_ONLINE, stan_of(payment, 1)) : err;
}

int pay_offline(struct dp_journal *j, uint32_t payment)
{
    int err = intent(j, payment);
    return err == DP_OK ? outcome(j, payment, DP_MODE_OFFLINE, stan_of(payment, 1)) : err;
}

int pay_declined(struct dp_journal *j, uint32_t payment)
{
    int err = intent(j, payment);
    return err == DP_OK ? outcome(j, payment, DP_MODE_DECLINED, 0) : err;
}

int pay_no_answer(struct dp_journal *j, uint32_t payment)
{
    struct dp_record r;
    int err = intent(j, payment);
    if (err == DP_OK)
        err = requested(j, payment);
    record_of(&r, DP_RECORD_REVERSAL, payment);
    r.stan = stan_of(payment, 2);
    r.has_original = true;
    r.original.mti = 1200;
    r.original.stan = stan_of(payment, 1);
    if (err == DP_OK)
        err = dp_journal_append(j, &r);
    return err == DP_OK ? outcome(j, payment, DP_MODE_DECLINED, 0) : err;
}

/* ---- the collector ---- */

void collector_point(struct world *w, uint8_t point[65])
{
    DP_ASSERT(dp_hsm_public(w->hsm, DP_KEY_TLS_CLIENT, point) == DP_OK);
}

void collector_head(struct world *w, struct ack *a)
{
    struct dp_verify_result v;
    verify_mem(w, false, &v);
    DP_ASSERT(v.signed_head.size > 0);
    memset(a, 0, sizeof *a);
    memcpy(a->journal, v.journal, sizeof a->journal);
    a->size = v.signed_head.size;
    memcpy(a->root, v.signed_head.root, sizeof a->root);
    memcpy(a->anchor, v.signed_head.anchor, sizeof a->anchor);
    a->wall_ms = (uint64_t)w->now;
    memcpy(a->server, "collector-1", 12);
}

static int sign_as_collector(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    return dp_hsm_sign(ctx, DP_KEY_TLS_CLIENT, digest, signature);
}

size_t collector_sign(struct world *w, const struct ack *a, uint8_t out[512])
{
    static const uint8_t aad[] = "doorpay acknowledgement 1";
    uint8_t payload[256], point[65], kid[DP_COSE_KID_BYTES];
    struct dp_writer p;
    size_t n;
    dp_writer_init(&p, payload, sizeof payload);
    dp_cbor_write_map(&p, 7);
    dp_cbor_write_uint(&p, 1);
    dp_cbor_write_uint(&p, 1);
    dp_cbor_write_uint(&p, 2);
    dp_cbor_write_bytes(&p, a->journal, sizeof a->journal);
    dp_cbor_write_uint(&p, 3);
    dp_cbor_write_uint(&p, a->size);
    dp_cbor_write_uint(&p, 4);
    dp_cbor_write_bytes(&p, a->root, sizeof a->root);
    dp_cbor_write_uint(&p, 5);
    dp_cbor_write_bytes(&p, a->anchor, sizeof a->anchor);
    dp_cbor_write_uint(&p, 6);
    dp_cbor_write_uint(&p, a->wall_ms);
    dp_cbor_write_uint(&p, 7);
    dp_cbor_write_text(&p, a->server, strlen(a->server));
    collector_point(w, point);
    DP_ASSERT(dp_cose_key_id(point, kid) == DP_OK);
    DP_ASSERT(p.err == DP_OK);
    DP_ASSERT(dp_cose_sign1(sign_as_collector, w->hsm, kid, (struct dp_bytes){aad, sizeof aad - 1},
                            (struct dp_bytes){payload, p.n}, out, 512, &n) == DP_OK);
    return n;
}

int collector_acknowledges(struct world *w, const struct ack *a)
{
    uint8_t cose[512], point[65];
    struct dp_record r;
    char error[160];
    size_t n = collector_sign(w, a, cose);
    int err;
    collector_point(w, point);
    err = dp_journal_acknowledge(w->j, cose, n, point, &r, error, sizeof error);
    return err == DP_OK ? dp_journal_checkpoint(w->j) : err;
}

void verify_mem(struct world *w, bool anchor, struct dp_verify_result *v)
{
    struct dp_verify_options o;
    struct dp_store store = memstore_store(&w->mem);
    memset(&o, 0, sizeof o);
    o.has_anchor = anchor;
    DP_ASSERT(!anchor || dp_hsm_anchor_read(w->hsm, o.anchor) == DP_OK);
    DP_ASSERT(dp_journal_verify(&store, &o, NULL, NULL, v) == DP_OK);
}
