/* SPDX-License-Identifier: Apache-2.0 */
/* What every key store does, whatever is behind it: test_hsm_conformance KIND. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/cose.h>
#include <psa/crypto.h>

#include "base/hex.h"
#include "fixture.h"

static const char *kind;
static struct fixture f;

static int fresh(void **state)
{
    (void)state;
    return fixture_make(kind, &f);
}

static int gone(void **state)
{
    (void)state;
    fixture_remove(&f);
    return 0;
}

/* ---- what it can do, and what it says it cannot ---- */

static const struct dp_bytes aad = {(const uint8_t *)"blob 1", 6};
static const struct dp_bytes other_aad = {(const uint8_t *)"blob 2", 6};
static const struct dp_bytes clear = {(const uint8_t *)"what must be shredded", 21};

static void no_anchor(void)
{
    uint8_t b[32] = {0};
    assert_int_equal(dp_hsm_anchor_read(f.hsm, b), DP_ERR_UNSUPPORTED);
    assert_int_equal(dp_hsm_anchor_extend(f.hsm, b, b), DP_ERR_UNSUPPORTED);
}

static void no_counter(void)
{
    uint64_t value = 0;
    assert_int_equal(dp_hsm_counter_read(f.hsm, DP_COUNTER_PARAMS, &value), DP_ERR_UNSUPPORTED);
    assert_int_equal(dp_hsm_counter_raise(f.hsm, DP_COUNTER_PARAMS, 1), DP_ERR_UNSUPPORTED);
}

static void no_epoch(void)
{
    uint32_t number = 0;
    assert_int_equal(dp_hsm_epoch_new(f.hsm, &number), DP_ERR_UNSUPPORTED);
    assert_int_equal(dp_hsm_epoch_destroy(f.hsm), DP_ERR_UNSUPPORTED);
}

static void no_wrap(void)
{
    uint8_t out[64] = {0};
    uint32_t g = 1;
    size_t n = 0;
    assert_int_equal(dp_hsm_wrap_generation(f.hsm, &g), DP_ERR_UNSUPPORTED);
    assert_int_equal(dp_hsm_wrap(f.hsm, 1, aad, clear, out, sizeof out, &n), DP_ERR_UNSUPPORTED);
    assert_int_equal(dp_hsm_unwrap(f.hsm, 1, aad, (struct dp_bytes){out, 40}, out, sizeof out, &n),
                     DP_ERR_UNSUPPORTED);
    assert_int_equal(dp_hsm_wrap_rotate(f.hsm, &g), DP_ERR_UNSUPPORTED);
    assert_int_equal(dp_hsm_wrap_destroy(f.hsm, 1), DP_ERR_UNSUPPORTED);
}

static void no_dukpt(void)
{
    uint8_t b[32] = {0}, ksn[DP_KSN_BYTES] = {0};
    assert_int_equal(dp_hsm_dukpt_load(f.hsm, b, b), DP_ERR_UNSUPPORTED);
    assert_int_equal(dp_hsm_dukpt_next(f.hsm, ksn), DP_ERR_UNSUPPORTED);
    assert_int_equal(dp_hsm_dukpt_mac(f.hsm, ksn, false, b, b), DP_ERR_UNSUPPORTED);
    assert_int_equal(dp_hsm_dukpt_check(f.hsm), DP_ERR_UNSUPPORTED);
}

static void no_ecdh(void)
{
    uint8_t peer[65] = {4}, shared[32];
    assert_int_equal(dp_hsm_ecdh(f.hsm, DP_KEY_CARD_DATA, peer, shared), DP_ERR_UNSUPPORTED);
}

static void no_rotate(void)
{
    assert_int_equal(dp_hsm_tls_next(f.hsm), DP_ERR_UNSUPPORTED);
    assert_int_equal(dp_hsm_tls_take(f.hsm), DP_ERR_UNSUPPORTED);
}

static void no_evidence(void)
{
    struct dp_hsm_evidence e;
    uint8_t nonce[32] = {0};
    assert_int_equal(dp_hsm_anchor_certify(f.hsm, nonce, &e), DP_ERR_UNSUPPORTED);
}

/* Whether the test in hand is not for this kind: then everything of the sort is refused. */
static bool lacks(bool has, void (*refused)(void))
{
    if (!has)
        refused();
    return !has;
}

