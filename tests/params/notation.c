/* SPDX-License-Identifier: Apache-2.0 */
#include "notation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/cbor.h>
#include <doorpay/cose.h>
#include <psa/crypto.h>

#include "base/hex.h"
#include "base/limits.h"
#include "base/writer.h"
#include "dp_config.h"

#if DP_PROFILE_DEVICE
#define PROFILE "'production'"
#else
#define PROFILE "'test'"
#endif

/* The P-256 base point stands for the acquirer's sealing key. */
#define POINT                                                                                      \
    "h'046B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296"                         \
    "4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5'"
#define MODULUS                                                                                    \
    "h'C000000000000000000000000000000000000000000000000000000000000000"                           \
    "0000000000000000000000000000000000000000000000000000000000000001'"
#define H16(b) "h'" b b b b b b b b b b b b b b b b "'"

const char notation_set[] =
    "{ 1 version: 7 2 profile: " PROFILE " 3 valid_from: 1767225600 4 valid_to: 2082758400\n"
    "5 terminal: { 1 tid: 'DP000001' 2 mid: 'MERCHANT0000001' 3 mcc: '4215'\n"
    " 4 merchant_name: 'Poste \xC3\xA9' 5 country: 56 6 currency: 978 7 exponent: 2 8 type: 34\n"
    " 9 capabilities: h'2028C8' 10 additional_capabilities: h'6000F0F001' 11 utc_offset_min: -60\n"
    " 12 cut_off_min: 1320 13 acquirer_id: '999999' }\n"
    "6 aids: [\n"
    " { 1 aid: h'A0000009990101' 2 kernel: 0 3 partial: true 4 aid_version: h'0001'\n"
    "  5 tac_denial: h'0010000000' 6 tac_online: h'FC50BC9800' 7 tac_default: h'FC50AC8000'\n"
    "  8 floor_limit: 5000 9 random_threshold: 2000 10 random_target: 10 11 random_max: 20\n"
    "  12 ddol: h'9F3704' 13 tdol: h'' 14 ttq: h'33004000' 15 cl_transaction_limit: 50000\n"
    "  16 cl_cvm_limit: 5001 17 cl_floor_limit: 1 18 brand: 'DOORPAY' }\n"
    " { 1 h'A0000009990101' 2 3 3 false 4 h'0001' 5 h'0000000000' 6 h'0000000000' 7 h'0000000000'\n"
    "  8 0 9 0 10 0 11 0 12 h'' 13 h'9505' 14 h'33004000' 15 1 16 2 17 3 18 'DOORPAY 3' } ]\n"
    "7 ca_keys: [\n"
    " { 1 rid: h'A000000999' 2 index: 1 3 modulus: " MODULUS " 4 ca_exponent: 3\n"
    "  5 expiry: 20491231 6 sha1: h'5C79697962AE92320752187A34B71B8C1A3FB304' }\n"
    " { 1 h'A000000999' 2 2 3 " MODULUS " 4 65537 5 20480229 } ]\n"
    "8 offline: { 1 payment_max: 5000 2 round_amount_max: 50000 3 round_count_max: 40\n"
    " 4 card_amount_max: 10000 5 card_count_max: 3 6 since_sync_max_s: 86400 7 kernel3_max: 0\n"
    " 8 oda_failure: 1 }\n"
    "9 deferred: { 1 allowed: true 2 deferred_payment_max: 3000 3 deferred_round_amount_max: "
    "20000\n"
    " 4 deferred_round_count_max: 10 5 expiry_s: 86401 }\n"
    "10 bins: [ [ low: '999901' high: '999907' [ h'A0000009990101' ] ]\n"
    " [ '99990850' '99990899' [ h'A000000999' h'A0000008880202' ] ] ]\n"
    "11 exceptions: { 1 key: " H16("4B4C") " 2 list: [ " H16("01") " " H16(
        "02") " ] }\n"
              "12 acquirer: { 1 acquirer_profile: 'iso93-pos' 2 message: 2 3 card_data: 1 4 "
              "sealing_key: " POINT "\n"
              " 5 mac_len: 8 6 online_timeout_ms: 5000 7 retry_first_ms: 1000 8 retry_max_ms: "
              "30000\n"
              " 9 repeat_max: 5 10 server_name: 'acquirer.test' 11 server_pin: " H16(
                  "0A0B") " }\n"
                          "13 manifest: { 1 id: 'ROUND7' 2 parcels: [ parcel: '6A1' '6A2' ] }\n"
                          "14 agents: [ agent: 'a17' ] 15 cohort: 'canary' 16 refunds: true }";

