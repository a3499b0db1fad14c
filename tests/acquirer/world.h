/* SPDX-License-Identifier: Apache-2.0 */
/* A terminal's acquirer side with a clock and a random source that the test moves, a key store that
 * is a double of the two DUKPT calls, and a host that answers. */
#ifndef DP_TESTS_ACQUIRER_WORLD_H
#define DP_TESTS_ACQUIRER_WORLD_H

#include <doorpay/acquirer.h>
#include <doorpay/iso8583.h>

#include "base/limits.h"

#define WORLD_TID "T0000001"
#define WORLD_MID "MERCHANT0000001"

struct world {
    struct dp_acquirer *a;
    struct dp_clock clock;
    struct dp_random random;
    int64_t wall_ms;
    uint32_t drawn; /* what the random source gives */
    bool random_fails, dual, clear;
    uint8_t mac_len;
    uint32_t repeat_max;
    struct dp_record *history; /* every record seen */
    size_t history_n, history_max;
    uint8_t sent[DP_ISO8583_MESSAGE_MAX], masked[DP_ISO8583_MESSAGE_MAX];
    size_t sent_n;
};

/* What the doubles of dp_hsm_dukpt_* do. */
struct world_hsm {
    uint32_t next; /* transaction counter */
    int next_err, mac_err;
    uint32_t macs; /* MACs asked for */
};
extern struct world_hsm world_hsm;

/* A fresh terminal; dual, clear, mac_len (0: 8) and repeat_max are taken as set before. */
void world_begin(struct world *w);
void world_end(struct world *w);
/* The same terminal after a restart: another state, from the same records. */
struct dp_acquirer *world_rebuild(const struct world *w);
/* Journals: the state sees it. */
void world_see(struct world *w, struct dp_record *r);

void world_tx(unsigned number, uint8_t tx[16]);
/* A record of payment number, as the payment's room begins one. */
void world_record(struct world *w, enum dp_record_type type, unsigned number, int64_t amount,
                  struct dp_record *r);
/* Card data of a test card. */
const struct dp_acquirer_card *world_card(void);

/* Journalled, packed into w->sent. Each returns the STAN. */
uint32_t world_online(struct world *w, unsigned number, int64_t amount);
uint32_t world_offline(struct world *w, unsigned number, int64_t amount);
void world_deferred(struct world *w, unsigned number, int64_t amount);
void world_outcome(struct world *w, unsigned number, int64_t amount, uint32_t stan, bool approved);
uint32_t world_reverse(struct world *w, unsigned number, uint32_t stan, uint32_t msg_reason);
/* The next job sent, into w->sent; a deferred one is journalled first. NONE: nothing due. */
enum dp_acquirer_job_kind world_forward(struct world *w, int64_t now, struct dp_acquirer_job *job);
/* The answer is taken, and journalled where it is of store-and-forward. */
enum dp_acquirer_kind world_answer(struct world *w, const uint8_t *p, size_t n,
                                   struct dp_acquirer_answer *answer);

/* The host's answer to a packed message, before its MAC is made. */
void host_answer(const uint8_t *request, size_t n, unsigned action, struct dp_iso8583_message *m);
/* Packs and makes the MAC under the KSN of m. */
size_t host_seal(const struct world *w, const struct dp_iso8583_message *m, uint8_t *out);
/* Both: the plain answer. */
size_t host_reply(const struct world *w, const uint8_t *request, size_t n, unsigned action,
                  uint8_t *out);
void world_decode(const uint8_t *p, size_t n, struct dp_iso8583_message *m);

#endif
