/* SPDX-License-Identifier: Apache-2.0 */
#include <doorpay/iso8583.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEAD                                                                                       \
    "profile t\nmti bcd\nbitmap binary\nlength bcd\nnumeric bcd\nbinary raw\n" /* six lines */

static size_t read_layout(const char *name, char *out, size_t max)
{
    char path[512];
    FILE *f;
    size_t n;
    (void)snprintf(path, sizeof path, "%s/%s.layout", LAYOUTS, name);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(out, 1, max, f);
    (void)fclose(f);
    return n;
}

static void the_compiled_in_tables_are_what_the_loader_reads(void **state)
{
    static char text[16384];
    static struct dp_iso8583_layout loaded;
    struct dp_iso8583_error error = {0};
    const struct dp_iso8583_layout *l;
    size_t i;
    for (i = 0; (l = dp_iso8583_profile_at(i)) != NULL; i++) {
        size_t n = read_layout(l->name, text, sizeof text);
        assert_int_equal(dp_iso8583_layout_load(text, n, &loaded, &error), DP_OK);
        assert_memory_equal(&loaded, l, sizeof loaded);
    }
    assert_int_equal(i, 3);
    assert_null(dp_iso8583_profile("iso93"));
}

static void what_is_exported_loads_to_the_same(void **state)
{
    static char text[16384];
    static struct dp_iso8583_layout loaded;
    const struct dp_iso8583_layout *l = dp_iso8583_profile("iso87-ascii");
    size_t n, whole;
    assert_int_equal(dp_iso8583_layout_text(l, text, sizeof text, &whole), DP_OK);
    assert_int_equal(strlen(text), whole);
    assert_int_equal(dp_iso8583_layout_load(text, whole, &loaded, NULL), DP_OK);
    assert_memory_equal(&loaded, l, sizeof loaded);
    assert_int_equal(dp_iso8583_layout_text(l, text, whole, &n), DP_ERR_SPACE);
    assert_int_equal(dp_iso8583_layout_text(l, text, 40, &n), DP_ERR_SPACE);
}

static void refused(const char *text, int err, const char *words)
{
    static struct dp_iso8583_layout l;
    struct dp_iso8583_error error = {0};
    assert_int_equal(dp_iso8583_layout_load(text, strlen(text), &l, &error), err);
    assert_string_equal(error.words, words);
    assert_string_equal(l.name, "");
}

static void a_wrong_line_is_named(void **state)
{
    refused(HEAD, DP_ERR_MISSING, "line 6: the file names no element");
    refused("2 n6 x\n", DP_ERR_MISSING, "line 1: no 'mti' so far");
    refused("mti bcd\nbitmap hex\nlength count\nnumeric bcd\nbinary raw\n3 n6 x\n", DP_ERR_MISSING,
            "line 6: no 'profile' so far");
    refused(HEAD "65 n6 x\n", DP_ERR_RANGE, "line 7: '65' is no element (2..64, 66..128)");
    refused(HEAD "1 n6 x\n", DP_ERR_RANGE, "line 7: '1' is no element (2..64, 66..128)");
    refused(HEAD "129 n6 x\n", DP_ERR_RANGE, "line 7: '129' is no element (2..64, 66..128)");
    refused(HEAD "3 n6 x\n3 n6 y\n", DP_ERR_DUPLICATE,
            "line 8: DE3 after DE3: ascending, each once");
    refused(HEAD "3 q6 x\n", DP_ERR_FORMAT, "line 7: format 'q6' is not known");
    refused(HEAD "3 n x\n", DP_ERR_RANGE, "line 7: format 'n': length out of range");
    refused(HEAD "3 LL n100 x\n", DP_ERR_RANGE, "line 7: format 'n100': length out of range");
    refused(HEAD "3 LLL n1000 x\n", DP_ERR_RANGE, "line 7: format 'n1000': length out of range");
    refused(HEAD "3 LL xn9 x\n", DP_ERR_FORMAT, "line 7: xn has a fixed length");
    refused(HEAD "3 n6\n", DP_ERR_FORMAT, "line 7: DE3 wants a name of 1 to 39 characters");
    refused(HEAD "3 LL\n", DP_ERR_MISSING, "line 7: DE3 has no format");
    refused(HEAD "64 b8 x\n", DP_ERR_FORMAT,
            "line 7: DE64 and DE128 are the MAC, and no other element is");
    refused(HEAD "63 mac x\n", DP_ERR_FORMAT,
            "line 7: DE64 and DE128 are the MAC, and no other element is");
    refused(HEAD "64 mac8 x\n", DP_ERR_FORMAT, "line 7: mac takes no length");
    refused("mti bcd\nmti bcd\n", DP_ERR_DUPLICATE, "line 2: mti stands twice");
    refused("mti binary\n", DP_ERR_FORMAT, "line 1: mti: 'binary' is not known");
    refused("color red\n", DP_ERR_FORMAT, "line 1: 'color' is not known");
    refused("mti\n", DP_ERR_FORMAT, "line 1: wanted 'mti VALUE'");
    refused("profile Isö\n", DP_ERR_FORMAT, "line 1: a character that is not printable ASCII");
    refused("profile ISO\n", DP_ERR_FORMAT,
            "line 1: profile name: lower-case letters, digits and - only");
    refused("profile a\nprofile b\n", DP_ERR_DUPLICATE, "line 2: profile stands twice");
    refused("profile a2345678901234567\n", DP_ERR_RANGE, "line 1: profile name over 16 characters");
}

static void a_line_may_be_long_but_not_too_long(void **state)
{
    static struct dp_iso8583_layout l;
    char text[512] = HEAD "3 n6 x\n#";
    size_t n = strlen(text);
    memset(text + n, '-', 120);
    assert_int_equal(dp_iso8583_layout_load(text, n + 119, &l, NULL), DP_OK);
    assert_int_equal(dp_iso8583_layout_load(text, n + 120, &l, NULL), DP_ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_compiled_in_tables_are_what_the_loader_reads),
        cmocka_unit_test(what_is_exported_loads_to_the_same),
        cmocka_unit_test(a_wrong_line_is_named),
        cmocka_unit_test(a_line_may_be_long_but_not_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
