/* SPDX-License-Identifier: Apache-2.0 */
/* The collector's signed word that it has a journal up to a checkpoint: docs/PROTOCOL.journal, 11.
 */
#ifndef DP_JOURNAL_ACK_H
#define DP_JOURNAL_ACK_H

#include <doorpay/cose.h>
#include <doorpay/journal.h>

#include "hash.h"

#define ACK_SERVER_MAX 35

struct ack {
    uint8_t journal[16], root[HASH_BYTES], anchor[HASH_BYTES];
    uint64_t size, wall_ms; /* size: records that the checkpoint covers */
    char server[ACK_SERVER_MAX + 1];
    uint8_t kid[DP_COSE_KID_BYTES];
};

/* Without a look at the signature. DP_ERR_FORMAT, DP_ERR_RANGE, DP_ERR_UNSUPPORTED (a later
 * version, another algorithm). */
DP_MUST_USE DP_PARSES int ack_read(const uint8_t *p, size_t n, struct ack *out);
/* DP_ERR_MISMATCH: signed by another key; DP_ERR_SIGNATURE. */
DP_MUST_USE DP_PARSES int ack_verify(const uint8_t *p, size_t n, const uint8_t collector[65]);

/* ---- which heads a journal has had ---- */

/* What a checkpoint binds, as it is held against an acknowledgement. */
struct ack_head {
    uint64_t size;
    uint8_t print[HASH_BYTES]; /* Hash(root || anchor after it) */
};
/* The checkpoints behind the last acknowledgement, rising. */
struct ack_heads {
    struct ack_head *at;
    size_t n, max;
};

/* DP_ERR_LIMIT: too many checkpoints without an acknowledgement; DP_ERR_NOMEM, DP_ERR_CRYPTO. */
DP_MUST_USE int ack_heads_add(struct ack_heads *h, uint64_t size, const uint8_t root[HASH_BYTES],
                              const uint8_t anchor[HASH_BYTES]);
/* Is a's head among them? */
DP_MUST_USE int ack_heads_has(const struct ack_heads *h, const struct ack *a, bool *has);
/* Those of at most size records are not asked for any more. */
void ack_heads_drop(struct ack_heads *h, uint64_t size);
void ack_heads_free(struct ack_heads *h);

#endif
