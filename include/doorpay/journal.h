/* SPDX-License-Identifier: Apache-2.0 */
/* The signed offline journal: docs/PROTOCOL.journal. One writer, any number of readers. */
#ifndef DOORPAY_JOURNAL_H
#define DOORPAY_JOURNAL_H

#include <doorpay/base.h>
#include <doorpay/hsm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the store the journal is given ---- */

/*
 * Files under one root. Names are relative, never with "..". Every function returns DP_OK or
 * DP_ERR_IO, DP_ERR_FULL, DP_ERR_NOT_FOUND. write_at never writes short: it writes all or fails.
 * After a failed sync nothing may be assumed: fail-stop.
 */
struct dp_store_ops {
    int (*make_dir)(void *ctx, const char *name);
    int (*create)(void *ctx, const char *name, uint64_t size, int *file); /* zeroed, exclusive */
    int (*open)(void *ctx, const char *name, bool write, int *file);
    int (*read_at)(void *ctx, int file, uint64_t offset, void *p, size_t n, size_t *got);
    int (*write_at)(void *ctx, int file, uint64_t offset, const void *p, size_t n);
    int (*size)(void *ctx, int file, uint64_t *size);
    int (*sync)(void *ctx, int file);
    int (*sync_dir)(void *ctx, const char *name);
    void (*close)(void *ctx, int file);
    int (*rename)(void *ctx, const char *from, const char *to);
    int (*remove)(void *ctx, const char *name);
    /* Calls each(user, name) for every entry of a directory, in name order. */
    int (*list)(void *ctx, const char *name, void (*each)(void *user, const char *name),
                void *user);
    int (*lock)(void *ctx, const char *name, int *file); /* DP_ERR_BUSY when somebody has it */
    int (*space)(void *ctx, uint64_t *bytes_free);
};

struct dp_store {
    const struct dp_store_ops *ops;
    void *ctx;
};

/* The real file system below root. Free with dp_store_fs_free. */
DP_PUBLIC DP_MUST_USE int dp_store_fs_open(const char *root, struct dp_store *out);
DP_PUBLIC void dp_store_fs_free(struct dp_store *store);

/* ---- a record ---- */

enum dp_record_type {
    DP_RECORD_OPEN = 1,
    DP_RECORD_INTENT = 2,
    DP_RECORD_REQUESTED = 3,
    DP_RECORD_OUTCOME = 4,
    DP_RECORD_REVERSAL = 5,
    DP_RECORD_VOID = 6,
    DP_RECORD_FORWARDED = 7,
    DP_RECORD_SETTLED = 8,
    DP_RECORD_EVIDENCE = 9,
    DP_RECORD_CHECKPOINT = 10,
    DP_RECORD_KEY_ROTATE = 11,
    DP_RECORD_TIME_SYNC = 12,
    DP_RECORD_DEGRADED_ON = 13,
    DP_RECORD_DEGRADED_OFF = 14,
    DP_RECORD_RECOVERY = 15,
    DP_RECORD_SHRED = 16,
    DP_RECORD_UPLOAD_ACK = 17,
    DP_RECORD_PARAMS = 18,
    DP_RECORD_CLOSE = 19
};

enum dp_mode {
    DP_MODE_NONE = 0,
    DP_MODE_ONLINE = 1,
    DP_MODE_OFFLINE = 2,
    DP_MODE_DEFERRED = 3,
    DP_MODE_DECLINED = 4,
    DP_MODE_REVERSED = 5,
    DP_MODE_VOID = 6
};

/* Perpetual totals, in the order of the format's array. */
struct dp_totals {
    uint64_t intents, online_n, online_amount, offline_n, offline_amount, deferred_n,
        deferred_amount, declined_n, reversed_n, reversed_amount, void_n, void_amount, forwarded_n,
        forwarded_amount;
};

