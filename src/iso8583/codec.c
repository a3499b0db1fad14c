/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packing and unpacking, side by side, so that the two cannot drift apart. What unpack accepts
 * packs to the same bytes: paddings, signs and hex digits have one form only.
 */
#include <doorpay/iso8583.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/reader.h"
#include "base/writer.h"

#define FIRST_SECONDARY 65
#define KSN_FIELD       53

static const char hex_digits[] = "0123456789ABCDEF";

static int fail(struct dp_iso8583_error *error, int err, int de, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int fail(struct dp_iso8583_error *error, int err, int de, const char *format, ...)
{
    va_list args;
    int n;
    DP_ASSERT(err < 0);
    if (error == NULL)
        return err;
    error->de = de;
    n = de > 0 ? snprintf(error->words, sizeof error->words, "DE%d: ", de) : 0;
    DP_ASSERT(n >= 0 && (size_t)n < sizeof error->words);
    va_start(args, format);
    (void)vsnprintf(error->words + n, sizeof error->words - (size_t)n, format, args);
    va_end(args);
    return err;
}

/* ---- digits ---- */

static int nibble_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c == 'D' ? 13 : -1;
}

static char hex_of(uint8_t nibble)
{
    return hex_digits[nibble & 0x0F];
}

/* One hex digit, upper case only; -1 otherwise. */
static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_digit_kind(uint8_t kind)
{
    return kind == DP_ISO8583_N || kind == DP_ISO8583_XN || kind == DP_ISO8583_Z;
}

/* Digits that start at bit position: odd counts carry a zero in front (n), or an F behind (z). */
static bool digits_unpack(const uint8_t *p, size_t count, bool track, char *out)
{
    size_t lead = count % 2 == 1 && !track ? 1 : 0;
    if (lead == 1 && p[0] >> 4 != 0)
        return false;
    if (count % 2 == 1 && track && (p[count / 2] & 0x0F) != 0x0F)
        return false;
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = p[(i + lead) / 2];
        uint8_t nibble = (i + lead) % 2 == 0 ? byte >> 4 : byte & 0x0F;
        if (nibble > 9 && !(track && nibble == 13))
            return false;
        out[i] = hex_of(nibble);
    }
    return true;
}

static bool digits_pack(const char *digits, size_t count, bool track, uint8_t *out)
{
    size_t lead = count % 2 == 1 && !track ? 1 : 0;
    memset(out, 0, (count + 1) / 2);
    if (count % 2 == 1 && track)
        out[count / 2] = 0x0F;
    for (size_t i = 0; i < count; i++) {
        int nibble = nibble_of(digits[i]);
        if (nibble < 0 || (nibble == 13 && !track))
            return false;
        out[(i + lead) / 2] |= (uint8_t)((i + lead) % 2 == 0 ? nibble << 4 : nibble);
    }
    return true;
}

