/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conversation with the acquirer (docs/PROTOCOL.acquirer): which message when, matching
 * answers, store-and-forward, reversals, totals. Pure logic: no socket, no file. Its state is a
 * function of the journal's records alone (dp_acquirer_see), so a restart loses nothing.
 */
#ifndef DOORPAY_ACQUIRER_H
#define DOORPAY_ACQUIRER_H

#include <doorpay/base.h>
#include <doorpay/hsm.h>
#include <doorpay/journal.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dp_acquirer;

struct dp_acquirer_config {
    char tid[9], mid[16], acquirer_id[12];
    uint16_t currency;
    uint8_t exponent;
    int32_t utc_offset_min;
    uint8_t mac_len; /* 8 or 16 */
    bool dual;       /* dual message: 1100 and then 1220; else 1200 */
    bool clear_card; /* DE2, 14, 23, 35; else sealed in DE120 */
    uint32_t online_timeout_ms, retry_first_ms, retry_max_ms, repeat_max;
    uint8_t journal[16];
    struct dp_hsm *hsm;             /* borrowed: DUKPT; NULL: books alone, nothing is packed */
    const struct dp_clock *clock;   /* borrowed */
    const struct dp_random *random; /* borrowed: jitter */
};

/* config is copied, what it points to stays the caller's and outlives it. The result is the
 * caller's, for dp_acquirer_free. DP_ERR_ARG: no clock or random, a MAC neither 8 nor 16
 * long, a terminal id that is not 8 characters, no merchant; DP_ERR_NOMEM. */
DP_PUBLIC DP_MUST_USE int dp_acquirer_new(const struct dp_acquirer_config *config,
                                          struct dp_acquirer **out);
/* NULLs the caller's pointer; NULL is fine. */
DP_PUBLIC void dp_acquirer_free(struct dp_acquirer **a);

/* Every journal record, in order: at start from the first on, then each as it is appended. */
DP_PUBLIC void dp_acquirer_see(struct dp_acquirer *a, const struct dp_record *record);

/* What the records have told it, for a snapshot of the journal (dp_journal_state_ops).
 * DP_ERR_SPACE: max is below what dp_acquirer_state_bytes_max says. */
DP_PUBLIC size_t dp_acquirer_state_bytes_max(const struct dp_acquirer *a);
DP_PUBLIC DP_MUST_USE int dp_acquirer_save(const struct dp_acquirer *a, uint8_t *out, size_t max,
                                           size_t *n);
/* Into one that has seen no record, in their place. After any error (DP_ERR_UNSUPPORTED: another
 * version's; DP_ERR_RANGE and kin: none; DP_ERR_NOMEM) a is fit for dp_acquirer_free only. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_acquirer_restore(struct dp_acquirer *a, const uint8_t *p,
                                                        size_t n);

/* ---- filling records before they are journalled ---- */

/* r has tx, amount, tid, mid, batch, parcel, business_date: mti, stan, rrn, de7, de12, function,
 * msg_reason are filled. */
/* REQUESTED of an online payment. DP_ERR_LIMIT: the queue of unanswered messages is full. */
DP_PUBLIC DP_MUST_USE int dp_acquirer_fill_online(struct dp_acquirer *a, struct dp_record *r);
/* OUTCOME offline-approved: the advice's numbers, kept for life. */
DP_PUBLIC DP_MUST_USE int dp_acquirer_fill_advice(struct dp_acquirer *a, struct dp_record *r);
/* REVERSAL of what tx sent under stan; msg_reason is DE25 (4000, 4021, 4007, 4020, 4350). Fills
 * original, amount, original_tx too. DP_ERR_NOT_FOUND: tx sent nothing under stan;
 * DP_ERR_DUPLICATE: it is being reversed already. */
DP_PUBLIC DP_MUST_USE int dp_acquirer_fill_reversal(struct dp_acquirer *a, const uint8_t tx[16],
                                                    uint32_t stan, uint32_t msg_reason,
                                                    struct dp_record *r);

