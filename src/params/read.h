/* SPDX-License-Identifier: Apache-2.0 */
/* The payload of a signed set: docs/PROTOCOL.params. */
#ifndef DP_PARAMS_READ_H
#define DP_PARAMS_READ_H

#include <doorpay/params.h>

/* The errors and the sentence are those of dp_params_decode; whoever calls it has verified the
 * signature. out->digest is the caller's to fill. */
DP_MUST_USE DP_PARSES int params_read(const uint8_t *p, size_t n, struct dp_params **out,
                                      char *error, size_t error_n);

#endif
