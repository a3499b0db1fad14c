/* SPDX-License-Identifier: Apache-2.0 */
/* The one file that knows big numbers; PSA has no message recovery. */
#include "rsa.h"

#include <string.h>

#include <mbedtls/bignum.h>

#include "base/assert.h"

bool emv_rsa_key_valid(const struct oda_key *key)
{
    DP_ASSERT(key->modulus_n <= sizeof key->modulus);
    return key->modulus_n >= ODA_RSA_BYTES_MIN && key->modulus[0] != 0 &&
           key->modulus[key->modulus_n - 1] % 2 == 1 &&
           (key->exponent == 3 || key->exponent == 65537);
}

static int power(const struct oda_key *key, mbedtls_mpi *value, mbedtls_mpi *result)
{
    mbedtls_mpi modulus, exponent;
    int err = DP_ERR_CRYPTO;
    mbedtls_mpi_init(&modulus);
    mbedtls_mpi_init(&exponent);
    if (mbedtls_mpi_read_binary(&modulus, key->modulus, key->modulus_n) != 0 ||
        mbedtls_mpi_lset(&exponent, (mbedtls_mpi_sint)key->exponent) != 0)
        goto out;
    if (mbedtls_mpi_cmp_mpi(value, &modulus) >= 0)
        err = DP_ERR_SIGNATURE;
    else if (mbedtls_mpi_exp_mod(result, value, &exponent, &modulus, NULL) == 0)
        err = DP_OK;
out:
    mbedtls_mpi_free(&exponent);
    mbedtls_mpi_free(&modulus);
    return err;
}

int emv_rsa_recover(const struct oda_key *key, const uint8_t *in, size_t n, uint8_t *out)
{
    mbedtls_mpi value, result;
    int err = DP_ERR_CRYPTO;
    DP_ASSERT(in != NULL && out != NULL);
    memset(out, 0, n);
    if (!emv_rsa_key_valid(key) || n != key->modulus_n)
        return DP_ERR_SIGNATURE;
    mbedtls_mpi_init(&value);
    mbedtls_mpi_init(&result);
    if (mbedtls_mpi_read_binary(&value, in, n) == 0)
        err = power(key, &value, &result);
    if (err == DP_OK && mbedtls_mpi_write_binary(&result, out, n) != 0)
        err = DP_ERR_CRYPTO;
    mbedtls_mpi_free(&result);
    mbedtls_mpi_free(&value);
    return err;
}
