/* SPDX-License-Identifier: Apache-2.0 */
#include "body.h"

#include <string.h>

#include <doorpay/cbor.h>

#include "base/reader.h"
#include "base/writer.h"

#include "totals.h"

#define VERSION         1
#define CHECKPOINT_KEYS 10
#define EPOCH_ITEMS     5
#define SIGNATURE_ITEMS 3

/* ---- the body of a CHECKPOINT ---- */

static void write_key_bytes(struct dp_writer *w, unsigned key, const uint8_t *p, size_t n)
{
    dp_cbor_write_uint(w, key);
    dp_cbor_write_bytes(w, p, n);
}

static void write_key_uint(struct dp_writer *w, unsigned key, uint64_t v)
{
    dp_cbor_write_uint(w, key);
    dp_cbor_write_uint(w, v);
}

int checkpoint_write(const struct checkpoint *c, uint8_t *out, size_t max, size_t *n)
{
    struct dp_writer w;
    dp_writer_init(&w, out, max);
    dp_cbor_write_map(&w, CHECKPOINT_KEYS);
    write_key_uint(&w, 1, VERSION);
    write_key_bytes(&w, 2, c->journal, sizeof c->journal);
    write_key_uint(&w, 3, c->size);
    write_key_bytes(&w, 4, c->root, sizeof c->root);
    write_key_bytes(&w, 5, c->last_leaf, sizeof c->last_leaf);
    write_key_bytes(&w, 6, c->before, sizeof c->before);
    dp_cbor_write_uint(&w, 7);
    totals_write(&w, &c->totals);
    write_key_bytes(&w, 8, c->kid, sizeof c->kid);
    write_key_bytes(&w, 9, c->software, sizeof c->software);
    write_key_uint(&w, 10, c->wall_ms);
    *n = w.err == DP_OK ? w.n : 0;
    return dp_cbor_finish(&w);
}

int checkpoint_read(const uint8_t *p, size_t n, struct checkpoint *out)
{
    struct dp_reader r;
    int err = dp_cbor_check(p, n, NULL);
    memset(out, 0, sizeof *out);
    if (err != DP_OK)
        return err;
    dp_reader_init(&r, p, n);
    if (dp_cbor_read_map(&r) != CHECKPOINT_KEYS)
        return DP_ERR_FORMAT;
    dp_cbor_expect_int(&r, 1);
    if (dp_cbor_read_uint(&r) != VERSION)
        (void)dp_reader_fail(&r, DP_ERR_UNSUPPORTED);
    dp_cbor_expect_int(&r, 2);
    dp_cbor_read_fixed(&r, out->journal, sizeof out->journal);
    dp_cbor_expect_int(&r, 3);
    out->size = dp_cbor_read_uint(&r);
    dp_cbor_expect_int(&r, 4);
    dp_cbor_read_fixed(&r, out->root, sizeof out->root);
    dp_cbor_expect_int(&r, 5);
    dp_cbor_read_fixed(&r, out->last_leaf, sizeof out->last_leaf);
    dp_cbor_expect_int(&r, 6);
    dp_cbor_read_fixed(&r, out->before, sizeof out->before);
    dp_cbor_expect_int(&r, 7);
    totals_read(&r, &out->totals);
    dp_cbor_expect_int(&r, 8);
    dp_cbor_read_fixed(&r, out->kid, sizeof out->kid);
    dp_cbor_expect_int(&r, 9);
    dp_cbor_read_fixed(&r, out->software, sizeof out->software);
    dp_cbor_expect_int(&r, 10);
    out->wall_ms = dp_cbor_read_uint(&r);
    return dp_reader_finish(&r);
}

struct dp_bytes checkpoint_aad(void)
{
    static const uint8_t aad[] = "doorpay checkpoint 1";
    return (struct dp_bytes){aad, sizeof aad - 1};
}

/* ---- the array of OPEN and KEY_ROTATE ---- */

int epoch_write(const struct epoch *e, uint8_t *out, size_t max, size_t *n)
{
    struct dp_writer w;
    dp_writer_init(&w, out, max);
    dp_cbor_write_array(&w, EPOCH_ITEMS);
    dp_cbor_write_uint(&w, e->number);
    dp_cbor_write_bytes(&w, e->kid, sizeof e->kid);
    dp_cbor_write_bytes(&w, e->point, sizeof e->point);
    dp_cbor_write_bytes(&w, e->identity, sizeof e->identity);
    dp_cbor_write_bytes(&w, e->certificate, e->certificate_n);
    *n = w.err == DP_OK ? w.n : 0;
    return dp_cbor_finish(&w);
}

int epoch_read(const uint8_t *p, size_t n, struct epoch *out)
{
    struct dp_reader r;
    struct dp_bytes certificate;
    uint64_t number;
    int err = dp_cbor_check(p, n, NULL);
    memset(out, 0, sizeof *out);
    if (err != DP_OK)
        return err;
    dp_reader_init(&r, p, n);
    if (dp_cbor_read_array(&r) != EPOCH_ITEMS)
        return DP_ERR_FORMAT;
    number = dp_cbor_read_uint(&r);
    dp_cbor_read_fixed(&r, out->kid, sizeof out->kid);
    dp_cbor_read_fixed(&r, out->point, sizeof out->point);
    dp_cbor_read_fixed(&r, out->identity, sizeof out->identity);
    certificate = dp_cbor_read_bytes(&r);
    err = dp_reader_finish(&r);
    if (err != DP_OK)
        return err;
    if (number > UINT32_MAX || certificate.n == 0 || certificate.n > sizeof out->certificate)
        return DP_ERR_RANGE;
    out->number = (uint32_t)number;
    memcpy(out->certificate, certificate.p, certificate.n);
    out->certificate_n = certificate.n;
    return DP_OK;
}

