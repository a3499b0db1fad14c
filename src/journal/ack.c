/* SPDX-License-Identifier: Apache-2.0 */
#include "ack.h"

#include <stdlib.h>
#include <string.h>

#include <doorpay/cbor.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/reader.h"

#define VERSION    1
#define ACK_KEYS   7
#define HEADS_MORE 256

static const uint8_t aad[] = "doorpay acknowledgement 1";

static uint64_t read_uint(struct dp_reader *r, uint64_t min)
{
    uint64_t v = dp_cbor_read_uint(r);
    if (v < min || v > INT64_MAX)
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    return v;
}

/* It goes to people: printable ASCII. */
static void read_server(struct dp_reader *r, char out[ACK_SERVER_MAX + 1])
{
    struct dp_bytes b = dp_cbor_read_text(r);
    if (r->err == DP_OK && (b.n < 1 || b.n > ACK_SERVER_MAX))
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    for (size_t i = 0; r->err == DP_OK && i < b.n; i++)
        if (b.p[i] < ' ' || b.p[i] > '~')
            (void)dp_reader_fail(r, DP_ERR_RANGE);
    if (r->err == DP_OK)
        memcpy(out, b.p, b.n);
}

static int read_payload(struct dp_bytes payload, struct ack *out)
{
    struct dp_reader r;
    int err = dp_cbor_check(payload.p, payload.n, NULL);
    if (err != DP_OK)
        return err;
    dp_reader_init(&r, payload.p, payload.n);
    if (dp_cbor_read_map(&r) != ACK_KEYS)
        return DP_ERR_FORMAT;
    dp_cbor_expect_int(&r, 1);
    if (dp_cbor_read_uint(&r) != VERSION)
        (void)dp_reader_fail(&r, DP_ERR_UNSUPPORTED);
    dp_cbor_expect_int(&r, 2);
    dp_cbor_read_fixed(&r, out->journal, sizeof out->journal);
    dp_cbor_expect_int(&r, 3);
    out->size = read_uint(&r, 1);
    dp_cbor_expect_int(&r, 4);
    dp_cbor_read_fixed(&r, out->root, sizeof out->root);
    dp_cbor_expect_int(&r, 5);
    dp_cbor_read_fixed(&r, out->anchor, sizeof out->anchor);
    dp_cbor_expect_int(&r, 6);
    out->wall_ms = read_uint(&r, 0);
    dp_cbor_expect_int(&r, 7);
    read_server(&r, out->server);
    return dp_reader_finish(&r);
}

int ack_read(const uint8_t *p, size_t n, struct ack *out)
{
    struct dp_cose_sign1_view v;
    int err = dp_cose_sign1_parse(p, n, &v);
    memset(out, 0, sizeof *out);
    if (err != DP_OK)
        return err;
    memcpy(out->kid, v.kid, sizeof out->kid);
    return read_payload(v.payload, out);
}

int ack_verify(const uint8_t *p, size_t n, const uint8_t collector[65])
{
    const struct dp_bytes covered = {aad, sizeof aad - 1};
    struct dp_cose_sign1_view v;
    uint8_t kid[DP_COSE_KID_BYTES];
    int err = dp_cose_sign1_parse(p, n, &v);
    if (err == DP_OK)
        err = dp_cose_key_id(collector, kid);
    if (err != DP_OK)
        return err;
    if (memcmp(kid, v.kid, sizeof kid) != 0)
        return DP_ERR_MISMATCH;
    return dp_cose_verify(&v, covered, collector);
}

/* ---- which heads a journal has had ---- */

static int print_of(const uint8_t root[HASH_BYTES], const uint8_t anchor[HASH_BYTES],
                    uint8_t out[HASH_BYTES])
{
    const struct dp_bytes parts[] = {{root, HASH_BYTES}, {anchor, HASH_BYTES}};
    return hash_parts(parts, 2, out);
}

int ack_heads_add(struct ack_heads *h, uint64_t size, const uint8_t root[HASH_BYTES],
                  const uint8_t anchor[HASH_BYTES])
{
    DP_ASSERT(h->n == 0 || h->at[h->n - 1].size < size);
    if (h->n == DP_JOURNAL_HEADS_MAX)
        return DP_ERR_LIMIT;
    if (h->n == h->max) {
        size_t more = h->max == 0 ? HEADS_MORE : h->max * 2;
        struct ack_head *grown = realloc(h->at, more * sizeof *grown);
        if (grown == NULL)
            return DP_ERR_NOMEM;
        h->at = grown;
        h->max = more;
    }
    h->at[h->n].size = size;
    return print_of(root, anchor, h->at[h->n++].print);
}

/* Of the first that has at least size records. */
static size_t place_of(const struct ack_heads *h, uint64_t size)
{
    size_t low = 0, high = h->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (h->at[middle].size < size)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int ack_heads_has(const struct ack_heads *h, const struct ack *a, bool *has)
{
    uint8_t print[HASH_BYTES];
    size_t at = place_of(h, a->size);
    int err = print_of(a->root, a->anchor, print);
    *has = err == DP_OK && at < h->n && h->at[at].size == a->size &&
           memcmp(h->at[at].print, print, sizeof print) == 0;
    return err;
}

void ack_heads_drop(struct ack_heads *h, uint64_t size)
{
    size_t at = place_of(h, size + 1);
    h->n -= at;
    if (h->n > 0)
        memmove(h->at, h->at + at, h->n * sizeof *h->at);
}

void ack_heads_free(struct ack_heads *h)
{
    free(h->at);
    h->at = NULL;
    h->n = h->max = 0;
}
