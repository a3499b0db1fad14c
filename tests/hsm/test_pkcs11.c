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

/* ---- counters ---- */

static bool no_objects_for_good;

int __real_p11_make_data(const struct p11 *p, const struct p11_name *name, struct dp_bytes value,
                         bool for_good, CK_OBJECT_HANDLE *handle);
int __wrap_p11_make_data(const struct p11 *p, const struct p11_name *name, struct dp_bytes value,
                         bool for_good, CK_OBJECT_HANDLE *handle);

int __wrap_p11_make_data(const struct p11 *p, const struct p11_name *name, struct dp_bytes value,
                         bool for_good, CK_OBJECT_HANDLE *handle)
{
    if (for_good && no_objects_for_good)
        return DP_ERR_UNSUPPORTED;
    return __real_p11_make_data(p, name, value, for_good, handle);
}

static const struct p11_name state_object = {.class_ = CKO_DATA, .label = "doorpay state"};
static const struct p11_name count_object = {.class_ = CKO_DATA, .label = "doorpay counter"};

/* What one with the PIN does: takes the state's bytes, or puts old ones in its place; no handle of
 * the store is open. Then tries to be rid of what was counted: the objects of it that stay. */
static size_t insider(uint8_t bytes[64], size_t *n, bool put)
{
    static const uint8_t pin[] = "1234567";
    struct p11_object found[8];
    CK_OBJECT_HANDLE state, made;
    struct p11 p;
    size_t counts = 0, left = 0;
    assert_int_equal(p11_open(MODULE, "doorpay", NULL, (struct dp_bytes){pin, 7}, true, &p), DP_OK);
    assert_int_equal(p11_find_one(&p, &state_object, &state), DP_OK);
    if (put) {
        assert_int_equal(p11_destroy(&p, state), DP_OK);
        assert_int_equal(
            __real_p11_make_data(&p, &state_object, (struct dp_bytes){bytes, *n}, false, &made),
            DP_OK);
    } else {
        assert_int_equal(p11_value(&p, state, CKA_VALUE, bytes, 64, n), DP_OK);
    }
    assert_int_equal(p11_find(&p, &count_object, found, 8, &counts), DP_OK);
    for (size_t i = 0; i < counts; i++)
        assert_int_equal(p11_destroy(&p, found[i].handle), DP_ERR_TOKEN);
    assert_int_equal(p11_find(&p, &count_object, found, 8, &left), DP_OK);
    assert_int_equal(left, counts);
    p11_close(&p);
    return left;
}

static uint64_t counter(enum dp_hsm_counter which)
{
    uint64_t value = 99;
    assert_int_equal(dp_hsm_counter_read(f.hsm, which, &value), DP_OK);
    return value;
}

static void whoever_has_the_pin_does_not_lower_a_counter(void **state)
{
    uint8_t bytes[64];
    size_t n = 0;
    (void)state;
    dp_hsm_free(&f.hsm);
    assert_int_equal(insider(bytes, &n, false), 0);
    assert_int_equal(dp_hsm_open(f.uri, &f.hsm), DP_OK);
    assert_int_equal(dp_hsm_counter_raise(f.hsm, DP_COUNTER_PARAMS, 5), DP_OK);
    assert_int_equal(dp_hsm_counter_raise(f.hsm, DP_COUNTER_PARAMS, 7), DP_OK);
    assert_int_equal(dp_hsm_counter_raise(f.hsm, DP_COUNTER_LOGIN_FAILURES, 2), DP_OK);
    dp_hsm_free(&f.hsm);
    assert_int_equal(insider(bytes, &n, true), 3);
    assert_int_equal(dp_hsm_open(f.uri, &f.hsm), DP_OK);
    assert_int_equal(counter(DP_COUNTER_PARAMS), 7);
    assert_int_equal(counter(DP_COUNTER_LOGIN_FAILURES), 2);
    assert_int_equal(dp_hsm_counter_raise(f.hsm, DP_COUNTER_PARAMS, 6), DP_ERR_ROLLBACK);
    assert_int_equal(dp_hsm_counter_raise(f.hsm, DP_COUNTER_PARAMS, 7), DP_OK);
}

/* Then the state alone has them, and that is said (docs/PROTOCOL.hsm-pkcs11). */
static void a_token_without_objects_that_stay_counts_all_the_same(void **state)
{
    (void)state;
    no_objects_for_good = true;
    assert_int_equal(dp_hsm_counter_raise(f.hsm, DP_COUNTER_PARAMS, 5), DP_OK);
    no_objects_for_good = false;
    fixture_reopen(&f);
    assert_int_equal(counter(DP_COUNTER_PARAMS), 5);
    assert_int_equal(dp_hsm_counter_raise(f.hsm, DP_COUNTER_PARAMS, 4), DP_ERR_ROLLBACK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_tls_key_of_before_is_destroyed, fresh, gone),
        cmocka_unit_test_setup_teardown(
            what_a_crash_left_of_it_is_destroyed_when_the_token_is_opened, fresh, gone),
        cmocka_unit_test_setup_teardown(whoever_has_the_pin_does_not_lower_a_counter, fresh, gone),
        cmocka_unit_test_setup_teardown(a_token_without_objects_that_stay_counts_all_the_same,
                                        fresh, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
