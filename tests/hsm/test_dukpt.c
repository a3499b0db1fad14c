/* SPDX-License-Identifier: Apache-2.0 */
/* The registers, far beyond what a store's file could be driven to. The keys expected come the
 * host's way: from the initial key, bit by bit of the counter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <psa/crypto.h>

#include "base/hex.h"
#include "hsm/aes.h"
#include "hsm/dukpt.h"

static const uint8_t ik[16] = {0x12, 0x73, 0x67, 0x1E, 0xA2, 0x6A, 0xC2, 0x9A,
                               0xFA, 0x4D, 0x10, 0x84, 0x12, 0x76, 0x52, 0xA1};
static const uint8_t id[8] = {0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56};

static void assert_key(const uint8_t key[16], const char *hex)
{
    char text[33];
    assert_string_equal(dp_hex_encode(key, 16, text, sizeof text), hex);
}

static uint32_t counter_of(const uint8_t ksn[12])
{
    return (uint32_t)ksn[8] << 24 | (uint32_t)ksn[9] << 16 | (uint32_t)ksn[10] << 8 | ksn[11];
}

static void step(const uint8_t from[16], uint8_t usage_high, uint8_t usage_low, uint32_t counter,
                 uint8_t out[16])
{
    const uint8_t data[16] = {1,
                              1,
                              usage_high,
                              usage_low,
                              0,
                              2,
                              0,
                              128,
                              id[4],
                              id[5],
                              id[6],
                              id[7],
                              (uint8_t)(counter >> 24),
                              (uint8_t)(counter >> 16),
                              (uint8_t)(counter >> 8),
                              (uint8_t)counter};
    assert_int_equal(aes128_block(from, data, out), DP_OK);
}

static void host_keys(uint32_t counter, uint8_t generate[16], uint8_t verify[16])
{
    uint8_t key[16], next[16];
    uint32_t so_far = 0;
    memcpy(key, ik, 16);
    for (int bit = 31; bit >= 0; bit--) {
        if ((counter & 1U << bit) == 0)
            continue;
        so_far |= 1U << bit;
        step(key, 0x80, 0x00, so_far, next);
        memcpy(key, next, 16);
    }
    step(key, 0x20, 0x00, counter, generate);
    step(key, 0x20, 0x01, counter, verify);
}

static void registers_hold_the_published_keys(void **state)
{
    struct dukpt d;
    struct dukpt_keys keys;
    (void)state;
    assert_int_equal(dukpt_load(&d, ik, id), DP_OK);
    assert_int_equal(d.counter, 1);
    assert_key(d.registers[0], "4F21B565BAD9835E112B6465635EAE44");
    assert_key(d.registers[1], "2F34D68DE10F68D38091A73B9E7C437C");
    assert_int_equal(dukpt_next(&d, &keys), DP_OK);
    assert_key(keys.generate, "A2DC23DE6FDE0824A2BC321E08E4B8B7");
    assert_key(d.registers[0], "00000000000000000000000000000000");
    assert_int_equal(dukpt_next(&d, &keys), DP_OK);
    assert_key(d.registers[0], "031504E530365CF81264238540518318");
    assert_key(d.registers[1], "00000000000000000000000000000000");
}

static void registers_in_use_are_those_that_hold_a_key(const struct dukpt *d)
{
    static const uint8_t erased[16];
    uint32_t in_use = dukpt_registers_in_use(d->counter);
    for (int i = 0; i < DUKPT_REGISTERS; i++)
        assert_int_equal(memcmp(d->registers[i], erased, 16) != 0, (in_use >> i) & 1);
}

/* 0x1FFFE has 16 bits set; 0x1FFFF would have 17 and is never used. */
static void keys_are_the_hosts_and_crowded_counters_are_skipped(void **state)
{
    struct dukpt d;
    struct dukpt_keys keys;
    uint8_t generate[16], verify[16];
    uint32_t last = 0;
    (void)state;
    assert_int_equal(dukpt_load(&d, ik, id), DP_OK);
    while (last < 0x20003) {
        assert_int_equal(dukpt_next(&d, &keys), DP_OK);
        assert_int_equal(counter_of(keys.ksn), last == 0x1FFFE ? 0x20000 : last + 1);
        last = counter_of(keys.ksn);
        if (last > 200 && last % 997 != 0 && last < 0x1FFF0)
            continue;
        host_keys(last, generate, verify);
        assert_memory_equal(keys.generate, generate, 16);
        assert_memory_equal(keys.verify, verify, 16);
        registers_in_use_are_those_that_hold_a_key(&d);
    }
}

static void the_last_transaction_is_the_last(void **state)
{
    struct dukpt d = {.counter = 0xFFFF0000};
    struct dukpt_keys keys;
    (void)state;
    assert_int_equal(dukpt_registers_in_use(d.counter), 0x10000);
    d.registers[16][0] = 1;
    assert_int_equal(dukpt_next(&d, &keys), DP_OK);
    assert_int_equal(counter_of(keys.ksn), 0xFFFF0000);
    assert_int_equal(d.counter, 0);
    assert_int_equal(dukpt_registers_in_use(0), 0);
    registers_in_use_are_those_that_hold_a_key(&d);
    assert_int_equal(dukpt_next(&d, &keys), DP_ERR_LIMIT);
}

static int psa(void **state)
{
    (void)state;
    return psa_crypto_init() != PSA_SUCCESS;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_hold_the_published_keys),
        cmocka_unit_test(keys_are_the_hosts_and_crowded_counters_are_skipped),
        cmocka_unit_test(the_last_transaction_is_the_last),
    };
    return cmocka_run_group_tests(tests, psa, NULL);
}
