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
    const struct dp_iso8583_layout *l = dp_iso8583_profile("iso93-pos");
    assert_non_null(l);
    return l;
}

static size_t bytes(const char *hex, uint8_t *out, size_t max)
{
    size_t n = 0;
    assert_int_equal(dp_hex_decode(hex, strlen(hex), out, max, &n), DP_OK);
    return n;
}

static void assert_hex(const uint8_t *p, size_t n, const char *hex)
{
    char text[2 * DP_ISO8583_MESSAGE_MAX + 1];
    assert_string_equal(dp_hex_encode(p, n, text, sizeof text), hex);
}

/* The message that ends with the given words. */
static void assert_refused(const char *hex, int err, const char *words)
{
    static struct dp_iso8583_message m;
    struct dp_iso8583_error error = {0};
    uint8_t p[DP_ISO8583_MESSAGE_MAX];
    size_t n = bytes(hex, p, sizeof p);
    assert_int_equal(dp_iso8583_unpack(pos(), p, n, &m, &error), err);
    assert_string_equal(error.words, words);
    assert_int_equal(m.n, 0);
}

static void packs_a_message_byte_for_byte(void **state)
{
    struct dp_iso8583_message m;
    uint8_t out[256];
    size_t n;
    dp_iso8583_init(&m, 1200);
    dp_iso8583_set_number(&m, 3, 0, 6);
    dp_iso8583_set_number(&m, 4, 2350, 12);
    dp_iso8583_set_number(&m, 11, 17, 6);
    dp_iso8583_set_number(&m, 23, 1, 3);
    dp_iso8583_set_text(&m, 35, "99990100000000017D2512");
    dp_iso8583_set_text(&m, 41, "T0001");
    dp_iso8583_set(&m, 55, "\x95\x01\x00", 3);
    assert_int_equal(dp_iso8583_pack(pos(), &m, 8, out, sizeof out, &n, NULL), DP_OK);
    assert_hex(out, n,
               "1200302002002080020100000000000000235000001700012299990100000000017D2512"
               "54303030312020200003950100"
               "0000000000000000");
}

static void pads_odd_digits_on_the_left_and_track_2_on_the_right(void **state)
{
    struct dp_iso8583_message m;
    uint8_t out[64];
    size_t n;
    dp_iso8583_init(&m, 1200);
    dp_iso8583_set_text(&m, 2, "999901123456789");
    dp_iso8583_set_text(&m, 35, "99990D1");
    assert_int_equal(dp_iso8583_pack(pos(), &m, 0, out, sizeof out, &n, NULL), DP_OK);
    assert_hex(out, n,
               "12004000000020000000150999901123456789"
               "0799990D1F");
}

static void unpacks_to_what_was_packed(void **state)
{
    static struct dp_iso8583_message m, again;
    uint8_t out[DP_ISO8583_MESSAGE_MAX], out2[DP_ISO8583_MESSAGE_MAX];
    size_t n, n2;
    uint64_t v;
    char text[32];
    dp_iso8583_init(&m, 1520);
    dp_iso8583_set_number(&m, 11, 999999, 6);
    dp_iso8583_set_text(&m, 41, "T0001");
    dp_iso8583_set_text(&m, 42, "M 1");
    dp_iso8583_set_number(&m, 76, 3, 10);
    dp_iso8583_set_number(&m, 88, 1234567890123456ULL, 16);
    dp_iso8583_set_text(&m, 97, "C0000000000012345");
    assert_int_equal(dp_iso8583_pack(pos(), &m, 16, out, sizeof out, &n, NULL), DP_OK);
    assert_int_equal(dp_iso8583_unpack(pos(), out, n, &again, NULL), DP_OK);
    assert_int_equal(again.mti, 1520);
    assert_true(dp_iso8583_get_number(&again, 88, &v) && v == 1234567890123456ULL);
    assert_true(dp_iso8583_get_text(&again, 41, text, sizeof text));
    assert_string_equal(text, "T0001");
    assert_true(dp_iso8583_get_text(&again, 97, text, sizeof text));
    assert_string_equal(text, "C0000000000012345");
    assert_int_equal(dp_iso8583_get(&again, 128).n, 16);
    assert_false(dp_iso8583_has(&again, 64));
    assert_true(dp_iso8583_same(&m, &again, 76));
    assert_int_equal(dp_iso8583_pack(pos(), &again, 0, out2, sizeof out2, &n2, NULL), DP_OK);
    assert_int_equal(n, n2);
    assert_memory_equal(out, out2, n);
}

