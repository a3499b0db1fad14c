/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one bounded reader: every parser of bytes from outside goes through it. Failure is sticky:
 * after the first one every read gives zero or nothing, so a parser may read a whole structure
 * and ask once at the end.
 */
#ifndef DP_BASE_READER_H
#define DP_BASE_READER_H

#include <doorpay/base.h>

struct dp_reader {
    const uint8_t *p; /* next byte */
    size_t left;      /* bytes from p on */
    size_t done;      /* bytes read: the place an error names */
    int err;          /* DP_OK, or the first failure */
};

/* p must stay valid as long as the reader and what it handed out. p may be NULL when n is 0. */
void dp_reader_init(struct dp_reader *r, const void *p, size_t n);
/* Big-endian integers; 0 after a failure. */
uint8_t dp_read_u8(struct dp_reader *r);
uint16_t dp_read_u16(struct dp_reader *r);
uint32_t dp_read_u32(struct dp_reader *r);
uint64_t dp_read_u64(struct dp_reader *r);
/* n bytes, not copied; {NULL, 0} after a failure. */
struct dp_bytes dp_read_bytes(struct dp_reader *r, size_t n);
/* n bytes copied to out; zeros after a failure. */
void dp_read_copy(struct dp_reader *r, void *out, size_t n);
void dp_read_skip(struct dp_reader *r, size_t n);
/* A text of dp_write_text: less than max characters, none of them NUL. "" after a failure. */
void dp_read_text(struct dp_reader *r, char *out, size_t max);
/* The next byte without taking it; 0 when none is left, which is no failure. */
uint8_t dp_read_peek(const struct dp_reader *r);
/* A reader over the next n bytes, which are taken from r; failed when r has fewer. */
struct dp_reader dp_read_sub(struct dp_reader *r, size_t n);
/* Sets the failure unless there is one already. Returns the sticky error. */
int dp_reader_fail(struct dp_reader *r, int err);
/* The sticky error, or DP_ERR_TRAILING when bytes are left, or DP_OK. */
DP_MUST_USE int dp_reader_finish(const struct dp_reader *r);

#endif
