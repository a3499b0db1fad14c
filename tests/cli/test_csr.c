/* SPDX-License-Identifier: Apache-2.0 */
/* The request's DER for signatures of every shape. The key store here is this file's: it signs with
 * the numbers a test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <mbedtls/pem.h>

#include "cli/csr.h"

static uint8_t signature[64];
static int sign_err;

int dp_hsm_public(struct dp_hsm *hsm, enum dp_hsm_key key, uint8_t out[65])
{
    (void)hsm;
    assert_int_equal(key, DP_KEY_TLS_CLIENT);
    memset(out, 0x11, 65);
    out[0] = 4;
    return DP_OK;
}

int dp_hsm_sign(struct dp_hsm *hsm, enum dp_hsm_key key, const uint8_t digest[32], uint8_t out[64])
{
    (void)hsm;
    (void)digest;
    assert_int_equal(key, DP_KEY_TLS_CLIENT);
    memcpy(out, signature, 64);
    return sign_err;
}

/* The DER of a request; freed by mbedtls_pem_free. */
static mbedtls_pem_context request(void)
{
    mbedtls_pem_context pem;
    char text[CSR_PEM_MAX];
    size_t used = 0;
    assert_int_equal(csr_make(NULL, DP_KEY_TLS_CLIENT, "DP000001", text), DP_OK);
    mbedtls_pem_init(&pem);
    assert_int_equal(mbedtls_pem_read_buffer(&pem, "-----BEGIN CERTIFICATE REQUEST-----",
                                             "-----END CERTIFICATE REQUEST-----",
                                             (const unsigned char *)text, NULL, 0, &used),
                     0);
    return pem;
}

/* The request ends in the signature: a bit string of SEQUENCE { INTEGER r, INTEGER s }. */
static void assert_ends_in(const uint8_t *want, size_t n)
{
    mbedtls_pem_context pem = request();
    size_t got_n = 0;
    const unsigned char *got = mbedtls_pem_get_buffer(&pem, &got_n);
    assert_true(got_n > n);
    assert_memory_equal(got + got_n - n, want, n);
    /* and its outermost length is all the rest */
    assert_int_equal(got[0], 0x30);
    assert_int_equal(got[1], 0x81);
    assert_int_equal(got[2], got_n - 3);
    mbedtls_pem_free(&pem);
}

static void plain_numbers_stand_as_they_are(void **state)
{
    uint8_t want[2 + 1 + 2 + 34 + 34] = {0x03, 71, 0, 0x30, 68, 0x02, 32};
    (void)state;
    memset(signature, 0x7F, 64);
    memset(want + 7, 0x7F, 32);
    want[39] = 0x02;
    want[40] = 32;
    memset(want + 41, 0x7F, 32);
    assert_ends_in(want, sizeof want);
}

static void a_high_bit_gets_a_zero_before_it(void **state)
{
    uint8_t want[2 + 1 + 2 + 35 + 35] = {0x03, 73, 0, 0x30, 70, 0x02, 33, 0};
    (void)state;
    memset(signature, 0x80, 64);
    memset(want + 8, 0x80, 32);
    want[40] = 0x02;
    want[41] = 33;
    memset(want + 43, 0x80, 32);
    assert_ends_in(want, sizeof want);
}

static void leading_zeros_go_but_not_the_sign(void **state)
{
    static const uint8_t want[] = {0x03, 14,   0, 0x30, 11,   0x02, 2, 0x01,
                                   0xFF, 0x02, 5, 0,    0x80, 0,    0, 0};
    (void)state;
    memset(signature, 0, 64);
    signature[30] = 0x01;
    signature[31] = 0xFF;
    signature[60] = 0x80;
    assert_ends_in(want, sizeof want);
}

static void the_smallest_number_has_one_byte(void **state)
{
    static const uint8_t want[] = {0x03, 9, 0, 0x30, 6, 0x02, 1, 1, 0x02, 1, 1};
    (void)state;
    memset(signature, 0, 64);
    signature[31] = signature[63] = 1;
    assert_ends_in(want, sizeof want);
}

static void what_is_signed_names_the_terminal(void **state)
{
    static const uint8_t subject[] = {0x31, 17,  0x30, 15,  0x06, 3,   0x55, 0x04, 0x03, 0x0C,
                                      8,    'D', 'P',  '0', '0',  '0', '0',  '0',  '1'};
    mbedtls_pem_context pem = request();
    size_t n = 0;
    const unsigned char *der = mbedtls_pem_get_buffer(&pem, &n);
    (void)state;
    assert_non_null(memmem(der, n, subject, sizeof subject));
    mbedtls_pem_free(&pem);
}

static void a_key_store_that_fails_is_told(void **state)
{
    char text[CSR_PEM_MAX];
    (void)state;
    sign_err = DP_ERR_TOKEN;
    assert_int_equal(csr_make(NULL, DP_KEY_TLS_CLIENT, "DP000001", text), DP_ERR_TOKEN);
    sign_err = DP_OK;
    assert_int_equal(csr_make(NULL, DP_KEY_TLS_CLIENT, "DP00001", text), DP_ERR_ARG);
    assert_int_equal(csr_make(NULL, DP_KEY_TLS_CLIENT, "DP00000\x7F", text), DP_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_numbers_stand_as_they_are),
        cmocka_unit_test(a_high_bit_gets_a_zero_before_it),
        cmocka_unit_test(leading_zeros_go_but_not_the_sign),
        cmocka_unit_test(the_smallest_number_has_one_byte),
        cmocka_unit_test(what_is_signed_names_the_terminal),
        cmocka_unit_test(a_key_store_that_fails_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
