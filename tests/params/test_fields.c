/* SPDX-License-Identifier: Apache-2.0 */
/* Every field out of its range, of another type and missing: refused, and named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <doorpay/params.h>

#include "base/limits.h"
#include "notation.h"

static char error[160];

static int decode(const char *text)
{
    static uint8_t set[2 * DP_PARAMS_SET_MAX];
    struct dp_params *p;
    size_t n = notation_sign(text, set, sizeof set);
    int err = dp_params_decode(set, n, notation_back_office(), &p, error, sizeof error);
    dp_params_free(&p);
    return err;
}

static void expect(const char *old, const char *new, int want, const char *sentence)
{
    int err = decode(notation_with(old, new));
    if (err != want || strcmp(error, sentence) != 0)
        fail_msg("%s -> %s: %d \"%s\", not %d \"%s\"", old, new, err, error, want, sentence);
}

#define X36  "123456789012345678901234567890123456"
#define X17  "12345678901234567"
#define X41  "12345678901234567890123456789012345678901"
#define X65B "000000000000000000000000000000000000000000000000000000000000000000" X64B
#define X64B "0000000000000000000000000000000000000000000000000000000000000000"

static const struct {
    const char *old, *new;
    int err;
    const char *sentence;
} ranges[] = {
    {"version: 7", "0", DP_ERR_RANGE, "version: 0 is not within 1 to 9223372036854775807"},
    {"version: 7", "9223372036854775808", DP_ERR_RANGE,
     "version: 9223372036854775808 is not within 1 to 9223372036854775807"},
    {"valid_from: 1767225600", "253402300800", DP_ERR_RANGE,
     "valid_from: 253402300800 is not within 0 to 253402300799"},
    {"valid_to: 2082758400", "253402300800", DP_ERR_RANGE,
     "valid_to: 253402300800 is not within 0 to 253402300799"},
    {"valid_to: 2082758400", "1767225600", DP_ERR_RANGE, "valid_to: not after valid_from"},
    {"tid: 'DP000001'", "'DP00001'", DP_ERR_RANGE, "terminal.tid: 7 characters, not 8"},
    {"tid: 'DP000001'", "'DP0000011'", DP_ERR_RANGE, "terminal.tid: 9 characters, not 8"},
    {"tid: 'DP000001'", "'DP00000\xC3\xA9'", DP_ERR_RANGE, "terminal.tid: 9 characters, not 8"},
    {"tid: 'DP000001'", "'DP0000\xC3\xA9'", DP_ERR_RANGE,
     "terminal.tid: a character that may not stand there (0xC3)"},
    {"mid: 'MERCHANT0000001'", "''", DP_ERR_RANGE, "terminal.mid: 0 characters, not 1 to 15"},
    {"mid: 'MERCHANT0000001'", "'MERCHANT00000012'", DP_ERR_RANGE,
     "terminal.mid: 16 characters, not 1 to 15"},
    {"mcc: '4215'", "'421'", DP_ERR_RANGE, "terminal.mcc: 3 characters, not 4"},
    {"mcc: '4215'", "'421A'", DP_ERR_RANGE,
     "terminal.mcc: a character that may not stand there (0x41)"},
    {"merchant_name: 'Poste \xC3\xA9'", "'" X41 "'", DP_ERR_RANGE,
     "terminal.merchant_name: 41 characters, not 1 to 40"},
    {"merchant_name: 'Poste \xC3\xA9'", "'Poste\x1B[2J'", DP_ERR_RANGE,
     "terminal.merchant_name: a character that may not stand there (0x1B)"},
    {"country: 56", "1000", DP_ERR_RANGE, "terminal.country: 1000 is not within 1 to 999"},
    {"country: 56", "0", DP_ERR_RANGE, "terminal.country: 0 is not within 1 to 999"},
    {"currency: 978", "0", DP_ERR_RANGE, "terminal.currency: 0 is not within 1 to 999"},
    {"currency: 978", "1000", DP_ERR_RANGE, "terminal.currency: 1000 is not within 1 to 999"},
    {"currency: 978", "999", DP_ERR_UNSUPPORTED, "terminal.currency: 999 is not known"},
    {"exponent: 2", "5", DP_ERR_RANGE, "terminal.exponent: 5 is not within 0 to 4"},
    {"exponent: 2", "0", DP_ERR_MISMATCH, "terminal.exponent: 0, but currency 978 has 2"},
    {"type: 34", "16", DP_ERR_RANGE, "terminal.type: 16 is not within 17 to 54"},
    {"type: 34", "55", DP_ERR_RANGE, "terminal.type: 55 is not within 17 to 54"},
    {"type: 34", "23", DP_ERR_RANGE, "terminal.type: 0x17 is no terminal type"},
    {"type: 34", "32", DP_ERR_RANGE, "terminal.type: 0x20 is no terminal type"},
    {"type: 34", "49", DP_ERR_RANGE, "terminal.type: 0x31 is no terminal type"},
    {"capabilities: h'2028C8'", "h'2028'", DP_ERR_RANGE, "terminal.capabilities: 2 bytes, not 3"},
    {"additional_capabilities: h'6000F0F001'", "h'6000F0F00100'", DP_ERR_RANGE,
     "terminal.additional_capabilities: 6 bytes, not 5"},
    {"utc_offset_min: -60", "-721", DP_ERR_RANGE,
     "terminal.utc_offset_min: -721 is not within -720 to 840"},
    {"utc_offset_min: -60", "841", DP_ERR_RANGE,
     "terminal.utc_offset_min: 841 is not within -720 to 840"},
    {"cut_off_min: 1320", "1440", DP_ERR_RANGE,
     "terminal.cut_off_min: 1440 is not within 0 to 1439"},
    {"acquirer_id: '999999'", "'123456789012'", DP_ERR_RANGE,
     "terminal.acquirer_id: 12 characters, not 1 to 11"},
    {"acquirer_id: '999999'", "'99-99'", DP_ERR_RANGE,
     "terminal.acquirer_id: a character that may not stand there (0x2D)"},

    {"aid: h'A0000009990101'", "h'A0000009'", DP_ERR_RANGE, "aids[0].aid: 4 bytes, not 5 to 16"},
    {"aid: h'A0000009990101'", "h'A000000999010100000000000000000000'", DP_ERR_RANGE,
     "aids[0].aid: 17 bytes, not 5 to 16"},
    {"kernel: 0", "1", DP_ERR_RANGE, "aids[0].kernel: 1 is none of 0, 2, 3"},
    {"kernel: 0", "4", DP_ERR_RANGE, "aids[0].kernel: 4 is not within 0 to 3"},
    {"kernel: 0", "3", DP_ERR_DUPLICATE, "aids[1].aid: stands in aids[0] for the same kernel"},
    {"4 aid_version: h'0001'", "4 h'01'", DP_ERR_RANGE, "aids[0].version: 1 bytes, not 2"},
    {"tac_denial: h'0010000000'", "h''", DP_ERR_RANGE, "aids[0].tac_denial: 0 bytes, not 5"},
    {"tac_online: h'FC50BC9800'", "h'FC50BC98'", DP_ERR_RANGE,
     "aids[0].tac_online: 4 bytes, not 5"},
    {"tac_default: h'FC50AC8000'", "h'FC50AC800000'", DP_ERR_RANGE,
     "aids[0].tac_default: 6 bytes, not 5"},
    {"floor_limit: 5000", "1000000000000", DP_ERR_RANGE,
     "aids[0].floor_limit: 1000000000000 is not within 0 to 999999999999"},
    {"random_threshold: 2000", "1000000000000", DP_ERR_RANGE,
     "aids[0].random_threshold: 1000000000000 is not within 0 to 999999999999"},
    {"random_target: 10", "100", DP_ERR_RANGE, "aids[0].random_target: 100 is not within 0 to 99"},
    {"random_target: 10", "21", DP_ERR_RANGE, "aids[0].random_target: 21 is above random_max 20"},
    {"random_max: 20", "100", DP_ERR_RANGE, "aids[0].random_max: 100 is not within 0 to 99"},
    {"ddol: h'9F3704'", "h'" X65B "'", DP_ERR_RANGE, "aids[0].ddol: 65 bytes, not 0 to 64"},
    {"tdol: h''", "h'" X65B "'", DP_ERR_RANGE, "aids[0].tdol: 65 bytes, not 0 to 64"},
    {"ttq: h'33004000'", "h'330040'", DP_ERR_RANGE, "aids[0].ttq: 3 bytes, not 4"},
    {"cl_transaction_limit: 50000", "1000000000000", DP_ERR_RANGE,
     "aids[0].cl_transaction_limit: 1000000000000 is not within 0 to 999999999999"},
    {"cl_cvm_limit: 5001", "1000000000000", DP_ERR_RANGE,
     "aids[0].cl_cvm_limit: 1000000000000 is not within 0 to 999999999999"},
    {"cl_floor_limit: 1", "1000000000000", DP_ERR_RANGE,
     "aids[0].cl_floor_limit: 1000000000000 is not within 0 to 999999999999"},
    {"brand: 'DOORPAY'", "'" X17 "'", DP_ERR_RANGE, "aids[0].brand: 17 characters, not 1 to 16"},

    {"rid: h'A000000999'", "h'A00000099901'", DP_ERR_RANGE, "ca_keys[0].rid: 6 bytes, not 5"},
    {"index: 1", "256", DP_ERR_RANGE, "ca_keys[0].index: 256 is not within 0 to 255"},
    {"index: 1", "2", DP_ERR_MISMATCH, "ca_keys[0].sha1: is not that of this key"},
    {"2 2 3 h'C0", "2 1 3 h'C0", DP_ERR_DUPLICATE,
     "ca_keys[1].index: stands in ca_keys[0] for the same RID"},
    {"modulus: h'C0", "modulus: h'", DP_ERR_RANGE, "ca_keys[0].modulus: 63 bytes, not 64 to 248"},
    {"modulus: h'C0", "modulus: h'00", DP_ERR_RANGE,
     "ca_keys[0].modulus: begins with zeros or is even"},
    {"01' 4 ca_exponent: 3", "02' 4 3", DP_ERR_RANGE,
     "ca_keys[0].modulus: begins with zeros or is even"},
    {"4 ca_exponent: 3", "4 2", DP_ERR_RANGE, "ca_keys[0].exponent: 2 is not within 3 to 65537"},
    {"4 ca_exponent: 3", "4 17", DP_ERR_RANGE, "ca_keys[0].exponent: 17 is neither 3 nor 65537"},
    {"expiry: 20491231", "20491232", DP_ERR_RANGE, "ca_keys[0].expiry: 20491232 is no date"},
    {"expiry: 20491231", "20491301", DP_ERR_RANGE, "ca_keys[0].expiry: 20491301 is no date"},
    {"expiry: 20491231", "20490229", DP_ERR_RANGE, "ca_keys[0].expiry: 20490229 is no date"},
    {"expiry: 20491231", "20490001", DP_ERR_RANGE, "ca_keys[0].expiry: 20490001 is no date"},
    {"expiry: 20491231", "491231", DP_ERR_RANGE,
     "ca_keys[0].expiry: 491231 is not within 19700101 to 99991231"},
    {"h'5C79", "h'79", DP_ERR_RANGE, "ca_keys[0].sha1: 19 bytes, not 20"},
    {"h'5C79", "h'5D79", DP_ERR_MISMATCH, "ca_keys[0].sha1: is not that of this key"},

    {"1 payment_max: 5000", "1 1000000000000", DP_ERR_RANGE,
     "offline.payment_max: 1000000000000 is not within 0 to 999999999999"},
    {"round_amount_max: 50000", "1000000000000", DP_ERR_RANGE,
     "offline.round_amount_max: 1000000000000 is not within 0 to 999999999999"},
    {"round_count_max: 40", "1000001", DP_ERR_RANGE,
     "offline.round_count_max: 1000001 is not within 0 to 1000000"},
    {"card_amount_max: 10000", "1000000000000", DP_ERR_RANGE,
     "offline.card_amount_max: 1000000000000 is not within 0 to 999999999999"},
    {"card_count_max: 3", "1000001", DP_ERR_RANGE,
     "offline.card_count_max: 1000001 is not within 0 to 1000000"},
    {"since_sync_max_s: 86400", "315360001", DP_ERR_RANGE,
     "offline.since_sync_max_s: 315360001 is not within 0 to 315360000"},
    {"kernel3_max: 0", "1000000000000", DP_ERR_RANGE,
     "offline.kernel3_max: 1000000000000 is not within 0 to 999999999999"},
    {"oda_failure: 1", "2", DP_ERR_RANGE, "offline.oda_failure: 2 is neither 0 nor 1"},
    {"deferred_payment_max: 3000", "1000000000000", DP_ERR_RANGE,
     "deferred.payment_max: 1000000000000 is not within 0 to 999999999999"},
    {"deferred_round_amount_max: 20000", "1000000000000", DP_ERR_RANGE,
     "deferred.round_amount_max: 1000000000000 is not within 0 to 999999999999"},
    {"deferred_round_count_max: 10 ", "1000001 ", DP_ERR_RANGE,
     "deferred.round_count_max: 1000001 is not within 0 to 1000000"},
    {"expiry_s: 86401", "315360001", DP_ERR_RANGE,
     "deferred.expiry_s: 315360001 is not within 0 to 315360000"},

    {"low: '999901'", "'99990'", DP_ERR_RANGE, "bins[0].low: 5 characters, not 6 to 8"},
    {"low: '999901'", "'99990A'", DP_ERR_RANGE,
     "bins[0].low: a character that may not stand there (0x41)"},
    {"low: '999901'", "'999908'", DP_ERR_RANGE, "bins[0].high: below low"},
    {"low: '999901'", "'9999010'", DP_ERR_MISMATCH, "bins[0].high: not as long as low"},
    {"high: '999907'", "'999907000'", DP_ERR_RANGE, "bins[0].high: 9 characters, not 6 to 8"},
    {"[ h'A0000009990101' ]", "[ ]", DP_ERR_RANGE, "bins[0].aids: 0 entries, not 1 to 16"},
    {"[ h'A0000009990101' ]", "[ h'A0000009' ]", DP_ERR_RANGE, "bins[0].aid: 4 bytes, not 5 to 16"},

    {"1 key: h'4B4C", "1 h'4B", DP_ERR_RANGE, "exceptions.key: 31 bytes, not 32"},
    {"list: [ h'01", "list: [ h'", DP_ERR_RANGE, "exceptions.list[0].hash: 15 bytes, not 16"},
    {"list: [ h'01", "list: [ h'03", DP_ERR_RANGE, "exceptions.list[1]: not above the one before"},

    {"acquirer_profile: 'iso93-pos'", "'" X17 "'", DP_ERR_RANGE,
     "acquirer.profile: 17 characters, not 1 to 16"},
    {"message: 2", "3", DP_ERR_RANGE, "acquirer.message: 3 is not within 1 to 2"},
    {"message: 2", "0", DP_ERR_RANGE, "acquirer.message: 0 is not within 1 to 2"},
    {"card_data: 1", "0", DP_ERR_RANGE, "acquirer.card_data: 0 is not within 1 to 2"},
    {"card_data: 1", "3", DP_ERR_RANGE, "acquirer.card_data: 3 is not within 1 to 2"},
    {"sealing_key: h'046B", "h'046A", DP_ERR_RANGE, "acquirer.sealing_key: no point of P-256"},
    {"sealing_key: h'046B", "h'6B", DP_ERR_RANGE, "acquirer.sealing_key: 64 bytes, not 65"},
    {"mac_len: 8", "7", DP_ERR_RANGE, "acquirer.mac_len: 7 is not within 8 to 16"},
    {"mac_len: 8", "12", DP_ERR_RANGE, "acquirer.mac_len: 12 is neither 8 nor 16"},
    {"mac_len: 8", "17", DP_ERR_RANGE, "acquirer.mac_len: 17 is not within 8 to 16"},
    {"online_timeout_ms: 5000", "0", DP_ERR_RANGE,
     "acquirer.online_timeout_ms: 0 is not within 1 to 600000"},
    {"online_timeout_ms: 5000", "600001", DP_ERR_RANGE,
     "acquirer.online_timeout_ms: 600001 is not within 1 to 600000"},
    {"retry_first_ms: 1000", "0", DP_ERR_RANGE,
     "acquirer.retry_first_ms: 0 is not within 1 to 86400000"},
    {"retry_first_ms: 1000", "30001", DP_ERR_RANGE,
     "acquirer.retry_max_ms: 30000 is below retry_first_ms 30001"},
    {"retry_max_ms: 30000", "86400001", DP_ERR_RANGE,
     "acquirer.retry_max_ms: 86400001 is not within 1 to 86400000"},
    {"repeat_max: 5", "1000001", DP_ERR_RANGE,
     "acquirer.repeat_max: 1000001 is not within 0 to 1000000"},
    {"server_name: 'acquirer.test'", "''", DP_ERR_RANGE,
     "acquirer.server_name: 0 characters, not 1 to 128"},
    {"server_pin: h'0A0B", "h'0B", DP_ERR_RANGE, "acquirer.server_pin: 31 bytes, not 32"},

    {"id: 'ROUND7'", "'" X36 "'", DP_ERR_RANGE, "manifest.id: 36 characters, not 1 to 35"},
    {"parcel: '6A1'", "'" X36 "'", DP_ERR_RANGE, "manifest.parcels[0]: 36 characters, not 1 to 35"},
    {"parcel: '6A1'", "''", DP_ERR_RANGE, "manifest.parcels[0]: 0 characters, not 1 to 35"},
    {"agent: 'a17'", "'" X36 "'", DP_ERR_RANGE, "agents[0]: 36 characters, not 1 to 35"},
    {"cohort: 'canary'", "'" X17 "'", DP_ERR_RANGE, "cohort: 17 characters, not 1 to 16"},
};

static void each_field_out_of_range_is_named(void **state)
{
    (void)state;
    assert_int_equal(decode(notation_set), DP_OK);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        expect(ranges[i].old, ranges[i].new, ranges[i].err, ranges[i].sentence);
}

static void the_ends_of_ranges_are_within(void **state)
{
    static const char *const ends[][2] = {
        {"version: 7", "1"},
        {"version: 7", "9223372036854775807"},
        {"type: 34", "17"},
        {"type: 34", "54"},
        {"utc_offset_min: -60", "-720"},
        {"utc_offset_min: -60", "840"},
        {"cut_off_min: 1320", "1439"},
        {"floor_limit: 5000", "999999999999"},
        {"random_target: 10", "20"},
        {"random_max: 20", "99"},
        {"kernel: 0", "2"},
        {"expiry: 20491231 6 sha1:", "20480229 6 sha1:"},
        {"low: '999901'", "'999907'"},
        {"mac_len: 8", "16"},
        {"retry_first_ms: 1000", "30000"},
        {"card_data: 1 4", "2 4"},
        {"currency: 978 7 exponent: 2", "392 7 0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (decode(notation_with(ends[i][0], ends[i][1])) != DP_OK)
            fail_msg("%s -> %s: %s", ends[i][0], ends[i][1], error);
}

/* ---- each field, found by its label in the notation ---- */

