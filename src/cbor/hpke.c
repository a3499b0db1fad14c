/* SPDX-License-Identifier: Apache-2.0 */
#include <doorpay/hpke.h>

#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "base/secret.h"
#include "hpke_seal.h"

#define HASH_BYTES  32
#define POINT_BYTES 65
#define KEY_BYTES   16
#define NONCE_BYTES 12
#define MODE_BASE   0x00
#define VERSION     "HPKE-v1"

struct label {
    struct dp_bytes suite;
    const char *text;
};

/* RFC 9180, 4.1 and 5.1: which algorithm speaks. */
static const uint8_t kem_suite[] = {'K', 'E', 'M', 0x00, 0x10};
static const uint8_t hpke_suite[] = {'H', 'P', 'K', 'E', 0x00, 0x10, 0x00, 0x01, 0x00, 0x01};
#define KEM(t)  ((struct label){{kem_suite, sizeof kem_suite}, t})
#define HPKE(t) ((struct label){{hpke_suite, sizeof hpke_suite}, t})

/* ---- HKDF-SHA256 with labels (RFC 9180, 4) ---- */

/* HMAC-SHA256 over the pieces one after the other. */
static int hmac(const uint8_t key[HASH_BYTES], const struct dp_bytes *pieces, size_t pieces_n,
                uint8_t out[HASH_BYTES])
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_mac_operation_t op = PSA_MAC_OPERATION_INIT;
    psa_key_id_t id = 0;
    size_t n = 0;
    psa_status_t s;
    psa_set_key_type(&a, PSA_KEY_TYPE_HMAC);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_SIGN_MESSAGE);
    psa_set_key_algorithm(&a, PSA_ALG_HMAC(PSA_ALG_SHA_256));
    s = psa_import_key(&a, key, HASH_BYTES, &id);
    if (s == PSA_SUCCESS)
        s = psa_mac_sign_setup(&op, id, PSA_ALG_HMAC(PSA_ALG_SHA_256));
    for (size_t i = 0; i < pieces_n && s == PSA_SUCCESS; i++)
        s = psa_mac_update(&op, pieces[i].p, pieces[i].n);
    if (s == PSA_SUCCESS)
        s = psa_mac_sign_finish(&op, out, HASH_BYTES, &n);
    (void)psa_mac_abort(&op);
    (void)psa_destroy_key(id);
    return s == PSA_SUCCESS ? DP_OK : DP_ERR_CRYPTO;
}

static struct dp_bytes text(const char *t)
{
    return (struct dp_bytes){(const uint8_t *)t, strlen(t)};
}

/* An empty salt is HASH_BYTES zeros (RFC 5869, 2.2): the same HMAC key. */
static int labeled_extract(const uint8_t salt[HASH_BYTES], struct label label, struct dp_bytes ikm,
                           uint8_t prk[HASH_BYTES])
{
    const struct dp_bytes pieces[] = {text(VERSION), label.suite, text(label.text), ikm};
    return hmac(salt, pieces, sizeof pieces / sizeof *pieces, prk);
}

/* Never more than one block of output is wanted here. */
static int labeled_expand(const uint8_t prk[HASH_BYTES], struct label label, struct dp_bytes info,
                          uint8_t *out, size_t n)
{
    uint8_t length[2] = {0, (uint8_t)n}, counter = 1, block[HASH_BYTES];
    const struct dp_bytes pieces[] = {{length, sizeof length}, text(VERSION), label.suite,
                                      text(label.text),        info,          {&counter, 1}};
    int err;
    DP_ASSERT(n <= HASH_BYTES);
    err = hmac(prk, pieces, sizeof pieces / sizeof *pieces, block);
    if (err == DP_OK)
        memcpy(out, block, n);
    dp_wipe(block, sizeof block);
    return err;
}

/* ---- key schedule ---- */

struct schedule {
    uint8_t key[KEY_BYTES], nonce[NONCE_BYTES];
};

