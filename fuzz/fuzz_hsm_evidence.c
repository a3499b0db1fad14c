/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TPM's word on its anchor. First byte: even, the rest is what was signed, and is signed here, so
 * that the reader behind the signature is met; odd, it is a key (65), a signature (64) and what
 * they are said to be of.
 */
#include <stdint.h>
#include <string.h>

#include <doorpay/hsm.h>
#include <psa/crypto.h>

#include "base/assert.h"
#include "hsm/p256.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t scalar[32] = {1, 2, 3, 4, 5, 6, 7, 8};
static uint8_t point[65];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    DP_ASSERT(psa_crypto_init() == PSA_SUCCESS && p256_public(scalar, point) == DP_OK);
    return 0;
}

/* What is accepted says where it says it: nonce and value are bytes of what was signed. */
static void check(const struct dp_hsm_evidence *e, int err, const struct dp_hsm_attested *a)
{
    static const struct dp_hsm_attested nothing;
    if (err != DP_OK) {
        DP_ASSERT(memcmp(a, &nothing, sizeof nothing) == 0);
        return;
    }
    DP_ASSERT(e->attest_n > 32 && memcmp(e->attest, "\xFFTCG\x80\x14", 6) == 0);
    DP_ASSERT(memcmp(e->attest + e->attest_n - 32, a->value, 32) == 0);
    DP_ASSERT(memmem(e->attest, e->attest_n, a->nonce, 32) != NULL);
    DP_ASSERT(memmem(e->attest, e->attest_n, a->index, 34) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dp_hsm_evidence e;
    struct dp_hsm_attested a;
    uint8_t digest[32];
    size_t n = 0;
    memset(&e, 0, sizeof e);
    if (size == 0)
        return 0;
    if (data[0] % 2 == 1) {
        if (size < 1 + 65 + 64 || size - 130 > sizeof e.attest)
            return 0;
        memcpy(e.key, data + 1, 65);
        memcpy(e.signature, data + 66, 64);
        e.attest_n = (uint16_t)(size - 130);
        memcpy(e.attest, data + 130, size - 130);
    } else {
        if (size - 1 > sizeof e.attest)
            return 0;
        e.attest_n = (uint16_t)(size - 1);
        memcpy(e.attest, data + 1, size - 1);
        memcpy(e.key, point, 65);
        DP_ASSERT(psa_hash_compute(PSA_ALG_SHA_256, e.attest, e.attest_n, digest, 32, &n) ==
                  PSA_SUCCESS);
        DP_ASSERT(p256_sign(scalar, digest, e.signature) == DP_OK);
    }
    check(&e, dp_hsm_evidence_read(&e, &a), &a);
    return 0;
}
