/* SPDX-License-Identifier: Apache-2.0 */
/* The acquirer's file by a declarative map: our field names on the left, its column names on the
 * right. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "ledger.h"

enum field {
    F_REFERENCE,
    F_TYPE,
    F_RRN,
    F_TID,
    F_MID,
    F_BATCH,
    F_STAN,
    F_BUSINESS_DATE,
    F_AUTH_CODE,
    F_AMOUNT,
    F_CURRENCY,
    F_FEE,
    F_NET,
    F_TX,
    FIELDS
};

static const struct {
    const char *name, *column;
    bool required;
} fields[FIELDS] = {
    [F_REFERENCE] = {"reference", "acquirer_reference", true},
    [F_TYPE] = {"type", "type", true},
    [F_RRN] = {"rrn", "rrn", true},
    [F_TID] = {"tid", "tid", true},
    [F_MID] = {"mid", "mid", false},
    [F_BATCH] = {"batch", "batch", false},
    [F_STAN] = {"stan", "stan", false},
    [F_BUSINESS_DATE] = {"business_date", "business_date", false},
    [F_AUTH_CODE] = {"auth_code", "auth_code", false},
    [F_AMOUNT] = {"amount", "amount", true},
    [F_CURRENCY] = {"currency", "currency", true},
    [F_FEE] = {"fee", "fee", false},
    [F_NET] = {"net", "net", false},
    [F_TX] = {"transaction_id", "transaction_id", false},
};

struct map {
    char column[FIELDS][64];
    int place[FIELDS]; /* column number in this file, -1: not there */
};

static int bad(struct ledger *l, const char *file, unsigned long line, size_t column,
               const char *name, const char *why)
{
    (void)snprintf(l->error, sizeof l->error, "%s:%lu:%zu: %s: %s", file, line, column, name, why);
    return DP_ERR_FORMAT;
}

/* The same for a value of the row read last. */
static int bad_value(struct ledger *l, const struct csv *c, const struct map *m, enum field f,
                     const char *why)
{
    size_t column = m->place[f] < 0 ? 1 : csv_column(c, (size_t)m->place[f]);
    return bad(l, c->name, c->line, column, m->column[f], why);
}

static void trim(char *text)
{
    size_t n = strlen(text);
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        text[--n] = '\0';
}

/* "field = Column". text is cut up. */
static int set_column(struct ledger *l, const char *path, unsigned line, char *text, struct map *m)
{
    char *name = text + strspn(text, " \t");
    char *equals = strchr(text, '=');
    if (equals == NULL)
        return bad(l, path, line, 1, "map", "not of the form field = Column");
    *equals = '\0';
    trim(name);
    char *column = equals + 1 + strspn(equals + 1, " \t");
    trim(column);
    for (int f = 0; f < FIELDS; f++) {
        if (strcmp(fields[f].name, name) != 0)
            continue;
        if (column[0] == '\0' || strlen(column) >= sizeof m->column[f])
            return bad(l, path, line, (size_t)(column - text) + 1, name,
                       "its column's name is empty or too long");
        (void)snprintf(m->column[f], sizeof m->column[f], "%s", column);
        return DP_OK;
    }
    return bad(l, path, line, (size_t)(name - text) + 1, name, "there is no such field");
}

static int load_map(struct ledger *l, const char *path, struct map *m)
{
    char text[256];
    unsigned line = 0;
    int err = DP_OK;
    FILE *f;
    for (int i = 0; i < FIELDS; i++)
        (void)snprintf(m->column[i], sizeof m->column[i], "%s", fields[i].column);
    if (path == NULL)
        return DP_OK;
    f = fopen(path, "re");
    if (f == NULL) {
        (void)snprintf(l->error, sizeof l->error, "%s: %s", path, strerror(errno));
        return DP_ERR_NOT_FOUND;
    }
    while (err == DP_OK && fgets(text, sizeof text, f) != NULL) {
        line++;
        if (strlen(text) == sizeof text - 1)
            err = bad(l, path, line, sizeof text - 1, "map", "the line is too long");
        text[strcspn(text, "\r\n")] = '\0';
        if (err == DP_OK && text[0] != '\0' && text[0] != '#')
            err = set_column(l, path, line, text, m);
    }
    if (err == DP_OK && ferror(f) != 0)
        err = bad(l, path, line, 1, "map", "cannot be read");
    (void)fclose(f);
    return err;
}

static int find_columns(struct ledger *l, const struct csv *c, struct map *m)
{
    for (int f = 0; f < FIELDS; f++) {
        m->place[f] = -1;
        for (size_t i = 0; i < c->fields_n; i++) {
            if (strcmp(c->fields[i], m->column[f]) != 0)
                continue;
            if (m->place[f] >= 0)
                return bad(l, c->name, c->line, csv_column(c, i), m->column[f],
                           "the column stands twice");
            m->place[f] = (int)i;
        }
        if (m->place[f] < 0 && fields[f].required)
            return bad_value(l, c, m, (enum field)f, "the file has no such column");
    }
    return DP_OK;
}

