/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offline data authentication. First byte: what is signed (0 issuer certificate, 1 ICC certificate,
 * 2 static data, 3 DDA, 4 CDA, 5 fDDA), and 40: bytes are a signature, taken through the RSA too;
 * 80: hashes stay as they are, instead of being made right so that what stands behind them is met;
 * 20, with 40: the signer's key has another length, so that a certificate is of ECC or of nothing.
 * Then three strings, each behind a length byte, and the recovered block:
 *   certificates    remainder, exponent, signed records
 *   static, DDA     -, -, what is signed outside the block
 *   CDA             unpredictable number, CID, transaction data
 *   fDDA            9F69, CTQ, unpredictable number with amount and currency
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "base/reader.h"
#include "emv/oda.h"
#include "emv/rsa.h"

#define HASH_BYTES 20

static const char pan[] = "9999030000000019";
static struct dp_emv_ca_key ca_key = {{0xA0, 0, 0, 9, 0x99}, 1, {0},
                                      DP_EMV_RSA_BYTES_MAX,  3, 20491231};
static struct oda_key signer;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any odd number does for a modulus: nothing is ever signed with it. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    DP_ASSERT(psa_crypto_init() == PSA_SUCCESS);
    memset(ca_key.modulus, 0xFF, sizeof ca_key.modulus);
    memcpy(signer.modulus, ca_key.modulus, sizeof signer.modulus);
    signer.exponent = 3;
    return 0;
}

/* One input, taken apart. */
struct work {
    uint8_t kind;
    bool signature, other_length, keep_hashes;
    struct dp_bytes a, b, c;
    uint8_t block[DP_EMV_RSA_BYTES_MAX];
    size_t n;
    struct oda_input in;
    struct oda_cda_input cda;
    struct oda_fdda_input fdda;
};

static void fill(uint8_t *out, size_t n, struct dp_bytes from, size_t at)
{
    for (size_t i = 0; i < n && at + i < from.n; i++)
        out[i] = from.p[at + i];
}

static bool take_apart(struct work *w, const uint8_t *data, size_t size)
{
    struct dp_reader r;
    uint8_t first;
    memset(w, 0, sizeof *w);
    dp_reader_init(&r, data, size);
    first = dp_read_u8(&r);
    w->kind = first & 7;
    w->signature = (first & 0x40) != 0;
    w->other_length = (first & 0x20) != 0;
    w->keep_hashes = (first & 0x80) != 0;
    w->a = dp_read_bytes(&r, dp_read_u8(&r));
    w->b = dp_read_bytes(&r, dp_read_u8(&r));
    w->c = dp_read_bytes(&r, dp_read_u8(&r));
    w->n = r.left;
    if (r.err != DP_OK || w->n > sizeof w->block)
        return false;
    dp_read_copy(&r, w->block, w->n);
    w->in = (struct oda_input){.ca_keys = &ca_key, .ca_keys_n = 1, .pan = pan, .date = 20261124};
    memcpy(w->in.rid, ca_key.rid, 5);
    w->in.index = 1;
    w->in.issuer_certificate = w->in.icc_certificate = w->in.ssad =
        (struct dp_bytes){w->block, w->n};
    w->in.issuer_remainder = w->in.icc_remainder = w->a;
    w->in.issuer_exponent = w->in.icc_exponent = w->b;
    w->in.signed_records = w->c;
    fill(w->cda.un, 4, w->a, 0);
    w->cda.cid = w->b.n > 0 ? w->b.p[0] : 0;
    w->cda.transaction_data = w->c;
    w->fdda.card_data = w->a;
    w->fdda.ctq = w->b;
    fill(w->fdda.un, 4, w->c, 0);
    fill(w->fdda.amount, 6, w->c, 4);
    fill(w->fdda.currency, 2, w->c, 10);
    return true;
}

static void hash(const struct dp_bytes *parts, size_t n, uint8_t *out)
{
    psa_hash_operation_t h = PSA_HASH_OPERATION_INIT;
    size_t out_n;
    DP_ASSERT(psa_hash_setup(&h, PSA_ALG_SHA_1) == PSA_SUCCESS);
    for (size_t i = 0; i < n; i++)
        DP_ASSERT(parts[i].n == 0 || psa_hash_update(&h, parts[i].p, parts[i].n) == PSA_SUCCESS);
    DP_ASSERT(psa_hash_finish(&h, out, HASH_BYTES, &out_n) == PSA_SUCCESS);
}

