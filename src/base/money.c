/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <doorpay/base.h>

#include "base/assert.h"

#define AMOUNT_MAX 999999999999LL /* DE4 and tag 9F02 hold 12 digits */

/* ISO 4217: the currencies of the territories a European postal operator delivers in. */
static const struct {
    char alpha[4];
    uint16_t numeric;
    uint8_t exponent;
} currencies[] = {
    {"AUD", 36, 2},  {"BAM", 977, 2}, {"BGN", 975, 2}, {"CAD", 124, 2}, {"CHF", 756, 2},
    {"CZK", 203, 2}, {"DKK", 208, 2}, {"EUR", 978, 2}, {"GBP", 826, 2}, {"HUF", 348, 2},
    {"ISK", 352, 0}, {"JPY", 392, 0}, {"KWD", 414, 3}, {"MAD", 504, 2}, {"NOK", 578, 2},
    {"PLN", 985, 2}, {"RON", 946, 2}, {"RSD", 941, 2}, {"SEK", 752, 2}, {"TND", 788, 3},
    {"TRY", 949, 2}, {"UAH", 980, 2}, {"USD", 840, 2}, {"XAF", 950, 0}, {"XOF", 952, 0},
    {"XPF", 953, 0},
};
#define CURRENCIES (sizeof currencies / sizeof currencies[0])

int dp_currency_by_alpha(const char *alpha, uint16_t *numeric, uint8_t *exponent)
{
    for (size_t i = 0; i < CURRENCIES; i++)
        if (strcmp(currencies[i].alpha, alpha) == 0) {
            *numeric = currencies[i].numeric;
            *exponent = currencies[i].exponent;
            return DP_OK;
        }
    return DP_ERR_UNSUPPORTED;
}

const char *dp_currency_alpha(uint16_t numeric)
{
    for (size_t i = 0; i < CURRENCIES; i++)
        if (currencies[i].numeric == numeric)
            return currencies[i].alpha;
    return NULL;
}

int dp_currency_exponent(uint16_t numeric)
{
    for (size_t i = 0; i < CURRENCIES; i++)
        if (currencies[i].numeric == numeric)
            return currencies[i].exponent;
    return DP_ERR_UNSUPPORTED;
}

/* Digits up to the point and exactly as many decimals as written; scaled to the exponent. */
static int decimal(const char *s, uint8_t exponent, int64_t *out)
{
    int64_t v = 0;
    int decimals = -1; /* none seen */
    size_t digits = 0;
    for (; *s != '\0'; s++) {
        if (*s == '.' && decimals < 0 && digits > 0) {
            decimals = 0;
            continue;
        }
        if (*s < '0' || *s > '9')
            return DP_ERR_FORMAT;
        if (decimals >= 0 && ++decimals > exponent)
            return DP_ERR_FORMAT;
        v = v * 10 + (*s - '0');
        digits++;
        if (v > AMOUNT_MAX)
            return DP_ERR_RANGE;
    }
    if (digits == 0 || decimals == 0)
        return DP_ERR_FORMAT;
    for (int i = decimals < 0 ? 0 : decimals; i < exponent; i++)
        v *= 10;
    *out = v;
    return v == 0 || v > AMOUNT_MAX ? DP_ERR_RANGE : DP_OK;
}

int dp_money_parse(const char *amount, const char *currency, struct dp_money *out)
{
    struct dp_money m = {0};
    int err = dp_currency_by_alpha(currency, &m.currency, &m.exponent);
    if (err == DP_OK)
        err = decimal(amount, m.exponent, &m.minor);
    if (err == DP_OK)
        *out = m;
    return err;
}

const char *dp_money_text(const struct dp_money *m, char *out, size_t n)
{
    const char *alpha = dp_currency_alpha(m->currency);
    int64_t scale = 1;
    char code[8];
    DP_ASSERT(n > 0 && m->exponent <= 4);
    for (int i = 0; i < m->exponent; i++)
        scale *= 10;
    (void)snprintf(code, sizeof code, "%03u", m->currency % 1000U);
    uint64_t abs = m->minor < 0 ? (uint64_t)0 - (uint64_t)m->minor : (uint64_t)m->minor;
    if (m->exponent == 0)
        (void)snprintf(out, n, "%s%" PRIu64 " %s", m->minor < 0 ? "-" : "", abs,
                       alpha != NULL ? alpha : code);
    else
        (void)snprintf(out, n, "%s%" PRIu64 ".%0*" PRIu64 " %s", m->minor < 0 ? "-" : "",
                       abs / (uint64_t)scale, m->exponent, abs % (uint64_t)scale,
                       alpha != NULL ? alpha : code);
    return out;
}
