/* SPDX-License-Identifier: Apache-2.0 */
/* What finance keeps and loads elsewhere: the rows as CSV, the verdict and the sums as JSON. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "csv.h"

FILE *report_open(struct ledger *l, const char *dir, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    if (f == NULL)
        (void)snprintf(l->error, sizeof l->error, "%.400s: %s", path, strerror(errno));
    return f;
}

int report_close(struct ledger *l, FILE *f, const char *name)
{
    bool bad = ferror(f) != 0;
    if (fclose(f) != 0 || bad) {
        (void)snprintf(l->error, sizeof l->error, "%s: cannot be written", name);
        return DP_ERR_IO;
    }
    return DP_OK;
}

const char *report_money(int64_t minor, const char *currency, char out[48])
{
    struct dp_money m = {minor, 0, 0};
    if (dp_currency_by_alpha(currency, &m.currency, &m.exponent) == DP_OK)
        return dp_money_text(&m, out, 48);
    (void)snprintf(out, 48, "%" PRId64 " minor units of %.8s", minor, currency);
    return out;
}

/* ---- rows ---- */

#define CAPTURED                                                                                   \
    "(SELECT coalesce(sum(m.amount), 0) FROM movement m WHERE m.journal = p.journal AND m.tx = "   \
    "p.tx AND m.counts = 1)"
#define AT_ACQUIRER                                                                                \
    "((SELECT coalesce(sum(l.amount), 0) FROM movement m JOIN line l ON l.id = m.line WHERE "      \
    "m.journal = p.journal AND m.tx = p.tx) + (SELECT coalesce(sum(l.amount), 0) FROM line l "     \
    "WHERE l.movement IS NULL AND l.tx = p.tx AND l.tx <> ''))"

const struct report_table report_payments = {
    "payments.csv",
    "business_date,tid,parcel,mode,undone,reason,card,auth_code,forwarded,asked_amount,final_"
    "amount,acquirer_amount,currency,transaction_id,journal,degraded\n",
    "SELECT p.business_date AS d, p.tid, p.parcel, p.mode, p.undone, p.reason, p.bin || CASE WHEN "
    "p.last4 <> '' THEN '******' ELSE '' END || p.last4 AS card, p.auth_code AS code, p.forward, "
    "p.amount AS asked, " CAPTURED " AS captured, " AT_ACQUIRER " AS acquirer, p.currency, p.tx, "
    "p.journal, p.degraded FROM payment p ORDER BY p.wall_ms, p.tx"};

static const struct report_table exceptions = {
    "exceptions.csv",
    "weight,class,reason,action,type,transaction_id,tid,rrn,auth_code,business_date,journal_"
    "amount,currency,acquirer_amount,acquirer_currency,place\n",
    "SELECT weight, class, words, action, type, tx, tid, rrn, auth_code, business_date, "
    "journal_amount, currency, acquirer_amount, acquirer_currency, place FROM finding ORDER BY "
    "weight, class, business_date, tid, tx, place"};

#define OF_DAY(weight)                                                                             \
    "(SELECT count(*) FROM finding f WHERE f.business_date = d.business_date AND f.tid = d.tid "   \
    "AND coalesce(f.currency, f.acquirer_currency) = d.currency AND f.weight = '" weight "')"

const struct report_table report_days = {
    "days.csv",
    "business_date,tid,payments,journal_amount,acquirer_amount,currency,breaks,pending,verdict\n",
    "WITH d AS (SELECT business_date, tid, currency FROM payment UNION SELECT business_date, tid, "
    "currency FROM line UNION SELECT business_date, tid, currency FROM movement), "
    "n AS (SELECT d.*, (SELECT count(*) FROM payment p WHERE p.business_date = d.business_date AND "
    "p.tid = d.tid AND p.currency = d.currency) AS payments, (SELECT coalesce(sum(amount), 0) FROM "
    "movement m WHERE m.counts = 1 AND m.business_date = d.business_date AND m.tid = d.tid AND "
    "m.currency = d.currency) AS journal, (SELECT coalesce(sum(amount), 0) FROM line l WHERE "
    "l.business_date = d.business_date AND l.tid = d.tid AND l.currency = d.currency) AS "
    "acquirer, " OF_DAY("break") " AS breaks, " OF_DAY(
        "pending") " AS pending FROM d) SELECT business_date, tid, payments, journal, acquirer, "
                   "currency, breaks, pending, CASE WHEN breaks > 0 THEN 'BREAKS' WHEN pending > 0 "
                   "THEN 'PENDING' ELSE 'RECONCILED' END AS verdict FROM n ORDER BY 1, 2, 6"};

