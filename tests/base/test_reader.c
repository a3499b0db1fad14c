/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "base/reader.h"
#include "base/writer.h"

static void failure_is_sticky_and_reads_give_nothing(void **state)
{
    static const uint8_t in[] = {1, 2, 3};
    struct dp_reader r;
    (void)state;
    dp_reader_init(&r, in, sizeof in);
    assert_int_equal(dp_read_u16(&r), 0x0102);
    assert_int_equal(dp_read_u16(&r), 0);
    assert_int_equal(r.err, DP_ERR_SHORT);
    assert_int_equal(dp_read_u8(&r), 0);
    assert_int_equal(r.done, 2);
    assert_null(dp_read_bytes(&r, 0).p);
    assert_int_equal(dp_reader_finish(&r), DP_ERR_SHORT);
}

static void a_huge_length_does_not_wrap(void **state)
{
    static const uint8_t in[] = {1, 2, 3};
    struct dp_reader r, sub;
    (void)state;
    dp_reader_init(&r, in, sizeof in);
    (void)dp_read_u8(&r);
    sub = dp_read_sub(&r, SIZE_MAX);
    assert_int_equal(sub.err, DP_ERR_SHORT);
    assert_int_equal(sub.left, 0);
    assert_int_equal(r.err, DP_ERR_SHORT);
}

static void left_over_bytes_are_an_error(void **state)
{
    static const uint8_t in[] = {1, 2};
    struct dp_reader r;
    (void)state;
    dp_reader_init(&r, in, sizeof in);
    assert_int_equal(dp_read_u8(&r), 1);
    assert_int_equal(dp_reader_finish(&r), DP_ERR_TRAILING);
    assert_int_equal(dp_read_u8(&r), 2);
    assert_int_equal(dp_reader_finish(&r), DP_OK);
}

static void writer_stops_at_its_end(void **state)
{
    uint8_t out[5];
    struct dp_writer w;
    (void)state;
    dp_writer_init(&w, out, sizeof out);
    dp_write_u32(&w, 0x01020304);
    dp_write_u16(&w, 5);
    assert_int_equal(w.err, DP_ERR_SPACE);
    dp_write_u8(&w, 5);
    assert_int_equal(w.n, 4);
    assert_int_equal(dp_writer_bytes(&w).n, 0);
    assert_null(dp_write_reserve(&w, 1));
}

static void texts_come_back_and_others_are_refused(void **state)
{
    static const uint8_t with_nul[] = {3, 'a', 0, 'b'}, cut[] = {4, 'a', 'b'};
    char long_text[300], out[5] = "xxxx";
    uint8_t p[16];
    struct dp_writer w;
    struct dp_reader r;
    (void)state;
    dp_writer_init(&w, p, sizeof p);
    dp_write_text(&w, "");
    dp_write_text(&w, "four");
    assert_int_equal(w.err, DP_OK);
    assert_int_equal(w.n, 6);
    dp_reader_init(&r, p, w.n);
    dp_read_text(&r, out, sizeof out);
    assert_string_equal(out, "");
    dp_read_text(&r, out, sizeof out);
    assert_string_equal(out, "four");
    assert_int_equal(dp_reader_finish(&r), DP_OK);
    dp_reader_init(&r, p + 1, 5);
    dp_read_text(&r, out, 4); /* no room for its NUL */
    assert_int_equal(r.err, DP_ERR_RANGE);
    assert_string_equal(out, "");
    dp_reader_init(&r, with_nul, sizeof with_nul);
    dp_read_text(&r, out, sizeof out);
    assert_int_equal(r.err, DP_ERR_FORMAT);
    assert_string_equal(out, "");
    dp_reader_init(&r, cut, sizeof cut);
    dp_read_text(&r, out, sizeof out);
    assert_int_not_equal(r.err, DP_OK);
    assert_string_equal(out, "");
    memset(long_text, 'a', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    dp_writer_init(&w, p, sizeof p);
    dp_write_text(&w, long_text);
    assert_int_equal(w.err, DP_ERR_RANGE);
}

static void hex_round_trips_and_refuses_the_rest(void **state)
{
    uint8_t b[4];
    char t[9];
    size_t n = 99;
    (void)state;
    assert_int_equal(dp_hex_decode("00 a4\n04Ff", 10, b, sizeof b, &n), DP_OK);
    assert_int_equal(n, 4);
    assert_string_equal(dp_hex_encode(b, n, t, sizeof t), "00A404FF");
    assert_int_equal(dp_hex_decode("00A", 3, b, sizeof b, &n), DP_ERR_FORMAT);
    assert_int_equal(dp_hex_decode("0G", 2, b, sizeof b, &n), DP_ERR_FORMAT);
    assert_int_equal(dp_hex_decode("0011223344", 10, b, sizeof b, &n), DP_ERR_SPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failure_is_sticky_and_reads_give_nothing),
        cmocka_unit_test(a_huge_length_does_not_wrap),
        cmocka_unit_test(left_over_bytes_are_an_error),
        cmocka_unit_test(writer_stops_at_its_end),
        cmocka_unit_test(texts_come_back_and_others_are_refused),
        cmocka_unit_test(hex_round_trips_and_refuses_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
