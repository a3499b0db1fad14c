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

static void keep_err(struct import *i, int err)
{
    if (i->err == DP_OK)
        i->err = err;
}

static void add_movement(struct import *i, const struct dp_record *r, const char *tx,
                         const char *type, const char *state, int64_t amount)
{
    keep_err(
        i,
        ledger_exec(
            i->ledger,
            "INSERT INTO movement (journal, tx, type, state, tid, mid, batch, stan, rrn, auth_code,"
            " amount, currency, business_date) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            "ttttttiittiti", i->journal, tx, type, state, r->tid, r->mid, (int64_t)r->batch,
            (int64_t)r->stan, r->rrn, r->auth_code, amount, currency_of(r),
            (int64_t)r->business_date));
}

static void see_intent(struct import *i, const struct dp_record *r)
{
    char tx[33];
    keep_err(
        i,
        ledger_exec(
            i->ledger,
            "INSERT INTO payment (journal, tx, tid, mid, business_date, wall_ms, amount, currency,"
            " mode, parcel, forward) VALUES (?,?,?,?,?,?,?,?,'open',?,'none')",
            "ttttiiitt", i->journal, hex16(r->tx, tx), r->tid, r->mid, (int64_t)r->business_date,
            (int64_t)r->wall_ms, r->amount.minor, currency_of(r), r->parcel));
}

/* A message that may move money: until its answer is journalled the acquirer may know it or not. */
static void see_requested(struct import *i, const struct dp_record *r)
{
    char tx[33];
    add_movement(i, r, hex16(r->tx, tx), "SALE", "maybe", r->amount.minor);
}

static void set_state(struct import *i, const char *tx, int64_t stan, const char *type,
                      const char *state, const char *auth_code)
{
    keep_err(
        i,
        ledger_exec(
            i->ledger,
            "UPDATE movement SET state = ?, auth_code = CASE WHEN ? = '' THEN auth_code ELSE ? END"
            " WHERE journal = ? AND tx = ? AND stan = ? AND type = ?",
            "tttttit", state, auth_code, auth_code, i->journal, tx, stan, type));
}

static void see_outcome(struct import *i, const struct dp_record *r)
{
    char tx[33];
    (void)hex16(r->tx, tx);
    keep_err(i, ledger_exec(
                    i->ledger,
                    "UPDATE payment SET mode = ?, reason = ?, bin = ?, last4 = ?, auth_code = ?, "
                    "wall_ms = ?,"
                    " forward = ? WHERE journal = ? AND tx = ?",
                    "tttttittt", dp_mode_name(r->mode), dp_reason_name((enum dp_reason)r->reason),
                    r->bin, r->last4, r->auth_code, (int64_t)r->wall_ms,
                    r->mode == DP_MODE_OFFLINE || r->mode == DP_MODE_DEFERRED ? "pending" : "none",
                    i->journal, tx));
    if (r->mode == DP_MODE_ONLINE)
        set_state(i, tx, r->stan, "SALE", "captured", r->auth_code);
    else if (r->mode == DP_MODE_OFFLINE)
        add_movement(i, r, tx, "SALE", "pending", r->amount.minor);
    else if (r->mode == DP_MODE_DECLINED && r->stan != 0 && r->action_code[0] != '\0' &&
             strcmp(r->action_code, "000") != 0)
        set_state(i, tx, r->stan, "SALE", "none", "");
}

static void see_forwarded(struct import *i, const struct dp_record *r)
{
    char tx[33];
    (void)hex16(r->tx, tx);
    if (r->result == 3) {
        set_state(i, tx, r->stan, "REVERSAL", "captured", "");
        return;
    }
    set_state(i, tx, r->stan, "SALE", r->result == 1 ? "captured" : "none", r->auth_code);
    keep_err(i,
             ledger_exec(i->ledger, "UPDATE payment SET forward = ? WHERE journal = ? AND tx = ?",
                         "ttt", r->result == 1 ? "accepted" : "declined", i->journal, tx));
}

static void see_reversal(struct import *i, const struct dp_record *r)
{
    char tx[33];
    (void)hex16(r->has_original_tx ? r->original_tx : r->tx, tx);
    add_movement(i, r, tx, "REVERSAL", "pending", -r->amount.minor);
    if (r->service_id[0] != '\0')
        keep_err(i,
                 ledger_exec(
                     i->ledger,
                     "UPDATE payment SET mode = mode || ', reversed' WHERE journal = ? AND tx = ?",
                     "tt", i->journal, tx));
}

static void see_void(struct import *i, const struct dp_record *r)
{
    char tx[33];
    (void)hex16(r->has_original_tx ? r->original_tx : r->tx, tx);
    keep_err(
        i, ledger_exec(
               i->ledger,
               "UPDATE movement SET state = 'none' WHERE journal = ? AND tx = ? AND type = 'SALE'",
               "tt", i->journal, tx));
    keep_err(i, ledger_exec(i->ledger,
                            "UPDATE payment SET mode = mode || ', void', forward = 'none' WHERE "
                            "journal = ? AND tx = ?",
                            "tt", i->journal, tx));
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

static int note_journal(struct ledger *l, const char *dir, const struct dp_verify_result *v)
{
    static const char *const verdicts[] = {"valid and fresh",          "",         "",
                                           "valid, freshness unknown", "ROLLBACK", "TAMPERED"};
    char id[33];
    return ledger_exec(
        l, "INSERT OR REPLACE INTO journal (id, dir, verdict, records, words) VALUES (?,?,?,?,?)",
        "tttit", hex16(v->journal, id), dir, verdicts[v->verdict], (int64_t)v->records, v->words);
}

int ledger_import_journal(struct ledger *l, const char *dir, const char *head_file)
{
    struct dp_verify_options options;
    struct dp_verify_result verdict;
    struct dp_store store;
    struct import i = {l, "", DP_OK};
    int err;
    memset(&options, 0, sizeof options);
    if (head_file != NULL && read_head(l, head_file, &options) < 0)
        return DP_ERR_FORMAT;
    err = dp_store_fs_open(dir, &store);
    if (err < 0) {
        (void)snprintf(l->error, sizeof l->error, "%s: %s", dir, dp_strerr(err));
        return err;
    }
    err = dp_journal_verify(&store, &options, NULL, NULL, &verdict);
    if (err == DP_OK)
        err = note_journal(l, dir, &verdict);
    if (err == DP_OK && verdict.verdict != DP_VERDICT_FRESH &&
        verdict.verdict != DP_VERDICT_UNKNOWN) {
        (void)snprintf(l->error, sizeof l->error, "%s: %s", dir, verdict.words);
        err = DP_ERR_TAMPERED;
    }
    if (err < 0)
        goto out;
    (void)hex16(verdict.journal, i.journal);
    err = ledger_run(l, "BEGIN");
    if (err == DP_OK)
        err = dp_journal_verify(&store, &options, see, &i, &verdict);
    if (err == DP_OK)
        err = i.err;
    if (err == DP_OK)
        err = ledger_run(l, "COMMIT");
    else if (ledger_run(l, "ROLLBACK") < 0)
        err = DP_ERR_IO;
out:
    dp_store_fs_free(&store);
    if (err < 0 && l->error[0] == '\0')
        (void)snprintf(l->error, sizeof l->error, "%s: %s", dir, dp_strerr(err));
    return err;
}