static void the_ascii_profile_is_text_throughout(void **state)
{
    static struct dp_iso8583_message m, again;
    const struct dp_iso8583_layout *l = dp_iso8583_profile("iso87-ascii");
    uint8_t out[256];
    size_t n;
    dp_iso8583_init(&m, 200);
    dp_iso8583_set_number(&m, 3, 0, 6);
    dp_iso8583_set_text(&m, 39, "00");
    dp_iso8583_set(&m, 55, "\x95\x01\xAB", 3);
    assert_int_equal(dp_iso8583_pack(l, &m, 8, out, sizeof out, &n, NULL), DP_OK);
    out[n] = 0;
    assert_string_equal((char *)out, "0200"
                                     "2000000002000201"
                                     "000000"
                                     "00"
                                     "0039501AB"
                                     "0000000000000000");
    assert_int_equal(dp_iso8583_unpack(l, out, n, &again, NULL), DP_OK);
    assert_true(dp_iso8583_same(&m, &again, 55));
}

static void setters_fail_once_and_pack_says_where(void **state)
{
    struct dp_iso8583_message m;
    struct dp_iso8583_error error;
    uint8_t out[64], longest[999] = {0};
    size_t n;
    dp_iso8583_init(&m, 1200);
    dp_iso8583_set_number(&m, 11, 1000000, 6);
    dp_iso8583_set_text(&m, 41, "");
    assert_int_equal(dp_iso8583_pack(pos(), &m, 8, out, sizeof out, &n, &error), DP_ERR_RANGE);
    assert_int_equal(error.de, 11);
    dp_iso8583_init(&m, 1200);
    dp_iso8583_set(&m, 129, "x", 1);
    assert_int_equal(dp_iso8583_pack(pos(), &m, 8, out, sizeof out, &n, &error), DP_ERR_ARG);
    dp_iso8583_init(&m, 1200);
    for (int i = 0; i < 6; i++)
        dp_iso8583_set(&m, 48, longest, sizeof longest);
    assert_int_equal(m.err, DP_ERR_SPACE);
}

static void refuse_to_pack(int de, const char *content, int err, const char *words)
{
    struct dp_iso8583_message m;
    struct dp_iso8583_error error = {0};
    uint8_t out[DP_ISO8583_MESSAGE_MAX];
    size_t n;
    dp_iso8583_init(&m, 1200);
    dp_iso8583_set_text(&m, de, content);
    assert_int_equal(dp_iso8583_pack(pos(), &m, 0, out, sizeof out, &n, &error), err);
    assert_string_equal(error.words, words);
}

static void refuses_to_pack_what_does_not_fit_its_element(void **state)
{
    refuse_to_pack(3, "12345", DP_ERR_RANGE, "DE3: length 5, wanted 6");
    refuse_to_pack(3, "12345x", DP_ERR_FORMAT, "DE3: not digits");
    refuse_to_pack(2, "99990100000000000001", DP_ERR_RANGE, "DE2: length 20 over 19");
    refuse_to_pack(5, "1", DP_ERR_UNSUPPORTED, "DE5: not in layout iso93-pos");
    refuse_to_pack(41, "123456789", DP_ERR_RANGE, "DE41: length 9 over 8");
    refuse_to_pack(38, "A-1", DP_ERR_FORMAT, "DE38: a character that may not stand here");
    refuse_to_pack(97, "X0000000000000001", DP_ERR_FORMAT, "DE97: sign is neither C nor D");
    refuse_to_pack(64, "1234567", DP_ERR_RANGE, "DE64: MAC of 7 bytes, wanted 8 or 16");
}

static void pack_stops_at_the_buffers_end(void **state)
{
    struct dp_iso8583_message m;
    uint8_t out[64];
    size_t n, whole;
    dp_iso8583_init(&m, 1200);
    dp_iso8583_set_text(&m, 41, "T0001");
    assert_int_equal(dp_iso8583_pack(pos(), &m, 8, out, sizeof out, &whole, NULL), DP_OK);
    for (size_t max = 0; max < whole; max++) {
        uint8_t small[64];
        memset(small, 0xEE, sizeof small);
        assert_int_equal(dp_iso8583_pack(pos(), &m, 8, small, max, &n, NULL), DP_ERR_SPACE);
        assert_int_equal(n, 0);
        assert_int_equal(small[max], 0xEE);
    }
}

