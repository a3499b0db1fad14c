/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed card data (docs/PROTOCOL.sealed), the recipient's side: HPKE of RFC 9180 in base mode by
 * libcrypto, and the two maps inside. */
#ifndef DP_SIM_SEAL_H
#define DP_SIM_SEAL_H

#include <openssl/evp.h>

#include <doorpay/base.h>

#define SIM_TRACK2_MAX 19

struct sim_card_data {
    char pan[20], expiry[5]; /* YYMM */
    int psn;                 /* -1: the card has none */
    uint8_t track2[SIM_TRACK2_MAX];
    size_t track2_n; /* 0: none came */
};

struct sim_seal {
    EVP_PKEY *key;
    uint8_t point[65];
};
/* seal.pem of the keys directory. DP_ERR_IO, DP_ERR_CRYPTO. */
DP_MUST_USE int sim_seal_load(const char *dir, struct sim_seal *out);
void sim_seal_free(struct sim_seal *s);

/* One single-shot HPKE message for the recipient: out holds n - 65 - 16 bytes of clear text.
 * DP_ERR_SHORT, DP_ERR_SIGNATURE (another key, other additional data, altered). */
DP_MUST_USE int sim_hpke_open(const struct sim_seal *s, struct dp_bytes info, struct dp_bytes aad,
                              const uint8_t *p, size_t n, uint8_t *out, size_t *out_n);

/* DE120: the blob with the card number and, maybe, the one with track 2. tid: 8 characters.
 * DP_ERR_FORMAT, DP_ERR_SHORT, DP_ERR_TRAILING, DP_ERR_UNSUPPORTED (version), DP_ERR_NOT_FOUND (for
 * another key), DP_ERR_SIGNATURE, DP_ERR_MISMATCH (two card numbers). Wipe out after use. */
DP_MUST_USE int sim_seal_read(const struct sim_seal *s, const uint8_t journal[16],
                              const uint8_t tx[16], const char *tid, struct dp_bytes de120,
                              struct sim_card_data *out);

#endif
