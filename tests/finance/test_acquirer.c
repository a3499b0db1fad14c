/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"

#define ROW "A1,SALE,632800000001,DP000001,MID,1,1,261124120000,20261124,ABC123,online,999901,1234,"
#define TX  "00112233445566778899aabbccddeeff"

static struct ledger l;

static int set_up(void **state)
{
    (void)state;
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
    char text[8192], path[256];
    (void)snprintf(text, sizeof text, "%s%s", HEADER, rows);
    return ledger_import_acquirer(&l, make_file("acquirer.csv", text, path), NULL);
}

/* The import is refused with these words, and not one row stays. */
static void refused(const char *rows, const char *words)
{
    char wanted[512], path[256];
    assert_true(import(rows) < 0);
    (void)snprintf(wanted, sizeof wanted, "%s%s", in_tmp("acquirer.csv", path), words);
    assert_string_equal(l.error, wanted);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM line"), 0);
}

static void takes_our_own_format(void **state)
{
    (void)state;
    assert_int_equal(import(ROW "2350,EUR,24,2326," TX ",,2026-11-24T12:00:01Z\n"), DP_OK);
    assert_int_equal(value_of(&l, "SELECT amount + fee + net FROM line"), 2350 + 24 + 2326);
    assert_int_equal(value_of(&l, "SELECT stan = 1 AND batch = 1 AND business_date = 20261124 AND "
                                  "rrn = '632800000001' AND auth_code = 'ABC123' AND number = 2 "
                                  "FROM line"),
                     1);
    assert_int_equal(value_of(&l, "SELECT tx = upper('" TX "') FROM line"), 1);
}

/* A32 */
static void amounts_are_whole_minor_units_and_nothing_else(void **state)
{
    static const char *const bad[] = {"1e5",
                                      "23.50",
                                      "0x10",
                                      " 2350",
                                      "2350 ",
                                      "+2350",
                                      "",
                                      "1,5",
                                      "--1",
                                      "-",
                                      "1234567890123456",
                                      "١٢"};
    char row[512], words[128];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(row, sizeof row, ROW "\"%s\",EUR,24,2326," TX ",,\n", bad[i]);
        (void)snprintf(words, sizeof words, ":2:88: amount: not a whole number of minor units");
        refused(row, words);
    }
}

static void each_error_names_file_line_and_column(void **state)
{
    (void)state;
    refused(ROW "2350,EUR,24,2327," TX ",,\n", ":2:99: net: amount less fee is not net");
    refused(ROW "-2350,EUR,24,-2374," TX ",,\n",
            ":2:87: amount: a SALE must be above 0, a REVERSAL below");
    refused(ROW "2350,XYZ,24,2326," TX ",,\n", ":2:92: currency: unknown currency");
    refused("A1,REFUND,,DP000001,,,,,,,,,,1,EUR,,1,,,\n", ":2:4: type: neither SALE nor REVERSAL");
    refused(ROW "2350,EUR\n", ":2:1: row: another number of columns than the header");
    refused(ROW "2350,EUR,24,2326," TX ",,\"x\n", ":2:138: a quote is not closed on its line");
}

static void nothing_is_half_imported(void **state)
{
    (void)state;
    refused(ROW "2350,EUR,24,2326," TX ",,\n" ROW "2350,EUR,24,2326," TX ",,\n" ROW
                "oops,EUR,24,2326," TX ",,\n",
            ":4:87: amount: not a whole number of minor units");
    /* and the good rest can be imported afterwards: the file is not marked as taken either */
    assert_int_equal(import(ROW "2350,EUR,24,2326," TX ",,\n"), DP_OK);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM line"), 1);
}

static void the_same_file_is_not_taken_twice(void **state)
{
    char path[256], wanted[300];
    (void)state;
    assert_int_equal(import(ROW "2350,EUR,24,2326," TX ",,\n"), DP_OK);
    assert_int_equal(import(ROW "2350,EUR,24,2326," TX ",,\n"), DP_ERR_DUPLICATE);
    (void)snprintf(wanted, sizeof wanted, "%s: imported already", in_tmp("acquirer.csv", path));
    assert_string_equal(l.error, wanted);
    assert_int_equal(value_of(&l, "SELECT count(*) FROM line"), 1);
}

