/* SPDX-License-Identifier: Apache-2.0 */
#include "seal.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "base/assert.h"
#include "base/reader.h"
#include "pack.h"
#include "x509.h"

enum {
    HASH = 32,
    KEY = 16,
    NONCE = 12,
    TAG = 16,
    POINT = 65,
    LABELLED_MAX = 512,
    KIND_PAN = 1,
    KIND_TRACK2 = 2,
    CLEAR_MAX = 128
};

static const struct dp_bytes none = {NULL, 0};
/* DHKEM(P-256, HKDF-SHA256); then with HKDF-SHA256 and AES-128-GCM */
static const uint8_t kem_suite[] = {'K', 'E', 'M', 0x00, 0x10};
static const uint8_t hpke_suite[] = {'H', 'P', 'K', 'E', 0x00, 0x10, 0x00, 0x01, 0x00, 0x01};

#define SUITE(s) ((struct dp_bytes){(s), sizeof(s)})

int sim_seal_load(const char *dir, struct sim_seal *out)
{
    char path[4096];
    memset(out, 0, sizeof *out);
    out->key = sim_pem_read_key(sim_path(path, sizeof path, dir, "seal.pem"));
    return out->key == NULL ? DP_ERR_IO : sim_ec_point(out->key, out->point);
}

void sim_seal_free(struct sim_seal *s)
{
    EVP_PKEY_free(s->key);
    s->key = NULL;
}

/* ---- HPKE ---- */

struct labelled {
    size_t n;
    uint8_t p[LABELLED_MAX];
};

static void add(struct labelled *l, const void *p, size_t n)
{
    DP_ASSERT(n <= sizeof l->p - l->n);
    if (n > 0)
        memcpy(l->p + l->n, p, n);
    l->n += n;
}

static void begin(struct labelled *l, struct dp_bytes suite, const char *label)
{
    add(l, "HPKE-v1", 7);
    add(l, suite.p, suite.n);
    add(l, label, strlen(label));
}

static int hmac(struct dp_bytes key, const struct labelled *l, uint8_t out[HASH])
{
    static const uint8_t zero[HASH];
    unsigned n = 0;
    /* an empty salt is a hash of zeros */
    const uint8_t *k = key.n == 0 ? zero : key.p;
    const uint8_t *got = HMAC(EVP_sha256(), k, key.n == 0 ? HASH : (int)key.n, l->p, l->n, out, &n);
    return got != NULL && n == HASH ? DP_OK : DP_ERR_CRYPTO;
}

/* RFC 9180, 4: LabeledExtract and, for at most one hash of output, LabeledExpand. */
static int extract(struct dp_bytes salt, struct dp_bytes suite, const char *label,
                   struct dp_bytes ikm, uint8_t out[HASH])
{
    struct labelled l = {0};
    int err;
    begin(&l, suite, label);
    add(&l, ikm.p, ikm.n);
    err = hmac(salt, &l, out);
    OPENSSL_cleanse(&l, sizeof l);
    return err;
}

static int expand(const uint8_t prk[HASH], struct dp_bytes suite, const char *label,
                  struct dp_bytes info, uint8_t *out, size_t n)
{
    struct labelled l = {0};
    const uint8_t length[2] = {0, (uint8_t)n}, one = 1;
    uint8_t block[HASH];
    int err;
    DP_ASSERT(n <= HASH);
    add(&l, length, 2);
    begin(&l, suite, label);
    add(&l, info.p, info.n);
    add(&l, &one, 1);
    err = hmac((struct dp_bytes){prk, HASH}, &l, block);
    memcpy(out, block, n);
    OPENSSL_cleanse(block, sizeof block);
    return err;
}

static EVP_PKEY *public_point(const uint8_t point[POINT])
{
    char group[] = "prime256v1";
    uint8_t copy[POINT];
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    memcpy(copy, point, POINT);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                           OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, POINT),
                           OSSL_PARAM_construct_end()};
    if (c == NULL || EVP_PKEY_fromdata_init(c) != 1 ||
        EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(c);
    return key;
}

/* The x coordinate of the shared point. A point off the curve: DP_ERR_SIGNATURE. */
static int diffie_hellman(EVP_PKEY *own, const uint8_t enc[POINT], uint8_t out[HASH])
{
    EVP_PKEY *peer = enc[0] == 4 ? public_point(enc) : NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    size_t n = HASH;
    int ok = peer != NULL && c != NULL && EVP_PKEY_derive_init(c) == 1 &&
             EVP_PKEY_derive_set_peer(c, peer) == 1 && EVP_PKEY_derive(c, out, &n) == 1 &&
             n == HASH;
    EVP_PKEY_CTX_free(c);
    EVP_PKEY_free(peer);
    return ok ? DP_OK : DP_ERR_SIGNATURE;
}

