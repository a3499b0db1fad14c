/* SPDX-License-Identifier: Apache-2.0 */
/* HPKE, RFC 9180, base mode, single shot: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM. */
#ifndef DOORPAY_HPKE_H
#define DOORPAY_HPKE_H

#include <doorpay/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DP_HPKE_ENC_BYTES 65 /* the sender's ephemeral public point, uncompressed */
#define DP_HPKE_TAG_BYTES 16

/* Seals clear to a recipient's public point (uncompressed). out receives clear.n +
 * DP_HPKE_TAG_BYTES bytes. DP_ERR_ARG: not a point on the curve; DP_ERR_SPACE; DP_ERR_RANDOM;
 * DP_ERR_CRYPTO. */
DP_PUBLIC DP_MUST_USE int dp_hpke_seal(const uint8_t recipient[65], struct dp_bytes info,
                                       struct dp_bytes aad, struct dp_bytes clear,
                                       uint8_t enc[DP_HPKE_ENC_BYTES], uint8_t *out, size_t max,
                                       size_t *n);

/* Diffie-Hellman with the recipient's private key, wherever that lives (dp_hsm_ecdh): x coordinate
 * of the shared point. */
typedef int dp_hpke_ecdh_fn(void *ctx, const uint8_t peer[65], uint8_t shared[32]);

/* Opens. recipient is the public point of the key behind ecdh. DP_ERR_SIGNATURE: not for this key,
 * other info or aad, or damaged; DP_ERR_ARG: enc is no point; DP_ERR_SHORT; DP_ERR_SPACE; ecdh's
 * own error. Nothing of the clear text is left in out on failure. */
DP_PUBLIC DP_MUST_USE DP_PARSES int
dp_hpke_open(dp_hpke_ecdh_fn *ecdh, void *ctx, const uint8_t recipient[65],
             const uint8_t enc[DP_HPKE_ENC_BYTES], struct dp_bytes info, struct dp_bytes aad,
             struct dp_bytes sealed, uint8_t *out, size_t max, size_t *n);

#ifdef __cplusplus
}
#endif
#endif
