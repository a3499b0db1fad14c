/* SPDX-License-Identifier: Apache-2.0 */
/* What stands inside DE48, DE55 and DE56. */
#include <doorpay/iso8583.h>

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/reader.h"

#define ORIGINAL_FIELD 56

int dp_iso8583_tag_add(uint8_t *out, size_t max, size_t *n, uint8_t tag, const void *value,
                       size_t value_n)
{
    DP_ASSERT(*n <= max);
    if (value_n > 255)
        return DP_ERR_RANGE;
    if (value_n + 2 > max - *n)
        return DP_ERR_SPACE;
    out[(*n)++] = tag;
    out[(*n)++] = (uint8_t)value_n;
    if (value_n > 0)
        memcpy(out + *n, value, value_n);
    *n += value_n;
    return DP_OK;
}

int dp_iso8583_tag_next(struct dp_bytes data, size_t *at, uint8_t *tag, struct dp_bytes *value)
{
    struct dp_reader r;
    DP_ASSERT(*at <= data.n);
    if (*at == data.n)
        return DP_ERR_NOT_FOUND;
    dp_reader_init(&r, data.p + *at, data.n - *at);
    *tag = dp_read_u8(&r);
    *value = dp_read_bytes(&r, dp_read_u8(&r));
    *at += r.done;
    return r.err;
}

static uint32_t emv_tag(struct dp_reader *r)
{
    uint32_t tag = dp_read_u8(r);
    if ((tag & 0x1F) != 0x1F)
        return tag;
    for (size_t n = 1; n < DP_TLV_TAG_MAX; n++) {
        uint8_t more = dp_read_u8(r);
        tag = tag << 8 | more;
        if ((more & 0x80) == 0)
            return tag;
    }
    (void)dp_reader_fail(r, DP_ERR_FORMAT);
    return tag;
}

/* One form per length is not asked for here: cards and hosts write 81 05 too. */
static size_t emv_length(struct dp_reader *r)
{
    uint8_t first = dp_read_u8(r);
    if (first < 0x80)
        return first;
    if (first == 0x81)
        return dp_read_u8(r);
    if (first == 0x82)
        return dp_read_u16(r);
    (void)dp_reader_fail(r, DP_ERR_FORMAT);
    return 0;
}

int dp_iso8583_emv_next(struct dp_bytes data, size_t *at, uint32_t *tag, struct dp_bytes *value)
{
    struct dp_reader r;
    DP_ASSERT(*at <= data.n);
    if (*at == data.n)
        return DP_ERR_NOT_FOUND;
    dp_reader_init(&r, data.p + *at, data.n - *at);
    *tag = emv_tag(&r);
    *value = dp_read_bytes(&r, emv_length(&r));
    *at += r.done;
    return r.err;
}

void dp_iso8583_set_original(struct dp_iso8583_message *m,
                             const struct dp_iso8583_original *original)
{
    char text[64];
    int n =
        snprintf(text, sizeof text, "%04u%06u%s%02zu%s", original->mti, (unsigned)original->stan,
                 original->de12, strlen(original->acquirer), original->acquirer);
    DP_ASSERT(n > 0 && (size_t)n < sizeof text);
    dp_iso8583_set(m, ORIGINAL_FIELD, text, (size_t)n);
}

/* n digits as a number; the field holds digits only once unpacked. */
static uint32_t number(struct dp_reader *r, size_t n)
{
    struct dp_bytes b = dp_read_bytes(r, n);
    uint32_t v = 0;
    for (size_t i = 0; i < b.n; i++) {
        if (b.p[i] < '0' || b.p[i] > '9')
            (void)dp_reader_fail(r, DP_ERR_FORMAT);
        v = v * 10 + (uint32_t)(b.p[i] - '0');
    }
    return v;
}

int dp_iso8583_get_original(const struct dp_iso8583_message *m,
                            struct dp_iso8583_original *original)
{
    struct dp_bytes b = dp_iso8583_get(m, ORIGINAL_FIELD);
    struct dp_reader r;
    size_t acquirer_n;
    memset(original, 0, sizeof *original);
    if (b.n == 0)
        return DP_ERR_MISSING;
    dp_reader_init(&r, b.p, b.n);
    original->mti = (uint16_t)number(&r, 4);
    original->stan = number(&r, 6);
    dp_read_copy(&r, original->de12, 12);
    acquirer_n = number(&r, 2);
    if (acquirer_n > sizeof original->acquirer - 1)
        return DP_ERR_FORMAT;
    dp_read_copy(&r, original->acquirer, acquirer_n);
    return dp_reader_finish(&r) == DP_OK ? DP_OK : DP_ERR_FORMAT;
}
