/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that never leave their token. One vtable behind it: pkcs11:, tpm2:, and for development
 * soft: and sim:. What a back end cannot do is an error, and dp_hsm_caps says so beforehand;
 * nothing falls back in silence.
 */
#ifndef DOORPAY_HSM_H
#define DOORPAY_HSM_H

#include <doorpay/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dp_hsm;

/* One key, one purpose (docs/DESIGN.md, keys). */
enum dp_hsm_key {
    DP_KEY_JOURNAL_IDENTITY = 1, /* certifies epoch keys */
    DP_KEY_JOURNAL_EPOCH = 2,    /* signs checkpoints of the current round */
    DP_KEY_TLS_CLIENT = 3,
    DP_KEY_CARD_DATA = 4, /* opens sealed card data (clear profile) */
    DP_KEY_TLS_NEXT = 5   /* the TLS client key to come, until it is taken into use */
};

struct dp_hsm_caps {
    bool anchor, counter, epoch, wrap, dukpt, ecdh;
    bool evidence; /* dp_hsm_anchor_certify */
    bool rotate;   /* dp_hsm_tls_next, dp_hsm_tls_take */
    char name[32];
};

enum dp_hsm_counter {
    DP_COUNTER_PARAMS = 1,
    DP_COUNTER_LOGIN_FAILURES = 2
};

/* uri: the kinds and their attributes are in docs/cli.md, "Key stores". DP_ERR_NOT_FOUND: not
 * provisioned; DP_ERR_UNSUPPORTED: no such back end in this build. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_hsm_open(const char *uri, struct dp_hsm **out);
/* For a verifier: beside doorpayd, which goes on using the store. What it tells is one state of the
 * store, that of this call or a later one. Public keys, anchor, counters and the side store's
 * generation can be read; all else is DP_ERR_DENIED. DP_ERR_BUSY: this kind of token, or the way to
 * it, serves one at a time. */
DP_PUBLIC DP_MUST_USE int dp_hsm_open_readonly(const char *uri, struct dp_hsm **out);
DP_PUBLIC void dp_hsm_free(struct dp_hsm **hsm);
/* Makes every key of a new token. DP_ERR_STATE: there is one already. */
DP_PUBLIC DP_MUST_USE int dp_hsm_provision(const char *uri);
DP_PUBLIC void dp_hsm_get_caps(const struct dp_hsm *hsm, struct dp_hsm_caps *out);

/* P-256, uncompressed point. DP_ERR_NOT_FOUND: no such key (no epoch begun). */
DP_PUBLIC DP_MUST_USE int dp_hsm_public(struct dp_hsm *hsm, enum dp_hsm_key key, uint8_t out[65]);
/* ECDSA over a SHA-256 digest, raw r || s. DP_KEY_CARD_DATA is refused (DP_ERR_DENIED). */
DP_PUBLIC DP_MUST_USE int dp_hsm_sign(struct dp_hsm *hsm, enum dp_hsm_key key,
                                      const uint8_t digest[32], uint8_t signature[64]);
/* x coordinate of the shared point. Only DP_KEY_CARD_DATA. */
DP_PUBLIC DP_MUST_USE int dp_hsm_ecdh(struct dp_hsm *hsm, enum dp_hsm_key key,
                                      const uint8_t peer[65], uint8_t shared[32]);

/* A new epoch key; the one before it is destroyed. number comes back. */
DP_PUBLIC DP_MUST_USE int dp_hsm_epoch_new(struct dp_hsm *hsm, uint32_t *number);
DP_PUBLIC DP_MUST_USE int dp_hsm_epoch_destroy(struct dp_hsm *hsm);

/* A TLS client key to come: the one in use goes on until dp_hsm_tls_take. DP_ERR_STATE: there is
 * one to come already. */
DP_PUBLIC DP_MUST_USE int dp_hsm_tls_next(struct dp_hsm *hsm);
/* The one to come is the one in use, and the one before it is destroyed. A crash leaves the old one
 * in use or the new one, never neither. DP_ERR_NOT_FOUND: there is none to come. */
DP_PUBLIC DP_MUST_USE int dp_hsm_tls_take(struct dp_hsm *hsm);

/* The extend-only anchor: value' = SHA-256(value || digest). Durable before extend returns. */
DP_PUBLIC DP_MUST_USE int dp_hsm_anchor_read(struct dp_hsm *hsm, uint8_t value[32]);
DP_PUBLIC DP_MUST_USE int dp_hsm_anchor_extend(struct dp_hsm *hsm, const uint8_t digest[32],
                                               uint8_t value[32]);

/* The token's own word on what the anchor is: a structure of the token's (TPM 2.0: TPMS_ATTEST of
 * TPM2_NV_Certify), which holds nonce and value, and an ECDSA signature (raw r || s) over its
 * SHA-256, by a key that signs nothing else. DP_ERR_NOT_FOUND: not extended yet. */
