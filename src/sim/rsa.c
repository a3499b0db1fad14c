/* SPDX-License-Identifier: Apache-2.0 */
#include "rsa.h"

#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "x509.h"

int sim_rsa_make(unsigned bits, unsigned exponent, const char *pem_path)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BIGNUM *e = BN_new();
    EVP_PKEY *key = NULL;
    int err = DP_ERR_CRYPTO;
    if (c != NULL && e != NULL && BN_set_word(e, exponent) == 1 && EVP_PKEY_keygen_init(c) == 1 &&
        EVP_PKEY_CTX_set_rsa_keygen_bits(c, (int)bits) == 1 &&
        EVP_PKEY_CTX_set1_rsa_keygen_pubexp(c, e) == 1 && EVP_PKEY_keygen(c, &key) == 1)
        err = sim_pem_write_key(key, pem_path);
    EVP_PKEY_free(key);
    BN_free(e);
    EVP_PKEY_CTX_free(c);
    return err;
}

static int parts(EVP_PKEY *pkey, struct sim_rsa *key)
{
    BIGNUM *n = NULL, *e = NULL, *d = NULL;
    int err = DP_ERR_FORMAT;
    if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
        EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
        EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_D, &d) == 1 &&
        BN_num_bytes(n) <= SIM_RSA_BYTES_MAX && BN_num_bytes(e) <= 3) {
        key->n = (size_t)BN_num_bytes(n);
        key->exponent_n = (size_t)BN_num_bytes(e);
        if (BN_bn2binpad(n, key->modulus, (int)key->n) > 0 &&
            BN_bn2binpad(d, key->private_exponent, (int)key->n) > 0 &&
            BN_bn2bin(e, key->exponent) > 0)
            err = DP_OK;
    }
    BN_free(n);
    BN_free(e);
    BN_clear_free(d);
    return err;
}

int sim_rsa_load(const char *pem_path, struct sim_rsa *key)
{
    EVP_PKEY *pkey = sim_pem_read_key(pem_path);
    int err;
    memset(key, 0, sizeof *key);
    if (pkey == NULL)
        return DP_ERR_IO;
    err = EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA ? parts(pkey, key) : DP_ERR_FORMAT;
    EVP_PKEY_free(pkey);
    return err;
}

static int power(const struct sim_rsa *key, const uint8_t *exponent, size_t exponent_n,
                 const uint8_t *in, uint8_t *out)
{
    BN_CTX *c = BN_CTX_new();
    BIGNUM *x = BN_bin2bn(in, (int)key->n, NULL), *e = BN_bin2bn(exponent, (int)exponent_n, NULL);
    BIGNUM *n = BN_bin2bn(key->modulus, (int)key->n, NULL), *y = BN_new();
    int err = DP_ERR_CRYPTO;
    if (c != NULL && x != NULL && e != NULL && n != NULL && y != NULL && BN_cmp(x, n) < 0 &&
        BN_mod_exp(y, x, e, n, c) == 1 && BN_bn2binpad(y, out, (int)key->n) == (int)key->n)
        err = DP_OK;
    BN_free(x);
    BN_clear_free(e);
    BN_free(n);
    BN_free(y);
    BN_CTX_free(c);
    return err;
}

int sim_rsa_sign(const struct sim_rsa *key, const uint8_t *in, uint8_t *out)
{
    return power(key, key->private_exponent, key->n, in, out);
}

int sim_rsa_recover(const struct sim_rsa *key, const uint8_t *in, uint8_t *out)
{
    return power(key, key->exponent, key->exponent_n, in, out);
}

void sim_rsa_wipe(struct sim_rsa *key)
{
    OPENSSL_cleanse(key, sizeof *key);
}