/* ---- messages ---- */

/* What of the card goes into a message; which fields are used depends on config.clear_card. Wipe
 * after packing. */
struct dp_acquirer_card {
    struct dp_bytes emv; /* DE55 */
    struct dp_bytes sealed_pan, sealed_track2;
    char pan[20], expiry[5]; /* clear */
    bool has_sequence;
    uint8_t sequence;
    struct dp_bytes track2; /* clear, tag 57 as read */
    bool contactless;
    uint32_t cvm; /* 0 none, 1 signature, 2 device */
};

/* The message of a REQUESTED, OUTCOME (advice) or REVERSAL record with a fresh KSN; repeat > 0
 * makes it xxx1 with DE48.09. masked (may be NULL, same size) receives the same bytes with DE2,
 * DE14, DE35 and 57/5A in DE55 masked. card: NULL for a reversal. */
DP_PUBLIC DP_MUST_USE int dp_acquirer_pack(struct dp_acquirer *a, const struct dp_record *r,
                                           const struct dp_acquirer_card *card, uint32_t repeat,
                                           uint8_t *out, size_t max, size_t *n, uint8_t *masked);

enum dp_acquirer_kind {
    DP_ACQUIRER_NO_ANSWER = 0, /* wrong MAC, not decodable, or it matches nothing outstanding: as if
                                  it had not come (A20) */
    DP_ACQUIRER_ONLINE,        /* to a 1100/1200 of a payment at the door */
    DP_ACQUIRER_ADVICE,
    DP_ACQUIRER_DEFERRED,
    DP_ACQUIRER_REVERSAL,
    DP_ACQUIRER_TOTALS,
    DP_ACQUIRER_NETWORK
};

struct dp_acquirer_answer {
    enum dp_acquirer_kind kind;
    const char *why; /* NO_ANSWER: the reason, for the log; static lifetime */
    uint8_t tx[16];
    uint32_t stan;
    bool approved; /* action code 000 (payments), 400 (reversal), 500 (totals), 800 (network) */
    bool soft_decline;
    char action_code[4], auth_code[7];
    char arc[3]; /* 8A for the card */
    uint8_t issuer_authentication[16], issuer_authentication_n;
    uint8_t scripts[512];
    uint16_t scripts_n;
    uint64_t totals_sales_n, totals_sales_amount, totals_reversals_n, totals_reversals_amount;
};

/* Checks the MAC before it decodes, then matches. masked as above (filled also for what bears a
 * right MAC and is no answer; *masked_n = 0 otherwise: nothing else is decoded, not even to be
 * logged). DP_OK with NO_ANSWER whatever came; DP_ERR_TOKEN and kin: the key store failed. */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_acquirer_take(struct dp_acquirer *a, const uint8_t *p,
                                                     size_t n, struct dp_acquirer_answer *answer,
                                                     uint8_t *masked, size_t *masked_n);

/* ---- store and forward ---- */

enum dp_acquirer_job_kind {
    DP_ACQUIRER_JOB_NONE = 0,
    DP_ACQUIRER_JOB_ADVICE,   /* pack record with the card data of the side store */
    DP_ACQUIRER_JOB_REVERSAL, /* pack record */
    DP_ACQUIRER_JOB_DEFERRED /* fill record as REQUESTED (dp_acquirer_fill_online), journal it, then
                                pack it */
};

struct dp_acquirer_job {
    enum dp_acquirer_job_kind kind;
    struct dp_record record; /* the record the message is of; for DEFERRED: what fill_online needs,
                                mode deferred */
    uint32_t repeat;         /* 0: first time */
};

/* The next job that is due now, in order: reversals first, then by age; per transaction nothing
 * overtakes. NONE: nothing due; *wait_ms says when to ask again (-1: nothing queued). */
