/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DP_BASE_HEX_H
#define DP_BASE_HEX_H

#include <doorpay/base.h>

/* Hex text (either case, blanks between pairs allowed) into out. *n is set to the bytes written.
 * DP_ERR_FORMAT: not hex, or an odd number of digits; DP_ERR_SPACE: more than max bytes. */
DP_MUST_USE DP_PARSES int dp_hex_decode(const char *text, size_t text_n, uint8_t *out, size_t max,
                                        size_t *n);
/* Upper-case hex, terminated; out holds 2 * n + 1 bytes. Returns out. */
char *dp_hex_encode(const uint8_t *p, size_t n, char *out, size_t out_n);

#endif