static void says_what_it_can_do(void **state)
{
    struct dp_hsm_caps caps;
    (void)state;
    dp_hsm_get_caps(f.hsm, &caps);
    assert_int_equal(caps.anchor, f.caps.anchor);
    assert_int_equal(caps.counter, f.caps.counter);
    assert_int_equal(caps.epoch, f.caps.epoch);
    assert_int_equal(caps.wrap, f.caps.wrap);
    assert_int_equal(caps.dukpt, f.caps.dukpt);
    assert_int_equal(caps.ecdh, f.caps.ecdh);
    assert_int_equal(caps.evidence, f.caps.evidence);
    assert_int_equal(caps.rotate, f.caps.rotate);
    assert_string_equal(caps.name, f.caps.name);
    (void)lacks(caps.anchor, no_anchor);
    (void)lacks(caps.counter, no_counter);
    (void)lacks(caps.epoch, no_epoch);
    (void)lacks(caps.wrap, no_wrap);
    (void)lacks(caps.dukpt, no_dukpt);
    (void)lacks(caps.ecdh, no_ecdh);
    (void)lacks(caps.evidence, no_evidence);
    (void)lacks(caps.rotate, no_rotate);
}

/* ---- keys ---- */

static void each_key_signs_under_its_own_public_point(void **state)
{
    static const enum dp_hsm_key keys[] = {DP_KEY_JOURNAL_IDENTITY, DP_KEY_TLS_CLIENT};
    uint8_t digest[32] = {1, 2, 3}, signature[64], points[2][65];
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dp_hsm_public(f.hsm, keys[i], points[i]), DP_OK);
        assert_int_equal(points[i][0], 4);
        assert_int_equal(dp_hsm_sign(f.hsm, keys[i], digest, signature), DP_OK);
        assert_int_equal(dp_cose_verify_digest(points[i], digest, signature), DP_OK);
        digest[31] ^= 1;
        assert_int_equal(dp_cose_verify_digest(points[i], digest, signature), DP_ERR_SIGNATURE);
        digest[31] ^= 1;
    }
    assert_memory_not_equal(points[0], points[1], 65);
    assert_int_equal(dp_cose_verify_digest(points[0], digest, signature), DP_ERR_SIGNATURE);
}

static void keys_outlive_the_handle(void **state)
{
    uint8_t before[3][65], after[65];
    static const enum dp_hsm_key keys[] = {DP_KEY_JOURNAL_IDENTITY, DP_KEY_TLS_CLIENT,
                                           DP_KEY_CARD_DATA};
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(dp_hsm_public(f.hsm, keys[i], before[i]), DP_OK);
    fixture_reopen(&f);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(dp_hsm_public(f.hsm, keys[i], after), DP_OK);
        assert_memory_equal(before[i], after, 65);
    }
}

static void one_key_has_one_purpose(void **state)
{
    uint8_t digest[32] = {0}, signature[64], point[65], shared[32];
    (void)state;
    assert_int_equal(dp_hsm_sign(f.hsm, DP_KEY_CARD_DATA, digest, signature), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_CARD_DATA, point), DP_OK);
    for (enum dp_hsm_key k = DP_KEY_JOURNAL_IDENTITY; k <= DP_KEY_TLS_CLIENT; k++)
        assert_int_equal(dp_hsm_ecdh(f.hsm, k, point, shared), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_public(f.hsm, (enum dp_hsm_key)0, point), DP_ERR_ARG);
    assert_int_equal(dp_hsm_sign(f.hsm, (enum dp_hsm_key)6, digest, signature), DP_ERR_ARG);
    assert_int_equal(dp_hsm_ecdh(f.hsm, (enum dp_hsm_key)9, point, shared), DP_ERR_ARG);
}

/* An ephemeral key on our side must reach the same x coordinate. */
static void shares_a_point_with_a_sender(void **state)
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id = 0;
    uint8_t peer[65], point[65], ours[32], theirs[32];
    size_t n = 0;
    (void)state;
    if (lacks(f.caps.ecdh, no_ecdh))
        return;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&a, 256);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&a, PSA_ALG_ECDH);
    assert_int_equal(psa_generate_key(&a, &id), PSA_SUCCESS);
    assert_int_equal(psa_export_public_key(id, peer, sizeof peer, &n), PSA_SUCCESS);
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_CARD_DATA, point), DP_OK);
    assert_int_equal(
        psa_raw_key_agreement(PSA_ALG_ECDH, id, point, sizeof point, theirs, sizeof theirs, &n),
        PSA_SUCCESS);
    assert_int_equal(dp_hsm_ecdh(f.hsm, DP_KEY_CARD_DATA, peer, ours), DP_OK);
    assert_memory_equal(ours, theirs, 32);
    peer[64] ^= 1; /* no point of the curve any more */
    assert_int_equal(dp_hsm_ecdh(f.hsm, DP_KEY_CARD_DATA, peer, ours), DP_ERR_FORMAT);
    assert_int_equal(psa_destroy_key(id), PSA_SUCCESS);
}

