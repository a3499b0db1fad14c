/* SPDX-License-Identifier: Apache-2.0 */
/* The seam for the published vectors: sealing with an ephemeral key that is given. */
#ifndef DP_CBOR_HPKE_SEAL_H
#define DP_CBOR_HPKE_SEAL_H

#include <doorpay/hpke.h>
#include <psa/crypto.h>

/* As dp_hpke_seal, with this PSA key pair (P-256, usage derive, ECDH) as the ephemeral one; it
 * stays the caller's. Only dp_hpke_seal and tests call it: an ephemeral key used twice breaks both
 * messages. */
DP_MUST_USE int hpke_seal_with(psa_key_id_t ephemeral, const uint8_t recipient[65],
                               struct dp_bytes info, struct dp_bytes aad, struct dp_bytes clear,
                               uint8_t enc[DP_HPKE_ENC_BYTES], uint8_t *out, size_t max, size_t *n);

#endif
