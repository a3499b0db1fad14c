/* SPDX-License-Identifier: Apache-2.0 */
/* Comma-separated values as RFC 4180 has them, from a file nobody here wrote: bounded, and every
 * error names file, line and column. A field has no line break in it. */
#ifndef DP_FINANCE_CSV_H
#define DP_FINANCE_CSV_H

#include <stdio.h>

#include <doorpay/base.h>

#define CSV_LINE_MAX    65536
#define CSV_COLUMNS_MAX 64

struct csv {
    FILE *file;
    const char *name;   /* for errors */
    unsigned long line; /* of the row read last, from 1 */
    char buffer[CSV_LINE_MAX];
    const char *fields[CSV_COLUMNS_MAX]; /* of the row read last; point into buffer */
    size_t fields_n;
    char error[256]; /* "FILE:LINE:COLUMN: reason" after a failure */
};

/* Takes the file over. name stays the caller's. */
void csv_init(struct csv *c, FILE *file, const char *name);
/* The next row: 1, or 0 at the end, or DP_ERR_FORMAT / DP_ERR_LIMIT / DP_ERR_IO with c->error set.
 */
DP_MUST_USE DP_PARSES int csv_read(struct csv *c);
/* Where a field of the row read last begins in its line, from 1, for errors. */
size_t csv_column(const struct csv *c, size_t field);
/* Writes one field with what quoting it needs; a text that a spreadsheet would run as a formula is
 * made harmless. */
void csv_write_field(FILE *out, const char *text, bool last);

#endif