static void assert_signs(enum dp_hsm_key key, const uint8_t point[65])
{
    uint8_t digest[32] = {3}, signature[64], held[65];
    assert_int_equal(dp_hsm_public(f.hsm, key, held), DP_OK);
    assert_memory_equal(held, point, 65);
    assert_int_equal(dp_hsm_sign(f.hsm, key, digest, signature), DP_OK);
    assert_int_equal(dp_cose_verify_digest(point, digest, signature), DP_OK);
}

/* Twice around, so that each place a key can have has been the old and the new one's. */
static void a_tls_key_serves_until_its_successor_is_taken_into_use(void **state)
{
    uint8_t old[65], next[65], digest[32] = {3}, signature[64];
    (void)state;
    if (lacks(f.caps.rotate, no_rotate))
        return;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_TLS_CLIENT, old), DP_OK);
        assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_TLS_NEXT, next), DP_ERR_NOT_FOUND);
        assert_int_equal(dp_hsm_sign(f.hsm, DP_KEY_TLS_NEXT, digest, signature), DP_ERR_NOT_FOUND);
        assert_int_equal(dp_hsm_tls_take(f.hsm), DP_ERR_NOT_FOUND);
        assert_int_equal(dp_hsm_tls_next(f.hsm), DP_OK);
        assert_int_equal(dp_hsm_tls_next(f.hsm), DP_ERR_STATE);
        fixture_reopen(&f);
        assert_int_equal(dp_hsm_tls_next(f.hsm), DP_ERR_STATE);
        assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_TLS_NEXT, next), DP_OK);
        assert_memory_not_equal(old, next, 65);
        assert_signs(DP_KEY_TLS_CLIENT, old);
        assert_signs(DP_KEY_TLS_NEXT, next);
        assert_int_equal(dp_hsm_tls_take(f.hsm), DP_OK);
        assert_signs(DP_KEY_TLS_CLIENT, next);
        fixture_reopen(&f);
        assert_signs(DP_KEY_TLS_CLIENT, next);
    }
}

static void epochs_count_up_and_the_last_one_dies(void **state)
{
    uint8_t digest[32] = {7}, signature[64], one[65], two[65];
    uint32_t number = 0;
    (void)state;
    if (lacks(f.caps.epoch, no_epoch))
        return;
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_JOURNAL_EPOCH, one), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_hsm_sign(f.hsm, DP_KEY_JOURNAL_EPOCH, digest, signature), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_hsm_epoch_destroy(f.hsm), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_hsm_epoch_new(f.hsm, &number), DP_OK);
    assert_int_equal(number, 1);
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_JOURNAL_EPOCH, one), DP_OK);
    assert_int_equal(dp_hsm_sign(f.hsm, DP_KEY_JOURNAL_EPOCH, digest, signature), DP_OK);
    assert_int_equal(dp_cose_verify_digest(one, digest, signature), DP_OK);
    assert_int_equal(dp_hsm_epoch_new(f.hsm, &number), DP_OK);
    assert_int_equal(number, 2);
    fixture_reopen(&f);
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_JOURNAL_EPOCH, two), DP_OK);
    assert_memory_not_equal(one, two, 65);
    assert_int_equal(dp_hsm_sign(f.hsm, DP_KEY_JOURNAL_EPOCH, digest, signature), DP_OK);
    assert_int_equal(dp_cose_verify_digest(one, digest, signature), DP_ERR_SIGNATURE);
    assert_int_equal(dp_cose_verify_digest(two, digest, signature), DP_OK);
    assert_int_equal(dp_hsm_epoch_destroy(f.hsm), DP_OK);
    fixture_reopen(&f);
    assert_int_equal(dp_hsm_sign(f.hsm, DP_KEY_JOURNAL_EPOCH, digest, signature), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_hsm_epoch_new(f.hsm, &number), DP_OK);
    assert_int_equal(number, 3); /* a number is never given again */
}

/* ---- what only moves forward ---- */

static void anchor_is_a_hash_chain_that_lasts(void **state)
{
    uint8_t both[64] = {0}, digest[32], value[32], held[32], zero[32] = {0};
    size_t n = 0;
    (void)state;
    if (lacks(f.caps.anchor, no_anchor))
        return;
    assert_int_equal(dp_hsm_anchor_read(f.hsm, held), DP_OK);
    assert_memory_equal(held, zero, 32);
    for (int i = 0; i < 5; i++) {
        memset(digest, 0xA0 + i, sizeof digest);
        memcpy(both, held, 32);
        memcpy(both + 32, digest, 32);
        assert_int_equal(psa_hash_compute(PSA_ALG_SHA_256, both, 64, held, 32, &n), PSA_SUCCESS);
        assert_int_equal(dp_hsm_anchor_extend(f.hsm, digest, value), DP_OK);
        assert_memory_equal(value, held, 32);
        fixture_reopen(&f);
        assert_int_equal(dp_hsm_anchor_read(f.hsm, value), DP_OK);
        assert_memory_equal(value, held, 32);
    }
}

