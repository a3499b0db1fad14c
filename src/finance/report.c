/* SPDX-License-Identifier: Apache-2.0 */
/* What a controller reads: one page, and the rows behind it as CSV. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "csv.h"
#include "ledger.h"

static FILE *open_out(struct ledger *l, const char *dir, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    if (f == NULL)
        (void)snprintf(l->error, sizeof l->error, "%s: %s", path, strerror(errno));
    return f;
}

static int close_out(struct ledger *l, FILE *f, const char *name)
{
    bool bad = ferror(f) != 0;
    if (fclose(f) != 0 || bad) {
        (void)snprintf(l->error, sizeof l->error, "%s: %s", name, strerror(errno));
        return DP_ERR_IO;
    }
    return DP_OK;
}

/* ---- text ---- */

static void html(FILE *f, const char *text)
{
    for (const char *p = text == NULL ? "" : text; *p != '\0'; p++) {
        const char *safe = *p == '<'    ? "&lt;"
                           : *p == '>'  ? "&gt;"
                           : *p == '&'  ? "&amp;"
                           : *p == '"'  ? "&quot;"
                           : *p == '\'' ? "&#39;"
                                        : NULL;
        if (safe != NULL)
            (void)fputs(safe, f);
        else
            (void)putc(*p, f);
    }
}

static const char *money(int64_t minor, const char *currency, char out[48])
{
    struct dp_money m = {minor, 0, 2};
    if (dp_currency_by_alpha(currency, &m.currency, &m.exponent) < 0)
        m.currency = 0;
    return dp_money_text(&m, out, 48);
}

/* ---- queries ---- */

static const char payments_sql[] =
    "SELECT p.journal, p.tx, p.tid, p.business_date, p.parcel, p.mode, p.reason, p.bin || CASE "
    "WHEN p.last4 <> '' THEN '******' ELSE '' END"
    " || p.last4, p.auth_code, p.forward,"
    " (SELECT coalesce(sum(amount), 0) FROM movement m WHERE m.journal = p.journal AND m.tx = p.tx "
    "AND m.state = 'captured'"
    "  AND m.class <> 'never_arrived') + (SELECT coalesce(sum(m.amount), 0) FROM movement m WHERE "
    "m.journal = p.journal AND m.tx = p.tx"
    "  AND m.state = 'maybe' AND m.line IS NOT NULL) AS final_amount,"
    " (SELECT coalesce(sum(l.amount), 0) FROM line l WHERE l.tx = p.tx) AS acquirer_amount,"
    " p.amount, p.currency FROM payment p ORDER BY p.wall_ms, p.tx";
static const char payments_header[] =
    "journal,transaction_id,tid,business_date,parcel,outcome,reason,card,auth_code,forwarded,final_"
    "amount,acquirer_amount,asked_amount,currency\n";

static const char exceptions_sql[] = "SELECT 'acquirer line' AS side, l.class, l.tx, l.tid, l.rrn, "
                                     "l.type, l.amount, l.currency, l.file || ':' || l.number"
                                     " FROM line l WHERE l.class <> 'matched' UNION ALL "
                                     "SELECT 'journal', m.class, m.tx, m.tid, m.rrn, m.type, "
                                     "m.amount, m.currency, m.journal FROM movement m"
                                     " WHERE m.class IN ('missing_at_acquirer', "
                                     "'reversal_missing_at_acquirer', 'pending') ORDER BY 2, 3";
static const char exceptions_header[] =
    "side,class,transaction_id,tid,rrn,type,amount,currency,where\n";

static const char days_sql[] =
    "SELECT d.business_date, d.tid, (SELECT count(*) FROM payment p WHERE p.business_date = "
    "d.business_date AND p.tid = d.tid),"
    " d.journal_amount, d.matched, d.open, d.bad, CASE WHEN d.bad > 0 THEN 'BREAKS' WHEN d.open > "
    "0 THEN 'PENDING' ELSE 'RECONCILED' END"
    " FROM (SELECT business_date, tid, sum(CASE WHEN state = 'captured' AND class <> "
    "'never_arrived' THEN amount ELSE 0 END) AS journal_amount,"
    " sum(class = 'matched') AS matched, sum(class = 'pending') AS open,"
    " sum(class IN ('missing_at_acquirer', 'reversal_missing_at_acquirer', 'amount_mismatch')) AS "
    "bad"
    " FROM movement GROUP BY business_date, tid) d ORDER BY 1, 2";
static const char days_header[] =
    "business_date,tid,payments,journal_amount,matched,pending,breaks,verdict\n";

