/* SPDX-License-Identifier: Apache-2.0 */
/* The settlement file (docs/PROTOCOL.acquirer) out of the books. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "books.h"

static const char header[] =
    "acquirer_reference,type,rrn,tid,mid,batch,stan,local_datetime,business_date,auth_code,mode,"
    "card_bin,card_last4,amount,currency,fee,net,transaction_id,original_rrn,captured_at\n";

/* Sales and reversals in the order they were booked; the columns are those of the header, the
 * currency still numeric. A reversal gives the fee back. */
static const char lines_sql[] =
    "SELECT * FROM (SELECT printf('ACQ%010dS', id), 'SALE', ifnull(advice_rrn, rrn), tid, mid,"
    " batch, ifnull(advice_stan, stan), ifnull(advice_datetime, local_datetime), business_date,"
    " auth_code, mode, card_bin, card_last4, amount, currency, fee, amount - fee, transaction_id,"
    " '', captured_at AS at FROM sale WHERE captured"
    " UNION ALL SELECT printf('ACQ%010dR', id), 'REVERSAL', reversal_rrn, tid, mid,"
    " reversal_batch, reversal_stan, reversal_datetime, reversal_business_date, auth_code, mode,"
    " card_bin, card_last4, -amount, currency, -fee, fee - amount, transaction_id,"
    " ifnull(advice_rrn, rrn), reversed_at FROM sale WHERE captured AND state = 'reversed')"
    " ORDER BY at, 1 DESC";

enum {
    CURRENCY = 14,
    COLUMNS = 20
};

static void put_quoted(FILE *f, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        (void)fputs(text, f);
        return;
    }
    (void)fputc('"', f);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            (void)fputc('"', f);
        (void)fputc(*text, f);
    }
    (void)fputc('"', f);
}

static void put_line(FILE *f, sqlite3_stmt *s)
{
    for (int i = 0; i < COLUMNS; i++) {
        const char *text = (const char *)sqlite3_column_text(s, i);
        if (i == CURRENCY)
            text = dp_currency_alpha((uint16_t)sqlite3_column_int64(s, i));
        if (i > 0)
            (void)fputc(',', f);
        put_quoted(f, text == NULL ? "" : text);
    }
    (void)fputc('\n', f);
}

static int put_lines(struct sim_books *b, FILE *f, int64_t *lines)
{
    sqlite3_stmt *s = NULL;
    int step = sqlite3_prepare_v2(b->db, lines_sql, -1, &s, NULL);
    *lines = 0;
    while (step == SQLITE_OK || step == SQLITE_ROW) {
        step = sqlite3_step(s);
        if (step == SQLITE_ROW) {
            put_line(f, s);
            ++*lines;
        }
    }
    (void)sqlite3_finalize(s);
    if (step != SQLITE_DONE)
        dp_log(DP_LOG_ERROR, "settlement: %s", sqlite3_errmsg(b->db));
    return step == SQLITE_DONE ? DP_OK : DP_ERR_IO;
}

int sim_settlement_write(struct sim_books *b, const char *path, int64_t *lines)
{
    char beside[4096];
    FILE *f;
    int err;
    if (snprintf(beside, sizeof beside, "%s.new", path) >= (int)sizeof beside)
        return DP_ERR_ARG;
    f = fopen(beside, "we");
    if (f == NULL) {
        dp_log(DP_LOG_ERROR, "%s: %s", beside, strerror(errno));
        return DP_ERR_IO;
    }
    (void)fputs(header, f);
    err = put_lines(b, f, lines);
    if (ferror(f) != 0)
        err = DP_ERR_IO;
    if (fclose(f) != 0 || (err == DP_OK && rename(beside, path) != 0))
        err = DP_ERR_IO;
    if (err != DP_OK)
        (void)unlink(beside);
    return err;
}
