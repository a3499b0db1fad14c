/* SPDX-License-Identifier: Apache-2.0 */
#include <doorpay/cose.h>

#include <string.h>

#include <doorpay/cbor.h>
#include <psa/crypto.h>

#include "base/reader.h"
#include "base/writer.h"

#define TAG_SIGN1  18
#define HEADER_ALG 1
#define HEADER_KID 4
#define ES256      (-7)

static const uint8_t protected_es256[] = {0xA1, 0x01, 0x26}; /* {1: -7} */

int dp_cose_key_id(const uint8_t point[65], uint8_t kid[DP_COSE_KID_BYTES])
{
    uint8_t hash[32];
    size_t n = 0;
    if (psa_hash_compute(PSA_ALG_SHA_256, point, 65, hash, sizeof hash, &n) != PSA_SUCCESS)
        return DP_ERR_CRYPTO;
    memcpy(kid, hash, DP_COSE_KID_BYTES);
    return DP_OK;
}

/* RFC 9052, 4.4: ["Signature1", protected, external_aad, payload]; hashed in pieces, so that no
 * copy of the payload is made. */
int dp_cose_digest(struct dp_bytes aad, struct dp_bytes payload, uint8_t digest[32])
{
    psa_hash_operation_t hash = PSA_HASH_OPERATION_INIT;
    uint8_t head[160], payload_head[9];
    struct dp_writer w, h;
    size_t n = 0;
    dp_writer_init(&w, head, sizeof head);
    dp_cbor_write_array(&w, 4);
    dp_cbor_write_text(&w, "Signature1", 10);
    dp_cbor_write_bytes(&w, protected_es256, sizeof protected_es256);
    dp_cbor_write_bytes(&w, aad.p, aad.n);
    dp_writer_init(&h, payload_head, sizeof payload_head);
    dp_cbor_write_uint(&h, payload.n);
    payload_head[0] |= DP_CBOR_BYTES << 5; /* a byte string's head has the integer's argument */
    if (w.err != DP_OK)
        return w.err;
    if (psa_hash_setup(&hash, PSA_ALG_SHA_256) != PSA_SUCCESS ||
        psa_hash_update(&hash, head, w.n) != PSA_SUCCESS ||
        psa_hash_update(&hash, payload_head, h.n) != PSA_SUCCESS ||
        psa_hash_update(&hash, payload.p, payload.n) != PSA_SUCCESS ||
        psa_hash_finish(&hash, digest, 32, &n) != PSA_SUCCESS) {
        (void)psa_hash_abort(&hash);
        return DP_ERR_CRYPTO;
    }
    return DP_OK;
}

int dp_cose_sign1(dp_cose_sign_fn *sign, void *ctx, const uint8_t kid[DP_COSE_KID_BYTES],
                  struct dp_bytes aad, struct dp_bytes payload, uint8_t *out, size_t max, size_t *n)
{
    uint8_t digest[32], signature[64];
    struct dp_writer w;
    int err = dp_cose_digest(aad, payload, digest);
    if (err == DP_OK)
        err = sign(ctx, digest, signature);
    if (err < 0)
        return err;
    dp_writer_init(&w, out, max);
    dp_cbor_write_tag(&w, TAG_SIGN1);
    dp_cbor_write_array(&w, 4);
    dp_cbor_write_bytes(&w, protected_es256, sizeof protected_es256);
    dp_cbor_write_map(&w, 1);
    dp_cbor_write_uint(&w, HEADER_KID);
    dp_cbor_write_bytes(&w, kid, DP_COSE_KID_BYTES);
    dp_cbor_write_bytes(&w, payload.p, payload.n);
    dp_cbor_write_bytes(&w, signature, sizeof signature);
    *n = w.err == DP_OK ? w.n : 0;
    return dp_cbor_finish(&w);
}

static int check_protected(struct dp_bytes header)
{
    struct dp_reader r;
    int64_t alg = 0;
    if (header.n == sizeof protected_es256 &&
        memcmp(header.p, protected_es256, sizeof protected_es256) == 0)
        return DP_OK;
    if (header.p == NULL || dp_cbor_check(header.p, header.n, NULL) < 0)
        return DP_ERR_FORMAT;
    dp_reader_init(&r, header.p, header.n);
    if (dp_cbor_read_map(&r) > 0 && dp_cbor_read_int(&r) == HEADER_ALG)
        alg = dp_cbor_read_int(&r);
    return r.err == DP_OK && alg != 0 && alg != ES256 ? DP_ERR_UNSUPPORTED : DP_ERR_FORMAT;
}

int dp_cose_sign1_parse(const uint8_t *p, size_t n, struct dp_cose_sign1_view *out)
{
    struct dp_reader r;
    struct dp_bytes header, kid;
    int err = dp_cbor_check(p, n, NULL);
    if (err < 0)
        return err;
    dp_reader_init(&r, p, n);
    if (dp_cbor_read_tag(&r) != TAG_SIGN1 || dp_cbor_read_array(&r) != 4)
        return DP_ERR_FORMAT;
    header = dp_cbor_read_bytes(&r);
    if (r.err != DP_OK)
        return DP_ERR_FORMAT;
    err = check_protected(header);
    if (err < 0)
        return err;
    if (dp_cbor_read_map(&r) != 1 || dp_cbor_read_uint(&r) != HEADER_KID)
        return DP_ERR_FORMAT;
    kid = dp_cbor_read_bytes(&r);
    out->payload = dp_cbor_read_bytes(&r);
    out->signature = dp_cbor_read_bytes(&r);
    err = dp_reader_finish(&r);
    if (err < 0)
        return err;
    if (kid.n != DP_COSE_KID_BYTES || out->signature.n != 64)
        return DP_ERR_FORMAT;
    memcpy(out->kid, kid.p, DP_COSE_KID_BYTES);
    return DP_OK;
}

int dp_cose_verify_digest(const uint8_t point[65], const uint8_t digest[32],
                          const uint8_t signature[64])
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t key = 0;
    psa_status_t status;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_VERIFY_HASH);
    psa_set_key_algorithm(&a, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    if (psa_crypto_init() != PSA_SUCCESS)
        return DP_ERR_CRYPTO;
    if (psa_import_key(&a, point, 65, &key) != PSA_SUCCESS)
        return DP_ERR_SIGNATURE; /* not a point of the curve: nothing verifies under it */
    status = psa_verify_hash(key, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, 32, signature, 64);
    (void)psa_destroy_key(key);
    return status == PSA_SUCCESS ? DP_OK : DP_ERR_SIGNATURE;
}

int dp_cose_verify(const struct dp_cose_sign1_view *message, struct dp_bytes aad,
                   const uint8_t point[65])
{
    uint8_t digest[32];
    int err = dp_cose_digest(aad, message->payload, digest);
    if (err < 0)
        return err;
    return dp_cose_verify_digest(point, digest, message->signature.p);
}
