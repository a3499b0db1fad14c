/* SPDX-License-Identifier: Apache-2.0 */
/* A token (soft:, unless said), a clock that stands still unless it is moved, and payments'
 * records. */
#ifndef DP_TESTS_JOURNAL_WORLD_H
#define DP_TESTS_JOURNAL_WORLD_H

#include <doorpay/journal.h>

#include "journal/ack.h"
#include "memstore.h"

struct world {
    char dir[96], uri[512];
    struct dp_hsm *hsm;
    struct memstore mem;
    struct dp_journal_config config;
    struct dp_journal_opened opened;
    struct dp_journal *j;
    int64_t now;
    unsigned seen; /* records the owner knows of: told of while opening, or by a snapshot */
    unsigned told; /* of these, told of */
    uint32_t segment_bytes;
    bool leave_unread; /* what opening did not read is not looked through behind it */
    bool refuse_state; /* what a snapshot keeps for the owner is of no use to it */
    bool no_snapshots; /* the owner has no state: everything is read at each opening */
    uint32_t payments;
};

void world_make(struct world *w);
/* The same on another key store, open at hsm; world_remove closes it. */
void world_make_on(struct world *w, const char *uri, struct dp_hsm *hsm);
void world_remove(struct world *w);
/* dp_journal_open over the store in memory, and what it did not read looked through. */
int world_open(struct world *w);
/* What opening did not read, at once and not between payments; DP_ERR_TAMPERED: the journal is
 * closed. */
int world_look_through(struct world *w);
/* As a killed process: nothing is written any more, and the token is opened anew. */
void world_kill(struct world *w);
/* A clean end. */
void world_close(struct world *w);
/* The same token, opened anew and failing by a script (hsm/sim_script.h); NULL: it works again. The
 * journal is not open. */
void world_script(struct world *w, const char *script);
/* The token as it was when it was kept: a crash between two of its writes. */
void world_token_keep(struct world *w);
void world_token_restore(struct world *w);

void record_of(struct dp_record *r, enum dp_record_type type, uint32_t payment);
/* The records of one payment, with their flushes and the checkpoint; the first error. */
int pay_online(struct dp_journal *j, uint32_t payment);
int pay_offline(struct dp_journal *j, uint32_t payment);
int pay_declined(struct dp_journal *j, uint32_t payment);
int pay_no_answer(struct dp_journal *j, uint32_t payment); /* REQUESTED, REVERSAL, declined */

/* ---- the collector, whose key is the token's for TLS ---- */

void collector_point(struct world *w, uint8_t point[65]);
/* What it would acknowledge now: the last signed checkpoint of what is in memory. */
void collector_head(struct world *w, struct ack *a);
/* Signed; the bytes. */
size_t collector_sign(struct world *w, const struct ack *a, uint8_t out[512]);
/* All of it into the open journal, and bound; the first error. */
int collector_acknowledges(struct world *w, const struct ack *a);

/* The verdict on what is in memory; with the token's anchor, or without. */
void verify_mem(struct world *w, bool anchor, struct dp_verify_result *v);

#endif
