/* SPDX-License-Identifier: Apache-2.0 */
#include "emvcert.h"

#include <string.h>

#include <openssl/sha.h>

#include "pack.h"

enum {
    HEADER = 0x6A,
    TRAILER = 0xBC,
    PADDING = 0xBB,
    FORMAT_ISSUER = 2,
    FORMAT_STATIC = 3,
    FORMAT_ICC = 4,
    FORMAT_DYNAMIC = 5,
    HASH_SHA1 = 1,
    ALGORITHM_RSA = 1
};

/* Header, body, hash over body and what follows it, trailer; then the private key. */
static int sign(const struct sim_rsa *key, const struct sim_buf *body, const struct sim_buf *more,
                uint8_t *out)
{
    uint8_t block[SIM_RSA_BYTES_MAX];
    static struct sim_buf hashed;
    if (body->n != key->n - 22)
        return DP_ERR_RANGE;
    hashed.n = 0;
    sim_put(&hashed, body->p, body->n);
    sim_put(&hashed, more->p, more->n);
    block[0] = HEADER;
    memcpy(block + 1, body->p, body->n);
    SHA1(hashed.p, hashed.n, block + 1 + body->n);
    block[key->n - 1] = TRAILER;
    return sim_rsa_sign(key, block, out);
}

/* Modulus as far as it fits, padded; the rest is the remainder. Both ends of each certificate. */
static int certify(const struct sim_rsa *signer, const struct sim_rsa *subject,
                   struct sim_buf *body, const uint8_t *static_data, size_t static_n,
                   struct sim_emv_certificate *out)
{
    static struct sim_buf more;
    size_t room, fits;
    sim_put_u8(body, HASH_SHA1);
    sim_put_u8(body, ALGORITHM_RSA);
    sim_put_u8(body, (uint8_t)subject->n);
    sim_put_u8(body, (uint8_t)subject->exponent_n);
    if (subject->n > signer->n || signer->n < 22 + body->n)
        return DP_ERR_RANGE;
    room = signer->n - 22 - body->n;
    fits = subject->n < room ? subject->n : room;
    sim_put(body, subject->modulus, fits);
    sim_put_fill(body, PADDING, room - fits);
    out->n = signer->n;
    out->remainder_n = subject->n - fits;
    memcpy(out->remainder, subject->modulus + fits, out->remainder_n);
    out->exponent_n = subject->exponent_n;
    memcpy(out->exponent, subject->exponent, subject->exponent_n);
    more.n = 0;
    sim_put(&more, out->remainder, out->remainder_n);
    sim_put(&more, out->exponent, out->exponent_n);
    sim_put(&more, static_data, static_n);
    return sign(signer, body, &more, out->certificate);
}

static void put_expiry_and_serial(struct sim_buf *body, uint8_t serial)
{
    sim_put_u8(body, SIM_CERT_EXPIRY_MM);
    sim_put_u8(body, SIM_CERT_EXPIRY_YY);
    sim_put_u16(body, 0);
    sim_put_u8(body, serial);
}

int sim_issuer_certificate(const struct sim_rsa *ca, const struct sim_rsa *issuer,
                           const uint8_t issuer_id[4], struct sim_emv_certificate *out)
{
    static struct sim_buf body;
    body.n = 0;
    sim_put_u8(&body, FORMAT_ISSUER);
    sim_put(&body, issuer_id, 4);
    put_expiry_and_serial(&body, 1);
    return certify(ca, issuer, &body, NULL, 0, out);
}

int sim_icc_certificate(const struct sim_rsa *issuer, const struct sim_rsa *icc,
                        const uint8_t pan[10], const uint8_t *static_data, size_t static_n,
                        struct sim_emv_certificate *out)
{
    static struct sim_buf body;
    body.n = 0;
    sim_put_u8(&body, FORMAT_ICC);
    sim_put(&body, pan, 10);
    put_expiry_and_serial(&body, 2);
    return certify(issuer, icc, &body, static_data, static_n, out);
}

int sim_sign_static(const struct sim_rsa *issuer, const uint8_t dac[2], const uint8_t *static_data,
                    size_t static_n, uint8_t *out)
{
    static struct sim_buf body, more;
    body.n = more.n = 0;
    sim_put_u8(&body, FORMAT_STATIC);
    sim_put_u8(&body, HASH_SHA1);
    sim_put(&body, dac, 2);
    sim_put_fill(&body, PADDING, issuer->n - 26);
    sim_put(&more, static_data, static_n);
    return sign(issuer, &body, &more, out);
}

int sim_sign_dynamic(const struct sim_rsa *icc, const uint8_t *dynamic, size_t dynamic_n,
                     const uint8_t *terminal, size_t terminal_n, uint8_t *out)
{
    static struct sim_buf body, more;
    if (dynamic_n > icc->n - 25)
        return DP_ERR_RANGE;
    body.n = more.n = 0;
    sim_put_u8(&body, FORMAT_DYNAMIC);
    sim_put_u8(&body, HASH_SHA1);
    sim_put_u8(&body, (uint8_t)dynamic_n);
    sim_put(&body, dynamic, dynamic_n);
    sim_put_fill(&body, PADDING, icc->n - 25 - dynamic_n);
    sim_put(&more, terminal, terminal_n);
    return sign(icc, &body, &more, out);
}
