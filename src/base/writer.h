/* SPDX-License-Identifier: Apache-2.0 */
/* The one bounded writer, the reader's other half; failure is sticky as well. */
#ifndef DP_BASE_WRITER_H
#define DP_BASE_WRITER_H

#include <doorpay/base.h>

struct dp_writer {
    uint8_t *p;
    size_t max;
    size_t n; /* bytes written */
    int err;
};

void dp_writer_init(struct dp_writer *w, void *p, size_t max);
void dp_write_u8(struct dp_writer *w, uint8_t v);
void dp_write_u16(struct dp_writer *w, uint16_t v);
void dp_write_u32(struct dp_writer *w, uint32_t v);
void dp_write_u64(struct dp_writer *w, uint64_t v);
void dp_write_bytes(struct dp_writer *w, const void *p, size_t n);
/* Its length in a byte, then the text without its NUL. */
void dp_write_text(struct dp_writer *w, const char *text);
void dp_write_fill(struct dp_writer *w, uint8_t v, size_t n);
/* n bytes for the caller to fill, or NULL after a failure. */
uint8_t *dp_write_reserve(struct dp_writer *w, size_t n);
int dp_writer_fail(struct dp_writer *w, int err);
/* What was written, as bytes; empty after a failure. */
struct dp_bytes dp_writer_bytes(const struct dp_writer *w);

#endif
