/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A19: parameters from somebody else. Terminals of other makers had a service mode or a default
 * password behind which limits and keys could be changed. Here a set must bear the back office's
 * signature, and a version that is not below the one the key store has seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/cbor.h>
#include <doorpay/cose.h>
#include <doorpay/params.h>
#include <psa/crypto.h>

#include "base/writer.h"

#define NOW 1800000000000LL

static char dir[64], uri[96];
static struct dp_hsm *hsm;
static psa_key_id_t back_office, attacker;
static uint8_t back_office_point[65], attacker_point[65];

/* ---- a small set ---- */

static void put_key(struct dp_writer *w, uint64_t key, uint64_t value)
{
    dp_cbor_write_uint(w, key);
    dp_cbor_write_uint(w, value);
}

static void put_text(struct dp_writer *w, uint64_t key, const char *text)
{
    dp_cbor_write_uint(w, key);
    dp_cbor_write_text(w, text, strlen(text));
}

static void put_zeros(struct dp_writer *w, uint64_t key, size_t n)
{
    static const uint8_t zeros[32];
    dp_cbor_write_uint(w, key);
    dp_cbor_write_bytes(w, zeros, n);
}

static void put_map(struct dp_writer *w, uint64_t key, size_t pairs)
{
    dp_cbor_write_uint(w, key);
    dp_cbor_write_map(w, pairs);
}

static void put_terminal(struct dp_writer *w)
{
    put_map(w, 5, 13);
    put_text(w, 1, "DP000001");
    put_text(w, 2, "M1");
    put_text(w, 3, "4215");
    put_text(w, 4, "Post");
    put_key(w, 5, 56);
    put_key(w, 6, 978);
    put_key(w, 7, 2);
    put_key(w, 8, 0x22);
    put_zeros(w, 9, 3);
    put_zeros(w, 10, 5);
    put_key(w, 11, 0);
    put_key(w, 12, 0);
    put_text(w, 13, "1");
}

static void put_aids(struct dp_writer *w)
{
    dp_cbor_write_uint(w, 6);
    dp_cbor_write_array(w, 1);
    dp_cbor_write_map(w, 18);
    put_zeros(w, 1, 7);
    put_key(w, 2, 0);
    dp_cbor_write_uint(w, 3);
    dp_cbor_write_bool(w, false);
    put_zeros(w, 4, 2);
    for (uint64_t key = 5; key <= 7; key++)
        put_zeros(w, key, 5);
    for (uint64_t key = 8; key <= 11; key++)
        put_key(w, key, 0);
    put_zeros(w, 12, 0);
    put_zeros(w, 13, 0);
    put_zeros(w, 14, 4);
    for (uint64_t key = 15; key <= 17; key++)
        put_key(w, key, 0);
    put_text(w, 18, "X");
}

static void put_policy(struct dp_writer *w, uint64_t payment_max)
{
    put_map(w, 8, 8);
    put_key(w, 1, payment_max);
    for (uint64_t key = 2; key <= 8; key++)
        put_key(w, key, 0);
    put_map(w, 9, 5);
    dp_cbor_write_uint(w, 1);
    dp_cbor_write_bool(w, false);
    for (uint64_t key = 2; key <= 5; key++)
        put_key(w, key, 0);
}

static void put_acquirer(struct dp_writer *w)
{
    put_map(w, 12, 9);
    put_text(w, 1, "iso93-pos");
    put_key(w, 2, 1);
    put_key(w, 3, 2);
    put_key(w, 5, 8);
    for (uint64_t key = 6; key <= 9; key++)
        put_key(w, key, 1);
    put_text(w, 10, "a");
}

static size_t payload(uint64_t version, uint64_t payment_max, uint8_t *out, size_t max)
{
    struct dp_writer w;
    dp_writer_init(&w, out, max);
    dp_cbor_write_map(&w, 13);
    put_key(&w, 1, version);
    put_text(&w, 2, "test");
    put_key(&w, 3, 0);
    put_key(&w, 4, 4000000000);
    put_terminal(&w);
    put_aids(&w);
    dp_cbor_write_uint(&w, 7);
    dp_cbor_write_array(&w, 0);
    put_policy(&w, payment_max);
    dp_cbor_write_uint(&w, 10);
    dp_cbor_write_array(&w, 0);
    put_map(&w, 11, 2);
    put_zeros(&w, 1, 32);
    dp_cbor_write_uint(&w, 2);
    dp_cbor_write_array(&w, 0);
    put_acquirer(&w);
    dp_cbor_write_uint(&w, 16);
    dp_cbor_write_bool(&w, false);
    assert_int_equal(dp_cbor_finish(&w), DP_OK);
    return w.n;
}

static int sign(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    size_t n = 0;
    return psa_sign_hash(*(psa_key_id_t *)ctx, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, 32,
                         signature, 64, &n) == PSA_SUCCESS
               ? DP_OK
               : DP_ERR_CRYPTO;
}

/* A set by whoever holds key, under a key id that may be somebody else's. */
static size_t make(psa_key_id_t *key, const uint8_t kid_of[65], uint64_t version,
                   uint64_t payment_max, uint8_t *out, size_t max)
{
    static const struct dp_bytes aad = {(const uint8_t *)"doorpay parameters 1", 20};
    uint8_t body[1024], kid[DP_COSE_KID_BYTES];
    size_t n = 0, body_n = payload(version, payment_max, body, sizeof body);
    assert_int_equal(dp_cose_key_id(kid_of, kid), DP_OK);
    assert_int_equal(
        dp_cose_sign1(sign, key, kid, aad, (struct dp_bytes){body, body_n}, out, max, &n), DP_OK);
    return n;
}

