/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/hpke.h>
#include <psa/crypto.h>

#include "base/hex.h"
#include "cbor/hpke_seal.h"

/* RFC 9180, A.3.1, sequence number 0. */
static const char *const vector_info = "4f6465206f6e2061204772656369616e2055726e";
static const char *const vector_ephemeral =
    "4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb";
static const char *const vector_recipient =
    "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2";
static const char *const vector_recipient_point =
    "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a82"
    "6a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0";
static const char *const vector_enc =
    "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac9"
    "8536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4";
static const char *const vector_aad = "436f756e742d30";
static const char *const vector_clear =
    "4265617574792069732074727574682c20747275746820626561757479";
static const char *const vector_sealed =
    "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434";

static psa_key_id_t recipient, ephemeral;
static uint8_t point[65], enc[65];
static struct bytes {
    uint8_t p[96];
    size_t n;
} info, aad, clear, sealed;

static void from_hex(struct bytes *b, const char *hex)
{
    assert_int_equal(dp_hex_decode(hex, strlen(hex), b->p, sizeof b->p, &b->n), DP_OK);
}

static struct dp_bytes view(const struct bytes *b)
{
    return (struct dp_bytes){b->p, b->n};
}

static void import(const char *hex, psa_key_id_t *id)
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    struct bytes b;
    from_hex(&b, hex);
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&a, PSA_ALG_ECDH);
    assert_int_equal(psa_import_key(&a, b.p, b.n, id), PSA_SUCCESS);
}

static int load(void **state)
{
    struct bytes b;
    (void)state;
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    import(vector_recipient, &recipient);
    import(vector_ephemeral, &ephemeral);
    from_hex(&b, vector_recipient_point);
    memcpy(point, b.p, 65);
    from_hex(&b, vector_enc);
    memcpy(enc, b.p, 65);
    from_hex(&info, vector_info);
    from_hex(&aad, vector_aad);
    from_hex(&clear, vector_clear);
    from_hex(&sealed, vector_sealed);
    return 0;
}

static int ecdh(void *ctx, const uint8_t peer[65], uint8_t shared[32])
{
    size_t n = 0;
    (void)ctx;
    return psa_raw_key_agreement(PSA_ALG_ECDH, recipient, peer, 65, shared, 32, &n) == PSA_SUCCESS
               ? DP_OK
               : DP_ERR_ARG;
}

static int ecdh_gone(void *ctx, const uint8_t peer[65], uint8_t shared[32])
{
    (void)ctx;
    (void)peer;
    (void)shared;
    return DP_ERR_GONE;
}

static int open_it(const struct bytes *i, const struct bytes *a, struct dp_bytes s, struct bytes *b)
{
    return dp_hpke_open(ecdh, NULL, point, enc, view(i), view(a), s, b->p, sizeof b->p, &b->n);
}

static void seals_as_the_published_vector(void **state)
{
    uint8_t got_enc[65];
    struct bytes out;
    (void)state;
    assert_int_equal(hpke_seal_with(ephemeral, point, view(&info), view(&aad), view(&clear),
                                    got_enc, out.p, sizeof out.p, &out.n),
                     DP_OK);
    assert_memory_equal(got_enc, enc, 65);
    assert_int_equal(out.n, sealed.n);
    assert_memory_equal(out.p, sealed.p, sealed.n);
}

static void opens_the_published_vector(void **state)
{
    struct bytes out;
    (void)state;
    assert_int_equal(open_it(&info, &aad, view(&sealed), &out), DP_OK);
    assert_int_equal(out.n, clear.n);
    assert_memory_equal(out.p, clear.p, clear.n);
}

static void refuses_other_info_aad_key_or_bytes_and_leaves_nothing_clear(void **state)
{
    static const uint8_t zeros[96];
    struct bytes out, other = aad, short_info = info, damaged = sealed;
    (void)state;
    other.p[0] ^= 1;
    short_info.n--;
    assert_int_equal(open_it(&info, &other, view(&sealed), &out), DP_ERR_SIGNATURE);
    assert_int_equal(out.n, 0);
    assert_memory_equal(out.p, zeros, sizeof zeros);
    assert_int_equal(open_it(&short_info, &aad, view(&sealed), &out), DP_ERR_SIGNATURE);
    for (size_t i = 0; i < sealed.n; i++) {
        damaged.p[i] ^= 0x80;
        assert_int_equal(open_it(&info, &aad, view(&damaged), &out), DP_ERR_SIGNATURE);
        damaged.p[i] ^= 0x80;
    }
    point[64] ^= 1; /* kem_context binds the recipient's point */
    assert_int_equal(open_it(&info, &aad, view(&sealed), &out), DP_ERR_SIGNATURE);
    point[64] ^= 1;
}

static void says_what_is_wrong_with_lengths_points_and_tokens(void **state)
{
    uint8_t got_enc[65], no_point[65] = {4, 1, 2, 3};
    struct bytes out;
    size_t n = 1;
    (void)state;
    assert_int_equal(open_it(&info, &aad, (struct dp_bytes){sealed.p, 15}, &out), DP_ERR_SHORT);
    assert_int_equal(dp_hpke_open(ecdh, NULL, point, enc, view(&info), view(&aad), view(&sealed),
                                  out.p, clear.n - 1, &n),
                     DP_ERR_SPACE);
    assert_int_equal(n, 0);
    assert_int_equal(dp_hpke_open(ecdh, NULL, point, no_point, view(&info), view(&aad),
                                  view(&sealed), out.p, sizeof out.p, &n),
                     DP_ERR_ARG);
    assert_int_equal(dp_hpke_open(ecdh_gone, NULL, point, enc, view(&info), view(&aad),
                                  view(&sealed), out.p, sizeof out.p, &n),
                     DP_ERR_GONE);
    assert_int_equal(dp_hpke_seal(no_point, view(&info), view(&aad), view(&clear), got_enc, out.p,
                                  sizeof out.p, &n),
                     DP_ERR_ARG);
    assert_int_equal(dp_hpke_seal(point, view(&info), view(&aad), view(&clear), got_enc, out.p,
                                  clear.n + 15, &n),
                     DP_ERR_SPACE);
}

static void each_seal_has_an_ephemeral_key_of_its_own(void **state)
{
    uint8_t first[65], second[65];
    struct bytes a, b, out;
    (void)state;
    assert_int_equal(
        dp_hpke_seal(point, view(&info), view(&aad), view(&clear), first, a.p, sizeof a.p, &a.n),
        DP_OK);
    assert_int_equal(
        dp_hpke_seal(point, view(&info), view(&aad), view(&clear), second, b.p, sizeof b.p, &b.n),
        DP_OK);
    assert_memory_not_equal(first, second, 65);
    assert_memory_not_equal(a.p, b.p, a.n);
    assert_int_equal(dp_hpke_open(ecdh, NULL, point, second, view(&info), view(&aad), view(&b),
                                  out.p, sizeof out.p, &out.n),
                     DP_OK);
    assert_memory_equal(out.p, clear.p, clear.n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seals_as_the_published_vector),
        cmocka_unit_test(opens_the_published_vector),
        cmocka_unit_test(refuses_other_info_aad_key_or_bytes_and_leaves_nothing_clear),
        cmocka_unit_test(says_what_is_wrong_with_lengths_points_and_tokens),
        cmocka_unit_test(each_seal_has_an_ephemeral_key_of_its_own),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
