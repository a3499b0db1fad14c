/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers from the acquirer. First byte: bit 0: the MAC is left as it came; else the key store's
 * double makes whatever stands before it right, so that what is behind the MAC is reached. Bit 1:
 * an answer already taken comes first. The terminal waits for one answer of each kind; the rest is
 * the message.
 */
#include <doorpay/acquirer.h>
#include <doorpay/iso8583.h>

#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define FORGED_STAYS 1
#define TWICE        2

/* ---- the key store's double: the first bytes of the digest are the MAC ---- */

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

static int64_t now_ms(void *ctx)
{
    (void)ctx;
    return INT64_C(1795550000000);
}

static int no_random(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    memset(out, 0, n);
    return DP_OK;
}

static const struct dp_clock test_clock = {NULL, now_ms, now_ms, NULL};
static const struct dp_random test_random = {NULL, no_random};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    DP_ASSERT(psa_crypto_init() == PSA_SUCCESS);
    return 0;
}

/* ---- a terminal that waits ---- */

static void record_of(uint8_t number, enum dp_record_type type, enum dp_mode mode,
                      struct dp_record *r)
{
    memset(r, 0, sizeof *r);
    r->type = type;
    r->mode = mode;
    memset(r->tx, number, sizeof r->tx);
    r->has_tx = true;
    r->amount = (struct dp_money){2350, 978, 2};
    r->has_amount = true;
    memcpy(r->tid, "T0000001", 9);
    memcpy(r->mid, "MERCHANT0000001", 16);
    r->batch = 1;
}

static void pack(struct dp_acquirer *a, const struct dp_record *r, bool card)
{
    static const uint8_t emv[] = {0x95, 5, 0, 0, 0, 0, 0}, blob[80] = {1};
    static const struct dp_acquirer_card c = {.emv = {emv, sizeof emv},
                                              .sealed_pan = {blob, sizeof blob}};
    uint8_t out[DP_ISO8583_MESSAGE_MAX];
    size_t n = 0;
    DP_ASSERT(dp_acquirer_pack(a, r, card ? &c : NULL, 0, out, sizeof out, &n, NULL) == DP_OK);
}

/* STAN 1: at the door. 2: advice. 3: deferred. 4: reversed, 5: its reversal. 6: totals or 7:
 * sign-on. */
static struct dp_acquirer *waiting(void)
{
    struct dp_acquirer_config c;
    struct dp_acquirer *a = NULL;
    struct dp_record r;
    uint8_t out[DP_ISO8583_MESSAGE_MAX];
    size_t n = 0;
    memset(&c, 0, sizeof c);
    memcpy(c.tid, "T0000001", 9);
    memcpy(c.mid, "MERCHANT0000001", 16);
    memcpy(c.acquirer_id, "123456", 7);
    c.currency = 978;
    c.mac_len = 8;
    c.hsm = (struct dp_hsm *)(uintptr_t)&test_clock; /* only handed on to the doubles */
    c.clock = &test_clock;
    c.random = &test_random;
    DP_ASSERT(dp_acquirer_new(&c, &a) == DP_OK);
    memset(&r, 0, sizeof r);
    DP_ASSERT(dp_acquirer_pack_totals(a, &r, out, sizeof out, &n) == DP_OK);
    record_of(2, DP_RECORD_REQUESTED, DP_MODE_ONLINE, &r);
    DP_ASSERT(dp_acquirer_fill_online(a, &r) == DP_OK);
    dp_acquirer_see(a, &r);
    pack(a, &r, true);
    record_of(3, DP_RECORD_OUTCOME, DP_MODE_OFFLINE, &r);
    DP_ASSERT(dp_acquirer_fill_advice(a, &r) == DP_OK);
    dp_acquirer_see(a, &r);
    pack(a, &r, true);
    record_of(4, DP_RECORD_OUTCOME, DP_MODE_DEFERRED, &r);
    dp_acquirer_see(a, &r);
    record_of(4, DP_RECORD_REQUESTED, DP_MODE_DEFERRED, &r);
    DP_ASSERT(dp_acquirer_fill_online(a, &r) == DP_OK);
    dp_acquirer_see(a, &r);
    pack(a, &r, true);
    record_of(5, DP_RECORD_REQUESTED, DP_MODE_ONLINE, &r);
    DP_ASSERT(dp_acquirer_fill_online(a, &r) == DP_OK);
    dp_acquirer_see(a, &r);
    uint32_t stan = r.stan;
    record_of(5, DP_RECORD_REVERSAL, DP_MODE_NONE, &r);
    DP_ASSERT(dp_acquirer_fill_reversal(a, r.tx, stan, 4021, &r) == DP_OK);
    dp_acquirer_see(a, &r);
    pack(a, &r, false);
    DP_ASSERT(dp_acquirer_pack_network(a, 801, out, sizeof out, &n) == DP_OK);
    return a;
}

