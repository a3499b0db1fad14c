/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/acquirer/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <psa/crypto.h>

struct world_hsm world_hsm;

/* ---- the key store's double ---- */

static const uint8_t id[8] = {0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56};

int dp_hsm_dukpt_next(struct dp_hsm *hsm, uint8_t ksn[DP_KSN_BYTES])
{
    if (world_hsm.next_err < 0)
        return world_hsm.next_err;
    world_hsm.next++;
    memcpy(ksn, id, 8);
    for (int i = 0; i < 4; i++)
        ksn[8 + i] = (uint8_t)(world_hsm.next >> (24 - 8 * i));
    return DP_OK;
}

/* A MAC that depends on each of its inputs; a KSN of another key is not known. */
int dp_hsm_dukpt_mac(struct dp_hsm *hsm, const uint8_t ksn[DP_KSN_BYTES], bool answer,
                     const uint8_t digest[32], uint8_t mac[16])
{
    uint8_t in[12 + 1 + 32], out[32];
    size_t n = 0;
    world_hsm.macs++;
    if (world_hsm.mac_err < 0)
        return world_hsm.mac_err;
    if (memcmp(ksn, id, 8) != 0)
        return DP_ERR_NOT_FOUND;
    memcpy(in, ksn, 12);
    in[12] = answer;
    memcpy(in + 13, digest, 32);
    assert_int_equal(psa_hash_compute(PSA_ALG_SHA_256, in, sizeof in, out, sizeof out, &n), 0);
    memcpy(mac, out, 16);
    return DP_OK;
}

/* ---- the terminal ---- */

static int64_t wall_ms(void *ctx)
{
    return ((struct world *)ctx)->wall_ms;
}

static int64_t mono_ms(void *ctx)
{
    return ((struct world *)ctx)->wall_ms;
}

static enum dp_clock_quality quality(void *ctx)
{
    return DP_CLOCK_SYNCED;
}

static int fill(void *ctx, uint8_t *out, size_t n)
{
    const struct world *w = ctx;
    if (w->random_fails)
        return DP_ERR_RANDOM;
    assert_int_equal(n, sizeof w->drawn);
    memcpy(out, &w->drawn, n);
    return DP_OK;
}

static struct dp_acquirer *make(const struct world *w)
{
    struct dp_acquirer_config c;
    struct dp_acquirer *a = NULL;
    memset(&c, 0, sizeof c);
    (void)snprintf(c.tid, sizeof c.tid, WORLD_TID);
    (void)snprintf(c.mid, sizeof c.mid, WORLD_MID);
    (void)snprintf(c.acquirer_id, sizeof c.acquirer_id, "12345678901");
    c.currency = 978;
    c.exponent = 2;
    c.utc_offset_min = 60;
    c.mac_len = w->mac_len;
    c.dual = w->dual;
    c.clear_card = w->clear;
    c.online_timeout_ms = 20000;
    c.retry_first_ms = 30000;
    c.retry_max_ms = 600000;
    c.repeat_max = w->repeat_max;
    memset(c.journal, 0x4A, sizeof c.journal);
    c.hsm = (struct dp_hsm *)(uintptr_t)w; /* only handed on to the doubles */
    c.clock = &w->clock;
    c.random = &w->random;
    assert_int_equal(dp_acquirer_new(&c, &a), DP_OK);
    return a;
}

void world_begin(struct world *w)
{
    assert_int_equal(psa_crypto_init(), 0);
    w->clock = (struct dp_clock){w, wall_ms, mono_ms, quality};
    w->random = (struct dp_random){w, fill};
    w->wall_ms = INT64_C(1795550000000); /* 24 November 2026, 19:53:20 UTC */
    w->mac_len = w->mac_len == 0 ? 8 : w->mac_len;
    memset(&world_hsm, 0, sizeof world_hsm);
    w->a = make(w);
}

void world_end(struct world *w)
{
    dp_acquirer_free(&w->a);
    free(w->history);
    memset(w, 0, sizeof *w);
}

struct dp_acquirer *world_rebuild(const struct world *w)
{
    struct dp_acquirer *a = make(w);
    for (size_t i = 0; i < w->history_n; i++)
        dp_acquirer_see(a, &w->history[i]);
    return a;
}

void world_see(struct world *w, struct dp_record *r)
{
    r->wall_ms = (uint64_t)w->wall_ms;
    if (w->history_n == w->history_max) {
        w->history_max = w->history_max == 0 ? 64 : 2 * w->history_max;
        w->history = realloc(w->history, w->history_max * sizeof *w->history);
        assert_non_null(w->history);
    }
    w->history[w->history_n++] = *r;
    dp_acquirer_see(w->a, r);
}

