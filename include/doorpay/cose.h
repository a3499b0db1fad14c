/* SPDX-License-Identifier: Apache-2.0 */
/* COSE_Sign1 (RFC 9052, 4.2) with ES256: tagged 18, protected {1: -7}, unprotected {4: key id},
 * payload inside. */
#ifndef DOORPAY_COSE_H
#define DOORPAY_COSE_H

#include <doorpay/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DP_COSE_KID_BYTES 8

/* Signs a SHA-256 digest with a key that may be in a token: raw r || s. */
typedef int dp_cose_sign_fn(void *ctx, const uint8_t digest[32], uint8_t signature[64]);

/* First 8 bytes of SHA-256 of an uncompressed P-256 point. DP_ERR_CRYPTO. */
DP_PUBLIC DP_MUST_USE int dp_cose_key_id(const uint8_t point[65], uint8_t kid[DP_COSE_KID_BYTES]);

/* The whole tagged message into out. DP_ERR_SPACE; DP_ERR_CRYPTO; sign's own error. */
DP_PUBLIC DP_MUST_USE int dp_cose_sign1(dp_cose_sign_fn *sign, void *ctx,
                                        const uint8_t kid[DP_COSE_KID_BYTES], struct dp_bytes aad,
                                        struct dp_bytes payload, uint8_t *out, size_t max,
                                        size_t *n);

/* What a message holds; pointers into the input. */
struct dp_cose_sign1_view {
    uint8_t kid[DP_COSE_KID_BYTES];
    struct dp_bytes payload, signature;
};
/* Reads without verifying. DP_ERR_FORMAT: not exactly the form above; DP_ERR_UNSUPPORTED: another
 * algorithm. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_cose_sign1_parse(const uint8_t *p, size_t n,
                                                        struct dp_cose_sign1_view *out);
/* The digest that is signed: SHA-256 of Sig_structure (RFC 9052, 4.4). */
DP_PUBLIC DP_MUST_USE int dp_cose_digest(struct dp_bytes aad, struct dp_bytes payload,
                                         uint8_t digest[32]);
/* DP_OK, or DP_ERR_SIGNATURE. */
DP_PUBLIC DP_MUST_USE int dp_cose_verify(const struct dp_cose_sign1_view *message,
                                         struct dp_bytes aad, const uint8_t point[65]);
/* ECDSA P-256 over a digest, raw r || s. DP_OK, or DP_ERR_SIGNATURE; DP_ERR_CRYPTO. */
DP_PUBLIC DP_MUST_USE int dp_cose_verify_digest(const uint8_t point[65], const uint8_t digest[32],
                                                const uint8_t signature[64]);

#ifdef __cplusplus
}
#endif
#endif
