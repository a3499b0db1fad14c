/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>

#include "ledger.h"

/*
 * movement: one thing that should stand in the acquirer's books, by the journal. state: captured,
 * pending (not sent or not answered yet), maybe (a message without an answer that was taken back:
 * the acquirer may show it and its reversal, or neither), none (declined, void).
 */
static const char schema[] =
    "CREATE TABLE IF NOT EXISTS journal (id TEXT PRIMARY KEY, dir TEXT NOT NULL, verdict TEXT NOT "
    "NULL,"
    " records INTEGER NOT NULL, words TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS payment (journal TEXT NOT NULL, tx TEXT NOT NULL, tid TEXT, mid "
    "TEXT, business_date INTEGER,"
    " wall_ms INTEGER, amount INTEGER NOT NULL, currency TEXT NOT NULL, mode TEXT NOT NULL, reason "
    "TEXT, parcel TEXT,"
    " bin TEXT, last4 TEXT, auth_code TEXT, forward TEXT, PRIMARY KEY (journal, tx));"
    "CREATE TABLE IF NOT EXISTS movement (id INTEGER PRIMARY KEY, journal TEXT NOT NULL, tx TEXT "
    "NOT NULL, type TEXT NOT NULL,"
    " state TEXT NOT NULL, tid TEXT, mid TEXT, batch INTEGER, stan INTEGER, rrn TEXT, auth_code "
    "TEXT, amount INTEGER NOT NULL,"
    " currency TEXT NOT NULL, business_date INTEGER, line INTEGER, pass TEXT, class TEXT);"
    "CREATE INDEX IF NOT EXISTS movement_tx ON movement (tx, type);"
    "CREATE INDEX IF NOT EXISTS movement_rrn ON movement (rrn);"
    "CREATE TABLE IF NOT EXISTS line (id INTEGER PRIMARY KEY, file TEXT NOT NULL, number INTEGER "
    "NOT NULL, reference TEXT,"
    " type TEXT NOT NULL, rrn TEXT, tid TEXT, mid TEXT, batch INTEGER, stan INTEGER, business_date "
    "INTEGER, auth_code TEXT,"
    " amount INTEGER NOT NULL, currency TEXT NOT NULL, fee INTEGER NOT NULL, net INTEGER NOT NULL, "
    "tx TEXT,"
    " movement INTEGER, class TEXT);"
    "CREATE INDEX IF NOT EXISTS line_tx ON line (tx, type);"
    "CREATE INDEX IF NOT EXISTS line_rrn ON line (rrn);";

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

int ledger_open(struct ledger *l, const char *uri)
{
    const char *path = ":memory:";
    memset(l, 0, sizeof *l);
    if (uri != NULL && strncmp(uri, "sqlite:", 7) != 0) {
        (void)snprintf(l->error, sizeof l->error, "store %s: this build knows sqlite:FILE", uri);
        return DP_ERR_UNSUPPORTED;
    }
    if (uri != NULL)
        path = uri + 7;
    if (sqlite3_open(path, &l->db) != SQLITE_OK)
        return failed(l, path);
    return ledger_run(l, schema);
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

int64_t ledger_value(struct ledger *l, const char *sql)
{
    sqlite3_stmt *s = NULL;
    int64_t v = 0;
    if (sqlite3_prepare_v2(l->db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        v = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return v;
}
