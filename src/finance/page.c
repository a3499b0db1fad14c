/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one page a controller reads: the verdict, every cent of the difference, what to do. It loads
 * nothing from anywhere and prints as it stands.
 */
#include <inttypes.h>
#include <string.h>

#include "report.h"

#define ROWS_MAX 500 /* of a table; the CSV files have all */

static const char style[] =
    "<style>\n"
    ":root{color-scheme:light}\n"
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1.5rem;"
    "color:#1b1b1b;background:#fff}\n"
    "h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2rem 0 .2rem}\n"
    "p{margin:.3rem 0}.quiet{color:#595959}\n"
    "table{border-collapse:collapse;width:100%;margin:.6rem 0}\n"
    "th,td{padding:.35rem .6rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}\n"
    "th{font-weight:600;border-bottom:2px solid #888;background:#fafafa}\n"
    ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    ".one{white-space:nowrap}"
    ".mono{font-family:ui-monospace,monospace;font-size:.82em;overflow-wrap:anywhere}\n"
    "table.sums{max-width:50rem}tr.sum td{font-weight:600;border-top:2px solid #888}tr.part "
    "td{padding-left:2rem}\n"
    "tr.part td.n{padding-left:.6rem}td small{color:#595959;font-weight:400}\n"
    ".v{display:inline-block;padding:.1rem .7rem;border-radius:.3rem;color:#fff;"
    "background:#8f1d1d;font-size:.85em;font-weight:600}\n"
    ".v.RECONCILED{background:#1c6a33}.v.PENDING{background:#7a5600}\n"
    ".head{border-left:.5rem solid #8f1d1d;padding:.2rem 0 .2rem 1rem}\n"
    ".head.RECONCILED{border-color:#1c6a33}.head.PENDING{border-color:#7a5600}\n"
    "@media print{body{margin:0;max-width:none;font-size:11px;padding:0}"
    "tr{break-inside:avoid}h2{break-after:avoid}.v{border:1px solid #000;color:#000;"
    "background:none}}\n"
    "</style>\n";

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

static const char *column(sqlite3_stmt *row, int i)
{
    const char *text = (const char *)sqlite3_column_text(row, i);
    return text != NULL ? text : "";
}

/* ---- tables ---- */

/* How one column is shown. */
enum show {
    TEXT,
    MONO,  /* a long identifier: it may break */
    SHORT, /* an identifier on one line */
    NUMBER,
    AMOUNT, /* minor units; the currency is the column after it, which is not shown itself */
    DATE,   /* YYYYMMDD */
    BADGE,
};

struct shown {
    const char *title;
    enum show how;
};

struct table {
    FILE *f;
    const struct shown *columns;
    size_t columns_n;
    unsigned rows;
};

static void cell(FILE *f, sqlite3_stmt *row, int at, enum show how)
{
    const char *text = column(row, at);
    char amount[48];
    bool none = sqlite3_column_type(row, at) == SQLITE_NULL;
    switch (how) {
    case AMOUNT:
        (void)fputs("<td class=\"n\">", f);
        html(f,
             none ? "–" : report_money(sqlite3_column_int64(row, at), column(row, at + 1), amount));
        break;
    case NUMBER:
        (void)fputs("<td class=\"n\">", f);
        html(f, text);
        break;
    case MONO:
        (void)fputs("<td class=\"mono\">", f);
        html(f, text);
        break;
    case SHORT:
        (void)fputs("<td class=\"mono one\">", f);
        html(f, text);
        break;
    case DATE:
        (void)fputs("<td class=\"one\">", f);
        if (strlen(text) == 8)
            (void)fprintf(f, "%.4s-%.2s-%.2s", text, text + 4, text + 6);
        else
            html(f, strcmp(text, "0") == 0 ? "" : text);
        break;
    case BADGE:
        (void)fputs("<td><span class=\"v ", f);
        html(f, text);
        (void)fputs("\">", f);
        html(f, text);
        (void)fputs("</span>", f);
        break;
    default:
        (void)fputs("<td>", f);
        html(f, text);
        break;
    }
    (void)fputs("</td>", f);
}

