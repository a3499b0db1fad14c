/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one file that speaks to mbedTLS's TLS. The client's key is not here: it is a key of a PSA
 * location of our own, behind which sign() of the owner stands, so that TLS sees an opaque key and
 * the digest goes to whoever holds the real one.
 */
#include "tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The driver's side of PSA: its tables are filled member by member. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>
#include <psa/crypto_se_driver.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/secret.h"

#define SIGNER_LOCATION 0x44 /* an index of our own among PSA's key locations */
#define SIGNERS_MAX     4
#define POINT           65
#define DIGEST          32
#define SIGNATURE       64

struct tls {
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
    mbedtls_x509_crt authority, own;
    mbedtls_pk_context key;
    char server_name[129];
    bool has_pin, pin_differs, sign_failed, begun;
    uint8_t pin[32], client_public[POINT];
    struct dp_link_ops ops;
    int fd, error;
};

/* ---- the key that is elsewhere ---- */

/*
 * By slot number - 1. A key once made serves the next session that takes its place: PSA writes a
 * file when such a key is destroyed, and this process may have no place to write to.
 */
static struct signer {
    psa_key_id_t key; /* 0: not made yet */
    struct tls *user; /* NULL: free */
} signers[SIGNERS_MAX];
static size_t being_made;

static struct tls *user_of(psa_key_slot_number_t slot)
{
    DP_ASSERT(slot >= 1 && slot <= SIGNERS_MAX && signers[slot - 1].user != NULL);
    return signers[slot - 1].user;
}

static psa_status_t signer_allocate(psa_drv_se_context_t *ctx, void *data,
                                    const psa_key_attributes_t *attributes,
                                    psa_key_creation_method_t method, psa_key_slot_number_t *slot)
{
    (void)ctx;
    (void)data;
    (void)attributes;
    (void)method;
    *slot = being_made + 1;
    return PSA_SUCCESS;
}

static psa_status_t signer_import(psa_drv_se_context_t *ctx, psa_key_slot_number_t slot,
                                  const psa_key_attributes_t *attributes, const uint8_t *p,
                                  size_t n, size_t *bits)
{
    (void)ctx;
    (void)slot;
    (void)attributes;
    (void)p;
    (void)n;
    *bits = 256;
    return PSA_SUCCESS;
}

static psa_status_t signer_public(psa_drv_se_context_t *ctx, psa_key_slot_number_t slot,
                                  uint8_t *out, size_t max, size_t *n)
{
    (void)ctx;
    if (max < POINT)
        return PSA_ERROR_BUFFER_TOO_SMALL;
    memcpy(out, user_of(slot)->client_public, POINT);
    *n = POINT;
    return PSA_SUCCESS;
}

static psa_status_t signer_sign(psa_drv_se_context_t *ctx, psa_key_slot_number_t slot,
                                psa_algorithm_t algorithm, const uint8_t *digest, size_t digest_n,
                                uint8_t *signature, size_t max, size_t *n)
{
    struct tls *t = user_of(slot);
    (void)ctx;
    (void)algorithm;
    if (digest_n != DIGEST || max < SIGNATURE)
        return PSA_ERROR_NOT_SUPPORTED;
    if (t->ops.sign(t->ops.ctx, digest, signature) != DP_OK) {
        t->sign_failed = true;
        return PSA_ERROR_COMMUNICATION_FAILURE;
    }
    *n = SIGNATURE;
    return PSA_SUCCESS;
}

static int register_driver(void)
{
    static psa_drv_se_key_management_t keys = {
        .p_allocate = signer_allocate,
        .p_import = signer_import,
        .p_export_public = signer_public,
    };
    static psa_drv_se_asymmetric_t asymmetric = {.p_sign = signer_sign};
    static psa_drv_se_t driver = {
        .hal_version = PSA_DRV_SE_HAL_VERSION, .key_management = &keys, .asymmetric = &asymmetric};
    psa_status_t status = psa_register_se_driver(SIGNER_LOCATION, &driver);
    return status == PSA_SUCCESS || status == PSA_ERROR_ALREADY_EXISTS ? DP_OK : DP_ERR_CRYPTO;
}

static int make_key(size_t place)
{
    static const uint8_t nothing[1] = {0}; /* the key is not ours to import */
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&a, 256);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_SIGN_HASH);
    psa_set_key_algorithm(&a, PSA_ALG_ECDSA(PSA_ALG_ANY_HASH));
    psa_set_key_lifetime(&a, PSA_KEY_LIFETIME_FROM_PERSISTENCE_AND_LOCATION(
                                 PSA_KEY_PERSISTENCE_VOLATILE, SIGNER_LOCATION));
    being_made = place;
    if (psa_import_key(&a, nothing, sizeof nothing, &signers[place].key) != PSA_SUCCESS)
        return DP_ERR_CRYPTO;
    return DP_OK;
}

