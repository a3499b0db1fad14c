/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay-finance: journals against the acquirer's file. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "dp_config.h"
#include "report.h"

#define JOURNALS_MAX 1024

struct options {
    const char *journals[JOURNALS_MAX], *acquirer, *map, *out, *store, *head;
    int journals_n;
    bool json;
};

static int usage(FILE *to, int status)
{
    (void)fputs(
        "usage: doorpay-finance reconcile --journal DIR... --acquirer FILE --out DIR\n"
        "                       [--map FILE] [--store sqlite:FILE] [--head FILE] [--json]\n"
        "\n"
        "or step by step, over days, into one store:\n"
        "       doorpay-finance init --store sqlite:FILE\n"
        "       doorpay-finance import --store sqlite:FILE [--journal DIR... [--head FILE]]\n"
        "                       [--acquirer FILE [--map FILE]]\n"
        "       doorpay-finance match --store sqlite:FILE\n"
        "       doorpay-finance report --store sqlite:FILE --out DIR [--json]\n"
        "\n"
        "exit status of reconcile and report: 0 reconciled or pending, 1 breaks, incomplete or\n"
        "failed; of the others 0 done, 1 failed, or a journal that does not verify; 2 wrong "
        "usage\n",
        to);
    return status;
}

static int wrong(const char *word, const char *words)
{
    (void)fprintf(stderr, "doorpay-finance: %s %s\n", word, words);
    return usage(stderr, 2);
}

/* 0, or 2 after a message. */
static int read_options(int argc, char **argv, struct options *o)
{
    memset(o, 0, sizeof *o);
    for (int i = 2; i < argc; i++) {
        const char **place = strcmp(argv[i], "--acquirer") == 0 ? &o->acquirer
                             : strcmp(argv[i], "--map") == 0    ? &o->map
                             : strcmp(argv[i], "--out") == 0    ? &o->out
                             : strcmp(argv[i], "--store") == 0  ? &o->store
                             : strcmp(argv[i], "--head") == 0   ? &o->head
                                                                : NULL;
        int journals = o->journals_n;
        if (strcmp(argv[i], "--json") == 0) {
            o->json = true;
        } else if (strcmp(argv[i], "--journal") == 0) {
            while (i + 1 < argc && argv[i + 1][0] != '-' && o->journals_n < JOURNALS_MAX)
                o->journals[o->journals_n++] = argv[++i];
            if (journals == o->journals_n)
                return wrong("--journal", "wants a directory");
        } else if (place == NULL) {
            return wrong(argv[i], "is no option");
        } else if (i + 1 == argc) {
            return wrong(argv[i], "wants a value");
        } else {
            *place = argv[++i];
        }
    }
    return 0;
}

static void show_total(const struct finance_total *t)
{
    char text[48];
    (void)printf("journals %s", report_money(t->journal_minor, t->currency, text));
    (void)printf(", acquirer %s", report_money(t->acquirer_minor, t->currency, text));
    (void)printf(", explained %s", report_money(t->explained_minor, t->currency, text));
    (void)printf(", unexplained %s\n", report_money(t->residual_minor, t->currency, text));
}

/* What the report says, as it stands in its file. */
static int show_json(const struct options *o)
{
    char path[4096], line[256];
    (void)snprintf(path, sizeof path, "%s/summary.json", o->out);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return DP_ERR_IO;
    while (fgets(line, sizeof line, f) != NULL)
        (void)fputs(line, stdout);
    (void)fclose(f);
    return DP_OK;
}

static int show(struct ledger *l, const struct options *o)
{
    struct finance_summary s;
    if (ledger_summary(l, &s) < 0 || (o->json && show_json(o) < 0))
        return 1;
    if (!o->json) {
        (void)printf("%s\n", s.verdict);
        for (size_t i = 0; i < s.totals_n; i++)
            show_total(&s.total[i]);
        (void)printf("%" PRId64 " payments, %" PRId64 " lines, %" PRId64 " matched, %" PRId64
                     " pending, %" PRId64 " breaks, %" PRId64
                     " declined later\nreport: %s/index.html\n",
                     s.payments, s.lines, s.matched, s.pending, s.breaks, s.lost, o->out);
    }
    return strcmp(s.verdict, "RECONCILED") == 0 || strcmp(s.verdict, "PENDING") == 0 ? 0 : 1;
}

