/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deterministic CBOR (RFC 8949, 4.2.1), and nothing else: definite lengths, shortest arguments, map
 * keys ascending and once, no floating point. Reading goes over the bounded reader of base:
 * failures are sticky, so a caller reads on and asks at the end.
 */
#ifndef DOORPAY_CBOR_H
#define DOORPAY_CBOR_H

#include <doorpay/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dp_reader; /* base/reader.h */
struct dp_writer; /* base/writer.h */

enum dp_cbor_type {
    DP_CBOR_UINT = 0,
    DP_CBOR_NINT = 1,
    DP_CBOR_BYTES = 2,
    DP_CBOR_TEXT = 3,
    DP_CBOR_ARRAY = 4,
    DP_CBOR_MAP = 5,
    DP_CBOR_TAG = 6,
    DP_CBOR_SIMPLE = 7, /* false, true, null */
    DP_CBOR_NONE = 8    /* nothing left */
};

/*
 * Holds n bytes against the whole of the deterministic form, as exactly one item: DP_OK,
 * DP_ERR_SHORT, DP_ERR_TRAILING, DP_ERR_FORMAT (not deterministic, a float, an indefinite length,
 * text that is not UTF-8, a map key that is no integer or string), DP_ERR_DUPLICATE, DP_ERR_LIMIT
 * (nesting). *at (may be NULL) is the offset of the finding. Call it before reading: the readers
 * below check only what they touch (they too refuse what is not shortest).
 */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_cbor_check(const uint8_t *p, size_t n, size_t *at);

/* The type of the next item without taking it. */
DP_PUBLIC enum dp_cbor_type dp_cbor_peek(const struct dp_reader *r);
/* Each takes one item; another type is DP_ERR_FORMAT in r and gives 0, false or {NULL, 0}. Bytes
 * point into the input. */
DP_PUBLIC DP_PARSES uint64_t dp_cbor_read_uint(struct dp_reader *r);
DP_PUBLIC DP_PARSES int64_t dp_cbor_read_int(struct dp_reader *r);
DP_PUBLIC DP_PARSES struct dp_bytes dp_cbor_read_bytes(struct dp_reader *r);
DP_PUBLIC DP_PARSES struct dp_bytes dp_cbor_read_text(struct dp_reader *r);
/* A byte string of exactly n bytes into out; what the next item has to be. DP_ERR_FORMAT else. */
DP_PUBLIC DP_PARSES void dp_cbor_read_fixed(struct dp_reader *r, uint8_t *out, size_t n);
DP_PUBLIC DP_PARSES void dp_cbor_expect_int(struct dp_reader *r, int64_t wanted);
DP_PUBLIC DP_PARSES bool dp_cbor_read_bool(struct dp_reader *r);
DP_PUBLIC DP_PARSES void dp_cbor_read_null(struct dp_reader *r);
DP_PUBLIC DP_PARSES uint64_t dp_cbor_read_tag(struct dp_reader *r);
/* The number of items (array) or of pairs (map) that follow. Never more than bytes are left. */
DP_PUBLIC DP_PARSES size_t dp_cbor_read_array(struct dp_reader *r);
DP_PUBLIC DP_PARSES size_t dp_cbor_read_map(struct dp_reader *r);
/* Takes one whole item, nested ones included. */
DP_PUBLIC DP_PARSES void dp_cbor_skip(struct dp_reader *r);

/* Writing; the caller writes map keys ascending, and dp_cbor_finish holds it to that. */
DP_PUBLIC void dp_cbor_write_uint(struct dp_writer *w, uint64_t v);
DP_PUBLIC void dp_cbor_write_int(struct dp_writer *w, int64_t v);
DP_PUBLIC void dp_cbor_write_bytes(struct dp_writer *w, const void *p, size_t n);
DP_PUBLIC void dp_cbor_write_text(struct dp_writer *w, const char *p, size_t n);
DP_PUBLIC void dp_cbor_write_bool(struct dp_writer *w, bool v);
DP_PUBLIC void dp_cbor_write_null(struct dp_writer *w);
DP_PUBLIC void dp_cbor_write_tag(struct dp_writer *w, uint64_t tag);
DP_PUBLIC void dp_cbor_write_array(struct dp_writer *w, size_t items);
DP_PUBLIC void dp_cbor_write_map(struct dp_writer *w, size_t pairs);
/* The writer's sticky error. Asserts that what was written from the start of w is one whole item
 * of the deterministic form: a writer that cannot keep to it stops here, and not its reader. */
DP_PUBLIC DP_MUST_USE int dp_cbor_finish(const struct dp_writer *w);

#ifdef __cplusplus
}
#endif
#endif
