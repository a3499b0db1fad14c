/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON file of scheme keys, as people find them: what is taken can be a key of EMV. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <psa/crypto.h>

#include "base/assert.h"
#include "cli/ca_keys.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    DP_ASSERT(psa_crypto_init() == PSA_SUCCESS);
    return 0;
}

static void count(void *ctx, const char *line)
{
    DP_ASSERT(line != NULL && strlen(line) < 256);
    (*(size_t *)ctx)++;
}

static void check(const struct dp_emv_ca_key *k)
{
    DP_ASSERT(k->modulus_n >= 64 && k->modulus_n <= DP_EMV_RSA_BYTES_MAX);
    DP_ASSERT(k->exponent == 3 || k->exponent == 65537);
    DP_ASSERT(k->expiry >= 20000101 && k->expiry <= 99991231);
    DP_ASSERT(k->expiry % 100 >= 1 && k->expiry % 100 <= 31);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ca_keys keys;
    size_t reported = 0;
    int err = ca_keys_load((const char *)data, size, &keys, count, &reported);
    DP_ASSERT(keys.n <= DP_EMV_CA_KEYS_MAX && (err == DP_OK || keys.n == 0));
    DP_ASSERT(err != DP_ERR_FORMAT || reported > 0);
    if (err == DP_OK)
        DP_ASSERT(reported == (size_t)keys.refused + keys.too_long + keys.unhashed);
    for (size_t i = 0; i < keys.n; i++)
        check(&keys.keys[i]);
    return 0;
}
