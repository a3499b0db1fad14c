/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TPM 2.0 as the back ends need it: five NV indices (anchor, counters, what the counters began
 * with) and keys at persistent handles, all under one authorisation value. Every failure is logged
 * with the command and the TPM's response code.
 */
#ifndef DP_HSM_TPM_H
#define DP_HSM_TPM_H

#include <doorpay/hsm.h>
#include <sys/types.h>
#include <tss2/tss2_esys.h>

#include "pin_file.h"

/* NV indices, from the base of the URI. */
enum tpm_nv {
    TPM_NV_ANCHOR,
    TPM_NV_PARAMS, /* counters */
    TPM_NV_FAILURES,
    TPM_NV_EPOCH,
    TPM_NV_TLS,   /* two steps a change of the TLS client key: another is in use; the old is gone */
    TPM_NV_BEGUN, /* what the counters began with; written once, last: then all is provisioned */
    TPM_NVS
};

/* Places of keys. The TLS client key and the one that is to follow it have one each, and change
 * them (tpm_place). */
enum tpm_place {
    TPM_KEY_PARENT,
    TPM_KEY_IDENTITY,
    TPM_KEY_EPOCH,
    TPM_KEY_TLS_EVEN,
    TPM_KEY_CARD_DATA,
    TPM_KEY_EVIDENCE, /* signs what the anchor is; restricted: nothing that was not the TPM's */
    TPM_KEY_TLS_ODD,
    TPM_KEYS
};

struct tpm {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    uint32_t base;
    struct pin_file lock;
    TPM2B_AUTH auth;
    ESYS_TR nv[TPM_NVS], keys[TPM_KEYS]; /* ESYS_TR_NONE: none */
    uint64_t begun[TPM_NVS];             /* of the counters */
    uint64_t tls;                        /* TPM_NV_TLS */
    bool epoch_stale;                    /* the key at the epoch's place is of another epoch */
    pid_t pid;
};

/* where: the URI behind its colon: tcti=CONF?auth-source=FILE&owner-auth-source=FILE&base=0xHEX.
 * look: nothing but reading; DP_ERR_BUSY when the TPM is in use and no resource manager shares it.
 * owner: what only the owner may do is to be done. */
DP_MUST_USE int tpm_open(const char *where, bool look, bool owner, struct tpm *out);
void tpm_close(struct tpm *t);
/* DP_ERR_STATE in another process than the one that opened it. */
DP_MUST_USE int tpm_usable(const struct tpm *t);

/* Finds indices and keys. DP_ERR_NOT_FOUND: not provisioned. */
DP_MUST_USE int tpm_load(struct tpm *t);
/* DP_ERR_STATE: there is something at its handles already. with_keys: else only the anchor's own.
 */
DP_MUST_USE int tpm_provision(struct tpm *t, bool with_keys);

DP_MUST_USE int tpm_anchor_read(struct tpm *t, uint8_t value[32]);
DP_MUST_USE int tpm_anchor_extend(struct tpm *t, const uint8_t digest[32], uint8_t value[32]);
DP_MUST_USE int tpm_anchor_certify(struct tpm *t, const uint8_t nonce[32],
                                   struct dp_hsm_evidence *out);
DP_MUST_USE int tpm_counter_read(struct tpm *t, enum tpm_nv which, uint64_t *value);
/* DP_ERR_ROLLBACK; DP_ERR_LIMIT: more than DP_HSM_TPM_STEPS_MAX at once: each is one of the TPM's.
 */
DP_MUST_USE int tpm_counter_raise(struct tpm *t, enum tpm_nv which, uint64_t value);

/* Where a key is. */
enum tpm_place tpm_place(const struct tpm *t, enum dp_hsm_key key);
/* DP_ERR_NOT_FOUND: there is none at this place. */
DP_MUST_USE int tpm_public(struct tpm *t, enum tpm_place key, uint8_t point[65]);
DP_MUST_USE int tpm_sign(struct tpm *t, enum tpm_place key, const uint8_t digest[32],
                         uint8_t signature[64]);
DP_MUST_USE int tpm_ecdh(struct tpm *t, enum tpm_place key, const uint8_t peer[65],
                         uint8_t shared[32]);
/* A new key at a place that is free. That of an epoch answers while the counter of epochs is what
 * it is now, and never again. */
DP_MUST_USE int tpm_make_key(struct tpm *t, enum tpm_place key);
DP_MUST_USE int tpm_destroy_key(struct tpm *t, enum tpm_place key);
/* The TLS client key that was to follow is the one in use, durable, and the old one is destroyed.
 */
DP_MUST_USE int tpm_take_tls(struct tpm *t);
/* Finishes what a crash left of that. */
DP_MUST_USE int tpm_tidy(struct tpm *t);

#endif