void world_tx(unsigned number, uint8_t tx[16])
{
    uint32_t spread = (number + 1) * 2654435761U;
    memset(tx, 0xA0, 16);
    memcpy(tx, &spread, sizeof spread);
    memcpy(tx + 12, &number, sizeof number);
}

void world_record(struct world *w, enum dp_record_type type, unsigned number, int64_t amount,
                  struct dp_record *r)
{
    struct dp_acquirer_batch batch;
    memset(r, 0, sizeof *r);
    r->type = type;
    world_tx(number, r->tx);
    r->has_tx = true;
    r->amount = (struct dp_money){amount, 978, 2};
    r->has_amount = true;
    (void)snprintf(r->tid, sizeof r->tid, WORLD_TID);
    (void)snprintf(r->mid, sizeof r->mid, WORLD_MID);
    (void)snprintf(r->parcel, sizeof r->parcel, "JJD%08u", number);
    r->business_date = 20261124;
    dp_acquirer_batch(w->a, &batch);
    r->batch = batch.batch;
}

const struct dp_acquirer_card *world_card(void)
{
    static const uint8_t emv[] = {0x95, 5, 0, 0, 0, 0x80, 0, 0x9F, 0x26, 8, 1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t pan_blob[100] = {1, 0xEE}, track2_blob[90] = {1, 0xDD};
    static const uint8_t track2[] = {0x99, 0x99, 0x01, 0x00, 0x00, 0x00, 0x00, 0x17,
                                     0xD2, 0x81, 0x22, 0x01, 0x00, 0x00, 0x09, 0x9F};
    static const struct dp_acquirer_card card = {
        .emv = {emv, sizeof emv},
        .sealed_pan = {pan_blob, sizeof pan_blob},
        .sealed_track2 = {track2_blob, sizeof track2_blob},
        .pan = "9999010000000017",
        .expiry = "2812",
        .has_sequence = true,
        .sequence = 1,
        .track2 = {track2, sizeof track2},
        .contactless = true,
        .cvm = 1,
    };
    return &card;
}

static void pack(struct world *w, const struct dp_record *r, const struct dp_acquirer_card *card,
                 uint32_t repeat)
{
    assert_int_equal(
        dp_acquirer_pack(w->a, r, card, repeat, w->sent, sizeof w->sent, &w->sent_n, w->masked),
        DP_OK);
}

uint32_t world_online(struct world *w, unsigned number, int64_t amount)
{
    struct dp_record r;
    world_record(w, DP_RECORD_REQUESTED, number, amount, &r);
    r.mode = DP_MODE_ONLINE;
    assert_int_equal(dp_acquirer_fill_online(w->a, &r), DP_OK);
    world_see(w, &r);
    pack(w, &r, world_card(), 0);
    return r.stan;
}

static void set_card(struct dp_record *r)
{
    const struct dp_acquirer_card *card = world_card();
    memcpy(r->emv, card->emv.p, card->emv.n);
    r->emv_n = (uint16_t)card->emv.n;
    r->interface = 2;
    r->cvm = 1;
}

uint32_t world_offline(struct world *w, unsigned number, int64_t amount)
{
    struct dp_record r;
    world_record(w, DP_RECORD_OUTCOME, number, amount, &r);
    r.mode = DP_MODE_OFFLINE;
    set_card(&r);
    assert_int_equal(dp_acquirer_fill_advice(w->a, &r), DP_OK);
    world_see(w, &r);
    return r.stan;
}

void world_deferred(struct world *w, unsigned number, int64_t amount)
{
    struct dp_record r;
    world_record(w, DP_RECORD_OUTCOME, number, amount, &r);
    r.mode = DP_MODE_DEFERRED;
    r.deferred_until = (uint64_t)w->wall_ms + 86400000;
    set_card(&r);
    world_see(w, &r);
}

void world_outcome(struct world *w, unsigned number, int64_t amount, uint32_t stan, bool approved)
{
    struct dp_record r;
    world_record(w, DP_RECORD_OUTCOME, number, amount, &r);
    r.mode = approved ? DP_MODE_ONLINE : DP_MODE_DECLINED;
    r.stan = stan;
    set_card(&r);
    (void)snprintf(r.action_code, sizeof r.action_code, approved ? "000" : "100");
    if (approved)
        (void)snprintf(r.auth_code, sizeof r.auth_code, "A12345");
    world_see(w, &r);
}

uint32_t world_reverse(struct world *w, unsigned number, uint32_t stan, uint32_t msg_reason)
{
    struct dp_record r;
    uint8_t tx[16];
    world_tx(number, tx);
    world_record(w, DP_RECORD_REVERSAL, number, 1, &r);
    assert_int_equal(dp_acquirer_fill_reversal(w->a, tx, stan, msg_reason, &r), DP_OK);
    world_see(w, &r);
    return r.stan;
}

enum dp_acquirer_job_kind world_forward(struct world *w, int64_t now, struct dp_acquirer_job *job)
{
    int64_t wait = -1;
    dp_acquirer_next(w->a, now, job, &wait);
    if (job->kind == DP_ACQUIRER_JOB_NONE)
        return job->kind;
    if (job->kind == DP_ACQUIRER_JOB_DEFERRED) {
        job->record.type = DP_RECORD_REQUESTED;
        assert_int_equal(dp_acquirer_fill_online(w->a, &job->record), DP_OK);
        world_see(w, &job->record);
    }
    pack(w, &job->record, job->kind == DP_ACQUIRER_JOB_REVERSAL ? NULL : world_card(), job->repeat);
    dp_acquirer_sent(w->a, job, now);
    return job->kind;
}

enum dp_acquirer_kind world_answer(struct world *w, const uint8_t *p, size_t n,
                                   struct dp_acquirer_answer *answer)
{
    struct dp_record r;
    size_t masked_n = 0;
    assert_int_equal(dp_acquirer_take(w->a, p, n, answer, w->masked, &masked_n), DP_OK);
    if (answer->kind == DP_ACQUIRER_NO_ANSWER)
        assert_non_null(answer->why);
    if (answer->kind != DP_ACQUIRER_ADVICE && answer->kind != DP_ACQUIRER_DEFERRED &&
        answer->kind != DP_ACQUIRER_REVERSAL)
        return answer->kind;
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_FORWARDED;
    assert_int_equal(dp_acquirer_forwarded(w->a, answer, &r), DP_OK);
    world_see(w, &r);
    return answer->kind;
}

/* ---- the host ---- */

void world_decode(const uint8_t *p, size_t n, struct dp_iso8583_message *m)
{
    struct dp_iso8583_error error = {0};
    if (dp_iso8583_unpack(dp_iso8583_profile("iso93-pos"), p, n, m, &error) < 0)
        fail_msg("%s", error.words);
}

static void echo(const struct dp_iso8583_message *from, struct dp_iso8583_message *to, int de)
{
    struct dp_bytes b = dp_iso8583_get(from, de);
    if (b.n > 0)
        dp_iso8583_set(to, de, b.p, b.n);
}

void host_answer(const uint8_t *request, size_t n, unsigned action, struct dp_iso8583_message *m)
{
    static const int echoed[] = {3, 4, 7, 11, 12, 37, 41, 42, 49, 53};
    static struct dp_iso8583_message asked;
    world_decode(request, n, &asked);
    dp_iso8583_init(m, asked.mti + (asked.mti % 10 == 1 ? 9U : 10U)); /* 1221: 1230 */
    for (size_t i = 0; i < sizeof echoed / sizeof echoed[0]; i++)
        echo(&asked, m, echoed[i]);
    dp_iso8583_set_number(m, 39, action, 3);
}

size_t host_seal(const struct world *w, const struct dp_iso8583_message *m, uint8_t *out)
{
    struct dp_bytes ksn = dp_iso8583_get(m, 53);
    uint8_t digest[32], mac[16];
    size_t n = 0, hash_n = 0;
    int err = world_hsm.mac_err;
    assert_int_equal(dp_iso8583_pack(dp_iso8583_profile("iso93-pos"), m, w->mac_len, out,
                                     DP_ISO8583_MESSAGE_MAX, &n, NULL),
                     DP_OK);
    if (ksn.n != DP_KSN_BYTES)
        return n;
    assert_int_equal(
        psa_hash_compute(PSA_ALG_SHA_256, out, n - w->mac_len, digest, sizeof digest, &hash_n), 0);
    world_hsm.mac_err = 0;
    assert_int_equal(dp_hsm_dukpt_mac(NULL, ksn.p, true, digest, mac), DP_OK);
    world_hsm.mac_err = err;
    memcpy(out + n - w->mac_len, mac, w->mac_len);
    return n;
}

size_t host_reply(const struct world *w, const uint8_t *request, size_t n, unsigned action,
                  uint8_t *out)
{
    static struct dp_iso8583_message m;
    host_answer(request, n, action, &m);
    return host_seal(w, &m, out);
}
