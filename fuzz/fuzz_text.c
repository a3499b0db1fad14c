/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small parsers of base: hex, amounts, card numbers. First byte: which; the rest: the input.
 */
#include "base/hex.h"
#include "base/pan.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* What decodes encodes to something that decodes to the same. */
static void hex(const char *text, size_t n)
{
    uint8_t bytes[TEXT_MAX], again[TEXT_MAX];
    char out[2 * TEXT_MAX + 1];
    size_t bytes_n = 0, again_n = 0;

    if (dp_hex_decode(text, n, bytes, sizeof(bytes), &bytes_n) != DP_OK)
        return;
    must(bytes_n <= n / 2);
    dp_hex_encode(bytes, bytes_n, out, sizeof(out));
    must(dp_hex_decode(out, strlen(out), again, sizeof(again), &again_n) == DP_OK);
    must(again_n == bytes_n && memcmp(bytes, again, bytes_n) == 0);
}

/* "AMOUNT CUR": what is accepted is positive and reads the same when printed. */
static void money(char *text)
{
    char *currency = strchr(text, ' ');
    struct dp_money m, again;
    char out[64];

    if (currency == NULL)
        return;
    *currency++ = '\0';
    if (dp_money_parse(text, currency, &m) != DP_OK)
        return;
    must(m.minor > 0 && m.minor <= 999999999999);
    dp_money_text(&m, out, sizeof(out));
    currency = strchr(out, ' ');
    must(currency != NULL);
    *currency++ = '\0';
    must(dp_money_parse(out, currency, &again) == DP_OK);
    must(again.minor == m.minor && again.currency == m.currency);
}

static void pan(int err, const struct dp_pan *p)
{
    struct dp_pan_short s;

    if (err != DP_OK)
        return;
    must(p->n >= DP_PAN_DIGITS_MIN && p->n <= DP_PAN_DIGITS_MAX);
    dp_pan_shorten(p, &s);
    must(strlen(s.bin) <= 6 && strlen(s.last4) <= 4);
    (void)dp_pan_luhn(p);
}

static void mask(char *text)
{
    size_t i, n = strlen(text), run = 0;

    dp_pan_mask_text(text);
    must(strlen(text) == n);
    for (i = 0; i < n; i++) {
        run = text[i] >= '0' && text[i] <= '9' ? run + 1 : 0;
        if (run == 12) /* twelve in the clear can only be the start of a run too long for a PAN */
            must(strspn(text + i + 1, "0123456789") + run > DP_PAN_DIGITS_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX + 1];
    struct dp_pan p;

    if (size < 1 || size > TEXT_MAX)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % 5) {
    case 0:
        hex((const char *)data + 1, size - 1);
        break;
    case 1:
        money(text);
        break;
    case 2:
        pan(dp_pan_from_bcd(data + 1, size - 1, &p), &p);
        break;
    case 3:
        pan(dp_pan_from_track2(data + 1, size - 1, &p), &p);
        break;
    default:
        mask(text);
    }
    return 0;
}
