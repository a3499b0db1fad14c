/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proofs: docs/PROTOCOL.journal, 9. A checkpoint's COSE_Sign1 with the path to its root in its
 * unprotected header, as COSE receipts have it (RFC 9942), and the certificate of its key.
 */
#include <doorpay/journal.h>

#include <string.h>

#include <doorpay/cbor.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/reader.h"
#include "base/writer.h"

#include "body.h"
#include "tree.h"

#define TAG_SIGN1          18
#define HEADERS            5
#define HEADER_KID         4
#define HEADER_VDS         395 /* RFC 9942: which tree */
#define HEADER_VDP         396 /* RFC 9942: proofs in it */
#define HEADER_CERTIFICATE (-65537)
#define HEADER_HASH        (-65538)
#define VDS_RFC9162_SHA256 1
#define PROOFS_INCLUSION   (-1)
#define PROOFS_CONSISTENCY (-2)
#define SIGNATURE_BYTES    64

_Static_assert(DP_PROOF_PATH_MAX == TREE_DEPTH_MAX, "a path as the tree makes it");
_Static_assert(sizeof((struct dp_proof *)0)->path == sizeof((struct tree_path *)0)->hash,
               "a path as the tree makes it");

static const uint8_t protected_es256[] = {0xA1, 0x01, 0x26}; /* {1: -7} */

/* ---- writing and reading ---- */

/* [size, index, path] or [older, newer, path]: RFC 9942, 5.2 and 5.3. */
static void write_path(struct dp_writer *w, const struct dp_proof *p)
{
    bool inclusion = p->kind == DP_PROOF_INCLUSION;
    dp_cbor_write_array(w, 3);
    dp_cbor_write_uint(w, inclusion ? p->size : p->index);
    dp_cbor_write_uint(w, inclusion ? p->index : p->size);
    dp_cbor_write_array(w, p->path_n);
    for (unsigned i = 0; i < p->path_n; i++)
        dp_cbor_write_bytes(w, p->path[i], HASH_BYTES);
}

int dp_proof_write(const struct dp_proof *p, uint8_t *out, size_t max, size_t *n)
{
    static const size_t path_max = 32 + DP_PROOF_PATH_MAX * (HASH_BYTES + 2);
    uint8_t path[32 + DP_PROOF_PATH_MAX * (HASH_BYTES + 2)];
    struct dp_writer w, inner;
    DP_ASSERT(p->path_n <= DP_PROOF_PATH_MAX && p->signature.n == SIGNATURE_BYTES);
    dp_writer_init(&inner, path, path_max);
    write_path(&inner, p);
    DP_ASSERT(dp_cbor_finish(&inner) == DP_OK);
    dp_writer_init(&w, out, max);
    dp_cbor_write_tag(&w, TAG_SIGN1);
    dp_cbor_write_array(&w, 4);
    dp_cbor_write_bytes(&w, protected_es256, sizeof protected_es256);
    dp_cbor_write_map(&w, HEADERS);
    dp_cbor_write_uint(&w, HEADER_KID);
    dp_cbor_write_bytes(&w, p->kid, sizeof p->kid);
    dp_cbor_write_uint(&w, HEADER_VDS);
    dp_cbor_write_uint(&w, VDS_RFC9162_SHA256);
    dp_cbor_write_uint(&w, HEADER_VDP);
    dp_cbor_write_map(&w, 1);
    dp_cbor_write_int(&w, p->kind == DP_PROOF_INCLUSION ? PROOFS_INCLUSION : PROOFS_CONSISTENCY);
    dp_cbor_write_array(&w, 1);
    dp_cbor_write_bytes(&w, inner.p, inner.n);
    dp_cbor_write_int(&w, HEADER_CERTIFICATE);
    dp_cbor_write_bytes(&w, p->certificate.p, p->certificate.n);
    dp_cbor_write_int(&w, HEADER_HASH);
    dp_cbor_write_bytes(&w, p->hash, sizeof p->hash);
    dp_cbor_write_bytes(&w, p->body.p, p->body.n);
    dp_cbor_write_bytes(&w, p->signature.p, p->signature.n);
    *n = w.err == DP_OK ? w.n : 0;
    return dp_cbor_finish(&w);
}

