/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DP_JOURNAL_SIDE_H
#define DP_JOURNAL_SIDE_H

#include <doorpay/base.h>

#define SIDE_SALT_BYTES 16

/* What one frame of the side store holds; wrapped points into what it was read from. */
struct side_item {
    uint8_t kind, tx[16], salt[SIDE_SALT_BYTES];
    struct dp_bytes wrapped;
};

DP_MUST_USE int side_item_write(const struct side_item *item, uint8_t *out, size_t max, size_t *n);
DP_MUST_USE DP_PARSES int side_item_read(const uint8_t *p, size_t n, struct side_item *out);

#endif
