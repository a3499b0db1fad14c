/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's codec, on messages written by hand from docs/PROTOCOL.acquirer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "sim/iso.h"

/* DE7, 11, 12, 24, 41, 53, MAC in DE64. */
static const char echo[] = "1804 0230010000800801 1124100000 000123 261124110000 0831"
                           "4450303030303031 12 000102030405060700000001 0011223344556677";

static struct sim_iso m;
static struct sim_buf out;
static unsigned wrong;

static int decode(const char *hex)
{
    uint8_t p[512];
    size_t n = 0;
    assert_int_equal(dp_hex_decode(hex, strlen(hex), p, sizeof p, &n), DP_OK);
    return sim_iso_decode(p, n, &m, &wrong);
}

static void echo_is_read_element_by_element(void **state)
{
    (void)state;
    assert_int_equal(decode(echo), DP_OK);
    assert_string_equal(m.mti, "1804");
    assert_string_equal(sim_iso_text(&m, 7), "1124100000");
    assert_string_equal(sim_iso_text(&m, 11), "000123");
    assert_string_equal(sim_iso_text(&m, 12), "261124110000");
    assert_string_equal(sim_iso_text(&m, 24), "831");
    assert_string_equal(sim_iso_text(&m, 41), "DP000001");
    assert_int_equal(sim_iso_bytes(&m, 53).n, 12);
    assert_int_equal(sim_iso_mac(&m).n, 8);
    assert_string_equal(sim_iso_text(&m, 4), "");
}

static void every_format_comes_out_as_it_went_in(void **state)
{
    /* LL n odd and even, z odd and even, xn, LLL b, a secondary bitmap */
    static const char *const messages[] = {
        "1200 4000000000000001 19 09999010000000000012 0011223344556677",
        "1200 4000000000000001 16 9999010000000011 0011223344556677",
        "1200 0000000020000001 37 9999010000000011D30122010000000000000F 0011223344556677",
        "1200 0000000020000001 04 99D3 0011223344556677",
        "1520 8000000000000000 0000000080000001 43 0000000000001234 0011223344556677",
        "1200 0000000000010001 0003 AABBCC 0011223344556677",
        "1200 8000000000000000 0000000000000101 0000 0011223344556677"};
    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        uint8_t want[128];
        size_t n = 0;
        assert_int_equal(decode(messages[i]), DP_OK);
        assert_int_equal(sim_iso_encode(&m, 8, &out), DP_OK);
        assert_int_equal(dp_hex_decode(messages[i], strlen(messages[i]), want, sizeof want, &n),
                         DP_OK);
        assert_int_equal(out.n, n);
        assert_memory_equal(out.p, want, n - 8);
    }
}

static void what_is_not_in_its_format_is_refused(void **state)
{
    static const struct {
        int err;
        unsigned wrong;
        const char *hex;
    } bad[] = {
        {DP_ERR_SHORT, 0, "18"},
        {DP_ERR_FORMAT, 0, "180A 0000000000000001 0011223344556677"},
        {DP_ERR_MISSING, 0, "1804 0000000000000000"},
        {DP_ERR_FORMAT, 0, "1804 8000000000000000 0000000000000001 0011223344556677"},
        {DP_ERR_MISSING, 0, "1804 8000000000000001 0000000000000001 0011223344556677"},
        {DP_ERR_UNSUPPORTED, 5, "1804 0800000000000001 0011223344556677"},
        {DP_ERR_UNSUPPORTED, 65, "1804 8000000000000000 8000000000000001 0011223344556677"},
        {DP_ERR_FORMAT, 11, "1804 0020000000000001 00012A 0011223344556677"},
        {DP_ERR_FORMAT, 24, "1804 0000010000000001 1831 0011223344556677"},
        {DP_ERR_FORMAT, 2, "1200 4000000000000001 20 99990100000000000012 0011223344556677"},
        {DP_ERR_FORMAT, 35, "1200 0000000020000001 05 99D310 0011223344556677"},
        {DP_ERR_FORMAT, 35, "1200 0000000020000001 04 9993 0011223344556677"},
        {DP_ERR_FORMAT, 37, "1200 0000000008000001 36333238313030303031322A 0011223344556677"},
        {DP_ERR_FORMAT, 41, "1200 0000000000800001 4450303030300031 0011223344556677"},
        {DP_ERR_FORMAT, 53, "1200 0000000000000801 13 00010203040506070000000100 0011223344556677"},
        {DP_ERR_SHORT, 48, "1200 0000000000010001 0999 00"},
        {DP_ERR_SHORT, 64, "1200 0000000000000001 00112233445566"},
        {DP_ERR_TRAILING, 64, "1200 0000000000000001 001122334455667788"},
        {DP_ERR_FORMAT, 97,
         "1520 8000000000000000 0000000080000001 45 0000000000001234 0011223344556677"}};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(decode(bad[i].hex), bad[i].err);
        assert_int_equal(wrong, bad[i].wrong);
    }
}

static void nothing_cut_is_read(void **state)
{
    uint8_t p[128];
    size_t n = 0;
    (void)state;
    assert_int_equal(dp_hex_decode(echo, strlen(echo), p, sizeof p, &n), DP_OK);
    for (size_t cut = 0; cut < n; cut++)
        assert_int_not_equal(sim_iso_decode(p, cut, &m, &wrong), DP_OK);
}

static void what_does_not_fit_is_not_written(void **state)
{
    (void)state;
    sim_iso_begin(&m, "1814");
    sim_iso_set_text(&m, 39, "80");
    assert_int_equal(sim_iso_encode(&m, 8, &out), DP_ERR_FORMAT);
    sim_iso_begin(&m, "1814");
    sim_iso_set_text(&m, 39, "8A0");
    assert_int_equal(sim_iso_encode(&m, 8, &out), DP_ERR_FORMAT);
    sim_iso_begin(&m, "1814");
    sim_iso_set_text(&m, 5, "1");
    assert_int_equal(sim_iso_encode(&m, 8, &out), DP_ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_is_read_element_by_element),
        cmocka_unit_test(every_format_comes_out_as_it_went_in),
        cmocka_unit_test(what_is_not_in_its_format_is_refused),
        cmocka_unit_test(nothing_cut_is_read),
        cmocka_unit_test(what_does_not_fit_is_not_written),
    };
    return cmocka_run_group_tests_name("sim/iso", tests, NULL, NULL);
}
