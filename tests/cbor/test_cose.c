/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/cose.h>
#include <psa/crypto.h>

#include "base/hex.h"

static psa_key_id_t key;
static uint8_t point[65];

static int sign(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    size_t n = 0;
    (void)ctx;
    return psa_sign_hash(key, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, 32, signature, 64, &n) ==
                   PSA_SUCCESS
               ? DP_OK
               : DP_ERR_TOKEN;
}

static int make_key(void **state)
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    size_t n = 0;
    (void)state;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&a, 256);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_SIGN_HASH);
    psa_set_key_algorithm(&a, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    return psa_crypto_init() != PSA_SUCCESS || psa_generate_key(&a, &key) != PSA_SUCCESS ||
           psa_export_public_key(key, point, sizeof point, &n) != PSA_SUCCESS;
}

static void signs_and_verifies_with_aad_and_payload_bound(void **state)
{
    static const uint8_t payload_bytes[300] = {1, 2, 3};
    struct dp_bytes payload = {payload_bytes, sizeof payload_bytes};
    struct dp_bytes aad = {(const uint8_t *)"doorpay test 1", 14};
    struct dp_bytes other = {(const uint8_t *)"doorpay test 2", 14};
    uint8_t kid[8], out[512];
    struct dp_cose_sign1_view v;
    size_t n = 0;
    (void)state;
    assert_int_equal(dp_cose_key_id(point, kid), DP_OK);
    assert_int_equal(dp_cose_sign1(sign, NULL, kid, aad, payload, out, sizeof out, &n), DP_OK);
    assert_int_equal(dp_cose_sign1_parse(out, n, &v), DP_OK);
    assert_memory_equal(v.kid, kid, 8);
    assert_int_equal(v.payload.n, sizeof payload_bytes);
    assert_int_equal(dp_cose_verify(&v, aad, point), DP_OK);
    assert_int_equal(dp_cose_verify(&v, other, point), DP_ERR_SIGNATURE);
    out[n - 70]++; /* in the payload */
    assert_int_equal(dp_cose_verify(&v, aad, point), DP_ERR_SIGNATURE);
    out[n - 70]--;
    point[64] ^= 1;
    assert_int_equal(dp_cose_verify(&v, aad, point), DP_ERR_SIGNATURE);
    point[64] ^= 1;
    assert_int_equal(dp_cose_sign1(sign, NULL, kid, aad, payload, out, n - 1, &n), DP_ERR_SPACE);
}

/* The Sig_structure written out by hand (RFC 9052, 4.4). */
static void digests_the_structure_of_rfc_9052(void **state)
{
    static const uint8_t structure[] = {0x84, 0x6A, 'S', 'i',  'g',  'n',  'a',  't',
                                        'u',  'r',  'e', '1',  0x43, 0xA1, 0x01, 0x26,
                                        0x42, 'a',  'd', 0x44, 9,    8,    7,    6};
    static const uint8_t payload[] = {9, 8, 7, 6};
    uint8_t want[32], got[32];
    size_t n = 0;
    (void)state;
    assert_int_equal(psa_hash_compute(PSA_ALG_SHA_256, structure, sizeof structure, want, 32, &n),
                     PSA_SUCCESS);
    assert_int_equal(dp_cose_digest((struct dp_bytes){(const uint8_t *)"ad", 2},
                                    (struct dp_bytes){payload, 4}, got),
                     DP_OK);
    assert_memory_equal(got, want, 32);
}

static void refuses_other_algorithms_and_forms(void **state)
{
    static const struct {
        const char *start;
        int err;
    } cases[] = {
        {"D2844401013822", DP_ERR_FORMAT}, {"D28444A1013822", DP_ERR_UNSUPPORTED},
        {"D28440", DP_ERR_FORMAT},         {"D18443A10126", DP_ERR_FORMAT},
        {"8443A10126", DP_ERR_FORMAT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char hex[400];
        uint8_t b[200];
        struct dp_cose_sign1_view v;
        size_t n = 0;
        strcpy(hex, cases[i].start);
        strcat(hex, "A10448010203040506070841005840");
        for (int k = 0; k < 64; k++)
            strcat(hex, "AB");
        assert_int_equal(dp_hex_decode(hex, strlen(hex), b, sizeof b, &n), DP_OK);
        assert_int_equal(dp_cose_sign1_parse(b, n, &v), cases[i].err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_and_verifies_with_aad_and_payload_bound),
        cmocka_unit_test(digests_the_structure_of_rfc_9052),
        cmocka_unit_test(refuses_other_algorithms_and_forms),
    };
    return cmocka_run_group_tests(tests, make_key, NULL);
}
