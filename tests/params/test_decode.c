/* SPDX-License-Identifier: Apache-2.0 */
/* A signed set as a whole: what is read, and that nothing but the signed bytes is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/cose.h>
#include <doorpay/params.h>
#include <psa/crypto.h>

#include "base/limits.h"
#include "dp_config.h"
#include "notation.h"

static uint8_t set[4096];
static size_t set_n;
static char error[160];

static int pack(void **state)
{
    (void)state;
    set_n = notation_sign(notation_set, set, sizeof set);
    return 0;
}

static struct dp_params *decoded(void)
{
    struct dp_params *p = NULL;
    int err = dp_params_decode(set, set_n, notation_back_office(), &p, error, sizeof error);
    if (err != DP_OK)
        fail_msg("%s", error);
    assert_string_equal(error, "");
    return p;
}

static int decode(const uint8_t *p, size_t n)
{
    struct dp_params *params = (struct dp_params *)&params;
    int err = dp_params_decode(p, n, notation_back_office(), &params, error, sizeof error);
    assert_int_equal(err == DP_OK, params != NULL);
    assert_int_equal(err == DP_OK, error[0] == '\0');
    dp_params_free(&params);
    return err;
}

static void reads_the_set_and_its_terminal(void **state)
{
    struct dp_params *p = decoded();
    const struct dp_params_terminal *t = &p->terminal;
    uint8_t digest[32];
    size_t n = 0;
    (void)state;
    assert_int_equal(psa_hash_compute(PSA_ALG_SHA_256, set, set_n, digest, 32, &n), PSA_SUCCESS);
    assert_memory_equal(p->digest, digest, 32);
    assert_int_equal(p->version, 7);
    assert_int_equal(p->test_profile, !DP_PROFILE_DEVICE);
    assert_int_equal(p->valid_from, 1767225600);
    assert_int_equal(p->valid_to, 2082758400);
    assert_string_equal(t->tid, "DP000001");
    assert_string_equal(t->mid, "MERCHANT0000001");
    assert_string_equal(t->mcc, "4215");
    assert_string_equal(t->merchant_name, "Poste \xC3\xA9");
    assert_string_equal(t->acquirer_id, "999999");
    assert_int_equal(t->country, 56);
    assert_int_equal(t->currency, 978);
    assert_int_equal(t->exponent, 2);
    assert_int_equal(t->type, 0x22);
    assert_memory_equal(t->capabilities, "\x20\x28\xC8", 3);
    assert_memory_equal(t->additional_capabilities, "\x60\x00\xF0\xF0\x01", 5);
    assert_int_equal(t->utc_offset_min, -60);
    assert_int_equal(t->cut_off_min, 1320);
    assert_true(p->refunds);
    assert_string_equal(p->manifest_id, "ROUND7");
    assert_string_equal(p->cohort, "canary");
    assert_memory_equal(p->exception_key, "KLKLKLKLKLKLKLKLKLKLKLKLKLKLKLKL", 32);
    dp_params_free(&p);
    assert_null(p);
}

static void reads_the_applications(void **state)
{
    struct dp_params *p = decoded();
    const struct dp_params_aid *a = p->aids;
    (void)state;
    assert_int_equal(p->aids_n, 2);
    assert_int_equal(a->aid_n, 7);
    assert_memory_equal(a->aid, "\xA0\x00\x00\x09\x99\x01\x01", 7);
    assert_int_equal(a->kernel, 0);
    assert_true(a->partial);
    assert_memory_equal(a->version, "\x00\x01", 2);
    assert_memory_equal(a->tac_denial, "\x00\x10\x00\x00\x00", 5);
    assert_memory_equal(a->tac_online, "\xFC\x50\xBC\x98\x00", 5);
    assert_memory_equal(a->tac_default, "\xFC\x50\xAC\x80\x00", 5);
    assert_int_equal(a->floor_limit, 5000);
    assert_int_equal(a->random_threshold, 2000);
    assert_int_equal(a->random_target, 10);
    assert_int_equal(a->random_max, 20);
    assert_int_equal(a->ddol_n, 3);
    assert_memory_equal(a->ddol, "\x9F\x37\x04", 3);
    assert_int_equal(a->tdol_n, 0);
    assert_memory_equal(a->ttq, "\x33\x00\x40\x00", 4);
    assert_int_equal(a->cl_transaction_limit, 50000);
    assert_int_equal(a->cl_cvm_limit, 5001);
    assert_int_equal(a->cl_floor_limit, 1);
    assert_string_equal(a->brand, "DOORPAY");
    assert_int_equal(a[1].kernel, 3);
    assert_false(a[1].partial);
    assert_int_equal(a[1].ddol_n, 0);
    assert_int_equal(a[1].tdol_n, 2);
    assert_string_equal(a[1].brand, "DOORPAY 3");
    dp_params_free(&p);
}

static void reads_keys_limits_and_acquirer(void **state)
{
    struct dp_params *p = decoded();
    const struct dp_params_acquirer *q = &p->acquirer;
    (void)state;
    assert_int_equal(p->ca_keys_n, 2);
    assert_memory_equal(p->ca_keys[0].rid, "\xA0\x00\x00\x09\x99", 5);
    assert_int_equal(p->ca_keys[0].index, 1);
    assert_int_equal(p->ca_keys[0].modulus_n, 64);
    assert_int_equal(p->ca_keys[0].modulus[0], 0xC0);
    assert_int_equal(p->ca_keys[0].exponent, 3);
    assert_int_equal(p->ca_keys[0].expiry, 20491231);
    assert_int_equal(p->ca_keys[1].exponent, 65537);
    assert_int_equal(p->offline.payment_max, 5000);
    assert_int_equal(p->offline.round_amount_max, 50000);
    assert_int_equal(p->offline.round_count_max, 40);
    assert_int_equal(p->offline.card_amount_max, 10000);
    assert_int_equal(p->offline.card_count_max, 3);
    assert_int_equal(p->offline.since_sync_max_s, 86400);
    assert_int_equal(p->offline.kernel3_max, 0);
    assert_true(p->offline.oda_failure_declines);
    assert_true(p->deferred.allowed);
    assert_int_equal(p->deferred.payment_max, 3000);
    assert_int_equal(p->deferred.round_amount_max, 20000);
    assert_int_equal(p->deferred.round_count_max, 10);
    assert_int_equal(p->deferred.expiry_s, 86401);
    assert_string_equal(q->profile, "iso93-pos");
    assert_int_equal(q->message, DP_MESSAGE_DUAL);
    assert_int_equal(q->card_data, DP_CARD_DATA_SEALED);
    assert_true(q->has_sealing_key);
    assert_int_equal(q->sealing_key[1], 0x6B);
    assert_int_equal(q->mac_len, 8);
    assert_int_equal(q->online_timeout_ms, 5000);
    assert_int_equal(q->retry_first_ms, 1000);
    assert_int_equal(q->retry_max_ms, 30000);
    assert_int_equal(q->repeat_max, 5);
    assert_string_equal(q->server_name, "acquirer.test");
    assert_true(q->has_server_pin);
    assert_int_equal(q->server_pin[31], 0x0B);
    dp_params_free(&p);
}

static int decode_text(const char *text)
{
    static uint8_t other[2 * DP_PARAMS_SET_MAX + 256];
    return decode(other, notation_sign(text, other, sizeof other));
}

static void optional_parts_may_be_absent(void **state)
{
    (void)state;
    assert_int_equal(decode_text(notation_with(
                         "13 manifest: { 1 id: 'ROUND7' 2 parcels: [ parcel: '6A1' '6A2' ] }\n"
                         "14 agents: [ agent: 'a17' ] 15 cohort: 'canary' ",
                         "")),
                     DP_OK);
    assert_int_equal(decode_text(notation_with("15 cohort: 'canary' ", "")), DP_OK);
    assert_int_equal(decode_text(notation_with("14 agents: [ agent: 'a17' ] ", "")), DP_OK);
    assert_int_equal(
        decode_text(notation_with(" 6 sha1: h'5C79697962AE92320752187A34B71B8C1A3FB304'", "")),
        DP_OK);
}

/* ---- trust ---- */