/* Read by our own reader, too; the name of the index says that it can only be extended. */
static void assert_says(const struct dp_hsm_evidence *e, const uint8_t nonce[32],
                        const uint8_t value[32])
{
    struct dp_hsm_evidence changed = *e;
    struct dp_hsm_attested a;
    uint8_t index[34];
    assert_int_equal(dp_hsm_evidence_read(e, &a), DP_OK);
    assert_memory_equal(a.nonce, nonce, 32);
    assert_memory_equal(a.value, value, 32);
    assert_int_equal(dp_hsm_evidence_index(DP_HSM_TPM_BASE, index), DP_OK);
    assert_memory_equal(a.index, index, sizeof index);
    assert_int_equal(dp_hsm_evidence_index(DP_HSM_TPM_BASE + 1, index), DP_OK);
    assert_memory_not_equal(a.index, index, sizeof index);
    changed.attest[changed.attest_n - 1] ^= 1;
    assert_int_equal(dp_hsm_evidence_read(&changed, &a), DP_ERR_SIGNATURE);
}

/* TPM 2.0 part 2, TPMS_ATTEST: magic, type, signer, extra data, clock, firmware, then the index'
 * name, offset and contents, which are last. */
static void the_token_vouches_for_its_anchor(void **state)
{
    static const uint8_t head[6] = {0xFF, 'T', 'C', 'G', 0x80, 0x14}; /* NV_Certify's */
    uint8_t digest[32] = {1}, nonce[32] = {7, 7, 7}, value[32], hash[32];
    struct dp_hsm_evidence e, other;
    size_t n = 0;
    (void)state;
    if (lacks(f.caps.evidence, no_evidence))
        return;
    assert_int_equal(dp_hsm_anchor_certify(f.hsm, nonce, &e), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_hsm_anchor_extend(f.hsm, digest, value), DP_OK);
    assert_int_equal(dp_hsm_anchor_certify(f.hsm, nonce, &e), DP_OK);
    assert_true(e.attest_n > 100);
    assert_memory_equal(e.attest, head, sizeof head);
    assert_non_null(memmem(e.attest, e.attest_n, nonce, sizeof nonce));
    assert_memory_equal(e.attest + e.attest_n - 32, value, 32);
    assert_int_equal(psa_hash_compute(PSA_ALG_SHA_256, e.attest, e.attest_n, hash, 32, &n),
                     PSA_SUCCESS);
    assert_int_equal(dp_cose_verify_digest(e.key, hash, e.signature), DP_OK);
    nonce[31]++;
    assert_says(&e, (uint8_t[32]){7, 7, 7}, value);
    assert_int_equal(dp_hsm_anchor_certify(f.hsm, nonce, &other), DP_OK);
    assert_says(&other, nonce, value);
    assert_memory_equal(other.key, e.key, 65);
    assert_int_equal(dp_cose_verify_digest(e.key, hash, other.signature), DP_ERR_SIGNATURE);
}

static void counters_only_rise(void **state)
{
    uint64_t value = 99;
    (void)state;
    if (lacks(f.caps.counter, no_counter))
        return;
    assert_int_equal(dp_hsm_counter_read(f.hsm, DP_COUNTER_PARAMS, &value), DP_OK);
    assert_int_equal(value, 0);
    assert_int_equal(dp_hsm_counter_raise(f.hsm, DP_COUNTER_PARAMS, 7), DP_OK);
    assert_int_equal(dp_hsm_counter_raise(f.hsm, DP_COUNTER_PARAMS, 7), DP_OK);
    assert_int_equal(dp_hsm_counter_raise(f.hsm, DP_COUNTER_PARAMS, 6), DP_ERR_ROLLBACK);
    fixture_reopen(&f);
    assert_int_equal(dp_hsm_counter_raise(f.hsm, DP_COUNTER_PARAMS, 6), DP_ERR_ROLLBACK);
    assert_int_equal(dp_hsm_counter_read(f.hsm, DP_COUNTER_PARAMS, &value), DP_OK);
    assert_int_equal(value, 7);
    assert_int_equal(dp_hsm_counter_read(f.hsm, DP_COUNTER_LOGIN_FAILURES, &value), DP_OK);
    assert_int_equal(value, 0); /* each its own */
    assert_int_equal(dp_hsm_counter_raise(f.hsm, DP_COUNTER_LOGIN_FAILURES, f.counter_step), DP_OK);
    assert_int_equal(dp_hsm_counter_raise(f.hsm, DP_COUNTER_LOGIN_FAILURES, 0), DP_ERR_ROLLBACK);
    if (f.counter_step < UINT64_MAX) /* further than the token goes at once */
        assert_int_equal(
            dp_hsm_counter_raise(f.hsm, DP_COUNTER_LOGIN_FAILURES, 2 * f.counter_step + 1),
            DP_ERR_LIMIT);
    assert_int_equal(dp_hsm_counter_read(f.hsm, DP_COUNTER_LOGIN_FAILURES, &value), DP_OK);
    assert_int_equal(value, f.counter_step);
    assert_int_equal(dp_hsm_counter_raise(f.hsm, (enum dp_hsm_counter)3, 1), DP_ERR_ARG);
    assert_int_equal(dp_hsm_counter_read(f.hsm, (enum dp_hsm_counter)0, &value), DP_ERR_ARG);
}