/* ---- the terminal ---- */

static psa_key_id_t new_key(uint8_t point[65])
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id = 0;
    size_t n = 0;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&a, 256);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_SIGN_HASH);
    psa_set_key_algorithm(&a, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    return psa_generate_key(&a, &id) == PSA_SUCCESS &&
                   psa_export_public_key(id, point, 65, &n) == PSA_SUCCESS
               ? id
               : 0;
}

static int fresh(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/dp-a19-XXXXXX");
    if (psa_crypto_init() != PSA_SUCCESS || mkdtemp(dir) == NULL)
        return -1;
    back_office = new_key(back_office_point);
    attacker = new_key(attacker_point);
    (void)snprintf(uri, sizeof uri, "soft:%s/keys", dir);
    return back_office == 0 || attacker == 0 || dp_hsm_provision(uri) != DP_OK ||
           dp_hsm_open(uri, &hsm) != DP_OK;
}

static int gone(void **state)
{
    char command[96];
    (void)state;
    dp_hsm_free(&hsm);
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void restart(void)
{
    dp_hsm_free(&hsm);
    assert_int_equal(dp_hsm_open(uri, &hsm), DP_OK);
}

/* What a terminal does with a set it is handed. */
static int take(const uint8_t *set, size_t n)
{
    struct dp_params *p = NULL;
    int err = dp_params_decode(set, n, back_office_point, &p, NULL, 0);
    if (err == DP_OK)
        err = dp_params_accept(p, hsm, NOW);
    dp_params_free(&p);
    return err;
}

static int take_version(uint64_t version)
{
    uint8_t set[2048];
    return take(set, make(&back_office, back_office_point, version, 5000, set, sizeof set));
}

/* ---- the attacks ---- */

static void the_back_offices_set_is_taken(void **state)
{
    (void)state;
    assert_int_equal(take_version(1), DP_OK);
}

static void an_unsigned_set_is_refused(void **state)
{
    uint8_t set[2048], body[1024];
    size_t n = make(&back_office, back_office_point, 1, 5000, set, sizeof set);
    size_t body_n = payload(1, 5000, body, sizeof body);
    (void)state;
    assert_int_equal(take(body, body_n), DP_ERR_SIGNATURE); /* the payload alone */
    memset(set + n - 64, 0, 64);
    assert_int_equal(take(set, n), DP_ERR_SIGNATURE);      /* a signature of zeros */
    assert_int_equal(take(set, n - 66), DP_ERR_SIGNATURE); /* none */
}

static void a_set_by_another_key_is_refused(void **state)
{
    uint8_t set[2048];
    size_t n = make(&attacker, attacker_point, 1, 5000, set, sizeof set);
    (void)state;
    assert_int_equal(take(set, n), DP_ERR_SIGNATURE);
    n = make(&attacker, back_office_point, 1, 5000, set, sizeof set); /* under our key's id */
    assert_int_equal(take(set, n), DP_ERR_SIGNATURE);
}

static void a_limit_raised_in_a_signed_set_is_refused(void **state)
{
    uint8_t set[2048];
    size_t n = make(&back_office, back_office_point, 1, 5000, set, sizeof set);
    uint8_t *limit = memmem(set, n, "\x19\x13\x88", 3); /* 5000 */
    (void)state;
    assert_non_null(limit);
    limit[1] = 0xFF;
    assert_int_equal(take(set, n), DP_ERR_SIGNATURE);
}

static void an_old_set_is_refused(void **state)
{
    (void)state;
    assert_int_equal(take_version(5), DP_OK);
    assert_int_equal(take_version(4), DP_ERR_ROLLBACK);
    assert_int_equal(take_version(5), DP_OK);
}

static void an_old_set_is_refused_after_a_restart(void **state)
{
    (void)state;
    assert_int_equal(take_version(5), DP_OK);
    assert_int_equal(take_version(6), DP_OK);
    restart();
    assert_int_equal(take_version(5), DP_ERR_ROLLBACK);
    restart();
    assert_int_equal(take_version(1), DP_ERR_ROLLBACK);
    assert_int_equal(take_version(6), DP_OK);
}

static void a_set_only_looked_at_is_never_taken(void **state)
{
    uint8_t set[2048];
    struct dp_params *p = NULL;
    size_t n = make(&attacker, attacker_point, 9, 999999, set, sizeof set);
    (void)state;
    assert_int_equal(dp_params_look(set, n, &p, NULL, 0), DP_OK);
    assert_int_equal(dp_params_accept(p, hsm, NOW), DP_ERR_SIGNATURE);
    dp_params_free(&p);
    assert_int_equal(take_version(1), DP_OK); /* it raised nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_back_offices_set_is_taken, fresh, gone),
        cmocka_unit_test_setup_teardown(an_unsigned_set_is_refused, fresh, gone),
        cmocka_unit_test_setup_teardown(a_set_by_another_key_is_refused, fresh, gone),
        cmocka_unit_test_setup_teardown(a_limit_raised_in_a_signed_set_is_refused, fresh, gone),
        cmocka_unit_test_setup_teardown(an_old_set_is_refused, fresh, gone),
        cmocka_unit_test_setup_teardown(an_old_set_is_refused_after_a_restart, fresh, gone),
        cmocka_unit_test_setup_teardown(a_set_only_looked_at_is_never_taken, fresh, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