/*
 * A record as a plain value. A text of length 0, a byte string with n = 0 and an integer with its
 * has_ bit off are absent. The writer fills version, seq, prev, journal, boot, times, totals
 * itself.
 */
struct dp_record {
    enum dp_record_type type;
    uint64_t seq, mono_ms, wall_ms;
    uint8_t prev[32], journal[16], boot[16];
    enum dp_clock_quality clock;
    bool has_tx, has_amount, has_original_tx, has_fingerprint, has_pan_commitment,
        has_track_commitment, has_totals, has_digest, has_headroom, has_original, has_damage,
        has_card_hash;
    uint8_t tx[16], original_tx[16], fingerprint[32], pan_commitment[32], track_commitment[32],
        digest[32], card_hash[16];
    struct dp_money amount;
    char tid[9], mid[16], rrn[13], auth_code[7], action_code[4], bin[7], last4[5], par[30],
        parcel[36], manifest[36], agent[36], sale_id[21], service_id[11], poi_id[41], sale_tx[65],
        de7[11], de12[13], reason_text[65], text[129];
    uint32_t batch, stan, mti, business_date, params_version, function, msg_reason;
    enum dp_mode mode;
    uint32_t reason, interface, cvm, result;
    bool pending_signature;
    bool degraded; /* OUTCOME: the token's anchor is dead; the writer's own */
    uint8_t emv[512];
    uint16_t emv_n;
    uint8_t aid[16];
    uint8_t aid_n;
    struct dp_totals totals;
    uint64_t headroom_amount, headroom_count, deferred_until;
    struct {
        uint32_t mti, stan;
        char de12[13], acquirer[12];
    } original;
    struct {
        uint64_t count, amount;
        char verdict[4];
    } settled;
    struct {
        uint32_t segment, offset, length;
        uint8_t hash[32];
    } damage;
    struct {
        uint32_t old_generation, new_generation, survivors;
    } shred;
    uint8_t body[512]; /* CHECKPOINT, CLOSE; OPEN and KEY_ROTATE: the encoded array of key 54 */
    uint16_t body_n;
};

/* One record from its payload. Errors name nothing but the class; dp_record_error gives the key. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_record_decode(const uint8_t *p, size_t n,
                                                     struct dp_record *out, unsigned *key);
DP_PUBLIC DP_MUST_USE int dp_record_encode(const struct dp_record *r, uint8_t *out, size_t max,
                                           size_t *n);
/* "OUTCOME"; never NULL. */
DP_PUBLIC const char *dp_record_type_name(enum dp_record_type type);
DP_PUBLIC const char *dp_mode_name(enum dp_mode mode);

/* ---- writing ---- */

struct dp_journal;

/*
 * What the owner makes of the records, to be kept in snapshots (docs/PROTOCOL.journal, 13): opening
 * then hands over only the records behind one. user is dp_journal_open's.
 */
struct dp_journal_state_ops {
    /* Bytes that save would need now, at most. */
    size_t (*bytes_max)(void *user);
    int (*save)(void *user, uint8_t *out, size_t max, size_t *n);
    /* What save wrote, once, before the first record is handed over. An error: it cannot be used
     * (another version), the owner's state is as it was, and every record is handed over. */
    int (*restore)(void *user, const uint8_t *p, size_t n);
};

struct dp_journal_config {
    struct dp_store store;
    struct dp_hsm *hsm; /* borrowed for the journal's life */
    const struct dp_clock *clock;
    const struct dp_random *random;
    uint8_t software_digest[32];
    uint64_t reserve_bytes; /* refused before less than this is free */
    /* NULL: an owner that wants each record has no snapshots. */
    const struct dp_journal_state_ops *state;
};

/* What was found at start. */
struct dp_journal_opened {
    bool created;         /* no journal was there: a new one was begun */
    bool recovered;       /* a torn batch was set aside (RECOVERY written) */
    bool resumed;         /* from a snapshot: each was called for what stands behind it only */
    uint64_t signed_size; /* records that a valid signature covered; 0: a new journal */
    uint64_t records;
};

