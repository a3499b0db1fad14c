/* SPDX-License-Identifier: Apache-2.0 */
/* The recipient's side of sealed card data, on the published vector of HPKE. What lies inside is
 * tested end to end by acquirer.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>

#include "base/hex.h"
#include "sim/seal.h"

/* RFC 9180, A.3.1, sequence number 0. */
static const char recipient[] = "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2";
static const char recipient_point[] =
    "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a82"
    "6a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0";
static const char info_hex[] = "4f6465206f6e2061204772656369616e2055726e";
static const char aad_hex[] = "436f756e742d30";
static const char clear_hex[] = "4265617574792069732074727574682c20747275746820626561757479";
static const char message_hex[] =
    "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac9"
    "8536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4"
    "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434";

static struct sim_seal seal;
static uint8_t message[160], clear[64];
static size_t message_n, clear_n;
static uint8_t info[32], aad[32];
static size_t info_n, aad_n;

static size_t from_hex(const char *hex, uint8_t *out, size_t max)
{
    size_t n = 0;
    assert_int_equal(dp_hex_decode(hex, strlen(hex), out, max, &n), DP_OK);
    return n;
}

static int load(void **state)
{
    char group[] = "prime256v1";
    uint8_t scalar[32], native[32];
    BIGNUM *number;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    (void)state;
    assert_int_equal(from_hex(recipient, scalar, sizeof scalar), 32);
    assert_int_equal(from_hex(recipient_point, seal.point, sizeof seal.point), 65);
    number = BN_bin2bn(scalar, sizeof scalar, NULL);
    assert_int_equal(BN_bn2nativepad(number, native, sizeof native), 32);
    BN_free(number);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, seal.point, 65),
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native, sizeof native),
        OSSL_PARAM_construct_end()};
    assert_int_equal(EVP_PKEY_fromdata_init(c), 1);
    assert_int_equal(EVP_PKEY_fromdata(c, &seal.key, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(c);
    message_n = from_hex(message_hex, message, sizeof message);
    info_n = from_hex(info_hex, info, sizeof info);
    aad_n = from_hex(aad_hex, aad, sizeof aad);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    sim_seal_free(&seal);
    return 0;
}

static int open_it(void)
{
    return sim_hpke_open(&seal, (struct dp_bytes){info, info_n}, (struct dp_bytes){aad, aad_n},
                         message, message_n, clear, &clear_n);
}

static void published_message_opens(void **state)
{
    uint8_t want[64];
    size_t n = from_hex(clear_hex, want, sizeof want);
    (void)state;
    assert_int_equal(open_it(), DP_OK);
    assert_int_equal(clear_n, n);
    assert_memory_equal(clear, want, n);
}

static void altered_by_one_bit_it_does_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < message_n; i++) {
        message[i] ^= 1;
        assert_int_equal(open_it(), DP_ERR_SIGNATURE);
        message[i] ^= 1;
    }
    info[0] ^= 1;
    assert_int_equal(open_it(), DP_ERR_SIGNATURE);
    info[0] ^= 1;
    aad[0] ^= 1;
    assert_int_equal(open_it(), DP_ERR_SIGNATURE);
    aad[0] ^= 1;
    assert_int_equal(open_it(), DP_OK);
}

static void cut_it_does_not(void **state)
{
    size_t whole = message_n;
    (void)state;
    for (message_n = 0; message_n < whole; message_n++)
        assert_int_equal(open_it(), message_n < 65 + 16 ? DP_ERR_SHORT : DP_ERR_SIGNATURE);
    assert_int_equal(open_it(), DP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_message_opens),
        cmocka_unit_test(altered_by_one_bit_it_does_not),
        cmocka_unit_test(cut_it_does_not),
    };
    return cmocka_run_group_tests_name("sim/seal", tests, load, unload);
}
