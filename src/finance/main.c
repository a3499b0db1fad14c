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
        "         [--map FILE] [--store sqlite:FILE] [--head FILE] [--json]\n"
        "exit status: 0 reconciled or pending, 1 breaks, incomplete or failed, 2 wrong usage\n",
        to);
    return status;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    memset(o, 0, sizeof *o);
    for (int i = 2; i < argc; i++) {
        const char **place = strcmp(argv[i], "--acquirer") == 0 ? &o->acquirer
                             : strcmp(argv[i], "--map") == 0    ? &o->map
                             : strcmp(argv[i], "--out") == 0    ? &o->out
                             : strcmp(argv[i], "--store") == 0  ? &o->store
                             : strcmp(argv[i], "--head") == 0   ? &o->head
                                                                : NULL;
        if (strcmp(argv[i], "--json") == 0) {
            o->json = true;
        } else if (strcmp(argv[i], "--journal") == 0) {
            while (i + 1 < argc && argv[i + 1][0] != '-' && o->journals_n < JOURNALS_MAX)
                o->journals[o->journals_n++] = argv[++i];
        } else if (place != NULL && i + 1 < argc) {
            *place = argv[++i];
        } else {
            return false;
        }
    }
    return o->journals_n > 0 && o->acquirer != NULL && o->out != NULL;
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

static int reconcile(const struct options *o)
{
    struct ledger l;
    int err = ledger_open(&l, o->store);
    bool untrusted = false;
    for (int i = 0; i < o->journals_n && err == DP_OK; i++) {
        err = ledger_import_journal(&l, o->journals[i], o->head);
        if (err == DP_ERR_TAMPERED) {
            (void)fprintf(stderr, "doorpay-finance: %s; nothing of it is counted\n", l.error);
            untrusted = true;
            err = DP_OK;
        }
    }
    if (err == DP_OK)
        err = ledger_import_acquirer(&l, o->acquirer, o->map);
    if (err == DP_OK)
        err = ledger_match(&l);
    if (err == DP_OK)
        err = ledger_report(&l, o->out);
    int status = err == DP_OK ? show(&l, o) : 1;
    if (err < 0)
        (void)fprintf(stderr, "doorpay-finance: %s\n", l.error);
    ledger_close(&l);
    return untrusted ? 1 : status;
}

int main(int argc, char **argv)
{
    static struct options o;
    dp_log_name("doorpay-finance");
    if (argc >= 2 && strcmp(argv[1], "--version") == 0)
        return printf("doorpay-finance %s\n", DP_VERSION) < 0;
    if (argc >= 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, 0);
    if (argc < 2 || strcmp(argv[1], "reconcile") != 0 || !read_options(argc, argv, &o))
        return usage(stderr, 2);
    return reconcile(&o);
}