/* Called for each record while opening, from the first on or from the first behind the snapshot
 * that restore was given, so that the owner rebuilds its state. */
typedef void dp_journal_each(void *user, const struct dp_record *record);

/*
 * Opens the one journal below the store's root for writing, or begins one; recovery and the anchor
 * rule are done here. DP_ERR_BUSY: another writer; DP_ERR_TAMPERED / DP_ERR_ROLLBACK: no payment
 * may be taken, the bytes are kept; DP_ERR_STATE: a round whose close was interrupted has been
 * closed now, and the next opening begins another; DP_ERR_TOKEN, DP_ERR_IO, DP_ERR_FULL.
 */
DP_PUBLIC DP_MUST_USE int dp_journal_open(const struct dp_journal_config *config,
                                          dp_journal_each *each, void *user,
                                          struct dp_journal_opened *opened,
                                          struct dp_journal **out);
/*
 * The token's keys are dead, or there is none (config's hsm may be NULL): the journal is read, and
 * VOID alone can be appended and flushed, signed by nobody until the key works again. It binds
 * nothing: dp_journal_checkpoint only flushes. DP_ERR_STATE: it was read, and takes nothing;
 * DP_ERR_TAMPERED, DP_ERR_NOT_FOUND, DP_ERR_BUSY, DP_ERR_IO.
 */
DP_PUBLIC DP_MUST_USE int dp_journal_open_keyless(const struct dp_journal_config *config,
                                                  dp_journal_each *each, void *user,
                                                  struct dp_journal_opened *opened,
                                                  struct dp_journal **out);
/* A clean end: what is not bound yet is. */
DP_PUBLIC void dp_journal_free(struct dp_journal **j);
/* The same for a journal whose records its owner does not believe: nothing is written or signed. */
DP_PUBLIC void dp_journal_abandon(struct dp_journal **j);

/*
 * Adds a record to the batch in memory; the writer's own fields are filled in r. DP_ERR_FULL: the
 * disk reserve would be touched (only INTENT, EVIDENCE are refused so; what closes a payment may
 * use the reserve).
 */
DP_PUBLIC DP_MUST_USE int dp_journal_append(struct dp_journal *j, struct dp_record *r);
/* The batch is durable when DP_OK: INTENT, and the VOID of a writer without a key, by one flush;
 * with anything else in it as dp_journal_checkpoint has it, for what no signature covers is not
 * believed. Any error is fail-stop: every later call gives DP_ERR_STATE. */
DP_PUBLIC DP_MUST_USE int dp_journal_flush(struct dp_journal *j);
/* CHECKPOINT body into the batch, its signature behind it, one flush, and the anchor extended. What
 * was appended before is bound when DP_OK. (docs/PROTOCOL.journal, 6) */
DP_PUBLIC DP_MUST_USE int dp_journal_checkpoint(struct dp_journal *j);
/*
 * The token's anchor is dead and its key lives: what dp_journal_checkpoint binds is signed and not
 * anchored (docs/PROTOCOL.journal, 6, "Degraded"). It begins by itself, with a DEGRADED_ON record.
 */
DP_PUBLIC bool dp_journal_is_degraded(const struct dp_journal *j);
/* Checkpoints that new payments may still have while the anchor is dead: a degraded journal takes
 * no more than so many, and some are kept for what is not over. Past the last one
 * dp_journal_checkpoint fails with DP_ERR_LIMIT, and nothing is written. */
DP_PUBLIC uint32_t dp_journal_degraded_left(const struct dp_journal *j);
/* Does the anchor work again? It is extended by what it missed, some of it at a time, and then
 * DEGRADED_OFF is recorded and bound. DP_OK: the journal is not degraded (any more); DP_ERR_BUSY:
 * there is more to extend by; DP_ERR_TOKEN and kin: still dead; DP_ERR_ROLLBACK: the token has
 * bound something else, and nothing may go on. */
