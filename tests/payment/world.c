/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <psa/crypto.h>

#include "base/hex.h"
#include "sim/dukpt.h"
#include "tests/params/notation.h"

#define START_MS   INT64_C(1795550000000) /* 24 November 2026, 19:53:20 UTC */
#define PENDING_MS 100

static const uint8_t initial_key[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const uint8_t initial_id[8] = {0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56};

/* The token's files lose no power here (the disk in memory does), and there are thousands of its
 * flushes: libc's own are not called. */
int fsync(int fd)
{
    return fd < 0 ? -1 : 0;
}

int fdatasync(int fd)
{
    return fd < 0 ? -1 : 0;
}

/* ---- what the machine is given ---- */

static int64_t now_ms(void *ctx)
{
    return ((const struct world *)ctx)->now;
}

static int64_t wall_ms(void *ctx)
{
    return now_ms(ctx) + ((const struct world *)ctx)->clock_wrong_ms;
}

static enum dp_clock_quality quality(void *ctx)
{
    (void)ctx;
    return DP_CLOCK_SYNCED;
}

static int draw(void *ctx, uint8_t *out, size_t n)
{
    const struct dp_random *system = dp_random_system();
    if (((const struct world *)ctx)->random_fails)
        return DP_ERR_RANDOM;
    return system->fill(system->ctx, out, n);
}

static int on_card_order(void *ctx, const struct dp_card_order *order)
{
    struct world *w = ctx;
    if (w->card_dead)
        return DP_ERR_GONE;
    w->order = *order;
    w->orders++;
    return DP_OK;
}

static int on_card_policy(void *ctx, const struct dp_emv_policy_answer *answer)
{
    struct world *w = ctx;
    w->policy = *answer;
    w->policies++;
    return w->card_dead ? DP_ERR_GONE : DP_OK;
}

static int on_card_online(void *ctx, const struct dp_emv_online_answer *answer)
{
    struct world *w = ctx;
    w->online = *answer;
    w->onlines++;
    return w->card_dead ? DP_ERR_GONE : DP_OK;
}

static int on_card_cancel(void *ctx)
{
    ((struct world *)ctx)->cancels++;
    return DP_OK;
}

static void on_card_end(void *ctx)
{
    ((struct world *)ctx)->ends++;
}

static int on_link_send(void *ctx, uint32_t id, const uint8_t *p, size_t n)
{
    struct world *w = ctx;
    assert_false(w->mem.dead); /* not one byte leaves when its record could not be written */
    if (w->link_dead)
        return DP_ERR_GONE;
    assert_int_equal(w->sent_n, 0); /* one message at a time */
    memcpy(w->sent, p, n);
    w->sent_n = n;
    w->sent_id = id;
    w->sends++;
    return DP_OK;
}

static void on_wire(void *ctx, bool out, const uint8_t *p, size_t n)
{
    struct world *w = ctx;
    (void)out;
    assert_true(n <= sizeof w->wire);
    memcpy(w->wire, p, n);
}

static void on_result(void *ctx, uint64_t request, const struct dp_pay_result *result)
{
    struct world *w = ctx;
    assert_true(w->results_n < WORLD_RESULTS);
    w->results[w->results_n].request = request;
    w->results[w->results_n++].result = *result;
}

static void on_settled(void *ctx, uint64_t request, const struct dp_settle_result *result)
{
    struct world *w = ctx;
    (void)request;
    w->settled = *result;
    w->settlements++;
}

static void on_event(void *ctx, const struct dp_pay_event *event)
{
    (void)ctx;
    (void)event;
}

/* ---- the terminal ---- */

void world_open(struct world *w)
{
    struct dp_payment_config c;
    memset(&c, 0, sizeof c);
    c.store = memstore_store(&w->mem);
    c.hsm = w->hsm;
    c.params = w->params;
    c.clock = &w->clock;
    c.random = &w->random;
    c.reserve_bytes = 65536;
    c.ops = (struct dp_payment_ops){
        w,           on_card_order, on_card_policy, on_card_online, on_card_cancel,
        on_card_end, on_link_send,  on_wire,        on_result,      on_settled,
        on_event};
    w->sent_n = 0;
    assert_int_equal(dp_payment_open(&c, &w->p), DP_OK);
    dp_payment_card_ready(w->p, true);
}

static void take_params(struct world *w)
{
    uint8_t set[8192];
    char error[160] = "";
    size_t n = notation_sign(notation_set, set, sizeof set);
    if (dp_params_decode(set, n, notation_back_office(), &w->params, error, sizeof error) < 0)
        fail_msg("%s", error);
    w->params->acquirer.message = DP_MESSAGE_SINGLE;
}

static void fresh_card(struct world *w)
{
    static const uint8_t aid[] = {0xA0, 0, 0, 9, 0x99, 1, 1};
    (void)snprintf(w->last4, sizeof w->last4, "0018");
    (void)snprintf(w->bin8, sizeof w->bin8, "99990100");
    memcpy(w->aid, aid, sizeof w->aid);
    memset(w->card_hash, 0xC1, sizeof w->card_hash);
    w->atc = 0x0010;
    w->authentication = DP_EMV_AUTH_CDA;
    w->authentication_result = DP_EMV_AUTH_PASSED;
}

void world_token(struct world *w)
{
    const char *tmp = getenv("TMPDIR");
    memset(w, 0, sizeof *w);
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    (void)snprintf(w->dir, sizeof w->dir, "%s/dp-payment-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->uri, sizeof w->uri, "soft:%s/token", w->dir);
    assert_int_equal(dp_hsm_provision(w->uri), DP_OK);
    assert_int_equal(dp_hsm_open(w->uri, &w->hsm), DP_OK);
    assert_int_equal(dp_hsm_dukpt_load(w->hsm, initial_key, initial_id), DP_OK);
    fresh_card(w);
}

void world_make(struct world *w)
{
    world_token(w);
    memstore_init(&w->mem);
    w->now = START_MS;
    w->clock = (struct dp_clock){w, wall_ms, now_ms, quality};
    w->random = (struct dp_random){w, draw};
    take_params(w);
    world_open(w);
}

void world_remove(struct world *w)
{
    char command[160];
    dp_payment_free(&w->p);
    dp_params_free(&w->params);
    dp_hsm_free(&w->hsm);
    memstore_free(&w->mem);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
    assert_int_equal(system(command), 0);
}

static void end_process(struct world *w)
{
    w->mem.dead = true;
    dp_payment_free(&w->p);
    dp_hsm_free(&w->hsm);
    assert_int_equal(dp_hsm_open(w->uri, &w->hsm), DP_OK);
}

void world_kill(struct world *w)
{
    end_process(w);
    memstore_restart(&w->mem);
    world_open(w);
}

void world_kill_token(struct world *w, const char *script)
{
    (void)snprintf(w->uri, sizeof w->uri, "soft:%s/token", w->dir);
    if (script != NULL) {
        char path[128];
        FILE *f;
        (void)snprintf(path, sizeof path, "%s/script", w->dir);
        f = fopen(path, "we");
        assert_true(f != NULL && fputs(script, f) >= 0 && fclose(f) == 0);
        (void)snprintf(w->uri, sizeof w->uri, "sim:dir=%s/token?script=%s", w->dir, path);
    }
    world_kill(w);
}

void world_power_on(struct world *w, uint64_t seed)
{
    end_process(w);
    memstore_power_on(&w->mem, seed);
    world_open(w);
}

/* ---- the sale ---- */

struct dp_pay_request world_request(const char *service, int64_t cents)
{
    struct dp_pay_request q;
    memset(&q, 0, sizeof q);
    (void)snprintf(q.sale_id, sizeof q.sale_id, "round-7");
    (void)snprintf(q.service_id, sizeof q.service_id, "%s", service);
    (void)snprintf(q.poi_id, sizeof q.poi_id, "poi");
    (void)snprintf(q.sale_tx, sizeof q.sale_tx, "sale-%s", service);
    (void)snprintf(q.parcel, sizeof q.parcel, "6A1");
    (void)snprintf(q.agent, sizeof q.agent, "a17");
    q.amount = (struct dp_money){cents, 978, 2};
    memset(q.fingerprint, (int)(cents % 251), sizeof q.fingerprint);
    memcpy(q.fingerprint, service, strnlen(service, sizeof q.fingerprint));
    return q;
}

void world_pay(struct world *w, uint64_t request, const char *service, int64_t cents)
{
    struct dp_pay_request q = world_request(service, cents);
    dp_payment_pay(w->p, request, &q);
}

struct dp_pay_result world_status(struct world *w, const char *service)
{
    static uint64_t request = 1000000;
    struct dp_status_query q;
    unsigned before = w->results_n;
    struct dp_pay_result r;
    memset(&q, 0, sizeof q);
    (void)snprintf(q.sale_id, sizeof q.sale_id, "round-7");
    (void)snprintf(q.service_id, sizeof q.service_id, "%s", service);
    dp_payment_status(w->p, ++request, &q);
    assert_int_equal(w->results_n, before + 1);
    r = w->results[--w->results_n].result;
    return r;
}

void world_reverse(struct world *w, uint64_t request, const char *service, const uint8_t tx[16])
{
    struct dp_reverse_request q;
    memset(&q, 0, sizeof q);
    (void)snprintf(q.sale_id, sizeof q.sale_id, "round-7");
    (void)snprintf(q.service_id, sizeof q.service_id, "%s", service);
    memcpy(q.original_tx, tx, sizeof q.original_tx);
    memset(q.fingerprint, 0x5E, sizeof q.fingerprint);
    dp_payment_reverse(w->p, request, &q);
}

unsigned world_answers(const struct world *w, uint64_t request)
{
    unsigned n = 0;
    for (unsigned i = 0; i < w->results_n; i++)
        n += w->results[i].request == request;
    return n;
}

const struct dp_pay_result *world_result(const struct world *w, uint64_t request)
{
    assert_int_equal(world_answers(w, request), 1);
    for (unsigned i = 0; i < w->results_n; i++)
        if (w->results[i].request == request)
            return &w->results[i].result;
    return NULL;
}

/* ---- the card process ---- */

static void put(uint8_t *emv, uint16_t *n, const char *tag, const void *value, size_t value_n)
{
    size_t tag_n = 0;
    assert_int_equal(dp_hex_decode(tag, strlen(tag), emv + *n, 2, &tag_n), DP_OK);
    *n = (uint16_t)(*n + tag_n);
    emv[(*n)++] = (uint8_t)value_n;
    memcpy(emv + *n, value, value_n);
    *n = (uint16_t)(*n + value_n);
}

static void bcd(int64_t v, uint8_t *out, size_t n)
{
    while (n-- > 0) {
        out[n] = (uint8_t)(v % 10 | (v / 10 % 10) << 4);
        v /= 100;
    }
}

static void cryptogram_of(const struct world *w, uint8_t out[8])
{
    memcpy(out, w->card_hash, 8);
    out[6] = (uint8_t)(w->atc >> 8);
    out[7] = (uint8_t)w->atc;
}

static uint16_t emv_data(const struct world *w, uint8_t cid, uint8_t emv[512])
{
    const struct dp_emv_transaction *t = &w->order.transaction;
    uint8_t amount[6], date[3], un[4], cryptogram[8], currency[2] = {0x09, 0x78};
    uint8_t atc[2] = {(uint8_t)(w->atc >> 8), (uint8_t)w->atc};
    uint16_t n = 0;
    bcd(w->emv_amount != 0 ? w->emv_amount : t->amount.minor, amount, sizeof amount);
    bcd(t->local.year % 100 * 10000 + t->local.month * 100 + t->local.day, date, sizeof date);
    memcpy(un, t->unpredictable_number, sizeof un);
    un[3] ^= w->emv_un_flip;
    cryptogram_of(w, cryptogram);
    if (w->emv_cid != 0)
        cid = w->emv_cid;
    put(emv, &n, "9F02", amount, sizeof amount);
    put(emv, &n, "5F2A", currency, sizeof currency);
    put(emv, &n, "9A", date, sizeof date);
    put(emv, &n, "9C", &t->type, 1);
    put(emv, &n, "9F37", un, sizeof un);
    put(emv, &n, "9F26", cryptogram, sizeof cryptogram);
    put(emv, &n, "9F36", atc, sizeof atc);
    put(emv, &n, "9F27", &cid, 1);
    put(emv, &n, "95", w->emv_tvr, sizeof w->emv_tvr);
    if (w->emv_forbidden)
        put(emv, &n, "5A", "\x99\x99\x01\x00\x00\x00\x00\x18", 8);
    return n;
}

static void summary(const struct world *w, struct dp_emv_summary *s)
{
    memset(s, 0, sizeof *s);
    s->interface = w->kernel == 0 ? DP_INTERFACE_CONTACT : DP_INTERFACE_CONTACTLESS;
    s->kernel = w->kernel;
    memcpy(s->aid, w->aid, sizeof w->aid);
    s->aid_n = sizeof w->aid;
    memcpy(s->bin, w->bin8, sizeof s->bin - 1);
    memcpy(s->last4, w->last4, sizeof s->last4);
    s->authentication = w->authentication;
    s->authentication_result = w->authentication_result;
    s->cvm = w->cvm;
}

static void with_cryptogram(const struct world *w, struct dp_emv_summary *s)
{
    s->atc = w->atc;
    cryptogram_of(w, s->cryptogram);
}

void world_say_seen(const struct world *w, struct dp_card_seen *seen)
{
    memset(seen, 0, sizeof *seen);
    summary(w, &seen->summary);
    if (w->kernel == 3)
        with_cryptogram(w, &seen->summary);
    memcpy(seen->bin8, w->bin8, sizeof seen->bin8);
    memcpy(seen->card_hash, w->card_hash, sizeof seen->card_hash);
}

void world_seen(struct world *w)
{
    struct dp_card_seen seen;
    world_say_seen(w, &seen);
    dp_payment_card_seen(w->p, &seen);
}

static void sealed(struct dp_card_sealed *s, bool track2)
{
    memset(s->pan, 0x51, 100);
    s->pan_n = 100;
    memset(s->track2, 0x52, 90);
    s->track2_n = track2 ? 90 : 0;
}

void world_say_online(const struct world *w, struct dp_card_online *online)
{
    memset(online, 0, sizeof *online);
    summary(w, &online->summary);
    with_cryptogram(w, &online->summary);
    online->emv_n = emv_data(w, 0x80, online->emv);
    sealed(&online->sealed, true);
}

void world_wants_online(struct world *w)
{
    struct dp_card_online online;
    world_say_online(w, &online);
    dp_payment_card_wants_online(w->p, &online);
}

void world_say_ended(const struct world *w, enum dp_emv_outcome outcome, enum dp_emv_reason reason,
                     struct dp_card_outcome *o)
{
    memset(o, 0, sizeof *o);
    o->outcome = outcome;
    o->reason = reason;
    summary(w, &o->summary);
    with_cryptogram(w, &o->summary);
    memcpy(o->card_hash, w->card_hash, sizeof o->card_hash);
    o->emv_n = emv_data(w, outcome == DP_EMV_DEFERRED ? 0x80 : 0x40, o->emv);
    if (outcome == DP_EMV_APPROVED_OFFLINE || outcome == DP_EMV_DEFERRED)
        sealed(&o->sealed, outcome == DP_EMV_DEFERRED);
    (void)snprintf(o->words, sizeof o->words, "as the test says");
}

void world_ended(struct world *w, enum dp_emv_outcome outcome, enum dp_emv_reason reason)
{
    struct dp_card_outcome o;
    world_say_ended(w, outcome, reason, &o);
    dp_payment_card_ended(w->p, &o);
    w->atc++;
}

void world_tap_offline(struct world *w)
{
    world_seen(w);
    world_ended(w, DP_EMV_APPROVED_OFFLINE, DP_EMV_REASON_NONE);
}

void world_tap_deferred(struct world *w)
{
    world_seen(w);
    world_ended(w, DP_EMV_DEFERRED, DP_EMV_REASON_NONE);
}

/* ---- the acquirer ---- */

static void decode(const uint8_t *p, size_t n, struct dp_iso8583_message *m)
{
    struct dp_iso8583_error error = {0};
    if (dp_iso8583_unpack(dp_iso8583_profile("iso93-pos"), p, n, m, &error) < 0)
        fail_msg("%s", error.words);
}

static void mac_of(const struct dp_iso8583_message *m, enum sim_dukpt_usage usage, const uint8_t *p,
                   size_t n, uint8_t mac[16])
{
    struct dp_bytes ksn = dp_iso8583_get(m, 53);
    uint8_t key[16];
    assert_int_equal(ksn.n, SIM_DUKPT_KSN);
    assert_int_equal(sim_dukpt_working_key(initial_key, ksn.p, usage, key), DP_OK);
    assert_int_equal(sim_cmac_of_digest(key, p, n - 8, mac), DP_OK);
}

unsigned world_mti(struct world *w)
{
    static struct dp_iso8583_message m;
    if (w->sent_n == 0)
        return 0;
    decode(w->sent, w->sent_n, &m);
    return m.mti;
}

size_t world_answer_bytes(struct world *w, unsigned action, uint8_t *out)
{
    static const int echoed[] = {3, 4, 7, 11, 12, 37, 41, 42, 49, 53};
    static struct dp_iso8583_message asked, m;
    uint8_t mac[16];
    size_t n = 0;
    decode(w->sent, w->sent_n, &asked);
    mac_of(&asked, SIM_DUKPT_MAC_GENERATE, w->sent, w->sent_n, mac);
    assert_memory_equal(w->sent + w->sent_n - 8, mac, 8);
    dp_iso8583_init(&m, asked.mti % 10 == 1 ? asked.mti + 9U : asked.mti + 10U);
    for (size_t i = 0; i < sizeof echoed / sizeof echoed[0]; i++) {
        struct dp_bytes b = dp_iso8583_get(&asked, echoed[i]);
        if (b.n > 0)
            dp_iso8583_set(&m, echoed[i], b.p, b.n);
    }
    if (action == 0 && asked.mti / 10 == 120)
        dp_iso8583_set(&m, 38, "A1B2C3", 6);
    dp_iso8583_set_number(&m, 39, action, 3);
    assert_int_equal(dp_iso8583_pack(dp_iso8583_profile("iso93-pos"), &m, 8, out,
                                     DP_ISO8583_MESSAGE_MAX, &n, NULL),
                     DP_OK);
    mac_of(&m, SIM_DUKPT_MAC_VERIFY, out, n, mac);
    memcpy(out + n - 8, mac, 8);
    return n;
}

bool world_answer(struct world *w, unsigned action)
{
    uint8_t answer[DP_ISO8583_MESSAGE_MAX];
    size_t n;
    if (w->sent_n == 0)
        return false;
    n = world_answer_bytes(w, action, answer);
    w->sent_n = 0;
    dp_payment_link_answer(w->p, answer, n);
    return true;
}

void world_forward_all(struct world *w, unsigned action)
{
    for (int i = 0; i < 100; i++) {
        unsigned mti;
        (void)dp_payment_tick(w->p);
        mti = world_mti(w);
        if (mti == 0 && i > 50)
            return;
        if (mti == 0)
            w->now += 60000;
        else
            assert_true(world_answer(w, mti / 100 == 18   ? 800
                                        : mti / 100 == 14 ? 400
                                        : mti / 100 == 15 ? 500
                                                          : action));
    }
}

/* ---- the auditor ---- */

struct reading {
    struct books *b;
    struct {
        uint8_t tx[16];
        uint32_t stan;
        unsigned closings;
        bool requested;
    } messages[256];
    unsigned messages_n;
    struct {
        uint8_t tx[16];
        bool done;
    } payments[256];
    unsigned payments_n;
};

static void note(struct reading *x, const uint8_t tx[16], uint32_t stan, bool requested)
{
    unsigned i = 0;
    while (i < x->messages_n &&
           (x->messages[i].stan != stan || memcmp(x->messages[i].tx, tx, 16) != 0))
        i++;
    if (i == x->messages_n) {
        if (!requested)
            return; /* closes an advice, or a reversal: not what is counted here */
        assert_true(i < 256);
        memcpy(x->messages[i].tx, tx, 16);
        x->messages[i].stan = stan;
        x->messages_n++;
    }
    if (requested) {
        assert_false(x->messages[i].requested); /* a STAN of a payment is requested once */
        x->messages[i].requested = true;
    } else {
        x->messages[i].closings++;
    }
}

static void done(struct reading *x, const uint8_t tx[16])
{
    for (unsigned i = 0; i < x->payments_n; i++)
        if (memcmp(x->payments[i].tx, tx, 16) == 0) {
            assert_false(x->payments[i].done); /* one OUTCOME */
            x->payments[i].done = true;
            return;
        }
    fail_msg("OUTCOME without INTENT");
}

static void read_outcome(struct reading *x, const struct dp_record *r)
{
    x->b->outcomes++;
    x->b->last_outcome = *r;
    x->b->track2_wanted |= r->has_track_commitment;
    done(x, r->tx);
    if (r->stan != 0 && r->mode != DP_MODE_OFFLINE)
        note(x, r->tx, r->stan, false);
    if (r->mode != DP_MODE_DECLINED)
        x->b->approved_amount += r->amount.minor;
}

static void read_record(void *user, const struct dp_record *r)
{
    struct reading *x = user;
    struct books *b = x->b;
    b->records++;
    switch (r->type) {
    case DP_RECORD_INTENT:
        b->intents++;
        assert_true(x->payments_n < 256);
        memcpy(x->payments[x->payments_n++].tx, r->tx, 16);
        break;
    case DP_RECORD_REQUESTED:
        b->requested++;
        b->last_requested = *r;
        note(x, r->tx, r->stan, true);
        break;
    case DP_RECORD_OUTCOME:
        read_outcome(x, r);
        break;
    case DP_RECORD_REVERSAL:
        b->reversals++;
        b->last_reversal = *r;
        if (r->service_id[0] == '\0') /* the sale's own come after the message was closed */
            note(x, r->original_tx, r->original.stan, false);
        break;
    case DP_RECORD_VOID:
        b->voids++;
        b->last_void = *r;
        break;
    case DP_RECORD_FORWARDED:
        b->forwarded++;
        b->last_forwarded = *r;
        if (b->track2_wanted && (r->stan == 0 || r->mti == 1100 || r->mti == 1200)) {
            b->track2_wanted = false;
            b->track2_left = true;
        }
        if (r->mti != 1220) /* a completion bears the STAN of a request that is closed */
            note(x, r->tx, r->stan, false);
        break;
    case DP_RECORD_SETTLED:
        b->settled++;
        b->round_over |= strcmp(r->action_code, "500") == 0;
        break;
    case DP_RECORD_SHRED:
        b->shreds++;
        b->survivors = r->shred.survivors;
        b->track2_left = false;
        break;
    case DP_RECORD_KEY_ROTATE:
        b->rotated++;
        b->round_over = false;
        break;
    default:
        break;
    }
}

void world_books(struct world *w, struct books *b)
{
    static struct reading x;
    struct dp_store store = memstore_store(&w->mem);
    struct dp_verify_options options;
    struct dp_verify_result v;
    memset(b, 0, sizeof *b);
    memset(&x, 0, sizeof x);
    memset(&options, 0, sizeof options);
    x.b = b;
    options.has_anchor = true;
    assert_int_equal(dp_hsm_anchor_read(w->hsm, options.anchor), DP_OK);
    assert_int_equal(dp_journal_verify(&store, &options, read_record, &x, &v), DP_OK);
    /* in the middle of a payment the last records are not bound yet, and that is all */
    if (v.verdict != DP_VERDICT_FRESH && (v.verdict != DP_VERDICT_UNKNOWN || v.rule != NULL))
        fail_msg("journal: %s: %s", v.rule != NULL ? v.rule : "no rule", v.words);
    b->fresh = v.verdict == DP_VERDICT_FRESH;
    for (unsigned i = 0; i < x.messages_n; i++) {
        b->open += x.messages[i].closings == 0;
        b->closed_more += x.messages[i].closings > 1;
    }
    for (unsigned i = 0; i < x.payments_n; i++)
        b->intents_open += !x.payments[i].done;
}
