/* SPDX-License-Identifier: Apache-2.0 */
#include "p256.h"

#include <psa/crypto.h>

#include "base/assert.h"
#include "base/secret.h"

#define PAIR PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1)

static int err_of(psa_status_t status)
{
    switch (status) {
    case PSA_SUCCESS:
        return DP_OK;
    case PSA_ERROR_INSUFFICIENT_MEMORY:
        return DP_ERR_NOMEM;
    case PSA_ERROR_INSUFFICIENT_ENTROPY:
        return DP_ERR_RANDOM;
    case PSA_ERROR_INVALID_ARGUMENT:
        return DP_ERR_FORMAT;
    default:
        return DP_ERR_CRYPTO;
    }
}

int p256_make(uint8_t scalar[32])
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id = 0;
    psa_status_t s;
    size_t n = 0;
    psa_set_key_type(&a, PAIR);
    psa_set_key_bits(&a, 256);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_EXPORT);
    s = psa_generate_key(&a, &id);
    if (s == PSA_SUCCESS)
        s = psa_export_key(id, scalar, 32, &n);
    (void)psa_destroy_key(id);
    DP_ASSERT(s != PSA_SUCCESS || n == 32);
    return err_of(s);
}

/* The scalar stays with the library for the one operation. */
static psa_status_t import(const uint8_t scalar[32], psa_key_usage_t usage, psa_algorithm_t alg,
                           psa_key_id_t *id)
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(&a, PAIR);
    psa_set_key_bits(&a, 256);
    psa_set_key_usage_flags(&a, usage);
    psa_set_key_algorithm(&a, alg);
    return psa_import_key(&a, scalar, 32, id);
}

int p256_public(const uint8_t scalar[32], uint8_t point[65])
{
    psa_key_id_t id = 0;
    size_t n = 0;
    psa_status_t s = import(scalar, 0, PSA_ALG_NONE, &id);
    if (s == PSA_SUCCESS)
        s = psa_export_public_key(id, point, 65, &n);
    (void)psa_destroy_key(id);
    DP_ASSERT(s != PSA_SUCCESS || n == 65);
    return err_of(s);
}

int p256_sign(const uint8_t scalar[32], const uint8_t digest[32], uint8_t signature[64])
{
    const psa_algorithm_t alg = PSA_ALG_ECDSA(PSA_ALG_SHA_256);
    psa_key_id_t id = 0;
    size_t n = 0;
    psa_status_t s = import(scalar, PSA_KEY_USAGE_SIGN_HASH, alg, &id);
    if (s == PSA_SUCCESS)
        s = psa_sign_hash(id, alg, digest, 32, signature, 64, &n);
    (void)psa_destroy_key(id);
    DP_ASSERT(s != PSA_SUCCESS || n == 64);
    return err_of(s);
}

int p256_verify(const uint8_t point[65], const uint8_t digest[32], const uint8_t signature[64])
{
    const psa_algorithm_t alg = PSA_ALG_ECDSA(PSA_ALG_SHA_256);
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id = 0;
    psa_status_t s;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&a, 256);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_VERIFY_HASH);
    psa_set_key_algorithm(&a, alg);
    s = psa_import_key(&a, point, 65, &id);
    if (s == PSA_SUCCESS)
        s = psa_verify_hash(id, alg, digest, 32, signature, 64);
    (void)psa_destroy_key(id);
    return s == PSA_ERROR_INVALID_SIGNATURE ? DP_ERR_SIGNATURE : err_of(s);
}

int p256_ecdh(const uint8_t scalar[32], const uint8_t peer[65], uint8_t shared[32])
{
    psa_key_id_t id = 0;
    size_t n = 0;
    psa_status_t s = import(scalar, PSA_KEY_USAGE_DERIVE, PSA_ALG_ECDH, &id);
    if (s == PSA_SUCCESS)
        s = psa_raw_key_agreement(PSA_ALG_ECDH, id, peer, 65, shared, 32, &n);
    (void)psa_destroy_key(id);
    if (s != PSA_SUCCESS)
        dp_wipe(shared, 32);
    return err_of(s);
}

bool p256_is_point(const uint8_t peer[65])
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id = 0;
    bool ok;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
    ok = psa_import_key(&a, peer, 65, &id) == PSA_SUCCESS;
    (void)psa_destroy_key(id);
    return ok;
}