DP_PUBLIC DP_MUST_USE int dp_journal_try_anchor(struct dp_journal *j);
/*
 * An acknowledgement of the collector's (docs/PROTOCOL.journal, 11) as it came: verified, held
 * against the journal, and taken into the batch as UPLOAD_ACK; r is the record. words receives a
 * sentence that says what came of it. DP_ERR_FORMAT; DP_ERR_SIGNATURE: not the collector's;
 * DP_ERR_MISMATCH: of another journal, or of another history of this one; DP_ERR_RANGE: of more
 * than there is; DP_ERR_NOT_FOUND: of what is no checkpoint's; DP_ERR_DUPLICATE, DP_ERR_ROLLBACK:
 * it is the last one, it is older; DP_ERR_STATE, DP_ERR_IO, DP_ERR_NOMEM.
 */
DP_PUBLIC DP_MUST_USE int dp_journal_acknowledge(struct dp_journal *j, const uint8_t *p, size_t n,
                                                 const uint8_t collector[65], struct dp_record *r,
                                                 char *words, size_t words_n);
/*
 * One closed segment that the collector has whole becomes an archive. *more: there may be another.
 * Nothing depends on it: what goes wrong is logged, leaves the segment as it is, and is tried again
 * after the next start. DP_ERR_STATE.
 */
DP_PUBLIC DP_MUST_USE int dp_journal_archive(struct dp_journal *j, bool *more);
/*
 * A snapshot, signed by the token: the next opening reads what stands behind it. It costs a flush
 * or two and the writing of the owner's state: between payments, when it is due. DP_OK too when
 * none can be made (no space, an owner without state): then opening reads more. An error is
 * fail-stop.
 */
DP_PUBLIC DP_MUST_USE int dp_journal_snapshot(struct dp_journal *j);
/* Enough was written since the last one. */
DP_PUBLIC bool dp_journal_snapshot_due(const struct dp_journal *j);
/*
 * Looks through one segment that opening did not read, in order, between payments: chain, tree,
 * totals, states, all but the signatures that the anchor makes up for. *more: there is another one.
 * DP_ERR_TAMPERED: a rule is broken there; no INTENT is taken any more, and the next opening reads
 * everything. DP_ERR_IO and DP_ERR_NOMEM: not now; there is more then, from the first one again.
 */
DP_PUBLIC DP_MUST_USE int dp_journal_recheck(struct dp_journal *j, bool *more);
/* A new epoch key (round), a snapshot, and the end of the old key. DP_ERR_STATE, too,
 * while degraded: later. */
DP_PUBLIC DP_MUST_USE int dp_journal_rotate(struct dp_journal *j);
/* CLOSE, checkpoint, epoch key destroyed. The journal takes no more records. Not while degraded. */
DP_PUBLIC DP_MUST_USE int dp_journal_close_round(struct dp_journal *j);
DP_PUBLIC void dp_journal_id(const struct dp_journal *j, uint8_t id[16]);
DP_PUBLIC void dp_journal_totals(const struct dp_journal *j, struct dp_totals *out);
/* True when another payment's records (INTENT to checkpoint and a reversal) still fit on disk. */
DP_PUBLIC bool dp_journal_has_room(const struct dp_journal *j);

/* ---- the side store (docs/PROTOCOL.journal, 7) ---- */

enum dp_side_kind {
    DP_SIDE_PAN = 1,
    DP_SIDE_TRACK2 = 2
};

/* Keeps a sealed blob for tx; commitment is what the chain holds. Durable after the next
 * dp_journal_flush, which flushes the side store first. DP_ERR_DUPLICATE: there is one;
 * DP_ERR_LIMIT, DP_ERR_FULL: it is not kept, and the journal goes on; DP_ERR_UNSUPPORTED: the token
 * cannot wrap. */
