/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/hsm.h>

#include "dp_config.h"

static void what_is_no_uri_is_refused(void **state)
{
    static const char *const uris[] = {"", ":", "soft", "soft:", ":/tmp", "/tmp"};
    struct dp_hsm *hsm;
    (void)state;
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        hsm = (struct dp_hsm *)&hsm;
        assert_int_equal(dp_hsm_open(uris[i], &hsm), DP_ERR_ARG);
        assert_null(hsm);
        assert_int_equal(dp_hsm_provision(uris[i]), DP_ERR_ARG);
    }
}

static void a_kind_this_build_lacks_is_unsupported(void **state)
{
    static const char *const uris[] = {"sof:/tmp", "softer:/tmp", "Soft:/tmp", "nothing:x"};
    struct dp_hsm *hsm;
    (void)state;
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        assert_int_equal(dp_hsm_open(uris[i], &hsm), DP_ERR_UNSUPPORTED);
        assert_null(hsm);
        assert_int_equal(dp_hsm_provision(uris[i]), DP_ERR_UNSUPPORTED);
    }
}

static void soft_is_for_development_alone(void **state)
{
    struct dp_hsm *hsm;
    (void)state;
    assert_int_equal(dp_hsm_open("soft:/nowhere/at/all", &hsm),
                     DP_PROFILE_DEVICE ? DP_ERR_UNSUPPORTED : DP_ERR_NOT_FOUND);
    assert_null(hsm);
    dp_hsm_free(&hsm);
    dp_hsm_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_uri_is_refused),
        cmocka_unit_test(a_kind_this_build_lacks_is_unsupported),
        cmocka_unit_test(soft_is_for_development_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
