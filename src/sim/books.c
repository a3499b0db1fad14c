/* SPDX-License-Identifier: Apache-2.0 */
#include "books.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"

#define BUSY_MS 5000

static const char schema[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = OFF;"
    "CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, at TEXT NOT NULL,"
    " direction TEXT NOT NULL, connection INTEGER NOT NULL, sent INTEGER NOT NULL, mti TEXT,"
    " stan TEXT, rrn TEXT, tid TEXT, local_datetime TEXT, amount INTEGER, currency TEXT,"
    " function TEXT, reason TEXT, action TEXT, auth_code TEXT, batch INTEGER, mode TEXT,"
    " transaction_id TEXT, ksn TEXT, pan TEXT, note TEXT);"
    "CREATE INDEX IF NOT EXISTS message_tx ON message (transaction_id);"
    "CREATE TABLE IF NOT EXISTS sale (id INTEGER PRIMARY KEY, state TEXT NOT NULL,"
    " captured INTEGER NOT NULL, mode TEXT NOT NULL, tid TEXT NOT NULL, mid TEXT NOT NULL,"
    " mti INTEGER NOT NULL, stan TEXT NOT NULL, local_datetime TEXT NOT NULL, rrn TEXT NOT NULL,"
    " advice_stan TEXT, advice_datetime TEXT, advice_rrn TEXT, batch INTEGER NOT NULL,"
    " business_date TEXT NOT NULL, amount INTEGER NOT NULL, currency INTEGER NOT NULL,"
    " fee INTEGER NOT NULL, action TEXT NOT NULL, auth_code TEXT NOT NULL,"
    " card_bin TEXT NOT NULL, card_last4 TEXT NOT NULL, parcel TEXT NOT NULL,"
    " transaction_id TEXT NOT NULL, journal_id TEXT NOT NULL, decided_at TEXT NOT NULL,"
    " captured_at TEXT, reversed_at TEXT, reversal_stan TEXT, reversal_datetime TEXT,"
    " reversal_rrn TEXT, reversal_batch INTEGER, reversal_business_date TEXT,"
    " reversal_reason INTEGER);"
    "CREATE INDEX IF NOT EXISTS sale_message ON sale (tid, stan, local_datetime);"
    "CREATE INDEX IF NOT EXISTS sale_advice ON sale (tid, advice_stan, advice_datetime);"
    "CREATE INDEX IF NOT EXISTS sale_tx ON sale (transaction_id);"
    "CREATE TABLE IF NOT EXISTS reversal (id INTEGER PRIMARY KEY, at TEXT NOT NULL,"
    " tid TEXT NOT NULL, stan TEXT NOT NULL, local_datetime TEXT NOT NULL,"
    " original_mti INTEGER NOT NULL, original_stan TEXT NOT NULL, original_datetime TEXT NOT NULL,"
    " reason INTEGER NOT NULL, amount INTEGER NOT NULL, transaction_id TEXT NOT NULL,"
    " sale INTEGER);"
    "CREATE INDEX IF NOT EXISTS reversal_original ON reversal (tid, original_stan,"
    " original_datetime);"
    "CREATE TABLE IF NOT EXISTS batch (tid TEXT NOT NULL, batch INTEGER NOT NULL, at TEXT NOT"
    " NULL, verdict TEXT NOT NULL, debits INTEGER, debits_amount INTEGER, reversals INTEGER,"
    " reversals_amount INTEGER, told_debits INTEGER, told_debits_amount INTEGER,"
    " told_reversals INTEGER, told_reversals_amount INTEGER, PRIMARY KEY (tid, batch));"
    "CREATE TABLE IF NOT EXISTS ksn (id TEXT PRIMARY KEY, tid TEXT NOT NULL, counter INTEGER NOT"
    " NULL);"
    "CREATE TABLE IF NOT EXISTS request (tid TEXT NOT NULL, mti INTEGER NOT NULL, stan TEXT NOT"
    " NULL, local_datetime TEXT NOT NULL, content TEXT NOT NULL, action TEXT NOT NULL,"
    " PRIMARY KEY (tid, mti, stan, local_datetime));"
    "CREATE TABLE IF NOT EXISTS cryptogram (key TEXT PRIMARY KEY, transaction_id TEXT NOT NULL);";

static int failed(struct sim_books *b, const char *what)
{
    dp_log(DP_LOG_ERROR, "books: %s: %s", what, sqlite3_errmsg(b->db));
    return DP_ERR_IO;
}

static int exec(struct sim_books *b, const char *sql)
{
    return sqlite3_exec(b->db, sql, NULL, NULL, NULL) == SQLITE_OK ? DP_OK : failed(b, "statement");
}

int sim_books_open(struct sim_books *b, const char *path)
{
    if (sqlite3_open(path, &b->db) != SQLITE_OK)
        return failed(b, path);
    (void)sqlite3_busy_timeout(b->db, BUSY_MS);
    return exec(b, schema);
}

void sim_books_close(struct sim_books *b)
{
    (void)sqlite3_close(b->db);
    b->db = NULL;
}

int sim_books_begin(struct sim_books *b)
{
    return exec(b, "BEGIN IMMEDIATE");
}

int sim_books_commit(struct sim_books *b)
{
    return exec(b, "COMMIT");
}

/* ---- statements ---- */

static int bind(sqlite3_stmt *s, int at, char type, va_list *args)
{
    if (type == 'i')
        return sqlite3_bind_int64(s, at, va_arg(*args, int64_t));
    const char *text = va_arg(*args, const char *);
    char *copy = text == NULL ? NULL : sqlite3_mprintf("%s", text);
    if (copy == NULL)
        return text == NULL ? sqlite3_bind_null(s, at) : SQLITE_NOMEM;
    /* the books are UTF-8, what terminals send is not */
    for (char *c = copy; *c != '\0'; c++)
        if ((*c & 0x80) != 0)
            *c = '?';
    return sqlite3_bind_text(s, at, copy, -1, sqlite3_free);
}

/* A statement with its values, or NULL. The caller finalizes. */
static sqlite3_stmt *prepare(struct sim_books *b, const char *sql, const char *types, va_list *args)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(b->db, sql, -1, &s, NULL) != SQLITE_OK) {
        (void)failed(b, sql);
        return NULL;
    }
    for (int at = 1; *types != '\0'; types++, at++) {
        if (bind(s, at, *types, args) != SQLITE_OK) {
            (void)failed(b, sql);
            (void)sqlite3_finalize(s);
            return NULL;
        }
    }
    return s;
}