DP_PUBLIC DP_MUST_USE int dp_side_put(struct dp_journal *j, const uint8_t tx[16],
                                      enum dp_side_kind kind, struct dp_bytes blob,
                                      uint8_t commitment[32]);
/* DP_ERR_NOT_FOUND: never kept, dropped or shredded. */
DP_PUBLIC DP_MUST_USE int dp_side_get(struct dp_journal *j, const uint8_t tx[16],
                                      enum dp_side_kind kind, uint8_t *out, size_t max, size_t *n);
/* The blob is no longer wanted; it is unreadable after the next shred. */
DP_PUBLIC DP_MUST_USE int dp_side_drop(struct dp_journal *j, const uint8_t tx[16],
                                       enum dp_side_kind kind);
/* An item of the side store of a journal that nobody writes any more. */
struct dp_side_found {
    uint8_t journal[16], tx[16], salt[16];
    uint8_t kind; /* enum dp_side_kind; 3: the one with this salt was dropped; 4: kernel 2, torn */
    uint32_t generation;
    struct dp_bytes wrapped; /* as it stands, under the token's key of that generation */
};
/* Calls each for every whole item, generation by generation, with the journal below the store's
 * root; what it points to lives for the call. Writes nothing and needs no token. DP_ERR_NOT_FOUND,
 * DP_ERR_DUPLICATE, DP_ERR_IO as dp_journal_verify. */
DP_PUBLIC DP_MUST_USE DP_PARSES int
dp_side_look(const struct dp_store *store, const uint8_t journal[16],
             void (*each)(void *user, const struct dp_side_found *found), void *user);
/* What such an item holds, when its token still opens it. DP_ERR_SIGNATURE, DP_ERR_NOT_FOUND: no
 * key of that generation (any more). */
DP_PUBLIC DP_MUST_USE int dp_side_unwrap(struct dp_hsm *hsm, const struct dp_side_found *found,
                                         uint8_t *out, size_t max, size_t *n);
/* How many track 2 are wanted, and how many were dropped but can still be read by whoever has the
 * key: those wait for a shred, also after a restart. */
DP_PUBLIC void dp_side_track2(const struct dp_journal *j, uint32_t *wanted, uint32_t *dropped);
/* Survivors under a new key, SHRED record, old key destroyed. */
DP_PUBLIC DP_MUST_USE int dp_side_shred(struct dp_journal *j);

/* ---- reading and verifying ---- */

enum dp_verdict {
    DP_VERDICT_FRESH = 0,   /* valid, and the head agrees with a token or head file */
    DP_VERDICT_UNKNOWN = 3, /* valid to the last record, freshness unknown */
    DP_VERDICT_ROLLBACK = 4,
    DP_VERDICT_TAMPERED = 5
};

struct dp_verify_options {
    bool has_anchor; /* anchor and identity were read from the token */
    uint8_t anchor[32];
    bool has_head;
    uint64_t head_size;
    uint8_t head_root[32], head_anchor[32], head_journal[16];
    bool has_identity; /* trust exactly this identity key */
    uint8_t identity[65];
    bool has_collector; /* acknowledgements are signed by this key; else nobody looks */
    uint8_t collector[65];
};

struct dp_verify_result {
    enum dp_verdict verdict;
    const char *rule; /* the rule that fired, NULL when valid; static lifetime */
    char words[160];  /* what it means, for people */
    uint32_t segment;
    uint64_t offset, seq; /* of the finding; seq is the record it concerns */
    bool has_seq;
    uint64_t records, checkpoints;
    uint8_t journal[16], root[32], last_leaf[32], anchor[32], identity[65];
    uint64_t signed_size; /* records covered by the last valid signature */
    bool degraded;        /* at its end: the anchor was dead, and nothing after was anchored */
    /* the last signed checkpoint: what a collector acknowledges; size 0: none is signed */
    struct {
        uint64_t size;
        uint8_t root[32], anchor[32];
    } signed_head;
    uint64_t acknowledged; /* records of the last UPLOAD_ACK, 0: none */
    bool torn_tail;
    struct dp_totals totals;
};

