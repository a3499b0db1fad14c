/* SPDX-License-Identifier: Apache-2.0 */
/* What the page and the CSV files share. */
#ifndef DP_FINANCE_REPORT_H
#define DP_FINANCE_REPORT_H

#include "ledger.h"

/* A CSV file, and a table of the page where it has a title there. */
struct report_table {
    const char *file, *header, *sql; /* header: column names, comma-separated */
};
extern const struct report_table report_days, report_payments;

FILE *report_open(struct ledger *l, const char *dir, const char *name);
DP_MUST_USE int report_close(struct ledger *l, FILE *f, const char *name);
/* "23.50 EUR"; a currency without name in our list is shown in minor units. */
const char *report_money(int64_t minor, const char *currency, char out[48]);
/* Writes DIR/index.html. */
DP_MUST_USE int report_page(struct ledger *l, const char *dir, const struct finance_summary *s);

#endif
