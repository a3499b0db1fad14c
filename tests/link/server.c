/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/link/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- certificates ---- */

static X509 *certificate(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key,
                         long from_s, long to_s, bool is_ca)
{
    static long serial;
    X509 *c = X509_new();
    X509V3_CTX ctx;
    X509_EXTENSION *e;
    char san[128];
    assert_non_null(c);
    assert_true(X509_set_version(c, 2) == 1);
    assert_true(ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial) == 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(c), from_s));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(c), to_s));
    assert_true(X509_set_pubkey(c, key) == 1);
    assert_true(X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                                           (const unsigned char *)name, -1, -1, 0) == 1);
    assert_true(X509_set_issuer_name(c, X509_get_subject_name(issuer == NULL ? c : issuer)) == 1);
    X509V3_set_ctx(&ctx, issuer == NULL ? c : issuer, c, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, NID_basic_constraints,
                            is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    assert_true(e != NULL && X509_add_ext(c, e, -1) == 1);
    X509_EXTENSION_free(e);
    if (!is_ca) {
        (void)snprintf(san, sizeof san, "DNS:%s", name);
        e = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, san);
        assert_true(e != NULL && X509_add_ext(c, e, -1) == 1);
        X509_EXTENSION_free(e);
    }
    assert_true(X509_sign(c, issuer_key, EVP_sha256()) > 0);
    return c;
}

static void to_pem(X509 *c, char *out, size_t max)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *p = NULL;
    long n;
    assert_true(b != NULL && PEM_write_bio_X509(b, c) == 1);
    n = BIO_get_mem_data(b, &p);
    assert_true(n > 0 && (size_t)n < max);
    memcpy(out, p, (size_t)n);
    out[n] = '\0';
    (void)BIO_free(b);
}

void pki_make(struct pki *k, const char *name, long from_s, long to_s, bool rsa)
{
    unsigned char *der = NULL;
    size_t n = 0;
    int der_n;
    memset(k, 0, sizeof *k);
    k->ca_key = EVP_EC_gen("P-256");
    k->client_key = EVP_EC_gen("P-256");
    k->server_key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    assert_true(k->ca_key != NULL && k->client_key != NULL && k->server_key != NULL);
    k->ca = certificate(k->ca_key, "Test authority", NULL, k->ca_key, -3600, 86400, true);
    k->server = certificate(k->server_key, name, k->ca, k->ca_key, from_s, to_s, false);
    k->client = certificate(k->client_key, "T0000001", k->ca, k->ca_key, -3600, 86400, false);
    to_pem(k->ca, k->ca_pem, sizeof k->ca_pem);
    to_pem(k->client, k->client_pem, sizeof k->client_pem);
    assert_int_equal(
        EVP_PKEY_get_octet_string_param(k->client_key, "pub", k->client_public, 65, &n), 1);
    assert_int_equal(n, 65);
    der_n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(k->server), &der);
    assert_true(der_n > 0);
    assert_non_null(SHA256(der, (size_t)der_n, k->server_pin));
    OPENSSL_free(der);
}

void pki_free(struct pki *k)
{
    X509_free(k->ca);
    X509_free(k->server);
    X509_free(k->client);
    EVP_PKEY_free(k->ca_key);
    EVP_PKEY_free(k->server_key);
    EVP_PKEY_free(k->client_key);
    memset(k, 0, sizeof *k);
}

void pki_sign(const struct pki *k, const uint8_t digest[32], uint8_t signature[64])
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k->client_key, NULL);
    unsigned char der[80];
    const unsigned char *p = der;
    size_t n = sizeof der;
    ECDSA_SIG *sig;
    assert_true(ctx != NULL && EVP_PKEY_sign_init(ctx) == 1);
    assert_int_equal(EVP_PKEY_sign(ctx, der, &n, digest, 32), 1);
    sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
    assert_non_null(sig);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + 32, 32), 32);
    ECDSA_SIG_free(sig);
    EVP_PKEY_CTX_free(ctx);
}

/* ---- the server's process ---- */

