/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay-sim keys: every test key and certificate in one directory; docs/sim.md lists the files.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/hex.h"
#include "base/log.h"
#include "dukpt.h"
#include "emvcert.h"
#include "pack.h"
#include "sim.h"
#include "x509.h"

#define PATH_SIZE 4096
#define CA_EXPIRY "20491231"

static const uint8_t rid[5] = {0xA0, 0x00, 0x00, 0x09, 0x99};
/* Test BINs all begin with these digits. */
static const uint8_t issuer_id[4] = {0x99, 0x99, 0xFF, 0xFF};

/* One line of keys: scheme CA, the issuer's under it, the card's under that. */
static const struct chain {
    uint8_t index;
    unsigned exponent, ca_bits, issuer_bits, icc_bits;
} chains[] = {
    {0x01, 3, 1408, 1152, 1024},
    {0x02, 65537, 1408, 1152, 1024},
    {0x03, 3, 1984, 1984, 1408},
    {0x04, 65537, 1152, 1024, 1024},
};
#define CHAINS (sizeof chains / sizeof *chains)

struct options {
    const char *out, *sign_csr, *tid, *certificate, *dukpt;
    unsigned bits;
    bool json;
};

static void say(const char *what, int err)
{
    dp_log(DP_LOG_ERROR, "%s: %s", what, dp_strerr(err));
}

/* ---- EMV ---- */

static const char *numbered(char *out, const char *dir, const char *kind, unsigned index,
                            const char *end)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s-%02X.%s", kind, index, end);
    return sim_path(out, PATH_SIZE, dir, name);
}

static void ca_line(const struct chain *c, const struct sim_rsa *ca, char *out, size_t out_n)
{
    struct sim_buf *b = calloc(1, sizeof *b);
    char modulus[2 * SIM_RSA_BYTES_MAX + 1], hash[2 * SHA_DIGEST_LENGTH + 1];
    uint8_t digest[SHA_DIGEST_LENGTH];
    if (b == NULL)
        abort();
    sim_put(b, rid, sizeof rid);
    sim_put_u8(b, c->index);
    sim_put(b, ca->modulus, ca->n);
    sim_put(b, ca->exponent, ca->exponent_n);
    SHA1(b->p, b->n, digest);
    free(b);
    (void)snprintf(out, out_n, "A000000999 %02X %s %u " CA_EXPIRY " %s\n", c->index,
                   dp_hex_encode(ca->modulus, ca->n, modulus, sizeof modulus), c->exponent,
                   dp_hex_encode(digest, sizeof digest, hash, sizeof hash));
}

static int write_issuer_certificate(const struct sim_emv_certificate *c, uint8_t index,
                                    const char *path)
{
    char text[2048], a[2 * SIM_RSA_BYTES_MAX + 1], b[2 * SIM_RSA_BYTES_MAX + 1], e[7];
    int n = snprintf(text, sizeof text, "8F %02X\n90 %s\n92 %s\n9F32 %s\n", index,
                     dp_hex_encode(c->certificate, c->n, a, sizeof a),
                     dp_hex_encode(c->remainder, c->remainder_n, b, sizeof b),
                     dp_hex_encode(c->exponent, c->exponent_n, e, sizeof e));
    return sim_write_file(path, text, (size_t)n, false);
}

static int make_chain(const char *dir, const struct chain *c, unsigned issuer_bits, char *line,
                      size_t line_n)
{
    char path[PATH_SIZE];
    struct sim_rsa ca, issuer;
    struct sim_emv_certificate certificate;
    int err = sim_rsa_make(c->ca_bits, c->exponent, numbered(path, dir, "ca", c->index, "pem"));
    if (err == DP_OK)
        err = sim_rsa_load(path, &ca);
    if (err == DP_OK)
        err =
            sim_rsa_make(issuer_bits, c->exponent, numbered(path, dir, "issuer", c->index, "pem"));
    if (err == DP_OK)
        err = sim_rsa_load(path, &issuer);
    if (err == DP_OK)
        err = sim_rsa_make(c->icc_bits, c->exponent, numbered(path, dir, "icc", c->index, "pem"));
    if (err == DP_OK)
        err = sim_issuer_certificate(&ca, &issuer, issuer_id, &certificate);
    if (err == DP_OK)
        err = write_issuer_certificate(&certificate, c->index,
                                       numbered(path, dir, "issuer", c->index, "cert"));
    if (err == DP_OK)
        ca_line(c, &ca, line, line_n);
    return err;
}

static int make_emv(const struct options *o)
{
    char path[PATH_SIZE], lines[CHAINS * 1024] = "";
    size_t n = 0;
    int err = DP_OK;
    for (size_t i = 0; i < CHAINS && err == DP_OK; i++) {
        unsigned bits = i < 2 ? o->bits : chains[i].issuer_bits;
        err = make_chain(o->out, &chains[i], bits, lines + n, sizeof lines - n);
        n = strlen(lines);
    }
    return err != DP_OK
               ? err
               : sim_write_file(sim_path(path, sizeof path, o->out, "ca.keys"), lines, n, false);
}

