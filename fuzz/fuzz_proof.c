/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A proof from a file or as text (first byte 'D'). What is read is written again byte for byte, and
 * nothing is proven but what the device of the seeds signed: its journal, and of that what it was.
 */
#include <stdint.h>
#include <string.h>

#include <doorpay/journal.h>

#include "base/assert.h"
#include "journal/body.h"
#include "proof_seed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void text_comes_back(const uint8_t *p, size_t n)
{
    static char text[DP_PROOF_TEXT_MAX];
    static uint8_t again[DP_PROOF_BYTES_MAX];
    size_t again_n = 0;
    DP_ASSERT(dp_proof_to_text(p, n, text, sizeof text) == DP_OK);
    DP_ASSERT(dp_proof_from_text(text, strlen(text), again, sizeof again, &again_n) == DP_OK);
    DP_ASSERT(again_n == n && memcmp(again, p, n) == 0);
}

static void certificate_is_read(const struct dp_proof *proof)
{
    uint8_t signer[DP_COSE_KID_BYTES], kid[DP_COSE_KID_BYTES];
    struct epoch e;
    if (epoch_certificate_read(proof->certificate.p, proof->certificate.n, proof->journal, &e,
                               signer) != DP_OK)
        return;
    DP_ASSERT(e.certificate_n == proof->certificate.n);
    DP_ASSERT(dp_cose_key_id(e.point, kid) == DP_OK && memcmp(kid, e.kid, sizeof kid) == 0);
}

/* What the seeds' device said cannot be bent: every proof of it is of its journal and root. */
static void only_what_was_signed_is_proven(const struct dp_proof *proof)
{
    const char *rule = NULL;
    uint32_t epoch = 0;
    int err = dp_proof_check(proof, (const uint8_t(*)[65])seed_identity, 1, &epoch, &rule);
    DP_ASSERT((err == DP_OK) == (rule == NULL));
    if (err != DP_OK)
        return;
    DP_ASSERT(epoch == 1 && memcmp(proof->journal, seed_journal, sizeof proof->journal) == 0);
    /* one of the seeds is of its first checkpoint, which covers OPEN alone */
    DP_ASSERT(proof->size == 1 ||
              (proof->size == seed_size && memcmp(proof->root, seed_root, 32) == 0));
    DP_ASSERT(proof->index < proof->size);
    DP_ASSERT(dp_proof_check(proof, NULL, 0, NULL, &rule) == DP_ERR_SIGNATURE && rule != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[DP_PROOF_BYTES_MAX], again[DP_PROOF_BYTES_MAX];
    static struct dp_proof proof;
    size_t n = 0;
    if (size > 0 && data[0] == 'D') {
        if (dp_proof_from_text((const char *)data, size, bytes, sizeof bytes, &n) != DP_OK)
            return 0;
        DP_ASSERT(n <= size);
        data = bytes;
        size = n;
    }
    if (size <= DP_PROOF_BYTES_MAX)
        text_comes_back(data, size);
    if (dp_proof_read(data, size, &proof) != DP_OK)
        return 0;
    DP_ASSERT(dp_proof_write(&proof, again, sizeof again, &n) == DP_OK);
    DP_ASSERT(n == size && memcmp(again, data, n) == 0);
    certificate_is_read(&proof);
    only_what_was_signed_is_proven(&proof);
    return 0;
}