static int take_key(struct tls *t)
{
    int err = register_driver();
    size_t place = 0;
    while (place < SIGNERS_MAX && signers[place].user != NULL)
        place++;
    if (place == SIGNERS_MAX)
        return DP_ERR_LIMIT;
    signers[place].user = t;
    if (err == DP_OK && signers[place].key == 0)
        err = make_key(place);
    if (err == DP_OK && mbedtls_pk_setup_opaque(&t->key, signers[place].key) != 0)
        err = DP_ERR_CRYPTO;
    return err;
}

static void give_key_back(const struct tls *t)
{
    for (size_t i = 0; i < SIGNERS_MAX; i++)
        if (signers[i].user == t)
            signers[i].user = NULL;
}

/* ---- the server's certificate ---- */

/* Called for each certificate of the chain; depth 0 is the server's own. */
static int verify(void *ctx, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    struct tls *t = ctx;
    uint8_t digest[DIGEST];
    size_t n = 0;
    if (depth != 0 || !t->has_pin)
        return 0;
    if (psa_hash_compute(PSA_ALG_SHA_256, certificate->pk_raw.p, certificate->pk_raw.len, digest,
                         sizeof digest, &n) != PSA_SUCCESS)
        return MBEDTLS_ERR_X509_FATAL_ERROR;
    if (!dp_equal_ct(digest, t->pin, sizeof digest)) {
        t->pin_differs = true;
        *flags |= MBEDTLS_X509_BADCERT_OTHER;
    }
    return 0;
}

/* ---- the socket ---- */

