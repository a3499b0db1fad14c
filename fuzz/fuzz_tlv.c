/* SPDX-License-Identifier: Apache-2.0 */
/* First byte even: a row of elements; odd: a data object list, and values that depend on the tag.
 */
#include <doorpay/tlv.h>

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool inside(struct dp_bytes part, struct dp_bytes whole)
{
    return part.n <= whole.n && part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

/* Written again, an element reads as the same one. */
static void round_trip(const struct dp_tlv *t)
{
    static uint8_t out[8 + DP_TLV_LENGTH_MAX];
    struct dp_tlv again;
    size_t n = 0, at = 0;
    must(t->value.n <= DP_TLV_LENGTH_MAX);
    must(dp_tlv_put(out, sizeof out, &n, t->tag, t->value.p, t->value.n) == DP_OK);
    must(n <= t->whole.n); /* ours is the shortest form */
    must(dp_tlv_next((struct dp_bytes){out, n}, &at, &again) == DP_OK && at == n);
    must(again.tag == t->tag && again.value.n == t->value.n);
    must(t->value.n == 0 || memcmp(again.value.p, t->value.p, t->value.n) == 0);
}

static void row(struct dp_bytes d)
{
    struct dp_tlv t;
    struct dp_bytes v;
    struct dp_tlv_walk w;
    size_t at = 0, bad_at = 0, before = 0, elements = 0;
    unsigned depth = 0;
    int err, walked;
    while ((err = dp_tlv_next(d, &at, &t)) == DP_OK) {
        must(at > before && inside(t.whole, d) && inside(t.value, t.whole) && t.tag != 0);
        must(dp_tlv_find(d, t.tag, &v) != DP_ERR_NOT_FOUND);
        round_trip(&t);
        before = at;
    }
    must(at <= d.n && (err != DP_ERR_NOT_FOUND || at == d.n));
    dp_tlv_walk_begin(&w, d);
    while ((walked = dp_tlv_walk_next(&w, &t, &depth)) == DP_OK) {
        must(inside(t.whole, d) && depth < DP_TLV_NESTING_MAX + 1);
        must(++elements <= d.n); /* each takes two bytes of its own */
    }
    must(walked == DP_ERR_NOT_FOUND || walked == DP_ERR_SHORT || walked == DP_ERR_FORMAT ||
         walked == DP_ERR_LIMIT);
    must(dp_tlv_check(d, &bad_at) == (walked == DP_ERR_NOT_FOUND ? DP_OK : walked));
    must(bad_at <= d.n && (walked != DP_ERR_NOT_FOUND || err == DP_ERR_NOT_FOUND));
}

/* Some values are shorter than asked for, some longer, some absent. */
static bool source(void *ctx, uint32_t tag, struct dp_bytes *value)
{
    static const uint8_t bytes[32] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    (void)ctx;
    value->p = bytes;
    value->n = tag % 32;
    return tag % 3 != 0;
}

static void list(struct dp_bytes d)
{
    static uint8_t out[512];
    struct dp_tlv_dol_entry e;
    size_t at = 0, total = 0, n = 0;
    int err, filled;
    while ((err = dp_tlv_dol_next(d, &at, &e)) == DP_OK) {
        const struct dp_tlv_tag *known = dp_tlv_tag_find(e.tag);
        must(known == NULL || known->tag == e.tag);
        total += e.length;
    }
    filled = dp_tlv_dol_fill(d, source, NULL, out, sizeof out, &n);
    if (err != DP_ERR_NOT_FOUND)
        must(filled == err && n == 0);
    else if (total > sizeof out)
        must(filled == DP_ERR_SPACE && n == 0);
    else
        must(filled == DP_OK && n == total);
    must(!dp_tlv_dol_has(d, 0x9F37, NULL) || err == DP_ERR_NOT_FOUND);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dp_bytes d;
    if (size < 1)
        return 0;
    d.p = data + 1;
    d.n = size - 1;
    if (data[0] % 2 == 0)
        row(d);
    else
        list(d);
    return 0;
}