int sim_books_run(struct sim_books *b, const char *sql, const char *types, ...)
{
    va_list args;
    sqlite3_stmt *s;
    int err = DP_OK;
    va_start(args, types);
    s = prepare(b, sql, types, &args);
    va_end(args);
    if (s == NULL)
        return DP_ERR_IO;
    if (sqlite3_step(s) != SQLITE_DONE)
        err = failed(b, sql);
    (void)sqlite3_finalize(s);
    return err;
}

/* The first row of a question: DP_OK and a statement to finalize, or DP_ERR_NOT_FOUND. */
static int ask(struct sim_books *b, sqlite3_stmt **s, const char *sql, const char *types, ...)
{
    va_list args;
    int step;
    va_start(args, types);
    *s = prepare(b, sql, types, &args);
    va_end(args);
    if (*s == NULL)
        return DP_ERR_IO;
    step = sqlite3_step(*s);
    if (step == SQLITE_ROW)
        return DP_OK;
    if (step != SQLITE_DONE)
        (void)failed(b, sql);
    (void)sqlite3_finalize(*s);
    return step == SQLITE_DONE ? DP_ERR_NOT_FOUND : DP_ERR_IO;
}

static void copy_text(sqlite3_stmt *s, int column, char *out, size_t n)
{
    const unsigned char *text = sqlite3_column_text(s, column);
    (void)snprintf(out, n, "%s", text == NULL ? "" : (const char *)text);
}

const char *sim_utc_text(int64_t wall_ms, char *out, size_t n)
{
    struct dp_date_time t;
    dp_date_time_from_ms(wall_ms, 0, &t);
    (void)snprintf(out, n, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", t.year, t.month, t.day, t.hour,
                   t.minute, t.second, (unsigned)(wall_ms % 1000));
    return out;
}

/* ---- messages ---- */

static const char *or_null(const char *text)
{
    return text == NULL || *text == '\0' ? NULL : text;
}