static void table_row(void *user, sqlite3_stmt *row)
{
    struct table *t = user;
    int at = 0;
    if (t->rows++ >= ROWS_MAX)
        return;
    if (t->rows == 1) {
        (void)fputs("<table>\n<thead><tr>", t->f);
        for (size_t i = 0; i < t->columns_n; i++) {
            enum show how = t->columns[i].how;
            (void)fprintf(t->f, "<th%s>%s</th>",
                          how == NUMBER || how == AMOUNT ? " class=\"n\"" : "",
                          t->columns[i].title);
        }
        (void)fputs("</tr></thead>\n<tbody>\n", t->f);
    }
    (void)fputs("<tr>", t->f);
    for (size_t i = 0; i < t->columns_n; i++) {
        cell(t->f, row, at, t->columns[i].how);
        at += t->columns[i].how == AMOUNT ? 2 : 1;
    }
    (void)fputs("</tr>\n", t->f);
}

/* A heading, what it means, the rows; a sentence when there are none. */
static int section(struct ledger *l, FILE *f, const char *title, const char *meaning,
                   const char *empty, const struct shown *columns, size_t columns_n,
                   const char *sql)
{
    struct table t = {f, columns, columns_n, 0};
    (void)fprintf(f, "<h2>%s</h2>\n<p class=\"quiet\">%s</p>\n", title, meaning);
    int err = ledger_each(l, sql, table_row, &t);
    if (t.rows > 0)
        (void)fputs("</tbody></table>\n", f);
    else
        (void)fprintf(f, "<p>%s</p>\n", empty);
    if (t.rows > ROWS_MAX)
        (void)fprintf(f,
                      "<p>The first %d of %u rows; all are in the CSV files beside this page."
                      "</p>\n",
                      ROWS_MAX, t.rows);
    return err;
}

#define SECTION(l, f, title, meaning, empty, columns, sql)                                         \
    section(l, f, title, meaning, empty, columns, sizeof columns / sizeof columns[0], sql)

/* ---- every cent ---- */

static void sum_row(FILE *f, const char *kind, const char *what, const char *why, int64_t minor,
                    const char *currency)
{
    char text[48];
    (void)fprintf(f, "<tr class=\"%s\"><td>", kind);
    html(f, what);
    if (why[0] != '\0') {
        (void)fputs("<br><small>", f);
        html(f, why);
        (void)fputs("</small>", f);
    }
    (void)fprintf(f, "</td><td class=\"n\">%s</td></tr>\n", report_money(minor, currency, text));
}

static void difference_row(void *user, sqlite3_stmt *row)
{
    char why[64];
    int64_t n = sqlite3_column_int64(row, 2);
    (void)snprintf(why, sizeof why, "%" PRId64 " row%s below", n, n == 1 ? "" : "s");
    sum_row(user, "part", column(row, 0), n > 0 ? why : "", sqlite3_column_int64(row, 1),
            column(row, 3));
}

static int sums(struct ledger *l, FILE *f, const struct finance_total *t)
{
    char sql[512];
    int64_t difference = t->acquirer_minor - t->journal_minor;
    /* currency codes are those of our list, three letters: they can stand in a query */
    (void)snprintf(
        sql, sizeof sql,
        "SELECT k.words, d.amount, (SELECT count(*) FROM finding f WHERE f.class = k.name "
        "AND (f.currency = d.currency OR f.acquirer_currency = d.currency)), d.currency "
        "FROM difference d JOIN class k ON "
        "k.name = d.class WHERE d.currency = '%s' AND k.name <> 'matched' AND (d.amount "
        "<> 0 OR k.weight <> 'agreed') ORDER BY k.weight, k.name",
        t->currency);
    (void)fprintf(f,
                  "<h2>Every cent, %s</h2>\n<table class=\"sums\"><thead><tr><th>What</th><th "
                  "class=\"n\">Amount"
                  "</th></tr></thead>\n<tbody>\n",
                  t->currency);
    sum_row(f, "", "Captured by the journals",
            "paid at the door and taken by the acquirer, less what was cancelled", t->journal_minor,
            t->currency);
    sum_row(f, "", "Captured by the acquirer", "its file: sales less reversals", t->acquirer_minor,
            t->currency);
    sum_row(f, "sum", "Difference", "acquirer less journals", difference, t->currency);
    int err = ledger_each(l, sql, difference_row, f);
    sum_row(f, "sum", "Unexplained",
            t->residual_minor == 0 ? "every cent of the difference has its row below"
                                   : "must be zero: do not book this; report it as a defect",
            t->residual_minor, t->currency);
    sum_row(f, "", "The acquirer's fees", "as its file states them", t->fee_minor, t->currency);
    sum_row(f, "", "To be paid out", "captured by the acquirer less its fees", t->net_minor,
            t->currency);
    (void)fputs("</tbody></table>\n", f);
    return err;
}