static void errors_name_the_element(void **state)
{
    assert_refused("1200", DP_ERR_SHORT, "MTI and bitmap: the message ends inside");
    assert_refused("12A00000000000000000", DP_ERR_FORMAT, "MTI: not four digits");
    assert_refused("12008000000000000000"
                   "0000000000000000",
                   DP_ERR_FORMAT, "secondary bitmap: announced, but empty");
    assert_refused("12000000000020000000"
                   "39999901",
                   DP_ERR_RANGE, "DE35: length 39 over 37");
    assert_refused("12000000000020000000"
                   "37999901",
                   DP_ERR_SHORT, "DE35: wants 19 bytes, 3 left");
    assert_refused("12000000000020000000"
                   "3A9999",
                   DP_ERR_FORMAT, "DE35: length is not a number");
    assert_refused("12000000000020000000"
                   "00",
                   DP_ERR_RANGE, "DE35: length 0");
    assert_refused("12000000000020000000", DP_ERR_SHORT,
                   "DE35: the message ends inside its length");
    assert_refused("12000000000000000200"
                   "1234",
                   DP_ERR_FORMAT, "DE55: length is not a number");
    assert_refused("12002000000000000000"
                   "00000A",
                   DP_ERR_FORMAT, "DE3: not digits, or wrong padding");
    assert_refused("12000800000000000000", DP_ERR_UNSUPPORTED, "DE5: not in layout iso93-pos");
    assert_refused("12002000000000000000"
                   "000000FF",
                   DP_ERR_TRAILING, "1 bytes after the last element");
    assert_refused("12000000000000000001"
                   "000000",
                   DP_ERR_RANGE, "DE64: MAC of 3 bytes, wanted 8 or 16");
}

static void refuses_a_second_form_of_the_same_thing(void **state)
{
    /* odd digits with something in the padding nibble, track 2 likewise, currency too */
    assert_refused("12004000000000000000"
                   "15"
                   "1999901123456789",
                   DP_ERR_FORMAT, "DE2: not digits, or wrong padding");
    assert_refused("12000000000020000000"
                   "0799990D10",
                   DP_ERR_FORMAT, "DE35: not digits, or wrong padding");
    assert_refused("12000000000000008000"
                   "1978",
                   DP_ERR_FORMAT, "DE49: not digits, or wrong padding");
}

static void refuses_a_mac_that_is_not_last(void **state)
{
    assert_refused("15208000000000000001"
                   "0010000000000000"
                   "1122334455667788"
                   "0000000003",
                   DP_ERR_FORMAT, "DE64: MAC is not the last element");
}

static void refuses_a_message_over_the_limit(void **state)
{
    static struct dp_iso8583_message m;
    static uint8_t p[DP_ISO8583_MESSAGE_MAX + 1] = {0x12};
    struct dp_iso8583_mac mac;
    assert_int_equal(dp_iso8583_unpack(pos(), p, sizeof p, &m, NULL), DP_ERR_RANGE);
    assert_int_equal(dp_iso8583_find_mac(pos(), p, sizeof p, 8, &mac), DP_ERR_RANGE);
}

