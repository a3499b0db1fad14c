/* SPDX-License-Identifier: Apache-2.0 */
/* A32: an acquirer's file made to hurt finance: formulas that a spreadsheet would run, a line
 * without end, amounts that are no whole numbers, an error in the last row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ledger.h"

#define HEADER "acquirer_reference,type,rrn,tid,amount,currency,transaction_id\n"

static struct ledger l;
static char path[256], dir[256];

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    (void)snprintf(path, sizeof path, "%s/hostile.csv", tmp != NULL ? tmp : "/tmp");
    (void)snprintf(dir, sizeof dir, "%s/report", tmp != NULL ? tmp : "/tmp");
    return ledger_open(&l, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    ledger_close(&l);
    return 0;
}

static int import(const char *rows)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(HEADER, f) >= 0 && fputs(rows, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return ledger_import_acquirer(&l, path, NULL);
}

static int64_t lines(void)
{
    int64_t n = -1;
    assert_int_equal(ledger_value(&l, "SELECT count(*) FROM line", &n), DP_OK);
    return n;
}

/* FILE, LINE and COLUMN stand in front of the reason. */
static void refused_at(const char *place)
{
    char start[300];
    (void)snprintf(start, sizeof start, "%s:%s: ", path, place);
    assert_int_equal(strncmp(l.error, start, strlen(start)), 0);
    assert_int_equal(lines(), 0);
}

static void no_formula_reaches_a_spreadsheet(void **state)
{
    static const char *const formulas[] = {"=cmd|' /C calc'!A0", "@SUM(1+1)", "+1+1", "-1+1"};
    char row[256], report[300], text[4096];
    (void)state;
    for (size_t i = 0; i < sizeof formulas / sizeof formulas[0]; i++) {
        FILE *f;
        size_t n;
        tear_down(NULL);
        assert_int_equal(ledger_open(&l, NULL), DP_OK);
        (void)snprintf(row, sizeof row, "A1,SALE,,%s,100,EUR,\n", formulas[i]);
        assert_int_equal(import(row), DP_OK);
        assert_int_equal(ledger_match(&l), DP_OK);
        assert_int_equal(ledger_report(&l, dir), DP_OK);
        (void)snprintf(report, sizeof report, "%s/exceptions.csv", dir);
        f = fopen(report, "re");
        assert_non_null(f);
        n = fread(text, 1, sizeof text - 1, f);
        text[n] = '\0';
        (void)fclose(f);
        assert_non_null(strstr(text, formulas[i]));
        (void)snprintf(row, sizeof row, ",\"'%s\",", formulas[i]); /* as text, and only so */
        assert_non_null(strstr(text, row));
        (void)snprintf(row, sizeof row, ",%s,", formulas[i]);
        assert_null(strstr(text, row));
    }
}

static void amounts_that_are_no_whole_numbers_are_refused(void **state)
{
    static const char *const bad[] = {"1e3", "1E3", "0x10", "10.00", "1_000", " 100", "100 "};
    char row[128];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(row, sizeof row, "A1,SALE,,T1,%s,EUR,\n", bad[i]);
        assert_int_equal(import(row), DP_ERR_FORMAT);
        refused_at("2:13");
    }
}

static void an_error_in_the_last_row_leaves_nothing_of_the_others(void **state)
{
    (void)state;
    assert_int_equal(import("A1,SALE,,T1,100,EUR,\nA2,SALE,,T1,100,EUR,\nA3,SALE,,T1,1e3,EUR,\n"),
                     DP_ERR_FORMAT);
    refused_at("4:13");
}

/* Sparse: 4 GiB that take no room, of which no more than a line's bound is looked at. */
static void a_line_without_end_is_refused_early(void **state)
{
    FILE *f = fopen(path, "we");
    (void)state;
    assert_non_null(f);
    assert_true(fputs(HEADER "A1,SALE,,T1,100,EUR,", f) >= 0);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(putc('x', f), 'x');
    assert_int_equal(fflush(f), 0);
    assert_int_equal(ftruncate(fileno(f), INT64_C(4) << 30), 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(ledger_import_acquirer(&l, path, NULL), DP_ERR_LIMIT);
    refused_at("2:65535");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_formula_reaches_a_spreadsheet),
        TEST(amounts_that_are_no_whole_numbers_are_refused),
        TEST(an_error_in_the_last_row_leaves_nothing_of_the_others),
        TEST(a_line_without_end_is_refused_early),
    };
    return cmocka_run_group_tests_name("attacks/A32", tests, NULL, NULL);
}
