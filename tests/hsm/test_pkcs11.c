/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a PKCS #11 token after a change, and after one that a crash cut short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "hsm/p11.h"

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"

static struct fixture f;

static int fresh(void **state)
{
    (void)state;
    return fixture_make("pkcs11", &f);
}

static int gone(void **state)
{
    (void)state;
    fixture_remove(&f);
    return 0;
}

static struct p11_name tls(CK_OBJECT_CLASS class_, uint8_t number)
{
    struct p11_name name = {.class_ = class_, .label = "doorpay tls-client"};
    name.id[3] = number;
    name.id_n = number != 0 ? 4 : 0;
    return name;
}

/* The TLS client keys in the token, private and public ones; a key is put there first unless it is
 * 0. No handle of the store is open. */
static size_t look_in(uint8_t put)
{
    static const uint8_t pin[] = "1234567"; /* fixture.c's */
    const struct p11_name private_ = tls(CKO_PRIVATE_KEY, 0), public_ = tls(CKO_PUBLIC_KEY, 0);
    const struct p11_name made = tls(CKO_PRIVATE_KEY, put);
    struct p11_object found[8];
    struct p11 p;
    size_t n = 0, public_n = 0;
    assert_int_equal(p11_open(MODULE, "doorpay", NULL, (struct dp_bytes){pin, 7}, true, &p), DP_OK);
    if (put != 0)
        assert_int_equal(p11_make_pair(&p, &made, false), DP_OK);
    assert_int_equal(p11_find(&p, &private_, found, 8, &n), DP_OK);
    assert_int_equal(p11_find(&p, &public_, found, 8, &public_n), DP_OK);
    assert_int_equal(n, public_n);
    p11_close(&p);
    return n;
}

static void the_tls_key_of_before_is_destroyed(void **state)
{
    (void)state;
    assert_int_equal(dp_hsm_tls_next(f.hsm), DP_OK);
    dp_hsm_free(&f.hsm);
    assert_int_equal(look_in(0), 2);
    assert_int_equal(dp_hsm_open(f.uri, &f.hsm), DP_OK);
    assert_int_equal(dp_hsm_tls_take(f.hsm), DP_OK);
    dp_hsm_free(&f.hsm);
    assert_int_equal(look_in(0), 1);
}

/* It was taken out of use, and power went before its end. */
static void what_a_crash_left_of_it_is_destroyed_when_the_token_is_opened(void **state)
{
    uint8_t one[65], two[65];
    (void)state;
    assert_int_equal(dp_hsm_tls_next(f.hsm), DP_OK);
    assert_int_equal(dp_hsm_tls_take(f.hsm), DP_OK);
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_TLS_CLIENT, one), DP_OK);
    dp_hsm_free(&f.hsm);
    assert_int_equal(look_in(1), 2);
    assert_int_equal(dp_hsm_open(f.uri, &f.hsm), DP_OK);
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_TLS_CLIENT, two), DP_OK);
    assert_memory_equal(one, two, 65);
    dp_hsm_free(&f.hsm);
    assert_int_equal(look_in(0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_tls_key_of_before_is_destroyed, fresh, gone),
        cmocka_unit_test_setup_teardown(
            what_a_crash_left_of_it_is_destroyed_when_the_token_is_opened, fresh, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
