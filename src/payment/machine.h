/* SPDX-License-Identifier: Apache-2.0 */
/* The payment room's own: the machine's state, and the index of payments rebuilt from the journal.
 */
#ifndef DP_PAYMENT_MACHINE_H
#define DP_PAYMENT_MACHINE_H

#include <doorpay/acquirer.h>
#include <doorpay/payment.h>

#include "base/limits.h"
#include "base/reader.h"
#include "base/writer.h"

#define SETTLED_IN_BALANCE "500" /* action code of a SETTLED that ends the round */

/* One payment or reversal as the journal tells it. */
struct entry {
    uint8_t tx[16], original_tx[16], fingerprint[32], card_hash[16], cryptogram[8];
    char sale_id[21], service_id[11], poi_id[41], sale_tx[65], parcel[36];
    struct dp_money amount;
    char rrn[13], auth_code[7], action_code[4], bin[7], last4[5], par[30];
    uint32_t stan, batch, business_date, cvm, interface;
    uint16_t atc;
    uint8_t aid[16], aid_n;
    enum dp_mode mode; /* NONE until OUTCOME */
    enum dp_reason reason;
    enum dp_forward_state forward;
    bool done, reversed, is_reversal, pending_signature, has_card_hash, degraded;
    bool authorised;    /* deferred: the issuer has answered, a completion is still to come */
    uint32_t open_stan; /* a REQUESTED that nothing has closed yet; 0: none */
    int64_t wall_ms;
    uint64_t headroom_amount, headroom_count;
    uint32_t round;
    uint64_t seq;                  /* of the record that says the most of it */
    uint64_t order;                /* rises: of two with one id the newer one is found */
    int32_t next_tx, next_service; /* hash chains; -1 ends */
};

/* Payments that nothing is pending for, packed, oldest first (older.c). */
struct older_key {
    uint32_t at, n; /* bytes of it; n 0: it is at hand again */
    uint32_t tx, service, sale, parcel, card;
};
struct older {
    uint8_t *bytes;         /* DP_PAYMENT_OLDER_BYTES */
    struct older_key *keys; /* DP_PAYMENT_OLDER_MAX */
    uint32_t used, n;
};

#define INDEX_BUCKETS 4096

struct index {
    struct entry *entries;
    uint32_t max, n, cursor; /* cursor: where the next eviction looks first */
    uint64_t order;
    struct older older;
    int32_t by_tx[INDEX_BUCKETS], by_service[INDEX_BUCKETS];
};

/* What the round has used of its ceilings: offline and deferred since the last settled batch or
 * epoch. */
struct round {
    uint32_t number;
    uint64_t offline_n, offline_amount, deferred_n, deferred_amount;
    int64_t synced_wall_ms; /* last verified answer of the acquirer; 0: never */
};

enum door_state {
    DOOR_IDLE = 0,
    DOOR_TAP,       /* INTENT durable, the card process works */
    DOOR_QUEUED,    /* the card wants online, another message is under way on the link */
    DOOR_ONLINE,    /* REQUESTED durable, waiting for the acquirer */
    DOOR_COMPLETING /* the acquirer's word (or its absence) is with the card */
};

#define WAITERS_MAX 4

/* The payment at the door. */
struct door {
    enum door_state state;
    struct dp_pay_request request;
    uint64_t waiters[WAITERS_MAX];
    unsigned waiters_n;
    uint8_t tx[16];
    struct dp_emv_transaction transaction;
    bool cancelled, seen, policy_offline, policy_deferred, asked_online, answered, issuer_approved;
    bool taken_back; /* what was asked is closed by a REVERSAL: no OUTCOME may name its STAN */
    enum dp_reason policy_reason; /* why the second policy step said no; NONE: it did not */
    struct dp_card_seen card;     /* as of the second policy step */
    struct dp_card_online online; /* QUEUED: what is to be asked */
    struct dp_acquirer_answer answer;
    struct dp_record requested;
    uint32_t link_id;
    int64_t deadline_ms;
};

/* The one message of store-and-forward, totals or network that waits for its answer. */
struct pending {
    bool busy;
    uint32_t link_id;
    int64_t deadline_ms;
    struct dp_acquirer_job job; /* kind NONE: totals or network */
    bool is_totals;
    struct dp_record settled;
    uint64_t request; /* of the settlement */
};

