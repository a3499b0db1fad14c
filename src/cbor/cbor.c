/* SPDX-License-Identifier: Apache-2.0 */
#include <doorpay/cbor.h>

#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/reader.h"
#include "base/writer.h"

#define SIMPLE_FALSE 20
#define SIMPLE_TRUE  21
#define SIMPLE_NULL  22

/* ---- heads ---- */

/* Major type and argument of the next item, shortest form only (RFC 8949, 4.2.1). */
static uint8_t read_head(struct dp_reader *r, uint64_t *argument)
{
    static const uint64_t least[] = {24, 0x100, 0x10000, 0x100000000};
    uint8_t first = dp_read_u8(r);
    uint8_t info = first & 31;
    *argument = info;
    if (info < 24)
        return first >> 5;
    if (info == 24)
        *argument = dp_read_u8(r);
    else if (info == 25)
        *argument = dp_read_u16(r);
    else if (info == 26)
        *argument = dp_read_u32(r);
    else if (info == 27)
        *argument = dp_read_u64(r);
    if (info > 27 || (r->err == DP_OK && *argument < least[info - 24]))
        (void)dp_reader_fail(r, DP_ERR_FORMAT); /* reserved, indefinite, or not shortest */
    return first >> 5;
}

static void write_head(struct dp_writer *w, unsigned major, uint64_t argument)
{
    uint8_t top = (uint8_t)(major << 5);
    if (argument < 24) {
        dp_write_u8(w, (uint8_t)(top | argument));
    } else if (argument <= 0xFF) {
        dp_write_u8(w, top | 24);
        dp_write_u8(w, (uint8_t)argument);
    } else if (argument <= 0xFFFF) {
        dp_write_u8(w, top | 25);
        dp_write_u16(w, (uint16_t)argument);
    } else if (argument <= 0xFFFFFFFF) {
        dp_write_u8(w, top | 26);
        dp_write_u32(w, (uint32_t)argument);
    } else {
        dp_write_u8(w, top | 27);
        dp_write_u64(w, argument);
    }
}

/* ---- strings ---- */