/* RFC 9180, 4.1: Decap. */
static int decapsulate(const struct sim_seal *s, const uint8_t enc[POINT], uint8_t shared[HASH])
{
    uint8_t dh[HASH], prk[HASH], context[2 * POINT];
    int err = diffie_hellman(s->key, enc, dh);
    memcpy(context, enc, POINT);
    memcpy(context + POINT, s->point, POINT);
    if (err == DP_OK)
        err = extract(none, SUITE(kem_suite), "eae_prk", (struct dp_bytes){dh, HASH}, prk);
    if (err == DP_OK)
        err = expand(prk, SUITE(kem_suite), "shared_secret",
                     (struct dp_bytes){context, sizeof context}, shared, HASH);
    OPENSSL_cleanse(dh, sizeof dh);
    OPENSSL_cleanse(prk, sizeof prk);
    return err;
}

/* RFC 9180, 5.1: KeySchedule in base mode. */
static int schedule(const uint8_t shared[HASH], struct dp_bytes info, uint8_t key[KEY],
                    uint8_t nonce[NONCE])
{
    uint8_t context[1 + 2 * HASH] = {0}, secret[HASH];
    struct dp_bytes whole = {context, sizeof context};
    int err = extract(none, SUITE(hpke_suite), "psk_id_hash", none, context + 1);
    if (err == DP_OK)
        err = extract(none, SUITE(hpke_suite), "info_hash", info, context + 1 + HASH);
    if (err == DP_OK)
        err = extract((struct dp_bytes){shared, HASH}, SUITE(hpke_suite), "secret", none, secret);
    if (err == DP_OK)
        err = expand(secret, SUITE(hpke_suite), "key", whole, key, KEY);
    if (err == DP_OK)
        err = expand(secret, SUITE(hpke_suite), "base_nonce", whole, nonce, NONCE);
    OPENSSL_cleanse(secret, sizeof secret);
    return err;
}

static int open_gcm(const uint8_t key[KEY], const uint8_t nonce[NONCE], struct dp_bytes aad,
                    const uint8_t *p, size_t n, uint8_t *out)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    uint8_t tag[TAG];
    int got = 0, ok;
    memcpy(tag, p + n, TAG);
    ok = c != NULL && EVP_DecryptInit_ex2(c, EVP_aes_128_gcm(), key, nonce, NULL) == 1 &&
         EVP_DecryptUpdate(c, NULL, &got, aad.p, (int)aad.n) == 1 &&
         EVP_DecryptUpdate(c, out, &got, p, (int)n) == 1 && got == (int)n &&
         EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1 &&
         EVP_DecryptFinal_ex(c, out + n, &got) == 1;
    EVP_CIPHER_CTX_free(c);
    return ok ? DP_OK : DP_ERR_SIGNATURE;
}

int sim_hpke_open(const struct sim_seal *s, struct dp_bytes info, struct dp_bytes aad,
                  const uint8_t *p, size_t n, uint8_t *out, size_t *out_n)
{
    uint8_t shared[HASH], key[KEY], nonce[NONCE];
    int err;
    if (n < POINT + TAG || n > LABELLED_MAX)
        return DP_ERR_SHORT;
    *out_n = n - POINT - TAG;
    err = decapsulate(s, p, shared);
    if (err == DP_OK)
        err = schedule(shared, info, key, nonce);
    if (err == DP_OK)
        err = open_gcm(key, nonce, aad, p + POINT, *out_n, out);
    OPENSSL_cleanse(shared, sizeof shared);
    OPENSSL_cleanse(key, sizeof key);
    return err;
}

/* ---- what lies inside ---- */

/* The head of a deterministic CBOR item of one major type, small enough for a card's data. */
static size_t cbor_head(struct dp_reader *r, enum sim_cbor_major major)
{
    uint8_t first = dp_read_u8(r);
    size_t v = first & 31;
    if (v == 24) {
        v = dp_read_u8(r);
        if (v < 24)
            (void)dp_reader_fail(r, DP_ERR_FORMAT);
    } else if (v > 24) {
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
    }
    if (first >> 5 != (unsigned)major)
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
    return r->err == DP_OK ? v : 0;
}

static void cbor_key(struct dp_reader *r, size_t key)
{
    if (cbor_head(r, SIM_CBOR_UINT) != key)
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
}

static void cbor_digits(struct dp_reader *r, size_t least, size_t most, char *out)
{
    size_t n = cbor_head(r, SIM_CBOR_TSTR);
    struct dp_bytes b = {NULL, 0};
    if (n < least || n > most)
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
    else
        b = dp_read_bytes(r, n);
    for (size_t i = 0; i < b.n; i++) {
        if (b.p[i] < '0' || b.p[i] > '9')
            (void)dp_reader_fail(r, DP_ERR_FORMAT);
        out[i] = (char)b.p[i];
    }
    out[b.n] = '\0';
}

