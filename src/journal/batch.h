/* SPDX-License-Identifier: Apache-2.0 */
/* A batch, all frames of one flush: docs/PROTOCOL.journal, 3. */
#ifndef DP_JOURNAL_BATCH_H
#define DP_JOURNAL_BATCH_H

#include "segment.h"

struct batch {
    uint32_t offset, end; /* end: where the walk stopped */
    bool owes;            /* what it holds may not stand without a signature, and does */
};

/*
 * May a record of this type not stand in a batch without a signature? Whoever may write the files
 * can write such a batch. What may stand there gains him nothing: an INTENT is declined, a RECOVERY
 * says what is there, a VOID (of a writer without a key) gives up what was not collected.
 */
bool batch_owes_for(uint64_t type);
/* Walks the frames of the batch at offset, whose first record is due as number expected.
 * FRAME_GOOD: another batch follows. */
DP_MUST_USE DP_PARSES enum frame_state batch_walk(const struct segment *s, uint32_t offset,
                                                  uint64_t expected, struct batch *b);

#endif