static int bio_send(void *ctx, const unsigned char *p, size_t n)
{
    const struct tls *t = ctx;
    ssize_t sent;
    do
        sent = send(t->fd, p, n, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? MBEDTLS_ERR_SSL_WANT_WRITE
                                                       : MBEDTLS_ERR_SSL_CONN_EOF;
    return (int)sent;
}

static int bio_receive(void *ctx, unsigned char *p, size_t n)
{
    const struct tls *t = ctx;
    ssize_t got;
    do
        got = recv(t->fd, p, n, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? MBEDTLS_ERR_SSL_WANT_READ
                                                       : MBEDTLS_ERR_SSL_CONN_EOF;
    return got == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : (int)got;
}

/* ---- making ---- */

static int read_certificates(mbedtls_x509_crt *chain, struct dp_bytes b, const char *what)
{
    uint8_t *text = malloc(b.n + 1); /* PEM wants its terminator counted */
    int err;
    if (text == NULL)
        return DP_ERR_NOMEM;
    if (b.n > 0)
        memcpy(text, b.p, b.n);
    text[b.n] = '\0';
    err = mbedtls_x509_crt_parse(chain, text, b.n + 1);
    if (err != 0 && b.n > 0) {
        mbedtls_x509_crt_free(chain);
        mbedtls_x509_crt_init(chain);
        err = mbedtls_x509_crt_parse(chain, text, b.n);
    }
    free(text);
    if (err == 0)
        return DP_OK;
    dp_log(DP_LOG_ERROR, "%s cannot be read as a certificate (-0x%04X)", what, (unsigned)-err);
    return DP_ERR_FORMAT;
}

/* The public point stands last in a SubjectPublicKeyInfo. */
static bool is_for_key(const mbedtls_x509_crt *certificate, const uint8_t point[POINT])
{
    const mbedtls_x509_buf *raw = &certificate->pk_raw;
    return raw->len > POINT && memcmp(raw->p + raw->len - POINT, point, POINT) == 0;
}

/* Only what is for client_public: a file may hold the chain of a key that is to come, or of one
 * that was, before it or behind it (`doorpay key enrol`). A chain is a certificate that is no
 * authority's and the authorities behind it. */
static int keep_own(struct tls *t, mbedtls_x509_crt *file)
{
    const mbedtls_x509_crt *c = file;
    while (c != NULL && !is_for_key(c, t->client_public))
        c = c->next;
    if (c == NULL) {
        dp_log(DP_LOG_ERROR, "the client's certificate is for another key than the key store's");
        return DP_ERR_MISMATCH;
    }
    do {
        if (mbedtls_x509_crt_parse_der(&t->own, c->raw.p, c->raw.len) != 0)
            return DP_ERR_NOMEM; /* it could be read a moment ago */
        c = c->next;
    } while (c != NULL && mbedtls_x509_crt_get_ca_istrue(c) > 0);
    return DP_OK;
}

static int read_own(struct tls *t, struct dp_bytes b)
{
    mbedtls_x509_crt file;
    int err;
    mbedtls_x509_crt_init(&file);
    err = read_certificates(&file, b, "the client's certificate");
    if (err == DP_OK)
        err = keep_own(t, &file);
    mbedtls_x509_crt_free(&file);
    return err;
}

static void configure(struct tls *t, bool only_tls12)
{
    /* 1.2: with SHA-256 alone, so that what is signed is always a digest of 32 bytes */
    static const int suites[] = {MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
                                 MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
                                 MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                                 MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0};
    /* for 1.2 PKCS #1 v1.5 stands before PSS, which the library knows in 1.3 alone */
    static const uint16_t signatures[] = {
        MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
        MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,       MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
        MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,    MBEDTLS_TLS1_3_SIG_NONE};
    static const uint16_t signatures_12[] = {
        MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
        MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256, MBEDTLS_TLS1_3_SIG_NONE};
    mbedtls_ssl_conf_min_tls_version(&t->config, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(&t->config, only_tls12 ? MBEDTLS_SSL_VERSION_TLS1_2
                                                            : MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_ciphersuites(&t->config, suites);
    mbedtls_ssl_conf_sig_algs(&t->config, only_tls12 ? signatures_12 : signatures);
    mbedtls_ssl_conf_authmode(&t->config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&t->config, &t->authority, NULL);
    mbedtls_ssl_conf_verify(&t->config, verify, t);
    mbedtls_ssl_conf_rng(&t->config, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    /* each connection is authorised by a signature of its own: nothing is resumed */
    mbedtls_ssl_conf_session_tickets(&t->config, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
}

static int set_up(struct tls *t, const struct dp_link_config *c)
{
    int err = read_certificates(&t->authority, c->authority, "the acquirer's authority");
    if (err == DP_OK)
        err = read_own(t, c->certificate);
    if (err == DP_OK)
        err = take_key(t);
    if (err < 0)
        return err;
    if (mbedtls_ssl_config_defaults(&t->config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0)
        return DP_ERR_CRYPTO;
    configure(t, c->only_tls12);
    return mbedtls_ssl_conf_own_cert(&t->config, &t->own, &t->key) == 0 ? DP_OK : DP_ERR_CRYPTO;
}

int tls_new(const struct dp_link_config *config, struct tls **out)
{
    struct tls *t = calloc(1, sizeof *t);
    int err;
    if (t == NULL)
        return DP_ERR_NOMEM;
    mbedtls_ssl_config_init(&t->config);
    mbedtls_ssl_init(&t->ssl);
    mbedtls_x509_crt_init(&t->authority);
    mbedtls_x509_crt_init(&t->own);
    mbedtls_pk_init(&t->key);
    t->fd = -1;
    t->has_pin = config->has_pin;
    memcpy(t->pin, config->pin, sizeof t->pin);
    memcpy(t->client_public, config->client_public, sizeof t->client_public);
    (void)snprintf(t->server_name, sizeof t->server_name, "%s", config->server_name);
    t->ops = config->ops;
    err = set_up(t, config);
    if (err < 0)
        tls_free(&t);
    *out = t;
    return err;
}

void tls_free(struct tls **t)
{
    if (*t == NULL)
        return;
    mbedtls_ssl_free(&(*t)->ssl);
    mbedtls_ssl_config_free(&(*t)->config);
    mbedtls_pk_free(&(*t)->key);
    give_key_back(*t);
    mbedtls_x509_crt_free(&(*t)->own);
    mbedtls_x509_crt_free(&(*t)->authority);
    free(*t);
    *t = NULL;
}

/* ---- one session ---- */

int tls_begin(struct tls *t, int fd)
{
    DP_ASSERT(!t->begun && fd >= 0);
    t->fd = fd;
    t->error = 0;
    t->pin_differs = t->sign_failed = false;
    if (mbedtls_ssl_setup(&t->ssl, &t->config) != 0 ||
        mbedtls_ssl_set_hostname(&t->ssl, t->server_name) != 0)
        return DP_ERR_NOMEM;
    mbedtls_ssl_set_bio(&t->ssl, t, bio_send, bio_receive, NULL);
    t->begun = true;
    return DP_OK;
}

void tls_end(struct tls *t)
{
    if (t->begun && t->error == 0)
        (void)mbedtls_ssl_close_notify(&t->ssl); /* a courtesy; it may not get through */
    mbedtls_ssl_free(&t->ssl);
    mbedtls_ssl_init(&t->ssl);
    t->begun = false;
    t->fd = -1;
}

static enum tls_step step_of(struct tls *t, int result)
{
    switch (result) {
    case MBEDTLS_ERR_SSL_WANT_READ:
    case MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET:
        return TLS_WANTS_READ;
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        return TLS_WANTS_WRITE;
    default:
        if (result >= 0)
            return TLS_DONE;
        t->error = result;
        return TLS_FAILED;
    }
}

enum tls_step tls_handshake(struct tls *t)
{
    DP_ASSERT(t->begun);
    return step_of(t, mbedtls_ssl_handshake(&t->ssl));
}

enum tls_step tls_read(struct tls *t, uint8_t *p, size_t max, size_t *n)
{
    int got;
    DP_ASSERT(t->begun && max > 0);
    do
        got = mbedtls_ssl_read(&t->ssl, p, max);
    while (got == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET);
    if (got == 0)
        got = MBEDTLS_ERR_SSL_CONN_EOF;
    *n = got > 0 ? (size_t)got : 0;
    return step_of(t, got);
}

enum tls_step tls_write(struct tls *t, const uint8_t *p, size_t n, size_t *written)
{
    int put;
    DP_ASSERT(t->begun && n > 0);
    put = mbedtls_ssl_write(&t->ssl, p, n);
    *written = put > 0 ? (size_t)put : 0;
    return step_of(t, put);
}

/* ---- why ---- */

static enum dp_link_trouble certificate_trouble(const struct tls *t, const char **words)
{
    uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);
    if (flags == UINT32_MAX)
        flags = 0; /* there was none to verify */
    if ((flags & (MBEDTLS_X509_BADCERT_NOT_TRUSTED | MBEDTLS_X509_BADCERT_REVOKED)) != 0) {
        *words = "the server's certificate comes from no authority we trust";
        return DP_LINK_UNTRUSTED;
    }
    if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0) {
        *words = "the server's certificate has expired";
        return DP_LINK_EXPIRED;
    }
    if ((flags & MBEDTLS_X509_BADCERT_FUTURE) != 0) {
        *words = "the server's certificate is not valid yet (is the clock right?)";
        return DP_LINK_EXPIRED;
    }
    if ((flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0) {
        *words = "the server's certificate bears another name";
        return DP_LINK_WRONG_NAME;
    }
    if (t->pin_differs) {
        *words = "the server's key is not the pinned one";
        return DP_LINK_WRONG_PIN;
    }
    if (flags != 0) {
        *words = "the server's certificate is too weak or not for this use";
        return DP_LINK_UNTRUSTED;
    }
    return DP_LINK_FINE;
}

static const char *handshake_words(int error)
{
    switch (error) {
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return "the server refused the handshake (it may not accept our certificate)";
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return "the server closed the connection in the handshake (it may not accept our "
               "certificate)";
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
        return "the server offers neither TLS 1.2 nor 1.3";
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
        return "the server does not speak TLS";
    default:
        return "the handshake failed";
    }
}

enum dp_link_trouble tls_trouble(const struct tls *t, char words[DP_LINK_WORDS])
{
    const char *text = NULL;
    bool closed =
        t->error == MBEDTLS_ERR_SSL_CONN_EOF || t->error == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
    enum dp_link_trouble trouble;
    if (mbedtls_ssl_is_handshake_over((mbedtls_ssl_context *)(uintptr_t)&t->ssl) != 0) {
        trouble = DP_LINK_CLOSED;
        text = closed ? "the peer closed the connection"
               : t->error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE
                   ? "the server ended the connection (it may not accept our certificate)"
                   : "the connection broke";
    } else {
        trouble = certificate_trouble(t, &text);
        if (trouble == DP_LINK_FINE && t->sign_failed) {
            trouble = DP_LINK_NOT_SIGNED;
            text = "the key store did not sign for the client's certificate";
        } else if (trouble == DP_LINK_FINE) {
            trouble = DP_LINK_HANDSHAKE;
            text = handshake_words(t->error);
        }
    }
    (void)snprintf(words, DP_LINK_WORDS, "%s (-0x%04X)", text, (unsigned)-t->error);
    return trouble;
}
