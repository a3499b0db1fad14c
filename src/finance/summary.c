/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict and the sums. What the acquirer captured less what the journals say was captured is
 * added up class by class; only a row without a known class, or a "matched" one that does not
 * agree, can leave a residual.
 */
#include <string.h>

#include "ledger.h"

#define SUM(what, from, where)                                                                     \
    "(SELECT coalesce(sum(" what "), 0) FROM " from " WHERE currency = c.currency" where ")"

static const char totals_sql[] =
    "SELECT c.currency, " SUM("amount", "movement", " AND counts = 1") ", " SUM(
        "amount", "line",
        "") ", " SUM("amount", "difference",
                     " AND class IN (SELECT name FROM class WHERE name <> "
                     "'matched')") ", " SUM("fee", "line",
                                            "") ", " SUM("net", "line",
                                                         "") " FROM (SELECT currency FROM movement "
                                                             "UNION SELECT currency FROM line) c "
                                                             "ORDER BY c.currency";

struct totals {
    struct finance_summary *summary;
    bool too_many;
};

static void take_total(void *user, sqlite3_stmt *row)
{
    struct totals *t = user;
    struct finance_total *out;
    if (t->summary->totals_n == LEDGER_CURRENCIES_MAX) {
        t->too_many = true;
        return;
    }
    out = &t->summary->total[t->summary->totals_n++];
    (void)snprintf(out->currency, sizeof out->currency, "%s",
                   (const char *)sqlite3_column_text(row, 0));
    out->journal_minor = sqlite3_column_int64(row, 1);
    out->acquirer_minor = sqlite3_column_int64(row, 2);
    out->explained_minor = sqlite3_column_int64(row, 3);
    out->fee_minor = sqlite3_column_int64(row, 4);
    out->net_minor = sqlite3_column_int64(row, 5);
    out->residual_minor = out->acquirer_minor - out->journal_minor - out->explained_minor;
}

static int take_counts(struct ledger *l, struct finance_summary *s, int64_t *captured)
{
    const struct {
        int64_t *out;
        const char *sql;
    } counts[] = {
        {&s->journals, "SELECT count(*) FROM journal"},
        {&s->journals_bad,
         "SELECT count(*) FROM journal WHERE verdict IN ('ROLLBACK', 'TAMPERED')"},
        {&s->payments, "SELECT count(*) FROM payment"},
        {&s->lines, "SELECT count(*) FROM line"},
        {&s->matched, "SELECT count(*) FROM line WHERE class = 'matched'"},
        {&s->breaks, "SELECT count(*) FROM finding WHERE weight = 'break'"},
        {&s->pending, "SELECT count(*) FROM finding WHERE weight = 'pending'"},
        {&s->lost, "SELECT count(*) FROM payment WHERE " LEDGER_LOST},
        {&s->degraded, "SELECT count(*) FROM payment WHERE degraded"},
        {captured, "SELECT count(*) FROM movement WHERE counts = 1"},
    };
    int err = DP_OK;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0] && err == DP_OK; i++)
        err = ledger_value(l, counts[i].sql, counts[i].out);
    return err;
}

static const char *verdict(const struct finance_summary *s, int64_t captured)
{
    bool residual = false;
    for (size_t i = 0; i < s->totals_n; i++)
        residual = residual || s->total[i].residual_minor != 0;
    if (s->journals == 0 || s->journals_bad > 0 || (s->lines == 0 && captured > 0))
        return "INCOMPLETE";
    if (s->breaks > 0 || residual)
        return "BREAKS";
    return s->pending > 0 ? "PENDING" : "RECONCILED";
}

int ledger_summary(struct ledger *l, struct finance_summary *out)
{
    struct totals totals = {out, false};
    int64_t captured = 0;
    memset(out, 0, sizeof *out);
    int err = take_counts(l, out, &captured);
    if (err == DP_OK)
        err = ledger_each(l, totals_sql, take_total, &totals);
    if (err == DP_OK && totals.too_many) {
        (void)snprintf(l->error, sizeof l->error, "more than %d currencies", LEDGER_CURRENCIES_MAX);
        err = DP_ERR_LIMIT;
    }
    out->verdict = verdict(out, captured);
    return err;
}
