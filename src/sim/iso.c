/* SPDX-License-Identifier: Apache-2.0 */
#include "iso.h"

#include <string.h>

#include "base/assert.h"
#include "base/reader.h"

enum format {
    NONE,
    N,   /* digits as BCD */
    AN,  /* letters, digits, blanks */
    ANS, /* any text */
    B,   /* bytes */
    Z,   /* track 2 */
    XN,  /* C or D and digits */
    MAC
};

/* docs/PROTOCOL.acquirer: format, bytes of length before it (0: fixed), length or the most. */
static const struct element {
    uint8_t format, prefix;
    uint16_t max;
} elements[SIM_ISO_ELEMENTS] = {
    [2] = {N, 1, 19},    [3] = {N, 0, 6},     [4] = {N, 0, 12},    [7] = {N, 0, 10},
    [11] = {N, 0, 6},    [12] = {N, 0, 12},   [14] = {N, 0, 4},    [22] = {AN, 0, 12},
    [23] = {N, 0, 3},    [24] = {N, 0, 3},    [25] = {N, 0, 4},    [35] = {Z, 1, 37},
    [37] = {AN, 0, 12},  [38] = {AN, 0, 6},   [39] = {N, 0, 3},    [41] = {ANS, 0, 8},
    [42] = {ANS, 0, 15}, [48] = {B, 2, 999},  [49] = {N, 0, 3},    [53] = {B, 1, 12},
    [55] = {B, 2, 512},  [56] = {N, 1, 35},   [64] = {MAC, 0, 0},  [74] = {N, 0, 10},
    [75] = {N, 0, 10},   [76] = {N, 0, 10},   [77] = {N, 0, 10},   [81] = {N, 0, 10},
    [86] = {N, 0, 16},   [87] = {N, 0, 16},   [88] = {N, 0, 16},   [89] = {N, 0, 16},
    [97] = {XN, 0, 17},  [120] = {B, 2, 999}, [128] = {MAC, 0, 0},
};

/* ---- elements at hand ---- */

const char *sim_iso_text(const struct sim_iso *m, unsigned de)
{
    DP_ASSERT(de < SIM_ISO_ELEMENTS);
    return m->has[de] ? m->pool + m->at[de] : "";
}

struct dp_bytes sim_iso_bytes(const struct sim_iso *m, unsigned de)
{
    DP_ASSERT(de < SIM_ISO_ELEMENTS);
    if (!m->has[de])
        return (struct dp_bytes){NULL, 0};
    return (struct dp_bytes){(const uint8_t *)m->pool + m->at[de], m->n[de]};
}

struct dp_bytes sim_iso_mac(const struct sim_iso *m)
{
    return sim_iso_bytes(m, m->has[128] ? 128 : 64);
}

void sim_iso_begin(struct sim_iso *m, const char *mti)
{
    DP_ASSERT(strlen(mti) == 4);
    memset(m, 0, sizeof *m);
    memcpy(m->mti, mti, 5);
}

/* n bytes of the pool and a NUL behind them, as element de. */
static char *place(struct sim_iso *m, unsigned de, size_t n)
{
    char *p = m->pool + m->pool_n;
    DP_ASSERT(de < SIM_ISO_ELEMENTS && n < sizeof m->pool - m->pool_n);
    m->has[de] = true;
    m->at[de] = (uint16_t)m->pool_n;
    m->n[de] = (uint16_t)n;
    m->pool_n += n + 1;
    p[n] = '\0';
    return p;
}

void sim_iso_set(struct sim_iso *m, unsigned de, const void *p, size_t n)
{
    char *to = place(m, de, n);
    if (n > 0)
        memcpy(to, p, n);
}

void sim_iso_set_text(struct sim_iso *m, unsigned de, const char *text)
{
    sim_iso_set(m, de, text, strlen(text));
}

/* ---- reading ---- */

