/* SPDX-License-Identifier: Apache-2.0 */
#include "csv.h"

#include <string.h>

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"
#define MARK_BYTES      (sizeof BYTE_ORDER_MARK - 1)

void csv_init(struct csv *c, FILE *file, const char *name)
{
    memset(c, 0, sizeof *c);
    c->file = file;
    c->name = name;
}

static int fail(struct csv *c, int err, size_t column, const char *why)
{
    (void)snprintf(c->error, sizeof c->error, "%s:%lu:%zu: %s", c->name, c->line, column, why);
    return err;
}

/* One line without its end into buffer; 1, 0 at the end. */
static int read_line(struct csv *c, size_t *n)
{
    int ch;
    *n = 0;
    c->line++;
    while ((ch = getc(c->file)) != EOF && ch != '\n') {
        if (*n == CSV_LINE_MAX - 1)
            return fail(c, DP_ERR_LIMIT, *n, "the line is too long");
        if (ch == '\0')
            return fail(c, DP_ERR_FORMAT, *n + 1, "a zero byte");
        c->buffer[(*n)++] = (char)ch;
    }
    if (ferror(c->file) != 0)
        return fail(c, DP_ERR_IO, *n, "cannot be read");
    if (ch == EOF && *n == 0)
        return 0;
    if (*n > 0 && c->buffer[*n - 1] == '\r')
        (*n)--;
    c->buffer[*n] = '\0';
    if (c->line == 1 && *n >= MARK_BYTES && memcmp(c->buffer, BYTE_ORDER_MARK, MARK_BYTES) == 0) {
        *n -= MARK_BYTES; /* spreadsheets put it there */
        memmove(c->buffer, c->buffer + MARK_BYTES, *n + 1);
    }
    return 1;
}

/* A quoted field, unquoted in place. at stands behind the opening quote; comes back behind the
 * closing one. */
static int unquote(struct csv *c, size_t *at, size_t n)
{
    size_t from = *at, to = *at;
    for (;;) {
        if (from >= n)
            return fail(c, DP_ERR_FORMAT, *at, "a quote is not closed on its line");
        if (c->buffer[from] == '"' && c->buffer[from + 1] != '"')
            break;
        if (c->buffer[from] == '"')
            from++;
        c->buffer[to++] = c->buffer[from++];
    }
    c->buffer[to] = '\0';
    *at = from + 1;
    return DP_OK;
}

static int split(struct csv *c, size_t n)
{
    size_t at = 0;
    c->fields_n = 0;
    for (;;) {
        if (c->fields_n == CSV_COLUMNS_MAX)
            return fail(c, DP_ERR_LIMIT, at + 1, "too many columns");
        if (c->buffer[at] == '"') {
            at++;
            c->fields[c->fields_n++] = c->buffer + at;
            int err = unquote(c, &at, n);
            if (err < 0)
                return err;
            if (at < n && c->buffer[at] != ',')
                return fail(c, DP_ERR_FORMAT, at + 1, "text behind a closing quote");
        } else {
            c->fields[c->fields_n++] = c->buffer + at;
            while (at < n && c->buffer[at] != ',') {
                if (c->buffer[at] == '"')
                    return fail(c, DP_ERR_FORMAT, at + 1, "a quote inside an unquoted field");
                at++;
            }
        }
        if (at >= n)
            return 1;
        c->buffer[at++] = '\0';
    }
}

int csv_read(struct csv *c)
{
    size_t n = 0;
    int got;
    do {
        got = read_line(c, &n);
        if (got <= 0)
            return got;
    } while (n == 0);
    return split(c, n);
}

size_t csv_column(const struct csv *c, size_t field)
{
    return field < c->fields_n ? (size_t)(c->fields[field] - c->buffer) + 1 : 1;
}

/* -12 or 3.50, and no more: -1-2 is a formula. */
static bool is_number(const char *text)
{
    const char *digits = text + (text[0] == '-' ? 1 : 0);
    size_t n = strspn(digits, "0123456789");
    const char *rest = digits + n;
    if (n > 0 && rest[0] == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    return n > 0 && rest[0] == '\0';
}

void csv_write_field(FILE *out, const char *text, bool last)
{
    /* what a spreadsheet takes as the start of a formula (A32) */
    bool formula = text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL && !is_number(text);
    bool quote = formula || strpbrk(text, ",\"\r\n") != NULL;
    if (quote)
        (void)putc('"', out);
    if (formula)
        (void)putc('\'', out);
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"')
            (void)putc('"', out);
        (void)putc(*p, out);
    }
    if (quote)
        (void)putc('"', out);
    (void)putc(last ? '\n' : ',', out);
}
