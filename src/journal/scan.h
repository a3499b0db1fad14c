/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over a journal, in order, a segment in memory at a time: every rule that needs no token
 * is held here. The verifier makes a verdict of it, the writer the state that it goes on from.
 */
#ifndef DP_JOURNAL_SCAN_H
#define DP_JOURNAL_SCAN_H

#include <doorpay/journal.h>

#include "base/limits.h"

#include "ack.h"
#include "body.h"
#include "ledger.h"
#include "missed.h"
#include "segment.h"
#include "snapshot.h"
#include "tree.h"

#define JOURNAL_DIR_MAX 72 /* "closed/" and 32 digits, or "." */

/* A torn place that no RECOVERY record has named yet. */
struct damage {
    uint32_t segment, offset, length;
    uint8_t hash[HASH_BYTES];
    bool whole; /* its frames are, and its signature is missing */
};

/* The last CHECKPOINT. */
struct bound {
    bool any, is_signed;
    uint64_t seq;
    uint32_t segment, offset, signature_offset;
    uint8_t body[BODY_BYTES_MAX];
    size_t body_n;
    uint8_t before[HASH_BYTES], after[HASH_BYTES]; /* anchor values */
    uint8_t root[HASH_BYTES];
    uint64_t before_size;              /* records that before binds */
    uint8_t digest[HASH_BYTES];        /* of the body */
    struct epoch by;                   /* the key that signs it */
    uint8_t cose[SIGNATURE_FRAME_MAX]; /* its signature, when is_signed */
    size_t cose_n;
};

/* Who wants to see the tree grow: each leaf, and each checkpoint's signature once it is valid. */
struct scan_watch {
    int (*leaf)(void *ctx, const uint8_t leaf[HASH_BYTES]);
    int (*signature)(void *ctx, const struct bound *checkpoint, struct dp_bytes signature);
    void *ctx;
};

struct scan {
    const struct dp_store *store;
    const struct dp_verify_options *options;
    dp_journal_each *each;
    void *user;
    const struct scan_watch *watch; /* NULL: nobody; borrowed */
    char dir[JOURNAL_DIR_MAX];
    struct ledger *ledger;
    uint8_t *bytes; /* of the segment that is read */
    uint8_t *room;  /* for an archive; NULL while there was none */
    struct dp_record record;

    /* what the records before this place say */
    struct tree tree; /* its size is the next seq */
    uint8_t leaf[HASH_BYTES];
    struct dp_totals totals;
    struct epoch epoch;
    uint8_t identity[65];
    bool closed;          /* a CLOSE was read */
    bool degraded;        /* a DEGRADED_ON, and no DEGRADED_OFF since */
    struct missed missed; /* while degraded */
    uint64_t checkpoints, signed_size;
    uint64_t voids; /* behind the last checkpoint */
    bool begun;     /* an INTENT stands behind the last checkpoint */
    struct bound last;
    bool bound_elsewhere; /* the token's anchor covers it: only the last signature is checked */
    uint32_t shred_generation; /* of the last SHRED, 0: none */
    struct {
        uint64_t size;
        uint8_t root[HASH_BYTES], anchor[HASH_BYTES];
    } signed_head;          /* of the last checkpoint with a signature */
    uint64_t acked;         /* records that the last UPLOAD_ACK is about, 0: none */
    uint64_t heads_from;    /* records before which heads says nothing: a snapshot's */
    struct ack_heads heads; /* that an acknowledgement may be about */
    bool head_seen;         /* the records to the head's size agree with it */
    struct damage damages[DP_JOURNAL_DAMAGES_MAX];
    unsigned damages_n;

    /* the place */
    uint32_t segments;            /* files there are */
    struct segment_header header; /* of the segment that is read */
    uint32_t offset;              /* at the end: where the next frame goes */

    /* the finding: rule is NULL when every rule holds */
    const char *rule;
    char words[160];
    uint32_t found_segment;
    uint64_t found_offset, found_seq;
};

/* DP_ERR_NOMEM. options, each may be NULL. */
DP_MUST_USE int scan_new(const struct dp_store *store, const struct dp_verify_options *options,
                         dp_journal_each *each, void *user, struct scan **out);
void scan_free(struct scan **s);
/* Reads the journal in dir. DP_OK with or without a finding; DP_ERR_IO, DP_ERR_NOT_FOUND,
 * DP_ERR_NOMEM, DP_ERR_LIMIT, DP_ERR_CRYPTO. */
DP_MUST_USE DP_PARSES int scan_run(struct scan *s, const char *dir);

/* ---- in parts ---- */

/* The directory, and how many segments are in it. */
DP_MUST_USE int scan_begin(struct scan *s, const char *dir);
/* The next segment; numbers rise by one. DP_OK with or without a finding: one ends the scan. */
DP_MUST_USE int scan_segment(struct scan *s, uint32_t number);
/*
 * scan_begin, and the state that a snapshot says; the segment it ends in is in memory. The snapshot
 * must be the token's: nothing before it is read. DP_ERR_MISMATCH: it is not of this directory;
 * then, and with any other error, s is fit for scan_free only.
 */
DP_MUST_USE int scan_resume(struct scan *s, const char *dir, const struct snapshot *from);
/* What stands behind the snapshot: as scan_run. */
DP_MUST_USE int scan_go_on(struct scan *s);
/* Notes a finding at offset of the segment that is read; the first stands. */
void scan_found(struct scan *s, const char *rule, uint32_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "DIR/NAME" into out. */
const char *journal_path(const char *dir, const char *name, char out[DP_JOURNAL_NAME_MAX]);
/* Segments there are in dir, as files or archives. DP_ERR_IO. */
DP_MUST_USE int segments_count(const struct dp_store *store, const char *dir, uint32_t *n);
/* A journal's directory below the store's root: "." when the root is one itself. DP_ERR_NOT_FOUND;
 * DP_ERR_DUPLICATE: several, and one must be named. */
DP_MUST_USE int journal_find(const struct dp_store *store, char dir[JOURNAL_DIR_MAX]);
/* "0123..." of an id, lower case. */
void journal_dir_name(const uint8_t id[16], char out[33]);

#endif
