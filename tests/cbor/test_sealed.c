/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/cose.h>
#include <doorpay/sealed.h>
#include <psa/crypto.h>

static psa_key_id_t key;
static uint8_t point[65];
static const struct dp_sealed_context context = {{1, 2, 3}, {4, 5, 6}, "T0000001"};
static const struct dp_sealed_card card = {"9999011234567890",       "3112", true, 7,
                                           {0x99, 0x99, 0x01, 0xD3}, 4};

static int make_key(void **state)
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    size_t n = 0;
    (void)state;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&a, 256);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&a, PSA_ALG_ECDH);
    return psa_crypto_init() != PSA_SUCCESS || psa_generate_key(&a, &key) != PSA_SUCCESS ||
           psa_export_public_key(key, point, sizeof point, &n) != PSA_SUCCESS;
}

static int ecdh(void *ctx, const uint8_t peer[65], uint8_t shared[32])
{
    size_t n = 0;
    (void)ctx;
    return psa_raw_key_agreement(PSA_ALG_ECDH, key, peer, 65, shared, 32, &n) == PSA_SUCCESS
               ? DP_OK
               : DP_ERR_ARG;
}

static size_t make(enum dp_sealed_kind kind, const struct dp_sealed_card *c, uint8_t *blob)
{
    size_t n = 0;
    assert_int_equal(dp_sealed_make(point, kind, &context, c, blob, DP_SEALED_BYTES_MAX, &n),
                     DP_OK);
    return n;
}

static int open_it(enum dp_sealed_kind kind, const struct dp_sealed_context *c, const uint8_t *blob,
                   size_t n, struct dp_sealed_card *out)
{
    return dp_sealed_open(ecdh, NULL, point, kind, c, (struct dp_bytes){blob, n}, out);
}

static void opens_what_was_sealed(void **state)
{
    uint8_t blob[DP_SEALED_BYTES_MAX];
    struct dp_sealed_card got, longest = card;
    size_t n = make(DP_SEALED_PAN, &card, blob);
    (void)state;
    memset(&got, 0, sizeof got);
    assert_int_equal(open_it(DP_SEALED_PAN, &context, blob, n, &got), DP_OK);
    assert_string_equal(got.pan, card.pan);
    assert_string_equal(got.expiry, card.expiry);
    assert_true(got.has_sequence);
    assert_int_equal(got.sequence, 7);
    assert_int_equal(got.track2_n, 0);

    n = make(DP_SEALED_TRACK2, &card, blob);
    assert_int_equal(open_it(DP_SEALED_TRACK2, &context, blob, n, &got), DP_OK);
    assert_int_equal(got.track2_n, 4);
    assert_memory_equal(got.track2, card.track2, 4);

    memset(longest.pan, '9', 19);
    longest.has_sequence = false;
    n = make(DP_SEALED_PAN, &longest, blob);
    assert_int_equal(open_it(DP_SEALED_PAN, &context, blob, n, &got), DP_OK);
    assert_string_equal(got.pan, longest.pan);
    assert_false(got.has_sequence);
    longest.track2_n = sizeof longest.track2;
    n = make(DP_SEALED_TRACK2, &longest, blob);
    assert_int_equal(open_it(DP_SEALED_TRACK2, &context, blob, n, &got), DP_OK);
    assert_int_equal(got.track2_n, sizeof longest.track2);
}

static void names_the_recipient_and_shows_nothing_clear(void **state)
{
    uint8_t blob[DP_SEALED_BYTES_MAX], kid[8];
    size_t n = make(DP_SEALED_PAN, &card, blob);
    (void)state;
    assert_int_equal(dp_cose_key_id(point, kid), DP_OK);
    assert_int_equal(blob[0], 1);
    assert_memory_equal(blob + 1, kid, 8);
    assert_null(memmem(blob, n, card.pan, 16));
}

static void refuses_another_journal_transaction_terminal_or_kind(void **state)
{
    uint8_t blob[DP_SEALED_BYTES_MAX];
    struct dp_sealed_context other = context;
    struct dp_sealed_card got;
    size_t n = make(DP_SEALED_PAN, &card, blob);
    (void)state;
    other.journal[0]++;
    assert_int_equal(open_it(DP_SEALED_PAN, &other, blob, n, &got), DP_ERR_SIGNATURE);
    other = context;
    other.tx[15]++;
    assert_int_equal(open_it(DP_SEALED_PAN, &other, blob, n, &got), DP_ERR_SIGNATURE);
    other = context;
    other.tid[7]++;
    assert_int_equal(open_it(DP_SEALED_PAN, &other, blob, n, &got), DP_ERR_SIGNATURE);
    assert_int_equal(open_it(DP_SEALED_TRACK2, &context, blob, n, &got), DP_ERR_SIGNATURE);
}

static void refuses_damage_at_every_byte_and_length(void **state)
{
    uint8_t blob[DP_SEALED_BYTES_MAX];
    struct dp_sealed_card got;
    size_t n = make(DP_SEALED_PAN, &card, blob);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        blob[i] ^= 0x10;
        assert_int_equal(open_it(DP_SEALED_PAN, &context, blob, n, &got),
                         i == 0 ? DP_ERR_FORMAT : DP_ERR_SIGNATURE);
        blob[i] ^= 0x10;
        assert_true(open_it(DP_SEALED_PAN, &context, blob, i, &got) < 0);
    }
}

static void refuses_to_seal_what_is_not_of_its_form(void **state)
{
    uint8_t blob[DP_SEALED_BYTES_MAX];
    struct dp_sealed_card bad = card;
    struct dp_sealed_context nowhere = context;
    size_t n;
    (void)state;
    bad.pan[3] = 'A';
    assert_int_equal(dp_sealed_make(point, DP_SEALED_PAN, &context, &bad, blob, sizeof blob, &n),
                     DP_ERR_ARG);
    bad = card;
    bad.expiry[3] = '\0';
    assert_int_equal(dp_sealed_make(point, DP_SEALED_PAN, &context, &bad, blob, sizeof blob, &n),
                     DP_ERR_ARG);
    bad.track2_n = 0;
    assert_int_equal(dp_sealed_make(point, DP_SEALED_TRACK2, &context, &bad, blob, sizeof blob, &n),
                     DP_ERR_ARG);
    nowhere.tid[7] = '\0';
    assert_int_equal(dp_sealed_make(point, DP_SEALED_PAN, &nowhere, &card, blob, sizeof blob, &n),
                     DP_ERR_ARG);
    assert_int_equal(dp_sealed_make(point, DP_SEALED_PAN, &context, &card, blob, 80, &n),
                     DP_ERR_SPACE);
    assert_int_equal(dp_sealed_make(point, DP_SEALED_PAN, &context, &card, blob, 40, &n),
                     DP_ERR_SPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_what_was_sealed),
        cmocka_unit_test(names_the_recipient_and_shows_nothing_clear),
        cmocka_unit_test(refuses_another_journal_transaction_terminal_or_kind),
        cmocka_unit_test(refuses_damage_at_every_byte_and_length),
        cmocka_unit_test(refuses_to_seal_what_is_not_of_its_form),
    };
    return cmocka_run_group_tests(tests, make_key, NULL);
}