/* ---- the page ---- */

static const char *meaning(const char *verdict)
{
    if (strcmp(verdict, "RECONCILED") == 0)
        return "Journals and acquirer agree on every payment. Nothing to do.";
    if (strcmp(verdict, "PENDING") == 0)
        return "Nothing contradicts; some payments are still on their way to the acquirer.";
    if (strcmp(verdict, "BREAKS") == 0)
        return "Some rows contradict each other. Each stands below with what to do.";
    return "Something is missing: a journal that did not verify, or the acquirer's lines. Do not "
           "book on this page.";
}

static void count(FILE *f, int64_t n, const char *what)
{
    (void)fprintf(f, "%" PRId64 " %s%s", n, what, n == 1 ? "" : "s");
}

static void head(FILE *f, const struct finance_summary *s)
{
    (void)fprintf(f,
                  "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta "
                  "name=\"viewport\" content=\"width=device-width\">\n<title>doorpay: "
                  "reconciliation, %s</title>\n%s</head><body>\n<div class=\"head %s\">"
                  "<h1>Reconciliation <span class=\"v %s\">%s</span></h1>\n<p>%s</p>\n",
                  s->verdict, style, s->verdict, s->verdict, s->verdict, meaning(s->verdict));
    (void)fputs("<p class=\"quiet\">", f);
    count(f, s->payments, "payment");
    (void)fputs(" in ", f);
    count(f, s->journals - s->journals_bad, "verified journal");
    (void)fputs(", ", f);
    count(f, s->lines, "acquirer line");
    (void)fprintf(f, ": %" PRId64 " agree, ", s->matched);
    count(f, s->breaks, "break");
    (void)fprintf(f, ", %" PRId64 " waiting, %" PRId64 " declined later.", s->pending, s->lost);
    if (s->degraded > 0)
        (void)fprintf(f, " <strong>Made while a token's anchor was dead: %" PRId64 ".</strong>",
                      s->degraded);
    if (s->journals_bad > 0)
        (void)fprintf(f, " <strong>Not counted, because they did not verify: %" PRId64 ".</strong>",
                      s->journals_bad);
    (void)fputs("</p></div>\n", f);
}

#define FINDING_SQL(weight)                                                                        \
    "SELECT f.words, f.action, f.business_date, f.tid, (SELECT p.parcel FROM payment p WHERE "     \
    "p.tx = f.tx AND f.tx <> ''), f.journal_amount, f.currency, f.acquirer_amount, "               \
    "f.acquirer_currency, f.tx, f.place FROM finding f WHERE f.weight = '" weight                  \
    "' ORDER BY f.class, f.business_date, f.tid, f.tx, f.place"

static int findings(struct ledger *l, FILE *f)
{
    static const struct shown columns[] = {
        {"Reason", TEXT},     {"What to do", TEXT},  {"Day", DATE},
        {"Terminal", SHORT},  {"Parcel", SHORT},     {"Journal", AMOUNT},
        {"Acquirer", AMOUNT}, {"Transaction", MONO}, {"Where", MONO}};
    static const struct shown door[] = {
        {"Day", DATE},  {"Terminal", SHORT}, {"Parcel", SHORT},    {"Card", SHORT},
        {"Mode", TEXT}, {"Amount", AMOUNT},  {"Transaction", MONO}};
    int err = SECTION(l, f, "Breaks", "The two sides contradict each other.",
                      "None: every line has its payment and every payment its line.", columns,
                      FINDING_SQL("break"));
    if (err == DP_OK)
        err = SECTION(l, f, "Waiting", "Not a contradiction yet: the acquirer will hear of it.",
                      "Nothing waits.", columns, FINDING_SQL("pending"));
    if (err == DP_OK)
        err = SECTION(l, f, "Declined later",
                      "Handed over at the door without a network and declined afterwards, or "
                      "not asked for in time: not paid, our loss unless the customer pays again.",
                      "None.", door,
                      "SELECT business_date, tid, parcel, bin || '******' || last4, mode, amount, "
                      "currency, tx FROM payment WHERE " LEDGER_LOST " ORDER BY wall_ms, tx");
    if (err == DP_OK)
        err = SECTION(l, f, "Degraded",
                      "Made while the anchor of the terminal's token was dead: signed like any "
                      "other, but until the anchor works again only a head file can tell whether "
                      "the newest of them are missing. Have the terminal seen to.",
                      "None.", door,
                      "SELECT business_date, tid, parcel, bin || '******' || last4, mode, amount, "
                      "currency, tx FROM payment WHERE degraded ORDER BY wall_ms, tx");
    return err;
}

