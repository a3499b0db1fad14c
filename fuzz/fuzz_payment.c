/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The acquirer, or whoever stands in its place, against the payment. The input is a story: each
 * byte a step of sale, card and link, or an answer to what was sent last, altered as the bytes
 * behind it say (its MAC made right again by the key store's double, or left), or bytes of its own.
 * Whatever comes, each request is answered once, and nothing is approved online but by an answer
 * that nobody altered.
 */
#include <stdlib.h>
#include <string.h>

#include <psa/crypto.h>

#include <doorpay/iso8583.h>
#include <doorpay/payment.h>

#include "base/limits.h"
#include "base/reader.h"
#include "tests/journal/memstore.h"

#define STEPS_MAX 48
#define PAYS_MAX  8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* ---- the key store's double: keys that sign nothing; the digest's first bytes are the MAC ---- */

static uint8_t anchor[32];

void dp_hsm_get_caps(const struct dp_hsm *hsm, struct dp_hsm_caps *out)
{
    (void)hsm;
    memset(out, 0, sizeof *out);
    out->anchor = out->epoch = out->wrap = out->dukpt = out->ecdh = true;
}

int dp_hsm_public(struct dp_hsm *hsm, enum dp_hsm_key key, uint8_t out[65])
{
    (void)hsm;
    memset(out, (int)key, 65);
    out[0] = 4;
    return DP_OK;
}

int dp_hsm_sign(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t digest[32],
                uint8_t signature[64])
{
    (void)hsm;
    (void)key;
    memcpy(signature, digest, 32);
    memcpy(signature + 32, digest, 32);
    return DP_OK;
}

int dp_hsm_ecdh(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t peer[65], uint8_t shared[32])
{
    (void)hsm;
    (void)key;
    memcpy(shared, peer + 1, 32);
    return DP_OK;
}

int dp_hsm_epoch_new(struct dp_hsm *hsm, uint32_t *number)
{
    (void)hsm;
    *number = 1;
    return DP_OK;
}

int dp_hsm_epoch_destroy(struct dp_hsm *hsm)
{
    (void)hsm;
    return DP_OK;
}

int dp_hsm_anchor_read(struct dp_hsm *hsm, uint8_t value[32])
{
    (void)hsm;
    memcpy(value, anchor, sizeof anchor);
    return DP_OK;
}

int dp_hsm_anchor_extend(struct dp_hsm *hsm, const uint8_t digest[32], uint8_t value[32])
{
    uint8_t both[64];
    size_t n = 0;
    (void)hsm;
    memcpy(both, anchor, 32);
    memcpy(both + 32, digest, 32);
    must(psa_hash_compute(PSA_ALG_SHA_256, both, sizeof both, anchor, 32, &n) == PSA_SUCCESS);
    memcpy(value, anchor, 32);
    return DP_OK;
}

int dp_hsm_wrap_generation(struct dp_hsm *hsm, uint32_t *generation)
{
    (void)hsm;
    *generation = 1;
    return DP_OK;
}

int dp_hsm_wrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad, struct dp_bytes clear,
                uint8_t *out, size_t max, size_t *n)
{
    (void)hsm;
    (void)generation;
    (void)aad;
    if (clear.n + DP_HSM_WRAP_OVERHEAD > max)
        return DP_ERR_SPACE;
    memset(out, 0, clear.n + DP_HSM_WRAP_OVERHEAD);
    memcpy(out, clear.p, clear.n);
    *n = clear.n + DP_HSM_WRAP_OVERHEAD;
    return DP_OK;
}

int dp_hsm_unwrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad,
                  struct dp_bytes wrapped, uint8_t *out, size_t max, size_t *n)
{
    (void)hsm;
    (void)generation;
    (void)aad;
    if (wrapped.n < DP_HSM_WRAP_OVERHEAD || wrapped.n - DP_HSM_WRAP_OVERHEAD > max)
        return DP_ERR_SIGNATURE;
    *n = wrapped.n - DP_HSM_WRAP_OVERHEAD;
    memcpy(out, wrapped.p, *n);
    return DP_OK;
}

int dp_hsm_wrap_rotate(struct dp_hsm *hsm, uint32_t *generation)
{
    (void)hsm;
    *generation = 2;
    return DP_OK;
}

int dp_hsm_wrap_destroy(struct dp_hsm *hsm, uint32_t generation)
{
    (void)hsm;
    (void)generation;
    return DP_OK;
}

int dp_hsm_dukpt_next(struct dp_hsm *hsm, uint8_t ksn[DP_KSN_BYTES])
{
    (void)hsm;
    memset(ksn, 0x11, DP_KSN_BYTES);
    return DP_OK;
}