const char *notation_with(const char *old, const char *new)
{
    static char text[2 * sizeof notation_set];
    const char *found = strstr(notation_set, old);
    size_t head;
    if (found == NULL)
        fail_msg("the set does not hold: %s", old);
    head = (size_t)(found - notation_set);
    assert_true(head + strlen(new) + strlen(found + strlen(old)) < sizeof text);
    memcpy(text, notation_set, head);
    text[head] = '\0';
    strcat(text, new);
    strcat(text, found + strlen(old));
    return text;
}

/* ---- packing ---- */

/* The next word; quotes hold blanks together. NULL at the end. */
static const char *word(const char **at, size_t *n)
{
    const char *start;
    const char *quote;
    *at += strspn(*at, " \n");
    start = *at;
    if (*start == '\0')
        return NULL;
    *n = strcspn(start, " \n");
    quote = memchr(start, '\'', *n);
    if (quote != NULL)
        *n = (size_t)(strchr(quote + 1, '\'') + 1 - start);
    *at += *n;
    return start;
}

static int is_label(const char *w, size_t n)
{
    return w[n - 1] == ':';
}

/* How many items stand before the bracket that closes this level. */
static size_t count(const char *at)
{
    size_t items = 0, n;
    int depth = 0;
    for (const char *w = word(&at, &n); w != NULL; w = word(&at, &n)) {
        if (is_label(w, n))
            continue;
        if (*w == '}' || *w == ']') {
            if (depth-- == 0)
                return items;
            continue;
        }
        if (depth == 0)
            items++;
        if (*w == '{' || *w == '[')
            depth++;
    }
    fail_msg("a bracket is not closed");
    return 0;
}

static void pack_word(struct dp_writer *w, const char *at, size_t n, const char *rest)
{
    uint8_t bytes[512];
    size_t bytes_n = 0;
    if (*at == '{') {
        dp_cbor_write_map(w, count(rest) / 2);
    } else if (*at == '[') {
        dp_cbor_write_array(w, count(rest));
    } else if (*at == '\'') {
        dp_cbor_write_text(w, at + 1, n - 2);
    } else if (*at == 'h') {
        assert_int_equal(dp_hex_decode(at + 2, n - 3, bytes, sizeof bytes, &bytes_n), 0);
        dp_cbor_write_bytes(w, bytes, bytes_n);
    } else if (*at == 't' || *at == 'f') {
        dp_cbor_write_bool(w, *at == 't');
    } else if (*at == '-') {
        dp_cbor_write_int(w, strtoll(at, NULL, 10));
    } else {
        dp_cbor_write_uint(w, strtoull(at, NULL, 10));
    }
}

size_t notation_pack(const char *text, uint8_t *out, size_t max)
{
    struct dp_writer w;
    size_t n;
    dp_writer_init(&w, out, max);
    for (const char *at = word(&text, &n); at != NULL; at = word(&text, &n))
        if (!is_label(at, n) && *at != '}' && *at != ']')
            pack_word(&w, at, n, text);
    assert_int_equal(w.err, 0);
    return w.n;
}

/* ---- signing ---- */

static psa_key_id_t key;

const uint8_t *notation_back_office(void)
{
    static uint8_t point[65];
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    size_t n = 0;
    if (key != 0)
        return point;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&a, 256);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_SIGN_HASH);
    psa_set_key_algorithm(&a, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    assert_int_equal(psa_generate_key(&a, &key), PSA_SUCCESS);
    assert_int_equal(psa_export_public_key(key, point, sizeof point, &n), PSA_SUCCESS);
    return point;
}

static int sign(void *ctx, const uint8_t digest[32], uint8_t signature[64])
{
    size_t n = 0;
    (void)ctx;
    return psa_sign_hash(key, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, 32, signature, 64, &n) ==
                   PSA_SUCCESS
               ? DP_OK
               : DP_ERR_CRYPTO;
}

size_t notation_sign(const char *text, uint8_t *out, size_t max)
{
    static const struct dp_bytes aad = {(const uint8_t *)"doorpay parameters 1", 20};
    static uint8_t payload[2 * DP_PARAMS_SET_MAX];
    uint8_t kid[8];
    struct dp_bytes p = {payload, notation_pack(text, payload, sizeof payload)};
    size_t n = 0;
    assert_int_equal(dp_cose_key_id(notation_back_office(), kid), DP_OK);
    assert_int_equal(dp_cose_sign1(sign, NULL, kid, aad, p, out, max, &n), DP_OK);
    return n;
}
