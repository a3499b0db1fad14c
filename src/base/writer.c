/* SPDX-License-Identifier: Apache-2.0 */
#include "base/writer.h"

#include <string.h>

#include "base/assert.h"

void dp_writer_init(struct dp_writer *w, void *p, size_t max)
{
    DP_ASSERT(p != NULL || max == 0);
    w->p = p;
    w->max = max;
    w->n = 0;
    w->err = DP_OK;
}

int dp_writer_fail(struct dp_writer *w, int err)
{
    DP_ASSERT(err < 0);
    if (w->err == DP_OK)
        w->err = err;
    return w->err;
}

uint8_t *dp_write_reserve(struct dp_writer *w, size_t n)
{
    uint8_t *at;
    if (w->err != DP_OK)
        return NULL;
    if (n > w->max - w->n) {
        w->err = DP_ERR_SPACE;
        return NULL;
    }
    at = w->p + w->n;
    w->n += n;
    return at;
}

void dp_write_bytes(struct dp_writer *w, const void *p, size_t n)
{
    uint8_t *at;
    if (n == 0)
        return;
    at = dp_write_reserve(w, n);
    if (at != NULL)
        memcpy(at, p, n);
}

void dp_write_fill(struct dp_writer *w, uint8_t v, size_t n)
{
    uint8_t *at;
    if (n == 0)
        return;
    at = dp_write_reserve(w, n);
    if (at != NULL)
        memset(at, v, n);
}

static void write_int(struct dp_writer *w, uint64_t v, size_t n)
{
    uint8_t *at = dp_write_reserve(w, n);
    for (size_t i = 0; at != NULL && i < n; i++)
        at[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

void dp_write_u8(struct dp_writer *w, uint8_t v)
{
    write_int(w, v, 1);
}

void dp_write_u16(struct dp_writer *w, uint16_t v)
{
    write_int(w, v, 2);
}

void dp_write_u32(struct dp_writer *w, uint32_t v)
{
    write_int(w, v, 4);
}

void dp_write_u64(struct dp_writer *w, uint64_t v)
{
    write_int(w, v, 8);
}

void dp_write_text(struct dp_writer *w, const char *text)
{
    size_t n = strlen(text);
    if (n > UINT8_MAX) {
        (void)dp_writer_fail(w, DP_ERR_RANGE);
        return;
    }
    dp_write_u8(w, (uint8_t)n);
    dp_write_bytes(w, text, n);
}

struct dp_bytes dp_writer_bytes(const struct dp_writer *w)
{
    struct dp_bytes b = {w->p, w->err == DP_OK ? w->n : 0};
    return b;
}
