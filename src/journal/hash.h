/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DP_JOURNAL_HASH_H
#define DP_JOURNAL_HASH_H

#include <doorpay/base.h>

#define HASH_BYTES 32

/* SHA-256 of the parts one after another. DP_ERR_CRYPTO. */
DP_MUST_USE int hash_parts(const struct dp_bytes *parts, size_t count, uint8_t out[HASH_BYTES]);
/* The anchor after it was extended: SHA-256(before || digest). out may be before. */
DP_MUST_USE int hash_extend(const uint8_t before[HASH_BYTES], const uint8_t digest[HASH_BYTES],
                            uint8_t out[HASH_BYTES]);

#endif
