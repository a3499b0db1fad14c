/* SPDX-License-Identifier: Apache-2.0 */
/* Raw RSA with EMV's key sizes, by libcrypto's big numbers. */
#ifndef DP_SIM_RSA_H
#define DP_SIM_RSA_H

#include <doorpay/base.h>

#define SIM_RSA_BYTES_MAX 248

struct sim_rsa {
    uint8_t modulus[SIM_RSA_BYTES_MAX], private_exponent[SIM_RSA_BYTES_MAX];
    size_t n; /* bytes of the modulus */
    uint8_t exponent[3];
    size_t exponent_n;
};

/* A new key, written to a PEM file. exponent: 3 or 65537. */
DP_MUST_USE int sim_rsa_make(unsigned bits, unsigned exponent, const char *pem_path);
/* DP_ERR_IO: no such file; DP_ERR_FORMAT: no RSA private key of a length EMV allows. */
DP_MUST_USE int sim_rsa_load(const char *pem_path, struct sim_rsa *key);
/* in and out are key->n bytes. */
DP_MUST_USE int sim_rsa_sign(const struct sim_rsa *key, const uint8_t *in, uint8_t *out);
DP_MUST_USE int sim_rsa_recover(const struct sim_rsa *key, const uint8_t *in, uint8_t *out);
void sim_rsa_wipe(struct sim_rsa *key);

#endif
