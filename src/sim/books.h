/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The acquirer's books in SQLite: table message (each message in and out), sale (each payment that
 * was decided), reversal (each taken back, its original known or not), batch (each reconciliation),
 * and what must be remembered to refuse a replay: ksn, request, cryptogram. docs/sim.md has the
 * columns. Card numbers stand in them with six and four digits.
 */
#ifndef DP_SIM_BOOKS_H
#define DP_SIM_BOOKS_H

#include <sqlite3.h>

#include <doorpay/base.h>

#include "request.h"

struct sim_books {
    sqlite3 *db;
};

/* Opens or makes the file. What fails is logged. DP_ERR_IO. */
DP_MUST_USE int sim_books_open(struct sim_books *b, const char *path);
void sim_books_close(struct sim_books *b);
/* One message is one transaction of the books. DP_ERR_IO. */
DP_MUST_USE int sim_books_begin(struct sim_books *b);
DP_MUST_USE int sim_books_commit(struct sim_books *b);
/* Runs one statement with its values: t text (NULL: null), i int64_t, b const struct dp_bytes *. */
DP_MUST_USE int sim_books_run(struct sim_books *b, const char *sql, const char *types, ...);

/* UTC with milliseconds, 2026-11-24T10:00:00.000Z; out holds 25. Returns out. */
const char *sim_utc_text(int64_t wall_ms, char *out, size_t n);

/* ---- messages ---- */

struct sim_message_row {
    int64_t at_ms, connection;
    bool incoming, sent;
    const struct sim_iso *iso; /* NULL: it could not be decoded */
    const char *tid, *pan;     /* pan: masked */
    const char *note;          /* why it was refused, or which fault was done to it */
    uint32_t batch;
    enum sim_mode mode;
    const uint8_t *tx; /* NULL: none */
};
DP_MUST_USE int sim_books_message(struct sim_books *b, const struct sim_message_row *row);

/* ---- what may stand once ---- */

/* The highest counter of this initial key and whose it is. DP_ERR_NOT_FOUND: never seen. */
DP_MUST_USE int sim_books_ksn(struct sim_books *b, const char *id, uint32_t *counter, char tid[9]);
DP_MUST_USE int sim_books_ksn_set(struct sim_books *b, const char *id, const char *tid,
                                  uint32_t counter);

/* A request already answered, by TID, message class, STAN and DE12. */
struct sim_answered {
    char content[128]; /* what a repeat must have in common */
    char action[4];
};
DP_MUST_USE int sim_books_answered(struct sim_books *b, const struct sim_request *q,
                                   struct sim_answered *out);
DP_MUST_USE int sim_books_answered_set(struct sim_books *b, const struct sim_request *q,
                                       const struct sim_answered *a);

/* ---- sales ---- */

enum sim_state {
    SIM_STATE_DECLINED,
    SIM_STATE_AUTHORISED,
    SIM_STATE_CAPTURED,
    SIM_STATE_REVERSED
};
const char *sim_state_name(enum sim_state state);

struct sim_sale {
    int64_t id;
    enum sim_state state;
    bool captured; /* stands, or stood, in the settlement */
    uint64_t amount;
    uint16_t currency;
    enum sim_mode mode;
    uint8_t tx[16];
    char auth_code[7];
};
/* By the request or the advice it came with. DP_ERR_NOT_FOUND. */
DP_MUST_USE int sim_books_sale_by_message(struct sim_books *b, const char *tid, unsigned mti,
                                          const char *stan, const char *local,
                                          struct sim_sale *out);
/* The one of this transaction that is authorised or captured. DP_ERR_NOT_FOUND. */
DP_MUST_USE int sim_books_sale_live(struct sim_books *b, const char *tid, const uint8_t tx[16],
                                    struct sim_sale *out);

struct sim_card_short {
    char bin[7], last4[5], masked[20];
};
/* A decided payment; sale->id is set. */
DP_MUST_USE int sim_books_sale_add(struct sim_books *b, const struct sim_request *q,
                                   const struct sim_card_short *card, const char *action,
                                   int64_t now_ms, struct sim_sale *sale);
/* An authorised one is captured by its advice. */
DP_MUST_USE int sim_books_sale_capture(struct sim_books *b, const struct sim_request *q, int64_t id,
                                       int64_t now_ms);
DP_MUST_USE int sim_books_sale_reverse(struct sim_books *b, const struct sim_request *q, int64_t id,
                                       int64_t now_ms);
/* A reversal, its original's sale (0: unknown). */
DP_MUST_USE int sim_books_reversal_add(struct sim_books *b, const struct sim_request *q,
                                       int64_t sale, int64_t now_ms);
/* Was this very message, or the authorisation it completes, taken back before it came? */
DP_MUST_USE int sim_books_was_reversed(struct sim_books *b, const struct sim_request *q, bool *was);

/* ---- cryptograms ---- */

/* The transaction this cryptogram was seen with. DP_ERR_NOT_FOUND. */
DP_MUST_USE int sim_books_cryptogram(struct sim_books *b, const char *key, uint8_t tx[16]);
DP_MUST_USE int sim_books_cryptogram_set(struct sim_books *b, const char *key,
                                         const uint8_t tx[16]);

/* ---- totals ---- */

DP_MUST_USE int sim_books_totals(struct sim_books *b, const char *tid, uint32_t batch,
                                 struct sim_totals *out);
DP_MUST_USE int sim_books_batch_set(struct sim_books *b, const struct sim_request *q,
                                    const struct sim_totals *own, bool balanced, int64_t now_ms);

/* 1.2 % of the amount, halves rounded up, and 5 minor units. */
int64_t sim_fee(uint64_t amount);

/* The settlement file, all of the books, in place of the one there was. *lines: without the
 * header. */
DP_MUST_USE int sim_settlement_write(struct sim_books *b, const char *path, int64_t *lines);

#endif
