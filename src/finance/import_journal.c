/* SPDX-License-Identifier: Apache-2.0 */
/* A journal becomes payments and movements; it is verified first, and nothing of one that fails is
 * taken in. */
#include <stdlib.h>
#include <string.h>

#include <doorpay/journal.h>
#include <doorpay/payment.h>
#include <jansson.h>

#include "base/hex.h"
#include "ledger.h"

#define MTI_AUTHORISATION 1100 /* dual message: authorised, and captured by its 1220 alone */

struct import {
    struct ledger *ledger;
    char journal[33];
    int err;
};

static const char *hex16(const uint8_t id[16], char out[33])
{
    return dp_hex_encode(id, 16, out, 33);
}

static const char *currency_of(const struct dp_record *r)
{
    const char *alpha = dp_currency_alpha(r->amount.currency);
    return alpha != NULL ? alpha : "???";
}

static void run(struct import *i, int err)
{
    if (i->err == DP_OK)
        i->err = err;
}

static void add_movement(struct import *i, const struct dp_record *r, const char *tx,
                         const char *type, const char *state, int64_t amount)
{
    run(i, ledger_exec(i->ledger,
                       "INSERT INTO movement (journal, tx, type, state, tid, mid, batch, stan, "
                       "original_stan, rrn, auth_code, amount, currency, business_date) VALUES "
                       "(?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                       "ttttttiiittiti", i->journal, tx, type, state, r->tid, r->mid,
                       (int64_t)r->batch, (int64_t)r->stan, (int64_t)r->original.stan, r->rrn,
                       r->auth_code, amount, currency_of(r), (int64_t)r->business_date));
}

static void see_intent(struct import *i, const struct dp_record *r)
{
    char tx[33];
    run(i, ledger_exec(i->ledger,
                       "INSERT INTO payment (journal, tx, tid, mid, business_date, wall_ms, "
                       "amount, currency, mode, parcel, forward) VALUES "
                       "(?,?,?,?,?,?,?,?,'open',?,'none')",
                       "ttttiiitt", i->journal, hex16(r->tx, tx), r->tid, r->mid,
                       (int64_t)r->business_date, (int64_t)r->wall_ms, r->amount.minor,
                       currency_of(r), r->parcel));
}

/* A message that may move money: until its answer is journalled the acquirer may have it or not. */
static void see_requested(struct import *i, const struct dp_record *r)
{
    char tx[33];
    add_movement(i, r, hex16(r->tx, tx), "SALE", "maybe", r->amount.minor);
}

static void set_state(struct import *i, const char *tx, int64_t stan, const char *state,
                      const char *auth_code)
{
    run(i, ledger_exec(i->ledger,
                       "UPDATE movement SET state = ?, auth_code = CASE WHEN ? = '' THEN auth_code "
                       "ELSE ? END WHERE journal = ? AND tx = ? AND stan = ?",
                       "ttttti", state, auth_code, auth_code, i->journal, tx, stan));
}

static void see_outcome(struct import *i, const struct dp_record *r)
{
    bool authorised = r->mode == DP_MODE_ONLINE && r->mti == MTI_AUTHORISATION;
    bool waits = authorised || r->mode == DP_MODE_OFFLINE || r->mode == DP_MODE_DEFERRED;
    char tx[33];
    (void)hex16(r->tx, tx);
    run(i,
        ledger_exec(i->ledger,
                    "UPDATE payment SET mode = ?, reason = ?, bin = ?, last4 = ?, auth_code = "
                    "?, wall_ms = ?, forward = ?, degraded = ? WHERE journal = ? AND tx = ?",
                    "tttttititt", dp_mode_name(r->mode), dp_reason_name((enum dp_reason)r->reason),
                    r->bin, r->last4, r->auth_code, (int64_t)r->wall_ms, waits ? "pending" : "none",
                    (int64_t)r->degraded, i->journal, tx));
    if (r->mode == DP_MODE_ONLINE)
        set_state(i, tx, r->stan, authorised ? "pending" : "captured", r->auth_code);
    else if (r->mode == DP_MODE_OFFLINE)
        add_movement(i, r, tx, "SALE", "pending", r->amount.minor);
    else if (r->mode == DP_MODE_DECLINED && r->stan != 0 && r->action_code[0] != '\0' &&
             strcmp(r->action_code, "000") != 0)
        set_state(i, tx, r->stan, "none", "");
}