/* RFC 9180, 4.1: ExtractAndExpand with kem_context = enc || recipient. */
static int shared_secret(const uint8_t dh[32], const uint8_t enc[POINT_BYTES],
                         const uint8_t recipient[POINT_BYTES], uint8_t out[HASH_BYTES])
{
    static const uint8_t no_salt[HASH_BYTES];
    uint8_t prk[HASH_BYTES], context[2 * POINT_BYTES];
    int err = labeled_extract(no_salt, KEM("eae_prk"), (struct dp_bytes){dh, 32}, prk);
    memcpy(context, enc, POINT_BYTES);
    memcpy(context + POINT_BYTES, recipient, POINT_BYTES);
    if (err == DP_OK)
        err = labeled_expand(prk, KEM("shared_secret"), (struct dp_bytes){context, sizeof context},
                             out, HASH_BYTES);
    dp_wipe(prk, sizeof prk);
    return err;
}

/* RFC 9180, 5.1: KeySchedule in base mode, so psk and psk_id are empty. */
static int key_schedule(const uint8_t shared[HASH_BYTES], struct dp_bytes info,
                        struct schedule *out)
{
    static const uint8_t no_salt[HASH_BYTES];
    static const struct dp_bytes none = {NULL, 0};
    uint8_t context[1 + 2 * HASH_BYTES] = {MODE_BASE}, secret[HASH_BYTES];
    const struct dp_bytes c = {context, sizeof context};
    int err = labeled_extract(no_salt, HPKE("psk_id_hash"), none, context + 1);
    if (err == DP_OK)
        err = labeled_extract(no_salt, HPKE("info_hash"), info, context + 1 + HASH_BYTES);
    if (err == DP_OK)
        err = labeled_extract(shared, HPKE("secret"), none, secret);
    if (err == DP_OK)
        err = labeled_expand(secret, HPKE("key"), c, out->key, KEY_BYTES);
    if (err == DP_OK)
        err = labeled_expand(secret, HPKE("base_nonce"), c, out->nonce, NONCE_BYTES);
    dp_wipe(secret, sizeof secret);
    return err;
}

static int schedule_from_dh(const uint8_t dh[32], const uint8_t enc[POINT_BYTES],
                            const uint8_t recipient[POINT_BYTES], struct dp_bytes info,
                            struct schedule *out)
{
    uint8_t shared[HASH_BYTES];
    int err = shared_secret(dh, enc, recipient, shared);
    if (err == DP_OK)
        err = key_schedule(shared, info, out);
    dp_wipe(shared, sizeof shared);
    return err;
}

/* ---- AES-128-GCM; the first message's nonce is the base nonce ---- */

static psa_status_t import_aead(const struct schedule *s, psa_key_usage_t usage, psa_key_id_t *id)
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(&a, PSA_KEY_TYPE_AES);
    psa_set_key_usage_flags(&a, usage);
    psa_set_key_algorithm(&a, PSA_ALG_GCM);
    return psa_import_key(&a, s->key, KEY_BYTES, id);
}

static int encrypt(const struct schedule *s, struct dp_bytes aad, struct dp_bytes clear,
                   uint8_t *out, size_t max, size_t *n)
{
    psa_key_id_t id = 0;
    psa_status_t status = import_aead(s, PSA_KEY_USAGE_ENCRYPT, &id);
    if (status == PSA_SUCCESS)
        status = psa_aead_encrypt(id, PSA_ALG_GCM, s->nonce, NONCE_BYTES, aad.p, aad.n, clear.p,
                                  clear.n, out, max, n);
    (void)psa_destroy_key(id);
    return status == PSA_SUCCESS ? DP_OK : DP_ERR_CRYPTO;
}

