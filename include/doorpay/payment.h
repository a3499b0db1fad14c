/* SPDX-License-Identifier: Apache-2.0 */
/*
 * THE payment: one state machine that ties card, journal and acquirer together, and the offline
 * policy. It does no input or output of its own but through the journal's store: everything reaches
 * it as an event, and leaves it through struct dp_payment_ops. All structures here are plain values
 * of fixed size, because they cross process borders as they are.
 */
#ifndef DOORPAY_PAYMENT_H
#define DOORPAY_PAYMENT_H

#include <doorpay/base.h>
#include <doorpay/emv.h>
#include <doorpay/hsm.h>
#include <doorpay/journal.h>
#include <doorpay/params.h>
#include <doorpay/words.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Why a payment ended as it did, or was refused; journalled as a number (docs/PROTOCOL.journal, key
 * 41): values never change. */
enum dp_reason {
    DP_REASON_NONE = 0,
    DP_REASON_CARD_DECLINED = 1,
    DP_REASON_TERMINAL_DECLINED = 2,
    DP_REASON_ISSUER_DECLINED = 3,
    DP_REASON_SOFT_DECLINE = 4, /* authenticate: insert, phone, or pay by link */
    DP_REASON_NO_LINK = 5,
    DP_REASON_NOT_AUTHENTICATED = 6,
    DP_REASON_LIMIT_PAYMENT = 7,
    DP_REASON_LIMIT_ROUND = 8,
    DP_REASON_LIMIT_CARD = 9,
    DP_REASON_LIMIT_SYNC = 10,
    DP_REASON_EXCEPTION_LIST = 11,
    DP_REASON_BIN_AID = 12,
    DP_REASON_EXPIRED_CARD = 13,
    DP_REASON_CVM = 14,
    DP_REASON_NO_APPLICATION = 15,
    DP_REASON_CARD_BLOCKED = 16,
    DP_REASON_CARD_DATA = 17,
    DP_REASON_CARD_GONE = 18,
    DP_REASON_CARD_ERROR = 19,
    DP_REASON_READER = 20,
    DP_REASON_CANCELLED = 21,
    DP_REASON_TIMEOUT = 22,            /* nobody presented a card */
    DP_REASON_INTERRUPTED = 23,        /* power or process lost in the middle */
    DP_REASON_NO_ANSWER = 24,          /* the acquirer did not answer; reversed */
    DP_REASON_BAD_ANSWER = 25,         /* wrong MAC or not matching; reversed */
    DP_REASON_CARD_REFUSED_AFTER = 26, /* card refused after the issuer approved; reversed */
    DP_REASON_INCONSISTENT = 27,       /* what the card process claimed does not hold */
    DP_REASON_OTHER_INTERFACE = 28,
    DP_REASON_SEE_PHONE = 29,
    DP_REASON_REPLAY = 30,           /* same cryptogram or falling ATC */
    DP_REASON_DEFERRED_EXPIRED = 31, /* deferred, and the time to ask the issuer is over */
    DP_REASON_CHOICE = 32,           /* the customer must choose the application: ask again */
    DP_REASON_REFERRAL = 33,         /* the issuer wants a call: here a decline */
    /* refused before INTENT: nothing was begun, nothing is kept */
    DP_REASON_BUSY = 40,
    DP_REASON_SERVICE_ID_REUSED = 41, /* same ServiceID, other request */
    DP_REASON_ALREADY_PAID = 42,
    DP_REASON_CURRENCY = 43,
    DP_REASON_AMOUNT = 44,
    DP_REASON_PARAMS = 45,  /* no valid parameter set */
    DP_REASON_JOURNAL = 46, /* no new payment: journal damaged, rolled back or full */
    DP_REASON_NOT_FOUND = 47,
    DP_REASON_NOT_ALLOWED = 48,
    DP_REASON_ALREADY_REVERSED = 49,
    DP_REASON_PARCEL = 50,
    DP_REASON_UNKNOWN = 51,   /* the journal could not be written: ask status */
    DP_REASON_KEY_STORE = 52, /* the token's keys are dead: nothing can be signed */
    DP_REASON_DEGRADED = 53   /* its anchor is dead, and the payments left for that are used up */
};

