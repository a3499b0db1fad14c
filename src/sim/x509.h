/* SPDX-License-Identifier: Apache-2.0 */
/* P-256 keys, and X.509 certificates for the acquirer's TLS. */
#ifndef DP_SIM_X509_H
#define DP_SIM_X509_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <doorpay/base.h>

/* NULL when the file is not there or holds no private key. The caller frees. */
EVP_PKEY *sim_pem_read_key(const char *path);
DP_MUST_USE int sim_pem_write_key(EVP_PKEY *key, const char *path);

/* A new P-256 key to path; the caller frees *out. */
DP_MUST_USE int sim_ec_make(const char *path, EVP_PKEY **out);
/* The uncompressed public point. */
DP_MUST_USE int sim_ec_point(EVP_PKEY *key, uint8_t point[65]);
/* ES256 as COSE has it: r and s, 32 bytes each. */
DP_MUST_USE int sim_ec_sign(EVP_PKEY *key, const uint8_t *message, size_t n, uint8_t signature[64]);

enum sim_certificate {
    SIM_CERTIFICATE_CA,
    SIM_CERTIFICATE_SERVER,
    SIM_CERTIFICATE_SERVER_EXPIRED,   /* yesterday */
    SIM_CERTIFICATE_SERVER_ELSEWHERE, /* of another name and address */
    SIM_CERTIFICATE_CLIENT
};
/* Signs a certificate for subject's public key and writes it. issuer NULL: signed by itself. */
DP_MUST_USE int sim_certify(EVP_PKEY *subject, const char *common_name, enum sim_certificate kind,
                            X509 *issuer, EVP_PKEY *issuer_key, const char *path);
/* NULL when unreadable. The caller frees. */
X509 *sim_pem_read_certificate(const char *path);
/* The public key of a certificate request whose own signature verifies, else NULL. */
EVP_PKEY *sim_csr_read(const char *path);

#endif
