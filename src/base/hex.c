/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hex.h"

#include "base/assert.h"

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int dp_hex_decode(const char *text, size_t text_n, uint8_t *out, size_t max, size_t *n)
{
    size_t used = 0;
    for (size_t i = 0; i < text_n; i++) {
        if (blank(text[i]))
            continue;
        if (i + 1 >= text_n || digit(text[i]) < 0 || digit(text[i + 1]) < 0)
            return DP_ERR_FORMAT;
        if (used >= max)
            return DP_ERR_SPACE;
        out[used++] = (uint8_t)(digit(text[i]) << 4 | digit(text[i + 1]));
        i++;
    }
    *n = used;
    return DP_OK;
}

char *dp_hex_encode(const uint8_t *p, size_t n, char *out, size_t out_n)
{
    static const char digits[] = "0123456789ABCDEF";
    DP_ASSERT(out_n > 0 && n <= (out_n - 1) / 2);
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = '\0';
    return out;
}
