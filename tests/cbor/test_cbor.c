/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/cbor.h>

#include "base/hex.h"
#include "base/reader.h"
#include "base/writer.h"

static int check(const char *hex)
{
    uint8_t b[128];
    size_t n = 0;
    assert_int_equal(dp_hex_decode(hex, strlen(hex), b, sizeof b, &n), DP_OK);
    return dp_cbor_check(b, n, NULL);
}

/* RFC 8949, appendix A: the examples that are deterministic and no floats. */
static void accepts_the_examples_of_rfc_8949(void **state)
{
    static const char *const good[] = {
        "00",
        "01",
        "0a",
        "17",
        "1818",
        "1819",
        "1864",
        "1903e8",
        "1a000f4240",
        "1b000000e8d4a51000",
        "1bffffffffffffffff",
        "3bffffffffffffffff",
        "20",
        "29",
        "3863",
        "3903e7",
        "f4",
        "f5",
        "f6",
        "c11a514b67b0",
        "d74401020304",
        "d818456449455446",
        "d82076687474703a2f2f7777772e6578616d706c652e636f6d",
        "40",
        "4401020304",
        "60",
        "6161",
        "6449455446",
        "62225c",
        "62c3bc",
        "63e6b0b4",
        "64f0908591",
        "80",
        "83010203",
        "8301820203820405",
        "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
        "a0",
        "a201020304",
        "a26161016162820203",
        "826161a161626163",
        "a56161614161626142616361436164614461656145",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(check(good[i]), DP_OK);
}

static void refuses_what_is_not_deterministic(void **state)
{
    static const struct {
        const char *hex;
        int err;
    } bad[] = {
        {"1800", DP_ERR_FORMAT},
        {"190017", DP_ERR_FORMAT},
        {"1900ff", DP_ERR_FORMAT},
        {"1a0000ffff", DP_ERR_FORMAT},
        {"1b00000000ffffffff", DP_ERR_FORMAT},
        {"5800", DP_ERR_FORMAT},
        {"f93c00", DP_ERR_FORMAT},
        {"fa47c35000", DP_ERR_FORMAT},
        {"f7", DP_ERR_FORMAT},
        {"f0", DP_ERR_FORMAT},
        {"f818", DP_ERR_FORMAT},
        {"5f42010243030405ff", DP_ERR_FORMAT},
        {"9fff", DP_ERR_FORMAT},
        {"bf6161019fff", DP_ERR_FORMAT},
        {"1c", DP_ERR_FORMAT},
        {"a202000100", DP_ERR_FORMAT},
        {"a201000100", DP_ERR_DUPLICATE},
        {"a2616100190100f6", DP_ERR_FORMAT},
        {"a18000", DP_ERR_FORMAT},
        {"61ff", DP_ERR_FORMAT},
        {"62c080", DP_ERR_FORMAT},
        {"63eda080", DP_ERR_FORMAT},
        {"64f4908080", DP_ERR_FORMAT},
        {"0000", DP_ERR_TRAILING},
        {"", DP_ERR_SHORT},
        {"19", DP_ERR_SHORT},
        {"41", DP_ERR_SHORT},
        {"8201", DP_ERR_SHORT},
        {"a101", DP_ERR_SHORT},
        {"5bffffffffffffffff", DP_ERR_SHORT},
        {"9bffffffffffffffff", DP_ERR_SHORT},
        {"bbffffffffffffffff", DP_ERR_SHORT},
        {"818181818181818180", DP_ERR_LIMIT},
        {"c1", DP_ERR_SHORT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int got = check(bad[i].hex);
        if (got != bad[i].err)
            print_message("case %s\n", bad[i].hex);
        assert_int_equal(got, bad[i].err);
    }
}

static void names_the_place(void **state)
{
    static const uint8_t b[] = {0xA2, 0x01, 0x00, 0x01, 0x00};
    size_t at = 0;
    (void)state;
    assert_int_equal(dp_cbor_check(b, sizeof b, &at), DP_ERR_DUPLICATE);
    assert_int_equal(at, 4);
}

static void writes_the_shortest_form(void **state)
{
    uint8_t b[64];
    char hex[129];
    struct dp_writer w;
    (void)state;
    dp_writer_init(&w, b, sizeof b);
    dp_cbor_write_uint(&w, 23);
    dp_cbor_write_uint(&w, 24);
    dp_cbor_write_uint(&w, 0x100);
    dp_cbor_write_uint(&w, 0x10000);
    dp_cbor_write_uint(&w, 0x100000000);
    dp_cbor_write_int(&w, -500);
    dp_cbor_write_text(&w, "a", 1);
    dp_cbor_write_tag(&w, 18);
    dp_cbor_write_null(&w);
    assert_int_equal(w.err, DP_OK);
    assert_string_equal(dp_hex_encode(b, w.n, hex, sizeof hex),
                        "1718181901001A000100001B00000001000000003901F36161D2F6");
}

static void a_wrong_type_is_a_sticky_failure(void **state)
{
    static const uint8_t b[] = {0x83, 0x01, 0x02, 0x03};
    struct dp_reader r;
    (void)state;
    dp_reader_init(&r, b, sizeof b);
    assert_int_equal(dp_cbor_read_array(&r), 3);
    assert_int_equal(dp_cbor_read_uint(&r), 1);
    assert_null(dp_cbor_read_bytes(&r).p);
    assert_int_equal(r.err, DP_ERR_FORMAT);
    assert_int_equal(dp_cbor_read_uint(&r), 0);
}

static void skips_a_nested_item_whole(void **state)
{
    static const uint8_t b[] = {0xA1, 0x01, 0x82, 0x02, 0x41, 0x03, 0x05};
    struct dp_reader r;
    (void)state;
    dp_reader_init(&r, b, sizeof b);
    dp_cbor_skip(&r);
    assert_int_equal(dp_cbor_read_uint(&r), 5);
    assert_int_equal(dp_reader_finish(&r), DP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_examples_of_rfc_8949),
        cmocka_unit_test(refuses_what_is_not_deterministic),
        cmocka_unit_test(names_the_place),
        cmocka_unit_test(writes_the_shortest_form),
        cmocka_unit_test(a_wrong_type_is_a_sticky_failure),
        cmocka_unit_test(skips_a_nested_item_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
