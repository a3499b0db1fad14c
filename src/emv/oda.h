/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offline data authentication: from the scheme's key to the issuer's, to the card's, to what the
 * card signed (EMV 4.4 Book 2, sections 5 and 6; kernel 3's fast DDA). Pure functions over byte
 * strings; all of them return
 *   DP_OK             authenticated, and the result is whole
 *   DP_ERR_SIGNATURE  not authenticated: *why says at which check, in static words of at most 47
 *                     characters, and the result is all zeros
 *   DP_ERR_CRYPTO     our own cryptography failed; likewise
 * psa_crypto_init must have been called. Everything the functions meet is public.
 */
#ifndef DP_EMV_ODA_H
#define DP_EMV_ODA_H

#include <doorpay/emv.h>

#include "base/limits.h"

#define ODA_RSA_BYTES_MIN 64 /* 512 bit */

/* What the terminal has and what it read. A value the card has not is empty. */
struct oda_input {
    const struct dp_emv_ca_key *ca_keys;
    size_t ca_keys_n;
    const struct dp_emv_revoked *revoked;
    size_t revoked_n;
    uint8_t rid[5], index; /* first bytes of the AID; 8F */
    struct dp_bytes issuer_certificate /* 90 */, issuer_remainder /* 92 */;
    struct dp_bytes issuer_exponent /* 9F32 */;
    struct dp_bytes icc_certificate /* 9F46 */, icc_remainder /* 9F48 */;
    struct dp_bytes icc_exponent /* 9F47 */;
    /* the records the AFL names for it, one after another, then the values of the tags of 9F4A */
    struct dp_bytes signed_records;
    struct dp_bytes ssad; /* 93 */
    const char *pan;      /* digits of 5A */
    uint32_t date;        /* today, YYYYMMDD */
};

/* A public key, out of a certificate. */
struct oda_key {
    uint8_t modulus[DP_EMV_RSA_BYTES_MAX];
    uint16_t modulus_n;
    uint32_t exponent; /* 3 or 65537 */
};

/* What a dynamic signature tells. */
struct oda_dynamic {
    uint8_t number[8];     /* ICC dynamic number, 9F4C */
    uint8_t number_n;      /* 2..8 */
    uint8_t cryptogram[8]; /* CDA: application cryptogram, 9F26 */
};

DP_MUST_USE int oda_issuer_key(const struct oda_input *in, struct oda_key *issuer,
                               const char **why);
DP_MUST_USE int oda_icc_key(const struct oda_input *in, const struct oda_key *issuer,
                            struct oda_key *icc, const char **why);
/* Signed static application data; dac becomes 9F45. */
DP_MUST_USE int oda_sda(const struct oda_input *in, const struct oda_key *issuer, uint8_t dac[2],
                        const char **why);
/* sdad: 9F4B of INTERNAL AUTHENTICATE; ddol_values: what was sent to the card. */
DP_MUST_USE int oda_dda(const struct oda_key *icc, struct dp_bytes sdad,
                        struct dp_bytes ddol_values, struct oda_dynamic *out, const char **why);

/* GENERATE AC, as the terminal saw it. */
struct oda_cda_input {
    uint8_t cid;   /* 9F27 of the answer */
    uint8_t un[4]; /* 9F37 the terminal sent */
    /* values sent for PDOL, CDOL1 and, at the second, CDOL2; then the answer's objects as they
     * came, without 9F4B */
    struct dp_bytes transaction_data;
};
DP_MUST_USE int oda_cda(const struct oda_key *icc, struct dp_bytes sdad,
                        const struct oda_cda_input *in, struct oda_dynamic *out, const char **why);

/* GET PROCESSING OPTIONS of kernel 3. Version 01 alone: version 00 signs neither amount nor CTQ. */
struct oda_fdda_input {
    uint8_t un[4], amount[6], currency[2]; /* 9F37, 9F02, 5F2A the terminal sent */
    struct dp_bytes card_data;             /* 9F69 */
    struct dp_bytes ctq;                   /* 9F6C: must be the one in 9F69 */
};
DP_MUST_USE int oda_fdda(const struct oda_key *icc, struct dp_bytes sdad,
                         const struct oda_fdda_input *in, struct oda_dynamic *out,
                         const char **why);

/*
 * The same from the recovered block on, without the RSA: what is reached only with a key that
 * signs. block is as long as the signer's modulus.
 */
DP_MUST_USE DP_PARSES int oda_issuer_block(const struct oda_input *in, struct dp_bytes block,
                                           struct oda_key *issuer, const char **why);
DP_MUST_USE DP_PARSES int oda_icc_block(const struct oda_input *in, struct dp_bytes block,
                                        struct oda_key *icc, const char **why);
DP_MUST_USE DP_PARSES int oda_sda_block(const struct oda_input *in, struct dp_bytes block,
                                        uint8_t dac[2], const char **why);
DP_MUST_USE DP_PARSES int oda_dda_block(struct dp_bytes block, struct dp_bytes ddol_values,
                                        struct oda_dynamic *out, const char **why);
DP_MUST_USE DP_PARSES int oda_cda_block(struct dp_bytes block, const struct oda_cda_input *in,
                                        struct oda_dynamic *out, const char **why);
DP_MUST_USE DP_PARSES int oda_fdda_block(struct dp_bytes block, const struct oda_fdda_input *in,
                                         struct oda_dynamic *out, const char **why);

#endif
