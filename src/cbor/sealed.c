/* SPDX-License-Identifier: Apache-2.0 */
/* docs/PROTOCOL.sealed: made and opened in this one file. */
#include <doorpay/sealed.h>

#include <string.h>

#include <doorpay/cbor.h>
#include <doorpay/cose.h>

#include "base/assert.h"
#include "base/reader.h"
#include "base/secret.h"
#include "base/writer.h"

#define VERSION    1
#define HEAD_BYTES (1 + DP_COSE_KID_BYTES + DP_HPKE_ENC_BYTES)
#define CLEAR_MAX  64 /* of either kind; a PAN's map takes at most 31 bytes, track 2's 22 */
#define AAD_BYTES  (16 + 16 + 8 + 1)

enum {
    KEY_PAN = 1,
    KEY_EXPIRY = 2,
    KEY_SEQUENCE = 3,
    KEY_TRACK2 = 4
};

static const struct dp_bytes info = {(const uint8_t *)"doorpay sealed 1", 16};

static int aad_of(const struct dp_sealed_context *c, enum dp_sealed_kind kind,
                  uint8_t out[AAD_BYTES])
{
    struct dp_writer w;
    if (strnlen(c->tid, sizeof c->tid) != 8 || (kind != DP_SEALED_PAN && kind != DP_SEALED_TRACK2))
        return DP_ERR_ARG;
    dp_writer_init(&w, out, AAD_BYTES);
    dp_write_bytes(&w, c->journal, sizeof c->journal);
    dp_write_bytes(&w, c->tx, sizeof c->tx);
    dp_write_bytes(&w, c->tid, 8);
    dp_write_u8(&w, (uint8_t)kind);
    DP_ASSERT(w.n == AAD_BYTES);
    return w.err;
}

static bool digits(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return true;
}

/* ---- the clear text ---- */

static int write_clear(struct dp_writer *w, enum dp_sealed_kind kind,
                       const struct dp_sealed_card *card)
{
    size_t pan_n = strnlen(card->pan, sizeof card->pan);
    if (kind == DP_SEALED_TRACK2) {
        if (card->track2_n == 0 || card->track2_n > sizeof card->track2)
            return DP_ERR_ARG;
        dp_cbor_write_map(w, 1);
        dp_cbor_write_uint(w, KEY_TRACK2);
        dp_cbor_write_bytes(w, card->track2, card->track2_n);
        return dp_cbor_finish(w);
    }
    if (pan_n < 8 || pan_n > 19 || !digits(card->pan, pan_n) || !digits(card->expiry, 4) ||
        card->expiry[4] != '\0')
        return DP_ERR_ARG;
    dp_cbor_write_map(w, card->has_sequence ? 3 : 2);
    dp_cbor_write_uint(w, KEY_PAN);
    dp_cbor_write_text(w, card->pan, pan_n);
    dp_cbor_write_uint(w, KEY_EXPIRY);
    dp_cbor_write_text(w, card->expiry, 4);
    if (card->has_sequence) {
        dp_cbor_write_uint(w, KEY_SEQUENCE);
        dp_cbor_write_uint(w, card->sequence);
    }
    return dp_cbor_finish(w);
}

static int read_pan(struct dp_reader *r, struct dp_sealed_card *card)
{
    size_t pairs = dp_cbor_read_map(r);
    struct dp_bytes pan = {NULL, 0}, expiry = {NULL, 0};
    uint64_t sequence = 0;
    if (dp_cbor_read_uint(r) == KEY_PAN)
        pan = dp_cbor_read_text(r);
    if (dp_cbor_read_uint(r) == KEY_EXPIRY)
        expiry = dp_cbor_read_text(r);
    if (pairs == 3 && dp_cbor_read_uint(r) == KEY_SEQUENCE)
        sequence = dp_cbor_read_uint(r);
    if (dp_reader_finish(r) != DP_OK || pairs < 2 || pan.n < 8 || pan.n > 19 || expiry.n != 4 ||
        !digits((const char *)pan.p, pan.n) || !digits((const char *)expiry.p, 4) ||
        sequence > UINT8_MAX)
        return DP_ERR_FORMAT;
    memset(card->pan, 0, sizeof card->pan);
    memcpy(card->pan, pan.p, pan.n);
    memset(card->expiry, 0, sizeof card->expiry);
    memcpy(card->expiry, expiry.p, 4);
    card->has_sequence = pairs == 3;
    card->sequence = (uint8_t)sequence;
    return DP_OK;
}

