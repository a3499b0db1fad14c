/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>

#include "ledger.h"

/*
 * payment: one sale at the door. movement: one thing that may stand in the acquirer's books, by the
 * journal. state: captured, pending (not sent or not answered yet), maybe (a message without an
 * answer: the acquirer may have it or not), given_up, none (declined, void). counts: 1 when it is
 * part of what the journal says was captured. line: one row of the acquirer's file. degraded: 1
 * when the OUTCOME says that the token's anchor was dead, or a DEGRADED_ON that it died under this
 * one.
 */
static const char *const schema[] = {
    "CREATE TABLE IF NOT EXISTS journal (id TEXT NOT NULL, dir TEXT NOT NULL, verdict TEXT NOT "
    "NULL, records INTEGER NOT NULL, words TEXT NOT NULL, PRIMARY KEY (id, dir))",
    "CREATE TABLE IF NOT EXISTS payment (journal TEXT NOT NULL, tx TEXT NOT NULL, tid TEXT, mid "
    "TEXT, business_date INTEGER, wall_ms INTEGER, amount INTEGER NOT NULL, currency TEXT NOT "
    "NULL, mode TEXT NOT NULL, undone TEXT NOT NULL DEFAULT '', reason TEXT, parcel TEXT, bin "
    "TEXT, last4 TEXT, auth_code TEXT, forward TEXT NOT NULL, degraded INTEGER NOT NULL DEFAULT 0, "
    "PRIMARY KEY (journal, tx))",
    "CREATE TABLE IF NOT EXISTS movement (id INTEGER PRIMARY KEY, journal TEXT NOT NULL, tx TEXT "
    "NOT NULL, type TEXT NOT NULL, state TEXT NOT NULL, tid TEXT, mid TEXT, batch INTEGER, stan "
    "INTEGER, original_stan INTEGER, rrn TEXT, auth_code TEXT, amount INTEGER NOT NULL, currency "
    "TEXT NOT NULL, business_date INTEGER, counts INTEGER NOT NULL DEFAULT 0, line INTEGER, pass "
    "TEXT, class TEXT)",
    "CREATE INDEX IF NOT EXISTS movement_tx ON movement (tx, type)",
    "CREATE INDEX IF NOT EXISTS movement_rrn ON movement (rrn)",
    "CREATE INDEX IF NOT EXISTS movement_stan ON movement (tid, stan)",
    "CREATE TABLE IF NOT EXISTS file (name TEXT PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS line (id INTEGER PRIMARY KEY, file TEXT NOT NULL, number INTEGER "
    "NOT NULL, reference TEXT, type TEXT NOT NULL, rrn TEXT, tid TEXT, mid TEXT, batch INTEGER, "
    "stan INTEGER, business_date INTEGER, auth_code TEXT, amount INTEGER NOT NULL, currency TEXT "
    "NOT NULL, fee INTEGER NOT NULL, net INTEGER NOT NULL, tx TEXT, movement INTEGER, class TEXT)",
    "CREATE INDEX IF NOT EXISTS line_tx ON line (tx, type)",
    "CREATE INDEX IF NOT EXISTS line_rrn ON line (rrn)",
    "CREATE INDEX IF NOT EXISTS line_stan ON line (tid, stan)",
    "CREATE INDEX IF NOT EXISTS line_movement ON line (movement)",
    "CREATE TABLE IF NOT EXISTS class (name TEXT PRIMARY KEY, weight TEXT NOT NULL, words TEXT NOT "
    "NULL, action TEXT NOT NULL)",
    /* acquirer less journal, by class */
    "CREATE TEMP VIEW difference AS SELECT currency, class, sum(amount) AS amount "
    "FROM (SELECT currency, class, amount FROM line UNION ALL SELECT currency, class, -amount "
    "FROM movement WHERE counts = 1) GROUP BY currency, class",
    /* what a person has to look at: one row each */
    "CREATE TEMP VIEW finding AS SELECT k.weight, k.words, k.action, f.* FROM ("
    "SELECT m.class, m.type, m.tx, m.tid, m.rrn, m.auth_code, m.business_date, m.amount AS "
    "journal_amount, m.currency, l.amount AS acquirer_amount, l.currency AS acquirer_currency, "
    "coalesce(l.file || ':' || l.number, 'journal ' || m.journal) AS place "
    "FROM movement m LEFT JOIN line l ON l.id = m.line "
    "UNION ALL "
    "SELECT l.class, l.type, l.tx, l.tid, l.rrn, l.auth_code, l.business_date, NULL, NULL, "
    "l.amount, l.currency, l.file || ':' || l.number FROM line l WHERE l.movement IS NULL "
    "UNION ALL "
    "SELECT 'pending', 'SALE', p.tx, p.tid, '', p.auth_code, p.business_date, p.amount, "
    "p.currency, NULL, NULL, 'journal ' || p.journal FROM payment p WHERE (p.mode = 'open' OR "
    "p.forward = 'pending') AND NOT EXISTS (SELECT 1 FROM movement m WHERE m.journal = p.journal "
    "AND m.tx = p.tx AND m.class IN ('pending', 'ahead_of_journal'))"
    ") f JOIN class k ON k.name = f.class WHERE k.weight <> 'agreed'",
};

