/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the records before a place say, so that opening need not read them again:
 * docs/PROTOCOL.journal, 13. A snapshot is worth its signature, by the identity key in the token.
 */
#ifndef DP_JOURNAL_SNAPSHOT_H
#define DP_JOURNAL_SNAPSHOT_H

#include <doorpay/journal.h>

#include "base/writer.h"

#include "body.h"
#include "tree.h"

#define SNAPSHOT_SLOTS 2 /* files: the newest one, and the one before it */

/* What a checkpoint does to the anchor. */
struct binding {
    uint64_t seq, before_size; /* before_size: records that before binds */
    uint8_t before[HASH_BYTES], digest[HASH_BYTES], after[HASH_BYTES];
};

struct snapshot {
    uint8_t journal[16];
    struct tree tree;
    uint8_t leaf[HASH_BYTES];
    uint64_t checkpoints;
    struct binding last; /* the last checkpoint, and the anchor's value after it */
    struct dp_totals totals;
    struct epoch epoch;
    uint32_t shred_generation;
    uint64_t acked;                /* records that the last UPLOAD_ACK is about */
    uint32_t segment, offset;      /* where the next batch begins */
    struct dp_bytes ledger, owner; /* owner: what only the owner can read */
};

#define SNAPSHOT_HEAD_MAX      4096 /* bytes beside ledger, owner and signature */
#define SNAPSHOT_SIGNATURE_MAX 256

/* All but ledger and owner, whose lengths follow: the caller writes them behind it. */
void snapshot_write_head(const struct snapshot *s, struct dp_writer *w);
/* Signs what stands in w, which has SNAPSHOT_SIGNATURE_MAX bytes left, and adds the signature. */
DP_MUST_USE int snapshot_sign(struct dp_writer *w, const uint8_t identity[65],
                              dp_cose_sign_fn *sign, void *ctx);
/* ledger and owner point into p; signature (a COSE_Sign1) covers the bytes before it, signed_n.
 * DP_ERR_FORMAT, DP_ERR_UNSUPPORTED, DP_ERR_RANGE, DP_ERR_SHORT, DP_ERR_TRAILING. */
DP_MUST_USE DP_PARSES int snapshot_read(const uint8_t *p, size_t n, struct snapshot *out,
                                        size_t *signed_n, struct dp_bytes *signature);

/* "snapshot-0", "snapshot-1". */
const char *snapshot_name(unsigned slot);

/*
 * The newest snapshot in dir that identity has signed: *bytes is the caller's to free, and out
 * points into it. DP_ERR_NOT_FOUND: there is none.
 */
DP_MUST_USE int snapshot_load(const struct dp_store *store, const char *dir,
                              const uint8_t identity[65], unsigned *slot, uint8_t **bytes,
                              struct snapshot *out);

#endif