struct dp_payment {
    struct dp_payment_config config;
    struct dp_journal *journal;
    int journal_err; /* why no new payment is taken; DP_OK: it may */
    struct dp_acquirer *acquirer;
    struct index index;
    struct round round;
    struct door door;
    struct pending pending;
    struct {
        int64_t latest_wall_ms, latest_mono_ms, open_wall_ms, open_mono_ms;
        int64_t journal_wall_ms; /* latest_wall_ms as reading the journal again would give it */
    } time;                      /* clock.c */
    bool link_up, reader_ok, held, stopped;
    bool key_dead;             /* nothing can be signed: status and VOID alone */
    uint64_t signed_size;      /* then: records that a signature covers */
    bool unread;               /* records that opening from a snapshot has not read */
    int64_t unread_again_ms;   /* when they are tried again */
    bool degraded;             /* the token's anchor is dead */
    uint64_t degraded_n;       /* payments approved since it died */
    int64_t anchor_again_ms;   /* when it is tried again */
    bool archiving;            /* there may be segments that the collector has */
    bool round_over;           /* settled in balance, and its epoch key is still there */
    bool shred_failed;         /* tried again at the next start or settlement */
    uint8_t params_digest[32]; /* of the PARAMS record seen last */
    int begin_err;             /* of the acquirer's making, while the journal opens */
    uint32_t next_link_id;
    uint32_t sequence; /* 9F41 */
    uint8_t journal_id[16];
    uint8_t packed[DP_ISO8583_MESSAGE_MAX], masked[DP_ISO8583_MESSAGE_MAX];
};

/* ---- index.c ---- */
int index_new(struct index *x, uint32_t max);
void index_free(struct index *x);
struct entry *index_by_tx(struct index *x, const uint8_t tx[16]);
struct entry *index_by_service(struct index *x, const char *sale_id, const char *service_id);
/* Does a payment that was begun in record from or later, and has no end, bear another's ServiceID?
 */
bool index_is_begun_twice(const struct index *x, uint64_t from);
/* Every record goes through here: the index and the round are a function of the journal. */
void index_see(struct index *x, struct round *round, const struct dp_record *r);
/* A parcel's payment: one that is paid and not undone, else the last one; NULL. */
const struct entry *index_by_parcel(struct index *x, const char *parcel);
/* There is an approved, unreversed payment of a sale's transaction. */
bool index_is_paid(const struct index *x, const char *sale_id, const char *sale_tx);
/* The chains, of entries that were put there otherwise. */
int index_chain(struct index *x);

/* ---- older.c ---- */
int older_new(struct older *o);
void older_free(struct older *o);
/* When there is no place the oldest quarter is forgotten. */
void older_put(struct older *o, const struct entry *e);
enum older_by {
    OLDER_TX,
    OLDER_SERVICE, /* sale_id and service_id */
    OLDER_SALE,    /* sale_id and sale_tx */
    OLDER_PARCEL,
    OLDER_CARD
};
/* The newest one before *i (from o->n down) that is like this one, into e; false: there is none. */
bool older_next(const struct older *o, enum older_by by, const struct entry *like, uint32_t *i,
                struct entry *e);
#define ENTRY_BYTES_MAX 640
void entry_write(struct dp_writer *w, const struct entry *e);
DP_PARSES void entry_read(struct dp_reader *r, struct entry *e);

/* ---- state.c: what a snapshot of the journal keeps for this room ---- */
extern const struct dp_journal_state_ops payment_state_ops;

/* ---- payment.c ---- */
/* Of the journal p->journal_id. */
int payment_make_acquirer(struct dp_payment *p);
int64_t mono(const struct dp_payment *p);
int64_t wall(const struct dp_payment *p);
/* A record of tx with what every record of this terminal has. */
void record_begin(const struct dp_payment *p, enum dp_record_type type, const uint8_t tx[16],
                  struct dp_record *r);
/* Appends; the index and the acquirer see it. An error is fail-stop, noted in p->stopped. */
int keep(struct dp_payment *p, struct dp_record *r);
int keep_durable(struct dp_payment *p, struct dp_record *r); /* and flush */
int bind_all(struct dp_payment *p);                          /* checkpoint */
/* A payment that was bound, and not by the anchor. */
void flag_degraded(struct dp_payment *p, const uint8_t tx[16]);
/* The round is settled: its epoch key is destroyed, and another signs the next one. An error is
 * fail-stop; the next start makes up for it. */
int end_round(struct dp_payment *p);
/* Sends p->packed; p->masked goes to the wire log. The link's number for it in *id; DP_ERR_GONE:
 * there is no link process, nothing left. */
int send_packed(struct dp_payment *p, size_t n, uint32_t *id);

/* What has become of a payment: memory may be ahead of what is durable; and a journal that is
 * refused may lack the end, or say what somebody wrote into it. Dead keys are told of entry by
 * entry. */
bool nobody_knows(const struct dp_payment *p);
/* Every record of the journal, at start; user: the machine. */
void see_at_open(void *user, const struct dp_record *r);
void journal_config(const struct dp_payment *p, struct dp_journal_config *c);
/* A ServiceID that has an answer begins no other payment (A26): an INTENT behind what is signed
 * that would change one was written by somebody else. True: there is one, and the journal is
 * left as it is and closed. */
bool refuse_forged(struct dp_payment *p, uint64_t signed_size);

/* ---- keyless.c ---- */
/* Is it the token that failed? */
bool keyless_is(int err);
/* The journal as far as it can be had without a key; what was read of it before is forgotten.
 * DP_ERR_NOMEM. */