static int read_pan(const uint8_t *p, size_t n, struct sim_card_data *out)
{
    struct dp_reader r;
    size_t items;
    dp_reader_init(&r, p, n);
    items = cbor_head(&r, SIM_CBOR_MAP);
    if (items != 2 && items != 3)
        (void)dp_reader_fail(&r, DP_ERR_FORMAT);
    cbor_key(&r, 1);
    cbor_digits(&r, 8, 19, out->pan);
    cbor_key(&r, 2);
    cbor_digits(&r, 4, 4, out->expiry);
    out->psn = -1;
    if (items == 3) {
        cbor_key(&r, 3);
        out->psn = (int)cbor_head(&r, SIM_CBOR_UINT);
        if (out->psn > 99)
            (void)dp_reader_fail(&r, DP_ERR_RANGE);
    }
    return dp_reader_finish(&r);
}

static int read_track2(const uint8_t *p, size_t n, struct sim_card_data *out)
{
    struct dp_reader r;
    size_t bytes;
    dp_reader_init(&r, p, n);
    if (cbor_head(&r, SIM_CBOR_MAP) != 1)
        (void)dp_reader_fail(&r, DP_ERR_FORMAT);
    cbor_key(&r, 4);
    bytes = cbor_head(&r, SIM_CBOR_BSTR);
    if (bytes == 0 || bytes > SIM_TRACK2_MAX)
        (void)dp_reader_fail(&r, DP_ERR_FORMAT);
    else
        dp_read_copy(&r, out->track2, bytes);
    out->track2_n = bytes;
    return dp_reader_finish(&r);
}

static bool same_card(const struct sim_card_data *d)
{
    size_t i = 0;
    for (; d->pan[i] != '\0'; i++) {
        unsigned nibble = 0;
        if (i / 2 < d->track2_n)
            nibble = i % 2 == 0 ? d->track2[i / 2] >> 4 : d->track2[i / 2] & 15u;
        if (i / 2 >= d->track2_n || nibble != (unsigned)(d->pan[i] - '0'))
            return false;
    }
    return i / 2 < d->track2_n &&
           (i % 2 == 0 ? d->track2[i / 2] >> 4 : d->track2[i / 2] & 15) == 13;
}

static int open_blob(const struct sim_seal *s, const uint8_t aad[41], struct dp_reader *r,
                     struct sim_card_data *out)
{
    static const uint8_t info[] = "doorpay sealed 1";
    uint8_t id[32], clear[LABELLED_MAX];
    struct dp_bytes key_id;
    size_t n;
    uint8_t version = dp_read_u8(r);
    int err;
    key_id = dp_read_bytes(r, 8);
    if (r->err != DP_OK)
        return r->err;
    if (version != 1)
        return DP_ERR_UNSUPPORTED;
    SHA256(s->point, POINT, id);
    if (memcmp(key_id.p, id, 8) != 0)
        return DP_ERR_NOT_FOUND;
    if (r->left > POINT + TAG + CLEAR_MAX)
        return DP_ERR_FORMAT;
    err = sim_hpke_open(s, (struct dp_bytes){info, sizeof info - 1}, (struct dp_bytes){aad, 41},
                        r->p, r->left, clear, &n);
    if (err == DP_OK)
        err = aad[40] == KIND_PAN ? read_pan(clear, n, out) : read_track2(clear, n, out);
    OPENSSL_cleanse(clear, sizeof clear);
    return err;
}

int sim_seal_read(const struct sim_seal *s, const uint8_t journal[16], const uint8_t tx[16],
                  const char *tid, struct dp_bytes de120, struct sim_card_data *out)
{
    uint8_t aad[41];
    struct dp_reader r;
    int err = DP_OK;
    memset(out, 0, sizeof *out);
    DP_ASSERT(strlen(tid) == 8);
    memcpy(aad, journal, 16);
    memcpy(aad + 16, tx, 16);
    memcpy(aad + 32, tid, 8);
    dp_reader_init(&r, de120.p, de120.n);
    for (uint8_t kind = KIND_PAN; kind <= KIND_TRACK2 && err == DP_OK; kind++) {
        struct dp_reader blob;
        if (kind == KIND_TRACK2 && r.left == 0)
            return r.err;
        blob = dp_read_sub(&r, dp_read_u16(&r));
        aad[40] = kind;
        err = r.err == DP_OK ? open_blob(s, aad, &blob, out) : r.err;
    }
    if (err == DP_OK)
        err = dp_reader_finish(&r);
    return err == DP_OK && !same_card(out) ? DP_ERR_MISMATCH : err;
}