/* ---- side store ---- */

static void wraps_and_unwraps_and_knows_damage(void **state)
{
    uint8_t one[64], two[64], out[64];
    size_t one_n, two_n, n;
    uint32_t g = 0;
    (void)state;
    if (lacks(f.caps.wrap, no_wrap))
        return;
    assert_int_equal(dp_hsm_wrap_generation(f.hsm, &g), DP_OK);
    assert_int_equal(dp_hsm_wrap(f.hsm, g, aad, clear, one, sizeof one, &one_n), DP_OK);
    assert_int_equal(one_n, clear.n + DP_HSM_WRAP_OVERHEAD);
    assert_int_equal(dp_hsm_wrap(f.hsm, g, aad, clear, two, sizeof two, &two_n), DP_OK);
    assert_memory_not_equal(one, two, 12); /* never one nonce twice */
    assert_memory_not_equal(one + 12, clear.p, clear.n);
    fixture_reopen(&f);
    assert_int_equal(
        dp_hsm_unwrap(f.hsm, g, aad, (struct dp_bytes){one, one_n}, out, sizeof out, &n), DP_OK);
    assert_int_equal(n, clear.n);
    assert_memory_equal(out, clear.p, n);
    assert_int_equal(
        dp_hsm_unwrap(f.hsm, g, other_aad, (struct dp_bytes){one, one_n}, out, sizeof out, &n),
        DP_ERR_SIGNATURE);
    for (size_t i = 0; i < one_n; i++) {
        one[i] ^= 0x80;
        assert_int_equal(
            dp_hsm_unwrap(f.hsm, g, aad, (struct dp_bytes){one, one_n}, out, sizeof out, &n),
            DP_ERR_SIGNATURE);
        assert_int_equal(n, 0);
        one[i] ^= 0x80;
    }
    assert_int_equal(
        dp_hsm_unwrap(f.hsm, g, aad, (struct dp_bytes){one, one_n - 1}, out, sizeof out, &n),
        DP_ERR_SIGNATURE);
    assert_int_equal(dp_hsm_unwrap(f.hsm, g, aad, (struct dp_bytes){one, 27}, out, sizeof out, &n),
                     DP_ERR_SHORT);
}

static void wrapping_keeps_to_the_room_given(void **state)
{
    uint8_t wrapped[64], out[64];
    size_t wrapped_n, n;
    uint32_t g = 0;
    (void)state;
    if (lacks(f.caps.wrap, no_wrap))
        return;
    assert_int_equal(dp_hsm_wrap_generation(f.hsm, &g), DP_OK);
    assert_int_equal(dp_hsm_wrap(f.hsm, g, aad, clear, wrapped, clear.n + 27, &wrapped_n),
                     DP_ERR_SPACE);
    assert_int_equal(dp_hsm_wrap(f.hsm, g, aad, clear, wrapped, clear.n + 28, &wrapped_n), DP_OK);
    assert_int_equal(
        dp_hsm_unwrap(f.hsm, g, aad, (struct dp_bytes){wrapped, wrapped_n}, out, clear.n - 1, &n),
        DP_ERR_SPACE);
    assert_int_equal(
        dp_hsm_unwrap(f.hsm, g, aad, (struct dp_bytes){wrapped, wrapped_n}, out, clear.n, &n),
        DP_OK);
    assert_int_equal(
        dp_hsm_wrap(f.hsm, g, aad, (struct dp_bytes){NULL, 0}, wrapped, 28, &wrapped_n), DP_OK);
    assert_int_equal(
        dp_hsm_unwrap(f.hsm, g, aad, (struct dp_bytes){wrapped, wrapped_n}, out, 0, &n), DP_OK);
    assert_int_equal(n, 0);
}