/* value as that many ASCII digits, not terminated. */
static void digits_of(unsigned value, size_t digits, char *out)
{
    for (size_t i = digits; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    DP_ASSERT(value == 0);
}

/* ---- what may stand in a field ---- */

static bool is_text(const struct dp_iso8583_element *e, struct dp_bytes b)
{
    for (size_t i = 0; i < b.n; i++) {
        uint8_t c = b.p[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        bool special = (c > ' ' && c < 0x7F) || c >= 0xA0;
        if (!alnum && c != ' ' && !(special && e->kind == DP_ISO8583_ANS))
            return false;
    }
    return true;
}

static bool is_ascii_digits(struct dp_bytes b, bool track)
{
    for (size_t i = 0; i < b.n; i++)
        if (!(b.p[i] >= '0' && b.p[i] <= '9') && !(track && (b.p[i] == 'D' || b.p[i] == '=')))
            return false;
    return true;
}

/* ---- lengths ---- */

/* Bytes on the wire of an element with count digits, characters or bytes. */
static size_t wire_bytes(const struct dp_iso8583_layout *l, const struct dp_iso8583_element *e,
                         size_t count)
{
    size_t sign = e->kind == DP_ISO8583_XN ? 1 : 0;
    if (is_digit_kind(e->kind))
        return sign + (l->numeric == DP_ISO8583_ASCII ? count : (count + 1) / 2);
    if (e->kind == DP_ISO8583_B || e->kind == DP_ISO8583_MAC)
        return l->binary == DP_ISO8583_ASCII ? count * 2 : count;
    return count;
}

static bool length_read(const struct dp_iso8583_layout *l, const struct dp_iso8583_element *e,
                        struct dp_reader *r, size_t *count)
{
    size_t digits = e->length_digits;
    char text[4] = "";
    struct dp_bytes b;
    if (l->length == DP_ISO8583_COUNT) {
        *count = digits == 2 ? dp_read_u8(r) : dp_read_u16(r);
        return true;
    }
    if (l->length == DP_ISO8583_ASCII) {
        b = dp_read_bytes(r, digits);
        if (b.n == 0 || !is_ascii_digits(b, false))
            return b.n == 0;
        memcpy(text, b.p, digits);
    } else {
        b = dp_read_bytes(r, (digits + 1) / 2);
        if (b.n == 0 || !digits_unpack(b.p, digits, false, text))
            return b.n == 0;
    }
    for (*count = 0; digits > 0; digits--)
        *count = *count * 10 + (size_t)(text[e->length_digits - digits] - '0');
    return true;
}

static void length_write(const struct dp_iso8583_layout *l, const struct dp_iso8583_element *e,
                         struct dp_writer *w, size_t count)
{
    char text[4];
    uint8_t packed[2];
    DP_ASSERT(count <= DP_ISO8583_FIELD_MAX && e->length_digits < sizeof text);
    if (l->length == DP_ISO8583_COUNT) {
        if (e->length_digits == 2)
            dp_write_u8(w, (uint8_t)count);
        else
            dp_write_u16(w, (uint16_t)count);
        return;
    }
    digits_of((unsigned)count, e->length_digits, text);
    if (l->length == DP_ISO8583_ASCII) {
        dp_write_bytes(w, text, e->length_digits);
    } else {
        bool fine = digits_pack(text, e->length_digits, false, packed);
        DP_ASSERT(fine);
        dp_write_bytes(w, packed, (e->length_digits + 1u) / 2);
    }
}

/* ---- the head: MTI and bitmaps ---- */

struct head {
    uint16_t mti;
    uint8_t bits[16];
    bool secondary;
};

static bool has_bit(const struct head *h, int de)
{
    return (h->bits[(de - 1) / 8] >> (7 - (de - 1) % 8) & 1) != 0;
}

static void set_bit(struct head *h, int de)
{
    h->bits[(de - 1) / 8] |= (uint8_t)(0x80 >> ((de - 1) % 8));
}

static int last_field(const struct head *h)
{
    return h->secondary ? DP_ISO8583_FIELDS - 1 : FIRST_SECONDARY - 1;
}

static bool bytes_read(uint8_t coding, struct dp_reader *r, uint8_t *out, size_t n)
{
    struct dp_bytes b;
    if (coding != DP_ISO8583_ASCII) {
        dp_read_copy(r, out, n);
        return true;
    }
    b = dp_read_bytes(r, 2 * n);
    for (size_t i = 0; i < b.n / 2; i++) {
        int high = hex_value(b.p[2 * i]), low = hex_value(b.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static void bytes_write(uint8_t coding, struct dp_writer *w, const uint8_t *p, size_t n)
{
    if (coding != DP_ISO8583_ASCII) {
        dp_write_bytes(w, p, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        dp_write_u8(w, (uint8_t)hex_of(p[i] >> 4));
        dp_write_u8(w, (uint8_t)hex_of(p[i]));
    }
}

static bool mti_read(const struct dp_iso8583_layout *l, struct dp_reader *r, uint16_t *mti)
{
    char text[4];
    struct dp_bytes b = dp_read_bytes(r, l->mti == DP_ISO8583_ASCII ? 4 : 2);
    if (b.n == 0)
        return true;
    if (l->mti != DP_ISO8583_ASCII) {
        if (!digits_unpack(b.p, 4, false, text))
            return false;
    } else if (is_ascii_digits(b, false)) {
        memcpy(text, b.p, 4);
    } else {
        return false;
    }
    *mti = 0;
    for (size_t i = 0; i < 4; i++)
        *mti = (uint16_t)(*mti * 10 + (text[i] - '0'));
    return true;
}

static void mti_write(const struct dp_iso8583_layout *l, struct dp_writer *w, uint16_t mti)
{
    char text[4];
    uint8_t packed[2];
    bool fine;
    digits_of(mti, sizeof text, text);
    if (l->mti == DP_ISO8583_ASCII) {
        dp_write_bytes(w, text, 4);
        return;
    }
    fine = digits_pack(text, 4, false, packed);
    DP_ASSERT(fine);
    dp_write_bytes(w, packed, sizeof packed);
}

static int head_read(const struct dp_iso8583_layout *l, struct dp_reader *r, struct head *h,
                     struct dp_iso8583_error *error)
{
    static const uint8_t none[8] = {0};
    memset(h, 0, sizeof *h);
    if (!mti_read(l, r, &h->mti))
        return fail(error, DP_ERR_FORMAT, 0, "MTI: not four digits");
    if (!bytes_read(l->bitmap, r, h->bits, 8))
        return fail(error, DP_ERR_FORMAT, 0, "bitmap: not upper-case hex");
    h->secondary = (h->bits[0] & 0x80) != 0;
    if (h->secondary && !bytes_read(l->bitmap, r, h->bits + 8, 8))
        return fail(error, DP_ERR_FORMAT, 0, "secondary bitmap: not upper-case hex");
    if (r->err != DP_OK)
        return fail(error, r->err, 0, "MTI and bitmap: the message ends inside");
    if (h->secondary && memcmp(h->bits + 8, none, sizeof none) == 0)
        return fail(error, DP_ERR_FORMAT, 0, "secondary bitmap: announced, but empty");
    return DP_OK;
}

/* The length of element de, checked against the layout; the wire bytes it stands in. */
static int element_length(const struct dp_iso8583_layout *l, const struct head *h, int de,
                          struct dp_reader *r, size_t *count, size_t *wire,
                          struct dp_iso8583_error *error)
{
    const struct dp_iso8583_element *e = &l->element[de];
    if (e->kind == DP_ISO8583_ABSENT)
        return fail(error, DP_ERR_UNSUPPORTED, de, "not in layout %s", l->name);
    if (e->kind == DP_ISO8583_MAC) {
        for (int later = de + 1; later <= last_field(h); later++)
            if (has_bit(h, later))
                return fail(error, DP_ERR_FORMAT, de, "MAC is not the last element");
        *count = l->binary == DP_ISO8583_ASCII ? r->left / 2 : r->left;
        if (*count != 8 && *count != 16)
            return fail(error, DP_ERR_RANGE, de, "MAC of %zu bytes, wanted 8 or 16", *count);
    } else if (e->length_digits == 0) {
        *count = e->max;
    } else {
        if (!length_read(l, e, r, count))
            return fail(error, DP_ERR_FORMAT, de, "length is not a number");
        if (r->err != DP_OK)
            return fail(error, r->err, de, "the message ends inside its length");
        if (*count == 0)
            return fail(error, DP_ERR_RANGE, de, "length 0");
        if (*count > e->max)
            return fail(error, DP_ERR_RANGE, de, "length %zu over %u", *count, e->max);
    }
    *wire = wire_bytes(l, e, *count);
    if (*wire > r->left)
        return fail(error, DP_ERR_SHORT, de, "wants %zu bytes, %zu left", *wire, r->left);
    return DP_OK;
}

/* ---- one field ---- */

static bool digits_content(const struct dp_iso8583_layout *l, bool track, const uint8_t *p,
                           size_t count, char *out)
{
    struct dp_bytes b = {p, count};
    if (l->numeric != DP_ISO8583_ASCII)
        return digits_unpack(p, count, track, out);
    memcpy(out, p, count);
    return is_ascii_digits(b, track);
}

static int text_unpack(const struct dp_iso8583_element *e, int de, struct dp_bytes b,
                       struct dp_iso8583_message *m, struct dp_iso8583_error *error)
{
    if (!is_text(e, b))
        return fail(error, DP_ERR_FORMAT, de, "a character that may not stand here");
    /* pack pads fixed fields again */
    while (e->length_digits == 0 && b.n > 1 && b.p[b.n - 1] == ' ')
        b.n--;
    dp_iso8583_set(m, de, b.p, b.n);
    return DP_OK;
}

static int field_unpack(const struct dp_iso8583_layout *l, int de, struct dp_reader *r,
                        size_t count, struct dp_iso8583_message *m, struct dp_iso8583_error *error)
{
    const struct dp_iso8583_element *e = &l->element[de];
    uint8_t content[DP_ISO8583_FIELD_MAX + 2];
    DP_ASSERT(count <= DP_ISO8583_FIELD_MAX);
    if (e->kind == DP_ISO8583_AN || e->kind == DP_ISO8583_ANS)
        return text_unpack(e, de, dp_read_bytes(r, count), m, error);
    if (e->kind == DP_ISO8583_B || e->kind == DP_ISO8583_MAC) {
        if (!bytes_read(l->binary, r, content, count))
            return fail(error, DP_ERR_FORMAT, de, "not upper-case hex");
    } else {
        size_t sign = e->kind == DP_ISO8583_XN ? 1 : 0;
        struct dp_bytes b = dp_read_bytes(r, wire_bytes(l, e, count));
        if (sign == 1 && b.p[0] != 'C' && b.p[0] != 'D')
            return fail(error, DP_ERR_FORMAT, de, "sign is neither C nor D");
        content[0] = b.p[0];
        if (!digits_content(l, e->kind == DP_ISO8583_Z, b.p + sign, count, (char *)content + sign))
            return fail(error, DP_ERR_FORMAT, de, "not digits, or wrong padding");
        count += sign;
    }
    dp_iso8583_set(m, de, content, count);
    return DP_OK;
}

static int digits_write(const struct dp_iso8583_layout *l, const struct dp_iso8583_element *e,
                        int de, struct dp_bytes b, struct dp_writer *w,
                        struct dp_iso8583_error *error)
{
    bool track = e->kind == DP_ISO8583_Z;
    uint8_t packed[DP_ISO8583_FIELD_MAX];
    if (e->kind == DP_ISO8583_XN) {
        if (b.p[0] != 'C' && b.p[0] != 'D')
            return fail(error, DP_ERR_FORMAT, de, "sign is neither C nor D");
        dp_write_u8(w, b.p[0]);
        b.p++;
        b.n--;
    }
    if (l->numeric == DP_ISO8583_ASCII) {
        if (!is_ascii_digits(b, track))
            return fail(error, DP_ERR_FORMAT, de, "not digits");
        dp_write_bytes(w, b.p, b.n);
    } else {
        if (!digits_pack((const char *)b.p, b.n, track, packed))
            return fail(error, DP_ERR_FORMAT, de, "not digits");
        dp_write_bytes(w, packed, (b.n + 1) / 2);
    }
    return DP_OK;
}

static int field_pack(const struct dp_iso8583_layout *l, int de, struct dp_bytes b,
                      struct dp_writer *w, struct dp_iso8583_error *error)
{
    const struct dp_iso8583_element *e = &l->element[de];
    bool text = e->kind == DP_ISO8583_AN || e->kind == DP_ISO8583_ANS;
    size_t sign = e->kind == DP_ISO8583_XN ? 1 : 0;
    size_t count = b.n - sign;
    if (e->kind == DP_ISO8583_ABSENT)
        return fail(error, DP_ERR_UNSUPPORTED, de, "not in layout %s", l->name);
    if (e->kind == DP_ISO8583_MAC && count != 8 && count != 16)
        return fail(error, DP_ERR_RANGE, de, "MAC of %zu bytes, wanted 8 or 16", count);
    if (e->kind != DP_ISO8583_MAC && count > e->max)
        return fail(error, DP_ERR_RANGE, de, "length %zu over %u", count, e->max);
    if (e->kind != DP_ISO8583_MAC && e->length_digits == 0 && !text && count != e->max)
        return fail(error, DP_ERR_RANGE, de, "length %zu, wanted %u", count, e->max);
    if (e->length_digits > 0)
        length_write(l, e, w, count);
    if (is_digit_kind(e->kind))
        return digits_write(l, e, de, b, w, error);
    if (!text) {
        bytes_write(l->binary, w, b.p, b.n);
        return DP_OK;
    }
    if (!is_text(e, b))
        return fail(error, DP_ERR_FORMAT, de, "a character that may not stand here");
    dp_write_bytes(w, b.p, b.n);
    if (e->length_digits == 0)
        dp_write_fill(w, ' ', e->max - b.n);
    return DP_OK;
}

/* ---- a message ---- */

int dp_iso8583_unpack(const struct dp_iso8583_layout *layout, const uint8_t *p, size_t n,
                      struct dp_iso8583_message *m, struct dp_iso8583_error *error)
{
    struct dp_reader r;
    struct head h;
    size_t count, wire;
    int err;
    dp_iso8583_init(m, 0);
    if (n > DP_ISO8583_MESSAGE_MAX)
        return fail(error, DP_ERR_RANGE, -1, "message of %zu bytes, over %u", n,
                    (unsigned)DP_ISO8583_MESSAGE_MAX);
    dp_reader_init(&r, p, n);
    err = head_read(layout, &r, &h, error);
    m->mti = h.mti;
    for (int de = 2; err == DP_OK && de <= last_field(&h); de++) {
        if (!has_bit(&h, de))
            continue;
        err = element_length(layout, &h, de, &r, &count, &wire, error);
        if (err == DP_OK)
            err = field_unpack(layout, de, &r, count, m, error);
    }
    if (err == DP_OK && dp_reader_finish(&r) != DP_OK)
        err = fail(error, dp_reader_finish(&r), -1, "%zu bytes after the last element", r.left);
    if (err == DP_OK && m->err != DP_OK)
        err = fail(error, m->err, m->err_de, "no room for its content");
    if (err != DP_OK)
        dp_iso8583_wipe(m);
    return err;
}

int dp_iso8583_find_mac(const struct dp_iso8583_layout *layout, const uint8_t *p, size_t n,
                        unsigned mac_n, struct dp_iso8583_mac *out)
{
    struct dp_reader r;
    struct head h;
    size_t count, wire;
    int err;
    memset(out, 0, sizeof *out);
    if (n > DP_ISO8583_MESSAGE_MAX)
        return DP_ERR_RANGE;
    dp_reader_init(&r, p, n);
    err = head_read(layout, &r, &h, NULL);
    for (int de = 2; err == DP_OK && de <= last_field(&h); de++) {
        struct dp_bytes b;
        if (!has_bit(&h, de))
            continue;
        err = element_length(layout, &h, de, &r, &count, &wire, NULL);
        if (err != DP_OK)
            break;
        b = dp_read_bytes(&r, wire);
        if (de == KSN_FIELD && layout->element[de].kind == DP_ISO8583_B)
            out->ksn = b;
        if (layout->element[de].kind == DP_ISO8583_MAC)
            out->mac = b;
    }
    if (err == DP_OK)
        err = dp_reader_finish(&r);
    if (err == DP_OK && out->mac.n == 0)
        err = DP_ERR_MISSING;
    if (err == DP_OK && out->mac.n != mac_n)
        err = DP_ERR_RANGE;
    if (err == DP_OK) {
        out->covered.p = p;
        out->covered.n = n - out->mac.n;
    } else {
        memset(out, 0, sizeof *out);
    }
    return err;
}

static void head_of(const struct dp_iso8583_message *m, unsigned mac_n, struct head *h)
{
    memset(h, 0, sizeof *h);
    h->mti = m->mti;
    for (int de = 2; de < DP_ISO8583_FIELDS; de++) {
        if (!dp_iso8583_has(m, de))
            continue;
        set_bit(h, de);
        h->secondary = h->secondary || de >= FIRST_SECONDARY;
    }
    if (mac_n > 0)
        set_bit(h, h->secondary ? DP_ISO8583_FIELDS - 1 : FIRST_SECONDARY - 1);
    if (h->secondary)
        set_bit(h, 1);
}

int dp_iso8583_pack(const struct dp_iso8583_layout *layout, const struct dp_iso8583_message *m,
                    unsigned mac_n, uint8_t *out, size_t max, size_t *n,
                    struct dp_iso8583_error *error)
{
    static const uint8_t zeros[16] = {0};
    struct dp_writer w;
    struct head h;
    int err = DP_OK;
    *n = 0;
    if (mac_n != 0 && mac_n != 8 && mac_n != 16)
        return fail(error, DP_ERR_ARG, -1, "MAC of %u bytes", mac_n);
    if (m->err != DP_OK)
        return fail(error, m->err, m->err_de, "%s", dp_strerr(m->err));
    dp_writer_init(&w, out, max < DP_ISO8583_MESSAGE_MAX ? max : DP_ISO8583_MESSAGE_MAX);
    head_of(m, mac_n, &h);
    mti_write(layout, &w, h.mti);
    bytes_write(layout->bitmap, &w, h.bits, h.secondary ? 16 : 8);
    for (int de = 2; err == DP_OK && de <= last_field(&h); de++) {
        bool mac = mac_n > 0 && layout->element[de].kind == DP_ISO8583_MAC;
        struct dp_bytes b = dp_iso8583_get(m, de);
        if (!has_bit(&h, de))
            continue;
        if (mac && b.n > 0)
            return fail(error, DP_ERR_DUPLICATE, de, "holds a MAC already");
        if (b.n == 0) {
            b.p = zeros;
            b.n = mac_n;
        }
        err = field_pack(layout, de, b, &w, error);
        if (err == DP_OK && layout->element[de].kind == DP_ISO8583_MAC && de != last_field(&h))
            err = fail(error, DP_ERR_FORMAT, de, "MAC is not the last element");
    }
    if (err == DP_OK && w.err != DP_OK)
        err = fail(error, w.err, -1, "message over %zu bytes", w.max);
    if (err == DP_OK)
        *n = w.n;
    return err;
}