/* Short name for logs and JSON ("limit_round"), and what the postal worker reads; never NULL. */
DP_PUBLIC const char *dp_reason_name(enum dp_reason reason);
DP_PUBLIC const char *dp_reason_words(enum dp_reason reason);
DP_PUBLIC const char *dp_reason_words_in(enum dp_reason reason, enum dp_language language);

enum dp_permission {
    DP_ALLOW = 0,
    DP_FORBID = 1
};

/* The sale asks. Texts are terminated; unused bytes are zero. */
struct dp_pay_request {
    char sale_id[21], service_id[11], poi_id[41], sale_tx[65], parcel[36], manifest[36], agent[36];
    uint8_t fingerprint[32]; /* SHA-256 of what makes the request this request */
    struct dp_money amount;
    enum dp_permission offline, deferred;
    /* EU 2015/751 art. 8: the application (or its first 5 bytes and more) the customer chose; aid_n
     * 0: none. ask_choice: a card with several of ours, and none chosen, is to be asked about */
    uint8_t aid[16];
    uint8_t aid_n;
    bool ask_choice;
};

struct dp_reverse_request {
    char sale_id[21], service_id[11], poi_id[41];
    uint8_t fingerprint[32];
    uint8_t original_tx[16];
    int64_t amount; /* 0: the whole; else it must be the whole */
};

/* By transaction id, or by (sale_id, service_id), or without either by parcel: the payment that
 * stands for it, else the last one tried. */
struct dp_status_query {
    bool by_tx;
    uint8_t tx[16];
    char sale_id[21], service_id[11], parcel[36];
};

enum dp_pay_state {
    DP_PAY_REFUSED = 1, /* not begun: reason says why */
    DP_PAY_IN_PROGRESS = 2,
    DP_PAY_APPROVED = 3,
    DP_PAY_DECLINED = 4,
    DP_PAY_NOT_FOUND = 5,
    DP_PAY_UNKNOWN = 6 /* ask status */
};

/* Where an approved payment stands with the acquirer. */
enum dp_forward_state {
    DP_FORWARD_NONE = 0,    /* nothing to forward */
    DP_FORWARD_PENDING = 1, /* not sent or not answered yet */
    DP_FORWARD_ACCEPTED = 2,
    DP_FORWARD_DECLINED = 3, /* a deferred authorisation was declined later: not paid */
    DP_FORWARD_GIVEN_UP = 4  /* ... or could not be asked for in its time: not paid */
};

struct dp_headroom {
    int64_t offline_amount, deferred_amount; /* left, minor units */
    uint32_t offline_count, deferred_count;  /* left */
    int64_t sync_left_s;                     /* until the last sync is too old */
    uint32_t unsent_count;
    int64_t unsent_amount;
    int64_t oldest_unsent_ms; /* wall time of the oldest; 0: none */
};

/* The answer to the sale, always built from the journal's records. */
struct dp_pay_result {
    enum dp_pay_state state;
    enum dp_reason reason;
    enum dp_mode mode;
    enum dp_forward_state forward;
    bool reversed, is_reversal, pending_signature;
    bool degraded; /* made while the token's anchor was dead: docs/PROTOCOL.journal, 6 */
    char sale_id[21], service_id[11], poi_id[41], sale_tx[65], parcel[36];
    uint8_t tx[16], original_tx[16], journal[16];
    struct dp_money amount;
    char tid[9], mid[16], rrn[13], auth_code[7], action_code[4], bin[7], last4[5], par[30],
        merchant_name[41];
    uint32_t stan, batch, business_date, cvm;
    enum dp_card_interface interface;
    uint8_t aid[16];
    uint8_t aid_n;
    int64_t wall_ms;
    struct dp_headroom headroom;
};