/* BCD bytes to digits; an odd number of them has a zero nibble in front. */
static int read_digits(struct dp_reader *r, size_t digits, char *out)
{
    struct dp_bytes b = dp_read_bytes(r, (digits + 1) / 2);
    size_t odd = digits % 2;
    if (r->err != DP_OK)
        return r->err;
    for (size_t i = 0; i < 2 * b.n; i++) {
        unsigned nibble = i % 2 == 0 ? b.p[i / 2] >> 4 : b.p[i / 2] & 15u;
        if (nibble > 9 || (i < odd && nibble != 0))
            return dp_reader_fail(r, DP_ERR_FORMAT);
        if (i >= odd)
            out[i - odd] = (char)('0' + nibble);
    }
    return DP_OK;
}

/* Track 2: digits and one D, an odd number of them with F behind. */
static int read_track2(struct dp_reader *r, size_t digits, char *out)
{
    struct dp_bytes b = dp_read_bytes(r, (digits + 1) / 2);
    unsigned separators = 0;
    if (r->err != DP_OK)
        return r->err;
    for (size_t i = 0; i < 2 * b.n; i++) {
        unsigned nibble = i % 2 == 0 ? b.p[i / 2] >> 4 : b.p[i / 2] & 15u;
        if (i == digits ? nibble != 15 : nibble > 9 && nibble != 13)
            return dp_reader_fail(r, DP_ERR_FORMAT);
        if (i < digits) {
            separators += nibble == 13;
            out[i] = nibble == 13 ? 'D' : (char)('0' + nibble);
        }
    }
    return separators == 1 ? DP_OK : dp_reader_fail(r, DP_ERR_FORMAT);
}

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == ' ';
}

static int read_chars(struct dp_reader *r, size_t n, enum format format, char *out)
{
    struct dp_bytes b = dp_read_bytes(r, n);
    for (size_t i = 0; i < b.n; i++) {
        bool printable = b.p[i] >= 0xA0 || (b.p[i] >= 0x20 && b.p[i] < 0x7F);
        if (format == AN ? !is_alphanumeric(b.p[i]) : format == ANS && !printable)
            return dp_reader_fail(r, DP_ERR_FORMAT);
        out[i] = (char)b.p[i];
    }
    return r->err;
}

static int read_signed(struct dp_reader *r, size_t n, char *out)
{
    uint8_t sign = dp_read_u8(r);
    if (r->err == DP_OK && sign != 'C' && sign != 'D')
        return dp_reader_fail(r, DP_ERR_FORMAT);
    out[0] = (char)sign;
    return read_digits(r, n - 1, out + 1);
}

static int read_element(struct dp_reader *r, unsigned de, struct sim_iso *out)
{
    const struct element *e = &elements[de];
    char length[5] = "0";
    size_t n = e->max;
    char *to;
    if (e->prefix > 0) {
        if (read_digits(r, 2u * e->prefix, length) != DP_OK)
            return r->err;
        n = 0;
        for (const char *c = length; *c != '\0'; c++)
            n = n * 10 + (size_t)(*c - '0');
        if (n > e->max)
            return dp_reader_fail(r, DP_ERR_FORMAT);
    } else if (e->format == MAC) {
        n = r->left;
        if (n != 8 && n != 16)
            return dp_reader_fail(r, n < 8 ? DP_ERR_SHORT : DP_ERR_TRAILING);
    }
    /* no element is longer than twice the bytes that are left */
    if (n > 2 * r->left)
        return dp_reader_fail(r, DP_ERR_SHORT);
    to = place(out, de, n);
    if (e->format == N)
        return read_digits(r, n, to);
    if (e->format == Z)
        return read_track2(r, n, to);
    if (e->format == XN)
        return read_signed(r, n, to);
    return read_chars(r, n, (enum format)e->format, to);
}

static bool bit(const uint8_t *map, unsigned de)
{
    return (map[(de - 1) / 8] & (0x80u >> ((de - 1) % 8))) != 0;
}