static void see_forwarded(struct import *i, const struct dp_record *r)
{
    static const char *const states[] = {"", "captured", "none", "captured", "given_up"};
    static const char *const forwards[] = {"", "accepted", "declined", "", "given_up"};
    char tx[33];
    if (r->result < 1 || r->result > 4)
        return;
    (void)hex16(r->tx, tx);
    if (r->stan == 0) { /* deferred, and its time to be asked is over */
        run(i, ledger_exec(i->ledger,
                           "UPDATE payment SET forward = 'given_up' WHERE journal = ? AND tx = ?",
                           "tt", i->journal, tx));
        return;
    }
    if (r->result == 1 && r->mti == MTI_AUTHORISATION) { /* its completion is still to come */
        set_state(i, tx, r->stan, "pending", r->auth_code);
        return;
    }
    set_state(i, tx, r->stan, states[r->result], r->auth_code);
    if (r->result == 1 || r->result == 2)
        run(i,
            ledger_exec(i->ledger,
                        "UPDATE payment SET forward = ?, auth_code = CASE WHEN ? = '' THEN "
                        "auth_code ELSE ? END WHERE journal = ? AND tx = ?",
                        "ttttt", forwards[r->result], r->auth_code, r->auth_code, i->journal, tx));
    else if (r->result == 4)
        run(i, ledger_exec(i->ledger,
                           "UPDATE payment SET forward = ? WHERE journal = ? AND tx = ? AND EXISTS "
                           "(SELECT 1 FROM movement m WHERE m.journal = payment.journal AND m.tx = "
                           "payment.tx AND m.stan = ? AND m.type = 'SALE')",
                           "ttti", forwards[r->result], i->journal, tx, (int64_t)r->stan));
}

static void set_undone(struct import *i, const char *tx, const char *how)
{
    run(i, ledger_exec(i->ledger, "UPDATE payment SET undone = ? WHERE journal = ? AND tx = ?",
                       "ttt", how, i->journal, tx));
}

/* Named by the sale (it has a service id) or made because no answer came. */
static void see_reversal(struct import *i, const struct dp_record *r)
{
    char tx[33];
    (void)hex16(r->has_original_tx ? r->original_tx : r->tx, tx);
    add_movement(i, r, tx, "REVERSAL", "pending", -r->amount.minor);
    if (r->service_id[0] != '\0')
        set_undone(i, tx, "reversed");
}

static void see_void(struct import *i, const struct dp_record *r)
{
    char tx[33];
    (void)hex16(r->has_original_tx ? r->original_tx : r->tx, tx);
    run(i, ledger_exec(i->ledger,
                       "UPDATE movement SET state = 'none' WHERE journal = ? AND tx = ? AND type = "
                       "'SALE' AND state = 'pending'",
                       "tt", i->journal, tx));
    run(i,
        ledger_exec(i->ledger, "UPDATE payment SET forward = 'none' WHERE journal = ? AND tx = ?",
                    "tt", i->journal, tx));
    set_undone(i, tx, "void");
}

/* The payment that the anchor died under: its OUTCOME was written before anybody knew. */
static void see_degraded_on(struct import *i, const struct dp_record *r)
{
    char tx[33];
    if (r->has_tx)
        run(i,
            ledger_exec(i->ledger, "UPDATE payment SET degraded = 1 WHERE journal = ? AND tx = ?",
                        "tt", i->journal, hex16(r->tx, tx)));
}

static void see(void *user, const struct dp_record *r)
{
    struct import *i = user;
    switch (r->type) {
    case DP_RECORD_INTENT:
        see_intent(i, r);
        break;
    case DP_RECORD_REQUESTED:
        see_requested(i, r);
        break;
    case DP_RECORD_OUTCOME:
        see_outcome(i, r);
        break;
    case DP_RECORD_FORWARDED:
        see_forwarded(i, r);
        break;
    case DP_RECORD_REVERSAL:
        see_reversal(i, r);
        break;
    case DP_RECORD_VOID:
        see_void(i, r);
        break;
    case DP_RECORD_DEGRADED_ON:
        see_degraded_on(i, r);
        break;
    default:
        break;
    }
}

static bool read_hex(json_t *o, const char *name, uint8_t *out, size_t n)
{
    const char *s = json_string_value(json_object_get(o, name));
    size_t got = 0;
    return s != NULL && dp_hex_decode(s, strlen(s), out, n, &got) == DP_OK && got == n;
}

