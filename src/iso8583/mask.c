/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message as it may be logged. A masked PAN keeps its first six and last four digits and is never
 * equal to the PAN it came from, whatever digits stand in its middle.
 */
#include <doorpay/iso8583.h>

#include <string.h>

#include "base/assert.h"
#include "base/secret.h"

#define PAN_HEAD         6
#define PAN_TAIL         4
#define PAN_WHOLE_MAX    64 /* bytes of packed digits; longer is no PAN */
#define SCRIPT_71        0x71
#define SCRIPT_72        0x72
#define CONSTRUCTED_TAGS 0x20

/* Digits as characters; what is no digit (the separator of track 2) ends the PAN. */
static size_t pan_length(const char *digits, size_t n)
{
    size_t length = 0;
    while (length < n && digits[length] >= '0' && digits[length] <= '9')
        length++;
    return length;
}

static void mask_pan(char *digits, size_t n)
{
    size_t head = n > PAN_HEAD + PAN_TAIL ? PAN_HEAD : 0;
    size_t tail = n > PAN_TAIL ? PAN_TAIL : 0;
    bool nines = n > head + tail;
    for (size_t i = head; i < n - tail; i++)
        nines = nines && digits[i] == '9';
    for (size_t i = head; i < n - tail; i++)
        digits[i] = nines ? '8' : '9';
}

/* PAN masked, separator kept, everything after it zeroed. */
static void mask_track2(char *digits, size_t n)
{
    size_t pan = pan_length(digits, n);
    mask_pan(digits, pan);
    for (size_t i = pan + 1; i < n; i++)
        digits[i] = '0';
}

/* ---- inside DE55 ---- */

/* 5A and 57: packed digits, D as separator, F as padding. */
static void mask_packed(uint8_t *p, size_t n, bool track)
{
    char digits[2 * PAN_WHOLE_MAX];
    size_t count = 0;
    if (n > PAN_WHOLE_MAX) {
        memset(p, 0, n);
        return;
    }
    for (size_t i = 0; i < 2 * n; i++)
        digits[i] = "0123456789:;<=>?"[i % 2 == 0 ? p[i / 2] >> 4 : p[i / 2] & 0x0F];
    for (count = 2 * n; count > 0 && digits[count - 1] == '?'; count--)
        ;
    if (track)
        mask_track2(digits, count);
    else
        mask_pan(digits, count);
    for (size_t i = 0; i < 2 * n; i++) {
        uint8_t nibble = (uint8_t)((digits[i] - '0') & 0x0F);
        p[i / 2] = (uint8_t)(i % 2 == 0 ? nibble << 4 : (p[i / 2] & 0xF0) | nibble);
    }
    dp_wipe(digits, sizeof digits);
}

/* Elements that must not be here at all, and templates, which might hold anything. */
static bool is_blanked(uint32_t tag)
{
    static const uint32_t blanked[] = {
        0x56,   /* track 1 */
        0x99,   /* PIN data */
        0x5F20, /* cardholder name */
        0x5F24, /* expiry */
        0x9F0B, /* cardholder name, extended */
        0x9F1F, /* track 1 discretionary data */
        0x9F20, /* track 2 discretionary data */
        0x9F6B, /* track 2, mag-stripe mode */
    };
    uint32_t first = tag;
    while (first > 0xFF)
        first >>= 8;
    if ((first & CONSTRUCTED_TAGS) != 0 && tag != SCRIPT_71 && tag != SCRIPT_72)
        return true;
    for (size_t i = 0; i < sizeof blanked / sizeof blanked[0]; i++)
        if (tag == blanked[i])
            return true;
    return false;
}

static void mask_emv(uint8_t *p, size_t n)
{
    struct dp_bytes data = {p, n}, value;
    size_t at = 0, before = 0;
    uint32_t tag;
    int err;
    while ((err = dp_iso8583_emv_next(data, &at, &tag, &value)) == DP_OK) {
        uint8_t *v = p + at - value.n;
        if (tag == 0x5A || tag == 0x57)
            mask_packed(v, value.n, tag == 0x57);
        else if (is_blanked(tag))
            memset(v, 0, value.n);
        before = at;
    }
    if (err != DP_ERR_NOT_FOUND) /* not TLV to its end: the rest could be anything */
        memset(p + before, 0, n - before);
}

/* ---- the message ---- */

static void mask_field(const struct dp_iso8583_element *e, uint8_t *p, size_t n)
{
    switch (e->mask) {
    case DP_ISO8583_MASK_PAN:
        mask_pan((char *)p, n);
        break;
    case DP_ISO8583_MASK_TRACK2:
        mask_track2((char *)p, n);
        break;
    case DP_ISO8583_MASK_EMV:
        mask_emv(p, n);
        break;
    case DP_ISO8583_MASK_EXPIRY:
        memset(p, '0', n);
        break;
    case DP_ISO8583_MASK_ALL:
        memset(p, e->kind == DP_ISO8583_B ? 0 : '0', n);
        break;
    default:
        break;
    }
}

int dp_iso8583_mask(const struct dp_iso8583_layout *layout, const uint8_t *p, size_t n,
                    uint8_t *out)
{
    struct dp_iso8583_message m;
    size_t packed_n = 0;
    int err = dp_iso8583_unpack(layout, p, n, &m, NULL);
    for (int de = 2; err == DP_OK && de < DP_ISO8583_FIELDS; de++)
        if (dp_iso8583_has(&m, de))
            mask_field(&layout->element[de], m.content + m.field[de].at, m.field[de].n);
    if (err == DP_OK)
        err = dp_iso8583_pack(layout, &m, 0, out, n, &packed_n, NULL);
    DP_ASSERT(err != DP_OK || packed_n == n);
    if (err != DP_OK && n > 0)
        dp_wipe(out, n);
    dp_iso8583_wipe(&m);
    return err;
}