int sim_books_message(struct sim_books *b, const struct sim_message_row *row)
{
    static const struct sim_iso nothing;
    const struct sim_iso *m = row->iso != NULL ? row->iso : &nothing;
    struct dp_bytes ksn = sim_iso_bytes(m, 53);
    char at[25], tx[33] = "", ksn_text[25] = "";
    if (row->tx != NULL)
        (void)dp_hex_encode(row->tx, 16, tx, sizeof tx);
    if (ksn.n == 12)
        (void)dp_hex_encode(ksn.p, 12, ksn_text, sizeof ksn_text);
    return sim_books_run(
        b,
        "INSERT INTO message (at, direction, connection, sent, mti, stan, rrn, tid, local_datetime,"
        " amount, currency, function, reason, action, auth_code, batch, mode, transaction_id, ksn,"
        " pan, note) VALUES (?,?,?,?,?,?,?,?,?,CAST(? AS INTEGER),?,?,?,?,?,?,?,?,?,?,?)",
        "ttii"
        "ttttttttttt"
        "i"
        "ttttt",
        sim_utc_text(row->at_ms, at, sizeof at), row->incoming ? "in" : "out", row->connection,
        (int64_t)row->sent, or_null(m->mti), or_null(sim_iso_text(m, 11)),
        or_null(sim_iso_text(m, 37)), or_null(row->tid), or_null(sim_iso_text(m, 12)),
        or_null(sim_iso_text(m, 4)), or_null(sim_iso_text(m, 49)), or_null(sim_iso_text(m, 24)),
        or_null(sim_iso_text(m, 25)), or_null(sim_iso_text(m, 39)), or_null(sim_iso_text(m, 38)),
        (int64_t)row->batch, or_null(sim_mode_name(row->mode)), or_null(tx), or_null(ksn_text),
        or_null(row->pan), or_null(row->note));
}

/* ---- what may stand once ---- */

int sim_books_ksn(struct sim_books *b, const char *id, uint32_t *counter, char tid[9])
{
    sqlite3_stmt *s;
    int err = ask(b, &s, "SELECT counter, tid FROM ksn WHERE id = ?", "t", id);
    if (err != DP_OK)
        return err;
    *counter = (uint32_t)sqlite3_column_int64(s, 0);
    copy_text(s, 1, tid, 9);
    (void)sqlite3_finalize(s);
    return DP_OK;
}

int sim_books_ksn_set(struct sim_books *b, const char *id, const char *tid, uint32_t counter)
{
    return sim_books_run(b, "INSERT OR REPLACE INTO ksn (id, tid, counter) VALUES (?,?,?)", "tti",
                         id, tid, (int64_t)counter);
}

int sim_books_answered(struct sim_books *b, const struct sim_request *q, struct sim_answered *out)
{
    sqlite3_stmt *s;
    int err =
        ask(b, &s,
            "SELECT content, action FROM request WHERE tid = ? AND mti = ? AND stan = ? AND"
            " local_datetime = ?",
            "titt", q->tid, (int64_t)q->mti, sim_iso_text(q->iso, 11), sim_iso_text(q->iso, 12));
    if (err != DP_OK)
        return err;
    copy_text(s, 0, out->content, sizeof out->content);
    copy_text(s, 1, out->action, sizeof out->action);
    (void)sqlite3_finalize(s);
    return DP_OK;
}

int sim_books_answered_set(struct sim_books *b, const struct sim_request *q,
                           const struct sim_answered *a)
{
    return sim_books_run(b,
                         "INSERT INTO request (tid, mti, stan, local_datetime, content, action)"
                         " VALUES (?,?,?,?,?,?)",
                         "titttt", q->tid, (int64_t)q->mti, sim_iso_text(q->iso, 11),
                         sim_iso_text(q->iso, 12), a->content, a->action);
}

/* ---- sales ---- */

#define SALE_COLUMNS "id, state, captured, amount, currency, mode, transaction_id, auth_code"

const char *sim_state_name(enum sim_state state)
{
    static const char *const names[] = {"declined", "authorised", "captured", "reversed"};
    return names[state];
}

static int take_sale(sqlite3_stmt *s, struct sim_sale *out)
{
    char word[12], tx[33];
    size_t n = 0;
    memset(out, 0, sizeof *out);
    out->id = sqlite3_column_int64(s, 0);
    copy_text(s, 1, word, sizeof word);
    while (out->state < SIM_STATE_REVERSED && strcmp(word, sim_state_name(out->state)) != 0)
        out->state++;
    out->captured = sqlite3_column_int64(s, 2) != 0;
    out->amount = (uint64_t)sqlite3_column_int64(s, 3);
    out->currency = (uint16_t)sqlite3_column_int64(s, 4);
    copy_text(s, 5, word, sizeof word);
    while (out->mode < SIM_MODE_DEFERRED && strcmp(word, sim_mode_name(out->mode)) != 0)
        out->mode++;
    copy_text(s, 6, tx, sizeof tx);
    copy_text(s, 7, out->auth_code, sizeof out->auth_code);
    (void)sqlite3_finalize(s);
    return dp_hex_decode(tx, strlen(tx), out->tx, 16, &n) == DP_OK && n == 16 ? DP_OK : DP_ERR_IO;
}