struct dp_hsm_evidence {
    uint8_t attest[256];
    uint16_t attest_n;
    uint8_t signature[64], key[65];
};
DP_PUBLIC DP_MUST_USE int dp_hsm_anchor_certify(struct dp_hsm *hsm, const uint8_t nonce[32],
                                                struct dp_hsm_evidence *out);

/* What an evidence says, once its signature is its key's. */
struct dp_hsm_attested {
    uint8_t nonce[32], value[32];
    uint8_t index[34]; /* the TPM's name of the index that value is the contents of */
    uint64_t clock_ms, firmware;
    uint32_t resets, restarts; /* of the TPM, so far */
    bool clock_safe;
};
/* Without a token. DP_ERR_SIGNATURE: not signed by evidence->key (whose key that is, the caller
 * must know from elsewhere); DP_ERR_FORMAT, DP_ERR_SHORT, DP_ERR_TRAILING, DP_ERR_RANGE: signed,
 * and not the evidence of an anchor. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_hsm_evidence_read(const struct dp_hsm_evidence *evidence,
                                                         struct dp_hsm_attested *out);
/* The name of the anchor's index of a store whose URI has this base (0xD00 without one). It covers
 * that the index can only be extended: no other index has it. */
#define DP_HSM_TPM_BASE 0xD00
DP_PUBLIC DP_MUST_USE int dp_hsm_evidence_index(uint32_t base, uint8_t index[34]);

/* Counters only rise. raise: DP_ERR_ROLLBACK when value is below the one held; DP_ERR_LIMIT when
 * the token goes in steps of one and it is too many of them (tpm2:, 1,000). */
DP_PUBLIC DP_MUST_USE int dp_hsm_counter_read(struct dp_hsm *hsm, enum dp_hsm_counter which,
                                              uint64_t *value);
DP_PUBLIC DP_MUST_USE int dp_hsm_counter_raise(struct dp_hsm *hsm, enum dp_hsm_counter which,
                                               uint64_t value);

/* Side store: AES-256-GCM under the key of a generation; out = nonce 12 || ciphertext || tag 16.
 * DP_ERR_NOT_FOUND: no key of that generation (any more); unwrap: DP_ERR_SIGNATURE when it was not
 * wrapped so, or under other aad. */
#define DP_HSM_WRAP_OVERHEAD 28
DP_PUBLIC DP_MUST_USE int dp_hsm_wrap_generation(struct dp_hsm *hsm, uint32_t *generation);
DP_PUBLIC DP_MUST_USE int dp_hsm_wrap(struct dp_hsm *hsm, uint32_t generation, struct dp_bytes aad,
                                      struct dp_bytes clear, uint8_t *out, size_t max, size_t *n);
DP_PUBLIC DP_MUST_USE int dp_hsm_unwrap(struct dp_hsm *hsm, uint32_t generation,
                                        struct dp_bytes aad, struct dp_bytes wrapped, uint8_t *out,
                                        size_t max, size_t *n);
/* Makes generation + 1 current; both are usable until the old one is destroyed. The current one
 * cannot be destroyed (DP_ERR_STATE). */
DP_PUBLIC DP_MUST_USE int dp_hsm_wrap_rotate(struct dp_hsm *hsm, uint32_t *generation);
DP_PUBLIC DP_MUST_USE int dp_hsm_wrap_destroy(struct dp_hsm *hsm, uint32_t generation);

/* AES DUKPT (ANSI X9.24-3), AES-128. The initial key is used up when it is loaded. Loading again
 * begins another one: its id must differ from the one held (DP_ERR_ROLLBACK). */
#define DP_KSN_BYTES 12 /* initial key id 8, transaction counter 4 */
DP_PUBLIC DP_MUST_USE int dp_hsm_dukpt_load(struct dp_hsm *hsm, const uint8_t initial_key[16],
                                            const uint8_t initial_key_id[8]);
/* The next transaction key: its use is durable before this returns. Requests are MACed with "MAC
 * generation", answers under the same KSN with "MAC verification". mac: AES-CMAC over SHA-256 of
 * the message, 16 bytes. A transaction's keys live until the next dp_hsm_dukpt_next or
 * dp_hsm_free: another ksn is DP_ERR_NOT_FOUND. next: DP_ERR_NOT_FOUND when no initial key was
 * loaded, DP_ERR_LIMIT when it is used up. */
DP_PUBLIC DP_MUST_USE int dp_hsm_dukpt_next(struct dp_hsm *hsm, uint8_t ksn[DP_KSN_BYTES]);
DP_PUBLIC DP_MUST_USE int dp_hsm_dukpt_mac(struct dp_hsm *hsm, const uint8_t ksn[DP_KSN_BYTES],
                                           bool answer, const uint8_t digest[32], uint8_t mac[16]);

/* A known answer from the parts DUKPT is made of, by keys made for it: what is loaded stays as it
 * is. DP_ERR_SIGNATURE: another answer. */
DP_PUBLIC DP_MUST_USE int dp_hsm_dukpt_check(struct dp_hsm *hsm);

#ifdef __cplusplus
}
#endif
#endif
