/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pan.h"

#include <string.h>

#include "base/assert.h"
#include "base/secret.h"

#define MASK_RUN_MIN 12

/* Digits of p up to a stop nibble (D or F); n_end is the number of nibbles before it. */
static int digits_until(const uint8_t *p, size_t n, uint8_t stop, struct dp_pan *out, size_t *used)
{
    size_t i;
    out->n = 0;
    for (i = 0; i < 2 * n; i++) {
        uint8_t v = i % 2 == 0 ? p[i / 2] >> 4 : p[i / 2] & 15;
        if (v == stop)
            break;
        if (v > 9 || out->n == DP_PAN_DIGITS_MAX)
            return DP_ERR_FORMAT;
        out->digits[out->n++] = v;
    }
    *used = i;
    return out->n < DP_PAN_DIGITS_MIN ? DP_ERR_FORMAT : DP_OK;
}

int dp_pan_from_bcd(const uint8_t *p, size_t n, struct dp_pan *out)
{
    size_t used = 0;
    int err = digits_until(p, n, 0xF, out, &used);
    if (err < 0)
        return err;
    for (size_t i = used; i < 2 * n; i++)
        if ((i % 2 == 0 ? p[i / 2] >> 4 : p[i / 2] & 15) != 0xF)
            return DP_ERR_FORMAT;
    return DP_OK;
}

int dp_pan_from_track2(const uint8_t *p, size_t n, struct dp_pan *out)
{
    size_t used = 0;
    int err = digits_until(p, n, 0xD, out, &used);
    if (err == DP_OK && used == 2 * n)
        return DP_ERR_FORMAT; /* no separator */
    return err;
}

bool dp_pan_luhn(const struct dp_pan *pan)
{
    unsigned sum = 0;
    for (size_t i = 0; i < pan->n; i++) {
        unsigned d = pan->digits[pan->n - 1 - i];
        if (i % 2 == 1)
            d = d * 2 > 9 ? d * 2 - 9 : d * 2;
        sum += d;
    }
    return pan->n > 0 && sum % 10 == 0;
}

void dp_pan_shorten(const struct dp_pan *pan, struct dp_pan_short *out)
{
    DP_ASSERT(pan->n >= DP_PAN_DIGITS_MIN && pan->n <= DP_PAN_DIGITS_MAX);
    memset(out, 0, sizeof *out);
    /* a short number keeps fewer of its first digits, so that at least four stay hidden */
    size_t first = pan->n >= 14 ? 6 : 0;
    for (size_t i = 0; i < first; i++)
        out->bin[i] = (char)('0' + pan->digits[i]);
    for (size_t i = 0; i < 4; i++)
        out->last4[i] = (char)('0' + pan->digits[pan->n - 4U + i]);
}

bool dp_pan_equal(const struct dp_pan *a, const struct dp_pan *b)
{
    return a->n == b->n && memcmp(a->digits, b->digits, a->n) == 0;
}

void dp_pan_wipe(struct dp_pan *pan)
{
    dp_wipe(pan, sizeof *pan);
}

void dp_pan_mask_text(char *text)
{
    for (size_t i = 0; text[i] != '\0';) {
        size_t run = 0;
        while (text[i + run] >= '0' && text[i + run] <= '9')
            run++;
        if (run >= MASK_RUN_MIN && run <= DP_PAN_DIGITS_MAX)
            memset(text + i, '*', run - 4);
        i += run > 0 ? run : 1;
    }
}
