/* SPDX-License-Identifier: Apache-2.0 */
#include <doorpay/tlv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "base/limits.h"

static uint8_t store[70000];

static struct dp_bytes hex(const char *text)
{
    size_t n = 0;
    assert_int_equal(dp_hex_decode(text, strlen(text), store, sizeof store, &n), DP_OK);
    return (struct dp_bytes){store, n};
}

static void reads_tags_of_one_to_four_bytes(void **state)
{
    struct dp_bytes d = hex("5A0199 9F2602AABB DF81290101 DF8181010102");
    static const uint32_t tags[] = {0x5A, 0x9F26, 0xDF8129, 0xDF818101};
    static const size_t lengths[] = {1, 2, 1, 1};
    struct dp_tlv t;
    size_t at = 0;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(dp_tlv_next(d, &at, &t), DP_OK);
        assert_int_equal(t.tag, tags[i]);
        assert_int_equal(t.value.n, lengths[i]);
        assert_ptr_equal(t.value.p + t.value.n, t.whole.p + t.whole.n);
    }
    assert_int_equal(at, d.n);
    assert_int_equal(dp_tlv_next(d, &at, &t), DP_ERR_NOT_FOUND);
}

static void refuses_a_tag_of_five_bytes(void **state)
{
    struct dp_bytes d = hex("9F2601AA DF818181010102");
    struct dp_tlv t;
    size_t at = 0;
    assert_int_equal(dp_tlv_next(d, &at, &t), DP_OK);
    assert_int_equal(dp_tlv_next(d, &at, &t), DP_ERR_FORMAT);
    assert_int_equal(at, 4);
    assert_null(t.value.p);
}

static void reads_each_form_of_length(void **state)
{
    static uint8_t p[3 + 1 + 65535];
    struct dp_bytes d = {p, 0};
    struct dp_tlv t;
    static const struct {
        uint8_t head[3];
        size_t head_n, n;
    } forms[] = {
        {{0x7F}, 1, 127},        {{0x81, 0x05}, 2, 5},      {{0x81, 0xFF}, 2, 255},
        {{0x82, 0, 0x03}, 3, 3}, {{0x82, 0x01, 0}, 3, 256}, {{0x82, 0xFF, 0xFF}, 3, 65535},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        size_t at = 0;
        p[0] = 0x5A;
        memcpy(p + 1, forms[i].head, forms[i].head_n);
        d.n = 1 + forms[i].head_n + forms[i].n;
        assert_int_equal(dp_tlv_next(d, &at, &t), DP_OK);
        assert_int_equal(t.value.n, forms[i].n);
        at = 0;
        d.n--;
        assert_int_equal(dp_tlv_next(d, &at, &t), DP_ERR_SHORT);
        assert_int_equal(at, 0);
    }
}

static void refuses_other_forms_of_length(void **state)
{
    static const char *const bad[] = {"5A80", "5A800000", "5A83000001AA", "5A8400000001AA", "5AFF"};
    struct dp_tlv t;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t at = 0;
        assert_int_equal(dp_tlv_next(hex(bad[i]), &at, &t), DP_ERR_FORMAT);
    }
}

static void every_cut_of_a_row_is_refused_or_ends_between_elements(void **state)
{
    struct dp_bytes d = hex("9F26021122 00 5F340101 9F1081020102"), cut = d;
    for (cut.n = 0; cut.n <= d.n; cut.n++) {
        bool between = cut.n == 0 || cut.n == 5 || cut.n == 6 || cut.n == 10 || cut.n == d.n;
        int err = dp_tlv_check(cut, NULL);
        assert_int_equal(err, between ? DP_OK : DP_ERR_SHORT);
    }
}

static void zeros_between_elements_are_padding(void **state)
{
    struct dp_bytes d = hex("0000 5A0111 000000 5F340122 00"), v;
    struct dp_tlv t;
    size_t at = 0;
    assert_int_equal(dp_tlv_next(d, &at, &t), DP_OK);
    assert_int_equal(t.tag, 0x5A);
    assert_int_equal(t.whole.n, 3);
    assert_int_equal(dp_tlv_next(d, &at, &t), DP_OK);
    assert_int_equal(t.tag, 0x5F34);
    assert_int_equal(dp_tlv_next(d, &at, &t), DP_ERR_NOT_FOUND);
    assert_int_equal(at, d.n);
    assert_int_equal(dp_tlv_find(d, 0x5F34, &v), DP_OK);
    assert_int_equal(v.p[0], 0x22);
}

static void finds_the_first_and_reads_to_the_end(void **state)
{
    struct dp_bytes v;
    assert_int_equal(dp_tlv_find(hex("5A0111 5A0122"), 0x5A, &v), DP_OK);
    assert_int_equal(v.p[0], 0x11);
    assert_int_equal(dp_tlv_find(hex("5A0111 5F3401"), 0x5A, &v), DP_ERR_SHORT);
    assert_null(v.p);
    assert_int_equal(dp_tlv_find(hex("70035A0111"), 0x5A, &v), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_tlv_find(hex(""), 0x5A, &v), DP_ERR_NOT_FOUND);
}

