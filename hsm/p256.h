/* SPDX-License-Identifier: Apache-2.0 */
/* P-256 with a private scalar that a back end holds. */
#ifndef DP_HSM_P256_H
#define DP_HSM_P256_H

#include <doorpay/base.h>

/* A new private scalar. DP_ERR_CRYPTO, DP_ERR_RANDOM. */
DP_MUST_USE int p256_make(uint8_t scalar[32]);
/* DP_ERR_FORMAT: not a scalar of the curve. */
DP_MUST_USE int p256_public(const uint8_t scalar[32], uint8_t point[65]);
/* ECDSA over a SHA-256 digest, raw r || s. */
DP_MUST_USE int p256_sign(const uint8_t scalar[32], const uint8_t digest[32],
                          uint8_t signature[64]);
/* DP_ERR_SIGNATURE: not by the point's key; DP_ERR_FORMAT: no point of the curve. */
DP_MUST_USE int p256_verify(const uint8_t point[65], const uint8_t digest[32],
                            const uint8_t signature[64]);
/* x of the shared point. DP_ERR_FORMAT: peer is no point of the curve. */
DP_MUST_USE int p256_ecdh(const uint8_t scalar[32], const uint8_t peer[65], uint8_t shared[32]);
/* Whether an uncompressed point is one of the curve: not every token looks. */
DP_MUST_USE bool p256_is_point(const uint8_t peer[65]);

#endif
