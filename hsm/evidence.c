/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a TPM says of its anchor, read without a TPM: TPMS_ATTEST of TPM2_NV_Certify (TPM 2.0
 * Library, Part 2, "Attestation Structures"), and the name of the index it speaks of.
 */
#include <string.h>

#include <doorpay/hsm.h>
#include <psa/crypto.h>

#include "base/assert.h"
#include "base/reader.h"
#include "base/writer.h"
#include "p256.h"

#define MAGIC      0xFF544347U /* made by a TPM, of what is its own */
#define NV_CERTIFY 0x8014U
#define SHA256     0x000BU
#define NAME       34 /* an algorithm and its hash */
#define NV_FIRST   0x01800000U
/* attributes of the anchor's index: read and written by its authorisation value, not under the
 * lockout, of the type extend, and written once at least */
#define ATTRIBUTES (1U << 18 | 1U << 2 | 1U << 25 | 4U << 4 | 1U << 29)
#define PUBLIC     14 /* bytes of the index's public area */

static int hash(const uint8_t *p, size_t n, uint8_t out[32])
{
    size_t got = 0;
    return psa_hash_compute(PSA_ALG_SHA_256, p, n, out, 32, &got) == PSA_SUCCESS ? DP_OK
                                                                                 : DP_ERR_CRYPTO;
}

/* A counted element that must have this size. */
static void read_sized(struct dp_reader *r, uint8_t *out, uint16_t n)
{
    if (dp_read_u16(r) != n)
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    dp_read_copy(r, out, n);
}

static void read_head(struct dp_reader *r, struct dp_hsm_attested *out)
{
    uint8_t safe;
    if (dp_read_u32(r) != MAGIC || dp_read_u16(r) != NV_CERTIFY)
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
    dp_read_skip(r, dp_read_u16(r)); /* the signer's name: its key is known by its point */
    read_sized(r, out->nonce, sizeof out->nonce);
    out->clock_ms = dp_read_u64(r);
    out->resets = dp_read_u32(r);
    out->restarts = dp_read_u32(r);
    safe = dp_read_u8(r);
    if (safe > 1)
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    out->clock_safe = safe == 1;
    out->firmware = dp_read_u64(r);
}

int dp_hsm_evidence_read(const struct dp_hsm_evidence *evidence, struct dp_hsm_attested *out)
{
    struct dp_reader r;
    uint8_t digest[32];
    int err;
    memset(out, 0, sizeof *out);
    if (evidence->attest_n > sizeof evidence->attest)
        return DP_ERR_LIMIT;
    err = hash(evidence->attest, evidence->attest_n, digest);
    if (err == DP_OK)
        err = p256_verify(evidence->key, digest, evidence->signature);
    if (err < 0)
        return err;
    dp_reader_init(&r, evidence->attest, evidence->attest_n);
    read_head(&r, out);
    read_sized(&r, out->index, sizeof out->index);
    if (dp_read_u16(&r) != 0) /* the contents from their beginning */
        (void)dp_reader_fail(&r, DP_ERR_RANGE);
    read_sized(&r, out->value, sizeof out->value);
    err = dp_reader_finish(&r);
    if (err < 0)
        memset(out, 0, sizeof *out);
    return err;
}

/* TPMS_NV_PUBLIC: handle, hash algorithm of the name, attributes, no policy, 32 bytes of contents.
 */
int dp_hsm_evidence_index(uint32_t base, uint8_t index[34])
{
    uint8_t public_[PUBLIC];
    struct dp_writer w;
    dp_writer_init(&w, public_, sizeof public_);
    dp_write_u32(&w, NV_FIRST + base);
    dp_write_u16(&w, SHA256);
    dp_write_u32(&w, ATTRIBUTES);
    dp_write_u16(&w, 0);
    dp_write_u16(&w, 32);
    DP_ASSERT(w.err == DP_OK && w.n == sizeof public_);
    index[0] = SHA256 >> 8;
    index[1] = SHA256 & 0xFF;
    return hash(public_, sizeof public_, index + 2);
}
