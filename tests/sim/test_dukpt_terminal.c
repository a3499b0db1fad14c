/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated host, which derives each key from the initial key, against the key store, which has
 * forgotten it: MACs agree over many transactions and restarts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/hsm.h>
#include <openssl/sha.h>

#include "sim/dukpt.h"

#define TRANSACTIONS 300

static const uint8_t bdk[16] = {0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10,
                                0xF1, 0xF1, 0xF1, 0xF1, 0xF1, 0xF1, 0xF1, 0xF1};
static const uint8_t id[8] = {0x99, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22};
static char dir[64], uri[96];

static int fresh(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/dp-dukpt-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(uri, sizeof uri, "soft:%s/keys", dir);
    return dp_hsm_provision(uri);
}

static int gone(void **state)
{
    char command[96];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void host_mac(const uint8_t ik[16], const uint8_t ksn[12], enum sim_dukpt_usage usage,
                     const uint8_t *message, size_t n, uint8_t mac[16])
{
    uint8_t key[16];
    assert_int_equal(sim_dukpt_working_key(ik, ksn, usage, key), DP_OK);
    assert_int_equal(sim_cmac_of_digest(key, message, n, mac), DP_OK);
}

static void the_terminals_macs_are_the_hosts(void **state)
{
    struct dp_hsm *hsm = NULL;
    uint8_t ik[16], last[12] = {0};
    (void)state;
    assert_int_equal(sim_dukpt_initial_key(bdk, id, ik), DP_OK);
    assert_int_equal(dp_hsm_open(uri, &hsm), DP_OK);
    assert_int_equal(dp_hsm_dukpt_load(hsm, ik, id), DP_OK);
    for (int i = 1; i <= TRANSACTIONS; i++) {
        uint8_t ksn[12], message[20], digest[32], ours[16], theirs[16];
        memset(message, i, sizeof message);
        SHA256(message, sizeof message, digest);
        assert_int_equal(dp_hsm_dukpt_next(hsm, ksn), DP_OK);
        assert_int_equal(ksn[10] << 8 | ksn[11], i);
        assert_true(memcmp(ksn, last, sizeof ksn) > 0);
        assert_int_equal(dp_hsm_dukpt_mac(hsm, ksn, false, digest, ours), DP_OK);
        host_mac(ik, ksn, SIM_DUKPT_MAC_GENERATE, message, sizeof message, theirs);
        assert_memory_equal(ours, theirs, 16);
        assert_int_equal(dp_hsm_dukpt_mac(hsm, ksn, true, digest, ours), DP_OK);
        host_mac(ik, ksn, SIM_DUKPT_MAC_VERIFY, message, sizeof message, theirs);
        assert_memory_equal(ours, theirs, 16);
        memcpy(last, ksn, sizeof last);
        if (i % 37 == 0) {
            dp_hsm_free(&hsm);
            assert_int_equal(dp_hsm_open(uri, &hsm), DP_OK);
        }
    }
    dp_hsm_free(&hsm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_terminals_macs_are_the_hosts, fresh, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