static void every_changed_byte_is_refused(void **state)
{
    (void)state;
    assert_int_equal(decode(set, set_n), DP_OK);
    for (size_t i = 0; i < set_n; i++) {
        set[i] ^= 0x01;
        if (decode(set, set_n) == DP_OK)
            fail_msg("byte %zu changed and accepted", i);
        set[i] ^= 0x01;
    }
    assert_int_equal(decode(set, set_n), DP_OK);
}

static void every_cut_and_every_addition_is_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < set_n; n++)
        assert_int_equal(decode(set, n), DP_ERR_SIGNATURE);
    set[set_n] = 0;
    assert_int_equal(decode(set, set_n + 1), DP_ERR_SIGNATURE);
}

static void a_bare_payload_is_refused(void **state)
{
    uint8_t bare[4096];
    size_t n = notation_pack(notation_set, bare, sizeof bare);
    (void)state;
    assert_int_equal(decode(bare, n), DP_ERR_SIGNATURE);
    assert_string_equal(error, "signature: this is no signed set (COSE_Sign1, tag 18)");
}

static void another_keys_set_is_refused(void **state)
{
    uint8_t other[65], kid[8];
    struct dp_params *p;
    (void)state;
    memcpy(other, notation_back_office(), 65);
    other[64] ^= 1;
    assert_int_equal(dp_params_decode(set, set_n, other, &p, error, sizeof error),
                     DP_ERR_SIGNATURE);
    assert_string_equal(error, "signature: by another key than the back office's");
    /* its key id alone helps nobody */
    assert_int_equal(dp_cose_key_id(other, kid), DP_OK);
    memcpy(set + 9, kid, 8); /* D2 84 43 A1 01 26 A1 04 48 KID */
    assert_int_equal(set[8], 0x48);
    assert_int_equal(dp_params_decode(set, set_n, other, &p, error, sizeof error),
                     DP_ERR_SIGNATURE);
    assert_null(p);
}