static int read_path(struct dp_bytes in, struct dp_proof *out)
{
    struct dp_reader r;
    uint64_t first, second;
    size_t n;
    if (in.p == NULL || dp_cbor_check(in.p, in.n, NULL) != DP_OK)
        return DP_ERR_FORMAT;
    dp_reader_init(&r, in.p, in.n);
    if (dp_cbor_read_array(&r) != 3)
        return DP_ERR_FORMAT;
    first = dp_cbor_read_uint(&r);
    second = dp_cbor_read_uint(&r);
    n = dp_cbor_read_array(&r);
    if (n > DP_PROOF_PATH_MAX)
        return DP_ERR_LIMIT;
    for (size_t i = 0; i < n; i++)
        dp_cbor_read_fixed(&r, out->path[i], HASH_BYTES);
    out->path_n = (unsigned)n;
    out->size = out->kind == DP_PROOF_INCLUSION ? first : second;
    out->index = out->kind == DP_PROOF_INCLUSION ? second : first;
    return dp_reader_finish(&r);
}

/* One proof of one kind. */
static int read_proofs(struct dp_reader *r, struct dp_proof *out)
{
    int64_t kind;
    struct dp_bytes path;
    if (dp_cbor_read_map(r) != 1)
        return DP_ERR_FORMAT;
    kind = dp_cbor_read_int(r);
    if (dp_cbor_read_array(r) != 1 || (kind != PROOFS_INCLUSION && kind != PROOFS_CONSISTENCY))
        return DP_ERR_FORMAT;
    out->kind = kind == PROOFS_INCLUSION ? DP_PROOF_INCLUSION : DP_PROOF_CONSISTENCY;
    path = dp_cbor_read_bytes(r);
    return r->err != DP_OK ? r->err : read_path(path, out);
}

static int read_headers(struct dp_reader *r, struct dp_proof *out)
{
    int err;
    if (dp_cbor_read_map(r) != HEADERS)
        return DP_ERR_FORMAT;
    dp_cbor_expect_int(r, HEADER_KID);
    dp_cbor_read_fixed(r, out->kid, sizeof out->kid);
    dp_cbor_expect_int(r, HEADER_VDS);
    if (dp_cbor_read_int(r) != VDS_RFC9162_SHA256)
        (void)dp_reader_fail(r, DP_ERR_UNSUPPORTED);
    dp_cbor_expect_int(r, HEADER_VDP);
    err = read_proofs(r, out);
    dp_cbor_expect_int(r, HEADER_CERTIFICATE);
    out->certificate = dp_cbor_read_bytes(r);
    dp_cbor_expect_int(r, HEADER_HASH);
    dp_cbor_read_fixed(r, out->hash, sizeof out->hash);
    return err != DP_OK ? err : r->err;
}

static int read_body(struct dp_proof *out)
{
    struct checkpoint c;
    if (out->body.n > BODY_BYTES_MAX)
        return DP_ERR_LIMIT;
    if (checkpoint_read(out->body.p, out->body.n, &c) != DP_OK)
        return DP_ERR_FORMAT;
    memcpy(out->journal, c.journal, sizeof out->journal);
    memcpy(out->root, c.root, sizeof out->root);
    memcpy(out->software, c.software, sizeof out->software);
    memcpy(out->body_kid, c.kid, sizeof out->body_kid);
    out->body_size = c.size;
    out->wall_ms = c.wall_ms;
    out->totals = c.totals;
    return DP_OK;
}

int dp_proof_read(const uint8_t *p, size_t n, struct dp_proof *out)
{
    struct dp_reader r;
    struct dp_bytes header;
    int err = n > DP_PROOF_BYTES_MAX ? DP_ERR_LIMIT : dp_cbor_check(p, n, NULL);
    memset(out, 0, sizeof *out);
    if (err != DP_OK)
        return err;
    dp_reader_init(&r, p, n);
    if (dp_cbor_read_tag(&r) != TAG_SIGN1 || dp_cbor_read_array(&r) != 4)
        return DP_ERR_FORMAT;
    header = dp_cbor_read_bytes(&r);
    if (r.err != DP_OK)
        return DP_ERR_FORMAT;
    if (header.n != sizeof protected_es256 ||
        memcmp(header.p, protected_es256, sizeof protected_es256) != 0)
        return DP_ERR_UNSUPPORTED;
    err = read_headers(&r, out);
    out->body = dp_cbor_read_bytes(&r);
    out->signature = dp_cbor_read_bytes(&r);
    if (err == DP_OK)
        err = dp_reader_finish(&r);
    if (err == DP_OK && out->signature.n != SIGNATURE_BYTES)
        err = DP_ERR_FORMAT;
    return err != DP_OK ? err : read_body(out);
}

