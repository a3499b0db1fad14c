/* SPDX-License-Identifier: Apache-2.0 */
#include <doorpay/tlv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"

/* What the terminal of these tests knows. */
static const struct {
    uint32_t tag;
    const char *value;
} known[] = {
    {0x9F02, "000000002350"},
    {0x5F2A, "0978"},
    {0x5A, "9999010000000011"},
    {0x9F37, "A1B2C3D4"},
    {0x9F1E, "3132333435363738"},
    {0x70, "5A0111"},
    {0xDF7F, "AABB"},
    {0x9F10, ""},
};

static bool source(void *ctx, uint32_t tag, struct dp_bytes *value)
{
    static uint8_t bytes[64];
    (void)ctx;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].tag == tag) {
            value->p = bytes;
            return dp_hex_decode(known[i].value, strlen(known[i].value), bytes, sizeof bytes,
                                 &value->n) == DP_OK;
        }
    return false;
}

static void fills(const char *dol_hex, const char *wanted_hex)
{
    uint8_t dol[64], wanted[300], out[300];
    size_t dol_n, wanted_n, n = 0;
    assert_int_equal(dp_hex_decode(dol_hex, strlen(dol_hex), dol, sizeof dol, &dol_n), DP_OK);
    assert_int_equal(
        dp_hex_decode(wanted_hex, strlen(wanted_hex), wanted, sizeof wanted, &wanted_n), DP_OK);
    assert_int_equal(
        dp_tlv_dol_fill((struct dp_bytes){dol, dol_n}, source, NULL, out, sizeof out, &n), DP_OK);
    assert_int_equal(n, wanted_n);
    assert_memory_equal(out, wanted, n);
}

static void values_follow_in_the_order_of_the_list(void **state)
{
    fills("9F0206 5F2A02 9F3704", "000000002350 0978 A1B2C3D4");
    fills("", "");
}

static void numeric_values_are_cut_and_padded_on_the_left(void **state)
{
    fills("9F0202", "2350");
    fills("9F0208", "0000000000002350");
    fills("9F0200", "");
}

static void compressed_numeric_values_are_cut_and_padded_on_the_right(void **state)
{
    fills("5A04", "99990100");
    fills("5A0A", "9999010000000011FFFF");
}

static void other_values_are_cut_and_padded_on_the_right(void **state)
{
    fills("9F3702", "A1B2");
    fills("9F3706", "A1B2C3D40000");
    fills("9F1E0A", "31323334353637380000");
    fills("DF7F03", "AABB00");
}

static void what_is_not_there_and_templates_are_zeros(void **state)
{
    fills("9F7C03 7003 9F1002", "000000 000000 0000");
}

static void a_list_must_be_sound(void **state)
{
    static const struct {
        const char *dol;
        int err;
    } bad[] = {{"9F", DP_ERR_SHORT},
               {"9F02", DP_ERR_SHORT},
               {"9F02069F", DP_ERR_SHORT},
               {"DF8181810101", DP_ERR_FORMAT}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t dol[16], out[300];
        size_t dol_n, n = 99;
        assert_int_equal(dp_hex_decode(bad[i].dol, strlen(bad[i].dol), dol, sizeof dol, &dol_n),
                         DP_OK);
        assert_int_equal(
            dp_tlv_dol_fill((struct dp_bytes){dol, dol_n}, source, NULL, out, sizeof out, &n),
            bad[i].err);
        assert_int_equal(n, 0);
        assert_false(dp_tlv_dol_has((struct dp_bytes){dol, dol_n}, 0x9F02, NULL));
    }
}

static void values_never_pass_the_room_there_is(void **state)
{
    static const uint8_t dol[] = {0x9F, 0x02, 0x06, 0x9F, 0x37, 0xFF};
    uint8_t out[261];
    size_t n;
    assert_int_equal(
        dp_tlv_dol_fill((struct dp_bytes){dol, sizeof dol}, source, NULL, out, 261, &n), DP_OK);
    assert_int_equal(n, 261);
    assert_int_equal(
        dp_tlv_dol_fill((struct dp_bytes){dol, sizeof dol}, source, NULL, out, 260, &n),
        DP_ERR_SPACE);
}

static void says_whether_a_list_has_a_tag(void **state)
{
    static const uint8_t dol[] = {0x9F, 0x02, 0x06, 0x9F, 0x37, 0x04};
    uint8_t length = 0;
    assert_true(dp_tlv_dol_has((struct dp_bytes){dol, sizeof dol}, 0x9F37, &length));
    assert_int_equal(length, 4);
    assert_false(dp_tlv_dol_has((struct dp_bytes){dol, sizeof dol}, 0x5A, NULL));
}

static bool gives_nothing(void *ctx, uint32_t tag, struct dp_bytes *value)
{
    (void)ctx;
    (void)tag;
    *value = (struct dp_bytes){NULL, 0};
    return true;
}

/* A value that is there and empty is zeros in every format: numeric, compressed numeric, binary. */
static void an_empty_value_is_zeros(void **state)
{
    static const uint8_t list[] = {0x9F, 0x02, 2, 0x5A, 2, 0x9F, 0x37, 2}, zeros[6] = {0};
    uint8_t out[6] = {1, 1, 1, 1, 1, 1};
    size_t n = 0;
    assert_int_equal(dp_tlv_dol_fill((struct dp_bytes){list, sizeof list}, gives_nothing, NULL, out,
                                     sizeof out, &n),
                     DP_OK);
    assert_int_equal(n, 6);
    assert_memory_equal(out, zeros, 6);
}

static void of_a_tag_named_twice_the_first_length_counts(void **state)
{
    static const uint8_t list[] = {0x9F, 0x37, 4, 0x9F, 0x37, 2};
    uint8_t length = 0;
    assert_true(dp_tlv_dol_has((struct dp_bytes){list, sizeof list}, 0x9F37, &length));
    assert_int_equal(length, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_follow_in_the_order_of_the_list),
        cmocka_unit_test(numeric_values_are_cut_and_padded_on_the_left),
        cmocka_unit_test(compressed_numeric_values_are_cut_and_padded_on_the_right),
        cmocka_unit_test(other_values_are_cut_and_padded_on_the_right),
        cmocka_unit_test(what_is_not_there_and_templates_are_zeros),
        cmocka_unit_test(a_list_must_be_sound),
        cmocka_unit_test(values_never_pass_the_room_there_is),
        cmocka_unit_test(says_whether_a_list_has_a_tag),
        cmocka_unit_test(an_empty_value_is_zeros),
        cmocka_unit_test(of_a_tag_named_twice_the_first_length_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