/* How a payment stands, in words. */
#define STANDS                                                                                     \
    "CASE p.mode WHEN 'open' THEN 'begun, not ended' ELSE p.mode END || CASE p.undone WHEN '' "    \
    "THEN '' WHEN 'void' THEN ', cancelled before it was sent' ELSE ', cancelled' END || CASE "    \
    "p.forward WHEN 'declined' THEN ', declined later' WHEN 'pending' THEN ', not sent yet' WHEN " \
    "'given_up' THEN ', never taken' ELSE '' END"

static int overview(struct ledger *l, FILE *f)
{
    static const struct shown modes[] = {
        {"How it was paid", TEXT}, {"Payments", NUMBER}, {"Asked", AMOUNT}, {"Captured", AMOUNT}};
    static const struct shown days[] = {
        {"Day", DATE},        {"Terminal", SHORT}, {"Payments", NUMBER}, {"Journal", AMOUNT},
        {"Acquirer", AMOUNT}, {"Breaks", NUMBER},  {"Pending", NUMBER},  {"Verdict", BADGE}};
    int err = SECTION(
        l, f, "By mode", "What the journals hold, by how it ended at the door.", "No payment.",
        modes,
        "SELECT " STANDS ", count(*), sum(amount), currency, (SELECT "
        "coalesce(sum(m.amount), 0) FROM movement m JOIN payment q ON q.journal = m.journal AND "
        "q.tx = m.tx WHERE m.counts = 1 AND q.mode = p.mode AND q.undone = p.undone AND q.forward "
        "= p.forward AND m.currency = p.currency), currency FROM payment p GROUP BY mode, undone, "
        "forward, currency ORDER BY mode, undone, forward, currency");
    char sql[2048];
    (void)snprintf(sql, sizeof sql,
                   "SELECT business_date, tid, payments, journal, currency, acquirer, currency, "
                   "breaks, pending, verdict FROM (%s)",
                   report_days.sql);
    if (err == DP_OK)
        err = SECTION(l, f, "By day and terminal", "Business days as the terminals keep them.",
                      "No day.", days, sql);
    return err;
}

static int details(struct ledger *l, FILE *f)
{
    static const struct shown payments[] = {
        {"Day", DATE},     {"Terminal", SHORT},  {"Parcel", SHORT},    {"How it was paid", TEXT},
        {"Reason", TEXT},  {"Flag", TEXT},       {"Card", SHORT},      {"Approval", SHORT},
        {"Asked", AMOUNT}, {"Captured", AMOUNT}, {"Acquirer", AMOUNT}, {"Transaction", MONO}};
    static const struct shown journals[] = {{"Journal", MONO},
                                            {"Verdict", TEXT},
                                            {"In words", TEXT},
                                            {"Records", NUMBER},
                                            {"Directory", MONO}};
    char sql[2048];
    (void)snprintf(sql, sizeof sql,
                   "SELECT d, tid, parcel, " STANDS
                   ", nullif(reason, 'none'), CASE degraded WHEN 0 THEN '' ELSE 'degraded' END, "
                   "card, code, asked, "
                   "currency, captured, currency, acquirer, currency, tx FROM (%s) p",
                   report_payments.sql);
    int err = SECTION(l, f, "Payments", "One row a payment, in the order they ended.",
                      "No payment.", payments, sql);
    if (err == DP_OK)
        err = SECTION(l, f, "Journals",
                      "Verified before a payment was counted. Without a head file from the "
                      "collector, a verifier cannot know whether the newest records are missing.",
                      "No journal.", journals,
                      "SELECT id, verdict, words, records, dir FROM journal ORDER BY id, dir");
    return err;
}

int report_page(struct ledger *l, const char *dir, const struct finance_summary *s)
{
    FILE *f = report_open(l, dir, "index.html");
    int err = DP_OK;
    if (f == NULL)
        return DP_ERR_IO;
    head(f, s);
    for (size_t i = 0; i < s->totals_n && err == DP_OK; i++)
        err = sums(l, f, &s->total[i]);
    if (err == DP_OK)
        err = findings(l, f);
    if (err == DP_OK)
        err = overview(l, f);
    if (err == DP_OK)
        err = details(l, f);
    (void)fputs("</body></html>\n", f);
    int closed = report_close(l, f, "index.html");
    return err < 0 ? err : closed;
}
