/* SPDX-License-Identifier: Apache-2.0 */
#include "csr.h"

#include <string.h>

#include <mbedtls/asn1write.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <psa/crypto.h>

#include "base/assert.h"

#define TID_CHARACTERS 8
#define DER_MAX        512

/* DER is written from its end to its beginning: at is the first byte written, floor the first there
 * is room for. The first failure stays. */
struct der {
    unsigned char *at, *floor;
    size_t n; /* written */
    int err;
};

static void add(struct der *d, int written)
{
    if (written < 0)
        d->err = DP_ERR_INTERNAL; /* DER_MAX is too small */
    else if (d->err == DP_OK)
        d->n += (size_t)written;
}

/* Puts the head of an element before what was written since `since`. */
static void wrap(struct der *d, size_t since, unsigned char tag)
{
    add(d, mbedtls_asn1_write_len(&d->at, d->floor, d->n - since));
    add(d, mbedtls_asn1_write_tag(&d->at, d->floor, tag));
}

static void raw(struct der *d, const void *p, size_t n)
{
    add(d, mbedtls_asn1_write_raw_buffer(&d->at, d->floor, p, n));
}

static void oid(struct der *d, const char *p, size_t n)
{
    add(d, mbedtls_asn1_write_oid(&d->at, d->floor, p, n));
}

#define SEQUENCE (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)
#define SET      (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SET)

/* A bit string of whole bytes around what was written since. */
static void wrap_bits(struct der *d, size_t since)
{
    static const unsigned char no_unused_bits = 0;
    raw(d, &no_unused_bits, 1);
    wrap(d, since, MBEDTLS_ASN1_BIT_STRING);
}

/* RFC 5480, 2: id-ecPublicKey on prime256v1. */
static void public_key(struct der *d, const uint8_t point[65])
{
    size_t start = d->n, inner;
    raw(d, point, 65);
    wrap_bits(d, start);
    inner = d->n;
    oid(d, MBEDTLS_OID_EC_GRP_SECP256R1, MBEDTLS_OID_SIZE(MBEDTLS_OID_EC_GRP_SECP256R1));
    oid(d, MBEDTLS_OID_EC_ALG_UNRESTRICTED, MBEDTLS_OID_SIZE(MBEDTLS_OID_EC_ALG_UNRESTRICTED));
    wrap(d, inner, SEQUENCE);
    wrap(d, start, SEQUENCE);
}

static void subject(struct der *d, const char *tid)
{
    size_t start = d->n;
    raw(d, tid, TID_CHARACTERS);
    wrap(d, start, MBEDTLS_ASN1_UTF8_STRING);
    oid(d, MBEDTLS_OID_AT_CN, MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_CN));
    wrap(d, start, SEQUENCE);
    wrap(d, start, SET);
    wrap(d, start, SEQUENCE);
}

/* RFC 2986, 4.1: CertificationRequestInfo, without attributes. */
static void request_info(struct der *d, const char *tid, const uint8_t point[65])
{
    size_t start = d->n;
    wrap(d, d->n, MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED);
    public_key(d, point);
    subject(d, tid);
    add(d, mbedtls_asn1_write_int(&d->at, d->floor, 0));
    wrap(d, start, SEQUENCE);
}

/* A positive INTEGER from 32 bytes. */
static void integer(struct der *d, const uint8_t p[32])
{
    static const unsigned char zero = 0;
    size_t start = d->n, skip = 0;
    while (skip < 31 && p[skip] == 0)
        skip++;
    raw(d, p + skip, 32 - skip);
    if ((p[skip] & 0x80) != 0)
        raw(d, &zero, 1);
    wrap(d, start, MBEDTLS_ASN1_INTEGER);
}

/* RFC 5758, 3.2: ecdsa-with-SHA256, and the signature as Ecdsa-Sig-Value. */
static void signature(struct der *d, const uint8_t sig[64])
{
    size_t start = d->n, algorithm;
    integer(d, sig + 32);
    integer(d, sig);
    wrap(d, start, SEQUENCE);
    wrap_bits(d, start);
    algorithm = d->n;
    oid(d, MBEDTLS_OID_ECDSA_SHA256, MBEDTLS_OID_SIZE(MBEDTLS_OID_ECDSA_SHA256));
    wrap(d, algorithm, SEQUENCE);
}

static void begin(struct der *d, unsigned char *buffer)
{
    d->floor = buffer;
    d->at = buffer + DER_MAX;
    d->n = 0;
    d->err = DP_OK;
}

/* The request's own part is signed, so it is written twice: to be hashed, and into the whole. */
static int sign_info(struct dp_hsm *hsm, enum dp_hsm_key key, const char *tid,
                     const uint8_t point[65], uint8_t sig[64])
{
    unsigned char buffer[DER_MAX];
    uint8_t digest[32];
    size_t n = 0;
    struct der d;
    begin(&d, buffer);
    request_info(&d, tid, point);
    if (d.err < 0)
        return d.err;
    if (psa_hash_compute(PSA_ALG_SHA_256, d.at, d.n, digest, sizeof digest, &n) != PSA_SUCCESS)
        return DP_ERR_CRYPTO;
    return dp_hsm_sign(hsm, key, digest, sig);
}

bool csr_tid_ok(const char *tid)
{
    if (strlen(tid) != TID_CHARACTERS)
        return false;
    for (const char *c = tid; *c != '\0'; c++)
        if (*c < 0x20 || *c > 0x7E)
            return false;
    return true;
}

int csr_make(struct dp_hsm *hsm, enum dp_hsm_key key, const char *tid, char pem[CSR_PEM_MAX])
{
    unsigned char buffer[DER_MAX];
    uint8_t point[65], sig[64];
    size_t n = 0;
    struct der d;
    int err;
    DP_ASSERT(key == DP_KEY_TLS_CLIENT || key == DP_KEY_TLS_NEXT);
    if (!csr_tid_ok(tid))
        return DP_ERR_ARG;
    err = dp_hsm_public(hsm, key, point);
    if (err == DP_OK)
        err = sign_info(hsm, key, tid, point, sig);
    if (err < 0)
        return err;
    begin(&d, buffer);
    signature(&d, sig);
    request_info(&d, tid, point);
    wrap(&d, 0, SEQUENCE);
    if (d.err < 0)
        return d.err;
    DP_ASSERT(d.at == buffer + DER_MAX - d.n);
    return mbedtls_pem_write_buffer("-----BEGIN CERTIFICATE REQUEST-----\n",
                                    "-----END CERTIFICATE REQUEST-----\n", d.at, d.n,
                                    (unsigned char *)pem, CSR_PEM_MAX, &n) == 0
               ? DP_OK
               : DP_ERR_INTERNAL;
}