/* The set with `value` for the word behind the label, or, for no value, without key, label and
 * word. Each label begins with a blank and stands once. */
static const char *without(const char *label, const char *value)
{
    static char old[2048];
    const char *start = strstr(notation_set, label), *end, *quote;
    assert_non_null(start);
    end = start + strlen(label);
    assert_null(strstr(end, label));
    end += strspn(end, " \n");
    quote = memchr(end, '\'', strcspn(end, " \n"));
    end = quote != NULL ? strchr(quote + 1, '\'') + 1 : end + strcspn(end, " \n");
    if (value[0] == '\0')
        while (start[-1] != ' ' && start[-1] != '\n')
            start--;
    assert_true((size_t)(end - start) < sizeof old);
    memcpy(old, start, (size_t)(end - start));
    old[end - start] = '\0';
    return notation_with(old, value);
}

/* What is named when the field of this label is wrong. */
static const char *const labels[][2] = {
    {" version:", "version"},
    {" profile:", "profile"},
    {" valid_from:", "valid_from"},
    {" valid_to:", "valid_to"},
    {" tid:", "terminal.tid"},
    {" mid:", "terminal.mid"},
    {" mcc:", "terminal.mcc"},
    {" merchant_name:", "terminal.merchant_name"},
    {" country:", "terminal.country"},
    {" currency:", "terminal.currency"},
    {" exponent:", "terminal.exponent"},
    {" type:", "terminal.type"},
    {" capabilities:", "terminal.capabilities"},
    {" additional_capabilities:", "terminal.additional_capabilities"},
    {" utc_offset_min:", "terminal.utc_offset_min"},
    {" cut_off_min:", "terminal.cut_off_min"},
    {" acquirer_id:", "terminal.acquirer_id"},
    {" aid:", "aids[0].aid"},
    {" kernel:", "aids[0].kernel"},
    {" partial:", "aids[0].partial"},
    {" aid_version:", "aids[0].version"},
    {" tac_denial:", "aids[0].tac_denial"},
    {" tac_online:", "aids[0].tac_online"},
    {" tac_default:", "aids[0].tac_default"},
    {" floor_limit:", "aids[0].floor_limit"},
    {" random_threshold:", "aids[0].random_threshold"},
    {" random_target:", "aids[0].random_target"},
    {" random_max:", "aids[0].random_max"},
    {" ddol:", "aids[0].ddol"},
    {" tdol:", "aids[0].tdol"},
    {" ttq:", "aids[0].ttq"},
    {" cl_transaction_limit:", "aids[0].cl_transaction_limit"},
    {" cl_cvm_limit:", "aids[0].cl_cvm_limit"},
    {" cl_floor_limit:", "aids[0].cl_floor_limit"},
    {" brand:", "aids[0].brand"},
    {" rid:", "ca_keys[0].rid"},
    {" index:", "ca_keys[0].index"},
    {" modulus:", "ca_keys[0].modulus"},
    {" ca_exponent:", "ca_keys[0].exponent"},
    {" expiry:", "ca_keys[0].expiry"},
    {" payment_max:", "offline.payment_max"},
    {" round_amount_max:", "offline.round_amount_max"},
    {" round_count_max:", "offline.round_count_max"},
    {" card_amount_max:", "offline.card_amount_max"},
    {" card_count_max:", "offline.card_count_max"},
    {" since_sync_max_s:", "offline.since_sync_max_s"},
    {" kernel3_max:", "offline.kernel3_max"},
    {" oda_failure:", "offline.oda_failure"},
    {" allowed:", "deferred.allowed"},
    {" deferred_payment_max:", "deferred.payment_max"},
    {" deferred_round_amount_max:", "deferred.round_amount_max"},
    {" deferred_round_count_max:", "deferred.round_count_max"},
    {" expiry_s:", "deferred.expiry_s"},
    {" acquirer_profile:", "acquirer.profile"},
    {" message:", "acquirer.message"},
    {" card_data:", "acquirer.card_data"},
    {" sealing_key:", "acquirer.sealing_key"},
    {" mac_len:", "acquirer.mac_len"},
    {" online_timeout_ms:", "acquirer.online_timeout_ms"},
    {" retry_first_ms:", "acquirer.retry_first_ms"},
    {" retry_max_ms:", "acquirer.retry_max_ms"},
    {" repeat_max:", "acquirer.repeat_max"},
    {" server_name:", "acquirer.server_name"},
    {" refunds:", "refunds"},
};

