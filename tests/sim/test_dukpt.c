/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "sim/dukpt.h"

static const uint8_t bdk[16] = {0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10,
                                0xF1, 0xF1, 0xF1, 0xF1, 0xF1, 0xF1, 0xF1, 0xF1};
static const uint8_t id[8] = {0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56};

static void assert_hex(const uint8_t *p, size_t n, const char *hex)
{
    char text[65];
    assert_string_equal(dp_hex_encode(p, n, text, sizeof text), hex);
}

static void ksn_of(uint32_t counter, uint8_t ksn[12])
{
    memcpy(ksn, id, 8);
    for (int i = 0; i < 4; i++)
        ksn[8 + i] = (uint8_t)(counter >> (24 - 8 * i));
}

static void initial_key_is_the_published_one(void **state)
{
    uint8_t ik[16];
    (void)state;
    assert_int_equal(sim_dukpt_initial_key(bdk, id, ik), DP_OK);
    assert_hex(ik, 16, "1273671EA26AC29AFA4D1084127652A1");
}

static void first_transactions_keys_are_the_published_ones(void **state)
{
    uint8_t ik[16], ksn[12], key[16];
    (void)state;
    assert_int_equal(sim_dukpt_initial_key(bdk, id, ik), DP_OK);
    ksn_of(1, ksn);
    assert_int_equal(sim_dukpt_derivation_key(ik, ksn, key), DP_OK);
    assert_hex(key, 16, "4F21B565BAD9835E112B6465635EAE44");
    assert_int_equal(sim_dukpt_working_key(ik, ksn, SIM_DUKPT_MAC_GENERATE, key), DP_OK);
    assert_hex(key, 16, "A2DC23DE6FDE0824A2BC321E08E4B8B7");
    assert_int_equal(sim_dukpt_working_key(ik, ksn, SIM_DUKPT_DATA_ENCRYPT, key), DP_OK);
    assert_hex(key, 16, "A35C412EFD41FDB98B69797C02DCD08F");
    ksn_of(2, ksn);
    assert_int_equal(sim_dukpt_derivation_key(ik, ksn, key), DP_OK);
    assert_hex(key, 16, "2F34D68DE10F68D38091A73B9E7C437C");
    ksn_of(3, ksn);
    assert_int_equal(sim_dukpt_derivation_key(ik, ksn, key), DP_OK);
    assert_hex(key, 16, "031504E530365CF81264238540518318");
}

static void each_use_and_each_counter_has_a_key_of_its_own(void **state)
{
    uint8_t ik[16], ksn[12], made[4][16];
    (void)state;
    assert_int_equal(sim_dukpt_initial_key(bdk, id, ik), DP_OK);
    ksn_of(3, ksn);
    assert_int_equal(sim_dukpt_working_key(ik, ksn, SIM_DUKPT_MAC_GENERATE, made[0]), DP_OK);
    assert_int_equal(sim_dukpt_working_key(ik, ksn, SIM_DUKPT_MAC_VERIFY, made[1]), DP_OK);
    ksn_of(2, ksn);
    assert_int_equal(sim_dukpt_working_key(ik, ksn, SIM_DUKPT_MAC_GENERATE, made[2]), DP_OK);
    assert_int_equal(sim_dukpt_derivation_key(ik, ksn, made[3]), DP_OK);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(made[i], made[j], 16);
}

static void counter_zero_and_crowded_counters_are_refused(void **state)
{
    uint8_t ik[16], ksn[12], key[16];
    (void)state;
    assert_int_equal(sim_dukpt_initial_key(bdk, id, ik), DP_OK);
    ksn_of(0, ksn);
    assert_int_equal(sim_dukpt_derivation_key(ik, ksn, key), DP_ERR_RANGE);
    ksn_of(0x1FFFF, ksn);
    assert_int_equal(sim_dukpt_derivation_key(ik, ksn, key), DP_ERR_RANGE);
    ksn_of(0xFFFF, ksn);
    assert_int_equal(sim_dukpt_derivation_key(ik, ksn, key), DP_OK);
}

/* The expected value was computed with another implementation, from SHA-256 and CMAC. */
static void mac_is_cmac_over_the_digest(void **state)
{
    static const uint8_t key[16] = {0x2B, 0x7E, 0x15, 0x16, 0x28, 0xAE, 0xD2, 0xA6,
                                    0xAB, 0xF7, 0x15, 0x88, 0x09, 0xCF, 0x4F, 0x3C};
    uint8_t mac[16];
    (void)state;
    assert_int_equal(sim_cmac_of_digest(key, (const uint8_t *)"doorpay", 7, mac), DP_OK);
    assert_hex(mac, 16, "287D354AE7E51BD1B233B92A449070A7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initial_key_is_the_published_one),
        cmocka_unit_test(first_transactions_keys_are_the_published_ones),
        cmocka_unit_test(each_use_and_each_counter_has_a_key_of_its_own),
        cmocka_unit_test(counter_zero_and_crowded_counters_are_refused),
        cmocka_unit_test(mac_is_cmac_over_the_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