/* DP_ERR_TAMPERED when a journal does not verify: it is told, and the others are imported. */
static int import_all(struct ledger *l, const struct options *o)
{
    bool untrusted = false;
    int err = DP_OK;
    for (int i = 0; i < o->journals_n && err == DP_OK; i++) {
        err = ledger_import_journal(l, o->journals[i], o->head);
        if (err == DP_ERR_TAMPERED) {
            (void)fprintf(stderr, "doorpay-finance: %s; nothing of it is counted\n", l->error);
            untrusted = true;
            err = DP_OK;
        }
    }
    if (err == DP_OK && o->acquirer != NULL)
        err = ledger_import_acquirer(l, o->acquirer, o->map);
    return err == DP_OK && untrusted ? DP_ERR_TAMPERED : err;
}

/* ---- verbs: each gets an open store and gives the exit status ---- */

static int failed(const struct ledger *l)
{
    (void)fprintf(stderr, "doorpay-finance: %s\n", l->error);
    return 1;
}

static int cmd_reconcile(struct ledger *l, const struct options *o)
{
    int imported = import_all(l, o);
    if (imported < 0 && imported != DP_ERR_TAMPERED)
        return failed(l);
    if (ledger_match(l) < 0 || ledger_report(l, o->out) < 0)
        return failed(l);
    int status = show(l, o);
    return imported == DP_ERR_TAMPERED ? 1 : status;
}

static int cmd_init(struct ledger *l, const struct options *o)
{
    (void)l; /* opening it made it */
    (void)o;
    return 0;
}

static int cmd_import(struct ledger *l, const struct options *o)
{
    int err = import_all(l, o);
    if (err == DP_ERR_TAMPERED)
        return 1;
    return err < 0 ? failed(l) : 0;
}

static int cmd_match(struct ledger *l, const struct options *o)
{
    (void)o;
    return ledger_match(l) < 0 ? failed(l) : 0;
}

/* A report of rows that no pass has seen would call them explained. */
static int cmd_report(struct ledger *l, const struct options *o)
{
    int64_t unmatched;
    if (ledger_value(l,
                     "SELECT (SELECT count(*) FROM movement WHERE class IS NULL) + "
                     "(SELECT count(*) FROM line WHERE class IS NULL) + "
                     "(SELECT count(*) = 0 FROM class)",
                     &unmatched) < 0)
        return failed(l);
    if (unmatched > 0) {
        (void)fprintf(stderr,
                      "doorpay-finance: %s holds what is not matched yet: "
                      "doorpay-finance match --store %s\n",
                      o->store, o->store);
        return 1;
    }
    return ledger_report(l, o->out) < 0 ? failed(l) : show(l, o);
}

static bool wants_reconcile(const struct options *o)
{
    return o->journals_n > 0 && o->acquirer != NULL && o->out != NULL;
}

static bool wants_store(const struct options *o)
{
    return o->store != NULL;
}

static bool wants_source(const struct options *o)
{
    return o->store != NULL && (o->journals_n > 0 || o->acquirer != NULL);
}

static bool wants_report(const struct options *o)
{
    return o->store != NULL && o->out != NULL;
}

static const struct {
    const char *name;
    int (*run)(struct ledger *l, const struct options *o);
    bool (*wants)(const struct options *o);
    const char *missing;
} verbs[] = {
    {"reconcile", cmd_reconcile, wants_reconcile, "wants --journal, --acquirer and --out"},
    {"init", cmd_init, wants_store, "wants --store"},
    {"import", cmd_import, wants_source, "wants --store, and --journal or --acquirer"},
    {"match", cmd_match, wants_store, "wants --store"},
    {"report", cmd_report, wants_report, "wants --store and --out"},
};

static bool given(int argc, char **argv, const char *option)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], option) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    static struct options o;
    struct ledger l;
    dp_log_name("doorpay-finance");
    if (given(argc, argv, "--version"))
        return printf("doorpay-finance %s\n", DP_VERSION) < 0;
    if (given(argc, argv, "--help"))
        return usage(stdout, 0);
    if (argc < 2)
        return usage(stderr, 2);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(argv[1], verbs[i].name) != 0)
            continue;
        if (read_options(argc, argv, &o) != 0)
            return 2;
        if (!verbs[i].wants(&o))
            return wrong(argv[1], verbs[i].missing);
        int status = ledger_open(&l, o.store) < 0 ? failed(&l) : verbs[i].run(&l, &o);
        ledger_close(&l);
        return status;
    }
    return wrong(argv[1], "is no verb");
}
