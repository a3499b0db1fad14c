/* SPDX-License-Identifier: Apache-2.0 */
/* What the caller hands in, and the store it goes into. */
#include "step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <doorpay/words.h>

static struct step s;

/* ---- bad terminal data and transactions: refused before the card hears anything ---- */

static void refused(const char *what)
{
    struct dp_emv_kernel *kernel = NULL;
    assert_int_equal(dp_emv_kernel_new(&kernel), DP_OK);
    if (dp_emv_perform(kernel, &s.card, &s.terminal, &s.transaction, &s.ops, &s.result) !=
        DP_ERR_ARG)
        fail_msg("taken: %s", what);
    assert_int_equal(s.result.outcome, DP_EMV_ENDED);
    dp_emv_kernel_free(&kernel);
    step_end(&s);
}

/* One field made wrong. */
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        step_begin(&s);                                                                            \
        s.field = (value);                                                                         \
        refused(#field " = " #value);                                                              \
    } while (0)

static void text(char *field, const char *value, size_t n)
{
    memcpy(field, value, n);
    refused(value);
    step_begin(&s);
}

static void terminal_texts_are_checked(void **state)
{
    step_begin(&s);
    text(s.terminal.tid, "DP00001", 8);
    text(s.terminal.tid, "DP0000001", 9);
    text(s.terminal.tid, "DP00\n001", 9);
    text(s.terminal.mid, "0123456789ABCDEF", 16);
    text(s.terminal.mid, "M\x7F", 3);
    text(s.terminal.mcc, "421", 4);
    text(s.terminal.mcc, "421X", 5);
    text(s.terminal.merchant_name, "\xC3\xA9", 3);
    text(s.terminal.acquirer_id, "99 99", 6);
    text(s.terminal.ifd_serial, "\t", 2);
    step_end(&s);
}

static void terminal_numbers_are_checked(void **state)
{
    REFUSED(terminal.country, 1000);
    REFUSED(terminal.aids, NULL);
    REFUSED(terminal.aids_n, 0);
    REFUSED(terminal.aids_n, DP_EMV_AIDS_MAX + 1);
    REFUSED(terminal.ca_keys_n, DP_EMV_CA_KEYS_MAX + 1);
    REFUSED(terminal.ca_keys_n, 1); /* and no keys */
}

static void applications_are_checked(void **state)
{
    REFUSED(aids[0].aid_n, 4);
    REFUSED(aids[0].aid_n, 17);
    REFUSED(aids[0].ddol_n, 65);
    REFUSED(aids[0].tdol_n, 65);
    REFUSED(aids[0].random_max, 100);
    REFUSED(aids[0].random_target, 1); /* over the maximum, 0 */
    REFUSED(aids[0].floor_limit, 1000000000000);
    REFUSED(aids[0].random_threshold, 1000000000000);
    REFUSED(aids[0].cl_transaction_limit, 1000000000000);
    REFUSED(aids[0].cl_cvm_limit, 1000000000000);
    REFUSED(aids[0].cl_floor_limit, 1000000000000);
}

static void a_scheme_key_longer_than_any_is_refused(void **state)
{
    static const struct dp_emv_ca_key key = {.modulus_n = sizeof key.modulus + 1};
    step_begin(&s);
    s.terminal.ca_keys = &key;
    s.terminal.ca_keys_n = 1;
    refused("modulus_n");
}

static void transactions_are_checked(void **state)
{
    REFUSED(transaction.amount.minor, -1);
    REFUSED(transaction.amount.minor, 1000000000000);
    REFUSED(transaction.amount.currency, 1000);
    REFUSED(transaction.amount.exponent, 10);
    REFUSED(transaction.type, 0x0A);
    REFUSED(transaction.type, 0xA0);
    REFUSED(transaction.sequence, 100000000);
    REFUSED(transaction.chosen_aid_n, 4);
    REFUSED(transaction.chosen_aid_n, 17);
}

static void dates_are_checked(void **state)
{
    REFUSED(transaction.local.year, 1999);
    REFUSED(transaction.local.year, 2100);
    REFUSED(transaction.local.month, 0);
    REFUSED(transaction.local.month, 13);
    REFUSED(transaction.local.day, 0);
    REFUSED(transaction.local.day, 32);
    REFUSED(transaction.local.hour, 24);
    REFUSED(transaction.local.minute, 60);
    REFUSED(transaction.local.second, 61);
}

/* ---- what the store is told ---- */

static void is(uint32_t tag, const char *hex)
{
    struct dp_bytes v = emv_data_get(&s.k.data, tag), wanted = step_hex(hex);
    assert_int_equal(v.n, wanted.n);
    if (v.n > 0)
        assert_memory_equal(v.p, wanted.p, v.n);
}

static void the_card_is_told_no_pin_pad_and_no_amount_that_does_not_fit(void **state)
{
    step_begin(&s);
    s.terminal.capabilities[1] = 0xF8;
    s.transaction.amount.minor = 0x100000000;
    assert_int_equal(emv_terminal_begin(&s.k), DP_OK);
    is(0x9F33, "2028C8");
    is(0x81, "");
    is(0x9F02, "004294967296");
    is(0x9F16, "4D2020202020202020202020202020");
    is(0x9F1E, ""); /* no serial number is none, not blanks */
    s.transaction.amount.minor = 0xFFFFFFFF;
    assert_int_equal(emv_terminal_begin(&s.k), DP_OK);
    is(0x81, "FFFFFFFF");
    step_end(&s);
}