static const char *value(const struct csv *c, const struct map *m, enum field f)
{
    return m->place[f] < 0 ? "" : c->fields[m->place[f]];
}

/* A plain integer of at most 15 digits: no exponent, no point, no blanks. */
static int integer(struct ledger *l, const struct csv *c, const struct map *m, enum field f,
                   int64_t *out)
{
    const char *s = value(c, m, f);
    const char *digits = s + (s[0] == '-' ? 1 : 0);
    size_t n = strlen(digits);
    *out = 0;
    if (s[0] == '\0' && !fields[f].required)
        return DP_OK;
    if (n == 0 || n > 15 || strspn(digits, "0123456789") != n)
        return bad_value(l, c, m, f, "not a whole number of minor units");
    *out = strtoll(s, NULL, 10);
    return DP_OK;
}

static int check_type(struct ledger *l, const struct csv *c, const struct map *m, int64_t amount)
{
    const char *type = value(c, m, F_TYPE);
    bool sale = strcmp(type, "SALE") == 0;
    uint16_t numeric;
    uint8_t exponent;
    if (!sale && strcmp(type, "REVERSAL") != 0)
        return bad_value(l, c, m, F_TYPE, "neither SALE nor REVERSAL");
    if (sale ? amount <= 0 : amount >= 0)
        return bad_value(l, c, m, F_AMOUNT, "a SALE must be above 0, a REVERSAL below");
    if (dp_currency_by_alpha(value(c, m, F_CURRENCY), &numeric, &exponent) < 0)
        return bad_value(l, c, m, F_CURRENCY, "unknown currency");
    return DP_OK;
}

static int import_row(struct ledger *l, const struct csv *c, const struct map *m, size_t columns)
{
    int64_t batch, stan, date, amount, fee, net;
    if (c->fields_n != columns)
        return bad(l, c->name, c->line, 1, "row", "another number of columns than the header");
    int err = integer(l, c, m, F_BATCH, &batch);
    if (err == DP_OK)
        err = integer(l, c, m, F_STAN, &stan);
    if (err == DP_OK)
        err = integer(l, c, m, F_BUSINESS_DATE, &date);
    if (err == DP_OK)
        err = integer(l, c, m, F_AMOUNT, &amount);
    if (err == DP_OK)
        err = integer(l, c, m, F_FEE, &fee);
    if (err == DP_OK)
        err = integer(l, c, m, F_NET, &net);
    if (err == DP_OK)
        err = check_type(l, c, m, amount);
    if (err == DP_OK && m->place[F_NET] >= 0 && amount - fee != net)
        err = bad_value(l, c, m, F_NET, "amount less fee is not net");
    if (err < 0)
        return err;
    return ledger_exec(l,
                       "INSERT INTO line (file, number, reference, type, rrn, tid, mid, batch, "
                       "stan, business_date,"
                       " auth_code, amount, currency, fee, net, tx) VALUES "
                       "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,upper(?))",
                       "titttttiiititiit", c->name, (int64_t)c->line, value(c, m, F_REFERENCE),
                       value(c, m, F_TYPE), value(c, m, F_RRN), value(c, m, F_TID),
                       value(c, m, F_MID), batch, stan, date, value(c, m, F_AUTH_CODE), amount,
                       value(c, m, F_CURRENCY), fee, net, value(c, m, F_TX));
}

static int import_rows(struct ledger *l, struct csv *c, struct map *m)
{
    int err = ledger_exec(l, "INSERT INTO file (name) VALUES (?)", "t", c->name);
    if (err < 0) {
        (void)snprintf(l->error, sizeof l->error, "%s: imported already", c->name);
        return DP_ERR_DUPLICATE;
    }
    int got = csv_read(c);
    size_t columns = c->fields_n;
    if (got == 0) {
        (void)snprintf(l->error, sizeof l->error, "%s: empty: not even a header line", c->name);
        return DP_ERR_FORMAT;
    }
    err = got < 0 ? got : find_columns(l, c, m);
    while (err == DP_OK && (got = csv_read(c)) > 0)
        err = import_row(l, c, m, columns);
    if (err == DP_OK && got < 0)
        err = got;
    if (got < 0)
        (void)snprintf(l->error, sizeof l->error, "%s", c->error);
    return err;
}

int ledger_import_acquirer(struct ledger *l, const char *path, const char *map_path)
{
    static struct csv c;
    struct map m;
    int err = load_map(l, map_path, &m);
    if (err < 0)
        return err;
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        (void)snprintf(l->error, sizeof l->error, "%s: %s", path, strerror(errno));
        return DP_ERR_NOT_FOUND;
    }
    csv_init(&c, f, path);
    err = ledger_run(l, "BEGIN");
    if (err == DP_OK) /* nothing half imported: the file is committed whole or not at all */
        err = ledger_end(l, import_rows(l, &c, &m));
    (void)fclose(f);
    return err;
}