/* ---- symmetric keys and P-256 ---- */

static int make_secrets(const char *dir)
{
    static const char *const names[] = {"issuer-ac.hex", "issuer-mac.hex", "issuer-enc.hex",
                                        "bdk.hex", "exceptions.hex"};
    char path[PATH_SIZE];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint8_t key[32];
        size_t n = strcmp(names[i], "exceptions.hex") == 0 ? 32 : 16;
        int err;
        if (RAND_bytes(key, sizeof key) != 1)
            return DP_ERR_RANDOM;
        err = sim_write_hex_file(sim_path(path, sizeof path, dir, names[i]), key, n, true);
        if (err != DP_OK)
            return err;
    }
    return DP_OK;
}

static int make_point_key(const char *dir, const char *pem, const char *pub)
{
    char path[PATH_SIZE];
    uint8_t point[65];
    EVP_PKEY *key = NULL;
    int err = sim_ec_make(sim_path(path, sizeof path, dir, pem), &key);
    if (err == DP_OK)
        err = sim_ec_point(key, point);
    if (err == DP_OK)
        err = sim_write_hex_file(sim_path(path, sizeof path, dir, pub), point, 65, false);
    EVP_PKEY_free(key);
    return err;
}

/* ---- TLS ---- */

static int make_ca(const char *dir, const char *stem, const char *common_name)
{
    char key_path[PATH_SIZE], cert_path[PATH_SIZE], name[64];
    EVP_PKEY *key = NULL;
    int err;
    (void)snprintf(name, sizeof name, "%s.key", stem);
    err = sim_ec_make(sim_path(key_path, sizeof key_path, dir, name), &key);
    (void)snprintf(name, sizeof name, "%s.pem", stem);
    if (err == DP_OK)
        err = sim_certify(key, common_name, SIM_CERTIFICATE_CA, NULL, key,
                          sim_path(cert_path, sizeof cert_path, dir, name));
    EVP_PKEY_free(key);
    return err;
}

static int certify_by(const char *dir, const char *stem, EVP_PKEY *subject, const char *common_name,
                      enum sim_certificate kind, const char *path)
{
    char ca_path[PATH_SIZE], key_path[PATH_SIZE], name[64];
    X509 *ca;
    EVP_PKEY *ca_key;
    int err = DP_ERR_IO;
    (void)snprintf(name, sizeof name, "%s.pem", stem);
    ca = sim_pem_read_certificate(sim_path(ca_path, sizeof ca_path, dir, name));
    (void)snprintf(name, sizeof name, "%s.key", stem);
    ca_key = sim_pem_read_key(sim_path(key_path, sizeof key_path, dir, name));
    if (ca != NULL && ca_key != NULL)
        err = sim_certify(subject, common_name, kind, ca, ca_key, path);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
    return err;
}

/* The server's certificate, and those a terminal must refuse. All but tls-other are of one key, so
 * that a pinned key alone does not tell them apart. */
static const struct server {
    const char *name, *ca;
    enum sim_certificate kind;
    bool own_key;
} servers[] = {
    {"tls-server", "tls-ca", SIM_CERTIFICATE_SERVER, true},
    {"tls-other", "tls-ca", SIM_CERTIFICATE_SERVER, true},
    {"tls-expired", "tls-ca", SIM_CERTIFICATE_SERVER_EXPIRED, false},
    {"tls-elsewhere", "tls-ca", SIM_CERTIFICATE_SERVER_ELSEWHERE, false},
    {"tls-untrusted", "client-ca", SIM_CERTIFICATE_SERVER, false},
};

static int make_server(const char *dir, const struct server *s)
{
    char path[PATH_SIZE], name[64];
    EVP_PKEY *key = NULL;
    int err = DP_OK;
    (void)snprintf(name, sizeof name, "%s.key", s->own_key ? s->name : servers[0].name);
    (void)sim_path(path, sizeof path, dir, name);
    if (s->own_key)
        err = sim_ec_make(path, &key);
    else if ((key = sim_pem_read_key(path)) == NULL)
        err = DP_ERR_IO;
    (void)snprintf(name, sizeof name, "%s.pem", s->name);
    if (err == DP_OK)
        err = certify_by(dir, s->ca, key, "acquirer.test", s->kind,
                         sim_path(path, sizeof path, dir, name));
    EVP_PKEY_free(key);
    return err;
}

static int make_tls(const char *dir)
{
    int err = make_ca(dir, "tls-ca", "doorpay test acquirer CA");
    if (err == DP_OK)
        err = make_ca(dir, "client-ca", "doorpay test terminal CA");
    for (size_t i = 0; i < sizeof servers / sizeof *servers && err == DP_OK; i++)
        err = make_server(dir, &servers[i]);
    return err;
}

/* ---- what can be asked ---- */