static void a_destroyed_generation_opens_nothing(void **state)
{
    uint8_t old[64], young[64], out[64];
    size_t old_n, young_n, n;
    uint32_t g = 0, h = 0, now = 0;
    (void)state;
    if (lacks(f.caps.wrap, no_wrap))
        return;
    assert_int_equal(dp_hsm_wrap_generation(f.hsm, &g), DP_OK);
    assert_int_equal(dp_hsm_wrap(f.hsm, g, aad, clear, old, sizeof old, &old_n), DP_OK);
    assert_int_equal(dp_hsm_wrap_destroy(f.hsm, g), DP_ERR_STATE);
    assert_int_equal(dp_hsm_wrap_rotate(f.hsm, &h), DP_OK);
    assert_int_equal(h, g + 1);
    assert_int_equal(dp_hsm_wrap_generation(f.hsm, &now), DP_OK);
    assert_int_equal(now, h);
    assert_int_equal(
        dp_hsm_unwrap(f.hsm, g, aad, (struct dp_bytes){old, old_n}, out, sizeof out, &n), DP_OK);
    assert_int_equal(
        dp_hsm_unwrap(f.hsm, h, aad, (struct dp_bytes){old, old_n}, out, sizeof out, &n),
        DP_ERR_SIGNATURE);
    assert_int_equal(dp_hsm_wrap(f.hsm, h, aad, clear, young, sizeof young, &young_n), DP_OK);
    assert_int_equal(dp_hsm_wrap_destroy(f.hsm, g), DP_OK);
    assert_int_equal(dp_hsm_wrap_destroy(f.hsm, g), DP_ERR_NOT_FOUND);
    fixture_reopen(&f);
    assert_int_equal(
        dp_hsm_unwrap(f.hsm, g, aad, (struct dp_bytes){old, old_n}, out, sizeof out, &n),
        DP_ERR_NOT_FOUND);
    assert_int_equal(dp_hsm_wrap(f.hsm, g, aad, clear, old, sizeof old, &old_n), DP_ERR_NOT_FOUND);
    assert_int_equal(
        dp_hsm_unwrap(f.hsm, h, aad, (struct dp_bytes){young, young_n}, out, sizeof out, &n),
        DP_OK);
    assert_memory_equal(out, clear.p, clear.n);
}

/* ---- DUKPT ---- */

/* Of ANSI X9.24-3's published test data: initial key of base key FEDCBA98…F1, id 1234567890123456;
 * the MAC generation key of its first transaction. */
static const uint8_t ik[16] = {0x12, 0x73, 0x67, 0x1E, 0xA2, 0x6A, 0xC2, 0x9A,
                               0xFA, 0x4D, 0x10, 0x84, 0x12, 0x76, 0x52, 0xA1};
static const uint8_t ik_id[8] = {0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56};
static const uint8_t first_mac_key[16] = {0xA2, 0xDC, 0x23, 0xDE, 0x6F, 0xDE, 0x08, 0x24,
                                          0xA2, 0xBC, 0x32, 0x1E, 0x08, 0xE4, 0xB8, 0xB7};

static void cmac(const uint8_t key[16], const uint8_t digest[32], uint8_t mac[16])
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id = 0;
    size_t n = 0;
    psa_set_key_type(&a, PSA_KEY_TYPE_AES);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_SIGN_MESSAGE);
    psa_set_key_algorithm(&a, PSA_ALG_CMAC);
    assert_int_equal(psa_import_key(&a, key, 16, &id), PSA_SUCCESS);
    assert_int_equal(psa_mac_compute(id, PSA_ALG_CMAC, digest, 32, mac, 16, &n), PSA_SUCCESS);
    assert_int_equal(psa_destroy_key(id), PSA_SUCCESS);
}

static void first_transaction_macs_with_the_published_key(void **state)
{
    uint8_t ksn[12], digest[32] = {9}, mac[16], want[16], answer[16];
    (void)state;
    if (lacks(f.caps.dukpt, no_dukpt))
        return;
    assert_int_equal(dp_hsm_dukpt_next(f.hsm, ksn), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_hsm_dukpt_load(f.hsm, ik, ik_id), DP_OK);
    assert_int_equal(dp_hsm_dukpt_next(f.hsm, ksn), DP_OK);
    assert_memory_equal(ksn, ik_id, 8);
    assert_memory_equal(ksn + 8, "\0\0\0\1", 4);
    assert_int_equal(dp_hsm_dukpt_mac(f.hsm, ksn, false, digest, mac), DP_OK);
    cmac(first_mac_key, digest, want);
    assert_memory_equal(mac, want, 16);
    assert_int_equal(dp_hsm_dukpt_mac(f.hsm, ksn, true, digest, answer), DP_OK);
    assert_memory_not_equal(mac, answer, 16);
}