static void assert_named(const char *name, int err, int want, const char *words)
{
    char start[64];
    (void)snprintf(start, sizeof start, "%s: %s", name, words);
    if (err != want || strncmp(error, start, strlen(start)) != 0)
        fail_msg("%d \"%s\", not %d \"%s…\"", err, error, want, start);
}

static void each_missing_field_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
        assert_named(labels[i][1], decode(without(labels[i][0], "")), DP_ERR_MISSING, "missing");
}

static void each_field_of_another_type_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
        assert_named(labels[i][1], decode(without(labels[i][0], " [ ]")), DP_ERR_FORMAT, "not ");
}

/* ---- maps and arrays ---- */

static void a_missing_or_unknown_part_is_named(void **state)
{
    (void)state;
    expect("16 refunds: true }", "}", DP_ERR_MISSING, "refunds: missing");
    expect("16 refunds: true }", "16 true 20 1 }", DP_ERR_UNSUPPORTED, "set: key 20 is not known");
    expect("16 refunds: true }", "16 true 18 1000001 }", DP_ERR_RANGE,
           "degraded_payments_max: 1000001 is not within 0 to 1000000");
    expect("16 refunds: true }", "16 true 18 true }", DP_ERR_FORMAT,
           "degraded_payments_max: not an unsigned integer");
    expect("{ 1 version: 7", "{ 0 0 1 7", DP_ERR_MISSING, "version: missing");
    expect("13 acquirer_id: '999999'", "13 '999999' 14 1", DP_ERR_UNSUPPORTED,
           "terminal: key 14 is not known");
    expect("18 brand: 'DOORPAY'", "18 'DOORPAY' 19 1", DP_ERR_UNSUPPORTED,
           "aids[0]: key 19 is not known");
    expect("8 oda_failure: 1", "8 1 9 1", DP_ERR_UNSUPPORTED, "offline: key 9 is not known");
    expect("{ 1 id: 'ROUND7' 2", "{ 1 id: 'ROUND7' 3", DP_ERR_MISSING, "manifest.parcels: missing");
    expect("2 parcels: [ parcel: '6A1' '6A2' ]", "", DP_ERR_MISSING, "manifest: 1 of two keys");
    expect("'6A2' ]", "'6A2' ] 3 1", DP_ERR_UNSUPPORTED, "manifest: more than two keys");
    expect("{ 1 version: 7", "{ 'a' 'b' 1 7", DP_ERR_FORMAT,
           "set: no deterministic CBOR at byte 6: malformed data");
}

