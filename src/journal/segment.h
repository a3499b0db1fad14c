/* SPDX-License-Identifier: Apache-2.0 */
/* Segments and frames: docs/PROTOCOL.journal, 2 and 3. Read and write of one format, together. */
#ifndef DP_JOURNAL_SEGMENT_H
#define DP_JOURNAL_SEGMENT_H

#include <doorpay/base.h>

#include "base/writer.h"

#define SEGMENT_HEADER_BYTES 128
#define SEGMENT_SALT_BYTES   16
#define SEGMENT_NAME_BYTES   17 /* "seg-00000001.dpj" and its end */
#define FRAME_HEADER_BYTES   12

struct segment_header {
    uint32_t number, bytes;
    uint8_t salt[SEGMENT_SALT_BYTES], journal[16];
    uint64_t first_seq;
    uint8_t prev_leaf[32];
};

/* "seg-00000001.dpj"; out holds SEGMENT_NAME_BYTES. */
void segment_name(uint32_t number, char *out);
/* The number in a segment's file name, 0 when it is not one. */
uint32_t segment_number(const char *name);
void segment_header_write(const struct segment_header *h, uint8_t out[SEGMENT_HEADER_BYTES]);
/* DP_ERR_FORMAT: damaged; DP_ERR_UNSUPPORTED: a feature this reader does not know; DP_ERR_RANGE. */
DP_MUST_USE DP_PARSES int segment_header_read(const uint8_t in[SEGMENT_HEADER_BYTES],
                                              struct segment_header *out);

/* Bytes of a frame with n bytes of payload, padding included. */
size_t frame_bytes(size_t payload_n);
/* One frame of a batch that begins at offset batch of its segment. */
void frame_write(struct dp_writer *w, const uint8_t salt[SEGMENT_SALT_BYTES], uint64_t seq,
                 uint32_t batch, struct dp_bytes payload);

enum frame_state {
    FRAME_GOOD,
    FRAME_END,     /* zeros from here to the end of the segment */
    FRAME_DAMAGED, /* nothing that a finished write can have left */
    FRAME_PADDED,  /* intact, but its padding is not zero: no crash does that */
    FRAME_BATCH    /* intact, but its batch is impossible here */
};

struct frame {
    uint32_t offset, batch, next; /* next: offset of the frame after it */
    bool signature;               /* a signature frame, not a record */
    bool has_seq; /* false: the payload does not say, the expected seq fits the CRC */
    uint64_t seq;
    uint64_t type;           /* of a record, as it says itself; 0: it does not say */
    struct dp_bytes payload; /* in the segment's bytes */
};

/* A segment in memory, and where the reading stands. */
struct segment {
    const uint8_t *p;
    uint32_t n;
    uint8_t salt[SEGMENT_SALT_BYTES];
};

/*
 * The frame at offset. before is the batch of the frame before it, or 0 for the first; expected is
 * the seq it should have.
 */
DP_MUST_USE DP_PARSES enum frame_state frame_read(const struct segment *s, uint32_t offset,
                                                  uint32_t before, uint64_t expected,
                                                  struct frame *out);
/* True when an intact frame whose batch began after offset stands somewhere behind it: what is
 * damaged at offset had been flushed. */
DP_MUST_USE DP_PARSES bool frame_later(const struct segment *s, uint32_t offset);
/* True when an intact frame of the batch that began at batch stands behind offset: what is damaged
 * there belongs to that batch. */
DP_MUST_USE DP_PARSES bool frame_same_batch(const struct segment *s, uint32_t offset,
                                            uint32_t batch);
/* Where the zeros at the segment's end begin, rounded up to 8; never below offset. */
uint32_t segment_used(const struct segment *s, uint32_t offset);

#endif
