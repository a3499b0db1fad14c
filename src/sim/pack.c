/* SPDX-License-Identifier: Apache-2.0 */
#include "pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/hex.h"

#define NESTING_MAX 8

void sim_put(struct sim_buf *b, const void *p, size_t n)
{
    DP_ASSERT(n <= SIM_BUF_MAX - b->n);
    if (n > 0)
        memcpy(b->p + b->n, p, n);
    b->n += n;
}

void sim_put_u8(struct sim_buf *b, uint8_t v)
{
    sim_put(b, &v, 1);
}

void sim_put_u16(struct sim_buf *b, uint16_t v)
{
    sim_put_u8(b, (uint8_t)(v >> 8));
    sim_put_u8(b, (uint8_t)v);
}

void sim_put_fill(struct sim_buf *b, uint8_t v, size_t n)
{
    DP_ASSERT(n <= SIM_BUF_MAX - b->n);
    memset(b->p + b->n, v, n);
    b->n += n;
}

/* ---- BER-TLV ---- */

static void put_tag(struct sim_buf *b, uint32_t tag)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        if (tag >> shift != 0)
            sim_put_u8(b, (uint8_t)(tag >> shift));
}

static void put_length(struct sim_buf *b, size_t n)
{
    DP_ASSERT(n <= 65535);
    if (n > 255)
        sim_put_u8(b, 0x82);
    else if (n > 127)
        sim_put_u8(b, 0x81);
    if (n > 255)
        sim_put_u8(b, (uint8_t)(n >> 8));
    sim_put_u8(b, (uint8_t)n);
}

void sim_put_tlv(struct sim_buf *b, uint32_t tag, const void *value, size_t n)
{
    put_tag(b, tag);
    put_length(b, n);
    sim_put(b, value, n);
}

void sim_put_simple_tlv(struct sim_buf *b, uint32_t tag, const void *value, size_t n)
{
    DP_ASSERT(n <= 255);
    put_tag(b, tag);
    sim_put_u8(b, (uint8_t)n);
    sim_put(b, value, n);
}

void sim_put_tlv_buf(struct sim_buf *b, uint32_t tag, const struct sim_buf *value)
{
    sim_put_tlv(b, tag, value->p, value->n);
}

static int read_tag(const uint8_t *p, size_t end, size_t *at, uint32_t *tag)
{
    uint32_t t = p[(*at)++];
    if ((t & 0x1F) == 0x1F) {
        do {
            if (*at >= end || t > 0xFFFFFF)
                return DP_ERR_FORMAT;
            t = t << 8 | p[(*at)++];
        } while ((t & 0x80) != 0);
    }
    *tag = t;
    return DP_OK;
}

static int read_one_byte(const uint8_t *p, size_t end, size_t *at, size_t *n)
{
    if (*at >= end)
        return DP_ERR_FORMAT;
    *n = p[(*at)++];
    return DP_OK;
}

static int read_length(const uint8_t *p, size_t end, size_t *at, size_t *n)
{
    size_t more;
    if (*at >= end)
        return DP_ERR_FORMAT;
    *n = p[(*at)++];
    if (*n < 0x80)
        return DP_OK;
    more = *n & 0x7F;
    if (more == 0 || more > 4 || more > end - *at)
        return DP_ERR_FORMAT;
    for (*n = 0; more > 0; more--)
        *n = *n << 8 | p[(*at)++];
    return DP_OK;
}

typedef int length_fn(const uint8_t *p, size_t end, size_t *at, size_t *n);

static int next(const uint8_t *p, size_t end, size_t *at, length_fn *length, struct sim_tlv *out)
{
    size_t i = *at;
    while (i < end && p[i] == 0)
        i++;
    if (i >= end)
        return DP_ERR_NOT_FOUND;
    out->at = i;
    out->constructed = (p[i] & 0x20) != 0;
    if (read_tag(p, end, &i, &out->tag) != DP_OK || length(p, end, &i, &out->n) != DP_OK ||
        out->n > end - i)
        return DP_ERR_FORMAT;
    out->value = i;
    *at = i + out->n;
    return DP_OK;
}

