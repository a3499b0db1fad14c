/* SPDX-License-Identifier: Apache-2.0 */
/* A batch, all frames of one flush: docs/PROTOCOL.journal, 3. */
#ifndef DP_JOURNAL_BATCH_H
#define DP_JOURNAL_BATCH_H

#include "segment.h"

/* May the record in f not be believed without the signature of its batch? Called for each record of
 * the batch, in order. */
typedef bool batch_owes_for(void *ctx, const struct frame *f);

struct batch {
    uint32_t offset, end; /* end: where the walk stopped */
    bool owes;            /* what it holds may not stand without a signature, and does */
    bool is_signed;       /* one CHECKPOINT, its signature, and nothing behind that */
};

/* Walks the frames of the batch at offset, whose first record is due as number expected.
 * FRAME_GOOD: another batch follows. */
DP_MUST_USE DP_PARSES enum frame_state batch_walk(const struct segment *s, uint32_t offset,
                                                  uint64_t expected, batch_owes_for *owes_for,
                                                  void *ctx, struct batch *b);

#endif
