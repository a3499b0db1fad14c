/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "csv.h"
#include "support.h"

static struct csv c;

static void open_text(const char *text, size_t n)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    rewind(f);
    csv_init(&c, f, "file.csv");
}

static int read_text(const char *text)
{
    open_text(text, strlen(text));
    int got = csv_read(&c);
    (void)fclose(c.file);
    return got;
}

static void fields_stand_between_commas_and_may_be_empty(void **state)
{
    (void)state;
    assert_int_equal(read_text("a,,b c,\n"), 1);
    assert_int_equal(c.fields_n, 4);
    assert_string_equal(c.fields[0], "a");
    assert_string_equal(c.fields[1], "");
    assert_string_equal(c.fields[2], "b c");
    assert_string_equal(c.fields[3], "");
}

static void quotes_keep_commas_and_doubled_quotes(void **state)
{
    (void)state;
    assert_int_equal(read_text("\"a,\"\"b\"\"\",\"\",x\n"), 1);
    assert_int_equal(c.fields_n, 3);
    assert_string_equal(c.fields[0], "a,\"b\"");
    assert_string_equal(c.fields[1], "");
    assert_string_equal(c.fields[2], "x");
    assert_int_equal(csv_column(&c, 2), 14);
}

static void line_ends_of_every_kind_and_empty_lines_are_read(void **state)
{
    (void)state;
    open_text("a,b\r\n\r\n\nc,d", 11);
    assert_int_equal(csv_read(&c), 1);
    assert_string_equal(c.fields[1], "b");
    assert_int_equal(csv_read(&c), 1);
    assert_int_equal(c.line, 4);
    assert_string_equal(c.fields[0], "c");
    assert_string_equal(c.fields[1], "d");
    assert_int_equal(csv_read(&c), 0);
    (void)fclose(c.file);
}

static void a_byte_order_mark_is_no_part_of_the_first_name(void **state)
{
    (void)state;
    assert_int_equal(read_text("\xEF\xBB\xBFtype,amount\n"), 1);
    assert_string_equal(c.fields[0], "type");
    assert_int_equal(csv_column(&c, 1), 6);
}

static void errors_name_file_line_and_column(void **state)
{
    (void)state;
    assert_int_equal(read_text("a,\"b\n"), DP_ERR_FORMAT);
    assert_string_equal(c.error, "file.csv:1:3: a quote is not closed on its line");
    assert_int_equal(read_text("a,\"b\"c,d\n"), DP_ERR_FORMAT);
    assert_string_equal(c.error, "file.csv:1:6: text behind a closing quote");
    assert_int_equal(read_text("a,b\"c\n"), DP_ERR_FORMAT);
    assert_string_equal(c.error, "file.csv:1:4: a quote inside an unquoted field");
    open_text("a\nb\0c\n", 6);
    assert_int_equal(csv_read(&c), 1);
    assert_int_equal(csv_read(&c), DP_ERR_FORMAT);
    assert_string_equal(c.error, "file.csv:2:2: a zero byte");
    (void)fclose(c.file);
}

/* A32: the "line" has no end; what is read of it is bounded, and soon refused. */
static void a_line_of_4_gib_is_refused_after_64_kib(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    assert_non_null(f);
    for (int i = 0; i < 70000; i++)
        assert_int_equal(putc('x', f), 'x');
    assert_int_equal(fflush(f), 0);
    assert_int_equal(ftruncate(fileno(f), INT64_C(4) << 30), 0); /* sparse */
    rewind(f);
    csv_init(&c, f, "file.csv");
    assert_int_equal(csv_read(&c), DP_ERR_LIMIT);
    assert_string_equal(c.error, "file.csv:1:65535: the line is too long");
    assert_true(ftell(f) < 2 * CSV_LINE_MAX);
    (void)fclose(f);
}

static void the_longest_line_and_the_most_columns_pass_and_no_more(void **state)
{
    static char text[CSV_LINE_MAX + 2];
    (void)state;
    memset(text, 'x', CSV_LINE_MAX);
    text[CSV_LINE_MAX - 1] = '\n';
    open_text(text, CSV_LINE_MAX);
    assert_int_equal(csv_read(&c), 1);
    assert_int_equal(strlen(c.fields[0]), CSV_LINE_MAX - 1);
    (void)fclose(c.file);
    memset(text, ',', CSV_COLUMNS_MAX);
    text[CSV_COLUMNS_MAX - 1] = '\0';
    assert_int_equal(read_text(text), 1);
    assert_int_equal(c.fields_n, CSV_COLUMNS_MAX);
    text[CSV_COLUMNS_MAX - 1] = ',';
    text[CSV_COLUMNS_MAX] = '\0';
    assert_int_equal(read_text(text), DP_ERR_LIMIT);
    assert_string_equal(c.error, "file.csv:1:65: too many columns");
}

static const char *written(const char *text, char out[128])
{
    FILE *f = fmemopen(out, 128, "w");
    assert_non_null(f);
    csv_write_field(f, text, true);
    assert_int_equal(fclose(f), 0);
    out[strcspn(out, "\n")] = '\0';
    return out;
}

/* A32: what a spreadsheet would run becomes text. */
static void formulas_are_made_harmless_and_numbers_stay_numbers(void **state)
{
    static const char *const formulas[] = {"=1+1", "+1+1", "-1+1", "@SUM(A1)",
                                           "\t=1", "\r=1", "-1-2", "=",
                                           "-",    "+3",   "-.5",  "=cmd|' /C calc'!A0"};
    static const char *const plain[] = {"-12", "-3.50", "12", "EUR", "a=b", ""};
    char out[128], wanted[128];
    (void)state;
    for (size_t i = 0; i < sizeof formulas / sizeof formulas[0]; i++) {
        (void)written(formulas[i], out);
        (void)snprintf(wanted, sizeof wanted, "\"'%s\"", formulas[i]);
        assert_string_equal(out, wanted);
    }
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        assert_string_equal(written(plain[i], out), plain[i]);
}

static void what_is_written_reads_the_same(void **state)
{
    static const char *const texts[] = {"a", "a,b", "say \"x\"", "\"", "", "-12"};
    char out[128];
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        (void)written(texts[i], out);
        (void)snprintf(out + strlen(out), sizeof out - strlen(out), ",end\n");
        assert_int_equal(read_text(out), 1);
        assert_string_equal(c.fields[0], texts[i]);
        assert_string_equal(c.fields[1], "end");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_stand_between_commas_and_may_be_empty),
        cmocka_unit_test(quotes_keep_commas_and_doubled_quotes),
        cmocka_unit_test(line_ends_of_every_kind_and_empty_lines_are_read),
        cmocka_unit_test(a_byte_order_mark_is_no_part_of_the_first_name),
        cmocka_unit_test(errors_name_file_line_and_column),
        cmocka_unit_test(a_line_of_4_gib_is_refused_after_64_kib),
        cmocka_unit_test(the_longest_line_and_the_most_columns_pass_and_no_more),
        cmocka_unit_test(formulas_are_made_harmless_and_numbers_stay_numbers),
        cmocka_unit_test(what_is_written_reads_the_same),
    };
    return cmocka_run_group_tests_name("finance/csv", tests, NULL, NULL);
}
