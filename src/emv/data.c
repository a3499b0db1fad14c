/* SPDX-License-Identifier: Apache-2.0 */
#include "data.h"

#include <string.h>

#include "base/assert.h"
#include "base/secret.h"

void emv_data_clear(struct emv_data *d)
{
    dp_wipe(d, sizeof *d);
}

const struct emv_element *emv_data_find(const struct emv_data *d, uint32_t tag)
{
    DP_ASSERT(d->n <= DP_EMV_ELEMENTS_MAX);
    DP_ASSERT(d->used <= sizeof d->bytes);
    for (size_t i = 0; i < d->n; i++)
        if (d->elements[i].tag == tag)
            return &d->elements[i];
    return NULL;
}

struct dp_bytes emv_data_get(const struct emv_data *d, uint32_t tag)
{
    const struct emv_element *e = emv_data_find(d, tag);
    struct dp_bytes v = {NULL, 0};
    if (e != NULL) {
        DP_ASSERT(e->n <= d->used);
        DP_ASSERT(e->at <= d->used - e->n);
        v.p = d->bytes + e->at;
        v.n = e->n;
    }
    return v;
}

bool emv_data_has(const struct emv_data *d, uint32_t tag)
{
    return emv_data_get(d, tag).n > 0;
}

int emv_data_set(struct emv_data *d, uint32_t tag, enum emv_origin origin, const void *p, size_t n)
{
    size_t i = 0;
    DP_ASSERT(tag != 0);
    DP_ASSERT(p != NULL || n == 0);
    while (i < d->n && d->elements[i].tag != tag)
        i++;
    if (i == DP_EMV_ELEMENTS_MAX)
        return DP_ERR_LIMIT;
    if (i < d->n && n <= d->elements[i].n) {
        d->elements[i].n = (uint16_t)n; /* fits where the old one stood */
    } else {
        if (n > sizeof d->bytes - d->used)
            return DP_ERR_LIMIT;
        d->elements[i].at = (uint16_t)d->used;
        d->elements[i].n = (uint16_t)n;
        d->used += n;
    }
    d->elements[i].tag = tag;
    d->elements[i].origin = origin;
    if (i == d->n)
        d->n++;
    if (n > 0)
        memmove(d->bytes + d->elements[i].at, p, n);
    return DP_OK;
}

/* What decisions rest on: of another length than its own, the card is not one to pay with. */
static bool must_be_sound(uint32_t tag)
{
    static const uint32_t tags[] = {0x57,   0x5A,   0x5F24, 0x5F25, 0x5F28, 0x5F34, 0x82,
                                    0x84,   0x8C,   0x8D,   0x8E,   0x94,   0x9F07, 0x9F08,
                                    0x9F0D, 0x9F0E, 0x9F0F, 0x9F10, 0x9F14, 0x9F23, 0x9F26,
                                    0x9F27, 0x9F36, 0x9F38, 0x9F42, 0x9F49};
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
        if (tags[i] == tag)
            return true;
    return false;
}

/* A file's control information may not say beforehand what processing options and records will. */
static bool belongs_in_selection(const struct dp_tlv_tag *known)
{
    static const uint32_t templates[] = {0x6F, 0xA5, 0xBF0C};
    for (size_t i = 0; i < sizeof known->inside / sizeof known->inside[0]; i++)
        for (size_t j = 0; j < sizeof templates / sizeof templates[0]; j++)
            if (known->inside[i] == templates[j])
                return true;
    return false;
}

int emv_data_take(struct emv_data *d, const struct dp_tlv *t, enum emv_origin origin)
{
    const struct dp_tlv_tag *known = dp_tlv_tag_find(t->tag);
    const struct emv_element *before = emv_data_find(d, t->tag);
    DP_ASSERT(origin == EMV_FROM_CARD || origin == EMV_FROM_SELECTION);
    if (t->value.n == 0 || dp_tlv_is_template(t->tag))
        return DP_OK;
    if (known != NULL && known->origin != DP_TLV_CARD)
        return DP_OK;
    if (known != NULL && origin == EMV_FROM_SELECTION && !belongs_in_selection(known))
        return DP_OK;
    if (before != NULL && before->origin == EMV_FROM_CARD)
        return DP_ERR_DUPLICATE;
    if (before != NULL) /* the application's name, PDOL and the like stay what they were */
        return DP_OK;
    if (known != NULL && (t->value.n < known->min || t->value.n > known->max))
        return must_be_sound(t->tag) ? DP_ERR_RANGE : DP_OK;
    return emv_data_set(d, t->tag, origin, t->value.p, t->value.n);
}

int emv_data_take_row(struct emv_data *d, struct dp_bytes row, enum emv_origin origin)
{
    struct dp_tlv t;
    size_t at = 0;
    int err;
    while ((err = dp_tlv_next(row, &at, &t)) == DP_OK) {
        err = emv_data_take(d, &t, origin);
        if (err < 0)
            return err;
    }
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

int emv_bcd_read(struct dp_bytes v, uint64_t *out)
{
    uint64_t number = 0;
    *out = 0;
    if (v.n > 9)
        return DP_ERR_RANGE;
    for (size_t i = 0; i < v.n; i++) {
        uint8_t high = v.p[i] >> 4, low = v.p[i] & 0x0F;
        if (high > 9 || low > 9)
            return DP_ERR_FORMAT;
        number = number * 100 + (uint64_t)high * 10 + low;
    }
    *out = number;
    return DP_OK;
}

void emv_bcd_write(uint64_t v, uint8_t *out, size_t n)
{
    for (size_t i = n; i > 0; i--) {
        uint64_t pair = v % 100;
        out[i - 1] = (uint8_t)((pair / 10) << 4 | pair % 10);
        v /= 100;
    }
    DP_ASSERT(v == 0);
}