static void a_signature_for_another_use_is_refused(void **state)
{
    uint8_t digest[32], signature[64] = {0};
    struct dp_cose_sign1_view v;
    (void)state;
    assert_int_equal(dp_cose_sign1_parse(set, set_n, &v), DP_OK);
    assert_int_equal(dp_cose_digest((struct dp_bytes){(const uint8_t *)"doorpay checkpoint 1", 20},
                                    v.payload, digest),
                     DP_OK);
    memcpy(signature, v.signature.p, 64);
    assert_int_equal(dp_cose_verify_digest(notation_back_office(), digest, signature),
                     DP_ERR_SIGNATURE);
}

static void the_sentence_keeps_to_its_room(void **state)
{
    struct dp_params *p;
    char small[12];
    (void)state;
    memset(small, 'x', sizeof small);
    assert_int_equal(dp_params_decode(set, 3, notation_back_office(), &p, small, 10),
                     DP_ERR_SIGNATURE);
    assert_string_equal(small, "signature");
    assert_int_equal(small[10], 'x');
    assert_int_equal(dp_params_decode(set, 3, notation_back_office(), &p, NULL, 0),
                     DP_ERR_SIGNATURE);
}

static void a_set_too_large_is_refused_before_it_is_read(void **state)
{
    uint8_t *large = calloc(1, DP_PARAMS_SET_MAX + 1);
    (void)state;
    assert_non_null(large);
    assert_int_equal(decode(large, DP_PARAMS_SET_MAX + 1), DP_ERR_LIMIT);
    assert_int_equal(decode(large, DP_PARAMS_SET_MAX), DP_ERR_SIGNATURE);
    free(large);
}

static void a_build_refuses_the_other_profile(void **state)
{
    const char *ours = DP_PROFILE_DEVICE ? "'production'" : "'test'";
    const char *theirs = DP_PROFILE_DEVICE ? "'test'" : "'production'";
    (void)state;
    assert_int_equal(decode_text(notation_with(ours, theirs)), DP_ERR_UNSUPPORTED);
    assert_non_null(strstr(error, "is refused by this build"));
    assert_int_equal(decode_text(notation_with(ours, "'demonstration'")), DP_ERR_RANGE);
    assert_int_equal(decode_text(notation_with(ours, "'Test'")), DP_ERR_RANGE);
}

/* The set with what stands behind its last element. */
static int with_revoked(const char *list, struct dp_params **out)
{
    static char text[16384];
    static uint8_t bytes[16384];
    const char *end = strrchr(notation_set, '}');
    size_t n;
    (void)snprintf(text, sizeof text, "%.*s 17 revoked: %s }", (int)(end - notation_set),
                   notation_set, list);
    n = notation_sign(text, bytes, sizeof bytes);
    return dp_params_decode(bytes, n, notation_back_office(), out, error, sizeof error);
}