/* ---- what must hold ---- */

static void right_mac(uint8_t *p, size_t n)
{
    struct dp_iso8583_mac found;
    uint8_t digest[32];
    size_t digest_n = 0;
    if (dp_iso8583_find_mac(dp_iso8583_profile("iso93-pos"), p, n, 8, &found) < 0)
        return;
    DP_ASSERT(psa_hash_compute(PSA_ALG_SHA_256, found.covered.p, found.covered.n, digest,
                               sizeof digest, &digest_n) == PSA_SUCCESS);
    digest[0] ^= 1;
    memcpy(p + n - 8, digest, 8);
}

/* An answer is what it is an answer to, in every match column, and says nothing that did not come.
 */
static void held(const uint8_t *p, size_t n, const struct dp_acquirer_answer *answer)
{
    static struct dp_iso8583_message m;
    uint64_t value = 0;
    DP_ASSERT(dp_iso8583_unpack(dp_iso8583_profile("iso93-pos"), p, n, &m, NULL) == DP_OK);
    DP_ASSERT(dp_iso8583_get_number(&m, 11, &value) && value == answer->stan);
    DP_ASSERT(memcmp(dp_iso8583_get(&m, 41).p, "T0000001", 8) == 0);
    DP_ASSERT(memcmp(dp_iso8583_get(&m, 12).p, "261124195320", 12) == 0);
    DP_ASSERT(answer->scripts_n <= sizeof answer->scripts);
    DP_ASSERT(answer->issuer_authentication_n <= sizeof answer->issuer_authentication);
    DP_ASSERT(answer->why == NULL);
    if (answer->kind == DP_ACQUIRER_TOTALS || answer->kind == DP_ACQUIRER_NETWORK)
        return;
    DP_ASSERT(dp_iso8583_get_number(&m, 4, &value) && value == 2350);
    DP_ASSERT(dp_iso8583_get_number(&m, 49, &value) && value == 978);
    DP_ASSERT(dp_iso8583_has(&m, 37));
    DP_ASSERT(strlen(answer->action_code) == 3 && strlen(answer->arc) <= 2);
    DP_ASSERT(!answer->approved || !answer->soft_decline);
}

static void take(struct dp_acquirer *a, uint8_t *p, size_t n, bool forged)
{
    struct dp_acquirer_answer answer, again;
    uint8_t masked[DP_ISO8583_MESSAGE_MAX];
    size_t masked_n = 0;
    struct dp_record r;
    if (!forged)
        right_mac(p, n);
    DP_ASSERT(dp_acquirer_take(a, p, n, &answer, masked, &masked_n) == DP_OK);
    DP_ASSERT(masked_n == 0 || masked_n == n);
    if (answer.kind == DP_ACQUIRER_NO_ANSWER) {
        DP_ASSERT(answer.why != NULL && answer.stan == 0 && !answer.approved);
        return;
    }
    held(p, n, &answer);
    DP_ASSERT(dp_acquirer_take(a, p, n, &again, masked, &masked_n) == DP_OK);
    DP_ASSERT(again.kind == DP_ACQUIRER_NO_ANSWER);
    memset(&r, 0, sizeof r);
    r.type = DP_RECORD_FORWARDED;
    if (dp_acquirer_forwarded(a, &answer, &r) == DP_OK)
        dp_acquirer_see(a, &r);
    DP_ASSERT(dp_acquirer_take(a, p, n, &again, masked, &masked_n) == DP_OK);
    DP_ASSERT(again.kind == DP_ACQUIRER_NO_ANSWER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t p[DP_ISO8583_MESSAGE_MAX + 1];
    struct dp_acquirer *a;
    if (size < 1 || size - 1 > sizeof p)
        return 0;
    a = waiting();
    memcpy(p, data + 1, size - 1);
    take(a, p, size - 1, (data[0] & FORGED_STAYS) != 0);
    if ((data[0] & TWICE) != 0)
        take(a, p, size - 1, false);
    dp_acquirer_free(&a);
    return 0;
}
