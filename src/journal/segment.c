/* SPDX-License-Identifier: Apache-2.0 */
#include "segment.h"

#include <string.h>

#include <doorpay/cbor.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/reader.h"

#include "crc32c.h"

static const uint8_t magic[8] = "DPJRNL1\n";

#define HEADER_CRC_OFFSET 96

void segment_name(uint32_t number, char *out)
{
    DP_ASSERT(number >= 1 && number <= DP_JOURNAL_SEGMENTS_MAX);
    memcpy(out, "seg-00000000.dpj", SEGMENT_NAME_BYTES);
    for (unsigned i = 0; i < 8; i++) {
        out[11 - i] = (char)('0' + number % 10);
        number /= 10;
    }
}

uint32_t segment_number(const char *name)
{
    char again[SEGMENT_NAME_BYTES];
    uint32_t number = 0;
    if (strlen(name) != SEGMENT_NAME_BYTES - 1)
        return 0;
    for (unsigned i = 4; i < 12; i++) {
        if (name[i] < '0' || name[i] > '9')
            return 0;
        number = number * 10 + (uint32_t)(name[i] - '0');
    }
    if (number == 0)
        return 0;
    segment_name(number, again);
    return strcmp(name, again) == 0 ? number : 0;
}

void segment_header_write(const struct segment_header *h, uint8_t out[SEGMENT_HEADER_BYTES])
{
    struct dp_writer w;
    dp_writer_init(&w, out, SEGMENT_HEADER_BYTES);
    dp_write_bytes(&w, magic, sizeof magic);
    dp_write_u32(&w, 0); /* incompatible features */
    dp_write_u32(&w, 0); /* compatible features */
    dp_write_u32(&w, h->number);
    dp_write_u32(&w, h->bytes);
    dp_write_bytes(&w, h->salt, sizeof h->salt);
    dp_write_bytes(&w, h->journal, sizeof h->journal);
    dp_write_u64(&w, h->first_seq);
    dp_write_bytes(&w, h->prev_leaf, sizeof h->prev_leaf);
    DP_ASSERT(w.n == HEADER_CRC_OFFSET);
    dp_write_u32(&w, crc32c(0, out, HEADER_CRC_OFFSET));
    dp_write_fill(&w, 0, SEGMENT_HEADER_BYTES - w.n);
    DP_ASSERT(w.err == DP_OK && w.n == SEGMENT_HEADER_BYTES);
}

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

int segment_header_read(const uint8_t in[SEGMENT_HEADER_BYTES], struct segment_header *out)
{
    struct dp_reader r;
    uint8_t start[sizeof magic];
    uint32_t incompatible;
    memset(out, 0, sizeof *out);
    dp_reader_init(&r, in, SEGMENT_HEADER_BYTES);
    dp_read_copy(&r, start, sizeof start);
    incompatible = dp_read_u32(&r);
    (void)dp_read_u32(&r); /* compatible features: whatever they are, they may be ignored */
    out->number = dp_read_u32(&r);
    out->bytes = dp_read_u32(&r);
    dp_read_copy(&r, out->salt, sizeof out->salt);
    dp_read_copy(&r, out->journal, sizeof out->journal);
    out->first_seq = dp_read_u64(&r);
    dp_read_copy(&r, out->prev_leaf, sizeof out->prev_leaf);
    if (memcmp(start, magic, sizeof magic) != 0 ||
        dp_read_u32(&r) != crc32c(0, in, HEADER_CRC_OFFSET) || !all_zero(r.p, r.left))
        return DP_ERR_FORMAT;
    if (incompatible != 0)
        return DP_ERR_UNSUPPORTED;
    if (out->number < 1 || out->number > DP_JOURNAL_SEGMENTS_MAX ||
        out->bytes < DP_JOURNAL_SEGMENT_MIN || out->bytes > DP_JOURNAL_SEGMENT_BYTES ||
        out->bytes % 8 != 0)
        return DP_ERR_RANGE;
    return DP_OK;
}

size_t frame_bytes(size_t payload_n)
{
    DP_ASSERT(payload_n >= 1 && payload_n <= DP_JOURNAL_RECORD_MAX);
    return (FRAME_HEADER_BYTES + payload_n + 7) / 8 * 8;
}

static uint32_t frame_crc(const uint8_t salt[SEGMENT_SALT_BYTES], uint64_t seq, uint32_t batch,
                          struct dp_bytes payload)
{
    uint8_t head[16];
    struct dp_writer w;
    uint32_t crc = crc32c(0, salt, SEGMENT_SALT_BYTES);
    dp_writer_init(&w, head, sizeof head);
    dp_write_u64(&w, seq);
    dp_write_u32(&w, (uint32_t)payload.n);
    dp_write_u32(&w, batch);
    crc = crc32c(crc, head, w.n);
    return crc32c(crc, payload.p, payload.n);
}

