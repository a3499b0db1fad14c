/* SPDX-License-Identifier: Apache-2.0 */
/* The perpetual totals: docs/PROTOCOL.journal, 6. */
#ifndef DP_JOURNAL_TOTALS_H
#define DP_JOURNAL_TOTALS_H

#include <doorpay/journal.h>

struct dp_reader;
struct dp_writer;

/* True for the types that change the totals: their records carry them. */
bool totals_concern(enum dp_record_type type);
/* Counts a record. */
void totals_add(struct dp_totals *t, const struct dp_record *r);
bool totals_equal(const struct dp_totals *a, const struct dp_totals *b);
/* The array of 14 numbers, and back. */
void totals_write(struct dp_writer *w, const struct dp_totals *t);
DP_PARSES void totals_read(struct dp_reader *r, struct dp_totals *t);

#endif