/* ---- checking ---- */

static int refuse(const char **rule, const char *name, int err)
{
    *rule = name;
    return err;
}

/* The first trusted key that the certificate says it is by; NULL. */
static const uint8_t *find_identity(const uint8_t signer[DP_COSE_KID_BYTES],
                                    const uint8_t (*identities)[65], size_t identities_n)
{
    for (size_t i = 0; i < identities_n; i++) {
        uint8_t kid[DP_COSE_KID_BYTES];
        if (dp_cose_key_id(identities[i], kid) == DP_OK && memcmp(kid, signer, sizeof kid) == 0)
            return identities[i];
    }
    return NULL;
}

/* Identity key, certificate, epoch key. */
static int check_epoch(const struct dp_proof *p, const uint8_t (*identities)[65],
                       size_t identities_n, struct epoch *e, const char **rule)
{
    uint8_t signer[DP_COSE_KID_BYTES];
    const uint8_t *identity;
    int err = epoch_certificate_read(p->certificate.p, p->certificate.n, p->journal, e, signer);
    if (err == DP_ERR_CRYPTO)
        return err;
    if (err != DP_OK)
        return refuse(rule, "epoch-certificate", DP_ERR_MISMATCH);
    identity = find_identity(signer, identities, identities_n);
    if (identity == NULL)
        return refuse(rule, "identity-mismatch", DP_ERR_SIGNATURE);
    memcpy(e->identity, identity, sizeof e->identity);
    if (epoch_check(e, p->journal) != DP_OK)
        return refuse(rule, "epoch-certificate", DP_ERR_SIGNATURE);
    return DP_OK;
}

/* Epoch key, checkpoint. */
static int check_signature(const struct dp_proof *p, const struct epoch *e, const char **rule)
{
    struct dp_cose_sign1_view view = {.payload = p->body, .signature = p->signature};
    if (memcmp(p->kid, e->kid, sizeof e->kid) != 0 ||
        memcmp(p->body_kid, e->kid, sizeof e->kid) != 0)
        return refuse(rule, "signature-key", DP_ERR_MISMATCH);
    if (dp_cose_verify(&view, checkpoint_aad(), e->point) != DP_OK)
        return refuse(rule, "signature-invalid", DP_ERR_SIGNATURE);
    return DP_OK;
}

/* Checkpoint's root, path, hash. */
static int check_path(const struct dp_proof *p, const char **rule)
{
    struct tree_path path = {.n = p->path_n};
    int err;
    memcpy(path.hash, p->path, sizeof path.hash);
    if (p->kind == DP_PROOF_INCLUSION)
        err = tree_inclusion_check(&path, p->index, p->size, p->hash, p->root);
    else
        err = tree_consistency_check(&path, p->index, p->size, p->hash, p->root);
    return err == DP_ERR_MISMATCH ? refuse(rule, "tree-root", err) : err;
}

/* The tree's sizes are not signed but for the checkpoint's own: the path alone would do for
 * several. */
static bool sizes_fit(const struct dp_proof *p)
{
    return p->size == p->body_size && p->index < p->size &&
           (p->kind == DP_PROOF_INCLUSION || p->index > 0);
}

int dp_proof_check(const struct dp_proof *p, const uint8_t (*identities)[65], size_t identities_n,
                   uint32_t *epoch, const char **rule)
{
    struct epoch e;
    int err;
    DP_ASSERT(p->path_n <= DP_PROOF_PATH_MAX && p->signature.n == SIGNATURE_BYTES);
    *rule = NULL;
    if (!sizes_fit(p))
        return refuse(rule, "proof-size", DP_ERR_MISMATCH);
    err = check_epoch(p, identities, identities_n, &e, rule);
    if (err == DP_OK)
        err = check_signature(p, &e, rule);
    if (err == DP_OK)
        err = check_path(p, rule);
    if (err == DP_OK && epoch != NULL)
        *epoch = e.number;
    return err;
}