int sim_tlv_next(const uint8_t *p, size_t end, size_t *at, struct sim_tlv *out)
{
    return next(p, end, at, read_length, out);
}

int sim_simple_tlv_next(const uint8_t *p, size_t end, size_t *at, struct sim_tlv *out)
{
    return next(p, end, at, read_one_byte, out);
}

/* The templates that lie around an element, outermost first. */
struct path {
    struct sim_tlv step[NESTING_MAX];
    size_t n;
};

static int find(const uint8_t *p, size_t n, uint32_t tag, struct path *path)
{
    size_t at = 0, end[NESTING_MAX] = {n};
    path->n = 0;
    for (;;) {
        struct sim_tlv e;
        int err = sim_tlv_next(p, end[path->n], &at, &e);
        if (err == DP_ERR_NOT_FOUND && path->n > 0) {
            path->n--;
            continue;
        }
        if (err != DP_OK)
            return err;
        path->step[path->n] = e;
        if (e.tag == tag) {
            path->n++;
            return DP_OK;
        }
        if (e.constructed && path->n + 1 < NESTING_MAX) {
            path->n++;
            end[path->n] = e.value + e.n;
            at = e.value;
        }
    }
}

int sim_tlv_find(const uint8_t *p, size_t n, uint32_t tag, struct sim_tlv *out)
{
    struct path path;
    int err = find(p, n, tag, &path);
    if (err == DP_OK)
        *out = path.step[path.n - 1];
    return err;
}

int sim_tlv_replace(struct sim_buf *b, uint32_t tag, const uint8_t *value, size_t n)
{
    static struct sim_buf inner, outer;
    struct path path;
    int err = find(b->p, b->n, tag, &path);
    if (err != DP_OK)
        return err;
    inner.n = 0;
    if (value != NULL)
        sim_put_tlv(&inner, tag, value, n);
    for (size_t i = path.n - 1; i > 0; i--) {
        const struct sim_tlv *around = &path.step[i - 1], *e = &path.step[i];
        outer.n = 0;
        sim_put(&outer, b->p + around->value, e->at - around->value);
        sim_put(&outer, inner.p, inner.n);
        sim_put(&outer, b->p + e->value + e->n, around->value + around->n - e->value - e->n);
        inner.n = 0;
        sim_put_tlv_buf(&inner, around->tag, &outer);
    }
    outer.n = 0;
    sim_put(&outer, b->p, path.step[0].at);
    sim_put(&outer, inner.p, inner.n);
    sim_put(&outer, b->p + path.step[0].value + path.step[0].n,
            b->n - path.step[0].value - path.step[0].n);
    b->n = 0;
    sim_put(b, outer.p, outer.n);
    return DP_OK;
}

size_t sim_dol_length(const uint8_t *dol, size_t n)
{
    size_t at = 0, sum = 0;
    uint32_t tag;
    while (at < n && read_tag(dol, n, &at, &tag) == DP_OK && at < n)
        sum += dol[at++];
    return sum;
}

bool sim_dol_find(const uint8_t *dol, size_t n, uint32_t tag, size_t *offset, size_t *length)
{
    size_t at = 0, sum = 0;
    uint32_t t;
    while (at < n && read_tag(dol, n, &at, &t) == DP_OK && at < n) {
        size_t len = dol[at++];
        if (t == tag) {
            *offset = sum;
            *length = len;
            return true;
        }
        sum += len;
    }
    return false;
}

/* ---- CBOR ---- */

void sim_put_cbor(struct sim_buf *b, enum sim_cbor_major major, uint64_t v)
{
    uint8_t first = (uint8_t)((unsigned)major << 5);
    int bytes = v < 24 ? 0 : v <= 0xFF ? 1 : v <= 0xFFFF ? 2 : v <= 0xFFFFFFFF ? 4 : 8;
    static const uint8_t info[] = {[1] = 24, [2] = 25, [4] = 26, [8] = 27};
    if (bytes == 0) {
        sim_put_u8(b, (uint8_t)(first | v));
        return;
    }
    sim_put_u8(b, first | info[bytes]);
    for (int i = bytes - 1; i >= 0; i--)
        sim_put_u8(b, (uint8_t)(v >> (8 * i)));
}

