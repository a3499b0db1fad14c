/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a key store's back end is. The functions mean what doorpay/hsm.h says of their namesakes;
 * hsm.c has checked the arguments before it calls one. One that is NULL is a thing the back end
 * cannot do: the caller gets DP_ERR_UNSUPPORTED, and dp_hsm_get_caps says so beforehand.
 */
#ifndef DP_HSM_BACKEND_H
#define DP_HSM_BACKEND_H

#include <doorpay/hsm.h>

struct hsm_ops {
    const char *scheme; /* of the URI, without the colon */

    /* where: the URI behind the scheme's colon, never empty. look: beside another handle that has
     * the store; hsm.c then calls nothing of it but public_key and what reads anchor, counters and
     * generation. */
    int (*open)(const char *where, bool look, struct dp_hsm **out);
    int (*provision)(const char *where);
    void (*free)(struct dp_hsm *hsm);

    int (*public_key)(struct dp_hsm *hsm, enum dp_hsm_key key, uint8_t out[65]);
    int (*sign)(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t digest[32],
                uint8_t signature[64]);
    int (*ecdh)(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t peer[65],
                uint8_t shared[32]);

    int (*epoch_new)(struct dp_hsm *hsm, uint32_t *number);
    int (*epoch_destroy)(struct dp_hsm *hsm);

    int (*tls_next)(struct dp_hsm *hsm);
    int (*tls_take)(struct dp_hsm *hsm);

    int (*anchor_read)(struct dp_hsm *hsm, uint8_t value[32]);
    int (*anchor_extend)(struct dp_hsm *hsm, const uint8_t digest[32], uint8_t value[32]);

    int (*anchor_certify)(struct dp_hsm *hsm, const uint8_t nonce[32], struct dp_hsm_evidence *out);

    int (*counter_read)(struct dp_hsm *hsm, enum dp_hsm_counter which, uint64_t *value);
    int (*counter_raise)(struct dp_hsm *hsm, enum dp_hsm_counter which, uint64_t value);

    int (*wrap_generation)(struct dp_hsm *hsm, uint32_t *generation);
    int (*wrap)(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad, struct dp_bytes clear,
                uint8_t *out, size_t max, size_t *n);
    int (*unwrap)(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad,
                  struct dp_bytes wrapped, uint8_t *out, size_t max, size_t *n);
    int (*wrap_rotate)(struct dp_hsm *hsm, uint32_t *generation);
    int (*wrap_destroy)(struct dp_hsm *hsm, uint32_t generation);

    int (*dukpt_load)(struct dp_hsm *hsm, const uint8_t initial_key[16],
                      const uint8_t initial_key_id[8]);
    int (*dukpt_next)(struct dp_hsm *hsm, uint8_t ksn[DP_KSN_BYTES]);
    int (*dukpt_mac)(struct dp_hsm *hsm, const uint8_t ksn[DP_KSN_BYTES], bool answer,
                     const uint8_t digest[32], uint8_t mac[16]);
    int (*dukpt_check)(struct dp_hsm *hsm);
};

/* The head of each back end's own structure. */
struct dp_hsm {
    const struct hsm_ops *ops;
    bool look; /* set by hsm.c */
};

extern const struct hsm_ops hsm_soft_ops, hsm_sim_ops, hsm_pkcs11_ops, hsm_tpm2_ops;
/* A TPM's anchor and counters alone: a part of a composite key store. */
extern const struct hsm_ops hsm_tpm2_anchor_ops;

#endif