static struct dp_bytes epoch_aad(void)
{
    static const uint8_t aad[] = "doorpay epoch 1";
    return (struct dp_bytes){aad, sizeof aad - 1};
}

/* [journal id, epoch number, epoch public] */
static int certificate_payload(const struct epoch *e, const uint8_t journal[16], uint8_t *out,
                               size_t max, size_t *n)
{
    struct dp_writer w;
    dp_writer_init(&w, out, max);
    dp_cbor_write_array(&w, 3);
    dp_cbor_write_bytes(&w, journal, 16);
    dp_cbor_write_uint(&w, e->number);
    dp_cbor_write_bytes(&w, e->point, sizeof e->point);
    *n = w.err == DP_OK ? w.n : 0;
    return dp_cbor_finish(&w);
}

int epoch_certify(struct epoch *e, const uint8_t journal[16], dp_cose_sign_fn *sign, void *ctx)
{
    uint8_t payload[CERTIFICATE_MAX], kid[DP_COSE_KID_BYTES];
    size_t n;
    int err = certificate_payload(e, journal, payload, sizeof payload, &n);
    if (err == DP_OK)
        err = dp_cose_key_id(e->point, e->kid);
    if (err == DP_OK)
        err = dp_cose_key_id(e->identity, kid);
    if (err != DP_OK)
        return err;
    return dp_cose_sign1(sign, ctx, kid, epoch_aad(), (struct dp_bytes){payload, n}, e->certificate,
                         sizeof e->certificate, &e->certificate_n);
}

int epoch_check(const struct epoch *e, const uint8_t journal[16])
{
    uint8_t payload[CERTIFICATE_MAX], kid[DP_COSE_KID_BYTES];
    struct dp_cose_sign1_view view;
    size_t n;
    if (certificate_payload(e, journal, payload, sizeof payload, &n) != DP_OK ||
        dp_cose_sign1_parse(e->certificate, e->certificate_n, &view) != DP_OK ||
        view.payload.n != n || memcmp(view.payload.p, payload, n) != 0)
        return DP_ERR_SIGNATURE;
    if (dp_cose_key_id(e->point, kid) != DP_OK || memcmp(kid, e->kid, sizeof kid) != 0 ||
        dp_cose_key_id(e->identity, kid) != DP_OK || memcmp(kid, view.kid, sizeof kid) != 0)
        return DP_ERR_SIGNATURE;
    return dp_cose_verify(&view, epoch_aad(), e->identity);
}

int epoch_certificate_read(const uint8_t *p, size_t n, const uint8_t journal[16], struct epoch *out,
                           uint8_t signer[DP_COSE_KID_BYTES])
{
    struct dp_cose_sign1_view view;
    struct dp_reader r;
    uint8_t id[16];
    uint64_t number;
    memset(out, 0, sizeof *out);
    if (n > sizeof out->certificate || dp_cose_sign1_parse(p, n, &view) != DP_OK ||
        dp_cbor_check(view.payload.p, view.payload.n, NULL) != DP_OK)
        return DP_ERR_FORMAT;
    dp_reader_init(&r, view.payload.p, view.payload.n);
    if (dp_cbor_read_array(&r) != 3)
        return DP_ERR_FORMAT;
    dp_cbor_read_fixed(&r, id, sizeof id);
    number = dp_cbor_read_uint(&r);
    dp_cbor_read_fixed(&r, out->point, sizeof out->point);
    if (dp_reader_finish(&r) != DP_OK || number > UINT32_MAX || memcmp(id, journal, 16) != 0)
        return DP_ERR_FORMAT;
    out->number = (uint32_t)number;
    memcpy(out->certificate, p, n);
    out->certificate_n = n;
    memcpy(signer, view.kid, DP_COSE_KID_BYTES);
    return dp_cose_key_id(out->point, out->kid);
}

/* ---- a signature frame ---- */

int signature_write(uint64_t seq, struct dp_bytes cose, uint8_t *out, size_t max, size_t *n)
{
    struct dp_writer w;
    dp_writer_init(&w, out, max);
    dp_cbor_write_array(&w, SIGNATURE_ITEMS);
    dp_cbor_write_uint(&w, VERSION);
    dp_cbor_write_uint(&w, seq);
    dp_cbor_write_bytes(&w, cose.p, cose.n);
    *n = w.err == DP_OK ? w.n : 0;
    return dp_cbor_finish(&w);
}

int signature_read(const uint8_t *p, size_t n, uint64_t *seq, struct dp_bytes *cose)
{
    struct dp_reader r;
    int err = dp_cbor_check(p, n, NULL);
    if (err != DP_OK)
        return err;
    dp_reader_init(&r, p, n);
    if (dp_cbor_read_array(&r) != SIGNATURE_ITEMS)
        return DP_ERR_FORMAT;
    if (dp_cbor_read_uint(&r) != VERSION)
        return DP_ERR_UNSUPPORTED;
    *seq = dp_cbor_read_uint(&r);
    *cose = dp_cbor_read_bytes(&r);
    return dp_reader_finish(&r);
}