void sim_put_cbor_bytes(struct sim_buf *b, const void *p, size_t n)
{
    sim_put_cbor(b, SIM_CBOR_BSTR, n);
    sim_put(b, p, n);
}

void sim_put_cbor_text(struct sim_buf *b, const char *text)
{
    sim_put_cbor(b, SIM_CBOR_TSTR, strlen(text));
    sim_put(b, text, strlen(text));
}

void sim_put_cbor_bool(struct sim_buf *b, bool v)
{
    sim_put_u8(b, v ? 0xF5 : 0xF4);
}

/* ---- digits ---- */

int sim_bcd_right(const char *digits, uint8_t *out, size_t n)
{
    size_t len = strlen(digits), nibble = 2 * n;
    if (len > nibble)
        return DP_ERR_SPACE;
    memset(out, 0, n);
    while (len > 0) {
        char c = digits[--len];
        if (c < '0' || c > '9')
            return DP_ERR_FORMAT;
        nibble--;
        out[nibble / 2] |= (uint8_t)((c - '0') << (nibble % 2 != 0 ? 0 : 4));
    }
    return DP_OK;
}

int sim_bcd_left(const char *digits, uint8_t *out, size_t n)
{
    size_t len = strlen(digits);
    if (len > 2 * n)
        return DP_ERR_SPACE;
    memset(out, 0xFF, n);
    for (size_t i = 0; i < len; i++) {
        int d = digits[i] - '0';
        if (d < 0 || d > 9)
            return DP_ERR_FORMAT;
        out[i / 2] = (uint8_t)(i % 2 == 0 ? d << 4 | 0x0F : (out[i / 2] & 0xF0) | d);
    }
    return DP_OK;
}

uint64_t sim_bcd_value(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v * 100 + (p[i] >> 4) * 10u + (p[i] & 15u);
    return v;
}

/* ---- files ---- */

int sim_read_file(const char *path, uint8_t *out, size_t max, size_t *n)
{
    FILE *f = fopen(path, "rb");
    int err = DP_OK;
    if (f == NULL)
        return DP_ERR_IO;
    *n = fread(out, 1, max, f);
    if (ferror(f) != 0)
        err = DP_ERR_IO;
    else if (*n == max && fgetc(f) != EOF)
        err = DP_ERR_SPACE;
    (void)fclose(f);
    return err;
}

int sim_write_file(const char *path, const void *p, size_t n, bool secret)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, secret ? 0600 : 0644);
    const uint8_t *at = p;
    if (fd < 0)
        return DP_ERR_IO;
    while (n > 0) {
        ssize_t w = write(fd, at, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            break;
        at += w;
        n -= (size_t)w;
    }
    return close(fd) == 0 && n == 0 ? DP_OK : DP_ERR_IO;
}

int sim_read_hex_file(const char *path, uint8_t *out, size_t n)
{
    uint8_t text[4096];
    size_t text_n, got;
    int err = sim_read_file(path, text, sizeof text, &text_n);
    if (err != DP_OK)
        return err;
    err = dp_hex_decode((const char *)text, text_n, out, n, &got);
    return err != DP_OK || got != n ? DP_ERR_FORMAT : DP_OK;
}

int sim_write_hex_file(const char *path, const uint8_t *p, size_t n, bool secret)
{
    char text[1024];
    DP_ASSERT(n <= sizeof text / 2 - 2);
    (void)dp_hex_encode(p, n, text, sizeof text);
    text[2 * n] = '\n';
    return sim_write_file(path, text, 2 * n + 1, secret);
}

const char *sim_path(char *out, size_t out_n, const char *dir, const char *name)
{
    int n = snprintf(out, out_n, "%s/%s", dir, name);
    DP_ASSERT(n > 0 && (size_t)n < out_n);
    return out;
}