int dp_hsm_dukpt_mac(struct dp_hsm *hsm, const uint8_t ksn[DP_KSN_BYTES], bool answer,
                     const uint8_t digest[32], uint8_t mac[16])
{
    (void)hsm;
    (void)ksn;
    memcpy(mac, digest, 16);
    mac[0] ^= answer;
    return DP_OK;
}

/* ---- the parameters' doubles: any card, any parcel ---- */

bool dp_params_is_exception(const struct dp_params *params, const uint8_t card_hash[16])
{
    (void)params;
    (void)card_hash;
    return false;
}

bool dp_params_bin_permits(const struct dp_params *params, const char *bin, const uint8_t *aid,
                           size_t aid_n)
{
    (void)params;
    (void)bin;
    (void)aid;
    return aid_n > 0;
}

bool dp_params_parcel_known(const struct dp_params *params, const char *parcel)
{
    (void)params;
    (void)parcel;
    return true;
}

bool dp_params_agent_known(const struct dp_params *params, const char *agent)
{
    (void)params;
    (void)agent;
    return true;
}

uint32_t dp_params_business_date(const struct dp_params *params, int64_t wall_ms)
{
    (void)params;
    (void)wall_ms;
    return 20261124;
}

/* ---- the terminal ---- */

static struct {
    struct memstore mem;
    struct dp_params params;
    struct dp_payment *p;
    struct dp_card_order order;
    int64_t now;
    uint8_t sent[DP_ISO8583_MESSAGE_MAX];
    size_t sent_n;
    uint32_t sent_id, drawn;
    unsigned pays, answers[PAYS_MAX];
    bool ordered, honest, told_approved;
} self;

static int64_t now_ms(void *ctx)
{
    (void)ctx;
    return self.now;
}

static enum dp_clock_quality quality(void *ctx)
{
    (void)ctx;
    return DP_CLOCK_SYNCED;
}

static int draw(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    self.drawn++;
    memset(out, 0, n);
    memcpy(out, &self.drawn, n < sizeof self.drawn ? n : sizeof self.drawn);
    return DP_OK;
}

static const struct dp_clock test_clock = {NULL, now_ms, now_ms, quality};
static const struct dp_random test_random = {NULL, draw};

static int on_card_order(void *ctx, const struct dp_card_order *order)
{
    (void)ctx;
    self.order = *order;
    self.ordered = true;
    self.honest = false;
    return DP_OK;
}

static int on_card_policy(void *ctx, const struct dp_emv_policy_answer *answer)
{
    (void)ctx;
    (void)answer;
    return DP_OK;
}

static int on_card_online(void *ctx, const struct dp_emv_online_answer *answer)
{
    (void)ctx;
    self.told_approved = answer->online && answer->approved;
    must(!self.told_approved || self.honest);
    return DP_OK;
}

static int on_card_cancel(void *ctx)
{
    (void)ctx;
    return DP_OK;
}

static void on_card_end(void *ctx)
{
    (void)ctx;
}

static int on_link_send(void *ctx, uint32_t id, const uint8_t *p, size_t n)
{
    (void)ctx;
    memcpy(self.sent, p, n);
    self.sent_n = n;
    self.sent_id = id;
    return DP_OK;
}

static void on_result(void *ctx, uint64_t request, const struct dp_pay_result *r)
{
    (void)ctx;
    must(request < PAYS_MAX);
    must(++self.answers[request] == 1);
    must(r->mode != DP_MODE_ONLINE || r->state != DP_PAY_APPROVED || self.told_approved);
}

static void on_settled(void *ctx, uint64_t request, const struct dp_settle_result *result)
{
    (void)ctx;
    (void)request;
    (void)result;
}

static void on_event(void *ctx, const struct dp_pay_event *event)
{
    (void)ctx;
    (void)event;
}

