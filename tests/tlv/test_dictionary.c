/* SPDX-License-Identifier: Apache-2.0 */
#include <doorpay/tlv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void stands_in_order_and_is_found(void **state)
{
    const struct dp_tlv_tag *t;
    uint32_t before = 0;
    size_t n = 0;
    for (; (t = dp_tlv_tag_at(n)) != NULL; n++) {
        assert_true(t->tag > before);
        assert_ptr_equal(dp_tlv_tag_find(t->tag), t);
        assert_true(t->min <= t->max);
        assert_int_equal(dp_tlv_is_template(t->tag), t->format == DP_TLV_TEMPLATE);
        before = t->tag;
    }
    assert_true(n >= 200);
}

static void does_not_know_what_is_not_in_it(void **state)
{
    assert_null(dp_tlv_tag_find(0));
    assert_null(dp_tlv_tag_find(0xDF818101));
    assert_null(dp_tlv_tag_find(0x5B));
    assert_null(dp_tlv_tag_find(UINT32_MAX));
}

static void knows_the_formats_lists_depend_on(void **state)
{
    static const struct {
        uint32_t tag;
        enum dp_tlv_format format;
        uint16_t min, max;
        const char *name;
    } some[] = {
        {0x9F02, DP_TLV_N, 6, 6, "Amount, Authorised (Numeric)"},
        {0x5A, DP_TLV_CN, 0, 10, "Application Primary Account Number (PAN)"},
        {0x95, DP_TLV_B, 5, 5, "Terminal Verification Results (TVR)"},
        {0x9F38, DP_TLV_DOL, 0, 252, "Processing Options Data Object List (PDOL)"},
        {0xBF0C, DP_TLV_TEMPLATE, 0, 222, "FCI Issuer Discretionary Data"},
    };
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        const struct dp_tlv_tag *t = dp_tlv_tag_find(some[i].tag);
        assert_non_null(t);
        assert_int_equal(t->format, some[i].format);
        assert_int_equal(t->min, some[i].min);
        assert_int_equal(t->max, some[i].max);
        assert_string_equal(t->name, some[i].name);
    }
}

static void what_names_the_holder_is_secret(void **state)
{
    static const uint32_t secret[] = {0x5A,   0x57,   0x56, 0x5F20, 0x9F0B,  0x9F1F,
                                      0x9F20, 0x9F6B, 0x99, 0x5F22, 0xDF812B};
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
        assert_true(dp_tlv_tag_find(secret[i])->secret);
    assert_false(dp_tlv_tag_find(0x9F26)->secret);
    assert_false(dp_tlv_tag_find(0x5F34)->secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stands_in_order_and_is_found),
        cmocka_unit_test(does_not_know_what_is_not_in_it),
        cmocka_unit_test(knows_the_formats_lists_depend_on),
        cmocka_unit_test(what_names_the_holder_is_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
