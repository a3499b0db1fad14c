/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is outstanding, and what was sent before: one table of messages, rebuilt from the journal's
 * records. Beside it stands only what a restart may forget: timers, and whether a first copy is
 * known never to have left.
 */
#ifndef DP_ACQUIRER_STATE_H
#define DP_ACQUIRER_STATE_H

#include <doorpay/acquirer.h>
#include <doorpay/iso8583.h>

#include "base/limits.h"

#define STAN_MAX   999999U
#define TX_BUCKETS 4096

/* Key 48 of FORWARDED. */
#define RESULT_ACCEPTED          1
#define RESULT_DECLINED          2
#define RESULT_REVERSAL_ACCEPTED 3
#define RESULT_GIVEN_UP          4

enum message_kind {
    MESSAGE_NONE = 0,
    MESSAGE_REQUEST,  /* 1100 or 1200 */
    MESSAGE_ADVICE,   /* 1220: offline-approved, or the completion of an approved 1100 */
    MESSAGE_DEFERRED, /* a deferred payment's wish to be asked for; it has no STAN of its own */
    MESSAGE_REVERSAL  /* 1420 */
};

enum message_state {
    STATE_QUEUED = 1, /* to be sent until answered */
    STATE_OPEN,       /* a request in flight: nothing in the journal has closed it */
    STATE_AUTHORISED, /* an approved 1100; its completion captures */
    STATE_CAPTURED,
    STATE_CLOSED /* declined, void, taken back before it was known, or a reversal accepted */
};

struct message {
    /* of the records */
    uint8_t kind, state; /* enum message_kind, enum message_state */
    bool reversed;       /* a REVERSAL names it */
    bool counted;        /* in its batch's totals */
    uint8_t tx[16];
    uint32_t stan, mti, function, msg_reason, batch, business_date, interface, cvm;
    enum dp_mode mode;
    char tid[9], mid[16], rrn[13], de7[11], de12[13], auth_code[7], parcel[36];
    struct dp_money amount;
    int64_t wall_ms;
    uint64_t deferred_until, order; /* order: age, in records */
    struct dp_iso8583_original original;
    uint8_t emv[DP_JOURNAL_EMV_MAX];
    uint16_t emv_n;
    /* of this life only */
    bool live;          /* filled here: it is known what became of it */
    bool may_have_left; /* so the next copy is a repeat, and a VOID no longer enough */
    bool awaiting;      /* packed, and no answer taken since */
    uint32_t sends;     /* copies that left, or may have */
    uint32_t tries;     /* since the last kick */
    uint32_t exponent;
    int64_t due_ms;
    int32_t next_tx; /* hash chain, newest first; -1 ends */
};

/* Whose a message is, or a batch: one terminal, one merchant, one currency. */
struct owner {
    char tid[9], mid[16];
    uint16_t currency; /* 0: nobody's yet */
};

/* A message that no record stands for before its answer: 1520, 1804. */
struct asked {
    bool waiting;
    uint32_t mti, stan;
    char tid[9], de12[13], rrn[13];
};

struct dp_acquirer {
    struct dp_acquirer_config config;
    const struct dp_iso8583_layout *layout;
    struct message *messages; /* DP_ACQUIRER_MESSAGES_MAX */
    uint32_t n, cursor;       /* cursor: where the next eviction looks first */
    int32_t by_tx[TX_BUCKETS];
    uint32_t stan;       /* the last one used */
    uint32_t fresh_stan; /* filled, its record not seen yet; 0: none */
    uint64_t order;
    struct dp_acquirer_batch batch;
    struct owner batch_owner; /* of what is in its totals */
    struct asked totals, network;
};

/* ---- state.c ---- */
/* Of tx under stan: the sale (the completion before its 1100), or the reversal. NULL: none. */
struct message *find_sale(struct dp_acquirer *a, const uint8_t tx[16], uint32_t stan);
struct message *find_reversal(struct dp_acquirer *a, const uint8_t tx[16], uint32_t stan);
/* The message that a packed MTI (a repeat's too) of tx stands for. */
struct message *find_packed(struct dp_acquirer *a, const uint8_t tx[16], uint32_t stan,
                            uint32_t mti);
/* The deferred payment of tx that waits, or NULL. */
struct message *find_deferred(struct dp_acquirer *a, const uint8_t tx[16]);
/* Messages of tx, newest first: first with NULL. */
struct message *next_of_tx(struct dp_acquirer *a, const uint8_t tx[16], const struct message *m);
const struct message *next_of_tx_const(const struct dp_acquirer *a, const uint8_t tx[16],
                                       const struct message *m);

/* Into its transaction's chain, as the newest. */
void chain_message(struct dp_acquirer *a, int32_t i);

/* ---- fill.c ---- */
/* The next STAN, and date and time of it: RRN, DE7, DE12. rrn may be NULL. */
void number_message(struct dp_acquirer *a, uint32_t *stan, char rrn[13], char de7[11],
                    char de12[13]);

/* ---- pack.c ---- */
/* Adds KSN and MAC, and packs. */
int seal_message(struct dp_acquirer *a, struct dp_iso8583_message *m, uint8_t *out, size_t max,
                 size_t *n, uint8_t *masked);
/* SHA-256 of what a MAC covers, then the MAC under ksn. */
int mac_of(struct dp_acquirer *a, const uint8_t ksn[DP_KSN_BYTES], bool answer,
           struct dp_bytes covered, uint8_t mac[16]);

/* ---- queue.c ---- */
bool is_queued(const struct message *m);

#endif