static void a_part_of_another_type_is_named(void **state)
{
    static const char *const parts[][2] = {
        {"8 offline: { 1 payment_max: 5000 2 round_amount_max: 50000 3 round_count_max: 40\n"
         " 4 card_amount_max: 10000 5 card_count_max: 3 6 since_sync_max_s: 86400 7 kernel3_max: "
         "0\n"
         " 8 oda_failure: 1 }",
         "8 [ ]"},
    };
    (void)state;
    expect(parts[0][0], parts[0][1], DP_ERR_FORMAT, "offline: not a map");
    expect("14 agents: [ agent: 'a17' ]", "14 7", DP_ERR_FORMAT, "agents: not an array");
    expect("14 agents: [ agent: 'a17' ]", "14 [ 7 ]", DP_ERR_FORMAT,
           "agents[0]: not a text string");
    expect("[ low: '999901' high: '999907' [ h'A0000009990101' ] ]", "[ '999901' '999907' ]",
           DP_ERR_FORMAT, "bins[0]: not an array of low, high and AIDs");
    expect("[ h'A0000009990101' ]", "7", DP_ERR_FORMAT, "bins[0].aids: not an array");
    assert_int_equal(decode("7"), DP_ERR_FORMAT);
    assert_string_equal(error, "set: not a map");
    assert_int_equal(decode("{ 'a' 1 }"), DP_ERR_FORMAT);
    assert_string_equal(error, "set: a key that is no unsigned integer");
    assert_int_equal(decode("{ 1 7 1 8 }"), DP_ERR_DUPLICATE);
}