static int decrypt(const struct schedule *s, struct dp_bytes aad, struct dp_bytes sealed,
                   uint8_t *out, size_t max, size_t *n)
{
    psa_key_id_t id = 0;
    psa_status_t status = import_aead(s, PSA_KEY_USAGE_DECRYPT, &id);
    if (status == PSA_SUCCESS)
        status = psa_aead_decrypt(id, PSA_ALG_GCM, s->nonce, NONCE_BYTES, aad.p, aad.n, sealed.p,
                                  sealed.n, out, max, n);
    (void)psa_destroy_key(id);
    if (status == PSA_ERROR_INVALID_SIGNATURE)
        return DP_ERR_SIGNATURE;
    return status == PSA_SUCCESS ? DP_OK : DP_ERR_CRYPTO;
}

/* ---- seal ---- */

int hpke_seal_with(psa_key_id_t ephemeral, const uint8_t recipient[65], struct dp_bytes info,
                   struct dp_bytes aad, struct dp_bytes clear, uint8_t enc[DP_HPKE_ENC_BYTES],
                   uint8_t *out, size_t max, size_t *n)
{
    struct schedule s;
    uint8_t dh[32];
    size_t length = 0;
    psa_status_t status;
    int err;
    *n = 0;
    if (max < DP_HPKE_TAG_BYTES || clear.n > max - DP_HPKE_TAG_BYTES)
        return DP_ERR_SPACE;
    if (psa_export_public_key(ephemeral, enc, POINT_BYTES, &length) != PSA_SUCCESS)
        return DP_ERR_CRYPTO;
    status = psa_raw_key_agreement(PSA_ALG_ECDH, ephemeral, recipient, POINT_BYTES, dh, sizeof dh,
                                   &length);
    if (status != PSA_SUCCESS) /* the key is ours and good: it is the point that is not */
        return status == PSA_ERROR_INVALID_ARGUMENT ? DP_ERR_ARG : DP_ERR_CRYPTO;
    err = schedule_from_dh(dh, enc, recipient, info, &s);
    if (err == DP_OK)
        err = encrypt(&s, aad, clear, out, max, n);
    dp_wipe(dh, sizeof dh);
    dp_wipe(&s, sizeof s);
    return err;
}

int dp_hpke_seal(const uint8_t recipient[65], struct dp_bytes info, struct dp_bytes aad,
                 struct dp_bytes clear, uint8_t enc[DP_HPKE_ENC_BYTES], uint8_t *out, size_t max,
                 size_t *n)
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t ephemeral = 0;
    int err;
    *n = 0;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&a, 256);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&a, PSA_ALG_ECDH);
    if (psa_crypto_init() != PSA_SUCCESS || psa_generate_key(&a, &ephemeral) != PSA_SUCCESS)
        return DP_ERR_RANDOM;
    err = hpke_seal_with(ephemeral, recipient, info, aad, clear, enc, out, max, n);
    (void)psa_destroy_key(ephemeral);
    return err;
}

/* ---- open ---- */

int dp_hpke_open(dp_hpke_ecdh_fn *ecdh, void *ctx, const uint8_t recipient[65],
                 const uint8_t enc[DP_HPKE_ENC_BYTES], struct dp_bytes info, struct dp_bytes aad,
                 struct dp_bytes sealed, uint8_t *out, size_t max, size_t *n)
{
    struct schedule s;
    uint8_t dh[32];
    int err;
    *n = 0;
    if (sealed.n < DP_HPKE_TAG_BYTES)
        return DP_ERR_SHORT;
    if (sealed.n - DP_HPKE_TAG_BYTES > max)
        return DP_ERR_SPACE;
    if (psa_crypto_init() != PSA_SUCCESS)
        return DP_ERR_CRYPTO;
    err = ecdh(ctx, enc, dh);
    if (err == DP_OK)
        err = schedule_from_dh(dh, enc, recipient, info, &s);
    if (err == DP_OK)
        err = decrypt(&s, aad, sealed, out, max, n);
    if (err != DP_OK) {
        dp_wipe(out, max);
        *n = 0;
    }
    dp_wipe(dh, sizeof dh);
    dp_wipe(&s, sizeof s);
    return err;
}