int keyless_open(struct dp_payment *p);
/* A sale that nothing has left of, so that a VOID undoes it. */
bool keyless_may_void(const struct dp_payment *p, const struct entry *sale);
/* What cannot be vouched for is not said to be paid. */
void keyless_doubt(const struct dp_payment *p, const struct entry *e, struct dp_pay_result *out);

/* ---- clock.c ---- */
void clock_begin(struct dp_payment *p); /* before the journal is read */
void clock_see(struct dp_payment *p, const struct dp_record *r, bool synced);
/* The wall clock's time, or the later one that the journal and the time since prove: a clock set
 * back makes nothing young again. */
int64_t clock_best(const struct dp_payment *p);
/* It says less than the journal proves. How long the device was off, nobody knows then. */
bool clock_set_back(const struct dp_payment *p);
/* Set forward since this process began: what runs out by it may not have run out. */
bool clock_jumped(const struct dp_payment *p);

/* ---- policy.c ---- */
/* Payments that may still be approved while the token's anchor is dead. */
uint64_t degraded_left(const struct dp_payment *p);
void headroom(const struct dp_payment *p, struct dp_headroom *out);
/* May this amount be approved without a link (deferred: kept for later)? NONE, or the limit in the
 * way. */
enum dp_reason policy_offline(const struct dp_payment *p, int64_t amount);
enum dp_reason policy_deferred(const struct dp_payment *p, int64_t amount);
/* The second policy step. */
enum dp_reason policy_card(const struct dp_payment *p, const struct dp_card_seen *seen,
                           int64_t amount, struct dp_emv_policy_answer *answer);
/* Same cryptogram again, or an ATC that did not rise, for a card and application that this journal
 * knows (A16). */
bool policy_replayed(const struct dp_payment *p, const uint8_t card_hash[16],
                     const struct dp_emv_summary *s);

/* ---- claims.c: what the card process says, held against what the vault knows ---- */
bool claims_clean(const uint8_t *emv, size_t n);
bool claims_amount(const struct dp_payment *p, const uint8_t *emv, size_t n);
bool claims_same_card(const struct dp_payment *p, const struct dp_emv_summary *s);
bool claims_offline(const struct dp_payment *p, const struct dp_card_outcome *o);
bool claims_deferred(const struct dp_payment *p, const struct dp_card_outcome *o);
bool claims_online(const struct dp_payment *p, const struct dp_card_outcome *o);
void claims_cryptogram(const uint8_t *emv, size_t n, uint8_t cryptogram[8], uint16_t *atc);
/* Makes of an outcome what may stand in a record. */
void claims_mend(struct dp_card_outcome *o);

/* ---- result.c ---- */
/* Deferred, and in the end the issuer said no or could not be asked: not paid. */
bool lost_later(const struct entry *e);
void result_of(const struct dp_payment *p, const struct entry *e, struct dp_pay_result *out);
void refuse(struct dp_payment *p, uint64_t request, enum dp_reason reason);
enum dp_reason reason_of_emv(enum dp_emv_outcome outcome, enum dp_emv_reason reason);

/* ---- door.c ---- */
void door_answer(struct dp_payment *p, const struct dp_acquirer_answer *answer);
void door_no_answer(struct dp_payment *p);
void door_link_lost(struct dp_payment *p);
void door_tick(struct dp_payment *p, int64_t now, int64_t *wait);

/* ---- carddata.c: the side store and sealed data for a message ---- */
struct message_card {
    struct dp_acquirer_card card;
    uint8_t pan_blob[DP_SEALED_MAX], track2_blob[DP_SEALED_MAX], track2[19];
};
/* From what the card process sealed; in the clear profile the token opens it. Wipe with
 * message_card_wipe. */
int message_card_from(struct dp_payment *p, const uint8_t tx[16],
                      const struct dp_card_sealed *sealed, struct message_card *out);
/* From the side store; sale is of the transaction and has the TID it was sealed under. */
int message_card_stored(struct dp_payment *p, const struct dp_record *sale, bool track2,
                        struct message_card *out);
void message_card_wipe(struct message_card *c);
/* Nothing of tx's card is needed any more: unreadable after the next shred. A failure is fail-stop.
 */
void card_data_drop(struct dp_payment *p, const uint8_t tx[16]);
/* ... of its track 2: its authorisation is answered. */
void track2_drop(struct dp_payment *p, const uint8_t tx[16]);

/* ---- forward.c ---- */
void forward_answer(struct dp_payment *p, const struct dp_acquirer_answer *answer);
void forward_failed(struct dp_payment *p, uint32_t link_id);
/* Card data of payments that nothing is pending for, left by a crash between answer and drop. */
void forward_drop_leftovers(struct dp_payment *p);
void forward_tick(struct dp_payment *p, int64_t now, int64_t *wait);
void forward_link_up(struct dp_payment *p);

/* ---- reverse.c ---- */
/* REVERSAL of tx's message stan into the batch in memory; the caller binds or flushes. */
int reverse_stan(struct dp_payment *p, const uint8_t tx[16], uint32_t stan, uint32_t msg_reason,
                 enum dp_reason reason);

#endif
