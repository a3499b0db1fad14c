/* SPDX-License-Identifier: Apache-2.0 */
#include "aes.h"

#include <doorpay/hsm.h>
#include <psa/crypto.h>

#include "base/assert.h"
#include "base/secret.h"

#define NONCE_BYTES 12

static psa_status_t import(const uint8_t *key, size_t n, psa_key_usage_t usage, psa_algorithm_t alg,
                           psa_key_id_t *id)
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(&a, PSA_KEY_TYPE_AES);
    psa_set_key_usage_flags(&a, usage);
    psa_set_key_algorithm(&a, alg);
    return psa_import_key(&a, key, n, id);
}

int aes128_block(const uint8_t key[16], const uint8_t in[16], uint8_t out[16])
{
    psa_key_id_t id = 0;
    size_t n = 0;
    psa_status_t s = import(key, 16, PSA_KEY_USAGE_ENCRYPT, PSA_ALG_ECB_NO_PADDING, &id);
    if (s == PSA_SUCCESS)
        s = psa_cipher_encrypt(id, PSA_ALG_ECB_NO_PADDING, in, 16, out, 16, &n);
    (void)psa_destroy_key(id);
    return s == PSA_SUCCESS && n == 16 ? DP_OK : DP_ERR_CRYPTO;
}

int aes128_cmac(const uint8_t key[16], struct dp_bytes message, uint8_t mac[16])
{
    psa_key_id_t id = 0;
    size_t n = 0;
    psa_status_t s = import(key, 16, PSA_KEY_USAGE_SIGN_MESSAGE, PSA_ALG_CMAC, &id);
    if (s == PSA_SUCCESS)
        s = psa_mac_compute(id, PSA_ALG_CMAC, message.p, message.n, mac, 16, &n);
    (void)psa_destroy_key(id);
    return s == PSA_SUCCESS && n == 16 ? DP_OK : DP_ERR_CRYPTO;
}

int aes256_gcm_seal(const uint8_t key[32], struct dp_bytes aad, struct dp_bytes clear, uint8_t *out,
                    size_t max, size_t *n)
{
    psa_key_id_t id = 0;
    size_t sealed = 0;
    psa_status_t s;
    DP_ASSERT(max >= DP_HSM_WRAP_OVERHEAD && clear.n <= max - DP_HSM_WRAP_OVERHEAD);
    if (psa_generate_random(out, NONCE_BYTES) != PSA_SUCCESS)
        return DP_ERR_RANDOM;
    s = import(key, 32, PSA_KEY_USAGE_ENCRYPT, PSA_ALG_GCM, &id);
    if (s == PSA_SUCCESS)
        s = psa_aead_encrypt(id, PSA_ALG_GCM, out, NONCE_BYTES, aad.p, aad.n, clear.p, clear.n,
                             out + NONCE_BYTES, max - NONCE_BYTES, &sealed);
    (void)psa_destroy_key(id);
    if (s != PSA_SUCCESS)
        return DP_ERR_CRYPTO;
    *n = NONCE_BYTES + sealed;
    DP_ASSERT(*n == clear.n + DP_HSM_WRAP_OVERHEAD);
    return DP_OK;
}

int aes256_gcm_open(const uint8_t key[32], struct dp_bytes aad, struct dp_bytes sealed,
                    uint8_t *out, size_t max, size_t *n)
{
    psa_key_id_t id = 0;
    psa_status_t s;
    DP_ASSERT(sealed.n >= DP_HSM_WRAP_OVERHEAD && sealed.n - DP_HSM_WRAP_OVERHEAD <= max);
    s = import(key, 32, PSA_KEY_USAGE_DECRYPT, PSA_ALG_GCM, &id);
    if (s == PSA_SUCCESS)
        s = psa_aead_decrypt(id, PSA_ALG_GCM, sealed.p, NONCE_BYTES, aad.p, aad.n,
                             sealed.p + NONCE_BYTES, sealed.n - NONCE_BYTES, out, max, n);
    (void)psa_destroy_key(id);
    if (s == PSA_SUCCESS)
        return DP_OK;
    *n = 0;
    dp_wipe(out, sealed.n - DP_HSM_WRAP_OVERHEAD);
    return s == PSA_ERROR_INVALID_SIGNATURE ? DP_ERR_SIGNATURE : DP_ERR_CRYPTO;
}