/* ---- the store ---- */

static struct emv_data data;
static uint8_t bytes[DP_EMV_DATA_MAX + 1];

static int card_gives(uint32_t tag, size_t n)
{
    const struct dp_tlv t = {.tag = tag, .value = {bytes, n}};
    return emv_data_take(&data, &t, EMV_FROM_CARD);
}

static void the_store_has_room_for_so_many_elements(void **state)
{
    emv_data_clear(&data);
    for (uint32_t i = 0; i < DP_EMV_ELEMENTS_MAX; i++)
        assert_int_equal(card_gives(0xDFE100 + i, 1), DP_OK);
    assert_int_equal(card_gives(0xDFF100, 1), DP_ERR_LIMIT);
    assert_int_equal(emv_data_set(&data, 0xDFE100, EMV_FROM_CARD, bytes, 1), DP_OK); /* again */
    assert_false(emv_data_has(&data, 0xDFF100));
}

static void the_store_has_room_for_so_many_bytes(void **state)
{
    emv_data_clear(&data);
    assert_int_equal(card_gives(0xDF01, DP_EMV_DATA_MAX - 1), DP_OK);
    assert_int_equal(card_gives(0xDF02, 2), DP_ERR_LIMIT);
    assert_int_equal(card_gives(0xDF02, 1), DP_OK);
    assert_int_equal(card_gives(0xDF03, 1), DP_ERR_LIMIT);
    assert_int_equal(emv_data_set(&data, 0xDF02, EMV_FROM_CARD, bytes, 2), DP_ERR_LIMIT);
    assert_int_equal(emv_data_set(&data, 0xDF01, EMV_FROM_CARD, bytes, 5), DP_OK); /* shorter */
    assert_int_equal(emv_data_get(&data, 0xDF01).n, 5);
    emv_data_clear(&data);
    assert_int_equal(card_gives(0xDF01, DP_EMV_DATA_MAX + 1), DP_ERR_LIMIT);
}

static void numbers_are_read_and_refused(void **state)
{
    uint64_t v = 7;
    assert_int_equal(emv_bcd_read(step_hex("009999999999999999"), &v), DP_OK);
    assert_true(v == 9999999999999999);
    assert_int_equal(emv_bcd_read(step_hex("00000000000000000001"), &v), DP_ERR_RANGE);
    assert_int_equal(emv_bcd_read(step_hex("1A"), &v), DP_ERR_FORMAT);
    assert_int_equal(emv_bcd_read(step_hex("A1"), &v), DP_ERR_FORMAT);
    assert_true(v == 0);
    assert_int_equal(emv_bcd_read((struct dp_bytes){NULL, 0}, &v), DP_OK);
}

/* ---- in words ---- */

static void every_outcome_and_reason_has_a_name(void **state)
{
    for (int o = DP_EMV_APPROVED_OFFLINE; o <= DP_EMV_ENDED; o++)
        assert_string_not_equal(dp_emv_outcome_name((enum dp_emv_outcome)o), "unknown");
    for (int r = DP_EMV_REASON_NONE; r <= DP_EMV_REASON_CANCELLED; r++)
        assert_string_not_equal(dp_emv_reason_name((enum dp_emv_reason)r), "unknown");
    assert_string_equal(dp_emv_outcome_name((enum dp_emv_outcome)0), "unknown");
    assert_string_equal(dp_emv_outcome_name((enum dp_emv_outcome)1000), "unknown");
    assert_string_equal(dp_emv_reason_name((enum dp_emv_reason)1000), "unknown");
}

static void a_result_of_verification_says_its_first_bit(void **state)
{
    assert_string_equal(dp_words_tvr(step_hex("0040000000").p, DP_FOR_LOG, DP_LANGUAGE_EN),
                        "application expired");
    assert_string_equal(dp_words_tvr(step_hex("0000000010").p, DP_FOR_LOG, DP_LANGUAGE_EN),
                        "script failed after the last cryptogram");
    assert_string_equal(dp_words_tvr(step_hex("0000000000").p, DP_FOR_LOG, DP_LANGUAGE_EN),
                        "action codes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terminal_texts_are_checked),
        cmocka_unit_test(terminal_numbers_are_checked),
        cmocka_unit_test(applications_are_checked),
        cmocka_unit_test(a_scheme_key_longer_than_any_is_refused),
        cmocka_unit_test(transactions_are_checked),
        cmocka_unit_test(dates_are_checked),
        cmocka_unit_test(the_card_is_told_no_pin_pad_and_no_amount_that_does_not_fit),
        cmocka_unit_test(the_store_has_room_for_so_many_elements),
        cmocka_unit_test(the_store_has_room_for_so_many_bytes),
        cmocka_unit_test(numbers_are_read_and_refused),
        cmocka_unit_test(every_outcome_and_reason_has_a_name),
        cmocka_unit_test(a_result_of_verification_says_its_first_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
