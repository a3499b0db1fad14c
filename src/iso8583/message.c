/* SPDX-License-Identifier: Apache-2.0 */
/* A message as a value: setters and getters. */
#include <doorpay/iso8583.h>

#include <string.h>

#include "base/assert.h"
#include "base/secret.h"

void dp_iso8583_init(struct dp_iso8583_message *m, unsigned mti)
{
    memset(m, 0, sizeof *m);
    m->mti = (uint16_t)mti;
    if (mti > 9999)
        m->err = DP_ERR_RANGE;
}

void dp_iso8583_wipe(struct dp_iso8583_message *m)
{
    dp_wipe(m, sizeof *m);
}

static void fail(struct dp_iso8583_message *m, int de, int err)
{
    if (m->err != DP_OK)
        return;
    m->err = err;
    m->err_de = de;
}

void dp_iso8583_set(struct dp_iso8583_message *m, int de, const void *p, size_t n)
{
    DP_ASSERT(m->n <= sizeof m->content);
    if (de < 2 || de >= DP_ISO8583_FIELDS) {
        fail(m, de, DP_ERR_ARG);
    } else if (n == 0) {
        fail(m, de, DP_ERR_MISSING);
    } else if (n > sizeof m->content - m->n) {
        fail(m, de, DP_ERR_SPACE);
    } else {
        memcpy(m->content + m->n, p, n);
        m->field[de].at = (uint16_t)m->n;
        m->field[de].n = (uint16_t)n;
        m->n += n;
    }
}

void dp_iso8583_set_text(struct dp_iso8583_message *m, int de, const char *text)
{
    dp_iso8583_set(m, de, text, strlen(text));
}

void dp_iso8583_set_number(struct dp_iso8583_message *m, int de, uint64_t value, unsigned digits)
{
    char text[20];
    if (digits < 1 || digits > sizeof text) {
        fail(m, de, DP_ERR_ARG);
        return;
    }
    for (unsigned i = digits; i > 0; i--) {
        text[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    if (value != 0)
        fail(m, de, DP_ERR_RANGE);
    else
        dp_iso8583_set(m, de, text, digits);
}

bool dp_iso8583_has(const struct dp_iso8583_message *m, int de)
{
    return de >= 2 && de < DP_ISO8583_FIELDS && m->field[de].n > 0;
}

struct dp_bytes dp_iso8583_get(const struct dp_iso8583_message *m, int de)
{
    struct dp_bytes b = {NULL, 0};
    if (dp_iso8583_has(m, de)) {
        b.p = m->content + m->field[de].at;
        b.n = m->field[de].n;
    }
    return b;
}

bool dp_iso8583_get_number(const struct dp_iso8583_message *m, int de, uint64_t *value)
{
    struct dp_bytes b = dp_iso8583_get(m, de);
    *value = 0;
    if (b.n == 0 || b.n > 19)
        return false;
    for (size_t i = 0; i < b.n; i++) {
        if (b.p[i] < '0' || b.p[i] > '9')
            return false;
        *value = *value * 10 + (uint64_t)(b.p[i] - '0');
    }
    return true;
}

bool dp_iso8583_get_text(const struct dp_iso8583_message *m, int de, char *out, size_t max)
{
    struct dp_bytes b = dp_iso8583_get(m, de);
    DP_ASSERT(max > 0);
    out[0] = '\0';
    if (b.n == 0 || b.n > max - 1)
        return false;
    memcpy(out, b.p, b.n);
    out[b.n] = '\0';
    return true;
}

bool dp_iso8583_same(const struct dp_iso8583_message *a, const struct dp_iso8583_message *b, int de)
{
    struct dp_bytes x = dp_iso8583_get(a, de), y = dp_iso8583_get(b, de);
    return x.n == y.n && (x.n == 0 || memcmp(x.p, y.p, x.n) == 0);
}