/* before NUMBER after, so many times. */
static void repeat(char *out, const char *before, int digits, const char *after, int times)
{
    size_t n = 0;
    for (int i = 0; i < times; i++)
        n += (size_t)sprintf(out + n, "%s%0*d%s ", before, digits, i, after);
}

static void an_array_over_its_limit_is_named(void **state)
{
    static char entries[600000], text[700000];
    static const struct {
        const char *old, *before;
        int digits;
        const char *after;
        int limit;
        const char *sentence;
    } cases[] = {
        {"14 agents: [ agent: 'a17'", "'a", 5, "'", DP_PARAMS_AGENTS_MAX,
         "agents: 1025 entries, 1024 at most"},
        {"parcels: [ parcel: '6A1' '6A2'", "'p", 5, "'", DP_PARAMS_PARCELS_MAX,
         "manifest.parcels: 4097 entries, 4096 at most"},
        {"[ h'A0000009990101' ]", "h'A0000000", 2, "'", DP_PARAMS_BIN_AIDS_MAX,
         "bins[0].aids: 17 entries, not 1 to 16"},
        {"10 bins: [ [ low: '999901' high: '999907' [ h'A0000009990101' ] ]\n"
         " [ '99990850' '99990899' [ h'A000000999' h'A0000008880202' ] ]",
         "[ '99", 4, "' '999999' [ h'A000000999' ] ]", DP_PARAMS_BINS_MAX,
         "bins: 257 entries, 256 at most"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int over = 0; over < 2; over++) {
            const char *found = strstr(notation_set, cases[i].old);
            const char *open;
            assert_non_null(found);
            /* what stands before the first bracket's entries is kept */
            open = strstr(found, i == 2 ? "[ h'" : "[ ") + 2;
            repeat(entries, cases[i].before, cases[i].digits, cases[i].after,
                   cases[i].limit + over);
            (void)snprintf(text, sizeof text, "%.*s%s%s%s", (int)(open - notation_set),
                           notation_set, entries, i == 2 ? "]" : "", found + strlen(cases[i].old));
            int err = decode(text);
            if (over == 0 && err != DP_OK)
                fail_msg("%s", error);
            if (over == 1)
                assert_string_equal(error, cases[i].sentence);
        }
}

static void an_empty_list_of_applications_is_refused(void **state)
{
    const char *from = strstr(notation_set, "6 aids: ["), *to = strstr(notation_set, "7 ca_keys");
    static char old[4096];
    (void)state;
    memcpy(old, from, (size_t)(to - from));
    expect(old, "6 [ ] ", DP_ERR_RANGE, "aids: 0 entries, at least 1 are wanted");
}

static void sealed_card_data_needs_a_key_to_seal_with(void **state)
{
    (void)state;
    assert_int_equal(decode(without(" sealing_key:", "")), DP_ERR_MISSING);
    assert_string_equal(error, "acquirer.sealing_key: missing, and card data is to be sealed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_out_of_range_is_named),
        cmocka_unit_test(the_ends_of_ranges_are_within),
        cmocka_unit_test(each_missing_field_is_named),
        cmocka_unit_test(each_field_of_another_type_is_named),
        cmocka_unit_test(a_missing_or_unknown_part_is_named),
        cmocka_unit_test(a_part_of_another_type_is_named),
        cmocka_unit_test(an_array_over_its_limit_is_named),
        cmocka_unit_test(an_empty_list_of_applications_is_refused),
        cmocka_unit_test(sealed_card_data_needs_a_key_to_seal_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
