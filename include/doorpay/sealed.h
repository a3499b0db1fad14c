/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed card data: docs/PROTOCOL.sealed. Made where the card is, opened by the recipient alone. */
#ifndef DOORPAY_SEALED_H
#define DOORPAY_SEALED_H

#include <doorpay/base.h>
#include <doorpay/hpke.h>

#ifdef __cplusplus
extern "C" {
#endif

enum dp_sealed_kind {
    DP_SEALED_PAN = 1,
    DP_SEALED_TRACK2 = 2
};
#define DP_SEALED_BYTES_MAX 256

/* What a blob is bound to. */
struct dp_sealed_context {
    uint8_t journal[16], tx[16];
    char tid[9];
};

/* The clear content. kind PAN uses pan, expiry, sequence; TRACK2 uses track2. The owner wipes it.
 */
struct dp_sealed_card {
    char pan[20];   /* digits */
    char expiry[5]; /* YYMM */
    bool has_sequence;
    uint8_t sequence;
    uint8_t track2[19];
    uint8_t track2_n;
};

/* DP_ERR_ARG: a field not of its form; and dp_hpke_seal's errors. */
DP_PUBLIC DP_MUST_USE int dp_sealed_make(const uint8_t recipient[65], enum dp_sealed_kind kind,
                                         const struct dp_sealed_context *context,
                                         const struct dp_sealed_card *card, uint8_t *out,
                                         size_t max, size_t *n);
/* DP_ERR_SIGNATURE: another recipient or context, or damaged; DP_ERR_FORMAT. Fields of the other
 * kind are left as they are. */
DP_PUBLIC DP_MUST_USE DP_PARSES int
dp_sealed_open(dp_hpke_ecdh_fn *ecdh, void *ctx, const uint8_t recipient[65],
               enum dp_sealed_kind kind, const struct dp_sealed_context *context,
               struct dp_bytes blob, struct dp_sealed_card *card);

#ifdef __cplusplus
}
#endif
#endif