static void a_known_answer_comes_and_nothing_loaded_moves(void **state)
{
    uint8_t ksn[DP_KSN_BYTES], digest[32] = {9}, mac[16];
    (void)state;
    if (lacks(f.caps.dukpt, no_dukpt))
        return;
    assert_int_equal(dp_hsm_dukpt_check(f.hsm), DP_OK);
    assert_int_equal(dp_hsm_dukpt_next(f.hsm, ksn), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_hsm_dukpt_load(f.hsm, ik, ik_id), DP_OK);
    assert_int_equal(dp_hsm_dukpt_next(f.hsm, ksn), DP_OK);
    assert_int_equal(dp_hsm_dukpt_check(f.hsm), DP_OK);
    assert_int_equal(dp_hsm_dukpt_mac(f.hsm, ksn, false, digest, mac), DP_OK);
    assert_int_equal(dp_hsm_dukpt_next(f.hsm, ksn), DP_OK);
    assert_memory_equal(ksn + 8, "\0\0\0\2", 4);
}

static void a_transactions_keys_are_gone_with_the_next(void **state)
{
    uint8_t one[12], two[12], three[12], digest[32] = {9}, mac[16];
    (void)state;
    if (lacks(f.caps.dukpt, no_dukpt))
        return;
    assert_int_equal(dp_hsm_dukpt_load(f.hsm, ik, ik_id), DP_OK);
    assert_int_equal(dp_hsm_dukpt_next(f.hsm, one), DP_OK);
    assert_int_equal(dp_hsm_dukpt_next(f.hsm, two), DP_OK);
    assert_memory_not_equal(one, two, 12);
    assert_int_equal(dp_hsm_dukpt_mac(f.hsm, one, false, digest, mac), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_hsm_dukpt_mac(f.hsm, one, true, digest, mac), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_hsm_dukpt_mac(f.hsm, two, true, digest, mac), DP_OK);
    fixture_reopen(&f);
    assert_int_equal(dp_hsm_dukpt_mac(f.hsm, two, false, digest, mac), DP_ERR_NOT_FOUND);
    assert_int_equal(dp_hsm_dukpt_next(f.hsm, three), DP_OK);
    assert_memory_equal(three + 8, "\0\0\0\3", 4); /* no number twice, over a restart too */
}

static void an_initial_key_is_loaded_once(void **state)
{
    uint8_t ksn[12], id[8];
    (void)state;
    if (lacks(f.caps.dukpt, no_dukpt))
        return;
    assert_int_equal(dp_hsm_dukpt_load(f.hsm, ik, ik_id), DP_OK);
    assert_int_equal(dp_hsm_dukpt_next(f.hsm, ksn), DP_OK);
    assert_int_equal(dp_hsm_dukpt_load(f.hsm, ik, ik_id), DP_ERR_ROLLBACK);
    assert_int_equal(dp_hsm_dukpt_next(f.hsm, ksn), DP_OK);
    assert_memory_equal(ksn + 8, "\0\0\0\2", 4);
    memcpy(id, ik_id, 8);
    id[7]++;
    assert_int_equal(dp_hsm_dukpt_load(f.hsm, ik, id), DP_OK);
    assert_int_equal(dp_hsm_dukpt_next(f.hsm, ksn), DP_OK);
    assert_memory_equal(ksn, id, 8);
    assert_memory_equal(ksn + 8, "\0\0\0\1", 4);
}

/* ---- opening ---- */

static void refuses_every_change(struct dp_hsm *hsm)
{
    uint8_t b[65] = {4}, out[64];
    uint32_t number = 0;
    size_t n = 0;
    assert_int_equal(dp_hsm_sign(hsm, DP_KEY_JOURNAL_IDENTITY, b, out), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_ecdh(hsm, DP_KEY_CARD_DATA, b, out), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_epoch_new(hsm, &number), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_epoch_destroy(hsm), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_tls_next(hsm), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_tls_take(hsm), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_anchor_extend(hsm, b, out), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_counter_raise(hsm, DP_COUNTER_PARAMS, 9), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_wrap(hsm, 1, aad, clear, out, sizeof out, &n), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_unwrap(hsm, 1, aad, (struct dp_bytes){b, 40}, out, sizeof out, &n),
                     DP_ERR_DENIED);
    assert_int_equal(dp_hsm_wrap_rotate(hsm, &number), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_wrap_destroy(hsm, 1), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_dukpt_load(hsm, b, b), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_dukpt_next(hsm, out), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_dukpt_mac(hsm, out, false, b, out), DP_ERR_DENIED);
    assert_int_equal(dp_hsm_dukpt_check(hsm), DP_ERR_DENIED);
}