int sim_books_sale_by_message(struct sim_books *b, const char *tid, unsigned mti, const char *stan,
                              const char *local, struct sim_sale *out)
{
    sqlite3_stmt *s;
    int err = ask(b, &s,
                  "SELECT " SALE_COLUMNS " FROM sale WHERE tid = ?1 AND ((mti = ?2 AND stan = ?3"
                  " AND local_datetime = ?4) OR (?2 = 1220 AND advice_stan = ?3 AND"
                  " advice_datetime = ?4)) ORDER BY id DESC",
                  "titt", tid, (int64_t)mti, stan, local);
    return err == DP_OK ? take_sale(s, out) : err;
}

int sim_books_sale_live(struct sim_books *b, const char *tid, const uint8_t tx[16],
                        struct sim_sale *out)
{
    sqlite3_stmt *s;
    char text[33];
    int err = ask(b, &s,
                  "SELECT " SALE_COLUMNS " FROM sale WHERE tid = ? AND transaction_id = ? AND state"
                  " IN ('authorised', 'captured') ORDER BY id DESC",
                  "tt", tid, dp_hex_encode(tx, 16, text, sizeof text));
    return err == DP_OK ? take_sale(s, out) : err;
}

int sim_books_sale_add(struct sim_books *b, const struct sim_request *q,
                       const struct sim_card_short *card, const char *action, int64_t now_ms,
                       struct sim_sale *sale)
{
    const struct sim_iso *m = q->iso;
    char at[25], tx[33], journal[33] = "";
    int err;
    if (q->has_journal)
        (void)dp_hex_encode(q->journal, 16, journal, sizeof journal);
    (void)sim_utc_text(now_ms, at, sizeof at);
    err = sim_books_run(
        b,
        "INSERT INTO sale (state, captured, mode, tid, mid, mti, stan, local_datetime, rrn, batch,"
        " business_date, amount, currency, fee, action, auth_code, card_bin, card_last4, parcel,"
        " transaction_id, journal_id, decided_at, captured_at)"
        " VALUES (?,?,?,?,rtrim(?),?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        "tittt"
        "ittt"
        "it"
        "iii"
        "ttttttttt",
        sim_state_name(sale->state), (int64_t)sale->captured, sim_mode_name(q->mode), q->tid,
        sim_iso_text(m, 42), (int64_t)q->mti, sim_iso_text(m, 11), sim_iso_text(m, 12),
        sim_iso_text(m, 37), (int64_t)q->batch, q->business_date, (int64_t)q->amount,
        (int64_t)q->currency, sim_fee(q->amount), action, sale->auth_code, card->bin, card->last4,
        q->parcel, dp_hex_encode(q->tx, 16, tx, sizeof tx), journal, at,
        sale->captured ? at : NULL);
    sale->id = sqlite3_last_insert_rowid(b->db);
    return err;
}

int sim_books_sale_capture(struct sim_books *b, const struct sim_request *q, int64_t id,
                           int64_t now_ms)
{
    char at[25];
    return sim_books_run(b,
                         "UPDATE sale SET state = 'captured', captured = 1, captured_at = ?,"
                         " advice_stan = ?, advice_datetime = ?, advice_rrn = ?, batch = ?,"
                         " business_date = ? WHERE id = ?",
                         "ttttiti", sim_utc_text(now_ms, at, sizeof at), sim_iso_text(q->iso, 11),
                         sim_iso_text(q->iso, 12), sim_iso_text(q->iso, 37), (int64_t)q->batch,
                         q->business_date, id);
}

int sim_books_sale_reverse(struct sim_books *b, const struct sim_request *q, int64_t id,
                           int64_t now_ms)
{
    char at[25];
    return sim_books_run(b,
                         "UPDATE sale SET state = 'reversed', reversed_at = ?, reversal_stan = ?,"
                         " reversal_datetime = ?, reversal_rrn = ?, reversal_batch = ?,"
                         " reversal_business_date = ?, reversal_reason = ? WHERE id = ?",
                         "ttttitii", sim_utc_text(now_ms, at, sizeof at), sim_iso_text(q->iso, 11),
                         sim_iso_text(q->iso, 12), sim_iso_text(q->iso, 37), (int64_t)q->batch,
                         q->business_date, (int64_t)q->reason, id);
}

