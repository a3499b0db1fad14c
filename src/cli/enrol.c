/* SPDX-License-Identifier: Apache-2.0 */
#include "enrol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/x509_crt.h>

#include "base/assert.h"

#define SPKI_BYTES 91

/* ---- reading ---- */

/* One certificate or more; none may be unreadable. */
static int read_chain(struct dp_bytes b, mbedtls_x509_crt *out)
{
    unsigned char *text;
    int bad;
    if (b.n == 0 || b.n > ENROL_FILE_MAX)
        return DP_ERR_FORMAT;
    text = malloc(b.n + 1); /* PEM wants its terminator counted */
    if (text == NULL)
        return DP_ERR_NOMEM;
    memcpy(text, b.p, b.n);
    text[b.n] = '\0';
    bad = mbedtls_x509_crt_parse(out, text, b.n + 1);
    if (bad < 0) {
        mbedtls_x509_crt_free(out);
        mbedtls_x509_crt_init(out);
        bad = mbedtls_x509_crt_parse_der(out, text, b.n);
    }
    free(text);
    return bad == 0 ? DP_OK : DP_ERR_FORMAT;
}

/* ---- what it is for ---- */

/* The whole SubjectPublicKeyInfo of a P-256 point (RFC 5480, 2). */
static bool is_of(const mbedtls_x509_crt *c, const uint8_t point[65])
{
    static const uint8_t head[SPKI_BYTES - 65] = {
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01,
        0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
    return c->pk_raw.len == SPKI_BYTES && memcmp(c->pk_raw.p, head, sizeof head) == 0 &&
           memcmp(c->pk_raw.p + sizeof head, point, 65) == 0;
}

/* One common name, and that the terminal id. */
static bool is_named(const mbedtls_x509_crt *c, const char *tid)
{
    unsigned names = 0, right = 0;
    for (const mbedtls_x509_name *n = &c->subject; n != NULL; n = n->next) {
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) != 0)
            continue;
        names++;
        right += n->val.len == strlen(tid) && memcmp(n->val.p, tid, n->val.len) == 0 ? 1 : 0;
    }
    return names == 1 && right == 1;
}

/* For signing in a handshake, as a client, and for nothing that issues certificates. */
static const char *wrong_use(const mbedtls_x509_crt *c)
{
    if (mbedtls_x509_crt_get_ca_istrue(c) > 0)
        return "it is an authority's: it could issue others";
    if (mbedtls_x509_crt_has_ext_type(c, MBEDTLS_X509_EXT_KEY_USAGE) == 0 ||
        mbedtls_x509_crt_check_key_usage(c, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0)
        return "its key usage is not digital signature";
    if (mbedtls_x509_crt_has_ext_type(c, MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE) == 0 ||
        mbedtls_x509_crt_check_extended_key_usage(c, MBEDTLS_OID_CLIENT_AUTH,
                                                  MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) != 0)
        return "its extended key usage is not TLS client authentication";
    return NULL;
}

static int check_fit(const mbedtls_x509_crt *c, const struct enrol_wanted *wanted,
                     enum enrol_key *key, char why[ENROL_WHY_MAX])
{
    const char *wrong;
    *key = wanted->has_next && is_of(c, wanted->next) ? ENROL_NEXT : ENROL_CURRENT;
    if (*key == ENROL_CURRENT && !is_of(c, wanted->current)) {
        (void)snprintf(why, ENROL_WHY_MAX,
                       "it is for another key than the key store's TLS client "
                       "key, or the one that is to follow it");
        return DP_ERR_MISMATCH;
    }
    if (!is_named(c, wanted->tid)) {
        (void)snprintf(why, ENROL_WHY_MAX, "its subject is not the terminal %s", wanted->tid);
        return DP_ERR_MISMATCH;
    }
    wrong = wrong_use(c);
    if (wrong != NULL)
        (void)snprintf(why, ENROL_WHY_MAX, "%s", wrong);
    return wrong != NULL ? DP_ERR_MISMATCH : DP_OK;
}

/* ---- where it comes from ---- */

static int check_chain(mbedtls_x509_crt *c, struct dp_bytes authority, char why[ENROL_WHY_MAX])
{
    mbedtls_x509_crt ca;
    uint32_t flags = 0;
    int err = DP_OK, bad;
    mbedtls_x509_crt_init(&ca);
    if (read_chain(authority, &ca) != DP_OK) {
        (void)snprintf(why, ENROL_WHY_MAX, "the authority's own file holds no certificate");
        err = DP_ERR_FORMAT;
        goto out;
    }
    bad = mbedtls_x509_crt_verify(c, &ca, NULL, NULL, &flags, NULL, NULL);
    if (bad == 0)
        goto out;
    err = DP_ERR_SIGNATURE;
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) {
        (void)snprintf(why, ENROL_WHY_MAX, "it does not come from the authority named");
    } else if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0) {
        (void)snprintf(why, ENROL_WHY_MAX, "it, or what it comes from, has expired");
        err = DP_ERR_EXPIRED;
    } else if ((flags & MBEDTLS_X509_BADCERT_FUTURE) != 0) {
        (void)snprintf(why, ENROL_WHY_MAX,
                       "it, or what it comes from, is not valid yet (is the clock right?)");
        err = DP_ERR_EXPIRED;
    } else {
        (void)snprintf(why, ENROL_WHY_MAX,
                       "it, or what it comes from, is too weak to be relied on");
    }
out:
    mbedtls_x509_crt_free(&ca);
    return err;
}

/* ---- how it is kept ---- */

static int write_chain(const mbedtls_x509_crt *c, char *pem, size_t max)
{
    size_t at = 0;
    for (; c != NULL; c = c->next) {
        size_t n = 0;
        if (mbedtls_pem_write_buffer("-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n",
                                     c->raw.p, c->raw.len, (unsigned char *)pem + at, max - at,
                                     &n) != 0)
            return DP_ERR_SPACE;
        DP_ASSERT(n > 1 && n <= max - at); /* its terminator is counted */
        at += n - 1;
    }
    return DP_OK;
}

int enrol_check(struct dp_bytes certificate, const struct enrol_wanted *wanted, enum enrol_key *key,
                char *pem, size_t pem_max, char why[ENROL_WHY_MAX])
{
    mbedtls_x509_crt c;
    int err;
    why[0] = '\0';
    mbedtls_x509_crt_init(&c);
    err = read_chain(certificate, &c);
    if (err < 0)
        (void)snprintf(why, ENROL_WHY_MAX, "it cannot be read as a certificate");
    if (err == DP_OK)
        err = check_fit(&c, wanted, key, why);
    if (err == DP_OK)
        err = check_chain(&c, wanted->authority, why);
    if (err == DP_OK)
        err = write_chain(&c, pem, pem_max);
    if (err == DP_ERR_SPACE)
        (void)snprintf(why, ENROL_WHY_MAX, "its chain is longer than is kept");
    mbedtls_x509_crt_free(&c);
    DP_ASSERT((err == DP_OK) == (why[0] == '\0'));
    return err;
}
