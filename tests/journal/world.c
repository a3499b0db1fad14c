/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
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
}

int world_open(struct world *w)
{
    w->config.hsm = w->hsm;
    w->seen = 0;
    return journal_open_sized(&w->config, w->segment_bytes, count, w, &w->opened, &w->j);
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

void verify_mem(struct world *w, bool anchor, struct dp_verify_result *v)
{
    struct dp_verify_options o;
    struct dp_store store = memstore_store(&w->mem);
    memset(&o, 0, sizeof o);
    o.has_anchor = anchor;
    DP_ASSERT(!anchor || dp_hsm_anchor_read(w->hsm, o.anchor) == DP_OK);
    DP_ASSERT(dp_journal_verify(&store, &o, NULL, NULL, v) == DP_OK);
}
