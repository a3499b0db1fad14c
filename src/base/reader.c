/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reader.h"

#include <string.h>

#include "base/assert.h"

void dp_reader_init(struct dp_reader *r, const void *p, size_t n)
{
    DP_ASSERT(p != NULL || n == 0);
    r->p = p;
    r->left = n;
    r->done = 0;
    r->err = DP_OK;
}

int dp_reader_fail(struct dp_reader *r, int err)
{
    DP_ASSERT(err < 0);
    if (r->err == DP_OK)
        r->err = err;
    return r->err;
}

struct dp_bytes dp_read_bytes(struct dp_reader *r, size_t n)
{
    struct dp_bytes b = {NULL, 0};
    if (r->err != DP_OK)
        return b;
    if (n > r->left) {
        r->err = DP_ERR_SHORT;
        return b;
    }
    b.p = r->p;
    b.n = n;
    if (n > 0)
        r->p += n;
    r->left -= n;
    r->done += n;
    return b;
}

static uint64_t read_int(struct dp_reader *r, size_t n)
{
    struct dp_bytes b = dp_read_bytes(r, n);
    uint64_t v = 0;
    for (size_t i = 0; i < b.n; i++)
        v = v << 8 | b.p[i];
    return v;
}

uint8_t dp_read_u8(struct dp_reader *r)
{
    return (uint8_t)read_int(r, 1);
}

uint16_t dp_read_u16(struct dp_reader *r)
{
    return (uint16_t)read_int(r, 2);
}

uint32_t dp_read_u32(struct dp_reader *r)
{
    return (uint32_t)read_int(r, 4);
}

uint64_t dp_read_u64(struct dp_reader *r)
{
    return read_int(r, 8);
}

void dp_read_copy(struct dp_reader *r, void *out, size_t n)
{
    struct dp_bytes b = dp_read_bytes(r, n);
    if (n == 0)
        return;
    if (b.n == n)
        memcpy(out, b.p, n);
    else
        memset(out, 0, n);
}

void dp_read_skip(struct dp_reader *r, size_t n)
{
    (void)dp_read_bytes(r, n);
}

void dp_read_text(struct dp_reader *r, char *out, size_t max)
{
    uint8_t n = dp_read_u8(r);
    if (n >= max)
        (void)dp_reader_fail(r, DP_ERR_RANGE);
    out[0] = '\0';
    if (r->err != DP_OK)
        return;
    dp_read_copy(r, out, n);
    out[n] = '\0';
    if (strlen(out) != n)
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
    if (r->err != DP_OK)
        out[0] = '\0';
}

uint8_t dp_read_peek(const struct dp_reader *r)
{
    return r->err == DP_OK && r->left > 0 ? *r->p : 0;
}

struct dp_reader dp_read_sub(struct dp_reader *r, size_t n)
{
    struct dp_reader sub;
    struct dp_bytes b = dp_read_bytes(r, n);
    dp_reader_init(&sub, b.p, b.n);
    sub.err = r->err;
    return sub;
}

int dp_reader_finish(const struct dp_reader *r)
{
    if (r->err != DP_OK)
        return r->err;
    return r->left > 0 ? DP_ERR_TRAILING : DP_OK;
}
