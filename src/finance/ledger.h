/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finance's store: what the journals say, what the acquirer says, and how the two explain each
 * other. SQLite; one file, or in memory.
 */
#ifndef DP_FINANCE_LEDGER_H
#define DP_FINANCE_LEDGER_H

#include <sqlite3.h>
#include <stdio.h>

#include <doorpay/base.h>

#define LEDGER_CURRENCIES_MAX 16

struct ledger {
    sqlite3 *db;
    char error[512]; /* a sentence after a failure */
};

/* uri: "sqlite:FILE", or NULL for memory. Tables are made when they are not there. Close it, even
 * after a failure. */
DP_MUST_USE int ledger_open(struct ledger *l, const char *uri);
void ledger_close(struct ledger *l);
DP_MUST_USE int ledger_run(struct ledger *l, const char *sql);
/* One prepared statement with bound values: format has i (int64_t), t (const char *, NULL allowed).
 */
DP_MUST_USE int ledger_exec(struct ledger *l, const char *sql, const char *format, ...);
/* The one value of a query as an integer. */
DP_MUST_USE int ledger_value(struct ledger *l, const char *sql, int64_t *out);
/* Calls row for each row of a query; its columns are read with sqlite3_column_*. */
typedef void ledger_row(void *user, sqlite3_stmt *row);
DP_MUST_USE int ledger_each(struct ledger *l, const char *sql, ledger_row *row, void *user);
/* Ends the open transaction: COMMIT when err is DP_OK, else ROLLBACK. Returns err, or what the
 * COMMIT said. */
DP_MUST_USE int ledger_end(struct ledger *l, int err);

/* Verifies a journal and takes it in, in place of what was imported of it before; one that does not
 * verify is noted and leaves no payment: DP_ERR_TAMPERED then. */
DP_MUST_USE int ledger_import_journal(struct ledger *l, const char *dir, const char *head_file);
/* The acquirer's settlement file by its column map (NULL: our own format). Whole or not at all; a
 * file of the same name is refused. */
DP_MUST_USE DP_PARSES int ledger_import_acquirer(struct ledger *l, const char *path,
                                                 const char *map_path);
/* Matches in passes and classifies what is left. */
DP_MUST_USE int ledger_match(struct ledger *l);

/* Handed over without a network and lost: declined later, or not asked for in time. */
#define LEDGER_LOST                                                                                \
    "undone = '' AND (forward = 'declined' OR (mode = 'deferred' AND forward = 'given_up'))"

struct finance_total {
    char currency[4];
    int64_t journal_minor, acquirer_minor, explained_minor, residual_minor, fee_minor, net_minor;
};

struct finance_summary {
    const char *verdict;                               /* INCOMPLETE, BREAKS, PENDING, RECONCILED */
    struct finance_total total[LEDGER_CURRENCIES_MAX]; /* one a currency */
    size_t totals_n;
    int64_t journals, journals_bad, payments, lines, matched, breaks, pending, lost, degraded;
};
/* After ledger_match. */
DP_MUST_USE int ledger_summary(struct ledger *l, struct finance_summary *out);
/* Writes DIR/index.html, payments.csv, exceptions.csv, days.csv, summary.json. */
DP_MUST_USE int ledger_report(struct ledger *l, const char *dir);

#endif