static int read_head(struct ledger *l, const char *path, struct dp_verify_options *o)
{
    json_t *head = json_load_file(path, 0, NULL);
    o->has_head = true;
    o->head_size = (uint64_t)json_integer_value(json_object_get(head, "size"));
    bool ok = read_hex(head, "journal", o->head_journal, 16) &&
              read_hex(head, "root", o->head_root, 32) &&
              read_hex(head, "anchor", o->head_anchor, 32);
    json_decref(head);
    if (!ok) {
        (void)snprintf(l->error, sizeof l->error, "%s: not a head file", path);
        return DP_ERR_FORMAT;
    }
    return DP_OK;
}

static const char *verdict_words(const struct dp_verify_result *v)
{
    switch (v->verdict) {
    case DP_VERDICT_FRESH:
        return "valid and fresh";
    case DP_VERDICT_UNKNOWN:
        return "valid, freshness unknown";
    case DP_VERDICT_ROLLBACK:
        return "ROLLBACK";
    default:
        return "TAMPERED";
    }
}

static bool trusted(const struct dp_verify_result *v)
{
    return v->verdict == DP_VERDICT_FRESH || v->verdict == DP_VERDICT_UNKNOWN;
}

static int note_journal(struct ledger *l, const char *dir, const struct dp_verify_result *v)
{
    char id[33];
    return ledger_exec(
        l, "INSERT OR REPLACE INTO journal (id, dir, verdict, records, words) VALUES (?,?,?,?,?)",
        "tttit", hex16(v->journal, id), dir, verdict_words(v), (int64_t)v->records, v->words);
}

/* An earlier import of the same journal gives way: it has grown since. The id is known only once
 * the verifier is through, so rows come in under a name nothing else has. */
static int take_over(struct ledger *l, const struct import *i, const struct dp_verify_result *v)
{
    static const char *const tables[] = {"payment", "movement"};
    char sql[128], id[33];
    int err = DP_OK;
    (void)hex16(v->journal, id);
    for (size_t t = 0; t < 2 && err == DP_OK; t++) {
        (void)snprintf(sql, sizeof sql, "DELETE FROM %s WHERE journal = ?", tables[t]);
        err = ledger_exec(l, sql, "t", id);
        (void)snprintf(sql, sizeof sql, "UPDATE %s SET journal = ? WHERE journal = ?", tables[t]);
        if (err == DP_OK)
            err = ledger_exec(l, sql, "tt", id, i->journal);
    }
    return err;
}

/* In a transaction of the caller's. */
static int import_records(struct ledger *l, struct dp_store *store,
                          const struct dp_verify_options *options, struct dp_verify_result *verdict)
{
    struct import i = {l, "being imported", DP_OK};
    int err = dp_journal_verify(store, options, see, &i, verdict);
    if (err == DP_OK && !trusted(verdict))
        err = DP_ERR_TAMPERED;
    if (err == DP_OK)
        err = i.err;
    return err == DP_OK ? take_over(l, &i, verdict) : err;
}

int ledger_import_journal(struct ledger *l, const char *dir, const char *head_file)
{
    struct dp_verify_options options;
    struct dp_verify_result verdict;
    struct dp_store store;
    int err, noted = DP_OK;
    l->error[0] = '\0';
    memset(&options, 0, sizeof options);
    memset(&verdict, 0, sizeof verdict);
    if (head_file != NULL && read_head(l, head_file, &options) < 0)
        return DP_ERR_FORMAT;
    err = dp_store_fs_open(dir, &store);
    if (err == DP_OK) {
        err = ledger_run(l, "BEGIN");
        if (err == DP_OK) /* nothing of a journal that fails stays */
            err = ledger_end(l, import_records(l, &store, &options, &verdict));
        dp_store_fs_free(&store);
        if (err == DP_OK || err == DP_ERR_TAMPERED)
            noted = note_journal(l, dir, &verdict);
    }
    if (err == DP_ERR_TAMPERED)
        (void)snprintf(l->error, sizeof l->error, "%s: %s", dir, verdict.words);
    else if (err < 0 && l->error[0] == '\0')
        (void)snprintf(l->error, sizeof l->error, "%s: %s", dir, dp_strerr(err));
    return noted < 0 ? noted : err;
}
