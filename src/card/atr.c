/* SPDX-License-Identifier: Apache-2.0 */
#include "atr.h"

#include <string.h>

#include "base/limits.h"
#include "base/reader.h"

#define TS_DIRECT  0x3B
#define TS_INVERSE 0x3F

/* What the interface bytes say. */
struct offer {
    uint8_t first_t;  /* of TD1, or of TA2 (specific mode); 0 without */
    bool has_td1;     /* first_t is settled */
    bool any_not_t0;  /* then a TCK follows */
    uint8_t groups_n; /* TDi seen */
};

static void read_interface_bytes(struct dp_reader *r, uint8_t t0, struct offer *o)
{
    uint8_t present = t0;
    while (r->err == DP_OK) {
        uint8_t td;
        if ((present & 0x10) != 0) {
            uint8_t ta = dp_read_u8(r);
            if (o->groups_n == 1)
                o->first_t = ta & 0x0F; /* TA2 */
        }
        if ((present & 0x20) != 0)
            dp_read_skip(r, 1);
        if ((present & 0x40) != 0)
            dp_read_skip(r, 1);
        if ((present & 0x80) == 0)
            return;
        td = dp_read_u8(r);
        if (!o->has_td1)
            o->first_t = td & 0x0F;
        o->has_td1 = true;
        if ((td & 0x0F) != 0)
            o->any_not_t0 = true;
        o->groups_n++;
        present = td;
    }
}

/* Takes TCK: all bytes from T0 on give 0 by exclusive or. */
static void read_check(struct dp_reader *r, const uint8_t *atr, size_t atr_n)
{
    uint8_t sum = 0;
    dp_read_skip(r, 1);
    for (size_t i = 1; i < atr_n; i++)
        sum ^= atr[i];
    if (sum != 0)
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
}

static bool is_contactless(const uint8_t *atr, size_t atr_n)
{
    return atr_n >= 5 && atr[0] == TS_DIRECT && (atr[1] & 0xF0) == 0x80 && atr[2] == 0x80 &&
           atr[3] == 0x01;
}

static enum dp_card_protocol protocol_of(const struct dp_card_info *info, uint8_t t)
{
    if (info->interface == DP_INTERFACE_CONTACTLESS)
        return DP_PROTOCOL_ISO14443_4;
    return t == 0 ? DP_PROTOCOL_T0 : DP_PROTOCOL_T1;
}

int dp_atr_read(const uint8_t *atr, size_t atr_n, struct dp_card_info *info)
{
    struct offer o = {0};
    struct dp_reader r;
    uint8_t ts, t0;
    memset(info, 0, sizeof *info);
    if (atr_n > sizeof info->atr)
        return DP_ERR_FORMAT;
    dp_reader_init(&r, atr, atr_n);
    ts = dp_read_u8(&r);
    t0 = dp_read_u8(&r);
    read_interface_bytes(&r, t0, &o);
    dp_read_skip(&r, t0 & 0x0F);
    if (o.any_not_t0)
        read_check(&r, atr, atr_n);
    if (dp_reader_finish(&r) < 0 || (ts != TS_DIRECT && ts != TS_INVERSE))
        return DP_ERR_FORMAT;
    if (o.first_t > 1)
        return DP_ERR_UNSUPPORTED;
    info->interface = is_contactless(atr, atr_n) ? DP_INTERFACE_CONTACTLESS : DP_INTERFACE_CONTACT;
    info->protocol = protocol_of(info, o.first_t);
    memcpy(info->atr, atr, atr_n);
    info->atr_n = (uint8_t)atr_n;
    return DP_OK;
}
