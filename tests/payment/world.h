/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal around the payment: a disk in memory that can lose its power, a soft token, real
 * parameters, a clock the test moves. The test is card process, link, acquirer and till.
 */
#ifndef DP_TESTS_PAYMENT_WORLD_H
#define DP_TESTS_PAYMENT_WORLD_H

#include <doorpay/iso8583.h>
#include <doorpay/payment.h>

#include "base/limits.h"
#include "tests/journal/memstore.h"

#define WORLD_RESULTS 64

struct world {
    char dir[96], uri[320];
    struct dp_hsm *hsm;
    struct dp_params *params;
    struct memstore mem;
    struct dp_payment *p;
    struct dp_clock clock;
    struct dp_random random;
    int64_t now;
    int64_t clock_wrong_ms; /* what the wall clock says beside the truth */
    bool random_fails;
    /* what the machine said to the card process */
    struct dp_card_order order;
    struct dp_emv_policy_answer policy;
    struct dp_emv_online_answer online;
    unsigned orders, policies, onlines, cancels, ends;
    bool card_dead;
    /* ... to the link */
    uint8_t sent[DP_ISO8583_MESSAGE_MAX];
    size_t sent_n;
    uint32_t sent_id;
    unsigned sends;
    bool link_dead;
    char wire[DP_ISO8583_MESSAGE_MAX]; /* the masked copy of what was sent last */
    /* ... to the till */
    struct {
        uint64_t request;
        struct dp_pay_result result;
    } results[WORLD_RESULTS];
    unsigned results_n;
    struct dp_settle_result settled;
    unsigned settlements;
    /* the card of the test */
    char last4[5], bin8[9];
    uint8_t aid[7];
    uint8_t card_hash[16], kernel;
    uint16_t atc;
    enum dp_emv_authentication authentication;
    enum dp_emv_auth_result authentication_result;
    enum dp_emv_cvm cvm;
    /* to be changed before a tap: what its EMV data say in place of the truth */
    int64_t emv_amount;
    uint8_t emv_cid, emv_un_flip, emv_tvr[5];
    bool emv_forbidden;
};

/* Token, parameters (single message, sealed card data), an empty disk; the machine is opened. */
void world_make(struct world *w);
/* The token alone, with the acquirer's keys, for a test that starts a vault of its own. */
void world_token(struct world *w);
void world_remove(struct world *w);
void world_open(struct world *w);
/* The process is killed; what it had written is there. */
void world_kill(struct world *w);
/* The same, and the token fails by a script from now on (hsm/sim_script.h); NULL: it works again.
 */
void world_kill_token(struct world *w, const char *script);
/* The power came back after a cut (memstore_fail before): what was flushed is there. */
void world_power_on(struct world *w, uint64_t seed);

/* The sale asks for cents; service names the ServiceID and the sale's transaction. */
struct dp_pay_request world_request(const char *service, int64_t cents);
void world_pay(struct world *w, uint64_t request, const char *service, int64_t cents);
struct dp_pay_result world_status(struct world *w, const char *service);
void world_reverse(struct world *w, uint64_t request, const char *service, const uint8_t tx[16]);
/* The result for a request; fails the test when there is not exactly one. */
const struct dp_pay_result *world_result(const struct world *w, uint64_t request);
unsigned world_answers(const struct world *w, uint64_t request);

/* The card process does its steps. */
void world_seen(struct world *w);
void world_wants_online(struct world *w);
void world_ended(struct world *w, enum dp_emv_outcome outcome, enum dp_emv_reason reason);
/* The same, said and not done: what a card process would send. */
void world_say_seen(const struct world *w, struct dp_card_seen *seen);
void world_say_online(const struct world *w, struct dp_card_online *online);
void world_say_ended(const struct world *w, enum dp_emv_outcome outcome, enum dp_emv_reason reason,
                     struct dp_card_outcome *o);
/* seen and ended: a TC without a link; an ARQC that is kept. */
void world_tap_offline(struct world *w);
void world_tap_deferred(struct world *w);

/* The acquirer answers what was sent last; false when there was nothing. Its messages' MACs are
 * checked, and card numbers may not be in the wire log. */
bool world_answer(struct world *w, unsigned action);
/* The same bytes, before they are given. */
size_t world_answer_bytes(struct world *w, unsigned action, uint8_t *out);
/* MTI of what was sent last; 0: nothing since. */
unsigned world_mti(struct world *w);
/* Ticks and answers until nothing is sent any more: sign-on, advices, deferred, reversals. */
void world_forward_all(struct world *w, unsigned action);

/* ---- the journal as an auditor reads it ---- */
struct books {
    unsigned records, intents, requested, outcomes, reversals, voids, forwarded, settled;
    bool fresh;           /* every record is bound */
    unsigned rotated;     /* KEY_ROTATE */
    unsigned shreds;      /* SHRED */
    uint32_t survivors;   /* ... of the last one */
    bool track2_wanted;   /* a sealed track 2 whose authorisation is not answered */
    bool track2_left;     /* one that was answered, with no SHRED since */
    bool round_over;      /* a batch was settled in balance, and its key has not gone since */
    unsigned open;        /* REQUESTED closed by nothing */
    unsigned closed_more; /* ... by more than one */
    unsigned intents_open;
    int64_t approved_amount;
    struct dp_record last_outcome, last_reversal, last_void, last_forwarded, last_requested;
};
/* Verifies the journal with the token's anchor (must be fresh) and counts. */
void world_books(struct world *w, struct books *b);

#endif