/*
 * Reads and verifies the journal below the store's root; each (may be NULL) is called for every
 * record in order, whether or not a later one fails: nothing handed to it is trusted before the
 * verdict. Returns DP_OK with a verdict, or DP_ERR_NOT_FOUND, DP_ERR_IO; DP_ERR_DUPLICATE: there
 * are several journals, and one must be named; DP_ERR_LIMIT, DP_ERR_NOMEM, DP_ERR_CRYPTO.
 */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_journal_verify(const struct dp_store *store,
                                                      const struct dp_verify_options *options,
                                                      dp_journal_each *each, void *user,
                                                      struct dp_verify_result *result);

/* ---- proofs (docs/PROTOCOL.journal, 10) ---- */

#define DP_PROOF_BYTES_MAX 4096 /* of a proof in a file */
#define DP_PROOF_TEXT_MAX  6160 /* characters of one as text, with the end */
#define DP_PROOF_PATH_MAX  64   /* hashes of a path */

enum dp_proof_kind {
    DP_PROOF_INCLUSION = 1,  /* a record stands at this place of the journal */
    DP_PROOF_CONSISTENCY = 2 /* the journal begins with these records, as it did before */
};

/* A proof as a plain value. What is a struct dp_bytes points into what it was read from. */
struct dp_proof {
    enum dp_proof_kind kind;
    uint64_t index;   /* inclusion: the record's seq; consistency: records of the older tree */
    uint64_t size;    /* records that the signed checkpoint covers */
    uint8_t hash[32]; /* inclusion: the record's leaf hash; consistency: the older tree's root */
    unsigned path_n;
    uint8_t path[DP_PROOF_PATH_MAX][32];
    uint8_t kid[8];              /* of the epoch key that signed the checkpoint */
    struct dp_bytes certificate; /* the identity key's word for it (section 6) */
    struct dp_bytes body;        /* the checkpoint's (section 6), and its signature, r || s */
    struct dp_bytes signature;
    /* what the body says */
    uint8_t journal[16], root[32], software[32], body_kid[8];
    uint64_t body_size, wall_ms;
    struct dp_totals totals;
};

/*
 * One proof from the bytes of a file; nothing of it is verified. out lives as long as p.
 * DP_ERR_FORMAT, DP_ERR_UNSUPPORTED (another algorithm or tree), DP_ERR_SHORT, DP_ERR_TRAILING,
 * DP_ERR_DUPLICATE, DP_ERR_LIMIT.
 */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_proof_read(const uint8_t *p, size_t n, struct dp_proof *out);
/* The bytes of a file into out. What the body says is taken from the body. DP_ERR_SPACE. */
DP_PUBLIC DP_MUST_USE int dp_proof_write(const struct dp_proof *proof, uint8_t *out, size_t max,
                                         size_t *n);
/*
 * Verifies the whole chain: one of identities_n trusted identity keys certified the epoch key, that
 * signed the checkpoint, whose root follows from the path and the hash. DP_OK, and only then
 * anything is proven; DP_ERR_SIGNATURE or DP_ERR_MISMATCH with *rule as section 9 names it (static
 * lifetime, else NULL); DP_ERR_CRYPTO. epoch (may be NULL) is the epoch's number.
 */
DP_PUBLIC DP_MUST_USE int dp_proof_check(const struct dp_proof *proof,
                                         const uint8_t (*identities)[65], size_t identities_n,
                                         uint32_t *epoch, const char **rule);
/* DP_OK when the record's bytes are what an inclusion proof is about; DP_ERR_MISMATCH with *rule;
 * DP_ERR_CRYPTO. */