/* Bytes of the UTF-8 sequence at p, 0 when it is none (RFC 3629, 4). */
static size_t utf8_sequence(const uint8_t *p, size_t n)
{
    size_t length;
    uint8_t low = 0x80, high = 0xBF;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    length = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (length > n)
        return 0;
    if (p[0] == 0xE0)
        low = 0xA0;
    else if (p[0] == 0xED)
        high = 0x9F; /* surrogates */
    else if (p[0] == 0xF0)
        low = 0x90;
    else if (p[0] == 0xF4)
        high = 0x8F;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

static bool is_utf8(struct dp_bytes b)
{
    for (size_t i = 0; i < b.n;) {
        size_t step = utf8_sequence(b.p + i, b.n - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

static struct dp_bytes read_string(struct dp_reader *r, uint8_t wanted)
{
    static const struct dp_bytes none = {NULL, 0};
    uint64_t n;
    uint8_t major = read_head(r, &n);
    struct dp_bytes b;
    if (r->err == DP_OK && major != wanted)
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
    if (r->err == DP_OK && n > r->left)
        (void)dp_reader_fail(r, DP_ERR_SHORT);
    if (r->err != DP_OK)
        return none;
    b = dp_read_bytes(r, (size_t)n);
    if (wanted == DP_CBOR_TEXT && !is_utf8(b)) {
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
        return none;
    }
    return b;
}

struct dp_bytes dp_cbor_read_bytes(struct dp_reader *r)
{
    return read_string(r, DP_CBOR_BYTES);
}

void dp_cbor_read_fixed(struct dp_reader *r, uint8_t *out, size_t n)
{
    struct dp_bytes b = dp_cbor_read_bytes(r);
    if (r->err == DP_OK && b.n != n)
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
    if (r->err == DP_OK)
        memcpy(out, b.p, n);
}

void dp_cbor_expect_int(struct dp_reader *r, int64_t wanted)
{
    if (dp_cbor_read_int(r) != wanted)
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
}

struct dp_bytes dp_cbor_read_text(struct dp_reader *r)
{
    return read_string(r, DP_CBOR_TEXT);
}

void dp_cbor_write_bytes(struct dp_writer *w, const void *p, size_t n)
{
    write_head(w, DP_CBOR_BYTES, n);
    dp_write_bytes(w, p, n);
}

void dp_cbor_write_text(struct dp_writer *w, const char *p, size_t n)
{
    struct dp_bytes b = {(const uint8_t *)p, n};
    DP_ASSERT(is_utf8(b));
    write_head(w, DP_CBOR_TEXT, n);
    dp_write_bytes(w, p, n);
}

/* ---- numbers and simple values ---- */

enum dp_cbor_type dp_cbor_peek(const struct dp_reader *r)
{
    if (r->err != DP_OK || r->left == 0)
        return DP_CBOR_NONE;
    return (enum dp_cbor_type)(dp_read_peek(r) >> 5);
}

static uint64_t read_argument(struct dp_reader *r, uint8_t wanted)
{
    uint64_t v;
    uint8_t major = read_head(r, &v);
    if (r->err == DP_OK && major != wanted)
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
    return r->err == DP_OK ? v : 0;
}

uint64_t dp_cbor_read_uint(struct dp_reader *r)
{
    return read_argument(r, DP_CBOR_UINT);
}

int64_t dp_cbor_read_int(struct dp_reader *r)
{
    uint64_t v;
    uint8_t major = read_head(r, &v);
    if (r->err == DP_OK && (major > DP_CBOR_NINT || v > INT64_MAX))
        (void)dp_reader_fail(r, major > DP_CBOR_NINT ? DP_ERR_FORMAT : DP_ERR_RANGE);
    if (r->err != DP_OK)
        return 0;
    return major == DP_CBOR_NINT ? -1 - (int64_t)v : (int64_t)v;
}

uint64_t dp_cbor_read_tag(struct dp_reader *r)
{
    return read_argument(r, DP_CBOR_TAG);
}

bool dp_cbor_read_bool(struct dp_reader *r)
{
    uint64_t v = read_argument(r, DP_CBOR_SIMPLE);
    if (r->err == DP_OK && v != SIMPLE_FALSE && v != SIMPLE_TRUE)
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
    return r->err == DP_OK && v == SIMPLE_TRUE;
}

void dp_cbor_read_null(struct dp_reader *r)
{
    if (read_argument(r, DP_CBOR_SIMPLE) != SIMPLE_NULL)
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
}

void dp_cbor_write_uint(struct dp_writer *w, uint64_t v)
{
    write_head(w, DP_CBOR_UINT, v);
}

void dp_cbor_write_int(struct dp_writer *w, int64_t v)
{
    if (v < 0)
        write_head(w, DP_CBOR_NINT, (uint64_t)(-1 - v));
    else
        write_head(w, DP_CBOR_UINT, (uint64_t)v);
}

void dp_cbor_write_bool(struct dp_writer *w, bool v)
{
    write_head(w, DP_CBOR_SIMPLE, v ? SIMPLE_TRUE : SIMPLE_FALSE);
}

void dp_cbor_write_null(struct dp_writer *w)
{
    write_head(w, DP_CBOR_SIMPLE, SIMPLE_NULL);
}

void dp_cbor_write_tag(struct dp_writer *w, uint64_t tag)
{
    write_head(w, DP_CBOR_TAG, tag);
}

/* ---- containers ---- */

size_t dp_cbor_read_array(struct dp_reader *r)
{
    uint64_t n = read_argument(r, DP_CBOR_ARRAY);
    if (n > r->left) /* each item takes a byte at least */
        (void)dp_reader_fail(r, DP_ERR_SHORT);
    return r->err == DP_OK ? (size_t)n : 0;
}

size_t dp_cbor_read_map(struct dp_reader *r)
{
    uint64_t n = read_argument(r, DP_CBOR_MAP);
    if (n > r->left / 2)
        (void)dp_reader_fail(r, DP_ERR_SHORT);
    return r->err == DP_OK ? (size_t)n : 0;
}

void dp_cbor_write_array(struct dp_writer *w, size_t items)
{
    write_head(w, DP_CBOR_ARRAY, items);
}

void dp_cbor_write_map(struct dp_writer *w, size_t pairs)
{
    write_head(w, DP_CBOR_MAP, pairs);
}

/* ---- one whole item, without recursion ---- */

struct level {
    uint64_t left;       /* items still to come */
    bool map;            /* left counts keys and values */
    struct dp_bytes key; /* the key before, encoded */
};

/* Bytewise order of encoded keys (RFC 8949, 4.2.1): below 0, 0 or above. */
static int key_order(struct dp_bytes a, struct dp_bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n == 0 ? 0 : memcmp(a.p, b.p, n);
    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

static void check_key(struct dp_reader *r, struct level *l, const uint8_t *start)
{
    struct dp_bytes key = {start, (size_t)(r->p - start)};
    int order;
    if (r->err != DP_OK)
        return;
    order = l->key.p == NULL ? -1 : key_order(l->key, key);
    if (order >= 0)
        (void)dp_reader_fail(r, order == 0 ? DP_ERR_DUPLICATE : DP_ERR_FORMAT);
    l->key = key;
}

/* Takes one item's head, and its content unless it is a container: then *inside is the items to
 * come. */
static uint8_t take_head(struct dp_reader *r, uint64_t *inside)
{
    uint8_t major = dp_read_peek(r) >> 5;
    uint64_t argument = 0;
    *inside = 0;
    if (major == DP_CBOR_BYTES || major == DP_CBOR_TEXT) {
        (void)read_string(r, major);
        return major;
    }
    (void)read_head(r, &argument);
    if (major == DP_CBOR_SIMPLE && (argument < SIMPLE_FALSE || argument > SIMPLE_NULL))
        (void)dp_reader_fail(r, DP_ERR_FORMAT);
    if (major == DP_CBOR_ARRAY || major == DP_CBOR_MAP) {
        if (argument > r->left / (major == DP_CBOR_MAP ? 2 : 1))
            (void)dp_reader_fail(r, DP_ERR_SHORT);
        *inside = major == DP_CBOR_MAP ? 2 * argument : argument;
    } else if (major == DP_CBOR_TAG) {
        *inside = 1;
    }
    return major;
}

static void take_item(struct dp_reader *r)
{
    struct level levels[DP_CBOR_NESTING_MAX];
    size_t depth = 0;
    levels[0] = (struct level){1, false, {NULL, 0}};
    while (r->err == DP_OK) {
        struct level *l = &levels[depth];
        bool is_key = l->map && l->left % 2 == 0;
        const uint8_t *start = r->p;
        uint64_t inside = 0;
        uint8_t major = take_head(r, &inside);
        l->left--;
        if (is_key && major > DP_CBOR_TEXT)
            (void)dp_reader_fail(r, DP_ERR_FORMAT);
        else if (is_key)
            check_key(r, l, start);
        if (inside > 0) {
            if (depth + 1 == DP_CBOR_NESTING_MAX) {
                (void)dp_reader_fail(r, DP_ERR_LIMIT);
                break;
            }
            levels[++depth] = (struct level){inside, major == DP_CBOR_MAP, {NULL, 0}};
        }
        while (depth > 0 && levels[depth].left == 0)
            depth--;
        if (depth == 0 && levels[0].left == 0)
            break;
    }
}

void dp_cbor_skip(struct dp_reader *r)
{
    take_item(r);
}

int dp_cbor_check(const uint8_t *p, size_t n, size_t *at)
{
    struct dp_reader r;
    dp_reader_init(&r, p, n);
    take_item(&r);
    if (at != NULL)
        *at = r.done;
    return dp_reader_finish(&r);
}

int dp_cbor_finish(const struct dp_writer *w)
{
    if (w->err != DP_OK)
        return w->err;
    DP_ASSERT(dp_cbor_check(w->p, w->n, NULL) == DP_OK);
    return DP_OK;
}