/* What the card process says for the screen, with what is known of the card for people. */
struct dp_card_ui {
    enum dp_emv_ui ui;
    char languages[9], application[33]; /* see struct dp_emv_summary; empty: not known */
    uint8_t offers_n;                   /* with DP_EMV_UI_CHOOSE */
    struct dp_emv_offer offers[DP_EMV_OFFERS_MAX];
};

/* For the app's screen. */
struct dp_pay_event {
    enum dp_emv_ui ui;
    char service_id[11];
    char languages[9], application[33];
    uint8_t offers_n;
    struct dp_emv_offer offers[DP_EMV_OFFERS_MAX];
    bool degraded; /* the payment will be flagged */
};

struct dp_diagnosis {
    bool degraded;          /* the token's anchor is dead: */
    uint64_t degraded_left; /* so many payments are left */
    bool journal_ok, params_ok, link_up, reader_ok, busy;
    uint64_t journal_records, params_version;
    uint8_t journal[16];
    char tid[9], mid[16], merchant_name[41];
    uint16_t currency;
    uint8_t exponent;
    uint32_t batch, business_date;
    struct dp_headroom headroom;
    char trouble[96]; /* what is wrong, for people; empty when all is well */
};

struct dp_till_totals {
    uint32_t batch, business_date;
    struct dp_money money; /* currency and exponent of the amounts */
    struct dp_totals totals;
    /* of the open batch */
    uint64_t sales_n, sales_amount, reversals_n, reversals_amount, pending_n, pending_amount;
};

enum dp_forward_command {
    DP_FORWARD_NOW = 1,
    DP_FORWARD_HOLD = 2,
    DP_FORWARD_RELEASE = 3
};

struct dp_settle_result {
    bool asked; /* false: reason says why not (unsent transactions, no link) */
    enum dp_reason reason;
    bool in_balance;
    uint32_t batch;
    uint64_t sales_n, sales_amount, reversals_n, reversals_amount;
    char verdict[4];
};

#define DP_ACKNOWLEDGEMENT_MAX 512

/* What came of an acknowledgement of the collector's (docs/PROTOCOL.journal, 11). */
struct dp_ack_result {
    bool taken; /* journalled and bound, now or before */
    char words[160];
};

/* ---- with the card process ---- */

/* One tap. The card process has its terminal data from before (struct dp_card_terminal and what
 * follows it). */
struct dp_card_order {
    struct dp_emv_transaction transaction;
    uint8_t journal[16], tx[16];
    uint8_t recipient[65];            /* whom card data is sealed to */
    uint8_t hash_key[32];             /* per-card counters and exception list */
    int32_t wait_ms;                  /* for a card to be presented */
    enum dp_card_interface interface; /* 0: whichever comes */
    bool track2_online;               /* the acquirer wants track 2 with a request, in clear */
};

/* Terminal data: then aids_n AIDs and ca_keys_n keys follow as messages of their own. */
struct dp_card_terminal {
    struct dp_emv_terminal terminal; /* its pointers are not used */
    uint32_t aids_n, ca_keys_n, revoked_n;
    struct dp_emv_revoked revoked[128];
};

/* The card is known: the second policy step. */
struct dp_card_seen {
    struct dp_emv_summary summary;
    char bin8[9];
    uint8_t card_hash[16];
};

struct dp_card_sealed {
    uint16_t pan_n, track2_n; /* 0: none */
    uint8_t pan[256], track2[256];
};

/* The card wants to go online: first cryptogram. */
struct dp_card_online {
    struct dp_emv_summary summary;
    uint8_t emv[512];
    uint16_t emv_n;
    struct dp_card_sealed sealed;
};

struct dp_card_outcome {
    enum dp_emv_outcome outcome;
    enum dp_emv_reason reason;
    char words[96];
    struct dp_emv_summary summary;
    uint8_t card_hash[16];
    uint8_t emv[512];
    uint16_t emv_n;
    struct dp_card_sealed sealed;
    bool went_online;
};

/* ---- salvage: what a device leaves that comes back dead, or not at all ---- */

