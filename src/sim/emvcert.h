/* SPDX-License-Identifier: Apache-2.0 */
/* EMV's signatures with message recovery: issuer and card certificates, signed static and dynamic
 * data (EMV 4.4 Book 2, sections 5 and 6). SHA-1, as the books have it. */
#ifndef DP_SIM_EMVCERT_H
#define DP_SIM_EMVCERT_H

#include "rsa.h"

#define SIM_CERT_EXPIRY_MM 0x12
#define SIM_CERT_EXPIRY_YY 0x49

/* A certificate as the card carries it. */
struct sim_emv_certificate {
    uint8_t certificate[SIM_RSA_BYTES_MAX]; /* 90 or 9F46 */
    size_t n;
    uint8_t remainder[SIM_RSA_BYTES_MAX]; /* 92 or 9F48; remainder_n 0: not needed */
    size_t remainder_n;
    uint8_t exponent[3]; /* 9F32 or 9F47 */
    size_t exponent_n;
};

/* DP_ERR_RANGE: key longer than the signer's. issuer_id: leftmost digits of the PAN, F padded. */
DP_MUST_USE int sim_issuer_certificate(const struct sim_rsa *ca, const struct sim_rsa *issuer,
                                       const uint8_t issuer_id[4], struct sim_emv_certificate *out);
/* pan: 10 bytes, F padded; static_data: the signed records and, by 9F4A, the AIP. */
DP_MUST_USE int sim_icc_certificate(const struct sim_rsa *issuer, const struct sim_rsa *icc,
                                    const uint8_t pan[10], const uint8_t *static_data,
                                    size_t static_n, struct sim_emv_certificate *out);
/* Signed static application data (93), issuer->n bytes. */
DP_MUST_USE int sim_sign_static(const struct sim_rsa *issuer, const uint8_t dac[2],
                                const uint8_t *static_data, size_t static_n, uint8_t *out);
/* Signed dynamic application data (9F4B), icc->n bytes: over the ICC dynamic data, which stands in
 * the signature, and the terminal's. DP_ERR_RANGE when the dynamic data is too long. */
DP_MUST_USE int sim_sign_dynamic(const struct sim_rsa *icc, const uint8_t *dynamic,
                                 size_t dynamic_n, const uint8_t *terminal, size_t terminal_n,
                                 uint8_t *out);

#endif