static void a_map_names_other_columns(void **state)
{
    char file[256], map[256];
    (void)state;
    make_file("other.csv",
              "Psp Reference,Kind,Retrieval,Terminal,Gross,Gross Currency\n"
              "X9,SALE,632800000001,DP000001,2350,EUR\n",
              file);
    make_file("other.map",
              "# our name = its column\n\nreference = Psp Reference\ntype=Kind\nrrn = Retrieval \n"
              "tid = Terminal\namount = Gross\r\ncurrency = Gross Currency\n",
              map);
    assert_int_equal(ledger_import_acquirer(&l, file, map), DP_OK);
    assert_int_equal(value_of(&l, "SELECT amount FROM line WHERE reference = 'X9' AND rrn = "
                                  "'632800000001' AND tid = 'DP000001' AND stan = 0"),
                     2350);
}

static void a_map_that_is_wrong_says_where(void **state)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"type = Kind\nsum = Gross\n", ":2:1: sum: there is no such field"},
        {"  amount Gross\n", ":1:1: map: not of the form field = Column"},
        {"amount =\n", ":1:9: amount: its column's name is empty or too long"},
    };
    char file[256], map[256], wanted[400];
    (void)state;
    make_file("any.csv", HEADER, file);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        make_file("bad.map", bad[i].text, map);
        assert_int_equal(ledger_import_acquirer(&l, file, map), DP_ERR_FORMAT);
        (void)snprintf(wanted, sizeof wanted, "%s%s", map, bad[i].words);
        assert_string_equal(l.error, wanted);
    }
}

static void a_file_without_a_needed_column_is_refused(void **state)
{
    char file[256], wanted[400];
    (void)state;
    make_file("short.csv", "acquirer_reference,type,rrn,tid,currency\n", file);
    assert_int_equal(ledger_import_acquirer(&l, file, NULL), DP_ERR_FORMAT);
    (void)snprintf(wanted, sizeof wanted, "%s:1:1: amount: the file has no such column", file);
    assert_string_equal(l.error, wanted);
    make_file("twice.csv", "acquirer_reference,type,rrn,tid,currency,amount,amount\n", file);
    assert_int_equal(ledger_import_acquirer(&l, file, NULL), DP_ERR_FORMAT);
    (void)snprintf(wanted, sizeof wanted, "%s:1:49: amount: the column stands twice", file);
    assert_string_equal(l.error, wanted);
    make_file("empty.csv", "", file);
    assert_int_equal(ledger_import_acquirer(&l, file, NULL), DP_ERR_FORMAT);
    (void)snprintf(wanted, sizeof wanted, "%s: empty: not even a header line", file);
    assert_string_equal(l.error, wanted);
}

static void a_file_that_is_not_there_says_so(void **state)
{
    char path[256], wanted[400];
    (void)state;
    assert_int_equal(ledger_import_acquirer(&l, in_tmp("nowhere.csv", path), NULL),
                     DP_ERR_NOT_FOUND);
    (void)snprintf(wanted, sizeof wanted, "%s: No such file or directory", path);
    assert_string_equal(l.error, wanted);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(takes_our_own_format),
        TEST(amounts_are_whole_minor_units_and_nothing_else),
        TEST(each_error_names_file_line_and_column),
        TEST(nothing_is_half_imported),
        TEST(the_same_file_is_not_taken_twice),
        TEST(a_map_names_other_columns),
        TEST(a_map_that_is_wrong_says_where),
        TEST(a_file_without_a_needed_column_is_refused),
        TEST(a_file_that_is_not_there_says_so),
    };
    return cmocka_run_group_tests_name("finance/acquirer", tests, NULL, NULL);
}
