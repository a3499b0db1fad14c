/* SPDX-License-Identifier: Apache-2.0 */
/* A card number that can be printed only truncated. */
#ifndef DP_BASE_PAN_H
#define DP_BASE_PAN_H

#include <doorpay/base.h>

#define DP_PAN_DIGITS_MIN 8
#define DP_PAN_DIGITS_MAX 19

struct dp_pan {
    uint8_t digits[DP_PAN_DIGITS_MAX]; /* values 0..9, not ASCII */
    uint8_t n;
};

/* First six and last four, what PCI DSS 3.4.1 lets be shown at most. */
struct dp_pan_short {
    char bin[7];
    char last4[5];
};

/* From tag 5A: BCD, left justified, padded with F. DP_ERR_FORMAT otherwise. */
DP_MUST_USE DP_PARSES int dp_pan_from_bcd(const uint8_t *p, size_t n, struct dp_pan *out);
/* From the first field of track 2 equivalent data (57): digits up to the separator D. */
DP_MUST_USE DP_PARSES int dp_pan_from_track2(const uint8_t *p, size_t n, struct dp_pan *out);
bool dp_pan_luhn(const struct dp_pan *pan);
void dp_pan_shorten(const struct dp_pan *pan, struct dp_pan_short *out);
bool dp_pan_equal(const struct dp_pan *a, const struct dp_pan *b);
void dp_pan_wipe(struct dp_pan *pan);
/* Puts '*' over every digit but the last four in runs of 12 to 19 digits. */
void dp_pan_mask_text(char *text);

#endif