static void write_row(void *user, sqlite3_stmt *row)
{
    int columns = sqlite3_column_count(row);
    for (int i = 0; i < columns; i++) {
        const char *v = (const char *)sqlite3_column_text(row, i);
        csv_write_field(user, v != NULL ? v : "", i + 1 == columns);
    }
}

static int write_csv(struct ledger *l, const char *dir, const struct report_table *t)
{
    FILE *f = report_open(l, dir, t->file);
    if (f == NULL)
        return DP_ERR_IO;
    (void)fputs(t->header, f);
    int err = ledger_each(l, t->sql, write_row, f);
    int closed = report_close(l, f, t->file);
    return err < 0 ? err : closed;
}

/* ---- the sums ---- */

static json_t *total_json(const struct finance_total *t)
{
    return json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "currency", t->currency, "journal_amount",
                     (json_int_t)t->journal_minor, "acquirer_amount", (json_int_t)t->acquirer_minor,
                     "explained_amount", (json_int_t)t->explained_minor, "residual_amount",
                     (json_int_t)t->residual_minor, "fee_amount", (json_int_t)t->fee_minor,
                     "net_amount", (json_int_t)t->net_minor);
}

static json_t *summary_json(const struct finance_summary *s)
{
    json_t *totals = json_array();
    int64_t residual = 0; /* of all currencies, one not hiding another: 0 or wrong */
    for (size_t i = 0; i < s->totals_n; i++) {
        residual += llabs(s->total[i].residual_minor);
        (void)json_array_append_new(totals, total_json(&s->total[i]));
    }
    return json_pack("{s:s,s:I,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "verdict", s->verdict,
                     "residual", (json_int_t)residual, "totals", totals, "journals",
                     (json_int_t)s->journals, "journals_bad", (json_int_t)s->journals_bad,
                     "payments", (json_int_t)s->payments, "lines", (json_int_t)s->lines, "matched",
                     (json_int_t)s->matched, "breaks", (json_int_t)s->breaks, "pending",
                     (json_int_t)s->pending, "declined_later", (json_int_t)s->lost, "degraded",
                     (json_int_t)s->degraded);
}

static int write_summary(struct ledger *l, const char *dir, const struct finance_summary *s)
{
    json_t *o = summary_json(s);
    FILE *f = report_open(l, dir, "summary.json");
    if (f == NULL || o == NULL) {
        json_decref(o);
        return DP_ERR_IO;
    }
    (void)json_dumpf(o, f, JSON_INDENT(2));
    (void)putc('\n', f);
    json_decref(o);
    return report_close(l, f, "summary.json");
}

int ledger_report(struct ledger *l, const char *dir)
{
    struct finance_summary s;
    int err;
    if (mkdir(dir, 0755) != 0 && errno != EEXIST) {
        (void)snprintf(l->error, sizeof l->error, "%s: %s", dir, strerror(errno));
        return DP_ERR_IO;
    }
    err = ledger_summary(l, &s);
    if (err == DP_OK)
        err = report_page(l, dir, &s);
    if (err == DP_OK)
        err = write_csv(l, dir, &report_payments);
    if (err == DP_OK)
        err = write_csv(l, dir, &exceptions);
    if (err == DP_OK)
        err = write_csv(l, dir, &report_days);
    return err == DP_OK ? write_summary(l, dir, &s) : err;
}