static void quiet(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

static void set_params(struct dp_params *p)
{
    memset(p, 0, sizeof *p);
    p->version = 1;
    p->valid_to = INT64_MAX / 2;
    memcpy(p->terminal.tid, "T0000001", 9);
    memcpy(p->terminal.mid, "MERCHANT0000001", 16);
    memcpy(p->terminal.acquirer_id, "999999", 7);
    p->terminal.currency = 978;
    p->terminal.exponent = 2;
    p->offline.payment_max = p->offline.card_amount_max = 100000;
    p->offline.round_amount_max = p->deferred.round_amount_max = 1000000;
    p->offline.round_count_max = p->offline.card_count_max = p->deferred.round_count_max = 100;
    p->offline.since_sync_max_s = 86400;
    p->deferred.allowed = true;
    p->deferred.payment_max = 100000;
    p->deferred.expiry_s = 86400;
    p->acquirer.message = DP_MESSAGE_SINGLE;
    p->acquirer.card_data = DP_CARD_DATA_SEALED;
    p->acquirer.mac_len = 8;
    p->acquirer.online_timeout_ms = 5000;
    p->acquirer.retry_first_ms = p->acquirer.retry_max_ms = 1000;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    dp_log_set(quiet, NULL, DP_LOG_ERROR);
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
}

static void begin(void)
{
    struct dp_payment_config c;
    memset(&self, 0, sizeof self);
    memset(anchor, 0, sizeof anchor);
    memset(&c, 0, sizeof c);
    self.now = INT64_C(1795550000000);
    memstore_init(&self.mem);
    set_params(&self.params);
    c.store = memstore_store(&self.mem);
    c.hsm = (struct dp_hsm *)&self; /* only handed on to the doubles */
    c.params = &self.params;
    c.clock = &test_clock;
    c.random = &test_random;
    c.ops = (struct dp_payment_ops){NULL,           on_card_order, on_card_policy, on_card_online,
                                    on_card_cancel, on_card_end,   on_link_send,   NULL,
                                    on_result,      on_settled,    on_event};
    must(dp_payment_open(&c, &self.p) == DP_OK);
}

/* ---- steps ---- */

static void pay(uint8_t which)
{
    struct dp_pay_request q;
    if (self.pays == PAYS_MAX)
        return;
    memset(&q, 0, sizeof q);
    memcpy(q.sale_id, "round", 6);
    q.service_id[0] = (char)('A' + which % 4);
    q.sale_tx[0] = q.service_id[0];
    q.amount = (struct dp_money){100 + which % 4, 978, 2};
    dp_payment_pay(self.p, self.pays++, &q);
}

static size_t emv_data(uint8_t cid, uint8_t *emv)
{
    static const uint8_t like[] = {0x9F, 0x02, 6,    0, 0,    0,    0,    1,    0, 0x5F, 0x2A, 2,
                                   9,    0x78, 0x9A, 3, 0x26, 0x11, 0x24, 0x9C, 1, 0,    0x9F, 0x37,
                                   4,    0,    0,    0, 0,    0x9F, 0x26, 8,    1, 2,    3,    4,
                                   5,    6,    7,    8, 0x9F, 0x36, 2,    0,    1, 0x9F, 0x27, 1,
                                   0,    0x95, 5,    0, 0,    0,    0,    0};
    memcpy(emv, like, sizeof like);
    emv[8] = (uint8_t)(self.order.transaction.amount.minor % 10);
    memcpy(emv + 25, self.order.transaction.unpredictable_number, 4);
    memcpy(emv + 36, &self.drawn, 4);
    emv[44] = (uint8_t)self.drawn;
    emv[48] = cid;
    return sizeof like;
}

static void summary(struct dp_emv_summary *s, const uint8_t *emv)
{
    memset(s, 0, sizeof *s);
    s->interface = DP_INTERFACE_CONTACT;
    s->aid_n = 7;
    memcpy(s->bin, "999901", 7);
    memcpy(s->last4, "0018", 5);
    s->authentication = DP_EMV_AUTH_CDA;
    s->authentication_result = DP_EMV_AUTH_PASSED;
    if (emv != NULL) {
        memcpy(s->cryptogram, emv + 32, 8);
        s->atc = (uint16_t)(emv[43] << 8 | emv[44]);
    }
}

static void card_step(uint8_t what)
{
    struct dp_card_seen seen;
    struct dp_card_online online;
    struct dp_card_outcome o;
    uint8_t emv[512];
    size_t n = emv_data(what == 1 ? 0x80 : what % 5 == 3 ? 0x80 : 0x40, emv);
    if (!self.ordered)
        return;
    if (what == 0) {
        memset(&seen, 0, sizeof seen);
        summary(&seen.summary, NULL);
        dp_payment_card_seen(self.p, &seen);
    } else if (what == 1) {
        memset(&online, 0, sizeof online);
        summary(&online.summary, emv);
        memcpy(online.emv, emv, n);
        online.emv_n = (uint16_t)n;
        online.sealed.pan_n = 100;
        dp_payment_card_wants_online(self.p, &online);
    } else {
        static const enum dp_emv_outcome outcomes[] = {DP_EMV_DECLINED, DP_EMV_REVERSE,
                                                       DP_EMV_APPROVED_OFFLINE, DP_EMV_DEFERRED,
                                                       DP_EMV_APPROVED_ONLINE};
        memset(&o, 0, sizeof o);
        o.outcome = outcomes[what % 5];
        summary(&o.summary, emv);
        memcpy(o.emv, emv, n);
        o.emv_n = (uint16_t)n;
        o.sealed.pan_n = 100;
        dp_payment_card_ended(self.p, &o);
    }
}

static void make_mac_right(uint8_t *p, size_t n)
{
    uint8_t digest[32], mac[16];
    size_t hash_n = 0;
    if (n < 8)
        return;
    must(psa_hash_compute(PSA_ALG_SHA_256, p, n - 8, digest, sizeof digest, &hash_n) ==
         PSA_SUCCESS);
    must(dp_hsm_dukpt_mac(NULL, NULL, true, digest, mac) == DP_OK);
    memcpy(p + n - 8, mac, 8);
}

static size_t reply(unsigned action, uint8_t *out)
{
    static const int echoed[] = {3, 4, 7, 11, 12, 37, 41, 42, 49, 53};
    static struct dp_iso8583_message asked, m;
    struct dp_iso8583_error error;
    const struct dp_iso8583_layout *layout = dp_iso8583_profile("iso93-pos");
    size_t n = 0;
    if (self.sent_n == 0 ||
        dp_iso8583_unpack(layout, self.sent, self.sent_n, &asked, &error) != DP_OK)
        return 0;
    dp_iso8583_init(&m, asked.mti % 10 == 1 ? asked.mti + 9U : asked.mti + 10U);
    for (size_t i = 0; i < sizeof echoed / sizeof echoed[0]; i++) {
        struct dp_bytes b = dp_iso8583_get(&asked, echoed[i]);
        if (b.n > 0)
            dp_iso8583_set(&m, echoed[i], b.p, b.n);
    }
    dp_iso8583_set_number(&m, 39, action, 3);
    must(dp_iso8583_pack(layout, &m, 8, out, DP_ISO8583_MESSAGE_MAX, &n, NULL) == DP_OK);
    make_mac_right(out, n);
    return n;
}

/* An answer, and up to seven bytes of it altered: count and flag, then place and mask of each. */
static void answer(struct dp_reader *r)
{
    static const unsigned actions[] = {0, 400, 500, 800, 116, 190, 912, 501};
    uint8_t out[DP_ISO8583_MESSAGE_MAX];
    uint8_t how = dp_read_u8(r), alter = dp_read_u8(r);
    size_t n = reply(actions[how & 7], out);
    bool altered = false;
    if (n == 0)
        return;
    for (unsigned i = 0; i < (alter & 7U); i++) {
        size_t at = dp_read_u8(r) % n;
        uint8_t mask = dp_read_u8(r);
        out[at] ^= mask;
        altered = altered || mask != 0;
    }
    if ((alter & 8) != 0)
        n -= n > 16 ? 1 : 0; /* cut */
    /* what an attacker cannot do */
    if ((alter & 16) != 0)
        make_mac_right(out, n);
    self.honest = self.honest || !altered || (alter & 16) != 0;
    dp_payment_link_answer(self.p, out, n);
}

static void step(struct dp_reader *r)
{
    uint8_t what = dp_read_u8(r);
    switch (what & 15) {
    case 0:
    case 1:
        dp_payment_link_up(self.p, (what & 1) != 0);
        break;
    case 2:
        pay(what >> 4);
        break;
    case 3:
    case 4:
        card_step((what & 15) == 3 ? 0 : 1);
        break;
    case 5:
        card_step((uint8_t)(2 + (what >> 4) % 5));
        break;
    case 6:
        dp_payment_card_lost(self.p);
        break;
    case 7:
        self.now += what >> 4 == 15 ? 3600000 : 1000 * (1 + (what >> 4));
        (void)dp_payment_tick(self.p);
        break;
    case 8:
        dp_payment_link_failed(self.p, self.sent_id, (what & 16) != 0);
        break;
    case 9:
        dp_payment_settle(self.p, 1);
        break;
    case 10: {
        struct dp_bytes raw = dp_read_bytes(r, dp_read_u8(r));
        if (raw.n > 0)
            dp_payment_link_answer(self.p, raw.p, raw.n);
        break;
    }
    case 11:
        (void)dp_payment_abort(self.p, "round", (what & 16) != 0 ? "A" : "B");
        break;
    default:
        answer(r);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dp_reader r;
    begin();
    dp_reader_init(&r, data, size);
    for (unsigned i = 0; i < STEPS_MAX && r.err == DP_OK && r.left > 0; i++)
        step(&r);
    must(!dp_payment_stopped(self.p));
    dp_payment_card_lost(self.p); /* the payment at the door ends */
    for (unsigned i = 0; i < self.pays; i++)
        must(self.answers[i] == 1);
    dp_payment_free(&self.p);
    memstore_free(&self.mem);
    return 0;
}
