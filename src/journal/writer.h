/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's state. open.c makes it, writer.c goes on with it, side.c keeps what is shredded. */
#ifndef DP_JOURNAL_WRITER_H
#define DP_JOURNAL_WRITER_H

#include <doorpay/journal.h>

#include "base/limits.h"

#include "body.h"
#include "scan.h"
#include "segment.h"
#include "side.h"
#include "tree.h"

/* A blob that is wanted. */
struct side_entry {
    uint8_t tx[16], salt[SIDE_SALT_BYTES];
    uint8_t kind;
    uint32_t bytes, index; /* of its frame */
    uint64_t offset;
};

struct side {
    int file; /* -1: none */
    uint32_t generation, index;
    uint64_t offset;
    bool dirty;              /* written and not flushed */
    uint32_t track2_dropped; /* still under this generation's key */
    uint32_t n;
    struct side_entry entries[DP_JOURNAL_SIDE_MAX];
};

struct dp_journal {
    struct dp_journal_config config;
    struct dp_hsm_caps caps;
    dp_journal_each *each; /* while opening */
    void *user;
    char dir[JOURNAL_DIR_MAX];
    int root_lock, lock;
    struct dp_verify_options own_identity; /* what is opened is this token's, or refused */
    uint8_t id[16], boot[16];
    bool stopped, closed, keyless;

    /* after the last record that was appended */
    struct tree tree;
    uint8_t leaf[HASH_BYTES];
    struct dp_totals totals;
    uint64_t bound_size; /* records the anchor binds */
    uint8_t anchor[HASH_BYTES];
    struct epoch epoch;
    uint64_t acked;    /* records that the collector has acknowledged, 0: none */
    uint32_t archived; /* segments that are archives, from the first on */
    bool archives_off; /* one failed: no more in this run */

    /* a dead anchor */
    int anchor_err;       /* at start: why it cannot be read */
    bool degraded;        /* anchor above is what it should be */
    bool say_on, say_off; /* DEGRADED_ON, DEGRADED_OFF is to be written yet */
    struct missed missed; /* while degraded */
    char why[80];
    bool has_outcome; /* the last OUTCOME that no checkpoint covers yet */
    uint8_t outcome_tx[16];

    /* after the last record that was flushed */
    uint64_t flushed;
    uint8_t flushed_leaf[HASH_BYTES];
    uint32_t segment_bytes, number, offset;
    int file;
    uint8_t salt[SEGMENT_SALT_BYTES];
    bool spare; /* the next segment's space is taken */

    /* the batch in memory: u32 length and payload, record after record */
    uint8_t batch[DP_JOURNAL_BATCH_BYTES];
    size_t batch_n, batch_frames_n; /* bytes here, and bytes as frames */
    bool owes;                      /* one of them may not be written without a signature */
    bool begun;                     /* an INTENT stands behind the last CHECKPOINT */
    uint8_t signature[SIGNATURE_FRAME_MAX];
    size_t signature_n; /* of the batch that is being bound, behind its CHECKPOINT; else 0 */
    uint8_t frames[DP_JOURNAL_BATCH_BYTES];
    struct dp_record own, mark, body; /* what the writer makes itself; mark: DEGRADED_ON and _OFF;
                                         body: CHECKPOINT */

    /* for the next snapshot: what a scan of everything would know here */
    bool snapshots;        /* they are made and taken here */
    struct ledger *ledger; /* NULL: none can be made */
    uint64_t checkpoints;
    struct binding last;
    uint32_t shred_generation;
    uint64_t snapshot_size; /* records of the newest one; 0: none */
    unsigned snapshot_slot; /* where it is */

    /* what opening did not read, looked through behind it; NULL: nothing is left */
    struct scan *recheck;
    struct dp_verify_options recheck_to; /* where the snapshot begins */
    uint32_t recheck_next, recheck_last; /* segments */
    bool tampered;

    struct side side;
};

/* dp_journal_open with segments of another size: tests want to see many. */
DP_MUST_USE int journal_open_sized(const struct dp_journal_config *config, uint32_t segment_bytes,
                                   dp_journal_each *each, void *user,
                                   struct dp_journal_opened *opened, struct dp_journal **out);

/* Nothing may be written any more. Returns err. */
int journal_stop(struct dp_journal *j, const char *what, int err);
/* dp_journal_append without asking who makes the record. A full batch is flushed first. */
DP_MUST_USE int journal_put(struct dp_journal *j, struct dp_record *r);
/* The same where the batch has the place, which it always has for what binds it; DP_ERR_LIMIT. */
DP_MUST_USE int journal_put_in(struct dp_journal *j, struct dp_record *r);
/* The next segment's file, and the place in it. */
DP_MUST_USE int journal_next_segment(struct dp_journal *j);
/* A CHECKPOINT into the batch; its body's hash comes back. */
DP_MUST_USE int journal_put_checkpoint(struct dp_journal *j, uint8_t digest[HASH_BYTES]);
/* The signature of that body, which stands behind it in the batch. */
DP_MUST_USE int journal_sign(struct dp_journal *j);
/* The batch as it is, durable. */
DP_MUST_USE int journal_flush_batch(struct dp_journal *j);
/* What follows the flush of a body. */
DP_MUST_USE int journal_extend(struct dp_journal *j, const uint8_t digest[HASH_BYTES]);
/* ---- degraded.c ---- */
/* The anchor follows a body that was flushed; a dead one makes the journal degraded, and say_on. */
DP_MUST_USE int journal_follow(struct dp_journal *j, const uint8_t digest[HASH_BYTES]);
/* One body more, while degraded: a reader takes no more than so many. */
bool journal_may_miss(const struct dp_journal *j);
/* At start, what is on disk held against the token: the anchor goes to the last body where it can.
 * DP_ERR_ROLLBACK; DP_OK too when the anchor is dead, and then the journal is degraded. */
DP_MUST_USE int journal_follow_scan(struct dp_journal *j, const struct scan *s);
/* DEGRADED_ON or DEGRADED_OFF into the batch, where one is due. */
DP_MUST_USE int journal_say_degraded(struct dp_journal *j);

/* ---- writer.c ---- */
/* A body for all that was appended: signed, flushed, the anchor extended by it. */
DP_MUST_USE int journal_bind(struct dp_journal *j);
/* OPEN or KEY_ROTATE of a new epoch key into the batch. */
DP_MUST_USE int journal_put_epoch(struct dp_journal *j, enum dp_record_type type);
/* After CLOSE is in the chain: bound, signed, and the epoch key is gone. */
DP_MUST_USE int journal_finish_close(struct dp_journal *j);

/* ---- resume.c ---- */
/* From a snapshot on: *out is a scan of what stands behind it, and the owner has its state. DP_OK
 * and NULL: there is none that can be taken, everything is to be read. */
DP_MUST_USE int journal_resume(struct dp_journal *j, struct scan **out);
void journal_recheck_end(struct dp_journal *j);

/* generation: of the last SHRED record, 0 when there is none. */
DP_MUST_USE int side_open(struct dp_journal *j, uint32_t generation);
DP_MUST_USE int side_flush(struct dp_journal *j);
void side_close(struct dp_journal *j);

#endif