static int failed(struct ledger *l, const char *what)
{
    (void)snprintf(l->error, sizeof l->error, "%s: %s", what,
                   l->db != NULL ? sqlite3_errmsg(l->db) : "no database");
    return DP_ERR_IO;
}

int ledger_run(struct ledger *l, const char *sql)
{
    return sqlite3_exec(l->db, sql, NULL, NULL, NULL) == SQLITE_OK ? DP_OK : failed(l, "store");
}

/* A store of before knows payments without the flag; those that are imported again get theirs. */
static int add_degraded(struct ledger *l)
{
    int64_t there = 0;
    int err = ledger_value(
        l, "SELECT count(*) FROM pragma_table_info('payment') WHERE name = 'degraded'", &there);
    if (err == DP_OK && there == 0)
        err = ledger_run(l, "ALTER TABLE payment ADD COLUMN degraded INTEGER NOT NULL DEFAULT 0");
    return err;
}

int ledger_open(struct ledger *l, const char *uri)
{
    const char *path = ":memory:";
    int err = DP_OK;
    memset(l, 0, sizeof *l);
    if (uri != NULL && strncmp(uri, "sqlite:", 7) != 0) {
        (void)snprintf(l->error, sizeof l->error, "store %s: this build knows sqlite:FILE", uri);
        return DP_ERR_UNSUPPORTED;
    }
    if (uri != NULL)
        path = uri + 7;
    if (sqlite3_open(path, &l->db) != SQLITE_OK)
        return failed(l, path);
    for (size_t i = 0; i < sizeof schema / sizeof schema[0] && err == DP_OK; i++)
        err = ledger_run(l, schema[i]);
    return err == DP_OK ? add_degraded(l) : err;
}

void ledger_close(struct ledger *l)
{
    (void)sqlite3_close(l->db);
    l->db = NULL;
}

int ledger_exec(struct ledger *l, const char *sql, const char *format, ...)
{
    sqlite3_stmt *s = NULL;
    va_list args;
    int at = 1;
    int err = DP_OK;
    if (sqlite3_prepare_v2(l->db, sql, -1, &s, NULL) != SQLITE_OK)
        return failed(l, "store");
    va_start(args, format);
    for (const char *f = format; *f != '\0'; f++, at++) {
        int bound =
            *f == 'i' ? sqlite3_bind_int64(s, at, va_arg(args, int64_t))
                      : sqlite3_bind_text(s, at, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
        if (bound != SQLITE_OK)
            err = failed(l, "store");
    }
    va_end(args);
    if (err == DP_OK && sqlite3_step(s) != SQLITE_DONE)
        err = failed(l, "store");
    (void)sqlite3_finalize(s);
    return err;
}

int ledger_each(struct ledger *l, const char *sql, ledger_row *row, void *user)
{
    sqlite3_stmt *s = NULL;
    int step;
    if (sqlite3_prepare_v2(l->db, sql, -1, &s, NULL) != SQLITE_OK)
        return failed(l, "store");
    while ((step = sqlite3_step(s)) == SQLITE_ROW)
        row(user, s);
    int err = step == SQLITE_DONE ? DP_OK : failed(l, "store");
    (void)sqlite3_finalize(s);
    return err;
}

static void take_value(void *user, sqlite3_stmt *row)
{
    *(int64_t *)user = sqlite3_column_int64(row, 0);
}

int ledger_value(struct ledger *l, const char *sql, int64_t *out)
{
    *out = 0;
    return ledger_each(l, sql, take_value, out);
}

int ledger_end(struct ledger *l, int err)
{
    if (err == DP_OK)
        return ledger_run(l, "COMMIT");
    /* the error that brought us here is the one to tell; nothing is committed either way */
    if (sqlite3_exec(l->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
        return DP_ERR_IO;
    return err;
}