/* The first handle goes on while it is held and when it is gone. */
static void a_verifier_reads_beside_it_and_changes_nothing(void **state)
{
    struct dp_hsm *look = NULL;
    uint8_t ours[65], theirs[65], digest[32] = {5}, signature[64];
    uint64_t value = 0;
    (void)state;
    if (f.caps.anchor)
        assert_int_equal(dp_hsm_anchor_extend(f.hsm, digest, ours), DP_OK);
    if (!f.shared) { /* one at a time: said at once, not waited for */
        assert_int_equal(dp_hsm_open_readonly(f.uri, &look), DP_ERR_BUSY);
        assert_null(look);
        dp_hsm_free(&f.hsm);
    }
    assert_int_equal(dp_hsm_open_readonly(f.uri, &look), DP_OK);
    if (f.caps.anchor) {
        assert_int_equal(dp_hsm_anchor_read(look, theirs), DP_OK);
        assert_memory_equal(theirs, ours, 32);
    }
    refuses_every_change(look);
    assert_int_equal(dp_hsm_public(look, DP_KEY_JOURNAL_IDENTITY, theirs), DP_OK);
    if (!f.shared) {
        dp_hsm_free(&look);
        assert_int_equal(dp_hsm_open(f.uri, &f.hsm), DP_OK);
    }
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_JOURNAL_IDENTITY, ours), DP_OK);
    assert_memory_equal(ours, theirs, 65);
    if (f.caps.counter) {
        assert_int_equal(dp_hsm_counter_read(f.hsm, DP_COUNTER_PARAMS, &value), DP_OK);
        assert_int_equal(value, 0);
    }
    dp_hsm_free(&look);
    assert_int_equal(dp_hsm_sign(f.hsm, DP_KEY_JOURNAL_IDENTITY, digest, signature), DP_OK);
}

static void a_token_is_never_provisioned_twice(void **state)
{
    uint8_t before[65], after[65];
    (void)state;
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_JOURNAL_IDENTITY, before), DP_OK);
    dp_hsm_free(&f.hsm);
    assert_int_equal(dp_hsm_provision(f.uri), DP_ERR_STATE);
    assert_int_equal(dp_hsm_open(f.uri, &f.hsm), DP_OK);
    assert_int_equal(dp_hsm_public(f.hsm, DP_KEY_JOURNAL_IDENTITY, after), DP_OK);
    assert_memory_equal(before, after, 65);
}

static void one_handle_at_a_time(void **state)
{
    struct dp_hsm *second;
    (void)state;
    assert_int_equal(dp_hsm_open(f.uri, &second), DP_ERR_BUSY);
    assert_null(second);
    assert_int_equal(dp_hsm_provision(f.uri), DP_ERR_BUSY);
    fixture_reopen(&f);
}

static void what_is_not_there_is_not_found(void **state)
{
    struct dp_hsm *hsm;
    (void)state;
    dp_hsm_free(&f.hsm);
    assert_int_equal(dp_hsm_open(f.nowhere, &hsm), DP_ERR_NOT_FOUND);
    assert_null(hsm);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_what_it_can_do, fresh, gone),
        cmocka_unit_test_setup_teardown(each_key_signs_under_its_own_public_point, fresh, gone),
        cmocka_unit_test_setup_teardown(keys_outlive_the_handle, fresh, gone),
        cmocka_unit_test_setup_teardown(one_key_has_one_purpose, fresh, gone),
        cmocka_unit_test_setup_teardown(shares_a_point_with_a_sender, fresh, gone),
        cmocka_unit_test_setup_teardown(a_tls_key_serves_until_its_successor_is_taken_into_use,
                                        fresh, gone),
        cmocka_unit_test_setup_teardown(epochs_count_up_and_the_last_one_dies, fresh, gone),
        cmocka_unit_test_setup_teardown(anchor_is_a_hash_chain_that_lasts, fresh, gone),
        cmocka_unit_test_setup_teardown(the_token_vouches_for_its_anchor, fresh, gone),
        cmocka_unit_test_setup_teardown(counters_only_rise, fresh, gone),
        cmocka_unit_test_setup_teardown(wraps_and_unwraps_and_knows_damage, fresh, gone),
        cmocka_unit_test_setup_teardown(wrapping_keeps_to_the_room_given, fresh, gone),
        cmocka_unit_test_setup_teardown(a_destroyed_generation_opens_nothing, fresh, gone),
        cmocka_unit_test_setup_teardown(first_transaction_macs_with_the_published_key, fresh, gone),
        cmocka_unit_test_setup_teardown(a_known_answer_comes_and_nothing_loaded_moves, fresh, gone),
        cmocka_unit_test_setup_teardown(a_transactions_keys_are_gone_with_the_next, fresh, gone),
        cmocka_unit_test_setup_teardown(an_initial_key_is_loaded_once, fresh, gone),
        cmocka_unit_test_setup_teardown(a_token_is_never_provisioned_twice, fresh, gone),
        cmocka_unit_test_setup_teardown(one_handle_at_a_time, fresh, gone),
        cmocka_unit_test_setup_teardown(a_verifier_reads_beside_it_and_changes_nothing, fresh,
                                        gone),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_not_found, fresh, gone),
    };
    if (argc != 2)
        return 2;
    kind = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
