/* SPDX-License-Identifier: Apache-2.0 */
#include "hash.h"

#include <psa/crypto.h>

int hash_parts(const struct dp_bytes *parts, size_t count, uint8_t out[HASH_BYTES])
{
    psa_hash_operation_t op = PSA_HASH_OPERATION_INIT;
    size_t n = 0;
    if (psa_hash_setup(&op, PSA_ALG_SHA_256) != PSA_SUCCESS)
        goto failed;
    for (size_t i = 0; i < count; i++)
        if (psa_hash_update(&op, parts[i].p, parts[i].n) != PSA_SUCCESS)
            goto failed;
    if (psa_hash_finish(&op, out, HASH_BYTES, &n) != PSA_SUCCESS || n != HASH_BYTES)
        goto failed;
    return DP_OK;
failed:
    (void)psa_hash_abort(&op);
    return DP_ERR_CRYPTO;
}

int hash_extend(const uint8_t before[HASH_BYTES], const uint8_t digest[HASH_BYTES],
                uint8_t out[HASH_BYTES])
{
    const struct dp_bytes parts[] = {{before, HASH_BYTES}, {digest, HASH_BYTES}};
    return hash_parts(parts, 2, out);
}
