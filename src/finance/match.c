/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matching in passes, strongest key first, each pass one to one and deterministic (lowest id
 * first). The amount is in no key: with it there, one wrong amount would become two missing lines.
 * What is left is classified; every movement and every line ends in exactly one class.
 */
#include "ledger.h"

#include <string.h>

/* One pass: each still free line takes the first still free movement with the same key. */
static int run_pass(struct ledger *l, const char *name, const char *key)
{
    char sql[1400];
    int err;
    (void)snprintf(
        sql, sizeof sql,
        "CREATE TEMP TABLE pair AS SELECT m.id AS movement, min(l.id) AS line FROM movement m JOIN "
        "line l"
        " ON l.type = m.type AND l.movement IS NULL AND %s"
        " WHERE m.line IS NULL AND m.state <> 'none' GROUP BY m.id;"
        "DELETE FROM pair WHERE movement NOT IN (SELECT min(movement) FROM pair GROUP BY line);"
        "UPDATE movement SET pass = '%s', line = (SELECT line FROM pair WHERE movement = "
        "movement.id)"
        " WHERE id IN (SELECT movement FROM pair);"
        "UPDATE line SET movement = (SELECT movement FROM pair WHERE line = line.id)"
        " WHERE id IN (SELECT line FROM pair);"
        "DROP TABLE pair;",
        key, name);
    do {
        int64_t before = ledger_value(l, "SELECT count(*) FROM movement WHERE line IS NOT NULL");
        err = ledger_run(l, sql);
        if (err < 0 ||
            ledger_value(l, "SELECT count(*) FROM movement WHERE line IS NOT NULL") == before)
            break;
    } while (true);
    return err;
}

static const struct {
    const char *name, *key;
} passes[] = {
    {"transaction and STAN", "l.tx <> '' AND l.tx = m.tx AND l.stan = m.stan AND l.tid = m.tid"},
    {"RRN", "l.rrn <> '' AND l.rrn = m.rrn AND l.currency = m.currency AND l.tid = m.tid"},
    {"terminal, batch and STAN",
     "l.tid = m.tid AND l.batch = m.batch AND l.stan = m.stan AND l.stan > 0"},
    {"terminal, STAN and approval code", "l.tid = m.tid AND l.stan = m.stan AND l.stan > 0 AND "
                                         "l.auth_code <> '' AND l.auth_code = m.auth_code"},
    {"transaction", "l.tx <> '' AND l.tx = m.tx AND l.tid = m.tid"},
};

/*
 * A message that got no answer was taken back: if the acquirer had heard it, its SALE and its
 * REVERSAL both stand there and cancel out; if not, neither does. Only one of the two is a break.
 */
static const char *const classes[] = {
    /* lines */
    "UPDATE line SET class = 'matched' WHERE movement IS NOT NULL",
    "UPDATE line SET class = 'amount_mismatch' WHERE movement IS NOT NULL AND"
    " (amount, currency) <> (SELECT amount, currency FROM movement WHERE id = line.movement)",
    "UPDATE line SET class = 'duplicate_at_acquirer' WHERE movement IS NULL AND EXISTS (SELECT 1 "
    "FROM line other"
    " WHERE other.id <> line.id AND other.movement IS NOT NULL AND other.type = line.type AND "
    "other.tid = line.tid"
    " AND other.stan = line.stan AND (other.tx = line.tx OR other.rrn = line.rrn))",
    "UPDATE line SET class = 'captured_though_not_paid' WHERE movement IS NULL AND class IS NULL "
    "AND EXISTS"
    " (SELECT 1 FROM payment WHERE payment.tx = line.tx)",
    "UPDATE line SET class = 'missing_in_journal' WHERE movement IS NULL AND class IS NULL",
    /* movements */
    "UPDATE movement SET class = 'none' WHERE state = 'none'",
    "UPDATE movement SET class = (SELECT class FROM line WHERE id = movement.line) WHERE line IS "
    "NOT NULL",
    "UPDATE movement SET class = 'missing_at_acquirer' WHERE line IS NULL AND state = 'captured' "
    "AND type = 'SALE'",
    "UPDATE movement SET class = 'pending' WHERE line IS NULL AND state = 'pending'",
    "UPDATE movement SET class = 'never_arrived' WHERE line IS NULL AND state = 'maybe'",
    /* an accepted reversal of something the acquirer never had leaves no line: nothing was captured
     */
    "UPDATE movement SET class = CASE WHEN EXISTS (SELECT 1 FROM movement sale WHERE sale.journal "
    "= movement.journal"
    " AND sale.tx = movement.tx AND sale.type = 'SALE' AND sale.line IS NOT NULL AND sale.state <> "
    "'none')"
    " THEN 'reversal_missing_at_acquirer' ELSE 'never_arrived' END"
    " WHERE line IS NULL AND state = 'captured' AND type = 'REVERSAL'",
};

