/* SPDX-License-Identifier: Apache-2.0 */
#include "x509.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define CERTIFICATE_DAYS 3650
#define DAY_S            86400

EVP_PKEY *sim_pem_read_key(const char *path)
{
    FILE *f = fopen(path, "r");
    EVP_PKEY *key;
    if (f == NULL)
        return NULL;
    key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    (void)fclose(f);
    return key;
}

int sim_pem_write_key(EVP_PKEY *key, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), ok;
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (f == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return DP_ERR_IO;
    }
    ok = PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    return fclose(f) == 0 && ok == 1 ? DP_OK : DP_ERR_IO;
}

int sim_ec_make(const char *path, EVP_PKEY **out)
{
    *out = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    return *out == NULL ? DP_ERR_CRYPTO : sim_pem_write_key(*out, path);
}

int sim_ec_point(EVP_PKEY *key, uint8_t point[65])
{
    size_t n = 0;
    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, 65, &n) != 1)
        return DP_ERR_CRYPTO;
    return n == 65 ? DP_OK : DP_ERR_FORMAT;
}

int sim_ec_sign(EVP_PKEY *key, const uint8_t *message, size_t n, uint8_t signature[64])
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    uint8_t der[128];
    const uint8_t *at = der;
    size_t der_n = sizeof der;
    ECDSA_SIG *sig = NULL;
    int err = DP_ERR_CRYPTO;
    if (c != NULL && EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestSign(c, der, &der_n, message, n) == 1)
        sig = d2i_ECDSA_SIG(NULL, &at, (long)der_n);
    if (sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, 32) == 32 &&
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + 32, 32) == 32)
        err = DP_OK;
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(c);
    return err;
}

/* ---- certificates ---- */

static int extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX c;
    X509_EXTENSION *e;
    int ok;
    X509V3_set_ctx_nodb(&c);
    X509V3_set_ctx(&c, issuer, cert, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
    ok = e != NULL && X509_add_ext(cert, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

static int extensions(X509 *cert, X509 *issuer, enum sim_certificate kind)
{
    int ok = extend(cert, issuer, NID_subject_key_identifier, "hash");
    if (kind == SIM_CERTIFICATE_CA)
        return ok && extend(cert, issuer, NID_basic_constraints, "critical,CA:TRUE") &&
               extend(cert, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    const bool server = kind != SIM_CERTIFICATE_CLIENT;
    ok = ok && extend(cert, issuer, NID_authority_key_identifier, "keyid") &&
         extend(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
         extend(cert, issuer, NID_key_usage, "critical,digitalSignature") &&
         extend(cert, issuer, NID_ext_key_usage, server ? "serverAuth" : "clientAuth");
    if (server)
        ok = ok && extend(cert, issuer, NID_subject_alt_name,
                          kind == SIM_CERTIFICATE_SERVER_ELSEWHERE
                              ? "DNS:elsewhere.test,IP:192.0.2.1"
                              : "DNS:acquirer.test,DNS:localhost,IP:127.0.0.1");
    return ok;
}

static int name(X509 *cert, const char *common_name)
{
    X509_NAME *n = X509_get_subject_name(cert);
    return X509_NAME_add_entry_by_txt(n, "O", MBSTRING_ASC, (const unsigned char *)"doorpay test",
                                      -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const unsigned char *)common_name,
                                      -1, -1, 0) == 1;
}

static int serial(X509 *cert)
{
    uint8_t bytes[8];
    BIGNUM *bn = NULL;
    int ok = RAND_bytes(bytes, sizeof bytes) == 1;
    bytes[0] = (uint8_t)((bytes[0] & 0x7F) | 1);
    bn = BN_bin2bn(bytes, sizeof bytes, NULL);
    ok = ok && bn != NULL && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert)) != NULL;
    BN_free(bn);
    return ok;
}

static int write_certificate(X509 *cert, const char *path)
{
    FILE *f = fopen(path, "w");
    int ok;
    if (f == NULL)
        return DP_ERR_IO;
    ok = PEM_write_X509(f, cert);
    return fclose(f) == 0 && ok == 1 ? DP_OK : DP_ERR_IO;
}

int sim_certify(EVP_PKEY *subject, const char *common_name, enum sim_certificate kind, X509 *issuer,
                EVP_PKEY *issuer_key, const char *path)
{
    X509 *cert = X509_new();
    X509 *signer = issuer != NULL ? issuer : cert;
    int days = kind == SIM_CERTIFICATE_SERVER_EXPIRED ? -1 : CERTIFICATE_DAYS;
    int err = DP_ERR_CRYPTO;
    if (cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 && serial(cert) &&
        X509_gmtime_adj(X509_getm_notBefore(cert), -2 * DAY_S) != NULL &&
        X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, NULL) != NULL &&
        X509_set_pubkey(cert, subject) == 1 && name(cert, common_name) &&
        X509_set_issuer_name(cert, X509_get_subject_name(signer)) == 1 &&
        extensions(cert, signer, kind) && X509_sign(cert, issuer_key, EVP_sha256()) > 0)
        err = write_certificate(cert, path);
    X509_free(cert);
    return err;
}

X509 *sim_pem_read_certificate(const char *path)
{
    FILE *f = fopen(path, "r");
    X509 *cert;
    if (f == NULL)
        return NULL;
    cert = PEM_read_X509(f, NULL, NULL, NULL);
    (void)fclose(f);
    return cert;
}

EVP_PKEY *sim_csr_read(const char *path)
{
    FILE *f = fopen(path, "r");
    X509_REQ *request;
    EVP_PKEY *key = NULL;
    if (f == NULL)
        return NULL;
    request = PEM_read_X509_REQ(f, NULL, NULL, NULL);
    (void)fclose(f);
    if (request != NULL)
        key = X509_REQ_get_pubkey(request);
    if (key != NULL && X509_REQ_verify(request, key) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    X509_REQ_free(request);
    return key;
}