static void walks_templates_before_what_is_in_them(void **state)
{
    struct dp_bytes d = hex("6F10 8402AABB A50A 500141 BF0C0300 5A00 0000 9F2600");
    static const uint32_t tags[] = {0x6F, 0x84, 0xA5, 0x50, 0xBF0C, 0x5A, 0x9F26};
    static const unsigned depths[] = {0, 1, 1, 2, 2, 3, 0};
    struct dp_tlv_walk w;
    struct dp_tlv t;
    unsigned depth;
    dp_tlv_walk_begin(&w, d);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(dp_tlv_walk_next(&w, &t, &depth), DP_OK);
        assert_int_equal(t.tag, tags[i]);
        assert_int_equal(depth, depths[i]);
    }
    assert_int_equal(dp_tlv_walk_next(&w, &t, &depth), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_tlv_check(d, NULL), DP_OK);
}

static void an_element_may_not_leave_its_template(void **state)
{
    size_t bad_at = 0;
    assert_int_equal(dp_tlv_check(hex("7003 5A0211 22"), &bad_at), DP_ERR_SHORT);
    assert_int_equal(bad_at, 2);
    assert_int_equal(dp_tlv_check(hex("7004 5A021122"), NULL), DP_OK);
}

/* Templates in templates, levels of them. */
static struct dp_bytes nested(size_t levels)
{
    size_t at = sizeof store;
    for (size_t i = 0; i < levels; i++) {
        store[at - 1] = (uint8_t)(sizeof store - at);
        store[at - 2] = 0x70;
        at -= 2;
    }
    return (struct dp_bytes){store + at, sizeof store - at};
}

static void nesting_has_a_bound(void **state)
{
    size_t bad_at = 0;
    assert_int_equal(dp_tlv_check(nested(DP_TLV_NESTING_MAX), NULL), DP_OK);
    assert_int_equal(dp_tlv_check(nested(DP_TLV_NESTING_MAX + 1), &bad_at), DP_ERR_LIMIT);
    assert_int_equal(bad_at, (size_t)2 * DP_TLV_NESTING_MAX);
}

static void what_is_written_reads_back(void **state)
{
    static uint8_t value[65536], out[66000];
    static const size_t lengths[] = {0, 1, 127, 128, 255, 256, 65535};
    static const uint32_t tags[] = {0x5A, 0x9F26, 0xDF8129, 0xDF818101};
    memset(value, 0xA5, sizeof value);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t n = 0, at = 0;
        struct dp_tlv t;
        assert_int_equal(dp_tlv_put(out, sizeof out, &n, tags[i % 4], value, lengths[i]), DP_OK);
        assert_int_equal(dp_tlv_next((struct dp_bytes){out, n}, &at, &t), DP_OK);
        assert_int_equal(t.tag, tags[i % 4]);
        assert_int_equal(t.value.n, lengths[i]);
        assert_int_equal(at, n);
    }
}

static void writing_stops_at_the_room_there_is(void **state)
{
    uint8_t out[8] = {0};
    size_t n = 0;
    assert_int_equal(dp_tlv_put(out, sizeof out, &n, 0x9F26, "abcde", 5), DP_OK);
    assert_int_equal(n, 8);
    assert_int_equal(dp_tlv_put(out, sizeof out, &n, 0x5A, NULL, 0), DP_ERR_SPACE);
    assert_int_equal(n, 8);
    n = 0;
    assert_int_equal(dp_tlv_put(out, sizeof out, &n, 0, "a", 1), DP_ERR_RANGE);
    assert_int_equal(dp_tlv_put(out, sizeof out, &n, 0x5A, out, 65536), DP_ERR_RANGE);
}

static void nothing_is_a_sound_row(void **state)
{
    const struct dp_bytes nothing = {NULL, 0};
    size_t bad_at = 7, n = 0;
    assert_int_equal(dp_tlv_check(nothing, &bad_at), DP_OK);
    assert_int_equal(bad_at, 0);
    assert_int_equal(dp_tlv_check(nothing, NULL), DP_OK);
    assert_int_equal(dp_tlv_put(NULL, 0, &n, 0x5A, "a", 1), DP_ERR_SPACE);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_tags_of_one_to_four_bytes),
        cmocka_unit_test(refuses_a_tag_of_five_bytes),
        cmocka_unit_test(reads_each_form_of_length),
        cmocka_unit_test(refuses_other_forms_of_length),
        cmocka_unit_test(every_cut_of_a_row_is_refused_or_ends_between_elements),
        cmocka_unit_test(zeros_between_elements_are_padding),
        cmocka_unit_test(finds_the_first_and_reads_to_the_end),
        cmocka_unit_test(walks_templates_before_what_is_in_them),
        cmocka_unit_test(an_element_may_not_leave_its_template),
        cmocka_unit_test(nesting_has_a_bound),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(writing_stops_at_the_room_there_is),
        cmocka_unit_test(nothing_is_a_sound_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
