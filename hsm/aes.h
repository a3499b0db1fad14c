/* SPDX-License-Identifier: Apache-2.0 */
/* The three uses of AES here: one block (derivation), CMAC, and GCM (side store). */
#ifndef DP_HSM_AES_H
#define DP_HSM_AES_H

#include <doorpay/base.h>

DP_MUST_USE int aes128_block(const uint8_t key[16], const uint8_t in[16], uint8_t out[16]);
DP_MUST_USE int aes128_cmac(const uint8_t key[16], struct dp_bytes message, uint8_t mac[16]);
/* out = nonce (random) || ciphertext || tag: clear.n + DP_HSM_WRAP_OVERHEAD bytes. */
DP_MUST_USE int aes256_gcm_seal(const uint8_t key[32], struct dp_bytes aad, struct dp_bytes clear,
                                uint8_t *out, size_t max, size_t *n);
/* DP_ERR_SIGNATURE: not what was sealed with this key and aad; out then holds nothing of it. */
DP_MUST_USE int aes256_gcm_open(const uint8_t key[32], struct dp_bytes aad, struct dp_bytes sealed,
                                uint8_t *out, size_t max, size_t *n);

#endif
