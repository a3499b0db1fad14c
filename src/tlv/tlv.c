/* SPDX-License-Identifier: Apache-2.0 */
/* Elements: read, walked over, written. EMV 4.4 Book 3, Annex B. */
#include <doorpay/tlv.h>

#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/reader.h"
#include "base/writer.h"
#include "tag.h"

#define TEMPLATE_BIT 0x20

uint32_t tlv_read_tag(struct dp_reader *r)
{
    uint32_t tag = dp_read_u8(r);
    if ((tag & 0x1F) != 0x1F)
        return tag;
    for (size_t n = 1; n < DP_TLV_TAG_MAX; n++) {
        uint8_t more = dp_read_u8(r);
        tag = tag << 8 | more;
        if ((more & 0x80) == 0)
            return tag;
    }
    (void)dp_reader_fail(r, DP_ERR_FORMAT);
    return 0;
}

static size_t tag_bytes(uint32_t tag)
{
    size_t n = 1;
    while (n < sizeof tag && tag >> (8 * n) != 0)
        n++;
    return n;
}

bool dp_tlv_is_template(uint32_t tag)
{
    return (tag >> (8 * (tag_bytes(tag) - 1)) & TEMPLATE_BIT) != 0;
}

/* Cards write 81 05 where 05 would do; a length's shortest form is not asked for. */
static size_t read_length(struct dp_reader *r)
{
    uint8_t first = dp_read_u8(r);
    if (first < 0x80)
        return first;
    if (first == 0x81)
        return dp_read_u8(r);
    if (first == 0x82)
        return dp_read_u16(r);
    (void)dp_reader_fail(r, DP_ERR_FORMAT);
    return 0;
}

static void skip_padding(struct dp_reader *r)
{
    while (r->left > 0 && dp_read_peek(r) == 0x00)
        dp_read_skip(r, 1);
}

/* The row ends at end; at <= end <= data.n. */
static int read_element(struct dp_bytes data, size_t *at, size_t end, struct dp_tlv *out)
{
    struct dp_reader r;
    size_t begin;
    memset(out, 0, sizeof *out);
    if (*at == end)
        return DP_ERR_NOT_FOUND;
    dp_reader_init(&r, data.p + *at, end - *at);
    skip_padding(&r);
    *at += r.done;
    if (r.left == 0)
        return DP_ERR_NOT_FOUND;
    begin = r.done;
    out->whole.p = r.p;
    out->tag = tlv_read_tag(&r);
    out->value = dp_read_bytes(&r, read_length(&r));
    if (r.err < 0) {
        memset(out, 0, sizeof *out);
        return r.err;
    }
    out->whole.n = r.done - begin;
    *at += out->whole.n;
    DP_ASSERT(*at <= end);
    return DP_OK;
}

int dp_tlv_next(struct dp_bytes data, size_t *at, struct dp_tlv *out)
{
    DP_ASSERT(*at <= data.n);
    return read_element(data, at, data.n, out);
}

int dp_tlv_find(struct dp_bytes data, uint32_t tag, struct dp_bytes *value)
{
    struct dp_tlv t;
    size_t at = 0;
    bool found = false;
    int err;
    value->p = NULL;
    value->n = 0;
    while ((err = dp_tlv_next(data, &at, &t)) == DP_OK) {
        if (t.tag == tag && !found) {
            *value = t.value;
            found = true;
        }
    }
    if (err == DP_ERR_NOT_FOUND && found)
        return DP_OK;
    value->p = NULL;
    value->n = 0;
    return err;
}

void dp_tlv_walk_begin(struct dp_tlv_walk *w, struct dp_bytes data)
{
    DP_ASSERT(data.p != NULL || data.n == 0);
    _Static_assert(sizeof w->end / sizeof w->end[0] == DP_TLV_NESTING_MAX, "as the header says");
    memset(w, 0, sizeof *w);
    w->data = data;
}

int dp_tlv_walk_next(struct dp_tlv_walk *w, struct dp_tlv *out, unsigned *depth)
{
    int err;
    for (;;) {
        size_t end = w->depth > 0 ? w->end[w->depth - 1] : w->data.n;
        DP_ASSERT(w->depth <= DP_TLV_NESTING_MAX);
        DP_ASSERT(w->at <= end);
        DP_ASSERT(end <= w->data.n);
        err = read_element(w->data, &w->at, end, out);
        if (err != DP_ERR_NOT_FOUND || w->depth == 0)
            break;
        w->at = end; /* padding at a template's end was skipped already */
        w->depth--;
    }
    *depth = w->depth;
    if (err < 0 || !dp_tlv_is_template(out->tag))
        return err;
    if (w->depth == DP_TLV_NESTING_MAX) {
        w->at -= out->whole.n;
        memset(out, 0, sizeof *out);
        return DP_ERR_LIMIT;
    }
    w->end[w->depth++] = w->at;
    w->at -= out->value.n;
    return DP_OK;
}

int dp_tlv_check(struct dp_bytes data, size_t *bad_at)
{
    struct dp_tlv_walk w;
    struct dp_tlv t;
    unsigned depth;
    int err;
    dp_tlv_walk_begin(&w, data);
    do
        err = dp_tlv_walk_next(&w, &t, &depth);
    while (err == DP_OK);
    if (bad_at != NULL)
        *bad_at = w.at;
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

static void write_length(struct dp_writer *w, size_t n)
{
    if (n > 0xFF) {
        dp_write_u8(w, 0x82);
        dp_write_u16(w, (uint16_t)n);
        return;
    }
    if (n > 0x7F)
        dp_write_u8(w, 0x81);
    dp_write_u8(w, (uint8_t)n);
}

int dp_tlv_put(uint8_t *out, size_t max, size_t *n, uint32_t tag, const void *value, size_t value_n)
{
    struct dp_writer w;
    DP_ASSERT(*n <= max);
    DP_ASSERT(value != NULL || value_n == 0);
    if (value_n > DP_TLV_LENGTH_MAX || tag == 0)
        return DP_ERR_RANGE;
    dp_writer_init(&w, out != NULL ? out + *n : NULL, max - *n);
    for (size_t i = tag_bytes(tag); i > 0; i--)
        dp_write_u8(&w, (uint8_t)(tag >> (8 * (i - 1))));
    write_length(&w, value_n);
    dp_write_bytes(&w, value, value_n);
    if (w.err < 0)
        return w.err;
    *n += w.n;
    return DP_OK;
}