static int read_track2(struct dp_reader *r, struct dp_sealed_card *card)
{
    size_t pairs = dp_cbor_read_map(r);
    struct dp_bytes track2 = {NULL, 0};
    if (dp_cbor_read_uint(r) == KEY_TRACK2)
        track2 = dp_cbor_read_bytes(r);
    if (dp_reader_finish(r) != DP_OK || pairs != 1 || track2.n == 0 ||
        track2.n > sizeof card->track2)
        return DP_ERR_FORMAT;
    memcpy(card->track2, track2.p, track2.n);
    card->track2_n = (uint8_t)track2.n;
    return DP_OK;
}

static int read_clear(enum dp_sealed_kind kind, struct dp_bytes clear, struct dp_sealed_card *card)
{
    struct dp_reader r;
    if (dp_cbor_check(clear.p, clear.n, NULL) != DP_OK)
        return DP_ERR_FORMAT;
    dp_reader_init(&r, clear.p, clear.n);
    return kind == DP_SEALED_PAN ? read_pan(&r, card) : read_track2(&r, card);
}

/* ---- the blob ---- */

int dp_sealed_make(const uint8_t recipient[65], enum dp_sealed_kind kind,
                   const struct dp_sealed_context *context, const struct dp_sealed_card *card,
                   uint8_t *out, size_t max, size_t *n)
{
    uint8_t aad[AAD_BYTES], clear[CLEAR_MAX];
    struct dp_writer w;
    size_t sealed_n = 0;
    int err = aad_of(context, kind, aad);
    *n = 0;
    dp_writer_init(&w, clear, sizeof clear);
    if (err == DP_OK)
        err = write_clear(&w, kind, card);
    if (err == DP_OK && max < HEAD_BYTES)
        err = DP_ERR_SPACE;
    if (err == DP_OK) {
        out[0] = VERSION;
        err = dp_cose_key_id(recipient, out + 1);
    }
    if (err == DP_OK)
        err = dp_hpke_seal(recipient, info, (struct dp_bytes){aad, sizeof aad},
                           (struct dp_bytes){clear, w.n}, out + 1 + DP_COSE_KID_BYTES,
                           out + HEAD_BYTES, max - HEAD_BYTES, &sealed_n);
    if (err == DP_OK)
        *n = HEAD_BYTES + sealed_n;
    dp_wipe(clear, sizeof clear);
    return err;
}

int dp_sealed_open(dp_hpke_ecdh_fn *ecdh, void *ctx, const uint8_t recipient[65],
                   enum dp_sealed_kind kind, const struct dp_sealed_context *context,
                   struct dp_bytes blob, struct dp_sealed_card *card)
{
    uint8_t aad[AAD_BYTES], clear[CLEAR_MAX], own[DP_COSE_KID_BYTES];
    struct dp_bytes kid, enc;
    struct dp_reader r;
    size_t n = 0;
    int err = aad_of(context, kind, aad);
    if (err == DP_OK)
        err = dp_cose_key_id(recipient, own);
    if (err != DP_OK)
        return err;
    dp_reader_init(&r, blob.p, blob.n);
    if (dp_read_u8(&r) != VERSION)
        return DP_ERR_FORMAT;
    kid = dp_read_bytes(&r, DP_COSE_KID_BYTES);
    enc = dp_read_bytes(&r, DP_HPKE_ENC_BYTES);
    if (r.err != DP_OK || r.left < DP_HPKE_TAG_BYTES || r.left > CLEAR_MAX + DP_HPKE_TAG_BYTES)
        return DP_ERR_FORMAT;
    if (memcmp(kid.p, own, sizeof own) != 0)
        return DP_ERR_SIGNATURE;
    err = dp_hpke_open(ecdh, ctx, recipient, enc.p, info, (struct dp_bytes){aad, sizeof aad},
                       (struct dp_bytes){r.p, r.left}, clear, sizeof clear, &n);
    if (err == DP_ERR_ARG)
        err = DP_ERR_SIGNATURE; /* not even a point: damaged */
    if (err == DP_OK)
        err = read_clear(kind, (struct dp_bytes){clear, n}, card);
    dp_wipe(clear, sizeof clear);
    return err;
}