DP_PUBLIC void dp_acquirer_next(struct dp_acquirer *a, int64_t mono_ms, struct dp_acquirer_job *job,
                                int64_t *wait_ms);
/* It was sent (timer starts), or could not be (back-off). */
DP_PUBLIC void dp_acquirer_sent(struct dp_acquirer *a, const struct dp_acquirer_job *job,
                                int64_t mono_ms);
DP_PUBLIC void dp_acquirer_failed(struct dp_acquirer *a, const struct dp_acquirer_job *job,
                                  int64_t mono_ms);
/* Everything that is outstanding, sent or not, in the order of its age, for whoever takes over:
 * *cursor 0 to begin with; false: no more. kind NONE: the record is of a 1100 or 1200 that nothing
 * has closed. */
DP_PUBLIC bool dp_acquirer_outstanding(const struct dp_acquirer *a, uint64_t *cursor,
                                       struct dp_acquirer_job *job);
/* The FORWARDED record for an answer of kind ADVICE, DEFERRED or REVERSAL. */
DP_PUBLIC DP_MUST_USE int dp_acquirer_forwarded(struct dp_acquirer *a,
                                                const struct dp_acquirer_answer *answer,
                                                struct dp_record *r);
/* A deferred payment whose time to be asked is over and of which no request is under way, as the
 * FORWARDED record that gives it up; r has what every record of this terminal has.
 * DP_ERR_NOT_FOUND: none. While the clock is not set none is. */
DP_PUBLIC DP_MUST_USE int dp_acquirer_give_up(const struct dp_acquirer *a, struct dp_record *r);
/* True when tx's sale was never sent (it may be voided locally); false once a byte may have left.
 */
DP_PUBLIC bool dp_acquirer_is_unsent(const struct dp_acquirer *a, const uint8_t tx[16]);
/* The stan under which tx's sale was, or may have been, captured; 0: none. */
DP_PUBLIC uint32_t dp_acquirer_captured_stan(const struct dp_acquirer *a, const uint8_t tx[16]);
/* Back-off starts afresh (the link came up, or a person asked). */
DP_PUBLIC void dp_acquirer_kick(struct dp_acquirer *a);

/* What the acquirer has not accepted yet; amounts in minor units. */
struct dp_acquirer_unsent {
    uint32_t n;
    uint64_t amount;        /* of advices and deferred; reversals count in n only */
    int64_t oldest_wall_ms; /* 0: none */
};
DP_PUBLIC void dp_acquirer_unsent(const struct dp_acquirer *a, struct dp_acquirer_unsent *out);

/* ---- totals and network ---- */

/* What the open batch holds so far; amounts in minor units. */
struct dp_acquirer_batch {
    uint32_t batch; /* open batch, from 1; rises with each SETTLED */
    uint64_t sales_n, sales_amount, reversals_n, reversals_amount;
};
DP_PUBLIC void dp_acquirer_batch(const struct dp_acquirer *a, struct dp_acquirer_batch *out);
/* True while something that is unanswered, or stands in the open batch's totals, was sent for
 * another terminal, merchant or currency than config has: it goes on under its own, and until the
 * batch is settled no payment under config's may be begun. */
DP_PUBLIC bool dp_acquirer_is_anothers(const struct dp_acquirer *a);
/* Fills r as the SETTLED record to be (stan, rrn, de7, de12, batch, settled) and packs 1520.
 * DP_ERR_STATE: something is unsent. */
DP_PUBLIC DP_MUST_USE int dp_acquirer_pack_totals(struct dp_acquirer *a, struct dp_record *r,
                                                  uint8_t *out, size_t max, size_t *n);
/* 1804: function 801 sign-on or 831 echo. */
DP_PUBLIC DP_MUST_USE int dp_acquirer_pack_network(struct dp_acquirer *a, uint32_t function,
                                                   uint8_t *out, size_t max, size_t *n);

#ifdef __cplusplus
}
#endif
#endif
