/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on the wire: u16 big-endian length, then the message. */
#ifndef DP_LINK_FRAME_H
#define DP_LINK_FRAME_H

#include <doorpay/link.h>

#define FRAME_HEAD 2

/* A frame on its way in. All zero: none begun. */
struct frame_in {
    uint8_t bytes[FRAME_HEAD + DP_LINK_FRAME_MAX];
    size_t n;
};

/*
 * Takes bytes up to the end of one frame. *used says how many; *message is its content, valid until
 * the next call, or {NULL, 0} when more is wanted. DP_ERR_RANGE: a length of 0 or over
 * DP_LINK_FRAME_MAX; the connection is of no use any more.
 */
DP_MUST_USE DP_PARSES int frame_take(struct frame_in *f, const uint8_t *p, size_t n, size_t *used,
                                     struct dp_bytes *message);
/* A frame has begun and not ended. */
bool frame_is_open(const struct frame_in *f);

#endif