struct dp_salvage;

/* How a payment stands, by the journal's word alone; values of dp_salvage_stage_name. */
#define DP_SALVAGE_STAGES 18
DP_PUBLIC const char *dp_salvage_stage_name(unsigned stage); /* "offline_owed"; never NULL */

enum dp_salvage_kind {
    DP_SALVAGE_ADVICE = 1,      /* 1220 of an offline approval */
    DP_SALVAGE_COMPLETION = 2,  /* 1220 of an approved 1100 */
    DP_SALVAGE_DEFERRED = 3,    /* to be asked for, under a STAN of the asker's own */
    DP_SALVAGE_REVERSAL = 4,    /* 1420 that the device decided */
    DP_SALVAGE_REVERSAL_DUE = 5 /* 1420 that it had decided at its next start: made here */
};
DP_PUBLIC const char *dp_salvage_kind_name(enum dp_salvage_kind kind);

/* A message that the device owed. */
struct dp_salvage_item {
    enum dp_salvage_kind kind;
    struct dp_record message; /* dp_acquirer_pack makes the device's own message of it */
    uint32_t repeat;          /* 0: it cannot have left before */
    struct dp_record outcome; /* the payment's: what is known of the card; type 0: it has none */
    bool hold;                /* a person decides: dp_salvage_describe, dp_salvage_doubt */
};

/* sales: at least as many as the journal has INTENTs and reversals. DP_ERR_NOMEM. */
DP_PUBLIC DP_MUST_USE int dp_salvage_new(uint32_t sales, struct dp_salvage **out);
DP_PUBLIC void dp_salvage_free(struct dp_salvage **s);
/* Every record that a valid signature covers, in order. */
DP_PUBLIC void dp_salvage_see(struct dp_salvage *s, const struct dp_record *record);
/* ... and there are no more. Closes what was in flight as the device would have at its next start.
 * DP_ERR_INTERNAL: the payments do not add up to the journal's totals. */
DP_PUBLIC DP_MUST_USE int dp_salvage_end(struct dp_salvage *s);
/* Once more every record, and then those that no signature covers (verified false): what these
 * speak of is held. */
DP_PUBLIC void dp_salvage_describe(struct dp_salvage *s, const struct dp_record *record,
                                   bool verified);
/* More was journalled than could be verified or read. What bears its own number is known to the
 * acquirer if it came before; a deferred payment is asked for under a new one, and may have been
 * answered there: it is held. */
DP_PUBLIC void dp_salvage_doubt(struct dp_salvage *s);
/* What is owed, in the order it may be sent; NULL: no more. */
DP_PUBLIC const struct dp_salvage_item *dp_salvage_item(const struct dp_salvage *s, uint32_t i);
/* Payments and their sum in minor units, by stage. */
DP_PUBLIC void dp_salvage_stage(const struct dp_salvage *s, unsigned stage, uint64_t *n,
                                uint64_t *amount);
/* The totals they add up to. */
DP_PUBLIC void dp_salvage_totals(const struct dp_salvage *s, struct dp_totals *out);

/* ---- the machine ---- */

struct dp_payment;

struct dp_payment_ops {
    void *ctx;
    int (*card_order)(void *ctx, const struct dp_card_order *order);
    int (*card_policy)(void *ctx, const struct dp_emv_policy_answer *answer);
    int (*card_online)(void *ctx, const struct dp_emv_online_answer *answer);
    int (*card_cancel)(void *ctx);
    /* It did not keep to its time: end it, so that nothing it still says meets the next payment. */
    void (*card_end)(void *ctx);
    /* One packed message to the acquirer; id comes back with what became of it. */
    int (*link_send)(void *ctx, uint32_t id, const uint8_t *p, size_t n);
    /* One message, masked, for the wire log; out: to the acquirer. */
    void (*wire)(void *ctx, bool out, const uint8_t *p, size_t n);
    void (*result)(void *ctx, uint64_t request, const struct dp_pay_result *result);
    void (*settled)(void *ctx, uint64_t request, const struct dp_settle_result *result);
    void (*event)(void *ctx, const struct dp_pay_event *event);
};