DP_PUBLIC DP_MUST_USE int dp_proof_check_record(const struct dp_proof *proof,
                                                struct dp_bytes record, const char **rule);
/* DP_OK when a head of size records with this root is what a consistency proof begins with;
 * DP_ERR_MISMATCH with *rule. */
DP_PUBLIC DP_MUST_USE int dp_proof_check_head(const struct dp_proof *proof,
                                              const uint8_t journal[16], uint64_t size,
                                              const uint8_t root[32], const char **rule);
/* A proof as text, for a QR code: "DPJ1:" and the bytes in base45 (RFC 9285), terminated.
 * DP_ERR_SPACE; DP_ERR_LIMIT: more than DP_PROOF_BYTES_MAX. */
DP_PUBLIC DP_MUST_USE int dp_proof_to_text(const uint8_t *p, size_t n, char *out, size_t max);
/* The bytes back; line ends behind it are passed over. DP_ERR_FORMAT; DP_ERR_SPACE. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_proof_from_text(const char *text, size_t text_n,
                                                       uint8_t *out, size_t max, size_t *n);

/* Makes proofs of one journal. */
struct dp_prover;

struct dp_prover_config {
    struct dp_store journal; /* borrowed for the prover's life, as is index */
    /* Where the tree's hashes are kept, 64 bytes a record, under this name: never trusted, taken
     * when it is this journal's and reaches far enough, else made anew by verifying all of it. */
    struct dp_store index;
    const char *index_name;
    uint64_t size;   /* the signed checkpoint over so many records; 0: any that covers */
    uint64_t covers; /* at least so many records; no matter when size is given */
};

/*
 * DP_ERR_NOT_FOUND: no journal, or no signed checkpoint as wanted; DP_ERR_TAMPERED: the journal
 * does not verify, no proof is made of it; DP_ERR_DUPLICATE: several journals; DP_ERR_IO,
 * DP_ERR_FULL, DP_ERR_LIMIT, DP_ERR_NOMEM, DP_ERR_CRYPTO. Memory does not grow with the journal.
 */
DP_PUBLIC DP_MUST_USE int dp_prover_open(const struct dp_prover_config *config,
                                         struct dp_prover **out);
DP_PUBLIC void dp_prover_free(struct dp_prover **p);
/* Records that the checkpoint covers, to which all its proofs lead. */
DP_PUBLIC uint64_t dp_prover_size(const struct dp_prover *p);
/* The identity key that the journal names: for people to compare, not to trust. */
DP_PUBLIC void dp_prover_identity(const struct dp_prover *p, uint8_t identity[65]);
/* The proof of record seq as the bytes of a file. It was checked against the checkpoint before it
 * is handed out. DP_ERR_RANGE: the checkpoint does not cover it; DP_ERR_TAMPERED: the index is
 * damaged, remove it; DP_ERR_SPACE, DP_ERR_IO, DP_ERR_CRYPTO. */
DP_PUBLIC DP_MUST_USE int dp_prover_inclusion(struct dp_prover *p, uint64_t seq, uint8_t *out,
                                              size_t max, size_t *n);
/* Likewise that the first older records are those the journal had when it had no more.
 * DP_ERR_RANGE: 0 < older < size is not so. */
DP_PUBLIC DP_MUST_USE int dp_prover_consistency(struct dp_prover *p, uint64_t older, uint8_t *out,
                                                size_t max, size_t *n);
/* The bytes of record seq, as a proof of it is about. DP_ERR_RANGE, DP_ERR_TAMPERED, DP_ERR_SPACE,
 * DP_ERR_IO, DP_ERR_NOMEM, DP_ERR_CRYPTO. */
DP_PUBLIC DP_MUST_USE int dp_prover_record(struct dp_prover *p, uint64_t seq, uint8_t *out,
                                           size_t max, size_t *n);

#ifdef __cplusplus
}
#endif
#endif