int ledger_match(struct ledger *l)
{
    int err = ledger_run(l, "UPDATE movement SET line = NULL, pass = NULL, class = NULL;"
                            "UPDATE line SET movement = NULL, class = NULL");
    for (size_t i = 0; i < sizeof passes / sizeof passes[0] && err == DP_OK; i++)
        err = run_pass(l, passes[i].name, passes[i].key);
    for (size_t i = 0; i < sizeof classes / sizeof classes[0] && err == DP_OK; i++)
        err = ledger_run(l, classes[i]);
    return err;
}

/* By the journal: what is captured, and what was sent without an answer but stands at the acquirer.
 */
#define JOURNAL_SUM                                                                                \
    "SELECT coalesce(sum(amount), 0) FROM movement WHERE state = 'captured' AND class <> "         \
    "'never_arrived'"

static const char *verdict(const struct finance_summary *s)
{
    if (s->journals == 0 || s->journals_bad > 0 ||
        (s->lines == 0 && s->matched == 0 && s->payments > 0 && s->pending == 0 &&
         s->journal_minor != 0))
        return "INCOMPLETE";
    if (s->breaks > 0 || s->residual_minor != 0)
        return "BREAKS";
    return s->pending > 0 ? "PENDING" : "RECONCILED";
}

void ledger_summary(struct ledger *l, struct finance_summary *s)
{
    sqlite3_stmt *q = NULL;
    memset(s, 0, sizeof *s);
    s->journals = ledger_value(l, "SELECT count(*) FROM journal");
    s->journals_bad =
        ledger_value(l, "SELECT count(*) FROM journal WHERE verdict IN ('ROLLBACK', 'TAMPERED')");
    s->payments = ledger_value(l, "SELECT count(*) FROM payment");
    s->lines = ledger_value(l, "SELECT count(*) FROM line");
    s->matched = ledger_value(l, "SELECT count(*) FROM line WHERE class = 'matched'");
    s->journal_minor = ledger_value(l, JOURNAL_SUM);
    s->acquirer_minor = ledger_value(l, "SELECT coalesce(sum(amount), 0) FROM line");
    s->fee_minor = ledger_value(l, "SELECT coalesce(sum(fee), 0) FROM line");
    s->net_minor = ledger_value(l, "SELECT coalesce(sum(net), 0) FROM line");
    /* acquirer - journal, class by class: each difference stands for rows a person can look at */
    s->explained_minor =
        ledger_value(l, "SELECT coalesce(sum(amount), 0) FROM line WHERE movement IS NULL") -
        ledger_value(l, "SELECT coalesce(sum(amount), 0) FROM movement WHERE line IS NULL AND "
                        "state = 'captured'"
                        " AND class <> 'never_arrived'") +
        ledger_value(l, "SELECT coalesce(sum(l.amount - m.amount), 0) FROM line l JOIN movement m "
                        "ON m.id = l.movement"
                        " WHERE l.class = 'amount_mismatch'") +
        ledger_value(l, "SELECT coalesce(sum(m.amount), 0) FROM movement m WHERE line IS NOT NULL "
                        "AND state <> 'captured'");
    s->residual_minor = s->acquirer_minor - s->journal_minor - s->explained_minor;
    s->breaks = ledger_value(l, "SELECT count(*) FROM line WHERE class NOT IN ('matched')") +
                ledger_value(l, "SELECT count(*) FROM movement WHERE class IN "
                                "('missing_at_acquirer', 'reversal_missing_at_acquirer')") +
                ledger_value(l, "SELECT count(*) FROM movement m WHERE m.type = 'SALE' AND m.state "
                                "= 'maybe' AND m.line IS NOT NULL"
                                " AND NOT EXISTS (SELECT 1 FROM movement r WHERE r.journal = "
                                "m.journal AND r.tx = m.tx AND r.type = 'REVERSAL')");
    s->pending = ledger_value(l, "SELECT count(*) FROM movement WHERE class = 'pending'") +
                 ledger_value(l, "SELECT count(*) FROM payment WHERE mode = 'open' OR (mode = "
                                 "'deferred' AND forward = 'pending')");
    if (sqlite3_prepare_v2(l->db,
                           "SELECT currency FROM movement UNION SELECT currency FROM line LIMIT 1",
                           -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW)
        (void)snprintf(s->currency, sizeof s->currency, "%s",
                       (const char *)sqlite3_column_text(q, 0));
    (void)sqlite3_finalize(q);
    s->verdict = verdict(s);
}
