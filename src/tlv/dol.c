/* SPDX-License-Identifier: Apache-2.0 */
/* Data object lists. EMV 4.4 Book 3, 5.4. */
#include <doorpay/tlv.h>

#include <string.h>

#include "base/assert.h"
#include "base/reader.h"
#include "base/writer.h"
#include "tag.h"

int dp_tlv_dol_next(struct dp_bytes dol, size_t *at, struct dp_tlv_dol_entry *out)
{
    struct dp_reader r;
    DP_ASSERT(*at <= dol.n);
    memset(out, 0, sizeof *out);
    if (*at == dol.n)
        return DP_ERR_NOT_FOUND;
    dp_reader_init(&r, dol.p + *at, dol.n - *at);
    out->tag = tlv_read_tag(&r);
    out->length = dp_read_u8(&r);
    if (r.err < 0) {
        memset(out, 0, sizeof *out);
        return r.err;
    }
    *at += r.done;
    return DP_OK;
}

bool dp_tlv_dol_has(struct dp_bytes dol, uint32_t tag, uint8_t *length)
{
    struct dp_tlv_dol_entry e;
    size_t at = 0;
    bool found = false;
    int err;
    while ((err = dp_tlv_dol_next(dol, &at, &e)) == DP_OK) {
        if (e.tag == tag && !found) {
            found = true;
            if (length != NULL)
                *length = e.length;
        }
    }
    return found && err == DP_ERR_NOT_FOUND;
}

static enum dp_tlv_format format_of(uint32_t tag)
{
    const struct dp_tlv_tag *known = dp_tlv_tag_find(tag);
    return known != NULL ? known->format : DP_TLV_B;
}

static void put_value(struct dp_writer *w, enum dp_tlv_format format, struct dp_bytes v, size_t n)
{
    size_t kept = v.n < n ? v.n : n;
    DP_ASSERT(v.p != NULL || v.n == 0);
    if (format == DP_TLV_N) {
        dp_write_fill(w, 0x00, n - kept);
        if (kept > 0)
            dp_write_bytes(w, v.p + (v.n - kept), kept);
        return;
    }
    dp_write_bytes(w, v.p, kept);
    dp_write_fill(w, format == DP_TLV_CN && v.n > 0 ? 0xFF : 0x00, n - kept);
}

int dp_tlv_dol_fill(struct dp_bytes dol, dp_tlv_source *source, void *ctx, uint8_t *out, size_t max,
                    size_t *n)
{
    struct dp_tlv_dol_entry e;
    struct dp_writer w;
    size_t at = 0;
    int err;
    DP_ASSERT(source != NULL);
    *n = 0;
    dp_writer_init(&w, out, max);
    while ((err = dp_tlv_dol_next(dol, &at, &e)) == DP_OK) {
        struct dp_bytes v = {NULL, 0};
        if (dp_tlv_is_template(e.tag) || !source(ctx, e.tag, &v))
            dp_write_fill(&w, 0x00, e.length);
        else
            put_value(&w, format_of(e.tag), v, e.length);
    }
    if (err != DP_ERR_NOT_FOUND)
        return err;
    if (w.err < 0)
        return w.err;
    *n = w.n;
    return DP_OK;
}