void frame_write(struct dp_writer *w, const uint8_t salt[SEGMENT_SALT_BYTES], uint64_t seq,
                 uint32_t batch, struct dp_bytes payload)
{
    size_t whole = frame_bytes(payload.n);
    dp_write_u32(w, (uint32_t)payload.n);
    dp_write_u32(w, frame_crc(salt, seq, batch, payload));
    dp_write_u32(w, batch);
    dp_write_bytes(w, payload.p, payload.n);
    dp_write_fill(w, 0, whole - FRAME_HEADER_BYTES - payload.n);
}

/*
 * What a payload says about itself before it is trusted to be anything: a record's keys are
 * ascending, so that 1, 2 (type) and 3 (seq) come first; a signature frame is [1, seq, ...].
 */
static bool peek(struct frame *f)
{
    struct dp_reader r;
    dp_reader_init(&r, f->payload.p, f->payload.n);
    f->signature = dp_cbor_peek(&r) == DP_CBOR_ARRAY;
    if (f->signature && dp_cbor_read_array(&r) != 3)
        return false;
    if (!f->signature && dp_cbor_read_map(&r) < 3)
        return false;
    dp_cbor_expect_int(&r, 1);
    if (!f->signature) {
        (void)dp_cbor_read_uint(&r);
        dp_cbor_expect_int(&r, 2);
        f->type = dp_cbor_read_uint(&r);
        dp_cbor_expect_int(&r, 3);
    }
    f->seq = dp_cbor_read_uint(&r);
    if (r.err != DP_OK)
        f->type = 0;
    return r.err == DP_OK;
}

/* A frame at offset, of which nothing is right yet but its length. */
static bool frame_at(const struct segment *s, uint32_t offset, struct frame *out, uint32_t *crc)
{
    struct dp_reader r;
    uint32_t len;
    dp_reader_init(&r, s->p + offset, s->n - offset);
    len = dp_read_u32(&r);
    *crc = dp_read_u32(&r);
    out->offset = offset;
    out->batch = dp_read_u32(&r);
    if (r.err != DP_OK || len < 1 || len > DP_JOURNAL_RECORD_MAX ||
        frame_bytes(len) > s->n - offset)
        return false;
    out->payload = dp_read_bytes(&r, len);
    out->next = offset + (uint32_t)frame_bytes(len);
    out->has_seq = peek(out);
    return true;
}

/* One whose CRC is right with the number that it names, whatever else is wrong with it. */
static bool frame_named(const struct segment *s, uint32_t offset, struct frame *out)
{
    uint32_t crc;
    return frame_at(s, offset, out, &crc) && out->has_seq &&
           frame_crc(s->salt, out->seq, out->batch, out->payload) == crc;
}

/* The same, or with the number that is due; that of a signature only it can name. */
static bool frame_intact(const struct segment *s, uint32_t offset, uint64_t expected,
                         struct frame *out)
{
    uint32_t crc;
    if (!frame_at(s, offset, out, &crc))
        return false;
    if (out->has_seq && frame_crc(s->salt, out->seq, out->batch, out->payload) == crc)
        return true;
    if (out->has_seq && out->signature)
        return false;
    out->has_seq = false;
    out->signature = false;
    out->seq = expected;
    return frame_crc(s->salt, expected, out->batch, out->payload) == crc;
}

enum frame_state frame_read(const struct segment *s, uint32_t offset, uint32_t before,
                            uint64_t expected, struct frame *out)
{
    memset(out, 0, sizeof *out);
    out->offset = offset;
    DP_ASSERT(offset >= SEGMENT_HEADER_BYTES && offset <= s->n);
    if (all_zero(s->p + offset, s->n - offset))
        return FRAME_END;
    if (!frame_intact(s, offset, expected, out))
        return FRAME_DAMAGED;
    size_t used = FRAME_HEADER_BYTES + out->payload.n;
    if (!all_zero(s->p + offset + used, out->next - offset - used))
        return FRAME_PADDED;
    if (out->batch != offset && (before == 0 || out->batch != before))
        return FRAME_BATCH;
    return FRAME_GOOD;
}

bool frame_later(const struct segment *s, uint32_t offset)
{
    struct frame f;
    DP_ASSERT(offset % 8 == 0);
    for (uint32_t at = offset + 8; at < s->n; at += 8)
        if (frame_named(s, at, &f) && f.batch > offset && f.batch <= at)
            return true;
    return false;
}

bool frame_same_batch(const struct segment *s, uint32_t offset, uint32_t batch)
{
    struct frame f;
    DP_ASSERT(offset % 8 == 0 && batch < offset);
    for (uint32_t at = offset + 8; at < s->n; at += 8)
        if (frame_named(s, at, &f) && f.batch == batch)
            return true;
    return false;
}

uint32_t segment_used(const struct segment *s, uint32_t offset)
{
    uint32_t end = s->n;
    while (end > offset && s->p[end - 1] == 0)
        end--;
    return end == offset ? offset : (end + 7) / 8 * 8;
}