static int make_all(const struct options *o)
{
    char path[PATH_SIZE];
    int err;
    if (mkdir(o->out, 0700) != 0 && errno != EEXIST) {
        dp_log(DP_LOG_ERROR, "%s: %s", o->out, strerror(errno));
        return SIM_FAILED;
    }
    if (access(sim_path(path, sizeof path, o->out, "ca.keys"), F_OK) == 0) {
        dp_log(DP_LOG_ERROR, "%s already holds keys: choose another directory", o->out);
        return SIM_FAILED;
    }
    err = make_secrets(o->out);
    if (err == DP_OK)
        err = make_point_key(o->out, "seal.pem", "seal.pub");
    if (err == DP_OK)
        err = make_point_key(o->out, "params.pem", "params.pub");
    if (err == DP_OK)
        err = make_point_key(o->out, "collector.pem", "collector.pub");
    if (err == DP_OK)
        err = make_tls(o->out);
    if (err == DP_OK)
        err = make_emv(o);
    if (err != DP_OK) {
        say(o->out, err);
        return SIM_FAILED;
    }
    (void)printf(o->json ? "{\"keys\":\"%s\"}\n" : "keys: %s\n", o->out);
    return SIM_DONE;
}

static int sign_csr(const struct options *o)
{
    EVP_PKEY *key = sim_csr_read(o->sign_csr);
    int err;
    if (key == NULL) {
        dp_log(DP_LOG_ERROR, "%s: no certificate request whose signature verifies", o->sign_csr);
        return SIM_FAILED;
    }
    err = certify_by(o->out, "client-ca", key, o->tid, SIM_CERTIFICATE_CLIENT, o->certificate);
    EVP_PKEY_free(key);
    if (err != DP_OK) {
        say(o->certificate, err);
        return SIM_FAILED;
    }
    (void)printf(o->json ? "{\"certificate\":\"%s\"}\n" : "certificate: %s\n", o->certificate);
    return SIM_DONE;
}

static int initial_key(const struct options *o)
{
    char path[PATH_SIZE], ik_text[33], ksn_text[25];
    uint8_t bdk[16], ik[16], ksn[SIM_DUKPT_KSN] = {0};
    size_t n = 0;
    int err;
    if (dp_hex_decode(o->dukpt, strlen(o->dukpt), ksn, SIM_DUKPT_ID, &n) != DP_OK ||
        n != SIM_DUKPT_ID) {
        dp_log(DP_LOG_ERROR, "--dukpt-id takes 16 hex digits");
        return SIM_USAGE;
    }
    err = sim_read_hex_file(sim_path(path, sizeof path, o->out, "bdk.hex"), bdk, sizeof bdk);
    if (err == DP_OK)
        err = sim_dukpt_initial_key(bdk, ksn, ik);
    if (err != DP_OK) {
        say(path, err);
        return SIM_FAILED;
    }
    (void)printf(o->json ? "{\"ik\":\"%s\",\"ksn\":\"%s\"}\n" : "ik %s\nksn %s\n",
                 dp_hex_encode(ik, sizeof ik, ik_text, sizeof ik_text),
                 dp_hex_encode(ksn, sizeof ksn, ksn_text, sizeof ksn_text));
    return SIM_DONE;
}

static const char usage[] =
    "usage: doorpay-sim keys --out DIR [--bits N]\n"
    "       doorpay-sim keys --out DIR --sign-csr FILE --tid TID --cert FILE\n"
    "       doorpay-sim keys --out DIR --dukpt-id HEX16\n\n"
    "Makes test keys (RSA, 3DES, P-256, TLS, DUKPT) in DIR, or uses those there:\n"
    "  --bits N        issuer's RSA key under CA keys 01 and 02, 1024 to 1408 (1152)\n"
    "  --sign-csr FILE sign a terminal's TLS certificate request (PEM) for --tid into --cert\n"
    "  --dukpt-id HEX  print the initial key and KSN of the device with this initial key id\n"
    "  --json          answer as JSON\n";

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {{"out", required_argument, NULL, 'o'},
                                          {"bits", required_argument, NULL, 'b'},
                                          {"sign-csr", required_argument, NULL, 's'},
                                          {"tid", required_argument, NULL, 't'},
                                          {"cert", required_argument, NULL, 'c'},
                                          {"dukpt-id", required_argument, NULL, 'd'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'o':
            o->out = optarg;
            break;
        case 'b':
            o->bits = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            o->sign_csr = optarg;
            break;
        case 't':
            o->tid = optarg;
            break;
        case 'c':
            o->certificate = optarg;
            break;
        case 'd':
            o->dukpt = optarg;
            break;
        case 'j':
            o->json = true;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            exit(SIM_DONE);
        default:
            return SIM_USAGE;
        }
    }
    return o->out == NULL || optind < argc || o->bits < 1024 || o->bits > 1408 ||
                   o->bits % 8 != 0 ||
                   (o->sign_csr != NULL && (o->tid == NULL || o->certificate == NULL))
               ? SIM_USAGE
               : SIM_DONE;
}

int sim_keys(int argc, char **argv)
{
    struct options o = {.bits = 1152};
    if (parse(argc, argv, &o) != SIM_DONE) {
        (void)fputs(usage, stderr);
        return SIM_USAGE;
    }
    if (o.sign_csr != NULL)
        return sign_csr(&o);
    if (o.dukpt != NULL)
        return initial_key(&o);
    return make_all(&o);
}