static bool read_all(SSL *ssl, uint8_t *p, size_t n)
{
    while (n > 0) {
        int got = SSL_read(ssl, p, (int)n);
        if (got <= 0)
            return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

static bool answer(SSL *ssl, const uint8_t *frame, size_t n, enum behaviour b, int connection)
{
    uint8_t twice[2 * 2050], many[10000] = {0};
    if (b == SLOW)
        (void)poll(NULL, 0, 200);
    if (b == CLOSE_IN_FRAME && connection == 0) {
        (void)SSL_write(ssl, frame, (int)(n / 2));
        return false;
    }
    for (size_t i = 0; i < sizeof many; i += 2000) {
        many[i] = 1998 >> 8;
        many[i + 1] = 1998 & 0xFF;
    }
    for (int i = 0; b == MANY_AT_ONCE && i < 6; i++)
        if (SSL_write(ssl, many, sizeof many) <= 0)
            return false;
    if (b == MANY_AT_ONCE)
        return true;
    if (b == TWO_IN_ONE) {
        memcpy(twice, frame, n);
        memcpy(twice + n, frame, n);
        return SSL_write(ssl, twice, (int)(2 * n)) > 0;
    }
    if (b != ECHO_BYTE_BY_BYTE)
        return SSL_write(ssl, frame, (int)n) > 0;
    for (size_t i = 0; i < n; i++)
        if (SSL_write(ssl, frame + i, 1) != 1)
            return false;
    return true;
}

static void converse(SSL *ssl, enum behaviour b, int connection)
{
    static const uint8_t too_long[] = {0x08, 0x01, 1, 2, 3}, empty[] = {0, 0},
                         both[] = {0, 1, 'x', 0, 0};
    uint8_t frame[2 + 2048];
    if (b == CLOSE_FIRST && connection == 0)
        return;
    if (b == SEND_TOO_LONG)
        (void)SSL_write(ssl, too_long, sizeof too_long);
    if (b == SEND_EMPTY)
        (void)SSL_write(ssl, empty, sizeof empty);
    if (b == GOOD_AND_EMPTY)
        (void)SSL_write(ssl, both, sizeof both);
    while (b == NO_READING)
        (void)poll(NULL, 0, 1000);
    for (;;) {
        size_t n;
        if (!read_all(ssl, frame, 2))
            return;
        n = (size_t)frame[0] << 8 | frame[1];
        if (n == 0 || n > 2048 || !read_all(ssl, frame + 2, n) ||
            !answer(ssl, frame, n + 2, b, connection))
            return;
    }
}

static void serve(int listener, SSL_CTX *ctx, enum behaviour b)
{
    static const char http[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    static const int on = 1;
    for (int connection = 0;; connection++) {
        int fd = accept(listener, NULL, NULL);
        SSL *ssl = SSL_new(ctx);
        if (fd < 0 || ssl == NULL)
            _exit(1);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        while (b == NEVER_SHAKES_HANDS)
            (void)poll(NULL, 0, 1000);
        if (b == SLOW)
            (void)poll(NULL, 0, 200);
        if (b == SPEAKS_HTTP)
            (void)!write(fd, http, sizeof http - 1);
        (void)SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1)
            converse(ssl, b, connection);
        (void)SSL_shutdown(ssl);
        SSL_free(ssl);
        (void)close(fd);
    }
}

void server_start(struct server *s, const struct pki *k, enum behaviour behaviour, bool tls13)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    int version = tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;
    assert_true(listener >= 0 && ctx != NULL);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &n), 0);
    (void)snprintf(s->port, sizeof s->port, "%u", ntohs(a.sin_port));
    assert_true(SSL_CTX_set_min_proto_version(ctx, version) == 1);
    assert_true(SSL_CTX_set_max_proto_version(ctx, version) == 1);
    assert_true(SSL_CTX_use_certificate(ctx, k->server) == 1);
    assert_true(SSL_CTX_use_PrivateKey(ctx, k->server_key) == 1);
    assert_true(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), k->ca) == 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        (void)signal(SIGPIPE, SIG_IGN);
        serve(listener, ctx, behaviour);
    }
    SSL_CTX_free(ctx);
    (void)close(listener);
}

void server_stop(struct server *s)
{
    if (s->pid <= 0)
        return;
    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
    s->pid = 0;
}
