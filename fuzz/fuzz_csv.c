/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The acquirer's file. First byte: 0 the CSV reader alone, 1 the whole import with our own columns,
 * 2 the import with a column map: the input up to a line "---" is the map, the rest the file.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "csv.h"
#include "ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* "NAME:LINE:COLUMN: why", line and column from 1. */
static void must_place(const char *error, const char *name)
{
    size_t n = strlen(name);
    char *end;
    must(strncmp(error, name, n) == 0 && error[n] == ':');
    must(strtoul(error + n + 1, &end, 10) >= 1 && *end == ':');
    must(strtoul(end + 1, &end, 10) >= 1 && end[0] == ':' && end[1] == ' ' && end[2] != '\0');
}

/* A field written by us reads the same again, unless it was a formula: then it has its quote. */
static void must_round_trip(const char *text)
{
    static char written[2 * CSV_LINE_MAX + 16];
    static struct csv again;
    FILE *f = fmemopen(written, sizeof written, "w");
    must(f != NULL);
    csv_write_field(f, "start", false); /* a byte order mark is one at the very start alone */
    csv_write_field(f, text, false);
    csv_write_field(f, "end", true);
    must(fclose(f) == 0);
    f = fmemopen(written, strlen(written), "r");
    must(f != NULL);
    csv_init(&again, f, "again");
    int got = csv_read(&again);
    (void)fclose(f);
    if (got == DP_ERR_LIMIT)
        return; /* doubled quotes can make it longer than a line may be */
    must(got == 1 && again.fields_n == 3);
    const char *field = again.fields[1];
    if (strcmp(field, text) != 0) {
        must(field[0] == '\'' && strcmp(field + 1, text) == 0);
        field++;
        must(strchr("=+-@\t\r", field[0]) != NULL);
    } else {
        must(text[0] == '\0' || strchr("=+@\t\r", text[0]) == NULL);
    }
}

static void reader(const uint8_t *p, size_t n)
{
    static struct csv c;
    int got;
    FILE *f = fmemopen((void *)(uintptr_t)p, n, "r");
    must(f != NULL);
    csv_init(&c, f, "in");
    while ((got = csv_read(&c)) > 0) {
        must(c.fields_n >= 1 && c.fields_n <= CSV_COLUMNS_MAX);
        for (size_t i = 0; i < c.fields_n; i++) {
            must(c.fields[i] >= c.buffer && c.fields[i] < c.buffer + CSV_LINE_MAX);
            must(csv_column(&c, i) <= CSV_LINE_MAX && strchr(c.fields[i], '\n') == NULL);
            if (strchr(c.fields[i], '\r') == NULL)
                must_round_trip(c.fields[i]);
        }
    }
    if (got < 0)
        must_place(c.error, "in");
    (void)fclose(f);
}

/* A file in memory, by a name that opens it. */
static int memory_file(const uint8_t *p, size_t n, char name[32])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, p, n) == (ssize_t)n);
    (void)snprintf(name, 32, "/proc/self/fd/%d", fd);
    return fd;
}

static void import(const uint8_t *map, size_t map_n, const uint8_t *file, size_t file_n)
{
    char map_name[32], name[32], count[] = "SELECT count(*) FROM line";
    struct ledger l;
    int64_t rows = 0, sum = 0;
    int map_fd = map == NULL ? -1 : memory_file(map, map_n, map_name);
    int fd = memory_file(file, file_n, name);
    must(ledger_open(&l, NULL) == DP_OK);
    int err = ledger_import_acquirer(&l, name, map == NULL ? NULL : map_name);
    must(ledger_value(&l, count, &rows) == DP_OK);
    if (err < 0) {
        must(rows == 0); /* whole or not at all */
        if (strstr(l.error, "empty: ") == NULL)
            must_place(l.error,
                       strncmp(l.error, name, strlen(name)) == 0 || map == NULL ? name : map_name);
    } else {
        must(ledger_value(&l, "SELECT count(*) FROM line WHERE (type = 'SALE') = (amount > 0)",
                          &sum) == DP_OK &&
             sum == rows);
        must(ledger_import_acquirer(&l, name, NULL) == DP_ERR_DUPLICATE || map != NULL);
    }
    ledger_close(&l);
    (void)close(fd);
    if (map_fd >= 0)
        (void)close(map_fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *body = data + 1;
    const uint8_t *split;
    if (size < 2 || size > 100000)
        return 0;
    size--;
    switch (data[0] % 3) {
    case 0:
        reader(body, size);
        break;
    case 1:
        import(NULL, 0, body, size);
        break;
    default:
        split = memmem(body, size, "---\n", 4);
        if (split != NULL)
            import(body, (size_t)(split - body), split + 4, size - (size_t)(split - body) - 4);
        break;
    }
    return 0;
}
