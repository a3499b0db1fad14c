/* SPDX-License-Identifier: Apache-2.0 */
#include <doorpay/iso8583.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "base/limits.h"

static const struct dp_iso8583_layout *pos(void)
{
    return dp_iso8583_profile("iso93-pos");
}

/* The masked content of one field. */
static void masked(int de, const void *content, size_t n, struct dp_iso8583_message *out)
{
    struct dp_iso8583_message m;
    uint8_t p[DP_ISO8583_MESSAGE_MAX];
    size_t packed_n;
    dp_iso8583_init(&m, 1200);
    dp_iso8583_set_number(&m, 11, 123456, 6);
    dp_iso8583_set(&m, de, content, n);
    assert_int_equal(dp_iso8583_pack(pos(), &m, 8, p, sizeof p, &packed_n, NULL), DP_OK);
    assert_int_equal(dp_iso8583_mask(pos(), p, packed_n, p), DP_OK);
    assert_int_equal(dp_iso8583_unpack(pos(), p, packed_n, out, NULL), DP_OK);
    assert_memory_equal(dp_iso8583_get(out, 11).p, "123456", 6);
}

static void assert_masked(int de, const char *content, const char *wanted)
{
    static struct dp_iso8583_message out;
    char text[128];
    masked(de, content, strlen(content), &out);
    assert_true(dp_iso8583_get_text(&out, de, text, sizeof text));
    assert_string_equal(text, wanted);
}

static void assert_masked_emv(const char *hex, const char *wanted)
{
    static struct dp_iso8583_message out;
    uint8_t p[256];
    char text[512];
    size_t n;
    assert_int_equal(dp_hex_decode(hex, strlen(hex), p, sizeof p, &n), DP_OK);
    masked(55, p, n, &out);
    assert_string_equal(
        dp_hex_encode(dp_iso8583_get(&out, 55).p, dp_iso8583_get(&out, 55).n, text, sizeof text),
        wanted);
}

static void a_pan_keeps_its_first_six_and_last_four(void **state)
{
    assert_masked(2, "9999010000000017", "9999019999990017");
    assert_masked(2, "9999019999990017", "9999018888880017");
    assert_masked(2, "9999010000000000017", "9999019999999990017");
    assert_masked(2, "9999012345", "9999992345");
}

static void expiry_and_track_2_are_masked(void **state)
{
    assert_masked(14, "2812", "0000");
    assert_masked(35, "9999010000000017D28122010000099", "9999019999990017D00000000000000");
    assert_masked(35, "9999010000000017", "9999019999990017");
}

static void card_data_inside_de55_is_masked(void **state)
{
    assert_masked_emv("5A089999010000000017", "5A089999019999990017");
    assert_masked_emv("5A0A9999010000000000017F", "5A0A9999019999999990017F");
    assert_masked_emv("57109999010000000017D28122010000099F",
                      "57109999019999990017D00000000000000F");
    assert_masked_emv("5F2403281231"
                      "950500000080009F1F03313233",
                      "5F2403000000"
                      "950500000080009F1F03000000");
}

static void unknown_tags_are_kept_and_templates_blanked(void **state)
{
    assert_masked_emv("DF810C0102"
                      "9F6E0401020304",
                      "DF810C0102"
                      "9F6E0401020304");
    assert_masked_emv("700A5A089999010000000017", "700A00000000000000000000");
    assert_masked_emv("71059F18020102", "71059F18020102");
}

static void what_is_not_tlv_is_blanked_from_there_on(void **state)
{
    assert_masked_emv("9505000000800099990100000000179999", "9505000000800000000000000000000000");
    assert_masked_emv("5A099999010000000017", "00000000000000000000");
}

static void what_does_not_decode_is_not_logged(void **state)
{
    uint8_t p[] = {0x12, 0x00, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x16, 0x99, 0x99}, out[sizeof p];
    uint8_t zeros[sizeof p] = {0};
    memset(out, 0xEE, sizeof out);
    assert_true(dp_iso8583_mask(pos(), p, sizeof p, out) < 0);
    assert_memory_equal(out, zeros, sizeof out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pan_keeps_its_first_six_and_last_four),
        cmocka_unit_test(expiry_and_track_2_are_masked),
        cmocka_unit_test(card_data_inside_de55_is_masked),
        cmocka_unit_test(unknown_tags_are_kept_and_templates_blanked),
        cmocka_unit_test(what_is_not_tlv_is_blanked_from_there_on),
        cmocka_unit_test(what_does_not_decode_is_not_logged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