static void reads_revoked_certificates(void **state)
{
    struct dp_params *p = decoded();
    (void)state;
    assert_int_equal(p->revoked_n, 0);
    dp_params_free(&p);
    assert_int_equal(
        with_revoked("[ { 1 rid: h'A000000999' 2 index: 1 3 serial: h'00A001' } ]", &p), DP_OK);
    assert_int_equal(p->revoked_n, 1);
    assert_memory_equal(p->revoked[0].rid, "\xA0\x00\x00\x09\x99", 5);
    assert_int_equal(p->revoked[0].index, 1);
    assert_memory_equal(p->revoked[0].serial, "\x00\xA0\x01", 3);
    dp_params_free(&p);
    assert_int_equal(with_revoked("[ { 1 rid: h'A000000999' 2 index: 1 3 serial: h'0001' } ]", &p),
                     DP_ERR_RANGE);
    assert_non_null(strstr(error, "revoked[0].serial"));
}

static void reads_the_collector(void **state)
{
    static const char *const wrong[][2] = {
        {"{ 1 key: h'04' 2 archive: true }", "collector.key: 1 bytes, not 65"},
        {"{ 2 archive: true }", "collector.key: missing"},
        {"{ 1 key: %s }", "collector.archive: missing"},
        {"{ 1 key: %s 2 archive: 1 }", "collector.archive: not false or true"},
        {"{ 1 key: %s 2 archive: true 3 3 }", "collector: key 3 is not known"},
    };
    const char *at = strstr(notation_set, "sealing_key: ") + 13;
    char key[200], map[400];
    struct dp_params *p = decoded();
    (void)state;
    assert_false(p->has_collector);
    dp_params_free(&p);
    (void)snprintf(key, sizeof key, "%.*s", (int)(strchr(at + 2, '\'') + 1 - at), at);
    (void)snprintf(map, sizeof map, "[ ] 19 collector: { 1 key: %s 2 archive: true }", key);
    assert_int_equal(with_revoked(map, &p), DP_OK);
    assert_true(p->has_collector && p->collector.archive);
    assert_memory_equal(p->collector.key, "\x04\x6B\x17\xD1", 4);
    dp_params_free(&p);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char one[300];
        char *percent;
        (void)snprintf(one, sizeof one, "%s", wrong[i][0]);
        percent = strstr(one, "%s");
        if (percent != NULL)
            (void)snprintf(map, sizeof map, "[ ] 19 collector: %.*s%s%s", (int)(percent - one), one,
                           key, percent + 2);
        else
            (void)snprintf(map, sizeof map, "[ ] 19 collector: %s", one);
        assert_true(with_revoked(map, &p) < 0);
        assert_string_equal(error, wrong[i][1]);
    }
    key[4] = '5'; /* h'05...: no point */
    (void)snprintf(map, sizeof map, "[ ] 19 collector: { 1 key: %s 2 archive: true }", key);
    assert_int_equal(with_revoked(map, &p), DP_ERR_RANGE);
    assert_string_equal(error, "collector.key: no point of P-256");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(reads_the_set_and_its_terminal, pack),
        cmocka_unit_test_setup(reads_the_applications, pack),
        cmocka_unit_test_setup(reads_keys_limits_and_acquirer, pack),
        cmocka_unit_test_setup(optional_parts_may_be_absent, pack),
        cmocka_unit_test_setup(every_changed_byte_is_refused, pack),
        cmocka_unit_test_setup(every_cut_and_every_addition_is_refused, pack),
        cmocka_unit_test_setup(a_bare_payload_is_refused, pack),
        cmocka_unit_test_setup(another_keys_set_is_refused, pack),
        cmocka_unit_test_setup(a_signature_for_another_use_is_refused, pack),
        cmocka_unit_test_setup(the_sentence_keeps_to_its_room, pack),
        cmocka_unit_test_setup(a_set_too_large_is_refused_before_it_is_read, pack),
        cmocka_unit_test_setup(a_build_refuses_the_other_profile, pack),
        cmocka_unit_test(reads_revoked_certificates),
        cmocka_unit_test(reads_the_collector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