int sim_books_reversal_add(struct sim_books *b, const struct sim_request *q, int64_t sale,
                           int64_t now_ms)
{
    char at[25], tx[33];
    return sim_books_run(
        b,
        "INSERT INTO reversal (at, tid, stan, local_datetime, original_mti,"
        " original_stan, original_datetime, reason, amount, transaction_id, sale)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,nullif(?,0))",
        "ttttittiiti", sim_utc_text(now_ms, at, sizeof at), q->tid, sim_iso_text(q->iso, 11),
        sim_iso_text(q->iso, 12), (int64_t)q->original_mti, q->original_stan, q->original_local,
        (int64_t)q->reason, (int64_t)q->amount, dp_hex_encode(q->tx, 16, tx, sizeof tx), sale);
}

int sim_books_was_reversed(struct sim_books *b, const struct sim_request *q, bool *was)
{
    sqlite3_stmt *s;
    int err =
        ask(b, &s,
            "SELECT 1 FROM reversal WHERE tid = ?1 AND original_stan = ?3 AND"
            " original_datetime = ?4 AND (original_mti = ?2 OR (?2 = 1220 AND original_mti ="
            " 1100))",
            "titt", q->tid, (int64_t)q->mti, sim_iso_text(q->iso, 11), sim_iso_text(q->iso, 12));
    *was = err == DP_OK;
    if (err == DP_OK)
        (void)sqlite3_finalize(s);
    return err == DP_ERR_NOT_FOUND ? DP_OK : err;
}

/* ---- cryptograms ---- */

int sim_books_cryptogram(struct sim_books *b, const char *key, uint8_t tx[16])
{
    sqlite3_stmt *s;
    char text[33];
    size_t n = 0;
    int err = ask(b, &s, "SELECT transaction_id FROM cryptogram WHERE key = ?", "t", key);
    if (err != DP_OK)
        return err;
    copy_text(s, 0, text, sizeof text);
    (void)sqlite3_finalize(s);
    return dp_hex_decode(text, strlen(text), tx, 16, &n) == DP_OK && n == 16 ? DP_OK : DP_ERR_IO;
}

int sim_books_cryptogram_set(struct sim_books *b, const char *key, const uint8_t tx[16])
{
    char text[33];
    return sim_books_run(b, "INSERT OR REPLACE INTO cryptogram (key, transaction_id) VALUES (?,?)",
                         "tt", key, dp_hex_encode(tx, 16, text, sizeof text));
}

/* ---- totals ---- */

/* Only a cancelled sale (DE25 4000) stands in both columns: of any other that was taken back the
 * terminal may not know that it was captured. */
#define COUNTED "captured AND tid = ?1 AND ifnull(reversal_reason, 4000) = 4000"

int sim_books_totals(struct sim_books *b, const char *tid, uint32_t batch, struct sim_totals *out)
{
    sqlite3_stmt *s;
    int err = ask(b, &s,
                  "SELECT sum(batch = ?2), sum(CASE WHEN batch = ?2 THEN amount ELSE 0 END),"
                  " sum(ifnull(reversal_batch, -1) = ?2),"
                  " sum(CASE WHEN reversal_batch = ?2 THEN amount ELSE 0 END)"
                  " FROM sale WHERE " COUNTED,
                  "ti", tid, (int64_t)batch);
    if (err != DP_OK)
        return err;
    out->debits_n = (uint64_t)sqlite3_column_int64(s, 0);
    out->debits_amount = (uint64_t)sqlite3_column_int64(s, 1);
    out->reversals_n = (uint64_t)sqlite3_column_int64(s, 2);
    out->reversals_amount = (uint64_t)sqlite3_column_int64(s, 3);
    (void)sqlite3_finalize(s);
    return DP_OK;
}

int sim_books_batch_set(struct sim_books *b, const struct sim_request *q,
                        const struct sim_totals *own, bool balanced, int64_t now_ms)
{
    const struct sim_totals *told = &q->totals;
    char at[25];
    return sim_books_run(
        b,
        "INSERT OR REPLACE INTO batch (tid, batch, at, verdict, debits, debits_amount, reversals,"
        " reversals_amount, told_debits, told_debits_amount, told_reversals, told_reversals_amount)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        "tittiiiiiiii", q->tid, (int64_t)q->batch, sim_utc_text(now_ms, at, sizeof at),
        balanced ? "500" : "501", (int64_t)own->debits_n, (int64_t)own->debits_amount,
        (int64_t)own->reversals_n, (int64_t)own->reversals_amount, (int64_t)told->debits_n,
        (int64_t)told->debits_amount, (int64_t)told->reversals_n, (int64_t)told->reversals_amount);
}

int64_t sim_fee(uint64_t amount)
{
    return (int64_t)((amount * 12 + 500) / 1000) + 5;
}
