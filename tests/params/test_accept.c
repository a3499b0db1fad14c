/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a set into use: versions only rise, over restarts too; and only while it is valid. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <doorpay/params.h>

#include "dp_config.h"
#include "notation.h"

#define FROM 1767225600000LL
#define TO   2082758400000LL

static char dir[64], uri[96];
static struct dp_hsm *hsm;

static void quiet(void *ctx, enum dp_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

static int fresh(void **state)
{
    (void)state;
    dp_log_set(quiet, NULL, DP_LOG_ERROR);
    (void)snprintf(dir, sizeof dir, "/tmp/dp-params-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(uri, sizeof uri, "soft:%s/keys", dir);
    if (DP_PROFILE_DEVICE)
        return 0;
    return dp_hsm_provision(uri) != DP_OK || dp_hsm_open(uri, &hsm) != DP_OK;
}

static int gone(void **state)
{
    char command[96];
    (void)state;
    dp_hsm_free(&hsm);
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static int accept(unsigned version, int64_t wall_ms)
{
    uint8_t set[4096];
    char number[16];
    struct dp_params *p = NULL;
    size_t n;
    int err;
    (void)snprintf(number, sizeof number, "%u", version);
    n = notation_sign(notation_with("version: 7", number), set, sizeof set);
    assert_int_equal(dp_params_decode(set, n, notation_back_office(), &p, NULL, 0), DP_OK);
    err = dp_params_accept(p, hsm, wall_ms);
    dp_params_free(&p);
    return err;
}

static uint64_t held(void)
{
    uint64_t value = 0;
    assert_int_equal(dp_hsm_counter_read(hsm, DP_COUNTER_PARAMS, &value), DP_OK);
    return value;
}

static void older_versions_are_refused(void **state)
{
    (void)state;
    if (hsm == NULL)
        skip();
    assert_int_equal(accept(7, FROM), DP_OK);
    assert_int_equal(held(), 7);
    assert_int_equal(accept(7, FROM), DP_OK); /* the same set at each start */
    assert_int_equal(accept(6, FROM), DP_ERR_ROLLBACK);
    assert_int_equal(accept(9, FROM), DP_OK);
    assert_int_equal(accept(8, FROM), DP_ERR_ROLLBACK);
    dp_hsm_free(&hsm);
    assert_int_equal(dp_hsm_open(uri, &hsm), DP_OK);
    assert_int_equal(accept(8, FROM), DP_ERR_ROLLBACK);
    assert_int_equal(accept(9, FROM), DP_OK);
    assert_int_equal(held(), 9);
}

static void outside_its_time_a_set_is_refused_and_raises_nothing(void **state)
{
    (void)state;
    if (hsm == NULL)
        skip();
    assert_int_equal(accept(7, FROM - 1), DP_ERR_EXPIRED);
    assert_int_equal(accept(7, TO + 1000), DP_ERR_EXPIRED);
    assert_int_equal(accept(7, -1), DP_ERR_EXPIRED);
    assert_int_equal(held(), 0);
    assert_int_equal(accept(7, TO), DP_OK);
    assert_int_equal(held(), 7);
    /* an old set is an old set, whatever the clock says */
    assert_int_equal(accept(6, TO + 1000), DP_ERR_ROLLBACK);
}

static void a_set_only_looked_at_cannot_be_taken_into_use(void **state)
{
    uint8_t set[4096];
    struct dp_params *p = NULL;
    struct dp_params_counts counts;
    size_t n = notation_sign(notation_set, set, sizeof set);
    (void)state;
    set[n - 1] ^= 1; /* whoever signed it */
    assert_int_equal(dp_params_look(set, n, &p, NULL, 0), DP_OK);
    assert_int_equal(p->version, 7);
    dp_params_get_counts(p, &counts);
    assert_int_equal(counts.bins, 2);
    assert_int_equal(counts.exceptions, 2);
    assert_int_equal(counts.parcels, 2);
    assert_int_equal(counts.agents, 1);
    assert_int_equal(dp_params_accept(p, hsm, FROM), DP_ERR_SIGNATURE);
    dp_params_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(older_versions_are_refused, fresh, gone),
        cmocka_unit_test_setup_teardown(outside_its_time_a_set_is_refused_and_raises_nothing, fresh,
                                        gone),
        cmocka_unit_test_setup_teardown(a_set_only_looked_at_cannot_be_taken_into_use, fresh, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