struct dp_payment_config {
    struct dp_store store;
    struct dp_hsm *hsm;             /* borrowed */
    const struct dp_params *params; /* borrowed; NULL: none valid, no payment is taken */
    const struct dp_clock *clock;
    const struct dp_random *random;
    struct dp_payment_ops ops;
    uint8_t software_digest[32];
    uint64_t reserve_bytes;
};

/*
 * Opens the journal, rebuilds every payment from its records and closes those that were in flight.
 * A journal that does not verify gives a machine that answers status and refuses payments
 * (dp_payment_diagnose says why); < 0 only when not even that is possible.
 */
DP_PUBLIC DP_MUST_USE int dp_payment_open(const struct dp_payment_config *config,
                                          struct dp_payment **out);
DP_PUBLIC void dp_payment_free(struct dp_payment **p);

/* From the sale. Each answer comes through ops, at once or later, exactly once per call. request is
 * the caller's number for it. */
DP_PUBLIC void dp_payment_pay(struct dp_payment *p, uint64_t request,
                              const struct dp_pay_request *pay);
DP_PUBLIC void dp_payment_reverse(struct dp_payment *p, uint64_t request,
                                  const struct dp_reverse_request *reverse);
DP_PUBLIC void dp_payment_status(struct dp_payment *p, uint64_t request,
                                 const struct dp_status_query *query);
/* Ends the payment in flight if it can still be ended; its own answer says how it went. False: none
 * such. */
DP_PUBLIC bool dp_payment_abort(struct dp_payment *p, const char *sale_id, const char *service_id);
DP_PUBLIC void dp_payment_diagnose(struct dp_payment *p, struct dp_diagnosis *out);
DP_PUBLIC void dp_payment_totals(struct dp_payment *p, struct dp_till_totals *out);
DP_PUBLIC void dp_payment_settle(struct dp_payment *p, uint64_t request);
DP_PUBLIC void dp_payment_forward(struct dp_payment *p, enum dp_forward_command command);
/* The collector's word that it has the journal up to a checkpoint. Not while a payment is under
 * way. What it has may be compressed from then on, between payments, where the parameters say so.
 */
DP_PUBLIC void dp_payment_acknowledge(struct dp_payment *p, const uint8_t *ack, size_t n,
                                      struct dp_ack_result *out);

/* From the card process. reader_ok: it is there and has a reader. */
DP_PUBLIC void dp_payment_card_ready(struct dp_payment *p, bool reader_ok);
DP_PUBLIC void dp_payment_card_ui(struct dp_payment *p, const struct dp_card_ui *ui);
DP_PUBLIC void dp_payment_card_seen(struct dp_payment *p, const struct dp_card_seen *seen);
DP_PUBLIC void dp_payment_card_wants_online(struct dp_payment *p,
                                            const struct dp_card_online *online);
DP_PUBLIC void dp_payment_card_ended(struct dp_payment *p, const struct dp_card_outcome *outcome);
DP_PUBLIC void dp_payment_card_lost(struct dp_payment *p); /* the process died */

/* From the link. */
DP_PUBLIC void dp_payment_link_up(struct dp_payment *p, bool up);
DP_PUBLIC DP_PARSES void dp_payment_link_answer(struct dp_payment *p, const uint8_t *bytes,
                                                size_t n);
/* Message id did not reach the acquirer (sent false: not one byte left) or its connection broke. */
DP_PUBLIC void dp_payment_link_failed(struct dp_payment *p, uint32_t id, bool sent);

/* Time passes. Returns the milliseconds until it wants to be called again, at most 60,000. */
DP_PUBLIC int dp_payment_tick(struct dp_payment *p);
/* True once the journal can no longer be written: the process must end. */
DP_PUBLIC bool dp_payment_stopped(const struct dp_payment *p);

#ifdef __cplusplus
}
#endif
#endif