static void finds_ksn_and_mac_without_decoding(void **state)
{
    struct dp_iso8583_message m;
    struct dp_iso8583_mac mac;
    uint8_t out[256];
    size_t n;
    dp_iso8583_init(&m, 1210);
    dp_iso8583_set_number(&m, 3, 0, 6);
    dp_iso8583_set_text(&m, 37, "612345000001");
    dp_iso8583_set(&m, 53, "ABCDEFGHIJKL", 12);
    assert_int_equal(dp_iso8583_pack(pos(), &m, 8, out, sizeof out, &n, NULL), DP_OK);
    out[10] = 0xFF; /* DE3 is not digits: it is not looked at */
    assert_int_equal(dp_iso8583_find_mac(pos(), out, n, 8, &mac), DP_OK);
    assert_int_equal(mac.ksn.n, 12);
    assert_memory_equal(mac.ksn.p, "ABCDEFGHIJKL", 12);
    assert_ptr_equal(mac.mac.p, out + n - 8);
    assert_ptr_equal(mac.covered.p, out);
    assert_int_equal(mac.covered.n, n - 8);
    assert_int_equal(dp_iso8583_find_mac(pos(), out, n, 16, &mac), DP_ERR_RANGE);
    for (size_t short_n = 0; short_n < n; short_n++)
        assert_true(dp_iso8583_find_mac(pos(), out, short_n, 8, &mac) < 0);
    assert_int_equal(dp_iso8583_pack(pos(), &m, 0, out, sizeof out, &n, NULL), DP_OK);
    assert_int_equal(dp_iso8583_find_mac(pos(), out, n, 8, &mac), DP_ERR_MISSING);
}

static void tagged_data_stops_where_it_ends(void **state)
{
    uint8_t buf[16];
    size_t n = 0, at = 0;
    uint8_t tag;
    struct dp_bytes value, data = {buf, 0};
    assert_int_equal(dp_iso8583_tag_add(buf, sizeof buf, &n, DP_DE48_MODE, "\x02", 1), DP_OK);
    assert_int_equal(dp_iso8583_tag_add(buf, sizeof buf, &n, DP_DE48_PARCEL, "6A1", 3), DP_OK);
    assert_int_equal(dp_iso8583_tag_add(buf, sizeof buf, &n, DP_DE48_TX, buf, 16), DP_ERR_SPACE);
    data.n = n;
    assert_int_equal(dp_iso8583_tag_next(data, &at, &tag, &value), DP_OK);
    assert_int_equal(dp_iso8583_tag_next(data, &at, &tag, &value), DP_OK);
    assert_int_equal(tag, DP_DE48_PARCEL);
    assert_memory_equal(value.p, "6A1", 3);
    assert_int_equal(dp_iso8583_tag_next(data, &at, &tag, &value), DP_ERR_NOT_FOUND);
    data.n = n - 1;
    at = 3;
    assert_int_equal(dp_iso8583_tag_next(data, &at, &tag, &value), DP_ERR_SHORT);
}

static void original_data_survive_the_round(void **state)
{
    static struct dp_iso8583_message m;
    struct dp_iso8583_original o = {1200, 17, "261124093000", "12345678901"}, back;
    dp_iso8583_init(&m, 1420);
    dp_iso8583_set_original(&m, &o);
    assert_int_equal(dp_iso8583_get_original(&m, &back), DP_OK);
    assert_int_equal(back.mti, 1200);
    assert_int_equal(back.stan, 17);
    assert_string_equal(back.de12, o.de12);
    assert_string_equal(back.acquirer, o.acquirer);
    dp_iso8583_set_text(&m, 56, "1200000017261124093000121234");
    assert_int_equal(dp_iso8583_get_original(&m, &back), DP_ERR_FORMAT);
    dp_iso8583_set_text(&m, 56, "12000000172611240930000412345");
    assert_int_equal(dp_iso8583_get_original(&m, &back), DP_ERR_FORMAT);
    dp_iso8583_init(&m, 1420);
    assert_int_equal(dp_iso8583_get_original(&m, &back), DP_ERR_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_a_message_byte_for_byte),
        cmocka_unit_test(pads_odd_digits_on_the_left_and_track_2_on_the_right),
        cmocka_unit_test(unpacks_to_what_was_packed),
        cmocka_unit_test(the_ascii_profile_is_text_throughout),
        cmocka_unit_test(setters_fail_once_and_pack_says_where),
        cmocka_unit_test(refuses_to_pack_what_does_not_fit_its_element),
        cmocka_unit_test(pack_stops_at_the_buffers_end),
        cmocka_unit_test(errors_name_the_element),
        cmocka_unit_test(refuses_a_second_form_of_the_same_thing),
        cmocka_unit_test(refuses_a_mac_that_is_not_last),
        cmocka_unit_test(refuses_a_message_over_the_limit),
        cmocka_unit_test(finds_ksn_and_mac_without_decoding),
        cmocka_unit_test(tagged_data_stops_where_it_ends),
        cmocka_unit_test(original_data_survive_the_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