int dp_proof_check_record(const struct dp_proof *p, struct dp_bytes record, const char **rule)
{
    uint8_t leaf[HASH_BYTES];
    int err = tree_leaf_hash(record, leaf);
    *rule = NULL;
    if (err != DP_OK)
        return err;
    if (p->kind != DP_PROOF_INCLUSION || memcmp(leaf, p->hash, sizeof leaf) != 0)
        return refuse(rule, "record-mismatch", DP_ERR_MISMATCH);
    return DP_OK;
}

int dp_proof_check_head(const struct dp_proof *p, const uint8_t journal[16], uint64_t size,
                        const uint8_t root[32], const char **rule)
{
    *rule = NULL;
    if (p->kind != DP_PROOF_CONSISTENCY || memcmp(p->journal, journal, 16) != 0 ||
        p->index != size || memcmp(p->hash, root, HASH_BYTES) != 0)
        return refuse(rule, "head-mismatch", DP_ERR_MISMATCH);
    return DP_OK;
}

/* ---- as text: RFC 9285 ---- */

#define PREFIX      "DPJ1:"
#define PREFIX_N    5
#define BASE        45
#define BASE_SQUARE 2025

static const char alphabet[BASE + 1] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

_Static_assert(DP_PROOF_TEXT_MAX > PREFIX_N + DP_PROOF_BYTES_MAX / 2 * 3 + 2, "the largest fits");

int dp_proof_to_text(const uint8_t *p, size_t n, char *out, size_t max)
{
    size_t at = PREFIX_N;
    if (n > DP_PROOF_BYTES_MAX)
        return DP_ERR_LIMIT;
    if (PREFIX_N + n / 2 * 3 + n % 2 * 2 + 1 > max)
        return DP_ERR_SPACE;
    memcpy(out, PREFIX, PREFIX_N);
    for (size_t i = 0; i + 1 < n; i += 2) {
        unsigned v = (unsigned)p[i] << 8 | p[i + 1];
        out[at++] = alphabet[v % BASE];
        out[at++] = alphabet[v / BASE % BASE];
        out[at++] = alphabet[v / BASE_SQUARE];
    }
    if (n % 2 != 0) {
        out[at++] = alphabet[p[n - 1] % BASE];
        out[at++] = alphabet[p[n - 1] / BASE];
    }
    out[at] = '\0';
    return DP_OK;
}

/* A character's digit; BASE when it is none. */
static unsigned digit_of(char c)
{
    const char *at = c != '\0' ? strchr(alphabet, c) : NULL;
    return at != NULL ? (unsigned)(at - alphabet) : BASE;
}

/* Two characters are a byte, three are two. */
static int read_group(const char *text, size_t n, uint8_t *out)
{
    unsigned a = digit_of(text[0]), b = digit_of(text[1]), c = n == 3 ? digit_of(text[2]) : 0;
    unsigned v = a + b * BASE + c * BASE_SQUARE;
    if (a == BASE || b == BASE || c == BASE || v > (n == 3 ? 0xFFFF : 0xFF))
        return DP_ERR_FORMAT;
    if (n == 3)
        *out++ = (uint8_t)(v >> 8);
    *out = (uint8_t)v;
    return DP_OK;
}

int dp_proof_from_text(const char *text, size_t text_n, uint8_t *out, size_t max, size_t *n)
{
    *n = 0;
    while (text_n > 0 && (text[text_n - 1] == '\n' || text[text_n - 1] == '\r'))
        text_n--; /* a blank is a digit */
    if (text_n < PREFIX_N || memcmp(text, PREFIX, PREFIX_N) != 0)
        return DP_ERR_FORMAT;
    text += PREFIX_N;
    text_n -= PREFIX_N;
    if (text_n % 3 == 1)
        return DP_ERR_FORMAT;
    if (text_n / 3 * 2 + text_n % 3 / 2 > max)
        return DP_ERR_SPACE;
    while (text_n > 0) {
        size_t group = text_n < 3 ? text_n : 3;
        int err = read_group(text, group, out + *n);
        if (err != DP_OK)
            return err;
        *n += group - 1;
        text += group;
        text_n -= group;
    }
    return DP_OK;
}
