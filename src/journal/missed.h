/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that the token's anchor was not extended by: while the journal is degraded, and the one
 * before (docs/PROTOCOL.journal, 6, "Degraded"). */
#ifndef DP_JOURNAL_MISSED_H
#define DP_JOURNAL_MISSED_H

#include <doorpay/base.h>

#include "base/limits.h"

#include "hash.h"

struct missed {
    uint8_t from[HASH_BYTES]; /* the anchor before the first of them */
    uint64_t from_size;       /* records that it binds */
    uint32_t n;
    uint8_t digests[DP_JOURNAL_MISSED_MAX][HASH_BYTES];
    uint64_t sizes[DP_JOURNAL_MISSED_MAX]; /* records that the anchor binds after it */
};

void missed_begin(struct missed *m, const uint8_t from[HASH_BYTES], uint64_t from_size);
/* DP_ERR_LIMIT: there are DP_JOURNAL_MISSED_MAX. */
DP_MUST_USE int missed_add(struct missed *m, const uint8_t digest[HASH_BYTES], uint64_t size);
/* How many of them an anchor of this value has, and how many records that binds (may be NULL).
 * DP_ERR_NOT_FOUND: it is no value of theirs. */
DP_MUST_USE int missed_find(const struct missed *m, const uint8_t anchor[HASH_BYTES], uint32_t *at,
                            uint64_t *size);

#endif