static int write_csv(struct ledger *l, const char *dir, const char *name, const char *header,
                     const char *sql)
{
    sqlite3_stmt *s = NULL;
    FILE *f = open_out(l, dir, name);
    if (f == NULL)
        return DP_ERR_IO;
    (void)fputs(header, f);
    if (sqlite3_prepare_v2(l->db, sql, -1, &s, NULL) != SQLITE_OK)
        (void)snprintf(l->error, sizeof l->error, "%s", sqlite3_errmsg(l->db));
    while (s != NULL && sqlite3_step(s) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(s); i++) {
            const char *v = (const char *)sqlite3_column_text(s, i);
            csv_write_field(f, v != NULL ? v : "", i + 1 == sqlite3_column_count(s));
        }
    bool ok = s != NULL;
    (void)sqlite3_finalize(s);
    int err = close_out(l, f, name);
    return ok ? err : DP_ERR_IO;
}

/* ---- the page ---- */

static const char style[] =
    "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 "
    "1rem;color:#1a1a1a}"
    "h1{font-size:1.5rem}table{border-collapse:collapse;width:100%;margin:1rem "
    "0}th,td{padding:.3rem .6rem;border-bottom:1px solid #ddd;"
    "text-align:left;vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-"
    "nums}.v{display:inline-block;padding:.2rem .8rem;"
    "border-radius:.3rem;color:#fff;background:#7a1f1f}.v.RECONCILED{background:#1f6b35}.v.PENDING{"
    "background:#8a6100}code{font-size:.85em}</style>";

static void sum_row(FILE *f, const char *what, const char *why, int64_t minor, const char *currency)
{
    char text[48];
    (void)fprintf(f, "<tr><td>%s<br><small>%s</small></td><td class=\"n\">%s</td></tr>\n", what,
                  why, money(minor, currency, text));
}

static void page_sums(FILE *f, const struct finance_summary *s)
{
    (void)fputs("<h2>Every cent</h2>\n<table><tr><th>What</th><th class=\"n\">Amount</th></tr>\n",
                f);
    sum_row(f, "Captured by the journals",
            "paid at the door and accepted by the acquirer, less what was cancelled",
            s->journal_minor, s->currency);
    sum_row(f, "Captured by the acquirer", "its settlement file, sales less reversals",
            s->acquirer_minor, s->currency);
    sum_row(f, "Difference explained below", "row by row under Exceptions", s->explained_minor,
            s->currency);
    sum_row(f, "Unexplained", "must be zero", s->residual_minor, s->currency);
    sum_row(f, "The acquirer's fees", "as its file states them", s->fee_minor, s->currency);
    sum_row(f, "To be paid out", "captured by the acquirer less its fees", s->net_minor,
            s->currency);
    (void)fputs("</table>\n", f);
}

static bool is_number(const char *title)
{
    return strstr(title, "amount") != NULL || strcmp(title, "payments") == 0 ||
           strcmp(title, "matched") == 0 || strcmp(title, "pending") == 0 ||
           strcmp(title, "breaks") == 0;
}

static void page_titles(FILE *f, const char *header, bool *numbers, bool *amounts)
{
    char title[64];
    int i = 0;
    (void)fputs("<tr>", f);
    for (const char *at = header; *at != '\0' && *at != '\n'; i++) {
        size_t n = strcspn(at, ",\n");
        (void)snprintf(title, sizeof title, "%.*s", (int)n, at);
        numbers[i] = is_number(title);
        amounts[i] = strstr(title, "amount") != NULL;
        for (char *c = title; *c != '\0'; c++)
            if (*c == '_')
                *c = ' ';
        (void)fprintf(f, "<th%s>%s</th>", numbers[i] ? " class=\"n\"" : "", title);
        at += n + (at[n] == ',' ? 1 : 0);
    }
    (void)fputs("</tr>\n", f);
}

static void page_table(FILE *f, struct ledger *l, const char *title, const char *header,
                       const char *sql, const char *currency, const char *empty)
{
    bool numbers[CSV_COLUMNS_MAX] = {false}, amounts[CSV_COLUMNS_MAX] = {false};
    sqlite3_stmt *s = NULL;
    char text[48];
    unsigned rows = 0;
    (void)fprintf(f, "<h2>%s</h2>\n<table>", title);
    page_titles(f, header, numbers, amounts);
    if (sqlite3_prepare_v2(l->db, sql, -1, &s, NULL) != SQLITE_OK)
        return;
    while (sqlite3_step(s) == SQLITE_ROW) {
        rows++;
        (void)fputs("<tr>", f);
        for (int i = 0; i < sqlite3_column_count(s); i++) {
            (void)fputs(numbers[i] ? "<td class=\"n\">" : "<td>", f);
            if (amounts[i])
                html(f, money(sqlite3_column_int64(s, i), currency, text));
            else
                html(f, (const char *)sqlite3_column_text(s, i));
            (void)fputs("</td>", f);
        }
        (void)fputs("</tr>\n", f);
    }
    (void)sqlite3_finalize(s);
    (void)fputs("</table>\n", f);
    if (rows == 0)
        (void)fprintf(f, "<p>%s</p>\n", empty);
}

