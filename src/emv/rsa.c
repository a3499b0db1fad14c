/* SPDX-License-Identifier: Apache-2.0 */
/* The one file that knows raw RSA; PSA has no message recovery. */
#include "rsa.h"

#include <string.h>

#include <mbedtls/rsa.h>

#include "base/assert.h"

bool emv_rsa_key_valid(const struct oda_key *key)
{
    DP_ASSERT(key->modulus_n <= sizeof key->modulus);
    return key->modulus_n >= ODA_RSA_BYTES_MIN && key->modulus[0] != 0 &&
           key->modulus[key->modulus_n - 1] % 2 == 1 &&
           (key->exponent == 3 || key->exponent == 65537);
}

int emv_rsa_recover(const struct oda_key *key, const uint8_t *in, size_t n, uint8_t *out)
{
    const uint8_t exponent[] = {(uint8_t)(key->exponent >> 16), (uint8_t)(key->exponent >> 8),
                                (uint8_t)key->exponent};
    mbedtls_rsa_context rsa;
    int failed;
    DP_ASSERT(in != NULL);
    DP_ASSERT(out != NULL);
    memset(out, 0, n);
    /* a value that is not below the modulus nobody signed */
    if (!emv_rsa_key_valid(key) || n != key->modulus_n || memcmp(in, key->modulus, n) >= 0)
        return DP_ERR_SIGNATURE;
    mbedtls_rsa_init(&rsa);
    failed = mbedtls_rsa_import_raw(&rsa, key->modulus, n, NULL, 0, NULL, 0, NULL, 0, exponent,
                                    sizeof exponent);
    if (failed == 0)
        failed = mbedtls_rsa_complete(&rsa);
    if (failed == 0)
        failed = mbedtls_rsa_public(&rsa, in, out);
    mbedtls_rsa_free(&rsa);
    if (failed != 0)
        memset(out, 0, n);
    return failed != 0 ? DP_ERR_CRYPTO : DP_OK;
}