/* CDA's inner hash stands behind number, CID and cryptogram; then the block's own. */
static void mend(struct work *w)
{
    const struct dp_bytes un = {w->cda.un, 4};
    struct dp_bytes parts[5] = {{w->block + 1, w->n - HASH_BYTES - 2}};
    size_t n = 1, at = w->n > 4 ? (size_t)5 + w->block[4] + 9 : 0;
    if (w->kind == 4 && at > 0 && at < w->n && w->n - at > 2 * HASH_BYTES)
        hash(&w->c, 1, w->block + at);
    if (w->kind < 2) {
        parts[n++] = w->a;
        parts[n++] = w->b;
    }
    if (w->kind == 5) {
        parts[n++] = (struct dp_bytes){w->fdda.un, 4};
        parts[n++] = (struct dp_bytes){w->fdda.amount, 6};
        parts[n++] = (struct dp_bytes){w->fdda.currency, 2};
    }
    parts[n++] = w->kind == 4 ? un : w->kind == 5 ? w->a : w->c;
    hash(parts, n, w->block + w->n - HASH_BYTES - 1);
}

/* Words and nothing else, or a result and nothing but a whole one. */
static void check_words(int err, const char *why)
{
    DP_ASSERT(err == DP_OK || err == DP_ERR_SIGNATURE);
    DP_ASSERT(err == DP_OK || (why != NULL && strlen(why) < 48));
}

static void check_key(const struct work *w, int err, const char *why, const struct oda_key *key)
{
    static const struct oda_key none;
    check_words(err, why);
    if (err != DP_OK) {
        DP_ASSERT(memcmp(key, &none, sizeof none) == 0);
        return;
    }
    DP_ASSERT(emv_rsa_key_valid(key) && key->modulus_n <= w->n && w->a.n <= key->modulus_n);
    DP_ASSERT(w->a.n == 0 || memcmp(key->modulus + key->modulus_n - w->a.n, w->a.p, w->a.n) == 0);
}

static void check_dynamic(int err, const char *why, const struct oda_dynamic *d)
{
    static const struct oda_dynamic none;
    check_words(err, why);
    if (err == DP_OK)
        DP_ASSERT(d->number_n >= 2 && d->number_n <= 8);
    else
        DP_ASSERT(memcmp(d, &none, sizeof none) == 0);
}

static void signatures(struct work *w)
{
    const struct dp_bytes block = {w->block, w->n};
    const char *why = NULL;
    struct oda_dynamic d;
    struct oda_key key;
    uint8_t dac[2];
    int err;
    ca_key.modulus_n = signer.modulus_n = (uint16_t)w->n;
    if (w->other_length) {
        ca_key.modulus_n = signer.modulus_n = DP_EMV_RSA_BYTES_MAX / 2;
        DP_ASSERT(w->n == ca_key.modulus_n ||
                  (oda_issuer_key(&w->in, &key, &why) == DP_ERR_SIGNATURE &&
                   oda_icc_key(&w->in, &signer, &key, &why) == DP_ERR_SIGNATURE));
        return;
    }
    err = oda_issuer_key(&w->in, &key, &why);
    check_key(w, err, why, &key);
    err = oda_icc_key(&w->in, &signer, &key, &why);
    check_key(w, err, why, &key);
    check_words(oda_sda(&w->in, &signer, dac, &why), "");
    err = oda_dda(&signer, block, w->c, &d, &why);
    check_dynamic(err, why, &d);
    err = oda_cda(&signer, block, &w->cda, &d, &why);
    check_dynamic(err, why, &d);
    err = oda_fdda(&signer, block, &w->fdda, &d, &why);
    check_dynamic(err, why, &d);
}

static void blocks(struct work *w)
{
    const struct dp_bytes block = {w->block, w->n};
    const char *why = NULL;
    struct oda_dynamic d;
    struct oda_key key;
    uint8_t dac[2];
    int err;
    if (!w->keep_hashes && w->n > HASH_BYTES + 2)
        mend(w);
    if (w->kind < 2) {
        err = w->kind == 0 ? oda_issuer_block(&w->in, block, &key, &why)
                           : oda_icc_block(&w->in, block, &key, &why);
        check_key(w, err, why, &key);
    } else if (w->kind == 2) {
        err = oda_sda_block(&w->in, block, dac, &why);
        check_words(err, why);
        DP_ASSERT(err == DP_OK || (dac[0] == 0 && dac[1] == 0));
    } else {
        if (w->kind == 3)
            err = oda_dda_block(block, w->c, &d, &why);
        else
            err = w->kind == 4 ? oda_cda_block(block, &w->cda, &d, &why)
                               : oda_fdda_block(block, &w->fdda, &d, &why);
        check_dynamic(err, why, &d);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct work w;
    if (!take_apart(&w, data, size))
        return 0;
    if (w.signature)
        signatures(&w);
    else
        blocks(&w);
    return 0;
}