static const char *meaning(const char *verdict)
{
    if (strcmp(verdict, "RECONCILED") == 0)
        return "Journals and acquirer agree on every payment.";
    if (strcmp(verdict, "PENDING") == 0)
        return "No contradiction; some payments are still on their way to the acquirer.";
    if (strcmp(verdict, "BREAKS") == 0)
        return "Some rows contradict each other: see Exceptions.";
    return "Something is missing: a journal that did not verify, or the acquirer's file.";
}

static int write_page(struct ledger *l, const char *dir, const struct finance_summary *s)
{
    FILE *f = open_out(l, dir, "index.html");
    if (f == NULL)
        return DP_ERR_IO;
    (void)fprintf(f,
                  "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>doorpay: "
                  "reconciliation</title>%s</head><body>\n"
                  "<h1>Reconciliation <span class=\"v %s\">%s</span></h1><p>%s</p>\n",
                  style, s->verdict, s->verdict, meaning(s->verdict));
    (void)fprintf(f,
                  "<p>%" PRId64 " payments in %" PRId64 " journals, %" PRId64
                  " acquirer lines, %" PRId64 " matched, %" PRId64 " pending, %" PRId64
                  " breaks.</p>\n",
                  s->payments, s->journals, s->lines, s->matched, s->pending, s->breaks);
    page_sums(f, s);
    page_table(f, l, "Days", days_header, days_sql, s->currency, "No movement.");
    page_table(f, l, "Exceptions", exceptions_header, exceptions_sql, s->currency,
               "None: every line has its payment and every payment its line.");
    page_table(f, l, "Payments", payments_header, payments_sql, s->currency, "No payment.");
    page_table(f, l, "Journals", "id,verdict,records,directory\n",
               "SELECT id, verdict, records, dir FROM journal ORDER BY id", s->currency,
               "No journal.");
    (void)fputs("</body></html>\n", f);
    return close_out(l, f, "index.html");
}

static json_t *summary_json(const struct finance_summary *s)
{
    return json_pack(
        "{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "verdict", s->verdict,
        "currency", s->currency, "journal_amount", (json_int_t)s->journal_minor, "acquirer_amount",
        (json_int_t)s->acquirer_minor, "explained_amount", (json_int_t)s->explained_minor,
        "residual_amount", (json_int_t)s->residual_minor, "fee_amount", (json_int_t)s->fee_minor,
        "net_amount", (json_int_t)s->net_minor, "journals", (json_int_t)s->journals, "payments",
        (json_int_t)s->payments, "lines", (json_int_t)s->lines, "matched", (json_int_t)s->matched,
        "breaks", (json_int_t)s->breaks, "pending", (json_int_t)s->pending);
}

static int write_summary(struct ledger *l, const char *dir, const struct finance_summary *s)
{
    json_t *o = summary_json(s);
    FILE *f = open_out(l, dir, "summary.json");
    if (f == NULL || o == NULL) {
        json_decref(o);
        return DP_ERR_IO;
    }
    (void)json_dumpf(o, f, JSON_INDENT(2));
    (void)putc('\n', f);
    json_decref(o);
    return close_out(l, f, "summary.json");
}

int ledger_report(struct ledger *l, const char *dir)
{
    struct finance_summary s;
    int err;
    if (mkdir(dir, 0755) != 0 && errno != EEXIST) {
        (void)snprintf(l->error, sizeof l->error, "%s: %s", dir, strerror(errno));
        return DP_ERR_IO;
    }
    ledger_summary(l, &s);
    err = write_page(l, dir, &s);
    if (err == DP_OK)
        err = write_csv(l, dir, "payments.csv", payments_header, payments_sql);
    if (err == DP_OK)
        err = write_csv(l, dir, "exceptions.csv", exceptions_header, exceptions_sql);
    if (err == DP_OK)
        err = write_csv(l, dir, "days.csv", days_header, days_sql);
    if (err == DP_OK)
        err = write_summary(l, dir, &s);
    return err;
}