static int read_head(struct dp_reader *r, struct sim_iso *out, uint8_t map[16])
{
    if (read_digits(r, 4, out->mti) != DP_OK)
        return r->err;
    dp_read_copy(r, map, 8);
    if (bit(map, 1))
        dp_read_copy(r, map + 8, 8);
    if (r->err != DP_OK)
        return r->err;
    /* the MAC stands in the last element of the bitmaps there are, and nowhere else */
    if (bit(map, 1) ? bit(map, 64) || !bit(map, 128) : !bit(map, 64))
        return dp_reader_fail(r, DP_ERR_MISSING);
    /* a second bitmap only when it is needed */
    for (unsigned de = 65; bit(map, 1) && de < 128; de++)
        if (bit(map, de))
            return DP_OK;
    return bit(map, 1) ? dp_reader_fail(r, DP_ERR_FORMAT) : DP_OK;
}

int sim_iso_decode(const uint8_t *p, size_t n, struct sim_iso *out, unsigned *wrong)
{
    struct dp_reader r;
    uint8_t map[16] = {0};
    memset(out, 0, sizeof *out);
    *wrong = 0;
    if (n > SIM_ISO_MESSAGE_MAX)
        return DP_ERR_LIMIT;
    dp_reader_init(&r, p, n);
    if (read_head(&r, out, map) != DP_OK)
        return r.err;
    for (unsigned de = 2; de < SIM_ISO_ELEMENTS; de++) {
        if (!bit(map, de))
            continue;
        *wrong = de;
        if (elements[de].format == NONE)
            return DP_ERR_UNSUPPORTED;
        if (read_element(&r, de, out) != DP_OK)
            return r.err;
    }
    *wrong = 0;
    return dp_reader_finish(&r);
}

/* ---- writing ---- */

static int put_digits(struct sim_buf *b, const char *digits)
{
    uint8_t bcd[32];
    size_t n = (strlen(digits) + 1) / 2;
    if (n > sizeof bcd || sim_bcd_right(digits, bcd, n) != DP_OK)
        return DP_ERR_FORMAT;
    sim_put(b, bcd, n);
    return DP_OK;
}

static void put_track2(struct sim_buf *b, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i += 2) {
        unsigned high = text[i] == 'D' ? 13 : (unsigned)(text[i] - '0');
        unsigned low = i + 1 == n ? 15 : text[i + 1] == 'D' ? 13 : (unsigned)(text[i + 1] - '0');
        sim_put_u8(b, (uint8_t)(high << 4 | (low & 15)));
    }
}

static void put_length(struct sim_buf *b, size_t n, unsigned bytes)
{
    if (bytes > 1)
        sim_put_u8(b, (uint8_t)(n / 100));
    sim_put_u8(b, (uint8_t)(n / 10 % 10 << 4 | n % 10));
}

static int put_element(struct sim_buf *b, const struct sim_iso *m, unsigned de)
{
    const struct element *e = &elements[de];
    const char *text = sim_iso_text(m, de);
    if (e->format == NONE || m->n[de] > e->max || (e->prefix == 0 && m->n[de] != e->max))
        return DP_ERR_FORMAT;
    if (e->prefix > 0)
        put_length(b, m->n[de], e->prefix);
    if (e->format == N)
        return put_digits(b, text);
    if (e->format == XN) {
        sim_put_u8(b, (uint8_t)text[0]);
        return put_digits(b, text + 1);
    }
    if (e->format == Z)
        put_track2(b, text, m->n[de]);
    else
        sim_put(b, text, m->n[de]);
    return DP_OK;
}

int sim_iso_encode(const struct sim_iso *m, size_t mac_n, struct sim_buf *out)
{
    uint8_t map[16] = {0};
    bool second = false;
    int err;
    for (unsigned de = 65; de < 128; de++)
        second = second || m->has[de];
    for (unsigned de = 2; de < 128; de++)
        if (m->has[de] && de != 64)
            map[(de - 1) / 8] |= (uint8_t)(0x80u >> ((de - 1) % 8));
    map[0] |= second ? 0x80 : 0;
    map[second ? 15 : 7] |= 1;
    out->n = 0;
    err = put_digits(out, m->mti);
    sim_put(out, map, second ? 16 : 8);
    for (unsigned de = 2; de < 128 && err == DP_OK; de++)
        if (m->has[de] && de != 64)
            err = put_element(out, m, de);
    sim_put_fill(out, 0, mac_n);
    return err;
}
